//! Calls under load, made by sipp over UDP: through the endpoint with the smallest shell around it, and through the gateway with rooms that cost
//! nothing or with Prosody behind it.

use std::{net::SocketAddr, path::Path, time::Duration};

use gateway_tests::{
    Result,
    peers::{Gateway, GatewaySettings, XmppServer, XmppServerKind},
    ports::free_port,
    process::{Launch, Process, Usage},
    scratch::Scratch,
    sipp::{CallCount, Sipp, SippTransport},
};

use crate::{screen, steps::released};

/// How long a program may take to listen.
const START: Duration = Duration::from_secs(20);
/// Dialogs, sessions and transactions that are allowed: more than any run has.
const ROOM_ENOUGH: usize = 100_000;
/// The secret of `room-server`.
const ROOMS_SECRET: &str = "s3cret";
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
    screen::heading("calls through the gateway, each into a room of its own that costs nothing");
    heading();
    let rooms = released("room-server")?;
    for load in [STEADY, AT_ONCE] {
        let (_rooms, settings) = start_rooms(&rooms)?;
        print(&load, &whole_gateway(&gateway, settings, &load)?);
    }
    screen::heading("the same at Prosody");
    heading();
    for load in [STEADY_ROOMS, ROOMS_AT_ONCE] {
        let xmpp = XmppServer::start(XmppServerKind::default())?;
        let settings = GatewaySettings::for_server(&xmpp);
        print(&load, &whole_gateway(&gateway, settings, &load)?);
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
    let dialogs = ["--dialogs".to_owned(), ROOM_ENOUGH.to_string()];
    let listening = Listening::start("sip-answer", program, dialogs)?;
    let sipp = Sipp {
        calls: load.calls,
        rate: load.rate,
        hold: load.hold,
        limit: patience(load),
        ..Sipp::once("call", listening.address, SippTransport::Udp)
    };
    measured(&sipp, &listening.process)
}

/// Rooms that cost nothing, and what attaches the gateway to them.
fn start_rooms(program: &Path) -> Result<(Listening, GatewaySettings)> {
    let rooms = Listening::start("room-server", program, [])?;
    let settings = GatewaySettings {
        server: rooms.address,
        secret: ROOMS_SECRET.to_owned(),
        overrides: Vec::new(),
        msrp_tls: None,
        program: None,
    };
    Ok((rooms, settings))
}

/// A program of ours that listens at one address.
struct Listening {
    process: Process,
    address: SocketAddr,
    _scratch: Scratch,
}

impl Listening {
    fn start(name: &str, program: &Path, options: impl IntoIterator<Item = String>) -> Result<Self> {
        let scratch = Scratch::new("load")?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let mut process = Launch::new(name, program, scratch.path().join("log"))
            .arguments(std::iter::once(address.to_string()).chain(options))
            .start()?;
        process.wait_for_log("listening", 0, START)?;
        Ok(Self {
            process,
            address,
            _scratch: scratch,
        })
    }
}

fn whole_gateway(program: &Path, settings: GatewaySettings, load: &Load) -> Result<Cost> {
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
        ..settings
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
