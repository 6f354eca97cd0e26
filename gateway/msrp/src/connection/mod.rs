//! One transport connection and the sessions on it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use bytes::{Buf, BytesMut};

use crate::{
    Limits, SessionId, Status,
    frame::{Decoder, Fault, Frame, Headers, Kind, Method, TransactionId},
};

mod authorization;
mod congestion;
mod numbered;
mod outbox;
mod reassembly;
mod reports;
mod round;
mod session;
mod transactions;
mod vocabulary;
mod wire;

use authorization::Authorization;
use outbox::Place;
use session::Session;
pub use vocabulary::{
    AnswerDue, Command, Event, FailureReport, IncomingMessage, Lane, LostCause, MessageTag, OutgoingMessage,
    ReportBody, SessionParameters,
};
use wire::{Asked, Deadline, Origin, Wire};

/// Octets of room that an idle connection keeps for responses.
const KEPT: usize = 4096;

/// One transport connection that carries any number of MSRP sessions.
///
/// Contract: call `handle_*` with what happened, then take `poll_event` until `None`, then `poll_transmit` until it
/// returns `false`, then `poll_timeout` for the next instant at which `handle_timeout` is due. `handle_*` is total. After
/// [`Event::Faulted`] or [`Event::Closed`] the transport must be closed once `poll_transmit` is drained.
///
/// `poll_transmit` may give rise to events ([`Event::Delivered`] without failure reports, [`Event::Closed`]): `poll_timeout` is then
/// due at once. An owner that wants back-pressure stops reading from the peer while `outgoing_octets` is high.
///
/// ```
/// use std::time::Instant;
/// use bytes::{Bytes, BytesMut};
/// use msrp::{
///     Command, Connection, Event, FailureReport, Lane, Limits, MessageTag, OutgoingMessage, Path, SessionParameters, Status,
/// };
///
/// // The paths that the two ends told each other in SDP.
/// let romeo: Path = "msrp://romeo.example.org:2855/s7d3kjh5;tcp".parse()?;
/// let room: Path = "msrp://rooms.example.com:2855/k2j4hk92;tcp".parse()?;
/// let session = romeo.last().session().cloned().ok_or("no session-id")?;
///
/// let now = Instant::now();
/// let mut client = Connection::new(Limits::default(), [1; 32]);
/// let mut switch = Connection::new(Limits::default(), [2; 32]);
/// client.handle_command(Command::Open(SessionParameters { local: romeo.clone(), remote: room.clone() }), now);
/// let message = OutgoingMessage {
///     tag: MessageTag(1),
///     id: "4564dpWd".parse()?,
///     content_type: "text/plain",
///     body: Bytes::from_static(b"Art thou not Romeo?"),
///     success_report: false,
///     failure_report: FailureReport::Yes,
///     lane: Lane::default(),
/// };
/// client.handle_command(Command::Send { session, message }, now);
///
/// // A shell would carry these octets over TCP.
/// let mut wire = BytesMut::new();
/// while client.poll_transmit(&mut wire, 4096, now) {}
/// switch.handle_bytes(&wire, now);
///
/// let Some(Event::BindRequested { .. }) = switch.poll_event() else { return Err("no request".into()) };
/// switch.handle_command(Command::Bind(SessionParameters { local: room, remote: romeo }), now);
/// let Some(Event::Received { message, due, .. }) = switch.poll_event() else { return Err("no message".into()) };
/// assert_eq!(message.body, "Art thou not Romeo?");
/// switch.handle_command(Command::Answer { due, status: Status::OK }, now);
///
/// wire.clear();
/// while switch.poll_transmit(&mut wire, 4096, now) {}
/// client.handle_bytes(&wire, now);
/// assert!(matches!(client.poll_event(), Some(Event::Opened { .. })));
/// assert!(matches!(client.poll_event(), Some(Event::Delivered { tag: MessageTag(1), .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Connection {
    wire: Wire,
    decoder: Decoder,
    phase: Phase,
    sessions: BTreeMap<SessionId, Entry>,
    ended: Ended,
    /// Sessions with chunks to send, the next one first.
    turns: VecDeque<SessionId>,
    /// When events arose that the owner was not told to expect.
    unannounced: Option<Instant>,
    /// Paths through relays, by the session that they are for.
    authorizations: BTreeMap<SessionId, Authorization>,
    /// Whether more waits for the peer than the lower mark allows, after it passed the upper one.
    congested: bool,
    /// Whether TLS is around it.
    secured: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// After [`Command::Close`]: ends when nothing is queued.
    Closing,
    /// After [`Event::Closed`] or [`Event::Faulted`].
    Ended,
}

