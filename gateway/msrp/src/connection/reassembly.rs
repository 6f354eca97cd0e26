//! Incoming messages put together from their chunks (RFC 4975 §7.3.1).

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use crate::{Limits, MessageId, Status, frame::Flag};

use super::{FailureReport, IncomingMessage, wire::Origin};

/// Separate stretches of one message at most; a sender keeps the order (RFC 4975 §7.1.1), so that more is abuse.
const STRETCHES: usize = 64;

/// What an incomplete message takes besides its octets.
const OVERHEAD: usize = 512;

/// One chunk with a body.
pub(super) struct Chunk {
    pub(super) id: MessageId,
    /// Position of its first octet, from one.
    pub(super) start: u64,
    pub(super) total: Option<u64>,
    pub(super) body: Bytes,
    pub(super) flag: Flag,
    pub(super) content_type: String,
    pub(super) success_report: bool,
    pub(super) failure_report: FailureReport,
    pub(super) origin: Origin,
}

/// The incomplete incoming messages of one session.
#[derive(Default)]
pub(super) struct Reassembly {
    /// The one that was continued last comes last; they are few ([`Limits::open_messages`]).
    open: Vec<(MessageId, Partial)>,
    octets: usize,
}

/// An incomplete message.
pub(super) struct Partial {
    buffer: BytesMut,
    /// What has arrived: ascending, apart from each other, as (first, behind last) counted from zero.
    stretches: Vec<(usize, usize)>,
    /// Set by the chunk with `$`.
    length: Option<usize>,
    content_type: String,
    success_report: bool,
    pub(super) failure_report: FailureReport,
    /// Of the latest chunk.
    pub(super) origin: Origin,
    expires: Instant,
}

impl Reassembly {
    /// Takes a chunk. `Some` is the complete message; an error is the answer to the chunk. After 413 nothing of the message is
    /// left. `expires` is when the message is given up if no further chunk comes.
    pub(super) fn add(
        &mut self,
        chunk: Chunk,
        limits: &Limits,
        expires: Instant,
    ) -> Result<Option<IncomingMessage>, Status> {
        let first = chunk.start.checked_sub(1).ok_or(Status::OUT_OF_BOUNDS)?;
        let end = first.saturating_add(chunk.body.len() as u64);
        let largest = limits.message as u64;
        // The total is believed only where it refuses: it reserves nothing.
        if end > largest || chunk.total.is_some_and(|total| total > largest) {
            self.remove(&chunk.id);
            return Err(Status::STOP_SENDING);
        }
        if first == 0 && chunk.flag == Flag::Complete {
            self.remove(&chunk.id);
            return Ok(Some(chunk.into_message()));
        }
        let [first, end] = [first, end].map(|position| usize::try_from(position).unwrap_or(usize::MAX));
        let id = chunk.id;
        self.place(chunk, first, end, limits, expires)?;
        let complete = self.take_away(|known, partial| *known == id && partial.is_complete());
        Ok(complete.map(|(id, partial)| partial.into_message(id)))
    }

    fn place(
        &mut self,
        chunk: Chunk,
        first: usize,
        end: usize,
        limits: &Limits,
        expires: Instant,
    ) -> Result<(), Status> {
        let known = self
            .take(|known, _| *known == chunk.id)
            .map(|(_, partial)| partial);
        if known.is_none() && self.open.len() >= limits.open_messages {
            return Err(Status::STOP_SENDING);
        }
        let mut partial = known.unwrap_or_else(|| Partial::new(&chunk, expires));
        let beyond = match (chunk.flag, partial.length) {
            (Flag::Complete, Some(length)) => end != length,
            (Flag::Complete, None) => end < partial.buffer.len(),
            (_, Some(length)) => end > length,
            (_, None) => false,
        };
        if beyond {
            // The chunk contradicts the others: it is refused, they stay.
            self.keep(chunk.id, partial);
            return Err(Status::OUT_OF_BOUNDS);
        }
        partial.insert(&chunk.body, first, end);
        if chunk.flag == Flag::Complete {
            partial.length = Some(end);
        }
        partial.origin = chunk.origin;
        partial.expires = expires;
        if partial.stretches.len() > STRETCHES || self.octets + partial.weight() > limits.reassembly {
            return Err(Status::STOP_SENDING);
        }
        self.keep(chunk.id, partial);
        Ok(())
    }

