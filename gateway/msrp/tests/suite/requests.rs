//! What a peer's requests get: RFC 4975 §7.2 to §7.3.2, RFC 7701 §7.1.

use std::time::Duration;

use bytes::Bytes;
use msrp::{
    Command, Event, Limits, ReportBody, SessionId, Status,
    frame::{Content, Kind, Method},
};
use proptest::prelude::*;

use crate::peer::{LOCAL, Peer, REMOTE, bodies, request, send};

fn ours() -> SessionId {
    "ours".parse().unwrap()
}

// Rows: C4975-08, C4975-03, C4975-25
#[test]
fn rfc4975_5_4_the_first_request_asks_for_the_session_and_waits() {
    let mut peer = Peer::new(Limits::default());
    let asked = peer.says(request(
        "SEND",
        "tid1",
        &["Message-ID: m001", "Byte-Range: 1-0/0"],
        "",
        '$',
    ));
    assert_eq!(
        asked,
        [Event::BindRequested {
            session: ours(),
            from: REMOTE.parse().unwrap()
        }]
    );
    assert_eq!(peer.says(send("tid2", &["Message-ID: m002"], "waiting", '$')), []);
    assert_eq!(peer.hears(), "");
    peer.bind();
    assert_eq!(bodies(&peer.events()), ["waiting"]);
    let heard = peer.hears();
    assert_eq!(
        heard,
        format!("MSRP tid1 200 OK\r\nTo-Path: {REMOTE}\r\nFrom-Path: {LOCAL}\r\n-------tid1$\r\n"),
        "in full, since nothing else may be in it"
    );
}

// Rows: C4975-09
#[test]
fn rfc4975_5_4_a_refused_session_is_answered_and_not_asked_for_again() {
    for status in [Status::NO_SESSION, Status::BOUND_ELSEWHERE] {
        let mut peer = Peer::new(Limits::default());
        peer.says(request("SEND", "tid1", &["Message-ID: m001"], "", '$'));
        peer.says(send(
            "tid2",
            &["Message-ID: m002", "Failure-Report: no"],
            "x",
            '$',
        ));
        peer.command(Command::RefuseBind {
            session: ours(),
            status,
        });
        assert_eq!(peer.hears_statuses(), [status.code()]);
        assert_eq!(peer.says(send("tid3", &["Message-ID: m003"], "x", '$')), []);
        assert_eq!(peer.hears_statuses(), [status.code()]);
        peer.bind();
        assert_eq!(
            bodies(&peer.says(send("tid4", &["Message-ID: m004"], "x", '$'))),
            ["x"]
        );
    }
}

// Rows: C4975-26, C4975-13, C4975-09, E-11
#[test]
fn rfc4975_7_3_requests_for_no_session_get_481() {
    let mut peer = Peer::bound(Limits::default());
    for to in [
        "msrp://switch.example.com:2855;tcp",
        "msrp://switch.example.com:2856/ours;tcp",
        "msrps://switch.example.com:2855/ours;tcp",
        "msrp://other.example.com:2855/ours;tcp",
        "msrp://relay.example.com:2855/r;tcp msrp://switch.example.com:2855/ours;tcp",
    ] {
        let text = send("tid1", &["Message-ID: m001"], "x", '$').replace(LOCAL, to);
        assert_eq!(peer.says(&text), [], "{to}");
        assert_eq!(peer.hears_statuses(), [481], "{to}");
        peer.says(text.replace("Message-ID", "Failure-Report: no\r\nMessage-ID"));
        assert_eq!(peer.hears(), "", "{to}");
    }
    let same = send("tid1", &["Message-ID: m001"], "x", '$').replace("msrp://switch", "MSRP://u@SWITCH");
    assert_eq!(bodies(&peer.says(same)), ["x"]);
}

