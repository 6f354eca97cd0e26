//! What changes in a running gateway when it reads its configuration again.

use tokio::sync::watch;

use crate::{
    config::{Config, Policy},
    tls::Tls,
};

/// Keys that take effect at once; those of other sections wait for the next start.
const AT_ONCE: [&str; 5] = [
    "log.level",
    "tls.",
    "sip.trust.",
    "sip.challenge.",
    "limits.rates.",
];

/// Whether a key takes effect at once.
#[must_use]
pub fn takes_effect_at_once(key: &str) -> bool {
    // How often the files are looked at is settled at the start.
    key != "tls.check" && AT_ONCE.iter().any(|section| key.starts_with(section))
}

/// Hands a new configuration to a running gateway. No connection, call or subscription ends by it.
#[derive(Clone)]
pub struct Reloader {
    pub(crate) tls: Option<Tls>,
    pub(crate) policy: watch::Sender<Policy>,
}

impl Reloader {
    /// Uses the certificates, users, trusted peers and rates of `config` from now on. Gives whom our certificate names then, if there is one.
    ///
    /// A gateway that was started without certificates goes on without.
    pub fn adopt(&self, config: &Config) -> Option<String> {
        self.policy.send_if_modified(|policy| {
            let changed = *policy != config.sip.policy;
            policy.clone_from(&config.sip.policy);
            changed
        });
        let tls = self.tls.as_ref()?;
        if let Some(new) = &config.tls {
            tls.adopt(new);
        }
        Some(tls.summary())
    }
}
