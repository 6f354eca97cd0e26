//! A SIP conference server: focus (RFC 4579), notifier (RFC 4575) and MSRP switch (RFC 7701), with the habits of deployed ones as
//! options. It is the authority on who is in which conference, and knows nothing of the product but its wire machines.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use bytes::Bytes;
use msrp::{FailureReport, MessageTag, OutgoingMessage, SessionParameters, Status};
use sip::{
    Contact, DialogId, Endpoint, LocalAddress, StatusCode, SubscriptionId, SubscriptionState, Transport,
};

use super::document;
use crate::{
    plan::Dice,
    user::{read_cpim, write_cpim},
};

pub(crate) const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 3));
/// Host of the conference URIs.
pub(crate) const DOMAIN: &str = "conf.example.com";

/// A habit of deployed conference servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Habit {
    /// The roster names users by plain address, without `gr`.
    PlainEntities,
    /// URIs in the roster are percent-escaped throughout.
    EscapedEntities,
    /// Documents are full, each time.
    FullOnly,
    /// A participant is listed before its nickname is known.
    LateNicknames,
    /// Nicknames are not announced and refused.
    NoNicknames,
    /// Private messages are not announced and refused.
    NoPrivateMessages,
    /// SUBSCRIBE is refused.
    NoSubscription,
    /// SUBSCRIBE is refused 480 until the MSRP session stands.
    LateSubscription,
    /// The Contact names the server, not the conference.
    ForeignContact,
    /// Newcomers are greeted by a message from the conference.
    Welcome,
    /// Sometimes answers after seconds.
    Slow,
}

impl Habit {
    pub(crate) const ALL: [Self; 11] = [
        Self::PlainEntities,
        Self::EscapedEntities,
        Self::FullOnly,
        Self::LateNicknames,
        Self::NoNicknames,
        Self::NoPrivateMessages,
        Self::NoSubscription,
        Self::LateSubscription,
        Self::ForeignContact,
        Self::Welcome,
        Self::Slow,
    ];
}

/// What happened in the conferences, in the order in which the focus decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A conference has a message for all but its sender.
    Public { room: usize, from: Who, body: String },
    /// A private message was handed on.
    Private {
        room: usize,
        from: Who,
        to: Who,
        body: String,
    },
    /// A message was refused by the switch.
    Refused { body: String },
    /// A call came in for this address of record.
    Called { room: usize, aor: String },
    /// A call is over.
    Over { room: usize, aor: String },
    /// The switch could not hand a message to a participant.
    Undelivered,
    /// Somebody was referred to.
    Referred,
    /// The gateway broke a rule.
    Broken(String),
}

/// A participant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// One who is there by himself.
    Local(usize),
    /// One who called, by address of record.
    Caller(String),
}

/// One who called.
struct Leg {
    room: usize,
    dialog: DialogId,
    aor: String,
    display_name: Option<String>,
    nickname: Option<String>,
    path: msrp::Path,
    remote: msrp::Path,
    stream: Option<u64>,
}

#[derive(Default)]
pub(crate) struct Conference {
    /// Nicknames of those who are there by themselves.
    pub(crate) locals: BTreeMap<usize, String>,
    pub(crate) subject: String,
}

struct Subscriber {
    room: usize,
    version: u32,
    /// What it was told last.
    told: BTreeMap<String, document::User>,
    subject: String,
}

pub(crate) struct Focus {
    pub(crate) endpoint: Endpoint,
    pub(crate) conferences: BTreeMap<usize, Conference>,
    /// Answers calls with this.
    pub(crate) refuses: Option<(u16, Option<String>)>,
    /// Answers no call at all.
    pub(crate) silent: bool,
    /// Takes messages and answers none.
    pub(crate) mute: bool,
    habits: BTreeSet<Habit>,
    legs: Vec<Leg>,
    subscribers: BTreeMap<SubscriptionId, Subscriber>,
    media: BTreeMap<u64, msrp::Connection>,
    late: Vec<(Instant, Late)>,
    entries: Vec<Entry>,
    dice: Dice,
    sent: u64,
}

