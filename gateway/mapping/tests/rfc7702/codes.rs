//! What one protocol refuses, in the words of the other: RFC 7247 table 3 and the table of MSRP statuses, row by row on the wire. Table 2 is where
//! a room refuses a caller.

use std::time::Duration;

use crate::transcript::{
    compare::parsed,
    play,
    script::{Happening, Peer},
};

const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

// Rows: C7247-15
#[test]
fn rfc7247_section_7_the_text_of_the_room_is_the_phrase_and_nothing_else() {
    let text = "Not\u{2028}you&#13;&#10;Contact: &lt;sip:x@y&gt;";
    let refusal = refused_by_the_room(&format!(
        "<error type='auth'><forbidden xmlns='{STANZAS}'/><text xmlns='{STANZAS}'>{text}</text></error>"
    ));
    let mut lines = refusal.lines();
    assert!(lines.next().unwrap().starts_with("SIP/2.0 403 Not"), "{refusal}");
    assert!(!lines.any(|line| line.starts_with("Contact")), "{refusal}");
}

/// Enters a room that answers every attempt with this error. Returns what the caller hears in the end.
fn refused_by_the_room(error: &str) -> String {
    let (mut hall, variables) = play("section_6_1_call");
    let mut answered = variables.fill("$enter").unwrap();
    let mut nickname = "Romeo".to_owned();
    for _ in 0..100 {
        let stanza = format!(
            "<presence type='error' id='{answered}' from='capulet@rooms.example.com/{nickname}' \
             to='romeo@example.org/dr4hcr0st3lup4c'>{error}</presence>"
        );
        hall.say(&Peer::xmpp(), &stanza);
        if let Some(refusal) = hall.hear(&Peer::sip("romeo")) {
            return refusal;
        }
        let again = parsed(&hall.hear(&Peer::xmpp()).unwrap()).unwrap();
        answered = again.attr("id").unwrap().to_owned();
        nickname = again.attr("to").unwrap().split('/').nth(1).unwrap().to_owned();
    }
    panic!("the gateway does not give up: {error}")
}

/// Status, XMPP condition, type of the error (RFC 6120 §8.3.3). 399 and its like stand for all that the table does not name.
const TABLE_3: &[(u16, &str, &str)] = &[
    (399, "redirect", "modify"),
    (300, "redirect", "modify"),
    (301, "gone", "cancel"),
    (302, "redirect", "modify"),
    (305, "redirect", "modify"),
    (380, "not-acceptable", "modify"),
    (499, "bad-request", "modify"),
    (400, "bad-request", "modify"),
    (401, "not-authorized", "auth"),
    (402, "bad-request", "modify"),
    (403, "forbidden", "auth"),
    (404, "item-not-found", "cancel"),
    (405, "feature-not-implemented", "cancel"),
    (406, "not-acceptable", "modify"),
    (407, "registration-required", "auth"),
    (408, "remote-server-timeout", "wait"),
    (410, "gone", "cancel"),
    (413, "policy-violation", "modify"),
    (414, "policy-violation", "modify"),
    (415, "not-acceptable", "modify"),
    (416, "not-acceptable", "modify"),
    (420, "feature-not-implemented", "cancel"),
    (421, "not-acceptable", "modify"),
    (423, "resource-constraint", "wait"),
    (430, "recipient-unavailable", "wait"),
    (439, "feature-not-implemented", "cancel"),
    (440, "policy-violation", "modify"),
    (480, "recipient-unavailable", "wait"),
    (481, "item-not-found", "cancel"),
    (482, "not-acceptable", "modify"),
    (483, "not-acceptable", "modify"),
    (484, "item-not-found", "cancel"),
    (485, "item-not-found", "cancel"),
    (486, "recipient-unavailable", "wait"),
    (487, "recipient-unavailable", "wait"),
    (488, "not-acceptable", "modify"),
    (489, "policy-violation", "modify"),
    (491, "unexpected-request", "wait"),
    (493, "bad-request", "modify"),
    (599, "internal-server-error", "cancel"),
    (500, "internal-server-error", "cancel"),
    (501, "feature-not-implemented", "cancel"),
    (502, "remote-server-not-found", "cancel"),
    (503, "internal-server-error", "cancel"),
    (504, "remote-server-timeout", "wait"),
    (505, "not-acceptable", "modify"),
    (513, "policy-violation", "modify"),
    (699, "recipient-unavailable", "wait"),
    (600, "recipient-unavailable", "wait"),
    (603, "recipient-unavailable", "wait"),
    (604, "item-not-found", "cancel"),
    (606, "not-acceptable", "modify"),
];

