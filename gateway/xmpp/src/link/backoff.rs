//! How long to wait before the next attempt.

use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::Rng;

use super::DownCause;

/// Jittered, doubling delays. The n-th lies between `first * 2^n` and twice that, within `first..=longest`.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    pace: Pace,
    failures: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Pace {
    /// 1 s to 30 s.
    #[default]
    Fast,
    /// 30 s to 120 s: two gateways that fight for one domain, or a wrong secret, are not cured by haste.
    Slow,
}

impl Pace {
    fn of(cause: &DownCause) -> Self {
        match cause {
            DownCause::Conflict | DownCause::NotAuthorized => Self::Slow,
            DownCause::Unreachable(_)
            | DownCause::HostUnknown
            | DownCause::StreamError(_)
            | DownCause::Malformed(_)
            | DownCause::Silent
            | DownCause::Closed => Self::Fast,
        }
    }

    /// The first and the longest delay.
    fn bounds(self) -> (Duration, Duration) {
        match self {
            Self::Fast => (Duration::from_secs(1), Duration::from_secs(30)),
            Self::Slow => (Duration::from_secs(30), Duration::from_secs(120)),
        }
    }
}

/// How long a link has to hold before the delays begin anew.
pub(super) const STABLE: Duration = Duration::from_secs(30);

impl Backoff {
    /// The delay after a failure.
    pub(super) fn next(&mut self, cause: &DownCause, rng: &mut ChaCha12Rng) -> Duration {
        let pace = Pace::of(cause);
        if pace != self.pace {
            *self = Self { pace, failures: 0 };
        }
        let (first, longest) = pace.bounds();
        let shortest = first.saturating_mul(1 << self.failures.min(16)).min(longest / 2);
        self.failures = self.failures.saturating_add(1);
        let span = u64::try_from(shortest.as_millis()).unwrap_or(u64::MAX);
        shortest + Duration::from_millis(rng.next_u64() % span.saturating_add(1))
    }

    /// Begins anew.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}
