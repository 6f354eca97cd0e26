//! A hall in which the core plays with real machines: a scripted conference (an endpoint as its focus, MSRP connections as its switch)
//! on one side, XMPP users who are stanzas on the other, and one clock that only the test moves.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use mapping::{Command, ConferenceDomain, Config, ConnectionId, Gateway, LinkId};
use msrp::{
    MessageTag, OutgoingMessage, SessionParameters, Status,
    cpim::{Address, Cpim},
};
use sip::{
    Body, Contact, DialogId, Endpoint, Incoming, StatusCode, SubscriptionId, SubscriptionState,
    conference::{Document, EndpointStatus, State, User},
};
use xmpp::{
    FullJid, Jid,
    stanza::{
        Iq, IqKind, Message, MessageKind, Outgoing, Payload, Presence, PresenceKind, Stanza, StanzaError,
        service::{Join, RoomStanza},
    },
};

use crate::stage::{self, endpoint, flow, session_id};

const GATEWAY: &str = "127.0.0.2:5060";
const FOCUS: &str = "127.0.0.3:5060";
/// The link of the conference domain.
const LINK: LinkId = LinkId(1);

pub(crate) const ROOM: &str = "capulet@chat.example.com";
pub(crate) const CONFERENCE: &str = "sip:capulet@rooms.example.net";
pub(crate) const JULIET: &str = "juliet@example.com/balcony";
pub(crate) const JULIET_TOO: &str = "juliet@example.com/phone";

/// How the conference behaves. The default is a well-behaved one.
pub(crate) struct Script {
    /// The final answer to INVITE; `None` for none at all, 200 for an acceptance.
    pub(crate) invite: Option<(u16, &'static str)>,
    pub(crate) is_focus: bool,
    pub(crate) chatroom: Option<&'static str>,
    pub(crate) setup: &'static str,
    /// What its switch accepts.
    pub(crate) accepts: &'static str,
    /// Where calls are sent, and so many of them.
    pub(crate) redirect: Option<&'static str>,
    pub(crate) redirections: u32,
    /// Further lines of the answer.
    pub(crate) attributes: &'static str,
    /// Whether the switch can be connected to.
    pub(crate) is_reachable: bool,
    /// Answers to NICKNAME, one after the other; then 200.
    pub(crate) nicknames: VecDeque<Status>,
    /// Answers to SUBSCRIBE, one after the other (`None`: never); then 200.
    pub(crate) subscriptions: VecDeque<Option<u16>>,
    /// Whether it sends documents at all.
    pub(crate) notifies: bool,
    /// The answer to a SEND; `None`: never.
    pub(crate) send: Option<Status>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            invite: Some((200, "OK")),
            is_focus: true,
            chatroom: Some("nickname private-messages"),
            setup: "passive",
            accepts: "message/cpim",
            redirect: None,
            redirections: 0,
            attributes: "",
            is_reachable: true,
            nicknames: VecDeque::new(),
            subscriptions: VecDeque::new(),
            notifies: true,
            send: Some(Status::OK),
        }
    }
}

pub(crate) struct Hall {
    pub(crate) now: Instant,
    pub(crate) gateway: Gateway,
    pub(crate) script: Script,
    /// Who is in, as the focus says.
    pub(crate) document: Document,
    ours: Endpoint,
    pub(crate) focus: Endpoint,
    /// One for each call that was taken.
    pub(crate) legs: Vec<Leg>,
    /// The INVITEs.
    pub(crate) invites: Vec<Incoming>,
    /// Who watches the conference, with the version of his next document.
    pub(crate) watchers: Vec<(SubscriptionId, u32)>,
    pub(crate) subscribes: Vec<Incoming>,
    pub(crate) nicknames: Vec<String>,
    pub(crate) focus_events: Vec<sip::Event>,
    /// What the switch has taken.
    pub(crate) taken: Vec<Cpim>,
    taken_ids: Vec<(msrp::MessageId, u64)>,
    /// What the switch was told of messages that it had sent.
    pub(crate) reported: Vec<u16>,
    wires: BTreeMap<ConnectionId, Wire>,
    /// Everything the core said to XMPP users, in order.
    pub(crate) told: Vec<Outgoing>,
    /// Of the link.
    pub(crate) is_up: bool,
    outcomes: BTreeMap<MessageTag, Result<(), Status>>,
    /// While true nothing comes from the conference and nothing reaches it.
    pub(crate) silent: bool,
    sent: u64,
}

