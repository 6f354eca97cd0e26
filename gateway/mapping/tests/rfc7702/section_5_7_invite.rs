//! RFC 7702 §5.7: an XMPP user invites somebody into a SIP conference.

use sip::{Event, StatusCode};
use xmpp::stanza::{Invite, MessageKind, MucUser, Stanza};

use crate::hall::{CONFERENCE, Hall, JULIET, ROOM, jid, message};

fn invite(hall: &mut Hall, invitee: &str) {
    let mut invitation = message(JULIET, ROOM, MessageKind::Normal, None);
    invitation.muc = Some(MucUser {
        invites: vec![Invite {
            from: None,
            to: Some(jid(invitee)),
            reason: Some("Come".to_owned()),
        }],
        ..MucUser::default()
    });
    hall.stanza(Stanza::Message(Box::new(invitation)));
}

/// Answers the REFER: refused, or with this outcome of the call.
fn outcome(hall: &mut Hall, refuse: Option<u16>, fragment: &str) -> String {
    let at = hall
        .focus_events
        .iter()
        .position(|event| matches!(event, Event::Referred { .. }))
        .expect("no REFER");
    let Event::Referred {
        request,
        refer_to,
        due,
        ..
    } = hall.focus_events.remove(at)
    else {
        unreachable!()
    };
    assert_eq!(request.uri.to_string(), CONFERENCE);
    assert_eq!(request.from.uri.to_string(), "sip:juliet@example.com");
    match refuse {
        None => hall.follow_refer(due, fragment),
        Some(code) => {
            let refuse = sip::Command::Refuse {
                due,
                status: StatusCode(code),
                phrase: None,
                headers: Vec::new(),
            };
            hall.focus.handle_command(refuse, hall.now);
            hall.run();
        }
    }
    refer_to.uri.to_string()
}

fn in_conference() -> Hall {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    hall
}

// Rows: F27, F28, F29, F30, A7702-48, A7702-49, CXMPP-12, E-28, E-39
#[test]
fn f27_to_f30_the_focus_is_asked_to_call_and_success_is_seen_in_the_roster() {
    let mut hall = in_conference();
    invite(&mut hall, "benvolio@example.org");
    // A SIP user whose JID is ours is called where he is.
    assert_eq!(
        outcome(&mut hall, None, "SIP/2.0 200 OK\r\n"),
        "sip:benvolio@example.org"
    );
    assert_eq!(hall.heard(JULIET), [""; 0]);
    invite(&mut hall, r"d\27artagnan@example.com");
    assert_eq!(
        outcome(&mut hall, None, "SIP/2.0 100 Trying\r\n"),
        "sip:d'artagnan@example.com"
    );
    assert_eq!(hall.heard(JULIET), [""; 0]);
}

// Rows: A7702-49
#[test]
fn a7702_49_a_focus_that_does_not_call_is_an_error() {
    for (code, condition) in [
        (403, "forbidden"),
        (404, "item-not-found"),
        (405, "feature-not-implemented"),
        (500, "internal-server-error"),
    ] {
        let mut hall = in_conference();
        invite(&mut hall, "benvolio@example.org");
        outcome(&mut hall, Some(code), "");
        assert_eq!(hall.heard(JULIET), [format!("message m1 to room: {condition}")]);
    }
}

// Rows: F30, A7702-50
#[test]
fn a7702_50_whom_the_call_does_not_reach_has_declined() {
    for (fragment, heard) in [
        (
            "SIP/2.0 603 No, thanks\r\n",
            "benvolio@example.org declines: No, thanks",
        ),
        (
            "SIP/2.0 486 Busy Here\r\n",
            "benvolio@example.org declines: Busy Here",
        ),
        ("SIP/2.0 404 Not Found\r\n", "message m1 to room: item-not-found"),
    ] {
        let mut hall = in_conference();
        invite(&mut hall, "benvolio@example.org");
        outcome(&mut hall, None, fragment);
        assert_eq!(hall.heard(JULIET), [heard]);
    }
}

#[test]
fn invitations_that_lead_nowhere_are_refused_at_once() {
    let mut hall = in_conference();
    // Nobody of that name here, and no occupant at all.
    for invitee in ["capulet@chat.example.com/Nobody", "montague@chat.example.com"] {
        invite(&mut hall, invitee);
        assert_eq!(hall.heard(JULIET), ["message m1 to room: item-not-found"]);
    }
    for n in 0..20 {
        invite(&mut hall, &format!("guest{n}@example.com"));
    }
    assert_eq!(hall.heard(JULIET), ["message m1 to room: resource-constraint"; 4]);
    hall.leave(JULIET, "JuliC", None);
    assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
}
