//! The gateway as a whole: bind, serve, stop.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use ::mapping::{Gateway, LinkId, MsrpTransport, Occupancy};
use ::sip::{Endpoint, Transport};
use ::xmpp::Link;
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::{Notify, mpsc, oneshot, watch},
    task::{JoinError, JoinHandle, JoinSet},
};

use crate::{
    config::{ComponentLink, Config, Policy},
    journal::{Journal, JournalError},
    lookup::Lookup,
    reload::Reloader,
    seeds::{Purpose, Seeds},
    tasks::{
        COMMANDS, EVENTS,
        journal::JournalHandle,
        link::LinkTask,
        mapping::{LinkHandle, MappingTask},
        msrp::{Listening, MsrpListener},
        sip::SipTask,
    },
    tls::Tls,
};

/// How long sockets may take to close after the sessions have ended.
const CLOSE: Duration = Duration::from_secs(3);

/// A gateway whose sockets are bound and that does not serve yet.
pub struct Bound {
    config: Config,
    seeds: Seeds,
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
    tls: Vec<TcpListener>,
    /// Told when an administrator wants the configuration read again.
    reload: Arc<Notify>,
    msrp: Vec<Listening>,
    sip_addresses: Vec<(Transport, SocketAddr)>,
    msrp_addresses: Vec<(MsrpTransport, SocketAddr)>,
    policy: watch::Sender<Policy>,
    /// With the occupants whom a former gateway has left behind.
    journal: Option<(Journal, Vec<Occupancy>)>,
}

/// Why a gateway does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {what} {address}: {cause}; is another process there, or is the address not of this machine?"
    )]
    Bind {
        /// `SIP over UDP` and the like.
        what: &'static str,
        /// Which.
        address: SocketAddr,
        /// The system's words.
        cause: io::Error,
    },
    /// The state directory is of no use.
    #[error("state.directory {}: {cause}", directory.display())]
    State {
        /// Which.
        directory: PathBuf,
        /// Why, with a remedy.
        cause: JournalError,
    },
    /// No randomness.
    #[error("the operating system gives no random numbers: {0}")]
    Randomness(getrandom::Error),
    /// A task ended by a fault of ours.
    #[error("the {task} task ended: {cause}")]
    Task {
        /// Which.
        task: &'static str,
        /// How.
        cause: String,
    },
}

impl Bound {
    /// Binds every configured address. Port 0 lets the system choose, see [`Bound::sip_addresses`].
    ///
    /// # Errors
    /// When an address cannot be bound, the state directory cannot be used, or there is no randomness.
    pub async fn bind(config: Config) -> Result<Self, GatewayError> {
        let seeds = Seeds::from_system().map_err(GatewayError::Randomness)?;
        let (mut udp, mut tcp, mut tls) = (Vec::new(), Vec::new(), Vec::new());
        let mut sip_addresses = Vec::new();
        for &(transport, address) in &config.sip.listen {
            let fault = |what| move |cause| GatewayError::Bind { what, address, cause };
            let bound = match transport {
                Transport::Udp => {
                    let socket = UdpSocket::bind(address).await.map_err(fault("SIP over UDP"))?;
                    let bound = socket.local_addr().map_err(fault("SIP over UDP"))?;
                    udp.push(socket);
                    bound
                }
                Transport::Tcp => {
                    let listener = TcpListener::bind(address).await.map_err(fault("SIP over TCP"))?;
                    let bound = listener.local_addr().map_err(fault("SIP over TCP"))?;
                    tcp.push(listener);
                    bound
                }
                Transport::Tls => {
                    let listener = TcpListener::bind(address).await.map_err(fault("SIP over TLS"))?;
                    let bound = listener.local_addr().map_err(fault("SIP over TLS"))?;
                    tls.push(listener);
                    bound
                }
            };
            tracing::info!(?transport, address = %bound, "listening for SIP");
            sip_addresses.push((transport, bound));
        }
        let (mut msrp, mut msrp_addresses) = (Vec::new(), Vec::new());
        for &(transport, address) in &config.msrp.listen {
            let (what, tls) = match transport {
                MsrpTransport::Tcp => ("MSRP over TCP", None),
                MsrpTransport::Tls => ("MSRP over TLS", config.tls.clone()),
            };
            let fault = |cause| GatewayError::Bind { what, address, cause };
            let listener = TcpListener::bind(address).await.map_err(fault)?;
            let bound = listener.local_addr().map_err(fault)?;
            msrp.push(Listening { listener, tls });
            tracing::info!(?transport, address = %bound, "listening for MSRP");
            msrp_addresses.push((transport, bound));
        }
        let journal = match &config.state {
            Some(directory) => Some(Journal::open(directory).map_err(|cause| GatewayError::State {
                directory: directory.clone(),
                cause,
            })?),
            None => None,
        };
        Ok(Self {
            journal,
            policy: watch::Sender::new(config.sip.policy.clone()),
            config,
            seeds,
            udp,
            tcp,
            tls,
            reload: Arc::default(),
            msrp,
            sip_addresses,
            msrp_addresses,
        })
    }

