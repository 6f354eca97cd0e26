//! RFC 7702 §6.6: a stay ends, by either side or between them; both sides and all who wait are told.

use std::time::Instant;

use sip::{DialogId, EndCause, SubscriptionState};
use xmpp::{BareJid, stanza::Outgoing};

use crate::{
    Gateway,
    refusal::Refusal,
    session::{Media, Phase, Session, SessionKey},
};

impl Gateway {
    /// F59: the SIP side is over already (BYE, CANCEL, or the call died); `status` is what the user says to the room with it.
    pub(crate) fn dialog_over(
        &mut self,
        dialog: DialogId,
        why: &'static str,
        status: Option<String>,
        now: Instant,
    ) {
        let Some(key) = self.sessions.of_dialog(dialog) else {
            return self.call_refused(dialog, sip::StatusCode(480), "", now);
        };
        tracing::info!(session = key.0, why, "call over");
        self.settle_requests(key, &Refusal::NotInRoom);
        if let Some(session) = self.sessions.remove(key) {
            self.close(key, session, None, status, now);
        }
    }

    /// The gateway or the room ends a stay: a pending INVITE is refused, an answered one gets a BYE with the reason.
    pub(crate) fn end(&mut self, key: SessionKey, why: &Refusal, now: Instant) {
        self.settle_requests(key, why);
        let Some(mut session) = self.sessions.remove(key) else {
            return;
        };
        tracing::info!(session = key.0, room = %session.room, ?why, "session ended");
        let pending = match &mut session.phase {
            Phase::Entering { answer, .. } => answer.take(),
            Phase::Naming { .. } | Phase::Joined | Phase::Out { .. } => None,
        };
        let dialog = session.dialog;
        // The last NOTIFY of a subscription within the dialog goes before its BYE.
        self.close(key, session, Some(why), Some(why.reason().text), now);
        match pending {
            Some(pending) => self.refuse(pending.due, why),
            None => self.sip(sip::Command::Bye {
                dialog,
                reason: Some(why.reason()),
            }),
        }
    }

    /// Answers what the session's user still waits for in MSRP.
    fn settle_requests(&mut self, key: SessionKey, why: &Refusal) {
        if let Some(session) = self.sessions.get_mut(key) {
            let held = std::mem::take(&mut session.held);
            session
                .unreflected
                .extend(held.into_iter().map(|held| (held.id, held.waiting)));
        }
        self.settle_sent(key, why);
    }

    /// The same for what has been sent to the room; what is held for it goes on waiting.
    pub(super) fn settle_sent(&mut self, key: SessionKey, why: &Refusal) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let unreflected = std::mem::take(&mut session.unreflected);
        let connection = match session.media {
            Media::Bound(connection) => Some(connection),
            Media::Awaited { .. } => None,
        };
        for message in unreflected.into_values() {
            self.timers.cancel(message.timer);
            // A session that moves to another connection takes no answers with it.
            if let Some(connection) = connection {
                self.answer(connection, message.due, why.msrp());
            }
        }
        self.settle_renaming(key, why.msrp());
    }

    /// What is left of a session that has been taken out of the tables; `status` is shown to the room.
    fn close(
        &mut self,
        key: SessionKey,
        session: Session,
        why: Option<&Refusal>,
        status: Option<String>,
        now: Instant,
    ) {
        for subscription in &session.subscriptions {
            self.subscriptions.remove(subscription);
            if let Some(room) = self.rooms.get_mut(&session.room) {
                room.subscribers.remove(subscription);
            }
            self.sip(sip::Command::Notify {
                subscription: *subscription,
                state: SubscriptionState::Terminated("noresource".to_owned()),
                body: None,
            });
        }
        self.refuse_early(session.msrp.clone(), session.early);
        match session.media {
            Media::Bound(connection) => {
                self.msrp(connection, msrp::Command::Unbind(session.msrp));
                if self.sessions.of_connection(connection).is_empty() {
                    self.msrp(connection, msrp::Command::Close);
                }
            }
            Media::Awaited {
                timer: Some(timer), ..
            } => self.timers.cancel(timer),
            Media::Awaited { timer: None, .. } => {}
        }
        // A room that takes somebody back no more may still hold the occupant he was before.
        let entering = matches!(session.phase, Phase::Entering { .. });
        let naming = matches!(session.phase, Phase::Naming { .. });
        match session.phase {
            Phase::Entering { timer, .. }
            | Phase::Naming { timer }
            | Phase::Out {
                timer: Some(timer), ..
            } => self.timers.cancel(timer),
            Phase::Joined | Phase::Out { timer: None, .. } => {}
        }
        for timer in [
            session.held_timer,
            session.self_ping.timer,
            session.typing.and_then(|typing| typing.timer()),
        ]
        .into_iter()
        .flatten()
        {
            self.timers.cancel(timer);
        }
        for sender in session.private_in.into_values() {
            self.bounce_private(sender, msrp::Status::CONNECTION_LOST);
        }
        if session.shares_since.is_some() {
            self.unshare(session.room.clone(), session.who.jid.clone());
        }
        // F60. Not to a room that has said itself that he is out.
        let by_room = match why {
            Some(Refusal::Removed { .. }) => true,
            Some(Refusal::Room(..) | Refusal::Moved { .. }) => entering,
            _ => naming,
        };
        if let (Some(invitation), Some(why)) = (&session.inviter, why) {
            self.tell_inviter(invitation, why.xmpp().1, now);
        }
        if let Ok(to) = session.room.with_resource_str(&session.nickname)
            && !by_room
        {
            self.xmpp(Outgoing::Leave {
                from: session.who.jid.clone(),
                to,
                status,
            });
        }
        self.forget(&session.who.jid, &session.room, by_room);
        tracing::debug!(session = key.0, "session closed");
        if self.sessions.in_room(&session.room).next().is_none() {
            if let Some(timer) = self
                .rooms
                .remove(&session.room)
                .and_then(|room| room.notify_timer)
            {
                self.timers.cancel(timer);
            }
        } else {
            self.keep_catching_up(&session.room, session.who.jid.domain().as_str(), now);
            self.keep_watched(&session.room);
            self.relisted(&session.room, now);
        }
    }

    /// Who is left may all be on their way in: then nobody was told who went with the last one, and the next listing says it.
    fn keep_watched(&mut self, room: &BareJid) {
        let watched = self
            .sessions
            .in_room(room)
            .any(|(_, session)| matches!(session.phase, Phase::Joined));
        if let Some(room) = self.rooms.get_mut(room)
            && !watched
        {
            room.roster.begin_relisting();
        }
    }
}

/// RFC 3326 §2: what the user says with his BYE, if anything, is what an XMPP user says when he leaves (XEP-0045 §7.14).
pub(crate) fn last_words(cause: EndCause) -> Option<String> {
    let EndCause::Bye(Some(reason)) = cause else {
        return None;
    };
    Some(reason.text).filter(|text| !text.trim().is_empty())
}
