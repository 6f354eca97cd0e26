//! The reference model: who is in which room, and which messages each must have received. It knows the actions and what people noticed,
//! nothing of the product, and is as simple as it can be.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// How long a message may be under way between an undisturbed sender and an undisturbed receiver.
pub(crate) const UNDER_WAY: Duration = Duration::from_secs(10);
/// How long a sender may wait for his answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(22);

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which.
    pub invariant: &'static str,
    /// What was seen.
    pub detail: String,
    /// When, from the start.
    pub at: Duration,
}

/// Whom a disturbance concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Everybody,
    Room(usize),
    Stay(usize),
}

#[derive(Debug)]
struct Disturbance {
    from: Instant,
    until: Instant,
    scope: Scope,
}

/// One user's stay in one room, from his INVITE to the end of the call.
#[derive(Debug)]
pub(crate) struct Stay {
    pub(crate) user: usize,
    pub(crate) room: usize,
    pub(crate) admitted: Option<Instant>,
    pub(crate) over: Option<Instant>,
    pub(crate) private_messages: bool,
    /// The nickname that he was granted last, and when.
    pub(crate) nickname: Option<(String, Instant)>,
    pub(crate) refused: Option<u16>,
    /// Tokens.
    pub(crate) heard: BTreeSet<u32>,
    /// The place of the last message that it heard of each speaker under each nickname.
    pub(crate) last_places: BTreeMap<(Speaker, String), u32>,
}

/// Octets of a text that goes in one MSRP chunk, with all that is around it.
const UNCUT: usize = 7 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Speaker {
    Stay(usize),
    Native(usize),
    /// An XMPP user in a conference, by his stay.
    Seat(usize),
    /// Somebody whom the focus has by itself.
    Local(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Public,
    Private,
    /// Must not be taken.
    Hostile,
    /// The gateway may pass it over: it comes in a wrapping that breaks bounds.
    Odd,
}

/// A message.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) from: Speaker,
    pub(crate) room: usize,
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) at: Instant,
    /// What the sender heard: MSRP status and when.
    pub(crate) outcomes: Vec<(u16, Instant)>,
    /// When the room had it, and its place among all messages.
    pub(crate) accepted: Option<(Instant, u32)>,
    /// The speaker's nickname at that moment.
    pub(crate) nickname: String,
    /// Occupants' addresses at that moment (public), or the addressee (private).
    pub(crate) to: Vec<String>,
    /// Stays that must hear it.
    pub(crate) must: BTreeSet<usize>,
    pub(crate) bounced: bool,
    pub(crate) reported: bool,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) start: Instant,
    pub(crate) stays: Vec<Stay>,
    pub(crate) said: BTreeMap<u32, Said>,
    /// Rooms in which something was said that MSRP may cut.
    pub(crate) long_winded: BTreeSet<usize>,
    pub(crate) failures: Vec<Failure>,
    disturbances: Vec<Disturbance>,
    next_token: u32,
    places: u32,
}

impl Model {
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            stays: Vec::new(),
            said: BTreeMap::new(),
            long_winded: BTreeSet::new(),
            failures: Vec::new(),
            disturbances: Vec::new(),
            next_token: 0,
            places: 0,
        }
    }

    pub(crate) fn fail(&mut self, invariant: &'static str, detail: String, now: Instant) {
        if self.failures.len() < 20 {
            self.failures.push(Failure {
                invariant,
                detail,
                at: now - self.start,
            });
        }
    }

    /// Somebody calls. Returns the number of the stay.
    pub(crate) fn calls(&mut self, user: usize, room: usize, private_messages: bool) -> usize {
        self.stays.push(Stay {
            user,
            room,
            admitted: None,
            over: None,
            private_messages,
            nickname: None,
            refused: None,
            heard: BTreeSet::new(),
            last_places: BTreeMap::new(),
        });
        self.stays.len() - 1
    }

    pub(crate) fn over(&mut self, stay: usize, now: Instant) {
        if self.stays[stay].over.is_none() {
            self.stays[stay].over = Some(now);
        }
    }

    /// Something gets in the way of somebody, until it is over.
    pub(crate) fn disturb(&mut self, scope: Scope, from: Instant, until: Instant) {
        self.disturbances.push(Disturbance { from, until, scope });
    }

    /// Whether a stay went on without disturbance.
    pub(crate) fn calm(&self, stay: usize, from: Instant, until: Instant) -> bool {
        let it = &self.stays[stay];
        let there = it.admitted.is_some_and(|since| since <= from) && it.over.is_none_or(|over| over > until);
        there && !self.disturbed(Scope::Stay(stay), it.room, from, until)
    }

    /// Whether a room went on without disturbance.
    pub(crate) fn room_calm(&self, room: usize, from: Instant, until: Instant) -> bool {
        !self.disturbed(Scope::Room(room), room, from, until)
    }

    fn disturbed(&self, scope: Scope, room: usize, from: Instant, until: Instant) -> bool {
        self.disturbances.iter().any(|disturbance| {
            let concerned = disturbance.scope == Scope::Everybody
                || disturbance.scope == Scope::Room(room)
                || disturbance.scope == scope;
            concerned && disturbance.from <= until && disturbance.until >= from
        })
    }

    /// Somebody says something. Returns its token and the text that carries it.
    pub(crate) fn says(
        &mut self,
        from: Speaker,
        room: usize,
        kind: Kind,
        size: usize,
        now: Instant,
    ) -> (u32, String) {
        self.next_token += 1;
        let token = self.next_token;
        let filler = "thou & I <3 \u{e9}\u{1f339} \"quoth\" ]]> end\n";
        let mut text = format!("\u{27e8}{token}\u{27e9} ");
        text.extend(filler.chars().cycle().take(size));
        if text.len() > UNCUT {
            self.long_winded.insert(room);
        }
        self.said.insert(
            token,
            Said {
                from,
                room,
                kind,
                text: text.clone(),
                at: now,
                outcomes: Vec::new(),
                accepted: None,
                nickname: String::new(),
                to: Vec::new(),
                must: BTreeSet::new(),
                bounced: false,
                reported: false,
            },
        );
        (token, text)
    }

    /// A room has a message, or handed a private one over.
    pub(crate) fn accepted(
        &mut self,
        token: u32,
        nickname: &str,
        to: Vec<String>,
        now: Instant,
    ) -> Option<()> {
        self.places += 1;
        let place = self.places;
        let said = self.said.get(&token)?;
        if said.accepted.is_some() {
            let detail = format!("the room got message {token} twice");
            self.fail("at_most_once", detail, now);
            return None;
        }
        let said = self.said.get_mut(&token)?;
        said.accepted = Some((now, place));
        nickname.clone_into(&mut said.nickname);
        said.to = to;
        Some(())
    }
}

/// The token in a text.
pub(crate) fn token(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once('\u{27e8}')?;
    rest.split_once('\u{27e9}')?.0.parse().ok()
}
