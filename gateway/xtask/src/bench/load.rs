//! Calls under load, made by sipp over UDP: through the endpoint with the smallest shell around it, and through the gateway with Prosody behind it.

use std::{path::Path, time::Duration};

use crate::{screen, steps::released};
use gateway_tests::{
    Result,
    peers::{Gateway, GatewaySettings, XmppServer, XmppServerKind},
    ports::free_port,
    process::{Launch, Process, Usage},
    scratch::Scratch,
    sipp::{CallCount, Sipp, SippTransport},
};

/// How long a program may take to listen.
const START: Duration = Duration::from_secs(20);
/// Dialogs, sessions and transactions that are allowed: more than any run has.
const ROOM_ENOUGH: usize = 100_000;
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// One row: so many calls, so many of them begun each second, each lasting so long.
struct Load {
    title: &'static str,
    calls: u32,
    rate: u32,
    hold: Duration,
}

const AT_ONCE: Load = Load {
    title: "10 000 dialogs at once, 500/s",
    calls: 10_000,
    rate: 500,
    hold: Duration::from_secs(21),
};
const STEADY: Load = Load {
    title: "500 calls/s for 20 s",
    calls: 10_000,
    rate: 500,
    hold: Duration::from_millis(500),
};
/// What another stack was measured with elsewhere.
const COMPARED: Load = Load {
    title: "1 000 calls/s for 15 s",
    calls: 15_000,
    rate: 1_000,
    hold: Duration::from_millis(500),
};

/// Prosody takes three to four milliseconds of a processor for a room that is made and given up: 500 a second are beyond it.
const STEADY_ROOMS: Load = Load {
    title: "50 calls/s for 20 s",
    calls: 1_000,
    rate: 50,
    hold: Duration::from_millis(500),
};
const ROOMS_AT_ONCE: Load = Load {
    title: "1 000 dialogs at once, 50/s",
    calls: 1_000,
    rate: 50,
    hold: Duration::from_secs(21),
};

/// Loads both and prints what they used.
///
/// # Errors
/// Something does not build or start. Failed calls are printed, not an error.
pub(super) fn run() -> Result<()> {
    let endpoint = released("sip-answer")?;
    let gateway = released("sip-xmpp-gateway")?;
    screen::heading("calls through the endpoint alone: INVITE, 200, ACK, BYE, 200 over UDP");
    heading();
    for load in [COMPARED, STEADY, AT_ONCE] {
        print(&load, &endpoint_alone(&endpoint, &load)?);
    }
    screen::heading("calls through the gateway, each into a room of its own at Prosody");
    heading();
    for load in [STEADY_ROOMS, ROOMS_AT_ONCE] {
        print(&load, &whole_gateway(&gateway, &load)?);
    }
    Ok(())
}

/// What a run cost.
struct Cost {
    calls: CallCount,
    processor: Duration,
    usage: Usage,
}

fn endpoint_alone(program: &Path, load: &Load) -> Result<Cost> {
    let scratch = Scratch::new("load")?;
    let address = ([127, 0, 0, 1], free_port()?).into();
    let mut process = Launch::new("sip-answer", program, scratch.path().join("log"))
        .arguments([
            format!("{address}"),
            "--dialogs".to_owned(),
            ROOM_ENOUGH.to_string(),
        ])
        .start()?;
    process.wait_for_log("listening", 0, START)?;
    let sipp = Sipp {
        calls: load.calls,
        rate: load.rate,
        hold: load.hold,
        limit: patience(load),
        ..Sipp::once("call", address, SippTransport::Udp)
    };
    measured(&sipp, &process)
}

fn whole_gateway(program: &Path, load: &Load) -> Result<Cost> {
    let xmpp = XmppServer::start(XmppServerKind::default())?;
    let enough = || ROOM_ENOUGH.to_string();
    let mut gateway = Gateway::start(&GatewaySettings {
        overrides: vec![
            ("GATEWAY__LIMITS__SIP__DIALOGS", enough()),
            ("GATEWAY__LIMITS__SIP__TRANSACTIONS", enough()),
            ("GATEWAY__LIMITS__MAPPING__SESSIONS", enough()),
            // sipp opens no MSRP session.
            ("GATEWAY__LIMITS__MAPPING__MEDIA", "5m".to_owned()),
            ("GATEWAY__LOG__LEVEL", "warn".to_owned()),
        ],
        program: Some(program.to_owned()),
        ..GatewaySettings::for_server(&xmpp)
    })?;
    std::thread::sleep(Duration::from_secs(2));
    let sipp = Sipp {
        calls: load.calls,
        rate: load.rate,
        hold: load.hold,
        limit: patience(load),
        ..Sipp::once("load", gateway.sip_address(), SippTransport::Udp)
    };
    measured(&sipp, gateway.process())
}

fn measured(sipp: &Sipp, process: &Process) -> Result<Cost> {
    let before = process.usage()?;
    let calls = sipp.start()?.count()?;
    let usage = process.usage()?;
    Ok(Cost {
        calls,
        processor: usage.processor - before.processor,
        usage,
    })
}

fn patience(load: &Load) -> Duration {
    Duration::from_secs(u64::from(load.calls / load.rate)) + load.hold + Duration::from_secs(60)
}

fn heading() {
    println!(
        "  {:<32} {:>7} {:>7} {:>9} {:>10} {:>12} {:>10}",
        "", "calls", "failed", "repeated", "processor", "a call", "memory"
    );
}

fn print(load: &Load, cost: &Cost) {
    let seconds = cost.processor.as_secs_f64();
    println!(
        "  {:<32} {:>7} {:>7} {:>9} {seconds:>8.2} s {:>9.0} µs {:>7.1} MiB",
        load.title,
        cost.calls.successful,
        cost.calls.failed,
        cost.calls.retransmitted,
        seconds * 1e6 / f64::from(load.calls),
        cost.usage.peak as f64 / MEBIBYTE,
    );
}
