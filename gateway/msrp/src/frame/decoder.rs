//! Bytes to frames, from any split, without looking at an octet twice.

use std::str;

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memmem};

use crate::{Limits, Path, Status};

use super::{Content, Fault, Flag, Frame, Headers, Kind, Method, TransactionId, header};

/// Cuts a stream into frames.
///
/// Give it bytes with [`Decoder::push`], then take [`Decoder::next_frame`] until `None`. What it holds is bounded by
/// [`Limits::start_line`], [`Limits::header_line`], [`Limits::headers`] and [`Limits::chunk_in`] plus what was pushed and not yet
/// taken. After a [`Fault`] it yields nothing more.
#[derive(Debug)]
pub struct Decoder {
    limits: Bounds,
    /// Starts at the line or body that is being read.
    buffer: BytesMut,
    /// Octets at the start of `buffer` that have been searched in vain.
    searched: usize,
    /// Octets of the stream before `buffer`.
    consumed: u64,
    state: State,
    paths: RecentPaths,
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    start_line: usize,
    header_line: usize,
    headers: usize,
    chunk: usize,
}

#[derive(Debug)]
enum State {
    /// Before a start line.
    Start,
    /// Among the headers.
    Head(Box<Head>),
    /// In the body; `buffer` starts behind the blank line.
    Body(Box<Head>, EndLine),
    /// In the rest of a body that was too long.
    Skip(EndLine),
    /// The framing is lost.
    Faulted,
}

#[derive(Debug)]
struct Head {
    transaction: TransactionId,
    kind: Kind,
    to: Option<Path>,
    from: Option<Path>,
    headers: Headers,
    lines: usize,
}

/// CRLF, seven hyphens and the transaction id.
#[derive(Debug, Clone, Copy)]
struct EndLine {
    octets: [u8; 41],
    length: usize,
}

/// The latest To-Path and From-Path as text and as read: nearly all frames repeat those of the one before.
#[derive(Debug, Default)]
struct RecentPaths {
    to: Option<(Box<[u8]>, Path)>,
    from: Option<(Box<[u8]>, Path)>,
}

/// A line without its CRLF.
struct Line<'a> {
    text: &'a [u8],
    offset: u64,
}

/// What a line among the headers was.
enum Step {
    Header,
    BlankLine,
    EndLine(Flag),
}

