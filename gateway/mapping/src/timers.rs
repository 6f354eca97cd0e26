//! Deadlines, ordered; each can be taken back.

use std::{collections::BTreeMap, time::Instant};

use sip::DialogId;
use xmpp::BareJid;

use crate::{LinkId, msrp_room::StayKey, muc_room::LookupId, session::SessionKey};

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The room has not admitted the user in time.
    Admission(SessionKey),
    /// The client has not opened its MSRP session in time.
    Media(SessionKey),
    /// A message was not reflected in time; the stanza's id.
    Reflection(SessionKey, String),
    /// A client has not asked for a nickname to enter with.
    Naming(SessionKey),
    /// An invited SIP user has not answered in time.
    Ringing(DialogId),
    /// An XMPP user who was invited into a conference has not answered in time; room and user.
    Invited(BareJid, BareJid),
    /// The room has not said in time whether an occupant is removed; id of the request.
    Removal(String),
    /// The name servers have not said in time whose a domain is.
    Locating(LookupId),
    /// A nickname change was not answered in time.
    Nickname(SessionKey),
    /// What a session holds is sent, whoever is not back yet.
    Held(SessionKey),
    /// A session that fell out of its room tries to get back.
    Reentry(SessionKey),
    /// The room's gathered changes are to be told.
    Notify(BareJid),
    /// A user who writes has not said in time that he still does.
    Typing(SessionKey),
    /// The room is asked after an occupant of ours.
    SelfPing(SessionKey),
    /// The next sessions may re-enter after the link came back.
    ReentryPace,
    /// A conference has not let the user in in time, or not said who is in.
    Entrance(StayKey),
    /// A conference is to be watched again.
    Subscribe(StayKey),
    /// The link of a conference domain was down for too long.
    ServiceAway(LinkId),
    /// Somebody is listed in a conference and has no name still.
    Names(StayKey),
}

/// Names a deadline, to take it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerId(Instant, u64);

#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeMap<TimerId, Timer>,
    next: u64,
}

impl Timers {
    pub(crate) fn start(&mut self, at: Instant, timer: Timer) -> TimerId {
        let id = TimerId(at, self.next);
        self.next += 1;
        self.due.insert(id, timer);
        id
    }

    pub(crate) fn cancel(&mut self, id: TimerId) {
        self.due.remove(&id);
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.keys().next().map(|id| id.0)
    }

    /// Takes the earliest deadline that has passed.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let id = *self.due.keys().next()?;
        if id.0 > now {
            return None;
        }
        self.due.remove(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }
}
