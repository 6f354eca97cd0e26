//! A hall in which the core plays with real machines: a scripted conference (an endpoint as its focus, MSRP connections as its switch)
//! on one side, XMPP users who are stanzas on the other, and one clock that only the test moves.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use mapping::{Command, ConferenceDomain, Config, ConnectionId, Gateway, LinkId};
use msrp::{
    MessageTag, Status,
    cpim::{Address, Cpim},
};
use sip::{
    DialogId, Endpoint, Incoming, SubscriptionId,
    conference::{Document, EndpointStatus, State, User},
};
use xmpp::{Jid, stanza::Outgoing};

mod focus;
mod switch;
mod users;

pub(crate) use users::{message, ping, query};

use crate::stage::{self, endpoint, flow};

const GATEWAY: &str = "127.0.0.2:5060";
const FOCUS: &str = "127.0.0.3:5060";
/// The link of the conference domain.
const LINK: LinkId = LinkId(1);

pub(crate) const ROOM: &str = "capulet@chat.example.com";
pub(crate) const CONFERENCE: &str = "sip:capulet@rooms.example.net";
pub(crate) const JULIET: &str = "juliet@example.com/balcony";
pub(crate) const JULIET_TOO: &str = "juliet@example.com/phone";

/// How the conference behaves. The default is a well-behaved one.
pub(crate) struct Script {
    /// The final answer to INVITE; `None` for none at all, 200 for an acceptance.
    pub(crate) invite: Option<(u16, &'static str)>,
    pub(crate) is_focus: bool,
    pub(crate) chatroom: Option<&'static str>,
    pub(crate) setup: &'static str,
    /// What its switch accepts.
    pub(crate) accepts: &'static str,
    /// Where calls are sent, and so many of them.
    pub(crate) redirect: Option<&'static str>,
    pub(crate) redirections: u32,
    /// Further lines of the answer.
    pub(crate) attributes: &'static str,
    /// Whether the switch can be connected to.
    pub(crate) is_reachable: bool,
    /// Answers to NICKNAME, one after the other; then 200.
    pub(crate) nicknames: VecDeque<Status>,
    /// Answers to SUBSCRIBE, one after the other (`None`: never); then 200.
    pub(crate) subscriptions: VecDeque<Option<u16>>,
    /// Whether it sends documents at all.
    pub(crate) notifies: bool,
    /// The answer to a SEND; `None`: never.
    pub(crate) send: Option<Status>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            invite: Some((200, "OK")),
            is_focus: true,
            chatroom: Some("nickname private-messages"),
            setup: "passive",
            accepts: "message/cpim",
            redirect: None,
            redirections: 0,
            attributes: "",
            is_reachable: true,
            nicknames: VecDeque::new(),
            subscriptions: VecDeque::new(),
            notifies: true,
            send: Some(Status::OK),
        }
    }
}

pub(crate) struct Hall {
    pub(crate) now: Instant,
    pub(crate) gateway: Gateway,
    pub(crate) script: Script,
    /// Who is in, as the focus says.
    pub(crate) document: Document,
    ours: Endpoint,
    pub(crate) focus: Endpoint,
    /// One for each call that was taken.
    pub(crate) legs: Vec<Leg>,
    /// The INVITEs.
    pub(crate) invites: Vec<Incoming>,
    /// Who watches the conference, with the version of his next document.
    pub(crate) watchers: Vec<(SubscriptionId, u32)>,
    pub(crate) subscribes: Vec<Incoming>,
    pub(crate) nicknames: Vec<String>,
    pub(crate) focus_events: Vec<sip::Event>,
    /// What the switch has taken.
    pub(crate) taken: Vec<Cpim>,
    taken_ids: Vec<(msrp::MessageId, u64)>,
    /// What the switch was told of messages that it had sent.
    pub(crate) reported: Vec<u16>,
    wires: BTreeMap<ConnectionId, Wire>,
    /// Everything the core said to XMPP users, in order.
    pub(crate) told: Vec<Outgoing>,
    /// Of the link.
    pub(crate) is_up: bool,
    outcomes: BTreeMap<MessageTag, Result<(), Status>>,
    /// While true nothing comes from the conference and nothing reaches it.
    pub(crate) silent: bool,
    sent: u64,
}

/// A call at the conference.
pub(crate) struct Leg {
    pub(crate) dialog: DialogId,
    pub(crate) path: msrp::Path,
    pub(crate) theirs: msrp::Path,
    pub(crate) ended: Option<sip::EndCause>,
}

/// An MSRP connection: both ends.
struct Wire {
    ours: msrp::Connection,
    switch: msrp::Connection,
    open: bool,
    /// Judges every octet that the gateway writes.
    judge: msrp_checker::Judge,
}

pub(crate) fn config() -> Config {
    Config {
        conferences: vec![ConferenceDomain {
            muc: "chat.example.com".to_owned(),
            sip: "rooms.example.net".to_owned(),
        }],
        ..stage::config()
    }
}

pub(crate) fn listed(entity: &str, nickname: Option<&str>) -> User {
    User {
        entity: entity.to_owned(),
        state: State::Full,
        display_text: nickname.map(str::to_owned),
        nickname: nickname.map(str::to_owned),
        aors: Vec::new(),
        roles: vec!["participant".to_owned()],
        status: Some(EndpointStatus::Connected),
    }
}

impl Hall {
    /// With Romeo and Ben in the conference.
    pub(crate) fn new() -> Self {
        Self::with(config(), Script::default())
    }

