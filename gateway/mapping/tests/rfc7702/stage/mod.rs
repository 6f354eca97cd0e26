//! A stage on which the core plays with real machines: SIP users with an endpoint and an MSRP connection of their own on one side, a
//! small room service on the other, and one clock that only the test moves.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use mapping::{
    Access, AddressForm, AnswerRule, Component, Config, ConnectionId, CreationRule, Gateway, Limits, LinkId,
    NamingRule, Occupancy, Occupants, Outage, Proof, RoomDomain, Routes, Texts,
};
use msrp::SessionId;
use sip::{
    DialogId, Endpoint, Flow, FlowId, LocalAddress, Transport, Uri,
    locate::{Answer, Query, Service},
};
use xmpp::{
    BareJid, FullJid,
    stanza::{Outgoing, Stanza},
};

mod calls;
pub(crate) mod muc;
mod wires;
mod words;

use muc::Muc;

pub(crate) const GATEWAY: &str = "127.0.0.2:5060";
/// Where a phone is whose messages a test writes itself.
pub(crate) const PHONE: &str = "127.0.0.99:5060";
/// What the focus calls users through: it knows their clients by their names.
const PROXY: &str = "127.0.0.3:5060";

pub(crate) struct Stage {
    pub(crate) now: Instant,
    pub(crate) gateway: Gateway,
    pub(crate) focus: Endpoint,
    pub(crate) users: Vec<User>,
    pub(crate) muc: Muc,
    /// Everything the core sent to the room service, in order.
    pub(crate) to_rooms: Vec<Outgoing>,
    /// While false, the link is down: what is sent comes back unsent.
    links_up: BTreeSet<LinkId>,
    pub(crate) name_server: NameServer,
    /// What the name server was asked.
    pub(crate) asked: Vec<Query>,
    /// What the focus sent to the phone that has no machine.
    pub(crate) to_phone: Vec<String>,
    /// Who is sent one copy for all: room and occupant.
    pub(crate) sharing: BTreeSet<(BareJid, FullJid)>,
    /// While true, the link does not say that somebody shares no more.
    pub(crate) hold_unshared: bool,
    /// How often files were to be read again.
    pub(crate) reloads: usize,
    /// What a gateway that starts after a crash would be told.
    pub(crate) remembered: BTreeSet<Occupancy>,
    /// What the switch was to see of whom it connected to.
    pub(crate) proofs: Vec<Option<Proof>>,
    unshared: Vec<(LinkId, BareJid, FullJid)>,
    switch: BTreeMap<ConnectionId, Wire>,
    /// How many the users have sent.
    messages: u64,
}

/// One MSRP connection: the switch's end, and whose it is.
struct Wire {
    machine: msrp::Connection,
    user: usize,
    open: bool,
    /// Judges every octet that the switch writes.
    judge: msrp_checker::Judge,
}

impl Wire {
    /// An open one, to this user.
    fn to(user: usize) -> Self {
        Self {
            machine: msrp::Connection::new(msrp::Limits::default(), [9; 32]),
            user,
            open: true,
            judge: msrp_checker::Judge::default(),
        }
    }

    fn hear(&mut self, octets: &[u8], now: Instant) {
        self.judge.heard(octets);
        self.machine.handle_bytes(octets, now);
    }

    fn write(&mut self, now: Instant) -> BytesMut {
        let mut octets = BytesMut::new();
        while self.machine.poll_transmit(&mut octets, 65_536, now) {}
        self.judge.written(&octets);
        assert_eq!(self.judge.complaint(), None, "the switch writes unsound MSRP");
        octets
    }
}

/// What a name server knows, and how it is.
#[derive(Default)]
pub(crate) struct NameServer {
    /// Names with SRV records, and their targets.
    pub(crate) services: BTreeMap<String, &'static str>,
    /// Names that it cannot be asked of.
    pub(crate) broken: BTreeSet<String>,
    pub(crate) silent: bool,
}

impl NameServer {
    fn answer(&self, query: &Query) -> Option<Answer> {
        let Query::Services(name) = query else {
            unreachable!("SRV records alone tell whose a domain is")
        };
        if self.silent {
            return None;
        }
        if self.broken.contains(name) {
            return Some(Answer::Failed);
        }
        Some(self.services.get(name).map_or(Answer::Absent, |target| {
            Answer::Services(vec![Service {
                priority: 1,
                weight: 1,
                port: 1,
                target: (*target).to_owned(),
            }])
        }))
    }
}

pub(crate) struct User {
    pub(crate) endpoint: Endpoint,
    pub(crate) msrp: msrp::Connection,
    address: SocketAddr,
    aor: Uri,
    pub(crate) sip_events: VecDeque<sip::Event>,
    pub(crate) msrp_events: VecDeque<msrp::Event>,
    /// Messages that his client has taken.
    pub(crate) received: Vec<(SessionId, msrp::IncomingMessage)>,
    pub(crate) dialog: DialogId,
    /// Path of the switch, once the INVITE was answered.
    pub(crate) switch: Option<msrp::Path>,
    pub(crate) path: msrp::Path,
    connection: Option<ConnectionId>,
    /// While true, nothing of him reaches the gateway and the other way round.
    pub(crate) silent: bool,
}

/// The link of most plays.
const LINK: LinkId = LinkId(0);

