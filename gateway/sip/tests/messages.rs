//! Messages: the head reader, the validator, the writer.

#![expect(clippy::panic, reason = "helpers of tests fail as tests do")]

use bytes::Bytes;
use proptest::prelude::*;
use sip::{
    Header, Headers, Limits, Method, NameAddr, StatusCode, Uri,
    message::{CSeq, Message, Request, Response, Unreadable, Via},
};

const INVITE: &str = "INVITE sip:capulet@rooms.example.com;transport=tcp SIP/2.0\r\n\
v: SIP/2.0/UDP 192.0.2.4:5070;rport;branch=z9hG4bKnashds8, SIP/2.0/TCP [2001:db8::9]:5060;branch=z9hG4bK1\r\n\
Max-Forwards: 70\r\n\
f: \"Romeo, M.\" <sip:romeo@example.org>;tag=43\r\n\
t: <sip:capulet@rooms.example.com>\r\n\
i: a84b4c76e66710\r\n\
CSeq : 314159\r\n INVITE\r\n\
m: <sip:romeo@192.0.2.4;gr=a%20b>;+sip.instance=\"<urn:uuid:1>\", <sip:x@y>\r\n\
l: 4\r\n\r\nv=0\r\n";

/// A small request with lines replaced, added or removed.
fn options(edit: &[(&str, &str)]) -> Bytes {
    let mut text = "OPTIONS sip:a@b.example SIP/2.0\r\n\
        Via: SIP/2.0/UDP c.example;branch=z9hG4bK1\r\n\
        From: <sip:c@c.example>;tag=1\r\n\
        To: <sip:a@b.example>\r\n\
        Call-ID: 1@c.example\r\n\
        CSeq: 1 OPTIONS\r\n\
        Max-Forwards: 70\r\n\
        Content-Length: 0\r\n\r\n"
        .to_owned();
    for (old, new) in edit {
        assert!(text.contains(old), "{old}");
        text = text.replacen(old, new, 1);
    }
    Bytes::from(text)
}

fn fault(octets: &Bytes) -> Unreadable {
    match Message::parse(octets) {
        Err(fault) => fault,
        Ok(message) => panic!("accepted: {message:?}"),
    }
}

fn request(octets: &Bytes) -> Request {
    match Message::parse(octets) {
        Ok(Message::Request(request)) => request,
        other => panic!("no request: {other:?}"),
    }
}

#[test]
fn request_is_read_and_written() {
    let request = request(&Bytes::from_static(INVITE.as_bytes()));
    assert_eq!(request.method, Method::INVITE);
    assert_eq!(request.uri.parameter("transport"), Some("tcp"));
    assert_eq!(request.body, "v=0\r");
    let cseq: CSeq = request.headers.get("cseq").unwrap().parse().unwrap();
    assert_eq!((cseq.number, cseq.method), (314_159, Method::INVITE));
    let vias: Vec<Via> = request
        .headers
        .list("Via")
        .map(|via| via.parse().unwrap())
        .collect();
    assert_eq!((&*vias[1].host, vias[1].port), ("2001:db8::9", Some(5060)));
    let from: NameAddr = request.headers.get("From").unwrap().parse().unwrap();
    assert_eq!(from.display_name.as_deref(), Some("Romeo, M."));
    assert_eq!(request.headers.list("Contact").count(), 2);
    let names: Vec<_> = request.headers.0.iter().map(|header| &*header.name).collect();
    let long = [
        "Via",
        "Max-Forwards",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Contact",
        "Content-Length",
    ];
    assert_eq!(names, long);
    let written = Message::Request(request.clone()).to_bytes();
    assert_eq!(
        Message::parse(&written).unwrap(),
        Message::Request(Request {
            headers: reordered(&request.headers),
            ..request
        })
    );
}

/// Content-Length is written last.
fn reordered(headers: &Headers) -> Headers {
    let (length, mut rest): (Vec<_>, Vec<_>) = headers
        .0
        .iter()
        .cloned()
        .partition(|header| header.name == "Content-Length");
    rest.extend(length);
    Headers(rest)
}

#[test]
fn bodies_may_hold_any_octets() {
    let body = Bytes::from((0..=255).collect::<Vec<u8>>());
    let mut carrier = request(&options(&[]));
    carrier.body = body.clone();
    assert_eq!(request(&carrier.to_bytes()).body, body);
}

