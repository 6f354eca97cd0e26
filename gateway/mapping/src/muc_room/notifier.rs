//! The conference event package (RFC 4575): who subscribed, and when he is told what (RFC 7702 §6.1 and §6.2).

use std::time::Instant;

use sip::{AnswerDue, Body, DialogId, Incoming, SubscriptionEnd, SubscriptionId, SubscriptionState};
use xmpp::BareJid;

use crate::{
    Gateway,
    offer::media_type,
    refusal::Refusal,
    session::{Phase, SessionKey},
    timers::Timer,
};

impl Gateway {
    /// F38. Only participants may watch a room.
    pub(crate) fn subscribing(
        &mut self,
        subscription: SubscriptionId,
        dialog: Option<DialogId>,
        request: &Incoming,
        due: AnswerDue,
        now: Instant,
    ) {
        let key = match wants_conference_documents(request).and_then(|()| self.participant(dialog, request)) {
            Ok(key) => key,
            Err(refusal) => return self.refuse(due, &refusal),
        };
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        session.subscriptions.push(subscription);
        let room = session.room.clone();
        let contact = self.contact(&room);
        self.subscriptions.insert(subscription, key);
        if let Some(room) = self.rooms.get_mut(&room) {
            room.subscribers.insert(subscription, 0);
        }
        self.sip(sip::Command::AcceptSubscription { due, contact });
        self.notify_full(subscription);
        tracing::debug!(session = key.0, at = ?now, "subscribed");
    }

    /// The whole room to one subscriber. Before the room has listed itself there is nothing true to say: the NOTIFY that RFC 6665
    /// §4.2.1.2 wants at once then has no body.
    pub(crate) fn notify_full(&mut self, subscription: SubscriptionId) {
        let Some(session) = self
            .subscriptions
            .get(&subscription)
            .and_then(|key| self.sessions.get(*key))
        else {
            return;
        };
        let listed = !matches!(session.phase, Phase::Naming { .. } | Phase::Entering { .. });
        let Some(room) = self.rooms.get_mut(&session.room) else {
            return;
        };
        let Some(version) = room.subscribers.get_mut(&subscription) else {
            return;
        };
        let body = listed.then(|| {
            let document = room.roster.full(&room.address).render().with_version(*version);
            *version += 1;
            conference_body(document)
        });
        self.sip(sip::Command::Notify {
            subscription,
            state: SubscriptionState::Active,
            body,
        });
    }

    /// The roster or subject changed: told at once after a quiet spell, else with what else changes until the interval is over.
    pub(super) fn room_changed(&mut self, room: &BareJid, now: Instant) {
        let Some(state) = self.rooms.get_mut(room) else {
            return;
        };
        if state.subscribers.is_empty() {
            return state.roster.discard_changes();
        }
        match state.quiet_until {
            Some(until) if until > now => {
                if state.notify_timer.is_none() {
                    state.notify_timer = Some(self.timers.start(until, Timer::Notify(room.clone())));
                }
            }
            _ => self.notify_changes(room, now),
        }
    }

    pub(crate) fn notify_due(&mut self, room: &BareJid, now: Instant) {
        if let Some(state) = self.rooms.get_mut(room) {
            state.notify_timer = None;
        }
        self.notify_changes(room, now);
    }

    /// One document for all; only its version differs.
    fn notify_changes(&mut self, room: &BareJid, now: Instant) {
        let Some(state) = self.rooms.get_mut(room) else {
            return;
        };
        let Some(document) = state.roster.take_changes(&state.address) else {
            return;
        };
        state.quiet_until = Some(now + self.config.limits.notify);
        let rendered = document.render();
        let mut notifications = Vec::with_capacity(state.subscribers.len());
        for (subscription, version) in &mut state.subscribers {
            // Version 0 means that his first full document is still to come, with this in it.
            if *version > 0 {
                notifications.push((*subscription, rendered.with_version(*version)));
                *version += 1;
            }
        }
        for (subscription, document) in notifications {
            let body = Some(conference_body(document));
            self.sip(sip::Command::Notify {
                subscription,
                state: SubscriptionState::Active,
                body,
            });
        }
    }

    pub(crate) fn subscription_ended(&mut self, subscription: SubscriptionId, cause: SubscriptionEnd) {
        let Some(key) = self.subscriptions.remove(&subscription) else {
            return;
        };
        self.forget_subscription(key, subscription);
        if matches!(cause, SubscriptionEnd::Expired | SubscriptionEnd::Unsubscribed) {
            self.sip(sip::Command::Notify {
                subscription,
                state: SubscriptionState::Terminated("timeout".to_owned()),
                body: None,
            });
        }
    }

    fn forget_subscription(&mut self, key: SessionKey, subscription: SubscriptionId) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        session.subscriptions.retain(|id| *id != subscription);
        if let Some(room) = self.rooms.get_mut(&session.room) {
            room.subscribers.remove(&subscription);
        }
    }
}

fn conference_body(bytes: bytes::Bytes) -> Body {
    Body {
        content_type: sip::conference::CONTENT_TYPE.to_owned(),
        bytes,
    }
}

fn wants_conference_documents(request: &Incoming) -> Result<(), Refusal> {
    let event = request.headers.get("Event").map(media_type).unwrap_or_default();
    if event != "conference" {
        return Err(Refusal::EventPackage);
    }
    // RFC 4575 §3.3: without Accept, conference-info is what is taken.
    let mut accept = request.headers.list("Accept").peekable();
    let takes = accept.peek().is_none()
        || accept.any(|kind| {
            let kind = media_type(kind);
            kind.eq_ignore_ascii_case(sip::conference::CONTENT_TYPE)
                || matches!(kind, "*/*" | "application/*")
        });
    if takes { Ok(()) } else { Err(Refusal::DocumentType) }
}
