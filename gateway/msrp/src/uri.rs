//! `msrp:` and `msrps:` URIs, paths and identifiers (RFC 4975 §6, §9).

use std::{fmt, str::FromStr};

use rand_chacha::ChaCha12Rng;

/// An MSRP URI. Equality follows RFC 4975 §6.1: scheme and host without case, addresses as addresses, port with its
/// default, session-id with case, transport without case; other parameters and userinfo do not count.
#[derive(Debug, Clone)]
pub struct Uri {
    // private fields: secure, userinfo, host, port, session, transport, parameters
    text: String,
}

impl Uri {
    /// `msrp[s]://host:port/session;tcp`, the form in which one's own path is offered. `host` is a name or an address; an IPv6
    /// address is bracketed here.
    #[must_use]
    pub fn new(_secure: bool, _host: &str, _port: u16, _session: &SessionId) -> Self {
        todo!()
    }
    /// Whether the scheme is `msrps`.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        todo!()
    }
    /// The host without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        todo!()
    }
    /// The port, if one is written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        todo!()
    }
    /// The session-id, if one is written; a relay's URI has none.
    #[must_use]
    pub fn session(&self) -> Option<&SessionId> {
        todo!()
    }
}

impl PartialEq for Uri {
    fn eq(&self, _other: &Self) -> bool {
        todo!()
    }
}
impl Eq for Uri {}
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl FromStr for Uri {
    type Err = UriFault;
    fn from_str(_s: &str) -> Result<Self, UriFault> {
        todo!()
    }
}

/// Why a text is no MSRP URI or path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an MSRP URI: {0}")]
pub struct UriFault(pub &'static str);

/// A To-Path, From-Path or SDP `path`: one or more URIs, separated by one space. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<Uri>);

impl Path {
    /// A path of one hop.
    #[must_use]
    pub fn single(uri: Uri) -> Self {
        Self(vec![uri])
    }
    /// The first hop: where a connection is opened to.
    #[must_use]
    pub fn first(&self) -> &Uri {
        todo!()
    }
    /// The last hop: the endpoint.
    #[must_use]
    pub fn last(&self) -> &Uri {
        todo!()
    }
    /// All hops.
    #[must_use]
    pub fn hops(&self) -> &[Uri] {
        &self.0
    }
}
impl fmt::Display for Path {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
impl FromStr for Path {
    type Err = UriFault;
    fn from_str(_s: &str) -> Result<Self, UriFault> {
        todo!()
    }
}

/// The session-id of an MSRP URI. Generated ones carry 128 random bits (RFC 4975 §14.1 asks for 80).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(String);

impl SessionId {
    /// A fresh one from the caller's generator.
    pub fn random(_rng: &mut ChaCha12Rng) -> Self {
        todo!()
    }
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl FromStr for SessionId {
    type Err = UriFault;
    fn from_str(_s: &str) -> Result<Self, UriFault> {
        todo!()
    }
}

/// A Message-ID (RFC 4975 §9 `ident`: 4 to 32 characters).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(String);

impl MessageId {
    /// A fresh one with 128 random bits.
    pub fn random(_rng: &mut ChaCha12Rng) -> Self {
        todo!()
    }
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl FromStr for MessageId {
    type Err = UriFault;
    fn from_str(_s: &str) -> Result<Self, UriFault> {
        todo!()
    }
}
