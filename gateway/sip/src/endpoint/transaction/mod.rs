//! The four transaction machines of RFC 3261 §17 with the Accepted states of RFC 6026.
//!
//! A machine holds only its state and its deadlines. It is told what happened and answers with a [`Step`]; the layers above
//! ([`super::client`], [`super::server`]) hold the messages and addresses and carry the step out.

mod invite_client;
mod invite_server;
mod non_invite_client;
mod non_invite_server;

use std::time::{Duration, Instant};

pub(super) use self::{
    invite_client::InviteClient, invite_server::InviteServer, non_invite_client::NonInviteClient,
    non_invite_server::NonInviteServer,
};

/// The longest interval between retransmissions (RFC 3261 §17.1.2.2).
const T2: Duration = Duration::from_secs(4);
/// How long a message may stay in the network (RFC 3261 §17.1.2.2).
const T4: Duration = Duration::from_secs(5);
/// Timer C: how long an INVITE may ring (RFC 3261 §16.6 item 11: more than three minutes).
const TIMER_C: Duration = Duration::from_secs(185);

/// The timer values that follow from T1 and the transport.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    t1: Duration,
    reliable: bool,
}

impl Timing {
    pub(super) fn new(t1: Duration, reliable: bool) -> Self {
        Self { t1, reliable }
    }

    pub(super) fn t1(self) -> Duration {
        self.t1
    }

    /// 64·T1: timers B, F, H, J, L, M and N.
    pub(super) fn patience(self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// The interval that follows `interval`: doubled, at most T2.
    pub(super) fn doubled(interval: Duration) -> Duration {
        interval.saturating_mul(2).min(T2)
    }
}

/// A message that a step sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sends {
    /// The request, again.
    Request,
    /// The ACK to a final response that is no 2xx.
    Ack,
    /// 100: our user is silent for too long, or the INVITE has come again meanwhile.
    Trying,
    /// The last response, again.
    Response,
}

/// A deadline of a client transaction that the layer above must act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    /// Timer B or F: no answer.
    NoAnswer,
    /// Timer C: the peer rings for ever.
    Ringing,
}

/// What a machine asks for after an input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Send this.
    pub(super) sends: Option<Sends>,
    /// Hand the message to the transaction's user.
    pub(super) deliver: bool,
    /// A deadline that the user must hear of.
    pub(super) expired: Option<Expiry>,
    /// Forget the transaction.
    pub(super) over: bool,
}

impl Step {
    /// The input changes nothing.
    const ABSORB: Self = Self {
        sends: None,
        deliver: false,
        expired: None,
        over: false,
    };
    const DELIVER: Self = Self {
        deliver: true,
        ..Self::ABSORB
    };
    const OVER: Self = Self {
        over: true,
        ..Self::ABSORB
    };

    const fn send(sends: Sends) -> Self {
        Self {
            sends: Some(sends),
            ..Self::ABSORB
        }
    }

    const fn expired(expiry: Expiry) -> Self {
        Self {
            expired: Some(expiry),
            ..Self::ABSORB
        }
    }
}

/// A retransmission timer: when it fires next and the interval it waited.
#[derive(Debug, Clone, Copy)]
struct Retransmission {
    at: Instant,
    interval: Duration,
}

impl Retransmission {
    fn first(interval: Duration, now: Instant) -> Self {
        Self {
            at: now + interval,
            interval,
        }
    }

    fn again(&mut self, interval: Duration, now: Instant) {
        *self = Self::first(interval, now);
    }
}

fn earlier(retransmission: Option<Retransmission>, deadline: Option<Instant>) -> Option<Instant> {
    [retransmission.map(|timer| timer.at), deadline]
        .into_iter()
        .flatten()
        .min()
}
