//! The mapping task: the only owner of the core.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use ::mapping::{Command, ConnectionId, Gateway, LinkId, LookupId, NotConnected};
use ::msrp::sdp::Fingerprints;
use ::sip::locate::Answer;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinSet,
};

use super::{
    journal::JournalHandle,
    msrp::{ConnectionHandle, Notice, Opening, Target},
    sleep_until,
};
use crate::{config::Host, lookup::Lookup, tls::CertificateWatch};

/// What the core is fed from and where its commands go.
pub(crate) struct MappingTask {
    pub(crate) gateway: Gateway,
    pub(crate) sip_events: mpsc::Receiver<::sip::Event>,
    pub(crate) msrp_notices: mpsc::Receiver<Notice>,
    pub(crate) xmpp_events: mpsc::Receiver<(LinkId, ::xmpp::Event)>,
    pub(crate) sip_commands: mpsc::Sender<::sip::Command>,
    /// By [`LinkId`].
    pub(crate) links: Vec<LinkHandle>,
    /// Resolves when the gateway is to stop.
    pub(crate) stop: oneshot::Receiver<()>,
    /// MSRP connections that are to be opened.
    pub(crate) openings: mpsc::Sender<Opening>,
    pub(crate) connections: BTreeMap<ConnectionId, ConnectionHandle>,
    pub(crate) lookup: Lookup,
    /// Questions that are out; the core bounds their number and waits for none too long.
    pub(crate) lookups: JoinSet<(LookupId, Answer)>,
    /// Told when an administrator wants the configuration read again.
    pub(crate) reload: Arc<Notify>,
    /// What is to be known after a crash.
    pub(crate) journal: JournalHandle,
    /// Tells which certificates MSRP peers are shown, if any.
    pub(crate) certificates: Option<CertificateWatch>,
}

/// Where the commands to one component link go.
pub(crate) struct LinkHandle {
    /// Its domain, for the log.
    pub(crate) domain: String,
    pub(crate) commands: mpsc::Sender<::xmpp::Command>,
}

impl MappingTask {
    /// Runs until the core is idle after a stop.
    pub(crate) async fn run(mut self) {
        let mut stopping = false;
        loop {
            self.carry_out().await;
            if stopping && self.gateway.is_idle() {
                return;
            }
            tokio::select! {
                Some(event) = self.sip_events.recv() => self.gateway.handle_sip(event, Instant::now()),
                Some(notice) = self.msrp_notices.recv() => self.handle_msrp(notice),
                Some((link, event)) = self.xmpp_events.recv() => self.handle_xmpp(link, event),
                Some(Ok((lookup, answer))) = self.lookups.join_next() => {
                    self.gateway.handle_resolved(lookup, &answer, Instant::now());
                }
                certificates = changed(&mut self.certificates) => self.gateway.handle_certificates(certificates),
                () = sleep_until(self.gateway.poll_timeout()) => self.gateway.handle_timeout(Instant::now()),
                _ = &mut self.stop, if !stopping => {
                    stopping = true;
                    self.gateway.handle_shutdown(Instant::now());
                }
            }
        }
    }

    fn handle_msrp(&mut self, notice: Notice) {
        match notice {
            Notice::Opened(id, handle) => {
                self.connections.insert(id, handle);
            }
            Notice::Event(id, event) => {
                if matches!(event, ::msrp::Event::Closed | ::msrp::Event::Faulted(_)) {
                    self.connections.remove(&id);
                }
                self.gateway.handle_msrp(id, event, Instant::now());
            }
            Notice::NotConnected(id, why) => {
                self.connections.remove(&id);
                self.gateway.handle_not_connected(id, why, Instant::now());
            }
            // Still listed: it ended without saying so, and the core must hear of it all the same.
            Notice::Gone(id) if self.connections.remove(&id).is_some() => {
                self.gateway
                    .handle_msrp(id, ::msrp::Event::Closed, Instant::now());
            }
            Notice::Gone(_) => {}
        }
    }

    fn handle_xmpp(&mut self, link: LinkId, event: ::xmpp::Event) {
        let domain = self.links.get(link.0).map(|link| link.domain.as_str());
        match &event {
            ::xmpp::Event::Up => {
                tracing::info!(domain, "link up: the XMPP server accepted the component");
            }
            ::xmpp::Event::Down(cause) => tracing::warn!(domain, %cause, "link down"),
            ::xmpp::Event::NotSole => tracing::warn!(
                domain,
                "another connection speaks for the component, too: it may get a part of what is for this one"
            ),
            ::xmpp::Event::Skipped { .. }
            | ::xmpp::Event::Unshared { .. }
            | ::xmpp::Event::Unsent { .. }
            | ::xmpp::Event::Stanza(_) => {}
        }
        self.gateway.handle_xmpp(link, event, Instant::now());
    }

