//! `cargo xtask test`: everything that must hold before a change is accepted.

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
    let mut unit = TestCount::default();
    let mut end_to_end = TestCount::default();
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
        run_tests(
            &["--workspace", "--exclude", END_TO_END, "--no-fail-fast"],
            &mut unit,
        )
    });
    steps.run("end-to-end tests against Prosody and Kamailio", || {
        run_tests(&["--package", END_TO_END, "--no-fail-fast"], &mut end_to_end)
    });
    let verdict = steps.summarise();
    println!(
        "  {} tests of the crates and {} end-to-end tests passed",
        unit.passed, end_to_end.passed
    );
    verdict
}
