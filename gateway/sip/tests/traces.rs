//! What a deployed chat server wrote.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use sip::{
    Limits,
    conference::{Document, EndpointStatus},
    message::{Message, Request, Response, StreamDecoder, StreamItem},
    sdp::Session,
};

const CHAT_SERVER: &[u8] = include_bytes!("traces/chat-server.sip");

fn messages() -> Vec<Message> {
    let mut decoder = StreamDecoder::new(Limits::default());
    decoder.feed(CHAT_SERVER);
    let items = std::iter::from_fn(|| decoder.poll());
    let messages = items.map(|item| match item {
        StreamItem::Message(octets) => Message::parse(&octets).unwrap(),
        other => panic!("{other:?}"),
    });
    messages.collect()
}

fn requests() -> Vec<Request> {
    let requests = messages().into_iter().filter_map(|message| match message {
        Message::Request(request) => Some(request),
        Message::Response(_) => None,
    });
    requests.collect()
}

fn responses() -> Vec<Response> {
    let responses = messages().into_iter().filter_map(|message| match message {
        Message::Response(response) => Some(response),
        Message::Request(_) => None,
    });
    responses.collect()
}

// Rows: E-35
#[test]
fn every_message_of_a_chat_server_is_read() {
    let (requests, responses) = (requests(), responses());
    let methods: Vec<_> = requests.iter().map(|request| request.method.as_str()).collect();
    let of = |method: &str| methods.iter().filter(|name| **name == method).count();
    assert_eq!((of("NOTIFY"), of("INVITE"), of("ACK"), of("BYE")), (10, 1, 1, 1));
    assert_eq!((requests.len(), responses.len()), (13, 22));
    let refusals: Vec<_> = responses
        .iter()
        .map(|response| response.status.0)
        .filter(|status| *status >= 300)
        .collect();
    assert_eq!(refusals, [405, 480, 488]);
}

// Rows: C7701-08, E-06, E-35
#[test]
fn a_chat_server_is_known_as_a_focus_with_a_switch() {
    let answers = responses().into_iter().filter(|response| {
        response.status.0 == 200 && response.headers.get("Content-Type") == Some("application/sdp")
    });
    let mut rooms = 0;
    for answer in answers {
        rooms += 1;
        assert!(answer.headers.get("Contact").unwrap().ends_with(";isfocus"));
        let session = Session::parse(&answer.body).unwrap();
        let media = session.media();
        assert_eq!((&*media[0].kind, &*media[0].protocol), ("message", "TCP/MSRP"));
        assert_eq!(media[0].attribute("accept-types"), Some("message/cpim"));
        let path = media[0].attribute("path").unwrap();
        assert!(path.contains(&format!(":{}/", media[0].port)), "{path}");
        assert!(
            media[0]
                .attribute("chatroom")
                .unwrap()
                .starts_with("nickname private-messages ")
        );
    }
    assert_eq!(rooms, 5);
}

// Rows: C4575-17, E-19, E-20, E-35, E-40
#[test]
fn the_documents_of_a_chat_server_are_read() {
    let documents: Vec<_> = requests()
        .iter()
        .filter(|request| request.headers.get("Content-Type") == Some("application/conference-info+xml"))
        .map(|request| Document::parse(&request.body).unwrap())
        .collect();
    let versions: Vec<_> = documents.iter().map(|(version, _)| *version).collect();
    assert_eq!(versions, [2, 3, 4, 5, 6]);
    let names = |document: &Document| -> Vec<_> {
        let users = document.users.iter();
        users
            .map(|user| (user.entity.clone(), user.display_text.clone().unwrap_or_default()))
            .collect()
    };
    for (_, document) in &documents {
        assert_eq!(document.entity, "sip:room1@conference.sip.test");
        assert_eq!(document.subject.as_deref(), Some(""));
        let status = document.users.iter().map(|user| user.status.as_ref());
        assert!(
            status
                .into_iter()
                .all(|status| status == Some(&EndpointStatus::Connected))
        );
    }
    // Plain addresses, and nicknames in the quotes in which they were asked for.
    let (alice, bob) = ("sip:alice@sip.test".to_owned(), "sip:bob@sip.test".to_owned());
    assert_eq!(
        names(&documents[0].1),
        [(alice.clone(), "Alice Liddell".to_owned())]
    );
    let renamed = [(alice, "\"Ali\"".to_owned()), (bob, "\"Bobby\"".to_owned())];
    assert_eq!(names(&documents[3].1), renamed);
}
