//! Client transactions: look-up, choice of transport, failover, matching of responses, ACK and CANCEL.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use bytes::Bytes;

use super::{
    Endpoint, Sender,
    authentication::Answered,
    command::{DialogId, SubscriptionId},
    compose::{self, ack_to_failure, cancel_of, with_via},
    flow::{Flow, Resolve, ResolveId, Target, TransmitId, Transport},
    route::{Found, Hop, local_address},
    timers::Timer,
    transaction::{Expiry, InviteClient, NonInviteClient, Sends, Step, Timing},
};
use crate::message::{CSeq, Header, MAGIC_COOKIE, Method, Request, Response, StatusCode, Via};

/// A request larger than this goes over a congestion-controlled transport (RFC 3261 §18.1.1).
const UDP_REQUEST_MAX: usize = 1300;
/// What [`super::tokens::Tokens::branch`] adds to the magic cookie.
const BRANCH_LENGTH: usize = 32;
/// Forks of one INVITE that are acknowledged.
const FORKS_MAX: usize = 16;

/// A client transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClientId(pub(super) u64);

/// Whom the response is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Invite(DialogId),
    Bye(DialogId),
    Notify(SubscriptionId),
    /// The SUBSCRIBE or REFER of a subscription of ours.
    Subscribe(SubscriptionId),
    /// The UPDATE or re-INVITE that refreshes a session.
    Refresh(DialogId),
    /// The REGISTER of the registration.
    Register,
    /// Nobody: CANCEL, the BYE of a dialog already given up.
    Nobody,
}

/// How a request ended that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// No answer in time: counts as 408 (RFC 3261 §8.1.3.1).
    TimedOut,
    /// No address, or none that can be reached: counts as 503.
    Unreachable,
}

impl Failure {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::TimedOut => StatusCode(408),
            Self::Unreachable => StatusCode(503),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Clients {
    table: BTreeMap<ClientId, Client>,
    by_branch: BTreeMap<(String, Method), ClientId>,
    lookups: BTreeMap<ResolveId, Lookup>,
    last: u64,
    last_lookup: u64,
}

#[derive(Debug, Clone)]
enum Lookup {
    Request(ClientId),
    /// The ACK to a 2xx, by the peer's tag.
    Ack(ClientId, String),
}

/// One client transaction, over all addresses it tries.
#[derive(Debug)]
struct Client {
    request: Request,
    hop: Hop,
    purpose: Purpose,
    /// Addresses not yet tried.
    candidates: VecDeque<Target>,
    /// The UDP target of an oversize request that is tried over TCP first.
    fallback: Option<Target>,
    attempt: Option<Attempt>,
    /// While no address is known.
    lookup: Option<(ResolveId, Instant)>,
    /// The owner has given it up: no further address is tried.
    given_up: bool,
    /// CANCEL is due, with these headers.
    cancel: Option<Vec<Header>>,
    /// ACKs to 2xx, by the peer's tag, for its retransmissions.
    acks: BTreeMap<String, Ack>,
    answered: Answered,
}

#[derive(Debug)]
struct Attempt {
    machine: Machine,
    branch: String,
    via: String,
    wire: Bytes,
    ack: Option<Bytes>,
    target: Target,
    transmit: TransmitId,
}

#[derive(Debug)]
enum Machine {
    Invite(InviteClient),
    Other(NonInviteClient),
}

#[derive(Debug)]
struct Ack {
    request: Request,
    hop: Hop,
    lookup: Option<ResolveId>,
    sent: Option<(Target, Bytes)>,
}

impl Clients {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// The request of a transaction, as composed (without Via).
    pub(super) fn request(&self, id: ClientId) -> Option<&Request> {
        self.table.get(&id).map(|client| &client.request)
    }

    /// Whether this 2xx is a retransmission that an ACK of ours has answered before.
    pub(super) fn has_acknowledged(&self, id: ClientId, tag: &str) -> bool {
        self.table
            .get(&id)
            .is_some_and(|client| client.acks.contains_key(tag))
    }

    /// Whether one more fork of this INVITE may be acknowledged.
    pub(super) fn may_fork(&self, id: ClientId) -> bool {
        self.table
            .get(&id)
            .is_some_and(|client| client.acks.len() < FORKS_MAX)
    }

