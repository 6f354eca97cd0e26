//! The focus and its switch, without sockets and clock: messages, octets, commands and the time in; messages, octets and events out.

mod calls;
mod commands;
mod referrals;
mod subscriptions;
mod switch;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use msrp::{SessionId, sdp::Fingerprints};
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};
use sip::{
    AnswerDue, Contact, DialogId, Endpoint, Flow, Header, Incoming, LocalAddress, Resolve, ResolveId,
    StatusCode, SubscriptionId, Transmit, TransmitId, Transport, Uri,
};

use crate::{
    event::{Command, Event},
    options::Options,
    room::{ParticipantId, Room},
    watch::Watch,
};

/// Rooms that there may be at once; a call to one more is refused 486.
const ROOMS: usize = 1000;

/// A TCP connection that carries MSRP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// What the shell is asked to do about connections that carry MSRP.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Connect; then call `handle_connected`, or `handle_disconnected`.
    Connect(ConnectionId, String, u16),
    /// Close it when what is queued has left.
    Close(ConnectionId),
    /// Close it at once.
    Cut(ConnectionId),
}

/// Where somebody is: the room's name and his number in it.
type Seat = (String, ParticipantId);

/// The focus and its switch.
pub(crate) struct Server {
    options: Options,
    /// Where MSRP peers reach us.
    msrp: SocketAddr,
    endpoint: Endpoint,
    /// Set if the switch is reached with TLS: the fingerprints that it is described with.
    secured: Option<Fingerprints>,
    rng: ChaCha12Rng,
    /// By the user part of their addresses, with case.
    rooms: BTreeMap<String, Room>,
    by_dialog: BTreeMap<DialogId, Seat>,
    by_session: BTreeMap<SessionId, Seat>,
    /// The room watched, and by whom.
    subscriptions: BTreeMap<SubscriptionId, (String, Uri)>,
    invitations: BTreeMap<DialogId, referrals::Invitation>,
    links: BTreeMap<ConnectionId, Link>,
    /// With `--slow`: what has happened and waits to be looked at.
    delayed: VecDeque<(Instant, Happened)>,
    requests: VecDeque<Request>,
    events: VecDeque<Event>,
    numbers: u64,
    quitting: bool,
}

/// A connection that carries MSRP.
struct Link {
    machine: msrp::Connection,
    watch: Watch,
}

/// What a machine has told.
enum Happened {
    Sip(sip::Event),
    Msrp(msrp::Event),
    /// With the connection that asks.
    Asked(ConnectionId, msrp::Event),
}

impl Server {
    /// `secured`: the fingerprints that the switch is described with, if it is reached with TLS.
    pub(crate) fn new(
        options: Options,
        (sip, msrp): (SocketAddr, SocketAddr),
        secured: Option<Fingerprints>,
        seed: [u8; 32],
    ) -> Self {
        let mut rng = ChaCha12Rng::from_seed(seed);
        let local = [Transport::Udp, Transport::Tcp].map(|transport| LocalAddress {
            transport,
            host: sip.ip().to_string(),
            port: sip.port(),
        });
        let config = sip::Config {
            local: local.to_vec(),
            outbound_proxy: options.proxy.clone(),
            product: "conference-server".to_owned(),
            limits: sip::Limits::default(),
            t1: std::time::Duration::from_millis(500),
        };
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        Self {
            options,
            msrp,
            secured,
            endpoint: Endpoint::new(config, seed),
            rng,
            rooms: BTreeMap::new(),
            by_dialog: BTreeMap::new(),
            by_session: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            invitations: BTreeMap::new(),
            links: BTreeMap::new(),
            delayed: VecDeque::new(),
            requests: VecDeque::new(),
            events: VecDeque::new(),
            numbers: 0,
            quitting: false,
        }
    }

    pub(crate) fn handle_sip(&mut self, flow: Flow, bytes: Bytes, now: Instant) {
        self.endpoint.handle_message(flow, bytes, now);
    }

    pub(crate) fn handle_sip_too_large(&mut self, flow: Flow, head: Bytes, now: Instant) {
        self.endpoint.handle_too_large(flow, head, now);
    }

    pub(crate) fn handle_transmit_failed(&mut self, id: TransmitId, now: Instant) {
        self.endpoint.handle_transmit_failed(id, now);
    }

