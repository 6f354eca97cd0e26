//! RFC 7702 §6.5: a SIP user invites others into the room, one by REFER, or several by a list of recipients.

use std::time::Instant;

use sip::{AnswerDue, DialogId, Incoming, NameAddr, Uri, resource_lists::Entry};
use xmpp::stanza::Outgoing;

use super::{
    call::{Invitation, Inviter},
    locate::Guest,
};
use crate::{
    Gateway,
    address::{Party, RoomAddress, party},
    bodies::Bodies,
    refusal::Refusal,
    session::{Phase, SessionKey},
};

impl Gateway {
    /// F55 to F58: REFER becomes a mediated invitation, or a call to a SIP user. How it goes on cannot be known, so the one NOTIFY says
    /// that it is under way.
    pub(crate) fn referred(
        &mut self,
        dialog: Option<DialogId>,
        request: &Incoming,
        refer_to: &NameAddr,
        due: AnswerDue,
        now: Instant,
    ) {
        let key = match self.present_participant(dialog, request) {
            Ok(key) => key,
            Err(refusal) => return self.refuse(due, &refusal),
        };
        let method = refer_to
            .uri
            .parameter("method")
            .or_else(|| refer_to.parameter("method"));
        match method {
            Some("BYE") => self.remove(key, &refer_to.uri, due, now),
            Some("INVITE") | None if refer_to.uri.scheme() == "cid" => {
                let invited = self.invite_listed(key, request, now);
                self.answer_refer(key, due, invited);
            }
            Some("INVITE") | None => {
                let guest = NameAddr::new(refer_to.uri.clone());
                self.invite_address(key, guest, Some(due), now);
            }
            Some(_) => self.refuse(due, &Refusal::NotParticipant),
        }
    }

    fn answer_refer(&mut self, key: SessionKey, due: AnswerDue, invited: Result<(), Refusal>) {
        match invited {
            Ok(()) => {
                let room = self.sessions.get(key).map(|session| session.room.clone());
                let contact = room.map(|room| self.contact(&room)).unwrap_or_default();
                self.sip(sip::Command::AcceptRefer { due, contact });
            }
            Err(refusal) => self.refuse(due, &refusal),
        }
    }

    /// RFC 5368: Refer-To points to a list in the body.
    fn invite_listed(&mut self, key: SessionKey, request: &Incoming, now: Instant) -> Result<(), Refusal> {
        let recipients = Bodies::read(request.body.as_ref())?.recipients;
        if recipients.is_empty() {
            return Err(Refusal::Recipients("No List Of Recipients"));
        }
        if recipients.len() > self.config.limits.recipients {
            return Err(Refusal::Recipients("Too Many Recipients"));
        }
        self.invite_guests(key, recipients, now);
        Ok(())
    }

    /// Everybody on the list once, but for the inviter himself (RFC 5366 §5.2). Whom that cannot be done for he is told.
    pub(super) fn invite_guests(&mut self, key: SessionKey, guests: Vec<Entry>, now: Instant) {
        let mut seen = Vec::new();
        for Entry {
            uri, display_name, ..
        } in guests
        {
            let Ok(address) = uri.parse::<Uri>() else {
                self.tell_not_invited(key, &uri, &Refusal::NoSuchUser, now);
                continue;
            };
            let known = address.address_of_record();
            let himself = self
                .sessions
                .get(key)
                .is_some_and(|session| session.who.user == known);
            if himself || seen.contains(&known) {
                continue;
            }
            seen.push(known);
            let guest = NameAddr {
                display_name,
                ..NameAddr::new(address)
            };
            self.invite_address(key, guest, None, now);
        }
    }

    /// Somebody by his address, whosever that is. `due`: the REFER that names him.
    fn invite_address(&mut self, key: SessionKey, guest: NameAddr, due: Option<AnswerDue>, now: Instant) {
        match party(&guest.uri, &self.config) {
            Ok(Party::ByDns { user, host }) => self.locate(Guest { key, guest, due }, user, &host, now),
            found => self.invite_located(Guest { key, guest, due }, found, now),
        }
    }

