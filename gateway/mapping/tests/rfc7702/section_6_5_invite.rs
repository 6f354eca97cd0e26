use sip::{Contact, NameAddr, ReferParameters, SubscriptionId};
use xmpp::stanza::Outgoing;

use crate::{
    ROOM_URI,
    stage::{GATEWAY, Stage, config},
};

fn refer(stage: &mut Stage, user: usize, refer_to: &str) -> Vec<sip::Event> {
    refer_at(stage, user, ROOM_URI, refer_to)
}

/// To the room at this Request-URI.
fn refer_at(stage: &mut Stage, user: usize, uri: &str, refer_to: &str) -> Vec<sip::Event> {
    let from: sip::Uri = if user == 0 {
        "sip:romeo@example.org"
    } else {
        "sip:tybalt@example.org"
    }
    .parse()
    .unwrap();
    let parameters = ReferParameters {
        uri: uri.parse().unwrap(),
        from: NameAddr::new(from),
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
            sip::Event::ReferProgress {
                status: sip::StatusCode(100),
                is_over: true,
                ..
            }
        )),
        "{events:?}"
    );
}

#[test]
fn a_refer_to_the_contact_of_a_room_is_one_to_the_room() {
    let mut stage = Stage::new(config());
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    let contact = format!("sip:capulet@{GATEWAY};transport=tcp");
    refer_at(&mut stage, romeo, &contact, "<sip:benvolio@example.com>");
    let invited = |stanza: &Outgoing| matches!(stanza, Outgoing::Invite { invitee, .. } if invitee.as_str() == "benvolio@example.com");
    assert!(stage.to_rooms.iter().any(invited));
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

/// A stage on which DNS says whose a domain is, with romeo in the room.
fn asking() -> (Stage, usize) {
    let mut config = config();
    config.routes.otherwise = mapping::RouteRule::Dns;
    config.components.push(mapping::Component {
        domain: "gw.example.org".to_owned(),
        form: mapping::AddressForm::Hosted,
    });
    let mut stage = Stage::new(config);
    stage.link_of(1, true);
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    (stage, romeo)
}

/// The refusal of the last REFER; `None` if it was accepted.
fn refused(events: &[sip::Event]) -> Option<u16> {
    events.iter().find_map(|event| match event {
        sip::Event::SubscriptionRefused { status, .. } => Some(status.0),
        _ => None,
    })
}

fn names(stage: &Stage) -> Vec<String> {
    stage.asked.iter().map(|query| format!("{query:?}")).collect()
}

// Rows: C7247-01, B7702-02
#[test]
fn rfc7247_section_5_dns_says_whose_a_domain_is_and_sip_comes_first() {
    let (mut stage, romeo) = asking();
    let both = &mut stage.name_server.services;
    both.insert("_sip._udp.both.example.".to_owned(), "sip.both.example.");
    both.insert("_xmpp-server._tcp.both.example.".to_owned(), "xmpp.both.example.");
    let tybalt = stage.user_of("tybalt", "both.example");
    let events = refer(&mut stage, romeo, "<sip:tybalt@both.example>");
    assert_eq!(refused(&events), None);
    assert!(stage.rung(tybalt).is_some(), "{:?}", names(&stage));
    assert_eq!(stage.asked.len(), 2);
}

// Rows: C7247-01
#[test]
fn rfc7247_section_5_a_domain_with_an_xmpp_server_alone_is_of_xmpp_users() {
    let (mut stage, romeo) = asking();
    let services = &mut stage.name_server.services;
    services.insert("_xmpp-server._tcp.example.com.".to_owned(), "xmpp.example.com.");
    // Decidedly no SIP (RFC 2782).
    services.insert("_sip._tcp.example.com.".to_owned(), ".");
    let events = refer(&mut stage, romeo, "<sip:benvolio@example.com>");
    assert_eq!(refused(&events), None);
    assert!(
        matches!(stage.to_rooms.last(), Some(Outgoing::Invite { invitee, .. }) if invitee.as_str() == "benvolio@example.com"),
        "{:?}",
        names(&stage)
    );
}

#[test]
fn rfc3861_section_4_im_addresses_have_records_of_their_own() {
    let (mut stage, romeo) = asking();
    let services = &mut stage.name_server.services;
    services.insert("_im._xmpp.example.com.".to_owned(), "xmpp.example.com.");
    services.insert("_sip._tcp.example.com.".to_owned(), "sip.example.com.");
    let events = refer(&mut stage, romeo, "<im:benvolio@example.com>");
    assert_eq!(refused(&events), None);
    assert!(matches!(stage.to_rooms.last(), Some(Outgoing::Invite { .. })));
    assert_eq!(stage.asked.len(), 2);
}

#[test]
fn a_domain_of_nobody_a_broken_name_server_and_a_silent_one_are_told_apart() {
    let (mut stage, romeo) = asking();
    let events = refer(&mut stage, romeo, "<sip:nobody@nowhere.example>");
    assert_eq!(refused(&events), Some(404));
    assert_eq!(stage.asked.len(), 4);

    stage
        .name_server
        .broken
        .insert("_sip._udp.nowhere.example.".to_owned());
    let events = refer(&mut stage, romeo, "<sip:nobody@nowhere.example>");
    assert_eq!(refused(&events), Some(480));

    stage.name_server.silent = true;
    let events = refer(&mut stage, romeo, "<sip:nobody@nowhere.example>");
    assert_eq!(refused(&events), None);
    stage.pass(std::time::Duration::from_secs(11));
    let events: Vec<_> = stage.users[romeo].sip_events.drain(..).collect();
    assert_eq!(refused(&events), Some(480));
}

#[test]
fn a_question_ends_with_the_gateway() {
    let (mut stage, romeo) = asking();
    stage.name_server.silent = true;
    refer(&mut stage, romeo, "<sip:nobody@nowhere.example>");
    let now = stage.now;
    stage.gateway.handle_shutdown(now);
    stage.run();
    let events: Vec<_> = stage.users[romeo].sip_events.drain(..).collect();
    assert_eq!(refused(&events), Some(503));
    assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
}

#[test]
fn no_domain_of_ours_is_asked_of() {
    let (mut stage, romeo) = asking();
    let mercutio = stage.user("mercutio");
    refer(&mut stage, romeo, "<sip:mercutio@example.org>");
    assert!(stage.rung(mercutio).is_some());
    assert!(stage.asked.is_empty());
}
