//! Whatever comes: it costs a stanza at most.

use std::time::Duration;

use proptest::prelude::*;
use xmpp::stanza::{IqKind, Stanza};
use xmpp::{Command, Event, Limits, Link, LinkConfig, Unsent};

use crate::support::{HEADER, actions, config, events, origin, receive, sent, up, up_at};
use crate::{message, seconds, unsent};

#[test]
fn hostile_stanzas_are_answered_and_the_next_arrives() {
    let start = "from='a@b/c' to='u@gw.xmpp.test' id='1'";
    let hostile = [
        (
            "nested too deeply",
            format!(
                "<message {start}>{}{}</message>",
                "<a>".repeat(40_000),
                "</a>".repeat(40_000)
            ),
        ),
        (
            "attribute too long",
            format!("<message {start} a='{}'/>", "x".repeat(9000)),
        ),
        (
            "stanza too large",
            format!("<message {start}><body>{}</body></message>", "x".repeat(1 << 20)),
        ),
    ];
    for (rule, stanza) in hostile {
        for (stanza, answered) in [
            (stanza.clone(), true),
            (stanza.replacen("id=", "type='groupchat' id=", 1), false),
            (stanza.replacen("id=", "type='error' id=", 1), false),
            (stanza.replace("message", "presence"), false),
        ] {
            let mut link = up();
            let next = "<presence from='a@b' to='u@gw.xmpp.test'/>";
            for piece in format!("{stanza}{next}").as_bytes().chunks(4096) {
                link.handle_bytes(piece, origin());
            }
            let found = events(&mut link);
            assert_eq!(
                found[0],
                Event::Skipped {
                    rule,
                    from: "a@b/c".into()
                }
            );
            assert!(matches!(found[1..], [Event::Stanza(Stanza::Presence(_))]));
            assert_eq!(sent(&mut link).contains("bad-request"), answered, "{rule}");
        }
    }
}

#[test]
fn where_the_rooms_are_ours_who_asks_for_what_is_no_address_is_told_so() {
    // An emoji is younger than the Unicode that stringprep knows (RFC 6122 §2.4).
    let to = "room@gw.xmpp.test/Tybalt \u{1f480}";
    for (stanza, in_rooms, elsewhere) in [
        (format!("<presence from='a@b/c' to='{to}' id='1'/>"), true, false),
        (
            format!("<presence from='a@b/c' to='{to}' type='unavailable'/>"),
            false,
            false,
        ),
        (
            format!("<presence from='a@b/c' to='{to}' type='error'/>"),
            false,
            false,
        ),
        (
            format!("<message from='a@b/c' to='{to}' type='groupchat' id='1'/>"),
            true,
            false,
        ),
        (
            format!("<message from='a@b/c' to='{to}' type='chat' id='1'/>"),
            true,
            true,
        ),
        (
            format!("<message from='a@b/c' to='{to}' type='error' id='1'/>"),
            false,
            false,
        ),
    ] {
        for (answers, told) in [(false, in_rooms), (true, elsewhere)] {
            let mut link = up_at(LinkConfig { answers, ..config() }, origin());
            link.handle_bytes(stanza.as_bytes(), origin());
            let found = sent(&mut link);
            assert_eq!(
                found.contains("jid-malformed"),
                told,
                "{stanza} {answers}: {found}"
            );
        }
    }
}

#[test]
fn the_deepest_stanza_allowed_is_read() {
    let limits = Limits::default();
    let depth = limits.depth - 1;
    let stanza = format!(
        "<iq from='a@b' to='u@gw.xmpp.test' id='1' type='set'>{}{}</iq>",
        "<a>".repeat(depth),
        "</a>".repeat(depth)
    );
    let found = receive(&mut up(), &stanza);
    let [Event::Stanza(Stanza::Iq(iq))] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert!(matches!(iq.kind, IqKind::Set(_)));
}

