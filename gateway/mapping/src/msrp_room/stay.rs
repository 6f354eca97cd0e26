//! A stay: one XMPP account in one conference, and the only place where both sides' handles meet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use msrp::{MessageId, MessageTag, SessionId, cpim::Address};
use sip::{DialogId, SubscriptionId, Uri};
use xmpp::{BareJid, FullJid, stanza::Payload};

use super::listing::Listing;
use crate::{ConnectionId, nickname::Nickname, offer::PeerMedia, session::SentPrivately, timers::TimerId};

/// Names a stay within one gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StayKey(pub(crate) u64);

/// One XMPP account in one conference (RFC 7702 §5). Its clients share the dialog, the MSRP session and the nickname: a conference knows
/// a participant by his address of record.
#[derive(Debug)]
pub(crate) struct Stay {
    /// The conference as XMPP users see it.
    pub(super) room: BareJid,
    /// Its URI.
    pub(super) conference: Uri,
    /// The account.
    pub(super) user: BareJid,
    /// The account's SIP address: From in SIP and in CPIM.
    pub(super) address: Uri,
    /// His clients that are in, or on the way in.
    pub(super) clients: BTreeMap<FullJid, Client>,
    /// The nickname that was asked for on entering.
    pub(super) wanted: Nickname,
    /// The nickname that the conference knows him by, or was last asked for.
    pub(super) nickname: String,
    /// Whether the switch has granted it; else the focus says what he is called.
    pub(super) is_granted: bool,
    /// How far he has come.
    pub(super) phase: Phase,
    /// The deadline of the phase.
    pub(super) timer: Option<TimerId>,
    /// The INVITE dialog.
    pub(super) dialog: DialogId,
    /// Where his media stand.
    pub(super) media: Media,
    /// The conference subscription.
    pub(super) subscription: Option<SubscriptionId>,
    /// How many subscriptions were tried since the last that was accepted.
    pub(super) subscribing: u32,
    /// Who is in.
    pub(super) listing: Listing,
    /// Set while the conference is to be watched again.
    pub(super) subscribe_timer: Option<TimerId>,
    /// Set while somebody is listed whose name is awaited.
    pub(super) naming_timer: Option<TimerId>,
    /// When he entered: what was said before is history.
    pub(super) since: Timestamp,
    /// What was said to him before his clients were told who is in.
    pub(super) backlog: Vec<Spoken>,
    /// Messages of his clients that the switch has not taken yet.
    pub(super) unanswered: BTreeMap<MessageTag, Unanswered>,
    /// The latest that it has taken, for reports that they failed after all.
    pub(super) taken: VecDeque<(MessageId, Unanswered)>,
    /// When the latest of them were said: a switch may send them back.
    pub(super) said: VecDeque<Timestamp>,
    /// The nickname change under way.
    pub(super) renaming: Option<Renaming>,
    /// How often the call was sent elsewhere.
    pub(super) redirections: u32,
    /// The REFER that has brought him here, until it is known whether he gets in.
    pub(super) referral: Option<SubscriptionId>,
    /// How many messages could not be shown while the server was away.
    pub(super) missed: u32,
    /// Who has left without his clients knowing it, since the link was away.
    pub(super) gone: BTreeSet<String>,
    /// Nicknames of his own that his clients may not know to be former ones, since the link was away.
    pub(super) former: BTreeSet<String>,
    /// Private messages for him that may still turn out to be lost, oldest first.
    pub(super) heard_privately: VecDeque<SentPrivately>,
}

/// One of the account's clients.
#[derive(Debug)]
pub(super) struct Client {
    /// Id of the presence that entered.
    pub(super) id: Option<String>,
    /// The nickname as he wrote it, for errors.
    pub(super) asked: FullJid,
    /// Whether he wants no history.
    pub(super) no_history: bool,
}

/// How far a stay has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The INVITE is not answered.
    Calling,
    /// The MSRP session is being opened.
    Opening,
    /// The switch was asked for a nickname, for the nth time.
    Naming(u32),
    /// Who is in is awaited.
    Listing,
    /// In: his clients know who is there.
    Joined,
}

/// The MSRP session of a stay.
#[derive(Debug)]
pub(super) struct Media {
    /// Our session-id.
    pub(super) session: SessionId,
    /// Id and version of our `o=` line.
    pub(super) description: (u64, u64),
    /// What the answer said.
    pub(super) peer: Option<PeerMedia>,
    /// The connection it is on.
    pub(super) connection: Option<ConnectionId>,
    /// Whether both ends have it.
    pub(super) is_open: bool,
}

