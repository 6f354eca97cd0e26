//! The SIP task: the only owner of the endpoint, of the UDP sockets' sending side and of the list of streams.

mod flow;
mod flows;
mod keep_alive;
mod listen;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use ::sip::{
    Command, Endpoint, Event, Flow, FlowId, RegisterParameters, RegistrationEvent, Resolve, ResolveId,
    Target, Transmit, TransmitId, Transport, locate::Candidate,
};
use bytes::Bytes;
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    sync::mpsc,
    task::JoinSet,
};

use self::{
    flow::{Outgoing, Terms},
    flows::{Destination, Flows, Opened, Pushed},
    keep_alive::Rhythm,
};
use super::{Outlet, sleep_until};
use crate::{
    admission::{Admission, Seat},
    config::ConnectionLimits,
    lookup::Lookup,
    tls::Tls,
};

/// What may wait for the SIP task from its sockets.
const NOTICES: usize = 1024;

/// How long dialogs may take to end once the core has stopped.
const LINGER: Duration = Duration::from_secs(1);

/// What the sockets tell the SIP task.
enum Notice {
    /// A datagram, or a message cut out of a stream.
    Message(Flow, Bytes),
    /// A stream message over the limits, with its head.
    TooLarge(Flow, Bytes),
    /// The peer asks on a stream whether we are there (RFC 5626 §4.4.1).
    KeepAlive(FlowId),
    /// A peer connected.
    Accepted(Opened, Seat),
    /// A stream ended; what it had not sent.
    Ended(FlowId, Vec<TransmitId>),
}

/// The SIP task before it runs.
pub(crate) struct SipTask {
    pub(crate) endpoint: Endpoint,
    pub(crate) register: Option<RegisterParameters>,
    pub(crate) limits: ::sip::Limits,
    pub(crate) connections: ConnectionLimits,
    pub(crate) udp: Vec<UdpSocket>,
    pub(crate) tcp: Vec<TcpListener>,
    pub(crate) tls_listeners: Vec<TcpListener>,
    pub(crate) tls: Option<Tls>,
    /// How often peers we have connected to are asked whether they are there; zero: never.
    pub(crate) keep_alive: Duration,
    pub(crate) lookup: Lookup,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: mpsc::Sender<Event>,
}

impl SipTask {
    /// Runs until the mapping task has let go of the commands and what is to be sent has been handed to the sockets. Dropping the
    /// future ends every stream.
    pub(crate) async fn run(self) {
        let (notices_in, notices) = mpsc::channel(NOTICES);
        let mut listeners = JoinSet::new();
        let udp: Vec<_> = self.udp.into_iter().map(Arc::new).collect();
        for socket in &udp {
            listeners.spawn(listen::receive_datagrams(Arc::clone(socket), notices_in.clone()));
        }
        let admission = Admission::new(self.connections.sip, self.connections.per_address);
        let plain = self.tcp.into_iter().map(|listener| (listener, None));
        let secured = self
            .tls_listeners
            .into_iter()
            .zip(std::iter::repeat(self.tls.clone()));
        for (listener, tls) in plain.chain(secured) {
            listeners.spawn(listen::accept_streams(
                listener,
                tls,
                admission.clone(),
                self.connections.tls_handshake,
                notices_in.clone(),
            ));
        }
        let mut endpoint = self.endpoint;
        if let Some(register) = self.register {
            endpoint.register(register, Instant::now());
        }
        let carrier = Carrier {
            endpoint,
            outlet: Outlet::new(self.events),
            udp,
            flows: Flows::new(Terms {
                rhythm: Rhythm {
                    interval: self.keep_alive,
                    pong: self.connections.sip_pong,
                },
                limits: self.limits,
                connections: self.connections,
                notices: notices_in,
            }),
            tls: self.tls,
            connecting: BTreeMap::new(),
            connects: JoinSet::new(),
            lookups: JoinSet::new(),
            lookup: self.lookup,
        };
        carrier.run(self.commands, notices).await;
    }
}

/// What waits for one connection that is being opened.
#[derive(Default)]
struct Waiting {
    messages: Vec<Outgoing>,
    octets: usize,
}

