//! Our own INVITE: forks, ACK, CANCEL (RFC 3261 §9.1, §13.2).

use std::time::Instant;

use super::{
    Endpoint,
    authentication::answers_in,
    client::{ClientId, Failure, Purpose},
    command::{DialogId, InviteParameters, Reason},
    compose,
    dialog::{Dialog, Usage},
    event::Event,
    flow::Flow,
    invite_usage::{InviteUsage, Phase, allows_update},
    received::body_of,
};
use crate::message::{CSeq, Header, Method, NameAddr, Response, StatusCode, tag_of};

/// An INVITE of ours without final answer.
#[derive(Debug)]
pub(super) struct Calling {
    client: Option<ClientId>,
    /// The owner has given it up; with the reason for the BYE if a 2xx crosses the CANCEL.
    given_up: Option<Option<Reason>>,
}

impl Endpoint {
    pub(super) fn call(&mut self, id: DialogId, parameters: InviteParameters, now: Instant) {
        if self.invites.contains_key(&id) {
            return;
        }
        if self.dialogs.len() >= self.config.limits.dialogs {
            self.refused_here(id, StatusCode(503));
            return;
        }
        let InviteParameters {
            uri,
            from,
            to,
            contact,
            body,
            headers,
        } = parameters;
        let (mut request, hop) = self.opening_request(Method::INVITE, uri, from, &to);
        let contact = self.contact_towards(&contact, &hop);
        request.headers.push("Contact", contact);
        request.headers.push("Allow", compose::ALLOW);
        request.headers.push("Supported", compose::SUPPORTED.join(", "));
        self.push_timer(&mut request.headers);
        compose::push_owned(&mut request.headers, headers);
        self.sign(&mut request);
        request.body = compose::push_body(&mut request.headers, Some(body.clone()));
        let calling = Calling {
            client: None,
            given_up: None,
        };
        self.invites
            .insert(id, Box::new(InviteUsage::calling(calling, body)));
        let client = self.send_request(request, hop, Purpose::Invite(id), now);
        if let Some(calling) = self.calling_mut(id) {
            calling.client = Some(client);
        }
    }

    /// The owner gives up an unanswered INVITE of ours.
    pub(super) fn cancel_call(&mut self, id: DialogId, reason: Option<Reason>, now: Instant) {
        let Some(calling) = self.calling_mut(id) else {
            return;
        };
        if calling.given_up.is_some() {
            return;
        }
        calling.given_up = Some(reason.clone());
        let Some(client) = calling.client else {
            return;
        };
        let headers = reason.map(|reason| Header {
            name: "Reason".into(),
            value: compose::reason(&reason),
        });
        if !self.cancel_request(client, headers.into_iter().collect(), now) {
            self.ended_by_us(id);
            self.forget_invite(id);
        }
    }

    pub(super) fn invite_answered(
        &mut self,
        client: ClientId,
        id: DialogId,
        response: &Response,
        flow: Flow,
        now: Instant,
    ) {
        if response.status.is_success() {
            self.invite_accepted(client, id, response, flow, now);
            return;
        }
        let told = !response.status.is_provisional()
            || self.acknowledge_provisional(client, id, response, flow, now);
        let Some(calling) = self.calling_mut(id).filter(|_| told) else {
            return;
        };
        let given_up = calling.given_up.is_some();
        if response.status.is_provisional() {
            if response.status.0 > 100 && !given_up {
                self.events.push_back(Event::Progress {
                    dialog: id,
                    status: response.status,
                });
            }
        } else {
            if given_up {
                self.ended_by_us(id);
            } else {
                self.events.push_back(Event::Refused {
                    dialog: id,
                    status: response.status,
                    phrase: response.reason.clone(),
                    contact: first_contact(response),
                    local: false,
                });
            }
            self.forget_invite(id);
        }
    }

    pub(super) fn invite_failed(&mut self, id: DialogId, failure: Failure) {
        let Some(calling) = self.calling_mut(id) else {
            return;
        };
        if calling.given_up.is_some() {
            self.ended_by_us(id);
        } else {
            self.refused_here(id, failure.status());
        }
        self.forget_invite(id);
    }

