//! RFC 7702 §5.4: who is in the conference becomes the room's presence broadcast.

use std::time::Instant;

use sip::{StatusCode, Uri};
use xmpp::{
    BareJid, FullJid, Jid,
    stanza::{
        MucItem,
        service::{OccupantPresence, RoomStanza},
    },
};

use super::{
    exit::Farewell,
    listing::{Change, Own},
    stay::{Phase, Renaming, Stay, StayKey},
};
use crate::{
    Gateway,
    address::{Party, party, user_jid},
    nickname::Nickname,
    refusal::Refusal,
    roster::Departure,
    timers::Timer,
};

/// Status codes of XEP-0045 §15.6.
pub(super) mod status {
    pub(in super::super) const SELF: u16 = 110;
    pub(super) const NOT_ANONYMOUS: u16 = 100;
    pub(super) const NICKNAME_CHANGED: u16 = 210;
    pub(super) const RENAMED: u16 = 303;
    pub(in super::super) const REMOVED: u16 = 307;
    pub(in super::super) const TECHNICAL: u16 = 333;
}

/// What somebody hears who believes that he is in and is not (XEP-0045 §7.2.18).
pub(super) const SHOWN_THE_DOOR: &[u16] = &[status::REMOVED, status::TECHNICAL];

impl Gateway {
    /// Who is in is known, or will not be: F14 and F15, to every client.
    pub(super) fn listed(&mut self, key: StayKey, now: Instant) {
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        stay.phase = Phase::Joined;
        tracing::info!(stay = key.0, room = %stay.room, "entered a conference");
        let referral = stay.referral.take();
        if let Some(timer) = stay.timer.take() {
            self.timers.cancel(timer);
        }
        let clients: Vec<FullJid> = stay.clients.keys().cloned().collect();
        let backlog = std::mem::take(&mut stay.backlog);
        let since = stay.since;
        if let Some(referral) = referral {
            self.conclude_referral(referral, StatusCode(200), None);
        }
        let (history, later): (Vec<_>, Vec<_>) = backlog
            .into_iter()
            .partition(|spoken| spoken.at.is_some_and(|at| at < since));
        for client in &clients {
            self.tell_occupants(key, client);
        }
        for spoken in history {
            self.show_spoken(key, spoken);
        }
        for client in &clients {
            self.tell_subject(key, client);
        }
        for spoken in later {
            self.show_spoken(key, spoken);
        }
        self.await_names(key, now);
    }

    /// Everything that a client who is in has to know.
    pub(super) fn tell_room(&mut self, key: StayKey, client: &FullJid) {
        self.tell_occupants(key, client);
        self.tell_subject(key, client);
    }

    /// XEP-0045 §7.2.2: the others first, himself last.
    fn tell_occupants(&mut self, key: StayKey, client: &FullJid) {
        let Some(stay) = self.stays.get(key) else { return };
        let Some(known) = stay.clients.get(client) else {
            return;
        };
        let mut told: Vec<RoomStanza> = stay
            .listing
            .occupants()
            .filter_map(|(nickname, _)| self.presence_of(stay, nickname, client))
            .collect();
        let mut statuses = vec![status::SELF];
        if stay
            .listing
            .occupants()
            .any(|(_, occupant)| occupant.aor.is_some())
        {
            statuses.push(status::NOT_ANONYMOUS);
        }
        if known.asked.resource().as_str() != stay.nickname {
            statuses.push(status::NICKNAME_CHANGED);
        }
        if let Some(own) = occupant(&stay.room, &stay.nickname) {
            told.push(presence(
                own,
                client,
                known.id.clone(),
                "participant",
                None,
                &statuses,
            ));
        }
        for stanza in told {
            self.room(stanza);
        }
    }

    fn tell_subject(&mut self, key: StayKey, client: &FullJid) {
        let Some(stay) = self.stays.get(key) else { return };
        let subject = RoomStanza::Subject {
            from: stay.room.clone(),
            to: client.clone(),
            subject: stay.listing.subject().to_owned(),
        };
        self.room(subject);
    }

    /// The first document: what the user himself is called matters before anybody is told.
    pub(super) fn first_document(&mut self, key: StayKey, changes: Vec<Change>, now: Instant) {
        for change in changes {
            match change {
                Change::OwnName(name) => {
                    if let Some(stay) = self.stays.get_mut(key).filter(|stay| !stay.is_granted) {
                        let user = stay.address.user_decoded().unwrap_or_default();
                        stay.nickname = Nickname::provisional(Some(&name), &user).as_str().to_owned();
                    }
                }
                Change::Removed(reason) => return self.removed_by_focus(key, reason),
                Change::Present(_) | Change::Absent(..) | Change::Renamed { .. } | Change::Subject(_) => {}
            }
        }
        self.listed(key, now);
    }