    /// Octets held, as [`Limits::reassembly`] counts them.
    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    pub(super) fn contains(&self, id: &MessageId) -> bool {
        self.open.iter().any(|(known, _)| known == id)
    }

    pub(super) fn remove(&mut self, id: &MessageId) -> Option<Partial> {
        self.take_away(|known, _| known == id).map(|(_, partial)| partial)
    }

    /// Takes one message whose time has come.
    pub(super) fn take_expired(&mut self, now: Instant) -> Option<(MessageId, Partial)> {
        self.take_away(|_, partial| partial.expires <= now)
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.open.iter().map(|(_, partial)| partial.expires).min()
    }

    fn take(&mut self, wanted: impl Fn(&MessageId, &Partial) -> bool) -> Option<(MessageId, Partial)> {
        let place = self.open.iter().position(|(id, partial)| wanted(id, partial))?;
        let taken = self.open.remove(place);
        self.octets = self.octets.saturating_sub(taken.1.weight());
        Some(taken)
    }

    /// Takes one that does not come back: an idle session holds no memory for messages.
    fn take_away(&mut self, wanted: impl Fn(&MessageId, &Partial) -> bool) -> Option<(MessageId, Partial)> {
        let taken = self.take(wanted);
        if self.open.is_empty() {
            self.open = Vec::new();
        }
        taken
    }

    fn keep(&mut self, id: MessageId, partial: Partial) {
        self.octets += partial.weight();
        self.open.push((id, partial));
    }
}

impl Chunk {
    fn into_message(self) -> IncomingMessage {
        IncomingMessage {
            id: self.id,
            content_type: self.content_type,
            body: self.body,
            success_report: self.success_report,
            failure_report: self.failure_report,
        }
    }
}

impl Partial {
    fn new(chunk: &Chunk, expires: Instant) -> Self {
        Self {
            buffer: BytesMut::new(),
            stretches: Vec::new(),
            length: None,
            content_type: chunk.content_type.clone(),
            success_report: chunk.success_report,
            failure_report: chunk.failure_report,
            origin: chunk.origin.clone(),
            expires,
        }
    }

    /// Octets from the start without a gap.
    pub(super) fn contiguous(&self) -> usize {
        match self.stretches.first() {
            Some(&(0, end)) => end,
            _ => 0,
        }
    }

    fn is_complete(&self) -> bool {
        self.length.is_some_and(|length| self.contiguous() == length)
    }

    fn weight(&self) -> usize {
        OVERHEAD + self.content_type.len() + self.buffer.len()
    }

    /// Later octets win over earlier ones (RFC 4975 §7.3.1).
    fn insert(&mut self, body: &[u8], first: usize, end: usize) {
        if body.is_empty() {
            return;
        }
        if first == self.buffer.len() {
            self.buffer.extend_from_slice(body);
        } else {
            if self.buffer.len() < end {
                self.buffer.resize(end, 0);
            }
            if let Some(place) = self.buffer.get_mut(first..end) {
                place.copy_from_slice(body);
            }
        }
        self.cover(first, end);
    }

    /// Adds a stretch, joined with those that it touches.
    fn cover(&mut self, first: usize, end: usize) {
        let from = self.stretches.partition_point(|&(_, behind)| behind < first);
        let to = self.stretches.partition_point(|&(begin, _)| begin <= end);
        let touched = self.stretches.get(from..to).unwrap_or_default();
        let first = touched.first().map_or(first, |&(begin, _)| begin.min(first));
        let end = touched.last().map_or(end, |&(_, behind)| behind.max(end));
        self.stretches.splice(from..to.max(from), [(first, end)]);
    }

    fn into_message(self, id: MessageId) -> IncomingMessage {
        IncomingMessage {
            id,
            content_type: self.content_type,
            body: self.buffer.freeze(),
            success_report: self.success_report,
            failure_report: self.failure_report,
        }
    }
}
