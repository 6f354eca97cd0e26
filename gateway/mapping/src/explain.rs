//! What an address becomes on the other side, and which rule says so: the mapping itself, asked by an operator.

use sip::Uri;
use xmpp::{BareJid, Jid};

use crate::{
    address::{
        Party, RoomAddress, normalized, party, same_domain, sip_domain, sip_uri, user_jid, xmpp_user_uri,
    },
    config::{AddressForm, Config, RouteRule},
    refusal::Refusal,
};

/// One meaning of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What it is the address of, such as `a room`.
    pub meaning: &'static str,
    /// What the other side calls it, or why it has no name there.
    pub other: Result<String, Refusal>,
    /// Which rule says so.
    pub rule: &'static str,
    /// The key of the configuration that decides, as a path of names and numbers; empty if none does.
    pub setting: Vec<String>,
    /// What would help, if it has no name there.
    pub remedy: Option<&'static str>,
}

/// A text that is neither a URI of a known scheme nor a JID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no address: write sip:user@domain, tel:+12015550123, xmpp:user@domain, or a JID such as user@domain/resource"
)]
pub struct NoAddress;

/// All meanings of an address.
///
/// # Errors
/// It is none.
pub fn explain(text: &str, config: &Config) -> Result<Vec<Explanation>, NoAddress> {
    let text = text.trim();
    let scheme = text
        .split_once(':')
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("sip" | "sips" | "tel" | "im") => {
            let uri: Uri = text.parse().map_err(|_| NoAddress)?;
            Ok(of_uri(&uri, config))
        }
        Some("xmpp") => {
            let address = text.get(5..).unwrap_or_default();
            let address = address.split('?').next().unwrap_or_default();
            let jid = percent_decoded(address).parse().map_err(|_| NoAddress)?;
            Ok(vec![of_jid(&jid, config)])
        }
        _ => {
            let jid = text.parse().map_err(|_| NoAddress)?;
            Ok(vec![of_jid(&jid, config)])
        }
    }
}

fn of_uri(uri: &Uri, config: &Config) -> Vec<Explanation> {
    if uri.scheme() == "sips" {
        return vec![Explanation {
            meaning: "an address that wants TLS all the way",
            other: Err(Refusal::SecurityNotCarried),
            rule: "RFC 7247 §8: sips: is not translated, since XMPP cannot promise what it asks for",
            setting: Vec::new(),
            remedy: Some("write sip:; TLS on the way to the gateway does not depend on it"),
        }];
    }
    let numbers = key(&["routing", "numbers"]);
    let uri = match normalized(uri, config) {
        Ok(uri) => uri,
        Err(refusal) => {
            let remedy = match refusal {
                Refusal::LocalNumber => "write it with + and the country, such as tel:+12015550123",
                _ => "name the SIP domain of telephone numbers in routing.numbers",
            };
            return vec![Explanation {
                meaning: "a telephone number",
                other: Err(refusal),
                rule: "RFC 3966, RFC 3261 §19.1.6: a global number is a user of the domain of numbers",
                setting: numbers,
                remedy: Some(remedy),
            }];
        }
    };
    if let Some(room) = room_of_uri(&uri, config) {
        return vec![room];
    }
    if uri.scheme() == "im" {
        return vec![as_invited(&uri, config)];
    }
    vec![as_caller(&uri, config), as_invited(&uri, config)]
}

/// A URI of a conference domain, in either direction.
fn room_of_uri(uri: &Uri, config: &Config) -> Option<Explanation> {
    if let Some(n) = config
        .rooms
        .iter()
        .position(|room| same_domain(&room.sip, uri.host()))
    {
        let nickname = uri
            .parameter_decoded("gr")
            .filter(|nickname| !nickname.is_empty());
        let found = RoomAddress::from_sip(uri, &config.rooms);
        let admitted = found.and_then(|room| allowed_room(room, config));
        return Some(Explanation {
            meaning: if nickname.is_some() {
                "an occupant of an XMPP room"
            } else {
                "an XMPP room"
            },
            remedy: admitted.as_ref().err().map(room_remedy),
            other: admitted.map(|room| with_resource(&room.muc, nickname.as_deref())),
            rule: "RFC 7702 §6 with RFC 7247 §6.4 and XEP-0106: the user part is the room, `gr` the nickname",
            setting: numbered("rooms", n, "sip"),
        });
    }
    let n = config
        .conferences
        .iter()
        .position(|conference| same_domain(&conference.sip, uri.host()))?;
    let conference = config.conferences.get(n)?;
    let user = uri.user_decoded().unwrap_or_default();
    let room = format!("{}@{}", xmpp::address::escape_localpart(&user), conference.muc);
    let nickname = uri
        .parameter_decoded("gr")
        .filter(|nickname| !nickname.is_empty());
    let room = BareJid::new(&room).map_err(|_| Refusal::NoSuchRoom);
    Some(Explanation {
        meaning: "a SIP conference",
        remedy: room.as_ref().err().map(room_remedy),
        other: room.map(|room| with_resource(&room, nickname.as_deref())),
        rule: "RFC 7702 §5 with RFC 7247 §6.4: the user part is the room, `gr` the nickname",
        setting: numbered("conferences", n, "sip"),
    })
}

