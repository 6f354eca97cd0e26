//! SIP, SIPS and TEL URIs (RFC 3261 §19.1, RFC 3966).

use std::{borrow::Cow, fmt, net::Ipv6Addr, ops::Range, str::FromStr};

use super::{
    Rejection, StatusCode,
    lex::{self, Octets},
};

/// The longest URI that is read; a longer one deserves 414.
pub const MAX_URI: usize = 1024;

/// A SIP, SIPS or TEL URI, or one of another scheme, which is opaque.
///
/// Kept as written for output; equality follows RFC 3261 §19.1.4 except that `gr` counts (RFC 5627, and RFC 7701 §6.1
/// needs it to tell a room from an occupant). As in the RFC, equality is not transitive: a parameter that only one of two URIs has
/// is ignored, so do not sort or index by it.
#[derive(Clone)]
pub struct Uri {
    text: String,
    scheme: Cow<'static, str>,
    /// User and password.
    user_info: Option<Range<usize>>,
    user: Option<Range<usize>>,
    host: Host,
    port: Option<u16>,
    /// Behind the first semicolon.
    parameters: Range<usize>,
    /// Behind the question mark.
    headers: Range<usize>,
}

#[derive(Clone)]
enum Host {
    /// As written, which is in lower case.
    Written(Range<usize>),
    /// As it is meant.
    Meant(String),
}

impl Uri {
    /// `sip:user@host[:port]`; `user` is percent-escaped here (an empty one is none), `host` is a name or address (IPv6 is bracketed here).
    /// What a host name cannot carry is percent-escaped, too, and so names no host.
    #[must_use]
    pub fn new(user: Option<&str>, host: &str, port: Option<u16>) -> Self {
        /// The scheme, two brackets, two separators and a port.
        const FRAME: usize = 4 + 2 + 2 + 5;
        let mut text = String::with_capacity(FRAME + user.map_or(0, str::len) + host.len());
        text.push_str("sip:");
        let user = user.filter(|user| !user.is_empty()).map(|user| {
            let start = text.len();
            text.push_str(&lex::escape(user, &USER));
            let range = start..text.len();
            text.push('@');
            range
        });
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let host = match host.parse::<Ipv6Addr>() {
            Ok(_) => {
                text.push('[');
                text.push_str(host);
                text.push(']');
                host.to_ascii_lowercase()
            }
            Err(_) => {
                let host = lex::escape(host, &lex::HOST);
                text.push_str(&host);
                host.to_ascii_lowercase()
            }
        };
        if let Some(port) = port {
            text.push(':');
            text.push_str(&port.to_string());
        }
        let end = text.len();
        Self {
            text,
            scheme: Cow::Borrowed("sip"),
            user_info: user.clone(),
            user,
            host: Host::Meant(host),
            port,
            parameters: end..end,
            headers: end..end,
        }
    }

