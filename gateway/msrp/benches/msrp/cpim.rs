//! The wrapper of a room's messages.

use std::hint::black_box;

use bytes::Bytes;
use criterion::Throughput;
use measure::{Task, Workload};
use msrp::cpim::Cpim;

/// Messages of one run.
const MESSAGES: usize = 1000;

pub(crate) fn workloads() -> Vec<Workload> {
    let text = concat!(
        "From: \"Romeo Montague\" <sip:romeo@example.org;gr=dr4hcr0st3lup4c>\r\n",
        "To: <sip:capulet@rooms.example.com>\r\n",
        "DateTime: 2026-11-20T15:02:31.031-05:00\r\n",
        "NS: imdn <urn:ietf:params:imdn>\r\n",
        "imdn.Message-ID: Asdfk3lqr7zx\r\n",
        "\r\n",
        "Content-Type: text/plain;charset=utf-8\r\n",
        "\r\n",
        "But, soft! what light through yonder window breaks? It is the east, and Juliet is the sun.",
    );
    let amount = || Throughput::Elements(MESSAGES as u64);
    vec![
        Workload {
            name: "parse a CPIM message",
            amount: amount(),
            task: Box::new(Parse(Bytes::from_static(text.as_bytes()))),
        },
        Workload {
            name: "write a CPIM message",
            amount: amount(),
            task: Box::new(Write(Cpim::parse(text.as_bytes()).expect("a sound message"))),
        },
    ]
}

struct Parse(Bytes);

impl Task for Parse {
    fn run(&mut self) {
        for _ in 0..MESSAGES {
            let cpim = Cpim::parse(black_box(&self.0)).expect("a sound message");
            assert_eq!(cpim.to.len(), 1);
        }
    }
}

struct Write(Cpim);

impl Task for Write {
    fn run(&mut self) {
        for _ in 0..MESSAGES {
            assert!(!black_box(&self.0).to_bytes().is_empty());
        }
    }
}
