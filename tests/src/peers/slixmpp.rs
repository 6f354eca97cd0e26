//! An XMPP user on the library slixmpp, in a Python process.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{REMEDY, XmppClient, prosody::USERS};
use crate::{
    Context, PATIENCE, Result, ensure,
    inbox::Inbox,
    json_program::{JsonProgram, field},
};

/// Debian's Python, which has Debian's libraries.
const PYTHON: &str = "/usr/bin/python3";
/// A file of the library, where Debian puts it.
pub const LIBRARY: &str = "/usr/lib/python3/dist-packages/slixmpp/__init__.py";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/peers/slixmpp_user.py");
/// How long a roster may take to settle.
const SETTLE: Duration = Duration::from_secs(10);

/// A logged-in user.
#[derive(Debug)]
pub struct Slixmpp {
    program: JsonProgram,
    room: String,
    nickname: String,
}

impl Slixmpp {
    /// Logs in as `NAME@example.com`, whose password is its name.
    ///
    /// # Errors
    /// The library is not installed, or the server refuses.
    pub fn connect(server: SocketAddr, name: &str) -> Result<Self> {
        ensure!(Path::new(LIBRARY).is_file(), "slixmpp is not installed; {REMEDY}");
        let (host, port) = (server.ip().to_string(), server.port().to_string());
        let jid = format!("{name}@{USERS}/slixmpp");
        let arguments = [SCRIPT, &host, &port, &jid, name];
        let mut program = JsonProgram::start(&format!("slixmpp of {name}"), Path::new(PYTHON), &arguments)?;
        program
            .wait_for("ready", |_| true)
            .with_context(|| program.log_tail())?;
        Ok(Self {
            program,
            room: String::new(),
            nickname: String::new(),
        })
    }

    /// What it told.
    pub fn inbox(&mut self) -> &mut Inbox<Value> {
        self.program.inbox()
    }

    /// Takes the first event of that kind that matches.
    ///
    /// # Errors
    /// None came in time.
    pub fn wait_for(&mut self, kind: &str, matches: impl FnMut(&Value) -> bool) -> Result<Value> {
        self.program.wait_for(kind, matches)
    }

    /// What service discovery says of an address (XEP-0030): `features` and `identities`.
    ///
    /// # Errors
    /// It is not answered.
    pub fn features(&mut self, jid: &str) -> Result<Value> {
        self.program.command(&json!({"cmd": "features", "jid": jid}))?;
        self.wait_for("features", |_| true)
    }

    /// Pings an address (XEP-0199), which in a room is the self-ping of XEP-0410.
    ///
    /// # Errors
    /// It is not answered.
    pub fn ping(&mut self, jid: &str) -> Result<()> {
        self.program.command(&json!({"cmd": "ping", "jid": jid}))?;
        self.wait_for("pong", |_| true).map(drop)
    }

    fn roster(&mut self) -> Result<Vec<String>> {
        self.program
            .command(&json!({"cmd": "roster", "room": self.room}))?;
        let roster = self.wait_for("roster", |_| true)?;
        let users = roster.get("users").and_then(Value::as_array).cloned();
        let names = users.unwrap_or_default();
        Ok(names
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect())
    }
}

impl XmppClient for Slixmpp {
    fn enter(&mut self, room: &str, nickname: &str) -> Result<()> {
        self.program
            .command(&json!({"cmd": "enter", "room": room, "nick": nickname}))?;
        let log = self.program.log_tail();
        let outcome = self.program.inbox().wait("entering", PATIENCE, |event| {
            matches!(field(event, "event"), "entered" | "refused" | "error")
        });
        let outcome = outcome.context(log)?;
        ensure!(field(&outcome, "event") == "entered", "{outcome}");
        room.clone_into(&mut self.room);
        nickname.clone_into(&mut self.nickname);
        Ok(())
    }

    fn occupants(&mut self) -> Result<Vec<String>> {
        // Settled, when it says the same twice.
        let deadline = Instant::now() + SETTLE;
        let mut before = self.roster()?;
        loop {
            std::thread::sleep(Duration::from_millis(300));
            let now = self.roster()?;
            if now == before || Instant::now() > deadline {
                return Ok(now);
            }
            before = now;
        }
    }

    fn say(&mut self, text: &str) -> Result<()> {
        self.program
            .command(&json!({"cmd": "say", "room": self.room, "text": text}))
    }

    fn hear(&mut self, text: &str) -> Result<String> {
        let heard = self.wait_for("message", |event| {
            field(event, "text") == text && event.get("private") == Some(&Value::Bool(false))
        })?;
        Ok(field(&heard, "from").to_owned())
    }

    fn whisper(&mut self, nickname: &str, text: &str) -> Result<()> {
        let command = json!({"cmd": "whisper", "room": self.room, "nick": nickname, "text": text});
        self.program.command(&command)
    }

    fn hear_privately(&mut self, nickname: &str, text: &str) -> Result<()> {
        self.wait_for("message", |event| {
            field(event, "text") == text
                && field(event, "from") == nickname
                && event.get("private") == Some(&Value::Bool(true))
        })
        .map(drop)
    }

    fn leave(&mut self) -> Result<()> {
        let command = json!({"cmd": "leave", "room": self.room, "nick": self.nickname});
        self.program.command(&command)
    }
}
