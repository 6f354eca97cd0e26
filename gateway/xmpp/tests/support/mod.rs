//! A link under virtual time, and what comes out of it.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::time::{Duration, Instant};

use bytes::BytesMut;
use minidom::Element;
use xmpp::{Action, Command, ConflictRule, Event, Limits, Link, LinkConfig};

pub(crate) const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
     xmlns:stream='http://etherx.jabber.org/streams' id='3BF96D32' from='gw.xmpp.test'>";

pub(crate) fn config() -> LinkConfig {
    LinkConfig {
        domain: "gw.xmpp.test".to_owned(),
        secret: "test".to_owned(),
        limits: Limits::default(),
        handshake: Duration::from_secs(10),
        idle: Duration::from_secs(30),
        ping: Duration::from_secs(10),
        retry: Duration::from_secs(2),
        conflict: ConflictRule::Retry,
        answers: true,
    }
}

#[expect(clippy::disallowed_methods, reason = "an origin for virtual time")]
pub(crate) fn origin() -> Instant {
    Instant::now()
}

/// A link that is up at `now`, with nothing pending.
pub(crate) fn up_at(config: LinkConfig, now: Instant) -> Link {
    let mut link = Link::new(config, [7; 32]);
    link.handle_timeout(now);
    shake(&mut link, now);
    link
}

/// Takes a connecting link up.
pub(crate) fn shake(link: &mut Link, now: Instant) {
    assert_eq!(actions(link), [Action::Connect]);
    link.handle_connected(now);
    link.handle_bytes(HEADER.as_bytes(), now);
    link.handle_bytes(b"<handshake/>", now);
    assert_eq!(events(link).last(), Some(&Event::Up));
    sent(link);
}

pub(crate) fn up() -> Link {
    up_at(config(), origin())
}

pub(crate) fn events(link: &mut Link) -> Vec<Event> {
    std::iter::from_fn(|| link.poll_event()).collect()
}

pub(crate) fn actions(link: &mut Link) -> Vec<Action> {
    std::iter::from_fn(|| link.poll_action()).collect()
}

pub(crate) fn sent(link: &mut Link) -> String {
    let mut out = BytesMut::new();
    while link.poll_transmit(&mut out) {}
    String::from_utf8(out.to_vec()).expect("what goes out is UTF-8")
}

/// What the link makes of one text from the server.
pub(crate) fn receive(link: &mut Link, text: &str) -> Vec<Event> {
    link.handle_bytes(text.as_bytes(), origin());
    events(link)
}

/// Sends a stanza and reads it back with an XML parser.
pub(crate) fn written(link: &mut Link, stanza: xmpp::stanza::Outgoing) -> Element {
    link.handle_command(Command::Send(stanza), origin());
    assert_eq!(events(link), []);
    parsed(&sent(link))
}

pub(crate) fn parsed(text: &str) -> Element {
    Element::from_reader_with_prefixes(text.as_bytes(), "jabber:component:accept".to_owned())
        .unwrap_or_else(|error| panic!("{error}: {text}"))
}
