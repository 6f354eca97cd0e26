//! In which order the messages of one session send their chunks.

use std::collections::VecDeque;

use super::Lane;

/// Messages with octets left to send.
///
/// They go in the order in which they were queued, but one that is longer than a chunk lets the others by after each of its
/// chunks, so that none waits for the end of a long one. Only those of its own lane do: a lane keeps its order.
#[derive(Default)]
pub(super) struct Round {
    /// First the `urgent` ones, which go before all others, then the `ready` ones in the order of their turns, then those that
    /// wait for an unfinished one of their lane. It holds no memory while it is empty.
    queue: VecDeque<Entry>,
    urgent: usize,
    ready: usize,
    /// How many of the ready ones are unfinished, each of which closes its lane to others.
    unfinished: usize,
}

struct Entry {
    message: u64,
    lane: Lane,
    /// Whether chunks of it have been sent.
    unfinished: bool,
}

impl Round {
    /// Whose turn it is.
    pub(super) fn next(&self) -> Option<u64> {
        self.queue.front().map(|entry| entry.message)
    }

    /// Adds a message behind all that are ready.
    pub(super) fn push(&mut self, message: u64, lane: Lane) {
        let is_closed =
            self.unfinished > 0 && self.ready().any(|entry| entry.unfinished && entry.lane == lane);
        let entry = Entry::new(message, lane);
        if is_closed {
            self.queue.push_back(entry);
        } else {
            self.push_ready(entry);
        }
    }

    /// Adds a message that goes before all others, behind those added so before; lanes do not matter to it.
    pub(super) fn interject(&mut self, message: u64, lane: Lane) {
        self.queue.insert(self.urgent, Entry::new(message, lane));
        self.urgent += 1;
    }

    /// The message whose turn it was has octets left: the others go first, except for those of its lane.
    pub(super) fn pass_on(&mut self) {
        if self.urgent > 0 {
            return;
        }
        let Some(mut entry) = self.queue.pop_front() else {
            return;
        };
        self.ready -= 1;
        if !entry.unfinished {
            entry.unfinished = true;
            self.unfinished += 1;
            self.close(entry.lane);
        }
        self.push_ready(entry);
    }

    /// Takes a message out, wherever it stands.
    pub(super) fn remove(&mut self, message: u64) {
        let Some(place) = self.queue.iter().position(|entry| entry.message == message) else {
            return;
        };
        let Some(entry) = self.queue.remove(place) else {
            return;
        };
        if place < self.urgent {
            self.urgent -= 1;
        } else if place < self.urgent + self.ready {
            self.ready -= 1;
            if entry.unfinished {
                self.unfinished -= 1;
                self.open(entry.lane);
            }
        }
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    fn ready(&self) -> impl Iterator<Item = &Entry> {
        self.queue.iter().skip(self.urgent).take(self.ready)
    }

    fn push_ready(&mut self, entry: Entry) {
        self.queue.insert(self.urgent + self.ready, entry);
        self.ready += 1;
    }

    /// Lets the ready messages of a lane wait.
    fn close(&mut self, lane: Lane) {
        let mut place = self.urgent;
        while place < self.urgent + self.ready {
            if self.queue.get(place).is_some_and(|entry| entry.lane == lane)
                && let Some(entry) = self.queue.remove(place)
            {
                self.queue.push_back(entry);
                self.ready -= 1;
            } else {
                place += 1;
            }
        }
    }

    /// Lets the waiting messages of a lane be ready.
    fn open(&mut self, lane: Lane) {
        for place in self.urgent + self.ready..self.queue.len() {
            if self.queue.get(place).is_some_and(|entry| entry.lane == lane)
                && let Some(entry) = self.queue.remove(place)
            {
                self.push_ready(entry);
            }
        }
    }
}

impl Entry {
    fn new(message: u64, lane: Lane) -> Self {
        Self {
            message,
            lane,
            unfinished: false,
        }
    }
}
