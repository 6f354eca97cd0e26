//! What the owner tells the endpoint.

use std::time::Duration;

use bytes::Bytes;

use crate::message::{Header, NameAddr, StatusCode, Uri};

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

/// Our Contact in a dialog: `<sip:user@host:port;transport=…>;parameters`; host, port and transport are filled in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contact {
    /// User part, unescaped.
    pub user: Option<String>,
    /// Header parameters, such as `isfocus`. A `gr` becomes one of the URI (RFC 5627).
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
    /// Asks for no progress (`Refer-Sub: false`, RFC 4488); a peer may tell it all the same.
    pub silent: bool,
}

/// What the owner wants.
#[derive(Debug)]
pub enum Command {
    /// A provisional response to a pending INVITE, retransmitted when the INVITE is; until its PRACK if the INVITE requires that
    /// (RFC 3262; then [`super::event::Event::Cancelled`] after 64·T1 without one).
    Ring {
        /// Which.
        dialog: DialogId,
        /// 180 to 199; anything else is brought into that range.
        status: StatusCode,
    },
    /// 200 to an INVITE or re-INVITE, retransmitted until its ACK (RFC 3261 §13.3.1.4); or to an UPDATE.
    Accept {
        /// The request.
        due: AnswerDue,
        /// Our Contact.
        contact: Contact,
        /// The answer (or the offer, if the INVITE had none).
        body: Body,
    },
    /// 200 to a request that came with [`super::event::Event::Requested`] (MESSAGE and the like).
    AcceptRequest {
        /// The request.
        due: AnswerDue,
    },
    /// 3xx to 6xx. A `due` answered with a command that does not fit it is refused 500.
    Refuse {
        /// The request.
        due: AnswerDue,
        /// Status; one out of 300 to 699 counts as 500.
        status: StatusCode,
        /// Reason phrase; `None`: the usual one. Control characters are removed.
        phrase: Option<String>,
        /// Further headers (Retry-After, Warning, …); those that the endpoint writes itself are left out, but for the Contact of a 3xx.
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
    /// (at most 8, then the subscription is ended with [`super::event::SubscriptionEnd::NotifyFailed`]). `Terminated` is the last one.
    Notify {
        /// Which.
        subscription: SubscriptionId,
        /// State.
        state: SubscriptionState,
        /// Document.
        body: Option<Body>,
    },
    /// BYE. A pending INVITE of ours is cancelled instead; a pending one of the peer is answered 480. After our 200, BYE waits for
    /// the ACK (RFC 3261 §15). Subscriptions that came in the dialog end with it; a last NOTIFY already given is still sent.
    /// [`super::event::Event::Ended`] follows in each case.
    Bye {
        /// Which.
        dialog: DialogId,
        /// Why.
        reason: Option<Reason>,
    },
    /// A re-INVITE with a new offer (RFC 3261 §14.1). It waits while another INVITE is under way in the dialog, and is tried again, after a
    /// pause drawn at random, when the peer's crosses it (491). [`super::event::Event::Reanswered`] or
    /// [`super::event::Event::ReinviteRefused`] follows, unless the dialog ends. A further one replaces one that waits.
    Reinvite {
        /// Which; ignored unless it is established.
        dialog: DialogId,
        /// The offer.
        body: Body,
    },
    /// 200 to a REFER, followed by one NOTIFY that says `100 Trying` and ends the implicit subscription (RFC 7702 §6.5);
    /// with `Refer-Sub: false` no NOTIFY (RFC 4488), and with `Require: explicitsub` one to whoever asks within 64 s (RFC 7614 §4).
    AcceptRefer {
        /// The request.
        due: AnswerDue,
        /// Our Contact.
        contact: Contact,
    },
    /// 200 to a REFER, followed by a NOTIFY that says `100 Trying`; the owner goes on with `Notify`, whose bodies are
    /// `message/sipfrag`, and ends the implicit subscription with `Terminated` (RFC 3515 §2.4.4). After 180 s without that,
    /// [`super::event::Event::SubscriptionEnded`] comes. With `Refer-Sub: false` there is no NOTIFY, and each `Notify` is ignored;
    /// with `Require: explicitsub` each `Notify` goes to whoever has asked (RFC 7614 §4).
    FollowRefer {
        /// The request.
        due: AnswerDue,
        /// Our Contact.
        contact: Contact,
        /// Even, and none that is in use.
        subscription: SubscriptionId,
    },
    /// Calls. `dialog` is chosen by the caller: even numbers are the owner's, odd ones the endpoint's. One in use is ignored.
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
