//! RFC 7702 §6.3: messages between a SIP user and his room, public (§6.3.1) and private (§6.3.2).

use std::time::Instant;

use jiff::Timestamp;
use msrp::{
    AnswerDue, IncomingMessage, Lane, SessionId, Status,
    cpim::{Address, Cpim},
    iscomposing::{self, IsComposing},
};
use sip::{Uri, message::multipart};
use xmpp::{
    Jid, Unsent,
    stanza::{Condition, Iq, IqKind, Message, MessageKind, Outgoing},
};

use crate::{
    ConnectionId, Gateway, OutageRule,
    address::normalized,
    offer::media_type,
    refusal::Refusal,
    rendering,
    session::{Held, Media, Phase, PrivateSender, SentPrivately, SessionKey, Unreflected},
    timers::Timer,
};

/// To whom a SIP user speaks.
enum Addressee {
    Room,
    /// One, or one user under each of his nicknames.
    Occupants(Vec<String>),
}

/// What he says to them.
enum Content {
    Text(String),
    /// That he is writing, or not.
    Typing(IsComposing),
}

// From the SIP user to the room.
impl Gateway {
    /// F44, F48: a SEND of the user.
    pub(crate) fn sent_by_user(
        &mut self,
        connection: ConnectionId,
        id: &SessionId,
        message: &IncomingMessage,
        due: AnswerDue,
        now: Instant,
    ) {
        let Some(key) = self.session_on(connection, id) else {
            return self.answer(connection, due, Status::NO_SESSION);
        };
        match self.read_message(key, message) {
            Ok((addressee, Content::Typing(status))) => {
                if let Some(to) = self.addressee_jid(key, &addressee) {
                    self.typing_by_user(key, to, &status, now);
                }
                self.answer(connection, due, Status::OK);
            }
            Ok((_, Content::Text(text))) if text.is_empty() => {
                // Nothing was said, so nothing can be lost.
                self.answer(connection, due, Status::OK);
            }
            Ok((Addressee::Room, Content::Text(text))) => {
                self.typing_over(key, false);
                self.say(key, text, due, now);
            }
            Ok((Addressee::Occupants(nicknames), Content::Text(text))) => {
                self.typing_over(key, false);
                let status = self.whisper_to_each(key, &nicknames, &text, message);
                self.answer(
                    connection,
                    due.report_with(SentPrivately::report_on(message)),
                    status,
                );
            }
            Err(status) => self.answer(connection, due, status),
        }
    }

    /// RFC 7701 §6.1 to §6.3, in its order: the wrapper, the sender, the recipient; then what the room can carry.
    fn read_message(
        &self,
        key: SessionKey,
        message: &IncomingMessage,
    ) -> Result<(Addressee, Content), Status> {
        let session = self.sessions.get(key).ok_or(Status::NO_SESSION)?;
        let room = self.rooms.get(&session.room).ok_or(Status::NO_SESSION)?;
        if !media_type(&message.content_type).eq_ignore_ascii_case(msrp::cpim::CONTENT_TYPE) {
            return Err(Status::UNSUPPORTED_MEDIA);
        }
        let cpim = Cpim::parse(&message.body).map_err(|_| Status::BAD_REQUEST)?;
        let uri = |address: &Address| address.uri.parse::<Uri>().map_err(|_| Status::BAD_REQUEST);
        let from = uri(cpim.from.as_ref().ok_or(Status::FORBIDDEN)?)?;
        let as_occupant = room.address.occupant(&session.nickname);
        let written = normalized(&from, &self.config).map_err(|_| Status::FORBIDDEN)?;
        if !session.who.calls_himself(&written) && from != as_occupant {
            return Err(Status::FORBIDDEN);
        }
        let to = match cpim.to.as_slice() {
            [to] => uri(to)?,
            _ => return Err(Status::FORBIDDEN),
        };
        let addressee = match room.address.addressee(&to) {
            Some(None) => Addressee::Room,
            Some(Some(nickname)) => Addressee::Occupants(vec![nickname]),
            None => {
                // RFC 7701 §6.2: also by the address of record of another participant, in every session of his.
                let user = to.address_of_record();
                let others = self.sessions.of_known_user(&session.room, &user);
                let others = others.filter_map(|key| self.sessions.get(key));
                let nicknames: Vec<_> = others.map(|other| other.nickname.clone()).collect();
                if nicknames.is_empty() {
                    return Err(Status::NOT_FOUND);
                }
                Addressee::Occupants(nicknames)
            }
        };
        let kind = media_type(&cpim.content_type);
        if self.config.occupants.typing && kind.eq_ignore_ascii_case(iscomposing::CONTENT_TYPE) {
            let status = IsComposing::parse(&cpim.content).map_err(|_| Status::BAD_REQUEST)?;
            return Ok((addressee, Content::Typing(status)));
        }
        let text = text_of(&cpim).ok_or(Status::UNSUPPORTED_MEDIA)?;
        if text.len() > self.config.limits.text {
            return Err(Refusal::TooLarge.msrp());
        }
        match (&session.phase, &addressee, self.config.outage.messages) {
            (Phase::Joined, ..) | (Phase::Out { .. }, Addressee::Room, OutageRule::Hold) => {}
            _ => return Err(Refusal::NotInRoom.msrp()),
        }
        let (most, most_octets) = self.config.limits.session_queue;
        let octets: usize = session.held.iter().map(|held| held.body.len()).sum();
        if session.unreflected.len() + session.held.len() >= most
            || octets > 0 && octets + text.len() > most_octets
        {
            return Err(Refusal::Limit("session_queue").msrp());
        }
        Ok((addressee, Content::Text(text)))
    }

