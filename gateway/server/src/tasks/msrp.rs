//! The MSRP connections, those that peers open and those that we do: one task for each, each the owner of its `msrp::Connection`.

mod opening;

use std::{
    collections::BTreeSet,
    future::poll_fn,
    io,
    net::SocketAddr,
    task::Poll,
    time::{Duration, Instant},
};

use ::msrp::{Command, Connection, Event, Limits, SessionId, SessionParameters};
use bytes::BytesMut;
use mapping::{ConnectionId, NotConnected};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
};

pub(crate) use self::opening::{Opening, Target};
use super::{
    BUFFER, Outlet,
    duplex::{Duplex, write_some},
    earlier, pause_after, read_some, sleep_until,
};
use crate::{
    admission::{Admission, Seat},
    config::ConnectionLimits,
    lookup::Lookup,
    seeds::{Purpose, Seeds},
    tls::Tls,
};

/// Commands that may wait for one connection; one more, and it is closed.
const COMMANDS: usize = 1024;
/// How long the last octets of a connection may take to leave.
const FLUSH: Duration = Duration::from_secs(2);

/// What the mapping task hears of connections, in this order for each.
pub(crate) enum Notice {
    /// A connection stands.
    Opened(ConnectionId, ConnectionHandle),
    /// Something happened on it.
    Event(ConnectionId, Event),
    /// One that the core wants cannot be had.
    NotConnected(ConnectionId, NotConnected),
    /// Its task has ended, whatever the cause.
    Gone(ConnectionId),
}

/// The mapping task's end of a connection.
pub(crate) struct ConnectionHandle {
    pub(crate) commands: mpsc::Sender<Command>,
    cut: Option<oneshot::Sender<()>>,
}

impl ConnectionHandle {
    /// A handle, and what resolves with a value when the connection is cut.
    pub(crate) fn new(commands: mpsc::Sender<Command>) -> (Self, oneshot::Receiver<()>) {
        let (cut_in, cut) = oneshot::channel();
        let handle = Self {
            commands,
            cut: Some(cut_in),
        };
        (handle, cut)
    }

    /// Ends the connection at once, without what is queued; `false` when that was done before.
    pub(crate) fn cut(&mut self) -> bool {
        self.cut.take().is_some_and(|cut| cut.send(()).is_ok())
    }
}

/// Accepts MSRP connections, and opens those that the core asks for.
pub(crate) struct MsrpListener {
    pub(crate) listeners: Vec<Listening>,
    /// For the connections that we open.
    pub(crate) tls: Option<Tls>,
    pub(crate) limits: Limits,
    pub(crate) connections: ConnectionLimits,
    pub(crate) seeds: Seeds,
    pub(crate) notices: mpsc::Sender<Notice>,
    pub(crate) openings: mpsc::Receiver<Opening>,
    pub(crate) lookup: Lookup,
    /// Resolves, or its sender is dropped, when no more connections are to be accepted.
    pub(crate) stop: oneshot::Receiver<()>,
}

/// One address that is listened on; with `tls` a connection begins with a handshake.
pub(crate) struct Listening {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Tls>,
}

impl MsrpListener {
    /// Accepts and opens until told to stop, then waits for the connections to end. Dropping the future ends them at once.
    pub(crate) async fn run(mut self) {
        let admission = Admission::new(self.connections.msrp, self.connections.per_address);
        // All users of one conference server share its address.
        let opened = Admission::new(self.connections.msrp, self.connections.msrp);
        let maker = Maker {
            limits: self.limits,
            connections: self.connections,
            seeds: self.seeds,
            notices: self.notices,
            tls: self.tls,
        };
        let mut tasks = JoinSet::new();
        // Even numbers are the core's.
        let mut next = 1;
        loop {
            tokio::select! {
                (accepted, tls) = accept(&self.listeners, next) => match accepted {
                    Ok((stream, peer)) => match admission.admit(peer.ip()) {
                        Ok(seat) => {
                            let id = ConnectionId(next);
                            next += 2;
                            tasks.spawn(maker.clone().accepted(id, (stream, peer), tls.cloned(), seat));
                        }
                        Err(why) => tracing::warn!(%peer, %why, "MSRP connection not admitted"),
                    },
                    Err(error) => pause_after("MSRP connection not accepted", &error).await,
                },
                Some(opening) = self.openings.recv() => {
                    tasks.spawn(maker.clone().opened(opening, self.lookup.clone(), opened.clone()));
                }
                Some(_) = tasks.join_next() => {}
                _ = &mut self.stop => break,
            }
        }
        drop(maker);
        while tasks.join_next().await.is_some() {}
    }
}