/// Carries between the endpoint and its sockets.
struct Carrier {
    endpoint: Endpoint,
    outlet: Outlet<Event>,
    udp: Vec<Arc<UdpSocket>>,
    flows: Flows,
    tls: Option<Tls>,
    connecting: BTreeMap<Destination, Waiting>,
    connects: JoinSet<(Destination, Result<Opened, String>)>,
    lookups: JoinSet<(ResolveId, Vec<Candidate>)>,
    lookup: Lookup,
}

impl Carrier {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>, mut notices: mpsc::Receiver<Notice>) {
        let mut leaving = None;
        loop {
            self.advance().await;
            let done = self.endpoint.census().0 == 0 && !self.endpoint.has_registration();
            if leaving.is_some_and(|until| done || Instant::now() >= until) {
                break;
            }
            let hearing = self.outlet.is_free();
            tokio::select! {
                command = commands.recv(), if leaving.is_none() => match command {
                    Some(command) => self.endpoint.handle_command(command, Instant::now()),
                    None => {
                        let now = Instant::now();
                        self.endpoint.unregister(now);
                        leaving = Some(now + LINGER);
                    }
                },
                () = sleep_until(leaving) => {}
                Some(notice) = notices.recv(), if hearing => self.handle_notice(notice),
                () = self.outlet.release() => {}
                Some(found) = self.lookups.join_next() => {
                    if let Ok((id, candidates)) = found {
                        self.endpoint.handle_located(id, candidates, Instant::now());
                    }
                }
                Some(opened) = self.connects.join_next() => {
                    if let Ok((destination, opened)) = opened {
                        self.handle_connected(&destination, opened);
                    }
                }
                Some(_) = self.flows.tasks.join_next() => {}
                () = sleep_until(self.endpoint.poll_timeout()) => self.endpoint.handle_timeout(Instant::now()),
            }
        }
        drop(notices);
        self.flows.finish().await;
    }

    /// Takes from the endpoint what it has to send, to look up and to say.
    async fn advance(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.transmit(transmit).await;
        }
        while let Some(question) = self.endpoint.poll_resolve() {
            self.look_up(question);
        }
        while let Some(event) = self.endpoint.poll_registration() {
            if let RegistrationEvent::Registered {
                flow_timer: Some((flow, interval)),
                ..
            } = event
            {
                self.flows.quicken(flow, interval);
            }
            log_registration(&event);
        }
        while self.outlet.is_free() {
            let Some(event) = self.endpoint.poll_event() else {
                break;
            };
            self.outlet.put(event);
        }
    }

    async fn transmit(&mut self, transmit: Transmit) {
        let Transmit { id, target, bytes } = transmit;
        match target.transport {
            Transport::Udp => self.send_datagram(id, target.peer, &bytes).await,
            Transport::Tcp | Transport::Tls => {
                self.send_on_stream(&target, Outgoing { id: Some(id), bytes });
            }
        }
    }

    async fn send_datagram(&mut self, id: TransmitId, peer: SocketAddr, bytes: &[u8]) {
        // The configuration has one socket per address family at most.
        let socket = self.udp.iter().find(|socket| {
            socket
                .local_addr()
                .is_ok_and(|local| local.is_ipv4() == peer.is_ipv4())
        });
        let sent = match socket {
            Some(socket) => socket
                .send_to(bytes, peer)
                .await
                .map_err(|error| error.to_string()),
            None => Err("no UDP address of its family is listened on".to_owned()),
        };
        if let Err(cause) = sent {
            tracing::debug!(%peer, %cause, "SIP datagram not sent");
            self.endpoint.handle_transmit_failed(id, Instant::now());
        }
    }

    fn send_on_stream(&mut self, target: &Target, message: Outgoing) {
        match self.flows.push(target, message) {
            Pushed::Queued => {}
            Pushed::NoFlow(message) => self.connect(Destination::of(target), message),
            Pushed::Overflow(id) => self.fail(id),
        }
    }

    /// Opens a connection, or lets the message wait for the one that is being opened.
    fn connect(&mut self, destination: Destination, message: Outgoing) {
        let limit = self.flows.terms.connections.sip_queue;
        let first = !self.connecting.contains_key(&destination);
        let waiting = self.connecting.entry(destination.clone()).or_default();
        if waiting.octets + message.bytes.len() > limit {
            return self.fail(message.id);
        }
        waiting.octets += message.bytes.len();
        waiting.messages.push(message);
        if first {
            let deadline = self.flows.terms.connections.connect;
            let tls = self.tls.clone();
            self.connects.spawn(async move {
                let opened = connect(&destination, tls, deadline).await;
                (destination, opened)
            });
        }
    }

    fn handle_connected(&mut self, destination: &Destination, opened: Result<Opened, String>) {
        let waiting = self.connecting.remove(destination).unwrap_or_default();
        let peer = destination.peer;
        match opened {
            Ok(opened) => {
                let target = Target {
                    transport: destination.transport,
                    flow: Some(self.open(opened, None)),
                    peer,
                    host: destination.host.clone(),
                };
                for message in waiting.messages {
                    self.send_on_stream(&target, message);
                }
            }
            Err(cause) => {
                tracing::info!(%peer, %cause, "cannot connect to SIP peer");
                for message in waiting.messages {
                    self.fail(message.id);
                }
            }
        }
    }

    /// Takes up a connection; the endpoint learns who is at its other end before it hears a message of it.
    fn open(&mut self, mut opened: Opened, seat: Option<Seat>) -> FlowId {
        let names = std::mem::take(&mut opened.names);
        let flow = self.flows.open(opened, seat);
        if !names.is_empty() {
            self.endpoint.handle_verified(flow, names);
        }
        flow
    }

    fn handle_notice(&mut self, notice: Notice) {
        let now = Instant::now();
        match notice {
            Notice::Message(flow, bytes) => self.endpoint.handle_message(flow, bytes, now),
            Notice::TooLarge(flow, head) => self.endpoint.handle_too_large(flow, head, now),
            Notice::KeepAlive(flow) => self.flows.answer_keep_alive(flow),
            Notice::Accepted(opened, seat) => {
                self.open(opened, Some(seat));
            }
            Notice::Ended(flow, unsent) => {
                self.flows.forget(flow);
                self.endpoint.handle_closed(flow);
                for id in unsent {
                    self.fail(Some(id));
                }
            }
        }
    }

    fn fail(&mut self, id: Option<TransmitId>) {
        if let Some(id) = id {
            self.endpoint.handle_transmit_failed(id, Instant::now());
        }
    }

    fn look_up(&mut self, question: Resolve) {
        let lookup = self.lookup.clone();
        self.lookups.spawn(async move {
            let found = lookup.sip_servers(question.question()).await;
            let candidates = found.unwrap_or_else(|cause| {
                tracing::info!(%cause, "SIP host not found");
                Vec::new()
            });
            (question.id, candidates)
        });
    }
}