#[test]
fn long_durations_are_no_overflow() {
    let config = LinkConfig {
        handshake: Duration::MAX,
        idle: Duration::MAX,
        ping: Duration::MAX,
        ..config()
    };
    let mut link = up_at(config, origin());
    assert!(link.poll_timeout().is_some());
    link.handle_bytes(b" ", origin());
}

#[test]
fn a_domain_that_is_none_only_refuses() {
    let mut link = up_at(
        LinkConfig {
            domain: "'<\0".into(),
            ..config()
        },
        origin(),
    );
    link.handle_command(Command::Send(message("x")), origin());
    assert_eq!(events(&mut link), [unsent(message("x"), Unsent::ForeignFrom)]);
}

/// Anything that can happen to a link.
#[derive(Debug, Clone)]
enum Happening {
    Connected,
    Failed,
    Bytes(Vec<u8>),
    Disconnected,
    Send,
    Timeout(u64),
    Shake,
}

fn happening() -> impl Strategy<Value = Happening> {
    let words = prop::sample::select(vec![
        "<handshake/>",
        "<message from='a@b' to='u@gw.xmpp.test'>",
        "</message>",
        "<iq from='a@b' to='gw.xmpp.test' id='1' type='get'>",
        "<ping xmlns='urn:xmpp:ping'/>",
        "</iq>",
        "<stream:error/>",
        "</stream:stream>",
        HEADER,
        "<![CDATA[",
        "]]>",
        "&amp;",
        " ",
    ]);
    prop_oneof![
        2 => Just(Happening::Connected),
        1 => Just(Happening::Failed),
        2 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Happening::Bytes),
        8 => words.prop_map(|word| Happening::Bytes(word.as_bytes().to_vec())),
        1 => Just(Happening::Disconnected),
        2 => Just(Happening::Send),
        2 => (0..100u64).prop_map(Happening::Timeout),
        3 => Just(Happening::Shake),
    ]
}

proptest! {
    /// Nothing panics, nothing is sent while down, and every stanza is either taken or given back.
    #[test]
    fn a_link_survives_whatever_happens(happenings in prop::collection::vec(happening(), 0..60)) {
        let mut now = origin();
        let mut link = Link::new(config(), [9; 32]);
        let (mut accepted, mut written, mut given_back) = (0, 0, 0);
        for happening in happenings {
            match happening {
                Happening::Connected => link.handle_connected(now),
                Happening::Failed => link.handle_connect_failed("refused".into(), now),
                Happening::Bytes(bytes) => link.handle_bytes(&bytes, now),
                Happening::Disconnected => link.handle_disconnected(now),
                Happening::Send => {
                    accepted += 1;
                    link.handle_command(Command::Send(message("ours")), now);
                }
                Happening::Timeout(after) => {
                    now += seconds(after);
                    link.handle_timeout(now);
                }
                Happening::Shake => {
                    if let Some(due) = link.poll_timeout() {
                        now = now.max(due);
                    }
                    link.handle_timeout(now);
                    link.handle_connected(now);
                    link.handle_bytes(format!("{HEADER}<handshake/>").as_bytes(), now);
                }
            }
            let events = events(&mut link);
            given_back += events.iter().filter(|event| matches!(event, Event::Unsent { stanza, .. } if **stanza == message("ours"))).count();
            actions(&mut link);
            written += sent(&mut link).matches("ours").count();
            prop_assert_eq!(accepted, written + given_back);
            prop_assert!(link.poll_timeout().is_some() || accepted == given_back);
        }
    }

    #[test]
    fn random_octets_in_a_live_stream_never_panic(octets in prop::collection::vec(any::<u8>(), 0..200), cut in any::<prop::sample::Index>()) {
        let mut link = up();
        let (front, back) = octets.split_at(cut.index(octets.len() + 1));
        link.handle_bytes(front, origin());
        link.handle_bytes(back, origin());
        events(&mut link);
    }
}

// Copies of a room's messages.
