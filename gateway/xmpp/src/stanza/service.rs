//! The other side of multi-user chat (XEP-0045): what users ask of a service when they enter, and what it says to them.

use jid::{BareJid, FullJid, Jid};
use minidom::Element;
use xmpp_parsers::disco::{DiscoInfoResult, DiscoItemsResult, Identity, Item};
use xmpp_parsers::ns;
use xmpp_parsers::version::VersionResult;

use super::{Delay, Destroy, MucItem, Payload, StanzaError};
use crate::xml::XmlWriter;

/// `<x xmlns='http://jabber.org/protocol/muc'/>` of a presence: its sender wants to enter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Join {
    /// `<password/>`.
    pub password: Option<String>,
    /// Whether he wants no history: `maxchars` or `maxstanzas` of 0 (XEP-0045 §7.2.14).
    pub no_history: bool,
}

/// What a room says to one of its users.
#[derive(Debug, Clone, PartialEq)]
pub enum RoomStanza {
    /// Presence of an occupant, with exactly one `muc#user` element.
    Presence(Box<OccupantPresence>),
    /// What an occupant, or the room itself (its bare address), says to all.
    Groupchat {
        /// Occupant or room.
        from: Jid,
        /// User.
        to: FullJid,
        /// Id; in a reflection the one that it was sent with.
        id: Option<String>,
        /// Body; empty: none.
        body: String,
        /// What else it carries; in a reflection what it was sent with.
        with: Vec<Payload>,
        /// For what was said before the user entered.
        delay: Option<Delay>,
    },
    /// The subject; an empty one if there is none.
    Subject {
        /// Room.
        from: BareJid,
        /// User.
        to: FullJid,
        /// Subject.
        subject: String,
    },
    /// A private message of an occupant, with the empty `muc#user` element (XEP-0045 §7.5).
    Private {
        /// Occupant.
        from: FullJid,
        /// User.
        to: FullJid,
        /// Id.
        id: String,
        /// Body.
        body: String,
    },
    /// Somebody is invited into the room (XEP-0045 §7.8.2), in the direct form, too (XEP-0249): some clients know only that.
    Invited {
        /// Room.
        from: BareJid,
        /// Who is invited.
        to: BareJid,
        /// Id.
        id: String,
        /// Who invites.
        inviter: Jid,
        /// Why.
        reason: Option<String>,
    },
    /// Somebody does not follow an invitation (XEP-0045 §7.8.2).
    Declined {
        /// Room.
        from: BareJid,
        /// Who invited him.
        to: FullJid,
        /// Who was invited.
        invitee: BareJid,
        /// Why not.
        reason: String,
    },
    /// An error in answer to a stanza to the room or an occupant.
    Refused {
        /// Which stanza name: `presence`, `message` or `iq`.
        name: &'static str,
        /// The address that it was sent to.
        from: Jid,
        /// Its sender.
        to: Jid,
        /// The id that it had.
        id: Option<String>,
        /// The room, which speaks.
        by: BareJid,
        /// Why.
        error: StanzaError,
    },
}

/// See [`RoomStanza::Presence`].
#[derive(Debug, Clone, PartialEq)]
pub struct OccupantPresence {
    /// Occupant.
    pub from: FullJid,
    /// User.
    pub to: FullJid,
    /// Id: of the presence that this answers.
    pub id: Option<String>,
    /// Whether the occupant is gone.
    pub unavailable: bool,
    /// Who he is in the room.
    pub item: MucItem,
    /// Status codes (XEP-0045 §15.6).
    pub statuses: Vec<u16>,
    /// XEP-0172 display name.
    pub display_name: Option<String>,
    /// `<status/>`.
    pub status: Option<String>,
    /// `<destroy/>`.
    pub destroy: Option<Destroy>,
}

impl RoomStanza {
    /// Who it comes from.
    #[must_use]
    pub fn from(&self) -> &Jid {
        match self {
            Self::Presence(presence) => &presence.from,
            Self::Groupchat { from, .. } | Self::Refused { from, .. } => from,
            Self::Subject { from, .. } | Self::Invited { from, .. } | Self::Declined { from, .. } => from,
            Self::Private { from, .. } => from,
        }
    }
}

/// The answer to a disco#info request for a service or a room: one identity, and features.
#[must_use]
pub fn disco_info(identity: (&str, &str, &str), features: &[&str]) -> Payload {
    let (category, kind, name) = identity;
    let info = DiscoInfoResult {
        node: None,
        identities: vec![Identity::new(category, kind, "en", name)],
        features: features.iter().map(|feature| (*feature).to_owned()).collect(),
        extensions: Vec::new(),
    };
    Payload(info.into())
}

/// The answer to a disco#items request: addresses and names.
#[must_use]
pub fn disco_items(items: impl IntoIterator<Item = (Jid, Option<String>)>) -> Payload {
    let items = items.into_iter().map(|(jid, name)| Item {
        jid,
        node: None,
        name,
    });
    let items = DiscoItemsResult {
        node: None,
        items: items.collect(),
        rsm: None,
    };
    Payload(items.into())
}

/// The answer to a request for the version of the software (XEP-0092).
#[must_use]
pub fn version() -> Payload {
    let version = VersionResult {
        name: "SIP-XMPP groupchat gateway".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        os: None,
    };
    Payload(version.into())
}

