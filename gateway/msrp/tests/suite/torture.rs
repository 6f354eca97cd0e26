//! The torture corpus (`torture/`), every file whole and cut at every octet, against its tables.

use std::{collections::BTreeSet, fs, path::PathBuf};

use bytes::{Bytes, BytesMut};
use msrp::{
    Command, Connection, Event, FailureReport, Lane, Limits, MessageTag, OutgoingMessage, SessionId,
    SessionParameters, Status,
    cpim::{Address, Cpim},
    frame::{Content, Decoder, Flag, Frame, Kind, Method},
};

use crate::pair::start;

/// The sessions of the receiver: name, own path, the peer's path.
const SESSIONS: [(&str, &str, &str); 3] = [
    (
        "room",
        "msrp://room.example.com:2855/ours;tcp",
        "msrp://alice.example.org:7394/theirs;tcp",
    ),
    (
        "six",
        "msrp://[2001:db8:0:1::2]:2855/six;tcp",
        "msrp://[2001:db8::1:4c16:9c0f]:8880/six-peer;tcp",
    ),
    (
        "far",
        "msrp://room.example.com:2855/far;tcp",
        "msrps://relay.example.net:2855/r1;tcp msrp://bob.example.org:7394/bob1;tcp",
    ),
];

/// What became of a file, in the words of the table.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    frames: String,
    events: String,
    answers: String,
    connection: String,
}

/// Those of the corpus.
fn limits() -> Limits {
    Limits {
        chunk_in: 64 * 1024,
        message: 64 * 1024,
        ..Limits::default()
    }
}

