//! XEP-0410: a room that has lost an occupant without a word is entered again.

use std::time::Duration;

use xmpp::stanza::{Condition, Iq, IqKind, Outgoing, Stanza, StanzaError};

use crate::{
    ROOM_URI,
    stage::{Stage, config},
};

const INTERVAL: Duration = Duration::from_secs(15 * 60);

fn with_romeo() -> (Stage, usize) {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    (stage, romeo)
}

/// The question that was asked last, answered so.
fn answer(stage: &mut Stage, kind: IqKind) {
    let Some(Outgoing::Ping { from, to, id }) = stage.to_rooms.last().cloned() else {
        panic!("{:?}", stage.to_rooms.last())
    };
    assert_eq!(to.resource().as_str(), "Romeo");
    stage.stanza(Stanza::Iq(Iq {
        from: to.into(),
        to: from.into(),
        id,
        kind,
    }));
}

fn entrances(stage: &Stage) -> usize {
    let entered = |stanza: &&Outgoing| matches!(stanza, Outgoing::Enter { .. });
    stage.to_rooms.iter().filter(entered).count()
}

#[test]
fn xep_0410_section_3_each_answer_means_in_or_out() {
    for (condition, lost) in [
        (Condition::NotAcceptable, true),
        (Condition::NotAllowed, true),
        (Condition::BadRequest, true),
        (Condition::ServiceUnavailable, false),
        (Condition::FeatureNotImplemented, false),
        (Condition::ItemNotFound, false),
        (Condition::RemoteServerTimeout, false),
        (Condition::RemoteServerNotFound, false),
    ] {
        let (mut stage, romeo) = with_romeo();
        stage.pass(INTERVAL);
        answer(&mut stage, IqKind::Error(StanzaError::new(condition)));
        stage.pass(Duration::from_secs(5));
        assert_eq!(entrances(&stage), if lost { 2 } else { 1 }, "{condition:?}");
        assert_eq!(stage.bye(romeo), None);
        let tag = stage.say(romeo, "here");
        assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
    }
}

#[test]
fn who_is_in_is_asked_after_again() {
    let (mut stage, _) = with_romeo();
    for asked in 1..4 {
        stage.pass(INTERVAL);
        answer(&mut stage, IqKind::Result(None));
        let pings = |stanza: &&Outgoing| matches!(stanza, Outgoing::Ping { .. });
        assert_eq!(stage.to_rooms.iter().filter(pings).count(), asked);
    }
    assert_eq!(entrances(&stage), 1);
}

#[test]
fn a_message_without_a_reflection_raises_suspicion_at_once() {
    let (mut stage, romeo) = with_romeo();
    stage.muc.mute = true;
    stage.say(romeo, "anyone?");
    stage.pass(config().limits.reflection);
    stage.muc.mute = false;
    answer(
        &mut stage,
        IqKind::Error(StanzaError::new(Condition::NotAcceptable)),
    );
    stage.pass(Duration::from_secs(5));
    assert_eq!(entrances(&stage), 2);
}

#[test]
fn an_answer_to_no_question_means_nothing() {
    let (mut stage, _) = with_romeo();
    stage.pass(INTERVAL);
    answer(&mut stage, IqKind::Result(None));
    answer(
        &mut stage,
        IqKind::Error(StanzaError::new(Condition::NotAcceptable)),
    );
    stage.pass(Duration::from_secs(5));
    assert_eq!(entrances(&stage), 1);
}

#[test]
fn nobody_is_asked_after_where_that_is_off() {
    let mut config = config();
    config.occupants.self_ping = Duration::ZERO;
    let mut stage = Stage::new(config);
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    stage.pass(4 * INTERVAL);
    assert!(
        !stage
            .to_rooms
            .iter()
            .any(|stanza| matches!(stanza, Outgoing::Ping { .. }))
    );
}