    pub(crate) fn scripted(script: Script) -> Self {
        Self::with(config(), script)
    }

    pub(crate) fn with(config: Config, script: Script) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an Instant can be had from the clock alone; only this one is"
        )]
        let now = Instant::now();
        let wall = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut hall = Self {
            now,
            gateway: Gateway::new(config, [7; 32], (now, wall)),
            script,
            document: Document {
                entity: CONFERENCE.to_owned(),
                state: State::Full,
                subject: Some("Today in Verona".to_owned()),
                user_count: Some(2),
                users: vec![
                    listed("sip:capulet@rooms.example.net;gr=Romeo", Some("Romeo")),
                    listed("sip:capulet@rooms.example.net;gr=Ben", Some("Ben")),
                ],
            },
            ours: endpoint(GATEWAY.parse().unwrap(), 1, Some(FOCUS)),
            focus: endpoint(FOCUS.parse().unwrap(), 2, Some(GATEWAY)),
            legs: Vec::new(),
            invites: Vec::new(),
            watchers: Vec::new(),
            subscribes: Vec::new(),
            nicknames: Vec::new(),
            focus_events: Vec::new(),
            taken: Vec::new(),
            taken_ids: Vec::new(),
            reported: Vec::new(),
            wires: BTreeMap::new(),
            told: Vec::new(),
            is_up: false,
            outcomes: BTreeMap::new(),
            silent: false,
            sent: 0,
        };
        hall.link(true);
        hall
    }

    pub(crate) fn link(&mut self, up: bool) {
        self.is_up = up;
        let event = || {
            if up {
                xmpp::Event::Up
            } else {
                xmpp::Event::Down(xmpp::DownCause::Closed)
            }
        };
        for link in [LinkId(0), LINK] {
            self.gateway.handle_xmpp(link, event(), self.now);
        }
        self.run();
    }

    /// The link does not know whether the server has read this before it broke.
    pub(crate) fn unconfirmed(&mut self, stanza: Outgoing) {
        let event = xmpp::Event::Unsent {
            stanza: Box::new(stanza),
            why: xmpp::Unsent::Unconfirmed,
        };
        self.gateway.handle_xmpp(LINK, event, self.now);
        self.run();
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let wires = self.wires.values().filter(|wire| wire.open);
            let due = wires
                .flat_map(|wire| [wire.ours.poll_timeout(), wire.switch.poll_timeout()])
                .chain([
                    self.gateway.poll_timeout(),
                    self.ours.poll_timeout(),
                    self.focus.poll_timeout(),
                ])
                .flatten()
                .min();
            match due {
                Some(at) if at <= end => self.now = at.max(self.now),
                _ => break,
            }
            let now = self.now;
            self.gateway.handle_timeout(now);
            self.ours.handle_timeout(now);
            self.focus.handle_timeout(now);
            for wire in self.wires.values_mut().filter(|wire| wire.open) {
                wire.ours.handle_timeout(now);
                wire.switch.handle_timeout(now);
            }
            self.run();
        }
        self.now = end;
    }

    pub(crate) fn run(&mut self) {
        while self.carry_commands() | self.carry_sip() | self.carry_msrp() {}
    }

    fn carry_commands(&mut self) -> bool {
        let mut moved = false;
        while let Some(command) = self.gateway.poll_command() {
            moved = true;
            match command {
                Command::Reload | Command::Remember(_) | Command::Forget(_) => {}
                Command::Connect { connection, .. } => self.connect(connection),
                Command::Resolve { .. } => unreachable!("nobody is invited here"),
                Command::Sip(command) => self.ours.handle_command(command, self.now),
                Command::Msrp(connection, command) => {
                    if let Some(wire) = self.wires.get_mut(&connection).filter(|wire| wire.open) {
                        wire.ours.handle_command(command, self.now);
                    }
                }
                Command::Xmpp(link, xmpp::Command::Send(stanza)) if !self.is_up => {
                    let unsent = xmpp::Event::Unsent {
                        stanza: Box::new(stanza),
                        why: xmpp::Unsent::LinkDown,
                    };
                    self.gateway.handle_xmpp(link, unsent, self.now);
                }
                Command::Xmpp(_, xmpp::Command::Send(stanza)) => self.told.push(stanza),
                Command::Xmpp(
                    _,
                    xmpp::Command::Shutdown | xmpp::Command::Share { .. } | xmpp::Command::Unshare { .. },
                ) => {}
            }
        }
        moved
    }

    fn carry_sip(&mut self) -> bool {
        let mut moved = false;
        let (gateway, focus): (SocketAddr, SocketAddr) = (GATEWAY.parse().unwrap(), FOCUS.parse().unwrap());
        while let Some(transmit) = self.ours.poll_transmit() {
            moved = true;
            if !self.silent {
                self.focus
                    .handle_message(flow(gateway, 1), transmit.bytes, self.now);
            }
        }
        while let Some(transmit) = self.focus.poll_transmit() {
            moved = true;
            if !self.silent {
                self.ours.handle_message(flow(focus, 2), transmit.bytes, self.now);
            }
        }
        while let Some(event) = self.focus.poll_event() {
            moved = true;
            self.focus_hears(event);
        }
        while let Some(event) = self.ours.poll_event() {
            moved = true;
            self.gateway.handle_sip(event, self.now);
        }
        moved
    }
}

pub(crate) fn jid(text: &str) -> Jid {
    Jid::new(text).unwrap()
}

pub(crate) fn address(uri: &str) -> Address {
    Address {
        display_name: None,
        uri: uri.to_owned(),
    }
}
