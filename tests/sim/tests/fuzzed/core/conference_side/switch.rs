//! What a switch does and hands on.

use std::time::Duration;

use mapping::{ConnectionId, NotConnected};
use msrp::{Event as MsrpEvent, LostCause, Status};

use super::{
    super::{Script, Stage, USERS, msrp_side::owner},
    focus::conference,
};

impl Stage {
    pub(super) fn switch_opens(&mut self, script: &mut Script<'_>) {
        let stranger = script.chance(32);
        let visit = script.below(self.conferences.visits.len());
        if !self.conferences.visits.is_empty() {
            self.open(visit, stranger);
        }
    }

    /// The session opens, from whichever end.
    pub(super) fn open(&mut self, visit: usize, stranger: bool) {
        let visit = &mut self.conferences.visits[visit];
        let session = visit.session.clone();
        match visit.connection {
            Some(_) if visit.is_open => {}
            Some(connection) if self.bound.contains(&(connection, session.clone())) => {
                visit.is_open = true;
                self.gateway
                    .handle_msrp(connection, MsrpEvent::Opened { session }, self.now);
            }
            Some(_) => {}
            None if visit.path.is_empty() => {}
            None => {
                let path = if stranger {
                    "msrp://127.0.0.8:9/stranger;tcp"
                } else {
                    &visit.path
                };
                let from = path.parse().expect("a path");
                // None of those that SIP users have opened.
                let connection = ConnectionId(self.fresh() * 2 + 101);
                let event = MsrpEvent::BindRequested { session, from };
                self.gateway.handle_msrp(connection, event, self.now);
            }
        }
    }

    pub(super) fn switch_names(&mut self, script: &mut Script<'_>) {
        let place = script.below(self.conferences.naming.len());
        let status = script.pick(&[
            Status::OK,
            Status::NICKNAME_IN_USE,
            Status::MALFORMED_NICKNAME,
            Status::TIMEOUT,
            Status::BAD_REQUEST,
        ]);
        self.name((place < self.conferences.naming.len()).then_some(place), status);
    }

    pub(super) fn name(&mut self, place: Option<usize>, status: Status) {
        let Some(place) = place else { return };
        let (connection, session, tag) = self.conferences.naming.remove(place);
        let event = MsrpEvent::NicknameAnswered { session, tag, status };
        self.gateway.handle_msrp(connection, event, self.now);
    }

    pub(super) fn switch_goes(&mut self, script: &mut Script<'_>) {
        let place = script.below(self.conferences.visits.len());
        let Some(visit) = self.conferences.visits.get(place) else {
            return;
        };
        let Some(connection) = visit.connection else {
            return;
        };
        let session = visit.session.clone();
        let event = match script.below(4) {
            // One of ours that never stood.
            0 if !visit.is_open => {
                self.connection_gone(connection);
                let why = script.pick(&[NotConnected::Unreachable, NotConnected::Untrusted]);
                return self.gateway.handle_not_connected(connection, why, self.now);
            }
            0 => MsrpEvent::Closed,
            1 => MsrpEvent::Eased {
                session: session.clone(),
            },
            _ => MsrpEvent::Lost {
                session: session.clone(),
                cause: LostCause::Silent,
            },
        };
        match &event {
            MsrpEvent::Closed => self.connection_gone(connection),
            MsrpEvent::Lost { .. } => self.session_gone(connection, &session),
            _ => {}
        }
        self.gateway.handle_msrp(connection, event, self.now);
    }

    /// A message of a participant, of a stranger, or of the user himself.
    pub(super) fn switch_speaks(&mut self, script: &mut Script<'_>) {
        let place = script.below(self.conferences.visits.len());
        let Some(visit) = self.conferences.visits.get(place) else {
            return;
        };
        let bound = |connection: &ConnectionId| self.bound.contains(&(*connection, visit.session.clone()));
        let Some(connection) = visit.connection.filter(bound) else {
            return;
        };
        let (session, room) = (visit.session.clone(), visit.room);
        let kind = script.octet();
        let from = match kind % 4 {
            0 => "sip:romeo@example.net".to_owned(),
            1 => script.text(),
            _ => format!("sip:{}@example.org", USERS[script.below(USERS.len())]),
        };
        let to = match kind / 4 % 4 {
            0 => "sip:romeo@example.net".to_owned(),
            1 => script.text(),
            _ => conference(room).to_string(),
        };
        let message = self.cpim_message(&from, &to, kind, script);
        let due = self.mint.msrp();
        self.owe(&due, owner(connection, &session), Duration::ZERO);
        let event = MsrpEvent::Received {
            session,
            message,
            due,
        };
        self.gateway.handle_msrp(connection, event, self.now);
    }
}
