//! Who may use the gateway, and who may hide.

use mapping::{Access, AccessList, Config};
use sip::Header;
use xmpp::stanza::Outgoing;

use crate::{
    ROOM_URI,
    stage::{Stage, config},
};

fn list(allow: &[&str], deny: &[&str]) -> AccessList {
    let read = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    AccessList {
        allow: read(allow),
        deny: read(deny),
    }
}

fn with(access: Access) -> Stage {
    Stage::new(Config { access, ..config() })
}

// Rows: C757X-18
#[test]
fn callers_and_rooms_are_let_in_by_the_lists() {
    let mut stage = with(Access {
        callers: list(&["example.org"], &["tybalt@example.org"]),
        rooms: list(&[], &["montague@rooms.example.com"]),
        ..Access::default()
    });
    let (romeo, tybalt) = (stage.user("romeo"), stage.user("tybalt"));
    stage.invite(tybalt, ROOM_URI, Some("Tybalt"));
    let refused = Some((403, "Not Allowed Here".to_owned()));
    assert_eq!(stage.refusal(tybalt), refused);
    stage.invite(romeo, "sip:montague@rooms.example.com", Some("Romeo"));
    assert_eq!(stage.refusal(romeo), refused);
    assert!(stage.to_rooms.is_empty());
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    assert!(stage.answered(romeo));
}

fn privacy(stage: &mut Stage, user: usize, value: &str) {
    let header = Header {
        name: "Privacy".into(),
        value: value.to_owned(),
    };
    let offer = stage.offer(user);
    let body = (offer.as_str(), "application/sdp");
    stage.invite_as(user, ROOM_URI, Some("Romeo Montague"), body, vec![header]);
}

/// The address and name that the room heard last.
fn entered(stage: &Stage) -> (String, String, Option<String>) {
    let enters = stage.to_rooms.iter().rev();
    enters
        .filter_map(|stanza| match stanza {
            Outgoing::Enter {
                from,
                to,
                display_name,
                ..
            } => Some((
                from.to_bare().to_string(),
                to.resource().as_str().to_owned(),
                display_name.clone(),
            )),
            _ => None,
        })
        .next()
        .unwrap()
}

// Rows: C7701-10, C4575-25, CSIP-14, G-13
#[test]
fn c7701_10_who_asks_for_privacy_is_known_to_nobody_in_the_room() {
    for value in ["id", "user;id", "header", "critical; ID"] {
        let mut stage = Stage::new(config());
        let romeo = stage.user("romeo");
        privacy(&mut stage, romeo, value);
        let (jid, nickname, name) = entered(&stage);
        assert!(
            jid.starts_with("anonymous-") && jid.ends_with("@example.org"),
            "{value}: {jid}"
        );
        assert_eq!((nickname.as_str(), name), ("Anonymous", None), "{value}");
        stage.connect(romeo);
        stage.subscribe(romeo, ROOM_URI);
        let seen = format!("{:?}{:?}", stage.to_rooms, stage.roster(romeo).1);
        assert!(!seen.to_lowercase().contains("romeo"), "{value}: {seen}");
        for from in ["sip:romeo@example.org", "sip:anonymous@anonymous.invalid"] {
            let tag = stage.send(romeo, from, &[ROOM_URI], "who am I?");
            assert_eq!(stage.outcome(romeo, tag), Some(Ok(())), "{from}");
        }
    }
}

#[test]
fn rfc3323_privacy_none_hides_nothing() {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    privacy(&mut stage, romeo, "none");
    assert_eq!(entered(&stage).0, "romeo@example.org");
}

#[test]
fn who_gives_no_address_is_let_in_unless_that_is_off() {
    let mut stage = Stage::new(config());
    let nobody = stage.user_of("anonymous", "anonymous.invalid");
    stage.enter(nobody, ROOM_URI, "Anonymous");
    let (jid, nickname, _) = entered(&stage);
    assert!(jid.starts_with("anonymous-"), "{jid}");
    assert_eq!(nickname, "Anonymous");
    let tag = stage.say(nobody, "boo");
    assert_eq!(stage.outcome(nobody, tag), Some(Ok(())));

    let mut stage = with(Access {
        anonymous: false,
        ..Access::default()
    });
    let nobody = stage.user_of("anonymous", "anonymous.invalid");
    stage.invite(nobody, ROOM_URI, None);
    assert_eq!(
        stage.refusal(nobody),
        Some((433, "Anonymity Disallowed".to_owned()))
    );
    assert!(stage.to_rooms.is_empty());
}

#[test]
fn two_who_give_no_address_are_two() {
    let mut stage = Stage::new(config());
    let one = stage.user_of("anonymous", "anonymous.invalid");
    let other = stage.user_of("anonymous", "anonymous.invalid");
    for user in [one, other] {
        stage.enter(user, ROOM_URI, "Anonymous");
    }
    stage.subscribe(other, ROOM_URI);
    assert_eq!(stage.nicknames(other), ["Anonymous", "Anonymous (2)"]);
    assert_eq!(stage.nicknames(one), Vec::<String>::new());
    stage.cut(other);
    assert_eq!(stage.gateway.census().0, 1);
    let tag = stage.say(one, "still here");
    assert_eq!(stage.outcome(one, tag), Some(Ok(())));
}

#[test]
fn who_hides_is_not_found_by_his_address() {
    let mut stage = Stage::new(config());
    let (romeo, tybalt) = (stage.user("romeo"), stage.user("tybalt"));
    privacy(&mut stage, romeo, "id");
    stage.connect(romeo);
    stage.enter(tybalt, ROOM_URI, "Tybalt");
    let tag = stage.send(
        tybalt,
        "sip:tybalt@example.org",
        &["sip:romeo@example.org"],
        "found you",
    );
    assert_eq!(stage.outcome(tybalt, tag), Some(Err(msrp::Status::NOT_FOUND)));
    assert!(stage.heard(romeo).is_empty());
}
