//! One search: what to ask next, and what the answers amount to.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
};

use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use super::{
    Answer, Candidate, NotFound, Query, Question, Service, TARGETS_MAX,
    choice::{choose_naptr, choose_services, qualified, service_labels},
};
use crate::endpoint::Transport;

/// Names a query of one search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueryId(u16);

/// The search for the servers of one host (RFC 3263 §4.1, §4.2).
///
/// Contract: drain [`Search::poll_query`], give each answer to [`Search::handle_answer`] in any order, and drain again; the search is
/// over when [`Search::outcome`] gives something. At a deadline of the caller's, [`Search::give_up`] ends it with what is known by
/// then. No zone makes it ask more than one NAPTR, [`super::NAPTR_MAX`] SRV and [`super::TARGETS_MAX`] address questions.
#[derive(Debug)]
pub struct Search {
    question: Question,
    /// The host as a fully qualified name.
    name: String,
    random: ChaCha12Rng,
    queries: VecDeque<(QueryId, Query)>,
    waiting: BTreeMap<QueryId, Purpose>,
    last: u16,
    /// SRV answers of the services that were asked for, in order of preference.
    services: Vec<(Transport, Offered)>,
    /// Hosts in the order to try them, with their addresses as they become known.
    hosts: Vec<Host>,
    /// A question that mattered was not answered.
    unanswered: bool,
    outcome: Option<Result<Vec<Candidate>, NotFound>>,
}

/// What a query is for.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    Naptr,
    /// By position in `services`.
    Service(usize),
    /// Whose name is that of the host at this position.
    Host(usize),
}

/// What the zone says of one service.
#[derive(Debug)]
enum Offered {
    Unknown,
    Absent,
    By(Vec<Service>),
}

#[derive(Debug)]
struct Host {
    transport: Transport,
    port: u16,
    name: String,
    addresses: Vec<IpAddr>,
}

impl Search {
    /// Begins a search; weights are drawn from `seed`.
    #[must_use]
    pub fn new(question: Question, seed: [u8; 32]) -> Self {
        let mut search = Self {
            name: qualified(&question.host).unwrap_or_default(),
            random: ChaCha12Rng::from_seed(seed),
            queries: VecDeque::new(),
            waiting: BTreeMap::new(),
            last: 0,
            services: Vec::new(),
            hosts: Vec::new(),
            unanswered: false,
            outcome: None,
            question,
        };
        search.begin();
        search
    }

    /// The next question for the name server.
    pub fn poll_query(&mut self) -> Option<(QueryId, Query)> {
        self.queries.pop_front()
    }

    /// The answer to a query; one that does not fit its query counts as [`Answer::Failed`], one to no query is ignored.
    pub fn handle_answer(&mut self, id: QueryId, answer: Answer) {
        match self.waiting.remove(&id) {
            Some(Purpose::Naptr) => self.handle_naptr(answer),
            Some(Purpose::Service(position)) => self.handle_services(position, answer),
            Some(Purpose::Host(position)) => self.handle_addresses(position, answer),
            None => {}
        }
    }

    /// Ends the search with what is known.
    pub fn give_up(&mut self) {
        self.queries.clear();
        while let Some(id) = self.waiting.keys().next().copied() {
            // What the answer leads to may ask further questions, which are given up in turn.
            self.handle_answer(id, Answer::Failed);
            self.queries.clear();
        }
    }

    /// The candidates, best first, at most [`super::TARGETS_MAX`] and each once; `None` while questions are open.
    #[must_use]
    pub fn outcome(&self) -> Option<&Result<Vec<Candidate>, NotFound>> {
        self.outcome.as_ref()
    }

    fn begin(&mut self) {
        let Question { port, transport, .. } = self.question;
        if let Ok(address) = self.question.host.parse() {
            let port = port.unwrap_or_else(|| transport.default_port());
            let address = SocketAddr::new(address, port);
            self.outcome = Some(Ok(vec![Candidate { transport, address }]));
        } else if self.name.is_empty() {
            self.outcome = Some(Err(NotFound::Host));
        } else if let Some(port) = port {
            self.ask_for_host_itself(port);
        } else if self.question.choice.is_empty() {
            self.ask_for_services(vec![(transport, self.service_name(transport))]);
        } else {
            self.ask(Query::Naptr(self.name.clone()), Purpose::Naptr);
        }
    }