/// A call at the conference.
pub(crate) struct Leg {
    pub(crate) dialog: DialogId,
    pub(crate) path: msrp::Path,
    pub(crate) theirs: msrp::Path,
    pub(crate) ended: Option<sip::EndCause>,
}

/// An MSRP connection: both ends.
struct Wire {
    ours: msrp::Connection,
    switch: msrp::Connection,
    open: bool,
    /// Judges every octet that the gateway writes.
    judge: msrp_checker::Judge,
}

pub(crate) fn config() -> Config {
    Config {
        conferences: vec![ConferenceDomain {
            muc: "chat.example.com".to_owned(),
            sip: "rooms.example.net".to_owned(),
        }],
        ..stage::config()
    }
}

pub(crate) fn listed(entity: &str, nickname: Option<&str>) -> User {
    User {
        entity: entity.to_owned(),
        state: State::Full,
        display_text: nickname.map(str::to_owned),
        nickname: nickname.map(str::to_owned),
        aors: Vec::new(),
        roles: vec!["participant".to_owned()],
        status: Some(EndpointStatus::Connected),
    }
}

impl Hall {
    /// With Romeo and Ben in the conference.
    pub(crate) fn new() -> Self {
        Self::with(config(), Script::default())
    }

    pub(crate) fn scripted(script: Script) -> Self {
        Self::with(config(), script)
    }

