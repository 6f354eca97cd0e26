//! The machines, and the wires from which a transcript's peers hang.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use mapping::{
    AnswerRule, Command, ConferenceDomain, Config, ConflictRule, ConnectionId, Gateway, LinkId, MsrpPlaces,
    MsrpTransport, NotConnected, OutageRule, Place, RoomPassword,
};
use msrp::sdp::Fingerprints;
use sip::{
    Endpoint, Flow, FlowId, LocalAddress, Transport,
    digest::{Asked, Challenge, Password},
};
use xmpp::{Link, LinkConfig};

use super::{
    compare::parsed,
    script::{Happening, Peer, Protocol},
};
use crate::stage::config;

pub(super) const STREAM: &str = "jabber:component:accept";
pub(crate) struct Hall {
    now: Instant,
    gateway: Gateway,
    endpoint: Endpoint,
    /// Of each component domain, in the order of [`LinkId`]s.
    links: Vec<(String, Link)>,
    switch: BTreeMap<String, Wire>,
    /// By name, in the order in which they first spoke.
    callers: Vec<String>,
    /// Why the gateway does not connect to switches.
    not_connected: Option<NotConnected>,
    heard: BTreeMap<Peer, VecDeque<String>>,
}

/// The gateway's end of an MSRP connection.
struct Wire {
    id: ConnectionId,
    machine: msrp::Connection,
    /// What the peer has not read as a whole frame yet.
    octets: BytesMut,
    open: bool,
    /// Judges every octet that the gateway writes.
    judge: msrp_checker::Judge,
}

