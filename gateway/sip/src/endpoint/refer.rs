//! REFER from peers (RFC 3515, RFC 4488, RFC 7614).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{
    Endpoint,
    command::{AnswerDue, Body, Contact, DialogId, SubscriptionId, SubscriptionState},
    compose::EventName,
    dialog::{DialogKey, Usage},
    event::Event,
    received::Received,
    referral::REFERRALS_MAX,
    server::{Due, Progress, ReferDue, Reply, ServerId},
    uas::OVERLOAD_RETRY_AFTER,
};
use crate::message::{Headers, NameAddr};

/// RFC 3515 §2.4.5: the body of its NOTIFYs.
const SIPFRAG: &str = "message/sipfrag;version=2.0";
/// How long the outcome of a REFER may take: as long as an INVITE may be unanswered (RFC 3261 §16.6, timer C).
pub(super) const PROGRESS: Duration = Duration::from_secs(180);

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
        let progress = wanted_progress(&received.request.headers);
        if progress == Progress::AskedFor && self.referrals.len() >= REFERRALS_MAX {
            return self.reply(server, Reply::unavailable(OVERLOAD_RETRY_AFTER), now);
        }
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
        self.servers.set_due(
            server,
            Due::Refer(ReferDue {
                dialog: key,
                progress,
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
        let id = self.next_subscription_id();
        self.agree_to_refer(due, server, contact, id, now);
        let over = SubscriptionState::Terminated("noresource".to_owned());
        match due.progress {
            Progress::Implied => {
                self.imply_subscription(id, due.dialog, EventName::refer(due.id), Duration::ZERO, now);
                self.notify(id, over, Some(trying()), now);
            }
            Progress::AskedFor => self.notify(id, over, None, now),
            Progress::Untold => {}
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
        self.agree_to_refer(due, server, contact, subscription, now);
        if due.progress == Progress::Implied {
            self.notify_progress(subscription, due.dialog, EventName::refer(due.id), PROGRESS, now);
            self.notify(subscription, SubscriptionState::Active, Some(trying()), now);
        }
        self.refer_over(due, server);
    }

    fn agree_to_refer(
        &mut self,
        due: ReferDue,
        server: ServerId,
        contact: &Contact,
        id: SubscriptionId,
        now: Instant,
    ) {
        let key = due.dialog;
        if self.open_invite_usage(key).is_none() {
            self.set_contact(key, contact);
        }
        let mut reply = Reply::new(200)
            .opening_dialog()
            .with("Contact", self.contact_of(key));
        match due.progress {
            Progress::Implied => {}
            Progress::AskedFor => reply = reply.with("Refer-Events-At", self.open_referral(id, key, now)),
            Progress::Untold => reply = reply.with("Refer-Sub", "false"),
        }
        self.reply(server, reply, now);
    }

    /// A REFER is answered, or never will be.
    pub(super) fn refer_over(&mut self, due: ReferDue, server: ServerId) {
        self.dialogs.detach(due.dialog, Usage::Refer(server));
    }
}

pub(super) fn trying() -> Body {
    Body {
        content_type: SIPFRAG.to_owned(),
        bytes: Bytes::from_static(b"SIP/2.0 100 Trying\r\n"),
    }
}

fn wanted_progress(headers: &Headers) -> Progress {
    if requires(headers, "explicitsub") {
        Progress::AskedFor
    } else if forgoes_subscription(headers) {
        Progress::Untold
    } else {
        Progress::Implied
    }
}

fn requires(headers: &Headers, option: &str) -> bool {
    headers
        .list("Require")
        .any(|tag| tag.trim().eq_ignore_ascii_case(option))
}

/// Whether no NOTIFYs are wanted or sent: `Refer-Sub: false` (RFC 4488 §4), or `nosub` required (RFC 7614 §5).
pub(super) fn forgoes_subscription(headers: &Headers) -> bool {
    let refer_sub = headers.get("Refer-Sub").unwrap_or_default();
    let is_false = refer_sub
        .split(';')
        .next()
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("false"));
    is_false || requires(headers, "nosub")
}

fn single_refer_to(received: &Received) -> Option<NameAddr> {
    let mut values = received.request.headers.list("Refer-To");
    let value = values.next()?;
    match values.next() {
        None => value.parse().ok(),
        Some(_) => None,
    }
}
