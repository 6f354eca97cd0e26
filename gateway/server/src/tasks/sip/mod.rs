//! The SIP task: the only owner of the endpoint, of the UDP sockets' sending side and of the list of streams.

mod flow;
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

use self::flow::{FlowHandle, Opener, Outgoing};
use super::{Outlet, send_without_delay, sleep_until};
use crate::{
    admission::{Admission, Seat},
    config::ConnectionLimits,
    lookup::Lookup,
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
    Accepted(TcpStream, SocketAddr, Seat),
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
        for listener in self.tcp {
            listeners.spawn(listen::accept_streams(
                listener,
                admission.clone(),
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
            flows: Flows {
                next: 1,
                open: BTreeMap::new(),
                by_peer: BTreeMap::new(),
                tasks: JoinSet::new(),
                notices: notices_in,
                limits: self.limits,
                connections: self.connections,
            },
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
    connecting: BTreeMap<SocketAddr, Waiting>,
    connects: JoinSet<(SocketAddr, Result<TcpStream, String>)>,
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
                    if let Ok((peer, opened)) = opened {
                        self.handle_connected(peer, opened);
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
            Transport::Tcp => self.send_on_stream(target, Outgoing { id: Some(id), bytes }),
            Transport::Tls => {
                tracing::debug!(peer = %target.peer, "no TLS here: SIP message not sent");
                self.endpoint.handle_transmit_failed(id, Instant::now());
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

    fn send_on_stream(&mut self, target: Target, message: Outgoing) {
        match self.flows.push(target, message) {
            Pushed::Queued => {}
            Pushed::NoFlow(message) => self.connect(target.peer, message),
            Pushed::Overflow(id) => self.fail(id),
        }
    }

    /// Opens a connection, or lets the message wait for the one that is being opened.
    fn connect(&mut self, peer: SocketAddr, message: Outgoing) {
        let limit = self.flows.connections.sip_queue;
        let first = !self.connecting.contains_key(&peer);
        let waiting = self.connecting.entry(peer).or_default();
        if waiting.octets + message.bytes.len() > limit {
            return self.fail(message.id);
        }
        waiting.octets += message.bytes.len();
        waiting.messages.push(message);
        if first {
            let deadline = self.flows.connections.connect;
            self.connects.spawn(async move {
                let opened = match tokio::time::timeout(deadline, TcpStream::connect(peer)).await {
                    Ok(opened) => opened.map_err(|error| error.to_string()),
                    Err(_) => Err(format!("no answer in {deadline:?}")),
                };
                (peer, opened)
            });
        }
    }

    fn handle_connected(&mut self, peer: SocketAddr, opened: Result<TcpStream, String>) {
        let waiting = self.connecting.remove(&peer).unwrap_or_default();
        match opened {
            Ok(stream) => {
                let flow = self.flows.open(stream, peer, None);
                let target = Target {
                    transport: Transport::Tcp,
                    flow: Some(flow),
                    peer,
                };
                for message in waiting.messages {
                    self.send_on_stream(target, message);
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

    fn handle_notice(&mut self, notice: Notice) {
        let now = Instant::now();
        match notice {
            Notice::Message(flow, bytes) => self.endpoint.handle_message(flow, bytes, now),
            Notice::TooLarge(flow, head) => self.endpoint.handle_too_large(flow, head, now),
            Notice::KeepAlive(flow) => self.flows.answer_keep_alive(flow),
            Notice::Accepted(stream, peer, seat) => {
                self.flows.open(stream, peer, Some(seat));
            }
            Notice::Ended(flow, unsent) => {
                self.flows.forget(flow);
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

fn log_registration(event: &RegistrationEvent) {
    match event {
        RegistrationEvent::Registered { expires } => tracing::info!(?expires, "registered"),
        RegistrationEvent::Failed {
            status,
            local,
            retry_in,
        } => tracing::warn!(status = status.0, local, ?retry_in, "not registered"),
        RegistrationEvent::Unregistered => tracing::info!("registration taken back"),
    }
}

/// What became of a message for a stream.
enum Pushed {
    Queued,
    NoFlow(Outgoing),
    /// The stream's queue was full: the stream is closed.
    Overflow(Option<TransmitId>),
}

/// The open streams.
struct Flows {
    next: u64,
    open: BTreeMap<FlowId, FlowHandle>,
    by_peer: BTreeMap<SocketAddr, FlowId>,
    tasks: JoinSet<()>,
    notices: mpsc::Sender<Notice>,
    limits: ::sip::Limits,
    connections: ConnectionLimits,
}

impl Flows {
    fn open(&mut self, stream: TcpStream, peer: SocketAddr, seat: Option<Seat>) -> FlowId {
        send_without_delay(&stream);
        let id = FlowId(self.next);
        self.next += 1;
        tracing::debug!(flow = id.0, %peer, accepted = seat.is_some(), "SIP stream");
        let flow = Flow {
            transport: Transport::Tcp,
            peer,
            id: Some(id),
        };
        let opener = if seat.is_some() {
            Opener::Peer
        } else {
            Opener::Gateway
        };
        let (handle, task) = flow::prepare(
            stream,
            flow,
            opener,
            &self.limits,
            &self.connections,
            self.notices.clone(),
        );
        self.tasks.spawn(async move {
            let _seat = seat;
            task.run(id).await;
        });
        self.open.insert(id, handle);
        self.by_peer.insert(peer, id);
        id
    }

    fn push(&mut self, target: Target, message: Outgoing) -> Pushed {
        let other = self.by_peer.get(&target.peer).copied();
        let open = |id: FlowId| Some((id, self.open.get(&id).filter(|handle| handle.is_open())?));
        let Some((id, handle)) = target.flow.and_then(open).or_else(|| other.and_then(open)) else {
            return Pushed::NoFlow(message);
        };
        match handle.push(message, self.connections.sip_queue) {
            Ok(()) => Pushed::Queued,
            Err(message) => {
                tracing::warn!(flow = id.0, peer = %handle.peer, "SIP stream cannot keep up: closed");
                self.forget(id);
                Pushed::Overflow(message.id)
            }
        }
    }

    fn answer_keep_alive(&mut self, flow: FlowId) {
        let pong = Outgoing {
            id: None,
            bytes: Bytes::from_static(b"\r\n"),
        };
        if let Some(handle) = self.open.get(&flow)
            && handle.push(pong, self.connections.sip_queue).is_err()
        {
            self.forget(flow);
        }
    }

    /// Takes a stream off the list; dropping its handle ends it.
    fn forget(&mut self, flow: FlowId) {
        if let Some(handle) = self.open.remove(&flow)
            && self.by_peer.get(&handle.peer) == Some(&flow)
        {
            self.by_peer.remove(&handle.peer);
        }
    }

    /// Lets every stream send what it has queued.
    async fn finish(mut self) {
        let _cuts: Vec<_> = std::mem::take(&mut self.open)
            .into_values()
            .map(FlowHandle::close)
            .collect();
        drop(self.notices);
        while self.tasks.join_next().await.is_some() {}
    }
}
