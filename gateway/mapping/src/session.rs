//! A session: one user's stay in one room, and the only place where both sides' handles meet.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Instant,
};

use msrp::{
    FailureReport, IncomingMessage, MessageTag, OutgoingMessage, ReportBody, SessionId, Status,
    cpim::Cpim,
    sdp::{Chatroom, Fingerprints},
};
use sip::{DialogId, SubscriptionId, Uri, resource_lists::Entry};
use xmpp::{BareJid, FullJid, Jid, stanza::Message};

use crate::{
    ConnectionId,
    config::Password,
    identity::Identity,
    muc_room::{Invitation, Typing},
    timers::TimerId,
};

/// Names a session within one gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionKey(pub(crate) u64);

/// One SIP user in one MUC room (RFC 7702 §6).
#[derive(Debug)]
pub(crate) struct Session {
    /// The INVITE dialog.
    pub(crate) dialog: DialogId,
    /// Who he is. His occupant's address is the same for the whole stay, so that entering again replaces and never doubles him.
    pub(crate) who: Identity,
    /// The room.
    pub(crate) room: BareJid,
    /// What the room wants to hear before it lets him in.
    pub(crate) password: Option<Password>,
    /// Whom else he wants in the room, once he is in it.
    pub(crate) guests: Vec<Entry>,
    /// Who wanted him in the room, to be told if it does not take him.
    pub(crate) inviter: Option<Invitation>,
    /// His nickname, as the room knows it or was last asked for.
    pub(crate) nickname: String,
    /// Where he stands in the room.
    pub(crate) phase: Phase,
    /// Where his media stand.
    pub(crate) media: Media,
    /// What his client can do.
    pub(crate) chatroom: Chatroom,
    /// Whether his client knows chat rooms at all.
    pub(crate) knows_rooms: bool,
    /// Our session in SDP: id and version for the `o=` line.
    pub(crate) description: (u64, u64),
    /// Our MSRP session-id.
    pub(crate) msrp: SessionId,
    /// His MSRP path; `None` until he has answered an offer of ours.
    pub(crate) remote: Option<msrp::Path>,
    /// Whether it is us who open the connection to it.
    pub(crate) we_open: bool,
    /// The certificates that his client may show then, if it says so.
    pub(crate) certificates: Fingerprints,
    /// His client has opened the MSRP session before its answer was here.
    pub(crate) early: Option<EarlyBind>,
    /// Messages of his that the room has not reflected yet, by stanza id.
    pub(crate) unreflected: BTreeMap<String, Unreflected>,
    /// What he said to the room while it was out of reach, oldest first, to be sent when it is back.
    pub(crate) held: VecDeque<Held>,
    /// Set while he is back and others of the room are awaited, who shall hear it.
    pub(crate) held_timer: Option<TimerId>,
    /// Private messages of his that an error may still come back for, by stanza id, oldest first.
    pub(crate) sent_privately: VecDeque<SentPrivately>,
    /// His nickname change under way.
    pub(crate) renaming: Option<Renaming>,
    /// The nickname that he had when the link broke, and the one that he had asked for: the room may have given it to him.
    pub(crate) formerly: BTreeSet<String>,
    /// Private messages on their way to him, whose senders must hear of a failure.
    pub(crate) private_in: BTreeMap<MessageTag, PrivateSender>,
    /// His conference subscriptions.
    pub(crate) subscriptions: Vec<SubscriptionId>,
    /// Whether what the room sends may still be history (until the subject that ends it, XEP-0045 §7.2.15).
    pub(crate) history: bool,
    /// Set while one copy of what the room is told is for all who share: since which of [`crate::muc_room::Sharing`]'s.
    pub(crate) shares_since: Option<u64>,
    /// Set while he is out because the link broke, and hears with those who are back.
    pub(crate) follows: bool,
    /// Set from then on until somebody has listened to the history for all who were out.
    pub(crate) behind: bool,
    /// Set while he listens to the history for all who were out.
    pub(crate) catches_up: bool,
    /// Whether the room still knows him.
    pub(crate) self_ping: SelfPing,
    /// Whether his client shows who is writing.
    pub(crate) hears_typing: bool,
    /// What the room was told of his own writing.
    pub(crate) typing: Option<Typing>,
}