    pub(crate) fn with(config: Config, script: Script) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an Instant can be had from the clock alone; only this one is"
        )]
        let now = Instant::now();
        let wall = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut hall = Self {
            now,
            gateway: Gateway::new(config, [7; 32], (now, wall)),
            script,
            document: Document {
                entity: CONFERENCE.to_owned(),
                state: State::Full,
                subject: Some("Today in Verona".to_owned()),
                user_count: Some(2),
                users: vec![
                    listed("sip:capulet@rooms.example.net;gr=Romeo", Some("Romeo")),
                    listed("sip:capulet@rooms.example.net;gr=Ben", Some("Ben")),
                ],
            },
            ours: endpoint(GATEWAY.parse().unwrap(), 1, Some(FOCUS)),
            focus: endpoint(FOCUS.parse().unwrap(), 2, Some(GATEWAY)),
            legs: Vec::new(),
            invites: Vec::new(),
            watchers: Vec::new(),
            subscribes: Vec::new(),
            nicknames: Vec::new(),
            focus_events: Vec::new(),
            taken: Vec::new(),
            taken_ids: Vec::new(),
            reported: Vec::new(),
            wires: BTreeMap::new(),
            told: Vec::new(),
            is_up: false,
            outcomes: BTreeMap::new(),
            silent: false,
            sent: 0,
        };
        hall.link(true);
        hall
    }

    pub(crate) fn link(&mut self, up: bool) {
        self.is_up = up;
        let event = || {
            if up {
                xmpp::Event::Up
            } else {
                xmpp::Event::Down(xmpp::DownCause::Closed)
            }
        };
        for link in [LinkId(0), LINK] {
            self.gateway.handle_xmpp(link, event(), self.now);
        }
        self.run();
    }

    /// The link does not know whether the server has read this before it broke.
    pub(crate) fn unconfirmed(&mut self, stanza: Outgoing) {
        let event = xmpp::Event::Unsent {
            stanza: Box::new(stanza),
            why: xmpp::Unsent::Unconfirmed,
        };
        self.gateway.handle_xmpp(LINK, event, self.now);
        self.run();
    }

    // XMPP users.

    pub(crate) fn stanza(&mut self, stanza: Stanza) {
        self.gateway
            .handle_xmpp(LINK, xmpp::Event::Stanza(stanza), self.now);
        self.run();
    }

    /// Presence to an address of the conference domain.
    pub(crate) fn presence(&mut self, from: &str, to: &str, kind: PresenceKind, join: Option<Join>) {
        self.stanza(Stanza::Presence(Presence {
            from: jid(from),
            to: jid(to),
            id: Some("p1".to_owned()),
            kind,
            join,
            muc: None,
            nick: None,
            status: None,
        }));
    }

    pub(crate) fn enter(&mut self, client: &str, nickname: &str) {
        let to = format!("{ROOM}/{nickname}");
        self.presence(client, &to, PresenceKind::Available, Some(Join::default()));
    }

    /// Presence under another nickname.
    pub(crate) fn rename(&mut self, client: &str, nickname: &str) {
        self.presence(
            client,
            &format!("{ROOM}/{nickname}"),
            PresenceKind::Available,
            None,
        );
    }

    pub(crate) fn leave(&mut self, client: &str, nickname: &str, words: Option<&str>) {
        self.stanza(Stanza::Presence(Presence {
            from: jid(client),
            to: jid(&format!("{ROOM}/{nickname}")),
            id: None,
            kind: PresenceKind::Unavailable,
            join: None,
            muc: None,
            nick: None,
            status: words.map(str::to_owned),
        }));
    }

    pub(crate) fn message(&mut self, from: &str, to: &str, kind: MessageKind, body: Option<&str>) {
        let message = message(from, to, kind, body);
        self.stanza(Stanza::Message(Box::new(message)));
    }

    /// Says something to all.
    pub(crate) fn say(&mut self, client: &str, text: &str) {
        self.message(client, ROOM, MessageKind::Groupchat, Some(text));
    }

    pub(crate) fn bounce(&mut self, client: &str, from: &str, error: StanzaError) {
        let mut bounced = message(client, from, MessageKind::Error, None);
        bounced.error = Some(error);
        self.stanza(Stanza::Message(Box::new(bounced)));
    }

    pub(crate) fn iq(&mut self, from: &str, to: &str, kind: IqKind) {
        self.stanza(Stanza::Iq(Iq {
            from: jid(from),
            to: jid(to),
            id: "q1".to_owned(),
            kind,
        }));
    }

    /// What was said to this client since the last time, as one line each.
    pub(crate) fn heard(&mut self, client: &str) -> Vec<String> {
        let client = jid(client);
        let (for_him, others) = std::mem::take(&mut self.told)
            .into_iter()
            .partition(|stanza| addressee(stanza) == Some(&client));
        self.told = others;
        let for_him: Vec<Outgoing> = for_him;
        for_him.iter().map(line).collect()
    }

    // The conference.

    /// The focus tells all watchers of a change; the whole of it, or only this part.
    pub(crate) fn notify(&mut self, partial: Option<Document>) {
        for place in 0..self.watchers.len() {
            let document = partial.clone().unwrap_or_else(|| self.document.clone());
            self.notify_one(place, &document);
        }
        self.run();
    }

    fn notify_one(&mut self, place: usize, document: &Document) {
        let (subscription, version) = &mut self.watchers[place];
        let body = Body {
            content_type: sip::conference::CONTENT_TYPE.to_owned(),
            bytes: document.render().with_version(*version),
        };
        *version += 1;
        let command = sip::Command::Notify {
            subscription: *subscription,
            state: SubscriptionState::Active,
            body: Some(body),
        };
        self.focus.handle_command(command, self.now);
    }

    /// Somebody enters, or is shown otherwise.
    pub(crate) fn list(&mut self, user: User) {
        self.document.users.retain(|known| known.entity != user.entity);
        self.document.users.push(user);
        self.notify(None);
    }

    pub(crate) fn unlist(&mut self, entity: &str) {
        self.document.users.retain(|known| known.entity != entity);
        self.notify(None);
    }

    pub(crate) fn bye(&mut self, leg: usize, reason: Option<sip::Reason>) {
        let dialog = self.legs[leg].dialog;
        self.focus
            .handle_command(sip::Command::Bye { dialog, reason }, self.now);
        self.run();
    }

    /// The switch says something over the connection of a leg.
    pub(crate) fn send(&mut self, leg: usize, from: &str, to: &str, text: &str) -> MessageTag {
        let cpim = Cpim {
            from: Some(address(from)),
            to: vec![address(to)],
            date_time: Some("2026-01-01T00:10:00Z".parse().unwrap()),
            content: Bytes::copy_from_slice(text.as_bytes()),
            ..Cpim::default()
        };
        self.send_cpim(leg, &cpim)
    }

    pub(crate) fn send_cpim(&mut self, leg: usize, cpim: &Cpim) -> MessageTag {
        self.send_raw(leg, "message/cpim", cpim.to_bytes())
    }

    pub(crate) fn send_raw(&mut self, leg: usize, content_type: &'static str, body: Bytes) -> MessageTag {
        self.sent += 1;
        let tag = MessageTag(self.sent);
        let session = session_id(&self.legs[leg].path);
        let message = OutgoingMessage {
            tag,
            id: format!("said{}", self.sent).parse().unwrap(),
            content_type,
            body,
            success_report: false,
            failure_report: msrp::FailureReport::Yes,
            lane: msrp::Lane::default(),
        };
        let command = msrp::Command::Send { session, message };
        let now = self.now;
        // A leg has the connection of its number: each call opens one.
        let wire = self.wires.values_mut().nth(leg).unwrap();
        wire.switch.handle_command(command, now);
        self.run();
        tag
    }

    /// The switch reports on the last message that it has taken.
    pub(crate) fn report(&mut self, leg: usize, status: Status) {
        let (message, octets) = *self.taken_ids.last().unwrap();
        let session = session_id(&self.legs[leg].path);
        let command = msrp::Command::Report {
            session,
            message,
            octets,
            status,
            body: None,
        };
        let now = self.now;
        let wire = self.wires.values_mut().nth(leg).unwrap();
        wire.switch.handle_command(command, now);
        self.run();
    }

    /// What the switch heard for a message.
    pub(crate) fn outcome(&self, tag: MessageTag) -> Option<Result<(), Status>> {
        self.outcomes.get(&tag).copied()
    }

    /// The MSRP connection of a leg breaks.
    pub(crate) fn cut(&mut self, leg: usize) {
        let now = self.now;
        let wire = self.wires.values_mut().nth(leg).unwrap();
        wire.ours.handle_closed(now);
        wire.switch.handle_closed(now);
        self.run();
    }

    // The clock and what it drives.

    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let wires = self.wires.values().filter(|wire| wire.open);
            let due = wires
                .flat_map(|wire| [wire.ours.poll_timeout(), wire.switch.poll_timeout()])
                .chain([
                    self.gateway.poll_timeout(),
                    self.ours.poll_timeout(),
                    self.focus.poll_timeout(),
                ])
                .flatten()
                .min();
            match due {
                Some(at) if at <= end => self.now = at.max(self.now),
                _ => break,
            }
            let now = self.now;
            self.gateway.handle_timeout(now);
            self.ours.handle_timeout(now);
            self.focus.handle_timeout(now);
            for wire in self.wires.values_mut().filter(|wire| wire.open) {
                wire.ours.handle_timeout(now);
                wire.switch.handle_timeout(now);
            }
            self.run();
        }
        self.now = end;
    }

    pub(crate) fn run(&mut self) {
        while self.carry_commands() | self.carry_sip() | self.carry_msrp() {}
    }

    fn carry_commands(&mut self) -> bool {
        let mut moved = false;
        while let Some(command) = self.gateway.poll_command() {
            moved = true;
            match command {
                Command::Reload => {}
                Command::Connect { connection, .. } => self.connect(connection),
                Command::Resolve { .. } => unreachable!("nobody is invited here"),
                Command::Sip(command) => self.ours.handle_command(command, self.now),
                Command::Msrp(connection, command) => {
                    if let Some(wire) = self.wires.get_mut(&connection).filter(|wire| wire.open) {
                        wire.ours.handle_command(command, self.now);
                    }
                }
                Command::Xmpp(link, xmpp::Command::Send(stanza)) if !self.is_up => {
                    let unsent = xmpp::Event::Unsent {
                        stanza: Box::new(stanza),
                        why: xmpp::Unsent::LinkDown,
                    };
                    self.gateway.handle_xmpp(link, unsent, self.now);
                }
                Command::Xmpp(_, xmpp::Command::Send(stanza)) => self.told.push(stanza),
                Command::Xmpp(
                    _,
                    xmpp::Command::Shutdown | xmpp::Command::Share { .. } | xmpp::Command::Unshare { .. },
                ) => {}
            }
        }
        moved
    }

    fn connect(&mut self, connection: ConnectionId) {
        assert_eq!(connection.0 % 2, 0, "the core's connections are even");
        if !self.script.is_reachable {
            return self
                .gateway
                .handle_msrp(connection, msrp::Event::Closed, self.now);
        }
        self.open_wire(connection);
    }

    fn open_wire(&mut self, connection: ConnectionId) {
        let limits = msrp::Limits::default();
        let wire = Wire {
            ours: msrp::Connection::new(limits.clone(), [21; 32]),
            switch: msrp::Connection::new(limits, [22; 32]),
            open: true,
            judge: msrp_checker::Judge::default(),
        };
        self.wires.insert(connection, wire);
    }

    fn carry_sip(&mut self) -> bool {
        let mut moved = false;
        let (gateway, focus): (SocketAddr, SocketAddr) = (GATEWAY.parse().unwrap(), FOCUS.parse().unwrap());
        while let Some(transmit) = self.ours.poll_transmit() {
            moved = true;
            if !self.silent {
                self.focus
                    .handle_message(flow(gateway, 1), transmit.bytes, self.now);
            }
        }
        while let Some(transmit) = self.focus.poll_transmit() {
            moved = true;
            if !self.silent {
                self.ours.handle_message(flow(focus, 2), transmit.bytes, self.now);
            }
        }
        while let Some(event) = self.focus.poll_event() {
            moved = true;
            self.focus_hears(event);
        }
        while let Some(event) = self.ours.poll_event() {
            moved = true;
            self.gateway.handle_sip(event, self.now);
        }
        moved
    }

    fn focus_hears(&mut self, event: sip::Event) {
        use sip::Event;
        match event {
            Event::Invited { dialog, request, due } => {
                match self.script.invite {
                    _ if self.script.redirections > 0 => self.redirect(due),
                    None => self.focus_events.push(Event::Invited {
                        dialog,
                        request: request.clone(),
                        due,
                    }),
                    Some((200, _)) => self.take_call(dialog, &request, due),
                    Some((code, phrase)) => self.focus.handle_command(
                        sip::Command::Refuse {
                            due,
                            status: StatusCode(code),
                            phrase: Some(phrase.to_owned()),
                            headers: Vec::new(),
                        },
                        self.now,
                    ),
                }
                self.invites.push(*request);
            }
            Event::Subscribing {
                subscription,
                request,
                due,
                ..
            } => {
                self.subscribes.push(*request);
                match self.script.subscriptions.pop_front() {
                    Some(Some(code)) if code != 200 => self.focus.handle_command(
                        sip::Command::Refuse {
                            due,
                            status: StatusCode(code),
                            phrase: None,
                            headers: Vec::new(),
                        },
                        self.now,
                    ),
                    Some(None) => drop(due),
                    _ => self.take_watcher(subscription, due),
                }
            }
            Event::Ended { dialog, cause } => {
                for leg in self.legs.iter_mut().filter(|leg| leg.dialog == dialog) {
                    leg.ended = Some(cause.clone());
                }
            }
            Event::SubscriptionEnded { subscription, .. } => {
                self.watchers.retain(|(watcher, _)| *watcher != subscription);
            }
            event => self.focus_events.push(event),
        }
    }

    fn redirect(&mut self, due: sip::AnswerDue) {
        self.script.redirections -= 1;
        let refuse = sip::Command::Refuse {
            due,
            status: StatusCode(302),
            phrase: None,
            headers: vec![sip::Header {
                name: "Contact".into(),
                value: format!("<{}>", self.script.redirect.unwrap()),
            }],
        };
        self.focus.handle_command(refuse, self.now);
    }

    /// Takes a REFER, and says with a fragment what became of it.
    pub(crate) fn follow_refer(&mut self, due: sip::AnswerDue, fragment: &str) {
        self.sent += 1;
        let subscription = SubscriptionId(self.sent * 2);
        let follow = sip::Command::FollowRefer {
            due,
            contact: Contact::default(),
            subscription,
        };
        let notify = sip::Command::Notify {
            subscription,
            state: SubscriptionState::Terminated("noresource".to_owned()),
            body: Some(Body {
                content_type: "message/sipfrag".to_owned(),
                bytes: Bytes::copy_from_slice(fragment.as_bytes()),
            }),
        };
        for command in [follow, notify] {
            self.focus.handle_command(command, self.now);
        }
        self.run();
    }

    /// The switch opens the connection of a leg.
    pub(crate) fn connect_to_gateway(&mut self, leg: usize) {
        let connection = ConnectionId(2 * leg as u64 + 1);
        self.open_wire(connection);
        let Leg { path, theirs, .. } = &self.legs[leg];
        let parameters = SessionParameters {
            local: path.clone(),
            remote: theirs.clone(),
        };
        let wire = self.wires.get_mut(&connection).unwrap();
        wire.switch
            .handle_command(msrp::Command::Open(parameters), self.now);
        self.run();
    }

    pub(crate) fn take_call(&mut self, dialog: DialogId, request: &Incoming, due: sip::AnswerDue) {
        let offer = sip::sdp::Session::parse(&request.body.as_ref().unwrap().bytes).unwrap();
        let theirs: msrp::Path = offer.media()[0].attribute("path").unwrap().parse().unwrap();
        let path: msrp::Path = format!("msrp://127.0.0.4:2855/switch{};tcp", self.legs.len())
            .parse()
            .unwrap();
        let Script {
            setup,
            accepts,
            chatroom,
            attributes,
            is_focus,
            ..
        } = self.script;
        let chatroom = chatroom.map_or_else(String::new, |tokens| format!("a=chatroom:{tokens}\r\n"));
        let answer = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.4\r\ns=-\r\nc=IN IP4 127.0.0.4\r\nt=0 0\r\nm=message 2855 TCP/MSRP *\r\n\
             a=accept-types:{accepts}\r\na=accept-wrapped-types:*\r\na=path:{path}\r\na=setup:{setup}\r\n\
             {chatroom}{attributes}"
        );
        let parameters = if is_focus {
            vec![("isfocus", None)]
        } else {
            Vec::new()
        };
        let accept = sip::Command::Accept {
            due,
            contact: Contact {
                user: None,
                parameters,
            },
            body: Body {
                content_type: "application/sdp".to_owned(),
                bytes: Bytes::from(answer),
            },
        };
        self.focus.handle_command(accept, self.now);
        self.legs.push(Leg {
            dialog,
            path,
            theirs,
            ended: None,
        });
    }

    fn take_watcher(&mut self, subscription: SubscriptionId, due: sip::AnswerDue) {
        let contact = Contact::default();
        let accept = sip::Command::AcceptSubscription { due, contact };
        self.focus.handle_command(accept, self.now);
        // Versions may begin anywhere.
        self.watchers.push((subscription, 17));
        let place = self.watchers.len() - 1;
        if self.script.notifies {
            let document = self.document.clone();
            self.notify_one(place, &document);
        } else {
            let pending = sip::Command::Notify {
                subscription,
                state: SubscriptionState::Pending,
                body: None,
            };
            self.focus.handle_command(pending, self.now);
        }
    }

    fn carry_msrp(&mut self) -> bool {
        let mut moved = false;
        let now = self.now;
        let mut events = Vec::new();
        for (connection, wire) in &mut self.wires {
            let mut octets = BytesMut::new();
            while wire.ours.poll_transmit(&mut octets, 65_536, now) {}
            wire.judge.written(&octets);
            assert_eq!(wire.judge.complaint(), None, "the gateway writes unsound MSRP");
            if !octets.is_empty() && !self.silent {
                moved = true;
                wire.switch.handle_bytes(&octets, now);
            }
            octets.clear();
            while wire.switch.poll_transmit(&mut octets, 65_536, now) {}
            if !octets.is_empty() && !self.silent {
                moved = true;
                wire.judge.heard(&octets);
                wire.ours.handle_bytes(&octets, now);
            }
            while let Some(event) = wire.switch.poll_event() {
                moved = true;
                if let msrp::Event::Reported { status, .. } = &event {
                    self.reported.push(status.code());
                }
                let answer = switch_answers(
                    event,
                    &mut self.script,
                    &self.legs,
                    &mut self.nicknames,
                    (&mut self.taken, &mut self.taken_ids),
                    &mut self.outcomes,
                );
                if let Some(command) = answer {
                    wire.switch.handle_command(command, now);
                }
            }
            while let Some(event) = wire.ours.poll_event() {
                moved = true;
                wire.open &= event != msrp::Event::Closed;
                events.push((*connection, event));
            }
        }
        for (connection, event) in events {
            self.gateway.handle_msrp(connection, event, now);
        }
        moved
    }
}