    /// Where chat states go: the room, or one occupant.
    fn addressee_jid(&self, key: SessionKey, addressee: &Addressee) -> Option<Jid> {
        let room = &self.sessions.get(key)?.room;
        match addressee {
            Addressee::Room => Some(room.clone().into()),
            Addressee::Occupants(nicknames) => {
                let roster = &self.rooms.get(room)?.roster;
                let nickname = nicknames.iter().find(|nickname| roster.has(nickname))?;
                room.with_resource_str(nickname).ok().map(Into::into)
            }
        }
    }

    /// F45. The MSRP answer waits for the reflection. A room that is out of reach has to be back first.
    fn say(&mut self, key: SessionKey, body: String, due: AnswerDue, now: Instant) {
        let id = self.fresh_id();
        let timer = self.timers.start(
            now + self.config.limits.reflection,
            Timer::Reflection(key, id.clone()),
        );
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let waiting = Unreflected { due, timer };
        // What is held goes first.
        let at_once = session.held.is_empty();
        session.held.push_back(Held { id, body, waiting });
        if at_once {
            self.say_held(key);
        }
    }

    /// Sends to the room what is held for it, if the user is there.
    pub(crate) fn say_held(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        if !matches!(session.phase, Phase::Joined) {
            return;
        }
        if let Some(timer) = session.held_timer.take() {
            self.timers.cancel(timer);
        }
        let (from, to) = (session.who.jid.clone(), session.room.clone());
        let mut messages = Vec::with_capacity(session.held.len());
        for Held { id, body, waiting } in session.held.drain(..) {
            session.unreflected.insert(id.clone(), waiting);
            messages.push(Outgoing::Groupchat {
                from: from.clone(),
                to: to.clone(),
                id,
                body,
            });
        }
        for message in messages {
            self.xmpp(message);
        }
    }

    /// F50. There is no reflection: the answer goes at once, and an error that comes back becomes a REPORT.
    fn whisper_to_each(
        &mut self,
        key: SessionKey,
        nicknames: &[String],
        body: &str,
        message: &IncomingMessage,
    ) -> Status {
        let told: Vec<Status> = nicknames
            .iter()
            .map(|nickname| self.whisper(key, nickname, body.to_owned(), message))
            .collect();
        let heard = told.iter().find(|status| status.is_success());
        heard.or(told.first()).copied().unwrap_or(Status::NOT_FOUND)
    }

    fn whisper(
        &mut self,
        key: SessionKey,
        nickname: &str,
        body: String,
        message: &IncomingMessage,
    ) -> Status {
        let id = self.fresh_id();
        let Some(session) = self.sessions.get_mut(key) else {
            return Status::NO_SESSION;
        };
        if !self
            .rooms
            .get(&session.room)
            .is_some_and(|room| room.roster.has(nickname))
        {
            return Status::NOT_FOUND;
        }
        let Ok(to) = session.room.with_resource_str(nickname) else {
            return Status::NOT_FOUND;
        };
        if let Some(sent) = SentPrivately::of(&id, message) {
            sent.remember(&mut session.sent_privately);
        }
        let private = Outgoing::Private {
            from: session.who.jid.clone(),
            to,
            id,
            body,
        };
        self.xmpp(private);
        Status::OK
    }

