//! An XMPP server with a multi-user chat service, as seen through a component stream: it reads our bytes and answers bytes, in the order
//! and with the habits of Prosody or ejabberd. It is the authority on who is in which room.

mod administration;
mod messages;
mod presence;
mod stanzas;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;

use crate::component::ComponentEnd;

pub(crate) const MUC: &str = "rooms.example.com";
pub(crate) const SECRET: &str = "s3cret";

const MUC_NS: &str = "http://jabber.org/protocol/muc";
const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

/// Conditions for which Prosody takes an occupant for gone.
const KICKABLE: [&str; 9] = [
    "gone",
    "internal-server-error",
    "item-not-found",
    "jid-malformed",
    "recipient-unavailable",
    "redirect",
    "remote-server-not-found",
    "remote-server-timeout",
    "service-unavailable",
];

/// Whose habits it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    Prosody,
    Ejabberd,
}

/// One in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Occupant {
    pub(crate) nickname: String,
    /// Full address.
    pub(crate) jid: String,
    pub(crate) affiliation: &'static str,
    display_name: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Room {
    pub(crate) occupants: Vec<Occupant>,
    pub(crate) subject: String,
    banned: BTreeSet<String>,
    /// Nickname, id, body and time.
    history: VecDeque<(String, String, String, Timestamp)>,
}

/// What happened in the rooms, in the order in which they decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Entered {
        room: String,
        jid: String,
        nickname: String,
    },
    Left {
        room: String,
        jid: String,
        nickname: String,
    },
    Renamed {
        room: String,
        jid: String,
        nickname: String,
    },
    /// A room has a message; `to` are its occupants' addresses.
    Public {
        room: String,
        from: String,
        nickname: String,
        body: String,
        to: Vec<String>,
    },
    /// A private message was handed to an occupant.
    Private {
        room: String,
        from: String,
        nickname: String,
        to: String,
        body: String,
    },
    /// A private message of a native user came back with an error.
    Bounced { id: String },
    /// A request of the server to the component was answered.
    Answered { id: String },
    /// A native user was invited.
    Invited { room: String, invitee: String },
    /// The component broke a rule.
    Broken(String),
}

pub(crate) struct Server {
    flavour: Flavour,
    link: ComponentEnd,
    pub(crate) rooms: BTreeMap<String, Room>,
    entries: Vec<Entry>,
    stamps: u32,
    /// What its clock shows.
    pub(crate) clock: Timestamp,
    pub(crate) capacity: usize,
}

impl Server {
    pub(crate) fn new(flavour: Flavour, component: &str) -> Self {
        Self {
            flavour,
            link: ComponentEnd::new(component),
            rooms: BTreeMap::new(),
            entries: Vec::new(),
            stamps: 0,
            clock: Timestamp::UNIX_EPOCH,
            capacity: 1000,
        }
    }

    /// Its end of the stream to the users' component.
    pub(crate) fn link(&mut self) -> &mut ComponentEnd {
        &mut self.link
    }

    pub(crate) fn handle_bytes(&mut self, bytes: &[u8]) {
        for stanza in self.link.handle_bytes(bytes) {
            self.handle_stanza(&stanza);
        }
        for what in self.link.take_broken() {
            self.broken(what);
        }
    }

    fn broken(&mut self, what: String) {
        self.entries.push(Entry::Broken(what));
    }

    /// A stanza to the component; `false` when it is not there.
    pub(crate) fn send(&mut self, stanza: &str) -> bool {
        self.link.send(stanza)
    }

    pub(crate) fn take_entries(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    fn ours(&self, jid: &str) -> bool {
        domain(jid) == self.link.domain
    }

    /// The same to each of ours in a room. Prosody removes those it cannot reach when a message bounces.
    fn tell(&mut self, room: &str, message: bool, stanza: impl Fn(&Occupant) -> String) {
        let mut told: Vec<Occupant> = self.occupants(room);
        told.retain(|occupant| self.ours(&occupant.jid));
        for occupant in told {
            if !self.send(&stanza(&occupant)) && message && self.flavour == Flavour::Prosody {
                self.leave(room, &occupant.jid, Some("Kicked: remote server timeout"), &[333]);
            }
        }
    }

    pub(crate) fn occupants(&self, room: &str) -> Vec<Occupant> {
        self.rooms
            .get(room)
            .map(|room| room.occupants.clone())
            .unwrap_or_default()
    }

    pub(crate) fn occupant(&self, room: &str, jid: &str) -> Option<&Occupant> {
        self.rooms
            .get(room)?
            .occupants
            .iter()
            .find(|occupant| occupant.jid == jid)
    }
}

pub(crate) fn bare(jid: &str) -> &str {
    jid.split('/').next().unwrap_or_default()
}

pub(crate) fn local(jid: &str) -> &str {
    bare(jid).rsplit_once('@').map_or("", |(local, _)| local)
}

pub(crate) fn domain(jid: &str) -> &str {
    bare(jid).rsplit_once('@').map_or(bare(jid), |(_, domain)| domain)
}

pub(crate) fn resource(jid: &str) -> &str {
    jid.split_once('/').map_or("", |(_, resource)| resource)
}
