//! A SIP conference server: focus (RFC 4579), notifier (RFC 4575) and MSRP switch (RFC 7701), with the habits of deployed ones as
//! options. It is the authority on who is in which conference, and knows nothing of the product but its wire machines.

mod calls;
mod package;
mod switch;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use sip::{DialogId, Endpoint, LocalAddress, SubscriptionId, Transport};

use super::document;
use crate::plan::Dice;

pub(crate) const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 3));
/// Host of the conference URIs.
pub(crate) const DOMAIN: &str = "conf.example.com";

/// A habit of deployed conference servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Habit {
    /// The roster names users by plain address, without `gr`.
    PlainEntities,
    /// URIs in the roster are percent-escaped throughout.
    EscapedEntities,
    /// Documents are full, each time.
    FullOnly,
    /// A participant is listed before its nickname is known.
    LateNicknames,
    /// Nicknames are not announced and refused.
    NoNicknames,
    /// Private messages are not announced and refused.
    NoPrivateMessages,
    /// SUBSCRIBE is refused.
    NoSubscription,
    /// SUBSCRIBE is refused 480 until the MSRP session stands.
    LateSubscription,
    /// The Contact names the server, not the conference.
    ForeignContact,
    /// Newcomers are greeted by a message from the conference.
    Welcome,
    /// Sometimes answers after seconds.
    Slow,
}

impl Habit {
    pub(crate) const ALL: [Self; 11] = [
        Self::PlainEntities,
        Self::EscapedEntities,
        Self::FullOnly,
        Self::LateNicknames,
        Self::NoNicknames,
        Self::NoPrivateMessages,
        Self::NoSubscription,
        Self::LateSubscription,
        Self::ForeignContact,
        Self::Welcome,
        Self::Slow,
    ];
}

/// What happened in the conferences, in the order in which the focus decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A conference has a message for all but its sender.
    Public { room: usize, from: Who, body: String },
    /// A private message was handed on.
    Private {
        room: usize,
        from: Who,
        to: Who,
        body: String,
    },
    /// A message was refused by the switch.
    Refused { body: String },
    /// A call came in for this address of record.
    Called { room: usize, aor: String },
    /// A call is over.
    Over { room: usize, aor: String },
    /// The switch could not hand a message to a participant.
    Undelivered,
    /// Somebody was referred to.
    Referred,
    /// The gateway broke a rule.
    Broken(String),
}

/// A participant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// One who is there by himself.
    Local(usize),
    /// One who called, by address of record.
    Caller(String),
}

/// One who called.
struct Leg {
    room: usize,
    dialog: DialogId,
    aor: String,
    display_name: Option<String>,
    nickname: Option<String>,
    path: msrp::Path,
    remote: msrp::Path,
    stream: Option<u64>,
}

#[derive(Default)]
pub(crate) struct Conference {
    /// Nicknames of those who are there by themselves.
    pub(crate) locals: BTreeMap<usize, String>,
    pub(crate) subject: String,
}

struct Subscriber {
    room: usize,
    version: u32,
    /// What it was told last.
    told: BTreeMap<String, document::User>,
    subject: String,
}

pub(crate) struct Focus {
    pub(crate) endpoint: Endpoint,
    pub(crate) conferences: BTreeMap<usize, Conference>,
    /// Answers calls with this.
    pub(crate) refuses: Option<(u16, Option<String>)>,
    /// Answers no call at all.
    pub(crate) silent: bool,
    /// Takes messages and answers none.
    pub(crate) mute: bool,
    habits: BTreeSet<Habit>,
    legs: Vec<Leg>,
    subscribers: BTreeMap<SubscriptionId, Subscriber>,
    media: BTreeMap<u64, msrp::Connection>,
    late: Vec<(Instant, Late)>,
    entries: Vec<Entry>,
    dice: Dice,
    sent: u64,
}

/// What a slow server does later.
enum Late {
    Accept(sip::AnswerDue, usize, sip::Body),
}