    /// The SIP addresses bound, in the order configured.
    #[must_use]
    pub fn sip_addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.sip_addresses
    }

    /// The MSRP addresses bound, in the order configured.
    #[must_use]
    pub fn msrp_addresses(&self) -> &[(MsrpTransport, SocketAddr)] {
        &self.msrp_addresses
    }

    /// Resolves each time that an administrator asks for the configuration to be read again (XEP-0050).
    #[must_use]
    pub fn reload_wishes(&self) -> Arc<Notify> {
        Arc::clone(&self.reload)
    }

    /// What hands it a new configuration while it serves.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        Reloader {
            tls: self.config.tls.clone(),
            policy: self.policy.clone(),
        }
    }

    /// Serves until `stop` resolves, then ends every session towards both sides within `limits.connections.stop`, closes the
    /// component stream and returns. An XMPP server that is absent or goes away does not end this.
    ///
    /// # Errors
    /// When a task that the gateway cannot be without has ended by a fault of ours.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), GatewayError> {
        let limit = self.config.connections.stop;
        let watched = watch_certificates(self.config.tls.clone(), self.config.tls_check);
        let mut tasks = self.spawn();
        tracing::info!("ready");
        let ended = tokio::select! {
            () = stop => None,
            never = watched => match never {},
            ended = &mut tasks.mapping => Some(("mapping", ended)),
            ended = &mut tasks.sip => Some(("SIP", ended)),
            Some(ended) = tasks.links.join_next() => Some(("link", ended)),
            ended = &mut tasks.msrp => Some(("MSRP", ended)),
        };
        match ended {
            None => {
                tracing::info!("stopping");
                tasks.stop(limit).await;
                tracing::info!("stopped");
                Ok(())
            }
            Some((task, ended)) => {
                tasks.abort();
                let cause = ended.map_or_else(panic_text, |()| "unexpectedly".to_owned());
                Err(GatewayError::Task { task, cause })
            }
        }
    }

    /// Starts every task.
    fn spawn(self) -> Tasks {
        let started = (Instant::now(), jiff::Timestamp::now());
        let lookup = Lookup::new(&self.config.lookup, self.seeds.seed(Purpose::Lookup));
        let (sip_commands, sip_commands_out) = mpsc::channel(COMMANDS);
        let (sip_events_in, sip_events) = mpsc::channel(EVENTS);
        let (xmpp_events_in, xmpp_events) = mpsc::channel(EVENTS);
        let (msrp_notices_in, msrp_notices) = mpsc::channel(EVENTS);
        let (openings, openings_out) = mpsc::channel(COMMANDS);
        let (stop_mapping, mapping_stopped) = oneshot::channel();
        let (stop_msrp, msrp_stopped) = oneshot::channel();
        let mut links = JoinSet::new();
        let mut link_handles = Vec::new();
        for (number, ComponentLink { servers, tls, link }) in self.config.links.iter().cloned().enumerate() {
            let (commands, commands_out) = mpsc::channel(COMMANDS);
            link_handles.push(LinkHandle {
                domain: link.domain.clone(),
                commands,
            });
            let deadline = link.handshake;
            let task = LinkTask {
                deadline,
                id: LinkId(number),
                link: Link::new(link, self.seeds.seed(Purpose::Link(number as u64))),
                servers,
                tls,
                lookup: lookup.clone(),
                commands: commands_out,
                events: xmpp_events_in.clone(),
            };
            links.spawn(task.run());
        }
        let mut gateway = Gateway::new(
            self.config.core(&self.msrp_addresses),
            self.seeds.seed(Purpose::Mapping),
            started,
        );
        let (journal, journal_task) = match self.journal {
            Some((journal, left_behind)) => {
                if !left_behind.is_empty() {
                    tracing::info!(
                        occupants = left_behind.len(),
                        "left behind in their rooms by a crash; they leave as soon as the link is up"
                    );
                }
                gateway.handle_left_behind(left_behind);
                let (handle, task) = JournalHandle::open(journal);
                (handle, Some(task))
            }
            None => (JournalHandle::default(), None),
        };
        let mapping = MappingTask {
            gateway,
            sip_events,
            msrp_notices,
            xmpp_events,
            sip_commands,
            links: link_handles,
            stop: mapping_stopped,
            openings,
            connections: BTreeMap::new(),
            lookup: lookup.clone(),
            lookups: JoinSet::new(),
            reload: self.reload,
            journal,
            certificates: self.config.tls.as_ref().map(Tls::watch),
        };
        let mut endpoint = Endpoint::new(
            self.config.endpoint(&self.sip_addresses),
            self.seeds.seed(Purpose::Sip),
        );
        endpoint.set_credentials(self.config.sip.credentials);
        let sip = SipTask {
            endpoint,
            register: self.config.sip.register,
            limits: self.config.sip.limits.clone(),
            connections: self.config.connections.clone(),
            udp: self.udp,
            tcp: self.tcp,
            tls_listeners: self.tls,
            tls: self.config.tls.clone(),
            keep_alive: self.config.sip.keep_alive,
            policy: self.policy.subscribe(),
            lookup: lookup.clone(),
            commands: sip_commands_out,
            events: sip_events_in,
        };
        let msrp = MsrpListener {
            listeners: self.msrp,
            tls: self.config.tls,
            limits: self.config.msrp.limits,
            connections: self.config.connections,
            seeds: self.seeds,
            notices: msrp_notices_in,
            openings: openings_out,
            lookup,
            stop: msrp_stopped,
        };
        Tasks {
            mapping: tokio::spawn(mapping.run()),
            sip: tokio::spawn(sip.run()),
            links,
            msrp: tokio::spawn(msrp.run()),
            journal: journal_task,
            stop_mapping,
            stop_msrp,
        }
    }
}