/// A message of the switch, as it names sender and recipients.
#[derive(Debug)]
pub(super) struct Spoken {
    pub(super) from: Option<Address>,
    pub(super) to: Vec<Address>,
    pub(super) text: String,
    /// When it was said.
    pub(super) at: Option<Timestamp>,
    /// For a failure that shows later, if its sender wants to hear of it.
    pub(super) sent: Option<SentPrivately>,
}

/// Something said in the conference.
#[derive(Debug)]
pub(super) struct Heard {
    /// Who said it; `None`: the conference itself.
    pub(super) nickname: Option<String>,
    pub(super) text: String,
    pub(super) private: bool,
    /// When, for what was said before he entered.
    pub(super) delay: Option<Timestamp>,
    /// See [`Spoken::sent`].
    pub(super) sent: Option<SentPrivately>,
}

/// A message that the switch has not taken yet.
#[derive(Debug)]
pub(super) struct Unanswered {
    /// As MSRP names it.
    pub(super) message: MessageId,
    /// Who wrote it.
    pub(super) from: FullJid,
    /// To whom: the room or an occupant.
    pub(super) to: xmpp::Jid,
    pub(super) id: Option<String>,
    /// What is reflected; `None` for a private message.
    pub(super) said: Option<Said>,
}

/// A message as its sender and his other clients get it back.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) body: String,
    pub(super) with: Vec<Payload>,
}

/// A nickname change that waits for the switch.
#[derive(Debug)]
pub(super) struct Renaming {
    pub(super) tag: MessageTag,
    /// Who asked for it.
    pub(super) client: FullJid,
    pub(super) id: Option<String>,
    /// The occupant's address that he asked for.
    pub(super) asked: FullJid,
    pub(super) nickname: Nickname,
}

/// An invitation whose outcome is not known (RFC 7702 §5.7).
#[derive(Debug)]
pub(super) struct Invitation {
    pub(super) stay: StayKey,
    /// Who invites.
    pub(super) client: FullJid,
    pub(super) room: BareJid,
    pub(super) id: Option<String>,
    pub(super) invitee: BareJid,
}

/// All stays, and the ways to find one.
#[derive(Debug, Default)]
pub(crate) struct Stays {
    all: BTreeMap<StayKey, Stay>,
    by_dialog: BTreeMap<DialogId, StayKey>,
    by_session: BTreeMap<SessionId, StayKey>,
    by_subscription: BTreeMap<SubscriptionId, StayKey>,
    by_connection: BTreeMap<ConnectionId, StayKey>,
    by_room: BTreeMap<BareJid, BTreeMap<BareJid, StayKey>>,
    invitations: BTreeMap<SubscriptionId, Invitation>,
    next: u64,
}

impl Stays {
    /// A key for [`Self::insert`].
    pub(super) fn next_key(&mut self) -> StayKey {
        self.next += 1;
        StayKey(self.next)
    }

    pub(super) fn insert(&mut self, key: StayKey, stay: Stay) {
        self.by_dialog.insert(stay.dialog, key);
        self.by_session.insert(stay.media.session.clone(), key);
        self.by_room
            .entry(stay.room.clone())
            .or_default()
            .insert(stay.user.clone(), key);
        self.all.insert(key, stay);
    }

    /// Takes a stay out, with every way to find it.
    pub(super) fn remove(&mut self, key: StayKey) -> Option<Stay> {
        let stay = self.all.remove(&key)?;
        self.by_dialog.remove(&stay.dialog);
        self.by_session.remove(&stay.media.session);
        if let Some(subscription) = stay.subscription {
            self.by_subscription.remove(&subscription);
        }
        if let Some(connection) = stay.media.connection {
            self.by_connection.remove(&connection);
        }
        if let Some(users) = self.by_room.get_mut(&stay.room) {
            users.remove(&stay.user);
            if users.is_empty() {
                self.by_room.remove(&stay.room);
            }
        }
        Some(stay)
    }

    pub(super) fn get(&self, key: StayKey) -> Option<&Stay> {
        self.all.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: StayKey) -> Option<&mut Stay> {
        self.all.get_mut(&key)
    }

    pub(crate) fn of_dialog(&self, dialog: DialogId) -> Option<StayKey> {
        self.by_dialog.get(&dialog).copied()
    }

