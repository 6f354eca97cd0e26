//! What an input says to do.

use std::time::Duration;

/// An input, octet by octet; what it has run out of is zero.
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn octet(&mut self) -> u8 {
        match self.0.split_first() {
            Some((octet, rest)) => {
                self.0 = rest;
                *octet
            }
            None => 0,
        }
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::from(self.octet()) % limit.max(1)
    }

    /// One in so many.
    pub(crate) fn chance(&mut self, of: u8) -> bool {
        self.octet() % of == of - 1
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Up to 255 octets of the input itself.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.octet());
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    pub(crate) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// From nothing to a few minutes, mostly short.
    pub(crate) fn pause(&mut self) -> Duration {
        let octet = u64::from(self.octet());
        match octet % 4 {
            0 => Duration::from_millis(octet),
            1 => Duration::from_millis(octet * 40),
            2 => Duration::from_secs(octet / 8),
            _ => Duration::from_secs(octet),
        }
    }
}
