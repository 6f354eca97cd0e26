//! The torture messages of RFC 4475 and RFC 5118, octet by octet as in their appendices (RFC 5118's with line ends made CRLF and
//! Content-Length made true), each with the reaction that is ours.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use bytes::Bytes;
use sip::{
    Limits, Method,
    message::{Message, StatusCode, StreamDecoder, StreamItem},
};

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
enum Reaction {
    /// Read as a request of this method.
    Request(&'static str),
    /// Read as a response of this status.
    Response(u16),
    /// Refused with this response: status and phrase.
    Refused(u16, &'static str),
    /// Refused without a response.
    Dropped(u16, &'static str),
}

use Reaction::{Dropped, Refused, Request, Response};

/// Section, name, reaction as a datagram, and why where the RFC leaves a choice.
const TABLE: [(&str, &str, Reaction, &str); 49] = [
    ("3.1.1.1", "wsinv", Request("INVITE"), ""),
    (
        "3.1.1.2",
        "intmeth",
        Request("!interesting-Method0123456789_*+`.%indeed'~"),
        "501 is the endpoint's",
    ),
    ("3.1.1.3", "esc01", Request("INVITE"), ""),
    ("3.1.1.4", "escnull", Request("REGISTER"), ""),
    (
        "3.1.1.5",
        "esc02",
        Request("RE%47IST%45R"),
        "501 is the endpoint's",
    ),
    ("3.1.1.6", "lwsdisp", Request("OPTIONS"), ""),
    (
        "3.1.1.7",
        "longreq",
        Refused(513, "Too many Via values"),
        "34 Via values, the limit is 32; the tag exceeds 128 octets, too",
    ),
    ("3.1.1.8", "dblreq", Request("REGISTER"), ""),
    ("3.1.1.9", "semiuri", Request("OPTIONS"), ""),
    ("3.1.1.10", "transports", Request("OPTIONS"), ""),
    ("3.1.1.11", "mpart01", Request("MESSAGE"), ""),
    ("3.1.1.12", "unreason", Response(200), ""),
    ("3.1.1.13", "noreason", Response(100), ""),
    (
        "3.1.2.1",
        "badinv01",
        Dropped(400, "Parameter name is not a token"),
        "its Via names nowhere to send a 400 to",
    ),
    (
        "3.1.2.2",
        "clerr",
        Refused(400, "Content-Length exceeds the message"),
        "",
    ),
    ("3.1.2.3", "ncl", Refused(400, "Malformed Content-Length"), ""),
    (
        "3.1.2.4",
        "scalar02",
        Refused(400, "CSeq number is not below 2^31"),
        "",
    ),
    (
        "3.1.2.5",
        "scalarlg",
        Dropped(400, "CSeq number is not below 2^31"),
        "",
    ),
    ("3.1.2.6", "quotbal", Refused(400, "Unclosed quoted string"), ""),
    ("3.1.2.7", "ltgtruri", Refused(400, "URI without a scheme"), ""),
    ("3.1.2.8", "lwsruri", Refused(400, "Malformed URI parameter"), ""),
    (
        "3.1.2.9",
        "lwsstart",
        Refused(400, "URI without a scheme"),
        "may be rejected",
    ),
    (
        "3.1.2.10",
        "trws",
        Refused(400, "Not a request line"),
        "may be rejected",
    ),
    (
        "3.1.2.11",
        "escruri",
        Refused(400, "Headers in the Request-URI"),
        "",
    ),
    (
        "3.1.2.12",
        "baddate",
        Request("INVITE"),
        "Date means nothing to us, so it must not cost a call",
    ),
    (
        "3.1.2.13",
        "regbadct",
        Refused(400, "URI needs angle brackets"),
        "",
    ),
    ("3.1.2.14", "badaspec", Refused(400, "URI without a scheme"), ""),
    ("3.1.2.15", "baddn", Refused(400, "Display name needs quotes"), ""),
    ("3.1.2.16", "badvers", Refused(505, "Version Not Supported"), ""),
    (
        "3.1.2.17",
        "mismatch01",
        Refused(400, "CSeq method differs from the request"),
        "",
    ),
    (
        "3.1.2.18",
        "mismatch02",
        Refused(400, "CSeq method differs from the request"),
        "501 would do as well",
    ),
    ("3.1.2.19", "bigcode", Dropped(400, "Not a status line"), ""),
    ("3.2.1", "badbranch", Request("OPTIONS"), "RFC 2543 matching"),
    (
        "3.3.1",
        "insuf",
        Dropped(400, "Missing From"),
        "a response needs what is missing",
    ),
    ("3.3.2", "unkscm", Refused(416, "Unsupported URI scheme"), ""),
    ("3.3.3", "novelsc", Refused(416, "Unsupported URI scheme"), ""),
    ("3.3.4", "unksm2", Request("REGISTER"), ""),
    ("3.3.5", "bext01", Request("OPTIONS"), "420 is the endpoint's"),
    ("3.3.6", "invut", Request("INVITE"), "415 is the owner's"),
    ("3.3.7", "regaut01", Request("REGISTER"), ""),
    ("3.3.8", "multi01", Refused(400, "More than one From"), ""),
    ("3.3.9", "mcl01", Refused(400, "More than one Content-Length"), ""),
    (
        "3.3.10",
        "bcast",
        Response(200),
        "the endpoint discards responses with several Via",
    ),
    ("3.3.11", "zeromf", Request("OPTIONS"), ""),
    ("3.3.12", "cparam01", Request("REGISTER"), ""),
    ("3.3.13", "cparam02", Request("REGISTER"), ""),
    ("3.3.14", "regescrt", Request("REGISTER"), ""),
    ("3.3.15", "sdp01", Request("INVITE"), "406 is the owner's"),
    ("3.4.1", "inv2543", Request("INVITE"), ""),
];

/// RFC 5118, likewise.
const IPV6_TABLE: [(&str, &str, Reaction); 12] = [
    ("4.1", "ipv6-good", Request("REGISTER")),
    ("4.2", "ipv6-bad", Refused(400, "Malformed port")),
    ("4.3", "port-ambiguous", Request("REGISTER")),
    ("4.4", "port-unambiguous", Request("REGISTER")),
    ("4.5", "via-received-param-with-delim", Request("BYE")),
    ("4.5", "via-received-param-no-delim", Request("OPTIONS")),
    ("4.6", "ipv6-in-sdp", Request("INVITE")),
    ("4.7", "mult-ip-in-header", Request("BYE")),
    ("4.8", "mult-ip-in-sdp", Request("INVITE")),
    ("4.9", "ipv4-mapped-ipv6", Request("INVITE")),
    ("4.10", "ipv6-bug-abnf-3-colons", Request("OPTIONS")),
    ("4.10", "ipv6-correct-abnf-2-colons", Request("OPTIONS")),
];

// Rows: CSIP-23
#[test]
fn each_ipv6_message_gets_its_reaction() {
    for (section, name, expected) in &IPV6_TABLE {
        assert_eq!(react(&ipv6_octets(name)), *expected, "{section} {name}");
    }
}

#[test]
fn ipv6_hosts_and_ports_are_told_apart() {
    let uri_of = |name| match Message::parse(&ipv6_octets(name)) {
        Ok(Message::Request(request)) => request.uri,
        other => panic!("{name}: {other:?}"),
    };
    let ambiguous = uri_of("port-ambiguous");
    assert_eq!((ambiguous.host(), ambiguous.port()), ("2001:db8::10:5070", None));
    let unambiguous = uri_of("port-unambiguous");
    assert_eq!(
        (unambiguous.host(), unambiguous.port()),
        ("2001:db8::10", Some(5070))
    );
    assert_eq!(uri_of("ipv6-bug-abnf-3-colons").host(), "2001:db8::192.0.2.1");
    assert_eq!(
        uri_of("ipv6-bug-abnf-3-colons"),
        uri_of("ipv6-correct-abnf-2-colons")
    );
    for name in ["via-received-param-with-delim", "via-received-param-no-delim"] {
        let Ok(Message::Request(request)) = Message::parse(&ipv6_octets(name)) else {
            panic!("{name}")
        };
        let via: sip::message::Via = request.headers.get("Via").unwrap().parse().unwrap();
        assert_eq!(via.received, Some("2001:db8::9:255".parse().unwrap()), "{name}");
        assert!(
            via.to_string().contains(";received=2001:db8::9:255"),
            "no brackets are sent"
        );
    }
}

#[test]
fn session_descriptions_of_rfc_5118_are_read() {
    for (name, addresses) in [
        ("ipv6-in-sdp", ["2001:db8::20", "2001:db8::20"]),
        ("mult-ip-in-sdp", ["192.0.2.1", "2001:db8::1"]),
        ("ipv4-mapped-ipv6", ["::ffff:192.0.2.2", "::ffff:192.0.2.2"]),
    ] {
        let Ok(Message::Request(request)) = Message::parse(&ipv6_octets(name)) else {
            panic!("{name}")
        };
        let media = sip::sdp::Session::parse(&request.body).unwrap().media();
        let found: Vec<_> = media
            .iter()
            .map(|media| media.address.as_deref().unwrap())
            .collect();
        assert_eq!(found, addresses, "{name}");
    }
}

// Rows: CSIP-23
#[test]
fn each_message_gets_its_reaction() {
    let mut wrong = Vec::new();
    for (section, name, expected, _) in &TABLE {
        let reaction = react(&octets(name));
        if reaction != *expected {
            wrong.push(format!("{section} {name}: {reaction:?} instead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_message_of_the_archive_is_in_the_table() {
    let mut files: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let mut names: Vec<_> = TABLE.iter().map(|row| row.1.to_owned()).collect();
    files.sort();
    names.sort();
    assert_eq!(files, names);
}

#[test]
fn accepted_messages_survive_writing_and_reading() {
    for (_, name, _, _) in &TABLE {
        let Ok(message) = Message::parse(&octets(name)) else {
            continue;
        };
        let written = message.to_bytes();
        let again = Message::parse(&written).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(again.to_bytes(), written, "{name}");
    }
}

#[test]
fn refusals_are_valid_responses_and_the_same_each_time() {
    for (_, name, _, _) in &TABLE {
        let Err(fault) = Message::parse(&octets(name)) else {
            continue;
        };
        let Some(response) = fault.response else { continue };
        assert_eq!(response.status, fault.rejection.status, "{name}");
        let to = response.headers.get("To").unwrap();
        assert!(to.contains(";tag="), "{name}: {to}");
        assert_eq!(
            Message::parse(&octets(name)).unwrap_err().response,
            Some(response.clone()),
            "{name}"
        );
        // Only what the peer itself sent broken stays broken in the copy.
        if let Err(fault) = Message::parse_within(&response.to_bytes(), &roomy()) {
            assert!(
                [
                    "longreq", "badvers", "scalar02", "quotbal", "badaspec", "baddn", "multi01"
                ]
                .contains(name),
                "{name}: {fault}"
            );
        }
    }
}

/// As on TCP: what the framing can cut is handed on whole, and a length that lies ends the connection.
#[test]
fn framing_on_a_stream() {
    for (_, name, _, _) in &TABLE {
        let octets = octets(name);
        let mut decoder = StreamDecoder::new(Limits::default());
        decoder.feed(&octets);
        let first = decoder.poll();
        match *name {
            "clerr" => assert_eq!(first, None, "waits for the rest"),
            "ncl" | "mcl01" => assert!(matches!(first, Some(StreamItem::Lost(_))), "{name}"),
            "inv2543" => {
                let head = octets.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
                assert_eq!(
                    first,
                    Some(StreamItem::Message(octets.slice(..head))),
                    "no Content-Length: no body"
                );
            }
            _ => {
                let Some(StreamItem::Message(message)) = first else {
                    panic!("{name}: {first:?}")
                };
                assert_eq!(react(&message), react(&octets), "{name}");
            }
        }
    }
}

#[test]
fn dblreq_holds_two_messages_on_a_stream() {
    let mut decoder = StreamDecoder::new(Limits::default());
    decoder.feed(&octets("dblreq"));
    let reactions: Vec<_> = std::iter::from_fn(|| decoder.poll())
        .filter_map(|item| match item {
            StreamItem::Message(octets) => Some(react(&octets)),
            _ => None,
        })
        .take(2)
        .collect();
    assert_eq!(reactions, [Request("REGISTER"), Refused(400, "Missing Contact")]);
}

#[test]
fn folded_and_spaced_values_are_read() {
    let Ok(Message::Request(request)) = Message::parse(&octets("wsinv")) else {
        panic!("wsinv")
    };
    assert_eq!(request.method, Method::INVITE);
    let vias: Vec<sip::message::Via> = request
        .headers
        .list("Via")
        .map(|via| via.parse().unwrap())
        .collect();
    let hops: Vec<_> = vias
        .iter()
        .map(|via| {
            (
                via.transport.as_ref(),
                via.host.as_str(),
                via.branch.as_deref().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        hops,
        [
            ("UDP", "192.0.2.2", "390skdjuw"),
            ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
            ("UDP", "192.168.255.111", "z9hG4bK30239"),
        ]
    );
    let from: sip::NameAddr = request.headers.get("From").unwrap().parse().unwrap();
    assert_eq!(from.display_name.as_deref(), Some("J Rosenberg \\\""));
    assert_eq!(from.parameter("tag"), Some("98asjd8"));
    assert_eq!(
        request.headers.get("NewFangledHeader"),
        Some("newfangled value continued newfangled value")
    );
    assert_eq!(request.headers.get("Subject"), Some(""));
    let contact: sip::NameAddr = request.headers.get("Contact").unwrap().parse().unwrap();
    assert_eq!(contact.display_name.as_deref(), Some("Quoted string \"\""));
    assert_eq!(contact.parameter("q"), Some("0.33"));
}

#[test]
fn unusual_values_are_read() {
    let uri_of = |name| match Message::parse(&octets(name)) {
        Ok(Message::Request(request)) => request.uri,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(
        uri_of("esc01").user_decoded().as_deref(),
        Some("sips:user@example.com")
    );
    assert_eq!(
        uri_of("semiuri").user_decoded().as_deref(),
        Some("user;par=u@example.net")
    );
    assert_eq!(uri_of("semiuri").host(), "example.com");
    assert_eq!(
        uri_of("intmeth").user(),
        Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
    );
    let Ok(Message::Request(escapes)) = Message::parse(&octets("escnull")) else {
        panic!("escnull")
    };
    let contacts: Vec<sip::NameAddr> = escapes
        .headers
        .list("Contact")
        .map(|value| value.parse().unwrap())
        .collect();
    assert_ne!(contacts[0].uri, contacts[1].uri);
    assert_eq!(contacts[1].uri.user_decoded().as_deref(), Some("\0\0"));
    let Ok(Message::Request(multipart)) = Message::parse(&octets("mpart01")) else {
        panic!("mpart01")
    };
    assert_eq!(multipart.body.len(), 553);
    assert!(multipart.body.contains(&0));
}

fn react(octets: &Bytes) -> Reaction {
    match Message::parse(octets) {
        Ok(Message::Request(request)) => {
            let rows = TABLE
                .iter()
                .map(|row| &row.2)
                .chain(IPV6_TABLE.iter().map(|row| &row.2));
            let known = rows.into_iter().find_map(|reaction| match reaction {
                Request(method) if *method == request.method.as_str() => Some(*method),
                _ => None,
            });
            Request(known.unwrap_or("a method that no message has"))
        }
        Ok(Message::Response(response)) => Response(response.status.0),
        Err(fault) => match &fault.response {
            Some(response) => {
                assert!(fault.rejection.rule.starts_with(&response.reason), "{fault:?}");
                Refused(response.status.0, phrase(fault.rejection.rule))
            }
            None => Dropped(fault.rejection.status.0, phrase(fault.rejection.rule)),
        },
    }
}

/// A rule without its section.
fn phrase(rule: &'static str) -> &'static str {
    rule.split_once(" (").unwrap().0
}

fn roomy() -> Limits {
    Limits {
        vias: 64,
        ..Limits::default()
    }
}

fn ipv6_octets(name: &str) -> Bytes {
    let folder = folder().with_file_name("rfc5118");
    std::fs::read(folder.join(format!("{name}.dat"))).unwrap().into()
}

fn folder() -> std::path::PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "torture", "rfc4475"]
        .iter()
        .collect()
}

fn octets(name: &str) -> Bytes {
    let mut octets = std::fs::read(folder().join(format!("{name}.dat"))).unwrap();
    if name == "baddn" {
        // The archive's copy lacks the blank line, so that it would be refused for the wrong reason.
        octets.extend_from_slice(b"\r\n");
    }
    octets.into()
}

#[test]
fn limits_raised_reach_the_next_rule() {
    let fault = Message::parse_within(&octets("longreq"), &roomy()).unwrap_err();
    assert_eq!(fault.rejection.status, StatusCode(400));
    assert!(fault.rejection.rule.starts_with("Tag over 128 octets"));
}
