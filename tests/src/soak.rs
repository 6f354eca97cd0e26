//! Faults of the XMPP side under traffic: what becomes of every message, of every occupant, and how long it takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Context, Result, ensure,
    peers::{Gateway, GatewaySettings, ProsodySettings, XmppServer, XmppServerKind, XmppUser},
    raw_msrp::RawParticipant,
    relay::Relay,
    scratch::Scratch,
};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server is stopped and started.
    Restart,
    /// The server is killed and started.
    Kill,
    /// The component stream is cut.
    Cut,
    /// The server stands still for a while.
    Freeze,
    /// Another component wants the domain, and the server keeps us.
    Conflict,
    /// The gateway is killed and started, and nobody says anything afterwards.
    Crash,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Restart,
        Self::Kill,
        Self::Cut,
        Self::Freeze,
        Self::Conflict,
        Self::Crash,
    ];

    /// The fault of a name, as [`fmt::Display`] writes it.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.to_string() == name)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restart => "restart",
            Self::Kill => "kill",
            Self::Cut => "cut",
            Self::Freeze => "freeze",
            Self::Conflict => "conflict",
            Self::Crash => "crash",
        })
    }
}

/// Under what load.
#[derive(Debug, Clone)]
pub struct Load {
    /// Rooms.
    pub rooms: usize,
    /// SIP users in each.
    pub users: usize,
    /// Messages a second in all; every fourth comes from an XMPP user.
    pub rate: u32,
    /// How long the server stands still.
    pub freeze: Duration,
    /// Settings of the gateway.
    pub settings: Vec<(&'static str, String)>,
    /// The gateway, unless it is the one that cargo builds for tests.
    pub program: Option<PathBuf>,
}

/// What became of it.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Messages sent by SIP users: taken, refused, and neither.
    pub from_sip: (usize, usize, usize),
    /// Messages that a room has reflected to an XMPP user, and those it has not.
    pub from_xmpp: (usize, usize),
    /// Copies of taken messages that a SIP user has not got.
    pub lost: usize,
    /// Copies of reflected messages of XMPP users that a SIP user has not got.
    pub lost_from_xmpp: usize,
    /// The same of users who were told that messages are missing, for the room remembered too few.
    pub told_missing: usize,
    /// Copies that a SIP user has got again.
    pub duplicates: usize,
    /// Messages that were refused, and heard all the same.
    pub refused_and_heard: usize,
    /// Occupants left in the rooms when all SIP users were gone.
    pub ghosts: usize,
    /// From the server's return until all were back; after a crash of the gateway from its start until all whom it left behind were gone.
    pub back: Option<Duration>,
}

impl Report {
    /// Whether nothing is lost, doubled or left behind.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let (_, _, unanswered) = self.from_sip;
        unanswered + self.lost + self.lost_from_xmpp + self.duplicates + self.ghosts == 0
    }
}

/// What SIP users are told when a room's history is too short.
const CUT_SHORT: &str = "(earlier messages are missing here: the room remembers no more)";

/// How long traffic runs before the fault and after all are back.
const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_secs(3);
/// How long to wait for all to be back.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long answers and late copies may take at most: longer than the deadline of a reflection.
const SETTLING: Duration = Duration::from_secs(60);
/// Once all is answered, how long nothing more has to come.
const QUIET: Duration = Duration::from_secs(3);

/// What was said: by whom, in which room.
struct Said {
    room: usize,
    /// Number of the SIP user within his room and transaction, if it was one.
    by: Option<(usize, String)>,
    text: String,
}

/// Runs a fault once in a world of its own.
///
/// # Errors
/// The world does not come up, or not back.
pub fn run(fault: Fault, kind: XmppServerKind, load: &Load) -> Result<Report> {
    let kind = match (fault, kind) {
        (Fault::Conflict, XmppServerKind::Prosody(settings)) => XmppServerKind::Prosody(ProsodySettings {
            conflict: "kick_new",
            ..settings
        }),
        (_, kind) => kind,
    };
    let xmpp = XmppServer::start(kind)?;
    let relay = Relay::start(xmpp.component_address())?;
    let state = Scratch::new("state")?;
    let mut overrides = load.settings.clone();
    overrides.push(("GATEWAY__STATE__DIRECTORY", state.path().display().to_string()));
    let settings = GatewaySettings {
        server: relay.address(),
        overrides,
        program: load.program.clone(),
        ..GatewaySettings::for_server(&xmpp)
    };
    let mut gateway = Gateway::start(&settings)?;
    gateway
        .process()
        .wait_for_log("link up", 0, Duration::from_secs(20))?;
    let mut soak = Soak::enter(xmpp, relay, gateway, load)?;
    let outcome = match fault {
        Fault::Crash => soak.crash(&settings, load),
        fault => soak.run(fault, load),
    };
    outcome.with_context(|| [soak.xmpp.log_tail(), soak.gateway.log_tail()].join("\n"))
}

