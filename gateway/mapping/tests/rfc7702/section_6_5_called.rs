//! B7702-32: XMPP users invite SIP users, and SIP users one another: the room calls them.

use std::time::Duration;

use mapping::{Config, Limits, MsrpPlaces, MsrpTransport};
use xmpp::{
    BareJid,
    stanza::{Condition, DirectInvitation, Extras, Invite, Message, MessageKind, MucUser, Outgoing, Stanza},
};

use crate::{
    ROOM, ROOM_URI,
    stage::{Stage, config, muc::empty_message},
};

const JULIET: &str = "juliet@example.com/balcony";

/// A message to `romeo@example.org`.
fn message_from(from: &str, muc: Option<MucUser>, invitation: Option<DirectInvitation>) -> Stanza {
    let room: BareJid = ROOM.parse().unwrap();
    let romeo = BareJid::new("romeo@example.org").unwrap();
    let to = romeo.with_resource_str("x").unwrap();
    Stanza::Message(Box::new(Message {
        from: from.parse().unwrap(),
        to: romeo.into(),
        body: Some("come".to_owned()),
        muc,
        extras: Extras {
            invitation,
            ..Extras::default()
        },
        ..empty_message(&room, &to, "an-id", MessageKind::Normal)
    }))
}

/// As the room sends it.
pub(crate) fn mediated(password: Option<&str>) -> Stanza {
    let invite = Invite {
        from: Some(JULIET.parse().unwrap()),
        to: None,
        reason: Some("it is the east".to_owned()),
    };
    let muc = MucUser {
        invites: vec![invite],
        password: password.map(str::to_owned),
        ..MucUser::default()
    };
    message_from(ROOM, Some(muc), None)
}

pub(crate) fn direct(room: &str) -> Stanza {
    message_from(
        JULIET,
        None,
        Some(DirectInvitation {
            room: room.parse().unwrap(),
            password: None,
            reason: None,
        }),
    )
}

/// The last decline: to whom, and why.
fn declined(stage: &Stage) -> Option<(String, String)> {
    stage.to_rooms.iter().rev().find_map(|stanza| match stanza {
        Outgoing::Decline {
            from,
            inviter,
            reason,
            ..
        } => {
            assert_eq!(from.as_str(), "romeo@example.org");
            Some((inviter.to_string(), reason.clone()))
        }
        _ => None,
    })
}

// Rows: B7702-32, B7702-32, G-10
#[test]
fn rfc4579_section_5_5_a_mediated_invitation_is_a_call_from_the_room_as_a_focus() {
    let mut stage = Stage::new(config());
    stage.muc.native_enters(ROOM, "Juliet");
    let romeo = stage.user("romeo");
    stage.stanza(mediated(Some("cauldron")));
    assert!(
        !stage
            .to_rooms
            .iter()
            .any(|stanza| matches!(stanza, Outgoing::Enter { .. })),
        "he is in only when he has accepted"
    );
    let invite = stage.take_call(romeo);
    assert_eq!(invite.from.uri.to_string(), ROOM_URI);
    assert_eq!(
        invite.headers.get("Referred-By"),
        Some("<sip:juliet@example.com>")
    );
    assert_eq!(invite.headers.get("Subject"), Some("it is the east"));
    assert!(invite.contact.unwrap().parameter("isfocus").is_some());
    let entered = stage.to_rooms.iter().find_map(|stanza| match stanza {
        Outgoing::Enter { to, password, .. } => Some((to.to_string(), password.clone())),
        _ => None,
    });
    assert_eq!(
        entered,
        Some((format!("{ROOM}/romeo"), Some("cauldron".to_owned())))
    );

    let told = stage.muc.native_says(ROOM, "Juliet", "welcome");
    stage.stanzas(told);
    assert_eq!(stage.heard(romeo).len(), 1);
    let tag = stage.say(romeo, "here I am");
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
    assert_eq!(declined(&stage), None);
}

