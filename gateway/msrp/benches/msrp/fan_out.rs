//! One message to 1 000 sessions: on one connection, and on a connection each.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use criterion::Throughput;
use measure::{Task, Workload, start};
use msrp::{
    Command, Connection, Event, Limits, SessionId, Status,
    frame::{Content, Decoder, Flag, Frame, Headers, Kind},
};

use crate::workload::{outgoing, parameters, session};

const RECIPIENTS: usize = 1000;
/// What a socket takes at once.
const WRITE: usize = 64 * 1024;

pub(crate) fn workloads() -> Vec<Workload> {
    let amount = || Throughput::Elements(RECIPIENTS as u64);
    let workload = |name, connections, measured| Workload {
        name,
        amount: amount(),
        task: Box::new(FanOut::new(connections, measured)),
    };
    vec![
        workload("fan-out, one connection", 1, Part::Transmit),
        workload("fan-out, 1000 connections", RECIPIENTS, Part::Transmit),
        workload("answers, one connection", 1, Part::Answers),
        workload("answers, 1000 connections", RECIPIENTS, Part::Answers),
    ]
}

/// Which part of the way is measured; the other one prepares it.
#[derive(Clone, Copy)]
enum Part {
    /// From the commands to the octets.
    Transmit,
    /// From the responses to the events.
    Answers,
}

struct FanOut {
    part: Part,
    body: Bytes,
    recipients: Vec<Recipients>,
    now: Instant,
}

/// A connection with its share of the sessions.
struct Recipients {
    connection: Connection,
    sessions: Vec<SessionId>,
    sent: BytesMut,
    responses: BytesMut,
}

impl FanOut {
    fn new(connections: usize, part: Part) -> Self {
        let now = start();
        let mut recipients: Vec<Recipients> = (0..connections)
            .map(|index| Recipients {
                connection: Connection::new(Limits::default(), [index as u8; 32]),
                sessions: Vec::new(),
                sent: BytesMut::new(),
                responses: BytesMut::new(),
            })
            .collect();
        for index in 0..RECIPIENTS {
            let ends = parameters(index);
            let share = &mut recipients[index % connections];
            share.sessions.push(session(&ends));
            share.connection.handle_command(Command::Bind(ends), now);
        }
        // 600 octets on the wire, or a little more.
        let body = "All the world's a stage, and all the men and women merely players. ".repeat(4);
        Self {
            part,
            body: Bytes::from(body),
            recipients,
            now,
        }
    }

    /// One message to everyone.
    fn transmit(&mut self) {
        for share in &mut self.recipients {
            for (index, session) in share.sessions.iter().enumerate() {
                let message = outgoing(index as u64, &self.body);
                let session = session.clone();
                share
                    .connection
                    .handle_command(Command::Send { session, message }, self.now);
            }
            while share.connection.poll_transmit(&mut share.sent, WRITE, self.now) {}
        }
    }

    /// What everyone says to it.
    fn peers_answer(&mut self) {
        for Recipients { sent, responses, .. } in &mut self.recipients {
            responses.clear();
            let mut decoder = Decoder::new(&Limits::default());
            decoder.push(sent);
            sent.clear();
            while let Some(request) = decoder.next_frame() {
                response(request.expect("a sound frame")).encode(responses);
            }
        }
    }

    /// Everyone's 200.
    fn answers(&mut self) {
        let mut delivered = 0;
        for share in &mut self.recipients {
            share.connection.handle_bytes(&share.responses, self.now);
            while let Some(event) = share.connection.poll_event() {
                assert!(matches!(event, Event::Delivered { .. }), "{event:?}");
                delivered += 1;
            }
        }
        assert_eq!(delivered, RECIPIENTS);
    }
}

impl Task for FanOut {
    fn prepare(&mut self) {
        match self.part {
            Part::Transmit => {
                if self.recipients.iter().any(|share| !share.sent.is_empty()) {
                    self.peers_answer();
                    self.answers();
                }
            }
            Part::Answers => {
                self.transmit();
                self.peers_answer();
            }
        }
    }

    fn run(&mut self) {
        match self.part {
            Part::Transmit => self.transmit(),
            Part::Answers => self.answers(),
        }
    }
}

fn response(request: Frame) -> Frame {
    Frame {
        transaction: request.transaction,
        kind: Kind::Response(Status::OK),
        to: request.from,
        from: request.to,
        headers: Headers::default(),
        content: Content::None,
        flag: Flag::Complete,
    }
}
