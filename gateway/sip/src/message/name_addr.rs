//! Addresses with a display name and parameters (RFC 3261 §20.10).

use std::{fmt, str::FromStr};

use super::{Rejection, Uri, lex};

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
        let text = lex::trim(text);
        if text.starts_with('"') {
            let (name, rest) =
                lex::read_quoted(text).ok_or(Rejection::bad("Unclosed quoted string (RFC 3261 §25.1)"))?;
            let rest = lex::trim(rest).strip_prefix('<').ok_or(Rejection::bad(
                "Display name without an address in angle brackets (RFC 3261 §25.1)",
            ))?;
            return read_bracketed(Some(name), rest);
        }
        match text.split_once('<') {
            Some((name, rest)) => read_bracketed(read_plain_name(lex::trim(name))?, rest),
            None => read_bare(text),
        }
    }
}

/// A display name without quotes: tokens between spaces. Letters beyond ASCII are let through, as peers send them.
fn read_plain_name(name: &str) -> Result<Option<String>, Rejection> {
    let fine = name
        .bytes()
        .all(|octet| lex::is_token_byte(octet) || matches!(octet, b' ' | b'\t') || !octet.is_ascii());
    if !fine {
        return Err(Rejection::bad("Display name needs quotes (RFC 3261 §25.1)"));
    }
    Ok((!name.is_empty()).then(|| name.to_owned()))
}

fn read_bracketed(display_name: Option<String>, rest: &str) -> Result<NameAddr, Rejection> {
    let (uri, rest) = rest
        .split_once('>')
        .ok_or(Rejection::bad("Unclosed angle bracket (RFC 3261 §25.1)"))?;
    let rest = lex::trim(rest);
    let parameters = match rest.strip_prefix(';') {
        Some(parameters) => lex::read_parameters(parameters)?,
        None if rest.is_empty() => Vec::new(),
        None => return Err(Rejection::bad("Text behind an address (RFC 3261 §25.1)")),
    };
    Ok(NameAddr {
        display_name,
        uri: uri.parse()?,
        parameters,
    })
}

/// Without brackets all parameters are the header's, and a URI that has a comma, question mark or semicolon needs them (RFC 3261 §20).
fn read_bare(text: &str) -> Result<NameAddr, Rejection> {
    let (uri, parameters) = match text.split_once(';') {
        Some((uri, parameters)) => (lex::trim(uri), lex::read_parameters(parameters)?),
        None => (text, Vec::new()),
    };
    let ambiguous = uri.contains(['?', ','])
        || (!uri.contains('@')
            && parameters.iter().any(|(_, value)| {
                value
                    .as_ref()
                    .is_some_and(|value| !value.starts_with('"') && value.contains('@'))
            }));
    if ambiguous {
        return Err(Rejection::bad("URI needs angle brackets (RFC 3261 §20)"));
    }
    Ok(NameAddr {
        display_name: None,
        uri: uri.parse()?,
        parameters,
    })
}