/// What a slow server does later.
enum Late {
    Accept(sip::AnswerDue, usize, sip::Body),
}

impl Focus {
    pub(crate) fn new(habits: BTreeSet<Habit>, seed: u64) -> Self {
        let mut dice = Dice::new(seed, 6);
        let local = |transport| LocalAddress {
            transport,
            host: ADDRESS.to_string(),
            port: 5060,
        };
        let config = sip::Config {
            local: vec![local(Transport::Udp), local(Transport::Tcp)],
            outbound_proxy: None,
            product: "conference".to_owned(),
            limits: sip::Limits::default(),
            t1: Duration::from_millis(500),
        };
        Self {
            endpoint: Endpoint::new(config, dice.bytes()),
            conferences: BTreeMap::new(),
            refuses: None,
            silent: false,
            mute: false,
            habits,
            legs: Vec::new(),
            subscribers: BTreeMap::new(),
            media: BTreeMap::new(),
            late: Vec::new(),
            entries: Vec::new(),
            dice,
            sent: 0,
        }
    }

    pub(crate) fn has(&self, habit: Habit) -> bool {
        self.habits.contains(&habit)
    }

    pub(crate) fn take_entries(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let media = self.media.values().filter_map(msrp::Connection::poll_timeout);
        let late = self.late.iter().map(|(at, _)| *at);
        media.chain(late).chain(self.endpoint.poll_timeout()).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        for media in self.media.values_mut() {
            media.handle_timeout(now);
        }
        let (due, later) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.late = later;
        let due: Vec<(Instant, Late)> = due;
        for (_, Late::Accept(due, room, body)) in due {
            self.accept(due, room, body, now);
        }
    }

    /// Who is in a conference, under which nickname.
    pub(crate) fn roster(&self, room: usize) -> BTreeMap<Who, String> {
        let locals = self.conferences.get(&room).into_iter().flat_map(|it| &it.locals);
        let locals = locals.map(|(n, nickname)| (Who::Local(*n), nickname.clone()));
        let callers = self
            .legs
            .iter()
            .filter(|leg| leg.room == room && leg.stream.is_some());
        let callers = callers.map(|leg| (Who::Caller(leg.aor.clone()), leg.shown_as()));
        locals.chain(callers).collect()
    }

    pub(crate) fn streams(&self) -> Vec<u64> {
        self.media.keys().copied().collect()
    }

    pub(crate) fn census(&self) -> (usize, usize) {
        (self.legs.len(), self.subscribers.len())
    }
}

/// SIP.
impl Focus {
    /// Takes in what the endpoint has to say; whether there was something.
    pub(crate) fn carry(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(event) = self.endpoint.poll_event() {
            moved = true;
            self.handle_sip(event, now);
        }
        for stream in self.streams() {
            while let Some(event) = self.media.get_mut(&stream).and_then(msrp::Connection::poll_event) {
                moved = true;
                self.handle_msrp(stream, event, now);
            }
        }
        moved
    }

