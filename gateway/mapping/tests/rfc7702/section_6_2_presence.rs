use std::time::Duration;

use sip::conference::EndpointStatus;

use crate::{
    ROOM, ROOM_URI,
    stage::{Stage, config},
};

fn with_juliet() -> (Stage, usize) {
    let mut stage = Stage::new(config());
    stage.muc.native_enters(ROOM, "Juliet");
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    (stage, romeo)
}

// Rows: F38, F41, F42, F43, B7702-08, B7702-09, B7702-12, B7702-13, N7702-04, C4575-02
#[test]
fn f42_the_first_document_lists_everybody_and_the_subscriber_himself() {
    let (mut stage, romeo) = with_juliet();
    stage.subscribe(romeo, ROOM_URI);
    let (versions, room) = stage.roster(romeo);
    let room = room.unwrap();
    assert_eq!(versions, [0]);
    assert_eq!(room.entity, ROOM_URI);
    assert_eq!(room.user_count, Some(2));
    let entities: Vec<_> = room.users.iter().map(|user| user.entity.as_str()).collect();
    assert_eq!(
        entities,
        [
            "sip:capulet@rooms.example.com;gr=Juliet",
            "sip:capulet@rooms.example.com;gr=Romeo"
        ]
    );
    assert_eq!(room.users[0].status, Some(EndpointStatus::Connected));
    assert_eq!(room.users[0].roles, ["participant"]);
}

// Rows: C4575-21
#[test]
fn c4575_21_documents_carry_no_time_so_none_that_is_not_utc() {
    let (mut stage, romeo) = with_juliet();
    stage.subscribe(romeo, ROOM_URI);
    let told = stage.muc.native_enters(ROOM, "Nurse");
    stage.stanzas(told);
    let told = stage.muc.leaves(ROOM, "Nurse", &[307], Some("too loud"));
    stage.stanzas(told);
    stage.pass(Duration::from_secs(6));
    let documents = stage.users[romeo]
        .sip_events
        .iter()
        .filter_map(|event| match event {
            sip::Event::Notified { body: Some(body), .. } => Some(String::from_utf8_lossy(&body.bytes)),
            _ => None,
        });
    let documents: Vec<_> = documents.collect();
    assert_eq!(documents.len(), 3);
    for document in documents {
        assert!(
            !document.contains("<when>") && !document.contains("joining-info"),
            "{document}"
        );
        let is_time =
            |window: &[u8]| window[0].is_ascii_digit() && window[1] == b'T' && window[2].is_ascii_digit();
        assert!(!document.as_bytes().windows(3).any(is_time), "{document}");
    }
}

// Rows: B7702-15, C4575-05, C4575-07
#[test]
fn a_change_after_a_quiet_spell_is_told_at_once_and_later_ones_are_gathered() {
    let (mut stage, romeo) = with_juliet();
    stage.subscribe(romeo, ROOM_URI);
    let told = stage.muc.native_enters(ROOM, "Nurse");
    stage.stanzas(told);
    assert_eq!(stage.nicknames(romeo), ["Juliet", "Nurse", "Romeo"]);

    for name in ["Tybalt", "Paris", "Peter"] {
        let told = stage.muc.native_enters(ROOM, name);
        stage.stanzas(told);
    }
    let told = stage.muc.leaves(ROOM, "Paris", &[], None);
    stage.stanzas(told);
    assert_eq!(
        stage.roster(romeo).0,
        [0, 1],
        "gathered until the interval is over"
    );
    stage.pass(Duration::from_secs(5));
    assert_eq!(stage.roster(romeo).0, [0, 1, 2]);
    assert_eq!(
        stage.nicknames(romeo),
        ["Juliet", "Nurse", "Peter", "Romeo", "Tybalt"]
    );
}

// Rows: C4575-09
#[test]
fn each_subscriber_has_his_own_version_numbers() {
    let (mut stage, romeo) = with_juliet();
    stage.subscribe(romeo, ROOM_URI);
    let told = stage.muc.native_enters(ROOM, "Nurse");
    stage.stanzas(told);
    let mercutio = stage.user("mercutio");
    stage.enter(mercutio, ROOM_URI, "Mercutio");
    stage.subscribe(mercutio, ROOM_URI);
    stage.pass(Duration::from_secs(6));
    assert_eq!(stage.roster(romeo).0, [0, 1, 2]);
    assert_eq!(stage.roster(mercutio).0[0], 0);
    assert_eq!(stage.nicknames(romeo), stage.nicknames(mercutio));
    assert_eq!(stage.nicknames(romeo), ["Juliet", "Mercutio", "Nurse", "Romeo"]);
}

// Rows: B7702-16, CXMPP-24
#[test]
fn the_subject_is_part_of_the_document_and_not_a_message() {
    let (mut stage, romeo) = with_juliet();
    stage.subscribe(romeo, ROOM_URI);
    let room = ROOM.parse().unwrap();
    let occupant = stage.muc.room(ROOM).occupants[1]
        .1
        .clone()
        .try_into_full()
        .unwrap();
    stage.stanza(crate::stage::muc::subject(&room, &occupant, "Today in Verona"));
    stage.pass(Duration::from_secs(6));
    assert_eq!(
        stage.roster(romeo).1.unwrap().subject.as_deref(),
        Some("Today in Verona")
    );
    assert!(stage.heard(romeo).is_empty());
}

// Rows: C4575-04
#[test]
fn only_participants_may_subscribe_and_only_to_conference_documents() {
    let (mut stage, _) = with_juliet();
    let stranger = stage.user("tybalt");
    stage.subscribe(stranger, ROOM_URI);
    assert!(stage.users[stranger].sip_events.iter().any(|event| matches!(
        event,
        sip::Event::SubscriptionRefused { status, .. } if status.0 == 403
    )));
}

// Rows: B7702-34, C4575-03
#[test]
fn a_subscription_ends_with_the_stay() {
    let (mut stage, romeo) = with_juliet();
    stage.subscribe(romeo, ROOM_URI);
    let told = stage.muc.leaves(ROOM, "Romeo", &[307], Some("enough"));
    stage.stanzas(told);
    assert!(stage.users[romeo].sip_events.iter().any(|event| matches!(
        event,
        sip::Event::Notified { state: sip::SubscriptionState::Terminated(reason), .. } if reason == "noresource"
    )));
    assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
}

// Rows: B7702-10, E-22
#[test]
fn a_subscription_before_admission_is_told_when_there_is_something_true_to_say() {
    let mut stage = Stage::new(mapping::Config {
        answer: mapping::AnswerRule::AtOnce,
        ..config()
    });
    stage.muc.native_enters(ROOM, "Juliet");
    stage.muc.mute = true;
    let romeo = stage.user("romeo");
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    stage.subscribe(romeo, ROOM_URI);
    assert_eq!(stage.roster(romeo).1, None);
    stage.muc.mute = false;
    let asked = stage.to_rooms[0].clone();
    let answers = stage.muc.handle(asked);
    stage.stanzas(answers);
    assert_eq!(stage.nicknames(romeo), ["Juliet", "Romeo"]);
}
