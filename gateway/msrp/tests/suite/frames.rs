//! RFC 4975 §9: the decoder and the encoder.

use bytes::{Bytes, BytesMut};
use msrp::{
    FailureReport, Limits, Path, Status,
    frame::{ByteRange, Content, Decoder, Fault, Flag, Frame, Headers, Kind, Method, ReportStatus},
};
use proptest::prelude::*;

const PATHS: &str = "To-Path: msrp://b:2/y;tcp\r\nFrom-Path: msrp://a:1/x;tcp\r\n";

fn decode(bytes: &[u8]) -> Result<Vec<Frame>, Fault> {
    decode_in(bytes, bytes.len().max(1), &Limits::default())
}

fn decode_in(bytes: &[u8], piece: usize, limits: &Limits) -> Result<Vec<Frame>, Fault> {
    let mut decoder = Decoder::new(limits);
    let mut frames = Vec::new();
    for piece in bytes.chunks(piece) {
        decoder.push(piece);
        while let Some(frame) = decoder.next_frame() {
            frames.push(frame?);
        }
    }
    Ok(frames)
}

fn one(text: &str) -> Frame {
    let mut frames = decode(text.as_bytes()).unwrap_or_else(|fault| panic!("{fault} in {text}"));
    assert_eq!(frames.len(), 1, "{text}");
    frames.remove(0)
}

fn body(frame: &Frame) -> &[u8] {
    match &frame.content {
        Content::Body(body) => body,
        other => panic!("{other:?}"),
    }
}

// Rows: C4975-01
#[test]
fn rfc4975_4_the_example_of_a_send() {
    let frame = one("MSRP a786hjs2 SEND\r\n\
         To-Path: msrp://biloxi.example.com:12763/kjhd37s2s20w2a;tcp\r\n\
         From-Path: msrp://atlanta.example.com:7654/jshA7weztas;tcp\r\n\
         Message-ID: 87652491\r\nByte-Range: 1-25/25\r\nContent-Type: text/plain\r\n\r\n\
         Hey Bob, are you there?\r\n-------a786hjs2$\r\n");
    assert_eq!(frame.kind, Kind::Request(Method::Send));
    assert_eq!(frame.transaction.as_str(), "a786hjs2");
    assert_eq!(frame.to.last().host(), "biloxi.example.com");
    assert_eq!(frame.from.last().session().unwrap().as_str(), "jshA7weztas");
    assert_eq!(frame.headers.message_id.unwrap().as_str(), "87652491");
    assert_eq!(
        frame.headers.byte_range,
        Some(ByteRange {
            start: 1,
            end: Some(25),
            total: Some(25)
        })
    );
    assert_eq!(frame.headers.content_type.as_deref(), Some("text/plain"));
    assert_eq!(
        (body(&frame), frame.flag),
        (&b"Hey Bob, are you there?"[..], Flag::Complete)
    );
}

// Rows: C4975-01
#[test]
fn rfc4975_9_responses_with_and_without_a_comment() {
    for (start, code) in [
        ("200 OK", 200),
        ("200", 200),
        ("481 No Such Session", 481),
        ("299 ", 299),
    ] {
        let frame = one(&format!("MSRP a786hjs2 {start}\r\n{PATHS}-------a786hjs2$\r\n"));
        assert_eq!(frame.kind, Kind::Response(Status::from_code(code)), "{start}");
        assert_eq!(frame.content, Content::None);
    }
}

// Rows: C4975-01, E-36
#[test]
fn rfc4975_9_header_order_case_and_unknown_headers() {
    let frame = one(
        "MSRP abcd SEND\r\nX-Other:  kept as it is \r\nFROM-PATH: msrp://a:1/x;tcp\r\nContent-type: text/plain\r\n\
         failure-report: Partial\r\nSuccess-Report: YES\r\nmessage-id: m123\r\nto-path: msrp://b:2/y;tcp\r\n\r\n\
         hi\r\n-------abcd+\r\n",
    );
    assert_eq!(
        frame.headers.other,
        [("X-Other".to_owned(), "kept as it is".to_owned())]
    );
    assert_eq!(frame.headers.failure_report, Some(FailureReport::Partial));
    assert_eq!(frame.headers.success_report, Some(true));
    assert_eq!((frame.flag, frame.headers.broken), (Flag::More, None));
    assert_eq!(body(&frame), b"hi");
}

