//! How long to wait before the next attempt.

use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::Rng;

use super::DownCause;

/// Jittered, doubling delays. The n-th lies between `first * 2^n` and twice that, within `first..=longest`.
#[derive(Debug)]
pub(super) struct Backoff {
    /// The longest delay while the server is out of reach.
    retry: Duration,
    pace: Pace,
    failures: u32,
    /// How often in a row another connection was in the way.
    conflicts: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// 250 ms to 2 s: an attempt costs a server that is down, or comes up, nothing.
    Eager,
    /// 1 s to 30 s: a server that is there and refuses.
    Fast,
    /// 30 s to 120 s: two gateways that fight for one domain, or a wrong secret, are not cured by haste.
    Slow,
}

/// How often a conflict is taken for a former connection of our own that the server has yet to notice is gone.
const OWN_GHOST: u32 = 3;

impl Pace {
    /// The first and the longest delay.
    fn bounds(self, retry: Duration) -> (Duration, Duration) {
        match self {
            Self::Eager => (Duration::from_millis(250).min(retry / 2), retry),
            Self::Fast => (Duration::from_secs(1), Duration::from_secs(30)),
            Self::Slow => (Duration::from_secs(30), Duration::from_secs(120)),
        }
    }
}

/// How long a link has to hold before the delays begin anew.
pub(super) const STABLE: Duration = Duration::from_secs(30);

impl Backoff {
    pub(super) fn new(retry: Duration) -> Self {
        Self {
            retry,
            pace: Pace::Eager,
            failures: 0,
            conflicts: 0,
        }
    }

    /// The delay after a failure; `was_up` if stanzas had flowed.
    pub(super) fn next(&mut self, cause: &DownCause, was_up: bool, rng: &mut ChaCha12Rng) -> Duration {
        let pace = self.pace_after(cause, was_up);
        if pace != self.pace {
            (self.pace, self.failures) = (pace, 0);
        }
        let (first, longest) = pace.bounds(self.retry);
        let shortest = first.saturating_mul(1 << self.failures.min(16)).min(longest / 2);
        self.failures = self.failures.saturating_add(1);
        let span = u64::try_from(shortest.as_millis()).unwrap_or(u64::MAX);
        shortest + Duration::from_millis(rng.next_u64() % span.saturating_add(1))
    }

    fn pace_after(&mut self, cause: &DownCause, was_up: bool) -> Pace {
        if *cause != DownCause::Conflict {
            self.conflicts = 0;
        }
        match cause {
            DownCause::Conflict if !was_up && self.conflicts < OWN_GHOST => {
                self.conflicts += 1;
                Pace::Eager
            }
            DownCause::Conflict | DownCause::NotAuthorized => Pace::Slow,
            DownCause::Unreachable(_) | DownCause::Silent | DownCause::Closed => Pace::Eager,
            DownCause::HostUnknown | DownCause::StreamError(_) | DownCause::Malformed(_) => Pace::Fast,
        }
    }

    /// Begins anew.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.retry);
    }
}
