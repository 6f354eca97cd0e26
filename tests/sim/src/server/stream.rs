//! The component stream (XEP-0114) from the server's side.

use sha1::{Digest, Sha1};

use super::{Entry, SECRET, Server, Stream};
use crate::xml::{Item, Reader};

impl Server {
    pub(crate) fn connected(&mut self) {
        self.streams += 1;
        self.stream = Some(Stream {
            reader: Reader::default(),
            id: format!("s{}", self.streams),
            ready: false,
            out: Vec::new(),
            closed: false,
        });
    }

    pub(crate) fn disconnected(&mut self) {
        self.stream = None;
    }

    /// What is to be written to the component, and whether the stream ends then.
    pub(crate) fn take_output(&mut self) -> (Vec<u8>, bool) {
        self.stream.as_mut().map_or((Vec::new(), false), |stream| {
            (std::mem::take(&mut stream.out), stream.closed)
        })
    }

    pub(crate) fn handle_bytes(&mut self, bytes: &[u8]) {
        let Some(stream) = &mut self.stream else { return };
        if stream.closed {
            return;
        }
        match stream.reader.feed(bytes) {
            Ok(items) => {
                if stream.reader.largest > 64 * 1024 {
                    let octets = stream.reader.largest;
                    self.broken(format!("a stanza of {octets} octets"));
                }
                for item in items {
                    self.handle_item(item);
                }
            }
            Err(why) => {
                self.broken(format!("not well-formed: {why}"));
                self.close("not-well-formed");
            }
        }
    }

    pub(super) fn broken(&mut self, what: String) {
        self.entries.push(Entry::Broken(what));
    }

    pub(super) fn close(&mut self, condition: &str) {
        if let Some(stream) = &mut self.stream {
            let last = format!(
                "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
            );
            stream.out.extend_from_slice(last.as_bytes());
            stream.closed = true;
            stream.ready = false;
        }
    }

    fn handle_item(&mut self, item: Item) {
        let Some(stream) = &mut self.stream else { return };
        match item {
            Item::Open(_) => {
                let header = format!(
                    "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:component:accept' from='{}' id='{}'>",
                    self.component, stream.id
                );
                stream.out.extend_from_slice(header.as_bytes());
            }
            Item::Close => {
                stream.out.extend_from_slice(b"</stream:stream>");
                stream.closed = true;
                stream.ready = false;
            }
            Item::Child(element) if !stream.ready => {
                let digest = Sha1::new()
                    .chain_update(&stream.id)
                    .chain_update(SECRET)
                    .finalize();
                let hex: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
                if element.name == "handshake" && element.text == hex {
                    stream.ready = true;
                    stream.out.extend_from_slice(b"<handshake/>");
                } else {
                    self.broken("bad handshake".to_owned());
                    self.close("not-authorized");
                }
            }
            Item::Child(element) => self.handle_stanza(&element),
        }
    }

    /// A stanza to the component; `false` when it is not there.
    pub(crate) fn send(&mut self, stanza: &str) -> bool {
        match &mut self.stream {
            Some(stream) if stream.ready => {
                stream.out.extend_from_slice(stanza.as_bytes());
                true
            }
            _ => false,
        }
    }
}
