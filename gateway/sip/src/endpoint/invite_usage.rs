//! The INVITE usage of a dialog: answering, 2xx and ACK, re-INVITE, UPDATE and BYE (RFC 3261 §13.3, §14, §15, RFC 3311).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    Endpoint,
    calling::Calling,
    client::Purpose,
    command::{AnswerDue, Body, Contact, DialogId, Reason},
    compose,
    dialog::{DialogKey, Usage},
    event::{EndCause, Event},
    flow::Target,
    received::{Received, body_of},
    reinvite::Reinvite,
    reliable::{Early, Reliable},
    server::{Due, Reply, ServerId},
    session_timer::{Asked, SessionTimer},
    timers::Timer,
    transaction::Timing,
};
use crate::message::{Headers, Method, StatusCode};

/// How long an INVITE may wait for its owner's answer: proxies give up at three minutes (RFC 3261 §16.6 item 11).
const UNANSWERED_MAX: Duration = Duration::from_secs(180);
/// Upper bound of the random Retry-After of RFC 3261 §14.2.
const GLARE_RETRY_AFTER: u32 = 10;

/// One INVITE usage, as caller or callee.
#[derive(Debug)]
pub(super) struct InviteUsage {
    /// `None` while our INVITE is unanswered.
    pub(super) dialog: Option<DialogKey>,
    pub(super) phase: Phase,
    /// The peer's (re-)INVITE or UPDATE that waits for the owner.
    pub(super) pending: Option<ServerId>,
    /// Our 2xx that wait for their ACK, by CSeq.
    unacknowledged: BTreeMap<u32, Unacknowledged>,
    /// The ACK to our 2xx to the opening INVITE has come; so it is from the start if the INVITE was ours.
    confirmed: bool,
    /// What the pending request asks of the session timer.
    asked: Option<Asked>,
    pub(super) session: Option<SessionTimer>,
    /// The peer takes UPDATE.
    pub(super) peer_updates: bool,
    /// The peer's INVITE requires that provisional responses are reliable.
    pub(super) reliable: Option<Reliable>,
    /// Dialogs opened by reliable provisional responses to our INVITE, by the peer's tag.
    pub(super) early: BTreeMap<String, Early>,
    /// Our session description, which a re-INVITE that refreshes repeats.
    pub(super) described: Option<Body>,
    /// A re-INVITE of ours with a new description, and the one after it.
    pub(super) reinvite: Option<Reinvite>,
    pub(super) next_offer: Option<Body>,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// The peer's INVITE waits for its owner.
    Incoming,
    /// Our INVITE has no final answer yet.
    Calling(Calling),
    Established,
    /// The owner wants out: BYE as soon as the ACK allows it (RFC 3261 §15), with this Reason; `None`: BYE is under way.
    Leaving(Option<Option<Reason>>),
}

/// A 2xx that is retransmitted until its ACK (RFC 3261 §13.3.1.4).
#[derive(Debug)]
struct Unacknowledged {
    bytes: Bytes,
    target: Target,
    interval: Duration,
    give_up: Instant,
    /// It made the offer, so the ACK must bring the answer.
    offered: bool,
}

impl InviteUsage {
    /// The peer's INVITE waits for the owner.
    pub(super) fn incoming(dialog: DialogKey, pending: ServerId) -> Self {
        Self {
            dialog: Some(dialog),
            phase: Phase::Incoming,
            pending: Some(pending),
            unacknowledged: BTreeMap::new(),
            confirmed: false,
            asked: None,
            session: None,
            peer_updates: false,
            reliable: None,
            early: BTreeMap::new(),
            described: None,
            reinvite: None,
            next_offer: None,
        }
    }

    /// Our own INVITE is under way.
    pub(super) fn calling(calling: Calling, described: Body) -> Self {
        Self {
            dialog: None,
            phase: Phase::Calling(calling),
            pending: None,
            unacknowledged: BTreeMap::new(),
            confirmed: true,
            asked: None,
            session: None,
            peer_updates: false,
            reliable: None,
            early: BTreeMap::new(),
            described: Some(described),
            reinvite: None,
            next_offer: None,
        }
    }

    /// A 2xx of ours has no ACK yet.
    pub(super) fn waits_for_ack(&self) -> bool {
        !self.unacknowledged.is_empty()
    }
}

