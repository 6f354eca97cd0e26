//! Calls: entering, a new offer within a call, leaving, being removed.

use std::time::Instant;

use jiff::Timestamp;
use msrp::SessionId;
use sip::{AnswerDue, DialogId, EndCause, Header, Incoming, NameAddr, Reason, StatusCode, Uri};

use super::{ROOMS, Seat, Server};
use crate::{
    document::Departure,
    event::Event,
    offer::{Ours, Peer},
    room::{Call, Participant, ParticipantId, Room},
};

impl Server {
    pub(super) fn invited(&mut self, dialog: DialogId, request: &Incoming, due: AnswerDue, now: Instant) {
        if self.options.quirks.silent {
            return; // the obligation lapses with the transaction
        }
        let name = self.room_name(request);
        let uri = request.from.uri.address_of_record();
        match self.admit(name.as_deref(), request) {
            Ok((name, peer)) => {
                let session = SessionId::random(&mut self.rng);
                let ours = self.ours(&session);
                let body = peer.answer(&ours);
                let call = Call {
                    dialog,
                    contact: contact_of(request.contact.as_ref(), &uri),
                    local: ours.path(),
                    remote: peer.path,
                    chatroom: peer.chatroom,
                    wrapped: peer.wrapped,
                    session,
                    connection: None,
                };
                let contact = self.contact(&name);
                self.sip(sip::Command::Accept { due, contact, body }, now);
                self.seat(&name, uri, request.from.display_name.clone(), Some(call), now);
            }
            Err((code, headers)) => {
                self.tell(Event::Refused {
                    room: name.unwrap_or_default(),
                    uri: uri.to_string(),
                    code,
                });
                self.refuse(due, code, headers, now);
            }
        }
    }

    /// Whether a caller may enter, and where.
    fn admit(&self, name: Option<&str>, request: &Incoming) -> Result<(String, Peer), (u16, Vec<Header>)> {
        let refusal = |code| (code, Vec::new());
        let target = self.options.quirks.redirect.as_ref();
        if let Some(target) = target.filter(|target| target.parse() != Ok(request.uri.clone())) {
            let contact = Header {
                name: "Contact".into(),
                value: format!("<{target}>"),
            };
            return Err((302, vec![contact]));
        }
        if let Some(code) = self.options.quirks.refuse {
            return Err(refusal(code));
        }
        let name = name.ok_or(refusal(404))?;
        let is_full = match self.rooms.get(name) {
            Some(room) => room.participants.len() >= self.options.rooms.capacity,
            None => self.rooms.len() >= ROOMS || self.options.rooms.capacity == 0,
        };
        if is_full {
            return Err(refusal(486));
        }
        let peer = Peer::read(request.body.as_ref(), self.secured.is_some()).ok_or(refusal(488))?;
        Ok((name.to_owned(), peer))
    }

    /// Gives somebody a seat in a room, which is there from now on.
    pub(super) fn seat(
        &mut self,
        name: &str,
        uri: Uri,
        display_name: Option<String>,
        call: Option<Call>,
        now: Instant,
    ) -> ParticipantId {
        let id = ParticipantId(self.number());
        if let Some(call) = &call {
            let seat: Seat = (name.to_owned(), id);
            self.by_dialog.insert(call.dialog, seat.clone());
            self.by_session.insert(call.session.clone(), seat);
        }
        self.tell(Event::Entered {
            room: name.to_owned(),
            uri: uri.to_string(),
        });
        let room_uri = self.room_uri(name);
        let subject = &self.options.rooms.subject;
        let room = self
            .rooms
            .entry(name.to_owned())
            .or_insert_with(|| Room::new(room_uri, subject));
        let participant = Participant {
            uri,
            display_name,
            nickname: None,
            entity: String::new(),
            joined: Timestamp::now(),
            call,
        };
        room.participants.insert(id, participant);
        room.set_entity(id, self.options.rooms.entities);
        self.room_changed(name, now);
        id
    }

