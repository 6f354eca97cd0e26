//! The core itself: which event is whose, and what all sessions share.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use msrp::{MessageId, MessageTag, OutgoingMessage};
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};
use sip::Readiness;
use xmpp::{
    BareJid,
    stanza::{Outgoing, Stanza},
};

use crate::{
    Config,
    muc_room::MucRoom,
    refusal::RETRY_AFTER,
    session::{SessionKey, Sessions},
    timers::{Timer, Timers},
};

/// The core. It decides; everything else carries.
///
/// Contract: call `handle_*` with what happened, drain `poll_command`, then ask `poll_timeout` for the next instant at which
/// `handle_timeout` is due. `handle_*` is total: nothing a peer sent makes it fail. Until the first [`xmpp::Event::Up`] no call is
/// taken. Commands to one machine are to be carried out in the order in which they are given.
pub struct Gateway {
    pub(crate) config: Config,
    pub(crate) sessions: Sessions,
    pub(crate) rooms: BTreeMap<BareJid, MucRoom>,
    /// Whose conference subscription is whose.
    pub(crate) subscriptions: BTreeMap<sip::SubscriptionId, SessionKey>,
    pub(crate) timers: Timers,
    pub(crate) link: LinkState,
    /// Sessions that re-enter their rooms after the link came back, a few at a time.
    pub(crate) reentering: VecDeque<SessionKey>,
    /// Leaves that could not be sent: without them the room would keep an occupant whose user is gone.
    pub(crate) farewells: Vec<Outgoing>,
    /// Leaves sent of late: they may have been under way when the link broke.
    pub(crate) departed: VecDeque<(Instant, Outgoing)>,
    commands: VecDeque<Command>,
    rng: ChaCha12Rng,
    started: (Instant, Timestamp),
    next_tag: u64,
}

/// Whether stanzas can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkState {
    Down,
    Up,
    /// The gateway is stopping: no new session.
    Stopping,
}

/// An MSRP transport connection, numbered by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What the shell must carry out.
#[derive(Debug)]
pub enum Command {
    /// To the SIP endpoint.
    Sip(sip::Command),
    /// To an MSRP connection; one that is gone ignores it.
    Msrp(ConnectionId, msrp::Command),
    /// To the component link.
    Xmpp(xmpp::Command),
}

impl Gateway {
    /// A gateway without sessions. `seed` feeds every identifier; `started` is the pair of monotonic and wall time from which all
    /// others are computed.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32], started: (Instant, Timestamp)) -> Self {
        let mut gateway = Self {
            config,
            sessions: Sessions::default(),
            rooms: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            timers: Timers::default(),
            link: LinkState::Down,
            reentering: VecDeque::new(),
            farewells: Vec::new(),
            departed: VecDeque::new(),
            commands: VecDeque::new(),
            rng: ChaCha12Rng::from_seed(seed),
            started,
            next_tag: 0,
        };
        gateway.sip(sip::Command::SetReadiness(UNAVAILABLE));
        gateway
    }

    /// From the SIP endpoint.
    pub fn handle_sip(&mut self, event: sip::Event, now: Instant) {
        use sip::Event;
        match event {
            Event::Invited { dialog, request, due } => self.enter(dialog, &request, due, now),
            Event::Reinvited { dialog, request, due } => self.reinvited(dialog, &request, due, now),
            Event::Cancelled { dialog } => self.dialog_over(dialog, "call given up", now),
            Event::Ended { dialog, cause } => self.dialog_over(dialog, end_text(&cause), now),
            Event::Subscribing {
                subscription,
                dialog,
                request,
                due,
            } => {
                self.subscribing(subscription, dialog, &request, due, now);
            }
            Event::SubscriptionRefreshed { subscription } => self.notify_full(subscription),
            Event::SubscriptionEnded { subscription, cause } => self.subscription_ended(subscription, cause),
            Event::Referred {
                dialog,
                request,
                refer_to,
                due,
            } => {
                self.referred(dialog, &request, &refer_to, due);
            }
            Event::Requested { due, .. } => self.refuse(due, &crate::refusal::Refusal::NotMapped),
            // The gateway calls nobody yet: these answer requests that it never makes.
            Event::Confirmed { .. }
            | Event::Progress { .. }
            | Event::Answered { .. }
            | Event::Reanswered { .. }
            | Event::ReinviteRefused { .. }
            | Event::Refused { .. }
            | Event::SubscriptionAccepted { .. }
            | Event::SubscriptionRefused { .. }
            | Event::ReferProgress { .. }
            | Event::Notified { .. } => {}
        }
    }

    /// From an MSRP connection; `Closed` is the last of it.
    pub fn handle_msrp(&mut self, connection: ConnectionId, event: msrp::Event, now: Instant) {
        use msrp::Event;
        match event {
            Event::BindRequested { session, from } => self.bind(connection, session, &from),
            Event::Received {
                session,
                message,
                due,
            } => {
                self.sent_by_user(connection, &session, &message, due, now);
            }
            Event::NicknameRequested {
                session,
                nickname,
                due,
            } => {
                self.nickname_requested(connection, &session, &nickname, due, now);
            }
            Event::Delivered { session, tag } => self.delivered(&session, tag),
            Event::Failed { session, tag, status } => self.not_delivered(&session, tag, status, now),
            Event::Lost { session, cause } => self.media_lost(connection, &session, cause, now),
            Event::Faulted(fault) => {
                tracing::info!(connection = connection.0, %fault, "MSRP connection broke the framing");
                self.connection_over(connection, now);
            }
            Event::Closed => self.connection_over(connection, now),
            // What passes the connection's budget comes back as `Failed`.
            Event::Congested { .. } | Event::Eased { .. } => {}
            // The gateway opens no session, asks for no report and is behind no relay.
            Event::Opened { .. }
            | Event::NicknameAnswered { .. }
            | Event::Reported { .. }
            | Event::Authorized { .. }
            | Event::Unauthorized { .. } => {}
        }
    }

    /// From the component link.
    pub fn handle_xmpp(&mut self, event: xmpp::Event, now: Instant) {
        match event {
            xmpp::Event::Up => self.link_up(now),
            xmpp::Event::Down(_) => self.link_down(now),
            xmpp::Event::Stanza(Stanza::Presence(presence)) => self.presence(presence, now),
            xmpp::Event::Stanza(Stanza::Message(message)) => self.message(*message, now),
            xmpp::Event::Stanza(Stanza::Iq(iq)) => self.iq(iq),
            // The link has answered it where an answer was due.
            xmpp::Event::Skipped { rule, from } => {
                tracing::warn!(rule, from = %from.escape_debug(), "stanza skipped");
            }
            xmpp::Event::Unsent { stanza, why } => self.unsent(*stanza, why, now),
        }
    }

    /// Stops gracefully: every session is ended towards both sides. Done when [`Self::is_idle`].
    pub fn handle_shutdown(&mut self, now: Instant) {
        self.link = LinkState::Stopping;
        self.sip(sip::Command::SetReadiness(UNAVAILABLE));
        for key in self.sessions.keys() {
            self.end(key, &crate::refusal::Refusal::Stopping, now);
        }
    }

    /// The instant that `poll_timeout` named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Admission(key) => self.not_admitted_in_time(key, now),
                Timer::Media(key) => self.media_not_opened(key, now),
                Timer::Reflection(key, id) => self.not_reflected_in_time(key, &id),
                Timer::Nickname(key) => self.nickname_not_answered(key),
                Timer::Held(key) => self.say_held(key),
                Timer::Reentry(key) => self.reentry_due(key, now),
                Timer::Notify(room) => self.notify_due(&room, now),
                Timer::ReentryPace => self.reenter_some(now),
            }
        }
    }

    /// The next command.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// When `handle_timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next_due()
    }

    /// Whether no session is left.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.sessions.len() == 0
    }

    /// Sessions, rooms, subscriptions and deadlines held; all zero when everybody has left.
    #[must_use]
    pub fn census(&self) -> (usize, usize, usize, usize) {
        (
            self.sessions.len(),
            self.rooms.len(),
            self.subscriptions.len(),
            self.timers.len(),
        )
    }
}

