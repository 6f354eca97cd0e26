//! MSRP connections and what SIP users say over them.

use std::time::Duration;

use bytes::Bytes;
use mapping::ConnectionId;
use msrp::{
    Command, Event, FailureReport, IncomingMessage, LostCause, MessageTag, SessionId, Status,
    cpim::{Address, Cpim},
};

use super::{MUC, NICKNAMES, Owner, ROOMS, Script, Stage, USERS};

impl Stage {
    pub(super) fn bind_requested(&mut self, script: &mut Script<'_>) {
        let Some(number) = self.some_call(script) else {
            return;
        };
        let kind = script.octet();
        self.bind(number, accepted(kind), kind);
    }

    fn bind(&mut self, call: usize, connection: ConnectionId, kind: u8) {
        let call = &self.calls[call];
        let Some(session) = call.session.clone() else {
            return;
        };
        let path = if kind > 250 {
            "msrp://127.0.0.8:9/stranger;tcp"
        } else {
            &call.path
        };
        let from: msrp::Path = path.parse().expect("a path");
        // A connection asks once for each session.
        if !self.bound.contains(&(connection, session.clone())) {
            let event = Event::BindRequested { session, from };
            self.gateway.handle_msrp(connection, event, self.now);
        }
    }

    /// A call that the room admits and whose media come, in one.
    pub(super) fn whole_entrance(&mut self, script: &mut Script<'_>) {
        let known = self.calls.len();
        self.call(script);
        self.settle();
        self.admit(known);
        self.settle();
        if known < self.calls.len() {
            self.bind(known, accepted(script.octet()), 0);
        }
    }

    pub(super) fn say(&mut self, script: &mut Script<'_>) {
        let Some((connection, session)) = self.some_session(script) else {
            return;
        };
        let kind = script.octet();
        let call = self
            .calls
            .iter()
            .find(|call| call.session.as_ref() == Some(&session));
        let (user, room) = call.map_or((0, 0), |call| (call.user, call.room));
        let from = match kind % 8 {
            0 => format!("sip:{}@example.org", USERS[script.below(USERS.len())]),
            1 => format!("sip:{}@{MUC};gr={}", ROOMS[room], script.pick(&NICKNAMES)),
            2 => script.text(),
            _ => format!("sip:{}@example.org", USERS[user]),
        };
        let to = match kind / 8 % 8 {
            0 => format!(
                "sip:{}@{MUC};gr={}",
                ROOMS[room],
                script.pick(&["Romeo", "Juliet", "N%20u"])
            ),
            1 => format!("sip:{}@example.org", USERS[script.below(USERS.len())]),
            2 => script.text(),
            _ => format!("sip:{}@{MUC}", ROOMS[room]),
        };
        let message = self.cpim_message(&from, &to, kind, script);
        let due = self.mint.msrp();
        self.owe(&due, owner(connection, &session), self.limits.reflection);
        let event = Event::Received {
            session,
            message,
            due,
        };
        self.gateway.handle_msrp(connection, event, self.now);
    }

    /// A message as its sender may have put it, well or not.
    pub(super) fn cpim_message(
        &mut self,
        from: &str,
        to: &str,
        kind: u8,
        script: &mut Script<'_>,
    ) -> IncomingMessage {
        let content = match kind / 64 {
            0 => Bytes::from(vec![b'x'; usize::from(script.octet()) * 2]),
            _ => Bytes::copy_from_slice(script.bytes()),
        };
        let address = |uri: &str| Address {
            display_name: None,
            uri: uri.to_owned(),
        };
        let body = Cpim {
            from: Some(address(from)),
            to: vec![address(to)],
            content_type: script
                .pick(&["text/plain", "text/plain;charset=utf-8", "text/html", ""])
                .to_owned(),
            content,
            ..Cpim::default()
        };
        let raw = script.chance(16);
        IncomingMessage {
            id: format!("m{:05}", self.fresh()).parse().expect("an id"),
            content_type: if kind == 200 {
                script.text()
            } else {
                msrp::cpim::CONTENT_TYPE.to_owned()
            },
            body: if raw {
                Bytes::copy_from_slice(script.bytes())
            } else {
                body.to_bytes()
            },
            success_report: kind & 1 == 0,
            failure_report: script.pick(&[FailureReport::Yes, FailureReport::No, FailureReport::Partial]),
        }
    }