    fn handle_sip(&mut self, event: sip::Event, now: Instant) {
        use sip::Event;
        match event {
            Event::Invited { dialog, request, due } => self.called(dialog, &request, due, now),
            Event::Reinvited { due, .. } => self.refuse(due, 488, now),
            Event::Cancelled { dialog } | Event::Ended { dialog, .. } => self.hung_up(dialog, now),
            Event::Subscribing {
                subscription,
                dialog,
                request,
                due,
            } => self.subscribing(subscription, dialog, &request, due, now),
            Event::SubscriptionRefreshed { subscription } => {
                if let Some(subscriber) = self.subscribers.get_mut(&subscription) {
                    subscriber.told.clear();
                }
                self.notify(subscription, true, now);
            }
            Event::SubscriptionEnded { subscription, cause } => {
                let wants_last = matches!(
                    cause,
                    sip::SubscriptionEnd::Expired | sip::SubscriptionEnd::Unsubscribed
                );
                if self.subscribers.remove(&subscription).is_some() && wants_last {
                    self.terminate(subscription, now);
                }
            }
            Event::Referred { due, .. } => {
                self.entries.push(Entry::Referred);
                let contact = Contact::default();
                self.command(sip::Command::AcceptRefer { due, contact }, now);
            }
            Event::Requested { due, .. } => self.refuse(due, 405, now),
            Event::Confirmed { .. }
            | Event::Progress { .. }
            | Event::Answered { .. }
            | Event::Refused { .. }
            | Event::SubscriptionAccepted { .. }
            | Event::SubscriptionRefused { .. }
            | Event::Notified { .. }
            | Event::Reanswered { .. }
            | Event::ReinviteRefused { .. }
            | Event::ReferProgress { .. } => {}
        }
    }

    fn command(&mut self, command: sip::Command, now: Instant) {
        self.endpoint.handle_command(command, now);
    }

    fn refuse(&mut self, due: sip::AnswerDue, status: u16, now: Instant) {
        let refusal = sip::Command::Refuse {
            due,
            status: StatusCode(status),
            phrase: None,
            headers: Vec::new(),
        };
        self.command(refusal, now);
    }

    fn called(&mut self, dialog: DialogId, request: &sip::Incoming, due: sip::AnswerDue, now: Instant) {
        let aor = request.from.uri.address_of_record().to_string();
        let Some(room) = room_of(&request.uri) else {
            return self.refuse(due, 404, now);
        };
        self.entries.push(Entry::Called {
            room,
            aor: aor.clone(),
        });
        if self.silent {
            // The 100 that the endpoint sends is all; the caller must give up by himself.
            return drop_unanswered(due);
        }
        if let Some((status, contact)) = self.refuses.clone() {
            let headers = contact.map(|contact| sip::message::Header {
                name: "Contact".into(),
                value: contact,
            });
            let refusal = sip::Command::Refuse {
                due,
                status: StatusCode(status),
                phrase: None,
                headers: headers.into_iter().collect(),
            };
            return self.command(refusal, now);
        }
        let offer = request
            .body
            .as_ref()
            .map(|body| String::from_utf8_lossy(&body.bytes).into_owned());
        let Some(remote) = offer.as_deref().and_then(acceptable) else {
            self.entries
                .push(Entry::Broken(format!("an offer that is none: {offer:?}")));
            return self.refuse(due, 488, now);
        };
        let secret: String = self.dice.bytes()[..10]
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        let text = format!("msrp://{ADDRESS}:2855/{secret};tcp");
        let Ok(path) = text.parse::<msrp::Path>() else {
            return self.refuse(due, 500, now);
        };
        let body = self.answer(&path);
        self.legs.push(Leg {
            room,
            dialog,
            aor,
            display_name: request.from.display_name.clone(),
            nickname: None,
            path,
            remote,
            stream: None,
        });
        if self.has(Habit::Slow) && self.dice.chance(40) {
            let wait = Duration::from_millis(self.dice.between(500, 7000) as u64);
            return self.late.push((now + wait, Late::Accept(due, room, body)));
        }
        self.accept(due, room, body, now);
    }

    fn accept(&mut self, due: sip::AnswerDue, room: usize, body: sip::Body, now: Instant) {
        let contact = Contact {
            user: (!self.has(Habit::ForeignContact)).then(|| crate::user::room_name(room)),
            parameters: vec![("isfocus", None)],
        };
        self.command(sip::Command::Accept { due, contact, body }, now);
    }

