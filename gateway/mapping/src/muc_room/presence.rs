//! RFC 7702 §6.2: the room's presence broadcast becomes the roster.

use std::time::Instant;

use xmpp::{
    BareJid, Jid,
    stanza::{Condition, Destroy, MucItem, MucUser, Outgoing, Presence, PresenceKind, StanzaError},
};

use crate::{
    CreationRule, Gateway,
    refusal::Refusal,
    roster::{Departure, Occupant},
    session::{Phase, SessionKey},
};

/// Status codes of XEP-0045 §15.6.
mod status {
    pub(super) const SELF: u16 = 110;
    pub(super) const CREATED: u16 = 201;
    pub(super) const BANNED: u16 = 301;
    pub(super) const RENAMED: u16 = 303;
    pub(super) const KICKED: u16 = 307;
    pub(super) const AFFILIATION_LOST: u16 = 321;
    pub(super) const MEMBERS_ONLY: u16 = 322;
    pub(super) const SHUTDOWN: u16 = 332;
    pub(super) const TECHNICAL: u16 = 333;
}

impl Gateway {
    /// Presence for one of our occupants, from his room. Presence between two users is not offered.
    pub(crate) fn presence(&mut self, presence: Presence, now: Instant) {
        if presence.kind == PresenceKind::Other("subscribe".to_owned()) {
            return self.xmpp(Outgoing::Error {
                name: "presence",
                from: presence.to,
                to: presence.from,
                id: presence.id,
                condition: Condition::FeatureNotImplemented,
                text: Some("Only rooms see whether this user is there".to_owned()),
            });
        }
        let room = presence.from.to_bare();
        let Ok(to) = presence.to.try_as_full() else { return };
        let Some(key) = self.sessions.of_occupant(&room, to) else {
            if presence.kind == PresenceKind::Available {
                self.dismiss_ghost(&presence.from, &presence.to);
            }
            return;
        };
        match presence.kind {
            PresenceKind::Available => {
                if let (Some(muc), Some(nickname)) = (presence.muc, nickname_of(&presence.from)) {
                    self.present(key, &room, &nickname, &muc, presence.nick, now);
                }
            }
            PresenceKind::Unavailable => {
                if let Some(nickname) = nickname_of(&presence.from) {
                    let muc = presence.muc.unwrap_or_default();
                    self.absent(key, &room, &nickname, &muc, now);
                }
            }
            PresenceKind::Error(error) => self.presence_error(key, presence.id.as_deref(), error, now),
            PresenceKind::Other(_) => {}
        }
    }

    fn present(
        &mut self,
        key: SessionKey,
        room: &BareJid,
        nickname: &str,
        muc: &MucUser,
        display_name: Option<String>,
        now: Instant,
    ) {
        let role = muc.items.iter().find_map(|item| item.role.clone());
        let occupant = Occupant {
            display_name,
            role: role.unwrap_or_else(|| "participant".to_owned()),
        };
        let news = self
            .rooms
            .get_mut(room)
            .is_some_and(|room| room.roster.enter(nickname, occupant));
        if muc.has(status::SELF) {
            if muc.has(status::CREATED) {
                match self.config.creation {
                    CreationRule::AcceptDefault => self.unlock(key),
                    // A locked room goes when its only occupant leaves (XEP-0045 §10.1.4).
                    CreationRule::Refuse => return self.end(key, &Refusal::RoomCreation, now),
                }
            }
            self.self_present(key, nickname, now);
        }
        if news {
            self.room_changed(room, now);
        }
    }

    /// The room did not exist and is locked until its owner accepts a configuration (XEP-0045 §10.1): the default one is.
    fn unlock(&mut self, key: SessionKey) {
        let id = self.fresh_id();
        if let Some(session) = self.sessions.get(key) {
            let unlock = Outgoing::AcceptDefaultConfiguration {
                from: session.who.jid.clone(),
                to: session.room.clone(),
                id,
            };
            self.xmpp(unlock);
        }
    }

