//! The connections that we open: to the first address of the peer's host that will do (RFC 4975 §6.2), and no stranger (§14.2).

use std::{net::SocketAddr, time::Duration};

use ::msrp::Command;
use mapping::{ConnectionId, NotConnected, Proof};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use super::{COMMANDS, ConnectionHandle};
use crate::{config::Host, lookup::Lookup, tasks::duplex::Duplex, tls::Tls};

/// A connection that is to be opened.
pub(crate) struct Opening {
    pub(super) id: ConnectionId,
    pub(super) target: Target,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) cut: oneshot::Receiver<()>,
}

/// Where to, and how the peer proves that it is there; `None`: plain TCP.
pub(crate) struct Target {
    pub(crate) peer: Host,
    pub(crate) proof: Option<Proof>,
}

impl Opening {
    /// With the mapping task's end of it.
    pub(crate) fn new(id: ConnectionId, target: Target) -> (Self, ConnectionHandle) {
        let (commands_in, commands) = mpsc::channel(COMMANDS);
        let (handle, cut) = ConnectionHandle::new(commands_in);
        let opening = Self {
            id,
            target,
            commands,
            cut,
        };
        (opening, handle)
    }
}

/// What was wrong, and in words for the log.
pub(super) type Failure = (NotConnected, String);

/// Connects within `deadline`. Addresses are tried in the order in which the name server gave them; none takes more than an equal share of
/// the time that is left.
pub(super) async fn connect(
    target: &Target,
    tls: Option<&Tls>,
    lookup: &Lookup,
    deadline: Duration,
) -> Result<(Duplex, SocketAddr), Failure> {
    let until = Instant::now() + deadline;
    let Host { name, port } = &target.peer;
    let found = timeout_at(until, lookup.addresses(name)).await;
    let unreachable = |why| (NotConnected::Unreachable, why);
    let addresses = found
        .unwrap_or_else(|_| Err(format!("cannot look up {name} in {deadline:?}")))
        .map_err(unreachable)?;
    let (mut verdict, mut failures) = (NotConnected::Unreachable, Vec::new());
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let address = SocketAddr::new(*address, *port);
        let now = Instant::now();
        let share = until.saturating_duration_since(now) / u32::try_from(left).unwrap_or(u32::MAX);
        match timeout_at(now + share, open(address, target, tls)).await {
            Ok(Ok(stream)) => return Ok((stream, address)),
            Ok(Err((why, words))) => {
                // That a stranger answers tells more than that somewhere else nobody does.
                if why != NotConnected::Unreachable {
                    verdict = why;
                }
                failures.push(format!("{address}: {words}"));
            }
            Err(_) => failures.push(format!("{address}: no answer within {} ms", share.as_millis())),
        }
    }
    if failures.is_empty() {
        failures.push(format!("{name} has no address"));
    }
    Err((verdict, failures.join("; ")))
}

async fn open(address: SocketAddr, target: &Target, tls: Option<&Tls>) -> Result<Duplex, Failure> {
    let connected = TcpStream::connect(address).await;
    let stream = connected.map_err(|error| (NotConnected::Unreachable, error.to_string()))?;
    match (&target.proof, tls) {
        (None, _) => Ok(stream.into()),
        (Some(proof), Some(tls)) => {
            let secured = tls.secure_msrp(stream, &target.peer.name, proof).await;
            secured.map(Duplex::from)
        }
        (Some(_), None) => Err((
            NotConnected::NoTls,
            "no TLS without [tls] in the configuration".to_owned(),
        )),
    }
}
