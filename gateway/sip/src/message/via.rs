//! One Via value (RFC 3261 §20.42, RFC 3581).

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use super::{Rejection, lex};

/// The beginning of a branch that is a transaction identifier (RFC 3261 §8.1.1.7).
pub const MAGIC_COOKIE: &str = "z9hG4bK";

/// One hop: `SIP/2.0/transport host[:port];parameters`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// Transport in upper case: `UDP`, `TCP`, `TLS`, or any other token.
    pub transport: Cow<'static, str>,
    /// sent-by host in lower case, without brackets.
    pub host: String,
    /// sent-by port, if written.
    pub port: Option<u16>,
    /// `branch`; RFC 2543 peers send none.
    pub branch: Option<String>,
    /// `received`; brackets, which some peers write around IPv6 addresses (RFC 5118 §4.5), are gone.
    pub received: Option<IpAddr>,
    /// `rport` (RFC 3581): `Some(None)` asks for it, `Some(Some(port))` answers.
    pub rport: Option<Option<u16>>,
    /// The others as written, in order; also a `received` or `rport` that could not be read.
    pub parameters: Vec<(String, Option<String>)>,
}

impl Via {
    /// Whether the branch identifies a transaction by itself (RFC 3261 §17.2.3); without, RFC 2543 matching applies.
    #[must_use]
    pub fn has_transaction_branch(&self) -> bool {
        self.branch.as_deref().is_some_and(is_transaction_branch)
    }

    /// Another parameter's value (`Some("")` if it has none). Names without case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        lex::find_parameter(&self.parameters, name)
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} ", self.transport)?;
        match self.host.parse::<Ipv6Addr>() {
            Ok(_) => write!(f, "[{}]", self.host)?,
            Err(_) => f.write_str(&self.host)?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        if let Some(branch) = &self.branch {
            write!(f, ";branch={branch}")?;
        }
        if let Some(received) = self.received {
            write!(f, ";received={received}")?;
        }
        match self.rport {
            Some(Some(port)) => write!(f, ";rport={port}")?,
            Some(None) => f.write_str(";rport")?,
            None => {}
        }
        lex::write_parameters(f, &self.parameters)
    }
}

impl FromStr for Via {
    type Err = Rejection;
    fn from_str(text: &str) -> Result<Self, Rejection> {
        let parts = Parts::read(text, |version| version == "2.0")?;
        let mut via = Self {
            transport: upper_case(parts.transport),
            host: parts.host.to_ascii_lowercase(),
            port: parts.port,
            branch: None,
            received: None,
            rport: None,
            parameters: Vec::new(),
        };
        for parameter in parts.parameters() {
            let (name, value) = parameter?;
            via.take_parameter(name, value);
        }
        Ok(via)
    }
}

/// Whether a Via value is well formed, and then whether it has a transaction branch ([`Via::has_transaction_branch`]).
pub(super) fn check(text: &str) -> Result<bool, Rejection> {
    let mut branch = None;
    for parameter in Parts::read(text, |version| version == "2.0")?.parameters() {
        let (name, value) = parameter?;
        if branch.is_none() && name.eq_ignore_ascii_case("branch") {
            branch = value;
        }
    }
    Ok(branch.is_some_and(is_transaction_branch))
}

/// The same of any version: a request of SIP 3.0 deserves a response, too (RFC 3261 §21.5.6).
pub(super) fn is_via_of_any_version(text: &str) -> bool {
    Parts::read(text, lex::is_token).is_ok_and(|parts| parts.parameters().all(|parameter| parameter.is_ok()))
}

/// Host and port of the sent-by, without a copy; the parameters are not looked at.
pub(crate) fn sent_by(text: &str) -> Option<(Cow<'_, str>, Option<u16>)> {
    let parts = Parts::read(text, |version| version == "2.0").ok()?;
    Some((parts.host, parts.port))
}

/// A Via value taken apart before anything of it is copied.
struct Parts<'a> {
    transport: &'a str,
    host: Cow<'a, str>,
    port: Option<u16>,
    /// Behind the first semicolon; not yet looked at.
    parameters: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str, is_version: fn(&str) -> bool) -> Result<Self, Rejection> {
        let (address, parameters) = match lex::split_once_outside(text, b';') {
            Some((address, parameters)) => (lex::trim(address), Some(parameters)),
            None => (lex::trim(text), None),
        };
        let (transport, sent_by) = read_protocol(address, is_version)?;
        let (host, port) = lex::read_host_port(sent_by, lex::trim)?;
        Ok(Self {
            transport,
            host,
            port,
            parameters,
        })
    }

    fn parameters(&self) -> lex::Parameters<'a> {
        lex::parameters(self.parameters)
    }
}

impl Via {
    fn take_parameter(&mut self, name: &str, value: Option<&str>) {
        let text = value.unwrap_or_default();
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let taken = if is("branch") {
            take(&mut self.branch, (!text.is_empty()).then(|| text.to_owned()))
        } else if is("received") {
            take(&mut self.received, read_address(text))
        } else if is("rport") {
            let rport = match value {
                None => Some(None),
                Some(text) => read_port(text).map(Some),
            };
            take(&mut self.rport, rport)
        } else {
            false
        };
        if !taken {
            self.parameters.push((name.to_owned(), value.map(str::to_owned)));
        }
    }
}

fn upper_case(transport: &str) -> Cow<'static, str> {
    ["UDP", "TCP", "TLS", "WS", "WSS"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(transport))
        .map_or_else(|| Cow::Owned(transport.to_ascii_uppercase()), Cow::Borrowed)
}

fn is_transaction_branch(branch: &str) -> bool {
    branch.len() > MAGIC_COOKIE.len() && branch.starts_with(MAGIC_COOKIE)
}

/// Fills an empty place. Whether it did.
fn take<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let taken = place.is_none() && value.is_some();
    if taken {
        *place = value;
    }
    taken
}

fn read_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    bare.unwrap_or(text).parse().ok()
}

fn read_port(text: &str) -> Option<u16> {
    u16::try_from(lex::read_number(text, u64::from(u16::MAX))?).ok()
}

/// Splits `SIP / 2.0 / UDP sent-by`; space may stand around the slashes.
fn read_protocol(text: &str, is_version: fn(&str) -> bool) -> Result<(&str, &str), Rejection> {
    const FAULT: Rejection = Rejection::bad("Malformed Via (RFC 3261 §20.42)");
    let rest = match text.strip_prefix("SIP/2.0/") {
        Some(rest) => rest,
        None => {
            let (name, rest) = lex::split_once(text, b'/').ok_or(FAULT)?;
            let (version, rest) = lex::split_once(rest, b'/').ok_or(FAULT)?;
            if !lex::trim(name).eq_ignore_ascii_case("SIP") || !is_version(lex::trim(version)) {
                return Err(FAULT);
            }
            rest
        }
    };
    let (transport, sent_by) = lex::split_blank(lex::trim(rest)).ok_or(FAULT)?;
    if !lex::is_token(transport) {
        return Err(FAULT);
    }
    Ok((transport, lex::trim(sent_by)))
}
