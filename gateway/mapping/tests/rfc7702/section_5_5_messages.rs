//! RFC 7702 §5.5: messages between an XMPP user and a SIP conference.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use msrp::{Status, cpim::Cpim};
use xmpp::stanza::{MessageKind, PresenceKind, service::Join};

use crate::hall::{CONFERENCE, Hall, JULIET, JULIET_TOO, ROOM, Script, address};

fn in_conference() -> Hall {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    hall
}

// Rows: F16, F17, F18, F19, A7702-36, A7702-37, A7702-38, A7702-39, A7702-40, A7702-41, CXMPP-08, E-15, E-24
#[test]
fn f16_to_f19_the_switch_has_a_message_before_its_sender_sees_it() {
    let mut hall = in_conference();
    hall.say(JULIET, "Art thou not Romeo, and a Montague? 🌹");
    // A7702-36 to -39.
    let taken = &hall.taken[0];
    assert_eq!(taken.to[0].uri, CONFERENCE);
    assert_eq!(taken.from.as_ref().unwrap().uri, "sip:juliet@example.com");
    assert_eq!(taken.text(), Some("Art thou not Romeo, and a Montague? 🌹"));
    assert!(taken.date_time.is_some());
    // A7702-41: once, under the id it was sent with.
    assert_eq!(
        hall.heard(JULIET),
        ["JuliC: Art thou not Romeo, and a Montague? 🌹"]
    );
}

// Rows: A7702-41, A7702-46
#[test]
fn a7702_41_a_message_that_the_switch_refuses_is_not_reflected() {
    for (status, condition) in [
        (Some(Status::FORBIDDEN), "forbidden"),
        (Some(Status::STOP_SENDING), "policy-violation"),
        (Some(Status::UNSUPPORTED_MEDIA), "not-acceptable"),
    ] {
        let mut hall = in_conference();
        hall.script.send = status;
        hall.say(JULIET, "hello");
        assert_eq!(hall.heard(JULIET), [format!("message m1 to room: {condition}")]);
    }
}

// Rows: F20, F21, F22, A7702-36, A7702-43, E-21
#[test]
fn f20_to_f22_a_private_message_goes_to_the_occupant_alone() {
    let mut hall = in_conference();
    let romeo = format!("{ROOM}/Romeo");
    hall.message(JULIET, &romeo, MessageKind::Chat, Some("O Romeo"));
    assert_eq!(hall.taken[0].to[0].uri, "sip:capulet@rooms.example.net;gr=Romeo");
    assert_eq!(hall.taken[0].to.len(), 1);
    assert_eq!(hall.heard(JULIET), [""; 0]);
}

// Rows: A7702-44, E-21
#[test]
fn what_the_conference_says_is_shown_as_the_speaker_s() {
    let mut hall = in_conference();
    let romeo = "sip:capulet@rooms.example.net;gr=Romeo";
    let tag = hall.send(0, romeo, CONFERENCE, "Neither, fair saint");
    assert_eq!(hall.outcome(tag), Some(Ok(())));
    hall.send(
        0,
        romeo,
        "sip:capulet@rooms.example.net;gr=JuliC",
        "if either thee dislike",
    );
    hall.send(0, CONFERENCE, CONFERENCE, "Welcome!");
    hall.send(0, "sip:tybalt@example.org", CONFERENCE, "Peace?");
    assert_eq!(
        hall.heard(JULIET),
        [
            "Romeo: Neither, fair saint",
            "Romeo whispers: if either thee dislike",
            "room: Welcome!",
            "room: sip:tybalt@example.org: Peace?",
        ]
    );
}

// Rows: A7702-40, A7702-55
#[test]
fn a7702_40_a_switch_that_does_not_answer_is_an_error_in_time() {
    let mut hall = in_conference();
    hall.script.send = None;
    hall.say(JULIET, "hello?");
    hall.pass(Duration::from_secs(29));
    assert_eq!(hall.heard(JULIET), [""; 0]);
    hall.pass(Duration::from_secs(2));
    // The session is lost with it (RFC 4975 §7.1.1), and that is told, too.
    let heard = hall.heard(JULIET);
    assert_eq!(heard[0], "message m1 to room: remote-server-timeout");
    assert_eq!(heard.len(), 2);
    assert!(
        heard[1].starts_with("JuliC is out (none) 110 307 333"),
        "{heard:?}"
    );
}

// Rows: A7702-42, CXMPP-08, G-11
#[test]
fn a7702_42_all_clients_of_the_account_see_a_message_once() {
    let mut hall = in_conference();
    hall.enter(JULIET_TOO, "JuliC");
    hall.told.clear();
    hall.say(JULIET_TOO, "from my phone");
    assert_eq!(hall.heard(JULIET), ["JuliC: from my phone"]);
    assert_eq!(hall.heard(JULIET_TOO), ["JuliC: from my phone"]);
    hall.send(0, "sip:capulet@rooms.example.net;gr=Romeo", CONFERENCE, "hi");
    assert_eq!(hall.heard(JULIET), ["Romeo: hi"]);
    assert_eq!(hall.heard(JULIET_TOO), ["Romeo: hi"]);
}

#[test]
fn a_switch_that_sends_a_message_back_shows_it_once() {
    let mut hall = in_conference();
    hall.say(JULIET, "echo");
    let echo = hall.taken[0].clone();
    let tag = hall.send_cpim(0, &echo);
    assert_eq!(hall.outcome(tag), Some(Ok(())));
    assert_eq!(hall.heard(JULIET), ["JuliC: echo"]);
}

