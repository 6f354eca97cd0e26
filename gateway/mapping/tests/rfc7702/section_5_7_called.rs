//! RFC 7702 §5.7 the other way round: a conference wants an XMPP user, by a call of its focus (RFC 4579 §5.2) or by a REFER (§5.6).

use std::time::Duration;

use mapping::{AccessList, Config, Limits};
use sip::{NameAddr, ReferParameters, StatusCode, SubscriptionId};
use xmpp::stanza::{Condition, Invite, MessageKind, MucUser, PresenceKind, Stanza, StanzaError};

use crate::hall::{CONFERENCE, Hall, JULIET, ROOM, Script, config, message};

/// Whom the focus calls.
const JULIET_URI: &str = "sip:juliet@example.com";
const JULIET_BARE: &str = "juliet@example.com";
const INVITED: &str = "romeo@example.org invites to capulet@chat.example.com: Come!";

/// The focus calls Juliet.
fn call(hall: &mut Hall) {
    hall.dial_out(CONFERENCE, JULIET_URI, vec![("isfocus", None)]);
}

fn called() -> Hall {
    let mut hall = Hall::new();
    call(&mut hall);
    hall
}

fn declines(hall: &mut Hall, words: Option<&str>) {
    let decline = Invite {
        to: Some("romeo@example.org".parse().unwrap()),
        reason: words.map(str::to_owned),
        ..Invite::default()
    };
    let mut declined = message(JULIET, ROOM, MessageKind::Normal, None);
    declined.muc = Some(MucUser {
        decline: Some(decline),
        ..MucUser::default()
    });
    hall.stanza(Stanza::Message(Box::new(declined)));
}

/// The invitation comes back.
fn bounces(hall: &mut Hall, condition: Condition) {
    hall.bounce(JULIET_BARE, ROOM, StanzaError::new(condition));
}

/// What the focus heard of its last call: status and phrase.
fn refusal(hall: &Hall) -> Option<(u16, String)> {
    hall.focus_events.iter().rev().find_map(|event| match event {
        sip::Event::Refused { status, phrase, .. } => Some((status.0, phrase.clone())),
        _ => None,
    })
}

fn rang(hall: &Hall) -> bool {
    let ringing =
        |event: &sip::Event| matches!(event, sip::Event::Progress { status, .. } if status.0 == 180);
    hall.focus_events.iter().any(ringing)
}

// Rows: CXMPP-12, CSIP-13
#[test]
fn rfc4579_section_5_2_who_is_called_by_a_focus_is_invited_and_comes_by_entering() {
    let mut hall = called();
    assert_eq!(hall.heard(JULIET_BARE), [INVITED]);
    assert!(rang(&hall));
    assert_eq!(hall.legs[0].ended, None);

    hall.enter(JULIET, "JuliC");
    assert_eq!(hall.invites.len(), 0, "the focus's own call is her stay");
    assert_eq!(hall.nicknames, ["JuliC"]);
    assert_eq!(hall.subscribes.len(), 1);
    let heard = hall.heard(JULIET);
    assert_eq!(
        heard,
        [
            "Ben is in (participant)",
            "Romeo is in (participant)",
            "JuliC is in (participant) 110",
            "subject: Today in Verona",
        ]
    );
    hall.say(JULIET, "here I am");
    assert_eq!(hall.heard(JULIET), ["JuliC: here I am"]);
    assert_eq!(hall.taken.len(), 1);
    hall.leave(JULIET, "JuliC", None);
    assert!(hall.legs[0].ended.is_some());
    assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
}

#[test]
fn who_does_not_come_is_told_of_with_the_reason() {
    let mut hall = called();
    declines(&mut hall, Some("I am otherwise engaged"));
    assert_eq!(refusal(&hall), Some((603, "I am otherwise engaged".to_owned())));
    assert_eq!(hall.gateway.census(), (0, 0, 0, 0));

    let mut hall = called();
    declines(&mut hall, None);
    assert_eq!(refusal(&hall), Some((603, "Decline".to_owned())));

    for (condition, status) in [
        (Condition::ServiceUnavailable, 480),
        (Condition::RecipientUnavailable, 480),
        (Condition::ItemNotFound, 404),
        (Condition::RemoteServerNotFound, 404),
        (Condition::RemoteServerTimeout, 408),
        (Condition::Forbidden, 403),
    ] {
        let mut hall = called();
        bounces(&mut hall, condition);
        assert_eq!(
            refusal(&hall).map(|(status, _)| status),
            Some(status),
            "{condition:?}"
        );
        assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
    }
}

