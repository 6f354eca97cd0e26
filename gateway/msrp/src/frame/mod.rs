//! Frames on the wire: an incremental decoder and an encoder (RFC 4975 §9, RFC 4976 §7, RFC 7701 §7.1).

use bytes::{Bytes, BytesMut};

use crate::{Path, Status, connection::FailureReport};

mod decoder;
mod header;
mod input;
mod nickname;
mod relay;
mod writer;

pub use crate::ident::TransactionId;
pub use decoder::Decoder;
pub use header::{ByteRange, Headers, ReportStatus};
pub(crate) use header::{has_control, number};
pub use nickname::{NICKNAME_LIMIT, is_nickname};
pub(crate) use writer::Writer;

/// One request or response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The transaction id; a response repeats that of its request.
    pub transaction: TransactionId,
    /// What it is.
    pub kind: Kind,
    /// To-Path.
    pub to: Path,
    /// From-Path.
    pub from: Path,
    /// All other headers.
    pub headers: Headers,
    /// The body, or none.
    pub content: Content,
    /// The continuation flag of the end-line.
    pub flag: Flag,
}

/// Request or response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A request with its method.
    Request(Method),
    /// A response with its status; the peer's comment is not kept.
    Response(Status),
}

/// The method of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// RFC 4975 §7.1.1.
    Send,
    /// RFC 4975 §7.1.2.
    Report,
    /// RFC 7701 §7.1.
    Nickname,
    /// RFC 4976 §4.1.
    Auth,
    /// Any other, in upper-case letters.
    Other(String),
}

impl Method {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Send => "SEND",
            Self::Report => "REPORT",
            Self::Nickname => "NICKNAME",
            Self::Auth => "AUTH",
            Self::Other(name) => name,
        }
    }
}

/// What a frame carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// No body at all: not the same as an empty one (RFC 4975 §7.1).
    None,
    /// A body, possibly empty.
    Body(Bytes),
    /// The body passed [`crate::Limits::chunk_in`]: the frame is handed over before its end, the rest of the body is skipped, and
    /// its flag is unknown.
    TooLong,
}

/// Continuation flag (RFC 4975 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// `$`: the end of the message.
    Complete,
    /// `+`: more chunks follow.
    More,
    /// `#`: the sender gives the message up.
    Abort,
}

impl Flag {
    pub(crate) const fn octet(self) -> u8 {
        match self {
            Self::Complete => b'$',
            Self::More => b'+',
            Self::Abort => b'#',
        }
    }
    pub(crate) const fn from_octet(octet: u8) -> Option<Self> {
        match octet {
            b'$' => Some(Self::Complete),
            b'+' => Some(Self::More),
            b'#' => Some(Self::Abort),
            _ => None,
        }
    }
}

impl Frame {
    /// Appends the frame as it stands on the wire. The caller sees to it that the body has no end-line of this transaction.
    /// [`Content::TooLong`] is written as no body, and a body without Content-Type as `text/plain`.
    pub fn encode(&self, out: &mut BytesMut) {
        let mut writer = match &self.kind {
            Kind::Request(method) => {
                Writer::request(out, self.transaction, method.as_str(), &self.to, &self.from)
            }
            Kind::Response(status) => {
                Writer::response(out, self.transaction, *status, self.to.hops(), self.from.last())
            }
        };
        let headers = &self.headers;
        if let Some(id) = &headers.message_id {
            writer.header("Message-ID", id.as_str());
        }
        if let Some(report) = headers.success_report {
            writer.header("Success-Report", if report { "yes" } else { "no" });
        }
        if let Some(report) = headers.failure_report {
            writer.header("Failure-Report", header::failure_report_text(report));
        }
        if let Some(range) = headers.byte_range {
            writer.byte_range(range);
        }
        if let Some(status) = headers.status {
            writer.display(
                "Status",
                format_args!("{:03} {:03}", status.namespace, status.code),
            );
        }
        if let Some(Ok(nickname)) = &headers.use_nickname {
            writer.nickname(nickname);
        }
        for (name, value) in &headers.other {
            writer.other_header(name, value);
        }
        match &self.content {
            Content::Body(body) => {
                writer.body(
                    headers.content_type.as_deref().unwrap_or("text/plain"),
                    body,
                    self.flag,
                );
            }
            Content::None | Content::TooLong => writer.end(self.flag),
        }
    }

    /// Failure-Report with its default (RFC 4975 §7.1.1).
    #[must_use]
    pub fn failure_report(&self) -> FailureReport {
        self.headers.failure_report.unwrap_or_default()
    }

    /// Octets that keeping this frame takes, roughly.
    pub(crate) fn weight(&self) -> usize {
        let paths = self.to.hops().len() + self.from.hops().len();
        let headers = &self.headers;
        let other: usize = headers
            .other
            .iter()
            .map(|(name, value)| name.len() + value.len() + 48)
            .sum();
        let content_type = headers.content_type.as_ref().map_or(0, String::len);
        let nickname = headers
            .use_nickname
            .iter()
            .flatten()
            .map(String::len)
            .sum::<usize>();
        let body = match &self.content {
            Content::Body(body) => body.len(),
            Content::None | Content::TooLong => 0,
        };
        512 + 256 * paths + other + content_type + nickname + body
    }
}

/// What was wrong with bytes: the rule that they broke, at which octet of the stream, and whether the connection can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{rule} at octet {offset}")]
pub struct Fault {
    /// The broken rule, with its section.
    pub rule: &'static str,
    /// Octets from the start of the connection.
    pub offset: u64,
    /// The framing is lost: nothing that follows can be read. Otherwise the one frame is refused, and the next one is read.
    pub ends_connection: bool,
}