    /// A 2xx: the first opens the dialog; a retransmission gets its ACK again; another fork gets ACK and BYE
    /// (RFC 3261 §13.2.2.4).
    fn invite_accepted(
        &mut self,
        client: ClientId,
        id: DialogId,
        response: &Response,
        flow: Flow,
        now: Instant,
    ) {
        let tag = response.headers.get("To").and_then(tag_of).unwrap_or_default();
        if self.clients.has_acknowledged(client, tag) {
            self.repeat_ack(client, tag);
            return;
        }
        let Some(invite) = self
            .clients
            .request(client)
            .filter(|_| self.clients.may_fork(client))
        else {
            return;
        };
        let cseq: Option<CSeq> = invite.headers.get("CSeq").and_then(|value| value.parse().ok());
        let contact = invite.headers.get("Contact").unwrap_or_default();
        let (Some(mut dialog), Some(cseq)) = (Dialog::from_response(invite, response, flow, contact), cseq)
        else {
            return self.unusable_answer(id);
        };
        // Our PRACKs have used numbers of this dialog.
        if let Some(early) = self.invites.get(&id).and_then(|usage| usage.early.get(tag)) {
            dialog.skip_cseq(early.last_cseq().saturating_sub(dialog.last_cseq()));
        }
        let (mut ack, hop) = dialog.ack(cseq.number);
        ack.headers.0.extend(answers_in(invite));
        self.sign(&mut ack);
        self.send_ack(client, tag, ack, hop);
        match self.calling_mut(id) {
            Some(calling) => {
                let given_up = calling.given_up.take();
                self.call_established(id, dialog, response, given_up, now);
            }
            None => self.drop_fork(dialog, now),
        }
    }

    fn call_established(
        &mut self,
        id: DialogId,
        dialog: Dialog,
        response: &Response,
        given_up: Option<Option<Reason>>,
        now: Instant,
    ) {
        let Some(key) = self.dialogs.insert(dialog) else {
            return;
        };
        self.dialogs.attach(key, Usage::Invite(id));
        if let Some(usage) = self.invites.get_mut(&id) {
            usage.dialog = Some(key);
            usage.peer_updates = allows_update(&response.headers);
            usage.phase = match given_up {
                Some(reason) => Phase::Leaving(Some(reason)),
                None => Phase::Established,
            };
        }
        if self.is_leaving(id) {
            self.send_bye_if_due(id, now);
        } else {
            self.take_timer(id, response, now);
            self.events.push_back(Event::Answered {
                dialog: id,
                contact: first_contact(response),
                body: body_of(&response.headers, &response.body),
            });
        }
    }

    fn drop_fork(&mut self, mut dialog: Dialog, now: Instant) {
        let (mut bye, hop) = dialog.request(Method::BYE);
        self.sign(&mut bye);
        self.send_request(bye, hop, Purpose::Nobody, now);
    }

    /// A 2xx that names no dialog (no tag, no usable Contact): nothing can be sent in it.
    fn unusable_answer(&mut self, id: DialogId) {
        if self.calling_mut(id).is_some() {
            self.refused_here(id, StatusCode(502));
            self.forget_invite(id);
        }
    }

    fn refused_here(&mut self, id: DialogId, status: StatusCode) {
        self.events.push_back(Event::Refused {
            dialog: id,
            status,
            phrase: status.reason().to_owned(),
            contact: None,
            local: true,
        });
    }

    fn calling_mut(&mut self, id: DialogId) -> Option<&mut Calling> {
        match self.invites.get_mut(&id).map(|usage| &mut usage.phase) {
            Some(Phase::Calling(calling)) => Some(calling),
            Some(Phase::Incoming | Phase::Established | Phase::Leaving(_)) | None => None,
        }
    }
}

fn first_contact(response: &Response) -> Option<NameAddr> {
    response
        .headers
        .list("Contact")
        .next()
        .and_then(|value| value.parse().ok())
}