#[test]
fn content_length_rules_the_body() {
    let length = |value: &str, body: &str| {
        let octets = options(&[
            ("Content-Length: 0", value),
            ("\r\n\r\n", &format!("\r\n\r\n{body}")),
        ]);
        Message::parse(&octets).map(|message| match message {
            Message::Request(request) => request.body,
            Message::Response(response) => response.body,
        })
    };
    for (value, body) in [
        ("Content-Length: 3", "abc"),
        ("l: 3", "abc"),
        ("CONTENT-LENGTH   :\t3 ", "abc"),
        ("Content-Length:\r\n 3", "abc"),
        ("Content-Length: 0003", "abc"),
        ("Content-Length: 2", "ab"),
        ("Content-Length: 0", ""),
        ("X: y", "abc"),
    ] {
        assert_eq!(length(value, "abc").unwrap(), body, "{value}");
    }
    let digits = format!("Content-Length: {}", "9".repeat(4000));
    for value in [
        "Content-Length: 4",
        "Content-Length: -1",
        "Content-Length: +3",
        "Content-Length: 3;x",
        "Content-Length: 0x3",
        "Content-Length: 1 2",
        "Content-Length:",
        "Content-Length: 2147483647",
        "Content-Length: 2147483648",
        "Content-Length: 4294967299",
        "Content-Length: 9223372036854775808",
        "Content-Length: 18446744073709551619",
        &digits,
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: 3\r\nl: 3",
    ] {
        assert_eq!(
            length(value, "abc").unwrap_err().rejection.status,
            StatusCode(400),
            "{value}"
        );
    }
}

#[test]
fn line_ends_before_the_start_line_are_skipped() {
    let octets = [b"\r\n\r\n\r\n", &options(&[])[..]].concat();
    assert_eq!(request(&Bytes::from(octets)).method, Method::OPTIONS);
}

/// The smuggling set: names, line ends and duplicates by which a header hides from one reader and shows to another.
#[test]
fn ambiguous_heads_are_refused() {
    for (old, new, rule) in [
        ("To: <", "To\u{1}: <", "Header name is not a token"),
        ("To: <", "T o: <", "Header name is not a token"),
        ("To: <", ": <", "Header name is not a token"),
        ("To: <", "T\u{f6}: <", "Header name is not a token"),
        (
            "Max-Forwards: 70",
            "Max-Forwards 70",
            "Header field without a colon",
        ),
        (
            "Max-Forwards: 70",
            "X: a\nTo: b",
            "Control character in a header field",
        ),
        (
            "Max-Forwards: 70",
            "X: a\rTo: b",
            "Control character in a header field",
        ),
        (
            "Max-Forwards: 70",
            "X: a\0b",
            "Control character in a header field",
        ),
        (
            "Max-Forwards: 70",
            "X: \"a\u{7f}b\"",
            "Control character in a header field",
        ),
        (
            "Max-Forwards: 70",
            "X: \"\\\rb\"",
            "Control character in a header field",
        ),
        (
            "From: <sip:c@c.example>;tag=1",
            "From: <sip:c@c.example>;tag=1\r\nf: <sip:d@d.example>;tag=2",
            "More than one From",
        ),
        (
            "To: <sip:a@b.example>",
            "To: <sip:a@b.example>\r\nTo: <sip:a@b.example>",
            "More than one To",
        ),
        (
            "Call-ID: 1@c.example",
            "Call-ID: 1@c.example\r\ni: 2",
            "More than one Call-ID",
        ),
        (
            "CSeq: 1 OPTIONS",
            "CSeq: 1 OPTIONS\r\ncseq: 2 OPTIONS",
            "More than one CSeq",
        ),
        (
            "Max-Forwards: 70",
            "Max-Forwards: 70\r\nMAX-FORWARDS: 70",
            "More than one Max-Forwards",
        ),
        (
            "Max-Forwards: 70",
            "c: a/b\r\nContent-Type: c/d",
            "More than one Content-Type",
        ),
        ("Max-Forwards: 70", "o: a\r\nEvent: b", "More than one Event"),
        (
            "Max-Forwards: 70",
            "Expires: 1\r\nExpires: 2",
            "More than one Expires",
        ),
        (
            "Max-Forwards: 70",
            "r: <sip:a@b>\r\nRefer-To: <sip:a@b>",
            "More than one Refer-To",
        ),
        (
            "To: <sip:a@b.example>",
            "To: <sip:a@b.example>, <sip:d@e>",
            "Text behind an address",
        ),
    ] {
        let fault = fault(&options(&[(old, new)]));
        assert!(fault.rejection.rule.starts_with(rule), "{new:?}: {fault}");
        assert_eq!(fault.rejection.status, StatusCode(400));
    }
}

