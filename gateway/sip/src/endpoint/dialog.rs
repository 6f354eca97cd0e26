//! Dialogs (RFC 3261 §12): identity, sequence numbers, route set and remote target, shared by their usages.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{
    command::{DialogId, SubscriptionId},
    flow::Flow,
    key::Key,
    received::Received,
    route::{Hop, apply_route_set},
    server::ServerId,
};
use crate::message::{CSeq, Headers, Method, NameAddr, Request, Response, Uri, tag_of};

/// A dialog's place in [`Dialogs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DialogKey(u64);

/// What keeps a dialog alive (RFC 5057).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Usage {
    Invite(DialogId),
    Notifier(SubscriptionId),
    Subscriber(SubscriptionId),
    /// A REFER whose answer is due.
    Refer(ServerId),
}

/// One dialog.
#[derive(Debug)]
pub(super) struct Dialog {
    identity: Identity,
    call_id: String,
    /// From of our requests, with our tag.
    local: String,
    /// To of our requests, with the peer's tag.
    remote: String,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    route_set: Vec<NameAddr>,
    remote_target: Uri,
    flow: Flow,
    /// No proxy stood between the peer and us in its last request.
    direct: bool,
    /// Our Contact header value.
    pub(super) contact: String,
    pub(super) usages: BTreeSet<Usage>,
    /// REFERs received: all but the first need an `id` in their NOTIFY (RFC 3515 §2.4.6).
    pub(super) refers: u32,
}

/// Call-ID and tags (RFC 3261 §12).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Identity(Key);

impl Identity {
    fn new(call_id: &str, local_tag: &str, remote_tag: &str) -> Self {
        Self(Key::new(&[call_id, local_tag, remote_tag]))
    }
}

impl Dialog {
    /// The UAS side (RFC 3261 §12.1.1): the route set is Record-Route in order. `None` without a usable Contact or Record-Route.
    pub(super) fn answering(received: &Received, local_tag: &str, contact: String) -> Option<Self> {
        let headers = &received.request.headers;
        let to = headers.get("To").unwrap_or_default();
        Some(Self {
            identity: Identity::new(&received.call_id, local_tag, &received.from_tag),
            call_id: received.call_id.clone(),
            local: [to, ";tag=", local_tag].concat(),
            remote: headers.get("From").unwrap_or_default().to_owned(),
            local_cseq: 0,
            remote_cseq: Some(received.cseq),
            route_set: record_route(headers)?,
            remote_target: reachable(received.contact()?)?,
            flow: received.flow,
            direct: received.is_direct(),
            contact,
            usages: BTreeSet::new(),
            refers: 0,
        })
    }

    /// The UAC side (RFC 3261 §12.1.2): the route set is Record-Route reversed. `None` without To tag, Contact or usable Record-Route.
    pub(super) fn from_response(
        request: &Request,
        response: &Response,
        flow: Flow,
        contact: &str,
    ) -> Option<Self> {
        let to = response.headers.get("To")?;
        let contact_of_peer: NameAddr = response.headers.list("Contact").next()?.parse().ok()?;
        let target = reachable(contact_of_peer)?;
        let mut route_set = record_route(&response.headers)?;
        route_set.reverse();
        Self::calling(
            request,
            tag_of(to)?,
            to.to_owned(),
            target,
            route_set,
            flow,
            contact,
        )
    }

    /// The subscriber's side of a dialog that a NOTIFY opens before the 2xx (RFC 6665 §4.4.1): the route set is the NOTIFY's
    /// Record-Route in order.
    pub(super) fn from_notify(request: &Request, notify: &Received, contact: &str) -> Option<Self> {
        let remote = notify.request.headers.get("From")?.to_owned();
        let routes = record_route(&notify.request.headers)?;
        let target = reachable(notify.contact()?)?;
        let mut dialog = Self::calling(
            request,
            &notify.from_tag,
            remote,
            target,
            routes,
            notify.flow,
            contact,
        )?;
        dialog.remote_cseq = Some(notify.cseq);
        dialog.direct = notify.is_direct();
        Some(dialog)
    }

    fn calling(
        request: &Request,
        remote_tag: &str,
        remote: String,
        remote_target: Uri,
        route_set: Vec<NameAddr>,
        flow: Flow,
        contact: &str,
    ) -> Option<Self> {
        let local = request.headers.get("From")?;
        let cseq: CSeq = request.headers.get("CSeq")?.parse().ok()?;
        let call_id = request.headers.get("Call-ID")?.to_owned();
        Some(Self {
            identity: Identity::new(&call_id, tag_of(local)?, remote_tag),
            call_id,
            local: local.to_owned(),
            remote,
            local_cseq: cseq.number,
            remote_cseq: None,
            route_set,
            remote_target,
            flow,
            direct: false,
            contact: contact.to_owned(),
            usages: BTreeSet::new(),
            refers: 0,
        })
    }

    pub(super) fn flow(&self) -> Flow {
        self.flow
    }

    /// Takes the sequence number of a request of the peer; a gap is legal, going back is not (RFC 3261 §12.2.2).
    pub(super) fn take_cseq(&mut self, cseq: u32) -> bool {
        let in_order = self.remote_cseq.is_none_or(|last| cseq > last);
        if in_order {
            self.remote_cseq = Some(cseq);
        }
        in_order
    }