struct Soak {
    gateway: Gateway,
    xmpp: XmppServer,
    relay: Relay,
    juliet: XmppUser,
    /// By room.
    users: Vec<Vec<RawParticipant>>,
    said: Vec<Said>,
    /// What Juliet was reflected before she had to connect again.
    reflected: BTreeSet<String>,
}

impl Soak {
    fn enter(xmpp: XmppServer, relay: Relay, gateway: Gateway, load: &Load) -> Result<Self> {
        let mut juliet = xmpp.connect_user("juliet")?;
        let mut users = Vec::new();
        for room in 0..load.rooms {
            juliet.enter(&room_of(room), "Juliet")?;
            let present: Result<Vec<_>> = (0..load.users)
                .map(|user| {
                    let from = format!("\"user{user}\" <sip:user{user}-{room}@example.org>");
                    RawParticipant::enter(gateway.sip_address(), &format!("sip:{}", room_of(room)), &from)
                })
                .collect();
            users.push(present?);
        }
        Ok(Self {
            gateway,
            xmpp,
            relay,
            juliet,
            users,
            said: Vec::new(),
            reflected: BTreeSet::new(),
        })
    }

    fn run(&mut self, fault: Fault, load: &Load) -> Result<Report> {
        self.talk(load, BEFORE, |_| false)?;
        let log = self.gateway.log().len();
        let returned = self.strike(fault, load)?;
        let everybody = load.rooms * load.users;
        let is_back = |soak: &Self| {
            soak.gateway
                .log()
                .get(log..)
                .unwrap_or_default()
                .matches("back in the room")
                .count()
                >= everybody
        };
        let mut report = Report::default();
        if fault != Fault::Conflict {
            self.talk(load, PATIENCE, is_back)?;
            ensure!(is_back(self), "not all {everybody} are back within {PATIENCE:?}");
            report.back = Some(returned.elapsed());
        }
        self.meet_again(load)?;
        self.talk(load, AFTER, |_| false)?;
        self.settle();
        self.count(&mut report);
        self.users.clear();
        report.ghosts = self.ghosts(load)?;
        Ok(report)
    }