/// The running tasks.
struct Tasks {
    mapping: JoinHandle<()>,
    sip: JoinHandle<()>,
    links: JoinSet<()>,
    msrp: JoinHandle<()>,
    /// Ends when the mapping task has.
    journal: Option<JoinHandle<()>>,
    stop_mapping: oneshot::Sender<()>,
    stop_msrp: oneshot::Sender<()>,
}

impl Tasks {
    fn abort(&mut self) {
        for task in [&self.mapping, &self.sip, &self.msrp] {
            task.abort();
        }
        self.links.abort_all();
    }

    /// Ends the sessions, then the sockets: the others go when the mapping task has let go of their commands.
    async fn stop(mut self, limit: Duration) {
        let _mapping_gone = self.stop_mapping.send(());
        if tokio::time::timeout(limit, &mut self.mapping).await.is_err() {
            tracing::warn!("not every session ended in time");
            self.mapping.abort();
        }
        let _listener_gone = self.stop_msrp.send(());
        for (name, task) in [("SIP", &mut self.sip), ("MSRP", &mut self.msrp)] {
            if tokio::time::timeout(CLOSE, &mut *task).await.is_err() {
                tracing::debug!(task = name, "ended at its deadline");
                task.abort();
            }
        }
        if let Some(journal) = self.journal
            && tokio::time::timeout(CLOSE, journal).await.is_err()
        {
            tracing::warn!("the journal of occupants was not written to its end");
        }
        let closed = async { while self.links.join_next().await.is_some() {} };
        if tokio::time::timeout(CLOSE, closed).await.is_err() {
            tracing::debug!(task = "link", "ended at its deadline");
            self.links.abort_all();
        }
    }
}

/// Uses certificates as soon as their files have changed.
async fn watch_certificates(tls: Option<Tls>, check: Duration) -> Infallible {
    let Some(tls) = tls.filter(|_| !check.is_zero()) else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(check).await;
        if !tls.has_changed() {
            continue;
        }
        match tls.reload() {
            Ok(()) => tracing::info!(names = tls.summary(), "certificates reloaded"),
            Err(fault) => tracing::error!(%fault, "certificates not reloaded: the former ones stay in use"),
        }
    }
}

fn panic_text(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "by a panic".to_owned()),
        Err(error) => error.to_string(),
    }
}
