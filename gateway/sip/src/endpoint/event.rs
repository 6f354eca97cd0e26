//! What the endpoint tells its owner.

use super::{
    command::{AnswerDue, Body, DialogId, Reason, SubscriptionId, SubscriptionState},
    flow::Flow,
};
use crate::message::{Headers, Method, NameAddr, StatusCode, Uri};

/// What a request says of its sender and purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Method.
    pub method: Method,
    /// Request-URI.
    pub uri: Uri,
    /// From, without tag.
    pub from: NameAddr,
    /// The identity that a trusted peer asserts of the sender (P-Asserted-Identity, RFC 3325); never what a stranger wrote there.
    pub asserted: Option<NameAddr>,
    /// The sender asks that others do not learn who he is (Privacy: `id`, `user` or `header`; RFC 3323 §4.2).
    pub anonymous: bool,
    /// To, without tag.
    pub to: NameAddr,
    /// First Contact.
    pub contact: Option<NameAddr>,
    /// Call-ID.
    pub call_id: String,
    /// All header fields, but for P-Asserted-Identity of strangers.
    pub headers: Headers,
    /// Body, if any.
    pub body: Option<Body>,
    /// Where it came from.
    pub flow: Flow,
}

impl Incoming {
    /// Who sent it: the asserted identity, else From.
    #[must_use]
    pub fn identity(&self) -> &NameAddr {
        self.asserted.as_ref().unwrap_or(&self.from)
    }
}

/// What happened.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// An INVITE outside any dialog; 100 follows if it is not answered within 200 ms.
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
    /// The peer gave up the pending INVITE (CANCEL, BYE), or it was not answered within its Expires or 180 s: the INVITE has been
    /// answered 487; its `due` is void (a command with it is ignored) and the dialog gone. A cancelled re-INVITE gives no event: the dialog
    /// goes on, only the `due` is void.
    Cancelled {
        /// Which.
        dialog: DialogId,
    },
    /// The ACK to our 200 to the opening INVITE came; once.
    Confirmed {
        /// Which.
        dialog: DialogId,
        /// The answer, if our 200 had the offer (RFC 3264 §5).
        body: Option<Body>,
    },
    /// The dialog is over; nothing more is sent in it.
    Ended {
        /// Which.
        dialog: DialogId,
        /// Why.
        cause: EndCause,
    },
    /// A SUBSCRIBE that opens a subscription to one of [`crate::Endpoint::serve_packages`] (others are refused 489); [`Incoming::headers`] has Event and
    /// Accept. `dialog` is the INVITE dialog it came in, if it did. A lifetime of zero is a fetch: its acceptance is followed by
    /// [`Event::SubscriptionEnded`] at once.
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
    /// Our re-INVITE was accepted; ACK has been sent.
    Reanswered {
        /// Which.
        dialog: DialogId,
        /// The answer.
        body: Option<Body>,
    },
    /// Our re-INVITE was refused; the session goes on as it was (RFC 3261 §14.1). `local` as in [`Event::Refused`].
    ReinviteRefused {
        /// Which.
        dialog: DialogId,
        /// Status.
        status: StatusCode,
        /// Reason phrase.
        phrase: String,
        /// Made here.
        local: bool,
    },
    /// Our INVITE was refused; `local` tells a deadline or transport failure of ours (408, 503) from a peer's answer.
    Refused {
        /// Which.
        dialog: DialogId,
        /// Status.
        status: StatusCode,
        /// Reason phrase.
        phrase: String,
        /// First Contact: where to instead, if it is a redirection.
        contact: Option<NameAddr>,
        /// Made here.
        local: bool,
    },
    /// Our SUBSCRIBE or REFER was accepted.
    SubscriptionAccepted {
        /// Which.
        subscription: SubscriptionId,
    },
    /// Our SUBSCRIBE or REFER was refused, or the subscription was lost: a refresh was refused, or no NOTIFY came in 64·T1 (408).
    SubscriptionRefused {
        /// Which.
        subscription: SubscriptionId,
        /// Status.
        status: StatusCode,
    },
    /// A NOTIFY that tells how far our REFER has come (RFC 3515 §2.4.5).
    ReferProgress {
        /// Which.
        subscription: SubscriptionId,
        /// What the referred-to party answered last: 100 for nothing yet.
        status: StatusCode,
        /// Its reason phrase.
        phrase: String,
        /// Nothing more is told: the subscription is gone.
        is_over: bool,
    },
    /// Another NOTIFY for a subscription of ours; answered 200. With `Terminated` the subscription is gone.
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
    /// The session was not refreshed in time (RFC 4028), or our refresh got 481, 408 or no answer: BYE was sent. Not told of BYE (see
    /// [`EndCause::ByUs`]) or NOTIFY (it ends only its subscription, see [`SubscriptionEnd::NotifyFailed`]).
    Gone,
    /// The owner's [`super::command::Command::Bye`]: our BYE was answered or timed out, or the pending INVITE was refused or cancelled.
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
