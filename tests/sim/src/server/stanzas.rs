//! Which stanza is for whom, and what is answered without a room.

use super::{Entry, Flavour, KICKABLE, MUC, STANZAS, Server, domain, local, resource};
use crate::xml::{Element, attribute};

impl Server {
    pub(super) fn handle_stanza(&mut self, stanza: &Element) {
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
}
