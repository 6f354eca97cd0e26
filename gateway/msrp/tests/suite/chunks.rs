//! How a message comes together: RFC 4975 §7.3.1, RFC 7701 §6.1.

use std::time::Duration;

use msrp::{Event, FailureReport, Limits, Status};
use proptest::prelude::*;

use crate::peer::{LOCAL, Peer, REMOTE, bodies, request, send};

// Rows: B7702-23, C757X-08
#[test]
fn rfc4975_7_3_1_chunks_are_answered_at_once_and_the_last_one_by_the_owner() {
    let mut peer = Peer::bound(Limits::default());
    assert_eq!(
        peer.says(send(
            "tid1",
            &["Message-ID: m001", "Byte-Range: 1-*/9"],
            "abc",
            '+'
        )),
        []
    );
    assert_eq!(peer.hears_statuses(), [200]);
    assert_eq!(
        peer.says(send(
            "tid2",
            &["Message-ID: m001", "Byte-Range: 4-*/9"],
            "def",
            '+'
        )),
        []
    );
    assert_eq!(peer.hears_statuses(), [200]);
    let events = peer.says(send(
        "tid3",
        &["Message-ID: m001", "Byte-Range: 7-9/9"],
        "ghi",
        '$',
    ));
    assert_eq!(bodies(&events), ["abcdefghi"]);
    assert_eq!(peer.hears(), "");
    peer.answer(events, Status::OK);
    let frames = peer.hears_frames();
    assert_eq!((frames.len(), frames[0].transaction.as_str()), (1, "tid3"));
}

