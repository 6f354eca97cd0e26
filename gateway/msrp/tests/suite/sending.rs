//! Which chunk goes next, and what the owner hears of a slow peer.

use std::time::Duration;

use bytes::Bytes;
use msrp::{Command, Event, Limits, Status, Turns, frame::Flag};

use crate::{
    pair::message,
    peer::{LOCAL, Peer, REMOTE},
};

fn ours() -> msrp::SessionId {
    "ours".parse().unwrap()
}

fn send(peer: &mut Peer, tag: u64, octets: usize) {
    let message = message(tag, vec![b'x'; octets]);
    peer.command(Command::Send {
        session: ours(),
        message,
    });
}

fn interject(peer: &mut Peer, tag: u64, octets: usize) {
    let message = message(tag, vec![b'x'; octets]);
    peer.command(Command::Interject {
        session: ours(),
        message,
    });
}

/// Message and flag of each chunk that goes out.
fn chunks(peer: &mut Peer) -> Vec<(String, Flag)> {
    let chunk = |frame: msrp::frame::Frame| (frame.headers.message_id.unwrap().to_string(), frame.flag);
    peer.hears_frames().into_iter().map(chunk).collect()
}

fn plan(expected: &[(u64, Flag)]) -> Vec<(String, Flag)> {
    expected
        .iter()
        .map(|(tag, flag)| (format!("message-{tag}"), *flag))
        .collect()
}

fn small_chunks() -> Peer {
    Peer::bound(Limits {
        chunk_out: 2048,
        ..Limits::default()
    })
}

#[test]
fn messages_go_in_their_order() {
    let mut peer = small_chunks();
    send(&mut peer, 1, 5000);
    send(&mut peer, 2, 10);
    use Flag::{Complete, More};
    assert_eq!(
        chunks(&mut peer),
        plan(&[(1, More), (1, More), (1, Complete), (2, Complete)])
    );
}

#[test]
fn rfc4975_5_1_a_short_message_overtakes_a_long_one_at_the_border_of_a_chunk() {
    let mut peer = small_chunks();
    let session = ours();
    let turns = Turns::ChunkByChunk;
    peer.command(Command::Arrange { session, turns });
    send(&mut peer, 1, 7000);
    send(&mut peer, 2, 10);
    send(&mut peer, 3, 3000);
    use Flag::{Complete, More};
    assert_eq!(
        chunks(&mut peer),
        plan(&[
            (1, More),
            (2, Complete),
            (3, More),
            (1, More),
            (3, Complete),
            (1, More),
            (1, Complete)
        ])
    );
    assert_eq!(peer.connection.outgoing_octets(), 0);
}

#[test]
fn interjected_messages_go_before_all_others_and_keep_their_order() {
    let mut peer = small_chunks();
    send(&mut peer, 1, 5000);
    let mut out = bytes::BytesMut::new();
    assert!(peer.connection.poll_transmit(&mut out, 1, peer.now));
    send(&mut peer, 2, 10);
    interject(&mut peer, 3, 3000);
    interject(&mut peer, 4, 10);
    use Flag::{Complete, More};
    assert_eq!(
        chunks(&mut peer),
        plan(&[
            (3, More),
            (3, Complete),
            (4, Complete),
            (1, More),
            (1, Complete),
            (2, Complete)
        ])
    );
    assert_eq!(peer.connection.outgoing_octets(), 0);
}