/// Whether the sender of these headers takes UPDATE.
pub(super) fn allows_update(headers: &Headers) -> bool {
    headers
        .list("Allow")
        .any(|method| method.trim() == Method::UPDATE.as_str())
}

impl Endpoint {
    /// The INVITE usage of a dialog that still takes requests.
    pub(super) fn open_invite_usage(&self, key: DialogKey) -> Option<DialogId> {
        let id = self.invite_usage(key)?;
        let usage = self.invites.get(&id)?;
        (!matches!(usage.phase, Phase::Leaving(_))).then_some(id)
    }

    pub(super) fn handle_invite(&mut self, received: Received, server: ServerId, now: Instant) {
        if let Some(refusal) = self.too_short_interval(&received.request.headers) {
            return self.reply(server, refusal, now);
        }
        let key = match self.open_dialog(&received, server) {
            Ok(key) => key,
            Err(refusal) => return self.reply(server, refusal, now),
        };
        let id = self.next_dialog_id();
        self.dialogs.attach(key, Usage::Invite(id));
        let mut usage = InviteUsage::incoming(key, server);
        usage.peer_updates = allows_update(&received.request.headers);
        usage.asked = Some(Asked::read(&received.request.headers));
        usage.reliable = self.reliability(&received);
        self.invites.insert(id, Box::new(usage));
        self.servers
            .set_due(server, Due::Invite(id, received.body().is_some()));
        // RFC 3261 §13.3.1: the caller may have said how long it waits.
        let asked = received
            .number("Expires")
            .map(|seconds| Duration::from_secs(seconds.into()));
        let patience = asked.unwrap_or(UNANSWERED_MAX).min(UNANSWERED_MAX);
        self.timers.set(Timer::Unanswered(id), Some(now + patience));
        self.events.push_back(Event::Invited {
            dialog: id,
            request: received.into_incoming(),
            due: AnswerDue {
                transaction: server.0,
            },
        });
    }

    pub(super) fn handle_reinvite(
        &mut self,
        received: &Received,
        id: DialogId,
        server: ServerId,
        now: Instant,
    ) {
        let too_short = self.too_short_interval(&received.request.headers);
        if let Some(refusal) = self.glare(id, true).or(too_short) {
            return self.reply(server, refusal, now);
        }
        self.refresh_target(id, received);
        self.timers.set(Timer::Unanswered(id), Some(now + UNANSWERED_MAX));
        self.ask_again(received, id, server, Due::Reinvite(id, received.body().is_some()));
    }

    pub(super) fn handle_update(
        &mut self,
        received: &Received,
        id: DialogId,
        server: ServerId,
        now: Instant,
    ) {
        let has_offer = received.body().is_some();
        let too_short = self.too_short_interval(&received.request.headers);
        if let Some(refusal) = self.glare(id, has_offer).or(too_short) {
            return self.reply(server, refusal, now);
        }
        self.refresh_target(id, received);
        if has_offer {
            self.ask_again(received, id, server, Due::Update(id));
        } else {
            let contact = self.invite_contact(id);
            let asked = Asked::read(&received.request.headers);
            let reply = Reply::new(200).with("Contact", contact);
            let reply = self.agree_on_timer(id, &asked, reply, now);
            self.reply(server, reply, now);
        }
    }

    pub(super) fn handle_bye(&mut self, received: &Received, key: DialogKey, server: ServerId, now: Instant) {
        let Some(id) = self.invite_usage(key) else {
            return self.reply(server, Reply::new(481), now);
        };
        self.reply(server, Reply::new(200), now);
        let Some(usage) = self.invites.get_mut(&id) else {
            return;
        };
        // RFC 3261 §15.1.2: requests still pending are answered 487.
        let pending = usage.pending.take();
        let event = match usage.phase {
            Phase::Incoming => Event::Cancelled { dialog: id },
            Phase::Leaving(_) => Event::Ended {
                dialog: id,
                cause: EndCause::ByUs,
            },
            Phase::Calling(_) | Phase::Established => Event::Ended {
                dialog: id,
                cause: EndCause::Bye(compose::read_reason(&received.request.headers)),
            },
        };
        if let Some(pending) = pending {
            self.reply(pending, Reply::new(487), now);
        }
        self.end_notifiers(key, false, now);
        self.events.push_back(event);
        self.forget_invite(id);
    }

