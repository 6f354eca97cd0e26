//! What the crate costs: `cargo xtask bench msrp` runs this and sets the measurements beside their targets.
//!
//! Without arguments criterion measures the processor's time. `count NAME RUNS` only runs one workload, so that an instruction counter can watch
//! [`measured`].

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a workload that does not work must stop the measurement"
)]

mod baseline;
mod cpim;
mod cpu_time;
mod fan_out;
mod frames;
mod long_messages;
mod workload;

use std::{cell::RefCell, process::ExitCode, time::Duration};

use cpu_time::CpuTime;
use criterion::{BatchSize, Criterion, SamplingMode};
use workload::{Workload, measured};

/// Every workload, with what a run of it is counted in.
fn workloads() -> Vec<Workload> {
    [
        baseline::workloads(),
        frames::workloads(),
        long_messages::workloads(),
        cpim::workloads(),
        fan_out::workloads(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, name, runs] = arguments.as_slice()
        && command == "count"
    {
        return match runs.parse() {
            Ok(runs) => count(name, runs),
            Err(_) => ExitCode::FAILURE,
        };
    }
    let mut criterion = Criterion::default()
        .with_measurement(CpuTime)
        .without_plots()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .sample_size(50)
        .configure_from_args();
    for workload in workloads() {
        time(&mut criterion, workload);
    }
    criterion.final_summary();
    ExitCode::SUCCESS
}

fn time(criterion: &mut Criterion<CpuTime>, workload: Workload) {
    let Workload { name, amount, task } = workload;
    let task = RefCell::new(task);
    let mut group = criterion.benchmark_group("msrp");
    // A run takes long enough to be measured alone.
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(amount).bench_function(name, |bencher| {
        bencher.iter_batched(
            || task.borrow_mut().prepare(),
            |()| measured(task.borrow_mut().as_mut()),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn count(name: &str, runs: u32) -> ExitCode {
    let Some(mut workload) = workloads().into_iter().find(|workload| workload.name == name) else {
        return ExitCode::FAILURE;
    };
    for _ in 0..runs {
        workload.task.prepare();
        measured(workload.task.as_mut());
    }
    ExitCode::SUCCESS
}
