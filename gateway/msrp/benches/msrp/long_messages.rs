//! Messages of 1 MiB in chunks of 2 KiB: frame by frame, and through whole connections.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use criterion::Throughput;
use measure::{Task, Workload, start};
use msrp::{
    Command, Connection, Event, Limits, Status,
    frame::{ByteRange, Content, Decoder, Flag, Frame, Headers, Kind, Method},
};

use crate::workload::{outgoing, parameters, session};

const MESSAGE: usize = 1024 * 1024;
const CHUNK: usize = 2048;
/// What a socket gives or takes at once.
const READ: usize = 64 * 1024;

pub(crate) fn workloads() -> Vec<Workload> {
    let amount = || Throughput::Bytes(MESSAGE as u64);
    vec![
        Workload {
            name: "decode 1 MiB in 2 KiB chunks",
            amount: amount(),
            task: Box::new(Decode {
                stream: chunked().0,
                decoder: Decoder::new(&limits()),
            }),
        },
        Workload {
            name: "encode 1 MiB in 2 KiB chunks",
            amount: amount(),
            task: Box::new(Encode {
                frames: chunked().1,
                out: BytesMut::new(),
            }),
        },
        Workload {
            name: "receive 1 MiB in 2 KiB chunks",
            amount: amount(),
            task: Box::new(Receive::new()),
        },
        Workload {
            name: "send 1 MiB in 2 KiB chunks",
            amount: amount(),
            task: Box::new(Send::new()),
        },
    ]
}

fn limits() -> Limits {
    Limits {
        message: MESSAGE,
        reassembly: 2 * MESSAGE,
        outgoing: 2 * MESSAGE,
        unanswered: MESSAGE / CHUNK,
        chunk_out: CHUNK,
        ..Limits::default()
    }
}

fn body() -> Bytes {
    let text = "Our revels now are ended. These our actors, as I foretold you, were all spirits.\r\n";
    let mut body = text.repeat(MESSAGE / text.len() + 1);
    body.truncate(MESSAGE);
    body.into()
}

/// The message from the peer's end of session 0, as octets and as frames.
fn chunked() -> (Bytes, Vec<Frame>) {
    let ends = parameters(0);
    let body = body();
    let template = outgoing(0, &body);
    let frames: Vec<Frame> = (0..MESSAGE / CHUNK)
        .map(|index| {
            let (first, end) = (index * CHUNK, (index + 1) * CHUNK);
            let last = end == MESSAGE;
            Frame {
                transaction: format!("d93kswow7m2q4n6p{index:04}")
                    .parse()
                    .expect("a transaction id"),
                kind: Kind::Request(Method::Send),
                to: ends.local.clone(),
                from: ends.remote.clone(),
                headers: Headers {
                    message_id: Some(template.id),
                    byte_range: Some(ByteRange {
                        start: first as u64 + 1,
                        end: Some(end as u64),
                        total: Some(MESSAGE as u64),
                    }),
                    content_type: Some(template.content_type.to_owned()),
                    ..Headers::default()
                },
                content: Content::Body(body.slice(first..end)),
                flag: if last { Flag::Complete } else { Flag::More },
            }
        })
        .collect();
    let mut stream = BytesMut::new();
    for frame in &frames {
        frame.encode(&mut stream);
    }
    (stream.freeze(), frames)
}

struct Decode {
    stream: Bytes,
    decoder: Decoder,
}

impl Task for Decode {
    fn run(&mut self) {
        let mut octets = 0;
        for read in self.stream.chunks(READ) {
            self.decoder.push(read);
            while let Some(frame) = self.decoder.next_frame() {
                let Content::Body(body) = frame.expect("a sound frame").content else {
                    panic!("a chunk without body");
                };
                octets += body.len();
            }
        }
        assert_eq!(octets, MESSAGE);
    }
}

struct Encode {
    frames: Vec<Frame>,
    out: BytesMut,
}

impl Task for Encode {
    fn run(&mut self) {
        for frame in &self.frames {
            if self.out.len() > READ {
                self.out.clear();
            }
            frame.encode(&mut self.out);
        }
    }
}

/// A message comes in, is put together and answered; every chunk gets its response.
struct Receive {
    stream: Bytes,
    connection: Connection,
    out: BytesMut,
    now: Instant,
}

impl Receive {
    fn new() -> Self {
        Self {
            stream: chunked().0,
            connection: Connection::new(limits(), [1; 32]),
            out: BytesMut::new(),
            now: start(),
        }
    }
}

impl Task for Receive {
    /// Messages with one Message-ID would be taken for one.
    fn prepare(&mut self) {
        let ends = parameters(0);
        self.connection
            .handle_command(Command::Unbind(session(&ends)), self.now);
        self.connection.handle_command(Command::Bind(ends), self.now);
    }

    fn run(&mut self) {
        let mut octets = 0;
        for read in self.stream.chunks(READ) {
            self.connection.handle_bytes(read, self.now);
            while let Some(event) = self.connection.poll_event() {
                let Event::Received { message, due, .. } = event else {
                    panic!("{event:?}");
                };
                octets += message.body.len();
                let status = Status::OK;
                self.connection
                    .handle_command(Command::Answer { due, status }, self.now);
            }
            self.out.clear();
            while self.connection.poll_transmit(&mut self.out, READ, self.now) {}
        }
        assert_eq!(octets, MESSAGE);
    }
}

/// A message is cut and handed over; the responses of the peer are not measured here.
struct Send {
    body: Bytes,
    connection: Connection,
    peer: Connection,
    out: BytesMut,
    sent: BytesMut,
    now: Instant,
}

impl Send {
    fn new() -> Self {
        let now = start();
        let mut connection = Connection::new(limits(), [1; 32]);
        connection.handle_command(Command::Bind(parameters(0)), now);
        Self {
            body: body(),
            connection,
            peer: Connection::new(limits(), [2; 32]),
            out: BytesMut::new(),
            sent: BytesMut::new(),
            now,
        }
    }

    /// The peer takes what was sent.
    fn settle(&mut self) {
        let ends = parameters(0);
        let ours = msrp::SessionParameters {
            local: ends.remote,
            remote: ends.local,
        };
        self.peer
            .handle_command(Command::Unbind(session(&ours)), self.now);
        self.peer.handle_command(Command::Bind(ours), self.now);
        self.peer.handle_bytes(&self.sent, self.now);
        self.sent.clear();
        while let Some(event) = self.peer.poll_event() {
            if let Event::Received { due, .. } = event {
                let status = Status::OK;
                self.peer
                    .handle_command(Command::Answer { due, status }, self.now);
            }
        }
        let mut responses = BytesMut::new();
        while self.peer.poll_transmit(&mut responses, READ, self.now) {}
        self.connection.handle_bytes(&responses, self.now);
        while let Some(event) = self.connection.poll_event() {
            assert!(matches!(event, Event::Delivered { .. }), "{event:?}");
        }
    }
}

impl Task for Send {
    fn prepare(&mut self) {
        self.settle();
        self.out.clear();
    }

    fn run(&mut self) {
        let message = outgoing(0, &self.body);
        let session = session(&parameters(0));
        self.connection
            .handle_command(Command::Send { session, message }, self.now);
        let mut octets = 0;
        while self.connection.poll_transmit(&mut self.out, READ, self.now) {
            octets += self.out.len();
            self.sent.extend_from_slice(&self.out);
            self.out.clear();
        }
        assert!(octets > MESSAGE);
    }
}
