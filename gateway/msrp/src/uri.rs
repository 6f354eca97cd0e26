//! `msrp:` and `msrps:` URIs, paths and identifiers (RFC 4975 §6, §9).

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    ops::Range,
    str::FromStr,
    sync::Arc,
};

pub use crate::ident::{MessageId, SessionId};

/// The port that IANA lists for MSRP. RFC 4975 §6 makes it a recommendation, no default: a URI that names it does not equal one
/// without a port.
pub const RECOMMENDED_PORT: u16 = 2855;

/// An MSRP URI. Equality follows RFC 4975 §6.1: scheme and host without case, addresses as addresses, percent-encoded
/// unreserved characters of the host decoded, port exact (a written port never equals an absent one), session-id with case,
/// transport without case; other parameters and userinfo do not count.
#[derive(Debug, Clone)]
pub struct Uri {
    text: Box<str>,
    secure: bool,
    /// Where the host stands in `text`, without brackets.
    host: Span,
    port: Option<u16>,
    session: Option<SessionId>,
    transport: Span,
}

/// A stretch of a text, in half the room of a [`Range`]: every session keeps several.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

impl From<Range<usize>> for Span {
    /// No line of a frame comes near 4 GiB; a stretch beyond that is empty.
    fn from(range: Range<usize>) -> Self {
        let [start, end] =
            [range.start, range.end].map(|position| u32::try_from(position).unwrap_or(u32::MAX));
        Self { start, end }
    }
}

impl Uri {
    /// `msrp[s]://host:port/session;tcp`, the form in which one's own path is offered. `host` is a name or an address; an IPv6
    /// address is bracketed here, and what may not stand in a host is percent-encoded.
    #[must_use]
    pub fn new(secure: bool, host: &str, port: u16, session: &SessionId) -> Self {
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let mut text = String::from(if secure { "msrps://" } else { "msrp://" });
        let bracketed = bare.parse::<Ipv6Addr>().is_ok();
        if bracketed {
            text.push('[');
        }
        let start = text.len();
        if bracketed {
            text.push_str(bare);
        } else {
            push_host(&mut text, bare);
        }
        let host = start..text.len();
        if bracketed {
            text.push(']');
        }
        text.push_str(&format!(":{port}/{session};"));
        let transport = text.len()..text.len() + 3;
        text.push_str("tcp");
        Self {
            text: text.into(),
            secure,
            host: host.into(),
            port: Some(port),
            session: Some(session.clone()),
            transport: transport.into(),
        }
    }
    /// Whether the scheme is `msrps`.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }
    /// The host without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.of(&self.text)
    }
    /// The host as an address, if it is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.host().parse().ok()
    }
    /// The port, if one is written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }
    /// The session-id, if one is written; a relay's URI has none.
    #[must_use]
    pub fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }
    /// The transport parameter as written; `tcp` in all that RFC 4975 defines.
    #[must_use]
    pub fn transport(&self) -> &str {
        self.transport.of(&self.text)
    }
    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        if self.text == other.text {
            return true;
        }
        let same_host = match (self.address(), other.address()) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (None, None) => same_name(self.host(), other.host()),
            _ => false,
        };
        self.secure == other.secure
            && self.port == other.port
            && self.session == other.session
            && self.transport().eq_ignore_ascii_case(other.transport())
            && same_host
    }
}
impl Eq for Uri {}
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl FromStr for Uri {
    type Err = UriFault;
    fn from_str(s: &str) -> Result<Self, UriFault> {
        let (secure, rest) = scheme(s)?;
        let at = |part: &str| s.len() - part.len();
        let (address_part, parameters) = rest
            .split_once(';')
            .ok_or(UriFault("RFC 4975 §9: no transport parameter"))?;
        let parameters_at = at(parameters);
        let (authority, session) = match address_part.split_once('/') {
            Some((authority, session)) => (authority, Some(session.parse()?)),
            None => (address_part, None),
        };
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((userinfo, host_port)) => (userinfo, host_port),
            None => ("", authority),
        };
        if !userinfo
            .bytes()
            .all(|octet| is_name_octet(octet) || octet == b':')
        {
            return Err(UriFault("RFC 3986 §3.2.1: userinfo"));
        }
        let host_at = at(rest) + authority.len() - host_port.len();
        let Authority { host, port } = host_and_port(host_port, host_at)?;
        let transport = transport(parameters)?;
        Ok(Self {
            text: s.into(),
            secure,
            host: host.into(),
            port,
            session,
            transport: (parameters_at..parameters_at + transport).into(),
        })
    }
}

