//! How much one source may ask for: token buckets in a table that does not grow with the number of sources.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

use crate::message::Method;

/// Shortest time between two searches for sources that can be forgotten.
const SWEEP: Duration = Duration::from_secs(1);
/// Longest Retry-After of a source that asks for too much.
const RETRY_AFTER_MAX: u64 = 60;

/// Requests outside dialogs that one source, an IPv4 address or an IPv6 network of 64 bits, may send. What is more is told 503 with
/// Retry-After, as much of it again as is allowed; the rest gets no answer. Trusted peers are not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rates {
    /// INVITE.
    pub invites: Rate,
    /// SUBSCRIBE.
    pub subscribes: Rate,
    /// REGISTER.
    pub registers: Rate,
    /// All others.
    pub others: Rate,
    /// Sources counted one by one; further ones share one count.
    pub sources: usize,
}

/// So many at once, and so many a second after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// A second; 0: never again.
    pub steady: u32,
    /// At once.
    pub burst: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            invites: Rate {
                steady: 10,
                burst: 50,
            },
            subscribes: Rate {
                steady: 20,
                burst: 100,
            },
            registers: Rate { steady: 1, burst: 10 },
            others: Rate {
                steady: 20,
                burst: 100,
            },
            sources: 10_000,
        }
    }
}

/// What a source may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowance {
    Granted,
    /// Not before so many seconds.
    Later(u32),
    /// Not even an answer.
    Silence,
}

/// Who has asked for how much.
#[derive(Debug, Default)]
pub(super) struct Sources {
    rates: Rates,
    counted: BTreeMap<IpAddr, Source>,
    /// All that found no place of their own.
    crowd: Source,
    swept: Option<Instant>,
}

/// One source: by kind of request, what is granted and what is answered though not granted.
#[derive(Debug, Default)]
struct Source([Option<[Bucket; 2]>; 4]);

/// Tokens left, in thousandths, as of an instant.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    thousandths: u64,
    at: Instant,
}

impl Sources {
    pub(super) fn set_rates(&mut self, rates: Rates) {
        *self = Self {
            rates,
            ..Self::default()
        };
    }

    /// Counts one request.
    pub(super) fn take(&mut self, source: IpAddr, method: &Method, now: Instant) -> Allowance {
        let (kind, rate) = self.rates.of(method);
        let source = self.source(network(source), now);
        let Some(buckets) = source.0.get_mut(kind) else {
            return Allowance::Silence;
        };
        let full = [Bucket::full(rate, now); 2];
        let [granted, refused] = buckets.get_or_insert(full);
        if granted.take(rate, now) {
            Allowance::Granted
        } else if refused.take(rate, now) {
            Allowance::Later(granted.seconds_to_next(rate))
        } else {
            Allowance::Silence
        }
    }

    fn source(&mut self, address: IpAddr, now: Instant) -> &mut Source {
        let is_known = self.counted.contains_key(&address);
        if !is_known && self.counted.len() >= self.rates.sources {
            self.sweep(now);
        }
        if is_known || self.counted.len() < self.rates.sources {
            self.counted.entry(address).or_default()
        } else {
            &mut self.crowd
        }
    }

    /// Forgets sources that have all their tokens again: nothing is lost with them.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now < swept + SWEEP) {
            return;
        }
        self.swept = Some(now);
        let rates = self.rates.each();
        self.counted.retain(|_, source| !source.is_rested(&rates, now));
    }
}

impl Rates {
    fn each(&self) -> [Rate; 4] {
        [self.invites, self.subscribes, self.registers, self.others]
    }

    fn of(&self, method: &Method) -> (usize, Rate) {
        match *method {
            Method::INVITE => (0, self.invites),
            Method::SUBSCRIBE => (1, self.subscribes),
            Method::REGISTER => (2, self.registers),
            _ => (3, self.others),
        }
    }
}

impl Source {
    fn is_rested(&self, rates: &[Rate; 4], now: Instant) -> bool {
        self.0.iter().zip(rates).all(|(buckets, rate)| {
            buckets
                .iter()
                .flatten()
                .all(|bucket| bucket.level(*rate, now) >= capacity(*rate))
        })
    }
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        Self {
            thousandths: capacity(rate),
            at: now,
        }
    }

    fn level(&self, rate: Rate, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.at).as_millis();
        let grown = u64::try_from(passed)
            .unwrap_or(u64::MAX)
            .saturating_mul(rate.steady.into());
        self.thousandths.saturating_add(grown).min(capacity(rate))
    }

    fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let level = self.level(rate, now);
        let left = level.checked_sub(1000);
        *self = Self {
            thousandths: left.unwrap_or(level),
            at: now,
        };
        left.is_some()
    }

    fn seconds_to_next(&self, rate: Rate) -> u32 {
        let missing = 1000_u64.saturating_sub(self.thousandths);
        let milliseconds = missing
            .checked_div(rate.steady.into())
            .unwrap_or(RETRY_AFTER_MAX * 1000);
        let seconds = milliseconds.div_ceil(1000).clamp(1, RETRY_AFTER_MAX);
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }
}

