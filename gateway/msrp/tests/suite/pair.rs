//! Two connections and a clock.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use msrp::{
    AnswerDue, Command, Connection, Event, FailureReport, IncomingMessage, Lane, Limits, MessageTag,
    OutgoingMessage, Path, SessionId, SessionParameters, Status,
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Active,
    Passive,
}
use Side::{Active, Passive};

pub(crate) struct Pair {
    sides: [Connection; 2],
    events: [Vec<Event>; 2],
    pub(crate) now: Instant,
    /// Octets that go over at once.
    pub(crate) piece: usize,
    /// Drop what this side sends.
    pub(crate) mute: Option<Side>,
    /// Everything that went over, each way.
    pub(crate) wire: [Vec<u8>; 2],
}

#[expect(
    clippy::disallowed_methods,
    reason = "an `Instant` has no other source; from here on the time is virtual"
)]
pub(crate) fn start() -> Instant {
    Instant::now()
}

pub(crate) fn path(side: Side, name: &str) -> Path {
    let host = match side {
        Active => "client.example.org:7394",
        Passive => "switch.example.com:2855",
    };
    format!("msrp://{host}/{side:?}-{name};tcp").parse().unwrap()
}

pub(crate) fn session(side: Side, name: &str) -> SessionId {
    path(side, name).last().session().unwrap().clone()
}

pub(crate) fn parameters(side: Side, name: &str) -> SessionParameters {
    let other = if side == Active { Passive } else { Active };
    SessionParameters {
        local: path(side, name),
        remote: path(other, name),
    }
}

pub(crate) fn message(tag: u64, body: impl Into<Bytes>) -> OutgoingMessage {
    OutgoingMessage {
        tag: MessageTag(tag),
        id: format!("message-{tag}").parse().unwrap(),
        content_type: "message/cpim",
        body: body.into(),
        success_report: false,
        failure_report: FailureReport::Yes,
        lane: Lane::default(),
    }
}

impl Pair {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            sides: [
                Connection::new(limits.clone(), [1; 32]),
                Connection::new(limits, [2; 32]),
            ],
            events: [Vec::new(), Vec::new()],
            now: start(),
            piece: usize::MAX,
            mute: None,
            wire: [Vec::new(), Vec::new()],
        }
    }

    /// With one session, bound on both sides.
    pub(crate) fn bound(limits: Limits) -> Self {
        let mut pair = Self::new(limits);
        pair.bind("s");
        pair
    }

    pub(crate) fn bind(&mut self, name: &str) {
        self.command(Active, Command::Open(parameters(Active, name)));
        self.run();
        let asked = Event::BindRequested {
            session: session(Passive, name),
            from: path(Active, name),
        };
        assert_eq!(self.events(Passive), [asked]);
        self.command(Passive, Command::Bind(parameters(Passive, name)));
        self.run();
        assert_eq!(
            self.events(Active),
            [Event::Opened {
                session: session(Active, name)
            }]
        );
    }

    pub(crate) fn command(&mut self, side: Side, command: Command) {
        self.sides[side as usize].handle_command(command, self.now);
        self.collect();
    }

    pub(crate) fn send(&mut self, side: Side, name: &str, message: OutgoingMessage) {
        self.command(
            side,
            Command::Send {
                session: session(side, name),
                message,
            },
        );
    }

    pub(crate) fn answer(&mut self, side: Side, due: AnswerDue, status: Status) {
        self.command(side, Command::Answer { due, status });
    }

    /// Lets everything go over, until both are silent.
    pub(crate) fn run(&mut self) {
        while self.step(Active) | self.step(Passive) {}
    }

    /// One write of one side.
    pub(crate) fn step(&mut self, from: Side) -> bool {
        let to = if from == Active { Passive } else { Active };
        let mut out = BytesMut::new();
        let sent = self.sides[from as usize].poll_transmit(&mut out, 4096, self.now);
        assert_eq!(sent, !out.is_empty());
        self.wire[from as usize].extend_from_slice(&out);
        if self.mute != Some(from) {
            for piece in out.chunks(self.piece.min(out.len().max(1))) {
                self.sides[to as usize].handle_bytes(piece, self.now);
            }
        }
        self.collect();
        sent
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        for side in &mut self.sides {
            side.handle_timeout(self.now);
        }
        self.collect();
    }

    pub(crate) fn close(&mut self, side: Side) {
        self.sides[side as usize].handle_closed(self.now);
        self.collect();
    }

    pub(crate) fn connection(&self, side: Side) -> &Connection {
        &self.sides[side as usize]
    }

    /// Takes the events of one side.
    pub(crate) fn events(&mut self, side: Side) -> Vec<Event> {
        std::mem::take(&mut self.events[side as usize])
    }

    /// Takes the events of one side, which are one message.
    pub(crate) fn received(&mut self, side: Side) -> (IncomingMessage, AnswerDue) {
        let mut events = self.events(side);
        match (events.pop(), events.len()) {
            (Some(Event::Received { message, due, .. }), 0) => (message, due),
            other => panic!("one message, not {other:?} after {events:?}"),
        }
    }

    pub(crate) fn sent_text(&self, side: Side) -> String {
        String::from_utf8_lossy(&self.wire[side as usize]).into_owned()
    }

    fn collect(&mut self) {
        for (side, events) in self.sides.iter_mut().zip(&mut self.events) {
            while let Some(event) = side.poll_event() {
                events.push(event);
            }
        }
    }
}
