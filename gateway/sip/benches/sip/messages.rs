//! Single messages: an INVITE of 900 octets as a proxy forwards it.

use std::hint::black_box;

use bytes::Bytes;
use criterion::Throughput;
use measure::{Task, Workload};
use sip::{
    NameAddr,
    message::{CSeq, Message, Request, StreamDecoder, StreamItem, Via},
};

/// Two Via, one Record-Route, MSRP in its offer.
pub(crate) const INVITE: &[u8] = include_bytes!("invite.sip");

/// Messages of one run.
const MESSAGES: usize = 1000;
/// What a socket gives at once.
const READ: usize = 16 * 1024;

pub(crate) fn workloads() -> Vec<Workload> {
    assert_eq!(INVITE.len(), 900, "the INVITE has another length");
    let invite = Bytes::from_static(INVITE);
    let workload = |name, task| Workload {
        name,
        amount: Throughput::Elements(MESSAGES as u64),
        task,
    };
    vec![
        workload("parse an INVITE", Box::new(Parse(invite.clone()))),
        workload(
            "parse an INVITE, five headers typed",
            Box::new(ParseTyped(invite.clone())),
        ),
        workload("write an INVITE", Box::new(Write(request(&invite)))),
        workload(
            "cut INVITEs out of a stream",
            Box::new(Cut(INVITE.repeat(MESSAGES))),
        ),
    ]
}

fn request(bytes: &Bytes) -> Request {
    match Message::parse(bytes) {
        Ok(Message::Request(request)) => request,
        other => panic!("no request: {other:?}"),
    }
}

struct Parse(Bytes);

impl Task for Parse {
    fn run(&mut self) {
        for _ in 0..MESSAGES {
            black_box(request(black_box(&self.0)));
        }
    }
}

/// With Via, From, To, CSeq and Contact, the five that every server reads.
struct ParseTyped(Bytes);

impl Task for ParseTyped {
    fn run(&mut self) {
        for _ in 0..MESSAGES {
            let request = request(black_box(&self.0));
            let first = |name| request.headers.list(name).next().expect("the header");
            let via: Via = first("Via").parse().expect("a Via");
            let from: NameAddr = first("From").parse().expect("a From");
            let to: NameAddr = first("To").parse().expect("a To");
            let cseq: CSeq = first("CSeq").parse().expect("a CSeq");
            let contact: NameAddr = first("Contact").parse().expect("a Contact");
            assert_eq!(cseq.number, 1);
            black_box((via, from, to, contact));
        }
    }
}

struct Write(Request);

impl Task for Write {
    fn run(&mut self) {
        for _ in 0..MESSAGES {
            assert_eq!(black_box(&self.0).to_bytes().len(), INVITE.len());
        }
    }
}

struct Cut(Vec<u8>);

impl Task for Cut {
    fn run(&mut self) {
        let mut decoder = StreamDecoder::new(sip::Limits::default());
        let mut messages = 0;
        for read in self.0.chunks(READ) {
            decoder.feed(read);
            while let Some(item) = decoder.poll() {
                assert!(matches!(item, StreamItem::Message(_)));
                messages += 1;
            }
        }
        assert_eq!(messages, MESSAGES);
    }
}
