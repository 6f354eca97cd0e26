//! sipp, an independent SIP implementation that plays the scenarios of `tests/sipp`.

use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    Context, Result, bail,
    ports::free_port,
    process::{Launch, Process, find_program},
    scratch::Scratch,
};

/// How long sipp may take beyond its own deadline.
const GRACE: Duration = Duration::from_secs(15);
/// Calls of which sipp tells what it did not expect.
const FAULTS_SHOWN: usize = 40;

/// How the messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SippTransport {
    /// One socket.
    Udp,
    /// One connection.
    Tcp,
}

/// A run of a scenario.
#[derive(Debug, Clone)]
pub struct Sipp {
    /// The scenario's file name in `tests/sipp`, without its ending.
    pub scenario: &'static str,
    /// Where to.
    pub server: SocketAddr,
    /// How.
    pub transport: SippTransport,
    /// Calls in all.
    pub calls: u32,
    /// New calls a second.
    pub rate: u32,
    /// How long a call lasts, for scenarios that leave it open.
    pub hold: Duration,
    /// Whether sipp repeats lost messages, and overlooks those that come again.
    pub retransmit: bool,
    /// When to give up.
    pub limit: Duration,
}

impl Sipp {
    /// A single short call.
    #[must_use]
    pub fn once(scenario: &'static str, server: SocketAddr, transport: SippTransport) -> Self {
        Self {
            scenario,
            server,
            transport,
            calls: 1,
            rate: 1,
            hold: Duration::from_millis(100),
            retransmit: true,
            limit: Duration::from_secs(60),
        }
    }

    /// Plays it to its end.
    ///
    /// # Errors
    /// sipp is not installed, or a call went otherwise than the scenario has it: the message tells what came instead.
    pub fn run(&self) -> Result<()> {
        self.start()?.finish()
    }

    /// Begins.
    ///
    /// # Errors
    /// sipp is not installed.
    pub fn start(&self) -> Result<RunningSipp> {
        let program = find_program("sipp").context(
            "sipp is not installed; `cargo xtask test` installs it, so does `apt-get install sip-tester`",
        )?;
        let scratch = Scratch::new("sipp")?;
        let path = |name: &str| scratch.path().join(name).into_os_string();
        let mut arguments: Vec<OsString> = vec![
            "-sf".into(),
            scenario(self.scenario).into(),
            "-trace_err".into(),
            "-error_file".into(),
            path("errors.log"),
            "-trace_stat".into(),
            "-stf".into(),
            path("statistics.csv"),
            "-nostdin".into(),
            "-timeout_error".into(),
        ];
        let mut set = |name: &str, value: String| arguments.extend([name.into(), value.into()]);
        set(
            "-t",
            String::from(if self.transport == SippTransport::Udp {
                "u1"
            } else {
                "t1"
            }),
        );
        set("-i", self.server.ip().to_string());
        set("-p", free_port()?.to_string());
        set("-m", self.calls.to_string());
        set("-r", self.rate.to_string());
        set("-l", self.calls.to_string());
        set("-d", self.hold.as_millis().to_string());
        set("-timeout", format!("{}s", self.limit.as_secs()));
        if !self.retransmit {
            arguments.push("-nr".into());
        }
        arguments.push(self.server.to_string().into());
        let process = Launch::new("sipp", program, scratch.path().join("sipp.log"))
            .arguments(arguments)
            .start()?;
        Ok(RunningSipp {
            process,
            scenario: self.scenario,
            limit: self.limit + GRACE,
            scratch,
        })
    }
}

/// A scenario being played.
#[derive(Debug)]
pub struct RunningSipp {
    process: Process,
    scenario: &'static str,
    limit: Duration,
    scratch: Scratch,
}

impl RunningSipp {
    /// Waits for the end.
    ///
    /// # Errors
    /// A call went otherwise than the scenario has it.
    pub fn finish(mut self) -> Result<()> {
        let status = self.process.wait(self.limit)?;
        if !status.success() {
            bail!(
                "sipp was not content with {}: {status}\n{}",
                self.scenario,
                self.faults()
            );
        }
        Ok(())
    }

    /// Waits for the end, whatever it is, and counts the calls that went as they should and those that did not.
    ///
    /// # Errors
    /// sipp does not end, or does not count.
    pub fn count(mut self) -> Result<CallCount> {
        self.process.wait(self.limit)?;
        let file = self.scratch.path().join("statistics.csv");
        let statistics = fs::read_to_string(&file).context("sipp has written no statistics")?;
        let mut lines = statistics.lines();
        let names: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
        let values: Vec<&str> = lines.next_back().unwrap_or_default().split(';').collect();
        let of = |wanted: &str| -> Result<u64> {
            let place = names.iter().position(|name| *name == wanted);
            let value = place
                .and_then(|place| values.get(place))
                .context("a column is missing")?;
            Ok(value.parse()?)
        };
        Ok(CallCount {
            successful: of("SuccessfulCall(C)")?,
            failed: of("FailedCall(C)")?,
            retransmitted: of("Retransmissions(C)")?,
        })
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// What sipp did not expect.
    #[must_use]
    pub fn faults(&self) -> String {
        let told = fs::read_to_string(self.scratch.path().join("errors.log")).unwrap_or_default();
        let told: Vec<&str> = told.lines().take(FAULTS_SHOWN).collect();
        if told.is_empty() {
            self.process.log_tail()
        } else {
            told.join("\n")
        }
    }
}

/// How the calls of a run went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallCount {
    /// As the scenario has it.
    pub successful: u64,
    /// Otherwise.
    pub failed: u64,
    /// Messages that sipp had to repeat.
    pub retransmitted: u64,
}

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("sipp")
        .join(name)
        .with_extension("xml")
}
