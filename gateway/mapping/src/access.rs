//! Who may use the gateway: lists of domains and addresses.

use crate::address::sip_domain;

/// A list of addresses and domains that are let in, and one of those that are not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessList {
    /// If not empty, only these are let in.
    pub allow: Vec<Pattern>,
    /// These are not, whatever else is said.
    pub deny: Vec<Pattern>,
}

/// Who may use the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// SIP users who call, by their addresses.
    pub callers: AccessList,
    /// XMPP users who invite or are invited, by their addresses.
    pub xmpp_users: AccessList,
    /// Rooms, by the JIDs of their multi-user chat service.
    pub rooms: AccessList,
    /// Whether callers may hide who they are (RFC 3323).
    pub anonymous: bool,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            callers: AccessList::default(),
            xmpp_users: AccessList::default(),
            rooms: AccessList::default(),
            anonymous: true,
        }
    }
}

/// `user@domain`, `domain`, or `*.domain` for every domain under it. Case is folded; no part of it is a regular expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    user: Option<String>,
    domain: String,
    under: bool,
}

/// A text that is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither `user@domain` nor `domain` nor `*.domain`")]
pub struct NoPattern;

impl AccessList {
    /// Whether an address, user part and domain, is let in.
    #[must_use]
    pub fn admits(&self, user: &str, domain: &str) -> bool {
        let (user, domain) = (user.to_lowercase(), sip_domain(&domain.to_lowercase()));
        let matches = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(&user, &domain));
        !matches(&self.deny) && (self.allow.is_empty() || matches(&self.allow))
    }
}

impl Pattern {
    /// Whether it is about this address, which is in lower case.
    pub(crate) fn matches(&self, user: &str, domain: &str) -> bool {
        let here = if self.under {
            domain
                .strip_suffix(self.domain.as_str())
                .is_some_and(|rest| rest.ends_with('.'))
        } else {
            domain == self.domain
        };
        here && self.user.as_ref().is_none_or(|wanted| wanted == user)
    }
}

impl std::str::FromStr for Pattern {
    type Err = NoPattern;
    fn from_str(text: &str) -> Result<Self, NoPattern> {
        let text = text.trim().to_lowercase();
        let (user, domain) = match text.rsplit_once('@') {
            Some((user, domain)) if !user.is_empty() && !user.contains([' ', ':']) => {
                (Some(user.to_owned()), domain)
            }
            Some(_) => return Err(NoPattern),
            None => (None, text.as_str()),
        };
        let (domain, under) = match domain.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (domain, false),
        };
        let plausible = !domain.is_empty()
            && !domain.starts_with('.')
            && !domain.contains(|c: char| c.is_whitespace() || "*/:;@<>".contains(c));
        if plausible {
            Ok(Self {
                user,
                domain: sip_domain(domain.trim_end_matches('.')),
                under,
            })
        } else {
            Err(NoPattern)
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.under {
            f.write_str("*.")?;
        }
        f.write_str(&self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(allow: &[&str], deny: &[&str]) -> AccessList {
        let read = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        AccessList {
            allow: read(allow),
            deny: read(deny),
        }
    }

    #[test]
    fn without_lists_everybody_is_let_in() {
        assert!(AccessList::default().admits("romeo", "example.org"));
    }

    #[test]
    fn who_is_denied_is_not_let_in_even_if_allowed() {
        let list = list(&["example.org", "*.example.net"], &["Tybalt@example.org"]);
        assert!(list.admits("romeo", "EXAMPLE.org"));
        assert!(list.admits("romeo", "sip.example.net"));
        assert!(!list.admits("romeo", "example.net"));
        assert!(!list.admits("romeo", "badexample.net"));
        assert!(!list.admits("tybalt", "example.org"));
        assert!(!list.admits("romeo", "example.com"));
    }

    #[test]
    fn internationalized_domains_are_the_same_however_they_are_written() {
        let list = list(&["bücher.example"], &[]);
        assert!(list.admits("romeo", "xn--bcher-kva.example"));
        assert!(list.admits("romeo", "BÜCHER.example"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "",
            "@example.org",
            "a b",
            "*",
            "*.",
            "user@",
            "sip:user@example.org",
            "a*.org",
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(NoPattern), "{text}");
        }
        for text in ["example.org", "*.example.org", "romeo@example.org"] {
            assert_eq!(text.parse::<Pattern>().unwrap().to_string(), text);
        }
    }
}
