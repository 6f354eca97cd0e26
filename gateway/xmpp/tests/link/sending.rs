//! What goes out, what stays here, and the end by our own wish.

use bytes::BytesMut;
use xmpp::stanza::Outgoing;
use xmpp::{Action, Command, DownCause, Event, Limits, Link, LinkConfig, Unsent};

use crate::support::{HEADER, actions, config, events, origin, receive, sent, up, up_at};
use crate::{message, seconds, unsent};

#[test]
fn a_stanza_goes_out_only_while_the_link_is_up() {
    let now = origin();
    let refused = |link: &mut Link| {
        link.handle_command(Command::Send(message("x")), now);
        assert_eq!(events(link), [unsent(message("x"), Unsent::LinkDown)]);
    };
    let mut link = Link::new(config(), [1; 32]);
    refused(&mut link);
    link.handle_timeout(now);
    refused(&mut link);
    link.handle_connected(now);
    refused(&mut link);
    link.handle_bytes(HEADER.as_bytes(), now);
    refused(&mut link);
    link.handle_bytes(b"<handshake/>", now);
    assert_eq!(events(&mut link), [Event::Up]);
    sent(&mut link);
    link.handle_command(Command::Send(message("x")), now);
    assert_eq!(events(&mut link), []);
    assert!(sent(&mut link).contains("<body>x</body>"));
    link.handle_disconnected(now);
    events(&mut link);
    refused(&mut link);
}

#[test]
fn what_was_queued_when_the_connection_ended_comes_back() {
    let now = origin();
    let mut link = up_at(config(), now);
    link.handle_command(Command::Send(message("taken")), now);
    sent(&mut link);
    link.handle_command(Command::Send(message("1")), now);
    link.handle_command(Command::Send(message("2")), now);
    link.handle_disconnected(now);
    assert_eq!(
        events(&mut link),
        [
            Event::Down(DownCause::Closed),
            unsent(message("1"), Unsent::LinkDown),
            unsent(message("2"), Unsent::LinkDown)
        ]
    );
    assert_eq!(sent(&mut link), "");
}

// Rows: CXMPP-29, E-27
#[test]
fn a_foreign_from_stays_here() {
    for from in ["u@other.test/sip", "u@xmpp.test/sip", "u@a.gw.xmpp.test/sip"] {
        let mut link = up();
        let mut stanza = message("x");
        if let Outgoing::Groupchat { from: sender, .. } = &mut stanza {
            *sender = from.parse().unwrap();
        }
        link.handle_command(Command::Send(stanza.clone()), origin());
        assert_eq!(events(&mut link), [unsent(stanza, Unsent::ForeignFrom)]);
        assert_eq!(sent(&mut link), "");
    }
}

#[test]
fn the_domain_is_compared_as_addresses_are() {
    let mut link = up_at(
        LinkConfig {
            domain: "GW.Xmpp.Test".into(),
            ..config()
        },
        origin(),
    );
    link.handle_command(Command::Send(message("x")), origin());
    assert_eq!(events(&mut link), []);
}

#[test]
fn a_stanza_has_a_largest_size() {
    let framing = {
        let mut link = up();
        link.handle_command(Command::Send(message("")), origin());
        sent(&mut link).len()
    };
    for (length, fits) in [(1999, true), (2000, true), (2001, false)] {
        let limits = Limits {
            stanza_out: 2000,
            ..Limits::default()
        };
        let mut link = up_at(LinkConfig { limits, ..config() }, origin());
        let stanza = message(&"x".repeat(length - framing));
        link.handle_command(Command::Send(stanza.clone()), origin());
        let expected = if fits {
            vec![]
        } else {
            vec![unsent(stanza, Unsent::TooLarge)]
        };
        assert_eq!(events(&mut link), expected);
        assert_eq!(sent(&mut link).len(), if fits { length } else { 0 });
    }
    // Escaping counts.
    let mut link = up();
    link.handle_command(Command::Send(message(&"&".repeat(60_000))), origin());
    assert_eq!(events(&mut link).len(), 1);
}