/// RFC 4975 §10.5: in a response or in a REPORT; nothing more of the message goes out, the others do.
// Rows: C4975-36
#[test]
fn rfc4975_10_5_413_stops_a_message_in_its_midst() {
    for by_report in [false, true] {
        for turns in [Turns::InOrder, Turns::ChunkByChunk] {
            let mut peer = small_chunks();
            let session = ours();
            peer.command(Command::Arrange { session, turns });
            send(&mut peer, 1, 9000);
            let mut out = bytes::BytesMut::new();
            assert!(peer.connection.poll_transmit(&mut out, 1, peer.now));
            send(&mut peer, 2, 3000);
            let text = String::from_utf8(out.to_vec()).unwrap();
            let transaction = text.split(' ').nth(1).unwrap();
            let refusal = if by_report {
                format!(
                    "MSRP tid9 REPORT\r\nTo-Path: {LOCAL}\r\nFrom-Path: {REMOTE}\r\nMessage-ID: message-1\r\n\
                     Byte-Range: 1-2048/9000\r\nStatus: 000 413\r\n-------tid9$\r\n"
                )
            } else {
                format!(
                    "MSRP {transaction} 413 Stop\r\nTo-Path: {LOCAL}\r\nFrom-Path: {REMOTE}\r\n-------{transaction}$\r\n"
                )
            };
            let events = peer.says(refusal);
            let failed = Event::Failed {
                session: ours(),
                tag: msrp::MessageTag(1),
                status: Status::STOP_SENDING,
            };
            assert!(events.contains(&failed), "{events:?}");
            assert_eq!(
                chunks(&mut peer),
                plan(&[(2, Flag::More), (2, Flag::Complete)]),
                "{by_report} {turns:?}"
            );
            assert_eq!(peer.connection.outgoing_octets(), 0);
        }
    }
}

#[test]
fn every_message_that_waits_is_failed_when_the_session_ends() {
    let mut peer = small_chunks();
    send(&mut peer, 1, 5000);
    interject(&mut peer, 2, 5000);
    peer.command(Command::Unbind(ours()));
    let failed: Vec<Event> = [1, 2]
        .map(|tag| Event::Failed {
            session: ours(),
            tag: msrp::MessageTag(tag),
            status: Status::NO_SESSION,
        })
        .into();
    assert_eq!(peer.events(), failed);
    assert_eq!(peer.connection.outgoing_octets(), 0);
}

/// 80 % up and 40 % down, each at −1, 0 and +1 octet.
// Rows: C7701-37
#[test]
fn rfc7701_6_4_congestion_marks() {
    let congested = || Event::Congested { session: ours() };
    let eased = || Event::Eased { session: ours() };
    for (octets, told) in [(7999, false), (8000, false), (8001, true)] {
        let mut peer = Peer::bound(Limits {
            outgoing: 10_000,
            ..Limits::default()
        });
        send(&mut peer, 1, octets - 256);
        assert_eq!(peer.connection.outgoing_octets(), octets);
        assert_eq!(peer.events(), Vec::from_iter(told.then(congested)), "{octets}");
        // Told once.
        send(&mut peer, 2, 10);
        assert_eq!(peer.events(), Vec::from_iter((!told).then(congested)));
        peer.hears();
        assert_eq!(peer.events(), [eased()]);
    }
    for (left, told) in [(4001, false), (4000, false), (3999, true)] {
        let mut peer = Peer::bound(Limits {
            outgoing: 10_000,
            ..Limits::default()
        });
        send(&mut peer, 1, 8500 - 256 - left);
        send(&mut peer, 2, left - 256);
        assert_eq!(peer.events(), [congested()]);
        let mut out = bytes::BytesMut::new();
        // The first message alone.
        peer.connection.poll_transmit(&mut out, 1, peer.now);
        assert_eq!(peer.connection.outgoing_octets(), left);
        assert_eq!(peer.events(), Vec::from_iter(told.then(eased)), "{left}");
    }
}

/// A session that comes later hears of the congestion when it sends.
#[test]
fn rfc7701_6_4_every_session_of_the_connection_is_told() {
    let mut peer = Peer::bound(Limits {
        outgoing: 10_000,
        ..Limits::default()
    });
    send(&mut peer, 1, 8500);
    let second: msrp::SessionParameters = msrp::SessionParameters {
        local: LOCAL.replace("ours", "second").parse().unwrap(),
        remote: REMOTE.parse().unwrap(),
    };
    let id: msrp::SessionId = "second".parse().unwrap();
    peer.command(Command::Bind(second));
    assert_eq!(peer.events(), [Event::Congested { session: ours() }]);
    for _ in 0..2 {
        peer.command(Command::Send {
            session: id.clone(),
            message: message(2, Bytes::from_static(b"x")),
        });
    }
    assert_eq!(peer.events(), [Event::Congested { session: id.clone() }]);
    peer.hears();
    assert_eq!(
        peer.events(),
        [Event::Eased { session: ours() }, Event::Eased { session: id }]
    );
    assert_eq!(peer.pass(Duration::ZERO), []);
}
