//! What a multi-user chat service of ours hears and says (XEP-0045).

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use minidom::Element;
use support::{config, origin, receive, sent, up, up_at, written};
use xmpp::stanza::{
    Condition, Delay, Destroy, MucItem, Outgoing, Stanza, StanzaError,
    service::{Join, OccupantPresence, RoomStanza, disco_items},
};
use xmpp::{BareJid, Event, FullJid, Jid, LinkConfig};

const MUC: &str = "http://jabber.org/protocol/muc";
const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
const NS: &str = "jabber:component:accept";
const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

fn room() -> BareJid {
    BareJid::new("room@gw.xmpp.test").unwrap()
}

fn occupant() -> FullJid {
    FullJid::new("room@gw.xmpp.test/Romeo & Co").unwrap()
}

fn client() -> FullJid {
    FullJid::new("juliet@example.com/balcony").unwrap()
}

fn said(stanza: RoomStanza) -> Element {
    written(&mut up(), Outgoing::Room(stanza))
}

fn wish(text: &str) -> Option<Join> {
    let stanza = format!("<presence from='a@b/c' to='room@gw.xmpp.test/Nick'>{text}</presence>");
    match receive(&mut up(), &stanza).pop() {
        Some(Event::Stanza(Stanza::Presence(presence))) => presence.join,
        other => panic!("{other:?}"),
    }
}

// Rows: A7702-02
#[test]
fn xep_0045_7_2_1_the_wish_to_enter_is_an_x_of_muc() {
    assert_eq!(wish(""), None);
    assert_eq!(wish(&format!("<x xmlns='{MUC_USER}'/>")), None);
    assert_eq!(wish(&format!("<x xmlns='{MUC}'/>")), Some(Join::default()));
    let secret = format!("<x xmlns='{MUC}'><password>sesame</password></x>");
    assert_eq!(wish(&secret).unwrap().password.as_deref(), Some("sesame"));
    for (history, none) in [
        ("maxchars='0'", true),
        ("maxstanzas='0'", true),
        ("maxstanzas='20'", false),
        ("maxchars='x'", false),
        ("seconds='0'", false),
    ] {
        let wanted = wish(&format!("<x xmlns='{MUC}'><history {history}/></x>")).unwrap();
        assert_eq!(wanted.no_history, none, "{history}");
    }
}

// Rows: A7702-33, A7702-34, CXMPP-03
#[test]
fn xep_0045_7_2_2_presence_has_one_item_with_role_and_affiliation_and_its_codes() {
    let presence = |unavailable, destroy| {
        said(RoomStanza::Presence(Box::new(OccupantPresence {
            from: occupant(),
            to: client(),
            id: Some("p1".to_owned()),
            unavailable,
            item: MucItem {
                affiliation: Some("none".to_owned()),
                role: Some("participant".to_owned()),
                nick: Some("New".to_owned()),
                reason: Some("a < b".to_owned()),
                ..MucItem::default()
            },
            statuses: vec![110, 303],
            display_name: Some("Romeo \u{0}M.".to_owned()),
            status: Some("bye".to_owned()),
            destroy,
        })))
    };
    let shown = presence(false, None);
    assert_eq!(shown.attr("type"), None);
    assert_eq!(shown.attr("from"), Some("room@gw.xmpp.test/Romeo & Co"));
    assert_eq!(shown.attr("to"), Some("juliet@example.com/balcony"));
    assert_eq!(shown.attr("id"), Some("p1"));
    assert_eq!(
        shown
            .get_child("nick", "http://jabber.org/protocol/nick")
            .unwrap()
            .text(),
        "Romeo \u{fffd}M."
    );
    let x = shown.get_child("x", MUC_USER).unwrap();
    let item = x.get_child("item", MUC_USER).unwrap();
    assert_eq!(
        (item.attr("affiliation"), item.attr("role"), item.attr("nick")),
        (Some("none"), Some("participant"), Some("New"))
    );
    assert_eq!(item.get_child("reason", MUC_USER).unwrap().text(), "a < b");
    let codes: Vec<_> = x
        .children()
        .filter(|child| child.name() == "status")
        .filter_map(|status| status.attr("code"))
        .collect();
    assert_eq!(codes, ["110", "303"]);

    let gone = presence(true, Some(Destroy::default()));
    assert_eq!(gone.attr("type"), Some("unavailable"));
    assert!(
        gone.get_child("x", MUC_USER)
            .unwrap()
            .has_child("destroy", MUC_USER)
    );
}

