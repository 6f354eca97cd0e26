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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    struct Opener {
        rng: ChaCha12Rng,
        transactions: Transactions,
    }

    impl Opener {
        fn new() -> Self {
            Self {
                rng: ChaCha12Rng::from_seed([7; 32]),
                transactions: Transactions::default(),
            }
        }

        fn open(&mut self, generation: u64, deadline: Instant) -> TransactionId {
            let id = self.transactions.next_id(&mut self.rng);
            let transaction = Transaction {
                session: "ours".parse().unwrap(),
                generation,
                asked: Asked::Open,
            };
            self.transactions.open(id, transaction, deadline);
            id
        }

        fn settle(&mut self, id: &TransactionId) -> Option<u64> {
            self.transactions
                .settle(id)
                .map(|transaction| transaction.generation)
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an instant has no other source; only differences to it count"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn every_transaction_is_settled_once_in_any_order() {
        let mut opener = Opener::new();
        let mut ids: Vec<TransactionId> = (0..3000).map(|number| opener.open(number, start())).collect();
        ids.reverse();
        for (id, number) in ids.iter().zip((0..3000).rev()) {
            assert_eq!(opener.settle(id), Some(number));
            assert_eq!(opener.settle(id), None);
        }
        assert_eq!(opener.transactions.next_deadline(), None);
    }

    #[test]
    fn an_id_that_is_not_ours_settles_nothing() {
        let mut opener = Opener::new();
        let settled = opener.open(1, start());
        opener.settle(&settled);
        // In the place of the first one.
        let open = opener.open(2, start());
        assert_eq!(open.number(), settled.number());
        for id in [
            settled,
            "4564dpWd".parse().unwrap(),
            "0123456789abcdef7zzzzzz".parse().unwrap(),
        ] {
            assert_eq!(opener.settle(&id), None, "{id}");
        }
        assert_eq!(opener.settle(&open), Some(2));
    }

    #[test]
    fn deadlines_come_in_order_and_only_for_open_transactions() {
        let mut opener = Opener::new();
        let start = start();
        let after = |seconds| start + Duration::from_secs(seconds);
        let [first, second, third] = [1, 2, 3].map(|number| opener.open(number, after(number)));
        opener.settle(&first);
        assert_eq!(opener.transactions.next_deadline(), Some(after(2)));
        assert_eq!(opener.transactions.take_deadline(), Some(second));
        assert_eq!(opener.settle(&second), Some(2), "still there to be settled");
        assert_eq!(opener.transactions.take_deadline(), Some(third));
        assert_eq!(opener.transactions.take_deadline(), None);
    }

    #[test]
    fn settled_transactions_leave_few_deadlines_behind() {
        let mut opener = Opener::new();
        let silent = opener.open(0, start());
        for number in 1..10_000 {
            let id = opener.open(number, start());
            opener.settle(&id);
            assert!(opener.transactions.deadlines.len() <= 2 * 2 + STALE + 1);
        }
        assert_eq!(opener.transactions.take_deadline(), Some(silent));
    }

    #[test]
    fn no_room_is_kept_after_a_great_many() {
        let mut opener = Opener::new();
        let ids: Vec<TransactionId> = (0..=KEPT as u64)
            .map(|number| opener.open(number, start()))
            .collect();
        for id in &ids {
            opener.settle(id);
        }
        assert_eq!(opener.transactions.places.capacity(), 0);
    }
}
