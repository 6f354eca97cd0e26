//! Session timers (RFC 4028): a session that its peer no longer refreshes is ended.

use std::time::{Duration, Instant};

use super::{
    Endpoint,
    client::{ClientId, Failure, Purpose},
    command::DialogId,
    compose,
    event::EndCause,
    received::number_in,
    server::Reply,
    timers::Timer,
};
use crate::message::{CSeq, Headers, Method, Parameterized, Request, Response, tag_of};

/// The longest interval that a peer's Min-SE makes us ask for.
const MIN_SE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long after a refresh that failed for the moment the next is tried.
const RETRY: Duration = Duration::from_secs(10);
/// How much before its end a session is given up; a third of the interval at most (RFC 4028 §10).
const MARGIN: Duration = Duration::from_secs(32);

/// The timer of one session.
#[derive(Debug)]
pub(super) struct SessionTimer {
    interval: Duration,
    /// We refresh.
    ours: bool,
    refresh_at: Instant,
    /// When the session is given up.
    deadline: Instant,
    refreshing: Option<ClientId>,
    /// UPDATE was refused: re-INVITE from now on.
    without_update: bool,
}

/// What a request says of the session's timer.
#[derive(Debug)]
pub(super) struct Asked {
    interval: Option<Duration>,
    shortest: Duration,
    refresher: Option<bool>,
    /// The peer knows session timers.
    supported: bool,
}

impl Asked {
    pub(super) fn read(headers: &Headers) -> Self {
        let session = session_expires(headers);
        Self {
            interval: session.as_ref().map(|(interval, _)| *interval),
            refresher: session.and_then(|(_, refresher)| refresher),
            shortest: duration(headers, "Min-SE").unwrap_or_default(),
            supported: headers
                .list("Supported")
                .chain(headers.list("Require"))
                .any(|tag| tag.trim().eq_ignore_ascii_case("timer")),
        }
    }
}

impl Endpoint {
    /// RFC 4028 §9: an interval that is too short is refused if the peer can ask for a longer one.
    pub(super) fn too_short_interval(&self, headers: &Headers) -> Option<Reply> {
        let asked = Asked::read(headers);
        let (shortest, _) = self.config.limits.session;
        let too_short = asked.supported && asked.interval.is_some_and(|interval| interval < shortest);
        too_short.then(|| Reply::new(422).with("Min-SE", shortest.as_secs().to_string()))
    }

    /// As callee: adds to a 2xx what the timer will be, and starts it.
    pub(super) fn agree_on_timer(
        &mut self,
        id: DialogId,
        asked: &Asked,
        reply: Reply,
        now: Instant,
    ) -> Reply {
        let (shortest, longest) = self.config.limits.session;
        // Table 2 of RFC 4028: who does not know timers does not refresh; then it is up to us if a proxy wants it.
        if asked.interval.is_none() && !asked.supported {
            self.set_session_timer(id, None, now);
            return reply;
        }
        let interval = asked
            .interval
            .unwrap_or(longest)
            .min(longest)
            .max(asked.shortest.min(MIN_SE_MAX))
            .max(shortest);
        let ours = !asked.supported || asked.refresher == Some(false);
        self.set_session_timer(id, Some((interval, ours)), now);
        let refresher = if ours { "uas" } else { "uac" };
        let reply = reply.with(
            "Session-Expires",
            format!("{};refresher={refresher}", interval.as_secs()),
        );
        if ours {
            reply
        } else {
            reply.with("Require", "timer")
        }
    }

    /// As caller: what the 2xx to our INVITE or refresh has made of it.
    pub(super) fn take_timer(&mut self, id: DialogId, response: &Response, now: Instant) {
        let timer = session_expires(&response.headers).map(|(interval, refresher)| {
            (
                interval.clamp(self.config.limits.session.0.min(MIN_SE_MAX), MIN_SE_MAX),
                refresher != Some(false),
            )
        });
        self.set_session_timer(id, timer, now);
    }

    /// What an INVITE of ours asks for.
    pub(super) fn push_timer(&self, headers: &mut Headers) {
        let (shortest, longest) = self.config.limits.session;
        headers.push("Session-Expires", longest.as_secs().to_string());
        headers.push("Min-SE", shortest.as_secs().to_string());
    }