#[test]
fn a_header_that_is_not_utf_8_is_named_and_the_rest_still_answered() {
    let octets = options(&[("Max-Forwards: 70", "Subject: \u{fc}")]);
    let octets: Vec<u8> = octets.iter().copied().filter(|octet| *octet != 0xc3).collect();
    let fault = fault(&octets.into());
    assert!(fault.rejection.rule.starts_with("Header field is not UTF-8"));
    assert_eq!(
        fault.response.unwrap().headers.get("Call-ID"),
        Some("1@c.example")
    );
}

#[test]
fn values_out_of_range_are_refused() {
    for (old, new, status) in [
        ("SIP/2.0\r\n", "SIP/3.0\r\n", 505),
        ("SIP/2.0\r\n", "SIP/2.00\r\n", 505),
        ("SIP/2.0\r\n", "SIP/2.0 \r\n", 400),
        ("OPTIONS sip:a@b.example SIP", "OPTIONS sip:a@b.example HTTP", 400),
        ("sip:a@b.example", "mailto:a@b.example", 416),
        ("sip:a@b.example", "sip:a@b.example?x=y", 400),
        ("OPTIONS sip", "OPT@IONS sip", 400),
        ("OPTIONS sip", "options sip", 400),
        ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE", 400),
        ("CSeq: 1 OPTIONS", "CSeq: 2147483648 OPTIONS", 400),
        ("Max-Forwards: 70", "Max-Forwards: 256", 400),
        ("Max-Forwards: 70", "Max-Forwards: -1", 400),
        ("Max-Forwards: 70", "Max-Forwards: many", 400),
        ("Max-Forwards: 70", "Expires: 4294967296", 400),
        ("Max-Forwards: 70", "Min-Expires: x", 400),
        ("Max-Forwards: 70", "Contact: *", 400),
        ("Max-Forwards: 70", "Contact: \"A <sip:a@b>", 400),
        ("Max-Forwards: 70", "Route: <sip:a@b", 400),
        ("Max-Forwards: 70", "Refer-To: a@b", 400),
        ("Max-Forwards: 70", "Event: a;;", 400),
        ("Call-ID: 1@c.example", "Call-ID: 1 2", 400),
        ("Call-ID: 1@c.example", "Call-ID:", 400),
        (";tag=1", "", 400),
        (";tag=1", ";tag", 400),
    ] {
        let fault = fault(&options(&[(old, new)]));
        assert_eq!(fault.rejection.status, StatusCode(status), "{new:?}: {fault}");
    }
    for (old, new) in [
        ("SIP/2.0\r\n", "sip/2.0\r\n"),
        ("sip:a@b.example", "tel:+1"),
        ("sip:a@b.example", "sips:a@b.example"),
        ("Max-Forwards: 70", "Max-Forwards: 255"),
        ("Max-Forwards: 70", "Max-Forwards: 0"),
        ("Max-Forwards: 70", "X: y"),
        ("Max-Forwards: 70", "Expires: 4294967295"),
        ("CSeq: 1 OPTIONS", "CSeq: 2147483647 OPTIONS"),
        (
            ";branch=z9hG4bK1\r\nFrom: <sip:c@c.example>;tag=1",
            "\r\nFrom: <sip:c@c.example>",
        ),
    ] {
        assert!(Message::parse(&options(&[(old, new)])).is_ok(), "{new:?}");
    }
}

