//! Lists of recipients (`application/resource-lists+xml`: RFC 4826 §3, with the copy control of RFC 5364), as RFC 5366 and RFC 5368 put
//! them into INVITE and REFER.

use quick_xml::{
    NsReader, XmlVersion,
    events::{BytesStart, Event},
    name::ResolveResult,
};

use crate::xml;

/// The media type.
pub const CONTENT_TYPE: &str = "application/resource-lists+xml";
/// The disposition of a body with recipients (RFC 5363 §4).
pub const DISPOSITION: &str = "recipient-list";

const NAMESPACE: &str = "urn:ietf:params:xml:ns:resource-lists";
const COPY_CONTROL: &str = "urn:ietf:params:xml:ns:copycontrol";

/// Octets of a document.
const MAX_OCTETS: usize = 64 * 1024;
/// Elements within each other.
const MAX_DEPTH: usize = 16;
/// Namespace declarations in force.
const MAX_NAMESPACES: usize = 64;
/// Attributes of an element.
const MAX_ATTRIBUTES: usize = 32;
/// Entries of a document.
const MAX_ENTRIES: usize = 1000;

/// One recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// His address, as written.
    pub uri: String,
    /// `<display-name/>`.
    pub display_name: Option<String>,
    /// How openly he is addressed; `To` if nothing is said.
    pub copy: Copy,
    /// Whether the others shall not be shown his address.
    pub anonymize: bool,
}

/// `copyControl` (RFC 5364 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    /// A main recipient.
    To,
    /// A secondary one.
    Cc,
    /// One of whom the others do not know.
    Bcc,
}

/// Why a body is no list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a list of recipients: {0}")]
pub struct ListFault(pub String);

/// The entries of all lists of a document, in order, those of lists within lists included. Entries that stand elsewhere
/// (`<entry-ref/>`, `<external/>`) are left out, as RFC 5363 §4.2 allows. At most 64 KiB and 1000 entries.
///
/// # Errors
/// No such document, one with a document type declaration, or one over a limit.
pub fn read(body: &[u8]) -> Result<Vec<Entry>, ListFault> {
    if body.len() > MAX_OCTETS {
        return Err(fault("over 64 KiB"));
    }
    let text = std::str::from_utf8(body).map_err(|_| fault("not UTF-8"))?;
    let mut reader = NsReader::from_str(text.trim_start_matches('\u{FEFF}'));
    reader.resolver_mut().set_max_namespace_bindings(MAX_NAMESPACES);
    reader.config_mut().expand_empty_elements = true;
    let mut reading = Reading::default();
    loop {
        let (namespace, event) = reader
            .read_resolved_event()
            .map_err(|error| fault(error.to_string()))?;
        match event {
            Event::Start(start) => {
                let ours = matches!(namespace, ResolveResult::Bound(name) if name.0 == NAMESPACE)
                    || matches!(namespace, ResolveResult::Unbound);
                let place = reading.place(ours, start.local_name().as_ref());
                let entry = match place {
                    Place::Entry => Some(entry(&reader, &start)?),
                    _ => None,
                };
                reading.start(place, entry)?;
            }
            Event::End(_) => reading.end(),
            Event::Text(text) => reading.text(&text.xml10_content()),
            Event::CData(text) => reading.text(&text.xml10_content()),
            Event::GeneralRef(reference) => reading.text(&xml::resolve(&reference).map_err(fault)?),
            Event::DocType(_) => return Err(fault("document type declaration")),
            Event::Eof => return reading.finish(),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

/// An element that means something, by where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Lists,
    List,
    Entry,
    DisplayName,
    /// Anything else, with all that is in it.
    Foreign,
}

/// A document half read.
#[derive(Default)]
struct Reading {
    open: Vec<Place>,
    name: String,
    entries: Vec<Entry>,
    found: bool,
}

impl Reading {
    fn place(&self, ours: bool, name: &str) -> Place {
        match (self.open.last(), name) {
            _ if !ours => Place::Foreign,
            (None, "resource-lists") => Place::Lists,
            (Some(Place::Lists | Place::List), "list") => Place::List,
            (Some(Place::List), "entry") => Place::Entry,
            (Some(Place::Entry), "display-name") => Place::DisplayName,
            _ => Place::Foreign,
        }
    }

    fn start(&mut self, place: Place, entry: Option<Entry>) -> Result<(), ListFault> {
        if self.open.len() >= MAX_DEPTH {
            return Err(fault("too deep"));
        }
        self.found |= place == Place::Lists;
        if let Some(entry) = entry {
            if self.entries.len() >= MAX_ENTRIES {
                return Err(fault("over 1000 entries"));
            }
            self.entries.push(entry);
        }
        self.name.clear();
        self.open.push(place);
        Ok(())
    }

    fn end(&mut self) {
        if self.open.pop() == Some(Place::DisplayName) {
            let name = self.name.trim();
            if let Some(entry) = self.entries.last_mut().filter(|_| !name.is_empty()) {
                entry.display_name = Some(name.to_owned());
            }
        }
    }

    fn text(&mut self, text: &str) {
        if self.open.last() == Some(&Place::DisplayName) {
            self.name.push_str(text);
        }
    }

    fn finish(self) -> Result<Vec<Entry>, ListFault> {
        if self.found && self.open.is_empty() {
            Ok(self.entries)
        } else {
            Err(fault("no resource-lists element, or an unfinished one"))
        }
    }
}

fn entry(reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> Result<Entry, ListFault> {
    let mut entry = Entry {
        uri: String::new(),
        display_name: None,
        copy: Copy::To,
        anonymize: false,
    };
    for (count, attribute) in start.attributes().enumerate() {
        if count >= MAX_ATTRIBUTES {
            return Err(fault("over 32 attributes"));
        }
        let attribute = attribute.map_err(|error| fault(error.to_string()))?;
        let (namespace, name) = reader.resolver().resolve_attribute(attribute.key);
        let value = attribute
            .normalized_value(XmlVersion::Explicit1_0)
            .map_err(|error| fault(error.to_string()))?;
        let copy_control = matches!(namespace, ResolveResult::Bound(name) if name.0 == COPY_CONTROL);
        match (name.as_ref(), copy_control) {
            ("uri", false) => value.trim().clone_into(&mut entry.uri),
            ("copyControl", true) => {
                entry.copy = match &*value {
                    "cc" => Copy::Cc,
                    "bcc" => Copy::Bcc,
                    _ => Copy::To,
                }
            }
            ("anonymize", true) => entry.anonymize = matches!(&*value, "true" | "1"),
            _ => {}
        }
    }
    if entry.uri.is_empty() {
        return Err(fault("an entry without uri"));
    }
    Ok(entry)
}

fn fault(rule: impl Into<String>) -> ListFault {
    ListFault(rule.into())
}