    fn handle_naptr(&mut self, answer: Answer) {
        let records = match answer {
            Answer::Naptr(records) => records,
            // A name server that cannot answer NAPTR may well know SRV.
            _ => Vec::new(),
        };
        let mut followed = choose_naptr(records, &self.question.choice);
        if followed.is_empty() {
            let choice = self.question.choice.clone();
            followed = choice
                .into_iter()
                .map(|transport| (transport, self.service_name(transport)))
                .take(super::NAPTR_MAX)
                .collect();
        }
        self.ask_for_services(followed);
    }

    fn handle_services(&mut self, position: usize, answer: Answer) {
        let offered = match answer {
            Answer::Services(records) if !records.is_empty() => Offered::By(records),
            Answer::Services(_) | Answer::Absent => Offered::Absent,
            _ => {
                self.unanswered = true;
                Offered::Unknown
            }
        };
        if let Some(service) = self.services.get_mut(position) {
            service.1 = offered;
        }
        if self.waiting.is_empty() {
            self.choose_hosts();
        }
    }

    /// Every service is known, or will not be.
    fn choose_hosts(&mut self) {
        let services = std::mem::take(&mut self.services);
        let mut offered = false;
        for (transport, service) in services {
            let Offered::By(records) = service else {
                continue;
            };
            offered = true;
            let random = &mut self.random;
            let chosen = choose_services(records, |limit| {
                u32::try_from(random.next_u64() % (u64::from(limit) + 1)).unwrap_or(limit)
            });
            let room = TARGETS_MAX - self.hosts.len();
            self.hosts
                .extend(chosen.into_iter().take(room).map(|service| Host {
                    transport,
                    port: service.port,
                    name: service.target,
                    addresses: Vec::new(),
                }));
        }
        if !self.hosts.is_empty() {
            self.ask_for_addresses();
        } else if offered {
            self.outcome = Some(Err(NotFound::NotOffered));
        } else if self.unanswered {
            self.outcome = Some(Err(NotFound::NoAnswer));
        } else {
            self.ask_for_host_itself(self.question.transport.default_port());
        }
    }

    fn handle_addresses(&mut self, position: usize, answer: Answer) {
        let addresses = match answer {
            Answer::Addresses(addresses) => addresses,
            Answer::Absent => Vec::new(),
            _ => {
                self.unanswered = true;
                Vec::new()
            }
        };
        let name = self.hosts.get(position).map(|host| host.name.clone());
        for host in &mut self.hosts {
            if Some(&host.name) == name.as_ref() {
                host.addresses.clone_from(&addresses);
            }
        }
        if self.waiting.is_empty() {
            self.conclude();
        }
    }

    fn conclude(&mut self) {
        let mut candidates: Vec<Candidate> = Vec::new();
        for host in &self.hosts {
            for address in &host.addresses {
                let candidate = Candidate {
                    transport: host.transport,
                    address: SocketAddr::new(*address, host.port),
                };
                if candidates.len() < TARGETS_MAX && !candidates.contains(&candidate) {
                    candidates.push(candidate);
                }
            }
        }
        self.outcome = Some(match (candidates.is_empty(), self.unanswered) {
            (false, _) => Ok(candidates),
            (true, true) => Err(NotFound::NoAnswer),
            (true, false) => Err(NotFound::Host),
        });
    }

    fn ask_for_services(&mut self, services: Vec<(Transport, String)>) {
        for (position, (transport, name)) in services.into_iter().enumerate() {
            self.services.push((transport, Offered::Unknown));
            self.ask(Query::Services(name), Purpose::Service(position));
        }
    }

    fn ask_for_host_itself(&mut self, port: u16) {
        self.hosts.push(Host {
            transport: self.question.transport,
            port,
            name: self.name.clone(),
            addresses: Vec::new(),
        });
        self.ask_for_addresses();
    }

    /// Asks for each name once, however many services it has.
    fn ask_for_addresses(&mut self) {
        let names: Vec<String> = self.hosts.iter().map(|host| host.name.clone()).collect();
        for (position, name) in names.iter().enumerate() {
            if !names.iter().take(position).any(|earlier| earlier == name) {
                self.ask(Query::Addresses(name.clone()), Purpose::Host(position));
            }
        }
    }

    fn ask(&mut self, query: Query, purpose: Purpose) {
        self.last += 1;
        let id = QueryId(self.last);
        self.waiting.insert(id, purpose);
        self.queries.push_back((id, query));
    }

    fn service_name(&self, transport: Transport) -> String {
        format!("{}.{}", service_labels(transport), self.name)
    }
}