    pub(crate) fn handle_resolved(&mut self, id: ResolveId, addresses: Vec<SocketAddr>, now: Instant) {
        self.endpoint.handle_resolved(id, addresses, now);
    }

    /// Somebody has connected to the switch.
    pub(crate) fn handle_accepted(&mut self) -> ConnectionId {
        let id = ConnectionId(self.number());
        self.open_link(id);
        id
    }

    /// The connection that [`Request::Connect`] asked for stands.
    pub(crate) fn handle_connected(&mut self, id: ConnectionId, now: Instant) {
        self.open_sessions(id, now);
    }

    pub(crate) fn handle_msrp(&mut self, id: ConnectionId, octets: &[u8], now: Instant) {
        if let Some(link) = self.links.get_mut(&id) {
            link.machine.handle_bytes(octets, now);
            let seen = link.watch.handle_bytes(octets, now);
            self.watched(seen, now);
        }
    }

    pub(crate) fn handle_disconnected(&mut self, id: ConnectionId, now: Instant) {
        if let Some(link) = self.links.get_mut(&id) {
            link.machine.handle_closed(now);
            self.advance(now);
            self.links.remove(&id);
        }
    }

    pub(crate) fn handle_command(&mut self, command: Command, now: Instant) {
        self.command(command, now);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        for link in self.links.values_mut() {
            if link.machine.poll_timeout().is_some_and(|at| at <= now) {
                link.machine.handle_timeout(now);
            }
        }
        while let Some((at, _)) = self.delayed.front()
            && *at <= now
            && let Some((_, happened)) = self.delayed.pop_front()
        {
            self.happened(happened, now);
        }
        self.notify_due(now);
        self.keep_alive(now);
    }

    /// Looks at what the machines have to tell; to be called after each `handle_*`.
    pub(crate) fn advance(&mut self, now: Instant) {
        loop {
            let happened: Vec<Happened> = self.poll_machines().collect();
            if happened.is_empty() {
                return;
            }
            for happened in happened {
                match self.options.quirks.slow {
                    Some(delay) => self.delayed.push_back((now + delay, happened)),
                    None => self.happened(happened, now),
                }
            }
        }
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.endpoint.poll_transmit()
    }

    pub(crate) fn poll_resolve(&mut self) -> Option<Resolve> {
        self.endpoint.poll_resolve()
    }

    /// Connections that carry MSRP.
    pub(crate) fn connections(&self) -> Vec<ConnectionId> {
        self.links.keys().copied().collect()
    }

    /// Appends what is to be sent on a connection.
    pub(crate) fn poll_msrp(&mut self, id: ConnectionId, out: &mut BytesMut, budget: usize, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        while out.len() < budget {
            if !link.machine.poll_transmit(out, budget, now) {
                // At the border of a frame: here one of ours may stand.
                link.watch.poll_transmit(out);
                return;
            }
        }
    }

    pub(crate) fn poll_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let links = self.links.values();
        let machines = links.filter_map(|link| link.machine.poll_timeout());
        let watches = self.links.values().filter_map(|link| link.watch.poll_timeout());
        let rooms = self.rooms.values().filter_map(|room| room.notify_at);
        let delayed = self.delayed.front().map(|(at, _)| *at);
        machines
            .chain(watches)
            .chain(rooms)
            .chain(delayed)
            .chain(self.endpoint.poll_timeout())
            .min()
    }

    /// Whether everybody has been told that it ends.
    pub(crate) fn is_over(&self) -> bool {
        self.quitting && self.endpoint.census().0 == 0
    }
}

/// What happens, and what it needs of all parts.
impl Server {
    fn poll_machines(&mut self) -> impl Iterator<Item = Happened> {
        let mut happened = Vec::new();
        while let Some(event) = self.endpoint.poll_event() {
            happened.push(Happened::Sip(event));
        }
        for (id, link) in &mut self.links {
            while let Some(event) = link.machine.poll_event() {
                happened.push(match event {
                    msrp::Event::BindRequested { .. } | msrp::Event::Faulted(_) | msrp::Event::Closed => {
                        Happened::Asked(*id, event)
                    }
                    event => Happened::Msrp(event),
                });
            }
        }
        happened.into_iter()
    }

    fn happened(&mut self, happened: Happened, now: Instant) {
        match happened {
            Happened::Sip(event) => self.on_sip(event, now),
            Happened::Msrp(event) => self.on_msrp(event, now),
            Happened::Asked(id, event) => self.on_connection(id, event, now),
        }
    }

