//! Occupants whose gateway is gone: a room keeps them until they leave.

use xmpp::{BareJid, FullJid, Jid, stanza::Outgoing};

use crate::{Command, Gateway};

/// The nickname in the leave of somebody whose own is not known: a room knows its occupants by their addresses.
const GHOST: &str = "ghost";

/// One of our occupants in a room, as far as a gateway that starts after a crash has to know him.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Occupancy {
    /// His address, not his nickname.
    pub occupant: FullJid,
    /// The room.
    pub room: BareJid,
}

impl Gateway {
    /// What a former gateway was told to [remember](Command::Remember) and never to [forget](Command::Forget): these occupants leave
    /// their rooms as soon as their links are up, before anybody can enter. At most
    /// [`Limits::sessions`](crate::Limits::sessions) of them; further ones leave when their room next has anything for them.
    pub fn handle_left_behind(&mut self, left_behind: impl IntoIterator<Item = Occupancy>) {
        for Occupancy { occupant, room } in left_behind {
            if self.link_of(occupant.domain()).is_none() {
                tracing::warn!(%occupant, %room, "left behind in a room under a domain that is no component any more");
                self.command(Command::Forget(Occupancy { occupant, room }));
            } else if let Some(leave) = leave(occupant, &room) {
                self.owe(leave, xmpp::Unsent::LinkDown);
            }
        }
    }

    /// A room speaks to an occupant who is none: he was left behind when the gateway died, or is leaving at this moment.
    pub(crate) fn dismiss_ghost(&mut self, from: &Jid, ghost: &Jid) {
        let ours = self
            .config
            .rooms
            .iter()
            .any(|domain| domain.muc == from.domain().as_str());
        let Ok(ghost) = ghost.try_as_full() else {
            return;
        };
        if ours && let Some(leave) = leave(ghost.clone(), &from.to_bare()) {
            tracing::debug!(room = %from.to_bare(), "ghost dismissed");
            self.xmpp(leave);
        }
    }

    /// He is about to enter.
    pub(super) fn remember(&mut self, occupant: &FullJid, room: &BareJid) {
        self.command(Command::Remember(Occupancy {
            occupant: occupant.clone(),
            room: room.clone(),
        }));
    }

    /// He is out of the room, unless he cannot say so now: then not before the link is back and he has. Nor if he has come back meanwhile.
    pub(super) fn forget(&mut self, occupant: &FullJid, room: &BareJid, is_out: bool) {
        let is_out = is_out || self.is_up(occupant.domain());
        if is_out && self.sessions.of_occupant(room, occupant).is_none() {
            self.command(Command::Forget(Occupancy {
                occupant: occupant.clone(),
                room: room.clone(),
            }));
        }
    }
}

fn leave(occupant: FullJid, room: &BareJid) -> Option<Outgoing> {
    let to = room.with_resource_str(GHOST).ok()?;
    Some(Outgoing::Leave {
        from: occupant,
        to,
        status: None,
    })
}
