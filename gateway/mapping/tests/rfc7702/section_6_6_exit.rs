use std::time::Duration;

use sip::conference::EndpointStatus;
use xmpp::stanza::{MessageKind, Outgoing, PresenceKind, Stanza};

use crate::{
    ROOM, ROOM_URI,
    stage::{
        Stage, config,
        muc::{message, presence},
    },
};

fn with_two() -> (Stage, usize, usize) {
    let mut stage = Stage::new(config());
    stage.muc.native_enters(ROOM, "Juliet");
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    let mercutio = stage.user("mercutio");
    stage.enter(mercutio, ROOM_URI, "Mercutio");
    stage.subscribe(mercutio, ROOM_URI);
    (stage, romeo, mercutio)
}

fn hang_up(stage: &mut Stage, user: usize) {
    hang_up_for(stage, user, None);
}

fn hang_up_for(stage: &mut Stage, user: usize, reason: Option<sip::Reason>) {
    let dialog = stage.users[user].dialog;
    let now = stage.now;
    stage.users[user]
        .endpoint
        .handle_command(sip::Command::Bye { dialog, reason }, now);
    stage.run();
}

// Rows: G-03
#[test]
fn what_a_user_says_with_his_bye_is_told_to_the_room() {
    for (text, told) in [("Parting is such sweet sorrow", true), ("", false), (" ", false)] {
        let (mut stage, romeo, _) = with_two();
        let reason = sip::Reason {
            cause: sip::StatusCode(200),
            text: text.to_owned(),
        };
        hang_up_for(&mut stage, romeo, Some(reason));
        let Some(Outgoing::Leave { status, .. }) = stage.to_rooms.last() else {
            panic!("he has left");
        };
        assert_eq!(status.as_deref(), told.then_some(text));
    }
}

// Rows: F59..F62, B7702-33, B7702-15
#[test]
fn f59_to_f62_bye_leaves_the_room_and_the_others_see_it() {
    let (mut stage, romeo, mercutio) = with_two();
    hang_up(&mut stage, romeo);
    assert!(
        matches!(stage.to_rooms.last(), Some(Outgoing::Leave { to, .. }) if to.as_str().ends_with("/Romeo"))
    );
    stage.pass(Duration::from_secs(6));
    assert_eq!(stage.nicknames(mercutio), ["Juliet", "Mercutio"]);
}

// Rows: G-12
#[test]
fn a_lost_msrp_connection_ends_the_stay() {
    let (mut stage, romeo, mercutio) = with_two();
    stage.cut(romeo);
    assert_eq!(stage.bye(romeo).map(|(code, _)| code), Some(480));
    stage.pass(Duration::from_secs(6));
    assert_eq!(stage.nicknames(mercutio), ["Juliet", "Mercutio"]);
}

// Rows: B7702-34, CXMPP-22, G-09
#[test]
fn removal_by_the_room_is_a_bye_that_says_why() {
    for (statuses, reason, code, text) in [
        (
            &[307][..],
            Some("Mind your language"),
            403,
            "Removed From The Room: Mind your language",
        ),
        (&[301][..], None, 403, "Banned From The Room"),
        (&[321][..], None, 403, "The Room Is For Members Only"),
    ] {
        let (mut stage, romeo, mercutio) = with_two();
        let told = stage.muc.leaves(ROOM, "Romeo", statuses, reason);
        stage.stanzas(told);
        assert_eq!(stage.bye(romeo), Some((code, text.to_owned())));
        assert!(
            !matches!(stage.to_rooms.last(), Some(Outgoing::Leave { .. })),
            "who was removed has nothing to leave"
        );
        stage.pass(Duration::from_secs(6));
        assert_eq!(stage.nicknames(mercutio), ["Juliet", "Mercutio"]);
    }
}

