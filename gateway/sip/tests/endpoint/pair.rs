//! Two endpoints with a network between them that loses, doubles and delays datagrams.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use sip::{
    AnswerDue, Command, Contact, DialogId, EndCause, Endpoint, Event, Flow, FlowId, InviteParameters,
    LocalAddress, NameAddr, ReferParameters, SubscribeParameters, SubscriptionId, SubscriptionState,
    Transport, Uri,
};

use crate::scene::{body, config, document, room, start};

pub(crate) const CALLER: usize = 0;
pub(crate) const FOCUS: usize = 1;
pub(crate) const CALL: DialogId = DialogId(2);
pub(crate) const WATCH: SubscriptionId = SubscriptionId(2);
const INVITATION: SubscriptionId = SubscriptionId(4);

/// How the network treats datagrams. Streams are only delayed, all alike.
#[derive(Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) lost_of_hundred: u64,
    pub(crate) doubled_of_hundred: u64,
    pub(crate) delay_up_to: u64,
}

/// Each datagram arrives after the same time.
pub(crate) const STILL: Weather = Weather {
    lost_of_hundred: 0,
    doubled_of_hundred: 0,
    delay_up_to: 1,
};

/// What happens to one message, or from it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is lost.
    Lost,
    /// It arrives twice.
    Doubled,
    /// It arrives so much later.
    Late(Duration),
    /// It is lost, and all that follow, whoever sends them.
    Silence,
    /// Its connection is gone, with all that is under way on it: the sender is told, and the next message goes over another one.
    Reset,
}

pub(crate) struct Pair {
    pub(crate) ends: [Endpoint; 2],
    pub(crate) now: Instant,
    transport: Transport,
    weather: Weather,
    random: u64,
    in_flight: BTreeMap<(Instant, u64), (usize, Bytes)>,
    packets: u64,
    pub(crate) events: [Vec<Event>; 2],
    focus_dialog: Option<DialogId>,
    /// Messages sent.
    pub(crate) sent: u64,
    /// What happens to the message of this number.
    pub(crate) fault: Option<(u64, Fault)>,
    /// The connection.
    flow: u64,
    /// How long the focus takes to answer an INVITE.
    pub(crate) answers_after: Duration,
    due: Option<(Instant, AnswerDue)>,
}

impl Pair {
    pub(crate) fn new(transport: Transport, weather: Weather, seed: u64) -> Self {
        let end = |number: u8| {
            let mut config = config();
            config.local = vec![LocalAddress {
                transport,
                host: address(number.into()).ip().to_string(),
                port: 5060,
            }];
            Endpoint::new(config, [number + 1; 32])
        };
        Self {
            ends: [end(0), end(1)],
            now: start(),
            transport,
            weather,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            in_flight: BTreeMap::new(),
            packets: 0,
            events: [Vec::new(), Vec::new()],
            focus_dialog: None,
            sent: 0,
            fault: None,
            flow: 1,
            answers_after: Duration::ZERO,
            due: None,
        }
    }

    fn dice(&mut self, sides: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % sides
    }

    pub(crate) fn command(&mut self, end: usize, command: Command) {
        self.ends[end].handle_command(command, self.now);
        self.carry();
    }

