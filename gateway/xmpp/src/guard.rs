//! The guard: a byte-level scanner that cuts the component's stream into stanzas within bounds, before any XML parser sees them.
//!
//! One stanza from any user reaches the stream that all users share. The XML parser behind it ends on what breaks its own bounds and
//! recurses on what is nested; so the guard frames first, holds every bound, and lets a stanza that breaks one pass by to its exact
//! end. It decides only what framing and bounds need; whether a framed stanza is well-formed is left to the parser, which sees it
//! alone.

mod copies;
mod peek;
mod scan;

use copies::Copies;

use crate::Limits;
pub use peek::Peek;
use scan::{REFERENCE, State, Step, Unit};

/// The scanner of one stream.
///
/// Contract: give [`next`](Self::next) the octets as they come, again and again until it returns `None`. Memory is bounded by
/// `Limits::stanza_in` and what is remembered of [`share`](Self::share), work is linear, nothing recurses. After [`Frame::End`] or [`Frame::Malformed`] it swallows whatever comes.
#[derive(Debug)]
pub struct Guard {
    limits: Limits,
    state: State,
    /// Whether the stream header has been seen.
    opened: bool,
    /// Whether an XML declaration has been seen.
    declared: bool,
    /// The begin of the present unit (stream header or stanza), while it is cut over several inputs.
    buffer: Vec<u8>,
    /// Octets of the unit in earlier inputs, kept or not.
    carried: usize,
    /// Where in the present input the unit begins.
    start: usize,
    /// Open elements of the stanza.
    depth: usize,
    /// Elements of the stanza.
    elements: usize,
    /// Attributes of the present start tag.
    attributes: usize,
    /// Where in the unit the present name or value begins, and how long it is by now.
    token: (usize, usize),
    /// The quote around the present attribute value.
    quote: Option<u8>,
    /// What stands behind the present `&`.
    reference: Vec<u8>,
    broken: Option<Rule>,
    peek: Peek,
    copies: Copies,
    /// Whether the unit was handed out, so that the next one starts afresh.
    delivered: bool,
}

/// A piece of the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The start tag of the stream.
    Header(&'a [u8]),
    /// A top-level element within all bounds.
    Stanza {
        /// The element, from `<` to `>`.
        octets: &'a [u8],
        /// What its start tag says.
        peek: &'a Peek,
    },
    /// A top-level element that broke a bound and was skipped.
    Broken {
        /// The first bound that it broke.
        rule: Rule,
        /// What its start tag says.
        peek: &'a Peek,
    },
    /// The end tag of the stream.
    End,
    /// What cannot be framed: no stream, or one with comments, processing instructions or a DTD (RFC 6120 §11.1). The text says why.
    Malformed(&'static str),
}

/// The bounds of a stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// `Limits::depth`.
    Depth,
    /// `Limits::elements`.
    Elements,
    /// `Limits::attribute`.
    AttributeLength,
    /// `Limits::attributes`.
    AttributeCount,
    /// `Limits::name`.
    NameLength,
    /// `Limits::stanza_in`.
    StanzaSize,
    /// Only the five predefined entities and character references of at most twelve characters may occur.
    Entity,
    /// No `<` may occur in an attribute value.
    MarkupInAttribute,
}

impl Rule {
    /// The rule in words, as in `Event::Skipped`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Depth => "nested too deeply",
            Self::Elements => "too many elements",
            Self::AttributeLength => "attribute too long",
            Self::AttributeCount => "too many attributes",
            Self::NameLength => "name too long",
            Self::StanzaSize => "stanza too large",
            Self::Entity => "unknown entity",
            Self::MarkupInAttribute => "markup in an attribute",
        }
    }
}

