//! REFER from peers (RFC 3515, RFC 4488).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{
    Endpoint,
    command::{AnswerDue, Body, Contact, DialogId, SubscriptionId, SubscriptionState},
    compose::EventName,
    dialog::{DialogKey, Usage},
    event::Event,
    received::Received,
    server::{Due, ReferDue, Reply, ServerId},
};
use crate::message::NameAddr;

/// RFC 3515 §2.4.5: the body of its NOTIFYs.
const SIPFRAG: &str = "message/sipfrag;version=2.0";
/// How long the outcome of a REFER may take: as long as an INVITE may be unanswered (RFC 3261 §16.6, timer C).
const PROGRESS: Duration = Duration::from_secs(180);

impl Endpoint {
    pub(super) fn handle_refer(
        &mut self,
        received: &Received,
        dialog: Option<(DialogKey, Option<DialogId>)>,
        server: ServerId,
        now: Instant,
    ) {
        let Some(refer_to) = single_refer_to(received) else {
            // RFC 3515 §2.4.2.
            let refusal = Reply::new(400).phrase(Some("Exactly one Refer-To is needed".to_owned()));
            return self.reply(server, refusal, now);
        };
        let (key, invite) = match dialog {
            Some(known) => known,
            None => match self.open_dialog(received, server) {
                Ok(key) => (key, None),
                Err(refusal) => return self.reply(server, refusal, now),
            },
        };
        let Some(dialog) = self.dialogs.get_mut(key) else {
            return;
        };
        dialog.refers = dialog.refers.saturating_add(1);
        // RFC 3515 §2.4.6: only the first in a dialog may go without.
        let id = (dialog.refers > 1).then_some(received.cseq);
        self.dialogs.attach(key, Usage::Refer(server));
        let refer_sub = received.request.headers.get("Refer-Sub").unwrap_or_default();
        let silent = refer_sub
            .split(';')
            .next()
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("false"));
        self.servers.set_due(
            server,
            Due::Refer(ReferDue {
                dialog: key,
                silent,
                id,
            }),
        );
        self.events.push_back(Event::Referred {
            dialog: invite,
            request: received.incoming(),
            refer_to,
            due: AnswerDue {
                transaction: server.0,
            },
        });
    }

    /// 200, and the one NOTIFY.
    pub(super) fn accept_refer(&mut self, due: ReferDue, server: ServerId, contact: &Contact, now: Instant) {
        self.agree_to_refer(due, server, contact, now);
        if !due.silent {
            self.notify_once(due.dialog, EventName::refer(due.id), trying(), now);
        }
        self.refer_over(due, server);
    }

    /// 200, and NOTIFYs until the owner's last one.
    pub(super) fn follow_refer(
        &mut self,
        due: ReferDue,
        server: ServerId,
        contact: &Contact,
        subscription: SubscriptionId,
        now: Instant,
    ) {
        self.agree_to_refer(due, server, contact, now);
        if !due.silent {
            self.notify_progress(subscription, due.dialog, EventName::refer(due.id), PROGRESS, now);
            self.notify(subscription, SubscriptionState::Active, Some(trying()), now);
        }
        self.refer_over(due, server);
    }

    fn agree_to_refer(&mut self, due: ReferDue, server: ServerId, contact: &Contact, now: Instant) {
        let key = due.dialog;
        if self.open_invite_usage(key).is_none() {
            self.set_contact(key, contact);
        }
        let mut reply = Reply::new(200)
            .opening_dialog()
            .with("Contact", self.contact_of(key));
        if due.silent {
            reply = reply.with("Refer-Sub", "false");
        }
        self.reply(server, reply, now);
    }

    /// A REFER is answered, or never will be.
    pub(super) fn refer_over(&mut self, due: ReferDue, server: ServerId) {
        self.dialogs.detach(due.dialog, Usage::Refer(server));
    }
}

fn trying() -> Body {
    Body {
        content_type: SIPFRAG.to_owned(),
        bytes: Bytes::from_static(b"SIP/2.0 100 Trying\r\n"),
    }
}

fn single_refer_to(received: &Received) -> Option<NameAddr> {
    let mut values = received.request.headers.list("Refer-To");
    let value = values.next()?;
    match values.next() {
        None => value.parse().ok(),
        Some(_) => None,
    }
}
