//! Settings and bounds of a link.

use std::fmt;
use std::time::Duration;

/// Settings of a link.
#[derive(Clone)]
pub struct LinkConfig {
    /// The component's domain.
    pub domain: String,
    /// The shared secret. Never shown by `Debug`.
    pub secret: String,
    /// Bounds.
    pub limits: Limits,
    /// How long handshake and connect may take. Default 10 s.
    pub handshake: Duration,
    /// Silence after which the server is pinged. Default 30 s.
    pub idle: Duration,
    /// How long a ping may go unanswered. Default 10 s.
    pub ping: Duration,
    /// Whether requests to the domain itself are answered by the link; else they are events, for an owner who has more to say: the domain is
    /// then a service with rooms, and whoever enters or speaks there under an address that cannot be read is told so.
    pub answers: bool,
    /// The longest wait between two attempts while the server is out of reach. Default 2 s.
    pub retry: Duration,
    /// What to do when another connection takes the domain over.
    pub conflict: ConflictRule,
}

/// What to do when the server ends a standing link because another connection speaks for its domain, as Prosody does with
/// `component_conflict_resolve = "kick_old"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConflictRule {
    /// Take it back, after 30 s to 120 s.
    #[default]
    Retry,
    /// Leave it to the other: the link stays down until the gateway is started again.
    Stop,
}

impl fmt::Debug for LinkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkConfig")
            .field("domain", &self.domain)
            .field("limits", &self.limits)
            .field("handshake", &self.handshake)
            .field("idle", &self.idle)
            .field("ping", &self.ping)
            .field("retry", &self.retry)
            .field("conflict", &self.conflict)
            .finish_non_exhaustive()
    }
}

/// Bounds of the guard and of the outgoing queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Nesting depth within a stanza. Default 32.
    pub depth: usize,
    /// Octets of one attribute value, as on the wire. Default 4096; the XML parser refuses more than 8192.
    pub attribute: usize,
    /// Attributes of one element. Default 64.
    pub attributes: usize,
    /// Elements of one stanza. Default 8192.
    pub elements: usize,
    /// Octets of one element or attribute name. Default 256.
    pub name: usize,
    /// Octets of one incoming stanza. Default 512 KiB.
    pub stanza_in: usize,
    /// Octets of one outgoing stanza; more than the server takes ends the link. Default 256 KiB, half of what Prosody takes.
    pub stanza_out: usize,
    /// Octets queued for sending. Default 4 MiB.
    pub queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 32,
            attribute: 4096,
            attributes: 64,
            elements: 8192,
            name: 256,
            stanza_in: 512 * 1024,
            stanza_out: 256 * 1024,
            queue: 4 * 1024 * 1024,
        }
    }
}
