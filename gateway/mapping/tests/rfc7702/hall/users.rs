//! XMPP users in the hall: what they send, and what was said to them.

use xmpp::{
    FullJid, Jid,
    stanza::{
        Iq, IqKind, Message, MessageKind, Outgoing, Payload, Presence, PresenceKind, Stanza, StanzaError,
        service::{Join, RoomStanza},
    },
};

use super::{Hall, LINK, ROOM, jid};

impl Hall {
    pub(crate) fn stanza(&mut self, stanza: Stanza) {
        self.gateway
            .handle_xmpp(LINK, xmpp::Event::Stanza(stanza), self.now);
        self.run();
    }

    /// Presence to an address of the conference domain.
    pub(crate) fn presence(&mut self, from: &str, to: &str, kind: PresenceKind, join: Option<Join>) {
        self.stanza(Stanza::Presence(Presence {
            from: jid(from),
            to: jid(to),
            id: Some("p1".to_owned()),
            kind,
            join,
            muc: None,
            nick: None,
            status: None,
        }));
    }

    pub(crate) fn enter(&mut self, client: &str, nickname: &str) {
        let to = format!("{ROOM}/{nickname}");
        self.presence(client, &to, PresenceKind::Available, Some(Join::default()));
    }

    /// Presence under another nickname.
    pub(crate) fn rename(&mut self, client: &str, nickname: &str) {
        self.presence(
            client,
            &format!("{ROOM}/{nickname}"),
            PresenceKind::Available,
            None,
        );
    }

    pub(crate) fn leave(&mut self, client: &str, nickname: &str, words: Option<&str>) {
        self.stanza(Stanza::Presence(Presence {
            from: jid(client),
            to: jid(&format!("{ROOM}/{nickname}")),
            id: None,
            kind: PresenceKind::Unavailable,
            join: None,
            muc: None,
            nick: None,
            status: words.map(str::to_owned),
        }));
    }

    pub(crate) fn message(&mut self, from: &str, to: &str, kind: MessageKind, body: Option<&str>) {
        let message = message(from, to, kind, body);
        self.stanza(Stanza::Message(Box::new(message)));
    }

    /// Says something to all.
    pub(crate) fn say(&mut self, client: &str, text: &str) {
        self.message(client, ROOM, MessageKind::Groupchat, Some(text));
    }

    pub(crate) fn bounce(&mut self, client: &str, from: &str, error: StanzaError) {
        let mut bounced = message(client, from, MessageKind::Error, None);
        bounced.error = Some(error);
        self.stanza(Stanza::Message(Box::new(bounced)));
    }

    pub(crate) fn iq(&mut self, from: &str, to: &str, kind: IqKind) {
        self.stanza(Stanza::Iq(Iq {
            from: jid(from),
            to: jid(to),
            id: "q1".to_owned(),
            kind,
        }));
    }

    /// What was said to this client since the last time, as one line each.
    pub(crate) fn heard(&mut self, client: &str) -> Vec<String> {
        let client = jid(client);
        let (for_him, others) = std::mem::take(&mut self.told)
            .into_iter()
            .partition(|stanza| addressee(stanza) == Some(&client));
        self.told = others;
        let for_him: Vec<Outgoing> = for_him;
        for_him.iter().map(line).collect()
    }
}

pub(crate) fn query(namespace: &str) -> Payload {
    Payload(format!("<query xmlns='{namespace}'/>").parse().unwrap())
}

pub(crate) fn ping() -> Payload {
    Payload("<ping xmlns='urn:xmpp:ping'/>".parse().unwrap())
}

pub(crate) fn message(from: &str, to: &str, kind: MessageKind, body: Option<&str>) -> Message {
    Message {
        from: jid(from),
        to: jid(to),
        id: Some("m1".to_owned()),
        kind,
        body: body.map(str::to_owned),
        subject: None,
        has_thread: false,
        muc: None,
        delay: None,
        stanza_ids: Vec::new(),
        error: None,
        extras: xmpp::stanza::Extras::default(),
    }
}

pub(super) fn addressee(stanza: &Outgoing) -> Option<&Jid> {
    match stanza {
        Outgoing::Room(stanza) => Some(match stanza {
            RoomStanza::Presence(presence) => &presence.to,
            RoomStanza::Groupchat { to, .. }
            | RoomStanza::Subject { to, .. }
            | RoomStanza::Private { to, .. }
            | RoomStanza::Declined { to, .. } => to,
            RoomStanza::Invited { to, .. } => to,
            RoomStanza::Refused { to, .. } => to,
        }),
        Outgoing::IqResult { to, .. } => Some(to),
        _ => None,
    }
}

/// A stanza in one line, as the tests compare it: `Romeo is in (participant)`, `room: Today in Verona`, ….
pub(super) fn line(stanza: &Outgoing) -> String {
    let name = |from: &Jid| {
        from.resource()
            .map_or_else(|| "room".to_owned(), |nickname| nickname.as_str().to_owned())
    };
    let full = |from: &FullJid| from.resource().as_str().to_owned();
    match stanza {
        Outgoing::Room(RoomStanza::Presence(presence)) => {
            let who = full(&presence.from);
            let what = if presence.unavailable { "is out" } else { "is in" };
            assert_eq!(presence.item.affiliation.as_deref(), Some("none"));
            let role = presence.item.role.as_deref().unwrap();
            let mut line = format!("{who} {what} ({role})");
            for status in &presence.statuses {
                line.push_str(&format!(" {status}"));
            }
            if let Some(nick) = &presence.item.nick {
                line.push_str(&format!(" now {nick}"));
            }
            if let Some(reason) = &presence.item.reason {
                line.push_str(&format!(" because {reason}"));
            }
            if let Some(jid) = &presence.item.jid {
                line.push_str(&format!(" who is {jid}"));
            }
            if presence.destroy.is_some() {
                line.push_str(" destroyed");
            }
            line
        }
        Outgoing::Room(RoomStanza::Groupchat {
            from,
            body,
            delay,
            id,
            ..
        }) => {
            assert!(id.is_some());
            let delay = delay.as_ref().map(|delay| format!(" [{}]", delay.stamp));
            format!("{}: {body}{}", name(from), delay.unwrap_or_default())
        }
        Outgoing::Room(RoomStanza::Invited {
            from,
            inviter,
            reason,
            ..
        }) => {
            let reason = reason.as_ref().map(|reason| format!(": {reason}"));
            format!("{inviter} invites to {from}{}", reason.unwrap_or_default())
        }
        Outgoing::Room(RoomStanza::Declined { invitee, reason, .. }) => {
            format!("{invitee} declines: {reason}")
        }
        Outgoing::Room(RoomStanza::Subject { subject, .. }) => format!("subject: {subject}"),
        Outgoing::Room(RoomStanza::Private { from, body, .. }) => format!("{} whispers: {body}", full(from)),
        Outgoing::Room(RoomStanza::Refused {
            name: stanza,
            from,
            error,
            id,
            by,
            ..
        }) => {
            assert_eq!(*by, from.to_bare());
            let id = id.as_deref().unwrap_or("-");
            let address = error.new_address.as_ref().map(|address| format!(" {address}"));
            let condition = error.condition.as_str();
            format!(
                "{stanza} {id} to {}: {condition}{}",
                name(from),
                address.unwrap_or_default()
            )
        }
        Outgoing::IqResult { payload, id, .. } => {
            let payload = payload.as_ref().map(|payload| String::from(&payload.0));
            format!("result {id} {}", payload.unwrap_or_default())
        }
        other => panic!("not said by a room: {other:?}"),
    }
}
