//! Server transactions: matching, retransmissions, merged requests, responses and ACK.

use std::{collections::BTreeMap, time::Instant};

use bytes::Bytes;

use super::{
    Endpoint, Sender,
    command::{Body, DialogId, SubscriptionId},
    compose,
    dialog::DialogKey,
    flow::{Target, TransmitId, Transport},
    received::{Echo, MergeKey, Received, ServerKey},
    timers::Timer,
    transaction::{InviteServer, NonInviteServer, Sends, Step, Timing},
};
use crate::message::{Header, Headers, Message, Method, StatusCode};

/// A server transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ServerId(pub(super) u64);

/// What the owner was asked to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// The INVITE that opens the dialog; whether it had an offer.
    Invite(DialogId, bool),
    /// A re-INVITE; whether it had an offer.
    Reinvite(DialogId, bool),
    /// An UPDATE with an offer.
    Update(DialogId),
    Subscribe(SubscriptionId),
    Refer(ReferDue),
    Request,
}

/// A REFER that waits for its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReferDue {
    pub(super) dialog: DialogKey,
    pub(super) progress: Progress,
    /// The `id` that its NOTIFY must carry.
    pub(super) id: Option<u32>,
}

/// How the sender of a REFER wants to hear how it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// By the subscription that it implies (RFC 3515).
    Implied,
    /// By a SUBSCRIBE of its own, `Require: explicitsub` (RFC 7614 §4).
    AskedFor,
    /// Not at all: `Refer-Sub: false` (RFC 4488), `Require: nosub` (RFC 7614 §5).
    Untold,
}

#[derive(Debug, Default)]
pub(super) struct Servers {
    table: BTreeMap<ServerId, Box<Server>>,
    by_key: BTreeMap<ServerKey, ServerId>,
    merged: BTreeMap<MergeKey, ServerId>,
    last: u64,
}

/// Most of them are answered and wait for retransmissions for 32 s: so they keep little, and nothing that only an answer needs.
#[derive(Debug)]
struct Server {
    machine: Machine,
    key: ServerKey,
    merge: Option<MergeKey>,
    to_tag: Box<str>,
    target: Target,
    last: Option<Bytes>,
    transmit: Option<TransmitId>,
    /// Until the final response.
    unanswered: Option<Box<Unanswered>>,
}

/// What the answer to a request needs.
#[derive(Debug)]
struct Unanswered {
    echo: Echo,
    cseq: u32,
    due: Option<Due>,
}

#[derive(Debug)]
enum Machine {
    Invite(InviteServer),
    Other(NonInviteServer),
}

/// A response of ours, before it repeats its request's headers.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    phrase: Option<String>,
    headers: Headers,
    body: Option<Body>,
    opens_dialog: bool,
}

impl Reply {
    pub(super) fn new(status: u16) -> Self {
        Self {
            status: StatusCode(status),
            phrase: None,
            headers: Headers::default(),
            body: None,
            opens_dialog: false,
        }
    }

    pub(super) fn unavailable(retry_after: u32) -> Self {
        Self::new(503).with("Retry-After", retry_after.to_string())
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push(name, value);
        self
    }

    pub(super) fn phrase(mut self, phrase: Option<String>) -> Self {
        self.phrase = phrase.map(|phrase| phrase.replace(char::is_control, ""));
        self
    }

    pub(super) fn owned(mut self, headers: Vec<Header>) -> Self {
        // The Contact of a redirection is not ours but where to go (RFC 3261 §21.3).
        let redirects = (300..400).contains(&self.status.0);
        let (targets, others) = headers
            .into_iter()
            .partition(|header| redirects && header.name.eq_ignore_ascii_case("Contact"));
        self.headers.0.extend::<Vec<Header>>(targets);
        compose::push_owned(&mut self.headers, others);
        self
    }

    pub(super) fn body(mut self, body: Option<Body>) -> Self {
        self.body = body;
        self
    }

    /// Record-Route is repeated (RFC 3261 §12.1.1).
    pub(super) fn opening_dialog(mut self) -> Self {
        self.opens_dialog = true;
        self
    }

    pub(super) fn is_success(&self) -> bool {
        self.status.is_success()
    }

    pub(super) fn write(self, echo: Echo, to_tag: &str, product: &str) -> Bytes {
        let mut response = echo.into_response(self.status, to_tag, self.opens_dialog);
        if let Some(phrase) = self.phrase.filter(|phrase| !phrase.is_empty()) {
            response.reason = phrase;
        }
        response.headers.0.extend(self.headers.0);
        if !product.is_empty() {
            response.headers.push("Server", product);
        }
        response.body = compose::push_body(&mut response.headers, self.body);
        Message::Response(response).to_bytes()
    }
}

