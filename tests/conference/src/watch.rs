//! What deployed servers do below a session: keep-alives, and an eye on how messages are cut.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use msrp::{
    Limits, MessageId, SessionId, SessionParameters,
    frame::{Decoder, Flag, Kind, Method},
};
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::options::Quirks;

/// How long a keep-alive may be unanswered.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was seen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A keep-alive was answered 200.
    KeptAlive(SessionId),
    /// One was not.
    Silent(SessionId),
    /// A message came in several chunks, which this server does not take.
    Chunked(SessionId),
}

/// Looks at the octets beside the connection's machine. Without such a peculiarity it does nothing.
pub(crate) struct Watch {
    interval: Option<Duration>,
    no_chunks: bool,
    decoder: Decoder,
    rng: ChaCha12Rng,
    sessions: BTreeMap<SessionId, Watched>,
    queued: BytesMut,
}

struct Watched {
    parameters: SessionParameters,
    /// When the next keep-alive is due, or the answer to the last.
    due: Instant,
    /// The transaction that waits for an answer.
    asked: Option<String>,
}

impl Watch {
    pub(crate) fn new(quirks: &Quirks, limits: &Limits, rng: &mut ChaCha12Rng) -> Self {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        Self {
            interval: quirks.keep_alive,
            no_chunks: quirks.no_chunks,
            decoder: Decoder::new(limits),
            rng: ChaCha12Rng::from_seed(seed),
            sessions: BTreeMap::new(),
            queued: BytesMut::new(),
        }
    }

    /// A session is open.
    pub(crate) fn add(&mut self, parameters: SessionParameters, now: Instant) {
        if let (Some(interval), Some(session)) = (self.interval, parameters.local.last().session().cloned()) {
            let watched = Watched {
                parameters,
                due: now + interval,
                asked: None,
            };
            self.sessions.insert(session, watched);
        }
    }

    pub(crate) fn remove(&mut self, session: &SessionId) {
        self.sessions.remove(session);
    }

    pub(crate) fn handle_bytes(&mut self, octets: &[u8], now: Instant) -> Vec<Seen> {
        let mut seen = Vec::new();
        if self.interval.is_none() && !self.no_chunks {
            return seen;
        }
        self.decoder.push(octets);
        while let Some(Ok(frame)) = self.decoder.next_frame() {
            match &frame.kind {
                Kind::Request(Method::Send) if self.no_chunks && frame.flag == Flag::More => {
                    seen.extend(frame.to.last().session().cloned().map(Seen::Chunked));
                }
                Kind::Response(status) => {
                    let answered = self.answered(frame.transaction.as_str(), now);
                    seen.extend(answered.map(|session| match status.is_success() {
                        true => Seen::KeptAlive(session),
                        false => Seen::Silent(session),
                    }));
                }
                Kind::Request(_) => {}
            }
        }
        seen
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<Seen> {
        let mut seen = Vec::new();
        for (session, watched) in &mut self.sessions {
            if watched.due > now {
                continue;
            }
            if watched.asked.take().is_some() {
                seen.push(Seen::Silent(session.clone()));
            } else {
                let transaction = MessageId::random(&mut self.rng).to_string();
                let message = MessageId::random(&mut self.rng);
                let SessionParameters { local, remote } = &watched.parameters;
                let frame = format!(
                    "MSRP {transaction} SEND\r\nTo-Path: {remote}\r\nFrom-Path: {local}\r\nMessage-ID: {message}\r\n\
                     Byte-Range: 1-0/0\r\nKeep-Alive: yes\r\n-------{transaction}$\r\n"
                );
                self.queued.extend_from_slice(frame.as_bytes());
                watched.asked = Some(transaction);
            }
            watched.due = now + PATIENCE;
        }
        seen
    }

    pub(crate) fn poll_transmit(&mut self, out: &mut BytesMut) {
        out.extend_from_slice(&self.queued);
        self.queued.clear();
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.sessions.values().map(|watched| watched.due).min()
    }

    /// The session whose keep-alive this answers.
    fn answered(&mut self, transaction: &str, now: Instant) -> Option<SessionId> {
        let interval = self.interval?;
        let asked = |watched: &Watched| watched.asked.as_deref() == Some(transaction);
        let (session, watched) = self.sessions.iter_mut().find(|(_, watched)| asked(watched))?;
        watched.asked = None;
        watched.due = now + interval;
        Some(session.clone())
    }
}
