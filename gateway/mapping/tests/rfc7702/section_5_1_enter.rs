//! RFC 7702 §5.1: an XMPP user enters a SIP conference.

use std::time::Duration;

use xmpp::stanza::{PresenceKind, service::Join};

use crate::hall::{CONFERENCE, Hall, JULIET, JULIET_TOO, ROOM, Script, config};

// Rows: F1, F2, F4, F5, F6, F7, F8, F9, F10, F11, F12, F13, F14, F15, A7702-01, A7702-02, A7702-04, A7702-05, A7702-07, A7702-11, A7702-12, A7702-13, A7702-14, A7702-18, A7702-20, A7702-21, A7702-22, A7702-23, A7702-28, A7702-29, A7702-30, A7702-31, A7702-32, A7702-33, A7702-34, CXMPP-03, CXMPP-06, E-22, E-23, E-39, G7702-02
#[test]
fn f1_to_f15_the_user_is_in_and_knows_who_else_is() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    assert_eq!(
        hall.heard(JULIET),
        [
            "Ben is in (participant)",
            "Romeo is in (participant)",
            "JuliC is in (participant) 110",
            "subject: Today in Verona",
        ]
    );
    // A7702-01, -04, -05: one INVITE, from the account, to the conference.
    assert_eq!(hall.invites.len(), 1);
    let invite = &hall.invites[0];
    assert_eq!(invite.uri.to_string(), CONFERENCE);
    assert_eq!(invite.to.uri.to_string(), CONFERENCE);
    assert_eq!(invite.from.uri.to_string(), "sip:juliet@example.com");
    // A7702-13, -18.
    assert_eq!(hall.nicknames, ["JuliC"]);
    assert_eq!(hall.subscribes.len(), 1);
    assert_eq!(hall.subscribes[0].headers.get("Event"), Some("conference"));
    assert_eq!(hall.legs[0].ended, None);
    assert_eq!(hall.gateway.census().0, 1);
    hall.pass(Duration::from_secs(120));
    assert_eq!(hall.heard(JULIET), [""; 0]);
}

// Rows: A7702-06, A7702-08, A7702-09, A7702-45, E-03, E-04, E-14
#[test]
fn a7702_06_and_09_the_call_is_from_the_account_and_its_contact_names_the_client() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    let invite = &hall.invites[0];
    assert_eq!(invite.from.display_name.as_deref(), Some("JuliC"));
    let contact = invite.headers.get("Contact").unwrap();
    assert!(
        contact.contains("<sip:juliet@127.0.0.2:5060") && contact.contains(";gr=balcony>"),
        "{contact}"
    );
    let body = String::from_utf8(invite.body.as_ref().unwrap().bytes.to_vec()).unwrap();
    for line in [
        "m=message 2855 TCP/MSRP *\r\n",
        "a=accept-types:message/cpim\r\n",
        "a=accept-wrapped-types:text/plain\r\n",
        "a=setup:actpass\r\n",
        "a=chatroom:nickname private-messages\r\n",
    ] {
        assert!(body.contains(line), "{line} {body}");
    }
    assert!(body.contains("a=path:msrp://127.0.0.2:2855/"), "{body}");
}

// Rows: A7702-01, CXMPP-02
#[test]
fn a7702_01_entering_again_tells_everything_again_and_calls_nobody() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    let first = hall.heard(JULIET);
    hall.enter(JULIET, "JuliC");
    assert_eq!(hall.heard(JULIET), first);
    assert_eq!(hall.invites.len(), 1);
}

/// Clients share a call and a nickname; who wants another one hears which it is (XEP-0045 §7.2.8).
// Rows: G-11, CXMPP-04, N7702-06
#[test]
fn g_11_a_further_client_of_the_account_shares_its_place() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    hall.enter(JULIET_TOO, "Julia");
    assert_eq!(
        hall.heard(JULIET_TOO),
        [
            "Ben is in (participant)",
            "Romeo is in (participant)",
            "JuliC is in (participant) 110 210",
            "subject: Today in Verona",
        ]
    );
    assert_eq!(hall.heard(JULIET), [""; 0]);
    assert_eq!(hall.invites.len(), 1);
}

