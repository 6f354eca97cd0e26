//! The tokio shell: sockets, the clock and the two standard streams around one [`Server`].

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Write},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use msrp::sdp::Fingerprints;
use sip::{
    Flow, FlowId, Limits, ResolveId, Target, Transmit, TransmitId, Transport,
    message::{StreamDecoder, StreamItem},
};
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::{
    event::{self, Event},
    options::{Options, Quirks},
    server::{ConnectionId, Request, Server},
    stream::{self, Stream},
    tls::{self, Tls},
};

/// What the tasks may have reported before they wait for us.
const INPUTS: usize = 1024;
/// TCP connections of each kind; a further one is closed at once.
const CONNECTIONS: usize = 2048;
/// Octets asked of a connection for one write.
const WRITE_SIZE: usize = 256 * 1024;
/// Attempts to find a port that is free for TCP and UDP both.
const PORT_ATTEMPTS: u32 = 16;
/// How long the farewells may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What the tasks around the server report.
pub(crate) enum Input {
    Datagram(SocketAddr, Bytes),
    SipAccepted(TcpStream, SocketAddr),
    SipBytes(FlowId, Bytes),
    SipUnsent(TransmitId),
    SipClosed(FlowId),
    Resolved(ResolveId, Vec<SocketAddr>),
    MsrpAccepted(TcpStream),
    MsrpConnected(ConnectionId),
    MsrpBytes(ConnectionId, Bytes),
    MsrpWritten(ConnectionId),
    MsrpClosed(ConnectionId),
    Line(String),
    End,
}

/// Runs until standard input ends, or a `quit`, or a signal.
///
/// # Errors
/// A port cannot be had, or the signals of the system.
pub(crate) async fn run(options: Options, seed: [u8; 32]) -> io::Result<()> {
    let (sip, datagrams) = bind_both(options.sip).await?;
    let msrp = TcpListener::bind(options.msrp).await?;
    let (sip_address, msrp_address) = (sip.local_addr()?, msrp.local_addr()?);
    let advertised = options.advertise_msrp.unwrap_or(msrp_address);
    let tls = shown(&options)?;
    let fingerprints = match &tls {
        Some(tls) => Some(described(&options.quirks, tls)?),
        None => None,
    };
    let (sender, mut inputs) = mpsc::channel(INPUTS);
    let datagrams = Arc::new(datagrams);
    tokio::spawn(receive_datagrams(datagrams.clone(), sender.clone()));
    tokio::spawn(accept(sip, sender.clone(), Input::SipAccepted));
    tokio::spawn(accept(msrp, sender.clone(), |stream, _| {
        Input::MsrpAccepted(stream)
    }));
    read_lines(sender.clone());
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut shell = Shell {
        server: Server::new(options, (sip_address, advertised), fingerprints, seed),
        tls,
        sender,
        datagrams,
        flows: BTreeMap::new(),
        opened: 0,
        links: BTreeMap::new(),
        over: None,
        muted: false,
    };
    shell.print(&Event::Listening {
        sip: sip_address.to_string(),
        msrp: msrp_address.to_string(),
    });
    loop {
        shell.carry_out().await;
        if shell.is_over() {
            return Ok(());
        }
        let deadline = shell.deadline();
        let wake = tokio::time::Instant::from_std(deadline.unwrap_or_else(Instant::now));
        tokio::select! {
            Some(input) = inputs.recv() => shell.take(input),
            _ = interrupt.recv() => shell.quit(),
            _ = terminate.recv() => shell.quit(),
            () = tokio::time::sleep_until(wake), if deadline.is_some() => shell.server.handle_timeout(Instant::now()),
        }
    }
}

struct Shell {
    server: Server,
    sender: mpsc::Sender<Input>,
    datagrams: Arc<UdpSocket>,
    flows: BTreeMap<FlowId, SipFlow>,
    opened: u64,
    links: BTreeMap<ConnectionId, Link>,
    /// What those who connect to the switch are shown, if it speaks TLS.
    tls: Option<Tls>,
    /// When it ends, said goodbye or not.
    over: Option<Instant>,
    /// Nobody reads our output any more.
    muted: bool,
}

struct SipFlow {
    peer: SocketAddr,
    stream: Stream<TransmitId>,
    decoder: StreamDecoder,
}

struct Link {
    stream: Stream<()>,
    /// Whether it is connected and the last write is done.
    writable: bool,
}

