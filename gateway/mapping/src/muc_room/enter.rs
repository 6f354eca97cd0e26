//! RFC 7702 §6.1: a SIP user enters a room.

use std::time::Instant;

use msrp::SessionId;
use sip::{AnswerDue, Contact, DialogId, Incoming, resource_lists::Entry};
use xmpp::{
    jid::DomainRef,
    stanza::{Condition, Outgoing, StanzaError},
};

use super::{Invitation, MucRoom};
use crate::{
    AnswerRule, Gateway, NamingRule,
    address::RoomAddress,
    bodies::Bodies,
    config::Password,
    identity::Identity,
    offer::{LocalMedia, MsrpOffer, PeerMedia},
    refusal::Refusal,
    session::{Media, PendingInvite, Phase, SelfPing, Session, SessionKey},
    timers::Timer,
};

/// How many nicknames are tried for a user whose first one is taken.
pub(super) const NICKNAME_ATTEMPTS: u32 = 20;

/// What an acceptable INVITE says.
struct Caller {
    room: RoomAddress,
    who: Identity,
    /// `None`: the offer is to be ours.
    offer: Option<MsrpOffer>,
    password: Option<Password>,
    guests: Vec<Entry>,
}

/// Somebody with whom there is a call, on his way into a room.
pub(super) struct Arrival {
    pub(super) dialog: DialogId,
    pub(super) who: Identity,
    pub(super) room: RoomAddress,
    /// Our side of his MSRP session: its id, and id and version of its description.
    pub(super) msrp: SessionId,
    pub(super) description: (u64, u64),
    /// His side, if it is known yet.
    pub(super) peer: Option<PeerMedia>,
    pub(super) password: Option<Password>,
    pub(super) guests: Vec<Entry>,
    pub(super) inviter: Option<Invitation>,
    /// His INVITE, unless it is answered.
    pub(super) answer: Option<Box<PendingInvite>>,
}

impl Gateway {
    /// F35: the room is asked before the INVITE is answered, so that a ban is a 403 and not a 200 and a BYE.
    pub(crate) fn enter(&mut self, dialog: DialogId, request: &Incoming, due: AnswerDue, now: Instant) {
        match self.caller(request, now) {
            Ok(caller) => self.admit(dialog, caller, due, now),
            Err(refusal) => {
                tracing::info!(uri = %request.uri, ?refusal, "INVITE refused");
                self.refuse(due, &refusal);
            }
        }
    }

    fn caller(&mut self, request: &Incoming, now: Instant) -> Result<Caller, Refusal> {
        let room = RoomAddress::from_sip(&request.uri, &self.config.rooms)?;
        self.admit_room(&room)?;
        let Bodies {
            description,
            recipients,
        } = Bodies::read(request.body.as_ref())?;
        if recipients.len() > self.config.limits.recipients {
            return Err(Refusal::Recipients("Too Many Recipients"));
        }
        let offer = description
            .map(|sdp| MsrpOffer::read(&sdp, self.opening(), &self.config, None))
            .transpose()?;
        let who = self.caller_identity(request)?;
        self.ready_for(who.jid.domain())?;
        let password = self.password_of_caller(&room.muc, request, now)?;
        Ok(Caller {
            room,
            who,
            offer,
            password,
            guests: recipients,
        })
    }

    /// Whether one session more can be had by a user of this component.
    pub(super) fn ready_for(&self, domain: &DomainRef) -> Result<(), Refusal> {
        if self.stopping {
            Err(Refusal::Stopping)
        } else if self.is_full() {
            Err(Refusal::Limit("sessions"))
        } else if !self.is_up(domain) {
            Err(Refusal::LinkDown)
        } else {
            Ok(())
        }
    }

    pub(super) fn admit_room(&self, room: &RoomAddress) -> Result<(), Refusal> {
        let local = room.sip.user_decoded().unwrap_or_default();
        if self
            .config
            .access
            .rooms
            .admits(&local, room.muc.domain().as_str())
        {
            Ok(())
        } else {
            Err(Refusal::NotAllowed)
        }
    }

