//! Stanzas: real ones, odd ones, and those that go out.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use minidom::Element;
use support::{events, parsed, receive, sent, up, written};
use xmpp::stanza::{
    Condition, Delay, Destroy, Invite, Iq, IqKind, Message, MessageKind, MucItem, Outgoing, Payload,
    Presence, PresenceKind, Stanza, StanzaError,
};
use xmpp::{Command, Event, FullJid, Jid};

const PROSODY: &str = include_str!("traces/prosody-0.12.xml");
const EJABBERD: &str = include_str!("traces/ejabberd-23.01.xml");
const NS: &str = "jabber:component:accept";
const MUC_USER: &str = "http://jabber.org/protocol/muc#user";

fn stanza(text: &str) -> Stanza {
    let mut events = receive(&mut up(), text);
    match (events.pop(), events.is_empty()) {
        (Some(Event::Stanza(stanza)), true) => stanza,
        (last, _) => panic!("{last:?} after {events:?}: {text}"),
    }
}

fn presence(text: &str) -> Presence {
    match stanza(text) {
        Stanza::Presence(presence) => presence,
        other => panic!("{other:?}"),
    }
}

fn message(text: &str) -> Message {
    match stanza(text) {
        Stanza::Message(message) => *message,
        other => panic!("{other:?}"),
    }
}

fn iq(text: &str) -> Iq {
    match stanza(text) {
        Stanza::Iq(iq) => iq,
        other => panic!("{other:?}"),
    }
}

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

