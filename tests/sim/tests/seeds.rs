//! Seeds that run with every `cargo test`.

use gateway_sim::{Choice, Plan, Totals, report, run, run_twice, shrink};

/// Runs seeds on all cores; every tenth twice.
fn seeds(from: u64, to: u64, choice: &Choice) -> Totals {
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let parts: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn(move || {
                    let mut totals = Totals::default();
                    for seed in (from..to).filter(|seed| seed % workers == worker) {
                        let plan = Plan::new(seed, choice);
                        let outcome = if seed.is_multiple_of(10) {
                            run_twice(&plan)
                        } else {
                            run(&plan, false)
                        };
                        totals.add(&plan, &outcome);
                        let broken = outcome.failures.first();
                        let report =
                            broken.map(|failure| report(&shrink(&plan, failure.invariant), choice, failure));
                        assert!(report.is_none(), "{}", report.unwrap_or_default());
                    }
                    totals
                })
            })
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

#[test]
fn a_hundred_worlds_without_faults_keep_every_invariant() {
    let totals = seeds(0, 100, &Choice::None);
    assert_eq!(totals.runs, 100);
    // That something happens at all.
    assert!(totals.messages.0 > 1000 && totals.messages.1 > 1000, "{totals:?}");
}
