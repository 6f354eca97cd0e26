//! REFER: somebody is to be called in, or removed (RFC 4579 §5.5, §5.11); and the calls that follow.

use std::time::Instant;

use msrp::{SessionId, sdp::Setup};
use sip::{
    AnswerDue, Body, DialogId, Header, Incoming, InviteParameters, NameAddr, StatusCode, SubscriptionEnd,
    SubscriptionId, SubscriptionState, Uri,
};

use super::{Request, Server, calls::contact_of};
use crate::{event::Event, offer::Peer, room::Call};

/// A call of ours that is not answered yet.
#[derive(Debug)]
pub(super) struct Invitation {
    room: String,
    target: Uri,
    session: SessionId,
    /// Who wants to know how it goes.
    follower: Option<SubscriptionId>,
}

impl Server {
    pub(super) fn referred(
        &mut self,
        dialog: Option<DialogId>,
        request: &Incoming,
        refer_to: &NameAddr,
        due: AnswerDue,
        now: Instant,
    ) {
        let name = self.room_name(request);
        let seated = dialog
            .and_then(|dialog| self.by_dialog.get(&dialog))
            .map(|(name, _)| name.clone());
        let name = name.or(seated).unwrap_or_default();
        let by = request.from.uri.address_of_record();
        let removes = self.removes(refer_to);
        let outcome = self.may_refer(&name, dialog, &by);
        let target = without_method(&refer_to.uri);
        let outcome = outcome.and_then(
            |()| match self.rooms.get(&name).map(|room| room.named_by(&target)) {
                Some(found) if removes && found.is_empty() => Err(404),
                found => Ok(found.unwrap_or_default()),
            },
        );
        self.tell(Event::Referred {
            room: name.clone(),
            uri: by.to_string(),
            target: target.to_string(),
            method: if removes { "BYE" } else { "INVITE" }.to_owned(),
            code: outcome.as_ref().err().copied().unwrap_or(200),
        });
        let found = match outcome {
            Ok(found) => found,
            Err(code) => return self.refuse(due, code, Vec::new(), now),
        };
        let follower = SubscriptionId(self.even_number());
        let contact = self.contact(&name);
        let command = sip::Command::FollowRefer {
            due,
            contact,
            subscription: follower,
        };
        self.sip(command, now);
        if removes {
            for id in found {
                self.remove(&(name.clone(), id), None, "booted", now);
            }
            self.conclude(follower, StatusCode(200), "OK", now);
        } else {
            self.invite(&name, target, Some((by, follower)), now);
        }
    }

    fn may_refer(&self, name: &str, dialog: Option<DialogId>, by: &Uri) -> Result<(), u16> {
        if let Some(code) = self.options.quirks.refuse_refer {
            return Err(code);
        }
        if self.options.quirks.own_dialogs_only && dialog.is_some() {
            return Err(403);
        }
        match self.rooms.get(name) {
            Some(room) if room.has(by) => Ok(()),
            Some(_) => Err(403),
            None => Err(404),
        }
    }

    fn removes(&self, refer_to: &NameAddr) -> bool {
        let within = refer_to
            .uri
            .parameter("method")
            .filter(|_| !self.options.quirks.method_outside);
        let method = refer_to.parameter("method").or(within);
        method.is_some_and(|method| method.eq_ignore_ascii_case("BYE"))
    }

    /// The room calls somebody; `by` and his subscription, if one was asked.
    pub(super) fn invite(
        &mut self,
        name: &str,
        target: Uri,
        by: Option<(Uri, SubscriptionId)>,
        now: Instant,
    ) {
        let dialog = DialogId(self.even_number());
        let session = SessionId::random(&mut self.rng);
        let body = self.ours(&session).offer();
        let mut headers = vec![Header {
            name: "Subject".into(),
            value: "Join the conference".to_owned(),
        }];
        headers.extend(by.as_ref().map(|(by, _)| Header {
            name: "Referred-By".into(),
            value: format!("<{by}>"),
        }));
        let parameters = InviteParameters {
            uri: target.clone(),
            from: NameAddr {
                display_name: Some("Conference Call".to_owned()),
                ..NameAddr::new(self.room_uri(name))
            },
            to: NameAddr::new(target.clone()),
            contact: self.contact(name),
            body,
            headers,
        };
        let invitation = Invitation {
            room: name.to_owned(),
            target,
            session,
            follower: by.map(|(_, follower)| follower),
        };
        self.invitations.insert(dialog, invitation);
        let command = sip::Command::Invite {
            dialog,
            parameters: Box::new(parameters),
        };
        self.sip(command, now);
    }