    /// Repeats a request of ours that was refused 422, with a longer interval; false if it was not or that is to no purpose.
    pub(super) fn ask_for_longer(
        &mut self,
        id: ClientId,
        response: &Response,
        over: bool,
        now: Instant,
    ) -> bool {
        let Some((request, _, mut answered, _)) = self.clients.challenged(id) else {
            return false;
        };
        let Some(mut request) = lengthened(&request, response).filter(|_| !answered.interval) else {
            return false;
        };
        answered.interval = true;
        if self.advance_cseq(&mut request).is_none() {
            return false;
        }
        self.repeat_request(id, request, answered, over, now);
        true
    }

    pub(super) fn handle_session_timeout(&mut self, id: DialogId, now: Instant) {
        let Some(timer) = self.invites.get(&id).and_then(|usage| usage.session.as_ref()) else {
            return;
        };
        if self.is_leaving(id) {
            return;
        }
        if timer.deadline <= now {
            self.lost(id, EndCause::Gone, now);
        } else if timer.ours && timer.refreshing.is_none() {
            self.send_refresh(id, now);
        }
    }

    pub(super) fn refresh_answered(
        &mut self,
        client: ClientId,
        id: DialogId,
        response: &Response,
        now: Instant,
    ) {
        if response.status.is_provisional() {
            return;
        }
        if response.status.is_success() && self.is_invite(client) {
            self.acknowledge_again(client, id, response);
        }
        if self.refreshing(id, client).is_none() {
            return;
        }
        if response.status.is_success() {
            self.refresh_target_by(id, response);
        }
        let Some(timer) = self.refreshing(id, client) else {
            return;
        };
        timer.refreshing = None;
        match response.status.0 {
            200..300 => {
                let without_update = timer.without_update;
                if session_expires(&response.headers).is_some() {
                    self.take_timer(id, response, now);
                } else {
                    let kept = Some((timer.interval, true));
                    self.set_session_timer(id, kept, now);
                }
                if let Some(timer) = self.session(id) {
                    timer.without_update = without_update;
                }
            }
            408 | 481 => self.lost(id, EndCause::Gone, now),
            405 | 501 if !timer.without_update => {
                timer.without_update = true;
                self.send_refresh(id, now);
            }
            // RFC 3261 §14.1 and the like: later, until the deadline.
            _ => self.refresh_later(id, now),
        }
    }

    pub(super) fn refresh_failed(&mut self, client: ClientId, id: DialogId, failure: Failure, now: Instant) {
        let Some(timer) = self.refreshing(id, client) else {
            return;
        };
        timer.refreshing = None;
        match failure {
            Failure::TimedOut => self.lost(id, EndCause::Gone, now),
            Failure::Unreachable => self.refresh_later(id, now),
        }
    }

    /// A re-INVITE of ours waits for its answer: the peer's own crosses it.
    pub(super) fn is_reinviting(&self, id: DialogId) -> bool {
        let Some(usage) = self.invites.get(&id) else {
            return false;
        };
        let refreshing = usage.session.as_ref().and_then(|timer| timer.refreshing);
        usage.is_offering() || refreshing.is_some_and(|client| self.is_invite(client))
    }

    fn set_session_timer(&mut self, id: DialogId, timer: Option<(Duration, bool)>, now: Instant) {
        let Some(usage) = self.invites.get_mut(&id) else {
            return;
        };
        usage.session = timer.map(|(interval, ours)| SessionTimer {
            interval,
            ours,
            refresh_at: now + interval / 2,
            deadline: now + interval - MARGIN.min(interval / 3),
            refreshing: None,
            without_update: !usage.peer_updates,
        });
        self.arm_session(id);
    }

    fn arm_session(&mut self, id: DialogId) {
        let timer = self.invites.get(&id).and_then(|usage| usage.session.as_ref());
        let at = timer.map(|timer| {
            if timer.ours && timer.refreshing.is_none() {
                timer.refresh_at.min(timer.deadline)
            } else {
                timer.deadline
            }
        });
        self.timers.set(Timer::Session(id), at);
    }

    fn refresh_later(&mut self, id: DialogId, now: Instant) {
        if let Some(timer) = self.session(id) {
            timer.refresh_at = now + RETRY;
        }
        self.arm_session(id);
    }