pub(crate) fn config() -> Config {
    Config {
        components: vec![Component {
            domain: "example.org".to_owned(),
            form: AddressForm::Native,
        }],
        rooms: vec![RoomDomain {
            sip: "rooms.example.com".to_owned(),
            muc: "rooms.example.com".to_owned(),
        }],
        passwords: BTreeMap::new(),
        conferences: Vec::new(),
        msrp: mapping::MsrpPlaces::Tcp(("127.0.0.2".to_owned(), 2855)),
        certificates: msrp::sdp::Fingerprints::default(),
        answer: AnswerRule::WhenAdmitted,
        conflict: mapping::ConflictRule::Refuse,
        history: 0,
        naming: NamingRule::Provisional,
        creation: CreationRule::AcceptDefault,
        access: Access::default(),
        routes: Routes::default(),
        numbers: None,
        connect: true,
        tell_nickname: false,
        occupants: Occupants::default(),
        texts: Texts::default(),
        outage: Outage {
            tell: false,
            ..Outage::default()
        },
        admins: BTreeSet::new(),
        limits: Limits::default(),
    }
}

impl Stage {
    /// The curtain rises with the link up.
    pub(crate) fn new(config: Config) -> Self {
        let mut stage = Self::dark(config);
        stage.link(true);
        stage
    }

    /// The same with the link down.
    pub(crate) fn dark(config: Config) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an Instant can be had from the clock alone; only this one is"
        )]
        let now = Instant::now();
        let wall = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut stage = Self {
            now,
            gateway: Gateway::new(config, [7; 32], (now, wall)),
            focus: endpoint(GATEWAY.parse().unwrap(), 1, Some(PROXY)),
            users: Vec::new(),
            muc: Muc::default(),
            to_rooms: Vec::new(),
            links_up: BTreeSet::new(),
            name_server: NameServer::default(),
            asked: Vec::new(),
            to_phone: Vec::new(),
            sharing: BTreeSet::new(),
            hold_unshared: false,
            reloads: 0,
            remembered: BTreeSet::new(),
            proofs: Vec::new(),
            unshared: Vec::new(),
            switch: BTreeMap::new(),
            messages: 0,
        };
        stage.run();
        stage
    }

    pub(crate) fn link(&mut self, up: bool) {
        self.link_of(0, up);
    }

    /// The link of one of several components.
    pub(crate) fn link_of(&mut self, component: usize, up: bool) {
        if up {
            self.links_up.insert(LinkId(component));
        } else {
            self.links_up.remove(&LinkId(component));
        }
        let event = if up {
            xmpp::Event::Up
        } else {
            xmpp::Event::Down(xmpp::DownCause::Closed)
        };
        self.gateway.handle_xmpp(LinkId(component), event, self.now);
        self.run();
    }

    /// The link does not know whether the server has read this before it broke.
    pub(crate) fn unconfirmed(&mut self, stanza: Outgoing) {
        let event = xmpp::Event::Unsent {
            stanza: Box::new(stanza),
            why: xmpp::Unsent::Unconfirmed,
        };
        self.gateway.handle_xmpp(LinkId(0), event, self.now);
        self.run();
    }

    /// A user with a client; he does nothing by himself.
    pub(crate) fn user(&mut self, name: &str) -> usize {
        self.user_of(name, "example.org")
    }

    /// One of another SIP domain.
    pub(crate) fn user_of(&mut self, name: &str, domain: &str) -> usize {
        let n = self.users.len();
        let address: SocketAddr = format!("127.0.0.{}:5060", n + 10).parse().unwrap();
        let path: msrp::Path = format!("msrp://127.0.0.{}:9/offered{n};tcp", n + 10)
            .parse()
            .unwrap();
        self.users.push(User {
            endpoint: endpoint(address, 100 + u8::try_from(n).unwrap(), Some(GATEWAY)),
            msrp: msrp::Connection::new(msrp::Limits::default(), [50 + u8::try_from(n).unwrap(); 32]),
            address,
            aor: format!("sip:{name}@{domain}").parse().unwrap(),
            sip_events: VecDeque::new(),
            msrp_events: VecDeque::new(),
            received: Vec::new(),
            dialog: DialogId(2),
            switch: None,
            path,
            connection: None,
            silent: false,
        });
        n
    }

    /// A stanza from the server.
    pub(crate) fn stanza(&mut self, stanza: Stanza) {
        self.gateway
            .handle_xmpp(LINK, xmpp::Event::Stanza(stanza), self.now);
        self.run();
    }

    pub(crate) fn stanzas(&mut self, stanzas: Vec<Stanza>) {
        for stanza in stanzas {
            self.stanza(stanza);
        }
    }
}

pub(crate) fn session_id(path: &msrp::Path) -> SessionId {
    path.last().session().unwrap().clone()
}

pub(crate) fn flow(peer: SocketAddr, id: u64) -> Flow {
    Flow {
        transport: Transport::Tcp,
        peer,
        id: Some(FlowId(id)),
    }
}

pub(crate) fn endpoint(address: SocketAddr, seed: u8, proxy: Option<&str>) -> Endpoint {
    let config = sip::Config {
        local: vec![LocalAddress {
            transport: Transport::Tcp,
            host: address.ip().to_string(),
            port: address.port(),
        }],
        outbound_proxy: proxy.map(|proxy| format!("sip:{proxy};transport=tcp;lr").parse().unwrap()),
        product: "stage".to_owned(),
        limits: sip::Limits::default(),
        t1: Duration::from_millis(500),
    };
    let mut endpoint = Endpoint::new(config, [seed; 32]);
    // Everybody here is behind a proxy that asserts who he is.
    endpoint.set_trust(sip::Trust {
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..sip::Trust::default()
    });
    endpoint
}
