//! Prosody with `deploy/prosody.cfg.lua` and throw-away state.

use std::{fs, net::SocketAddr, os::unix::fs::chown, path::PathBuf, time::Duration};

use super::{XmppUser, deployed, on_free_ports, server_program};
use crate::{
    Context, PATIENCE, Result,
    ports::free_port,
    process::{Launch, Process},
    scratch::{Scratch, User},
};

/// The domain of the XMPP users.
pub const USERS: &str = "example.com";
/// The MUC service, and the SIP conference domain that stands for it.
pub const ROOMS: &str = "rooms.example.com";
/// The component domain, which is the SIP users' domain.
pub const COMPONENT: &str = "example.org";

const READY: [&str; 2] = ["Activated service 'component'", "Activated service 'c2s'"];

/// What a test may want otherwise than the deployed file has it.
#[derive(Debug, Clone)]
pub struct ProsodySettings {
    /// The component's secret.
    pub secret: String,
    /// Who wins when the component's domain is attached twice: `kick_old` or `kick_new`.
    pub conflict: &'static str,
    /// Largest stanza taken from a user, in octets.
    pub stanza_limit: usize,
}

impl Default for ProsodySettings {
    fn default() -> Self {
        Self {
            secret: "throw-away-secret".to_owned(),
            conflict: "kick_old",
            stanza_limit: 256 * 1024,
        }
    }
}

/// A running Prosody: users at `example.com`, rooms at `rooms.example.com`, the component `example.org`.
#[derive(Debug)]
pub struct Prosody {
    process: Option<Process>,
    scratch: Scratch,
    user: Option<User>,
    settings: ProsodySettings,
    users: SocketAddr,
    component: SocketAddr,
}

impl Prosody {
    /// Starts it on free ports of 127.0.0.1.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start(settings: ProsodySettings) -> Result<Self> {
        let mut prosody = Self::stopped(settings)?;
        on_free_ports(|| {
            prosody.users.set_port(free_port()?);
            prosody.component.set_port(free_port()?);
            prosody.restart()
        })?;
        Ok(prosody)
    }

    /// Its files and reserved addresses, without the process: for what happens when the server is absent.
    ///
    /// # Errors
    /// It is not installed, or the temporary directory is not writable.
    pub fn stopped(settings: ProsodySettings) -> Result<Self> {
        server_program("prosody")?;
        let user = User::for_server("prosody")?;
        let scratch = Scratch::new("prosody")?;
        let directory = scratch.directory("state", user.as_ref())?;
        // Where Prosody looks for certificates: beside its configuration.
        scratch.directory("certs", None)?;
        fs::copy(
            deployed("prosody.cfg.lua"),
            scratch.path().join("prosody.cfg.lua"),
        )
        .context("deploy/prosody.cfg.lua")?;
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let prosody = Self {
            process: None,
            user,
            settings,
            users: local(free_port()?),
            component: local(free_port()?),
            scratch,
        };
        prosody.make_directory(directory.join("data"))?;
        Ok(prosody)
    }

    /// Starts it again with the same addresses and what it had stored.
    ///
    /// # Errors
    /// It does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.process = None;
        let process = Launch::new(
            "Prosody",
            server_program("prosody")?,
            self.scratch.path().join("prosody.log"),
        )
        .arguments([
            "--config".into(),
            self.scratch.path().join("prosody.cfg.lua").into_os_string(),
        ])
        .arguments(["-F"])
        .environment("PROSODY_DIR", self.scratch.path().join("state"))
        .environment("PROSODY_INTERFACE", self.users.ip().to_string())
        .environment("PROSODY_C2S_PORT", self.users.port().to_string())
        .environment("PROSODY_COMPONENT_PORT", self.component.port().to_string())
        .environment("PROSODY_COMPONENT_SECRET", &self.settings.secret)
        .environment("PROSODY_COMPONENT_CONFLICT", self.settings.conflict)
        .environment("PROSODY_STANZA_LIMIT", self.settings.stanza_limit.to_string())
        .environment("HOME", self.scratch.path().join("state"))
        .user(self.user.clone());
        let from = fs::metadata(self.scratch.path().join("prosody.log")).map_or(0, |log| log.len());
        let mut process = process.start()?;
        for service in READY {
            process.wait_for_log(service, usize::try_from(from)?, PATIENCE)?;
        }
        self.process = Some(process);
        Ok(())
    }

    /// Kills it at once, as a crash would (SIGKILL).
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.kill(),
            None => Ok(()),
        }
    }

    /// The running process.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Where XMPP users connect.
    #[must_use]
    pub fn users_address(&self) -> SocketAddr {
        self.users
    }

    /// Where the gateway attaches.
    #[must_use]
    pub fn component_address(&self) -> SocketAddr {
        self.component
    }

    /// The component's secret.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.settings.secret
    }

    /// Waits until it has logged `text`.
    ///
    /// # Errors
    /// It is not running, or `limit` passed, without.
    pub fn wait_for_log(&mut self, text: &str, limit: Duration) -> Result<()> {
        self.process
            .as_mut()
            .context("Prosody is not running")?
            .wait_for_log(text, 0, limit)
    }

    /// Everything it has logged, also before a restart.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// The end of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.process.as_ref().map(Process::log_tail).unwrap_or_default()
    }

    /// Creates an account `NAME@example.com`, whose password is its name.
    ///
    /// # Errors
    /// Its file cannot be written.
    pub fn add_user(&self, name: &str) -> Result<()> {
        let accounts = self.scratch.path().join("state/data/example%2ecom/accounts");
        self.make_directory(accounts.clone())?;
        let file = accounts.join(format!("{name}.dat"));
        fs::write(&file, format!("return {{ [\"password\"] = \"{name}\"; }};\n"))?;
        self.give_away(&file)
    }

    /// Creates an account and logs it in.
    ///
    /// # Errors
    /// The account cannot be created or does not get in.
    pub fn connect_user(&self, name: &str) -> Result<XmppUser> {
        self.add_user(name)?;
        XmppUser::connect(self.users, name, name)
    }

    fn make_directory(&self, path: PathBuf) -> Result<()> {
        let state = self.scratch.path().join("state");
        fs::create_dir_all(&path)?;
        let mut next = Some(path.as_path());
        while let Some(directory) = next.filter(|directory| *directory != state) {
            self.give_away(directory)?;
            next = directory.parent();
        }
        Ok(())
    }

    fn give_away(&self, path: &std::path::Path) -> Result<()> {
        if let Some(user) = &self.user {
            let (uid, gid) = user.ids();
            chown(path, Some(uid), Some(gid))?;
        }
        Ok(())
    }
}
