//! Tags, branches and Call-IDs: unguessable, and the same again for the same seed.

use std::fmt::Write as _;

use crate::message::MAGIC_COOKIE;
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

pub(super) struct Tokens {
    random: ChaCha12Rng,
}

impl Tokens {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self {
            random: ChaCha12Rng::from_seed(seed),
        }
    }

    /// A From or To tag of 96 bits.
    pub(super) fn tag(&mut self) -> String {
        self.hex(3)
    }

    /// A Via branch.
    pub(super) fn branch(&mut self) -> String {
        format!("{MAGIC_COOKIE}{}", self.hex(4))
    }

    pub(super) fn call_id(&mut self) -> String {
        self.hex(4)
    }

    /// A client nonce for digest authentication.
    pub(super) fn cnonce(&mut self) -> String {
        self.hex(4)
    }

    /// A key that nobody else knows.
    pub(super) fn key(&mut self) -> [u8; 32] {
        let mut key = [0; 32];
        self.random.fill_bytes(&mut key);
        key
    }

    /// 0 to `limit` seconds, for the back-off of RFC 3261 §14.2.
    pub(super) fn seconds(&mut self, limit: u32) -> u32 {
        self.random.next_u32() % limit.saturating_add(1)
    }

    fn hex(&mut self, words: usize) -> String {
        let mut text = String::with_capacity(words * 8);
        for _ in 0..words {
            // Writing to a String does not fail.
            let _ = write!(text, "{:08x}", self.random.next_u32());
        }
        text
    }
}
