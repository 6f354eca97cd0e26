//! What a deployed chat server wrote: plain addresses, headers of its own, line feeds without a carriage return.

use msrp::{
    Limits, Status,
    cpim::Cpim,
    frame::{Content, Decoder, Frame, Kind, Method},
};

const FRAMES: &[u8] = include_bytes!("../data/chat_server.msrp");

fn frames() -> Vec<Frame> {
    let mut decoder = Decoder::new(&Limits::default());
    decoder.push(FRAMES);
    let frames = std::iter::from_fn(|| decoder.next_frame())
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(decoder.held(), 0);
    frames
}

// Rows: C4975-01, E-35
#[test]
fn every_frame_decodes() {
    let frames = frames();
    let of = |kind| frames.iter().filter(|frame| frame.kind == kind).count();
    assert_eq!(of(Kind::Request(Method::Send)), 10);
    assert_eq!(of(Kind::Request(Method::Report)), 2);
    assert_eq!(of(Kind::Response(Status::OK)), 16);
    assert_eq!(of(Kind::Response(Status::NICKNAME_IN_USE)), 1);
    assert_eq!(of(Kind::Response(Status::UNSUPPORTED_MEDIA)), 1);
    assert_eq!(frames.len(), 30);
    assert!(frames.iter().all(|frame| frame.headers.broken.is_none()));
}

// Rows: CSIP-18, E-35
#[test]
fn every_message_is_read() {
    let bodies = frames().into_iter().filter_map(|frame| match frame.content {
        Content::Body(body) => Some(body),
        Content::None | Content::TooLong => None,
    });
    let read: Vec<_> = bodies
        .map(|body| {
            let cpim = Cpim::parse(&body).unwrap();
            assert!(cpim.date_time.is_some());
            assert_eq!(cpim.to.len(), 1);
            let text = cpim.text().unwrap().to_owned();
            (cpim.from.unwrap().uri, cpim.to[0].uri.clone(), text)
        })
        .collect();
    let room = "sip:room1@conference.sip.test";
    assert_eq!(read.len(), 10);
    let said = |from: &str, text: &str| (from.to_owned(), room.to_owned(), text.to_owned());
    for expected in [
        said("sip:alice@sip.test", "Hello from Alice, with UTF-8: héllo 你好"),
        said("sip:bob@sip.test", "Hi, Bob here"),
        said("sip:alice@sip.test", "with imdn"),
        said(room, "Bob <bob@sip.test> has joined the room with chat"),
    ] {
        assert!(read.contains(&expected), "{expected:?}");
    }
}
