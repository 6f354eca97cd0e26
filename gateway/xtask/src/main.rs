//! The project's chores, run as `cargo xtask CHORE`.

mod bench;
mod compose;
mod conformance;
mod demo;
mod packages;
mod screen;
mod sim;
mod steps;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's chores
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// An XMPP user and two SIP users meet in one room, on real servers on loopback
    Demo {
        /// Leave it running afterwards, to be joined by hand, until Ctrl-C
        #[arg(long)]
        keep: bool,
    },
    /// Formatting, lints, documentation and all tests, those against real servers included
    Test,
    /// The simulated world over many seeds; `--help` shows what it takes
    #[command(disable_help_flag = true)]
    Sim {
        /// Arguments of the world
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Shows that the simulated world can fail: each defect of tests/sim/defects is put into a copy of the sources and must be caught
    SimDefects {
        /// Only those whose name contains this
        only: Option<String>,
    },
    /// The demo's conversation through deploy/docker-compose.yml on a Docker engine of our own
    ComposeTest,
    /// What a crate costs, beside its targets
    Bench {
        #[command(subcommand)]
        subject: BenchSubject,
    },
    /// Joins the rows of docs/conformance with the tests that cite them and writes its page
    Conformance {
        /// Fail while a row is neither proven nor waived
        #[arg(long)]
        strict: bool,
    },
    /// Licences, sources and known vulnerabilities of the dependencies (needs cargo-deny and the network)
    Deny,
    /// The servers from Debian that demo and tests talk to
    Peers {
        #[command(subcommand)]
        action: PeersAction,
    },
}

#[derive(Debug, Subcommand)]
enum BenchSubject {
    /// Frames, long messages, CPIM, fan-out and memory of gateway/msrp (counts instructions if valgrind is there)
    Msrp,
    /// The guard of gateway/xmpp, beside a full XML parser
    Xmpp,
}

#[derive(Debug, Subcommand)]
enum PeersAction {
    /// Install what is missing, without leaving a system-wide server running
    Install {
        /// Also what `compose-test` needs
        #[arg(long)]
        compose: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(error) = ctrlc::set_handler(interrupted) {
        eprintln!("Ctrl-C will not clean up: {error}");
    }
    let outcome = match arguments.chore {
        Chore::Demo { keep } => demo::run(keep),
        Chore::Test => test::run(),
        Chore::Sim { arguments } => sim::run(&arguments),
        Chore::SimDefects { only } => sim::defects(only.as_deref()),
        Chore::ComposeTest => compose::run(),
        Chore::Bench {
            subject: BenchSubject::Msrp,
        } => bench::msrp(),
        Chore::Conformance { strict } => conformance::run(strict),
        Chore::Bench {
            subject: BenchSubject::Xmpp,
        } => bench::xmpp(),
        Chore::Deny => steps::deny(),
        Chore::Peers {
            action: PeersAction::Install { compose },
        } => packages::install(packages::SERVERS)
            .and_then(|()| packages::install(packages::TESTS))
            .and_then(|()| packages::install(if compose { packages::COMPOSE } else { &[] })),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{} {error:#}", screen::bad("error:"));
            ExitCode::FAILURE
        }
    }
}

/// Ends what we started before it ends us.
fn interrupted() {
    if let Err(error) = compose::take_down() {
        eprintln!("{error:#}");
    }
    gateway_tests::process::stop_all();
    gateway_tests::scratch::delete_all();
    std::process::exit(130);
}
