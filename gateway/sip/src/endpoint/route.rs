//! The next hop of a request of ours: which transport, which host, which connection (RFC 3261 §8.1.2, §12.2.1.1, RFC 3263 §4).

use std::net::{IpAddr, SocketAddr};

use super::{
    config::{Config, LocalAddress},
    flow::{Flow, Target, Transport},
};
use crate::{
    locate::{Candidate, TARGETS_MAX},
    message::{NameAddr, Request, Uri},
};

/// Where a request goes next, before its host is looked up.
#[derive(Debug, Clone)]
pub(super) struct Hop {
    pub(super) transport: Transport,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// Transports that the host's zone may choose from; empty where the transport is settled.
    pub(super) choice: Vec<Transport>,
    known: Option<KnownPeer>,
}

/// The connection that the peer's last request came on.
#[derive(Debug, Clone, Copy)]
struct KnownPeer {
    flow: Flow,
    /// The next hop is that peer, whatever address it names: nobody stands between us.
    direct: bool,
}

impl Hop {
    /// The hop to `uri` where no earlier message shows the way.
    pub(super) fn to(uri: &Uri, config: &Config) -> Self {
        // RFC 3263 §4.1: UDP, unless the URI says otherwise; if we do not speak UDP, what we speak first.
        let speaks_udp = config.local.iter().any(|local| local.transport == Transport::Udp);
        let first = config
            .local
            .first()
            .map_or(Transport::Udp, |local| local.transport);
        let default = if speaks_udp { Transport::Udp } else { first };
        let hop = Self::with_default(uri, default);
        let settled = hop.port.is_some() || uri.parameter("transport").is_some() || uri.scheme() == "sips";
        let mut choice = Vec::new();
        if !settled {
            choice.push(hop.transport);
            choice.extend(config.local.iter().map(|local| local.transport));
            choice.sort_by_key(|transport| (*transport != hop.transport, *transport));
            choice.dedup();
        }
        Self { choice, ..hop }
    }

    /// The hop to `uri` in a dialog whose peer was last heard on `flow`. With `direct`, the peer itself is at the other end of the
    /// flow; with `adjacent`, it is the proxy that the route set begins with if the addresses agree.
    pub(super) fn in_dialog(uri: &Uri, flow: Flow, direct: bool, adjacent: bool) -> Self {
        let hop = Self::with_default(uri, flow.transport);
        let same_host = hop.address().is_some_and(|address| address == flow.peer.ip());
        let usable = flow.transport == hop.transport
            && (direct || (adjacent && (same_host || hop.address().is_none())));
        Self {
            known: usable.then_some(KnownPeer { flow, direct }),
            ..hop
        }
    }

    fn with_default(uri: &Uri, default: Transport) -> Self {
        let named = uri.parameter("transport").map(str::to_ascii_lowercase);
        let transport = match named.as_deref() {
            Some("tls") => Transport::Tls,
            Some("tcp") if uri.scheme() == "sips" => Transport::Tls,
            Some("tcp") => Transport::Tcp,
            Some("udp") => Transport::Udp,
            _ if uri.scheme() == "sips" => Transport::Tls,
            _ => default,
        };
        Self {
            transport,
            host: uri.host().to_owned(),
            port: uri.port(),
            choice: Vec::new(),
            known: None,
        }
    }

    /// The address, if the host is numeric.
    fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The target, if no look-up is needed.
    pub(super) fn numeric_target(&self) -> Option<Target> {
        let port = self.port.unwrap_or_else(|| self.transport.default_port());
        Some(self.target(self.transport, SocketAddr::new(self.address()?, port)))
    }

    /// The target at an address that a look-up found.
    pub(super) fn target(&self, transport: Transport, peer: SocketAddr) -> Target {
        let flow = self
            .known
            .filter(|known| known.direct || known.flow.peer.ip() == peer.ip());
        Target::new(transport, flow.and_then(|known| known.flow.id), peer, &self.host)
    }

    /// The target where a look-up found nothing: a directly connected peer can be answered on its own connection.
    pub(super) fn fallback_target(&self) -> Option<Target> {
        let known = self
            .known
            .filter(|known| known.direct && known.flow.id.is_some())?;
        let Flow { transport, peer, id } = known.flow;
        Some(Target::new(transport, id, peer, &self.host))
    }
}

/// What a look-up found, best first.
pub(super) enum Found {
    /// Addresses for the transport asked for.
    Addresses(Vec<SocketAddr>),
    /// Addresses with the transports that the zone chose.
    Candidates(Vec<Candidate>),
}

