//! Reads `muc#user` as servers really write it (XEP-0045): codes outside the registry, items with bare addresses or without a role.

use jid::Jid;
use minidom::Element;
use xmpp_parsers::ns::MUC_USER;

use super::{Destroy, Invite, MucItem, MucUser};

/// The `muc#user` payload of a stanza. Of several it takes the last, which is where servers put their own.
pub(super) fn muc_user(stanza: &Element) -> Option<MucUser> {
    let payload = stanza.children().filter(|child| child.is("x", MUC_USER)).last()?;
    let mut muc = MucUser::default();
    for child in payload.children().filter(|child| child.has_ns(MUC_USER)) {
        match child.name() {
            "status" => muc
                .statuses
                .extend(child.attr("code").and_then(|code| code.parse::<u16>().ok())),
            "item" => muc.items.push(item(child)),
            "destroy" => {
                muc.destroy = Some(Destroy {
                    jid: jid(child, "jid"),
                    reason: reason(child),
                });
            }
            "invite" => muc.invites.push(invite(child)),
            "decline" => muc.decline = Some(invite(child)),
            "password" => muc.password = Some(child.text()),
            _ => {}
        }
    }
    Some(muc)
}

fn item(element: &Element) -> MucItem {
    let actor = element.get_child("actor", MUC_USER);
    MucItem {
        affiliation: element.attr("affiliation").map(str::to_owned),
        role: element.attr("role").map(str::to_owned),
        jid: jid(element, "jid"),
        nick: element.attr("nick").map(str::to_owned),
        reason: reason(element),
        actor: actor
            .and_then(|actor| actor.attr("nick").or_else(|| actor.attr("jid")))
            .map(str::to_owned),
    }
}

fn invite(element: &Element) -> Invite {
    Invite {
        from: jid(element, "from"),
        to: jid(element, "to"),
        reason: reason(element),
    }
}

fn reason(element: &Element) -> Option<String> {
    element.get_child("reason", MUC_USER).map(Element::text)
}

/// An address in an attribute; one that is none counts as absent.
pub(super) fn jid(element: &Element, attribute: &str) -> Option<Jid> {
    Jid::new(element.attr(attribute)?).ok()
}