    /// Later documents: enterings, leavings, other nicknames (XEP-0045 §7.6), another subject.
    pub(super) fn apply_changes(&mut self, key: StayKey, changes: Vec<Change>, now: Instant) {
        let joined = self
            .stays
            .get(key)
            .is_some_and(|stay| stay.phase == Phase::Joined);
        for change in changes {
            match change {
                Change::Removed(reason) => return self.removed_by_focus(key, reason),
                _ if !joined => {}
                Change::Present(nickname) => {
                    self.tell_presence(key, &nickname);
                }
                Change::Absent(nickname, how) => {
                    self.tell_all(key, |stay, client| absence_of(stay, &nickname, client, &how));
                }
                Change::Renamed { from, to } => {
                    self.tell_renamed(key, &from, &to);
                }
                Change::OwnName(name) => self.shown_as(key, &name),
                Change::Subject(subject) => self.tell_all(key, |stay, client| {
                    Some(RoomStanza::Subject {
                        from: stay.room.clone(),
                        to: client.clone(),
                        subject: subject.clone(),
                    })
                }),
            }
        }
        self.await_names(key, now);
    }

    /// In a conference without nicknames the focus says who the user is.
    fn shown_as(&mut self, key: StayKey, name: &str) {
        let Some(stay) = self.stays.get(key).filter(|stay| !stay.is_granted) else {
            return;
        };
        let user = stay.address.user_decoded().unwrap_or_default();
        let nickname = Nickname::provisional(Some(name), &user);
        if nickname.as_str() != stay.nickname {
            self.renamed_self(key, nickname.as_str(), None);
        }
    }

    /// The user himself has another nickname: both halves to every client of his.
    pub(super) fn renamed_self(&mut self, key: StayKey, nickname: &str, by: Option<&Renaming>) {
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        let from = std::mem::replace(&mut stay.nickname, nickname.to_owned());
        let yielded = stay.listing.yield_nickname(nickname);
        let Some(own) = occupant(&stay.room, nickname) else {
            return;
        };
        for client in stay.clients.values_mut() {
            client.asked = own.clone();
        }
        if let Some(Change::Renamed { from, to }) = yielded {
            self.tell_renamed(key, &from, &to);
        }
        let id_of = |client: &FullJid| by.filter(|by| by.client == *client).and_then(|by| by.id.clone());
        self.tell_all(key, |stay, client| {
            former_of(stay, &from, nickname, client, id_of(client), &[status::SELF])
        });
        self.tell_own(key, id_of);
    }

    /// The second half of his renaming: who he is now.
    pub(super) fn tell_own(&mut self, key: StayKey, id_of: impl Fn(&FullJid) -> Option<String>) {
        self.tell_all(key, |stay, client| {
            let own = occupant(&stay.room, &stay.nickname)?;
            Some(presence(
                own,
                client,
                id_of(client),
                "participant",
                None,
                &[status::SELF],
            ))
        });
    }

    fn removed_by_focus(&mut self, key: StayKey, reason: Option<String>) {
        self.end_stay(key, &Farewell::removed(reason), &Refusal::NotInRoom.reason());
    }

    fn await_names(&mut self, key: StayKey, now: Instant) {
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        if stay.naming_timer.is_none() && stay.listing.awaits_names() {
            let timer = self
                .timers
                .start(now + self.config.limits.unnamed, Timer::Names(key));
            stay.naming_timer = Some(timer);
        }
    }

    /// Who has no name by now is shown under his address.
    pub(crate) fn names_overdue(&mut self, key: StayKey, now: Instant) {
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        stay.naming_timer = None;
        let Stay {
            listing,
            conference,
            address,
            nickname,
            is_granted,
            ..
        } = stay;
        let changes = listing.name_all(&Own {
            conference,
            address,
            nickname,
            is_granted: *is_granted,
        });
        self.apply_changes(key, changes, now);
    }

    fn tell_renamed(&mut self, key: StayKey, from: &str, to: &str) {
        self.tell_all(key, |stay, client| former_of(stay, from, to, client, None, &[]));
        self.tell_presence(key, to);
    }

    fn tell_presence(&mut self, key: StayKey, nickname: &str) {
        let Some(stay) = self.stays.get(key) else { return };
        let clients = stay.clients.keys();
        let told: Vec<RoomStanza> = clients
            .filter_map(|client| self.presence_of(stay, nickname, client))
            .collect();
        for stanza in told {
            self.room(stanza);
        }
    }

