//! SIP messages: values, the head reader, the validator, framing.

use bytes::Bytes;

use crate::Limits;

mod answer;
mod headers;
pub(crate) mod lex;
mod method;
pub mod multipart;
mod name_addr;
mod reader;
mod status;
mod stream;
mod uri;
mod validate;
mod via;
mod writer;

pub use headers::{Header, Headers, Parameterized};
pub use method::{CSeq, Method};
pub use name_addr::NameAddr;
pub(crate) use name_addr::tag_of;
pub use status::StatusCode;
pub use stream::{StreamDecoder, StreamItem};
pub use uri::{MAX_URI, Uri};
pub(crate) use via::sent_by;
pub use via::{MAGIC_COOKIE, Via};

/// A request that passed the validator: the mandatory headers are there, once, and well formed.
///
/// Via, From, To, Call-ID and CSeq parse as [`Via`], [`NameAddr`] and [`CSeq`], Contact, Route, Record-Route and Refer-To, where present, as
/// lists of [`NameAddr`] (Contact also `*` in REGISTER). Only a request of an RFC 2543 peer (top Via without
/// [`Via::has_transaction_branch`]) may lack the From tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Request-URI.
    pub uri: Uri,
    /// All header fields.
    pub headers: Headers,
    /// Body.
    pub body: Bytes,
}

/// A response that passed the validator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status.
    pub status: StatusCode,
    /// Reason phrase as written.
    pub reason: String,
    /// All header fields.
    pub headers: Headers,
    /// Body.
    pub body: Bytes,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Message {
    /// Reads and validates one complete message (a datagram, or what [`StreamDecoder`] cut out) within the default limits. Octets
    /// behind Content-Length are discarded, fewer are a fault (RFC 3261 §18.3).
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn parse(bytes: &Bytes) -> Result<Self, Unreadable> {
        Self::parse_within(bytes, &Limits::default())
    }

    /// The same within these limits: `message`, `head`, `header_line`, `headers` and `vias` of them count.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn parse_within(bytes: &Bytes, limits: &Limits) -> Result<Self, Unreadable> {
        let head = reader::read_head(bytes, limits);
        match validate::check(&head, bytes, limits) {
            Ok((validate::StartLine::Request { method, uri }, body)) => Ok(Self::Request(Request {
                method,
                uri,
                headers: head.headers,
                body,
            })),
            Ok((validate::StartLine::Response { status, reason }, body)) => Ok(Self::Response(Response {
                status,
                reason,
                headers: head.headers,
                body,
            })),
            Err(rejection) => Err(Unreadable {
                rejection,
                response: answer::refuse(&head, &rejection).map(Box::new),
            }),
        }
    }

    /// The message as it goes on the wire; Content-Length is written here.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Request(request) => request.to_bytes(),
            Self::Response(response) => response.to_bytes(),
        }
    }
}

/// A message that the validator refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rejection}")]
pub struct Unreadable {
    /// Why.
    pub rejection: Rejection,
    /// The response to send, where one can be built from the message: a request other than ACK with a readable top Via, and with From,
    /// To, Call-ID and CSeq. It is the same for a retransmission.
    pub response: Option<Box<Response>>,
}

/// Why a message or value is refused: the SIP status it deserves and the broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} {rule}", .status.0)]
pub struct Rejection {
    /// 400, 414, 416, 505, 513.
    pub status: StatusCode,
    /// The rule, with its section.
    pub rule: &'static str,
}

impl Rejection {
    /// 400.
    const fn bad(rule: &'static str) -> Self {
        Self {
            status: StatusCode(400),
            rule,
        }
    }

    /// The rule without its section: what the peer is told.
    fn phrase(&self) -> &'static str {
        self.rule.split_once(" (").map_or(self.rule, |(phrase, _)| phrase)
    }
}
