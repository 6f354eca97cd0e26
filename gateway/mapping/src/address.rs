//! SIP addresses and JIDs (RFC 7247 §6, with all of XEP-0106), and which is which by configuration.

use sip::Uri;
use xmpp::{
    BareJid, FullJid,
    address::{escape_localpart, unescape_localpart},
};

use crate::{
    config::{AddressForm, Component, RoomDomain},
    refusal::Refusal,
};

/// A room as both sides name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomAddress {
    /// The conference URI, without parameters.
    pub sip: Uri,
    /// The room.
    pub muc: BareJid,
}

impl RoomAddress {
    /// The room that a Request-URI or To names.
    ///
    /// # Errors
    /// The domain is none of ours, the user part is missing or no localpart, or the URI is `sips:` (RFC 7247 §8 forbids to
    /// translate it).
    pub fn from_sip(uri: &Uri, domains: &[RoomDomain]) -> Result<Self, Refusal> {
        match uri.scheme() {
            "sip" => {}
            "sips" => return Err(Refusal::SecurityNotCarried),
            _ => return Err(Refusal::UnservedDomain),
        }
        let domain = domains
            .iter()
            .find(|d| d.sip.eq_ignore_ascii_case(uri.host()))
            .ok_or(Refusal::UnservedDomain)?;
        let muc = room_jid(uri, &domain.muc).ok_or(Refusal::NoSuchRoom)?;
        // SIP user parts have case and localparts have none: one room has one URI, the folded one.
        let local = muc.node().map(|node| unescape_localpart(node.as_str()));
        Ok(Self {
            sip: Uri::new(local.as_deref(), &domain.sip, None),
            muc,
        })
    }

    /// The URI of an occupant: the room's with the nickname as `gr` (RFC 7702 §6.2).
    #[must_use]
    pub fn occupant(&self, nickname: &str) -> Uri {
        self.sip.with_parameter("gr", Some(nickname))
    }

    /// Whom a CPIM To names: `None` for another room, `Some(None)` for this room, `Some(Some(nickname))` for an occupant. RFC 3261
    /// §19.1.4 alone would call room and occupant equal and make private messages public, so `gr` decides.
    #[must_use]
    pub fn addressee(&self, uri: &Uri) -> Option<Option<String>> {
        let ours = uri.scheme() == "sip" && uri.host() == self.sip.host();
        if !ours || room_jid(uri, self.muc.domain().as_str()).as_ref() != Some(&self.muc) {
            return None;
        }
        match uri.parameter("gr") {
            None | Some("") => Some(None),
            Some(_) => uri.parameter_decoded("gr").map(Some),
        }
    }
}

/// The JID of a SIP user under the component's domain.
///
/// # Errors
/// The URI has no user, or belongs to a domain that the native form cannot express.
pub fn user_jid(uri: &Uri, component: &Component, resource: &str) -> Result<FullJid, Refusal> {
    let user = uri
        .user_decoded()
        .filter(|user| !user.is_empty() && !uri.host().is_empty())
        .ok_or(Refusal::NoIdentity)?;
    let local = match component.form {
        AddressForm::Native if !uri.host().eq_ignore_ascii_case(&component.domain) => {
            return Err(Refusal::ForeignUser);
        }
        AddressForm::Native => escape_localpart(&user),
        // A host has no `@`, so the last one always divides user from domain.
        AddressForm::Hosted => escape_localpart(&format!("{user}@{}", uri.host())),
    };
    let bare = BareJid::new(&format!("{local}@{}", component.domain)).map_err(|_| Refusal::NoIdentity)?;
    bare.with_resource_str(resource).map_err(|_| Refusal::NoIdentity)
}

/// The JID of a user whom a SIP user names, to invite him: one of ours, or by RFC 7247 §6.4 an XMPP user of that domain.
///
/// # Errors
/// A room of ours, or no address of a user.
pub fn invitee_jid(uri: &Uri, components: &[Component], rooms: &[RoomDomain]) -> Result<BareJid, Refusal> {
    if rooms.iter().any(|d| d.sip.eq_ignore_ascii_case(uri.host())) {
        return Err(Refusal::Loop);
    }
    if !matches!(uri.scheme(), "sip" | "im" | "xmpp") {
        return Err(Refusal::NoSuchUser);
    }
    let user = uri
        .user_decoded()
        .filter(|user| !user.is_empty())
        .ok_or(Refusal::NoSuchUser)?;
    BareJid::new(&format!("{}@{}", escape_localpart(&user), uri.host()))
        .map_err(|_| Refusal::NoSuchUser)
        .and_then(|jid| {
            let hosted = |component: &Component| {
                component.form == AddressForm::Hosted && jid.domain().as_str() == component.domain
            };
            if components.iter().any(hosted) {
                Err(Refusal::Loop)
            } else {
                Ok(jid)
            }
        })
}

/// The SIP address of a JID under the component's domain; `None` for any other.
#[must_use]
pub fn sip_uri(jid: &BareJid, component: &Component) -> Option<Uri> {
    let local = unescape_localpart(jid.node()?.as_str());
    if jid.domain().as_str() != component.domain {
        return None;
    }
    match component.form {
        AddressForm::Native => Some(Uri::new(Some(&local), &component.domain, None)),
        AddressForm::Hosted => {
            let (user, host) = local.rsplit_once('@')?;
            Some(Uri::new(Some(user), host, None))
        }
    }
}

fn room_jid(uri: &Uri, service: &str) -> Option<BareJid> {
    let user = uri.user_decoded().filter(|user| !user.is_empty())?;
    BareJid::new(&format!("{}@{service}", escape_localpart(&user))).ok()
}
