//! `cargo xtask test`: everything that must hold before a change is accepted.

use std::cell::Cell;

use gateway_tests::{Context, Result};

use crate::{
    packages,
    steps::{Steps, TestCount, cargo_command, run_loudly, run_quietly, run_tests},
};

/// The crate of the end-to-end tests.
const END_TO_END: &str = "gateway-tests";

/// Runs all checks and prints a summary.
///
/// # Errors
/// A check failed.
pub(crate) fn run() -> Result<()> {
    packages::install(packages::SERVERS)?;
    for component in ["fmt", "clippy"] {
        run_quietly(&mut cargo_command(&[component, "--version"]))
            .with_context(|| "the Rust toolchain lacks a component: rustup component add rustfmt clippy")?;
    }
    let unit = Cell::new(TestCount::default());
    let end_to_end = Cell::new(TestCount::default());
    let mut steps = Steps::new(5);
    steps.run("formatting", || {
        run_loudly(&mut cargo_command(&["fmt", "--all", "--check"]))
    });
    steps.run("lints", || {
        run_loudly(&mut cargo_command(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ]))
    });
    steps.run("documentation", || {
        run_loudly(cargo_command(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings"))
    });
    steps.run("tests of the crates", || {
        unit.set(run_tests(&[
            "--workspace",
            "--exclude",
            END_TO_END,
            "--no-fail-fast",
        ])?);
        Ok(())
    });
    steps.run("end-to-end tests against Prosody and Kamailio", || {
        end_to_end.set(run_tests(&["--package", END_TO_END, "--no-fail-fast"])?);
        Ok(())
    });
    let verdict = steps.summarise();
    println!(
        "  {} tests of the crates and {} end-to-end tests passed",
        unit.get().passed,
        end_to_end.get().passed
    );
    verdict
}
