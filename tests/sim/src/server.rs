//! An XMPP server with a multi-user chat service, as seen through a component stream: it reads our bytes and answers bytes, in the order
//! and with the habits of Prosody or ejabberd. It is the authority on who is in which room.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    component::ComponentEnd,
    xml::{Element, attribute, escape},
};

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
    history: VecDeque<(String, String, String)>,
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
            capacity: 1000,
        }
    }

    /// Its end of the stream to the users' component.
    pub(crate) fn link(&mut self) -> &mut ComponentEnd {
        &mut self.link
    }

    pub(crate) fn take_entries(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
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

    fn handle_stanza(&mut self, stanza: &Element) {
        let address = |name| stanza.attribute(name).unwrap_or_default().to_owned();
        let (from, to) = (address("from"), address("to"));
        let kind = stanza.attribute("type").unwrap_or_default();
        let id = stanza.attribute("id").unwrap_or_default();
        let room = (domain(&to) == MUC).then(|| local(&to).to_owned());
        match (stanza.name.as_str(), room) {
            ("iq", room) => self.handle_iq(stanza, &from, &to, room.as_deref()),
            ("presence", Some(room)) => match kind {
                "unavailable" => {
                    let status = stanza.child("status").map(|status| status.text.clone());
                    self.leave(&room, &from, status.as_deref(), &[]);
                }
                "" => self.presence(stanza, &room, &from, resource(&to), id),
                "error" => self.errored(stanza, &room, &from, id),
                _ => {}
            },
            ("message", Some(room)) => match kind {
                "groupchat" => self.groupchat(stanza, &room, &from, id),
                "error" => self.errored(stanza, &room, &from, id),
                _ if resource(&to).is_empty() => self.invite(stanza, &room),
                _ => self.private(stanza, &room, &from, resource(&to), id),
            },
            ("message", None) if kind == "error" => self.entries.push(Entry::Bounced { id: id.to_owned() }),
            ("presence" | "message", None) => {}
            (name, _) => self.broken(format!("a <{name}>")),
        }
    }

    fn handle_iq(&mut self, iq: &Element, from: &str, to: &str, room: Option<&str>) {
        let id = iq.attribute("id").unwrap_or_default().to_owned();
        match iq.attribute("type") {
            Some("get" | "set") => {
                let known = room.is_none_or(|room| self.rooms.contains_key(room));
                let answer = if known {
                    format!(
                        "<iq type='result'{}{}{}/>",
                        attribute("id", &id),
                        attribute("from", to),
                        attribute("to", from)
                    )
                } else {
                    format!(
                        "<iq type='error'{}{}{}><error type='cancel'><item-not-found xmlns='{STANZAS}'/></error></iq>",
                        attribute("id", &id),
                        attribute("from", to),
                        attribute("to", from)
                    )
                };
                self.send(&answer);
            }
            _ => self.entries.push(Entry::Answered { id }),
        }
    }

    /// An error of an occupant's client; for some conditions Prosody removes him. The error for a private message goes to its sender.
    fn errored(&mut self, stanza: &Element, room: &str, from: &str, id: &str) {
        let to = stanza
            .attribute("to")
            .map(resource)
            .unwrap_or_default()
            .to_owned();
        if to.is_empty() {
            return self.broken(format!("an error for the room's own stanza {id}"));
        }
        // Ids of what native users say to all begin so.
        if id.starts_with('m') {
            self.broken(format!("an error for the groupchat message {id}"));
        }
        let condition = stanza
            .child("error")
            .and_then(|error| error.children.first())
            .map(|condition| condition.name.clone())
            .unwrap_or_default();
        if self.flavour == Flavour::Prosody && KICKABLE.contains(&condition.as_str()) {
            self.broken(format!("{from} gave {condition} and is kicked for it"));
            return self.leave(room, from, None, &[333]);
        }
        // Its sender may have left meanwhile.
        self.entries.push(Entry::Bounced { id: id.to_owned() });
    }

    /// A stanza to the component; `false` when it is not there.
    pub(crate) fn send(&mut self, stanza: &str) -> bool {
        self.link.send(stanza)
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

    fn presence(&mut self, stanza: &Element, room: &str, from: &str, nickname: &str, id: &str) {
        let joins = stanza.child_of("x", MUC_NS);
        let refused = |server: &mut Self, condition: &str| {
            let by = match server.flavour {
                Flavour::Prosody => attribute("by", &format!("{room}@{MUC}")),
                Flavour::Ejabberd => String::new(),
            };
            let error = format!(
                "<presence type='error'{}{}{}><error type='cancel'{by}><{condition} xmlns='{STANZAS}'/></error></presence>",
                attribute("from", &format!("{room}@{MUC}/{nickname}")),
                attribute("id", id),
                attribute("to", from),
            );
            server.send(&error);
        };
        let inside = self.occupant(room, from).cloned();
        if inside.is_none() && joins.is_none() {
            return refused(self, "not-acceptable");
        }
        if self
            .rooms
            .get(room)
            .is_some_and(|room| room.banned.contains(bare(from)))
        {
            return refused(self, "forbidden");
        }
        let taken = self
            .occupants(room)
            .iter()
            .any(|occupant| occupant.nickname == nickname && occupant.jid != from);
        if taken {
            return refused(self, "conflict");
        }
        if inside.is_none() && self.occupants(room).len() >= self.capacity {
            return refused(self, "service-unavailable");
        }
        let history = joins
            .and_then(|x| x.child("history"))
            .and_then(|history| history.attribute("maxstanzas"))
            .and_then(|most| most.parse().ok())
            .unwrap_or(20);
        match inside {
            Some(before) => {
                if before.nickname != nickname {
                    self.rename(room, from, nickname, id);
                } else if joins.is_none() {
                    self.broadcast(room, from, id, &[]);
                }
                if joins.is_some() {
                    self.list(room, from, id, &[], history);
                }
            }
            None => {
                let display_name = stanza.child("nick").map(|nick| nick.text.clone());
                self.enter(room, from, nickname, id, display_name, history);
            }
        }
    }

    /// XEP-0045 §7.2: the others to the new one, the new one to the others, himself, history, subject.
    pub(crate) fn enter(
        &mut self,
        room: &str,
        jid: &str,
        nickname: &str,
        id: &str,
        display_name: Option<String>,
        history: usize,
    ) {
        let created = !self.rooms.contains_key(room);
        let state = self.rooms.entry(room.to_owned()).or_default();
        state.occupants.push(Occupant {
            nickname: nickname.to_owned(),
            jid: jid.to_owned(),
            affiliation: if created { "owner" } else { "none" },
            display_name,
        });
        self.entries.push(Entry::Entered {
            room: room.to_owned(),
            jid: jid.to_owned(),
            nickname: nickname.to_owned(),
        });
        let statuses: &[u16] = if created { &[201] } else { &[] };
        if self.ours(jid) {
            if self.flavour == Flavour::Ejabberd {
                let hello = format!(
                    "<presence{}{} id='1501'><c ver='x' node='n' hash='sha-1' xmlns='http://jabber.org/protocol/caps'/></presence>",
                    attribute("to", jid),
                    attribute("from", &format!("{room}@{MUC}"))
                );
                self.send(&hello);
            }
            self.list_others(room, jid);
        }
        self.broadcast_to_others(room, jid, id);
        if self.ours(jid) {
            self.list_self(room, jid, id, statuses, history);
        }
    }

    fn list(&mut self, room: &str, jid: &str, id: &str, statuses: &[u16], history: usize) {
        self.list_others(room, jid);
        self.list_self(room, jid, id, statuses, history);
    }

    fn list_others(&mut self, room: &str, jid: &str) {
        for occupant in self.occupants(room) {
            if occupant.jid != jid {
                self.send(&available(self.flavour, room, &occupant, jid, "x", &[]));
            }
        }
    }

    fn list_self(&mut self, room: &str, jid: &str, id: &str, statuses: &[u16], history: usize) {
        let Some(own) = self.occupant(room, jid).cloned() else {
            return;
        };
        let mut codes = statuses.to_vec();
        codes.push(110);
        self.send(&available(self.flavour, room, &own, jid, id, &codes));
        let Some(state) = self.rooms.get(room) else { return };
        let replayed: Vec<_> = state.history.iter().rev().take(history).rev().cloned().collect();
        let subject = escape(&state.subject);
        for (nickname, id, body) in replayed {
            let stanza = format!(
                "<message type='groupchat'{}{}{}><body>{}</body><delay xmlns='urn:xmpp:delay' from='{room}@{MUC}' stamp='2026-01-01T00:00:00Z'/></message>",
                attribute("from", &format!("{room}@{MUC}/{nickname}")),
                attribute("id", &id),
                attribute("to", jid),
                escape(&body)
            );
            self.send(&stanza);
        }
        let last = format!(
            "<message{} type='groupchat' from='{room}@{MUC}'><subject>{subject}</subject></message>",
            attribute("to", jid)
        );
        self.send(&last);
    }

    fn broadcast_to_others(&mut self, room: &str, jid: &str, id: &str) {
        let Some(own) = self.occupant(room, jid).cloned() else {
            return;
        };
        let flavour = self.flavour;
        self.tell(room, false, |to| {
            if to.jid == own.jid {
                String::new()
            } else {
                available(flavour, room, &own, &to.jid, id, &[])
            }
        });
    }

    fn broadcast(&mut self, room: &str, jid: &str, id: &str, statuses: &[u16]) {
        let Some(own) = self.occupant(room, jid).cloned() else {
            return;
        };
        let flavour = self.flavour;
        self.tell(room, false, |to| {
            let mut codes = statuses.to_vec();
            if to.jid == own.jid {
                codes.push(110);
            }
            available(flavour, room, &own, &to.jid, id, &codes)
        });
    }

    pub(crate) fn rename(&mut self, room: &str, jid: &str, nickname: &str, id: &str) {
        let Some(before) = self.occupant(room, jid).cloned() else {
            return;
        };
        if let Some(state) = self.rooms.get_mut(room) {
            for occupant in &mut state.occupants {
                if occupant.jid == jid {
                    nickname.clone_into(&mut occupant.nickname);
                }
            }
        }
        self.entries.push(Entry::Renamed {
            room: room.to_owned(),
            jid: jid.to_owned(),
            nickname: nickname.to_owned(),
        });
        let new = attribute("nick", nickname);
        self.tell(room, false, |to| {
            let codes: &[u16] = if to.jid == before.jid { &[303, 110] } else { &[303] };
            unavailable(room, &before, &to.jid, codes, &new, "participant", "", None)
        });
        self.broadcast(room, jid, id, &[]);
    }

    /// Somebody is not in a room any more. The codes say how; 332 and 333 are the room's own doing.
    pub(crate) fn leave(&mut self, room: &str, jid: &str, status: Option<&str>, statuses: &[u16]) {
        let Some(own) = self.occupant(room, jid).cloned() else {
            return;
        };
        if let Some(state) = self.rooms.get_mut(room) {
            state.occupants.retain(|occupant| occupant.jid != jid);
        }
        self.entries.push(Entry::Left {
            room: room.to_owned(),
            jid: jid.to_owned(),
            nickname: own.nickname.clone(),
        });
        let inner = if statuses.iter().any(|code| matches!(code, 301 | 307)) {
            "<actor nick='moderator'/><reason>be gone</reason>"
        } else {
            ""
        };
        self.tell(room, false, |to| {
            unavailable(room, &own, &to.jid, statuses, "", "none", inner, status)
        });
        let mut codes = statuses.to_vec();
        codes.push(110);
        if self.ours(jid) {
            self.send(&unavailable(room, &own, jid, &codes, "", "none", inner, status));
        }
        if self.occupants(room).is_empty() {
            self.rooms.remove(room);
        }
    }

    fn groupchat(&mut self, stanza: &Element, room: &str, from: &str, id: &str) {
        if self.occupant(room, from).is_none() {
            let error = format!(
                "<message type='error'{}{}{}><error type='cancel'><not-acceptable xmlns='{STANZAS}'/></error></message>",
                attribute("from", &format!("{room}@{MUC}")),
                attribute("id", id),
                attribute("to", from)
            );
            self.send(&error);
            return;
        }
        if let Some(body) = stanza.child("body") {
            self.say(room, from, id, &body.text, "");
        }
    }

    /// The room has a message: one copy to everybody, the sender included.
    pub(crate) fn say(&mut self, room: &str, from: &str, id: &str, body: &str, extra: &str) {
        let Some(own) = self.occupant(room, from).cloned() else {
            return;
        };
        let to = self
            .occupants(room)
            .into_iter()
            .map(|occupant| occupant.jid)
            .collect();
        self.entries.push(Entry::Public {
            room: room.to_owned(),
            from: from.to_owned(),
            nickname: own.nickname.clone(),
            body: body.to_owned(),
            to,
        });
        if let Some(state) = self.rooms.get_mut(room)
            && extra.is_empty()
        {
            state
                .history
                .push_back((own.nickname.clone(), id.to_owned(), body.to_owned()));
            if state.history.len() > 20 {
                state.history.pop_front();
            }
        }
        self.stamps += 1;
        let stamp = self.stamps;
        let flavour = self.flavour;
        let text = escape(body);
        let head = format!(
            "<message type='groupchat'{}{}",
            attribute("from", &format!("{room}@{MUC}/{}", own.nickname)),
            attribute("id", id)
        );
        let stanza = |to: &Occupant| match flavour {
            Flavour::Prosody => format!(
                "{head} xml:lang='en'{}><body>{text}</body>{extra}<origin-id xmlns='urn:xmpp:sid:0'{}/><occupant-id xmlns='urn:xmpp:occupant-id:0' id='o'/><stanza-id xmlns='urn:xmpp:sid:0' by='{room}@{MUC}' id='{stamp}'/></message>",
                attribute("to", &to.jid),
                attribute("id", id)
            ),
            Flavour::Ejabberd => format!(
                "{head}{}><archived xmlns='urn:xmpp:mam:tmp' by='{room}@{MUC}' id='{stamp}'/><stanza-id xmlns='urn:xmpp:sid:0' by='{room}@{MUC}' id='{stamp}'/>{extra}<body>{text}</body></message>",
                attribute("to", &to.jid)
            ),
        };
        // ejabberd reflects to the sender last, Prosody in any order.
        let late = self.flavour == Flavour::Ejabberd && self.ours(from);
        self.tell(room, true, |to| {
            if late && to.jid == from {
                String::new()
            } else {
                stanza(to)
            }
        });
        if late {
            self.send(&stanza(&own));
        }
    }

    fn private(&mut self, stanza: &Element, room: &str, from: &str, nickname: &str, id: &str) {
        let body = stanza
            .child("body")
            .map(|body| body.text.clone())
            .unwrap_or_default();
        let inside = self.occupant(room, from).is_some();
        let target = self
            .occupants(room)
            .into_iter()
            .find(|occupant| occupant.nickname == nickname);
        let condition = match &target {
            _ if !inside => "not-acceptable",
            None => "item-not-found",
            Some(target) => return self.whisper(room, from, &target.jid, id, &body),
        };
        let error = format!(
            "<message type='error'{}{}{}><error type='cancel'><{condition} xmlns='{STANZAS}'/></error></message>",
            attribute("from", &format!("{room}@{MUC}/{nickname}")),
            attribute("id", id),
            attribute("to", from)
        );
        self.send(&error);
    }

    /// A private message between occupants.
    pub(crate) fn whisper(&mut self, room: &str, from: &str, to: &str, id: &str, body: &str) {
        let Some(own) = self.occupant(room, from).cloned() else {
            return;
        };
        let stanza = format!(
            "<message type='chat'{}{}{}><body>{}</body><x xmlns='{MUC_USER}'/></message>",
            attribute("from", &format!("{room}@{MUC}/{}", own.nickname)),
            attribute("id", id),
            attribute("to", to),
            escape(body)
        );
        let private = Entry::Private {
            room: room.to_owned(),
            from: from.to_owned(),
            nickname: own.nickname.clone(),
            to: to.to_owned(),
            body: body.to_owned(),
        };
        if !self.ours(to) || self.send(&stanza) {
            self.entries.push(private);
        } else {
            // Not there: the server answers for him.
            self.entries.push(Entry::Bounced { id: id.to_owned() });
        }
    }

    fn invite(&mut self, stanza: &Element, room: &str) {
        let invite = stanza.child_of("x", MUC_USER).and_then(|x| x.child("invite"));
        if let Some(invitee) = invite.and_then(|invite| invite.attribute("to")) {
            self.entries.push(Entry::Invited {
                room: room.to_owned(),
                invitee: invitee.to_owned(),
            });
        }
    }

    pub(crate) fn subject(&mut self, room: &str, from: &str, subject: &str) {
        let Some(own) = self.occupant(room, from).cloned() else {
            return;
        };
        if let Some(state) = self.rooms.get_mut(room) {
            subject.clone_into(&mut state.subject);
        }
        self.tell(room, false, |to| {
            format!(
                "<message type='groupchat'{}{}><subject>{}</subject></message>",
                attribute("from", &format!("{room}@{MUC}/{}", own.nickname)),
                attribute("to", &to.jid),
                escape(subject)
            )
        });
    }

    pub(crate) fn ban(&mut self, room: &str, jid: &str) {
        if let Some(state) = self.rooms.get_mut(room) {
            state.banned.insert(bare(jid).to_owned());
        }
        for occupant in self.occupants(room) {
            if bare(&occupant.jid) == bare(jid) {
                self.leave(room, &occupant.jid, None, &[301]);
            }
        }
    }

    pub(crate) fn destroy(&mut self, room: &str) {
        let flavour = self.flavour;
        for own in self.occupants(room) {
            self.entries.push(Entry::Left {
                room: room.to_owned(),
                jid: own.jid.clone(),
                nickname: own.nickname.clone(),
            });
            if self.ours(&own.jid) {
                let code = match flavour {
                    Flavour::Prosody => "<status code='110'/>",
                    Flavour::Ejabberd => "",
                };
                let gone = format!(
                    "<presence type='unavailable'{}{}><x xmlns='{MUC_USER}'><destroy jid='other@{MUC}'><reason>moved</reason></destroy><item affiliation='none' role='none'/>{code}</x></presence>",
                    attribute("from", &format!("{room}@{MUC}/{}", own.nickname)),
                    attribute("to", &own.jid)
                );
                self.send(&gone);
            }
        }
        self.rooms.remove(room);
    }

    /// The service stops: everybody is told 332 and is out.
    pub(crate) fn shut_room(&mut self, room: &str) {
        for occupant in self.occupants(room) {
            self.leave(room, &occupant.jid, None, &[332]);
        }
    }

    /// The server died and starts without its rooms.
    pub(crate) fn forget(&mut self) {
        for (room, state) in std::mem::take(&mut self.rooms) {
            for occupant in state.occupants {
                self.entries.push(Entry::Left {
                    room: room.clone(),
                    jid: occupant.jid,
                    nickname: occupant.nickname,
                });
            }
        }
    }
}

fn item(occupant: &Occupant, role: &str, attributes: &str, inner: &str) -> String {
    format!(
        "<item affiliation='{}' role='{role}'{attributes}>{inner}</item>",
        occupant.affiliation
    )
}

fn codes(statuses: &[u16]) -> String {
    statuses
        .iter()
        .map(|code| format!("<status code='{code}'/>"))
        .collect()
}

fn available(flavour: Flavour, room: &str, own: &Occupant, to: &str, id: &str, statuses: &[u16]) -> String {
    let nick = own.display_name.as_ref().map_or_else(String::new, |name| {
        format!(
            "<nick xmlns='http://jabber.org/protocol/nick'>{}</nick>",
            escape(name)
        )
    });
    let item = item(own, "participant", "", "");
    let codes = codes(statuses);
    let body = match flavour {
        Flavour::Prosody => format!("{nick}<x xmlns='{MUC_USER}'>{codes}{item}</x>"),
        Flavour::Ejabberd => format!("{nick}<x xmlns='{MUC_USER}'>{item}{codes}</x>"),
    };
    format!(
        "<presence{}{}{}>{body}</presence>",
        attribute("from", &format!("{room}@{MUC}/{}", own.nickname)),
        attribute("id", id),
        attribute("to", to)
    )
}

#[expect(clippy::too_many_arguments, reason = "the parts of one stanza")]
fn unavailable(
    room: &str,
    own: &Occupant,
    to: &str,
    statuses: &[u16],
    attributes: &str,
    role: &str,
    inner: &str,
    status: Option<&str>,
) -> String {
    let status = status.map_or_else(String::new, |status| {
        format!("<status>{}</status>", escape(status))
    });
    format!(
        "<presence type='unavailable'{}{}>{status}<x xmlns='{MUC_USER}'>{}{}</x></presence>",
        attribute("from", &format!("{room}@{MUC}/{}", own.nickname)),
        attribute("to", to),
        item(own, role, attributes, inner),
        codes(statuses)
    )
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