// Rows: E-07
#[test]
fn missing_headers_are_named() {
    for (line, phrase, answered) in [
        (
            "Via: SIP/2.0/UDP c.example;branch=z9hG4bK1\r\n",
            "Missing Via",
            false,
        ),
        ("From: <sip:c@c.example>;tag=1\r\n", "Missing From", false),
        ("To: <sip:a@b.example>\r\n", "Missing To", false),
        ("Call-ID: 1@c.example\r\n", "Missing Call-ID", false),
        ("CSeq: 1 OPTIONS\r\n", "Missing CSeq", false),
        (";tag=1", "Missing From tag", true),
    ] {
        let fault = fault(&options(&[(line, "")]));
        assert!(fault.rejection.rule.starts_with(phrase), "{fault}");
        assert_eq!(fault.response.is_some(), answered, "{phrase}");
    }
    let without_contact = |method: &str, to: &str| {
        let octets = options(&[
            ("OPTIONS", method),
            ("OPTIONS", method),
            ("To: <sip:a@b.example>", to),
        ]);
        Message::parse(&octets).is_err()
    };
    for (method, to, refused) in [
        ("INVITE", "To: <sip:a@b.example>", true),
        ("INVITE", "To: <sip:a@b.example>;tag=2", true),
        ("SUBSCRIBE", "To: <sip:a@b.example>", true),
        ("SUBSCRIBE", "To: <sip:a@b.example>;tag=2", false),
        ("REFER", "To: <sip:a@b.example>", true),
        ("NOTIFY", "To: <sip:a@b.example>;tag=2", false),
        ("BYE", "To: <sip:a@b.example>;tag=2", false),
    ] {
        assert_eq!(without_contact(method, to), refused, "{method} {to}");
    }
}

#[test]
fn refusals_copy_what_a_response_needs() {
    let octets = options(&[
        (
            "Via: SIP/2.0/UDP c",
            "Via: SIP/2.0/UDP p;branch=z9hG4bK2, SIP/2.0/UDP q\r\nv: SIP/2.0/UDP c",
        ),
        ("Max-Forwards: 70", "Max-Forwards: 700"),
    ]);
    let response = fault(&octets).response.unwrap();
    assert_eq!(response.status, StatusCode(400));
    assert_eq!(response.reason, "Max-Forwards is not 0 to 255");
    assert_eq!(response.headers.list("Via").count(), 3);
    assert_eq!(response.headers.get("From"), Some("<sip:c@c.example>;tag=1"));
    assert_eq!(response.headers.get("CSeq"), Some("1 OPTIONS"));
    let to = response.headers.get("To").unwrap();
    assert!(to.starts_with("<sip:a@b.example>;tag="), "{to}");
    assert!(matches!(
        Message::parse(&response.to_bytes()),
        Ok(Message::Response(_))
    ));
    let other = options(&[
        ("branch=z9hG4bK1", "branch=z9hG4bK9"),
        ("Max-Forwards: 70", "Max-Forwards: 700"),
    ]);
    assert_ne!(
        fault(&other).response.unwrap().headers.get("To"),
        Some(to),
        "another transaction, another tag"
    );
    let tagged = options(&[
        ("To: <sip:a@b.example>", "To: <sip:a@b.example>;tag=9"),
        ("Max-Forwards: 70", "Max-Forwards: 700"),
    ]);
    assert_eq!(
        fault(&tagged).response.unwrap().headers.get("To"),
        Some("<sip:a@b.example>;tag=9")
    );
}

#[test]
fn neither_ack_nor_responses_are_answered() {
    let ack = options(&[
        ("OPTIONS", "ACK"),
        ("OPTIONS", "ACK"),
        ("Max-Forwards: 70", "Max-Forwards: 700"),
    ]);
    assert_eq!(fault(&ack).response, None);
    let response = options(&[
        ("OPTIONS sip:a@b.example SIP/2.0", "SIP/2.0 200 OK"),
        ("Call-ID: 1@c.example", "Call-ID:"),
    ]);
    assert_eq!(fault(&response).response, None);
    let strange = options(&[("OPTIONS sip:a@b.example SIP/2.0", "SIP/3.0 200 OK")]);
    assert_eq!(fault(&strange).response, None);
}

#[test]
fn status_lines_are_read() {
    for (line, status, reason) in [
        ("SIP/2.0 200 OK", 200, "OK"),
        ("sip/2.0 180 ", 180, ""),
        ("SIP/2.0 699", 699, ""),
        (
            "SIP/2.0 486 Besetzt, tut mir leid\u{fc}",
            486,
            "Besetzt, tut mir leid\u{fc}",
        ),
    ] {
        match Message::parse(&options(&[("OPTIONS sip:a@b.example SIP/2.0", line)])) {
            Ok(Message::Response(response)) => {
                assert_eq!((response.status, &*response.reason), (StatusCode(status), reason));
            }
            other => panic!("{line}: {other:?}"),
        }
    }
    for line in [
        "SIP/2.0 099 x",
        "SIP/2.0 700 x",
        "SIP/2.0 20 x",
        "SIP/2.0 0200 x",
        "SIP/2.0  200 x",
        "SIP/2.0",
        "SIP/2.0 +20 x",
    ] {
        assert!(
            Message::parse(&options(&[("OPTIONS sip:a@b.example SIP/2.0", line)])).is_err(),
            "{line}"
        );
    }
}

