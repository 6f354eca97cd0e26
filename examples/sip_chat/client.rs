//! One stay in one room, as a machine: a SIP endpoint and an MSRP connection in, what to tell the user out.

mod event;
mod media;
mod signalling;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use msrp::{MessageTag, SessionId, sdp::Fingerprints};
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};
use sip::{Credentials, LocalAddress, SubscriptionId, Uri};

pub(crate) use event::{Command, EndCause, Event, Outcome, Reference, Refusal};
use media::Negotiated;

use crate::room::Roster;

/// Commands held until the room is entered; a further one is refused.
const HELD_COMMANDS: usize = 256;
/// Messages, nickname wishes and invitations of ours without an answer; a further one is refused.
const IN_FLIGHT: usize = 256;
/// How long leaving waits for the answers to what was said before.
const SETTLING: Duration = Duration::from_secs(10);
/// How long leaving waits for the answers to BYE and for the last NOTIFY.
const LEAVING: Duration = Duration::from_secs(4);
/// How long a BYE that explains the loss of the MSRP connection is waited for, before we send ours.
const SEVERED: Duration = Duration::from_secs(2);
/// How long nothing but the last NOTIFY is waited for.
const LINGERING: Duration = Duration::from_secs(1);

/// What to do, for whom, and by which addresses.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Our address of record.
    pub(crate) from: Uri,
    /// Display name beside it.
    pub(crate) display_name: Option<String>,
    /// The room.
    pub(crate) room: Uri,
    /// The nickname to ask for.
    pub(crate) nickname: Option<String>,
    /// Whether messages go over TLS.
    pub(crate) secured: bool,
    /// Whether to subscribe to the roster.
    pub(crate) subscribe: bool,
    /// Where requests go first, as a Route with `lr`.
    pub(crate) proxy: Uri,
    /// What challenges of the proxy are answered with.
    pub(crate) credentials: Option<Credentials>,
    /// Addresses that SIP peers reach us by. At least one.
    pub(crate) local: Vec<LocalAddress>,
    /// Our address as text, for the session description.
    pub(crate) host: String,
}

/// What the shell must do for the MSRP session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MediaRequest {
    /// Connect to the switch; answered by `handle_media_connected` or `handle_media_lost`.
    Connect {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
        /// With TLS, and the certificates that the switch may show in it, if it has said so; `None`: plain TCP.
        tls: Option<Fingerprints>,
    },
    /// Send what `poll_media_transmit` still has, then close.
    Close,
}

/// One stay in one room.
///
/// Contract: construct it, [`Client::start`] it once, then call `handle_*` with what happened. After each call drain `poll_event`,
/// `poll_media`, `poll_sip_transmit`, `poll_resolve` and `poll_media_transmit`, and ask `poll_timeout`. When [`Client::outcome`] is
/// there and all of these are drained, the program may end. `handle_*` is total.
pub(crate) struct Client {
    settings: Settings,
    started: (Instant, Timestamp),
    rng: ChaCha12Rng,
    sip: sip::Endpoint,
    media: Option<msrp::Connection>,
    session: SessionId,
    phase: Phase,
    negotiated: Option<Negotiated>,
    nickname: Option<String>,
    /// Our nickname in the roster and the one it should be next, until a document has shown it.
    renaming: Option<(String, String)>,
    roster: Roster,
    subscription: Option<SubscriptionId>,
    /// The subscription that we asked to end.
    unsubscribed: Option<SubscriptionId>,
    subscribed_at: Option<Instant>,
    /// The user asked for the roster before the first document came.
    roster_awaited: bool,
    /// When to ask for the roster anew.
    resubscribe_at: Option<Instant>,
    invitations: BTreeMap<SubscriptionId, String>,
    in_flight: BTreeMap<MessageTag, InFlight>,
    held: VecDeque<Command>,
    /// Set once the user wants to leave: until when earlier commands may still be settled.
    quitting: Option<Instant>,
    /// What to say about an end that we bring about.
    farewell: Option<String>,
    /// The last number given to a tag or a subscription.
    numbered: u64,
    events: VecDeque<Event>,
    media_requests: VecDeque<MediaRequest>,
    outcome: Option<Outcome>,
}

