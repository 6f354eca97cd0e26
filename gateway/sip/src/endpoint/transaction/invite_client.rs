//! The INVITE client transaction (RFC 3261 §17.1.1, RFC 6026 §7.2): timers A, B, C, D and M.

use std::time::Instant;

use super::{Expiry, Retransmission, Sends, Step, TIMER_C, Timing, earlier};
use crate::message::StatusCode;

#[derive(Debug)]
pub(in crate::endpoint) struct InviteClient {
    state: State,
    timing: Timing,
    /// Timer A.
    retransmission: Option<Retransmission>,
    /// Timer B, C, D or M, as the state has it.
    deadline: Instant,
    /// CANCEL was sent: the peer has 64·T1 left.
    cancelled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Calling,
    Proceeding,
    Completed,
    Accepted,
}

impl InviteClient {
    /// The request has just been sent for the first time.
    pub(in crate::endpoint) fn new(timing: Timing, now: Instant) -> Self {
        Self {
            state: State::Calling,
            timing,
            retransmission: (!timing.reliable).then(|| Retransmission::first(timing.t1, now)),
            deadline: now + timing.patience(),
            cancelled: false,
        }
    }

    /// Whether a provisional response has come and no final one: only then may CANCEL be sent (RFC 3261 §9.1).
    pub(in crate::endpoint) fn is_proceeding(&self) -> bool {
        self.state == State::Proceeding
    }

    /// Whether a final response has come.
    pub(in crate::endpoint) fn is_answered(&self) -> bool {
        matches!(self.state, State::Completed | State::Accepted)
    }

    /// CANCEL has been sent: without a final response in 64·T1 the INVITE is over (RFC 3261 §9.1).
    pub(in crate::endpoint) fn cancelled(&mut self, now: Instant) {
        self.cancelled = true;
        self.deadline = now + self.timing.patience();
    }

    pub(in crate::endpoint) fn handle_response(&mut self, status: StatusCode, now: Instant) -> Step {
        match self.state {
            State::Calling | State::Proceeding if status.is_provisional() => {
                self.retransmission = None;
                // Timer C restarts with each response but 100 (RFC 3261 §16.7 item 2).
                if !self.cancelled && (self.state == State::Calling || status.0 > 100) {
                    self.deadline = now + TIMER_C;
                }
                self.state = State::Proceeding;
                Step::DELIVER
            }
            State::Calling | State::Proceeding if status.is_success() => {
                self.retransmission = None;
                self.state = State::Accepted;
                self.deadline = now + self.timing.patience();
                Step::DELIVER
            }
            State::Calling | State::Proceeding => {
                self.retransmission = None;
                self.state = State::Completed;
                self.deadline = now + self.timing.patience();
                Step {
                    sends: Some(Sends::Ack),
                    deliver: true,
                    // Timer D is zero on a reliable transport.
                    over: self.timing.reliable,
                    expired: None,
                }
            }
            State::Completed if status.0 >= 300 => Step::send(Sends::Ack),
            State::Accepted if status.is_success() => Step::DELIVER,
            State::Completed | State::Accepted => Step::ABSORB,
        }
    }

    pub(in crate::endpoint) fn handle_timeout(&mut self, now: Instant) -> Step {
        if self.deadline <= now {
            return match self.state {
                State::Completed | State::Accepted => Step::OVER,
                State::Proceeding if !self.cancelled => {
                    self.deadline = now + self.timing.patience();
                    Step::expired(Expiry::Ringing)
                }
                State::Calling | State::Proceeding => Step {
                    over: true,
                    ..Step::expired(Expiry::NoAnswer)
                },
            };
        }
        match &mut self.retransmission {
            Some(timer) if timer.at <= now => {
                // Timer A doubles without the bound T2 (RFC 3261 §17.1.1.2).
                let interval = timer.interval.saturating_mul(2);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timer_a_doubles_beyond_t2_until_timer_b() {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary start for virtual time")]
        let start = Instant::now();
        let mut machine = InviteClient::new(Timing::new(Duration::from_millis(500), false), start);
        let mut sent = Vec::new();
        while let Some(at) = machine.poll_timeout() {
            let step = machine.handle_timeout(at);
            if step.over {
                assert_eq!(step.expired, Some(Expiry::NoAnswer));
                assert_eq!(at - start, Duration::from_secs(32));
                break;
            }
            assert_eq!(step.sends, Some(Sends::Request));
            sent.push((at - start).as_millis());
        }
        assert_eq!(sent, [500, 1500, 3500, 7500, 15500, 31500]);
    }
}
