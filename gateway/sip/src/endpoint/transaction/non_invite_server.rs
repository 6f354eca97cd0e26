//! The server transaction of every other method (RFC 3261 §17.2.2): timer J.

use std::time::Instant;

use super::{Sends, Step, Timing};
use crate::message::StatusCode;

#[derive(Debug)]
pub(in crate::endpoint) struct NonInviteServer {
    state: State,
    timing: Timing,
    /// Until answered: when the peer's timer F makes an answer pointless (RFC 4320 §4.2). Then timer J.
    deadline: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Trying,
    Completed,
}

impl NonInviteServer {
    pub(in crate::endpoint) fn new(timing: Timing, now: Instant) -> Self {
        Self {
            state: State::Trying,
            timing,
            deadline: now + timing.patience(),
        }
    }

    /// Our user has just sent this final response. True: the transaction is over, as timer J is zero on a reliable transport.
    pub(in crate::endpoint) fn respond(&mut self, status: StatusCode, now: Instant) -> bool {
        debug_assert!(
            !status.is_provisional(),
            "RFC 4320 §4.1: no provisional responses but to INVITE"
        );
        self.state = State::Completed;
        self.deadline = now + self.timing.patience();
        self.timing.reliable
    }

    /// The request came again.
    pub(in crate::endpoint) fn handle_retransmission(&self) -> Step {
        match self.state {
            State::Trying => Step::ABSORB,
            State::Completed => Step::send(Sends::Response),
        }
    }

    pub(in crate::endpoint) fn handle_timeout(&mut self, now: Instant) -> Step {
        if self.deadline <= now {
            Step::OVER
        } else {
            Step::ABSORB
        }
    }

    pub(in crate::endpoint) fn poll_timeout(&self) -> Option<Instant> {
        Some(self.deadline)
    }
}