    /// A listed occupant.
    fn presence_of(&self, stay: &Stay, nickname: &str, to: &FullJid) -> Option<RoomStanza> {
        let known = stay.listing.occupant(nickname)?;
        let mut stanza = presence(
            occupant(&stay.room, nickname)?,
            to,
            None,
            known.role,
            known.display_name.clone(),
            &[],
        );
        if let RoomStanza::Presence(presence) = &mut stanza {
            presence.item.jid = known.aor.as_ref().and_then(|aor| self.jid_of(aor));
        }
        Some(stanza)
    }

    /// Who somebody of the SIP side is to XMPP (RFC 7702 table 2).
    pub(super) fn jid_of(&self, aor: &Uri) -> Option<Jid> {
        match party(aor, &self.config).ok()? {
            Party::Xmpp(jid) => Some(jid.into()),
            // Not worth a question: what the focus calls a JID is one, of the others nobody knows.
            Party::ByDns { user, host } if aor.scheme() == "xmpp" => match Party::xmpp(&user, &host) {
                Ok(Party::Xmpp(jid)) => Some(jid.into()),
                _ => None,
            },
            Party::ByDns { .. } => None,
            Party::Sip(uri) => {
                let component = self.config.component(uri.host())?;
                let resource = uri.parameter_decoded("gr").unwrap_or_else(|| "sip".to_owned());
                let jid = user_jid(&uri, component, &resource).ok()?;
                Some(if uri.parameter("gr").is_some() {
                    jid.into()
                } else {
                    jid.to_bare().into()
                })
            }
        }
    }

    /// Tells each client of a stay something.
    pub(super) fn tell_all(&mut self, key: StayKey, tell: impl Fn(&Stay, &FullJid) -> Option<RoomStanza>) {
        let Some(stay) = self.stays.get(key) else { return };
        let told: Vec<RoomStanza> = stay
            .clients
            .keys()
            .filter_map(|client| tell(stay, client))
            .collect();
        for stanza in told {
            self.room(stanza);
        }
    }
}

pub(super) fn occupant(room: &BareJid, nickname: &str) -> Option<FullJid> {
    room.with_resource_str(nickname).ok()
}

/// A presence with role and affiliation (RFC 7702 table 3: no SIP source for the latter).
fn presence(
    from: FullJid,
    to: &FullJid,
    id: Option<String>,
    role: &str,
    display_name: Option<String>,
    statuses: &[u16],
) -> RoomStanza {
    RoomStanza::Presence(Box::new(OccupantPresence {
        from,
        to: to.clone(),
        id,
        unavailable: false,
        item: item(role),
        statuses: statuses.to_vec(),
        display_name,
        status: None,
        destroy: None,
    }))
}

fn item(role: &str) -> MucItem {
    MucItem {
        affiliation: Some("none".to_owned()),
        role: Some(role.to_owned()),
        ..MucItem::default()
    }
}

pub(super) fn absence_of(stay: &Stay, nickname: &str, to: &FullJid, how: &Departure) -> Option<RoomStanza> {
    let (statuses, reason) = match how {
        Departure::Departed => (Vec::new(), None),
        Departure::Booted(reason) => (vec![status::REMOVED], reason.clone()),
    };
    Some(RoomStanza::Presence(Box::new(OccupantPresence {
        from: occupant(&stay.room, nickname)?,
        to: to.clone(),
        id: None,
        unavailable: true,
        item: MucItem {
            reason,
            ..item("none")
        },
        statuses,
        display_name: None,
        status: None,
        destroy: None,
    })))
}

/// The first half of a change of nickname: the former one goes (XEP-0045 §7.6).
pub(super) fn former_of(
    stay: &Stay,
    from: &str,
    to: &str,
    client: &FullJid,
    id: Option<String>,
    statuses: &[u16],
) -> Option<RoomStanza> {
    let nick = Some(to.to_owned());
    Some(RoomStanza::Presence(Box::new(OccupantPresence {
        from: occupant(&stay.room, from)?,
        to: client.clone(),
        id,
        unavailable: true,
        item: MucItem {
            nick,
            ..item("participant")
        },
        statuses: [&[status::RENAMED], statuses].concat(),
        display_name: None,
        status: None,
        destroy: None,
    })))
}

/// The user himself is out, for reasons that are status codes.
pub(super) fn own_absence(
    from: &FullJid,
    to: &FullJid,
    statuses: &[u16],
    reason: Option<String>,
    id: Option<String>,
) -> RoomStanza {
    RoomStanza::Presence(Box::new(OccupantPresence {
        from: from.clone(),
        to: to.clone(),
        id,
        unavailable: true,
        item: MucItem {
            reason,
            ..item("none")
        },
        statuses: [&[status::SELF], statuses].concat(),
        display_name: None,
        status: None,
        destroy: None,
    }))
}
