//! The project's own programs, built once per test run.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
};

use crate::{Context, Result, bail};

/// Our own programs.
const PROGRAMS: [&str; 3] = ["sip-xmpp-gateway", "sip-chat", "conference-server"];

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// `sip-xmpp-gateway`.
    pub gateway: PathBuf,
    /// `sip-chat`.
    pub sip_chat: PathBuf,
    /// `conference-server`.
    pub conference: PathBuf,
}

impl Binaries {
    /// Builds them in the development profile, showing cargo's progress, and tells where they are.
    ///
    /// # Errors
    /// They do not build.
    pub fn build() -> Result<Self> {
        Self::build_with(&[])
    }

    fn build_with(options: &[&str]) -> Result<Self> {
        let status = Command::new(cargo())
            .arg("build")
            .args(PROGRAMS.iter().flat_map(|name| ["--bin", name]))
            .args(options)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .stdin(Stdio::null())
            .status()
            .context("cannot start cargo")?;
        if !status.success() {
            bail!("{} do not build", PROGRAMS.join(", "));
        }
        let directory = development_directory()?;
        Ok(Self {
            gateway: directory.join("sip-xmpp-gateway"),
            sip_chat: directory.join("sip-chat"),
            conference: directory.join("conference-server"),
        })
    }

    /// The same quietly, and at most once in a process.
    ///
    /// # Errors
    /// They do not build.
    pub fn built() -> Result<&'static Self> {
        static BUILT: OnceLock<Result<Binaries, String>> = OnceLock::new();
        BUILT
            .get_or_init(|| Self::build_with(&["--quiet"]).map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow::anyhow!(error.clone()))
    }
}

/// The cargo that runs us, else the one on the search path.
#[must_use]
pub fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// `target/debug`: the directory of our own executable, or for a test the one above `deps`.
fn development_directory() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let directory = own.parent().context("our executable is in no directory")?;
    let directory = if directory.ends_with("deps") {
        directory.parent().unwrap_or(directory)
    } else {
        directory
    };
    Ok(directory.to_owned())
}
