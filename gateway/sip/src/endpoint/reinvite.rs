//! Our own re-INVITE with a new description (RFC 3261 §14.1).

use std::time::{Duration, Instant};

use super::{
    Endpoint,
    client::{ClientId, Failure, Purpose},
    command::{Body, DialogId},
    compose,
    event::{EndCause, Event},
    invite_usage::{InviteUsage, Phase},
    received::body_of,
    timers::Timer,
};
use crate::message::{Method, Response, StatusCode};

/// How long after another INVITE or UPDATE was seen under way the next look is taken.
const BUSY: Duration = Duration::from_millis(200);
/// Times that one re-INVITE is tried against a peer that answers 491.
const ATTEMPTS_MAX: u8 = 6;
/// The back-off of RFC 3261 §14.1 in steps of 10 ms: for whom chose the Call-ID, and for the other.
const BACK_OFF_OWNER: (u32, u32) = (210, 400);
const BACK_OFF_OTHER: (u32, u32) = (0, 200);

/// A re-INVITE of ours that is not answered finally.
#[derive(Debug)]
pub(super) struct Reinvite {
    body: Body,
    /// `None` while it waits for its turn.
    client: Option<ClientId>,
    attempts: u8,
}

impl InviteUsage {
    /// A re-INVITE of ours is with the peer.
    pub(super) fn is_offering(&self) -> bool {
        self.reinvite
            .as_ref()
            .is_some_and(|reinvite| reinvite.client.is_some())
    }
}

impl Endpoint {
    /// The owner has a new offer. One that still waits for its turn is replaced; one that is with the peer is followed by this one.
    pub(super) fn reinvite(&mut self, id: DialogId, body: Body, now: Instant) {
        let Some(usage) = self
            .invites
            .get_mut(&id)
            .filter(|usage| matches!(usage.phase, Phase::Established))
        else {
            return;
        };
        if usage.is_offering() {
            usage.next_offer = Some(body);
            return;
        }
        usage.reinvite = Some(Reinvite {
            body,
            client: None,
            attempts: 0,
        });
        self.send_reinvite(id, now);
    }

    /// The pause before another attempt is over.
    pub(super) fn handle_reinvite_timeout(&mut self, id: DialogId, now: Instant) {
        self.send_reinvite(id, now);
    }

    pub(super) fn reinvite_answered(
        &mut self,
        client: ClientId,
        id: DialogId,
        response: &Response,
        now: Instant,
    ) {
        if response.status.is_provisional() {
            return;
        }
        if response.status.is_success() {
            self.acknowledge_again(client, id, response);
        }
        let Some(reinvite) = self.reinvite_of(id, client) else {
            return;
        };
        match response.status.0 {
            200..300 => {
                let body = reinvite.body.clone();
                if let Some(usage) = self.invites.get_mut(&id) {
                    usage.described = Some(body);
                }
                self.take_timer(id, response, now);
                let event = Event::Reanswered {
                    dialog: id,
                    body: body_of(&response.headers, &response.body),
                };
                self.reinvite_over(id, event, now);
            }
            491 if reinvite.attempts < ATTEMPTS_MAX => {
                reinvite.client = None;
                let pause = self.back_off(id);
                self.timers.set(Timer::Reinvite(id), Some(now + pause));
            }
            // RFC 3261 §12.2.1.2: the peer knows the dialog no more.
            408 | 481 => self.lost(id, EndCause::Gone, now),
            _ => {
                let refused = refused(id, response.status, response.reason.clone(), false);
                self.reinvite_over(id, refused, now);
            }
        }
    }

    pub(super) fn reinvite_failed(&mut self, client: ClientId, id: DialogId, failure: Failure, now: Instant) {
        if self.reinvite_of(id, client).is_none() {
            return;
        }
        match failure {
            Failure::TimedOut => self.lost(id, EndCause::Gone, now),
            Failure::Unreachable => {
                let status = failure.status();
                let refused = refused(id, status, status.reason().to_owned(), true);
                self.reinvite_over(id, refused, now);
            }
        }
    }

    fn reinvite_over(&mut self, id: DialogId, event: Event, now: Instant) {
        self.events.push_back(event);
        let next = self.invites.get_mut(&id).and_then(|usage| {
            usage.reinvite = None;
            usage.next_offer.take()
        });
        if let Some(body) = next {
            self.reinvite(id, body, now);
        }
    }

    /// Sends what waits, unless an INVITE is under way in either direction.
    fn send_reinvite(&mut self, id: DialogId, now: Instant) {
        let is_busy = self.is_reinviting(id);
        let Some(usage) = self.invites.get_mut(&id) else {
            return;
        };
        let (Phase::Established, Some(key)) = (&usage.phase, usage.dialog) else {
            return;
        };
        if is_busy || usage.pending.is_some() || usage.waits_for_ack() {
            self.timers.set(Timer::Reinvite(id), Some(now + BUSY));
            return;
        }
        let Some(reinvite) = &mut usage.reinvite else {
            return;
        };
        reinvite.attempts += 1;
        let body = reinvite.body.clone();
        let Some(dialog) = self.dialogs.get_mut(key) else {
            return;
        };
        let contact = dialog.contact.clone();
        let (mut request, hop) = dialog.request(Method::INVITE);
        request.headers.push("Contact", contact);
        request.headers.push("Allow", compose::ALLOW);
        request.headers.push("Supported", compose::SUPPORTED.join(", "));
        self.push_timer(&mut request.headers);
        self.sign(&mut request);
        request.body = compose::push_body(&mut request.headers, Some(body));
        let client = self.send_request(request, hop, Purpose::Reinvite(id), now);
        if let Some(reinvite) = self
            .invites
            .get_mut(&id)
            .and_then(|usage| usage.reinvite.as_mut())
        {
            reinvite.client = Some(client);
        }
    }

    /// Both sides draw from ranges that do not meet, so that the next attempts do not, either.
    fn back_off(&mut self, id: DialogId) -> Duration {
        // Even numbers are the owner's: the call, and with it its Call-ID, is ours.
        let (least, most) = if id.0.is_multiple_of(2) {
            BACK_OFF_OWNER
        } else {
            BACK_OFF_OTHER
        };
        Duration::from_millis(u64::from(least + self.tokens.up_to(most - least)) * 10)
    }

    fn reinvite_of(&mut self, id: DialogId, client: ClientId) -> Option<&mut Reinvite> {
        let reinvite = self.invites.get_mut(&id)?.reinvite.as_mut();
        reinvite.filter(|reinvite| reinvite.client == Some(client))
    }
}

fn refused(dialog: DialogId, status: StatusCode, phrase: String, local: bool) -> Event {
    Event::ReinviteRefused {
        dialog,
        status,
        phrase,
        local,
    }
}