    /// Puts what both ends send on the network, and lets the focus react to its events.
    fn carry(&mut self) {
        loop {
            let mut quiet = true;
            for end in [CALLER, FOCUS] {
                while let Some(transmit) = self.ends[end].poll_transmit() {
                    quiet = false;
                    assert_eq!(
                        transmit.target.peer,
                        address(1 - end),
                        "only the other end is there"
                    );
                    if !self.post(1 - end, transmit.bytes) {
                        self.ends[end].handle_transmit_failed(transmit.id, self.now);
                    }
                }
                while let Some(event) = self.ends[end].poll_event() {
                    quiet = false;
                    self.react(end, event);
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// Whether it went out, as far as its sender can know.
    fn post(&mut self, to: usize, bytes: Bytes) -> bool {
        let number = self.sent;
        self.sent += 1;
        let mut late = Duration::ZERO;
        let mut twice = false;
        match self.fault {
            Some((from, Fault::Silence)) if number >= from => return true,
            Some((chosen, fault)) if number == chosen => match fault {
                Fault::Lost | Fault::Silence => return true,
                Fault::Doubled => twice = true,
                Fault::Late(time) => late = time,
                Fault::Reset => {
                    self.in_flight.clear();
                    self.flow += 1;
                    return false;
                }
            },
            _ => {}
        }
        let Weather {
            lost_of_hundred,
            doubled_of_hundred,
            delay_up_to,
        } = self.weather;
        let is_stream = self.transport != Transport::Udp;
        if !is_stream && self.dice(100) < lost_of_hundred {
            return true;
        }
        let copies = if twice || !is_stream && self.dice(100) < doubled_of_hundred {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let delay = if is_stream { 10 } else { 1 + self.dice(delay_up_to) };
            self.packets += 1;
            self.in_flight.insert(
                (self.now + late + Duration::from_millis(delay), self.packets),
                (to, bytes.clone()),
            );
        }
        true
    }

    fn react(&mut self, end: usize, event: Event) {
        let command = match event {
            Event::Invited { dialog, due, .. } if end == FOCUS => {
                self.focus_dialog = Some(dialog);
                self.due = Some((self.now + self.answers_after, due));
                return;
            }
            Event::Subscribing {
                subscription, due, ..
            } => {
                let accept = Command::AcceptSubscription { due, contact: room() };
                self.ends[end].handle_command(accept, self.now);
                let body = Some(document("full"));
                Command::Notify {
                    subscription,
                    state: SubscriptionState::Active,
                    body,
                }
            }
            Event::SubscriptionRefreshed { subscription } => Command::Notify {
                subscription,
                state: SubscriptionState::Active,
                body: Some(document("full")),
            },
            Event::Referred { due, .. } => Command::AcceptRefer { due, contact: room() },
            other => {
                self.events[end].push(other);
                return;
            }
        };
        self.ends[end].handle_command(command, self.now);
    }

    /// Lets time pass: deliveries and deadlines in their order.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let delivery = self.in_flight.first_key_value().map(|((at, _), _)| *at);
            let deadlines = self.ends.iter().filter_map(Endpoint::poll_timeout);
            let answer = self.due.as_ref().map(|(at, _)| *at);
            let Some(next) = delivery
                .into_iter()
                .chain(answer)
                .chain(deadlines)
                .min()
                .filter(|next| *next <= end)
            else {
                break;
            };
            self.now = self.now.max(next);
            if let Some((_, due)) = self.due.take_if(|(at, _)| *at <= next) {
                let accept = Command::Accept {
                    due,
                    contact: room(),
                    body: body(),
                };
                self.ends[FOCUS].handle_command(accept, self.now);
            } else if delivery == Some(next)
                && let Some((_, (to, bytes))) = self.in_flight.pop_first()
            {
                let flow = Flow {
                    transport: self.transport,
                    peer: address(1 - to),
                    id: (self.transport != Transport::Udp).then_some(FlowId(self.flow)),
                };
                self.ends[to].handle_message(flow, bytes, self.now);
            } else {
                for endpoint in &mut self.ends {
                    endpoint.handle_timeout(self.now);
                }
            }
            self.carry();
        }
        self.now = end;
    }

    /// Whether the INVITE has come.
    pub(crate) fn was_invited(&self) -> bool {
        self.focus_dialog.is_some()
    }

    pub(crate) fn count(&self, end: usize, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events[end].iter().filter(|event| wanted(event)).count()
    }
}

fn address(end: usize) -> SocketAddr {
    ["192.0.2.1:5060", "192.0.2.2:5060"][end].parse().unwrap()
}

fn named(uri: &str) -> NameAddr {
    NameAddr::new(uri.parse().unwrap())
}

fn target() -> Uri {
    "sip:capulet@192.0.2.2:5060".parse().unwrap()
}

fn me() -> Contact {
    Contact {
        user: Some("romeo".to_owned()),
        parameters: Vec::new(),
    }
}

pub(crate) fn invite() -> Command {
    let parameters = InviteParameters {
        uri: target(),
        from: named("sip:romeo@example.org"),
        to: named("sip:capulet@rooms.example.com"),
        contact: me(),
        body: body(),
        headers: Vec::new(),
    };
    Command::Invite {
        dialog: CALL,
        parameters: Box::new(parameters),
    }
}

pub(crate) fn subscribe() -> Command {
    let parameters = SubscribeParameters {
        uri: target(),
        from: named("sip:romeo@example.org"),
        to: named("sip:capulet@rooms.example.com"),
        contact: me(),
        event: "conference".to_owned(),
        accept: "application/conference-info+xml".to_owned(),
        expires: Duration::from_secs(120),
    };
    Command::Subscribe {
        subscription: WATCH,
        parameters: Box::new(parameters),
    }
}

pub(crate) fn refer() -> Command {
    let parameters = ReferParameters {
        uri: target(),
        from: named("sip:romeo@example.org"),
        to: named("sip:capulet@rooms.example.com"),
        contact: me(),
        refer_to: named("sip:benvolio@example.com"),
        silent: false,
    };
    Command::Refer {
        subscription: INVITATION,
        parameters: Box::new(parameters),
    }
}

/// A call with a subscription and an invitation, ended by one side.
pub(crate) fn play(mut pair: Pair, caller_leaves: bool) -> Pair {
    pair.command(CALLER, invite());
    pair.pass(Duration::from_secs(20));
    pair.command(CALLER, subscribe());
    pair.command(CALLER, refer());
    // Long enough for several refreshes.
    pair.pass(Duration::from_secs(400));
    if caller_leaves {
        pair.command(
            CALLER,
            Command::Bye {
                dialog: CALL,
                reason: None,
            },
        );
    } else if let Some(dialog) = pair.focus_dialog {
        pair.command(FOCUS, Command::Bye { dialog, reason: None });
    }
    pair.command(CALLER, Command::Unsubscribe { subscription: WATCH });
    pair.pass(Duration::from_secs(200));
    pair
}

pub(crate) fn assert_played(pair: &Pair, caller_leaves: bool, seed: u64) {
    let (caller, focus) = (&pair.events[CALLER], &pair.events[FOCUS]);
    let answered = pair.count(CALLER, |event| matches!(event, Event::Answered { .. }));
    let confirmed = pair.count(FOCUS, |event| matches!(event, Event::Confirmed { .. }));
    assert_eq!((answered, confirmed), (1, 1), "seed {seed}: {caller:?} {focus:?}");
    let by_us = |event: &Event| {
        matches!(
            event,
            Event::Ended {
                cause: EndCause::ByUs,
                ..
            }
        )
    };
    let by_peer = |event: &Event| {
        matches!(
            event,
            Event::Ended {
                cause: EndCause::Bye(None),
                ..
            }
        )
    };
    let (leaver, left) = if caller_leaves {
        (CALLER, FOCUS)
    } else {
        (FOCUS, CALLER)
    };
    assert_eq!(
        (pair.count(leaver, by_us), pair.count(left, by_peer)),
        (1, 1),
        "seed {seed}: {caller:?} {focus:?}"
    );
    let full = |event: &Event| {
        matches!(
            event,
            Event::Notified {
                subscription: WATCH,
                body: Some(_),
                ..
            }
        )
    };
    assert!(pair.count(CALLER, full) >= 4, "seed {seed}: {caller:?}");
    let progress = |event: &Event| {
        matches!(
            event,
            Event::ReferProgress {
                subscription: INVITATION,
                status: sip::StatusCode(100),
                is_over: true,
                ..
            }
        )
    };
    assert_eq!(pair.count(CALLER, progress), 1, "seed {seed}: {caller:?}");
    for endpoint in &pair.ends {
        assert_eq!(endpoint.census(), (0, 0, 0), "seed {seed}");
        assert_eq!(endpoint.poll_timeout(), None, "seed {seed}");
    }
}

#[test]
fn a_call_with_subscription_and_invitation_leaves_nothing_behind() {
    let fair = Weather {
        lost_of_hundred: 0,
        doubled_of_hundred: 0,
        delay_up_to: 20,
    };
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        for caller_leaves in [true, false] {
            let pair = play(Pair::new(transport, fair, 1), caller_leaves);
            assert_played(&pair, caller_leaves, 1);
        }
    }
}

#[test]
fn loss_doubling_and_disorder_of_datagrams_change_nothing() {
    let rough = Weather {
        lost_of_hundred: 20,
        doubled_of_hundred: 20,
        delay_up_to: 300,
    };
    for seed in 0..100 {
        let pair = play(Pair::new(Transport::Udp, rough, seed), seed % 2 == 0);
        assert_played(&pair, seed % 2 == 0, seed);
    }
}

#[test]
fn a_dead_network_leaves_nothing_behind_either() {
    for seed in 0..50 {
        let fair = Weather {
            lost_of_hundred: 10,
            doubled_of_hundred: 10,
            delay_up_to: 100,
        };
        let mut pair = Pair::new(Transport::Udp, fair, seed);
        pair.command(CALLER, invite());
        pair.command(CALLER, subscribe());
        pair.command(CALLER, refer());
        pair.pass(Duration::from_millis(seed * 40));
        pair.weather.lost_of_hundred = 100;
        pair.pass(Duration::from_secs(5));
        pair.command(
            CALLER,
            Command::Bye {
                dialog: CALL,
                reason: None,
            },
        );
        if let Some(dialog) = pair.focus_dialog {
            pair.command(FOCUS, Command::Bye { dialog, reason: None });
        }
        pair.pass(Duration::from_secs(300));
        for endpoint in &pair.ends {
            assert_eq!(endpoint.census(), (0, 0, 0), "seed {seed}");
            assert_eq!(endpoint.poll_timeout(), None, "seed {seed}");
        }
    }
}
