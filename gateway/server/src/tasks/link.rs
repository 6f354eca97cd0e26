//! The link task: the only owner of the component link and of its connection to the XMPP server.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    task::Poll,
    time::{Duration, Instant},
};

use ::mapping::LinkId;
use ::xmpp::{Action, Command, Event, Link};
use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use super::{BUFFER, Outlet, send_without_delay, sleep_until};
use crate::{config::Host, lookup::Lookup, tls::ComponentTls};

/// How long the last octets of the stream may take to leave.
const FLUSH: Duration = Duration::from_secs(1);

type Connecting = Pin<Box<dyn Future<Output = Result<Stream, String>> + Send>>;
/// A connection to the server, secured or not.
type Stream = Box<dyn Socket>;

/// The link task before it runs.
pub(crate) struct LinkTask {
    pub(crate) id: LinkId,
    pub(crate) link: Link,
    /// Tried in turn.
    pub(crate) servers: Vec<Host>,
    pub(crate) tls: Option<ComponentTls>,
    /// How long an attempt may take in all.
    pub(crate) deadline: Duration,
    pub(crate) lookup: Lookup,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: mpsc::Sender<(LinkId, Event)>,
}

impl LinkTask {
    /// Runs until the mapping task has let go of the commands and the stream is closed.
    pub(crate) async fn run(self) {
        let mut carrier = Carrier {
            id: self.id,
            link: self.link,
            servers: self.servers,
            tls: self.tls,
            deadline: self.deadline,
            attempts: 0,
            lookup: self.lookup,
            outlet: Outlet::new(self.events),
            transport: Transport::None,
            inbox: BytesMut::with_capacity(BUFFER),
            outbox: BytesMut::new(),
            stopping: false,
        };
        carrier.link.handle_timeout(Instant::now());
        carrier.run(self.commands).await;
    }
}

/// What is read from and written to, and the socket under it.
trait Socket: AsyncRead + AsyncWrite + Unpin + Send {
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// The connection to the server.
enum Transport {
    None,
    Connecting(Connecting),
    Open {
        stream: Stream,
        /// Whether TLS may hold something back.
        unflushed: bool,
    },
}

/// What the connection brought.
enum Progress {
    Connected(Result<Stream, String>),
    Read(io::Result<usize>),
    Written(io::Result<usize>),
}

/// Carries between the link and its connection.
struct Carrier {
    id: LinkId,
    link: Link,
    servers: Vec<Host>,
    tls: Option<ComponentTls>,
    deadline: Duration,
    /// Connections asked for since the link was last up.
    attempts: usize,
    lookup: Lookup,
    outlet: Outlet<(LinkId, Event)>,
    transport: Transport,
    inbox: BytesMut,
    outbox: BytesMut,
    stopping: bool,
}

impl Carrier {
    async fn run(&mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            self.advance().await;
            if self.stopping && matches!(self.transport, Transport::None) {
                return;
            }
            let reading = self.outlet.is_free();
            tokio::select! {
                command = commands.recv(), if !self.stopping => match command {
                    Some(command) => self.link.handle_command(command, Instant::now()),
                    None => {
                        self.stopping = true;
                        self.link.handle_command(Command::Shutdown, Instant::now());
                    }
                },
                progress = progress(&mut self.transport, &mut self.inbox, &mut self.outbox, reading) => {
                    self.handle_progress(progress);
                }
                () = self.outlet.release() => {}
                () = sleep_until(self.link.poll_timeout()) => self.link.handle_timeout(Instant::now()),
            }
        }
    }

    /// Takes from the link what it wants done, what it has to say and to send, as far as there is room.
    async fn advance(&mut self) {
        while let Some(action) = self.link.poll_action() {
            match action {
                Action::Connect => {
                    let connecting = connect_in_turn(
                        self.servers.clone(),
                        self.tls.clone(),
                        self.lookup.clone(),
                        self.attempts,
                        self.deadline,
                    );
                    self.attempts = self.attempts.wrapping_add(1);
                    self.transport = Transport::Connecting(Box::pin(connecting));
                }
                Action::Close => self.close().await,
            }
        }
        while self.outlet.is_free() {
            let Some(event) = self.link.poll_event() else {
                break;
            };
            if matches!(event, Event::Up) {
                self.attempts = 0;
            }
            self.outlet.put((self.id, event));
        }
        // One write per turn: the rest stays in the link, whose queue is bounded.
        if self.outbox.is_empty() {
            while self.outbox.len() < BUFFER && self.link.poll_transmit(&mut self.outbox) {}
        }
    }

    fn handle_progress(&mut self, progress: Progress) {
        let now = Instant::now();
        match progress {
            Progress::Connected(Ok(stream)) => {
                self.inbox.clear();
                self.outbox.clear();
                self.transport = Transport::Open {
                    stream,
                    unflushed: false,
                };
                self.link.handle_connected(now);
            }
            Progress::Connected(Err(cause)) => {
                self.transport = Transport::None;
                self.link.handle_connect_failed(cause, now);
            }
            Progress::Read(Ok(octets)) if octets > 0 => {
                self.link.handle_bytes(&self.inbox, now);
                self.inbox.clear();
            }
            Progress::Written(Ok(octets)) if octets > 0 => {}
            Progress::Read(_) | Progress::Written(_) => {
                self.transport = Transport::None;
                self.outbox.clear();
                self.link.handle_disconnected(now);
            }
        }
    }

