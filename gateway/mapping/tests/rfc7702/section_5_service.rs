//! The face of a multi-user chat service before a SIP conference.

use xmpp::stanza::{IqKind, MessageKind, PresenceKind, Stanza};

use crate::hall::{Hall, JULIET, JULIET_TOO, ROOM, message, ping, query};

const SERVICE: &str = "chat.example.com";
const INFO: &str = "http://jabber.org/protocol/disco#info";
const ITEMS: &str = "http://jabber.org/protocol/disco#items";

fn in_conference() -> Hall {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    hall
}

fn asked(hall: &mut Hall, from: &str, to: &str, kind: IqKind) -> String {
    hall.iq(from, to, kind);
    let heard = hall.heard(from);
    assert_eq!(heard.len(), 1, "{heard:?}");
    heard[0].clone()
}

// Rows: CXMPP-17, CXMPP-08
#[test]
fn cxmpp_17_service_and_room_say_what_they_are() {
    let mut hall = in_conference();
    for to in [SERVICE, ROOM] {
        let info = asked(&mut hall, JULIET, to, IqKind::Get(query(INFO)));
        assert!(
            info.contains("category='conference'") && info.contains("type='text'"),
            "{info}"
        );
        assert!(info.contains("var='http://jabber.org/protocol/muc'"), "{info}");
    }
    let info = asked(&mut hall, JULIET, ROOM, IqKind::Get(query(INFO)));
    for feature in ["muc_semianonymous", "muc_hidden", "muc#stable_id"] {
        assert!(info.contains(feature), "{feature}");
    }
    let items = asked(&mut hall, JULIET, SERVICE, IqKind::Get(query(ITEMS)));
    assert!(!items.contains("<item"), "{items}");
    // Who is in is told to those who are.
    let items = asked(&mut hall, JULIET, ROOM, IqKind::Get(query(ITEMS)));
    for occupant in ["capulet@chat.example.com/Romeo", "capulet@chat.example.com/JuliC"] {
        assert!(items.contains(occupant), "{items}");
    }
    let items = asked(&mut hall, JULIET_TOO, ROOM, IqKind::Get(query(ITEMS)));
    assert!(!items.contains("<item"), "{items}");
}

// Rows: CXMPP-16, CXMPP-18
#[test]
fn cxmpp_16_self_ping_says_whether_he_is_in() {
    let mut hall = in_conference();
    let own = format!("{ROOM}/JuliC");
    let kind = || IqKind::Get(ping());
    assert_eq!(asked(&mut hall, JULIET, &own, kind()), "result q1 ");
    assert_eq!(
        asked(&mut hall, JULIET_TOO, &own, kind()),
        "iq q1 to JuliC: not-acceptable"
    );
    let other = format!("{ROOM}/Romeo");
    assert_eq!(
        asked(&mut hall, JULIET, &other, kind()),
        "iq q1 to Romeo: service-unavailable"
    );
    let nobody = format!("{ROOM}/Nobody");
    assert_eq!(
        asked(&mut hall, JULIET, &nobody, kind()),
        "iq q1 to Nobody: item-not-found"
    );
    assert_eq!(asked(&mut hall, JULIET, SERVICE, kind()), "result q1 ");
}

// Rows: CXMPP-17, CXMPP-18, G7702-01, G-06
#[test]
fn cxmpp_18_and_g7702_01_what_has_no_counterpart_is_refused_and_calls_nobody() {
    let mut hall = in_conference();
    let occupant = format!("{ROOM}/Romeo");
    for (to, kind, refusal) in [
        (
            occupant.as_str(),
            IqKind::Get(query("vcard-temp")),
            "iq q1 to Romeo: service-unavailable",
        ),
        (
            ROOM,
            IqKind::Get(query("http://jabber.org/protocol/muc#owner")),
            "iq q1 to room: forbidden",
        ),
        (
            ROOM,
            IqKind::Set(query("http://jabber.org/protocol/muc#owner")),
            "iq q1 to room: forbidden",
        ),
        (
            ROOM,
            IqKind::Set(query("http://jabber.org/protocol/muc#admin")),
            "iq q1 to room: forbidden",
        ),
        (
            ROOM,
            IqKind::Set(query("jabber:iq:register")),
            "iq q1 to room: service-unavailable",
        ),
        (
            SERVICE,
            IqKind::Get(query("urn:unknown")),
            "iq q1 to room: service-unavailable",
        ),
    ] {
        assert_eq!(asked(&mut hall, JULIET, to, kind), refusal);
    }
    // G-06: the subject is the conference's own.
    let mut subject = message(JULIET, ROOM, MessageKind::Groupchat, None);
    subject.subject = Some("Mine".to_owned());
    hall.stanza(Stanza::Message(Box::new(subject)));
    assert_eq!(hall.heard(JULIET), ["message m1 to room: forbidden"]);
    // A request for voice, or a declined invitation.
    hall.message(JULIET, ROOM, MessageKind::Normal, None);
    assert_eq!(
        hall.heard(JULIET),
        ["message m1 to room: feature-not-implemented"]
    );
    assert_eq!(hall.taken.len(), 0);
    assert_eq!(hall.subscribes.len(), 1);
}

// Rows: CXMPP-09, CXMPP-10, A7702-43
#[test]
fn cxmpp_09_and_10_messages_that_go_nowhere_are_refused() {
    let mut hall = in_conference();
    hall.message(
        JULIET,
        &format!("{ROOM}/Romeo"),
        MessageKind::Groupchat,
        Some("x"),
    );
    hall.message(JULIET, &format!("{ROOM}/Nobody"), MessageKind::Chat, Some("x"));
    assert_eq!(
        hall.heard(JULIET),
        [
            "message m1 to Romeo: bad-request",
            "message m1 to Nobody: item-not-found",
        ]
    );
    hall.message(JULIET_TOO, ROOM, MessageKind::Groupchat, Some("x"));
    hall.message(JULIET_TOO, &format!("{ROOM}/Romeo"), MessageKind::Chat, Some("x"));
    assert_eq!(
        hall.heard(JULIET_TOO),
        [
            "message m1 to room: not-acceptable",
            "message m1 to Romeo: not-acceptable",
        ]
    );
    assert_eq!(hall.taken.len(), 0);
    // A chat state says nothing and hears nothing.
    hall.message(JULIET_TOO, ROOM, MessageKind::Groupchat, None);
    assert_eq!(hall.heard(JULIET_TOO), [""; 0]);
}

// Rows: G-04
#[test]
fn g_04_availability_within_a_conference_is_taken_without_a_word() {
    let mut hall = in_conference();
    hall.rename(JULIET, "JuliC");
    hall.presence(JULIET, ROOM, PresenceKind::Available, None);
    assert_eq!(hall.heard(JULIET), [""; 0]);
    assert_eq!(hall.nicknames, ["JuliC"]);
}

// Rows: CXMPP-31
#[test]
fn cxmpp_31_no_error_is_answered_with_an_error() {
    let mut hall = in_conference();
    hall.message("stranger@example.com/x", ROOM, MessageKind::Error, Some("x"));
    hall.iq(
        "stranger@example.com/x",
        ROOM,
        IqKind::Error(xmpp::stanza::StanzaError::new(xmpp::stanza::Condition::Gone)),
    );
    assert_eq!(hall.heard("stranger@example.com/x"), [""; 0]);
}
