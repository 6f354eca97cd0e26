//! `message/cpim` (RFC 3862).

use bytes::Bytes;
use jiff::Timestamp;

/// A CPIM message, read leniently: angle brackets may be missing, `;gr=` may stand behind them (RFC 7702's examples).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cpim {
    /// From: the sender.
    pub from: Option<Address>,
    /// To: every one of them, so that more than one can be refused (RFC 7701 §6.1).
    pub to: Vec<Address>,
    /// DateTime, if it could be read.
    pub date_time: Option<Timestamp>,
    /// Subject headers are ignored in rooms; other headers are kept as (name, value).
    pub other: Vec<(String, String)>,
    /// Content-Type of the content, as written; `text/plain;charset=utf-8` when absent.
    pub content_type: String,
    /// The content, transfer-decoded.
    pub content: Bytes,
}

/// An address header: an optional display name and a URI as text, `gr` moved inside it if it stood outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Display name, unescaped.
    pub display_name: Option<String>,
    /// The URI without angle brackets.
    pub uri: String,
}

/// Why a body is no CPIM message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not message/cpim: {0}")]
pub struct CpimFault(pub &'static str);

/// The media type.
pub const CONTENT_TYPE: &str = "message/cpim";

impl Cpim {
    /// Reads a message/cpim body.
    ///
    /// # Errors
    /// Says which rule of RFC 3862 the body breaks.
    pub fn parse(_body: &[u8]) -> Result<Self, CpimFault> {
        todo!()
    }

    /// Writes it. Names and URIs are escaped so that no header can be injected.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        todo!()
    }

    /// The content as UTF-8 text if it is `text/*`.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        todo!()
    }
}