    /// The scheme in lower case: `sip`, `sips`, `tel`, or another.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The user part as written, without password; the number of a `tel:` URI.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_ref().map(|range| self.slice(range))
    }

    /// The user part percent-decoded, with whatever characters the escapes hide; `None` if absent or not UTF-8.
    #[must_use]
    pub fn user_decoded(&self) -> Option<String> {
        String::from_utf8(lex::unescape(self.user()?)).ok()
    }

    /// The host in lower case, without brackets; empty for `tel:` and other schemes.
    #[must_use]
    pub fn host(&self) -> &str {
        match &self.host {
            Host::Written(range) => self.slice(range),
            Host::Meant(host) => host,
        }
    }

    /// The port, if written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// A URI parameter's value as written: `None` if absent, `Some("")` if it has no value. Names without case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters()
            .find(|(written, _)| written.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.unwrap_or_default())
    }

    /// A URI parameter's value percent-decoded; `None` if absent or not UTF-8.
    #[must_use]
    pub fn parameter_decoded(&self, name: &str) -> Option<String> {
        String::from_utf8(lex::unescape(self.parameter(name)?)).ok()
    }

    /// The same with a parameter set (`None` = without value), or replaced. The value is escaped here. A URI that is none of `sip:`,
    /// `sips:` and `tel:` is opaque and stays as it is; so does one whose parameter would have no name.
    #[must_use]
    pub fn with_parameter(&self, name: &str, value: Option<&str>) -> Self {
        if name.is_empty() {
            return self.clone();
        }
        let mut setting = lex::escape(name, &PARAMETER);
        if let Some(value) = value {
            setting.push('=');
            setting.push_str(&lex::escape(value, &PARAMETER));
        }
        let mut pieces: Vec<&str> = Vec::new();
        let mut placed = false;
        for piece in self.parameter_pieces() {
            if !split_pair(piece).0.eq_ignore_ascii_case(name) {
                pieces.push(piece);
            } else if !placed {
                pieces.push(&setting);
                placed = true;
            }
        }
        if !placed {
            pieces.push(&setting);
        }
        self.with_parameters(&pieces.join(";"))
    }

    /// The address of record: scheme, user, host and port, without password, parameters and headers.
    #[must_use]
    pub fn address_of_record(&self) -> Self {
        let mut bare = self.clone();
        if self.is_opaque() {
            return bare;
        }
        if let (Some(all), Some(user)) = (&self.user_info, &self.user) {
            let password = user.end..all.end;
            bare.text.replace_range(password.clone(), "");
            bare.user_info = Some(user.clone());
            let cut = |place: usize| place.saturating_sub(password.len());
            bare.parameters = cut(self.parameters.start)..cut(self.parameters.end);
            bare.headers = cut(self.headers.start)..cut(self.headers.end);
            if let Host::Written(host) = &mut bare.host {
                *host = cut(host.start)..cut(host.end);
            }
        }
        let end = bare.address_end();
        bare.text.truncate(end);
        bare.parameters = end..end;
        bare.headers = end..end;
        bare
    }

    /// Whether headers (`?name=value`) are part of it. They may not be in a Request-URI (RFC 3261 §19.1.1).
    pub(super) fn has_headers(&self) -> bool {
        !self.headers.is_empty()
    }

    /// The parameters in order, as written.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.parameter_pieces().map(split_pair)
    }

    fn parameter_pieces(&self) -> impl Iterator<Item = &str> {
        self.slice(&self.parameters)
            .split(';')
            .filter(|piece| !piece.is_empty())
    }

    /// With the text between the address and the headers replaced; it is well formed and not empty.
    fn with_parameters(&self, parameters: &str) -> Self {
        if self.is_opaque() {
            return self.clone();
        }
        let mut changed = self.clone();
        let end = self.address_end();
        changed.text.truncate(end);
        changed.text.push(';');
        changed.text.push_str(parameters);
        changed.parameters = end + 1..changed.text.len();
        changed.headers = changed.text.len()..changed.text.len();
        if self.has_headers() {
            changed.text.push('?');
            let start = changed.text.len();
            changed.text.push_str(self.slice(&self.headers));
            changed.headers = start..changed.text.len();
        }
        changed
    }

    /// Where scheme, user, host and port end.
    fn address_end(&self) -> usize {
        let behind = if !self.parameters.is_empty() {
            self.parameters.start
        } else if self.has_headers() {
            self.headers.start
        } else {
            return self.text.len();
        };
        behind.saturating_sub(1)
    }

    fn is_opaque(&self) -> bool {
        !matches!(&*self.scheme, "sip" | "sips" | "tel")
    }

    fn slice(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Uri").field(&self.text).finish()
    }
}

impl FromStr for Uri {
    type Err = Rejection;
    fn from_str(text: &str) -> Result<Self, Rejection> {
        Ok(Parts::read(text)?.into_uri(text))
    }
}

impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        if self.scheme != other.scheme {
            return false;
        }
        match self.scheme() {
            "sip" | "sips" => {
                self.user_info_key() == other.user_info_key()
                    && self.host_key() == other.host_key()
                    && self.port == other.port
                    && parameters_match(self, other)
                    && self.header_keys() == other.header_keys()
            }
            "tel" => tel_number(self) == tel_number(other) && self.parameter_keys() == other.parameter_keys(),
            scheme => self.text.get(scheme.len()..) == other.text.get(scheme.len()..),
        }
    }
}

impl Eq for Uri {}

impl Uri {
    fn user_info_key(&self) -> Option<Vec<u8>> {
        self.user_info.as_ref().map(|range| comparable(self.slice(range)))
    }

    fn host_key(&self) -> Cow<'_, str> {
        match self.host().parse::<Ipv6Addr>() {
            Ok(address) => Cow::Owned(address.to_string()),
            Err(_) => Cow::Borrowed(self.host()),
        }
    }

    fn header_keys(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        sorted_keys(
            self.slice(&self.headers)
                .split('&')
                .filter(|piece| !piece.is_empty()),
        )
    }

    fn parameter_keys(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        sorted_keys(self.parameter_pieces())
    }
}

/// RFC 3261 §19.1.4: these count even if only one of the two URIs has them; `gr`, since RFC 5627 gives the bare URI another meaning.
const COUNTING: [&str; 6] = ["transport", "user", "ttl", "method", "maddr", "gr"];

