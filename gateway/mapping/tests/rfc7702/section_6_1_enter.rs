use std::time::Duration;

use mapping::{AddressForm, AnswerRule, Config, Limits};
use xmpp::stanza::{Condition, Outgoing};

use crate::{
    ROOM, ROOM_URI,
    stage::{PHONE, Stage, config},
};

fn entered_as(stage: &Stage) -> Vec<String> {
    stage
        .to_rooms
        .iter()
        .filter_map(|stanza| match stanza {
            Outgoing::Enter { from, to, .. } => Some(format!("{from} -> {to}")),
            _ => None,
        })
        .collect()
}

// Rows: F35, F36, F40, B7702-03, B7702-06, B7702-07, G-01, E-26, E-41
#[test]
fn f35_to_f40_the_invite_is_answered_once_the_room_has_admitted_the_caller() {
    let mut stage = Stage::new(config());
    stage.muc.native_enters(ROOM, "Juliet");
    let romeo = stage.user("romeo");
    stage.muc.mute = true;
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    assert!(
        !stage.answered(romeo),
        "answered before the room has admitted him"
    );
    let asked = entered_as(&stage);
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].starts_with("romeo@example.org/sip-") && asked[0].ends_with("/Romeo"),
        "{asked:?}"
    );

    let Outgoing::Enter { from, .. } = stage.to_rooms[0].clone() else {
        panic!()
    };
    let admitted = crate::stage::muc::presence(
        &ROOM.parse().unwrap(),
        "Romeo",
        &from,
        xmpp::stanza::PresenceKind::Available,
        &[110],
        Some("participant"),
    );
    stage.stanza(admitted);
    assert!(stage.answered(romeo));
}

// Rows: F36, B7702-04, C7701-05, C7701-06, C7701-52, C4975-40, E-05, E-06
#[test]
fn the_answer_takes_only_cpim_and_announces_what_rooms_can_do() {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    stage.invite(romeo, ROOM_URI, None);
    let answer = stage.users[romeo]
        .sip_events
        .iter()
        .find_map(|event| match event {
            sip::Event::Answered {
                body: Some(body),
                contact,
                ..
            } => Some((body.clone(), contact.clone().unwrap())),
            _ => None,
        });
    let (body, contact) = answer.unwrap();
    assert!(contact.parameter("isfocus").is_some(), "{contact}");
    assert_eq!(contact.uri.user(), Some("capulet"));
    let media = sip::sdp::Session::parse(&body.bytes).unwrap().media();
    assert_eq!(media[0].attribute("accept-types"), Some("message/cpim"));
    assert_eq!(media[0].attribute("setup"), Some("passive"));
    assert_eq!(media[0].attribute("chatroom"), Some("nickname private-messages"));
    assert!(
        media[0]
            .attribute("path")
            .unwrap()
            .starts_with("msrp://127.0.0.2:2855/")
    );
}

/// RFC 7247 §7.1 table 2 as the gateway has it (X2S-01 to X2S-22): a conflict is met with another nickname, 401 and 407 would need a
/// challenge, and a full room is busy. The rest is the table's, of two codes the one that does not speak for all devices.
const TABLE_2: [(Condition, u16); 22] = [
    (Condition::BadRequest, 400),
    (Condition::Conflict, 400),
    (Condition::FeatureNotImplemented, 501),
    (Condition::Forbidden, 403),
    (Condition::Gone, 410),
    (Condition::InternalServerError, 500),
    (Condition::ItemNotFound, 404),
    (Condition::JidMalformed, 400),
    (Condition::NotAcceptable, 406),
    (Condition::NotAllowed, 403),
    (Condition::NotAuthorized, 403),
    (Condition::PolicyViolation, 403),
    (Condition::RecipientUnavailable, 480),
    (Condition::Redirect, 480),
    (Condition::RegistrationRequired, 403),
    (Condition::RemoteServerNotFound, 404),
    (Condition::RemoteServerTimeout, 408),
    (Condition::ResourceConstraint, 500),
    (Condition::ServiceUnavailable, 486),
    (Condition::SubscriptionRequired, 400),
    (Condition::UndefinedCondition, 400),
    (Condition::UnexpectedRequest, 491),
];

// Rows: X2S-01..X2S-22, B7702-35, C7247-16, C7247-18, C7247-20, C7247-21, CXMPP-20, C7247-25, G-10
#[test]
fn rfc7247_section_7_1_table_2_every_row_refuses_an_invite_on_the_wire() {
    for (condition, status) in TABLE_2 {
        let mut stage = Stage::new(config());
        stage.muc.refuse = Some(condition);
        let romeo = stage.user("romeo");
        stage.invite(romeo, ROOM_URI, Some("Romeo"));
        assert_eq!(
            stage.refusal(romeo).map(|(code, _)| code),
            Some(status),
            "{condition:?}"
        );
        assert!(stage.gateway.is_idle());
        assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
    }
}

