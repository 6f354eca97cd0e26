//! Header values of a frame.

use std::fmt;

use crate::{MessageId, Status, connection::FailureReport};

use super::nickname;

/// The headers of a frame besides To-Path and From-Path. A value that breaks its grammar is absent here and named in `broken`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers {
    /// Message-ID.
    pub message_id: Option<MessageId>,
    /// Success-Report.
    pub success_report: Option<bool>,
    /// Failure-Report.
    pub failure_report: Option<FailureReport>,
    /// Byte-Range.
    pub byte_range: Option<ByteRange>,
    /// Status of a REPORT.
    pub status: Option<ReportStatus>,
    /// Use-Nickname, unquoted (RFC 7701 §7.1); an error if it is malformed.
    pub use_nickname: Option<Result<String, MalformedNickname>>,
    /// Content-Type as written.
    pub content_type: Option<String>,
    /// Headers that are none of these, as (name, value), in their order.
    pub other: Vec<(String, String)>,
    /// The first rule that a header's value broke; the framing is sound.
    pub broken: Option<&'static str>,
}

/// Use-Nickname breaks RFC 7701 §7.1: it is answered 424.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedNickname;

/// Byte-Range (RFC 4975 §7.1.1). Positions count from one; nothing is promised about the order of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// Position of the first octet.
    pub start: u64,
    /// Position of the last octet; `None` for `*`.
    pub end: Option<u64>,
    /// Octets of the whole message; `None` for `*`.
    pub total: Option<u64>,
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.start)?;
        match self.end {
            Some(end) => write!(f, "{end}/")?,
            None => f.write_str("*/")?,
        }
        match self.total {
            Some(total) => write!(f, "{total}"),
            None => f.write_str("*"),
        }
    }
}

/// Status header of a REPORT (RFC 4975 §7.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportStatus {
    /// 0: the codes mean what they mean in a response.
    pub namespace: u16,
    /// The three-digit code.
    pub code: u16,
}

impl ReportStatus {
    /// The status, if the namespace is the one that RFC 4975 defines.
    #[must_use]
    pub fn known(self) -> Option<Status> {
        (self.namespace == 0).then(|| Status::from_code(self.code))
    }
}

impl Headers {
    /// Takes one header line that is neither To-Path nor From-Path.
    pub(super) fn take(&mut self, name: &str, value: &[u8]) {
        if name.eq_ignore_ascii_case("Use-Nickname") {
            let read = nickname::unquote(value).ok_or(MalformedNickname);
            // A second one makes the request ambiguous.
            self.use_nickname = Some(if self.use_nickname.is_some() {
                Err(MalformedNickname)
            } else {
                read
            });
            return;
        }
        let Some(text) = header_text(value) else {
            self.breaks("RFC 4975 §9: a header value with control characters or no UTF-8");
            return;
        };
        if let Err(rule) = self.take_text(name, text) {
            self.breaks(rule);
        }
    }

    fn take_text(&mut self, name: &str, text: &str) -> Result<(), &'static str> {
        if name.eq_ignore_ascii_case("Message-ID") {
            let id = text.parse().map_err(|_| "RFC 4975 §9: Message-ID")?;
            once(&mut self.message_id, id)
        } else if name.eq_ignore_ascii_case("Success-Report") {
            let report = success_report(text).ok_or("RFC 4975 §9: Success-Report")?;
            once(&mut self.success_report, report)
        } else if name.eq_ignore_ascii_case("Failure-Report") {
            let report = failure_report(text).ok_or("RFC 4975 §9: Failure-Report")?;
            once(&mut self.failure_report, report)
        } else if name.eq_ignore_ascii_case("Byte-Range") {
            let range = byte_range(text).ok_or("RFC 4975 §9: Byte-Range")?;
            once(&mut self.byte_range, range)
        } else if name.eq_ignore_ascii_case("Status") {
            let status = report_status(text).ok_or("RFC 4975 §9: Status")?;
            once(&mut self.status, status)
        } else if name.eq_ignore_ascii_case("Content-Type") {
            once(&mut self.content_type, text.to_owned())
        } else {
            self.other.push((name.to_owned(), text.to_owned()));
            Ok(())
        }
    }

    fn breaks(&mut self, rule: &'static str) {
        self.broken.get_or_insert(rule);
    }
}

pub(super) const fn failure_report_text(report: FailureReport) -> &'static str {
    match report {
        FailureReport::Yes => "yes",
        FailureReport::No => "no",
        FailureReport::Partial => "partial",
    }
}

fn once<T>(field: &mut Option<T>, value: T) -> Result<(), &'static str> {
    if field.is_some() {
        return Err("RFC 4975 §9: a header twice");
    }
    *field = Some(value);
    Ok(())
}

/// `utf8text` of RFC 4975 §9.
fn header_text(value: &[u8]) -> Option<&str> {
    let sound = |&octet: &u8| octet == b'\t' || (octet >= b' ' && octet != 0x7f);
    value
        .iter()
        .all(sound)
        .then(|| std::str::from_utf8(value).ok())
        .flatten()
}

fn success_report(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("yes") => Some(true),
        _ if text.eq_ignore_ascii_case("no") => Some(false),
        _ => None,
    }
}

fn failure_report(text: &str) -> Option<FailureReport> {
    let all = [FailureReport::Yes, FailureReport::No, FailureReport::Partial];
    all.into_iter()
        .find(|&report| text.eq_ignore_ascii_case(failure_report_text(report)))
}

fn byte_range(text: &str) -> Option<ByteRange> {
    let (range, total) = text.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let open = |text: &str| {
        if text == "*" {
            Some(None)
        } else {
            number(text).map(Some)
        }
    };
    Some(ByteRange {
        start: number(start)?,
        end: open(end)?,
        total: open(total)?,
    })
}

/// `1*DIGIT` that fits 64 bits.
pub(crate) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn report_status(text: &str) -> Option<ReportStatus> {
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let namespace = three_digits(words.next()?.as_bytes())?;
    Some(ReportStatus {
        namespace,
        code: three_digits(words.next()?.as_bytes())?,
    })
}

pub(super) fn three_digits(text: &[u8]) -> Option<u16> {
    if text.len() != 3 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        text.iter()
            .fold(0, |number, digit| number * 10 + u16::from(digit - b'0')),
    )
}
