//! The open streams, and which of them a message goes on.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use ::sip::{Flow, FlowId, Target, TransmitId, Transport};
use bytes::Bytes;
use tokio::{net::TcpStream, task::JoinSet};

use super::{
    super::duplex::Duplex,
    flow::{self, FlowHandle, Opener, Outgoing, Terms},
};
use crate::{admission::Seat, tls::Secured};

/// Where a stream of ours leads. Over TLS two hosts at one address are two peers, each with a certificate of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Destination {
    pub(super) transport: Transport,
    pub(super) peer: SocketAddr,
    /// The host that its certificate must name.
    pub(super) host: Option<String>,
}

impl Destination {
    pub(super) fn of(target: &Target) -> Self {
        Self {
            transport: target.transport,
            peer: target.peer,
            host: target.host.as_ref().map(|host| host.to_ascii_lowercase()),
        }
    }
}

/// A connection that stands, its handshake done.
pub(super) struct Opened {
    stream: Duplex,
    destination: Destination,
    /// Whom the peer's verified certificate names.
    pub(super) names: Vec<String>,
}

impl Opened {
    pub(super) fn plain(stream: TcpStream, peer: SocketAddr) -> Self {
        Self {
            stream: stream.into(),
            destination: Destination {
                transport: Transport::Tcp,
                peer,
                host: None,
            },
            names: Vec::new(),
        }
    }

    /// `host`: whom we connected to; `None` when the peer connected to us.
    pub(super) fn secured(secured: Secured, peer: SocketAddr, host: Option<String>) -> Self {
        Self {
            stream: secured.stream.into(),
            destination: Destination {
                transport: Transport::Tls,
                peer,
                host,
            },
            names: secured.names,
        }
    }
}

/// What became of a message for a stream.
pub(super) enum Pushed {
    Queued,
    NoFlow(Outgoing),
    /// The stream's queue was full: the stream is closed.
    Overflow(Option<TransmitId>),
}

/// The open streams.
pub(super) struct Flows {
    next: u64,
    open: BTreeMap<FlowId, FlowHandle>,
    by_destination: BTreeMap<Destination, FlowId>,
    pub(super) tasks: JoinSet<()>,
    pub(super) terms: Terms,
}

impl Flows {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            next: 1,
            open: BTreeMap::new(),
            by_destination: BTreeMap::new(),
            tasks: JoinSet::new(),
            terms,
        }
    }

    /// Takes up a connection; with a seat, its peer has opened it.
    pub(super) fn open(&mut self, opened: Opened, seat: Option<Seat>) -> FlowId {
        let Opened {
            stream, destination, ..
        } = opened;
        let id = FlowId(self.next);
        self.next += 1;
        let flow = Flow {
            transport: destination.transport,
            peer: destination.peer,
            id: Some(id),
        };
        tracing::debug!(flow = id.0, peer = %flow.peer, transport = ?flow.transport, accepted = seat.is_some(), "SIP stream");
        let opener = if seat.is_some() {
            Opener::Peer
        } else {
            Opener::Gateway
        };
        let (handle, task) = flow::prepare(stream, flow, opener, destination.clone(), &self.terms);
        self.tasks.spawn(async move {
            let _seat = seat;
            task.run(id).await;
        });
        self.open.insert(id, handle);
        self.by_destination.insert(destination, id);
        id
    }

    pub(super) fn push(&mut self, target: &Target, message: Outgoing) -> Pushed {
        let other = self.by_destination.get(&Destination::of(target)).copied();
        let open = |id: FlowId| Some((id, self.open.get(&id).filter(|handle| handle.is_open())?));
        let Some((id, handle)) = target.flow.and_then(open).or_else(|| other.and_then(open)) else {
            return Pushed::NoFlow(message);
        };
        match handle.push(message, self.terms.connections.sip_queue) {
            Ok(()) => Pushed::Queued,
            Err(message) => {
                tracing::warn!(flow = id.0, peer = %handle.destination.peer, "SIP stream cannot keep up: closed");
                self.forget(id);
                Pushed::Overflow(message.id)
            }
        }
    }

    pub(super) fn answer_keep_alive(&mut self, flow: FlowId) {
        let pong = Outgoing {
            id: None,
            bytes: Bytes::from_static(b"\r\n"),
        };
        // Where we ask, two line ends are two answers.
        if let Some(handle) = self.open.get(&flow)
            && !handle.is_kept_alive()
            && handle.push(pong, self.terms.connections.sip_queue).is_err()
        {
            self.forget(flow);
        }
    }

    /// The peer wants keep-alives at least this often (RFC 5626 §4.4, §11.2).
    pub(super) fn quicken(&self, flow: FlowId, interval: Duration) {
        if let Some(handle) = self.open.get(&flow) {
            handle.quicken(interval);
        }
    }

    /// Takes a stream off the list; dropping its handle ends it.
    pub(super) fn forget(&mut self, flow: FlowId) {
        if let Some(handle) = self.open.remove(&flow)
            && self.by_destination.get(&handle.destination) == Some(&flow)
        {
            self.by_destination.remove(&handle.destination);
        }
    }

    /// Lets every stream send what it has queued.
    pub(super) async fn finish(mut self) {
        let _cuts: Vec<_> = std::mem::take(&mut self.open)
            .into_values()
            .map(FlowHandle::close)
            .collect();
        drop(self.terms);
        while self.tasks.join_next().await.is_some() {}
    }
}
