//! Every limit of a connection at −1, 0 and +1, and what is held.

use msrp::{Command, Event, Limits, SessionId, Status};
use proptest::prelude::*;

use crate::{
    pair::message,
    peer::{LOCAL, Peer, request, send},
};

fn ours() -> SessionId {
    "ours".parse().unwrap()
}

// Rows: C757X-10
#[test]
fn limit_of_a_message() {
    let limits = Limits {
        message: 1000,
        ..Limits::default()
    };
    for (octets, accepted) in [(999, true), (1000, true), (1001, false)] {
        let mut peer = Peer::bound(limits.clone());
        let whole = peer.says(send("tid1", &["Message-ID: m001"], &"x".repeat(octets), '$'));
        assert_eq!(whole.len(), usize::from(accepted), "{octets}");

        let begin = send(
            "tid1",
            &["Message-ID: m002", "Byte-Range: 1-*/*"],
            &"x".repeat(500),
            '+',
        );
        peer.says(begin);
        let end = send(
            "tid2",
            &["Message-ID: m002", "Byte-Range: 501-*/*"],
            &"x".repeat(octets - 500),
            '$',
        );
        assert_eq!(peer.says(end).len(), usize::from(accepted), "{octets}");

        peer.hears();
        let total = format!("Byte-Range: 1-*/{octets}");
        peer.says(send("tid3", &["Message-ID: m003", &total], "x", '+'));
        assert_eq!(peer.hears_statuses(), [if accepted { 200 } else { 413 }]);
    }
}

// Rows: C757X-10
#[test]
fn limit_of_a_chunk_is_a_413_while_the_chunk_still_comes() {
    let limits = Limits {
        chunk_in: 1000,
        ..Limits::default()
    };
    for (octets, accepted) in [(999, true), (1000, true), (1001, false)] {
        let mut peer = Peer::bound(limits.clone());
        let events = peer.says(send("tid1", &["Message-ID: m001"], &"x".repeat(octets), '$'));
        assert_eq!(events.len(), usize::from(accepted), "{octets}");
        assert_eq!(peer.hears_statuses(), Vec::from_iter((!accepted).then_some(413)));
    }
    let mut peer = Peer::bound(limits);
    let endless = send(
        "tid1",
        &["Message-ID: m001", "Byte-Range: 1-*/*"],
        &"x".repeat(5000),
        '#',
    );
    let (begin, end) = endless.split_at(3000);
    peer.says(begin);
    assert_eq!(peer.hears_statuses(), [413]);
    assert_eq!(peer.says(end), []);
    assert_eq!(peer.hears(), "");
    assert_eq!(
        peer.says(send("tid2", &["Message-ID: m002"], "next", '$')).len(),
        1
    );
}

#[test]
fn limit_of_open_messages() {
    let mut peer = Peer::bound(Limits {
        open_messages: 3,
        ..Limits::default()
    });
    for (number, status) in [(1, 200), (2, 200), (3, 200), (4, 413)] {
        let id = format!("Message-ID: m00{number}");
        peer.says(send("tid1", &[&id, "Byte-Range: 1-*/*"], "x", '+'));
        assert_eq!(peer.hears_statuses(), [status]);
    }
    assert_eq!(
        peer.says(send(
            "tid1",
            &["Message-ID: m009"],
            "whole ones need no place",
            '$'
        ))
        .len(),
        1
    );
    assert_eq!(
        peer.says(send("tid1", &["Message-ID: m001", "Byte-Range: 2-*/*"], "y", '$'))
            .len(),
        1
    );
    peer.hears();
    peer.says(send("tid1", &["Message-ID: m004", "Byte-Range: 1-*/*"], "x", '+'));
    assert_eq!(peer.hears_statuses(), [200]);
}

