//! Either XMPP server, as what both of them can do.

use std::net::SocketAddr;

use super::{Ejabberd, Prosody, ProsodySettings, XmppUser};
use crate::{Result, process::Process};

/// Which XMPP server.
#[derive(Debug, Clone)]
pub enum XmppServerKind {
    /// Prosody, with these settings.
    Prosody(ProsodySettings),
    /// ejabberd.
    Ejabberd,
}

impl Default for XmppServerKind {
    fn default() -> Self {
        Self::Prosody(ProsodySettings::default())
    }
}

/// A running XMPP server: users at `example.com`, rooms at `rooms.example.com`, the component `example.org`.
#[derive(Debug)]
pub enum XmppServer {
    /// Prosody.
    Prosody(Prosody),
    /// ejabberd.
    Ejabberd(Ejabberd),
}

impl XmppServer {
    /// Starts it on free ports of 127.0.0.1.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start(kind: XmppServerKind) -> Result<Self> {
        Ok(match kind {
            XmppServerKind::Prosody(settings) => Self::Prosody(Prosody::start(settings)?),
            XmppServerKind::Ejabberd => Self::Ejabberd(Ejabberd::start()?),
        })
    }

    /// Starts it again with the same addresses and what it had stored.
    ///
    /// # Errors
    /// It does not start.
    pub fn restart(&mut self) -> Result<()> {
        match self {
            Self::Prosody(server) => server.restart(),
            Self::Ejabberd(server) => server.restart(),
        }
    }

    /// Kills it at once, as a crash would (SIGKILL).
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        match self {
            Self::Prosody(server) => server.kill(),
            Self::Ejabberd(server) => server.kill(),
        }
    }

    /// The running process; `None` after [`XmppServer::kill`].
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        match self {
            Self::Prosody(server) => server.process(),
            Self::Ejabberd(server) => server.process(),
        }
    }

    /// Where XMPP users connect.
    #[must_use]
    pub fn users_address(&self) -> SocketAddr {
        match self {
            Self::Prosody(server) => server.users_address(),
            Self::Ejabberd(server) => server.users_address(),
        }
    }

    /// Where the gateway attaches.
    #[must_use]
    pub fn component_address(&self) -> SocketAddr {
        match self {
            Self::Prosody(server) => server.component_address(),
            Self::Ejabberd(server) => server.component_address(),
        }
    }

    /// The component's secret.
    #[must_use]
    pub fn secret(&self) -> &str {
        match self {
            Self::Prosody(server) => server.secret(),
            Self::Ejabberd(server) => server.secret(),
        }
    }

    /// Everything it has logged, also before a restart.
    #[must_use]
    pub fn log(&self) -> String {
        match self {
            Self::Prosody(server) => server.log(),
            Self::Ejabberd(server) => server.log(),
        }
    }

    /// The end of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        match self {
            Self::Prosody(server) => server.log_tail(),
            Self::Ejabberd(server) => server.log_tail(),
        }
    }

    /// Creates an account `NAME@example.com`, whose password is its name, unless it exists.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn add_user(&self, name: &str) -> Result<()> {
        match self {
            Self::Prosody(server) => server.add_user(name),
            Self::Ejabberd(server) => server.add_user(name),
        }
    }

    /// Creates an account and logs it in.
    ///
    /// # Errors
    /// The account cannot be created or does not get in.
    pub fn connect_user(&self, name: &str) -> Result<XmppUser> {
        self.add_user(name)?;
        XmppUser::connect(self.users_address(), name, name)
    }
}