impl Hall {
    pub(crate) fn new(givens: &[&String]) -> Self {
        let mut config = Config {
            msrp: MsrpPlaces::Tcp(place()),
            certificates: Fingerprints::of([&b"abc"[..]]),
            ..config()
        };
        let mut not_connected = None;
        for given in givens {
            match given.as_str() {
                "a switch with the certificate of another host" => {
                    not_connected = Some(NotConnected::WrongName);
                }
                given => set(&mut config, given),
            }
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "an Instant can be had from the clock alone; only this one is"
        )]
        let now = Instant::now();
        let wall = "2026-01-01T00:00:00Z".parse().unwrap();
        let users = config.components.len();
        let domains: Vec<_> = config.links().map(str::to_owned).collect();
        let mut hall = Self {
            now,
            gateway: Gateway::new(config, [7; 32], (now, wall)),
            endpoint: endpoint(),
            links: domains
                .into_iter()
                .enumerate()
                // Of a chat service there is more to tell than a link knows.
                .map(|(number, domain)| (domain.clone(), link(domain, number < users)))
                .collect(),
            switch: BTreeMap::new(),
            callers: Vec::new(),
            not_connected,
            heard: BTreeMap::new(),
        };
        for (_, link) in &mut hall.links {
            link.handle_timeout(now);
        }
        hall.open_links();
        hall
    }

    /// A peer says something.
    pub(crate) fn say(&mut self, peer: &Peer, text: &str) {
        match peer.protocol {
            Protocol::Sip => {
                let caller = self.caller(&peer.name);
                let flow = Flow {
                    transport: Transport::Tcp,
                    peer: address(caller),
                    id: Some(FlowId(caller as u64 + 1)),
                };
                self.endpoint.handle_message(flow, sip_octets(text), self.now);
            }
            Protocol::Msrp => {
                let octets = format!("{}\r\n", text.trim_end().replace('\n', "\r\n"));
                self.say_msrp(&peer.name, octets.as_bytes());
            }
            Protocol::Xmpp => {
                let stanza = parsed(text).unwrap();
                let to = stanza.attr("to").unwrap();
                let domain = to.split('/').next().unwrap().rsplit('@').next().unwrap();
                let (_, link) = self.links.iter_mut().find(|(own, _)| own == domain).unwrap();
                link.handle_bytes(text.as_bytes(), self.now);
            }
        }
        self.run();
    }

    /// Octets on an MSRP connection, as they are.
    pub(crate) fn say_msrp(&mut self, name: &str, octets: &[u8]) {
        let wires = self.switch.len() as u64;
        let secured = String::from_utf8_lossy(octets).contains("To-Path: msrps:");
        let wire = self
            .switch
            .entry(name.to_owned())
            .or_insert_with(|| Wire::new(ConnectionId(2 * wires + 1), secured));
        wire.judge.heard(octets);
        wire.machine.handle_bytes(octets, self.now);
        self.run();
    }

    /// The next message to a peer.
    pub(crate) fn hear(&mut self, peer: &Peer) -> Option<String> {
        self.heard.get_mut(peer)?.pop_front()
    }

    /// Something that was sent and that no transcript has heard.
    pub(crate) fn unheard(&self) -> Option<(&Peer, &String)> {
        self.heard
            .iter()
            .find_map(|(peer, messages)| Some((peer, messages.front()?)))
    }

    pub(crate) fn happens(&mut self, what: &Happening) {
        match what {
            Happening::Passes(time) => self.pass(*time),
            Happening::LinkBreaks => {
                for (_, link) in &mut self.links {
                    link.handle_disconnected(self.now);
                }
            }
            Happening::LinkIsBack => {
                self.pass(Duration::from_secs(60));
                self.open_links();
            }
            Happening::MsrpBreaks(user) => {
                let wire = self.switch.get_mut(user).unwrap();
                wire.machine.handle_closed(self.now);
            }
        }
        self.run();
    }

    fn open_links(&mut self) {
        let now = self.now;
        for (domain, link) in &mut self.links {
            let header = format!(
                "<?xml version='1.0'?><stream:stream xmlns='{STREAM}' \
                 xmlns:stream='http://etherx.jabber.org/streams' id='1' from='{domain}'>"
            );
            link.handle_connected(now);
            link.handle_bytes(header.as_bytes(), now);
            link.handle_bytes(b"<handshake/>", now);
            // The opening of the stream is no part of any transcript.
            let mut octets = BytesMut::new();
            while link.poll_transmit(&mut octets) {}
        }
        self.run();
    }

    fn caller(&mut self, name: &str) -> usize {
        let known = self.callers.iter().position(|caller| caller == name);
        known.unwrap_or_else(|| {
            self.callers.push(name.to_owned());
            self.callers.len() - 1
        })
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let wires = self.switch.values().filter(|wire| wire.open);
            let due = wires
                .map(|wire| wire.machine.poll_timeout())
                .chain(self.links.iter().map(|(_, link)| link.poll_timeout()))
                .chain([self.gateway.poll_timeout(), self.endpoint.poll_timeout()])
                .flatten()
                .min();
            match due {
                Some(at) if at <= end => self.now = at.max(self.now),
                _ => break,
            }
            self.gateway.handle_timeout(self.now);
            self.endpoint.handle_timeout(self.now);
            for (_, link) in &mut self.links {
                link.handle_timeout(self.now);
            }
            for wire in self.switch.values_mut().filter(|wire| wire.open) {
                wire.machine.handle_timeout(self.now);
            }
            self.run();
        }
        self.now = end;
    }

    /// Carries everything to where it belongs until nothing moves.
    fn run(&mut self) {
        while self.carry_commands() | self.carry_sip() | self.carry_msrp() | self.carry_xmpp() {}
    }

    fn carry_commands(&mut self) -> bool {
        let mut moved = false;
        while let Some(command) = self.gateway.poll_command() {
            moved = true;
            match command {
                Command::Resolve { .. } => unreachable!("every domain of a transcript is known"),
                Command::Reload | Command::Remember(_) | Command::Forget(_) => {}
                Command::Connect { connection, tls, .. } => {
                    if let Some(why) = self.not_connected {
                        self.gateway.handle_not_connected(connection, why, self.now);
                        continue;
                    }
                    let earlier = self
                        .switch
                        .keys()
                        .filter(|name| name.starts_with("switch"))
                        .count();
                    let name = match earlier {
                        0 => "switch".to_owned(),
                        _ => format!("switch{}", earlier + 1),
                    };
                    self.switch.insert(name, Wire::new(connection, tls.is_some()));
                }
                Command::Sip(command) => self.endpoint.handle_command(command, self.now),
                Command::Msrp(id, command) => {
                    if let Some(wire) = self.switch.values_mut().find(|wire| wire.id == id && wire.open) {
                        wire.machine.handle_command(command, self.now);
                    }
                }
                Command::Xmpp(LinkId(link), command) => self.links[link].1.handle_command(command, self.now),
            }
        }
        moved
    }

    fn carry_sip(&mut self) -> bool {
        let mut moved = false;
        while let Some(resolve) = self.endpoint.poll_resolve() {
            moved = true;
            // The only host that the gateway calls by its name.
            let focus = address(self.caller("focus"));
            self.endpoint.handle_resolved(resolve.id, vec![focus], self.now);
        }
        while let Some(transmit) = self.endpoint.poll_transmit() {
            moved = true;
            let flow = transmit.target.flow;
            let caller = (0..self.callers.len()).find(|caller| {
                flow == Some(FlowId(*caller as u64 + 1)) || transmit.target.peer == address(*caller)
            });
            let name = caller.map_or("nobody", |caller| self.callers[caller].as_str());
            let peer = Peer {
                protocol: Protocol::Sip,
                name: name.to_owned(),
            };
            self.heard
                .entry(peer)
                .or_default()
                .push_back(text(&transmit.bytes));
        }
        while let Some(event) = self.endpoint.poll_event() {
            moved = true;
            self.gateway.handle_sip(event, self.now);
        }
        moved
    }

    fn carry_msrp(&mut self) -> bool {
        let mut moved = false;
        for (name, wire) in &mut self.switch {
            while wire.machine.poll_transmit(&mut wire.octets, 65_536, self.now) {
                moved = true;
            }
            let heard = self.heard.entry(Peer::msrp(name)).or_default();
            while let Some(length) = frame(&wire.octets) {
                let octets = wire.octets.split_to(length);
                wire.judge.written(&octets);
                assert_eq!(wire.judge.complaint(), None, "the gateway writes unsound MSRP");
                heard.push_back(text(&octets));
            }
            while let Some(event) = wire.machine.poll_event() {
                moved = true;
                wire.open &= event != msrp::Event::Closed;
                self.gateway.handle_msrp(wire.id, event, self.now);
            }
        }
        moved
    }

    fn carry_xmpp(&mut self) -> bool {
        let mut moved = false;
        for (number, (domain, link)) in self.links.iter_mut().enumerate() {
            let mut octets = BytesMut::new();
            while link.poll_transmit(&mut octets) {}
            let stanzas = parsed(&format!("<stream xmlns='{STREAM}'>{}</stream>", text(&octets)));
            // An end of the stream is no stanza.
            for stanza in stanzas.iter().flat_map(|stream| stream.children()) {
                moved = true;
                let (id, to) = (stanza.attr("id").unwrap_or_default(), stanza.attr("to").unwrap());
                if id.starts_with("ping-") && stanza.attr("from") == Some(domain) {
                    // Whether the server is alive is the link's own concern.
                    let alive = format!("<iq type='result' id='{id}' from='{to}' to='{domain}'/>");
                    link.handle_bytes(alive.as_bytes(), self.now);
                } else {
                    let heard = self.heard.entry(Peer::xmpp()).or_default();
                    heard.push_back(String::from(stanza));
                }
            }
            while link.poll_action().is_some() {
                moved = true;
            }
            while let Some(event) = link.poll_event() {
                moved = true;
                self.gateway.handle_xmpp(LinkId(number), event, self.now);
            }
        }
        moved
    }
}

