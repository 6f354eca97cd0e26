//! `cargo xtask demo`: a conversation between the two worlds, to watch and to join.

use std::{thread, time::Instant};

use gateway_tests::{
    Result, bail,
    binaries::Binaries,
    conversation::{Place, Tally, converse},
    world::{ROOM, ROOM_URI, World},
};

use crate::{packages, screen};

/// Holds the conversation and, with `keep`, leaves the room open afterwards until the user interrupts.
///
/// # Errors
/// Something does not build or start, or a message was lost or doubled.
pub(crate) fn run(keep: bool) -> Result<()> {
    packages::install(packages::SERVERS)?;
    screen::heading("Building the gateway and sip-chat");
    Binaries::build()?;
    screen::heading("Starting Prosody, Kamailio and the gateway on loopback");
    let started = Instant::now();
    let world = World::start()?;
    println!("ok, {}", screen::seconds(started.elapsed()));
    screen::heading(&format!("One room: {ROOM} is {ROOM_URI}"));
    let place = Place {
        room: ROOM.to_owned(),
        romeo: world.sip_settings("romeo", "Romeo"),
        nurse: world.sip_settings("nurse", "Nurse"),
    };
    let outcome = world
        .xmpp_user("juliet")
        .and_then(|juliet| converse(juliet, &place, &mut screen::tell));
    let tally = outcome.map_err(|error| error.context(world.logs()))?;
    close(&tally)?;
    if keep {
        invite(&world)?;
        loop {
            // The Ctrl-C handler ends the servers and us.
            thread::park();
        }
    }
    Ok(())
}

/// Prints the summary line.
///
/// # Errors
/// A message was lost or doubled.
pub(crate) fn close(tally: &Tally) -> Result<()> {
    if tally.is_perfect() {
        println!("\n{} {tally}", screen::good("ok:"));
        Ok(())
    } else {
        println!("\n{} {tally}", screen::bad("FAILED:"));
        bail!("messages were lost or duplicated")
    }
}

fn invite(world: &World) -> Result<()> {
    world.prosody.add_user("guest")?;
    let xmpp = world.prosody.users_address();
    let sip = world.kamailio.address();
    screen::heading("The room stays open until Ctrl-C");
    println!(
        "\
With an XMPP client: log in as guest@example.com, password guest, server {ip} port {port} without TLS,
and enter {ROOM}. In profanity:

    /connect guest@example.com server {ip} port {port} tls disable auth legacy
    /join {ROOM} nick Guest

As a SIP user, in another terminal:

    cargo run --bin sip-chat -- --from sip:romeo@example.org --room {ROOM_URI} \\
        --proxy '{sip};transport=tcp' --nickname Romeo
",
        ip = xmpp.ip(),
        port = xmpp.port(),
    );
    Ok(())
}