// Rows: B7702-35
#[test]
fn rfc7247_section_7_1_table_2_every_row_ends_a_call_that_was_answered_at_once() {
    for (condition, status) in TABLE_2 {
        let mut stage = Stage::new(Config {
            answer: AnswerRule::AtOnce,
            ..config()
        });
        stage.muc.refuse = Some(condition);
        let romeo = stage.user("romeo");
        stage.invite(romeo, ROOM_URI, Some("Romeo"));
        assert_eq!(
            stage.bye(romeo).map(|(code, _)| code),
            Some(status),
            "{condition:?}"
        );
        assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
    }
}

// Rows: C7247-19, X2S-05, X2S-14
#[test]
fn rfc7247_section_7_1_note_3_a_room_that_has_moved_says_where_to() {
    let to = "sip:balcony@rooms.example.com";
    for (condition, address, status) in [
        (Condition::Gone, "xmpp:balcony@rooms.example.com", 301),
        (Condition::Gone, "xmpp:balcony@rooms.example.com?join", 301),
        (Condition::Redirect, "balcony@rooms.example.com", 302),
        // Nobody who calls could reach these.
        (Condition::Gone, "xmpp:balcony@elsewhere.example", 410),
        (Condition::Gone, "xmpp:@", 410),
        (Condition::Redirect, "http://example.com", 480),
    ] {
        let mut stage = Stage::new(config());
        stage.muc.refuse = Some(condition);
        stage.muc.new_address = Some(address.to_owned());
        let lines = [
            format!("INVITE {ROOM_URI} SIP/2.0"),
            format!("Via: SIP/2.0/TCP {PHONE};branch=z9hG4bK-1"),
            "Max-Forwards: 70".to_owned(),
            "From: <sip:romeo@example.org>;tag=phone".to_owned(),
            format!("To: <{ROOM_URI}>"),
            "Call-ID: moved".to_owned(),
            "CSeq: 1 INVITE".to_owned(),
            format!("Contact: <sip:romeo@{PHONE};transport=tcp>"),
        ];
        stage.phone_says(&lines.each_ref().map(String::as_str), "");
        let answer = stage.to_phone.last().unwrap();
        assert!(
            answer.starts_with(&format!("SIP/2.0 {status} ")),
            "{address}: {answer}"
        );
        assert_eq!(
            answer.contains(&format!("Contact: <{to}>")),
            status < 400,
            "{address}: {answer}"
        );
    }
}

#[test]
fn a_room_that_does_not_answer_is_given_up_and_left() {
    let mut stage = Stage::new(config());
    stage.muc.mute = true;
    let romeo = stage.user("romeo");
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    stage.pass(Duration::from_secs(9));
    assert_eq!(stage.refusal(romeo), None);
    stage.pass(Duration::from_secs(2));
    assert_eq!(stage.refusal(romeo).map(|(code, _)| code), Some(408));
    assert!(
        matches!(stage.to_rooms.last(), Some(Outgoing::Leave { .. })),
        "no ghost is left behind"
    );
    assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
}

// Rows: B7702-03, B7702-11
#[test]
fn a_taken_nickname_is_varied_until_one_is_free() {
    let mut stage = Stage::new(config());
    stage.muc.native_enters(ROOM, "Romeo");
    stage.muc.native_enters(ROOM, "Romeo (2)");
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    assert!(stage.answered(romeo));
    assert_eq!(stage.muc.room(ROOM).occupants[2].0, "Romeo (3)");
}

// Rows: B7702-03, N7702-05
#[test]
fn without_a_display_name_the_user_part_is_the_nickname() {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    stage.invite(romeo, ROOM_URI, None);
    assert!(entered_as(&stage)[0].ends_with("/romeo"));
}

// Rows: CSIP-04
#[test]
fn cancel_leaves_the_room() {
    let mut stage = Stage::new(config());
    stage.muc.mute = true;
    let romeo = stage.user("romeo");
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    let dialog = stage.users[romeo].dialog;
    let now = stage.now;
    stage.users[romeo]
        .endpoint
        .handle_command(sip::Command::Bye { dialog, reason: None }, now);
    // RFC 3261 §9.1: his client waits for a provisional response, and 100 comes after 200 ms.
    stage.pass(Duration::from_millis(200));
    assert!(matches!(stage.to_rooms.last(), Some(Outgoing::Leave { .. })));
    assert!(stage.gateway.is_idle());
    let ended = stage.users[romeo].sip_events.back();
    assert!(matches!(
        ended,
        Some(sip::Event::Ended {
            cause: sip::EndCause::ByUs,
            ..
        })
    ));
}

// Rows: B7702-35, G-01
#[test]
fn the_rfc_s_drawn_order_answers_at_once_and_ends_with_a_bye() {
    let mut stage = Stage::new(Config {
        answer: AnswerRule::AtOnce,
        ..config()
    });
    stage.muc.refuse = Some(Condition::Forbidden);
    let romeo = stage.user("romeo");
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    assert!(stage.answered(romeo));
    assert_eq!(stage.bye(romeo).map(|(code, _)| code), Some(403));
}

