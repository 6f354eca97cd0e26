//! The XMPP server's end of one component stream (XEP-0114): handshake, stanzas in, stanzas out.

use sha1::{Digest, Sha1};

use crate::{
    server::{SECRET, domain},
    xml::{Element, Item, Reader},
};

/// Octets of a stanza that the server takes.
const LARGEST: usize = 64 * 1024;

pub(crate) struct ComponentEnd {
    pub(crate) domain: String,
    stream: Option<Stream>,
    streams: u32,
    broken: Vec<String>,
}

struct Stream {
    reader: Reader,
    id: String,
    ready: bool,
    out: Vec<u8>,
    closed: bool,
}

impl ComponentEnd {
    pub(crate) fn new(domain: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            stream: None,
            streams: 0,
            broken: Vec::new(),
        }
    }

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

    /// The rules that the component broke.
    pub(crate) fn take_broken(&mut self) -> Vec<String> {
        std::mem::take(&mut self.broken)
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

    /// Octets of the component; returns its stanzas.
    pub(crate) fn handle_bytes(&mut self, bytes: &[u8]) -> Vec<Element> {
        let Some(stream) = self.stream.as_mut().filter(|stream| !stream.closed) else {
            return Vec::new();
        };
        let items = stream.reader.feed(bytes);
        let largest = stream.reader.largest;
        if largest > LARGEST {
            self.broken.push(format!("a stanza of {largest} octets"));
        }
        match items {
            Ok(items) => items
                .into_iter()
                .filter_map(|item| self.handle_item(item))
                .collect(),
            Err(why) => {
                self.broken.push(format!("not well-formed: {why}"));
                self.close("not-well-formed");
                Vec::new()
            }
        }
    }

    fn close(&mut self, condition: &str) {
        if let Some(stream) = &mut self.stream {
            let last = format!(
                "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
            );
            stream.out.extend_from_slice(last.as_bytes());
            stream.closed = true;
            stream.ready = false;
        }
    }

    fn handle_item(&mut self, item: Item) -> Option<Element> {
        let stream = self.stream.as_mut()?;
        match item {
            Item::Open(_) => {
                let header = format!(
                    "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:component:accept' from='{}' id='{}'>",
                    self.domain, stream.id
                );
                stream.out.extend_from_slice(header.as_bytes());
                None
            }
            Item::Close => {
                stream.out.extend_from_slice(b"</stream:stream>");
                stream.closed = true;
                stream.ready = false;
                None
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
                    self.broken.push("bad handshake".to_owned());
                    self.close("not-authorized");
                }
                None
            }
            Item::Child(stanza) => self.of_the_domain(stanza),
        }
    }

    /// A stanza must be from the component's domain and to somebody.
    fn of_the_domain(&mut self, stanza: Element) -> Option<Element> {
        match (stanza.attribute("from"), stanza.attribute("to")) {
            (Some(from), Some(_)) if domain(from) == self.domain => Some(stanza),
            (Some(from), Some(_)) => {
                self.broken.push(format!("from {from}"));
                self.close("invalid-from");
                None
            }
            _ => {
                self.broken.push("a stanza without addresses".to_owned());
                None
            }
        }
    }
}
