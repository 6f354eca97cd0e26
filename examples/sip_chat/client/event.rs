//! What the user asks for and what he is told. Serialised, an event is a line of the JSON face; the terminal face puts it in words.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use sip::Uri;

use crate::room::Departure;

/// What the driver of the client may put on a message, to find it again in `sent` or `failed`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Reference {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

/// What the user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// A message to all in the room.
    Say {
        /// The text.
        text: String,
        /// Comes back with the outcome.
        reference: Option<Reference>,
    },
    /// A message to one occupant.
    Whisper {
        /// His nickname.
        to: String,
        /// The text.
        text: String,
        /// Comes back with the outcome.
        reference: Option<Reference>,
    },
    /// Another nickname.
    Rename {
        /// The wish.
        nickname: String,
    },
    /// Bring somebody else into the room.
    Invite {
        /// Whom.
        uri: Uri,
    },
    /// Tell who is in the room.
    Roster,
    /// Leave, as soon as what was said before is settled; said twice: at once.
    Quit,
}

impl Command {
    /// An invitation of whom `address` names: a SIP URI, or an address of the form `user@domain`, SIP's or XMPP's alike.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the address.
    pub(crate) fn invite(address: &str) -> Result<Self, String> {
        let address = address.trim();
        let uri = if address.to_ascii_lowercase().starts_with("sip:") {
            address.parse::<Uri>()
        } else {
            format!("sip:{address}").parse()
        };
        match uri {
            Ok(uri) if uri.user().is_some() => Ok(Self::Invite { uri }),
            _ => Err(format!("{address:?} is no address: sip:user@domain is expected")),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// We are in the room; what was typed before is sent now.
    Entered {
        /// The room.
        room: String,
        /// Our nickname, if the room granted one; otherwise it has named us as it likes.
        nickname: Option<String>,
    },
    /// Who is in the room: after the first full conference document, and when asked for.
    Roster {
        /// Nicknames.
        users: Vec<String>,
    },
    /// An occupant came.
    Joined {
        /// Nickname.
        nick: String,
    },
    /// An occupant left.
    Left {
        /// Nickname.
        nick: String,
        /// In which way.
        how: Departure,
        /// The reason given for a removal.
        reason: Option<String>,
    },
    /// An occupant changed his nickname.
    Renamed {
        /// Before.
        old: String,
        /// Now.
        new: String,
    },
    /// The room's subject, at entering and when it changes.
    Subject {
        /// The subject.
        text: String,
    },
    /// There is no roster, or no longer.
    NoRoster {
        /// Why.
        #[serde(flatten)]
        refusal: Refusal,
    },
    /// A message.
    Message {
        /// Nickname of the sender, or his URI if he has none.
        from: String,
        /// The text.
        text: String,
        /// For us alone.
        private: bool,
        /// When it was written, or when it came, if it does not say.
        #[serde(serialize_with = "rfc3339")]
        at: Timestamp,
    },
    /// A message of ours was accepted by the room.
    Sent {
        /// The command's.
        #[serde(rename = "ref")]
        reference: Option<Reference>,
        /// To whom, if not to all.
        to: Option<String>,
        /// The text.
        text: String,
        /// When.
        #[serde(serialize_with = "rfc3339")]
        at: Timestamp,
    },
    /// A message of ours was not accepted.
    Failed {
        /// The command's.
        #[serde(rename = "ref")]
        reference: Option<Reference>,
        /// To whom, if not to all.
        to: Option<String>,
        /// The text.
        text: String,
        /// Why: an MSRP status.
        #[serde(flatten)]
        refusal: Refusal,
    },
    /// We go by another nickname.
    Nick {
        /// The nickname.
        nickname: String,
    },
    /// The room did not take the nickname; the former one stays.
    NickRefused {
        /// The wish.
        nickname: String,
        /// Why: an MSRP status.
        #[serde(flatten)]
        refusal: Refusal,
    },
    /// The room passes the invitation on.
    Invited {
        /// Whom.
        uri: String,
    },
    /// It does not.
    InviteRefused {
        /// Whom.
        uri: String,
        /// Why: a SIP status.
        #[serde(flatten)]
        refusal: Refusal,
    },
    /// The room did not let us in.
    Refused {
        /// Why: a SIP status.
        #[serde(flatten)]
        refusal: Refusal,
    },
    /// The stay in the room is over.
    Ended {
        /// By what.
        cause: EndCause,
        /// The code given for it: a SIP status.
        code: Option<u16>,
        /// The reason given for it.
        reason: Option<String>,
    },
    /// A command that cannot be understood or carried out.
    Error {
        /// Why.
        text: String,
    },
    /// A step on the way, for who wants to look on.
    Progress {
        /// What.
        text: String,
    },
}

/// A reasoned "no".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Refusal {
    /// The status.
    pub(crate) code: u16,
    /// Its text.
    pub(crate) reason: String,
}

impl Refusal {
    /// With a text of our own or the peer's.
    pub(crate) fn new(code: u16, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

impl From<msrp::Status> for Refusal {
    fn from(status: msrp::Status) -> Self {
        Self::new(status.code(), status.comment())
    }
}

impl From<sip::StatusCode> for Refusal {
    fn from(status: sip::StatusCode) -> Self {
        Self::new(status.0, status.reason())
    }
}

/// By what a stay in the room ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndCause {
    /// We left.
    Quit,
    /// The room sent BYE.
    Bye,
    /// The switch could not be reached, or its connection was lost.
    MediaLost,
    /// The room no longer answers SIP requests.
    SignallingLost,
    /// The room's answer cannot be used by this client.
    Incompatible,
}

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// We left, or the room ended the stay and said so.
    Left,
    /// Refused, unusable or lost.
    Failed,
}

fn rfc3339<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}
