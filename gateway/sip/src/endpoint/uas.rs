//! What every request meets before its usage does (RFC 3261 §8.2, §12.2.2).

use std::time::Instant;

use super::{
    Endpoint,
    command::{AnswerDue, Contact, DialogId},
    compose,
    config::LocalAddress,
    dialog::{Dialog, DialogKey},
    event::Event,
    flow::Flow,
    received::Received,
    route::local_address,
    server::{Due, Reply, ServerId},
    trust::Admittance,
};
use crate::{
    endpoint::command::Readiness,
    message::{Method, Request, sent_by},
};

/// Seconds after which a peer that met a limit may try again.
pub(super) const OVERLOAD_RETRY_AFTER: u32 = 5;

/// Methods that are known and refused everywhere: 405, not 501.
const NOT_ALLOWED: [Method; 2] = [Method::REGISTER, Method::PUBLISH];
/// Methods whose CANCEL finds a transaction and changes nothing (RFC 3261 §9.2).
const NOT_CANCELLABLE: [Method; 8] = [
    Method::BYE,
    Method::OPTIONS,
    Method::SUBSCRIBE,
    Method::NOTIFY,
    Method::REFER,
    Method::MESSAGE,
    Method::UPDATE,
    Method::INFO,
];

impl Endpoint {
    pub(super) fn handle_request(&mut self, mut request: Request, flow: Flow, now: Instant) {
        self.disbelieve_strangers(&mut request.headers, flow);
        let Some(received) = Received::read(request, flow) else {
            return;
        };
        self.note_alias(&received);
        if *received.method() == Method::ACK {
            self.handle_ack(&received, now);
            return;
        }
        let key = received.key(received.method());
        if let Some(id) = self.servers.find(&key) {
            self.handle_request_retransmission(id, now);
            return;
        }
        let dialog = self.dialogs.find(&received);
        match self.screen_source(&received, dialog, now) {
            Admittance::Served => {}
            Admittance::Refused(reply) => return self.reply_statelessly(&received, reply),
            Admittance::Ignored => return,
        }
        if self.servers.len() >= self.transaction_limit(received.method()) {
            self.reply_statelessly(&received, Reply::unavailable(OVERLOAD_RETRY_AFTER));
            return;
        }
        let id = self.open_server(&received, key, now);
        if *received.method() == Method::CANCEL {
            self.handle_cancel(&received, id, now);
        } else if let Some(refusal) = self.screen(&received, id) {
            self.reply(id, refusal, now);
        } else if let Some(dialog) = dialog {
            self.handle_in_dialog(&received, dialog, id, now);
        } else if received.to_tag.is_some() {
            self.handle_stray(&received, id, now);
        } else {
            self.handle_outside_dialog(received, id, now);
        }
    }

    /// What ends something may use an eighth more: refusing it would keep the load up.
    fn transaction_limit(&self, method: &Method) -> usize {
        let limit = self.config.limits.transactions;
        match *method {
            Method::BYE | Method::CANCEL => limit.saturating_add(limit / 8),
            _ => limit,
        }
    }

    /// Whether a request has our own Via: it was ours, and somebody has sent it back (RFC 5393 §4.2).
    fn has_sent(&self, received: &Received) -> bool {
        let vias = received.request.headers.list("Via");
        vias.filter_map(sent_by).any(|(host, port)| {
            let is_ours = |own: &LocalAddress| {
                own.port == port.unwrap_or(own.transport.default_port())
                    && own.host.eq_ignore_ascii_case(&host)
            };
            self.config.local.iter().any(is_ours)
        })
    }

    /// Method, loops, merged requests, Require, Content-Encoding: in the order of RFC 3261 §8.2.
    fn screen(&self, received: &Received, id: ServerId) -> Option<Reply> {
        let method = received.method();
        if NOT_ALLOWED.contains(method) {
            return Some(Reply::new(405).with("Allow", compose::ALLOW));
        }
        let is_known = compose::ALLOW
            .split(',')
            .any(|known| known.trim_start() == method.as_str());
        if !is_known {
            return Some(Reply::new(501).with("Allow", compose::ALLOW));
        }
        if received.to_tag.is_none() && (self.servers.is_merged(id) || self.has_sent(received)) {
            return Some(Reply::new(482));
        }
        let headers = &received.request.headers;
        let unsupported: Vec<&str> = headers
            .list("Require")
            .filter(|tag| {
                !tag.is_empty()
                    && !compose::SUPPORTED
                        .iter()
                        .any(|known| known.eq_ignore_ascii_case(tag))
            })
            .collect();
        if !unsupported.is_empty() {
            return Some(Reply::new(420).with("Unsupported", unsupported.join(", ")));
        }
        let encoded = headers
            .list("Content-Encoding")
            .any(|coding| !coding.eq_ignore_ascii_case("identity"));
        if encoded && !received.request.body.is_empty() {
            return Some(Reply::new(415).with("Accept-Encoding", "identity"));
        }
        None
    }

