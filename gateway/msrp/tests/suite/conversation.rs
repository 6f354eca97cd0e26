//! Two connections talking to each other under virtual time.

use std::time::Duration;

use bytes::Bytes;
use msrp::{Command, Event, FailureReport, Limits, LostCause, MessageTag, OutgoingMessage, Status};
use proptest::prelude::*;

use crate::pair::{
    Pair,
    Side::{Active, Passive},
    message, parameters, session, start,
};

fn delivered(tag: u64) -> Event {
    Event::Delivered {
        session: session(Active, "s"),
        tag: MessageTag(tag),
    }
}

fn failed(tag: u64, status: Status) -> Event {
    Event::Failed {
        session: session(Active, "s"),
        tag: MessageTag(tag),
        status,
    }
}

fn lost(cause: LostCause) -> Event {
    Event::Lost {
        session: session(Active, "s"),
        cause,
    }
}

/// Answers every message of the passive side; gives their bodies.
fn answer_all(pair: &mut Pair, status: Status) -> Vec<Bytes> {
    let mut bodies = Vec::new();
    for event in pair.events(Passive) {
        let Event::Received { message, due, .. } = event else {
            panic!("{event:?}")
        };
        bodies.push(message.body);
        pair.answer(Passive, due, status);
    }
    pair.run();
    bodies
}

#[test]
fn rfc4975_7_1_1_delivered_when_the_receiver_has_answered() {
    let mut pair = Pair::bound(Limits::default());
    pair.send(Active, "s", message(7, "hello"));
    pair.run();
    assert_eq!(pair.events(Active), []);
    let (received, due) = pair.received(Passive);
    assert_eq!(
        (received.content_type.as_str(), &received.body[..]),
        ("message/cpim", &b"hello"[..])
    );
    pair.answer(Passive, due, Status::OK);
    pair.run();
    assert_eq!(pair.events(Active), [delivered(7)]);
}

#[test]
fn both_sides_send() {
    let mut pair = Pair::bound(Limits::default());
    pair.send(Passive, "s", message(1, "welcome"));
    pair.run();
    let (received, due) = pair.received(Active);
    assert_eq!(received.body, "welcome");
    pair.answer(Active, due, Status::OK);
    pair.run();
    let tag = MessageTag(1);
    assert_eq!(
        pair.events(Passive),
        [Event::Delivered {
            session: session(Passive, "s"),
            tag
        }]
    );
}

// Rows: C4975-16, C4975-17
#[test]
fn rfc4975_7_1_1_short_chunks_name_their_end_and_long_ones_do_not() {
    let mut pair = Pair::bound(Limits::default());
    for (tag, octets, ranges) in [
        (1, 0, &["1-0/0"][..]),
        (2, 2048, &["1-2048/2048"]),
        (3, 2049, &["1-*/2049"]),
        (4, 8192, &["1-*/8192"]),
        (5, 8193, &["1-*/8193", "8193-8193/8193"]),
        (6, 20_000, &["1-*/20000", "8193-*/20000", "16385-*/20000"]),
    ] {
        pair.wire[0].clear();
        pair.send(Active, "s", message(tag, vec![b'x'; octets]));
        pair.run();
        let text = pair.sent_text(Active);
        let sent: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("Byte-Range: "))
            .collect();
        assert_eq!(sent, ranges);
        assert_eq!(answer_all(&mut pair, Status::OK), [vec![b'x'; octets]]);
        assert_eq!(pair.events(Active), [delivered(tag)]);
    }
}

// Rows: C4975-18
#[test]
fn rfc4975_7_1_1_no_chunk_but_the_last_is_shorter_than_2048_octets() {
    for (chunk_out, first) in [(1, 2048), (2047, 2048), (2048, 2048), (2049, 2049)] {
        let mut pair = Pair::bound(Limits {
            chunk_out,
            ..Limits::default()
        });
        pair.send(Active, "s", message(1, vec![b'x'; 5000]));
        pair.run();
        let second = format!("Byte-Range: {}-", first + 1);
        assert!(pair.sent_text(Active).contains(&second), "{chunk_out}");
        assert_eq!(answer_all(&mut pair, Status::OK), [vec![b'x'; 5000]]);
    }
}

// Rows: C4975-04
#[test]
fn rfc4975_7_1_the_end_line_does_not_occur_in_the_body() {
    let mut first = Pair::bound(Limits::default());
    first.wire[0].clear();
    first.send(Active, "s", message(1, "x"));
    first.run();
    let text = first.sent_text(Active);
    let transaction = text.split(' ').nth(1).unwrap().to_owned();
    // The same seed draws the same transaction id, and must not use it here.
    let mut again = Pair::bound(Limits::default());
    let body = format!("\r\n-------{transaction}$\r\n");
    again.send(Active, "s", message(1, body.clone()));
    again.run();
    assert_eq!(answer_all(&mut again, Status::OK), [body]);
    assert!(!again.sent_text(Active).contains(&format!("MSRP {transaction} ")));
}

