//! The face for programs: one JSON object a line in both directions. The protocol is described at the top of `main.rs`.

use serde::Deserialize;

use crate::{
    client::{Command, Event, Reference},
    face::{Face, Typed},
};

/// JSON lines.
pub(crate) struct JsonLines;

/// A command as it is written.
#[derive(Deserialize)]
#[serde(tag = "cmd", rename_all = "lowercase", deny_unknown_fields)]
enum Written {
    Say {
        text: String,
        #[serde(rename = "ref")]
        reference: Option<Reference>,
    },
    Msg {
        to: String,
        text: String,
        #[serde(rename = "ref")]
        reference: Option<Reference>,
    },
    Nick {
        nickname: String,
    },
    Invite {
        uri: String,
    },
    Roster {},
    Quit {},
}

impl Face for JsonLines {
    fn read(&mut self, line: &str) -> Typed {
        if line.trim().is_empty() {
            return Typed::Nothing;
        }
        match parse(line) {
            Ok(command) => Typed::Command(command),
            Err(text) => Typed::Answer(Event::Error { text }),
        }
    }

    fn show(&mut self, event: &Event) -> String {
        if matches!(event, Event::Progress { .. }) {
            return String::new();
        }
        // Nothing in an event can fail to be JSON: keys are text, numbers are whole.
        serde_json::to_string(event).map_or_else(|_| String::new(), |line| line + "\n")
    }
}

