//! One copy for all: a room sends each of our users a copy of every message. Once a user has heard the room's history, he *shares*: the
//! first copy that comes to any who share is for all of them, and the link drops the others unread.
//!
//! What the link drops is only ever a saving. Which message is for whom is decided here, and does not depend on how many copies passed:
//! of equal copies to different occupants the first counts. What a room says in its own name is for the occupant it is sent to.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Instant,
};

use jiff::Timestamp;
use msrp::Status;
use xmpp::{BareJid, FullJid, stanza::Message};

use crate::{Gateway, rendering, session::SessionKey};

/// How many messages are remembered, to know their further copies. A server sends those of one message in a row.
pub(super) const REMEMBERED: usize = 256;

/// What a room's users share.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    /// Newest last.
    told: VecDeque<Told>,
    /// What was told to somebody as history when he entered.
    replayed: VecDeque<Told>,
    /// How many messages there were.
    count: u64,
    /// Who shares no more, but the link may not know yet: what comes for him may be the one copy for all.
    leaving: BTreeSet<FullJid>,
    /// The room tells its occupants different things under one id: each gets his own.
    differs: bool,
    /// Under which domain somebody shares, and since when all that is said is told.
    begun: Vec<(String, Timestamp)>,
}

/// A copy that was for all.
#[derive(Debug)]
struct Told {
    number: u64,
    to: FullJid,
    nickname: String,
    id: Option<String>,
    text: Option<String>,
}

/// What a copy is.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The first one of its message.
    First,
    /// A further one.
    Further,
    /// A further one of a message that was told before its recipient shared.
    Missed,
    /// Another text under the same id.
    Different,
}

impl Sharing {
    /// Since when all that is said is told under a domain.
    pub(super) fn begun(&self, domain: &str) -> Option<Timestamp> {
        let mut begun = self.begun.iter();
        begun.find(|(of, _)| of == domain).map(|(_, at)| *at)
    }

    /// What was said before and is not known is told no more.
    pub(super) fn begin(&mut self, domain: &str, at: Timestamp) {
        let mut begun = self.begun.iter_mut();
        match begun.find(|(of, _)| of == domain) {
            Some((_, since)) => *since = at,
            None => self.begun.push((domain.to_owned(), at)),
        }
    }

    /// `since`: when its recipient began to share.
    fn judge(&self, copy: &Told, since: u64) -> Verdict {
        let same = |told: &&Told| {
            told.to.domain() == copy.to.domain() && told.nickname == copy.nickname && told.id == copy.id
        };
        // Without an id, texts alone tell messages apart.
        let known = self
            .told
            .iter()
            .rev()
            .filter(same)
            .find(|told| told.text == copy.text || told.id.is_some());
        match known {
            None => Verdict::First,
            // He had his copy of that one.
            Some(told) if told.to == copy.to => Verdict::First,
            Some(told) if told.text != copy.text => Verdict::Different,
            Some(told) if told.number < since => Verdict::Missed,
            Some(_) => Verdict::Further,
        }
    }

    /// Whether users of a domain were told anything.
    pub(super) fn has_told_anything(&self, domain: &str) -> bool {
        self.told.iter().any(|told| told.to.domain().as_str() == domain)
    }

    /// Whether this very message was told, in whosever copy.
    fn has_told(&self, copy: &Told) -> bool {
        self.told.iter().any(|told| {
            told.to.domain() == copy.to.domain()
                && told.nickname == copy.nickname
                && told.id == copy.id
                && told.text == copy.text
        })
    }

    /// Remembers what somebody has heard of the history.
    fn replays(&mut self, copy: Told) {
        if self.replayed.len() == REMEMBERED {
            self.replayed.pop_front();
        }
        self.replayed.push_back(copy);
    }

    fn remember(&mut self, mut copy: Told) {
        copy.number = self.count;
        self.count += 1;
        if self.told.len() == REMEMBERED {
            self.told.pop_front();
        }
        self.told.push_back(copy);
    }
}

