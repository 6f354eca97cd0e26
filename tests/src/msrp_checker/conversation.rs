//! Rules that hold between frames: chunks of one message, and answers to what was heard.

use std::collections::{BTreeMap, BTreeSet};

use super::{Faults, Frame, Head, cpim};

/// A message that is being sent.
struct Message<'a> {
    first: &'a Frame,
    body: Vec<u8>,
    total: Option<u64>,
    over: bool,
}

/// Judges requests of one direction against each other, and the messages that they make.
pub(super) fn check_messages(frames: &[Frame], faults: &mut Faults) {
    let mut transactions = BTreeSet::new();
    let mut messages: BTreeMap<(&str, &str), Message<'_>> = BTreeMap::new();
    for frame in frames
        .iter()
        .filter(|frame| matches!(frame.head, Head::Request(_)))
    {
        let fresh = transactions.insert(&frame.transaction);
        faults.require(
            fresh,
            frame.offset,
            "RFC 4975 §7.1",
            "a transaction id that was used before",
        );
        let (true, Some(id)) = (frame.is("SEND"), frame.header("Message-ID")) else {
            continue;
        };
        let session = frame.from.last().map_or("", String::as_str);
        match messages.get_mut(&(session, id)) {
            Some(message) => check_next_chunk(message, frame, faults),
            None => {
                let start = frame.range().map_or(1, |range| range.start);
                faults.require(
                    start == 1,
                    frame.offset,
                    "RFC 4975 §7.1.1",
                    "the first chunk begins at one",
                );
                let message = Message {
                    first: frame,
                    body: frame.body.clone().unwrap_or_default(),
                    total: frame.range().and_then(|range| range.total),
                    over: frame.flag != '+',
                };
                messages.insert((session, id), message);
            }
        }
        if let Some(message) = messages.get(&(session, id))
            && frame.flag == '$'
            && frame.body.is_some()
        {
            check_whole(message, frame, faults);
        }
    }
}

fn check_next_chunk(message: &mut Message<'_>, frame: &Frame, faults: &mut Faults) {
    let mut rule = |sound, what: &str| faults.require(sound, frame.offset, "RFC 4975 §7.1.1", what);
    rule(!message.over, "a Message-ID that was used before");
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
    rule(frame.to == message.first.to, "the To-Path differs between chunks");
    for name in ["Content-Type", "Success-Report", "Failure-Report"] {
        let same = frame.header(name) == message.first.header(name) || frame.body.is_none();
        rule(same, &format!("{name} differs between chunks"));
    }
    message.total = message.total.or(total);
    message
        .body
        .extend_from_slice(frame.body.as_deref().unwrap_or_default());
    message.over = frame.flag != '+';
}

fn check_whole(message: &Message<'_>, frame: &Frame, faults: &mut Faults) {
    let length = message.body.len() as u64;
    let sound = message.total.is_none_or(|total| total == length);
    faults.require(
        sound,
        frame.offset,
        "RFC 4975 §7.1.1",
        "the message is not as long as its total",
    );
    let content_type = message.first.header("Content-Type").unwrap_or_default();
    if content_type.eq_ignore_ascii_case("message/cpim")
        && let Err((section, what)) = cpim::check(&message.body)
    {
        faults.add(message.first.offset, section, what);
    }
}

/// Judges responses and reports against the requests that were heard.
pub(super) fn check_answers(written: &[Frame], heard: &[Frame], faults: &mut Faults) {
    let mut open: Vec<&Frame> = heard
        .iter()
        .filter(|frame| matches!(frame.head, Head::Request(_)))
        .collect();
    for frame in written {
        match frame.head {
            Head::Response(code) => {
                let asked = open
                    .iter()
                    .position(|request| request.transaction == frame.transaction);
                match asked {
                    Some(position) => check_response(frame, code, open.remove(position), faults),
                    None => {
                        let what = format!("a response to no open request: {}", frame.transaction);
                        faults.add(frame.offset, "RFC 4975 §7.2", what);
                    }
                }
            }
            Head::Request(_) if frame.is("REPORT") => check_report(frame, heard, faults),
            Head::Request(_) => {}
        }
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

fn check_report(frame: &Frame, heard: &[Frame], faults: &mut Faults) {
    let mut rule = |sound, section, what: &str| faults.require(sound, frame.offset, section, what);
    let id = frame.header("Message-ID");
    let is_about = |request: &&Frame| request.is("SEND") && request.header("Message-ID") == id;
    let chunks: Vec<&Frame> = heard.iter().filter(is_about).collect();
    let Some(chunk) = chunks.first() else {
        return rule(false, "RFC 4975 §7.1.3", "a REPORT on no message that was heard");
    };
    let success = frame
        .header("Status")
        .is_some_and(|status| status.starts_with("000 2"));
    let wanted = if success {
        chunks
            .iter()
            .any(|chunk| chunk.header("Success-Report") == Some("yes"))
    } else {
        chunk.failure_report() == "yes"
    };
    rule(wanted, "RFC 4975 §7.1.3", "a REPORT that the sender did not want");
    rule(
        chunks.iter().any(|chunk| frame.to == chunk.from),
        "RFC 4975 §7.1.3",
        "a REPORT that does not go back to the sender",
    );
    let octets = chunks.iter().map(|chunk| {
        let start = chunk.range().map_or(1, |range| range.start);
        start
            .saturating_sub(1)
            .saturating_add(chunk.body.as_ref().map_or(0, |body| body.len() as u64))
    });
    let most = octets.max().unwrap_or_default();
    let end = frame.range().and_then(|range| range.end).unwrap_or_default();
    rule(
        end <= most,
        "RFC 4975 §7.1.4",
        "a REPORT on octets that were not heard",
    );
}
