//! Coming back: after the link to the server was down, or the room was away, every user re-enters under the same address and
//! nickname, while his SIP session stays up.

use std::time::{Duration, Instant};

use xmpp::{
    BareJid, Unsent,
    stanza::{Condition, Outgoing, StanzaError},
};

use crate::{
    Gateway, LinkId,
    refusal::Refusal,
    session::{Phase, SessionKey},
    timers::Timer,
};

/// How many users re-enter at once, and how long until the next: 1000 a second. The server reads them at its own pace, and what those who are back
/// say goes behind them.
const PACE: (usize, Duration) = (100, Duration::from_millis(100));

/// How long to wait before a room is asked again.
const RETRY: Duration = Duration::from_secs(2);

/// How long somebody who is back waits for the others before he says what was held.
const GATHERING: Duration = Duration::from_secs(5);

/// What users are told once each time.
const AWAY: &str = "(the room is out of reach for now; this call stays up until it is back)";
const BACK: &str = "(the room is back)";

impl Gateway {
    /// The server is there again: whoever was in a room goes back.
    pub(crate) fn link_up(&mut self, link: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(link.0).filter(|_| !self.stopping) else {
            return;
        };
        link.up = true;
        let domain = link.domain.clone();
        self.set_readiness();
        let mine = |stanza: &mut Outgoing| stanza.from().domain().as_str() == domain;
        let owed: Vec<Outgoing> = self.owed.extract_if(.., mine).collect();
        for stanza in owed {
            let left = match &stanza {
                Outgoing::Leave { from, to, .. } => Some((from.clone(), to.to_bare())),
                _ => None,
            };
            self.xmpp(stanza);
            if let Some((occupant, room)) = left {
                self.forget(&occupant, &room, false);
            }
        }
        let coming = self.sessions.of_domain(&domain);
        for key in &coming {
            if let Some(room) = self
                .sessions
                .get(*key)
                .and_then(|session| self.rooms.get_mut(&session.room))
            {
                room.roster.begin_relisting();
            }
        }
        self.reentering.extend(coming);
        if !self.pacing {
            self.reenter_some(now);
        }
    }

    /// Keeps something that did not go out until the link is back. If its queue was full, that is when it has broken, as one that takes nothing does.
    pub(crate) fn owe(&mut self, stanza: Outgoing, why: Unsent) {
        let may_go_out_later = matches!(why, Unsent::LinkDown | Unsent::Unconfirmed | Unsent::QueueFull);
        if may_go_out_later && self.owed.len() < self.config.limits.sessions {
            if let Outgoing::Leave { from, to, .. } = &stanza {
                self.remember(from, &to.to_bare());
            }
            self.owed.push(stanza);
        } else {
            tracing::warn!(%why, from = %stanza.from(), "a leave or an error is lost");
        }
    }

    /// The server is away: what waits for it is refused, and who was in a room is out of it for now.
    pub(crate) fn link_down(&mut self, link: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(link.0).filter(|_| !self.stopping) else {
            return;
        };
        link.up = false;
        let domain = link.domain.clone();
        self.set_readiness();
        let out = self.sessions.of_domain(&domain);
        self.reentering.retain(|key| !out.contains(key));
        for key in out {
            match self.sessions.get(key).map(|session| &session.phase) {
                Some(Phase::Entering { answer: Some(_), .. }) => self.end(key, &Refusal::LinkDown, now),
                Some(_) => self.out(key, &Refusal::LinkDown, None, now),
                None => {}
            }
        }
    }

    pub(crate) fn reenter_some(&mut self, now: Instant) {
        let (at_once, pause) = PACE;
        for _ in 0..at_once {
            let Some(key) = self.reentering.pop_front() else {
                return;
            };
            self.reentry_due(key, now);
        }
        if !self.reentering.is_empty() {
            self.pacing = true;
            self.timers.start(now + pause, Timer::ReentryPace);
        }
    }

    /// The room went away, or dropped the user for a technical reason, while the link stands.
    pub(super) fn fell_out(&mut self, key: SessionKey, now: Instant) {
        let room = self.sessions.get(key).map(|session| session.room.clone());
        if let Some(room) = room.and_then(|room| self.rooms.get_mut(&room)) {
            room.roster.begin_relisting();
        }
        let phase = self.sessions.get(key).map(|session| &session.phase);
        if matches!(phase, Some(Phase::Entering { answer: Some(_), .. })) {
            // Who was never in has nothing to come back to, and his INVITE waits for an answer.
            return self.end(key, &Refusal::RoomSilent, now);
        }
        self.out(key, &Refusal::NotInRoom, Some(now + RETRY), now);
    }

