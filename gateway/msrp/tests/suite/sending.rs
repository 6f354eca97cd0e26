//! Which chunk goes next, and what the owner hears of a slow peer.

use std::time::Duration;

use bytes::Bytes;
use msrp::{
    Command, Event, Lane, Limits, MessageTag, OutgoingMessage, Status,
    frame::{Content, Decoder, Flag, Frame},
};
use proptest::prelude::*;

use crate::{
    pair::message,
    peer::{LOCAL, Peer, REMOTE},
};

fn ours() -> msrp::SessionId {
    "ours".parse().unwrap()
}

fn send(peer: &mut Peer, tag: u64, octets: usize) {
    send_in(peer, 0, tag, octets);
}

/// In the lane of this number.
fn send_in(peer: &mut Peer, lane: u64, tag: u64, octets: usize) {
    let message = OutgoingMessage {
        lane: Lane(lane),
        ..message(tag, vec![b'x'; octets])
    };
    peer.command(Command::Send {
        session: ours(),
        message,
    });
}

fn abort(peer: &mut Peer, tag: u64) -> Vec<Event> {
    peer.command(Command::Abort {
        session: ours(),
        tag: MessageTag(tag),
    });
    peer.events()
}

fn failed(tag: u64, status: Status) -> Event {
    Event::Failed {
        session: ours(),
        tag: MessageTag(tag),
        status,
    }
}