impl Wire {
    fn new(id: ConnectionId, secured: bool) -> Self {
        let machine = msrp::Connection::new(msrp::Limits::default(), [9; 32]);
        Self {
            id,
            machine: if secured { machine.secured() } else { machine },
            octets: BytesMut::new(),
            open: true,
            judge: msrp_checker::Judge::default(),
        }
    }
}

fn set(config: &mut Config, given: &str) {
    match given.split_once(' ').unwrap_or((given, "")) {
        ("conference", domain) => config.conferences.push(ConferenceDomain {
            muc: domain.to_owned(),
            sip: domain.to_owned(),
        }),
        ("password", password) => {
            let password = RoomPassword {
                password: mapping::Password::new(password),
                ask: true,
            };
            config.passwords.insert(crate::ROOM.parse().unwrap(), password);
        }
        ("conflict", "varied") => config.conflict = ConflictRule::Vary,
        ("answer", "at once") => config.answer = AnswerRule::AtOnce,
        ("history", count) => config.history = count.parse().unwrap(),
        ("outage", "told") => config.outage.tell = true,
        ("msrp", "over TLS") => config.msrp = MsrpPlaces::Tls(place()),
        ("msrp", "over either") => {
            config.msrp = MsrpPlaces::Either {
                tcp: place(),
                tls: ("s2m.example.com".to_owned(), 2856),
                offered: MsrpTransport::Tcp,
            }
        }
        ("outage", "held") => config.outage.messages = OutageRule::Hold,
        _ => panic!("no such setting: {given}"),
    }
}

