//! Outgoing messages of one session, cut into chunks (RFC 4975 §7.1.1).

use std::{collections::VecDeque, time::Instant};

use bytes::{Bytes, BytesMut};

use crate::{
    MessageTag, Path, SessionId, Status,
    frame::{ByteRange, Flag, TransactionId, Writer},
};

use super::{
    Event, FailureReport, OutgoingMessage, Turns,
    numbered::Numbered,
    reports::duties,
    wire::{Asked, Wire},
};

/// What a queued message counts besides its body.
pub(super) const MESSAGE_OVERHEAD: usize = 256;

/// The longest body whose range-end may be written: longer chunks must be interruptible (RFC 4975 §7.1.1).
const UNINTERRUPTED: usize = 2048;

/// Outgoing messages of one session.
#[derive(Default)]
pub(super) struct Outbox {
    messages: Numbered<Outgoing>,
    /// Messages with octets left to send, the next one first.
    unsent: VecDeque<u64>,
    /// Those among them that go before the others.
    interjected: VecDeque<u64>,
    /// How the messages share the turns of the session.
    pub(super) turns: Turns,
    /// Chunks sent with Failure-Report `yes` and not answered.
    unanswered: usize,
    /// Chunks sent with Failure-Report `partial` whose failure would still be heard.
    partial: VecDeque<TransactionId>,
}

struct Outgoing {
    message: OutgoingMessage,
    /// Octets sent.
    sent: usize,
    /// Chunks without an answer.
    unanswered: usize,
    /// Whether nothing is left to send.
    complete: bool,
}

/// Where a message goes in the queue of its session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Last,
    Interjected,
}

impl Outgoing {
    /// What it counts in [`Wire::queued`].
    fn weight(&self) -> usize {
        MESSAGE_OVERHEAD + self.message.body.len().saturating_sub(self.sent)
    }
}

/// The session on whose behalf chunks are sent.
pub(super) struct Sender<'a> {
    pub(super) session: &'a SessionId,
    pub(super) generation: u64,
    pub(super) local: &'a Path,
    pub(super) remote: &'a Path,
}

impl Outbox {
    /// Queues a message; gives its tag back if [`crate::Limits::outgoing`] is reached.
    pub(super) fn queue(
        &mut self,
        message: OutgoingMessage,
        place: Place,
        wire: &mut Wire,
    ) -> Result<(), MessageTag> {
        let outgoing = Outgoing {
            message,
            sent: 0,
            unanswered: 0,
            complete: false,
        };
        if wire.queued + wire.control.len() + outgoing.weight() > wire.limits.outgoing {
            return Err(outgoing.message.tag);
        }
        wire.queued += outgoing.weight();
        let number = wire.next_serial();
        self.messages.insert(number, outgoing);
        match place {
            Place::Last => self.unsent.push_back(number),
            Place::Interjected => self.interjected.push_back(number),
        }
        Ok(())
    }

    /// The message that the next chunk is of.
    fn next(&self) -> Option<u64> {
        self.interjected.front().or(self.unsent.front()).copied()
    }

    /// Takes a message out of its queue.
    fn unqueue(&mut self, number: u64) {
        for queue in [&mut self.interjected, &mut self.unsent] {
            if queue.front() == Some(&number) {
                queue.pop_front();
                if queue.is_empty() {
                    *queue = VecDeque::new();
                }
                return;
            }
        }
        // Only when messages take turns can one that has begun stand elsewhere.
        self.interjected.retain(|queued| *queued != number);
        self.unsent.retain(|queued| *queued != number);
    }

    /// Whether a chunk can be sent now.
    pub(super) fn is_ready(&self, wire: &Wire) -> bool {
        let next = self.next().and_then(|number| self.messages.get(&number));
        next.is_some_and(|outgoing| {
            !duties(outgoing.message.failure_report).silence_is_failure
                || self.unanswered < wire.limits.unanswered
        })
    }

