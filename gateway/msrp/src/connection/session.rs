//! One bound session: requests in and their answers, messages out.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use bytes::{Bytes, BytesMut};

use crate::{
    MessageId, MessageTag, Path, SessionId, Status,
    frame::{ByteRange, Content, Flag, Frame, Method, TransactionId, Writer, is_nickname},
    relay::request_path,
};

use super::{
    AnswerDue, Event, IncomingMessage, OutgoingMessage, SessionParameters,
    numbered::Numbered,
    outbox::{Outbox, Place, Sender},
    reassembly::{Chunk, Partial, Reassembly},
    reports::{duties, is_success_reported},
    wire::{Asked, Deadline, DeadlineKey, Origin, Wire, later},
};

/// Accepted Message-IDs that are remembered, to recognise duplicates.
const REMEMBERED: usize = 4;

/// Requests with the Message-ID of a message that still waits for its answer.
const DUPLICATES: usize = 8;

/// Octets of the body of a request other than SEND (RFC 4975 §7.1).
const OTHER_BODY: usize = 10_240;

/// One bound session.
pub(super) struct Session {
    id: SessionId,
    /// Tells it from an earlier session of the same id.
    pub(super) generation: u64,
    /// Our own URI alone: the To-Path of what comes, the From-Path of what goes.
    local: Path,
    /// The To-Path of requests: through our relays, if there are any, to the peer.
    remote: Path,
    dues: Numbered<Due>,
    accepted: VecDeque<MessageId>,
    reassembly: Reassembly,
    /// Octets of the reassembly that are in [`Wire::incoming`].
    counted: usize,
    /// Armed while an incoming message is incomplete.
    reception: Option<DeadlineKey>,
    nicknames: BTreeMap<TransactionId, MessageTag>,
    outbox: Outbox,
    /// Whether the session is in the connection's round of senders.
    pub(super) in_turn: bool,
    /// Whether the owner knows of the congestion.
    pub(super) congested: bool,
}

/// A request that the owner must answer.
struct Due {
    origin: Origin,
    /// Where the same message came from again.
    duplicates: Vec<Origin>,
    message: Option<DueMessage>,
}

impl Due {
    fn origins(&self) -> impl Iterator<Item = &Origin> {
        std::iter::once(&self.origin).chain(&self.duplicates)
    }
}

/// Of a SEND.
struct DueMessage {
    id: MessageId,
    octets: u64,
    success_report: bool,
}

impl Session {
    pub(super) fn new(id: SessionId, parameters: SessionParameters, wire: &mut Wire) -> Self {
        Self {
            id,
            generation: wire.next_serial(),
            remote: request_path(&parameters.local, &parameters.remote),
            local: last_hop(parameters.local),
            dues: Numbered::default(),
            accepted: VecDeque::new(),
            reassembly: Reassembly::default(),
            counted: 0,
            reception: None,
            nicknames: BTreeMap::new(),
            outbox: Outbox::default(),
            in_turn: false,
            congested: false,
        }
    }

    pub(super) fn replace(&mut self, parameters: SessionParameters) {
        self.remote = request_path(&parameters.local, &parameters.remote);
        self.local = last_hop(parameters.local);
    }

    /// A SEND or NICKNAME.
    pub(super) fn handle_request(&mut self, frame: Frame, method: &Method, wire: &mut Wire, now: Instant) {
        let origin = Origin::of(&frame);
        // RFC 4975 §7.3: the To-Path is one URI, the one that was negotiated.
        if frame.to.hops() != self.local.hops() {
            wire.answer(&origin, frame.to.last(), Status::NO_SESSION);
            return;
        }
        let outcome = match method {
            Method::Nickname => self.nickname_requested(&frame, &origin, wire),
            _ => self.sent(frame, &origin, wire, now),
        };
        if let Some(status) = outcome {
            wire.answer(&origin, self.local.last(), status);
        }
        self.watch_reception(wire);
    }

    /// Binds the session by a bodiless SEND (RFC 4975 §5.4).
    pub(super) fn open(&mut self, wire: &mut Wire, now: Instant) {
        let transaction = wire.expect(&self.id, self.generation, Asked::Open, &[], now);
        let id = wire.fresh_message_id();
        let mut writer = Writer::request(&mut wire.control, transaction, "SEND", &self.remote, &self.local);
        writer.header("Message-ID", id.as_str());
        writer.byte_range(ByteRange {
            start: 1,
            end: Some(0),
            total: Some(0),
        });
        writer.end(Flag::Complete);
    }

