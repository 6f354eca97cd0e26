//! RFC 7702 §5.3 and §5.4: the conference's documents become presence.

use std::{collections::VecDeque, time::Duration};

use sip::conference::{Document, EndpointStatus, State, User};

use crate::hall::{CONFERENCE, Hall, JULIET, Script, listed};

fn in_conference() -> Hall {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    hall
}

fn partial(users: Vec<User>) -> Document {
    Document {
        entity: CONFERENCE.to_owned(),
        state: State::Partial,
        users,
        ..Document::default()
    }
}

const MERCUTIO: &str = "sip:mercutio@example.org";

// Rows: A7702-35, CXMPP-11
#[test]
fn a7702_35_full_documents_alone_are_enough() {
    let mut hall = in_conference();
    hall.list(listed(MERCUTIO, Some("Mercutio")));
    hall.unlist("sip:capulet@rooms.example.net;gr=Ben");
    hall.list(listed(MERCUTIO, Some("Queen Mab")));
    hall.notify(None);
    assert_eq!(
        hall.heard(JULIET),
        [
            "Mercutio is in (participant)",
            "Ben is out (none)",
            "Mercutio is out (participant) 303 now Queen Mab",
            "Queen Mab is in (participant)",
        ]
    );
}

// Rows: A7702-35, A7702-22
#[test]
fn a7702_35_partial_documents_change_what_they_name() {
    let mut hall = in_conference();
    hall.notify(Some(partial(vec![listed(MERCUTIO, Some("Mercutio"))])));
    let gone = |status| User {
        state: State::Deleted,
        status: Some(status),
        nickname: None,
        display_text: None,
        ..listed(MERCUTIO, None)
    };
    hall.notify(Some(partial(vec![gone(EndpointStatus::Booted(Some(
        "Duel".to_owned(),
    )))])));
    assert_eq!(
        hall.heard(JULIET),
        [
            "Mercutio is in (participant)",
            "Mercutio is out (none) 307 because Duel",
        ]
    );
    let mut subject = partial(Vec::new());
    subject.subject = Some("A plague".to_owned());
    hall.notify(Some(subject));
    assert_eq!(hall.heard(JULIET), ["subject: A plague"]);
}

// Rows: A7702-35
#[test]
fn a_gap_between_versions_is_filled_by_a_new_subscription() {
    let mut hall = in_conference();
    hall.watchers[0].1 += 1;
    hall.document.users.push(listed(MERCUTIO, Some("Mercutio")));
    hall.notify(Some(partial(vec![listed(
        "sip:paris@example.org",
        Some("Paris"),
    )])));
    assert_eq!(hall.subscribes.len(), 2);
    assert_eq!(hall.heard(JULIET), ["Mercutio is in (participant)"]);
    // One that is older than what is known changes nothing.
    hall.watchers[0].1 = 3;
    hall.notify(Some(partial(vec![listed(
        "sip:paris@example.org",
        Some("Paris"),
    )])));
    assert_eq!(hall.heard(JULIET), [""; 0]);
    assert_eq!(hall.subscribes.len(), 2);
}

// Rows: A7702-19
#[test]
fn a7702_19_a_focus_that_cannot_be_watched_leaves_him_alone_in_the_room() {
    for refusal in [403, 489, 603] {
        let mut hall = Hall::scripted(Script {
            subscriptions: VecDeque::from([Some(refusal)]),
            ..Script::default()
        });
        hall.enter(JULIET, "JuliC");
        assert_eq!(hall.heard(JULIET), ["JuliC is in (participant) 110", "subject: "]);
        hall.say(JULIET, "anybody?");
        assert_eq!(hall.heard(JULIET), ["JuliC: anybody?"]);
    }
}

// Rows: A7702-19, CXMPP-06
#[test]
fn a_focus_that_never_says_who_is_in_does_not_keep_him_waiting() {
    for script in [
        Script {
            notifies: false,
            ..Script::default()
        },
        Script {
            subscriptions: VecDeque::from([None]),
            ..Script::default()
        },
    ] {
        let mut hall = Hall::scripted(script);
        hall.enter(JULIET, "JuliC");
        hall.pass(Duration::from_secs(4));
        assert_eq!(hall.heard(JULIET), [""; 0]);
        hall.pass(Duration::from_secs(2));
        assert_eq!(hall.heard(JULIET), ["JuliC is in (participant) 110", "subject: "]);
        // It says so later: then it is told later.
        hall.notify(None);
        if !hall.watchers.is_empty() {
            assert_eq!(
                hall.heard(JULIET),
                [
                    "Ben is in (participant)",
                    "Romeo is in (participant)",
                    "subject: Today in Verona",
                ]
            );
        }
    }
}

#[test]
fn a_conference_that_is_about_to_begin_is_asked_again() {
    let mut hall = Hall::scripted(Script {
        subscriptions: VecDeque::from([Some(480), Some(480)]),
        ..Script::default()
    });
    hall.enter(JULIET, "JuliC");
    assert_eq!(hall.heard(JULIET), [""; 0]);
    hall.pass(Duration::from_millis(400));
    assert_eq!(hall.subscribes.len(), 3);
    assert_eq!(hall.heard(JULIET).len(), 4);
}

