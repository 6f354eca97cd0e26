//! Reliable provisional responses (RFC 3262): ours where the peer requires them, and the peer's to INVITEs of ours.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{
    Endpoint,
    authentication::ANSWERS_MAX,
    client::{ClientId, Purpose},
    command::DialogId,
    dialog::Dialog,
    event::Event,
    flow::{Flow, Target},
    invite_usage::Phase,
    received::{Received, number_in},
    server::{Reply, ServerId},
    timers::Timer,
};
use crate::message::{Headers, Method, Response, StatusCode, tag_of};

/// The option tag.
const TAG: &str = "100rel";
/// Early dialogs of one INVITE of ours.
const EARLY_MAX: usize = 16;
/// Bound of the first RSeq, with room for all that follow (RFC 3262 §3).
const FIRST_RSEQ: u32 = (1 << 31) - 2;

/// What a peer's INVITE that requires reliability has been told.
#[derive(Debug)]
pub(super) struct Reliable {
    /// CSeq of the INVITE.
    cseq: u32,
    /// Of the last response.
    rseq: u32,
    unacknowledged: Option<Unacknowledged>,
    /// What is to be told next: one at a time (RFC 3262 §3).
    next: Option<StatusCode>,
}

#[derive(Debug)]
struct Unacknowledged {
    bytes: Bytes,
    target: Target,
    interval: Duration,
    give_up: Instant,
}

/// A dialog that a reliable provisional response has opened; it exists for its PRACKs only.
#[derive(Debug)]
pub(super) struct Early {
    dialog: Dialog,
    rseq: u32,
}

impl Early {
    /// The last sequence number that its PRACKs may have used.
    pub(super) fn last_cseq(&self) -> u32 {
        self.dialog.last_cseq()
    }
}

/// Whether a message requires reliability.
fn requires(headers: &Headers) -> bool {
    headers
        .list("Require")
        .any(|tag| tag.trim().eq_ignore_ascii_case(TAG))
}

impl Endpoint {
    /// As callee: what is needed if this INVITE requires reliability.
    pub(super) fn reliability(&mut self, received: &Received) -> Option<Reliable> {
        requires(&received.request.headers).then(|| Reliable {
            cseq: received.cseq,
            rseq: self.tokens.up_to(FIRST_RSEQ),
            unacknowledged: None,
            next: None,
        })
    }

    /// A provisional response that must reach the peer; it waits while another does.
    pub(super) fn ring_reliably(&mut self, id: DialogId, status: StatusCode, server: ServerId, now: Instant) {
        let contact = self.invite_contact(id);
        let Some(reliable) = self.reliable(id) else {
            return;
        };
        if reliable.unacknowledged.is_some() {
            reliable.next = Some(status);
            return;
        }
        reliable.rseq += 1;
        let reply = Reply::new(status.0)
            .opening_dialog()
            .with("Contact", contact)
            .with("Require", TAG)
            .with("RSeq", reliable.rseq.to_string());
        self.reply(server, reply, now);
        let (t1, give_up) = (self.timing.t1(), now + self.timing.patience());
        let sent = self.servers.last_response(server);
        if let Some(reliable) = self.reliable(id) {
            reliable.unacknowledged = sent.map(|(target, bytes)| Unacknowledged {
                bytes,
                target,
                interval: t1,
                give_up,
            });
            self.timers.set(Timer::Provisional(id), Some(now + t1));
        }
    }

    /// RFC 3262 §3: again at doubled intervals; after 64·T1 the INVITE is refused.
    pub(super) fn handle_provisional_timeout(&mut self, id: DialogId, now: Instant) {
        let Some(waiting) = self
            .reliable(id)
            .and_then(|reliable| reliable.unacknowledged.as_mut())
        else {
            return;
        };
        if waiting.give_up > now {
            // Without the bound T2.
            waiting.interval = waiting.interval.saturating_mul(2);
            let next = waiting.give_up.min(now + waiting.interval);
            let (target, bytes) = (waiting.target.clone(), waiting.bytes.clone());
            self.timers.set(Timer::Provisional(id), Some(next));
            self.transmit(target, bytes, None);
            return;
        }
        if let Some(server) = self.invites.get(&id).and_then(|usage| usage.pending) {
            self.reply(server, Reply::new(500), now);
        }
        self.events.push_back(Event::Cancelled { dialog: id });
        self.refused(id, now);
    }

