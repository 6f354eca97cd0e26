//! The endpoint: what to send, what happened, when to be called again.
//!
//! From the wire inwards: [`received`] and [`compose`] read and write headers; [`transaction`] holds the machines of RFC 3261 §17,
//! [`client`] and [`server`] their messages and addresses; [`dialog`] and [`route`] say where requests go; [`uas`] receives requests and
//! hands them to the usages [`invite_usage`], [`calling`] and [`reinvite`], [`notifier`], [`subscriber`], [`refer`] and [`referral`].
//! [`trust`] says who is believed, [`rates`] how much others may ask for, and [`users`] asks them for a password. [`authentication`]
//! answers challenges to requests of ours, [`registration`] keeps a trunk registered, [`session_timer`] refreshes sessions, [`reliable`]
//! provisional responses are acknowledged.

mod authentication;
mod calling;
mod client;
mod command;
mod compose;
mod config;
mod dialog;
mod event;
mod flow;
mod invite_usage;
mod key;
mod notifier;
mod rates;
mod received;
mod refer;
mod referral;
mod registration;
mod reinvite;
mod reliable;
mod route;
mod server;
mod session_timer;
mod subscriber;
mod timers;
mod tokens;
mod transaction;
mod trust;
mod uas;
mod users;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;

pub use self::{
    authentication::Credentials,
    command::{
        AnswerDue, Body, Command, Contact, DialogId, InviteParameters, Readiness, Reason, ReferParameters,
        SubscribeParameters, SubscriptionId, SubscriptionState,
    },
    config::{Config, Limits, LocalAddress},
    event::{EndCause, Event, Incoming, SubscriptionEnd},
    flow::{Flow, FlowId, Resolve, ResolveId, Target, Transmit, TransmitId, Transport},
    rates::{Rate, Rates},
    registration::{RegisterParameters, RegistrationEvent},
    trust::{Network, NoNetwork, Trust, Unlisted},
    users::Users,
};
use self::{
    authentication::Identity,
    client::{ClientId, Clients, Failure, Purpose},
    dialog::Dialogs,
    invite_usage::{InviteUsage, Offer},
    notifier::Notifier,
    rates::Sources,
    referral::Referrals,
    registration::Registration,
    route::{Found, Hop, apply_route_set, local_address},
    server::{Due, Reply, ServerId, Servers},
    subscriber::Subscribers,
    timers::{Timer, Timers},
    tokens::Tokens,
    transaction::Timing,
    trust::Peers,
    users::Asking,
};
use crate::{
    locate::Candidate,
    message::{Headers, Message, Method, NameAddr, Request, Response, Uri, Via},
};

/// Bounds of T1: at zero retransmissions would never pause.
const T1_MIN: Duration = Duration::from_millis(1);
const T1_MAX: Duration = Duration::from_secs(60);

/// A SIP user agent that can be caller, callee, notifier and subscriber.
///
/// Contract: call `handle_*` with what happened, then drain `poll_transmit`, `poll_resolve` and `poll_event`, then ask
/// `poll_timeout`. `handle_*` is total: nothing a peer sends makes it fail. 100 Trying after 200 ms of silence, retransmissions, ACK, the
/// answers to CANCEL, BYE, OPTIONS, unknown methods and requests outside any dialog are its own business; the owner sees only what he
/// decides.
///
/// Every [`AnswerDue`] is to be spent. One that is spent too late (after `Cancelled`, after the dialog ended, or after 64·T1 for a request
/// that is no INVITE, 180 s for one that is) is void and ignored, as is a command that names a dialog or subscription already gone.
pub struct Endpoint {
    config: Config,
    timing: Timing,
    tokens: Tokens,
    peers: Peers,
    sources: Sources,
    asking: Option<Asking>,
    readiness: Readiness,
    /// Event packages that peers may subscribe to.
    packages: Vec<String>,
    timers: Timers,
    clients: Clients,
    servers: Servers,
    dialogs: Dialogs,
    invites: BTreeMap<DialogId, Box<InviteUsage>>,
    notifiers: BTreeMap<SubscriptionId, Notifier>,
    subscribers: Subscribers,
    referrals: Referrals,
    identities: Vec<Identity>,
    registration: Option<Registration>,
    registration_events: VecDeque<RegistrationEvent>,
    /// Whose the latest transmissions are.
    sent: BTreeMap<TransmitId, Sender>,
    transmits: VecDeque<Transmit>,
    resolves: VecDeque<Resolve>,
    events: VecDeque<Event>,
    last_transmit: u64,
    last_dialog: u64,
    last_subscription: u64,
}

