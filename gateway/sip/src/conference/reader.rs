//! Conference documents from octets.

use quick_xml::{
    NsReader, XmlVersion,
    events::{BytesStart, Event},
    name::ResolveResult,
};

use super::{Document, DocumentFault, EndpointStatus, NAMESPACE, State, User, carried};
use crate::xml;

/// Octets of a document.
const MAX_OCTETS: usize = 256 * 1024;
/// Elements within each other.
const MAX_DEPTH: usize = 32;
/// Attributes of an element.
const MAX_ATTRIBUTES: usize = 64;
/// Namespace declarations in force.
const MAX_NAMESPACES: usize = 64;

pub(super) fn read(body: &[u8]) -> Result<(u32, Document), DocumentFault> {
    if body.len() > MAX_OCTETS {
        return Err(fault("over 256 KiB"));
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
            Event::Start(start) => reading.start(&namespace, &start)?,
            Event::End(_) => reading.end(),
            Event::Text(text) => reading.text(&text.xml10_content())?,
            Event::CData(text) => reading.text(&text.xml10_content())?,
            Event::GeneralRef(reference) => reading.text(&xml::resolve(&reference).map_err(fault)?)?,
            Event::DocType(_) => return Err(fault("document type declaration")),
            Event::Eof => return reading.finish(),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

fn fault(rule: impl Into<String>) -> DocumentFault {
    DocumentFault(rule.into())
}

/// An element that means something, by where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Info,
    Description,
    Subject,
    Conference,
    UserCount,
    Users,
    User,
    DisplayText,
    Aors,
    AorEntry,
    Aor,
    Roles,
    Role,
    Endpoint,
    Status,
    DisconnectionMethod,
    DisconnectionInfo,
    Reason,
    /// Anything else, with all that is in it.
    Foreign,
}

/// What an element is, from the one around it and its name.
fn place_of(parent: Option<Place>, name: &str) -> Place {
    match (parent, name) {
        (None, "conference-info") => Place::Info,
        (Some(Place::Info), "conference-description") => Place::Description,
        (Some(Place::Description), "subject") => Place::Subject,
        (Some(Place::Info), "conference-state") => Place::Conference,
        (Some(Place::Conference), "user-count") => Place::UserCount,
        (Some(Place::Info), "users") => Place::Users,
        (Some(Place::Users), "user") => Place::User,
        (Some(Place::User), "display-text") => Place::DisplayText,
        (Some(Place::User), "associated-aors") => Place::Aors,
        (Some(Place::Aors), "entry") => Place::AorEntry,
        (Some(Place::AorEntry), "uri") => Place::Aor,
        (Some(Place::User), "roles") => Place::Roles,
        (Some(Place::Roles), "entry") => Place::Role,
        (Some(Place::User), "endpoint") => Place::Endpoint,
        (Some(Place::Endpoint), "status") => Place::Status,
        (Some(Place::Endpoint), "disconnection-method") => Place::DisconnectionMethod,
        (Some(Place::Endpoint), "disconnection-info") => Place::DisconnectionInfo,
        (Some(Place::DisconnectionInfo), "reason") => Place::Reason,
        _ => Place::Foreign,
    }
}

/// A document half read.
#[derive(Default)]
struct Reading {
    open: Vec<Place>,
    /// Text of the innermost element that has only text.
    text: String,
    version: u32,
    document: Document,
    user: User,
    endpoint: Endpoint,
    found: bool,
}

#[derive(Default)]
struct Endpoint {
    state: State,
    status: Option<String>,
    method: Option<String>,
    reason: Option<String>,
}

impl Reading {
    fn start(&mut self, namespace: &ResolveResult<'_>, start: &BytesStart<'_>) -> Result<(), DocumentFault> {
        if self.open.len() >= MAX_DEPTH {
            return Err(fault("over 32 levels"));
        }
        let ours = match namespace {
            ResolveResult::Bound(namespace) => namespace.as_ref() == NAMESPACE,
            // Some peers leave the namespace out, as do the examples of RFC 7702.
            ResolveResult::Unbound => true,
            ResolveResult::Unknown(_) => false,
        };
        let name = start.local_name();
        let mut place = match ours {
            true => place_of(self.open.last().copied(), name.as_ref()),
            false => Place::Foreign,
        };
        if self.open.is_empty() && (self.found || place != Place::Info) {
            return Err(fault("no conference-info element"));
        }
        let attributes = Attributes::read(start)?;
        match place {
            Place::Info => self.start_document(attributes)?,
            Place::Users if attributes.state == State::Deleted => {
                // RFC 4575 §4.4: what is in it must be ignored.
                self.start_users(&attributes);
                place = Place::Foreign;
            }
            Place::Users => self.start_users(&attributes),
            Place::User => {
                self.user = User {
                    entity: attributes.entity.unwrap_or_default(),
                    state: attributes.state,
                    nickname: attributes.nickname,
                    ..User::default()
                }
            }
            Place::Endpoint => {
                self.endpoint = Endpoint {
                    state: attributes.state,
                    ..Endpoint::default()
                }
            }
            _ => {}
        }
        self.text.clear();
        self.open.push(place);
        Ok(())
    }

    fn start_document(&mut self, attributes: Attributes) -> Result<(), DocumentFault> {
        self.found = true;
        self.document.entity = attributes.entity.ok_or_else(|| fault("no entity"))?;
        self.document.state = attributes.state;
        if let Some(version) = attributes.version {
            self.version = version
                .parse()
                .map_err(|_| fault("version is no 32-bit number"))?;
        }
        Ok(())
    }

    fn start_users(&mut self, attributes: &Attributes) {
        if self.document.state == State::Partial && attributes.state != State::Partial {
            self.document.state = State::Full;
        }
    }

    fn text(&mut self, text: &str) -> Result<(), DocumentFault> {
        if self.open.is_empty() && !text.trim_ascii().is_empty() {
            return Err(fault("text outside the document element"));
        }
        self.text.push_str(text);
        Ok(())
    }

    fn end(&mut self) {
        let text = carried(self.text.trim_ascii()).into_owned();
        self.text.clear();
        match self.open.pop() {
            Some(Place::Subject) => self.document.subject = Some(text),
            Some(Place::UserCount) => self.document.user_count = text.parse().ok(),
            Some(Place::DisplayText) => self.user.display_text = Some(text),
            Some(Place::Aor) => self.user.aors.push(text),
            Some(Place::Role) => self.user.roles.push(text),
            Some(Place::Status) => self.endpoint.status = Some(text),
            Some(Place::DisconnectionMethod) => self.endpoint.method = Some(text),
            Some(Place::Reason) => self.endpoint.reason = Some(text),
            Some(Place::Endpoint) => self.end_endpoint(),
            Some(Place::User) => self.end_user(),
            _ => {}
        }
    }

    fn end_endpoint(&mut self) {
        let status = std::mem::take(&mut self.endpoint).status();
        if self.user.status.is_none() || status == Some(EndpointStatus::Connected) {
            self.user.status = status;
        }
    }

    fn end_user(&mut self) {
        let user = std::mem::take(&mut self.user);
        if !user.entity.is_empty() {
            self.document.users.push(user);
        }
    }

    fn finish(self) -> Result<(u32, Document), DocumentFault> {
        if !self.open.is_empty() {
            return Err(fault("ends within an element"));
        }
        if !self.found {
            return Err(fault("no conference-info element"));
        }
        let mut document = self.document;
        if document.state == State::Deleted {
            // RFC 4575 §4.4: what is in it must be ignored.
            document = Document {
                entity: document.entity,
                state: State::Deleted,
                ..Document::default()
            };
        }
        Ok((self.version, document))
    }
}

impl Endpoint {
    fn status(self) -> Option<EndpointStatus> {
        match (self.status.as_deref(), self.method.as_deref()) {
            (Some("connected"), _) => Some(EndpointStatus::Connected),
            (Some("disconnected") | None, Some("booted")) => Some(EndpointStatus::Booted(self.reason)),
            (Some("disconnected"), Some("departed") | None) | (None, Some("departed")) => {
                Some(EndpointStatus::Departed)
            }
            (Some(_), _) => self.status.map(EndpointStatus::Other),
            (None, _) => (self.state == State::Deleted).then_some(EndpointStatus::Departed),
        }
    }
}

/// The attributes that mean something.
#[derive(Default)]
struct Attributes {
    entity: Option<String>,
    state: State,
    version: Option<String>,
    nickname: Option<String>,
}

impl Attributes {
    fn read(start: &BytesStart<'_>) -> Result<Self, DocumentFault> {
        let mut read = Self::default();
        for (count, attribute) in start.attributes().enumerate() {
            if count >= MAX_ATTRIBUTES {
                return Err(fault("over 64 attributes"));
            }
            let attribute = attribute.map_err(|error| fault(error.to_string()))?;
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|error| fault(error.to_string()))?;
            let value = carried(&value).into_owned();
            let (name, prefix) = attribute.key.decompose();
            match (prefix.is_some(), name.as_ref()) {
                (false, "entity") => read.entity = Some(value),
                (false, "version") => read.version = Some(value),
                (false, "state") => {
                    read.state = match value.as_str() {
                        "full" => State::Full,
                        "partial" => State::Partial,
                        "deleted" => State::Deleted,
                        _ => return Err(fault("unknown state")),
                    }
                }
                // `xcon:nickname` (RFC 7701 §9.5), by whatever prefix.
                (_, "nickname") => read.nickname = Some(value),
                _ => {}
            }
        }
        Ok(read)
    }
}
