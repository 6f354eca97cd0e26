//! Bodies of several parts (RFC 2046 §5.1; what SIP makes of them: RFC 5621).

use bytes::Bytes;
use memchr::memmem;

use super::{Headers, Parameterized, headers::canonical_name, lex};

/// Parts of a body.
const MAX_PARTS: usize = 16;
/// Octets of a part's header.
const MAX_HEAD: usize = 4 * 1024;
/// RFC 2046 §5.1.1: characters of a boundary.
const MAX_BOUNDARY: usize = 70;

/// One part. Parts within parts are not taken apart: such a part is a `multipart/…` of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Content-Type as written; `text/plain` if there is none.
    pub content_type: String,
    /// Content-ID without its angle brackets.
    pub id: Option<String>,
    /// Content-Disposition without its parameters, in lower case: `session`, `recipient-list`, ….
    pub disposition: Option<String>,
    /// Whether the receiver may leave it aside (`handling=optional`; RFC 5621 §7: otherwise not).
    pub optional: bool,
    /// Content.
    pub bytes: Bytes,
}

/// Why a body cannot be taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a body of several parts: {0}")]
pub struct MultipartFault(pub &'static str);

/// The parts of a `multipart/…` body, in order; at most 16, each with a header of at most 4 KiB.
///
/// # Errors
/// Another type, no usable boundary, no closing boundary, over a limit, a transfer encoding that SIP does not have (RFC 5621 §5), or a
/// header that cannot be read.
pub fn read(content_type: &str, body: &Bytes) -> Result<Vec<Part>, MultipartFault> {
    let boundary = boundary(content_type)?;
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut open: Option<usize> = None;
    for line in delimiters(body, delimiter.as_bytes()) {
        if let Some(start) = open {
            if parts.len() >= MAX_PARTS {
                return Err(MultipartFault("over 16 parts"));
            }
            parts.push(part(body.slice(start..line.before.max(start)))?);
        }
        if line.closing {
            return Ok(parts);
        }
        open = Some(line.behind);
    }
    Err(MultipartFault("no closing boundary"))
}

fn boundary(content_type: &str) -> Result<String, MultipartFault> {
    let typed: Parameterized = content_type
        .parse()
        .map_err(|_| MultipartFault("malformed Content-Type"))?;
    let is_multipart = typed
        .value
        .get(..10)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("multipart/"));
    if !is_multipart {
        return Err(MultipartFault("another type"));
    }
    typed
        .parameter_unquoted("boundary")
        .filter(|boundary| (1..=MAX_BOUNDARY).contains(&boundary.len()))
        .ok_or(MultipartFault("no usable boundary"))
}

/// A line that is a boundary.
struct Delimiter {
    /// Where the part before it ends: its line end belongs to the boundary.
    before: usize,
    /// Where the part behind it begins.
    behind: usize,
    closing: bool,
}

fn delimiters(body: &[u8], delimiter: &[u8]) -> impl Iterator<Item = Delimiter> {
    memmem::find_iter(body, delimiter).filter_map(move |place| {
        let before = body.get(..place)?;
        let before = match before {
            [] => 0,
            [.., b'\r', b'\n'] => place.checked_sub(2)?,
            [.., b'\n'] => place.checked_sub(1)?,
            _ => return None,
        };
        let rest = body.get(place + delimiter.len()..)?;
        if rest.starts_with(b"--") {
            return Some(Delimiter {
                before,
                behind: body.len(),
                closing: true,
            });
        }
        let end = memchr::memchr(b'\n', rest)?;
        let padding = rest.get(..end)?;
        let blank = padding.iter().all(|octet| matches!(octet, b' ' | b'\t' | b'\r'));
        blank.then(|| Delimiter {
            before,
            behind: place + delimiter.len() + end + 1,
            closing: false,
        })
    })
}

fn part(octets: Bytes) -> Result<Part, MultipartFault> {
    let (head, bytes) = divide(&octets)?;
    let headers = read_head(&head)?;
    let encoding = headers
        .get("Content-Transfer-Encoding")
        .unwrap_or("binary")
        .to_ascii_lowercase();
    if !matches!(encoding.as_str(), "binary" | "8bit" | "7bit") {
        return Err(MultipartFault("a transfer encoding that SIP does not have"));
    }
    let disposition: Option<Parameterized> = headers
        .get("Content-Disposition")
        .and_then(|value| value.parse().ok());
    let optional = disposition
        .as_ref()
        .and_then(|disposition| disposition.parameter("handling"))
        .is_some_and(|handling| handling.eq_ignore_ascii_case("optional"));
    let id = headers.get("Content-ID").map(|id| {
        let id = lex::trim(id);
        let inner = id.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
        inner.unwrap_or(id).to_owned()
    });
    Ok(Part {
        content_type: headers.get("Content-Type").unwrap_or("text/plain").to_owned(),
        id,
        disposition: disposition.map(|disposition| disposition.value.to_ascii_lowercase()),
        optional,
        bytes,
    })
}

/// Header and content. A part may begin with the empty line that ends a header of nothing.
fn divide(octets: &Bytes) -> Result<(Bytes, Bytes), MultipartFault> {
    for start in [&b"\r\n"[..], b"\n"] {
        if octets.starts_with(start) {
            return Ok((Bytes::new(), octets.slice(start.len()..)));
        }
    }
    let ends = [&b"\r\n\r\n"[..], b"\n\n"].map(|end| Some((memmem::find(octets, end)?, end.len())));
    let (end, length) = match ends.into_iter().flatten().min() {
        Some(found) => found,
        None => (octets.len(), 0),
    };
    if end > MAX_HEAD {
        return Err(MultipartFault("a header over 4 KiB"));
    }
    Ok((octets.slice(..end), octets.slice(end + length..)))
}

fn read_head(head: &[u8]) -> Result<Headers, MultipartFault> {
    let text = std::str::from_utf8(head).map_err(|_| MultipartFault("a header that is not UTF-8"))?;
    let mut headers = Headers::default();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if line.starts_with([' ', '\t']) {
            if let Some(last) = headers.0.last_mut() {
                let more = lex::trim(line);
                if !last.value.is_empty() && !more.is_empty() {
                    last.value.push(' ');
                }
                last.value.push_str(more);
            }
            continue;
        }
        let (name, value) = line
            .split_once(':')
            .ok_or(MultipartFault("a header line without a colon"))?;
        headers.push(canonical_name(lex::trim(name)), lex::trim(value));
    }
    Ok(headers)
}
