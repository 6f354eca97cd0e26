//! The programs that take part: real servers, the gateway, and users.

pub mod conference;
pub mod ejabberd;
pub mod gateway;
pub mod kamailio;
pub mod profanity;
pub mod prosody;
pub mod room_service;
pub mod sip_chat;
pub mod slixmpp;
pub mod xmpp_client;
pub mod xmpp_server;
pub mod xmpp_user;

use std::path::PathBuf;

use crate::{Context, Result, process::find_program};

pub use conference::Conference;
pub use ejabberd::Ejabberd;
pub use gateway::{Gateway, GatewaySettings};
pub use kamailio::Kamailio;
pub use profanity::Profanity;
pub use prosody::{Prosody, ProsodySettings};
pub use room_service::RoomService;
pub use sip_chat::{SipChat, SipChatSettings};
pub use slixmpp::Slixmpp;
pub use xmpp_client::{XmppClient, XmppClientKind};
pub use xmpp_server::{XmppServer, XmppServerKind};
pub use xmpp_user::XmppUser;

/// What to do when a server is not installed.
pub const REMEDY: &str = "`cargo xtask test` installs it, so does `apt-get install prosody ejabberd kamailio kamailio-tls-modules python3-slixmpp profanity-light`";

/// Attempts to start a server on fresh ports before giving up.
const ATTEMPTS: usize = 5;

/// The program of a server that has to be installed.
fn server_program(name: &str) -> Result<PathBuf> {
    find_program(name).with_context(|| format!("{name} is not installed; {REMEDY}"))
}

/// A file of `deploy/`.
fn deployed(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy")).join(name)
}

/// Starts something that needs ports of its own, again on other ones if somebody was faster.
fn on_free_ports<T>(mut start: impl FnMut() -> Result<T>) -> Result<T> {
    let mut failure = None;
    for _ in 0..ATTEMPTS {
        match start() {
            Ok(started) => return Ok(started),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.context("no attempt was made")?)
}
