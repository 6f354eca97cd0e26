//! Writes frames into one buffer.

use std::fmt::{self, Write};

use bytes::{BufMut, BytesMut};

use crate::{Path, Status, Uri};

use super::{
    ByteRange, Flag, TransactionId,
    header::{has_control, is_control},
};

/// A frame being written: a start line, headers, then [`Writer::body`] or [`Writer::end`].
pub(crate) struct Writer<'a> {
    out: &'a mut BytesMut,
    transaction: TransactionId,
}

impl<'a> Writer<'a> {
    pub(crate) fn request(
        out: &'a mut BytesMut,
        transaction: TransactionId,
        method: &str,
        to: &Path,
        from: &Path,
    ) -> Self {
        let mut writer = Self { out, transaction };
        writer.start(method, "");
        writer.path("To-Path: ", to.hops());
        writer.path("From-Path: ", from.hops());
        writer
    }

    pub(crate) fn response(
        out: &'a mut BytesMut,
        transaction: TransactionId,
        status: Status,
        to: &[Uri],
        from: &Uri,
    ) -> Self {
        let mut writer = Self { out, transaction };
        let [hundreds, tens, ones] = [status.code() / 100, status.code() / 10, status.code()];
        let code = [hundreds, tens, ones].map(|digits| b'0' + (digits % 10) as u8);
        writer.start(std::str::from_utf8(&code).unwrap_or_default(), status.comment());
        writer.path("To-Path: ", to);
        writer.path("From-Path: ", std::slice::from_ref(from));
        writer
    }

    pub(crate) fn header(&mut self, name: &'static str, value: &str) {
        self.out.put_slice(name.as_bytes());
        self.value(value);
    }

    /// A header whose name is not one of ours.
    pub(crate) fn other_header(&mut self, name: &str, value: &str) {
        put_text(self.out, name);
        self.value(value);
    }

    fn value(&mut self, value: &str) {
        self.out.put_slice(b": ");
        put_text(self.out, value);
        self.out.put_slice(b"\r\n");
    }

    pub(crate) fn display(&mut self, name: &str, value: fmt::Arguments<'_>) {
        put_text(self.out, name);
        self.out.put_slice(b": ");
        // Writing to a growing buffer cannot fail.
        let _ = write!(Text(self.out), "{value}");
        self.out.put_slice(b"\r\n");
    }

    pub(crate) fn byte_range(&mut self, range: ByteRange) {
        self.out.put_slice(b"Byte-Range: ");
        self.number(range.start);
        self.out.put_u8(b'-');
        self.open_number(range.end);
        self.out.put_u8(b'/');
        self.open_number(range.total);
        self.out.put_slice(b"\r\n");
    }

    /// Use-Nickname, quoted (RFC 7701 §7.1).
    pub(crate) fn nickname(&mut self, nickname: &str) {
        self.out.put_slice(b"Use-Nickname: \"");
        for piece in nickname.split_inclusive(['"', '\\']) {
            match piece.strip_suffix(['"', '\\']) {
                Some(before) => {
                    put_text(self.out, before);
                    self.out.put_u8(b'\\');
                    put_text(self.out, piece.get(before.len()..).unwrap_or_default());
                }
                None => put_text(self.out, piece),
            }
        }
        self.out.put_slice(b"\"\r\n");
    }

    /// Content-Type, which must be the last header, the body and the end-line.
    pub(crate) fn body(mut self, content_type: &str, body: &[u8], flag: Flag) {
        self.header("Content-Type", content_type);
        self.out.put_slice(b"\r\n");
        self.out.put_slice(body);
        self.out.put_slice(b"\r\n");
        self.end(flag);
    }

    pub(crate) fn end(self, flag: Flag) {
        self.out.put_slice(b"-------");
        self.out.put_slice(self.transaction.as_str().as_bytes());
        self.out.put_slice(&[flag.octet(), b'\r', b'\n']);
    }

    fn start(&mut self, kind: &str, comment: &str) {
        self.out.put_slice(b"MSRP ");
        self.out.put_slice(self.transaction.as_str().as_bytes());
        self.out.put_u8(b' ');
        put_text(self.out, kind);
        if !comment.is_empty() {
            self.out.put_u8(b' ');
            put_text(self.out, comment);
        }
        self.out.put_slice(b"\r\n");
    }

    fn open_number(&mut self, number: Option<u64>) {
        match number {
            Some(number) => self.number(number),
            None => self.out.put_u8(b'*'),
        }
    }

    fn number(&mut self, mut number: u64) {
        let mut digits = [b'0'; 20];
        let mut length = 0;
        for place in digits.iter_mut().rev() {
            *place = b'0' + (number % 10) as u8;
            number /= 10;
            length += 1;
            if number == 0 {
                break;
            }
        }
        self.out.put_slice(digits.get(20 - length..).unwrap_or_default());
    }

    fn path(&mut self, name: &str, hops: &[Uri]) {
        self.out.put_slice(name.as_bytes());
        for (index, hop) in hops.iter().enumerate() {
            if index > 0 {
                self.out.put_u8(b' ');
            }
            self.out.put_slice(hop.as_str().as_bytes());
        }
        self.out.put_slice(b"\r\n");
    }
}

/// The last guard against header injection: whatever was put together above, no control character reaches a head line.
fn put_text(out: &mut BytesMut, text: &str) {
    if !has_control(text.as_bytes()) {
        out.put_slice(text.as_bytes());
        return;
    }
    for octet in text.bytes() {
        out.put_u8(if is_control(octet) { b'?' } else { octet });
    }
}

struct Text<'a>(&'a mut BytesMut);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        put_text(self.0, text);
        Ok(())
    }
}