fn switch_answers(
    event: msrp::Event,
    script: &mut Script,
    legs: &[Leg],
    nicknames: &mut Vec<String>,
    (taken, taken_ids): (&mut Vec<Cpim>, &mut Vec<(msrp::MessageId, u64)>),
    outcomes: &mut BTreeMap<MessageTag, Result<(), Status>>,
) -> Option<msrp::Command> {
    use msrp::{Command, Event};
    match event {
        Event::BindRequested { session, from } => {
            let leg = legs
                .iter()
                .find(|leg| session_id(&leg.path) == session && leg.theirs == from);
            Some(match leg {
                Some(leg) => Command::Bind(SessionParameters {
                    local: leg.path.clone(),
                    remote: from,
                }),
                None => Command::RefuseBind {
                    session,
                    status: Status::NO_SESSION,
                },
            })
        }
        Event::NicknameRequested { nickname, due, .. } => {
            nicknames.push(nickname);
            let status = script.nicknames.pop_front().unwrap_or(Status::OK);
            Some(Command::Answer { due, status })
        }
        Event::Received { message, due, .. } => {
            let status = script.send?;
            if status.is_success() {
                taken.push(Cpim::parse(&message.body).unwrap());
                taken_ids.push((message.id, message.body.len() as u64));
            }
            Some(Command::Answer { due, status })
        }
        Event::Delivered { tag, .. } => {
            outcomes.insert(tag, Ok(()));
            None
        }
        Event::Failed { tag, status, .. } => {
            outcomes.insert(tag, Err(status));
            None
        }
        _ => None,
    }
}

