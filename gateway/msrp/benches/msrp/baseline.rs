//! What the machine itself does at this moment, to set the rest beside.

use std::hint::black_box;

use criterion::Throughput;
use measure::{Task, Workload};
use memchr::memmem;

const MEBIBYTE: usize = 1024 * 1024;

pub(crate) fn workloads() -> Vec<Workload> {
    let amount = || Throughput::Bytes(MEBIBYTE as u64);
    vec![
        Workload {
            name: "memory copy, 1 MiB",
            amount: amount(),
            task: Box::new(Copy {
                from: vec![b'x'; MEBIBYTE],
                to: vec![0; MEBIBYTE],
            }),
        },
        Workload {
            name: "memory search, 1 MiB",
            amount: amount(),
            task: Box::new(Search(vec![b'x'; MEBIBYTE])),
        },
    ]
}

struct Copy {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Task for Copy {
    fn run(&mut self) {
        self.to.copy_from_slice(black_box(&self.from));
        black_box(&mut self.to);
    }
}

struct Search(Vec<u8>);

impl Task for Search {
    fn run(&mut self) {
        assert!(memmem::find(black_box(&self.0), b"\r\n-------").is_none());
    }
}
