//! Bytes to frames, from any split, without looking at an octet twice.

use std::str;

use bytes::Bytes;
use memchr::memchr;

use crate::{Limits, Path, Status};

use super::{
    Content, Fault, Flag, Frame, Headers, Kind, Method, TransactionId,
    header::{self, Name},
    input::{End, EndLine, HYPHENS, Input, Line},
};

/// Cuts a stream into frames.
///
/// Give it bytes with [`Decoder::push`], then take [`Decoder::next_frame`] until `None`. What it holds is bounded by
/// [`Limits::start_line`], [`Limits::header_line`], [`Limits::headers`] and [`Limits::chunk_in`] plus what was pushed and not yet
/// taken; octets that were taken are dropped by a later push, or at once when none are left. After a [`Fault`] it yields nothing more.
#[derive(Debug)]
pub struct Decoder {
    limits: Bounds,
    /// From the line or body on that is being read.
    input: Input,
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
    /// In the body, behind the blank line.
    Body(Box<Head>),
    /// In the rest of a body that was too long.
    Skip(EndLine),
    /// The framing is lost.
    Faulted,
}

#[derive(Debug)]
struct Head {
    transaction: TransactionId,
    end_line: EndLine,
    kind: Kind,
    to: Option<Path>,
    from: Option<Path>,
    headers: Headers,
    lines: usize,
}

/// The latest To-Path and From-Path as text and as read: nearly all frames repeat those of the one before.
#[derive(Debug, Default)]
struct RecentPaths {
    to: Option<(Box<[u8]>, Path)>,
    from: Option<(Box<[u8]>, Path)>,
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
            input: Input::default(),
            state: State::Start,
            paths: RecentPaths::default(),
        }
    }

    /// Bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Faulted) {
            self.input.push(bytes);
        }
    }

    /// Octets of the stream that have been taken as lines and bodies.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.input.consumed()
    }

    /// Octets held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.input.rest().len()
    }

    /// The next frame; `None` when more bytes are needed, and after a fault.
    pub fn next_frame(&mut self) -> Option<Result<Frame, Fault>> {
        match self.advance() {
            Ok(Some(frame)) => Some(Ok(frame)),
            Ok(None) => {
                self.input.tidy();
                None
            }
            Err(fault) => {
                self.state = State::Faulted;
                self.input.give_up();
                Some(Err(fault))
            }
        }
    }

    fn advance(&mut self) -> Result<Option<Frame>, Fault> {
        loop {
            match std::mem::replace(&mut self.state, State::Start) {
                State::Start => {
                    let Some(line) = self.input.line(self.limits.start_line, START_TOO_LONG)? else {
                        return Ok(None);
                    };
                    // Empty lines between frames are tolerated.
                    if !line.text.is_empty() {
                        self.state = State::Head(Box::new(start_line(&line)?));
                    }
                    self.input.discard_line();
                }
                State::Head(head) => {
                    if let Some(frame) = self.head(head)? {
                        return Ok(Some(frame));
                    }
                    if matches!(self.state, State::Head(_)) {
                        return Ok(None);
                    }
                }
                State::Body(head) => return self.body(head),
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

    /// Reads headers up to the body, the end of a frame without body, or the end of what has arrived.
    fn head(&mut self, mut head: Box<Head>) -> Result<Option<Frame>, Fault> {
        loop {
            let Some(line) = self.input.line(self.limits.header_line, HEADER_TOO_LONG)? else {
                self.state = State::Head(head);
                return Ok(None);
            };
            let step = head.step(&line, self.limits.headers, &mut self.paths)?;
            let offset = line.offset;
            self.input.discard_line();
            match step {
                Step::Header => {}
                Step::BlankLine => {
                    self.state = State::Body(head);
                    return Ok(None);
                }
                Step::EndLine(flag) => return head.frame(Content::None, flag, offset).map(Some),
            }
        }
    }

    fn body(&mut self, head: Box<Head>) -> Result<Option<Frame>, Fault> {
        let offset = self.input.consumed();
        let end = self.input.find_end(&head.end_line, true);
        let begun = end.as_ref().map_or(self.input.searched(), |end| end.body);
        if begun > self.limits.chunk {
            self.input.discard(self.input.searched());
            self.state = State::Skip(head.end_line);
            return head.frame(Content::TooLong, Flag::More, offset).map(Some);
        }
        let Some(End { body, whole, flag }) = end else {
            self.state = State::Body(head);
            return Ok(None);
        };
        let bodiless = body == 0 && head.headers.content_type.is_none();
        let content = if bodiless {
            Content::None
        } else {
            Content::Body(Bytes::copy_from_slice(
                self.input.rest().get(..body).unwrap_or_default(),
            ))
        };
        self.input.discard(whole);
        head.frame(content, flag, offset).map(Some)
    }

    /// Drops what it can; `true` when the end-line has been passed.
    fn skip(&mut self, end_line: EndLine) -> bool {
        if let Some(end) = self.input.find_end(&end_line, false) {
            self.input.discard(end.whole);
            return true;
        }
        self.input.discard(self.input.searched());
        self.state = State::Skip(end_line);
        false
    }
}

const NO_PATH: &str = "RFC 4975 §9: no To-Path or no From-Path";
const START_TOO_LONG: &str = "Limits::start_line: start line too long";
const HEADER_TOO_LONG: &str = "Limits::header_line: header line too long";

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
        end_line: EndLine::of(&transaction),
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
            let flag = self.end_line.flag(line.text);
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
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let name = Name::of(name).ok_or_else(|| line.fault("RFC 4975 §9: header name"))?;
        match name {
            Name::ToPath => take_path(&mut self.to, value, &mut paths.to, line),
            Name::FromPath => take_path(&mut self.from, value, &mut paths.from, line),
            name => {
                if let Err(rule) = self.headers.take(name, value) {
                    self.headers.broken.get_or_insert_with(|| line.flaw(rule));
                }
                Ok(())
            }
        }
    }

    fn frame(self: Box<Self>, content: Content, flag: Flag, offset: u64) -> Result<Frame, Fault> {
        let Self {
            transaction,
            end_line: _,
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
                ends_connection: true,
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