// Rows: C4975-17
#[test]
fn sessions_take_turns_and_responses_overtake_chunks() {
    let mut pair = Pair::bound(Limits::default());
    pair.bind("t");
    pair.wire[0].clear();
    pair.send(Active, "s", message(1, vec![b's'; 60_000]));
    pair.send(Active, "t", message(2, vec![b't'; 60_000]));
    pair.step(Active);
    pair.send(Passive, "s", message(3, "urgent"));
    pair.step(Passive);
    let (_, due) = pair.received(Active);
    pair.answer(Active, due, Status::OK);
    pair.run();
    let text = pair.sent_text(Active);
    let starts: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("MSRP ") || line.starts_with("Message-ID"))
        .map(|line| {
            if line.ends_with("200 OK") {
                "response"
            } else {
                line
            }
        })
        .filter(|line| !line.ends_with("SEND"))
        .collect();
    assert_eq!(
        starts[..4],
        [
            "Message-ID: message-1",
            "response",
            "Message-ID: message-2",
            "Message-ID: message-1"
        ]
    );
    for pair in starts[2..].windows(2) {
        assert_ne!(pair[0], pair[1], "turns");
    }
    assert_eq!(pair.events(Passive).len(), 3, "the answer and two messages");
}

// Rows: CXMPP-32
#[test]
fn messages_of_one_session_keep_their_order() {
    let mut pair = Pair::bound(Limits::default());
    for tag in 0..50 {
        pair.send(Active, "s", message(tag, format!("{tag}").repeat(700)));
    }
    pair.run();
    let expected: Vec<Bytes> = (0..50).map(|tag| format!("{tag}").repeat(700).into()).collect();
    assert_eq!(answer_all(&mut pair, Status::OK), expected);
    assert_eq!(pair.events(Active), Vec::from_iter((0..50).map(delivered)));
}

// Rows: C4975-19
#[test]
fn rfc4975_7_1_1_a_lost_answer_is_408_after_30_seconds() {
    let mut pair = Pair::bound(Limits::default());
    pair.send(Active, "s", message(1, "one"));
    pair.send(Active, "s", message(2, "two"));
    pair.run();
    assert_eq!(
        pair.connection(Active).poll_timeout(),
        Some(pair.now + Duration::from_secs(30))
    );
    pair.pass(Duration::from_millis(29_999));
    assert_eq!(pair.events(Active), []);
    pair.pass(Duration::from_millis(1));
    let expected = [
        failed(1, Status::TIMEOUT),
        failed(2, Status::TIMEOUT),
        lost(LostCause::Silent),
    ];
    assert_eq!(pair.events(Active), expected);
    assert_eq!(pair.connection(Active).poll_timeout(), None);
}

#[test]
fn rfc4975_7_1_1_the_30_seconds_begin_when_the_chunk_is_handed_over() {
    let mut pair = Pair::bound(Limits::default());
    pair.send(Active, "s", message(1, "one"));
    pair.pass(Duration::from_secs(100));
    assert_eq!(
        (pair.events(Active), pair.connection(Active).poll_timeout()),
        (vec![], None)
    );
    pair.mute = Some(Active);
    pair.run();
    assert_eq!(
        pair.connection(Active).poll_timeout(),
        Some(pair.now + Duration::from_secs(30))
    );
}

// Rows: C4975-07, C4975-09
#[test]
fn rfc4975_5_4_a_bodiless_send_that_is_not_answered_or_refused() {
    let mut pair = Pair::new(Limits::default());
    pair.command(Active, Command::Open(parameters(Active, "s")));
    pair.run();
    pair.pass(Duration::from_secs(30));
    assert_eq!(pair.events(Active), [lost(LostCause::Silent)]);
    for status in [Status::NO_SESSION, Status::BOUND_ELSEWHERE] {
        let mut pair = Pair::new(Limits::default());
        pair.command(Active, Command::Open(parameters(Active, "s")));
        pair.send(Active, "s", message(1, "x"));
        pair.run();
        pair.command(
            Passive,
            Command::RefuseBind {
                session: session(Passive, "s"),
                status,
            },
        );
        pair.run();
        assert_eq!(
            pair.events(Active),
            [failed(1, status), lost(LostCause::Rejected(status))]
        );
    }
}