    pub(super) fn settle_message(&mut self, key: SessionKey, id: &str, status: Status) -> bool {
        let Some(session) = self.sessions.get_mut(key) else {
            return false;
        };
        let Some(waiting) = session.unreflected.remove(id) else {
            return false;
        };
        let Media::Bound(connection) = session.media else {
            return true;
        };
        self.timers.cancel(waiting.timer);
        self.answer(connection, waiting.due, status);
        true
    }

    pub(crate) fn not_reflected_in_time(&mut self, key: SessionKey, id: &str) {
        tracing::warn!(session = key.0, "message not reflected in time");
        if let Some(session) = self.sessions.get_mut(key)
            && let Some(place) = session.held.iter().position(|held| held.id == id)
            && let Some(held) = session.held.remove(place)
        {
            session.unreflected.insert(held.id, held.waiting);
        }
        self.settle_message(key, id, Refusal::RoomSilent.msrp());
        self.ping_self(key);
    }

    fn bounced(&mut self, key: SessionKey, id: &str, condition: Condition, now: Instant) {
        let status = Refusal::Room(condition, None).msrp();
        if self.settle_message(key, id, status) {
            // The room does not know him any more: he goes back in.
            if condition == Condition::NotAcceptable {
                self.fell_out(key, now);
            }
            return;
        }
        self.not_heard_privately(key, id, status);
    }

    /// A private message of his was answered 200, and has not arrived.
    fn not_heard_privately(&mut self, key: SessionKey, id: &str, status: Status) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        if let (Some(sent), Media::Bound(connection)) = (
            SentPrivately::take(&mut session.sent_privately, id),
            &session.media,
        ) {
            let (connection, session) = (*connection, session.msrp.clone());
            self.msrp(connection, sent.failed(session, status));
        }
    }

    /// A stanza never left, or may have been lost on its way to the server: whoever waits for what it asked hears so now, or as soon as he
    /// can.
    pub(crate) fn unsent(&mut self, stanza: Outgoing, why: Unsent) {
        tracing::debug!(%why, "stanza not sent");
        let refusal = match why {
            Unsent::TooLarge => Refusal::TooLarge,
            Unsent::LinkDown
            | Unsent::Unconfirmed
            | Unsent::QueueFull
            | Unsent::ForeignFrom
            | Unsent::InvalidPayload => Refusal::LinkDown,
        };
        match stanza {
            Outgoing::Groupchat { from, to, id, .. } => {
                if let Some(key) = self.sessions.of_occupant(&to, &from) {
                    self.settle_message(key, &id, refusal.msrp());
                }
            }
            Outgoing::Private { from, to, id, .. } => {
                if let Some(key) = self.sessions.of_occupant(&to.to_bare(), &from) {
                    self.not_heard_privately(key, &id, refusal.msrp());
                }
            }
            Outgoing::ChangeNickname { from, to, id } => {
                if let Some(key) = self.sessions.of_occupant(&to.to_bare(), &from) {
                    self.rename_unsent(key, &id, &refusal);
                }
            }
            stanza @ (Outgoing::Leave { .. } | Outgoing::Error { .. }) => self.owe(stanza, why),
            Outgoing::Room(stanza) => self.not_shown(stanza, why),
            // An entrance has its deadline; the rest asked for nothing.
            _ => {}
        }
    }
}

// From the room to the SIP user.
impl Gateway {
    /// Any message stanza to one of our users.
    pub(crate) fn message(&mut self, message: Message, now: Instant) {
        let room = message.from.to_bare();
        let key = message
            .to
            .try_as_full()
            .ok()
            .and_then(|to| self.sessions.of_occupant(&room, to));
        match (message.kind, key) {
            (MessageKind::Groupchat, key) => self.groupchat(key, &room, &message, now),
            (MessageKind::Error, Some(key)) => {
                if let (Some(id), Some(error)) = (&message.id, &message.error) {
                    self.bounced(key, id, error.condition, now);
                }
            }
            (MessageKind::Normal | MessageKind::Chat, key) => {
                let Some(message) = self.invited_by_xmpp(message, now) else {
                    return;
                };
                match key {
                    Some(key) if message.from.resource().is_some() => self.private(key, message, now),
                    Some(_) => self.not_carried(message),
                    None => {
                        let (from, to) = (message.from.clone(), message.to.clone());
                        self.not_carried(message);
                        self.dismiss_ghost(&from, &to);
                    }
                }
            }
            (MessageKind::Error | MessageKind::Headline, _) => {}
        }
    }

