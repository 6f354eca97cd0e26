//! The world: one clock, one heap of what is to happen, datagrams and streams between the places, and everybody who lives there.

mod act;
mod network;
mod peers;
mod shell;

pub(crate) use peers::cut;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write,
    net::SocketAddr,
    time::{Duration, Instant},
};

use mapping::{ConnectionId, LinkId};

use crate::{
    conference::Side,
    host::{self, Host},
    model::Model,
    plan::{Dice, Fault, Setting},
    proxy::{NotifyHabit, Proxy},
    server::{Flavour, Server},
    user::{self, User},
    wire::MsrpWire,
};
use network::Stream;

/// Where a machine lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Gateway,
    Proxy,
    Server,
    Focus,
    User(usize),
}

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Sip,
    Msrp,
    Xml,
}

/// A machine with deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Machine {
    Core,
    Endpoint,
    Link(usize),
    Focus,
    Connection(ConnectionId),
    User(usize),
}

/// What is to happen.
#[derive(Debug)]
enum Happening {
    Datagram {
        to: Place,
        from: SocketAddr,
        bytes: Vec<u8>,
    },
    /// Something may have arrived at this end of a stream.
    Arrival {
        stream: u64,
        end: usize,
    },
    /// This end of a stream learns that it is over.
    Over {
        stream: u64,
        end: usize,
    },
    Wake(Machine),
    Inner(Inner),
    LinkConnect(usize),
    OpenMedia {
        user: usize,
        call: usize,
    },
    /// A client that lost its media hangs up.
    HangUp {
        user: usize,
        call: usize,
    },
    Rejoin {
        native: usize,
        room: usize,
        nickname: String,
    },
}

/// What passes between the tasks of the gateway.
#[derive(Debug)]
enum Inner {
    Sip(Box<sip::Event>),
    Msrp(ConnectionId, Box<msrp::Event>),
    Xmpp(LinkId, Box<xmpp::Event>),
    Command(Box<mapping::Command>),
}

/// A native user of the XMPP server.
pub(crate) struct Native {
    pub(crate) jid: String,
}

/// What the core decided, in order: a digest, and the text if it is wanted.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) digest: u64,
    pub(crate) commands: u64,
    pub(crate) text: Option<String>,
    /// Only count.
    pub(crate) off: bool,
}

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    pub(crate) setting: Setting,
    pub(crate) host: Host,
    pub(crate) proxy: Proxy,
    pub(crate) server: Server,
    pub(crate) users: Vec<User>,
    pub(crate) natives: Vec<Native>,
    /// The other direction.
    pub(crate) side: Side,
    pub(crate) model: Model,
    pub(crate) log: Log,
    pub(crate) happenings: u64,
    /// Once the run is over, no more faults.
    pub(crate) calm: bool,
    heap: BTreeMap<(Instant, u64), Happening>,
    next: u64,
    dice: Dice,
    streams: BTreeMap<u64, Stream>,
    next_stream: u64,
    paths: BTreeMap<(Place, SocketAddr), Instant>,
    lanes: BTreeMap<(u8, u64), Instant>,
    inbox: VecDeque<Inner>,
    wakes: BTreeMap<Machine, Instant>,
    touched: Vec<usize>,
    /// The server takes component connections from then on.
    accepting: Instant,
    proxy_inbox: BTreeMap<u64, Vec<u8>>,
    server_stream: Option<u64>,
    requests: u64,
    /// When each link came up last, while it is.
    pub(crate) links_up_at: Vec<Option<Instant>>,
    /// Requests of the server to users: to whom, when, and how often they were answered.
    pub(crate) pings: BTreeMap<String, (String, Instant, u32)>,
    /// NICKNAMEs that wait: of which stay, for what, since when.
    pub(crate) nicknames_asked: BTreeMap<u64, (usize, String, Instant)>,
    pub(crate) closed_wires: Vec<MsrpWire>,
}