    /// The user is out until he is back, and is told once. What he has sent is answered now, for nobody else will, unless the link broke: then
    /// the room's history may say that it arrived, and its deadline goes on.
    fn out(&mut self, key: SessionKey, why: &Refusal, retry: Option<Instant>, now: Instant) {
        let was_heard = self
            .sessions
            .get(key)
            .is_some_and(|session| session.shares_since.is_some() || session.follows);
        self.end_sharing(key);
        if was_heard && matches!(why, Refusal::LinkDown) {
            if let Some(session) = self.sessions.get_mut(key) {
                let sought = session
                    .renaming
                    .as_ref()
                    .map(|renaming| renaming.nickname.clone());
                session.formerly.extend(sought);
                session.formerly.insert(session.nickname.clone());
            }
            self.settle_renaming(key, why.msrp());
            self.falls_behind(key, now);
        } else {
            self.settle_sent(key, why);
        }
        let until = now + self.config.limits.reentry;
        let timer = retry.map(|at| self.timers.start(at, Timer::Reentry(key)));
        let tell = self.config.outage.tell;
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        session.catches_up = false;
        let (was_in, told) = match &session.phase {
            Phase::Joined => (true, tell),
            Phase::Out { told, .. } => (false, *told),
            Phase::Naming { .. } | Phase::Entering { .. } => (false, false),
        };
        let out = Phase::Out {
            until,
            asked: None,
            attempt: 0,
            timer,
            told,
        };
        match std::mem::replace(&mut session.phase, out) {
            Phase::Entering { timer, .. } | Phase::Naming { timer } => self.timers.cancel(timer),
            Phase::Out {
                timer: Some(timer), ..
            } => self.timers.cancel(timer),
            Phase::Out { timer: None, .. } | Phase::Joined => {}
        }
        if was_in && told {
            self.tell_of_room(key, AWAY, now);
        }
    }

    /// Tries to get back, or gives up. While the link is down the clock does not run: nobody knows how long a server takes.
    pub(crate) fn reentry_due(&mut self, key: SessionKey, now: Instant) {
        let up = self
            .sessions
            .get(key)
            .is_some_and(|session| self.is_up(session.who.jid.domain()));
        if !up || self.stopping {
            return;
        }
        let limit = self.config.limits.reentry;
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let Phase::Out {
            until,
            asked,
            attempt,
            timer,
            ..
        } = &mut session.phase
        else {
            return;
        };
        if let Some(timer) = timer.take() {
            self.timers.cancel(timer);
        } else {
            *until = now + limit;
        }
        if *until <= now {
            return self.end(key, &Refusal::RoomSilent, now);
        }
        *asked = None;
        *attempt = 0;
        *timer = Some(self.timers.start(
            (now + self.config.limits.admission).min(*until),
            Timer::Reentry(key),
        ));
        self.ask_to_enter(key, now);
    }

    /// He is in the room again.
    pub(super) fn back(&mut self, key: SessionKey, nickname: &str, now: Instant) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        nickname.clone_into(&mut session.nickname);
        let Phase::Out { timer, told, .. } = std::mem::replace(&mut session.phase, Phase::Joined) else {
            return;
        };
        tracing::info!(session = key.0, room = %session.room, "back in the room");
        let room = session.room.clone();
        if let Some(timer) = timer {
            self.timers.cancel(timer);
        }
        if told {
            self.tell_of_room(key, BACK, now);
        }
        if let Some(session) = self
            .sessions
            .get_mut(key)
            .filter(|session| !session.held.is_empty())
        {
            let timer = self.timers.start(now + GATHERING, Timer::Held(key));
            if let Some(former) = session.held_timer.replace(timer) {
                self.timers.cancel(former);
            }
        }
        self.watch_occupant(key, now);
        self.end_listing(&room, now);
    }

    /// The room has listed itself to somebody who enters or is back.
    pub(super) fn end_listing(&mut self, room: &BareJid, now: Instant) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.roster.end_listing();
        }
        self.relisted(room, now);
    }

    /// Once all are back, whoever the room did not list is gone, and what is held is said. Not before: who is still on his way would
    /// seem to leave, and not hear it.
    pub(super) fn relisted(&mut self, room: &BareJid, now: Instant) {
        let complete = self
            .sessions
            .in_room(room)
            .all(|(_, session)| matches!(session.phase, Phase::Joined));
        if !complete {
            return;
        }
        if self
            .rooms
            .get_mut(room)
            .is_some_and(|room| room.roster.drop_unseen())
        {
            self.room_changed(room, now);
        }
        let holding = self.sessions.in_room(room);
        let holding: Vec<SessionKey> = holding
            .filter(|(_, session)| !session.held.is_empty())
            .map(|(key, _)| key)
            .collect();
        for key in holding {
            self.say_held(key);
        }
    }

    /// The room does not take him back: for good, or not yet.
    pub(super) fn reentry_refused(&mut self, key: SessionKey, error: StanzaError, now: Instant) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.catches_up = false;
        }
        match error.condition {
            Condition::Conflict => {
                if let Some(Phase::Out { attempt, .. }) =
                    self.sessions.get_mut(key).map(|session| &mut session.phase)
                {
                    *attempt += 1;
                }
                self.ask_to_enter(key, now);
            }
            Condition::Forbidden
            | Condition::NotAllowed
            | Condition::NotAuthorized
            | Condition::RegistrationRequired
            | Condition::Gone => {
                let refusal = self.refusal_of(error);
                self.end(key, &refusal, now);
            }
            _ => {
                let retry = self.timers.start(now + RETRY, Timer::Reentry(key));
                if let Some(Phase::Out { timer, asked, .. }) =
                    self.sessions.get_mut(key).map(|session| &mut session.phase)
                {
                    *asked = None;
                    if let Some(former) = timer.replace(retry) {
                        self.timers.cancel(former);
                    }
                }
            }
        }
    }
}