impl Gateway {
    /// Whether this message has been told to those who are here.
    pub(super) fn was_told(&self, room: &BareJid, message: &Message) -> bool {
        let (Some(state), Some(nickname), Ok(to)) = (
            self.rooms.get(room),
            message.from.resource(),
            message.to.try_as_full(),
        ) else {
            return false;
        };
        state.sharing.has_told(&Told {
            number: 0,
            to: to.clone(),
            nickname: nickname.as_str().to_owned(),
            id: message.id.clone(),
            text: rendering::text(message, &self.config.texts),
        })
    }

    /// The history is over: from here on he hears what all hear.
    pub(super) fn begin_sharing(&mut self, key: SessionKey, now: Instant) {
        self.caught_up(key, now);
        let wall = self.wall(now);
        let Some(session) = self.sessions.get(key) else {
            return;
        };
        let domain = session.who.jid.domain();
        let is_first = !self
            .sessions
            .in_room(&session.room)
            .any(|(_, other)| other.shares_since.is_some() && other.who.jid.domain() == domain);
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let Some(room) = self.rooms.get_mut(&session.room) else {
            return;
        };
        if session.shares_since.is_some() || room.sharing.differs || !self.config.occupants.share_copies {
            return;
        }
        if is_first {
            room.sharing.begin(session.who.jid.domain().as_str(), wall);
        }
        session.shares_since = Some(room.sharing.count);
        let (room, occupant) = (session.room.clone(), session.who.jid.clone());
        self.xmpp_command(&occupant.clone(), xmpp::Command::Share { room, occupant });
    }

    /// He is out of the room, or on his way: what comes to him is his own.
    pub(super) fn end_sharing(&mut self, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(key)
            && session.shares_since.take().is_some()
        {
            let (room, occupant) = (session.room.clone(), session.who.jid.clone());
            self.unshare(room, occupant);
        }
    }

    /// The same for a session that is not in the tables any more.
    pub(super) fn unshare(&mut self, room: BareJid, occupant: FullJid) {
        if let Some(state) = self.rooms.get_mut(&room) {
            state.sharing.leaving.insert(occupant.clone());
        }
        self.xmpp_command(&occupant.clone(), xmpp::Command::Unshare { room, occupant });
    }

