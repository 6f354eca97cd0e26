//! The core itself: which event is whose, and what all sessions share.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use msrp::{Lane, MessageId, MessageTag, OutgoingMessage, sdp::Fingerprints};
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};
use sip::Readiness;
use xmpp::{
    BareJid, FullJid,
    jid::{DomainPart, DomainRef},
    stanza::{Outgoing, Stanza},
};

use crate::{
    Config,
    msrp_room::{Invitees, Stays},
    muc_room::{Askers, Call, Locating, LookupId, MucRoom, Occupancy, Removing, askers, last_words},
    refusal::{RETRY_AFTER, Refusal},
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
    /// XMPP users in SIP conferences.
    pub(crate) stays: Stays,
    /// XMPP users whom SIP conferences want, and who have not answered.
    pub(crate) invitees: Invitees,
    pub(crate) rooms: BTreeMap<BareJid, MucRoom>,
    /// Whose conference subscription is whose.
    pub(crate) subscriptions: BTreeMap<sip::SubscriptionId, SessionKey>,
    /// INVITEs of ours that are not answered.
    pub(crate) calls: BTreeMap<sip::DialogId, Call>,
    /// Invited users of whom the name servers are asked.
    pub(crate) locating: BTreeMap<LookupId, Locating>,
    /// Who asks callers for the passwords of rooms.
    pub(crate) askers: Askers,
    /// REFERs that wait until a room has removed somebody, by the id of our request.
    pub(crate) removals: BTreeMap<String, Removing>,
    pub(crate) timers: Timers,
    pub(crate) links: Vec<ComponentLink>,
    /// No new session.
    pub(crate) stopping: bool,
    /// An administrator wants no new session.
    pub(crate) draining: bool,
    /// Sessions that re-enter their rooms after the link came back, a few at a time.
    pub(crate) reentering: VecDeque<SessionKey>,
    /// Whether the next few are due by a timer.
    pub(crate) pacing: bool,
    /// Conference domains whose link is down, and when their users are given up.
    pub(crate) away: BTreeMap<LinkId, crate::timers::TimerId>,
    /// What is said as soon as the link is back, for it was not, or may have been lost: leaves, without which a room would keep an occupant
    /// whose user is gone, and errors that somebody waits for.
    pub(crate) owed: Vec<Outgoing>,
    commands: VecDeque<Command>,
    rng: ChaCha12Rng,
    started: (Instant, Timestamp),
    next_tag: u64,
    next_handle: u64,
}

/// A component link, numbered as [`Config::links`] lists their domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub usize);

/// What is known of a component link.
#[derive(Debug)]
pub(crate) struct ComponentLink {
    /// As addresses show it.
    pub(crate) domain: String,
    /// Whether stanzas can be sent.
    pub(crate) up: bool,
}

impl ComponentLink {
    fn of(domain: &str) -> Self {
        Self {
            domain: DomainPart::new(domain)
                .map_or_else(|_| domain.to_owned(), |domain| domain.as_str().to_owned()),
            up: false,
        }
    }
}

/// An MSRP transport connection, numbered by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// How an MSRP peer that we connect to proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// By a certificate for the host that leads to a trust anchor (RFC 4975 §14.2).
    Name,
    /// By one of these certificates, whomever it names and whoever has signed it (RFC 4975 §14.4).
    Certificate(Fingerprints),
}

/// Why an MSRP connection cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotConnected {
    /// Nobody answers at any address of the host, or it has none.
    Unreachable,
    /// Whoever answers does not end a TLS handshake.
    NoTls,
    /// The certificate is for another host.
    WrongName,
    /// The certificate leads to no trust anchor, or is not valid now.
    Untrusted,
    /// The certificate is none of those that the peer's description names.
    WrongCertificate,
}

impl NotConnected {
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Unreachable => "MSRP Peer Cannot Be Reached",
            Self::NoTls => "MSRP Peer Does Not Speak TLS",
            Self::WrongName => "MSRP Certificate Is Not For The Host Of The Path",
            Self::Untrusted => "MSRP Certificate Is Not Trusted",
            Self::WrongCertificate => "MSRP Certificate Is Not That Of The Fingerprint",
        }
    }
}

