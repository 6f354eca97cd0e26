//! What a gateway that starts after a crash has to know, and what it makes of it.

use std::collections::BTreeSet;

use mapping::Occupancy;
use xmpp::stanza::{Condition, Outgoing};

use crate::{
    ROOM, ROOM_URI,
    stage::{Stage, config},
};

/// Our occupants as the room has them.
fn occupancies(stage: &Stage) -> BTreeSet<Occupancy> {
    let occupants = stage.muc.room(ROOM).occupants.iter();
    let remembered = occupants.map(|(_, occupant)| Occupancy {
        occupant: occupant.try_as_full().unwrap().clone(),
        room: ROOM.parse().unwrap(),
    });
    remembered.collect()
}

fn romeo() -> Occupancy {
    Occupancy {
        occupant: "romeo@example.org/left-behind".parse().unwrap(),
        room: ROOM.parse().unwrap(),
    }
}

fn with_two() -> (Stage, usize, usize) {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    let mercutio = stage.user("mercutio");
    stage.enter(mercutio, ROOM_URI, "Mercutio");
    (stage, romeo, mercutio)
}

fn leaves(stage: &Stage) -> usize {
    let leave = |stanza: &&Outgoing| matches!(stanza, Outgoing::Leave { .. });
    stage.to_rooms.iter().filter(leave).count()
}

#[test]
fn who_is_in_a_room_is_remembered_until_he_has_left() {
    let (mut stage, romeo, mercutio) = with_two();
    let both = occupancies(&stage);
    assert_eq!((both.len(), &stage.remembered), (2, &both));
    stage.cut(romeo);
    let one = occupancies(&stage);
    assert_eq!((one.len(), &stage.remembered), (1, &one));
    // Whom the room removes need not be made to leave.
    let kicked = stage.muc.leaves(ROOM, "Mercutio", &[307], None);
    stage.stanzas(kicked);
    assert!(stage.bye(mercutio).is_some());
    assert_eq!(stage.remembered, BTreeSet::new());
}

#[test]
fn whom_a_room_does_not_let_in_is_not_remembered() {
    let mut stage = Stage::new(config());
    stage.muc.refuse = Some(Condition::Forbidden);
    let romeo = stage.user("romeo");
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    assert_eq!(stage.refusal(romeo).map(|(status, _)| status), Some(403));
    assert_eq!(stage.remembered, BTreeSet::new());
}

#[test]
fn who_cannot_leave_is_remembered_until_he_can() {
    let (mut stage, romeo, mercutio) = with_two();
    let both = occupancies(&stage);
    stage.link(false);
    stage.cut(romeo);
    assert_eq!(stage.remembered, both);
    stage.link(true);
    assert_eq!((occupancies(&stage).len(), stage.remembered.len()), (1, 1));
    // Nor can he if the gateway stops meanwhile.
    stage.link(false);
    stage.gateway.handle_shutdown(stage.now);
    stage.run();
    assert!(stage.bye(mercutio).is_some());
    assert_eq!(stage.remembered.len(), 1);
}

#[test]
fn whose_leave_may_be_lost_is_remembered_again() {
    let (mut stage, romeo, _) = with_two();
    stage.cut(romeo);
    let leave = stage.to_rooms.last().cloned().unwrap();
    assert_eq!(stage.remembered.len(), 1);
    stage.link(false);
    stage.unconfirmed(leave);
    assert_eq!(stage.remembered.len(), 2);
    stage.link(true);
    assert_eq!(stage.remembered.len(), 1);
}

// Rows: G-12
#[test]
fn who_was_left_behind_by_a_crash_leaves_before_anybody_can_call() {
    let mut stage = Stage::dark(config());
    stage.remembered.insert(romeo());
    stage.gateway.handle_left_behind([romeo()]);
    stage.run();
    assert_eq!((leaves(&stage), stage.remembered.len()), (0, 1), "not yet");
    stage.link(true);
    let [Outgoing::Leave { from, to, .. }] = &*stage.to_rooms else {
        panic!("{:?}", stage.to_rooms);
    };
    assert_eq!((from, to.to_bare()), (&romeo().occupant, romeo().room));
    assert_eq!(stage.remembered, BTreeSet::new());
    // Once is enough.
    stage.link(false);
    stage.link(true);
    assert_eq!(leaves(&stage), 1);
}

#[test]
fn who_was_left_behind_under_another_domain_is_forgotten() {
    let mut stage = Stage::dark(config());
    let elsewhere = Occupancy {
        occupant: "romeo@elsewhere.example/1".parse().unwrap(),
        ..romeo()
    };
    stage.remembered.insert(elsewhere.clone());
    stage.gateway.handle_left_behind([elsewhere]);
    stage.link(true);
    assert_eq!((leaves(&stage), stage.remembered.len()), (0, 0));
}

#[test]
fn more_than_there_may_be_sessions_are_kept_for_the_next_start() {
    let mut config = config();
    config.limits.sessions = 2;
    let mut stage = Stage::dark(config);
    let crowd = (0..3).map(|number| Occupancy {
        occupant: format!("romeo@example.org/{number}").parse().unwrap(),
        ..romeo()
    });
    stage.remembered.extend(crowd.clone());
    stage.gateway.handle_left_behind(crowd);
    stage.link(true);
    assert_eq!((leaves(&stage), stage.remembered.len()), (2, 1));
}
