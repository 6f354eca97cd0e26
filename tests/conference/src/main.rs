//! `conference-server`: a SIP conference focus with its MSRP switch, as a process for tests, for the demo and for trying things out.
//!
//! ```text
//! conference-server --domain conference.example.org --sip 127.0.0.1:5070 --subject "Today in Verona"
//! ```
//!
//! Any INVITE to `sip:ROOM@DOMAIN` enters a room (RFC 4579): its caller connects to the switch, asks for a nickname, subscribes to
//! the roster (RFC 4575) and talks, to all or to one (RFC 7701). REFER calls somebody in, or removes him, and is told how it went. A
//! room is there while somebody is in it. Nobody is asked for a password: it belongs on loopback.
//!
//! What deployed servers do otherwise, and what they may refuse, are options (`--help`), to be combined at will.
//!
//! # JSON lines
//!
//! Commands are read from standard input, events written to standard output, each one JSON object on a line of its own. `room` is the
//! user part of the room's address; `nick` is a nickname, or a SIP address for who has none.
//!
//! | command | what |
//! |---|---|
//! | `{"cmd":"join","room":…,"nick":…}`, `leave` | a resident comes or goes: a participant without a phone |
//! | `{"cmd":"say","room":…,"nick":…,"text":…}`, `whisper` with `to` | lets a resident speak |
//! | `{"cmd":"notice","room":…,"text":…}` | the room speaks under its own address |
//! | `{"cmd":"subject","room":…,"text":…}` | a new subject |
//! | `{"cmd":"kick","room":…,"nick":…,"reason"?:…}` | removes somebody: BYE |
//! | `{"cmd":"destroy","room":…,"reason"?:…}` | removes everybody, and the room |
//! | `{"cmd":"unbind","room":…,"nick":…}` | forgets his MSRP session: 481 |
//! | `{"cmd":"cut","room":…,"nick":…}` | cuts the TCP connection that his session runs over |
//! | `{"cmd":"invite","room":…,"uri":…}` | calls a SIP address |
//! | `{"cmd":"status"}` | answered by `status` |
//! | `{"cmd":"quit"}` | a BYE to everybody, then the end; so does the end of the input |
//!
//! The events are those of the type `Event`; `listening` is the first and tells the addresses.

mod document;
mod event;
mod message;
mod net;
mod offer;
mod options;
mod room;
mod server;
mod stream;
mod tls;
mod watch;

use std::{io, process::ExitCode};

use options::Options;

fn main() -> ExitCode {
    let options = Options::read();
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("conference-server: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> io::Result<()> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(net::run(options, seed));
    // Standard input is read by a thread that may wait for a line for ever.
    runtime.shutdown_background();
    outcome
}
