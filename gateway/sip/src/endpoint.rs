//! The endpoint: what to send, what happened, when to be called again.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::message::{Header, Headers, Method, NameAddr, StatusCode, Uri};

/// A SIP user agent that can be caller, callee, notifier and subscriber.
///
/// Contract: call `handle_*` with what happened, then drain `poll_transmit`, `poll_resolve` and `poll_event`, then ask
/// `poll_timeout`. `handle_*` is total: nothing a peer sends makes it fail. 100 Trying, retransmissions, ACK, the answers to CANCEL,
/// BYE, OPTIONS, unknown methods and requests outside any dialog are its own business; the owner sees only what he decides.
pub struct Endpoint {
    _config: Config,
}

impl Endpoint {
    /// An endpoint whose tags, branches and Call-IDs come from `seed`.
    #[must_use]
    pub fn new(config: Config, _seed: [u8; 32]) -> Self {
        Self { _config: config }
    }
    /// A complete message (a datagram, or cut out by [`crate::message::StreamDecoder`]) from `flow`.
    pub fn handle_message(&mut self, _flow: Flow, _bytes: Bytes, _now: Instant) {
        todo!()
    }
    /// A stream message over the limits: answered 513 if its head allows.
    pub fn handle_too_large(&mut self, _flow: Flow, _head: Bytes, _now: Instant) {
        todo!()
    }
    /// The shell could not send: the transaction fails over or ends (RFC 3261 §8.1.3.1, §18.4).
    pub fn handle_transmit_failed(&mut self, _id: TransmitId, _now: Instant) {
        todo!()
    }
    /// The answer to [`Endpoint::poll_resolve`]: candidate addresses, best first; empty: there is none.
    pub fn handle_resolved(&mut self, _id: ResolveId, _addresses: Vec<SocketAddr>, _now: Instant) {
        todo!()
    }
    /// A command of the owner. One that names a dialog or subscription already ended is ignored: the event is on its way.
    pub fn handle_command(&mut self, _command: Command, _now: Instant) {
        todo!()
    }
    /// The instant that `poll_timeout` named has come.
    pub fn handle_timeout(&mut self, _now: Instant) {
        todo!()
    }
    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        todo!()
    }
    /// The next host name to look up.
    pub fn poll_resolve(&mut self) -> Option<Resolve> {
        todo!()
    }
    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }
    /// When `handle_timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
    /// Dialogs, subscriptions and transactions held; all zero when everybody has left and 32 s (timer H, J) have passed.
    #[must_use]
    pub fn census(&self) -> (usize, usize, usize) {
        todo!()
    }
}

/// Settings of an endpoint.
#[derive(Debug, Clone)]
pub struct Config {
    /// What we call ourselves in Via and Contact, per transport we listen on. At least one.
    pub local: Vec<LocalAddress>,
    /// Where requests outside a dialog go first, if set: becomes a Route header (`sip:host:port;transport=tcp;lr`).
    pub outbound_proxy: Option<Uri>,
    /// User-Agent and Server header.
    pub product: String,
    /// Bounds.
    pub limits: Limits,
    /// RFC 3261 T1. Default 500 ms.
    pub t1: Duration,
}

/// An advertised address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalAddress {
    /// Transport.
    pub transport: Transport,
    /// Host name or address that peers reach us by.
    pub host: String,
    /// Port that peers reach us by.
    pub port: u16,
}

/// Bounds of the endpoint and of stream framing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a message. Default 64 KiB.
    pub message: usize,
    /// Octets of the start line and header fields. Default 16 KiB.
    pub head: usize,
    /// Octets of one header line. Default 4 KiB.
    pub header_line: usize,
    /// Header lines. Default 128.
    pub headers: usize,
    /// Via header values. Default 32.
    pub vias: usize,
    /// Server transactions held; beyond it new requests get 503 with Retry-After. Default 20 000.
    pub transactions: usize,
    /// Dialogs held; beyond it INVITE and SUBSCRIBE get 503 with Retry-After. Default 10 000.
    pub dialogs: usize,
    /// Subscription lifetimes granted: shorter ones get 423, longer ones are cut. Default 60 s to 3600 s.
    pub subscription: (Duration, Duration),
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 64 * 1024,
            head: 16 * 1024,
            header_line: 4 * 1024,
            headers: 128,
            vias: 32,
            transactions: 20_000,
            dialogs: 10_000,
            subscription: (Duration::from_secs(60), Duration::from_secs(3600)),
        }
    }
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

