//! Requests that the core must answer, made by machines that do nothing else, and the book in which they stand until they are.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mapping::ConnectionId;
use sip::{DialogId, Endpoint, Flow, FlowId, LocalAddress, Transport};

const SESSION: &str = "msrp://127.0.0.1:2855/mintsession;tcp";

/// Makes obligations.
pub(crate) struct Mint {
    endpoint: Endpoint,
    connection: msrp::Connection,
    made: u64,
    now: Instant,
}

impl Mint {
    pub(crate) fn new(now: Instant) -> Self {
        let config = sip::Config {
            local: vec![LocalAddress {
                transport: Transport::Tcp,
                host: "127.0.0.1".to_owned(),
                port: 5060,
            }],
            outbound_proxy: None,
            product: "mint".to_owned(),
            limits: sip::Limits::default(),
            t1: Duration::from_millis(500),
        };
        let limits = msrp::Limits {
            unanswered: 100_000,
            ..msrp::Limits::default()
        };
        let mut mint = Self {
            endpoint: Endpoint::new(config, [3; 32]),
            connection: msrp::Connection::new(limits, [4; 32]),
            made: 0,
            now,
        };
        let ready = sip::Command::SetReadiness(sip::Readiness::Ready);
        mint.endpoint.handle_command(ready, now);
        let path: msrp::Path = SESSION.parse().expect("a path");
        let parameters = msrp::SessionParameters {
            local: path.clone(),
            remote: path,
        };
        mint.connection
            .handle_command(msrp::Command::Bind(parameters), now);
        mint
    }

    pub(crate) fn sip(&mut self) -> Option<sip::AnswerDue> {
        self.made += 1;
        let text = format!(
            "MESSAGE sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK{0}\r\nMax-Forwards: 70\r\n\
             From: <sip:b@127.0.0.1>;tag=t{0}\r\nTo: <sip:a@127.0.0.1>\r\nCall-ID: {0}\r\nCSeq: 1 MESSAGE\r\n\
             Content-Length: 0\r\n\r\n",
            self.made
        );
        let flow = Flow {
            transport: Transport::Tcp,
            peer: SocketAddr::from(([127, 0, 0, 1], 9)),
            id: Some(FlowId(1)),
        };
        self.endpoint.handle_message(flow, Bytes::from(text), self.now);
        while self.endpoint.poll_transmit().is_some() {}
        std::iter::from_fn(|| self.endpoint.poll_event()).find_map(|event| match event {
            sip::Event::Requested { due, .. } => Some(due),
            _ => None,
        })
    }

    pub(crate) fn msrp(&mut self) -> msrp::AnswerDue {
        self.made += 1;
        let number = self.made + 1000;
        let text = format!(
            "MSRP t{number} SEND\r\nTo-Path: {SESSION}\r\nFrom-Path: {SESSION}\r\nMessage-ID: m{number}\r\n\
             Content-Type: text/plain\r\n\r\nx\r\n-------t{number}$\r\n"
        );
        self.connection.handle_bytes(text.as_bytes(), self.now);
        match self.connection.poll_event() {
            Some(msrp::Event::Received { due, .. }) => due,
            other => panic!("no obligation: {other:?}"),
        }
    }
}

/// What tells obligations apart; what a report would say may be added meanwhile.
pub(crate) fn name_of(due: &impl std::fmt::Debug) -> String {
    let shown = format!("{due:?}");
    shown.split(", report:").next().unwrap_or_default().to_owned()
}

/// Whose request it is: when that has ended, nobody waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    Nobody,
    Dialog(DialogId),
    Session(ConnectionId, String),
}

/// The requests that wait for an answer of the core.
#[derive(Default)]
pub(crate) struct Book {
    open: BTreeMap<String, (Owner, Instant)>,
    /// Open, but the core may forget them.
    void: BTreeMap<String, Owner>,
}

impl Book {
    /// To be answered by then at the latest.
    pub(crate) fn open(&mut self, due: &impl std::fmt::Debug, owner: Owner, deadline: Instant) {
        let before = self.open.insert(name_of(due), (owner, deadline));
        assert_eq!(before, None, "the mint makes each obligation once");
    }

    /// It is answered; says whose it was.
    pub(crate) fn close(&mut self, due: &impl std::fmt::Debug) -> Owner {
        let name = name_of(due);
        let open = self.open.remove(&name).map(|(owner, _)| owner);
        open.or_else(|| self.void.remove(&name))
            .unwrap_or_else(|| panic!("{name} is answered twice, or never was asked"))
    }

    pub(crate) fn is_open(&self, name: &str) -> bool {
        self.open.contains_key(name)
    }

    /// Nobody waits for what belongs to these any more.
    pub(crate) fn forget(&mut self, is_over: impl Fn(&Owner) -> bool) {
        let over: Vec<String> = self
            .open
            .iter()
            .filter(|(_, (owner, _))| is_over(owner))
            .map(|(name, _)| name.clone())
            .collect();
        for name in over {
            if let Some((owner, _)) = self.open.remove(&name) {
                self.void.insert(name, owner);
            }
        }
    }

    /// Nothing is overdue.
    pub(crate) fn check(&self, now: Instant) {
        for (name, (owner, deadline)) in &self.open {
            assert!(now <= *deadline, "{name} of {owner:?} is not answered in time");
        }
    }

    pub(crate) fn check_empty(&self) {
        assert!(self.open.is_empty(), "never answered: {:?}", self.open);
    }
}
