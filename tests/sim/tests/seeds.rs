//! Seeds that run with every `cargo test`.

use gateway_sim::{Choice, Plan, Totals, report, run, run_twice, shrink};

/// Seeds that failed once, on the way here or in a long run: each stays.
const REGRESSIONS: &[u64] = &[
    26, 59, 68, 787, 832, 898, 981, 1723, 2055, 3379, 3781, 4139, 4378, 5639, 6522, 8734, 27, 187, 253, 307,
    464, 9, 138, 3571, 3767, 104_691, 105_493, 109_503, 109_674, 110_857, 114_839, 203_257, 208_986, 6023,
    1111, 11_626,
];

/// Runs seeds on all cores; every tenth twice.
fn seeds(seeds: &[u64], choice: &Choice) -> Totals {
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let parts: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = seeds
            .chunks(seeds.len().div_ceil(workers))
            .map(|part| scope.spawn(move || some(part, choice)))
            .collect();
        running
            .into_iter()
            .filter_map(|worker| worker.join().ok())
            .collect()
    });
    let mut all = Totals::default();
    for part in parts {
        all.runs += part.runs;
        all.messages.0 += part.messages.0;
        all.messages.1 += part.messages.1;
    }
    all
}

fn some(seeds: &[u64], choice: &Choice) -> Totals {
    let mut totals = Totals::default();
    for seed in seeds {
        let plan = Plan::new(*seed, choice);
        let outcome = if seed.is_multiple_of(10) {
            run_twice(&plan)
        } else {
            run(&plan, false)
        };
        totals.add(&plan, &outcome);
        let broken = outcome.failures.first();
        let report = broken.map(|failure| report(&shrink(&plan, failure.invariant), choice, failure));
        assert!(report.is_none(), "{}", report.unwrap_or_default());
    }
    totals
}

#[test]
fn five_hundred_worlds_keep_every_invariant() {
    let all: Vec<u64> = (0..500).collect();
    let totals = seeds(&all, &Choice::Seed);
    assert_eq!(totals.runs, 500);
    // That something happens at all.
    assert!(totals.messages.0 > 5000 && totals.messages.1 > 5000, "{totals:?}");
}

#[test]
fn seeds_that_failed_once_do_not_fail_again() {
    assert_eq!(seeds(REGRESSIONS, &Choice::Seed).runs, REGRESSIONS.len() as u64);
    assert_eq!(seeds(REGRESSIONS, &Choice::None).runs, REGRESSIONS.len() as u64);
}
