//! Marks of congestion (RFC 7701 §6.4): told at one fill of the queue, taken back at a lower one.

use crate::SessionId;

use super::{Connection, Entry, Event};

/// Percent of [`crate::Limits::outgoing`] above which a connection is congested.
const UPPER: usize = 80;

/// Percent below which it no longer is.
const LOWER: usize = 40;

impl Connection {
    /// Tells the sessions when the queue passes a mark.
    pub(super) fn watch_congestion(&mut self) {
        let outgoing = self.wire.limits.outgoing;
        let waiting = self.outgoing_octets();
        let congested = if self.congested {
            waiting >= outgoing / 100 * LOWER
        } else {
            waiting > outgoing / 100 * UPPER
        };
        if congested == self.congested {
            return;
        }
        self.congested = congested;
        for (id, entry) in &mut self.sessions {
            if let Entry::Bound(session) = entry
                && session.congested != congested
            {
                session.congested = congested;
                self.wire.emit(event(id.clone(), congested));
            }
        }
    }

    /// Tells a session that came after the others were told.
    pub(super) fn tell_congestion(&mut self, id: &SessionId) {
        let congested = self.congested;
        if let Ok((session, wire)) = self.bound(id)
            && congested
            && !session.congested
        {
            session.congested = true;
            wire.emit(event(id.clone(), true));
        }
    }
}

fn event(session: SessionId, congested: bool) -> Event {
    if congested {
        Event::Congested { session }
    } else {
        Event::Eased { session }
    }
}