pub(crate) fn jid(text: &str) -> Jid {
    Jid::new(text).unwrap()
}

pub(crate) fn address(uri: &str) -> Address {
    Address {
        display_name: None,
        uri: uri.to_owned(),
    }
}

pub(crate) fn query(namespace: &str) -> Payload {
    Payload(format!("<query xmlns='{namespace}'/>").parse().unwrap())
}

pub(crate) fn ping() -> Payload {
    Payload("<ping xmlns='urn:xmpp:ping'/>".parse().unwrap())
}

pub(crate) fn message(from: &str, to: &str, kind: MessageKind, body: Option<&str>) -> Message {
    Message {
        from: jid(from),
        to: jid(to),
        id: Some("m1".to_owned()),
        kind,
        body: body.map(str::to_owned),
        subject: None,
        has_thread: false,
        muc: None,
        delay: None,
        stanza_ids: Vec::new(),
        error: None,
        extras: xmpp::stanza::Extras::default(),
    }
}

fn addressee(stanza: &Outgoing) -> Option<&Jid> {
    match stanza {
        Outgoing::Room(stanza) => Some(match stanza {
            RoomStanza::Presence(presence) => &presence.to,
            RoomStanza::Groupchat { to, .. }
            | RoomStanza::Subject { to, .. }
            | RoomStanza::Private { to, .. }
            | RoomStanza::Declined { to, .. } => to,
            RoomStanza::Refused { to, .. } => to,
        }),
        Outgoing::IqResult { to, .. } => Some(to),
        _ => None,
    }
}

