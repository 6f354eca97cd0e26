//! Header fields (RFC 3261 §7.3, §20).

use std::{borrow::Cow, fmt, str::FromStr};

use super::{Rejection, lex};

/// One header field: the long name for known compact ones, the value unfolded and trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Canonical name.
    pub name: Cow<'static, str>,
    /// Value.
    pub value: String,
}

/// Header fields in order.
///
/// Values may hold anything; what the grammar cannot carry (control characters, line ends) becomes a space when the message is written, so
/// that no value can begin another header. A field whose name is no token is not written at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers(pub Vec<Header>);

impl Headers {
    /// The first value of a header; names without case, long form.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields(name).next()
    }

    /// Every value of a header, in order; comma lists are split for the headers that are lists (RFC 3261 §7.3.1), quotes and
    /// angle brackets respected.
    pub fn list<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let separator = separator(name);
        self.fields(name)
            .flat_map(move |value| lex::pieces(value, separator))
    }

    /// Appends.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.0.push(Header {
            name: name.into(),
            value: value.into(),
        });
    }

    fn fields<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.0
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value.as_str())
    }
}

/// `value;name=value;…` as in Event, Subscription-State, Content-Type, Reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameterized {
    /// What stands before the first semicolon, trimmed.
    pub value: String,
    /// Parameters as written.
    pub parameters: Vec<(String, Option<String>)>,
}

impl Parameterized {
    /// A parameter's value as written (`Some("")` if it has none). Names without case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        lex::find_parameter(&self.parameters, name)
    }

    /// A parameter's value, quotes and their escapes removed.
    #[must_use]
    pub fn parameter_unquoted(&self, name: &str) -> Option<String> {
        self.parameter(name).map(lex::unquote)
    }
}

impl fmt::Display for Parameterized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value)?;
        lex::write_parameters(f, &self.parameters)
    }
}

impl FromStr for Parameterized {
    type Err = Rejection;
    fn from_str(text: &str) -> Result<Self, Rejection> {
        let (value, parameters) = split_value(text);
        Ok(Self {
            value: lex::trim(value).to_owned(),
            parameters: lex::read_parameters(parameters)?,
        })
    }
}

/// Whether a value reads as [`Parameterized`], without a copy of it.
pub(super) fn check_parameterized(text: &str) -> Result<(), Rejection> {
    let (_, parameters) = split_value(text);
    lex::parameters(parameters).try_for_each(|parameter| parameter.map(drop))
}

fn split_value(text: &str) -> (&str, Option<&str>) {
    match lex::split_once_outside(text, b';') {
        Some((value, parameters)) => (value, Some(parameters)),
        None => (text, None),
    }
}

/// The name as this crate writes it: long and in the usual case if known (then it is borrowed), else as written.
pub(super) fn canonical_name(written: &str) -> Cow<'static, str> {
    known_name(written).map_or_else(|| Cow::Owned(written.to_owned()), Cow::Borrowed)
}

fn known_name(written: &str) -> Option<&'static str> {
    match written.as_bytes() {
        [letter] => COMPACT
            .iter()
            .find(|(compact, _)| compact.eq_ignore_ascii_case(letter))
            .map(|(_, long)| *long),
        _ => known(written).map(|known| known.name),
    }
}

/// The values of one field: of a list its pieces.
pub(super) fn values<'a>(name: &str, field: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
    lex::pieces(field, separator(name))
}

/// What separates the values of a list.
fn separator(name: &str) -> Option<u8> {
    known(name).is_some_and(|known| known.list).then_some(b',')
}

/// Nearly everybody writes names as the RFCs do.
fn known(name: &str) -> Option<&'static Known> {
    exactly(name).or_else(|| KNOWN.iter().find(|known| known.name.eq_ignore_ascii_case(name)))
}

/// Compact forms (RFC 3261 §7.3.3 and the registry).
const COMPACT: [(u8, &str); 20] = [
    (b'a', "Accept-Contact"),
    (b'b', "Referred-By"),
    (b'c', "Content-Type"),
    (b'd', "Request-Disposition"),
    (b'e', "Content-Encoding"),
    (b'f', "From"),
    (b'i', "Call-ID"),
    (b'j', "Reject-Contact"),
    (b'k', "Supported"),
    (b'l', "Content-Length"),
    (b'm', "Contact"),
    (b'n', "Identity-Info"),
    (b'o', "Event"),
    (b'r', "Refer-To"),
    (b's', "Subject"),
    (b't', "To"),
    (b'u', "Allow-Events"),
    (b'v', "Via"),
    (b'x', "Session-Expires"),
    (b'y', "Identity"),
];

/// A header that the crate or its owners look at.
struct Known {
    /// Its usual spelling.
    name: &'static str,
    /// Whether commas may join its values (RFC 3261 §7.3.1; table 2 of §20 and later RFCs).
    list: bool,
}

const fn single(name: &'static str) -> Known {
    Known { name, list: false }
}

const fn list(name: &'static str) -> Known {
    Known { name, list: true }
}

macro_rules! known {
    ($($kind:ident $name:literal)*) => {
        const KNOWN: &[Known] = &[$($kind($name)),*];

        /// By the usual spelling.
        fn exactly(name: &str) -> Option<&'static Known> {
            match name {
                $($name => Some(const { &$kind($name) }),)*
                _ => None,
            }
        }
    };
}
known! {
    single "To"
    list "Via"
    single "From"
    single "CSeq"
    list "Path"
    single "Date"
    list "Route"
    list "Allow"
    single "Event"
    list "Accept"
    single "Server"
    list "Reason"
    single "Min-SE"
    single "Call-ID"
    list "Contact"
    list "Require"
    single "Expires"
    single "Subject"
    list "Warning"
    single "Privacy"
    single "Refer-To"
    single "Reply-To"
    single "Replaces"
    list "Supported"
    single "Refer-Sub"
    single "Timestamp"
    list "Recv-Info"
    list "Call-Info"
    single "User-Agent"
    list "Alert-Info"
    list "Error-Info"
    single "Referred-By"
    single "Retry-After"
    single "Min-Expires"
    list "Unsupported"
    list "In-Reply-To"
    single "Max-Forwards"
    single "Content-Type"
    list "Record-Route"
    list "Allow-Events"
    list "History-Info"
    single "Authorization"
    list "Proxy-Require"
    list "Service-Route"
    single "Content-Length"
    list "Accept-Contact"
    list "Reject-Contact"
    single "Session-Expires"
    list "Accept-Encoding"
    list "Accept-Language"
    list "Security-Client"
    list "Security-Server"
    single "WWW-Authenticate"
    list "Content-Encoding"
    list "Content-Language"
    list "P-Associated-URI"
    single "Subscription-State"
    single "Proxy-Authenticate"
    single "Content-Disposition"
    single "Proxy-Authorization"
    list "P-Asserted-Identity"
    list "Request-Disposition"
    list "P-Preferred-Identity"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_headers_are_found_in_either_case() {
        for known in KNOWN {
            for written in [known.name.to_owned(), known.name.to_ascii_uppercase()] {
                assert_eq!(known_name(&written), Some(known.name));
            }
        }
    }

    #[test]
    fn compact_names_are_read_in_either_case() {
        for (letter, long) in COMPACT {
            assert_eq!(known_name(&char::from(letter).to_string()), Some(long));
            assert_eq!(
                known_name(&char::from(letter).to_ascii_uppercase().to_string()),
                Some(long)
            );
        }
    }
}