    /// An ACK: of a transaction's failure, or of a dialog's 2xx. RFC 3261 §17.1.1.3: it is never answered.
    pub(super) fn handle_ack(&mut self, received: &Received, now: Instant) {
        if let Some(transaction) = self.servers.find(&received.key(&Method::INVITE))
            && !self.handle_transaction_ack(transaction, now)
        {
            return;
        }
        let Some(id) = self.dialogs.find(received).and_then(|key| self.invite_usage(key)) else {
            return;
        };
        let Some(usage) = self.invites.get_mut(&id) else {
            return;
        };
        // RFC 7702 draws an ACK with the next number (its example 4): it means the last 2xx before it.
        let mut candidates = usage.unacknowledged.range(..=received.cseq);
        let Some(cseq) = candidates.next_back().map(|(cseq, _)| *cseq) else {
            return;
        };
        usage.unacknowledged.remove(&cseq);
        let is_first = !std::mem::replace(&mut usage.confirmed, true);
        self.timers.set(Timer::Unacknowledged(id, cseq), None);
        if is_first && !self.is_leaving(id) {
            let body = body_of(&received.request.headers, &received.request.body);
            self.events.push_back(Event::Confirmed { dialog: id, body });
        }
        self.send_bye_if_due(id, now);
    }

    pub(super) fn invite_cancelled(&mut self, id: DialogId, server: ServerId, now: Instant) {
        self.reply(server, Reply::new(487), now);
        if let Some(key) = self.invites.get(&id).and_then(|usage| usage.dialog) {
            self.end_notifiers(key, false, now);
        }
        self.events.push_back(Event::Cancelled { dialog: id });
        self.forget_invite(id);
    }

    pub(super) fn reinvite_cancelled(&mut self, id: DialogId, server: ServerId, now: Instant) {
        self.answered(id);
        self.reply(server, Reply::new(487), now);
    }

    /// The owner has not answered an INVITE in time.
    pub(super) fn handle_unanswered(&mut self, id: DialogId, now: Instant) {
        let Some(usage) = self.invites.get_mut(&id) else {
            return;
        };
        let Some(server) = usage.pending else {
            return;
        };
        if matches!(usage.phase, Phase::Incoming) {
            self.invite_cancelled(id, server, now);
        } else {
            self.answered(id);
            self.reply(server, Reply::new(500), now);
        }
    }

    pub(super) fn ring(&mut self, id: DialogId, status: StatusCode, now: Instant) {
        let Some(usage) = self.invites.get(&id) else {
            return;
        };
        if let (Phase::Incoming, Some(server)) = (&usage.phase, usage.pending) {
            let status = status.0.clamp(180, 199);
            if usage.reliable.is_some() {
                return self.ring_reliably(id, StatusCode(status), server, now);
            }
            let contact = self.invite_contact(id);
            self.reply(
                server,
                Reply::new(status).opening_dialog().with("Contact", contact),
                now,
            );
        }
    }

    /// 200 to the opening INVITE, a re-INVITE or an UPDATE.
    pub(super) fn accept_invite(
        &mut self,
        id: DialogId,
        server: ServerId,
        contact: &Contact,
        body: Body,
        offer: Offer,
        now: Instant,
    ) {
        if let Some(key) = self.invites.get(&id).and_then(|usage| usage.dialog) {
            self.set_contact(key, contact);
        }
        let contact = self.invite_contact(id);
        let mut reply = Reply::new(200)
            .with("Contact", contact)
            .with("Allow", compose::ALLOW)
            .with("Supported", compose::SUPPORTED.join(", "))
            .body(Some(body.clone()));
        let asked = self.invites.get_mut(&id).and_then(|usage| {
            usage.described = Some(body);
            usage.asked.take()
        });
        if let Some(asked) = asked {
            reply = self.agree_on_timer(id, &asked, reply, now);
        }
        let cseq = self.servers.cseq(server).unwrap_or_default();
        let opening = self
            .invites
            .get(&id)
            .is_some_and(|usage| matches!(usage.phase, Phase::Incoming));
        if opening {
            reply = reply.opening_dialog().with("Allow-Events", self.allow_events());
        }
        self.reply(server, reply, now);
        self.end_provisional(id);
        self.answered(id);
        let Some(usage) = self.invites.get_mut(&id) else {
            return;
        };
        if opening {
            usage.phase = Phase::Established;
        }
        let Offer::Invite { had_offer } = offer else {
            return;
        };
        if let Some((target, bytes)) = self.servers.take_success(server) {
            let unacknowledged = Unacknowledged {
                bytes,
                target,
                interval: self.timing.t1(),
                give_up: now + self.timing.patience(),
                offered: !had_offer,
            };
            usage.unacknowledged.insert(cseq, unacknowledged);
            self.timers
                .set(Timer::Unacknowledged(id, cseq), Some(now + self.timing.t1()));
        }
    }

