//! The INVITE server transaction (RFC 3261 §17.2.1, RFC 6026 §7.1): timers G, H, I and L.

use std::time::{Duration, Instant};

use super::{Retransmission, Sends, Step, T4, Timing, earlier};
use crate::message::StatusCode;

/// How long the caller may hear nothing: then 100 says that the INVITE has come.
const SILENCE_MAX: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(in crate::endpoint) struct InviteServer {
    state: State,
    timing: Timing,
    /// Timer G.
    retransmission: Option<Retransmission>,
    /// When 100 is due, or timer H, I or L, as the state has it; none while the INVITE has provisional responses only.
    deadline: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Proceeding, before any response.
    Silent,
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
}

impl InviteServer {
    pub(in crate::endpoint) fn new(timing: Timing, now: Instant) -> Self {
        Self {
            state: State::Silent,
            timing,
            retransmission: None,
            deadline: Some(now + SILENCE_MAX),
        }
    }

    /// Our user has just sent this response.
    pub(in crate::endpoint) fn respond(&mut self, status: StatusCode, now: Instant) {
        if status.is_provisional() {
            self.state = State::Proceeding;
            self.deadline = None;
            return;
        }
        self.deadline = Some(now + self.timing.patience());
        if status.is_success() {
            // RFC 6026 §7.1: the user retransmits the 2xx, the transaction only absorbs the INVITE's retransmissions.
            self.state = State::Accepted;
        } else {
            self.state = State::Completed;
            self.retransmission = (!self.timing.reliable).then(|| Retransmission::first(self.timing.t1, now));
        }
    }

    /// The INVITE came again.
    pub(in crate::endpoint) fn handle_retransmission(&self) -> Step {
        match self.state {
            State::Silent => Step::send(Sends::Trying),
            State::Proceeding | State::Completed => Step::send(Sends::Response),
            State::Confirmed | State::Accepted => Step::ABSORB,
        }
    }

    /// An ACK that matches this transaction.
    pub(in crate::endpoint) fn handle_ack(&mut self, now: Instant) -> Step {
        match self.state {
            State::Completed => {
                self.state = State::Confirmed;
                self.retransmission = None;
                self.deadline = Some(now + T4);
                Step {
                    // Timer I is zero on a reliable transport.
                    over: self.timing.reliable,
                    ..Step::ABSORB
                }
            }
            State::Accepted => Step::DELIVER,
            State::Silent | State::Proceeding | State::Confirmed => Step::ABSORB,
        }
    }

    pub(in crate::endpoint) fn handle_timeout(&mut self, now: Instant) -> Step {
        if self.deadline.is_some_and(|at| at <= now) {
            return match self.state {
                State::Silent => Step::send(Sends::Trying),
                State::Proceeding | State::Completed | State::Confirmed | State::Accepted => Step::OVER,
            };
        }
        match &mut self.retransmission {
            Some(timer) if timer.at <= now => {
                let interval = Timing::doubled(timer.interval);
                timer.again(interval, now);
                Step::send(Sends::Response)
            }
            _ => Step::ABSORB,
        }
    }

    pub(in crate::endpoint) fn poll_timeout(&self) -> Option<Instant> {
        earlier(self.retransmission, self.deadline)
    }
}
