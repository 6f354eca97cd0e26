//! What XMPP users do, say and ask.

use xmpp::{
    BareJid, FullJid, Jid,
    stanza::{
        Condition, Invite, Iq, IqKind, Message, MessageKind, MucUser, Presence, PresenceKind, Stanza,
        StanzaError,
        service::{Join, disco_info, disco_items, version},
    },
};

use super::{
    super::{CONFERENCE_LINK, LINK, NICKNAMES, ROOMS, Script, Stage, xmpp_side::message},
    CONFERENCE_MUC, Fate,
};

/// Two clients of one account, one of another, and a SIP user of ours, whom no conference may see.
const CLIENTS: [&str; 4] = [
    "romeo@example.net/orchard",
    "romeo@example.net/balcony",
    "juliet@example.net/chamber",
    "tybalt@gateway.example.org/gr",
];

impl Stage {
    pub(super) fn client_enters(&mut self, script: &mut Script<'_>) {
        let (from, to) = self.client_and_room(script);
        let nickname = match script.chance(8) {
            true => script.text(),
            false => script.pick(&NICKNAMES).to_owned(),
        };
        let Ok(to) = to.with_resource_str(&nickname) else {
            return;
        };
        let mut wish = presence(from, to.into(), PresenceKind::Available);
        wish.id = Some(format!("enter{}", self.fresh()));
        wish.join = (!script.chance(16)).then(|| Join {
            password: None,
            no_history: script.chance(4),
        });
        self.conference_stanza(Stanza::Presence(wish));
    }

    pub(super) fn client_presence(&mut self, script: &mut Script<'_>) {
        let (from, to) = self.client_and_room(script);
        let to = match script.below(4) {
            0 => Jid::from(to),
            _ => to
                .with_resource_str(NICKNAMES[script.below(5)])
                .map_or(Jid::from(to), Jid::from),
        };
        let kind = match script.octet() % 8 {
            0 | 1 => PresenceKind::Unavailable,
            2 => PresenceKind::Error(StanzaError::new(
                script.pick(&[Condition::RecipientUnavailable, Condition::NotAcceptable]),
            )),
            3 => PresenceKind::Other(script.text()),
            _ => PresenceKind::Available,
        };
        let mut presence = presence(from, to, kind);
        presence.status = script.chance(4).then(|| script.text());
        self.conference_stanza(Stanza::Presence(presence));
    }

    pub(super) fn client_says(&mut self, script: &mut Script<'_>) {
        let (from, room) = self.client_and_room(script);
        let kind = script.octet();
        let to = match kind % 4 {
            0 => room
                .with_resource_str(NICKNAMES[script.below(5)])
                .map_or(Jid::from(room), Jid::from),
            _ => Jid::from(room),
        };
        let types = [
            MessageKind::Chat,
            MessageKind::Groupchat,
            MessageKind::Groupchat,
            MessageKind::Groupchat,
        ];
        let Ok(us) = FullJid::new(&format!("{to}/us")).or_else(|_| FullJid::new(to.as_str())) else {
            return;
        };
        let mut said = message(from.clone().into(), &us, types[usize::from(kind) % types.len()]);
        said.to = to;
        said.id = Some(format!("said{}", self.fresh()));
        let odd = script.octet();
        said.body = (odd != 0).then(|| match odd {
            1 => "x".repeat(201),
            _ => script.text(),
        });
        said.subject = (odd > 240).then(|| script.text());
        if odd == 255 {
            said.kind = MessageKind::Normal;
            said.muc = Some(MucUser {
                invites: vec![Invite {
                    from: None,
                    to: script
                        .pick(&["mercutio@example.org", "capulet@example.net"])
                        .parse()
                        .ok(),
                    reason: script.chance(2).then(|| script.text()),
                }],
                ..MucUser::default()
            });
        }
        if odd == 254 {
            said.kind = MessageKind::Error;
            said.error = Some(StanzaError::new(Condition::RecipientUnavailable));
        }
        if let Some(id) = due_id(&said).filter(|_| self.conference_up) {
            self.conferences.said.push((from.into(), id, Fate::Open));
        }
        self.conference_stanza(Stanza::Message(Box::new(said)));
    }

    /// A request, to either side's domain; each is answered at once.
    pub(super) fn client_asks(&mut self, script: &mut Script<'_>) {
        let (from, room) = self.client_and_room(script);
        let kind = script.octet();
        let to = match kind % 4 {
            0 => CONFERENCE_MUC.parse().ok(),
            1 => Some(Jid::from(room)),
            2 => room
                .with_resource_str(NICKNAMES[script.below(5)])
                .ok()
                .map(Jid::from),
            _ => script
                .pick(&["gateway.example.org", "romeo@gateway.example.org"])
                .parse()
                .ok(),
        };
        let Some(to) = to else { return };
        let link = if kind % 4 == 3 { LINK } else { CONFERENCE_LINK };
        let is_up = if kind % 4 == 3 {
            self.link_up
        } else {
            self.conference_up
        };
        if !is_up {
            return;
        }
        let payload = match kind / 4 % 3 {
            0 => disco_info(("a", "b", "c"), &[]),
            1 => disco_items([]),
            _ => version(),
        };
        let id = format!("asked{}", self.fresh());
        let kind = match kind / 16 % 2 {
            0 => IqKind::Get(payload),
            _ => IqKind::Set(payload),
        };
        self.conferences.asked.push(id.clone());
        let iq = Iq {
            from: from.into(),
            to,
            id: id.clone(),
            kind,
        };
        self.gateway
            .handle_xmpp(link, xmpp::Event::Stanza(Stanza::Iq(iq)), self.now);
        self.settle();
        assert!(!self.conferences.asked.contains(&id), "{id} is not answered");
    }

    fn client_and_room(&self, script: &mut Script<'_>) -> (FullJid, BareJid) {
        let client = script.pick(&CLIENTS).parse().expect("a full JID");
        let room = ROOMS[script.below(ROOMS.len())];
        let room = BareJid::new(&format!("{room}@{CONFERENCE_MUC}")).expect("a bare JID");
        (client, room)
    }

    /// Who leaves, or is found to be gone, is shown nothing more.
    fn excuse(&mut self, stanza: &Stanza) {
        let gone = match stanza {
            Stanza::Presence(presence)
                if matches!(presence.kind, PresenceKind::Unavailable | PresenceKind::Error(_)) =>
            {
                &presence.from
            }
            Stanza::Message(message) if message.kind == MessageKind::Error => &message.from,
            _ => return,
        };
        for (by, _, fate) in &mut self.conferences.said {
            if by == gone && *fate == Fate::Open {
                *fate = Fate::Unsent;
            }
        }
    }

    fn conference_stanza(&mut self, stanza: Stanza) {
        if self.conference_up {
            self.excuse(&stanza);
            self.gateway
                .handle_xmpp(CONFERENCE_LINK, xmpp::Event::Stanza(stanza), self.now);
        }
    }
}

/// The id of a message that has to be shown to its sender or refused.
fn due_id(said: &Message) -> Option<String> {
    let is_due =
        said.kind == MessageKind::Groupchat && said.body.as_ref().is_some_and(|body| !body.is_empty());
    said.id.clone().filter(|_| is_due)
}

fn presence(from: FullJid, to: Jid, kind: PresenceKind) -> Presence {
    Presence {
        from: from.into(),
        to,
        id: None,
        kind,
        muc: None,
        nick: None,
        status: None,
        join: None,
    }
}
