//! One SIP stream: reading by its framing, writing from a queue bounded in octets.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use ::sip::{
    Flow, FlowId, Limits, TransmitId,
    message::{StreamDecoder, StreamItem},
};
use bytes::{Bytes, BytesMut};
use tokio::{
    io::AsyncWriteExt,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, oneshot},
    time::timeout_at,
};

use super::{
    super::{BUFFER, read_now},
    Notice,
};
use crate::config::ConnectionLimits;

/// A message for a stream; `id` names it to the endpoint.
pub(super) struct Outgoing {
    pub(super) id: Option<TransmitId>,
    pub(super) bytes: Bytes,
}

/// The SIP task's end of a stream. Dropping it ends the stream at once.
pub(super) struct FlowHandle {
    pub(super) peer: SocketAddr,
    queue: mpsc::UnboundedSender<Outgoing>,
    queued: Arc<AtomicUsize>,
    cut: oneshot::Sender<()>,
}

impl FlowHandle {
    /// Queues a message unless more than `limit` octets would then wait, or the stream has ended; then gives it back.
    pub(super) fn push(&self, message: Outgoing, limit: usize) -> Result<(), Outgoing> {
        let octets = message.bytes.len();
        if self.queued.load(Ordering::Relaxed) + octets > limit {
            return Err(message);
        }
        self.queued.fetch_add(octets, Ordering::Relaxed);
        self.queue.send(message).map_err(|refused| refused.0)
    }

    /// Whether the stream takes messages.
    pub(super) fn is_open(&self) -> bool {
        !self.queue.is_closed()
    }

    /// No more messages: the stream ends when it has sent what is queued, or when what this gives is dropped.
    pub(super) fn close(self) -> oneshot::Sender<()> {
        self.cut
    }
}

/// Who opened a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opener {
    Peer,
    Gateway,
}

/// The task's end.
pub(super) struct FlowTask {
    reader: Reader,
    writer: Writer,
    cut: oneshot::Receiver<()>,
    notices: mpsc::Sender<Notice>,
}

/// Both ends of a stream.
pub(super) fn prepare(
    stream: TcpStream,
    flow: Flow,
    opener: Opener,
    limits: &Limits,
    connections: &ConnectionLimits,
    notices: mpsc::Sender<Notice>,
) -> (FlowHandle, FlowTask) {
    let (half_in, half_out) = stream.into_split();
    let (queue_in, queue) = mpsc::unbounded_channel();
    let (cut_in, cut) = oneshot::channel();
    let queued = Arc::new(AtomicUsize::new(0));
    let handle = FlowHandle {
        peer: flow.peer,
        queue: queue_in,
        queued: Arc::clone(&queued),
        cut: cut_in,
    };
    let reader = Reader {
        flow,
        half: half_in,
        decoder: StreamDecoder::new(limits.clone()),
        notices: notices.clone(),
        deadlines: Deadlines::new(opener, connections, Instant::now()),
    };
    let writer = Writer {
        half: half_out,
        queue,
        queued,
        unsent: Vec::new(),
        stall: connections.write_stall,
    };
    let task = FlowTask {
        reader,
        writer,
        cut,
        notices,
    };
    (handle, task)
}

impl FlowTask {
    /// Reads and writes until either ends, then tells what was not sent.
    pub(super) async fn run(mut self, id: FlowId) {
        let peer = self.reader.flow.peer;
        let why = tokio::select! {
            why = self.reader.run() => why,
            why = self.writer.run() => why,
            _ = self.cut => "closed here",
        };
        tracing::debug!(flow = id.0, %peer, why, "SIP stream ended");
        let unsent = self.writer.into_unsent();
        let _task_gone = self.notices.send(Notice::Ended(id, unsent)).await;
    }
}

/// The reading half: waits for the SIP task, never for the writing half.
struct Reader {
    flow: Flow,
    half: OwnedReadHalf,
    decoder: StreamDecoder,
    notices: mpsc::Sender<Notice>,
    deadlines: Deadlines,
}

