use std::time::Duration;

use msrp::Status;
use xmpp::stanza::Outgoing;

use crate::{
    ROOM, ROOM_URI,
    stage::{Stage, config},
};

fn with_romeo() -> (Stage, usize) {
    let mut stage = Stage::new(config());
    stage.muc.native_enters(ROOM, "Juliet");
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    (stage, romeo)
}

// Rows: F51, F52, B7702-27, B7702-28, C7701-47, N7702-06
#[test]
fn f51_a_free_nickname_is_taken_and_shown() {
    let (mut stage, romeo) = with_romeo();
    stage.subscribe(romeo, ROOM_URI);
    stage.nickname(romeo, "montecchi");
    assert_eq!(stage.nickname_outcome(romeo), Some(Status::OK));
    assert_eq!(stage.nicknames(romeo), ["Juliet", "montecchi"]);
    stage.say(romeo, "it is me");
    assert!(
        stage.heard(romeo).is_empty(),
        "his reflection under the new nickname is known too"
    );
}

// Rows: F54, B7702-27, C7701-38, C7701-46, C7701-49
#[test]
fn f53_f54_a_taken_nickname_is_425_and_the_old_one_stays() {
    let (mut stage, romeo) = with_romeo();
    stage.nickname(romeo, "Juliet");
    assert_eq!(stage.nickname_outcome(romeo), Some(Status::NICKNAME_IN_USE));
    let room = stage.muc.room(ROOM);
    assert_eq!(room.occupants[1].0, "Romeo");
}

// Rows: F52..F54, B7702-27, X2M-01
#[test]
fn the_room_s_own_conflict_is_425_too() {
    let (mut stage, romeo) = with_romeo();
    // Somebody whom our roster does not show yet has it.
    stage.muc.native_enters(ROOM, "Paris");
    stage.nickname(romeo, "Paris");
    assert_eq!(stage.nickname_outcome(romeo), Some(Status::NICKNAME_IN_USE));
}

// Rows: N7702-01, C7701-43, C7701-44
#[test]
fn rfc8266_nicknames_that_look_the_same_are_the_same() {
    let (mut stage, romeo) = with_romeo();
    for variant in ["juliet", " JULIET ", "Ｊuliet"] {
        stage.nickname(romeo, variant);
        assert_eq!(
            stage.nickname_outcome(romeo),
            Some(Status::NICKNAME_IN_USE),
            "{variant}"
        );
    }
    stage.nickname(romeo, "ROMEO");
    assert_eq!(
        stage.nickname_outcome(romeo),
        Some(Status::OK),
        "his own in other letters is free for him"
    );
}

// Rows: N7702-02, C7701-38, C7701-60
#[test]
fn rfc8266_two_users_on_their_way_in_do_not_get_the_same_nickname() {
    let mut stage = Stage::new(config());
    let (one, other) = (stage.user("one"), stage.user("other"));
    stage.muc.mute = true;
    stage.invite(one, ROOM_URI, Some("Romeo"));
    stage.invite(other, ROOM_URI, Some("romeo"));
    let asked: Vec<_> = stage
        .to_rooms
        .iter()
        .filter_map(|stanza| match stanza {
            Outgoing::Enter { to, .. } => Some(to.resource().as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(asked, ["Romeo", "romeo (2)"]);
}

// Rows: C7701-60
#[test]
fn rfc8266_two_users_who_ask_at_once_do_not_get_the_same_nickname() {
    let (mut stage, romeo) = with_romeo();
    let other = stage.user("other");
    stage.enter(other, ROOM_URI, "Other");
    stage.muc.mute = true;
    stage.nickname(romeo, "Montecchi");
    stage.nickname(other, "montecchi");
    assert_eq!(stage.nickname_outcome(romeo), None, "the room is to decide");
    assert_eq!(stage.nickname_outcome(other), Some(Status::NICKNAME_IN_USE));
}

#[test]
fn rfc8266_a_nickname_stays_taken_when_one_of_two_holders_leaves() {
    let (mut stage, romeo) = with_romeo();
    let other = stage.user("other");
    stage.enter(other, ROOM_URI, "Other");
    // The room admits what RFC 8266 does not tell apart.
    let told = stage.muc.native_enters(ROOM, "ROMEO");
    stage.stanzas(told);
    let told = stage.muc.leaves(ROOM, "ROMEO", &[], None);
    stage.stanzas(told);
    stage.nickname(other, "romeo");
    assert_eq!(stage.nickname_outcome(other), Some(Status::NICKNAME_IN_USE));
    assert_eq!(stage.nickname_outcome(romeo), None);
}

// Rows: C7701-45
#[test]
fn a_malformed_nickname_is_424() {
    let (mut stage, romeo) = with_romeo();
    for bad in [" ", "a\u{202e}b", &"x".repeat(129)] {
        stage.nickname(romeo, bad);
        assert_eq!(
            stage.nickname_outcome(romeo),
            Some(Status::MALFORMED_NICKNAME),
            "{bad:?}"
        );
    }
}

// Rows: B7702-28
#[test]
fn the_nickname_held_already_is_granted_without_asking() {
    let (mut stage, romeo) = with_romeo();
    let asked = stage.to_rooms.len();
    stage.nickname(romeo, "Romeo");
    assert_eq!(stage.nickname_outcome(romeo), Some(Status::OK));
    assert_eq!(stage.to_rooms.len(), asked);
}

// Rows: C7701-50, E-31
#[test]
fn giving_a_nickname_back_returns_to_the_provisional_one() {
    let (mut stage, romeo) = with_romeo();
    stage.nickname(romeo, "montecchi");
    stage.nickname(romeo, "");
    assert_eq!(stage.nickname_outcome(romeo), Some(Status::OK));
    assert_eq!(stage.muc.room(ROOM).occupants[1].0, "Romeo");
}

// Rows: C7701-49
#[test]
fn a_room_that_does_not_answer_keeps_the_old_one() {
    let (mut stage, romeo) = with_romeo();
    stage.muc.mute = true;
    stage.nickname(romeo, "montecchi");
    stage.pass(Duration::from_secs(21));
    assert_eq!(stage.nickname_outcome(romeo).map(Status::code), Some(408));
}

// Rows: C7701-48, N7702-02, C4575-18
#[test]
fn rfc7701_section_7_1_a_second_device_does_not_get_the_nickname_of_the_first() {
    let (mut stage, _) = with_romeo();
    let second = stage.user("romeo");
    stage.enter(second, ROOM_URI, "Romeo");
    stage.subscribe(second, ROOM_URI);
    assert_eq!(stage.nicknames(second), ["Juliet", "Romeo", "Romeo (2)"]);
    let document = stage.roster(second).1.unwrap();
    let mut entities: Vec<_> = document.users.iter().map(|user| &user.entity).collect();
    entities.dedup();
    assert_eq!(entities.len(), 3, "each has an entity of his own");
    stage.nickname(second, "Romeo");
    assert_eq!(stage.nickname_outcome(second), Some(Status::NICKNAME_IN_USE));
}
