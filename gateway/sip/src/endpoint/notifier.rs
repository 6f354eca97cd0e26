//! Subscriptions of peers: granting, refreshing, NOTIFY in order, expiry (RFC 6665 §4.2).

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    Endpoint,
    client::Purpose,
    command::{AnswerDue, Body, Contact, DialogId, SubscriptionId, SubscriptionState},
    compose::{self, EventName},
    dialog::{DialogKey, Usage},
    event::{Event, SubscriptionEnd},
    received::Received,
    server::{Due, Reply, ServerId},
    timers::Timer,
    uas::OVERLOAD_RETRY_AFTER,
};
use crate::message::Method;

/// NOTIFYs that may wait for their turn.
const QUEUE_MAX: usize = 8;
/// Subscriptions within one dialog.
const SUBSCRIPTIONS_PER_DIALOG: usize = 8;
/// The time granted if none is asked for (RFC 4575 §3.3).
const DEFAULT_EXPIRES: u32 = 3600;

/// A peer's subscription.
#[derive(Debug)]
pub(super) struct Notifier {
    dialog: DialogKey,
    event: EventName,
    stage: Stage,
    lifetime: Duration,
    expires_at: Instant,
    /// In an INVITE dialog, with which it ends.
    in_invite_dialog: bool,
    /// The referral that it tells of; then the endpoint is its owner.
    pub(super) referral: Option<SubscriptionId>,
    queue: VecDeque<(SubscriptionState, Option<Body>)>,
    /// A NOTIFY is unanswered.
    in_flight: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The owner has not decided.
    Pending(ServerId),
    Active,
    /// Over, but the owner's last NOTIFY is due.
    Ending,
    /// The last NOTIFY is queued or sent.
    Closing,
}

impl Endpoint {
    /// A SUBSCRIBE outside any dialog.
    pub(super) fn handle_subscribe(&mut self, received: &Received, server: ServerId, now: Instant) {
        let opened = self.read_subscribe(received).and_then(|(event, lifetime)| {
            let key = self.open_dialog(received, server)?;
            Ok((key, event, lifetime))
        });
        match opened {
            Ok((key, event, lifetime)) => self.subscribing(received, key, None, event, lifetime, server, now),
            Err(refusal) => self.reply(server, refusal, now),
        }
    }

    /// A SUBSCRIBE in a dialog: a refresh, or one more subscription.
    pub(super) fn handle_subscribe_in_dialog(
        &mut self,
        received: &Received,
        key: DialogKey,
        invite: Option<DialogId>,
        server: ServerId,
        now: Instant,
    ) {
        let (event, lifetime) = match self.read_subscribe(received) {
            Ok(read) => read,
            Err(refusal) => return self.reply(server, refusal, now),
        };
        if let Some(id) = self.notifier_of(key, &event) {
            self.refresh(id, received, lifetime, server, now);
            return;
        }
        let usages = self.dialogs.get(key).map_or(0, |dialog| dialog.usages.len());
        if usages > SUBSCRIPTIONS_PER_DIALOG {
            self.reply(server, Reply::unavailable(OVERLOAD_RETRY_AFTER), now);
            return;
        }
        if let Some(dialog) = self.dialogs.get_mut(key) {
            dialog.refresh_target(received.contact());
        }
        self.subscribing(received, key, invite, event, lifetime, server, now);
    }

    pub(super) fn accept_subscription(
        &mut self,
        id: SubscriptionId,
        server: ServerId,
        contact: &Contact,
        now: Instant,
    ) {
        let Some(notifier) = self.notifiers.get_mut(&id) else {
            return self.reply(server, Reply::new(481), now);
        };
        notifier.stage = Stage::Active;
        notifier.expires_at = now + notifier.lifetime;
        let (key, lifetime, in_invite_dialog) =
            (notifier.dialog, notifier.lifetime, notifier.in_invite_dialog);
        if !in_invite_dialog {
            self.set_contact(key, contact);
        }
        let reply = self
            .granted(key, lifetime)
            .opening_dialog()
            .with("Allow-Events", self.allow_events());
        self.reply(server, reply, now);
        if lifetime.is_zero() {
            // RFC 6665 §4.4.3: a fetch. The NOTIFY that follows is the last.
            self.await_last_notify(id, SubscriptionEnd::Unsubscribed, now);
        } else {
            self.timers.set(Timer::Notifier(id), Some(now + lifetime));
        }
        self.send_next_notify(id, now);
    }