#[test]
fn rfc4975_9_byte_ranges() {
    let max = u64::MAX;
    for (text, range) in [
        ("1-25/25", Some((1, Some(25), Some(25)))),
        ("1-*/*", Some((1, None, None))),
        ("1-0/0", Some((1, Some(0), Some(0)))),
        ("0007-9/*", Some((7, Some(9), None))),
        (
            "18446744073709551615-*/18446744073709551615",
            Some((max, None, Some(max))),
        ),
        ("18446744073709551616-*/*", None),
        ("1-*/99999999999999999999999999", None),
        ("-1-5/5", None),
        ("+1-5/5", None),
        ("1-5", None),
        ("1/5", None),
        ("*-5/5", None),
        ("1-5/5/5", None),
        ("1 - 5 / 5", None),
        ("", None),
    ] {
        let frame = one(&format!(
            "MSRP abcd SEND\r\n{PATHS}Byte-Range: {text}\r\n-------abcd$\r\n"
        ));
        let expected = range.map(|(start, end, total)| ByteRange { start, end, total });
        assert_eq!(frame.headers.byte_range, expected, "{text}");
        assert_eq!(frame.headers.broken.is_some(), range.is_none(), "{text}");
    }
}

#[test]
fn rfc4975_9_broken_values_do_not_break_the_framing() {
    for header in [
        "Message-ID: abc",
        "Message-ID: m123\r\nMessage-ID: m123",
        "Success-Report: maybe",
        "Failure-Report: ",
        "Status: 000",
        "Status: 000 20",
        "Status: 0 200",
        "X-Bell: \u{7}",
        "Content-Type: a/b\r\nContent-Type: a/b",
    ] {
        let frame = one(&format!("MSRP abcd SEND\r\n{PATHS}{header}\r\n-------abcd$\r\n"));
        let fault = frame.headers.broken.unwrap();
        assert!(fault.rule.starts_with("RFC 4975 §"), "{header}: {fault}");
        // The last line of each is the one that breaks the rule.
        let before = format!("MSRP abcd SEND\r\n{PATHS}{header}")
            .rfind("\r\n")
            .unwrap()
            + 2;
        assert_eq!(fault.offset, before as u64, "{header}");
        assert!(!fault.ends_connection, "{header}");
    }
    let mut bytes = format!("MSRP abcd SEND\r\n{PATHS}X-Odd: ").into_bytes();
    bytes.extend_from_slice(b"\xff\xfe\r\n-------abcd$\r\n");
    assert!(decode(&bytes).unwrap()[0].headers.broken.is_some());
}

// Rows: C4975-03
#[test]
fn rfc4975_7_1_no_body_is_not_an_empty_body() {
    for (content, expected) in [
        ("", Content::None),
        ("\r\n", Content::None),
        ("\r\n\r\n", Content::None),
        (
            "Content-Type: text/plain\r\n\r\n\r\n",
            Content::Body(Bytes::new()),
        ),
        ("Content-Type: text/plain\r\n\r\n", Content::Body(Bytes::new())),
        (
            "Content-Type: text/plain\r\n\r\n\r\n\r\n",
            Content::Body(Bytes::from_static(b"\r\n")),
        ),
        ("Content-Type: text/plain\r\n", Content::None),
    ] {
        let text = format!("MSRP abcd SEND\r\n{PATHS}{content}-------abcd$\r\n");
        assert_eq!(one(&text).content, expected, "{content:?}");
        for piece in 1..8 {
            assert_eq!(
                decode_in(text.as_bytes(), piece, &Limits::default()).unwrap()[0].content,
                expected
            );
        }
    }
}