    /// Carries out every command of the core. Waits for room with the SIP task and the link task, which always make some; never for
    /// an MSRP connection.
    async fn carry_out(&mut self) {
        while let Some(command) = self.gateway.poll_command() {
            let taken = match command {
                Command::Sip(command) => self.sip_commands.send(command).await.is_ok(),
                Command::Reload => {
                    self.reload.notify_one();
                    true
                }
                Command::Remember(occupancy) => {
                    self.journal.note(occupancy, true);
                    true
                }
                Command::Forget(occupancy) => {
                    self.journal.note(occupancy, false);
                    true
                }
                Command::Xmpp(link, command) => match self.links.get(link.0) {
                    Some(link) => link.commands.send(command).await.is_ok(),
                    None => false,
                },
                Command::Connect {
                    connection,
                    host,
                    port,
                    tls,
                } => {
                    let peer = Host { name: host, port };
                    self.connect(connection, Target { peer, proof: tls });
                    true
                }
                Command::Resolve { lookup, query } => {
                    let servers = self.lookup.clone();
                    self.lookups
                        .spawn(async move { (lookup, servers.ask(query).await) });
                    true
                }
                Command::Msrp(id, command) => {
                    self.command_connection(id, command);
                    true
                }
            };
            if !taken {
                tracing::debug!("a command came after its task had stopped");
            }
        }
    }

    /// Has a connection opened. Its commands wait with it; the core hears of a failure as of any connection that ends.
    fn connect(&mut self, id: ConnectionId, target: Target) {
        let (opening, handle) = Opening::new(id, target);
        if let Err(error) = self.openings.try_send(opening) {
            tracing::warn!(connection = id.0, %error, "MSRP connection not opened");
            let why = NotConnected::Unreachable;
            return self.gateway.handle_not_connected(id, why, Instant::now());
        }
        self.connections.insert(id, handle);
    }

    fn command_connection(&mut self, id: ConnectionId, command: ::msrp::Command) {
        let Some(handle) = self.connections.get_mut(&id) else {
            return;
        };
        if let Err(mpsc::error::TrySendError::Full(_)) = handle.commands.try_send(command)
            && handle.cut()
        {
            // Its task reports every session lost, so the refused command needs no answer of its own.
            tracing::warn!(connection = id.0, "MSRP connection cannot keep up: closed");
        }
    }
}

async fn changed(certificates: &mut Option<CertificateWatch>) -> Fingerprints {
    match certificates {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ::mapping::MsrpTransport;

    use super::*;
    use crate::config;

    #[tokio::test]
    async fn a_connection_that_cannot_take_a_command_is_cut_not_waited_for() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/gateway.toml");
        let loaded = config::load(&file, Vec::new())
            .map_err(|faults| faults.len())
            .unwrap();
        let core = loaded
            .config
            .core(&[(MsrpTransport::Tcp, "127.0.0.1:2855".parse().unwrap())]);
        let (sip_commands, _sip) = mpsc::channel(1);
        let (_stop, stop) = oneshot::channel();
        let (commands, mut taken) = mpsc::channel(1);
        let (handle, cut) = ConnectionHandle::new(commands);
        let mut task = MappingTask {
            gateway: Gateway::new(core, [0; 32], (Instant::now(), jiff::Timestamp::UNIX_EPOCH)),
            sip_events: mpsc::channel(1).1,
            msrp_notices: mpsc::channel(1).1,
            xmpp_events: mpsc::channel(1).1,
            sip_commands,
            links: Vec::new(),
            stop,
            openings: mpsc::channel(1).0,
            lookup: Lookup::new(&loaded.config.lookup, [0; 32]),
            lookups: JoinSet::new(),
            connections: BTreeMap::from([(ConnectionId(1), handle)]),
            reload: Arc::default(),
            journal: JournalHandle::default(),
            certificates: None,
        };
        task.command_connection(ConnectionId(1), ::msrp::Command::Close);
        task.command_connection(ConnectionId(1), ::msrp::Command::Close);
        assert_eq!(cut.await, Ok(()));
        // A third finds it cut already; one for a connection unknown finds nothing.
        task.command_connection(ConnectionId(1), ::msrp::Command::Close);
        task.command_connection(ConnectionId(2), ::msrp::Command::Close);
        assert!(taken.recv().await.is_some());
    }
}