#[test]
fn who_does_not_answer_in_time_is_no_longer_awaited() {
    let mut hall = called();
    hall.pass(Duration::from_secs(59));
    assert_eq!(refusal(&hall), None);
    hall.pass(Duration::from_secs(2));
    assert_eq!(refusal(&hall), Some((480, "No Answer".to_owned())));
    assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
}

#[test]
fn after_a_cancel_nobody_is_awaited_and_who_comes_late_calls_the_conference() {
    let mut hall = called();
    hall.bye(0, None);
    assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
    hall.enter(JULIET, "JuliC");
    assert_eq!(hall.invites.len(), 1);
    assert_eq!(hall.heard(JULIET).len(), 4);
}

#[test]
fn rfc6135_a_switch_that_wants_to_connect_is_waited_for() {
    let mut hall = Hall::scripted(Script {
        setup: "active",
        ..Script::default()
    });
    call(&mut hall);
    hall.enter(JULIET, "JuliC");
    assert_eq!(hall.heard(JULIET).len(), 0);
    hall.connect_to_gateway(0);
    assert_eq!(hall.heard(JULIET).len(), 4);
}

#[test]
fn a_nickname_that_the_switch_does_not_grant_ends_the_call() {
    let mut hall = called();
    hall.script.nicknames.push_back(msrp::Status::NICKNAME_IN_USE);
    hall.enter(JULIET, "Ben");
    assert_eq!(hall.heard(JULIET), ["presence p1 to Ben: conflict"]);
    assert!(hall.legs[0].ended.is_some());
    assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
}

#[test]
fn a_client_with_an_unusable_nickname_may_choose_another() {
    let mut hall = called();
    hall.enter(JULIET, " ");
    assert_eq!(hall.legs[0].ended, None);
    hall.heard(JULIET);
    hall.enter(JULIET, "JuliC");
    assert_eq!(hall.heard(JULIET).len(), 4);
}

// Rows: C7247-25
#[test]
fn only_conferences_that_are_known_may_invite_and_only_whom_the_lists_admit() {
    let denied = |pattern: &str| AccessList {
        allow: Vec::new(),
        deny: vec![pattern.parse().unwrap()],
    };
    let focus = || vec![("isfocus", None)];
    for (conference, user, parameters, expected) in [
        ("sip:capulet@elsewhere.example", JULIET_URI, focus(), 403),
        (CONFERENCE, JULIET_URI, Vec::new(), 404),
        (CONFERENCE, "sip:romeo@example.org", focus(), 404),
        (CONFERENCE, "sip:capulet@rooms.example.net", focus(), 404),
    ] {
        let mut hall = Hall::new();
        hall.dial_out(conference, user, parameters);
        assert_eq!(
            refusal(&hall).map(|(status, _)| status),
            Some(expected),
            "{conference} {user}"
        );
        assert!(hall.told.is_empty());
    }
    for refuse_room in [true, false] {
        let mut config = config();
        if refuse_room {
            config.access.rooms = denied(ROOM);
        } else {
            config.access.xmpp_users = denied(JULIET_BARE);
        }
        let mut hall = Hall::with(config, Script::default());
        call(&mut hall);
        assert_eq!(refusal(&hall), Some((403, "Not Allowed Here".to_owned())));
        assert!(hall.told.is_empty());
    }
}

#[test]
fn nobody_is_invited_twice_nor_where_he_is_and_invitations_are_bounded() {
    let mut hall = called();
    call(&mut hall);
    assert_eq!(
        refusal(&hall),
        Some((486, "In The Room Already, Or Called".to_owned()))
    );
    assert_eq!(hall.heard(JULIET_BARE), [INVITED]);
    hall.enter(JULIET, "JuliC");
    call(&mut hall);
    assert_eq!(hall.heard(JULIET_BARE).len(), 0);
    assert_eq!(refusal(&hall).map(|(status, _)| status), Some(486));

    let limits = Limits {
        calls: 1,
        ..Limits::default()
    };
    let mut hall = Hall::with(Config { limits, ..config() }, Script::default());
    call(&mut hall);
    hall.dial_out(CONFERENCE, "sip:nurse@example.com", vec![("isfocus", None)]);
    assert_eq!(refusal(&hall).map(|(status, _)| status), Some(503));
    assert_eq!(hall.heard("nurse@example.com").len(), 0);
}

