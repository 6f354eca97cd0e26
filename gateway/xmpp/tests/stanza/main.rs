//! Stanzas: real ones, odd ones, and those that go out.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod reading;
mod skipping;
#[path = "../support/mod.rs"]
mod support;
mod writing;

use xmpp::stanza::{Iq, Message, Presence, Stanza};
use xmpp::{Event, Jid};

use crate::support::{receive, up};

pub(crate) const PROSODY: &str = include_str!("../traces/prosody-0.12.xml");
pub(crate) const EJABBERD: &str = include_str!("../traces/ejabberd-23.01.xml");
pub(crate) const NS: &str = "jabber:component:accept";
pub(crate) const MUC_USER: &str = "http://jabber.org/protocol/muc#user";

pub(crate) fn stanza(text: &str) -> Stanza {
    let mut events = receive(&mut up(), text);
    match (events.pop(), events.is_empty()) {
        (Some(Event::Stanza(stanza)), true) => stanza,
        (last, _) => panic!("{last:?} after {events:?}: {text}"),
    }
}

pub(crate) fn presence(text: &str) -> Presence {
    match stanza(text) {
        Stanza::Presence(presence) => presence,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn message(text: &str) -> Message {
    match stanza(text) {
        Stanza::Message(message) => *message,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn iq(text: &str) -> Iq {
    match stanza(text) {
        Stanza::Iq(iq) => iq,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

/// The recorded stanza with these words in it.
pub(crate) fn recorded(trace: &'static str, words: &[&str]) -> &'static str {
    trace
        .lines()
        .find(|line| words.iter().all(|word| line.contains(word)))
        .expect("a recorded stanza")
}
