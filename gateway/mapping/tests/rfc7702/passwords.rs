//! Rooms with a password: SIP has no field for one, so callers are asked for it (RFC 3261 §22), and by default nobody is let in without.

use std::time::Duration;

use mapping::{Config, Password, RoomPassword};
use sip::{Credentials, digest};
use xmpp::stanza::Outgoing;

use crate::{
    ROOM, ROOM_URI,
    section_6_5_called::{direct, mediated},
    stage::{GATEWAY, PHONE, Stage, config},
};

const CAULDRON: &str = "cauldron";

/// The gateway knows the password of the room, and the room wants to hear it.
fn stage(known: &str, ask: bool) -> Stage {
    let password = RoomPassword {
        password: Password::new(known),
        ask,
    };
    let mut stage = Stage::new(Config {
        passwords: [(ROOM.parse().unwrap(), password)].into(),
        ..config()
    });
    stage.muc.password = Some(CAULDRON.to_owned());
    stage
}

/// What the user's client answers challenges of the room with.
fn knows(stage: &mut Stage, user: usize, name: &str, password: &str) {
    let credentials = Credentials {
        realm: ROOM.to_owned(),
        username: name.to_owned(),
        password: digest::Password::new(password),
        server: format!("sip:{GATEWAY}").parse().unwrap(),
    };
    stage.users[user].endpoint.set_credentials(vec![credentials]);
}

/// The passwords with which the room was asked, one for each time.
fn shown(stage: &Stage) -> Vec<Option<&str>> {
    let entrances = stage.to_rooms.iter().filter_map(|stanza| match stanza {
        Outgoing::Enter { password, .. } => Some(password.as_deref()),
        _ => None,
    });
    entrances.collect()
}

// Rows: G-10
#[test]
fn rfc3261_section_22_2_a_caller_who_shows_the_password_is_in_whatever_his_user_name() {
    for name in ["romeo", "romeo@example.org", "anybody"] {
        let mut stage = stage(CAULDRON, true);
        let romeo = stage.user("romeo");
        knows(&mut stage, romeo, name, CAULDRON);
        stage.enter(romeo, ROOM_URI, "Romeo");
        assert_eq!(shown(&stage), [Some(CAULDRON)]);
        let tag = stage.say(romeo, "double, double");
        assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
    }
}

// Rows: G-10
#[test]
fn who_does_not_know_the_password_is_asked_for_it_and_the_room_hears_nothing() {
    let mut stage = stage(CAULDRON, true);
    let (romeo, tybalt) = (stage.user("romeo"), stage.user("tybalt"));
    knows(&mut stage, tybalt, "tybalt", "kettle");
    for caller in [romeo, tybalt] {
        stage.invite(caller, ROOM_URI, None);
        let refused = stage.refusal(caller).unwrap();
        assert_eq!(refused, (401, "Password Of The Room Needed".to_owned()));
    }
    assert_eq!(stage.to_rooms.len(), 0);
    assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
}

#[test]
fn an_answer_that_was_given_before_is_asked_for_again() {
    let mut stage = stage(CAULDRON, true);
    let invite = |stage: &mut Stage, number: u32, answer: Option<&str>| {
        let mut lines = vec![
            format!("INVITE {ROOM_URI} SIP/2.0"),
            format!("Via: SIP/2.0/TCP {PHONE};branch=z9hG4bK-{number}"),
            "Max-Forwards: 70".to_owned(),
            "From: <sip:romeo@example.org>;tag=phone".to_owned(),
            format!("To: <{ROOM_URI}>"),
            format!("Call-ID: call{number}"),
            format!("CSeq: {number} INVITE"),
            format!("Contact: <sip:romeo@{PHONE};transport=tcp>"),
        ];
        lines.extend(answer.map(|answer| format!("Authorization: {answer}")));
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        stage.phone_says(&lines, "");
        stage.to_phone.last().unwrap().clone()
    };
    let challenged = invite(&mut stage, 1, None);
    let challenges = challenged
        .lines()
        .filter_map(|line| line.strip_prefix("WWW-Authenticate: "));
    let challenges: Vec<_> = challenges
        .map(|challenge| digest::Challenge::read(challenge).unwrap())
        .collect();
    assert_eq!(challenges.len(), 3, "one for each algorithm");
    let asked = digest::Asked {
        method: "INVITE",
        uri: ROOM_URI,
        body: b"",
    };
    let password = digest::Password::new(CAULDRON);
    let answer = challenges[0].answer("romeo", &password, asked, 1, "once");
    let answered = invite(&mut stage, 2, Some(&answer));
    assert!(answered.starts_with("SIP/2.0 200 "), "{answered}");
    let again = invite(&mut stage, 3, Some(&answer));
    assert!(
        again.starts_with("SIP/2.0 401 ") && again.contains("stale=true"),
        "{again}"
    );
}

#[test]
fn if_nobody_is_to_be_asked_all_are_let_in() {
    let mut stage = stage(CAULDRON, false);
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    assert_eq!(shown(&stage), [Some(CAULDRON)]);
    assert!(stage.answered(romeo));
}

// Rows: G-10, B7702-35
#[test]
fn a_password_that_the_room_does_not_take_is_403_as_is_none() {
    let mut stage = stage("kettle", false);
    let romeo = stage.user("romeo");
    stage.invite(romeo, ROOM_URI, None);
    assert_eq!(stage.refusal(romeo).map(|(code, _)| code), Some(403));

    let mut stage = Stage::new(config());
    stage.muc.password = Some(CAULDRON.to_owned());
    let romeo = stage.user("romeo");
    stage.invite(romeo, ROOM_URI, None);
    assert_eq!(stage.refusal(romeo).map(|(code, _)| code), Some(403));
}

#[test]
fn who_comes_back_after_an_outage_shows_the_same_password() {
    let mut stage = stage(CAULDRON, true);
    let romeo = stage.user("romeo");
    knows(&mut stage, romeo, "romeo", CAULDRON);
    stage.enter(romeo, ROOM_URI, "Romeo");
    stage.link(false);
    stage.muc.rooms.clear();
    stage.link(true);
    stage.pass(Duration::from_secs(1));
    assert_eq!(shown(&stage), [Some(CAULDRON), Some(CAULDRON)]);
    let tag = stage.say(romeo, "again");
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
}

#[test]
fn an_invitation_opens_the_room_only_if_it_has_the_password() {
    // From the room, whose inviter knows it; directly, and he does not say it.
    for (invitation, opens) in [(mediated(Some(CAULDRON)), true), (direct(ROOM), false)] {
        let mut stage = stage(CAULDRON, true);
        let romeo = stage.user("romeo");
        stage.stanza(invitation);
        stage.take_call(romeo);
        assert_eq!(stage.bye(romeo).is_none(), opens);
        assert_eq!(shown(&stage), [opens.then_some(CAULDRON)]);
    }
    let mut stage = stage(CAULDRON, false);
    let romeo = stage.user("romeo");
    stage.stanza(direct(ROOM));
    stage.take_call(romeo);
    assert_eq!(shown(&stage), [Some(CAULDRON)]);
}

#[test]
fn a_password_is_shown_to_nobody_who_looks_at_the_configuration() {
    let stage = RoomPassword {
        password: Password::new(CAULDRON),
        ask: true,
    };
    assert!(!format!("{stage:?}").contains(CAULDRON));
}