// Rows: B7702-15, G-09
#[test]
fn a_removed_occupant_is_booted_in_the_others_documents() {
    let (mut stage, _, mercutio) = with_two();
    let told = stage.muc.leaves(ROOM, "Juliet", &[307], Some("rude"));
    stage.stanzas(told);
    stage.pass(Duration::from_secs(6));
    let booted = stage.users[mercutio].sip_events.iter().any(|event| {
        let sip::Event::Notified { body: Some(body), .. } = event else {
            return false;
        };
        let (_, document) = sip::conference::Document::parse(&body.bytes).unwrap();
        document
            .users
            .iter()
            .any(|user| user.status == Some(EndpointStatus::Booted(Some("rude".to_owned()))))
    });
    assert!(booted);
}

// Rows: B7702-34, C7701-12, CXMPP-22, G-09
#[test]
fn a_destroyed_room_ends_every_stay_and_leaves_nothing() {
    let (mut stage, romeo, mercutio) = with_two();
    for name in ["Romeo", "Mercutio"] {
        let mut told = stage.muc.leaves(ROOM, name, &[], None);
        for stanza in &mut told {
            if let Stanza::Presence(presence) = stanza {
                presence.muc.as_mut().unwrap().destroy = Some(xmpp::stanza::Destroy {
                    jid: None,
                    reason: Some("closing time".to_owned()),
                });
            }
        }
        stage.stanzas(told);
    }
    for user in [romeo, mercutio] {
        assert_eq!(
            stage.bye(user),
            Some((410, "The Room Was Closed: closing time".to_owned()))
        );
    }
    assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
}

#[test]
fn a_graceful_stop_tells_both_sides() {
    let (mut stage, romeo, mercutio) = with_two();
    let now = stage.now;
    stage.gateway.handle_shutdown(now);
    stage.run();
    for user in [romeo, mercutio] {
        assert_eq!(stage.bye(user).map(|(code, _)| code), Some(503));
    }
    let left = stage
        .to_rooms
        .iter()
        .filter(|s| matches!(s, Outgoing::Leave { .. }))
        .count();
    assert_eq!(left, 2);
    assert!(stage.gateway.is_idle());
    assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
}

#[test]
fn when_all_have_left_nothing_is_held() {
    let (mut stage, romeo, mercutio) = with_two();
    stage.say(romeo, "farewell");
    stage.nickname(mercutio, "Ghost");
    hang_up(&mut stage, romeo);
    hang_up(&mut stage, mercutio);
    stage.pass(Duration::from_secs(120));
    assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
    assert_eq!(stage.focus.census(), (0, 0, 0));
}

#[test]
fn an_occupant_left_behind_by_a_crash_is_made_to_leave() {
    let mut stage = Stage::new(config());
    let room: xmpp::BareJid = ROOM.parse().unwrap();
    let ghost = xmpp::FullJid::new("romeo@example.org/sip-0").unwrap();
    let leaves = |stage: &Stage| {
        let left = |s: &Outgoing| matches!(s, Outgoing::Leave { from, .. } if *from == ghost);
        stage.to_rooms.iter().filter(|s| left(s)).count()
    };
    stage.stanza(message(&room, "Juliet", &ghost, "1", "Romeo?"));
    assert_eq!(leaves(&stage), 1);
    let kind = PresenceKind::Available;
    stage.stanza(presence(&room, "Nurse", &ghost, kind, &[], Some("participant")));
    assert_eq!(leaves(&stage), 2);
    // Where many leave at once, each would answer for all others.
    let kind = PresenceKind::Unavailable;
    stage.stanza(presence(&room, "Nurse", &ghost, kind, &[], Some("none")));
    assert_eq!(leaves(&stage), 2);
    let Stanza::Message(mut whisper) = message(&room, "Juliet", &ghost, "2", "Romeo?") else {
        panic!("a message");
    };
    whisper.kind = MessageKind::Chat;
    stage.stanza(Stanza::Message(whisper));
    assert_eq!(leaves(&stage), 3);
    let answer = stage.to_rooms.iter().rev().nth(1);
    assert!(
        matches!(answer, Some(Outgoing::Error { .. })),
        "she hears it first: {answer:?}"
    );
    let elsewhere = "a@elsewhere.example".parse().unwrap();
    stage.stanza(message(&elsewhere, "x", &ghost, "2", "no room of ours"));
    assert_eq!(leaves(&stage), 3);
}