    fn answer(&self, path: &msrp::Path) -> sip::Body {
        let mut chatroom = Vec::new();
        if !self.has(Habit::NoNicknames) {
            chatroom.push("nickname");
        }
        if !self.has(Habit::NoPrivateMessages) {
            chatroom.push("private-messages");
        }
        chatroom.push("com.example.vendor");
        let text = format!(
            "v=0\r\no=- 7 7 IN IP4 {ADDRESS}\r\ns=-\r\nt=0 0\r\nm=message 2855 TCP/MSRP *\r\nc=IN IP4 {ADDRESS}\r\n\
             a=path:{path}\r\na=setup:passive\r\na=accept-types:message/cpim\r\na=accept-wrapped-types:*\r\n\
             a=chatroom:{}\r\n",
            chatroom.join(" ")
        );
        sip::Body {
            content_type: "application/sdp".to_owned(),
            bytes: Bytes::from(text),
        }
    }

    /// A call is over: its media go, and the others see it.
    fn hung_up(&mut self, dialog: DialogId, now: Instant) {
        let Some(at) = self.legs.iter().position(|leg| leg.dialog == dialog) else {
            return;
        };
        let leg = self.legs.remove(at);
        self.late
            .retain(|(_, Late::Accept(_, room, _))| *room != leg.room || leg.stream.is_some());
        if let (Some(stream), Some(session)) = (leg.stream, leg.path.last().session().cloned())
            && let Some(media) = self.media.get_mut(&stream)
        {
            media.handle_command(msrp::Command::Unbind(session), now);
        }
        self.entries.push(Entry::Over {
            room: leg.room,
            aor: leg.aor,
        });
        self.changed(leg.room, now);
    }

    /// Ends the call of a participant; `false` if there is none.
    pub(crate) fn expel(&mut self, room: usize, aor: &str, now: Instant) -> bool {
        let leg = self.legs.iter().find(|leg| leg.room == room && leg.aor == aor);
        let Some(dialog) = leg.map(|leg| leg.dialog) else {
            return false;
        };
        self.command(sip::Command::Bye { dialog, reason: None }, now);
        true
    }

    pub(crate) fn stream_of(&self, room: usize, aor: &str) -> Option<u64> {
        let leg = self.legs.iter().find(|leg| leg.room == room && leg.aor == aor)?;
        leg.stream
    }

    pub(crate) fn callers(&self, room: usize) -> Vec<String> {
        let legs = self.legs.iter().filter(|leg| leg.room == room);
        legs.map(|leg| leg.aor.clone()).collect()
    }
}

/// The conference package.
impl Focus {
    fn subscribing(
        &mut self,
        subscription: SubscriptionId,
        dialog: Option<DialogId>,
        request: &sip::Incoming,
        due: sip::AnswerDue,
        now: Instant,
    ) {
        let from = request.from.uri.address_of_record().to_string();
        let room = room_of(&request.uri).or_else(|| room_of(&request.to.uri));
        let leg = self
            .legs
            .iter()
            .find(|leg| Some(leg.room) == room && leg.aor == from);
        let status = match (room, leg) {
            // Deployed servers take subscriptions in a dialog of their own alone.
            _ if dialog.is_some() => 500,
            (None, _) => 404,
            _ if self.has(Habit::NoSubscription) => 489,
            (_, None) => 403,
            (_, Some(leg)) if self.has(Habit::LateSubscription) && leg.stream.is_none() => 480,
            (Some(room), Some(_)) => {
                self.subscribers.insert(
                    subscription,
                    Subscriber {
                        room,
                        version: u32::try_from(self.dice.below(50)).unwrap_or(0),
                        told: BTreeMap::new(),
                        subject: String::new(),
                    },
                );
                let contact = Contact::default();
                self.command(sip::Command::AcceptSubscription { due, contact }, now);
                return self.notify(subscription, true, now);
            }
        };
        self.refuse(due, status, now);
    }

    fn changed(&mut self, room: usize, now: Instant) {
        let of_room = self.subscribers.iter().filter(|(_, it)| it.room == room);
        let of_room: Vec<_> = of_room.map(|(id, _)| *id).collect();
        for subscription in of_room {
            self.notify(subscription, false, now);
        }
    }

