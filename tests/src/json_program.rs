//! Programs that are driven by JSON lines and tell by JSON lines what happens.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::ChildStdin,
    sync::mpsc::channel,
    thread,
};

use serde_json::{Value, json};

use crate::{
    Context, PATIENCE, Result,
    inbox::Inbox,
    process::{Launch, Process},
    scratch::Scratch,
};

/// A running program, which ends when its input does.
#[derive(Debug)]
pub struct JsonProgram {
    name: String,
    process: Process,
    commands: Option<ChildStdin>,
    inbox: Inbox<Value>,
    _scratch: Scratch,
}

impl JsonProgram {
    /// Starts it; `name` is for messages.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(name: &str, program: &Path, arguments: &[&str]) -> Result<Self> {
        let scratch = Scratch::new("program")?;
        let mut process = Launch::new(name, program, scratch.path().join("log"))
            .arguments(arguments.iter().copied())
            .piped()
            .start()?;
        let commands = process.take_stdin();
        let output = process
            .take_stdout()
            .with_context(|| format!("{name} has no standard output"))?;
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line)
                    .unwrap_or_else(|_| json!({"event": "unreadable", "line": line}));
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            name: name.to_owned(),
            process,
            commands,
            inbox: Inbox::new(name, receiver),
            _scratch: scratch,
        })
    }

    /// Its events.
    pub fn inbox(&mut self) -> &mut Inbox<Value> {
        &mut self.inbox
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The end of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// Takes the first event of that kind that matches.
    ///
    /// # Errors
    /// None came within [`PATIENCE`].
    pub fn wait_for(&mut self, kind: &str, mut matches: impl FnMut(&Value) -> bool) -> Result<Value> {
        self.inbox.wait(kind, PATIENCE, |event| {
            field(event, "event") == kind && matches(event)
        })
    }

    /// Gives it a command.
    ///
    /// # Errors
    /// It is gone.
    pub fn command(&mut self, command: &Value) -> Result<()> {
        let gone = || format!("{} is gone", self.name);
        let input = self.commands.as_mut().with_context(gone)?;
        writeln!(input, "{command}")
            .and_then(|()| input.flush())
            .with_context(gone)
    }
}

/// A text field of an event; empty if it is missing or no text.
#[must_use]
pub fn field<'a>(event: &'a Value, name: &str) -> &'a str {
    event.get(name).and_then(Value::as_str).unwrap_or_default()
}
