//! The switch: sessions, nicknames, messages (RFC 7701).

use std::time::Instant;

use msrp::{
    AnswerDue, Command, Event as MsrpEvent, FailureReport, IncomingMessage, MessageId, MessageTag,
    OutgoingMessage, Path, SessionId, SessionParameters, Status,
    cpim::{self, Cpim},
};
use sip::Uri;

use super::{ConnectionId, Request, Seat, Server};
use crate::{
    event::Event,
    message::Said,
    room::{NicknameFault, ParticipantId},
    watch::Seen,
};

impl Server {
    /// What a connection asks, or says of itself.
    pub(super) fn on_connection(&mut self, id: ConnectionId, event: MsrpEvent, now: Instant) {
        match event {
            MsrpEvent::BindRequested { session, from } => self.bind_requested(id, session, &from, now),
            _ => self.requests.push_back(Request::Close(id)),
        }
    }

    pub(super) fn on_msrp(&mut self, event: MsrpEvent, now: Instant) {
        match event {
            MsrpEvent::NicknameRequested {
                session,
                nickname,
                due,
            } => self.nickname_requested(&session, &nickname, due, now),
            MsrpEvent::Received {
                session,
                message,
                due,
            } => self.received(&session, &message, due, now),
            MsrpEvent::Opened { session } => self.bound(&session, now),
            MsrpEvent::Lost { session, .. } => {
                if let Some(seat) = self.by_session.get(&session).cloned() {
                    self.remove(&seat, Some("MSRP session lost"), "lost", now);
                }
            }
            MsrpEvent::Failed { session, status, .. } => {
                let code = status.code();
                self.tell_of(&session, |room, uri| Event::Undelivered { room, uri, code });
            }
            MsrpEvent::Reported { session, status, .. } => {
                let code = status.code();
                self.tell_of(&session, |room, uri| Event::Reported { room, uri, code });
            }
            // Handled with their connection, or about what we never ask for.
            MsrpEvent::BindRequested { .. }
            | MsrpEvent::NicknameAnswered { .. }
            | MsrpEvent::Delivered { .. }
            | MsrpEvent::Congested { .. }
            | MsrpEvent::Eased { .. }
            | MsrpEvent::Authorized { .. }
            | MsrpEvent::Unauthorized { .. }
            | MsrpEvent::Faulted(_)
            | MsrpEvent::Closed => {}
        }
    }

    fn bind_requested(&mut self, id: ConnectionId, session: SessionId, from: &Path, now: Instant) {
        let seat = self.by_session.get(&session).cloned();
        let call = seat.as_ref().and_then(|seat| self.call(seat));
        let answer = match call {
            Some(call) if call.connection.is_some() => Err(Status::BOUND_ELSEWHERE),
            Some(call) if call.remote == *from => Ok(call.parameters()),
            _ => Err(Status::NO_SESSION),
        };
        let command = match answer {
            Ok(parameters) => {
                self.set_connection(&session, id);
                Command::Bind(parameters)
            }
            Err(status) => Command::RefuseBind {
                session: session.clone(),
                status,
            },
        };
        let is_bound = matches!(command, Command::Bind(_));
        self.link_command(id, command, now);
        if is_bound {
            self.bound(&session, now);
        }
    }

    /// The connection to a participant of ours who waits for us to connect.
    pub(super) fn open_sessions(&mut self, id: ConnectionId, now: Instant) {
        let waiting: Vec<Seat> = self.by_session.values().cloned().collect();
        for seat in waiting {
            let Some(call) = self.call(&seat).filter(|call| call.connection == Some(id)) else {
                continue;
            };
            let parameters = call.parameters();
            self.link_command(id, Command::Open(parameters), now);
        }
    }

    pub(super) fn set_connection(&mut self, session: &SessionId, id: ConnectionId) {
        let Some(seat) = self.by_session.get(session).cloned() else {
            return;
        };
        if let Some(call) = self
            .participant_mut(&seat)
            .and_then(|participant| participant.call.as_mut())
        {
            call.connection = Some(id);
        }
    }

