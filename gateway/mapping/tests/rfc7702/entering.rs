//! Ways into a room beside the plain one: offers of ours, a nickname first, guests, policies, hidden callers.

use std::time::Duration;

use mapping::{AnswerRule, Config, CreationRule, Limits, NamingRule};
use msrp::Status;
use sip::{Body, Contact, Header, NameAddr, ReferParameters, SubscriptionId};
use xmpp::stanza::{Condition, Outgoing, PresenceKind};

use crate::{
    ROOM, ROOM_URI,
    stage::{PHONE, Stage, config, muc::presence},
};

/// A multipart body of an offer and a list of these recipients.
fn with_recipients(offer: &str, recipients: &[&str]) -> String {
    let list = with_list(recipients);
    format!(
        "--b\r\nContent-Type: application/sdp\r\n\r\n{offer}\r\n--b\r\n\
         Content-Type: application/resource-lists+xml\r\nContent-Disposition: recipient-list\r\n\r\n{list}\r\n--b--\r\n"
    )
}

fn with_list(recipients: &[&str]) -> String {
    let entries = recipients.iter().map(|uri| format!("<entry uri=\"{uri}\"/>"));
    let entries: String = entries.collect();
    format!(
        "<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"><list>{entries}</list></resource-lists>"
    )
}

fn header(name: &'static str, value: &str) -> Header {
    Header {
        name: name.into(),
        value: value.to_owned(),
    }
}

fn invited(stage: &Stage) -> Vec<String> {
    let stanzas = stage.to_rooms.iter();
    stanzas
        .filter_map(|stanza| match stanza {
            Outgoing::Invite { invitee, .. } => Some(invitee.to_string()),
            _ => None,
        })
        .collect()
}

fn enter_with(stage: &mut Stage, user: usize, recipients: &[&str]) {
    let body = with_recipients(&stage.offer(user), recipients);
    let require = vec![header("Require", "recipient-list-invite")];
    let kind = "multipart/mixed;boundary=b";
    stage.invite_as(user, ROOM_URI, Some("Romeo"), (&body, kind), require);
}

// Rows: CSIP-22
#[test]
fn rfc5366_each_recipient_is_invited_once_the_caller_is_in() {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    let mercutio = stage.user("mercutio");
    enter_with(
        &mut stage,
        romeo,
        &[
            "sip:juliet@example.com",
            "sip:romeo@example.org",
            "xmpp:nurse@example.com",
            "sip:mercutio@example.org",
            "sip:juliet@example.com",
            "sip:mercutio@example.org;transport=tcp",
            "sips:secret@example.com",
            "sip:other@rooms.example.com",
        ],
    );
    assert!(stage.answered(romeo));
    stage.connect(romeo);
    assert_eq!(invited(&stage), ["juliet@example.com", "nurse@example.com"]);
    let call = stage.take_call(mercutio);
    assert_eq!(
        (call.from.uri.to_string(), call.headers.get("Referred-By")),
        (ROOM_URI.to_owned(), Some("<sip:romeo@example.org>"))
    );
    assert!(stage.rung(romeo).is_none());
    assert!(stage.rung(mercutio).is_none());
    let told: Vec<String> = stage.heard(romeo).into_iter().map(|(.., text)| text).collect();
    assert_eq!(
        told,
        [
            "(sips:secret@example.com is not invited: SIPS Is Not Carried Into Chat Rooms)",
            "(sip:other@rooms.example.com is not invited: Loop Detected)",
        ]
    );
}

#[test]
fn rfc5366_nobody_is_invited_by_who_is_not_admitted() {
    let mut stage = Stage::new(config());
    stage.muc.refuse = Some(Condition::Forbidden);
    let romeo = stage.user("romeo");
    enter_with(&mut stage, romeo, &["sip:juliet@example.com"]);
    assert_eq!(
        stage.refusal(romeo),
        Some((403, "Banned From The Room".to_owned()))
    );
    assert_eq!(invited(&stage), Vec::<String>::new());
}

#[test]
fn a_guest_who_does_not_come_is_reported_to_who_invited_him() {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    let mercutio = stage.user("mercutio");
    enter_with(&mut stage, romeo, &["sip:mercutio@example.org"]);
    stage.connect(romeo);
    stage.refuse_call(mercutio, 603);
    assert_eq!(
        stage.heard(romeo)[0].2,
        "(sip:mercutio@example.org does not come: Declined)"
    );
}

