//! What goes out.

use minidom::Element;
use xmpp::stanza::{Condition, Outgoing, Payload};
use xmpp::{Command, Event, FullJid};

use crate::support::{events, origin, parsed, sent, up, written};
use crate::{MUC_USER, jid};

fn occupant() -> FullJid {
    "u@gw.xmpp.test/sip".parse().unwrap()
}

/// Every stanza that goes out, as XEP-0045 and RFC 6120 draw it.
// Rows: B7702-07, B7702-25, CXMPP-19, CXMPP-12
#[test]
fn stanzas_are_written_as_drawn() {
    let from = "from='u@gw.xmpp.test/sip'";
    let room: FullJid = "r@m.test/Nick".parse().unwrap();
    let nick = "<nick xmlns='http://jabber.org/protocol/nick'>R &lt;3</nick>";
    let xmlns = "urn:ietf:params:xml:ns:xmpp-stanzas";
    let table = [
        (
            Outgoing::Enter {
                from: occupant(),
                to: room.clone(),
                id: "1".into(),
                history: 20,
                display_name: Some("R <3".into()),
                password: Some("p".into()),
            },
            format!(
                "<presence {from} to='r@m.test/Nick' id='1'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='20'/><password>p</password></x>{nick}</presence>"
            ),
        ),
        (
            Outgoing::Enter {
                from: occupant(),
                to: room.clone(),
                id: "1".into(),
                history: 0,
                display_name: None,
                password: None,
            },
            format!(
                "<presence {from} to='r@m.test/Nick' id='1'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>"
            ),
        ),
        (
            Outgoing::ChangeNickname {
                from: occupant(),
                to: room.clone(),
                id: "2".into(),
            },
            format!("<presence {from} to='r@m.test/Nick' id='2'/>"),
        ),
        (
            Outgoing::Leave {
                from: occupant(),
                to: room.clone(),
                status: Some("bye".into()),
            },
            format!("<presence {from} to='r@m.test/Nick' type='unavailable'><status>bye</status></presence>"),
        ),
        (
            Outgoing::Groupchat {
                from: occupant(),
                to: room.to_bare(),
                id: "3".into(),
                body: "a\r\nb".into(),
            },
            format!(
                "<message {from} to='r@m.test' id='3' type='groupchat'><body>a\nb</body><origin-id xmlns='urn:xmpp:sid:0' id='3'/></message>"
            ),
        ),
        (
            Outgoing::Private {
                from: occupant(),
                to: room.clone(),
                id: "4".into(),
                body: "psst".into(),
            },
            format!(
                "<message {from} to='r@m.test/Nick' id='4' type='chat'><body>psst</body><x xmlns='{MUC_USER}'/></message>"
            ),
        ),
        (
            Outgoing::Invite {
                from: occupant(),
                room: room.to_bare(),
                id: "5".into(),
                invitee: "i@x".parse().unwrap(),
                reason: Some("come".into()),
            },
            format!(
                "<message {from} to='r@m.test' id='5'><x xmlns='{MUC_USER}'><invite to='i@x'><reason>come</reason></invite></x></message>"
            ),
        ),
        (
            Outgoing::Decline {
                from: occupant().to_bare(),
                room: room.to_bare(),
                id: "5d".into(),
                inviter: jid("i@x/y"),
                reason: "busy & gone".into(),
            },
            format!(
                "<message from='{}' to='r@m.test' id='5d'><x xmlns='{MUC_USER}'><decline to='i@x/y'><reason>busy &amp; gone</reason></decline></x></message>",
                occupant().to_bare()
            ),
        ),
        (
            Outgoing::Kick {
                from: occupant(),
                room: room.to_bare(),
                id: "5k".into(),
                nickname: "Ju'liet".into(),
            },
            format!(
                "<iq {from} to='r@m.test' id='5k' type='set'><query xmlns='http://jabber.org/protocol/muc#admin'><item nick=\"Ju'liet\" role='none'/></query></iq>"
            ),
        ),
        (
            Outgoing::Error {
                name: "message",
                from: occupant().into(),
                to: jid("a@b/c"),
                id: Some("6".into()),
                condition: Condition::Gone,
                text: Some("left".into()),
            },
            format!(
                "<message {from} to='a@b/c' id='6' type='error'><error type='cancel'><gone xmlns='{xmlns}'/><text xmlns='{xmlns}' xml:lang='en'>left</text></error></message>"
            ),
        ),
        (
            Outgoing::Error {
                name: "presence",
                from: occupant().into(),
                to: jid("a@b/c"),
                id: None,
                condition: Condition::Conflict,
                text: None,
            },
            format!(
                "<presence {from} to='a@b/c' type='error'><error type='cancel'><conflict xmlns='{xmlns}'/></error></presence>"
            ),
        ),
        (
            Outgoing::IqResult {
                from: jid("gw.xmpp.test"),
                to: jid("a@b/c"),
                id: "7".into(),
                payload: None,
            },
            "<iq from='gw.xmpp.test' to='a@b/c' id='7' type='result'/>".to_owned(),
        ),
        (
            Outgoing::IqError {
                from: occupant().into(),
                to: jid("a@b/c"),
                id: "8".into(),
                condition: Condition::ServiceUnavailable,
            },
            format!(
                "<iq {from} to='a@b/c' id='8' type='error'><error type='cancel'><service-unavailable xmlns='{xmlns}'/></error></iq>"
            ),
        ),
    ];
    for (stanza, expected) in table {
        assert_eq!(written(&mut up(), stanza), parsed(&expected));
    }
}

