//! `accept-types`, `accept-wrapped-types` (RFC 4975 §8.6) and `max-size` (§8.6).

use std::{fmt, str::FromStr};

use super::SdpFault;

/// `a=accept-types` and `a=accept-wrapped-types`: media types compared without case, `*` for all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AcceptTypes(pub Vec<String>);

impl AcceptTypes {
    /// Reads the attribute's value.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        Self(value.split_ascii_whitespace().map(str::to_owned).collect())
    }
    /// Whether a media type (parameters ignored) is accepted: listed, `type/*`, or `*`.
    #[must_use]
    pub fn accepts(&self, media_type: &str) -> bool {
        let bare = without_parameters(media_type);
        self.0
            .iter()
            .map(|listed| without_parameters(listed))
            .any(|listed| match listed.strip_suffix('*') {
                Some("") => true,
                Some(family) if family.ends_with('/') => bare
                    .get(..family.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(family)),
                _ => bare.eq_ignore_ascii_case(listed),
            })
    }
}

impl fmt::Display for AcceptTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// `a=max-size` (RFC 4975 §8.6): the octets of the longest message that its writer wishes to receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MaxSize(pub u64);

impl MaxSize {
    /// Whether a message of so many octets should be sent.
    #[must_use]
    pub const fn allows(self, octets: u64) -> bool {
        octets <= self.0
    }
}

impl FromStr for MaxSize {
    type Err = SdpFault;
    /// A number beyond 64 bits is read as the largest.
    fn from_str(value: &str) -> Result<Self, SdpFault> {
        let value = value.trim();
        if value.is_empty() || !value.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(SdpFault("RFC 4975 §8.6: max-size"));
        }
        Ok(Self(value.parse().unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for MaxSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn without_parameters(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Rows: C7701-03, C4975-33
    #[test]
    fn rfc4975_8_6_accept_types() {
        for (value, media_type, accepted) in [
            ("message/cpim", "message/cpim", true),
            ("Message/CPIM text/plain", "message/cpim; charset=utf-8", true),
            ("message/cpim", "text/plain", false),
            ("*", "text/plain", true),
            ("text/*", "Text/HTML;charset=utf-8", true),
            ("text/*", "message/cpim", false),
            ("text/plain;charset=utf-8", "text/plain", true),
            ("text/plai*", "text/plain", false),
            ("", "text/plain", false),
        ] {
            assert_eq!(
                AcceptTypes::parse(value).accepts(media_type),
                accepted,
                "{value} {media_type}"
            );
        }
        assert_eq!(AcceptTypes::parse(" a/b  c/d ").to_string(), "a/b c/d");
    }

    // Rows: C4975-34
    #[test]
    fn rfc4975_8_6_max_size() {
        for (value, size) in [
            ("0", Some(0)),
            ("65536", Some(65_536)),
            (" 1 ", Some(1)),
            ("18446744073709551616", Some(u64::MAX)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1k", None),
        ] {
            let read = value.parse().ok();
            assert_eq!(read, size.map(MaxSize), "{value}");
        }
        let size = MaxSize(10);
        assert!(size.allows(10) && !size.allows(11));
        assert_eq!(size.to_string(), "10");
    }
}