// Rows: A7702-46, A7702-45
#[test]
fn a7702_46_private_messages_that_are_refused_come_back() {
    let romeo = format!("{ROOM}/Romeo");
    for (status, condition) in [
        (Status::NOT_FOUND, "item-not-found"),
        (Status::PRIVATE_UNSUPPORTED, "feature-not-implemented"),
        (Status::FORBIDDEN, "forbidden"),
    ] {
        let mut hall = in_conference();
        hall.script.send = Some(status);
        hall.message(JULIET, &romeo, MessageKind::Chat, Some("psst"));
        assert_eq!(hall.heard(JULIET), [format!("message m1 to Romeo: {condition}")]);
    }
    // RFC 7701 §6.2: a switch that has not announced them is not asked.
    let mut hall = Hall::scripted(Script {
        chatroom: Some("nickname"),
        ..Script::default()
    });
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    hall.message(JULIET, &romeo, MessageKind::Chat, Some("psst"));
    assert_eq!(
        hall.heard(JULIET),
        ["message m1 to Romeo: feature-not-implemented"]
    );
    assert_eq!(hall.taken.len(), 0);
}

// Rows: G7702-06
#[test]
fn a_text_longer_than_the_switch_or_the_gateway_takes_is_refused() {
    let mut hall = Hall::scripted(Script {
        attributes: "a=max-size:1000\r\n",
        ..Script::default()
    });
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    hall.say(JULIET, &"x".repeat(900));
    hall.say(JULIET, &"x".repeat(33 * 1024));
    assert_eq!(hall.heard(JULIET), ["message m1 to room: policy-violation"; 2]);
    hall.say(JULIET, "short");
    assert_eq!(hall.heard(JULIET), ["JuliC: short"]);
}

// Rows: G-08, CXMPP-06
#[test]
fn g_08_what_was_said_before_he_entered_comes_between_roster_and_subject_with_its_time() {
    let mut hall = Hall::scripted(Script {
        subscriptions: VecDeque::from([Some(480)]),
        ..Script::default()
    });
    hall.enter(JULIET, "JuliC");
    let said = |text: &str, at: &str| Cpim {
        from: Some(address("sip:capulet@rooms.example.net;gr=Romeo")),
        to: vec![address(CONFERENCE)],
        date_time: Some(at.parse().unwrap()),
        content: Bytes::copy_from_slice(text.as_bytes()),
        ..Cpim::default()
    };
    // Who is in is not known yet.
    hall.send_cpim(0, &said("earlier", "2025-12-31T23:00:00Z"));
    hall.send_cpim(0, &said("now", "2026-01-01T00:00:00.05Z"));
    assert_eq!(hall.heard(JULIET), [""; 0]);
    hall.pass(Duration::from_secs(1));
    let heard = hall.heard(JULIET);
    assert_eq!(
        heard[2..],
        [
            "JuliC is in (participant) 110",
            "room: sip:capulet@rooms.example.net: earlier [2025-12-31T23:00:00Z]",
            "subject: Today in Verona",
            "room: sip:capulet@rooms.example.net: now",
        ]
    );
    // Later history has its time, too; who wants none gets none.
    hall.send_cpim(0, &said("even earlier", "2025-12-31T22:00:00Z"));
    assert_eq!(hall.heard(JULIET), ["Romeo: even earlier [2025-12-31T22:00:00Z]"]);
    let none = Join {
        password: None,
        no_history: true,
    };
    hall.presence(
        JULIET,
        &format!("{ROOM}/JuliC"),
        PresenceKind::Available,
        Some(none),
    );
    hall.told.clear();
    hall.send_cpim(0, &said("earliest", "2025-12-31T21:00:00Z"));
    assert_eq!(hall.heard(JULIET), [""; 0]);
}

#[test]
fn what_is_no_text_in_a_wrapper_is_refused() {
    let mut hall = in_conference();
    let romeo = "sip:capulet@rooms.example.net;gr=Romeo";
    let of_type = |kind: &str| Cpim {
        from: Some(address(romeo)),
        to: vec![address(CONFERENCE)],
        content_type: kind.to_owned(),
        content: Bytes::from_static(b"<x/>"),
        ..Cpim::default()
    };
    let raw = hall.send_raw(0, "text/plain", Bytes::from_static(b"bare"));
    let image = hall.send_cpim(0, &of_type("image/png"));
    let composing = hall.send_cpim(0, &of_type("application/im-iscomposing+xml"));
    let malformed = hall.send_raw(0, "message/cpim", Bytes::from_static(b"\xff\xff"));
    let code = |hall: &Hall, tag| hall.outcome(tag).map(|outcome| outcome.map_err(Status::code));
    assert_eq!(code(&hall, raw), Some(Err(415)));
    assert_eq!(code(&hall, image), Some(Err(415)));
    assert_eq!(code(&hall, composing), Some(Ok(())));
    assert_eq!(code(&hall, malformed), Some(Err(400)));
    assert_eq!(hall.heard(JULIET), [""; 0]);
}

// Rows: A7702-46
#[test]
fn a_failure_that_is_reported_later_comes_back_too() {
    let mut hall = in_conference();
    let romeo = format!("{ROOM}/Romeo");
    hall.message(JULIET, &romeo, MessageKind::Chat, Some("psst"));
    assert_eq!(hall.heard(JULIET), [""; 0]);
    hall.report(0, Status::NOT_FOUND);
    assert_eq!(hall.heard(JULIET), ["message m1 to Romeo: item-not-found"]);
    hall.report(0, Status::NOT_FOUND);
    assert_eq!(hall.heard(JULIET), [""; 0]);
}
