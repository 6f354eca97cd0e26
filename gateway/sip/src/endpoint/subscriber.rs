//! Our own subscriptions, by SUBSCRIBE or implied by REFER (RFC 6665 §4.1, RFC 3515).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    Endpoint,
    authentication::is_answer,
    client::{ClientId, Failure, Purpose},
    command::{Body, ReferParameters, SubscribeParameters, SubscriptionId, SubscriptionState},
    compose::{self, EventName},
    dialog::{Dialog, DialogKey, Usage},
    event::Event,
    flow::Flow,
    received::{Received, body_of, number_in},
    refer::forgoes_subscription,
    route::Hop,
    server::{Reply, ServerId},
    timers::Timer,
};
use crate::message::{CSeq, Method, Parameterized, Request, Response, StatusCode, tag_of};

/// How long before its end a subscription is refreshed: a lost refresh has time to be noticed.
const REFRESH_MARGIN: Duration = Duration::from_secs(37);
/// The shortest time between refreshes, so that a notifier that grants next to nothing is not asked without end.
const REFRESH_INTERVAL_MIN: Duration = Duration::from_secs(5);
/// What a REFER's subscription lasts if its notifier does not say (RFC 3515 §2.4.7: it decides).
const REFER_LIFETIME: Duration = Duration::from_secs(180);

/// Our subscriptions, found by identifier or, before a dialog exists, by Call-ID and From tag.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    pub(super) table: BTreeMap<SubscriptionId, Subscriber>,
    by_call: BTreeMap<(String, String), SubscriptionId>,
}

/// A subscription of ours.
#[derive(Debug)]
pub(super) struct Subscriber {
    dialog: Option<DialogKey>,
    call: (String, String),
    opening: Request,
    contact: String,
    event: EventName,
    accept: Option<String>,
    expires: Duration,
    stage: Stage,
    accepted: bool,
    /// A NOTIFY has come.
    notified: bool,
    /// The 423 retry has been spent (RFC 6665 §4.1.2.1).
    retried: bool,
    in_flight: Option<ClientId>,
    /// When to refresh; for a REFER, when to give up.
    renew_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The opening request is unanswered; the flag: the owner has given up meanwhile.
    Opening(bool),
    Active,
    /// Expires: 0 was sent; the last NOTIFY is awaited.
    Ending,
}

impl Subscribers {
    /// It is implied by a REFER.
    fn is_of_refer(&self, id: SubscriptionId) -> bool {
        self.table
            .get(&id)
            .is_some_and(|subscriber| subscriber.accept.is_none())
    }

    /// The opening request was repeated, with this sequence number. Its answers to challenges are not: each nonce's count goes on.
    pub(super) fn reopened_as(&mut self, id: SubscriptionId, request: &Request) {
        if let Some(subscriber) = self.table.get_mut(&id)
            && subscriber.dialog.is_none()
        {
            subscriber.opening = request.clone();
            subscriber.opening.headers.0.retain(|header| !is_answer(header));
        }
    }
}

impl Endpoint {
    pub(super) fn subscribe(&mut self, id: SubscriptionId, parameters: SubscribeParameters, now: Instant) {
        let SubscribeParameters {
            uri,
            from,
            to,
            contact,
            event,
            accept,
            expires,
        } = parameters;
        let (mut request, hop) = self.opening_request(Method::SUBSCRIBE, uri, from, &to);
        let contact = self.contact_towards(&contact, &hop);
        let event = EventName::of_package(&event);
        push_subscribe(&mut request, &contact, &event, &accept, expires);
        request.headers.push("Allow-Events", self.allow_events());
        self.sign(&mut request);
        self.open_subscriber(id, request, hop, contact, event, Some(accept), expires, now);
    }

    pub(super) fn refer(&mut self, id: SubscriptionId, parameters: ReferParameters, now: Instant) {
        let ReferParameters {
            uri,
            from,
            to,
            contact,
            refer_to,
            silent,
        } = parameters;
        let (mut request, hop) = self.opening_request(Method::REFER, uri, from, &to);
        let contact = self.contact_towards(&contact, &hop);
        request.headers.push("Contact", contact.as_str());
        request.headers.push("Refer-To", refer_to.to_string());
        request.headers.push("Accept", "message/sipfrag");
        request.headers.push("Supported", compose::SUPPORTED.join(", "));
        if silent {
            request.headers.push("Refer-Sub", "false");
        }
        self.sign(&mut request);
        self.open_subscriber(
            id,
            request,
            hop,
            contact,
            EventName::refer(None),
            None,
            REFER_LIFETIME,
            now,
        );
    }