#[test]
fn a_subscription_that_is_lost_is_renewed() {
    let mut hall = in_conference();
    let (subscription, _) = hall.watchers[0];
    hall.watchers.clear();
    hall.focus.handle_command(
        sip::Command::Notify {
            subscription,
            state: sip::SubscriptionState::Terminated("deactivated".to_owned()),
            body: None,
        },
        hall.now,
    );
    hall.run();
    hall.document.users.push(listed(MERCUTIO, Some("Mercutio")));
    hall.pass(Duration::from_secs(6));
    assert_eq!(hall.subscribes.len(), 2);
    assert_eq!(hall.heard(JULIET), ["Mercutio is in (participant)"]);
}

/// A deployed server lists a participant as soon as he is there, and his nickname a moment later.
// Rows: A7702-23, A7702-35
#[test]
fn a_participant_without_a_name_is_waited_for() {
    let mut hall = in_conference();
    hall.list(listed(MERCUTIO, None));
    assert_eq!(hall.heard(JULIET), [""; 0]);
    hall.pass(Duration::from_secs(1));
    hall.list(listed(MERCUTIO, Some("Mercutio")));
    assert_eq!(hall.heard(JULIET), ["Mercutio is in (participant)"]);
    hall.list(listed("sip:paris@example.org", None));
    hall.pass(Duration::from_secs(3));
    assert_eq!(hall.heard(JULIET), ["paris is in (participant)"]);
    hall.unlist("sip:paris@example.org");
    assert_eq!(hall.heard(JULIET), ["paris is out (none)"]);
}

/// The same server names participants by their addresses, escapes these whole, and leaves roles and status out.
// Rows: A7702-23, A7702-24, A7702-25, A7702-44, N7702-02, E-35
#[test]
fn participants_under_plain_and_escaped_addresses_are_known() {
    let mut hall = Hall::new();
    let plain = |entity: &str, name: &str| User {
        nickname: None,
        roles: Vec::new(),
        status: None,
        ..listed(entity, Some(name))
    };
    hall.document.users = vec![
        plain("sip%3Amercutio%40example.org", "Mercutio"),
        plain("sip:juliet@example.com", "JuliC"),
        // Two of one name, which need not be unique.
        plain("sip:other@example.org", "Mercutio"),
        // One who is called as the user himself.
        plain("sip:third@example.org", "JuliC"),
    ];
    hall.enter(JULIET, "JuliC");
    assert_eq!(
        hall.heard(JULIET)[..4],
        [
            "JuliC (2) is in (participant)",
            "Mercutio is in (participant)",
            "Mercutio (2) is in (participant)",
            "JuliC is in (participant) 110",
        ]
    );
    hall.send(0, "sip:mercutio@example.org", CONFERENCE, "Ask for me tomorrow");
    hall.send(0, "sip:mercutio@example.org", "sip:juliet@example.com", "psst");
    assert_eq!(
        hall.heard(JULIET),
        ["Mercutio: Ask for me tomorrow", "Mercutio whispers: psst"]
    );
}

// Rows: N7702-03, A7702-33, G-05
#[test]
fn n7702_03_the_nickname_goes_before_the_display_name_and_roles_are_kept() {
    let mut hall = Hall::new();
    hall.document.users = vec![User {
        nickname: Some("Merc".to_owned()),
        display_text: Some("Mercutio of Verona".to_owned()),
        roles: vec!["Moderator".to_owned()],
        ..listed(MERCUTIO, None)
    }];
    hall.enter(JULIET, "JuliC");
    assert_eq!(hall.heard(JULIET)[0], "Merc is in (moderator)");
}

// Rows: A7702-55, G-09
#[test]
fn a7702_55_who_is_no_more_in_the_document_by_the_focus_s_will_is_out() {
    let mut hall = Hall::new();
    hall.document
        .users
        .push(listed("sip:juliet@example.com", Some("JuliC")));
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    hall.notify(Some(partial(vec![User {
        state: State::Deleted,
        status: Some(EndpointStatus::Booted(Some("Banished".to_owned()))),
        nickname: None,
        display_text: None,
        ..listed("sip:juliet@example.com", None)
    }])));
    assert_eq!(
        hall.heard(JULIET),
        ["JuliC is out (none) 110 307 because Banished"]
    );
    assert!(hall.legs[0].ended.is_some());
}

// Rows: A7702-55, G-09
#[test]
fn a7702_55_a_conference_that_is_over_is_a_destroyed_room() {
    let mut hall = in_conference();
    hall.notify(Some(Document {
        entity: CONFERENCE.to_owned(),
        state: State::Deleted,
        ..Document::default()
    }));
    assert_eq!(hall.heard(JULIET), ["JuliC is out (none) 110 destroyed"]);
}

// Rows: A7702-26, CXMPP-05
#[test]
fn a7702_26_who_shows_his_address_is_no_stranger() {
    let mut hall = Hall::new();
    hall.document.users = vec![
        User {
            aors: vec!["sip:romeo@example.org".to_owned()],
            ..listed("sip:capulet@rooms.example.net;gr=Romeo", Some("Romeo"))
        },
        User {
            aors: vec!["xmpp:nurse@example.com".to_owned()],
            ..listed("sip:capulet@rooms.example.net;gr=Nurse", Some("Nurse"))
        },
    ];
    hall.enter(JULIET, "JuliC");
    assert_eq!(
        hall.heard(JULIET)[..3],
        [
            "Nurse is in (participant) who is nurse@example.com",
            "Romeo is in (participant) who is romeo@example.org",
            "JuliC is in (participant) 110 100",
        ]
    );
}
