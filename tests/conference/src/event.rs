//! What is told on standard output, and what may be asked for on standard input.

use serde::{Deserialize, Serialize};

/// A command. The room is named by the user part of its address, a participant by his nickname, or by his SIP address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Command {
    /// A resident enters: a participant without a phone, whom the commands below let speak.
    Join { room: String, nick: String },
    /// He leaves.
    Leave { room: String, nick: String },
    /// A resident says something to all.
    Say {
        room: String,
        nick: String,
        text: String,
    },
    /// A resident says something to one participant.
    Whisper {
        room: String,
        nick: String,
        to: String,
        text: String,
    },
    /// The room itself says something.
    Notice { room: String, text: String },
    /// The subject changes.
    Subject { room: String, text: String },
    /// A participant is removed: BYE.
    Kick {
        room: String,
        nick: String,
        reason: Option<String>,
    },
    /// All are removed, and the room is no more.
    Destroy { room: String, reason: Option<String> },
    /// A participant's MSRP session is forgotten: his next request gets 481.
    Unbind { room: String, nick: String },
    /// The TCP connection that a participant's MSRP session runs over is cut, with all sessions on it.
    Cut { room: String, nick: String },
    /// The room calls a SIP address.
    Invite { room: String, uri: String },
    /// Asks for a `status`.
    Status {},
    /// Ends, with a BYE to all.
    Quit {},
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// Where it listens: the first event.
    Listening { sip: String, msrp: String },
    /// An INVITE was accepted, or one of ours was.
    Entered { room: String, uri: String },
    /// An INVITE was refused.
    Refused { room: String, uri: String, code: u16 },
    /// The MSRP session is open.
    Bound { room: String, uri: String },
    /// A nickname was granted; `null`: given back.
    Nickname {
        room: String,
        uri: String,
        nickname: Option<String>,
    },
    /// A nickname was refused.
    NicknameRefused {
        room: String,
        uri: String,
        nickname: String,
        code: u16,
    },
    /// A message was accepted; `to` is the address of a private one.
    Message {
        room: String,
        uri: String,
        from: Option<String>,
        to: Option<String>,
        text: String,
    },
    /// A message was refused.
    MessageRefused { room: String, uri: String, code: u16 },
    /// A copy did not reach a participant.
    Undelivered { room: String, uri: String, code: u16 },
    /// A participant reported on a message of ours.
    Reported { room: String, uri: String, code: u16 },
    /// A keep-alive was answered.
    KeptAlive { room: String, uri: String },
    /// Somebody watches the roster.
    Subscribed { room: String, uri: String },
    /// A subscription was refused.
    SubscriptionRefused { room: String, uri: String, code: u16 },
    /// Somebody watches no longer.
    Unsubscribed { room: String },
    /// A REFER, and the status it got.
    Referred {
        room: String,
        uri: String,
        target: String,
        method: String,
        code: u16,
    },
    /// An INVITE of ours was refused.
    InviteRefused { room: String, uri: String, code: u16 },
    /// A participant has left, or was removed.
    Left {
        room: String,
        uri: String,
        nickname: Option<String>,
        how: &'static str,
    },
    /// The rooms as they stand.
    Status { rooms: Vec<RoomStatus> },
    /// A command that makes no sense.
    Error { text: String },
}

/// A room in [`Event::Status`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RoomStatus {
    pub(crate) room: String,
    pub(crate) subject: String,
    pub(crate) subscribers: usize,
    pub(crate) participants: Vec<ParticipantStatus>,
}

/// A participant in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ParticipantStatus {
    pub(crate) uri: String,
    pub(crate) nickname: Option<String>,
    /// Whether his MSRP session is open; a resident has none.
    pub(crate) bound: bool,
}

/// Reads one line; `None` for an empty one.
pub(crate) fn read(line: &str) -> Option<Result<Command, Event>> {
    let line = line.trim();
    if line.is_empty() {
        return None;
    }
    Some(serde_json::from_str(line).map_err(|fault| Event::Error {
        text: fault.to_string(),
    }))
}

/// One line.
pub(crate) fn write(event: &Event) -> String {
    // Nothing in an event can fail to be JSON: keys are text, numbers are whole.
    serde_json::to_string(event).map_or_else(|_| String::new(), |line| line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_events_are_json_lines() {
        let said = read(r#"{"cmd":"say","room":"verona","nick":"Ben V.","text":"Part, fools!"}"#);
        let expected = Command::Say {
            room: "verona".to_owned(),
            nick: "Ben V.".to_owned(),
            text: "Part, fools!".to_owned(),
        };
        assert_eq!(said, Some(Ok(expected)));
        assert_eq!(read("  "), None);
        assert!(matches!(read("say hello"), Some(Err(Event::Error { .. }))));
        let event = Event::Bound {
            room: "verona".to_owned(),
            uri: "sip:romeo@example.org".to_owned(),
        };
        assert_eq!(
            write(&event),
            "{\"event\":\"bound\",\"room\":\"verona\",\"uri\":\"sip:romeo@example.org\"}\n"
        );
    }
}
