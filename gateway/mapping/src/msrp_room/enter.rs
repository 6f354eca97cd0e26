//! RFC 7702 §5.1: an XMPP user enters a conference.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Instant,
};

use sip::{Body, Contact, DialogId, InviteParameters, NameAddr, StatusCode, Uri};
use xmpp::{
    BareJid, FullJid,
    stanza::{Condition, Outgoing, Presence, PresenceKind, StanzaError, service::RoomStanza},
};

use super::{
    address::conference_uri,
    exit::Farewell,
    listing::Listing,
    presence::{SHOWN_THE_DOOR, own_absence},
    stay::{Client, Media, Phase, Stay, StayKey},
};
use crate::{
    AccessList, Gateway,
    address::{same_domain, xmpp_user_uri},
    config::ConferenceDomain,
    nickname::Nickname,
    refusal::{Refusal, condition_of},
    timers::Timer,
};

/// How often a call is sent elsewhere.
const REDIRECTIONS: u32 = 3;

/// A presence that asks to enter.
pub(super) struct Wish {
    pub(super) client: FullJid,
    /// The occupant that he wants to be.
    pub(super) asked: FullJid,
    id: Option<String>,
    no_history: bool,
}

/// A conference, and the address of the user who is to be in it.
#[derive(Debug)]
pub(super) struct Callee {
    pub(super) conference: Uri,
    pub(super) address: Uri,
}

impl Gateway {
    /// Presence to a room of a conference domain.
    pub(crate) fn conference_presence(&mut self, presence: Presence, now: Instant) {
        let Ok(client) = presence.from.try_as_full().cloned() else {
            return;
        };
        let room = presence.to.to_bare();
        let known = self.stays.of_client(&room, &client);
        match (&presence.kind, presence.to.try_as_full(), known) {
            (PresenceKind::Available, Ok(_), Some(key)) => self.present_again(key, &client, &presence, now),
            (PresenceKind::Available, Ok(asked), None) => {
                let asked = asked.clone();
                match presence.join {
                    Some(join) => self.wishes_to_enter(
                        Wish {
                            client,
                            asked,
                            id: presence.id,
                            no_history: join.no_history,
                        },
                        now,
                    ),
                    // XEP-0045 §7.2.18: he believes that he is in.
                    None => self.room(own_absence(&asked, &client, SHOWN_THE_DOOR, None, presence.id)),
                }
            }
            (PresenceKind::Available, Err(_), _) if presence.join.is_some() => {
                self.refuse_presence(&presence, StanzaError::new(Condition::JidMalformed));
            }
            (PresenceKind::Unavailable, _, Some(key)) => {
                self.client_leaves(key, &client, presence.status, now);
            }
            (PresenceKind::Error(error), _, Some(key)) => {
                self.client_bounced(key, &client, error.condition, now);
            }
            _ => {}
        }
    }

    /// He enters again, changes his nickname, or tells of his availability, which no conference knows.
    fn present_again(&mut self, key: StayKey, client: &FullJid, presence: &Presence, now: Instant) {
        let Some((stay, asked)) = self.stays.get_mut(key).zip(presence.to.try_as_full().ok()) else {
            return;
        };
        let same = asked.resource().as_str() == stay.nickname
            || stay
                .clients
                .get(client)
                .is_some_and(|known| known.asked == *asked);
        // Who enters again believes that he is out: whatever he wants to be called, he has to know first who is in.
        if let (Some(join), Some(known)) = (&presence.join, stay.clients.get_mut(client)) {
            known.id.clone_from(&presence.id);
            known.no_history = join.no_history;
            if stay.phase == Phase::Joined {
                self.tell_room(key, client);
            }
        }
        if !same {
            self.wishes_nickname(key, client, asked.clone(), presence.id.clone(), now);
        }
    }

    /// F1.
    fn wishes_to_enter(&mut self, wish: Wish, now: Instant) {
        let room = wish.asked.to_bare();
        let user = wish.client.to_bare();
        if let Some(key) = self.stays.of_account(&room, &user) {
            return self.enters_too(key, wish);
        }
        let refused = |wish: &Wish, error| {
            Outgoing::Room(RoomStanza::Refused {
                name: "presence",
                from: wish.asked.clone().into(),
                to: wish.client.clone().into(),
                id: wish.id.clone(),
                by: wish.asked.to_bare(),
                error,
            })
        };
        let nickname = match Nickname::new(wish.asked.resource().as_str()) {
            Ok(nickname) => nickname,
            Err(fault) => {
                let mut error = StanzaError::new(Condition::JidMalformed);
                error.text = Some(fault.to_string());
                return self.xmpp(refused(&wish, error));
            }
        };
        let Some(wish) = self.comes(wish, &nickname, now) else {
            return;
        };
        match self.callable(&room, &user) {
            Ok(callee) => {
                self.call_conference(wish, nickname, callee, now);
            }
            Err(refusal) => {
                tracing::info!(%room, ?refusal, "entrance refused");
                self.xmpp(refused(&wish, error_of(&refusal)));
            }
        }
    }