fn capacity(rate: Rate) -> u64 {
    u64::from(rate.burst) * 1000
}

/// What one owner of addresses has: an IPv4 address, or 64 bits of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary start for virtual time")]
        Instant::now()
    }

    fn sources(steady: u32, burst: u32, places: usize) -> Sources {
        let mut sources = Sources::default();
        sources.set_rates(Rates {
            invites: Rate { steady, burst },
            sources: places,
            ..Rates::default()
        });
        sources
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_burst_is_granted_then_refused_as_often_then_silent_and_time_gives_it_back() {
        let (mut sources, now) = (sources(2, 3, 10), start());
        let mut ask = |after| {
            sources.take(
                address("192.0.2.1"),
                &Method::INVITE,
                now + Duration::from_millis(after),
            )
        };
        for expected in [Allowance::Granted, Allowance::Later(1), Allowance::Silence] {
            for _ in 0..3 {
                assert_eq!(ask(0), expected);
            }
        }
        assert_eq!(ask(499), Allowance::Silence);
        assert_eq!(ask(500), Allowance::Granted);
        assert_eq!(ask(500), Allowance::Later(1));
        assert_eq!(ask(500), Allowance::Silence);
        for _ in 0..3 {
            assert_eq!(ask(100_000), Allowance::Granted);
        }
        assert_eq!(ask(100_000), Allowance::Later(1));
    }

    #[test]
    fn sources_and_kinds_of_requests_are_counted_apart() {
        let (mut sources, now) = (sources(1, 1, 10), start());
        let mut ask = |source, method| sources.take(address(source), &method, now);
        assert_eq!(ask("192.0.2.1", Method::INVITE), Allowance::Granted);
        assert_eq!(ask("192.0.2.1", Method::SUBSCRIBE), Allowance::Granted);
        assert_eq!(ask("192.0.2.2", Method::INVITE), Allowance::Granted);
        assert_eq!(ask("::ffff:192.0.2.1", Method::INVITE), Allowance::Later(1));
        // One customer's IPv6 network is one source.
        assert_eq!(ask("2001:db8::1", Method::INVITE), Allowance::Granted);
        assert_eq!(ask("2001:db8::2:3:4:5", Method::INVITE), Allowance::Later(1));
        assert_eq!(ask("2001:db8:0:1::1", Method::INVITE), Allowance::Granted);
    }

    #[test]
    fn the_table_keeps_its_bound_and_forgets_only_who_has_rested() {
        let (mut sources, now) = (sources(1, 1, 2), start());
        let at = |after| now + Duration::from_millis(after);
        let mut ask = |source, after| sources.take(address(source), &Method::INVITE, at(after));
        assert_eq!(ask("192.0.2.1", 0), Allowance::Granted);
        assert_eq!(ask("192.0.2.2", 500), Allowance::Granted);
        // No place: the third and fourth share one count.
        assert_eq!(ask("192.0.2.3", 900), Allowance::Granted);
        assert_eq!(ask("192.0.2.4", 900), Allowance::Later(1));
        // The first has rested at 1000 ms, but nobody looks again before a second has passed.
        assert_eq!(ask("192.0.2.5", 1100), Allowance::Silence);
        assert_eq!(ask("192.0.2.5", 1900), Allowance::Granted);
        assert_eq!(ask("192.0.2.5", 1900), Allowance::Later(1));
        assert!(sources.counted.len() <= 2);
    }

    #[test]
    fn a_rate_of_nothing_is_refused_without_end() {
        let (mut nothing, now) = (sources(0, 0, 2), start());
        assert_eq!(
            nothing.take(address("192.0.2.1"), &Method::INVITE, now),
            Allowance::Silence
        );
        let mut once = sources(0, 1, 2);
        let mut ask = |after| {
            once.take(
                address("192.0.2.1"),
                &Method::INVITE,
                now + Duration::from_secs(after),
            )
        };
        assert_eq!(ask(0), Allowance::Granted);
        assert_eq!(ask(86_400), Allowance::Later(60));
        assert_eq!(ask(86_400 * 365), Allowance::Silence);
    }
}
