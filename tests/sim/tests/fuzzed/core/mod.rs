//! The core under any list of events, plausible or not, at any time.

mod conference_side;
mod msrp_side;
mod sip_side;
mod xmpp_side;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    time::{Duration, Instant},
};

use mapping::{
    AddressForm, AnswerRule, Command, Component, ConferenceDomain, Config, ConnectionId, Gateway, Limits,
    LinkId, Occupancy, Outage, OutageRule, RoomDomain, Texts,
};
use msrp::{MessageTag, SessionId};
use sip::{DialogId, SubscriptionId};
use xmpp::{FullJid, stanza::Outgoing};

use self::conference_side::{CONFERENCE_MUC, CONFERENCE_SIP, Conferences};
use super::{
    dues::{Book, Mint, Owner},
    script::Script,
};

const ROOMS: [&str; 3] = ["capulet", "montague", "caf\u{e9}"];
const USERS: [&str; 4] = ["romeo", "juliet", "nurse", "tybalt"];
const NICKNAMES: [&str; 7] = ["Romeo", "romeo", "Juliet", "N u r s e", "\u{c4}", "", "@/<&>\""];
const MUC: &str = "rooms.example.com";

/// One user's call, as far as it is known outside the core.
struct Call {
    dialog: DialogId,
    user: usize,
    room: usize,
    /// His path.
    path: String,
    /// Ours, once the INVITE was accepted.
    session: Option<SessionId>,
    /// What enters the room for him.
    entered: Option<(FullJid, FullJid)>,
    over: bool,
}

struct Stage {
    gateway: Gateway,
    mint: Mint,
    book: Book,
    limits: Limits,
    start: Instant,
    now: Instant,
    calls: Vec<Call>,
    subscriptions: Vec<SubscriptionId>,
    /// Sessions that may send, by their connections.
    bound: BTreeSet<(ConnectionId, SessionId)>,
    /// Messages for SIP users that are not settled.
    tags: BTreeMap<u64, (ConnectionId, SessionId)>,
    /// The last stanzas that went out.
    stanzas: Vec<Outgoing>,
    /// Occupants whom the core wants to be told of after a crash.
    remembered: BTreeSet<Occupancy>,
    link_up: bool,
    /// Whether XMPP users can be in conferences too.
    both_ways: bool,
    conferences: Conferences,
    conference_up: bool,
    stopping: bool,
    next: u64,
    /// Every command, if two runs are compared.
    log: Option<String>,
    /// What has to be answered before anything else happens.
    at_once: Vec<String>,
}

/// No panic; every obligation answered exactly once and in time; messages only into sessions that are bound; nothing left when
/// all is over; two runs alike.
pub(crate) fn core(data: &[u8]) {
    let start = start();
    let twice = data.first().is_some_and(|octet| octet % 16 == 15);
    let first = run(data, start, twice);
    if twice {
        assert_eq!(first, run(data, start, true), "two runs differ");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an `Instant` has no other source; from here on the time is virtual"
)]
fn start() -> Instant {
    Instant::now()
}

fn run(data: &[u8], start: Instant, keep: bool) -> Option<String> {
    let mut script = Script::new(data);
    let _twice = script.octet();
    let mut stage = Stage::new(script.octet(), start, keep);
    while !script.is_over() {
        stage.act(&mut script);
        stage.settle();
    }
    stage.end();
    stage.log
}

/// The link of SIP users in rooms, and that of XMPP users in conferences.
const LINK: LinkId = LinkId(0);
const CONFERENCE_LINK: LinkId = LinkId(1);

fn config(setting: u8) -> Config {
    let bit = |number: u8| setting & (1 << number) != 0;
    Config {
        components: vec![Component {
            domain: "gateway.example.org".to_owned(),
            form: if bit(0) {
                AddressForm::Hosted
            } else {
                AddressForm::Native
            },
        }],
        passwords: BTreeMap::new(),
        conferences: if both_ways(setting) {
            vec![ConferenceDomain {
                muc: CONFERENCE_MUC.to_owned(),
                sip: CONFERENCE_SIP.to_owned(),
            }]
        } else {
            Vec::new()
        },
        rooms: vec![RoomDomain {
            sip: MUC.to_owned(),
            muc: MUC.to_owned(),
        }],
        msrp: mapping::MsrpPlaces::Tcp(("127.0.0.1".to_owned(), 2855)),
        certificates: msrp::sdp::Fingerprints::default(),
        answer: if bit(1) {
            AnswerRule::AtOnce
        } else {
            AnswerRule::WhenAdmitted
        },
        history: 5,
        conflict: if bit(5) {
            mapping::ConflictRule::Vary
        } else {
            mapping::ConflictRule::Refuse
        },
        naming: mapping::NamingRule::Provisional,
        creation: mapping::CreationRule::AcceptDefault,
        access: mapping::Access::default(),
        routes: mapping::Routes::default(),
        numbers: None,
        connect: false,
        tell_nickname: false,
        occupants: mapping::Occupants::default(),
        admins: BTreeSet::new(),
        texts: Texts::default(),
        outage: Outage {
            tell: bit(2),
            messages: if bit(3) {
                OutageRule::Hold
            } else {
                OutageRule::Refuse
            },
        },
        limits: Limits {
            sessions: 6,
            occupants: 8,
            session_queue: (4, 1000),
            text: 200,
            ..Limits::default()
        },
    }
}

fn both_ways(setting: u8) -> bool {
    setting & (1 << 4) != 0
}