    /// The opening INVITE was refused by the owner.
    pub(super) fn refused(&mut self, id: DialogId, now: Instant) {
        if let Some(key) = self.invites.get(&id).and_then(|usage| usage.dialog) {
            self.end_notifiers(key, false, now);
        }
        self.forget_invite(id);
    }

    /// The owner has answered, or the answer is void.
    pub(super) fn answered(&mut self, id: DialogId) {
        self.timers.set(Timer::Unanswered(id), None);
        if let Some(usage) = self.invites.get_mut(&id) {
            usage.pending = None;
        }
    }

    /// A 2xx has waited for its ACK: again, or no more (RFC 3261 §13.3.1.4).
    pub(super) fn handle_unacknowledged(&mut self, id: DialogId, cseq: u32, now: Instant) {
        let Some(usage) = self.invites.get_mut(&id) else {
            return;
        };
        let Some(waiting) = usage.unacknowledged.get_mut(&cseq) else {
            return;
        };
        if waiting.give_up <= now {
            return self.lost(id, EndCause::NoAck, now);
        }
        waiting.interval = Timing::doubled(waiting.interval);
        let next = waiting.give_up.min(now + waiting.interval);
        let (target, bytes) = (waiting.target.clone(), waiting.bytes.clone());
        self.timers.set(Timer::Unacknowledged(id, cseq), Some(next));
        self.transmit(target, bytes, None);
    }

    /// The peer is not there any more: BYE all the same, since it may be.
    pub(super) fn lost(&mut self, id: DialogId, cause: EndCause, now: Instant) {
        let Some(usage) = self.invites.get_mut(&id) else {
            return;
        };
        for cseq in std::mem::take(&mut usage.unacknowledged).into_keys() {
            self.timers.set(Timer::Unacknowledged(id, cseq), None);
        }
        if self.is_leaving(id) {
            return self.send_bye_if_due(id, now);
        }
        let Some(key) = self.invites.get(&id).and_then(|usage| usage.dialog) else {
            return;
        };
        self.end_pending(id, 487, now);
        self.end_notifiers(key, true, now);
        self.send_bye(key, None, Purpose::Nobody, now);
        self.events.push_back(Event::Ended { dialog: id, cause });
        self.forget_invite(id);
    }

    /// The owner ends the dialog, whatever its phase.
    pub(super) fn hang_up(&mut self, id: DialogId, reason: Option<Reason>, now: Instant) {
        let Some(usage) = self.invites.get_mut(&id) else {
            return;
        };
        match usage.phase {
            Phase::Incoming => {
                self.end_pending(id, 480, now);
                self.refused(id, now);
                self.ended_by_us(id);
            }
            Phase::Calling(_) => self.cancel_call(id, reason, now),
            Phase::Established => {
                usage.phase = Phase::Leaving(Some(reason));
                let key = usage.dialog;
                self.end_pending(id, 487, now);
                if let Some(key) = key {
                    self.end_notifiers(key, true, now);
                }
                self.send_bye_if_due(id, now);
            }
            Phase::Leaving(_) => {}
        }
    }

    /// Our BYE was answered, or never will be.
    pub(super) fn bye_concluded(&mut self, id: DialogId) {
        if self.invites.contains_key(&id) {
            self.ended_by_us(id);
            self.forget_invite(id);
        }
    }

    pub(super) fn ended_by_us(&mut self, id: DialogId) {
        self.events.push_back(Event::Ended {
            dialog: id,
            cause: EndCause::ByUs,
        });
    }