// Rows: C4975-37
#[test]
fn rfc4975_6_a_session_is_asked_for_over_what_its_scheme_says() {
    let text = send("tid1", &["Message-ID: m001"], "x", '$');
    let secured = text.replace("msrp://", "msrps://");
    for (mut peer, wrong, right) in [
        (Peer::new(Limits::default()), &secured, &text),
        (Peer::secured(Limits::default()), &text, &secured),
    ] {
        assert_eq!(peer.says(wrong), []);
        assert_eq!(peer.hears_statuses(), [481]);
        assert!(matches!(peer.says(right)[..], [Event::BindRequested { .. }]));
    }
}

// Rows: C4975-25, C7701-47
#[test]
fn rfc4975_7_2_responses_to_send_go_to_the_previous_hop_and_others_the_whole_way() {
    let hops = format!("msrp://relay.example.net:2855/r;tcp {REMOTE}");
    let mut peer = Peer::bound(Limits::default());
    let events = peer.says(send("tid1", &["Message-ID: m001"], "x", '$').replace(REMOTE, &hops));
    peer.answer(events, Status::OK);
    let nickname = request("NICKNAME", "tid2", &["Use-Nickname: \"Romeo\""], "", '$');
    let events = peer.says(nickname.replace(REMOTE, &hops));
    peer.answer(events, Status::OK);
    let to: Vec<String> = peer
        .hears_frames()
        .iter()
        .map(|frame| frame.to.to_string())
        .collect();
    assert_eq!(to, ["msrp://relay.example.net:2855/r;tcp", &hops]);
}

/// RFC 4975 §7.1.3, §7.1.4, §7.2: every combination of the report headers with success and failure.
// Rows: B7702-22, C4975-20, C4975-22, C4975-23, C7701-13, C7701-36
#[test]
fn rfc4975_7_1_reports_and_responses() {
    for (failure_report, success_report, answer, expected) in [
        (None, None, 200, &[200][..]),
        (Some("yes"), Some("no"), 200, &[200]),
        (Some("yes"), Some("yes"), 200, &[200, 200]),
        (None, Some("yes"), 403, &[403]),
        (Some("no"), None, 200, &[]),
        (Some("no"), Some("yes"), 200, &[200]),
        (Some("no"), Some("yes"), 403, &[]),
        (Some("partial"), None, 200, &[]),
        (Some("partial"), Some("yes"), 200, &[200]),
        (Some("partial"), Some("yes"), 415, &[415]),
    ] {
        let mut peer = Peer::bound(Limits::default());
        let mut headers = vec!["Message-ID: m001".to_owned(), "Byte-Range: 1-*/5".to_owned()];
        headers.extend(failure_report.map(|value| format!("Failure-Report: {value}")));
        headers.extend(success_report.map(|value| format!("Success-Report: {value}")));
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let events = peer.says(send("tid1", &headers, "12345", '$'));
        let Some(Event::Received { message, .. }) = events.first() else {
            panic!("{events:?}")
        };
        assert_eq!(message.success_report, success_report == Some("yes"));
        peer.answer(events, Status::from_code(answer));
        assert_eq!(
            peer.hears_statuses(),
            expected,
            "{failure_report:?} {success_report:?} {answer}"
        );
    }
}

// Rows: C4975-21, C4975-22, C7701-36
#[test]
fn rfc4975_7_1_3_the_success_report_names_message_and_octets() {
    let mut peer = Peer::bound(Limits::default());
    let events = peer.says(send(
        "tid1",
        &["Message-ID: m001", "Success-Report: yes"],
        "12345",
        '$',
    ));
    peer.answer(events, Status::OK);
    let frames = peer.hears_frames();
    let [response, report] = &frames[..] else {
        panic!("{frames:?}")
    };
    assert_eq!(response.transaction.as_str(), "tid1");
    assert_eq!(report.kind, Kind::Request(Method::Report));
    assert_eq!(
        (report.to.to_string(), report.from.to_string()),
        (REMOTE.to_owned(), LOCAL.to_owned())
    );
    assert_eq!(report.headers.message_id.unwrap().as_str(), "m001");
    assert_eq!(report.headers.byte_range.unwrap().to_string(), "1-5/5");
    assert_eq!(
        (report.headers.success_report, report.headers.failure_report),
        (None, None)
    );
}

