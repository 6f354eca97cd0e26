//! Every deadline of the endpoint, in one ordered structure: setting, moving and taking one costs O(log n).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use super::{
    client::ClientId,
    command::{DialogId, SubscriptionId},
    server::ServerId,
};

/// What a deadline is for. Each name has at most one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A client transaction's next step.
    Client(ClientId),
    /// A server transaction's next step.
    Server(ServerId),
    /// The next retransmission, or the end, of a 2xx without ACK; by dialog and CSeq.
    Unacknowledged(DialogId, u32),
    /// An INVITE of the peer that its owner has not answered.
    Unanswered(DialogId),
    /// A peer's subscription: its expiry, or the end of the wait for the last NOTIFY.
    Notifier(SubscriptionId),
    /// A referral that is asked about: the end of the wait for its outcome, or of keeping that.
    Referral(SubscriptionId),
    /// A subscription of ours: its refresh, or the end of the wait for a NOTIFY.
    Subscriber(SubscriptionId),
    /// A session's refresh, or its end if nobody refreshes it.
    Session(DialogId),
    /// A re-INVITE of ours that waits for its turn.
    Reinvite(DialogId),
    /// A reliable provisional response without PRACK.
    Provisional(DialogId),
    /// The registration: its refresh, or another attempt.
    Registration,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(Instant, Timer)>,
    deadlines: BTreeMap<Timer, Instant>,
}

impl Timers {
    /// Sets, moves or (with `None`) cancels a deadline.
    pub(super) fn set(&mut self, timer: Timer, at: Option<Instant>) {
        let old = match at {
            Some(at) => self.deadlines.insert(timer, at),
            None => self.deadlines.remove(&timer),
        };
        if old == at {
            return;
        }
        if let Some(old) = old {
            self.order.remove(&(old, timer));
        }
        if let Some(at) = at {
            self.order.insert((at, timer));
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the earliest deadline that has come.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = *self.order.first().filter(|(at, _)| *at <= now)?;
        self.order.remove(&(at, timer));
        self.deadlines.remove(&timer);
        Some(timer)
    }
}