    pub(super) fn unsubscribe(&mut self, id: SubscriptionId, now: Instant) {
        let Some(subscriber) = self.subscribers.table.get_mut(&id) else {
            return;
        };
        match (subscriber.stage, subscriber.dialog) {
            (Stage::Opening(_), _) => subscriber.stage = Stage::Opening(true),
            (Stage::Active, Some(key)) => {
                subscriber.stage = Stage::Ending;
                self.send_subscribe(id, key, Duration::ZERO, now);
            }
            (Stage::Active, None) => self.forget_subscriber(id),
            (Stage::Ending, _) => {}
        }
    }

    pub(super) fn subscribe_answered(
        &mut self,
        client: ClientId,
        id: SubscriptionId,
        response: &Response,
        flow: Flow,
        now: Instant,
    ) {
        if response.status.is_provisional() {
            return;
        }
        let Some(subscriber) = self.subscribers.table.get_mut(&id) else {
            return;
        };
        if subscriber.in_flight != Some(client) {
            return;
        }
        subscriber.in_flight = None;
        if response.status.is_success() {
            self.subscribe_accepted(id, response, flow, now);
            return;
        }
        let shortest =
            number_in(&response.headers, "Min-Expires").map(|seconds| Duration::from_secs(seconds.into()));
        match shortest {
            Some(shortest)
                if response.status.0 == 423 && !subscriber.retried && subscriber.accept.is_some() =>
            {
                subscriber.retried = true;
                subscriber.expires = subscriber.expires.max(shortest);
                self.retry_subscribe(id, now);
            }
            _ => self.subscription_lost(id, response.status),
        }
    }

    pub(super) fn subscribe_failed(&mut self, id: SubscriptionId, failure: Failure) {
        self.subscription_lost(id, failure.status());
    }

    /// A NOTIFY, in a dialog or before one exists.
    pub(super) fn handle_notify(
        &mut self,
        received: &Received,
        key: Option<DialogKey>,
        server: ServerId,
        now: Instant,
    ) {
        let headers = &received.request.headers;
        let Some(event) = headers.get("Event").and_then(EventName::read) else {
            return self.reply(
                server,
                Reply::new(489).with("Allow-Events", self.allow_events()),
                now,
            );
        };
        let found = match key {
            Some(key) => self.subscriber_in(key, &event).map(|id| (id, key)),
            None => self.open_by_notify(received, &event),
        };
        let Some((id, key)) = found else {
            return self.reply(server, Reply::new(481), now);
        };
        let Some((state, left)) = headers
            .get("Subscription-State")
            .and_then(compose::read_subscription_state)
        else {
            let refusal = Reply::new(400).phrase(Some("Subscription-State missing or malformed".to_owned()));
            return self.reply(server, refusal, now);
        };
        if let Some(dialog) = self.dialogs.get_mut(key) {
            dialog.refresh_target(received.contact());
        }
        let contact = self.contact_of(key);
        self.reply(server, Reply::new(200).with("Contact", contact), now);
        let body = body_of(headers, &received.request.body);
        let is_over = matches!(state, SubscriptionState::Terminated(_));
        let of_refer = self.subscribers.is_of_refer(id);
        let progress = body.as_ref().filter(|_| of_refer).and_then(sipfrag_status);
        self.events.push_back(match progress {
            Some((status, phrase)) => Event::ReferProgress {
                subscription: id,
                status,
                phrase,
                is_over,
            },
            None => Event::Notified {
                subscription: id,
                state,
                body,
            },
        });
        if is_over {
            self.forget_subscriber(id);
            return;
        }
        if let Some(subscriber) = self.subscribers.table.get_mut(&id) {
            subscriber.notified = true;
            if let Some(left) = left {
                subscriber.renew_at = Some(renewal(
                    Duration::from_secs(left.into()),
                    subscriber.accept.is_some(),
                    now,
                ));
            }
        }
        self.arm_subscriber(id, now);
    }

    pub(super) fn handle_subscriber_timeout(&mut self, id: SubscriptionId, now: Instant) {
        let Some(subscriber) = self.subscribers.table.get_mut(&id) else {
            return;
        };
        let renewal_is_due = subscriber.renew_at.is_some_and(|at| at <= now);
        match (subscriber.stage, subscriber.dialog) {
            (Stage::Active, Some(key))
                if renewal_is_due && subscriber.notified && subscriber.accept.is_some() =>
            {
                subscriber.renew_at = None;
                let expires = subscriber.expires;
                self.send_subscribe(id, key, expires, now);
            }
            (Stage::Ending, _) => self.forget_subscriber(id),
            // Timer N (RFC 6665 §4.1.2.4): no NOTIFY; or a REFER whose end was never told.
            (Stage::Opening(_) | Stage::Active, _) => self.subscription_lost(id, StatusCode(408)),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one subscription, composed by two callers"
    )]
    fn open_subscriber(
        &mut self,
        id: SubscriptionId,
        request: Request,
        hop: Hop,
        contact: String,
        event: EventName,
        accept: Option<String>,
        expires: Duration,
        now: Instant,
    ) {
        if self.subscribers.table.contains_key(&id) {
            return;
        }
        if self.dialogs.len() >= self.config.limits.dialogs {
            self.events.push_back(Event::SubscriptionRefused {
                subscription: id,
                status: StatusCode(503),
            });
            return;
        }
        let call = call_of(&request);
        self.subscribers.by_call.insert(call.clone(), id);
        let subscriber = Subscriber {
            dialog: None,
            call,
            opening: request.clone(),
            contact,
            event,
            accept,
            expires,
            stage: Stage::Opening(false),
            accepted: false,
            notified: false,
            retried: false,
            in_flight: None,
            renew_at: None,
        };
        self.subscribers.table.insert(id, subscriber);
        let client = self.send_request(request, hop, Purpose::Subscribe(id), now);
        if let Some(subscriber) = self.subscribers.table.get_mut(&id) {
            subscriber.in_flight = Some(client);
        }
    }