impl Shell {
    fn take(&mut self, input: Input) {
        let now = Instant::now();
        match input {
            Input::Datagram(peer, bytes) => {
                let flow = Flow {
                    transport: Transport::Udp,
                    peer,
                    id: None,
                };
                self.server.handle_sip(flow, bytes, now);
            }
            Input::SipAccepted(stream, peer) => {
                if self.flows.len() < CONNECTIONS {
                    self.open_flow(peer, Some(stream));
                }
            }
            Input::SipBytes(id, bytes) => self.take_sip(id, &bytes, now),
            Input::SipUnsent(id) => self.server.handle_transmit_failed(id, now),
            Input::SipClosed(id) => {
                self.flows.remove(&id);
            }
            Input::Resolved(id, addresses) => self.server.handle_resolved(id, addresses, now),
            Input::MsrpAccepted(stream) => {
                if self.links.len() < CONNECTIONS {
                    let id = self.server.handle_accepted();
                    self.open_link(id, Some(stream), None);
                }
            }
            Input::MsrpConnected(id) => {
                self.written(id);
                self.server.handle_connected(id, now);
            }
            Input::MsrpBytes(id, bytes) => self.server.handle_msrp(id, &bytes, now),
            Input::MsrpWritten(id) => self.written(id),
            Input::MsrpClosed(id) => {
                self.links.remove(&id);
                self.server.handle_disconnected(id, now);
            }
            Input::Line(line) => match event::read(&line) {
                Some(Ok(command)) => self.server.handle_command(command, now),
                Some(Err(event)) => self.print(&event),
                None => {}
            },
            Input::End => self.quit(),
        }
    }

    fn take_sip(&mut self, id: FlowId, bytes: &[u8], now: Instant) {
        let Some(open) = self.flows.get_mut(&id) else {
            return;
        };
        let flow = Flow {
            transport: Transport::Tcp,
            peer: open.peer,
            id: Some(id),
        };
        open.decoder.feed(bytes);
        while let Some(item) = open.decoder.poll() {
            match item {
                StreamItem::Message(bytes) => self.server.handle_sip(flow, bytes, now),
                StreamItem::TooLarge(head) => self.server.handle_sip_too_large(flow, head, now),
                // The answer to a keep-alive (RFC 5626 §4.4.1) carries no name of ours.
                StreamItem::KeepAlive => open.stream.send_unnamed(Bytes::from_static(b"\r\n")),
                StreamItem::Lost(_) => {
                    self.flows.remove(&id);
                    return;
                }
            }
        }
    }

    fn quit(&mut self) {
        if self.over.is_none() {
            let now = Instant::now();
            self.over = Some(now + FAREWELL);
            self.server.handle_command(event::Command::Quit {}, now);
        }
    }

    fn is_over(&self) -> bool {
        self.server.is_over() || self.over.is_some_and(|over| over <= Instant::now())
    }

    fn deadline(&self) -> Option<Instant> {
        self.server.poll_timeout().into_iter().chain(self.over).min()
    }

    /// Does what the server decided.
    async fn carry_out(&mut self) {
        self.server.advance(Instant::now());
        while let Some(transmit) = self.server.poll_transmit() {
            self.transmit(transmit).await;
        }
        while let Some(resolve) = self.server.poll_resolve() {
            tokio::spawn(look_up(resolve, self.sender.clone()));
        }
        // Before what closes a connection: its last words.
        self.write_links();
        while let Some(request) = self.server.poll_request() {
            match request {
                Request::Connect(id, host, port) => self.open_link(id, None, Some((host, port))),
                Request::Close(id) => {
                    self.links.remove(&id);
                    self.server.handle_disconnected(id, Instant::now());
                }
                Request::Cut(id) => {
                    if let Some(link) = self.links.remove(&id) {
                        link.stream.cut();
                    }
                    self.server.handle_disconnected(id, Instant::now());
                }
            }
        }
        while let Some(event) = self.server.poll_event() {
            self.print(&event);
        }
    }

    fn write_links(&mut self) {
        for id in self.server.connections() {
            let Some(link) = self.links.get_mut(&id).filter(|link| link.writable) else {
                continue;
            };
            let mut out = BytesMut::new();
            self.server.poll_msrp(id, &mut out, WRITE_SIZE, Instant::now());
            if !out.is_empty() {
                link.writable = false;
                link.stream.send((), out.freeze());
            }
        }
    }

    fn written(&mut self, id: ConnectionId) {
        if let Some(link) = self.links.get_mut(&id) {
            link.writable = true;
        }
    }

    async fn transmit(&mut self, transmit: Transmit) {
        let Transmit { id, target, bytes } = transmit;
        let sent = match target.transport {
            Transport::Udp => self.datagrams.send_to(&bytes, target.peer).await.is_ok(),
            Transport::Tcp => {
                let flow = self.flow_to(target);
                self.flows
                    .get(&flow)
                    .is_some_and(|flow| flow.stream.send(id, bytes))
            }
            Transport::Tls => false,
        };
        if !sent {
            self.server.handle_transmit_failed(id, Instant::now());
        }
    }