/// Whose message a transmission carries, if its failure matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    Client(ClientId),
    Server(ServerId),
}

impl Endpoint {
    /// An endpoint whose tags, branches and Call-IDs come from `seed`.
    #[must_use]
    pub fn new(mut config: Config, seed: [u8; 32]) -> Self {
        config.t1 = config.t1.clamp(T1_MIN, T1_MAX);
        Self {
            timing: Timing::new(config.t1, false),
            config,
            tokens: Tokens::new(seed),
            peers: Peers::default(),
            sources: Sources::default(),
            asking: None,
            readiness: Readiness::Ready,
            packages: vec!["conference".to_owned()],
            timers: Timers::default(),
            clients: Clients::default(),
            servers: Servers::default(),
            dialogs: Dialogs::default(),
            invites: BTreeMap::new(),
            notifiers: BTreeMap::new(),
            subscribers: Subscribers::default(),
            referrals: Referrals::default(),
            identities: Vec::new(),
            registration: None,
            registration_events: VecDeque::new(),
            sent: BTreeMap::new(),
            transmits: VecDeque::new(),
            resolves: VecDeque::new(),
            events: VecDeque::new(),
            last_transmit: 0,
            last_dialog: 0,
            last_subscription: 0,
        }
    }

    /// The event packages that peers may subscribe to, besides what REFER implies; `conference` to begin with. What they subscribe to comes with
    /// [`Event::Subscribing`]; other packages are refused 489.
    pub fn serve_packages(&mut self, packages: Vec<String>) {
        self.packages = packages;
    }

    /// A complete message (a datagram, or cut out by [`crate::message::StreamDecoder`]) from `flow`. One that cannot be read is
    /// answered if a response can be built from it, and ignored otherwise.
    pub fn handle_message(&mut self, flow: Flow, bytes: Bytes, now: Instant) {
        match Message::parse(&bytes) {
            Ok(Message::Request(request)) => self.handle_request(request, flow, now),
            Ok(Message::Response(response)) => self.handle_response(response, flow, now),
            Err(unreadable) => {
                if let Some(response) = unreadable.response
                    && self.answers_strangers(flow)
                {
                    self.refuse_unreadable(flow, *response);
                }
            }
        }
    }

    /// A stream message over the limits: answered 513 if its head allows.
    pub fn handle_too_large(&mut self, flow: Flow, head: Bytes, _now: Instant) {
        if let Some(response) = Response::too_large(&head)
            && self.answers_strangers(flow)
        {
            self.refuse_unreadable(flow, response);
        }
    }

    /// The shell could not send: the transaction fails over or ends (RFC 3261 §8.1.3.1, §18.4).
    pub fn handle_transmit_failed(&mut self, id: TransmitId, now: Instant) {
        match self.sent.remove(&id) {
            Some(Sender::Client(client)) => self.client_unreachable(client, now),
            Some(Sender::Server(server)) => self.server_unreachable(server),
            None => {}
        }
    }

    /// The answer to [`Endpoint::poll_resolve`]: candidate addresses, best first; empty: there is none. At most 16 are tried.
    pub fn handle_resolved(&mut self, id: ResolveId, addresses: Vec<SocketAddr>, now: Instant) {
        self.handle_lookup(id, &Found::Addresses(addresses), now);
    }

