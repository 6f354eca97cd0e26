//! A strict judge of MSRP octets, written from the grammars of RFC 4975 §9, RFC 7701 §7.1 and RFC 3862 §3.6 alone: it shares
//! nothing with the product's parsers and forgives nothing. What a sender ought to write is asked for, not only what the
//! grammar allows.
//!
//! A [`Judge`] follows a connection while it is going on. [`check`] judges one direction by itself, [`check_conversation`] also
//! against what the other side sent.

mod conversation;
mod cpim;
mod frame;
mod grammar;

use std::fmt;

use conversation::{Answers, Messages};
use frame::{Ear, Reader};
pub use frame::{Frame, Head};
pub use grammar::Range;

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
    let mut judge = Judge {
        answers: None,
        ..Judge::default()
    };
    judge.written(octets);
    judge.verdict()
}

/// Judges what one side of a connection wrote, also as the answer to what it heard. The octets heard are not judged, and
/// are read as far as frames can be made out in them.
#[must_use]
pub fn check_conversation(written: &[u8], heard: &[u8]) -> Verdict {
    let mut judge = Judge::default();
    judge.heard(heard);
    judge.written(written);
    judge.verdict()
}

/// Judges one side of a connection from the start of it, as it goes on.
///
/// ```
/// let mut judge = msrp_checker::Judge::default();
/// judge.heard(b"MSRP d93kswow SEND\r\nTo-Path: msrp://b.example:9/room;tcp\r\nFrom-Path: msrp://a.example:9/romeo;tcp\r\n\
///     Message-ID: 123456\r\n-------d93kswow$\r\n");
/// judge.written(b"MSRP d93kswow 200 OK\r\nTo-Path: msrp://a.example:9/romeo;tcp\r\n");
/// judge.written(b"From-Path: msrp://b.example:9/room;tcp\r\n-------d93kswow$\r\n");
/// assert_eq!(judge.complaint(), None);
/// judge.written(b"hello\r\n");
/// assert!(judge.complaint().is_some());
/// ```
#[derive(Debug)]
pub struct Judge {
    writing: Reader,
    hearing: Reader,
    messages: Messages,
    /// Unless responses and reports are left alone.
    answers: Option<Answers>,
    faults: Faults,
    frames: usize,
}

impl Default for Judge {
    fn default() -> Self {
        Self {
            writing: Reader::new(Ear::Strict),
            hearing: Reader::new(Ear::Forgiving),
            messages: Messages::default(),
            answers: Some(Answers::default()),
            faults: Faults::default(),
            frames: 0,
        }
    }
}

impl Judge {
    /// Octets that the other side wrote; to be told before what this side writes in answer.
    pub fn heard(&mut self, octets: &[u8]) {
        let mut unjudged = Faults::default();
        self.hearing.push(octets);
        while let Some(frame) = self.hearing.next(&mut unjudged) {
            if let Some(answers) = &mut self.answers {
                answers.heard(frame);
            }
        }
    }

    /// Octets that the side under judgement wrote.
    pub fn written(&mut self, octets: &[u8]) {
        self.writing.push(octets);
        while let Some(frame) = self.writing.next(&mut self.faults) {
            self.frames += 1;
            self.messages.take(&frame, &mut self.faults);
            if let Some(answers) = &mut self.answers {
                answers.take(&frame, &mut self.faults);
            }
        }
    }

    /// Every deviation so far, a line each; `None` if there is none.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        let lines: Vec<String> = self.faults.0.iter().map(ToString::to_string).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// All that has been judged.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let mut deviations = self.faults.0.clone();
        deviations.sort_by_key(|deviation| deviation.offset);
        Verdict {
            deviations,
            frames: self.frames,
            unfinished: self.writing.unfinished(),
        }
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