// Rows: B7702-32, CXMPP-28, B7702-32
#[test]
fn xep_0249_a_direct_invitation_is_a_call_from_the_room_too() {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    stage.stanza(direct(ROOM));
    stage.take_call(romeo);
    assert_eq!(stage.muc.room(ROOM).occupants.len(), 1);
}

// Rows: B7702-32
#[test]
fn xep_0045_section_7_8_2_who_does_not_come_declines_through_the_room() {
    for (status, reason) in [
        (486, "Busy"),
        (600, "Busy"),
        (603, "Declined"),
        (480, "Not available"),
        (404, "No such user"),
        (488, "His client cannot take part in chat rooms"),
        (500, "Server Internal Error (500)"),
    ] {
        let mut stage = Stage::new(config());
        let romeo = stage.user("romeo");
        stage.stanza(mediated(None));
        stage.refuse_call(romeo, status);
        assert_eq!(
            declined(&stage),
            Some((JULIET.to_owned(), reason.to_owned())),
            "{status}"
        );
        assert_eq!(stage.gateway.census(), (0, 0, 0, 0), "{status}");
    }
}

#[test]
fn who_does_not_answer_in_time_is_called_no_longer() {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    stage.stanza(mediated(None));
    stage.pass(Duration::from_secs(59));
    assert_eq!(declined(&stage), None);
    stage.pass(Duration::from_secs(2));
    assert_eq!(
        declined(&stage),
        Some((JULIET.to_owned(), "Does not answer".to_owned()))
    );
    let events = &stage.users[romeo].sip_events;
    assert!(
        events
            .iter()
            .any(|event| matches!(event, sip::Event::Cancelled { .. })),
        "{events:?}"
    );
    assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
}

#[test]
fn nobody_is_called_twice_nor_into_a_room_where_he_is() {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    stage.stanza(mediated(None));
    stage.stanza(mediated(None));
    let there = Some((JULIET.to_owned(), "In The Room Already, Or Called".to_owned()));
    assert_eq!(declined(&stage), there);
    stage.take_call(romeo);
    assert!(stage.rung(romeo).is_none());
    stage.to_rooms.clear();
    stage.stanza(direct(ROOM));
    assert!(stage.rung(romeo).is_none());
    assert_eq!(declined(&stage), there);
}

#[test]
fn a_room_that_no_sip_user_reaches_and_a_room_as_guest_are_declined() {
    let mut stage = Stage::new(config());
    stage.stanza(direct("capulet@elsewhere.example"));
    assert_eq!(
        declined(&stage),
        Some((JULIET.to_owned(), "Domain Not Served Here".to_owned()))
    );
    let mut hosted = config();
    hosted.components[0].form = mapping::AddressForm::Hosted;
    let mut stage = Stage::new(hosted);
    let Stanza::Message(mut message) = direct(ROOM) else {
        unreachable!("it is a message")
    };
    message.to = r"montague\40rooms.example.com@example.org".parse().unwrap();
    stage.stanza(Stanza::Message(message));
    let loops = stage
        .to_rooms
        .iter()
        .any(|stanza| matches!(stanza, Outgoing::Decline { reason, .. } if reason == "Loop Detected"));
    assert!(loops, "{:?}", stage.to_rooms);
}

#[test]
fn who_is_invited_but_not_admitted_is_told_and_so_is_who_invited() {
    let mut stage = Stage::new(config());
    stage.muc.refuse = Some(Condition::RegistrationRequired);
    let romeo = stage.user("romeo");
    stage.stanza(mediated(None));
    stage.take_call(romeo);
    assert_eq!(
        stage.bye(romeo),
        Some((403, "The Room Is For Members Only".to_owned()))
    );
    assert_eq!(
        declined(&stage),
        Some((JULIET.to_owned(), "The Room Is For Members Only".to_owned()))
    );
}

#[test]
fn an_invitation_in_a_private_message_of_an_occupant_is_none_of_the_room() {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    let muc = MucUser {
        invites: vec![Invite::default()],
        ..MucUser::default()
    };
    stage.stanza(message_from(&format!("{ROOM}/Mallory"), Some(muc), None));
    assert!(stage.rung(romeo).is_none());
}