/// The next connection to any of the addresses, which take turns in being asked first. May be cancelled.
async fn accept(listeners: &[Listening], turn: u64) -> (io::Result<(TcpStream, SocketAddr)>, Option<&Tls>) {
    let first = usize::try_from(turn / 2 % listeners.len().max(1) as u64).unwrap_or_default();
    // The rest of a division by their number is no more than it.
    let (later, sooner) = listeners.split_at(first);
    poll_fn(|context| {
        for Listening { listener, tls } in sooner.iter().chain(later) {
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                return Poll::Ready((accepted, tls.as_ref()));
            }
        }
        Poll::Pending
    })
    .await
}

/// What every connection's task needs.
#[derive(Clone)]
struct Maker {
    limits: Limits,
    connections: ConnectionLimits,
    seeds: Seeds,
    notices: mpsc::Sender<Notice>,
    tls: Option<Tls>,
}

/// A connection that stands, its handshake done.
struct Standing {
    id: ConnectionId,
    stream: Duplex,
    peer: SocketAddr,
    secured: bool,
}

impl Maker {
    /// A connection that a peer has opened.
    async fn accepted(
        self,
        id: ConnectionId,
        (stream, peer): (TcpStream, SocketAddr),
        tls: Option<Tls>,
        _seat: Seat,
    ) {
        let secured = tls.is_some();
        let stream = match tls {
            None => stream.into(),
            Some(tls) => match self.handshake(&tls, stream).await {
                Ok(stream) => stream,
                Err(cause) => return tracing::info!(%peer, %cause, "MSRP connection: TLS handshake failed"),
            },
        };
        tracing::debug!(connection = id.0, %peer, secured, "MSRP connection");
        let (commands_in, commands) = mpsc::channel(COMMANDS);
        let (handle, cut) = ConnectionHandle::new(commands_in);
        let standing = Standing {
            id,
            stream,
            peer,
            secured,
        };
        if self.notices.send(Notice::Opened(id, handle)).await.is_ok() {
            self.run(standing, commands, cut).await;
        }
    }

    async fn handshake(&self, tls: &Tls, stream: TcpStream) -> io::Result<Duplex> {
        tokio::select! {
            secured = tls.accept_msrp(stream, self.connections.tls_handshake) => secured.map(Duplex::from),
            () = self.notices.closed() => Err(io::Error::other("the gateway has stopped")),
        }
    }

    /// A connection that the core wants. Whatever becomes of it, the mapping task hears of its end.
    async fn opened(self, opening: Opening, lookup: Lookup, admission: Admission) {
        let Opening {
            id,
            target,
            commands,
            mut cut,
        } = opening;
        let unreachable = |why| (NotConnected::Unreachable, why);
        let secured = target.proof.is_some();
        let connected = tokio::select! {
            connected = opening::connect(&target, self.tls.as_ref(), &lookup, self.connections.connect) => connected,
            _ = &mut cut => Err(unreachable("given up".to_owned())),
        };
        let admitted = connected.and_then(|(stream, peer)| {
            let seat = admission.admit(peer.ip());
            let seat = seat.map_err(|why| unreachable(why.to_string()))?;
            Ok((stream, peer, seat))
        });
        match admitted {
            Ok((stream, peer, _seat)) => {
                tracing::debug!(connection = id.0, %peer, secured, "MSRP connection opened");
                let standing = Standing {
                    id,
                    stream,
                    peer,
                    secured,
                };
                self.run(standing, commands, cut).await;
            }
            Err((why, words)) => {
                let host = target.peer.name;
                tracing::info!(connection = id.0, host, ?why, words, "MSRP connection not opened");
                let _core_stopped = self.notices.send(Notice::NotConnected(id, why)).await;
            }
        }
    }

