//! `cargo xtask bench`: what the crates and the gateway cost, beside their targets.

mod load;
mod table;

use gateway_tests::Result;

use crate::{
    screen,
    steps::{cargo_command, run_quietly},
};
use table::{Row, Unit, row, verdict};

const MSRP: [Row; 14] = [
    row("memory copy, 1 MiB", Unit::GigabytesPerSecond, None),
    row("memory search, 1 MiB", Unit::GigabytesPerSecond, None),
    row("decode 600-octet SENDs", Unit::MillionsPerSecond, Some(2.0)),
    row("encode 600-octet SENDs", Unit::MillionsPerSecond, Some(3.0)),
    row(
        "decode 1 MiB in 2 KiB chunks",
        Unit::GigabytesPerSecond,
        Some(2.0),
    ),
    row(
        "encode 1 MiB in 2 KiB chunks",
        Unit::GigabytesPerSecond,
        Some(2.0),
    ),
    row(
        "receive 1 MiB in 2 KiB chunks",
        Unit::GigabytesPerSecond,
        Some(2.0),
    ),
    row("send 1 MiB in 2 KiB chunks", Unit::GigabytesPerSecond, Some(2.0)),
    row("parse a CPIM message", Unit::MillionsPerSecond, None),
    row("write a CPIM message", Unit::MillionsPerSecond, None),
    row("fan-out, one connection", Unit::MicrosecondsEach, Some(0.5)),
    row("fan-out, 1000 connections", Unit::MicrosecondsEach, Some(0.5)),
    row("answers, one connection", Unit::MicrosecondsEach, None),
    row("answers, 1000 connections", Unit::MicrosecondsEach, None),
];

const SIP: [Row; 5] = [
    row("parse an INVITE", Unit::MillionsPerSecond, None),
    row(
        "parse an INVITE, five headers typed",
        Unit::MillionsPerSecond,
        Some(0.4),
    ),
    row("write an INVITE", Unit::MillionsPerSecond, None),
    row("cut INVITEs out of a stream", Unit::MillionsPerSecond, None),
    row("a call between two endpoints", Unit::MicrosecondsEach, None),
];

const XMPP: [Row; 5] = [
    row("guard, messages of a room", Unit::GigabytesPerSecond, Some(1.0)),
    row("quick-xml, the same", Unit::GigabytesPerSecond, None),
    row("minidom, the same", Unit::GigabytesPerSecond, None),
    row("guard, drop a copy", Unit::MicrosecondsEach, Some(0.5)),
    row(
        "guard, drop a copy, reads of 1 KiB",
        Unit::MicrosecondsEach,
        Some(0.5),
    ),
];

/// Octets that a session may hold while nothing happens.
const SESSION_TARGET: u64 = 1024;

/// Measures `gateway/msrp`.
///
/// # Errors
/// Something does not build or run.
pub(crate) fn msrp() -> Result<()> {
    table::measure("msrp", &MSRP)?;
    memory()
}

/// Measures the guard of `gateway/xmpp`, beside full parsers.
///
/// # Errors
/// Something does not build or run.
pub(crate) fn xmpp() -> Result<()> {
    table::measure("xmpp", &XMPP)
}

/// Measures `gateway/sip`, another implementation beside it, and calls under load: the endpoint alone, and the whole gateway.
///
/// # Errors
/// Something does not build or run.
pub(crate) fn sip(load_only: bool) -> Result<()> {
    if !load_only {
        table::measure("sip", &SIP)?;
        peer()?;
    }
    load::run()
}

/// The same INVITE read by the crate `rsipstack`. It is a workspace of its own, for it brings forty crates that nothing else here needs.
fn peer() -> Result<()> {
    let printed = run_quietly(&mut cargo_command(&[
        "run",
        "--quiet",
        "--release",
        "--manifest-path",
        "gateway/sip/benches/peer/Cargo.toml",
    ]));
    screen::heading("the same by rsipstack");
    match printed {
        Ok(printed) => print!("{printed}"),
        Err(error) => println!("  not measured: {error:#}"),
    }
    Ok(())
}

/// Runs the test that counts memory, and tells what it found.
fn memory() -> Result<()> {
    let printed = run_quietly(&mut cargo_command(&[
        "test",
        "--package",
        "msrp",
        "--test",
        "memory",
        "--",
        "--nocapture",
    ]))?;
    screen::heading("memory");
    for line in printed.lines().filter(|line| line.ends_with(" octets")) {
        let octets = line
            .rsplit(' ')
            .nth(1)
            .and_then(|number| number.parse::<u64>().ok());
        let bounded = line.starts_with("idle session");
        let met = octets.filter(|_| bounded).map(|octets| octets <= SESSION_TARGET);
        let target = if bounded {
            format!("≤ {SESSION_TARGET}")
        } else {
            String::new()
        };
        println!("  {line:<60} {target:>6} {}", verdict(met));
    }
    Ok(())
}