    /// The user's own presence: he is in, he is back, or he has another nickname.
    fn self_present(&mut self, key: SessionKey, nickname: &str, now: Instant) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        match session.phase {
            Phase::Entering { .. } => self.admitted(key, nickname, now),
            Phase::Out { .. } => self.back(key, nickname, now),
            Phase::Naming { .. } => {}
            Phase::Joined => {
                let asked = session.renaming.as_ref();
                let expected =
                    session.nickname == nickname || asked.is_some_and(|asked| asked.nickname == nickname);
                nickname.clone_into(&mut session.nickname);
                self.renamed(key, nickname);
                if !expected {
                    self.tell_nickname(key, now);
                }
            }
        }
    }

    fn absent(&mut self, key: SessionKey, room: &BareJid, nickname: &str, muc: &MucUser, now: Instant) {
        let item = muc.items.first();
        if let Some(new) = item
            .and_then(|item| item.nick.as_deref())
            .filter(|_| muc.has(status::RENAMED))
        {
            let news = self
                .rooms
                .get_mut(room)
                .is_some_and(|room| room.roster.rename(nickname, new));
            if news {
                self.room_changed(room, now);
            }
            return;
        }
        // A room that goes away with its server is not left: its occupants are to come back.
        let away = muc.has(status::SHUTDOWN) || muc.has(status::TECHNICAL);
        let own = self
            .sessions
            .get(key)
            .is_some_and(|session| session.nickname == nickname);
        let of_us = own && (muc.has(status::SELF) || item.is_none_or(leaves) || muc.destroy.is_some());
        if of_us && away {
            return self.fell_out(key, now);
        }
        let removal = removal(muc, item);
        let departure = match &removal {
            Some((_, reason)) => Departure::Booted(reason.clone()),
            None => Departure::Departed,
        };
        let news = self
            .rooms
            .get_mut(room)
            .is_some_and(|room| room.roster.leave(nickname, departure));
        if of_us {
            let (what, reason) = removal.unwrap_or(("Left The Room", None));
            let text = reason.map_or_else(|| what.to_owned(), |reason| format!("{what}: {reason}"));
            self.end(
                key,
                &Refusal::Removed {
                    gone: muc.destroy.is_some(),
                    text,
                },
                now,
            );
        }
        if news {
            self.room_changed(room, now);
        }
    }

    /// An error is about the request whose id it carries.
    fn presence_error(&mut self, key: SessionKey, id: Option<&str>, error: StanzaError, now: Instant) {
        let Some(session) = self.sessions.get(key) else {
            return;
        };
        let renaming = session
            .renaming
            .as_ref()
            .is_some_and(|renaming| Some(renaming.id.as_str()) == id);
        match &session.phase {
            Phase::Entering { id: asked, .. } if Some(asked.as_str()) == id => {
                self.entrance_refused(key, error, now);
            }
            _ if renaming => self.rename_refused(key, error.condition),
            Phase::Out { asked, .. } if asked.is_some() && asked.as_deref() == id => {
                self.reentry_refused(key, error, now);
            }
            _ => tracing::debug!(session = key.0, condition = ?error.condition, "stray presence error"),
        }
    }
}

fn nickname_of(from: &Jid) -> Option<String> {
    from.resource().map(|resource| resource.as_str().to_owned())
}

fn leaves(item: &MucItem) -> bool {
    item.role.as_deref().is_none_or(|role| role == "none")
}

/// Whether somebody was removed: what to call it, and the reason given.
fn removal(muc: &MucUser, item: Option<&MucItem>) -> Option<(&'static str, Option<String>)> {
    let reason = || item.and_then(|item| item.reason.clone());
    if let Some(Destroy { reason, .. }) = &muc.destroy {
        return Some(("The Room Was Closed", reason.clone()));
    }
    let what = if muc.has(status::BANNED) {
        "Banned From The Room"
    } else if muc.has(status::KICKED) {
        "Removed From The Room"
    } else if muc.has(status::AFFILIATION_LOST) || muc.has(status::MEMBERS_ONLY) {
        "The Room Is For Members Only"
    } else {
        return None;
    };
    Some((what, reason()))
}
