//! What the sessions of one connection share: frames to send first, transactions, deadlines, events.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::LazyLock,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use memchr::memmem;
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::{
    Limits, MessageId, Path, SessionId, Status, Uri,
    frame::{ByteRange, Flag, Frame, Kind, Method, TransactionId, Writer},
};

use super::{
    Event, FailureReport,
    reports::is_answered,
    transactions::{Transaction, Transactions},
};

/// What every end-line has before its transaction id; a body without it needs no closer look.
static HYPHENS: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"-------"));

/// What the sessions of one connection share.
pub(super) struct Wire {
    pub(super) limits: Limits,
    /// Whole frames that go out before any message chunk.
    pub(super) control: BytesMut,
    pub(super) events: VecDeque<Event>,
    /// Octets of messages that wait for `poll_transmit`.
    pub(super) queued: usize,
    /// Octets held of what the peer sent to all sessions, as [`Limits::incoming`] counts them.
    pub(super) incoming: usize,
    rng: ChaCha12Rng,
    transactions: Transactions,
    /// All but those of transactions.
    deadlines: BTreeMap<DeadlineKey, Deadline>,
    serial: u64,
}

/// Deadlines in order of time, those of one instant in order of their making.
pub(super) type DeadlineKey = (Instant, u64);

/// What is due at a deadline.
pub(super) enum Deadline {
    /// The response to a request of ours.
    Transaction(TransactionId),
    /// The next chunk of some incoming message of a session.
    Reception(SessionId),
    /// The renewal of the path through relays.
    Renewal(SessionId),
}

/// What a request of ours asked for.
#[derive(Clone, Copy)]
pub(super) enum Asked {
    /// Binding the session.
    Open,
    /// A nickname.
    Nickname,
    /// That a chunk of this message be taken.
    Chunk { message: u64 },
    /// The same, with Failure-Report `partial`: silence is success.
    PartialChunk { message: u64, id: MessageId },
    /// A path through a relay.
    Authorization,
}

/// Where a request came from and what response it wants.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    transaction: TransactionId,
    pub(super) from: Path,
    /// Of a SEND; other methods are always answered.
    send: Option<FailureReport>,
}

impl Origin {
    pub(super) fn of(frame: &Frame) -> Self {
        let send = matches!(frame.kind, Kind::Request(Method::Send)).then(|| frame.failure_report());
        Self {
            transaction: frame.transaction,
            from: frame.from.clone(),
            send,
        }
    }
}

impl Wire {
    pub(super) fn new(limits: Limits, seed: [u8; 32]) -> Self {
        Self {
            limits,
            control: BytesMut::new(),
            events: VecDeque::new(),
            queued: 0,
            incoming: 0,
            rng: ChaCha12Rng::from_seed(seed),
            transactions: Transactions::default(),
            deadlines: BTreeMap::new(),
            serial: 0,
        }
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// The next number that this connection has not given away.
    pub(super) fn next_serial(&mut self) -> u64 {
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }

    /// Answers a request, if RFC 4975 §7.1.4 and §7.2 want an answer.
    pub(super) fn answer(&mut self, origin: &Origin, local: &Uri, status: Status) {
        if origin.send.is_some_and(|report| !is_answered(report, status)) {
            return;
        }
        // RFC 4975 §7.2: responses to SEND go to the previous hop, all others the whole way.
        let to = match origin.send {
            Some(_) => std::slice::from_ref(origin.from.first()),
            None => origin.from.hops(),
        };
        let status = if (200..900).contains(&status.code()) {
            status
        } else {
            Status::TIMEOUT
        };
        Writer::response(&mut self.control, origin.transaction, status, to, local).end(Flag::Complete);
    }

    /// Sends a REPORT about `octets` from the start of a message (RFC 4975 §7.1.3, §7.1.4).
    pub(super) fn report(
        &mut self,
        to: &Path,
        local: &Path,
        id: MessageId,
        range: ByteRange,
        status: Status,
    ) {
        let transaction = self.expect_nothing(&[]);
        let mut writer = Writer::request(&mut self.control, transaction, "REPORT", to, local);
        writer.header("Message-ID", id.as_str());
        writer.byte_range(range);
        writer.display("Status", format_args!("000 {status}"));
        writer.end(Flag::Complete);
    }

    pub(super) fn fresh_message_id(&mut self) -> MessageId {
        MessageId::random(&mut self.rng)
    }

    /// A seed for a machine of its own.
    pub(super) fn fresh_seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        seed
    }