    fn send_refresh(&mut self, id: DialogId, now: Instant) {
        let Some(usage) = self.invites.get(&id) else {
            return;
        };
        let (Some(key), Some(timer)) = (usage.dialog, &usage.session) else {
            return;
        };
        let busy = usage.pending.is_some() || usage.waits_for_ack() || usage.is_offering();
        if timer.without_update && busy {
            return self.refresh_later(id, now);
        }
        let (method, body) = if timer.without_update {
            (Method::INVITE, usage.described.clone())
        } else {
            (Method::UPDATE, None)
        };
        let interval = timer.interval.as_secs();
        let Some(dialog) = self.dialogs.get_mut(key) else {
            return;
        };
        let contact = dialog.contact.clone();
        let (mut request, hop) = dialog.request(method);
        let headers = &mut request.headers;
        headers.push("Contact", contact);
        headers.push("Allow", compose::ALLOW);
        headers.push("Supported", compose::SUPPORTED.join(", "));
        headers.push("Session-Expires", format!("{interval};refresher=uac"));
        headers.push("Min-SE", self.config.limits.session.0.as_secs().to_string());
        self.sign(&mut request);
        request.body = compose::push_body(&mut request.headers, body);
        let client = self.send_request(request, hop, Purpose::Refresh(id), now);
        if let Some(timer) = self.session(id) {
            timer.refreshing = Some(client);
        }
        self.arm_session(id);
    }

    /// The 2xx to a re-INVITE of ours; a retransmitted one gets its ACK again (RFC 3261 §13.2.2.4).
    pub(super) fn acknowledge_again(&mut self, client: ClientId, id: DialogId, response: &Response) {
        let tag = response.headers.get("To").and_then(tag_of).unwrap_or_default();
        if self.clients.has_acknowledged(client, tag) {
            return self.repeat_ack(client, tag);
        }
        self.refresh_target_by(id, response);
        let cseq: Option<CSeq> = response.headers.get("CSeq").and_then(|cseq| cseq.parse().ok());
        let key = self.invites.get(&id).and_then(|usage| usage.dialog);
        let dialog = key.and_then(|key| self.dialogs.get(key));
        let (Some(cseq), Some(dialog), Some(invite)) = (cseq, dialog, self.clients.request(client)) else {
            return;
        };
        let (mut ack, hop) = dialog.ack(cseq.number);
        ack.headers.0.extend(super::authentication::answers_in(invite));
        self.sign(&mut ack);
        self.send_ack(client, tag, ack, hop);
    }

    /// RFC 3261 §12.2.1.2: the 2xx to a target refresh says where requests go from now on.
    fn refresh_target_by(&mut self, id: DialogId, response: &Response) {
        let key = self.invites.get(&id).and_then(|usage| usage.dialog);
        if let Some(dialog) = key.and_then(|key| self.dialogs.get_mut(key)) {
            let contact = response.headers.list("Contact").next();
            dialog.refresh_target(contact.and_then(|contact| contact.parse().ok()));
        }
    }

    fn is_invite(&self, client: ClientId) -> bool {
        self.clients
            .request(client)
            .is_some_and(|request| request.method == Method::INVITE)
    }

    fn session(&mut self, id: DialogId) -> Option<&mut SessionTimer> {
        self.invites.get_mut(&id)?.session.as_mut()
    }

    fn refreshing(&mut self, id: DialogId, client: ClientId) -> Option<&mut SessionTimer> {
        self.session(id).filter(|timer| timer.refreshing == Some(client))
    }
}

/// The request with the interval that the peer's 422 wants, once.
fn lengthened(request: &Request, response: &Response) -> Option<Request> {
    let wanted = duration(&response.headers, "Min-SE").filter(|wanted| *wanted <= MIN_SE_MAX)?;
    let (interval, _) = session_expires(&request.headers)?;
    if response.status.0 != 422 || wanted <= interval {
        return None;
    }
    let mut request = request.clone();
    for header in &mut request.headers.0 {
        let seconds = wanted.as_secs();
        match header.name.as_ref() {
            "Session-Expires" if header.value.contains(';') => {
                header.value = format!("{seconds};refresher=uac");
            }
            "Session-Expires" | "Min-SE" => header.value = seconds.to_string(),
            _ => {}
        }
    }
    Some(request)
}

/// The interval and, if it is said, whether the caller of this request refreshes.
fn session_expires(headers: &Headers) -> Option<(Duration, Option<bool>)> {
    let read: Parameterized = headers.get("Session-Expires")?.parse().ok()?;
    let seconds: u32 = read.value.parse().ok()?;
    let refresher = read.parameter("refresher").and_then(|refresher| {
        let is = |name: &str| refresher.eq_ignore_ascii_case(name);
        is("uac").then_some(true).or_else(|| is("uas").then_some(false))
    });
    Some((Duration::from_secs(seconds.into()), refresher))
}

fn duration(headers: &Headers, name: &str) -> Option<Duration> {
    number_in(headers, name).map(|seconds| Duration::from_secs(seconds.into()))
}
