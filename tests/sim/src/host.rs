//! The gateway of the world: its four machines, and the little that a shell does between them and the wire.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use mapping::{
    AddressForm, AnswerRule, Component, ConferenceDomain, Config, ConnectionId, Gateway, Occupancy,
    RoomDomain,
};
use sip::{Endpoint, FlowId, LocalAddress, Transport, message::StreamDecoder};
use xmpp::{Link, LinkConfig};

use crate::{
    conference,
    plan::{Dice, Setting},
    proxy,
    server::{MUC, SECRET},
    wire::{MsrpWire, SipWire},
};

/// A connection without a session is closed after this, and one whose peer takes nothing after as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Octets that the transport holds for a peer who does not read.
pub(crate) const WINDOW: usize = 64 * 1024;

pub(crate) struct Host {
    pub(crate) core: Gateway,
    pub(crate) endpoint: Endpoint,
    /// By [`mapping::LinkId`].
    pub(crate) links: Vec<LinkEnd>,
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    pub(crate) by_stream: BTreeMap<u64, ConnectionId>,
    pub(crate) flows: BTreeMap<FlowId, (u64, StreamDecoder)>,
    pub(crate) flow_of: BTreeMap<u64, FlowId>,
    pub(crate) dirty: BTreeSet<ConnectionId>,
    /// What the core wants to be told after a crash.
    pub(crate) remembered: BTreeSet<Occupancy>,
    pub(crate) sip_wire: SipWire,
    pub(crate) next_connection: u64,
    pub(crate) next_flow: u64,
    pub(crate) msrp_limits: msrp::Limits,
    pub(crate) seeds: Dice,
}

/// A component link and its stream, while there is one.
pub(crate) struct LinkEnd {
    pub(crate) link: Link,
    pub(crate) stream: Option<u64>,
}

pub(crate) struct Connection {
    pub(crate) machine: msrp::Connection,
    pub(crate) stream: u64,
    /// The peer's end of it.
    pub(crate) peer: usize,
    pub(crate) wire: MsrpWire,
    pub(crate) sessions: BTreeSet<msrp::SessionId>,
    pub(crate) unbound_since: Option<Instant>,
    pub(crate) stalled_since: Option<Instant>,
    /// `Closed` or `Faulted` was told: what is queued goes out, then the transport ends.
    pub(crate) closing: bool,
}

pub(crate) fn component(setting: &Setting) -> &'static str {
    if setting.hosted {
        "sip.example.org"
    } else {
        "example.org"
    }
}

/// The bare address of a SIP user's occupants.
pub(crate) fn occupant(setting: &Setting, name: &str) -> String {
    if setting.hosted {
        format!("{name}\\40example.org@sip.example.org")
    } else {
        format!("{name}@example.org")
    }
}