// Rows: E-09, E-10, E-12, E-13, E-34
#[test]
fn every_msrp_file_ends_as_its_table_says() {
    let rows = rows("msrp.tsv", "msrp", 8);
    assert!(rows.len() >= 150, "{} cases", rows.len());
    let mut wrong = Vec::new();
    for (row, octets) in &rows {
        let expected = Outcome {
            frames: row[1].clone(),
            events: row[2].clone(),
            answers: in_order(row[3].split(' ')),
            connection: row[4].clone(),
        };
        let whole = outcome(&[octets]);
        if whole != expected {
            wrong.push(format!("{}: {}\n  {whole:?}\n  {expected:?}", row[0], row[7]));
        }
        for cut in 0..=octets.len() {
            let (begin, end) = octets.split_at(cut);
            assert_eq!(outcome(&[begin, end]), whole, "{} cut at {cut}", row[0]);
        }
        let single: Vec<&[u8]> = octets.chunks(1).collect();
        assert_eq!(outcome(&single), whole, "{} octet by octet", row[0]);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// Rows: CSIP-18, E-35
#[test]
fn every_cpim_file_is_read_as_its_table_says() {
    let rows = rows("cpim.tsv", "cpim", 11);
    assert!(rows.len() >= 50, "{} cases", rows.len());
    for (row, octets) in &rows {
        let expected = row[1..8].to_vec();
        let read = match Cpim::parse(octets) {
            Ok(cpim) => cpim_in_words(&cpim),
            Err(_) => ["refuse", "-", "-", "-", "-", "-", "-"]
                .map(str::to_owned)
                .to_vec(),
        };
        assert_eq!(read, expected, "{}: {}", row[0], row[10]);
    }
}

/// The rows of a table with the octets of their files. Every file has one row, every row one file.
fn rows(table: &str, folder: &str, columns: usize) -> Vec<(Vec<String>, Vec<u8>)> {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("torture");
    let text = fs::read_to_string(corpus.join(table)).unwrap();
    let mut files: BTreeSet<String> = fs::read_dir(corpus.join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut rows = Vec::new();
    for line in text.lines().skip(1) {
        let row: Vec<String> = line.split('\t').map(str::to_owned).collect();
        assert_eq!(row.len(), columns, "{line}");
        assert!(
            ["must", "choice", "lenient"].contains(&&*row[columns - 3]),
            "{line}"
        );
        assert!(files.remove(&row[0]), "no file or two rows: {}", row[0]);
        let octets = fs::read(corpus.join(folder).join(&row[0])).unwrap();
        rows.push((row, octets));
    }
    assert_eq!(files, BTreeSet::new(), "files without a row");
    rows
}

/// A receiver with the sessions of the README takes these pieces; its application answers everything with 200.
fn outcome(pieces: &[&[u8]]) -> Outcome {
    let now = start();
    let mut receiver = Connection::new(limits(), [9; 32]);
    for (_, local, remote) in SESSIONS {
        let parameters = SessionParameters {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        };
        receiver.handle_command(Command::Bind(parameters), now);
    }
    let message = OutgoingMessage {
        tag: MessageTag(1),
        id: "sent".parse().unwrap(),
        content_type: "text/plain",
        body: Bytes::from_static(b"Hello"),
        success_report: true,
        failure_report: FailureReport::Yes,
        lane: Lane::default(),
    };
    let session: SessionId = "ours".parse().unwrap();
    receiver.handle_command(Command::Send { session, message }, now);
    let mut out = BytesMut::new();
    while receiver.poll_transmit(&mut out, usize::MAX, now) {}
    out.clear();

    let mut events = Vec::new();
    let mut faulted = false;
    for piece in pieces {
        receiver.handle_bytes(piece, now);
        while let Some(event) = receiver.poll_event() {
            faulted |= matches!(event, Event::Faulted(_));
            events.extend(event_in_words(event, &mut receiver));
        }
    }
    while receiver.poll_transmit(&mut out, usize::MAX, now) {}
    if faulted {
        events.retain(|event| !event.starts_with("lost"));
    }
    let (frames, unfinished) = frames(pieces);
    let connection = match (faulted, unfinished) {
        (true, _) => "close",
        (false, true) => "more",
        (false, false) => "open",
    };
    Outcome {
        frames: joined(frames),
        events: joined(events),
        answers: in_order(answers(&out).iter().map(String::as_str)),
        connection: connection.to_owned(),
    }
}

fn joined(items: Vec<String>) -> String {
    if items.is_empty() {
        return "-".to_owned();
    }
    items.join(" ")
}

/// Answers to different requests may come in any order.
fn in_order<'a>(answers: impl Iterator<Item = &'a str>) -> String {
    let mut answers: Vec<String> = answers.map(str::to_owned).collect();
    answers.sort();
    joined(answers)
}

/// The frames that a decoder reads, and whether another one has begun.
fn frames(pieces: &[&[u8]]) -> (Vec<String>, bool) {
    let mut decoder = Decoder::new(&limits());
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(Ok(frame)) = decoder.next_frame() {
            frames.push(frame_in_words(&frame));
        }
    }
    (frames, decoder.held() > 0)
}

fn frame_in_words(frame: &Frame) -> String {
    let kind = match &frame.kind {
        Kind::Request(method) => method.as_str().to_owned(),
        Kind::Response(status) => format!("{:03}", status.code()),
    };
    let flag = match (&frame.content, frame.flag) {
        (Content::TooLong, _) => "?",
        (_, Flag::Complete) => "$",
        (_, Flag::More) => "+",
        (_, Flag::Abort) => "#",
    };
    kind + flag
}

fn event_in_words(event: Event, receiver: &mut Connection) -> Option<String> {
    let now = start();
    match event {
        Event::BindRequested { session, .. } => {
            let status = Status::NO_SESSION;
            receiver.handle_command(Command::RefuseBind { session, status }, now);
            None
        }
        Event::Received {
            session,
            message,
            due,
        } => {
            let status = Status::OK;
            receiver.handle_command(Command::Answer { due, status }, now);
            let (at, id) = (at(&session), message.id);
            let content_type = encode(message.content_type.as_bytes());
            Some(format!(
                "message{at}:{id}:{content_type}:{}",
                encode(&message.body)
            ))
        }
        Event::NicknameRequested {
            session,
            nickname,
            due,
        } => {
            let status = Status::OK;
            receiver.handle_command(Command::Answer { due, status }, now);
            Some(format!(
                "nickname{}:{}",
                at(&session),
                encode(nickname.as_bytes())
            ))
        }
        // The application ignores reports on what it has not sent.
        Event::Reported { message, status, .. } => {
            (message.as_str() == "sent").then(|| format!("reported:{message}:{}", status.code()))
        }
        Event::Lost { session, .. } => Some(format!("lost:{}", name(&session))),
        // What becomes of the message `sent` is told by `reported` and `lost`.
        Event::Failed { .. } | Event::Faulted(_) => None,
        other => panic!("{other:?}"),
    }
}

fn name(session: &SessionId) -> &'static str {
    let known = SESSIONS
        .iter()
        .find(|(_, local, _)| local.contains(&format!("/{session};")));
    known.unwrap().0
}

