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
    pub fn list<'a>(&'a self, name: &'a str) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        if is_list(name) {
            Box::new(
                self.fields(name)
                    .flat_map(|value| lex::split_outside(value, b',')),
            )
        } else {
            Box::new(self.fields(name))
        }
    }

    /// Appends.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.0.push(Header {
            name: name.into(),
            value: value.into(),
        });
    }

    /// How many fields of this name there are.
    pub(super) fn count(&self, name: &str) -> usize {
        self.fields(name).count()
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
        let (value, parameters) = match lex::split_once_outside(text, b';') {
            Some((value, parameters)) => (value, lex::read_parameters(parameters)?),
            None => (text, Vec::new()),
        };
        Ok(Self {
            value: lex::trim(value).to_owned(),
            parameters,
        })
    }
}

/// The name as this crate writes it: long and in the usual case if known, else as written.
pub(super) fn canonical_name(written: &str) -> Cow<'static, str> {
    let long = match written.as_bytes() {
        [letter] => COMPACT
            .iter()
            .find(|(compact, _)| compact.eq_ignore_ascii_case(letter))
            .map(|(_, long)| *long),
        _ => KNOWN
            .iter()
            .find(|known| known.eq_ignore_ascii_case(written))
            .copied(),
    };
    long.map_or_else(|| Cow::Owned(written.to_owned()), Cow::Borrowed)
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

/// The usual spelling of headers that the crate or its owners look at.
const KNOWN: [&str; 47] = [
    "Via",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Max-Forwards",
    "Contact",
    "Content-Type",
    "Content-Length",
    "Route",
    "Record-Route",
    "Allow",
    "Supported",
    "Require",
    "User-Agent",
    "Server",
    "Expires",
    "Event",
    "Subscription-State",
    "Accept",
    "Allow-Events",
    "Refer-To",
    "Referred-By",
    "Refer-Sub",
    "Reason",
    "Retry-After",
    "Min-Expires",
    "Warning",
    "Unsupported",
    "Proxy-Require",
    "Date",
    "Subject",
    "Timestamp",
    "Session-Expires",
    "Min-SE",
    "Replaces",
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Privacy",
    "Authorization",
    "WWW-Authenticate",
    "Proxy-Authorization",
    "Proxy-Authenticate",
    "Content-Disposition",
    "Content-Encoding",
    "Reply-To",
    "Path",
];

/// Headers whose values may be joined by commas (RFC 3261 §7.3.1; table 2 of §20 and later RFCs).
const LISTS: [&str; 33] = [
    "Via",
    "Contact",
    "Route",
    "Record-Route",
    "Allow",
    "Supported",
    "Require",
    "Accept",
    "Allow-Events",
    "Unsupported",
    "Proxy-Require",
    "Reason",
    "Warning",
    "Accept-Contact",
    "Accept-Encoding",
    "Accept-Language",
    "Alert-Info",
    "Call-Info",
    "Content-Encoding",
    "Content-Language",
    "Error-Info",
    "History-Info",
    "In-Reply-To",
    "P-Asserted-Identity",
    "P-Associated-URI",
    "P-Preferred-Identity",
    "Path",
    "Recv-Info",
    "Reject-Contact",
    "Request-Disposition",
    "Security-Client",
    "Security-Server",
    "Service-Route",
];

fn is_list(name: &str) -> bool {
    LISTS.iter().any(|list| list.eq_ignore_ascii_case(name))
}