#[test]
fn the_queue_has_a_bound() {
    let one = {
        let mut link = up();
        link.handle_command(Command::Send(message("x")), origin());
        sent(&mut link).len()
    };
    let queue = 3 * one;
    for (limit, fits) in [(queue - 1, 2), (queue, 3), (queue + 1, 3)] {
        let limits = Limits {
            queue: limit,
            ..Limits::default()
        };
        let mut link = up_at(LinkConfig { limits, ..config() }, origin());
        for _ in 0..4 {
            link.handle_command(Command::Send(message("x")), origin());
        }
        let refused: Vec<Event> = (fits..4)
            .map(|_| unsent(message("x"), Unsent::QueueFull))
            .collect();
        assert_eq!(events(&mut link), refused);
        assert_eq!(sent(&mut link).len(), fits * one);
        // Room again.
        link.handle_command(Command::Send(message("x")), origin());
        assert_eq!(events(&mut link), []);
    }
}

#[test]
fn answers_of_the_link_stay_within_the_queue() {
    let limits = Limits {
        queue: 300,
        ..Limits::default()
    };
    let mut link = up_at(LinkConfig { limits, ..config() }, origin());
    let bad = "<iq from='a@b/c' to='u@gw.xmpp.test' id='1' type='get'/>";
    let good = "<iq from='a@b/c' to='gw.xmpp.test' id='1' type='get'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>";
    let found = receive(&mut link, &format!("{}{}", bad.repeat(10), good));
    assert!(
        matches!(
            found.last(),
            Some(Event::Unsent {
                why: Unsent::QueueFull,
                ..
            })
        ),
        "{found:?}"
    );
    assert!(sent(&mut link).len() <= 300);
}

#[test]
fn what_is_to_be_written_is_appended() {
    let mut link = up();
    let mut out = BytesMut::from(&b"before"[..]);
    assert!(!link.poll_transmit(&mut out));
    link.handle_command(Command::Send(message("x")), origin());
    assert!(link.poll_transmit(&mut out));
    assert!(out.starts_with(b"before<message"));
    assert!(!link.poll_transmit(&mut out));
}

#[test]
fn shutdown_ends_the_stream_and_stays_down() {
    let now = origin();
    let mut link = up_at(config(), now);
    link.handle_command(Command::Send(message("last")), now);
    link.handle_command(Command::Shutdown, now);
    assert_eq!(actions(&mut link), [Action::Close]);
    let last = sent(&mut link);
    assert!(last.contains("last") && last.ends_with("</message></stream:stream>"));
    assert_eq!(link.poll_timeout(), None);
    link.handle_bytes(b"<message from='a@b' to='u@gw.xmpp.test'/></stream:stream>", now);
    link.handle_disconnected(now);
    link.handle_timeout(now + seconds(1000));
    assert_eq!((actions(&mut link), events(&mut link)), (vec![], vec![]));
    link.handle_command(Command::Send(message("x")), now);
    assert_eq!(events(&mut link), [unsent(message("x"), Unsent::LinkDown)]);
    assert!(!link.is_up());
}

#[test]
fn shutdown_before_the_stream_stands() {
    let now = origin();
    let mut new = Link::new(config(), [1; 32]);
    new.handle_command(Command::Shutdown, now);
    new.handle_timeout(now);
    assert_eq!((actions(&mut new), sent(&mut new).as_str()), (vec![], ""));

    let mut connecting = Link::new(config(), [1; 32]);
    connecting.handle_timeout(now);
    connecting.handle_command(Command::Shutdown, now);
    assert_eq!(actions(&mut connecting), [Action::Connect, Action::Close]);

    let mut waiting = Link::new(config(), [1; 32]);
    waiting.handle_timeout(now);
    waiting.handle_connect_failed("refused".into(), now);
    actions(&mut waiting);
    waiting.handle_command(Command::Shutdown, now);
    assert_eq!((actions(&mut waiting), waiting.poll_timeout()), (vec![], None));
}

#[test]
fn a_connection_lost_during_shutdown_gives_back_what_was_not_taken() {
    let now = origin();
    let mut link = up_at(config(), now);
    link.handle_command(Command::Send(message("x")), now);
    link.handle_command(Command::Shutdown, now);
    link.handle_disconnected(now);
    assert_eq!(events(&mut link), [unsent(message("x"), Unsent::LinkDown)]);
}
