//! What a peer has received, kept in order, to wait for and to count.

use std::{
    collections::VecDeque,
    fmt::Debug,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use crate::{Result, bail};

/// Items arriving from a reader thread. [`Inbox::wait`] takes the first match out of those not taken yet, whatever came
/// before it; [`Inbox::history`] keeps everything.
#[derive(Debug)]
pub struct Inbox<T> {
    owner: String,
    incoming: Receiver<T>,
    history: Vec<T>,
    pending: VecDeque<T>,
    closed: bool,
}

impl<T: Clone + Debug> Inbox<T> {
    /// An inbox fed by `incoming`; `owner` names it in messages.
    #[must_use]
    pub fn new(owner: impl Into<String>, incoming: Receiver<T>) -> Self {
        Self {
            owner: owner.into(),
            incoming,
            history: Vec::new(),
            pending: VecDeque::new(),
            closed: false,
        }
    }

    /// Takes the first item that matches, waiting for it at most `limit`.
    ///
    /// # Errors
    /// None came, or the peer closed; the message lists what came instead.
    pub fn wait(&mut self, what: &str, limit: Duration, mut matches: impl FnMut(&T) -> bool) -> Result<T> {
        let deadline = Instant::now() + limit;
        let mut examined = 0;
        loop {
            self.drain();
            if let Some(found) = self.pending.iter().skip(examined).position(&mut matches)
                && let Some(item) = self.pending.remove(examined + found)
            {
                return Ok(item);
            }
            examined = self.pending.len();
            let now = Instant::now();
            if self.closed || now >= deadline {
                let cause = if self.closed {
                    "the stream ended"
                } else {
                    "nothing more came"
                };
                bail!(
                    "{} waited for {what}, but {cause} within {limit:?}; not taken: {:#?}",
                    self.owner,
                    self.pending
                );
            }
            match self.incoming.recv_timeout(deadline - now) {
                Ok(item) => self.keep(item),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.closed = true,
            }
        }
    }

    /// Everything received so far, in order.
    pub fn history(&mut self) -> &[T] {
        self.drain();
        &self.history
    }

    /// Forgets what has come but was not taken; the history stays.
    pub fn clear(&mut self) {
        self.drain();
        self.pending.clear();
    }

    /// Whether the peer has closed and everything it sent has been read.
    pub fn is_closed(&mut self) -> bool {
        self.drain();
        self.closed
    }

    fn drain(&mut self) {
        loop {
            match self.incoming.try_recv() {
                Ok(item) => self.keep(item),
                Err(std::sync::mpsc::TryRecvError::Empty) => return,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                    self.closed = true;
                    return;
                }
            }
        }
    }

    fn keep(&mut self, item: T) {
        self.history.push(item.clone());
        self.pending.push_back(item);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::channel, time::Duration};

    use super::Inbox;

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn items_may_be_taken_out_of_order_but_only_once() {
        let (sender, receiver) = channel();
        let mut inbox = Inbox::new("test", receiver);
        for number in [1, 2, 3] {
            sender.send(number).unwrap();
        }
        assert_eq!(inbox.wait("three", SHORT, |n| *n == 3).unwrap(), 3);
        assert_eq!(inbox.wait("any", SHORT, |_| true).unwrap(), 1);
        assert!(inbox.wait("three again", SHORT, |n| *n == 3).is_err());
        assert_eq!(inbox.history(), [1, 2, 3]);
    }

    #[test]
    fn what_came_before_the_close_can_still_be_taken() {
        let (sender, receiver) = channel();
        let mut inbox = Inbox::new("test", receiver);
        sender.send("last").unwrap();
        drop(sender);
        assert!(inbox.is_closed());
        assert_eq!(inbox.wait("last", SHORT, |_| true).unwrap(), "last");
        let error = inbox
            .wait("more", Duration::from_secs(600), |_| true)
            .unwrap_err();
        assert!(error.to_string().contains("the stream ended"), "{error}");
    }
}
