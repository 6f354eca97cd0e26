//! Locating SIP servers (RFC 3263): from a host to the addresses and transports a request is sent to, best first.
//!
//! [`Search`] says what to ask the name server and takes the answers; [`choose_services`] is the choice of RFC 2782, also for the names
//! that [`messaging_query`] builds (RFC 3861). Nothing here asks a name server: the shell does.

mod choice;
mod search;

use std::net::{IpAddr, SocketAddr};

pub use self::{
    choice::{Messaging, choose_services, messaging_query},
    search::{QueryId, Search},
};
use crate::endpoint::Transport;

/// Candidates that one search gives at most, and SRV targets whose addresses it asks for.
pub const TARGETS_MAX: usize = 16;
/// NAPTR records that one search follows at most.
pub const NAPTR_MAX: usize = 8;
/// SRV records of one name that the choice looks at.
pub const SERVICES_MAX: usize = 64;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Host of the URI, a name or a numeric address without brackets.
    pub host: String,
    /// Port of the URI. With one, neither NAPTR nor SRV is asked for.
    pub port: Option<u16>,
    /// The transport to use where the zone does not choose one.
    pub transport: Transport,
    /// The transports that NAPTR and SRV may choose from, the preferred first; empty where the URI names one.
    pub choice: Vec<Transport>,
}

/// What to ask a name server. Names are fully qualified, with the final dot, so that no search domain is ever appended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Query {
    /// NAPTR records.
    Naptr(String),
    /// SRV records.
    Services(String),
    /// A and AAAA records.
    Addresses(String),
}

/// What the name server said, aliases followed (the shell bounds their depth).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Query::Naptr`].
    Naptr(Vec<Naptr>),
    /// To [`Query::Services`].
    Services(Vec<Service>),
    /// To [`Query::Addresses`].
    Addresses(Vec<IpAddr>),
    /// There is no such name, or it has no such records.
    Absent,
    /// No answer, or none that can be used.
    Failed,
}

/// A NAPTR record (RFC 3403 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naptr {
    /// Lower first.
    pub order: u16,
    /// Among equal orders, lower first.
    pub preference: u16,
    /// Only `s` is followed (RFC 3263 §4.1).
    pub flags: String,
    /// `SIP+D2U` and the like.
    pub services: String,
    /// Only records without a regular expression are followed.
    pub regexp: String,
    /// The name whose SRV records come next.
    pub replacement: String,
}

/// An SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Lower first.
    pub priority: u16,
    /// Share among equal priorities.
    pub weight: u16,
    /// Port.
    pub port: u16,
    /// Host; `.` says that the service is decidedly not offered.
    pub target: String,
}

/// Where a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// Transport.
    pub transport: Transport,
    /// Address and port.
    pub address: SocketAddr,
}

/// Why there is no candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// The host has no address, or is not a host name.
    #[error("no such host")]
    Host,
    /// The zone says that the service is not offered (`SRV 0 0 0 .`).
    #[error("the domain says that it does not offer SIP")]
    NotOffered,
    /// The name servers did not answer what had to be known: another attempt may succeed.
    #[error("no answer of the name servers")]
    NoAnswer,
}
