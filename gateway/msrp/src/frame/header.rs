//! Header values of a frame.

use std::fmt;

use crate::{MessageId, Status, connection::FailureReport};

use super::{Fault, nickname};

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
    /// The first rule that a header's value broke, and where; the framing is sound.
    pub broken: Option<Fault>,
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

/// The name of a header line.
#[derive(Clone, Copy)]
pub(super) enum Name<'a> {
    ToPath,
    FromPath,
    MessageId,
    SuccessReport,
    FailureReport,
    ByteRange,
    Status,
    UseNickname,
    ContentType,
    Other(&'a str),
}

/// The names that have a meaning here, as they are mostly written.
const KNOWN: [(&[u8], Name<'static>); 9] = [
    (b"To-Path", Name::ToPath),
    (b"From-Path", Name::FromPath),
    (b"Message-ID", Name::MessageId),
    (b"Success-Report", Name::SuccessReport),
    (b"Failure-Report", Name::FailureReport),
    (b"Byte-Range", Name::ByteRange),
    (b"Status", Name::Status),
    (b"Use-Nickname", Name::UseNickname),
    (b"Content-Type", Name::ContentType),
];

impl<'a> Name<'a> {
    /// Reads `hname` of RFC 4975 §9.
    pub(super) fn of(name: &'a [u8]) -> Option<Self> {
        let as_written = KNOWN.iter().find(|(known, _)| *known == name);
        let known = as_written.or_else(|| KNOWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)));
        match known {
            Some((_, known)) => Some(*known),
            None => other_name(name).map(Self::Other),
        }
    }
}

fn other_name(name: &[u8]) -> Option<&str> {
    let is_token = |octet: &u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(octet);
    if name.first()?.is_ascii_alphabetic() && name.iter().all(is_token) {
        std::str::from_utf8(name).ok()
    } else {
        None
    }
}

impl Headers {
    /// Takes one header line that is neither To-Path nor From-Path, or says which rule its value breaks.
    pub(super) fn take(&mut self, name: Name<'_>, value: &[u8]) -> Result<(), &'static str> {
        if let Name::UseNickname = name {
            let read = nickname::unquote(value).ok_or(MalformedNickname);
            // A second one makes the request ambiguous.
            self.use_nickname = Some(if self.use_nickname.is_some() {
                Err(MalformedNickname)
            } else {
                read
            });
            return Ok(());
        }
        let text =
            header_text(value).ok_or("RFC 4975 §9: a header value with control characters or no UTF-8")?;
        self.take_text(name, text)
    }

    fn take_text(&mut self, name: Name<'_>, text: &str) -> Result<(), &'static str> {
        match name {
            Name::MessageId => {
                let id = text.parse().map_err(|_| "RFC 4975 §9: Message-ID")?;
                once(&mut self.message_id, id)
            }
            Name::SuccessReport => {
                let report = success_report(text).ok_or("RFC 4975 §9: Success-Report")?;
                once(&mut self.success_report, report)
            }
            Name::FailureReport => {
                let report = failure_report(text).ok_or("RFC 4975 §9: Failure-Report")?;
                once(&mut self.failure_report, report)
            }
            Name::ByteRange => {
                let range = byte_range(text).ok_or("RFC 4975 §9: Byte-Range")?;
                once(&mut self.byte_range, range)
            }
            Name::Status => {
                let status = report_status(text).ok_or("RFC 4975 §9: Status")?;
                once(&mut self.status, status)
            }
            Name::ContentType => once(&mut self.content_type, text.to_owned()),
            Name::Other(name) => {
                self.other.push((name.to_owned(), text.to_owned()));
                Ok(())
            }
            // Taken before.
            Name::ToPath | Name::FromPath | Name::UseNickname => Ok(()),
        }
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

/// Whether there is a control character other than HTAB.
pub(crate) fn has_control(text: &[u8]) -> bool {
    // To the end in any case: the compiler then compares many octets at once.
    text.iter().fold(false, |found, &octet| found | is_control(octet))
}

pub(super) fn is_control(octet: u8) -> bool {
    (octet < b' ' && octet != b'\t') | (octet == 0x7f)
}

/// `utf8text` of RFC 4975 §9.
fn header_text(value: &[u8]) -> Option<&str> {
    if has_control(value) {
        return None;
    }
    std::str::from_utf8(value).ok()
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
    let (start, rest) = leading_number(text.as_bytes())?;
    let (end, rest) = open_number(rest.strip_prefix(b"-")?)?;
    let (total, rest) = open_number(rest.strip_prefix(b"/")?)?;
    rest.is_empty().then_some(ByteRange { start, end, total })
}

/// A number or `*`, and what follows.
fn open_number(text: &[u8]) -> Option<(Option<u64>, &[u8])> {
    match text {
        [b'*', rest @ ..] => Some((None, rest)),
        _ => leading_number(text).map(|(number, rest)| (Some(number), rest)),
    }
}

/// `1*DIGIT` that fits 64 bits, and what follows.
fn leading_number(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    let mut rest = text;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        rest = after;
    }
    (rest.len() < text.len()).then_some((number, rest))
}

/// `1*DIGIT` that fits 64 bits.
pub(crate) fn number(text: &str) -> Option<u64> {
    match leading_number(text.as_bytes())? {
        (number, []) => Some(number),
        _ => None,
    }
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
