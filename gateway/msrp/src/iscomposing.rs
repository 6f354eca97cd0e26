//! `application/im-iscomposing+xml` (RFC 3994): the document, and the two state machines around it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;

use crate::xml;

/// The media type.
pub const CONTENT_TYPE: &str = "application/im-iscomposing+xml";

/// How long a receiver believes an active state that names no refresh interval (RFC 3994 §3.3).
pub const DEFAULT_REFRESH: Duration = Duration::from_secs(120);

/// How long a composer may pause (RFC 3994 §3.2).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The shortest refresh interval that a composer should use (RFC 3994 §3.2).
pub const SHORTEST_REFRESH: Duration = Duration::from_secs(60);

const NAMESPACE: &str = "urn:ietf:params:xml:ns:im-iscomposing";

/// A status document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsComposing {
    /// Whether the user is writing.
    pub state: State,
    /// When the user wrote last.
    pub last_active: Option<Timestamp>,
    /// What is being written: a media type, or only its first half.
    pub content_type: Option<String>,
    /// Until when the next status comes, in seconds; never 0.
    pub refresh: Option<u32>,
}

/// Whether the user is writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No; also what an unknown state means (RFC 3994 §3.5).
    Idle,
    /// Yes.
    Active,
}

/// Why a body is no status document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an isComposing document: {0}")]
pub struct IsComposingFault(pub &'static str);

impl IsComposing {
    /// A status that says no more than the state.
    #[must_use]
    pub const fn new(state: State) -> Self {
        Self {
            state,
            last_active: None,
            content_type: None,
            refresh: None,
        }
    }

    /// Reads a document of at most 16 KiB. Elements that RFC 3994 does not know, and optional values that cannot be read, are
    /// left out.
    ///
    /// # Errors
    /// Says what is wrong: a document type, XML that is not well-formed, another document, no state.
    pub fn parse(body: &[u8]) -> Result<Self, IsComposingFault> {
        let root = xml::read(body, NAMESPACE, "isComposing").map_err(IsComposingFault)?;
        let state = root
            .text_of("state")
            .ok_or(IsComposingFault("RFC 3994 §6.1: no state"))?;
        Ok(Self {
            state: if state == "active" {
                State::Active
            } else {
                State::Idle
            },
            last_active: root.text_of("lastactive").and_then(|text| text.parse().ok()),
            content_type: root.text_of("contenttype").map(str::to_owned),
            refresh: root.text_of("refresh").and_then(seconds),
        })
    }

    /// Writes it.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let state = match self.state {
            State::Idle => "idle",
            State::Active => "active",
        };
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<isComposing xmlns=\"{NAMESPACE}\"><state>{state}</state>"
        );
        if let Some(instant) = self.last_active {
            text.push_str(&format!("<lastactive>{instant}</lastactive>"));
        }
        if let Some(content_type) = &self.content_type {
            let content_type = xml::escaped(content_type);
            text.push_str(&format!("<contenttype>{content_type}</contenttype>"));
        }
        if let Some(refresh) = self.refresh.filter(|refresh| *refresh > 0) {
            text.push_str(&format!("<refresh>{refresh}</refresh>"));
        }
        text.push_str("</isComposing>");
        text.into()
    }
}

/// `xs:positiveInteger`; a larger one than 32 bits hold is read as the largest.
fn seconds(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u32::MAX)).filter(|seconds| *seconds > 0)
}

/// The sender's side (RFC 3994 §3.2): what status to send when.
///
/// Contract: call `handle_*` with what the user did and when, and send the status that comes back; `poll_timeout` says when
/// `handle_timeout` is due.
#[derive(Debug, Clone)]
pub struct Composer {
    refresh: Option<Duration>,
    active: Option<Composing>,
}

#[derive(Debug, Clone, Copy)]
struct Composing {
    idle_at: Instant,
    refresh_at: Option<Instant>,
}

impl Composer {
    /// An idle one, which repeats an active state each `refresh`, but not more often than [`SHORTEST_REFRESH`]; `None` does not
    /// repeat it.
    #[must_use]
    pub fn new(refresh: Option<Duration>) -> Self {
        Self {
            refresh: refresh.map(|interval| interval.max(SHORTEST_REFRESH)),
            active: None,
        }
    }

    /// The user wrote something.
    pub fn handle_composing(&mut self, now: Instant) -> Option<IsComposing> {
        let idle_at = now + IDLE_TIMEOUT;
        if let Some(composing) = &mut self.active {
            composing.idle_at = idle_at;
            return None;
        }
        self.active = Some(Composing {
            idle_at,
            refresh_at: self.refresh_at(now),
        });
        Some(self.status(State::Active))
    }

    /// The message was sent: the other end knows by it that the user is idle.
    pub fn handle_sent(&mut self) {
        self.active = None;
    }

    /// The instant that `poll_timeout` named has come.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<IsComposing> {
        let composing = self.active?;
        if composing.idle_at <= now {
            self.active = None;
            return Some(self.status(State::Idle));
        }
        if composing.refresh_at.is_some_and(|due| due <= now) {
            self.active = Some(Composing {
                refresh_at: self.refresh_at(now),
                ..composing
            });
            return Some(self.status(State::Active));
        }
        None
    }

    /// When `handle_timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let composing = self.active?;
        let refresh = composing.refresh_at.unwrap_or(composing.idle_at);
        Some(composing.idle_at.min(refresh))
    }

    fn refresh_at(&self, now: Instant) -> Option<Instant> {
        self.refresh.and_then(|interval| now.checked_add(interval))
    }

    fn status(&self, state: State) -> IsComposing {
        let interval = self.refresh.filter(|_| state == State::Active);
        IsComposing {
            refresh: interval.map(|interval| u32::try_from(interval.as_secs()).unwrap_or(u32::MAX)),
            ..IsComposing::new(state)
        }
    }
}

/// The receiver's side (RFC 3994 §3.3): whether the other user is writing.
#[derive(Debug, Clone, Default)]
pub struct Observer {
    until: Option<Instant>,
}

impl Observer {
    /// A status came.
    pub fn handle_status(&mut self, status: &IsComposing, now: Instant) {
        let refresh = status
            .refresh
            .map_or(DEFAULT_REFRESH, |seconds| Duration::from_secs(seconds.into()));
        self.until = match status.state {
            State::Active => now.checked_add(refresh),
            State::Idle => None,
        };
    }

    /// A message with content came.
    pub fn handle_content(&mut self) {
        self.until = None;
    }

    /// The instant that `poll_timeout` named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
        }
    }

    /// When `handle_timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.until
    }

    /// What the other user does.
    #[must_use]
    pub fn state(&self) -> State {
        match self.until {
            Some(_) => State::Active,
            None => State::Idle,
        }
    }
}
