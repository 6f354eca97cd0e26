//! What a message carries beside its text (XEP-0066, 0249, 0308, 0380, 0424, 0425, 0428, 0444, 0461), read as leniently as the rest.

use jid::{BareJid, Jid};
use minidom::Element;
use xmpp_parsers::ns;

use super::muc::jid;
use crate::xml::XML;

const CONFERENCE: &str = "jabber:x:conference";
const CORRECTION: &str = "urn:xmpp:message-correct:0";
const REPLY: &str = "urn:xmpp:reply:0";
const FALLBACK: [&str; 2] = ["urn:xmpp:fallback:0", "urn:xmpp:feature-fallback:0"];
const RETRACTION: [&str; 2] = ["urn:xmpp:message-retract:1", "urn:xmpp:message-retract:0"];
const MODERATION: [&str; 2] = ["urn:xmpp:message-moderate:1", "urn:xmpp:message-moderate:0"];
/// Older retractions and moderations are wrapped in this.
const FASTENING: &str = "urn:xmpp:fasten:0";
const OTR: &str = "urn:xmpp:otr:0";
const OPENPGP_LEGACY: &str = "jabber:x:encrypted";
const OMEMO: [&str; 3] = [ns::LEGACY_OMEMO, "urn:xmpp:omemo:1", "urn:xmpp:omemo:2"];

/// What a message carries beside its first text. All of it is said by the sender: of these only the room itself may be believed to
/// moderate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extras {
    /// All bodies with their languages (their own, else the stanza's, else empty), if there are several.
    pub bodies: Vec<(String, String)>,
    /// It replaces an earlier message (XEP-0308).
    pub corrects: bool,
    /// It answers a message (XEP-0461); the inner value is whose, if that is said.
    pub replies_to: Option<Option<Jid>>,
    /// Parts of the body that stand in for something that a client may not know (XEP-0428).
    pub fallbacks: Vec<Fallback>,
    /// Reactions to an earlier message, all that the sender now has; none of them: he takes them back (XEP-0444).
    pub reactions: Option<Vec<String>>,
    /// It withdraws an earlier message (XEP-0424, XEP-0425).
    pub retraction: Option<Retraction>,
    /// Links (XEP-0066).
    pub links: Vec<Link>,
    /// It invites into a room without the room's help (XEP-0249).
    pub invitation: Option<DirectInvitation>,
    /// It is encrypted from end to end: what is in the body, if anything, is not what was meant.
    pub encryption: Option<Encryption>,
}

/// `<fallback/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// For which namespace; `None` for whatever the message is about.
    pub of: Option<String>,
    /// Which characters of the body, from and up to; `None` for all of it.
    pub range: Option<(usize, usize)>,
}

/// `<retract/>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retraction {
    /// Whether a moderator is said to have done it.
    pub moderated: bool,
    /// Who that was.
    pub by: Option<Jid>,
    /// Why.
    pub reason: Option<String>,
}

/// `<x xmlns='jabber:x:oob'/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where to.
    pub url: String,
    /// What is there.
    pub description: Option<String>,
}

/// `<x xmlns='jabber:x:conference'/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectInvitation {
    /// The room.
    pub room: BareJid,
    /// Its password.
    pub password: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// Kinds of end-to-end encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// XEP-0384.
    Omemo,
    /// XEP-0364.
    Otr,
    /// XEP-0373 and XEP-0027.
    OpenPgp,
    /// Another, as XEP-0380 announces it.
    Other,
}

impl Fallback {
    /// Whether it stands in for the quotation of a reply.
    #[must_use]
    pub fn is_of_reply(&self) -> bool {
        self.of.as_deref() == Some(REPLY)
    }

    /// Whether it says that the whole body stands in for reactions.
    #[must_use]
    pub fn is_of_reactions(&self) -> bool {
        self.range.is_none() && self.of.as_deref().is_none_or(|of| of == ns::REACTIONS)
    }
}

/// Reads them from a message.
pub(super) fn extras(message: &Element) -> Extras {
    Extras {
        bodies: bodies(message),
        corrects: message.has_child("replace", CORRECTION),
        replies_to: message.get_child("reply", REPLY).map(|reply| jid(reply, "to")),
        fallbacks: message
            .children()
            .filter(|child| child.name() == "fallback" && FALLBACK.iter().any(|known| child.has_ns(*known)))
            .map(fallback)
            .collect(),
        reactions: message.get_child("reactions", ns::REACTIONS).map(reactions),
        retraction: retraction(message),
        links: message.children().filter_map(link).collect(),
        invitation: message.children().find_map(invitation),
        encryption: encryption(message),
    }
}

