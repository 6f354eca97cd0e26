//! Writes stanzas, octet by octet, through the one escaping writer.

use bytes::BytesMut;
use jid::{BareJid, Jid};
use xmpp_parsers::ns;

use super::{Condition, Outgoing, StanzaError, service};
use crate::xml::{WriteFault, XmlWriter};

const MUC_ADMIN: &str = "http://jabber.org/protocol/muc#admin";
const MUC_OWNER: &str = "http://jabber.org/protocol/muc#owner";

/// Appends a stanza of at most `limit` octets to `out`; after a fault `out` is as it was.
pub(crate) fn write(stanza: &Outgoing, out: &mut BytesMut, limit: usize) -> Result<usize, WriteFault> {
    let mut xml = XmlWriter::new(out, limit);
    match stanza {
        Outgoing::Enter {
            from,
            to,
            id,
            history,
            display_name,
            password,
        } => {
            head(&mut xml, "presence", from, to, Some(id), None);
            enter(&mut xml, *history, display_name.as_deref(), password.as_deref());
        }
        Outgoing::ChangeNickname { from, to, id } => {
            head(&mut xml, "presence", from, to, Some(id), None);
            xml.raw("/>");
        }
        Outgoing::Leave { from, to, status } => {
            head(&mut xml, "presence", from, to, None, Some("unavailable"));
            leave(&mut xml, status.as_deref());
        }
        Outgoing::Groupchat { from, to, id, body } => {
            head(&mut xml, "message", from, to, Some(id), Some("groupchat"));
            groupchat(&mut xml, id, body);
        }
        Outgoing::Private { from, to, id, body } => {
            head(&mut xml, "message", from, to, Some(id), Some("chat"));
            private(&mut xml, body);
        }
        Outgoing::Invite {
            from,
            room,
            id,
            invitee,
            reason,
        } => {
            head(&mut xml, "message", from, room, Some(id), None);
            invite(&mut xml, invitee, reason.as_deref());
        }
        Outgoing::Decline {
            from,
            room,
            id,
            inviter,
            reason,
        } => {
            head(&mut xml, "message", from, room, Some(id), None);
            decline(&mut xml, inviter, reason);
        }
        Outgoing::Kick {
            from,
            room,
            id,
            nickname,
        } => {
            head(&mut xml, "iq", from, room, Some(id), Some("set"));
            kick(&mut xml, nickname);
        }
        Outgoing::AcceptDefaultConfiguration { from, to, id } => {
            head(&mut xml, "iq", from, to, Some(id), Some("set"));
            xml.raw("><query");
            xml.attribute("xmlns", MUC_OWNER);
            xml.raw("><x");
            xml.attribute("xmlns", ns::DATA_FORMS);
            xml.attribute("type", "submit");
            xml.raw("/></query></iq>");
        }
        Outgoing::Error {
            name,
            from,
            to,
            id,
            condition,
            text,
        } => {
            head(&mut xml, name, from, to, id.as_deref(), Some("error"));
            error(&mut xml, name, *condition, text.as_deref());
        }
        Outgoing::IqResult {
            from,
            to,
            id,
            payload,
        } => {
            head(&mut xml, "iq", from, to, Some(id), Some("result"));
            xml.raw(">");
            if let Some(payload) = payload {
                xml.element(&payload.0);
            }
            xml.raw("</iq>");
        }
        Outgoing::IqError {
            from,
            to,
            id,
            condition,
        } => {
            head(&mut xml, "iq", from, to, Some(id), Some("error"));
            error(&mut xml, "iq", *condition, None);
        }
        Outgoing::Room(stanza) => service::write(stanza, &mut xml),
    }
    xml.finish()
}

/// Appends an error stanza in answer to one whose addresses may be none that `jid` takes: they are the server's own words.
pub(crate) fn write_bounce(bounce: &Bounce, out: &mut BytesMut, limit: usize) -> Result<usize, WriteFault> {
    let mut xml = XmlWriter::new(out, limit);
    stanza_head(
        &mut xml,
        bounce.name,
        &bounce.from,
        &bounce.to,
        bounce.id.as_deref(),
        Some("error"),
    );
    error(&mut xml, bounce.name, bounce.condition, None);
    xml.finish()
}

/// An error stanza that the link sends by itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bounce {
    /// Name of the stanza.
    pub(crate) name: &'static str,
    /// Our address, as the sender wrote it.
    pub(crate) from: String,
    /// The sender, as the server stamped it.
    pub(crate) to: String,
    /// The id it had.
    pub(crate) id: Option<String>,
    /// Condition.
    pub(crate) condition: Condition,
}