    /// Runs a connection's task apart, so that a fault in it ends that connection alone and is always told.
    async fn run(self, standing: Standing, commands: mpsc::Receiver<Command>, cut: oneshot::Receiver<()>) {
        let id = standing.id;
        let task = self.task(standing);
        // A set, not a bare task, so that dropping this future ends the connection, too.
        let mut run = JoinSet::new();
        run.spawn(task.run(commands, cut));
        if let Some(Err(fault)) = run.join_next().await
            && fault.is_panic()
        {
            tracing::error!(connection = id.0, "MSRP connection ended by a fault of ours");
        }
        let _core_stopped = self.notices.send(Notice::Gone(id)).await;
    }

    fn task(&self, standing: Standing) -> ConnectionTask {
        let Standing {
            id,
            stream,
            peer,
            secured,
        } = standing;
        let machine = Connection::new(self.limits.clone(), self.seeds.seed(Purpose::Connection(id.0)));
        ConnectionTask {
            id,
            peer,
            machine: if secured { machine.secured() } else { machine },
            stream,
            kept: false,
            outlet: Outlet::new(self.notices.clone()),
            limits: self.connections.clone(),
            outbox: BytesMut::new(),
            sessions: BTreeSet::new(),
            unbound_since: Some(Instant::now()),
            stalled_since: None,
            closing: None,
        }
    }
}

/// One connection.
struct ConnectionTask {
    id: ConnectionId,
    peer: SocketAddr,
    machine: Connection,
    stream: Duplex,
    /// Whether the stream keeps octets that are to be sent.
    kept: bool,
    outlet: Outlet<Notice>,
    limits: ConnectionLimits,
    outbox: BytesMut,
    /// Sessions bound here: a connection without any does not stay.
    sessions: BTreeSet<SessionId>,
    unbound_since: Option<Instant>,
    /// Since when the peer has taken nothing of what is to be written.
    stalled_since: Option<Instant>,
    /// When a connection that is to be closed is closed at the latest.
    closing: Option<Instant>,
}

