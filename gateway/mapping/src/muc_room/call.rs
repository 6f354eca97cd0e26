//! RFC 7702 §6.5 the other way round: somebody wants a SIP user in a room, and the room calls him (RFC 4579 §5.5).

use std::time::Instant;

use msrp::SessionId;
use sip::{Body, DialogId, InviteParameters, NameAddr, Reason, StatusCode, Uri, message::Header};
use xmpp::{
    BareJid, Jid,
    stanza::{Message, Outgoing},
};

use super::enter::{Arrival, contact};
use crate::{
    Gateway,
    address::{RoomAddress, sip_user, user_jid, xmpp_user_uri},
    bodies::Bodies,
    config::Password,
    offer::{LocalMedia, PeerMedia},
    refusal::Refusal,
    session::{EarlyBind, SessionKey},
    timers::{Timer, TimerId},
};

/// An invitation of a SIP user, and who hears what becomes of it.
#[derive(Debug, Clone)]
pub(crate) struct Invitation {
    pub(crate) room: RoomAddress,
    /// Who is invited.
    pub(crate) invited: NameAddr,
    /// By whom.
    pub(crate) inviter: Inviter,
    pub(crate) password: Option<Password>,
    pub(crate) reason: Option<String>,
}

/// Who invites.
#[derive(Debug, Clone)]
pub(crate) enum Inviter {
    /// An XMPP user; a refusal goes to him through the room, from this address of ours.
    Xmpp { inviter: Jid, invited: BareJid },
    /// A SIP user in the room, and how others know him.
    Participant { key: SessionKey, known_as: Uri },
}

/// An INVITE of ours that is not answered yet.
#[derive(Debug)]
pub(crate) struct Call {
    invitation: Invitation,
    pub(super) msrp: SessionId,
    description: (u64, u64),
    timer: TimerId,
    /// His client has opened the MSRP session before his answer was here.
    pub(super) early: Option<EarlyBind>,
}

// What asks for a call.
impl Gateway {
    /// A message that invites one of our users: from the room (XEP-0045 §7.8.2), or from somebody directly (XEP-0249). Returns it if
    /// it does not.
    pub(super) fn invited_by_xmpp(&mut self, message: Message, now: Instant) -> Option<Message> {
        let invited = message.to.to_bare();
        let by_room = message.from.resource().is_none();
        let mediated = message
            .muc
            .as_ref()
            .filter(|muc| by_room && !muc.invites.is_empty());
        let (room, inviters, password, reason) = if let Some(muc) = mediated {
            let room = message.from.to_bare();
            let inviters: Vec<Jid> = muc
                .invites
                .iter()
                .map(|invite| invite.from.clone().unwrap_or_else(|| room.clone().into()))
                .collect();
            let reason = muc.invites.iter().find_map(|invite| invite.reason.clone());
            (room, inviters, muc.password.clone(), reason)
        } else if let Some(direct) = &message.extras.invitation {
            (
                direct.room.clone(),
                vec![message.from.clone()],
                direct.password.clone(),
                direct.reason.clone(),
            )
        } else {
            return Some(message);
        };
        for inviter in inviters {
            let by = Inviter::Xmpp {
                inviter: inviter.clone(),
                invited: invited.clone(),
            };
            let password = password.clone().map(Password::new);
            if let Err(why) = self.invite_jid(&room, &invited, by, password, reason.clone(), now) {
                tracing::info!(%room, %invited, ?why, "invitation of a SIP user refused");
                self.decline(&room, &inviter, &invited, why.xmpp().1);
            }
        }
        None
    }

    fn invite_jid(
        &mut self,
        room: &BareJid,
        invited: &BareJid,
        inviter: Inviter,
        password: Option<Password>,
        reason: Option<String>,
        now: Instant,
    ) -> Result<(), Refusal> {
        // Some rooms name an inviter by his nickname: they have judged him themselves.
        if let Inviter::Xmpp { inviter, .. } = &inviter
            && inviter.to_bare() != *room
        {
            let name = inviter.node().map(|node| node.as_str()).unwrap_or_default();
            if !self
                .config
                .access
                .xmpp_users
                .admits(name, inviter.domain().as_str())
            {
                return Err(Refusal::NotAllowed);
            }
        }
        let room = RoomAddress::from_muc(room, &self.config.rooms).ok_or(Refusal::UnservedDomain)?;
        if self.sessions.is_pseudonym(invited) {
            return Err(Refusal::NoSuchUser);
        }
        let user = sip_user(invited, &self.config.components).ok_or(Refusal::NoSuchUser)?;
        self.call_in(
            Invitation {
                room,
                invited: NameAddr::new(user),
                inviter,
                password,
                reason,
            },
            now,
        )
    }