    /// What is said in a room, in the copy for one of our users or for one who was.
    fn groupchat(&mut self, key: Option<SessionKey>, room: &xmpp::BareJid, message: &Message, now: Instant) {
        let Ok(to) = message.to.try_as_full() else { return };
        let session = key.and_then(|key| self.sessions.get_mut(key));
        let shares = session
            .as_ref()
            .is_some_and(|session| session.hears_for_all(message));
        // XEP-0045 §7.2.15: what follows the user's own presence is history, up to the subject.
        let ends_history = is_subject(message)
            && session.is_some_and(|session| {
                matches!(session.phase, Phase::Joined) && std::mem::take(&mut session.history)
            });
        let for_all = message.from.resource().is_some() && (shares || self.is_leaving(room, to));
        match key {
            Some(key) if ends_history => self.begin_sharing(key, now),
            None if !for_all => return self.dismiss_ghost(&message.from, &message.to),
            _ => {}
        }
        match &message.subject {
            Some(subject) if is_subject(message) => self.subject(room, subject.clone(), now),
            _ if for_all => self.said_to_all(key.filter(|_| shares), room, to, message, now),
            _ => match key {
                Some(key)
                    if !self.caught_up_on(key, to, message, now) && !self.is_ahead(key, message, now) =>
                {
                    self.said_to(key, message, now);
                }
                _ => {}
            },
        }
    }

    /// F46 and its like: a reflection is the room's receipt and is not shown again (RFC 7702 §6.3.1), anything else is.
    pub(super) fn said_to(&mut self, key: SessionKey, message: &Message, now: Instant) {
        let Some(session) = self.sessions.get(key) else {
            return;
        };
        let history = session.history;
        let nickname = message
            .from
            .resource()
            .map(|resource| resource.as_str().to_owned());
        let delay = message.delay.as_ref().filter(|_| session.is_replayed(message));
        if delay.is_none() && nickname.as_deref() == Some(session.nickname.as_str()) {
            if let Some(id) = &message.id {
                self.settle_message(key, id, Status::OK);
            }
            return;
        }
        let Some(text) = rendering::text(message, &self.config.texts) else {
            if !history {
                self.writes(&message.from.to_bare(), message, None, now);
            }
            return;
        };
        if delay.is_some()
            && let Ok(to) = message.to.try_as_full()
        {
            self.heard_as_history(&message.from.to_bare(), to, message, &text);
        }
        let stamp = delay.and_then(|delay| delay.stamp.parse().ok());
        let stamp = stamp.unwrap_or_else(|| self.wall(now));
        self.show(&[key], nickname, text, stamp, now);
    }

    /// Tells a user something of his room in its own name.
    pub(super) fn tell_of_room(&mut self, key: SessionKey, text: &str, now: Instant) {
        self.show(&[key], None, text.to_owned(), self.wall(now), now);
    }

    /// Shows users of a room what an occupant, or the room itself, says to them.
    pub(super) fn show(
        &mut self,
        keys: &[SessionKey],
        nickname: Option<String>,
        text: String,
        stamp: Timestamp,
        now: Instant,
    ) {
        let session = keys.first().and_then(|key| self.sessions.get(*key));
        let Some(room) = session.and_then(|session| self.rooms.get(&session.room)) else {
            return;
        };
        let (from, lane) = match &nickname {
            Some(nickname) => (room.address.occupant(nickname), room.roster.lane(nickname)),
            None => (room.address.sip.clone(), Lane::default()),
        };
        let cpim = plain_text(nickname, &from, &room.address.sip, stamp, text);
        let body = cpim.to_bytes();
        for key in keys {
            let outgoing = self.outgoing(body.clone(), lane);
            self.send_to_user(*key, outgoing, now);
        }
    }

    fn subject(&mut self, room: &xmpp::BareJid, subject: String, now: Instant) {
        if self
            .rooms
            .get_mut(room)
            .is_some_and(|room| room.roster.set_subject(subject))
        {
            self.room_changed(room, now);
        }
    }