// Rows: A7702-56, S2X-06, S2X-08, S2X-09, S2X-11, S2X-12, S2X-15, S2X-17, S2X-18, S2X-28, S2X-30, S2X-34, S2X-36, S2X-38, S2X-41, S2X-42, S2X-49, S2X-50, S2X-52, E-25
#[test]
fn a7702_56_every_refusal_of_the_call_is_an_error_of_rfc_7247_table_3() {
    for (code, condition) in [
        (380, "not-acceptable"),
        (400, "bad-request"),
        (401, "not-authorized"),
        (403, "forbidden"),
        (404, "item-not-found"),
        (407, "registration-required"),
        (410, "gone"),
        (413, "policy-violation"),
        (480, "recipient-unavailable"),
        (482, "not-acceptable"),
        (486, "recipient-unavailable"),
        (488, "not-acceptable"),
        (491, "unexpected-request"),
        (500, "internal-server-error"),
        (501, "feature-not-implemented"),
        (600, "recipient-unavailable"),
        (603, "recipient-unavailable"),
        (606, "not-acceptable"),
    ] {
        let mut hall = Hall::scripted(Script {
            invite: Some((code, "No")),
            ..Script::default()
        });
        hall.enter(JULIET, "JuliC");
        assert_eq!(
            hall.heard(JULIET),
            [format!("presence p1 to JuliC: {condition}")],
            "{code}"
        );
        assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
    }
}

// Rows: A7702-56, S2X-04
#[test]
fn rfc3261_8_1_3_4_a_call_follows_the_conference_but_not_for_ever() {
    let mut hall = Hall::scripted(Script {
        redirect: Some("sip:capulet@moved.example.net"),
        redirections: 1,
        ..Script::default()
    });
    hall.enter(JULIET, "JuliC");
    assert_eq!(hall.invites.len(), 2);
    assert_eq!(hall.invites[1].uri.to_string(), "sip:capulet@moved.example.net");
    assert!(
        hall.heard(JULIET)
            .contains(&"JuliC is in (participant) 110".to_owned())
    );

    let mut hall = Hall::scripted(Script {
        redirect: Some("sip:capulet@moved.example.net"),
        redirections: 100,
        ..Script::default()
    });
    hall.enter(JULIET, "JuliC");
    assert_eq!(hall.invites.len(), 4);
    assert_eq!(
        hall.heard(JULIET),
        ["presence p1 to JuliC: redirect sip:capulet@moved.example.net"]
    );

    // Not back to us.
    let mut hall = Hall::scripted(Script {
        redirect: Some("sip:capulet@rooms.example.com"),
        redirections: 100,
        ..Script::default()
    });
    hall.enter(JULIET, "JuliC");
    assert_eq!(hall.invites.len(), 1);
}

// Rows: A7702-10
#[test]
fn a7702_10_what_is_no_conference_is_hung_up_on() {
    for script in [
        Script {
            is_focus: false,
            chatroom: None,
            ..Script::default()
        },
        Script {
            accepts: "text/plain",
            ..Script::default()
        },
    ] {
        let mut hall = Hall::scripted(script);
        hall.enter(JULIET, "JuliC");
        assert_eq!(hall.heard(JULIET), ["presence p1 to JuliC: not-acceptable"]);
        assert!(hall.legs[0].ended.is_some());
    }
}

// Rows: A7702-56, S2X-16
#[test]
fn a_conference_that_does_not_answer_is_given_up_in_time() {
    let mut hall = Hall::scripted(Script {
        invite: None,
        ..Script::default()
    });
    hall.enter(JULIET, "JuliC");
    hall.pass(Duration::from_secs(29));
    assert_eq!(hall.heard(JULIET), [""; 0]);
    hall.pass(Duration::from_secs(2));
    assert_eq!(
        hall.heard(JULIET),
        ["presence p1 to JuliC: remote-server-timeout"]
    );
    assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
    assert!(
        hall.focus_events
            .iter()
            .any(|event| matches!(event, sip::Event::Cancelled { .. }))
    );
}

