//! What a piece of the stream means.

use std::collections::BTreeMap;

use minidom::Element;
use xmpp_parsers::ns;

use super::DownCause;
use crate::guard::{Frame, Peek};
use crate::stanza::{Bounce, Condition, Fault, Stanza, read};

/// Octets of a text of the server's that are kept.
const TEXT: usize = 512;
/// Octets of the sender in `Event::Skipped`.
const FROM: usize = 256;

/// Namespaces in force at the top level, by prefix.
pub(super) type Prefixes = BTreeMap<Option<String>, String>;

/// A piece of the stream, read.
#[expect(
    clippy::large_enum_variant,
    reason = "moved once, never kept: a box would cost more"
)]
#[derive(Debug)]
pub(super) enum Arrival {
    /// The stream header: its id and its namespaces, or why it is none.
    Header(Result<(String, Prefixes), &'static str>),
    /// `<handshake/>`.
    Handshake,
    /// `<stream:features/>`, which a component does not ask for.
    Features,
    /// `<stream:error/>`.
    StreamError(DownCause),
    /// A stanza.
    Stanza(Stanza),
    /// An element that was skipped.
    Skipped(Skipped),
    /// `</stream:stream>`.
    End,
    /// No stream.
    Malformed(&'static str),
}

/// What is ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ours<'a> {
    pub(super) domain: &'a str,
    /// Whether its addresses are rooms and their occupants, and no users.
    pub(super) has_rooms: bool,
}

/// An element that is no stanza for us.
#[derive(Debug)]
pub(super) struct Skipped {
    /// The rule it broke.
    pub(super) rule: &'static str,
    /// Its sender, cut.
    pub(super) from: String,
    /// The answer, where one is due.
    pub(super) bounce: Option<Bounce>,
}

impl Arrival {
    /// Reads a frame.
    pub(super) fn read(frame: Frame<'_>, prefixes: &Prefixes, ours: Ours<'_>) -> Self {
        match frame {
            Frame::Header(octets) => Self::Header(header(octets)),
            Frame::Stanza { octets, peek } => {
                match Element::from_reader_with_prefixes(octets, prefixes.clone()) {
                    Ok(element) => Self::of_element(&element, peek, ours),
                    Err(_) => Self::skipped(peek, Fault::Xml, ours),
                }
            }
            Frame::Broken { rule, peek } => Self::Skipped(Skipped {
                rule: rule.as_str(),
                from: sender(peek),
                bounce: bounce(peek, Condition::BadRequest, ours),
            }),
            Frame::End => Self::End,
            Frame::Malformed(why) => Self::Malformed(why),
        }
    }

    fn of_element(element: &Element, peek: &Peek, ours: Ours<'_>) -> Self {
        if element.is("error", ns::STREAM) {
            Self::StreamError(stream_error(element))
        } else if element.is("features", ns::STREAM) {
            Self::Features
        } else if element.is("handshake", ns::COMPONENT_ACCEPT) {
            Self::Handshake
        } else {
            match read(element, ours.domain) {
                Ok(stanza) => Self::Stanza(stanza),
                Err(fault) => Self::skipped(peek, fault, ours),
            }
        }
    }

    fn skipped(peek: &Peek, fault: Fault, ours: Ours<'_>) -> Self {
        Self::Skipped(Skipped {
            rule: fault.as_str(),
            from: sender(peek),
            bounce: bounce(peek, fault.condition(), ours),
        })
    }
}

/// Reads a stream header: the start tag of an element that stays open.
fn header(octets: &[u8]) -> Result<(String, Prefixes), &'static str> {
    let mut whole = octets.strip_suffix(b">").unwrap_or(octets).to_vec();
    whole.extend_from_slice(b"/>");
    let element =
        Element::from_reader(whole.as_slice()).map_err(|_| "the stream header is not well-formed")?;
    if !element.is("stream", ns::STREAM) {
        return Err("no stream header");
    }
    let prefixes = element.prefixes.declared_prefixes().clone();
    if prefixes.get(&None).map(String::as_str) != Some(ns::COMPONENT_ACCEPT) {
        return Err("a stream of another namespace");
    }
    Ok((element.attr("id").unwrap_or_default().to_owned(), prefixes))
}

/// The cause in a stream error (RFC 6120 §4.9).
fn stream_error(element: &Element) -> DownCause {
    let mut children = element.children().filter(|child| child.has_ns(ns::XMPP_STREAMS));
    let condition = children.find(|child| child.name() != "text");
    let text = element
        .get_child("text", ns::XMPP_STREAMS)
        .map_or_else(|| element.text(), Element::text);
    match condition.map(Element::name) {
        Some("not-authorized") => DownCause::NotAuthorized,
        Some("conflict") => DownCause::Conflict,
        Some("host-unknown") => DownCause::HostUnknown,
        condition => {
            let condition = condition.unwrap_or("undefined-condition");
            let separator = if text.is_empty() { "" } else { ": " };
            DownCause::StreamError(cut(format!("{condition}{separator}{text}"), TEXT))
        }
    }
}

fn sender(peek: &Peek) -> String {
    cut(peek.from().unwrap_or_default(), FROM)
}

/// The error reply that a skipped stanza is due: a request, or a message that is neither groupchat nor headline. Nothing is ever said
/// about an error, and nothing to a room: it would throw our occupant out. Where the rooms are ours, whoever enters or speaks is due one too.
fn bounce(peek: &Peek, condition: Condition, ours: Ours<'_>) -> Option<Bounce> {
    let kind = peek.kind();
    let (name, id) = match (peek.element(), kind.as_deref()) {
        ("iq", Some("result" | "error")) | ("message", Some("error" | "headline")) => return None,
        ("message", Some("groupchat")) if !ours.has_rooms => return None,
        ("iq", _) => ("iq", Some(peek.id()?)),
        ("message", _) => ("message", peek.id()),
        ("presence", None) if ours.has_rooms => ("presence", peek.id()),
        _ => return None,
    };
    let (from, to) = (peek.to()?, peek.from().filter(|from| !from.is_empty())?);
    is_ours(&from, ours.domain).then_some(Bounce {
        name,
        from,
        to,
        id,
        condition,
    })
}

/// Whether an address that may be malformed is surely of our domain.
fn is_ours(address: &str, domain: &str) -> bool {
    let bare = address.split_once('/').map_or(address, |(bare, _)| bare);
    let host = bare.split_once('@').map_or(bare, |(_, host)| host);
    host.eq_ignore_ascii_case(domain)
}

/// Cuts a text to at most this many octets.
pub(super) fn cut(mut text: String, octets: usize) -> String {
    let end = (0..=octets.min(text.len()))
        .rev()
        .find(|&end| text.is_char_boundary(end));
    text.truncate(end.unwrap_or(0));
    text
}
