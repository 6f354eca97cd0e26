//! The project's own programs, built once per test run.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
};

use crate::{Context, Result, bail};

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// `sip-xmpp-gateway`.
    pub gateway: PathBuf,
    /// `sip-chat`.
    pub sip_chat: PathBuf,
}

impl Binaries {
    /// Builds both in the development profile, showing cargo's progress, and tells where they are.
    ///
    /// # Errors
    /// They do not build.
    pub fn build() -> Result<Self> {
        Self::build_with(&[])
    }

    fn build_with(options: &[&str]) -> Result<Self> {
        let status = Command::new(cargo())
            .args(["build", "--bin", "sip-xmpp-gateway", "--bin", "sip-chat"])
            .args(options)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .stdin(Stdio::null())
            .status()
            .context("cannot start cargo")?;
        if !status.success() {
            bail!("the gateway and sip-chat do not build");
        }
        let directory = development_directory()?;
        Ok(Self {
            gateway: directory.join("sip-xmpp-gateway"),
            sip_chat: directory.join("sip-chat"),
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
