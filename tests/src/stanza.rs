//! Stanzas as a client sees them: read from a stream element by element, without a schema.

use std::{borrow::Cow, io::BufRead, sync::mpsc::Sender};

use quick_xml::{
    Reader,
    escape::{resolve_xml_entity, unescape},
    events::{BytesRef, BytesStart, Event},
};

/// Elements nested deeper than this are counted but not kept: hostile stanzas reach well-behaved clients too.
const KEPT_DEPTH: usize = 64;

/// An XML element. Names are without prefix; a namespace declared on the element is its attribute `xmlns`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// Local name.
    pub name: String,
    /// Attributes in order.
    pub attributes: Vec<(String, String)>,
    /// Child elements in order, without those beyond the kept depth.
    pub children: Vec<Element>,
    /// Character data directly inside, joined.
    pub text: String,
}

impl Element {
    /// Value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// First child of that name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// First element of that name at any depth below.
    #[must_use]
    pub fn descendant(&self, name: &str) -> Option<&Element> {
        self.children.iter().find_map(|child| {
            if child.name == name {
                Some(child)
            } else {
                child.descendant(name)
            }
        })
    }

    /// Text of the first child of that name.
    #[must_use]
    pub fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    /// Attribute `from`, or nothing.
    #[must_use]
    pub fn from(&self) -> &str {
        self.attribute("from").unwrap_or_default()
    }

    /// Resource of `from`: in a room the sender's nickname.
    #[must_use]
    pub fn from_resource(&self) -> Option<&str> {
        self.from().split_once('/').map(|(_, resource)| resource)
    }

    /// Whether a muc#user status code is in it.
    #[must_use]
    pub fn has_status(&self, code: &str) -> bool {
        self.children
            .iter()
            .filter(|child| child.name == "x")
            .flat_map(|x| &x.children)
            .any(|status| status.name == "status" && status.attribute("code") == Some(code))
    }
}

/// Reads a client stream to its end and sends on every stream header (an empty `stream` element) and every stanza.
/// Ends when the stream ends, cannot be read, or nobody listens any more.
pub fn read_stream(stream: impl BufRead, stanzas: &Sender<Element>) {
    let mut reader = Reader::from_reader(stream);
    // A stream is restarted inside itself after authentication, so its tags do not pair up.
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_unmatched_ends = true;
    let mut buffer = Vec::new();
    let mut open = Open::default();
    loop {
        buffer.clear();
        let complete = match reader.read_event_into(&mut buffer) {
            Ok(Event::Start(tag)) if tag.local_name().as_ref() == "stream" && open.depth == 0 => {
                Some(element(&tag))
            }
            Ok(Event::Start(tag)) => {
                open.start(element(&tag));
                None
            }
            Ok(Event::Empty(tag)) => {
                open.start(element(&tag));
                open.end()
            }
            Ok(Event::End(_)) if open.depth == 0 => return,
            Ok(Event::End(_)) => open.end(),
            Ok(Event::Text(text)) => {
                open.text(&text.xml10_content());
                None
            }
            Ok(Event::GeneralRef(reference)) => {
                open.text(&resolve(&reference));
                None
            }
            Ok(Event::Eof) | Err(_) => return,
            Ok(_) => None,
        };
        if let Some(stanza) = complete
            && stanzas.send(stanza).is_err()
        {
            return;
        }
    }
}

/// The elements open at some point of the stream, outermost first, as far as they are kept.
#[derive(Debug, Default)]
struct Open {
    depth: usize,
    kept: Vec<Element>,
}

impl Open {
    fn start(&mut self, element: Element) {
        self.depth += 1;
        if self.depth <= KEPT_DEPTH {
            self.kept.push(element);
        }
    }

    fn text(&mut self, text: &str) {
        if self.depth <= KEPT_DEPTH
            && let Some(innermost) = self.kept.last_mut()
        {
            innermost.text.push_str(text);
        }
    }

    fn end(&mut self) -> Option<Element> {
        self.depth = self.depth.saturating_sub(1);
        if self.depth >= KEPT_DEPTH {
            return None;
        }
        let closed = self.kept.pop()?;
        match self.kept.last_mut() {
            Some(parent) => {
                parent.children.push(closed);
                None
            }
            None => Some(closed),
        }
    }
}

fn element(tag: &BytesStart<'_>) -> Element {
    let attributes = tag
        .attributes()
        .flatten()
        .map(|attribute| {
            let value = unescape(&attribute.value).map(Cow::into_owned);
            (
                attribute.key.as_ref().to_owned(),
                value.unwrap_or_else(|_| attribute.value.into_owned()),
            )
        })
        .collect();
    Element {
        name: tag.local_name().as_ref().to_owned(),
        attributes,
        ..Element::default()
    }
}

fn resolve(reference: &BytesRef<'_>) -> String {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return character.to_string();
    }
    resolve_xml_entity(reference).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::{Element, read_stream};

    fn read(stream: &str) -> Vec<Element> {
        let (sender, receiver) = channel();
        read_stream(stream.as_bytes(), &sender);
        drop(sender);
        receiver.iter().collect()
    }

    #[test]
    fn headers_stanzas_and_restarts_are_told_apart() {
        let names: Vec<String> = read(
            "<?xml version='1.0'?><stream:stream id='1'><stream:features/><success/>\
             <?xml version='1.0'?><stream:stream id='2'><message><body>x</body></message></stream:stream>",
        )
        .into_iter()
        .map(|element| element.name)
        .collect();
        assert_eq!(names, ["stream", "features", "success", "stream", "message"]);
    }

    #[test]
    fn text_and_attributes_are_unescaped() {
        let stanzas =
            read("<stream><message from='a&amp;b/Ro&#x6d;eo'><body>1 &lt; 2&#x20AC;</body></message>");
        let message = stanzas.last().unwrap();
        assert_eq!(message.from(), "a&b/Romeo");
        assert_eq!(message.from_resource(), Some("Romeo"));
        assert_eq!(message.child_text("body"), Some("1 < 2€"));
    }

    #[test]
    fn deep_stanzas_are_survived_and_the_next_one_read() {
        let deep = format!(
            "<message>{}{}</message>",
            "<a>".repeat(40_000),
            "</a>".repeat(40_000)
        );
        let stanzas = read(&format!("<stream>{deep}<presence/>"));
        assert_eq!(
            stanzas.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(),
            ["stream", "message", "presence"]
        );
    }

    #[test]
    fn status_codes_are_found() {
        let stanzas = read(
            "<stream><presence><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x></presence>",
        );
        let presence = stanzas.last().unwrap();
        assert!(presence.has_status("110"));
        assert!(!presence.has_status("301"));
    }
}