    /// What is needed to answer a challenge to a request that is still wanted.
    pub(super) fn challenged(&self, id: ClientId) -> Option<(Request, Target, Answered, Purpose)> {
        let client = self.table.get(&id).filter(|client| !client.given_up)?;
        let target = client.attempt.as_ref()?.target.clone();
        Some((client.request.clone(), target, client.answered, client.purpose))
    }

    fn insert(&mut self, client: Client) -> ClientId {
        self.last += 1;
        let id = ClientId(self.last);
        self.table.insert(id, client);
        id
    }
}

impl Client {
    fn new(request: Request, hop: Hop, purpose: Purpose) -> Self {
        Self {
            request,
            hop,
            purpose,
            candidates: VecDeque::new(),
            fallback: None,
            attempt: None,
            lookup: None,
            given_up: false,
            cancel: None,
            acks: BTreeMap::new(),
            answered: Answered::default(),
        }
    }
}

impl Machine {
    fn handle_response(&mut self, status: StatusCode, now: Instant) -> Step {
        match self {
            Self::Invite(machine) => machine.handle_response(status, now),
            Self::Other(machine) => machine.handle_response(status, now),
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

    fn is_answered(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_answered(),
            Self::Other(machine) => machine.is_answered(),
        }
    }
}

impl Endpoint {
    /// Sends a request in a transaction of its own; its end comes back by `purpose`, never within this call.
    pub(super) fn send_request(
        &mut self,
        request: Request,
        hop: Hop,
        purpose: Purpose,
        now: Instant,
    ) -> ClientId {
        let known = hop.numeric_target();
        let mut client = Client::new(request, hop.clone(), purpose);
        let is_known = known.is_some();
        client.candidates = known.into_iter().collect();
        let id = self.clients.insert(client);
        if is_known {
            self.next_attempt(id, now);
        } else if hop.host.is_empty() {
            // A `tel:` URI and the like: nowhere to go.
            self.timers.set(Timer::Client(id), Some(now));
        } else {
            let lookup = self.look_up(&hop, Lookup::Request(id));
            if let Some(client) = self.clients.table.get_mut(&id) {
                client.lookup = Some((lookup, now + self.timing.patience()));
            }
            self.arm_client(id);
        }
        id
    }

    /// Sends the ACK to a 2xx and keeps it for the 2xx's retransmissions; a request outside any transaction (RFC 3261 §13.2.2.4).
    pub(super) fn send_ack(&mut self, id: ClientId, tag: &str, request: Request, hop: Hop) {
        let known = hop.numeric_target();
        let lookup = match known {
            Some(_) => None,
            None => Some(self.look_up(&hop, Lookup::Ack(id, tag.to_owned()))),
        };
        let Some(client) = self.clients.table.get_mut(&id) else {
            return;
        };
        let ack = Ack {
            request,
            hop,
            lookup,
            sent: None,
        };
        client.acks.insert(tag.to_owned(), ack);
        if let Some(target) = known {
            self.dispatch_ack(id, tag, target);
        }
    }

    /// Sends a known ACK again.
    pub(super) fn repeat_ack(&mut self, id: ClientId, tag: &str) {
        let ack = self
            .clients
            .table
            .get(&id)
            .and_then(|client| client.acks.get(tag));
        if let Some((target, bytes)) = ack.and_then(|ack| ack.sent.clone()) {
            self.transmit(target, bytes, None);
        }
    }

    /// Gives up an INVITE: CANCEL as soon as a provisional response allows it (RFC 3261 §9.1). False: it has never been sent
    /// or is unknown, and is forgotten.
    pub(super) fn cancel_request(&mut self, id: ClientId, headers: Vec<Header>, now: Instant) -> bool {
        match self.clients.table.get_mut(&id) {
            Some(client) if client.attempt.is_some() => {
                client.given_up = true;
                client.cancel = Some(headers);
            }
            _ => {
                self.forget_client(id);
                return false;
            }
        }
        self.send_cancel_if_due(id, now);
        true
    }

