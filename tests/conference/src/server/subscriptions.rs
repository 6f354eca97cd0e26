//! Who watches a room's roster, and when he is told what (RFC 4575).

use std::time::Instant;

use sip::{AnswerDue, Body, DialogId, Incoming, SubscriptionEnd, SubscriptionId, SubscriptionState};

use super::Server;
use crate::{document::CONTENT_TYPE, event::Event};

impl Server {
    pub(super) fn subscribing(
        &mut self,
        subscription: SubscriptionId,
        dialog: Option<DialogId>,
        request: &Incoming,
        due: AnswerDue,
        now: Instant,
    ) {
        let name = self.room_name(request);
        let uri = request.from.uri.address_of_record();
        match self.watched_room(name.as_deref(), dialog, request) {
            Ok(name) => {
                let contact = self.contact(&name);
                self.sip(sip::Command::AcceptSubscription { due, contact }, now);
                if let Some(room) = self.rooms.get_mut(&name) {
                    room.subscribe(subscription);
                }
                self.tell(Event::Subscribed {
                    room: name.clone(),
                    uri: uri.to_string(),
                });
                self.subscriptions.insert(subscription, (name, uri));
                self.notify_full(subscription, now);
            }
            Err(code) => {
                self.refuse(due, code, Vec::new(), now);
                self.tell(Event::SubscriptionRefused {
                    room: name.unwrap_or_default(),
                    uri: uri.to_string(),
                    code,
                });
            }
        }
    }

    /// The room that a subscription is for, if it is granted.
    fn watched_room(
        &self,
        name: Option<&str>,
        dialog: Option<DialogId>,
        request: &Incoming,
    ) -> Result<String, u16> {
        let quirks = &self.options.quirks;
        if let Some(code) = quirks.no_subscription {
            return Err(code);
        }
        if quirks.own_dialogs_only && dialog.is_some() {
            return Err(500);
        }
        // In the dialog of an INVITE both addresses may be Contacts.
        let seated = dialog.and_then(|dialog| self.by_dialog.get(&dialog));
        let name = name
            .or_else(|| seated.map(|(name, _)| name.as_str()))
            .ok_or(404_u16)?;
        let room = self
            .rooms
            .get(name)
            .ok_or(if quirks.subscribe_when_bound { 480_u16 } else { 404 })?;
        let uri = request.from.uri.address_of_record();
        if !room.has(&uri) {
            return Err(403);
        }
        let is_bound = room
            .participants
            .values()
            .filter(|participant| participant.uri == uri)
            .any(|participant| participant.is_bound());
        if quirks.subscribe_when_bound && !is_bound {
            return Err(480);
        }
        Ok(name.to_owned())
    }

    pub(super) fn notify_full(&mut self, subscription: SubscriptionId, now: Instant) {
        let Some(room) = self
            .subscriptions
            .get(&subscription)
            .and_then(|(name, _)| self.rooms.get_mut(name))
        else {
            return;
        };
        let document = room.full_document(
            subscription,
            &self.options.rooms,
            self.options.quirks.escaped_uris,
        );
        self.notify(subscription, SubscriptionState::Active, document, now);
    }

    pub(super) fn notify_due(&mut self, now: Instant) {
        let due = self
            .rooms
            .iter()
            .filter(|(_, room)| room.notify_at.is_some_and(|at| at <= now));
        let due: Vec<String> = due.map(|(name, _)| name.clone()).collect();
        for name in due {
            let documents = match self.rooms.get_mut(&name) {
                Some(room) => room.changes(&self.options.rooms, self.options.quirks.escaped_uris),
                None => Vec::new(),
            };
            for (subscription, document) in documents {
                self.notify(subscription, SubscriptionState::Active, Some(document), now);
            }
        }
    }

    pub(super) fn subscription_ended(
        &mut self,
        subscription: SubscriptionId,
        cause: SubscriptionEnd,
        now: Instant,
    ) {
        let Some((name, _)) = self.subscriptions.remove(&subscription) else {
            return self.referral_ended(subscription, cause, now);
        };
        if let Some(room) = self.rooms.get_mut(&name) {
            room.unsubscribe(subscription);
        }
        self.tell(Event::Unsubscribed { room: name });
        match cause {
            SubscriptionEnd::Expired | SubscriptionEnd::Unsubscribed => {
                let state = SubscriptionState::Terminated("timeout".to_owned());
                self.notify(subscription, state, None, now);
            }
            SubscriptionEnd::NotifyFailed | SubscriptionEnd::DialogEnded => {}
        }
    }

    /// Somebody has left: who is no participant does not watch either. A room without participants is no more.
    pub(super) fn forget_watchers(&mut self, name: &str, now: Instant) {
        let Some(room) = self.rooms.get(name) else {
            return;
        };
        let watchers = self
            .subscriptions
            .iter()
            .filter(|(_, (watched, _))| watched == name);
        let over: Vec<SubscriptionId> = watchers
            .filter(|(_, (_, uri))| !room.has(uri))
            .map(|(subscription, _)| *subscription)
            .collect();
        if room.is_empty() {
            self.rooms.remove(name);
        }
        for subscription in over {
            self.subscriptions.remove(&subscription);
            if let Some(room) = self.rooms.get_mut(name) {
                room.unsubscribe(subscription);
            }
            let state = SubscriptionState::Terminated("noresource".to_owned());
            self.notify(subscription, state, None, now);
        }
    }

    fn notify(
        &mut self,
        subscription: SubscriptionId,
        state: SubscriptionState,
        document: Option<Vec<u8>>,
        now: Instant,
    ) {
        let body = document.map(|document| Body {
            content_type: CONTENT_TYPE.to_owned(),
            bytes: document.into(),
        });
        let command = sip::Command::Notify {
            subscription,
            state,
            body,
        };
        self.sip(command, now);
    }
}
