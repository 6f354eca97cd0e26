//! Host look-ups: addresses and, for SIP, the NAPTR and SRV records that lead to them (RFC 3263).
//!
//! The resolver caches what it is told, also that a name has no records, and follows aliases to a depth of eight. What the name
//! servers said last is remembered beyond that, for the time when they say nothing.

mod remembered;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::{RData, RecordType},
};
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use sip::locate::{Answer, Candidate, Naptr, Query, Question, SERVICES_MAX, Search, Service, TARGETS_MAX};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use self::remembered::Remembered;

/// Most look-ups under way at a time; further ones wait, within their deadline.
const CONCURRENT: usize = 64;
/// How long one query may take, and how often it is asked.
const QUERY: (Duration, usize) = (Duration::from_secs(2), 2);
/// How long name servers may be silent before an earlier answer stands in for them (RFC 8767 §5); half the deadline at most.
const REPLACEMENT: Duration = Duration::from_millis(1800);
/// How long an answer is cached at most, and how long the word that there is none (RFC 2308 §5).
const POSITIVE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const NEGATIVE_MAX: Duration = Duration::from_secs(5 * 60);

/// Where to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupConfig {
    /// Name servers; empty: those of the system's resolver configuration.
    pub servers: Vec<SocketAddr>,
    /// How long one look-up may take in all.
    pub deadline: Duration,
    /// How long an answer may stand in for name servers that give none (RFC 8767); zero: never.
    pub stale: Duration,
}

/// A resolver shared by all tasks. Every look-up ends within the configured deadline.
#[derive(Clone)]
pub struct Lookup {
    resolver: Result<TokioResolver, Arc<str>>,
    deadline: Duration,
    permits: Arc<Semaphore>,
    remembered: Remembered,
    /// Draws the weights of SRV records.
    random: Arc<Mutex<ChaCha12Rng>>,
}

impl Lookup {
    /// Reads the system's resolver configuration unless name servers are given. Where that fails, numeric addresses still work and
    /// every look-up of a name fails with the cause.
    #[must_use]
    pub fn new(config: &LookupConfig, seed: [u8; 32]) -> Self {
        Self {
            resolver: build(&config.servers).map_err(Arc::from),
            deadline: config.deadline,
            permits: Arc::new(Semaphore::new(CONCURRENT)),
            remembered: Remembered::new(config.stale),
            random: Arc::new(Mutex::new(ChaCha12Rng::from_seed(seed))),
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

    /// Where a SIP request may go, best first (RFC 3263). At the deadline, what is known by then.
    ///
    /// # Errors
    /// A text with the cause, for the log.
    pub async fn sip_servers(&self, question: Question) -> Result<Vec<Candidate>, String> {
        let host = question.host.clone();
        let mut search = Search::new(question, self.next_seed());
        // The permits of the single queries are waited for within the deadline, too.
        let deadline = Instant::now() + self.deadline;
        let mut answers = JoinSet::new();
        loop {
            while let Some((id, query)) = search.poll_query() {
                let lookup = self.clone();
                answers.spawn(async move { (id, lookup.ask(query).await) });
            }
            if let Some(outcome) = search.outcome() {
                return outcome
                    .clone()
                    .map_err(|cause| format!("cannot look up {host}: {cause}"));
            }
            match timeout_at(deadline, answers.join_next()).await {
                Ok(Some(Ok((id, answer)))) => search.handle_answer(id, answer),
                Ok(Some(Err(_)) | None) | Err(_) => search.give_up(),
            }
        }
    }

    /// One query, from the resolver's cache, the name servers or, where these fail, from what they said before (RFC 8767).
    pub(crate) async fn ask(&self, query: Query) -> Answer {
        if let Some(answer) = self.remembered.during_failure(&query, Instant::now()) {
            return answer;
        }
        let Ok(_permit) = self.permits.acquire().await else {
            return Answer::Failed;
        };
        let answered = if self.remembered.knows(&query, Instant::now()) {
            let patience = REPLACEMENT.min(self.deadline / 2);
            match timeout(patience, self.query(&query)).await {
                Ok(answered) => answered,
                Err(_) => Err(format!("silent for {patience:?}")),
            }
        } else {
            self.query(&query).await
        };
        match answered {
            Ok(answer) => {
                self.remembered.store(query, &answer, Instant::now());
                answer
            }
            Err(cause) => {
                tracing::debug!(?query, %cause, "name servers gave no answer");
                self.remembered.after_failure(&query, Instant::now())
            }
        }
    }

    async fn query(&self, query: &Query) -> Result<Answer, String> {
        let resolver = self.resolver.as_ref().map_err(ToString::to_string)?;
        let answer = match query {
            Query::Naptr(name) => resolver.lookup(name.as_str(), RecordType::NAPTR).await,
            Query::Services(name) => resolver.srv_lookup(name.as_str()).await,
            Query::Addresses(name) => match resolver.lookup_ip(name.as_str()).await {
                Ok(answer) => return Ok(Answer::Addresses(answer.iter().take(TARGETS_MAX).collect())),
                Err(error) => Err(error),
            },
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.is_no_records_found() || error.is_nx_domain() => return Ok(Answer::Absent),
            Err(error) => return Err(error.to_string()),
        };
        let records = answer.answers().iter().map(|record| &record.data);
        Ok(match query {
            Query::Naptr(_) => Answer::Naptr(records.filter_map(naptr).take(SERVICES_MAX).collect()),
            Query::Services(_) | Query::Addresses(_) => {
                Answer::Services(records.filter_map(service).take(SERVICES_MAX).collect())
            }
        })
    }

    fn next_seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        random.fill_bytes(&mut seed);
        seed
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
        match timeout(self.deadline, limited).await {
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
        Ok(answer.iter().take(TARGETS_MAX).collect())
    }
}

fn naptr(data: &RData) -> Option<Naptr> {
    let RData::NAPTR(record) = data else {
        return None;
    };
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    Some(Naptr {
        order: record.order,
        preference: record.preference,
        flags: text(&record.flags),
        services: text(&record.services),
        regexp: text(&record.regexp),
        replacement: record.replacement.to_ascii(),
    })
}

fn service(data: &RData) -> Option<Service> {
    let RData::SRV(record) = data else {
        return None;
    };
    Some(Service {
        priority: record.priority,
        weight: record.weight,
        port: record.port,
        target: record.target.to_ascii(),
    })
}

fn build(servers: &[SocketAddr]) -> Result<TokioResolver, String> {
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio().map_err(|error| format!("system resolver configuration: {error}"))?
    } else {
        let servers = servers.iter().map(name_server).collect();
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    (options.timeout, options.attempts) = QUERY;
    // A zone cannot make us keep its word for ever, nor its silence.
    options.positive_max_ttl = Some(POSITIVE_MAX);
    options.negative_max_ttl = Some(NEGATIVE_MAX);
    builder.build().map_err(|error| error.to_string())
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}