#[test]
fn a_payload_keeps_its_namespaces_attributes_and_order() {
    let payload: Element =
        "<q xmlns='urn:q' xmlns:z='urn:z' b='2' a='&apos;&lt;' xml:lang='de' z:c='3'>x&lt;<i xmlns='urn:i'/>\
        <j k='&#xa;'>y<q/></j><z:w/>z&amp;</q>"
            .parse()
            .unwrap();
    let stanza = Outgoing::IqResult {
        from: jid("gw.xmpp.test"),
        to: jid("a@b"),
        id: "1".into(),
        payload: Some(Payload(payload.clone())),
    };
    let read = written(&mut up(), stanza);
    assert_eq!(read.children().next(), Some(&payload));
}

#[test]
fn a_payload_with_an_impossible_name_stays_here() {
    let payload = Element::bare("a b", "urn:x");
    let stanza = Outgoing::IqResult {
        from: jid("gw.xmpp.test"),
        to: jid("a@b"),
        id: "1".into(),
        payload: Some(Payload(payload)),
    };
    let mut link = up();
    link.handle_command(Command::Send(stanza.clone()), origin());
    assert_eq!(
        events(&mut link),
        [Event::Unsent {
            stanza: Box::new(stanza),
            why: xmpp::Unsent::InvalidPayload
        }]
    );
    assert_eq!(sent(&mut link), "");
}

#[test]
fn a_payload_with_what_xml_cannot_carry_is_cleaned() {
    let mut payload = Element::bare("a", "urn:x");
    payload.append_text("\0\u{ffff}");
    let stanza = Outgoing::IqResult {
        from: jid("gw.xmpp.test"),
        to: jid("a@b"),
        id: "1".into(),
        payload: Some(Payload(payload)),
    };
    assert_eq!(
        written(&mut up(), stanza).children().next().unwrap().text(),
        "\u{fffd}\u{fffd}"
    );
}

// Rows: C7247-24
#[test]
fn each_condition_has_its_element_and_type() {
    // RFC 6120 §8.3.3.
    let table = "bad-request modify,conflict cancel,feature-not-implemented cancel,forbidden auth,gone cancel,\
        internal-server-error cancel,item-not-found cancel,jid-malformed modify,not-acceptable modify,not-allowed cancel,\
        not-authorized auth,policy-violation modify,recipient-unavailable wait,redirect modify,registration-required auth,\
        remote-server-not-found cancel,remote-server-timeout wait,resource-constraint wait,service-unavailable cancel,\
        subscription-required auth,undefined-condition cancel,unexpected-request wait";
    for row in table.split(',') {
        let (name, kind) = row.split_once(' ').unwrap();
        let condition = Condition::from_name(name).unwrap();
        assert_eq!((condition.as_str(), condition.error_type()), (name, kind));
    }
    assert_eq!(Condition::from_name("text"), None);
}
