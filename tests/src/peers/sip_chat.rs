//! A SIP user: our own `sip-chat`, driven by JSON lines.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

pub use crate::json_program::field;
use crate::{Context, PATIENCE, Result, binaries::Binaries, ensure, inbox::Inbox, json_program::JsonProgram};

/// Who enters which room, and how to get there.
#[derive(Debug, Clone)]
pub struct SipChatSettings {
    /// Address of record.
    pub from: String,
    /// The room's SIP URI.
    pub room: String,
    /// The proxy, reached by TCP.
    pub proxy: SocketAddr,
    /// The nickname to ask for.
    pub nickname: String,
    /// Whether messages go over TLS.
    pub msrp_tls: bool,
}

/// A running `sip-chat`.
#[derive(Debug)]
pub struct SipChat {
    program: JsonProgram,
}

impl SipChat {
    /// Starts it. Whether it gets into the room shows in its events.
    ///
    /// # Errors
    /// It does not build or start.
    pub fn start(settings: &SipChatSettings) -> Result<Self> {
        Self::start_with(settings, &[])
    }

    /// The same with further arguments.
    ///
    /// # Errors
    /// It does not build or start.
    pub fn start_with(settings: &SipChatSettings, further: &[&str]) -> Result<Self> {
        let proxy = format!("{};transport=tcp", settings.proxy);
        let mut arguments = vec![
            "--from",
            &settings.from,
            "--room",
            &settings.room,
            "--proxy",
            &proxy,
        ];
        arguments.extend(["--nickname", &settings.nickname, "--jsonl"]);
        arguments.extend(further);
        arguments.extend(settings.msrp_tls.then_some("--msrp-tls"));
        let name = format!("sip-chat of {}", settings.nickname);
        let program = JsonProgram::start(&name, &Binaries::built()?.sip_chat, &arguments)?;
        Ok(Self { program })
    }

    /// Starts it and waits until it is in the room.
    ///
    /// # Errors
    /// It is refused, or nothing happens.
    pub fn enter(settings: &SipChatSettings) -> Result<Self> {
        let mut user = Self::start(settings)?;
        user.wait("entered").with_context(|| user.log_tail())?;
        Ok(user)
    }

    /// Its events.
    pub fn inbox(&mut self) -> &mut Inbox<Value> {
        self.program.inbox()
    }

    /// Takes the first event of that kind.
    ///
    /// # Errors
    /// None came in time.
    pub fn wait(&mut self, kind: &str) -> Result<Value> {
        self.wait_for(kind, |_| true)
    }

    /// Takes the first event of that kind that matches.
    ///
    /// # Errors
    /// None came in time.
    pub fn wait_for(&mut self, kind: &str, matches: impl FnMut(&Value) -> bool) -> Result<Value> {
        self.program.wait_for(kind, matches)
    }

    /// Waits for a public message with that text and returns the sender's nickname.
    ///
    /// # Errors
    /// None came.
    pub fn hear(&mut self, text: &str) -> Result<String> {
        let event = self.wait_for("message", |event| is_message(event, text, false))?;
        Ok(field(&event, "from").to_owned())
    }

    /// Waits for a private message with that text and returns the sender's nickname.
    ///
    /// # Errors
    /// None came.
    pub fn hear_privately(&mut self, text: &str) -> Result<String> {
        let event = self.wait_for("message", |event| is_message(event, text, true))?;
        Ok(field(&event, "from").to_owned())
    }

    /// Says something to the room; `sent` or `failed` tells the outcome.
    ///
    /// # Errors
    /// The process is gone.
    pub fn say(&mut self, text: &str) -> Result<()> {
        self.program.command(&json!({"cmd": "say", "text": text}))
    }

    /// Says something and waits until the room has it.
    ///
    /// # Errors
    /// It was refused, or nothing happened.
    pub fn say_and_wait(&mut self, text: &str) -> Result<()> {
        self.say(text)?;
        self.wait_for("sent", |event| field(event, "text") == text)
            .map(drop)
    }

    /// Says something to one occupant.
    ///
    /// # Errors
    /// The process is gone.
    pub fn whisper(&mut self, nickname: &str, text: &str) -> Result<()> {
        self.program
            .command(&json!({"cmd": "msg", "to": nickname, "text": text}))
    }

    /// Asks the room to invite somebody (REFER); `invited` or `invite_refused` tells the outcome.
    ///
    /// # Errors
    /// The process is gone.
    pub fn invite(&mut self, uri: &str) -> Result<()> {
        self.program.command(&json!({"cmd": "invite", "uri": uri}))
    }

    /// Asks for another nickname; `nick` or `nick_refused` tells the outcome.
    ///
    /// # Errors
    /// The process is gone.
    pub fn rename(&mut self, nickname: &str) -> Result<()> {
        self.program
            .command(&json!({"cmd": "nick", "nickname": nickname}))
    }

    /// Asks for the roster.
    ///
    /// # Errors
    /// The process is gone.
    pub fn ask_roster(&mut self) -> Result<()> {
        self.program.command(&json!({"cmd": "roster"}))
    }

    /// Asks for the roster until somebody is in it, whether he was there before us or came later.
    ///
    /// # Errors
    /// He does not come.
    pub fn await_occupant(&mut self, nickname: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.ask_roster()?;
            let seen = nicknames(&self.wait("roster")?);
            if seen.iter().any(|occupant| occupant == nickname) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{nickname} is not among {seen:?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Leaves the room (BYE).
    ///
    /// # Errors
    /// The process is gone.
    pub fn quit(&mut self) -> Result<()> {
        self.program.command(&json!({"cmd": "quit"}))
    }

    /// Kills it as a crash would: its connections close without a BYE.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.program.process().kill()
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// It goes on for more than 10 s.
    pub fn wait_for_end(&mut self) -> Result<()> {
        self.program.process().wait(PATIENCE).map(drop)
    }

    /// The end of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.program.log_tail()
    }
}

impl Drop for SipChat {
    fn drop(&mut self) {
        if self.program.process().is_running() && self.quit().is_ok() {
            let _ = self.program.process().wait(Duration::from_secs(2));
        }
    }
}

/// The status code of a refusal.
#[must_use]
pub fn code(event: &Value) -> Option<u64> {
    event.get("code").and_then(Value::as_u64)
}

/// Whether it is a message with that text.
#[must_use]
pub fn is_message(event: &Value, text: &str, private: bool) -> bool {
    field(event, "event") == "message"
        && field(event, "text") == text
        && event.get("private").and_then(Value::as_bool).unwrap_or(false) == private
}

/// The nicknames of a `roster` event, sorted.
#[must_use]
pub fn nicknames(roster: &Value) -> Vec<String> {
    let users = roster
        .get("users")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut nicknames: Vec<String> = users
        .iter()
        .map(|user| {
            user.as_str()
                .unwrap_or_else(|| field(user, "nickname"))
                .to_owned()
        })
        .collect();
    nicknames.sort();
    nicknames
}