// Rows: C4975-05, C4975-18, C4975-27
#[test]
fn rfc4975_7_3_1_gaps_overlaps_and_order() {
    // Each line: chunks as (start, octets, flag), then the message if there is one.
    type Case<'a> = (&'a [(u64, &'a str, char)], Option<&'a str>);
    let cases: &[Case<'_>] = &[
        (
            &[(1, "abc", '+'), (7, "ghi", '$'), (4, "def", '+')],
            Some("abcdefghi"),
        ),
        (
            &[(7, "ghi", '$'), (4, "def", '+'), (1, "abc", '+')],
            Some("abcdefghi"),
        ),
        (
            &[(1, "abcd", '+'), (3, "CDEF", '+'), (7, "gh", '$')],
            Some("abCDEFgh"),
        ),
        (&[(1, "abc", '+'), (1, "ABC", '+'), (4, "d", '$')], Some("ABCd")),
        (&[(1, "abc", '+'), (5, "e", '$')], None),
        (&[(1, "abc", '+'), (4, "", '$')], Some("abc")),
        (&[(1, "", '+'), (1, "abc", '$')], Some("abc")),
        (&[(1, "abc", '+'), (4, "d", '#'), (5, "e", '$')], None),
        (&[(2, "b", '$'), (1, "a", '+')], Some("ab")),
        (
            &[
                (1, "a", '+'),
                (3, "c", '+'),
                (5, "e", '$'),
                (2, "b", '+'),
                (4, "d", '+'),
            ],
            Some("abcde"),
        ),
        (&[(3, "cd", '+'), (1, "xy", '$')], Some("xy")),
        (&[(3, "cd", '$'), (5, "e", '+'), (1, "ab", '+')], Some("abcd")),
        (&[(3, "cd", '$'), (3, "c", '$'), (1, "ab", '+')], Some("abcd")),
        (&[(3, "cdef", '+'), (2, "b", '$'), (1, "a", '+')], None),
    ];
    for (chunks, expected) in cases {
        let mut peer = Peer::bound(Limits::default());
        let mut received = Vec::new();
        for (index, (start, body, flag)) in chunks.iter().enumerate() {
            let range = format!("Byte-Range: {start}-*/*");
            received.extend(peer.says(send(
                &format!("tid{index}"),
                &["Message-ID: m001", &range],
                body,
                *flag,
            )));
        }
        assert_eq!(
            bodies(&received),
            Vec::from_iter(expected.map(str::to_owned)),
            "{chunks:?}"
        );
    }
}

// Rows: C4975-27, E-34, E-36
#[test]
fn rfc4975_7_3_1_the_range_end_and_total_of_a_peer_are_not_trusted() {
    let mut peer = Peer::bound(Limits::default());
    let text = send(
        "tid1",
        &["Message-ID: m001", "Byte-Range: 1-5/5"],
        "longer than five",
        '$',
    );
    assert_eq!(bodies(&peer.says(text)), ["longer than five"]);
    let text = send(
        "tid2",
        &["Message-ID: m002", "Byte-Range: 1-500/500"],
        "short",
        '$',
    );
    assert_eq!(bodies(&peer.says(text)), ["short"]);
}

#[test]
fn a_bodiless_send_can_end_or_abort_a_message_and_else_leaves_it() {
    let mut peer = Peer::bound(Limits::default());
    peer.says(send(
        "tid1",
        &["Message-ID: m001", "Byte-Range: 1-*/*"],
        "abc",
        '+',
    ));
    assert_eq!(
        peer.says(request(
            "SEND",
            "tid2",
            &["Message-ID: m001", "Byte-Range: 1-0/0"],
            "",
            '$'
        )),
        []
    );
    let end = request(
        "SEND",
        "tid3",
        &["Message-ID: m001", "Byte-Range: 4-3/3"],
        "",
        '$',
    );
    assert_eq!(bodies(&peer.says(end)), ["abc"]);
    peer.says(send(
        "tid4",
        &["Message-ID: m002", "Byte-Range: 1-*/*"],
        "abc",
        '+',
    ));
    peer.says(request("SEND", "tid5", &["Message-ID: m002"], "", '#'));
    assert_eq!(
        peer.says(send("tid6", &["Message-ID: m002", "Byte-Range: 4-*/*"], "d", '$')),
        []
    );
}

// Rows: C7701-25
#[test]
fn rfc7701_6_1_an_unfinished_message_is_dropped_after_the_chunk_reception_time() {
    for (report, statuses) in [("yes", &[413][..]), ("no", &[]), ("partial", &[])] {
        let limits = Limits {
            chunk_reception: Duration::from_secs(60),
            ..Limits::default()
        };
        let mut peer = Peer::bound(limits);
        let report = format!("Failure-Report: {report}");
        let chunk =
            |id: &str, range: &str, flag| send(id, &["Message-ID: m001", range, &report], "abc", flag);
        peer.says(chunk("tid1", "Byte-Range: 1-*/*", '+'));
        peer.pass(Duration::from_secs(50));
        peer.says(chunk("tid2", "Byte-Range: 4-*/*", '+'));
        peer.hears();
        assert_eq!(
            peer.connection.poll_timeout(),
            Some(peer.now + Duration::from_secs(10))
        );
        peer.pass(Duration::from_secs(59));
        assert_eq!(peer.hears_statuses(), [0; 0]);
        peer.pass(Duration::from_secs(1));
        assert_eq!(peer.hears_statuses(), statuses);
        assert_eq!(peer.connection.poll_timeout(), None);
        assert_eq!(peer.says(chunk("tid3", "Byte-Range: 7-*/*", '$')), []);
    }
}

proptest! {
    // Rows: C4975-27, C7701-21
    #[test]
    fn any_interleaving_of_chunks_reassembles(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 1..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        order in prop::collection::vec(any::<u32>(), 200),
        piece in 1_usize..2000,
    ) {
        let mut chunks = Vec::new();
        for (number, body) in bodies.iter().enumerate() {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            cuts.dedup();
            for cut in cuts.windows(2) {
                chunks.push((number, cut[0], cut[1], cut[1] == body.len()));
            }
        }
        let mut keyed: Vec<_> = order.iter().cycle().zip(chunks).collect();
        keyed.sort_by_key(|(key, _)| **key);
        let mut stream = Vec::new();
        for (index, (_, (number, start, end, last))) in keyed.iter().enumerate() {
            let body = &bodies[*number][*start..*end];
            stream.extend_from_slice(
                format!(
                    "MSRP tid{index:05} SEND\r\nTo-Path: {LOCAL}\r\nFrom-Path: {REMOTE}\r\nMessage-ID: m00{number}\r\n\
                     Byte-Range: {}-*/{}\r\nContent-Type: a/b\r\n\r\n",
                    start + 1,
                    bodies[*number].len(),
                )
                .as_bytes(),
            );
            stream.extend_from_slice(body);
            let flag = if *last { '$' } else { '+' };
            stream.extend_from_slice(format!("\r\n-------tid{index:05}{flag}\r\n").as_bytes());
        }
        let mut peer = Peer::bound(Limits::default());
        let mut received = vec![None; bodies.len()];
        for piece in stream.chunks(piece) {
            for event in peer.says(piece) {
                let Event::Received { message, .. } = event else { panic!("{event:?}") };
                let number: usize = message.id.as_str()[1..].parse().unwrap();
                prop_assert_eq!(message.failure_report, FailureReport::Yes);
                prop_assert!(received[number].replace(message.body.to_vec()).is_none());
            }
        }
        let expected: Vec<_> = bodies.into_iter().map(Some).collect();
        prop_assert_eq!(received, expected);
    }
}
