//! RFC 7702 §5.5: messages between an XMPP user and a SIP conference.

use msrp::Status;
use xmpp::stanza::MessageKind;

use crate::hall::{CONFERENCE, Hall, JULIET, ROOM};

fn in_conference() -> Hall {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    hall
}

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

#[test]
fn f20_to_f22_a_private_message_goes_to_the_occupant_alone() {
    let mut hall = in_conference();
    let romeo = format!("{ROOM}/Romeo");
    hall.message(JULIET, &romeo, MessageKind::Chat, Some("O Romeo"));
    assert_eq!(hall.taken[0].to[0].uri, "sip:capulet@rooms.example.net;gr=Romeo");
    assert_eq!(hall.taken[0].to.len(), 1);
    assert_eq!(hall.heard(JULIET), [""; 0]);
}

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
