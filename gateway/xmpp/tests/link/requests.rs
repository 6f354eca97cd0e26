//! Requests to the domain itself.

use minidom::Element;
use xmpp::Event;
use xmpp::stanza::{Condition, Stanza};

use crate::seconds;
use crate::support::{config, origin, parsed, receive, sent, up, up_at};

/// Requests to the domain itself and the condition of the answer, if it is a refusal.
#[test]
fn requests_about_commands_are_the_owners() {
    for (kind, payload) in [
        (
            "set",
            "<command xmlns='http://jabber.org/protocol/commands' node='rooms'/>",
        ),
        (
            "get",
            "<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/>",
        ),
        (
            "get",
            "<query xmlns='http://jabber.org/protocol/disco#info' node='rooms'/>",
        ),
    ] {
        let mut link = up();
        let request = format!("<iq from='a@b/c' to='gw.xmpp.test' id='q1' type='{kind}'>{payload}</iq>");
        let events = receive(&mut link, &request);
        assert!(
            matches!(events.as_slice(), [Event::Stanza(Stanza::Iq(_))]),
            "{events:?}"
        );
        assert_eq!(sent(&mut link), "");
    }
}

// Rows: CXMPP-17, CXMPP-30
#[test]
fn requests_to_the_domain_are_answered() {
    let table = [
        ("get", "<ping xmlns='urn:xmpp:ping'/>", None),
        (
            "get",
            "<query xmlns='http://jabber.org/protocol/disco#info'/>",
            None,
        ),
        (
            "get",
            "<query xmlns='http://jabber.org/protocol/disco#items'/>",
            None,
        ),
        ("get", "<query xmlns='jabber:iq:version'/>", None),
        (
            "get",
            "<query xmlns='http://jabber.org/protocol/disco#items' node='x'/>",
            Some(Condition::ItemNotFound),
        ),
        (
            "set",
            "<ping xmlns='urn:xmpp:ping'/>",
            Some(Condition::FeatureNotImplemented),
        ),
        (
            "get",
            "<pong xmlns='urn:xmpp:ping'/>",
            Some(Condition::FeatureNotImplemented),
        ),
        (
            "get",
            "<vCard xmlns='vcard-temp'/>",
            Some(Condition::ServiceUnavailable),
        ),
        (
            "set",
            "<query xmlns='jabber:iq:register'/>",
            Some(Condition::ServiceUnavailable),
        ),
    ];
    for to in ["gw.xmpp.test", "gw.xmpp.test/x"] {
        for (kind, payload, refusal) in table {
            let mut link = up();
            let request = format!("<iq from='a@b/c' to='{to}' id='q1' type='{kind}'>{payload}</iq>");
            assert_eq!(receive(&mut link, &request), []);
            let answer = parsed(&sent(&mut link));
            assert_eq!(
                (answer.attr("from"), answer.attr("to")),
                (Some(to), Some("a@b/c"))
            );
            assert_eq!(answer.attr("id"), Some("q1"));
            let expected = if refusal.is_some() { "error" } else { "result" };
            assert_eq!(answer.attr("type"), Some(expected), "{payload}");
            if let Some(condition) = refusal {
                let error = answer.children().next().unwrap();
                assert!(
                    error.has_child(condition.as_str(), "urn:ietf:params:xml:ns:xmpp-stanzas"),
                    "{payload}"
                );
            }
        }
    }
}

#[test]
fn the_domain_says_that_it_is_a_gateway() {
    let info = "http://jabber.org/protocol/disco#info";
    let mut link = up();
    receive(
        &mut link,
        &format!("<iq from='a@b/c' to='gw.xmpp.test' id='1' type='get'><query xmlns='{info}'/></iq>"),
    );
    let answer = parsed(&sent(&mut link));
    let query = answer.get_child("query", info).unwrap();
    let identity = query.get_child("identity", info).unwrap();
    assert_eq!(
        (identity.attr("category"), identity.attr("type")),
        (Some("gateway"), Some("sip"))
    );
    let features: Vec<&str> = query
        .children()
        .filter(|child| child.name() == "feature")
        .filter_map(|child| child.attr("var"))
        .collect();
    assert!(
        features.contains(&info) && features.contains(&"urn:xmpp:ping"),
        "{features:?}"
    );
}

// Rows: CXMPP-31
#[test]
fn answers_that_nobody_asked_for_are_skipped() {
    for kind in ["result", "error"] {
        let mut link = up();
        let found = receive(
            &mut link,
            &format!("<iq from='a@b/c' to='gw.xmpp.test' id='1' type='{kind}'/>"),
        );
        assert_eq!(
            found,
            [Event::Skipped {
                rule: "answer to no request",
                from: "a@b/c".into()
            }]
        );
        assert_eq!(sent(&mut link), "");
    }
}

#[test]
fn somebody_elses_ping_with_our_id_is_answered() {
    let start = origin();
    let mut link = up_at(config(), start);
    link.handle_timeout(start + seconds(30));
    let ping: Element = parsed(&format!("<r>{}</r>", sent(&mut link)));
    let id = ping.children().next().unwrap().attr("id").unwrap();
    let request =
        format!("<iq from='a@b/c' to='gw.xmpp.test' id='{id}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>");
    assert_eq!(receive(&mut link, &request), []);
    assert_eq!(parsed(&sent(&mut link)).attr("type"), Some("result"));
}