fn bodies(message: &Element) -> Vec<(String, String)> {
    let mut bodies = message
        .children()
        .filter(|child| child.is("body", ns::COMPONENT_ACCEPT));
    if bodies.by_ref().nth(1).is_none() {
        return Vec::new();
    }
    let language = |element: &Element| element.attr_ns(XML, "lang").map(str::to_owned);
    let default = language(message).unwrap_or_default();
    message
        .children()
        .filter(|child| child.is("body", ns::COMPONENT_ACCEPT))
        .map(|body| (language(body).unwrap_or_else(|| default.clone()), body.text()))
        .collect()
}

fn fallback(element: &Element) -> Fallback {
    let body = element.children().find(|child| child.name() == "body");
    let place = |name: &str| body.and_then(|body| body.attr(name)?.parse().ok());
    Fallback {
        of: element.attr("for").map(str::to_owned),
        range: place("start").zip(place("end")),
    }
}

fn reactions(element: &Element) -> Vec<String> {
    let mut texts = Vec::new();
    for reaction in element.children().filter(|child| child.name() == "reaction") {
        let text = reaction.text();
        let text = text.trim();
        if !text.is_empty() {
            texts.push(text.to_owned());
        }
    }
    texts
}

/// The one of today, or the one that was wrapped.
fn retraction(message: &Element) -> Option<Retraction> {
    let known = |child: &&Element, name: &str, namespaces: [&str; 2]| {
        child.name() == name && namespaces.iter().any(|known| child.has_ns(*known))
    };
    let retracts = |child: &&Element| known(child, "retract", RETRACTION);
    let moderates = |child: &&Element| known(child, "moderated", MODERATION);
    let (holder, moderated) = match message.children().find(retracts) {
        Some(retract) => (retract, retract.children().find(moderates)),
        None => {
            let wrapped = message.get_child("apply-to", FASTENING)?;
            match wrapped.children().find(moderates) {
                Some(moderated) => (moderated, Some(moderated)),
                None => (wrapped.children().find(retracts)?, None),
            }
        }
    };
    Some(Retraction {
        moderated: moderated.is_some(),
        by: moderated.and_then(|moderated| jid(moderated, "by")),
        reason: holder
            .children()
            .find(|child| child.name() == "reason")
            .map(Element::text)
            .filter(|reason| !reason.is_empty()),
    })
}

fn link(element: &Element) -> Option<Link> {
    if !element.is("x", ns::OOB) {
        return None;
    }
    let text = |name: &str| {
        let text = element.get_child(name, ns::OOB)?.text();
        (!text.is_empty()).then_some(text)
    };
    Some(Link {
        url: text("url")?,
        description: text("desc"),
    })
}

fn invitation(element: &Element) -> Option<DirectInvitation> {
    if !element.is("x", CONFERENCE) {
        return None;
    }
    Some(DirectInvitation {
        room: jid(element, "jid")?.to_bare(),
        password: element.attr("password").map(str::to_owned),
        reason: element.attr("reason").map(str::to_owned),
    })
}

fn encryption(message: &Element) -> Option<Encryption> {
    let body = message.get_child("body", ns::COMPONENT_ACCEPT).map(Element::text);
    let omemo = message
        .children()
        .find(|child| child.name() == "encrypted" && OMEMO.iter().any(|known| child.has_ns(*known)));
    if let Some(omemo) = omemo {
        // Without a payload it carries keys and no text.
        let carries = body.is_some() || omemo.children().any(|child| child.name() == "payload");
        return carries.then_some(Encryption::Omemo);
    }
    if message.has_child("openpgp", ns::OX) || message.has_child("x", OPENPGP_LEGACY) {
        return Some(Encryption::OpenPgp);
    }
    if body.is_some_and(|body| body.starts_with("?OTR")) {
        return Some(Encryption::Otr);
    }
    // XEP-0380.
    let announced = message.get_child("encryption", ns::EME)?;
    Some(match announced.attr("namespace") {
        Some(OTR) => Encryption::Otr,
        Some(namespace) if OMEMO.contains(&namespace) => Encryption::Omemo,
        Some(namespace) if namespace == ns::OX || namespace == OPENPGP_LEGACY => Encryption::OpenPgp,
        _ => Encryption::Other,
    })
}