impl Reader {
    async fn run(&mut self) -> &'static str {
        loop {
            let (due, overdue) = self.deadlines.due();
            let Ok(ready) = timeout_at(due.into(), self.half.readable()).await else {
                tracing::info!(peer = %self.flow.peer, "SIP stream closed: {overdue}");
                return overdue;
            };
            match ready.and_then(|()| read_now(&self.half, |octets| self.decoder.feed(octets))) {
                Ok(true) => {}
                Ok(false) => return "closed by the peer",
                Err(_) => return "broken",
            }
            let mut whole = false;
            while let Some(item) = self.decoder.poll() {
                whole = true;
                if let Err(why) = self.pass_on(item).await {
                    return why;
                }
            }
            self.deadlines
                .note_read(whole, self.decoder.is_within_message(), Instant::now());
        }
    }

    async fn pass_on(&mut self, item: StreamItem) -> Result<(), &'static str> {
        let notice = match item {
            StreamItem::Message(bytes) => Notice::Message(self.flow, bytes),
            StreamItem::TooLarge(head) => Notice::TooLarge(self.flow, head),
            StreamItem::KeepAlive => match self.flow.id {
                Some(id) => Notice::KeepAlive(id),
                None => return Ok(()),
            },
            StreamItem::Lost(rule) => {
                tracing::info!(peer = %self.flow.peer, rule, "SIP stream closed: framing lost");
                return Err("framing lost");
            }
        };
        self.notices
            .send(notice)
            .await
            .map_err(|_| "the SIP task has stopped")
    }
}

/// When a stream has said too little for too long.
struct Deadlines {
    first: Duration,
    message: Duration,
    idle: Duration,
    opened: Instant,
    /// The last complete message or keep-alive.
    whole: Option<Instant>,
    /// The first octets after it, of a message that is not complete.
    begun: Option<Instant>,
}

impl Deadlines {
    fn new(opener: Opener, limits: &ConnectionLimits, now: Instant) -> Self {
        Self {
            first: limits.sip_first,
            message: limits.sip_message,
            idle: limits.sip_idle,
            opened: now,
            // A peer that we connected to need not say anything at first.
            whole: (opener == Opener::Gateway).then_some(now),
            begun: None,
        }
    }

    /// Octets came: `whole` when they completed something, `within` when a message is left unfinished behind it.
    fn note_read(&mut self, whole: bool, within: bool, now: Instant) {
        if whole {
            self.whole = Some(now);
            self.begun = None;
        }
        if within {
            self.begun.get_or_insert(now);
        }
    }

    /// The nearest deadline and what its passing means.
    fn due(&self) -> (Instant, &'static str) {
        match (self.begun, self.whole) {
            (Some(begun), _) => (begun + self.message, "a message took too long"),
            (None, Some(whole)) => (whole + self.idle, "idle"),
            (None, None) => (self.opened + self.first, "nothing sent at first"),
        }
    }
}

/// The writing half: waits for its socket alone.
struct Writer {
    half: OwnedWriteHalf,
    queue: mpsc::UnboundedReceiver<Outgoing>,
    queued: Arc<AtomicUsize>,
    /// What is being written.
    unsent: Vec<TransmitId>,
    stall: Duration,
}

