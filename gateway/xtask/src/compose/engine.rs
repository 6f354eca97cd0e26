//! A Docker engine.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use gateway_tests::{
    Context, Result, bail, ensure,
    process::{Launch, Process, find_program},
    scratch::Scratch,
};

use crate::steps::run_quietly;

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(30);

/// An engine: our own with throw-away state, or the user's.
#[derive(Debug)]
pub(crate) struct Engine {
    process: Option<Process>,
    address: String,
}

impl Engine {
    /// Starts one with all its state in `scratch`. It changes neither the firewall nor the routing of the host, hence
    /// containers have no way out and no published ports; the host reaches their bridges.
    ///
    /// # Errors
    /// It does not start; the message holds its log.
    pub(crate) fn start(scratch: &Scratch) -> Result<Self> {
        let program = find_program("dockerd").context("there is no dockerd")?;
        let at = |name: &str| scratch.path().join(name).display().to_string();
        let address = format!("unix://{}", at("docker.sock"));
        let mut process = Launch::new("dockerd", program, scratch.path().join("dockerd.log"))
            .arguments([
                "--host",
                &address,
                "--data-root",
                &at("data"),
                "--exec-root",
                &at("exec"),
            ])
            .arguments(["--pidfile", &at("docker.pid"), "--bridge=none"])
            .arguments([
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
                "--ip-masq=false",
            ])
            .start()?;
        let deadline = Instant::now() + START;
        while run_quietly(docker(&address).arg("info")).is_err() {
            if !process.is_running() {
                bail!("no Docker engine can be started here\n{}", process.log_tail());
            }
            ensure!(
                Instant::now() < deadline,
                "the Docker engine does not answer\n{}",
                process.log_tail()
            );
            thread::sleep(Duration::from_millis(200));
        }
        Ok(Self {
            process: Some(process),
            address,
        })
    }

    /// The one that the user can reach already.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn existing() -> Result<Self> {
        let address =
            std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        run_quietly(docker(&address).arg("info")).context(
            "no Docker engine: as root this starts one of its own, as another user it needs one that you may use",
        )?;
        Ok(Self {
            process: None,
            address,
        })
    }

    /// Its address, as in `DOCKER_HOST`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Ends it, if it is ours.
    ///
    /// # Errors
    /// It does not end.
    pub(crate) fn stop(mut self) -> Result<()> {
        match &mut self.process {
            Some(process) => {
                process.terminate();
                process.wait(STOP).map(drop)
            }
            None => Ok(()),
        }
    }
}

/// A `docker` command for that engine.
pub(crate) fn docker(address: &str) -> Command {
    let mut command = Command::new("docker");
    command.env("DOCKER_HOST", address);
    command
}
