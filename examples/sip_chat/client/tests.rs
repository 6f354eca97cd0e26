//! The client against a scripted room: a SIP endpoint as focus and notifier, an MSRP connection as switch, under virtual time.

mod entering;
mod leaving;
mod roster;
mod talking;
mod world;

use std::time::Duration;

use msrp::Status;
use sip::{
    Event as SipEvent, Reason, StatusCode,
    conference::{Document, State, User},
};
use world::{ROOM, World, switch_line};

use super::*;
use crate::room::Departure;

fn text(text: &str) -> String {
    text.to_owned()
}

fn say(line: &str, number: i64) -> Command {
    Command::Say {
        text: text(line),
        reference: Some(Reference::Number(number)),
    }
}

fn whisper(to: &str, line: &str) -> Command {
    Command::Whisper {
        to: text(to),
        text: text(line),
        reference: None,
    }
}

fn user(nick: &str, state: State) -> User {
    User {
        entity: format!("{ROOM};gr={nick}"),
        state,
        display_text: Some(text(nick)),
        ..User::default()
    }
}

fn full(nicks: &[&str]) -> Document {
    Document {
        entity: text(ROOM),
        users: nicks.iter().map(|nick| user(nick, State::Full)).collect(),
        ..Document::default()
    }
}

fn partial(users: Vec<User>) -> Document {
    Document {
        entity: text(ROOM),
        state: State::Partial,
        users,
        ..Document::default()
    }
}

fn sent(line: &str, number: i64, world: &World) -> Event {
    Event::Sent {
        reference: Some(Reference::Number(number)),
        to: None,
        text: text(line),
        at: world.wall_clock(),
    }
}

fn failed(line: &str, reference: Option<Reference>, to: Option<&str>, status: Status) -> Event {
    Event::Failed {
        reference,
        to: to.map(text),
        text: text(line),
        refusal: status.into(),
    }
}