// Rows: S2X-01..S2X-52, A7702-56, C7247-22..C7247-24
#[test]
fn rfc7247_section_7_2_table_3_on_the_wire() {
    assert_eq!(TABLE_3.len(), 52);
    for (status, condition, kind) in TABLE_3 {
        let error = refused_by_the_focus(*status, "\nContact: <sip:verona@rooms.example.com>");
        assert_eq!(error.attr("type"), Some(*kind), "{status}");
        let condition = error
            .get_child(*condition, STANZAS)
            .unwrap_or_else(|| panic!("{status}: {error:?}"));
        // Note 1: with a 301 goes the new address, here one that the gateway cannot call, for it is its own; with a 410 none.
        let address = condition.text();
        match status {
            301 => assert_eq!(address, "sip:verona@rooms.example.com"),
            300..=399 => {}
            _ => assert_eq!(address, "", "{status}"),
        }
    }
}

/// Calls a conference that refuses. Returns the error of the presence.
fn refused_by_the_focus(status: u16, headers: &str) -> minidom::Element {
    let (mut hall, variables) = play("section_5_1_call");
    let refusal = format!(
        "SIP/2.0 {status} No\nVia: SIP/2.0/TCP s2x.example.com:5060;branch=$invite\n\
         From: \"JuliC\" <sip:juliet@example.com>;tag=$juliet\nTo: <sip:montague@chat.example.org>;tag=1\n\
         Call-ID: $call\nCSeq: $number INVITE{headers}"
    );
    hall.say(&Peer::sip("focus"), &variables.fill(&refusal).unwrap());
    hall.happens(&Happening::Passes(Duration::ZERO));
    let ack = hall.hear(&Peer::sip("focus")).unwrap();
    assert!(ack.starts_with("ACK "), "{status}: {ack}");
    let presence = parsed(&hall.hear(&Peer::xmpp()).unwrap()).unwrap();
    assert_eq!(
        (presence.name(), presence.attr("type"), presence.attr("id")),
        ("presence", Some("error"), Some("enter"))
    );
    assert_eq!(presence.attr("from"), Some("montague@chat.example.org/JuliC"));
    assert_eq!(hall.unheard(), None, "{status}");
    presence
        .get_child("error", "jabber:component:accept")
        .unwrap()
        .clone()
}

/// MSRP status, XMPP condition.
const SEND_REFUSED: &[(u16, &str)] = &[
    (400, "bad-request"),
    (403, "forbidden"),
    (404, "item-not-found"),
    (408, "remote-server-timeout"),
    (413, "policy-violation"),
    (415, "not-acceptable"),
    (423, "bad-request"),
    (428, "feature-not-implemented"),
    (501, "feature-not-implemented"),
];

// Rows: M2X-01..M2X-07, M2X-10, M2X-12, A7702-46, G-02
#[test]
fn what_a_switch_refuses_is_an_error_for_who_said_it() {
    for (status, condition) in SEND_REFUSED {
        for (to, kind) in [("", "groupchat"), ("/Romeo", "chat")] {
            let (mut hall, variables) = play("section_5_1_enter");
            let message = format!(
                "<message type='{kind}' from='juliet@example.com/yn0cl4bnw0yr3vym' to='montague@chat.example.org{to}' id='said'>\
                 <body>Hear me</body></message>"
            );
            hall.say(&Peer::xmpp(), &message);
            let send = hall.hear(&Peer::msrp("switch")).unwrap();
            let transaction = send.split(' ').nth(1).unwrap();
            let refusal = format!(
                "MSRP {transaction} {status} No\nTo-Path: msrp://s2m.example.com:2855/$session;tcp\n\
                 From-Path: msrp://192.0.2.20:8763/lkjh37s2s20w2a;tcp\n-------{transaction}$"
            );
            hall.say(&Peer::msrp("switch"), &variables.fill(&refusal).unwrap());
            let error = parsed(&hall.hear(&Peer::xmpp()).unwrap()).unwrap();
            assert_eq!(
                (error.attr("type"), error.attr("id")),
                (Some("error"), Some("said"))
            );
            let error = error.get_child("error", "jabber:component:accept").unwrap();
            assert!(error.has_child(*condition, STANZAS), "{status} {kind}: {error:?}");
            assert_eq!(hall.unheard(), None);
        }
    }
}