/// Of a name that is there again, which no URI should have (RFC 3261 §19.1.1), the first counts here as in [`Uri::parameter`].
fn parameters_match(one: &Uri, other: &Uri) -> bool {
    let agrees = |name: &str| match (one.parameter(name), other.parameter(name)) {
        // A GRUU is compared with case (RFC 5627 §3.1.1 keeps its characters); all else without (RFC 3261 §19.1.4).
        (Some(one), Some(other)) if name.eq_ignore_ascii_case("gr") => comparable(one) == comparable(other),
        (Some(one), Some(other)) => comparable(one).eq_ignore_ascii_case(&comparable(other)),
        _ => !COUNTING
            .iter()
            .any(|counting| counting.eq_ignore_ascii_case(name)),
    };
    let mut names = one.parameters().chain(other.parameters());
    names.all(|(name, _)| agrees(name))
}

/// Octets in which an escaped and a plain character are the same, save those of RFC 2396's reserved set and `%` itself.
fn comparable(text: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(text.len());
    let mut pieces = text.split('%');
    key.extend(pieces.next().unwrap_or_default().bytes());
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        match u8::from_str_radix(digits, 16) {
            Ok(octet) if !b";/?:@&=+$,%".contains(&octet) => key.push(octet),
            _ => key.extend(std::iter::once(b'%').chain(digits.to_ascii_uppercase().bytes())),
        }
        key.extend(rest.bytes());
    }
    key
}

fn sorted_keys<'a>(pieces: impl Iterator<Item = &'a str>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut keys: Vec<_> = pieces
        .map(|piece| {
            let (name, value) = split_pair(piece);
            (
                comparable(name).to_ascii_lowercase(),
                comparable(value.unwrap_or_default()),
            )
        })
        .collect();
    keys.sort();
    keys
}

/// RFC 3966 §4: visual separators do not count.
fn tel_number(uri: &Uri) -> String {
    uri.user()
        .unwrap_or_default()
        .chars()
        .filter(|character| !matches!(character, '-' | '.' | '(' | ')'))
        .map(|character| character.to_ascii_lowercase())
        .collect()
}

fn split_pair(piece: &str) -> (&str, Option<&str>) {
    match lex::split_once(piece, b'=') {
        Some((name, value)) => (name, Some(value)),
        None => (piece, None),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|character: char| character.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'-' | b'.'))
}

/// A URI taken apart and found well formed, before anything of it is copied.
pub(super) struct Parts<'a> {
    scheme: Scheme<'a>,
    user_info: Option<&'a str>,
    user: Option<&'a str>,
    host: Cow<'a, str>,
    port: Option<u16>,
    parameters: Option<&'a str>,
    headers: Option<&'a str>,
}

enum Scheme<'a> {
    Known(&'static str),
    Other(&'a str),
}

impl<'a> Parts<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, Rejection> {
        if text.len() > MAX_URI {
            return Err(Rejection {
                status: StatusCode(414),
                rule: "URI over 1024 octets (RFC 3261 §21.4.12)",
            });
        }
        if let Some(rest) = text.strip_prefix("sip:") {
            return Self::read_sip("sip", rest);
        }
        let (scheme, rest) = lex::split_once(text, b':')
            .filter(|(scheme, _)| is_scheme(scheme))
            .ok_or(Rejection::bad("URI without a scheme (RFC 3261 §25.1)"))?;
        let known = ["sip", "sips", "tel"]
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(scheme));
        match known {
            Some("tel") => Self::read_tel(rest),
            Some(known) => Self::read_sip(known, rest),
            None => Self::read_opaque(scheme, rest),
        }
    }

    fn read_sip(scheme: &'static str, rest: &'a str) -> Result<Self, Rejection> {
        let (user_info, user, rest) = read_user_info(rest)?;
        let (address, parameters, headers) = split_address(rest);
        if headers.is_some_and(|headers| headers.is_empty() || !lex::is_escaped(headers, &HEADER)) {
            return Err(Rejection::bad("Malformed headers of a URI (RFC 3261 §25.1)"));
        }
        check_parameters(parameters)?;
        let (host, port) = lex::read_host_port(address, |piece| piece)?;
        Ok(Self {
            scheme: Scheme::Known(scheme),
            user_info,
            user,
            host,
            port,
            parameters,
            headers,
        })
    }

    fn read_tel(rest: &'a str) -> Result<Self, Rejection> {
        let (number, parameters) = match lex::split_once(rest, b';') {
            Some((number, parameters)) => (number, Some(parameters)),
            None => (rest, None),
        };
        check_parameters(parameters)?;
        if number.is_empty()
            || !number
                .bytes()
                .all(|octet| octet.is_ascii_hexdigit() || b"+-.()*#".contains(&octet))
        {
            return Err(Rejection::bad("Malformed telephone number (RFC 3966 §3)"));
        }
        Ok(Self {
            user_info: Some(number),
            user: Some(number),
            parameters,
            ..Self::bare(Scheme::Known("tel"))
        })
    }

    fn read_opaque(scheme: &'a str, rest: &str) -> Result<Self, Rejection> {
        let visible = |octet: u8| {
            octet.is_ascii_graphic() && !matches!(octet, b'<' | b'>' | b'"' | b'\\' | b'^' | b'`')
        };
        if rest.is_empty() || !rest.bytes().all(visible) {
            return Err(Rejection::bad("Malformed URI (RFC 3261 §25.1)"));
        }
        Ok(Self::bare(Scheme::Other(scheme)))
    }

    fn bare(scheme: Scheme<'a>) -> Self {
        Self {
            scheme,
            user_info: None,
            user: None,
            host: Cow::Owned(String::new()),
            port: None,
            parameters: None,
            headers: None,
        }
    }

    /// Copies `text`, which these are the parts of.
    pub(super) fn into_uri(self, text: &str) -> Uri {
        let place = |part: &str| lex::place_in(text.as_bytes(), part.as_bytes());
        let end = text.len();
        let host = match self.host {
            Cow::Borrowed(host) if !host.bytes().any(|octet| octet.is_ascii_uppercase()) => {
                Host::Written(place(host))
            }
            host => Host::Meant(host.to_ascii_lowercase()),
        };
        Uri {
            scheme: match self.scheme {
                Scheme::Known(scheme) => Cow::Borrowed(scheme),
                Scheme::Other(scheme) => Cow::Owned(scheme.to_ascii_lowercase()),
            },
            user_info: self.user_info.map(place),
            user: self.user.map(place),
            host,
            port: self.port,
            parameters: self.parameters.map_or(end..end, place),
            headers: self.headers.map_or(end..end, place),
            text: text.to_owned(),
        }
    }
}

