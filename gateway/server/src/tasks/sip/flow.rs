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
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, oneshot},
    time::timeout_at,
};

use super::{super::BUFFER, Notice};
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

    /// No more messages: the stream ends when it has sent what is queued, or when what this gives is dropped.
    pub(super) fn close(self) -> oneshot::Sender<()> {
        self.cut
    }
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
        deadlines: Deadlines::new(connections, Instant::now()),
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
        let mut buffer = BytesMut::with_capacity(BUFFER);
        loop {
            let (due, overdue) = self.deadlines.due();
            let read = match timeout_at(due.into(), self.half.read_buf(&mut buffer)).await {
                Ok(read) => read,
                Err(_) => {
                    tracing::info!(peer = %self.flow.peer, "SIP stream closed: {overdue}");
                    return overdue;
                }
            };
            match read {
                Ok(0) => return "closed by the peer",
                Ok(_) => {}
                Err(_) => return "broken",
            }
            self.decoder.feed(&buffer);
            buffer.clear();
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
    fn new(limits: &ConnectionLimits, now: Instant) -> Self {
        Self {
            first: limits.sip_first,
            message: limits.sip_message,
            idle: limits.sip_idle,
            opened: now,
            whole: None,
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
        let mut buffer = BytesMut::new();
        while let Some(first) = self.queue.recv().await {
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
