//! Stanzas as the mapping sees them: read leniently, written through one text rule.

pub mod commands;
mod extras;
mod muc;
mod read;
pub mod service;
mod write;

use jid::{BareJid, FullJid, Jid};

pub use extras::{ChatState, DirectInvitation, Encryption, Extras, Fallback, Link, Retraction};
pub(crate) use read::{Fault, read};
pub(crate) use write::{Bounce, write, write_bounce};

/// What came from the server.
#[expect(
    clippy::large_enum_variant,
    reason = "moved a few times, never kept: a box would cost more"
)]
#[derive(Debug, Clone, PartialEq)]
pub enum Stanza {
    /// `<presence/>`.
    Presence(Presence),
    /// `<message/>`.
    Message(Box<Message>),
    /// `<iq/>` that is not an answer to a request of the link itself.
    Iq(Iq),
}

/// A presence stanza.
#[derive(Debug, Clone, PartialEq)]
pub struct Presence {
    /// Sender, as stamped by the server.
    pub from: Jid,
    /// One of ours.
    pub to: Jid,
    /// Id.
    pub id: Option<String>,
    /// Kind.
    pub kind: PresenceKind,
    /// The wish to enter a room, if present.
    pub join: Option<service::Join>,
    /// `muc#user`, if present.
    pub muc: Option<MucUser>,
    /// Display name (XEP-0172).
    pub nick: Option<String>,
    /// `<status/>` text.
    pub status: Option<String>,
}

/// `type` of a presence.
#[derive(Debug, Clone, PartialEq)]
pub enum PresenceKind {
    /// No type.
    Available,
    /// `unavailable`.
    Unavailable,
    /// `error`.
    Error(StanzaError),
    /// `subscribe`, `probe`, …, as written.
    Other(String),
}

/// `<x xmlns='http://jabber.org/protocol/muc#user'/>`, leniently: unknown status codes are kept, items may lack a role.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MucUser {
    /// Status codes.
    pub statuses: Vec<u16>,
    /// Items.
    pub items: Vec<MucItem>,
    /// `<destroy/>`.
    pub destroy: Option<Destroy>,
    /// `<invite/>`s: who invites (or is invited), why.
    pub invites: Vec<Invite>,
    /// `<password/>`.
    pub password: Option<String>,
    /// `<decline/>`.
    pub decline: Option<Invite>,
}

impl MucUser {
    /// Whether a status code is present.
    #[must_use]
    pub fn has(&self, status: u16) -> bool {
        self.statuses.contains(&status)
    }
}

/// An `<item/>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MucItem {
    /// Affiliation as written.
    pub affiliation: Option<String>,
    /// Role as written.
    pub role: Option<String>,
    /// Real JID, if shown.
    pub jid: Option<Jid>,
    /// New nickname (with status 303).
    pub nick: Option<String>,
    /// Reason.
    pub reason: Option<String>,
    /// Nickname or JID of the actor.
    pub actor: Option<String>,
}

/// `<destroy/>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Destroy {
    /// Alternate room.
    pub jid: Option<Jid>,
    /// Reason.
    pub reason: Option<String>,
}

/// `<invite/>` or `<decline/>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Invite {
    /// From.
    pub from: Option<Jid>,
    /// To.
    pub to: Option<Jid>,
    /// Reason.
    pub reason: Option<String>,
}

/// A stanza error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StanzaError {
    /// Defined condition; an unknown one reads as `undefined-condition`.
    pub condition: Condition,
    /// Text.
    pub text: Option<String>,
    /// Address in `<gone/>` or `<redirect/>`.
    pub new_address: Option<String>,
}

impl StanzaError {
    /// An error of a condition alone.
    #[must_use]
    pub fn new(condition: Condition) -> Self {
        Self {
            condition,
            text: None,
            new_address: None,
        }
    }
}

/// Defined conditions (RFC 6120 §8.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are the conditions themselves")]
pub enum Condition {
    BadRequest,
    Conflict,
    FeatureNotImplemented,
    Forbidden,
    Gone,
    InternalServerError,
    ItemNotFound,
    JidMalformed,
    NotAcceptable,
    NotAllowed,
    NotAuthorized,
    PolicyViolation,
    RecipientUnavailable,
    Redirect,
    RegistrationRequired,
    RemoteServerNotFound,
    RemoteServerTimeout,
    ResourceConstraint,
    ServiceUnavailable,
    SubscriptionRequired,
    UndefinedCondition,
    UnexpectedRequest,
}