#[test]
fn a_list_that_cannot_be_followed_is_refused_before_the_room_hears_of_it() {
    let limits = Limits {
        recipients: 1,
        ..Limits::default()
    };
    let mut stage = Stage::new(Config { limits, ..config() });
    let romeo = stage.user("romeo");
    enter_with(&mut stage, romeo, &["sip:a@example.com", "sip:b@example.com"]);
    assert_eq!(
        stage.refusal(romeo),
        Some((400, "Too Many Recipients".to_owned()))
    );
    let broken = with_recipients(&stage.offer(romeo), &["\"<"]);
    stage.invite_with(romeo, ROOM_URI, None, &broken, "multipart/mixed;boundary=b");
    assert_eq!(
        stage.refusal(romeo),
        Some((400, "Unreadable List Of Recipients".to_owned()))
    );
    assert!(stage.to_rooms.is_empty());
}

#[test]
fn rfc5621_section_7_a_part_that_must_be_understood_and_is_not_is_refused() {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    let offer = stage.offer(romeo);
    for (disposition, status) in [("session", Some(415)), ("session;handling=optional", None)] {
        let body = format!(
            "--b\r\nContent-Type: application/sdp\r\n\r\n{offer}\r\n--b\r\nContent-Type: text/calendar\r\n\
             Content-Disposition: {disposition}\r\n\r\nx\r\n--b--"
        );
        stage.users[romeo].sip_events.clear();
        stage.invite_with(romeo, ROOM_URI, None, &body, "multipart/mixed;boundary=b");
        assert_eq!(
            stage.refusal(romeo).map(|(code, _)| code),
            status,
            "{disposition}"
        );
    }
}