    /// Writes what is left, within a moment, and closes.
    async fn close(&mut self) {
        while self.link.poll_transmit(&mut self.outbox) {}
        if let Transport::Open { stream, .. } = &mut self.transport {
            let flush = async {
                stream.write_all_buf(&mut self.outbox).await?;
                stream.shutdown().await
            };
            if !matches!(timeout(FLUSH, flush).await, Ok(Ok(()))) {
                tracing::debug!("the component stream was closed without its end");
            }
        }
        self.transport = Transport::None;
        self.outbox.clear();
    }
}

/// The next progress of the connection; pends for ever when there is none. May be cancelled.
async fn progress(
    transport: &mut Transport,
    inbox: &mut BytesMut,
    outbox: &mut BytesMut,
    reading: bool,
) -> Progress {
    match transport {
        Transport::None => std::future::pending().await,
        Transport::Connecting(connecting) => Progress::Connected(connecting.await),
        Transport::Open { stream, unflushed } => {
            if reading {
                acknowledge_at_once(stream.tcp());
            }
            poll_fn(|context| {
                if reading && let Poll::Ready(read) = pin!(stream.read_buf(inbox)).poll(context) {
                    return Poll::Ready(Progress::Read(read));
                }
                if !outbox.is_empty() {
                    *unflushed = true;
                    let written = pin!(stream.write_buf(outbox)).poll(context);
                    return written.map(Progress::Written);
                }
                if *unflushed {
                    match pin!(stream.flush()).poll(context) {
                        Poll::Ready(Ok(())) => *unflushed = false,
                        Poll::Ready(Err(error)) => return Poll::Ready(Progress::Written(Err(error))),
                        Poll::Pending => {}
                    }
                }
                Poll::Pending
            })
            .await
        }
    }
}

/// Turns delayed acknowledgements off: a server with Nagle's algorithm would pause for 40 ms after each small stanza. The kernel forgets
/// the option, hence before every read.
fn acknowledge_at_once(stream: &TcpStream) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_quickack(true) {
        tracing::trace!(%error, "TCP_QUICKACK not set");
    }
}

/// Opens a connection to an address that takes one: of all servers in their order, but the first attempt begins with the first, the
/// second with the second, and so on, for one may take connections and be no use. None keeps the others waiting for longer than its share
/// of the time.
async fn connect_in_turn(
    servers: Vec<Host>,
    tls: Option<ComponentTls>,
    lookup: Lookup,
    attempt: usize,
    deadline: Duration,
) -> Result<Stream, String> {
    let (mut addresses, mut failures) = (Vec::new(), Vec::new());
    for server in servers {
        match lookup.addresses(&server.name).await {
            Ok(found) if found.is_empty() => failures.push(format!("{} has no address", server.name)),
            Ok(found) => addresses.extend(
                found
                    .into_iter()
                    .map(|ip| (SocketAddr::new(ip, server.port), server.name.clone())),
            ),
            Err(cause) => failures.push(cause),
        }
    }
    if let Some(first) = attempt.checked_rem(addresses.len()) {
        addresses.rotate_left(first);
    }
    let share = u32::try_from(addresses.len() + 1).map_or(deadline, |shares| deadline / shares);
    for (address, host) in addresses {
        match timeout(share, open(address, &host, tls.as_ref())).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failures.push(format!("{address}: {error}")),
            Err(_) => failures.push(format!("{address}: no answer within {} ms", share.as_millis())),
        }
    }
    Err(failures.join("; "))
}

async fn open(address: SocketAddr, host: &str, tls: Option<&ComponentTls>) -> io::Result<Stream> {
    let stream = TcpStream::connect(address).await?;
    send_without_delay(&stream);
    Ok(match tls {
        Some(tls) => Box::new(tls.secure(stream, host).await?),
        None => Box::new(stream),
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![expect(
        clippy::panic,
        clippy::unwrap_used,
        reason = "tests: a failed assumption is a failed test"
    )]

    use std::time::Duration;

    use bytes::BytesMut;
    use socket2::SockRef;
    use tokio::{
        net::{TcpListener, TcpStream},
        time::timeout,
    };

    use super::{Transport, progress};

    fn socket(transport: &Transport) -> SockRef<'_> {
        let Transport::Open { stream, .. } = transport else {
            panic!("it stays open");
        };
        SockRef::from(stream.tcp())
    }

    /// Whether acknowledgements go at once after the task has waited for progress, when they did not before.
    async fn at_once(transport: &mut Transport, reading: bool) -> bool {
        // As the kernel does in the course of a conversation.
        socket(transport).set_tcp_quickack(false).unwrap();
        assert!(!socket(transport).tcp_quickack().unwrap());
        let (mut inbox, mut outbox) = (BytesMut::with_capacity(16), BytesMut::new());
        let waited = progress(transport, &mut inbox, &mut outbox, reading);
        assert!(timeout(Duration::ZERO, waited).await.is_err(), "nothing has come");
        socket(transport).tcp_quickack().unwrap()
    }

    #[tokio::test]
    async fn what_is_read_is_acknowledged_at_once_each_time_the_kernel_has_forgotten_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let _server = listener.accept().await.unwrap();
        let mut transport = Transport::Open {
            stream: Box::new(stream),
            unflushed: false,
        };
        assert!(at_once(&mut transport, true).await);
        assert!(!at_once(&mut transport, false).await, "there is no read");
        assert!(at_once(&mut transport, true).await);
    }
}