// Rows: B7702-01, B7702-02, C7701-03, C7701-04, C4975-33, E-03, C7701-22
#[test]
fn what_cannot_be_served_is_refused_before_the_room_hears_of_it() {
    let offer = |from: &str, to: &str| {
        let stage = Stage::new(config());
        let mut stage = stage;
        let user = stage.user("x");
        stage.offer(user).replace(from, to)
    };
    let good = offer("", "");
    let cases: Vec<(&str, &str, String, &str, u16)> = vec![
        (
            "a domain we do not serve",
            "sip:capulet@elsewhere.example",
            good.clone(),
            "application/sdp",
            404,
        ),
        (
            "no room named",
            "sip:rooms.example.com",
            good,
            "application/sdp",
            404,
        ),
        (
            "no MSRP line",
            ROOM_URI,
            offer("m=message 9 TCP/MSRP *", "m=audio 9 RTP/AVP 0"),
            "application/sdp",
            488,
        ),
        (
            "MSRP line refused by the caller",
            ROOM_URI,
            offer("message 9 TCP", "message 0 TCP"),
            "application/sdp",
            488,
        ),
        (
            "no message/cpim",
            ROOM_URI,
            offer("types:message/cpim", "types:text/plain"),
            "application/sdp",
            488,
        ),
        (
            "no path",
            ROOM_URI,
            offer("a=path:", "a=pfad:"),
            "application/sdp",
            488,
        ),
        (
            "no wrapped text",
            ROOM_URI,
            offer("wrapped-types:text/plain", "wrapped-types:image/png"),
            "application/sdp",
            488,
        ),
        (
            "no session description",
            ROOM_URI,
            "hello".to_owned(),
            "text/plain",
            415,
        ),
        (
            "an unreadable one",
            ROOM_URI,
            "hello".to_owned(),
            "application/sdp",
            488,
        ),
    ];
    for (what, uri, body, kind, status) in cases {
        let mut stage = Stage::new(config());
        let romeo = stage.user("romeo");
        stage.invite_with(romeo, uri, Some("Romeo"), &body, kind);
        assert_eq!(stage.refusal(romeo).map(|(code, _)| code), Some(status), "{what}");
        assert!(stage.to_rooms.is_empty(), "{what}");
        assert!(stage.gateway.is_idle(), "{what}");
    }
}

// Rows: C757X-18
#[test]
fn native_addresses_are_for_the_component_s_own_domain() {
    let mut foreign = config();
    foreign.components[0].domain = "example.net".to_owned();
    let mut stage = Stage::new(foreign.clone());
    let romeo = stage.user("romeo");
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    assert_eq!(stage.refusal(romeo).map(|(code, _)| code), Some(403));

    foreign.components[0].form = AddressForm::Hosted;
    let mut stage = Stage::new(foreign);
    let romeo = stage.user("romeo");
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    assert!(
        entered_as(&stage)[0].starts_with(r"romeo\40example.org@example.net/"),
        "{:?}",
        entered_as(&stage)
    );
}

#[test]
fn without_the_link_callers_hear_503_and_when_to_try_again() {
    let mut stage = Stage::dark(config());
    let romeo = stage.user("romeo");
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    assert_eq!(stage.refusal(romeo).map(|(code, _)| code), Some(503));
    stage.link(true);
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    assert!(stage.answered(romeo));
}

#[test]
fn a_limit_on_sessions_holds_at_its_edge() {
    let limits = Limits {
        sessions: 1,
        ..Limits::default()
    };
    let mut stage = Stage::new(Config { limits, ..config() });
    let romeo = stage.user("romeo");
    let mercutio = stage.user("mercutio");
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    assert!(stage.answered(romeo));
    stage.invite(mercutio, ROOM_URI, Some("Mercutio"));
    assert_eq!(stage.refusal(mercutio).map(|(code, _)| code), Some(503));
}

// Rows: CXMPP-21
#[test]
fn a_room_made_by_entering_is_unlocked() {
    let mut stage = Stage::new(config());
    stage.muc.mute = true;
    let romeo = stage.user("romeo");
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    let Outgoing::Enter { from, .. } = stage.to_rooms[0].clone() else {
        panic!()
    };
    stage.stanza(crate::stage::muc::presence(
        &ROOM.parse().unwrap(),
        "Romeo",
        &from,
        xmpp::stanza::PresenceKind::Available,
        &[110, 201],
        Some("moderator"),
    ));
    assert!(
        stage
            .to_rooms
            .iter()
            .any(|s| matches!(s, Outgoing::AcceptDefaultConfiguration { .. }))
    );
}

#[test]
fn a_client_that_never_opens_its_msrp_session_is_let_go() {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    stage.pass(Duration::from_secs(31));
    assert_eq!(stage.bye(romeo).map(|(code, _)| code), Some(480));
    assert!(matches!(stage.to_rooms.last(), Some(Outgoing::Leave { .. })));
    assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
}
