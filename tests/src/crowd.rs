//! Many users in one room, on both sides, who all speak, with every copy counted.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Result, ensure,
    peers::{SipChat, XmppUser, sip_chat::field},
};

/// How long all copies may take to arrive after the last was sent.
const ARRIVAL: Duration = Duration::from_secs(30);
/// How long a doubled copy is given to show itself.
const SETTLE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(50);

/// The users, all of them in the room.
#[derive(Debug)]
pub struct Crowd {
    /// The room as XMPP users name it.
    pub room: String,
    /// With their nicknames.
    pub sip: Vec<(String, SipChat)>,
    /// With their nicknames.
    pub xmpp: Vec<(String, XmppUser)>,
}

/// What became of it.
#[derive(Debug, Clone, Copy)]
pub struct Count {
    /// Messages said.
    pub messages: usize,
    /// Copies that had to arrive, and did.
    pub copies: usize,
    /// From the first message to the last copy.
    pub took: Duration,
}

impl Crowd {
    /// Waits until each of them has seen all others enter.
    ///
    /// # Errors
    /// Somebody does not.
    pub fn gather(&mut self) -> Result<()> {
        let names: Vec<String> = self.names();
        for (name, user) in &mut self.sip {
            for other in &names {
                user.await_occupant(other)
                    .map_err(|error| error.context(format!("the roster of {name}")))?;
            }
        }
        for (own, user) in &mut self.xmpp {
            let prefix = format!("{}/", self.room);
            let deadline = Instant::now() + ARRIVAL;
            loop {
                let seen = user.inbox().history().iter().filter(|stanza| {
                    stanza.name == "presence"
                        && stanza.from().starts_with(&prefix)
                        && stanza.attribute("type").is_none()
                });
                let seen: std::collections::BTreeSet<&str> =
                    seen.filter_map(|stanza| stanza.from_resource()).collect();
                let missing = names.iter().filter(|name| !seen.contains(name.as_str()));
                let missing: Vec<&String> = missing.collect();
                if missing.is_empty() {
                    break;
                }
                ensure!(Instant::now() < deadline, "{own} does not see {missing:?}");
                thread::sleep(POLL);
            }
        }
        Ok(())
    }

    /// Everybody says so many messages; each has to reach all others exactly once, and its sender if he is on XMPP.
    ///
    /// # Errors
    /// A copy does not arrive within 30 s, or one arrives twice.
    pub fn talk(&mut self, rounds: usize) -> Result<Count> {
        let names = self.names();
        let began = Instant::now();
        for round in 0..rounds {
            for (name, user) in &mut self.sip {
                user.say(&line(name, round))?;
            }
            for (name, user) in &mut self.xmpp {
                user.say(&self.room, &line(name, round))?;
            }
        }
        let said: Vec<(String, String)> = names
            .iter()
            .flat_map(|name| (0..rounds).map(|round| (name.clone(), line(name, round))))
            .collect();
        let mut expected = self.expected(&said);
        while !expected.iter().all(|(name, lines)| self.has_all(name, lines)) {
            if began.elapsed() > ARRIVAL {
                expected.retain(|name, lines| !self.has_all(name, lines));
                let lacking: Vec<&String> = expected.keys().collect();
                ensure!(
                    lacking.is_empty(),
                    "these lack messages after {ARRIVAL:?}: {lacking:?}"
                );
            }
            thread::sleep(POLL);
        }
        let took = began.elapsed();
        thread::sleep(SETTLE);
        for (name, lines) in &expected {
            let heard = self.heard(name);
            for line in lines {
                let copies = heard.get(line).copied().unwrap_or_default();
                ensure!(copies == 1, "{name} has {line:?} {copies} times");
            }
            ensure!(
                heard.len() == lines.len(),
                "{name} has something that was not for him: {heard:?}"
            );
        }
        Ok(Count {
            messages: said.len(),
            copies: expected.values().map(Vec::len).sum(),
            took,
        })
    }

    fn names(&self) -> Vec<String> {
        let sip = self.sip.iter().map(|(name, _)| name.clone());
        sip.chain(self.xmpp.iter().map(|(name, _)| name.clone()))
            .collect()
    }

    /// Who has to hear what: an XMPP sender hears himself, a SIP sender does not.
    fn expected(&self, said: &[(String, String)]) -> BTreeMap<String, Vec<String>> {
        let of = |own: &str, reflected: bool| {
            let lines = said.iter().filter(|(by, _)| reflected || by != own);
            lines.map(|(_, line)| line.clone()).collect::<Vec<_>>()
        };
        let sip = self.sip.iter().map(|(name, _)| (name.clone(), of(name, false)));
        let xmpp = self.xmpp.iter().map(|(name, _)| (name.clone(), of(name, true)));
        sip.chain(xmpp).collect()
    }

    fn has_all(&mut self, name: &str, lines: &[String]) -> bool {
        let heard = self.heard(name);
        lines.iter().all(|line| heard.contains_key(line))
    }

    /// What somebody has heard, and how often.
    fn heard(&mut self, name: &str) -> BTreeMap<String, usize> {
        let mut heard = BTreeMap::new();
        let mut note = |text: &str| *heard.entry(text.to_owned()).or_insert(0) += 1;
        if let Some((_, user)) = self.sip.iter_mut().find(|(own, _)| own == name) {
            let events = user.inbox().history().iter();
            events
                .filter(|event| field(event, "event") == "message")
                .for_each(|event| note(field(event, "text")));
        }
        if let Some((_, user)) = self.xmpp.iter_mut().find(|(own, _)| own == name) {
            let stanzas = user
                .inbox()
                .history()
                .iter()
                .filter(|stanza| stanza.name == "message");
            stanzas
                .filter_map(|stanza| stanza.child_text("body"))
                .for_each(&mut note);
        }
        heard
    }
}

fn line(name: &str, round: usize) -> String {
    format!("{name} says {round}")
}