    pub(super) fn send(&mut self, message: OutgoingMessage, place: Place, wire: &mut Wire) {
        if let Err(tag) = self.outbox.queue(message, place, wire) {
            wire.emit(Event::Failed {
                session: self.id.clone(),
                tag,
                status: Status::CONGESTED,
            });
        }
    }

    /// The owner gives up a message of his.
    pub(super) fn abort(&mut self, tag: MessageTag, wire: &mut Wire, now: Instant) {
        let (sender, outbox) = self.sender();
        outbox.abort(tag, &sender, wire, now);
    }

    pub(super) fn nickname(&mut self, tag: MessageTag, nickname: &str, wire: &mut Wire, now: Instant) {
        let refusal = if !is_nickname(nickname) {
            Some(Status::MALFORMED_NICKNAME)
        } else if self.nicknames.len() >= wire.limits.unanswered || wire.control.len() > wire.limits.outgoing
        {
            Some(Status::CONGESTED)
        } else {
            None
        };
        if let Some(status) = refusal {
            wire.emit(Event::NicknameAnswered {
                session: self.id.clone(),
                tag,
                status,
            });
            return;
        }
        let transaction = wire.expect(&self.id, self.generation, Asked::Nickname, &[], now);
        let mut writer = Writer::request(
            &mut wire.control,
            transaction,
            "NICKNAME",
            &self.remote,
            &self.local,
        );
        writer.nickname(nickname);
        writer.end(Flag::Complete);
        self.nicknames.insert(transaction, tag);
    }

    /// The owner's answer to a request.
    pub(super) fn answer(&mut self, number: u64, status: Status, wire: &mut Wire) {
        let Some(due) = self.dues.remove(&number) else {
            return;
        };
        for origin in due.origins() {
            wire.answer(origin, self.local.last(), status);
        }
        let Some(message) = due.message else { return };
        if status.is_success() {
            self.remember(message.id);
        }
        if is_success_reported(message.success_report, status) {
            self.report_success(&due.origin, message.id, message.octets, wire);
        }
    }

    /// The owner reports on a message that he has answered.
    pub(super) fn report(&self, id: MessageId, octets: u64, status: Status, wire: &mut Wire) {
        wire.report(&self.remote, &self.local, id, whole(octets), status);
    }

    pub(super) fn nickname_answered(&mut self, transaction: &TransactionId, status: Status, wire: &mut Wire) {
        if let Some(tag) = self.nicknames.remove(transaction) {
            wire.emit(Event::NicknameAnswered {
                session: self.id.clone(),
                tag,
                status,
            });
        }
    }

    /// A REPORT of the peer, which is never answered (RFC 4975 §7.1.2).
    pub(super) fn reported(&mut self, message: MessageId, status: Status, wire: &mut Wire) {
        // RFC 4975 §7.3.2: it means what a response with that code means.
        if !status.is_success()
            && let Some(number) = self.outbox.find(&message)
        {
            self.outbox.fail(number, status, &self.id, wire);
        }
        wire.emit(Event::Reported {
            session: self.id.clone(),
            message,
            status,
        });
    }

    pub(super) fn chunk_answered(&mut self, number: u64, status: Status, wire: &mut Wire) {
        if status.is_success() {
            self.outbox.chunk_accepted(number, &self.id, wire);
        } else {
            self.outbox.chunk_failed(number, status, &self.id, wire);
        }
    }

    /// The answer to a chunk with Failure-Report `partial`.
    pub(super) fn partial_chunk_answered(
        &mut self,
        number: u64,
        id: MessageId,
        status: Status,
        wire: &mut Wire,
    ) {
        if !status.is_success() && !self.outbox.fail(number, status, &self.id, wire) {
            wire.emit(Event::Reported {
                session: self.id.clone(),
                message: id,
                status,
            });
        }
    }

    /// The next chunk of some message did not come in time.
    pub(super) fn reception_timed_out(&mut self, wire: &mut Wire, now: Instant) {
        self.reception = None;
        while let Some((id, partial)) = self.reassembly.take_expired(now) {
            self.report_given_up(id, &partial, wire);
        }
        self.watch_reception(wire);
    }

    pub(super) fn incoming_octets(&self) -> usize {
        self.reassembly.octets()
    }

    pub(super) fn is_ready(&self, wire: &Wire) -> bool {
        self.outbox.is_ready(wire)
    }

    pub(super) fn write_chunk(&mut self, wire: &mut Wire, out: &mut BytesMut, now: Instant) {
        let (sender, outbox) = self.sender();
        outbox.write_chunk(&sender, wire, out, now);
    }

