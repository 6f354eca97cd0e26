//! The link to the XMPP server as a machine: connect, handshake, keep alive, fail, back off, again.

mod arrival;
mod backoff;
mod config;
mod event;
mod outbox;
mod service;
mod sole;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use jid::DomainPart;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha1::{Digest, Sha1};
use xmpp_parsers::ns;

use crate::guard::Guard;
use crate::stanza::{Iq, IqKind, Outgoing, Stanza, commands};
use arrival::{Arrival, Ours, Prefixes, Skipped, cut};
use backoff::{Backoff, STABLE};
pub use config::{ConflictRule, Limits, LinkConfig};
pub use event::{Action, Command, DownCause, Event, Unsent};
use outbox::Outbox;
use sole::{ROW, Sole};

/// Octets of the shell's text in [`DownCause::Unreachable`] that are kept.
const CAUSE: usize = 512;

/// One component stream (XEP-0114) over any number of successive connections.
///
/// Contract: call `handle_*` with what happened, drain `poll_action`, `poll_event` and `poll_transmit`, then ask `poll_timeout`. The
/// number of events is bounded only by the bytes given, so drain them after each call. The first `handle_timeout` starts it. After each failure it waits with jittered back-off and emits [`Action::Connect`] again: 250 ms doubling to
/// `LinkConfig::retry` while the server is out of reach; 1 s to 30 s after a stream error; 30 s to 120 s after a refused secret, or a
/// conflict that is not likely to be with our own former connection; counted from when the failed attempt began; begun anew once the link has
/// held for 30 s. It never gives up, but for [`ConflictRule::Stop`]. Silence is met
/// with a ping, an unanswered ping with a new connection, which is [`Event::Up`] once the server has let go of the former one, or after 2 s. Requests to the domain itself (disco, version, ping) are answered here.
/// Stanzas that are queued but not yet taken by `poll_transmit` when the connection ends come back as [`Event::Unsent`], and so do those that
/// [must arrive](Outgoing::must_arrive) and that the server is not known to have read.
/// `handle_*` is total.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    /// The domain as addresses show it.
    domain: String,
    phase: Phase,
    guard: Guard,
    prefixes: Prefixes,
    outbox: Outbox,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
    rng: ChaCha12Rng,
    backoff: Backoff,
    /// When the latest attempt began.
    attempted: Option<Instant>,
    /// Whether the server may still hold a former connection, which it has not noticed that we gave up.
    lingers: bool,
    /// The cause that the owner knows of.
    reported: Option<DownCause>,
    /// What the ids of our own pings begin with, and how many there were.
    ping_ids: (String, u64),
}

#[derive(Debug)]
enum Phase {
    /// Not started.
    New,
    /// Down until the next attempt.
    Waiting { until: Instant },
    /// The shell opens a connection.
    Connecting { deadline: Instant },
    /// Our stream header is on its way.
    Opening { deadline: Instant },
    /// Our handshake is on its way.
    Handshaking { deadline: Instant },
    /// The server has taken us, and is asked whether it still holds a former connection.
    Accepted(Sole),
    /// Stanzas flow. `due` is when silence gets a ping or, once `pinged`, ends the connection.
    Up {
        since: Instant,
        due: Instant,
        pinged: bool,
    },
    /// Down for good.
    Shut,
}

impl Link {
    /// A link that is down; jitter and ids come from `seed`.
    #[must_use]
    pub fn new(config: LinkConfig, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha12Rng::from_seed(seed);
        let domain = DomainPart::new(&config.domain)
            .map_or_else(|_| config.domain.clone(), |domain| domain.as_str().to_owned());
        Self {
            domain,
            phase: Phase::New,
            guard: Guard::new(config.limits.clone()),
            prefixes: Prefixes::new(),
            outbox: Outbox::new(config.limits.stanza_out, config.limits.queue),
            actions: VecDeque::new(),
            events: VecDeque::new(),
            ping_ids: (format!("ping-{:016x}-", rng.next_u64()), 0),
            rng,
            backoff: Backoff::new(config.retry),
            attempted: None,
            lingers: false,
            reported: None,
            config,
        }
    }

