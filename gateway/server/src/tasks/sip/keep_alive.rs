//! Keep-alives on the streams that we opened (RFC 5626 §4.4.1): a peer that is gone is noticed before a request is lost on it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::flow::Outgoing;

/// What the peer is asked whether it is there with.
const PING: Bytes = Bytes::from_static(b"\r\n\r\n");

/// How often a peer is asked, and how long its answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rhythm {
    /// Longest time between two pings; zero: none. Each is drawn from its last fifth, so that not all connections ping at once.
    pub(super) interval: Duration,
    pub(super) pong: Duration,
}

/// What the reading half has heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    reads: AtomicUsize,
    pongs: AtomicBool,
}

impl Heard {
    pub(super) fn note(&self, octets: &[u8]) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if octets.iter().all(|octet| matches!(octet, b'\r' | b'\n')) {
            self.pongs.store(true, Ordering::Relaxed);
        }
    }
}

/// Asks the peer now and then whether it is there.
pub(super) struct Keeper {
    /// The rhythm, which a Flow-Timer may quicken.
    pub(super) rhythm: watch::Receiver<Rhythm>,
    /// Weak: a stream whose handle has let go of it sends no pings.
    pub(super) queue: mpsc::WeakUnboundedSender<Outgoing>,
    pub(super) queued: Arc<AtomicUsize>,
    pub(super) heard: Arc<Heard>,
    /// Where in the last fifth of the interval this stream pings, in thousandths.
    pub(super) place: u32,
}

impl Keeper {
    /// Ends when the peer has answered earlier pings and does not answer one. A peer that never answers is left to TCP: not every one knows
    /// keep-alives.
    pub(super) async fn run(mut self) -> &'static str {
        loop {
            self.pause().await;
            let before = self.heard.reads.load(Ordering::Relaxed);
            if !self.ping() {
                return std::future::pending().await;
            }
            let pong = self.rhythm.borrow().pong;
            tokio::time::sleep(pong).await;
            let silent = self.heard.reads.load(Ordering::Relaxed) == before;
            if silent && self.heard.pongs.load(Ordering::Relaxed) {
                return "no answer to a keep-alive";
            }
        }
    }

    /// Waits until the next ping is due, by the rhythm as it is then.
    async fn pause(&mut self) {
        let began = Instant::now();
        loop {
            let Rhythm { interval, pong } = *self.rhythm.borrow_and_update();
            let wait = interval.saturating_sub(interval / 5 * self.place.min(1000) / 1000);
            let due = began + wait.saturating_sub(pong);
            tokio::select! {
                () = tokio::time::sleep_until(due), if !interval.is_zero() => return,
                changed = self.rhythm.changed() => if changed.is_err() {
                    return std::future::pending().await;
                },
            }
        }
    }

    /// Queues a ping; false when the stream takes no more messages.
    fn ping(&self) -> bool {
        let Some(queue) = self.queue.upgrade() else {
            return false;
        };
        self.queued.fetch_add(PING.len(), Ordering::Relaxed);
        let ping = Outgoing {
            id: None,
            bytes: PING,
        };
        queue.send(ping).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Peer {
        queue: mpsc::UnboundedReceiver<Outgoing>,
        heard: Arc<Heard>,
        rhythm: watch::Sender<Rhythm>,
        _queue_in: mpsc::UnboundedSender<Outgoing>,
    }

    fn keeper(interval: Duration) -> (Keeper, Peer) {
        let (queue_in, queue) = mpsc::unbounded_channel();
        let (rhythm_in, rhythm) = watch::channel(Rhythm {
            interval,
            pong: Duration::from_secs(10),
        });
        let heard = Arc::new(Heard::default());
        let keeper = Keeper {
            rhythm,
            queue: queue_in.downgrade(),
            queued: Arc::default(),
            heard: Arc::clone(&heard),
            place: 500,
        };
        let peer = Peer {
            queue,
            heard,
            rhythm: rhythm_in,
            _queue_in: queue_in,
        };
        (keeper, peer)
    }

    #[tokio::test(start_paused = true)]
    async fn rfc5626_section_4_4_1_a_peer_that_stops_answering_is_dead_after_the_pong_timeout() {
        let (keeper, mut peer) = keeper(Duration::from_secs(120));
        let began = Instant::now();
        let running = tokio::spawn(keeper.run());
        for _ in 0..3 {
            assert_eq!(peer.queue.recv().await.unwrap().bytes, PING);
            peer.heard.note(b"\r\n");
        }
        assert_eq!(peer.queue.recv().await.unwrap().bytes, PING);
        let asked = began.elapsed();
        assert_eq!(running.await.unwrap(), "no answer to a keep-alive");
        assert_eq!(asked, Duration::from_secs(4 * 108 - 10));
        assert_eq!(began.elapsed(), asked + Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_answers_keep_alives_is_asked_for_ever_and_not_given_up() {
        let (keeper, mut peer) = keeper(Duration::from_secs(120));
        let running = tokio::spawn(keeper.run());
        for _ in 0..50 {
            peer.queue.recv().await.unwrap();
            // What it says of its own shows that it lives, not that it answers.
            peer.heard.note(b"OPTIONS");
        }
        assert!(!running.is_finished());
        running.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn rfc5626_section_4_4_a_flow_timer_quickens_the_rhythm_at_once() {
        let (keeper, mut peer) = keeper(Duration::from_secs(120));
        let began = Instant::now();
        let running = tokio::spawn(keeper.run());
        tokio::time::sleep(Duration::from_secs(5)).await;
        peer.rhythm
            .send_modify(|rhythm| rhythm.interval = Duration::from_secs(40));
        peer.queue.recv().await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_secs(36 - 10));
        running.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn no_interval_means_no_pings() {
        let (keeper, mut peer) = keeper(Duration::ZERO);
        let running = tokio::spawn(keeper.run());
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        assert!(peer.queue.try_recv().is_err());
        running.abort();
    }
}
