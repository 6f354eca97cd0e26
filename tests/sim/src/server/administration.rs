//! Bans, rooms that close and rooms that forget (XEP-0045 §9.1, §10.9).

use super::{Entry, Flavour, MUC, MUC_USER, Server, bare};
use crate::xml::attribute;

impl Server {
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
