//! ejabberd with `deploy/ejabberd.yml` and throw-away state.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{REMEDY, XmppUser, deployed, on_free_ports, server_program};
use crate::{
    Context, Result,
    authority::{Authority, Files},
    ensure,
    ports::free_port,
    process::{Launch, Process},
    scratch::{Scratch, User},
};

const SECRET: &str = "throw-away-secret";
/// An Erlang machine on a busy computer takes its time.
const START: Duration = Duration::from_secs(60);

/// A running ejabberd: users at `example.com`, rooms at `rooms.example.com`, the component `example.org`.
#[derive(Debug)]
pub struct Ejabberd {
    process: Option<Process>,
    scratch: Scratch,
    user: Option<User>,
    users: SocketAddr,
    component: SocketAddr,
    /// Whether its component listener speaks TLS, with a certificate beside the configuration.
    secured: bool,
}

/// Certificates and key, one after the other.
const CERTIFICATE: &str = "certificate.pem";

impl Ejabberd {
    /// Starts it on free ports of 127.0.0.1.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(None)
    }

    /// The same with TLS from the first octet for components (`tls: true`), under this certificate.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start_secured(authority: &Authority, files: &Files) -> Result<Self> {
        let parts = [&files.certificate, &authority.file(), &files.key].map(fs::read_to_string);
        let parts: std::io::Result<Vec<_>> = parts.into_iter().collect();
        Self::start_with(Some(parts?.concat()))
    }

    fn start_with(certificate: Option<String>) -> Result<Self> {
        server_program("ejabberdctl")?;
        let user = User::for_server("ejabberd")?;
        let scratch = Scratch::new("ejabberd")?;
        scratch.directory("state", user.as_ref())?;
        if let Some(certificate) = &certificate {
            fs::write(scratch.path().join(CERTIFICATE), certificate)?;
        }
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut ejabberd = Self {
            process: None,
            scratch,
            user,
            users: local(free_port()?),
            component: local(free_port()?),
            secured: certificate.is_some(),
        };
        on_free_ports(|| {
            ejabberd.users.set_port(free_port()?);
            ejabberd.component.set_port(free_port()?);
            ejabberd.restart()
        })?;
        Ok(ejabberd)
    }

    /// Starts it again with the same addresses and what it had stored.
    ///
    /// # Errors
    /// It does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.process = None;
        let directory = self.scratch.path().to_owned();
        let configuration = directory.join("ejabberd.yml");
        fs::write(&configuration, self.configuration()?)?;
        let log = directory.join("ejabberd.log");
        let from = fs::metadata(&log).map_or(0, |log| log.len());
        // Without a node name there is neither a port mapper nor a cookie that two of them could fight over.
        let database = format!("\"{}\"", directory.join("state/database").display());
        let mut process = Launch::new("ejabberd", server_program("erl")?, log)
            .arguments([
                "-noinput", "+S", "2", "-mnesia", "dir", &database, "-s", "ejabberd",
            ])
            .environment("EJABBERD_CONFIG_PATH", configuration)
            .environment("ERL_LIBS", libraries()?)
            .environment("HOME", directory.join("state"))
            .user(self.user.clone())
            .start()?;
        for listener in [self.users, self.component] {
            let transport = if self.secured && listener == self.component {
                "TLS"
            } else {
                "TCP"
            };
            let ready = format!("Start accepting {transport} connections at {listener} for");
            process.wait_for_log(&ready, usize::try_from(from)?, START)?;
        }
        self.process = Some(process);
        Ok(())
    }

    /// Kills it at once, as a crash would (SIGKILL). It may forget accounts made in the seconds before.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
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
    pub fn secret(&self) -> &'static str {
        SECRET
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

    /// Creates an account `NAME@example.com`, whose password is its name, unless it exists.
    ///
    /// # Errors
    /// The server refuses.
    pub fn add_user(&self, name: &str) -> Result<()> {
        XmppUser::register(self.users, name, name)
    }

    /// The deployed file with our addresses and secret in its macros.
    fn configuration(&self) -> Result<String> {
        let mut text = fs::read_to_string(deployed("ejabberd.yml")).context("deploy/ejabberd.yml")?;
        for (setting, deployed, ours) in [
            ("INTERFACE", "\"::\"", format!("\"{}\"", self.users.ip())),
            ("C2S_PORT", "5222", self.users.port().to_string()),
            ("COMPONENT_PORT", "5347", self.component.port().to_string()),
            ("COMPONENT_SECRET", "\"change-me\"", format!("\"{SECRET}\"")),
        ] {
            let line = format!("{setting}: {deployed}\n");
            ensure!(
                text.matches(&line).count() == 1,
                "deploy/ejabberd.yml does not say {line:?} once"
            );
            text = text.replace(&line, &format!("{setting}: {ours}\n"));
        }
        if self.secured {
            let component = "module: ejabberd_service\n";
            let certificate = self.scratch.path().join(CERTIFICATE);
            let tls = format!("    tls: true\n    certfile: \"{}\"\n", certificate.display());
            text = text.replace(component, &format!("{component}{tls}"));
        }
        Ok(text)
    }
}

/// Where Debian puts ejabberd and the Erlang libraries it needs: the directory of the machine's architecture.
fn libraries() -> Result<PathBuf> {
    let of_architectures = fs::read_dir("/usr/lib").context("cannot read /usr/lib")?;
    of_architectures
        .flatten()
        .map(|entry| entry.path())
        .find(|directory| holds_ejabberd(directory))
        .with_context(|| format!("ejabberd is not installed where Debian puts it; {REMEDY}"))
}

fn holds_ejabberd(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("ejabberd-"))
        })
    })
}
