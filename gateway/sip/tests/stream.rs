//! Framing on streams.

use bytes::Bytes;
use proptest::prelude::*;
use sip::{
    Limits,
    message::{Response, StreamDecoder, StreamItem},
};

const CALL: &str = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bK1\r\nFrom: <sip:c@c>;tag=1\r\n\
                    To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n";

/// A message with this length line and body.
fn message(length: &str, body: &str) -> String {
    format!("{CALL}{length}\r\n\r\n{body}")
}

fn decode_within(limits: Limits, pieces: &[&[u8]]) -> Vec<StreamItem> {
    let mut decoder = StreamDecoder::new(limits);
    let mut items = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        items.extend(std::iter::from_fn(|| decoder.poll()));
    }
    items
}

fn decode(octets: &[u8]) -> Vec<StreamItem> {
    decode_within(Limits::default(), &[octets])
}

fn whole(text: &str) -> StreamItem {
    StreamItem::Message(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn messages_are_cut_by_content_length_however_it_is_written() {
    let bye = message("l: 0", "");
    for length in [
        "Content-Length: 5",
        "l:5",
        "L : 5",
        "CONTENT-LENGTH\t: 0005",
        "Content-Length:\r\n 5",
        "l\r\n : 5",
        "l: 5\r\nl: 5",
    ] {
        let call = message(length, "a\r\n\r\n");
        assert_eq!(
            decode(format!("{call}{bye}").as_bytes()),
            [whole(&call), whole(&bye)],
            "{length}"
        );
    }
}

/// RFC 3261 §20.14 demands the header on streams; a message without it ends with its head.
#[test]
fn without_content_length_there_is_no_body() {
    let call = format!("{CALL}\r\n");
    assert_eq!(
        decode(format!("{call}{call}").as_bytes()),
        [whole(&call), whole(&call)]
    );
}

#[test]
fn a_name_that_only_looks_like_content_length_does_not_frame() {
    let call = message(
        "X-Content-Length: 9\r\nSubject: Content-Length: 9\r\nX: y\r\n l: 9",
        "",
    );
    assert_eq!(
        decode(format!("{call}{call}").as_bytes()),
        [whole(&call), whole(&call)]
    );
}

#[test]
fn lengths_that_lie_end_the_framing() {
    for length in [
        "Content-Length: -1",
        "Content-Length: +5",
        "Content-Length: five",
        "Content-Length:",
        "Content-Length: 5 5",
        "l: 0x5",
        "Content-Length: 2147483648",
        "Content-Length: 18446744073709551616",
        "Content-Length: 5\r\nContent-Length: 6",
        "l: 5\r\nContent-Length: 0",
        "Content-Length: 5\r\n 6",
    ] {
        let octets = message(length, "aaaaa") + &message("l: 0", "");
        let items = decode(octets.as_bytes());
        assert!(matches!(items[..], [StreamItem::Lost(_)]), "{length}: {items:?}");
    }
}

#[test]
fn nothing_follows_a_lost_framing() {
    let mut decoder = StreamDecoder::new(Limits::default());
    decoder.feed(message("l: x", "").as_bytes());
    assert!(matches!(decoder.poll(), Some(StreamItem::Lost(_))));
    decoder.feed(message("l: 0", "").as_bytes());
    assert_eq!(decoder.poll(), None);
}

#[test]
fn keep_alives_are_told_from_stray_line_ends() {
    let call = message("l: 0", "");
    for (before, pings) in [
        ("", 0),
        ("\r\n", 0),
        ("\r\n\r\n", 1),
        ("\r\n\r\n\r\n", 1),
        ("\r\n\r\n\r\n\r\n", 2),
    ] {
        let items = decode(format!("{before}{call}\r\n\r\n").as_bytes());
        let mut expected = vec![StreamItem::KeepAlive; pings];
        expected.extend([whole(&call), StreamItem::KeepAlive]);
        assert_eq!(items, expected, "{before:?}");
    }
    assert_eq!(decode(b"\r\n\r"), []);
}

#[test]
fn limits_at_minus_one_none_and_plus_one() {
    let limits = Limits {
        message: 1000,
        head: 400,
        ..Limits::default()
    };
    let bye = message("l: 0", "");
    for (step, fits) in [(0, true), (1, true), (2, false)] {
        // The length line has three digits whatever the length.
        let head = message("l: 100", "").len();
        let body = 999 + step - head;
        let large = message(&format!("l: {body}"), &"b".repeat(body));
        let items = decode_within(limits.clone(), &[format!("{large}{bye}").as_bytes()]);
        let first = if fits {
            whole(&large)
        } else {
            StreamItem::TooLarge(Bytes::copy_from_slice(&large.as_bytes()[..head]))
        };
        assert_eq!(items, [first, whole(&bye)], "message {step}");

        let padding = "x".repeat(399 + step - message("l: 3\r\nX: ", "").len());
        let headed = message(&format!("l: 3\r\nX: {padding}"), "abc");
        let items = decode_within(limits.clone(), &[format!("{headed}{bye}").as_bytes()]);
        let kept = Bytes::copy_from_slice(&headed.as_bytes()[..400.min(headed.len())]);
        let first = if fits {
            whole(&headed)
        } else {
            StreamItem::TooLarge(kept)
        };
        assert_eq!(items, [first, whole(&bye)], "head {step}");

        let padding = "x".repeat(999 + step - message("l: 0\r\nX: ", "").len());
        let endless = message(&format!("l: 0\r\nX: {padding}"), "");
        let items = decode_within(limits.clone(), &[endless.as_bytes()]);
        assert_eq!(
            matches!(items[..], [StreamItem::Lost(_)]),
            !fits,
            "endless {step}"
        );
    }
}

#[test]
fn the_kept_head_gives_a_513() {
    let large = message("Content-Length: 100000000", "");
    let [StreamItem::TooLarge(head)] = &decode(large.as_bytes())[..] else {
        panic!("too large")
    };
    assert_eq!(
        Response::too_large(head).unwrap().headers.get("Call-ID"),
        Some("1")
    );
}

#[test]
fn a_skipped_body_takes_no_memory() {
    let mut decoder = StreamDecoder::new(Limits::default());
    decoder.feed(message("Content-Length: 2147483647", "").as_bytes());
    assert!(matches!(decoder.poll(), Some(StreamItem::TooLarge(_))));
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..2047 {
        decoder.feed(&piece);
        assert_eq!(decoder.poll(), None);
    }
    decoder.feed(&piece[..(1 << 20) - 1]);
    let bye = message("l: 0", "");
    decoder.feed(bye.as_bytes());
    assert_eq!(decoder.poll(), Some(whole(&bye)));
}

/// Octet by octet, a head of any length is searched once: double the octets, double the steps.
#[test]
fn an_unfinished_head_is_not_searched_again() {
    let limits = Limits {
        message: 8 << 20,
        ..Limits::default()
    };
    let mut decoder = StreamDecoder::new(limits);
    for _ in 0..(4 << 20) {
        decoder.feed(b"x");
        assert_eq!(decoder.poll(), None);
    }
}

/// Some stream: messages of all kinds, keep-alives, oversized and broken ones, noise.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        (0..40_usize, "l|Content-Length|L |content-length\t").prop_map(|(octets, name)| {
            message(&format!("{name}: {octets}"), &"\r\n".repeat(20)[..octets]).into_bytes()
        }),
        (500..900_usize)
            .prop_map(|octets| message(&format!("l: {octets}"), &"b".repeat(octets)).into_bytes()),
        (300..900_usize).prop_map(|octets| message(&format!("X: {}", "x".repeat(octets)), "").into_bytes()),
        Just(b"\r\n".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
        Just(format!("{CALL}\r\n").into_bytes()),
        Just(message("l: -1", "").into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..20),
        proptest::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b':'), Just(b'l')],
            0..12
        ),
    ];
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_items(octets in stream(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let limits = Limits { message: 800, head: 400, ..Limits::default() };
        let expected = decode_within(limits.clone(), &[&octets]);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(octets.len() + 1)).collect();
        cuts.extend([0, octets.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|pair| &octets[pair[0]..pair[1]]).collect();
        prop_assert_eq!(&decode_within(limits.clone(), &pieces), &expected);
        let singly: Vec<_> = octets.chunks(1).collect();
        prop_assert_eq!(&decode_within(limits, &singly), &expected);
    }

    #[test]
    fn messages_come_out_as_they_went_in(bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..6)) {
        let messages: Vec<Bytes> = bodies
            .iter()
            .map(|body| Bytes::from([message(&format!("l: {}", body.len()), "").as_bytes(), body].concat()))
            .collect();
        let expected: Vec<_> = messages.iter().cloned().map(StreamItem::Message).collect();
        prop_assert_eq!(decode(&messages.concat()), expected);
    }
}
