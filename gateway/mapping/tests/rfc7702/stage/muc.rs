//! A room service as small as XEP-0045 allows: it lists occupants, reflects, renames and refuses. Independent of the core.

use std::collections::BTreeMap;

use xmpp::{
    BareJid, FullJid, Jid,
    stanza::{
        Condition, Delay, Extras, Iq, IqKind, Message, MessageKind, MucItem, MucUser, Outgoing, Presence,
        PresenceKind, Stanza, StanzaError,
    },
};

#[derive(Default)]
pub(crate) struct Muc {
    pub(crate) rooms: BTreeMap<BareJid, Room>,
    /// While true the service says nothing.
    pub(crate) mute: bool,
    /// What entering gets instead of being admitted.
    pub(crate) refuse: Option<Condition>,
    /// What entering has to say.
    pub(crate) password: Option<String>,
    /// The address that comes with `refuse`.
    pub(crate) new_address: Option<String>,
    /// Nobody of ours may remove anybody.
    pub(crate) moderated: bool,
    /// Who is told to try again later, by his nickname.
    pub(crate) turned_away: Option<String>,
    /// If anything: the histories that were asked for, which come later.
    pub(crate) withheld: Option<Vec<Stanza>>,
}

#[derive(Default)]
pub(crate) struct Room {
    /// Nicknames and addresses, in the order of entering; native users have addresses of example.com.
    pub(crate) occupants: Vec<(String, Jid)>,
    pub(crate) subject: String,
    /// What was said, as it is replayed: nickname, id, text, time.
    pub(crate) history: Vec<(String, String, String, &'static str)>,
}

impl Muc {
    pub(crate) fn room(&self, room: &str) -> &Room {
        &self.rooms[&BareJid::new(room).unwrap()]
    }

    /// A native user enters. Returns what our occupants are sent.
    pub(crate) fn native_enters(&mut self, room: &str, nickname: &str) -> Vec<Stanza> {
        let room = BareJid::new(room).unwrap();
        let jid = Jid::new(&format!(
            "user{}@example.com/x",
            self.rooms
                .values()
                .map(|room| room.occupants.len())
                .sum::<usize>()
        ))
        .unwrap();
        let state = self.rooms.entry(room.clone()).or_default();
        state.occupants.push((nickname.to_owned(), jid));
        state.tell_ours(|to| {
            presence(
                &room,
                nickname,
                to,
                PresenceKind::Available,
                &[],
                Some("participant"),
            )
        })
    }

    /// Somebody leaves or is removed: the status codes say how.
    pub(crate) fn leaves(
        &mut self,
        room: &str,
        nickname: &str,
        statuses: &[u16],
        reason: Option<&str>,
    ) -> Vec<Stanza> {
        let room = BareJid::new(room).unwrap();
        let state = self.rooms.get_mut(&room).unwrap();
        let gone = state
            .occupants
            .iter()
            .position(|(nick, _)| nick == nickname)
            .unwrap();
        let told = state.occupants.clone();
        state.occupants.remove(gone);
        let ours = told
            .into_iter()
            .filter_map(|(nick, jid)| Some((nick, jid.try_into_full().ok()?)));
        ours.filter(|(_, to)| to.domain().as_str().ends_with("example.org"))
            .map(|(nick, to)| {
                let own: &[u16] = if nick == nickname { &[110] } else { &[] };
                let codes: Vec<u16> = statuses.iter().chain(own).copied().collect();
                let mut stanza = presence(
                    &room,
                    nickname,
                    &to,
                    PresenceKind::Unavailable,
                    &codes,
                    Some("none"),
                );
                if let Stanza::Presence(Presence { muc: Some(muc), .. }) = &mut stanza {
                    muc.items[0].reason = reason.map(str::to_owned);
                }
                stanza
            })
            .collect()
    }

    /// A native user speaks to all.
    pub(crate) fn native_says(&mut self, room: &str, nickname: &str, text: &str) -> Vec<Stanza> {
        let room = BareJid::new(room).unwrap();
        let state = self.rooms.get(&room).unwrap();
        state.tell_ours(|to| message(&room, nickname, to, "native-id", text))
    }

