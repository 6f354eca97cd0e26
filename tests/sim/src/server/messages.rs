//! Messages to the room and within it (XEP-0045 §7.4, §7.5, §7.8, §8.1).

use super::{Entry, Flavour, MUC, MUC_USER, Occupant, STANZAS, Server};
use crate::xml::{Element, attribute, escape};

impl Server {
    pub(super) fn groupchat(&mut self, stanza: &Element, room: &str, from: &str, id: &str) {
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
        let clock = self.clock;
        if let Some(state) = self.rooms.get_mut(room)
            && extra.is_empty()
        {
            state
                .history
                .push_back((own.nickname.clone(), id.to_owned(), body.to_owned(), clock));
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

    pub(super) fn private(&mut self, stanza: &Element, room: &str, from: &str, nickname: &str, id: &str) {
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
            nickname: own.nickname,
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

    pub(super) fn invite(&mut self, stanza: &Element, room: &str) {
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
}
