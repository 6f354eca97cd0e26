//! The tokio shell: sockets, the clock and the user around one [`Client`].

mod flow;
mod switch;
mod tls;

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use rustls::RootCertStore;
use sip::{Flow, FlowId, ResolveId, Target, Transmit, TransmitId, Transport};
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
};

pub(crate) use self::tls::anchors;
use crate::{
    client::{Client, Command, Event, MediaRequest, Outcome},
    face::{self, Face, Line, Typed},
};

/// What the tasks may have reported before they wait for us.
const INPUTS: usize = 256;
/// Connections that SIP peers may hold open to us; a further one is closed at once.
const FLOWS: usize = 64;
/// How long a connection attempt may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long one write may take before the peer is given up.
const WRITE: Duration = Duration::from_secs(10);
/// Octets asked of the MSRP connection for one write.
const WRITE_SIZE: usize = 64 * 1024;
/// How long the last bytes may take to leave.
const FLUSH: Duration = Duration::from_secs(1);
/// Attempts to find a port that is free for TCP and UDP both.
const PORT_ATTEMPTS: u32 = 16;

/// The sockets by which SIP peers reach us.
pub(crate) struct Sockets {
    listener: TcpListener,
    datagrams: Option<Arc<UdpSocket>>,
    port: u16,
}