fn parse(line: &str) -> Result<Command, String> {
    let written: Written =
        serde_json::from_str(line).map_err(|fault| format!("unreadable command: {fault}"))?;
    Ok(match written {
        Written::Say { text, reference } => Command::Say { text, reference },
        Written::Msg { to, text, reference } => Command::Whisper { to, text, reference },
        Written::Nick { nickname } => Command::Rename { nickname },
        Written::Invite { uri } => Command::invite(&uri)?,
        Written::Roster {} => Command::Roster,
        Written::Quit {} => Command::Quit,
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        client::{EndCause, Refusal},
        room::Departure,
    };

    #[test]
    fn every_command_is_read() {
        let text = |text: &str| text.to_owned();
        let table = [
            (
                r#"{"cmd":"say","text":"hello"}"#,
                Command::Say {
                    text: text("hello"),
                    reference: None,
                },
            ),
            (
                r#"{"ref":7,"text":"a\nb \u00e9","cmd":"say"}"#,
                Command::Say {
                    text: text("a\nb é"),
                    reference: Some(Reference::Number(7)),
                },
            ),
            (
                r#"{"cmd":"msg","to":"First Witch","text":"hail","ref":"m-1"}"#,
                Command::Whisper {
                    to: text("First Witch"),
                    text: text("hail"),
                    reference: Some(Reference::Text(text("m-1"))),
                },
            ),
            (
                r#"{"cmd":"nick","nickname":"Montague"}"#,
                Command::Rename {
                    nickname: text("Montague"),
                },
            ),
            (r#"{"cmd":"roster"}"#, Command::Roster),
            (r#" {"cmd":"quit"} "#, Command::Quit),
        ];
        for (line, command) in table {
            assert_eq!(JsonLines.read(line), Typed::Command(command), "{line}");
        }
        assert_eq!(JsonLines.read("  "), Typed::Nothing);
    }

    #[test]
    fn a_line_that_is_no_command_is_told() {
        for line in [
            "hello",
            "{",
            "[]",
            r#"{"cmd":"dance"}"#,
            r#"{"cmd":"say"}"#,
            r#"{"cmd":"say","text":5}"#,
            r#"{"cmd":"say","text":"a","colour":"red"}"#,
            r#"{"cmd":"quit","text":"a"}"#,
            r#"{"cmd":"say","text":"a","ref":[1]}"#,
        ] {
            assert!(
                matches!(JsonLines.read(line), Typed::Answer(Event::Error { .. })),
                "{line}"
            );
        }
    }

    #[test]
    fn every_event_is_one_line() {
        let at: Timestamp = "2026-11-20T23:00:00Z".parse().unwrap();
        let text = |text: &str| text.to_owned();
        let refusal = || Refusal::new(425, "Nickname Reserved or Already In Use");
        let table = [
            (
                Event::Entered {
                    room: text("sip:capulet@rooms.example.com"),
                    nickname: None,
                },
                r#"{"event":"entered","room":"sip:capulet@rooms.example.com","nickname":null}"#,
            ),
            (
                Event::Roster {
                    users: vec![text("Romeo"), text("Juliet")],
                },
                r#"{"event":"roster","users":["Romeo","Juliet"]}"#,
            ),
            (
                Event::Joined { nick: text("Nurse") },
                r#"{"event":"joined","nick":"Nurse"}"#,
            ),
            (
                Event::Left {
                    nick: text("Nurse"),
                    how: Departure::Booted,
                    reason: Some(text("noise")),
                },
                r#"{"event":"left","nick":"Nurse","how":"booted","reason":"noise"}"#,
            ),
            (
                Event::Renamed {
                    old: text("Romeo"),
                    new: text("Montague"),
                },
                r#"{"event":"renamed","old":"Romeo","new":"Montague"}"#,
            ),
            (
                Event::Subject { text: text("Feud") },
                r#"{"event":"subject","text":"Feud"}"#,
            ),
            (
                Event::NoRoster {
                    refusal: Refusal::new(489, "Bad Event"),
                },
                r#"{"event":"no_roster","code":489,"reason":"Bad Event"}"#,
            ),
            (
                Event::Message {
                    from: text("Juliet"),
                    text: text("a\nb"),
                    private: true,
                    at,
                },
                r#"{"event":"message","from":"Juliet","text":"a\nb","private":true,"at":"2026-11-20T23:00:00Z"}"#,
            ),
            (
                Event::Sent {
                    reference: Some(Reference::Number(7)),
                    to: None,
                    text: text("hello"),
                    at,
                },
                r#"{"event":"sent","ref":7,"to":null,"text":"hello","at":"2026-11-20T23:00:00Z"}"#,
            ),
            (
                Event::Failed {
                    reference: None,
                    to: Some(text("Nurse")),
                    text: text("hello"),
                    refusal: Refusal::new(404, "Not Found"),
                },
                r#"{"event":"failed","ref":null,"to":"Nurse","text":"hello","code":404,"reason":"Not Found"}"#,
            ),
            (
                Event::Nick { nickname: text("M") },
                r#"{"event":"nick","nickname":"M"}"#,
            ),
            (
                Event::NickRefused {
                    nickname: text("Juliet"),
                    refusal: refusal(),
                },
                r#"{"event":"nick_refused","nickname":"Juliet","code":425,"reason":"Nickname Reserved or Already In Use"}"#,
            ),
            (
                Event::Invited { uri: text("sip:b@c") },
                r#"{"event":"invited","uri":"sip:b@c"}"#,
            ),
            (
                Event::InviteRefused {
                    uri: text("sip:b@c"),
                    refusal: Refusal::new(403, "Forbidden"),
                },
                r#"{"event":"invite_refused","uri":"sip:b@c","code":403,"reason":"Forbidden"}"#,
            ),
            (
                Event::Refused {
                    refusal: Refusal::new(403, "Forbidden"),
                },
                r#"{"event":"refused","code":403,"reason":"Forbidden"}"#,
            ),
            (
                Event::Ended {
                    cause: EndCause::MediaLost,
                    code: None,
                    reason: Some(text("gone")),
                },
                r#"{"event":"ended","cause":"media_lost","code":null,"reason":"gone"}"#,
            ),
            (
                Event::Error { text: text("what?") },
                r#"{"event":"error","text":"what?"}"#,
            ),
        ];
        for (event, line) in table {
            assert_eq!(JsonLines.show(&event), format!("{line}\n"));
        }
        assert_eq!(JsonLines.show(&Event::Progress { text: text("…") }), "");
    }
}