fn place() -> Place {
    ("s2m.example.com".to_owned(), 2855)
}

fn endpoint() -> Endpoint {
    let config = sip::Config {
        local: vec![LocalAddress {
            transport: Transport::Tcp,
            host: "s2x.example.com".to_owned(),
            port: 5060,
        }],
        outbound_proxy: None,
        product: "gateway".to_owned(),
        limits: sip::Limits::default(),
        t1: Duration::from_millis(500),
    };
    Endpoint::new(config, [1; 32])
}

fn link(domain: String, answers: bool) -> Link {
    let config = LinkConfig {
        domain,
        secret: "secret".to_owned(),
        limits: xmpp::Limits::default(),
        handshake: Duration::from_secs(10),
        idle: Duration::from_secs(30),
        ping: Duration::from_secs(10),
        answers,
        retry: Duration::from_secs(2),
        conflict: xmpp::ConflictRule::Retry,
    };
    Link::new(config, [8; 32])
}

fn address(caller: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 10 + u8::try_from(caller).unwrap()], 5060))
}

/// With the line ends and the length that the wire needs.
fn sip_octets(text: &str) -> Bytes {
    let text = with_response(text);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut body = body.replace('\n', "\r\n");
    if body.starts_with("v=0") {
        body.push_str("\r\n");
    }
    let mut octets = head.replace('\n', "\r\n");
    octets.push_str(&format!("\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    octets.into()
}

/// With the answer that the password, which stands in the place of the response, gives to what is before it.
fn with_response(text: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix("Authorization: "));
    let Some((line, (challenge, password))) = line.zip(line.and_then(|line| line.split_once(", response=")))
    else {
        return text.to_owned();
    };
    let mut request = text.split(' ');
    let asked = Asked {
        method: request.next().unwrap(),
        uri: request.next().unwrap(),
        body: b"",
    };
    let password = Password::new(password.trim_matches('"'));
    let answer = Challenge::read(challenge)
        .unwrap()
        .answer("romeo", &password, asked, 1, "once");
    text.replace(line, &answer)
}

/// The length of the frame that the octets begin with.
fn frame(octets: &[u8]) -> Option<usize> {
    let start = octets.strip_prefix(b"MSRP ")?;
    let transaction = start.split(|octet| *octet == b' ').next()?;
    let end: Vec<u8> = [b"\r\n-------", transaction].concat();
    let place = octets.windows(end.len()).position(|window| window == end)?;
    // Behind it come the flag and the end of the line.
    Some(place + end.len() + 3)
}

fn text(octets: &[u8]) -> String {
    std::str::from_utf8(octets).unwrap().replace("\r\n", "\n")
}
