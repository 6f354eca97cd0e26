//! Requests of ours that wait for their responses.

use std::{collections::VecDeque, time::Instant};

use rand_chacha::ChaCha12Rng;

use crate::{SessionId, frame::TransactionId};

use super::wire::Asked;

/// Places that are kept when no transaction is open.
const KEPT: usize = 1024;

/// Stale deadlines that are kept in any case.
const STALE: usize = 64;

/// A request of ours that waits for its response.
pub(super) struct Transaction {
    pub(super) session: SessionId,
    /// Tells a session from an earlier one of the same id.
    pub(super) generation: u64,
    pub(super) asked: Asked,
}

/// The open transactions. A transaction id names the place of its transaction, so that no search is needed.
#[derive(Default)]
pub(super) struct Transactions {
    places: Vec<Option<(TransactionId, Transaction)>>,
    /// Places without a transaction.
    free: Vec<u32>,
    /// In order of time. The first one belongs to an open transaction; those behind it may be stale.
    deadlines: VecDeque<(Instant, TransactionId)>,
}

impl Transactions {
    /// An id for the transaction that is opened next.
    pub(super) fn next_id(&self, rng: &mut ChaCha12Rng) -> TransactionId {
        let place = self.free.last().copied();
        // Limits keep the number of open transactions far below 32 bits.
        let place = place.unwrap_or_else(|| u32::try_from(self.places.len()).unwrap_or(u32::MAX));
        TransactionId::numbered(rng, place)
    }

    /// Opens the transaction that [`Self::next_id`] has just named.
    pub(super) fn open(&mut self, id: TransactionId, transaction: Transaction, deadline: Instant) {
        let opened = Some((id, transaction));
        match self
            .free
            .pop()
            .and_then(|place| self.places.get_mut(place as usize))
        {
            Some(place) => *place = opened,
            None => self.places.push(opened),
        }
        // All wait equally long: only a clock that went back could break the order.
        let latest = self.deadlines.back().map_or(deadline, |(latest, _)| *latest);
        self.deadlines.push_back((deadline.max(latest), id));
        self.sweep();
    }

    /// Takes a transaction out.
    pub(super) fn settle(&mut self, id: &TransactionId) -> Option<Transaction> {
        let number = id.number()?;
        let place = self.places.get_mut(number as usize)?;
        let (_, transaction) = place.take_if(|(known, _)| known == id)?;
        self.free.push(number);
        if self.free.len() == self.places.len() && self.places.len() > KEPT {
            *self = Self::default();
        }
        self.drop_stale();
        Some(transaction)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.front().map(|(deadline, _)| *deadline)
    }

    /// Takes the first deadline; its transaction stays to be settled.
    pub(super) fn take_deadline(&mut self) -> Option<TransactionId> {
        let (_, id) = self.deadlines.pop_front()?;
        self.drop_stale();
        Some(id)
    }

    fn is_open(&self, id: &TransactionId) -> bool {
        let place = id.number().and_then(|number| self.places.get(number as usize));
        matches!(place, Some(Some((known, _))) if known == id)
    }

    /// Drops the deadlines in front whose transactions are settled.
    fn drop_stale(&mut self) {
        while let Some((_, id)) = self.deadlines.front()
            && !self.is_open(id)
        {
            self.deadlines.pop_front();
        }
    }

    /// Drops all stale deadlines once they are the greater part.
    fn sweep(&mut self) {
        let open = self.places.len() - self.free.len();
        if self.deadlines.len() > 2 * open + STALE {
            let mut deadlines = std::mem::take(&mut self.deadlines);
            deadlines.retain(|(_, id)| self.is_open(id));
            self.deadlines = deadlines;
        }
    }
}