/// The recorded stanza with these words in it.
fn recorded(trace: &'static str, words: &[&str]) -> &'static str {
    trace
        .lines()
        .find(|line| words.iter().all(|word| line.contains(word)))
        .expect("a recorded stanza")
}

#[test]
fn every_recorded_stanza_is_read() {
    for line in PROSODY.lines().chain(EJABBERD.lines()) {
        let element = parsed(line);
        if element.attr("to") == Some("gw.xmpp.test") {
            // What the recorded component itself had asked is no answer to this link.
            let events = receive(&mut up(), line);
            let rule = "answer to no request";
            assert!(
                matches!(&events[..], [Event::Skipped { rule: skipped, .. }] if *skipped == rule),
                "{events:?}"
            );
            continue;
        }
        let read = stanza(line);
        let (from, to) = match &read {
            Stanza::Presence(presence) => (&presence.from, &presence.to),
            Stanza::Message(message) => (&message.from, &message.to),
            Stanza::Iq(iq) => (&iq.from, &iq.to),
        };
        assert_eq!(Some(from.as_str()), element.attr("from"));
        assert_eq!(Some(to.as_str()), element.attr("to"));
    }
}

#[test]
fn a_whole_recording_arrives_in_order_whatever_the_cuts() {
    for trace in [PROSODY, EJABBERD] {
        let at_once = receive(&mut up(), trace);
        assert_eq!(at_once.len(), trace.lines().count());
        for size in [1, 3, 1000] {
            let mut link = up();
            for piece in trace.as_bytes().chunks(size) {
                link.handle_bytes(piece, support::origin());
            }
            assert_eq!(events(&mut link), at_once);
        }
    }
}

#[test]
fn self_presence_has_status_110() {
    for trace in [PROSODY, EJABBERD] {
        let read = presence(recorded(trace, &["<presence", "code='110'", "code='201'"]));
        let muc = read.muc.unwrap();
        assert_eq!(read.kind, PresenceKind::Available);
        assert!(muc.has(110) && muc.has(201) && !muc.has(100));
        assert_eq!(muc.items[0].affiliation.as_deref(), Some("owner"));
        assert_eq!(muc.items[0].role.as_deref(), Some("moderator"));
    }
}

#[test]
fn a_nickname_conflict_is_an_error_of_the_occupant_address() {
    for trace in [PROSODY, EJABBERD] {
        let read = presence(recorded(trace, &["<presence", "<conflict"]));
        let PresenceKind::Error(error) = read.kind else {
            panic!("{read:?}")
        };
        assert_eq!(error.condition, Condition::Conflict);
    }
}

#[test]
fn a_kick_names_its_actor_and_reason() {
    for trace in [PROSODY, EJABBERD] {
        let read = presence(recorded(trace, &["code='307'", "code='110'"]));
        let muc = read.muc.unwrap();
        assert_eq!(read.kind, PresenceKind::Unavailable);
        assert_eq!(muc.items[0].role.as_deref(), Some("none"));
        assert!(
            muc.items[0].actor.is_some() && muc.items[0].reason.is_some(),
            "{muc:?}"
        );
    }
}

#[test]
fn a_destroyed_room_names_the_other_one() {
    for trace in [PROSODY, EJABBERD] {
        let muc = presence(recorded(trace, &["<destroy"])).muc.unwrap();
        let expected = Destroy {
            jid: Some(jid("room2@muc.xmpp.test")),
            reason: Some("moved".into()),
        };
        assert_eq!(muc.destroy, Some(expected));
    }
}

#[test]
fn a_nickname_change_names_the_new_one() {
    for trace in [PROSODY, EJABBERD] {
        let muc = presence(recorded(trace, &["code='303'", "unavailable"]))
            .muc
            .unwrap();
        assert!(muc.has(303));
        assert_eq!(muc.items[0].nick.as_deref(), Some("user2b"));
    }
}

#[test]
fn an_affiliation_message_has_a_bare_address_and_may_lack_a_role() {
    let read = message(recorded(PROSODY, &["absent@gw.xmpp.test"]));
    let item = MucItem {
        affiliation: Some("member".into()),
        jid: Some(jid("absent@gw.xmpp.test")),
        ..MucItem::default()
    };
    assert_eq!(read.muc.unwrap().items, [item]);
}

#[test]
fn several_sessions_on_one_nickname_give_several_items() {
    let words = [
        "<presence",
        "jid='user2@gw.xmpp.test/sip'",
        "jid='user2@gw.xmpp.test/sip2'",
    ];
    assert_eq!(presence(recorded(PROSODY, &words)).muc.unwrap().items.len(), 2);
}

// Rows: CXMPP-12
#[test]
fn a_mediated_invitation_names_the_inviter() {
    for (trace, inviter) in [
        (PROSODY, "room1@muc.xmpp.test/user1"),
        (EJABBERD, "user1@gw.xmpp.test/sip"),
    ] {
        let read = message(recorded(trace, &["<invite"]));
        let expected = Invite {
            from: Some(jid(inviter)),
            to: None,
            reason: Some("come".into()),
        };
        assert_eq!(read.kind, MessageKind::Normal);
        assert_eq!(read.muc.unwrap().invites, [expected]);
    }
}

#[test]
fn a_decline_names_who_declines() {
    for trace in [PROSODY, EJABBERD] {
        let decline = message(recorded(trace, &["<decline"]))
            .muc
            .unwrap()
            .decline
            .unwrap();
        assert_eq!(decline.reason.as_deref(), Some("busy"));
        assert!(decline.from.is_some());
    }
}

#[test]
fn the_delay_is_that_of_the_room() {
    for trace in [PROSODY, EJABBERD] {
        let read = message(recorded(trace, &["<delay", "hello room"]));
        assert_eq!(read.delay.unwrap().from, Some(jid("room1@muc.xmpp.test")));
        assert_eq!(read.stanza_ids[0].0, jid("room1@muc.xmpp.test"));
    }
    // A live message with a forged delay, and the same one from the history.
    let forged = message(recorded(EJABBERD, &["user5@gw.xmpp.test", "forge"]));
    let expected = Delay {
        from: Some(jid("gw.xmpp.test")),
        stamp: "2020-01-01T00:00:00Z".into(),
    };
    assert_eq!(forged.delay, Some(expected));
    let stored = message(recorded(EJABBERD, &["user2@gw.xmpp.test/sip2", "forge"]));
    assert_eq!(stored.delay.unwrap().from, Some(jid("room1@muc.xmpp.test")));
}

// Rows: CXMPP-24
#[test]
fn a_subject_is_told_from_a_message_with_a_subject() {
    let change = message(recorded(EJABBERD, &["<subject>", "subj1"]));
    assert_eq!(
        (change.subject.as_deref(), &change.body, change.has_thread),
        (Some("Topic A"), &None, false)
    );
    let both = message(recorded(PROSODY, &["<subject>", "<body>"]));
    assert!(both.subject.is_some() && both.body.is_some());
    let cleared =
        message("<message from='r@m.test' to='u@gw.xmpp.test' type='groupchat'><subject/></message>");
    assert_eq!(cleared.subject.as_deref(), Some(""));
}

#[test]
fn unknown_types_and_values_are_read() {
    let head = "from='alice@xmpp.test/r' to='u1@gw.xmpp.test'";
    for kind in ["bogus", "normal", "available", ""] {
        assert_eq!(
            message(&format!("<message {head} type='{kind}'/>")).kind,
            MessageKind::Normal,
            "{kind}"
        );
    }
    assert_eq!(message(&format!("<message {head}/>")).id, None);
    assert_eq!(
        presence(&format!("<presence {head} type='bogus'/>")).kind,
        PresenceKind::Other("bogus".into())
    );
    let odd = format!(
        "<presence {head}>stray<show>bogus</show><priority>1000</priority><x xmlns='{MUC_USER}'>\
         <status code='9999'/><status code='70000'/><status code='x'/><status/><item jid='@' role='bogus'/><bogus/>\
         </x><nick xmlns='http://jabber.org/protocol/nick'>N</nick><status>s</status></presence>"
    );
    let read = presence(&odd);
    let muc = read.muc.unwrap();
    assert_eq!(muc.statuses, [9999]);
    assert_eq!(
        muc.items,
        [MucItem {
            role: Some("bogus".into()),
            ..MucItem::default()
        }]
    );
    assert_eq!(
        (read.nick.as_deref(), read.status.as_deref()),
        (Some("N"), Some("s"))
    );
    let twice = format!(
        "<message {head}><thread>1</thread><thread>2</thread><body xml:lang='en'>a</body><body>b</body>\
         <body xmlns='jabber:client'>c</body><stanza-id xmlns='urn:xmpp:sid:0' by='@' id='1'/></message>"
    );
    let read = message(&twice);
    assert_eq!((read.body.as_deref(), read.has_thread), (Some("a"), true));
    assert_eq!(read.stanza_ids, []);
}

#[test]
fn of_several_muc_payloads_that_of_the_server_counts() {
    let read = presence(&format!(
        "<presence from='r@m.test/n' to='u@gw.xmpp.test'><x xmlns='{MUC_USER}'><status code='110'/></x>\
         <x xmlns='{MUC_USER}'><status code='100'/></x></presence>"
    ));
    assert_eq!(read.muc.unwrap().statuses, [100]);
}

#[test]
fn payloads_of_forwarded_messages_are_not_ours() {
    let read = message(
        "<message from='r@m.test/n' to='u@gw.xmpp.test' type='groupchat'><sent xmlns='urn:xmpp:carbons:2'>\
         <forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='x'/>\
         <message xmlns='jabber:client' from='boss@b'><body>fire them</body></message></forwarded></sent></message>",
    );
    assert_eq!(
        (read.body, read.delay, read.from.as_str()),
        (None, None, "r@m.test/n")
    );
}

#[test]
fn errors_are_read_whatever_their_condition() {
    let stanzas_ns = "urn:ietf:params:xml:ns:xmpp-stanzas";
    let table = [
        ("".to_owned(), StanzaError::new(Condition::UndefinedCondition)),
        (
            "<error/>".to_owned(),
            StanzaError::new(Condition::UndefinedCondition),
        ),
        (
            format!("<error type='bogus' code='409'><bogus xmlns='{stanzas_ns}'/></error>"),
            StanzaError::new(Condition::UndefinedCondition),
        ),
        (
            format!(
                "<error><x xmlns='urn:x'/><text xmlns='{stanzas_ns}'>T</text><forbidden xmlns='{stanzas_ns}'/></error>"
            ),
            StanzaError {
                text: Some("T".into()),
                ..StanzaError::new(Condition::Forbidden)
            },
        ),
        (
            format!("<error><gone xmlns='{stanzas_ns}'>xmpp:new@x</gone></error>"),
            StanzaError {
                new_address: Some("xmpp:new@x".into()),
                ..StanzaError::new(Condition::Gone)
            },
        ),
        (
            format!("<error><redirect xmlns='{stanzas_ns}'/></error>"),
            StanzaError::new(Condition::Redirect),
        ),
    ];
    for (error, expected) in table {
        let head = "from='r@m.test/n' to='u@gw.xmpp.test' id='1' type='error'";
        assert_eq!(
            message(&format!("<message {head}>{error}</message>")).error,
            Some(expected.clone()),
            "{error}"
        );
        assert_eq!(
            presence(&format!("<presence {head}>{error}</presence>")).kind,
            PresenceKind::Error(expected.clone())
        );
        assert_eq!(
            iq(&format!("<iq {head}>{error}</iq>")).kind,
            IqKind::Error(expected)
        );
    }
    let live = "<message from='r@m.test/n' to='u@gw.xmpp.test'><error/></message>";
    assert_eq!(message(live).error, None);
}

// Rows: CXMPP-18
#[test]
fn requests_to_users_reach_the_owner() {
    let read = iq(
        "<iq from='r@m.test/n' to='u@gw.xmpp.test/sip' id='p' type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
    );
    assert_eq!(
        read.kind,
        IqKind::Get(Payload(Element::bare("ping", "urn:xmpp:ping")))
    );
    let read = iq("<iq from='r@m.test/n' to='u@gw.xmpp.test/sip' id='p' type='result'/>");
    assert_eq!(read.kind, IqKind::Result(None));
    let read = iq("<iq from='r@m.test/n' to='u@gw.xmpp.test/sip' id='p' type='set'><a xmlns='urn:x'/></iq>");
    assert!(matches!(read.kind, IqKind::Set(_)));
}

/// What is skipped, the rule it breaks, and the condition of the answer.
// Rows: CXMPP-31
#[test]
fn what_is_no_stanza_for_us_is_skipped_and_answered_where_due() {
    let good = "from='a@b/c' to='u@gw.xmpp.test' id='1'";
    let refused = "from='bob@xmpp.test/🎭' to='u@gw.xmpp.test/🎭' id='1'";
    let table: [(String, &str, Option<&str>); 24] = [
        (
            format!("<iq {good} type='get'/>"),
            "request without a single payload",
            Some("bad-request"),
        ),
        (
            format!("<iq {good} type='set'><a/><b/></iq>"),
            "request without a single payload",
            Some("bad-request"),
        ),
        (
            format!("<iq {good} type='bogus'><a/></iq>"),
            "unknown type of request",
            Some("bad-request"),
        ),
        (
            format!("<iq {good}><a/></iq>"),
            "unknown type of request",
            Some("bad-request"),
        ),
        (
            "<iq from='a@b/c' to='u@gw.xmpp.test' type='get'><a/></iq>".into(),
            "request without id",
            None,
        ),
        (
            format!("<iq {refused} type='get'><a/></iq>"),
            "from is no address",
            Some("jid-malformed"),
        ),
        (
            format!("<iq {refused} type='result'/>"),
            "from is no address",
            None,
        ),
        (
            format!("<message {refused}/>"),
            "from is no address",
            Some("jid-malformed"),
        ),
        (
            format!("<message {refused} type='chat'/>"),
            "from is no address",
            Some("jid-malformed"),
        ),
        (
            format!("<message {refused} type='bogus'/>"),
            "from is no address",
            Some("jid-malformed"),
        ),
        (
            format!("<message {refused} type='groupchat'/>"),
            "from is no address",
            None,
        ),
        (
            format!("<message {refused} type='headline'/>"),
            "from is no address",
            None,
        ),
        (
            format!("<message {refused} type='error'/>"),
            "from is no address",
            None,
        ),
        (format!("<presence {refused}/>"), "from is no address", None),
        (
            format!("<presence {refused} type='error'/>"),
            "from is no address",
            None,
        ),
        (
            "<message from='a@b' to='u@gw.xmpp.test/🎭'/>".into(),
            "to is no address",
            Some("jid-malformed"),
        ),
        (
            "<message to='u@gw.xmpp.test'/>".into(),
            "from is no address",
            None,
        ),
        (
            "<message from='' to='u@gw.xmpp.test'/>".into(),
            "from is no address",
            None,
        ),
        ("<message from='a@b'/>".into(), "to is no address", None),
        (
            "<message from='a@b' to='u@other.test'/>".into(),
            "to is of a foreign domain",
            None,
        ),
        (
            "<message from='a@b' to='gw.xmpp.test@other.test/gw.xmpp.test'/>".into(),
            "to is of a foreign domain",
            None,
        ),
        (
            format!("<message {good}><body>&#2;</body></message>"),
            "not well-formed",
            Some("bad-request"),
        ),
        (
            format!("<message {good}><x:body/></message>"),
            "not well-formed",
            Some("bad-request"),
        ),
        (format!("<bogus {good}/>"), "no stanza", None),
    ];
    for (text, rule, answer) in table {
        let mut link = up();
        let skipped = receive(&mut link, &text);
        assert!(
            matches!(skipped.as_slice(), [Event::Skipped { rule: broken, .. }] if *broken == rule),
            "{skipped:?}: {text}"
        );
        let Some(condition) = answer else {
            assert_eq!(sent(&mut link), "", "{text}");
            continue;
        };
        let reply = parsed(&sent(&mut link));
        let error = reply.get_child("error", NS).unwrap();
        assert!(
            error.has_child(condition, "urn:ietf:params:xml:ns:xmpp-stanzas"),
            "{reply:?}: {text}"
        );
        let original = parsed(&text.replace("<body>&#2;</body>", "").replace("<x:body/>", ""));
        assert_eq!(reply.name(), original.name());
        assert_eq!(reply.attr("type"), Some("error"));
        assert_eq!(reply.attr("id"), original.attr("id"));
        assert_eq!(
            (reply.attr("from"), reply.attr("to")),
            (original.attr("to"), original.attr("from"))
        );
        // The stream lives.
        let next = receive(&mut link, "<presence from='a@b/c' to='u@gw.xmpp.test'/>");
        assert!(matches!(next.as_slice(), [Event::Stanza(_)]));
    }
}

#[test]
fn the_sender_of_a_skipped_stanza_is_cut_to_256_octets() {
    for (length, cut) in [(100, 200), (127, 254), (128, 256), (129, 256)] {
        let from = "é".repeat(length);
        let skipped = receive(&mut up(), &format!("<bogus from='{from}'/>"));
        let [Event::Skipped { from, .. }] = skipped.as_slice() else {
            panic!("{skipped:?}")
        };
        assert_eq!(from.len(), cut, "{length}");
    }
}

#[test]
fn invalid_utf8_costs_one_stanza() {
    let mut link = up();
    link.handle_bytes(
        b"<message from='a@b' to='u@gw.xmpp.test'><body>\xff</body></message>",
        support::origin(),
    );
    link.handle_bytes(
        b"<message from='\xff' to='u@gw.xmpp.test'/><presence from='a@b' to='u@gw.xmpp.test'/>",
        support::origin(),
    );
    let rules: Vec<Option<&str>> = events(&mut link)
        .iter()
        .map(|event| match event {
            Event::Skipped { rule, .. } => Some(*rule),
            _ => None,
        })
        .collect();
    assert_eq!(rules, [Some("not well-formed"), Some("not well-formed"), None]);
}

#[test]
fn a_large_body_is_read_whole() {
    let body = "é&amp;".repeat(60_000);
    let read = message(&format!(
        "<message from='a@b' to='u@gw.xmpp.test'><body>{body}</body></message>"
    ));
    assert_eq!(read.body.unwrap(), "é&".repeat(60_000));
}

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
    link.handle_command(Command::Send(stanza.clone()), support::origin());
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