const UNAVAILABLE: Readiness = Readiness::Unavailable {
    retry_after: RETRY_AFTER,
};

fn end_text(cause: &sip::EndCause) -> &'static str {
    match cause {
        sip::EndCause::Bye(_) => "left",
        sip::EndCause::NoAck => "call never confirmed",
        sip::EndCause::Gone => "call lost",
        sip::EndCause::ByUs => "call ended",
    }
}

/// What the mapping files share.
impl Gateway {
    pub(crate) fn sip(&mut self, command: sip::Command) {
        self.commands.push_back(Command::Sip(command));
    }

    pub(crate) fn msrp(&mut self, connection: ConnectionId, command: msrp::Command) {
        self.commands.push_back(Command::Msrp(connection, command));
    }

    pub(crate) fn answer(&mut self, connection: ConnectionId, due: msrp::AnswerDue, status: msrp::Status) {
        self.msrp(connection, msrp::Command::Answer { due, status });
    }

    pub(crate) fn xmpp(&mut self, stanza: Outgoing) {
        self.commands
            .push_back(Command::Xmpp(xmpp::Command::Send(stanza)));
    }

    pub(crate) fn refuse(&mut self, due: sip::AnswerDue, refusal: &crate::refusal::Refusal) {
        let crate::refusal::SipRefusal {
            status,
            phrase,
            headers,
        } = refusal.sip();
        self.sip(sip::Command::Refuse {
            due,
            status,
            phrase,
            headers,
        });
    }

    pub(crate) fn set_ready(&mut self, ready: bool) {
        self.sip(sip::Command::SetReadiness(if ready {
            Readiness::Ready
        } else {
            UNAVAILABLE
        }));
    }

    /// An id that nobody can guess: a reflection is known by it.
    pub(crate) fn fresh_id(&mut self) -> String {
        format!("{:016x}{:016x}", self.rng.next_u64(), self.rng.next_u64())
    }

    pub(crate) fn fresh_number(&mut self) -> u64 {
        self.rng.next_u64()
    }

    pub(crate) fn fresh_session_id(&mut self) -> msrp::SessionId {
        msrp::SessionId::random(&mut self.rng)
    }

    pub(crate) fn wall(&self, now: Instant) -> Timestamp {
        let elapsed = now.saturating_duration_since(self.started.0);
        self.started
            .1
            .saturating_add(signed(elapsed))
            .unwrap_or(self.started.1)
    }

    /// A message for a SIP user, whole in one shared buffer.
    pub(crate) fn outgoing(&mut self, cpim: &msrp::cpim::Cpim) -> OutgoingMessage {
        self.next_tag += 1;
        OutgoingMessage {
            tag: MessageTag(self.next_tag),
            id: MessageId::random(&mut self.rng),
            content_type: msrp::cpim::CONTENT_TYPE,
            body: cpim.to_bytes(),
            success_report: false,
            failure_report: msrp::FailureReport::Yes,
        }
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
