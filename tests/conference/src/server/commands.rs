//! What the test, or whoever sits at the keyboard, wants to happen.

use std::time::Instant;

use msrp::Command as MsrpCommand;

use super::{Request, Seat, Server};
use crate::{
    document::Departure,
    event::{Command, Event, ParticipantStatus, RoomStatus},
    message::Said,
    room::ParticipantId,
};

/// Where residents live: no room has such an address.
const RESIDENTS: &str = "residents.invalid";

impl Server {
    pub(super) fn command(&mut self, command: Command, now: Instant) {
        let done = match command {
            Command::Join { room, nick } => self.join(&room, &nick, now),
            Command::Leave { room, nick } => self
                .resident(&room, &nick)
                .map(|seat| self.unseat(&seat, Departure::Departed, "departed", now)),
            Command::Say { room, nick, text } => self.say(&room, &nick, None, &text, now),
            Command::Whisper { room, nick, to, text } => self.say(&room, &nick, Some(&to), &text, now),
            Command::Notice { room, text } => self.notice(&room, &text, now),
            Command::Subject { room, text } => self.set_subject(&room, text, now),
            Command::Kick { room, nick, reason } => self
                .find(&room, &nick)
                .map(|seat| self.remove(&seat, reason.as_deref(), "booted", now)),
            Command::Destroy { room, reason } => self.destroy(&room, reason.as_deref(), now),
            Command::Unbind { room, nick } => self.forget_session(&room, &nick, now),
            Command::Cut { room, nick } => self.cut(&room, &nick),
            Command::Invite { room, uri } => match (self.rooms.contains_key(&room), uri.parse()) {
                (true, Ok(target)) => {
                    self.invite(&room, target, None, now);
                    Ok(())
                }
                (false, _) => Err(format!("there is no room {room}")),
                (_, Err(_)) => Err(format!("{uri} is no URI")),
            },
            Command::Status {} => {
                self.tell_status();
                Ok(())
            }
            Command::Quit {} => {
                self.quit(now);
                Ok(())
            }
        };
        if let Err(text) = done {
            self.tell(Event::Error { text });
        }
    }

    fn join(&mut self, name: &str, nick: &str, now: Instant) -> Result<(), String> {
        let uri = sip::Uri::new(Some(nick), RESIDENTS, None);
        let id = self.seat(name, uri, None, None, now);
        let entities = self.options.rooms.entities;
        let Some(room) = self.rooms.get_mut(name) else {
            return Ok(());
        };
        if room.name(id, nick, &[]).is_err() {
            self.unseat(&(name.to_owned(), id), Departure::Departed, "departed", now);
            return Err(format!("{nick} is in use, or no nickname"));
        }
        room.set_entity(id, entities);
        Ok(())
    }

    fn say(
        &mut self,
        name: &str,
        nick: &str,
        to: Option<&str>,
        text: &str,
        now: Instant,
    ) -> Result<(), String> {
        let (_, id) = self.resident(name, nick)?;
        let whom = match to {
            Some(to) => Some(self.find(name, to)?.1),
            None => None,
        };
        let Some(room) = self.rooms.get(name) else {
            return Ok(());
        };
        let named = |id: ParticipantId| {
            room.participants
                .get(&id)
                .map(|participant| participant.entity.clone())
        };
        let from = named(id).unwrap_or_default();
        let to = whom.and_then(named).unwrap_or_else(|| room.uri.to_string());
        let recipients: Vec<ParticipantId> = match whom {
            Some(whom) => vec![whom],
            None => room
                .participants
                .keys()
                .copied()
                .filter(|other| *other != id)
                .collect(),
        };
        let said = Said::text(Some(nick.to_owned()), from, to, text);
        self.pass_on(name, &recipients, &said, now);
        if whom.is_none() {
            self.remember(name, said);
        }
        Ok(())
    }

    fn notice(&mut self, name: &str, text: &str, now: Instant) -> Result<(), String> {
        let room = self
            .rooms
            .get(name)
            .ok_or_else(|| format!("there is no room {name}"))?;
        let uri = room.uri.to_string();
        let everybody: Vec<ParticipantId> = room.participants.keys().copied().collect();
        self.pass_on(name, &everybody, &Said::text(None, uri.clone(), uri, text), now);
        Ok(())
    }

    fn set_subject(&mut self, name: &str, text: String, now: Instant) -> Result<(), String> {
        let room = self
            .rooms
            .get_mut(name)
            .ok_or_else(|| format!("there is no room {name}"))?;
        room.subject = text;
        self.room_changed(name, now);
        Ok(())
    }

    fn destroy(&mut self, name: &str, reason: Option<&str>, now: Instant) -> Result<(), String> {
        let room = self
            .rooms
            .get(name)
            .ok_or_else(|| format!("there is no room {name}"))?;
        let everybody: Vec<ParticipantId> = room.participants.keys().copied().collect();
        for id in everybody {
            self.remove(&(name.to_owned(), id), reason, "destroyed", now);
        }
        Ok(())
    }

    /// His session is no more on our side, and he is not told.
    fn forget_session(&mut self, name: &str, nick: &str, now: Instant) -> Result<(), String> {
        let seat = self.find(name, nick)?;
        let call = self.call(&seat).ok_or("a resident has no session")?;
        let (connection, session) = (call.connection, call.session.clone());
        let connection = connection.ok_or("his session is not open")?;
        self.link_command(connection, MsrpCommand::Unbind(session), now);
        Ok(())
    }

    fn cut(&mut self, name: &str, nick: &str) -> Result<(), String> {
        let seat = self.find(name, nick)?;
        let connection = self.call(&seat).and_then(|call| call.connection);
        let connection = connection.ok_or("he is not connected")?;
        self.requests.push_back(Request::Cut(connection));
        Ok(())
    }

    fn quit(&mut self, now: Instant) {
        let rooms: Vec<String> = self.rooms.keys().cloned().collect();
        for name in rooms {
            // It is there: its name is from the table.
            let _ = self.destroy(&name, None, now);
        }
        self.quitting = true;
    }

    fn tell_status(&mut self) {
        let rooms = self.rooms.iter().map(|(name, room)| RoomStatus {
            room: name.clone(),
            subject: room.subject.clone(),
            subscribers: room.subscribers(),
            participants: room
                .participants
                .values()
                .map(|participant| ParticipantStatus {
                    uri: participant.uri.to_string(),
                    nickname: participant.nickname.clone(),
                    bound: participant.is_bound(),
                })
                .collect(),
        });
        let rooms = rooms.collect();
        self.tell(Event::Status { rooms });
    }

    fn find(&self, name: &str, nick: &str) -> Result<Seat, String> {
        let room = self
            .rooms
            .get(name)
            .ok_or_else(|| format!("there is no room {name}"))?;
        let id = room
            .find(nick)
            .ok_or_else(|| format!("there is no {nick} in {name}"))?;
        Ok((name.to_owned(), id))
    }

    fn resident(&self, name: &str, nick: &str) -> Result<Seat, String> {
        let seat = self.find(name, nick)?;
        match self.call(&seat) {
            None => Ok(seat),
            Some(_) => Err(format!("{nick} speaks for himself")),
        }
    }
}