    /// The connection that the endpoint prefers, else one to the same peer, else a new one.
    fn flow_to(&mut self, target: Target) -> FlowId {
        let preferred = target.flow.filter(|id| self.flows.contains_key(id));
        let same_peer = || {
            let found = self.flows.iter().find(|(_, flow)| flow.peer == target.peer);
            found.map(|(id, _)| *id)
        };
        match preferred.or_else(same_peer) {
            Some(id) => id,
            None => self.open_flow(target.peer, None),
        }
    }

    fn open_flow(&mut self, peer: SocketAddr, accepted: Option<TcpStream>) -> FlowId {
        self.opened += 1;
        let id = FlowId(self.opened);
        let reports = stream::Reports {
            inputs: self.sender.clone(),
            connected: None,
            bytes: Box::new(move |bytes| Input::SipBytes(id, bytes)),
            written: None,
            unsent: Some(Input::SipUnsent),
            closed: Box::new(move || Input::SipClosed(id)),
        };
        let flow = SipFlow {
            peer,
            stream: stream::open(accepted, None, (peer.ip().to_string(), peer.port()), reports),
            decoder: StreamDecoder::new(Limits::default()),
        };
        self.flows.insert(id, flow);
        id
    }

    fn open_link(&mut self, id: ConnectionId, accepted: Option<TcpStream>, to: Option<(String, u16)>) {
        let writable = accepted.is_some();
        let reports = stream::Reports {
            inputs: self.sender.clone(),
            connected: (!writable).then_some(Input::MsrpConnected(id)),
            bytes: Box::new(move |bytes| Input::MsrpBytes(id, bytes)),
            written: Some(Box::new(move || Input::MsrpWritten(id))),
            unsent: None,
            closed: Box::new(move || Input::MsrpClosed(id)),
        };
        let stream = stream::open(accepted, self.tls.clone(), to.unwrap_or_default(), reports);
        self.links.insert(id, Link { stream, writable });
    }

    fn print(&mut self, event: &Event) {
        if !self.muted {
            let mut output = io::stdout().lock();
            let written = output
                .write_all(event::write(event).as_bytes())
                .and_then(|()| output.flush());
            self.muted = written.is_err();
        }
    }
}

fn shown(options: &Options) -> io::Result<Option<Tls>> {
    match (&options.tls_certificate, &options.tls_key) {
        (Some(certificate), Some(key)) => Tls::open(certificate, key).map(Some),
        _ => Ok(None),
    }
}

/// The fingerprints that the switch is described with.
fn described(quirks: &Quirks, tls: &Tls) -> io::Result<Fingerprints> {
    match &quirks.false_fingerprint {
        Some(other) => tls::fingerprints(other),
        None if quirks.no_fingerprint => Ok(Fingerprints::default()),
        None => Ok(tls.fingerprints.clone()),
    }
}

/// The same port for TCP and UDP.
async fn bind_both(address: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    let mut attempt = 1;
    loop {
        let listener = TcpListener::bind(address).await?;
        match UdpSocket::bind(listener.local_addr()?).await {
            Ok(socket) => return Ok((listener, socket)),
            Err(fault) if attempt == PORT_ATTEMPTS || address.port() != 0 => return Err(fault),
            Err(_) => attempt += 1,
        }
    }
}

async fn accept(
    listener: TcpListener,
    sender: mpsc::Sender<Input>,
    input: impl Fn(TcpStream, SocketAddr) -> Input,
) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await; // out of descriptors
            continue;
        };
        if sender.send(input(stream, peer)).await.is_err() {
            return;
        }
    }
}

async fn receive_datagrams(socket: Arc<UdpSocket>, sender: mpsc::Sender<Input>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        // An error here reports the fate of an earlier datagram; the timers of its transaction see to it.
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let bytes = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
        if sender.send(Input::Datagram(peer, bytes)).await.is_err() {
            return;
        }
    }
}

async fn look_up(resolve: sip::Resolve, sender: mpsc::Sender<Input>) {
    let port = resolve.port.unwrap_or(5060);
    let found = match resolve.host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => match tokio::net::lookup_host((resolve.host.as_str(), port)).await {
            Ok(addresses) => addresses.collect(),
            Err(_) => Vec::new(),
        },
    };
    // A closed queue means that all is over; here and elsewhere.
    let _ = sender.send(Input::Resolved(resolve.id, found)).await;
}

/// Standard input, line by line, from a thread of its own: reading it cannot be given up.
fn read_lines(sender: mpsc::Sender<Input>) {
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let input = match line {
                Ok(line) => Input::Line(line),
                Err(_) => break,
            };
            if sender.blocking_send(input).is_err() {
                return;
            }
        }
        let _ = sender.blocking_send(Input::End);
    });
}
