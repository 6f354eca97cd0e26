//! `cargo xtask soak`: faults of the XMPP side, many times and under load, with a report.

use std::time::Duration;

use gateway_tests::{
    Context, Result, ensure,
    peers::XmppServerKind,
    soak::{self, Fault, Load, Report},
};

use crate::{packages, screen, steps::released};

/// What may be chosen.
#[derive(Debug, clap::Args)]
pub(crate) struct Choice {
    /// Only this fault: restart, kill, cut, freeze, conflict or crash
    #[arg(long)]
    case: Option<String>,
    /// How often each
    #[arg(long, default_value_t = 20)]
    times: u32,
    /// Rooms
    #[arg(long, default_value_t = 20)]
    rooms: usize,
    /// SIP users in each room
    #[arg(long, default_value_t = 20)]
    users: usize,
    /// Messages a second in all
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// Seconds for which the server stands still
    #[arg(long, default_value_t = 60)]
    freeze: u64,
    /// Only this server: prosody or ejabberd
    #[arg(long)]
    server: Option<String>,
}

/// Within which all are to be back.
const BACK: Duration = Duration::from_secs(5);

/// Runs the faults and prints a table.
///
/// # Errors
/// A run was not clean, or did not end.
pub(crate) fn run(choice: &Choice) -> Result<()> {
    packages::install(packages::SERVERS)?;
    let faults = match &choice.case {
        Some(name) => {
            vec![Fault::of_name(name).context("no such case: restart, kill, cut, freeze, conflict, crash")?]
        }
        None => Fault::ALL.to_vec(),
    };
    let load = Load {
        rooms: choice.rooms,
        users: choice.users,
        rate: choice.rate,
        freeze: Duration::from_secs(choice.freeze),
        settings: vec![("GATEWAY__LIMITS__CONNECTIONS__PER_ADDRESS", "10000".to_owned())],
        program: Some(released("sip-xmpp-gateway")?),
    };
    screen::heading(&format!(
        "{} SIP users in {} rooms, {} messages a second, {} times each",
        load.rooms * load.users,
        load.rooms,
        load.rate,
        choice.times
    ));
    println!(
        "  {:<9} {:<9} {:>7} {:>7} {:>6} {:>6} {:>7} {:>6} {:>6} {:>5} {:>6} {:>6} {:>7}",
        "server",
        "fault",
        "taken",
        "refused",
        "no ans",
        "lost",
        "doubled",
        "x-lost",
        "told",
        "maybe",
        "ghosts",
        "back",
        ""
    );
    let mut unclean = 0;
    for (name, kind) in [
        ("prosody", XmppServerKind::default()),
        ("ejabberd", XmppServerKind::Ejabberd),
    ] {
        if choice.server.as_ref().is_some_and(|server| server != name) {
            continue;
        }
        for fault in &faults {
            // ejabberd takes several connections for one domain.
            if *fault == Fault::Conflict && name == "ejabberd" {
                continue;
            }
            for _ in 0..choice.times {
                unclean += u32::from(!once(name, *fault, kind.clone(), &load));
            }
        }
    }
    ensure!(unclean == 0, "{unclean} runs were not clean");
    Ok(())
}

/// Runs a fault once and prints its line; whether it was clean and quick.
fn once(name: &str, fault: Fault, kind: XmppServerKind, load: &Load) -> bool {
    match soak::run(fault, kind, load) {
        Ok(report) => {
            let good = report.is_clean() && report.back.is_none_or(|back| back <= BACK);
            println!("  {name:<9} {:<9} {}", fault.to_string(), line(&report, good));
            good
        }
        Err(error) => {
            println!(
                "  {name:<9} {:<9} {}",
                fault.to_string(),
                screen::bad(&format!("{error:#}"))
            );
            false
        }
    }
}

fn line(report: &Report, good: bool) -> String {
    let (taken, refused, unanswered) = report.from_sip;
    let back = report
        .back
        .map_or_else(String::new, |back| format!("{:.1} s", back.as_secs_f64()));
    let verdict = if good {
        screen::good("✓")
    } else {
        screen::bad("✗")
    };
    format!(
        "{taken:>7} {refused:>7} {unanswered:>6} {:>6} {:>7} {:>6} {:>6} {:>5} {:>6} {back:>6} {verdict:>7}",
        report.lost,
        report.duplicates,
        report.lost_from_xmpp,
        report.told_missing,
        report.refused_and_heard,
        report.ghosts
    )
}
