//! The core with inputs drawn from numbers, for hours rather than for `cargo test`. An input depends on its number alone, and a failure names it.
//!
//! `FUZZ_COUNT` inputs (ten million), from the number `FUZZ_FROM` (0) on, on all cores.

#![allow(
    clippy::disallowed_methods,
    reason = "the clock and the settings are this command's, not the world's"
)]

mod fuzzed;

use std::{
    env,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Instant,
};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// Octets of the longest input.
const LONGEST: u32 = 400;

/// How many inputs between two lines that tell how far it is.
const STEP: u64 = 500_000;

/// Numbers of inputs that failed once: each stays.
const REGRESSIONS: &[u64] = &[4_880_151];

fn input(number: u64) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(number);
    let mut input = vec![0; (random.next_u32() % LONGEST) as usize];
    random.fill_bytes(&mut input);
    input
}

/// Says which input it was, if it fails, and lets the others end.
struct Running<'a> {
    number: u64,
    failed: &'a AtomicBool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.failed.store(true, Ordering::Relaxed);
            println!("again: FUZZ_FROM={} FUZZ_COUNT=1", self.number);
        }
    }
}

#[cfg(test)]
fn setting(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |value| value.parse().unwrap())
}

#[test]
fn inputs_that_failed_once_do_not_fail_again() {
    for &number in REGRESSIONS {
        fuzzed::core(&input(number));
    }
}

#[test]
#[ignore = "ten million inputs take half an hour of two cores"]
fn core() {
    let (from, count) = (setting("FUZZ_FROM", 0), setting("FUZZ_COUNT", 10_000_000));
    let (next, began) = (AtomicU64::new(from), Instant::now());
    let failed = AtomicBool::new(false);
    let work = || {
        while !failed.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= from + count {
                return;
            }
            let running = Running {
                number,
                failed: &failed,
            };
            fuzzed::core(&input(number));
            drop(running);
            if (number - from + 1).is_multiple_of(STEP) {
                println!("{} inputs, {:.0?}", number - from + 1, began.elapsed());
            }
        }
    };
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    println!("{count} inputs from number {from} on in {:.0?}", began.elapsed());
}