#[test]
fn calls_are_bounded_and_end_with_the_gateway() {
    let limits = Limits {
        calls: 1,
        ..Limits::default()
    };
    let mut stage = Stage::new(Config { limits, ..config() });
    let romeo = stage.user("romeo");
    stage.stanza(mediated(None));
    let Stanza::Message(mut message) = direct(ROOM) else {
        unreachable!("it is a message")
    };
    message.to = "mercutio@example.org".parse().unwrap();
    stage.stanza(Stanza::Message(message));
    let refused = stage.to_rooms.iter().any(
        |stanza| matches!(stanza, Outgoing::Decline { from, reason, .. } if from.as_str() == "mercutio@example.org" && reason == "Too Many Sessions"),
    );
    assert!(refused, "{:?}", stage.to_rooms);

    assert!(!stage.gateway.is_idle());
    let now = stage.now;
    stage.gateway.handle_shutdown(now);
    stage.run();
    assert!(stage.gateway.is_idle());
    assert_eq!(
        declined(&stage),
        Some((JULIET.to_owned(), "Shutting Down".to_owned()))
    );
    // RFC 3261 §9.1: CANCEL waits for the 100, which comes after 200 ms.
    stage.pass(Duration::from_millis(200));
    let events = &stage.users[romeo].sip_events;
    assert!(
        events
            .iter()
            .any(|event| matches!(event, sip::Event::Cancelled { .. }))
    );
}

/// Romeo accepts the room's call with a description that will not do; what the room called with.
fn accept_in_vain(stage: &mut Stage, description: &str, why: &str) -> sip::sdp::Media {
    let romeo = stage.user("romeo");
    stage.stanza(mediated(None));
    let (_, invite, due) = stage.rung(romeo).unwrap();
    let accept = sip::Command::Accept {
        due,
        contact: sip::Contact::default(),
        body: sip::Body {
            content_type: "application/sdp".to_owned(),
            bytes: description.to_owned().into(),
        },
    };
    let now = stage.now;
    stage.users[romeo].endpoint.handle_command(accept, now);
    stage.run();
    assert_eq!(stage.bye(romeo).map(|(code, _)| code), Some(488));
    assert_eq!(declined(stage), Some((JULIET.to_owned(), why.to_owned())));
    let offer = sip::sdp::Session::parse(&invite.body.unwrap().bytes).unwrap();
    offer.media().remove(0)
}

#[test]
fn an_answer_without_msrp_ends_the_call_and_is_declined() {
    let answer = "v=0\r\no=- 1 1 IN IP4 127.0.0.10\r\ns=-\r\nt=0 0\r\nm=message 0 TCP/MSRP *\r\n";
    let mut stage = Stage::new(config());
    let offered = accept_in_vain(&mut stage, answer, "No TCP/MSRP Media Line");
    assert_eq!(offered.protocol, "TCP/MSRP");
}

// Rows: C7701-61, C4975-30
#[test]
fn rfc4975_section_8_1_a_room_that_calls_with_tls_takes_no_answer_without() {
    let mut stage = Stage::new(Config {
        msrp: MsrpPlaces::Either {
            tcp: ("127.0.0.2".to_owned(), 2855),
            tls: ("127.0.0.2".to_owned(), 2856),
            offered: MsrpTransport::Tls,
        },
        ..config()
    });
    let answer = "v=0\r\no=- 1 1 IN IP4 127.0.0.10\r\ns=-\r\nt=0 0\r\nm=message 9 TCP/MSRP *\r\n\
                  a=accept-types:message/cpim\r\na=path:msrp://127.0.0.10:9/x;tcp\r\n";
    let offered = accept_in_vain(&mut stage, answer, "TCP/TLS/MSRP Is Needed");
    assert_eq!((offered.protocol.as_str(), offered.port), ("TCP/TLS/MSRP", 2856));
    assert!(
        offered
            .attribute("path")
            .unwrap()
            .starts_with("msrps://127.0.0.2:2856/")
    );
}

