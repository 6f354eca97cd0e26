//! The log: one line per event on standard error, for people or as JSON.

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogFormat, LogSettings};

/// Installs the subscriber for the process. A second call changes nothing.
///
/// Levels: `error` something of ours is broken; `warn` an operator should look (the link is down, a limit is hit); `info` what an operator
/// wants to see of a healthy day (listening, link up, sessions entering and leaving); `debug` single messages without their
/// bodies; `trace` everything. Bodies and secrets are in none of them.
pub(crate) fn install(settings: &LogSettings) {
    let filter = EnvFilter::builder().parse_lossy(&settings.level);
    let subscriber = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match settings.format {
        LogFormat::Pretty => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    if let Err(error) = installed {
        tracing::debug!(%error, "a log subscriber is installed already");
    }
}