    /// Another client of an account that is in, or on its way: it shares the nickname (XEP-0045 §7.2.8).
    fn enters_too(&mut self, key: StayKey, wish: Wish) {
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        let client = Client {
            id: wish.id,
            asked: wish.asked,
            no_history: wish.no_history,
        };
        stay.clients.insert(wish.client.clone(), client);
        if stay.phase == Phase::Joined {
            self.tell_room(key, &wish.client);
        }
    }

    /// The conference and the user, if he may call it.
    pub(super) fn callable(&self, room: &BareJid, user: &BareJid) -> Result<Callee, Refusal> {
        let domain = self.conference_domain(room).ok_or(Refusal::UnservedDomain)?;
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        if self.is_full() {
            return Err(Refusal::Limit("sessions"));
        }
        // A room of ours behind the conference, or a SIP user of ours in front of it.
        if self.is_ours(&domain.sip) || self.link_of(user.domain()).is_some() {
            return Err(Refusal::Loop);
        }
        let conference = conference_uri(room, domain).ok_or(Refusal::NoSuchRoom)?;
        user.node().ok_or(Refusal::NoIdentity)?;
        let admitted = |list: &AccessList, jid: &BareJid| {
            let local = jid.node().map(|node| node.as_str()).unwrap_or_default();
            list.admits(local, jid.domain().as_str())
        };
        let access = &self.config.access;
        if !admitted(&access.xmpp_users, user) || !admitted(&access.rooms, room) {
            return Err(Refusal::NotAllowed);
        }
        let address = xmpp_user_uri(&user.clone().into());
        Ok(Callee { conference, address })
    }

    pub(super) fn conference_domain(&self, room: &BareJid) -> Option<&ConferenceDomain> {
        let mut domains = self.config.conferences.iter();
        domains.find(|domain| same_domain(&domain.muc, room.domain().as_str()))
    }

    /// F2.
    pub(super) fn call_conference(
        &mut self,
        wish: Wish,
        nickname: Nickname,
        callee: Callee,
        now: Instant,
    ) -> StayKey {
        let dialog = DialogId(self.next_handle());
        let key = self.begin_stay(dialog, wish, nickname, callee, now);
        if let Some(stay) = self.stays.get(key) {
            tracing::info!(stay = key.0, room = %stay.room, conference = %stay.conference, "calling a conference");
            let parameters = invite(stay, self.conference_offer(&stay.media));
            self.sip(sip::Command::Invite {
                dialog,
                parameters: Box::new(parameters),
            });
        }
        key
    }

    /// A stay whose call is not answered: his to the conference, or the conference's to him.
    pub(super) fn begin_stay(
        &mut self,
        dialog: DialogId,
        wish: Wish,
        nickname: Nickname,
        callee: Callee,
        now: Instant,
    ) -> StayKey {
        let Callee { conference, address } = callee;
        let key = self.stays.next_key();
        let media = Media {
            session: self.fresh_session_id(),
            description: (self.fresh_number() >> 2, 1),
            peer: None,
            connection: None,
            is_open: false,
        };
        let timer = self
            .timers
            .start(now + self.config.limits.entrance, Timer::Entrance(key));
        let client = Client {
            id: wish.id,
            asked: wish.asked.clone(),
            no_history: wish.no_history,
        };
        let stay = Stay {
            room: wish.asked.to_bare(),
            conference,
            user: wish.client.to_bare(),
            address,
            clients: BTreeMap::from([(wish.client, client)]),
            nickname: nickname.as_str().to_owned(),
            wanted: nickname,
            is_granted: false,
            phase: Phase::Calling,
            timer: Some(timer),
            dialog,
            media,
            subscription: None,
            subscribing: 0,
            listing: Listing::new(self.config.limits.occupants),
            subscribe_timer: None,
            naming_timer: None,
            since: self.wall(now),
            backlog: Vec::new(),
            unanswered: BTreeMap::new(),
            taken: VecDeque::new(),
            said: VecDeque::new(),
            renaming: None,
            redirections: 0,
            referral: None,
            missed: 0,
            gone: BTreeSet::new(),
            former: BTreeSet::new(),
            heard_privately: VecDeque::new(),
        };
        self.stays.insert(key, stay);
        key
    }

