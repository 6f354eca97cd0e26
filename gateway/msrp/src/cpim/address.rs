//! From and To (RFC 3862 §4.1, §4.2).

use super::{
    CpimFault,
    escape::{quote, unescape},
};

/// An address header: an optional display name and a URI as text, `gr` moved inside it if it stood outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Display name, unescaped.
    pub display_name: Option<String>,
    /// The URI without angle brackets.
    pub uri: String,
}

impl Address {
    /// `[Formal-name] <URI>`, also without the brackets, and with `;gr=` behind them.
    pub(super) fn parse(value: &str) -> Result<Self, CpimFault> {
        let value = value.trim();
        let (name, rest) = display_name(value)?;
        let rest = rest.trim_start();
        let Some(bracketed) = rest.strip_prefix('<') else {
            return Ok(Self {
                display_name: name,
                uri: uri(rest)?,
            });
        };
        let (inside, outside) = bracketed
            .split_once('>')
            .ok_or(CpimFault("RFC 3862 §4.1: `<` without `>` in an address"))?;
        Ok(Self {
            display_name: name,
            uri: with_gr(uri(inside.trim())?, outside),
        })
    }

    /// `"name" <URI>`; what may not stand in a URI is percent-encoded.
    pub(super) fn to_header(&self) -> String {
        let mut header = match &self.display_name {
            Some(name) if !name.is_empty() => format!("{} <", quote(name)),
            _ => String::from("<"),
        };
        for octet in self.uri.bytes() {
            if octet.is_ascii_graphic() && !b"<>\"\\".contains(&octet) {
                header.push(char::from(octet));
            } else {
                header.push_str(&format!("%{octet:02X}"));
            }
        }
        header.push('>');
        header
    }
}

/// The name, quoted or in bare words, and what follows it.
fn display_name(value: &str) -> Result<(Option<String>, &str), CpimFault> {
    if let Some(quoted) = value.strip_prefix('"') {
        let end =
            closing_quote(quoted).ok_or(CpimFault("RFC 3862 §3.6: a string without its closing quote"))?;
        let (name, rest) = quoted.split_at(end);
        return Ok((some_name(unescape(name)), rest.get(1..).unwrap_or_default()));
    }
    match value.find('<') {
        Some(bracket) => {
            let (name, rest) = value.split_at(bracket);
            Ok((some_name(unescape(name.trim())), rest))
        }
        None => Ok((None, value)),
    }
}

fn some_name(name: String) -> Option<String> {
    (!name.is_empty()).then_some(name)
}

/// Position of the first quote that no backslash escapes.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|octet| {
        let closes = octet == b'"' && !escaped;
        escaped = octet == b'\\' && !escaped;
        closes
    })
}

fn uri(text: &str) -> Result<String, CpimFault> {
    let has_scheme = text.split_once(':').is_some_and(|(scheme, rest)| {
        !rest.is_empty()
            && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet))
    });
    let sound = text.chars().all(|character| {
        character.is_ascii_graphic() || !(character.is_whitespace() || character.is_control())
    });
    if has_scheme && sound && !text.contains(['<', '>', '"']) {
        Ok(text.to_owned())
    } else {
        Err(CpimFault("RFC 3862 §3.6: no absolute URI in an address"))
    }
}

/// RFC 7702 §5.6 prints the GRUU parameter outside the brackets, where RFC 3862 allows nothing.
fn with_gr(uri: String, outside: &str) -> String {
    let is_gr = |parameter: &&str| {
        let name = parameter.split('=').next().unwrap_or_default();
        name.eq_ignore_ascii_case("gr") && parameter.bytes().all(|octet| octet.is_ascii_graphic())
    };
    let mut parameters = outside.trim().split(';').skip(1).map(str::trim);
    let Some(gr) = parameters.find(is_gr) else {
        return uri;
    };
    let (address, headers) = match uri.split_once('?') {
        Some((address, headers)) => (address, Some(headers)),
        None => (uri.as_str(), None),
    };
    if address.split(';').skip(1).any(|parameter| is_gr(&parameter)) {
        return uri;
    }
    match headers {
        Some(headers) => format!("{address};{gr}?{headers}"),
        None => format!("{address};{gr}"),
    }
}
