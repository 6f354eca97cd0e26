//! Rules that hold between frames: chunks of one message, and answers to what was heard.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry};

use super::{Faults, Frame, Head, cpim};

/// What one side sends: requests against each other, and the messages that they make.
#[derive(Debug, Default)]
pub(super) struct Messages {
    transactions: BTreeSet<String>,
    /// By session and Message-ID.
    messages: BTreeMap<(String, String), Message>,
}

/// A message that is being sent, or was.
#[derive(Debug)]
struct Message {
    /// Its first chunk, until it is over.
    first: Option<Frame>,
    body: Vec<u8>,
    total: Option<u64>,
}

impl Messages {
    /// The next frame of the direction.
    pub(super) fn take(&mut self, frame: &Frame, faults: &mut Faults) {
        if !matches!(frame.head, Head::Request(_)) {
            return;
        }
        let fresh = self.transactions.insert(frame.transaction.clone());
        let what = "a transaction id that was used before";
        faults.require(fresh, frame.offset, "RFC 4975 §7.1", what);
        let (true, Some(id)) = (frame.is("SEND"), frame.header("Message-ID")) else {
            return;
        };
        let session = frame.from.last().cloned().unwrap_or_default();
        let message = match self.messages.entry((session, id.to_owned())) {
            Entry::Occupied(known) => {
                let message = known.into_mut();
                check_next_chunk(message, frame, faults);
                message
            }
            Entry::Vacant(place) => {
                let start = frame.range().map_or(1, |range| range.start);
                let what = "the first chunk begins at one";
                faults.require(start == 1, frame.offset, "RFC 4975 §7.1.1", what);
                place.insert(Message {
                    first: Some(frame.clone()),
                    body: frame.body.clone().unwrap_or_default(),
                    total: frame.range().and_then(|range| range.total),
                })
            }
        };
        if frame.flag == '$' && frame.body.is_some() {
            check_whole(message, frame, faults);
        }
        if frame.flag != '+' {
            message.first = None;
            message.body = Vec::new();
        }
    }
}

fn check_next_chunk(message: &mut Message, frame: &Frame, faults: &mut Faults) {
    let mut rule = |sound, what: &str| faults.require(sound, frame.offset, "RFC 4975 §7.1.1", what);
    let Some(first) = &message.first else {
        return rule(false, "a Message-ID that was used before");
    };
    let range = frame.range();
    rule(range.is_some(), "a later chunk without Byte-Range");
    let next = message.body.len() as u64 + 1;
    rule(
        range.is_none_or(|range| range.start == next),
        "a chunk does not begin where the one before ended",
    );
    let total = range.and_then(|range| range.total);
    let same_total = message.total.is_none() || total.is_none() || total == message.total;
    rule(same_total, "the total differs from that of an earlier chunk");
    rule(frame.to == first.to, "the To-Path differs between chunks");
    for name in ["Content-Type", "Success-Report", "Failure-Report"] {
        let same = frame.header(name) == first.header(name) || frame.body.is_none();
        rule(same, &format!("{name} differs between chunks"));
    }
    message.total = message.total.or(total);
    message
        .body
        .extend_from_slice(frame.body.as_deref().unwrap_or_default());
}

fn check_whole(message: &Message, frame: &Frame, faults: &mut Faults) {
    let length = message.body.len() as u64;
    let sound = message.total.is_none_or(|total| total == length);
    faults.require(
        sound,
        frame.offset,
        "RFC 4975 §7.1.1",
        "the message is not as long as its total",
    );
    let Some(first) = &message.first else { return };
    let content_type = first.header("Content-Type").unwrap_or_default();
    if content_type.eq_ignore_ascii_case("message/cpim")
        && let Err((section, what)) = cpim::check(&message.body)
    {
        faults.add(first.offset, section, what);
    }
}