impl Servers {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn find(&self, key: &ServerKey) -> Option<ServerId> {
        self.by_key.get(key).copied()
    }

    /// Whether the same request has come over another path (RFC 3261 §8.2.2.2).
    pub(super) fn is_merged(&self, own: ServerId) -> bool {
        let merge = self.table.get(&own).and_then(|server| server.merge.as_ref());
        merge
            .and_then(|merge| self.merged.get(merge))
            .is_some_and(|first| *first != own)
    }

    pub(super) fn due(&self, id: ServerId) -> Option<Due> {
        self.unanswered(id)?.due
    }

    pub(super) fn set_due(&mut self, id: ServerId, due: Due) {
        let server = self.table.get_mut(&id);
        if let Some(unanswered) = server.and_then(|server| server.unanswered.as_mut()) {
            unanswered.due = Some(due);
        }
    }

    /// The tag that responses to this request carry in To.
    pub(super) fn to_tag(&self, id: ServerId) -> Option<&str> {
        self.table.get(&id).map(|server| &*server.to_tag)
    }

    /// RFC 3261 §9.2: the answer to CANCEL carries the tag of the answer to its request.
    pub(super) fn share_to_tag(&mut self, from: ServerId, to: ServerId) {
        let tag = self.to_tag(from).map(Box::from);
        if let (Some(tag), Some(server)) = (tag, self.table.get_mut(&to)) {
            server.to_tag = tag;
        }
    }

    /// The sequence number of a request that is not answered yet.
    pub(super) fn cseq(&self, id: ServerId) -> Option<u32> {
        Some(self.unanswered(id)?.cseq)
    }

    fn unanswered(&self, id: ServerId) -> Option<&Unanswered> {
        self.table.get(&id)?.unanswered.as_deref()
    }

    /// Hands over the 2xx to an INVITE and where it went: its user repeats it, the transaction never does (RFC 6026 §7.1).
    pub(super) fn take_success(&mut self, id: ServerId) -> Option<(Target, Bytes)> {
        let server = self.table.get_mut(&id)?;
        Some((server.target.clone(), server.last.take()?))
    }

    /// The last response and where it went.
    pub(super) fn last_response(&self, id: ServerId) -> Option<(Target, Bytes)> {
        let server = self.table.get(&id)?;
        Some((server.target.clone(), server.last.clone()?))
    }
}

impl Machine {
    fn handle_retransmission(&self) -> Step {
        match self {
            Self::Invite(machine) => machine.handle_retransmission(),
            Self::Other(machine) => machine.handle_retransmission(),
        }
    }

    fn handle_timeout(&mut self, now: Instant) -> Step {
        match self {
            Self::Invite(machine) => machine.handle_timeout(now),
            Self::Other(machine) => machine.handle_timeout(now),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Invite(machine) => machine.poll_timeout(),
            Self::Other(machine) => machine.poll_timeout(),
        }
    }
}

impl Endpoint {
    /// Opens a transaction for a new request. `to_tag` is the tag that its responses carry if the request has none.
    pub(super) fn open_server(&mut self, received: &Received, key: ServerKey, now: Instant) -> ServerId {
        let timing = Timing::new(self.config.t1, received.flow.transport != Transport::Udp);
        let machine = if *received.method() == Method::INVITE {
            Machine::Invite(InviteServer::new(timing, now))
        } else {
            Machine::Other(NonInviteServer::new(timing, now))
        };
        self.servers.last += 1;
        let id = ServerId(self.servers.last);
        let merge = received.to_tag.is_none().then(|| received.merge_key());
        if let Some(merge) = &merge {
            self.servers.merged.entry(merge.clone()).or_insert(id);
        }
        self.servers.by_key.insert(key.clone(), id);
        let server = Server {
            machine,
            key,
            merge,
            to_tag: received
                .to_tag
                .clone()
                .unwrap_or_else(|| self.tokens.tag())
                .into(),
            target: received.response_target(),
            last: None,
            transmit: None,
            unanswered: Some(Box::new(Unanswered {
                echo: received.echo(),
                cseq: received.cseq,
                due: None,
            })),
        };
        self.servers.table.insert(id, Box::new(server));
        self.arm_server(id);
        id
    }