// Rows: C7701-41, C7701-50
#[test]
fn rfc7701_7_1_nicknames_both_ways() {
    let mut pair = Pair::bound(Limits::default());
    for (nickname, status) in [
        ("Romeo \"the\" \\ Montague", Status::OK),
        ("", Status::OK),
        ("Zoë 🦀", Status::NICKNAME_IN_USE),
    ] {
        let tag = MessageTag(9);
        let of = session(Active, "s");
        pair.command(
            Active,
            Command::Nickname {
                session: of.clone(),
                tag,
                nickname: nickname.to_owned(),
            },
        );
        pair.run();
        let mut events = pair.events(Passive);
        let Some(Event::NicknameRequested {
            nickname: asked, due, ..
        }) = events.pop()
        else {
            panic!()
        };
        assert_eq!(asked, nickname);
        pair.answer(Passive, due, status);
        pair.run();
        assert_eq!(
            pair.events(Active),
            [Event::NicknameAnswered {
                session: of,
                tag,
                status
            }]
        );
    }
}

// Rows: C7701-40
#[test]
fn rfc7701_7_1_a_nickname_that_cannot_be_sent_or_is_not_answered() {
    let mut pair = Pair::bound(Limits::default());
    let of = session(Active, "s");
    let tag = MessageTag(1);
    let answered = |status| Event::NicknameAnswered {
        session: session(Active, "s"),
        tag,
        status,
    };
    for nickname in ["x".repeat(1024), "a\r\nTo-Path: b".to_owned()] {
        pair.command(
            Active,
            Command::Nickname {
                session: of.clone(),
                tag,
                nickname,
            },
        );
        pair.run();
        assert_eq!(pair.events(Active), [answered(Status::MALFORMED_NICKNAME)]);
        assert_eq!(pair.events(Passive), []);
    }
    pair.command(
        Active,
        Command::Nickname {
            session: of,
            tag,
            nickname: "Romeo".to_owned(),
        },
    );
    pair.run();
    pair.pass(Duration::from_secs(30));
    assert_eq!(pair.events(Active), [answered(Status::TIMEOUT)]);
    pair.send(Active, "s", message(2, "still here"));
    pair.run();
    assert_eq!(pair.events(Passive).len(), 2);
}

// Rows: C4975-11
#[test]
fn a_closed_transport_settles_everything_once() {
    let mut pair = Pair::bound(Limits::default());
    pair.send(Active, "s", message(1, "sent"));
    pair.run();
    pair.send(Active, "s", message(2, "queued"));
    let nickname = Command::Nickname {
        session: session(Active, "s"),
        tag: MessageTag(3),
        nickname: "R".into(),
    };
    pair.command(Active, nickname);
    pair.close(Active);
    let answered = Event::NicknameAnswered {
        session: session(Active, "s"),
        tag: MessageTag(3),
        status: Status::CONNECTION_LOST,
    };
    let gone = Status::CONNECTION_LOST;
    let expected = [
        failed(1, gone),
        failed(2, gone),
        answered,
        lost(LostCause::Disconnected),
        Event::Closed,
    ];
    assert_eq!(pair.events(Active), expected);
    pair.close(Active);
    pair.pass(Duration::from_secs(60));
    assert_eq!(pair.events(Active), []);
    assert!(!pair.step(Active));
    pair.send(Active, "s", message(4, "late"));
    assert_eq!(pair.events(Active), [failed(4, gone)]);
}

#[test]
fn close_sends_what_is_queued_first() {
    let mut pair = Pair::bound(Limits::default());
    pair.send(Active, "s", message(1, vec![b'x'; 30_000]));
    pair.command(Active, Command::Close);
    assert_eq!(pair.events(Active), []);
    pair.send(Active, "s", message(2, "after"));
    pair.run();
    let events = pair.events(Active);
    assert_eq!(events.last(), Some(&Event::Closed));
    assert_eq!(
        events[..2],
        [
            failed(1, Status::CONNECTION_LOST),
            failed(2, Status::CONNECTION_LOST)
        ]
    );
    assert_eq!(pair.events(Passive).len(), 2);
    let mut idle = Pair::bound(Limits::default());
    idle.command(Active, Command::Close);
    assert_eq!(idle.events(Active), [Event::Closed]);
}

#[test]
fn events_that_arise_while_sending_are_announced_by_the_timeout() {
    use bytes::BytesMut;
    let now = start();
    let mut connection = msrp::Connection::new(Limits::default(), [0; 32]);
    connection.handle_command(Command::Bind(parameters(Active, "s")), now);
    let unreported = OutgoingMessage {
        failure_report: FailureReport::No,
        ..message(1, "x")
    };
    connection.handle_command(
        Command::Send {
            session: session(Active, "s"),
            message: unreported,
        },
        now,
    );
    connection.handle_command(Command::Close, now);
    assert_eq!((connection.poll_event(), connection.poll_timeout()), (None, None));
    let mut out = BytesMut::new();
    assert!(connection.poll_transmit(&mut out, 1, now));
    assert_eq!(connection.poll_timeout(), Some(now));
    assert_eq!(connection.poll_event(), Some(delivered(1)));
    assert_eq!(connection.poll_event(), Some(Event::Closed));
    assert_eq!((connection.poll_event(), connection.poll_timeout()), (None, None));
}

