//! The face for people: lines typed and lines shown, without taking over the terminal.

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    client::{Command, EndCause, Event, Refusal},
    face::{Face, Typed},
    room::Departure,
};

/// Erases what stands on the present line, so that nothing is printed behind what is being typed.
const CLEAR_LINE: &str = "\r\x1b[K";
/// Erases the line above: what was typed, which comes back when the room has it.
const CLEAR_TYPED: &str = "\x1b[1A\r\x1b[K";
const PROMPT: &str = "> ";

const HELP: &str = "\
what you type is said to all in the room; besides:
  /who                 who is in the room
  /msg NICK text       for NICK alone; a nickname with spaces in quotes: /msg \"First Witch\" text
  /nick NEW            go by another nickname
  /invite ADDRESS      bring somebody in: sip:user@domain or user@domain
  /quit                leave
  /help                this
  //text               say something that begins with a slash
Ctrl-R shows again what you have begun to type.
";

/// Lines for people.
pub(crate) struct Terminal {
    /// Whether the output is a terminal, which can move the cursor.
    interactive: bool,
    /// Whether colours are wanted.
    colour: bool,
    zone: TimeZone,
    nickname: Option<String>,
}

#[derive(Clone, Copy)]
enum Ink {
    Plain,
    Faint,
    Name,
    Private,
    Bad,
}

impl Terminal {
    /// Times are shown in `zone`.
    pub(crate) fn new(interactive: bool, colour: bool, zone: TimeZone) -> Self {
        Self {
            interactive,
            colour,
            zone,
            nickname: None,
        }
    }

    fn ink(&self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Plain => return text.to_owned(),
            Ink::Faint => "2",
            Ink::Name => "1;36",
            Ink::Private => "1;35",
            Ink::Bad => "31",
        };
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn said(&self, at: Timestamp, mark: &str, name: &str, text: &str) -> String {
        let time = at.to_zoned(self.zone.clone()).strftime("%H:%M").to_string();
        let name = self.ink(Ink::Name, &format!("<{}>", clean_line(name)));
        let mark = if mark.is_empty() {
            String::new()
        } else {
            self.ink(Ink::Private, &format!("[{}] ", clean_line(mark)))
        };
        let text = clean(text).replace('\n', "\n      ");
        format!("{} {mark}{name} {text}", self.ink(Ink::Faint, &time))
    }

    /// The event in words, without the last line end.
    fn words(&self, event: &Event) -> String {
        let (ink, text) = match event {
            Event::Message {
                from,
                text,
                private,
                at,
            } => return self.said(*at, if *private { "private" } else { "" }, from, text),
            Event::Sent { to, text, at, .. } => {
                let name = self.nickname.as_deref().unwrap_or("you");
                let mark = to.as_ref().map(|to| format!("to {to}")).unwrap_or_default();
                return self.said(*at, &mark, name, text);
            }
            Event::Progress { text } => (Ink::Faint, format!("({text})")),
            Event::Entered { room, nickname } => {
                let name = nickname
                    .as_ref()
                    .map(|nickname| format!(" as {nickname}"))
                    .unwrap_or_default();
                (
                    Ink::Plain,
                    format!("you are in {room}{name} (/help tells what you can do)"),
                )
            }
            Event::Roster { users } => (
                Ink::Plain,
                format!("in the room ({}): {}", users.len(), users.join(", ")),
            ),
            Event::Joined { nick } => (Ink::Faint, format!("{nick} has come in")),
            Event::Left { nick, how, reason } => {
                let how = match how {
                    Departure::Departed | Departure::Unsaid => "has left",
                    Departure::Booted => "was removed",
                };
                (
                    Ink::Faint,
                    format!("{nick} {how}{}", in_brackets(reason.as_deref())),
                )
            }
            Event::Renamed { old, new } => (Ink::Faint, format!("{old} is now {new}")),
            Event::Subject { text } if text.is_empty() => {
                (Ink::Plain, "there is no subject any more".to_owned())
            }
            Event::Subject { text } => (Ink::Plain, format!("subject: {text}")),
            Event::NoRoster { refusal } => (
                Ink::Bad,
                format!("the room does not tell who is in it: {}", coded(refusal)),
            ),
            Event::Failed { text, refusal, .. } => (
                Ink::Bad,
                format!("not delivered: {text:?}: {}", why_unsaid(refusal)),
            ),
            Event::Nick { nickname } => (Ink::Plain, format!("you are now {nickname}")),
            Event::NickRefused { nickname, refusal } => (
                Ink::Bad,
                format!("you cannot be {nickname:?}: {}", why_unnamed(refusal)),
            ),
            Event::Invited { uri } => (Ink::Plain, format!("the room invites {uri}")),
            Event::InviteRefused { uri, refusal } => (
                Ink::Bad,
                format!("the room does not invite {uri}: {}", coded(refusal)),
            ),
            Event::Refused { refusal } => (
                Ink::Bad,
                format!("the room did not let you in: {}", why_outside(refusal)),
            ),
            Event::Ended { cause, code, reason } => (Ink::Plain, farewell(*cause, *code, reason.as_deref())),
            Event::Error { text } => (Ink::Bad, text.clone()),
        };
        self.ink(ink, &format!("* {}", clean(&text).replace('\n', "\n  ")))
    }
}

impl Face for Terminal {
    fn read(&mut self, line: &str) -> Typed {
        match parse(line) {
            Ok(typed) => typed,
            Err(text) => Typed::Answer(Event::Error { text }),
        }
    }