/// A stream connection of the shell; 0 is never used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u64);

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Transport.
    pub transport: Transport,
    /// The peer's address.
    pub peer: SocketAddr,
    /// The connection; `None` for UDP.
    pub id: Option<FlowId>,
}

/// Names one transmission, for [`Endpoint::handle_transmit_failed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransmitId(pub u64);

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Its name.
    pub id: TransmitId,
    /// Where to.
    pub target: Target,
    /// The octets.
    pub bytes: Bytes,
}

/// Where to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Transport.
    pub transport: Transport,
    /// The connection to prefer, if it is still open (a response goes back where its request came from, RFC 3261 §18.2.2).
    pub flow: Option<FlowId>,
    /// Otherwise an open connection to this address, or a new one.
    pub peer: SocketAddr,
}

/// Names a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResolveId(pub u64);

/// A host to look up (numeric ones never are).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolve {
    /// Its name.
    pub id: ResolveId,
    /// Host name.
    pub host: String,
    /// Port, if the URI has one (then no SRV, RFC 3263 §4.2).
    pub port: Option<u16>,
    /// Transport.
    pub transport: Transport,
}

/// A dialog with an INVITE usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialogId(pub u64);

/// A subscription, ours or a peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub u64);

/// A request that must be answered once, with `Accept`, `AcceptSubscription`, `AcceptRefer`, `AcceptRequest` or `Refuse`. Spent by answering.
#[must_use = "the peer waits for an answer"]
#[derive(Debug, PartialEq, Eq)]
pub struct AnswerDue {
    pub(crate) transaction: u64,
}

/// A typed body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Content-Type.
    pub content_type: String,
    /// Octets.
    pub bytes: Bytes,
}

/// What a request says of its sender and purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Method.
    pub method: Method,
    /// Request-URI.
    pub uri: Uri,
    /// From, without tag.
    pub from: NameAddr,
    /// To, without tag.
    pub to: NameAddr,
    /// First Contact.
    pub contact: Option<NameAddr>,
    /// Call-ID.
    pub call_id: String,
    /// All header fields.
    pub headers: Headers,
    /// Body, if any.
    pub body: Option<Body>,
    /// Where it came from.
    pub flow: Flow,
}

/// Our Contact in a dialog: `<sip:user@host:port;transport=…>;parameters`; host, port and transport are filled in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contact {
    /// User part, unescaped.
    pub user: Option<String>,
    /// Header parameters, such as `isfocus`.
    pub parameters: Vec<(&'static str, Option<String>)>,
}

/// A Reason header (RFC 3326): `SIP;cause=…;text="…"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// A SIP status code.
    pub cause: StatusCode,
    /// Text.
    pub text: String,
}

/// State of a subscription as told in NOTIFY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionState {
    /// Goes on.
    Active,
    /// Not yet decided.
    Pending,
    /// Ended, with the reason token (`noresource`, `timeout`, `deactivated`, …).
    Terminated(String),
}

/// What the readiness of the gateway is, as OPTIONS, INVITE and SUBSCRIBE outside a dialog show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// 200.
    Ready,
    /// 503 with Retry-After in seconds; existing dialogs go on.
    Unavailable {
        /// Seconds.
        retry_after: u32,
    },
}

/// An INVITE of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteParameters {
    /// Request-URI.
    pub uri: Uri,
    /// From.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Contact.
    pub contact: Contact,
    /// Offer.
    pub body: Body,
    /// Further headers.
    pub headers: Vec<Header>,
}

