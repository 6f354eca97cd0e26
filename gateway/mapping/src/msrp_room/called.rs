//! RFC 7702 §5.7 the other way round: an XMPP user is wanted in a conference. Its focus calls her (RFC 4579 §5.2), or somebody refers her to it
//! (§5.6); she is invited by the room, and comes by entering it.

use std::{collections::BTreeMap, time::Instant};

use sip::{
    AnswerDue, Body, DialogId, Incoming, NameAddr, StatusCode, SubscriptionEnd, SubscriptionId,
    SubscriptionState,
};
use xmpp::{
    BareJid, Jid,
    stanza::{Condition, Message, MessageKind, StanzaError, service::RoomStanza},
};

use super::{
    address::{is_focus, room_jid},
    enter::{Callee, Wish},
};
use crate::{
    Gateway,
    address::{Party, party, same_domain},
    bodies::Bodies,
    nickname::Nickname,
    offer::{MsrpOffer, Opening},
    refusal::Refusal,
    timers::{Timer, TimerId},
};

/// Characters of a user's words that a focus is told.
const REASON: usize = 200;

/// Invitations of XMPP users that are not answered, by room and user.
pub(crate) type Invitees = BTreeMap<(BareJid, BareJid), Invitee>;

/// An XMPP user who is wanted in a conference.
#[derive(Debug)]
pub(crate) struct Invitee {
    conference: Callee,
    awaited_by: Awaiting,
    timer: TimerId,
}

/// Who waits for the answer.
#[derive(Debug)]
enum Awaiting {
    /// The focus that calls.
    Focus {
        dialog: DialogId,
        due: AnswerDue,
        /// `None`: the offer is to be ours.
        offer: Option<Box<MsrpOffer>>,
    },
    /// Who has sent a REFER.
    Referrer(SubscriptionId),
}

/// What an invitation says.
struct Invitation {
    room: BareJid,
    user: BareJid,
    inviter: Jid,
    reason: Option<String>,
}

// What asks for an invitation.
impl Gateway {
    /// The XMPP user that a request outside the rooms is for; `None` if it is for none.
    pub(crate) fn xmpp_user_of(&self, request: &Incoming) -> Option<BareJid> {
        // The Request-URI may be a Contact of ours; then To has the room.
        let mut rooms = self.config.rooms.iter();
        if rooms.any(|room| same_domain(&room.sip, request.to.uri.host())) {
            return None;
        }
        match party(&request.uri, &self.config).ok()? {
            Party::Xmpp(user) => Some(user),
            // The SIP side has sent it here: whatever DNS would say of the domain, its users are XMPP's.
            Party::ByDns { user, host } => match Party::xmpp(&user, &host) {
                Ok(Party::Xmpp(user)) => Some(user),
                _ => None,
            },
            Party::Sip(_) => None,
        }
    }

    /// An INVITE to an XMPP user. Only conferences are answered: there is no chat between two.
    pub(crate) fn called_by_conference(
        &mut self,
        dialog: DialogId,
        user: &BareJid,
        request: &Incoming,
        due: AnswerDue,
        now: Instant,
    ) {
        match self.call_of_focus(user, request) {
            Ok((invitation, conference, offer)) => {
                self.sip(sip::Command::Ring {
                    dialog,
                    status: StatusCode(180),
                });
                let awaited_by = Awaiting::Focus {
                    dialog,
                    due,
                    offer: offer.map(Box::new),
                };
                self.invite_xmpp(invitation, conference, awaited_by, now);
            }
            Err(refusal) => {
                tracing::info!(%user, ?refusal, "call to an XMPP user refused");
                self.refuse(due, &refusal);
            }
        }
    }

    fn call_of_focus(
        &self,
        user: &BareJid,
        request: &Incoming,
    ) -> Result<(Invitation, Callee, Option<MsrpOffer>), Refusal> {
        if !is_focus(request.contact.as_ref()) {
            return Err(Refusal::UnservedDomain);
        }
        let (room, conference) = self.wanted(request.identity(), user, Refusal::ForeignUser)?;
        let description = Bodies::read(request.body.as_ref())?.description;
        let offer = description
            .map(|sdp| MsrpOffer::read(&sdp, Opening::Preferred, &self.config, None))
            .transpose()?;
        let by = request.headers.get("Referred-By").and_then(|by| by.parse().ok());
        let inviter = by.and_then(|by: NameAddr| self.jid_of(&by.uri));
        let invitation = Invitation {
            inviter: inviter.unwrap_or_else(|| room.clone().into()),
            reason: request.headers.get("Subject").map(str::to_owned),
            room,
            user: user.clone(),
        };
        Ok((invitation, conference, offer))
    }

