//! Single frames: SENDs of 600 octets, as a room's messages are.

use bytes::{Bytes, BytesMut};
use criterion::Throughput;
use measure::{Task, Workload};
use msrp::{
    FailureReport, Limits,
    frame::{ByteRange, Content, Decoder, Flag, Frame, Headers, Kind, Method},
};

use crate::workload::{outgoing, parameters};

/// Octets of a frame from its start line to the CRLF of its end-line.
const OCTETS: usize = 600;
/// Frames of one run.
const FRAMES: usize = 1000;
/// What a socket gives at once.
const READ: usize = 16 * 1024;

pub(crate) fn workloads() -> Vec<Workload> {
    let frame = send();
    let mut stream = BytesMut::new();
    for _ in 0..FRAMES {
        frame.encode(&mut stream);
    }
    assert_eq!(stream.len(), FRAMES * OCTETS, "the frame has another length");
    let amount = || Throughput::Elements(FRAMES as u64);
    vec![
        Workload {
            name: "decode 600-octet SENDs",
            amount: amount(),
            task: Box::new(Decode {
                stream: stream.freeze(),
                decoder: Decoder::new(&Limits::default()),
            }),
        },
        Workload {
            name: "encode 600-octet SENDs",
            amount: amount(),
            task: Box::new(Encode {
                frame,
                out: BytesMut::new(),
            }),
        },
    ]
}

fn send() -> Frame {
    let mut frame = with_body(&[]);
    let mut empty = BytesMut::new();
    frame.encode(&mut empty);
    let body = "All the world's a stage. ".repeat(OCTETS);
    frame.content = Content::Body(Bytes::copy_from_slice(&body.as_bytes()[..OCTETS - empty.len()]));
    frame
}

fn with_body(body: &'static [u8]) -> Frame {
    let ends = parameters(0);
    let message = outgoing(0, &Bytes::new());
    Frame {
        transaction: "d93kswow7m2q4n6p8r0t".parse().expect("a sound transaction id"),
        kind: Kind::Request(Method::Send),
        to: ends.local,
        from: ends.remote,
        headers: Headers {
            message_id: Some(message.id),
            success_report: Some(false),
            failure_report: Some(FailureReport::Yes),
            byte_range: Some(ByteRange {
                start: 1,
                end: Some(237),
                total: Some(237),
            }),
            content_type: Some(message.content_type.to_owned()),
            ..Headers::default()
        },
        content: Content::Body(Bytes::from_static(body)),
        flag: Flag::Complete,
    }
}

struct Decode {
    stream: Bytes,
    decoder: Decoder,
}

impl Task for Decode {
    fn run(&mut self) {
        let mut frames = 0;
        for read in self.stream.chunks(READ) {
            self.decoder.push(read);
            while let Some(frame) = self.decoder.next_frame() {
                assert_eq!(frame.expect("a sound frame").flag, Flag::Complete);
                frames += 1;
            }
        }
        assert_eq!(frames, FRAMES);
    }
}

struct Encode {
    frame: Frame,
    out: BytesMut,
}

impl Task for Encode {
    fn run(&mut self) {
        for _ in 0..FRAMES {
            if self.out.len() > READ {
                self.out.clear();
            }
            self.frame.encode(&mut self.out);
        }
    }
}
