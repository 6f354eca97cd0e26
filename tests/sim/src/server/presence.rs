//! Entering, nicknames and leaving (XEP-0045 §7.1 to §7.2, §7.6, §7.14), with the order and the habits of each server.

use super::{Entry, Flavour, MUC, MUC_NS, MUC_USER, Occupant, STANZAS, Server, bare};
use crate::xml::{Element, attribute, escape};

impl Server {
    pub(super) fn presence(&mut self, stanza: &Element, room: &str, from: &str, nickname: &str, id: &str) {
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
        for (nickname, id, body, stamp) in replayed {
            let stanza = format!(
                "<message type='groupchat'{}{}{}><body>{}</body><delay xmlns='urn:xmpp:delay' from='{room}@{MUC}' stamp='{stamp}'/></message>",
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
}

pub(super) fn item(occupant: &Occupant, role: &str, attributes: &str, inner: &str) -> String {
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
pub(super) fn unavailable(
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
