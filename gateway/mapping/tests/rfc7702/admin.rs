//! Ad-hoc commands (XEP-0050) for administrators, and for nobody else.

use xmpp::{
    Jid,
    stanza::{Condition, Iq, IqKind, Outgoing, Payload, Stanza},
};

use crate::{
    ROOM_URI,
    stage::{Stage, config},
};

const ADMIN: &str = "juliet@example.com/balcony";
const MALLORY: &str = "mallory@example.com/x";

fn stage() -> (Stage, usize) {
    let mut config = config();
    config.admins.insert("juliet@example.com".parse().unwrap());
    let mut stage = Stage::new(config);
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    (stage, romeo)
}

/// What the domain answers to a request with this payload.
fn ask(stage: &mut Stage, from: &str, kind: &str, payload: &str) -> Result<String, Condition> {
    let payload = Payload(payload.parse().unwrap());
    stage.stanza(Stanza::Iq(Iq {
        from: Jid::new(from).unwrap(),
        to: Jid::new("example.org").unwrap(),
        id: "1".to_owned(),
        kind: if kind == "get" {
            IqKind::Get(payload)
        } else {
            IqKind::Set(payload)
        },
    }));
    match stage
        .to_rooms
        .iter()
        .rev()
        .find(|stanza| matches!(stanza, Outgoing::IqResult { .. } | Outgoing::IqError { .. }))
    {
        Some(Outgoing::IqResult { payload, .. }) => Ok(String::from(&payload.as_ref().unwrap().0)),
        Some(Outgoing::IqError { condition, .. }) => Err(*condition),
        other => panic!("{other:?}"),
    }
}

fn command(stage: &mut Stage, from: &str, node: &str, form: &str) -> Result<String, Condition> {
    let payload =
        format!("<command xmlns='http://jabber.org/protocol/commands' node='{node}'>{form}</command>");
    ask(stage, from, "set", &payload)
}

const LIST: &str =
    "<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/>";

#[test]
fn xep_0050_section_3_1_administrators_see_the_commands_and_nobody_else_does() {
    let (mut stage, _) = stage();
    let seen = ask(&mut stage, ADMIN, "get", LIST).unwrap();
    for node in ["rooms", "sessions", "end-session", "drain", "resume", "reload"] {
        assert!(
            seen.contains(&format!("node='{node}'")) || seen.contains(&format!("node=\"{node}\"")),
            "{seen}"
        );
    }
    assert!(!ask(&mut stage, MALLORY, "get", LIST).unwrap().contains("<item"));
    for node in [
        "rooms",
        "sessions",
        "end-session",
        "drain",
        "resume",
        "reload",
        "none",
    ] {
        assert_eq!(command(&mut stage, MALLORY, node, ""), Err(Condition::Forbidden));
    }
    assert_eq!(stage.reloads, 0);
}

#[test]
fn rooms_and_sessions_are_shown() {
    let (mut stage, _) = stage();
    let rooms = command(&mut stage, ADMIN, "rooms", "").unwrap();
    assert!(
        rooms.contains("capulet@rooms.example.com") && rooms.contains("completed"),
        "{rooms}"
    );
    let sessions = command(&mut stage, ADMIN, "sessions", "").unwrap();
    assert!(
        sessions.contains("sip:romeo@example.org") && sessions.contains("in the room"),
        "{sessions}"
    );
    assert_eq!(
        command(&mut stage, ADMIN, "none", ""),
        Err(Condition::ItemNotFound)
    );
}

#[test]
fn a_session_is_ended_by_its_number() {
    let (mut stage, romeo) = stage();
    let form = command(&mut stage, ADMIN, "end-session", "").unwrap();
    assert!(form.contains("executing") && form.contains("session"), "{form}");
    let filled = |number: &str| {
        format!(
            "<x xmlns='jabber:x:data' type='submit'><field var='session'><value>{number}</value></field></x>"
        )
    };
    for (number, condition) in [("many", Condition::BadRequest), ("99", Condition::ItemNotFound)] {
        assert_eq!(
            command(&mut stage, ADMIN, "end-session", &filled(number)),
            Err(condition)
        );
    }
    assert_eq!(stage.bye(romeo), None);
    command(&mut stage, ADMIN, "end-session", &filled("1")).unwrap();
    stage.run();
    assert!(stage.bye(romeo).is_some());
    assert!(
        stage
            .to_rooms
            .iter()
            .any(|stanza| matches!(stanza, Outgoing::Leave { .. }))
    );
}

#[test]
fn who_drains_refuses_calls_and_ends_none() {
    let (mut stage, romeo) = stage();
    command(&mut stage, ADMIN, "drain", "").unwrap();
    let nurse = stage.user("nurse");
    stage.invite(nurse, ROOM_URI, Some("Nurse"));
    assert_eq!(stage.refusal(nurse).map(|(code, _)| code), Some(503));
    let tag = stage.say(romeo, "still here");
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
    command(&mut stage, ADMIN, "resume", "").unwrap();
    let paris = stage.user("paris");
    stage.enter(paris, ROOM_URI, "Paris");
}

#[test]
fn reading_again_is_asked_of_the_shell() {
    let (mut stage, _) = stage();
    command(&mut stage, ADMIN, "reload", "").unwrap();
    assert_eq!(stage.reloads, 1);
}