/// A phone of Romeo's refers the room to a list of these recipients. Returns the answer.
fn refer_to_list(stage: &mut Stage, list: Option<&[&str]>) -> String {
    let body = list.map(with_list).unwrap_or_default();
    let mut lines = vec![
        format!("REFER {ROOM_URI} SIP/2.0"),
        format!("Via: SIP/2.0/TCP {PHONE};branch=z9hG4bK-{}", body.len()),
        "Max-Forwards: 70".to_owned(),
        "From: Romeo <sip:romeo@example.org>;tag=phone".to_owned(),
        format!("To: <{ROOM_URI}>"),
        format!("Call-ID: list-{}", body.len()),
        "CSeq: 1 REFER".to_owned(),
        format!("Contact: <sip:romeo@{PHONE};transport=tcp>"),
        "Require: multiple-refer, norefersub".to_owned(),
        "Refer-Sub: false".to_owned(),
        "Refer-To: <cid:list@example.org>".to_owned(),
    ];
    if list.is_some() {
        lines.push("Content-Type: application/resource-lists+xml".to_owned());
        lines.push("Content-Disposition: recipient-list".to_owned());
        lines.push("Content-ID: <list@example.org>".to_owned());
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    stage.to_phone.clear();
    stage.phone_says(&lines, &body);
    let [answer] = &*stage.to_phone else {
        panic!("one answer, and no NOTIFY: {:?}", stage.to_phone);
    };
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn rfc5368_each_recipient_of_a_list_is_invited_and_nobody_is_told_how_it_goes() {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    let mercutio = stage.user("mercutio");
    stage.enter(romeo, ROOM_URI, "Romeo");
    let list = [
        "sip:nurse@example.com",
        "sip:mercutio@example.org",
        "sip:romeo@example.org",
        "sip:nurse@EXAMPLE.com",
    ];
    let answer = refer_to_list(&mut stage, Some(&list));
    assert_eq!(answer, "SIP/2.0 200 OK");
    assert_eq!(invited(&stage), ["nurse@example.com"]);
    assert!(stage.rung(mercutio).is_some(), "SIP users are called");
}

#[test]
fn rfc5368_a_list_that_cannot_be_followed_is_refused_whole() {
    let limits = Limits {
        recipients: 1,
        ..Limits::default()
    };
    let mut stage = Stage::new(Config { limits, ..config() });
    let list = ["sip:a@example.com", "sip:b@example.com"];
    let answer = refer_to_list(&mut stage, Some(&list[..1]));
    assert_eq!(answer, "SIP/2.0 403 Not A Participant");
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    let cases: [(Option<&[&str]>, &str); 4] = [
        (None, "400 No List Of Recipients"),
        (Some(&[]), "400 No List Of Recipients"),
        (Some(&list), "400 Too Many Recipients"),
        (Some(&["\"<"]), "400 Unreadable List Of Recipients"),
    ];
    for (list, refusal) in cases {
        let answer = refer_to_list(&mut stage, list);
        assert_eq!(answer, format!("SIP/2.0 {refusal}"), "{list:?}");
    }
    assert_eq!(invited(&stage), Vec::<String>::new());
}

fn refer(stage: &mut Stage, user: usize, refer_to: &str) -> Option<u16> {
    let parameters = ReferParameters {
        uri: ROOM_URI.parse().unwrap(),
        from: NameAddr::new("sip:romeo@example.org".parse().unwrap()),
        to: NameAddr::new(ROOM_URI.parse().unwrap()),
        contact: Contact::default(),
        refer_to: refer_to.parse().unwrap(),
        silent: false,
    };
    let command = sip::Command::Refer {
        subscription: SubscriptionId(500),
        parameters: Box::new(parameters),
    };
    let now = stage.now;
    stage.users[user].endpoint.handle_command(command, now);
    stage.run();
    let mut events = stage.users[user].sip_events.iter().rev();
    events.find_map(|event| match event {
        sip::Event::SubscriptionRefused { status, .. } => Some(status.0),
        sip::Event::SubscriptionAccepted { .. } => Some(200),
        _ => None,
    })
}

// Rows: B7702-30, B7702-30
#[test]
fn b7702_30_refer_with_method_bye_removes_an_occupant_if_the_room_lets_him() {
    for (allowed, status) in [(true, 200), (false, 403)] {
        let mut stage = Stage::new(config());
        stage.muc.native_enters(ROOM, "Juliet");
        stage.muc.moderated = !allowed;
        let romeo = stage.user("romeo");
        stage.enter(romeo, ROOM_URI, "Romeo");
        let got = refer(
            &mut stage,
            romeo,
            "<sip:capulet@rooms.example.com;gr=Juliet;method=BYE>",
        );
        assert_eq!(got, Some(status));
        let kicked = stage
            .to_rooms
            .iter()
            .any(|stanza| matches!(stanza, Outgoing::Kick { nickname, .. } if nickname == "Juliet"));
        assert!(kicked);
    }
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    assert_eq!(
        refer(
            &mut stage,
            romeo,
            "<sip:capulet@rooms.example.com;gr=Nobody;method=BYE>"
        ),
        Some(404)
    );
}

#[test]
fn a_room_that_does_not_say_whether_somebody_is_removed_is_answered_for() {
    let mut stage = Stage::new(config());
    stage.muc.native_enters(ROOM, "Juliet");
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    stage.muc.mute = true;
    let target = "<sip:capulet@rooms.example.com;gr=Juliet;method=BYE>";
    assert_eq!(refer(&mut stage, romeo, target), None);
    stage.pass(Duration::from_secs(21));
    let refused = stage.users[romeo]
        .sip_events
        .iter()
        .any(|event| matches!(event, sip::Event::SubscriptionRefused { status, .. } if status.0 == 408));
    assert!(refused);
}

fn requested() -> Config {
    Config {
        naming: NamingRule::Requested,
        ..config()
    }
}

// Rows: B7702-03, B7702-03, B7702-28
#[test]
fn b7702_03_the_room_is_entered_under_the_nickname_that_is_asked_for_first() {
    let mut stage = Stage::new(requested());
    stage.muc.native_enters(ROOM, "Juliet");
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    assert!(stage.answered(romeo));
    assert!(stage.to_rooms.is_empty(), "{:?}", stage.to_rooms);

    stage.nickname(romeo, "Juliet");
    assert_eq!(stage.nickname_outcome(romeo), Some(Status::NICKNAME_IN_USE));
    stage.nickname(romeo, "Montague");
    assert_eq!(stage.nickname_outcome(romeo), Some(Status::OK));
    let nicknames: Vec<_> = stage
        .muc
        .room(ROOM)
        .occupants
        .iter()
        .map(|(nick, _)| nick.clone())
        .collect();
    assert_eq!(nicknames, ["Juliet", "Montague"]);
    let tag = stage.say(romeo, "here");
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
    stage.nickname(romeo, "Romeo");
    assert_eq!(stage.nickname_outcome(romeo), Some(Status::OK));
}

// Rows: B7702-03, B7702-06
#[test]
fn b7702_03_who_asks_for_no_nickname_enters_under_the_provisional_one() {
    let mut stage = Stage::new(requested());
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    let tag = stage.say(romeo, "too early");
    assert_eq!(
        stage.outcome(romeo, tag),
        Some(Err(Status::new(408, "Not In The Room")))
    );
    stage.pass(Duration::from_secs(5));
    assert_eq!(stage.muc.room(ROOM).occupants[0].0, "Romeo");
    let tag = stage.say(romeo, "now");
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
}

#[test]
fn b7702_03_a_refusal_ends_the_call_that_waited_for_its_nickname() {
    let mut stage = Stage::new(requested());
    stage.muc.refuse = Some(Condition::Forbidden);
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    stage.nickname(romeo, "Montague");
    assert_eq!(stage.nickname_outcome(romeo), Some(Status::FORBIDDEN));
    assert_eq!(stage.bye(romeo), Some((403, "Banned From The Room".to_owned())));
    assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
}

#[test]
fn b7702_03_who_hangs_up_before_he_is_named_leaves_nothing_behind() {
    let mut stage = Stage::new(requested());
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    stage.cut(romeo);
    assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
    assert!(stage.to_rooms.is_empty(), "{:?}", stage.to_rooms);
}

#[test]
fn a_client_without_nicknames_enters_at_once() {
    let mut stage = Stage::new(requested());
    let romeo = stage.user("romeo");
    let offer = stage.offer(romeo).replace("nickname private", "private");
    stage.invite_with(romeo, ROOM_URI, Some("Romeo"), &offer, "application/sdp");
    assert_eq!(stage.muc.room(ROOM).occupants.len(), 1);
}

#[test]
fn a_room_made_by_a_call_is_left_again_if_calls_make_none() {
    let mut stage = Stage::new(Config {
        creation: CreationRule::Refuse,
        ..config()
    });
    stage.muc.mute = true;
    let romeo = stage.user("romeo");
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    let Some(Outgoing::Enter { from, .. }) = stage.to_rooms.first().cloned() else {
        unreachable!("he asks to enter")
    };
    stage.stanza(presence(
        &ROOM.parse().unwrap(),
        "Romeo",
        &from,
        PresenceKind::Available,
        &[110, 201],
        Some("moderator"),
    ));
    assert_eq!(
        stage.refusal(romeo),
        Some((403, "There Is No Such Room, And Calls Create None".to_owned()))
    );
    assert!(
        matches!(stage.to_rooms.last(), Some(Outgoing::Leave { .. })),
        "{:?}",
        stage.to_rooms
    );
    assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
}

/// A call of a phone that leaves the offer to the focus, up to its ACK with `answer`. Returns the offer.
fn call_without_offer(stage: &mut Stage, answer: &str) -> Body {
    let to = format!("<{ROOM_URI}>");
    let request = |method: &str, tag: &str| {
        [
            format!("{method} {ROOM_URI} SIP/2.0"),
            format!("Via: SIP/2.0/TCP {PHONE};branch=z9hG4bK-{method}"),
            "Max-Forwards: 70".to_owned(),
            "From: Romeo <sip:romeo@example.org>;tag=phone".to_owned(),
            format!("To: {to}{tag}"),
            "Call-ID: late".to_owned(),
            format!("CSeq: 1 {method}"),
            format!("Contact: <sip:romeo@{PHONE};transport=tcp>"),
        ]
    };
    let invite = request("INVITE", "");
    let lines: Vec<&str> = invite.iter().map(String::as_str).collect();
    stage.phone_says(&lines, "");
    let answered = stage.to_phone.last().cloned().unwrap();
    assert!(answered.starts_with("SIP/2.0 200"), "{answered}");
    let (head, offer) = answered.split_once("\r\n\r\n").unwrap();
    let tag = head.split_once(";tag=").map(|_| ()).and_then(|()| {
        let to = head.lines().find(|line| line.starts_with("To:"))?;
        Some(format!(";tag={}", to.rsplit_once("tag=")?.1))
    });
    let mut ack: Vec<String> = request("ACK", &tag.unwrap()).into();
    ack.push("Content-Type: application/sdp".to_owned());
    let lines: Vec<&str> = ack.iter().map(String::as_str).collect();
    stage.phone_says(&lines, answer);
    Body {
        content_type: "application/sdp".to_owned(),
        bytes: offer.to_owned().into(),
    }
}

// Rows: CSIP-07
#[test]
fn rfc3264_section_5_without_an_offer_the_offer_is_ours_and_the_ack_has_the_answer() {
    for answer in [AnswerRule::WhenAdmitted, AnswerRule::AtOnce] {
        let mut stage = Stage::new(Config { answer, ..config() });
        stage.muc.native_enters(ROOM, "Juliet");
        let romeo = stage.user("romeo");
        let sdp = stage.offer(romeo);
        let offer = call_without_offer(&mut stage, &sdp);
        stage.connect_to(romeo, &offer);
        let tag = stage.say(romeo, "hello");
        assert_eq!(stage.outcome(romeo, tag), Some(Ok(())), "{answer:?}");
    }
}

#[test]
fn rfc3264_section_5_an_ack_without_a_usable_answer_ends_the_call() {
    for answer in ["", "v=0\r\no=- 1 1 IN IP4 127.0.0.99\r\ns=-\r\nt=0 0\r\n"] {
        let mut stage = Stage::new(config());
        call_without_offer(&mut stage, answer);
        let bye = stage.to_phone.last().unwrap();
        assert!(bye.starts_with("BYE ") && bye.contains("cause=488"), "{bye}");
        assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
    }
}

// Rows: C4975-40
#[test]
fn rfc6135_section_4_2_a_client_that_waits_is_connected_to() {
    let mut stage = Stage::new(config());
    stage.muc.native_enters(ROOM, "Juliet");
    let romeo = stage.user("romeo");
    let offer = stage.offer(romeo).replace("setup:active", "setup:passive");
    stage.invite_with(romeo, ROOM_URI, Some("Romeo"), &offer, "application/sdp");
    let answers = stage.users[romeo].sip_events.iter();
    let answer = answers
        .filter_map(|event| match event {
            sip::Event::Answered { body: Some(body), .. } => Some(body.bytes.clone()),
            _ => None,
        })
        .next()
        .unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("a=setup:active"));
    let told = stage.muc.native_says(ROOM, "Juliet", "welcome");
    stage.stanzas(told);
    assert_eq!(stage.heard(romeo).len(), 1);
    let tag = stage.say(romeo, "hello");
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
}

#[test]
fn a_client_that_cannot_be_connected_to_is_let_go() {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    let offer = stage
        .offer(romeo)
        .replace("setup:active", "setup:passive")
        .replace("msrp://127.0.0.10", "msrp://127.0.0.77");
    stage.invite_with(romeo, ROOM_URI, Some("Romeo"), &offer, "application/sdp");
    assert_eq!(
        stage.bye(romeo),
        Some((480, "MSRP Peer Cannot Be Reached".to_owned()))
    );
    assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
}

#[test]
fn a_client_that_waits_is_refused_where_connections_are_not_opened() {
    let mut stage = Stage::new(Config {
        connect: false,
        ..config()
    });
    let romeo = stage.user("romeo");
    let offer = stage.offer(romeo).replace("setup:active", "setup:passive");
    stage.invite_with(romeo, ROOM_URI, Some("Romeo"), &offer, "application/sdp");
    assert_eq!(stage.refusal(romeo).map(|(code, _)| code), Some(488));
}

#[test]
fn rfc6135_section_4_2_an_answer_that_waits_is_connected_to_and_one_that_connects_is_awaited() {
    for (setup, by_us) in [("a=setup:passive", true), ("a=setup:active", false)] {
        let mut stage = Stage::new(config());
        let romeo = stage.user("romeo");
        let sdp = stage.offer(romeo).replace("a=setup:active", setup);
        let offer = call_without_offer(&mut stage, &sdp);
        assert!(String::from_utf8_lossy(&offer.bytes).contains("a=setup:actpass"));
        if !by_us {
            stage.connect_to(romeo, &offer);
        }
        let tag = stage.say(romeo, "hello");
        assert_eq!(stage.outcome(romeo, tag), Some(Ok(())), "{setup}");
    }
}
