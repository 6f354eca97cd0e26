//! RFC 7702 §6.5: a SIP user invites somebody into the room.

use sip::{AnswerDue, DialogId, Incoming, NameAddr};
use xmpp::stanza::Outgoing;

use crate::{
    Gateway,
    address::{RoomAddress, invitee_jid},
    refusal::Refusal,
    session::{Phase, SessionKey},
};

impl Gateway {
    /// F55 to F58: REFER becomes a mediated invitation. Its progress cannot be known, so the one NOTIFY says that it is under way.
    pub(crate) fn referred(
        &mut self,
        dialog: Option<DialogId>,
        request: &Incoming,
        refer_to: &NameAddr,
        due: AnswerDue,
    ) {
        match self.invitation(dialog, request, refer_to) {
            Ok((invitation, contact)) => {
                self.sip(sip::Command::AcceptRefer { due, contact });
                self.xmpp(invitation);
            }
            Err(refusal) => self.refuse(due, &refusal),
        }
    }

    fn invitation(
        &mut self,
        dialog: Option<DialogId>,
        request: &Incoming,
        refer_to: &NameAddr,
    ) -> Result<(Outgoing, sip::Contact), Refusal> {
        let key = self.participant(dialog, request)?;
        // `method=BYE` would remove somebody: a room leaves that to its moderators.
        let method = refer_to
            .uri
            .parameter("method")
            .or_else(|| refer_to.parameter("method"));
        if method.is_some_and(|method| method != "INVITE") {
            return Err(Refusal::NotParticipant);
        }
        let invitee = invitee_jid(&refer_to.uri, &self.config.components, &self.config.rooms)?;
        let id = self.fresh_id();
        let session = self.sessions.get(key).ok_or(Refusal::NotParticipant)?;
        if !matches!(session.phase, Phase::Joined) {
            return Err(Refusal::NotInRoom);
        }
        let invitation = Outgoing::Invite {
            from: session.jid.clone(),
            room: session.room.clone(),
            id,
            invitee,
            reason: None,
        };
        Ok((invitation, self.contact(&session.room)))
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
        let user = request.from.uri.address_of_record();
        let sessions = || self.sessions.of_user(&room.muc, &user);
        sessions()
            .find(|key| {
                self.sessions
                    .get(*key)
                    .is_some_and(|session| session.subscriptions.is_empty())
            })
            .or_else(|| sessions().next())
            .ok_or(Refusal::NotParticipant)
    }
}