fn as_caller(uri: &Uri, config: &Config) -> Explanation {
    let resource = uri.parameter_decoded("gr").filter(|gr| !gr.is_empty());
    let component = config.component(uri.host());
    let place = component.and_then(|found| config.components.iter().position(|other| other == found));
    let name = uri.user_decoded().unwrap_or_default();
    let admitted = config.access.callers.admits(&name, uri.host());
    let jid = component
        .ok_or(Refusal::ForeignUser)
        .and_then(|component| user_jid(uri, component, resource.as_deref().unwrap_or("x")));
    let jid = jid.map(|jid| match &resource {
        Some(_) => jid.to_string(),
        None => jid.to_bare().to_string(),
    });
    let hosted = component.is_some_and(|component| component.form == AddressForm::Hosted);
    let (other, setting, remedy) = match jid {
        Ok(_) if !admitted => (
            Err(Refusal::NotAllowed),
            key(&["access"]),
            Some("see allow_callers and deny_callers"),
        ),
        Ok(jid) => (Ok(jid), component_key(place), None),
        Err(refusal) => {
            let remedy = match refusal {
                Refusal::ForeignUser => "attach his domain with a [[users]] section, or use the hosted form",
                _ => "the address needs a user part and a domain that a JID can carry",
            };
            (Err(refusal), component_key(place), Some(remedy))
        }
    };
    Explanation {
        meaning: "a SIP user who calls",
        other,
        rule: if hosted {
            "RFC 7247 §6.4 and XEP-0106, hosted form: user and domain are the localpart under the component; `gr` is the resource"
        } else {
            "RFC 7247 §6.4 and XEP-0106, native form: the component's domain is the SIP domain; `gr` is the resource"
        },
        setting,
        remedy,
    }
}

fn as_invited(uri: &Uri, config: &Config) -> Explanation {
    let found = party(uri, config).and_then(|party| {
        let (list, user, host) = match &party {
            Party::Sip(uri) => (&config.access.callers, uri.user_decoded(), uri.host()),
            Party::Xmpp(jid) => (
                &config.access.xmpp_users,
                jid.node().map(ToString::to_string),
                jid.domain().as_str(),
            ),
        };
        if list.admits(&user.unwrap_or_default(), host) {
            Ok(party)
        } else {
            Err(Refusal::NotAllowed)
        }
    });
    let (meaning, rule) = match &found {
        Ok(Party::Sip(_)) => (
            "a SIP user who is invited: the room calls him",
            "RFC 4579 §5.5: an INVITE from the conference URI",
        ),
        Ok(Party::Xmpp(_)) => (
            "an XMPP user who is invited through the room",
            "RFC 7702 §6.5 with RFC 7247 §6.4: a mediated invitation",
        ),
        Err(_) => ("somebody who is invited", "RFC 7702 §6.5"),
    };
    let routed = match &found {
        Ok(Party::Sip(to)) => route_key(&to.user_decoded().unwrap_or_default(), to.host(), config),
        Ok(Party::Xmpp(to)) => {
            let user = to.node().map(|node| node.as_str()).unwrap_or_default();
            route_key(user, to.domain().as_str(), config)
        }
        Err(_) => Vec::new(),
    };
    Explanation {
        meaning,
        remedy: found.as_ref().err().map(|refusal| match refusal {
            Refusal::NotAllowed => "see the lists of access",
            Refusal::Loop => "it is an address of the gateway's own: name a user, not a room",
            _ => "the address needs a user part and a domain",
        }),
        other: found.map(|party| match party {
            Party::Sip(uri) => uri.to_string(),
            Party::Xmpp(jid) => jid.to_string(),
        }),
        rule,
        setting: routed,
    }
}

