//! One TCP connection: a task that reads, writes and reports.

use std::time::Duration;

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::net::Input;

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

/// Serves an accepted connection, or opens one to the first address of the host that answers.
pub(crate) fn open<N: Send + 'static>(
    accepted: Option<TcpStream>,
    host: String,
    port: u16,
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
        let stream = match accepted {
            Some(stream) => Some(stream),
            None => timeout(CONNECT, TcpStream::connect((host, port)))
                .await
                .ok()
                .and_then(Result::ok),
        };
        if let Some(stream) = stream {
            // Without it a connection still works, only slower.
            let _ = stream.set_nodelay(true);
            if let Some(connected) = connected {
                let _ = inputs.send(connected).await;
            }
            let (reader, writer) = stream.into_split();
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

async fn read(
    mut reader: OwnedReadHalf,
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
    mut writer: OwnedWriteHalf,
    waiting: &mut mpsc::Receiver<(Option<N>, Bytes)>,
    inputs: &mpsc::Sender<Input>,
    written: Option<&(dyn Fn() -> Input + Send + Sync)>,
    unsent: Option<fn(N) -> Input>,
) {
    while let Some((name, bytes)) = waiting.recv().await {
        if !matches!(timeout(WRITE, writer.write_all(&bytes)).await, Ok(Ok(()))) {
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
