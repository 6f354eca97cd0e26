//! What the fuzz targets run on each input, and what must hold. The targets in `fuzz/` include this module, and the ordinary
//! tests replay the kept inputs through it.

#![allow(dead_code, reason = "each fuzz target runs one of the functions")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::{
    Command, Config, Contact, Endpoint, Event, Flow, Limits, LocalAddress, NameAddr, Transport, Uri,
    conference::Document,
    digest::{Asked, Authority, AuthorityLimits, Challenge, Password, Verdict},
    message::{
        Message, Request, Response, StreamDecoder, StreamItem, Via,
        multipart::{self, Part},
    },
    resource_lists, sdp,
};

/// What a response adds to what it repeats: status line, tag, Contact, Allow, Supported, Server.
const RESPONSE_ALLOWANCE: usize = 1024;

/// A datagram: what could be read is written in a form that means the same, each value by itself too; what could not is refused with a
/// response that can be read; and an endpoint that gets it, and accepts whatever it asks of, is empty again after all deadlines.
pub(crate) fn datagram(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    match Message::parse(&bytes) {
        Ok(message) => {
            let written = message.to_bytes();
            let again = Message::parse(&written).expect("what is written can be read");
            assert_same(&message, &again);
            assert_eq!(again.to_bytes(), written, "a second writing");
            values(&message);
        }
        Err(unreadable) => {
            if let Some(response) = unreadable.response {
                let written = response.to_bytes();
                assert!(
                    written.len() <= data.len() + RESPONSE_ALLOWANCE,
                    "a refusal that amplifies"
                );
                // What it repeats may be what was wrong; that no more than one message came of it must hold all the same.
                let expected = [StreamItem::Message(written.clone())];
                assert_eq!(items(&Limits::default(), [&*written]), expected);
            }
        }
    }
    served(bytes);
}

fn assert_same(one: &Message, other: &Message) {
    match (one, other) {
        (Message::Request(one), Message::Request(other)) => {
            let start = |request: &Request| (request.method.clone(), request.uri.to_string());
            assert_eq!(start(one), start(other));
        }
        (Message::Response(one), Message::Response(other)) => {
            let start = |response: &Response| (response.status, response.reason.trim().to_owned());
            assert_eq!(start(one), start(other));
        }
        _ => panic!("a request became a response, or the other way round"),
    }
    let rest = |message: &Message| {
        let (headers, body) = match message {
            Message::Request(request) => (&request.headers, &request.body),
            Message::Response(response) => (&response.headers, &response.body),
        };
        let fields = headers.0.iter().filter(|header| header.name != "Content-Length");
        let fields: Vec<_> = fields
            .map(|header| (header.name.to_string(), plain(&header.value)))
            .collect();
        (fields, body.clone())
    };
    assert_eq!(rest(one), rest(other));
}

/// As a value is written: an escaped control character, which only a reader may meet, is a space then.
fn plain(value: &str) -> String {
    value.replace(char::is_control, " ").trim_matches(' ').to_owned()
}

/// Each address, hop and URI among the header values.
fn values(message: &Message) {
    let headers = match message {
        Message::Request(request) => &request.headers,
        Message::Response(response) => &response.headers,
    };
    for header in &headers.0 {
        for value in headers.list(&header.name) {
            if let Ok(address) = value.parse::<NameAddr>() {
                let written = address.to_string();
                let again: NameAddr = written.parse().expect("an address that is written can be read");
                assert_eq!(again.uri, address.uri);
                assert_eq!(again.display_name, address.display_name);
                uri(&address.uri);
            }
            if let Ok(via) = value.parse::<Via>() {
                let again: Via = via
                    .to_string()
                    .parse()
                    .expect("a Via that is written can be read");
                assert_eq!(again.branch, via.branch);
                assert_eq!((again.host, again.port), (via.host, via.port));
            }
        }
    }
}

fn uri(uri: &Uri) {
    for derived in [
        uri.clone(),
        uri.address_of_record(),
        uri.with_parameter("gr", Some("a;b")),
    ] {
        let again: Uri = derived
            .to_string()
            .parse()
            .expect("a URI that is written can be read");
        assert_eq!(again, derived);
        assert_eq!(again.host(), derived.host());
        assert_eq!(again.user(), derived.user());
    }
}