    /// The owner refused a SUBSCRIBE, or has not answered it.
    pub(super) fn subscription_refused(&mut self, id: SubscriptionId) {
        self.forget_notifier(id);
    }

    pub(super) fn notify(
        &mut self,
        id: SubscriptionId,
        state: SubscriptionState,
        body: Option<Body>,
        now: Instant,
    ) {
        if self.referrals.contains(id) {
            return self.referral_progress(id, &state, body, now);
        }
        let Some(notifier) = self.notifiers.get_mut(&id) else {
            return;
        };
        let state = match (notifier.stage, state) {
            (Stage::Closing, _) => return,
            (_, SubscriptionState::Terminated(reason)) => SubscriptionState::Terminated(reason),
            (Stage::Ending, _) => SubscriptionState::Terminated("timeout".to_owned()),
            (Stage::Pending(_) | Stage::Active, state) => state,
        };
        if matches!(state, SubscriptionState::Terminated(_)) && !matches!(notifier.stage, Stage::Pending(_)) {
            notifier.stage = Stage::Closing;
            self.timers.set(Timer::Notifier(id), None);
        }
        notifier.queue.push_back((state, body));
        if notifier.queue.len() > QUEUE_MAX {
            self.notify_failed(id);
        } else {
            self.send_next_notify(id, now);
        }
    }

    /// A NOTIFY of ours was answered finally: `accepted` or not, the latter also by silence.
    pub(super) fn notify_concluded(&mut self, id: SubscriptionId, accepted: bool, now: Instant) {
        let Some(notifier) = self.notifiers.get_mut(&id) else {
            return;
        };
        notifier.in_flight = false;
        if !accepted {
            self.notify_failed(id);
        } else if notifier.stage == Stage::Closing && notifier.queue.is_empty() {
            self.forget_notifier(id);
        } else {
            self.send_next_notify(id, now);
        }
    }

    pub(super) fn handle_notifier_timeout(&mut self, id: SubscriptionId, now: Instant) {
        match self.notifiers.get(&id).map(|notifier| notifier.stage) {
            Some(Stage::Active) => self.await_last_notify(id, SubscriptionEnd::Expired, now),
            // The owner is silent; the subscriber must hear of the end all the same (RFC 6665 §4.2.2).
            Some(Stage::Ending) => {
                self.notify(id, SubscriptionState::Terminated("timeout".to_owned()), None, now);
            }
            Some(Stage::Pending(_) | Stage::Closing) | None => {}
        }
    }

    /// The INVITE usage of a dialog is over, and with it the subscriptions that came in it. With `flush`, those whose last NOTIFY
    /// is already queued still send it.
    pub(super) fn end_notifiers(&mut self, key: DialogKey, flush: bool, now: Instant) {
        for id in self.notifiers_of(key) {
            let Some(notifier) = self
                .notifiers
                .get(&id)
                .filter(|notifier| notifier.in_invite_dialog)
            else {
                continue;
            };
            match notifier.stage {
                Stage::Closing if flush => continue,
                Stage::Closing | Stage::Ending => {}
                Stage::Pending(server) => {
                    self.subscription_over(id, SubscriptionEnd::DialogEnded);
                    self.reply(server, Reply::new(481), now);
                }
                Stage::Active => self.subscription_over(id, SubscriptionEnd::DialogEnded),
            }
            self.forget_notifier(id);
        }
    }

    /// The subscription which a REFER implies, for as long as `lifetime` unless its owner ends it before (RFC 3515 §2.4.4). One under
    /// an id in use is refused by silence: the former goes on.
    pub(super) fn notify_progress(
        &mut self,
        id: SubscriptionId,
        key: DialogKey,
        event: EventName,
        lifetime: Duration,
        now: Instant,
    ) {
        if !self.notifiers.contains_key(&id) {
            self.imply_subscription(id, key, event, lifetime, now);
            self.timers.set(Timer::Notifier(id), Some(now + lifetime));
        }
    }

