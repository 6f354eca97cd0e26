//! A SIP moderator removes an occupant: REFER with `method=BYE` (RFC 4579 §5.11). The room decides whether he may.

use std::time::Instant;

use sip::{AnswerDue, Uri};
use xmpp::{
    BareJid,
    stanza::{IqKind, Outgoing},
};

use crate::{
    Gateway,
    refusal::Refusal,
    session::{Phase, SessionKey},
    timers::{Timer, TimerId},
};

/// A REFER that waits for the room.
#[derive(Debug)]
pub(crate) struct Removing {
    due: AnswerDue,
    room: BareJid,
    timer: TimerId,
}

impl Gateway {
    /// The REFER is answered when the room has said yes or no.
    pub(super) fn remove(&mut self, key: SessionKey, who: &Uri, due: AnswerDue, now: Instant) {
        let (room, nickname) = match self.removable(key, who) {
            Ok(found) => found,
            Err(refusal) => return self.refuse(due, &refusal),
        };
        let id = self.fresh_id();
        let Some(from) = self.sessions.get(key).map(|session| session.who.jid.clone()) else {
            return;
        };
        let timer = self
            .timers
            .start(now + self.config.limits.nickname, Timer::Removal(id.clone()));
        let waiting = Removing {
            due,
            room: room.clone(),
            timer,
        };
        self.removals.insert(id.clone(), waiting);
        self.xmpp(Outgoing::Kick {
            from,
            room,
            id,
            nickname,
        });
    }

    /// The occupant that a URI names: by his nickname in the room, or by the address of record of a SIP user there.
    fn removable(&self, key: SessionKey, who: &Uri) -> Result<(BareJid, String), Refusal> {
        let session = self.sessions.get(key).ok_or(Refusal::NotParticipant)?;
        if !matches!(session.phase, Phase::Joined) {
            return Err(Refusal::NotInRoom);
        }
        if self.removals.len() >= self.config.limits.calls {
            return Err(Refusal::Limit("calls"));
        }
        let room = self.rooms.get(&session.room).ok_or(Refusal::NotInRoom)?;
        let nickname = match room.address.addressee(who) {
            Some(nickname) => nickname,
            None => self
                .sessions
                .of_known_user(&session.room, &who.address_of_record())
                .next()
                .and_then(|key| self.sessions.get(key))
                .map(|session| session.nickname.clone()),
        };
        nickname
            .filter(|nickname| room.roster.has(nickname))
            .map(|nickname| (session.room.clone(), nickname))
            .ok_or(Refusal::NoSuchUser)
    }

    /// An answer of a room to a request of ours.
    pub(crate) fn removal_answered(&mut self, from: &BareJid, id: &str, kind: IqKind) {
        let ours = self
            .removals
            .get(id)
            .is_some_and(|removing| removing.room == *from);
        let Some(removing) = self.removals.remove(id).filter(|_| ours) else {
            if let IqKind::Error(error) = kind {
                // A new room stays locked then, or a ping came too late.
                tracing::info!(room = %from, condition = ?error.condition, "the room refuses a request");
            }
            return;
        };
        self.timers.cancel(removing.timer);
        match kind {
            IqKind::Error(error) => {
                let refusal = self.refusal_of(error);
                self.refuse(removing.due, &refusal);
            }
            IqKind::Result(_) | IqKind::Get(_) | IqKind::Set(_) => {
                let contact = self.contact(&removing.room);
                self.sip(sip::Command::AcceptRefer {
                    due: removing.due,
                    contact,
                });
            }
        }
    }

    /// The gateway stops.
    pub(crate) fn give_up_removals(&mut self) {
        while let Some((_, removing)) = self.removals.pop_first() {
            self.timers.cancel(removing.timer);
            self.refuse(removing.due, &Refusal::Stopping);
        }
    }

    pub(crate) fn removal_not_answered(&mut self, id: &str) {
        if let Some(removing) = self.removals.remove(id) {
            self.refuse(removing.due, &Refusal::RoomSilent);
        }
    }
}