fn served(bytes: Bytes) {
    let mut now = start();
    let flow = Flow {
        transport: Transport::Udp,
        peer: ([192, 0, 2, 10], 5060).into(),
        id: None,
    };
    let mut endpoint = endpoint();
    endpoint.handle_message(flow, bytes, now);
    loop {
        while let Some(event) = endpoint.poll_event() {
            if let Some(command) = accept(event) {
                endpoint.handle_command(command, now);
            }
        }
        while let Some(resolve) = endpoint.poll_resolve() {
            endpoint.handle_resolved(resolve.id, Vec::new(), now);
        }
        while let Some(transmit) = endpoint.poll_transmit() {
            // Responses repeat what the peer wrote, which may be what was wrong.
            let expected = [StreamItem::Message(transmit.bytes.clone())];
            assert_eq!(items(&Limits::default(), [&*transmit.bytes]), expected);
            if !transmit.bytes.starts_with(b"SIP/") {
                Message::parse(&transmit.bytes).expect("the endpoint writes requests that can be read");
            }
        }
        let Some(next) = endpoint.poll_timeout() else {
            break;
        };
        assert!(
            next < now + Duration::from_secs(24 * 3600),
            "a deadline out of reach"
        );
        now = now.max(next);
        endpoint.handle_timeout(now);
    }
    assert_eq!(endpoint.census(), (0, 0, 0), "something is left");
}

fn endpoint() -> Endpoint {
    let local = LocalAddress {
        transport: Transport::Udp,
        host: "198.51.100.1".to_owned(),
        port: 5060,
    };
    let config = Config {
        local: vec![local],
        outbound_proxy: None,
        product: String::new(),
        limits: Limits::default(),
        t1: Duration::from_millis(500),
    };
    Endpoint::new(config, [7; 32])
}

fn accept(event: Event) -> Option<Command> {
    let contact = Contact {
        user: None,
        parameters: Vec::new(),
    };
    match event {
        Event::Invited { due, .. } | Event::Reinvited { due, .. } => Some(Command::Accept {
            due,
            contact,
            body: sip::Body {
                content_type: "application/sdp".to_owned(),
                bytes: Bytes::from_static(b"v=0\r\n"),
            },
        }),
        Event::Subscribing { due, .. } => Some(Command::AcceptSubscription { due, contact }),
        Event::Referred { due, .. } => Some(Command::AcceptRefer { due, contact }),
        Event::Requested { due, .. } => Some(Command::AcceptRequest { due }),
        _ => None,
    }
}

/// A stream: the first octet says how the rest is cut. However that is, the items are the same, and no more octets come out than went in.
pub(crate) fn stream(data: &[u8]) {
    let Some((step, octets)) = data.split_first() else {
        return;
    };
    let limits = Limits {
        message: 4096,
        head: 1024,
        ..Limits::default()
    };
    let whole = items(&limits, [octets]);
    let step = usize::from(*step).max(1);
    assert_eq!(whole, items(&limits, octets.chunks(step)), "in pieces of {step}");
    let held: usize = whole.iter().map(length).sum();
    assert!(held <= octets.len(), "{held} octets out of {}", octets.len());
    for item in &whole {
        match item {
            StreamItem::Message(message) => {
                assert!(message.len() <= limits.message);
                let _ = Message::parse_within(message, &limits);
            }
            StreamItem::TooLarge(head) => {
                assert!(head.len() <= limits.head);
                let _ = Response::too_large(head);
            }
            StreamItem::KeepAlive | StreamItem::Lost(_) => {}
        }
    }
}

fn items<'a>(limits: &Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<StreamItem> {
    let mut decoder = StreamDecoder::new(limits.clone());
    let mut items = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        while let Some(item) = decoder.poll() {
            items.push(item);
        }
    }
    items
}

fn length(item: &StreamItem) -> usize {
    match item {
        StreamItem::Message(octets) | StreamItem::TooLarge(octets) => octets.len(),
        StreamItem::KeepAlive => 4,
        StreamItem::Lost(_) => 0,
    }
}

/// A session description: its media are bounded, and an answer to it can be read and has as many.
pub(crate) fn sdp(data: &[u8]) {
    let Ok(session) = sdp::Session::parse(data) else {
        return;
    };
    let media = session.media();
    assert!(media.len() <= 16);
    let attributes: usize = media.iter().map(|media| media.attributes.len()).sum();
    assert!(attributes <= 256);
    let line = sdp::Line {
        host: "198.51.100.1".to_owned(),
        port: 2855,
        protocol: "TCP/MSRP",
        attributes: vec![("path", Some("msrp://198.51.100.1:2855/a;tcp".to_owned()))],
    };
    for index in 0..media.len() {
        let answer = sdp::Session::parse(&session.answer(index, &line, 1, 1)).expect("an answer can be read");
        let answered = answer.media();
        assert_eq!(answered.len(), media.len());
        // RFC 3264 §6: what was offered with port 0 stays refused.
        let is_taken = media.get(index).is_some_and(|offered| offered.port != 0);
        let open = answered.iter().filter(|media| media.port != 0).count();
        assert_eq!(open, usize::from(is_taken));
        let path = answered.get(index).and_then(|media| media.attribute("path"));
        assert_eq!(path.is_some(), is_taken);
    }
}