    fn admit(&mut self, dialog: DialogId, caller: Caller, due: AnswerDue, now: Instant) {
        let Caller {
            room,
            who,
            offer,
            password,
            guests,
        } = caller;
        let msrp = self.fresh_session_id();
        let description = (self.fresh_number() >> 2, 1);
        let offered = || self.config.msrp.offered();
        let transport = offer.as_ref().map_or_else(offered, |offer| offer.transport);
        let ours = LocalMedia::new(&self.config, &msrp, description, transport)
            .with_typing(self.config.occupants.typing);
        let body = match &offer {
            Some(offer) => offer.answer(&ours),
            None => ours.offer(self.opening()),
        };
        let naming = self.config.naming == NamingRule::Requested
            && offer.as_ref().is_some_and(|offer| offer.peer.chatroom.nickname);
        let answer = match self.config.answer {
            AnswerRule::WhenAdmitted if !naming => Some(Box::new(PendingInvite { due, body })),
            AnswerRule::WhenAdmitted | AnswerRule::AtOnce => {
                let contact = contact(&room);
                self.sip(sip::Command::Accept { due, contact, body });
                None
            }
        };
        let answered = answer.is_none();
        let key = self.arrive(
            Arrival {
                dialog,
                who,
                room,
                msrp,
                description,
                peer: offer.map(|offer| offer.peer),
                password,
                guests,
                inviter: None,
                answer,
            },
            now,
        );
        if answered {
            self.begin_media(key, now);
        }
        if naming {
            self.await_name(key, now);
        } else {
            self.ask_to_enter(key, now);
        }
    }

    /// A session for somebody with whom there is a call; the room is not asked yet.
    pub(super) fn arrive(&mut self, arrival: Arrival, now: Instant) -> SessionKey {
        let room = arrival.room.muc.clone();
        if let Some(former) = self.sessions.of_occupant(&room, &arrival.who.jid) {
            // The same device calls again: its former call is dead, whether it said so or not.
            self.end(former, &Refusal::NotInRoom, now);
        }
        let occupants = self.config.limits.occupants;
        self.rooms
            .entry(room.clone())
            .or_insert_with(|| MucRoom::new(arrival.room, occupants));
        let key = self.sessions.next_key();
        let timer = self
            .timers
            .start(now + self.config.limits.admission, Timer::Admission(key));
        // Who has not offered yet is given the benefit of the doubt.
        let knows_rooms = arrival.peer.as_ref().is_none_or(|peer| peer.knows_rooms);
        let hears_typing = arrival.peer.as_ref().is_some_and(|peer| peer.typing);
        let (remote, certificates, chatroom, we_open) = match arrival.peer {
            Some(peer) => (Some(peer.path), peer.certificates, peer.chatroom, peer.we_open),
            None => Default::default(),
        };
        let session = Session {
            dialog: arrival.dialog,
            room,
            password: arrival.password,
            guests: arrival.guests,
            inviter: arrival.inviter,
            nickname: arrival.who.provisional.as_str().to_owned(),
            who: arrival.who,
            phase: Phase::Entering {
                answer: arrival.answer,
                id: String::new(),
                attempt: 0,
                timer,
            },
            media: Media::Awaited {
                backlog: Vec::new(),
                octets: 0,
                timer: None,
            },
            chatroom,
            knows_rooms,
            description: arrival.description,
            msrp: arrival.msrp,
            remote,
            certificates,
            we_open,
            early: None,
            unreflected: std::collections::BTreeMap::new(),
            held: std::collections::VecDeque::new(),
            held_timer: None,
            sent_privately: std::collections::VecDeque::new(),
            renaming: None,
            formerly: std::collections::BTreeSet::new(),
            private_in: std::collections::BTreeMap::new(),
            subscriptions: Vec::new(),
            history: true,
            shares_since: None,
            follows: false,
            behind: false,
            catches_up: false,
            self_ping: SelfPing::default(),
            hears_typing,
            typing: None,
        };
        self.remember(&session.who.jid, &session.room);
        self.sessions.insert(key, session);
        key
    }

    /// F40: presence with the next nickname that nobody in sight holds.
    pub(super) fn ask_to_enter(&mut self, key: SessionKey, now: Instant) {
        let fresh = self.fresh_id();
        let Some(session) = self.sessions.get(key) else {
            return;
        };
        let first = match &session.phase {
            Phase::Entering { attempt, .. } => *attempt + 1,
            // On the way back the nickname he had comes first.
            Phase::Out { attempt, .. } => *attempt,
            Phase::Naming { .. } | Phase::Joined => return,
        };
        let chosen = (first..=NICKNAME_ATTEMPTS).find_map(|attempt| {
            let nickname = match attempt {
                0 => session.nickname.clone(),
                _ => session.who.provisional.variant(attempt).as_str().to_owned(),
            };
            // The one that he had he had beside all who are no users of ours, and the room may still know him by it.
            let is_his = attempt == 0;
            let room = self.rooms.get(&session.room);
            let taken = room.is_some_and(|room| {
                let mut others = room.roster.others_like(&nickname, &session.nickname);
                others.any(|other| !is_his || self.is_in(&session.room, other))
            });
            let free = !taken && !self.another_wants(key, &session.room, &nickname);
            free.then_some((attempt, nickname))
        });
        let Some((tried, nickname)) = chosen else {
            let refusal = Refusal::Room(
                Condition::Conflict,
                Some("No Free Nickname In The Room".to_owned()),
            );
            return self.end(key, &refusal, now);
        };
        self.end_sharing(key);
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        nickname.clone_into(&mut session.nickname);
        match &mut session.phase {
            Phase::Entering { id, attempt, .. } => {
                *attempt = tried;
                id.clone_from(&fresh);
            }
            Phase::Out { asked, attempt, .. } => {
                *attempt = tried;
                *asked = Some(fresh.clone());
            }
            Phase::Naming { .. } | Phase::Joined => {}
        }
        self.send_entrance(key, fresh);
    }