    /// Settles everything of the session that ends: what we asked for fails with `status`.
    pub(super) fn end(mut self, status: Status, wire: &mut Wire) {
        for due in std::mem::take(&mut self.dues).into_values() {
            for origin in due.origins() {
                wire.answer(origin, self.local.last(), Status::NO_SESSION);
            }
        }
        wire.incoming = wire.incoming.saturating_sub(self.counted);
        self.outbox.fail_all(status, &self.id, wire);
        for tag in std::mem::take(&mut self.nicknames).into_values() {
            wire.emit(Event::NicknameAnswered {
                session: self.id.clone(),
                tag,
                status,
            });
        }
        if let Some(key) = self.reception.take() {
            wire.disarm(&key);
        }
    }

    fn sender(&mut self) -> (Sender<'_>, &mut Outbox) {
        let sender = Sender {
            session: &self.id,
            generation: self.generation,
            local: &self.local,
            remote: &self.remote,
        };
        (sender, &mut self.outbox)
    }

    /// The answer, unless the owner is to give it.
    fn nickname_requested(&mut self, frame: &Frame, origin: &Origin, wire: &mut Wire) -> Option<Status> {
        let headers = &frame.headers;
        // RFC 7701 §7.1: NICKNAME carries no report headers.
        let reports = headers.success_report.is_some() || headers.failure_report.is_some();
        let long = match &frame.content {
            Content::None => false,
            Content::Body(body) => body.len() > OTHER_BODY,
            Content::TooLong => true,
        };
        if reports || long || headers.broken.is_some() {
            return Some(Status::BAD_REQUEST);
        }
        let Some(Ok(nickname)) = &headers.use_nickname else {
            return Some(Status::MALFORMED_NICKNAME);
        };
        if self.dues.len() >= wire.limits.unanswered {
            return Some(Status::FORBIDDEN);
        }
        let due = self.owe(origin, None, wire);
        wire.emit(Event::NicknameRequested {
            session: self.id.clone(),
            nickname: nickname.clone(),
            due,
        });
        None
    }

    /// The answer, unless the owner is to give it.
    fn sent(&mut self, frame: Frame, origin: &Origin, wire: &mut Wire, now: Instant) -> Option<Status> {
        if frame.headers.broken.is_some() {
            return Some(Status::BAD_REQUEST);
        }
        let known = frame.headers.message_id.filter(|id| self.reassembly.contains(id));
        let body = match &frame.content {
            Content::Body(body) => body.clone(),
            // Without a body it binds or keeps alive, unless it ends a message that is under way.
            Content::None if known.is_some() && ends_message(&frame) => Bytes::new(),
            Content::None => return Some(Status::OK),
            Content::TooLong => {
                known.and_then(|id| self.reassembly.remove(&id));
                return Some(Status::STOP_SENDING);
            }
        };
        let Some(id) = frame.headers.message_id else {
            return Some(Status::BAD_REQUEST);
        };
        if frame.headers.content_type.is_none() && known.is_none() {
            return Some(Status::BAD_REQUEST);
        }
        let range = frame.headers.byte_range;
        if !range.is_none_or(is_consistent) {
            return Some(Status::OUT_OF_BOUNDS);
        }
        if let Some(status) = self.duplicate(id, &frame, origin, wire) {
            return status;
        }
        if frame.flag == Flag::Abort {
            self.reassembly.remove(&id);
            return Some(Status::OK);
        }
        let chunk = chunk(id, frame, body, range, origin);
        let expires = later(now, wire.limits.chunk_reception);
        match self.reassembly.add(chunk, &wire.limits, expires) {
            Ok(Some(message)) => self.received(message, origin, wire),
            Ok(None) if self.incoming(wire) > wire.limits.incoming => {
                self.reassembly.remove(&id);
                Some(Status::STOP_SENDING)
            }
            Ok(None) => Some(Status::OK),
            Err(status) => Some(status),
        }
    }

    /// A complete message: the owner answers it.
    fn received(&mut self, message: IncomingMessage, origin: &Origin, wire: &mut Wire) -> Option<Status> {
        if self.dues.len() >= wire.limits.unanswered {
            return Some(Status::STOP_SENDING);
        }
        let octets = message.body.len() as u64;
        let due_message = DueMessage {
            id: message.id,
            octets,
            success_report: message.success_report,
        };
        let due = self.owe(origin, Some(due_message), wire);
        wire.emit(Event::Received {
            session: self.id.clone(),
            message,
            due,
        });
        None
    }

