//! Keys of tables that are made of several texts.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

/// Texts between line feeds, which none of them can hold. They are ordered by a hash first: what tells most keys apart then stands in the
/// tree itself, and not behind a pointer. Keys of one hash are told apart by their texts, so that nothing is won by making them collide.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    hash: u64,
    text: Arc<str>,
}

impl Key {
    pub(super) fn new(texts: &[&str]) -> Self {
        let text: Arc<str> = texts.join("\n").into();
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Self {
            hash: hasher.finish(),
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_hash_are_told_apart() {
        let one = Key::new(&["a", "b"]);
        let other = Key {
            hash: one.hash,
            text: "a\nc".into(),
        };
        assert!(one < other);
        assert_eq!(one, Key::new(&["a", "b"]));
    }
}