    pub(super) fn invitation_progress(&mut self, dialog: DialogId, status: StatusCode, now: Instant) {
        let follower = self
            .invitations
            .get(&dialog)
            .and_then(|invitation| invitation.follower);
        if let Some(follower) = follower {
            let line = fragment(status, status.reason());
            self.notify_referrer(follower, SubscriptionState::Active, line, now);
        }
    }

    pub(super) fn invitation_answered(
        &mut self,
        dialog: DialogId,
        contact: Option<&NameAddr>,
        body: Option<&Body>,
        now: Instant,
    ) {
        let Some(invitation) = self.invitations.remove(&dialog) else {
            return;
        };
        let secured = self.secured.is_some();
        let reachable = |peer: &Peer| !secured || peer.setup == Some(Setup::Active);
        // We connect without TLS alone.
        let Some(peer) = Peer::read(body, secured).filter(reachable) else {
            self.sip(sip::Command::Bye { dialog, reason: None }, now);
            return self.not_invited(invitation, StatusCode(488), "Not Acceptable Here", now);
        };
        let Invitation {
            room,
            target,
            session,
            follower,
        } = invitation;
        let connects = (peer.setup != Some(Setup::Active)).then(|| {
            let hop = peer.path.first();
            (
                hop.host().to_owned(),
                hop.port().unwrap_or(msrp::uri::RECOMMENDED_PORT),
            )
        });
        let call = Call {
            dialog,
            contact: contact_of(contact, &target),
            local: self.ours(&session).path(),
            remote: peer.path,
            chatroom: peer.chatroom,
            wrapped: peer.wrapped,
            session: session.clone(),
            connection: None,
        };
        self.seat(&room, target.address_of_record(), None, Some(call), now);
        if let Some((host, port)) = connects {
            let id = super::ConnectionId(self.number());
            self.open_link(id);
            self.set_connection(&session, id);
            self.requests.push_back(Request::Connect(id, host, port));
        }
        if let Some(follower) = follower {
            self.conclude(follower, StatusCode(200), "OK", now);
        }
    }

    pub(super) fn invitation_refused(
        &mut self,
        dialog: DialogId,
        status: StatusCode,
        phrase: &str,
        now: Instant,
    ) {
        if let Some(invitation) = self.invitations.remove(&dialog) {
            self.not_invited(invitation, status, phrase, now);
        }
    }

    fn not_invited(&mut self, invitation: Invitation, status: StatusCode, phrase: &str, now: Instant) {
        self.tell(Event::InviteRefused {
            room: invitation.room,
            uri: invitation.target.to_string(),
            code: status.0,
        });
        if let Some(follower) = invitation.follower {
            self.conclude(follower, status, phrase, now);
        }
    }

    /// Nobody follows an invitation any more, or it has taken too long.
    pub(super) fn referral_ended(&mut self, follower: SubscriptionId, cause: SubscriptionEnd, now: Instant) {
        for invitation in self.invitations.values_mut() {
            invitation.follower.take_if(|own| *own == follower);
        }
        match cause {
            SubscriptionEnd::Expired | SubscriptionEnd::Unsubscribed => {
                self.conclude(follower, StatusCode(408), "Request Timeout", now);
            }
            SubscriptionEnd::NotifyFailed | SubscriptionEnd::DialogEnded => {}
        }
    }

    fn conclude(&mut self, follower: SubscriptionId, status: StatusCode, phrase: &str, now: Instant) {
        let phrase = if phrase.is_empty() {
            status.reason()
        } else {
            phrase
        };
        let state = SubscriptionState::Terminated("noresource".to_owned());
        self.notify_referrer(follower, state, fragment(status, phrase), now);
    }

    fn notify_referrer(
        &mut self,
        subscription: SubscriptionId,
        state: SubscriptionState,
        body: Body,
        now: Instant,
    ) {
        let command = sip::Command::Notify {
            subscription,
            state,
            body: Some(body),
        };
        self.sip(command, now);
    }
}

fn fragment(status: StatusCode, phrase: &str) -> Body {
    Body {
        content_type: "message/sipfrag;version=2.0".to_owned(),
        bytes: format!("SIP/2.0 {} {phrase}\r\n", status.0).into(),
    }
}

/// A Refer-To's URI without the `method` that tells what to do with it.
fn without_method(uri: &Uri) -> Uri {
    let kept = uri
        .parameters()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("method"));
    kept.fold(uri.address_of_record(), |bare, (name, _)| {
        let value = uri.parameter_decoded(name).filter(|value| !value.is_empty());
        bare.with_parameter(name, value.as_deref())
    })
}
