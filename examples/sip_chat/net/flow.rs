//! One SIP connection over TCP.

use std::net::SocketAddr;

use bytes::Bytes;
use sip::{
    Flow, FlowId, Limits, TransmitId, Transport,
    message::{StreamDecoder, StreamItem},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

use super::{CONNECT, Input, WRITE};

/// Messages that may wait for a slow peer; a further one counts as not sent.
const QUEUE: usize = 64;
/// The answer to a keep-alive (RFC 5626 §4.4.1).
const PONG: &[u8] = b"\r\n";

/// A connection as the shell holds it; dropping it sends what is queued and closes.
pub(super) struct Handle {
    pub(super) peer: SocketAddr,
    queue: mpsc::Sender<Outgoing>,
}

impl Handle {
    /// Whether a message given to it may still leave.
    pub(super) fn is_open(&self) -> bool {
        !self.queue.is_closed()
    }

    /// Queues a message; `false` if there is no room. One that cannot be sent later is reported as failed.
    pub(super) fn send(&self, id: TransmitId, bytes: Bytes) -> bool {
        self.queue.try_send(Outgoing { id: Some(id), bytes }).is_ok()
    }
}

struct Outgoing {
    /// `None` for a keep-alive's answer, of which nobody wants to know.
    id: Option<TransmitId>,
    bytes: Bytes,
}

/// Serves an accepted connection, or opens one.
pub(super) fn open(
    id: FlowId,
    peer: SocketAddr,
    stream: Option<TcpStream>,
    inputs: mpsc::Sender<Input>,
    tasks: &mut JoinSet<()>,
) -> Handle {
    let (queue, mut waiting) = mpsc::channel(QUEUE);
    let pongs = queue.downgrade();
    tasks.spawn(async move {
        let stream = match stream {
            Some(stream) => Some(stream),
            None => timeout(CONNECT, TcpStream::connect(peer))
                .await
                .ok()
                .and_then(Result::ok),
        };
        if let Some(stream) = stream {
            // Without it a connection still works, only slower.
            let _ = stream.set_nodelay(true);
            let (reader, writer) = stream.into_split();
            let flow = Flow {
                transport: Transport::Tcp,
                peer,
                id: Some(id),
            };
            tokio::select! {
                () = receive(reader, flow, &pongs, &inputs) => {}
                () = transmit(writer, &mut waiting, &inputs) => {}
            }
        }
        waiting.close();
        while let Some(outgoing) = waiting.recv().await {
            fail(&outgoing, &inputs).await;
        }
        // A closed queue means that the stay is over; here and below.
        let _ = inputs.send(Input::FlowClosed(id)).await;
    });
    Handle { peer, queue }
}

/// Reads until the end of the stream, or until it can no longer be cut into messages.
async fn receive(
    mut reader: OwnedReadHalf,
    flow: Flow,
    pongs: &mpsc::WeakSender<Outgoing>,
    inputs: &mpsc::Sender<Input>,
) {
    let mut decoder = StreamDecoder::new(Limits::default());
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = reader.read(&mut buffer).await {
        decoder.feed(buffer.get(..length).unwrap_or_default());
        while let Some(item) = decoder.poll() {
            let input = match item {
                StreamItem::Message(bytes) => Input::Sip { flow, bytes },
                StreamItem::TooLarge(head) => Input::SipTooLarge { flow, head },
                StreamItem::KeepAlive => {
                    if let Some(queue) = pongs.upgrade() {
                        // Behind a full queue something else tells the peer that we live.
                        let _ = queue.try_send(Outgoing {
                            id: None,
                            bytes: Bytes::from_static(PONG),
                        });
                    }
                    continue;
                }
                StreamItem::Lost(_) => return,
            };
            if inputs.send(input).await.is_err() {
                return;
            }
        }
    }
}

/// Writes until the queue ends or the peer no longer takes anything.
async fn transmit(
    mut writer: OwnedWriteHalf,
    waiting: &mut mpsc::Receiver<Outgoing>,
    inputs: &mpsc::Sender<Input>,
) {
    while let Some(outgoing) = waiting.recv().await {
        if !matches!(
            timeout(WRITE, writer.write_all(&outgoing.bytes)).await,
            Ok(Ok(()))
        ) {
            fail(&outgoing, inputs).await;
            return;
        }
    }
}

async fn fail(outgoing: &Outgoing, inputs: &mpsc::Sender<Input>) {
    if let Some(id) = outgoing.id {
        let _ = inputs.send(Input::TransmitFailed(id)).await;
    }
}
