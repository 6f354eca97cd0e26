//! What the crate costs: `cargo xtask bench sip` runs this and sets the measurements beside their targets.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a workload that does not work must stop the measurement"
)]

mod call;
mod messages;

use std::process::ExitCode;

use measure::Workload;

/// Every workload, with what a run of it is counted in.
fn workloads() -> Vec<Workload> {
    [messages::workloads(), call::workloads()]
        .into_iter()
        .flatten()
        .collect()
}

fn main() -> ExitCode {
    measure::main("sip", workloads)
}
