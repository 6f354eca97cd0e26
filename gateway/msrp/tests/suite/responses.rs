//! What becomes of our own requests: RFC 4975 §7.1.1, §7.3.2, §10.

use std::time::Duration;

use msrp::{
    Command, Event, FailureReport, Limits, LostCause, MessageTag, OutgoingMessage, SessionId, Status,
    frame::{Frame, Kind, Method},
};

use crate::{
    pair::message,
    peer::{LOCAL, Peer, REMOTE, request},
};

fn ours() -> SessionId {
    "ours".parse().unwrap()
}

fn bound_and_sending(
    messages: impl IntoIterator<Item = OutgoingMessage>,
    limits: Limits,
) -> (Peer, Vec<Frame>) {
    let mut peer = Peer::bound(limits);
    for message in messages {
        peer.command(Command::Send {
            session: ours(),
            message,
        });
    }
    let frames = peer.hears_frames();
    assert!(
        frames
            .iter()
            .all(|frame| frame.kind == Kind::Request(Method::Send))
    );
    (peer, frames)
}

fn response(request: &Frame, status: &str) -> String {
    let id = request.transaction;
    format!("MSRP {id} {status}\r\nTo-Path: {LOCAL}\r\nFrom-Path: {REMOTE}\r\n-------{id}$\r\n")
}

fn report(status: &str) -> String {
    request(
        "REPORT",
        "tid1",
        &[
            "Message-ID: message-1",
            "Byte-Range: 1-1/1",
            &format!("Status: 000 {status}"),
        ],
        "",
        '$',
    )
}

fn failed(tag: u64, code: u16) -> Event {
    Event::Failed {
        session: ours(),
        tag: MessageTag(tag),
        status: Status::from_code(code),
    }
}

fn delivered(tag: u64) -> Event {
    Event::Delivered {
        session: ours(),
        tag: MessageTag(tag),
    }
}

// Rows: C4975-36, CSIP-17
#[test]
fn rfc4975_10_answers_to_a_message() {
    for code in [200, 299, 400, 403, 408, 413, 415, 423, 428, 501, 599] {
        let (mut peer, frames) = bound_and_sending([message(1, "x")], Limits::default());
        let expected = if code < 300 { delivered(1) } else { failed(1, code) };
        assert_eq!(peer.says(response(&frames[0], &code.to_string())), [expected]);
        assert_eq!(peer.says(response(&frames[0], "200 OK")), [], "answered twice");
        assert_eq!(peer.connection.poll_timeout(), None);
        peer.command(Command::Send {
            session: ours(),
            message: message(2, "y"),
        });
        assert_eq!(peer.hears_frames().len(), 1, "the session goes on");
    }
}

// Rows: C4975-36
#[test]
fn rfc4975_10_8_and_10_10_end_the_session() {
    for code in [481, 506] {
        let (mut peer, frames) = bound_and_sending([message(1, "x"), message(2, "y")], Limits::default());
        let lost = Event::Lost {
            session: ours(),
            cause: LostCause::Rejected(Status::from_code(code)),
        };
        assert_eq!(
            peer.says(response(&frames[0], &code.to_string())),
            [failed(1, code), failed(2, code), lost]
        );
        assert_eq!(peer.says(response(&frames[1], "200")), []);
    }
}

// Rows: C4975-36
#[test]
fn rfc4975_10_5_after_a_refusal_no_further_chunk_of_the_message_is_sent() {
    for code in [413, 415] {
        let limits = Limits {
            unanswered: 2,
            ..Limits::default()
        };
        let (mut peer, frames) =
            bound_and_sending([message(1, vec![b'x'; 60_000]), message(2, "next")], limits);
        assert_eq!(frames.len(), 2);
        assert_eq!(
            peer.says(response(&frames[0], &code.to_string())),
            [failed(1, code)]
        );
        let next = peer.hears_frames();
        assert_eq!(
            (next.len(), next[0].headers.message_id.unwrap().as_str()),
            (1, "message-2")
        );
        assert_eq!(peer.says(response(&frames[1], "413")), []);
        assert_eq!(peer.says(response(&next[0], "200")), [delivered(2)]);
        assert_eq!(peer.connection.outgoing_octets(), 0);
    }
}

#[test]
fn so_many_chunks_are_sent_ahead_as_the_limit_says() {
    for unanswered in 1..5 {
        let limits = Limits {
            unanswered,
            ..Limits::default()
        };
        let (mut peer, mut frames) = bound_and_sending([message(1, vec![b'x'; 8192 * 10])], limits);
        let mut answered = 0;
        while answered < 10 {
            assert_eq!(frames.len(), unanswered.min(10 - answered));
            let frame = frames.remove(0);
            let events = peer.says(response(&frame, "200 OK"));
            answered += 1;
            assert_eq!(
                events,
                if answered == 10 {
                    vec![delivered(1)]
                } else {
                    vec![]
                }
            );
            frames.extend(peer.hears_frames());
        }
    }
}

// Rows: C4975-23
#[test]
fn rfc4975_7_1_1_without_failure_reports_a_message_is_delivered_when_handed_over() {
    for failure_report in [FailureReport::No, FailureReport::Partial] {
        let sent = OutgoingMessage {
            failure_report,
            ..message(1, vec![b'x'; 10_000])
        };
        let (mut peer, frames) = bound_and_sending([sent], Limits::default());
        assert_eq!(
            (frames.len(), frames[0].headers.failure_report),
            (2, Some(failure_report))
        );
        assert_eq!(peer.events(), [delivered(1)]);
        assert_eq!(peer.pass(Duration::from_secs(31)), [], "no deadline");
    }
}