enum Entry {
    /// Asked for with [`Event::BindRequested`].
    Waiting(Waiting),
    Bound(Box<Session>),
}

/// Frames for a session that is not bound yet.
#[derive(Default)]
struct Waiting {
    frames: Vec<Frame>,
    octets: usize,
}

/// Sessions that are over, with the status that further requests get.
#[derive(Default)]
struct Ended {
    statuses: BTreeMap<SessionId, Status>,
    order: VecDeque<SessionId>,
}

impl Connection {
    /// A connection whose identifiers come from `seed`.
    #[must_use]
    pub fn new(limits: Limits, seed: [u8; 32]) -> Self {
        Self {
            decoder: Decoder::new(&limits),
            wire: Wire::new(limits, seed),
            phase: Phase::Open,
            sessions: BTreeMap::new(),
            ended: Ended::default(),
            turns: VecDeque::new(),
            unannounced: None,
            authorizations: BTreeMap::new(),
            congested: false,
            secured: false,
        }
    }

    /// The same with TLS around it: sessions are asked for by `msrps` URIs, and elsewhere by no others (RFC 4975 §6).
    #[must_use]
    pub fn secured(self) -> Self {
        Self {
            secured: true,
            ..self
        }
    }

    /// Bytes that arrived, cut anywhere.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        if self.phase == Phase::Ended {
            return;
        }
        self.decoder.push(bytes);
        while let Some(frame) = self.decoder.next_frame() {
            match frame {
                Ok(frame) => self.handle_frame(frame, now),
                Err(fault) => return self.fault(fault),
            }
            if self.wire.control.len() > self.wire.limits.outgoing {
                let offset = self.decoder.offset();
                return self.fault(Fault {
                    rule: "Limits::outgoing: the peer leaves responses unread",
                    offset,
                    ends_connection: true,
                });
            }
        }
        self.watch_congestion();
        self.close_if_drained();
    }

    /// The transport ended: every session is lost, every pending message failed.
    pub fn handle_closed(&mut self, _now: Instant) {
        if self.phase != Phase::Ended {
            self.lose_all(LostCause::Disconnected);
            self.wire.emit(Event::Closed);
            self.phase = Phase::Ended;
        }
        self.wire.control.clear();
    }

    /// A command of the owner.
    pub fn handle_command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Bind(parameters) => self.bind(parameters, now),
            Command::RefuseBind { session, status } => self.refuse(&session, status),
            Command::Open(parameters) => self.open(parameters, now),
            Command::Send { session, message } => self.send(session, message, Place::Last),
            Command::Interject { session, message } => self.send(session, message, Place::Interjected),
            Command::Abort { session, tag } => {
                if let Ok((bound, wire)) = self.bound(&session) {
                    bound.abort(tag, wire, now);
                }
            }
            Command::Authorize(parameters) => self.authorize(parameters, now),
            Command::Nickname {
                session,
                tag,
                nickname,
            } => match self.bound(&session) {
                Ok((bound, wire)) => bound.nickname(tag, &nickname, wire, now),
                Err(status) => self.wire.emit(Event::NicknameAnswered { session, tag, status }),
            },
            Command::Answer { due, status } => {
                if let Ok((bound, wire)) = self.bound(&due.session) {
                    bound.answer(due.transaction, status, due.report.as_ref(), wire);
                }
            }
            Command::Report {
                session,
                message,
                octets,
                status,
                body,
            } => {
                if let Ok((bound, wire)) = self.bound(&session) {
                    bound.report(message, octets, status, body.as_ref(), wire);
                }
            }
            Command::Unbind(session) => {
                self.end_authorization(&session);
                self.end_session(&session, Status::NO_SESSION);
            }
            Command::Close => {
                if self.phase == Phase::Open {
                    self.phase = Phase::Closing;
                    self.close_if_drained();
                }
            }
        }
        self.watch_congestion();
    }

    /// The instant that `poll_timeout` named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.unannounced = None;
        while let Some(deadline) = self.wire.take_due(now) {
            match deadline {
                Deadline::Transaction(transaction) => self.answered(&transaction, None, now),
                Deadline::Renewal(id) => self.renewal_due(&id, now),
                Deadline::Reception(id) => {
                    if let Ok((bound, wire)) = self.bound(&id) {
                        bound.reception_timed_out(wire, now);
                    }
                }
            }
        }
        self.watch_congestion();
        self.close_if_drained();
    }

    /// Appends up to roughly `budget` octets to `out`; `false` when there is nothing to send. Sessions take turns chunk by chunk,
    /// and so do the messages of one, as [`Lane`] says; responses overtake message chunks. A chunk is never split, so that `out` may grow by up to
    /// [`Limits::chunk_out`] more than the budget, and by one chunk at least if there is one to send.
    pub fn poll_transmit(&mut self, out: &mut BytesMut, budget: usize, now: Instant) -> bool {
        let before = out.len();
        let full = before.saturating_add(budget.max(1));
        let events = self.wire.events.len();
        let control = self.wire.control.len().min(budget.max(1));
        out.extend_from_slice(self.wire.control.get(..control).unwrap_or_default());
        self.wire.control.advance(control);
        while self.wire.control.is_empty() && out.len() < full {
            let Some(id) = self.turns.pop_front() else { break };
            let Some(Entry::Bound(session)) = self.sessions.get_mut(&id) else {
                continue;
            };
            if session.is_ready(&self.wire) {
                session.write_chunk(&mut self.wire, out, now);
            }
            session.in_turn = session.is_ready(&self.wire);
            if session.in_turn {
                self.turns.push_back(id);
            }
        }
        if self.wire.control.is_empty() && self.wire.control.capacity() > KEPT {
            self.wire.control = BytesMut::new();
        }
        self.watch_congestion();
        self.close_if_drained();
        if self.wire.events.len() > events {
            self.unannounced = Some(now);
        }
        out.len() > before
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.wire.events.pop_front();
        if event.is_none() {
            self.unannounced = None;
        }
        event
    }

    /// When `handle_timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.unannounced.or_else(|| self.wire.next_deadline())
    }

    /// Octets queued for sending: responses, and messages counted as in [`Limits::outgoing`].
    #[must_use]
    pub fn outgoing_octets(&self) -> usize {
        self.wire.control.len() + self.wire.queued
    }

    /// Octets held of what the peer sent: an unfinished frame, incomplete messages, frames that wait for [`Command::Bind`]. It adds
    /// up all sessions.
    #[must_use]
    pub fn incoming_octets(&self) -> usize {
        let of_sessions = self.sessions.values().map(|entry| match entry {
            Entry::Waiting(waiting) => waiting.octets,
            Entry::Bound(session) => session.incoming_octets(),
        });
        self.decoder.held() + of_sessions.sum::<usize>()
    }

    fn handle_frame(&mut self, frame: Frame, now: Instant) {
        match &frame.kind {
            Kind::Response(status) => {
                // RFC 4975 §10 defines no provisional responses.
                if status.code() >= 200 {
                    self.answered(&frame.transaction, Some((*status, &frame.headers)), now);
                }
            }
            Kind::Request(Method::Report) => self.reported(&frame),
            // AUTH is for relays.
            Kind::Request(Method::Auth | Method::Other(_)) => self.answer(&frame, Status::UNKNOWN_METHOD),
            Kind::Request(method @ (Method::Send | Method::Nickname)) => {
                let method = method.clone();
                self.requested(frame, &method, now);
            }
        }
    }

    /// A SEND or NICKNAME.
    fn requested(&mut self, frame: Frame, method: &Method, now: Instant) {
        let [uri] = frame.to.hops() else {
            return self.answer(&frame, Status::NO_SESSION);
        };
        let Some(id) = uri.session().cloned() else {
            return self.answer(&frame, Status::NO_SESSION);
        };
        if uri.is_secure() != self.secured {
            return self.answer(&frame, Status::NO_SESSION);
        }
        let weight = frame.weight();
        match self.sessions.get_mut(&id) {
            Some(Entry::Bound(session)) => {
                session.handle_request(frame, method, &mut self.wire, now);
            }
            Some(Entry::Waiting(waiting))
                if waiting.octets + weight <= self.wire.limits.reassembly
                    && self.wire.incoming + weight <= self.wire.limits.incoming =>
            {
                waiting.octets += weight;
                self.wire.incoming += weight;
                waiting.frames.push(frame);
            }
            Some(Entry::Waiting(_)) => self.answer(&frame, Status::STOP_SENDING),
            None => self.bind_requested(id, frame),
        }
    }

    fn bind_requested(&mut self, id: SessionId, frame: Frame) {
        if let Some(status) = self.ended.statuses.get(&id) {
            return self.answer(&frame, *status);
        }
        if self.phase != Phase::Open || self.sessions.len() >= self.wire.limits.sessions {
            return self.answer(&frame, Status::NO_SESSION);
        }
        let octets = frame.weight();
        if self.wire.incoming + octets > self.wire.limits.incoming {
            return self.answer(&frame, Status::STOP_SENDING);
        }
        self.wire.incoming += octets;
        self.wire.emit(Event::BindRequested {
            session: id.clone(),
            from: frame.from.clone(),
        });
        self.sessions.insert(
            id,
            Entry::Waiting(Waiting {
                frames: vec![frame],
                octets,
            }),
        );
    }

    /// Answers a request that no session takes.
    fn answer(&mut self, frame: &Frame, status: Status) {
        self.wire.answer(&Origin::of(frame), frame.to.last(), status);
    }

    fn reported(&mut self, frame: &Frame) {
        let Some(id) = frame.to.last().session() else {
            return;
        };
        let Some(Entry::Bound(session)) = self.sessions.get_mut(id) else {
            return;
        };
        let status = frame.headers.status.and_then(|status| status.known());
        let (Some(message), Some(status)) = (frame.headers.message_id, status) else {
            return;
        };
        session.reported(message, status, &mut self.wire);
        let id = id.clone();
        if ends_session(status) {
            self.lose(&id, LostCause::Rejected(status), status);
        } else {
            self.take_turn(&id);
        }
    }

    /// A response, or `None` when its time is over.
    fn answered(&mut self, transaction: &TransactionId, response: Option<(Status, &Headers)>, now: Instant) {
        let Some(settled) = self.wire.settle(transaction) else {
            return;
        };
        if matches!(settled.asked, Asked::Authorization) {
            return self.relay_answered(&settled, response, now);
        }
        let response = response.map(|(status, _)| status);
        let id = settled.session;
        let Some(Entry::Bound(session)) = self.sessions.get_mut(&id) else {
            return;
        };
        if session.generation != settled.generation {
            return;
        }
        let status = response.unwrap_or(Status::TIMEOUT);
        let silent = response.is_none();
        match settled.asked {
            Asked::Open if status.is_success() => self.wire.emit(Event::Opened { session: id }),
            Asked::Open if silent => self.lose(&id, LostCause::Silent, status),
            Asked::Open => self.lose(&id, LostCause::Rejected(status), status),
            Asked::Nickname => session.nickname_answered(transaction, status, &mut self.wire),
            Asked::Chunk { message } => {
                session.chunk_answered(message, status, &mut self.wire);
                if silent {
                    self.lose(&id, LostCause::Silent, status);
                } else if ends_session(status) {
                    self.lose(&id, LostCause::Rejected(status), status);
                } else {
                    self.take_turn(&id);
                }
            }
            Asked::Authorization => {}
            Asked::PartialChunk { .. } if silent => {}
            Asked::PartialChunk {
                message,
                id: message_id,
            } => {
                session.partial_chunk_answered(message, message_id, status, &mut self.wire);
                if ends_session(status) {
                    self.lose(&id, LostCause::Rejected(status), status);
                } else {
                    self.take_turn(&id);
                }
            }
        }
    }

    fn bind(&mut self, parameters: SessionParameters, now: Instant) {
        let Some(id) = parameters.local.last().session().cloned() else {
            return;
        };
        if self.phase == Phase::Ended {
            return self.wire.emit(Event::Lost {
                session: id,
                cause: LostCause::Disconnected,
            });
        }
        match self.sessions.get_mut(&id) {
            Some(Entry::Bound(session)) => session.replace(parameters),
            Some(Entry::Waiting(waiting)) => {
                let frames = std::mem::take(&mut waiting.frames);
                self.wire.incoming = self.wire.incoming.saturating_sub(waiting.octets);
                self.establish(&id, parameters);
                for frame in frames {
                    self.handle_frame(frame, now);
                }
            }
            None => self.establish(&id, parameters),
        }
    }

    fn open(&mut self, parameters: SessionParameters, now: Instant) {
        self.bind(parameters.clone(), now);
        let Some(id) = parameters.local.last().session() else {
            return;
        };
        if let Some(Entry::Bound(session)) = self.sessions.get_mut(id) {
            session.open(&mut self.wire, now);
        }
    }

    fn establish(&mut self, id: &SessionId, parameters: SessionParameters) {
        let session = Session::new(id.clone(), parameters, &mut self.wire);
        self.sessions.insert(id.clone(), Entry::Bound(Box::new(session)));
        self.ended.forget(id);
    }

    fn refuse(&mut self, id: &SessionId, status: Status) {
        if matches!(self.sessions.get(id), Some(Entry::Waiting(_))) {
            self.end_session(id, status);
        }
    }

    fn send(&mut self, id: SessionId, message: OutgoingMessage, place: Place) {
        match self.bound(&id) {
            Ok((bound, wire)) => {
                bound.send(message, place, wire);
                self.take_turn(&id);
                self.tell_congestion(&id);
            }
            Err(status) => self.wire.emit(Event::Failed {
                session: id,
                tag: message.tag,
                status,
            }),
        }
    }

    /// A bound session, or why there is none.
    fn bound(&mut self, id: &SessionId) -> Result<(&mut Session, &mut Wire), Status> {
        match self.sessions.get_mut(id) {
            Some(Entry::Bound(session)) => Ok((session, &mut self.wire)),
            _ if self.phase == Phase::Ended => Err(Status::CONNECTION_LOST),
            _ => Err(Status::NO_SESSION),
        }
    }

    /// Puts a session with something to send at the end of the round.
    fn take_turn(&mut self, id: &SessionId) {
        if let Some(Entry::Bound(session)) = self.sessions.get_mut(id)
            && !session.in_turn
            && session.is_ready(&self.wire)
        {
            session.in_turn = true;
            self.turns.push_back(id.clone());
        }
    }

    fn lose(&mut self, id: &SessionId, cause: LostCause, status: Status) {
        self.end_session(id, status);
        self.wire.emit(Event::Lost {
            session: id.clone(),
            cause,
        });
    }

    /// Ends a session: what the peer still waits for is answered, what we asked for fails with `status`.
    fn end_session(&mut self, id: &SessionId, status: Status) {
        match self.sessions.remove(id) {
            Some(Entry::Bound(session)) => {
                self.turns.retain(|turn| turn != id);
                session.end(status, &mut self.wire);
                self.ended
                    .add(id.clone(), Status::NO_SESSION, self.wire.limits.sessions);
            }
            Some(Entry::Waiting(waiting)) => {
                self.wire.incoming = self.wire.incoming.saturating_sub(waiting.octets);
                for frame in waiting.frames {
                    self.wire.answer(&Origin::of(&frame), frame.to.last(), status);
                }
                self.ended.add(id.clone(), status, self.wire.limits.sessions);
            }
            None => {}
        }
    }

    fn fault(&mut self, fault: Fault) {
        self.lose_all(LostCause::Malformed);
        self.wire.emit(Event::Faulted(fault));
        self.phase = Phase::Ended;
    }

    fn lose_all(&mut self, cause: LostCause) {
        for (id, entry) in std::mem::take(&mut self.sessions) {
            if let Entry::Bound(session) = entry {
                session.end(Status::CONNECTION_LOST, &mut self.wire);
            }
            self.wire.emit(Event::Lost { session: id, cause });
        }
        self.turns.clear();
        self.authorizations.clear();
        self.wire.end();
    }

    fn close_if_drained(&mut self) {
        if self.phase != Phase::Closing || self.outgoing_octets() > 0 {
            return;
        }
        for entry in std::mem::take(&mut self.sessions).into_values() {
            if let Entry::Bound(session) = entry {
                session.end(Status::CONNECTION_LOST, &mut self.wire);
            }
        }
        self.turns.clear();
        self.authorizations.clear();
        self.wire.end();
        self.wire.emit(Event::Closed);
        self.phase = Phase::Ended;
    }
}

impl Ended {
    /// Remembers a session, for the oldest one that would be more than `limit`.
    fn add(&mut self, id: SessionId, status: Status, limit: usize) {
        if self.statuses.insert(id.clone(), status).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.statuses.remove(&oldest);
        }
    }

    fn forget(&mut self, id: &SessionId) {
        if self.statuses.remove(id).is_some() {
            self.order.retain(|ended| ended != id);
        }
    }
}

/// RFC 4975 §10.8, §10.10: the session cannot go on over this connection.
fn ends_session(status: Status) -> bool {
    status == Status::NO_SESSION || status == Status::BOUND_ELSEWHERE
}
