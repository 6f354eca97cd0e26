//! Copies of one groupchat message: a room sends one to each of its occupants, and of ours one is enough.
//!
//! The owner names the occupants that *share*: whoever of them is sent a message first, it is for all of them. A further copy is
//! dropped only if it is proven to be one: the same octets as the copy that passed, but for the value of `to`, and for another
//! occupant than that one. So a room that tells occupants different things loses nothing, nor does an occupant whom the room has
//! forgotten deprive the others: which copy passes is decided anew for each message. The octets after the start tag being equal, the copy
//! ends where the first one did, and is not even scanned.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// Octets of one stanza that is remembered, and of all.
const STANZA: usize = 16 * 1024;
const ALL: usize = 4 * 1024 * 1024;

/// Who shares, and the copy of each room's last message that passed.
#[derive(Debug, Default)]
pub(super) struct Copies {
    rooms: BTreeMap<Vec<u8>, Room>,
    /// Octets remembered.
    remembered: usize,
    dropped: u64,
}

#[derive(Debug, Default)]
struct Room {
    sharers: BTreeSet<Vec<u8>>,
    passed: Option<Passed>,
}

/// A copy that passed.
#[derive(Debug)]
struct Passed {
    stanza: Vec<u8>,
    start: StartTag,
}

/// Where in a groupchat message its parts stand.
#[derive(Debug, Clone)]
pub(super) struct StartTag {
    /// The bare address in `from`.
    pub(super) room: Range<usize>,
    /// The value of `to`.
    pub(super) to: Range<usize>,
}

impl Copies {
    pub(super) fn share(&mut self, room: &str, occupant: &str) {
        let room = self.rooms.entry(room.as_bytes().to_vec()).or_default();
        room.sharers.insert(occupant.as_bytes().to_vec());
    }

    pub(super) fn unshare(&mut self, room: &str, occupant: &str) {
        let Some(state) = self.rooms.get_mut(room.as_bytes()) else {
            return;
        };
        state.sharers.remove(occupant.as_bytes());
        if state.sharers.is_empty()
            && let Some(state) = self.rooms.remove(room.as_bytes())
        {
            self.remembered -= state.passed.map_or(0, |passed| passed.stanza.len());
        }
    }

    /// How many were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether nobody shares anything.
    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// The length of the stanza that `octets` begin with, if it is a further copy of the one that passed.
    pub(super) fn repeats(&mut self, octets: &[u8], start: &StartTag) -> Option<usize> {
        let room = self.rooms.get(octets.get(start.room.clone())?)?;
        let passed = room.passed.as_ref()?;
        let to = octets.get(start.to.clone())?;
        let (head, tail) = (octets.get(..start.to.start)?, octets.get(start.to.end..)?);
        let (passed_head, passed_tail) = passed.around_to()?;
        let is_copy = tail.starts_with(passed_tail)
            && head == passed_head
            && Some(to) != passed.stanza.get(passed.start.to.clone())
            && room.sharers.contains(to);
        is_copy.then(|| {
            self.dropped += 1;
            start.to.end + passed_tail.len()
        })
    }

    /// Remembers a whole stanza that passes.
    pub(super) fn passes(&mut self, stanza: &[u8], start: &StartTag) {
        let (Some(room), Some(to)) = (stanza.get(start.room.clone()), stanza.get(start.to.clone())) else {
            return;
        };
        let Some(room) = self.rooms.get_mut(room).filter(|room| room.sharers.contains(to)) else {
            return;
        };
        let passed = room.passed.get_or_insert_with(|| Passed {
            stanza: Vec::new(),
            start: start.clone(),
        });
        self.remembered -= passed.stanza.len();
        passed.stanza.clear();
        if stanza.len() > STANZA {
            room.passed = None;
            return;
        }
        passed.stanza.extend_from_slice(stanza);
        passed.start = start.clone();
        self.remembered += stanza.len();
        if self.remembered > ALL {
            self.forget();
        }
    }

    /// What is not remembered passes, to be told apart by the owner.
    fn forget(&mut self) {
        self.remembered = 0;
        for room in self.rooms.values_mut() {
            room.passed = None;
        }
    }
}

impl Passed {
    /// Everything but the value of `to`.
    fn around_to(&self) -> Option<(&[u8], &[u8])> {
        let to = &self.start.to;
        Some((self.stanza.get(..to.start)?, self.stanza.get(to.end..)?))
    }
}