#[test]
fn limits_at_minus_one_none_and_plus_one() {
    let limits = Limits {
        message: 2000,
        head: 1000,
        header_line: 300,
        headers: 10,
        vias: 3,
        ..Limits::default()
    };
    let status = |octets: Bytes| match Message::parse_within(&octets, &limits) {
        Ok(_) => None,
        Err(fault) => {
            assert!(fault.response.is_some(), "{fault}");
            Some(fault.rejection.status.0)
        }
    };
    let head = options(&[]).len();
    let body = |octets: usize| options(&[("\r\n\r\n", &format!("\r\n\r\n{}", "b".repeat(octets - head)))]);
    let padded = |octets: usize| {
        let line = |length: usize| format!("X: {}\r\n", "x".repeat(length - 5));
        let padding = octets - head;
        options(&[(
            "Max",
            &format!("{}{}{}Max", line(250), line(250), line(padding - 500)),
        )])
    };
    let line = |octets: usize| options(&[("Max", &format!("X: {}\r\nMax", "x".repeat(octets - 3)))]);
    let fields = |count: usize| options(&[("Max", &format!("{}Max", "X: y\r\n".repeat(count - 7)))]);
    let vias = |count: usize| options(&[("Via: ", &format!("Via: {}", "SIP/2.0/UDP d, ".repeat(count - 1)))]);
    let uri = |octets: usize| {
        let uri = format!("sip:{}@b", "a".repeat(octets - 6));
        Message::parse(&options(&[("sip:a@b.example", &uri)]))
            .map_err(|fault| fault.rejection.status.0)
            .err()
    };
    let call_id = |octets: usize| status(options(&[("1@c.example", &"1".repeat(octets))]));
    let tag = |octets: usize| status(options(&[("tag=1", &format!("tag={}", "1".repeat(octets)))]));
    for (step, expected) in [(0, None), (1, None), (2, Some(513))] {
        assert_eq!(status(body(1999 + step)), expected, "message {step}");
        assert_eq!(status(padded(999 + step)), expected, "head {step}");
        assert_eq!(status(line(299 + step)), expected, "header line {step}");
        assert_eq!(status(fields(9 + step)), expected, "header fields {step}");
        assert_eq!(status(vias(2 + step)), expected, "Via values {step}");
        assert_eq!(uri(1023 + step), expected.map(|_| 414), "URI {step}");
        assert_eq!(call_id(255 + step), expected.map(|_| 400), "Call-ID {step}");
        assert_eq!(tag(127 + step), expected.map(|_| 400), "tag {step}");
    }
    let endless = options(&[("sip:a@b.example", &format!("sip:{}@b", "a".repeat(300)))]);
    assert_eq!(status(endless), Some(414), "a start line over the limit");
}

#[test]
fn an_oversized_head_is_answered_513() {
    let head = options(&[("Max", "X: y\r\nMax")]);
    let response = Response::too_large(&head).unwrap();
    assert_eq!(
        (response.status, &*response.reason),
        (StatusCode(513), "Message Too Large")
    );
    assert!(Message::parse(&response.to_bytes()).is_ok());
    assert!(
        Response::too_large(&head[..head.len() - 20]).is_some(),
        "as far as it was kept"
    );
    let cut = String::from_utf8_lossy(&head).find("1 OPTIONS").unwrap() + 3;
    assert_eq!(Response::too_large(&head[..cut]), None, "half a CSeq is none");
    assert_eq!(Response::too_large(&head[..60]), None);
    assert_eq!(Response::too_large(b""), None);
}

#[test]
fn answers_carry_a_tag_unless_there_is_one() {
    let request = request(&options(&[]));
    let answer = request.answer(StatusCode(200), Some("t1"));
    assert_eq!(answer.headers.get("To"), Some("<sip:a@b.example>;tag=t1"));
    assert_eq!(
        request.answer(StatusCode(100), None).headers.get("To"),
        Some("<sip:a@b.example>")
    );
    assert!(matches!(
        Message::parse(&answer.to_bytes()),
        Ok(Message::Response(_))
    ));
}

