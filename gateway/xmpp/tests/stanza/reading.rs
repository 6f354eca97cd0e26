//! What comes, read leniently.

use minidom::Element;
use xmpp::Event;
use xmpp::stanza::{
    Condition, Delay, Destroy, Invite, IqKind, MessageKind, MucItem, Payload, PresenceKind, Stanza,
    StanzaError,
};

use crate::support::{events, origin, parsed, receive, up};
use crate::{EJABBERD, MUC_USER, PROSODY, iq, jid, message, presence, recorded, stanza};

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
                link.handle_bytes(piece, origin());
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
