//! Which peers are believed, and what they say of their users (RFC 3325, RFC 3323).

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::Instant,
};

use super::{
    Endpoint,
    dialog::DialogKey,
    flow::{Flow, FlowId, Target},
    rates::{Allowance, Rates},
    received::Received,
    server::Reply,
};
use crate::message::{Headers, Method, NameAddr};

/// Names of one certificate that are kept.
const NAMES_MAX: usize = 64;
/// What only a trusted peer may say.
const ASSERTIONS: [&str; 1] = ["P-Asserted-Identity"];

/// The peers that are believed when they assert identities, and what becomes of the others. Nobody by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// By source address, whatever the transport: only where no stranger can send from it.
    pub networks: Vec<Network>,
    /// By a name in their verified certificate (RFC 5922 §7.1), without case.
    pub names: Vec<String>,
    /// What becomes of requests of others.
    pub unlisted: Unlisted,
}

impl Trust {
    fn is_empty(&self) -> bool {
        self.networks.is_empty() && self.names.is_empty()
    }
}

/// What becomes of a request that comes neither from a trusted peer nor in a dialog.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unlisted {
    /// It is served; what it asserts is not believed.
    #[default]
    Serve,
    /// 403.
    Refuse,
    /// Nothing is answered, not even to what cannot be read.
    Ignore,
}

/// A range of addresses: `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// Leading bits that count.
    prefix: u32,
}

/// Text that is no [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no address, and no network such as 192.0.2.0/24")]
pub struct NoNetwork;

