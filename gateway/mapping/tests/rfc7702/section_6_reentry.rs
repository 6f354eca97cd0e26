use std::time::Duration;

use msrp::Status;
use xmpp::stanza::{Condition, Outgoing, PresenceKind};

use crate::{
    ROOM, ROOM_URI,
    stage::{Stage, config, muc::presence},
};

fn with_two() -> (Stage, usize, usize) {
    let mut stage = Stage::new(config());
    stage.muc.native_enters(ROOM, "Juliet");
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    let mercutio = stage.user("mercutio");
    stage.enter(mercutio, ROOM_URI, "Mercutio");
    (stage, romeo, mercutio)
}

// Rows: CXMPP-30, G-12
#[test]
fn after_a_restart_of_the_server_all_are_back_and_no_call_has_ended() {
    let (mut stage, romeo, mercutio) = with_two();
    stage.subscribe(romeo, ROOM_URI);
    let before: Vec<_> = stage.muc.room(ROOM).occupants[1..].to_vec();
    stage.link(false);
    stage.muc.rooms.clear();
    stage.pass(Duration::from_secs(300));
    stage.link(true);
    stage.pass(Duration::from_secs(6));
    let after = &stage.muc.room(ROOM).occupants;
    assert_eq!(*after, before, "same addresses, same nicknames");
    assert_eq!(
        stage.nicknames(romeo),
        ["Mercutio", "Romeo"],
        "Juliet has not come back"
    );
    let tag = stage.say(romeo, "where were we?");
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
    assert_eq!(stage.heard(mercutio).len(), 1);
    assert_eq!((stage.bye(romeo), stage.bye(mercutio)), (None, None));
}

// Rows: X2M-10
#[test]
fn while_the_link_is_down_messages_are_refused_and_not_lost() {
    let (mut stage, romeo, _) = with_two();
    stage.muc.mute = true;
    let in_flight = stage.say(romeo, "in flight");
    stage.link(false);
    let refused = stage.say(romeo, "anyone?");
    assert_eq!(
        stage.outcome(romeo, refused).map(|o| o.map_err(Status::code)),
        Some(Err(408))
    );
    stage.pass(config().limits.reflection);
    assert_eq!(
        stage.outcome(romeo, in_flight).map(|o| o.map_err(Status::code)),
        Some(Err(408))
    );
}

#[test]
fn who_leaves_while_the_link_is_down_leaves_no_ghost() {
    let (mut stage, romeo, _) = with_two();
    stage.link(false);
    stage.cut(romeo);
    stage.link(true);
    assert!(
        stage
            .to_rooms
            .iter()
            .any(|s| matches!(s, Outgoing::Leave { to, .. } if to.as_str().ends_with("/Romeo")))
    );
}

#[test]
fn a_leave_that_was_under_way_when_the_link_broke_is_said_again() {
    let (mut stage, romeo, _) = with_two();
    stage.cut(romeo);
    let leave = stage.to_rooms.last().cloned().unwrap();
    stage.link(false);
    stage.unconfirmed(leave);
    stage.to_rooms.clear();
    stage.link(true);
    let leaves = |stage: &Stage| {
        let of_romeo =
            |s: &&Outgoing| matches!(s, Outgoing::Leave { to, .. } if to.as_str().ends_with("/Romeo"));
        stage.to_rooms.iter().filter(of_romeo).count()
    };
    assert_eq!(leaves(&stage), 1);
    // Once is enough.
    stage.link(false);
    stage.link(true);
    assert_eq!(leaves(&stage), 1);
}

#[test]
fn a_room_that_bans_meanwhile_ends_the_stay() {
    let (mut stage, romeo, _) = with_two();
    stage.link(false);
    stage.muc.rooms.clear();
    stage.muc.refuse = Some(Condition::Forbidden);
    stage.link(true);
    assert_eq!(stage.bye(romeo).map(|(code, _)| code), Some(403));
    assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
}

#[test]
fn a_room_that_takes_nobody_back_is_left_all_the_same() {
    let (mut stage, romeo, _) = with_two();
    stage.link(false);
    stage.to_rooms.clear();
    // It has kept its occupants, and lets nobody enter.
    stage.muc.refuse = Some(Condition::NotAuthorized);
    stage.link(true);
    assert_eq!(stage.bye(romeo).map(|(code, _)| code), Some(403));
    assert!(
        stage
            .to_rooms
            .iter()
            .any(|s| matches!(s, Outgoing::Leave { to, .. } if to.as_str().ends_with("/Romeo")))
    );
}

