//! One SIP stream: reading by its framing, writing from a queue bounded in octets.

use std::{
    io,
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
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, oneshot, watch},
    time::timeout_at,
};

use super::{
    super::{BUFFER, duplex::Duplex, read_some},
    Notice,
    flows::Destination,
    keep_alive::{Heard, Keeper, Rhythm},
};
use crate::config::ConnectionLimits;

/// How long the end of a stream may take to leave.
const GOODBYE: Duration = Duration::from_secs(1);

/// A message for a stream; `id` names it to the endpoint.
pub(super) struct Outgoing {
    pub(super) id: Option<TransmitId>,
    pub(super) bytes: Bytes,
}

/// The SIP task's end of a stream. Dropping it ends the stream at once.
pub(super) struct FlowHandle {
    pub(super) destination: Destination,
    queue: mpsc::UnboundedSender<Outgoing>,
    queued: Arc<AtomicUsize>,
    rhythm: Option<watch::Sender<Rhythm>>,
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

    /// Whether we ask the peer for signs of life, and not it us.
    pub(super) fn is_kept_alive(&self) -> bool {
        let pings = |rhythm: &watch::Sender<Rhythm>| !rhythm.borrow().interval.is_zero();
        self.rhythm.as_ref().is_some_and(pings)
    }

    /// The peer wants to be asked at least this often.
    pub(super) fn quicken(&self, interval: Duration) {
        if let Some(rhythm) = &self.rhythm {
            rhythm.send_modify(|rhythm| {
                if rhythm.interval.is_zero() || interval < rhythm.interval {
                    rhythm.interval = interval;
                }
            });
        }
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
    keeper: Option<Keeper>,
    cut: oneshot::Receiver<()>,
    notices: mpsc::Sender<Notice>,
}

/// What all streams have in common.
pub(super) struct Terms {
    pub(super) limits: Limits,
    pub(super) connections: ConnectionLimits,
    pub(super) rhythm: Rhythm,
    pub(super) notices: mpsc::Sender<Notice>,
}

/// Both ends of a stream.
pub(super) fn prepare(
    stream: Duplex,
    flow: Flow,
    opener: Opener,
    destination: Destination,
    terms: &Terms,
) -> (FlowHandle, FlowTask) {
    let (queue_in, queue) = mpsc::unbounded_channel();
    let (cut_in, cut) = oneshot::channel();
    let queued = Arc::new(AtomicUsize::new(0));
    let heard = Arc::new(Heard::default());
    let (rhythm_in, rhythm) = watch::channel(terms.rhythm);
    let keeper = (opener == Opener::Gateway).then(|| Keeper {
        rhythm,
        queue: queue_in.downgrade(),
        queued: Arc::clone(&queued),
        heard: Arc::clone(&heard),
        place: jitter(flow.id),
    });
    let handle = FlowHandle {
        destination,
        queue: queue_in,
        queued: Arc::clone(&queued),
        rhythm: keeper.is_some().then_some(rhythm_in),
        cut: cut_in,
    };
    let reader = Reader {
        flow,
        half: stream.reader,
        heard,
        decoder: StreamDecoder::new(terms.limits.clone()),
        notices: terms.notices.clone(),
        deadlines: Deadlines::new(opener, &terms.connections, Instant::now()),
    };
    let writer = Writer {
        half: stream.writer,
        queue,
        queued,
        unsent: Vec::new(),
        stall: terms.connections.write_stall,
    };
    let task = FlowTask {
        reader,
        writer,
        keeper,
        cut,
        notices: terms.notices.clone(),
    };
    (handle, task)
}

/// A place in the rhythm that differs from one stream to the next.
fn jitter(flow: Option<FlowId>) -> u32 {
    // Multiples of the golden ratio's fraction lie evenly wherever one stops.
    let number = flow.map_or(0, |id| id.0);
    u32::try_from(number.wrapping_mul(618) % 1000).unwrap_or_default()
}

impl FlowTask {
    /// Reads and writes until either ends, then tells what was not sent.
    pub(super) async fn run(mut self, id: FlowId) {
        let peer = self.reader.flow.peer;
        let why = tokio::select! {
            why = self.reader.run() => why,
            why = self.writer.run() => why,
            why = keep(self.keeper) => why,
            _ = self.cut => "closed here",
        };
        tracing::debug!(flow = id.0, %peer, why, "SIP stream ended");
        let unsent = self.writer.into_unsent();
        let _task_gone = self.notices.send(Notice::Ended(id, unsent)).await;
    }
}

async fn keep(keeper: Option<Keeper>) -> &'static str {
    match keeper {
        Some(keeper) => keeper.run().await,
        None => std::future::pending().await,
    }
}

/// The reading half: waits for the SIP task, never for the writing half.
struct Reader {
    flow: Flow,
    half: Box<dyn AsyncRead + Send + Unpin>,
    decoder: StreamDecoder,
    heard: Arc<Heard>,
    notices: mpsc::Sender<Notice>,
    deadlines: Deadlines,
}

impl Reader {
    async fn run(&mut self) -> &'static str {
        loop {
            let (due, overdue) = self.deadlines.due();
            let reading = read_some(&mut self.half, |octets| {
                self.heard.note(octets);
                self.decoder.feed(octets);
            });
            let Ok(read) = timeout_at(due.into(), reading).await else {
                tracing::info!(peer = %self.flow.peer, "SIP stream closed: {overdue}");
                return overdue;
            };
            match read {
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
    half: Box<dyn AsyncWrite + Send + Unpin>,
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
            // TLS may have sealed what it has not sent yet.
            match tokio::time::timeout(self.stall, self.half.flush()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return "broken",
                Err(_) => return "the peer does not read",
            }
            self.queued.fetch_sub(octets, Ordering::Relaxed);
            self.unsent.clear();
        }
        // TLS says goodbye; a peer that does not take it is left without.
        let _goodbye = tokio::time::timeout(GOODBYE, self.half.shutdown()).await;
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
    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
    };

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
        let destination = Destination {
            transport: flow.transport,
            peer: address,
            host: None,
        };
        let terms = Terms {
            limits: Limits::default(),
            connections: ConnectionLimits::default(),
            rhythm: Rhythm {
                interval: Duration::ZERO,
                pong: Duration::ZERO,
            },
            notices,
        };
        let (handle, task) = prepare(stream.into(), flow, Opener::Peer, destination, &terms);
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