// Rows: C4975-04
#[test]
fn rfc4975_7_1_end_line_look_alikes_stay_in_the_body() {
    for inner in [
        "-------abcd",
        "\r\n-------abcd",
        "\r\n-------abcd\r\n",
        "\r\n-------abcd!\r\n",
        "\r\n-------abcd$\r",
        "\r\n-------abcd$ \r\n",
        "\r\n-------abcde$\r\n",
        "\r\n-------ABCD$\r\n",
        "\r\n------abcd$\r\n",
        "\n-------abcd$\r\n",
        "-------abcd$\r\n\r\n-------abcd+x",
        "\r\n\r\n\r\n",
        "\r\n-------\r\n-------abcd\r\n-------abc",
    ] {
        // A body must not begin with what could be the end-line of an empty one.
        let text = format!("MSRP abcd SEND\r\n{PATHS}Content-Type: a/b\r\n\r\n>{inner}\r\n-------abcd#\r\n");
        for piece in 1..60 {
            let frames = decode_in(text.as_bytes(), piece, &Limits::default()).unwrap();
            assert_eq!(
                (frames.len(), frames[0].flag),
                (1, Flag::Abort),
                "{inner:?} in {piece}"
            );
            assert_eq!(body(&frames[0]), format!(">{inner}").as_bytes());
        }
    }
}

// Rows: C4975-05, E-09, E-10
#[test]
fn broken_framing_is_a_fault_that_names_rule_and_octet() {
    let head = format!("MSRP abcd SEND\r\n{PATHS}");
    let at_paths = "MSRP abcd SEND\r\n".len() as u64;
    let at_next = head.len() as u64;
    let tail = "-------abcd$\r\n";
    for (text, offset, rule) in [
        ("GET / HTTP/1.1\r\n".to_owned(), 0, "start line"),
        ("MSRP abc SEND\r\n".to_owned(), 0, "transact-id"),
        ("msrp abcd SEND\r\n".to_owned(), 0, "start line"),
        ("MSRP  abcd SEND\r\n".to_owned(), 0, "transact-id"),
        ("MSRP abcd\r\n".to_owned(), 0, "start line"),
        ("MSRP abcd send\r\n".to_owned(), 0, "start line"),
        ("MSRP abcd 20\r\n".to_owned(), 0, "start line"),
        ("MSRP abcd 2000\r\n".to_owned(), 0, "start line"),
        ("MSRP abcd \r\n".to_owned(), 0, "start line"),
        ("MSRP abcd SEND\n".to_owned(), 14, "LF without CR"),
        ("MSRP ab\rd SEND\r\n".to_owned(), 7, "CR within"),
        ("\r\n\r\nMSRQ\r\n".to_owned(), 4, "start line"),
        (format!("MSRP abcd SEND\r\n{tail}"), at_paths, "no To-Path"),
        (
            "MSRP abcd SEND\r\nTo-Path: msrp://b:2/y;tcp\r\n\r\n".to_owned(),
            at_paths + 27,
            "no From-Path",
        ),
        (
            "MSRP abcd SEND\r\nTo-Path: x\r\n".to_owned(),
            at_paths,
            "no list of MSRP URIs",
        ),
        (format!("{head}{PATHS}"), at_next, "twice"),
        (format!("{head}Message-ID\r\n"), at_next, "colon"),
        (format!("{head} folded: 1\r\n"), at_next, "header name"),
        (format!("{head}To\u{1}: 1\r\n"), at_next, "header name"),
        (format!("{head}X-A : 1\r\n"), at_next, "header name"),
        (format!("{head}: 1\r\n"), at_next, "header name"),
        (format!("{head}-------abcd\r\n"), at_next, "end-line"),
        (format!("{head}-------abce$\r\n"), at_next, "end-line"),
        (format!("{head}-------abcd$$\r\n"), at_next, "end-line"),
        (format!("{head}-------abcd*\r\n"), at_next, "end-line"),
    ] {
        for piece in [1, 7, text.len()] {
            let fault = decode_in(text.as_bytes(), piece, &Limits::default()).expect_err(&text);
            assert_eq!(fault.offset, offset, "{fault} for {text:?}");
            assert!(fault.rule.contains(rule), "{fault} for {text:?}");
            assert!(fault.ends_connection);
        }
    }
}

