//! Things under ascending numbers, few of them, the oldest of which mostly go first.

use std::collections::VecDeque;

/// An ordered map whose keys are given out in ascending order. It holds no memory while it is empty.
pub(super) struct Numbered<T> {
    entries: VecDeque<(u64, T)>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
        }
    }
}

impl<T> Numbered<T> {
    /// Adds something under a number above all that were added before.
    pub(super) fn insert(&mut self, number: u64, thing: T) {
        if self.entries.is_empty() {
            // Mostly there is but one.
            self.entries.reserve_exact(1);
        }
        self.entries.push_back((number, thing));
    }

    pub(super) fn get(&self, number: &u64) -> Option<&T> {
        let place = self.place(*number)?;
        self.entries.get(place).map(|(_, thing)| thing)
    }

    pub(super) fn get_mut(&mut self, number: &u64) -> Option<&mut T> {
        let place = self.place(*number)?;
        self.entries.get_mut(place).map(|(_, thing)| thing)
    }

    pub(super) fn remove(&mut self, number: &u64) -> Option<T> {
        let place = self.place(*number)?;
        let (_, thing) = self.entries.remove(place)?;
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
        }
        Some(thing)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&u64, &T)> {
        self.entries.iter().map(|(number, thing)| (number, thing))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().map(|(_, thing)| thing)
    }

    pub(super) fn into_values(self) -> impl Iterator<Item = T> {
        self.entries.into_iter().map(|(_, thing)| thing)
    }

    fn place(&self, number: u64) -> Option<usize> {
        self.entries
            .binary_search_by_key(&number, |(known, _)| *known)
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_and_loses_what_it_is_given() {
        let mut numbered = Numbered::default();
        for number in [3, 5, 9] {
            numbered.insert(number, number * 10);
        }
        assert_eq!(numbered.remove(&5), Some(50));
        assert_eq!(numbered.remove(&5), None);
        assert_eq!(numbered.get(&9), Some(&90));
        assert_eq!(numbered.get(&4), None);
        assert_eq!(
            numbered.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
            [3, 9]
        );
        numbered.remove(&3);
        numbered.remove(&9);
        assert_eq!((numbered.len(), numbered.entries.capacity()), (0, 0));
    }
}
