//! `cargo xtask demo`: a conversation between the two worlds, to watch and to join.

use std::{net::SocketAddr, thread, time::Instant};

use clap::ValueEnum;
use gateway_tests::{
    Result, bail,
    binaries::Binaries,
    conference_world::{CONFERENCE_JID, CONFERENCE_URI, ConferenceWorld},
    conversation::{Keeper, Place, SUBJECT, Tally, converse},
    peers::{XmppServer, XmppServerKind, XmppUser},
    world::{ROOM, ROOM_URI, World},
};

use crate::{packages, screen};

/// Whose room it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direction {
    /// SIP users enter a chat room of an XMPP server (RFC 7702 §6)
    SipToXmpp,
    /// XMPP users enter a conference of a SIP focus (RFC 7702 §5)
    XmppToSip,
}

/// Holds the conversation and, with `keep`, leaves the room open afterwards until the user interrupts.
///
/// # Errors
/// Something does not build or start, or a message was lost or doubled.
pub(crate) fn run(direction: Direction, keep: bool) -> Result<()> {
    packages::install(packages::SERVERS)?;
    screen::heading("Building the gateway and its peers");
    Binaries::build()?;
    match direction {
        Direction::SipToXmpp => in_a_chat_room(keep),
        Direction::XmppToSip => in_a_conference(keep),
    }
}

fn in_a_chat_room(keep: bool) -> Result<()> {
    screen::heading("Starting Prosody, Kamailio and the gateway on loopback");
    let started = Instant::now();
    let world = World::start()?;
    println!("ok, {}", screen::seconds(started.elapsed()));
    screen::heading(&format!("One room: {ROOM} is {ROOM_URI}"));
    let place = Place {
        room: ROOM.to_owned(),
        romeo: world.sip_settings("romeo", "Romeo"),
        nurse: world.sip_settings("nurse", "Nurse"),
        keeper: Keeper::Juliet,
    };
    hold(world.xmpp_user("juliet"), &place, || world.logs())?;
    if keep {
        invite(&world.xmpp, world.kamailio.address(), (ROOM, ROOM_URI))?;
    }
    Ok(())
}

fn in_a_conference(keep: bool) -> Result<()> {
    screen::heading("Starting Prosody, Kamailio, a conference server and the gateway on loopback");
    let started = Instant::now();
    let world = ConferenceWorld::start(XmppServerKind::default(), &["--subject", SUBJECT], &[])?;
    println!("ok, {}", screen::seconds(started.elapsed()));
    screen::heading(&format!("One conference: {CONFERENCE_URI} is {CONFERENCE_JID}"));
    let place = Place {
        room: CONFERENCE_JID.to_owned(),
        romeo: world.sip_settings("romeo", "Romeo"),
        nurse: world.sip_settings("nurse", "Nurse"),
        keeper: Keeper::Focus,
    };
    hold(world.xmpp_user("juliet"), &place, || world.logs())?;
    if keep {
        invite(
            &world.xmpp,
            world.kamailio.address(),
            (CONFERENCE_JID, CONFERENCE_URI),
        )?;
    }
    Ok(())
}

/// The conversation, and the summary line.
fn hold(juliet: Result<XmppUser>, place: &Place, logs: impl FnOnce() -> String) -> Result<()> {
    let outcome = juliet.and_then(|juliet| converse(juliet, place, &mut screen::tell));
    let tally = outcome.map_err(|error| error.context(logs()))?;
    close(&tally)
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

/// Tells how to join, and waits for Ctrl-C, whose handler ends the servers and us.
fn invite(server: &XmppServer, sip: SocketAddr, (room, uri): (&str, &str)) -> Result<()> {
    server.add_user("guest")?;
    let xmpp = server.users_address();
    screen::heading("The servers stay up until Ctrl-C");
    println!(
        "\
With an XMPP client: log in as guest@example.com, password guest, server {ip} port {port} without TLS,
and enter {room}. In profanity:

    /connect guest@example.com server {ip} port {port} tls disable auth legacy
    /join {room} nick Guest

As a SIP user, in another terminal:

    cargo run --bin sip-chat -- --from sip:romeo@example.org --room {uri} \\
        --proxy '{sip};transport=tcp' --nickname Romeo
",
        ip = xmpp.ip(),
        port = xmpp.port(),
    );
    loop {
        thread::park();
    }
}