    /// Calls a SIP user into a room: once, as long as he is neither there nor being called.
    pub(super) fn call_in(&mut self, invitation: Invitation, now: Instant) -> Result<(), Refusal> {
        let Invitation { room, invited, .. } = &invitation;
        self.admit_room(room)?;
        if self
            .config
            .rooms
            .iter()
            .any(|domain| crate::address::same_domain(&domain.sip, invited.uri.host()))
        {
            return Err(Refusal::Loop);
        }
        let user = invited.uri.address_of_record();
        self.admit_caller(&user, false)?;
        let component = self.config.component(user.host()).ok_or(Refusal::ForeignUser)?;
        let jid = user_jid(&user, component, "invited")?;
        self.ready_for(jid.domain())?;
        let called = self.calls.values().any(|call| {
            call.invitation.room.muc == room.muc && call.invitation.invited.uri.address_of_record() == user
        });
        if called || self.sessions.of_known_user(&room.muc, &user).next().is_some() {
            return Err(Refusal::AlreadyThere);
        }
        if self.calls.len() >= self.config.limits.calls {
            return Err(Refusal::Limit("calls"));
        }
        self.ring(invitation, now);
        Ok(())
    }

    fn ring(&mut self, invitation: Invitation, now: Instant) {
        let dialog = DialogId(self.next_handle());
        let msrp = self.fresh_session_id();
        let description = (self.fresh_number() >> 2, 1);
        let offer = LocalMedia::new(&self.config, &msrp, description, self.config.msrp.offered())
            .with_typing(self.config.occupants.typing)
            .offer(self.opening());
        let timer = self
            .timers
            .start(now + self.config.limits.ringing, Timer::Ringing(dialog));
        let parameters = Box::new(invite(&invitation, offer));
        tracing::info!(room = %invitation.room.muc, user = %invitation.invited.uri, "calling a SIP user into the room");
        self.calls.insert(
            dialog,
            Call {
                invitation,
                msrp,
                description,
                timer,
                early: None,
            },
        );
        self.sip(sip::Command::Invite { dialog, parameters });
    }
}

// What becomes of it.
impl Gateway {
    /// He has accepted: his way into the room is that of a caller whose INVITE was answered at once.
    pub(crate) fn call_answered(
        &mut self,
        dialog: DialogId,
        contact: Option<&NameAddr>,
        body: Option<&Body>,
        now: Instant,
    ) {
        let Some(call) = self.take_call(dialog) else {
            return;
        };
        match self.arrival(dialog, &call, contact, body) {
            Ok(arrival) => {
                let key = self.arrive(arrival, now);
                self.begin_media(key, now);
                self.admit_early(call.msrp, call.early);
                self.ask_to_enter(key, now);
            }
            Err(why) => {
                self.sip(sip::Command::Bye {
                    dialog,
                    reason: Some(why.reason()),
                });
                self.call_failed(call, why.xmpp().1, now);
            }
        }
    }

    fn call_failed(&mut self, call: Call, why: String, now: Instant) {
        self.refuse_early(call.msrp, call.early);
        self.tell_inviter(&call.invitation, why, now);
    }

    fn arrival(
        &mut self,
        dialog: DialogId,
        call: &Call,
        contact: Option<&NameAddr>,
        body: Option<&Body>,
    ) -> Result<Arrival, Refusal> {
        let description = Bodies::read(body)?
            .description
            .ok_or(Refusal::Offer("An Answer With MSRP Is Needed"))?;
        let peer = PeerMedia::of_answer(&description, self.opening(), self.config.msrp.offered())?;
        let who = self.identity(&call.invitation.invited, contact, false)?;
        self.ready_for(who.jid.domain())?;
        let password = self.password_of_guest(&call.invitation.room.muc, call.invitation.password.clone());
        Ok(Arrival {
            dialog,
            who,
            room: call.invitation.room.clone(),
            msrp: call.msrp.clone(),
            description: call.description,
            peer: Some(peer),
            password,
            guests: Vec::new(),
            inviter: Some(call.invitation.clone()),
            answer: None,
        })
    }

