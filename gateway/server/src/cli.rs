//! The command line.

use std::{io::Write, path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand};
use mapping::explain::Explanation;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};

use crate::{
    config::{self, Fault, Loaded, Settings, fault::Dotted},
    gateway::Bound,
    logs::{self, Level},
    reload::{Reloader, takes_effect_at_once},
};

/// Exit code for a configuration with faults; clap uses the same for a command line with faults.
const CONFIGURATION: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  sip-xmpp-gateway check --config gateway.toml
  sip-xmpp-gateway run --config gateway.toml
  sip-xmpp-gateway map sip:romeo@example.org --config gateway.toml
  GATEWAY__XMPP__SECRET_FILE=/run/secrets/component sip-xmpp-gateway run

Every key of the file can be set by an environment variable GATEWAY__SECTION__KEY, which comes first:
  GATEWAY__SIP__LISTEN=udp:192.0.2.1:5060,tcp:192.0.2.1:5060
  GATEWAY__ROOMS='[{ sip = \"rooms.example.com\", muc = \"rooms.example.com\" }]'

Exit codes: 0 stopped as asked, 1 could not start or had to end, 2 the configuration or command line has faults.";

/// Joins SIP/MSRP users and XMPP users in the same chat rooms (RFC 7702).
#[derive(Parser)]
#[command(name = "sip-xmpp-gateway", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The configuration file
    #[arg(long, short, global = true, value_name = "FILE", env = "GATEWAY_CONFIG", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM or SIGINT; a second signal ends it at once
    ///
    /// Sessions are ended towards both sides before it exits. An XMPP server that is absent, at start or later, is waited for. SIGHUP reads the
    /// configuration again: certificates, users, trusted peers, rates and the log's level change at once and nobody is cut off; the log
    /// names other keys that changed and wait for a restart.
    Run,
    /// Read and validate the configuration without touching the network
    ///
    /// Prints "OK", or every fault with its file, line, key and remedy.
    Check,
    /// Print the effective configuration as TOML, defaults and environment included, secrets redacted
    PrintConfig,
    /// Say what an address becomes on the other side, and which rule and setting say so
    ///
    /// Knows sip:, sips:, tel:, im: and xmpp: addresses and JIDs: of users, rooms and occupants. Nothing is looked up.
    Map {
        /// Such as sip:romeo@example.org, tel:+12015550123 or capulet@rooms.example.com/Juliet
        address: String,
    },
}

/// Reads the command line and does what it says.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let loaded = match config::load(&arguments.config, std::env::vars_os()) {
        Ok(loaded) => loaded,
        Err(faults) => return report(&faults),
    };
    match arguments.command {
        Command::Run => serve(loaded, arguments.config),
        Command::Check => say(&format!("OK: {}\n", arguments.config.display())),
        Command::PrintConfig => print(&loaded),
        Command::Map { address } => map(&loaded, &address),
    }
}