    fn notify(&mut self, subscription: SubscriptionId, full: bool, now: Instant) {
        let full = full || self.has(Habit::FullOnly);
        let Some(room) = self.subscribers.get(&subscription).map(|it| it.room) else {
            return;
        };
        let there = self.users(room);
        let subject = self
            .conferences
            .get(&room)
            .map(|it| it.subject.clone())
            .unwrap_or_default();
        let Some(subscriber) = self.subscribers.get_mut(&subscription) else {
            return;
        };
        if !full && subscriber.told == there && subscriber.subject == subject {
            return;
        }
        subscriber.version += 1;
        let entity = format!("sip:{}@{DOMAIN}", crate::user::room_name(room));
        let text = document::write(
            &entity,
            subscriber.version,
            full,
            &subscriber.told,
            &there,
            &subject,
        );
        subscriber.told = there;
        subscriber.subject = subject;
        let notify = sip::Command::Notify {
            subscription,
            state: SubscriptionState::Active,
            body: Some(sip::Body {
                content_type: "application/conference-info+xml".to_owned(),
                bytes: Bytes::from(text),
            }),
        };
        self.command(notify, now);
    }

    fn terminate(&mut self, subscription: SubscriptionId, now: Instant) {
        let notify = sip::Command::Notify {
            subscription,
            state: SubscriptionState::Terminated("timeout".to_owned()),
            body: None,
        };
        self.command(notify, now);
    }

    /// The roster by entity, as documents show it.
    fn users(&self, room: usize) -> BTreeMap<String, document::User> {
        let locals = self.conferences.get(&room).into_iter().flat_map(|it| &it.locals);
        let locals = locals.map(|(n, nickname)| {
            let user = document::User {
                name: Some(nickname.clone()),
            };
            (self.listed(&local_uri(*n), &format!("phone{n}")), user)
        });
        let callers = self
            .legs
            .iter()
            .filter(|leg| leg.room == room && leg.stream.is_some());
        let callers = callers.map(|leg| {
            let known = leg.nickname.is_some() || !self.has(Habit::LateNicknames);
            let name = known.then(|| leg.shown_as());
            (self.listed(&leg.aor, "gw"), document::User { name })
        });
        locals.chain(callers).collect()
    }

    fn entity(&self, aor: &str, instance: &str) -> String {
        if self.has(Habit::PlainEntities) {
            aor.to_owned()
        } else {
            format!("{aor};gr={instance}")
        }
    }

    /// An entity as documents write it.
    fn listed(&self, aor: &str, instance: &str) -> String {
        let entity = self.entity(aor, instance);
        if self.has(Habit::EscapedEntities) {
            entity.replace(':', "%3A").replace('@', "%40")
        } else {
            entity
        }
    }
}

/// MSRP.
impl Focus {
    pub(crate) fn accept_msrp(&mut self, stream: u64) {
        let media = msrp::Connection::new(msrp::Limits::default(), self.dice.bytes());
        self.media.insert(stream, media);
    }

    pub(crate) fn handle_bytes(&mut self, stream: u64, bytes: &[u8], now: Instant) {
        if let Some(media) = self.media.get_mut(&stream) {
            media.handle_bytes(bytes, now);
        }
    }

    pub(crate) fn handle_closed(&mut self, stream: u64, now: Instant) {
        if let Some(media) = self.media.get_mut(&stream) {
            media.handle_closed(now);
        }
    }

    pub(crate) fn poll_transmit(&mut self, stream: u64, out: &mut bytes::BytesMut, now: Instant) {
        if let Some(media) = self.media.get_mut(&stream) {
            while media.poll_transmit(out, 16_384, now) {}
        }
    }