/// XMPP condition, MSRP status.
const MESSAGE_BOUNCED: &[(&str, u16)] = &[
    ("forbidden", 403),
    ("not-allowed", 403),
    ("not-authorized", 403),
    ("item-not-found", 404),
    ("feature-not-implemented", 428),
    ("service-unavailable", 428),
    ("policy-violation", 413),
    ("bad-request", 400),
    ("remote-server-timeout", 408),
    ("resource-constraint", 408),
    ("internal-server-error", 408),
    ("not-acceptable", 403),
];

// Rows: X2M-04..X2M-10, C4975-24, G-02
#[test]
fn what_a_room_refuses_is_a_failure_for_who_said_it() {
    for (condition, status) in MESSAGE_BOUNCED {
        for (to, kind) in [("", "groupchat"), (";gr=Juliet", "chat")] {
            let (mut hall, variables) = play("section_6_1_enter");
            let send = format!(
                "MSRP said SEND\nTo-Path: msrp://s2m.example.com:2855/$switch;tcp\n\
                 From-Path: msrp://192.0.2.10:7313/ansp71weztas;tcp\nMessage-ID: message\nByte-Range: 1-*/*\n\
                 Content-Type: message/cpim\n\nFrom: <sip:romeo@example.org>\n\
                 To: <sip:capulet@rooms.example.com{to}>\n\nContent-Type: text/plain\n\nHear me\n-------said$"
            );
            let romeo = Peer::msrp("romeo");
            hall.say(&romeo, &variables.fill(&send).unwrap());
            let stanza = parsed(&hall.hear(&Peer::xmpp()).unwrap()).unwrap();
            let bounced = format!(
                "<message type='error' from='{}' to='{}' id='{}'><error type='cancel'><{condition} xmlns='{STANZAS}'/></error></message>",
                stanza.attr("to").unwrap(),
                stanza.attr("from").unwrap(),
                stanza.attr("id").unwrap()
            );
            if kind == "chat" {
                // It has no reflection to wait for.
                assert!(hall.hear(&romeo).unwrap().starts_with("MSRP said 200 "));
            }
            hall.say(&Peer::xmpp(), &bounced);
            let answer = hall.hear(&romeo).unwrap();
            let line = if kind == "chat" {
                format!("\nStatus: 000 {status} ")
            } else {
                format!("MSRP said {status} ")
            };
            assert!(answer.contains(&line), "{condition} {kind}: {answer}");
        }
    }
}

// Rows: C757X-09, C757X-10
#[test]
fn a_text_that_grows_beyond_a_stanza_is_413_and_the_link_goes_on() {
    let (mut hall, variables) = play("section_6_1_enter");
    // Within the limit as a text; escaped, four times as long.
    for (text, answer) in [("<".repeat(64 * 1024), "413"), ("hello".to_owned(), "")] {
        let send = format!(
            "MSRP said SEND\nTo-Path: msrp://s2m.example.com:2855/$switch;tcp\n\
             From-Path: msrp://192.0.2.10:7313/ansp71weztas;tcp\nMessage-ID: message{}\nByte-Range: 1-*/*\n\
             Content-Type: message/cpim\n\nFrom: <sip:romeo@example.org>\n\
             To: <sip:capulet@rooms.example.com>\n\nContent-Type: text/plain\n\n{text}\n-------said$",
            text.len()
        );
        hall.say(&Peer::msrp("romeo"), &variables.fill(&send).unwrap());
        match hall.hear(&Peer::msrp("romeo")) {
            Some(refusal) => assert!(refusal.starts_with(&format!("MSRP said {answer} ")), "{refusal}"),
            None => assert_eq!(answer, "", "only what is said waits for the room"),
        }
    }
    assert!(hall.hear(&Peer::xmpp()).unwrap().contains("hello"));
}