impl Decoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let limits = Bounds {
            start_line: limits.start_line,
            header_line: limits.header_line,
            headers: limits.headers,
            chunk: limits.chunk_in,
        };
        Self {
            limits,
            buffer: BytesMut::new(),
            searched: 0,
            consumed: 0,
            state: State::Start,
            paths: RecentPaths::default(),
        }
    }

    /// Bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Faulted) {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Octets of the stream that have been taken as lines and bodies.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.consumed
    }

    /// Octets held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// The next frame; `None` when more bytes are needed, and after a fault.
    pub fn next_frame(&mut self) -> Option<Result<Frame, Fault>> {
        let frame = self.advance().transpose();
        if let Some(Err(_)) = frame {
            self.state = State::Faulted;
            self.buffer = BytesMut::new();
        }
        if frame.is_none() && self.buffer.is_empty() && self.buffer.capacity() > KEPT {
            self.buffer = BytesMut::new();
        }
        frame
    }

    fn advance(&mut self) -> Result<Option<Frame>, Fault> {
        loop {
            match std::mem::replace(&mut self.state, State::Start) {
                State::Start => {
                    let Some(line) = self.line(self.limits.start_line, START_TOO_LONG)? else {
                        return Ok(None);
                    };
                    // Empty lines between frames are tolerated.
                    let head = if line.text.is_empty() {
                        None
                    } else {
                        Some(start_line(&line)?)
                    };
                    self.discard_line();
                    self.state = head.map_or(State::Start, |head| State::Head(Box::new(head)));
                }
                State::Head(mut head) => {
                    // Not while a line borrows the rest.
                    let mut paths = std::mem::take(&mut self.paths);
                    let limits = self.limits;
                    let Some(line) = self.line(limits.header_line, HEADER_TOO_LONG)? else {
                        self.paths = paths;
                        self.state = State::Head(head);
                        return Ok(None);
                    };
                    let (step, offset) = (head.step(&line, limits.headers, &mut paths)?, line.offset);
                    self.paths = paths;
                    self.discard_line();
                    match step {
                        Step::Header => self.state = State::Head(head),
                        Step::BlankLine => {
                            let end_line = EndLine::of(&head.transaction);
                            self.state = State::Body(head, end_line);
                        }
                        Step::EndLine(flag) => return head.frame(Content::None, flag, offset).map(Some),
                    }
                }
                State::Body(head, end_line) => return self.body(head, end_line),
                State::Skip(end_line) => {
                    if !self.skip(end_line) {
                        return Ok(None);
                    }
                }
                State::Faulted => {
                    self.state = State::Faulted;
                    return Ok(None);
                }
            }
        }
    }

    /// The line at the start of the buffer; `None` if its CRLF is not there yet. [`Self::discard_line`] takes it off.
    fn line(&mut self, limit: usize, too_long: &'static str) -> Result<Option<Line<'_>>, Fault> {
        let offset = self.consumed;
        let fault = |rule, position: usize| Fault {
            rule,
            offset: offset + position as u64,
        };
        let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
        let found = memchr(b'\n', unsearched);
        self.searched += found.unwrap_or(unsearched.len());
        // One more for the CR.
        if self.searched > limit.saturating_add(1) {
            return Err(fault(too_long, limit));
        }
        if found.is_none() {
            return Ok(None);
        }
        let text = self.buffer.get(..self.searched).unwrap_or_default();
        let Some(text) = text.strip_suffix(b"\r") else {
            return Err(fault("RFC 4975 §9: a line ends in LF without CR", self.searched));
        };
        if let Some(position) = memchr(b'\r', text) {
            return Err(fault("RFC 4975 §9: CR within a line", position));
        }
        Ok(Some(Line { text, offset }))
    }

    /// Takes the line that has been found off the buffer, with its LF.
    fn discard_line(&mut self) {
        self.discard(self.searched + 1);
    }

    fn body(&mut self, head: Box<Head>, end_line: EndLine) -> Result<Option<Frame>, Fault> {
        let offset = self.consumed;
        let end = self.find_end(&end_line, self.searched == 0);
        let too_long = match end {
            Some((length, _, _)) => length > self.limits.chunk,
            None => self.searched > self.limits.chunk,
        };
        if too_long {
            self.discard(self.searched);
            self.state = State::Skip(end_line);
            return head.frame(Content::TooLong, Flag::More, offset).map(Some);
        }
        let Some((length, whole, flag)) = end else {
            self.state = State::Body(head, end_line);
            return Ok(None);
        };
        let body = Bytes::copy_from_slice(self.buffer.get(..length).unwrap_or_default());
        self.discard(whole);
        let bodiless = body.is_empty() && head.headers.content_type.is_none();
        let content = if bodiless {
            Content::None
        } else {
            Content::Body(body)
        };
        head.frame(content, flag, offset).map(Some)
    }

    /// Drops what it can; `true` when the end-line has been passed.
    fn skip(&mut self, end_line: EndLine) -> bool {
        if let Some((_, whole, _)) = self.find_end(&end_line, false) {
            self.discard(whole);
            return true;
        }
        self.discard(self.searched);
        self.state = State::Skip(end_line);
        false
    }

    fn discard(&mut self, octets: usize) {
        self.buffer.advance(octets.min(self.buffer.len()));
        self.consumed += octets as u64;
        self.searched = 0;
    }

    /// Octets before the end-line, octets with it, and its flag. A peer that ends an empty body right behind the blank line
    /// has spared the CRLF of the end-line; `at_start` allows that.
    fn find_end(&mut self, end_line: &EndLine, at_start: bool) -> Option<(usize, usize, Flag)> {
        let pattern = end_line.pattern();
        let spared = pattern.get(2..).unwrap_or_default();
        if at_start {
            match Match::of(&self.buffer, spared) {
                Match::Whole(flag) => return Some((0, spared.len() + 3, flag)),
                Match::Part => return None,
                Match::No => {}
            }
        }
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(found) = memmem::find(unsearched, pattern) else {
                // The last octets may be the beginning of the end-line.
                let undecided = self.buffer.len().saturating_sub(pattern.len() - 1);
                self.searched = self.searched.max(undecided);
                return None;
            };
            self.searched += found;
            match Match::of(self.buffer.get(self.searched..).unwrap_or_default(), pattern) {
                Match::Whole(flag) => return Some((self.searched, self.searched + pattern.len() + 3, flag)),
                Match::Part => return None,
                Match::No => self.searched += 1,
            }
        }
    }
}

/// How bytes compare with an end-line up to its CRLF.
enum Match {
    Whole(Flag),
    Part,
    No,
}

impl Match {
    fn of(bytes: &[u8], pattern: &[u8]) -> Self {
        let (begin, rest) = bytes.split_at(bytes.len().min(pattern.len()));
        if !pattern.starts_with(begin) {
            return Self::No;
        }
        match rest {
            [] => Self::Part,
            [flag, after @ ..] => match (Flag::from_octet(*flag), after) {
                (Some(flag), [b'\r', b'\n', ..]) => Self::Whole(flag),
                (Some(_), [] | [b'\r']) => Self::Part,
                _ => Self::No,
            },
        }
    }
}

impl EndLine {
    fn of(transaction: &TransactionId) -> Self {
        let mut octets = [0; 41];
        let mut length = 0;
        let text = [b"\r\n", HYPHENS, transaction.as_str().as_bytes()].concat();
        if let Some(place) = octets.get_mut(..text.len()) {
            place.copy_from_slice(&text);
            length = text.len();
        }
        Self { octets, length }
    }

    fn pattern(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }

    /// The flag of a line that is this end-line.
    fn flag(&self, line: &[u8]) -> Option<Flag> {
        match line.strip_prefix(self.pattern().get(2..)?)? {
            [flag] => Flag::from_octet(*flag),
            _ => None,
        }
    }
}