    fn on_sip(&mut self, event: sip::Event, now: Instant) {
        match event {
            sip::Event::Invited { dialog, request, due } => self.invited(dialog, &request, due, now),
            sip::Event::Reinvited { dialog, request, due } => self.reinvited(dialog, &request, due, now),
            sip::Event::Ended { dialog, cause } => self.dialog_ended(dialog, &cause, now),
            sip::Event::Subscribing {
                subscription,
                dialog,
                request,
                due,
            } => self.subscribing(subscription, dialog, &request, due, now),
            sip::Event::SubscriptionRefreshed { subscription } => self.notify_full(subscription, now),
            sip::Event::SubscriptionEnded { subscription, cause } => {
                self.subscription_ended(subscription, cause, now);
            }
            sip::Event::Referred {
                dialog,
                request,
                refer_to,
                due,
            } => self.referred(dialog, &request, &refer_to, due, now),
            sip::Event::Requested { due, .. } => self.refuse(due, 405, Vec::new(), now),
            sip::Event::Progress { dialog, status } => self.invitation_progress(dialog, status, now),
            sip::Event::Answered {
                dialog,
                contact,
                body,
                ..
            } => self.invitation_answered(dialog, contact.as_ref(), body.as_ref(), now),
            sip::Event::Refused {
                dialog,
                status,
                phrase,
                ..
            } => self.invitation_refused(dialog, status, &phrase, now),
            sip::Event::Cancelled { dialog } => self.call_over(dialog, "cancelled", now),
            // We subscribe to nothing, refer nobody and offer nothing twice.
            sip::Event::Confirmed { .. }
            | sip::Event::Reanswered { .. }
            | sip::Event::ReinviteRefused { .. }
            | sip::Event::ReferProgress { .. }
            | sip::Event::SubscriptionAccepted { .. }
            | sip::Event::SubscriptionRefused { .. }
            | sip::Event::Notified { .. } => {}
        }
    }

    fn sip(&mut self, command: sip::Command, now: Instant) {
        self.endpoint.handle_command(command, now);
    }

    fn refuse(&mut self, due: AnswerDue, status: u16, headers: Vec<Header>, now: Instant) {
        let command = sip::Command::Refuse {
            due,
            status: StatusCode(status),
            phrase: None,
            headers,
        };
        self.sip(command, now);
    }

    /// The name of the room that a request is for: by the Request-URI, or by To where that is our Contact.
    fn room_name(&self, request: &Incoming) -> Option<String> {
        let of = |uri: &Uri| {
            let is_ours = uri.host().eq_ignore_ascii_case(&self.options.domain);
            uri.user_decoded().filter(|_| is_ours)
        };
        of(&request.uri).or_else(|| of(&request.to.uri))
    }

    /// The Contact of a room.
    fn contact(&self, room: &str) -> Contact {
        let user = self
            .options
            .quirks
            .contact
            .clone()
            .unwrap_or_else(|| room.to_owned());
        Contact {
            user: Some(user),
            parameters: vec![("isfocus", None)],
        }
    }

    fn room_uri(&self, name: &str) -> Uri {
        Uri::new(Some(name), &self.options.domain, None)
    }

    /// Something about a room's roster or subject is new.
    fn room_changed(&mut self, name: &str, now: Instant) {
        let gather = self.options.rooms.gather;
        if let Some(room) = self.rooms.get_mut(name) {
            room.changed(now, gather);
        }
    }

    fn tell(&mut self, event: Event) {
        self.events.push_back(event);
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// The owner's dialogs and subscriptions have even numbers.
    fn even_number(&mut self) -> u64 {
        self.number() * 2
    }

    fn open_link(&mut self, id: ConnectionId) {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let limits = msrp::Limits {
            message: self.options.rooms.max_size.unwrap_or(1024 * 1024),
            chunk_in: 1024 * 1024,
            reassembly: 4 * 1024 * 1024,
            outgoing: 16 * 1024 * 1024,
            ..msrp::Limits::default()
        };
        self.rng.fill_bytes(&mut seed);
        let watch = Watch::new(&self.options.quirks, &limits, &mut self.rng);
        let machine = msrp::Connection::new(limits, seed);
        let link = Link {
            watch,
            machine: if self.secured.is_some() {
                machine.secured()
            } else {
                machine
            },
        };
        self.links.insert(id, link);
    }
}