#[test]
fn limit_of_reassembly_counts_all_messages_of_a_session() {
    // Each open message counts 512, its type and its octets up to the furthest.
    let of_one = 512 + "text/plain".len() + 1000;
    for (spare, last) in [(-1_isize, 413), (0, 200), (1, 200)] {
        let reassembly = (3 * of_one).checked_add_signed(spare).unwrap();
        let mut peer = Peer::bound(Limits {
            reassembly,
            ..Limits::default()
        });
        for (number, status) in [(1, 200), (2, 200), (3, last)] {
            let id = format!("Message-ID: m00{number}");
            peer.says(send("tid1", &[&id, "Byte-Range: 1000-*/*"], "x", '+'));
            assert_eq!(peer.hears_statuses(), [status], "{spare}");
        }
        let held = peer.connection.incoming_octets();
        assert_eq!(held, if last == 200 { 3 * of_one } else { 2 * of_one });
        peer.pass(Limits::default().chunk_reception);
        assert_eq!(peer.connection.incoming_octets(), 0);
    }
}

#[test]
fn a_message_in_more_than_64_stretches_is_refused() {
    let mut peer = Peer::bound(Limits::default());
    for stretch in 1..=65 {
        let range = format!("Byte-Range: {}-*/*", stretch * 2);
        peer.says(send("tid1", &["Message-ID: m001", &range], "x", '+'));
        assert_eq!(peer.hears_statuses(), [if stretch <= 64 { 200 } else { 413 }]);
    }
}

#[test]
fn limit_of_sessions() {
    let mut peer = Peer::new(Limits {
        sessions: 3,
        ..Limits::default()
    });
    for (number, accepted) in [(1, true), (2, true), (3, true), (4, false)] {
        let to = LOCAL.replace("/ours;", &format!("/session-{number};"));
        let events = peer.says(request("SEND", "tid1", &["Message-ID: m001"], "", '$').replace(LOCAL, &to));
        assert_eq!(events.len(), usize::from(accepted));
        assert_eq!(peer.hears_statuses(), Vec::from_iter((!accepted).then_some(481)));
    }
}