/// Questions after an occupant (XEP-0410).
#[derive(Debug, Default)]
pub(crate) struct SelfPing {
    /// When he is asked after next.
    pub(crate) timer: Option<TimerId>,
    /// Id of the question that has no answer yet.
    pub(crate) asked: Option<String>,
}

/// Where a user stands in his room.
#[derive(Debug)]
pub(crate) enum Phase {
    /// His client has not yet asked for the nickname to enter with.
    Naming {
        /// The deadline.
        timer: TimerId,
    },
    /// The room has been asked and has not answered.
    Entering {
        /// The INVITE that waits for it; `None` if it was answered at once.
        answer: Option<Box<PendingInvite>>,
        /// Id of the presence that asks.
        id: String,
        /// How many nicknames were tried.
        attempt: u32,
        /// The deadline.
        timer: TimerId,
    },
    /// In the room.
    Joined,
    /// Was in the room, and is to come back: the link or the room went away.
    Out {
        /// When to give up.
        until: Instant,
        /// Id of the presence that asks, while one is under way.
        asked: Option<String>,
        /// How many nicknames were tried this time.
        attempt: u32,
        /// The next attempt, or giving up.
        timer: Option<TimerId>,
        /// Whether he was told that the room is out of reach.
        told: bool,
    },
}

/// An INVITE that waits for the room.
#[derive(Debug)]
pub(crate) struct PendingInvite {
    /// Owed.
    pub(crate) due: sip::AnswerDue,
    /// What the answer will say.
    pub(crate) body: sip::Body,
}

/// Where a user's media stand.
#[derive(Debug)]
pub(crate) enum Media {
    /// His client has not opened the MSRP session yet; messages for him wait.
    Awaited {
        /// What waits.
        backlog: Vec<OutgoingMessage>,
        /// Octets of it.
        octets: usize,
        /// The deadline.
        timer: Option<TimerId>,
    },
    /// Over this connection.
    Bound(ConnectionId),
}

/// A request to bind that waits until it is known who may.
#[derive(Debug)]
pub(crate) struct EarlyBind {
    pub(crate) connection: ConnectionId,
    pub(crate) from: msrp::Path,
}

/// A message that waits for its reflection: the MSRP 200 means that the room has it (RFC 7702 §6.3.1).
#[derive(Debug)]
pub(crate) struct Unreflected {
    pub(crate) due: msrp::AnswerDue,
    pub(crate) timer: TimerId,
}

/// A message that waits for the room to be back. Its deadline is that of its reflection.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) waiting: Unreflected,
}

/// A private message that was answered 200 and may still fail.
#[derive(Debug)]
pub(crate) struct SentPrivately {
    /// Id of the stanza.
    pub(crate) stanza: String,
    pub(crate) message: msrp::MessageId,
    /// Octets of the MSRP body.
    pub(crate) octets: u64,
    /// What a report on it carries.
    pub(crate) report: ReportBody,
}

impl Session {
    /// Whether what his room says in his copy is for all who share: he shares; or he is on his way back and hears with them, and the room
    /// still has him in it.
    pub(crate) fn hears_for_all(&self, message: &Message) -> bool {
        self.shares_since.is_some() || self.follows && !self.behind && !self.is_replayed(message)
    }

    /// Whether he is who said this to the room. Under a nickname that he has no more or may never have had, the id tells: others may have it.
    pub(crate) fn said(&self, nickname: &str, id: Option<&str>) -> bool {
        let may_be_his = self.formerly.contains(nickname);
        self.nickname == nickname || may_be_his && id.is_some_and(|id| self.unreflected.contains_key(id))
    }

