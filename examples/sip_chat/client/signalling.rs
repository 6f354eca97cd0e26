//! The SIP side of a stay: the call, the subscription to the roster, invitations.

use std::time::{Duration, Instant};

use sip::{
    AnswerDue, Body, Command, Contact, DialogId, Event as SipEvent, InviteParameters, NameAddr, Reason,
    ReferParameters, StatusCode, SubscribeParameters, SubscriptionId, SubscriptionState, Uri,
    conference::{self, Document},
};

use super::{Client, EndCause, Event, InFlight, Outcome, Phase, Refusal, media};
use crate::room::{Applied, Change};

/// The one INVITE dialog of a stay.
const DIALOG: DialogId = DialogId(2);
/// The lifetime asked for; the endpoint refreshes it.
const SUBSCRIPTION: Duration = Duration::from_secs(3600);
/// Shortest time between two subscriptions, whatever the notifier does.
const RESUBSCRIBE: Duration = Duration::from_secs(5);

impl Client {
    /// INVITE with our offer.
    pub(super) fn call(&mut self, now: Instant) {
        let parameters = InviteParameters {
            uri: self.settings.room.clone(),
            from: self.from(),
            to: NameAddr::new(self.settings.room.clone()),
            contact: self.contact(),
            body: self.offer(),
            headers: Vec::new(),
        };
        self.sip.handle_command(
            Command::Invite {
                dialog: DIALOG,
                parameters: Box::new(parameters),
            },
            now,
        );
    }

    /// BYE, or CANCEL if the call was not answered yet.
    pub(super) fn hang_up(&mut self, reason: Option<Reason>, now: Instant) {
        self.unsubscribe(now);
        self.sip.handle_command(
            Command::Bye {
                dialog: DIALOG,
                reason,
            },
            now,
        );
    }

    /// Asks for the roster in a dialog of its own (RFC 6665 §4.5). A former subscription is given up.
    pub(super) fn subscribe(&mut self, now: Instant) {
        self.unsubscribe(now);
        let subscription = SubscriptionId(self.next_number());
        let parameters = SubscribeParameters {
            uri: self.settings.room.clone(),
            from: self.from(),
            to: NameAddr::new(self.settings.room.clone()),
            contact: self.contact(),
            event: "conference".to_owned(),
            accept: conference::CONTENT_TYPE.to_owned(),
            expires: SUBSCRIPTION,
        };
        self.roster.restart();
        self.subscription = Some(subscription);
        self.subscribed_at = Some(now);
        self.sip.handle_command(
            Command::Subscribe {
                subscription,
                parameters: Box::new(parameters),
            },
            now,
        );
    }

    /// Ends the subscription; its last NOTIFY is still answered by the endpoint.
    pub(super) fn unsubscribe(&mut self, now: Instant) {
        self.resubscribe_at = None;
        if let Some(subscription) = self.subscription
            && self.unsubscribed != Some(subscription)
        {
            self.unsubscribed = Some(subscription);
            self.sip
                .handle_command(Command::Unsubscribe { subscription }, now);
        }
    }

    /// REFER to the room (RFC 4579 §5.5, RFC 7702 §6.5).
    pub(super) fn refer(&mut self, uri: Uri, now: Instant) {
        let subscription = SubscriptionId(self.next_number());
        self.invitations.insert(subscription, uri.to_string());
        let parameters = ReferParameters {
            uri: self.settings.room.clone(),
            from: self.from(),
            to: NameAddr::new(self.settings.room.clone()),
            contact: self.contact(),
            refer_to: NameAddr::new(uri),
            silent: false,
        };
        self.sip.handle_command(
            Command::Refer {
                subscription,
                parameters: Box::new(parameters),
            },
            now,
        );
    }