    /// A session is open: its user hears the welcome and what was said before he came.
    fn bound(&mut self, session: &SessionId, now: Instant) {
        let Some(seat) = self.by_session.get(session).cloned() else {
            return;
        };
        self.tell_of(session, |room, uri| Event::Bound { room, uri });
        if let Some((id, parameters)) = self
            .call(&seat)
            .and_then(|call| Some((call.connection?, call.parameters())))
            && let Some(link) = self.links.get_mut(&id)
        {
            link.watch.add(parameters, now);
        }
        let Some(room) = self.rooms.get(&seat.0) else {
            return;
        };
        let uri = room.uri.to_string();
        let welcome = self.options.rooms.welcome.as_deref();
        let welcome = welcome.map(|text| Said::text(None, uri.clone(), uri, text));
        let history = room.history.iter().cloned();
        let waiting: Vec<Said> = welcome.into_iter().chain(history).collect();
        for said in waiting {
            self.pass_on(&seat.0, &[seat.1], &said, now);
        }
    }

    fn nickname_requested(&mut self, session: &SessionId, nickname: &str, due: AnswerDue, now: Instant) {
        let Some(seat) = self.by_session.get(session).cloned() else {
            return;
        };
        let outcome = self.set_nickname(&seat, nickname);
        let status = match outcome {
            Ok(()) => Status::OK,
            Err(status) => status,
        };
        self.answer(due, status, now);
        let granted = self
            .participant(&seat)
            .and_then(|participant| participant.nickname.clone());
        self.tell_of(session, |room, uri| match outcome {
            Ok(()) => Event::Nickname {
                room,
                uri,
                nickname: granted,
            },
            Err(status) => Event::NicknameRefused {
                room,
                uri,
                nickname: nickname.to_owned(),
                code: status.code(),
            },
        });
        if outcome.is_ok() {
            self.room_changed(&seat.0, now);
        }
    }

    /// RFC 7701 §7.1, §7.2; an empty one gives the present one back.
    fn set_nickname(&mut self, seat: &Seat, nickname: &str) -> Result<(), Status> {
        let quirks = &self.options.quirks;
        if quirks.no_nicknames {
            return Err(Status::FORBIDDEN);
        }
        let Some(room) = self.rooms.get_mut(&seat.0) else {
            return Err(Status::NO_SESSION);
        };
        if nickname.is_empty() {
            if let Some(participant) = room.participants.get_mut(&seat.1) {
                participant.nickname = None;
            }
        } else {
            let written = if quirks.unquoted_nicknames {
                format!("\"{nickname}\"")
            } else {
                nickname.to_owned()
            };
            let named = room.name(seat.1, &written, &quirks.nickname_taken);
            named.map_err(|fault| match fault {
                NicknameFault::Malformed => Status::MALFORMED_NICKNAME,
                NicknameFault::Taken => Status::NICKNAME_IN_USE,
            })?;
        }
        room.set_entity(seat.1, self.options.rooms.entities);
        Ok(())
    }

    fn received(&mut self, session: &SessionId, message: &IncomingMessage, due: AnswerDue, now: Instant) {
        let Some(seat) = self.by_session.get(session).cloned() else {
            return;
        };
        if self.options.quirks.mute_switch {
            return; // the obligation is never met
        }
        match self.judge(&seat, message) {
            Ok(Verdict::Dropped) => self.answer(due, Status::OK, now),
            Ok(Verdict::Accepted(accepted)) => {
                self.answer(due, Status::OK, now);
                self.accept(&seat, *accepted, now);
            }
            Err(status) => {
                self.answer(due, status, now);
                self.tell_of(session, |room, uri| Event::MessageRefused {
                    room,
                    uri,
                    code: status.code(),
                });
            }
        }
    }

