//! What waits to be written, and what is written and not known to have been read.

use std::collections::VecDeque;

use bytes::BytesMut;

use super::Unsent;
use crate::stanza::{Bounce, Outgoing, write, write_bounce};
use crate::xml::{WriteFault, XmlWriter};

/// Octets to be written, with the stanzas they hold, so that a lost connection can name what did not go out.
///
/// XEP-0114 knows no acknowledgement, and what the kernel has taken may never be read. So stanzas of which somebody has to hear if they are
/// lost are kept until a *receipt*: a ping to ourselves behind them has come back, and the server reads a stream in its order.
#[derive(Debug)]
pub(super) struct Outbox {
    octets: BytesMut,
    queued: VecDeque<Kept>,
    written: VecDeque<Kept>,
    /// Octets of what is written and kept.
    kept: usize,
    /// The receipt that is out: the ping's id, and how many of `written` it is behind.
    receipt: Option<(String, usize)>,
    /// Octets of one stanza.
    stanza: usize,
    /// Octets of all that is queued, and of all that is written and kept.
    limit: usize,
}

/// A stanza and its octets.
#[derive(Debug)]
struct Kept {
    stanza: Outgoing,
    octets: usize,
}

impl Outbox {
    pub(super) fn new(stanza: usize, limit: usize) -> Self {
        Self {
            octets: BytesMut::new(),
            queued: VecDeque::new(),
            written: VecDeque::new(),
            kept: 0,
            receipt: None,
            stanza,
            limit,
        }
    }

    /// Queues a stanza, or gives it back with the reason.
    pub(super) fn send(&mut self, stanza: Outgoing) -> Result<(), (Box<Outgoing>, Unsent)> {
        let before = self.octets.len();
        let why = match write(&stanza, &mut self.octets, self.stanza) {
            Ok(octets) if self.octets.len() <= self.limit => {
                self.queued.push_back(Kept { stanza, octets });
                return Ok(());
            }
            Ok(_) => Unsent::QueueFull,
            Err(WriteFault::TooLarge) => Unsent::TooLarge,
            Err(WriteFault::BadName) => Unsent::InvalidPayload,
        };
        self.octets.truncate(before);
        Err((Box::new(stanza), why))
    }

    /// Queues an error reply of the link's own, unless there is no room.
    pub(super) fn bounce(&mut self, bounce: &Bounce) {
        let before = self.octets.len();
        if write_bounce(bounce, &mut self.octets, self.stanza).is_err() || self.octets.len() > self.limit {
            self.octets.truncate(before);
        }
    }

    /// Queues what keeps the stream itself going, whatever else waits.
    pub(super) fn stream(&mut self, markup: impl FnOnce(&mut XmlWriter<'_>)) {
        let mut xml = XmlWriter::new(&mut self.octets, usize::MAX);
        markup(&mut xml);
        debug_assert!(xml.finish().is_ok(), "there is no bound to break");
    }

    /// Whether a receipt should be asked for: one at a time, behind what is queued.
    pub(super) fn wants_receipt(&self) -> bool {
        self.receipt.is_none()
            && (!self.written.is_empty() || self.queued.iter().any(|kept| kept.stanza.must_arrive()))
    }

    /// A ping of this id is queued behind the rest.
    pub(super) fn asked_for_receipt(&mut self, id: String) {
        let queued = self.queued.iter().filter(|kept| kept.stanza.must_arrive());
        self.receipt = Some((id, self.written.len() + queued.count()));
    }

    /// An answer to a ping of ours has come.
    pub(super) fn ping_answered(&mut self, id: &str) {
        if let Some((_, count)) = self.receipt.take_if(|(asked, _)| asked == id) {
            for read in self.written.drain(..count.min(self.written.len())) {
                self.kept = self.kept.saturating_sub(read.octets);
            }
        }
    }

    /// Moves everything into `out`; `false` if there is nothing.
    pub(super) fn take(&mut self, out: &mut BytesMut) -> bool {
        if self.octets.is_empty() {
            return false;
        }
        if out.is_empty() {
            std::mem::swap(out, &mut self.octets);
        } else {
            out.extend_from_slice(&self.octets);
        }
        self.octets.clear();
        for kept in self.queued.drain(..).filter(|kept| kept.stanza.must_arrive()) {
            self.kept += kept.octets;
            self.written.push_back(kept);
        }
        while self.kept > self.limit
            && let Some(oldest) = self.written.pop_front()
        {
            self.kept = self.kept.saturating_sub(oldest.octets);
            if let Some((_, count)) = &mut self.receipt {
                *count = count.saturating_sub(1);
            }
        }
        true
    }

    /// Forgets everything; the stanzas that nobody is known to have read, in their order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (Outgoing, Unsent)> + use<> {
        self.octets.clear();
        self.kept = 0;
        self.receipt = None;
        let written = std::mem::take(&mut self.written).into_iter();
        let queued = std::mem::take(&mut self.queued).into_iter();
        written
            .map(|kept| (kept.stanza, Unsent::Unconfirmed))
            .chain(queued.map(|kept| (kept.stanza, Unsent::LinkDown)))
    }
}
