//! A run of a plan, its repetition, and the search for the shortest list of actions that still fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    invariants,
    logs::Watch,
    model::Failure,
    plan::{Action, Choice, Dice, Plan, Setting},
    world::World,
};

/// What came of a run.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// What was broken.
    pub failures: Vec<Failure>,
    /// Digest of the core's commands.
    pub digest: u64,
    /// How many there were.
    pub commands: u64,
    /// Datagrams, pieces of streams and deadlines.
    pub happenings: u64,
    /// Messages said, and how often one was heard.
    pub messages: (usize, usize),
    /// Virtual time.
    pub virtual_seconds: u64,
    /// The commands themselves, if asked for.
    pub text: Option<String>,
}

/// Runs a plan.
#[must_use]
pub fn run(plan: &Plan, keep_text: bool) -> Outcome {
    let watch = Watch::default();
    let mut outcome = tracing::subscriber::with_default(watch.clone(), || live(plan, keep_text));
    for line in watch.take() {
        outcome.failures.push(Failure {
            invariant: "logs_are_clean",
            detail: line,
            at: Duration::ZERO,
        });
    }
    outcome
}

fn live(plan: &Plan, keep_text: bool) -> Outcome {
    let mut world = World::new(plan.seed, plan.setting.clone());
    world.log.text = keep_text.then(String::new);
    world.pass(Duration::from_secs(1));
    for (_, pause, action) in &plan.steps {
        world.pass(*pause);
        world.act(action);
        if !world.model.failures.is_empty() {
            return outcome(world);
        }
    }
    world.act(&Action::Rest);
    if world.model.failures.is_empty() {
        world.close_down();
        invariants::tables_empty(&mut world);
    }
    outcome(world)
}

fn outcome(world: World) -> Outcome {
    let heard = world.model.stays.iter().map(|stay| stay.heard.len()).sum();
    Outcome {
        digest: world.log.digest,
        commands: world.log.commands,
        happenings: world.happenings,
        messages: (world.model.said.len(), heard),
        virtual_seconds: (world.now - world.start).as_secs(),
        text: world.log.text,
        failures: world.model.failures,
    }
}

/// A busy hour: 50 rooms, 500 SIP users, 20 messages a second, without faults.
#[must_use]
pub fn busy_hour(seconds: u64) -> Outcome {
    let (rooms, users) = (50, 500);
    let mut world = World::new(
        1,
        Setting {
            users,
            natives: rooms,
            rooms,
            ejabberd: false,
            hosted: false,
            at_once: false,
            history: 0,
            udp: (true, true),
            twins: false,
            faults: BTreeSet::new(),
            odd: users,
            conferences: crate::conference::plan::Conferences::default(),
        },
    );
    world.log.off = true;
    let mut dice = Dice::new(1, 4);
    let pause = Duration::from_millis(50);
    world.pass(Duration::from_secs(1));
    for native in 0..rooms {
        world.act(&Action::Join {
            native,
            room: native,
            nickname: 5,
        });
    }
    for user in 0..users {
        let room = user % rooms;
        world.act(&Action::Invite { user, room, name: 2 });
        world.pass(pause);
    }
    world.pass(Duration::from_secs(5));
    for user in 0..users {
        world.act(&Action::Subscribe {
            user,
            room: user % rooms,
        });
        world.pass(pause);
    }
    for _ in 0..seconds * 20 {
        let user = dice.below(users);
        let (room, size) = (user % rooms, dice.below(120));
        world.act(&match dice.below(4) {
            0 => Action::NativeSay {
                native: room,
                room,
                size,
            },
            _ => Action::Say { user, room, size },
        });
        world.pass(pause);
    }
    world.act(&Action::Rest);
    world.close_down();
    invariants::tables_empty(&mut world);
    outcome(world)
}

/// Runs a plan twice: two runs of one seed give the same commands, octet for octet (invariant 12).
#[must_use]
pub fn run_twice(plan: &Plan) -> Outcome {
    let mut first = run(plan, false);
    let second = run(plan, false);
    if first.failures.is_empty() && (first.digest, first.commands) != (second.digest, second.commands) {
        first.failures.push(Failure {
            invariant: "runs_are_identical",
            detail: format!(
                "{} and {} commands, or other ones",
                first.commands, second.commands
            ),
            at: Duration::ZERO,
        });
    }
    first
}

/// The shortest part of a plan found that still breaks the same invariant.
#[must_use]
pub fn shrink(plan: &Plan, invariant: &str) -> Plan {
    let fails = |plan: &Plan| {
        run(plan, false)
            .failures
            .iter()
            .any(|failure| failure.invariant == invariant)
    };
    let mut best = plan.clone();
    let mut size = best.steps.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        let mut shorter = false;
        while at < best.steps.len() {
            let mut kept = best.numbers();
            kept.drain(at..(at + size).min(kept.len()));
            let mut tried = best.clone();
            tried.keep(&kept);
            if fails(&tried) {
                best = tried;
                shorter = true;
            } else {
                at += size;
            }
        }
        if !shorter || size > 1 {
            size /= 2;
        }
    }
    best
}

/// What a failing seed prints.
#[must_use]
pub fn report(plan: &Plan, choice: &Choice, failure: &Failure) -> String {
    let mut text = format!(
        "seed {}: {} broken after {:?}: {}\n",
        plan.seed, failure.invariant, failure.at, failure.detail
    );
    text.push_str(&format!("  world: {:?}\n", plan.setting));
    for (number, pause, action) in &plan.steps {
        text.push_str(&format!("  {number:3}  +{pause:?} {action:?}\n"));
    }
    let kept: Vec<_> = plan.numbers().iter().map(ToString::to_string).collect();
    let faults = match choice {
        Choice::Seed => String::new(),
        Choice::None => " --faults none".to_owned(),
        Choice::Only(only) => {
            let names: Vec<_> = only.iter().map(ToString::to_string).collect();
            format!(" --faults {}", names.join(","))
        }
    };
    text.push_str(&format!(
        "  again: cargo xtask sim --seeds 1 --from {}{faults} --keep {}\n",
        plan.seed,
        kept.join(",")
    ));
    text
}

/// Totals over many runs.
#[derive(Debug, Default)]
pub struct Totals {
    /// Runs.
    pub runs: u64,
    /// Failed ones.
    pub failed: u64,
    /// Commands of the core.
    pub commands: u64,
    /// Happenings.
    pub happenings: u64,
    /// Messages said and heard.
    pub messages: (usize, usize),
    /// Virtual time.
    pub virtual_seconds: u64,
    /// In how many runs each fault was on.
    pub faults: BTreeMap<String, u64>,
}

impl Totals {
    /// Adds a run.
    pub fn add(&mut self, plan: &Plan, outcome: &Outcome) {
        self.runs += 1;
        self.failed += u64::from(!outcome.failures.is_empty());
        self.commands += outcome.commands;
        self.happenings += outcome.happenings;
        self.messages.0 += outcome.messages.0;
        self.messages.1 += outcome.messages.1;
        self.virtual_seconds += outcome.virtual_seconds;
        for fault in plan.faults() {
            *self.faults.entry(fault.to_string()).or_default() += 1;
        }
    }
}