#[test]
fn an_inviter_known_by_his_nickname_is_named_and_answered_by_it() {
    let mut stage = Stage::new(Config {
        access: mapping::Access {
            xmpp_users: mapping::AccessList {
                allow: vec!["example.com".parse().unwrap()],
                deny: Vec::new(),
            },
            ..mapping::Access::default()
        },
        ..config()
    });
    let romeo = stage.user("romeo");
    let occupant = format!("{ROOM}/Juliet C");
    let muc = MucUser {
        invites: vec![Invite {
            from: Some(occupant.parse().unwrap()),
            ..Invite::default()
        }],
        ..MucUser::default()
    };
    stage.stanza(message_from(ROOM, Some(muc), None));
    let (_, invite, _) = stage.rung(romeo).unwrap();
    assert_eq!(
        invite.headers.get("Referred-By"),
        Some("<sip:capulet@rooms.example.com;gr=Juliet%20C>")
    );
    stage.pass(Duration::from_secs(61));
    assert_eq!(declined(&stage), Some((occupant, "Does not answer".to_owned())));
}

#[test]
fn who_may_not_invite_calls_nobody() {
    let mut stage = Stage::new(Config {
        access: mapping::Access {
            xmpp_users: mapping::AccessList {
                allow: Vec::new(),
                deny: vec!["example.com".parse().unwrap()],
            },
            ..mapping::Access::default()
        },
        ..config()
    });
    let romeo = stage.user("romeo");
    stage.stanza(direct(ROOM));
    assert!(stage.rung(romeo).is_none());
    assert_eq!(
        declined(&stage),
        Some((JULIET.to_owned(), "Not Allowed Here".to_owned()))
    );
}

/// Romeo is called, and his client opens the MSRP session before it answers.
fn early(stage: &mut Stage) -> (usize, sip::DialogId, sip::AnswerDue) {
    let romeo = stage.user("romeo");
    stage.stanza(mediated(None));
    let (dialog, request, due) = stage.rung(romeo).unwrap();
    stage.connect_to(romeo, &request.body.unwrap());
    let opened = |event: &msrp::Event| matches!(event, msrp::Event::Opened { .. });
    assert!(!stage.users[romeo].msrp_events.iter().any(opened));
    (romeo, dialog, due)
}

fn answer(stage: &mut Stage, user: usize, due: sip::AnswerDue, status: u16) {
    let command = if status == 200 {
        sip::Command::Accept {
            due,
            contact: sip::Contact::default(),
            body: sip::Body {
                content_type: "application/sdp".to_owned(),
                bytes: stage.offer(user).into(),
            },
        }
    } else {
        sip::Command::Refuse {
            due,
            status: sip::StatusCode(status),
            phrase: None,
            headers: Vec::new(),
        }
    };
    let now = stage.now;
    stage.users[user].endpoint.handle_command(command, now);
    stage.run();
}

#[test]
fn rfc3264_section_5_1_a_client_may_open_the_session_before_its_answer_is_here() {
    let mut stage = Stage::new(config());
    let (romeo, _, due) = early(&mut stage);
    answer(&mut stage, romeo, due, 200);
    let tag = stage.say(romeo, "here I am");
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
}

#[test]
fn a_session_opened_too_early_ends_with_its_call_and_does_not_outlive_its_connection() {
    let mut stage = Stage::new(config());
    let (romeo, _, due) = early(&mut stage);
    answer(&mut stage, romeo, due, 603);
    let events = &stage.users[romeo].msrp_events;
    assert!(
        events
            .iter()
            .any(|event| matches!(event, msrp::Event::Lost { .. })),
        "{events:?}"
    );
    assert_eq!(stage.gateway.census(), (0, 0, 0, 0));

    let mut stage = Stage::new(config());
    let (romeo, _, due) = early(&mut stage);
    stage.cut(romeo);
    answer(&mut stage, romeo, due, 200);
    stage.pass(Duration::from_secs(31));
    assert_eq!(
        stage.bye(romeo),
        Some((480, "MSRP Session Never Opened".to_owned()))
    );
}