    /// RFC 7701 §6.1 to §6.3: who may say what to whom.
    fn judge(&self, seat: &Seat, message: &IncomingMessage) -> Result<Verdict, Status> {
        let quirks = &self.options.quirks;
        if let Some(code) = quirks.refuse_send {
            return Err(Status::from_code(code));
        }
        let bare = message.content_type.split(';').next().unwrap_or_default().trim();
        if !bare.eq_ignore_ascii_case(cpim::CONTENT_TYPE) {
            return Err(Status::UNSUPPORTED_MEDIA);
        }
        let cpim = Cpim::parse(&message.body).map_err(|_| Status::BAD_REQUEST)?;
        let room = self.rooms.get(&seat.0).ok_or(Status::NO_SESSION)?;
        let sender = room.participants.get(&seat.1).ok_or(Status::NO_SESSION)?;
        let from = cpim
            .from
            .as_ref()
            .map(|from| from.uri.as_str())
            .unwrap_or_default();
        if quirks.strict_from && from != sender.uri.to_string() {
            return Ok(Verdict::Dropped);
        }
        let is_his = from.parse().is_ok_and(|from: Uri| {
            from.address_of_record() == sender.uri
                || sender.entity.parse().is_ok_and(|entity: Uri| entity == from)
        });
        let [to] = cpim.to.as_slice() else {
            return Err(Status::FORBIDDEN);
        };
        if !is_his {
            return Err(Status::FORBIDDEN);
        }
        let to: Uri = to.uri.parse().map_err(|_| Status::NOT_FOUND)?;
        let (name, entity) = (sender.shown().map(str::to_owned), sender.entity.clone());
        if to == room.uri {
            let others = room.participants.keys().filter(|id| **id != seat.1);
            return Ok(Verdict::Accepted(Box::new(Accepted {
                recipients: others.copied().collect(),
                said: Said::passed_on(cpim, name, entity, room.uri.to_string()),
                to: None,
            })));
        }
        let recipients = room.named_by(&to);
        let takes_private = |id: &ParticipantId| {
            let recipient = room.participants.get(id);
            let call = recipient.and_then(|recipient| recipient.call.as_ref());
            call.is_none_or(|call| call.chatroom.private_messages)
        };
        if recipients.is_empty() {
            return Err(Status::NOT_FOUND);
        }
        if quirks.no_private_messages || !recipients.iter().any(takes_private) {
            return Err(Status::PRIVATE_UNSUPPORTED);
        }
        Ok(Verdict::Accepted(Box::new(Accepted {
            said: Said::passed_on(cpim, name, entity, to.to_string()),
            to: Some(to.to_string()),
            recipients,
        })))
    }

    fn accept(&mut self, seat: &Seat, accepted: Accepted, now: Instant) {
        let Accepted { said, to, recipients } = accepted;
        let uri = self.participant(seat).map(|sender| sender.uri.to_string());
        self.tell(Event::Message {
            room: seat.0.clone(),
            uri: uri.unwrap_or_default(),
            from: said.name.clone(),
            to: to.clone(),
            text: String::from_utf8_lossy(&said.content).into_owned(),
        });
        self.pass_on(&seat.0, &recipients, &said, now);
        if to.is_none() {
            self.remember(&seat.0, said);
        }
    }

    pub(super) fn remember(&mut self, room: &str, said: Said) {
        let most = self.options.rooms.history;
        if let Some(room) = self.rooms.get_mut(room) {
            room.remember(said, most);
        }
    }