impl Stage {
    fn new(setting: u8, start: Instant, keep: bool) -> Self {
        let config = config(setting);
        let limits = config.limits.clone();
        let wall = "2026-01-01T00:00:00Z".parse().expect("a time");
        let mut stage = Self {
            gateway: Gateway::new(config, [7; 32], (start, wall)),
            mint: Mint::new(start),
            book: Book::default(),
            limits,
            start,
            now: start,
            calls: Vec::new(),
            subscriptions: Vec::new(),
            bound: BTreeSet::new(),
            tags: BTreeMap::new(),
            stanzas: Vec::new(),
            remembered: BTreeSet::new(),
            link_up: false,
            both_ways: both_ways(setting),
            conferences: Conferences::default(),
            conference_up: false,
            stopping: false,
            next: 1,
            log: keep.then(String::new),
            at_once: Vec::new(),
        };
        // The contract: nothing before the link has come up once.
        stage.link(true);
        if stage.both_ways {
            stage.conference_up = true;
            stage
                .gateway
                .handle_xmpp(CONFERENCE_LINK, xmpp::Event::Up, stage.now);
        }
        stage.settle();
        stage
    }

    fn act(&mut self, script: &mut Script<'_>) {
        let what = script.octet();
        if self.both_ways && what >= 128 {
            return self.conference_act(script);
        }
        match what % 32 {
            0..=2 => self.call(script),
            3..=5 => self.whole_entrance(script),
            6 => self.dialog_event(script),
            7 => self.in_dialog_request(script),
            8 | 9 => self.subscription(script),
            10 | 11 => self.bind_requested(script),
            12..=15 => self.say(script),
            16 => self.ask_for_nickname(script),
            17 => self.message_settled(script),
            18 => self.media_ends(script),
            19..=21 => self.presence(script),
            22 | 23 => self.room_answers(script),
            24..=26 => self.message(script),
            27 => self.iq(script),
            28 => self.link_event(script),
            29 => {
                let next = self.gateway.poll_timeout();
                self.pass_to(next.unwrap_or(self.now));
            }
            30 => {
                let pause = script.pause();
                self.pass_to(self.now + pause);
            }
            _ if script.chance(32) => {
                self.stopping = true;
                self.gateway.handle_shutdown(self.now);
            }
            _ => {}
        }
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Lets time pass, a deadline after the other.
    fn pass_to(&mut self, until: Instant) {
        for _ in 0..10_000 {
            match self.gateway.poll_timeout() {
                Some(due) if due <= until => {
                    self.now = due.max(self.now);
                    self.gateway.handle_timeout(self.now);
                    self.settle();
                }
                _ => {
                    self.now = until.max(self.now);
                    self.book.check(self.now);
                    return;
                }
            }
        }
        panic!("a deadline that does not pass");
    }

    /// Takes what the core has decided.
    fn settle(&mut self) {
        while let Some(command) = self.gateway.poll_command() {
            if let Some(log) = &mut self.log {
                let _ = writeln!(log, "{:?} {command:?}", self.now - self.start);
            }
            match command {
                Command::Sip(command) => self.sip_command(command),
                Command::Msrp(connection, command) => self.msrp_command(connection, command),
                Command::Xmpp(link, xmpp::Command::Send(stanza)) => self.stanza_out(link, stanza),
                Command::Xmpp(_, xmpp::Command::Unshare { room, occupant }) => {
                    let event = xmpp::Event::Unshared { room, occupant };
                    self.gateway.handle_xmpp(LINK, event, self.now);
                }
                Command::Xmpp(_, xmpp::Command::Shutdown | xmpp::Command::Share { .. }) | Command::Reload => {
                }
                Command::Remember(occupancy) => drop(self.remembered.insert(occupancy)),
                Command::Forget(occupancy) => drop(self.remembered.remove(&occupancy)),
                // A switch is reached, or not, when the input says so.
                Command::Connect { .. } => {}
                // No name server answers.
                Command::Resolve { lookup, .. } => {
                    self.gateway
                        .handle_resolved(lookup, &sip::locate::Answer::Absent, self.now);
                }
            }
        }
        for name in std::mem::take(&mut self.at_once) {
            assert!(!self.book.is_open(&name), "{name} is not answered at once");
        }
        self.book.check(self.now);
        let (sessions, rooms, subscriptions, timers) = self.gateway.census();
        assert!(
            sessions <= self.limits.sessions && rooms <= sessions,
            "{sessions} {rooms}"
        );
        assert!(subscriptions <= self.subscriptions.len());
        // A session has few deadlines besides those of its messages, of which there are as many as its queue may hold.
        let most = sessions * (6 + self.limits.session_queue.0) + rooms + 2;
        assert!(timers <= most, "{timers} timers for {sessions} sessions");
    }

    /// Everybody leaves; nothing stays behind.
    fn end(&mut self) {
        self.pass_to(self.now + Duration::from_secs(60));
        self.gateway.handle_shutdown(self.now);
        self.settle();
        self.book.check_empty();
        self.check_said();
        self.pass_to(self.now + Duration::from_secs(3600));
        assert_eq!(self.gateway.census(), (0, 0, 0, 0), "something is left");
        assert!(self.gateway.is_idle());
        assert_eq!(self.gateway.poll_timeout(), None);
    }

    fn link(&mut self, up: bool) {
        self.link_up = up;
        let event = if up {
            xmpp::Event::Up
        } else {
            xmpp::Event::Down(xmpp::DownCause::Closed)
        };
        self.gateway.handle_xmpp(LINK, event, self.now);
    }

    /// An obligation of the core.
    fn owe(&mut self, due: &impl std::fmt::Debug, owner: Owner, within: Duration) {
        self.book.open(due, owner, self.now + within);
        if within == Duration::ZERO {
            self.at_once.push(super::dues::name_of(due));
        }
    }

    /// One of the calls, if there is any.
    fn some_call(&self, script: &mut Script<'_>) -> Option<usize> {
        (!self.calls.is_empty()).then(|| script.below(self.calls.len()))
    }
}