    /// The connection asked for by [`Action::Connect`] stands.
    pub fn handle_connected(&mut self, now: Instant) {
        match self.phase {
            Phase::Connecting { .. } => {}
            Phase::Opening { .. } | Phase::Handshaking { .. } | Phase::Accepted(_) | Phase::Up { .. } => {
                return;
            }
            Phase::New | Phase::Waiting { .. } | Phase::Shut => {
                // An attempt that was given up meanwhile.
                self.actions.push_back(Action::Close);
                return;
            }
        }
        self.guard = Guard::new(self.config.limits.clone());
        self.prefixes.clear();
        drop(self.outbox.drain());
        let domain = &self.domain;
        self.outbox.stream(|xml| {
            xml.raw("<?xml version='1.0'?><stream:stream");
            xml.attribute("xmlns", ns::COMPONENT_ACCEPT);
            xml.attribute("xmlns:stream", ns::STREAM);
            xml.attribute("to", domain);
            xml.raw(">");
        });
        self.phase = Phase::Opening {
            deadline: later(now, self.config.handshake),
        };
    }

    /// It could not be opened; the text names address and cause.
    pub fn handle_connect_failed(&mut self, cause: String, now: Instant) {
        if let Phase::Connecting { .. } = self.phase {
            self.fail(DownCause::Unreachable(cut(cause, CAUSE)), now);
        }
    }

