//! The terminal client profanity, in a terminal that nobody sees.

use std::{
    fs,
    io::{Read, Write},
    net::SocketAddr,
    process::ChildStdin,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{REMEDY, XmppClient, prosody::USERS};
use crate::{
    Context, PATIENCE, Result, bail, ensure,
    process::{Launch, Process, find_program},
    scratch::Scratch,
};

const POLL: Duration = Duration::from_millis(50);
/// Wide enough that no line of the tests is broken.
const TERMINAL: &str = "stty cols 240 rows 60 && exec profanity --account";
const SETTINGS: &str = "[logging]\nchlog=true\ngrlog=true\n[otr]\npolicy=manual\n[omemo]\npolicy=manual\n\
    [ui]\noccupants=false\n[notifications]\nmessage=off\nroom=off\n";

/// A logged-in user.
pub struct Profanity {
    process: Process,
    keyboard: Option<ChildStdin>,
    /// Everything that was written to the terminal, without its control sequences.
    screen: Arc<Mutex<String>>,
    /// How much of it has been taken.
    taken: usize,
    scratch: Scratch,
    name: String,
    room: String,
}

impl Profanity {
    /// Logs in as `NAME@example.com`, whose password is its name.
    ///
    /// # Errors
    /// It is not installed, or the server refuses.
    pub fn connect(server: SocketAddr, name: &str) -> Result<Self> {
        ensure!(
            find_program("profanity").is_some(),
            "profanity is not installed; {REMEDY}"
        );
        let scratch = Scratch::new("profanity")?;
        let home = scratch.path();
        for (directory, file, content) in [
            ("config/profanity", "profrc", SETTINGS.to_owned()),
            ("data/profanity", "accounts", account(server, name)),
        ] {
            fs::create_dir_all(home.join(directory))?;
            fs::write(home.join(directory).join(file), content)?;
        }
        let mut process = Launch::new(
            format!("profanity of {name}"),
            find_program("script").context("script is not installed; it belongs to util-linux")?,
            home.join("log"),
        )
        .arguments(["-qfec", &format!("{TERMINAL} {name}"), "/dev/null"])
        .environment("HOME", home)
        .environment("XDG_CONFIG_HOME", home.join("config"))
        .environment("XDG_DATA_HOME", home.join("data"))
        .environment("TERM", "xterm")
        .environment("LANG", "C.UTF-8")
        .piped()
        .start()?;
        let keyboard = process.take_stdin();
        let mut output = process.take_stdout().context("profanity has no screen")?;
        let screen = Arc::<Mutex<String>>::default();
        let shown = screen.clone();
        thread::spawn(move || {
            let mut octets = Vec::new();
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut piece) {
                octets.extend_from_slice(piece.get(..length).unwrap_or_default());
                *shown.lock().unwrap_or_else(PoisonError::into_inner) = without_controls(&octets);
            }
        });
        let mut user = Self {
            process,
            keyboard,
            screen,
            taken: 0,
            scratch,
            name: name.to_owned(),
            room: String::new(),
        };
        user.see("/profanity logged in successfully")?;
        Ok(user)
    }

    /// Types a line.
    fn type_line(&mut self, line: &str) -> Result<()> {
        self.taken = self.shown().len();
        let keyboard = self.keyboard.as_mut().context("profanity has no keyboard")?;
        keyboard
            .write_all(format!("{line}\r").as_bytes())
            .and_then(|()| keyboard.flush())
            .context("profanity is gone")
    }

    fn shown(&self) -> String {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until this shows up after the last line typed, and gives what follows it on its line.
    fn see(&mut self, text: &str) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.shown();
            let new = shown.get(self.taken.min(shown.len())..).unwrap_or_default();
            if let Some((_, rest)) = new.split_once(text) {
                return Ok(rest.lines().next().unwrap_or_default().trim().to_owned());
            }
            if Instant::now() > deadline || !self.process.is_running() {
                bail!("profanity of {} does not show {text:?} but:\n{new}", self.name);
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until a chat log has this text as a line's end, and gives what stands before it.
    fn read_log(&self, what: &str, text: &str) -> Result<String> {
        let logs = self.scratch.path().join("data/profanity/chatlogs");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = text_of_files(&logs);
            let said = log.lines().find_map(|line| line.strip_suffix(text));
            if let Some(before) = said {
                return Ok(before.to_owned());
            }
            if Instant::now() > deadline {
                bail!(
                    "profanity of {} has no {what} {text:?} but:\n{log}\n{}",
                    self.name,
                    self.shown()
                );
            }
            thread::sleep(POLL);
        }
    }
}

impl XmppClient for Profanity {
    fn enter(&mut self, room: &str, nickname: &str) -> Result<()> {
        self.type_line(&format!("/join {room} nick {nickname}"))?;
        self.see(&format!("You have joined the room as {nickname}"))?;
        room.clone_into(&mut self.room);
        Ok(())
    }

    fn occupants(&mut self) -> Result<Vec<String>> {
        self.type_line("/who")?;
        let listed = self.see(" occupants: ")?;
        let mut names: Vec<String> = listed.split(", ").map(|name| name.trim().to_owned()).collect();
        names.sort();
        Ok(names)
    }

    fn say(&mut self, text: &str) -> Result<()> {
        self.type_line(text)
    }

    fn hear(&mut self, text: &str) -> Result<String> {
        let before = self.read_log("message", &format!(": {text}"))?;
        let (_, nickname) = before.rsplit_once(" - ").context("no nickname in the log")?;
        Ok(nickname.to_owned())
    }

    fn whisper(&mut self, nickname: &str, text: &str) -> Result<()> {
        self.type_line(&format!("/msg {nickname} {text}"))?;
        // The window of the private chat opens; back to the room.
        let room = self.room.clone();
        self.type_line(&format!("/win {room}"))
    }

    fn hear_privately(&mut self, nickname: &str, text: &str) -> Result<()> {
        let before = self.read_log("private message", &format!(": {text}"))?;
        ensure!(before.ends_with(nickname), "{text:?} comes from {before:?}");
        Ok(())
    }

    fn leave(&mut self) -> Result<()> {
        let room = self.room.clone();
        self.type_line(&format!("/close {room}"))
    }
}

impl Drop for Profanity {
    fn drop(&mut self) {
        if self.type_line("/quit").is_ok() {
            let _ = self.process.wait(Duration::from_secs(3));
        }
    }
}

/// The account file.
fn account(server: SocketAddr, name: &str) -> String {
    format!(
        "[{name}]\njid={name}@{USERS}\nresource=profanity\npassword={name}\nserver={}\nport={}\ntls.policy=disable\n\
         auth.policy=legacy\nenabled=true\nmuc.nick={name}\npresence.last=online\npresence.login=online\n",
        server.ip(),
        server.port()
    )
}

/// All files below a directory, one after the other.
fn text_of_files(directory: &std::path::Path) -> String {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let texts = entries.map(|entry| {
        if entry.path().is_dir() {
            text_of_files(&entry.path())
        } else {
            fs::read_to_string(entry.path()).unwrap_or_default()
        }
    });
    texts.collect()
}

/// What a terminal would show, if every movement of the cursor began a new line.
fn without_controls(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    let mut shown = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => match characters.next() {
                Some('[') => {
                    let end = characters.find(|c| c.is_ascii_alphabetic() || *c == '@');
                    // Colours and erasing do not move the cursor.
                    if !matches!(end, Some('m' | 'K' | 'X' | 'J')) {
                        shown.push('\n');
                    }
                }
                Some('(' | ')') => {
                    characters.next();
                }
                _ => {}
            },
            '\r' => shown.push('\n'),
            character => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::without_controls;

    #[test]
    fn colours_vanish_and_movements_part_lines() {
        let octets = b"\x1b[11d02:36 ! \x1b[33m2 occupants: \x1b[32mGuest\x1b[39m\x1b(B\x1b[m, \x1b[32mRomeo\x1b[134X\r\x1b[60d/quit";
        assert_eq!(
            without_controls(octets),
            "\n02:36 ! 2 occupants: Guest, Romeo\n\n/quit"
        );
    }
}
