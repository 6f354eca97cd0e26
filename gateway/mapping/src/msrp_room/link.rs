//! The XMPP server goes away, and is back: stays outlive it for a while.

use std::time::Instant;

use msrp::Status;
use xmpp::{
    FullJid, Unsent,
    stanza::{Condition, Outgoing, StanzaError, service::RoomStanza},
};

use super::{
    exit::Farewell,
    presence::{absence_of, former_of, status},
    stay::{Heard, Phase, StayKey},
};
use crate::{Gateway, LinkId, refusal::Refusal, roster::Departure, session::SentPrivately, timers::Timer};

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

    fn tell_gone(&mut self, key: StayKey) {
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        let (gone, mut former) = (std::mem::take(&mut stay.gone), std::mem::take(&mut stay.former));
        former.remove(&stay.nickname);
        // A client that does not know its nickname to be another's would take it for the end of its stay, and his presence for its own.
        for nickname in &former {
            self.tell_all(key, |stay, client| {
                former_of(stay, nickname, &stay.nickname, client, None, &[status::SELF])
            });
        }
        if !former.is_empty() {
            self.tell_own(key, |_| None);
        }
        for nickname in gone {
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

    /// A stanza to a user never left, or may have been lost. What he has to know is told again when the link is back; what was said is only
    /// counted, for he may have been shown it.
    pub(crate) fn not_shown(&mut self, stanza: RoomStanza, why: Unsent) {
        let most = self.config.limits.occupants;
        match &stanza {
            RoomStanza::Presence(presence) if presence.unavailable => {
                let key = self.stays.of_client(&presence.from.to_bare(), &presence.to);
                match key.and_then(|key| self.stays.get_mut(key)) {
                    Some(stay) if stay.gone.len() + stay.former.len() < most => {
                        let is_his = presence.statuses.contains(&status::SELF);
                        let lost = if is_his { &mut stay.former } else { &mut stay.gone };
                        lost.insert(presence.from.resource().as_str().to_owned());
                    }
                    // He is out himself: nobody will tell him anything else.
                    None if presence.statuses.contains(&status::SELF) => {
                        self.owe(Outgoing::Room(stanza), why);
                    }
                    Some(_) | None => {}
                }
            }
            RoomStanza::Refused { .. } | RoomStanza::Declined { .. } => self.owe(Outgoing::Room(stanza), why),
            RoomStanza::Groupchat { from, to, .. } => {
                if let Some(key) = self.stays.of_client(&from.to_bare(), to) {
                    self.lost(key, why);
                }
            }
            RoomStanza::Private { from, to, id, .. } => {
                if let Some(key) = self.stays.of_client(&from.to_bare(), to) {
                    self.lost(key, why);
                    self.not_shown_privately(key, id);
                }
            }
            RoomStanza::Invited { from, to, .. } => self.invitation_unsent(from, to),
            RoomStanza::Presence(_) | RoomStanza::Subject { .. } => {}
        }
    }

    /// The switch has said that it was shown: the sender of a private message hears that it was not, or may not have been.
    fn not_shown_privately(&mut self, key: StayKey, id: &str) {
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        if let (Some(sent), Some(connection)) = (
            SentPrivately::take(&mut stay.heard_privately, id),
            stay.media.connection,
        ) {
            let session = stay.media.session.clone();
            self.msrp(connection, sent.failed(session, Refusal::LinkDown.msrp()));
        }
    }

    fn lost(&mut self, key: StayKey, why: Unsent) {
        let _told_already = self.missed(key);
        // The link stands: nothing else will lead to this being told.
        if matches!(
            why,
            Unsent::TooLarge | Unsent::InvalidPayload | Unsent::ForeignFrom
        ) {
            self.tell_missed(key);
        }
    }

    fn tell_missed(&mut self, key: StayKey) {
        let missed = self
            .stays
            .get_mut(key)
            .map_or(0, |stay| std::mem::take(&mut stay.missed));
        if missed > 0 {
            self.show_heard(
                key,
                Heard {
                    nickname: None,
                    text: format!("(messages that you may not have been shown: {missed})"),
                    private: false,
                    delay: None,
                    sent: None,
                },
            );
        }
    }
}
