//! The face of a multi-user chat service: what users ask of it and of its rooms (XEP-0045 §6, XEP-0030, XEP-0410).

use xmpp::{
    FullJid, Jid,
    stanza::{
        Condition, Iq, IqKind, Outgoing, Payload, StanzaError,
        service::{RoomStanza, disco_info, disco_items, version},
    },
};

use super::{presence::occupant, stay::Phase};
use crate::Gateway;

const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";
const PING: &str = "urn:xmpp:ping";
const VERSION: &str = "jabber:iq:version";
const MUC: &str = "http://jabber.org/protocol/muc";
const MUC_ADMIN: &str = "http://jabber.org/protocol/muc#admin";
const MUC_OWNER: &str = "http://jabber.org/protocol/muc#owner";
const STABLE_ID: &str = "http://jabber.org/protocol/muc#stable_id";

/// What can be said of every room: it is where the conference is, and the gateway knows neither its list of rooms nor its rules.
const ROOM_FEATURES: &[&str] = &[
    MUC,
    STABLE_ID,
    DISCO_INFO,
    DISCO_ITEMS,
    PING,
    "muc_hidden",
    "muc_open",
    "muc_semianonymous",
    "muc_temporary",
    "muc_unmoderated",
    "muc_unsecured",
];
const SERVICE_FEATURES: &[&str] = &[MUC, DISCO_INFO, DISCO_ITEMS, PING, VERSION];

/// Whom a request is for.
#[derive(Clone, Copy)]
enum Asked {
    Service,
    Room,
    Occupant,
}

impl Gateway {
    /// A request to a conference domain. None goes unanswered.
    pub(crate) fn conference_iq(&mut self, iq: Iq) {
        let outcome = match &iq.kind {
            IqKind::Get(payload) => self.service_get(&iq.from, &iq.to, payload),
            IqKind::Set(payload) => Err(self.service_set(payload)),
            IqKind::Result(_) | IqKind::Error(_) => return,
        };
        let Iq { from, to, id, .. } = iq;
        match outcome {
            Ok(payload) => self.xmpp(Outgoing::IqResult {
                from: to,
                to: from,
                id,
                payload,
            }),
            Err(condition) => self.room(RoomStanza::Refused {
                name: "iq",
                by: to.to_bare(),
                from: to,
                to: from,
                id: Some(id),
                error: StanzaError::new(condition),
            }),
        }
    }

    fn service_get(&self, from: &Jid, to: &Jid, payload: &Payload) -> Result<Option<Payload>, Condition> {
        let query = &payload.0;
        let asked = match (to.node(), to.resource()) {
            (_, Some(_)) => Asked::Occupant,
            (Some(_), None) => Asked::Room,
            (None, None) => Asked::Service,
        };
        let is_query = |namespace: &str| query.is("query", namespace);
        match asked {
            Asked::Occupant if query.is("ping", PING) => self.ping_of_occupant(from, to),
            // XEP-0045 §17.4: nothing of a SIP user can be asked this way.
            Asked::Occupant => Err(Condition::ServiceUnavailable),
            _ if query.is("ping", PING) => Ok(None),
            _ if query.attr("node").is_some() && (is_query(DISCO_INFO) || is_query(DISCO_ITEMS)) => {
                // XEP-0045 §7.12: nicknames are not reserved here.
                Err(match query.attr("node") {
                    Some("x-roomuser-item") => Condition::FeatureNotImplemented,
                    _ => Condition::ItemNotFound,
                })
            }
            Asked::Service if is_query(DISCO_INFO) => {
                let identity = ("conference", "text", "SIP conferences");
                Ok(Some(disco_info(identity, SERVICE_FEATURES)))
            }
            Asked::Service if is_query(VERSION) => Ok(Some(version())),
            Asked::Service if is_query(DISCO_ITEMS) => Ok(Some(disco_items([]))),
            Asked::Room if is_query(DISCO_INFO) => {
                let name = to.node().map(|node| node.as_str().to_owned()).unwrap_or_default();
                Ok(Some(disco_info(("conference", "text", &name), ROOM_FEATURES)))
            }
            Asked::Room if is_query(DISCO_ITEMS) => Ok(Some(self.items_of_room(from, to))),
            Asked::Room if query.has_ns(MUC_ADMIN) || query.has_ns(MUC_OWNER) => Err(Condition::Forbidden),
            Asked::Service | Asked::Room => Err(Condition::ServiceUnavailable),
        }
    }

    /// Nobody here owns or administers a conference.
    fn service_set(&self, payload: &Payload) -> Condition {
        if payload.0.has_ns(MUC_ADMIN) || payload.0.has_ns(MUC_OWNER) {
            Condition::Forbidden
        } else {
            Condition::ServiceUnavailable
        }
    }

    /// XEP-0410 §3: of his own occupant's address a client asks whether he is still in.
    fn ping_of_occupant(&self, from: &Jid, to: &Jid) -> Result<Option<Payload>, Condition> {
        let room = to.to_bare();
        let key = from
            .try_as_full()
            .ok()
            .and_then(|from| self.stays.of_client(&room, from));
        let stay = key
            .and_then(|key| self.stays.get(key))
            .ok_or(Condition::NotAcceptable)?;
        let nickname = to
            .resource()
            .map(|nickname| nickname.as_str())
            .unwrap_or_default();
        if nickname == stay.nickname {
            Ok(None)
        } else if stay.listing.occupant(nickname).is_some() {
            Err(Condition::ServiceUnavailable)
        } else {
            Err(Condition::ItemNotFound)
        }
    }

    /// Who is in is for those who are in.
    fn items_of_room(&self, from: &Jid, room: &Jid) -> Payload {
        let room = room.to_bare();
        let key = from
            .try_as_full()
            .ok()
            .and_then(|from| self.stays.of_client(&room, from));
        let stay = key
            .and_then(|key| self.stays.get(key))
            .filter(|stay| stay.phase == Phase::Joined);
        let nicknames = stay.into_iter().flat_map(|stay| {
            let others = stay.listing.occupants().map(|(nickname, _)| nickname);
            others.chain([stay.nickname.as_str()])
        });
        let occupants = nicknames.filter_map(|nickname| occupant(&room, nickname));
        disco_items(occupants.map(|jid: FullJid| (jid.into(), None)))
    }
}