    pub(super) fn handle_response(&mut self, response: Response, flow: Flow, now: Instant) {
        let Some(id) = self.match_response(&response) else {
            return;
        };
        let Some(client) = self.clients.table.get_mut(&id) else {
            return;
        };
        let Some(attempt) = &mut client.attempt else {
            return;
        };
        let was_answered = attempt.machine.is_answered();
        let step = attempt.machine.handle_response(response.status, now);
        if step.sends == Some(Sends::Ack) {
            let ack = attempt
                .ack
                .get_or_insert_with(|| ack_to_failure(&client.request, &attempt.via, &response));
            let (target, bytes) = (attempt.target.clone(), ack.clone());
            self.transmit(target, bytes, None);
        }
        // RFC 3263 §4.3: a 503 sends the request to the next address.
        let fails_over = response.status.0 == 503 && !was_answered && self.has_candidate(id);
        if fails_over {
            self.retire_attempt(id, step.over);
            self.next_attempt(id, now);
            return;
        }
        if !was_answered
            && (self.answer_challenge(id, &response, step.over, now)
                || self.ask_for_longer(id, &response, step.over, now))
        {
            return;
        }
        let purpose = self.clients.table.get(&id).map(|client| client.purpose);
        if response.status.is_provisional() {
            self.send_cancel_if_due(id, now);
        }
        if let Some(purpose) = purpose
            && step.deliver
        {
            self.deliver_response(id, purpose, &response, flow, now);
        }
        if step.over {
            self.forget_client(id);
        } else {
            self.arm_client(id);
        }
    }

    pub(super) fn handle_client_timeout(&mut self, id: ClientId, now: Instant) {
        let Some(client) = self.clients.table.get_mut(&id) else {
            return;
        };
        let Some(attempt) = &mut client.attempt else {
            let failure = match client.lookup {
                Some(_) => Failure::TimedOut,
                None => Failure::Unreachable,
            };
            self.conclude_client(id, failure, now);
            return;
        };
        let step = attempt.machine.handle_timeout(now);
        if step.sends == Some(Sends::Request) {
            let (target, wire, last) = (attempt.target.clone(), attempt.wire.clone(), attempt.transmit);
            let transmit = self.transmit(target, wire, Some((Sender::Client(id), Some(last))));
            if let Some(attempt) = self.attempt_mut(id) {
                attempt.transmit = transmit;
            }
        }
        match step.expired {
            Some(Expiry::NoAnswer) if self.has_candidate(id) => self.next_attempt(id, now),
            Some(Expiry::NoAnswer) => self.conclude_client(id, Failure::TimedOut, now),
            Some(Expiry::Ringing) => {
                self.cancel_request(id, Vec::new(), now);
                self.arm_client(id);
            }
            None if step.over => self.forget_client(id),
            None => self.arm_client(id),
        }
    }

    /// The shell could not send the request: the next address, or the end.
    pub(super) fn client_unreachable(&mut self, id: ClientId, now: Instant) {
        let Some(attempt) = self.attempt_mut(id) else {
            return;
        };
        let heard = match &attempt.machine {
            Machine::Invite(machine) => machine.is_answered() || machine.is_proceeding(),
            Machine::Other(machine) => machine.is_answered(),
        };
        if heard {
            return;
        }
        let fallback = self
            .clients
            .table
            .get_mut(&id)
            .and_then(|client| client.fallback.take());
        if let Some(target) = fallback {
            self.attempt(id, target, now);
        } else if self.has_candidate(id) {
            self.next_attempt(id, now);
        } else {
            self.conclude_client(id, Failure::Unreachable, now);
        }
    }

    pub(super) fn handle_lookup(&mut self, id: ResolveId, found: &Found, now: Instant) {
        match self.clients.lookups.remove(&id) {
            Some(Lookup::Request(client)) => self.request_located(client, found, now),
            Some(Lookup::Ack(client, tag)) => {
                let ack = self
                    .clients
                    .table
                    .get(&client)
                    .and_then(|client| client.acks.get(&tag));
                let target = ack.and_then(|ack| found.targets(&ack.hop).into_iter().next());
                if let Some(target) = target {
                    self.dispatch_ack(client, &tag, target);
                }
            }
            None => {}
        }
    }

    /// Drops a transaction with everything that points to it.
    pub(super) fn forget_client(&mut self, id: ClientId) {
        self.timers.set(Timer::Client(id), None);
        let Some(client) = self.clients.table.remove(&id) else {
            return;
        };
        if let Some((lookup, _)) = client.lookup {
            self.clients.lookups.remove(&lookup);
        }
        for lookup in client.acks.values().filter_map(|ack| ack.lookup) {
            self.clients.lookups.remove(&lookup);
        }
        if let Some(attempt) = client.attempt {
            self.forget_attempt(attempt, &client.request.method);
        }
    }

