//! Tokens, quoted strings, lists, parameters and escapes of RFC 3261 §25.1.

use super::Rejection;

/// A name with an optional value, as in `;name=value`; the value as written.
pub(super) type Parameter = (String, Option<String>);

/// Whether an octet may stand in a token.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
        )
}

/// Whether a text is a token.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Without spaces and tabs at both ends.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// The place of the first `separator` outside quoted strings and angle brackets.
fn find_outside(text: &str, separator: u8) -> Option<usize> {
    let (mut quoted, mut escaped, mut bracketed) = (false, false, false);
    for (place, byte) in text.bytes().enumerate() {
        if escaped {
            escaped = false;
        } else if quoted {
            match byte {
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
        } else if byte == separator && !bracketed {
            return Some(place);
        } else {
            match byte {
                b'"' => quoted = true,
                b'<' => bracketed = true,
                b'>' => bracketed = false,
                _ => {}
            }
        }
    }
    None
}

/// What stands before and behind the first `separator` outside quoted strings and angle brackets.
pub(super) fn split_once_outside(text: &str, separator: u8) -> Option<(&str, &str)> {
    let (before, behind) = text.split_at_checked(find_outside(text, separator)?)?;
    Some((before, behind.get(1..)?))
}

/// The trimmed pieces between separators outside quoted strings and angle brackets.
pub(crate) fn split_outside(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (piece, behind) = match split_once_outside(text, separator) {
            Some((piece, behind)) => (piece, Some(behind)),
            None => (text, None),
        };
        rest = behind;
        Some(trim(piece))
    })
}

/// Reads the quoted string that a text begins with: its content without escapes, and what follows.
pub(super) fn read_quoted(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut content = String::new();
    let mut characters = inner.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return Some((content, inner.get(place + 1..)?)),
            '\\' => content.push(characters.next()?.1),
            _ => content.push(character),
        }
    }
    None
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
        Some((content, "")) => content,
        _ => value.to_owned(),
    }
}

/// Reads `name[=value]` pieces between semicolons. The text stands behind the first semicolon.
pub(super) fn read_parameters(text: &str) -> Result<Vec<Parameter>, Rejection> {
    split_outside(text, b';').map(read_parameter).collect()
}

fn read_parameter(piece: &str) -> Result<Parameter, Rejection> {
    let (name, value) = match piece.split_once('=') {
        Some((name, value)) => (trim(name), Some(trim(value))),
        None => (piece, None),
    };
    if !is_token(name) {
        return Err(Rejection::bad("Parameter name is not a token (RFC 3261 §25.1)"));
    }
    if value.is_some_and(|value| !is_parameter_value(value)) {
        return Err(Rejection::bad("Malformed parameter value (RFC 3261 §25.1)"));
    }
    Ok((name.to_owned(), value.map(str::to_owned)))
}

/// A quoted string, or visible characters that no reader can take for a delimiter. Wider than `gen-value`, which real peers exceed.
fn is_parameter_value(value: &str) -> bool {
    if value.starts_with('"') {
        return read_quoted(value).is_some_and(|(_, rest)| rest.is_empty());
    }
    !value.is_empty()
        && value.chars().all(|character| {
            !character.is_whitespace()
                && !character.is_control()
                && !matches!(character, '"' | '<' | '>' | ';' | ',')
        })
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

/// Whether each `%` is followed by two hexadecimal digits and each other octet is allowed.
pub(super) fn is_escaped(text: &str, allowed: fn(u8) -> bool) -> bool {
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        let fine = if octet == b'%' {
            let mut digit = || octets.next().is_some_and(|octet| octet.is_ascii_hexdigit());
            digit() && digit()
        } else {
            allowed(octet)
        };
        if !fine {
            return false;
        }
    }
    true
}

/// Escapes every octet that is not allowed.
pub(super) fn escape(text: &str, allowed: fn(u8) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet != b'%' && octet.is_ascii() && allowed(octet) {
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
    if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let digits = text.trim_start_matches('0');
    let value = if digits.is_empty() {
        0
    } else {
        digits.parse().ok()?
    };
    (value <= most).then_some(value)
}

/// Splits `host[:port]` and checks both; the host comes back in lower case, without brackets.
pub(super) fn read_host_port(text: &str) -> Result<(String, Option<u16>), Rejection> {
    let (mut host, port) = if let Some(inner) = text.strip_prefix('[') {
        let (address, behind) = inner
            .split_once(']')
            .ok_or(Rejection::bad("Unclosed IPv6 reference (RFC 3261 §25.1)"))?;
        // The ABNF of RFC 3261 has one colon too many in front of an IPv4 tail (RFC 5118 §4.10).
        let address = address.replacen(":::", "::", 1);
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(Rejection::bad("Malformed IPv6 address (RFC 3261 §25.1)"));
        }
        let behind = trim(behind);
        match behind.strip_prefix(':') {
            Some(port) => (address, Some(port)),
            None if behind.is_empty() => (address, None),
            None => return Err(Rejection::bad("Text behind an IPv6 reference (RFC 3261 §25.1)")),
        }
    } else {
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (trim(host), Some(port)),
            None => (text, None),
        };
        if !is_host_name(host) {
            return Err(Rejection::bad("Malformed host (RFC 3261 §25.1)"));
        }
        (host.to_owned(), port)
    };
    let port = match port {
        Some(port) => Some(
            read_number(trim(port), u64::from(u16::MAX))
                .and_then(|port| u16::try_from(port).ok())
                .ok_or(Rejection::bad("Malformed port (RFC 3261 §25.1)"))?,
        ),
        None => None,
    };
    host.make_ascii_lowercase();
    Ok((host, port))
}

/// Letters, digits, hyphens and dots; underscores, too, which hosts on private networks have.
pub(super) fn is_host_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_host_byte)
}

pub(super) const fn is_host_byte(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_')
}