    /// A REFER to an XMPP user.
    pub(crate) fn referred_to_conference(
        &mut self,
        user: &BareJid,
        request: &Incoming,
        refer_to: &NameAddr,
        due: AnswerDue,
        now: Instant,
    ) {
        match self.referral(user, request, refer_to) {
            Ok((invitation, conference)) => {
                let subscription = SubscriptionId(self.next_handle());
                self.sip(sip::Command::FollowRefer {
                    due,
                    contact: sip::Contact {
                        user: conference.address.user_decoded(),
                        parameters: Vec::new(),
                    },
                    subscription,
                });
                self.invite_xmpp(invitation, conference, Awaiting::Referrer(subscription), now);
            }
            Err(refusal) => {
                tracing::info!(%user, ?refusal, "REFER of an XMPP user refused");
                self.refuse(due, &refusal);
            }
        }
    }

    fn referral(
        &self,
        user: &BareJid,
        request: &Incoming,
        refer_to: &NameAddr,
    ) -> Result<(Invitation, Callee), Refusal> {
        let method = refer_to.uri.parameter("method");
        if method
            .or_else(|| refer_to.parameter("method"))
            .is_some_and(|method| method != "INVITE")
        {
            return Err(Refusal::NotParticipant);
        }
        let referrer = self.named(request.identity())?;
        self.admit_caller(&referrer.uri.address_of_record(), request.anonymous)?;
        let (room, conference) = self.wanted(refer_to, user, Refusal::UnservedDomain)?;
        let inviter = self.jid_of(&referrer.uri).filter(|_| !request.anonymous);
        let invitation = Invitation {
            inviter: inviter.unwrap_or_else(|| room.clone().into()),
            reason: None,
            room,
            user: user.clone(),
        };
        Ok((invitation, conference))
    }

    /// The room that stands for a conference, if this user may be invited into it. `unknown`: it is of no domain of ours.
    fn wanted(
        &self,
        conference: &NameAddr,
        user: &BareJid,
        unknown: Refusal,
    ) -> Result<(BareJid, Callee), Refusal> {
        let uri = conference.uri.address_of_record();
        let mut domains = self.config.conferences.iter();
        let domain = domains.find(|domain| same_domain(&domain.sip, uri.host()));
        let room = room_jid(&uri, domain.ok_or(unknown)?).ok_or(Refusal::NoSuchRoom)?;
        let Callee { address, .. } = self.callable(&room, user)?;
        if !self.is_up(room.domain()) {
            return Err(Refusal::LinkDown);
        }
        let asked = self.invitees.contains_key(&(room.clone(), user.clone()));
        if asked || self.stays.of_account(&room, user).is_some() {
            return Err(Refusal::AlreadyThere);
        }
        if self.calls.len() + self.invitees.len() >= self.config.limits.calls {
            return Err(Refusal::Limit("calls"));
        }
        // As it calls itself: user parts have case, and localparts have none.
        Ok((
            room,
            Callee {
                conference: uri,
                address,
            },
        ))
    }

    fn invite_xmpp(
        &mut self,
        invitation: Invitation,
        conference: Callee,
        awaited_by: Awaiting,
        now: Instant,
    ) {
        let Invitation {
            room,
            user,
            inviter,
            reason,
        } = invitation;
        tracing::info!(%room, %user, "inviting an XMPP user into a conference");
        let key = (room.clone(), user.clone());
        let timer = self.timers.start(
            now + self.config.limits.ringing,
            Timer::Invited(room.clone(), user.clone()),
        );
        let invitee = Invitee {
            conference,
            awaited_by,
            timer,
        };
        self.invitees.insert(key, invitee);
        let id = self.fresh_id();
        self.room(RoomStanza::Invited {
            from: room,
            to: user,
            id,
            inviter,
            reason,
        });
    }
}

// What becomes of it.
impl Gateway {
    /// She enters the room. Returns her wish if nobody waits for her there.
    pub(super) fn comes(&mut self, wish: Wish, nickname: &Nickname, now: Instant) -> Option<Wish> {
        let room = wish.asked.to_bare();
        let user = wish.client.to_bare();
        let Some(invitee) = self.take_invitee(&room, &user) else {
            return Some(wish);
        };
        let conference = invitee.conference;
        match invitee.awaited_by {
            Awaiting::Focus { dialog, due, offer } => {
                let key = self.begin_stay(dialog, wish, nickname.clone(), conference, now);
                self.take_call_of_focus(key, due, offer.map(|offer| *offer));
            }
            Awaiting::Referrer(subscription) => {
                let key = self.call_conference(wish, nickname.clone(), conference, now);
                if let Some(stay) = self.stays.get_mut(key) {
                    stay.referral = Some(subscription);
                }
            }
        }
        None
    }

