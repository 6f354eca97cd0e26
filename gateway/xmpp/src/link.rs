//! The link to the XMPP server as a machine: connect, handshake, keep alive, fail, back off, again.

use std::time::{Duration, Instant};

use bytes::BytesMut;

use crate::stanza::{Outgoing, Stanza};

/// One component stream (XEP-0114) over any number of successive connections.
///
/// Contract: call `handle_*` with what happened, drain `poll_action`, `poll_event` and `poll_transmit`, then ask `poll_timeout`. The
/// first `handle_timeout` starts it. It never gives up: after each failure it waits with jittered back-off (1 s doubling to 30 s; 30 s to 120 s
/// after `conflict` or a refused secret) and emits [`Action::Connect`] again. Silence is met with a ping, an unanswered ping with a new connection.
/// `handle_*` is total.
pub struct Link {
    _config: LinkConfig,
}

impl Link {
    /// A link that is down; jitter and ids come from `seed`.
    #[must_use]
    pub fn new(config: LinkConfig, _seed: [u8; 32]) -> Self {
        Self { _config: config }
    }
    /// The connection asked for by [`Action::Connect`] stands.
    pub fn handle_connected(&mut self, _now: Instant) {
        todo!()
    }
    /// It could not be opened; the text names address and cause.
    pub fn handle_connect_failed(&mut self, _cause: String, _now: Instant) {
        todo!()
    }
    /// Bytes that arrived, cut anywhere.
    pub fn handle_bytes(&mut self, _bytes: &[u8], _now: Instant) {
        todo!()
    }
    /// The connection ended.
    pub fn handle_disconnected(&mut self, _now: Instant) {
        todo!()
    }
    /// A command of the owner. `Send` while the link is down is answered with [`Event::Unsent`].
    pub fn handle_command(&mut self, _command: Command, _now: Instant) {
        todo!()
    }
    /// The instant that `poll_timeout` named has come.
    pub fn handle_timeout(&mut self, _now: Instant) {
        todo!()
    }
    /// What the shell must do with the connection.
    pub fn poll_action(&mut self) -> Option<Action> {
        todo!()
    }
    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }
    /// Moves what is to be written into `out`; `false` when there is nothing.
    pub fn poll_transmit(&mut self, _out: &mut BytesMut) -> bool {
        todo!()
    }
    /// When `handle_timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
    /// Whether stanzas can be sent now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        todo!()
    }
}

/// Settings of a link.
#[derive(Clone)]
pub struct LinkConfig {
    /// The component's domain.
    pub domain: String,
    /// The shared secret. Never shown by `Debug`.
    pub secret: String,
    /// Bounds.
    pub limits: Limits,
    /// How long handshake and connect may take. Default 10 s.
    pub handshake: Duration,
    /// Silence after which the server is pinged. Default 30 s.
    pub idle: Duration,
    /// How long a ping may go unanswered. Default 10 s.
    pub ping: Duration,
}

/// Bounds of the guard and of the outgoing queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Nesting depth within a stanza. Default 32.
    pub depth: usize,
    /// Octets of one attribute value, as on the wire. Default 4096.
    pub attribute: usize,
    /// Attributes of one element. Default 64.
    pub attributes: usize,
    /// Octets of one element or attribute name. Default 256.
    pub name: usize,
    /// Octets of one incoming stanza. Default 512 KiB.
    pub stanza_in: usize,
    /// Octets of one outgoing stanza. Default 64 KiB.
    pub stanza_out: usize,
    /// Octets queued for sending. Default 4 MiB.
    pub queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 32,
            attribute: 4096,
            attributes: 64,
            name: 256,
            stanza_in: 512 * 1024,
            stanza_out: 64 * 1024,
            queue: 4 * 1024 * 1024,
        }
    }
}

/// What the shell must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open a connection to the configured server.
    Connect,
    /// Close it, after what `poll_transmit` still gives has been written.
    Close,
}

/// What the owner wants.
#[derive(Debug)]
pub enum Command {
    /// Sends a stanza.
    Send(Outgoing),
    /// Ends the stream gracefully and stays down: `</stream:stream>`, then [`Action::Close`].
    Shutdown,
}

/// What happened.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// The handshake is done: stanzas flow. Rooms must be entered (again).
    Up,
    /// The link is down. Reported once per change of cause, not once per attempt.
    Down(DownCause),
    /// A stanza.
    Stanza(Stanza),
    /// A stanza that broke a bound of the guard, or that is no usable stanza, was skipped; where due, its sender got an error.
    Skipped {
        /// Which rule it broke.
        rule: &'static str,
        /// Its `from`, cut to 256 octets.
        from: String,
    },
    /// A stanza of ours did not go out.
    Unsent {
        /// Which.
        stanza: Box<Outgoing>,
        /// Why: `link down`, `queue full`, `stanza too large`, `foreign from`.
        why: &'static str,
    },
}

/// Why the link is down, each with its remedy in `Display`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DownCause {
    /// No connection.
    #[error("cannot connect: {0}; check that the XMPP server runs and listens for components there")]
    Unreachable(String),
    /// Wrong secret.
    #[error("the server refused the component secret; compare `secret` here with `component_secret` there")]
    NotAuthorized,
    /// Another connection speaks for the domain.
    #[error(
        "the server has another connection for this component domain; stop the other gateway, or set component_conflict_resolve"
    )]
    Conflict,
    /// The server does not know the domain.
    #[error("the server does not serve this component domain; add a Component block for it")]
    HostUnknown,
    /// Any other stream error, by its condition and text.
    #[error("stream error from the server: {0}")]
    StreamError(String),
    /// Bytes that are no stream.
    #[error("the server sent something that is no component stream: {0}")]
    Malformed(&'static str),
    /// No answer to handshake or ping.
    #[error("the server does not answer")]
    Silent,
    /// The connection ended.
    #[error("the connection was closed")]
    Closed,
}
