//! RFC 7702 §6.5: a SIP user invites others into the room, one by REFER, or several by a list of recipients.

use std::{collections::BTreeSet, time::Instant};

use sip::{AnswerDue, DialogId, Incoming, NameAddr, Uri, resource_lists::Entry};
use xmpp::stanza::Outgoing;

use super::call::{Invitation, Inviter};
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
        let invited = match method {
            Some("BYE") => return self.remove(key, &refer_to.uri, due, now),
            Some("INVITE") | None if refer_to.uri.scheme() == "cid" => self.invite_listed(key, request, now),
            Some("INVITE") | None => self.invite_address(key, &NameAddr::new(refer_to.uri.clone()), now),
            Some(_) => Err(Refusal::NotParticipant),
        };
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
        let mut seen = BTreeSet::new();
        for Entry {
            uri, display_name, ..
        } in guests
        {
            let invited = uri
                .parse::<Uri>()
                .map_err(|_| Refusal::NoSuchUser)
                .and_then(|uri| {
                    let guest = NameAddr {
                        display_name,
                        ..NameAddr::new(uri)
                    };
                    let again = !seen.insert(guest.uri.address_of_record().to_string());
                    let himself = self
                        .sessions
                        .get(key)
                        .is_some_and(|session| session.who.user == guest.uri.address_of_record());
                    if again || himself {
                        return Ok(());
                    }
                    self.invite_address(key, &guest, now)
                });
            if let Err(why) = invited {
                self.tell_of_room(key, &format!("({uri} is not invited: {})", why.xmpp().1), now);
            }
        }
    }

    /// An XMPP user is invited through the room, a SIP user is called from it.
    fn invite_address(&mut self, key: SessionKey, guest: &NameAddr, now: Instant) -> Result<(), Refusal> {
        let found = party(&guest.uri, &self.config)?;
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
