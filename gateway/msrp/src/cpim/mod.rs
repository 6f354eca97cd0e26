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
    /// The other MIME headers of the content, as (name, value): Content-Disposition, Content-ID and what else there is. Those of
    /// its length and transfer encoding are neither kept nor written.
    pub content_headers: Vec<(String, String)>,
    /// The content, transfer-decoded.
    pub content: Bytes,
}

impl Default for Cpim {
    /// An empty text without any header.
    fn default() -> Self {
        Self {
            from: None,
            to: Vec::new(),
            date_time: None,
            other: Vec::new(),
            content_type: DEFAULT_CONTENT_TYPE.to_owned(),
            content_headers: Vec::new(),
            content: Bytes::new(),
        }
    }
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
        cpim.content_headers = content_headers.other;
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
        out.put_slice(b"\r\n");
        put_line(&mut out, "Content-Type: ", &without_controls(&self.content_type));
        for (name, value) in &self.content_headers {
            if head::is_mime_name(name) && !head::is_about_writing(name) {
                put_line(&mut out, &format!("{name}: "), &without_controls(value));
            }
        }
        out.put_slice(b"\r\n");
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
        self.extensions(namespace, name).next()
    }

    /// The values of all such headers, in their order.
    pub fn extensions(&self, namespace: &str, name: &str) -> impl Iterator<Item = &str> {
        self.resolved()
            .filter(move |header| header.namespace == Some(namespace) && header.name == name)
            .map(|header| header.value)
    }

    /// The subjects with their languages (RFC 3862 §4.5), which are compared without case.
    pub fn subjects(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        self.resolved()
            .filter(|header| header.namespace == Some(CORE_NAMESPACE) && header.name == "Subject")
            .map(|header| (header.language, header.value))
    }

    /// The first header that RFC 3862 §4.7 requires the reader to understand and that is none of `understood`, which are pairs of a
    /// namespace and a name. Such a message must not be shown. The headers of RFC 3862 itself are understood.
    #[must_use]
    pub fn not_understood(&self, understood: &[(&str, &str)]) -> Option<&str> {
        const CORE: [&str; 7] = ["From", "To", "cc", "DateTime", "Subject", "NS", "Require"];
        let mut scope = Scope::default();
        for (header, value) in &self.other {
            scope.declare(header, value);
            let (namespace, name) = scope.resolve(bare_name(header));
            if (namespace, name) != (Some(CORE_NAMESPACE), "Require") {
                continue;
            }
            for required in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                let known = match scope.resolve(required) {
                    (Some(CORE_NAMESPACE), name) => CORE.contains(&name),
                    (Some(namespace), name) => understood.contains(&(namespace, name)),
                    (None, _) => false,
                };
                if !known {
                    return Some(required);
                }
            }
        }
        None
    }

    /// The headers of `other`, each with the namespace that is in force where it stands.
    fn resolved(&self) -> impl Iterator<Item = Resolved<'_>> {
        let mut scope = Scope::default();
        self.other.iter().map(move |(header, value)| {
            scope.declare(header, value);
            let (namespace, name) = scope.resolve(bare_name(header));
            Resolved {
                namespace,
                name,
                language: language(header),
                value,
            }
        })
    }
}

/// A header of [`Cpim::other`].
struct Resolved<'a> {
    /// `None` if its prefix is not declared.
    namespace: Option<&'a str>,
    name: &'a str,
    language: Option<&'a str>,
    value: &'a str,
}

/// The prefixes that are declared (RFC 3862 §4.6), the latest declaration last.
#[derive(Default)]
struct Scope<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Scope<'a> {
    fn declare(&mut self, header: &'a str, value: &'a str) {
        if let Some(declared) = head::declaration(header, value) {
            self.0.push(declared);
        }
    }

    fn resolve(&self, name: &'a str) -> (Option<&'a str>, &'a str) {
        let (prefix, local) = name.split_once('.').unwrap_or(("", name));
        let declared = self.0.iter().rev().find(|(declared, _)| *declared == prefix);
        let namespace = declared.map(|(_, namespace)| *namespace);
        let default = prefix.is_empty().then_some(CORE_NAMESPACE);
        (namespace.or(default), local)
    }
}

fn bare_name(header: &str) -> &str {
    header.split(';').next().unwrap_or_default()
}

/// The `lang` parameter (RFC 3862 §3.3).
fn language(header: &str) -> Option<&str> {
    let parameters = header.split(';').skip(1);
    let mut pairs = parameters.filter_map(|parameter| parameter.split_once('='));
    pairs
        .find(|(name, _)| name.eq_ignore_ascii_case("lang"))
        .map(|(_, language)| language)
}

fn without_controls(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).collect()
}

/// RFC 3339 writes no year before 0.
const YEAR_ZERO: Timestamp = Timestamp::constant(-62_167_219_200, 0);

fn put_line(out: &mut BytesMut, name: &str, value: &str) {
    out.put_slice(name.as_bytes());
    out.put_slice(value.as_bytes());
    out.put_slice(b"\r\n");
}
