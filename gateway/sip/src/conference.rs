//! Conference event package documents (RFC 4575) with the nickname attribute of RFC 6501.

use bytes::Bytes;

/// The media type.
pub const CONTENT_TYPE: &str = "application/conference-info+xml";

/// Whether a part is whole, a change, or gone (RFC 4575 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Whole.
    #[default]
    Full,
    /// Only what changed.
    Partial,
    /// Gone.
    Deleted,
}

/// A conference document without its version, which each subscriber has his own of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// The conference URI.
    pub entity: String,
    /// Full or partial.
    pub state: State,
    /// `<subject/>`; `None`: element left out.
    pub subject: Option<String>,
    /// Number of users in the conference (`<user-count/>`).
    pub user_count: Option<u32>,
    /// The users, or in a partial document the changed ones.
    pub users: Vec<User>,
}

/// A participant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// `sip:room@host;gr=nick`.
    pub entity: String,
    /// Whole, or deleted.
    pub state: State,
    /// What to show.
    pub display_text: Option<String>,
    /// `xcon:nickname`.
    pub nickname: Option<String>,
    /// Role entries, such as `participant`.
    pub roles: Vec<String>,
    /// Endpoint status; `None`: no endpoint element.
    pub status: Option<EndpointStatus>,
}

/// Endpoint status (RFC 4575 §5.7.1), those that rooms use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointStatus {
    /// In the room.
    Connected,
    /// Left by himself.
    Departed,
    /// Removed; with the reason text, if any.
    Booted(Option<String>),
    /// Any other status, as written.
    Other(String),
}

/// A document rendered once; only the version differs between subscribers.
#[derive(Debug, Clone)]
pub struct Rendered {
    _head: Bytes,
    _tail: Bytes,
}

impl Document {
    /// Renders it in schema order with namespaces.
    #[must_use]
    pub fn render(&self) -> Rendered {
        todo!()
    }
    /// Reads a document: no DTD, at most 256 KiB, depth 32; unknown elements and a missing namespace are tolerated.
    ///
    /// # Errors
    /// Not well-formed, over a limit, or no conference-info.
    pub fn parse(_body: &[u8]) -> Result<(u32, Self), DocumentFault> {
        todo!()
    }
    /// Applies a later document (with its own version) to this full state: partial users merged by entity, deleted ones removed, a full
    /// one replaces all.
    pub fn apply(&mut self, _change: Self) {
        todo!()
    }
}

impl Rendered {
    /// The document with this version.
    #[must_use]
    pub fn with_version(&self, _version: u32) -> Bytes {
        todo!()
    }
}

/// Why a body is no conference document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a conference document: {0}")]
pub struct DocumentFault(pub String);
