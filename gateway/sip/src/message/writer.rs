//! Messages on the wire (RFC 3261 §7).

use bytes::{BufMut, Bytes, BytesMut};

use super::{Header, Headers, Request, Response, lex};

impl Request {
    /// The request as it goes on the wire; Content-Length is written here.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let (method, uri) = (self.method.as_str(), self.uri.to_string());
        let mut out = room_for(method.len() + uri.len(), &self.headers, &self.body);
        put_text(&mut out, method);
        out.put_u8(b' ');
        put_text(&mut out, &uri);
        out.put_slice(b" SIP/2.0\r\n");
        put_rest(out, &self.headers, &self.body)
    }
}

impl Response {
    /// The response as it goes on the wire; Content-Length is written here.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = room_for(self.reason.len(), &self.headers, &self.body);
        put_text(&mut out, &format!("SIP/2.0 {:03} ", self.status.0));
        put_text(&mut out, &self.reason);
        out.put_slice(b"\r\n");
        put_rest(out, &self.headers, &self.body)
    }
}

/// Hardly more than the message needs: transactions keep what they have sent for half a minute.
fn room_for(start: usize, headers: &Headers, body: &Bytes) -> BytesMut {
    /// What surrounds the variable parts of a start line, and Content-Length with the blank line.
    const FRAME: usize = 16 + 32;
    let fields = headers.0.iter();
    let fields: usize = fields
        .map(|header| header.name.len() + header.value.len() + 4)
        .sum();
    BytesMut::with_capacity(start + FRAME + fields + body.len())
}

fn put_rest(mut out: BytesMut, headers: &Headers, body: &Bytes) -> Bytes {
    for header in &headers.0 {
        put_header(&mut out, header);
    }
    out.put_slice(b"Content-Length: ");
    out.put_slice(body.len().to_string().as_bytes());
    out.put_slice(b"\r\n\r\n");
    out.put_slice(body);
    out.freeze()
}

fn put_header(out: &mut BytesMut, header: &Header) {
    if header.name.eq_ignore_ascii_case("Content-Length") || !lex::is_token(&header.name) {
        return;
    }
    out.put_slice(header.name.as_bytes());
    out.put_slice(b": ");
    put_text(out, lex::trim(&header.value));
    out.put_slice(b"\r\n");
}

/// The one way text gets into a message: no control character survives, so no value can end its line.
fn put_text(out: &mut BytesMut, text: &str) {
    if !lex::has_control(text) {
        out.put_slice(text.as_bytes());
        return;
    }
    let cleaned: String = text
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    out.put_slice(cleaned.as_bytes());
}
