//! The head reader: start line and header fields from octets (RFC 3261 §7).

use std::{borrow::Cow, ops::ControlFlow};

use memchr::memmem;

use super::{Header, Headers, Rejection, StatusCode, headers::canonical_name, lex};
use crate::Limits;

/// The largest Content-Length that is a number to us.
pub(super) const MAX_CONTENT_LENGTH: u64 = (1 << 31) - 1;

/// Room for the header fields of most messages.
const USUAL_HEADERS: usize = 20;

/// A head as far as it could be read.
pub(super) struct Head<'a> {
    /// The first line.
    pub(super) start_line: Cow<'a, str>,
    /// The header fields that could be read.
    pub(super) headers: Headers,
    /// Octets up to and with the blank line, counted from the start of the input.
    pub(super) length: usize,
    /// The first broken rule.
    pub(super) fault: Option<Rejection>,
}

/// Reads a head within the limits. What is broken is left out and named, since a refusal needs the rest.
pub(super) fn read_head<'a>(octets: &'a [u8], limits: &Limits) -> Head<'a> {
    let skipped = leading_line_ends(octets);
    let (_, text) = octets.split_at_checked(skipped).unwrap_or_default();
    let mut head = Head {
        start_line: Cow::Borrowed(""),
        headers: Headers::default(),
        length: octets.len(),
        fault: None,
    };
    let Some(end) = find_blank_line(text) else {
        head.note(Rejection::bad(
            "No blank line ends the header fields (RFC 3261 §7)",
        ));
        head.read_lines(whole_lines(text), limits);
        return head;
    };
    head.length = skipped + end + 4;
    if end + 4 > limits.head {
        head.note(too_large(
            "Start line and header fields over the limit (RFC 3261 §21.5.7)",
        ));
    }
    head.read_lines(text.get(..end).unwrap_or_default(), limits);
    head
}

/// Where the line end stands that a blank line follows.
pub(super) fn find_blank_line(text: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', text)
        .filter(|place| {
            text.get(place + 1..)
                .is_some_and(|behind| behind.starts_with(b"\r\n"))
        })
        .filter_map(|place| place.checked_sub(1))
        .find(|place| text.get(*place) == Some(&b'\r'))
}

/// Without a last line that may have been cut off.
fn whole_lines(text: &[u8]) -> &[u8] {
    memmem::rfind(text, b"\r\n")
        .and_then(|end| text.get(..end))
        .unwrap_or_default()
}

/// The body length that a head announces, 0 if it has none to say. More than one value is a way to smuggle a message past a
/// neighbour, unless they agree.
pub(super) fn content_length(head: &[u8]) -> Result<usize, &'static str> {
    let mut length = None;
    for line in (LogicalLines { rest: Some(head) }) {
        let mut halves = line.splitn(2, |octet| *octet == b':');
        let (Some(name), Some(value)) = (halves.next(), halves.next()) else {
            continue;
        };
        let name = name.trim_ascii_end();
        if !name.eq_ignore_ascii_case(b"Content-Length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let announced = std::str::from_utf8(value.trim_ascii())
            .ok()
            .and_then(|text| lex::read_number(text, MAX_CONTENT_LENGTH))
            .and_then(|number| usize::try_from(number).ok())
            .ok_or("Content-Length is no number below 2^31")?;
        if length.is_some_and(|length| length != announced) {
            return Err("Several Content-Length values");
        }
        length = Some(announced);
    }
    Ok(length.unwrap_or(0))
}

/// Line ends before a start line are ignored (RFC 3261 §7.5).
fn leading_line_ends(octets: &[u8]) -> usize {
    let mut rest = octets;
    while let Some(behind) = rest.strip_prefix(b"\r\n") {
        rest = behind;
    }
    octets.len() - rest.len()
}

impl<'a> Head<'a> {
    fn read_lines(&mut self, text: &'a [u8], limits: &Limits) {
        let text = text.get(..limits.head).map_or(text, whole_lines);
        // Looked at as a whole, which is cheaper than each line by itself.
        let whole = std::str::from_utf8(text).ok();
        let mut lines = LogicalLines { rest: Some(text) };
        self.headers.0.reserve(USUAL_HEADERS);
        match lines.next() {
            Some(line) if line.len() > limits.header_line => self.note(Rejection {
                status: StatusCode(414),
                rule: "Start line over the limit (RFC 3261 §21.4.12)",
            }),
            Some(line) => self.read_start_line(line),
            None => {}
        }
        for line in lines {
            let text = match &line {
                Cow::Borrowed(part) => {
                    whole.and_then(|whole| whole.get(lex::place_in(whole.as_bytes(), part)))
                }
                Cow::Owned(_) => None,
            };
            let text = text.or_else(|| std::str::from_utf8(&line).ok());
            if self.read_header(line.len(), text, limits).is_break() {
                break;
            }
        }
    }

