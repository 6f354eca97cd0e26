//! RFC 7702 §5.8, and its converse: a stay ends, by either side or between them; both sides and all who wait are told.

use std::time::Instant;

use sip::{DialogId, EndCause, Reason, StatusCode};
use xmpp::{
    BareJid, FullJid,
    stanza::{
        Condition, Destroy, StanzaError,
        service::{OccupantPresence, RoomStanza},
    },
};

use super::{
    enter::error_of,
    presence::{SHOWN_THE_DOOR, occupant, own_absence, status},
    stay::{Phase, Stay, StayKey, Unanswered},
};
use crate::{Gateway, refusal::Refusal};

/// What the clients of a stay hear when it ends otherwise than by their leaving.
#[derive(Debug)]
pub(super) struct Farewell {
    /// For clients that were on their way in.
    error: StanzaError,
    /// For those that were in: status codes beside 110, and the reason.
    statuses: &'static [u16],
    reason: Option<String>,
    destroyed: bool,
}

impl Farewell {
    /// Something broke.
    pub(super) fn failed(error: StanzaError) -> Self {
        Self {
            reason: error.text.clone(),
            error,
            statuses: SHOWN_THE_DOOR,
            destroyed: false,
        }
    }

    /// The focus removed him.
    pub(super) fn removed(reason: Option<String>) -> Self {
        Self {
            error: StanzaError {
                text: reason.clone(),
                ..StanzaError::new(Condition::Forbidden)
            },
            statuses: &[status::REMOVED],
            reason,
            destroyed: false,
        }
    }

    /// The conference is over.
    pub(super) fn destroyed() -> Self {
        Self {
            error: StanzaError::new(Condition::Gone),
            statuses: &[],
            reason: None,
            destroyed: true,
        }
    }
}

impl Gateway {
    /// F31: one client leaves; with the last one the account does, whose reason goes along in the BYE.
    pub(super) fn client_leaves(
        &mut self,
        key: StayKey,
        client: &FullJid,
        words: Option<String>,
        now: Instant,
    ) {
        tracing::debug!(stay = key.0, at = ?now, "client leaves");
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        let gone = stay.clients.remove(client);
        if let Some((own, gone)) = occupant(&stay.room, &stay.nickname).zip(gone) {
            let from = if stay.phase == Phase::Joined {
                own
            } else {
                gone.asked
            };
            self.room(own_absence(&from, client, &[], None, None));
        }
        if self.stays.get(key).is_some_and(|stay| stay.clients.is_empty()) {
            let why = Reason {
                cause: StatusCode(200),
                text: words.unwrap_or_else(|| "Left The Conference".to_owned()),
            };
            self.end_stay(key, &Farewell::removed(None), &why);
        }
    }

    /// A stanza to a client came back. These say that he is gone for good (XEP-0045 §18.1.2).
    pub(super) fn client_bounced(
        &mut self,
        key: StayKey,
        client: &FullJid,
        condition: Condition,
        now: Instant,
    ) {
        let gone = matches!(
            condition,
            Condition::Gone
                | Condition::ItemNotFound
                | Condition::RecipientUnavailable
                | Condition::Redirect
                | Condition::RemoteServerNotFound
                | Condition::RemoteServerTimeout
                | Condition::ServiceUnavailable
        );
        if gone {
            tracing::info!(stay = key.0, ?condition, "a client is gone");
            self.client_leaves(key, client, Some("Connection Lost".to_owned()), now);
        }
    }

    /// The SIP side is over already.
    pub(crate) fn conference_ended(&mut self, dialog: DialogId, cause: EndCause) {
        let Some(key) = self.stays.of_dialog(dialog) else {
            return;
        };
        tracing::info!(stay = key.0, ?cause, "the conference ended the call");
        let farewell = match cause {
            EndCause::Bye(reason) => Farewell::removed(reason.map(|reason| reason.text)),
            EndCause::Gone | EndCause::NoAck | EndCause::ByUs => Farewell::failed(StanzaError {
                text: Some("Call To The Conference Lost".to_owned()),
                ..StanzaError::new(Condition::RemoteServerTimeout)
            }),
        };
        self.stay_over(key, &farewell);
    }

    /// The gateway or the user ends a stay: F32.
    pub(super) fn end_stay(&mut self, key: StayKey, farewell: &Farewell, why: &Reason) {
        if let Some(stay) = self.stays.get(key) {
            let dialog = stay.dialog;
            self.stay_over(key, farewell);
            self.sip(sip::Command::Bye {
                dialog,
                reason: Some(why.clone()),
            });
        }
    }

    /// Every stay is ended.
    pub(crate) fn stop_stays(&mut self) {
        let farewell = Farewell::failed(error_of(&Refusal::Stopping));
        for key in self.stays.keys() {
            self.end_stay(key, &farewell, &Refusal::Stopping.reason());
        }
    }

    /// A stay ends on the XMPP side, and all that belongs to it.
    pub(super) fn stay_over(&mut self, key: StayKey, farewell: &Farewell) {
        let Some(mut stay) = self.stays.remove(key) else {
            return;
        };
        for timer in [stay.timer, stay.naming_timer, stay.subscribe_timer]
            .into_iter()
            .flatten()
        {
            self.timers.cancel(timer);
        }
        if let Some(referral) = stay.referral {
            self.referral_failed(referral, &farewell.error);
        }
        let invitations = self.stays.take_invitations(key);
        for subscription in stay.subscription.into_iter().chain(invitations) {
            self.sip(sip::Command::Unsubscribe { subscription });
        }
        if let Some(connection) = stay.media.connection {
            self.msrp(connection, msrp::Command::Unbind(stay.media.session.clone()));
            self.msrp(connection, msrp::Command::Close);
        }
        self.refuse_unanswered(&stay.room, std::mem::take(&mut stay.unanswered).into_values());
        for client in stay.clients.keys() {
            if let Some(stanza) = last_words(&stay, client, farewell) {
                self.room(stanza);
            }
        }
        tracing::debug!(stay = key.0, "stay closed");
    }

    /// What the switch has not taken by now, it does not take.
    pub(super) fn refuse_unanswered(&mut self, room: &BareJid, messages: impl Iterator<Item = Unanswered>) {
        for message in messages {
            self.room(RoomStanza::Refused {
                name: "message",
                from: message.to,
                to: message.from.into(),
                id: message.id,
                by: room.clone(),
                error: error_of(&Refusal::NotInRoom),
            });
        }
    }
}

/// F34, or the refusal of one who was on his way in.
fn last_words(stay: &Stay, client: &FullJid, farewell: &Farewell) -> Option<RoomStanza> {
    let known = stay.clients.get(client)?;
    if stay.phase != Phase::Joined {
        return Some(RoomStanza::Refused {
            name: "presence",
            from: known.asked.clone().into(),
            to: client.clone().into(),
            id: known.id.clone(),
            by: stay.room.clone(),
            error: farewell.error.clone(),
        });
    }
    let own = occupant(&stay.room, &stay.nickname)?;
    let reason = farewell.reason.clone();
    let mut absence = own_absence(&own, client, farewell.statuses, reason, None);
    if let (true, RoomStanza::Presence(presence)) = (farewell.destroyed, &mut absence) {
        let OccupantPresence { destroy, .. } = &mut **presence;
        *destroy = Some(Destroy::default());
    }
    Some(absence)
}