impl Focus {
    pub(crate) fn new(habits: BTreeSet<Habit>, seed: u64) -> Self {
        let mut dice = Dice::new(seed, 6);
        let local = |transport| LocalAddress {
            transport,
            host: ADDRESS.to_string(),
            port: 5060,
        };
        let config = sip::Config {
            local: vec![local(Transport::Udp), local(Transport::Tcp)],
            outbound_proxy: None,
            product: "conference".to_owned(),
            limits: sip::Limits::default(),
            t1: Duration::from_millis(500),
        };
        Self {
            endpoint: Endpoint::new(config, dice.bytes()),
            conferences: BTreeMap::new(),
            refuses: None,
            silent: false,
            mute: false,
            habits,
            legs: Vec::new(),
            subscribers: BTreeMap::new(),
            media: BTreeMap::new(),
            late: Vec::new(),
            entries: Vec::new(),
            dice,
            sent: 0,
        }
    }

    pub(crate) fn has(&self, habit: Habit) -> bool {
        self.habits.contains(&habit)
    }

    pub(crate) fn take_entries(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let media = self.media.values().filter_map(msrp::Connection::poll_timeout);
        let late = self.late.iter().map(|(at, _)| *at);
        media.chain(late).chain(self.endpoint.poll_timeout()).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        for media in self.media.values_mut() {
            media.handle_timeout(now);
        }
        let (due, later) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.late = later;
        let due: Vec<(Instant, Late)> = due;
        for (_, Late::Accept(due, room, body)) in due {
            self.accept(due, room, body, now);
        }
    }

    /// Who is in a conference, under which nickname.
    pub(crate) fn roster(&self, room: usize) -> BTreeMap<Who, String> {
        let locals = self.conferences.get(&room).into_iter().flat_map(|it| &it.locals);
        let locals = locals.map(|(n, nickname)| (Who::Local(*n), nickname.clone()));
        let callers = self
            .legs
            .iter()
            .filter(|leg| leg.room == room && leg.stream.is_some());
        let callers = callers.map(|leg| (Who::Caller(leg.aor.clone()), leg.shown_as()));
        locals.chain(callers).collect()
    }

    pub(crate) fn streams(&self) -> Vec<u64> {
        self.media.keys().copied().collect()
    }

    pub(crate) fn census(&self) -> (usize, usize) {
        (self.legs.len(), self.subscribers.len())
    }
}

/// Those who are there by themselves.
impl Focus {
    /// Whether there was a place under that nickname.
    pub(crate) fn enter(&mut self, room: usize, local: usize, nickname: &str, now: Instant) -> bool {
        let taken = self.roster(room).iter().any(|(who, held)| {
            *who != Who::Local(local) && crate::invariants::alike(held) == crate::invariants::alike(nickname)
        });
        if !taken {
            let conference = self.conferences.entry(room).or_default();
            conference.locals.insert(local, nickname.to_owned());
            self.changed(room, now);
        }
        !taken
    }

    pub(crate) fn leave(&mut self, room: usize, local: usize, now: Instant) {
        if let Some(conference) = self.conferences.get_mut(&room)
            && conference.locals.remove(&local).is_some()
        {
            self.changed(room, now);
        }
    }

    pub(crate) fn set_subject(&mut self, room: usize, subject: &str, now: Instant) {
        subject.clone_into(&mut self.conferences.entry(room).or_default().subject);
        self.changed(room, now);
    }

    /// The conference ends for everybody.
    pub(crate) fn destroy(&mut self, room: usize, now: Instant) {
        self.conferences.remove(&room);
        for aor in self.callers(room) {
            self.expel(room, &aor, now);
        }
    }
}

impl Leg {
    fn shown_as(&self) -> String {
        let named = self.nickname.clone().or_else(|| self.display_name.clone());
        named.unwrap_or_else(|| self.aor.clone())
    }
}

pub(crate) fn local_uri(n: usize) -> String {
    format!("sip:phone{n}@phones.example.com")
}

pub(crate) fn address() -> SocketAddr {
    SocketAddr::new(ADDRESS, 5060)
}

fn room_of(uri: &sip::Uri) -> Option<usize> {
    let user = uri
        .user_decoded()
        .filter(|_| uri.host() == DOMAIN || uri.host() == ADDRESS.to_string())?;
    user.strip_prefix("room")?.parse().ok()
}

/// Some servers never answer.
fn drop_unanswered<T>(_due: T) {}
