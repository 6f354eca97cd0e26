//! Tokens, quoted strings, lists, parameters and escapes of RFC 3261 §25.1.

use std::{borrow::Cow, ops::Range};

use super::Rejection;

/// A name with an optional value, as in `;name=value`; the value as written.
pub(super) type Parameter = (String, Option<String>);

/// A set of octets, asked without a branch.
pub(super) struct Octets([bool; 256]);

impl Octets {
    /// Letters, digits and these.
    #[expect(
        clippy::indexing_slicing,
        reason = "evaluated by the compiler, where iterators cannot be; an octet is a place of the table"
    )]
    pub(super) const fn alphanumeric_and(others: &[u8]) -> Self {
        let mut table = [false; 256];
        let mut octet = 0;
        while octet < 256 {
            table[octet] = (octet as u8).is_ascii_alphanumeric();
            octet += 1;
        }
        let mut place = 0;
        while place < others.len() {
            table[others[place] as usize] = true;
            place += 1;
        }
        Self(table)
    }

    pub(super) fn has(&self, octet: u8) -> bool {
        self.0.get(usize::from(octet)).copied().unwrap_or_default()
    }

    fn has_all(&self, text: &str) -> bool {
        text.bytes().all(|octet| self.has(octet))
    }
}

const TOKEN: Octets = Octets::alphanumeric_and(b"-.!%*_+`'~");
/// Underscores, too, which hosts on private networks have.
pub(super) const HOST: Octets = Octets::alphanumeric_and(b"-._");
/// Visible ASCII characters that end no parameter value.
const VALUE: Octets = Octets::alphanumeric_and(b"!#$%&'()*+-./:=?@[\\]^_`{|}~");

/// Whether an octet may stand in a token.
pub(super) fn is_token_byte(octet: u8) -> bool {
    TOKEN.has(octet)
}

/// Whether a text is a token.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && TOKEN.has_all(text)
}

/// Without spaces and tabs at both ends.
pub(super) fn trim(text: &str) -> &str {
    let start = text.bytes().take_while(is_blank).count();
    trim_end(text.get(start..).unwrap_or_default())
}

/// Without spaces and tabs at the end.
pub(super) fn trim_end(text: &str) -> &str {
    let blanks = text.bytes().rev().take_while(is_blank).count();
    text.get(..text.len() - blanks).unwrap_or_default()
}

/// Whether a control character is in a text, also one beyond ASCII.
pub(super) fn has_control(text: &str) -> bool {
    // Most texts have none: all octets are looked at without a branch.
    let suspicious = text.bytes().fold(false, |found, octet| {
        found | octet.is_ascii_control() | !octet.is_ascii()
    });
    suspicious && text.contains(char::is_control)
}

/// Whether white space of any script is in a text.
pub(super) fn has_space(text: &str) -> bool {
    text.bytes().any(|octet| matches!(octet, b'\t'..=b'\r' | b' '))
        || (!text.is_ascii() && text.contains(char::is_whitespace))
}

