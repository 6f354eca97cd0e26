//! Who is in a room, as its authority says, and what has changed since the subscribers were told.

use std::collections::{BTreeMap, BTreeSet};

use msrp::Lane;
use sip::conference::{Document, EndpointStatus, State, User};

use crate::{address::RoomAddress, nickname::comparison_key};

/// One occupant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Occupant {
    /// XEP-0172 display name, if he has one.
    pub(crate) display_name: Option<String>,
    /// MUC role.
    pub(crate) role: String,
}

/// How an occupant left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Departure {
    /// By himself, or under another nickname from now on.
    Departed,
    /// Removed, with the reason given.
    Booted(Option<String>),
}

#[derive(Debug)]
struct Entry {
    occupant: Occupant,
    seen: u64,
    /// Of the nickname under which he entered: it stays when he takes another.
    lane: Lane,
}

/// The roster of a room, and the changes not yet told. At most `limit` occupants are kept; further ones are counted only.
#[derive(Debug)]
pub(crate) struct Roster {
    occupants: BTreeMap<String, Entry>,
    /// Comparison key → nicknames: a room may admit several that are the same under RFC 8266.
    keys: BTreeMap<String, BTreeSet<String>>,
    subject: Option<String>,
    changed: BTreeMap<String, Option<Departure>>,
    subject_changed: bool,
    epoch: u64,
    /// The latest epoch in which the room has listed itself whole.
    listed: u64,
    limit: usize,
}

