//! The notifier: the conference package (RFC 4575).

use std::{collections::BTreeMap, time::Instant};

use bytes::Bytes;
use sip::{Contact, DialogId, SubscriptionId, SubscriptionState};

use super::{super::document, DOMAIN, Focus, Habit, Subscriber, local_uri, room_of};

impl Focus {
    pub(super) fn subscribing(
        &mut self,
        subscription: SubscriptionId,
        dialog: Option<DialogId>,
        request: &sip::Incoming,
        due: sip::AnswerDue,
        now: Instant,
    ) {
        let from = request.from.uri.address_of_record().to_string();
        let room = room_of(&request.uri).or_else(|| room_of(&request.to.uri));
        let leg = self
            .legs
            .iter()
            .find(|leg| Some(leg.room) == room && leg.aor == from);
        let status = match (room, leg) {
            // Deployed servers take subscriptions in a dialog of their own alone.
            _ if dialog.is_some() => 500,
            (None, _) => 404,
            _ if self.has(Habit::NoSubscription) => 489,
            (_, None) => 403,
            (_, Some(leg)) if self.has(Habit::LateSubscription) && leg.stream.is_none() => 480,
            (Some(room), Some(_)) => {
                self.subscribers.insert(
                    subscription,
                    Subscriber {
                        room,
                        version: u32::try_from(self.dice.below(50)).unwrap_or(0),
                        told: BTreeMap::new(),
                        subject: String::new(),
                    },
                );
                let contact = Contact::default();
                self.command(sip::Command::AcceptSubscription { due, contact }, now);
                return self.notify(subscription, true, now);
            }
        };
        self.refuse(due, status, now);
    }

    pub(super) fn changed(&mut self, room: usize, now: Instant) {
        let of_room = self.subscribers.iter().filter(|(_, it)| it.room == room);
        let of_room: Vec<_> = of_room.map(|(id, _)| *id).collect();
        for subscription in of_room {
            self.notify(subscription, false, now);
        }
    }

    pub(super) fn notify(&mut self, subscription: SubscriptionId, full: bool, now: Instant) {
        let full = full || self.has(Habit::FullOnly);
        let Some(room) = self.subscribers.get(&subscription).map(|it| it.room) else {
            return;
        };
        let there = self.users(room);
        let subject = self
            .conferences
            .get(&room)
            .map(|it| it.subject.clone())
            .unwrap_or_default();
        let Some(subscriber) = self.subscribers.get_mut(&subscription) else {
            return;
        };
        if !full && subscriber.told == there && subscriber.subject == subject {
            return;
        }
        subscriber.version += 1;
        let entity = format!("sip:{}@{DOMAIN}", crate::user::room_name(room));
        let text = document::write(
            &entity,
            subscriber.version,
            full,
            &subscriber.told,
            &there,
            &subject,
        );
        subscriber.told = there;
        subscriber.subject = subject;
        let notify = sip::Command::Notify {
            subscription,
            state: SubscriptionState::Active,
            body: Some(sip::Body {
                content_type: "application/conference-info+xml".to_owned(),
                bytes: Bytes::from(text),
            }),
        };
        self.command(notify, now);
    }

    pub(super) fn terminate(&mut self, subscription: SubscriptionId, now: Instant) {
        let notify = sip::Command::Notify {
            subscription,
            state: SubscriptionState::Terminated("timeout".to_owned()),
            body: None,
        };
        self.command(notify, now);
    }

    /// The roster by entity, as documents show it.
    fn users(&self, room: usize) -> BTreeMap<String, document::User> {
        let locals = self.conferences.get(&room).into_iter().flat_map(|it| &it.locals);
        let locals = locals.map(|(n, nickname)| {
            let user = document::User {
                name: Some(nickname.clone()),
            };
            (self.listed(&local_uri(*n), &format!("phone{n}")), user)
        });
        let callers = self
            .legs
            .iter()
            .filter(|leg| leg.room == room && leg.stream.is_some());
        let callers = callers.map(|leg| {
            let known = leg.nickname.is_some() || !self.has(Habit::LateNicknames);
            let name = known.then(|| leg.shown_as());
            (self.listed(&leg.aor, "gw"), document::User { name })
        });
        locals.chain(callers).collect()
    }

    pub(super) fn entity(&self, aor: &str, instance: &str) -> String {
        if self.has(Habit::PlainEntities) {
            aor.to_owned()
        } else {
            format!("{aor};gr={instance}")
        }
    }

    /// An entity as documents write it.
    fn listed(&self, aor: &str, instance: &str) -> String {
        let entity = self.entity(aor, instance);
        if self.has(Habit::EscapedEntities) {
            entity.replace(':', "%3A").replace('@', "%40")
        } else {
            entity
        }
    }
}