    /// From here on the link passes every copy for this occupant.
    pub(crate) fn unshared(&mut self, room: &BareJid, occupant: &FullJid) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.sharing.leaving.remove(occupant);
        }
    }

    /// Whether a message to an occupant who has left may be the one copy for all who share.
    pub(super) fn is_leaving(&self, room: &BareJid, occupant: &FullJid) -> bool {
        self.rooms
            .get(room)
            .is_some_and(|room| room.sharing.leaving.contains(occupant))
    }

    /// An occupant's message in the copy for one who shares; `key` if he is still here.
    pub(super) fn said_to_all(
        &mut self,
        key: Option<SessionKey>,
        room: &BareJid,
        to: &FullJid,
        message: &Message,
        now: Instant,
    ) {
        let (Some(nickname), Some(state)) = (message.from.resource(), self.rooms.get_mut(room)) else {
            return;
        };
        let text = rendering::text(message, &self.config.texts);
        if text.is_none() && message.extras.chat_state.is_some() {
            return self.writes(room, message, None, now);
        }
        let copy = Told {
            number: 0,
            to: to.clone(),
            nickname: nickname.as_str().to_owned(),
            id: message.id.clone(),
            text: text.clone(),
        };
        let session = key.and_then(|key| self.sessions.get(key));
        let since = session.and_then(|session| session.shares_since).unwrap_or(0);
        let sharing = &mut state.sharing;
        let verdict = sharing.judge(&copy, since);
        match verdict {
            Verdict::Further => return,
            Verdict::Missed => {}
            Verdict::First | Verdict::Different if sharing.differs => {}
            Verdict::First | Verdict::Different => {
                sharing.remember(copy);
                self.has_written(room, nickname.as_str());
                let hearers = self.sharers(room, to);
                let stamp = self.wall(now);
                self.hear(
                    &hearers,
                    nickname.as_str(),
                    message.id.as_deref(),
                    text,
                    stamp,
                    now,
                );
                if verdict == Verdict::Different {
                    self.stop_sharing(room, &hearers);
                }
                return;
            }
        }
        let alone: Vec<SessionKey> = key.into_iter().collect();
        let stamp = self.wall(now);
        self.hear(&alone, nickname.as_str(), message.id.as_deref(), text, stamp, now);
    }

    /// A message of the history that somebody asked for when he entered: nobody's clock has to say that it is old.
    pub(super) fn heard_as_history(&mut self, room: &BareJid, to: &FullJid, message: &Message, text: &str) {
        let (Some(nickname), Some(state)) = (message.from.resource(), self.rooms.get_mut(room)) else {
            return;
        };
        state.sharing.replays(Told {
            number: 0,
            to: to.clone(),
            nickname: nickname.as_str().to_owned(),
            id: message.id.clone(),
            text: Some(text.to_owned()),
        });
    }

    /// A message of the room's history that was said while nobody could hear it, unless somebody could.
    pub(super) fn said_meanwhile(
        &mut self,
        room: &BareJid,
        to: &FullJid,
        message: &Message,
        stamp: Timestamp,
        now: Instant,
    ) {
        let (Some(nickname), Some(state)) = (message.from.resource(), self.rooms.get_mut(room)) else {
            return;
        };
        let text = rendering::text(message, &self.config.texts);
        let copy = Told {
            number: 0,
            to: to.clone(),
            nickname: nickname.as_str().to_owned(),
            id: message.id.clone(),
            text: text.clone(),
        };
        // Who has entered since has it from his own history.
        let knows: BTreeSet<FullJid> = state
            .sharing
            .replayed
            .iter()
            .filter(|told| told.nickname == copy.nickname && told.id == copy.id && told.text == copy.text)
            .map(|told| told.to.clone())
            .collect();
        if state.sharing.has_told(&copy) {
            return;
        }
        state.sharing.remember(copy);
        let mut hearers = self.behind(room, to.domain().as_str());
        hearers.retain(|key| {
            self.sessions
                .get(*key)
                .is_some_and(|session| !knows.contains(&session.who.jid))
        });
        self.hear(
            &hearers,
            nickname.as_str(),
            message.id.as_deref(),
            text,
            stamp,
            now,
        );
    }

    /// Those who share with an occupant, or will when they are back: under one domain, for each domain has its own link.
    fn sharers(&self, room: &BareJid, with: &FullJid) -> Vec<SessionKey> {
        self.sessions
            .in_room(room)
            .filter(|(_, session)| {
                (session.shares_since.is_some() || session.follows)
                    && session.who.jid.domain() == with.domain()
            })
            .map(|(key, _)| key)
            .collect()
    }

    /// To the sender the message is the room's receipt, to the others it is shown (RFC 7702 §6.3.1).
    fn hear(
        &mut self,
        hearers: &[SessionKey],
        nickname: &str,
        id: Option<&str>,
        text: Option<String>,
        stamp: Timestamp,
        now: Instant,
    ) {
        let is_sender = |key: &SessionKey| {
            let session = self.sessions.get(*key);
            session.is_some_and(|session| session.said(nickname, id))
        };
        let (senders, others): (Vec<_>, Vec<_>) = hearers.iter().copied().partition(is_sender);
        for sender in senders {
            if let Some(id) = id {
                self.settle_message(sender, id, Status::OK);
            }
        }
        if let Some(text) = text {
            self.show(&others, Some(nickname.to_owned()), text, stamp, now);
        }
    }

    /// The room tells its occupants different things. What the link dropped meanwhile was equal to what all were shown.
    fn stop_sharing(&mut self, room: &BareJid, sharers: &[SessionKey]) {
        tracing::warn!(%room, "the room sends its occupants different texts: each gets his own from now on");
        if let Some(state) = self.rooms.get_mut(room) {
            state.sharing.differs = true;
        }
        for key in sharers {
            if let Some(session) = self.sessions.get(*key) {
                let (room, occupant) = (session.room.clone(), session.who.jid.clone());
                self.unshare(room, occupant);
            }
        }
    }
}
