//! The client transaction of every other method (RFC 3261 §17.1.2): timers E, F and K.

use std::time::Instant;

use super::{Expiry, Retransmission, Sends, Step, T2, T4, Timing, earlier};
use crate::message::StatusCode;

#[derive(Debug)]
pub(in crate::endpoint) struct NonInviteClient {
    state: State,
    timing: Timing,
    /// Timer E.
    retransmission: Option<Retransmission>,
    /// Timer F or K, as the state has it.
    deadline: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Trying,
    Proceeding,
    Completed,
}

impl NonInviteClient {
    /// The request has just been sent for the first time.
    pub(in crate::endpoint) fn new(timing: Timing, now: Instant) -> Self {
        Self {
            state: State::Trying,
            timing,
            retransmission: (!timing.reliable).then(|| Retransmission::first(timing.t1, now)),
            deadline: now + timing.patience(),
        }
    }

    /// Whether a final response has come.
    pub(in crate::endpoint) fn is_answered(&self) -> bool {
        self.state == State::Completed
    }

    pub(in crate::endpoint) fn handle_response(&mut self, status: StatusCode, now: Instant) -> Step {
        match self.state {
            State::Trying | State::Proceeding if status.is_provisional() => {
                self.state = State::Proceeding;
                Step::DELIVER
            }
            State::Trying | State::Proceeding => {
                self.state = State::Completed;
                self.retransmission = None;
                self.deadline = now + T4;
                Step {
                    deliver: true,
                    // Timer K is zero on a reliable transport.
                    over: self.timing.reliable,
                    ..Step::ABSORB
                }
            }
            State::Completed => Step::ABSORB,
        }
    }

    pub(in crate::endpoint) fn handle_timeout(&mut self, now: Instant) -> Step {
        if self.deadline <= now {
            return match self.state {
                State::Completed => Step::OVER,
                State::Trying | State::Proceeding => Step {
                    over: true,
                    ..Step::expired(Expiry::NoAnswer)
                },
            };
        }
        let proceeding = self.state == State::Proceeding;
        match &mut self.retransmission {
            Some(timer) if timer.at <= now => {
                let interval = if proceeding {
                    T2
                } else {
                    Timing::doubled(timer.interval)
                };
                timer.again(interval, now);
                Step::send(Sends::Request)
            }
            _ => Step::ABSORB,
        }
    }

    pub(in crate::endpoint) fn poll_timeout(&self) -> Option<Instant> {
        earlier(self.retransmission, Some(self.deadline))
    }
}