#[test]
fn after_a_fault_nothing_more_is_decoded() {
    let mut decoder = Decoder::new(&Limits::default());
    decoder.push(format!("nonsense\r\nMSRP abcd 200 OK\r\n{PATHS}-------abcd$\r\n").as_bytes());
    assert!(matches!(decoder.next_frame(), Some(Err(_))));
    decoder.push(format!("MSRP abcd 200 OK\r\n{PATHS}-------abcd$\r\n").as_bytes());
    assert_eq!((decoder.next_frame(), decoder.held()), (None, 0));
}

#[test]
fn limits_of_lines_and_headers_hold_at_the_octet() {
    let limits = Limits {
        start_line: 64,
        header_line: 100,
        headers: 5,
        ..Limits::default()
    };
    let start = |length: usize| {
        format!(
            "MSRP abcd 200 {}\r\n{PATHS}-------abcd$\r\n",
            "x".repeat(length - 14)
        )
    };
    let line = |length: usize| {
        format!(
            "MSRP abcd 200\r\n{PATHS}X-A: {}\r\n-------abcd$\r\n",
            "x".repeat(length - 5)
        )
    };
    let headers = |count: usize| {
        format!(
            "MSRP abcd 200\r\n{PATHS}{}-------abcd$\r\n",
            "X: 1\r\n".repeat(count - 2)
        )
    };
    for (frame, limit) in [
        (&start as &dyn Fn(usize) -> String, 64),
        (&line, 100),
        (&headers, 5),
    ] {
        for piece in [1, 10, 1000] {
            assert_eq!(
                decode_in(frame(limit - 1).as_bytes(), piece, &limits)
                    .unwrap()
                    .len(),
                1
            );
            assert_eq!(
                decode_in(frame(limit).as_bytes(), piece, &limits).unwrap().len(),
                1
            );
            assert!(decode_in(frame(limit + 1).as_bytes(), piece, &limits).is_err());
        }
    }
}

#[test]
fn an_endless_line_is_a_fault_before_its_end() {
    let mut decoder = Decoder::new(&Limits::default());
    for _ in 0..512 {
        decoder.push(b"MMMM");
        if let Some(frame) = decoder.next_frame() {
            assert!(frame.is_err());
            return;
        }
        assert!(decoder.held() <= 514);
    }
    panic!("a start line of 2048 octets");
}

#[test]
fn limit_of_a_chunk_holds_at_the_octet_and_the_rest_is_skipped() {
    let limits = Limits {
        chunk_in: 1000,
        ..Limits::default()
    };
    for (length, kept) in [(999, true), (1000, true), (1001, false), (100_000, false)] {
        let mut text = format!("MSRP abcd SEND\r\n{PATHS}Content-Type: a/b\r\n\r\n").into_bytes();
        text.resize(text.len() + length, b'-');
        text.extend_from_slice(b"\r\n-------abcd$\r\n");
        text.extend_from_slice(format!("MSRP next 200\r\n{PATHS}-------next$\r\n").as_bytes());
        for piece in [1, 100, 4096] {
            let mut decoder = Decoder::new(&limits);
            let mut frames = Vec::new();
            for piece in text.chunks(piece) {
                decoder.push(piece);
                frames.extend(std::iter::from_fn(|| decoder.next_frame()).map(Result::unwrap));
                assert!(decoder.held() <= 1000 + 100 + piece.len(), "{}", decoder.held());
            }
            assert_eq!(frames.len(), 2, "{length} in {piece}");
            assert_eq!(matches!(frames[0].content, Content::Body(_)), kept);
            assert_eq!(frames[0].content == Content::TooLong, !kept);
            assert_eq!(frames[1].transaction.as_str(), "next");
        }
    }
}

fn ident() -> impl Strategy<Value = String> {
    "[A-Za-z0-9][A-Za-z0-9.+%=-]{3,31}"
}

