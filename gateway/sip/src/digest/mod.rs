//! Digest authentication (RFC 7616, RFC 8760, RFC 3261 §22), both sides.
//!
//! The client reads challenges, takes the strongest that it can answer ([`strongest`]) and answers it ([`Challenge::answer`]); the
//! server issues challenges and checks answers ([`Authority`]). `-sess` algorithms and hashed user names are not offered and not
//! answered: RFC 8760 needs neither.

mod authority;
mod client;
mod parameters;

use std::fmt;

use md5::Md5;
use sha2::{Digest as _, Sha256, Sha512_256};

pub use self::{
    authority::{Authority, AuthorityLimits, Verdict},
    client::{Asked, Challenge, strongest},
};

/// A hash algorithm, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// `MD5`, for peers that know no other.
    Md5,
    /// `SHA-256`.
    Sha256,
    /// `SHA-512-256`.
    Sha512_256,
}

/// What an answer protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qop {
    /// Method and URI.
    Auth,
    /// Also the body.
    AuthInt,
}

/// A password. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl Algorithm {
    /// As it is called in headers (RFC 7616 §6.1).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512_256 => "SHA-512-256",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Md5, Self::Sha256, Self::Sha512_256]
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The hash of `octets` in lower-case hexadecimal digits.
    fn hex(self, octets: &[u8]) -> String {
        match self {
            Self::Md5 => hex(&Md5::digest(octets)),
            Self::Sha256 => hex(&Sha256::digest(octets)),
            Self::Sha512_256 => hex(&Sha512_256::digest(octets)),
        }
    }

    /// The hash that stands for a password in one realm: `H(username:realm:password)` (RFC 7616 §3.4.2).
    #[must_use]
    pub fn secret(self, username: &str, realm: &str, password: &Password) -> String {
        self.hex(format!("{username}:{realm}:{}", password.0).as_bytes())
    }
}

impl Qop {
    fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Auth, Self::AuthInt]
            .into_iter()
            .find(|qop| qop.name().eq_ignore_ascii_case(name))
    }
}

/// What the response is computed from besides the secret (RFC 7616 §3.4.1).
struct Input<'a> {
    method: &'a str,
    uri: &'a str,
    body: &'a [u8],
    nonce: &'a str,
    /// Protection, nonce count as written and client nonce; `None` as RFC 2069 had it.
    protection: Option<(Qop, &'a str, &'a str)>,
}

impl Input<'_> {
    fn response(&self, algorithm: Algorithm, secret: &str) -> String {
        let Self {
            method,
            uri,
            body,
            nonce,
            ..
        } = self;
        let request = match self.protection {
            Some((Qop::AuthInt, ..)) => format!("{method}:{uri}:{}", algorithm.hex(body)),
            Some((Qop::Auth, ..)) | None => format!("{method}:{uri}"),
        };
        let request = algorithm.hex(request.as_bytes());
        let text = match self.protection {
            Some((qop, count, cnonce)) => {
                format!("{secret}:{nonce}:{count}:{cnonce}:{}:{request}", qop.name())
            }
            None => format!("{secret}:{nonce}:{request}"),
        };
        algorithm.hex(text.as_bytes())
    }
}

fn hex(octets: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    octets
        .iter()
        .flat_map(|octet| [octet >> 4, octet & 15])
        .filter_map(|digit| DIGITS.get(usize::from(digit)))
        .collect()
}
