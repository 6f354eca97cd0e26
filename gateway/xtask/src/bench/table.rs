//! A benchmark program of a crate, its workloads set beside their targets.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use gateway_tests::{Context, Result, bail, process::find_program, scratch::Scratch};
use serde_json::Value;

use crate::{
    screen,
    steps::{built, run_quietly},
};

/// Runs by which two counts of instructions differ, so that what happens only once cancels out.
const COUNTED_RUNS: u32 = 5;

/// A line of the table.
pub(super) struct Row {
    /// The workload in the crate's benchmark.
    name: &'static str,
    unit: Unit,
    target: Option<f64>,
}

/// What a measurement is told in.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    /// Millions of frames or messages a second; more is better.
    MillionsPerSecond,
    /// 10⁹ octets a second; more is better.
    GigabytesPerSecond,
    /// Microseconds for each; less is better.
    MicrosecondsEach,
}

pub(super) const fn row(name: &'static str, unit: Unit, target: Option<f64>) -> Row {
    Row { name, unit, target }
}

/// Measures the benchmark `crate_name` of the crate of that name and prints a table. A missed target is shown, not an error: it may be
/// the machine's.
///
/// # Errors
/// Something does not build or run.
pub(super) fn measure(crate_name: &str, rows: &[Row]) -> Result<()> {
    let scratch = Scratch::new("bench")?;
    let program = program(crate_name)?;
    println!("measuring for about {} s …", rows.len() * 8);
    run_quietly(
        Command::new(&program)
            .args(["--bench", "--noplot"])
            .env("CRITERION_HOME", scratch.path()),
    )?;
    let valgrind = find_program("valgrind");
    screen::heading(&format!(
        "{crate_name} on one core: median (range), by processor time"
    ));
    println!(
        "  {:<36} {:>9} {:>19} {:>10}   {:>12}",
        "", "median", "range", "target", "instructions"
    );
    for row in rows {
        let directory = scratch.path().join(crate_name).join(row.name).join("new");
        let measured = Measured::read(&directory)?;
        let instructions = match &valgrind {
            Some(valgrind) => instructions(valgrind, &program, row, &measured)?,
            None => String::from("-"),
        };
        println!("{}  {instructions:>12}", row.line(&measured));
    }
    if valgrind.is_none() {
        println!("  no valgrind here, so no instructions are counted");
    }
    Ok(())
}

impl Row {
    fn line(&self, measured: &Measured) -> String {
        let told = |time: f64| match self.unit {
            Unit::MillionsPerSecond => measured.amount / time * 1e3,
            Unit::GigabytesPerSecond => measured.amount / time,
            Unit::MicrosecondsEach => time / measured.amount / 1e3,
        };
        let median = told(measured.median);
        let [low, high] = [told(measured.fastest), told(measured.slowest)];
        let range = format!("{:.2} to {:.2}", low.min(high), low.max(high));
        let (unit, bound, met) = match self.unit {
            Unit::MillionsPerSecond => ("M/s", "≥", self.target.map(|target| median >= target)),
            Unit::GigabytesPerSecond => ("GB/s", "≥", self.target.map(|target| median >= target)),
            Unit::MicrosecondsEach => ("µs", "≤", self.target.map(|target| median <= target)),
        };
        let target = self
            .target
            .map_or_else(String::new, |target| format!("{bound} {target}"));
        format!(
            "  {:<36} {median:>9.2} {range:>19} {target:>5} {unit:<4} {}",
            self.name,
            verdict(met)
        )
    }
}

pub(super) fn verdict(met: Option<bool>) -> String {
    match met {
        Some(true) => screen::good("✓"),
        Some(false) => screen::bad("✗"),
        None => String::from(" "),
    }
}

/// Nanoseconds of one run, and what it amounts to.
struct Measured {
    median: f64,
    fastest: f64,
    slowest: f64,
    amount: f64,
}

impl Measured {
    /// Reads what criterion has written.
    fn read(directory: &Path) -> Result<Self> {
        let file = |name: &str| -> Result<Value> {
            let text =
                std::fs::read(directory.join(name)).with_context(|| format!("no {name} of criterion"))?;
            Ok(serde_json::from_slice(&text)?)
        };
        let (sample, benchmark) = (file("sample.json")?, file("benchmark.json")?);
        let numbers = |name: &str| sample.get(name).and_then(Value::as_array).into_iter().flatten();
        let mut times: Vec<f64> = numbers("times")
            .zip(numbers("iters"))
            .filter_map(|(time, runs)| Some(time.as_f64()? / runs.as_f64()?))
            .collect();
        times.sort_by(f64::total_cmp);
        let amount = benchmark.get("throughput").and_then(Value::as_object);
        let amount = amount.and_then(|amount| amount.values().next()?.as_f64());
        match (times.get(times.len() / 2), times.first(), times.last(), amount) {
            (Some(&median), Some(&fastest), Some(&slowest), Some(amount)) => Ok(Self {
                median,
                fastest,
                slowest,
                amount,
            }),
            _ => bail!("criterion wrote something else than expected"),
        }
    }
}

/// The built benchmark.
fn program(crate_name: &str) -> Result<PathBuf> {
    built(&[
        "bench",
        "--package",
        crate_name,
        "--bench",
        crate_name,
        "--no-run",
    ])
}

/// Instructions per unit of a row.
fn instructions(valgrind: &Path, program: &Path, row: &Row, measured: &Measured) -> Result<String> {
    let count = |runs: u32| -> Result<f64> {
        let output = Command::new(valgrind)
            .args([
                "--tool=callgrind",
                "--toggle-collect=*measured*",
                "--callgrind-out-file=/dev/null",
            ])
            .arg(program)
            .args(["count", row.name, &runs.to_string()])
            .output()
            .context("cannot start valgrind")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        let collected = complaint.lines().find_map(|line| line.split_once("Collected : "));
        let number = collected.and_then(|(_, number)| number.trim().parse().ok());
        number.with_context(|| format!("valgrind counted nothing: {complaint}"))
    };
    let each = (count(2 * COUNTED_RUNS)? - count(COUNTED_RUNS)?) / f64::from(COUNTED_RUNS) / measured.amount;
    Ok(match row.unit {
        Unit::GigabytesPerSecond => format!("{each:.2}/octet"),
        Unit::MillionsPerSecond | Unit::MicrosecondsEach => format!("{each:.0}"),
    })
}
