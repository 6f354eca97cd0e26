//! A strict judge of MSRP octets, written from the grammars of RFC 4975 §9, RFC 7701 §7.1 and RFC 3862 §3.6 alone: it shares
//! nothing with the product's parsers and forgives nothing. What a sender ought to write is asked for, not only what the
//! grammar allows.
//!
//! [`check`] judges one direction of a connection by itself, [`check_conversation`] also against what the other side sent.

mod conversation;
mod cpim;
mod frame;
mod grammar;

use std::fmt;

use frame::Ear;
pub use frame::{Frame, Head};

/// Where octets depart from the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    /// Octets from the start of the direction to the frame concerned, or to the place itself where no frame could be read.
    pub offset: usize,
    /// RFC and section.
    pub section: &'static str,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Deviation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "octet {}: {}: {}", self.offset, self.section, self.what)
    }
}

/// What one direction of a connection came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Every deviation, in order.
    pub deviations: Vec<Deviation>,
    /// Frames read.
    pub frames: usize,
    /// Octets at the end that are no whole frame yet.
    pub unfinished: usize,
}

/// Judges the octets of one direction of a connection, from its start.
#[must_use]
pub fn check(octets: &[u8]) -> Verdict {
    let reading = frame::read(octets, Ear::Strict);
    let mut faults = reading.faults;
    conversation::check_messages(&reading.frames, &mut faults);
    verdict(faults, reading.frames.len(), reading.unfinished)
}

/// Judges what one side of a connection wrote, also as the answer to what it heard. The octets heard are not judged, and
/// are read as far as frames can be made out in them.
#[must_use]
pub fn check_conversation(written: &[u8], heard: &[u8]) -> Verdict {
    let reading = frame::read(written, Ear::Strict);
    let mut faults = reading.faults;
    conversation::check_messages(&reading.frames, &mut faults);
    let heard = frame::read(heard, Ear::Forgiving).frames;
    conversation::check_answers(&reading.frames, &heard, &mut faults);
    verdict(faults, reading.frames.len(), reading.unfinished)
}

fn verdict(mut faults: Faults, frames: usize, unfinished: usize) -> Verdict {
    faults.0.sort_by_key(|deviation| deviation.offset);
    Verdict {
        deviations: faults.0,
        frames,
        unfinished,
    }
}

/// Deviations as they are found.
#[derive(Debug, Default)]
struct Faults(Vec<Deviation>);

impl Faults {
    fn add(&mut self, offset: usize, section: &'static str, what: impl Into<String>) {
        self.0.push(Deviation {
            offset,
            section,
            what: what.into(),
        });
    }

    /// Adds a deviation unless `sound`.
    fn require(&mut self, sound: bool, offset: usize, section: &'static str, what: impl Into<String>) {
        if !sound {
            self.add(offset, section, what);
        }
    }
}