    fn handle_msrp(&mut self, stream: u64, event: msrp::Event, now: Instant) {
        use msrp::Event;
        match event {
            Event::BindRequested { session, from } => self.bind(stream, session, &from, now),
            Event::Received {
                session,
                message,
                due,
            } => self.sent(&session, &message, due, now),
            Event::NicknameRequested {
                session,
                nickname,
                due,
            } => self.named(&session, &nickname, due, now),
            Event::Failed { .. } => self.entries.push(Entry::Undelivered),
            Event::Lost { session, .. } => self.media_lost(&session, now),
            Event::Faulted(fault) => {
                self.entries.push(Entry::Broken(format!("MSRP framing: {fault}")));
                self.media.remove(&stream);
            }
            Event::Closed => {
                self.media.remove(&stream);
            }
            Event::Opened { .. }
            | Event::Delivered { .. }
            | Event::NicknameAnswered { .. }
            | Event::Reported { .. }
            | Event::Congested { .. }
            | Event::Eased { .. }
            | Event::Authorized { .. }
            | Event::Unauthorized { .. } => {}
        }
    }

    fn bind(&mut self, stream: u64, session: msrp::SessionId, from: &msrp::Path, now: Instant) {
        let leg = self
            .legs
            .iter_mut()
            .find(|leg| leg.path.last().session() == Some(&session));
        let command = match leg {
            Some(leg) if leg.remote == *from => {
                leg.stream = Some(stream);
                msrp::Command::Bind(SessionParameters {
                    local: leg.path.clone(),
                    remote: leg.remote.clone(),
                })
            }
            _ => msrp::Command::RefuseBind {
                session: session.clone(),
                status: Status::NO_SESSION,
            },
        };
        if let Some(media) = self.media.get_mut(&stream) {
            media.handle_command(command, now);
        }
        if let Some((room, aor)) = self.leg_of(&session).map(|leg| (leg.room, leg.aor.clone())) {
            self.changed(room, now);
            if self.has(Habit::Welcome) {
                let from = format!("sip:{}@{DOMAIN}", crate::user::room_name(room));
                self.hand(room, &aor, &from, &aor, "Welcome to the conference", now);
            }
        }
    }

    fn leg_of(&self, session: &msrp::SessionId) -> Option<&Leg> {
        self.legs
            .iter()
            .find(|leg| leg.path.last().session() == Some(session))
    }

    fn settle(&mut self, session: &msrp::SessionId, due: msrp::AnswerDue, status: Status, now: Instant) {
        let stream = self.leg_of(session).and_then(|leg| leg.stream);
        if let Some(media) = stream.and_then(|stream| self.media.get_mut(&stream)) {
            media.handle_command(msrp::Command::Answer { due, status }, now);
        }
    }

    /// A participant says something, to all or to one.
    fn sent(
        &mut self,
        session: &msrp::SessionId,
        message: &msrp::IncomingMessage,
        due: msrp::AnswerDue,
        now: Instant,
    ) {
        let Some((room, aor)) = self.leg_of(session).map(|leg| (leg.room, leg.aor.clone())) else {
            return;
        };
        if self.mute {
            return drop_unanswered(due);
        }
        let read = Some(&message.body)
            .filter(|_| message.content_type.starts_with("message/cpim"))
            .and_then(|body| read_cpim(body));
        let Some((headers, text)) = read else {
            self.entries
                .push(Entry::Broken(format!("a SEND of {}", message.content_type)));
            return self.settle(session, due, Status::UNSUPPORTED_MEDIA, now);
        };
        let field = |name: &str| headers.get(name).map(|value| bare_uri(value)).unwrap_or_default();
        let (from, to) = (field("From"), field("To"));
        if without_gr(&from) != aor {
            self.entries
                .push(Entry::Broken(format!("{aor} speaks as {from}")));
        }
        let from = Who::Caller(aor);
        if to == format!("sip:{}@{DOMAIN}", crate::user::room_name(room)) {
            self.settle(session, due, Status::OK, now);
            return self.publish(room, &from, &text, now);
        }
        let status = match self.addressee(room, &to) {
            _ if self.has(Habit::NoPrivateMessages) => Status::PRIVATE_UNSUPPORTED,
            None => Status::NOT_FOUND,
            Some(addressee) => {
                self.whisper(room, &from, &addressee, &text, now);
                Status::OK
            }
        };
        if status != Status::OK {
            self.entries.push(Entry::Refused { body: text });
        }
        self.settle(session, due, status, now);
    }