#[test]
fn unbind_settles_and_forgets() {
    let mut pair = Pair::bound(Limits::default());
    pair.send(Active, "s", message(1, vec![b'x'; 20_000]));
    pair.step(Active);
    pair.command(Active, Command::Unbind(session(Active, "s")));
    assert_eq!(pair.events(Active), [failed(1, Status::NO_SESSION)]);
    assert_eq!(pair.connection(Active).outgoing_octets(), 0);
    pair.run();
    assert_eq!(pair.events(Active), []);
    pair.send(Active, "s", message(2, "x"));
    assert_eq!(pair.events(Active), [failed(2, Status::NO_SESSION)]);
}

#[test]
fn a_second_bind_replaces_the_paths() {
    let mut pair = Pair::bound(Limits::default());
    let mut moved = parameters(Active, "s");
    moved.remote = "msrp://elsewhere.example.com:2855/Passive-s;tcp".parse().unwrap();
    pair.command(Active, Command::Bind(moved));
    pair.wire[0].clear();
    pair.send(Active, "s", message(1, "x"));
    pair.run();
    assert!(
        pair.sent_text(Active)
            .contains("\r\nTo-Path: msrp://elsewhere.example.com:2855/Passive-s;tcp\r\n")
    );
}

#[test]
fn two_runs_of_one_seed_write_the_same_octets() {
    let run = || {
        let mut pair = Pair::bound(Limits::default());
        pair.send(Active, "s", message(1, vec![b'x'; 20_000]));
        pair.run();
        answer_all(&mut pair, Status::OK);
        pair.wire
    };
    assert_eq!(run(), run());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Exactly one of Delivered and Failed for each message, and what was delivered arrived once and in order.
    // Rows: C4975-11
    #[test]
    fn every_message_is_settled_once_whatever_is_lost(
        messages in prop::collection::vec((0_usize..30_000, 0_u8..3, any::<bool>()), 1..12),
        muted_after in prop::option::of(0_usize..10),
        mute_active in any::<bool>(),
        refuse in prop::collection::vec(prop::sample::select(vec![200_u16, 200, 200, 403, 413, 408, 481]), 12),
        piece in 1_usize..5000,
    ) {
        let mut pair = Pair::bound(Limits { message: 16_384, ..Limits::default() });
        pair.piece = piece;
        for (tag, (octets, report, success_report)) in messages.iter().enumerate() {
            let failure_report = match report {
                0 => FailureReport::Yes,
                1 => FailureReport::No,
                _ => FailureReport::Partial,
            };
            let body = vec![b'a' + tag as u8; *octets];
            let message = OutgoingMessage { failure_report, success_report: *success_report, ..message(tag as u64, body) };
            pair.send(Active, "s", message);
        }
        let mut settled = vec![0; messages.len()];
        let mut arrived = Vec::new();
        for round in 0..40 {
            if muted_after == Some(round) {
                pair.mute = Some(if mute_active { Active } else { Passive });
            }
            pair.step(Active);
            pair.step(Passive);
            for event in pair.events(Passive) {
                if let Event::Received { message, due, .. } = event {
                    let tag = usize::from(message.body.first().map_or(0, |first| first - b'a'));
                    if !message.body.is_empty() {
                        arrived.push(tag);
                        prop_assert_eq!(message.body.len(), messages[tag].0);
                    }
                    pair.answer(Passive, due, Status::from_code(refuse[tag]));
                }
            }
            for event in pair.events(Active) {
                if let Event::Delivered { tag, .. } | Event::Failed { tag, .. } = event {
                    settled[tag.0 as usize] += 1;
                }
            }
        }
        pair.pass(Duration::from_secs(31));
        pair.close(Active);
        for event in pair.events(Active) {
            if let Event::Delivered { tag, .. } | Event::Failed { tag, .. } = event {
                settled[tag.0 as usize] += 1;
            }
        }
        prop_assert_eq!(settled, vec![1; messages.len()]);
        prop_assert!(arrived.is_sorted_by(|one, other| one < other), "{:?}", arrived);
        prop_assert_eq!(pair.connection(Active).poll_timeout(), None);
        prop_assert_eq!(pair.connection(Active).outgoing_octets(), 0);
    }
}