    fn forget_attempt(&mut self, attempt: Attempt, method: &Method) {
        self.sent.remove(&attempt.transmit);
        self.clients.by_branch.remove(&(attempt.branch, method.clone()));
    }

    fn request_located(&mut self, id: ClientId, found: &Found, now: Instant) {
        let Some(client) = self.clients.table.get_mut(&id) else {
            return;
        };
        client.lookup = None;
        let (hop, targets) = (client.hop.clone(), found.targets(&client.hop));
        client.candidates = targets.iter().cloned().collect();
        self.note_addresses(&hop, &targets);
        if targets.is_empty() {
            self.conclude_client(id, Failure::Unreachable, now);
        } else {
            self.next_attempt(id, now);
        }
    }

    fn conclude_client(&mut self, id: ClientId, failure: Failure, now: Instant) {
        let purpose = self.clients.table.get(&id).map(|client| client.purpose);
        self.forget_client(id);
        if let Some(purpose) = purpose {
            self.deliver_failure(id, purpose, failure, now);
        }
    }

    /// Sends the request to the next address (RFC 3263 §4.3).
    fn next_attempt(&mut self, id: ClientId, now: Instant) {
        let Some(client) = self.clients.table.get_mut(&id) else {
            return;
        };
        if let Some(target) = client.candidates.pop_front() {
            client.fallback = None;
            let target = self.congestion_controlled(id, target);
            self.attempt(id, target, now);
        }
    }

    /// TCP instead of UDP for an oversize request; if TCP turns out to be refused, UDP it is after all (RFC 3261 §18.1.1).
    fn congestion_controlled(&mut self, id: ClientId, target: Target) -> Target {
        let local = local_address(&self.config, target.transport);
        let speaks_tcp = self
            .config
            .local
            .iter()
            .any(|local| local.transport == Transport::Tcp);
        let Some(client) = self.clients.table.get_mut(&id) else {
            return target;
        };
        let via = compose::via(&local, target.transport, MAGIC_COOKIE);
        let length = with_via(&client.request, &via).len() + BRANCH_LENGTH;
        if target.transport != Transport::Udp || !speaks_tcp || length <= UDP_REQUEST_MAX {
            return target;
        }
        client.fallback = Some(target.clone());
        Target {
            transport: Transport::Tcp,
            ..target
        }
    }

    /// Sends a request again that was challenged, where it went before.
    pub(super) fn repeat_request(
        &mut self,
        id: ClientId,
        request: Request,
        answered: Answered,
        over: bool,
        now: Instant,
    ) {
        let Some(target) = self.attempt_mut(id).map(|attempt| attempt.target.clone()) else {
            return;
        };
        self.retire_attempt(id, over);
        if let Some(client) = self.clients.table.get_mut(&id) {
            client.request = request;
            client.answered = answered;
            let target = self.congestion_controlled(id, target);
            self.attempt(id, target, now);
        }
    }

    /// Sets an attempt aside that was answered finally while its request is sent again: a retransmitted response to an INVITE still
    /// gets its ACK (RFC 3261 §17.1.1.2).
    fn retire_attempt(&mut self, id: ClientId, over: bool) {
        let Some(client) = self.clients.table.get_mut(&id) else {
            return;
        };
        let (request, hop) = (client.request.clone(), client.hop.clone());
        let Some(attempt) = client.attempt.take() else {
            return;
        };
        if over {
            return self.forget_attempt(attempt, &request.method);
        }
        self.sent.remove(&attempt.transmit);
        let key = (attempt.branch.clone(), request.method.clone());
        let mut retired = Client::new(request, hop, Purpose::Nobody);
        retired.attempt = Some(attempt);
        retired.given_up = true;
        let retired = self.clients.insert(retired);
        self.clients.by_branch.insert(key, retired);
        self.arm_client(retired);
    }

    /// Sends the request under a new branch.
    fn attempt(&mut self, id: ClientId, target: Target, now: Instant) {
        let Some(client) = self.clients.table.get_mut(&id) else {
            return;
        };
        let method = client.request.method.clone();
        if let Some(old) = client.attempt.take() {
            self.forget_attempt(old, &method);
        }
        let branch = self.tokens.branch();
        self.begin_attempt(id, branch, target, now);
    }