    fn addressee(&self, room: usize, to: &str) -> Option<Who> {
        let locals = self
            .conferences
            .get(&room)
            .into_iter()
            .flat_map(|it| it.locals.keys());
        let mut locals = locals.map(|n| (Who::Local(*n), local_uri(*n), format!("phone{n}")));
        let here = self.legs.iter().filter(|leg| leg.room == room);
        let mut callers = here.map(|leg| (Who::Caller(leg.aor.clone()), leg.aor.clone(), "gw".to_owned()));
        let is = |aor: &str, instance: &str| self.entity(aor, instance) == to || aor == to;
        locals
            .find(|(_, aor, instance)| is(aor, instance))
            .or_else(|| callers.find(|(_, aor, instance)| is(aor, instance)))
            .map(|(who, ..)| who)
    }

    /// A conference has a message: everybody gets it but who said it.
    pub(crate) fn publish(&mut self, room: usize, from: &Who, text: &str, now: Instant) {
        self.entries.push(Entry::Public {
            room,
            from: from.clone(),
            body: text.to_owned(),
        });
        let sender = self.uri_of(from);
        let to = format!("sip:{}@{DOMAIN}", crate::user::room_name(room));
        for aor in self.callers(room) {
            if *from != Who::Caller(aor.clone()) {
                self.hand(room, &aor, &sender, &to, text, now);
            }
        }
    }

    pub(crate) fn whisper(&mut self, room: usize, from: &Who, to: &Who, text: &str, now: Instant) {
        self.entries.push(Entry::Private {
            room,
            from: from.clone(),
            to: to.clone(),
            body: text.to_owned(),
        });
        if let Who::Caller(aor) = to {
            let (sender, addressee) = (self.uri_of(from), self.uri_of(to));
            self.hand(room, aor, &sender, &addressee, text, now);
        }
    }

    fn uri_of(&self, who: &Who) -> String {
        match who {
            Who::Local(n) => self.entity(&local_uri(*n), &format!("phone{n}")),
            Who::Caller(aor) => self.entity(aor, "gw"),
        }
    }

    fn hand(&mut self, room: usize, aor: &str, from: &str, to: &str, text: &str, now: Instant) {
        let leg = self.legs.iter().find(|leg| leg.room == room && leg.aor == aor);
        let Some((stream, session)) = leg.and_then(|leg| leg.stream.zip(leg.path.last().session().cloned()))
        else {
            return;
        };
        self.sent += 1;
        let Ok(id) = format!("focus{}", self.sent).parse() else {
            return;
        };
        let message = OutgoingMessage {
            tag: MessageTag(self.sent),
            id,
            content_type: "message/cpim",
            body: write_cpim(from, &[to.to_owned()], text),
            success_report: true,
            failure_report: FailureReport::Yes,
            lane: msrp::Lane::default(),
        };
        if let Some(media) = self.media.get_mut(&stream) {
            media.handle_command(msrp::Command::Send { session, message }, now);
        }
    }

    fn named(&mut self, session: &msrp::SessionId, nickname: &str, due: msrp::AnswerDue, now: Instant) {
        let Some((room, aor)) = self.leg_of(session).map(|leg| (leg.room, leg.aor.clone())) else {
            return;
        };
        let taken = self.roster(room).iter().any(|(who, held)| {
            *who != Who::Caller(aor.clone())
                && crate::invariants::alike(held) == crate::invariants::alike(nickname)
        });
        let status = if self.has(Habit::NoNicknames) {
            Status::FORBIDDEN
        } else if taken {
            Status::NICKNAME_IN_USE
        } else {
            Status::OK
        };
        if status == Status::OK {
            let mut legs = self.legs.iter_mut();
            if let Some(leg) = legs.find(|leg| leg.path.last().session() == Some(session)) {
                leg.nickname = (!nickname.is_empty()).then(|| nickname.to_owned());
            }
        }
        self.settle(session, due, status, now);
        self.changed(room, now);
    }