impl Found {
    /// At most as many as are tried for one request.
    pub(super) fn targets(&self, hop: &Hop) -> Vec<Target> {
        let mut targets: Vec<Target> = match self {
            Self::Addresses(addresses) => addresses
                .iter()
                .map(|address| hop.target(hop.transport, *address))
                .collect(),
            Self::Candidates(candidates) => candidates
                .iter()
                .filter(|found| found.transport == hop.transport || hop.choice.contains(&found.transport))
                .map(|found| hop.target(found.transport, found.address))
                .collect(),
        };
        targets.truncate(TARGETS_MAX);
        if targets.is_empty() {
            targets.extend(hop.fallback_target());
        }
        targets
    }
}

/// What we call ourselves on `transport`.
pub(super) fn local_address(config: &Config, transport: Transport) -> LocalAddress {
    let same = config.local.iter().find(|local| local.transport == transport);
    same.or(config.local.first())
        .cloned()
        .unwrap_or_else(|| LocalAddress {
            transport,
            host: "localhost.invalid".to_owned(),
            port: transport.default_port(),
        })
}

/// Writes Request-URI and Route for a remote target and a route set, and gives the URI of the next hop (RFC 3261 §12.2.1.1).
pub(super) fn apply_route_set(request: &mut Request, target: &Uri, route_set: &[NameAddr]) -> Uri {
    let Some((first, rest)) = route_set.split_first() else {
        request.uri = target.clone();
        return target.clone();
    };
    if first.uri.parameter("lr").is_some() {
        request.uri = target.clone();
        for route in route_set {
            request.headers.push("Route", route.to_string());
        }
    } else {
        // A strict router wants itself in the Request-URI and the target last in Route.
        request.uri = first.uri.clone();
        for route in rest {
            request.headers.push("Route", route.to_string());
        }
        request
            .headers
            .push("Route", NameAddr::new(target.clone()).to_string());
    }
    first.uri.clone()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::message::{Headers, Method};

    fn request() -> Request {
        Request {
            method: Method::BYE,
            uri: Uri::new(None, "placeholder.invalid", None),
            headers: Headers::default(),
            body: Bytes::new(),
        }
    }

    fn route_set(values: &[&str]) -> Vec<NameAddr> {
        values.iter().map(|value| value.parse().unwrap()).collect()
    }

    #[test]
    fn loose_routes_leave_the_request_uri_alone() {
        let mut bye = request();
        let target: Uri = "sip:romeo@192.0.2.9".parse().unwrap();
        let routes = route_set(&["<sip:192.0.2.1;transport=tcp;lr=on>", "<sip:192.0.2.1;lr=on>"]);
        let next = apply_route_set(&mut bye, &target, &routes);
        assert_eq!(next.parameter("transport"), Some("tcp"));
        assert_eq!(bye.uri, target);
        assert_eq!(bye.headers.list("Route").count(), 2);
    }

    #[test]
    fn a_strict_router_stands_in_the_request_uri_and_the_target_last_in_route() {
        let mut bye = request();
        let target: Uri = "sip:romeo@192.0.2.9".parse().unwrap();
        let next = apply_route_set(
            &mut bye,
            &target,
            &route_set(&["<sip:192.0.2.1>", "<sip:192.0.2.2;lr>"]),
        );
        assert_eq!(next.host(), "192.0.2.1");
        assert_eq!(bye.uri.host(), "192.0.2.1");
        let routes: Vec<_> = bye.headers.list("Route").collect();
        assert_eq!(routes, ["<sip:192.0.2.2;lr>", "<sip:romeo@192.0.2.9>"]);
    }

    #[test]
    fn a_flow_is_reused_only_towards_the_peer_that_is_at_its_other_end() {
        let flow = Flow {
            transport: Transport::Tcp,
            peer: "192.0.2.1:40000".parse().unwrap(),
            id: Some(super::super::flow::FlowId(7)),
        };
        let contact: Uri = "sip:romeo@192.0.2.9:5070;transport=tcp".parse().unwrap();
        let direct = Hop::in_dialog(&contact, flow, true, false)
            .numeric_target()
            .unwrap();
        assert_eq!((direct.flow, direct.peer.port()), (flow.id, 5070));
        let behind_a_silent_proxy = Hop::in_dialog(&contact, flow, false, false)
            .numeric_target()
            .unwrap();
        assert_eq!(behind_a_silent_proxy.flow, None);
        let proxy: Uri = "sip:192.0.2.1;transport=tcp;lr".parse().unwrap();
        let adjacent = Hop::in_dialog(&proxy, flow, false, true)
            .numeric_target()
            .unwrap();
        assert_eq!((adjacent.flow, adjacent.peer.port()), (flow.id, 5060));
    }
}