    /// PRACK: the provisional response has arrived.
    pub(super) fn handle_prack(&mut self, received: &Received, id: DialogId, server: ServerId, now: Instant) {
        let rack = received.request.headers.get("RAck").unwrap_or_default();
        let expected = self.reliable(id).filter(|reliable| {
            let parts: Vec<&str> = rack.split_ascii_whitespace().collect();
            let (rseq, cseq) = (reliable.rseq.to_string(), reliable.cseq.to_string());
            reliable.unacknowledged.is_some() && parts == [&rseq, &cseq, Method::INVITE.as_str()]
        });
        let Some(reliable) = expected else {
            return self.reply(server, Reply::new(481), now);
        };
        reliable.unacknowledged = None;
        let next = reliable.next.take();
        self.timers.set(Timer::Provisional(id), None);
        // We have described nothing yet, so there is no offer that this could be the answer to, nor one to answer.
        let status = if received.body().is_some() { 488 } else { 200 };
        self.reply(server, Reply::new(status), now);
        let pending = self.invites.get(&id).and_then(|usage| usage.pending);
        if let (Some(next), Some(pending)) = (next, pending) {
            self.ring_reliably(id, next, pending, now);
        }
    }

    /// The final answer ends what was provisional.
    pub(super) fn end_provisional(&mut self, id: DialogId) {
        self.timers.set(Timer::Provisional(id), None);
        if let Some(usage) = self.invites.get_mut(&id) {
            usage.reliable = None;
        }
    }

    /// As caller: acknowledges a reliable provisional response. False: it has been seen before or is out of order, and is not told.
    pub(super) fn acknowledge_provisional(
        &mut self,
        client: ClientId,
        id: DialogId,
        response: &Response,
        flow: Flow,
        now: Instant,
    ) -> bool {
        let Some(rseq) = number_in(&response.headers, "RSeq").filter(|_| requires(&response.headers)) else {
            return true;
        };
        let tag = response.headers.get("To").and_then(tag_of).unwrap_or_default();
        let (Some(usage), Some(invite)) = (self.invites.get_mut(&id), self.clients.request(client)) else {
            return false;
        };
        let Some(cseq) = invite.headers.get("CSeq").map(str::to_owned) else {
            return false;
        };
        let is_full = usage.early.len() >= EARLY_MAX;
        match usage.early.get_mut(tag) {
            // RFC 3262 §4: only the next one counts.
            Some(early) if early.rseq.checked_add(1) != Some(rseq) => return false,
            Some(early) => early.rseq = rseq,
            None if is_full => return false,
            None => {
                let contact = invite.headers.get("Contact").unwrap_or_default();
                let Some(dialog) = Dialog::from_response(invite, response, flow, contact) else {
                    return true;
                };
                usage.early.insert(tag.to_owned(), Early { dialog, rseq });
            }
        }
        let Some(early) = usage.early.get_mut(tag) else {
            return false;
        };
        let (mut prack, hop) = early.dialog.request(Method::PRACK);
        // Numbers for its repetitions with answers to challenges; a gap is legal.
        early.dialog.skip_cseq(ANSWERS_MAX.into());
        prack.headers.push("RAck", format!("{rseq} {cseq}"));
        self.sign(&mut prack);
        self.send_request(prack, hop, Purpose::Nobody, now);
        true
    }

    fn reliable(&mut self, id: DialogId) -> Option<&mut Reliable> {
        let usage = self.invites.get_mut(&id)?;
        matches!(usage.phase, Phase::Incoming)
            .then_some(usage.reliable.as_mut())
            .flatten()
    }
}
