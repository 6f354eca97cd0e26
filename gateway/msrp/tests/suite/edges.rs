//! Each field of [`Limits`] one below, at and one above what a conversation needs: it works from the need on, and what is held
//! of the peer's octets stays within the limits either way.

use std::time::Duration;

use msrp::{Command, Event, FailureReport, Limits, SessionId, frame::Frame};

use crate::{
    pair::message,
    peer::{LOCAL, Peer, request, send},
};

/// One limit: what is needed of it, how it is set, and a conversation that tells whether it was enough.
struct Edge {
    field: &'static str,
    need: usize,
    set: fn(&mut Limits, usize),
    works: fn(&mut Peer, usize) -> bool,
}

const EDGES: [Edge; 16] = [
    Edge {
        field: "start_line",
        need: 100,
        set: |limits, value| limits.start_line = value,
        works: |peer, need| {
            let comment = "x".repeat(need - "MSRP tid1 200 ".len());
            goes_on(peer, &request(&format!("200 {comment}"), "tid1", &[], "", '$'))
        },
    },
    Edge {
        field: "header_line",
        need: 200,
        set: |limits, value| limits.header_line = value,
        works: |peer, need| {
            let header = format!("X-Mood: {}", "x".repeat(need - "X-Mood: ".len()));
            goes_on(peer, &request("SEND", "tid1", &[&header], "", '$'))
        },
    },
    Edge {
        field: "headers",
        need: 10,
        set: |limits, value| limits.headers = value,
        // The paths are two of them.
        works: |peer, need| goes_on(peer, &request("SEND", "tid1", &vec!["X: y"; need - 2], "", '$')),
    },
    Edge {
        field: "chunk_in",
        need: 1000,
        set: |limits, value| limits.chunk_in = value,
        works: |peer, need| is_received(peer, send("tid1", &["Message-ID: m001"], &"x".repeat(need), '$')),
    },
    Edge {
        field: "chunk_out",
        need: 3000,
        set: |limits, value| limits.chunk_out = value,
        works: |peer, need| sends(peer, need).len() == 1,
    },
    Edge {
        field: "message, by its octets",
        need: 1000,
        set: |limits, value| limits.message = value,
        works: |peer, need| is_received(peer, send("tid1", &["Message-ID: m001"], &"x".repeat(need), '$')),
    },
    Edge {
        field: "message, by its total",
        need: 1000,
        set: |limits, value| limits.message = value,
        works: |peer, need| is_kept(peer, "m001", &format!("1-*/{need}")),
    },
    Edge {
        field: "open_messages",
        need: 3,
        set: |limits, value| limits.open_messages = value,
        works: |peer, need| (0..need).all(|number| is_kept(peer, &format!("m00{number}"), "1-*/*")),
    },
    Edge {
        field: "reassembly, of unfinished messages",
        // The octet, those before it, the type, and what an open message counts besides.
        need: 1000 + "text/plain".len() + 512,
        set: |limits, value| limits.reassembly = value,
        works: |peer, _| is_kept(peer, "m001", "1000-*/*"),
    },
    Edge {
        field: "incoming",
        need: 1000 + "text/plain".len() + 512,
        set: |limits, value| limits.incoming = value,
        works: |peer, _| is_kept(peer, "m001", "1000-*/*"),
    },
    Edge {
        field: "sessions",
        need: 3,
        set: |limits, value| limits.sessions = value,
        // One is bound already.
        works: |peer, need| (1..need).all(|number| is_asked_for(peer, number)),
    },
    Edge {
        field: "outgoing",
        need: 256 + 700,
        set: |limits, value| limits.outgoing = value,
        works: |peer, need| sends(peer, need - 256).len() == 1,
    },
    Edge {
        field: "unanswered, of the peer",
        need: 3,
        set: |limits, value| limits.unanswered = value,
        works: |peer, need| {
            (0..need).all(|number| {
                is_received(
                    peer,
                    send("tid1", &[&format!("Message-ID: m00{number}")], "x", '$'),
                )
            })
        },
    },
    Edge {
        field: "unanswered, of ours",
        need: 3,
        set: |limits, value| limits.unanswered = value,
        works: |peer, need| sends(peer, need * Limits::default().chunk_out).len() == need,
    },
    Edge {
        field: "transaction",
        need: 7000,
        set: |limits, value| limits.transaction = milliseconds(value),
        works: |peer, need| {
            sends(peer, 10);
            peer.pass(milliseconds(need - 1)).is_empty()
        },
    },
    Edge {
        field: "chunk_reception",
        need: 7000,
        set: |limits, value| limits.chunk_reception = milliseconds(value),
        works: |peer, need| {
            is_kept(peer, "m001", "1-*/*");
            peer.pass(milliseconds(need - 1));
            peer.connection.incoming_octets() > 0
        },
    },
];

#[test]
fn every_limit_one_below_at_and_one_above() {
    for Edge {
        field,
        need,
        set,
        works,
    } in EDGES
    {
        for (limit, enough) in [(need - 1, false), (need, true), (need + 1, true)] {
            let mut limits = Limits::default();
            set(&mut limits, limit);
            let held = most_held(&limits);
            let mut peer = Peer::bound(limits);
            assert_eq!(works(&mut peer, need), enough, "{field}: {limit} for {need}");
            assert!(peer.connection.incoming_octets() <= held, "{field}");
            peer.connection.handle_closed(peer.now);
            assert_eq!(peer.connection.incoming_octets(), 0, "{field}");
        }
    }
}

/// A new limit has to be thought of here and above.
fn most_held(limits: &Limits) -> usize {
    let Limits {
        start_line,
        header_line,
        headers: _,
        chunk_in,
        chunk_out: _,
        message: _,
        open_messages: _,
        reassembly,
        incoming,
        sessions,
        outgoing: _,
        unanswered: _,
        transaction: _,
        chunk_reception: _,
    } = *limits;
    incoming.min(reassembly * sessions) + chunk_in.max(start_line).max(header_line) + 44
}

fn milliseconds(number: usize) -> Duration {
    Duration::from_millis(number as u64)
}

/// The frame does not end the connection.
fn goes_on(peer: &mut Peer, frame: &str) -> bool {
    let events = peer.says(frame);
    !events.iter().any(|event| matches!(event, Event::Faulted(_)))
}

fn is_received(peer: &mut Peer, frame: String) -> bool {
    matches!(&peer.says(frame)[..], [Event::Received { .. }])
}

/// The first chunk of a message, or a later one, is answered 200.
fn is_kept(peer: &mut Peer, id: &str, range: &str) -> bool {
    let headers = [&*format!("Message-ID: {id}"), &format!("Byte-Range: {range}")];
    peer.says(send("tid1", &headers, "x", '+'));
    peer.hears_statuses() == [200]
}

fn is_asked_for(peer: &mut Peer, number: usize) -> bool {
    let to = LOCAL.replace("/ours;", &format!("/session-{number};"));
    let events = peer.says(request("SEND", "tid1", &["Message-ID: m001"], "", '$').replace(LOCAL, &to));
    matches!(&events[..], [Event::BindRequested { .. }])
}

/// What goes out at once of a message of so many octets.
fn sends(peer: &mut Peer, octets: usize) -> Vec<Frame> {
    let session: SessionId = "ours".parse().unwrap();
    let mut message = message(1, vec![b'x'; octets]);
    message.failure_report = FailureReport::Yes;
    peer.command(Command::Send { session, message });
    // Marks of congestion.
    peer.events();
    peer.hears_frames()
}