/// What the shell must carry out.
#[derive(Debug)]
pub enum Command {
    /// Open an MSRP connection; commands to it wait until it stands. Of one that cannot be opened [`Gateway::handle_not_connected`] wants
    /// to hear.
    Connect {
        /// Chosen by the core: even. Those that the shell accepts are odd.
        connection: ConnectionId,
        /// Host name or address, without brackets.
        host: String,
        /// Port.
        port: u16,
        /// TLS, and how the peer proves in it who it is; `None`: plain TCP.
        tls: Option<Proof>,
    },
    /// To the SIP endpoint.
    Sip(sip::Command),
    /// To an MSRP connection; one that is gone ignores it.
    Msrp(ConnectionId, msrp::Command),
    /// To a name server; its answer is wanted by [`Gateway::handle_resolved`].
    Resolve {
        /// Which question.
        lookup: LookupId,
        /// What to ask.
        query: sip::locate::Query,
    },
    /// To a component link.
    Xmpp(LinkId, xmpp::Command),
    /// Certificates are to be read again, as at SIGHUP.
    Reload,
    /// He is about to be an occupant, or may still be one: a gateway that starts after a crash wants to hear of him by
    /// [`Gateway::handle_left_behind`]. May be said again.
    Remember(Occupancy),
    /// He is no occupant any more.
    Forget(Occupancy),
}

