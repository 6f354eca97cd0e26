//! Addresses with a display name and parameters (RFC 3261 §20.10).

use std::{borrow::Cow, fmt, str::FromStr};

use super::{Rejection, Uri, lex, uri};

/// `"Display" <uri>;parameters` as in From, To, Contact, Refer-To, Route.
///
/// Written always with angle brackets, the display name quoted. Parameter values are kept as written, quotes included; a value set by
/// hand that is neither a token nor a quoted string is quoted when written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name, unquoted. A peer may have put any character in it, control characters too.
    pub display_name: Option<String>,
    /// The URI.
    pub uri: Uri,
    /// Header parameters as written.
    pub parameters: Vec<(String, Option<String>)>,
}

impl NameAddr {
    /// Without display name and parameters.
    #[must_use]
    pub fn new(uri: Uri) -> Self {
        Self {
            display_name: None,
            uri,
            parameters: Vec::new(),
        }
    }

    /// A header parameter's value (`Some("")` if it has none). Names without case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        lex::find_parameter(&self.parameters, name)
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.display_name {
            write!(f, "{} ", lex::quote(name))?;
        }
        write!(f, "<{}>", self.uri)?;
        lex::write_parameters(f, &self.parameters)
    }
}

impl FromStr for NameAddr {
    type Err = Rejection;
    fn from_str(text: &str) -> Result<Self, Rejection> {
        let parts = Parts::read(text)?;
        Ok(Self {
            display_name: parts.display_name.map(Cow::into_owned),
            uri: parts.uri.into_uri(parts.uri_text),
            parameters: lex::read_parameters(parts.parameters)?,
        })
    }
}

/// The `tag` of an address that the validator has seen, without another look at its URI; `Some("")` if it has no value.
pub(crate) fn tag_of(address: &str) -> Option<&str> {
    let (_, parameters) = lex::split_once_outside(address, b';')?;
    lex::parameters(Some(parameters))
        .flatten()
        .find(|(name, _)| name.eq_ignore_ascii_case("tag"))
        .map(|(_, value)| value.unwrap_or_default())
}

/// An address taken apart before anything of it is copied.
pub(super) struct Parts<'a> {
    display_name: Option<Cow<'a, str>>,
    uri_text: &'a str,
    uri: uri::Parts<'a>,
    /// Behind the first semicolon; not yet looked at.
    parameters: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Result<Self, Rejection> {
        let text = lex::trim(text);
        let parts = if text.starts_with('"') {
            let (name, rest) =
                lex::read_quoted(text).ok_or(Rejection::bad("Unclosed quoted string (RFC 3261 §25.1)"))?;
            let rest = lex::trim(rest).strip_prefix('<').ok_or(Rejection::bad(
                "Display name without an address in angle brackets (RFC 3261 §25.1)",
            ))?;
            Self::read_bracketed(Some(name), rest)?
        } else {
            match lex::split_once(text, b'<') {
                Some((name, rest)) => Self::read_bracketed(read_plain_name(lex::trim(name))?, rest)?,
                None => Self::read_bare(text)?,
            }
        };
        Ok(parts)
    }

    /// Whether all is well formed, and the value of `tag`; `Some("")` if it has none.
    pub(super) fn check(text: &'a str) -> Result<Option<&'a str>, Rejection> {
        let mut tag = None;
        for parameter in lex::parameters(Self::read(text)?.parameters) {
            let (name, value) = parameter?;
            if tag.is_none() && name.eq_ignore_ascii_case("tag") {
                tag = Some(value.unwrap_or_default());
            }
        }
        Ok(tag)
    }

    fn read_bracketed(display_name: Option<Cow<'a, str>>, rest: &'a str) -> Result<Self, Rejection> {
        let (uri_text, rest) = lex::split_once_far(rest, b'>')
            .ok_or(Rejection::bad("Unclosed angle bracket (RFC 3261 §25.1)"))?;
        let rest = lex::trim(rest);
        let parameters = rest.strip_prefix(';');
        if parameters.is_none() && !rest.is_empty() {
            return Err(Rejection::bad("Text behind an address (RFC 3261 §25.1)"));
        }
        Ok(Self {
            display_name,
            uri_text,
            uri: uri::Parts::read(uri_text)?,
            parameters,
        })
    }

    /// Without brackets all parameters are the header's, and a URI that has a comma, question mark or semicolon needs them (RFC 3261 §20).
    fn read_bare(text: &'a str) -> Result<Self, Rejection> {
        let (uri_text, parameters) = match lex::split_once(text, b';') {
            Some((uri, parameters)) => (lex::trim(uri), Some(parameters)),
            None => (text, None),
        };
        let hides_user = |value: &str| !value.starts_with('"') && value.contains('@');
        let ambiguous = uri_text.contains(['?', ','])
            || !uri_text.contains('@')
                && lex::parameters(parameters)
                    .flatten()
                    .any(|(_, value)| value.is_some_and(hides_user));
        if ambiguous {
            return Err(Rejection::bad("URI needs angle brackets (RFC 3261 §20)"));
        }
        Ok(Self {
            display_name: None,
            uri_text,
            uri: uri::Parts::read(uri_text)?,
            parameters,
        })
    }
}

/// A display name without quotes: tokens between spaces. Letters beyond ASCII are let through, as peers send them.
fn read_plain_name(name: &str) -> Result<Option<Cow<'_, str>>, Rejection> {
    let fine = name
        .bytes()
        .all(|octet| lex::is_token_byte(octet) || matches!(octet, b' ' | b'\t') || !octet.is_ascii());
    if !fine {
        return Err(Rejection::bad("Display name needs quotes (RFC 3261 §25.1)"));
    }
    Ok((!name.is_empty()).then_some(Cow::Borrowed(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_what_the_whole_address_has() {
        for (address, tag) in [
            ("<sip:romeo@example.com>;tag=a1", Some("a1")),
            ("sip:romeo@example.com;tag=a1", Some("a1")),
            ("sip:romeo@example.com ; x=1 ; TAG = a1;tag=b2", Some("a1")),
            ("<sip:romeo@example.com;tag=no>", None),
            ("<sip:romeo@example.com;tag=no>;tag=yes", Some("yes")),
            ("\"a;tag=no <\" <sip:romeo@example.com>;tag=yes", Some("yes")),
            ("\"\\\";tag=no\" <sip:ro;tag=no@example.com>;tag=yes", Some("yes")),
            ("<sip:romeo@example.com>;x=\";tag=no\";tag=yes", Some("yes")),
            ("Romeo <sip:romeo@example.com>;tag", Some("")),
            ("Romeo <tel:+15551234;tag=no>", None),
        ] {
            let whole: NameAddr = address.parse().unwrap();
            assert_eq!((tag_of(address), whole.parameter("tag")), (tag, tag), "{address}");
        }
    }
}