/// A SUBSCRIBE of ours in a dialog of its own (RFC 6665 §4.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeParameters {
    /// Request-URI.
    pub uri: Uri,
    /// From.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Contact.
    pub contact: Contact,
    /// Event package.
    pub event: String,
    /// Accept.
    pub accept: String,
    /// Expires; refreshed by the endpoint until [`Command::Unsubscribe`].
    pub expires: Duration,
}

/// A REFER of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferParameters {
    /// Request-URI.
    pub uri: Uri,
    /// From.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Contact.
    pub contact: Contact,
    /// Refer-To.
    pub refer_to: NameAddr,
}

/// What the owner wants.
#[derive(Debug)]
pub enum Command {
    /// A provisional response to a pending INVITE.
    Ring {
        /// Which.
        dialog: DialogId,
        /// 180 to 199.
        status: StatusCode,
    },
    /// 200 to an INVITE or re-INVITE, retransmitted until its ACK.
    Accept {
        /// The request.
        due: AnswerDue,
        /// Our Contact.
        contact: Contact,
        /// The answer (or the offer, if the INVITE had none).
        body: Body,
    },
    /// 200 with a body or without to a request that is no INVITE (MESSAGE and the like).
    AcceptRequest {
        /// The request.
        due: AnswerDue,
    },
    /// 3xx to 6xx.
    Refuse {
        /// The request.
        due: AnswerDue,
        /// Status.
        status: StatusCode,
        /// Reason phrase; `None`: the usual one. Control characters are removed.
        phrase: Option<String>,
        /// Further headers (Retry-After, Warning, …).
        headers: Vec<Header>,
    },
    /// 200 to a SUBSCRIBE, with the granted time. A `Notify` must follow at once (RFC 6665 §4.2.1.2).
    AcceptSubscription {
        /// The request.
        due: AnswerDue,
        /// Our Contact, if it opens a dialog.
        contact: Contact,
    },
    /// A NOTIFY. Sent in order, the next after the former was answered; while one waits, a later `Notify` is queued
    /// (at most 8, then the subscription is ended).
    Notify {
        /// Which.
        subscription: SubscriptionId,
        /// State.
        state: SubscriptionState,
        /// Document.
        body: Option<Body>,
    },
    /// BYE. A pending INVITE of ours is cancelled instead; a pending one of the peer is answered 480.
    Bye {
        /// Which.
        dialog: DialogId,
        /// Why.
        reason: Option<Reason>,
    },
    /// 200 to a REFER, followed by one NOTIFY that says `100 Trying` and ends the implicit subscription (RFC 7702 §6.5);
    /// with `Refer-Sub: false` no NOTIFY (RFC 4488).
    AcceptRefer {
        /// The request.
        due: AnswerDue,
        /// Our Contact.
        contact: Contact,
    },
    /// Calls. `dialog` is chosen by the caller: even numbers are the owner's, odd ones the endpoint's.
    Invite {
        /// Even.
        dialog: DialogId,
        /// What.
        parameters: Box<InviteParameters>,
    },
    /// Subscribes. `subscription` is even.
    Subscribe {
        /// Even.
        subscription: SubscriptionId,
        /// What.
        parameters: Box<SubscribeParameters>,
    },
    /// Ends a subscription of ours (Expires: 0).
    Unsubscribe {
        /// Which.
        subscription: SubscriptionId,
    },
    /// Refers. The implicit subscription is even, too.
    Refer {
        /// Even.
        subscription: SubscriptionId,
        /// What.
        parameters: Box<ReferParameters>,
    },
    /// Sets what OPTIONS and new INVITEs and SUBSCRIBEs are told.
    SetReadiness(Readiness),
}