impl Network {
    /// Whether an address is in it. IPv4 addresses mapped into IPv6 are the IPv4 addresses.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differing = own.to_bits() ^ other.to_bits();
                differing.leading_zeros() >= self.prefix
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differing = own.to_bits() ^ other.to_bits();
                differing.leading_zeros() >= self.prefix
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| NoNetwork)?,
            None => whole,
        };
        if prefix > whole {
            return Err(NoNetwork);
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Whom we trust, and who is at the other end of each connection.
#[derive(Debug, Default)]
pub(super) struct Peers {
    pub(super) trust: Trust,
    verified: BTreeMap<FlowId, Verified>,
    /// Connections that peers opened and that requests of ours to these addresses may use (RFC 5923).
    aliases: BTreeMap<SocketAddr, FlowId>,
}

/// A peer that has proven who it is.
#[derive(Debug)]
struct Verified {
    names: Vec<String>,
    /// The address that its connection is lent for: one, so that no peer fills the table.
    alias: Option<SocketAddr>,
}

impl Peers {
    pub(super) fn is_trusted(&self, flow: Flow) -> bool {
        let by_address = || {
            self.trust
                .networks
                .iter()
                .any(|network| network.contains(flow.peer.ip()))
        };
        let by_name = || {
            self.names(flow).iter().any(|name| {
                self.trust
                    .names
                    .iter()
                    .any(|trusted| trusted.eq_ignore_ascii_case(name))
            })
        };
        by_address() || by_name()
    }

    /// The connection on which a request to this target reaches a peer that has proven to be the target's host.
    pub(super) fn alias(&self, target: &Target) -> Option<FlowId> {
        let flow = *self.aliases.get(&target.peer)?;
        let host = target.host.as_deref()?;
        self.is_verified(flow, host).then_some(flow)
    }

    fn lend(&mut self, flow: FlowId, address: SocketAddr) {
        let former = self
            .verified
            .get_mut(&flow)
            .and_then(|peer| peer.alias.replace(address));
        if former != Some(address) {
            self.withdraw(flow, former);
        }
        self.aliases.insert(address, flow);
    }

    fn withdraw(&mut self, flow: FlowId, alias: Option<SocketAddr>) {
        if let Some(alias) = alias
            && self.aliases.get(&alias) == Some(&flow)
        {
            self.aliases.remove(&alias);
        }
    }

    fn is_verified(&self, flow: FlowId, host: &str) -> bool {
        self.verified
            .get(&flow)
            .is_some_and(|peer| peer.names.iter().any(|name| name.eq_ignore_ascii_case(host)))
    }

    /// The names in the verified certificate at the other end.
    fn names(&self, flow: Flow) -> &[String] {
        flow.id
            .and_then(|id| self.verified.get(&id))
            .map_or(&[], |peer| peer.names.as_slice())
    }
}

impl Endpoint {
    /// Whom to believe from now on.
    pub fn set_trust(&mut self, trust: Trust) {
        self.peers.trust = trust;
    }

    /// How much those who are not trusted may send from now on; what was counted is forgotten if it is another amount.
    pub fn set_rates(&mut self, rates: Rates) {
        self.sources.set_rates(rates);
    }

    /// The peer of a TLS connection has shown a certificate that the shell has verified against its trust anchors; `names` are the hosts of
    /// its SIP URIs and its DNS names (RFC 5922 §7.1). To be called before the connection's first message.
    pub fn handle_verified(&mut self, flow: FlowId, mut names: Vec<String>) {
        names.truncate(NAMES_MAX);
        self.peers.verified.insert(flow, Verified { names, alias: None });
    }

    /// A connection is over: what was known of its peer is forgotten.
    pub fn handle_closed(&mut self, flow: FlowId) {
        if let Some(peer) = self.peers.verified.remove(&flow) {
            self.peers.withdraw(flow, peer.alias);
        }
    }

    /// RFC 5923 §7.2: a peer whose certificate names the sent-by host lends its connection for requests to that host.
    pub(super) fn note_alias(&mut self, received: &Received) {
        if let (Some(flow), Some((host, port))) = (received.flow.id, received.alias())
            && self.peers.is_verified(flow, host)
        {
            self.peers
                .lend(flow, SocketAddr::new(received.flow.peer.ip(), port));
        }
    }

    /// Takes away what only a trusted peer may say (RFC 3325 §5, §7).
    pub(super) fn disbelieve_strangers(&self, headers: &mut Headers, flow: Flow) {
        if !self.peers.is_trusted(flow) {
            headers.0.retain(|header| {
                !ASSERTIONS
                    .iter()
                    .any(|name| name.eq_ignore_ascii_case(&header.name))
            });
        }
    }

    /// What a stranger's request meets. One that belongs to something known proves itself by tags or a branch that a stranger does not have.
    pub(super) fn screen_source(
        &mut self,
        received: &Received,
        dialog: Option<DialogKey>,
        now: Instant,
    ) -> Admittance {
        if self.peers.is_trusted(received.flow) || self.belongs_to_something(received, dialog) {
            return Admittance::Served;
        }
        if let Some(limited) = self.limit_rate(received, now) {
            return limited;
        }
        match self.peers.trust.unlisted {
            Unlisted::Serve => match self.challenge(received, now) {
                Some(reply) => Admittance::Refused(reply),
                None => Admittance::Served,
            },
            Unlisted::Refuse => Admittance::Refused(Reply::new(403)),
            Unlisted::Ignore => Admittance::Ignored,
        }
    }

    /// While no peer is listed and nobody is asked for a password, the source may be the proxy in front, which sends everybody's requests.
    fn limit_rate(&mut self, received: &Received, now: Instant) -> Option<Admittance> {
        if self.peers.trust.is_empty() && self.asking.is_none() {
            return None;
        }
        let source = received.flow.peer.ip();
        match self.sources.take(source, received.method(), now) {
            Allowance::Granted => None,
            Allowance::Later(seconds) => Some(Admittance::Refused(Reply::unavailable(seconds))),
            Allowance::Silence => Some(Admittance::Ignored),
        }
    }

    fn belongs_to_something(&self, received: &Received, dialog: Option<DialogKey>) -> bool {
        match *received.method() {
            Method::CANCEL => self.servers.find(&received.key(&Method::INVITE)).is_some(),
            // It may come before the dialog that its 2xx opens (RFC 6665 §4.4.1).
            Method::NOTIFY => received.to_tag.is_some(),
            _ => dialog.is_some(),
        }
    }

    /// Whether a message from there is answered although nothing can be known of it.
    pub(super) fn answers_strangers(&self, flow: Flow) -> bool {
        self.peers.trust.unlisted != Unlisted::Ignore || self.peers.is_trusted(flow)
    }
}

/// What becomes of a request before a transaction is opened for it.
#[derive(Debug)]
pub(super) enum Admittance {
    Served,
    /// Answered without a transaction.
    Refused(Reply),
    Ignored,
}

/// The identity that a trusted peer asserts: the first SIP address, else the first of another kind (RFC 3325 §9.1 allows one of each).
pub(super) fn asserted_identity(headers: &Headers) -> Option<NameAddr> {
    let read: Vec<NameAddr> = headers
        .list("P-Asserted-Identity")
        .filter_map(|value| value.parse().ok())
        .collect();
    let of_sip = read
        .iter()
        .find(|identity| matches!(identity.uri.scheme(), "sip" | "sips"));
    of_sip.or(read.first()).cloned()
}

/// Whether the user asks that others do not learn who he is (RFC 3323 §4.2, RFC 3325 §9.3).
pub(super) fn asks_for_anonymity(headers: &Headers) -> bool {
    headers
        .list("Privacy")
        .flat_map(|value| value.split([';', ',']))
        .any(|level| {
            matches!(
                level.trim().to_ascii_lowercase().as_str(),
                "id" | "user" | "header"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_that_share_its_leading_bits() {
        let has = |network: &str, address: &str| {
            network
                .parse::<Network>()
                .unwrap()
                .contains(address.parse().unwrap())
        };
        assert!(has("192.0.2.0/24", "192.0.2.255"));
        assert!(!has("192.0.2.0/24", "192.0.3.0"));
        assert!(has("192.0.2.7", "192.0.2.7"));
        assert!(!has("192.0.2.7", "192.0.2.6"));
        assert!(has("192.0.2.7", "::ffff:192.0.2.7"));
        assert!(has("0.0.0.0/0", "203.0.113.9"));
        assert!(!has("0.0.0.0/0", "2001:db8::1"));
        assert!(has("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!has("2001:db8::/32", "2001:db9::1"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "192.0.2.0/33",
            "2001:db8::/129",
            "192.0.2/24",
            "proxy.example.com",
            "192.0.2.0/-1",
            "/8",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
        }
    }
}