    fn subscribe_accepted(&mut self, id: SubscriptionId, response: &Response, flow: Flow, now: Instant) {
        let Some(subscriber) = self.subscribers.table.get_mut(&id) else {
            return;
        };
        if subscriber.dialog.is_none() {
            let dialog = Dialog::from_response(&subscriber.opening, response, flow, &subscriber.contact);
            let Some(key) = dialog.and_then(|dialog| self.dialogs.insert(dialog)) else {
                return self.subscription_lost(id, StatusCode(502));
            };
            subscriber.dialog = Some(key);
            self.dialogs.attach(key, Usage::Subscriber(id));
        }
        let granted =
            number_in(&response.headers, "Expires").map(|seconds| Duration::from_secs(seconds.into()));
        let granted = granted.unwrap_or(subscriber.expires).min(subscriber.expires);
        let is_subscribe = subscriber.accept.is_some();
        if subscriber.stage != Stage::Ending {
            subscriber.renew_at = Some(renewal(granted, is_subscribe, now));
        }
        let gives_up = subscriber.stage == Stage::Opening(true);
        if matches!(subscriber.stage, Stage::Opening(_)) {
            subscriber.stage = Stage::Active;
        }
        if !std::mem::replace(&mut subscriber.accepted, true) {
            self.events
                .push_back(Event::SubscriptionAccepted { subscription: id });
        }
        if !is_subscribe && forgoes_subscription(&response.headers) {
            self.forget_subscriber(id);
        } else if gives_up {
            self.unsubscribe(id, now);
        } else {
            self.arm_subscriber(id, now);
        }
    }

    /// 423: once more with the time that the notifier wants.
    fn retry_subscribe(&mut self, id: SubscriptionId, now: Instant) {
        let Some(subscriber) = self.subscribers.table.get_mut(&id) else {
            return;
        };
        let expires = subscriber.expires;
        if let Some(key) = subscriber.dialog {
            self.send_subscribe(id, key, expires, now);
            return;
        }
        let cseq = subscriber.opening.headers.get("CSeq");
        let next = cseq
            .and_then(|cseq| cseq.parse().ok())
            .map_or(2, |cseq: CSeq| cseq.number.saturating_add(1));
        for header in &mut subscriber.opening.headers.0 {
            match header.name.as_ref() {
                "Expires" => header.value = expires.as_secs().to_string(),
                "CSeq" => header.value = format!("{next} {}", Method::SUBSCRIBE),
                _ => {}
            }
        }
        let request = subscriber.opening.clone();
        let hop = self.opening_hop(&request);
        let client = self.send_request(request, hop, Purpose::Subscribe(id), now);
        if let Some(subscriber) = self.subscribers.table.get_mut(&id) {
            subscriber.in_flight = Some(client);
        }
    }

    /// A refresh, or with zero the end.
    fn send_subscribe(&mut self, id: SubscriptionId, key: DialogKey, expires: Duration, now: Instant) {
        let Some(subscriber) = self.subscribers.table.get(&id) else {
            return;
        };
        let Some(dialog) = self.dialogs.get_mut(key) else {
            return;
        };
        let (mut request, hop) = dialog.request(Method::SUBSCRIBE);
        let accept = subscriber.accept.as_deref().unwrap_or("message/sipfrag");
        push_subscribe(
            &mut request,
            &subscriber.contact,
            &subscriber.event,
            accept,
            expires,
        );
        request.headers.push("Allow-Events", self.allow_events());
        self.sign(&mut request);
        let client = self.send_request(request, hop, Purpose::Subscribe(id), now);
        if let Some(subscriber) = self.subscribers.table.get_mut(&id) {
            subscriber.in_flight = Some(client);
        }
        self.arm_subscriber(id, now);
    }

