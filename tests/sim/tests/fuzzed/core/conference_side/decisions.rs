//! What the core decides: what it asked of focus and switch, and what became of that.

use mapping::ConnectionId;
use msrp::{Command as MsrpCommand, SessionId};
use sip::{Body, Command, DialogId, InviteParameters};
use xmpp::{
    Jid,
    stanza::{Outgoing, service::RoomStanza},
};

use super::{
    super::{Owner, ROOMS, Stage},
    CONFERENCE_SIP, Fate, Visit,
};

impl Stage {
    /// A call to a conference; any other is none of ours.
    pub(in super::super) fn conference_called(
        &mut self,
        dialog: DialogId,
        parameters: &InviteParameters,
    ) -> bool {
        if parameters.uri.host() != CONFERENCE_SIP {
            return false;
        }
        let session = session_of(&parameters.body);
        let user = parameters.uri.user_decoded();
        let visits = &mut self.conferences.visits;
        if let Some(visit) = visits.iter_mut().find(|visit| visit.session == session) {
            visit.dialog = dialog;
            visit.is_answered = false;
            visit.over = false;
        } else {
            visits.push(Visit {
                dialog,
                room: ROOMS
                    .iter()
                    .position(|room| user.as_deref() == Some(*room))
                    .unwrap_or(0),
                session,
                path: String::new(),
                connection: None,
                is_answered: false,
                is_open: false,
                over: false,
            });
        }
        true
    }

    /// An answer to a re-INVITE of a focus, which names our session of now; any other is none of ours.
    pub(in super::super) fn conference_accepted(&mut self, owner: &Owner, body: &Body) -> bool {
        let session = session_of(body);
        let mut calls = self.conferences.calls.iter();
        if let Some((dialog, room, path)) = calls.find(|call| *owner == Owner::Dialog(call.0)) {
            self.conferences.visits.push(Visit {
                dialog: *dialog,
                room: *room,
                session,
                path: path.clone().unwrap_or_default(),
                connection: None,
                is_answered: true,
                is_open: false,
                over: false,
            });
            return true;
        }
        let mut visits = self.conferences.visits.iter_mut();
        let Some(visit) = visits.find(|visit| *owner == Owner::Dialog(visit.dialog)) else {
            return false;
        };
        if visit.session != session {
            visit.session = session;
            visit.connection = None;
            visit.is_open = false;
        }
        true
    }

    pub(in super::super) fn visit_over(&mut self, dialog: DialogId) {
        self.conferences.calls.retain(|call| call.0 != dialog);
        for visit in &mut self.conferences.visits {
            visit.over |= visit.dialog == dialog;
        }
    }

    pub(in super::super) fn conference_sip_command(&mut self, command: Command) {
        match command {
            Command::Subscribe {
                subscription,
                parameters,
            } => {
                let user = parameters.uri.user_decoded();
                let room = ROOMS.iter().position(|room| user.as_deref() == Some(*room));
                self.conferences
                    .watches
                    .push((subscription, room.unwrap_or(0), 0));
            }
            Command::Refer { subscription, .. } => self.conferences.referrals.push(subscription),
            Command::Unsubscribe { subscription } => {
                self.conferences.watches.retain(|(of, ..)| *of != subscription);
                self.conferences.referrals.retain(|of| *of != subscription);
            }
            other => panic!("not of a conference: {other:?}"),
        }
    }

    pub(in super::super) fn conference_msrp_command(
        &mut self,
        connection: ConnectionId,
        command: MsrpCommand,
    ) {
        match command {
            MsrpCommand::Open(parameters) => {
                let remote = parameters.remote.to_string();
                let session = parameters.local.last().session().cloned();
                let mut visits = self.conferences.visits.iter_mut();
                let visit = visits.find(|visit| visit.path == remote);
                let (visit, session) = visit
                    .zip(session)
                    .expect("a session with a switch that has answered");
                // For a switch that has moved it is another one.
                visit.session = session.clone();
                visit.connection = Some(connection);
                visit.is_open = false;
                // Messages need not wait for the answer.
                self.bound.insert((connection, session));
            }
            MsrpCommand::Nickname { session, tag, .. } => {
                let known = self.bound.contains(&(connection, session.clone()));
                assert!(known, "a nickname in a session that is not bound");
                self.conferences.naming.push((connection, session, tag));
            }
            other => panic!("not of a conference: {other:?}"),
        }
    }

    /// The switch opened a session of ours, and was let in.
    pub(in super::super) fn visit_bound(&mut self, connection: ConnectionId, session: &SessionId) {
        let mut visits = self.conferences.visits.iter_mut();
        if let Some(visit) = visits.find(|visit| visit.session == *session) {
            visit.connection = Some(connection);
            visit.is_open = true;
        }
    }

    /// Each message to a room is shown to its sender once at the most, and not after it was refused; what does not leave may be said again.
    pub(in super::super) fn conference_stanza_out(&mut self, stanza: &Outgoing, leaves: bool) {
        let (to, id, fate) = match stanza {
            Outgoing::Room(RoomStanza::Groupchat { to, id: Some(id), .. }) => {
                (Jid::from(to.clone()), id, Fate::Shown)
            }
            Outgoing::Room(RoomStanza::Refused {
                name: "message",
                to,
                id: Some(id),
                ..
            }) => (to.clone(), id, Fate::Refused),
            Outgoing::Room(RoomStanza::Refused {
                name: "iq",
                id: Some(id),
                ..
            })
            | Outgoing::IqResult { id, .. }
            | Outgoing::IqError { id, .. } => return self.answered(id),
            _ => return,
        };
        let mut said = self.conferences.said.iter_mut();
        if let Some((.., known)) = said.find(|(by, of, _)| *by == to && of == id) {
            let fits = match fate {
                Fate::Shown => matches!(known, Fate::Open | Fate::Unsent),
                // A switch may report a failure of what it had taken.
                Fate::Refused => *known != Fate::Refused,
                Fate::Unsent | Fate::Open => false,
            };
            assert!(fits, "{id} of {to} was {known:?} and is now {fate:?}");
            *known = if leaves { fate } else { Fate::Unsent };
        }
    }

    fn answered(&mut self, id: &str) {
        if !id.starts_with("asked") {
            return;
        }
        let place = self.conferences.asked.iter().position(|asked| asked == id);
        let place = place.unwrap_or_else(|| panic!("{id} is answered twice"));
        self.conferences.asked.remove(place);
    }

    /// When all is over, no message to a room is without its end.
    pub(in super::super) fn check_said(&self) {
        let open: Vec<_> = self
            .conferences
            .said
            .iter()
            .filter(|(.., fate)| *fate == Fate::Open)
            .collect();
        assert!(open.is_empty(), "neither shown nor refused: {open:?}");
    }
}

fn session_of(body: &Body) -> SessionId {
    let text = String::from_utf8_lossy(&body.bytes).into_owned();
    let path = text.lines().find_map(|line| line.strip_prefix("a=path:"));
    let path: msrp::Path = path.expect("a path").trim().parse().expect("a path");
    path.last().session().cloned().expect("a session-id")
}