    /// Sends a response in its transaction; nothing if the final one has been sent or the transaction is gone.
    pub(super) fn reply(&mut self, id: ServerId, reply: Reply, now: Instant) {
        let Some(server) = self.servers.table.get_mut(&id) else {
            return;
        };
        let status = reply.status;
        let echo = if status.is_provisional() {
            let unanswered = server.unanswered.as_ref();
            unanswered.map(|unanswered| unanswered.echo.clone())
        } else {
            server.unanswered.take().map(|unanswered| unanswered.echo)
        };
        let Some(echo) = echo else {
            return;
        };
        let bytes = reply.write(echo, &server.to_tag, &self.config.product);
        server.last = Some(bytes.clone());
        let over = match &mut server.machine {
            Machine::Invite(machine) => {
                machine.respond(status, now);
                false
            }
            Machine::Other(machine) => machine.respond(status, now),
        };
        let (target, last) = (server.target.clone(), server.transmit);
        let transmit = self.transmit(target, bytes, Some((Sender::Server(id), last)));
        if let Some(server) = self.servers.table.get_mut(&id) {
            server.transmit = Some(transmit);
        }
        if over {
            self.forget_server(id);
        } else {
            self.arm_server(id);
        }
    }

    /// A response outside any transaction.
    pub(super) fn reply_statelessly(&mut self, received: &Received, reply: Reply) {
        let bytes = reply.write(received.echo(), &received.stateless_tag(), &self.config.product);
        self.transmit(received.response_target(), bytes, None);
    }

    /// A request of this transaction came again.
    pub(super) fn handle_request_retransmission(&mut self, id: ServerId, now: Instant) {
        let step = self
            .servers
            .table
            .get(&id)
            .map(|server| server.machine.handle_retransmission());
        self.send_as_asked(id, step, now);
    }

    /// An ACK for this INVITE transaction. True: it acknowledges a 2xx and is the dialog's.
    pub(super) fn handle_transaction_ack(&mut self, id: ServerId, now: Instant) -> bool {
        let step = match self.servers.table.get_mut(&id).map(|server| &mut server.machine) {
            Some(Machine::Invite(machine)) => machine.handle_ack(now),
            Some(Machine::Other(_)) | None => return false,
        };
        if step.over {
            self.forget_server(id);
        } else {
            self.arm_server(id);
        }
        step.deliver
    }

    pub(super) fn handle_server_timeout(&mut self, id: ServerId, now: Instant) {
        let Some(server) = self.servers.table.get_mut(&id) else {
            return;
        };
        let step = server.machine.handle_timeout(now);
        self.send_as_asked(id, Some(step), now);
        if step.over {
            let unanswered = self.servers.due(id);
            self.forget_server(id);
            if let Some(due) = unanswered {
                self.answer_lapsed(due, id, now);
            }
        } else {
            self.arm_server(id);
        }
    }

    /// The shell could not send the response (RFC 3261 §17.2.4). A 2xx to INVITE is still retransmitted until its own deadline.
    pub(super) fn server_unreachable(&mut self, id: ServerId) {
        let is_final_of_non_invite =
            self.servers.table.get(&id).is_some_and(|server| {
                matches!(server.machine, Machine::Other(_)) && server.unanswered.is_none()
            });
        if is_final_of_non_invite {
            self.forget_server(id);
        }
    }

    fn forget_server(&mut self, id: ServerId) {
        self.timers.set(Timer::Server(id), None);
        let Some(server) = self.servers.table.remove(&id) else {
            return;
        };
        self.servers.by_key.remove(&server.key);
        if let Some(merge) = server.merge
            && self.servers.merged.get(&merge) == Some(&id)
        {
            self.servers.merged.remove(&merge);
        }
        if let Some(transmit) = server.transmit {
            self.sent.remove(&transmit);
        }
    }

    fn send_as_asked(&mut self, id: ServerId, step: Option<Step>, now: Instant) {
        match step.and_then(|step| step.sends) {
            Some(Sends::Trying) => self.reply(id, Reply::new(100), now),
            Some(Sends::Response) => {
                if let Some((target, bytes)) = self.servers.last_response(id) {
                    self.transmit(target, bytes, None);
                }
            }
            Some(Sends::Request | Sends::Ack) | None => {}
        }
    }

    fn arm_server(&mut self, id: ServerId) {
        let deadline = self
            .servers
            .table
            .get(&id)
            .and_then(|server| server.machine.poll_timeout());
        self.timers.set(Timer::Server(id), deadline);
    }
}
