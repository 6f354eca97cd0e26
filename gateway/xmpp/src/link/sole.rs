//! Whether a connection is the only one that speaks for the domain.
//!
//! A server that stood still still holds the connection that we gave up meanwhile, until it has read to its end. ejabberd takes several for
//! one domain and hands each stanza to any of them (`domain_balancing`): what goes to the former is lost. A ping to our own domain is such a
//! stanza, so when a few in a row all come back, there is no other.

use std::time::{Duration, Instant};

use super::later;

/// Pings in a row. Where another connection gets every second one, all of them come back once in 256 times.
pub(super) const ROW: u64 = 8;

/// How long until the next row.
const PAUSE: Duration = Duration::from_millis(100);

/// How long it is waited for. The other connection may be there for good, and the pings may come back behind much else.
const PATIENCE: Duration = Duration::from_secs(2);

/// The pings that are out.
#[derive(Debug)]
pub(super) struct Sole {
    since: Instant,
    /// Number of the first ping.
    first: u64,
    /// How many of each row are out.
    out: Vec<u64>,
    next: Instant,
}

impl Sole {
    /// No row yet; pings will have the numbers from `first` on.
    pub(super) fn new(first: u64, now: Instant) -> Self {
        Self {
            since: now,
            first,
            out: Vec::new(),
            next: now,
        }
    }

    /// A row goes out, if its time has come. Returns whether it has.
    pub(super) fn next_row(&mut self, now: Instant) -> bool {
        let due = now >= self.next;
        if due {
            self.out.push(ROW);
            self.next = later(now, PAUSE);
        }
        due
    }

    /// The ping of this number is back. Returns whether a whole row is. Nobody but us knows the numbers, and a ping comes back once.
    pub(super) fn is_back(&mut self, number: u64) -> bool {
        let row = number
            .checked_sub(self.first)
            .and_then(|number| usize::try_from(number / ROW).ok());
        let Some(out) = row.and_then(|row| self.out.get_mut(row)) else {
            return false;
        };
        *out = out.saturating_sub(1);
        *out == 0
    }

    /// Whether some pings of a row have come back and others have not.
    pub(super) fn is_shared(&self) -> bool {
        self.out.iter().any(|out| (1..ROW).contains(out))
    }

    /// When it is not waited for any longer.
    pub(super) fn deadline(&self) -> Instant {
        later(self.since, PATIENCE)
    }

    /// When something is due.
    pub(super) fn due(&self) -> Instant {
        self.next.min(self.deadline())
    }
}