/// The wish to enter in a presence.
pub(super) fn join(presence: &Element) -> Option<Join> {
    let wish = presence.get_child("x", ns::MUC)?;
    let history = wish.get_child("history", ns::MUC);
    let is_zero = |name: &str| history.and_then(|history| history.attr(name)?.parse().ok()) == Some(0_u32);
    Some(Join {
        password: wish.get_child("password", ns::MUC).map(Element::text),
        no_history: is_zero("maxchars") || is_zero("maxstanzas"),
    })
}

/// Writes what a room says.
pub(super) fn write(stanza: &RoomStanza, xml: &mut XmlWriter<'_>) {
    match stanza {
        RoomStanza::Presence(presence) => write_presence(presence, xml),
        RoomStanza::Groupchat {
            from,
            to,
            id,
            body,
            with,
            delay,
        } => {
            super::write::head(xml, "message", from, to, id.as_deref(), Some("groupchat"));
            xml.raw(">");
            xml.text_element("body", Some(body.as_str()).filter(|body| !body.is_empty()));
            for payload in with {
                xml.element(&payload.0);
            }
            if let Some(delay) = delay {
                xml.raw("<delay");
                xml.attribute("xmlns", ns::DELAY);
                xml.attribute_if("from", delay.from.as_ref().map(|from| from.as_str()));
                xml.attribute("stamp", &delay.stamp);
                xml.raw("/>");
            }
            xml.raw("</message>");
        }
        RoomStanza::Subject { from, to, subject } => {
            super::write::head(xml, "message", from, to, None, Some("groupchat"));
            xml.raw(">");
            xml.text_element("subject", Some(subject));
            xml.raw("</message>");
        }
        RoomStanza::Private { from, to, id, body } => {
            super::write::head(xml, "message", from, to, Some(id), Some("chat"));
            super::write::private(xml, body);
        }
        RoomStanza::Invited {
            from,
            to,
            id,
            inviter,
            reason,
        } => {
            super::write::head(xml, "message", from, to, Some(id), None);
            xml.raw("><x");
            xml.attribute("xmlns", ns::MUC_USER);
            xml.raw("><invite");
            xml.attribute("from", inviter.as_str());
            xml.raw(">");
            xml.text_element("reason", reason.as_deref());
            xml.raw("</invite></x><x");
            xml.attribute("xmlns", "jabber:x:conference");
            xml.attribute("jid", from.as_str());
            xml.attribute_if("reason", reason.as_deref());
            xml.raw("/></message>");
        }
        RoomStanza::Declined {
            from,
            to,
            invitee,
            reason,
        } => {
            super::write::head(xml, "message", from, to, None, None);
            xml.raw("><x");
            xml.attribute("xmlns", ns::MUC_USER);
            xml.raw("><decline");
            xml.attribute("from", invitee.as_str());
            xml.raw(">");
            xml.text_element("reason", Some(reason));
            xml.raw("</decline></x></message>");
        }
        RoomStanza::Refused {
            name,
            from,
            to,
            id,
            by,
            error,
        } => {
            super::write::head(xml, name, from, to, id.as_deref(), Some("error"));
            write_refusal(xml, name, by, error);
        }
    }
}

fn write_presence(presence: &OccupantPresence, xml: &mut XmlWriter<'_>) {
    let kind = presence.unavailable.then_some("unavailable");
    super::write::head(
        xml,
        "presence",
        &presence.from,
        &presence.to,
        presence.id.as_deref(),
        kind,
    );
    xml.raw(">");
    xml.text_element("status", presence.status.as_deref());
    if let Some(name) = &presence.display_name {
        xml.raw("<nick");
        xml.attribute("xmlns", ns::NICK);
        xml.raw(">");
        xml.text(name);
        xml.raw("</nick>");
    }
    xml.raw("<x");
    xml.attribute("xmlns", ns::MUC_USER);
    xml.raw(">");
    write_item(&presence.item, xml);
    if let Some(destroy) = &presence.destroy {
        xml.raw("<destroy");
        xml.attribute_if("jid", destroy.jid.as_ref().map(|jid| jid.as_str()));
        xml.raw(">");
        xml.text_element("reason", destroy.reason.as_deref());
        xml.raw("</destroy>");
    }
    for status in &presence.statuses {
        xml.raw("<status");
        xml.attribute("code", &status.to_string());
        xml.raw("/>");
    }
    xml.raw("</x></presence>");
}

fn write_item(item: &MucItem, xml: &mut XmlWriter<'_>) {
    xml.raw("<item");
    xml.attribute_if("affiliation", item.affiliation.as_deref());
    xml.attribute_if("role", item.role.as_deref());
    xml.attribute_if("jid", item.jid.as_ref().map(|jid| jid.as_str()));
    xml.attribute_if("nick", item.nick.as_deref());
    xml.raw(">");
    if let Some(actor) = &item.actor {
        xml.raw("<actor");
        xml.attribute("nick", actor);
        xml.raw("/>");
    }
    xml.text_element("reason", item.reason.as_deref());
    xml.raw("</item>");
}

/// XEP-0045 wants the `muc` element in an error about presence, and `by` the room in each.
fn write_refusal(xml: &mut XmlWriter<'_>, name: &'static str, by: &BareJid, error: &StanzaError) {
    xml.raw(">");
    if name == "presence" {
        xml.raw("<x");
        xml.attribute("xmlns", ns::MUC);
        xml.raw("/>");
    }
    xml.raw("<error");
    xml.attribute("by", by.as_str());
    super::write::error_content(xml, error);
    xml.raw("</");
    xml.raw(name);
    xml.raw(">");
}
