//! RFC 7702 §6.4: a SIP user changes his nickname; the room is the arbiter.

use std::time::Instant;

use msrp::{AnswerDue, SessionId, Status};
use xmpp::stanza::{Condition, Outgoing};

use crate::{
    ConnectionId, Gateway,
    nickname::{Nickname, comparison_key},
    refusal::{Refusal, nickname_status},
    session::{Phase, Renaming, SessionKey},
    timers::Timer,
};

impl Gateway {
    /// F51. An empty nickname gives the present one back (RFC 7701 §7.3): a room knows no nameless occupant, so the provisional
    /// one returns.
    pub(crate) fn nickname_requested(
        &mut self,
        connection: ConnectionId,
        id: &SessionId,
        wanted: &str,
        due: AnswerDue,
        now: Instant,
    ) {
        let Some(key) = self.session_on(connection, id) else {
            return self.answer(connection, due, Status::NO_SESSION);
        };
        match self.acceptable_nickname(key, wanted) {
            Ok(Some(nickname)) => self.rename(key, nickname, due, now),
            Ok(None) => self.answer(connection, due, Status::OK),
            Err(status) => self.answer(connection, due, status),
        }
    }

    /// The nickname to ask the room for; `None` if he has it already.
    fn acceptable_nickname(&self, key: SessionKey, wanted: &str) -> Result<Option<Nickname>, Status> {
        let session = self.sessions.get(key).ok_or(Status::NO_SESSION)?;
        let nickname = if wanted.is_empty() {
            session.who.provisional.clone()
        } else {
            Nickname::new(wanted).map_err(|_| Status::MALFORMED_NICKNAME)?
        };
        let naming = matches!(session.phase, Phase::Naming { .. });
        if !naming && !matches!(session.phase, Phase::Joined) {
            return Err(Refusal::NotInRoom.msrp());
        }
        if session.renaming.is_some() {
            return Err(Status::new(403, "One Change At A Time"));
        }
        if nickname.as_str() == session.nickname && !naming {
            return Ok(None);
        }
        // RFC 7701 §7.1 compares by RFC 8266; the room, by resourceprep, would let `romeo` stand beside `Romeo`.
        let taken = self
            .rooms
            .get(&session.room)
            .is_some_and(|room| room.roster.is_taken(nickname.as_str(), &session.nickname));
        if taken || self.another_wants(key, &session.room, nickname.as_str()) {
            return Err(Status::NICKNAME_IN_USE);
        }
        Ok(Some(nickname))
    }

    /// Whether another user of ours in the room has this nickname, or has asked for one that is the same under RFC 8266 and that the
    /// room has not shown yet: it would admit both. What it has shown is in the roster.
    pub(super) fn another_wants(&self, key: SessionKey, room: &xmpp::BareJid, nickname: &str) -> bool {
        let wanted = comparison_key(nickname);
        let mut others = self.sessions.in_room(room).filter(|(other, _)| *other != key);
        others.any(|(_, other)| {
            let asks = match &other.phase {
                Phase::Entering { .. } => true,
                Phase::Out { asked, .. } => asked.is_some(),
                Phase::Naming { .. } | Phase::Joined => false,
            };
            let entering = asks.then_some(other.nickname.as_str());
            let renaming = other.renaming.as_ref().map(|renaming| renaming.nickname.as_str());
            let mut unseen = entering.into_iter().chain(renaming);
            other.nickname == nickname || unseen.any(|name| comparison_key(name) == wanted)
        })
    }

    /// Whether a user of ours is in the room under this nickname.
    pub(super) fn is_in(&self, room: &xmpp::BareJid, nickname: &str) -> bool {
        let mut ours = self.sessions.in_room(room);
        ours.any(|(_, session)| matches!(session.phase, Phase::Joined) && session.nickname == nickname)
    }

    /// He enters when his client has asked for a nickname, or has not done so in time.
    pub(super) fn await_name(&mut self, key: SessionKey, now: Instant) {
        let timer = self
            .timers
            .start(now + self.config.limits.first_nickname, Timer::Naming(key));
        let Some(session) = self.sessions.get_mut(key) else {
            return self.timers.cancel(timer);
        };
        match std::mem::replace(&mut session.phase, Phase::Naming { timer }) {
            Phase::Entering { timer, .. } | Phase::Naming { timer } => self.timers.cancel(timer),
            Phase::Joined | Phase::Out { .. } => {}
        }
    }