impl Gateway {
    /// A gateway without sessions. `seed` feeds every identifier; `started` is the pair of monotonic and wall time from which all
    /// others are computed.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32], started: (Instant, Timestamp)) -> Self {
        let links = config.links().map(ComponentLink::of).collect();
        let mut rng = ChaCha12Rng::from_seed(seed);
        let key = || {
            let mut key = [0; 32];
            rng.fill_bytes(&mut key);
            key
        };
        let askers = askers(&config, key, started.0);
        let mut gateway = Self {
            links,
            stopping: false,
            draining: false,
            config,
            sessions: Sessions::default(),
            stays: Stays::default(),
            invitees: BTreeMap::new(),
            rooms: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            calls: BTreeMap::new(),
            locating: BTreeMap::new(),
            askers,
            removals: BTreeMap::new(),
            timers: Timers::default(),
            reentering: VecDeque::new(),
            pacing: false,
            away: BTreeMap::new(),
            owed: Vec::new(),
            commands: VecDeque::new(),
            rng,
            started,
            next_tag: 0,
            next_handle: 0,
        };
        gateway.sip(sip::Command::SetReadiness(UNAVAILABLE));
        gateway
    }

    /// From the SIP endpoint.
    pub fn handle_sip(&mut self, event: sip::Event, now: Instant) {
        use sip::Event;
        match event {
            Event::Invited { dialog, request, due } => match self.xmpp_user_of(&request) {
                Some(user) => self.called_by_conference(dialog, &user, &request, due, now),
                None => self.enter(dialog, &request, due, now),
            },
            Event::Reinvited { dialog, request, due } => match self.stays.of_dialog(dialog) {
                Some(key) => self.conference_reinvites(key, &request, due, now),
                None => self.reinvited(dialog, &request, due, now),
            },
            Event::Cancelled { dialog } => {
                if self.stays.of_dialog(dialog).is_some() {
                    self.conference_ended(dialog, sip::EndCause::Gone);
                } else if !self.focus_gave_up(dialog) {
                    self.dialog_over(dialog, "call given up", None, now);
                }
            }
            Event::Ended { dialog, cause } => match self.stays.of_dialog(dialog) {
                Some(_) => self.conference_ended(dialog, cause),
                None => self.dialog_over(dialog, end_text(&cause), last_words(cause), now),
            },
            Event::Subscribing {
                subscription,
                dialog,
                request,
                due,
            } => {
                self.subscribing(subscription, dialog, &request, due, now);
            }
            Event::SubscriptionRefreshed { subscription } => self.notify_full(subscription),
            Event::SubscriptionEnded { subscription, cause } => {
                self.subscription_ended(subscription, cause);
                self.referral_ended(subscription, cause);
            }
            Event::Referred {
                dialog,
                request,
                refer_to,
                due,
            } => match self.xmpp_user_of(&request).filter(|_| dialog.is_none()) {
                Some(user) => self.referred_to_conference(&user, &request, &refer_to, due, now),
                None => self.referred(dialog, &request, &refer_to, due, now),
            },
            Event::Requested { due, .. } => self.refuse(due, &Refusal::NotMapped),
            Event::Confirmed { dialog, body } => match self.stays.of_dialog(dialog) {
                Some(key) => self.conference_confirmed(key, body.as_ref()),
                None => self.confirmed(dialog, body.as_ref(), now),
            },
            Event::Answered {
                dialog,
                contact,
                body,
            } => match self.stays.of_dialog(dialog) {
                Some(key) => self.conference_answered(key, contact.as_ref(), body.as_ref()),
                None => self.call_answered(dialog, contact.as_ref(), body.as_ref(), now),
            },
            Event::Refused {
                dialog,
                status,
                phrase,
                contact,
                ..
            } => match self.stays.of_dialog(dialog) {
                Some(key) => self.conference_refused(key, status, phrase, contact),
                None => self.call_refused(dialog, status, &phrase, now),
            },
            Event::SubscriptionAccepted { subscription } => self.watch_accepted(subscription),
            Event::SubscriptionRefused { subscription, status } => {
                self.watch_refused(subscription, status, now);
            }
            Event::Notified {
                subscription,
                state,
                body,
            } => self.conference_notified(subscription, &state, body.as_ref(), now),
            Event::Progress { .. } | Event::Reanswered { .. } | Event::ReinviteRefused { .. } => {}
            Event::ReferProgress {
                subscription,
                status,
                phrase,
                is_over,
            } => self.invitation_progress(subscription, status, phrase, is_over),
        }
    }

    /// From an MSRP connection; `Closed` is the last of it.
    pub fn handle_msrp(&mut self, connection: ConnectionId, event: msrp::Event, now: Instant) {
        use msrp::Event;
        match event {
            Event::BindRequested { session, from } => match self.stays.of_session(&session) {
                Some(key) => self.bind_stay(key, connection, &session, &from, now),
                None => self.bind(connection, session, &from),
            },
            Event::Opened { session } => {
                if let Some(key) = self.stay_on(connection, &session) {
                    self.media_opened(key, now);
                }
            }
            Event::Received {
                session,
                message,
                due,
            } => match self.stay_on(connection, &session) {
                Some(key) => self.sent_by_switch(key, connection, &message, due),
                None => self.sent_by_user(connection, &session, &message, due, now),
            },
            Event::NicknameRequested {
                session,
                nickname,
                due,
            } => {
                self.nickname_requested(connection, &session, &nickname, due, now);
            }
            Event::NicknameAnswered { session, tag, status } => {
                if let Some(key) = self.stay_on(connection, &session) {
                    self.nickname_answered(key, tag, status, now);
                }
            }
            Event::Delivered { session, tag } => match self.stay_on(connection, &session) {
                Some(key) => self.taken_by_switch(key, tag),
                None => self.delivered(&session, tag),
            },
            Event::Failed { session, tag, status } => match self.stay_on(connection, &session) {
                Some(key) => self.refused_by_switch(key, tag, status),
                None => self.not_delivered(&session, tag, status, now),
            },
            Event::Lost { session, cause } => match self.stay_on(connection, &session) {
                Some(key) => self.stay_media_lost(key, Some(cause)),
                None => self.media_lost(connection, &session, cause, now),
            },
            Event::Faulted(fault) => {
                tracing::info!(connection = connection.0, %fault, "MSRP connection broke the framing");
                self.connection_lost(connection, now);
            }
            Event::Closed => self.connection_lost(connection, now),
            // What passes the connection's budget comes back as `Failed`.
            Event::Congested { .. } | Event::Eased { .. } => {}
            Event::Reported {
                session,
                message,
                status,
            } => {
                if let Some(key) = self.stay_on(connection, &session) {
                    self.reported_by_switch(key, message, status);
                }
            }
            // The gateway is behind no relay.
            Event::Authorized { .. } | Event::Unauthorized { .. } => {}
        }
    }

    /// An MSRP connection that the core asked for cannot be had.
    pub fn handle_not_connected(&mut self, connection: ConnectionId, why: NotConnected, now: Instant) {
        let why = Refusal::Media(why.reason());
        match self.stays.of_connection(connection) {
            Some(key) => self.stay_unconnected(key, &why),
            None => self.connection_over(connection, &why, now),
        }
    }

    /// MSRP peers are shown other certificates from now on.
    pub fn handle_certificates(&mut self, certificates: Fingerprints) {
        self.config.certificates = certificates;
    }

    /// From a component link.
    pub fn handle_xmpp(&mut self, link: LinkId, event: xmpp::Event, now: Instant) {
        match event {
            xmpp::Event::Up => {
                self.link_up(link, now);
                self.service_back(link);
            }
            xmpp::Event::Down(_) => {
                self.link_down(link, now);
                self.service_away(link, now);
            }
            xmpp::Event::Stanza(stanza) if self.is_of_conferences(link) => match stanza {
                Stanza::Presence(presence) => self.conference_presence(presence, now),
                Stanza::Message(message) => self.conference_message(*message, now),
                Stanza::Iq(iq) => self.conference_iq(iq),
            },
            xmpp::Event::Stanza(Stanza::Presence(presence)) => self.presence(presence, now),
            xmpp::Event::Stanza(Stanza::Message(message)) => self.message(*message, now),
            xmpp::Event::Stanza(Stanza::Iq(iq)) => {
                if let Some(iq) = self.administer(iq, now) {
                    self.iq(iq, now);
                }
            }
            // The link has answered it where an answer was due.
            xmpp::Event::Skipped { rule, from } => {
                tracing::warn!(rule, from = %from.escape_debug(), "stanza skipped");
            }
            xmpp::Event::Unshared { room, occupant } => self.unshared(&room, &occupant),
            xmpp::Event::NotSole => {}
            xmpp::Event::Unsent { stanza, why } => self.unsent(*stanza, why),
        }
    }

    /// Stops gracefully: every session is ended towards both sides. Done when [`Self::is_idle`].
    pub fn handle_shutdown(&mut self, now: Instant) {
        self.stopping = true;
        self.sip(sip::Command::SetReadiness(UNAVAILABLE));
        self.give_up_calls(now);
        self.give_up_invitees(None, &Refusal::Stopping);
        self.give_up_removals();
        self.give_up_locating(now);
        for key in self.sessions.keys() {
            self.end(key, &Refusal::Stopping, now);
        }
        self.stop_stays();
    }

    /// The instant that `poll_timeout` named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Admission(key) => self.not_admitted_in_time(key, now),
                Timer::Media(key) => self.media_not_opened(key, now),
                Timer::Reflection(key, id) => self.not_reflected_in_time(key, &id),
                Timer::Nickname(key) => self.nickname_not_answered(key),
                Timer::Naming(key) => self.not_named_in_time(key, now),
                Timer::Ringing(dialog) => self.call_not_answered(dialog, now),
                Timer::Invited(room, user) => self.invitee_silent(&room, &user),
                Timer::Locating(lookup) => self.not_located_in_time(lookup, now),
                Timer::Removal(id) => self.removal_not_answered(&id),
                Timer::Held(key) => self.say_held(key),
                Timer::Reentry(key) => self.reentry_due(key, now),
                Timer::Typing(key) => self.typing_over(key, true),
                Timer::SelfPing(key) => self.self_ping_due(key, now),
                Timer::Notify(room) => self.notify_due(&room, now),
                Timer::ReentryPace => {
                    self.pacing = false;
                    self.reenter_some(now);
                }
                Timer::Entrance(key) => self.entrance_overdue(key, now),
                Timer::Subscribe(key) => self.watch_again(key),
                Timer::ServiceAway(link) => self.service_gone(link),
                Timer::Names(key) => self.names_overdue(key, now),
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
        self.census().0 == 0
    }

    /// Sessions and calls, rooms, subscriptions, and deadlines held; all zero when everybody has left.
    #[must_use]
    pub fn census(&self) -> (usize, usize, usize, usize) {
        (
            self.sessions.len() + self.stays.len() + self.calls.len() + self.invitees.len(),
            self.rooms.len(),
            self.subscriptions.len(),
            self.timers.len(),
        )
    }
}

