//! What is said in a room: reading what participants send, and writing the copies.

use std::fmt::Write;

use bytes::Bytes;
use jiff::Timestamp;
use msrp::cpim::{Address, Cpim};

/// A message that the room has accepted, as it is passed on.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    /// The sender's name.
    pub(crate) name: Option<String>,
    /// What names him to the others.
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) at: Timestamp,
    pub(crate) content_type: String,
    pub(crate) content: Bytes,
    /// Other headers of the sender, passed on.
    pub(crate) other: Vec<(String, String)>,
    pub(crate) content_headers: Vec<(String, String)>,
}

impl Said {
    /// A text.
    pub(crate) fn text(name: Option<String>, from: String, to: String, text: &str) -> Self {
        Self {
            name,
            from,
            to,
            at: Timestamp::now(),
            content_type: "text/plain;charset=utf-8".to_owned(),
            content: Bytes::copy_from_slice(text.as_bytes()),
            other: Vec::new(),
            content_headers: Vec::new(),
        }
    }

    /// What a participant has sent, from him under the name that the others know and to somebody or all.
    pub(crate) fn passed_on(cpim: Cpim, name: Option<String>, from: String, to: String) -> Self {
        Self {
            name,
            from,
            to,
            at: cpim.date_time.unwrap_or_else(Timestamp::now),
            content_type: cpim.content_type,
            content: cpim.content,
            other: cpim.other,
            content_headers: cpim.content_headers,
        }
    }

    /// The body of a copy; `lax` as deployed servers write it.
    pub(crate) fn body(&self, lax: bool) -> Bytes {
        if lax { self.lax() } else { self.cpim().to_bytes() }
    }

    fn cpim(&self) -> Cpim {
        let address = |name: Option<&String>, uri: &str| Address {
            display_name: name.cloned(),
            uri: uri.to_owned(),
        };
        Cpim {
            from: Some(address(self.name.as_ref(), &self.from)),
            to: vec![address(None, &self.to)],
            date_time: Some(self.at),
            other: self.other.clone(),
            content_type: self.content_type.clone(),
            content_headers: self.content_headers.clone(),
            content: self.content.clone(),
        }
    }

    /// Names in bare words, microseconds in the time, bare line feeds behind the inner headers.
    fn lax(&self) -> Bytes {
        let at = self.at.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00");
        let bare = |name: &str| name.replace(['"', '<', '>', '\r', '\n'], " ");
        let name = self
            .name
            .as_deref()
            .map(|name| bare(name) + " ")
            .unwrap_or_default();
        let mut text = format!(
            "From: {name}<{}>\r\nTo: <{}>\r\nDateTime: {at}\r\n\r\n",
            self.from, self.to
        );
        text.push_str("MIME-Version: 1.0\n");
        // A String takes every character.
        let _ = writeln!(text, "Content-Type: text/plain; charset=\"utf8\"");
        if !self.content.is_ascii() {
            text.push_str("Content-Transfer-Encoding: \n");
        }
        text.push('\n');
        let mut body = text.into_bytes();
        body.extend_from_slice(&self.content);
        body.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_can_be_read_in_either_style() {
        let said = Said::text(
            Some("Ben V.".to_owned()),
            "sip:ben@example.org".to_owned(),
            "sip:verona@conference.example.org".to_owned(),
            "Part, fools! ⚔\nPut up your swords.",
        );
        for lax in [false, true] {
            let read = Cpim::parse(&said.body(lax)).unwrap();
            let from = read.from.as_ref().unwrap();
            assert_eq!(from.display_name.as_deref(), Some("Ben V."));
            assert_eq!(from.uri, "sip:ben@example.org");
            assert_eq!(read.to[0].uri, "sip:verona@conference.example.org");
            assert_eq!(read.text(), Some("Part, fools! ⚔\nPut up your swords."));
            assert!(read.date_time.is_some(), "lax: {lax}");
        }
        let lax = said.body(true);
        let text = std::str::from_utf8(&lax).unwrap();
        assert!(
            text.starts_with("From: Ben V. <sip:ben@example.org>\r\n"),
            "{text}"
        );
        assert!(
            text.contains("\r\n\r\nMIME-Version: 1.0\nContent-Type: text/plain; charset=\"utf8\"\n"),
            "{text}"
        );
    }
}
