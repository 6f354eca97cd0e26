//! The one place where XML is written.

use bytes::{BufMut, BytesMut};
use minidom::rxml::strings::validate_ncname;
use minidom::{Element, Node};
use xmpp_parsers::ns;

use crate::text::{Piece, pieces};

/// The namespace of the `xml:` prefix.
pub(crate) const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// Writes escaped XML at the end of a buffer, never more than a bound.
///
/// Every text and attribute value passes the rule of [`crate::text::XmlText`]; names are given by this crate, except those of a
/// foreign element, which are checked.
pub(crate) struct XmlWriter<'a> {
    out: &'a mut BytesMut,
    start: usize,
    limit: usize,
    fault: Option<WriteFault>,
}

/// Why nothing could be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteFault {
    /// It would be longer than the bound.
    TooLarge,
    /// An element has a name that XML does not allow.
    BadName,
}

impl<'a> XmlWriter<'a> {
    /// A writer that appends at most `limit` octets.
    pub(crate) fn new(out: &'a mut BytesMut, limit: usize) -> Self {
        let start = out.len();
        Self {
            out,
            start,
            limit,
            fault: None,
        }
    }

    /// How many octets were written; after a fault the buffer is as it was.
    pub(crate) fn finish(self) -> Result<usize, WriteFault> {
        match self.fault {
            None => Ok(self.out.len() - self.start),
            Some(fault) => {
                self.out.truncate(self.start);
                Err(fault)
            }
        }
    }

    /// Markup of this crate's own, as it is.
    pub(crate) fn raw(&mut self, markup: &str) {
        if self.fault.is_some() {
            return;
        }
        if self.out.len() - self.start + markup.len() > self.limit {
            self.fault = Some(WriteFault::TooLarge);
            return;
        }
        self.out.put_slice(markup.as_bytes());
    }

    /// Character data.
    pub(crate) fn text(&mut self, text: &str) {
        self.escaped(text, |octet| match octet {
            b'&' => Some("&amp;"),
            b'<' => Some("&lt;"),
            b'>' => Some("&gt;"),
            _ => None,
        });
    }

    /// An attribute, with a space before it.
    pub(crate) fn attribute(&mut self, name: &str, value: &str) {
        self.raw(" ");
        self.raw(name);
        self.raw("='");
        self.escaped(value, |octet| match octet {
            b'&' => Some("&amp;"),
            b'<' => Some("&lt;"),
            b'>' => Some("&gt;"),
            b'\'' => Some("&apos;"),
            b'"' => Some("&quot;"),
            // As themselves they would be read as spaces (XML 1.0 §3.3.3).
            b'\t' => Some("&#x9;"),
            b'\n' => Some("&#xa;"),
            _ => None,
        });
        self.raw("'");
    }

    /// An attribute, if there is a value.
    pub(crate) fn attribute_if(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.attribute(name, value);
        }
    }

    /// `<name>text</name>`, if there is a text.
    pub(crate) fn text_element(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.raw("<");
            self.raw(name);
            self.raw(">");
            self.text(text);
            self.raw("</");
            self.raw(name);
            self.raw(">");
        }
    }

    /// A whole element in the stream's default namespace. Without recursion: its depth is the caller's.
    pub(crate) fn element(&mut self, root: &Element) {
        let mut open = Vec::new();
        if self.start_tag(root, ns::COMPONENT_ACCEPT) {
            open.push((root, root.nodes()));
        }
        while let Some((element, nodes)) = open.last_mut() {
            if self.fault.is_some() {
                return;
            }
            match nodes.next() {
                Some(Node::Text(text)) => self.text(text),
                Some(Node::Element(child)) => {
                    if self.start_tag(child, &element.ns()) {
                        open.push((child, child.nodes()));
                    }
                }
                None => {
                    self.raw("</");
                    self.raw(element.name());
                    self.raw(">");
                    open.pop();
                }
            }
        }
    }

    /// Whether the element has content and so stays open.
    fn start_tag(&mut self, element: &Element, outer: &str) -> bool {
        if validate_ncname(element.name()).is_err() {
            self.fault.get_or_insert(WriteFault::BadName);
            return false;
        }
        self.raw("<");
        self.raw(element.name());
        let namespace = element.ns();
        if namespace != outer {
            self.attribute("xmlns", &namespace);
        }
        for (count, ((namespace, name), value)) in element.attrs().iter().enumerate() {
            match namespace.as_str() {
                "" => self.attribute(name, value),
                XML => self.attribute(&format!("xml:{name}"), value),
                namespace => {
                    self.attribute(&format!("xmlns:n{count}"), namespace);
                    self.attribute(&format!("n{count}:{name}"), value);
                }
            }
        }
        let has_content = element.nodes().next().is_some();
        self.raw(if has_content { ">" } else { "/>" });
        has_content
    }

    fn escaped(&mut self, text: &str, escape: fn(u8) -> Option<&'static str>) {
        for piece in pieces(text) {
            if self.fault.is_some() {
                return;
            }
            match piece {
                Piece::Forbidden => self.raw("\u{fffd}"),
                Piece::Newline => self.raw(escape(b'\n').unwrap_or("\n")),
                Piece::Run(run) => self.escaped_run(run, escape),
            }
        }
    }

    fn escaped_run(&mut self, run: &str, escape: fn(u8) -> Option<&'static str>) {
        let mut rest = run;
        while let Some((at, escaped)) = rest
            .bytes()
            .enumerate()
            .find_map(|(at, octet)| Some((at, escape(octet)?)))
        {
            let Some((plain, tail)) = rest.split_at_checked(at) else {
                return;
            };
            self.raw(plain);
            self.raw(escaped);
            rest = tail.get(1..).unwrap_or_default();
        }
        self.raw(rest);
    }
}
