//! RFC 7702 §5.2 and §5.6: the nickname of an XMPP user in a SIP conference.

use std::collections::VecDeque;

use mapping::ConflictRule;
use msrp::Status;

use crate::hall::{Hall, JULIET, JULIET_TOO, Script, config, listed};

fn refusing(statuses: &[Status]) -> Script {
    Script {
        nicknames: VecDeque::from(statuses.to_vec()),
        ..Script::default()
    }
}

// Rows: A7702-15, F25, F26, E-25
#[test]
fn a7702_15_a_nickname_that_is_taken_is_a_conflict_and_the_call_ends() {
    let mut hall = Hall::scripted(refusing(&[Status::NICKNAME_IN_USE]));
    hall.enter(JULIET, "Romeo");
    assert_eq!(hall.heard(JULIET), ["presence p1 to Romeo: conflict"]);
    assert!(hall.legs[0].ended.is_some());
    assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
}

// Rows: A7702-16, CXMPP-04, N7702-06
#[test]
fn a7702_16_or_he_is_given_a_variant_and_told_so() {
    let mut config = config();
    config.conflict = ConflictRule::Vary;
    let mut hall = Hall::with(
        config,
        refusing(&[Status::NICKNAME_IN_USE, Status::NICKNAME_IN_USE]),
    );
    hall.enter(JULIET, "Julia");
    assert_eq!(hall.nicknames, ["Julia", "Julia (2)", "Julia (3)"]);
    assert!(
        hall.heard(JULIET)
            .contains(&"Julia (3) is in (participant) 110 210".to_owned())
    );
}

// Rows: A7702-17, A7702-24, N7702-05, N7702-06
#[test]
fn a7702_17_a_conference_without_nicknames_is_not_asked_for_one() {
    let mut hall = Hall::scripted(Script {
        chatroom: None,
        ..Script::default()
    });
    hall.document
        .users
        .push(listed("sip:juliet@example.com", Some("Juliet C.")));
    hall.enter(JULIET, "JuliC");
    assert_eq!(hall.nicknames, [""; 0]);
    // Who he is, the focus says.
    assert!(
        hall.heard(JULIET)
            .contains(&"Juliet C. is in (participant) 110 210".to_owned())
    );
    hall.list(listed("sip:juliet@example.com", Some("Capulet")));
    assert_eq!(
        hall.heard(JULIET),
        [
            "Juliet C. is out (participant) 303 110 now Capulet",
            "Capulet is in (participant) 110",
        ]
    );
}

#[test]
fn a_switch_that_gives_nobody_a_nickname_lets_him_in_all_the_same() {
    for status in [Status::UNKNOWN_METHOD, Status::FORBIDDEN] {
        let mut hall = Hall::scripted(refusing(&[status]));
        hall.enter(JULIET, "JuliC");
        assert!(
            hall.heard(JULIET)
                .contains(&"JuliC is in (participant) 110".to_owned())
        );
        hall.rename(JULIET, "Julia");
        assert_eq!(hall.heard(JULIET), ["presence p1 to Julia: not-acceptable"]);
    }
}

// Rows: N7702-01, C7701-10
#[test]
fn a_nickname_that_is_none_is_refused_before_anybody_is_called() {
    let mut hall = Hall::new();
    let long = "x".repeat(200);
    hall.enter(JULIET, &long);
    assert_eq!(
        hall.heard(JULIET),
        [format!("presence p1 to {long}: jid-malformed")]
    );
    assert!(hall.invites.is_empty());
    let mut hall = Hall::scripted(refusing(&[Status::MALFORMED_NICKNAME]));
    hall.enter(JULIET, "JuliC");
    assert_eq!(hall.heard(JULIET), ["presence p1 to JuliC: jid-malformed"]);
}

// Rows: F23, F24, F25, F26, A7702-15, A7702-47
#[test]
fn f23_to_f26_a_conflict_leaves_the_former_nickname() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    hall.script.nicknames.push_back(Status::NICKNAME_IN_USE);
    hall.rename(JULIET, "Romeo");
    assert_eq!(hall.heard(JULIET), ["presence p1 to Romeo: conflict"]);
    hall.say(JULIET, "still me");
    assert_eq!(hall.heard(JULIET), ["JuliC: still me"]);
}

// Rows: F23, F24, A7702-47, CXMPP-11
#[test]
fn a7702_47_a_change_is_told_to_every_client_once_though_the_focus_tells_it_too() {
    let mut hall = Hall::new();
    hall.document
        .users
        .push(listed("sip:juliet@example.com", Some("JuliC")));
    hall.enter(JULIET, "JuliC");
    hall.enter(JULIET_TOO, "JuliC");
    hall.told.clear();
    hall.rename(JULIET, "Julia");
    hall.list(listed("sip:juliet@example.com", Some("Julia")));
    let pair = [
        "JuliC is out (participant) 303 110 now Julia",
        "Julia is in (participant) 110",
    ];
    assert_eq!(hall.heard(JULIET), pair);
    assert_eq!(hall.heard(JULIET_TOO), pair);
    assert_eq!(hall.nicknames, ["JuliC", "Julia"]);
    // Back to the first one: not what he entered with, but another change.
    hall.rename(JULIET, "JuliC");
    assert_eq!(hall.heard(JULIET).len(), 2);
}

// Rows: N7702-02, N7702-06
#[test]
fn n7702_06_whoever_is_called_as_the_user_is_called_otherwise() {
    let mut hall = Hall::new();
    // He has no nickname, only a display name that is like one.
    let mut paris = listed("sip:paris@example.org", Some("Julia"));
    paris.nickname = None;
    hall.document.users.push(paris);
    hall.enter(JULIET, "JuliC");
    assert!(
        hall.heard(JULIET)
            .contains(&"Julia is in (participant)".to_owned())
    );
    hall.rename(JULIET, "Julia");
    assert_eq!(
        hall.heard(JULIET),
        [
            "Julia is out (participant) 303 now Julia (2)",
            "Julia (2) is in (participant)",
            "JuliC is out (participant) 303 110 now Julia",
            "Julia is in (participant) 110",
        ]
    );
}