fn of_jid(jid: &Jid, config: &Config) -> Explanation {
    let domain = jid.domain().as_str();
    let resource = jid.resource().map(|resource| resource.as_str());
    let with_gr = |uri: Uri| match resource {
        Some(resource) => uri.with_parameter("gr", Some(resource)).to_string(),
        None => uri.to_string(),
    };
    if let Some(n) = config
        .rooms
        .iter()
        .position(|room| same_domain(&room.muc, domain))
    {
        let room = RoomAddress::from_muc(&jid.to_bare(), &config.rooms).ok_or(Refusal::NoSuchRoom);
        let admitted = room.and_then(|room| allowed_room(room, config));
        return Explanation {
            meaning: if resource.is_some() {
                "an occupant of an XMPP room"
            } else {
                "an XMPP room"
            },
            remedy: admitted.as_ref().err().map(room_remedy),
            other: admitted.map(|room| with_gr(room.sip)),
            rule: "RFC 7702 §6 with RFC 7247 §6.5: the room is the user part, the nickname is `gr`",
            setting: numbered("rooms", n, "muc"),
        };
    }
    let conference = config
        .conferences
        .iter()
        .position(|room| same_domain(&room.muc, domain));
    if let Some((n, conference)) = conference.and_then(|n| Some((n, config.conferences.get(n)?))) {
        let local = jid
            .node()
            .map(|node| xmpp::address::unescape_localpart(node.as_str()));
        let uri = local.map(|local| Uri::new(Some(&local), &sip_domain(&conference.sip), None));
        return Explanation {
            meaning: "a SIP conference",
            other: uri.map(with_gr).ok_or(Refusal::NoSuchRoom),
            rule: "RFC 7702 §5 with RFC 7247 §6.5: the room is the user part, the nickname is `gr`",
            setting: numbered("conferences", n, "muc"),
            remedy: jid.node().is_none().then_some("name a room, such as room@domain"),
        };
    }
    let component = config
        .components
        .iter()
        .position(|component| same_domain(&component.domain, domain));
    if let Some((n, component)) = component.and_then(|n| Some((n, config.components.get(n)?))) {
        let uri = sip_uri(&jid.to_bare(), component).ok_or(Refusal::NoSuchUser);
        return Explanation {
            meaning: "a SIP user",
            remedy: uri
                .is_err()
                .then_some(r"in the hosted form it is user\40domain@component"),
            other: uri.map(with_gr),
            rule: "RFC 7247 §6.5 and XEP-0106: what is escaped in the localpart is itself again; the resource is `gr`",
            setting: component_key(Some(n)),
        };
    }
    let name = jid.node().map(|node| node.as_str()).unwrap_or_default();
    let admitted = config.access.xmpp_users.admits(name, domain);
    Explanation {
        meaning: "an XMPP user",
        other: if admitted {
            Ok(xmpp_user_uri(jid).to_string())
        } else {
            Err(Refusal::NotAllowed)
        },
        rule: "RFC 7247 §6.5: his domain is the same in SIP; the resource is `gr`",
        setting: if admitted { Vec::new() } else { key(&["access"]) },
        remedy: (!admitted).then_some("see allow_xmpp_users and deny_xmpp_users"),
    }
}

fn allowed_room(room: RoomAddress, config: &Config) -> Result<RoomAddress, Refusal> {
    let local = room.sip.user_decoded().unwrap_or_default();
    if config.access.rooms.admits(&local, room.muc.domain().as_str()) {
        Ok(room)
    } else {
        Err(Refusal::NotAllowed)
    }
}

fn room_remedy(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NotAllowed => "see access.allow_rooms and access.deny_rooms",
        _ => "name a room, such as room@domain",
    }
}

fn with_resource(room: &BareJid, nickname: Option<&str>) -> String {
    match nickname {
        Some(nickname) => format!("{room}/{nickname}"),
        None => room.to_string(),
    }
}

/// Which key decides whose a domain is; none if it is a component's.
fn route_key(user: &str, host: &str, config: &Config) -> Vec<String> {
    if let Some(n) = config
        .components
        .iter()
        .position(|component| same_domain(&component.domain, host))
    {
        return component_key(Some(n));
    }
    let alone = |rule| {
        let mut routes = config.routes.clone();
        routes.otherwise = rule;
        routes.of(user, host)
    };
    match (alone(RouteRule::Sip), alone(RouteRule::Xmpp)) {
        (RouteRule::Sip, RouteRule::Sip) => key(&["routing", "sip"]),
        (RouteRule::Xmpp, RouteRule::Xmpp) => key(&["routing", "xmpp"]),
        _ => key(&["routing", "otherwise"]),
    }
}

/// The first component is that of `[xmpp]`, the others are those of `[[users]]`.
fn component_key(place: Option<usize>) -> Vec<String> {
    match place {
        None | Some(0) => key(&["xmpp", "domain"]),
        Some(n) => numbered("users", n - 1, "domain"),
    }
}

fn numbered(section: &str, n: usize, name: &str) -> Vec<String> {
    key(&[section, &n.to_string(), name])
}

fn key(path: &[&str]) -> Vec<String> {
    path.iter().map(|part| (*part).to_owned()).collect()
}

/// What an `xmpp:` URI hides in escapes (RFC 5122 §2.2); an escape that is none stays as written.
fn percent_decoded(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('%') {
        octets.extend_from_slice(before.as_bytes());
        let octet = behind
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        octets.push(octet.unwrap_or(b'%'));
        rest = octet.and_then(|_| behind.get(2..)).unwrap_or(behind);
    }
    octets.extend_from_slice(rest.as_bytes());
    String::from_utf8(octets).unwrap_or_else(|_| text.to_owned())
}