    /// What the endpoint reports.
    pub(super) fn on_sip(&mut self, event: SipEvent, now: Instant) {
        match event {
            SipEvent::Progress { status, .. } => self.progress(format!("the room answers {status}")),
            SipEvent::Answered { body, .. } => self.on_answered(body.as_ref(), now),
            SipEvent::Refused { status, phrase, .. } => self.on_refused(status, phrase, now),
            SipEvent::Ended { cause, .. } => self.on_dialog_ended(cause, now),
            SipEvent::Reinvited { request, due, .. } => self.on_reinvited(request.body.as_ref(), due, now),
            SipEvent::SubscriptionAccepted { subscription } => self.on_subscription_accepted(subscription),
            SipEvent::SubscriptionRefused { subscription, status } => {
                self.on_subscription_refused(subscription, status, now);
            }
            SipEvent::Notified {
                subscription,
                state,
                body,
            } => self.on_notified(subscription, &state, body.as_ref(), now),
            // We are one participant of one room: nobody may call us, subscribe to us or send us elsewhere.
            SipEvent::Invited { due, .. } => self.refuse(due, 486, now),
            SipEvent::Subscribing { due, .. } => self.refuse(due, 489, now),
            SipEvent::Referred { due, .. } => self.refuse(due, 603, now),
            SipEvent::Requested { due, .. } => self.refuse(due, 501, now),
            // An invitation is told when it is accepted; calls of ours are offered once.
            SipEvent::ReferProgress { .. }
            | SipEvent::Reanswered { .. }
            | SipEvent::ReinviteRefused { .. } => {}
            // About calls and subscriptions of peers, of which there are none.
            SipEvent::Cancelled { .. }
            | SipEvent::Confirmed { .. }
            | SipEvent::SubscriptionRefreshed { .. }
            | SipEvent::SubscriptionEnded { .. } => {}
        }
    }

    fn on_answered(&mut self, body: Option<&Body>, now: Instant) {
        if self.phase != Phase::Calling {
            return; // a 200 that crossed our CANCEL: the endpoint ends it
        }
        match self.negotiate(body) {
            Ok(()) => self.phase = Phase::Connecting,
            Err(fault) => {
                self.farewell = Some(fault.to_owned());
                let reason = Reason {
                    cause: StatusCode(488),
                    text: fault.to_owned(),
                };
                self.leave(EndCause::Incompatible, Some(reason), now);
            }
        }
    }

    fn on_refused(&mut self, status: StatusCode, phrase: String, now: Instant) {
        if let Phase::Leaving { cause, .. } = self.phase {
            self.end(cause, None, None, now);
            return;
        }
        let reason = if phrase.is_empty() {
            status.reason().to_owned()
        } else {
            phrase
        };
        self.tell(Event::Refused {
            refusal: Refusal::new(status.0, reason),
        });
        self.fail_outstanding();
        self.outcome = Some(Outcome::Failed);
        self.phase = Phase::Over;
    }

    fn on_dialog_ended(&mut self, ended: sip::EndCause, now: Instant) {
        let (cause, code, reason) = match (self.phase, ended) {
            (Phase::Lingering { .. } | Phase::Over, _) => return,
            (_, sip::EndCause::Bye(reason)) => {
                let (code, text) = reason.map(|reason| (reason.cause.0, reason.text)).unzip();
                (EndCause::Bye, code, text)
            }
            (Phase::Leaving { cause, .. }, _) => (cause, None, None),
            (_, sip::EndCause::Gone | sip::EndCause::NoAck | sip::EndCause::ByUs) => {
                (EndCause::SignallingLost, None, None)
            }
        };
        self.end(cause, code, reason, now);
    }

    fn on_reinvited(&mut self, body: Option<&Body>, due: AnswerDue, now: Instant) {
        match self.renegotiate(body) {
            Some(body) => {
                let contact = self.contact();
                self.sip
                    .handle_command(Command::Accept { due, contact, body }, now);
            }
            None => self.refuse(due, 488, now),
        }
    }

    fn on_subscription_accepted(&mut self, subscription: SubscriptionId) {
        if let Some(uri) = self.invitations.remove(&subscription) {
            self.tell(Event::Invited { uri });
        }
    }

    fn on_subscription_refused(&mut self, subscription: SubscriptionId, status: StatusCode, now: Instant) {
        if let Some(uri) = self.invitations.remove(&subscription) {
            self.tell(Event::InviteRefused {
                uri,
                refusal: status.into(),
            });
            return;
        }
        if self.subscription != Some(subscription) {
            return;
        }
        self.subscription = None;
        if self.phase != Phase::Present {
            return;
        }
        // Lost on the way, not refused by the room: worth asking again.
        if self.roster.is_known() && matches!(status.0, 408 | 481 | 503) {
            self.resubscribe_later(now);
        } else {
            self.tell(Event::NoRoster {
                refusal: status.into(),
            });
        }
    }

