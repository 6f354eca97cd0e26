//! What was said while the link was away: the first of a room's users who comes back asks for the end of the room's history. Messages there that
//! nobody was told are told to all who were in the room when the link broke, and those of our own users that were on their way then are
//! known to have arrived. Who is not back yet hears what the others hear.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use xmpp::{BareJid, FullJid, stanza::Message};

use crate::{
    Gateway,
    session::{Phase, SessionKey},
};

/// How many messages of the history are asked for. Fewer than [`super::sharing::REMEMBERED`]: whatever of them was told is remembered.
const ASKED: u32 = 100;

/// How many messages wait for it at most. More than are asked for, and few enough for each to be remembered while its further copies come.
const AHEAD: usize = super::sharing::REMEMBERED / 2;

/// How long before the link was known to be broken it may have been. Earlier messages were told.
const UNNOTICED: Duration = Duration::from_secs(60);

/// What they are told when the history begins later than what they know ends.
const CUT_SHORT: &str = "(earlier messages are missing here: the room remembers no more)";

/// What they are told when nobody is left who could have it.
const NOBODY_ASKS: &str = "(messages may be missing here: nobody could ask the room for them)";

/// Users of one domain in one room who missed something.
#[derive(Debug)]
pub(super) struct Behind {
    domain: String,
    /// What was said before is known.
    since: Timestamp,
    /// Whether the history has begun.
    begun: bool,
    /// What the room has said to one or another of them before the history that was said earlier.
    ahead: Vec<Message>,
}

impl Behind {
    /// Whether this is the copy for one of them of what waits in the copy for another. Copies for one and the same are two messages.
    fn has_ahead(&self, copy: &Message) -> bool {
        self.ahead.iter().any(|message| {
            message.to != copy.to
                && message.from == copy.from
                && message.id == copy.id
                && message.body == copy.body
                && message.extras == copy.extras
        })
    }
}

impl Gateway {
    /// The link broke under somebody who shares: he is told later what is said meanwhile, and what he said may have arrived.
    pub(super) fn falls_behind(&mut self, key: SessionKey, now: Instant) {
        let since = self
            .wall(now)
            .checked_sub(UNNOTICED)
            .unwrap_or(Timestamp::UNIX_EPOCH);
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        session.follows = true;
        session.behind = true;
        let domain = session.who.jid.domain().as_str();
        let Some(room) = self.rooms.get_mut(&session.room) else {
            return;
        };
        if room.behind.iter().any(|behind| behind.domain == domain) {
            return;
        }
        let begun = room.sharing.begun(domain).unwrap_or(since);
        room.behind.push(Behind {
            domain: domain.to_owned(),
            since: since.max(begun),
            begun: false,
            ahead: Vec::new(),
        });
    }

    /// How much history he asks for when he goes back: one of a room's users is enough.
    pub(super) fn history_missed(&mut self, key: SessionKey) -> u32 {
        let Some(session) = self.sessions.get(key) else {
            return 0;
        };
        if session.catches_up {
            // The room is late with what he asked for, and would tell it twice.
            return 0;
        }
        let domain = session.who.jid.domain();
        let asks = session.follows
            && self
                .rooms
                .get(&session.room)
                .is_some_and(|room| room.behind.iter().any(|behind| behind.domain == domain.as_str()))
            && !self.sessions.in_room(&session.room).any(|(other, session)| {
                other != key && session.catches_up && session.who.jid.domain() == domain
            });
        if let Some(session) = self.sessions.get_mut(key) {
            session.catches_up = asks;
        }
        if asks { ASKED } else { 0 }
    }

    /// A message of the history that he asked for. Returns whether it was that.
    pub(super) fn caught_up_on(
        &mut self,
        key: SessionKey,
        to: &FullJid,
        message: &Message,
        now: Instant,
    ) -> bool {
        let Some(session) = self.sessions.get(key) else {
            return false;
        };
        let asked = session.catches_up && session.is_replayed(message);
        let stamp = message
            .delay
            .as_ref()
            .and_then(|delay| delay.stamp.parse::<Timestamp>().ok());
        let (Some(stamp), true) = (stamp, asked && message.from.resource().is_some()) else {
            return false;
        };
        let room = session.room.clone();
        let Some(state) = self.rooms.get(&room) else {
            return true;
        };
        let domain = to.domain().as_str();
        let knows_what_was_before = state.sharing.has_told_anything(domain);
        let Some(behind) = self.those_behind(&room, domain) else {
            return true;
        };
        let is_first = !std::mem::replace(&mut behind.begun, true);
        if stamp < behind.since {
            return true;
        }
        if is_first && knows_what_was_before && !self.was_told(&room, message) {
            self.tell_cut_short(&room, domain, now);
        }
        self.said_meanwhile(&room, to, message, stamp, now);
        true
    }

    /// So much is said before the history comes that it cannot reach back to when the link broke.
    fn history_is_too_short(&mut self, room: &BareJid, domain: &str, now: Instant) {
        let behind = self.those_behind(room, domain);
        if behind.is_some_and(|behind| !std::mem::replace(&mut behind.begun, true)) {
            self.tell_cut_short(room, domain, now);
        }
    }