impl Host {
    pub(crate) fn new(setting: &Setting, seed: u64, now: Instant) -> Self {
        let mut seeds = Dice::new(seed, 2);
        let conferences: Vec<_> = (setting.conferences.rooms > 0)
            .then(|| ConferenceDomain {
                muc: conference::MUC.to_owned(),
                sip: conference::focus::DOMAIN.to_owned(),
            })
            .into_iter()
            .collect();
        let config = Config {
            components: vec![Component {
                domain: component(setting).to_owned(),
                form: if setting.hosted {
                    AddressForm::Hosted
                } else {
                    AddressForm::Native
                },
            }],
            rooms: vec![RoomDomain {
                sip: MUC.to_owned(),
                muc: MUC.to_owned(),
            }],
            passwords: BTreeMap::new(),
            conferences,
            msrp: mapping::MsrpPlaces::Tcp((proxy::GATEWAY.to_string(), 2855)),
            certificates: msrp::sdp::Fingerprints::default(),
            answer: if setting.at_once {
                AnswerRule::AtOnce
            } else {
                AnswerRule::WhenAdmitted
            },
            conflict: mapping::ConflictRule::Refuse,
            history: setting.history,
            naming: mapping::NamingRule::Provisional,
            creation: mapping::CreationRule::AcceptDefault,
            access: mapping::Access::default(),
            routes: mapping::Routes::default(),
            numbers: None,
            connect: true,
            // The model knows what people say, not what the gateway tells them.
            tell_nickname: false,
            occupants: mapping::Occupants::default(),
            texts: mapping::Texts::default(),
            outage: mapping::Outage {
                tell: false,
                ..mapping::Outage::default()
            },
            admins: BTreeSet::new(),
            limits: mapping::Limits::default(),
        };
        let local = |transport| LocalAddress {
            transport,
            host: proxy::GATEWAY.to_string(),
            port: 5060,
        };
        let endpoint = sip::Config {
            local: vec![local(Transport::Udp), local(Transport::Tcp)],
            outbound_proxy: None,
            product: "gateway".to_owned(),
            limits: sip::Limits::default(),
            t1: Duration::from_millis(500),
        };
        let domains: Vec<String> = config.links().map(str::to_owned).collect();
        let link = |domain: String| LinkConfig {
            domain,
            secret: SECRET.to_owned(),
            limits: xmpp::Limits::default(),
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            ping: Duration::from_secs(10),
            retry: Duration::from_secs(2),
            conflict: xmpp::ConflictRule::Retry,
            answers: true,
        };
        let wall = jiff::Timestamp::UNIX_EPOCH;
        Self {
            core: Gateway::new(config, seeds.bytes(), (now, wall)),
            endpoint: Endpoint::new(endpoint, seeds.bytes()),
            links: domains
                .into_iter()
                .map(|domain| LinkEnd {
                    link: Link::new(link(domain), seeds.bytes()),
                    stream: None,
                })
                .collect(),
            connections: BTreeMap::new(),
            by_stream: BTreeMap::new(),
            flows: BTreeMap::new(),
            flow_of: BTreeMap::new(),
            dirty: BTreeSet::new(),
            remembered: BTreeSet::new(),
            sip_wire: SipWire::default(),
            next_connection: 1,
            next_flow: 1,
            msrp_limits: msrp::Limits::default(),
            seeds,
        }
    }

    /// A peer connected for MSRP.
    pub(crate) fn accept_msrp(&mut self, stream: u64, now: Instant) -> ConnectionId {
        // Odd, for the core's own are even.
        let id = ConnectionId(self.next_connection);
        self.next_connection += 2;
        self.keep_msrp(id, stream, 0, now);
        id
    }

    /// The core connects for MSRP.
    pub(crate) fn open_msrp(&mut self, id: ConnectionId, stream: u64, now: Instant) {
        self.keep_msrp(id, stream, 1, now);
    }

    fn keep_msrp(&mut self, id: ConnectionId, stream: u64, peer: usize, now: Instant) {
        self.connections.insert(
            id,
            Connection {
                machine: msrp::Connection::new(self.msrp_limits.clone(), self.seeds.bytes()),
                stream,
                peer,
                wire: MsrpWire::default(),
                sessions: BTreeSet::new(),
                unbound_since: Some(now),
                stalled_since: None,
                closing: false,
            },
        );
        self.by_stream.insert(stream, id);
    }

    /// A SIP stream stands.
    pub(crate) fn open_flow(&mut self, stream: u64) -> FlowId {
        let id = FlowId(self.next_flow);
        self.next_flow += 1;
        self.flows
            .insert(id, (stream, StreamDecoder::new(sip::Limits::default())));
        self.flow_of.insert(stream, id);
        id
    }
}

impl Connection {
    pub(crate) fn note(&mut self, event: &msrp::Event, now: Instant) {
        match event {
            msrp::Event::Lost { session, .. } => self.release(session, now),
            msrp::Event::Faulted(_) | msrp::Event::Closed => {
                self.closing = true;
                self.unbound_since = None;
            }
            _ => {}
        }
    }

    pub(crate) fn command(&mut self, command: msrp::Command, now: Instant) {
        match &command {
            msrp::Command::Bind(parameters) | msrp::Command::Open(parameters) => {
                if let Some(session) = parameters.local.last().session() {
                    self.sessions.insert(session.clone());
                    self.unbound_since = None;
                }
            }
            msrp::Command::Unbind(session) => {
                let session = session.clone();
                self.release(&session, now);
            }
            _ => {}
        }
        self.machine.handle_command(command, now);
    }

    fn release(&mut self, session: &msrp::SessionId, now: Instant) {
        if self.sessions.remove(session) && self.sessions.is_empty() {
            self.unbound_since = Some(now);
        }
    }

    /// When the shell itself would look at it.
    pub(crate) fn due(&self) -> Option<Instant> {
        let own = [self.unbound_since, self.stalled_since]
            .into_iter()
            .flatten()
            .map(|since| since + PATIENCE);
        own.chain(self.machine.poll_timeout()).min()
    }
}