    pub(super) fn ask_for_nickname(&mut self, script: &mut Script<'_>) {
        let Some((connection, session)) = self.some_session(script) else {
            return;
        };
        let nickname = match script.chance(4) {
            true => script.text(),
            false => script.pick(&NICKNAMES).to_owned(),
        };
        let due = self.mint.msrp();
        self.owe(&due, owner(connection, &session), self.limits.nickname);
        let event = Event::NicknameRequested {
            session,
            nickname,
            due,
        };
        self.gateway.handle_msrp(connection, event, self.now);
    }

    /// What became of a message to a user, or of something that never was one.
    pub(super) fn message_settled(&mut self, script: &mut Script<'_>) {
        let kind = script.octet();
        let place = script.below(self.tags.len());
        let known = self.tags.iter().nth(place).map(|(tag, of)| (*tag, of.clone()));
        let (tag, (connection, session)) = match known {
            Some(known) if kind < 240 => known,
            _ => (
                u64::from(kind),
                (ConnectionId(9), "nowhere".parse().expect("an id")),
            ),
        };
        self.tags.remove(&tag);
        let tag = MessageTag(tag);
        let event = match kind % 4 {
            0 | 1 => Event::Delivered { session, tag },
            2 => Event::Failed {
                session,
                tag,
                status: script.pick(&[
                    Status::CONGESTED,
                    Status::TIMEOUT,
                    Status::STOP_SENDING,
                    Status::FORBIDDEN,
                ]),
            },
            _ => Event::Reported {
                session,
                message: "m00001".parse().expect("an id"),
                status: Status::FORBIDDEN,
            },
        };
        self.gateway.handle_msrp(connection, event, self.now);
    }

    /// A session or a whole connection is lost.
    pub(super) fn media_ends(&mut self, script: &mut Script<'_>) {
        let Some((connection, session)) = self.some_session(script) else {
            return;
        };
        let event = match script.below(4) {
            0 => Event::Closed,
            1 => Event::Congested {
                session: session.clone(),
            },
            2 => Event::Eased {
                session: session.clone(),
            },
            _ => Event::Lost {
                session: session.clone(),
                cause: LostCause::Silent,
            },
        };
        match &event {
            Event::Closed => self.connection_gone(connection),
            Event::Lost { .. } => self.session_gone(connection, &session),
            _ => {}
        }
        self.gateway.handle_msrp(connection, event, self.now);
    }

    pub(super) fn msrp_command(&mut self, connection: ConnectionId, command: Command) {
        match command {
            Command::Bind(parameters) => {
                let session = parameters.local.last().session().cloned().expect("a session-id");
                self.visit_bound(connection, &session);
                self.bound.insert((connection, session));
            }
            Command::Send { session, message } | Command::Interject { session, message } => {
                let known = self.bound.contains(&(connection, session.clone()));
                assert!(
                    known,
                    "a message into {session} on {connection:?}, which is not bound: {:?}",
                    self.bound
                );
                let before = self.tags.insert(message.tag.0, (connection, session));
                assert_eq!(before, None, "a tag twice");
            }
            Command::Answer { due, .. } => {
                self.book.close(&due);
            }
            Command::Unbind(session) => self.session_gone(connection, &session),
            Command::Close => self.connection_gone(connection),
            Command::RefuseBind { .. } | Command::Report { .. } | Command::Abort { .. } => {}
            Command::Open(_) | Command::Nickname { .. } => self.conference_msrp_command(connection, command),
            Command::Authorize(_) => panic!("the gateway is behind no relay"),
        }
    }

    fn some_session(&self, script: &mut Script<'_>) -> Option<(ConnectionId, SessionId)> {
        let place = script.below(self.bound.len());
        self.bound.iter().nth(place).cloned()
    }

    pub(super) fn session_gone(&mut self, connection: ConnectionId, session: &SessionId) {
        self.bound.remove(&(connection, session.clone()));
        let gone = owner(connection, session);
        self.book.forget(|owner| *owner == gone);
    }

    pub(super) fn connection_gone(&mut self, connection: ConnectionId) {
        self.bound.retain(|(of, _)| *of != connection);
        self.book
            .forget(|owner| matches!(owner, Owner::Session(of, _) if *of == connection));
    }
}

/// One of four connections that users have opened: those have odd numbers.
fn accepted(octet: u8) -> ConnectionId {
    ConnectionId(u64::from(octet % 4) * 2 + 1)
}

pub(super) fn owner(connection: ConnectionId, session: &SessionId) -> Owner {
    Owner::Session(connection, session.to_string())
}