#[test]
fn while_her_server_is_away_and_when_the_gateway_stops_nobody_waits() {
    let mut hall = called();
    hall.link(false);
    assert_eq!(refusal(&hall).map(|(status, _)| status), Some(503));
    call(&mut hall);
    assert_eq!(refusal(&hall).map(|(status, _)| status), Some(503));
    assert_eq!(hall.gateway.census(), (0, 0, 0, 0));

    let mut hall = called();
    let now = hall.now;
    hall.gateway.handle_shutdown(now);
    hall.run();
    assert_eq!(refusal(&hall), Some((503, "Shutting Down".to_owned())));
    assert!(hall.gateway.is_idle());
}

/// Romeo refers Juliet to a conference.
fn refer(hall: &mut Hall, conference: &str) {
    let refer = ReferParameters {
        uri: JULIET_URI.parse().unwrap(),
        from: NameAddr::new("sip:romeo@example.org".parse().unwrap()),
        to: NameAddr::new(JULIET_URI.parse().unwrap()),
        contact: sip::Contact::default(),
        refer_to: NameAddr::new(conference.parse().unwrap()),
        silent: false,
    };
    let command = sip::Command::Refer {
        subscription: SubscriptionId(4000),
        parameters: Box::new(refer),
    };
    hall.focus.handle_command(command, hall.now);
    hall.run();
}

/// What the referrer has heard: the statuses in the NOTIFYs, and whether that is all.
fn progress(hall: &Hall) -> (Vec<u16>, bool) {
    let mut statuses = Vec::new();
    let mut over = false;
    for event in &hall.focus_events {
        if let sip::Event::ReferProgress { status, is_over, .. } = event {
            statuses.push(status.0);
            over |= *is_over;
        }
    }
    (statuses, over)
}

// Rows: CSIP-12
#[test]
fn rfc4579_section_5_6_who_is_referred_is_invited_and_calls_the_conference() {
    let mut hall = Hall::new();
    refer(&mut hall, CONFERENCE);
    assert_eq!(progress(&hall), (vec![100], false));
    assert_eq!(
        hall.heard(JULIET_BARE),
        ["romeo@example.org invites to capulet@chat.example.com"]
    );
    hall.enter(JULIET, "JuliC");
    assert_eq!(hall.invites.len(), 1);
    assert_eq!(progress(&hall), (vec![100, 200], true));
    hall.leave(JULIET, "JuliC", None);
    assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
}

#[test]
fn what_becomes_of_a_referral_is_told_and_nothing_stays_open() {
    let outcome = |script: Script, then: &dyn Fn(&mut Hall)| {
        let mut hall = Hall::scripted(script);
        refer(&mut hall, CONFERENCE);
        then(&mut hall);
        assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
        progress(&hall)
    };
    let told = |status| (vec![100, status], true);
    assert_eq!(
        outcome(Script::default(), &|hall| declines(hall, None)),
        told(603)
    );
    assert_eq!(
        outcome(Script::default(), &|hall| bounces(hall, Condition::ItemNotFound)),
        told(404)
    );
    assert_eq!(
        outcome(Script::default(), &|hall| hall.pass(Duration::from_secs(61))),
        told(480)
    );
    assert_eq!(outcome(Script::default(), &|hall| hall.link(false)), told(503));
    let locked = Script {
        invite: Some((403, "Locked")),
        ..Script::default()
    };
    assert_eq!(outcome(locked, &|hall| hall.enter(JULIET, "JuliC")), told(403));
}

#[test]
fn a_referral_elsewhere_or_by_whom_the_lists_do_not_admit_is_refused() {
    let refused = |hall: &Hall| {
        hall.focus_events.iter().find_map(|event| match event {
            sip::Event::SubscriptionRefused { status, .. } => Some(*status),
            _ => None,
        })
    };
    let mut hall = Hall::new();
    refer(&mut hall, "sip:capulet@elsewhere.example");
    assert_eq!(refused(&hall), Some(StatusCode(404)));
    let mut hall = Hall::new();
    refer(&mut hall, "sip:capulet@rooms.example.net;method=BYE");
    assert_eq!(refused(&hall), Some(StatusCode(403)));
    let mut config = config();
    config.access.callers.deny = vec!["example.org".parse().unwrap()];
    let mut hall = Hall::with(config, Script::default());
    refer(&mut hall, CONFERENCE);
    assert_eq!(refused(&hall), Some(StatusCode(403)));
    assert!(hall.told.is_empty());
}

#[test]
fn a_decline_that_nobody_waits_for_is_an_error() {
    let mut hall = Hall::new();
    declines(&mut hall, None);
    assert_eq!(hall.heard(JULIET), ["message m1 to room: not-acceptable"]);
    hall.presence(JULIET, ROOM, PresenceKind::Unavailable, None);
    assert_eq!(hall.heard(JULIET).len(), 0);
}
