//! Message headers and the headers of the content.

use memchr::memchr;

use crate::frame::has_control;

use super::{Address, CORE_NAMESPACE, Cpim, CpimFault, escape::unescape};

/// Message headers at most.
const HEADERS: usize = 64;

/// What the content says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ContentHeaders {
    pub(super) content_type: Option<String>,
    pub(super) transfer_encoding: String,
    pub(super) other: Vec<(String, String)>,
}

/// Reads the message headers up to the blank line; gives what follows it.
pub(super) fn message_headers(body: &[u8]) -> Result<(Cpim, &[u8]), CpimFault> {
    let mut cpim = Cpim::default();
    let mut names = Names::default();
    let mut rest = body;
    for _ in 0..=HEADERS {
        let (line, after) =
            next_line(rest).ok_or(CpimFault("RFC 3862 §2: no blank line behind the message headers"))?;
        rest = after;
        if line.is_empty() {
            return Ok((cpim, rest));
        }
        cpim.take(&header(line)?, &mut names)?;
    }
    Err(CpimFault("more than 64 message headers"))
}

/// Reads the MIME headers of the content; gives the content. What does not begin with headers is content from its start.
pub(super) fn content_headers(rest: &[u8]) -> (ContentHeaders, &[u8]) {
    let mut headers = ContentHeaders::default();
    let mut lines = rest;
    // Text whose first words end in a colon is no header.
    let mut is_mime = next_line(rest).is_some_and(|(line, _)| line.is_empty());
    let mut folded: Option<(String, String)> = None;
    while let Some((line, after)) = next_line(lines).or((!lines.is_empty()).then_some((lines, &[]))) {
        lines = after;
        if line.is_empty() {
            headers.take(folded);
            return if is_mime {
                (headers, lines)
            } else {
                (ContentHeaders::default(), rest)
            };
        }
        let Some(text) = std::str::from_utf8(line).ok().filter(|text| is_printable(text)) else {
            return (ContentHeaders::default(), rest);
        };
        match (&mut folded, text.split_once(':')) {
            (Some((_, value)), _) if text.starts_with([' ', '\t']) => value.push_str(text),
            (_, Some((name, value))) if is_mime_name(name) => {
                is_mime |= ["Content-", "MIME-"].into_iter().any(|family| {
                    name.get(..family.len())
                        .is_some_and(|start| start.eq_ignore_ascii_case(family))
                });
                headers.take(folded.replace((name.to_owned(), value.to_owned())));
            }
            _ => return (ContentHeaders::default(), rest),
        }
    }
    headers.take(folded);
    if headers.content_type.is_some() {
        (headers, lines)
    } else {
        (ContentHeaders::default(), rest)
    }
}

/// Name, parameters and colon of a header as they are written; `None` for names that have a field of their own or cannot be names.
pub(super) fn written_name(name: &str) -> Option<String> {
    if matches!(bare_name(name), "From" | "To" | "DateTime") || !is_name(bare_name(name)) {
        return None;
    }
    let parameters = name.get(bare_name(name).len()..).unwrap_or_default();
    let sound = parameters
        .chars()
        .all(|character| !character.is_control() && character != ' ');
    sound.then(|| format!("{}:{parameters} ", bare_name(name)))
}

/// Prefix and namespace of an NS header (RFC 3862 §4.6).
pub(super) fn declaration<'a>(name: &str, value: &'a str) -> Option<(&'a str, &'a str)> {
    if name != "NS" {
        return None;
    }
    let (prefix, uri) = value.split_once('<')?;
    Some((prefix.trim(), uri.split_once('>')?.0))
}

/// Which names stand for the headers of RFC 3862 here.
#[derive(Default)]
struct Names {
    /// Prefixes of its namespace.
    core: Vec<String>,
    /// Names without prefix mean something else.
    default_replaced: bool,
}

impl Names {
    fn declare(&mut self, prefix: &str, namespace: &str) {
        let is_core = namespace == CORE_NAMESPACE;
        if prefix.is_empty() {
            self.default_replaced = !is_core;
            return;
        }
        self.core.retain(|declared| declared != prefix);
        if is_core {
            self.core.push(prefix.to_owned());
        }
    }

