//! What the benchmarks of the crates share.
//!
//! Without arguments criterion measures the processor's time. `count NAME RUNS` only runs one workload, so that an instruction counter can watch
//! [`measured`].

mod cpu_time;

use std::{
    cell::RefCell,
    process::ExitCode,
    time::{Duration, Instant},
};

use criterion::{BatchSize, Criterion, SamplingMode, Throughput};

pub use cpu_time::CpuTime;

/// One line of a table.
pub struct Workload {
    /// Its name there.
    pub name: &'static str,
    /// What one run amounts to.
    pub amount: Throughput,
    /// What is run.
    pub task: Box<dyn Task>,
}

/// Something that is done again and again.
pub trait Task {
    /// What comes before each run and is not measured.
    fn prepare(&mut self) {}
    /// What is measured. It checks its own results, so that nothing is measured that does not work.
    fn run(&mut self);
}

/// The only place where measured work happens: an instruction counter can be told its name.
#[inline(never)]
pub fn measured(task: &mut dyn Task) {
    task.run();
}

/// An instant to start from.
#[must_use]
pub fn start() -> Instant {
    Instant::now()
}

/// The program of a benchmark: measures all workloads as `group`, or counts one of them.
#[must_use]
pub fn main(group: &str, workloads: fn() -> Vec<Workload>) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, name, runs] = arguments.as_slice()
        && command == "count"
    {
        return match runs.parse() {
            Ok(runs) => count(workloads(), name, runs),
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
        time(&mut criterion, group, workload);
    }
    criterion.final_summary();
    ExitCode::SUCCESS
}

fn time(criterion: &mut Criterion<CpuTime>, group: &str, workload: Workload) {
    let Workload { name, amount, task } = workload;
    let task = RefCell::new(task);
    let mut group = criterion.benchmark_group(group);
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

fn count(workloads: Vec<Workload>, name: &str, runs: u32) -> ExitCode {
    let Some(mut workload) = workloads.into_iter().find(|workload| workload.name == name) else {
        return ExitCode::FAILURE;
    };
    for _ in 0..runs {
        workload.task.prepare();
        measured(workload.task.as_mut());
    }
    ExitCode::SUCCESS
}