    /// A new offer: the session stays as it is (deployed servers answer so), unless nothing can be held over it.
    pub(super) fn reinvited(&mut self, dialog: DialogId, request: &Incoming, due: AnswerDue, now: Instant) {
        let Some(seat) = self.by_dialog.get(&dialog).cloned() else {
            return self.refuse(due, 481, Vec::new(), now);
        };
        let session = self.call(&seat).map(|call| call.session.clone());
        match (session, Peer::read(request.body.as_ref(), self.secured.is_some())) {
            (Some(session), Some(peer)) => {
                let ours = self.ours(&session);
                let (local, body) = (ours.path(), peer.answer(&ours));
                let remote = peer.path;
                let contact = self.contact(&seat.0);
                self.sip(sip::Command::Accept { due, contact, body }, now);
                self.redirect_session(&seat, local, remote, now);
            }
            (Some(session), None) if request.body.is_none() => {
                let body = self.ours(&session).offer();
                let contact = self.contact(&seat.0);
                self.sip(sip::Command::Accept { due, contact, body }, now);
            }
            _ => self.refuse(due, 488, Vec::new(), now),
        }
    }

    pub(super) fn dialog_ended(&mut self, dialog: DialogId, cause: &EndCause, now: Instant) {
        if self.invitations.contains_key(&dialog) {
            return self.invitation_refused(dialog, StatusCode(487), "", now);
        }
        let how = match cause {
            EndCause::Bye(_) => "departed",
            EndCause::NoAck => "no_ack",
            EndCause::Gone => "gone",
            EndCause::ByUs => "removed",
        };
        self.call_over(dialog, how, now);
    }

    /// A dialog is gone, and its caller with it, if he had a seat.
    pub(super) fn call_over(&mut self, dialog: DialogId, how: &'static str, now: Instant) {
        if let Some(seat) = self.by_dialog.get(&dialog).cloned() {
            self.unseat(&seat, Departure::Departed, how, now);
        }
    }

    /// Removes somebody: BYE.
    pub(super) fn remove(&mut self, seat: &Seat, reason: Option<&str>, how: &'static str, now: Instant) {
        let dialog = self.call(seat).map(|call| call.dialog);
        self.unseat(seat, Departure::Booted(reason.map(str::to_owned)), how, now);
        if let Some(dialog) = dialog {
            let reason = reason.map(|text| Reason {
                cause: StatusCode(200),
                text: text.to_owned(),
            });
            self.sip(sip::Command::Bye { dialog, reason }, now);
        }
    }

    /// Takes somebody out of his room, and the room away when he was the last.
    pub(super) fn unseat(&mut self, seat: &Seat, departure: Departure, how: &'static str, now: Instant) {
        let (name, id) = seat;
        let Some(room) = self.rooms.get_mut(name) else {
            return;
        };
        let Some(participant) = room.remove(*id, departure) else {
            return;
        };
        if let Some(call) = participant.call {
            self.by_dialog.remove(&call.dialog);
            self.by_session.remove(&call.session);
            self.unbind(call.connection, call.session, now);
        }
        self.tell(Event::Left {
            room: name.clone(),
            uri: participant.uri.to_string(),
            nickname: participant.nickname,
            how,
        });
        self.room_changed(name, now);
        self.forget_watchers(name, now);
    }

    pub(super) fn participant(&self, seat: &Seat) -> Option<&Participant> {
        self.rooms.get(&seat.0)?.participants.get(&seat.1)
    }

    pub(super) fn participant_mut(&mut self, seat: &Seat) -> Option<&mut Participant> {
        self.rooms.get_mut(&seat.0)?.participants.get_mut(&seat.1)
    }

    pub(super) fn call(&self, seat: &Seat) -> Option<&Call> {
        self.participant(seat)?.call.as_ref()
    }

    pub(super) fn ours<'a>(&'a self, session: &'a SessionId) -> Ours<'a> {
        Ours {
            options: &self.options,
            address: self.msrp,
            session,
            secured: self.secured.as_ref(),
        }
    }
}

pub(super) fn contact_of(contact: Option<&NameAddr>, otherwise: &Uri) -> String {
    contact.map_or_else(|| otherwise.to_string(), |contact| contact.uri.to_string())
}