impl Guard {
    /// A guard that waits for a stream header.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Between,
            opened: false,
            declared: false,
            buffer: Vec::new(),
            carried: 0,
            start: 0,
            depth: 0,
            elements: 0,
            attributes: 0,
            token: (0, 0),
            quote: None,
            reference: Vec::with_capacity(REFERENCE),
            broken: None,
            peek: Peek::default(),
            copies: Copies::default(),
            delivered: false,
        }
    }

    /// The next piece of the stream; takes what it read off the front of `input`. `None` when all of it was read.
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Option<Frame<'a>> {
        if self.delivered {
            self.begin_unit();
        }
        let octets = *input;
        *input = &[];
        self.start = 0;
        let mut at = 0;
        while let Some(&octet) = octets.get(at) {
            match self.step(octets, at, octet) {
                Step::To(next) => at = next,
                Step::Done(end, unit) => {
                    if self.is_copy(octets, end, unit) {
                        self.begin_unit();
                        at = end;
                        continue;
                    }
                    *input = octets.get(end..).unwrap_or_default();
                    return Some(self.finish(octets, end, unit));
                }
                Step::Lost(why) => {
                    self.state = State::Over;
                    self.buffer.clear();
                    return Some(Frame::Malformed(why));
                }
            }
        }
        self.carry(octets);
        None
    }

    /// Octets kept of the stanza that is coming in; never more than `Limits::stanza_in`.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// From now on an occupant of ours shares the groupchat messages of a room with the others who do: of equal copies the first passes,
    /// whosever it is. Both are compared octet by octet, so they have to be spelled as the server spells them.
    pub fn share(&mut self, room: &str, occupant: &str) {
        self.copies.share(room, occupant);
    }

    /// From now on an occupant's copies pass again.
    pub fn unshare(&mut self, room: &str, occupant: &str) {
        self.copies.unshare(room, occupant);
    }

    /// How many copies were dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.copies.dropped()
    }

    fn begin_unit(&mut self) {
        self.delivered = false;
        self.buffer.clear();
        self.carried = 0;
        self.elements = 0;
        self.broken = None;
        self.peek.clear();
    }

    /// Keeps what the next input continues.
    fn carry(&mut self, octets: &[u8]) {
        if matches!(self.state, State::Between | State::Over) {
            return;
        }
        self.carried = self.position(octets.len());
        if self.carried > self.limits.stanza_in {
            self.violate(Rule::StanzaSize, self.carried);
        }
        if self.broken.is_some() || matches!(self.state, State::Declaration(_)) {
            self.buffer.clear();
        } else {
            self.buffer
                .extend_from_slice(octets.get(self.start..).unwrap_or_default());
        }
    }

    /// Completes the unit in the buffer, if it was cut, and settles whether it is a further copy of a message that passed.
    fn is_copy(&mut self, octets: &[u8], end: usize, unit: Unit) -> bool {
        let size = self.position(end);
        if size > self.limits.stanza_in {
            self.violate(Rule::StanzaSize, size);
        }
        let tail = octets.get(self.start..end).unwrap_or_default();
        if !self.buffer.is_empty() {
            self.buffer.extend_from_slice(tail);
        }
        match unit {
            Unit::Copy => true,
            Unit::Stanza if self.broken.is_none() && !self.copies.is_empty() => {
                let Some(start) = self.peek.groupchat() else {
                    return false;
                };
                let whole = if self.buffer.is_empty() {
                    tail
                } else {
                    &self.buffer
                };
                let repeats = self.copies.repeats(whole, &start).is_some();
                if !repeats {
                    self.copies.passes(whole, &start);
                }
                repeats
            }
            Unit::Stanza | Unit::Header | Unit::End => false,
        }
    }

    fn finish<'a, 'i: 'a>(&'a mut self, octets: &'i [u8], end: usize, unit: Unit) -> Frame<'a> {
        self.delivered = true;
        let whole = if self.buffer.is_empty() {
            octets.get(self.start..end).unwrap_or_default()
        } else {
            &self.buffer
        };
        let peek = &self.peek;
        match (unit, self.broken) {
            (Unit::Header, Some(rule)) => {
                self.state = State::Over;
                Frame::Malformed(rule.as_str())
            }
            (Unit::Header, None) => Frame::Header(whole),
            (Unit::Stanza | Unit::Copy, Some(rule)) => Frame::Broken { rule, peek },
            (Unit::Stanza | Unit::Copy, None) => Frame::Stanza { octets: whole, peek },
            (Unit::End, _) => Frame::End,
        }
    }
}
