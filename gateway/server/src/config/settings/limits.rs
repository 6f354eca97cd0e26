//! Keys of bounds and deadlines.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    super::human,
    machines::{MappingLimits, MsrpLimits, SipLimits, SipRates, XmppLimits},
};

/// `[limits.*]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Of the mapping core.
    #[serde(with = "MappingLimits")]
    pub mapping: mapping::Limits,
    /// Of SIP messages, transactions and dialogs.
    #[serde(with = "SipLimits")]
    pub sip: sip::Limits,
    /// Of what each source may ask for that is no trusted peer.
    #[serde(with = "SipRates")]
    pub rates: sip::Rates,
    /// Of each MSRP connection.
    #[serde(with = "MsrpLimits")]
    pub msrp: msrp::Limits,
    /// Of the component stream.
    #[serde(with = "XmppLimits")]
    pub xmpp: xmpp::Limits,
    /// Of sockets.
    pub connections: ConnectionLimits,
}

/// `[limits.connections]`: what sockets may cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionLimits {
    /// SIP streams accepted in all. Default 4096.
    #[serde(with = "human::count")]
    pub sip: usize,
    /// MSRP connections accepted in all. Default 10 000.
    #[serde(with = "human::count")]
    pub msrp: usize,
    /// Connections of each of the two kinds from one address. Default 64.
    #[serde(with = "human::count")]
    pub per_address: usize,
    /// Octets that may wait for one SIP stream; one more, and it is closed. Default 256 KiB.
    #[serde(with = "human::octets")]
    pub sip_queue: usize,
    /// How long a new SIP stream may stay silent. Default 10 s.
    #[serde(with = "human::duration")]
    pub sip_first: Duration,
    /// How long one SIP message may take to arrive on a stream. Default 10 s.
    #[serde(with = "human::duration")]
    pub sip_message: Duration,
    /// How long a SIP stream may be idle. Default 65 min, longer than a proxy keeps it.
    #[serde(with = "human::duration")]
    pub sip_idle: Duration,
    /// How long a TLS handshake may take. Default 5 s.
    #[serde(with = "human::duration")]
    pub tls_handshake: Duration,
    /// How long the answer to a keep-alive may take. Default 10 s.
    #[serde(with = "human::duration")]
    pub sip_pong: Duration,
    /// How long an MSRP connection may be without a session. Default 30 s.
    #[serde(with = "human::duration")]
    pub msrp_unbound: Duration,
    /// How long a peer may take none of what is written to it. Default 30 s.
    #[serde(with = "human::duration")]
    pub write_stall: Duration,
    /// How long opening a SIP stream may take, or an MSRP connection, at all addresses of its host together. Default 5 s.
    #[serde(with = "human::duration")]
    pub connect: Duration,
    /// How long sessions may take to end when the gateway stops. Default 5 s.
    #[serde(with = "human::duration")]
    pub stop: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            sip: 4096,
            msrp: 10_000,
            per_address: 64,
            sip_queue: 256 * 1024,
            sip_first: Duration::from_secs(10),
            sip_message: Duration::from_secs(10),
            sip_idle: Duration::from_secs(65 * 60),
            tls_handshake: Duration::from_secs(5),
            sip_pong: Duration::from_secs(10),
            msrp_unbound: Duration::from_secs(30),
            write_stall: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            stop: Duration::from_secs(5),
        }
    }
}
