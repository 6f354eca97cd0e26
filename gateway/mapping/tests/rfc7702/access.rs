//! Who may use the gateway, and who may hide.

use mapping::{Access, AccessList, Config};
use sip::Header;
use xmpp::stanza::{Condition, MessageKind, Outgoing, Presence, PresenceKind, Stanza};

use crate::{
    ROOM_URI,
    hall::{jid, message},
    stage::{PHONE, Stage, config},
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

// Rows: C7701-10, C4575-25, CSIP-14, G-13, C7701-10, G-13
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

// Rows: C7701-16
#[test]
fn c7701_16_who_is_anonymous_says_nothing_under_his_own_address() {
    let mut stage = Stage::new(config());
    let (romeo, mercutio) = (stage.user("romeo"), stage.user("mercutio"));
    stage.enter(mercutio, ROOM_URI, "Mercutio");
    stage.subscribe(mercutio, ROOM_URI);
    privacy(&mut stage, romeo, "id");
    stage.connect(romeo);
    // Whichever address his client writes.
    let to_mercutio = "sip:capulet@rooms.example.com;gr=Mercutio";
    for from in ["sip:romeo@example.org", "sip:anonymous@anonymous.invalid"] {
        stage.send(romeo, from, &[ROOM_URI], "who am I?");
        stage.send(romeo, from, &[to_mercutio], "who?");
    }
    let heard = stage.heard(mercutio);
    assert_eq!(heard.len(), 4);
    for (from, ..) in &heard {
        assert_eq!(from, "sip:capulet@rooms.example.com;gr=Anonymous");
    }
    let told = stage.users[mercutio].received.iter();
    let told: String = told
        .map(|(_, message)| String::from_utf8_lossy(&message.body).into_owned())
        .collect();
    let seen = format!("{told}{:?}{:?}", stage.roster(mercutio).1, stage.to_rooms);
    let of_romeo = |text: &str| text.to_lowercase().contains("romeo");
    assert!(!of_romeo(&seen), "{seen}");
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

// Rows: C7247-28
#[test]
fn rfc7247_section_8_a_conference_that_calls_is_a_loop() {
    let mut hosted = config();
    hosted.components[0].form = mapping::AddressForm::Hosted;
    let mut stage = Stage::new(hosted);
    let other = stage.user_of("montague", "rooms.example.com");
    stage.invite(other, ROOM_URI, None);
    assert_eq!(stage.refusal(other).map(|(code, _)| code), Some(482));
    assert!(stage.to_rooms.is_empty());
}

// Rows: CSIP-16, C7701-10
#[test]
fn rfc3325_section_7_an_asserted_identity_is_who_calls_and_stays_with_us_if_he_hides() {
    for (value, address) in [("none", "montague@example.org"), ("id", "anonymous-")] {
        let mut stage = Stage::new(config());
        stage.focus.set_trust(sip::Trust {
            networks: vec!["127.0.0.0/8".parse().unwrap()],
            ..sip::Trust::default()
        });
        let romeo = stage.user("romeo");
        let header = |name: &'static str, value: &str| Header {
            name: name.into(),
            value: value.to_owned(),
        };
        let headers = vec![
            header("P-Asserted-Identity", "<sip:montague@example.org>"),
            header("Privacy", value),
        ];
        let offer = stage.offer(romeo);
        stage.invite_as(romeo, ROOM_URI, None, (&offer, "application/sdp"), headers);
        assert!(entered(&stage).0.starts_with(address), "{:?}", entered(&stage));
        let told = format!("{:?}", stage.to_rooms);
        assert_eq!(told.contains("montague"), value == "none", "{told}");
        stage.connect(romeo);
        // He calls himself as he called.
        let tag = stage.say(romeo, "hello");
        assert_eq!(stage.outcome(romeo, tag), Some(Ok(())), "{value}");
    }
}

#[test]
fn what_is_not_offered_between_two_users_is_refused_on_both_sides() {
    let mut stage = Stage::new(config());
    for method in ["MESSAGE", "PUBLISH"] {
        let lines = [
            format!("{method} sip:juliet@example.com SIP/2.0"),
            format!("Via: SIP/2.0/TCP {PHONE};branch=z9hG4bK-{method}"),
            "Max-Forwards: 70".to_owned(),
            "From: <sip:romeo@example.org>;tag=phone".to_owned(),
            "To: <sip:juliet@example.com>".to_owned(),
            format!("Call-ID: {method}"),
            format!("CSeq: 1 {method}"),
        ];
        stage.phone_says(&lines.each_ref().map(String::as_str), "");
        let answer = stage.to_phone.last().unwrap();
        assert!(
            answer.starts_with("SIP/2.0 405 ") && answer.contains("\r\nAllow: "),
            "{answer}"
        );
    }
    // A call that is no conference's.
    let romeo = stage.user("romeo");
    stage.invite(romeo, "sip:juliet@example.com", None);
    assert_eq!(stage.refusal(romeo).map(|(code, _)| code), Some(404));

    let said = message(
        "juliet@example.com/x",
        "romeo@example.org",
        MessageKind::Chat,
        Some("psst"),
    );
    stage.stanza(Stanza::Message(Box::new(said)));
    stage.stanza(Stanza::Presence(Presence {
        from: jid("juliet@example.com"),
        to: jid("romeo@example.org"),
        id: Some("s1".to_owned()),
        kind: PresenceKind::Other("subscribe".to_owned()),
        join: None,
        muc: None,
        nick: None,
        status: None,
    }));
    let refused: Vec<_> = stage
        .to_rooms
        .iter()
        .map(|stanza| match stanza {
            Outgoing::Error { name, condition, .. } => (*name, *condition),
            other => panic!("{other:?}"),
        })
        .collect();
    let not_here = Condition::FeatureNotImplemented;
    assert_eq!(refused, [("message", not_here), ("presence", not_here)]);
}
