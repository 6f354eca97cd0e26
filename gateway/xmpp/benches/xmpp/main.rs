//! What the guard costs, beside a full XML parser in the same run: `cargo xtask bench xmpp` runs this and sets the measurements beside
//! their targets.

#![expect(
    clippy::expect_used,
    reason = "a workload that does not work must stop the measurement"
)]

mod stream;

use std::{hint::black_box, process::ExitCode, rc::Rc};

use criterion::Throughput;
use measure::{Task, Workload};
use minidom::Element;
use quick_xml::events::Event;
use stream::{COPIES, Stream};
use xmpp::guard::{Frame, Guard};

/// What is done with the stream.
struct Reading {
    stream: Rc<Stream>,
    read: fn(&Stream),
}

impl Task for Reading {
    fn run(&mut self) {
        (self.read)(&self.stream);
    }
}

fn workloads() -> Vec<Workload> {
    let stream = Rc::new(Stream::new());
    let octets = Throughput::Bytes(stream.octets.len() as u64);
    let copies = Throughput::Elements(COPIES as u64);
    let workload = |name, amount: &Throughput, read| Workload {
        name,
        amount: amount.clone(),
        task: Box::new(Reading {
            stream: Rc::clone(&stream),
            read,
        }),
    };
    vec![
        workload("guard, messages of a room", &octets, guard),
        workload("quick-xml, the same", &octets, quick_xml),
        workload("minidom, the same", &octets, minidom),
        workload("guard, drop a copy", &copies, |stream| {
            drop_copies(stream, 16 * 1024);
        }),
        workload("guard, drop a copy, reads of 1 KiB", &copies, |stream| {
            drop_copies(stream, 1024);
        }),
    ]
}

fn guard(stream: &Stream) {
    let mut guard = stream.guard();
    assert_eq!(frames(&mut guard, &stream.octets, 16 * 1024), COPIES);
}

/// What is left when all but one occupant of a room share.
fn drop_copies(stream: &Stream, read: usize) {
    let mut guard = stream.guard();
    stream.share(&mut guard);
    assert_eq!(frames(&mut guard, &stream.octets, read), stream.messages);
}

fn frames(guard: &mut Guard, octets: &[u8], read: usize) -> usize {
    let mut stanzas = 0;
    for mut piece in black_box(octets).chunks(read) {
        while let Some(frame) = guard.next(&mut piece) {
            assert!(matches!(black_box(frame), Frame::Stanza { .. }));
            stanzas += 1;
        }
    }
    stanzas
}

/// A parser without namespaces and without a tree: the least that any does.
fn quick_xml(stream: &Stream) {
    let mut reader = quick_xml::Reader::from_reader(black_box(stream.octets.as_slice()));
    reader.config_mut().check_end_names = true;
    let (mut depth, mut stanzas) = (0, 0);
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(tag) => {
                depth += 1;
                for attribute in tag.attributes() {
                    black_box(attribute.expect("well-formed"));
                }
            }
            Event::End(_) => {
                depth -= 1;
                stanzas += usize::from(depth == 0);
            }
            Event::Empty(tag) => {
                for attribute in tag.attributes() {
                    black_box(attribute.expect("well-formed"));
                }
            }
            Event::Eof => break,
            event => {
                black_box(event);
            }
        }
    }
    assert_eq!(stanzas, COPIES);
}

/// The parser that reads what passes.
fn minidom(stream: &Stream) {
    let mut stanzas = 0;
    for stanza in &stream.stanzas {
        let element = Element::from_reader_with_prefixes(
            black_box(stanza.as_bytes()),
            "jabber:component:accept".to_owned(),
        );
        black_box(element.expect("well-formed"));
        stanzas += 1;
    }
    assert_eq!(stanzas, COPIES);
}

fn main() -> ExitCode {
    measure::main("xmpp", workloads)
}
