//! The tasks: who owns which machine and which socket. The reasons why they cannot wait for each other in a circle are in the
//! crate's documentation.

pub(crate) mod link;
pub(crate) mod mapping;
pub(crate) mod msrp;
pub(crate) mod sip;

use std::time::Instant;

use tokio::{net::TcpStream, sync::mpsc};

/// Commands that may wait for the SIP task or the link task.
pub(crate) const COMMANDS: usize = 1024;
/// Events of one kind that may wait for the mapping task.
pub(crate) const EVENTS: usize = 1024;
/// Octets read or written at once.
pub(crate) const BUFFER: usize = 64 * 1024;

/// Sleeps until a machine is due; forever if it is not.
pub(crate) async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// The earlier of two deadlines.
pub(crate) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Small frames must not wait for the acknowledgement of earlier ones.
pub(crate) fn send_without_delay(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY not set");
    }
}

/// The one event that the mapping task had no room for. While it is here, its owner reads no socket, but takes commands.
pub(crate) struct Outlet<T> {
    events: mpsc::Sender<T>,
    held: Option<T>,
}

impl<T> Outlet<T> {
    pub(crate) fn new(events: mpsc::Sender<T>) -> Self {
        Self { events, held: None }
    }

    /// Whether the next event can be taken from the machine.
    pub(crate) fn is_free(&self) -> bool {
        self.held.is_none()
    }

    /// Hands an event over, or holds it. Call only when free.
    pub(crate) fn put(&mut self, event: T) {
        match self.events.try_send(event) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(event)) => self.held = Some(event),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                tracing::debug!("an event came after the core had stopped");
            }
        }
    }

    /// Hands over what is held as soon as there is room; pends for ever when nothing is. May be cancelled.
    pub(crate) async fn release(&mut self) {
        if self.held.is_none() {
            return std::future::pending().await;
        }
        let permit = self.events.reserve().await;
        if let (Ok(permit), Some(event)) = (permit, self.held.take()) {
            permit.send(event);
        }
    }
}
