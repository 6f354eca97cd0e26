//! Frames off the octets of one direction, each judged by itself.

use super::{Faults, grammar};

const LINE_END: &[u8] = b"\r\n";

/// What a start line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// A request with its method.
    Request(String),
    /// A response with its status code.
    Response(u16),
}

/// A frame as it stands on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Octets of the direction before it.
    pub offset: usize,
    /// Transaction identifier.
    pub transaction: String,
    /// Method or status code.
    pub head: Head,
    /// Header fields in order, without the paths.
    pub headers: Vec<(String, String)>,
    /// To-Path.
    pub to: Vec<String>,
    /// From-Path.
    pub from: Vec<String>,
    /// Body, if there is one.
    pub body: Option<Vec<u8>>,
    /// `$`, `+` or `#`.
    pub flag: char,
}

impl Frame {
    /// First value of a header field.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// Its Byte-Range.
    #[must_use]
    pub fn range(&self) -> Option<grammar::Range> {
        grammar::byte_range(self.header("Byte-Range")?)
    }

    /// Whether it is a request with that method.
    #[must_use]
    pub fn is(&self, method: &str) -> bool {
        matches!(&self.head, Head::Request(name) if name == method)
    }

    /// The response that a SEND asks for: `yes`, `no` or `partial`.
    #[must_use]
    pub fn failure_report(&self) -> &str {
        self.header("Failure-Report").unwrap_or("yes")
    }

    pub(super) fn length(&self) -> u64 {
        self.body.as_ref().map_or(0, |body| body.len() as u64)
    }
}

/// How header lines are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ear {
    /// A line that breaks the grammar ends the reading.
    Strict,
    /// A line is taken as well as can be: what another side wrote is not judged.
    Forgiving,
}

/// Reads the frames of one direction, up to the first place where it cannot be told where a frame ends.
#[derive(Debug)]
pub(super) struct Reader {
    ear: Ear,
    /// What is no whole frame yet.
    rest: Vec<u8>,
    /// Octets before that.
    offset: usize,
    /// Whether a line may have ended in it since it was last looked at: a frame ends where a line ends.
    fresh: bool,
    unreadable: bool,
}

impl Reader {
    pub(super) fn new(ear: Ear) -> Self {
        Self {
            ear,
            rest: Vec::new(),
            offset: 0,
            fresh: false,
            unreadable: false,
        }
    }

    pub(super) fn push(&mut self, octets: &[u8]) {
        if !self.unreadable {
            self.rest.extend_from_slice(octets);
            self.fresh |= octets.contains(&b'\n');
        }
    }

    pub(super) fn next(&mut self, faults: &mut Faults) -> Option<Frame> {
        if !self.fresh {
            return None;
        }
        match take(&self.rest, self.offset, self.ear, faults) {
            Ok(Some((frame, length))) => {
                if self.ear == Ear::Strict {
                    check(&frame, faults);
                }
                self.rest.drain(..length);
                self.offset += length;
                Some(frame)
            }
            Ok(None) => {
                self.fresh = false;
                None
            }
            Err(what) => {
                faults.add(self.offset, "RFC 4975 §9", what);
                self.unreadable = true;
                self.fresh = false;
                self.rest = Vec::new();
                None
            }
        }
    }

    /// Octets of a frame that has not ended.
    pub(super) fn unfinished(&self) -> usize {
        self.rest.len()
    }
}

