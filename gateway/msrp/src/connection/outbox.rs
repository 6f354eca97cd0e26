//! Outgoing messages of one session, cut into chunks (RFC 4975 §7.1.1).

use std::{collections::VecDeque, time::Instant};

use bytes::{Bytes, BytesMut};

use crate::{
    MessageTag, Path, SessionId, Status,
    frame::{ByteRange, Flag, TransactionId, Writer},
};

use super::{
    Event, FailureReport, OutgoingMessage,
    numbered::Numbered,
    reports::duties,
    round::Round,
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
    /// Those with octets left to send.
    round: Round,
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
        if self.complete {
            return 0;
        }
        MESSAGE_OVERHEAD + self.message.body.len().saturating_sub(self.sent)
    }

    /// What every chunk of it begins with.
    fn begin<'a>(
        &self,
        out: &'a mut BytesMut,
        transaction: TransactionId,
        sender: &Sender<'_>,
    ) -> Writer<'a> {
        let message = &self.message;
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
        writer
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
        match place {
            Place::Last => self.round.push(number, outgoing.message.lane),
            Place::Interjected => self.round.interject(number, outgoing.message.lane),
        }
        self.messages.insert(number, outgoing);
        Ok(())
    }

    /// Whether a chunk can be sent now.
    pub(super) fn is_ready(&self, wire: &Wire) -> bool {
        let next = self.round.next().and_then(|number| self.messages.get(&number));
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
        let Some(number) = self.round.next() else {
            return;
        };
        let Some(outgoing) = self.messages.get_mut(&number) else {
            return;
        };
        let start = outgoing.sent;
        let total = outgoing.message.body.len();
        let end = total.min(start + wire.limits.chunk_out.max(UNINTERRUPTED));
        outgoing.sent = end;
        let body = outgoing.message.body.slice(start..end);
        let transaction = self.ask(number, &body, sender, wire, now);
        let Some(outgoing) = self.messages.get(&number) else {
            return;
        };
        let mut writer = outgoing.begin(out, transaction, sender);
        writer.byte_range(ByteRange {
            start: start as u64 + 1,
            end: (body.len() <= UNINTERRUPTED).then_some(end as u64),
            total: Some(total as u64),
        });
        let flag = if end == total { Flag::Complete } else { Flag::More };
        writer.body(outgoing.message.content_type, &body, flag);

        wire.queued = wire.queued.saturating_sub(body.len());
        if end == total {
            self.all_sent(number, sender.session, wire);
        } else {
            self.round.pass_on();
        }
    }

    /// Gives up a message with octets left to send. The peer is told if it has heard the beginning (RFC 4975 §7.1).
    pub(super) fn abort(&mut self, tag: MessageTag, sender: &Sender<'_>, wire: &mut Wire, now: Instant) {
        let unsent = |(_, outgoing): &(&u64, &Outgoing)| outgoing.message.tag == tag && !outgoing.complete;
        let Some((&number, outgoing)) = self.messages.iter().find(unsent) else {
            return;
        };
        if outgoing.sent > 0 {
            let transaction = self.ask(number, &[], sender, wire, now);
            let Some(outgoing) = self.messages.get(&number) else {
                return;
            };
            let mut writer = outgoing.begin(&mut wire.control, transaction, sender);
            writer.byte_range(ByteRange {
                start: outgoing.sent as u64 + 1,
                end: None,
                total: Some(outgoing.message.body.len() as u64),
            });
            writer.end(Flag::Abort);
        }
        self.fail(number, Status::ABORTED, sender.session, wire);
    }

    /// Opens the transaction of a chunk with this body.
    fn ask(
        &mut self,
        number: u64,
        body: &[u8],
        sender: &Sender<'_>,
        wire: &mut Wire,
        now: Instant,
    ) -> TransactionId {
        let Some(outgoing) = self.messages.get_mut(&number) else {
            return wire.expect_nothing(body);
        };
        let asked = match outgoing.message.failure_report {
            FailureReport::Yes => Asked::Chunk { message: number },
            FailureReport::Partial => Asked::PartialChunk {
                message: number,
                id: outgoing.message.id,
            },
            FailureReport::No => return wire.expect_nothing(body),
        };
        let transaction = wire.expect(sender.session, sender.generation, asked, body, now);
        if outgoing.message.failure_report == FailureReport::Partial {
            if self.partial.len() >= wire.limits.unanswered
                && let Some(oldest) = self.partial.pop_front()
            {
                wire.settle(&oldest);
            }
            self.partial.push_back(transaction);
        } else {
            outgoing.unanswered += 1;
            self.unanswered += 1;
        }
        transaction
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
        self.round.remove(number);
        wire.queued = wire.queued.saturating_sub(outgoing.weight());
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
        self.round = Round::default();
        for outgoing in std::mem::take(&mut self.messages).into_values() {
            wire.queued = wire.queued.saturating_sub(outgoing.weight());
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
        self.round.remove(number);
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
