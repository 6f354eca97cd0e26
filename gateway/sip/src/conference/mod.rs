//! Conference event package documents (RFC 4575) with the nickname attribute of RFC 6501.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::{Bytes, BytesMut};

mod reader;
mod writer;

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
    /// Whole, a change, or deleted.
    pub state: State,
    /// What to show.
    pub display_text: Option<String>,
    /// `xcon:nickname`.
    pub nickname: Option<String>,
    /// His addresses of record (`<associated-aors/>`), if the conference tells them.
    pub aors: Vec<String>,
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
    /// Any other status, as written; also `disconnected` for another reason (`failed`, `busy`).
    Other(String),
}

/// A document rendered once; only the version differs between subscribers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Up to the version's opening quote.
    head: Bytes,
    /// From the version's closing quote.
    tail: Bytes,
}

/// Why a body is no conference document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a conference document: {0}")]
pub struct DocumentFault(pub String);

impl Document {
    /// Renders it in schema order with namespaces. What XML cannot carry becomes U+FFFD.
    ///
    /// A full document has the description and the users even if they are empty (RFC 4575 §5.2). A connected user's endpoint has one
    /// `message` medium whose id depends on the entity alone. Of a deleted user only the endpoint is written, if `status` says how he left:
    /// subscribers that follow RFC 4575 §4.4 ignore it, others learn the reason from it. A deleted document has no content.
    #[must_use]
    pub fn render(&self) -> Rendered {
        writer::render(self)
    }

    /// Reads a document and its version (0 if it has none): no DTD, at most 256 KiB, depth 32, 64 attributes an element; unknown
    /// elements and a missing namespace are tolerated, users without entity skipped, as nothing can refer to them.
    ///
    /// A partial document whose `<users>` are full or deleted, also full by default (RFC 4575 §4.4), replaces the whole roster and so
    /// comes back as [`State::Full`]. Of several endpoints of a user the connected one tells the status, else the first.
    ///
    /// # Errors
    /// Not well-formed, over a limit, or no conference-info.
    pub fn parse(body: &[u8]) -> Result<(u32, Self), DocumentFault> {
        reader::read(body)
    }

    /// Applies a later document (with its own version) to this full state: partial users merged by entity, deleted ones removed, a full
    /// one replaces all (RFC 4575 §4.6). A deleted document leaves a deleted one without users. Comparing versions is the caller's, and so
    /// is bounding the number of users.
    pub fn apply(&mut self, change: Self) {
        match change.state {
            State::Full => {
                self.entity = change.entity;
                self.state = State::Full;
                self.subject = change.subject;
                self.user_count = change.user_count;
                self.users = Vec::new();
                self.merge(change.users);
            }
            State::Partial => {
                self.subject = change.subject.or(self.subject.take());
                self.user_count = change.user_count.or(self.user_count);
                self.merge(change.users);
            }
            State::Deleted => {
                self.state = State::Deleted;
                self.subject = None;
                self.user_count = None;
                self.users = Vec::new();
            }
        }
    }

    fn merge(&mut self, changes: Vec<User>) {
        let mut rows: Vec<Option<User>> = std::mem::take(&mut self.users).into_iter().map(Some).collect();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for (place, row) in rows.iter().enumerate() {
            places.extend(row.as_ref().map(|user| (user.entity.clone(), place)));
        }
        for change in changes {
            let place = places.get(&change.entity).copied();
            match (change.state, place.and_then(|place| rows.get_mut(place))) {
                (State::Deleted, row) => {
                    places.remove(&change.entity);
                    if let Some(row) = row {
                        *row = None;
                    }
                }
                (State::Partial, Some(Some(user))) => user.update(change),
                (_, Some(row)) => *row = Some(change.whole()),
                (_, None) => {
                    places.insert(change.entity.clone(), rows.len());
                    rows.push(Some(change.whole()));
                }
            }
        }
        self.users = rows.into_iter().flatten().collect();
    }
}

impl User {
    fn whole(self) -> Self {
        Self {
            state: State::Full,
            ..self
        }
    }

    /// Takes over what a partial user has.
    fn update(&mut self, change: Self) {
        self.display_text = change.display_text.or(self.display_text.take());
        self.nickname = change.nickname.or(self.nickname.take());
        self.status = change.status.or(self.status.take());
        if !change.aors.is_empty() {
            self.aors = change.aors;
        }
        if !change.roles.is_empty() {
            self.roles = change.roles;
        }
    }
}

impl Rendered {
    /// The document with this version.
    #[must_use]
    pub fn with_version(&self, version: u32) -> Bytes {
        let version = version.to_string();
        let mut document = BytesMut::with_capacity(self.head.len() + version.len() + self.tail.len());
        document.extend_from_slice(&self.head);
        document.extend_from_slice(version.as_bytes());
        document.extend_from_slice(&self.tail);
        document.freeze()
    }
}

/// The namespace of RFC 4575.
const NAMESPACE: &str = "urn:ietf:params:xml:ns:conference-info";
/// The namespace of RFC 6501.
const XCON_NAMESPACE: &str = "urn:ietf:params:xml:ns:xcon-conference-info";

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::Deleted => "deleted",
        }
    }
}

/// Text as XML 1.0 can carry it (§2.2 there).
fn carried(text: &str) -> Cow<'_, str> {
    let fits = |character: char| matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
    if text.chars().all(fits) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .map(|character| if fits(character) { character } else { '\u{FFFD}' })
            .collect(),
    )
}
