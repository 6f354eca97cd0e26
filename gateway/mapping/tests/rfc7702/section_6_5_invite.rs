use sip::{Contact, NameAddr, ReferParameters, SubscriptionId};
use xmpp::stanza::Outgoing;

use crate::{
    ROOM_URI,
    stage::{Stage, config},
};

fn refer(stage: &mut Stage, user: usize, refer_to: &str) -> Vec<sip::Event> {
    let from: sip::Uri = if user == 0 {
        "sip:romeo@example.org"
    } else {
        "sip:tybalt@example.org"
    }
    .parse()
    .unwrap();
    let parameters = ReferParameters {
        uri: ROOM_URI.parse().unwrap(),
        from: NameAddr::new(from),
        to: NameAddr::new(ROOM_URI.parse().unwrap()),
        contact: Contact::default(),
        refer_to: refer_to.parse().unwrap(),
    };
    let command = sip::Command::Refer {
        subscription: SubscriptionId(500),
        parameters: Box::new(parameters),
    };
    let now = stage.now;
    let events = stage.users[user].sip_events.len();
    stage.users[user].endpoint.handle_command(command, now);
    stage.run();
    stage.users[user].sip_events.drain(events..).collect()
}

// Rows: F55..F58, B7702-30, B7702-31, CXMPP-12
#[test]
fn f55_to_f58_refer_becomes_a_mediated_invitation() {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    let events = refer(&mut stage, romeo, "<sip:benvolio@example.com>");
    let Some(Outgoing::Invite { invitee, room, .. }) = stage.to_rooms.last() else {
        panic!("{events:?}")
    };
    assert_eq!(invitee.as_str(), "benvolio@example.com");
    assert_eq!(room.as_str(), "capulet@rooms.example.com");
    assert!(
        events.iter().any(|event| matches!(
            event,
            sip::Event::Notified { state: sip::SubscriptionState::Terminated(reason), body: Some(body), .. }
                if reason == "noresource" && body.bytes.starts_with(b"SIP/2.0 100")
        )),
        "{events:?}"
    );
}

#[test]
fn who_is_not_in_the_room_invites_nobody() {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    let tybalt = stage.user("tybalt");
    let sent = stage.to_rooms.len();
    refer(&mut stage, tybalt, "<sip:benvolio@example.com>");
    assert_eq!(stage.to_rooms.len(), sent);
}

// Rows: B7702-30, C7247-28
#[test]
fn what_is_no_invitation_of_a_user_is_refused() {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    let sent = stage.to_rooms.len();
    for (refer_to, status) in [
        ("<sip:juliet@example.com;method=BYE>", 404),
        ("<sip:juliet@example.com;method=SUBSCRIBE>", 403),
        ("<sip:montague@rooms.example.com>", 482),
        ("<tel:+15551234>", 404),
    ] {
        let events = refer(&mut stage, romeo, refer_to);
        assert!(
            events.iter().any(|event| matches!(
                event,
                sip::Event::SubscriptionRefused { status: code, .. } if code.0 == status
            )),
            "{refer_to}: {events:?}"
        );
    }
    assert_eq!(stage.to_rooms.len(), sent);
}