/// A stanza in one line, as the tests compare it: `Romeo is in (participant)`, `room: Today in Verona`, ….
fn line(stanza: &Outgoing) -> String {
    let name = |from: &Jid| {
        from.resource()
            .map_or_else(|| "room".to_owned(), |nickname| nickname.as_str().to_owned())
    };
    let full = |from: &FullJid| from.resource().as_str().to_owned();
    match stanza {
        Outgoing::Room(RoomStanza::Presence(presence)) => {
            let who = full(&presence.from);
            let what = if presence.unavailable { "is out" } else { "is in" };
            assert_eq!(presence.item.affiliation.as_deref(), Some("none"));
            let role = presence.item.role.as_deref().unwrap();
            let mut line = format!("{who} {what} ({role})");
            for status in &presence.statuses {
                line.push_str(&format!(" {status}"));
            }
            if let Some(nick) = &presence.item.nick {
                line.push_str(&format!(" now {nick}"));
            }
            if let Some(reason) = &presence.item.reason {
                line.push_str(&format!(" because {reason}"));
            }
            if let Some(jid) = &presence.item.jid {
                line.push_str(&format!(" who is {jid}"));
            }
            if presence.destroy.is_some() {
                line.push_str(" destroyed");
            }
            line
        }
        Outgoing::Room(RoomStanza::Groupchat {
            from,
            body,
            delay,
            id,
            ..
        }) => {
            assert!(id.is_some());
            let delay = delay.as_ref().map(|delay| format!(" [{}]", delay.stamp));
            format!("{}: {body}{}", name(from), delay.unwrap_or_default())
        }
        Outgoing::Room(RoomStanza::Declined { invitee, reason, .. }) => {
            format!("{invitee} declines: {reason}")
        }
        Outgoing::Room(RoomStanza::Subject { subject, .. }) => format!("subject: {subject}"),
        Outgoing::Room(RoomStanza::Private { from, body, .. }) => format!("{} whispers: {body}", full(from)),
        Outgoing::Room(RoomStanza::Refused {
            name: stanza,
            from,
            error,
            id,
            by,
            ..
        }) => {
            assert_eq!(*by, from.to_bare());
            let id = id.as_deref().unwrap_or("-");
            let address = error.new_address.as_ref().map(|address| format!(" {address}"));
            let condition = error.condition.as_str();
            format!(
                "{stanza} {id} to {}: {condition}{}",
                name(from),
                address.unwrap_or_default()
            )
        }
        Outgoing::IqResult { payload, id, .. } => {
            let payload = payload.as_ref().map(|payload| String::from(&payload.0));
            format!("result {id} {}", payload.unwrap_or_default())
        }
        other => panic!("not said by a room: {other:?}"),
    }
}
