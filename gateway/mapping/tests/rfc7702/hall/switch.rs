//! The switch of the hall: its connections, and what is said over them.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use mapping::ConnectionId;
use msrp::{MessageTag, OutgoingMessage, SessionParameters, Status, cpim::Cpim};

use super::{Hall, Leg, Script, Wire, address};
use crate::stage::session_id;

impl Hall {
    /// The switch says something over the connection of a leg.
    pub(crate) fn send(&mut self, leg: usize, from: &str, to: &str, text: &str) -> MessageTag {
        let cpim = Cpim {
            from: Some(address(from)),
            to: vec![address(to)],
            date_time: Some("2026-01-01T00:10:00Z".parse().unwrap()),
            content: Bytes::copy_from_slice(text.as_bytes()),
            ..Cpim::default()
        };
        self.send_cpim(leg, &cpim)
    }

    pub(crate) fn send_cpim(&mut self, leg: usize, cpim: &Cpim) -> MessageTag {
        self.send_raw(leg, "message/cpim", cpim.to_bytes())
    }

    pub(crate) fn send_raw(&mut self, leg: usize, content_type: &'static str, body: Bytes) -> MessageTag {
        self.sent += 1;
        let tag = MessageTag(self.sent);
        let session = session_id(&self.legs[leg].path);
        let message = OutgoingMessage {
            tag,
            id: format!("said{}", self.sent).parse().unwrap(),
            content_type,
            body,
            success_report: false,
            failure_report: msrp::FailureReport::Yes,
            lane: msrp::Lane::default(),
        };
        let command = msrp::Command::Send { session, message };
        let now = self.now;
        // A leg has the connection of its number: each call opens one.
        let wire = self.wires.values_mut().nth(leg).unwrap();
        wire.switch.handle_command(command, now);
        self.run();
        tag
    }

    /// The switch reports on the last message that it has taken.
    pub(crate) fn report(&mut self, leg: usize, status: Status) {
        let (message, octets) = *self.taken_ids.last().unwrap();
        let session = session_id(&self.legs[leg].path);
        let command = msrp::Command::Report {
            session,
            message,
            octets,
            status,
            body: None,
        };
        let now = self.now;
        let wire = self.wires.values_mut().nth(leg).unwrap();
        wire.switch.handle_command(command, now);
        self.run();
    }

    /// What the switch heard for a message.
    pub(crate) fn outcome(&self, tag: MessageTag) -> Option<Result<(), Status>> {
        self.outcomes.get(&tag).copied()
    }

    /// The MSRP connection of a leg breaks.
    pub(crate) fn cut(&mut self, leg: usize) {
        let now = self.now;
        let wire = self.wires.values_mut().nth(leg).unwrap();
        wire.ours.handle_closed(now);
        wire.switch.handle_closed(now);
        self.run();
    }

    pub(super) fn connect(&mut self, connection: ConnectionId) {
        assert_eq!(connection.0 % 2, 0, "the core's connections are even");
        if !self.script.is_reachable {
            let why = mapping::NotConnected::Unreachable;
            return self.gateway.handle_not_connected(connection, why, self.now);
        }
        self.open_wire(connection);
    }

    pub(super) fn open_wire(&mut self, connection: ConnectionId) {
        let limits = msrp::Limits::default();
        let wire = Wire {
            ours: msrp::Connection::new(limits.clone(), [21; 32]),
            switch: msrp::Connection::new(limits, [22; 32]),
            open: true,
            judge: msrp_checker::Judge::default(),
        };
        self.wires.insert(connection, wire);
    }

    /// The switch opens the connection of a leg.
    pub(crate) fn connect_to_gateway(&mut self, leg: usize) {
        let connection = ConnectionId(2 * leg as u64 + 1);
        self.open_wire(connection);
        let Leg { path, theirs, .. } = &self.legs[leg];
        let parameters = SessionParameters {
            local: path.clone(),
            remote: theirs.clone(),
        };
        let wire = self.wires.get_mut(&connection).unwrap();
        wire.switch
            .handle_command(msrp::Command::Open(parameters), self.now);
        self.run();
    }

    pub(super) fn carry_msrp(&mut self) -> bool {
        let mut moved = false;
        let now = self.now;
        let mut events = Vec::new();
        for (connection, wire) in &mut self.wires {
            let mut octets = BytesMut::new();
            while wire.ours.poll_transmit(&mut octets, 65_536, now) {}
            wire.judge.written(&octets);
            assert_eq!(wire.judge.complaint(), None, "the gateway writes unsound MSRP");
            if !octets.is_empty() && !self.silent {
                moved = true;
                wire.switch.handle_bytes(&octets, now);
            }
            octets.clear();
            while wire.switch.poll_transmit(&mut octets, 65_536, now) {}
            if !octets.is_empty() && !self.silent {
                moved = true;
                wire.judge.heard(&octets);
                wire.ours.handle_bytes(&octets, now);
            }
            while let Some(event) = wire.switch.poll_event() {
                moved = true;
                if let msrp::Event::Reported { status, .. } = &event {
                    self.reported.push(status.code());
                }
                let answer = switch_answers(
                    event,
                    &mut self.script,
                    &self.legs,
                    &mut self.nicknames,
                    (&mut self.taken, &mut self.taken_ids),
                    &mut self.outcomes,
                );
                if let Some(command) = answer {
                    wire.switch.handle_command(command, now);
                }
            }
            while let Some(event) = wire.ours.poll_event() {
                moved = true;
                wire.open &= event != msrp::Event::Closed;
                events.push((*connection, event));
            }
        }
        for (connection, event) in events {
            self.gateway.handle_msrp(connection, event, now);
        }
        moved
    }
}

pub(super) fn switch_answers(
    event: msrp::Event,
    script: &mut Script,
    legs: &[Leg],
    nicknames: &mut Vec<String>,
    (taken, taken_ids): (&mut Vec<Cpim>, &mut Vec<(msrp::MessageId, u64)>),
    outcomes: &mut BTreeMap<MessageTag, Result<(), Status>>,
) -> Option<msrp::Command> {
    use msrp::{Command, Event};
    match event {
        Event::BindRequested { session, from } => {
            let leg = legs
                .iter()
                .find(|leg| session_id(&leg.path) == session && leg.theirs == from);
            Some(match leg {
                Some(leg) => Command::Bind(SessionParameters {
                    local: leg.path.clone(),
                    remote: from,
                }),
                None => Command::RefuseBind {
                    session,
                    status: Status::NO_SESSION,
                },
            })
        }
        Event::NicknameRequested { nickname, due, .. } => {
            nicknames.push(nickname);
            let status = script.nicknames.pop_front().unwrap_or(Status::OK);
            Some(Command::Answer { due, status })
        }
        Event::Received { message, due, .. } => {
            let status = script.send?;
            if status.is_success() {
                taken.push(Cpim::parse(&message.body).unwrap());
                taken_ids.push((message.id, message.body.len() as u64));
            }
            Some(Command::Answer { due, status })
        }
        Event::Delivered { tag, .. } => {
            outcomes.insert(tag, Ok(()));
            None
        }
        Event::Failed { tag, status, .. } => {
            outcomes.insert(tag, Err(status));
            None
        }
        _ => None,
    }
}