    /// RFC 6665 §4.4.1: a NOTIFY may open the dialog. Another fork's finds the dialog taken (RFC 4575 §3.8).
    fn open_by_notify(
        &mut self,
        received: &Received,
        event: &EventName,
    ) -> Option<(SubscriptionId, DialogKey)> {
        let call = (received.call_id.clone(), received.to_tag.clone()?);
        let id = *self.subscribers.by_call.get(&call)?;
        let subscriber = self.subscribers.table.get_mut(&id)?;
        if subscriber.dialog.is_some() || !subscriber.takes(event) {
            return None;
        }
        let dialog = Dialog::from_notify(&subscriber.opening, received, &subscriber.contact)?;
        let key = self.dialogs.insert(dialog)?;
        subscriber.dialog = Some(key);
        self.dialogs.attach(key, Usage::Subscriber(id));
        Some((id, key))
    }

    fn subscriber_in(&self, key: DialogKey, event: &EventName) -> Option<SubscriptionId> {
        let mut usages = self.dialogs.get(key)?.usages.iter();
        usages.find_map(|usage| match usage {
            Usage::Subscriber(id) if self.subscribers.table.get(id)?.takes(event) => Some(*id),
            Usage::Subscriber(_) | Usage::Invite(_) | Usage::Notifier(_) | Usage::Refer(_) => None,
        })
    }

    fn subscription_lost(&mut self, id: SubscriptionId, status: StatusCode) {
        let Some(subscriber) = self.subscribers.table.get(&id) else {
            return;
        };
        // Who has unsubscribed awaits nothing more.
        if subscriber.stage != Stage::Ending {
            self.events.push_back(Event::SubscriptionRefused {
                subscription: id,
                status,
            });
        }
        self.forget_subscriber(id);
    }

    fn arm_subscriber(&mut self, id: SubscriptionId, now: Instant) {
        let Some(subscriber) = self.subscribers.table.get(&id) else {
            return;
        };
        let patience = now + self.timing.patience();
        let at = match subscriber.stage {
            Stage::Ending => Some(patience),
            Stage::Active | Stage::Opening(_) if subscriber.accepted && !subscriber.notified => {
                Some(patience)
            }
            Stage::Active | Stage::Opening(_) => subscriber.renew_at,
        };
        self.timers.set(Timer::Subscriber(id), at);
    }

    fn forget_subscriber(&mut self, id: SubscriptionId) {
        self.timers.set(Timer::Subscriber(id), None);
        let Some(subscriber) = self.subscribers.table.remove(&id) else {
            return;
        };
        self.subscribers.by_call.remove(&subscriber.call);
        if let Some(key) = subscriber.dialog {
            self.dialogs.detach(key, Usage::Subscriber(id));
        }
    }
}

impl Subscriber {
    /// Whether a NOTIFY with this Event is for this subscription. A REFER's may add an `id` (RFC 3515 §2.4.6).
    fn takes(&self, event: &EventName) -> bool {
        let is_refer = self.accept.is_none();
        self.event.package == event.package && (is_refer || self.event.id == event.id)
    }
}

fn renewal(granted: Duration, is_subscribe: bool, now: Instant) -> Instant {
    if !is_subscribe {
        // Nothing is refreshed: the end is told in time or not at all.
        return now + granted + REFRESH_MARGIN;
    }
    let early = granted.checked_sub(REFRESH_MARGIN).unwrap_or_default();
    now + early.max(granted / 2).max(REFRESH_INTERVAL_MIN)
}

fn push_subscribe(request: &mut Request, contact: &str, event: &EventName, accept: &str, expires: Duration) {
    let headers = &mut request.headers;
    headers.push("Contact", contact);
    headers.push("Event", event.to_string());
    headers.push("Accept", accept);
    headers.push("Expires", expires.as_secs().to_string());
}

/// The status line in the body that tells how far a referral has come (RFC 3515 §2.4.5).
fn sipfrag_status(body: &Body) -> Option<(StatusCode, String)> {
    let content: Parameterized = body.content_type.parse().ok()?;
    if !content.value.eq_ignore_ascii_case("message/sipfrag") {
        return None;
    }
    let text = std::str::from_utf8(&body.bytes).ok()?;
    let line = text.trim_start().lines().next()?;
    let (version, rest) = line.split_once(' ')?;
    let (status, phrase) = rest.split_once(' ').unwrap_or((rest, ""));
    let status: u16 = status
        .trim()
        .parse()
        .ok()
        .filter(|status| (100..700).contains(status))?;
    let is_sip = version.eq_ignore_ascii_case("SIP/2.0");
    is_sip.then(|| (StatusCode(status), phrase.trim().to_owned()))
}

fn call_of(request: &Request) -> (String, String) {
    let call_id = request.headers.get("Call-ID").unwrap_or_default().to_owned();
    let tag = request.headers.get("From").and_then(tag_of).unwrap_or_default();
    (call_id, tag.to_owned())
}