    fn read_start_line(&mut self, line: Cow<'a, [u8]>) {
        let text = match line {
            Cow::Borrowed(line) => std::str::from_utf8(line).map(Cow::Borrowed).ok(),
            Cow::Owned(line) => String::from_utf8(line).map(Cow::Owned).ok(),
        };
        match text {
            Some(text) if !lex::has_control(&text) => self.start_line = text,
            _ => self.note(Rejection::bad("Start line is not text (RFC 3261 §7)")),
        }
    }

    /// A header line of this length; `None`: it is no text.
    fn read_header(&mut self, length: usize, text: Option<&str>, limits: &Limits) -> ControlFlow<()> {
        if self.headers.0.len() >= limits.headers {
            self.note(too_large("Too many header fields (RFC 3261 §21.5.7)"));
            return ControlFlow::Break(());
        }
        if length > limits.header_line {
            self.note(too_large("Header field over the limit (RFC 3261 §21.5.7)"));
            return ControlFlow::Continue(());
        }
        let no_text = Rejection::bad("Header field is not UTF-8 (RFC 3261 §7)");
        match text.ok_or(no_text).and_then(read_field) {
            Ok(header) => self.headers.0.push(header),
            Err(rejection) => self.note(rejection),
        }
        ControlFlow::Continue(())
    }

    fn note(&mut self, rejection: Rejection) {
        self.fault.get_or_insert(rejection);
    }
}

fn read_field(text: &str) -> Result<Header, Rejection> {
    let (name, value) = lex::split_once(text, b':')
        .ok_or(Rejection::bad("Header field without a colon (RFC 3261 §7.3.1)"))?;
    let name = canonical_name(lex::trim_end(name));
    if matches!(name, Cow::Owned(_)) && !lex::is_token(&name) {
        return Err(Rejection::bad("Header name is not a token (RFC 3261 §7.3.1)"));
    }
    if has_stray_control(value) {
        return Err(Rejection::bad(
            "Control character in a header field (RFC 3261 §25.1)",
        ));
    }
    Ok(Header {
        name,
        value: lex::trim(value).to_owned(),
    })
}

/// Control characters may stand only behind a backslash in a quoted string, and line ends not even there (RFC 3261 §25.1).
fn has_stray_control(value: &str) -> bool {
    // Most values have none: all octets are looked at without a branch.
    let suspicious = value
        .bytes()
        .fold(false, |found, octet| found | is_control(octet));
    if !suspicious {
        return false;
    }
    let (mut quoted, mut escaped) = (false, false);
    for octet in value.bytes() {
        if is_control(octet) && (!escaped || matches!(octet, b'\r' | b'\n')) {
            return true;
        }
        (quoted, escaped) = match octet {
            _ if escaped => (quoted, false),
            b'\\' if quoted => (quoted, true),
            b'"' => (!quoted, false),
            _ => (quoted, false),
        };
    }
    false
}

const fn is_control(octet: u8) -> bool {
    octet.is_ascii_control() && octet != b'\t'
}

const fn too_large(rule: &'static str) -> Rejection {
    Rejection {
        status: StatusCode(513),
        rule,
    }
}

/// Lines with their folded continuations joined by one space (RFC 3261 §7.3.1).
struct LogicalLines<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for LogicalLines<'a> {
    type Item = Cow<'a, [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        let (first, mut rest) = split_line(self.rest?);
        let mut line = Cow::Borrowed(first);
        while let Some((next, behind)) = rest.filter(|rest| is_continuation(rest)).map(split_line) {
            let joined = line.to_mut();
            joined.truncate(joined.trim_ascii_end().len());
            joined.push(b' ');
            joined.extend_from_slice(next.trim_ascii());
            rest = behind;
        }
        self.rest = rest;
        Some(line)
    }
}

fn is_continuation(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

/// The first line without its end, and what follows; `None` behind the last one.
fn split_line(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut from = 0;
    let end = loop {
        let Some(place) = text.get(from..).and_then(|rest| memchr::memchr(b'\r', rest)) else {
            break None;
        };
        let place = from + place;
        if text.get(place + 1) == Some(&b'\n') {
            break Some(place);
        }
        from = place + 1;
    };
    match end.and_then(|end| text.split_at_checked(end)) {
        Some((line, behind)) => (line, behind.get(2..)),
        None => (text, None),
    }
}
