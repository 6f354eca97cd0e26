//! Running commands one after the other, with headings, times and a summary.

use std::{
    io::{self, BufRead, BufReader, Write, stdout},
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use gateway_tests::{Context, Result, bail, binaries::cargo, ensure, process::find_program};
use serde_json::Value;

use crate::screen;

/// How long nothing is printed before it is looked whether the tests have ended.
const AFTER_THE_END: Duration = Duration::from_secs(1);

/// What a test runner's closing lines add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TestCount {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

/// A sequence of steps and what became of them.
#[derive(Debug)]
pub(crate) struct Steps {
    total: usize,
    done: Vec<(String, bool, Duration)>,
}

impl Steps {
    /// A sequence of that many steps.
    pub(crate) fn new(total: usize) -> Self {
        Self {
            total,
            done: Vec::new(),
        }
    }

    /// Runs one step under a heading. Its failure is kept for the summary; the sequence goes on.
    pub(crate) fn run(&mut self, title: &str, step: impl FnOnce() -> Result<()>) {
        screen::heading(&format!("{}/{} {title}", self.done.len() + 1, self.total));
        let started = Instant::now();
        let outcome = step();
        let took = started.elapsed();
        match &outcome {
            Ok(()) => println!("{} {title}, {}", screen::good("ok"), screen::seconds(took)),
            Err(error) => println!(
                "{} {title}, {}: {error:#}",
                screen::bad("FAILED"),
                screen::seconds(took)
            ),
        }
        self.done.push((title.to_owned(), outcome.is_ok(), took));
    }

    /// Prints what became of all steps.
    ///
    /// # Errors
    /// One of them failed.
    pub(crate) fn summarise(&self) -> Result<()> {
        screen::heading("Summary");
        for (title, succeeded, took) in &self.done {
            let verdict = if *succeeded {
                screen::good("ok    ")
            } else {
                screen::bad("FAILED")
            };
            println!("  {verdict} {title}, {}", screen::seconds(*took));
        }
        let failed: Vec<&str> = self
            .done
            .iter()
            .filter(|(_, succeeded, _)| !succeeded)
            .map(|(title, ..)| title.as_str())
            .collect();
        ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
        Ok(())
    }
}

/// A cargo command in the repository.
pub(crate) fn cargo_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(cargo());
    command
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end, its output going to ours.
///
/// # Errors
/// It cannot be started or fails.
pub(crate) fn run_loudly(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", described(command)))?;
    ensure!(status.success(), "{}: {status}", described(command));
    Ok(())
}

/// Runs a command to its end without showing what it prints, unless it fails.
///
/// # Errors
/// It cannot be started or fails.
pub(crate) fn run_quietly(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", described(command)))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{}: {}\n{printed}{complaint}",
        described(command),
        output.status
    );
    Ok(printed)
}

/// Builds a program as it is released, and tells where it is.
///
/// # Errors
/// It does not build.
pub(crate) fn released(name: &str) -> Result<PathBuf> {
    built(&["build", "--release", "--bin", name])
}

/// Runs a cargo command that builds one program, and tells where it is.
///
/// # Errors
/// It does not build.
pub(crate) fn built(arguments: &[&str]) -> Result<PathBuf> {
    let printed = run_quietly(cargo_command(arguments).args(["--message-format", "json"]))?;
    let path = printed
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .next_back();
    path.with_context(|| format!("`cargo {}` names no program", arguments.join(" ")))
}

/// Runs `cargo test`, its output going to ours, and adds to `count`.
///
/// # Errors
/// A test failed, it could not be run, or there was none.
pub(crate) fn run_tests(arguments: &[&str], count: &mut TestCount) -> Result<()> {
    let mut command = cargo_command(&["test"]);
    // A failed end-to-end test says what it waited for and shows logs; backtraces would bury them.
    command
        .args(arguments)
        .env("RUST_LIB_BACKTRACE", "0")
        .stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {}", described(&command)))?;
    let output = child.stdout.take().context("cargo has no standard output")?;
    let (lines, printed) = mpsc::channel();
    thread::spawn(move || {
        let all = BufReader::new(output).split(b'\n').map_while(io::Result::ok);
        all.map(|line| lines.send(line)).take_while(Result::is_ok).count()
    });
    // A process that a failed test left behind keeps the pipe open: once cargo has ended, silence is the end.
    let mut ended = None;
    let status = loop {
        match (printed.recv_timeout(AFTER_THE_END), ended) {
            (Ok(line), _) => {
                stdout().write_all(&line)?;
                stdout().write_all(b"\n")?;
                count.add(&String::from_utf8_lossy(&line));
            }
            (Err(mpsc::RecvTimeoutError::Disconnected), _) => break child.wait()?,
            (Err(mpsc::RecvTimeoutError::Timeout), Some(status)) => break status,
            (Err(mpsc::RecvTimeoutError::Timeout), None) => ended = child.try_wait()?,
        }
    };
    ensure!(
        status.success() && count.failed == 0,
        "{} tests failed: {status}",
        count.failed
    );
    ensure!(count.passed > 0, "no test was run");
    Ok(())
}

/// `cargo deny check`.
///
/// # Errors
/// It is not installed, or finds something.
pub(crate) fn deny() -> Result<()> {
    if find_program("cargo-deny").is_none() {
        bail!("cargo-deny is not installed: cargo install --locked cargo-deny");
    }
    run_loudly(&mut cargo_command(&["deny", "check"]))
}

impl TestCount {
    /// Adds a closing line such as `test result: ok. 3 passed; 0 failed; …`; ignores any other line.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line
            .split_once("test result: ")
            .and_then(|(_, rest)| rest.split_once(". "))
        else {
            return;
        };
        for part in counts.split("; ") {
            match part.split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse::<usize>().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse::<usize>().unwrap_or(0),
                _ => {}
            }
        }
    }
}

fn described(command: &Command) -> String {
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Steps, TestCount};

    #[test]
    fn closing_lines_of_the_test_runner_are_added_up() {
        let mut count = TestCount::default();
        count.add(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s",
        );
        count.add("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        count.add("test passed ... ok");
        assert_eq!(
            count,
            TestCount {
                passed: 15,
                failed: 2
            }
        );
    }

    #[test]
    fn a_failed_step_fails_the_summary_but_not_the_steps_after_it() {
        let mut steps = Steps::new(2);
        steps.run("first", || gateway_tests::bail!("broken"));
        let mut second_ran = false;
        steps.run("second", || {
            second_ran = true;
            Ok(())
        });
        assert!(second_ran);
        assert_eq!(steps.summarise().unwrap_err().to_string(), "failed: first");
    }
}