fn is_blank(octet: &u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// What stands before and behind the first of this ASCII octet. It is mostly near: to prepare a wide search would cost more than it saves.
pub(super) fn split_once(text: &str, separator: u8) -> Option<(&str, &str)> {
    split_where(text, |octet| octet == separator)
}

/// The same where it is mostly far.
pub(super) fn split_once_far(text: &str, separator: u8) -> Option<(&str, &str)> {
    split_at_octet(text, memchr::memchr(separator, text.as_bytes())?)
}

/// What stands before and behind the first space or tab.
pub(super) fn split_blank(text: &str) -> Option<(&str, &str)> {
    split_where(text, |octet| is_blank(&octet))
}

fn split_where(text: &str, is_separator: impl Fn(u8) -> bool) -> Option<(&str, &str)> {
    split_at_octet(text, text.bytes().position(is_separator)?)
}

fn split_at_octet(text: &str, place: usize) -> Option<(&str, &str)> {
    let (before, behind) = text.split_at_checked(place)?;
    Some((before, behind.get(1..)?))
}

/// The place of the first `separator` outside quoted strings and angle brackets.
fn find_outside(text: &str, separator: u8) -> Option<usize> {
    let octets = text.as_bytes();
    let mut from = 0;
    loop {
        let place = from + memchr::memchr3(separator, b'"', b'<', octets.get(from..)?)?;
        from = match octets.get(place)? {
            b'"' => behind_quotes(octets, place + 1)?,
            b'<' => behind_brackets(octets, place + 1)?,
            _ => return Some(place),
        };
    }
}

/// Behind the quote that closes a string, which may stand within angle brackets.
fn behind_quotes(octets: &[u8], mut from: usize) -> Option<usize> {
    loop {
        let place = from + memchr::memchr2(b'"', b'\\', octets.get(from..)?)?;
        if octets.get(place) == Some(&b'"') {
            return Some(place + 1);
        }
        from = place + 2;
    }
}

fn behind_brackets(octets: &[u8], mut from: usize) -> Option<usize> {
    loop {
        let place = from + memchr::memchr2(b'>', b'"', octets.get(from..)?)?;
        if octets.get(place) == Some(&b'>') {
            return Some(place + 1);
        }
        from = behind_quotes(octets, place + 1)?;
    }
}

/// What stands before and behind the first `separator` outside quoted strings and angle brackets.
pub(super) fn split_once_outside(text: &str, separator: u8) -> Option<(&str, &str)> {
    split_at_octet(text, find_outside(text, separator)?)
}

/// The trimmed pieces between separators outside quoted strings and angle brackets.
pub(crate) fn split_outside(text: &str, separator: u8) -> Pieces<'_> {
    pieces(text, Some(separator))
}

/// The same; without a separator the text alone, as it is.
pub(super) fn pieces(text: &str, separator: Option<u8>) -> Pieces<'_> {
    Pieces {
        rest: Some(text),
        separator,
    }
}

/// The pieces of a list.
pub(crate) struct Pieces<'a> {
    rest: Option<&'a str>,
    separator: Option<u8>,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let Some(separator) = self.separator else {
            return self.rest.take();
        };
        let text = self.rest?;
        let (piece, behind) = match split_once_outside(text, separator) {
            Some((piece, behind)) => (piece, Some(behind)),
            None => (text, None),
        };
        self.rest = behind;
        Some(trim(piece))
    }
}

/// Reads the quoted string that a text begins with: its content without escapes, and what follows.
pub(super) fn read_quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut content = Cow::Borrowed("");
    let mut rest = inner;
    loop {
        let place = memchr::memchr2(b'"', b'\\', rest.as_bytes())?;
        let (plain, behind) = rest.split_at_checked(place)?;
        append(&mut content, plain);
        let mut characters = behind.chars();
        if characters.next() == Some('"') {
            return Some((content, characters.as_str()));
        }
        let escaped = characters.next()?;
        content.to_mut().push(escaped);
        rest = characters.as_str();
    }
}

/// Appends without copying as long as there is nothing to append to.
fn append<'a>(text: &mut Cow<'a, str>, more: &'a str) {
    if text.is_empty() {
        *text = Cow::Borrowed(more);
    } else {
        text.to_mut().push_str(more);
    }
}

/// A quoted string with this content.
pub(crate) fn quote(content: &str) -> String {
    let mut text = String::with_capacity(content.len() + 2);
    text.push('"');
    for character in content.chars() {
        if matches!(character, '"' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('"');
    text
}

/// A parameter value's meaning: the content of a quoted string, or the text itself.
pub(crate) fn unquote(value: &str) -> String {
    match read_quoted(value) {
        Some((content, "")) => content.into_owned(),
        _ => value.to_owned(),
    }
}

/// The `name[=value]` pieces between semicolons. The text is what stands behind the first semicolon, if there is one.
pub(super) fn parameters(text: Option<&str>) -> Parameters<'_> {
    Parameters { rest: text }
}

/// The parameters of a value.
pub(super) struct Parameters<'a> {
    rest: Option<&'a str>,
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Result<(&'a str, Option<&'a str>), Rejection>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest?;
        if let Some((name, value, behind)) = split_plain(text, &TOKEN, &VALUE) {
            self.rest = behind;
            return Some(Ok((name, value)));
        }
        let (piece, behind) = match split_once_outside(text, b';') {
            Some((piece, behind)) => (piece, Some(behind)),
            None => (text, None),
        };
        self.rest = behind;
        Some(read_parameter(trim(piece)))
    }
}

