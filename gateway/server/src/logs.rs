//! The log: one line per event on standard error, for people or as JSON.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, reload};

use crate::config::{LogFormat, LogSettings};

/// The level of a log that is installed.
pub(crate) struct Level(Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>);

impl Level {
    /// Changes it.
    pub(crate) fn set(&self, level: &str) {
        if let Err(error) = (self.0)(EnvFilter::builder().parse_lossy(level)) {
            tracing::warn!(%error, "log level not changed");
        }
    }
}

/// Installs the subscriber for the process. A second call changes nothing.
///
/// Levels: `error` something of ours is broken; `warn` an operator should look (the link is down, a limit is hit); `info` what an operator
/// wants to see of a healthy day (listening, link up, sessions entering and leaving); `debug` single messages without their
/// bodies; `trace` everything. Bodies and secrets are in none of them.
pub(crate) fn install(settings: &LogSettings) -> Level {
    let filter = EnvFilter::builder().parse_lossy(&settings.level);
    let builder = fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let (installed, level) = match settings.format {
        LogFormat::Pretty => {
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            (
                builder.try_init(),
                Level(Box::new(move |filter| handle.reload(filter))),
            )
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            (
                builder.try_init(),
                Level(Box::new(move |filter| handle.reload(filter))),
            )
        }
    };
    if let Err(error) = installed {
        tracing::debug!(%error, "a log subscriber is installed already");
    }
    level
}