#[test]
fn rfc4975_7_1_1_a_late_failure_of_a_partial_message_is_reported() {
    let sent = OutgoingMessage {
        failure_report: FailureReport::Partial,
        ..message(1, "x")
    };
    let (mut peer, frames) = bound_and_sending([sent], Limits::default());
    assert_eq!(peer.events(), [delivered(1)]);
    let status = Status::UNSUPPORTED_MEDIA;
    let reported = Event::Reported {
        session: ours(),
        message: message(1, "").id,
        status,
    };
    assert_eq!(peer.says(response(&frames[0], "415")), [reported]);
}

// Rows: C4975-21
#[test]
fn rfc4975_7_1_3_success_reports_are_asked_for_and_passed_on() {
    let sent = OutgoingMessage {
        success_report: true,
        ..message(1, "x")
    };
    let (mut peer, frames) = bound_and_sending([sent], Limits::default());
    assert_eq!(frames[0].headers.success_report, Some(true));
    assert_eq!(peer.says(response(&frames[0], "200 OK")), [delivered(1)]);
    let reported = Event::Reported {
        session: ours(),
        message: message(1, "").id,
        status: Status::OK,
    };
    assert_eq!(peer.says(report("200 OK")), [reported]);
    assert_eq!(peer.hears(), "", "RFC 4975 §7.1.2: a REPORT is never answered");
}

// Rows: C4975-29
#[test]
fn rfc4975_7_3_2_a_report_means_what_a_response_means() {
    let (mut peer, frames) = bound_and_sending([message(1, "x")], Limits::default());
    let reported = |status| Event::Reported {
        session: ours(),
        message: message(1, "").id,
        status: Status::from_code(status),
    };
    assert_eq!(
        peer.says(report("403 Forbidden")),
        [failed(1, 403), reported(403)]
    );
    assert_eq!(peer.says(response(&frames[0], "200 OK")), []);
    let lost = Event::Lost {
        session: ours(),
        cause: LostCause::Rejected(Status::NO_SESSION),
    };
    assert_eq!(peer.says(report("481")), [reported(481), lost]);
    assert_eq!(peer.says(report("200")), [], "a REPORT for no session is ignored");
    assert_eq!(peer.hears(), "");
}

#[test]
fn a_report_in_a_namespace_that_nobody_knows_is_ignored() {
    let mut peer = Peer::bound(Limits::default());
    assert_eq!(
        peer.says(request(
            "REPORT",
            "tid1",
            &["Message-ID: m001", "Status: 001 481"],
            "",
            '$'
        )),
        []
    );
    assert_eq!(peer.hears(), "");
}

#[test]
fn answers_for_an_earlier_session_of_the_same_id_do_not_count() {
    let (mut peer, frames) = bound_and_sending([message(1, "x")], Limits::default());
    peer.command(Command::Unbind(ours()));
    peer.bind();
    peer.command(Command::Send {
        session: ours(),
        message: message(1, "y"),
    });
    let again = peer.hears_frames();
    assert_eq!(peer.events(), [failed(1, 481)]);
    assert_eq!(peer.says(response(&frames[0], "481")), []);
    assert_eq!(peer.says(response(&again[0], "200")), [delivered(1)]);
}

#[test]
fn commands_for_no_session_fail_at_once() {
    let mut peer = Peer::new(Limits::default());
    let (session, tag) = (ours(), MessageTag(1));
    peer.command(Command::Send {
        session: session.clone(),
        message: message(1, "x"),
    });
    peer.command(Command::Nickname {
        session: session.clone(),
        tag,
        nickname: "x".into(),
    });
    peer.command(Command::RefuseBind {
        session: session.clone(),
        status: Status::NO_SESSION,
    });
    peer.command(Command::Unbind(session.clone()));
    let answered = Event::NicknameAnswered {
        session,
        tag,
        status: Status::NO_SESSION,
    };
    assert_eq!(peer.events(), [failed(1, 481), answered]);
    assert_eq!(peer.hears(), "");
}

#[test]
fn a_session_that_waits_for_bind_is_lost_with_the_connection() {
    let mut peer = Peer::new(Limits::default());
    peer.says(request("SEND", "tid1", &["Message-ID: m001"], "", '$'));
    peer.connection.handle_closed(peer.now);
    let lost = Event::Lost {
        session: ours(),
        cause: LostCause::Disconnected,
    };
    assert_eq!(peer.events(), [lost, Event::Closed]);
    peer.bind();
    assert_eq!(
        peer.events(),
        [Event::Lost {
            session: ours(),
            cause: LostCause::Disconnected
        }]
    );
}

#[test]
fn a_bound_session_cannot_be_refused() {
    let mut peer = Peer::bound(Limits::default());
    peer.command(Command::RefuseBind {
        session: ours(),
        status: Status::NO_SESSION,
    });
    peer.says(request("SEND", "tid1", &["Message-ID: m001"], "", '$'));
    assert_eq!(peer.hears_statuses(), [200]);
}

/// One sender of a round is stopped by its window; a REPORT that fails its message lets the next one go.
#[test]
fn a_report_that_fails_a_message_frees_its_place() {
    let limits = Limits {
        unanswered: 1,
        ..Limits::default()
    };
    let unreported = OutgoingMessage {
        failure_report: FailureReport::No,
        ..message(2, "next")
    };
    let (mut peer, frames) = bound_and_sending([message(1, vec![b'x'; 20_000]), unreported], limits);
    assert_eq!(frames.len(), 1);
    let reported = Event::Reported {
        session: ours(),
        message: message(1, "").id,
        status: Status::STOP_SENDING,
    };
    assert_eq!(peer.says(report("413")), [failed(1, 413), reported]);
    assert_eq!(peer.hears_frames().len(), 1);
    assert_eq!(peer.events(), [delivered(2)]);
}