pub(super) fn head(
    xml: &mut XmlWriter<'_>,
    name: &str,
    from: &Jid,
    to: &Jid,
    id: Option<&str>,
    kind: Option<&str>,
) {
    stanza_head(xml, name, from.as_str(), to.as_str(), id, kind);
}

/// The start tag up to where `>` or `/>` follows.
fn stanza_head(
    xml: &mut XmlWriter<'_>,
    name: &str,
    from: &str,
    to: &str,
    id: Option<&str>,
    kind: Option<&str>,
) {
    xml.raw("<");
    xml.raw(name);
    xml.attribute("from", from);
    xml.attribute("to", to);
    xml.attribute_if("id", id);
    xml.attribute_if("type", kind);
}

fn enter(xml: &mut XmlWriter<'_>, history: u32, display_name: Option<&str>, password: Option<&str>) {
    xml.raw("><x");
    xml.attribute("xmlns", ns::MUC);
    xml.raw("><history");
    xml.attribute("maxstanzas", &history.to_string());
    xml.raw("/>");
    xml.text_element("password", password);
    xml.raw("</x>");
    if let Some(name) = display_name {
        xml.raw("<nick");
        xml.attribute("xmlns", ns::NICK);
        xml.raw(">");
        xml.text(name);
        xml.raw("</nick>");
    }
    xml.raw("</presence>");
}

fn leave(xml: &mut XmlWriter<'_>, status: Option<&str>) {
    xml.raw(">");
    xml.text_element("status", status);
    xml.raw("</presence>");
}

fn groupchat(xml: &mut XmlWriter<'_>, id: &str, body: &str) {
    xml.raw(">");
    xml.text_element("body", Some(body));
    xml.raw("<origin-id");
    xml.attribute("xmlns", ns::SID);
    xml.attribute("id", id);
    xml.raw("/></message>");
}

pub(super) fn private(xml: &mut XmlWriter<'_>, body: &str) {
    xml.raw(">");
    xml.text_element("body", Some(body));
    xml.raw("<x");
    xml.attribute("xmlns", ns::MUC_USER);
    xml.raw("/></message>");
}

fn invite(xml: &mut XmlWriter<'_>, invitee: &BareJid, reason: Option<&str>) {
    xml.raw("><x");
    xml.attribute("xmlns", ns::MUC_USER);
    xml.raw("><invite");
    xml.attribute("to", invitee.as_str());
    xml.raw(">");
    xml.text_element("reason", reason);
    xml.raw("</invite></x></message>");
}

fn decline(xml: &mut XmlWriter<'_>, inviter: &Jid, reason: &str) {
    xml.raw("><x");
    xml.attribute("xmlns", ns::MUC_USER);
    xml.raw("><decline");
    xml.attribute("to", inviter.as_str());
    xml.raw(">");
    xml.text_element("reason", Some(reason));
    xml.raw("</decline></x></message>");
}

fn kick(xml: &mut XmlWriter<'_>, nickname: &str) {
    xml.raw("><query");
    xml.attribute("xmlns", MUC_ADMIN);
    xml.raw("><item");
    xml.attribute("nick", nickname);
    xml.attribute("role", "none");
    xml.raw("/></query></iq>");
}

fn error(xml: &mut XmlWriter<'_>, name: &str, condition: Condition, text: Option<&str>) {
    xml.raw("><error");
    error_content(
        xml,
        &StanzaError {
            text: text.map(str::to_owned),
            ..StanzaError::new(condition)
        },
    );
    xml.raw("</");
    xml.raw(name);
    xml.raw(">");
}

/// From the attributes of `<error` to its end tag.
pub(super) fn error_content(xml: &mut XmlWriter<'_>, error: &StanzaError) {
    let condition = error.condition;
    xml.attribute("type", condition.error_type());
    xml.raw("><");
    xml.raw(condition.as_str());
    xml.attribute("xmlns", ns::XMPP_STANZAS);
    match &error.new_address {
        Some(address) if matches!(condition, Condition::Gone | Condition::Redirect) => {
            xml.raw(">");
            xml.text(address);
            xml.raw("</");
            xml.raw(condition.as_str());
            xml.raw(">");
        }
        _ => xml.raw("/>"),
    }
    if let Some(text) = &error.text {
        xml.raw("<text");
        xml.attribute("xmlns", ns::XMPP_STANZAS);
        xml.attribute("xml:lang", "en");
        xml.raw(">");
        xml.text(text);
        xml.raw("</text>");
    }
    xml.raw("</error>");
}