    pub(super) fn imply_subscription(
        &mut self,
        id: SubscriptionId,
        key: DialogKey,
        event: EventName,
        lifetime: Duration,
        now: Instant,
    ) {
        let in_invite_dialog = self.open_invite_usage(key).is_some();
        let notifier = Notifier {
            dialog: key,
            event,
            stage: Stage::Active,
            lifetime,
            expires_at: now + lifetime,
            in_invite_dialog,
            referral: None,
            queue: VecDeque::new(),
            in_flight: false,
        };
        self.notifiers.insert(id, notifier);
        self.dialogs.attach(key, Usage::Notifier(id));
    }

    /// Event and the time to grant.
    fn read_subscribe(&self, received: &Received) -> Result<(EventName, Duration), Reply> {
        let event = received.request.headers.get("Event").and_then(EventName::read);
        let bad_event = || Reply::new(489).with("Allow-Events", self.allow_events());
        let event = event.ok_or_else(bad_event)?;
        match event.package.as_str() {
            // RFC 3515 §2.4.4: only REFER makes such a subscription, or the address that it was answered with (RFC 7614 §4.5).
            "refer" if self.referrals.at(&received.request.uri).is_none() => return Err(Reply::new(403)),
            "refer" => {}
            package => {
                let is_served = |served: &String| served.eq_ignore_ascii_case(package);
                if !self.packages.iter().any(is_served) {
                    return Err(bad_event());
                }
            }
        }
        let asked = Duration::from_secs(received.number("Expires").unwrap_or(DEFAULT_EXPIRES).into());
        let (shortest, longest) = self.config.limits.subscription;
        if !asked.is_zero() && asked < shortest {
            return Err(Reply::new(423).with("Min-Expires", shortest.as_secs().to_string()));
        }
        Ok((event, asked.min(longest)))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one SUBSCRIBE, each read once by the caller"
    )]
    fn subscribing(
        &mut self,
        received: &Received,
        key: DialogKey,
        invite: Option<DialogId>,
        event: EventName,
        lifetime: Duration,
        server: ServerId,
        now: Instant,
    ) {
        let id = self.next_subscription_id();
        let referral = self
            .referrals
            .at(&received.request.uri)
            .filter(|_| event.package == "refer");
        let notifier = Notifier {
            dialog: key,
            event,
            stage: Stage::Pending(server),
            lifetime,
            expires_at: now + lifetime,
            in_invite_dialog: invite.is_some(),
            referral,
            queue: VecDeque::new(),
            in_flight: false,
        };
        self.notifiers.insert(id, notifier);
        self.dialogs.attach(key, Usage::Notifier(id));
        if referral.is_some() {
            let contact = Contact {
                user: received.request.uri.user_decoded(),
                parameters: Vec::new(),
            };
            self.accept_subscription(id, server, &contact, now);
            return self.tell_of_referral(id, now);
        }
        self.servers.set_due(server, Due::Subscribe(id));
        self.events.push_back(Event::Subscribing {
            subscription: id,
            dialog: invite,
            request: received.incoming(),
            due: AnswerDue {
                transaction: server.0,
            },
        });
    }

    fn refresh(
        &mut self,
        id: SubscriptionId,
        received: &Received,
        lifetime: Duration,
        server: ServerId,
        now: Instant,
    ) {
        let Some(notifier) = self.notifiers.get_mut(&id) else {
            return;
        };
        let key = notifier.dialog;
        match notifier.stage {
            Stage::Active => {}
            Stage::Pending(_) => {
                return self.reply(
                    server,
                    Reply::new(500).with("Retry-After", OVERLOAD_RETRY_AFTER.to_string()),
                    now,
                );
            }
            Stage::Ending | Stage::Closing => return self.reply(server, Reply::new(481), now),
        }
        notifier.expires_at = now + lifetime;
        if let Some(dialog) = self.dialogs.get_mut(key) {
            dialog.refresh_target(received.contact());
        }
        let reply = self.granted(key, lifetime);
        self.reply(server, reply, now);
        if lifetime.is_zero() {
            self.await_last_notify(id, SubscriptionEnd::Unsubscribed, now);
        } else {
            self.timers.set(Timer::Notifier(id), Some(now + lifetime));
            if self.is_of_referral(id) {
                self.tell_of_referral(id, now);
            } else {
                self.events
                    .push_back(Event::SubscriptionRefreshed { subscription: id });
            }
        }
    }

    fn granted(&self, key: DialogKey, lifetime: Duration) -> Reply {
        Reply::new(200)
            .with("Expires", lifetime.as_secs().to_string())
            .with("Contact", self.contact_of(key))
    }

    fn await_last_notify(&mut self, id: SubscriptionId, cause: SubscriptionEnd, now: Instant) {
        if let Some(notifier) = self.notifiers.get_mut(&id) {
            notifier.stage = Stage::Ending;
            self.timers
                .set(Timer::Notifier(id), Some(now + self.timing.patience()));
            self.subscription_over(id, cause);
            self.tell_of_referral(id, now);
        }
    }

    fn send_next_notify(&mut self, id: SubscriptionId, now: Instant) {
        let Some(notifier) = self.notifiers.get_mut(&id) else {
            return;
        };
        if notifier.in_flight || matches!(notifier.stage, Stage::Pending(_)) {
            return;
        }
        let Some((state, body)) = notifier.queue.pop_front() else {
            return;
        };
        let Some(dialog) = self.dialogs.get_mut(notifier.dialog) else {
            return;
        };
        notifier.in_flight = true;
        let left = notifier.expires_at.saturating_duration_since(now).as_secs();
        let (mut request, hop) = dialog.request(Method::NOTIFY);
        request.headers.push("Contact", dialog.contact.as_str());
        request.headers.push("Event", notifier.event.to_string());
        request
            .headers
            .push("Subscription-State", compose::subscription_state(&state, left));
        self.sign(&mut request);
        request.body = compose::push_body(&mut request.headers, body);
        self.send_request(request, hop, Purpose::Notify(id), now);
    }

    fn notify_failed(&mut self, id: SubscriptionId) {
        let told = self
            .notifiers
            .get(&id)
            .is_some_and(|notifier| notifier.stage == Stage::Active);
        if told {
            self.subscription_over(id, SubscriptionEnd::NotifyFailed);
        }
        self.forget_notifier(id);
    }

    fn subscription_over(&mut self, id: SubscriptionId, cause: SubscriptionEnd) {
        if !self.is_of_referral(id) {
            self.events.push_back(Event::SubscriptionEnded {
                subscription: id,
                cause,
            });
        }
    }

    fn is_of_referral(&self, id: SubscriptionId) -> bool {
        self.notifiers
            .get(&id)
            .is_some_and(|notifier| notifier.referral.is_some())
    }

    fn forget_notifier(&mut self, id: SubscriptionId) {
        self.timers.set(Timer::Notifier(id), None);
        if let Some(notifier) = self.notifiers.remove(&id) {
            self.dialogs.detach(notifier.dialog, Usage::Notifier(id));
        }
    }

    fn notifiers_of(&self, key: DialogKey) -> Vec<SubscriptionId> {
        let usages = self.dialogs.get(key).map(|dialog| dialog.usages.iter());
        let ids = usages.into_iter().flatten().filter_map(|usage| match usage {
            Usage::Notifier(id) => Some(*id),
            Usage::Invite(_) | Usage::Subscriber(_) | Usage::Refer(_) => None,
        });
        ids.collect()
    }

    fn notifier_of(&self, key: DialogKey, event: &EventName) -> Option<SubscriptionId> {
        let mut ids = self.notifiers_of(key).into_iter();
        ids.find(|id| {
            self.notifiers
                .get(id)
                .is_some_and(|notifier| notifier.event == *event)
        })
    }
}