// Rows: C7701-31, C4975-06
#[test]
fn rfc7701_6_2_a_report_carries_the_wrapper_that_its_owner_gives_it() {
    for (octets, carried) in [(10_239, true), (10_240, true), (10_241, false)] {
        let mut peer = Peer::bound(Limits::default());
        let content = Bytes::from(vec![b'x'; octets]);
        let body = ReportBody {
            content_type: "message/cpim",
            content: content.clone(),
        };
        let mut events = peer.says(send(
            "tid1",
            &["Message-ID: m001", "Success-Report: yes"],
            "12345",
            '$',
        ));
        let Some(Event::Received { due, .. }) = events.pop() else {
            panic!("{events:?}")
        };
        peer.command(Command::Answer {
            due: due.report_with(body.clone()),
            status: Status::OK,
        });
        peer.command(Command::Report {
            session: ours(),
            message: "m001".parse().unwrap(),
            octets: 5,
            status: Status::NOT_FOUND,
            body: Some(body),
        });
        let frames = peer.hears_frames();
        assert_eq!(frames.len(), 3);
        for report in &frames[1..] {
            let expected = match carried {
                true => Content::Body(content.clone()),
                false => Content::None,
            };
            assert_eq!(report.content, expected, "{octets}");
        }
    }
}

#[test]
fn local_statuses_and_nonsense_never_reach_the_wire() {
    for status in [Status::CONGESTED, Status::CONNECTION_LOST, Status::new(7, "x")] {
        let mut peer = Peer::bound(Limits::default());
        let events = peer.says(send("tid1", &["Message-ID: m001"], "x", '$'));
        peer.answer(events, status);
        assert_eq!(peer.hears_statuses(), [408]);
    }
}

// Rows: C4975-21, C4975-29, C4975-36, C4975-38, E-12
#[test]
fn requests_that_cannot_be_understood_are_answered_and_the_connection_goes_on() {
    let mut peer = Peer::bound(Limits::default());
    for (text, statuses) in [
        (request("AUTH", "tid1", &[], "", '$'), &[501][..]),
        (
            request("FROBNICATE", "tid1", &["Failure-Report: no"], "", '$'),
            &[501],
        ),
        (send("tid1", &[], "no id", '$'), &[400]),
        (send("tid1", &["Message-ID: bad id"], "x", '$'), &[400]),
        (
            send("tid1", &["Message-ID: m001", "Byte-Range: one-two/3"], "x", '$'),
            &[400],
        ),
        (
            request("SEND", "tid1", &["Message-ID: m001"], "\r\nno type\r\n", '$'),
            &[400],
        ),
        (
            send("tid1", &["Message-ID: m001", "Byte-Range: 0-1/1"], "x", '$'),
            &[423],
        ),
        (
            send("tid1", &["Message-ID: m001", "Byte-Range: 9-3/20"], "x", '+'),
            &[423],
        ),
        (
            send("tid1", &["Message-ID: m001", "Byte-Range: 1-30/20"], "x", '$'),
            &[423],
        ),
        (
            send(
                "tid1",
                &["Message-ID: m001", "Byte-Range: 18446744073709551615-*/*"],
                "x",
                '+',
            ),
            &[413],
        ),
        (
            send(
                "tid1",
                &["Message-ID: m001", "Byte-Range: 1-*/99999999999"],
                "x",
                '+',
            ),
            &[413],
        ),
        (
            request("SEND", "tid1", &["Keep-Alive: yes", "Byte-Range: 1-0/0"], "", '$'),
            &[200],
        ),
        (request("REPORT", "tid1", &["Status: 000 200 OK"], "", '$'), &[]),
        (
            request(
                "REPORT",
                "tid1",
                &["Message-ID: m001", "Status: nonsense"],
                "",
                '$',
            ),
            &[],
        ),
        (
            format!("MSRP tid9 200 OK\r\nTo-Path: {LOCAL}\r\nFrom-Path: {REMOTE}\r\n-------tid9$\r\n"),
            &[],
        ),
    ] {
        assert_eq!(peer.says(&text), [], "{text}");
        assert_eq!(peer.hears_statuses(), statuses, "{text}");
    }
}