    fn on_notified(
        &mut self,
        subscription: SubscriptionId,
        state: &SubscriptionState,
        body: Option<&Body>,
        now: Instant,
    ) {
        if self.subscription != Some(subscription) {
            return; // a word about an invitation, or the last one of a subscription given up
        }
        if let Some(body) = body
            && media::is_type(&body.content_type, conference::CONTENT_TYPE)
        {
            self.on_document(body, now);
        }
        if let SubscriptionState::Terminated(reason) = state
            && self.subscription == Some(subscription)
        {
            self.subscription = None;
            // RFC 6665 §4.1.3: these reasons invite to subscribe again; the others do not.
            if self.phase == Phase::Present
                && matches!(reason.as_str(), "deactivated" | "timeout" | "probation")
            {
                self.resubscribe_later(now);
            } else if self.phase == Phase::Present {
                self.progress(format!("the roster has ended: {reason}"));
            }
        }
    }

    fn on_document(&mut self, body: &Body, now: Instant) {
        let (version, document) = match Document::parse(&body.bytes) {
            Ok(parsed) => parsed,
            Err(fault) => {
                self.progress(fault.to_string());
                return self.resubscribe_later(now);
            }
        };
        let renaming = self.expected_renaming();
        let renaming = renaming.as_ref().map(|(old, new)| (old.as_str(), new.as_str()));
        match self.roster.apply(version, document, renaming) {
            Applied::First { subject } => {
                self.roster_awaited = false;
                self.tell(Event::Roster {
                    users: self.roster.nicknames(),
                });
                if let Some(text) = subject.filter(|text| !text.is_empty()) {
                    self.tell(Event::Subject { text });
                }
            }
            Applied::Changed(changes) => changes.into_iter().for_each(|change| self.tell_change(change)),
            Applied::Stale => self.progress(format!("conference document {version} came late")),
            Applied::Gap => {
                self.progress(format!("a conference document before {version} is missing"));
                self.resubscribe_later(now);
            }
            Applied::TooLarge => {
                self.tell(Event::NoRoster {
                    refusal: Refusal::new(413, "More occupants than this client keeps"),
                });
                self.unsubscribe(now);
            }
        }
    }

    fn tell_change(&mut self, change: Change) {
        let event = match change {
            Change::Joined(nick) => Event::Joined { nick },
            Change::Left { nick, how, reason } => Event::Left { nick, how, reason },
            Change::Renamed { old, new } => {
                self.renaming.take_if(|(_, to)| *to == new);
                Event::Renamed { old, new }
            }
            Change::Subject(text) => Event::Subject { text },
        };
        self.tell(event);
    }

    /// The nickname change of ours that the roster has yet to show, answered or not: document and answer come by different ways.
    fn expected_renaming(&self) -> Option<(String, String)> {
        let asked = || {
            let wish = self.in_flight.values().find_map(|waiting| match waiting {
                InFlight::Nickname(wish) => Some(wish.clone()),
                InFlight::Message { .. } => None,
            });
            self.nickname.clone().zip(wish)
        };
        self.renaming.clone().or_else(asked)
    }

    fn resubscribe_later(&mut self, now: Instant) {
        let earliest = self.subscribed_at.map_or(now, |at| at + RESUBSCRIBE);
        self.resubscribe_at.get_or_insert(earliest.max(now));
    }

    fn refuse(&mut self, due: AnswerDue, status: u16, now: Instant) {
        self.sip.handle_command(
            Command::Refuse {
                due,
                status: StatusCode(status),
                phrase: None,
                headers: Vec::new(),
            },
            now,
        );
    }

    fn from(&self) -> NameAddr {
        NameAddr {
            display_name: self.settings.display_name.clone(),
            ..NameAddr::new(self.settings.from.clone())
        }
    }

    fn contact(&self) -> Contact {
        Contact {
            user: self.settings.from.user_decoded(),
            parameters: Vec::new(),
        }
    }
}