    /// He enters under the name that he has, or under the one that he has asked for.
    pub(crate) fn name_settled(&mut self, key: SessionKey, id: String, now: Instant) {
        let timer = self
            .timers
            .start(now + self.config.limits.admission, Timer::Admission(key));
        let Some(session) = self.sessions.get_mut(key) else {
            return self.timers.cancel(timer);
        };
        let entering = Phase::Entering {
            answer: None,
            id,
            attempt: 0,
            timer,
        };
        if let Phase::Naming { timer } = std::mem::replace(&mut session.phase, entering) {
            self.timers.cancel(timer);
        }
    }

    pub(crate) fn not_named_in_time(&mut self, key: SessionKey, now: Instant) {
        let naming = self
            .sessions
            .get(key)
            .is_some_and(|session| matches!(session.phase, Phase::Naming { .. }));
        if naming {
            self.name_settled(key, String::new(), now);
            self.ask_to_enter(key, now);
        }
    }

    /// F52.
    fn rename(&mut self, key: SessionKey, nickname: Nickname, due: AnswerDue, now: Instant) {
        let id = self.fresh_id();
        let timer = self
            .timers
            .start(now + self.config.limits.nickname, Timer::Nickname(key));
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let Ok(to) = session.room.with_resource_str(nickname.as_str()) else {
            return;
        };
        let change = Outgoing::ChangeNickname {
            from: session.who.jid.clone(),
            to,
            id: id.clone(),
        };
        session.renaming = Some(Renaming {
            due,
            id: id.clone(),
            nickname: nickname.as_str().to_owned(),
            timer,
        });
        if matches!(session.phase, Phase::Naming { .. }) {
            nickname.as_str().clone_into(&mut session.nickname);
            self.name_settled(key, id.clone(), now);
            return self.send_entrance(key, id);
        }
        self.xmpp(change);
    }

    /// He is in: under the nickname that he asked for before he was, or that we chose for him, or under another.
    pub(super) fn named_by_room(&mut self, key: SessionKey, now: Instant) {
        let Some(session) = self.sessions.get(key) else {
            return;
        };
        let asked = session
            .renaming
            .as_ref()
            .map(|renaming| renaming.nickname.as_str());
        let expected = asked.unwrap_or(session.who.provisional.as_str());
        let other = session.nickname != expected;
        self.settle_renaming(key, Status::OK);
        if other {
            self.tell_nickname(key, now);
        }
    }

    /// N7702-06: a user learns what he is called, if it is not what he expects.
    pub(super) fn tell_nickname(&mut self, key: SessionKey, now: Instant) {
        let Some(session) = self.sessions.get(key).filter(|_| self.config.tell_nickname) else {
            return;
        };
        let text = format!("(you are {} in this room)", session.nickname);
        self.tell_of_room(key, &text, now);
    }

    /// The room shows the user under a nickname: if it is the one he asked for, that is its yes.
    pub(super) fn renamed(&mut self, key: SessionKey, nickname: &str) {
        let asked = self
            .sessions
            .get(key)
            .and_then(|session| session.renaming.as_ref());
        if asked.is_some_and(|renaming| renaming.nickname == nickname) {
            self.settle_renaming(key, Status::OK);
        }
    }

    /// F53, F54.
    pub(super) fn rename_refused(&mut self, key: SessionKey, condition: Condition) {
        self.settle_renaming(key, nickname_status(condition));
    }

    pub(crate) fn nickname_not_answered(&mut self, key: SessionKey) {
        self.settle_renaming(key, Refusal::RoomSilent.msrp());
    }

    pub(super) fn settle_renaming(&mut self, key: SessionKey, status: Status) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let Some(renaming) = session.renaming.take() else {
            return;
        };
        let media = &session.media;
        self.timers.cancel(renaming.timer);
        if let crate::session::Media::Bound(connection) = *media {
            self.answer(connection, renaming.due, status);
        }
    }

    /// The stanza that asked never left.
    pub(super) fn rename_unsent(&mut self, key: SessionKey, id: &str, why: &Refusal) {
        let asked = self
            .sessions
            .get(key)
            .and_then(|session| session.renaming.as_ref());
        if asked.is_some_and(|renaming| renaming.id == id) {
            self.settle_renaming(key, why.msrp());
        }
    }
}
