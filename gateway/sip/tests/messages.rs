//! Messages: reading, writing, framing.

use bytes::Bytes;
use sip::message::{CSeq, Message, Method, NameAddr, StatusCode, StreamDecoder, StreamItem, Uri, Via};

const INVITE: &str = "INVITE sip:capulet@rooms.example.com;transport=tcp SIP/2.0\r\n\
v: SIP/2.0/UDP 192.0.2.4:5070;rport;branch=z9hG4bKnashds8;received=192.0.2.9, SIP/2.0/TCP [2001:db8::9]:5060;branch=z9hG4bK1\r\n\
Max-Forwards: 70\r\n\
f: \"Romeo, M.\" <sip:romeo@example.org>;tag=43\r\n\
t: <sip:capulet@rooms.example.com>\r\n\
i: a84b4c76e66710\r\n\
CSeq : 314159\r\n INVITE\r\n\
m: <sip:romeo@192.0.2.4;gr=a%20b>;+sip.instance=\"<urn:uuid:1>\", <sip:x@y>\r\n\
l: 4\r\n\r\nv=0\r\n";

#[test]
fn request_is_read_and_written() {
    let Message::Request(request) = Message::parse(&Bytes::from_static(INVITE.as_bytes())).unwrap() else {
        panic!("a request")
    };
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
    assert_eq!(vias[0].rport, Some(None));
    assert_eq!(vias[0].received, Some("192.0.2.9".parse().unwrap()));
    assert_eq!((&*vias[1].host, vias[1].port), ("2001:db8::9", Some(5060)));
    let from: NameAddr = request.headers.get("From").unwrap().parse().unwrap();
    assert_eq!(from.display_name.as_deref(), Some("Romeo, M."));
    assert_eq!(request.headers.list("Contact").count(), 2);
    let again = Message::parse(&request.to_bytes()).unwrap();
    let Message::Request(again) = again else {
        panic!("a request")
    };
    assert_eq!(again.to_bytes(), request.to_bytes());
    let answer = again.answer(StatusCode(200), Some("t1"));
    assert!(Message::parse(&answer.to_bytes()).is_ok());
    assert_eq!(
        answer.headers.get("To"),
        Some("<sip:capulet@rooms.example.com>;tag=t1")
    );
}

#[test]
fn stream_is_cut() {
    let mut decoder = StreamDecoder::new(sip::Limits::default());
    decoder.feed(b"\r\n\r\n");
    decoder.feed(INVITE.as_bytes());
    decoder.feed(INVITE.as_bytes());
    assert_eq!(decoder.poll(), Some(StreamItem::KeepAlive));
    let whole = &INVITE.as_bytes()[..INVITE.len() - 1];
    assert_eq!(
        decoder.poll(),
        Some(StreamItem::Message(Bytes::copy_from_slice(whole)))
    );
}

#[test]
fn uri_is_taken_apart() {
    let uri: Uri = "sips:romeo:pw@Example.ORG:5061;lr;gr=x%20y?a=b".parse().unwrap();
    assert_eq!(
        (uri.scheme(), uri.user(), uri.host(), uri.port()),
        ("sips", Some("romeo"), "example.org", Some(5061))
    );
    assert_eq!(uri.parameter("lr"), Some(""));
    assert_eq!(uri.parameter_decoded("gr").as_deref(), Some("x y"));
    assert_eq!(uri.address_of_record().to_string(), "sips:romeo@Example.ORG:5061");
    let room = Uri::new(Some("a b@c"), "2001:DB8::1", Some(5060)).with_parameter("gr", Some("é;"));
    assert_eq!(room.to_string(), "sip:a%20b%40c@[2001:DB8::1]:5060;gr=%C3%A9%3B");
    assert_eq!(room, room.to_string().parse().unwrap());
    assert_ne!(room, room.address_of_record());
}
