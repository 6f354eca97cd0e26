//! RFC 7702 §5.8: an XMPP user leaves a SIP conference, or is made to.

use std::time::Duration;

use msrp::Status;
use sip::{EndCause, Reason, StatusCode};
use xmpp::stanza::{Condition, StanzaError};

use crate::hall::{CONFERENCE, Hall, JULIET, JULIET_TOO, ROOM, listed};

// Rows: F31, F32, F33, F34, A7702-52, A7702-53, A7702-54, CXMPP-13, G-03
#[test]
fn f31_to_f34_the_call_ends_with_the_words_of_the_user() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    hall.leave(JULIET, "JuliC", Some("Good night!"));
    // A7702-52, -54.
    let reason = Reason {
        cause: StatusCode(200),
        text: "Good night!".to_owned(),
    };
    assert_eq!(hall.legs[0].ended, Some(EndCause::Bye(Some(reason))));
    assert_eq!(hall.watchers, []);
    // A7702-53.
    assert_eq!(hall.heard(JULIET), ["JuliC is out (none) 110"]);
    assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
}

// Rows: G-11
#[test]
fn the_account_is_in_as_long_as_one_of_its_clients_is() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.enter(JULIET_TOO, "JuliC");
    assert_eq!(hall.invites.len(), 1);
    hall.told.clear();
    hall.leave(JULIET, "JuliC", None);
    assert_eq!(hall.heard(JULIET), ["JuliC is out (none) 110"]);
    assert_eq!(hall.heard(JULIET_TOO), [""; 0]);
    assert_eq!(hall.legs[0].ended, None);
    hall.leave(JULIET_TOO, "JuliC", None);
    assert!(hall.legs[0].ended.is_some());
}

// Rows: A7702-55, G-09
#[test]
fn a7702_55_who_is_removed_by_the_focus_hears_so() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    let reason = Reason {
        cause: StatusCode(200),
        text: "Too loud".to_owned(),
    };
    hall.bye(0, Some(reason));
    assert_eq!(
        hall.heard(JULIET),
        ["JuliC is out (none) 110 307 because Too loud"]
    );
    assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
}

// Rows: A7702-55
#[test]
fn a_lost_msrp_session_is_a_technical_removal_and_a_bye() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    hall.cut(0);
    let heard = hall.heard(JULIET);
    assert_eq!(heard.len(), 1);
    assert!(
        heard[0].starts_with("JuliC is out (none) 110 307 333"),
        "{heard:?}"
    );
    assert!(hall.legs[0].ended.is_some());
    assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
}

#[test]
fn what_the_switch_has_not_taken_by_the_end_comes_back() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    hall.script.send = None;
    hall.say(JULIET, "too late");
    hall.bye(0, None);
    assert_eq!(
        hall.heard(JULIET),
        [
            "message m1 to room: recipient-unavailable",
            "JuliC is out (none) 110 307",
        ]
    );
}

// Rows: CXMPP-15, A7702-52
#[test]
fn cxmpp_15_a_client_that_is_gone_ends_its_stay() {
    for condition in [
        Condition::Gone,
        Condition::ItemNotFound,
        Condition::RecipientUnavailable,
        Condition::RemoteServerNotFound,
        Condition::ServiceUnavailable,
    ] {
        let mut hall = Hall::new();
        hall.enter(JULIET, "JuliC");
        hall.bounce(JULIET, ROOM, StanzaError::new(condition));
        assert!(hall.legs[0].ended.is_some(), "{condition:?}");
    }
    // What a client does not like is no reason to go.
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.bounce(JULIET, ROOM, StanzaError::new(Condition::NotAcceptable));
    assert_eq!(hall.legs[0].ended, None);
}

