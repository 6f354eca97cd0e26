//! Runs the simulated world over many seeds; `cargo xtask sim` starts it.

use std::{
    collections::BTreeSet,
    io::{IsTerminal, Write, stderr},
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Parser;
use gateway_sim::{Choice, Fault, Plan, Totals, busy_hour, report, run, run_twice, shrink};

/// The simulated world over many seeds
#[derive(Debug, Parser)]
#[command(name = "cargo xtask sim")]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// The first one
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only these kinds of fault, or `none`; without it each seed draws a few
    #[arg(long, value_delimiter = ',')]
    faults: Vec<String>,
    /// Stop after so many minutes
    #[arg(long)]
    minutes: Option<u64>,
    /// Only these actions of the plan, by number
    #[arg(long, value_delimiter = ',')]
    keep: Vec<usize>,
    /// Run each seed once, without the comparison of two runs
    #[arg(long)]
    once: bool,
    /// Print what the core decided
    #[arg(long)]
    log: bool,
    /// Say of a failing seed only what was broken
    #[arg(long)]
    brief: bool,
    /// Instead of seeds: one busy hour, 50 rooms, 500 users, 20 messages a second
    #[arg(long)]
    load: bool,
    /// Stop after so many failing seeds
    #[arg(long, default_value_t = 5)]
    failures: u64,
    /// Stop once this invariant is broken
    #[arg(long)]
    until: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let choice = match choice(&arguments.faults) {
        Ok(choice) => choice,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    if arguments.load {
        return load();
    }
    let totals = run_all(&arguments, &choice);
    if totals.failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is what is asked")]
fn load() -> ExitCode {
    let started = Instant::now();
    let outcome = busy_hour(3600);
    println!(
        "one busy hour in {:.1} s on one core: {} messages said, heard {} times, {} commands, {} happenings",
        started.elapsed().as_secs_f64(),
        outcome.messages.0,
        outcome.messages.1,
        outcome.commands,
        outcome.happenings,
    );
    for failure in &outcome.failures {
        println!("{} broken: {}", failure.invariant, failure.detail);
    }
    if outcome.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn choice(faults: &[String]) -> Result<Choice, String> {
    match faults {
        [] => Ok(Choice::Seed),
        [none] if none == "none" => Ok(Choice::None),
        some => some
            .iter()
            .map(|name| name.parse::<Fault>())
            .collect::<Result<BTreeSet<_>, _>>()
            .map(Choice::Only),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "progress and totals are told in real time"
)]
fn run_all(arguments: &Arguments, choice: &Choice) -> Totals {
    let started = Instant::now();
    let end = arguments
        .minutes
        .map(|minutes| started + Duration::from_secs(60 * minutes));
    let next = AtomicU64::new(arguments.from);
    let last = arguments.from + arguments.seeds;
    let totals = Mutex::new(Totals::default());
    let found = AtomicBool::new(false);
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= last || end.is_some_and(|end| Instant::now() >= end) {
                        return;
                    }
                    if let Some(broken) = one(arguments, choice, seed, &totals)
                        && arguments.until.as_deref() == Some(broken)
                    {
                        found.store(true, Ordering::Relaxed);
                    }
                    if found.load(Ordering::Relaxed) {
                        return;
                    }
                    let Ok(totals) = totals.lock() else { return };
                    if totals.failed >= arguments.failures {
                        return;
                    }
                    if totals.runs.is_multiple_of(100) && stderr().is_terminal() {
                        let _lost = write!(stderr(), "\r{} seeds, {} failed ", totals.runs, totals.failed);
                    }
                }
            });
        }
    });
    let totals = totals.into_inner().unwrap_or_default();
    println!(
        "{} seeds in {:.1} s: {} failed; {} h of virtual time, {} messages heard {} times, {} commands, {} happenings",
        totals.runs,
        started.elapsed().as_secs_f64(),
        totals.failed,
        totals.virtual_seconds / 3600,
        totals.messages.0,
        totals.messages.1,
        totals.commands,
        totals.happenings,
    );
    let faults: Vec<_> = totals
        .faults
        .iter()
        .map(|(fault, runs)| format!("{fault} {runs}"))
        .collect();
    println!(
        "runs with each fault: {}",
        if faults.is_empty() {
            "none".to_owned()
        } else {
            faults.join(", ")
        }
    );
    totals
}

/// Runs a seed; returns the invariant that it breaks first.
fn one(arguments: &Arguments, choice: &Choice, seed: u64, totals: &Mutex<Totals>) -> Option<&'static str> {
    let mut plan = Plan::new(seed, choice);
    if !arguments.keep.is_empty() {
        plan.keep(&arguments.keep);
    }
    let outcome = if arguments.once || arguments.log {
        run(&plan, arguments.log)
    } else {
        run_twice(&plan)
    };
    if let Ok(mut totals) = totals.lock() {
        totals.add(&plan, &outcome);
    }
    if let Some(text) = &outcome.text {
        println!("{text}");
    }
    let failure = outcome.failures.first()?;
    if arguments.brief {
        println!("seed {seed}: {} broken: {}", failure.invariant, failure.detail);
        return Some(failure.invariant);
    }
    let least = if arguments.log {
        plan
    } else {
        shrink(&plan, failure.invariant)
    };
    let again = run(&least, false);
    println!(
        "{}",
        report(&least, choice, again.failures.first().unwrap_or(failure))
    );
    Some(failure.invariant)
}