fn map(loaded: &Loaded, address: &str) -> ExitCode {
    // Where MSRP peers reach the gateway is no part of any address of a user or room.
    let explanations = match mapping::explain::explain(address, &loaded.config.core(&[])) {
        Ok(explanations) => explanations,
        Err(problem) => {
            eprintln!("`{address}`: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let mut text = String::new();
    for explanation in &explanations {
        text.push_str(&described(explanation, loaded));
    }
    let shown = say(&text);
    if explanations.iter().any(|explanation| explanation.other.is_ok()) {
        shown
    } else {
        ExitCode::FAILURE
    }
}

/// One meaning of an address, in a few lines.
fn described(explanation: &Explanation, loaded: &Loaded) -> String {
    let mut lines = vec![explanation.meaning.to_owned()];
    match &explanation.other {
        Ok(other) => lines.push(format!("  is       {other}")),
        Err(refusal) => {
            let sip = refusal.sip();
            let phrase = sip.phrase.unwrap_or_else(|| sip.status.reason().to_owned());
            let condition = refusal.xmpp().0.as_str();
            lines.push(format!(
                "  refused  {} {phrase}; in XMPP {condition}",
                sip.status.0
            ));
        }
    }
    lines.push(format!("  rule     {}", explanation.rule));
    if !explanation.setting.is_empty() {
        let place = loaded.place(&explanation.setting);
        lines.push(format!("  setting  {} ({place})", Dotted(&explanation.setting)));
    }
    if let Some(remedy) = explanation.remedy {
        lines.push(format!("  remedy   {remedy}"));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn report(faults: &[Fault]) -> ExitCode {
    for fault in faults {
        eprintln!("{fault}");
    }
    ExitCode::from(CONFIGURATION)
}

fn print(loaded: &Loaded) -> ExitCode {
    match toml_edit::ser::to_string_pretty(&loaded.settings) {
        Ok(text) => say(&text),
        Err(error) => {
            eprintln!("cannot be written as TOML: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard output, whose reader may have gone.
fn say(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve(loaded: Loaded, file: PathBuf) -> ExitCode {
    let level = logs::install(&loaded.config.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let Loaded { settings, config, .. } = loaded;
    let served = runtime.block_on(async {
        let no_signals = |error| format!("signals cannot be received: {error}");
        let stop = stop_signal().map_err(no_signals)?;
        let hangup = signal(SignalKind::hangup()).map_err(no_signals)?;
        let bound = Bound::bind(config).await.map_err(|error| error.to_string())?;
        let reloads = Reloads {
            file,
            last: settings.clone(),
            started: settings,
            level,
            reloader: bound.reloader(),
        };
        tokio::spawn(reloads.run(hangup, bound.reload_wishes()));
        bound.serve(stop).await.map_err(|error| error.to_string())
    });
    // All that is waited for had its time: a disk that hangs does not keep the process.
    runtime.shutdown_background();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            tracing::error!("{cause}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the configuration again at each SIGHUP, and when an administrator asks for it.
struct Reloads {
    file: PathBuf,
    /// What it was started with.
    started: Settings,
    /// What was read last.
    last: Settings,
    level: Level,
    reloader: Reloader,
}

impl Reloads {
    async fn run(mut self, mut hangup: Signal, wishes: Arc<Notify>) {
        loop {
            tokio::select! {
                Some(()) = hangup.recv() => {}
                () = wishes.notified() => {}
            }
            match config::load(&self.file, std::env::vars_os()) {
                Ok(loaded) => self.adopt(loaded),
                Err(faults) => {
                    for fault in faults {
                        tracing::error!(%fault, "configuration not reloaded");
                    }
                }
            }
        }
    }

    fn adopt(&mut self, loaded: Loaded) {
        let Loaded { settings, config, .. } = loaded;
        let mut changed = config::changed_keys(&self.last, &settings);
        changed.retain(|key| takes_effect_at_once(key));
        let mut waiting = config::changed_keys(&self.started, &settings);
        waiting.retain(|key| !takes_effect_at_once(key));
        self.level.set(&config.log.level);
        let certificate = self.reloader.adopt(&config);
        let policy = &config.sip.policy;
        tracing::info!(
            changed = changed.join(", "),
            certificate = certificate.as_deref().unwrap_or("none"),
            users = policy.users.as_ref().map_or(0, |users| users.secrets.len()),
            trusted = policy.trust.networks.len() + policy.trust.names.len(),
            "configuration reloaded"
        );
        if !waiting.is_empty() {
            tracing::warn!(
                keys = waiting.join(", "),
                "changed, but used only after a restart"
            );
        }
        self.last = settings;
    }
}

/// Resolves at the first SIGTERM or SIGINT; the second ends the process.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        let mut stop = Some(stop);
        loop {
            let number = tokio::select! {
                _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
                _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            };
            match stop.take() {
                Some(stop) => {
                    let _gateway_gone = stop.send(());
                }
                // As a shell reports a process that a signal ended.
                None => std::process::exit(128 + number),
            }
        }
    });
    Ok(async move {
        let _sent = stopped.await;
    })
}