// Rows: A7702-30, CXMPP-06, CXMPP-08
#[test]
fn xep_0045_7_2_15_subjects_history_and_texts() {
    let subject = said(RoomStanza::Subject {
        from: room(),
        to: client(),
        subject: String::new(),
    });
    assert_eq!(subject.attr("type"), Some("groupchat"));
    assert_eq!(subject.attr("from"), Some("room@gw.xmpp.test"));
    assert_eq!(subject.get_child("subject", NS).unwrap().text(), "");
    assert!(!subject.has_child("body", NS));

    let text = said(RoomStanza::Groupchat {
        from: occupant().into(),
        to: client(),
        id: Some("m1".to_owned()),
        body: "a <b/> \u{1f339}".to_owned(),
        with: Vec::new(),
        delay: Some(Delay {
            from: Some(room().into()),
            stamp: "2026-01-01T00:00:00Z".to_owned(),
        }),
    });
    assert_eq!(
        (text.attr("type"), text.attr("id")),
        (Some("groupchat"), Some("m1"))
    );
    assert_eq!(text.get_child("body", NS).unwrap().text(), "a <b/> \u{1f339}");
    let delay = text.get_child("delay", "urn:xmpp:delay").unwrap();
    assert_eq!(
        (delay.attr("from"), delay.attr("stamp")),
        (Some("room@gw.xmpp.test"), Some("2026-01-01T00:00:00Z"))
    );

    let private = said(RoomStanza::Private {
        from: occupant(),
        to: client(),
        id: "m2".to_owned(),
        body: "psst".to_owned(),
    });
    assert_eq!(private.attr("type"), Some("chat"));
    assert!(private.has_child("x", MUC_USER));

    let invited = said(RoomStanza::Invited {
        from: room(),
        to: client().to_bare(),
        id: "m3".to_owned(),
        inviter: "ben@example.org".parse().unwrap(),
        reason: Some("Come!".to_owned()),
    });
    let invite = invited
        .get_child("x", MUC_USER)
        .and_then(|x| x.get_child("invite", MUC_USER))
        .unwrap();
    assert_eq!(invite.attr("from"), Some("ben@example.org"));
    assert_eq!(invite.get_child("reason", MUC_USER).unwrap().text(), "Come!");
    let direct = invited.get_child("x", "jabber:x:conference").unwrap();
    assert_eq!(direct.attr("jid"), Some(room().as_str()));

    let declined = said(RoomStanza::Declined {
        from: room(),
        to: client(),
        invitee: BareJid::new("ben@example.org").unwrap(),
        reason: "Busy".to_owned(),
    });
    assert_eq!(declined.attr("type"), None);
    let decline = declined
        .get_child("x", MUC_USER)
        .and_then(|x| x.get_child("decline", MUC_USER))
        .unwrap();
    assert_eq!(decline.attr("from"), Some("ben@example.org"));
    assert_eq!(decline.get_child("reason", MUC_USER).unwrap().text(), "Busy");
}

