//! What the guard costs, beside a full XML parser in the same run: `cargo xtask bench xmpp` runs this and sets the measurements beside
//! their targets.
//!
//! Without arguments criterion measures the processor's time. `count NAME RUNS` only runs one workload, so that an instruction counter
//! can watch [`measured`].

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a workload that does not work must stop the measurement"
)]

#[path = "../../../msrp/benches/msrp/cpu_time.rs"]
mod cpu_time;
mod stream;

use std::{cell::RefCell, hint::black_box, process::ExitCode, time::Duration};

use cpu_time::CpuTime;
use criterion::{BatchSize, Criterion, SamplingMode, Throughput};
use minidom::Element;
use quick_xml::events::Event;
use stream::{COPIES, Stream};
use xmpp::guard::{Frame, Guard};

/// One line of the table.
struct Workload {
    /// Its name there.
    name: &'static str,
    /// What one run amounts to.
    amount: Throughput,
    /// It checks its own result, so that nothing is measured that does not work.
    run: fn(&Stream),
}

/// The only place where measured work happens: an instruction counter can be told its name.
#[inline(never)]
fn measured(workload: &Workload, stream: &Stream) {
    (workload.run)(stream);
}

fn workloads(stream: &Stream) -> [Workload; 5] {
    let octets = Throughput::Bytes(stream.octets.len() as u64);
    let copies = Throughput::Elements(COPIES as u64);
    [
        Workload {
            name: "guard, messages of a room",
            amount: octets.clone(),
            run: guard,
        },
        Workload {
            name: "quick-xml, the same",
            amount: octets.clone(),
            run: quick_xml,
        },
        Workload {
            name: "minidom, the same",
            amount: octets,
            run: minidom,
        },
        Workload {
            name: "guard, drop a copy",
            amount: copies.clone(),
            run: |stream| drop_copies(stream, 16 * 1024),
        },
        Workload {
            name: "guard, drop a copy, reads of 1 KiB",
            amount: copies,
            run: |stream| drop_copies(stream, 1024),
        },
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
    let stream = Stream::new();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, name, runs] = arguments.as_slice()
        && command == "count"
    {
        let workload = workloads(&stream).into_iter().find(|known| known.name == name);
        let (Some(workload), Ok(runs)) = (workload, runs.parse::<u32>()) else {
            return ExitCode::FAILURE;
        };
        for _ in 0..runs {
            measured(&workload, &stream);
        }
        return ExitCode::SUCCESS;
    }
    let mut criterion = Criterion::default()
        .with_measurement(CpuTime)
        .without_plots()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .sample_size(50)
        .configure_from_args();
    for workload in workloads(&stream) {
        time(&mut criterion, &workload, &stream);
    }
    criterion.final_summary();
    ExitCode::SUCCESS
}

fn time(criterion: &mut Criterion<CpuTime>, workload: &Workload, stream: &Stream) {
    let nothing = RefCell::new(());
    let mut group = criterion.benchmark_group("xmpp");
    // A run takes long enough to be measured alone.
    group.sampling_mode(SamplingMode::Flat);
    group
        .throughput(workload.amount.clone())
        .bench_function(workload.name, |bencher| {
            bencher.iter_batched(
                || *nothing.borrow(),
                |()| measured(workload, stream),
                BatchSize::PerIteration,
            );
        });
    group.finish();
}