/// A Content-Type, a line feed, a body: its parts are no more than it has, come back the same when they are put together anew, and are
/// bounded where they have parts or recipients themselves.
pub(crate) fn multipart(data: &[u8]) {
    let Some((kind, body)) = halves(data) else {
        return;
    };
    let Ok(parts) = multipart::read(kind, &Bytes::copy_from_slice(body)) else {
        return;
    };
    assert!(parts.len() <= 16);
    let held: usize = parts.iter().map(|part| part.bytes.len()).sum();
    assert!(held <= body.len(), "{held} octets out of {}", body.len());
    for part in &parts {
        if let Ok(inner) = multipart::read(&part.content_type, &part.bytes) {
            let held: usize = inner.iter().map(|part| part.bytes.len()).sum();
            assert!(held <= part.bytes.len());
        }
        if let Ok(entries) = resource_lists::read(&part.bytes) {
            assert!(entries.len() <= 1000);
            assert!(entries.iter().all(|entry| !entry.uri.is_empty()));
        }
    }
    // What is added below must not bring a header over its limit.
    if body.len() < 3 * 1024 {
        let boundary = (0..)
            .map(|number| format!("fresh{number}"))
            .find(|boundary| {
                !body
                    .windows(boundary.len())
                    .any(|window| window == boundary.as_bytes())
            })
            .expect("a body does not hold every number");
        let kind = format!("multipart/mixed;boundary={boundary}");
        let again = multipart::read(&kind, &put_together(&parts, &boundary));
        assert_eq!(again.expect("what is put together can be read"), parts);
    }
}

fn halves(data: &[u8]) -> Option<(&str, &[u8])> {
    let end = data.iter().position(|octet| *octet == b'\n')?;
    let (kind, body) = data.split_at_checked(end)?;
    Some((std::str::from_utf8(kind).ok()?, body.get(1..)?))
}

fn put_together(parts: &[Part], boundary: &str) -> Bytes {
    let mut body = Vec::new();
    for part in parts {
        let mut head = format!("--{boundary}\r\nContent-Type: {}\r\n", part.content_type);
        if let Some(id) = &part.id {
            head += &format!("Content-ID: <{id}>\r\n");
        }
        if let Some(disposition) = &part.disposition {
            let handling = if part.optional { ";handling=optional" } else { "" };
            head += &format!("Content-Disposition: {disposition}{handling}\r\n");
        }
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(b"\r\n");
        body.extend_from_slice(&part.bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--").as_bytes());
    body.into()
}

/// A conference document: what could be read is rendered in a form that reads the same, and applying it to another is bounded by both.
pub(crate) fn conference(data: &[u8]) {
    let Ok((version, document)) = Document::parse(data) else {
        return;
    };
    let rendered = document.render().with_version(version);
    let (again_version, again) = Document::parse(&rendered).expect("what is rendered can be read");
    assert_eq!(again_version, version);
    let twice = again.render().with_version(version);
    let (_, third) = Document::parse(&twice).expect("what is rendered twice can be read");
    assert_eq!(third, again, "rendering settles");
    let mut state = again;
    let bound = state.users.len() + document.users.len();
    state.apply(document);
    assert!(state.users.len() <= bound);
}

/// Digest: the first half a challenge, the rest an answer. What can be answered is answered readably; nobody without the password is authentic.
pub(crate) fn digest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (challenge, answer) = text.split_once('\n').unwrap_or((text, text));
    let asked = Asked {
        method: "INVITE",
        uri: "sip:capulet@rooms.example.com",
        body: b"body",
    };
    let password = Password::new("a secret that no input holds");
    if let Some(challenge) = Challenge::read(challenge) {
        let value = challenge.answer("romeo", &password, asked, 1, "0a4f113b");
        assert!(
            !value.contains(['\r', '\n']) || text.contains(['\r', '\n']),
            "{value:?}"
        );
        assert!(!value.contains("a secret"));
    }
    let now = start();
    let mut authority = Authority::new("example.com", [7; 32], AuthorityLimits::default(), now);
    let issued = authority.challenge(false, now);
    let secret = |_: &str, algorithm: sip::digest::Algorithm| {
        Some(algorithm.secret("romeo", "example.com", &password))
    };
    let verdict = authority.check(answer, asked, secret, now);
    assert_eq!(verdict, Verdict::Refused, "{answer:?}");
    // And the right one still is, whatever came before.
    let challenge = issued
        .first()
        .and_then(|value| Challenge::read(value))
        .expect("our own challenge");
    let value = challenge.answer("romeo", &password, asked, 1, "0a4f113b");
    let verdict = authority.check(&value, asked, secret, now);
    assert!(matches!(verdict, Verdict::Authentic { username } if username == "romeo"));
}

#[expect(
    clippy::disallowed_methods,
    reason = "an `Instant` has no other source; from here on the time is virtual"
)]
fn start() -> Instant {
    Instant::now()
}
