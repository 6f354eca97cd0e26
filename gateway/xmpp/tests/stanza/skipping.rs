//! What is no stanza for us.

use xmpp::Event;

use crate::support::{events, origin, parsed, receive, sent, up};
use crate::{NS, message};

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
        origin(),
    );
    link.handle_bytes(
        b"<message from='\xff' to='u@gw.xmpp.test'/><presence from='a@b' to='u@gw.xmpp.test'/>",
        origin(),
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