/// Name, value and what stands behind the next semicolon, if the name and the value are just what they are mostly: these octets alone.
pub(super) fn split_plain<'a>(
    text: &'a str,
    names: &Octets,
    values: &Octets,
) -> Option<(&'a str, Option<&'a str>, Option<&'a str>)> {
    let (name, behind) = split_where_not(text, names);
    let (value, behind) = match behind.strip_prefix('=') {
        Some(behind) => {
            let (value, behind) = split_where_not(behind, values);
            (Some(value), behind)
        }
        None => (None, behind),
    };
    let rest = behind.strip_prefix(';');
    let is_plain = !name.is_empty() && value != Some("") && (rest.is_some() || behind.is_empty());
    is_plain.then_some((name, value, rest))
}

/// The same as owned values.
pub(super) fn read_parameters(text: Option<&str>) -> Result<Vec<Parameter>, Rejection> {
    parameters(text)
        .map(|parameter| parameter.map(|(name, value)| (name.to_owned(), value.map(str::to_owned))))
        .collect()
}

fn read_parameter(piece: &str) -> Result<(&str, Option<&str>), Rejection> {
    let (name, value) = match split_once(piece, b'=') {
        Some((name, value)) => (trim(name), Some(trim(value))),
        None => (piece, None),
    };
    if !is_token(name) {
        return Err(Rejection::bad("Parameter name is not a token (RFC 3261 §25.1)"));
    }
    if value.is_some_and(|value| !is_parameter_value(value)) {
        return Err(Rejection::bad("Malformed parameter value (RFC 3261 §25.1)"));
    }
    Ok((name, value))
}

/// A quoted string, or visible characters that no reader can take for a delimiter. Wider than `gen-value`, which real peers exceed.
fn is_parameter_value(value: &str) -> bool {
    if value.starts_with('"') {
        return read_quoted(value).is_some_and(|(_, rest)| rest.is_empty());
    }
    let visible = |character: char| {
        !character.is_ascii() && !character.is_whitespace() && !character.is_control()
            || u8::try_from(character).is_ok_and(|octet| VALUE.has(octet))
    };
    !value.is_empty() && (VALUE.has_all(value) || value.chars().all(visible))
}

/// Writes `;name=value` for each; a value that could not be read back is quoted.
pub(super) fn write_parameters(
    f: &mut std::fmt::Formatter<'_>,
    parameters: &[Parameter],
) -> std::fmt::Result {
    for (name, value) in parameters {
        f.write_str(";")?;
        name.chars()
            .filter(|character| u8::try_from(*character).is_ok_and(is_token_byte))
            .try_for_each(|character| std::fmt::Write::write_char(f, character))?;
        match value {
            Some(value) if is_parameter_value(value) => write!(f, "={value}")?,
            Some(value) => write!(f, "={}", quote(value))?,
            None => {}
        }
    }
    Ok(())
}

/// The value of a parameter; `Some("")` if it has none. Names without case.
pub(super) fn find_parameter<'a>(parameters: &'a [Parameter], name: &str) -> Option<&'a str> {
    parameters
        .iter()
        .find(|(written, _)| written.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_deref().unwrap_or_default())
}

/// Where a part that was cut out of `whole` lies in it.
pub(super) fn place_in(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
}

/// The longest beginning that has only these octets, and the rest.
pub(super) fn split_where_not<'a>(text: &'a str, allowed: &Octets) -> (&'a str, &'a str) {
    let end = text.bytes().position(|octet| !allowed.has(octet));
    text.split_at_checked(end.unwrap_or(text.len()))
        .unwrap_or((text, ""))
}

