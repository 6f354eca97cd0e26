//! SIP addresses and JIDs (RFC 7247 §6, with all of XEP-0106), and which is whose by configuration.

use sip::Uri;
use xmpp::{
    BareJid, FullJid, Jid,
    address::{escape_localpart, unescape_localpart},
};

use crate::{
    config::{AddressForm, Component, Config, RoomDomain, RouteRule},
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

/// A user, by the world he is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Party {
    /// Reached by SIP.
    Sip(Uri),
    /// Reached by XMPP.
    Xmpp(BareJid),
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
            .find(|d| same_domain(&d.sip, uri.host()))
            .ok_or(Refusal::UnservedDomain)?;
        let muc = room_jid(uri, &domain.muc).ok_or(Refusal::NoSuchRoom)?;
        // SIP user parts have case and localparts have none: one room has one URI, the folded one.
        let local = muc.node().map(|node| unescape_localpart(node.as_str()));
        Ok(Self {
            sip: Uri::new(local.as_deref(), &sip_domain(&domain.sip), None),
            muc,
        })
    }

    /// A room of one of the multi-user chat services; `None` for any other.
    #[must_use]
    pub fn from_muc(room: &BareJid, domains: &[RoomDomain]) -> Option<Self> {
        let domain = domains
            .iter()
            .find(|d| same_domain(&d.muc, room.domain().as_str()))?;
        let local = unescape_localpart(room.node()?.as_str());
        Some(Self {
            sip: Uri::new(Some(&local), &sip_domain(&domain.sip), None),
            muc: room.clone(),
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
        let ours = uri.scheme() == "sip" && same_domain(uri.host(), self.sip.host());
        if !ours || room_jid(uri, self.muc.domain().as_str()).as_ref() != Some(&self.muc) {
            return None;
        }
        match uri.parameter("gr") {
            None | Some("") => Some(None),
            Some(_) => uri.parameter_decoded("gr").map(Some),
        }
    }
}

/// The JID of a SIP user under the component's domain (RFC 7247 §6.4).
///
/// # Errors
/// The URI has no user, or belongs to a domain that the native form cannot express.
pub fn user_jid(uri: &Uri, component: &Component, resource: &str) -> Result<FullJid, Refusal> {
    let user = uri
        .user_decoded()
        .filter(|user| !user.is_empty() && !uri.host().is_empty())
        .ok_or(Refusal::NoIdentity)?;
    let local = match component.form {
        AddressForm::Native if !same_domain(uri.host(), &component.domain) => {
            return Err(Refusal::ForeignUser);
        }
        AddressForm::Native => escape_localpart(&user),
        // A host has no `@`, so the last one always divides user from domain.
        AddressForm::Hosted => escape_localpart(&format!("{user}@{}", uri.host())),
    };
    let bare = BareJid::new(&format!("{local}@{}", component.domain)).map_err(|_| Refusal::NoIdentity)?;
    bare.with_resource_str(resource).map_err(|_| Refusal::NoIdentity)
}

/// The SIP address of a JID under the component's domain; `None` for any other.
#[must_use]
pub fn sip_uri(jid: &BareJid, component: &Component) -> Option<Uri> {
    let local = unescape_localpart(jid.node()?.as_str());
    if !same_domain(jid.domain().as_str(), &component.domain) {
        return None;
    }
    match component.form {
        AddressForm::Native => Some(Uri::new(Some(&local), &sip_domain(&component.domain), None)),
        AddressForm::Hosted => {
            let (user, host) = local.rsplit_once('@')?;
            Some(Uri::new(Some(user), &sip_domain(host), None))
        }
    }
}

/// The SIP address of one of our SIP users, whichever component he is under.
#[must_use]
pub fn sip_user(jid: &BareJid, components: &[Component]) -> Option<Uri> {
    components.iter().find_map(|component| sip_uri(jid, component))
}

/// What an XMPP user is called in SIP (RFC 7247 §6.5); a resource becomes `gr`.
#[must_use]
pub fn xmpp_user_uri(jid: &Jid) -> Uri {
    let local = jid.node().map(|node| unescape_localpart(node.as_str()));
    let bare = Uri::new(local.as_deref(), &sip_domain(jid.domain().as_str()), None);
    match jid.resource() {
        Some(resource) => bare.with_parameter("gr", Some(resource.as_str())),
        None => bare,
    }
}

/// Who is meant by an address that somebody names, to invite him: by configuration he is in SIP or in XMPP.
///
/// # Errors
/// A room of ours, an address that leads back to us, no address of a user, or one that RFC 7247 §8 forbids to translate.
pub fn party(uri: &Uri, config: &Config) -> Result<Party, Refusal> {
    let uri = normalized(uri, config)?;
    if uri.scheme() == "sips" {
        return Err(Refusal::SecurityNotCarried);
    }
    let (user, host) = user_and_host(&uri).ok_or(Refusal::NoSuchUser)?;
    let rooms = config.rooms.iter().flat_map(|room| [&room.sip, &room.muc]);
    let conferences = config.conferences.iter().flat_map(|room| [&room.sip, &room.muc]);
    if rooms.chain(conferences).any(|domain| same_domain(domain, &host)) {
        return Err(Refusal::Loop);
    }
    let named = |component: &&Component| same_domain(&component.domain, &host);
    if let Some(component) = config.components.iter().find(named) {
        let jid = BareJid::new(&format!("{}@{}", escape_localpart(&user), component.domain))
            .map_err(|_| Refusal::NoSuchUser)?;
        return sip_uri(&jid, component).map(Party::Sip).ok_or(Refusal::Loop);
    }
    match config.routes.of(&user, &host) {
        RouteRule::Sip => Ok(Party::Sip(Uri::new(Some(&user), &sip_domain(&host), None))),
        RouteRule::Xmpp => BareJid::new(&format!("{}@{}", escape_localpart(&user), xmpp_domain(&host)))
            .map(Party::Xmpp)
            .map_err(|_| Refusal::NoSuchUser),
    }
}

/// A telephone number as the user of a SIP domain (RFC 3261 §19.1.6); any other URI as it is.
///
/// # Errors
/// Numbers are nobody's here, or this one is not a global one.
pub fn normalized(uri: &Uri, config: &Config) -> Result<Uri, Refusal> {
    if uri.scheme() != "tel" {
        return Ok(uri.clone());
    }
    let domain = config.numbers.as_ref().ok_or(Refusal::NoSuchUser)?;
    // RFC 3966 §5.1.1: these are there for the eye.
    let digits: String = uri
        .user()
        .unwrap_or_default()
        .chars()
        .filter(|c| !"-.()".contains(*c))
        .collect();
    let global = digits
        .strip_prefix('+')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|c| c.is_ascii_digit()));
    if global {
        Ok(Uri::new(Some(&digits), &sip_domain(domain), None).with_parameter("user", Some("phone")))
    } else {
        Err(Refusal::LocalNumber)
    }
}