/// User and password together, the user alone, and what stands behind the at sign.
fn read_user_info(text: &str) -> Result<(Option<&str>, Option<&str>, &str), Rejection> {
    // Mostly there is a user without escapes or password, found and checked at one look.
    let (user, behind) = lex::split_where_not(text, &USER);
    if let Some(rest) = behind.strip_prefix('@').filter(|_| !user.is_empty()) {
        return Ok((Some(user), Some(user), rest));
    }
    // An at sign can stand behind a user part only; everywhere else it is escaped.
    let Some((info, rest)) = lex::split_once(text, b'@') else {
        return Ok((None, None, text));
    };
    let (user, password) = lex::split_once(info, b':').unwrap_or((info, ""));
    if user.is_empty() || !lex::is_escaped(user, &USER) || !lex::is_escaped(password, &USER) {
        return Err(Rejection::bad("Malformed user part of a URI (RFC 3261 §25.1)"));
    }
    Ok((Some(info), Some(user), rest))
}

/// The parts `address[;parameters][?headers]`.
fn split_address(text: &str) -> (&str, Option<&str>, Option<&str>) {
    let end = memchr::memchr2(b';', b'?', text.as_bytes()).unwrap_or(text.len());
    let (address, behind) = text.split_at_checked(end).unwrap_or((text, ""));
    let (parameters, headers) = match lex::split_once(behind, b'?') {
        Some((parameters, headers)) => (parameters, Some(headers)),
        None => (behind, None),
    };
    (address, parameters.strip_prefix(';'), headers)
}

fn check_parameters(parameters: Option<&str>) -> Result<(), Rejection> {
    let mut rest = parameters;
    while let Some(text) = rest {
        if let Some((_, _, behind)) = lex::split_plain(text, &PARAMETER, &PARAMETER) {
            rest = behind;
            continue;
        }
        let (piece, behind) = match lex::split_once(text, b';') {
            Some((piece, behind)) => (piece, Some(behind)),
            None => (text, None),
        };
        let (name, value) = split_pair(piece);
        if name.is_empty()
            || !lex::is_escaped(name, &PARAMETER)
            || !value.is_none_or(|value| lex::is_escaped(value, &PARAMETER))
        {
            return Err(Rejection::bad("Malformed URI parameter (RFC 3261 §25.1)"));
        }
        rest = behind;
    }
    Ok(())
}

const USER: Octets = Octets::alphanumeric_and(b"-_.!~*'()&=+$,;?/");
const PARAMETER: Octets = Octets::alphanumeric_and(b"-_.!~*'()[]/:&+$");
const HEADER: Octets = Octets::alphanumeric_and(b"-_.!~*'()[]/:&+$?=");
