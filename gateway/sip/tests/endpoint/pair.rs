//! Two endpoints with a network between them that loses, doubles and delays datagrams.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use sip::{
    Command, Contact, DialogId, EndCause, Endpoint, Event, Flow, FlowId, InviteParameters, LocalAddress,
    NameAddr, ReferParameters, SubscribeParameters, SubscriptionId, SubscriptionState, Transport, Uri,
};

use crate::scene::{body, config, document, room, start};

const CALLER: usize = 0;
const FOCUS: usize = 1;
const CALL: DialogId = DialogId(2);
const WATCH: SubscriptionId = SubscriptionId(2);
const INVITATION: SubscriptionId = SubscriptionId(4);

/// How the network treats datagrams. Streams are only delayed, all alike.
#[derive(Clone, Copy)]
struct Weather {
    lost_of_hundred: u64,
    doubled_of_hundred: u64,
    delay_up_to: u64,
}

struct Pair {
    ends: [Endpoint; 2],
    now: Instant,
    transport: Transport,
    weather: Weather,
    random: u64,
    in_flight: BTreeMap<(Instant, u64), (usize, Bytes)>,
    packets: u64,
    events: [Vec<Event>; 2],
    focus_dialog: Option<DialogId>,
}

impl Pair {
    fn new(transport: Transport, weather: Weather, seed: u64) -> Self {
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
        }
    }

    fn dice(&mut self, sides: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % sides
    }

    fn command(&mut self, end: usize, command: Command) {
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
                    self.post(1 - end, transmit.bytes);
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

    fn post(&mut self, to: usize, bytes: Bytes) {
        let Weather {
            lost_of_hundred,
            doubled_of_hundred,
            delay_up_to,
        } = self.weather;
        let is_stream = self.transport != Transport::Udp;
        if !is_stream && self.dice(100) < lost_of_hundred {
            return;
        }
        let copies = if !is_stream && self.dice(100) < doubled_of_hundred {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let delay = if is_stream { 10 } else { 1 + self.dice(delay_up_to) };
            self.packets += 1;
            self.in_flight.insert(
                (self.now + Duration::from_millis(delay), self.packets),
                (to, bytes.clone()),
            );
        }
    }

    fn react(&mut self, end: usize, event: Event) {
        let command = match event {
            Event::Invited { dialog, due, .. } if end == FOCUS => {
                self.focus_dialog = Some(dialog);
                Command::Accept {
                    due,
                    contact: room(),
                    body: body(),
                }
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
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let delivery = self.in_flight.first_key_value().map(|((at, _), _)| *at);
            let deadlines = self.ends.iter().filter_map(Endpoint::poll_timeout);
            let Some(next) = delivery
                .into_iter()
                .chain(deadlines)
                .min()
                .filter(|next| *next <= end)
            else {
                break;
            };
            self.now = self.now.max(next);
            if delivery == Some(next)
                && let Some((_, (to, bytes))) = self.in_flight.pop_first()
            {
                let flow = Flow {
                    transport: self.transport,
                    peer: address(1 - to),
                    id: (self.transport != Transport::Udp).then_some(FlowId(1)),
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

    fn count(&self, end: usize, wanted: impl Fn(&Event) -> bool) -> usize {
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

fn invite() -> Command {
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

fn subscribe() -> Command {
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

fn refer() -> Command {
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
fn play(mut pair: Pair, caller_leaves: bool) -> Pair {
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

fn assert_played(pair: &Pair, caller_leaves: bool, seed: u64) {
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