    /// F4 did not come: RFC 7247 table 3 says what that is here.
    pub(crate) fn conference_refused(
        &mut self,
        key: StayKey,
        status: StatusCode,
        phrase: String,
        contact: Option<NameAddr>,
    ) {
        tracing::info!(stay = key.0, %status, phrase, "the conference refused the call");
        let elsewhere = contact.map(|contact| contact.uri);
        if let Some(elsewhere) = &elsewhere
            && matches!(status.0, 300..=302)
            && self.follow(key, elsewhere)
        {
            return;
        }
        let mut error = StanzaError::new(condition_of(status));
        error.text = Some(phrase).filter(|phrase| !phrase.is_empty());
        // RFC 7247 §7.2 note 1: a 410 has no new address.
        error.new_address = elsewhere
            .filter(|_| status.0 < 400)
            .map(|elsewhere| elsewhere.to_string());
        if status.0 == 301 && error.new_address.is_none() {
            error.condition = Condition::ItemNotFound;
        }
        self.stay_over(key, &Farewell::failed(error));
    }

    /// The conference is somewhere else (RFC 3261 §8.1.3.4); a call is not sent around for ever, and never back to us.
    fn follow(&mut self, key: StayKey, elsewhere: &Uri) -> bool {
        let dialog = DialogId(self.next_handle());
        let ours = self.is_ours(elsewhere.host());
        let Some(stay) = self.stays.get_mut(key) else {
            return false;
        };
        if elsewhere.scheme() != "sip" || ours || stay.redirections >= REDIRECTIONS {
            return false;
        }
        stay.redirections += 1;
        stay.conference = elsewhere.clone();
        self.stays.redial(key, dialog);
        let Some(stay) = self.stays.get(key) else {
            return false;
        };
        let parameters = invite(stay, self.conference_offer(&stay.media));
        self.sip(sip::Command::Invite {
            dialog,
            parameters: Box::new(parameters),
        });
        true
    }

    /// Whether a SIP host is that of rooms which the gateway itself serves.
    fn is_ours(&self, host: &str) -> bool {
        let mut rooms = self.config.rooms.iter();
        rooms.any(|room| same_domain(&room.sip, host))
    }

    /// The conference takes too long, with whatever it is.
    pub(crate) fn entrance_overdue(&mut self, key: StayKey, now: Instant) {
        let Some((phase, is_open)) = self.stays.get_mut(key).map(|stay| {
            stay.timer = None;
            (stay.phase, stay.media.is_open)
        }) else {
            return;
        };
        match phase {
            // Who is in is not known; that he is, is.
            Phase::Listing if is_open => self.listed(key, now),
            Phase::Joined if is_open => {}
            _ => {
                let mut error = StanzaError::new(Condition::RemoteServerTimeout);
                error.text = Some("Conference Does Not Answer".to_owned());
                self.end_stay(key, &Farewell::failed(error), &Refusal::RoomSilent.reason());
            }
        }
    }

    fn refuse_presence(&mut self, presence: &Presence, error: StanzaError) {
        self.room(RoomStanza::Refused {
            name: "presence",
            from: presence.to.clone(),
            to: presence.from.clone(),
            id: presence.id.clone(),
            by: presence.to.to_bare(),
            error,
        });
    }

    /// What a room of ours says.
    pub(super) fn room(&mut self, stanza: RoomStanza) {
        self.xmpp(Outgoing::Room(stanza));
    }
}

/// A refusal of ours as an XMPP user hears it.
pub(super) fn error_of(refusal: &Refusal) -> StanzaError {
    let (condition, text) = refusal.xmpp();
    StanzaError {
        text: Some(text),
        ..StanzaError::new(condition)
    }
}

/// Conferences without nicknames show the display name.
fn invite(stay: &Stay, body: Body) -> InviteParameters {
    InviteParameters {
        uri: stay.conference.clone(),
        from: NameAddr {
            display_name: Some(stay.nickname.clone()),
            ..NameAddr::new(stay.address.clone())
        },
        to: NameAddr::new(stay.conference.clone()),
        contact: contact(stay),
        body,
        headers: Vec::new(),
    }
}

/// Our Contact in the dialogs of a stay: with the resource of the client that is there (RFC 7702 §5.1).
pub(super) fn contact(stay: &Stay) -> Contact {
    let resource = stay
        .clients
        .keys()
        .next()
        .map(|client| client.resource().as_str().to_owned());
    Contact {
        user: stay.address.user_decoded(),
        parameters: resource
            .map(|resource| ("gr", Some(resource)))
            .into_iter()
            .collect(),
    }
}
