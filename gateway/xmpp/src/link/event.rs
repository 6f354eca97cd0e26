//! What goes in and out of a link.

use jid::{BareJid, FullJid};

use crate::stanza::{Outgoing, Stanza};

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
    /// From now on, of equal copies of a groupchat message of this room for occupants that share, the first alone is an event,
    /// whosever it is. Holds until the connection ends.
    Share {
        /// The room.
        room: BareJid,
        /// One of ours.
        occupant: FullJid,
    },
    /// From now on each copy for this occupant is an event again. Answered with [`Event::Unshared`].
    Unshare {
        /// The room.
        room: BareJid,
        /// The occupant.
        occupant: FullJid,
    },
    /// Ends the stream gracefully and stays down: `</stream:stream>`, then [`Action::Close`].
    Shutdown,
}

/// What happened.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are stanzas, and each is moved once"
)]
#[derive(Debug, PartialEq)]
pub enum Event {
    /// The handshake is done: stanzas flow. Rooms must be entered (again).
    Up,
    /// After a silence another connection speaks for the domain for more than 2 s: the server may hand it a part of what is for us.
    NotSole,
    /// The link is down. Reported once per change of cause, not once per attempt.
    Down(DownCause),
    /// A stanza. The first may come before [`Event::Up`]: a server that still holds a former connection takes and sends stanzas on this one already.
    Stanza(Stanza),
    /// A stanza that broke a bound of the guard, or that is no usable stanza, was skipped; where due, its sender got an error.
    Skipped {
        /// Which rule it broke.
        rule: &'static str,
        /// Its `from`, cut to 256 octets.
        from: String,
    },
    /// What this occupant is sent from here on is his alone; until here it may have been the one copy for all who share.
    Unshared {
        /// The room.
        room: BareJid,
        /// The occupant.
        occupant: FullJid,
    },
    /// A stanza of ours, or the link's own answer to a request, did not go out, or may not have.
    Unsent {
        /// Which.
        stanza: Box<Outgoing>,
        /// Why.
        why: Unsent,
    },
}

/// Why a stanza is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    /// There is no connection, or there was none any more when its turn came.
    #[error("link down")]
    LinkDown,
    /// It was written, and the connection ended before the server was known to have read it. Told of stanzas that
    /// [must arrive](Outgoing::must_arrive) alone, and at most of the latest [`Limits::queue`](super::Limits::queue) octets of them.
    #[error("not known to have been read")]
    Unconfirmed,
    /// [`Limits::queue`](super::Limits::queue) octets wait already.
    #[error("queue full")]
    QueueFull,
    /// Longer than [`Limits::stanza_out`](super::Limits::stanza_out).
    #[error("stanza too large")]
    TooLarge,
    /// Its `from` is not of the link's domain.
    #[error("foreign from")]
    ForeignFrom,
    /// A name in it is none that XML allows.
    #[error("invalid payload")]
    InvalidPayload,
}

/// Why the link is down, each with its remedy in `Display`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DownCause {
    /// No connection.
    #[error("cannot connect: {0}; check that the XMPP server runs and listens for components there")]
    Unreachable(String),
    /// Wrong secret. ejabberd says the same of a domain that it does not serve.
    #[error(
        "the server refused the component secret; compare `secret` here with `component_secret` there; in ejabberd also the domain with the listener's `hosts`"
    )]
    NotAuthorized,
    /// Another connection speaks for the domain.
    #[error(
        "the server has another connection for this component domain; stop the other gateway, or set component_conflict_resolve"
    )]
    Conflict,
    /// The server does not serve the domain, and says so.
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
