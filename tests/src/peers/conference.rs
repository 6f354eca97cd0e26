//! The conference server: a focus and its switch for rooms on the SIP side.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{SipChatSettings, on_free_ports};
use crate::{
    Context, PATIENCE, Result, authority::Files, binaries::Binaries, ensure, inbox::Inbox,
    json_program::JsonProgram, msrp_tap::MsrpTap, ports::free_port,
};

/// The domain of its rooms.
pub const CONFERENCES: &str = "conference.example.org";

/// A running `conference-server`. MSRP peers reach it through a tap.
#[derive(Debug)]
pub struct Conference {
    program: JsonProgram,
    sip: SocketAddr,
    msrp: MsrpTap,
}

impl Conference {
    /// Starts it on free ports of 127.0.0.1, with options of its command line.
    ///
    /// # Errors
    /// It does not build or start.
    pub fn start(options: &[&str]) -> Result<Self> {
        Self::start_as(options, None)
    }

    /// The same with a switch that takes MSRP over TLS alone, with this certificate.
    ///
    /// # Errors
    /// It does not build or start.
    pub fn start_as(options: &[&str], tls: Option<&Files>) -> Result<Self> {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        on_free_ports(|| Self::start_with(local(free_port()?), options, tls))
    }

    /// Starts it where it takes SIP at that address, as for one that comes back.
    ///
    /// # Errors
    /// It does not start there.
    pub fn start_at(sip: SocketAddr, options: &[&str]) -> Result<Self> {
        Self::start_with(sip, options, None)
    }

    fn start_with(sip: SocketAddr, options: &[&str], tls: Option<&Files>) -> Result<Self> {
        let listen = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let msrp = match tls {
            Some(files) => MsrpTap::start_tls(listen, files)?,
            None => MsrpTap::start(listen)?,
        };
        let files = tls.map(|files| [&files.certificate, &files.key].map(|file| file.display().to_string()));
        let (sip_argument, listen, advertised) =
            (sip.to_string(), listen.to_string(), msrp.address().to_string());
        let own = [
            ["--domain", CONFERENCES],
            ["--sip", &sip_argument],
            ["--msrp", &listen],
            ["--advertise-msrp", &advertised],
        ];
        let secured: Vec<&str> = match &files {
            Some([certificate, key]) => vec!["--tls-certificate", certificate, "--tls-key", key],
            None => Vec::new(),
        };
        let arguments = [&own.concat(), &secured, options].concat();
        let path = &Binaries::built()?.conference;
        let mut program = JsonProgram::start("Conference server", path, &arguments)?;
        program
            .wait_for("listening", |_| true)
            .with_context(|| program.log_tail())?;
        Ok(Self { program, sip, msrp })
    }

    /// Where it takes SIP, by UDP and TCP.
    #[must_use]
    pub fn sip_address(&self) -> SocketAddr {
        self.sip
    }

    /// Judges all MSRP that was written to it.
    ///
    /// # Errors
    /// Somebody broke a rule.
    pub fn check_msrp(&self) -> Result<()> {
        self.msrp.check_clients()
    }

    /// How `NAME@example.org` gets into one of its rooms, straight or by way of a proxy.
    #[must_use]
    pub fn sip_settings(
        &self,
        room: &str,
        name: &str,
        nickname: &str,
        proxy: Option<SocketAddr>,
    ) -> SipChatSettings {
        SipChatSettings {
            from: format!("sip:{name}@example.org"),
            room: format!("sip:{room}@{CONFERENCES}"),
            proxy: proxy.unwrap_or(self.sip),
            nickname: nickname.to_owned(),
            msrp_tls: false,
        }
    }

    /// What it told.
    pub fn inbox(&mut self) -> &mut Inbox<Value> {
        self.program.inbox()
    }

    /// Takes the first event of that kind.
    ///
    /// # Errors
    /// None came in time.
    pub fn wait(&mut self, kind: &str) -> Result<Value> {
        self.program.wait_for(kind, |_| true)
    }

    /// Takes the first event of that kind that matches.
    ///
    /// # Errors
    /// None came in time.
    pub fn wait_for(&mut self, kind: &str, matches: impl FnMut(&Value) -> bool) -> Result<Value> {
        self.program.wait_for(kind, matches)
    }

    /// Lets a resident come, a participant without a phone.
    ///
    /// # Errors
    /// The server is gone.
    pub fn join(&mut self, room: &str, nick: &str) -> Result<()> {
        self.command(&json!({"cmd": "join", "room": room, "nick": nick}))
    }

    /// Lets him speak.
    ///
    /// # Errors
    /// The server is gone.
    pub fn say(&mut self, room: &str, nick: &str, text: &str) -> Result<()> {
        self.command(&json!({"cmd": "say", "room": room, "nick": nick, "text": text}))
    }

    /// Sets the subject.
    ///
    /// # Errors
    /// The server is gone.
    pub fn set_subject(&mut self, room: &str, text: &str) -> Result<()> {
        self.command(&json!({"cmd": "subject", "room": room, "text": text}))
    }

    /// Removes somebody.
    ///
    /// # Errors
    /// The server is gone.
    pub fn kick(&mut self, room: &str, nick: &str, reason: &str) -> Result<()> {
        self.command(&json!({"cmd": "kick", "room": room, "nick": nick, "reason": reason}))
    }

    /// Removes everybody, and the room.
    ///
    /// # Errors
    /// The server is gone.
    pub fn destroy(&mut self, room: &str, reason: &str) -> Result<()> {
        self.command(&json!({"cmd": "destroy", "room": room, "reason": reason}))
    }

    /// Any command (see its `main.rs`).
    ///
    /// # Errors
    /// The server is gone.
    pub fn command(&mut self, command: &Value) -> Result<()> {
        self.program.command(command)
    }

    /// Asks for the rooms as they stand until they are so.
    ///
    /// # Errors
    /// They are not within [`PATIENCE`].
    pub fn expect_status(&mut self, what: &str, mut matches: impl FnMut(&Value) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.command(&json!({"cmd": "status"}))?;
            let status = self.wait("status")?;
            if matches(&status) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{what}, but the rooms are {status:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until nobody is in any room.
    ///
    /// # Errors
    /// Somebody stays.
    pub fn expect_empty(&mut self) -> Result<()> {
        self.expect_status("all have left", |status| {
            status
                .get("rooms")
                .and_then(Value::as_array)
                .is_some_and(Vec::is_empty)
        })
    }

    /// Kills it as a crash would.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.program.process().kill()
    }

    /// Ends it; those in its rooms get a BYE.
    ///
    /// # Errors
    /// It does not end.
    pub fn quit(&mut self) -> Result<()> {
        self.command(&json!({"cmd": "quit"}))?;
        self.program.process().wait(PATIENCE).map(drop)
    }

    /// The end of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.program.log_tail()
    }
}
