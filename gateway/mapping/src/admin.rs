//! What administrators may do by ad-hoc commands (XEP-0050) to the domains of our users: look, end a session, drain, reload.

use std::time::Instant;

use xmpp::{
    Jid,
    stanza::{
        Condition, Iq, Outgoing, Payload,
        commands::{self, Command, Outcome, Request, Table},
    },
};

use crate::{
    Gateway,
    refusal::Refusal,
    session::{Phase, SessionKey},
};

/// Rows of a table: an answer has to fit into one stanza.
const ROWS: usize = 200;

/// The commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Rooms,
    Sessions,
    EndSession,
    Drain,
    Resume,
    Reload,
}

impl Task {
    /// Each with its node and its name.
    const ALL: [(Self, &str, &str); 6] = [
        (Self::Rooms, "rooms", "Show the rooms"),
        (Self::Sessions, "sessions", "Show the sessions"),
        (Self::EndSession, "end-session", "End a session"),
        (Self::Drain, "drain", "Take no new calls"),
        (Self::Resume, "resume", "Take calls again"),
        (Self::Reload, "reload", "Read the certificates again"),
    ];

    fn of_node(node: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(_, known, _)| *known == node).map(|(task, ..)| *task)
    }
}

impl Gateway {
    /// Answers a request about commands; gives back one about something else. Who is no administrator sees none.
    pub(crate) fn administer(&mut self, iq: Iq, now: Instant) -> Option<Iq> {
        if iq.to.node().is_some() {
            return Some(iq);
        }
        let Some(request) = Request::read(&iq) else {
            return Some(iq);
        };
        let allowed = self.config.admins.contains(&iq.from.to_bare());
        let domain = iq.to.domain().as_str();
        let answer = match request {
            Request::List if allowed => Ok(commands::list(
                domain,
                &Task::ALL.map(|(_, node, name)| (node, name)),
            )),
            Request::List => Ok(commands::list(domain, &[])),
            Request::About(node) if allowed => about(&node),
            Request::About(_) => Err(Condition::ItemNotFound),
            Request::Do(command) if allowed => {
                tracing::info!(command = %command.node.escape_debug(), by = %iq.from.to_bare(), "administrator's command");
                self.carry_out(&command, now)
                    .map(|outcome| outcome.payload(&command.node, &iq.id))
            }
            Request::Do(_) => Err(Condition::Forbidden),
        };
        self.answer_iq(iq.to, iq.from, iq.id, answer);
        None
    }

    fn answer_iq(&mut self, from: Jid, to: Jid, id: String, answer: Result<Payload, Condition>) {
        self.xmpp(match answer {
            Ok(payload) => Outgoing::IqResult {
                from,
                to,
                id,
                payload: Some(payload),
            },
            Err(condition) => Outgoing::IqError {
                from,
                to,
                id,
                condition,
            },
        });
    }

    fn carry_out(&mut self, command: &Command, now: Instant) -> Result<Outcome, Condition> {
        let task = Task::of_node(&command.node).ok_or(Condition::ItemNotFound)?;
        if command.cancelled {
            return Ok(Outcome::Cancelled);
        }
        match task {
            Task::Rooms => Ok(self.rooms_table()),
            Task::Sessions => Ok(self.sessions_table()),
            Task::EndSession => self.end_chosen(command, now),
            Task::Drain => {
                self.drain(true);
                let sessions = self.sessions.len();
                Ok(done(format!(
                    "New calls are refused with 503; {sessions} sessions go on."
                )))
            }
            Task::Resume => {
                self.drain(false);
                Ok(done("Calls are taken again.".to_owned()))
            }
            Task::Reload => {
                self.reload();
                Ok(done(
                    "The certificates are read again; the log says how it went.".to_owned(),
                ))
            }
        }
    }

    fn rooms_table(&self) -> Outcome {
        let rows = self.rooms.iter().map(|(address, room)| {
            vec![
                address.to_string(),
                self.sessions.in_room(address).count().to_string(),
                room.roster.count().to_string(),
            ]
        });
        let columns = vec![
            ("room", "Room"),
            ("sessions", "SIP users"),
            ("occupants", "Occupants"),
        ];
        shown("Rooms", columns, rows, self.rooms.len())
    }

    fn sessions_table(&self) -> Outcome {
        let keys = self.sessions.keys();
        let rows = keys.iter().filter_map(|key| {
            let session = self.sessions.get(*key)?;
            let phase = match session.phase {
                Phase::Naming { .. } | Phase::Entering { .. } => "entering",
                Phase::Joined => "in the room",
                Phase::Out { .. } => "on the way back",
            };
            Some(vec![
                key.0.to_string(),
                session.who.user.to_string(),
                session.room.to_string(),
                session.nickname.clone(),
                phase.to_owned(),
            ])
        });
        let columns = vec![
            ("session", "Number"),
            ("user", "SIP user"),
            ("room", "Room"),
            ("nickname", "Nickname"),
            ("phase", "Phase"),
        ];
        shown("Sessions", columns, rows, keys.len())
    }

    fn end_chosen(&mut self, command: &Command, now: Instant) -> Result<Outcome, Condition> {
        if command.fields.is_none() {
            return Ok(Outcome::Asks {
                title: "End a session",
                fields: vec![("session", "Its number, as the sessions are shown")],
            });
        }
        let number = command
            .field("session")
            .and_then(|number| number.trim().parse().ok());
        let key = SessionKey(number.ok_or(Condition::BadRequest)?);
        if self.sessions.get(key).is_none() {
            return Err(Condition::ItemNotFound);
        }
        self.end(key, &Refusal::Stopping, now);
        Ok(done(format!("Session {} is over.", key.0)))
    }
}

fn about(node: &str) -> Result<Payload, Condition> {
    if node == commands::COMMANDS {
        return Ok(commands::about(node, "Commands"));
    }
    let mut all = Task::ALL.iter();
    let known = all.find(|(_, known, _)| *known == node);
    let (_, node, name) = known.ok_or(Condition::ItemNotFound)?;
    Ok(commands::about(node, name))
}

fn done(note: String) -> Outcome {
    Outcome::Done { note, table: None }
}

fn shown(
    title: &'static str,
    columns: Vec<(&'static str, &'static str)>,
    rows: impl Iterator<Item = Vec<String>>,
    of: usize,
) -> Outcome {
    let rows: Vec<_> = rows.take(ROWS).collect();
    Outcome::Done {
        note: format!("{} of {of}", rows.len()),
        table: Some(Table { title, columns, rows }),
    }
}
