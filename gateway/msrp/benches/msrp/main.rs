//! What the crate costs: `cargo xtask bench msrp` runs this and sets the measurements beside their targets.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a workload that does not work must stop the measurement"
)]

mod baseline;
mod cpim;
mod fan_out;
mod frames;
mod long_messages;
mod workload;

use std::process::ExitCode;

use measure::Workload;

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
    measure::main("msrp", workloads)
}