/// Each condition with its element and the error type that goes with it (RFC 6120 §8.3.3).
const CONDITIONS: [(Condition, &str, &str); 22] = [
    (Condition::BadRequest, "bad-request", "modify"),
    (Condition::Conflict, "conflict", "cancel"),
    (
        Condition::FeatureNotImplemented,
        "feature-not-implemented",
        "cancel",
    ),
    (Condition::Forbidden, "forbidden", "auth"),
    (Condition::Gone, "gone", "cancel"),
    (Condition::InternalServerError, "internal-server-error", "cancel"),
    (Condition::ItemNotFound, "item-not-found", "cancel"),
    (Condition::JidMalformed, "jid-malformed", "modify"),
    (Condition::NotAcceptable, "not-acceptable", "modify"),
    (Condition::NotAllowed, "not-allowed", "cancel"),
    (Condition::NotAuthorized, "not-authorized", "auth"),
    (Condition::PolicyViolation, "policy-violation", "modify"),
    (Condition::RecipientUnavailable, "recipient-unavailable", "wait"),
    (Condition::Redirect, "redirect", "modify"),
    (Condition::RegistrationRequired, "registration-required", "auth"),
    (
        Condition::RemoteServerNotFound,
        "remote-server-not-found",
        "cancel",
    ),
    (Condition::RemoteServerTimeout, "remote-server-timeout", "wait"),
    (Condition::ResourceConstraint, "resource-constraint", "wait"),
    (Condition::ServiceUnavailable, "service-unavailable", "cancel"),
    (Condition::SubscriptionRequired, "subscription-required", "auth"),
    (Condition::UndefinedCondition, "undefined-condition", "cancel"),
    (Condition::UnexpectedRequest, "unexpected-request", "wait"),
];

impl Condition {
    /// The element's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        CONDITIONS
            .iter()
            .find(|(known, ..)| *known == self)
            .map_or("undefined-condition", |(_, name, _)| name)
    }

    /// The condition of an element's name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        CONDITIONS
            .iter()
            .find(|(_, known, _)| *known == name)
            .map(|(condition, ..)| *condition)
    }

    /// The error type that goes with it.
    #[must_use]
    pub fn error_type(self) -> &'static str {
        CONDITIONS
            .iter()
            .find(|(known, ..)| *known == self)
            .map_or("cancel", |(.., kind)| kind)
    }
}

/// A message stanza.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Sender, as stamped by the server.
    pub from: Jid,
    /// One of ours.
    pub to: Jid,
    /// Id.
    pub id: Option<String>,
    /// Kind; an unknown type reads as `Normal` (RFC 6121 §5.2.2).
    pub kind: MessageKind,
    /// First `<body/>`.
    pub body: Option<String>,
    /// `<subject/>`; `Some("")` is a cleared one.
    pub subject: Option<String>,
    /// Whether there is a `<thread/>`: a subject with a body or a thread is no subject change (XEP-0045 §8.1).
    pub has_thread: bool,
    /// `muc#user` (invitations, declines, status messages).
    pub muc: Option<MucUser>,
    /// XEP-0203, a `<delay/>` of the message itself, not of a forwarded one: who stamped it and when (RFC 3339 text). Of several, the
    /// one by the sender's bare address (the room), since anybody can add others.
    pub delay: Option<Delay>,
    /// XEP-0359 stanza-ids: (by, id). Only the one by the room can be trusted.
    pub stanza_ids: Vec<(Jid, String)>,
    /// Error payload.
    pub error: Option<StanzaError>,
    /// What it carries beside its text.
    pub extras: Extras,
}

/// `<delay/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delay {
    /// `from`.
    pub from: Option<Jid>,
    /// `stamp` as written.
    pub stamp: String,
}

/// `type` of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// `normal`, none, or unknown.
    Normal,
    /// `chat`.
    Chat,
    /// `groupchat`.
    Groupchat,
    /// `headline`.
    Headline,
    /// `error`.
    Error,
}

/// An IQ request or answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Iq {
    /// Sender.
    pub from: Jid,
    /// One of ours.
    pub to: Jid,
    /// Id.
    pub id: String,
    /// What it asks or answers.
    pub kind: IqKind,
}

/// Kinds of IQ.
#[derive(Debug, Clone, PartialEq)]
pub enum IqKind {
    /// A get, with the payload's name and namespace.
    Get(Payload),
    /// A set.
    Set(Payload),
    /// A result.
    Result(Option<Payload>),
    /// An error.
    Error(StanzaError),
}

/// The payload of an IQ, or one of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload(pub minidom::Element);