/// Responses and reports of one side against the requests that it heard.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Requests without a response, by their transaction ids.
    open: BTreeMap<String, VecDeque<Frame>>,
    /// What has been heard of messages, by their Message-IDs.
    messages: BTreeMap<String, Heard>,
}

/// The chunks of a message, or of several with the same id.
#[derive(Debug, Default)]
struct Heard {
    failure_report: String,
    success_report: bool,
    from: BTreeSet<Vec<String>>,
    /// Up to the last octet.
    octets: u64,
}

impl Answers {
    pub(super) fn heard(&mut self, mut frame: Frame) {
        if !matches!(frame.head, Head::Request(_)) {
            return;
        }
        if let Some(id) = frame.header("Message-ID").filter(|_| frame.is("SEND")) {
            let heard = self.messages.entry(id.to_owned()).or_insert_with(|| Heard {
                failure_report: frame.failure_report().to_owned(),
                ..Heard::default()
            });
            heard.success_report |= frame.header("Success-Report") == Some("yes");
            heard.from.insert(frame.from.clone());
            let start = frame.range().map_or(1, |range| range.start).max(1);
            heard.octets = heard.octets.max((start - 1).saturating_add(frame.length()));
        }
        frame.body = None;
        self.open
            .entry(frame.transaction.clone())
            .or_default()
            .push_back(frame);
    }

    /// The next frame that was written.
    pub(super) fn take(&mut self, frame: &Frame, faults: &mut Faults) {
        match frame.head {
            Head::Response(code) => match self.close(&frame.transaction) {
                Some(request) => check_response(frame, code, &request, faults),
                None => {
                    let what = format!("a response to no open request: {}", frame.transaction);
                    faults.add(frame.offset, "RFC 4975 §7.2", what);
                }
            },
            Head::Request(_) if frame.is("REPORT") => self.check_report(frame, faults),
            Head::Request(_) => {}
        }
    }

    /// The first open request with this transaction id.
    fn close(&mut self, transaction: &str) -> Option<Frame> {
        let open = self.open.get_mut(transaction)?;
        let request = open.pop_front();
        if open.is_empty() {
            self.open.remove(transaction);
        }
        request
    }

    fn check_report(&self, frame: &Frame, faults: &mut Faults) {
        let mut rule = |sound, section, what: &str| faults.require(sound, frame.offset, section, what);
        let heard = frame.header("Message-ID").and_then(|id| self.messages.get(id));
        let Some(heard) = heard else {
            return rule(false, "RFC 4975 §7.1.3", "a REPORT on no message that was heard");
        };
        let success = frame
            .header("Status")
            .is_some_and(|status| status.starts_with("000 2"));
        let wanted = if success {
            heard.success_report
        } else {
            heard.failure_report == "yes"
        };
        rule(wanted, "RFC 4975 §7.1.3", "a REPORT that the sender did not want");
        rule(
            heard.from.contains(&frame.to),
            "RFC 4975 §7.1.3",
            "a REPORT that does not go back to the sender",
        );
        let end = frame.range().and_then(|range| range.end).unwrap_or_default();
        rule(
            end <= heard.octets,
            "RFC 4975 §7.1.4",
            "a REPORT on octets that were not heard",
        );
    }
}

fn check_response(frame: &Frame, code: u16, request: &Frame, faults: &mut Faults) {
    let mut rule = |sound, what: &str| faults.require(sound, frame.offset, "RFC 4975 §7.2", what);
    rule(!request.is("REPORT"), "a response to a REPORT");
    let send = request.is("SEND");
    let back = if send {
        request.from.get(..1).unwrap_or_default()
    } else {
        &request.from
    };
    rule(
        frame.to == back,
        "a response that does not go back to where the request came from",
    );
    rule(
        frame.from.last() == request.to.last(),
        "a response whose From-Path is not the To-Path of the request",
    );
    let wanted = match request.failure_report() {
        "no" => !send,
        "partial" => !send || !(200..300).contains(&code),
        _ => true,
    };
    rule(wanted, "a response that the sender did not want");
}
