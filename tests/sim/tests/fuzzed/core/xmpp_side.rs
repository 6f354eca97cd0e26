//! The room service: what it should answer, and what it should not.

use xmpp::{
    BareJid, FullJid, Jid, Unsent,
    stanza::{
        Condition, Delay, Destroy, Extras, Invite, Iq, IqKind, Message, MessageKind, MucItem, MucUser,
        Outgoing, Presence, PresenceKind, Stanza, StanzaError,
    },
};

use mapping::{LinkId, Occupancy};

use super::{LINK, MUC, NICKNAMES, ROOMS, Script, Stage};

const CONDITIONS: [Condition; 8] = [
    Condition::Conflict,
    Condition::Forbidden,
    Condition::NotAuthorized,
    Condition::ItemNotFound,
    Condition::RegistrationRequired,
    Condition::NotAcceptable,
    Condition::RemoteServerTimeout,
    Condition::Gone,
];

impl Stage {
    /// What the room should do about the entrance of a call.
    pub(super) fn admit(&mut self, call: usize) {
        let Some((from, to)) = self.calls.get(call).and_then(|call| call.entered.clone()) else {
            return;
        };
        let presence = available(&to, &from, &[110]);
        self.stanza(Stanza::Presence(presence));
        self.settle();
        let room = to.to_bare();
        let subject = Message {
            subject: Some("a feast".to_owned()),
            ..message(Jid::from(room), &from, MessageKind::Groupchat)
        };
        self.stanza(Stanza::Message(Box::new(subject)));
    }

    pub(super) fn presence(&mut self, script: &mut Script<'_>) {
        let Some((to, from)) = self.some_addresses(script) else {
            return;
        };
        let kind = script.octet();
        let statuses: Vec<u16> = (0..script.below(4))
            .map(|_| script.pick(&[110, 110, 201, 210, 303, 301, 307, 321, 322, 332, 333, 9]))
            .collect();
        let mut presence = available(&from, &to, &statuses);
        presence.kind = match kind % 8 {
            0..=2 => PresenceKind::Available,
            3 | 4 => PresenceKind::Unavailable,
            5 | 6 => PresenceKind::Error(StanzaError {
                condition: script.pick(&CONDITIONS),
                text: script.chance(2).then(|| script.text()),
                new_address: script.chance(4).then(|| script.text()),
            }),
            _ => PresenceKind::Other(script.text()),
        };
        presence.id = self.id_of_asking(script, &to);
        if let Some(muc) = &mut presence.muc {
            muc.items[0].nick = script.chance(2).then(|| script.pick(&NICKNAMES).to_owned());
            muc.items[0].reason = script.chance(4).then(|| script.text());
            muc.destroy = (kind > 240).then(Destroy::default);
        }
        if kind == 230 {
            presence.muc = None;
        }
        self.stanza(Stanza::Presence(presence));
    }

    /// What the room should answer to one of the last stanzas, or an error.
    pub(super) fn room_answers(&mut self, script: &mut Script<'_>) {
        let place = script.below(self.stanzas.len());
        let Some(stanza) = self.stanzas.get(place).cloned() else {
            return;
        };
        let refuse = script.chance(4);
        let condition = script.pick(&CONDITIONS);
        match stanza {
            Outgoing::Enter { from, to, id, .. } | Outgoing::ChangeNickname { from, to, id } => {
                let mut presence = available(&to, &from, &[110]);
                presence.id = Some(id);
                if refuse {
                    presence.kind = PresenceKind::Error(StanzaError::new(condition));
                }
                self.stanza(Stanza::Presence(presence));
            }
            Outgoing::Groupchat { from, to, id, body } => {
                let nickname = self.nickname_of(&from, &to);
                let sender = to.with_resource_str(&nickname).map_or(Jid::from(to), Jid::from);
                let mut said = message(sender, &from, MessageKind::Groupchat);
                said.id = Some(id);
                said.body = Some(body);
                if refuse {
                    said.kind = MessageKind::Error;
                    said.error = Some(StanzaError::new(condition));
                }
                self.stanza(Stanza::Message(Box::new(said)));
            }
            Outgoing::Private { from, to, id, .. } => {
                let mut said = message(to.into(), &from, MessageKind::Error);
                said.id = Some(id);
                said.error = Some(StanzaError::new(condition));
                self.stanza(Stanza::Message(Box::new(said)));
            }
            Outgoing::Leave { from, to, .. } => {
                let mut presence = available(&to, &from, &[110]);
                presence.kind = PresenceKind::Unavailable;
                self.stanza(Stanza::Presence(presence));
            }
            Outgoing::Invite { .. }
            | Outgoing::Decline { .. }
            | Outgoing::Kick { .. }
            | Outgoing::Ping { .. }
            | Outgoing::ChatState { .. }
            | Outgoing::Room(_)
            | Outgoing::AcceptDefaultConfiguration { .. }
            | Outgoing::Error { .. }
            | Outgoing::IqResult { .. }
            | Outgoing::IqError { .. } => {}
        }
    }

    pub(super) fn message(&mut self, script: &mut Script<'_>) {
        let Some((to, from)) = self.some_addresses(script) else {
            return;
        };
        let kind = script.octet();
        let sender = if kind % 16 == 15 {
            Jid::from(from.to_bare())
        } else {
            Jid::from(from)
        };
        let types = [
            MessageKind::Groupchat,
            MessageKind::Groupchat,
            MessageKind::Chat,
            MessageKind::Normal,
            MessageKind::Headline,
            MessageKind::Error,
        ];
        let mut said = message(sender, &to, types[usize::from(kind) % types.len()]);
        said.id = self.id_of_asking(script, &to);
        said.body = (!script.chance(4)).then(|| script.text());
        said.subject = script.chance(8).then(|| script.text());
        said.has_thread = kind & 32 != 0;
        said.delay = script.chance(8).then(|| Delay {
            from: None,
            stamp: script.pick(&["2026-01-01T00:00:00Z", "yesterday"]).to_owned(),
        });
        said.error = script
            .chance(4)
            .then(|| StanzaError::new(script.pick(&CONDITIONS)));
        said.muc = (kind > 248).then(|| MucUser {
            invites: vec![Invite::default()],
            ..MucUser::default()
        });
        self.stanza(Stanza::Message(Box::new(said)));
    }

