//! Reads a stanza leniently: an odd value is no reason to lose it.

use jid::{DomainRef, Jid};
use minidom::Element;
use xmpp_parsers::ns;

use super::extras::extras;
use super::muc::{jid, muc_user};
use super::service::join;
use super::{
    Condition, Delay, Iq, IqKind, Message, MessageKind, Payload, Presence, PresenceKind, Stanza, StanzaError,
};

/// Why an element is no stanza for us. Its text is the rule of `Event::Skipped`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not well-formed, or a prefix without a namespace.
    Xml,
    /// Not a stanza of the component namespace.
    UnknownElement,
    /// No `from`, or one that is no address.
    From,
    /// No `to`, or one that is no address.
    To,
    /// `to` is not of our domain.
    ForeignTo,
    /// An IQ without id.
    NoId,
    /// An IQ with an unknown type.
    IqType,
    /// An IQ request with no payload or more than one (RFC 6120 §8.2.3).
    IqPayload,
}

impl Fault {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Xml => "not well-formed",
            Self::UnknownElement => "no stanza",
            Self::From => "from is no address",
            Self::To => "to is no address",
            Self::ForeignTo => "to is of a foreign domain",
            Self::NoId => "request without id",
            Self::IqType => "unknown type of request",
            Self::IqPayload => "request without a single payload",
        }
    }

    /// The condition to answer with, where an answer is due.
    pub(crate) fn condition(self) -> Condition {
        match self {
            Self::From | Self::To => Condition::JidMalformed,
            _ => Condition::BadRequest,
        }
    }
}

/// Reads a top-level element. `domain` is ours.
pub(crate) fn read(element: &Element, domain: &str) -> Result<Stanza, Fault> {
    if !element.has_ns(ns::COMPONENT_ACCEPT) {
        return Err(Fault::UnknownElement);
    }
    match element.name() {
        "presence" => presence(element, addresses(element, domain)?),
        "message" => Ok(message(element, addresses(element, domain)?)),
        "iq" => iq(element, addresses(element, domain)?),
        _ => Err(Fault::UnknownElement),
    }
}

/// Sender and addressee.
fn addresses(element: &Element, domain: &str) -> Result<(Jid, Jid), Fault> {
    let from = jid(element, "from").ok_or(Fault::From)?;
    let to = jid(element, "to").ok_or(Fault::To)?;
    if DomainRef::as_str(to.domain()) != domain {
        return Err(Fault::ForeignTo);
    }
    Ok((from, to))
}

fn presence(element: &Element, (from, to): (Jid, Jid)) -> Result<Stanza, Fault> {
    let kind = match element.attr("type") {
        None => PresenceKind::Available,
        Some("unavailable") => PresenceKind::Unavailable,
        Some("error") => PresenceKind::Error(read_error(element)),
        Some(other) => PresenceKind::Other(other.to_owned()),
    };
    Ok(Stanza::Presence(Presence {
        from,
        to,
        id: element.attr("id").map(str::to_owned),
        kind,
        join: join(element),
        muc: muc_user(element),
        nick: element.get_child("nick", ns::NICK).map(Element::text),
        status: own_text(element, "status"),
    }))
}

fn message(element: &Element, (from, to): (Jid, Jid)) -> Stanza {
    let kind = match element.attr("type") {
        Some("chat") => MessageKind::Chat,
        Some("groupchat") => MessageKind::Groupchat,
        Some("headline") => MessageKind::Headline,
        Some("error") => MessageKind::Error,
        _ => MessageKind::Normal,
    };
    let stanza_ids = element.children().filter(|child| child.is("stanza-id", ns::SID));
    Stanza::Message(Box::new(Message {
        id: element.attr("id").map(str::to_owned),
        kind,
        body: own_text(element, "body"),
        subject: own_text(element, "subject"),
        has_thread: element.has_child("thread", ns::COMPONENT_ACCEPT),
        muc: muc_user(element),
        delay: delay(element, &from),
        stanza_ids: stanza_ids
            .filter_map(|child| Some((jid(child, "by")?, child.attr("id")?.to_owned())))
            .collect(),
        error: (kind == MessageKind::Error).then(|| read_error(element)),
        extras: extras(element),
        from,
        to,
    }))
}

fn iq(element: &Element, (from, to): (Jid, Jid)) -> Result<Stanza, Fault> {
    let id = element.attr("id").ok_or(Fault::NoId)?.to_owned();
    let mut payloads = element.children();
    let payload = payloads.next().map(|payload| Payload(payload.clone()));
    let kind = match (element.attr("type"), payload) {
        (Some("get"), Some(payload)) if payloads.next().is_none() => IqKind::Get(payload),
        (Some("set"), Some(payload)) if payloads.next().is_none() => IqKind::Set(payload),
        (Some("get" | "set"), _) => return Err(Fault::IqPayload),
        (Some("result"), payload) => IqKind::Result(payload),
        (Some("error"), _) => IqKind::Error(read_error(element)),
        _ => return Err(Fault::IqType),
    };
    Ok(Stanza::Iq(Iq { from, to, id, kind }))
}

/// The error of a stanza of type error, or of none if it has none.
fn read_error(stanza: &Element) -> StanzaError {
    let mut read = StanzaError::new(Condition::UndefinedCondition);
    let Some(error) = stanza.get_child("error", ns::COMPONENT_ACCEPT) else {
        return read;
    };
    for child in error.children().filter(|child| child.has_ns(ns::XMPP_STANZAS)) {
        if child.name() == "text" {
            read.text.get_or_insert_with(|| child.text());
        } else if let Some(condition) = Condition::from_name(child.name()) {
            read.condition = condition;
            let address = child.text();
            if matches!(condition, Condition::Gone | Condition::Redirect) && !address.is_empty() {
                read.new_address = Some(address);
            }
        }
    }
    read
}

fn delay(element: &Element, from: &Jid) -> Option<Delay> {
    let mut delays = element
        .children()
        .filter(|child| child.is("delay", ns::DELAY))
        .filter_map(|child| {
            Some(Delay {
                from: jid(child, "from"),
                stamp: child.attr("stamp")?.to_owned(),
            })
        });
    let first = delays.next()?;
    let room = Jid::from(from.to_bare());
    let by_room = |delay: &Delay| delay.from.as_ref() == Some(&room);
    if by_room(&first) {
        return Some(first);
    }
    Some(delays.find(by_room).unwrap_or(first))
}

/// The text of the first child of this name in the stanza's own namespace.
fn own_text(element: &Element, name: &str) -> Option<String> {
    element.get_child(name, ns::COMPONENT_ACCEPT).map(Element::text)
}