/// The first frame of `octets` and its length; `None` if it does not end. An error tells what makes the rest unreadable.
fn take(
    octets: &[u8],
    offset: usize,
    ear: Ear,
    faults: &mut Faults,
) -> Result<Option<(Frame, usize)>, String> {
    let Some((start, mut at)) = line(octets, 0)? else {
        return Ok(None);
    };
    let (transaction, head) = start_line(start)?;
    let end_line = format!("-------{transaction}");
    let mut headers = Vec::new();
    let mut body = None;
    let flag = loop {
        let Some((text, next)) = line(octets, at)? else {
            return Ok(None);
        };
        if text.is_empty() {
            let Some((end, flag)) = body_end(octets, next, &end_line) else {
                return Ok(None);
            };
            body = octets.get(next..end).map(<[u8]>::to_vec);
            at = end + LINE_END.len() + end_line.len() + 1 + LINE_END.len();
            break flag;
        }
        at = next;
        if let Some(flag) = text.strip_prefix(b"-------") {
            break end_flag(flag, &transaction)?;
        }
        headers.push(match ear {
            Ear::Strict => header(text)?,
            Ear::Forgiving => roughly(text),
        });
    };
    let mut hops = |position: usize, name: &str| {
        let (key, value) = headers.get(position).cloned().unwrap_or_default();
        let sound = key.eq_ignore_ascii_case(name);
        faults.require(
            sound,
            offset,
            "RFC 4975 §9",
            format!("{key:?} stands where {name} belongs"),
        );
        value.split(' ').map(str::to_owned).collect::<Vec<_>>()
    };
    let (to, from) = (hops(0, "To-Path"), hops(1, "From-Path"));
    let frame = Frame {
        offset,
        transaction,
        head,
        headers: headers.split_off(headers.len().min(2)),
        to,
        from,
        body,
        flag,
    };
    Ok(Some((frame, at)))
}