#[test]
fn lists_are_split_where_the_grammar_has_lists() {
    let mut headers = Headers::default();
    headers.push(
        "Contact",
        "\"A, B\" <sip:a@b;x=1,2>, <sip:c@d>;q=\"1,2\" ,sip:e@f",
    );
    headers.push("Subject", "one, two");
    headers.push("contact", "<sip:g@h>");
    let contacts: Vec<_> = headers.list("CONTACT").collect();
    assert_eq!(
        contacts,
        [
            "\"A, B\" <sip:a@b;x=1,2>",
            "<sip:c@d>;q=\"1,2\"",
            "sip:e@f",
            "<sip:g@h>"
        ]
    );
    assert_eq!(headers.list("Subject").collect::<Vec<_>>(), ["one, two"]);
    assert_eq!(headers.list("Via").count(), 0);
}

/// T9 of the threat list.
// Rows: C7247-15
#[test]
fn nothing_written_can_end_its_line() {
    let hostile = "x\r\nContent-Length: 99\r\n\r\nBYE sip:a@b SIP/2.0\r\n\0\u{b}\u{85}\u{9f}";
    let mut invitation = request(&options(&[]));
    invitation.uri = Uri::new(Some(hostile), "b.example", None).with_parameter(hostile, Some(hostile));
    let mut contact = NameAddr::new(Uri::new(Some(hostile), hostile, None));
    contact.display_name = Some(hostile.to_owned());
    contact.parameters = vec![(hostile.to_owned(), Some(hostile.to_owned()))];
    invitation.headers.push("Subject", hostile);
    invitation.headers.push("X-Address", contact.to_string());
    invitation.headers.push(hostile.to_owned(), "dropped");
    invitation.headers.push("", "dropped");
    invitation.headers.push("Content-Length", "99");
    let read = request(&invitation.to_bytes());
    assert_eq!(read.headers.0.len(), 9);
    assert_eq!(
        read.headers.get("Subject"),
        Some("x  Content-Length: 99    BYE sip:a@b SIP/2.0")
    );
    let mut refusal = invitation.answer(StatusCode(400), Some("t"));
    refusal.reason = hostile.to_owned();
    let Ok(Message::Response(read)) = Message::parse(&refusal.to_bytes()) else {
        panic!("{:?}", refusal.to_bytes())
    };
    assert_eq!(read.headers.0.len(), 6);
}

proptest! {
    #[test]
    fn any_text_in_headers_leaves_the_number_of_headers(name: String, value: String, phrase: String, subject in "[\\PC\r\n\t\0]{0,40}") {
        let mut message = request(&options(&[])).answer(StatusCode(200), Some("t"));
        message.reason = phrase;
        message.headers.push("Subject", subject);
        message.headers.push("X-Other", value);
        message.headers.push(format!("\r\n{name}"), "dropped");
        let Ok(Message::Response(read)) = Message::parse(&message.to_bytes()) else {
            return Err(TestCaseError::fail(format!("{:?}", message.to_bytes())));
        };
        let names: Vec<_> = read.headers.0.iter().map(|header| header.name.to_string()).collect();
        prop_assert_eq!(names, ["Via", "From", "To", "Call-ID", "CSeq", "Subject", "X-Other", "Content-Length"]);
    }

    #[test]
    fn headers_of_plain_text_survive(values in proptest::collection::vec("[^\\p{C}]{0,30}", 0..6), body: Vec<u8>) {
        let mut message = request(&options(&[("Content-Length: 0\r\n", "")]));
        message.body = body.into();
        for value in values {
            message.headers.0.push(Header { name: "X-Text".into(), value: value.trim_matches([' ', '\t']).to_owned() });
        }
        let length = message.body.len().to_string();
        let read = request(&message.to_bytes());
        message.headers.push("Content-Length", length);
        prop_assert_eq!(read, message);
    }

    #[test]
    fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Message::parse(&octets.into());
    }

    #[test]
    fn a_mutated_message_is_read_without_panic(edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..10), cut: prop::sample::Index) {
        let mut octets = INVITE.as_bytes().to_vec();
        for (place, octet) in edits {
            let place = place.index(octets.len());
            octets[place] = octet;
        }
        let cut = cut.index(octets.len());
        for octets in [Bytes::copy_from_slice(&octets[..cut]), Bytes::from(octets)] {
            match Message::parse(&octets) {
                Ok(message) => prop_assert!(Message::parse(&message.to_bytes()).is_ok()),
                Err(fault) => {
                    if let Some(response) = fault.response {
                        prop_assert_eq!(response.headers.list("CSeq").count(), 1);
                    }
                }
            }
        }
    }
}
