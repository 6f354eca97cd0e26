//! RFC 7702 §6.1: a SIP user enters a room.

use std::time::Instant;

use sip::{AnswerDue, Contact, DialogId, Incoming};
use xmpp::{FullJid, stanza::Outgoing};

use super::MucRoom;
use crate::{
    AnswerRule, Gateway,
    address::{RoomAddress, user_jid},
    nickname::Nickname,
    offer::{MsrpOffer, local_path},
    refusal::Refusal,
    session::{Media, PendingInvite, Phase, Session, SessionKey},
    timers::Timer,
};

/// How many nicknames are tried for a user whose first one is taken.
pub(super) const NICKNAME_ATTEMPTS: u32 = 20;

/// What an acceptable INVITE says.
struct Caller {
    room: RoomAddress,
    user: sip::Uri,
    jid: FullJid,
    display_name: Option<String>,
    provisional: Nickname,
    offer: MsrpOffer,
}

impl Gateway {
    /// F35: the room is asked before the INVITE is answered, so that a ban is a 403 and not a 200 and a BYE.
    pub(crate) fn enter(&mut self, dialog: DialogId, request: &Incoming, due: AnswerDue, now: Instant) {
        match self.caller(request) {
            Ok(caller) => self.admit(dialog, caller, due, now),
            Err(refusal) => {
                tracing::info!(uri = %request.uri, ?refusal, "INVITE refused");
                self.refuse(due, &refusal);
            }
        }
    }

    fn caller(&mut self, request: &Incoming) -> Result<Caller, Refusal> {
        let room = RoomAddress::from_sip(&request.uri, &self.config.rooms)?;
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        if self.sessions.len() + self.stays.len() >= self.config.limits.sessions {
            return Err(Refusal::Limit("sessions"));
        }
        let offer = MsrpOffer::read(request.body.as_ref())?;
        let user = request.from.uri.address_of_record();
        // Without a GRUU the resource is ours to choose; either way it lasts as long as the stay.
        let instance = request.contact.as_ref().and_then(|contact| {
            contact
                .uri
                .parameter_decoded("gr")
                .or_else(|| contact.parameter("gr").map(str::to_owned))
        });
        let resource = match instance.filter(|instance| !instance.is_empty()) {
            Some(instance) => instance,
            None => format!("sip-{:016x}", self.fresh_number()),
        };
        let component = self.config.component(user.host()).ok_or(Refusal::ForeignUser)?;
        let jid = user_jid(&user, component, &resource)?;
        if !self.is_up(jid.domain()) {
            return Err(Refusal::LinkDown);
        }
        let display_name = request
            .from
            .display_name
            .clone()
            .filter(|name| !name.trim().is_empty());
        let provisional =
            Nickname::provisional(display_name.as_deref(), &user.user_decoded().unwrap_or_default());
        Ok(Caller {
            room,
            user,
            jid,
            display_name,
            provisional,
            offer,
        })
    }

    fn admit(&mut self, dialog: DialogId, caller: Caller, due: AnswerDue, now: Instant) {
        if let Some(former) = self.sessions.of_occupant(&caller.room.muc, &caller.jid) {
            // The same device calls again: its former call is dead, whether it said so or not.
            self.end(former, &Refusal::NotInRoom, now);
        }
        let msrp = self.fresh_session_id();
        let description = (self.fresh_number() >> 2, 1);
        let (host, port) = self.config.msrp.clone();
        let path = local_path(&host, port, &msrp);
        let body = caller
            .offer
            .answer(&path, &host, port, description.0, description.1);

        let room = caller.room.muc.clone();
        let occupants = self.config.limits.occupants;
        self.rooms
            .entry(room.clone())
            .or_insert_with(|| MucRoom::new(caller.room, occupants));

        let answer = match self.config.answer {
            AnswerRule::WhenAdmitted => Some(Box::new(PendingInvite { due, body })),
            AnswerRule::AtOnce => {
                let contact = self.contact(&room);
                self.sip(sip::Command::Accept { due, contact, body });
                None
            }
        };
        let answered = answer.is_none();
        let key = self.sessions.next_key();
        let timer = self
            .timers
            .start(now + self.config.limits.admission, Timer::Admission(key));
        let session = Session {
            dialog,
            user: caller.user,
            jid: caller.jid,
            room,
            display_name: caller.display_name,
            nickname: caller.provisional.as_str().to_owned(),
            provisional: caller.provisional,
            phase: Phase::Entering {
                answer,
                id: String::new(),
                attempt: 0,
                timer,
            },
            media: Media::Awaited {
                backlog: Vec::new(),
                octets: 0,
                timer: None,
            },
            chatroom: caller.offer.chatroom,
            description,
            msrp,
            remote: caller.offer.path,
            unreflected: std::collections::BTreeMap::new(),
            held: std::collections::VecDeque::new(),
            held_timer: None,
            sent_privately: std::collections::VecDeque::new(),
            renaming: None,
            private_in: std::collections::BTreeMap::new(),
            subscriptions: Vec::new(),
            history: true,
        };
        self.sessions.insert(key, session);
        if answered {
            self.await_media(key, now);
        }
        self.ask_to_enter(key, now);
    }