    /// Whether the Message-ID is that of an earlier message. It is then answered like that one and not delivered again
    /// (RFC 4975 §5.4): the inner value is the answer, or `None` while the owner has not decided.
    fn duplicate(
        &mut self,
        id: MessageId,
        frame: &Frame,
        origin: &Origin,
        wire: &mut Wire,
    ) -> Option<Option<Status>> {
        if self.accepted.contains(&id) {
            if frame.headers.success_report == Some(true) && frame.flag == Flag::Complete {
                let octets = match &frame.content {
                    Content::Body(body) => {
                        let start = frame.headers.byte_range.map_or(1, |range| range.start);
                        start.saturating_sub(1).saturating_add(body.len() as u64)
                    }
                    Content::None | Content::TooLong => 0,
                };
                self.report_success(origin, id, octets, wire);
            }
            return Some(Some(Status::OK));
        }
        let is_same = |due: &&mut Due| due.message.as_ref().is_some_and(|message| message.id == id);
        let due = self.dues.values_mut().find(is_same)?;
        if due.duplicates.len() + 1 >= DUPLICATES {
            return Some(Some(Status::STOP_SENDING));
        }
        due.duplicates.push(origin.clone());
        Some(None)
    }

    fn owe(&mut self, origin: &Origin, message: Option<DueMessage>, wire: &mut Wire) -> AnswerDue {
        let number = wire.next_serial();
        self.dues.insert(
            number,
            Due {
                origin: origin.clone(),
                duplicates: Vec::new(),
                message,
            },
        );
        AnswerDue {
            session: self.id.clone(),
            transaction: number,
        }
    }

    fn remember(&mut self, id: MessageId) {
        if self.accepted.len() >= REMEMBERED {
            self.accepted.pop_front();
        }
        self.accepted.push_back(id);
    }

    fn report_success(&self, origin: &Origin, id: MessageId, octets: u64, wire: &mut Wire) {
        wire.report(&origin.from, &self.local, id, whole(octets), Status::OK);
    }

    /// RFC 4975 §7.1.4: chunks were answered 200, so the failure of their message is a REPORT.
    fn report_given_up(&self, id: MessageId, partial: &Partial, wire: &mut Wire) {
        if duties(partial.failure_report).reports_failure {
            let end = Some(partial.contiguous() as u64);
            let range = ByteRange {
                start: 1,
                end,
                total: None,
            };
            wire.report(&partial.origin.from, &self.local, id, range, Status::STOP_SENDING);
        }
    }

    /// What all sessions of the connection hold, with what has been added here since it was counted.
    fn incoming(&self, wire: &Wire) -> usize {
        wire.incoming.saturating_sub(self.counted) + self.reassembly.octets()
    }

    /// Keeps the connection's count true, and one deadline armed while some incoming message is incomplete.
    fn watch_reception(&mut self, wire: &mut Wire) {
        wire.incoming = self.incoming(wire);
        self.counted = self.reassembly.octets();
        let next = self.reassembly.next_expiry();
        match (&self.reception, next) {
            (Some(key), Some(instant)) if key.0 <= instant => {}
            (None, None) => {}
            _ => {
                if let Some(key) = self.reception.take() {
                    wire.disarm(&key);
                }
                self.reception = next.map(|instant| wire.arm(instant, Deadline::Reception(self.id.clone())));
            }
        }
    }
}

/// The path of the last hop alone.
fn last_hop(path: Path) -> Path {
    match path.hops() {
        [_] => path,
        _ => Path::single(path.last().clone()),
    }
}

/// The range of a whole message.
fn whole(octets: u64) -> ByteRange {
    ByteRange {
        start: 1,
        end: Some(octets),
        total: Some(octets),
    }
}

/// Positions count from one, and the numbers agree with each other (RFC 4975 §7.1.1). Whether they agree with the body does not
/// matter: peers are known to get that wrong (§7.3.1).
fn is_consistent(range: ByteRange) -> bool {
    let ends_after_start = range.end.is_none_or(|end| end.saturating_add(1) >= range.start);
    let within_total = match (range.end, range.total) {
        (Some(end), Some(total)) => end <= total,
        _ => true,
    };
    range.start >= 1 && ends_after_start && within_total
}

/// Whether a SEND without body can mean the end of a message: it gives it up, or its place is behind the first octet.
fn ends_message(frame: &Frame) -> bool {
    frame.flag == Flag::Abort || frame.headers.byte_range.is_some_and(|range| range.start > 1)
}

fn chunk(id: MessageId, frame: Frame, body: Bytes, range: Option<ByteRange>, origin: &Origin) -> Chunk {
    Chunk {
        id,
        start: range.map_or(1, |range| range.start),
        total: range.and_then(|range| range.total),
        body,
        flag: frame.flag,
        success_report: frame.headers.success_report.unwrap_or(false),
        failure_report: frame.failure_report(),
        content_type: frame.headers.content_type.unwrap_or_default(),
        origin: origin.clone(),
    }
}