/// The line at `at`, and where the next one begins.
fn line(octets: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, String> {
    let rest = octets.get(at..).unwrap_or_default();
    let Some(feed) = rest.iter().position(|octet| *octet == b'\n') else {
        return Ok(None);
    };
    let text = rest.get(..feed).unwrap_or_default();
    let text = text.strip_suffix(b"\r").ok_or("a line ends in LF without CR")?;
    if text.contains(&b'\r') {
        return Err("CR within a line".to_owned());
    }
    Ok(Some((text, at + feed + 1)))
}

fn start_line(text: &[u8]) -> Result<(String, Head), String> {
    let shown = || format!("the start line {:?}", String::from_utf8_lossy(text));
    let mut words = text.splitn(3, |octet| *octet == b' ');
    let protocol = words.next() == Some(b"MSRP");
    let transaction = words
        .next()
        .filter(|word| grammar::is_ident(word))
        .ok_or_else(shown)?;
    let rest = words.next().filter(|_| protocol).ok_or_else(shown)?;
    let transaction = String::from_utf8_lossy(transaction).into_owned();
    if !rest.is_empty() && rest.iter().all(u8::is_ascii_uppercase) {
        let method = String::from_utf8_lossy(rest).into_owned();
        return Ok((transaction, Head::Request(method)));
    }
    let (code, comment) = rest.split_at_checked(3).ok_or_else(shown)?;
    let code = std::str::from_utf8(code)
        .ok()
        .filter(|code| grammar::is_digits(code));
    let code = code.and_then(|code| code.parse().ok()).ok_or_else(shown)?;
    let sound = comment.is_empty() || (comment.starts_with(b" ") && grammar::is_utf8_text(comment));
    if sound {
        Ok((transaction, Head::Response(code)))
    } else {
        Err(shown())
    }
}

fn header(text: &[u8]) -> Result<(String, String), String> {
    let shown = || format!("the header line {:?}", String::from_utf8_lossy(text));
    if !grammar::is_utf8_text(text) {
        return Err(shown());
    }
    let line = std::str::from_utf8(text).map_err(|_| shown())?;
    let (name, value) = line.split_once(": ").ok_or_else(shown)?;
    let sound = grammar::is_header_name(name) && value.trim() == value;
    if sound {
        Ok((name.to_owned(), value.to_owned()))
    } else {
        Err(shown())
    }
}

/// Name and value of a line, whatever it holds.
fn roughly(text: &[u8]) -> (String, String) {
    let line = String::from_utf8_lossy(text);
    let (name, value) = line.split_once(':').unwrap_or((&line, ""));
    (name.trim().to_owned(), value.trim().to_owned())
}

fn end_flag(text: &[u8], transaction: &str) -> Result<char, String> {
    match text.strip_prefix(transaction.as_bytes()) {
        Some([flag @ (b'$' | b'+' | b'#')]) => Ok(char::from(*flag)),
        _ => Err(format!("the end-line -------{:?}", String::from_utf8_lossy(text))),
    }
}

/// Where the body that begins at `from` ends, and the flag.
fn body_end(octets: &[u8], from: usize, end_line: &str) -> Option<(usize, char)> {
    let sought = [LINE_END, end_line.as_bytes()].concat();
    let body = octets.get(from..)?;
    let found = body
        .windows(sought.len())
        .enumerate()
        .filter(|(_, window)| *window == sought);
    for (position, _) in found {
        if let Some([flag @ (b'$' | b'+' | b'#'), b'\r', b'\n']) =
            body.get(position + sought.len()..position + sought.len() + 3)
        {
            return Some((from + position, char::from(*flag)));
        }
    }
    None
}

/// What a frame alone can break.
fn check(frame: &Frame, faults: &mut Faults) {
    check_paths(frame, faults);
    check_headers(frame, faults);
    check_body(frame, faults);
    match &frame.head {
        Head::Response(_) => check_response(frame, faults),
        Head::Request(method) => {
            // 64 bits in letters of which the grammar has 66.
            let long = frame.transaction.len() >= 11;
            faults.require(
                long,
                frame.offset,
                "RFC 4975 §7.1",
                "a transaction id of less than 64 bits",
            );
            match method.as_str() {
                "SEND" => check_send(frame, faults),
                "REPORT" => check_report(frame, faults),
                "NICKNAME" => check_nickname(frame, faults),
                "AUTH" => check_whole(frame, faults),
                other => faults.add(
                    frame.offset,
                    "RFC 4975 §12",
                    format!("a method nobody registered: {other}"),
                ),
            }
        }
    }
}

fn check_paths(frame: &Frame, faults: &mut Faults) {
    for (name, path) in [("To-Path", &frame.to), ("From-Path", &frame.from)] {
        for (position, hop) in path.iter().enumerate() {
            let endpoint = position + 1 == path.len() && !frame.is("AUTH");
            // The To-Path of a response to a SEND may end at a relay.
            let session = endpoint && matches!(frame.head, Head::Request(_));
            // RFC 4976 §8: AUTH alone may leave the port to a look-up.
            let port = !frame.is("AUTH");
            if let Some(fault) = grammar::msrp_uri_fault(hop, session, port) {
                faults.add(
                    frame.offset,
                    "RFC 4975 §9 MSRP-URI",
                    format!("{name} {hop:?}: {fault}"),
                );
            }
        }
    }
    // RFC 4975 §7.1, §7.2: the sender's URI, which is one.
    let one = frame.from.len() == 1;
    faults.require(
        one,
        frame.offset,
        "RFC 4975 §7.1",
        "an endpoint's From-Path is one URI",
    );
}

fn check_headers(frame: &Frame, faults: &mut Faults) {
    for (position, (name, value)) in frame.headers.iter().enumerate() {
        let earlier = frame.headers.iter().take(position);
        let again = earlier.into_iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        faults.require(!again, frame.offset, "RFC 4975 §9", format!("{name} twice"));
        let sound = match name.as_str() {
            "Message-ID" => grammar::is_ident(value.as_bytes()),
            "Success-Report" => matches!(value.as_str(), "yes" | "no"),
            "Failure-Report" => matches!(value.as_str(), "yes" | "no" | "partial"),
            "Byte-Range" => grammar::byte_range(value).is_some(),
            "Status" => grammar::report_status(value).is_some(),
            "Content-Type" => grammar::is_media_type(value),
            "Use-Nickname" => grammar::is_quoted_string(value),
            "To-Path" | "From-Path" => false,
            _ => true,
        };
        faults.require(sound, frame.offset, "RFC 4975 §9", format!("{name}: {value}"));
    }
}

fn check_body(frame: &Frame, faults: &mut Faults) {
    let mut rule = |sound, what: &str| faults.require(sound, frame.offset, "RFC 4975 §7.1", what);
    let last = frame.headers.last().map(|(name, _)| name.as_str());
    let Some(body) = &frame.body else {
        let mime = frame.headers.iter().any(|(name, _)| {
            name.get(..8)
                .is_some_and(|start| start.eq_ignore_ascii_case("Content-"))
        });
        rule(!mime, "MIME headers without a body");
        return;
    };
    rule(
        frame.header("Content-Type").is_some(),
        "a body without Content-Type",
    );
    rule(
        last == Some("Content-Type"),
        "Content-Type is not the last header",
    );
    let end_line = format!("-------{}", frame.transaction).into_bytes();
    let look_alike = body.windows(end_line.len() + 1).any(|window| {
        window
            .strip_prefix(&*end_line)
            .is_some_and(|flag| matches!(flag, [b'$' | b'+' | b'#']))
    });
    rule(!look_alike, "the end-line occurs in the body");
    if !frame.is("SEND") {
        rule(
            body.len() <= 10_240,
            "a body of more than 10240 octets outside SEND",
        );
    }
}

fn check_response(frame: &Frame, faults: &mut Faults) {
    let Head::Response(code) = frame.head else { return };
    let mut rule = |sound, what: &str| faults.require(sound, frame.offset, "RFC 4975 §7.2", what);
    rule(frame.flag == '$', "a response ends with $");
    rule(frame.body.is_none(), "a response with a body");
    let known = [
        200, 400, 401, 403, 404, 408, 413, 415, 423, 424, 425, 428, 481, 501, 506,
    ]
    .contains(&code);
    faults.require(
        known,
        frame.offset,
        "RFC 4975 §10",
        format!("no status code: {code}"),
    );
}

fn check_send(frame: &Frame, faults: &mut Faults) {
    let offset = frame.offset;
    let mut rule = |sound, what: &str| faults.require(sound, offset, "RFC 4975 §7.1.1", what);
    rule(frame.header("Message-ID").is_some(), "SEND without Message-ID");
    rule(frame.header("Status").is_none(), "SEND with Status");
    rule(frame.header("Use-Nickname").is_none(), "SEND with Use-Nickname");
    let length = frame.length();
    let Some(range) = frame.range() else {
        rule(frame.body.is_none(), "SEND with a body and without Byte-Range");
        return;
    };
    rule(range.start >= 1, "positions count from one");
    let end = range.start.saturating_add(length).saturating_sub(1);
    rule(
        range.end.is_none_or(|told| told == end),
        "range-end is not where the body ends",
    );
    rule(
        range.total.is_none_or(|total| end <= total),
        "the body goes beyond the total",
    );
    rule(
        length <= 2048 || range.end.is_none(),
        "more than 2048 octets need * for the range-end",
    );
    match frame.flag {
        '$' => rule(
            range.total.is_none_or(|total| end == total),
            "$ before the total is reached",
        ),
        '+' => rule(
            length >= 2048,
            "a chunk of less than 2048 octets that is not the last",
        ),
        _ => {}
    }
}

fn check_whole(frame: &Frame, faults: &mut Faults) {
    faults.require(
        frame.flag == '$',
        frame.offset,
        "RFC 4975 §7.1",
        "only SEND is cut in chunks",
    );
    for name in ["Success-Report", "Failure-Report"] {
        let none = frame.header(name).is_none();
        faults.require(
            none,
            frame.offset,
            "RFC 4975 §7.1.2",
            format!("{name} belongs to SEND"),
        );
    }
}

fn check_report(frame: &Frame, faults: &mut Faults) {
    check_whole(frame, faults);
    let mut rule = |sound, what: &str| faults.require(sound, frame.offset, "RFC 4975 §7.1.3", what);
    rule(frame.header("Message-ID").is_some(), "REPORT without Message-ID");
    let status = frame.header("Status").and_then(grammar::report_status);
    rule(
        status.is_some_and(|(namespace, _)| namespace == 0),
        "REPORT without Status in namespace 000",
    );
    let range = frame.range();
    let told = range.is_some_and(|range| range.start >= 1 && range.end.is_some());
    faults.require(
        told,
        frame.offset,
        "RFC 4975 §7.1.4",
        "REPORT without the range that it is about",
    );
    let within = range.is_none_or(|range| match (range.end, range.total) {
        (Some(end), Some(total)) => end <= total && end + 1 >= range.start,
        (Some(end), None) => end + 1 >= range.start,
        _ => true,
    });
    faults.require(
        within,
        frame.offset,
        "RFC 4975 §7.1.4",
        "the numbers of Byte-Range contradict each other",
    );
}

fn check_nickname(frame: &Frame, faults: &mut Faults) {
    check_whole(frame, faults);
    let nickname = frame.header("Use-Nickname").and_then(grammar::unquoted);
    // RFC 7701 §7.3: none at all gives the nickname back.
    let sound = nickname.is_some_and(|nickname| nickname.len() <= 1023);
    faults.require(
        sound,
        frame.offset,
        "RFC 7701 §7.1",
        "NICKNAME without a nickname of at most 1023 octets",
    );
}
