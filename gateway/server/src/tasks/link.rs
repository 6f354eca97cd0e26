//! The link task: the only owner of the component link and of its connection to the XMPP server.

use std::{future::Future, io, net::SocketAddr, pin::Pin, time::Instant};

use ::mapping::LinkId;
use ::xmpp::{Action, Command, Event, Link};
use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::timeout,
};

use super::{BUFFER, Outlet, send_without_delay, sleep_until};
use crate::{config::Host, lookup::Lookup};

/// How long the last octets of the stream may take to leave.
const FLUSH: std::time::Duration = std::time::Duration::from_secs(1);

type Connecting = Pin<Box<dyn Future<Output = Result<TcpStream, String>> + Send>>;

/// The link task before it runs.
pub(crate) struct LinkTask {
    pub(crate) id: LinkId,
    pub(crate) link: Link,
    pub(crate) server: Host,
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
            server: self.server,
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

/// The connection to the server.
enum Transport {
    None,
    Connecting(Connecting),
    Open(OwnedReadHalf, OwnedWriteHalf),
}

/// What the connection brought.
enum Progress {
    Connected(Result<TcpStream, String>),
    Read(io::Result<usize>),
    Written(io::Result<usize>),
}

/// Carries between the link and its connection.
struct Carrier {
    id: LinkId,
    link: Link,
    server: Host,
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
                    let connecting = connect(self.server.clone(), self.lookup.clone());
                    self.transport = Transport::Connecting(Box::pin(connecting));
                }
                Action::Close => self.close().await,
            }
        }
        while self.outlet.is_free() {
            let Some(event) = self.link.poll_event() else {
                break;
            };
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
                send_without_delay(&stream);
                let (reader, writer) = stream.into_split();
                self.inbox.clear();
                self.outbox.clear();
                self.transport = Transport::Open(reader, writer);
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
        if let Transport::Open(_, writer) = &mut self.transport {
            let flush = async {
                writer.write_all_buf(&mut self.outbox).await?;
                writer.shutdown().await
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
        Transport::Open(reader, writer) => {
            let writing = !outbox.is_empty();
            tokio::select! {
                read = read_at_once(reader, inbox), if reading => Progress::Read(read),
                written = writer.write_buf(outbox), if writing => Progress::Written(written),
                else => std::future::pending().await,
            }
        }
    }
}

/// Reads with delayed acknowledgements off: a server with Nagle's algorithm would pause for 40 ms after each small stanza. The kernel
/// forgets the option, hence before every read.
async fn read_at_once(reader: &mut OwnedReadHalf, inbox: &mut BytesMut) -> io::Result<usize> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = socket2::SockRef::from(reader.as_ref()).set_tcp_quickack(true) {
        tracing::trace!(%error, "TCP_QUICKACK not set");
    }
    reader.read_buf(inbox).await
}

/// Opens a connection to the first address of the server that takes one.
pub(super) async fn connect(server: Host, lookup: Lookup) -> Result<TcpStream, String> {
    let addresses = lookup.addresses(&server.name).await?;
    let mut failures = Vec::new();
    for address in addresses {
        let address = SocketAddr::new(address, server.port);
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failures.push(format!("{address}: {error}")),
        }
    }
    if failures.is_empty() {
        failures.push(format!("{} has no address", server.name));
    }
    Err(failures.join("; "))
}