/// A domain as XMPP writes it: internationalized names in letters.
#[must_use]
pub fn xmpp_domain(domain: &str) -> String {
    idna::domain_to_unicode(domain).0
}

/// A domain as SIP writes it: internationalized names as A-labels. A domain that cannot be one stays as it is.
#[must_use]
pub fn sip_domain(domain: &str) -> String {
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned())
}

/// Whether two domains are one, however they are written.
#[must_use]
pub fn same_domain(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
        || (!(one.is_ascii() && other.is_ascii()) && sip_domain(one) == sip_domain(other))
}

impl crate::config::Routes {
    /// Whose an address is.
    #[must_use]
    pub fn of(&self, user: &str, host: &str) -> RouteRule {
        let (user, host) = (user.to_lowercase(), sip_domain(&host.to_lowercase()));
        let listed =
            |list: &[crate::access::Pattern]| list.iter().any(|pattern| pattern.matches(&user, &host));
        if listed(&self.sip) {
            RouteRule::Sip
        } else if listed(&self.xmpp) {
            RouteRule::Xmpp
        } else {
            self.otherwise
        }
    }
}

/// Of `sip:`, and of the schemes that name a user without saying how he is reached (RFC 3860) or by XMPP (RFC 5122).
fn user_and_host(uri: &Uri) -> Option<(String, String)> {
    let (user, host) = match uri.scheme() {
        "sip" => (uri.user_decoded()?, uri.host().to_owned()),
        "im" | "xmpp" => {
            let text = uri.to_string();
            let (_, address) = text.split_once(':')?;
            let address = address.split(['?', ';', '/']).next()?;
            // Read as the SIP URI of the same user, whose escapes are the same.
            let same: Uri = format!("sip:{address}").parse().ok()?;
            let user = same.user_decoded()?;
            let user = if uri.scheme() == "xmpp" {
                unescape_localpart(&user)
            } else {
                user
            };
            (user, same.host().to_owned())
        }
        _ => return None,
    };
    (!user.is_empty() && !host.is_empty()).then_some((user, host))
}

fn room_jid(uri: &Uri, service: &str) -> Option<BareJid> {
    let user = uri.user_decoded().filter(|user| !user.is_empty())?;
    BareJid::new(&format!("{}@{service}", escape_localpart(&user))).ok()
}