    /// As [`Endpoint::handle_resolved`], with the transports that the host's zone chose (RFC 3263 §4.1), as
    /// [`crate::locate::Search::outcome`] gives them; one outside [`Resolve::choice`] is passed over.
    pub fn handle_located(&mut self, id: ResolveId, candidates: Vec<Candidate>, now: Instant) {
        self.handle_lookup(id, &Found::Candidates(candidates), now);
    }

    /// A command of the owner. One that names a dialog or subscription already ended is ignored: the event is on its way.
    pub fn handle_command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Ring { dialog, status } => self.ring(dialog, status, now),
            Command::Accept { due, contact, body } => self.accept(&due, &contact, body, now),
            Command::AcceptRequest { due } => self.answer(&due, Reply::new(200), now),
            Command::Refuse {
                due,
                status,
                phrase,
                headers,
            } => {
                let status = if (300..700).contains(&status.0) {
                    status.0
                } else {
                    500
                };
                self.answer(&due, Reply::new(status).phrase(phrase).owned(headers), now);
            }
            Command::AcceptSubscription { due, contact } => match self.due(&due) {
                (server, Some(Due::Subscribe(id))) => self.accept_subscription(id, server, &contact, now),
                _ => self.answer(&due, Reply::new(500), now),
            },
            Command::Notify {
                subscription,
                state,
                body,
            } => self.notify(subscription, state, body, now),
            Command::Bye { dialog, reason } => self.hang_up(dialog, reason, now),
            Command::Reinvite { dialog, body } => self.reinvite(dialog, body, now),
            Command::AcceptRefer { due, contact } => match self.due(&due) {
                (server, Some(Due::Refer(refer))) => self.accept_refer(refer, server, &contact, now),
                _ => self.answer(&due, Reply::new(500), now),
            },
            Command::FollowRefer {
                due,
                contact,
                subscription,
            } => match self.due(&due) {
                (server, Some(Due::Refer(refer))) => {
                    self.follow_refer(refer, server, &contact, subscription, now);
                }
                _ => self.answer(&due, Reply::new(500), now),
            },
            Command::Invite { dialog, parameters } => self.call(dialog, *parameters, now),
            Command::Subscribe {
                subscription,
                parameters,
            } => self.subscribe(subscription, *parameters, now),
            Command::Unsubscribe { subscription } => self.unsubscribe(subscription, now),
            Command::Refer {
                subscription,
                parameters,
            } => self.refer(subscription, *parameters, now),
            Command::SetReadiness(readiness) => self.readiness = readiness,
        }
    }

    /// The instant that `poll_timeout` named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Client(id) => self.handle_client_timeout(id, now),
                Timer::Server(id) => self.handle_server_timeout(id, now),
                Timer::Unacknowledged(id, cseq) => self.handle_unacknowledged(id, cseq, now),
                Timer::Unanswered(id) => self.handle_unanswered(id, now),
                Timer::Notifier(id) => self.handle_notifier_timeout(id, now),
                Timer::Subscriber(id) => self.handle_subscriber_timeout(id, now),
                Timer::Referral(id) => self.handle_referral_timeout(id, now),
                Timer::Session(id) => self.handle_session_timeout(id, now),
                Timer::Reinvite(id) => self.handle_reinvite_timeout(id, now),
                Timer::Provisional(id) => self.handle_provisional_timeout(id, now),
                Timer::Registration => self.handle_registration_timeout(now),
            }
        }
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next host name to look up.
    pub fn poll_resolve(&mut self) -> Option<Resolve> {
        self.resolves.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When `handle_timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Dialogs, subscriptions and transactions held; all zero when everybody has left and 32 s (timer H, J) have passed, or 64 s after a
    /// referral that is asked about (RFC 7614 §4.7).
    #[must_use]
    pub fn census(&self) -> (usize, usize, usize) {
        (
            self.dialogs.len(),
            self.notifiers.len() + self.subscribers.table.len() + self.referrals.len(),
            self.clients.len() + self.servers.len(),
        )
    }
}

/// Answers of the owner.
impl Endpoint {
    fn due(&self, due: &AnswerDue) -> (ServerId, Option<Due>) {
        let server = ServerId(due.transaction);
        (server, self.servers.due(server))
    }

    fn accept(&mut self, due: &AnswerDue, contact: &Contact, body: Body, now: Instant) {
        match self.due(due) {
            (server, Some(Due::Invite(id, had_offer) | Due::Reinvite(id, had_offer))) => {
                self.accept_invite(id, server, contact, body, Offer::Invite { had_offer }, now);
            }
            (server, Some(Due::Update(id))) => {
                self.accept_invite(id, server, contact, body, Offer::Update, now);
            }
            (_, Some(Due::Request)) => self.answer(due, Reply::new(200).body(Some(body)), now),
            (_, Some(Due::Subscribe(_) | Due::Refer(_)) | None) => self.answer(due, Reply::new(500), now),
        }
    }

    /// Any answer that opens nothing.
    fn answer(&mut self, due: &AnswerDue, reply: Reply, now: Instant) {
        let (server, Some(what)) = self.due(due) else {
            return;
        };
        // A 200 of this kind fits only a request without consequences.
        let misfit = reply.is_success() && what != Due::Request;
        self.reply(server, if misfit { Reply::new(500) } else { reply }, now);
        self.not_accepted(what, server, now);
    }

    /// The transaction of a request that its owner never answered is gone.
    fn answer_lapsed(&mut self, due: Due, server: ServerId, now: Instant) {
        if let Due::Subscribe(id) = due {
            self.events.push_back(Event::SubscriptionEnded {
                subscription: id,
                cause: SubscriptionEnd::Expired,
            });
        }
        self.not_accepted(due, server, now);
    }

    fn not_accepted(&mut self, due: Due, server: ServerId, now: Instant) {
        match due {
            Due::Invite(id, _) => self.refused(id, now),
            Due::Reinvite(id, _) | Due::Update(id) => self.answered(id),
            Due::Subscribe(id) => self.subscription_refused(id),
            Due::Refer(refer) => self.refer_over(refer, server),
            Due::Request => {}
        }
    }
}

/// Ends of our own requests.
impl Endpoint {
    fn deliver_response(
        &mut self,
        client: ClientId,
        purpose: Purpose,
        response: &Response,
        flow: Flow,
        now: Instant,
    ) {
        let is_final = !response.status.is_provisional();
        match purpose {
            Purpose::Invite(id) => self.invite_answered(client, id, response, flow, now),
            Purpose::Bye(id) if is_final => self.bye_concluded(id),
            Purpose::Notify(id) if is_final => self.notify_concluded(id, response.status.is_success(), now),
            Purpose::Subscribe(id) => {
                self.subscribe_answered(client, id, response, flow, now);
            }
            Purpose::Refresh(id) => self.refresh_answered(client, id, response, now),
            Purpose::Reinvite(id) => self.reinvite_answered(client, id, response, now),
            Purpose::Register if is_final => self.register_answered(client, response, flow, now),
            Purpose::Bye(_) | Purpose::Notify(_) | Purpose::Register | Purpose::Nobody => {}
        }
    }

    fn deliver_failure(&mut self, client: ClientId, purpose: Purpose, failure: Failure, now: Instant) {
        match purpose {
            Purpose::Invite(id) => self.invite_failed(id, failure),
            Purpose::Bye(id) => self.bye_concluded(id),
            Purpose::Notify(id) => self.notify_concluded(id, false, now),
            Purpose::Subscribe(id) => self.subscribe_failed(id, failure),
            Purpose::Refresh(id) => self.refresh_failed(client, id, failure, now),
            Purpose::Reinvite(id) => self.reinvite_failed(client, id, failure, now),
            Purpose::Register => self.register_failed(client, failure, now),
            Purpose::Nobody => {}
        }
    }
}

/// What several usages need to send.
impl Endpoint {
    /// Queues a message. With an owner, its failure is reported to it; `previous` is its earlier transmission, forgotten now.
    fn transmit(
        &mut self,
        mut target: Target,
        bytes: Bytes,
        owner: Option<(Sender, Option<TransmitId>)>,
    ) -> TransmitId {
        self.last_transmit += 1;
        let id = TransmitId(self.last_transmit);
        if let Some((sender, previous)) = owner {
            if let Some(previous) = previous {
                self.sent.remove(&previous);
            }
            self.sent.insert(id, sender);
        }
        target.flow = target.flow.or_else(|| self.peers.alias(&target));
        self.transmits.push_back(Transmit { id, target, bytes });
        id
    }

    /// A request that opens a dialog of ours, with `outbound_proxy` as pre-loaded Route (RFC 3261 §8.1.1), and its next hop.
    fn opening_request(
        &mut self,
        method: Method,
        uri: Uri,
        mut from: NameAddr,
        to: &NameAddr,
    ) -> (Request, Hop) {
        from.parameters
            .retain(|(name, _)| !name.eq_ignore_ascii_case("tag"));
        from.parameters.push(("tag".to_owned(), Some(self.tokens.tag())));
        let mut request = Request {
            method: method.clone(),
            uri: uri.clone(),
            headers: Headers::default(),
            body: Bytes::new(),
        };
        let route_set: Vec<NameAddr> = self
            .config
            .outbound_proxy
            .clone()
            .map(NameAddr::new)
            .into_iter()
            .collect();
        let next = apply_route_set(&mut request, &uri, &route_set);
        let headers = &mut request.headers;
        headers.push("Max-Forwards", "70");
        headers.push("From", from.to_string());
        headers.push("To", to.to_string());
        headers.push("Call-ID", self.tokens.call_id());
        headers.push("CSeq", format!("1 {method}"));
        (request, Hop::to(&next, &self.config))
    }

    /// The next hop of a request composed by [`Self::opening_request`].
    fn opening_hop(&self, request: &Request) -> Hop {
        let next = self.config.outbound_proxy.as_ref().unwrap_or(&request.uri);
        Hop::to(next, &self.config)
    }

    /// The Allow-Events header (RFC 6665 §8.2.2).
    fn allow_events(&self) -> String {
        let mut packages = self.packages.join(", ");
        if !packages.is_empty() {
            packages += ", ";
        }
        packages + "refer"
    }

    fn contact_towards(&self, contact: &Contact, hop: &Hop) -> String {
        compose::contact(contact, &local_address(&self.config, hop.transport))
    }

    fn sign(&self, request: &mut Request) {
        if !self.config.product.is_empty() {
            request.headers.push("User-Agent", self.config.product.as_str());
        }
    }

    /// Sends the validator's refusal back to where the message came from.
    fn refuse_unreadable(&mut self, flow: Flow, response: Response) {
        let via = response
            .headers
            .list("Via")
            .next()
            .and_then(|via| via.parse::<Via>().ok());
        let port = match (flow.transport, via) {
            (Transport::Udp, Some(via)) if via.rport.is_none() => {
                via.port.unwrap_or(flow.transport.default_port())
            }
            _ => flow.peer.port(),
        };
        let peer = SocketAddr::new(flow.peer.ip(), port);
        // Without a readable sent-by, no new connection would be verified: the response goes back where the request came from.
        let target = Target::new(flow.transport, flow.id, peer, "");
        self.transmit(target, Message::Response(response).to_bytes(), None);
    }

    fn next_dialog_id(&mut self) -> DialogId {
        self.last_dialog += 1;
        DialogId(self.last_dialog * 2 - 1)
    }

    fn next_subscription_id(&mut self) -> SubscriptionId {
        self.last_subscription += 1;
        SubscriptionId(self.last_subscription * 2 - 1)
    }
}