    /// The name among the headers of RFC 3862, if it is one.
    fn core<'a>(&self, name: &'a str) -> Option<&'a str> {
        match name.split_once('.') {
            Some((prefix, local)) => self
                .core
                .iter()
                .any(|declared| declared == prefix)
                .then_some(local),
            None => (!self.default_replaced).then_some(name),
        }
    }
}

impl Cpim {
    fn take(&mut self, header: &Header<'_>, names: &mut Names) -> Result<(), CpimFault> {
        let value = header.value;
        match names.core(header.name) {
            Some("From") if self.from.is_some() => return Err(CpimFault("RFC 3862 §4.1: two From headers")),
            Some("From") => self.from = Some(Address::parse(value)?),
            Some("To") => self.to.push(Address::parse(value)?),
            Some("DateTime") => self.date_time = self.date_time.or(value.trim().parse().ok()),
            _ => {
                let value = unescape(value);
                if let Some((prefix, namespace)) = declaration(header.name, &value) {
                    names.declare(prefix, namespace);
                }
                self.other
                    .push((format!("{}{}", header.name, header.parameters), value));
            }
        }
        Ok(())
    }
}

impl ContentHeaders {
    fn take(&mut self, header: Option<(String, String)>) {
        let Some((name, value)) = header else { return };
        if name.eq_ignore_ascii_case("Content-Type") && !value.trim().is_empty() {
            self.content_type = Some(value.trim().to_owned());
        } else if name.eq_ignore_ascii_case("Content-Transfer-Encoding") {
            self.transfer_encoding = value.trim().to_owned();
        } else if !is_about_writing(&name) && self.other.len() < HEADERS {
            self.other.push((name, value.trim().to_owned()));
        }
    }
}

/// One message header.
struct Header<'a> {
    name: &'a str,
    /// With their semicolons.
    parameters: &'a str,
    value: &'a str,
}

/// `Header-name ":" *( ";" Parameter ) SP Header-value`.
fn header(line: &[u8]) -> Result<Header<'_>, CpimFault> {
    let text =
        std::str::from_utf8(line).map_err(|_| CpimFault("RFC 3862 §2.2: a message header is no UTF-8"))?;
    if !is_printable(text) {
        return Err(CpimFault("RFC 3862 §2.2: control character in a message header"));
    }
    let (name, rest) = text
        .split_once(':')
        .ok_or(CpimFault("RFC 3862 §3.6: a message header without colon"))?;
    if !is_name(name) {
        return Err(CpimFault("RFC 3862 §3.1: name of a message header"));
    }
    let parameters = if rest.starts_with(';') {
        rest.find(' ').unwrap_or(rest.len())
    } else {
        0
    };
    let (parameters, value) = rest.split_at(parameters);
    Ok(Header {
        name,
        parameters,
        // One space separates (§3); a further one belongs to the value.
        value: value.strip_prefix(' ').unwrap_or(value),
    })
}

fn is_printable(text: &str) -> bool {
    !has_control(text.as_bytes())
}

fn bare_name(name: &str) -> &str {
    name.split(';').next().unwrap_or_default()
}

/// `[ Name-prefix "." ] Name`.
fn is_name(name: &str) -> bool {
    let is_name_octet = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-^_`|~.".contains(&octet);
    !name.is_empty() && name.bytes().all(is_name_octet)
}

/// Headers of the content that are true of one way to write it alone.
pub(super) fn is_about_writing(name: &str) -> bool {
    ["Content-Type", "Content-Transfer-Encoding", "Content-Length"]
        .into_iter()
        .any(|listed| name.eq_ignore_ascii_case(listed))
}

pub(super) fn is_mime_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet))
}

/// A line without its CRLF or LF, and what follows.
fn next_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, rest) = bytes.split_at_checked(memchr(b'\n', bytes)?)?;
    Some((
        line.strip_suffix(b"\r").unwrap_or(line),
        rest.get(1..).unwrap_or_default(),
    ))
}