impl Sockets {
    /// Listens at `address` on a free port: with TCP always, with UDP on the same port if asked for.
    ///
    /// # Errors
    /// The address is not ours, or no port is free.
    pub(crate) async fn bind(address: IpAddr, with_udp: bool) -> io::Result<Self> {
        let mut attempt = 1;
        loop {
            let listener = TcpListener::bind((address, 0)).await?;
            let port = listener.local_addr()?.port();
            if !with_udp {
                return Ok(Self {
                    listener,
                    datagrams: None,
                    port,
                });
            }
            match UdpSocket::bind((address, port)).await {
                Ok(socket) => {
                    return Ok(Self {
                        listener,
                        datagrams: Some(Arc::new(socket)),
                        port,
                    });
                }
                Err(fault) if attempt == PORT_ATTEMPTS => return Err(fault),
                Err(_) => attempt += 1,
            }
        }
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// Our address as `peer` sees it: the one that the system would send from.
///
/// # Errors
/// There is no way to `peer`.
pub(crate) async fn address_towards(peer: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = match peer {
        SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(peer).await?; // sends nothing
    Ok(socket.local_addr()?.ip())
}

/// What the tasks around the client report.
enum Input {
    Sip { flow: Flow, bytes: Bytes },
    SipTooLarge { flow: Flow, head: Bytes },
    TransmitFailed(TransmitId),
    FlowClosed(FlowId),
    Accepted(TcpStream, SocketAddr),
    Resolved(ResolveId, Vec<SocketAddr>),
    SwitchConnected,
    SwitchBytes(Bytes),
    SwitchWritten,
    SwitchLost(String),
}

/// Runs the stay to its end.
///
/// # Errors
/// The signals of the system cannot be had.
pub(crate) async fn run(
    client: Client,
    sockets: Sockets,
    anchors: RootCertStore,
    face: Box<dyn Face>,
    verbose: bool,
) -> io::Result<Outcome> {
    let (sender, mut inputs) = mpsc::channel(INPUTS);
    let mut shell = Shell {
        client,
        face,
        verbose,
        sender,
        tasks: JoinSet::new(),
        datagrams: sockets.datagrams.clone(),
        flows: BTreeMap::new(),
        flows_opened: 0,
        switch: None,
        anchors: Arc::new(anchors),
        quitting: false,
        input_ended: false,
        muted: false,
    };
    shell.listen(sockets);
    let mut typed = face::read_input();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    shell.client.start(Instant::now());
    let outcome = loop {
        shell.carry_out().await;
        if let Some(outcome) = shell.client.outcome() {
            break outcome;
        }
        if shell.muted && !shell.quitting {
            shell.quit();
            continue;
        }
        let deadline = shell.client.poll_timeout();
        let wake = tokio::time::Instant::from_std(deadline.unwrap_or_else(Instant::now));
        tokio::select! {
            Some(input) = inputs.recv() => shell.take(input),
            line = typed.recv(), if !shell.input_ended => shell.take_line(line),
            _ = interrupt.recv() => shell.quit(),
            _ = terminate.recv() => shell.quit(),
            () = tokio::time::sleep_until(wake), if deadline.is_some() => shell.client.handle_timeout(Instant::now()),
        }
    };
    shell.close().await;
    Ok(outcome)
}

struct Shell {
    client: Client,
    face: Box<dyn Face>,
    verbose: bool,
    sender: mpsc::Sender<Input>,
    /// What still has bytes to send when all is over.
    tasks: JoinSet<()>,
    datagrams: Option<Arc<UdpSocket>>,
    flows: BTreeMap<FlowId, flow::Handle>,
    flows_opened: u64,
    switch: Option<switch::Handle>,
    /// What the switch's certificate must lead to, if its description names none.
    anchors: Arc<RootCertStore>,
    /// The user has said that he leaves.
    quitting: bool,
    /// The user will say nothing more.
    input_ended: bool,
    /// Nobody reads our output any more.
    muted: bool,
}

impl Shell {
    fn listen(&self, sockets: Sockets) {
        let sender = self.sender.clone();
        tokio::spawn(async move {
            loop {
                let Ok((stream, peer)) = sockets.listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(100)).await; // out of descriptors
                    continue;
                };
                if sender.send(Input::Accepted(stream, peer)).await.is_err() {
                    return;
                }
            }
        });
        if let Some(socket) = sockets.datagrams {
            tokio::spawn(receive_datagrams(socket, self.sender.clone()));
        }
    }

    fn take(&mut self, input: Input) {
        let now = Instant::now();
        match input {
            Input::Sip { flow, bytes } => {
                self.trace("<", flow.peer, &bytes);
                self.client.handle_sip(flow, bytes, now);
            }
            Input::SipTooLarge { flow, head } => self.client.handle_sip_too_large(flow, head, now),
            Input::TransmitFailed(id) => self.client.handle_transmit_failed(id, now),
            Input::FlowClosed(id) => {
                self.flows.remove(&id);
                while self.tasks.try_join_next().is_some() {}
            }
            Input::Accepted(stream, peer) => {
                if self.flows.len() < FLOWS {
                    self.open_flow(peer, Some(stream));
                }
            }
            Input::Resolved(id, addresses) => self.client.handle_resolved(id, addresses, now),
            Input::SwitchConnected => {
                if let Some(switch) = &mut self.switch {
                    switch.writable = true;
                    self.client.handle_media_connected(now);
                }
            }
            Input::SwitchBytes(bytes) => self.client.handle_media_bytes(&bytes, now),
            Input::SwitchWritten => {
                if let Some(switch) = &mut self.switch {
                    switch.writable = true;
                }
            }
            Input::SwitchLost(reason) => {
                if self.switch.take().is_some() {
                    self.client.handle_media_lost(&reason, now);
                }
            }
        }
    }

    fn take_line(&mut self, line: Option<Line>) {
        let typed = match line {
            Some(Line::Text(text)) => {
                self.print(self.face.typed());
                self.face.read(&text)
            }
            Some(Line::Unreadable(why)) => Typed::Answer(Event::Error { text: why.to_owned() }),
            None => {
                self.input_ended = true;
                if !self.quitting {
                    self.quit();
                }
                return;
            }
        };
        match typed {
            Typed::Command(Command::Quit) => self.quit(),
            Typed::Command(command) => self.client.handle_command(command, Instant::now()),
            Typed::Answer(event) => {
                let text = self.face.show(&event);
                self.print(&text);
            }
            Typed::Print(text) => self.print(&text),
            Typed::Nothing => {}
        }
        if !self.quitting {
            self.print(self.face.prompt());
        }
    }

    fn quit(&mut self) {
        self.quitting = true;
        self.client.handle_command(Command::Quit, Instant::now());
    }

    /// Does what the client decided, until it has nothing more to say.
    async fn carry_out(&mut self) {
        while let Some(transmit) = self.client.poll_sip_transmit() {
            self.transmit(transmit).await;
        }
        while let Some(resolve) = self.client.poll_resolve() {
            tokio::spawn(look_up(resolve, self.sender.clone()));
        }
        while let Some(request) = self.client.poll_media() {
            match request {
                MediaRequest::Connect { host, port, tls } => {
                    let tls = tls.map(|certificates| (certificates, Arc::clone(&self.anchors)));
                    let connected = switch::connect((host, port), tls, self.sender.clone(), &mut self.tasks);
                    self.switch = Some(connected);
                }
                MediaRequest::Close => {
                    self.write_to_switch();
                    self.switch = None;
                }
            }
        }
        if self.switch.as_ref().is_some_and(|switch| switch.writable) {
            self.write_to_switch();
        }
        self.show_events();
    }

    fn show_events(&mut self) {
        let mut shown = String::new();
        while let Some(event) = self.client.poll_event() {
            let text = self.face.show(&event);
            if let Event::Progress { text: step } = &event
                && self.verbose
                && text.is_empty()
            {
                eprintln!("{step}");
            }
            shown += &text;
        }
        if !shown.is_empty() {
            if !self.quitting {
                shown += self.face.prompt();
            }
            self.print(&shown);
        }
    }

    fn print(&mut self, text: &str) {
        if text.is_empty() || self.muted {
            return;
        }
        self.muted = face::print(text).is_err();
    }

    fn write_to_switch(&mut self) {
        let Some(switch) = &mut self.switch else { return };
        let mut bytes = BytesMut::new();
        self.client
            .poll_media_transmit(&mut bytes, WRITE_SIZE, Instant::now());
        if !bytes.is_empty() {
            switch.write(bytes.freeze());
        }
    }

    async fn transmit(&mut self, transmit: Transmit) {
        self.trace(">", transmit.target.peer, &transmit.bytes);
        let sent = match transmit.target.transport {
            Transport::Udp => match &self.datagrams {
                Some(socket) => socket
                    .send_to(&transmit.bytes, transmit.target.peer)
                    .await
                    .is_ok(),
                None => false,
            },
            Transport::Tcp => {
                let id = self.flow_to(&transmit.target);
                self.flows
                    .get(&id)
                    .is_some_and(|flow| flow.send(transmit.id, transmit.bytes))
            }
            Transport::Tls => false,
        };
        if !sent {
            self.client.handle_transmit_failed(transmit.id, Instant::now());
        }
    }

    /// The connection that the endpoint prefers, else one to the same peer, else a new one.
    fn flow_to(&mut self, target: &Target) -> FlowId {
        let preferred = target
            .flow
            .filter(|id| self.flows.get(id).is_some_and(flow::Handle::is_open));
        let same_peer = || {
            let open = |flow: &flow::Handle| flow.peer == target.peer && flow.is_open();
            self.flows.iter().find(|(_, flow)| open(flow)).map(|(id, _)| *id)
        };
        match preferred.or_else(same_peer) {
            Some(id) => id,
            None => self.open_flow(target.peer, None),
        }
    }

    fn open_flow(&mut self, peer: SocketAddr, stream: Option<TcpStream>) -> FlowId {
        self.flows_opened += 1;
        let id = FlowId(self.flows_opened);
        let handle = flow::open(id, peer, stream, self.sender.clone(), &mut self.tasks);
        self.flows.insert(id, handle);
        id
    }

    /// Lets the last bytes leave.
    async fn close(mut self) {
        self.flows.clear();
        self.switch = None;
        let flushed = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(FLUSH, flushed).await.is_err() && self.verbose {
            eprintln!("a peer did not take our last words");
        }
    }

    /// The start line of a SIP message.
    fn trace(&self, direction: &str, peer: SocketAddr, bytes: &[u8]) {
        if self.verbose {
            let line = bytes.split(|octet| *octet == b'\r').next().unwrap_or_default();
            eprintln!("{direction} {peer} {}", line.escape_ascii());
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
        let flow = Flow {
            transport: Transport::Udp,
            peer,
            id: None,
        };
        if sender.send(Input::Sip { flow, bytes }).await.is_err() {
            return;
        }
    }
}

async fn look_up(resolve: sip::Resolve, sender: mpsc::Sender<Input>) {
    let port = resolve.port.unwrap_or(5060);
    let addresses = match tokio::net::lookup_host((resolve.host.as_str(), port)).await {
        Ok(addresses) => addresses.collect(),
        Err(_) => Vec::new(),
    };
    // A closed queue means that the stay is over.
    let _ = sender.send(Input::Resolved(resolve.id, addresses)).await;
}

#[cfg(test)]
mod tests;
