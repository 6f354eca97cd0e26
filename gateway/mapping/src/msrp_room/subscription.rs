//! RFC 7702 §5.3: the gateway watches the conference for the user, in a dialog of its own (RFC 6665 §4.5.2).

use std::time::{Duration, Instant};

use sip::{
    Body, NameAddr, StatusCode, SubscribeParameters, SubscriptionId, SubscriptionState, conference::Document,
};

use super::{
    enter::contact,
    exit::Farewell,
    listing::{Own, Reading},
    stay::{Phase, Stay, StayKey},
};
use crate::{Gateway, refusal::Refusal, timers::Timer};

/// How long a subscription is asked for; the endpoint refreshes it.
const EXPIRES: Duration = Duration::from_secs(3600);
/// A conference that is about to begin is not there yet (480): so often it is asked again, after so long and then twice as long each time.
const ATTEMPTS: u32 = 6;
const RETRY: Duration = Duration::from_millis(100);
/// The same for one that was watched already.
const RENEWAL: Duration = Duration::from_secs(5);

impl Gateway {
    /// The nickname is settled: who is in? Bounded, for some focuses never say.
    pub(super) fn watch(&mut self, key: StayKey, now: Instant) {
        let timer = self
            .timers
            .start(now + self.config.limits.listing, Timer::Entrance(key));
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        stay.phase = Phase::Listing;
        if let Some(former) = stay.timer.replace(timer) {
            self.timers.cancel(former);
        }
        self.subscribe_stay(key);
    }

    /// The time to ask again has come.
    pub(crate) fn watch_again(&mut self, key: StayKey) {
        if let Some(stay) = self.stays.get_mut(key) {
            stay.subscribe_timer = None;
            self.subscribe_stay(key);
        }
    }

    /// F10.
    fn subscribe_stay(&mut self, key: StayKey) {
        let subscription = SubscriptionId(self.next_handle());
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        if stay.subscription.is_some() {
            return;
        }
        stay.subscribing += 1;
        let parameters = SubscribeParameters {
            uri: stay.conference.clone(),
            from: NameAddr::new(stay.address.clone()),
            to: NameAddr::new(stay.conference.clone()),
            contact: contact(stay),
            event: "conference".to_owned(),
            accept: sip::conference::CONTENT_TYPE.to_owned(),
            expires: EXPIRES,
        };
        self.stays.subscribe(key, subscription);
        self.sip(sip::Command::Subscribe {
            subscription,
            parameters: Box::new(parameters),
        });
    }

    /// F11.
    pub(crate) fn watch_accepted(&mut self, subscription: SubscriptionId) {
        let key = self.stays.of_subscription(subscription);
        if let Some(stay) = key.and_then(|key| self.stays.get_mut(key)) {
            stay.subscribing = 0;
        }
    }

    /// The focus refuses to be watched, or does no more: the conversation goes on with who is known.
    pub(crate) fn watch_refused(&mut self, subscription: SubscriptionId, status: StatusCode, now: Instant) {
        let Some(key) = self.stays.of_subscription(subscription) else {
            return self.invitation_refused(subscription, status);
        };
        self.stays.forget_subscription(subscription);
        let Some(stay) = self.stays.get(key) else { return };
        tracing::info!(stay = key.0, %status, attempt = stay.subscribing, "conference subscription refused");
        let is_listing = stay.phase == Phase::Listing;
        let pause = match (is_listing, status.0) {
            (true, 480) => RETRY,
            // Its dialog is gone, or the focus was not reached or did not answer in time.
            (_, 408 | 480 | 481 | 500..) => RENEWAL,
            _ => Duration::ZERO,
        };
        let again = !pause.is_zero() && stay.subscribing < ATTEMPTS;
        if again {
            self.watch_later(key, pause, now);
        }
        // Nobody waits for seconds to hear that he is in.
        if is_listing && !(again && pause == RETRY) {
            self.listed(key, now);
        }
    }

    fn watch_later(&mut self, key: StayKey, pause: Duration, now: Instant) {
        let attempts = self.stays.get(key).map_or(0, |stay| stay.subscribing);
        let pause = pause * (1 << attempts.saturating_sub(1).min(ATTEMPTS));
        let timer = self.timers.start(now + pause, Timer::Subscribe(key));
        let slot = self
            .stays
            .get_mut(key)
            .map(|stay| stay.subscribe_timer.replace(timer));
        if let Some(former) = slot.unwrap_or(Some(timer)) {
            self.timers.cancel(former);
        }
    }

    /// F12; F13 has been sent.
    pub(crate) fn conference_notified(
        &mut self,
        subscription: SubscriptionId,
        state: &SubscriptionState,
        body: Option<&Body>,
        now: Instant,
    ) {
        let Some(key) = self.stays.of_subscription(subscription) else {
            if matches!(state, SubscriptionState::Terminated(_)) {
                self.invitation_forgotten(subscription);
            }
            return;
        };
        if let Some(body) = body {
            match Document::parse(&body.bytes) {
                Ok((version, document)) => self.conference_document(key, version, document, now),
                Err(fault) => tracing::warn!(stay = key.0, %fault, "unreadable conference document"),
            }
        }
        if let SubscriptionState::Terminated(reason) = state {
            self.stays.forget_subscription(subscription);
            match (self.stays.get(key).map(|stay| stay.phase), &**reason) {
                (Some(Phase::Listing), "rejected" | "noresource") => self.listed(key, now),
                // RFC 6665 §4.1.3: all others may be tried again.
                (Some(_), reason) if !matches!(reason, "rejected" | "noresource") => {
                    self.watch_later(key, RENEWAL, now);
                }
                _ => {}
            }
        }
    }

    fn conference_document(&mut self, key: StayKey, version: u32, document: Document, now: Instant) {
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        let Stay {
            listing,
            conference,
            address,
            nickname,
            is_granted,
            ..
        } = stay;
        let own = Own {
            conference,
            address,
            nickname,
            is_granted: *is_granted,
        };
        match listing.read(version, document, &own) {
            Reading::Taken(changes) => {
                if stay.phase == Phase::Listing {
                    self.first_document(key, changes, now);
                } else {
                    self.apply_changes(key, changes, now);
                }
            }
            Reading::Stale => {}
            Reading::Gap => self.watch_anew(key),
            Reading::Over => {
                let farewell = Farewell::destroyed();
                self.end_stay(key, &farewell, &Refusal::NotInRoom.reason());
            }
        }
    }

    /// A change was missed: a new subscription begins with a full document.
    fn watch_anew(&mut self, key: StayKey) {
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        tracing::debug!(stay = key.0, "a conference document is missing");
        stay.listing.renew();
        if let Some(subscription) = stay.subscription {
            self.stays.forget_subscription(subscription);
            self.sip(sip::Command::Unsubscribe { subscription });
        }
        self.subscribe_stay(key);
    }
}
