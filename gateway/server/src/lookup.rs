//! Host look-ups: addresses and, for SIP, the SRV records that name them.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::{RData, rdata::SRV},
};
use sip::Transport;
use tokio::sync::Semaphore;

/// Most targets tried for one name.
const TARGETS: usize = 16;
/// Most look-ups under way at a time; further ones wait, within their deadline.
const CONCURRENT: usize = 64;
/// How long one query may take, and how often it is asked.
const QUERY: (Duration, usize) = (Duration::from_secs(2), 2);

/// Where to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupConfig {
    /// Name servers; empty: those of the system's resolver configuration.
    pub servers: Vec<SocketAddr>,
    /// How long one look-up may take in all.
    pub deadline: Duration,
}

/// A resolver shared by all tasks. Every look-up ends within the configured deadline.
#[derive(Clone)]
pub struct Lookup {
    resolver: Result<TokioResolver, Arc<str>>,
    deadline: Duration,
    permits: Arc<Semaphore>,
}

impl Lookup {
    /// Reads the system's resolver configuration unless name servers are given. Where that fails, numeric addresses still work and
    /// every look-up of a name fails with the cause.
    #[must_use]
    pub fn new(config: &LookupConfig) -> Self {
        Self {
            resolver: build(&config.servers).map_err(Arc::from),
            deadline: config.deadline,
            permits: Arc::new(Semaphore::new(CONCURRENT)),
        }
    }

    /// The addresses of a host, which may be numeric. Names are looked up as written, with the search domains of the system.
    ///
    /// # Errors
    /// A text with the cause, for the log.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        self.within_deadline(host, self.query_addresses(host)).await
    }

    /// Where a SIP request for `host` may go, best first (RFC 3263 §4.2): with a port the host's addresses; without one the targets of
    /// its SRV records in order of priority, then weight, and where it has none the host's addresses with the transport's port.
    ///
    /// # Errors
    /// A text with the cause, for the log.
    pub async fn sip_targets(
        &self,
        host: &str,
        port: Option<u16>,
        transport: Transport,
    ) -> Result<Vec<SocketAddr>, String> {
        let (service, default_port) = match transport {
            Transport::Udp => ("_sip._udp", 5060),
            Transport::Tcp => ("_sip._tcp", 5060),
            Transport::Tls => ("_sips._tcp", 5061),
        };
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port.unwrap_or(default_port))]);
        }
        // Fully qualified: a peer's domain never gets a search domain of ours appended.
        let name = format!("{}.", host.trim_end_matches('.'));
        self.within_deadline(host, async {
            if port.is_none() {
                let targets = self.query_services(&format!("{service}.{name}")).await?;
                if !targets.is_empty() {
                    return self.addresses_of(targets).await;
                }
            }
            let port = port.unwrap_or(default_port);
            let addresses = self.query_addresses(&name).await?;
            Ok(addresses
                .into_iter()
                .map(|address| SocketAddr::new(address, port))
                .collect())
        })
        .await
    }

    async fn within_deadline<T>(
        &self,
        host: &str,
        query: impl Future<Output = Result<T, String>>,
    ) -> Result<T, String> {
        let limited = async {
            let _permit = self
                .permits
                .acquire()
                .await
                .map_err(|closed| closed.to_string())?;
            query.await
        };
        match tokio::time::timeout(self.deadline, limited).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(cause)) => Err(format!("cannot look up {host}: {cause}")),
            Err(_) => Err(format!("cannot look up {host}: no answer in {:?}", self.deadline)),
        }
    }

    async fn query_addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let resolver = self.resolver.as_ref().map_err(ToString::to_string)?;
        let answer = resolver
            .lookup_ip(name)
            .await
            .map_err(|error| error.to_string())?;
        Ok(answer.iter().take(TARGETS).collect())
    }

    /// SRV targets in order; empty where the name has no such records.
    async fn query_services(&self, name: &str) -> Result<Vec<SRV>, String> {
        let resolver = self.resolver.as_ref().map_err(ToString::to_string)?;
        let answer = match resolver.srv_lookup(name).await {
            Ok(answer) => answer,
            Err(error) if error.is_no_records_found() || error.is_nx_domain() => return Ok(Vec::new()),
            Err(error) => return Err(error.to_string()),
        };
        let mut targets: Vec<SRV> = answer
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(service) => Some(service.clone()),
                _ => None,
            })
            .collect();
        targets.sort_by_key(|service| (service.priority, std::cmp::Reverse(service.weight)));
        targets.truncate(TARGETS);
        Ok(targets)
    }

    /// The addresses of SRV targets in their order; a target that cannot be looked up is passed over.
    async fn addresses_of(&self, targets: Vec<SRV>) -> Result<Vec<SocketAddr>, String> {
        let mut addresses = Vec::new();
        let mut last_failure = None;
        for service in targets {
            // RFC 2782: a target of "." says that the service is decidedly not available.
            if service.target.is_root() {
                continue;
            }
            match self.query_addresses(&service.target.to_utf8()).await {
                Ok(found) => {
                    addresses.extend(
                        found
                            .into_iter()
                            .map(|address| SocketAddr::new(address, service.port)),
                    );
                }
                Err(cause) => last_failure = Some(cause),
            }
            if addresses.len() >= TARGETS {
                break;
            }
        }
        addresses.truncate(TARGETS);
        match (addresses.is_empty(), last_failure) {
            (true, Some(cause)) => Err(cause),
            _ => Ok(addresses),
        }
    }
}

fn build(servers: &[SocketAddr]) -> Result<TokioResolver, String> {
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio().map_err(|error| format!("system resolver configuration: {error}"))?
    } else {
        let servers = servers.iter().map(name_server).collect();
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    (builder.options_mut().timeout, builder.options_mut().attempts) = QUERY;
    builder.build().map_err(|error| error.to_string())
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}