    pub(crate) fn call_refused(&mut self, dialog: DialogId, status: StatusCode, phrase: &str, now: Instant) {
        if let Some(call) = self.take_call(dialog) {
            tracing::info!(room = %call.invitation.room.muc, status = status.0, "the called SIP user does not come");
            self.call_failed(call, why_not(status, phrase), now);
        }
    }

    pub(crate) fn call_not_answered(&mut self, dialog: DialogId, now: Instant) {
        self.give_up_call(dialog, StatusCode(408), "No Answer");
        if let Some(call) = self.take_call(dialog) {
            self.call_failed(call, why_not(StatusCode(408), ""), now);
        }
    }

    /// The gateway stops.
    pub(crate) fn give_up_calls(&mut self, now: Instant) {
        while let Some((dialog, _)) = self.calls.first_key_value() {
            let dialog = *dialog;
            self.give_up_call(dialog, StatusCode(503), "Shutting Down");
            if let Some(call) = self.take_call(dialog) {
                self.call_failed(call, Refusal::Stopping.xmpp().1, now);
            }
        }
    }

    /// The endpoint makes a CANCEL of it as long as nobody has answered.
    fn give_up_call(&mut self, dialog: DialogId, cause: StatusCode, text: &str) {
        self.sip(sip::Command::Bye {
            dialog,
            reason: Some(Reason {
                cause,
                text: text.to_owned(),
            }),
        });
    }

    pub(crate) fn take_call(&mut self, dialog: DialogId) -> Option<Call> {
        let call = self.calls.remove(&dialog)?;
        self.timers.cancel(call.timer);
        Some(call)
    }

    /// Says why somebody does not come: to an XMPP user through the room, to a SIP user in the room.
    pub(super) fn tell_inviter(&mut self, invitation: &Invitation, why: String, now: Instant) {
        let room = &invitation.room.muc;
        match &invitation.inviter {
            Inviter::Xmpp { inviter, invited } => self.decline(room, inviter, invited, why),
            Inviter::Participant { key, .. } => {
                let text = format!("({} does not come: {why})", invitation.invited.uri);
                self.tell_of_room(*key, &text, now);
            }
        }
    }

    fn decline(&mut self, room: &BareJid, inviter: &Jid, invited: &BareJid, reason: String) {
        let id = self.fresh_id();
        self.xmpp(Outgoing::Decline {
            from: invited.clone(),
            room: room.clone(),
            id,
            inviter: inviter.clone(),
            reason,
        });
    }
}

/// From the room, as a focus, on behalf of the inviter (RFC 4579 §5.5, RFC 3892).
fn invite(invitation: &Invitation, offer: Body) -> InviteParameters {
    let inviter = match &invitation.inviter {
        Inviter::Xmpp { inviter, .. } => match inviter.resource() {
            Some(nickname) if inviter.to_bare() == invitation.room.muc => {
                invitation.room.occupant(nickname.as_str())
            }
            _ => xmpp_user_uri(&inviter.to_bare().into()),
        },
        Inviter::Participant { known_as, .. } => known_as.clone(),
    };
    let mut headers = vec![Header {
        name: "Referred-By".into(),
        value: NameAddr::new(inviter).to_string(),
    }];
    headers.extend(invitation.reason.as_ref().map(|reason| Header {
        name: "Subject".into(),
        value: reason.clone(),
    }));
    InviteParameters {
        uri: invitation.invited.uri.clone(),
        from: NameAddr::new(invitation.room.sip.clone()),
        to: invitation.invited.clone(),
        contact: contact(&invitation.room),
        body: offer,
        headers,
    }
}

/// What a refusal of a call means to who invited.
fn why_not(status: StatusCode, phrase: &str) -> String {
    match status.0 {
        486 | 600 => "Busy".to_owned(),
        603 => "Declined".to_owned(),
        408 | 487 => "Does not answer".to_owned(),
        480 => "Not available".to_owned(),
        404 | 604 => "No such user".to_owned(),
        406 | 415 | 488 | 606 => "His client cannot take part in chat rooms".to_owned(),
        code if phrase.trim().is_empty() => format!("Refused ({code})"),
        code => format!("{phrase} ({code})"),
    }
}