// Rows: B7702-34
#[test]
fn a_room_that_stays_away_is_given_up_in_the_end() {
    let (mut stage, romeo, _) = with_two();
    stage.link(false);
    stage.muc.rooms.clear();
    stage.muc.mute = true;
    stage.link(true);
    stage.pass(Duration::from_secs(50));
    assert_eq!(stage.bye(romeo), None);
    stage.pass(Duration::from_secs(30));
    assert_eq!(stage.bye(romeo).map(|(code, _)| code), Some(408));
    assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
}

// Rows: G-12
#[test]
fn a_technical_removal_leads_back_into_the_room() {
    let (mut stage, romeo, mercutio) = with_two();
    let told = stage.muc.leaves(ROOM, "Romeo", &[307, 333], None);
    stage.stanzas(told);
    stage.pass(Duration::from_secs(3));
    assert_eq!(stage.bye(romeo), None);
    let tag = stage.say(romeo, "back");
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
    assert_eq!(stage.heard(mercutio).len(), 1);
}

/// Who was never in has nothing to come back to.
#[test]
fn a_room_that_goes_away_while_somebody_enters_refuses_his_call() {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    stage.muc.mute = true;
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    let Some(Outgoing::Enter { from, .. }) = stage.to_rooms.last().cloned() else {
        panic!()
    };
    let (room, gone) = (ROOM.parse().unwrap(), PresenceKind::Unavailable);
    stage.stanza(presence(&room, "Romeo", &from, gone, &[110, 332], Some("none")));
    assert_eq!(
        stage.refusal(romeo),
        Some((408, "Room Does Not Answer".to_owned()))
    );
    stage.pass(Duration::from_secs(120));
    assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
}

// Rows: N7702-06
#[test]
fn a_nickname_lost_meanwhile_is_varied() {
    let (mut stage, romeo, _) = with_two();
    stage.link(false);
    stage.muc.rooms.clear();
    stage.muc.native_enters(ROOM, "Romeo");
    stage.link(true);
    stage.pass(Duration::from_secs(1));
    let mut names: Vec<_> = stage
        .muc
        .room(ROOM)
        .occupants
        .iter()
        .map(|(nick, _)| nick.clone())
        .collect();
    names.sort();
    assert_eq!(names, ["Mercutio", "Romeo", "Romeo (2)"]);
    assert_eq!(stage.bye(romeo), None);
}

#[test]
fn who_hangs_up_before_he_is_back_takes_nobody_else_off_the_roster() {
    let (mut stage, romeo, mercutio) = with_two();
    stage.subscribe(mercutio, ROOM_URI);
    let before = stage.nicknames(mercutio);
    let told = stage.muc.leaves(ROOM, "Romeo", &[333], None);
    stage.stanzas(told);
    // The room has listed itself to nobody since.
    stage.cut(romeo);
    stage.pass(Duration::from_secs(10));
    let after: Vec<_> = before
        .into_iter()
        .filter(|nickname| nickname != "Romeo")
        .collect();
    assert_eq!(stage.nicknames(mercutio), after);
}

#[test]
fn who_leaves_when_all_others_are_on_their_way_in_is_off_the_roster() {
    let mut stage = Stage::new(config());
    let (first, second) = (stage.user("first"), stage.user("second"));
    stage.enter(first, ROOM_URI, "First");
    stage.muc.mute = true;
    stage.invite(second, ROOM_URI, Some("Second"));
    // Nobody is in the room any more whom it could tell.
    stage.cut(first);
    let asked = stage.to_rooms.iter().rev().find_map(|stanza| match stanza {
        Outgoing::Enter { .. } => Some(stanza.clone()),
        _ => None,
    });
    stage.muc.mute = false;
    stage.muc.rooms.clear();
    let told = stage.muc.handle(asked.unwrap());
    stage.stanzas(told);
    stage.connect(second);
    stage.subscribe(second, ROOM_URI);
    assert_eq!(stage.nicknames(second), ["Second"]);
}

#[test]
fn a_link_that_breaks_takes_none_but_its_own_users_out_of_their_rooms() {
    let mut config = config();
    config.components.push(mapping::Component {
        domain: "sip.example.org".to_owned(),
        form: mapping::AddressForm::Hosted,
    });
    let mut stage = Stage::new(config);
    stage.link_of(1, true);
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    let paris = stage.user_of("paris", "example.net");
    stage.enter(paris, ROOM_URI, "Paris");

    stage.link_of(1, false);
    let tag = stage.say(romeo, "can you hear me?");
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
    let tag = stage.say(paris, "no");
    assert_eq!(
        stage.outcome(paris, tag).map(|o| o.map_err(Status::code)),
        Some(Err(408))
    );
    stage.link_of(1, true);
    let tag = stage.say(paris, "now I can");
    assert_eq!(stage.outcome(paris, tag), Some(Ok(())));
    assert_eq!((stage.bye(romeo), stage.bye(paris)), (None, None));
}