/// What happened.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// An INVITE outside any dialog; 100 has been sent.
    Invited {
        /// The dialog to be.
        dialog: DialogId,
        /// The request.
        request: Box<Incoming>,
        /// Owed.
        due: AnswerDue,
    },
    /// A re-INVITE (or an UPDATE with an offer).
    Reinvited {
        /// Which.
        dialog: DialogId,
        /// The request.
        request: Box<Incoming>,
        /// Owed.
        due: AnswerDue,
    },
    /// The peer gave up the pending INVITE: CANCEL 200 and INVITE 487 have been sent; its `due` is void (a command with it is ignored).
    Cancelled {
        /// Which.
        dialog: DialogId,
    },
    /// The ACK to our 200 came.
    Confirmed {
        /// Which.
        dialog: DialogId,
    },
    /// The dialog is over; nothing more is sent in it.
    Ended {
        /// Which.
        dialog: DialogId,
        /// Why.
        cause: EndCause,
    },
    /// A SUBSCRIBE that opens a subscription; Event is one that [`Incoming::headers`] names. `dialog` is the INVITE dialog it came in, if it did.
    Subscribing {
        /// The subscription to be.
        subscription: SubscriptionId,
        /// In-dialog subscription's dialog.
        dialog: Option<DialogId>,
        /// The request.
        request: Box<Incoming>,
        /// Owed.
        due: AnswerDue,
    },
    /// A refresh; answered 200. A full document must be sent with `Notify`.
    SubscriptionRefreshed {
        /// Which.
        subscription: SubscriptionId,
    },
    /// A peer's subscription ended. For `Expired` and `Unsubscribed` the owner sends one last `Notify` with `Terminated`; for the others none.
    SubscriptionEnded {
        /// Which.
        subscription: SubscriptionId,
        /// Why.
        cause: SubscriptionEnd,
    },
    /// A REFER.
    Referred {
        /// The INVITE dialog it came in, if it did.
        dialog: Option<DialogId>,
        /// The request; Refer-To is there once.
        request: Box<Incoming>,
        /// Where to.
        refer_to: NameAddr,
        /// Owed.
        due: AnswerDue,
    },
    /// Any other request that is the owner's to decide (MESSAGE, INFO in a dialog).
    Requested {
        /// The dialog, if it came in one.
        dialog: Option<DialogId>,
        /// The request.
        request: Box<Incoming>,
        /// Owed.
        due: AnswerDue,
    },
    /// A provisional response to our INVITE.
    Progress {
        /// Which.
        dialog: DialogId,
        /// Status.
        status: StatusCode,
    },
    /// Our INVITE was accepted; ACK has been sent.
    Answered {
        /// Which.
        dialog: DialogId,
        /// The peer's Contact.
        contact: Option<NameAddr>,
        /// The answer.
        body: Option<Body>,
    },
    /// Our INVITE was refused; `local` tells a deadline or transport failure of ours (408, 503) from a peer's answer.
    Refused {
        /// Which.
        dialog: DialogId,
        /// Status.
        status: StatusCode,
        /// Reason phrase.
        phrase: String,
        /// Made here.
        local: bool,
    },
    /// Our SUBSCRIBE or REFER was accepted.
    SubscriptionAccepted {
        /// Which.
        subscription: SubscriptionId,
    },
    /// Our SUBSCRIBE or REFER was refused, or the subscription was lost.
    SubscriptionRefused {
        /// Which.
        subscription: SubscriptionId,
        /// Status.
        status: StatusCode,
    },
    /// A NOTIFY for a subscription of ours; answered 200.
    Notified {
        /// Which.
        subscription: SubscriptionId,
        /// State.
        state: SubscriptionState,
        /// Document.
        body: Option<Body>,
    },
}

/// Why a dialog ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndCause {
    /// The peer's BYE, with its Reason.
    Bye(Option<Reason>),
    /// No ACK in 64·T1: BYE was sent.
    NoAck,
    /// A request of ours in the dialog got 481, 408 or no answer.
    Gone,
    /// Our own BYE was answered or timed out.
    ByUs,
}

/// Why a peer's subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionEnd {
    /// Not refreshed.
    Expired,
    /// Expires: 0.
    Unsubscribed,
    /// A NOTIFY was refused or not answered.
    NotifyFailed,
    /// It lived in a dialog that ended.
    DialogEnded,
}
