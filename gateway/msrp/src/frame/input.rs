//! The octets of a stream that have not become frames yet: its lines and the ends of its bodies.

use std::sync::LazyLock;

use memchr::{memchr2, memmem::Finder};

use super::{Fault, Flag, TransactionId};

/// What an end-line begins with behind its CRLF.
pub(super) const HYPHENS: &[u8] = b"-------";

/// What every end-line begins with. To search for this alone needs no preparation for each transaction id.
static BEGIN: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n-------"));

/// Octets of room that an idle decoder keeps.
const KEPT: usize = 4096;

/// What has arrived and has not been taken off.
#[derive(Debug, Default)]
pub(super) struct Input {
    octets: Vec<u8>,
    /// Those at the start of `octets` that have been taken off.
    taken: usize,
    /// Those behind them that have been searched in vain.
    searched: usize,
    /// Octets of the stream that have been taken off.
    consumed: u64,
}

/// A line without its CRLF.
pub(super) struct Line<'a> {
    pub(super) text: &'a [u8],
    pub(super) offset: u64,
}

/// Where a body ends.
pub(super) struct End {
    /// Octets before the end-line.
    pub(super) body: usize,
    /// The same with the end-line.
    pub(super) whole: usize,
    pub(super) flag: Flag,
}

/// CRLF, seven hyphens and the transaction id.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndLine {
    octets: [u8; 41],
    length: usize,
}

impl Input {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        // What is moved is less than what was taken off since it was moved last.
        if self.taken >= self.rest().len() {
            self.octets.drain(..self.taken);
            self.taken = 0;
        }
        self.octets.extend_from_slice(bytes);
    }

    /// What has not been taken off.
    pub(super) fn rest(&self) -> &[u8] {
        self.octets.get(self.taken..).unwrap_or_default()
    }

    pub(super) fn searched(&self) -> usize {
        self.searched
    }

    pub(super) fn consumed(&self) -> u64 {
        self.consumed
    }

    pub(super) fn discard(&mut self, octets: usize) {
        self.taken = self.octets.len().min(self.taken + octets);
        self.consumed += octets as u64;
        self.searched = 0;
    }

    /// Gives room back when nothing is left.
    pub(super) fn tidy(&mut self) {
        if self.taken < self.octets.len() {
            return;
        }
        self.taken = 0;
        self.octets.clear();
        if self.octets.capacity() > KEPT {
            self.octets = Vec::new();
        }
    }

    /// Drops what has arrived.
    pub(super) fn give_up(&mut self) {
        self.octets = Vec::new();
        self.taken = 0;
        self.searched = 0;
    }

    /// The line at the start; `None` if its CRLF is not there yet. [`Self::discard_line`] takes it off.
    pub(super) fn line(&mut self, limit: usize, too_long: &'static str) -> Result<Option<Line<'_>>, Fault> {
        let offset = self.consumed;
        let fault = |rule, position: usize| Fault {
            rule,
            offset: offset + position as u64,
            ends_connection: true,
        };
        let rest = self.octets.get(self.taken..).unwrap_or_default();
        let unsearched = rest.get(self.searched..).unwrap_or_default();
        let (text, end) =
            rest.split_at(self.searched + memchr2(b'\r', b'\n', unsearched).unwrap_or(unsearched.len()));
        self.searched = text.len();
        // One octet more may be the CR.
        let longest = limit.saturating_add(usize::from(!end.starts_with(b"\r")));
        if text.len() > longest {
            return Err(fault(too_long, limit));
        }
        match end {
            [] | [b'\r'] => Ok(None),
            [b'\r', b'\n', ..] => Ok(Some(Line { text, offset })),
            [b'\r', ..] => Err(fault("RFC 4975 §9: CR within a line", text.len())),
            _ => Err(fault("RFC 4975 §9: a line ends in LF without CR", text.len())),
        }
    }

    /// Takes the line that has been found off, with its CRLF.
    pub(super) fn discard_line(&mut self) {
        self.discard(self.searched + 2);
    }

    /// The end of the body that starts here. A peer that ends an empty body right behind the blank line has spared the CRLF of the
    /// end-line; `at_start` allows that as long as nothing has been searched.
    pub(super) fn find_end(&mut self, end_line: &EndLine, at_start: bool) -> Option<End> {
        let pattern = end_line.pattern();
        let rest = self.octets.get(self.taken..).unwrap_or_default();
        if at_start && self.searched == 0 {
            let spared = end_line.without_crlf();
            match Match::of(rest, spared) {
                Match::Whole(flag) => return Some(End::behind(0, spared, flag)),
                Match::Part => return None,
                Match::No => {}
            }
        }
        loop {
            let unsearched = rest.get(self.searched..).unwrap_or_default();
            let Some(found) = BEGIN.find(unsearched) else {
                // The last octets may be the beginning of the end-line.
                let undecided = rest.len().saturating_sub(BEGIN.needle().len() - 1);
                self.searched = self.searched.max(undecided);
                return None;
            };
            self.searched += found;
            match Match::of(rest.get(self.searched..).unwrap_or_default(), pattern) {
                Match::Whole(flag) => return Some(End::behind(self.searched, pattern, flag)),
                Match::Part => return None,
                Match::No => self.searched += 1,
            }
        }
    }
}

impl Line<'_> {
    pub(super) fn fault(&self, rule: &'static str) -> Fault {
        Fault {
            rule,
            offset: self.offset,
            ends_connection: true,
        }
    }

    /// Of a line whose value is of no use while the framing is sound.
    pub(super) fn flaw(&self, rule: &'static str) -> Fault {
        Fault {
            ends_connection: false,
            ..self.fault(rule)
        }
    }
}

impl End {
    fn behind(body: usize, pattern: &[u8], flag: Flag) -> Self {
        // The flag and CRLF.
        let whole = body + pattern.len() + 3;
        Self { body, whole, flag }
    }
}

impl EndLine {
    pub(super) fn of(transaction: &TransactionId) -> Self {
        let id = transaction.as_str().as_bytes();
        let mut octets = *b"\r\n-------................................";
        let length = BEGIN.needle().len() + id.len();
        if let Some(place) = octets.get_mut(BEGIN.needle().len()..length) {
            place.copy_from_slice(id);
        }
        Self { octets, length }
    }

    /// The flag of a line that is this end-line.
    pub(super) fn flag(&self, line: &[u8]) -> Option<Flag> {
        match line.strip_prefix(self.without_crlf())? {
            [flag] => Flag::from_octet(*flag),
            _ => None,
        }
    }

    fn pattern(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }

    fn without_crlf(&self) -> &[u8] {
        self.pattern().get(2..).unwrap_or_default()
    }
}

/// How bytes compare with an end-line up to its CRLF.
enum Match {
    Whole(Flag),
    Part,
    No,
}

impl Match {
    fn of(bytes: &[u8], pattern: &[u8]) -> Self {
        let (begin, rest) = bytes.split_at(bytes.len().min(pattern.len()));
        if !pattern.starts_with(begin) {
            return Self::No;
        }
        match rest {
            [] => Self::Part,
            [flag, after @ ..] => match (Flag::from_octet(*flag), after) {
                (Some(flag), [b'\r', b'\n', ..]) => Self::Whole(flag),
                (Some(_), [] | [b'\r']) => Self::Part,
                _ => Self::No,
            },
        }
    }
}
