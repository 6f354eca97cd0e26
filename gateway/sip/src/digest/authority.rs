//! Issuing challenges and checking answers.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha512_256};
use subtle::ConstantTimeEq as _;

use super::{Algorithm, Input, Qop, client::Asked, hex, parameters::Parameters};
use crate::message::lex::quote;

/// Octets of a user name.
const USERNAME_MAX: usize = 256;

/// Settings of an [`Authority`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityLimits {
    /// How long a nonce may be answered. Default 5 min.
    pub lifetime: Duration,
    /// Nonces in use whose counts are remembered; beyond it the oldest becomes stale. Default 10 000.
    pub nonces: usize,
}

impl Default for AuthorityLimits {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(300),
            nonces: 10_000,
        }
    }
}

/// What an answer is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The user has the password.
    Authentic {
        /// User name.
        username: String,
    },
    /// The password is right, but the nonce is too old or its count has been seen: challenge again with `stale`.
    Stale,
    /// Wrong, unreadable, or for another realm or URI: challenge again, or refuse.
    Refused,
}

/// The server's side of one realm.
///
/// A nonce says itself when it was issued and is sealed with the key, so that challenges cost no memory; only nonces that were answered
/// with the right password are remembered, for their counts.
#[derive(Debug)]
pub struct Authority {
    realm: String,
    key: [u8; 32],
    /// What challenges offer and answers may use, the strongest first.
    algorithms: Vec<Algorithm>,
    limits: AuthorityLimits,
    started: Instant,
    issued: u64,
    /// Highest count seen, by nonce number.
    counts: BTreeMap<u64, u32>,
    /// Nonces up to this number are stale: their counts are forgotten.
    forgotten: u64,
}

impl Authority {
    /// An authority over `realm`; nonces are sealed with `key`, which nobody else may know.
    #[must_use]
    pub fn new(realm: impl Into<String>, key: [u8; 32], limits: AuthorityLimits, now: Instant) -> Self {
        Self {
            realm: realm.into(),
            key,
            algorithms: vec![Algorithm::Sha512_256, Algorithm::Sha256, Algorithm::Md5],
            limits,
            started: now,
            issued: 0,
            counts: BTreeMap::new(),
            forgotten: 0,
        }
    }

    /// The same, with only these algorithms, the preferred first.
    #[must_use]
    pub fn offering(self, algorithms: Vec<Algorithm>) -> Self {
        Self { algorithms, ..self }
    }

    /// The values of the WWW-Authenticate or Proxy-Authenticate header fields, one for each algorithm that is offered.
    pub fn challenge(&mut self, stale: bool, now: Instant) -> Vec<String> {
        self.issued += 1;
        let age = now.saturating_duration_since(self.started).as_millis();
        let nonce = self.sealed(&format!("{age:x}.{:x}", self.issued));
        let stale = if stale { ", stale=true" } else { "" };
        self.algorithms
            .iter()
            .map(|algorithm| {
                format!(
                    "Digest realm={}, nonce=\"{nonce}\", algorithm={}, qop=\"auth,auth-int\"{stale}",
                    quote(&self.realm),
                    algorithm.name()
                )
            })
            .collect()
    }

    /// Checks the value of an Authorization or Proxy-Authorization header field. `secret` gives a user's [`Algorithm::secret`] for this
    /// realm. An answer without `qop` is refused: nothing would keep it from being replayed.
    pub fn check(
        &mut self,
        value: &str,
        asked: Asked<'_>,
        secret: impl FnOnce(&str, Algorithm) -> Option<String>,
        now: Instant,
    ) -> Verdict {
        self.read_and_check(value, asked, secret, now)
            .unwrap_or(Verdict::Refused)
    }

    fn read_and_check(
        &mut self,
        value: &str,
        asked: Asked<'_>,
        secret: impl FnOnce(&str, Algorithm) -> Option<String>,
        now: Instant,
    ) -> Option<Verdict> {
        let parameters = Parameters::read(value)?;
        let algorithm = match parameters.get("algorithm") {
            Some(name) => Algorithm::from_name(name)?,
            None => Algorithm::Md5,
        };
        if !self.algorithms.contains(&algorithm) {
            return None;
        }
        let username = parameters
            .get("username")
            .filter(|username| username.len() <= USERNAME_MAX)?;
        let (nonce, count, cnonce) = (
            parameters.get("nonce")?,
            parameters.get("nc")?,
            parameters.get("cnonce")?,
        );
        if parameters.get("realm")? != self.realm || parameters.get("uri")? != asked.uri {
            return None;
        }
        let input = Input {
            method: asked.method,
            uri: asked.uri,
            body: asked.body,
            nonce,
            protection: Some((Qop::from_name(parameters.get("qop")?)?, count, cnonce)),
        };
        let number = self.unsealed(nonce)?;
        // Of an unknown user no less is computed than of a known one.
        let known = secret(username, algorithm);
        let expected = input.response(algorithm, known.as_deref().unwrap_or_default());
        let right = expected
            .as_bytes()
            .ct_eq(parameters.get("response")?.to_ascii_lowercase().as_bytes());
        if known.is_none() || !bool::from(right) {
            return None;
        }
        let count = (count.len() == 8)
            .then(|| u32::from_str_radix(count, 16).ok())
            .flatten()?;
        Some(if self.take_count(number, count, now) {
            Verdict::Authentic {
                username: username.to_owned(),
            }
        } else {
            Verdict::Stale
        })
    }

    /// Whether this count of a nonce is new and the nonce young enough; then it is used up, and every lower one with it.
    fn take_count(&mut self, (issued_at, number): (Duration, u64), count: u32, now: Instant) -> bool {
        let age = now
            .saturating_duration_since(self.started)
            .saturating_sub(issued_at);
        let seen = self.counts.get(&number).copied().unwrap_or(0);
        if age > self.limits.lifetime || number <= self.forgotten || count <= seen {
            return false;
        }
        self.counts.insert(number, count);
        if self.counts.len() > self.limits.nonces
            && let Some((oldest, _)) = self.counts.pop_first()
        {
            self.forgotten = self.forgotten.max(oldest);
        }
        true
    }

    /// When a nonce of ours was issued, and its number.
    fn unsealed(&self, nonce: &str) -> Option<(Duration, u64)> {
        let (content, _) = nonce.rsplit_once('.')?;
        let sealed = self.sealed(content);
        if !bool::from(sealed.as_bytes().ct_eq(nonce.as_bytes())) {
            return None;
        }
        let (age, number) = content.split_once('.')?;
        let age = Duration::from_millis(u64::from_str_radix(age, 16).ok()?);
        Some((age, u64::from_str_radix(number, 16).ok()?))
    }

    /// SHA-512/256 is not open to length extension, so that a keyed prefix is a sound seal.
    fn sealed(&self, content: &str) -> String {
        let mut hash = Sha512_256::new();
        hash.update(self.key);
        hash.update(content.as_bytes());
        format!("{content}.{}", hex(&hash.finalize()))
    }
}
