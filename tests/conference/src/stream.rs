//! One TCP connection: a task that reads, writes and reports.

use std::{io, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{net::Input, tls::Tls};

/// Writes that may wait for a slow peer.
const QUEUE: usize = 1024;
const CONNECT: Duration = Duration::from_secs(10);
const WRITE: Duration = Duration::from_secs(10);

/// A connection as the shell holds it; dropping it sends what is queued and closes.
pub(crate) struct Stream<N> {
    queue: mpsc::Sender<(Option<N>, Bytes)>,
    cut: oneshot::Sender<()>,
}

/// How a connection's task reports.
pub(crate) struct Reports<N> {
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) connected: Option<Input>,
    pub(crate) bytes: Box<dyn Fn(Bytes) -> Input + Send + Sync>,
    pub(crate) written: Option<Box<dyn Fn() -> Input + Send + Sync>>,
    pub(crate) unsent: Option<fn(N) -> Input>,
    pub(crate) closed: Box<dyn FnOnce() -> Input + Send>,
}

impl<N> Stream<N> {
    /// Queues a write; `false` if there is no room, or the connection is over.
    pub(crate) fn send(&self, name: N, bytes: Bytes) -> bool {
        self.queue.try_send((Some(name), bytes)).is_ok()
    }

    /// Queues a write of which nobody wants to know.
    pub(crate) fn send_unnamed(&self, bytes: Bytes) {
        // Behind a full queue something else tells the peer that we live.
        let _ = self.queue.try_send((None, bytes));
    }

    /// Closes it at once.
    pub(crate) fn cut(self) {
        let _ = self.cut.send(());
    }
}

type Halves = (
    Box<dyn AsyncRead + Send + Unpin>,
    Box<dyn AsyncWrite + Send + Unpin>,
);

/// Serves an accepted connection, which may begin with a handshake, or opens one to the first address of the host that answers.
pub(crate) fn open<N: Send + 'static>(
    accepted: Option<TcpStream>,
    tls: Option<Tls>,
    to: (String, u16),
    reports: Reports<N>,
) -> Stream<N> {
    let (queue, mut waiting) = mpsc::channel(QUEUE);
    let (cut, cutting) = oneshot::channel();
    tokio::spawn(async move {
        let Reports {
            inputs,
            connected,
            bytes,
            written,
            unsent,
            closed,
        } = reports;
        let halves = timeout(CONNECT, opened(accepted, tls, to)).await;
        if let Ok(Ok((reader, writer))) = halves {
            if let Some(connected) = connected {
                let _ = inputs.send(connected).await;
            }
            tokio::select! {
                () = read(reader, &inputs, &bytes) => {}
                () = write(writer, &mut waiting, &inputs, written.as_deref(), unsent) => {}
                Ok(()) = cutting => {}
            }
        }
        waiting.close();
        while let Some((name, _)) = waiting.recv().await {
            if let (Some(unsent), Some(name)) = (unsent, name) {
                let _ = inputs.send(unsent(name)).await;
            }
        }
        let _ = inputs.send(closed()).await;
    });
    Stream { queue, cut }
}

async fn opened(accepted: Option<TcpStream>, tls: Option<Tls>, to: (String, u16)) -> io::Result<Halves> {
    let (stream, tls) = match accepted {
        Some(stream) => (stream, tls),
        None => (TcpStream::connect(to).await?, None),
    };
    // Without it a connection still works, only slower.
    let _ = stream.set_nodelay(true);
    match tls {
        Some(tls) => {
            let (reader, writer) = tokio::io::split(tls.accept(stream).await?);
            Ok((Box::new(reader), Box::new(writer)))
        }
        None => {
            let (reader, writer) = stream.into_split();
            Ok((Box::new(reader), Box::new(writer)))
        }
    }
}

async fn read(
    mut reader: impl AsyncRead + Unpin,
    inputs: &mpsc::Sender<Input>,
    input: &(dyn Fn(Bytes) -> Input + Send + Sync),
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = reader.read(&mut buffer).await {
        let bytes = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
        if inputs.send(input(bytes)).await.is_err() {
            return;
        }
    }
}

/// Writes until the queue ends or the peer no longer takes anything.
async fn write<N>(
    mut writer: impl AsyncWrite + Unpin,
    waiting: &mut mpsc::Receiver<(Option<N>, Bytes)>,
    inputs: &mpsc::Sender<Input>,
    written: Option<&(dyn Fn() -> Input + Send + Sync)>,
    unsent: Option<fn(N) -> Input>,
) {
    while let Some((name, bytes)) = waiting.recv().await {
        let taken = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        if !matches!(timeout(WRITE, taken).await, Ok(Ok(()))) {
            if let (Some(unsent), Some(name)) = (unsent, name) {
                let _ = inputs.send(unsent(name)).await;
            }
            return;
        }
        if let Some(written) = written {
            let _ = inputs.send(written()).await;
        }
    }
}