impl Gateway {
    fn connection_lost(&mut self, connection: ConnectionId, now: Instant) {
        match self.stays.of_connection(connection) {
            Some(key) => self.stay_media_lost(key, None),
            None => self.connection_over(connection, &Refusal::Media("MSRP Connection Lost"), now),
        }
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

    pub(crate) fn command(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    pub(crate) fn msrp(&mut self, connection: ConnectionId, command: msrp::Command) {
        self.commands.push_back(Command::Msrp(connection, command));
    }

    pub(crate) fn answer(&mut self, connection: ConnectionId, due: msrp::AnswerDue, status: msrp::Status) {
        self.msrp(connection, msrp::Command::Answer { due, status });
    }

    /// Over the link of the domain that the stanza is from.
    pub(crate) fn xmpp(&mut self, stanza: Outgoing) {
        match self.link_of(stanza.from().domain()) {
            Some(link) => self
                .commands
                .push_back(Command::Xmpp(link, xmpp::Command::Send(stanza))),
            None => tracing::error!(from = %stanza.from(), "a stanza from no domain of ours was not sent"),
        }
    }

    /// To the link that carries an occupant.
    pub(crate) fn xmpp_command(&mut self, occupant: &FullJid, command: xmpp::Command) {
        if let Some(link) = self.link_of(occupant.domain()) {
            self.commands.push_back(Command::Xmpp(link, command));
        }
    }

    /// The link that carries a domain.
    pub(crate) fn link_of(&self, domain: &DomainRef) -> Option<LinkId> {
        let position = self.links.iter().position(|link| link.domain == domain.as_str());
        position.map(LinkId)
    }

    /// Whether XMPP users see SIP conferences over this link.
    fn is_of_conferences(&self, link: LinkId) -> bool {
        link.0 >= self.config.components.len()
    }

    /// Whether no session more can be had, in either direction: who is being called may come.
    pub(crate) fn is_full(&self) -> bool {
        self.census().0 >= self.config.limits.sessions
    }

    /// Whether stanzas from this domain can be sent.
    pub(crate) fn is_up(&self, domain: &DomainRef) -> bool {
        self.links
            .iter()
            .any(|link| link.up && link.domain == domain.as_str())
    }

    pub(crate) fn refuse(&mut self, due: sip::AnswerDue, refusal: &Refusal) {
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

    /// Calls are taken while any link stands; which of them a call needs shows when it comes.
    pub(crate) fn set_readiness(&mut self) {
        self.sip(sip::Command::SetReadiness(
            if self.links.iter().any(|link| link.up) && !self.draining {
                Readiness::Ready
            } else {
                UNAVAILABLE
            },
        ));
    }

    /// Whether calls are refused while those that stand go on.
    pub(crate) fn drain(&mut self, draining: bool) {
        self.draining = draining;
        self.set_readiness();
    }

    /// What the shell reads from files is to be read again.
    pub(crate) fn reload(&mut self) {
        self.commands.push_back(Command::Reload);
    }

    /// An id that nobody can guess: a reflection is known by it.
    pub(crate) fn fresh_id(&mut self) -> String {
        format!("{:016x}{:016x}", self.rng.next_u64(), self.rng.next_u64())
    }

    /// An even number: for something of ours at the SIP endpoint or the shell, whose own are odd.
    pub(crate) fn next_handle(&mut self) -> u64 {
        self.next_handle += 2;
        self.next_handle
    }

    pub(crate) fn fresh_number(&mut self) -> u64 {
        self.rng.next_u64()
    }

    pub(crate) fn fresh_session_id(&mut self) -> msrp::SessionId {
        msrp::SessionId::random(&mut self.rng)
    }

    pub(crate) fn next_tag(&mut self) -> MessageTag {
        self.next_tag += 1;
        MessageTag(self.next_tag)
    }

    pub(crate) fn wall(&self, now: Instant) -> Timestamp {
        let elapsed = now.saturating_duration_since(self.started.0);
        self.started
            .1
            .saturating_add(signed(elapsed))
            .unwrap_or(self.started.1)
    }

    /// A CPIM message; several can share its octets. Those of one lane arrive in order.
    pub(crate) fn outgoing(&mut self, body: Bytes, lane: Lane) -> OutgoingMessage {
        OutgoingMessage {
            tag: self.next_tag(),
            id: MessageId::random(&mut self.rng),
            content_type: msrp::cpim::CONTENT_TYPE,
            body,
            success_report: false,
            failure_report: msrp::FailureReport::Yes,
            lane,
        }
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