/// Octets of room that an idle decoder keeps.
const KEPT: usize = 4096;
const HYPHENS: &[u8] = b"-------";
const NO_PATH: &str = "RFC 4975 §9: no To-Path or no From-Path";
const START_TOO_LONG: &str = "Limits::start_line: start line too long";
const HEADER_TOO_LONG: &str = "Limits::header_line: header line too long";

impl Line<'_> {
    fn fault(&self, rule: &'static str) -> Fault {
        Fault {
            rule,
            offset: self.offset,
        }
    }
}

/// `MSRP SP transact-id SP ( method / status-code [SP comment] )`.
fn start_line(line: &Line<'_>) -> Result<Head, Fault> {
    let fault = || line.fault("RFC 4975 §9: start line");
    let rest = line.text.strip_prefix(b"MSRP ").ok_or_else(fault)?;
    let space = memchr(b' ', rest).ok_or_else(fault)?;
    let (transaction, rest) = rest.split_at(space);
    let transaction = TransactionId::parse(transaction);
    let transaction = transaction.ok_or_else(|| line.fault("RFC 4975 §9: transact-id"))?;
    let kind = kind(rest.get(1..).unwrap_or_default()).ok_or_else(fault)?;
    Ok(Head {
        transaction,
        kind,
        to: None,
        from: None,
        headers: Headers::default(),
        lines: 0,
    })
}

fn kind(text: &[u8]) -> Option<Kind> {
    if text.first()?.is_ascii_digit() {
        let (code, comment) = text.split_at_checked(3)?;
        if !comment.is_empty() && !comment.starts_with(b" ") {
            return None;
        }
        return Some(Kind::Response(Status::from_code(header::three_digits(code)?)));
    }
    if !text.iter().all(u8::is_ascii_uppercase) {
        return None;
    }
    Some(Kind::Request(match text {
        b"SEND" => Method::Send,
        b"REPORT" => Method::Report,
        b"NICKNAME" => Method::Nickname,
        b"AUTH" => Method::Auth,
        other => Method::Other(str::from_utf8(other).ok()?.to_owned()),
    }))
}

impl Head {
    fn step(&mut self, line: &Line<'_>, limit: usize, paths: &mut RecentPaths) -> Result<Step, Fault> {
        if line.text.is_empty() {
            let complete = self.to.is_some() && self.from.is_some();
            return if complete {
                Ok(Step::BlankLine)
            } else {
                Err(line.fault(NO_PATH))
            };
        }
        if line.text.starts_with(HYPHENS) {
            let flag = EndLine::of(&self.transaction).flag(line.text);
            let fault = || line.fault("RFC 4975 §9: end-line of another transaction or without flag");
            return flag.map(Step::EndLine).ok_or_else(fault);
        }
        self.lines += 1;
        if self.lines > limit {
            return Err(line.fault("Limits::headers: too many header lines"));
        }
        self.take(line, paths)?;
        Ok(Step::Header)
    }

    fn take(&mut self, line: &Line<'_>, paths: &mut RecentPaths) -> Result<(), Fault> {
        // RFC 4975 §9 knows no folding: a line that begins with a space has no name.
        let colon =
            memchr(b':', line.text).ok_or_else(|| line.fault("RFC 4975 §9: header line without colon"))?;
        let (name, value) = line.text.split_at(colon);
        let name = str::from_utf8(name).ok().filter(|name| is_header_name(name));
        let name = name.ok_or_else(|| line.fault("RFC 4975 §9: header name"))?;
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case("To-Path") {
            take_path(&mut self.to, value, &mut paths.to, line)
        } else if name.eq_ignore_ascii_case("From-Path") {
            take_path(&mut self.from, value, &mut paths.from, line)
        } else {
            self.headers.take(name, value);
            Ok(())
        }
    }

    fn frame(self: Box<Self>, content: Content, flag: Flag, offset: u64) -> Result<Frame, Fault> {
        let Self {
            transaction,
            kind,
            to: Some(to),
            from: Some(from),
            headers,
            lines: _,
        } = *self
        else {
            return Err(Fault {
                rule: NO_PATH,
                offset,
            });
        };
        Ok(Frame {
            transaction,
            kind,
            to,
            from,
            headers,
            content,
            flag,
        })
    }
}

fn take_path(
    path: &mut Option<Path>,
    value: &[u8],
    recent: &mut Option<(Box<[u8]>, Path)>,
    line: &Line<'_>,
) -> Result<(), Fault> {
    if path.is_some() {
        return Err(line.fault("RFC 4975 §9: To-Path or From-Path twice"));
    }
    if let Some((text, known)) = recent
        && **text == *value
    {
        *path = Some(known.clone());
        return Ok(());
    }
    let read: Option<Path> = str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    let read = read.ok_or_else(|| line.fault("RFC 4975 §9: To-Path or From-Path is no list of MSRP URIs"))?;
    *recent = Some((value.into(), read.clone()));
    *path = Some(read);
    Ok(())
}

/// `hname` of RFC 4975 §9.
fn is_header_name(name: &str) -> bool {
    let is_token = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&octet);
    name.bytes()
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && name.bytes().all(is_token)
}