async fn connect(destination: &Destination, tls: Option<Tls>, deadline: Duration) -> Result<Opened, String> {
    let Destination {
        transport,
        peer,
        host,
    } = destination;
    match (transport, tls, host) {
        (Transport::Tls, Some(tls), Some(host)) => {
            let secured = tls.connect(*peer, host, deadline).await;
            let secured = secured.map_err(|error| format!("{host}: {error}"))?;
            Ok(Opened::secured(secured, *peer, Some(host.clone())))
        }
        (Transport::Tls, ..) => Err("no TLS without [tls] in the configuration".to_owned()),
        (Transport::Udp | Transport::Tcp, ..) => {
            match tokio::time::timeout(deadline, TcpStream::connect(peer)).await {
                Ok(Ok(stream)) => Ok(Opened::plain(stream, *peer)),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("no answer in {deadline:?}")),
            }
        }
    }
}

fn log_registration(event: &RegistrationEvent) {
    match event {
        RegistrationEvent::Registered { expires, .. } => tracing::info!(?expires, "registered"),
        RegistrationEvent::Failed {
            status,
            local,
            retry_in,
        } => tracing::warn!(status = status.0, local, ?retry_in, "not registered"),
        RegistrationEvent::Unregistered => tracing::info!("registration taken back"),
    }
}