    fn show(&mut self, event: &Event) -> String {
        match event {
            Event::Entered { nickname, .. } => self.nickname.clone_from(nickname),
            Event::Nick { nickname } => self.nickname = Some(nickname.clone()),
            _ => {}
        }
        let clear = if self.interactive { CLEAR_LINE } else { "" };
        format!("{clear}{}\n", self.words(event))
    }

    fn prompt(&self) -> &'static str {
        if self.interactive { PROMPT } else { "" }
    }

    fn typed(&self) -> &'static str {
        if self.interactive { CLEAR_TYPED } else { "" }
    }
}

fn parse(line: &str) -> Result<Typed, String> {
    let Some(typed) = line.strip_prefix('/') else {
        return Ok(say(line));
    };
    if typed.starts_with('/') {
        return Ok(say(typed));
    }
    let (word, rest) = split_word(typed);
    Ok(match (word, rest) {
        ("who", "") => Typed::Command(Command::Roster),
        ("quit", "") => Typed::Command(Command::Quit),
        ("help", _) => Typed::Print(HELP.to_owned()),
        ("nick", "") => return Err("which nickname? /nick NEW".to_owned()),
        ("nick", nickname) => Typed::Command(Command::Rename {
            nickname: nickname.to_owned(),
        }),
        ("invite", "") => return Err("whom? /invite sip:user@domain".to_owned()),
        ("invite", address) => Typed::Command(Command::invite(address)?),
        ("msg", rest) => match addressee(rest) {
            Some((to, text)) => Typed::Command(Command::Whisper {
                to: to.to_owned(),
                text: text.to_owned(),
                reference: None,
            }),
            None => return Err("to whom, and what? /msg NICK text".to_owned()),
        },
        _ => return Err(format!("/{typed} means nothing here; /help tells what does")),
    })
}

fn say(text: &str) -> Typed {
    if text.trim().is_empty() {
        return Typed::Nothing;
    }
    Typed::Command(Command::Say {
        text: text.to_owned(),
        reference: None,
    })
}

fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

/// A nickname, in quotes if it has spaces, and what is left.
fn addressee(text: &str) -> Option<(&str, &str)> {
    let (to, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => split_word(text),
    };
    let rest = rest.trim();
    (!to.is_empty() && !rest.is_empty()).then_some((to, rest))
}

/// What a peer wrote, without what could command the terminal or turn the line round.
fn clean(text: &str) -> String {
    text.replace("\r\n", "\n")
        .chars()
        .map(|character| match character {
            '\n' | '\t' => character,
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
            control if control.is_control() => char::REPLACEMENT_CHARACTER,
            other => other,
        })
        .collect()
}

fn clean_line(text: &str) -> String {
    clean(text).replace('\n', " ")
}

fn in_brackets(reason: Option<&str>) -> String {
    reason.map(|reason| format!(" ({reason})")).unwrap_or_default()
}

fn coded(refusal: &Refusal) -> String {
    format!("{} ({})", refusal.reason, refusal.code)
}

/// Why a message was not taken (RFC 4975 §10, RFC 7701 §6).
fn why_unsaid(refusal: &Refusal) -> String {
    match refusal.code {
        403 => "the room does not let you speak".to_owned(),
        404 => "nobody of that name is here".to_owned(),
        408 => "the room did not answer in time, so nobody knows whether it was shown".to_owned(),
        413 => "it is too long for this room".to_owned(),
        415 => "the room does not take this kind of message".to_owned(),
        428 => "no private messages are taken".to_owned(),
        481 => "you are not in the room".to_owned(),
        900 => "too much at once; wait a moment".to_owned(),
        901 => "the connection was lost before the room had answered".to_owned(),
        _ => coded(refusal),
    }
}

/// Why a nickname was not granted (RFC 7701 §7.1).
fn why_unnamed(refusal: &Refusal) -> String {
    match refusal.code {
        403 => "the room does not let you change your nickname".to_owned(),
        408 => "the room did not answer in time".to_owned(),
        423 | 424 => "that is no usable nickname".to_owned(),
        425 => "somebody else has this nickname".to_owned(),
        501 => "this room has no nicknames to give".to_owned(),
        _ => why_unsaid(refusal),
    }
}

/// Why the room could not be entered.
fn why_outside(refusal: &Refusal) -> String {
    let words = match refusal.code {
        401 | 407 => "it is for its members",
        403 | 603 => "you may not enter it",
        404 | 604 => "there is no such room",
        408 => "it does not answer",
        480 | 486 | 600 => "it is full, or closed for now",
        488 | 606 => "it cannot talk with this kind of client",
        503 => "it is not to be reached now; try again later",
        _ => return coded(refusal),
    };
    format!("{words} ({} {})", refusal.code, refusal.reason)
}

fn farewell(cause: EndCause, code: Option<u16>, reason: Option<&str>) -> String {
    let words = match cause {
        EndCause::Quit => "you have left",
        EndCause::Bye => "the room has ended your stay",
        EndCause::MediaLost => "the connection for messages was lost",
        EndCause::SignallingLost => "the room no longer answers",
        EndCause::Incompatible => "the room's answer cannot be used",
    };
    match (code, reason) {
        (Some(code), Some(reason)) => format!("{words}: {reason} ({code})"),
        (Some(code), None) => format!("{words} ({code})"),
        (None, Some(reason)) => format!("{words}: {reason}"),
        (None, None) => words.to_owned(),
    }
}

#[cfg(test)]
mod tests;