    /// F40: presence with the next nickname that nobody in sight holds.
    pub(super) fn ask_to_enter(&mut self, key: SessionKey, now: Instant) {
        let fresh = self.fresh_id();
        let history = self.config.history;
        let Some(session) = self.sessions.get(key) else {
            return;
        };
        let first = match &session.phase {
            Phase::Entering { attempt, .. } => *attempt + 1,
            // On the way back the nickname he had comes first.
            Phase::Out { attempt, .. } => *attempt,
            Phase::Joined => return,
        };
        let chosen = (first..=NICKNAME_ATTEMPTS).find_map(|attempt| {
            let nickname = match attempt {
                0 => session.nickname.clone(),
                _ => session.provisional.variant(attempt).as_str().to_owned(),
            };
            let free = self
                .rooms
                .get(&session.room)
                .is_none_or(|room| !room.roster.is_taken(&nickname, &session.nickname))
                && !self.another_wants(key, &session.room, &nickname);
            free.then_some((attempt, nickname))
        });
        let Some((tried, nickname)) = chosen else {
            let refusal = Refusal::Room(
                xmpp::stanza::Condition::Conflict,
                Some("No Free Nickname In The Room".to_owned()),
            );
            return self.end(key, &refusal, now);
        };
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let Ok(to) = session.room.with_resource_str(&nickname) else {
            return;
        };
        nickname.clone_into(&mut session.nickname);
        session.history = true;
        match &mut session.phase {
            Phase::Entering { id, attempt, .. } => {
                *attempt = tried;
                id.clone_from(&fresh);
            }
            Phase::Out { asked, attempt, .. } => {
                *attempt = tried;
                *asked = Some(fresh.clone());
            }
            Phase::Joined => {}
        }
        let enter = Outgoing::Enter {
            from: session.jid.clone(),
            to,
            id: fresh,
            // Someone who comes back has seen it.
            history: if matches!(session.phase, Phase::Entering { .. }) {
                history
            } else {
                0
            },
            display_name: session.display_name.clone(),
            password: None,
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
        tracing::info!(session = key.0, room = %session.room, user = %session.user, "entered");
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
            self.await_media(key, now);
        }
        self.end_listing(&room, now);
        for subscription in subscriptions {
            self.notify_full(subscription);
        }
    }

    /// The room said no to an entrance: another nickname if it was that, else the caller is told.
    pub(super) fn entrance_refused(
        &mut self,
        key: SessionKey,
        error: xmpp::stanza::StanzaError,
        now: Instant,
    ) {
        if error.condition == xmpp::stanza::Condition::Conflict {
            return self.ask_to_enter(key, now);
        }
        self.end(key, &Refusal::Room(error.condition, error.text), now);
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

    /// Our Contact in the room's dialogs: it names the room, and says that it is a focus (RFC 4579 §5.1).
    pub(super) fn contact(&self, room: &xmpp::BareJid) -> Contact {
        let user = self
            .rooms
            .get(room)
            .and_then(|room| room.address.sip.user_decoded());
        Contact {
            user,
            parameters: vec![("isfocus", None)],
        }
    }
}