    /// The presence that asks, under the nickname that the session has by now.
    pub(super) fn send_entrance(&mut self, key: SessionKey, id: String) {
        let entering = self
            .sessions
            .get(key)
            .is_some_and(|session| matches!(session.phase, Phase::Entering { .. }));
        // Someone who comes back has heard the rest.
        let history = if entering {
            self.config.history
        } else {
            self.history_missed(key)
        };
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let Ok(to) = session.room.with_resource_str(&session.nickname) else {
            return;
        };
        session.history = true;
        // RFC 7702 §7: the nickname is the display name unless another is given. When all come back at once the room tells it n² times.
        let display_name = session.who.display_name.clone();
        let display_name = display_name.filter(|name| *name != session.nickname);
        let enter = Outgoing::Enter {
            from: session.who.jid.clone(),
            to,
            id,
            history,
            display_name,
            password: session
                .password
                .as_ref()
                .map(|password| password.reveal().to_owned()),
        };
        self.xmpp(enter);
    }

    /// F41 ends with the user's own presence: he is in. Under the nickname that the room gave him.
    pub(super) fn admitted(&mut self, key: SessionKey, nickname: &str, now: Instant) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        nickname.clone_into(&mut session.nickname);
        let Phase::Entering { answer, timer, .. } = std::mem::replace(&mut session.phase, Phase::Joined)
        else {
            return;
        };
        session.inviter = None;
        let guests = std::mem::take(&mut session.guests);
        tracing::info!(session = key.0, room = %session.room, user = %session.who.user, "entered");
        let room = session.room.clone();
        let subscriptions = session.subscriptions.clone();
        self.timers.cancel(timer);
        if let Some(pending) = answer {
            let contact = self.contact(&room);
            self.sip(sip::Command::Accept {
                due: pending.due,
                contact,
                body: pending.body,
            });
            self.begin_media(key, now);
        }
        self.named_by_room(key, now);
        self.watch_occupant(key, now);
        self.end_listing(&room, now);
        for subscription in subscriptions {
            self.notify_full(subscription);
        }
        self.welcome(key, now);
        self.invite_guests(key, guests, now);
    }

    /// The room said no to an entrance: another nickname if it was that, else the caller is told.
    pub(super) fn entrance_refused(&mut self, key: SessionKey, error: StanzaError, now: Instant) {
        if error.condition != Condition::Conflict {
            let refusal = self.refusal_of(error);
            return self.end(key, &refusal, now);
        }
        let asked = self
            .sessions
            .get(key)
            .is_some_and(|session| session.renaming.is_some());
        if asked {
            self.settle_renaming(key, msrp::Status::NICKNAME_IN_USE);
            self.await_name(key, now);
        } else {
            self.ask_to_enter(key, now);
        }
    }

    /// RFC 7247 §7.1 note 3: a room that has moved says where to, if that is one that callers can reach.
    pub(super) fn refusal_of(&self, error: StanzaError) -> Refusal {
        let moved = matches!(error.condition, Condition::Gone | Condition::Redirect);
        let address = error.new_address.as_deref().filter(|_| moved);
        let there = address
            .and_then(|address| address.strip_prefix("xmpp:").unwrap_or(address).split('?').next())
            .and_then(|address| address.parse().ok())
            .and_then(|room| RoomAddress::from_muc(&room, &self.config.rooms));
        match there {
            Some(there) => Refusal::Moved {
                for_good: error.condition == Condition::Gone,
                to: Box::new(there.sip),
            },
            None => Refusal::Room(error.condition, error.text),
        }
    }

    pub(crate) fn not_admitted_in_time(&mut self, key: SessionKey, now: Instant) {
        if self
            .sessions
            .get(key)
            .is_some_and(|session| matches!(session.phase, Phase::Entering { .. }))
        {
            self.end(key, &Refusal::RoomSilent, now);
        }
    }

    /// Our Contact in the dialogs of a room that there is.
    pub(super) fn contact(&self, room: &xmpp::BareJid) -> Contact {
        self.rooms
            .get(room)
            .map(|room| contact(&room.address))
            .unwrap_or_default()
    }
}

/// Our Contact in a room's dialogs: it names the room, and says that it is a focus (RFC 4579 §5.1).
pub(super) fn contact(room: &RoomAddress) -> Contact {
    Contact {
        user: room.sip.user_decoded(),
        parameters: vec![("isfocus", None)],
    }
}