    /// The oldest message that the room can replay is new to them: what is between it and the last that they know is lost.
    fn tell_cut_short(&mut self, room: &BareJid, domain: &str, now: Instant) {
        tracing::warn!(%room, "the room's history does not reach back to when the link broke; let the room keep more of it");
        self.tell_behind(room, domain, CUT_SHORT, now);
    }

    fn tell_behind(&mut self, room: &BareJid, domain: &str, what: &str, now: Instant) {
        if self.config.outage.tell {
            for key in self.behind(room, domain) {
                self.tell_of_room(key, what, now);
            }
        }
    }

    /// The room still has him in it and tells him what is said now, while what was said before is yet to come: until the history has ended
    /// that waits, for it may be a part of it. It waits once for all of them, for who else gets a copy may differ from message to message: a
    /// server that still holds a former connection hands a part to that. Returns whether it waits, or has been told already.
    pub(super) fn is_ahead(&mut self, key: SessionKey, message: &Message, now: Instant) -> bool {
        let Some(session) = self.sessions.get(key) else {
            return false;
        };
        let is_coming = session.history || matches!(session.phase, Phase::Out { .. });
        let is_live = !session.is_replayed(message) && message.from.resource().is_some();
        if !session.behind || !is_coming || !is_live {
            return false;
        }
        let (room, domain) = (session.room.clone(), session.who.jid.domain().as_str().to_owned());
        if self.was_told(&room, message) {
            return true;
        }
        let Some(behind) = self.those_behind(&room, &domain) else {
            return false;
        };
        if !behind.has_ahead(message) {
            behind.ahead.push(message.clone());
        }
        if behind.ahead.len() >= AHEAD {
            // The history that will come reaches back no further than this.
            self.tell_ahead(&room, &domain, now);
            self.history_is_too_short(&room, &domain, now);
        }
        true
    }

    /// His history is over; if it was the one that he asked for, so is that of all who were out.
    pub(super) fn caught_up(&mut self, key: SessionKey, now: Instant) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let asked = std::mem::take(&mut session.catches_up);
        let (room, domain) = (session.room.clone(), session.who.jid.domain().as_str().to_owned());
        if asked {
            self.all_caught_up(&room, &domain, now);
        } else {
            self.tell_ahead(&room, &domain, now);
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.follows = false;
        }
    }

    /// There is nothing left over which he could be told anything.
    pub(super) fn hears_no_more(&mut self, key: SessionKey) {
        self.end_sharing(key);
        if let Some(session) = self.sessions.get_mut(key) {
            (session.follows, session.behind) = (false, false);
        }
    }

    fn all_caught_up(&mut self, room: &BareJid, domain: &str, now: Instant) {
        self.tell_ahead(room, domain, now);
        for key in self.behind(room, domain) {
            if let Some(session) = self.sessions.get_mut(key) {
                session.behind = false;
                session.formerly.clear();
            }
        }
        if let Some(room) = self.rooms.get_mut(room) {
            room.behind.retain(|behind| behind.domain != domain);
        }
    }

    /// Somebody has left for good, and he may be the one who was to have the history. Whoever has yet to ask to enter asks for it, too. If
    /// there is no such user, what was said meanwhile stays unknown, and the others are told so now: the next history would bring it late.
    pub(super) fn keep_catching_up(&mut self, room: &BareJid, domain: &str, now: Instant) {
        let someone_is_behind = self
            .rooms
            .get(room)
            .is_some_and(|room| room.behind.iter().any(|behind| behind.domain == domain));
        let someone_asks = self.sessions.in_room(room).any(|(_, session)| {
            session.who.jid.domain().as_str() == domain
                && (session.catches_up
                    || session.follows && matches!(session.phase, Phase::Out { asked: None, .. }))
        });
        if someone_is_behind && !someone_asks {
            tracing::warn!(%room, "who asked for what was said while the link was down left before it came");
            self.tell_behind(room, domain, NOBODY_ASKS, now);
            self.all_caught_up(room, domain, now);
            let wall = self.wall(now);
            if let Some(room) = self.rooms.get_mut(room) {
                room.sharing.begin(domain, wall);
            }
        }
    }

    /// What waited for the history and was no part of it: from here on it is what any copy is, for all. A history that is still to come to
    /// somebody else may hold it, too.
    fn tell_ahead(&mut self, room: &BareJid, domain: &str, now: Instant) {
        let behind = self.those_behind(room, domain);
        let ahead = behind.map_or_else(Vec::new, |behind| std::mem::take(&mut behind.ahead));
        for message in ahead {
            if let Ok(occupant) = message.to.try_as_full()
                && !self.was_told(room, &message)
            {
                let key = self.sessions.of_occupant(room, occupant);
                self.said_to_all(key, room, occupant, &message, now);
            }
        }
    }

    fn those_behind(&mut self, room: &BareJid, domain: &str) -> Option<&mut Behind> {
        let mut behind = self.rooms.get_mut(room)?.behind.iter_mut();
        behind.find(|behind| behind.domain == domain)
    }

    /// Who was in the room when the link broke; whoever has come since has the history that he asked for.
    pub(super) fn behind(&self, room: &BareJid, domain: &str) -> Vec<SessionKey> {
        let sessions = self.sessions.in_room(room);
        sessions
            .filter(|(_, session)| session.behind && session.who.jid.domain().as_str() == domain)
            .map(|(key, _)| key)
            .collect()
    }
}