/// How far the stay has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The INVITE waits for its answer.
    Calling,
    /// The switch is being connected to.
    Connecting,
    /// The bodiless SEND waits for its answer.
    Opening,
    /// The first NICKNAME waits for its answer.
    Naming,
    /// In the room.
    Present,
    /// The MSRP connection is lost: a room that removes us closes it, too, and its BYE may arrive behind.
    Severed {
        /// When to send BYE ourselves.
        until: Instant,
    },
    /// BYE (or CANCEL) was sent; the event is told when the dialog has ended.
    Leaving {
        /// When not to wait any longer.
        until: Instant,
        /// What it ends for.
        cause: EndCause,
    },
    /// The end was told; the notifier may still say his last word.
    Lingering {
        /// When not to wait any longer.
        until: Instant,
    },
    /// Nothing is expected any more.
    Over,
}

/// What waits for the switch's answer.
#[derive(Debug)]
enum InFlight {
    Message {
        reference: Option<Reference>,
        to: Option<String>,
        text: String,
    },
    Nickname(String),
}

impl Client {
    /// A client whose identifiers come from `seed`; `started` pairs monotonic and wall time.
    pub(crate) fn new(settings: Settings, seed: [u8; 32], started: (Instant, Timestamp)) -> Self {
        let mut rng = ChaCha12Rng::from_seed(seed);
        let mut endpoint_seed = [0; 32];
        rng.fill_bytes(&mut endpoint_seed);
        let config = sip::Config {
            local: settings.local.clone(),
            outbound_proxy: Some(settings.proxy.clone()),
            product: concat!("sip-chat/", env!("CARGO_PKG_VERSION")).to_owned(),
            limits: sip::Limits::default(),
            t1: Duration::from_millis(500),
        };
        let mut sip = sip::Endpoint::new(config, endpoint_seed);
        sip.set_credentials(settings.credentials.clone().into_iter().collect());
        Self {
            session: SessionId::random(&mut rng),
            sip,
            settings,
            started,
            rng,
            media: None,
            phase: Phase::Calling,
            negotiated: None,
            nickname: None,
            renaming: None,
            roster: Roster::default(),
            subscription: None,
            unsubscribed: None,
            subscribed_at: None,
            roster_awaited: false,
            resubscribe_at: None,
            invitations: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            held: VecDeque::new(),
            quitting: None,
            farewell: None,
            numbered: 0,
            events: VecDeque::new(),
            media_requests: VecDeque::new(),
            outcome: None,
        }
    }

    /// Calls the room.
    pub(crate) fn start(&mut self, now: Instant) {
        self.progress(format!(
            "calling {} by way of {}",
            self.settings.room, self.settings.proxy
        ));
        self.call(now);
        self.settle(now);
    }

    /// A complete SIP message.
    pub(crate) fn handle_sip(&mut self, flow: sip::Flow, bytes: Bytes, now: Instant) {
        self.sip.handle_message(flow, bytes, now);
        self.settle(now);
    }

    /// A SIP stream message over the limits.
    pub(crate) fn handle_sip_too_large(&mut self, flow: sip::Flow, head: Bytes, now: Instant) {
        self.sip.handle_too_large(flow, head, now);
        self.settle(now);
    }

    /// A SIP message could not be sent.
    pub(crate) fn handle_transmit_failed(&mut self, id: sip::TransmitId, now: Instant) {
        self.sip.handle_transmit_failed(id, now);
        self.settle(now);
    }

    /// A host name's addresses; none if it has none.
    pub(crate) fn handle_resolved(
        &mut self,
        id: sip::ResolveId,
        addresses: Vec<std::net::SocketAddr>,
        now: Instant,
    ) {
        self.sip.handle_resolved(id, addresses, now);
        self.settle(now);
    }

    /// The switch is connected to.
    pub(crate) fn handle_media_connected(&mut self, now: Instant) {
        self.open(now);
        self.settle(now);
    }

    /// Bytes from the switch.
    pub(crate) fn handle_media_bytes(&mut self, bytes: &[u8], now: Instant) {
        if let Some(media) = &mut self.media {
            media.handle_bytes(bytes, now);
        }
        self.settle(now);
    }

    /// The switch could not be reached, or its connection has ended.
    pub(crate) fn handle_media_lost(&mut self, reason: &str, now: Instant) {
        if let Some(media) = &mut self.media {
            media.handle_closed(now);
            self.settle(now);
        }
        self.lose_media(reason, now);
        self.settle(now);
    }

    /// What the user wants.
    pub(crate) fn handle_command(&mut self, command: Command, now: Instant) {
        self.obey(command, now);
        self.settle(now);
    }