/// Why a text is no MSRP URI, path or identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an MSRP URI: {0}")]
pub struct UriFault(pub &'static str);

/// A To-Path, From-Path or SDP `path`: one or more URIs, separated by one space. Never empty. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Arc<[Uri]>);

#[expect(
    clippy::expect_used,
    reason = "never empty: `single`, `of` and `from_str`, the only constructors, see to it"
)]
impl Path {
    /// A path of one hop.
    #[must_use]
    pub fn single(uri: Uri) -> Self {
        Self(Arc::new([uri]))
    }
    /// A path of these hops in their order; `None` if there are none.
    #[must_use]
    pub fn of(hops: impl IntoIterator<Item = Uri>) -> Option<Self> {
        let hops: Arc<[Uri]> = hops.into_iter().collect();
        (!hops.is_empty()).then_some(Self(hops))
    }
    /// The first hop: where a connection is opened to.
    #[must_use]
    pub fn first(&self) -> &Uri {
        self.0.first().expect("never empty")
    }
    /// The last hop: the endpoint.
    #[must_use]
    pub fn last(&self) -> &Uri {
        self.0.last().expect("never empty")
    }
    /// All hops.
    #[must_use]
    pub fn hops(&self) -> &[Uri] {
        &self.0
    }
}
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, hop) in self.hops().iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{hop}")?;
        }
        Ok(())
    }
}
impl FromStr for Path {
    type Err = UriFault;
    /// More than one space between hops is tolerated.
    fn from_str(s: &str) -> Result<Self, UriFault> {
        let hops = s.split(' ').filter(|hop| !hop.is_empty());
        let hops = hops.map(Uri::from_str).collect::<Result<Arc<[_]>, _>>()?;
        if hops.is_empty() {
            return Err(UriFault("RFC 4975 §9: an empty path"));
        }
        Ok(Self(hops))
    }
}

fn scheme(text: &str) -> Result<(bool, &str), UriFault> {
    let fault = UriFault("RFC 4975 §9: the scheme is neither msrp nor msrps");
    let (scheme, rest) = text.split_once(':').ok_or(fault.clone())?;
    let rest = rest.strip_prefix("//").ok_or(fault.clone())?;
    if scheme.eq_ignore_ascii_case("msrp") {
        Ok((false, rest))
    } else if scheme.eq_ignore_ascii_case("msrps") {
        Ok((true, rest))
    } else {
        Err(fault)
    }
}

/// The host and port of an authority.
struct Authority {
    /// Where the host stands in the whole text, without brackets.
    host: Range<usize>,
    port: Option<u16>,
}

/// `host [ ":" port ]` that starts `at`.
fn host_and_port(text: &str, at: usize) -> Result<Authority, UriFault> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, after) = bracketed
            .split_once(']')
            .ok_or(UriFault("RFC 3986 §3.2.2: `[` without `]`"))?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err(UriFault("RFC 3986 §3.2.2: no IPv6 address"));
        }
        let port = match after.strip_prefix(':') {
            Some(digits) => Some(port(digits)?),
            None if after.is_empty() => None,
            None => return Err(UriFault("RFC 3986 §3.2.2: text behind `]`")),
        };
        return Ok(Authority {
            host: at + 1..at + 1 + host.len(),
            port,
        });
    }
    let (host, port) = match text.split_once(':') {
        Some((host, digits)) => (host, Some(port(digits)?)),
        None => (text, None),
    };
    if host.is_empty() || !host.bytes().all(is_name_octet) {
        return Err(UriFault("RFC 3986 §3.2.2: no host"));
    }
    Ok(Authority {
        host: at..at + host.len(),
        port,
    })
}

fn port(text: &str) -> Result<u16, UriFault> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    let port = if digits { text.parse().ok() } else { None };
    port.ok_or(UriFault("RFC 3986 §3.2.3: port"))
}

/// Checks `transport *( ";" URI-parameter )` and gives the length of the transport.
fn transport(parameters: &str) -> Result<usize, UriFault> {
    let mut parts = parameters.split(';');
    let transport = parts.next().unwrap_or_default();
    if transport.is_empty() || !transport.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
        return Err(UriFault("RFC 4975 §9: transport"));
    }
    if !parts.all(|part| part.bytes().all(|octet| octet.is_ascii_graphic())) {
        return Err(UriFault("RFC 4975 §9: URI-parameter"));
    }
    Ok(transport.len())
}

fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 `reg-name`, without `;`, which begins the parameters here.
fn is_name_octet(octet: u8) -> bool {
    is_unreserved(octet)
        || matches!(
            octet,
            b'%' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'='
        )
}

fn push_host(text: &mut String, host: &str) {
    for octet in host.bytes() {
        if is_name_octet(octet) {
            text.push(char::from(octet));
        } else {
            text.push_str(&format!("%{octet:02X}"));
        }
    }
}

fn same_name(ours: &str, theirs: &str) -> bool {
    if ours.contains('%') || theirs.contains('%') {
        return normal_name(ours) == normal_name(theirs);
    }
    ours.eq_ignore_ascii_case(theirs)
}

/// Lower case, with percent-encoded unreserved characters decoded (RFC 3986 §6.2.2).
fn normal_name(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(character) = rest.chars().next() {
        let code = rest.strip_prefix('%').and_then(|hex| hex.get(..2));
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(octet) if is_unreserved(octet) => {
                normal.push(char::from(octet.to_ascii_lowercase()));
                rest = rest.get(3..).unwrap_or_default();
            }
            _ => {
                normal.push(character.to_ascii_lowercase());
                rest = rest.get(character.len_utf8()..).unwrap_or_default();
            }
        }
    }
    normal
}
