//! Reading challenges and answering them.

use super::{Algorithm, Input, Password, Qop, parameters::Parameters};
use crate::message::lex::quote;

/// Octets of a realm, nonce or opaque that is still answered.
const TEXT_MAX: usize = 1024;

/// A Digest challenge that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// Whether the algorithm was named: an answer names it only then.
    named: bool,
    qop: Option<Qop>,
    stale: bool,
}

/// The request that is to be authenticated.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Method.
    pub method: &'a str,
    /// Request-URI, octet for octet as sent.
    pub uri: &'a str,
    /// Body, for `auth-int`.
    pub body: &'a [u8],
}

impl Challenge {
    /// Reads the value of a WWW-Authenticate or Proxy-Authenticate header field. `None` if it cannot be answered: another scheme, an
    /// unknown algorithm or protection, malformed.
    #[must_use]
    pub fn read(value: &str) -> Option<Self> {
        let parameters = Parameters::read(value)?;
        let text = |name: &str| {
            let value = parameters.get(name)?;
            (value.len() <= TEXT_MAX).then(|| value.to_owned())
        };
        let algorithm = match parameters.get("algorithm") {
            Some(name) => Algorithm::from_name(name)?,
            None => Algorithm::Md5,
        };
        // RFC 8760 §2.6: the body's protection is taken only where nothing else is offered, since proxies may change bodies.
        let qop = match parameters.get("qop") {
            Some(offered) => Some(
                offered
                    .split(',')
                    .filter_map(|name| Qop::from_name(name.trim()))
                    .min()?,
            ),
            None => None,
        };
        let stale = parameters
            .get("stale")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        Some(Self {
            realm: text("realm")?,
            nonce: text("nonce")?,
            opaque: match parameters.get("opaque") {
                Some(_) => Some(text("opaque")?),
                None => None,
            },
            algorithm,
            named: parameters.get("algorithm").is_some(),
            qop,
            stale,
        })
    }

    /// Whose password is asked for.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// What the server wants to see again.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// The hash algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The password was right and only the nonce too old: worth another answer (RFC 7616 §3.3).
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// The value of the Authorization or Proxy-Authorization header field. `count` says how often this nonce has been answered, this
    /// time included; `cnonce` is unguessable, without quotes.
    #[must_use]
    pub fn answer(
        &self,
        username: &str,
        password: &Password,
        asked: Asked<'_>,
        count: u32,
        cnonce: &str,
    ) -> String {
        let Asked { method, uri, body } = asked;
        // RFC 7616 §3.4: eight hexadecimal digits, hashed as written.
        let count = format!("{count:08x}");
        let input = Input {
            method,
            uri,
            body,
            nonce: &self.nonce,
            protection: self.qop.map(|qop| (qop, count.as_str(), cnonce)),
        };
        let secret = self.algorithm.secret(username, &self.realm, password);
        let response = input.response(self.algorithm, &secret);
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            quote(username),
            quote(&self.realm),
            quote(&self.nonce),
            quote(uri)
        );
        if self.named {
            value.push_str(&format!(", algorithm={}", self.algorithm.name()));
        }
        if let Some(qop) = self.qop {
            // RFC 7616 §3.4: neither is quoted here.
            value.push_str(&format!(
                ", qop={}, nc={count}, cnonce={}",
                qop.name(),
                quote(cnonce)
            ));
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(", opaque={}", quote(opaque)));
        }
        value
    }
}

/// The challenge with the strongest algorithm among the values of a response's header fields, for one realm (RFC 8760 §2.4).
pub fn strongest<'a>(values: impl IntoIterator<Item = &'a str>, realm: &str) -> Option<Challenge> {
    values
        .into_iter()
        .filter_map(Challenge::read)
        .filter(|challenge| challenge.realm == realm)
        // Of equals the first, which the server prefers.
        .reduce(|best, other| {
            if other.algorithm > best.algorithm {
                other
            } else {
                best
            }
        })
}