    /// The gateway dies under traffic. Those whom it left behind have to go though the rooms have nothing for them: those who leave do not count.
    fn crash(&mut self, settings: &GatewaySettings, load: &Load) -> Result<Report> {
        self.talk(load, BEFORE, |_| false)?;
        self.gateway.process().kill()?;
        self.juliet.inbox().clear();
        let started = Instant::now();
        self.gateway = Gateway::start(settings)?;
        let mut report = Report::default();
        loop {
            let left = self.juliet.inbox().history().iter().filter(|stanza| {
                stanza.name == "presence" && stanza.attribute("type") == Some("unavailable")
            });
            let left = left.count();
            report.back = Some(started.elapsed());
            if left == load.rooms * load.users || started.elapsed() > PATIENCE {
                report.ghosts = load.rooms * load.users - left;
                return Ok(report);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Lets people talk at the load's rate, for so long or until something is so.
    fn talk(&mut self, load: &Load, time: Duration, until: impl Fn(&Self) -> bool) -> Result<()> {
        let start = Instant::now();
        let pause = Duration::from_secs(1) / load.rate.max(1);
        let (mut count, mut looked) = (0, start);
        while start.elapsed() < time {
            self.say_something(load)?;
            count += 1;
            if looked.elapsed() > Duration::from_millis(50) {
                looked = Instant::now();
                if until(self) {
                    return Ok(());
                }
            }
            thread::sleep((start + pause * count).saturating_duration_since(Instant::now()));
        }
        Ok(())
    }

    fn say_something(&mut self, load: &Load) -> Result<()> {
        let number = self.said.len();
        let (room, user) = (number % load.rooms, number / load.rooms % load.users);
        let text = format!("message {number}.");
        let by = if number % 4 == 3 {
            // Her connection may be what is broken.
            let _ = self.juliet.say(&room_of(room), &text);
            None
        } else {
            let speaker = self.users.get_mut(room).and_then(|users| users.get_mut(user));
            Some((user, speaker.context("nobody to speak")?.post(&text)?))
        };
        self.said.push(Said { room, by, text });
        Ok(())
    }

    /// Does what goes wrong, and returns when the server was there again. Traffic goes on meanwhile but for the moment of a restart, in
    /// which a few are said in a row.
    fn strike(&mut self, fault: Fault, load: &Load) -> Result<Instant> {
        match fault {
            Fault::Restart => self.xmpp.restart()?,
            Fault::Kill => {
                self.xmpp.kill()?;
                self.talk(load, Duration::from_secs(2), |_| false)?;
                self.xmpp.restart()?;
            }
            Fault::Cut => self.relay.cut(),
            Fault::Freeze => {
                self.xmpp.process().context("no server to stop")?.pause();
                self.talk(load, load.freeze, |_| false)?;
                self.xmpp.process().context("no server to go on")?.resume();
            }
            // It is no fault of the XMPP side.
            Fault::Crash => {}
            Fault::Conflict => {
                let settings = GatewaySettings {
                    program: load.program.clone(),
                    ..GatewaySettings::for_server(&self.xmpp)
                };
                let mut other = Gateway::start(&settings)?;
                other
                    .process()
                    .wait_for_log("another connection", 0, Duration::from_secs(20))?;
                self.talk(load, Duration::from_secs(5), |_| false)?;
                other.process().kill()?;
            }
        }
        Ok(Instant::now())
    }

    /// Waits until everything is answered and nobody hears anything more.
    fn settle(&mut self) {
        let deadline = Instant::now() + SETTLING;
        let mut heard = 0;
        while Instant::now() < deadline {
            thread::sleep(QUIET);
            let users = self.users.iter_mut().flatten();
            let now: usize = users.map(RawParticipant::received).sum();
            let was_quiet = std::mem::replace(&mut heard, now) == now;
            if was_quiet && self.all_are_answered() {
                return;
            }
        }
    }

    fn all_are_answered(&mut self) -> bool {
        let mut posted = self
            .said
            .iter()
            .filter_map(|said| Some((said.room, said.by.as_ref()?)));
        posted.all(|(room, (user, transaction))| {
            let speaker = self.users.get_mut(room).and_then(|users| users.get_mut(*user));
            speaker.is_some_and(|speaker| speaker.answer_to(transaction).is_some())
        })
    }

    /// Juliet comes again where the fault took her connection, too.
    fn meet_again(&mut self, load: &Load) -> Result<()> {
        if !self.juliet.inbox().is_closed() {
            return Ok(());
        }
        self.note_reflections();
        self.juliet = self.xmpp.connect_user("juliet")?;
        for room in 0..load.rooms {
            self.juliet.enter(&room_of(room), "Juliet")?;
        }
        Ok(())
    }

    fn note_reflections(&mut self) {
        let own = self
            .juliet
            .inbox()
            .history()
            .iter()
            .filter(|stanza| stanza.name == "message" && stanza.from_resource() == Some("Juliet"));
        let texts: Vec<String> = own
            .filter_map(|stanza| Some(stanza.child("body")?.text.clone()))
            .collect();
        self.reflected.extend(texts);
    }

    fn count(&mut self, report: &mut Report) {
        self.note_reflections();
        let heard: Vec<Vec<BTreeMap<String, usize>>> = self
            .users
            .iter_mut()
            .map(|users| users.iter_mut().map(RawParticipant::texts).collect())
            .collect();
        for said in &self.said {
            let others = heard
                .get(said.room)
                .into_iter()
                .flatten()
                .enumerate()
                .filter(|(user, _)| said.by.as_ref().is_none_or(|(by, _)| by != user));
            let copies: Vec<(usize, bool)> = others
                .map(|(_, texts)| {
                    let copies = texts.get(&said.text).copied().unwrap_or(0);
                    (copies, texts.contains_key(CUT_SHORT))
                })
                .collect();
            let missing = |told| copies.iter().filter(|found| **found == (0, told)).count();
            let (told_missing, missing) = (missing(true), missing(false));
            let is_heard = told_missing + missing < copies.len();
            report.duplicates += copies
                .iter()
                .map(|(copies, _)| copies.saturating_sub(1))
                .sum::<usize>();
            match &said.by {
                Some((user, transaction)) => {
                    let speaker = self
                        .users
                        .get_mut(said.room)
                        .and_then(|users| users.get_mut(*user));
                    let (taken, refused, unanswered) = &mut report.from_sip;
                    match speaker.and_then(|speaker| speaker.answer_to(transaction)) {
                        Some(200) => {
                            *taken += 1;
                            report.lost += missing;
                            report.told_missing += told_missing;
                        }
                        Some(_) => {
                            *refused += 1;
                            report.refused_and_heard += usize::from(is_heard);
                        }
                        None => *unanswered += 1,
                    }
                }
                None if self.reflected.contains(&said.text) => {
                    report.from_xmpp.0 += 1;
                    report.lost_from_xmpp += missing;
                    report.told_missing += told_missing;
                }
                None => report.from_xmpp.1 += 1,
            }
        }
    }

    /// How many others somebody new finds in the rooms, given a while for the leaving.
    fn ghosts(&self, load: &Load) -> Result<usize> {
        let mut auditor = self.xmpp.connect_user("auditor")?;
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let mut found = 0;
            for room in 0..load.rooms {
                let others = auditor.enter(&room_of(room), "Auditor")?;
                found += others.iter().filter(|nickname| *nickname != "Juliet").count();
                auditor.leave(&room_of(room), "Auditor")?;
            }
            if found == 0 || Instant::now() > deadline {
                return Ok(found);
            }
            thread::sleep(Duration::from_secs(1));
        }
    }
}

fn room_of(number: usize) -> String {
    format!("soak{number}@rooms.example.com")
}