    fn begin_attempt(&mut self, id: ClientId, branch: String, target: Target, now: Instant) {
        let timing = Timing::new(self.config.t1, target.transport != Transport::Udp);
        let via = compose::via(
            &local_address(&self.config, target.transport),
            target.transport,
            &branch,
        );
        let Some(wire) = self.clients.request(id).map(|request| with_via(request, &via)) else {
            return;
        };
        let transmit = self.transmit(target.clone(), wire.clone(), Some((Sender::Client(id), None)));
        let Some(client) = self.clients.table.get_mut(&id) else {
            return;
        };
        let method = client.request.method.clone();
        let machine = if method == Method::INVITE {
            Machine::Invite(InviteClient::new(timing, now))
        } else {
            Machine::Other(NonInviteClient::new(timing, now))
        };
        client.attempt = Some(Attempt {
            machine,
            branch: branch.clone(),
            via,
            wire,
            ack: None,
            target,
            transmit,
        });
        self.clients.by_branch.insert((branch, method), id);
        self.arm_client(id);
    }

    fn send_cancel_if_due(&mut self, id: ClientId, now: Instant) {
        let Some(client) = self.clients.table.get_mut(&id) else {
            return;
        };
        let Some(attempt) = &mut client.attempt else {
            return;
        };
        let Machine::Invite(machine) = &mut attempt.machine else {
            return;
        };
        if !machine.is_proceeding() {
            return;
        }
        let Some(headers) = client.cancel.take() else {
            return;
        };
        machine.cancelled(now);
        let (branch, target) = (attempt.branch.clone(), attempt.target.clone());
        let request = cancel_of(&client.request, headers);
        let hop = client.hop.clone();
        let cancel = self.clients.insert(Client::new(request, hop, Purpose::Nobody));
        self.begin_attempt(cancel, branch, target, now);
        self.arm_client(id);
    }

    fn dispatch_ack(&mut self, id: ClientId, tag: &str, target: Target) {
        let branch = self.tokens.branch();
        let via = compose::via(
            &local_address(&self.config, target.transport),
            target.transport,
            &branch,
        );
        let ack = self
            .clients
            .table
            .get_mut(&id)
            .and_then(|client| client.acks.get_mut(tag));
        let Some(ack) = ack else {
            return;
        };
        let bytes = with_via(&ack.request, &via);
        ack.sent = Some((target.clone(), bytes.clone()));
        self.transmit(target, bytes, None);
    }

    fn look_up(&mut self, hop: &Hop, lookup: Lookup) -> ResolveId {
        self.clients.last_lookup += 1;
        let id = ResolveId(self.clients.last_lookup);
        self.clients.lookups.insert(id, lookup);
        self.resolves.push_back(Resolve {
            id,
            host: hop.host.clone(),
            port: hop.port,
            transport: hop.transport,
            choice: hop.choice.clone(),
        });
        id
    }

    fn arm_client(&mut self, id: ClientId) {
        let deadline =
            self.clients
                .table
                .get(&id)
                .and_then(|client| match (&client.attempt, client.lookup) {
                    (Some(attempt), _) => attempt.machine.poll_timeout(),
                    (None, Some((_, deadline))) => Some(deadline),
                    (None, None) => None,
                });
        self.timers.set(Timer::Client(id), deadline);
    }

    fn has_candidate(&self, id: ClientId) -> bool {
        self.clients
            .table
            .get(&id)
            .is_some_and(|client| !client.candidates.is_empty() && !client.given_up)
    }

    fn attempt_mut(&mut self, id: ClientId) -> Option<&mut Attempt> {
        self.clients.table.get_mut(&id)?.attempt.as_mut()
    }

    /// By top Via branch and CSeq method (RFC 3261 §17.1.3).
    fn match_response(&self, response: &Response) -> Option<ClientId> {
        let mut vias = response.headers.list("Via");
        let via: Via = vias.next()?.parse().ok()?;
        // RFC 3261 §8.1.3.3: a second Via tells that the response is another's.
        if vias.next().is_some() {
            return None;
        }
        let cseq: CSeq = response.headers.get("CSeq")?.parse().ok()?;
        self.clients.by_branch.get(&(via.branch?, cseq.method)).copied()
    }
}