    pub(super) fn iq(&mut self, script: &mut Script<'_>) {
        let Some((to, from)) = self.some_addresses(script) else {
            return;
        };
        let kind = match script.chance(2) {
            true => IqKind::Result(None),
            false => IqKind::Error(StanzaError::new(script.pick(&CONDITIONS))),
        };
        let id = self.id_of_asking(script, &to).unwrap_or_default();
        let (from, to) = (from.into(), to.into());
        self.stanza(Stanza::Iq(Iq { from, to, id, kind }));
    }

    pub(super) fn link_event(&mut self, script: &mut Script<'_>) {
        match script.below(4) {
            0 => self.link(false),
            1 | 2 => self.link(true),
            _ => {
                let place = script.below(self.stanzas.len());
                if place < self.stanzas.len() {
                    let stanza = Box::new(self.stanzas.remove(place));
                    let why = script.pick(&[Unsent::LinkDown, Unsent::Unconfirmed, Unsent::TooLarge]);
                    let event = xmpp::Event::Unsent { stanza, why };
                    self.gateway.handle_xmpp(LINK, event, self.now);
                }
            }
        }
    }

    pub(super) fn stanza_out(&mut self, link: LinkId, stanza: Outgoing) {
        let is_up = if link == LINK {
            self.link_up
        } else {
            self.conference_up
        };
        self.conference_stanza_out(&stanza, is_up);
        if let Outgoing::Enter { from, to, .. } = &stanza {
            let occupancy = Occupancy {
                occupant: from.clone(),
                room: to.to_bare(),
            };
            assert!(
                self.remembered.contains(&occupancy),
                "{from} would stay after a crash"
            );
            let known = self
                .calls
                .iter()
                .any(|call| call.entered.as_ref().is_some_and(|(jid, _)| jid == from));
            if let Some(call) = self
                .calls
                .iter_mut()
                .rev()
                .find(|call| call.entered.is_none())
                .filter(|_| !known)
            {
                call.entered = Some((from.clone(), to.clone()));
            }
        }
        if !is_up {
            let stanza = Box::new(stanza);
            let why = Unsent::LinkDown;
            return self
                .gateway
                .handle_xmpp(link, xmpp::Event::Unsent { stanza, why }, self.now);
        }
        if link != LINK {
            return;
        }
        self.stanzas.push(stanza);
        if self.stanzas.len() > 8 {
            self.stanzas.remove(0);
        }
    }

    fn stanza(&mut self, stanza: Stanza) {
        if self.link_up {
            self.gateway
                .handle_xmpp(LINK, xmpp::Event::Stanza(stanza), self.now);
        }
    }

    /// One of our occupants, or somebody who is none, and an address in his room or in another.
    fn some_addresses(&self, script: &mut Script<'_>) -> Option<(FullJid, FullJid)> {
        let call = self.some_call(script)?;
        let (jid, asked) = self.calls[call].entered.clone()?;
        let from = match script.octet() {
            octet @ 0..=127 => asked
                .to_bare()
                .with_resource_str(NICKNAMES[usize::from(octet) % 5])
                .ok()?,
            128..=239 => asked,
            octet => {
                let room =
                    BareJid::new(&format!("{}@{MUC}", ROOMS[usize::from(octet) % ROOMS.len()])).ok()?;
                room.with_resource_str("Juliet").ok()?
            }
        };
        Some((jid, from))
    }

    /// The nickname that was asked for last in a room.
    fn nickname_of(&self, from: &FullJid, room: &BareJid) -> String {
        let asked = self.calls.iter().filter_map(|call| call.entered.as_ref());
        let asked = asked.rev().find(|(jid, to)| jid == from && to.to_bare() == *room);
        asked.map_or_else(String::new, |(_, to)| to.resource().as_str().to_owned())
    }

    /// The id of something that was asked on behalf of this address, or some other.
    fn id_of_asking(&self, script: &mut Script<'_>, jid: &FullJid) -> Option<String> {
        match script.below(4) {
            0 => None,
            1 => Some(script.text()),
            _ => self.stanzas.iter().rev().find_map(|stanza| match stanza {
                Outgoing::Enter { from, id, .. }
                | Outgoing::ChangeNickname { from, id, .. }
                | Outgoing::Groupchat { from, id, .. }
                | Outgoing::Private { from, id, .. }
                    if from == jid =>
                {
                    Some(id.clone())
                }
                _ => None,
            }),
        }
    }
}

fn available(from: &FullJid, to: &FullJid, statuses: &[u16]) -> Presence {
    Presence {
        from: from.clone().into(),
        to: to.clone().into(),
        id: None,
        kind: PresenceKind::Available,
        muc: Some(MucUser {
            statuses: statuses.to_vec(),
            items: vec![MucItem::default()],
            ..MucUser::default()
        }),
        nick: None,
        status: None,
        join: None,
    }
}

pub(super) fn message(from: Jid, to: &FullJid, kind: MessageKind) -> Message {
    Message {
        from,
        to: to.clone().into(),
        id: None,
        kind,
        body: None,
        subject: None,
        has_thread: false,
        muc: None,
        delay: None,
        stanza_ids: Vec::new(),
        error: None,
        extras: Extras::default(),
    }
}