    /// Takes note of where a request of the peer came from.
    pub(super) fn heard_on(&mut self, received: &Received) {
        self.flow = received.flow;
        self.direct = received.is_direct();
    }

    /// A target refresh request (RFC 3261 §12.2.2).
    pub(super) fn refresh_target(&mut self, contact: Option<NameAddr>) {
        if let Some(target) = contact.and_then(reachable) {
            self.remote_target = target;
        }
    }

    /// The next request of ours, without Via, and where it goes.
    pub(super) fn request(&mut self, method: Method) -> (Request, Hop) {
        let cseq = self.next_cseq();
        self.compose(method, cseq)
    }

    /// The sequence number of the last request of ours.
    pub(super) fn last_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// Leaves sequence numbers out.
    pub(super) fn skip_cseq(&mut self, numbers: u32) {
        self.local_cseq = self.local_cseq.saturating_add(numbers);
    }

    /// Takes the sequence number of the next request of ours.
    pub(super) fn next_cseq(&mut self) -> u32 {
        self.local_cseq = self.local_cseq.saturating_add(1);
        self.local_cseq
    }

    /// The ACK to a 2xx to our INVITE of sequence number `cseq` (RFC 3261 §13.2.2.4).
    pub(super) fn ack(&self, cseq: u32) -> (Request, Hop) {
        self.compose(Method::ACK, cseq)
    }

    fn compose(&self, method: Method, cseq: u32) -> (Request, Hop) {
        let mut request = Request {
            uri: self.remote_target.clone(),
            headers: Headers::default(),
            body: Bytes::new(),
            method,
        };
        let next = apply_route_set(&mut request, &self.remote_target, &self.route_set);
        let hop = Hop::in_dialog(
            &next,
            self.flow,
            self.direct && self.route_set.is_empty(),
            !self.route_set.is_empty(),
        );
        let cseq = format!("{cseq} {}", request.method);
        let headers = &mut request.headers;
        headers.push("Max-Forwards", "70");
        headers.push("From", self.local.as_str());
        headers.push("To", self.remote.as_str());
        headers.push("Call-ID", self.call_id.as_str());
        headers.push("CSeq", cseq);
        (request, hop)
    }
}

/// All dialogs, found by their identity.
#[derive(Debug, Default)]
pub(super) struct Dialogs {
    dialogs: BTreeMap<DialogKey, Box<Dialog>>,
    by_identity: BTreeMap<Identity, DialogKey>,
    last: u64,
}

impl Dialogs {
    /// Stores a dialog; `None` if there is one with its identity already.
    pub(super) fn insert(&mut self, dialog: Dialog) -> Option<DialogKey> {
        if self.by_identity.contains_key(&dialog.identity) {
            return None;
        }
        self.last += 1;
        let key = DialogKey(self.last);
        self.by_identity.insert(dialog.identity.clone(), key);
        self.dialogs.insert(key, Box::new(dialog));
        Some(key)
    }

    /// The dialog of a request of the peer.
    pub(super) fn find(&self, received: &Received) -> Option<DialogKey> {
        let local_tag = received.to_tag.as_deref()?;
        let identity = Identity::new(&received.call_id, local_tag, &received.from_tag);
        self.by_identity.get(&identity).copied()
    }

    /// The dialog that a request of ours belongs to.
    pub(super) fn of_own_request(&mut self, request: &Request) -> Option<&mut Dialog> {
        let headers = &request.headers;
        let (from, to) = (tag_of(headers.get("From")?)?, tag_of(headers.get("To")?)?);
        let identity = Identity::new(headers.get("Call-ID")?, from, to);
        self.get_mut(*self.by_identity.get(&identity)?)
    }

    pub(super) fn get(&self, key: DialogKey) -> Option<&Dialog> {
        self.dialogs.get(&key).map(|dialog| &**dialog)
    }

    pub(super) fn get_mut(&mut self, key: DialogKey) -> Option<&mut Dialog> {
        self.dialogs.get_mut(&key).map(|dialog| &mut **dialog)
    }

    pub(super) fn attach(&mut self, key: DialogKey, usage: Usage) {
        if let Some(dialog) = self.dialogs.get_mut(&key) {
            dialog.usages.insert(usage);
        }
    }

    /// Ends a usage, and the dialog with the last one.
    pub(super) fn detach(&mut self, key: DialogKey, usage: Usage) {
        let Some(dialog) = self.dialogs.get_mut(&key) else {
            return;
        };
        dialog.usages.remove(&usage);
        if dialog.usages.is_empty()
            && let Some(dialog) = self.dialogs.remove(&key)
        {
            self.by_identity.remove(&dialog.identity);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.dialogs.len()
    }
}

/// The URI, if requests can be sent to it: not a `tel:` one.
fn reachable(contact: NameAddr) -> Option<Uri> {
    Some(contact.uri).filter(|uri| !uri.host().is_empty())
}

fn record_route(headers: &Headers) -> Option<Vec<NameAddr>> {
    headers
        .list("Record-Route")
        .map(|value| value.parse().ok())
        .collect()
}