// Rows: G-12
#[test]
fn stays_outlive_the_link_for_a_while() {
    let romeo = "sip:capulet@rooms.example.net;gr=Romeo";
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    hall.link(false);
    let tag = hall.send(0, romeo, CONFERENCE, "Where are you?");
    assert_eq!(
        hall.outcome(tag).map(|outcome| outcome.map_err(Status::code)),
        Some(Err(408))
    );
    hall.pass(Duration::from_secs(50));
    hall.link(true);
    // Who is in is told again, for what was under way is lost; the subject shows who is gone; what was missed is told.
    assert_eq!(
        hall.heard(JULIET),
        [
            "Ben is in (participant)",
            "Romeo is in (participant)",
            "JuliC is in (participant) 110",
            "subject: Today in Verona",
            "room: (messages that you may not have been shown: 1)",
        ]
    );
    hall.say(JULIET, "Here");
    assert_eq!(hall.heard(JULIET), ["JuliC: Here"]);

    hall.link(false);
    hall.pass(Duration::from_secs(61));
    assert!(hall.legs[0].ended.is_some());
    assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
    // He hears of it as soon as he can.
    hall.link(true);
    assert_eq!(hall.heard(JULIET).len(), 1);
}

#[test]
fn a_gateway_that_stops_ends_every_stay() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    let now = hall.now;
    hall.gateway.handle_shutdown(now);
    hall.run();
    assert_eq!(
        hall.heard(JULIET),
        ["JuliC is out (none) 110 307 333 because Shutting Down"]
    );
    assert!(hall.legs[0].ended.is_some());
    assert!(hall.gateway.is_idle());
    hall.enter(JULIET, "JuliC");
    assert_eq!(hall.heard(JULIET), ["presence p1 to JuliC: service-unavailable"]);
}

#[test]
fn who_left_while_the_link_was_away_is_said_to_have_left() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    hall.link(false);
    hall.unlist("sip:capulet@rooms.example.net;gr=Romeo");
    hall.pass(Duration::from_secs(10));
    hall.link(true);
    let heard = hall.heard(JULIET);
    assert!(
        heard.iter().any(|told| told.starts_with("Romeo is out")),
        "{heard:?}"
    );
    assert!(
        !heard.iter().any(|told| told.starts_with("Romeo is in")),
        "{heard:?}"
    );
}

/// Of what the link does not know to have been read, each has somebody who hears so.
#[test]
fn what_may_have_been_lost_when_the_link_broke_is_told_or_told_again() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    let (romeo, juliet) = ("sip:capulet@rooms.example.net;gr=Romeo", "sip:juliet@example.com");
    let tags = [(CONFERENCE, "aloud"), (juliet, "privately")].map(|(to, text)| hall.send(0, romeo, to, text));
    assert_eq!(tags.map(|tag| hall.outcome(tag)), [Some(Ok(())); 2]);
    hall.unlist("sip:capulet@rooms.example.net;gr=Ben");
    hall.pass(Duration::from_secs(10));
    let lost = std::mem::take(&mut hall.told);
    hall.link(false);
    for stanza in lost {
        hall.unconfirmed(stanza);
    }
    assert_eq!(hall.reported, [408], "the sender of the private one alone");
    hall.link(true);
    assert_eq!(
        hall.heard(JULIET),
        [
            "Ben is out (none)",
            "Romeo is in (participant)",
            "JuliC is in (participant) 110",
            "subject: Today in Verona",
            "room: (messages that you may not have been shown: 2)",
        ]
    );
}

#[test]
fn who_was_renamed_when_the_link_broke_is_told_so_when_it_is_back() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    hall.rename(JULIET, "Capulet");
    let lost = std::mem::take(&mut hall.told);
    hall.link(false);
    for stanza in lost {
        hall.unconfirmed(stanza);
    }
    // Meanwhile somebody else takes the nickname that she has given up.
    hall.list(listed("sip:ben@example.org", Some("JuliC")));
    hall.link(true);
    let heard = hall.heard(JULIET);
    assert_eq!(
        heard[..2],
        [
            "JuliC is out (participant) 303 110 now Capulet",
            "Capulet is in (participant) 110",
        ]
    );
    assert!(
        heard[2..].contains(&"JuliC is in (participant)".to_owned()),
        "{heard:?}"
    );
}

#[test]
fn who_left_when_the_link_broke_is_told_so_when_it_is_back() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.enter(JULIET_TOO, "JuliC");
    hall.told.clear();
    hall.leave(JULIET, "JuliC", None);
    let lost = std::mem::take(&mut hall.told);
    hall.link(false);
    for stanza in lost {
        hall.unconfirmed(stanza);
    }
    assert_eq!(hall.heard(JULIET), Vec::<String>::new());
    hall.link(true);
    assert_eq!(hall.heard(JULIET), ["JuliC is out (none) 110"]);
}