    /// Whether a message is of the history that he is told. Only the room replays, and only between his presence and its subject; a delay on
    /// anything else is the sender's invention.
    pub(crate) fn is_replayed(&self, message: &Message) -> bool {
        message.delay.is_some() && self.history && matches!(self.phase, Phase::Joined)
    }
}

/// How many private messages of one sender are remembered, for failures that show later.
const PRIVATE_REMEMBERED: usize = 64;

impl SentPrivately {
    /// What to remember of a message that goes on in a stanza of that id; `None`: its sender does not want to hear of a failure.
    pub(crate) fn of(stanza: &str, message: &IncomingMessage) -> Option<Self> {
        (message.failure_report != FailureReport::No).then(|| Self {
            stanza: stanza.to_owned(),
            message: message.id,
            octets: message.body.len() as u64,
            report: Self::report_on(message),
        })
    }

    /// RFC 7701 §6.2: a report on a private message says from whom to whom it was.
    pub(crate) fn report_on(message: &IncomingMessage) -> ReportBody {
        let addresses = Cpim::parse(&message.body).map(|cpim| Cpim {
            from: cpim.from,
            to: cpim.to,
            ..Cpim::default()
        });
        ReportBody {
            content_type: msrp::cpim::CONTENT_TYPE,
            content: addresses.unwrap_or_default().to_bytes(),
        }
    }

    /// Puts it behind those of its sender.
    pub(crate) fn remember(self, among: &mut VecDeque<Self>) {
        if among.len() >= PRIVATE_REMEMBERED {
            among.pop_front();
        }
        among.push_back(self);
    }

    /// The message that went on in a stanza of that id.
    pub(crate) fn take(among: &mut VecDeque<Self>, stanza: &str) -> Option<Self> {
        let place = among.iter().position(|sent| sent.stanza == stanza)?;
        among.remove(place)
    }

    /// The report that it did not arrive.
    pub(crate) fn failed(self, session: SessionId, status: Status) -> msrp::Command {
        msrp::Command::Report {
            session,
            message: self.message,
            octets: self.octets,
            status,
            body: Some(self.report),
        }
    }
}

/// A nickname change that waits for the room.
#[derive(Debug)]
pub(crate) struct Renaming {
    pub(crate) due: msrp::AnswerDue,
    /// Id of the presence that asks.
    pub(crate) id: String,
    pub(crate) nickname: String,
    pub(crate) timer: TimerId,
}

/// Who sent a private message, to tell him if it cannot be delivered.
#[derive(Debug)]
pub(crate) struct PrivateSender {
    pub(crate) from: Jid,
    pub(crate) to: Jid,
    pub(crate) id: Option<String>,
}

/// All sessions, and the ways to find one.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    all: BTreeMap<SessionKey, Session>,
    by_dialog: BTreeMap<DialogId, SessionKey>,
    by_msrp: BTreeMap<SessionId, SessionKey>,
    by_room: BTreeMap<BareJid, BTreeMap<FullJid, SessionKey>>,
    by_connection: BTreeMap<ConnectionId, Vec<SessionKey>>,
    next: u64,
}

impl Sessions {
    /// A key for [`Self::insert`].
    pub(crate) fn next_key(&mut self) -> SessionKey {
        self.next += 1;
        SessionKey(self.next)
    }

    pub(crate) fn insert(&mut self, key: SessionKey, session: Session) {
        self.by_dialog.insert(session.dialog, key);
        self.by_msrp.insert(session.msrp.clone(), key);
        self.by_room
            .entry(session.room.clone())
            .or_default()
            .insert(session.who.jid.clone(), key);
        self.all.insert(key, session);
    }