#[test]
fn guessed_sessions_are_refused_and_leave_bounded_memory_behind() {
    let mut peer = Peer::bound(Limits {
        sessions: 10,
        ..Limits::default()
    });
    for number in 0..1000 {
        let to = LOCAL.replace("/ours;", &format!("/guess-{number};"));
        let events = peer.says(request("SEND", "tid1", &["Message-ID: m001"], "", '$').replace(LOCAL, &to));
        let [Event::BindRequested { session, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        peer.command(Command::RefuseBind {
            session: session.clone(),
            status: Status::NO_SESSION,
        });
        assert_eq!(peer.hears_statuses(), [481]);
    }
    // The oldest one has been forgotten and is asked for again, the latest is not.
    for (number, asked) in [(0, 1), (999, 0)] {
        let to = LOCAL.replace("/ours;", &format!("/guess-{number};"));
        let events = peer.says(request("SEND", "tid1", &["Message-ID: m001"], "", '$').replace(LOCAL, &to));
        assert_eq!(events.len(), asked);
    }
}

#[test]
fn frames_that_wait_for_bind_are_bounded_by_the_reassembly_limit() {
    let mut peer = Peer::new(Limits {
        reassembly: 20_000,
        ..Limits::default()
    });
    let mut waiting = 0;
    for number in 0..100 {
        let id = format!("Message-ID: m{number:03}");
        peer.says(send("tid1", &[&id], &"x".repeat(1000), '$'));
        let refused = peer.hears_statuses();
        assert!(refused.is_empty() || refused == [413]);
        waiting += usize::from(refused.is_empty());
    }
    assert!((5..20).contains(&waiting), "{waiting}");
    assert!((10_000..=20_000).contains(&peer.connection.incoming_octets()));
    peer.bind();
    assert_eq!(peer.connection.incoming_octets(), 0);
    assert_eq!(peer.events().len(), waiting);
}

#[test]
fn limit_of_outgoing_octets() {
    for (octets, accepted) in [(999, true), (1000, true), (1001, false)] {
        let mut peer = Peer::bound(Limits {
            outgoing: 3 * (256 + 1000),
            ..Limits::default()
        });
        for tag in 1..=2 {
            peer.command(Command::Send {
                session: ours(),
                message: message(tag, vec![b'x'; 1000]),
            });
        }
        peer.command(Command::Send {
            session: ours(),
            message: message(3, vec![b'x'; octets]),
        });
        let congested = Event::Failed {
            session: ours(),
            tag: msrp::MessageTag(3),
            status: Status::CONGESTED,
        };
        let marked = Event::Congested { session: ours() };
        assert_eq!(peer.events(), [if accepted { marked } else { congested }]);
        assert_eq!(
            peer.connection.outgoing_octets(),
            2 * 1256 + if accepted { 256 + octets } else { 0 }
        );
        peer.hears();
        assert_eq!(peer.connection.outgoing_octets(), 0);
        let eased = Event::Eased { session: ours() };
        assert_eq!(peer.events(), Vec::from_iter(accepted.then_some(eased)));
    }
}

#[test]
fn limit_of_unanswered_requests_of_the_peer() {
    let mut peer = Peer::bound(Limits {
        unanswered: 3,
        ..Limits::default()
    });
    let mut events = Vec::new();
    for number in 1..=3 {
        events.extend(peer.says(send("tid1", &[&format!("Message-ID: m00{number}")], "x", '$')));
    }
    assert_eq!((events.len(), peer.hears().len()), (3, 0));
    assert_eq!(peer.says(send("tid1", &["Message-ID: m004"], "x", '$')), []);
    assert_eq!(
        peer.says(request("NICKNAME", "tid1", &["Use-Nickname: \"a\""], "", '$')),
        []
    );
    assert_eq!(peer.hears_statuses(), [413, 403]);
    peer.answer(events, Status::OK);
    assert_eq!(peer.says(send("tid1", &["Message-ID: m004"], "x", '$')).len(), 1);
}

#[test]
fn a_peer_that_does_not_read_its_responses_is_given_up() {
    let mut peer = Peer::bound(Limits {
        outgoing: 10_000,
        ..Limits::default()
    });
    let keepalive = request(
        "SEND",
        "tid1",
        &["Message-ID: m001", "Byte-Range: 1-0/0"],
        "",
        '$',
    );
    for _ in 0..1000 {
        let events = peer.says(&keepalive);
        assert!(peer.connection.outgoing_octets() < 10_500);
        if let Some(Event::Faulted(fault)) = events.last() {
            assert!(fault.rule.contains("Limits::outgoing"));
            return;
        }
    }
    panic!("a thousand unread responses");
}

// Rows: C4975-38
#[test]
fn announced_totals_and_far_ranges_reserve_nothing() {
    let limits = Limits {
        reassembly: 100_000,
        ..Limits::default()
    };
    let mut peer = Peer::bound(limits);
    for number in 0..500 {
        let id = format!("Message-ID: m{number:03}");
        peer.says(send("tid1", &[&id, "Byte-Range: 60000-*/60010"], "x", '+'));
        peer.says(send(
            "tid1",
            &[&id, "Byte-Range: 1-*/18446744073709551615"],
            "x",
            '+',
        ));
    }
    let statuses = peer.hears_statuses();
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        500,
        "one place, freed by the 413"
    );
    assert_eq!((statuses.len(), peer.connection.incoming_octets()), (1000, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever a peer sends as chunks, the answers come and nothing but whole messages within the limit comes out.
    #[test]
    fn hostile_chunks_get_answers(
        chunks in prop::collection::vec(
            (0_u8..6, prop_oneof![0_u64..3000, any::<u64>()], any::<Option<u64>>(), 0_usize..700, 0_usize..3),
            1..80,
        ),
    ) {
        let limits = Limits { message: 2000, reassembly: 8000, open_messages: 3, ..Limits::default() };
        let mut peer = Peer::bound(limits);
        for (number, start, total, octets, flag) in chunks {
            let total = total.map_or("*".to_owned(), |total| total.to_string());
            let range = format!("Byte-Range: {start}-*/{total}");
            let flag = ['+', '$', '#'][flag];
            let text = send("tid1", &[&format!("Message-ID: m00{number}"), &range], &"x".repeat(octets), flag);
            let events = peer.says(text);
            for event in &events {
                let Event::Received { message, .. } = event else { panic!("{event:?}") };
                prop_assert!(message.body.len() <= 2000);
            }
            peer.answer(events, Status::FORBIDDEN);
            prop_assert!(peer.connection.incoming_octets() <= 8000);
            let statuses = peer.hears_statuses();
            prop_assert_eq!(statuses.len(), 1);
            prop_assert!([200, 403, 413, 423].contains(&statuses[0]), "{:?}", statuses);
        }
    }
}