    /// What the service answers to a stanza of ours.
    pub(crate) fn handle(&mut self, stanza: Outgoing) -> Vec<Stanza> {
        if self.mute {
            return Vec::new();
        }
        match stanza {
            Outgoing::Enter {
                from,
                to,
                id,
                history,
                password,
                ..
            } => match &self.password {
                Some(wanted) if password.as_ref() != Some(wanted) => vec![error(
                    &to.to_bare(),
                    to.resource().as_str(),
                    &from,
                    &id,
                    Condition::NotAuthorized,
                )],
                _ => self.enter(from, &to, &id, history),
            },
            Outgoing::ChangeNickname { from, to, id } => self.rename(&from, &to, &id),
            Outgoing::Leave { from, to, .. } => {
                let room = to.to_bare();
                let inside = self
                    .rooms
                    .get(&room)
                    .is_some_and(|state| state.nickname(&from).is_some());
                if inside {
                    self.leaves(room.as_str(), to.resource().as_str(), &[], None)
                } else {
                    Vec::new()
                }
            }
            Outgoing::Groupchat { from, to, id, body } => {
                let Some(state) = self.rooms.get(&to) else {
                    return Vec::new();
                };
                let Some(nickname) = state.nickname(&from) else {
                    return vec![error_message(&to, &from, &id, Condition::NotAcceptable)];
                };
                state.tell_ours(|occupant| message(&to, &nickname, occupant, &id, &body))
            }
            Outgoing::Private { from, to, id, body } => self.private(&from, &to, &id, &body),
            Outgoing::Kick {
                from,
                room,
                id,
                nickname,
            } => self.kick(&from, &room, id, &nickname),
            _ => Vec::new(),
        }
    }

    fn enter(&mut self, from: FullJid, to: &FullJid, id: &str, history: u32) -> Vec<Stanza> {
        let room = to.to_bare();
        let nickname = to.resource().as_str().to_owned();
        let new_address = self.new_address.clone();
        let refused = |condition| {
            let mut error = error(&room, &nickname, &from, id, condition);
            if let Stanza::Presence(Presence {
                kind: PresenceKind::Error(error),
                ..
            }) = &mut error
            {
                error.new_address.clone_from(&new_address);
            }
            vec![error]
        };
        if let Some(condition) = self.refuse {
            return refused(condition);
        }
        if self.turned_away.as_ref() == Some(&nickname) {
            return refused(Condition::ResourceConstraint);
        }
        let state = self.rooms.entry(room.clone()).or_default();
        let address = Jid::from(from.clone());
        if state
            .occupants
            .iter()
            .any(|(nick, jid)| *nick == nickname && *jid != address)
        {
            return refused(Condition::Conflict);
        }
        let mut told: Vec<Stanza> = Vec::new();
        for (nick, _) in state.occupants.iter().filter(|(nick, _)| *nick != nickname) {
            told.push(presence(
                &room,
                nick,
                &from,
                PresenceKind::Available,
                &[],
                Some("participant"),
            ));
        }
        if !state.occupants.iter().any(|(_, jid)| *jid == address) {
            state.occupants.push((nickname.clone(), address));
            told.extend(state.tell_ours(|occupant| {
                let own: &[u16] = if *occupant == from { &[110] } else { &[] };
                presence(
                    &room,
                    &nickname,
                    occupant,
                    PresenceKind::Available,
                    own,
                    Some("participant"),
                )
            }));
        } else {
            told.push(presence(
                &room,
                &nickname,
                &from,
                PresenceKind::Available,
                &[110],
                Some("participant"),
            ));
        }
        let presences = told.len();
        let replayed = state.history.len().saturating_sub(history as usize);
        for (nick, id, text, stamp) in &state.history[replayed..] {
            let Stanza::Message(mut message) = message(&room, nick, &from, id, text) else {
                unreachable!()
            };
            message.delay = Some(Delay {
                from: Some(room.clone().into()),
                stamp: (*stamp).to_owned(),
            });
            told.push(Stanza::Message(message));
        }
        told.push(subject(&room, &from, &state.subject));
        if let Some(withheld) = self.withheld.as_mut().filter(|_| history > 0) {
            withheld.extend(told.drain(presences..));
        }
        told
    }

    fn rename(&mut self, from: &FullJid, to: &FullJid, id: &str) -> Vec<Stanza> {
        let room = to.to_bare();
        let new = to.resource().as_str().to_owned();
        let Some(state) = self.rooms.get_mut(&room) else {
            return Vec::new();
        };
        let Some(old) = state.nickname(from) else {
            return Vec::new();
        };
        if state.occupants.iter().any(|(nick, _)| *nick == new) {
            return vec![error(&room, &old, from, id, Condition::Conflict)];
        }
        for (nick, _) in &mut state.occupants {
            if *nick == old {
                nick.clone_from(&new);
            }
        }
        let mut told = state.tell_ours(|occupant| {
            let own: &[u16] = if occupant == from { &[303, 110] } else { &[303] };
            let mut gone = presence(
                &room,
                &old,
                occupant,
                PresenceKind::Unavailable,
                own,
                Some("participant"),
            );
            if let Stanza::Presence(Presence { muc: Some(muc), .. }) = &mut gone {
                muc.items[0].nick = Some(new.clone());
            }
            gone
        });
        told.extend(state.tell_ours(|occupant| {
            let own: &[u16] = if occupant == from { &[110] } else { &[] };
            presence(
                &room,
                &new,
                occupant,
                PresenceKind::Available,
                own,
                Some("participant"),
            )
        }));
        told
    }