    /// Takes a session out, with every way to find it.
    pub(crate) fn remove(&mut self, key: SessionKey) -> Option<Session> {
        let session = self.all.remove(&key)?;
        self.by_dialog.remove(&session.dialog);
        self.by_msrp.remove(&session.msrp);
        if let Some(occupants) = self.by_room.get_mut(&session.room) {
            occupants.remove(&session.who.jid);
            if occupants.is_empty() {
                self.by_room.remove(&session.room);
            }
        }
        if let Media::Bound(connection) = session.media {
            self.unbind(connection, key);
        }
        Some(session)
    }

    pub(crate) fn get(&self, key: SessionKey) -> Option<&Session> {
        self.all.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.all.get_mut(&key)
    }

    pub(crate) fn of_dialog(&self, dialog: DialogId) -> Option<SessionKey> {
        self.by_dialog.get(&dialog).copied()
    }

    pub(crate) fn of_msrp(&self, session: &SessionId) -> Option<SessionKey> {
        self.by_msrp.get(session).copied()
    }

    pub(crate) fn of_occupant(&self, room: &BareJid, jid: &FullJid) -> Option<SessionKey> {
        self.by_room.get(room)?.get(jid).copied()
    }

    /// The sessions of one user in one room, who may be there with several devices; not of one who hides that he is.
    pub(crate) fn of_known_user<'a>(
        &'a self,
        room: &'a BareJid,
        user: &'a Uri,
    ) -> impl Iterator<Item = SessionKey> + 'a {
        self.in_room(room)
            .filter(move |(_, session)| session.who.user == *user && !session.who.anonymous)
            .map(|(key, _)| key)
    }

    pub(crate) fn in_room<'a>(
        &'a self,
        room: &'a BareJid,
    ) -> impl Iterator<Item = (SessionKey, &'a Session)> + 'a {
        self.by_room
            .get(room)
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter_map(|key| self.all.get(key).map(|session| (*key, session)))
    }

    /// Whether one of our users speaks as this address, in whatever room.
    pub(crate) fn has_user(&self, jid: &FullJid) -> bool {
        self.by_room.values().any(|occupants| occupants.contains_key(jid))
    }

    /// Whether this address stands for somebody who hides.
    pub(crate) fn is_pseudonym(&self, jid: &BareJid) -> bool {
        let mut all = self.all.values();
        all.any(|session| session.who.anonymous && session.who.jid.to_bare() == *jid)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.all.values_mut()
    }

    pub(crate) fn keys(&self) -> Vec<SessionKey> {
        self.all.keys().copied().collect()
    }

    /// Those whose occupants speak from this component domain.
    pub(crate) fn of_domain(&self, domain: &str) -> BTreeSet<SessionKey> {
        let all = self.all.iter();
        all.filter(|(_, session)| session.who.jid.domain().as_str() == domain)
            .map(|(key, _)| *key)
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Gives a session another MSRP session-id and path, after a new offer.
    pub(crate) fn redirect(&mut self, key: SessionKey, msrp: SessionId, remote: msrp::Path) {
        if let Some(session) = self.all.get_mut(&key) {
            self.by_msrp.remove(&session.msrp);
            self.by_msrp.insert(msrp.clone(), key);
            session.msrp = msrp;
            session.remote = Some(remote);
        }
    }

    pub(crate) fn bind(&mut self, connection: ConnectionId, key: SessionKey) {
        self.by_connection.entry(connection).or_default().push(key);
    }

    /// Returns whether the connection carries no session any more.
    pub(crate) fn unbind(&mut self, connection: ConnectionId, key: SessionKey) -> bool {
        let Some(keys) = self.by_connection.get_mut(&connection) else {
            return true;
        };
        keys.retain(|bound| *bound != key);
        let empty = keys.is_empty();
        if empty {
            self.by_connection.remove(&connection);
        }
        empty
    }

    pub(crate) fn of_connection(&self, connection: ConnectionId) -> Vec<SessionKey> {
        self.by_connection.get(&connection).cloned().unwrap_or_default()
    }
}
