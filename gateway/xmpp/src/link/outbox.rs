//! What waits to be written.

use std::collections::VecDeque;

use bytes::BytesMut;

use crate::stanza::{Bounce, Outgoing, write, write_bounce};
use crate::xml::{WriteFault, XmlWriter};

/// Octets to be written, with the stanzas they hold, so that a lost connection can name what did not go out.
#[derive(Debug)]
pub(super) struct Outbox {
    octets: BytesMut,
    stanzas: VecDeque<Outgoing>,
    /// Octets of one stanza.
    stanza: usize,
    /// Octets of all.
    limit: usize,
}

impl Outbox {
    pub(super) fn new(stanza: usize, limit: usize) -> Self {
        Self {
            octets: BytesMut::new(),
            stanzas: VecDeque::new(),
            stanza,
            limit,
        }
    }

    /// Queues a stanza, or gives it back with the reason.
    pub(super) fn send(&mut self, stanza: Outgoing) -> Result<(), (Box<Outgoing>, &'static str)> {
        let before = self.octets.len();
        let why = match write(&stanza, &mut self.octets, self.stanza) {
            Ok(_) if self.octets.len() <= self.limit => {
                self.stanzas.push_back(stanza);
                return Ok(());
            }
            Ok(_) => "queue full",
            Err(WriteFault::TooLarge) => "stanza too large",
            Err(WriteFault::BadName) => "invalid payload",
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
        self.stanzas.clear();
        true
    }

    /// Forgets everything; the stanzas that nobody took.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Outgoing> + use<> {
        self.octets.clear();
        std::mem::take(&mut self.stanzas).into_iter()
    }
}
