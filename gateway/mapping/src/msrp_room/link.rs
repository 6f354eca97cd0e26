//! The XMPP server goes away, and is back: stays outlive it for a while.

use std::time::Instant;

use msrp::Status;
use xmpp::{
    FullJid,
    stanza::{Condition, Outgoing, StanzaError, service::RoomStanza},
};

use super::{
    exit::Farewell,
    presence::{absence_of, status},
    stay::{Heard, Phase, StayKey},
};
use crate::{Gateway, LinkId, gateway::UNNOTICED, refusal::Refusal, roster::Departure, timers::Timer};

impl Gateway {
    /// Nobody can be told anything now. The calls stay up for as long as rooms are waited for in the other direction.
    pub(crate) fn service_away(&mut self, link: LinkId, now: Instant) {
        if let Some(domain) = self.links.get(link.0).map(|link| link.domain.clone()) {
            self.give_up_invitees(Some(&domain), &Refusal::LinkDown);
        }
        if self.stopping || self.stays_over(link).is_empty() || self.away.contains_key(&link) {
            return;
        }
        let timer = self
            .timers
            .start(now + self.config.limits.reentry, Timer::ServiceAway(link));
        self.away.insert(link, timer);
    }

    /// Who is still there is told again who left and who is in, for what was on its way when the link broke is lost. Of a client that has
    /// gone meanwhile the subject comes back, which nothing else tells for sure.
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
                self.tell_gone(key);
                for client in self.clients_of(key) {
                    self.tell_room(key, &client);
                }
                self.tell_missed(key);
            }
        }
    }

    pub(super) fn remember_gone(&mut self, key: StayKey, nickname: &str, now: Instant) {
        let most = self.config.limits.occupants;
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        let away = self.away.keys().any(|link| {
            let link = self.links.get(link.0);
            link.is_some_and(|link| link.domain == stay.room.domain().as_str())
        });
        let is_old = |at: &Instant| !away && now.saturating_duration_since(*at) > UNNOTICED;
        while stay.gone.front().is_some_and(|(at, _)| is_old(at)) || stay.gone.len() >= most {
            stay.gone.pop_front();
        }
        stay.gone.push_back((now, nickname.to_owned()));
    }

    fn tell_gone(&mut self, key: StayKey) {
        let gone = self.stays.get_mut(key).map(|stay| std::mem::take(&mut stay.gone));
        for (_, nickname) in gone.unwrap_or_default() {
            self.tell_all(key, |stay, client| {
                let is_back = nickname == stay.nickname || stay.listing.occupant(&nickname).is_some();
                absence_of(stay, &nickname, client, &Departure::Departed).filter(|_| !is_back)
            });
        }
    }

    fn clients_of(&self, key: StayKey) -> Vec<FullJid> {
        let stay = self.stays.get(key);
        stay.map(|stay| stay.clients.keys().cloned().collect())
            .unwrap_or_default()
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
        if let RoomStanza::Invited { from, to, .. } = stanza {
            return self.invitation_unsent(from, to);
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