    /// Writes the next chunk.
    pub(super) fn write_chunk(
        &mut self,
        sender: &Sender<'_>,
        wire: &mut Wire,
        out: &mut BytesMut,
        now: Instant,
    ) {
        let Some(number) = self.next() else {
            return;
        };
        let Some(outgoing) = self.messages.get_mut(&number) else {
            return;
        };
        let message = &outgoing.message;
        let total = message.body.len();
        let end = total.min(outgoing.sent + wire.limits.chunk_out.max(UNINTERRUPTED));
        let body = message.body.get(outgoing.sent..end).unwrap_or_default();
        let asked = match message.failure_report {
            FailureReport::Yes => Some(Asked::Chunk { message: number }),
            FailureReport::Partial => Some(Asked::PartialChunk {
                message: number,
                id: message.id,
            }),
            FailureReport::No => None,
        };
        let transaction = match asked {
            Some(asked) => wire.expect(sender.session, sender.generation, asked, body, now),
            None => wire.expect_nothing(body),
        };
        let mut writer = Writer::request(out, transaction, "SEND", sender.remote, sender.local);
        writer.header("Message-ID", message.id.as_str());
        if message.success_report {
            writer.header("Success-Report", "yes");
        }
        match message.failure_report {
            FailureReport::Yes => {}
            FailureReport::No => writer.header("Failure-Report", "no"),
            FailureReport::Partial => writer.header("Failure-Report", "partial"),
        }
        writer.byte_range(ByteRange {
            start: outgoing.sent as u64 + 1,
            end: (body.len() <= UNINTERRUPTED).then_some(end as u64),
            total: Some(total as u64),
        });
        writer.body(
            message.content_type,
            body,
            if end == total { Flag::Complete } else { Flag::More },
        );

        wire.queued = wire.queued.saturating_sub(body.len());
        outgoing.sent = end;
        match message.failure_report {
            FailureReport::Yes => {
                outgoing.unanswered += 1;
                self.unanswered += 1;
            }
            FailureReport::Partial => {
                if self.partial.len() >= wire.limits.unanswered
                    && let Some(oldest) = self.partial.pop_front()
                {
                    wire.settle(&oldest);
                }
                self.partial.push_back(transaction);
            }
            FailureReport::No => {}
        }
        if end == total {
            self.all_sent(number, sender.session, wire);
        } else if self.turns == Turns::ChunkByChunk && self.unsent.front() == Some(&number) {
            self.unsent.rotate_left(1);
        }
    }

    /// A chunk was taken by the peer.
    pub(super) fn chunk_accepted(&mut self, number: u64, session: &SessionId, wire: &mut Wire) {
        self.unanswered = self.unanswered.saturating_sub(1);
        let Some(outgoing) = self.messages.get_mut(&number) else {
            return;
        };
        outgoing.unanswered = outgoing.unanswered.saturating_sub(1);
        self.settle_if_done(number, session, wire);
    }

    /// A chunk was refused or lost: nothing more of the message is sent (RFC 4975 §10.5).
    pub(super) fn chunk_failed(&mut self, number: u64, status: Status, session: &SessionId, wire: &mut Wire) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.fail(number, status, session, wire);
    }

    /// Fails a message that is not settled yet; `false` if there is none.
    pub(super) fn fail(&mut self, number: u64, status: Status, session: &SessionId, wire: &mut Wire) -> bool {
        let Some(outgoing) = self.messages.remove(&number) else {
            return false;
        };
        if !outgoing.complete {
            self.unqueue(number);
            wire.queued = wire.queued.saturating_sub(outgoing.weight());
        }
        wire.emit(Event::Failed {
            session: session.clone(),
            tag: outgoing.message.tag,
            status,
        });
        true
    }

    /// The unsettled message with this Message-ID.
    pub(super) fn find(&self, id: &crate::MessageId) -> Option<u64> {
        self.messages
            .iter()
            .find(|(_, outgoing)| outgoing.message.id == *id)
            .map(|(number, _)| *number)
    }

    /// Fails every message, in order.
    pub(super) fn fail_all(&mut self, status: Status, session: &SessionId, wire: &mut Wire) {
        let unsent = std::mem::take(&mut self.unsent);
        for number in unsent.into_iter().chain(std::mem::take(&mut self.interjected)) {
            let weight = self.messages.get(&number).map_or(0, Outgoing::weight);
            wire.queued = wire.queued.saturating_sub(weight);
        }
        for outgoing in std::mem::take(&mut self.messages).into_values() {
            wire.emit(Event::Failed {
                session: session.clone(),
                tag: outgoing.message.tag,
                status,
            });
        }
        for transaction in std::mem::take(&mut self.partial) {
            wire.settle(&transaction);
        }
    }

    fn all_sent(&mut self, number: u64, session: &SessionId, wire: &mut Wire) {
        self.unqueue(number);
        if let Some(outgoing) = self.messages.get_mut(&number) {
            outgoing.message.body = Bytes::new();
            outgoing.complete = true;
        }
        wire.queued = wire.queued.saturating_sub(MESSAGE_OVERHEAD);
        self.settle_if_done(number, session, wire);
    }

    fn settle_if_done(&mut self, number: u64, session: &SessionId, wire: &mut Wire) {
        let done = self
            .messages
            .get(&number)
            .is_some_and(|outgoing| outgoing.complete && outgoing.unanswered == 0);
        if done && let Some(outgoing) = self.messages.remove(&number) {
            wire.emit(Event::Delivered {
                session: session.clone(),
                tag: outgoing.message.tag,
            });
        }
    }
}