/// One write of the connection, as small as can be.
fn write(peer: &mut Peer) -> String {
    let mut out = bytes::BytesMut::new();
    peer.connection.poll_transmit(&mut out, 1, peer.now);
    String::from_utf8(out.to_vec()).unwrap()
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
    let chunk = |frame: Frame| (frame.headers.message_id.unwrap().to_string(), frame.flag);
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
fn messages_of_a_lane_go_in_their_order() {
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
fn rfc4975_5_1_a_short_message_overtakes_a_long_one_of_another_lane_at_the_border_of_a_chunk() {
    let mut peer = small_chunks();
    send_in(&mut peer, 1, 1, 7000);
    send_in(&mut peer, 2, 2, 10);
    send_in(&mut peer, 3, 3, 3000);
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

/// What one speaker says after his long message comes after it; what others say does not wait.
#[test]
fn a_lane_waits_for_its_own_long_message_and_others_do_not() {
    let mut peer = small_chunks();
    send_in(&mut peer, 1, 1, 5000);
    send_in(&mut peer, 1, 2, 10);
    send_in(&mut peer, 2, 3, 10);
    write(&mut peer);
    send_in(&mut peer, 1, 4, 10);
    send_in(&mut peer, 2, 5, 10);
    use Flag::{Complete, More};
    assert_eq!(
        chunks(&mut peer),
        plan(&[
            (3, Complete),
            (1, More),
            (5, Complete),
            (1, Complete),
            (2, Complete),
            (4, Complete),
        ])
    );
}

/// Whoever reads the room hears short messages as they were said, whoever said them.
#[test]
fn short_messages_keep_their_order_over_all_lanes() {
    let mut peer = small_chunks();
    let all: Vec<(u64, Flag)> = (0..20).map(|tag| (tag, Flag::Complete)).collect();
    for (tag, _) in &all {
        send_in(&mut peer, tag % 3, *tag, 2000);
    }
    assert_eq!(chunks(&mut peer), plan(&all));
}

/// RFC 4975 §7.1: the flag `#` says that no more chunks come; responses to the chunks settle nothing more.
#[test]
fn rfc4975_7_1_a_message_is_given_up_in_its_midst() {
    let mut peer = small_chunks();
    send(&mut peer, 1, 9000);
    send(&mut peer, 2, 10);
    let first = write(&mut peer);
    assert_eq!(abort(&mut peer, 1), [failed(1, Status::ABORTED)]);
    assert_eq!(abort(&mut peer, 1), []);
    let frames = peer.hears_frames();
    let [end, other] = frames.as_slice() else {
        panic!("{frames:?}")
    };
    let id = |frame: &Frame| frame.headers.message_id.unwrap().to_string();
    assert_eq!((id(end), end.flag), ("message-1".to_owned(), Flag::Abort));
    assert_eq!(end.content, Content::None);
    let range = end.headers.byte_range.unwrap();
    assert_eq!((range.start, range.end, range.total), (2049, None, Some(9000)));
    assert_eq!((id(other), other.flag), ("message-2".to_owned(), Flag::Complete));
    assert_eq!(peer.connection.outgoing_octets(), 0);
    let transaction = first.split(' ').nth(1).unwrap();
    for id in [transaction, end.transaction.as_str()] {
        let ok = format!("MSRP {id} 200 OK\r\nTo-Path: {LOCAL}\r\nFrom-Path: {REMOTE}\r\n-------{id}$\r\n");
        assert_eq!(peer.says(ok), []);
    }
    let id = other.transaction.as_str();
    let ok = format!("MSRP {id} 200 OK\r\nTo-Path: {LOCAL}\r\nFrom-Path: {REMOTE}\r\n-------{id}$\r\n");
    let tag = MessageTag(2);
    assert_eq!(peer.says(ok), [Event::Delivered { session: ours(), tag }]);
    assert_eq!(peer.connection.poll_timeout(), None);
}

#[test]
fn a_message_that_nobody_has_heard_of_is_given_up_without_a_word() {
    let mut peer = small_chunks();
    send(&mut peer, 1, 10);
    send(&mut peer, 2, 10);
    interject(&mut peer, 3, 10);
    assert_eq!(abort(&mut peer, 1), [failed(1, Status::ABORTED)]);
    assert_eq!(abort(&mut peer, 3), [failed(3, Status::ABORTED)]);
    assert_eq!(chunks(&mut peer), plan(&[(2, Flag::Complete)]));
    assert_eq!(peer.connection.outgoing_octets(), 0);
}

#[test]
fn what_has_been_sent_whole_cannot_be_given_up() {
    let mut peer = small_chunks();
    send(&mut peer, 1, 10);
    let frame = write(&mut peer);
    assert_eq!(abort(&mut peer, 1), []);
    assert_eq!(abort(&mut peer, 77), []);
    assert_eq!(peer.hears(), "");
    let id = frame.split(' ').nth(1).unwrap();
    let refusal = format!("MSRP {id} 415 No\r\nTo-Path: {LOCAL}\r\nFrom-Path: {REMOTE}\r\n-------{id}$\r\n");
    assert_eq!(peer.says(refusal), [failed(1, Status::UNSUPPORTED_MEDIA)]);
}

/// What a lane waits for may be given up as well as sent.
#[test]
fn a_lane_goes_on_when_its_long_message_is_given_up() {
    let mut peer = small_chunks();
    send(&mut peer, 1, 9000);
    send(&mut peer, 2, 10);
    send(&mut peer, 3, 10);
    write(&mut peer);
    assert_eq!(abort(&mut peer, 2), [failed(2, Status::ABORTED)]);
    abort(&mut peer, 1);
    let heard = chunks(&mut peer);
    assert_eq!(heard, plan(&[(1, Flag::Abort), (3, Flag::Complete)]));
}

#[derive(Debug, Clone)]
enum Step {
    Send { lane: u64, octets: usize },
    Abort { which: usize },
    Write,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3_u64, prop_oneof![1..2000_usize, 1..20_000_usize])
            .prop_map(|(lane, octets)| Step::Send { lane, octets }),
        1 => any::<usize>().prop_map(|which| Step::Abort { which }),
        3 => Just(Step::Write),
    ]
}

proptest! {
    /// Whatever is sent and given up when: each lane arrives in order, no message sends two chunks while another one, whose
    /// lane is free, has not sent its first, and each message is settled once.
    #[test]
    fn lanes_keep_their_order_and_share_the_session(steps in proptest::collection::vec(step(), 1..60)) {
        let mut peer = small_chunks();
        let mut decoder = Decoder::new(&Limits::default());
        let mut sent: Vec<(u64, bool)> = Vec::new();
        let mut heard: Vec<(usize, Flag)> = Vec::new();
        let mut settled: Vec<u64> = Vec::new();
        // How many chunks had been heard of when each message was sent.
        let mut since: Vec<usize> = Vec::new();
        for step in steps.into_iter().chain(std::iter::repeat_n(Step::Write, 20_000)) {
            match step {
                Step::Send { lane, octets } => {
                    send_in(&mut peer, lane, sent.len() as u64, octets);
                    sent.push((lane, false));
                    since.push(heard.len());
                }
                Step::Abort { which } if !sent.is_empty() => {
                    let which = which % sent.len();
                    for event in abort(&mut peer, which as u64) {
                        prop_assert_eq!(event, failed(which as u64, Status::ABORTED));
                        settled.push(which as u64);
                        sent[which].1 = true;
                    }
                }
                Step::Abort { .. } => {}
                Step::Write => {
                    decoder.push(write(&mut peer).as_bytes());
                    while let Some(frame) = decoder.next_frame() {
                        let frame = frame.unwrap();
                        let id = frame.headers.message_id.unwrap().to_string();
                        let tag = id.strip_prefix("message-").unwrap().parse().unwrap();
                        heard.push((tag, frame.flag));
                        let id = frame.transaction;
                        let ok = format!(
                            "MSRP {id} 200 OK\r\nTo-Path: {LOCAL}\r\nFrom-Path: {REMOTE}\r\n-------{id}$\r\n"
                        );
                        for event in peer.says(ok) {
                            let Event::Delivered { tag, .. } = event else { panic!("{event:?}") };
                            settled.push(tag.0);
                        }
                    }
                }
            }
        }
        settled.sort_unstable();
        let all: Vec<u64> = (0..sent.len() as u64).collect();
        prop_assert_eq!(settled, all);
        for lane in 0..3 {
            let tags: Vec<usize> = heard.iter().map(|(tag, _)| *tag).filter(|tag| sent[*tag].0 == lane).collect();
            prop_assert!(tags.is_sorted(), "{:?}", tags);
        }
        for (tag, (lane, _)) in sent.iter().enumerate() {
            let Some(first) = heard.iter().position(|(heard, _)| *heard == tag) else { continue };
            // From when it was the first of its lane.
            let before = heard[..first].iter().rposition(|(other, _)| sent[*other].0 == *lane);
            let from = since[tag].max(before.map_or(0, |place| place + 1));
            let mut between: Vec<usize> = heard[from..first].iter().filter(|(_, flag)| *flag != Flag::Abort)
                .map(|(other, _)| *other).collect();
            let chunks = between.len();
            between.sort_unstable();
            between.dedup();
            prop_assert_eq!(between.len(), chunks, "{} waited for {:?}", tag, &heard[from..first]);
        }
    }
}

#[test]
fn interjected_messages_go_before_all_others_and_keep_their_order() {
    let mut peer = small_chunks();
    send(&mut peer, 1, 5000);
    write(&mut peer);
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
        for lane in [0, 1] {
            let mut peer = small_chunks();
            send(&mut peer, 1, 9000);
            let text = write(&mut peer);
            send_in(&mut peer, lane, 2, 3000);
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
            assert!(events.contains(&failed(1, Status::STOP_SENDING)), "{events:?}");
            assert_eq!(
                chunks(&mut peer),
                plan(&[(2, Flag::More), (2, Flag::Complete)]),
                "{by_report} {lane}"
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
    assert_eq!(peer.events(), [1, 2].map(|tag| failed(tag, Status::NO_SESSION)));
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
        // The first message alone.
        write(&mut peer);
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