    /// Her answer to an invitation, if this is one: she declines it, or it did not reach her.
    pub(super) fn answers_invitation(&mut self, message: &Message) -> bool {
        let (room, user) = (message.to.to_bare(), message.from.to_bare());
        let decline = message.muc.as_ref().and_then(|muc| muc.decline.as_ref());
        let words = |text: &Option<String>| text.as_ref().map(|text| text.chars().take(REASON).collect());
        let refusal = match (message.kind, &message.error, decline) {
            // As servers say of who is not there.
            (MessageKind::Error, Some(error), _) if error.condition == Condition::ServiceUnavailable => {
                Refusal::NoAnswer
            }
            (MessageKind::Error, Some(error), _) => Refusal::Room(error.condition, words(&error.text)),
            (MessageKind::Error, None, _) | (_, _, None) => return false,
            (_, _, Some(decline)) => Refusal::Declined(words(&decline.reason)),
        };
        match self.take_invitee(&room, &user) {
            Some(invitee) => {
                self.does_not_come(invitee, &refusal);
                true
            }
            None => false,
        }
    }

    pub(crate) fn invitee_silent(&mut self, room: &BareJid, user: &BareJid) {
        if let Some(invitee) = self.take_invitee(room, user) {
            self.does_not_come(invitee, &Refusal::NoAnswer);
        }
    }

    /// The focus gives up. Nothing takes an invitation back: if she enters later, she calls the conference herself.
    pub(crate) fn focus_gave_up(&mut self, dialog: DialogId) -> bool {
        let by_focus = |invitee: &Invitee| match invitee.awaited_by {
            Awaiting::Focus { dialog: own, .. } => own == dialog,
            Awaiting::Referrer(_) => false,
        };
        self.drop_invitee(by_focus)
    }

    /// Nobody follows a REFER any more, or it has taken too long. An endpoint wants one last word if the subscription is not lost.
    pub(crate) fn referral_ended(&mut self, subscription: SubscriptionId, cause: SubscriptionEnd) {
        let by_referrer = |invitee: &Invitee| match invitee.awaited_by {
            Awaiting::Referrer(own) => own == subscription,
            Awaiting::Focus { .. } => false,
        };
        let known = self.drop_invitee(by_referrer) || self.stays.forget_referral(subscription);
        if known && matches!(cause, SubscriptionEnd::Expired | SubscriptionEnd::Unsubscribed) {
            self.conclude_referral(subscription, StatusCode(408), None);
        }
    }

    /// The link to her server is broken, or the gateway stops: no answer of hers will come. `domain`: of which rooms; `None`: of all.
    pub(crate) fn give_up_invitees(&mut self, domain: Option<&str>, refusal: &Refusal) {
        let of_domain = |room: &BareJid| domain.is_none_or(|domain| room.domain().as_str() == domain);
        let keys: Vec<_> = self
            .invitees
            .keys()
            .filter(|(room, _)| of_domain(room))
            .cloned()
            .collect();
        for (room, user) in keys {
            if let Some(invitee) = self.take_invitee(&room, &user) {
                self.does_not_come(invitee, refusal);
            }
        }
    }

    /// An invitation never left.
    pub(super) fn invitation_unsent(&mut self, room: &BareJid, user: &BareJid) {
        if let Some(invitee) = self.take_invitee(room, user) {
            self.does_not_come(invitee, &Refusal::LinkDown);
        }
    }

    fn does_not_come(&mut self, invitee: Invitee, refusal: &Refusal) {
        match invitee.awaited_by {
            Awaiting::Focus { due, .. } => self.refuse(due, refusal),
            Awaiting::Referrer(subscription) => {
                let sip = refusal.sip();
                self.conclude_referral(subscription, sip.status, sip.phrase.as_deref());
            }
        }
    }

    /// What a REFER came to, and the end of its subscription (RFC 3515 §2.4.5).
    pub(super) fn conclude_referral(
        &mut self,
        subscription: SubscriptionId,
        status: StatusCode,
        phrase: Option<&str>,
    ) {
        let phrase = phrase.unwrap_or_else(|| status.reason());
        let line: String = phrase.chars().filter(|c| !c.is_control()).collect();
        self.sip(sip::Command::Notify {
            subscription,
            state: SubscriptionState::Terminated("noresource".to_owned()),
            body: Some(Body {
                content_type: "message/sipfrag;version=2.0".to_owned(),
                bytes: format!("SIP/2.0 {} {line}\r\n", status.0).into(),
            }),
        });
    }

    /// A stay is over before its user was in, who was referred to it.
    pub(super) fn referral_failed(&mut self, subscription: SubscriptionId, error: &StanzaError) {
        let why = Refusal::Room(error.condition, error.text.clone()).sip();
        self.conclude_referral(subscription, why.status, why.phrase.as_deref());
    }

    fn take_invitee(&mut self, room: &BareJid, user: &BareJid) -> Option<Invitee> {
        let invitee = self.invitees.remove(&(room.clone(), user.clone()))?;
        self.timers.cancel(invitee.timer);
        Some(invitee)
    }

    fn drop_invitee(&mut self, is_meant: impl Fn(&Invitee) -> bool) -> bool {
        let meant = self.invitees.iter().find(|(_, invitee)| is_meant(invitee));
        let key = meant.map(|(key, _)| key.clone());
        key.is_some_and(|(room, user)| self.take_invitee(&room, &user).is_some())
    }
}