    pub(super) fn send_bye_if_due(&mut self, id: DialogId, now: Instant) {
        let Some(usage) = self.invites.get_mut(&id) else {
            return;
        };
        let (Phase::Leaving(reason), Some(key)) = (&mut usage.phase, usage.dialog) else {
            return;
        };
        // RFC 3261 §15: the callee sends no BYE before the ACK has come or its wait is over.
        if usage.unacknowledged.is_empty()
            && let Some(reason) = reason.take()
        {
            self.send_bye(key, reason, Purpose::Bye(id), now);
        }
    }

    fn send_bye(&mut self, key: DialogKey, reason: Option<Reason>, purpose: Purpose, now: Instant) {
        let Some((mut request, hop)) = self
            .dialogs
            .get_mut(key)
            .map(|dialog| dialog.request(Method::BYE))
        else {
            return;
        };
        if let Some(reason) = reason {
            request.headers.push("Reason", compose::reason(&reason));
        }
        self.sign(&mut request);
        self.send_request(request, hop, purpose, now);
    }

    pub(super) fn forget_invite(&mut self, id: DialogId) {
        let Some(usage) = self.invites.remove(&id) else {
            return;
        };
        self.timers.set(Timer::Unanswered(id), None);
        self.timers.set(Timer::Session(id), None);
        self.timers.set(Timer::Provisional(id), None);
        self.timers.set(Timer::Reinvite(id), None);
        for cseq in usage.unacknowledged.into_keys() {
            self.timers.set(Timer::Unacknowledged(id, cseq), None);
        }
        if let Some(key) = usage.dialog {
            self.dialogs.detach(key, Usage::Invite(id));
        }
    }

    fn end_pending(&mut self, id: DialogId, status: u16, now: Instant) {
        let pending = self.invites.get(&id).and_then(|usage| usage.pending);
        self.answered(id);
        if let Some(server) = pending {
            self.reply(server, Reply::new(status), now);
        }
    }

    fn ask_again(&mut self, received: &Received, id: DialogId, server: ServerId, due: Due) {
        if let Some(usage) = self.invites.get_mut(&id) {
            usage.pending = Some(server);
            usage.asked = Some(Asked::read(&received.request.headers));
        }
        self.servers.set_due(server, due);
        self.events.push_back(Event::Reinvited {
            dialog: id,
            request: received.incoming(),
            due: AnswerDue {
                transaction: server.0,
            },
        });
    }

    /// Two offers at once: ours without its answer is 491, the peer's own without ours is 500 (RFC 3261 §14.2, RFC 3311 §5.2).
    fn glare(&mut self, id: DialogId, has_offer: bool) -> Option<Reply> {
        let usage = self.invites.get(&id)?;
        if has_offer && usage.pending.is_some() {
            let wait = self.tokens.up_to(GLARE_RETRY_AFTER);
            return Some(Reply::new(500).with("Retry-After", wait.to_string()));
        }
        let offered = usage.unacknowledged.values().any(|waiting| waiting.offered);
        (has_offer && (offered || self.is_reinviting(id) || matches!(usage.phase, Phase::Calling(_))))
            .then(|| Reply::new(491))
    }

    fn refresh_target(&mut self, id: DialogId, received: &Received) {
        let key = self.invites.get(&id).and_then(|usage| usage.dialog);
        if let Some(dialog) = key.and_then(|key| self.dialogs.get_mut(key)) {
            dialog.refresh_target(received.contact());
        }
    }

    pub(super) fn invite_contact(&self, id: DialogId) -> String {
        let key = self.invites.get(&id).and_then(|usage| usage.dialog);
        key.map(|key| self.contact_of(key)).unwrap_or_default()
    }

    pub(super) fn is_leaving(&self, id: DialogId) -> bool {
        self.invites
            .get(&id)
            .is_some_and(|usage| matches!(usage.phase, Phase::Leaving(_)))
    }

    pub(super) fn invite_usage(&self, key: DialogKey) -> Option<DialogId> {
        self.dialogs
            .get(key)?
            .usages
            .iter()
            .find_map(|usage| match usage {
                Usage::Invite(id) => Some(*id),
                Usage::Notifier(_) | Usage::Subscriber(_) | Usage::Refer(_) => None,
            })
    }
}

/// What an accepted request offered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Offer {
    /// An INVITE: its 2xx needs an ACK.
    Invite { had_offer: bool },
    /// An UPDATE: it does not.
    Update,
}
