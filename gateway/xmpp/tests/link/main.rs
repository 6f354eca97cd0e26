//! The link under virtual time.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod attempts;
mod copies;
mod hostile;
mod receipts;
mod requests;
mod sending;
mod sole;
mod stream;
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use xmpp::stanza::Outgoing;
use xmpp::{Action, Event, Link, Unsent};

use crate::support::{actions, config};

pub(crate) const STREAMS: &str = "urn:ietf:params:xml:ns:xmpp-streams";

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn message(body: &str) -> Outgoing {
    Outgoing::Groupchat {
        from: "u@gw.xmpp.test/sip".parse().unwrap(),
        to: "r@muc.xmpp.test".parse().unwrap(),
        id: "m1".into(),
        body: body.into(),
    }
}

pub(crate) fn unsent(stanza: Outgoing, why: Unsent) -> Event {
    Event::Unsent {
        stanza: Box::new(stanza),
        why,
    }
}

/// A link whose stream header is out.
pub(crate) fn opening(now: Instant) -> Link {
    let mut link = Link::new(config(), [1; 32]);
    link.handle_timeout(now);
    assert_eq!(actions(&mut link), [Action::Connect]);
    link.handle_connected(now);
    link
}

/// How long a link that is down waits for its next attempt; it has begun it then.
pub(crate) fn wait_for_attempt(link: &mut Link, now: &mut Instant) -> Duration {
    actions(link);
    let due = link.poll_timeout().expect("an attempt is due");
    let delay = due - *now;
    if !delay.is_zero() {
        link.handle_timeout(due - Duration::from_nanos(1));
        assert_eq!(actions(link), []);
    }
    link.handle_timeout(due);
    assert_eq!(actions(link), [Action::Connect]);
    *now = due;
    delay
}