    fn kick(&mut self, from: &FullJid, room: &BareJid, id: String, nickname: &str) -> Vec<Stanza> {
        let kind = if self.moderated {
            IqKind::Error(StanzaError::new(Condition::NotAllowed))
        } else {
            IqKind::Result(None)
        };
        let mut told = if self.moderated {
            Vec::new()
        } else {
            self.leaves(room.as_str(), nickname, &[307], None)
        };
        told.push(Stanza::Iq(Iq {
            from: room.clone().into(),
            to: from.clone().into(),
            id,
            kind,
        }));
        told
    }

    fn private(&self, from: &FullJid, to: &FullJid, id: &str, body: &str) -> Vec<Stanza> {
        let room = to.to_bare();
        let Some(state) = self.rooms.get(&room) else {
            return Vec::new();
        };
        let target = state
            .occupants
            .iter()
            .find(|(nick, _)| nick.as_str() == to.resource().as_str());
        match (state.nickname(from), target) {
            (Some(nickname), Some((_, Jid { .. }))) => {
                let target = target.and_then(|(_, jid)| jid.clone().try_into_full().ok());
                let ours = target.filter(|jid| jid.domain().as_str().ends_with("example.org"));
                ours.map(|jid| private(&room, &nickname, &jid, id, body))
                    .into_iter()
                    .collect()
            }
            _ => vec![error_message(&room, from, id, Condition::ItemNotFound)],
        }
    }
}

impl Room {
    fn nickname(&self, jid: &FullJid) -> Option<String> {
        let address = Jid::from(jid.clone());
        self.occupants
            .iter()
            .find(|(_, occupant)| *occupant == address)
            .map(|(nick, _)| nick.clone())
    }

    pub(crate) fn tell_ours(&self, stanza: impl Fn(&FullJid) -> Stanza) -> Vec<Stanza> {
        self.occupants
            .iter()
            .filter_map(|(_, jid)| jid.clone().try_into_full().ok())
            .filter(|jid| jid.domain().as_str().ends_with("example.org"))
            .map(|jid| stanza(&jid))
            .collect()
    }
}

pub(crate) fn presence(
    room: &BareJid,
    nickname: &str,
    to: &FullJid,
    kind: PresenceKind,
    statuses: &[u16],
    role: Option<&str>,
) -> Stanza {
    Stanza::Presence(Presence {
        from: room.with_resource_str(nickname).unwrap().into(),
        to: to.clone().into(),
        id: None,
        kind,
        join: None,
        muc: Some(MucUser {
            statuses: statuses.to_vec(),
            items: vec![MucItem {
                affiliation: Some("none".to_owned()),
                role: role.map(str::to_owned),
                ..MucItem::default()
            }],
            ..MucUser::default()
        }),
        nick: None,
        status: None,
    })
}

fn error(room: &BareJid, nickname: &str, to: &FullJid, id: &str, condition: Condition) -> Stanza {
    Stanza::Presence(Presence {
        from: room.with_resource_str(nickname).unwrap().into(),
        to: to.clone().into(),
        id: Some(id.to_owned()),
        kind: PresenceKind::Error(StanzaError {
            condition,
            text: None,
            new_address: None,
        }),
        join: None,
        muc: None,
        nick: None,
        status: None,
    })
}

pub(crate) fn message(room: &BareJid, nickname: &str, to: &FullJid, id: &str, body: &str) -> Stanza {
    Stanza::Message(Box::new(Message {
        from: room.with_resource_str(nickname).unwrap().into(),
        body: Some(body.to_owned()),
        ..empty_message(room, to, id, MessageKind::Groupchat)
    }))
}

pub(crate) fn private(room: &BareJid, nickname: &str, to: &FullJid, id: &str, body: &str) -> Stanza {
    Stanza::Message(Box::new(Message {
        from: room.with_resource_str(nickname).unwrap().into(),
        body: Some(body.to_owned()),
        ..empty_message(room, to, id, MessageKind::Chat)
    }))
}

pub(crate) fn subject(room: &BareJid, to: &FullJid, subject: &str) -> Stanza {
    Stanza::Message(Box::new(Message {
        subject: Some(subject.to_owned()),
        ..empty_message(room, to, "subject", MessageKind::Groupchat)
    }))
}

fn error_message(room: &BareJid, to: &FullJid, id: &str, condition: Condition) -> Stanza {
    Stanza::Message(Box::new(Message {
        error: Some(StanzaError {
            condition,
            text: None,
            new_address: None,
        }),
        ..empty_message(room, to, id, MessageKind::Error)
    }))
}

pub(crate) fn empty_message(room: &BareJid, to: &FullJid, id: &str, kind: MessageKind) -> Message {
    Message {
        from: room.clone().into(),
        to: to.clone().into(),
        id: Some(id.to_owned()),
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
