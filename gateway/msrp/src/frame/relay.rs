//! The headers of RFC 4976 §7, read from those that [`Headers`] keeps as text.

use crate::Path;

use super::{Headers, header::number};

impl Headers {
    /// The value of a header that has no field of its own, by its name without case; the first if there are several.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&str> {
        let mut other = self.other.iter();
        other
            .find(|(present, _)| present.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The values of all headers of this name, in their order: a relay may offer several WWW-Authenticate.
    pub fn all_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.other
            .iter()
            .filter(move |(present, _)| present.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Use-Path (RFC 4976 §4.2), in the order of a To-Path; `None` if it is absent, twice there or no list of MSRP URIs.
    #[must_use]
    pub fn use_path(&self) -> Option<Path> {
        let mut values = self.all_named("Use-Path");
        let value = values.next()?;
        values.next().is_none().then(|| value.parse().ok()).flatten()
    }

    /// Expires (RFC 4976 §4.6) in seconds; `None` if it is absent or no number.
    #[must_use]
    pub fn expires(&self) -> Option<u64> {
        self.named("Expires").and_then(number)
    }

    /// Min-Expires and Max-Expires of a 423 (RFC 4976 §4.6) in seconds.
    #[must_use]
    pub fn expires_bounds(&self) -> (Option<u64>, Option<u64>) {
        let seconds = |name| self.named(name).and_then(number);
        (seconds("Min-Expires"), seconds("Max-Expires"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> Headers {
        Headers {
            other: lines
                .iter()
                .map(|(name, value)| (String::from(*name), String::from(*value)))
                .collect(),
            ..Headers::default()
        }
    }

    #[test]
    fn rfc4976_4_2_use_path() {
        let two =
            "msrps://intra.example.com:9000/jui787s2f;tcp msrps://extra.example.com:9000/mywdEe1233;tcp";
        for (lines, hops) in [
            (&[("Use-Path", two)][..], Some(2)),
            (&[("use-path", "msrps://a.example.com:1/x;tcp")], Some(1)),
            (&[], None),
            (&[("Use-Path", "")], None),
            (&[("Use-Path", "sip:a@b")], None),
            (&[("Use-Path", two), ("Use-Path", two)], None),
        ] {
            let read = headers(lines).use_path();
            assert_eq!(read.map(|path| path.hops().len()), hops, "{lines:?}");
        }
    }

    #[test]
    fn rfc4976_4_6_time_related_headers() {
        for (value, seconds) in [
            ("900", Some(900)),
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("", None),
        ] {
            assert_eq!(headers(&[("EXPIRES", value)]).expires(), seconds, "{value}");
            let bounds = headers(&[("Max-Expires", value), ("Min-Expires", "7")]).expires_bounds();
            assert_eq!(bounds, (Some(7), seconds), "{value}");
        }
    }
}
