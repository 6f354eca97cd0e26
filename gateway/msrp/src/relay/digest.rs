//! HTTP Digest authentication (RFC 7616) as RFC 4976 §9.1 restricts it: `qop=auth` only, no session variants, no Basic.

use md5::Md5;
use sha2::{Digest, Sha256};

use super::Account;

/// The hash of a challenge, the weaker first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// What a challenge without `algorithm` means.
    Md5,
    /// RFC 7616 §6.1.
    Sha256,
}

impl Algorithm {
    const ALL: [Self; 2] = [Self::Md5, Self::Sha256];

    /// Its name in a header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// Lower-case hexadecimal digits of the hash of the parts, joined by colons.
    fn hash(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        match self {
            Self::Md5 => hexadecimal(&Md5::digest(text)),
            Self::Sha256 => hexadecimal(&Sha256::digest(text)),
        }
    }
}

/// A challenge that can be answered: the value of WWW-Authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Whose credentials are wanted.
    pub realm: String,
    /// To be used in the answer.
    pub nonce: String,
    /// To be returned as it is.
    pub opaque: Option<String>,
    /// The hash.
    pub algorithm: Algorithm,
    /// The credentials were right, only the nonce was too old.
    pub stale: bool,
}

/// Why a challenge cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no usable digest challenge: {0}")]
pub struct ChallengeFault(pub &'static str);

impl Challenge {
    /// Reads the value of a WWW-Authenticate header. A `domain` is ignored (RFC 4976 §9.1).
    ///
    /// # Errors
    /// Says which rule of RFC 4976 §9.1 the challenge breaks.
    pub fn parse(value: &str) -> Result<Self, ChallengeFault> {
        let value = value.trim_start();
        let scheme = value.split(' ').next().unwrap_or_default();
        if !scheme.eq_ignore_ascii_case("Digest") {
            return Err(ChallengeFault("RFC 4976 §9.1: a scheme other than Digest"));
        }
        let parameters = Parameters::parse(value.get(scheme.len()..).unwrap_or_default())
            .ok_or(ChallengeFault("RFC 4976 §7: digest-param"))?;
        let has_auth = parameters.get("qop").is_some_and(|qop| {
            qop.split(',')
                .any(|value| value.trim().eq_ignore_ascii_case("auth"))
        });
        if !has_auth {
            return Err(ChallengeFault("RFC 4976 §9.1: no qop `auth`"));
        }
        let named = parameters.get("algorithm").unwrap_or("MD5");
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|algorithm| named.eq_ignore_ascii_case(algorithm.as_str()))
            .ok_or(ChallengeFault("RFC 7616 §3.3: unknown algorithm"))?;
        let text = |name, rule| {
            parameters
                .get(name)
                .map(str::to_owned)
                .ok_or(ChallengeFault(rule))
        };
        Ok(Self {
            realm: text("realm", "RFC 7616 §3.3: no realm")?,
            nonce: text("nonce", "RFC 7616 §3.3: no nonce")?,
            opaque: parameters.get("opaque").map(str::to_owned),
            algorithm,
            stale: parameters
                .get("stale")
                .is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// Credentials for a request. `count` is how often the nonce has been used with this one.
    pub(super) fn answer(
        &self,
        account: &Account,
        method: &str,
        uri: &str,
        cnonce: &str,
        count: u32,
    ) -> Answer {
        let hash = |parts: &[&str]| self.algorithm.hash(parts);
        let secret = hash(&[&account.username, &self.realm, &account.password]);
        let count = format!("{count:08x}");
        let proof = |subject: &[&str]| {
            let subject = hash(subject);
            hash(&[&secret, &self.nonce, &count, cnonce, "auth", &subject])
        };
        let response = proof(&[method, uri]);
        let mut authorization = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, qop=auth, nc={count}, cnonce={}, response=\"{response}\", \
             algorithm={}",
            quoted(&account.username),
            quoted(&self.realm),
            quoted(&self.nonce),
            quoted(uri),
            quoted(cnonce),
            self.algorithm.as_str(),
        );
        if let Some(opaque) = &self.opaque {
            authorization.push_str(", opaque=");
            authorization.push_str(&quoted(opaque));
        }
        Answer {
            authorization,
            // RFC 7616 §3.5: as the response, with an empty method.
            expected: proof(&["", uri]),
        }
    }
}

/// Credentials, and what the relay proves that it knows them with.
pub(super) struct Answer {
    /// The value of Authorization.
    pub(super) authorization: String,
    /// `rspauth` of Authentication-Info.
    pub(super) expected: String,
}

/// Authentication-Info (RFC 4976 §4.5).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Info {
    pub(super) next_nonce: Option<String>,
    pub(super) proof: Option<String>,
}

impl Info {
    /// Reads the header's value; what cannot be read says nothing.
    pub(super) fn parse(value: &str) -> Self {
        let parameters = Parameters::parse(value).unwrap_or_default();
        Self {
            next_nonce: parameters.get("nextnonce").map(str::to_owned),
            proof: parameters.get("rspauth").map(str::to_owned),
        }
    }
}

/// `name=value` pairs between commas, values unquoted.
#[derive(Default)]
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn parse(text: &str) -> Option<Self> {
        let mut parameters = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=')?;
            let after = after.trim_start();
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => unquote(quoted)?,
                None => {
                    let end = after.find(',').unwrap_or(after.len());
                    let (token, after) = after.split_at(end);
                    (token.trim_end().to_owned(), after)
                }
            };
            parameters.push((name.trim().to_ascii_lowercase(), value));
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if after.is_empty() => after,
                None => return None,
            };
        }
        Some(Self(parameters))
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(present, _)| present == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Up to the closing quote, and what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut plain = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some((plain, characters.as_str())),
            '\\' => plain.push(characters.next()?),
            character => plain.push(character),
        }
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616 §3.9.1: the same request under both algorithms.
    #[test]
    fn rfc7616_3_9_1_the_example() {
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            (
                "SHA-256",
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let challenge = Challenge::parse(&format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            ))
            .unwrap();
            let account = Account {
                username: "Mufasa".to_owned(),
                password: "Circle of Life".to_owned(),
            };
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            let answer = challenge.answer(&account, "GET", "/dir/index.html", cnonce, 1);
            assert!(
                answer.authorization.contains(&format!("response=\"{response}\"")),
                "{}",
                answer.authorization
            );
            assert!(answer.authorization.contains("nc=00000001, "));
            assert!(
                answer
                    .authorization
                    .contains("opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"")
            );
        }
    }

    #[test]
    fn rfc4976_9_1_challenges() {
        let nonce = "nonce=\"n\"";
        for (value, fault) in [
            (format!("Digest realm=\"r\", qop=\"auth\", {nonce}"), None),
            (
                format!("digest realm=\"r\",qop=\"auth\",{nonce},algorithm=sha-256"),
                None,
            ),
            (
                format!("Digest realm=\"r\", qop=auth, {nonce}, domain=\"x\", stale=TRUE"),
                None,
            ),
            (format!("Digest realm=\"r\", qop=\"auth\", {nonce},"), None),
            (
                format!("Basic realm=\"r\", qop=\"auth\", {nonce}"),
                Some("RFC 4976 §9.1: a scheme other than Digest"),
            ),
            (
                format!("Digest realm=\"r\", qop=\"auth-int\", {nonce}"),
                Some("RFC 4976 §9.1: no qop `auth`"),
            ),
            (
                format!("Digest realm=\"r\", {nonce}"),
                Some("RFC 4976 §9.1: no qop `auth`"),
            ),
            (
                format!("Digest realm=\"r\", qop=\"auth\", {nonce}, algorithm=MD5-sess"),
                Some("RFC 7616 §3.3: unknown algorithm"),
            ),
            (
                format!("Digest qop=\"auth\", {nonce}"),
                Some("RFC 7616 §3.3: no realm"),
            ),
            (
                "Digest realm=\"r\", qop=\"auth\"".to_owned(),
                Some("RFC 7616 §3.3: no nonce"),
            ),
            (
                "Digest realm=\"r\", qop=\"auth".to_owned(),
                Some("RFC 4976 §7: digest-param"),
            ),
            (
                "Digest realm=\"r\" qop=\"auth\"".to_owned(),
                Some("RFC 4976 §7: digest-param"),
            ),
            ("Digest nothing".to_owned(), Some("RFC 4976 §7: digest-param")),
            (String::new(), Some("RFC 4976 §9.1: a scheme other than Digest")),
        ] {
            let read = Challenge::parse(&value);
            assert_eq!(read.err().map(|fault| fault.0), fault, "{value}");
        }
    }

    #[test]
    fn what_a_relay_wrote_into_its_challenge_cannot_end_a_quoted_string() {
        let challenge =
            Challenge::parse(r#"Digest realm="a\", response=\"x", nonce="n\\", qop="auth""#).unwrap();
        assert_eq!(challenge.realm, r#"a", response="x"#);
        let account = Account {
            username: "\"".to_owned(),
            password: String::new(),
        };
        let answer = challenge.answer(&account, "AUTH", "msrps://r;tcp", "c", 1);
        let read = Parameters::parse(answer.authorization.strip_prefix("Digest").unwrap()).unwrap();
        assert_eq!(read.get("realm"), Some(challenge.realm.as_str()));
        assert_eq!(read.get("nonce"), Some(r"n\"));
        assert_eq!(read.get("username"), Some("\""));
        assert_eq!(read.get("response").map(str::len), Some(32));
    }

    #[test]
    fn rfc4976_4_5_authentication_info() {
        let info = "nextnonce=\"40f2e879\",rspauth=\"7327570c\", cnonce=\"0a4f113b\", nc=00000001, qop=auth";
        assert_eq!(
            Info::parse(info),
            Info {
                next_nonce: Some("40f2e879".to_owned()),
                proof: Some("7327570c".to_owned()),
            }
        );
        assert_eq!(Info::parse("nextnonce=\"open"), Info::default());
    }
}