    pub(crate) fn of_session(&self, session: &SessionId) -> Option<StayKey> {
        self.by_session.get(session).copied()
    }

    pub(crate) fn of_subscription(&self, subscription: SubscriptionId) -> Option<StayKey> {
        self.by_subscription.get(&subscription).copied()
    }

    pub(crate) fn of_connection(&self, connection: ConnectionId) -> Option<StayKey> {
        self.by_connection.get(&connection).copied()
    }

    pub(super) fn of_account(&self, room: &BareJid, user: &BareJid) -> Option<StayKey> {
        self.by_room.get(room)?.get(user).copied()
    }

    /// The stay that a client of the account is in.
    pub(super) fn of_client(&self, room: &BareJid, client: &FullJid) -> Option<StayKey> {
        let key = self.of_account(room, &client.to_bare())?;
        self.get(key)?.clients.contains_key(client).then_some(key)
    }

    pub(crate) fn keys(&self) -> Vec<StayKey> {
        self.all.keys().copied().collect()
    }

    pub(super) fn of_service(&self, domain: &str) -> Vec<StayKey> {
        let all = self.all.iter();
        all.filter(|(_, stay)| stay.room.domain().as_str() == domain)
            .map(|(key, _)| *key)
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The call goes elsewhere, as another one.
    pub(super) fn redial(&mut self, key: StayKey, dialog: DialogId) {
        if let Some(stay) = self.all.get_mut(&key) {
            self.by_dialog.remove(&stay.dialog);
            self.by_dialog.insert(dialog, key);
            stay.dialog = dialog;
        }
    }

    /// Gives a stay another MSRP session; returns the former one with its connection.
    pub(super) fn renew_session(
        &mut self,
        key: StayKey,
        session: SessionId,
    ) -> Option<(Option<ConnectionId>, SessionId)> {
        let stay = self.all.get_mut(&key)?;
        let former = std::mem::replace(&mut stay.media.session, session.clone());
        let connection = stay.media.connection.take();
        stay.media.is_open = false;
        self.by_session.remove(&former);
        self.by_session.insert(session, key);
        if let Some(connection) = connection {
            self.by_connection.remove(&connection);
        }
        Some((connection, former))
    }

    pub(super) fn invite(&mut self, subscription: SubscriptionId, invitation: Invitation) {
        self.invitations.insert(subscription, invitation);
    }

    pub(super) fn invitation_over(&mut self, subscription: SubscriptionId) -> Option<Invitation> {
        self.invitations.remove(&subscription)
    }

    pub(super) fn invitations_of(&self, key: StayKey) -> usize {
        let all = self.invitations.values();
        all.filter(|invitation| invitation.stay == key).count()
    }

    /// Takes out the invitations of a stay that ends.
    pub(super) fn take_invitations(&mut self, key: StayKey) -> Vec<SubscriptionId> {
        let all = self.invitations.iter();
        let gone: Vec<SubscriptionId> = all
            .filter(|(_, invitation)| invitation.stay == key)
            .map(|(subscription, _)| *subscription)
            .collect();
        for subscription in &gone {
            self.invitations.remove(subscription);
        }
        gone
    }

    pub(super) fn connect(&mut self, key: StayKey, connection: ConnectionId) {
        if let Some(stay) = self.all.get_mut(&key) {
            stay.media.connection = Some(connection);
            self.by_connection.insert(connection, key);
        }
    }

    pub(super) fn subscribe(&mut self, key: StayKey, subscription: SubscriptionId) {
        if let Some(stay) = self.all.get_mut(&key) {
            stay.subscription = Some(subscription);
            self.by_subscription.insert(subscription, key);
        }
    }

    /// Nobody waits any more for what becomes of a REFER. Returns whether somebody did.
    pub(super) fn forget_referral(&mut self, subscription: SubscriptionId) -> bool {
        let referred = |stay: &&mut Stay| stay.referral == Some(subscription);
        let stay = self.all.values_mut().find(referred);
        stay.is_some_and(|stay| stay.referral.take().is_some())
    }

    /// The subscription is over.
    pub(super) fn forget_subscription(&mut self, subscription: SubscriptionId) {
        if let Some(key) = self.by_subscription.remove(&subscription)
            && let Some(stay) = self.all.get_mut(&key)
            && stay.subscription == Some(subscription)
        {
            stay.subscription = None;
        }
    }
}