fn path() -> impl Strategy<Value = Path> {
    let uri = "msrps?://[a-z][a-z0-9.]{0,12}(:[1-9][0-9]{0,3})?/[A-Za-z0-9._~+=/-]{1,20};tcp";
    prop::collection::vec(uri, 1..4).prop_map(|uris| uris.join(" ").parse().unwrap())
}

fn headers() -> impl Strategy<Value = Headers> {
    let reports = prop::sample::select(vec![
        None,
        Some(FailureReport::Yes),
        Some(FailureReport::No),
        Some(FailureReport::Partial),
    ]);
    let range = (any::<u64>(), any::<Option<u64>>(), any::<Option<u64>>());
    let status = prop::option::of((0_u16..1000, 0_u16..1000));
    let nickname = prop::option::of("[^\u{0}-\u{1f}\u{7f}]{0,40}");
    let other = prop::collection::vec(("X-[a-z]{1,8}", "[!-~é]([ -~é]{0,20}[!-~])?"), 0..4);
    (
        prop::option::of(ident()),
        any::<Option<bool>>(),
        reports,
        prop::option::of(range),
        status,
        nickname,
        other,
    )
        .prop_map(|(id, success, failure, range, status, nickname, other)| Headers {
            message_id: id.map(|id| id.parse().unwrap()),
            success_report: success,
            failure_report: failure,
            byte_range: range.map(|(start, end, total)| ByteRange { start, end, total }),
            status: status.map(|(namespace, code)| ReportStatus { namespace, code }),
            use_nickname: nickname.map(Ok),
            content_type: None,
            other,
            broken: None,
        })
}

fn frame() -> impl Strategy<Value = Frame> {
    let kind = prop_oneof![
        Just(Kind::Request(Method::Send)),
        Just(Kind::Request(Method::Report)),
        Just(Kind::Request(Method::Nickname)),
        Just(Kind::Request(Method::Auth)),
        Just(Kind::Request(Method::Other("PUBLISH".to_owned()))),
        Just(Kind::Response(Status::OK)),
        (0_u16..1000).prop_map(|code| Kind::Response(Status::from_code(code))),
    ];
    let body = prop::option::of(prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(prop::sample::select(b"\r\n-$+#a".to_vec()), 0..200),
    ]);
    let flag = prop::sample::select(vec![Flag::Complete, Flag::More, Flag::Abort]);
    (ident(), kind, path(), path(), headers(), body, flag).prop_map(
        |(id, kind, to, from, mut headers, body, flag)| {
            // The encoder writes the last hop of a response's From-Path.
            let from = if matches!(kind, Kind::Response(_)) {
                Path::single(from.last().clone())
            } else {
                from
            };
            let content = match body {
                Some(body) => {
                    headers.content_type = Some("message/cpim".to_owned());
                    Content::Body(body.into())
                }
                None => Content::None,
            };
            Frame {
                transaction: format!("zz{id}")[..id.len().max(4)].parse().unwrap(),
                kind,
                to,
                from,
                headers,
                content,
                flag,
            }
        },
    )
}

proptest! {
    // Rows: C4975-01
    #[test]
    fn decode_undoes_encode_in_any_split(
        frames in prop::collection::vec(frame(), 1..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut bytes = BytesMut::new();
        for frame in &frames {
            frame.encode(&mut bytes);
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut decoder = Decoder::new(&Limits::default());
        let mut decoded = Vec::new();
        for cut in cuts.windows(2) {
            decoder.push(&bytes[cut[0]..cut[1]]);
            decoded.extend(std::iter::from_fn(|| decoder.next_frame()).map(Result::unwrap));
        }
        prop_assert_eq!(decoder.held(), 0);
        prop_assert_eq!(decoded, frames);
    }

    #[test]
    fn random_bytes_never_panic_and_any_split_agrees(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            "(MSRP |abcd |SEND|200|\r\n|To-Path: |From-Path: |msrp://h:1/s;tcp|-------abcd|[$+#]|: |Byte-Range: 1-){0,30}"
                .prop_map(String::into_bytes),
        ],
        piece in 1_usize..20,
    ) {
        prop_assert_eq!(decode(&bytes), decode_in(&bytes, piece, &Limits::default()));
    }
}