// Rows: A7702-15, A7702-56, S2X-03, E-25
#[test]
fn a_refusal_says_who_speaks_and_where_to_instead() {
    let refused = |name, condition, address: Option<&str>| {
        said(RoomStanza::Refused {
            name,
            from: occupant().into(),
            to: client().into(),
            id: Some("p1".to_owned()),
            by: room(),
            error: StanzaError {
                text: Some("Why".to_owned()),
                new_address: address.map(str::to_owned),
                ..StanzaError::new(condition)
            },
        })
    };
    let conflict = refused("presence", Condition::Conflict, None);
    assert_eq!(
        (conflict.attr("type"), conflict.attr("id")),
        (Some("error"), Some("p1"))
    );
    assert!(conflict.has_child("x", MUC));
    let error = conflict.get_child("error", NS).unwrap();
    assert_eq!(
        (error.attr("by"), error.attr("type")),
        (Some("room@gw.xmpp.test"), Some("cancel"))
    );
    assert!(error.has_child("conflict", STANZAS));
    assert_eq!(error.get_child("text", STANZAS).unwrap().text(), "Why");

    let gone = refused("presence", Condition::Gone, Some("sip:room@moved.example.net"));
    let gone = gone
        .get_child("error", NS)
        .unwrap()
        .get_child("gone", STANZAS)
        .unwrap()
        .text();
    assert_eq!(gone, "sip:room@moved.example.net");
    // Other conditions have no address.
    let refused = refused("message", Condition::Forbidden, Some("sip:x@y"));
    assert!(!refused.has_child("x", MUC));
    let forbidden = refused.get_child("error", NS).unwrap();
    assert_eq!(forbidden.get_child("forbidden", STANZAS).unwrap().text(), "");
}

// Rows: CXMPP-17
#[test]
fn an_owner_with_more_to_say_answers_for_the_domain_himself() {
    let owned = LinkConfig {
        answers: false,
        ..config()
    };
    let mut link = up_at(owned, origin());
    let request = "<iq from='a@b/c' to='gw.xmpp.test' id='1' type='get'>\
        <query xmlns='http://jabber.org/protocol/disco#items'/></iq>";
    let events = receive(&mut link, request);
    assert!(
        matches!(events.as_slice(), [Event::Stanza(Stanza::Iq(_))]),
        "{events:?}"
    );
    assert_eq!(sent(&mut link), "");
    let to: Jid = "a@b/c".parse().unwrap();
    let answer = Outgoing::IqResult {
        from: "gw.xmpp.test".parse().unwrap(),
        to,
        id: "1".to_owned(),
        payload: Some(disco_items([(room().into(), Some("Room".to_owned()))])),
    };
    let items = written(&mut link, answer);
    let item = items.children().next().unwrap().children().next().unwrap();
    assert_eq!(
        (item.attr("jid"), item.attr("name")),
        (Some("room@gw.xmpp.test"), Some("Room"))
    );
}

// Rows: CXMPP-08
#[test]
fn xep_0045_7_4_what_a_message_was_sent_with_goes_back_but_for_what_a_room_says() {
    let sent = "<message from='a@b/c' to='room@gw.xmpp.test' type='groupchat' id='m1'><body>x</body><thread>t</thread>\
        <replace xmlns='urn:xmpp:message-correct:0' id='m0'/><delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>\
        <x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x>\
        <stanza-id xmlns='urn:xmpp:sid:0' id='forged' by='room@gw.xmpp.test'/><origin-id xmlns='urn:xmpp:sid:0' id='o1'/></message>";
    let Some(Event::Stanza(Stanza::Message(message))) = receive(&mut up(), sent).pop() else {
        panic!("no message");
    };
    let reflection = said(RoomStanza::Groupchat {
        from: occupant().into(),
        to: client(),
        id: message.id,
        body: message.body.unwrap(),
        with: message.extras.payloads,
        delay: None,
    });
    let names: Vec<_> = reflection.children().map(Element::name).collect();
    assert_eq!(names, ["body", "thread", "replace", "origin-id"]);
    assert_eq!(reflection.get_child("thread", NS).unwrap().text(), "t");
    // To anybody else nothing has to go back.
    let other = sent.replace("to='room@gw.xmpp.test'", "to='room@gw.xmpp.test/Nick'");
    let Some(Event::Stanza(Stanza::Message(message))) = receive(&mut up(), &other).pop() else {
        panic!("no message");
    };
    assert!(message.extras.payloads.is_empty());
}
