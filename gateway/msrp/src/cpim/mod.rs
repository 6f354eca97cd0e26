//! `message/cpim` (RFC 3862).

use bytes::{BufMut, Bytes, BytesMut};
use jiff::Timestamp;

mod address;
mod escape;
mod head;
mod transfer;

pub use address::Address;

/// A CPIM message, read leniently: angle brackets may be missing, `;gr=` may stand behind them (RFC 7702's examples), lines may
/// end in a bare LF, the content may have no headers of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cpim {
    /// From: the sender.
    pub from: Option<Address>,
    /// To: every one of them, so that more than one can be refused (RFC 7701 §6.1).
    pub to: Vec<Address>,
    /// DateTime, if it could be read.
    pub date_time: Option<Timestamp>,
    /// Subject headers are ignored in rooms; other headers are kept as (name, value), the value unescaped. Parameters stay with the
    /// name: `Subject;lang=en`. `From`, `To` and `DateTime` put here are not written.
    pub other: Vec<(String, String)>,
    /// Content-Type of the content, as written; `text/plain;charset=utf-8` when absent.
    pub content_type: String,
    /// The content, transfer-decoded.
    pub content: Bytes,
}

/// Why a body is no CPIM message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not message/cpim: {0}")]
pub struct CpimFault(pub &'static str);

/// The media type.
pub const CONTENT_TYPE: &str = "message/cpim";

/// Content-Type of a content that names none.
pub const DEFAULT_CONTENT_TYPE: &str = "text/plain;charset=utf-8";

/// The namespace of the headers that RFC 3862 defines.
const CORE_NAMESPACE: &str = "urn:ietf:params:cpim-headers:";

impl Cpim {
    /// Reads a message/cpim body.
    ///
    /// # Errors
    /// Says which rule of RFC 3862 the body breaks.
    pub fn parse(body: &[u8]) -> Result<Self, CpimFault> {
        let (mut cpim, rest) = head::message_headers(body)?;
        let (content_headers, content) = head::content_headers(rest);
        if let Some(content_type) = content_headers.content_type {
            cpim.content_type = content_type;
        }
        cpim.content = transfer::decode(&content_headers.transfer_encoding, content)?;
        Ok(cpim)
    }

    /// Writes it, content transfer encoding binary. Names and URIs are escaped so that no header can be injected.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(256 + self.content.len());
        if let Some(from) = &self.from {
            put_line(&mut out, "From: ", &from.to_header());
        }
        for to in &self.to {
            put_line(&mut out, "To: ", &to.to_header());
        }
        if let Some(date_time) = self.date_time.filter(|instant| *instant >= YEAR_ZERO) {
            put_line(&mut out, "DateTime: ", &date_time.to_string());
        }
        for (name, value) in &self.other {
            if let Some(name) = head::written_name(name) {
                put_line(&mut out, &name, &escape::escape(value));
            }
        }
        out.put_slice(b"\r\nContent-Type: ");
        let content_type: String = self
            .content_type
            .chars()
            .filter(|character| !character.is_control())
            .collect();
        out.put_slice(content_type.as_bytes());
        out.put_slice(b"\r\n\r\n");
        out.put_slice(&self.content);
        out.freeze()
    }

    /// The content as UTF-8 text if it is `text/*`.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let is_text = self
            .content_type
            .get(..5)
            .is_some_and(|kind| kind.eq_ignore_ascii_case("text/"));
        if is_text {
            std::str::from_utf8(&self.content).ok()
        } else {
            None
        }
    }

    /// The value of an extension header by its namespace, whatever its prefix is here (RFC 3862 §3.4): for instance
    /// `extension("urn:ietf:params:imdn", "Message-ID")`.
    #[must_use]
    pub fn extension(&self, namespace: &str, name: &str) -> Option<&str> {
        let mut prefixes: Vec<&str> = Vec::new();
        for (header, value) in &self.other {
            if let Some((prefix, uri)) = head::declaration(header, value) {
                prefixes.retain(|declared| *declared != prefix);
                if uri == namespace {
                    prefixes.push(prefix);
                }
                continue;
            }
            let bare = header.split(';').next().unwrap_or_default();
            let (prefix, local) = bare.split_once('.').unwrap_or(("", bare));
            if local == name && prefixes.contains(&prefix) {
                return Some(value);
            }
        }
        None
    }
}

/// RFC 3339 writes no year before 0.
const YEAR_ZERO: Timestamp = Timestamp::constant(-62_167_219_200, 0);

fn put_line(out: &mut BytesMut, name: &str, value: &str) {
    out.put_slice(name.as_bytes());
    out.put_slice(value.as_bytes());
    out.put_slice(b"\r\n");
}
