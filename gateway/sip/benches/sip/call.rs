//! Whole calls: INVITE, 100, 200, ACK, BYE, 200 between two endpoints in memory.

use std::time::Instant;

use bytes::Bytes;
use criterion::Throughput;
use measure::{Task, Workload, start};
use sip::{
    Body, Command, Config, Contact, DialogId, Endpoint, Event, Flow, InviteParameters, Limits, LocalAddress,
    NameAddr, Transport, Uri,
};

/// Calls of one run.
const CALLS: u64 = 200;
const HOSTS: [&str; 2] = ["192.0.2.10", "198.51.100.1"];
const CALLER: usize = 0;
const CALLEE: usize = 1;
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=message 7654 TCP/MSRP *\r\na=accept-types:message/cpim text/plain\r\na=path:msrp://192.0.2.10:7654/jshA7weztas;tcp\r\n";

pub(crate) fn workloads() -> Vec<Workload> {
    vec![Workload {
        name: "a call between two endpoints",
        amount: Throughput::Elements(CALLS),
        task: Box::new(Calls::new()),
    }]
}

/// Two endpoints that have nothing between them: what one sends, the other has.
struct Calls {
    ends: [Endpoint; 2],
    now: Instant,
    made: u64,
    ended: u64,
}

impl Calls {
    fn new() -> Self {
        let end = |number: usize| {
            let config = Config {
                local: vec![LocalAddress {
                    transport: Transport::Udp,
                    host: HOSTS[number].to_owned(),
                    port: 5060,
                }],
                outbound_proxy: None,
                product: "bench".to_owned(),
                limits: Limits::default(),
                t1: std::time::Duration::from_millis(500),
            };
            Endpoint::new(config, [number as u8; 32])
        };
        Self {
            ends: [end(CALLER), end(CALLEE)],
            now: start(),
            made: 0,
            ended: 0,
        }
    }

    fn command(&mut self, end: usize, command: Command) {
        self.ends[end].handle_command(command, self.now);
    }

    fn invite(&mut self) {
        self.made += 1;
        let parameters = InviteParameters {
            uri: uri(CALLEE),
            to: NameAddr::new(uri(CALLEE)),
            from: NameAddr::new(uri(CALLER)),
            contact: contact(),
            headers: Vec::new(),
            body: body(),
        };
        let dialog = DialogId(self.made * 2);
        self.command(
            CALLER,
            Command::Invite {
                dialog,
                parameters: Box::new(parameters),
            },
        );
        self.carry();
    }

    /// Carries messages and answers events until both are silent.
    fn carry(&mut self) {
        loop {
            let mut silent = true;
            for end in [CALLER, CALLEE] {
                while let Some(transmit) = self.ends[end].poll_transmit() {
                    silent = false;
                    let flow = Flow {
                        transport: Transport::Udp,
                        peer: format!("{}:5060", HOSTS[end]).parse().expect("an address"),
                        id: None,
                    };
                    self.ends[1 - end].handle_message(flow, transmit.bytes, self.now);
                }
                while let Some(event) = self.ends[end].poll_event() {
                    silent = false;
                    self.react(end, event);
                }
            }
            if silent {
                return;
            }
        }
    }

    fn react(&mut self, end: usize, event: Event) {
        match event {
            Event::Invited { due, .. } => self.command(
                end,
                Command::Accept {
                    due,
                    contact: contact(),
                    body: body(),
                },
            ),
            Event::Answered { dialog, .. } => self.command(end, Command::Bye { dialog, reason: None }),
            Event::Ended { .. } if end == CALLER => self.ended += 1,
            _ => {}
        }
    }

    /// Lets the transactions come to their ends.
    fn wait(&mut self) {
        let deadlines = || self.ends.iter().filter_map(Endpoint::poll_timeout).min();
        let Some(next) = deadlines() else { return };
        self.now = self.now.max(next);
        for end in &mut self.ends {
            end.handle_timeout(self.now);
        }
    }
}

impl Task for Calls {
    fn run(&mut self) {
        let before = self.ended;
        for _ in 0..CALLS {
            self.invite();
        }
        assert_eq!(self.ended - before, CALLS, "a call did not end");
        while self.ends.iter().any(|end| end.poll_timeout().is_some()) {
            self.wait();
            self.carry();
        }
        for end in &self.ends {
            assert_eq!(end.census(), (0, 0, 0), "something is left");
        }
    }
}

fn uri(end: usize) -> Uri {
    Uri::new(Some("romeo"), HOSTS[end], Some(5060))
}

fn contact() -> Contact {
    Contact {
        user: Some("romeo".to_owned()),
        parameters: Vec::new(),
    }
}

fn body() -> Body {
    Body {
        content_type: "application/sdp".to_owned(),
        bytes: Bytes::from_static(SDP.as_bytes()),
    }
}