impl Roster {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            occupants: BTreeMap::new(),
            keys: BTreeMap::new(),
            subject: None,
            changed: BTreeMap::new(),
            subject_changed: false,
            epoch: 0,
            listed: 0,
            limit,
        }
    }

    /// Someone is there. Returns whether that is news.
    pub(crate) fn enter(&mut self, nickname: &str, occupant: Occupant) -> bool {
        let epoch = self.epoch;
        if let Some(entry) = self.occupants.get_mut(nickname) {
            entry.seen = epoch;
            if entry.occupant == occupant {
                return false;
            }
            entry.occupant = occupant;
        } else {
            if self.occupants.len() >= self.limit {
                return false;
            }
            self.keys
                .entry(comparison_key(nickname))
                .or_default()
                .insert(nickname.to_owned());
            self.occupants.insert(
                nickname.to_owned(),
                Entry {
                    occupant,
                    seen: epoch,
                    lane: lane_of(nickname),
                },
            );
        }
        self.changed.insert(nickname.to_owned(), None);
        true
    }

    /// Someone is gone. Returns whether that is news.
    pub(crate) fn leave(&mut self, nickname: &str, how: Departure) -> bool {
        if self.occupants.remove(nickname).is_none() {
            return false;
        }
        let key = comparison_key(nickname);
        if let Some(same) = self.keys.get_mut(&key) {
            same.remove(nickname);
            if same.is_empty() {
                self.keys.remove(&key);
            }
        }
        self.changed.insert(nickname.to_owned(), Some(how));
        true
    }

    /// Someone has another nickname: both halves are one change (RFC 7702 §6.4, status 303).
    pub(crate) fn rename(&mut self, old: &str, new: &str) -> bool {
        let Some(Entry { occupant, lane, .. }) = self.occupants.get(old) else {
            return false;
        };
        let (occupant, lane) = (occupant.clone(), *lane);
        self.leave(old, Departure::Departed);
        self.enter(new, occupant);
        if let Some(entry) = self.occupants.get_mut(new) {
            entry.lane = lane;
        }
        true
    }

    /// The subject, as the room sent it. Returns whether that is news.
    pub(crate) fn set_subject(&mut self, subject: String) -> bool {
        let news = self.subject.as_ref() != Some(&subject);
        self.subject_changed |= news;
        self.subject = Some(subject);
        news
    }

    /// The lane in which everything that somebody says reaches each SIP user: in order, and not behind what others say.
    pub(crate) fn lane(&self, nickname: &str) -> Lane {
        let present = self.occupants.get(nickname);
        present.map_or_else(|| lane_of(nickname), |entry| entry.lane)
    }

    /// Of everybody, in their order.
    pub(crate) fn nicknames(&self) -> impl Iterator<Item = &str> {
        self.occupants.keys().map(String::as_str)
    }

    /// Whether somebody has this very nickname.
    pub(crate) fn has(&self, nickname: &str) -> bool {
        self.occupants.contains_key(nickname)
    }

    /// Whether somebody else than the holder of `own` has a nickname that is the same as this one under RFC 8266.
    pub(crate) fn is_taken(&self, nickname: &str, own: &str) -> bool {
        self.others_like(nickname, own).next().is_some()
    }

    /// The nicknames of others than the holder of `own` that are the same as this one under RFC 8266.
    pub(crate) fn others_like(&self, nickname: &str, own: &str) -> impl Iterator<Item = &str> {
        let same = self.keys.get(&comparison_key(nickname)).into_iter().flatten();
        same.map(String::as_str).filter(move |holder| *holder != own)
    }

    /// The room will be listed anew: whoever is not seen until [`Self::drop_unseen`] has gone meanwhile.
    pub(crate) fn begin_relisting(&mut self) {
        self.epoch += 1;
    }

    /// The room has listed itself whole to somebody who enters.
    pub(crate) fn end_listing(&mut self) {
        self.listed = self.epoch;
    }

    /// Removes those who were not seen since [`Self::begin_relisting`], once there was a whole listing. Returns whether there were any.
    pub(crate) fn drop_unseen(&mut self) -> bool {
        if self.listed < self.epoch {
            return false;
        }
        let gone: Vec<String> = self
            .occupants
            .iter()
            .filter(|(_, entry)| entry.seen < self.epoch)
            .map(|(nickname, _)| nickname.clone())
            .collect();
        for nickname in &gone {
            self.leave(nickname, Departure::Departed);
        }
        !gone.is_empty()
    }

    /// Whether there is something to tell.
    pub(crate) fn has_changes(&self) -> bool {
        self.subject_changed || !self.changed.is_empty()
    }

    /// The whole room.
    pub(crate) fn full(&self, room: &RoomAddress) -> Document {
        Document {
            entity: room.sip.to_string(),
            state: State::Full,
            subject: self.subject.clone(),
            user_count: Some(self.count()),
            users: self
                .occupants
                .iter()
                .map(|(nick, entry)| present(room, nick, &entry.occupant))
                .collect(),
        }
    }

    /// What changed since the last call, as a partial document; `None` if nothing did.
    pub(crate) fn take_changes(&mut self, room: &RoomAddress) -> Option<Document> {
        if !self.has_changes() {
            return None;
        }
        let changed = std::mem::take(&mut self.changed);
        let users = changed
            .into_iter()
            .map(|(nick, departure)| match (self.occupants.get(&nick), departure) {
                (Some(entry), _) => present(room, &nick, &entry.occupant),
                (None, how) => gone(room, &nick, how.unwrap_or(Departure::Departed)),
            })
            .collect();
        let subject = std::mem::take(&mut self.subject_changed)
            .then(|| self.subject.clone())
            .flatten();
        Some(Document {
            entity: room.sip.to_string(),
            state: State::Partial,
            subject,
            user_count: Some(self.count()),
            users,
        })
    }

    /// Forgets the changes: nobody is subscribed.
    pub(crate) fn discard_changes(&mut self) {
        self.changed.clear();
        self.subject_changed = false;
    }

    /// How many are there.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.occupants.len()).unwrap_or(u32::MAX)
    }
}

/// FNV-1a: should two nicknames share a lane, their messages only wait for each other.
fn lane_of(nickname: &str) -> Lane {
    let hash = |hash: u64, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3);
    Lane(nickname.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
}

fn present(room: &RoomAddress, nickname: &str, occupant: &Occupant) -> User {
    User {
        entity: room.occupant(nickname).to_string(),
        state: State::Full,
        // RFC 7702 §7: the display name is `<nick/>`, or else the nickname itself.
        display_text: Some(
            occupant
                .display_name
                .clone()
                .unwrap_or_else(|| nickname.to_owned()),
        ),
        nickname: Some(nickname.to_owned()),
        aors: Vec::new(),
        roles: vec![occupant.role.clone()],
        status: Some(EndpointStatus::Connected),
    }
}

/// Older clients look at the endpoint's status and not at the state of the user (RFC 4575 §5.7.1).
fn gone(room: &RoomAddress, nickname: &str, how: Departure) -> User {
    User {
        entity: room.occupant(nickname).to_string(),
        state: State::Deleted,
        display_text: None,
        nickname: None,
        aors: Vec::new(),
        roles: Vec::new(),
        status: Some(match how {
            Departure::Departed => EndpointStatus::Departed,
            Departure::Booted(reason) => EndpointStatus::Booted(reason),
        }),
    }
}
