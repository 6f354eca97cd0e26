//! Who a SIP user is to a room: his JID for the stay, his names, and what of it he hides.

use sip::{Incoming, NameAddr, Uri};
use xmpp::{BareJid, FullJid};

use crate::{
    Gateway,
    address::{normalized, user_jid},
    nickname::Nickname,
    refusal::Refusal,
};

/// RFC 3323 §4.1.1.3: the host of those who give no address.
const ANONYMOUS_HOST: &str = "anonymous.invalid";
const ANONYMOUS_NAME: &str = "Anonymous";

/// Who a SIP user is to a room.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// His address of record, which an anonymous user's room never hears.
    pub(crate) user: Uri,
    /// What he calls himself, which may be another address than the one he is known by (RFC 3325).
    pub(crate) from: Uri,
    /// His client's Contact, if it gave one.
    pub(crate) contact: Option<Uri>,
    /// His occupant's address.
    pub(crate) jid: FullJid,
    /// His display name.
    pub(crate) display_name: Option<String>,
    /// The nickname he has until he asks for one.
    pub(crate) provisional: Nickname,
    /// Whether he hides who he is.
    pub(crate) anonymous: bool,
}

impl Gateway {
    /// Of somebody who calls.
    pub(crate) fn caller_identity(&mut self, request: &Incoming) -> Result<Identity, Refusal> {
        let anonymous = request.anonymous || is_anonymous(&request.from.uri);
        let address = self.named(request.identity())?;
        let who = self.identity(&address, request.contact.as_ref(), anonymous)?;
        Ok(Identity {
            from: request.from.uri.address_of_record(),
            ..who
        })
    }

    /// Of somebody who answers our call.
    pub(crate) fn identity(
        &mut self,
        address: &NameAddr,
        contact: Option<&NameAddr>,
        anonymous: bool,
    ) -> Result<Identity, Refusal> {
        let user = address.uri.address_of_record();
        self.admit_caller(&user, anonymous)?;
        let display_name = address
            .display_name
            .clone()
            .filter(|name| !anonymous && !name.trim().is_empty());
        let name = if anonymous {
            ANONYMOUS_NAME.to_owned()
        } else {
            user.user_decoded().unwrap_or_default()
        };
        Ok(Identity {
            jid: self.occupant_jid(&user, contact, anonymous)?,
            provisional: Nickname::provisional(display_name.as_deref(), &name),
            contact: contact.map(|contact| contact.uri.clone()),
            display_name,
            from: user.clone(),
            user,
            anonymous,
        })
    }

    /// A telephone number is a user of the domain of numbers.
    pub(crate) fn named(&self, address: &NameAddr) -> Result<NameAddr, Refusal> {
        Ok(NameAddr {
            uri: normalized(&address.uri, &self.config)?,
            ..address.clone()
        })
    }

    /// Whether a SIP user may use the gateway.
    pub(crate) fn admit_caller(&self, user: &Uri, anonymous: bool) -> Result<(), Refusal> {
        let access = &self.config.access;
        if anonymous && !access.anonymous {
            return Err(Refusal::Anonymous);
        }
        let name = user.user_decoded().unwrap_or_default();
        // Who hides his address altogether is judged by that alone.
        if is_anonymous(user) || access.callers.admits(&name, user.host()) {
            Ok(())
        } else {
            Err(Refusal::NotAllowed)
        }
    }

    /// Without a GRUU the resource is ours to choose; either way it lasts as long as the stay. A client's GRUU would tell who hides.
    fn occupant_jid(
        &mut self,
        user: &Uri,
        contact: Option<&NameAddr>,
        anonymous: bool,
    ) -> Result<FullJid, Refusal> {
        let minted = format!("sip-{:016x}", self.fresh_number());
        let resource = contact
            .and_then(instance)
            .filter(|_| !anonymous)
            .unwrap_or(minted);
        let named = self.config.component(user.host());
        let component = named.ok_or(Refusal::ForeignUser)?;
        if !is_anonymous(user) {
            let jid = user_jid(user, component, &resource)?;
            if !anonymous {
                return Ok(jid);
            }
        }
        let domain = component.domain.clone();
        let local = format!("anonymous-{:016x}", self.fresh_number());
        BareJid::new(&format!("{local}@{domain}"))
            .map_err(|_| Refusal::NoIdentity)?
            .with_resource_str(&resource)
            .map_err(|_| Refusal::NoIdentity)
    }
}

impl Identity {
    /// Whether a request from this address and client is from this very user. All who give no address share one: then their clients'
    /// Contacts tell them apart.
    pub(crate) fn is(&self, user: &Uri, contact: Option<&NameAddr>) -> bool {
        let same_client = || self.contact.as_ref() == contact.map(|contact| &contact.uri);
        self.user == user.address_of_record() && (!is_anonymous(&self.user) || same_client())
    }

    /// Whether this is how he calls himself in a message (RFC 7701 §6.1).
    pub(crate) fn calls_himself(&self, from: &Uri) -> bool {
        let from = from.address_of_record();
        from == self.user || from == self.from || self.anonymous && is_anonymous(&from)
    }
}

/// RFC 5627: the instance of a client, in its Contact's URI or, as RFC 7702's own example 27 writes it, behind it.
fn instance(contact: &NameAddr) -> Option<String> {
    let inside = contact.uri.parameter_decoded("gr");
    let instance = inside.or_else(|| contact.parameter("gr").map(str::to_owned));
    instance.filter(|instance| !instance.is_empty())
}

/// Whether an address says of nobody who he is.
fn is_anonymous(uri: &Uri) -> bool {
    uri.host().eq_ignore_ascii_case(ANONYMOUS_HOST)
}