    /// It is known whose the address is, or why not.
    pub(super) fn invite_located(&mut self, invited: Guest, found: Result<Party, Refusal>, now: Instant) {
        let Guest { key, guest, due } = invited;
        let outcome = found.and_then(|found| self.invite_party(key, &guest, found, now));
        match (due, outcome) {
            (Some(due), outcome) => self.answer_refer(key, due, outcome),
            (None, Ok(())) => {}
            (None, Err(why)) => self.tell_not_invited(key, &guest.uri.to_string(), &why, now),
        }
    }

    fn tell_not_invited(&mut self, key: SessionKey, whom: &str, why: &Refusal, now: Instant) {
        let text = format!("({whom} is not invited: {})", why.xmpp().1);
        self.tell_of_room(key, &text, now);
    }

    /// An XMPP user is invited through the room, a SIP user is called from it.
    fn invite_party(
        &mut self,
        key: SessionKey,
        guest: &NameAddr,
        found: Party,
        now: Instant,
    ) -> Result<(), Refusal> {
        let id = self.fresh_id();
        let session = self.sessions.get(key).ok_or(Refusal::NotParticipant)?;
        let room = self.rooms.get(&session.room).ok_or(Refusal::NotInRoom)?;
        match found {
            Party::Xmpp(invitee) => {
                let name = invitee.node().map(|node| node.as_str()).unwrap_or_default();
                if !self
                    .config
                    .access
                    .xmpp_users
                    .admits(name, invitee.domain().as_str())
                {
                    return Err(Refusal::NotAllowed);
                }
                let invitation = Outgoing::Invite {
                    from: session.who.jid.clone(),
                    room: session.room.clone(),
                    id,
                    invitee,
                    reason: None,
                };
                self.xmpp(invitation);
                Ok(())
            }
            Party::Sip(uri) => {
                // Who hides his address does so towards whom he invites, too.
                let known_as = if session.who.anonymous {
                    room.address.occupant(&session.nickname)
                } else {
                    session.who.user.clone()
                };
                let invitation = Invitation {
                    room: room.address.clone(),
                    invited: NameAddr { uri, ..guest.clone() },
                    inviter: Inviter::Participant { key, known_as },
                    password: session.password.clone(),
                    reason: None,
                };
                self.call_in(invitation, now)
            }
            Party::ByDns { .. } => Err(Refusal::NotLocated),
        }
    }

    fn present_participant(
        &self,
        dialog: Option<DialogId>,
        request: &Incoming,
    ) -> Result<SessionKey, Refusal> {
        let key = self.participant(dialog, request)?;
        let session = self.sessions.get(key).ok_or(Refusal::NotParticipant)?;
        if matches!(session.phase, Phase::Joined) {
            Ok(key)
        } else {
            Err(Refusal::NotInRoom)
        }
    }

    /// The session that a request belongs to: the one of its dialog, or of its sender in the room that it names.
    pub(super) fn participant(
        &self,
        dialog: Option<DialogId>,
        request: &Incoming,
    ) -> Result<SessionKey, Refusal> {
        if let Some(key) = dialog.and_then(|dialog| self.sessions.of_dialog(dialog)) {
            return Ok(key);
        }
        // The Request-URI may be the Contact that we gave, whose host is not the room's; then To has the room.
        let room = RoomAddress::from_sip(&request.uri, &self.config.rooms)
            .or_else(|_| RoomAddress::from_sip(&request.to.uri, &self.config.rooms))?;
        let sender = self.named(request.identity())?;
        let sessions = || {
            self.sessions
                .in_room(&room.muc)
                .filter(|(_, session)| session.who.is(&sender.uri, request.contact.as_ref()))
        };
        sessions()
            .find(|(_, session)| session.subscriptions.is_empty())
            .or_else(|| sessions().next())
            .map(|(key, _)| key)
            .ok_or(Refusal::NotParticipant)
    }
}