/// Whether each `%` is followed by two hexadecimal digits and each other octet is allowed.
pub(super) fn is_escaped(text: &str, allowed: &Octets) -> bool {
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        let fine = if octet == b'%' {
            let mut digit = || octets.next().is_some_and(|octet| octet.is_ascii_hexdigit());
            digit() && digit()
        } else {
            allowed.has(octet)
        };
        if !fine {
            return false;
        }
    }
    true
}

/// Escapes every octet that is not allowed.
pub(super) fn escape(text: &str, allowed: &Octets) -> String {
    let is_plain = |octet: u8| octet != b'%' && octet.is_ascii() && allowed.has(octet);
    if text.bytes().all(is_plain) {
        return text.to_owned();
    }
    let mut escaped = String::with_capacity(text.len());
    for octet in text.bytes() {
        if is_plain(octet) {
            escaped.push(char::from(octet));
        } else {
            push_escape(&mut escaped, octet);
        }
    }
    escaped
}

pub(super) fn push_escape(text: &mut String, octet: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    for digit in [octet >> 4, octet & 15] {
        text.extend(DIGITS.get(usize::from(digit)).map(|digit| char::from(*digit)));
    }
}

/// Octets of an escaped text; an escape that is none stays as written.
pub(super) fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        match (first, behind) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                octets.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            _ => octets.push(first),
        }
    }
    octets
}

const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

/// A decimal number without sign, at most `most`. Leading zeros are allowed.
pub(super) fn read_number(text: &str, most: u64) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for octet in text.bytes() {
        if !octet.is_ascii_digit() {
            return None;
        }
        value = value.saturating_mul(10).saturating_add(u64::from(octet - b'0'));
    }
    (value <= most).then_some(value)
}

/// Splits `host[:port]` and checks both; the host comes back as written, without brackets. `trim` takes away what may stand around the colon.
pub(super) fn read_host_port(
    text: &str,
    trim: fn(&str) -> &str,
) -> Result<(Cow<'_, str>, Option<u16>), Rejection> {
    let (host, port) = match text.strip_prefix('[') {
        Some(inner) => split_address(inner, trim)?,
        None => {
            let (host, behind) = split_where_not(text, &HOST);
            let behind = trim(behind);
            let port = behind.strip_prefix(':');
            if host.is_empty() || port.is_none() && !behind.is_empty() {
                return Err(Rejection::bad("Malformed host (RFC 3261 §25.1)"));
            }
            (Cow::Borrowed(host), port)
        }
    };
    let port = match port {
        Some(port) => Some(
            read_number(trim(port), u64::from(u16::MAX))
                .and_then(|port| u16::try_from(port).ok())
                .ok_or(Rejection::bad("Malformed port (RFC 3261 §25.1)"))?,
        ),
        None => None,
    };
    Ok((host, port))
}

/// Splits `address][:port]`.
fn split_address(inner: &str, trim: fn(&str) -> &str) -> Result<(Cow<'_, str>, Option<&str>), Rejection> {
    let (address, behind) =
        split_once(inner, b']').ok_or(Rejection::bad("Unclosed IPv6 reference (RFC 3261 §25.1)"))?;
    // The ABNF of RFC 3261 has one colon too many in front of an IPv4 tail (RFC 5118 §4.10).
    let address = match address.contains(":::") {
        true => Cow::Owned(address.replacen(":::", "::", 1)),
        false => Cow::Borrowed(address),
    };
    if address.parse::<std::net::Ipv6Addr>().is_err() {
        return Err(Rejection::bad("Malformed IPv6 address (RFC 3261 §25.1)"));
    }
    let behind = trim(behind);
    match behind.strip_prefix(':') {
        Some(port) => Ok((address, Some(port))),
        None if behind.is_empty() => Ok((address, None)),
        None => Err(Rejection::bad("Text behind an IPv6 reference (RFC 3261 §25.1)")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parameters_are_the_pieces_between_semicolons(text in "[a1=;\"<>\\\\ \té%]{0,14}") {
            let pieces: Vec<_> = split_outside(&text, b';').map(read_parameter).collect();
            prop_assert_eq!(parameters(Some(&text)).collect::<Vec<_>>(), pieces);
        }
    }
}