fn at(session: &SessionId) -> String {
    match name(session) {
        "room" => String::new(),
        name => format!("@{name}"),
    }
}

/// Responses and REPORTs of the receiver. Where they go is told when it is not the first hop of the session `room`.
fn answers(octets: &[u8]) -> Vec<String> {
    let mut decoder = Decoder::new(&limits());
    decoder.push(octets);
    std::iter::from_fn(|| decoder.next_frame())
        .map(|frame| {
            let frame = frame.unwrap();
            let hops: Vec<String> = frame.to.hops().iter().map(ToString::to_string).collect();
            let usual = SESSIONS[..2].iter().any(|(_, _, remote)| hops == [*remote]);
            let to = if usual {
                String::new()
            } else {
                format!(">{}", hops.join(","))
            };
            match &frame.kind {
                Kind::Response(status) => format!("{}={}{to}", frame.transaction, status.code()),
                Kind::Request(Method::Report) => {
                    let headers = &frame.headers;
                    let (id, range) = (headers.message_id.unwrap(), headers.byte_range.unwrap());
                    format!("report:{id}:{range}:{}{to}", headers.status.unwrap().code)
                }
                Kind::Request(method) => panic!("{method:?}"),
            }
        })
        .collect()
}

fn cpim_in_words(cpim: &Cpim) -> Vec<String> {
    let address = |address: &Address| {
        let name = address.display_name.as_deref().unwrap_or_default();
        format!("{}<{}>", encode(name.as_bytes()), encode(address.uri.as_bytes()))
    };
    let header = |(name, value): &(String, String)| {
        format!("{}={}", encode(name.as_bytes()), encode(value.as_bytes()))
    };
    let content = encode(&cpim.content);
    let dash = || "-".to_owned();
    vec![
        "read".to_owned(),
        cpim.from.as_ref().map_or_else(dash, address),
        joined(cpim.to.iter().map(address).collect()),
        cpim.date_time.map_or_else(dash, |instant| instant.to_string()),
        encode(cpim.content_type.as_bytes()),
        if content.is_empty() { dash() } else { content },
        joined(cpim.other.iter().map(header).collect()),
    ]
}

/// Percent-encoded as the README says, eight or more of the same octet with their number.
fn encode(octets: &[u8]) -> String {
    const PLAIN: &[u8] = b"-._~!$&'()*+,;/@?^|#";
    let mut encoded = String::new();
    for run in octets.chunk_by(|first, second| first == second) {
        let octet = run[0];
        let one = if octet.is_ascii_alphanumeric() || PLAIN.contains(&octet) {
            char::from(octet).to_string()
        } else {
            format!("%{octet:02X}")
        };
        if run.len() < 8 {
            encoded += &one.repeat(run.len());
        } else {
            encoded += &format!("{one}{{{}}}", run.len());
        }
    }
    encoded
}
