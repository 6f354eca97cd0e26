//! The tasks: who owns which machine and which socket. The reasons why they cannot wait for each other in a circle are in the
//! crate's documentation.

pub(crate) mod duplex;
pub(crate) mod journal;
pub(crate) mod link;
pub(crate) mod mapping;
pub(crate) mod msrp;
pub(crate) mod sip;

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Poll, ready},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    net::TcpStream,
    sync::mpsc,
};

/// Commands that may wait for the SIP task or the link task.
pub(crate) const COMMANDS: usize = 1024;
/// Events of one kind that may wait for the mapping task.
pub(crate) const EVENTS: usize = 1024;
/// Octets written at once.
const BUFFER: usize = 64 * 1024;
/// Octets read at once.
const READ: usize = 16 * 1024;
/// Pause after a socket that could not be accepted or read for want of descriptors or memory: it would fail again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Sleeps until a machine is due; forever if it is not.
async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// The earlier of two deadlines.
fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Small frames must not wait for the acknowledgement of earlier ones.
fn send_without_delay(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY not set");
    }
}

/// Waits for octets and reads them, once, through a buffer on the stack: an idle connection holds none. `false` at the end of the stream.
/// May be cancelled without loss.
async fn read_some(
    reader: &mut (impl AsyncRead + Unpin + ?Sized),
    mut take: impl FnMut(&[u8]),
) -> io::Result<bool> {
    poll_fn(|context| {
        let mut octets = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut octets);
        ready!(Pin::new(&mut *reader).poll_read(context, &mut buffer))?;
        take(buffer.filled());
        Poll::Ready(Ok(!buffer.filled().is_empty()))
    })
    .await
}

/// Reports a socket's failure and waits a moment.
async fn pause_after(what: &'static str, error: &io::Error) {
    tracing::warn!(%error, "{what}");
    tokio::time::sleep(PAUSE).await;
}

/// The one event that the mapping task had no room for. While it is here, its owner reads no socket, but takes commands.
struct Outlet<T> {
    events: mpsc::Sender<T>,
    held: Option<T>,
}

impl<T> Outlet<T> {
    fn new(events: mpsc::Sender<T>) -> Self {
        Self { events, held: None }
    }

    /// Whether the next event can be taken from the machine.
    fn is_free(&self) -> bool {
        self.held.is_none()
    }

    /// Hands an event over, or holds it. Call only when free.
    fn put(&mut self, event: T) {
        match self.events.try_send(event) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(event)) => self.held = Some(event),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                tracing::debug!("an event came after the core had stopped");
            }
        }
    }

    /// Hands over what is held as soon as there is room; pends for ever when nothing is. May be cancelled.
    async fn release(&mut self) {
        if self.held.is_none() {
            return std::future::pending().await;
        }
        let permit = self.events.reserve().await;
        if let (Ok(permit), Some(event)) = (permit, self.held.take()) {
            permit.send(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_event_without_room_is_held_and_handed_over_in_order_when_there_is_room() {
        let (events_in, mut events) = mpsc::channel(1);
        let mut outlet = Outlet::new(events_in);
        outlet.put(1);
        assert!(outlet.is_free());
        outlet.put(2);
        assert!(!outlet.is_free());
        let (received, ()) = tokio::join!(events.recv(), outlet.release());
        assert_eq!(received, Some(1));
        assert!(outlet.is_free());
        assert_eq!(events.recv().await, Some(2));
    }

    #[tokio::test]
    async fn after_the_core_has_stopped_nothing_is_held() {
        let (events_in, events) = mpsc::channel(1);
        let mut outlet = Outlet::new(events_in);
        outlet.put(1);
        outlet.put(2);
        drop(events);
        outlet.release().await;
        assert!(outlet.is_free());
        outlet.put(3);
        assert!(outlet.is_free());
    }

    #[test]
    fn the_earlier_deadline_is_the_one_there_is_or_the_smaller() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        assert_eq!(earlier(None, None), None);
        assert_eq!(earlier(Some(later), None), Some(later));
        assert_eq!(earlier(None, Some(now)), Some(now));
        assert_eq!(earlier(Some(later), Some(now)), Some(now));
    }
}
