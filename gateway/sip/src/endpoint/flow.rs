//! Where messages come from and go to.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::locate::Question;

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

impl Transport {
    /// The port where a URI names none (RFC 3261 §19.1.2).
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

/// A stream connection of the shell; 0 is never used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u64);

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Transport.
    pub transport: Transport,
    /// The peer's address.
    pub peer: SocketAddr,
    /// The connection; `None` for UDP.
    pub id: Option<FlowId>,
}

/// Names one transmission, for [`crate::Endpoint::handle_transmit_failed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransmitId(pub u64);

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Its name.
    pub id: TransmitId,
    /// Where to.
    pub target: Target,
    /// The octets.
    pub bytes: Bytes,
}

/// Where to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Transport.
    pub transport: Transport,
    /// The connection to prefer, if it is still open (a response goes back where its request came from, RFC 3261 §18.2.2).
    pub flow: Option<FlowId>,
    /// Otherwise an open connection to this address, or a new one.
    pub peer: SocketAddr,
    /// Over TLS: the host that the peer's certificate must name, as the URI had it before any look-up (RFC 5922 §7.3). An open connection
    /// serves only if it was verified for that host.
    pub host: Option<String>,
}

impl Target {
    /// A target; `host` counts for TLS alone.
    pub(super) fn new(transport: Transport, flow: Option<FlowId>, peer: SocketAddr, host: &str) -> Self {
        Self {
            transport,
            flow,
            peer,
            host: (transport == Transport::Tls).then(|| host.to_owned()),
        }
    }
}

/// Names a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResolveId(pub u64);

/// A host to look up (numeric ones never are).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolve {
    /// Its name.
    pub id: ResolveId,
    /// Host name.
    pub host: String,
    /// Port, if the URI has one (then no SRV, RFC 3263 §4.2).
    pub port: Option<u16>,
    /// Transport, unless the zone chooses another out of `choice`.
    pub transport: Transport,
    /// The transports that the zone may choose from, the preferred first (RFC 3263 §4.1); empty where it may not.
    pub choice: Vec<Transport>,
}

impl Resolve {
    /// What [`crate::locate::Search`] takes.
    #[must_use]
    pub fn question(&self) -> Question {
        Question {
            host: self.host.clone(),
            port: self.port,
            transport: self.transport,
            choice: self.choice.clone(),
        }
    }
}
