//! What an onlooker at the gateway's sockets sees: which requests it got, and which answers it gave (invariants 6 and 10). It reads the
//! wire by itself.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use msrp_checker::Judge;

/// A request to the gateway.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) what: String,
    pub(crate) at: Instant,
    pub(crate) limit: Duration,
    /// Distinct final answers, with the instant of the first.
    pub(crate) answers: Vec<(String, Instant)>,
    /// Nobody can expect an answer any more.
    pub(crate) void: bool,
}

/// SIP at the gateway's socket.
#[derive(Debug, Default)]
pub(crate) struct SipWire {
    pub(crate) asked: BTreeMap<(String, String), Asked>,
}

impl SipWire {
    pub(crate) fn received(&mut self, bytes: &[u8], now: Instant) {
        let Some((first, head)) = split(bytes) else { return };
        if first.starts_with("SIP/2.0") {
            return;
        }
        let (Some(branch), Some(cseq)) = (branch(head), header(head, "CSeq")) else {
            return;
        };
        let method = cseq.split(' ').nth(1).unwrap_or_default().to_owned();
        if method == "ACK" {
            return;
        }
        let limit = if method == "INVITE" { 12 } else { 2 };
        self.asked.entry((branch, method)).or_insert_with(|| Asked {
            what: format!("{first} CSeq {cseq}"),
            at: now,
            limit: Duration::from_secs(limit),
            answers: Vec::new(),
            void: false,
        });
    }

    pub(crate) fn sent(&mut self, bytes: &[u8], now: Instant) {
        let Some((first, head)) = split(bytes) else { return };
        let Some(status) = first.strip_prefix("SIP/2.0 ") else {
            return;
        };
        if status.starts_with('1') {
            return;
        }
        let (Some(branch), Some(cseq)) = (branch(head), header(head, "CSeq")) else {
            return;
        };
        let method = cseq.split(' ').nth(1).unwrap_or_default().to_owned();
        if let Some(asked) = self.asked.get_mut(&(branch, method))
            && !asked.answers.iter().any(|(answer, _)| answer == status)
        {
            asked.answers.push((status.to_owned(), now));
        }
    }
}

fn split(bytes: &[u8]) -> Option<(&str, &str)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    std::str::from_utf8(&bytes[..end]).ok()?.split_once("\r\n")
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn branch(head: &str) -> Option<String> {
    Some(
        header(head, "Via")?
            .split("branch=")
            .nth(1)?
            .split(';')
            .next()?
            .to_owned(),
    )
}

/// Frames of one direction of an MSRP connection.
#[derive(Debug, Default)]
struct Frames {
    buffer: Vec<u8>,
}

/// One MSRP connection at the gateway's socket.
#[derive(Debug, Default)]
pub(crate) struct MsrpWire {
    inward: Frames,
    outward: Frames,
    pub(crate) asked: BTreeMap<String, Asked>,
    /// Octets of the longest frame that the gateway sent.
    pub(crate) longest: usize,
    /// What the peer sent is no MSRP from here on.
    pub(crate) garbage: bool,
    /// Judges every octet that the gateway sent.
    judge: Judge,
    /// Whether its complaint has been passed on.
    complained: bool,
}

impl MsrpWire {
    pub(crate) fn received(&mut self, bytes: &[u8], now: Instant) {
        self.judge.heard(bytes);
        if self.garbage {
            return;
        }
        self.inward.buffer.extend_from_slice(bytes);
        loop {
            match self.inward.next() {
                Ok(Some(frame)) => self.request(&frame, now),
                Ok(None) => return,
                Err(()) => {
                    self.garbage = true;
                    return;
                }
            }
        }
    }

    fn request(&mut self, frame: &Frame, now: Instant) {
        let wants = match frame.word.as_str() {
            "SEND" => frame.failure_report != "no" && frame.failure_report != "partial",
            "NICKNAME" => true,
            _ => false,
        };
        // The answer to a chunk that is not the last comes at once, to a last one when the room has it.
        if wants {
            self.asked.insert(
                frame.transaction.clone(),
                Asked {
                    what: format!("MSRP {} {}", frame.word, frame.transaction),
                    at: now,
                    limit: Duration::from_secs(21),
                    answers: Vec::new(),
                    void: false,
                },
            );
        }
    }

    /// Returns what is unsound about it.
    pub(crate) fn sent(&mut self, bytes: &[u8], now: Instant) -> Option<String> {
        self.note(bytes, now);
        self.judge.written(bytes);
        let complaint = self.judge.complaint().filter(|_| !self.complained);
        self.complained |= complaint.is_some();
        complaint
    }

    fn note(&mut self, bytes: &[u8], now: Instant) {
        self.outward.buffer.extend_from_slice(bytes);
        loop {
            match self.outward.next() {
                Ok(Some(frame)) => {
                    self.longest = self.longest.max(frame.octets);
                    if !frame.word.starts_with(|c: char| c.is_ascii_digit()) {
                        continue;
                    }
                    if let Some(asked) = self.asked.get_mut(&frame.transaction) {
                        asked.answers.push((frame.word, now));
                    }
                }
                Ok(None) => return,
                Err(()) => return self.outward.buffer.clear(),
            }
        }
    }

    /// The connection ended: nobody waits any more.
    pub(crate) fn ended(&mut self) {
        for asked in self.asked.values_mut() {
            asked.void = true;
        }
    }
}

struct Frame {
    transaction: String,
    word: String,
    failure_report: String,
    octets: usize,
}

impl Frames {
    /// The next whole frame; an error if what is there begins none.
    fn next(&mut self) -> Result<Option<Frame>, ()> {
        let Some(line_end) = find(&self.buffer, b"\r\n") else {
            return if self.buffer.len() > 1024 {
                Err(())
            } else {
                Ok(None)
            };
        };
        let line = std::str::from_utf8(&self.buffer[..line_end]).map_err(|_| ())?;
        let mut words = line.split(' ');
        if words.next() != Some("MSRP") {
            return Err(());
        }
        let transaction = words.next().ok_or(())?.to_owned();
        let word = words.next().ok_or(())?.to_owned();
        let closing = format!("\r\n-------{transaction}");
        let Some(end) = find(&self.buffer, closing.as_bytes()) else {
            return Ok(None);
        };
        let octets = end + closing.len() + 3;
        if self.buffer.len() < octets {
            return Ok(None);
        }
        let head_end = find(&self.buffer[..end], b"\r\n\r\n").unwrap_or(end);
        let head = String::from_utf8_lossy(&self.buffer[..head_end]).into_owned();
        let failure_report = header(&head, "Failure-Report").unwrap_or("yes").to_owned();
        self.buffer.drain(..octets);
        Ok(Some(Frame {
            transaction,
            word,
            failure_report,
            octets,
        }))
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