// Rows: A7702-12, A7702-55
#[test]
fn a_switch_that_cannot_be_reached_is_an_error_and_a_bye() {
    let mut hall = Hall::scripted(Script {
        is_reachable: false,
        ..Script::default()
    });
    hall.enter(JULIET, "JuliC");
    assert_eq!(
        hall.heard(JULIET),
        ["presence p1 to JuliC: recipient-unavailable"]
    );
    assert!(hall.legs[0].ended.is_some());
    assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
}

/// RFC 6135 §4.2: an answer of `active` means that the switch connects to us.
// Rows: A7702-12
#[test]
fn a_switch_may_open_the_connection_itself() {
    let mut hall = Hall::scripted(Script {
        setup: "active",
        ..Script::default()
    });
    hall.enter(JULIET, "JuliC");
    assert_eq!(hall.heard(JULIET), [""; 0]);
    hall.connect_to_gateway(0);
    assert!(
        hall.heard(JULIET)
            .contains(&"JuliC is in (participant) 110".to_owned())
    );
}

// Rows: A7702-02, CXMPP-01, CXMPP-07, CXMPP-14
#[test]
fn cxmpp_01_and_07_presence_that_cannot_enter_is_told_so() {
    let mut hall = Hall::new();
    hall.presence(JULIET, ROOM, PresenceKind::Available, Some(Join::default()));
    assert_eq!(hall.heard(JULIET), ["presence p1 to room: jid-malformed"]);
    // Groupchat 1.0, or one who believes that he is in.
    hall.rename(JULIET, "JuliC");
    assert_eq!(hall.heard(JULIET), ["JuliC is out (none) 110 307 333"]);
    // CXMPP-14, A7702-02.
    hall.leave(JULIET, "JuliC", None);
    hall.presence(
        JULIET,
        &format!("{ROOM}/JuliC"),
        PresenceKind::Other("probe".to_owned()),
        Some(Join::default()),
    );
    assert_eq!(hall.heard(JULIET), [""; 0]);
    assert!(hall.invites.is_empty());
}

#[test]
fn nobody_is_called_in_a_circle() {
    let mut config = config();
    config.conferences[0].sip = "rooms.example.com".to_owned();
    let mut hall = Hall::with(config, Script::default());
    hall.enter(JULIET, "JuliC");
    assert_eq!(hall.heard(JULIET), ["presence p1 to JuliC: not-acceptable"]);
    // A SIP user whom XMPP sees under our own domain.
    let mut hall = Hall::new();
    hall.enter("romeo@example.org/phone", "Romeo");
    assert_eq!(
        hall.heard("romeo@example.org/phone"),
        ["presence p1 to Romeo: not-acceptable"]
    );
    assert!(hall.invites.is_empty());
}

// Rows: A7702-52, CXMPP-14
#[test]
fn who_leaves_before_the_conference_has_answered_takes_his_call_back() {
    let mut hall = Hall::scripted(Script {
        invite: None,
        ..Script::default()
    });
    hall.enter(JULIET, "JuliC");
    hall.leave(JULIET, "JuliC", None);
    assert_eq!(hall.heard(JULIET), ["JuliC is out (none) 110"]);
    hall.pass(Duration::from_secs(40));
    assert_eq!(hall.heard(JULIET), [""; 0]);
    assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
}

#[test]
fn no_more_stays_than_the_limit() {
    let mut config = config();
    config.limits.sessions = 1;
    let mut hall = Hall::with(config, Script::default());
    hall.enter(JULIET, "JuliC");
    hall.enter("benvolio@example.com/x", "Benvolio");
    assert_eq!(
        hall.heard("benvolio@example.com/x"),
        ["presence p1 to Benvolio: resource-constraint"]
    );
    assert_eq!(hall.invites.len(), 1);
}