impl ConnectionTask {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>, mut cut: oneshot::Receiver<()>) {
        let mut commanded = true;
        let mut uncut = true;
        loop {
            self.advance();
            if self.closing.is_some() && !self.has_unsent() {
                break;
            }
            let reading = self.closing.is_none() && self.outlet.is_free();
            let due = self.due();
            tokio::select! {
                read = read_some(&mut self.stream.reader, |octets| self.machine.handle_bytes(octets, Instant::now())),
                    if reading => self.handle_read(read),
                command = commands.recv(), if commanded => match command {
                    Some(command) => self.handle_command(command),
                    // The core has let go of the connection.
                    None => {
                        commanded = false;
                        self.machine.handle_command(Command::Close, Instant::now());
                    }
                },
                written = write_some(&mut self.stream.writer, &mut self.outbox), if self.has_unsent() => {
                    self.handle_written(written);
                }
                () = self.outlet.release() => {}
                cut = &mut cut, if uncut => {
                    uncut = false;
                    if cut.is_ok() {
                        self.abandon();
                    }
                }
                () = sleep_until(due) => self.handle_due(),
            }
        }
        self.finish().await;
    }

    /// Takes from the machine what it has to say and to send, as far as there is room.
    fn advance(&mut self) {
        while self.outlet.is_free() {
            let Some(event) = self.machine.poll_event() else {
                break;
            };
            self.note(&event);
            self.outlet.put(Notice::Event(self.id, event));
        }
        // One write per turn: the buffer is filled again when the last one has left, and an idle connection holds none.
        if !self.has_unsent() {
            self.outbox = BytesMut::new();
            let now = Instant::now();
            loop {
                let budget = BUFFER.saturating_sub(self.outbox.len());
                if budget == 0 || !self.machine.poll_transmit(&mut self.outbox, budget, now) {
                    break;
                }
            }
            self.stalled_since = (!self.outbox.is_empty()).then_some(now);
        }
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Lost { session, cause } => {
                tracing::debug!(connection = self.id.0, ?cause, "MSRP session lost");
                self.release(session);
            }
            Event::Faulted(_) => {
                tracing::debug!(connection = self.id.0, peer = %self.peer, "malformed frame");
                self.close_soon();
            }
            Event::Closed => self.close_soon(),
            Event::BindRequested { .. }
            | Event::Opened { .. }
            | Event::Received { .. }
            | Event::NicknameRequested { .. }
            | Event::NicknameAnswered { .. }
            | Event::Delivered { .. }
            | Event::Failed { .. }
            | Event::Congested { .. }
            | Event::Eased { .. }
            | Event::Authorized { .. }
            | Event::Unauthorized { .. }
            | Event::Reported { .. } => {}
        }
    }

    fn handle_read(&mut self, read: io::Result<bool>) {
        match read {
            Ok(true) => {}
            Ok(false) => self.abandon(),
            Err(error) => {
                tracing::debug!(connection = self.id.0, %error, "MSRP connection broke");
                self.abandon();
            }
        }
    }

    fn handle_command(&mut self, command: Command) {
        match &command {
            Command::Bind(parameters) | Command::Open(parameters) => self.occupy(parameters),
            Command::Unbind(session) => self.release(&session.clone()),
            Command::RefuseBind { .. }
            | Command::Send { .. }
            | Command::Interject { .. }
            | Command::Abort { .. }
            | Command::Authorize(_)
            | Command::Report { .. }
            | Command::Nickname { .. }
            | Command::Answer { .. }
            | Command::Close => {}
        }
        self.machine.handle_command(command, Instant::now());
    }

    fn has_unsent(&self) -> bool {
        self.kept || !self.outbox.is_empty()
    }

    fn handle_written(&mut self, written: io::Result<bool>) {
        match written {
            Ok(nothing_kept) => {
                self.kept = !nothing_kept;
                self.stalled_since = Some(Instant::now());
            }
            Err(error) => {
                tracing::debug!(connection = self.id.0, %error, "MSRP connection broke");
                self.abandon();
            }
        }
    }

    /// The next deadline, the machine's or one of ours.
    fn due(&self) -> Option<Instant> {
        let own = [
            self.closing,
            self.unbound_since.map(|since| since + self.limits.msrp_unbound),
            self.stalled_since.map(|since| since + self.limits.write_stall),
        ];
        own.into_iter().fold(self.machine.poll_timeout(), earlier)
    }

    fn handle_due(&mut self) {
        let now = Instant::now();
        let over = |since: Option<Instant>, limit| since.is_some_and(|since| now >= since + limit);
        if self.closing.is_some_and(|at| now >= at) {
            self.forget_unsent();
        } else if over(self.unbound_since, self.limits.msrp_unbound) {
            tracing::info!(connection = self.id.0, peer = %self.peer, "MSRP connection closed: no session in time");
            self.abandon();
        } else if over(self.stalled_since, self.limits.write_stall) {
            tracing::info!(connection = self.id.0, peer = %self.peer, "MSRP connection closed: the peer does not read");
            self.abandon();
        } else {
            self.machine.handle_timeout(now);
        }
    }

    fn occupy(&mut self, parameters: &SessionParameters) {
        if let Some(session) = parameters.local.last().session() {
            self.sessions.insert(session.clone());
            self.unbound_since = None;
        }
    }

    fn release(&mut self, session: &SessionId) {
        if self.sessions.remove(session) && self.sessions.is_empty() {
            self.unbound_since = Some(Instant::now());
        }
    }

    /// The transport is of no more use.
    fn abandon(&mut self) {
        if self.closing.is_none() {
            self.machine.handle_closed(Instant::now());
            self.close_soon();
        }
        self.forget_unsent();
    }

    fn forget_unsent(&mut self) {
        self.outbox.clear();
        self.kept = false;
    }

    fn close_soon(&mut self) {
        self.unbound_since = None;
        self.closing.get_or_insert_with(|| Instant::now() + FLUSH);
    }

    /// Hands over the last events; the mapping task never waits for this one, so this ends.
    async fn finish(mut self) {
        loop {
            if !self.outlet.is_free() {
                self.outlet.release().await;
            } else if let Some(event) = self.machine.poll_event() {
                self.outlet.put(Notice::Event(self.id, event));
            } else {
                break;
            }
        }
        // TLS says goodbye; a peer that does not take it is left without.
        let _goodbye = tokio::time::timeout(FLUSH, self.stream.writer.shutdown()).await;
        tracing::debug!(connection = self.id.0, "MSRP connection ended");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::{config::Host, lookup::LookupConfig};

    struct Shell {
        openings: mpsc::Sender<Opening>,
        notices: mpsc::Receiver<Notice>,
        _stop: oneshot::Sender<()>,
    }

    async fn shell(connections: ConnectionLimits) -> Shell {
        let (openings, openings_out) = mpsc::channel(4);
        let (notices_in, notices) = mpsc::channel(16);
        let (stop_in, stop) = oneshot::channel();
        let lookup = LookupConfig {
            servers: Vec::new(),
            deadline: Duration::from_secs(1),
            stale: Duration::ZERO,
        };
        let listener = MsrpListener {
            listeners: Vec::new(),
            tls: None,
            limits: Limits::default(),
            connections,
            seeds: Seeds::from_system().unwrap(),
            notices: notices_in,
            openings: openings_out,
            lookup: Lookup::new(&lookup, [3; 32]),
            stop,
        };
        tokio::spawn(listener.run());
        Shell {
            openings,
            notices,
            _stop: stop_in,
        }
    }

    fn opening(peer: SocketAddr) -> (Opening, ConnectionHandle) {
        let target = Target {
            peer: Host {
                name: peer.ip().to_string(),
                port: peer.port(),
            },
            proof: None,
        };
        Opening::new(ConnectionId(2), target)
    }

    #[tokio::test]
    async fn a_connection_that_the_core_wants_is_opened_and_carries_what_waited_for_it() {
        let mut shell = shell(ConnectionLimits::default()).await;
        let switch = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (opening, handle) = opening(switch.local_addr().unwrap());
        let path = |text: &str| text.parse::<::msrp::Path>().unwrap();
        let parameters = SessionParameters {
            local: path("msrp://127.0.0.1:2855/ours;tcp"),
            remote: path("msrp://127.0.0.1:2856/theirs;tcp"),
        };
        handle.commands.send(Command::Open(parameters)).await.unwrap();
        shell.openings.send(opening).await.unwrap();
        let (mut stream, _) = switch.accept().await.unwrap();
        let mut first = [0; 5];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"MSRP ");
        drop(stream);
        loop {
            match shell.notices.recv().await.unwrap() {
                Notice::Gone(id) => break assert_eq!(id, ConnectionId(2)),
                Notice::Event(id, _) => assert_eq!(id, ConnectionId(2)),
                Notice::Opened(..) => panic!("it was announced by the core itself"),
                Notice::NotConnected(..) => panic!("it stood"),
            }
        }
    }

    #[tokio::test]
    async fn a_connection_that_cannot_be_opened_is_told_with_its_cause() {
        let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = unused.local_addr().unwrap();
        drop(unused);
        let mut refused = shell(ConnectionLimits::default()).await;
        let (opening, _handle) = opening(nobody);
        refused.openings.send(opening).await.unwrap();
        assert!(matches!(
            refused.notices.recv().await,
            Some(Notice::NotConnected(ConnectionId(2), NotConnected::Unreachable))
        ));
    }

    // Rows: C4975-39
    #[tokio::test]
    async fn connections_that_are_opened_have_a_limit_in_all() {
        let connections = ConnectionLimits {
            msrp: 1,
            ..ConnectionLimits::default()
        };
        let mut shell = shell(connections).await;
        let switch = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (first, _first) = opening(switch.local_addr().unwrap());
        shell.openings.send(first).await.unwrap();
        let _stream = switch.accept().await.unwrap();
        let (second, _second) = opening(switch.local_addr().unwrap());
        shell.openings.send(second).await.unwrap();
        assert!(matches!(
            shell.notices.recv().await,
            Some(Notice::NotConnected(..))
        ));
    }
}