    /// A participant without media is hung up on.
    fn media_lost(&mut self, session: &msrp::SessionId, now: Instant) {
        let lost = self
            .legs
            .iter_mut()
            .find(|leg| leg.path.last().session() == Some(session));
        let Some(leg) = lost else { return };
        leg.stream = None;
        let (dialog, room) = (leg.dialog, leg.room);
        self.command(sip::Command::Bye { dialog, reason: None }, now);
        self.changed(room, now);
    }
}

/// Those who are there by themselves.
impl Focus {
    /// Whether there was a place under that nickname.
    pub(crate) fn enter(&mut self, room: usize, local: usize, nickname: &str, now: Instant) -> bool {
        let taken = self.roster(room).iter().any(|(who, held)| {
            *who != Who::Local(local) && crate::invariants::alike(held) == crate::invariants::alike(nickname)
        });
        if !taken {
            let conference = self.conferences.entry(room).or_default();
            conference.locals.insert(local, nickname.to_owned());
            self.changed(room, now);
        }
        !taken
    }

    pub(crate) fn leave(&mut self, room: usize, local: usize, now: Instant) {
        if let Some(conference) = self.conferences.get_mut(&room)
            && conference.locals.remove(&local).is_some()
        {
            self.changed(room, now);
        }
    }

    pub(crate) fn set_subject(&mut self, room: usize, subject: &str, now: Instant) {
        subject.clone_into(&mut self.conferences.entry(room).or_default().subject);
        self.changed(room, now);
    }

    /// The conference ends for everybody.
    pub(crate) fn destroy(&mut self, room: usize, now: Instant) {
        self.conferences.remove(&room);
        for aor in self.callers(room) {
            self.expel(room, &aor, now);
        }
    }
}

impl Leg {
    fn shown_as(&self) -> String {
        let named = self.nickname.clone().or_else(|| self.display_name.clone());
        named.unwrap_or_else(|| self.aor.clone())
    }
}

pub(crate) fn local_uri(n: usize) -> String {
    format!("sip:phone{n}@phones.example.com")
}

pub(crate) fn address() -> SocketAddr {
    SocketAddr::new(ADDRESS, 5060)
}

fn room_of(uri: &sip::Uri) -> Option<usize> {
    let user = uri
        .user_decoded()
        .filter(|_| uri.host() == DOMAIN || uri.host() == ADDRESS.to_string())?;
    user.strip_prefix("room")?.parse().ok()
}

/// The path of an offer that the switch can use: MSRP, CPIM accepted, and the caller opens the connection.
fn acceptable(offer: &str) -> Option<msrp::Path> {
    let attribute = |name: &str| offer.lines().find_map(|line| line.strip_prefix(name));
    let cpim = attribute("a=accept-types:")
        .is_some_and(|types| types.contains("message/cpim") || types.contains('*'));
    let opens = matches!(attribute("a=setup:"), None | Some("active" | "actpass"));
    let media = offer
        .lines()
        .any(|line| line.starts_with("m=message ") && line.contains("TCP/MSRP"));
    let path = attribute("a=path:")?.trim().parse().ok()?;
    (cpim && opens && media).then_some(path)
}

fn bare_uri(value: &str) -> String {
    value.split(['<', '>']).nth(1).unwrap_or(value).to_owned()
}

fn without_gr(uri: &str) -> String {
    uri.split(";gr").next().unwrap_or_default().to_owned()
}

/// Some servers never answer.
fn drop_unanswered<T>(_due: T) {}
