//! What the name servers said last, for the time when they say nothing (RFC 8767).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sip::locate::{Answer, Query};
use tokio::time::Instant;

/// Queries remembered; beyond it the one answered longest ago is forgotten.
const QUERIES: usize = 1024;
/// How long after a failure the name servers are left alone for a query that can be answered from here (RFC 8767 §5).
const RECHECK: Duration = Duration::from_secs(30);

/// Answers by query. Clones share them.
#[derive(Clone)]
pub(super) struct Remembered {
    longest: Duration,
    entries: Arc<Mutex<BTreeMap<Query, Entry>>>,
}

struct Entry {
    answer: Answer,
    told_at: Instant,
    failed_at: Option<Instant>,
}

impl Remembered {
    /// Answers stand in for `longest` at most.
    pub(super) fn new(longest: Duration) -> Self {
        Self {
            longest,
            entries: Arc::default(),
        }
    }

    /// The name servers have answered. That there are no records is worth nothing later, but ends what was said before.
    pub(super) fn store(&self, query: Query, answer: &Answer, now: Instant) {
        let mut entries = self.lock();
        if *answer == Answer::Absent || self.longest.is_zero() {
            entries.remove(&query);
            return;
        }
        if !entries.contains_key(&query) && entries.len() >= QUERIES {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.told_at);
            if let Some(oldest) = oldest.map(|(query, _)| query.clone()) {
                entries.remove(&oldest);
            }
        }
        let entry = Entry {
            answer: answer.clone(),
            told_at: now,
            failed_at: None,
        };
        entries.insert(query, entry);
    }

    /// Whether there is an answer that may stand in.
    pub(super) fn knows(&self, query: &Query, now: Instant) -> bool {
        let entries = self.lock();
        entries
            .get(query)
            .is_some_and(|entry| self.is_fresh_enough(entry, now))
    }

    /// The answer, if the name servers failed with this query a moment ago.
    pub(super) fn during_failure(&self, query: &Query, now: Instant) -> Option<Answer> {
        let entries = self.lock();
        let entry = entries
            .get(query)
            .filter(|entry| self.is_fresh_enough(entry, now))?;
        let failed_at = entry.failed_at?;
        (now.duration_since(failed_at) < RECHECK).then(|| entry.answer.clone())
    }

    /// The name servers have failed: what they said before, or [`Answer::Failed`].
    pub(super) fn after_failure(&self, query: &Query, now: Instant) -> Answer {
        let mut entries = self.lock();
        match entries.get_mut(query) {
            Some(entry) if self.is_fresh_enough(entry, now) => {
                entry.failed_at = Some(now);
                entry.answer.clone()
            }
            _ => {
                entries.remove(query);
                Answer::Failed
            }
        }
    }

    fn is_fresh_enough(&self, entry: &Entry, now: Instant) -> bool {
        now.duration_since(entry.told_at) <= self.longest
    }

    /// Every statement leaves the map whole, so a lock left by a panicking task is as good as any.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Query, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str) -> Query {
        Query::Addresses(name.to_owned())
    }

    fn addresses(last: u8) -> Answer {
        Answer::Addresses(vec![[192, 0, 2, last].into()])
    }

    #[test]
    fn an_answer_stands_in_until_it_is_too_old_and_is_not_asked_again_for_half_a_minute() {
        let remembered = Remembered::new(Duration::from_secs(3600));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let query = query("a.");
        remembered.store(query.clone(), &addresses(1), start);
        assert_eq!(remembered.during_failure(&query, at(10)), None);
        assert_eq!(remembered.after_failure(&query, at(10)), addresses(1));
        assert_eq!(remembered.during_failure(&query, at(39)), Some(addresses(1)));
        assert_eq!(remembered.during_failure(&query, at(40)), None);
        assert_eq!(remembered.after_failure(&query, at(3600)), addresses(1));
        assert!(remembered.knows(&query, at(3600)) && !remembered.knows(&query, at(3601)));
        assert_eq!(remembered.during_failure(&query, at(3601)), None);
        assert_eq!(remembered.after_failure(&query, at(3601)), Answer::Failed);
    }

    #[test]
    fn a_new_answer_ends_the_failure_and_the_word_that_there_is_none_ends_the_memory() {
        let remembered = Remembered::new(Duration::from_secs(3600));
        let now = Instant::now();
        let query = query("a.");
        remembered.store(query.clone(), &addresses(1), now);
        assert_eq!(remembered.after_failure(&query, now), addresses(1));
        remembered.store(query.clone(), &addresses(2), now);
        assert_eq!(remembered.during_failure(&query, now), None);
        remembered.store(query.clone(), &Answer::Absent, now);
        assert_eq!(remembered.after_failure(&query, now), Answer::Failed);
    }

    #[test]
    fn beyond_the_limit_the_answer_told_longest_ago_is_forgotten() {
        let remembered = Remembered::new(Duration::from_secs(3600));
        let now = Instant::now();
        for number in 0..=QUERIES {
            let told = now + Duration::from_millis(u64::try_from(number).unwrap());
            remembered.store(query(&format!("{number}.")), &addresses(1), told);
        }
        assert_eq!(remembered.lock().len(), QUERIES);
        assert_eq!(remembered.after_failure(&query("0."), now), Answer::Failed);
        assert_eq!(remembered.after_failure(&query("1."), now), addresses(1));
    }

    #[test]
    fn without_a_time_nothing_is_remembered() {
        let remembered = Remembered::new(Duration::ZERO);
        remembered.store(query("a."), &addresses(1), Instant::now());
        assert_eq!(
            remembered.after_failure(&query("a."), Instant::now()),
            Answer::Failed
        );
    }
}