    /// The instant that `poll_timeout` named has come.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.sip.handle_timeout(now);
        if let Some(media) = &mut self.media {
            media.handle_timeout(now);
        }
        self.settle(now);
    }

    /// What to tell the user.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What to do for the MSRP session.
    pub(crate) fn poll_media(&mut self) -> Option<MediaRequest> {
        self.media_requests.pop_front()
    }

    /// The next SIP message to send.
    pub(crate) fn poll_sip_transmit(&mut self) -> Option<sip::Transmit> {
        self.sip.poll_transmit()
    }

    /// The next host name to look up.
    pub(crate) fn poll_resolve(&mut self) -> Option<sip::Resolve> {
        self.sip.poll_resolve()
    }

    /// Appends bytes for the switch to `out`; `false` when there are none.
    pub(crate) fn poll_media_transmit(&mut self, out: &mut BytesMut, budget: usize, now: Instant) -> bool {
        self.media
            .as_mut()
            .is_some_and(|media| media.poll_transmit(out, budget, now))
    }

    /// When `handle_timeout` is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Severed { until } | Phase::Leaving { until, .. } | Phase::Lingering { until } => {
                Some(until)
            }
            Phase::Calling | Phase::Connecting | Phase::Opening | Phase::Naming | Phase::Present => {
                self.quitting
            }
            Phase::Over => return None,
        };
        let media = self.media.as_ref().and_then(msrp::Connection::poll_timeout);
        [phase, self.resubscribe_at, media, self.sip.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// How it ended, once nothing is expected any more.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.outcome.filter(|_| self.phase == Phase::Over)
    }

    fn obey(&mut self, command: Command, now: Instant) {
        match self.phase {
            Phase::Severed { .. } if command == Command::Quit => self.leave(EndCause::Quit, None, now),
            Phase::Severed { .. } | Phase::Leaving { .. } | Phase::Lingering { .. } | Phase::Over => {
                if command != Command::Quit {
                    self.refuse_command(command, &Refusal::from(msrp::Status::NO_SESSION));
                }
            }
            _ if command == Command::Quit => self.quit(now),
            _ if self.quitting.is_some() => {
                self.refuse_command(command, &Refusal::from(msrp::Status::NO_SESSION));
            }
            Phase::Present => self.carry_out(command, now),
            Phase::Calling | Phase::Connecting | Phase::Opening | Phase::Naming => self.hold(command),
        }
    }

    /// A command before the room is entered waits for it.
    fn hold(&mut self, command: Command) {
        if self.held.len() >= HELD_COMMANDS {
            self.refuse_command(command, &Refusal::from(msrp::Status::CONGESTED));
        } else {
            self.held.push_back(command);
        }
    }

    fn carry_out(&mut self, command: Command, now: Instant) {
        match command {
            Command::Quit => self.quit(now),
            Command::Roster if self.roster.is_known() => self.tell(Event::Roster {
                users: self.roster.nicknames(),
            }),
            // The first full document is on its way and is told by itself.
            Command::Roster if self.subscription.is_some() => self.roster_awaited = true,
            Command::Roster => self.tell(Event::Error {
                text: "there is no roster: not subscribed".to_owned(),
            }),
            other if self.in_flight.len() + self.invitations.len() >= IN_FLIGHT => {
                self.refuse_command(other, &Refusal::from(msrp::Status::CONGESTED));
            }
            Command::Say { text, reference } => self.send(None, text, reference, now),
            Command::Whisper { to, text, reference } => self.send(Some(to), text, reference, now),
            Command::Rename { nickname } => {
                self.ask_nickname(nickname, now);
            }
            Command::Invite { uri } => self.refer(uri, now),
        }
    }

    fn refuse_command(&mut self, command: Command, refusal: &Refusal) {
        let refusal = refusal.clone();
        self.tell(match command {
            Command::Say { text, reference } => Event::Failed {
                reference,
                to: None,
                text,
                refusal,
            },
            Command::Whisper { to, text, reference } => Event::Failed {
                reference,
                to: Some(to),
                text,
                refusal,
            },
            Command::Rename { nickname } => Event::NickRefused { nickname, refusal },
            Command::Invite { uri } => Event::InviteRefused {
                uri: uri.to_string(),
                refusal,
            },
            Command::Roster | Command::Quit => Event::Error {
                text: format!("not in the room: {}", refusal.reason),
            },
        });
    }

    fn quit(&mut self, now: Instant) {
        if self.quitting.is_some() {
            self.leave(EndCause::Quit, None, now);
        } else {
            self.quitting = Some(now + SETTLING);
        }
    }

    /// We are in the room: what was held is carried out.
    fn enter(&mut self, now: Instant) {
        self.phase = Phase::Present;
        self.tell(Event::Entered {
            room: self.settings.room.to_string(),
            nickname: self.nickname.clone(),
        });
        if self.settings.subscribe {
            self.subscribe(now);
        }
        for command in std::mem::take(&mut self.held) {
            self.carry_out(command, now);
        }
    }

    /// Ends the stay from our side.
    fn leave(&mut self, cause: EndCause, reason: Option<sip::Reason>, now: Instant) {
        if matches!(
            self.phase,
            Phase::Leaving { .. } | Phase::Lingering { .. } | Phase::Over
        ) {
            return;
        }
        self.phase = Phase::Leaving {
            until: now + LEAVING,
            cause,
        };
        self.fail_outstanding();
        self.hang_up(reason, now);
    }

    /// The dialog is over: tells it, and lets the subscription end.
    fn end(&mut self, cause: EndCause, code: Option<u16>, reason: Option<String>, now: Instant) {
        self.fail_outstanding();
        let farewell = self.farewell.take().filter(|_| cause != EndCause::Bye);
        let reason = reason.or(farewell);
        self.tell(Event::Ended { cause, code, reason });
        self.outcome = Some(match cause {
            EndCause::Quit | EndCause::Bye => Outcome::Left,
            EndCause::MediaLost | EndCause::SignallingLost | EndCause::Incompatible => Outcome::Failed,
        });
        self.unsubscribe(now);
        self.close_media(now);
        self.phase = Phase::Lingering {
            until: now + LINGERING,
        };
    }

    /// Whatever still waits for an answer will not get one.
    fn fail_outstanding(&mut self) {
        let refusal = Refusal::from(msrp::Status::CONNECTION_LOST);
        for (_, waiting) in std::mem::take(&mut self.in_flight) {
            self.tell(match waiting {
                InFlight::Message { reference, to, text } => Event::Failed {
                    reference,
                    to,
                    text,
                    refusal: refusal.clone(),
                },
                InFlight::Nickname(nickname) => Event::NickRefused {
                    nickname,
                    refusal: refusal.clone(),
                },
            });
        }
        for (_, uri) in std::mem::take(&mut self.invitations) {
            self.tell(Event::InviteRefused {
                uri,
                refusal: refusal.clone(),
            });
        }
        for command in std::mem::take(&mut self.held) {
            self.refuse_command(command, &refusal);
        }
    }

    /// Takes in what the machines below have to say, then what the clock and an intended quit demand.
    fn settle(&mut self, now: Instant) {
        loop {
            if let Some(event) = self.sip.poll_event() {
                self.on_sip(event, now);
            } else if let Some(event) = self.media.as_mut().and_then(msrp::Connection::poll_event) {
                self.on_msrp(event, now);
            } else if !self.on_clock(now) {
                return;
            }
        }
    }

    /// `true` if a machine below was given something to do.
    fn on_clock(&mut self, now: Instant) -> bool {
        match self.phase {
            Phase::Calling | Phase::Connecting | Phase::Opening | Phase::Naming | Phase::Present => {
                if self.resubscribe_at.is_some_and(|at| at <= now) {
                    self.subscribe(now);
                    return true;
                }
                if self
                    .quitting
                    .is_some_and(|until| self.is_settled() || until <= now)
                {
                    self.leave(EndCause::Quit, None, now);
                    return true;
                }
            }
            Phase::Severed { until } if until <= now => {
                self.leave(EndCause::MediaLost, None, now);
                return true;
            }
            Phase::Leaving { until, cause } if until <= now => {
                self.end(cause, None, None, now);
                return true;
            }
            Phase::Lingering { until } if until <= now || self.subscription.is_none() => {
                self.phase = Phase::Over;
                self.resubscribe_at = None;
            }
            Phase::Severed { .. } | Phase::Leaving { .. } | Phase::Lingering { .. } | Phase::Over => {}
        }
        false
    }

    /// Whether everything the user asked for has had its answer.
    fn is_settled(&self) -> bool {
        let roster_due = self.roster_awaited && self.subscription.is_some();
        self.held.is_empty() && self.in_flight.is_empty() && self.invitations.is_empty() && !roster_due
    }

    fn tell(&mut self, event: Event) {
        self.events.push_back(event);
    }

    fn progress(&mut self, text: impl Into<String>) {
        self.tell(Event::Progress { text: text.into() });
    }

    fn next_number(&mut self) -> u64 {
        self.numbered += 2; // even numbers are ours
        self.numbered
    }

    /// The time of day to the millisecond, which is as exact as people and CPIM need it.
    fn wall_clock(&self, now: Instant) -> Timestamp {
        let (start, wall) = self.started;
        let exact = wall
            .checked_add(now.saturating_duration_since(start))
            .unwrap_or(wall);
        Timestamp::from_millisecond(exact.as_millisecond()).unwrap_or(exact)
    }
}