// Rows: C7701-40, C7701-41, C7701-45, E-31, E-35
#[test]
fn rfc7701_7_1_nickname_requests() {
    let mut peer = Peer::bound(Limits::default());
    let long = format!("Use-Nickname: \"{}\"", "x".repeat(1024));
    for (headers, statuses) in [
        (&[][..], &[424][..]),
        (&["Use-Nickname: \"open"], &[424]),
        (&["Use-Nickname: \"a\" \"b\""], &[424]),
        (&["Use-Nickname: "], &[424]),
        (&["Use-Nickname: \"a\"", "Use-Nickname: \"b\""], &[424]),
        (&[&long], &[424]),
        (&["Use-Nickname: \"a\"", "Success-Report: no"], &[400]),
        (&["Use-Nickname: \"a\"", "Failure-Report: no"], &[400]),
    ] {
        assert_eq!(peer.says(request("NICKNAME", "tid1", headers, "", '$')), []);
        assert_eq!(peer.hears_statuses(), statuses, "{headers:?}");
    }
    for (header, expected) in [
        ("Use-Nickname: \"\"", ""),
        ("Use-Nickname: Ali Baba", "Ali Baba"),
        ("Use-Nickname: \"\\\"\\\\\"", "\"\\"),
    ] {
        let events = peer.says(request("NICKNAME", "tid1", &[header], "", '$'));
        let [
            Event::NicknameRequested {
                session,
                nickname,
                due,
            },
        ] = &events[..]
        else {
            panic!("{events:?}")
        };
        assert_eq!(
            (session, nickname.as_str(), due.session()),
            (&ours(), expected, &ours())
        );
        peer.answer(events, Status::NICKNAME_IN_USE);
        assert_eq!(peer.hears_statuses(), [425]);
    }
}

// Rows: C4975-06
#[test]
fn rfc4975_7_1_the_body_of_another_request_has_at_most_10240_octets() {
    let mut peer = Peer::bound(Limits::default());
    for (octets, accepted) in [(10_239, true), (10_240, true), (10_241, false), (70_000, false)] {
        let content = format!("Content-Type: text/plain\r\n\r\n{}\r\n", "x".repeat(octets));
        let events = peer.says(request(
            "NICKNAME",
            "tid1",
            &["Use-Nickname: \"a\""],
            &content,
            '$',
        ));
        assert_eq!(events.len(), usize::from(accepted), "{octets}");
        peer.answer(events, Status::OK);
        assert_eq!(peer.hears_statuses(), [if accepted { 200 } else { 400 }]);
    }
}

// Rows: C4975-11, E-13
#[test]
fn rfc4975_5_4_a_duplicate_is_answered_again_and_not_delivered_again() {
    let mut peer = Peer::bound(Limits::default());
    let headers = ["Message-ID: m001", "Success-Report: yes"];
    let events = peer.says(send("tid1", &headers, "x", '$'));
    assert_eq!(peer.says(send("tid2", &headers, "x", '$')), []);
    assert_eq!(peer.hears(), "");
    peer.answer(events, Status::OK);
    let answered: Vec<String> = peer
        .hears_frames()
        .iter()
        .map(|frame| frame.transaction.to_string())
        .collect();
    assert_eq!(answered[..2], ["tid1", "tid2"]);
    assert_eq!(peer.says(send("tid3", &headers, "x", '$')), []);
    assert_eq!(peer.hears_statuses(), [200, 200]);
}

#[test]
fn a_refused_message_may_be_sent_again() {
    let mut peer = Peer::bound(Limits::default());
    let events = peer.says(send("tid1", &["Message-ID: m001"], "x", '$'));
    peer.answer(events, Status::TIMEOUT);
    assert_eq!(
        bodies(&peer.says(send("tid2", &["Message-ID: m001"], "x", '$'))),
        ["x"]
    );
}