    /// A copy to each of them who can be reached and takes its type.
    pub(super) fn pass_on(&mut self, room: &str, recipients: &[ParticipantId], said: &Said, now: Instant) {
        let body = said.body(self.options.quirks.lax_cpim);
        for id in recipients {
            let seat = (room.to_owned(), *id);
            let Some((connection, session)) = self
                .call(&seat)
                .filter(|call| call.wrapped.accepts(&said.content_type))
                .and_then(|call| Some((call.connection?, call.session.clone())))
            else {
                continue;
            };
            let message = OutgoingMessage {
                tag: MessageTag(self.number()),
                id: MessageId::random(&mut self.rng),
                content_type: cpim::CONTENT_TYPE,
                body: body.clone(),
                success_report: self.options.quirks.success_reports,
                failure_report: FailureReport::Yes,
                lane: msrp::Lane::default(),
            };
            self.link_command(connection, Command::Send { session, message }, now);
        }
    }

    /// A session is renegotiated.
    pub(super) fn redirect_session(&mut self, seat: &Seat, local: Path, remote: Path, now: Instant) {
        let Some(call) = self
            .participant_mut(seat)
            .and_then(|participant| participant.call.as_mut())
        else {
            return;
        };
        if call.remote == remote {
            return;
        }
        call.remote = remote;
        call.local = local;
        let (former, session) = (call.connection.take(), call.session.clone());
        self.unbind(former, session, now);
    }

    /// Ends a session on its connection.
    pub(super) fn unbind(&mut self, connection: Option<ConnectionId>, session: SessionId, now: Instant) {
        if let Some(id) = connection {
            if let Some(link) = self.links.get_mut(&id) {
                link.watch.remove(&session);
            }
            self.link_command(id, Command::Unbind(session), now);
        }
    }

    pub(super) fn keep_alive(&mut self, now: Instant) {
        let seen: Vec<Seen> = self
            .links
            .values_mut()
            .flat_map(|link| link.watch.handle_timeout(now))
            .collect();
        self.watched(seen, now);
    }

    /// What has been seen on the wire.
    pub(super) fn watched(&mut self, seen: Vec<Seen>, now: Instant) {
        for seen in seen {
            match seen {
                Seen::KeptAlive(session) => {
                    self.tell_of(&session, |room, uri| Event::KeptAlive { room, uri });
                }
                Seen::Silent(session) => self.end_session(&session, "keep-alive not answered", now),
                Seen::Chunked(session) => self.end_session(&session, "a message in several chunks", now),
            }
        }
    }

    fn end_session(&mut self, session: &SessionId, why: &'static str, now: Instant) {
        if let Some(seat) = self.by_session.get(session).cloned() {
            self.remove(&seat, Some(why), "lost", now);
        }
    }

    fn answer(&mut self, due: AnswerDue, status: Status, now: Instant) {
        let seat = self.by_session.get(due.session());
        let connection = seat
            .and_then(|seat| self.call(seat))
            .and_then(|call| call.connection);
        if let Some(id) = connection {
            self.link_command(id, Command::Answer { due, status }, now);
        }
    }

    pub(super) fn link_command(&mut self, id: ConnectionId, command: Command, now: Instant) {
        if let Some(link) = self.links.get_mut(&id) {
            link.machine.handle_command(command, now);
        }
    }

    /// Tells something of whom a session belongs to.
    fn tell_of(&mut self, session: &SessionId, event: impl FnOnce(String, String) -> Event) {
        let seat = self.by_session.get(session).cloned();
        if let Some(seat) = seat
            && let Some(participant) = self.participant(&seat)
        {
            let uri = participant.uri.to_string();
            self.tell(event(seat.0, uri));
        }
    }
}

/// What becomes of a message that is not refused.
enum Verdict {
    /// Nothing, and its sender does not learn of it.
    Dropped,
    Accepted(Box<Accepted>),
}

/// A message on its way.
struct Accepted {
    said: Said,
    /// Whom a private one is for.
    to: Option<String>,
    recipients: Vec<ParticipantId>,
}

impl crate::room::Call {
    fn parameters(&self) -> SessionParameters {
        SessionParameters {
            local: self.local.clone(),
            remote: self.remote.clone(),
        }
    }
}
