//! Single productions of RFC 4975 §9, RFC 3986 and RFC 7701 §7.1.

use std::net::{Ipv4Addr, Ipv6Addr};

pub(super) fn is_ident(text: &[u8]) -> bool {
    let is_char =
        |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'+' | b'%' | b'=');
    (4..=32).contains(&text.len())
        && text.first().is_some_and(u8::is_ascii_alphanumeric)
        && text.iter().all(is_char)
}

pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

pub(super) fn is_token(text: &str) -> bool {
    let is_char = |octet: u8| matches!(octet, 0x21 | 0x23..=0x27 | 0x2a..=0x2b | 0x2d..=0x2e | 0x30..=0x39 | 0x41..=0x5a | 0x5e..=0x7e);
    !text.is_empty() && text.bytes().all(is_char)
}

/// `hname = ALPHA *token`.
pub(super) fn is_header_name(text: &str) -> bool {
    text.bytes()
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && is_token(text)
}

/// `utf8text`, of which UTF-8 as RFC 3629 has it.
pub(super) fn is_utf8_text(text: &[u8]) -> bool {
    let printable = text
        .iter()
        .all(|octet| *octet == b'\t' || (*octet >= 0x20 && *octet != 0x7f));
    printable && std::str::from_utf8(text).is_ok()
}

/// `media-type`.
pub(super) fn is_media_type(text: &str) -> bool {
    let mut parts = outside_quotes(text).into_iter();
    let kind = parts.next().unwrap_or_default();
    let sound = kind
        .split_once('/')
        .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
    sound
        && parts.all(|parameter| {
            // The grammar knows no space behind a semicolon, but RFC 4975 itself writes one in its examples.
            let parameter = parameter.strip_prefix(' ').unwrap_or(parameter);
            match parameter.split_once('=') {
                Some((name, value)) => is_token(name) && (is_token(value) || is_quoted_string(value)),
                None => is_token(parameter),
            }
        })
}

/// Splits at semicolons that stand outside quoted strings.
fn outside_quotes(text: &str) -> Vec<&str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(|character| {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        character == ';' && !quoted
    })
    .collect()
}

pub(super) fn is_quoted_string(text: &str) -> bool {
    unquoted(text).is_some()
}

/// What a quoted-string stands for.
pub(super) fn unquoted(text: &str) -> Option<String> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut plain = String::new();
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => plain.push(
                characters
                    .next()
                    .filter(|escaped| matches!(escaped, '\\' | '"'))?,
            ),
            '\t' => plain.push('\t'),
            control if control.is_ascii_control() => return None,
            other => plain.push(other),
        }
    }
    Some(plain)
}

/// `MSRP-URI` with a session-id where `session` asks for one and with a port where `port` does.
pub(super) fn msrp_uri_fault(text: &str, session: bool, port: bool) -> Option<&'static str> {
    let Some(rest) = text
        .strip_prefix("msrp://")
        .or_else(|| text.strip_prefix("msrps://"))
    else {
        return Some("the scheme");
    };
    let Some((place, parameters)) = rest.split_once(';') else {
        return Some("no transport");
    };
    let (authority, id) = match place.split_once('/') {
        Some((authority, id)) => (authority, Some(id)),
        None => (place, None),
    };
    let is_id_char = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~+=/".contains(&octet);
    match id {
        Some(id) if id.is_empty() || !id.bytes().all(is_id_char) => return Some("the session-id"),
        // RFC 4975 §14.1: 80 bits; a letter of the grammar carries six at most.
        Some(id) if id.len() < 4 => return Some("a session-id that can be guessed"),
        None if session => return Some("no session-id"),
        _ => {}
    }
    let host_port = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host_port)| host_port);
    let (host, written) = match host_port.strip_prefix('[') {
        Some(bracketed) => match bracketed.split_once(']') {
            Some((host, port)) if host.parse::<Ipv6Addr>().is_ok() => (host, port),
            _ => return Some("the IPv6 address"),
        },
        None => host_port.split_at(host_port.find(':').unwrap_or(host_port.len())),
    };
    let is_name_char = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~%!$&'()*+,=".contains(&octet);
    let is_address = host.parse::<Ipv4Addr>().is_ok() || host.parse::<Ipv6Addr>().is_ok();
    if host.is_empty() || !(is_address || host.bytes().all(is_name_char)) {
        return Some("the host");
    }
    let sound = match written.strip_prefix(':') {
        Some(digits) => is_digits(digits) && digits.parse::<u16>().is_ok(),
        None => written.is_empty() && !port,
    };
    if !sound {
        return Some("the port");
    }
    let mut parameters = parameters.split(';');
    let transport = parameters.next().unwrap_or_default();
    if transport.is_empty() || !transport.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
        return Some("the transport");
    }
    let is_parameter = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) => is_token(name) && is_token(value),
        None => is_token(parameter),
    };
    if parameters.all(is_parameter) {
        None
    } else {
        Some("a parameter")
    }
}

/// `Byte-Range` as numbers; `None` for `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Position of the first octet, from one.
    pub start: u64,
    /// Position of the last octet.
    pub end: Option<u64>,
    /// Octets of the message.
    pub total: Option<u64>,
}

pub(super) fn byte_range(text: &str) -> Option<Range> {
    let (positions, total) = text.split_once('/')?;
    let (start, end) = positions.split_once('-')?;
    let number = |text: &str| is_digits(text).then(|| text.parse().ok()).flatten();
    let open = |text: &str| {
        if text == "*" {
            Some(None)
        } else {
            number(text).map(Some)
        }
    };
    Some(Range {
        start: number(start)?,
        end: open(end)?,
        total: open(total)?,
    })
}

/// `namespace SP status-code [SP comment]`.
pub(super) fn report_status(text: &str) -> Option<(u16, u16)> {
    let three = |text: &str| {
        (text.len() == 3 && is_digits(text))
            .then(|| text.parse().ok())
            .flatten()
    };
    let mut words = text.splitn(3, ' ');
    Some((three(words.next()?)?, three(words.next()?)?))
}