// Rows: C7701-34
#[test]
fn after_unbind_what_waits_and_what_comes_gets_481() {
    let mut peer = Peer::bound(Limits::default());
    let events = peer.says(send("tid1", &["Message-ID: m001"], "x", '$'));
    peer.command(Command::Unbind(ours()));
    assert_eq!(peer.hears_statuses(), [481]);
    peer.answer(events, Status::OK);
    assert_eq!(peer.hears(), "");
    assert_eq!(peer.says(send("tid2", &["Message-ID: m002"], "x", '$')), []);
    assert_eq!(peer.hears_statuses(), [481]);
}

// Rows: C7701-01, C4975-10
#[test]
fn several_sessions_do_not_touch_each_other() {
    let mut peer = Peer::bound(Limits::default());
    let other = |text: String| text.replace("/ours;", "/other;");
    let asked = peer.says(other(send(
        "tid1",
        &["Message-ID: m001", "Byte-Range: 1-*/*"],
        "other ",
        '+',
    )));
    assert!(matches!(asked[..], [Event::BindRequested { .. }]));
    peer.says(send(
        "tid2",
        &["Message-ID: m001", "Byte-Range: 1-*/*"],
        "ours ",
        '+',
    ));
    peer.command(Command::Bind(msrp::SessionParameters {
        local: LOCAL.replace("/ours;", "/other;").parse().unwrap(),
        remote: REMOTE.parse().unwrap(),
    }));
    let ours = peer.says(send(
        "tid3",
        &["Message-ID: m001", "Byte-Range: 6-*/*"],
        "text",
        '$',
    ));
    assert_eq!(bodies(&ours), ["ours text"]);
    let others = peer.says(other(send(
        "tid4",
        &["Message-ID: m001", "Byte-Range: 7-*/*"],
        "text",
        '$',
    )));
    assert_eq!(bodies(&others), ["other text"]);
}

#[test]
fn broken_framing_ends_every_session_and_the_connection() {
    let mut peer = Peer::bound(Limits::default());
    peer.command(Command::Send {
        session: ours(),
        message: crate::pair::message(1, "x"),
    });
    let events = peer.says("HTTP/1.1 400 Bad Request\r\n");
    let [
        Event::Failed { status, .. },
        Event::Lost {
            cause: msrp::LostCause::Malformed,
            ..
        },
        Event::Faulted(fault),
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((fault.offset, *status), (0, Status::CONNECTION_LOST));
    assert_eq!(peer.says(send("tid1", &["Message-ID: m001"], "x", '$')), []);
    peer.connection.handle_closed(peer.now);
    assert_eq!(
        (peer.events(), peer.hears(), peer.connection.poll_timeout()),
        (vec![], String::new(), None)
    );
}

proptest! {
    #[test]
    fn random_bytes_never_panic(
        pieces in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..50),
                prop::sample::select(vec![
                    send("tid1", &["Message-ID: m001", "Byte-Range: 1-*/*"], "abc", '+'),
                    send("tid1", &["Message-ID: m001", "Byte-Range: 3-*/9"], "abc", '$'),
                    request("NICKNAME", "tid2", &["Use-Nickname: \"a\""], "", '$'),
                    request("REPORT", "tid3", &["Message-ID: m001", "Status: 000 481"], "", '$'),
                    request("SEND", "tid4", &[], "", '#'),
                ]).prop_map(String::into_bytes),
            ],
            0..12,
        ),
    ) {
        let mut peer = Peer::bound(Limits::default());
        peer.command(Command::Send { session: ours(), message: crate::pair::message(1, vec![b'x'; 20_000]) });
        for piece in pieces {
            let events = peer.says(piece);
            peer.answer(events, Status::OK);
            peer.hears();
            peer.pass(Duration::from_secs(7));
        }
    }
}
