//! The XMPP server goes away, and is back: stays outlive it for a while.

use std::time::Instant;

use msrp::Status;
use xmpp::stanza::{Condition, Outgoing, StanzaError, service::RoomStanza};

use super::{
    exit::Farewell,
    presence::status,
    stay::{Heard, Phase, StayKey},
};
use crate::{Gateway, LinkId, refusal::Refusal, timers::Timer};

impl Gateway {
    /// Nobody can be told anything now. The calls stay up for as long as rooms are waited for in the other direction.
    pub(crate) fn service_away(&mut self, link: LinkId, now: Instant) {
        if self.stopping || self.stays_over(link).is_empty() || self.away.contains_key(&link) {
            return;
        }
        let timer = self
            .timers
            .start(now + self.config.limits.reentry, Timer::ServiceAway(link));
        self.away.insert(link, timer);
    }

    /// Who is still there gets the subject again: of a client that has gone meanwhile it comes back, which nothing else tells for sure.
    pub(crate) fn service_back(&mut self, link: LinkId) {
        let Some(timer) = self.away.remove(&link) else {
            return;
        };
        self.timers.cancel(timer);
        for key in self.stays_over(link) {
            let joined = self
                .stays
                .get(key)
                .is_some_and(|stay| stay.phase == Phase::Joined);
            if joined {
                self.tell_all(key, |stay, client| {
                    Some(RoomStanza::Subject {
                        from: stay.room.clone(),
                        to: client.clone(),
                        subject: stay.listing.subject().to_owned(),
                    })
                });
                self.tell_missed(key);
            }
        }
    }

    /// It was away for too long.
    pub(crate) fn service_gone(&mut self, link: LinkId) {
        self.away.remove(&link);
        let farewell = Farewell::failed(StanzaError::new(Condition::ServiceUnavailable));
        for key in self.stays_over(link) {
            self.end_stay(key, &farewell, &Refusal::LinkDown.reason());
        }
    }

    fn stays_over(&self, link: LinkId) -> Vec<StayKey> {
        let link = self.links.get(link.0);
        link.map(|link| self.stays.of_service(&link.domain))
            .unwrap_or_default()
    }

    /// The switch hears that a message was not shown, and the user will.
    pub(super) fn missed(&mut self, key: StayKey) -> Status {
        if let Some(stay) = self.stays.get_mut(key) {
            stay.missed = stay.missed.saturating_add(1);
        }
        Refusal::LinkDown.msrp()
    }

    /// A stanza to a user never left.
    pub(crate) fn not_shown(&mut self, stanza: &RoomStanza, why: &'static str) {
        tracing::debug!(why, "stanza of a room not sent");
        if let RoomStanza::Presence(presence) = stanza
            && presence.unavailable
            && presence.statuses.contains(&status::SELF)
            && self.farewells.len() < self.config.limits.sessions
        {
            return self.farewells.push(Outgoing::Room(stanza.clone()));
        }
        let (RoomStanza::Groupchat { to, .. } | RoomStanza::Private { to, .. }) = stanza else {
            return;
        };
        if let Some(key) = self.stays.of_client(&stanza.from().to_bare(), to) {
            let _told_already = self.missed(key);
        }
    }

    fn tell_missed(&mut self, key: StayKey) {
        let missed = self
            .stays
            .get_mut(key)
            .map_or(0, |stay| std::mem::take(&mut stay.missed));
        if missed > 0 {
            let text =
                format!("(messages that could not be shown while the chat service was away: {missed})");
            self.show_heard(
                key,
                &Heard {
                    nickname: None,
                    text,
                    private: false,
                    delay: None,
                },
            );
        }
    }
}