impl Writer {
    async fn run(&mut self) -> &'static str {
        while let Some(first) = self.queue.recv().await {
            let mut buffer = BytesMut::new();
            self.gather(first, &mut buffer);
            let octets = buffer.len();
            while !buffer.is_empty() {
                match self.write_some(&mut buffer).await {
                    Ok(()) => {}
                    Err(why) => return why,
                }
            }
            self.queued.fetch_sub(octets, Ordering::Relaxed);
            self.unsent.clear();
        }
        "nothing left to send"
    }

    /// What waits goes out with one write.
    fn gather(&mut self, first: Outgoing, buffer: &mut BytesMut) {
        let mut next = Some(first);
        while let Some(message) = next {
            self.unsent.extend(message.id);
            buffer.extend_from_slice(&message.bytes);
            next = if buffer.len() < BUFFER {
                self.queue.try_recv().ok()
            } else {
                None
            };
        }
    }

    async fn write_some(&mut self, buffer: &mut BytesMut) -> Result<(), &'static str> {
        match tokio::time::timeout(self.stall, self.half.write_buf(buffer)).await {
            Ok(Ok(0)) => Err("broken"),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Ok(Err(_)) => Err("broken"),
            Err(_) => Err("the peer does not read"),
        }
    }

    fn into_unsent(mut self) -> Vec<TransmitId> {
        self.queue.close();
        let mut unsent = self.unsent;
        while let Ok(message) = self.queue.try_recv() {
            unsent.extend(message.id);
        }
        unsent
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;

    /// A stream, our end prepared, the peer's end open.
    async fn stream(notices: mpsc::Sender<Notice>) -> (FlowHandle, FlowTask, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, address) = listener.accept().await.unwrap();
        let flow = Flow {
            transport: ::sip::Transport::Tcp,
            peer: address,
            id: Some(FlowId(1)),
        };
        let (limits, connections) = (Limits::default(), ConnectionLimits::default());
        let (handle, task) = prepare(stream, flow, Opener::Peer, &limits, &connections, notices);
        (handle, task, peer)
    }

    fn message(id: u64, octets: usize) -> Outgoing {
        Outgoing {
            id: Some(TransmitId(id)),
            bytes: Bytes::from(vec![b'x'; octets]),
        }
    }

    #[tokio::test]
    async fn the_queue_takes_its_limit_and_no_octet_more_until_something_is_written() {
        let (notices_in, _notices) = mpsc::channel(8);
        let (handle, task, mut peer) = stream(notices_in).await;
        assert!(handle.push(message(1, 99), 100).is_ok());
        assert!(handle.push(message(2, 2), 100).is_err());
        assert!(handle.push(message(3, 1), 100).is_ok());
        assert!(handle.push(message(4, 1), 100).is_err());
        let running = tokio::spawn(task.run(FlowId(1)));
        let mut read = vec![0; 100];
        peer.read_exact(&mut read).await.unwrap();
        while handle.push(message(5, 100), 100).is_err() {
            tokio::task::yield_now().await;
        }
        peer.read_exact(&mut read).await.unwrap();
        drop(handle);
        running.await.unwrap();
    }

    #[tokio::test]
    async fn a_stream_that_is_cut_tells_what_it_has_not_sent() {
        let (notices_in, mut notices) = mpsc::channel(8);
        let (handle, task, mut peer) = stream(notices_in).await;
        assert!(handle.push(message(7, 10), 1000).is_ok());
        assert!(handle.push(message(8, 10), 1000).is_ok());
        drop(handle);
        task.run(FlowId(1)).await;
        let Some(Notice::Ended(FlowId(1), unsent)) = notices.recv().await else {
            panic!("no end told");
        };
        // The cut may come before or after the write, but each message is either written or told.
        let mut written = Vec::new();
        peer.read_to_end(&mut written).await.unwrap();
        assert_eq!(written.len() + 10 * unsent.len(), 20);
    }

    #[tokio::test]
    async fn a_stream_closed_by_its_peer_takes_no_more_messages() {
        let (notices_in, mut notices) = mpsc::channel(8);
        let (handle, task, peer) = stream(notices_in).await;
        assert!(handle.is_open());
        drop(peer);
        task.run(FlowId(1)).await;
        assert!(matches!(notices.recv().await, Some(Notice::Ended(FlowId(1), _))));
        assert!(!handle.is_open());
    }

    #[test]
    fn the_deadline_is_of_the_first_octets_then_of_an_unfinished_message_then_of_silence() {
        let limits = ConnectionLimits::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::new(Opener::Peer, &limits, start);
        assert_eq!(deadlines.due().0, start + limits.sip_first);
        // A part of a message: its deadline stays where the first part put it.
        deadlines.note_read(false, true, at(1));
        deadlines.note_read(false, true, at(9));
        assert_eq!(deadlines.due().0, at(1) + limits.sip_message);
        // The end of it.
        deadlines.note_read(true, false, at(10));
        assert_eq!(deadlines.due().0, at(10) + limits.sip_idle);
        // A whole message and a part of the next.
        deadlines.note_read(true, true, at(20));
        assert_eq!(deadlines.due().0, at(20) + limits.sip_message);
        // Who was called need not speak first.
        let called = Deadlines::new(Opener::Gateway, &limits, start);
        assert_eq!(called.due().0, start + limits.sip_idle);
    }
}
