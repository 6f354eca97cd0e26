//! XEP-0410: whether the room still knows our occupants. A room can lose one without a word; he is asked after slowly, and at once when a
//! message of his stays without a reflection.

use std::time::Instant;

use xmpp::{
    Jid,
    stanza::{Condition, IqKind, Outgoing},
};

use crate::{
    Gateway,
    session::{Phase, SessionKey},
    timers::Timer,
};

impl Gateway {
    /// Begins, or begins anew, to ask after somebody who is in.
    pub(super) fn watch_occupant(&mut self, key: SessionKey, now: Instant) {
        let interval = self.config.occupants.self_ping;
        if interval.is_zero() {
            return;
        }
        let timer = self.timers.start(now + interval, Timer::SelfPing(key));
        let former = match self.sessions.get_mut(key) {
            Some(session) => session.self_ping.timer.replace(timer),
            None => Some(timer),
        };
        if let Some(former) = former {
            self.timers.cancel(former);
        }
    }

    /// The next time has come. Whoever is out is asked after when he is back.
    pub(crate) fn self_ping_due(&mut self, key: SessionKey, now: Instant) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.self_ping.timer = None;
        }
        self.ping_self(key);
        self.watch_occupant(key, now);
    }

    /// Asks the room after him.
    pub(super) fn ping_self(&mut self, key: SessionKey) {
        let id = self.fresh_id();
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let Ok(to) = session.room.with_resource_str(&session.nickname) else {
            return;
        };
        if matches!(session.phase, Phase::Joined) {
            session.self_ping.asked = Some(id.clone());
            let from = session.who.jid.clone();
            self.xmpp(Outgoing::Ping { from, to, id });
        }
    }

    /// What the room says (XEP-0410 §3.3). Returns whether it was asked.
    pub(super) fn self_ping_answered(
        &mut self,
        from: &Jid,
        to: &Jid,
        id: &str,
        answer: &IqKind,
        now: Instant,
    ) -> bool {
        let key = to
            .try_as_full()
            .ok()
            .and_then(|to| self.sessions.of_occupant(&from.to_bare(), to));
        let Some((key, session)) = key.and_then(|key| Some((key, self.sessions.get_mut(key)?))) else {
            return false;
        };
        if session.self_ping.asked.as_deref() != Some(id) {
            return false;
        }
        session.self_ping.asked = None;
        if let IqKind::Error(error) = answer
            && is_lost(error.condition)
            && matches!(session.phase, Phase::Joined)
        {
            tracing::info!(session = key.0, room = %session.room, "the room has lost the occupant");
            self.fell_out(key, now);
        }
        true
    }
}

/// Whether an error means that the room does not know the occupant. One of an occupant that cannot answer comes from one who is there; one
/// of a server that is out of reach says nothing.
fn is_lost(condition: Condition) -> bool {
    !matches!(
        condition,
        Condition::ServiceUnavailable
            | Condition::FeatureNotImplemented
            | Condition::ItemNotFound
            | Condition::RemoteServerNotFound
            | Condition::RemoteServerTimeout
            | Condition::ResourceConstraint
            | Condition::InternalServerError
    )
}
