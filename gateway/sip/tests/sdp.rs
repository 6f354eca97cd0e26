//! Session descriptions: read, offered, answered.

use proptest::prelude::*;
use sip::sdp::{Line, SdpFault, Session};

const OFFER: &str = "v=0\r\no=romeo 2890844526 2890844527 IN IP4 x2s.example.org\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=3034423619 3042462419\r\n\
a=setup:active\r\n\
m=audio 49170 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\n\
m=message 7313 TCP/MSRP *\r\nc=IN IP6 2001:db8::9/127\r\na=accept-types:message/cpim text/plain\r\n\
a=path:msrp://x2s.example.org:7313/ansp71weztas;tcp\r\na=chatroom:nickname private-messages\r\na=sendrecv\r\n\
m=video 0 RTP/AVP 31\r\n";

fn line() -> Line {
    Line {
        host: "192.0.2.7".into(),
        port: 2855,
        protocol: "TCP/MSRP",
        attributes: vec![
            ("accept-types", Some("message/cpim".into())),
            ("path", Some("msrp://192.0.2.7:2855/s;tcp".into())),
            ("isfocus", None),
        ],
    }
}

// Rows: E-06
#[test]
fn media_are_read_with_their_address_and_attributes() {
    let session = Session::parse(OFFER.as_bytes()).unwrap();
    let media = session.media();
    let places: Vec<_> = media
        .iter()
        .map(|media| {
            (
                &*media.kind,
                media.port,
                &*media.protocol,
                media.address.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            ("audio", 49170, "RTP/AVP", Some("192.0.2.1")),
            ("message", 7313, "TCP/MSRP", Some("2001:db8::9")),
            ("video", 0, "RTP/AVP", Some("192.0.2.1")),
        ]
    );
    assert_eq!(
        media[1].attribute("path"),
        Some("msrp://x2s.example.org:7313/ansp71weztas;tcp")
    );
    assert_eq!(media[1].attribute("sendrecv"), Some(""));
    assert_eq!(media[1].attribute("recvonly"), None);
    assert_eq!(media[1].attribute("setup"), None);
    assert_eq!(session.attribute("setup"), Some("active"));
}

// Rows: CSIP-06, CSIP-21, E-04
#[test]
fn an_answer_keeps_the_lines_and_refuses_the_others() {
    let answer = Session::parse(OFFER.as_bytes()).unwrap().answer(1, &line(), 5, 6);
    assert_eq!(
        String::from_utf8(answer).unwrap(),
        "v=0\r\no=- 5 6 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=3034423619 3042462419\r\n\
         m=audio 0 RTP/AVP 0 8\r\n\
         m=message 2855 TCP/MSRP *\r\na=accept-types:message/cpim\r\na=path:msrp://192.0.2.7:2855/s;tcp\r\na=isfocus\r\n\
         m=video 0 RTP/AVP 31\r\n"
    );
}

// Rows: CSIP-06
#[test]
fn what_was_offered_refused_stays_refused() {
    let session = Session::parse(OFFER.as_bytes()).unwrap();
    for index in [2, 3] {
        let answer = Session::parse(&session.answer(index, &line(), 1, 1)).unwrap();
        let ports: Vec<_> = answer.media().iter().map(|media| media.port).collect();
        assert_eq!(ports, [0, 0, 0], "{index}");
    }
}

// Rows: C4975-30, E-04, E-06
#[test]
fn an_offer_is_complete() {
    let offer = |host: &str| {
        let line = Line {
            host: host.into(),
            ..line()
        };
        String::from_utf8(Session::offer(&line, 1, 2)).unwrap()
    };
    assert!(offer("192.0.2.7").starts_with(
        "v=0\r\no=- 1 2 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=message 2855 TCP/MSRP *\r\na=accept-types:"
    ));
    assert!(offer("2001:db8::7").contains("c=IN IP6 2001:db8::7\r\n"));
    assert!(offer("[2001:db8::7]").contains("o=- 1 2 IN IP6 2001:db8::7\r\n"));
    assert!(offer("x2m.example.com").contains("c=IN IP4 x2m.example.com\r\n"));
}

// Rows: E-04
#[test]
fn what_peers_leave_out_is_tolerated_but_not_the_origin() {
    for (body, fine) in [
        ("v=0\r\no=- 1 1 IN IP4 a\r\n", true),
        (
            "v=0\no=- 1 1 IN IP4 a\nm=message 1 TCP/MSRP *\na=path:msrp://a/s;tcp",
            true,
        ),
        (
            "v=0\r\no=- 1 1 IN IP4 a\r\nc=IN IP4 a\r\ns=x\r\nm=message 1 TCP/MSRP *\r\n",
            true,
        ),
        ("v=0\r\ns=-\r\nm=message 1 TCP/MSRP *\r\n", false),
        ("o=- 1 1 IN IP4 a\r\n", false),
        ("v=1\r\no=- 1 1 IN IP4 a\r\n", false),
        ("v=0\r\no=-\r\n", false),
        ("v=0\r\no=- 1 1 IN IP4 a\r\nm=message x TCP/MSRP *\r\n", false),
        ("v=0\r\no=- 1 1 IN IP4 a\r\nm=message 65536 TCP/MSRP *\r\n", false),
        ("", false),
        ("{\"sdp\":1}", false),
    ] {
        assert_eq!(Session::parse(body.as_bytes()).is_ok(), fine, "{body:?}");
    }
}

#[test]
fn limits_at_minus_one_none_and_plus_one() {
    let start = "v=0\r\no=- 1 1 IN IP4 a\r\n";
    let sized = |octets: usize| format!("{start}i={}\r\n", "x".repeat(octets - start.len() - 4));
    let media = |count: usize| format!("{start}{}", "m=audio 1 RTP/AVP 0\r\n".repeat(count));
    let attributes = |count: usize| {
        format!(
            "{start}a=x\r\nm=audio 1 RTP/AVP 0\r\n{}m=audio 1 RTP/AVP 0\r\na=y\r\n",
            "a=z\r\n".repeat(count - 2)
        )
    };
    for (step, fits) in [(0, true), (1, true), (2, false)] {
        let fault = |text: String| Session::parse(text.as_bytes()).err();
        let expected = |rule: &'static str| (!fits).then_some(SdpFault(rule));
        assert_eq!(fault(sized(16 * 1024 - 1 + step)), expected("over 16 KiB"));
        assert_eq!(fault(media(15 + step)), expected("over 16 media"));
        assert_eq!(fault(attributes(255 + step)), expected("over 256 attributes"));
    }
}

proptest! {
    #[test]
    fn any_octets_are_read_without_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Session::parse(&body);
    }

    #[test]
    fn a_mutated_offer_is_read_without_panic(edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut body = OFFER.as_bytes().to_vec();
        for (place, octet) in edits {
            let place = place.index(body.len());
            body[place] = octet;
        }
        if let Ok(session) = Session::parse(&body) {
            let lines = session.media().len();
            let answer = Session::parse(&session.answer(1, &line(), 1, 1)).unwrap();
            prop_assert_eq!(answer.media().len(), lines);
        }
    }

    #[test]
    fn no_text_of_ours_begins_another_line(host: String, value: String) {
        let line = Line { host, attributes: vec![("path", Some(value))], ..line() };
        let offer = String::from_utf8(Session::offer(&line, 1, 1)).unwrap();
        prop_assert_eq!(offer.matches('\n').count(), 7);
        prop_assert_eq!(offer.matches('\r').count(), 7);
    }
}