/// What goes out. Every text passes [`crate::text::XmlText`] when it is written; `from` must be of the link's domain, or the stanza is
/// refused (and logged as our fault) instead of breaking the stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Outgoing {
    /// Enters a room, or enters it again: `<x xmlns='…muc'/>` with `<history maxstanzas='…'/>`.
    Enter {
        /// Our occupant's full JID.
        from: FullJid,
        /// Room with nickname.
        to: FullJid,
        /// Id of the stanza; errors and self-presence carry it back.
        id: String,
        /// History asked for.
        history: u32,
        /// XEP-0172 display name.
        display_name: Option<String>,
        /// Room password.
        password: Option<String>,
    },
    /// Changes the nickname in a room we are in.
    ChangeNickname {
        /// Our occupant.
        from: FullJid,
        /// Room with the new nickname.
        to: FullJid,
        /// Id.
        id: String,
    },
    /// Leaves a room.
    Leave {
        /// Our occupant.
        from: FullJid,
        /// Room with nickname.
        to: FullJid,
        /// `<status/>`.
        status: Option<String>,
    },
    /// A groupchat message.
    Groupchat {
        /// Our occupant.
        from: FullJid,
        /// Room.
        to: BareJid,
        /// Id and origin-id.
        id: String,
        /// Body.
        body: String,
    },
    /// A private message to an occupant: type chat, with the empty `muc#user` element (XEP-0045 §7.5).
    Private {
        /// Our occupant.
        from: FullJid,
        /// Occupant.
        to: FullJid,
        /// Id.
        id: String,
        /// Body.
        body: String,
    },
    /// A mediated invitation (XEP-0045 §7.8.2).
    Invite {
        /// Our occupant.
        from: FullJid,
        /// Room.
        room: BareJid,
        /// Id.
        id: String,
        /// Who is invited.
        invitee: BareJid,
        /// Reason.
        reason: Option<String>,
    },
    /// Declines an invitation through the room (XEP-0045 §7.8.2).
    Decline {
        /// Whom of ours was invited.
        from: BareJid,
        /// Room.
        room: BareJid,
        /// Id.
        id: String,
        /// Who invited.
        inviter: Jid,
        /// Why not.
        reason: String,
    },
    /// Removes an occupant (XEP-0045 §8.2).
    Kick {
        /// Our occupant, a moderator.
        from: FullJid,
        /// Room.
        room: BareJid,
        /// Id; the answer carries it back.
        id: String,
        /// Who is removed.
        nickname: String,
    },
    /// Accepts the default configuration of a room that our occupant has just created, which unlocks it (XEP-0045 §10.1.2).
    AcceptDefaultConfiguration {
        /// Our occupant.
        from: FullJid,
        /// Room.
        to: BareJid,
        /// Id.
        id: String,
    },
    /// What our occupant does (XEP-0085): to the room, or to one in it.
    ChatState {
        /// Our occupant.
        from: FullJid,
        /// Room, or room with nickname.
        to: Jid,
        /// What.
        state: ChatState,
    },
    /// Asks a room whether it still knows our occupant (XEP-0410).
    Ping {
        /// Our occupant.
        from: FullJid,
        /// The same in the room.
        to: FullJid,
        /// Id; the answer carries it back.
        id: String,
    },
    /// An error in answer to a message or presence (never to a groupchat or error stanza).
    Error {
        /// Which stanza name: `message` or `presence`.
        name: &'static str,
        /// Us.
        from: Jid,
        /// The sender.
        to: Jid,
        /// The id it had.
        id: Option<String>,
        /// Condition.
        condition: Condition,
        /// Text.
        text: Option<String>,
    },
    /// The answer to an IQ.
    IqResult {
        /// Us.
        from: Jid,
        /// The sender.
        to: Jid,
        /// The id it had.
        id: String,
        /// Payload.
        payload: Option<Payload>,
    },
    /// The refusal of an IQ.
    IqError {
        /// Us.
        from: Jid,
        /// The sender.
        to: Jid,
        /// The id it had.
        id: String,
        /// Condition.
        condition: Condition,
    },
    /// What a room of ours says to one of its users.
    Room(service::RoomStanza),
}

impl Outgoing {
    /// Whether somebody has to hear of it if it is lost on its way to the server. Of the others nothing is owed, or a deadline tells: a
    /// message to a room is reflected, a request answered.
    #[must_use]
    pub fn must_arrive(&self) -> bool {
        match self {
            Self::Room(service::RoomStanza::Refused { name: "iq", .. }) => false,
            Self::Private { .. } | Self::Leave { .. } | Self::Error { .. } | Self::Room(_) => true,
            Self::Enter { .. }
            | Self::ChangeNickname { .. }
            | Self::Groupchat { .. }
            | Self::Invite { .. }
            | Self::Decline { .. }
            | Self::Kick { .. }
            | Self::Ping { .. }
            | Self::ChatState { .. }
            | Self::AcceptDefaultConfiguration { .. }
            | Self::IqResult { .. }
            | Self::IqError { .. } => false,
        }
    }

    /// Who it comes from.
    #[must_use]
    pub fn from(&self) -> &Jid {
        match self {
            Self::Enter { from, .. }
            | Self::ChangeNickname { from, .. }
            | Self::Leave { from, .. }
            | Self::Groupchat { from, .. }
            | Self::Private { from, .. }
            | Self::Invite { from, .. }
            | Self::Kick { from, .. }
            | Self::Ping { from, .. }
            | Self::ChatState { from, .. }
            | Self::AcceptDefaultConfiguration { from, .. } => from,
            Self::Decline { from, .. } => from,
            Self::Error { from, .. } | Self::IqResult { from, .. } | Self::IqError { from, .. } => from,
            Self::Room(stanza) => stanza.from(),
        }
    }
}