    /// A private message of an occupant. A client that did not announce private messages must not get one (RFC 7701 §6.2).
    fn private(&mut self, key: SessionKey, message: Message, now: Instant) {
        let Some(session) = self.sessions.get(key) else {
            return;
        };
        let (Some(text), Some(nickname)) = (
            rendering::text(&message, &self.config.texts),
            message.from.resource(),
        ) else {
            return self.writes(&message.from.to_bare(), &message, Some(key), now);
        };
        let sender = PrivateSender {
            from: message.from.clone(),
            to: message.to.clone(),
            id: message.id.clone(),
        };
        if !session.chatroom.private_messages {
            return self.bounce_private(sender, Status::PRIVATE_UNSUPPORTED);
        }
        let Some(room) = self.rooms.get(&session.room) else {
            return;
        };
        let name = nickname.as_str().to_owned();
        let from = room.address.occupant(&name);
        let lane = room.roster.lane(&name);
        let cpim = plain_text(Some(name), &from, &session.who.user, self.wall(now), text);
        let outgoing = self.outgoing(cpim.to_bytes(), lane);
        if let Some(session) = self.sessions.get_mut(key) {
            session.private_in.insert(outgoing.tag, sender);
        }
        self.send_to_user(key, outgoing, now);
    }

    /// A message that is for no session of ours: one-to-one chat is not carried yet, and its sender is told.
    fn not_carried(&mut self, message: Message) {
        if message.body.is_some() {
            self.xmpp(Outgoing::Error {
                name: "message",
                from: message.to,
                to: message.from,
                id: message.id,
                condition: Condition::FeatureNotImplemented,
                text: Some("Only messages in chat rooms reach this user".to_owned()),
            });
        }
    }

    /// An IQ to one of our users, as rooms pass them on: a ping is answered for him, the rest has no SIP counterpart.
    pub(crate) fn iq(&mut self, iq: Iq, now: Instant) {
        let Iq { from, to, id, kind } = iq;
        let is_ghost = to
            .try_as_full()
            .is_ok_and(|to| self.sessions.of_occupant(&from.to_bare(), to).is_none());
        let ghost =
            (is_ghost && matches!(kind, IqKind::Get(_) | IqKind::Set(_))).then(|| (from.clone(), to.clone()));
        match kind {
            IqKind::Get(payload) if payload.0.is("ping", "urn:xmpp:ping") && self.is_user(&to) => {
                self.xmpp(Outgoing::IqResult {
                    from: to,
                    to: from,
                    id,
                    payload: None,
                });
            }
            IqKind::Get(_) | IqKind::Set(_) => {
                let condition = Condition::ServiceUnavailable;
                self.xmpp(Outgoing::IqError {
                    from: to,
                    to: from,
                    id,
                    condition,
                });
            }
            kind @ (IqKind::Result(_) | IqKind::Error(_)) => {
                if self.self_ping_answered(&from, &to, &id, &kind, now) {
                    return;
                }
                self.removal_answered(&from.to_bare(), &id, kind);
            }
        }
        if let Some((from, ghost)) = ghost {
            self.dismiss_ghost(&from, &ghost);
        }
    }

    fn is_user(&self, jid: &Jid) -> bool {
        jid.try_as_full().is_ok_and(|jid| self.sessions.has_user(jid))
    }
}

/// XEP-0045 §8.1: a subject without body and thread is the room's subject.
fn is_subject(message: &Message) -> bool {
    message.subject.is_some() && message.body.is_none() && !message.has_thread
}

/// The words of a message. Of several parts, the first that is plain text (RFC 4975 §7.3.1 demands that such bodies can be received).
fn text_of(cpim: &Cpim) -> Option<String> {
    let is_plain = |content_type: &str| media_type(content_type).eq_ignore_ascii_case("text/plain");
    if is_plain(&cpim.content_type) {
        return cpim.text().map(str::to_owned);
    }
    let parts = multipart::read(&cpim.content_type, &cpim.content).ok()?;
    let text = parts.into_iter().find(|part| is_plain(&part.content_type))?;
    String::from_utf8(text.bytes.to_vec()).ok()
}

/// A text for a SIP user.
fn plain_text(name: Option<String>, from: &Uri, to: &Uri, stamp: Timestamp, text: String) -> Cpim {
    Cpim {
        from: Some(Address {
            display_name: name,
            uri: from.to_string(),
        }),
        to: vec![Address {
            display_name: None,
            uri: to.to_string(),
        }],
        date_time: Some(stamp),
        content_type: "text/plain;charset=utf-8".to_owned(),
        content: text.into(),
        ..Cpim::default()
    }
}