    /// Bytes that arrived, cut anywhere.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        if let Phase::Up { due, pinged, .. } = &mut self.phase
            && !bytes.is_empty()
        {
            *due = later(now, self.config.idle);
            *pinged = false;
        }
        let mut rest = bytes;
        while self.is_open() {
            let Some(frame) = self.guard.next(&mut rest) else {
                return;
            };
            let ours = Ours {
                domain: &self.domain,
                has_rooms: !self.config.answers,
            };
            let arrival = Arrival::read(frame, &self.prefixes, ours);
            self.handle_arrival(arrival, now);
        }
    }

    /// The connection ended. What is said of one that [`Action::Close`] gave up is passed over until the next one stands.
    pub fn handle_disconnected(&mut self, now: Instant) {
        match self.phase {
            Phase::Opening { .. } | Phase::Handshaking { .. } | Phase::Accepted(_) | Phase::Up { .. } => {
                self.fail(DownCause::Closed, now);
            }
            Phase::Shut => self.give_back(),
            Phase::New | Phase::Waiting { .. } | Phase::Connecting { .. } => {}
        }
    }

    /// A command of the owner. `Send` while the link is down is answered with [`Event::Unsent`].
    pub fn handle_command(&mut self, command: Command, _now: Instant) {
        match command {
            Command::Send(stanza) => self.send(stanza),
            Command::Share { room, occupant } => self.guard.share(room.as_str(), occupant.as_str()),
            Command::Unshare { room, occupant } => {
                self.guard.unshare(room.as_str(), occupant.as_str());
                self.events.push_back(Event::Unshared { room, occupant });
            }
            Command::Shutdown => {
                if self.is_open() {
                    self.outbox.stream(|xml| xml.raw("</stream:stream>"));
                }
                if self.is_open() || matches!(self.phase, Phase::Connecting { .. }) {
                    self.actions.push_back(Action::Close);
                }
                self.phase = Phase::Shut;
            }
        }
    }

    /// The instant that `poll_timeout` named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::New => self.connect(now),
            Phase::Waiting { until } if now >= until => self.connect(now),
            Phase::Connecting { deadline } if now >= deadline => {
                self.actions.push_back(Action::Close);
                let cause = format!("no connection within {} s", self.config.handshake.as_secs());
                self.fail(DownCause::Unreachable(cause), now);
            }
            Phase::Opening { deadline } | Phase::Handshaking { deadline } if now >= deadline => {
                self.actions.push_back(Action::Close);
                self.fail(DownCause::Silent, now);
            }
            Phase::Accepted(_) => self.ask_whether_sole(now),
            Phase::Up {
                since,
                due,
                pinged: false,
            } if now >= due => {
                self.ping();
                self.phase = Phase::Up {
                    since,
                    due: later(now, self.config.ping),
                    pinged: true,
                };
            }
            Phase::Up {
                due, pinged: true, ..
            } if now >= due => {
                self.actions.push_back(Action::Close);
                self.fail(DownCause::Silent, now);
            }
            _ => {}
        }
    }

    /// What the shell must do with the connection.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Moves what is to be written into `out`; `false` when there is nothing.
    pub fn poll_transmit(&mut self, out: &mut BytesMut) -> bool {
        if self.is_up() && self.outbox.wants_receipt() {
            let id = self.ping_id();
            self.ask(&self.domain.clone(), &id);
            self.outbox.asked_for_receipt(id);
        }
        self.outbox.take(out)
    }

    /// When `handle_timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::New | Phase::Shut => None,
            Phase::Waiting { until } => Some(*until),
            Phase::Connecting { deadline }
            | Phase::Opening { deadline }
            | Phase::Handshaking { deadline } => Some(*deadline),
            Phase::Accepted(sole) => Some(sole.due()),
            Phase::Up { due, .. } => Some(*due),
        }
    }

    /// How many copies of groupchat messages were dropped on this connection, since equal ones were events.
    #[must_use]
    pub fn copies_dropped(&self) -> u64 {
        self.guard.dropped()
    }

    /// Whether stanzas can be sent now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up { .. })
    }

    /// Whether the server takes stanzas of ours: answers of the link's own already go out when it has accepted us.
    fn takes_stanzas(&self) -> bool {
        matches!(self.phase, Phase::Accepted(_) | Phase::Up { .. })
    }

    /// Whether a stream is open, or being opened.
    fn is_open(&self) -> bool {
        matches!(
            self.phase,
            Phase::Opening { .. } | Phase::Handshaking { .. } | Phase::Accepted(_) | Phase::Up { .. }
        )
    }

    fn connect(&mut self, now: Instant) {
        self.actions.push_back(Action::Connect);
        self.attempted = Some(now);
        self.phase = Phase::Connecting {
            deadline: later(now, self.config.handshake),
        };
    }

    fn handle_arrival(&mut self, arrival: Arrival, now: Instant) {
        match (arrival, &self.phase) {
            (Arrival::StreamError(cause), _) => self.close(cause, "</stream:stream>", now),
            (Arrival::End, _) => self.close(DownCause::Closed, "</stream:stream>", now),
            (Arrival::Malformed(why) | Arrival::Header(Err(why)), _) => self.refuse(why, now),
            (Arrival::Header(Ok((id, prefixes))), &Phase::Opening { deadline }) => {
                self.prefixes = prefixes;
                // An empty id announces a stream error; the secret is not hashed without one.
                if !id.is_empty() {
                    self.shake_hands(&id);
                    self.phase = Phase::Handshaking { deadline };
                }
            }
            (Arrival::Handshake, Phase::Handshaking { .. }) if self.lingers => {
                self.phase = Phase::Accepted(Sole::new(self.ping_ids.1 + 1, now));
                self.ask_whether_sole(now);
            }
            (Arrival::Handshake, Phase::Handshaking { .. }) => self.up(now),
            (Arrival::Stanza(stanza), Phase::Accepted(_) | Phase::Up { .. }) => {
                self.handle_stanza(stanza, now);
            }
            (Arrival::Skipped(skipped), Phase::Accepted(_) | Phase::Up { .. }) => self.skip(skipped),
            (Arrival::Features, _) => {}
            (Arrival::Handshake, Phase::Accepted(_) | Phase::Up { .. }) => {
                self.events.push_back(Event::Skipped {
                    rule: "no stanza",
                    from: String::new(),
                });
            }
            (Arrival::Header(Ok(_)) | Arrival::Handshake | Arrival::Stanza(_) | Arrival::Skipped(_), _) => {
                self.refuse("a stanza before the handshake", now);
            }
        }
    }

    fn up(&mut self, now: Instant) {
        self.phase = Phase::Up {
            since: now,
            due: later(now, self.config.idle),
            pinged: false,
        };
        self.lingers = false;
        self.reported = None;
        self.events.push_back(Event::Up);
    }

    /// Pings our own domain a few times in a row, again and again until a whole row has come back, or no longer.
    fn ask_whether_sole(&mut self, now: Instant) {
        let Phase::Accepted(sole) = &mut self.phase else {
            return;
        };
        if now >= sole.deadline() {
            let is_shared = sole.is_shared();
            self.up(now);
            if is_shared {
                self.events.push_back(Event::NotSole);
            }
            return;
        }
        if sole.next_row(now) {
            for _ in 0..ROW {
                let id = self.ping_id();
                self.ask(&self.domain.clone(), &id);
            }
        }
    }

    /// XEP-0114 §3: the digest of the stream id and the secret.
    fn shake_hands(&mut self, id: &str) {
        let digest = Sha1::new()
            .chain_update(id)
            .chain_update(&self.config.secret)
            .finalize();
        self.outbox.stream(|xml| {
            xml.raw("<handshake>");
            for octet in digest {
                xml.raw(&format!("{octet:02x}"));
            }
            xml.raw("</handshake>");
        });
    }

    fn handle_stanza(&mut self, stanza: Stanza, now: Instant) {
        match stanza {
            Stanza::Iq(iq) if iq.to.node().is_none() => self.handle_own_iq(iq, now),
            stanza => self.events.push_back(Event::Stanza(stanza)),
        }
    }

    /// An IQ for the domain itself.
    fn handle_own_iq(&mut self, iq: Iq, now: Instant) {
        // Our pings come back as they are (from ourselves) or answered.
        if let Some(number) = iq.id.strip_prefix(&self.ping_ids.0)
            && (iq.from == iq.to || is_answer(&iq))
        {
            let number = number.parse().ok();
            if let (Phase::Accepted(sole), Some(number)) = (&mut self.phase, number)
                && sole.is_back(number)
            {
                self.up(now);
            }
            return self.outbox.ping_answered(&iq.id);
        }
        if !self.config.answers || commands::Request::read(&iq).is_some() {
            return self.events.push_back(Event::Stanza(Stanza::Iq(iq)));
        }
        match service::answer(&iq) {
            Some(answer) => self.send(answer),
            None => {
                let from = cut(iq.from.to_string(), 256);
                self.events.push_back(Event::Skipped {
                    rule: "answer to no request",
                    from,
                });
            }
        }
    }

    fn skip(&mut self, skipped: Skipped) {
        if let Some(bounce) = &skipped.bounce {
            self.outbox.bounce(bounce);
        }
        self.events.push_back(Event::Skipped {
            rule: skipped.rule,
            from: skipped.from,
        });
    }

    fn send(&mut self, stanza: Outgoing) {
        let sent = if !self.takes_stanzas() {
            Err((Box::new(stanza), Unsent::LinkDown))
        } else if stanza.from().domain().as_str() != self.domain {
            Err((Box::new(stanza), Unsent::ForeignFrom))
        } else {
            self.outbox.send(stanza)
        };
        if let Err((stanza, why)) = sent {
            self.events.push_back(Event::Unsent { stanza, why });
        }
    }

    /// Asks for a sign of life, from the server's host and from our own domain, which the server routes back to us. Whichever arrives
    /// first will do: the parent domain need not be served there, and our own may be shared by several connections.
    fn ping(&mut self) {
        let id = self.ping_id();
        let domain = self.domain.clone();
        let parent = domain.split_once('.').map(|(_, parent)| parent);
        for to in parent.into_iter().chain([domain.as_str()]) {
            self.ask(to, &id);
        }
    }

    fn ping_id(&mut self) -> String {
        let (prefix, count) = &mut self.ping_ids;
        *count += 1;
        format!("{prefix}{count}")
    }

    fn ask(&mut self, to: &str, id: &str) {
        let domain = &self.domain;
        self.outbox.stream(|xml| {
            xml.raw("<iq");
            xml.attribute("from", domain);
            xml.attribute("to", to);
            xml.attribute("id", id);
            xml.raw(" type='get'><ping");
            xml.attribute("xmlns", ns::PING);
            xml.raw("/></iq>");
        });
    }

    /// Ends a stream that is none, and says so (RFC 6120 §4.9.3.13).
    fn refuse(&mut self, why: &'static str, now: Instant) {
        let last = "<stream:error><not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";
        self.close(DownCause::Malformed(why), last, now);
    }

    /// Ends the connection with last words.
    fn close(&mut self, cause: DownCause, last: &str, now: Instant) {
        self.fail(cause, now);
        self.outbox.stream(|xml| xml.raw(last));
        self.actions.push_back(Action::Close);
    }

    /// The connection is lost or was never there.
    fn fail(&mut self, cause: DownCause, now: Instant) {
        if let Phase::Up { since, .. } = self.phase
            && now.saturating_duration_since(since) >= STABLE
        {
            self.backoff.reset();
        }
        let was_up = self.is_up();
        self.lingers |= was_up && cause == DownCause::Silent;
        let delay = self.backoff.next(&cause, was_up, &mut self.rng);
        // An attempt that has waited for its deadline has kept its distance from the next one already.
        let since = self.attempted.filter(|_| !was_up).unwrap_or(now);
        self.phase = if was_up && cause == DownCause::Conflict && self.config.conflict == ConflictRule::Stop {
            Phase::Shut
        } else {
            Phase::Waiting {
                until: later(since, delay).max(now),
            }
        };
        if self.reported.as_ref() != Some(&cause) {
            self.reported = Some(cause.clone());
            self.events.push_back(Event::Down(cause));
        }
        self.give_back();
    }

    /// Reports the stanzas that were not taken, or not for sure.
    fn give_back(&mut self) {
        let stanzas = self.outbox.drain().map(|(stanza, why)| Event::Unsent {
            stanza: Box::new(stanza),
            why,
        });
        self.events.extend(stanzas);
    }
}

fn is_answer(iq: &Iq) -> bool {
    matches!(iq.kind, IqKind::Result(_) | IqKind::Error(_))
}

/// The instant after a while; a while that is no instant is a day.
fn later(now: Instant, after: Duration) -> Instant {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    now.checked_add(after.min(DAY)).unwrap_or(now)
}