    /// Opens a transaction: a request with this body under the id that is returned, to be answered within
    /// [`Limits::transaction`].
    pub(super) fn expect(
        &mut self,
        session: &SessionId,
        generation: u64,
        asked: Asked,
        body: &[u8],
        now: Instant,
    ) -> TransactionId {
        let id = outside(body, || self.transactions.next_id(&mut self.rng));
        let transaction = Transaction {
            session: session.clone(),
            generation,
            asked,
        };
        self.transactions
            .open(id, transaction, later(now, self.limits.transaction));
        id
    }

    /// An id for a request with this body that gets no response.
    pub(super) fn expect_nothing(&mut self, body: &[u8]) -> TransactionId {
        outside(body, || TransactionId::random(&mut self.rng))
    }

    /// Ends the wait for a response.
    pub(super) fn settle(&mut self, transaction: &TransactionId) -> Option<Transaction> {
        self.transactions.settle(transaction)
    }

    pub(super) fn arm(&mut self, instant: Instant, deadline: Deadline) -> DeadlineKey {
        let key = (instant, self.next_serial());
        self.deadlines.insert(key, deadline);
        key
    }

    pub(super) fn disarm(&mut self, key: &DeadlineKey) {
        self.deadlines.remove(key);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let other = self.deadlines.first_key_value().map(|((instant, _), _)| *instant);
        [self.transactions.next_deadline(), other]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes the first deadline that has come.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Deadline> {
        let next = self.next_deadline()?;
        if next > now {
            return None;
        }
        if self.transactions.next_deadline() == Some(next) {
            return self.transactions.take_deadline().map(Deadline::Transaction);
        }
        self.deadlines.pop_first().map(|(_, deadline)| deadline)
    }

    /// Forgets every transaction and deadline: the connection has ended.
    pub(super) fn end(&mut self) {
        self.transactions = Transactions::default();
        self.deadlines = BTreeMap::new();
        self.queued = 0;
        self.incoming = 0;
    }
}

/// An id that does not occur in `body`, so that no end-line can.
fn outside(body: &[u8], mut draw: impl FnMut() -> TransactionId) -> TransactionId {
    let has_hyphens = HYPHENS.find(body).is_some();
    loop {
        let id = draw();
        if !has_hyphens || memmem::find(body, id.as_str().as_bytes()).is_none() {
            return id;
        }
    }
}

/// `now + after`; a duration beyond the clock's range is cut to a day.
pub(super) fn later(now: Instant, after: Duration) -> Instant {
    now.checked_add(after)
        .unwrap_or(now + Duration::from_secs(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4975 §7.1: the end-line must not occur in the body.
    // Rows: C4975-04
    #[test]
    fn rfc4975_7_1_an_id_that_occurs_in_the_body_is_not_taken() {
        let [first, second] = ["0123456789abcdef", "fedcba9876543210"].map(|id| id.parse().unwrap());
        for (body, taken) in [
            ("x\r\n-------0123456789abcdef$\r\n", second),
            ("-------0123456789abcdef$", second),
            ("-------fedcba9876543210$", first),
            ("-------", first),
            ("", first),
        ] {
            let mut ids = [first, second].into_iter();
            let id = outside(body.as_bytes(), || ids.next().unwrap());
            assert_eq!(id, taken, "{body}");
        }
    }
}