impl World {
    pub(crate) fn new(seed: u64, setting: Setting) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an Instant can be had from the clock alone; only this one is"
        )]
        let now = Instant::now();
        let mut dice = Dice::new(seed, 3);
        let flavour = if setting.ejabberd {
            Flavour::Ejabberd
        } else {
            Flavour::Prosody
        };
        let users = (0..setting.users)
            .map(|n| {
                // Twins are two devices of one user.
                let twin = setting.twins && n % 2 == 1;
                let name = format!("u{}", if twin { n - 1 } else { n });
                let instance = (setting.twins || n % 2 == 0).then(|| format!("device{n}"));
                User::new(n, name, instance, setting.udp.0, dice.bytes())
            })
            .collect();
        let natives = (0..setting.natives)
            .map(|n| Native {
                jid: format!("n{n}@xmpp.example.net/phone"),
            })
            .collect();
        let mut world = Self {
            now,
            start: now,
            host: Host::new(&setting, seed, now),
            proxy: Proxy::new(setting.udp),
            server: Server::new(flavour, host::component(&setting)),
            users,
            natives,
            side: Side::new(setting.conferences.clone(), seed),
            model: Model::new(now),
            log: Log::default(),
            happenings: 0,
            calm: false,
            heap: BTreeMap::new(),
            next: 0,
            dice,
            streams: BTreeMap::new(),
            next_stream: 1,
            paths: BTreeMap::new(),
            lanes: BTreeMap::new(),
            inbox: VecDeque::new(),
            wakes: BTreeMap::new(),
            touched: Vec::new(),
            accepting: now,
            proxy_inbox: BTreeMap::new(),
            server_stream: None,
            requests: 0,
            links_up_at: Vec::new(),
            pings: BTreeMap::new(),
            nicknames_asked: BTreeMap::new(),
            closed_wires: Vec::new(),
            setting,
        };
        world.links_up_at = vec![None; world.host.links.len()];
        world.give_habits();
        for end in &mut world.host.links {
            end.link.handle_timeout(now);
        }
        world.settle();
        world
    }

    fn give_habits(&mut self) {
        let Some(odd) = self.users.get_mut(self.setting.odd) else {
            return;
        };
        let address = odd.address.ip();
        let has = |fault| self.setting.faults.contains(&fault);
        if has(Fault::NoMedia) {
            odd.opens_media = false;
        }
        if has(Fault::NoAck) {
            self.proxy.no_ack.insert(address);
        }
        if has(Fault::NotifyHabits) {
            let habit = if self.setting.odd.is_multiple_of(2) {
                NotifyHabit::Never
            } else {
                NotifyHabit::Unknown
            };
            self.proxy.notify.insert(address, habit);
        }
    }

    /// Whether a fault is on and drawn now.
    fn strikes(&mut self, fault: Fault, percent: usize) -> bool {
        !self.calm && self.setting.faults.contains(&fault) && self.dice.chance(percent)
    }

    fn schedule(&mut self, at: Instant, happening: Happening) {
        self.next += 1;
        self.heap.insert((at.max(self.now), self.next), happening);
    }

    fn after(&mut self, millis: usize, happening: Happening) {
        let at = self.now + Duration::from_millis(millis as u64);
        self.schedule(at, happening);
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(entry) = self.heap.first_entry() {
            let at = entry.key().0;
            if at > end {
                break;
            }
            let happening = entry.remove();
            self.set_clocks(at);
            self.happenings += 1;
            self.happen(happening);
            self.settle();
        }
        self.set_clocks(end);
    }

    fn set_clocks(&mut self, now: Instant) {
        self.now = now;
        let since = jiff::SignedDuration::try_from(now - self.start).unwrap_or_default();
        self.server.clock = jiff::Timestamp::UNIX_EPOCH
            .saturating_add(since)
            .unwrap_or_default();
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Datagram { to, from, bytes } => self.sip_arrived(to, from, None, &bytes),
            Happening::Arrival { stream, end } => self.arrival(stream, end),
            Happening::Over { stream, end } => self.stream_over(stream, end),
            Happening::Wake(machine) => self.wake(machine),
            Happening::Inner(inner) => self.inner(inner),
            Happening::LinkConnect(n) => self.link_connect(n),
            Happening::OpenMedia { user, call } => self.open_media(user, call),
            Happening::HangUp { user, call } => self.hang_up(user, call),
            Happening::Rejoin {
                native,
                room,
                nickname,
            } => self.join(native, room, &nickname),
        }
    }

    /// Carries everything to where it belongs until nothing moves but time.
    pub(crate) fn settle(&mut self) {
        loop {
            while let Some(inner) = self.inbox.pop_front() {
                self.inner(inner);
            }
            let moved =
                self.carry_gateway() | self.carry_users() | self.carry_server() | self.carry_conferences();
            if !moved && self.inbox.is_empty() {
                break;
            }
        }
        self.reschedule();
    }

    fn due(&self, machine: Machine) -> Option<Instant> {
        match machine {
            Machine::Core => self.host.core.poll_timeout(),
            Machine::Endpoint => self.host.endpoint.poll_timeout(),
            Machine::Link(n) => self.host.links.get(n).and_then(|end| end.link.poll_timeout()),
            Machine::Focus => self.side.focus.poll_timeout(),
            Machine::Connection(id) => self.host.connections.get(&id).and_then(host::Connection::due),
            Machine::User(n) => {
                let user = self.users.get(n).filter(|user| !user.gone)?;
                let media = user
                    .calls
                    .iter()
                    .filter_map(|call| call.media.as_ref()?.poll_timeout());
                media.chain(user.endpoint.poll_timeout()).min()
            }
        }
    }

    fn reschedule(&mut self) {
        let connections: Vec<_> = std::mem::take(&mut self.host.dirty).into_iter().collect();
        let mut users = std::mem::take(&mut self.touched);
        users.sort_unstable();
        users.dedup();
        let machines = [Machine::Core, Machine::Endpoint, Machine::Focus]
            .into_iter()
            .chain((0..self.host.links.len()).map(Machine::Link))
            .chain(connections.into_iter().map(Machine::Connection))
            .chain(users.into_iter().map(Machine::User));
        for machine in machines {
            if let Some(at) = self.due(machine) {
                let at = at.max(self.now);
                if self.wakes.get(&machine).is_none_or(|known| *known > at) {
                    self.wakes.insert(machine, at);
                    self.schedule(at, Happening::Wake(machine));
                }
            }
        }
    }

    fn wake(&mut self, machine: Machine) {
        if self.wakes.get(&machine).is_some_and(|at| *at <= self.now) {
            self.wakes.remove(&machine);
        }
        let now = self.now;
        let due = self.due(machine).is_some_and(|at| at <= now);
        match machine {
            Machine::Core if due => self.host.core.handle_timeout(now),
            Machine::Endpoint if due => self.host.endpoint.handle_timeout(now),
            Machine::Link(n) if due => {
                if let Some(end) = self.host.links.get_mut(n) {
                    end.link.handle_timeout(now);
                }
            }
            Machine::Focus if due => self.side.focus.handle_timeout(now),
            Machine::Connection(id) => self.wake_connection(id, due),
            Machine::User(n) => {
                self.touched.push(n);
                if due && let Some(user) = self.users.get_mut(n) {
                    user.endpoint.handle_timeout(now);
                    for media in user.calls.iter_mut().filter_map(|call| call.media.as_mut()) {
                        media.handle_timeout(now);
                    }
                }
            }
            _ => {}
        }
    }

    /// Brings the network back to order and lets everybody leave.
    pub(crate) fn close_down(&mut self) {
        self.calm = true;
        self.proxy.no_ack.clear();
        self.proxy.notify.clear();
        self.heal();
        self.pass(Duration::from_secs(30));
        self.close_conferences();
        for n in 0..self.users.len() {
            for call in 0..self.users[n].calls.len() {
                self.hang_up(n, call);
            }
        }
        self.settle();
        self.pass(Duration::from_secs(5));
        // A phone that never heard the end of its subscription would go on refreshing it.
        for n in 0..self.users.len() {
            self.touched.push(n);
            let user = &mut self.users[n];
            for subscription in user.calls.iter_mut().filter_map(|call| call.subscription.take()) {
                let command = sip::Command::Unsubscribe { subscription };
                user.endpoint.handle_command(command, self.now);
            }
        }
        self.settle();
        for native in 0..self.natives.len() {
            for room in 0..self.setting.rooms {
                let jid = self.natives[native].jid.clone();
                self.server.leave(&user::room_name(room), &jid, None, &[]);
            }
        }
        self.settle();
        self.pass(Duration::from_secs(300));
    }

    fn record(&mut self, command: &mapping::Command) {
        self.log.commands += 1;
        if self.log.off {
            return;
        }
        let at = (self.now - self.start).as_micros();
        let line = format!("{at} {command:?}\n");
        for octet in line.bytes() {
            // FNV-1a.
            self.log.digest = (self.log.digest ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(text) = &mut self.log.text {
            let _infallible = write!(text, "{line}");
        }
    }
}