    fn handle_in_dialog(&mut self, received: &Received, key: DialogKey, id: ServerId, now: Instant) {
        let Some(dialog) = self.dialogs.get_mut(key) else {
            return;
        };
        if !dialog.take_cseq(received.cseq) {
            self.reply(
                id,
                Reply::new(500).phrase(Some("CSeq out of order".to_owned())),
                now,
            );
            return;
        }
        dialog.heard_on(received);
        let invite = self.open_invite_usage(key);
        let opens_usage = matches!(*received.method(), Method::SUBSCRIBE | Method::REFER);
        if opens_usage && invite.is_none() && self.invite_usage(key).is_some() {
            // We are on our way out of this dialog.
            self.reply(id, Reply::new(481), now);
            return;
        }
        match (received.method(), invite) {
            (&Method::INVITE, Some(invite)) => self.handle_reinvite(received, invite, id, now),
            (&Method::UPDATE, Some(invite)) => self.handle_update(received, invite, id, now),
            (&Method::PRACK, Some(invite)) => self.handle_prack(received, invite, id, now),
            (&Method::BYE, _) => self.handle_bye(received, key, id, now),
            (&Method::SUBSCRIBE, invite) => {
                self.handle_subscribe_in_dialog(received, key, invite, id, now);
            }
            (&Method::NOTIFY, _) => self.handle_notify(received, Some(key), id, now),
            (&Method::REFER, invite) => self.handle_refer(received, Some((key, invite)), id, now),
            (&Method::OPTIONS, _) => self.handle_options(false, id, now),
            (&(Method::INFO | Method::MESSAGE), Some(invite)) => {
                self.ask(received, Some(invite), id);
            }
            _ => self.reply(id, Reply::new(481), now),
        }
    }

    fn handle_outside_dialog(&mut self, received: Received, id: ServerId, now: Instant) {
        match *received.method() {
            Method::INVITE => self.handle_invite(received, id, now),
            Method::SUBSCRIBE => self.handle_subscribe(&received, id, now),
            Method::REFER => self.handle_refer(&received, None, id, now),
            Method::OPTIONS => self.handle_options(true, id, now),
            Method::MESSAGE => self.ask(&received, None, id),
            _ => self.reply(id, Reply::new(481), now),
        }
    }

    /// A To tag of no dialog: a NOTIFY may come before the 2xx to its SUBSCRIBE (RFC 6665 §4.4.1), anything else is lost.
    fn handle_stray(&mut self, received: &Received, id: ServerId, now: Instant) {
        if *received.method() == Method::NOTIFY {
            self.handle_notify(received, None, id, now);
        } else {
            self.reply(id, Reply::new(481), now);
        }
    }

    /// RFC 3261 §11.2: as an INVITE would be answered.
    fn handle_options(&mut self, outside_dialog: bool, id: ServerId, now: Instant) {
        let reply = match self.readiness {
            Readiness::Unavailable { retry_after } if outside_dialog => Reply::unavailable(retry_after),
            Readiness::Unavailable { .. } | Readiness::Ready => Reply::new(200)
                .with("Allow", compose::ALLOW)
                .with("Accept", compose::ACCEPT)
                .with("Supported", compose::SUPPORTED.join(", "))
                .with("Allow-Events", self.allow_events()),
        };
        self.reply(id, reply, now);
    }

    fn ask(&mut self, received: &Received, dialog: Option<DialogId>, id: ServerId) {
        self.servers.set_due(id, Due::Request);
        self.events.push_back(Event::Requested {
            dialog,
            request: received.incoming(),
            due: AnswerDue { transaction: id.0 },
        });
    }

    fn handle_cancel(&mut self, received: &Received, id: ServerId, now: Instant) {
        let invite = self.servers.find(&received.key(&Method::INVITE));
        let other = || {
            NOT_CANCELLABLE
                .into_iter()
                .find_map(|method| self.servers.find(&received.key(&method)))
        };
        let Some(cancelled) = invite.or_else(other) else {
            self.reply(id, Reply::new(481), now);
            return;
        };
        self.servers.share_to_tag(cancelled, id);
        self.reply(id, Reply::new(200), now);
        match self.servers.due(cancelled) {
            Some(Due::Invite(dialog, _)) => self.invite_cancelled(dialog, cancelled, now),
            Some(Due::Reinvite(dialog, _)) => self.reinvite_cancelled(dialog, cancelled, now),
            Some(Due::Update(_) | Due::Subscribe(_) | Due::Refer(_) | Due::Request) | None => {}
        }
    }

    /// Opens a dialog for an INVITE, SUBSCRIBE or REFER outside one.
    ///
    /// # Errors
    /// The reply that refuses the request.
    pub(super) fn open_dialog(&mut self, received: &Received, id: ServerId) -> Result<DialogKey, Reply> {
        if let Readiness::Unavailable { retry_after } = self.readiness
            && *received.method() != Method::REFER
        {
            return Err(Reply::unavailable(retry_after));
        }
        if self.dialogs.len() >= self.config.limits.dialogs {
            return Err(Reply::unavailable(OVERLOAD_RETRY_AFTER));
        }
        let contact = Contact {
            user: received.request.uri.user_decoded(),
            parameters: Vec::new(),
        };
        let contact = compose::contact(&contact, &local_address(&self.config, received.flow.transport));
        let tag = self.servers.to_tag(id).unwrap_or_default();
        let dialog = Dialog::answering(received, tag, contact).ok_or_else(|| {
            Reply::new(400).phrase(Some("Contact or Record-Route missing or malformed".to_owned()))
        })?;
        self.dialogs.insert(dialog).ok_or_else(|| Reply::new(482))
    }

    /// Takes the owner's Contact for a dialog.
    pub(super) fn set_contact(&mut self, key: DialogKey, contact: &Contact) {
        if let Some(dialog) = self.dialogs.get_mut(key) {
            dialog.contact = compose::contact(contact, &local_address(&self.config, dialog.flow().transport));
        }
    }

    pub(super) fn contact_of(&self, key: DialogKey) -> String {
        self.dialogs
            .get(key)
            .map(|dialog| dialog.contact.clone())
            .unwrap_or_default()
    }
}
