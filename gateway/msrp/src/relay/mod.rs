//! Clients of MSRP relays (RFC 4976 §5.1): authorisation, the path that it gives, and its renewal.
//!
//! A client that can be reached only through relays asks each of them with AUTH before a session, the outer ones through the inner
//! ones, and gets the URIs by which the session's messages go. [`crate::Command::Authorize`] does all of it on the connection to the
//! first relay, since the URIs hold on that connection alone; [`Client`] is the machine behind it.
//!
//! ```
//! use msrp::{Uri, relay::Grant};
//!
//! // RFC 4976 §5.1: A is behind the relays B and C.
//! let a: Uri = "msrps://a.example.com:7394/98cjs;tcp".parse()?;
//! let grant = Grant {
//!     use_path: "msrps://b.example.com:9000/jui787s2f;tcp msrps://c.example.com:9000/mywdEe1233;tcp".parse()?,
//!     expires: None,
//! };
//! // What A writes into its SDP `path`, and gives as `SessionParameters::local`.
//! assert_eq!(
//!     grant.offered_path(&a).to_string(),
//!     "msrps://c.example.com:9000/mywdEe1233;tcp msrps://b.example.com:9000/jui787s2f;tcp msrps://a.example.com:7394/98cjs;tcp"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{fmt, time::Instant};

use crate::{Path, Status, Uri};

mod client;
mod digest;

pub use client::{Client, Request};
pub use digest::{Algorithm, Challenge, ChallengeFault};

/// Relays in sequence at most.
pub const RELAYS: usize = 8;

/// Who we are to a relay. `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// What to ask which relays for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// Our own URI in the session: the last one of the SDP `path`. Each session needs an authorisation of its own
    /// (RFC 4976 §3.1).
    pub local: Uri,
    /// The relays, the one that the connection goes to first; [`RELAYS`] at most. Their URIs need no port and no session-id.
    pub relays: Vec<Uri>,
    /// Who we are to all of them.
    pub account: Account,
    /// How long the path should hold, in seconds; `None` leaves it to the relays.
    pub lifetime: Option<u64>,
    /// The weakest hash that credentials may be sent with. RFC 4976 knows only MD5.
    pub weakest: Algorithm,
    /// Ask relays whose URI is `msrp:` too. RFC 4976 §9.2 wants TLS towards every relay: for tests and closed networks.
    pub plaintext: bool,
}

/// The path that relays have given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The relays in the order of a To-Path: the nearest first.
    pub use_path: Path,
    /// When the first of its URIs ends, if the relays said so. The client asks again in time.
    pub expires: Option<Instant>,
}

impl Grant {
    /// The SDP `path` of a session through these relays, and [`crate::SessionParameters::local`]: the outermost relay first, our
    /// own URI last (RFC 4976 §5.1).
    #[must_use]
    pub fn offered_path(&self, local: &Uri) -> Path {
        let relays = self.use_path.hops().iter().rev();
        Path::of(relays.chain([local]).cloned()).unwrap_or_else(|| Path::single(local.clone()))
    }
}

/// The To-Path of requests between two ends that wrote these SDP paths: our relays, nearest first, then the peer's path
/// (RFC 4976 §5.1).
pub(crate) fn request_path(local: &Path, remote: &Path) -> Path {
    let relays = local.hops().iter().rev().skip(1);
    Path::of(relays.chain(remote.hops()).cloned()).unwrap_or_else(|| remote.clone())
}

/// Why there is no path through the relays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The parameters cannot be used: the reason.
    #[error("cannot ask: {0}")]
    Parameters(&'static str),
    /// The relay takes no credentials of ours, or wants a kind that we do not give.
    #[error("{relay} does not take the credentials: {why}")]
    Credentials {
        /// Which relay.
        relay: Uri,
        /// What is wrong.
        why: &'static str,
    },
    /// The relay answered with another error; 408 when it did not answer in time, [`Status::CONGESTED`] when the connection has as
    /// many authorisations as [`crate::Limits::sessions`] allows.
    #[error("{relay} answered {status}")]
    Answered {
        /// Which relay.
        relay: Uri,
        /// With what.
        status: Status,
    },
    /// The relay answered 200 and broke RFC 4976: the rule.
    #[error("{relay} is wrong: {rule}")]
    Relay {
        /// Which relay.
        relay: Uri,
        /// The broken rule.
        rule: &'static str,
    },
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All relays agreed; again after each renewal. If `use_path` differs from the one before, the peer needs a new offer
    /// (RFC 4976 §9.4).
    Granted(Grant),
    /// Some relay did not: the client is at its end, and a path that was granted before holds until it expires.
    Refused(Refusal),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(letters: &str) -> Path {
        Path::of(letters.chars().map(uri)).unwrap()
    }

    fn uri(letter: char) -> Uri {
        format!("msrps://{letter}.example.com:2855/{letter}{letter}{letter}{letter};tcp")
            .parse()
            .unwrap()
    }

    /// The four paths of the example in the section.
    #[test]
    fn rfc4976_5_1_paths() {
        let grant = Grant {
            use_path: path("bc"),
            expires: None,
        };
        let offered = grant.offered_path(&uri('a'));
        assert_eq!(offered, path("cba"));
        assert_eq!(request_path(&offered, &path("def")), path("bcdef"));
        assert_eq!(request_path(&path("a"), &path("f")), path("f"));
    }

    #[test]
    fn passwords_do_not_get_into_logs() {
        let account = Account {
            username: "alice".to_owned(),
            password: "secret".to_owned(),
        };
        assert_eq!(format!("{account:?}"), "Account { username: \"alice\", .. }");
    }
}
