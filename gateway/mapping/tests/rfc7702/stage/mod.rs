//! A stage on which the core plays with real machines: SIP users with an endpoint and an MSRP connection of their own on one side, a
//! small room service on the other, and one clock that only the test moves.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use mapping::{
    Access, AddressForm, AnswerRule, Command, Component, Config, ConnectionId, CreationRule, Gateway, Limits,
    LinkId, NamingRule, Occupants, Outage, RoomDomain, Routes, Texts,
};
use msrp::{
    MessageTag, OutgoingMessage, SessionId, SessionParameters, Status,
    cpim::{Address, Cpim},
};
use sip::{
    Body, Contact, DialogId, Endpoint, Flow, FlowId, InviteParameters, LocalAddress, NameAddr,
    SubscribeParameters, SubscriptionId, Transport, Uri,
    locate::{Answer, Query, Service},
};
use xmpp::{
    BareJid, FullJid,
    stanza::{Outgoing, Stanza},
};

pub(crate) mod muc;

use muc::Muc;

pub(crate) const GATEWAY: &str = "127.0.0.2:5060";
/// Where a phone is whose messages a test writes itself.
pub(crate) const PHONE: &str = "127.0.0.99:5060";
/// What the focus calls users through: it knows their clients by their names.
const PROXY: &str = "127.0.0.3:5060";

pub(crate) struct Stage {
    pub(crate) now: Instant,
    pub(crate) gateway: Gateway,
    pub(crate) focus: Endpoint,
    pub(crate) users: Vec<User>,
    pub(crate) muc: Muc,
    /// Everything the core sent to the room service, in order.
    pub(crate) to_rooms: Vec<Outgoing>,
    /// While false, the link is down: what is sent comes back unsent.
    links_up: BTreeSet<LinkId>,
    pub(crate) name_server: NameServer,
    /// What the name server was asked.
    pub(crate) asked: Vec<Query>,
    /// What the focus sent to the phone that has no machine.
    pub(crate) to_phone: Vec<String>,
    /// Who is sent one copy for all: room and occupant.
    pub(crate) sharing: BTreeSet<(BareJid, FullJid)>,
    /// While true, the link does not say that somebody shares no more.
    pub(crate) hold_unshared: bool,
    /// How often files were to be read again.
    pub(crate) reloads: usize,
    unshared: Vec<(LinkId, BareJid, FullJid)>,
    switch: BTreeMap<ConnectionId, Wire>,
    /// How many the users have sent.
    messages: u64,
}

/// One MSRP connection: the switch's end, and whose it is.
struct Wire {
    machine: msrp::Connection,
    user: usize,
    open: bool,
    /// Judges every octet that the switch writes.
    judge: msrp_checker::Judge,
}

impl Wire {
    fn hear(&mut self, octets: &[u8], now: Instant) {
        self.judge.heard(octets);
        self.machine.handle_bytes(octets, now);
    }

    fn write(&mut self, now: Instant) -> BytesMut {
        let mut octets = BytesMut::new();
        while self.machine.poll_transmit(&mut octets, 65_536, now) {}
        self.judge.written(&octets);
        assert_eq!(self.judge.complaint(), None, "the switch writes unsound MSRP");
        octets
    }
}

/// What a name server knows, and how it is.
#[derive(Default)]
pub(crate) struct NameServer {
    /// Names with SRV records, and their targets.
    pub(crate) services: BTreeMap<String, &'static str>,
    /// Names that it cannot be asked of.
    pub(crate) broken: BTreeSet<String>,
    pub(crate) silent: bool,
}

impl NameServer {
    fn answer(&self, query: &Query) -> Option<Answer> {
        let Query::Services(name) = query else {
            unreachable!("SRV records alone tell whose a domain is")
        };
        if self.silent {
            return None;
        }
        if self.broken.contains(name) {
            return Some(Answer::Failed);
        }
        Some(self.services.get(name).map_or(Answer::Absent, |target| {
            Answer::Services(vec![Service {
                priority: 1,
                weight: 1,
                port: 1,
                target: (*target).to_owned(),
            }])
        }))
    }
}

pub(crate) struct User {
    pub(crate) endpoint: Endpoint,
    pub(crate) msrp: msrp::Connection,
    address: SocketAddr,
    aor: Uri,
    pub(crate) sip_events: VecDeque<sip::Event>,
    pub(crate) msrp_events: VecDeque<msrp::Event>,
    /// Messages that his client has taken.
    pub(crate) received: Vec<(SessionId, msrp::IncomingMessage)>,
    pub(crate) dialog: DialogId,
    /// Path of the switch, once the INVITE was answered.
    pub(crate) switch: Option<msrp::Path>,
    pub(crate) path: msrp::Path,
    connection: Option<ConnectionId>,
    /// While true, nothing of him reaches the gateway and the other way round.
    pub(crate) silent: bool,
}

/// The link of most plays.
const LINK: LinkId = LinkId(0);

pub(crate) fn config() -> Config {
    Config {
        components: vec![Component {
            domain: "example.org".to_owned(),
            form: AddressForm::Native,
        }],
        rooms: vec![RoomDomain {
            sip: "rooms.example.com".to_owned(),
            muc: "rooms.example.com".to_owned(),
        }],
        conferences: Vec::new(),
        msrp: ("127.0.0.2".to_owned(), 2855),
        answer: AnswerRule::WhenAdmitted,
        conflict: mapping::ConflictRule::Refuse,
        history: 0,
        naming: NamingRule::Provisional,
        creation: CreationRule::AcceptDefault,
        access: Access::default(),
        routes: Routes::default(),
        numbers: None,
        connect: true,
        tell_nickname: false,
        occupants: Occupants::default(),
        texts: Texts::default(),
        outage: Outage {
            tell: false,
            ..Outage::default()
        },
        admins: BTreeSet::new(),
        limits: Limits::default(),
    }
}

impl Stage {
    /// The curtain rises with the link up.
    pub(crate) fn new(config: Config) -> Self {
        let mut stage = Self::dark(config);
        stage.link(true);
        stage
    }

    /// The same with the link down.
    pub(crate) fn dark(config: Config) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an Instant can be had from the clock alone; only this one is"
        )]
        let now = Instant::now();
        let wall = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut stage = Self {
            now,
            gateway: Gateway::new(config, [7; 32], (now, wall)),
            focus: endpoint(GATEWAY.parse().unwrap(), 1, Some(PROXY)),
            users: Vec::new(),
            muc: Muc::default(),
            to_rooms: Vec::new(),
            links_up: BTreeSet::new(),
            name_server: NameServer::default(),
            asked: Vec::new(),
            to_phone: Vec::new(),
            sharing: BTreeSet::new(),
            hold_unshared: false,
            reloads: 0,
            unshared: Vec::new(),
            switch: BTreeMap::new(),
            messages: 0,
        };
        stage.run();
        stage
    }

    pub(crate) fn link(&mut self, up: bool) {
        self.link_of(0, up);
    }

    /// The link of one of several components.
    pub(crate) fn link_of(&mut self, component: usize, up: bool) {
        if up {
            self.links_up.insert(LinkId(component));
        } else {
            self.links_up.remove(&LinkId(component));
        }
        let event = if up {
            xmpp::Event::Up
        } else {
            xmpp::Event::Down(xmpp::DownCause::Closed)
        };
        self.gateway.handle_xmpp(LinkId(component), event, self.now);
        self.run();
    }

    /// The link does not know whether the server has read this before it broke.
    pub(crate) fn unconfirmed(&mut self, stanza: Outgoing) {
        let event = xmpp::Event::Unsent {
            stanza: Box::new(stanza),
            why: xmpp::Unsent::Unconfirmed,
        };
        self.gateway.handle_xmpp(LinkId(0), event, self.now);
        self.run();
    }

    /// A user with a client; he does nothing by himself.
    pub(crate) fn user(&mut self, name: &str) -> usize {
        self.user_of(name, "example.org")
    }

    /// One of another SIP domain.
    pub(crate) fn user_of(&mut self, name: &str, domain: &str) -> usize {
        let n = self.users.len();
        let address: SocketAddr = format!("127.0.0.{}:5060", n + 10).parse().unwrap();
        let path: msrp::Path = format!("msrp://127.0.0.{}:9/offered{n};tcp", n + 10)
            .parse()
            .unwrap();
        self.users.push(User {
            endpoint: endpoint(address, 100 + u8::try_from(n).unwrap(), Some(GATEWAY)),
            msrp: msrp::Connection::new(msrp::Limits::default(), [50 + u8::try_from(n).unwrap(); 32]),
            address,
            aor: format!("sip:{name}@{domain}").parse().unwrap(),
            sip_events: VecDeque::new(),
            msrp_events: VecDeque::new(),
            received: Vec::new(),
            dialog: DialogId(2),
            switch: None,
            path,
            connection: None,
            silent: false,
        });
        n
    }

    /// An acceptable offer of this user.
    pub(crate) fn offer(&self, user: usize) -> String {
        let user = &self.users[user];
        format!(
            "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=message 9 TCP/MSRP *\r\n\
             a=accept-types:message/cpim\r\na=accept-wrapped-types:text/plain\r\na=path:{path}\r\n\
             a=setup:active\r\na=chatroom:nickname private-messages\r\n",
            host = user.address.ip(),
            path = user.path,
        )
    }

    pub(crate) fn invite(&mut self, user: usize, room: &str, name: Option<&str>) {
        let offer = self.offer(user);
        self.invite_with(user, room, name, &offer, "application/sdp");
    }

    pub(crate) fn invite_with(
        &mut self,
        user: usize,
        room: &str,
        name: Option<&str>,
        body: &str,
        kind: &str,
    ) {
        self.invite_as(user, room, name, (body, kind), Vec::new());
    }

    /// The same with further headers.
    pub(crate) fn invite_as(
        &mut self,
        user: usize,
        room: &str,
        name: Option<&str>,
        (body, kind): (&str, &str),
        headers: Vec<sip::Header>,
    ) {
        let caller = &mut self.users[user];
        let from = NameAddr {
            display_name: name.map(str::to_owned),
            ..NameAddr::new(caller.aor.clone())
        };
        let uri: Uri = room.parse().unwrap();
        let parameters = InviteParameters {
            to: NameAddr::new(uri.clone()),
            uri,
            from,
            contact: Contact {
                user: Some("me".to_owned()),
                parameters: Vec::new(),
            },
            body: Body {
                content_type: kind.to_owned(),
                bytes: Bytes::copy_from_slice(body.as_bytes()),
            },
            headers,
        };
        let dialog = DialogId(caller.dialog.0 + 2);
        caller.dialog = dialog;
        caller.endpoint.handle_command(
            sip::Command::Invite {
                dialog,
                parameters: Box::new(parameters),
            },
            self.now,
        );
        self.run();
    }

    /// The call that the user's client is offered, if there is one.
    pub(crate) fn rung(&mut self, user: usize) -> Option<(DialogId, sip::Incoming, sip::AnswerDue)> {
        let events = &mut self.users[user].sip_events;
        let place = events
            .iter()
            .position(|event| matches!(event, sip::Event::Invited { .. }))?;
        match events.remove(place) {
            Some(sip::Event::Invited { dialog, request, due }) => Some((dialog, *request, due)),
            _ => None,
        }
    }

    /// The user takes the call that he is offered, and his client opens the MSRP session.
    pub(crate) fn take_call(&mut self, user: usize) -> sip::Incoming {
        let (dialog, request, due) = self.rung(user).expect("nobody has called him");
        let description = request.body.clone().expect("the call had no offer");
        let body = Body {
            content_type: "application/sdp".to_owned(),
            bytes: Bytes::from(self.offer(user)),
        };
        let called = &mut self.users[user];
        called.dialog = dialog;
        let contact = Contact {
            user: Some("me".to_owned()),
            parameters: Vec::new(),
        };
        let accept = sip::Command::Accept { due, contact, body };
        called.endpoint.handle_command(accept, self.now);
        self.run();
        self.connect_to(user, &description);
        request
    }

    /// The user does not take it.
    pub(crate) fn refuse_call(&mut self, user: usize, status: u16) {
        let (_, _, due) = self.rung(user).expect("nobody has called him");
        let refuse = sip::Command::Refuse {
            due,
            status: sip::StatusCode(status),
            phrase: None,
            headers: Vec::new(),
        };
        self.users[user].endpoint.handle_command(refuse, self.now);
        self.run();
    }

    /// INVITE, answer, MSRP session: the user is in the room and his client is connected.
    pub(crate) fn enter(&mut self, user: usize, room: &str, name: &str) {
        self.invite(user, room, Some(name));
        self.connect(user);
        self.run();
    }

    /// Opens the user's MSRP session as the answer said.
    pub(crate) fn connect(&mut self, user: usize) {
        let answered = self.users[user]
            .sip_events
            .iter()
            .rev()
            .find_map(|event| match event {
                sip::Event::Answered { body: Some(body), .. } => Some(body.clone()),
                _ => None,
            });
        let body = answered.expect("the INVITE was not answered");
        self.connect_to(user, &body);
    }

    /// The phone without a machine says something.
    pub(crate) fn phone_says(&mut self, lines: &[&str], body: &str) {
        let message = format!(
            "{}\r\nContent-Length: {}\r\n\r\n{body}",
            lines.join("\r\n"),
            body.len()
        );
        let from = flow(PHONE.parse().unwrap(), 99);
        self.focus.handle_message(from, Bytes::from(message), self.now);
        self.run();
    }

    /// Opens the user's MSRP session towards the path in a description of the switch.
    pub(crate) fn connect_to(&mut self, user: usize, body: &Body) {
        let session = sip::sdp::Session::parse(&body.bytes).unwrap();
        let path: msrp::Path = session.media()[0].attribute("path").unwrap().parse().unwrap();
        let connection = ConnectionId(1000 + u64::try_from(self.switch.len()).unwrap());
        let machine = msrp::Connection::new(msrp::Limits::default(), [9; 32]);
        self.switch.insert(
            connection,
            Wire {
                machine,
                user,
                open: true,
                judge: msrp_checker::Judge::default(),
            },
        );
        let caller = &mut self.users[user];
        caller.connection = Some(connection);
        caller.switch = Some(path.clone());
        let parameters = SessionParameters {
            local: caller.path.clone(),
            remote: path,
        };
        caller
            .msrp
            .handle_command(msrp::Command::Open(parameters), self.now);
        self.run();
    }

    /// The switch opens a connection to the client at this host; if there is none, it hears that it is closed.
    fn connect_from_switch(&mut self, connection: ConnectionId, host: &str) {
        let user = self
            .users
            .iter()
            .position(|user| user.address.ip().to_string() == host && !user.silent);
        let Some(user) = user else {
            return self
                .gateway
                .handle_msrp(connection, msrp::Event::Closed, self.now);
        };
        self.users[user].connection = Some(connection);
        let machine = msrp::Connection::new(msrp::Limits::default(), [9; 32]);
        self.switch.insert(
            connection,
            Wire {
                machine,
                user,
                open: true,
                judge: msrp_checker::Judge::default(),
            },
        );
    }

    /// The user's MSRP connection breaks.
    pub(crate) fn cut(&mut self, user: usize) {
        if let Some(connection) = self.users[user].connection.take() {
            let wire = self.switch.get_mut(&connection).unwrap();
            wire.open = false;
            wire.machine.handle_closed(self.now);
        }
        self.run();
    }

    pub(crate) fn subscribe(&mut self, user: usize, room: &str) -> SubscriptionId {
        let subscriber = &mut self.users[user];
        let subscription = SubscriptionId(subscriber.dialog.0 + 100);
        let parameters = SubscribeParameters {
            uri: room.parse().unwrap(),
            from: NameAddr::new(subscriber.aor.clone()),
            to: NameAddr::new(room.parse().unwrap()),
            contact: Contact {
                user: Some("me".to_owned()),
                parameters: Vec::new(),
            },
            event: "conference".to_owned(),
            accept: sip::conference::CONTENT_TYPE.to_owned(),
            expires: Duration::from_secs(600),
        };
        let command = sip::Command::Subscribe {
            subscription,
            parameters: Box::new(parameters),
        };
        subscriber.endpoint.handle_command(command, self.now);
        self.run();
        subscription
    }

    /// A SEND of the user with these CPIM addresses. Returns its tag.
    pub(crate) fn send(&mut self, user: usize, from: &str, to: &[&str], text: &str) -> MessageTag {
        let address = |uri: &str| Address {
            display_name: None,
            uri: uri.to_owned(),
        };
        let cpim = Cpim {
            from: Some(address(from)),
            to: to.iter().map(|to| address(to)).collect(),
            date_time: None,
            other: Vec::new(),
            content_type: "text/plain;charset=utf-8".to_owned(),
            content_headers: Vec::new(),
            content: Bytes::copy_from_slice(text.as_bytes()),
        };
        self.send_raw(user, "message/cpim", cpim.to_bytes())
    }

    pub(crate) fn send_raw(&mut self, user: usize, content_type: &'static str, body: Bytes) -> MessageTag {
        self.messages += 1;
        let tag = MessageTag(self.messages + 5000);
        let sender = &mut self.users[user];
        let session = session_id(&sender.path);
        let message = OutgoingMessage {
            tag,
            id: format!("m{}", tag.0).parse().unwrap(),
            content_type,
            body,
            success_report: false,
            failure_report: msrp::FailureReport::Yes,
            lane: msrp::Lane::default(),
        };
        sender
            .msrp
            .handle_command(msrp::Command::Send { session, message }, self.now);
        self.run();
        tag
    }

    /// Says something to everybody, as an ordinary client does.
    pub(crate) fn say(&mut self, user: usize, text: &str) -> MessageTag {
        let from = self.users[user].aor.to_string();
        self.send(user, &from, &["sip:capulet@rooms.example.com"], text)
    }

    pub(crate) fn nickname(&mut self, user: usize, nickname: &str) -> MessageTag {
        let tag = MessageTag(77);
        let asker = &mut self.users[user];
        let command = msrp::Command::Nickname {
            session: session_id(&asker.path),
            tag,
            nickname: nickname.to_owned(),
        };
        asker.msrp.handle_command(command, self.now);
        self.run();
        tag
    }

    /// What the client heard for a SEND: `Ok` once the room has it.
    pub(crate) fn outcome(&self, user: usize, tag: MessageTag) -> Option<Result<(), Status>> {
        self.users[user].msrp_events.iter().find_map(|event| match event {
            msrp::Event::Delivered { tag: t, .. } if *t == tag => Some(Ok(())),
            msrp::Event::Failed { tag: t, status, .. } if *t == tag => Some(Err(*status)),
            _ => None,
        })
    }

    /// What the client heard for its last NICKNAME.
    pub(crate) fn nickname_outcome(&self, user: usize) -> Option<Status> {
        self.users[user]
            .msrp_events
            .iter()
            .rev()
            .find_map(|event| match event {
                msrp::Event::NicknameAnswered { status, .. } => Some(*status),
                _ => None,
            })
    }

    /// Messages that the client has received: sender, recipient, text.
    pub(crate) fn heard(&self, user: usize) -> Vec<(String, String, String)> {
        let received = self.users[user]
            .received
            .iter()
            .map(|(_, message)| Cpim::parse(&message.body).unwrap());
        received
            .map(|cpim| {
                let text = cpim.text().unwrap().to_owned();
                (cpim.from.unwrap().uri, cpim.to[0].uri.clone(), text)
            })
            .collect()
    }

    /// What the client was told later of messages that were answered 200.
    pub(crate) fn reported(&self, user: usize) -> Vec<u16> {
        let events = self.users[user].msrp_events.iter();
        events
            .filter_map(|event| match event {
                msrp::Event::Reported { status, .. } => Some(status.code()),
                _ => None,
            })
            .collect()
    }

    /// The final response to the user's last INVITE, if it was a refusal.
    pub(crate) fn refusal(&self, user: usize) -> Option<(u16, String)> {
        self.users[user]
            .sip_events
            .iter()
            .rev()
            .find_map(|event| match event {
                sip::Event::Refused { status, phrase, .. } => Some((status.0, phrase.clone())),
                _ => None,
            })
    }

    pub(crate) fn answered(&self, user: usize) -> bool {
        self.users[user]
            .sip_events
            .iter()
            .any(|event| matches!(event, sip::Event::Answered { .. }))
    }

    /// The Reason of the BYE that ended the user's call.
    pub(crate) fn bye(&self, user: usize) -> Option<(u16, String)> {
        self.users[user].sip_events.iter().find_map(|event| match event {
            sip::Event::Ended {
                cause: sip::EndCause::Bye(Some(reason)),
                ..
            } => Some((reason.cause.0, reason.text.clone())),
            _ => None,
        })
    }

    /// The room as the user's conference documents, applied in order, show it; and their versions.
    pub(crate) fn roster(&self, user: usize) -> (Vec<u32>, Option<sip::conference::Document>) {
        let mut versions = Vec::new();
        let mut room: Option<sip::conference::Document> = None;
        for event in &self.users[user].sip_events {
            let sip::Event::Notified { body: Some(body), .. } = event else {
                continue;
            };
            let (version, document) = sip::conference::Document::parse(&body.bytes).unwrap();
            versions.push(version);
            match &mut room {
                Some(room) => room.apply(document),
                None => room = Some(document),
            }
        }
        (versions, room)
    }

    /// The nicknames in the user's roster.
    pub(crate) fn nicknames(&self, user: usize) -> Vec<String> {
        let users = self.roster(user).1.map(|room| room.users).unwrap_or_default();
        let mut names: Vec<_> = users.into_iter().filter_map(|user| user.nickname).collect();
        names.sort();
        names
    }

    /// A stanza from the server.
    pub(crate) fn stanza(&mut self, stanza: Stanza) {
        self.gateway
            .handle_xmpp(LINK, xmpp::Event::Stanza(stanza), self.now);
        self.run();
    }

    pub(crate) fn stanzas(&mut self, stanzas: Vec<Stanza>) {
        for stanza in stanzas {
            self.stanza(stanza);
        }
    }

    /// Lets time pass, one deadline after the other.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let machines = self.users.iter().filter(|user| !user.silent);
            let due = machines
                .flat_map(|user| [user.endpoint.poll_timeout(), user.msrp.poll_timeout()])
                .chain(
                    self.switch
                        .values()
                        .filter(|wire| wire.open)
                        .map(|wire| wire.machine.poll_timeout()),
                )
                .chain([self.gateway.poll_timeout(), self.focus.poll_timeout()])
                .flatten()
                .min();
            match due {
                Some(at) if at <= end => self.now = at.max(self.now),
                _ => break,
            }
            self.tick();
            self.run();
        }
        self.now = end;
    }

    fn tick(&mut self) {
        let now = self.now;
        self.gateway.handle_timeout(now);
        self.focus.handle_timeout(now);
        for user in self.users.iter_mut().filter(|user| !user.silent) {
            user.endpoint.handle_timeout(now);
            user.msrp.handle_timeout(now);
        }
        for wire in self.switch.values_mut().filter(|wire| wire.open) {
            wire.machine.handle_timeout(now);
        }
    }

    /// Carries everything to where it belongs until nothing moves.
    pub(crate) fn run(&mut self) {
        while self.carry_commands() | self.carry_sip() | self.carry_msrp() {}
    }

    fn carry_commands(&mut self) -> bool {
        let mut moved = false;
        while let Some(command) = self.gateway.poll_command() {
            moved = true;
            match command {
                Command::Connect { connection, host, .. } => self.connect_from_switch(connection, &host),
                Command::Resolve { lookup, query } => {
                    let answer = self.name_server.answer(&query);
                    self.asked.push(query);
                    if let Some(answer) = answer {
                        self.gateway.handle_resolved(lookup, &answer, self.now);
                    }
                }
                Command::Sip(command) => self.focus.handle_command(command, self.now),
                Command::Msrp(connection, command) => {
                    if let Some(wire) = self.switch.get_mut(&connection).filter(|wire| wire.open) {
                        wire.machine.handle_command(command, self.now);
                    }
                }
                Command::Xmpp(link, xmpp::Command::Send(stanza)) => self.deliver_to_room(link, stanza),
                Command::Xmpp(_, xmpp::Command::Share { room, occupant }) => {
                    self.sharing.insert((room, occupant));
                }
                Command::Xmpp(link, xmpp::Command::Unshare { room, occupant }) => {
                    self.sharing.remove(&(room.clone(), occupant.clone()));
                    self.unshared.push((link, room, occupant));
                }
                Command::Xmpp(_, xmpp::Command::Shutdown) => {}
                Command::Reload => self.reloads += 1,
            }
        }
        if !self.hold_unshared {
            for (link, room, occupant) in std::mem::take(&mut self.unshared) {
                moved = true;
                let event = xmpp::Event::Unshared { room, occupant };
                self.gateway.handle_xmpp(link, event, self.now);
            }
        }
        moved
    }

    fn deliver_to_room(&mut self, link: LinkId, stanza: Outgoing) {
        if !self.links_up.contains(&link) {
            let unsent = xmpp::Event::Unsent {
                stanza: Box::new(stanza),
                why: xmpp::Unsent::LinkDown,
            };
            return self.gateway.handle_xmpp(link, unsent, self.now);
        }
        self.to_rooms.push(stanza.clone());
        for answer in self.muc.handle(stanza) {
            self.gateway
                .handle_xmpp(link, xmpp::Event::Stanza(answer), self.now);
        }
    }

    fn carry_sip(&mut self) -> bool {
        let mut moved = false;
        let gateway: SocketAddr = GATEWAY.parse().unwrap();
        while let Some(transmit) = self.focus.poll_transmit() {
            moved = true;
            let by_proxy = transmit.target.peer == PROXY.parse().unwrap();
            let head = String::from_utf8_lossy(&transmit.bytes).into_owned();
            let to = self.users.iter_mut().find(|user| {
                let called = format!(" {} ", user.aor);
                user.address == transmit.target.peer
                    || by_proxy && head.lines().next().is_some_and(|line| line.contains(&called))
            });
            if transmit.target.peer == PHONE.parse().unwrap() {
                self.to_phone.push(head.clone());
            }
            if let Some(user) = to.filter(|user| !user.silent) {
                user.endpoint
                    .handle_message(flow(gateway, 1), transmit.bytes, self.now);
            }
        }
        for (n, user) in self.users.iter_mut().enumerate() {
            while let Some(transmit) = user.endpoint.poll_transmit() {
                moved = true;
                if !user.silent {
                    let from = flow(user.address, 2 + n as u64);
                    self.focus.handle_message(from, transmit.bytes, self.now);
                }
            }
            while let Some(event) = user.endpoint.poll_event() {
                moved = true;
                user.sip_events.push_back(event);
            }
        }
        while let Some(event) = self.focus.poll_event() {
            moved = true;
            self.gateway.handle_sip(event, self.now);
        }
        moved
    }

    fn carry_msrp(&mut self) -> bool {
        let mut moved = false;
        for (connection, wire) in &mut self.switch {
            let user = &mut self.users[wire.user];
            if wire.open && user.connection == Some(*connection) {
                let mut octets = BytesMut::new();
                while user.msrp.poll_transmit(&mut octets, 65_536, self.now) {}
                if !octets.is_empty() && !user.silent {
                    moved = true;
                    wire.hear(&octets, self.now);
                }
                let octets = wire.write(self.now);
                if !octets.is_empty() && !user.silent {
                    moved = true;
                    user.msrp.handle_bytes(&octets, self.now);
                }
            }
            while let Some(event) = wire.machine.poll_event() {
                moved = true;
                if event == msrp::Event::Closed {
                    wire.open = false;
                }
                self.gateway.handle_msrp(*connection, event, self.now);
            }
            take_events(user, self.now, &mut moved);
        }
        moved
    }
}

/// A client accepts every message at once.
fn take_events(user: &mut User, now: Instant, moved: &mut bool) {
    while let Some(event) = user.msrp.poll_event() {
        *moved = true;
        if let msrp::Event::BindRequested { session, from } = &event {
            assert_eq!(*session, session_id(&user.path));
            user.switch = Some(from.clone());
            let parameters = SessionParameters {
                local: user.path.clone(),
                remote: from.clone(),
            };
            user.msrp.handle_command(msrp::Command::Bind(parameters), now);
        }
        if let msrp::Event::Received {
            session,
            message,
            due,
        } = event
        {
            user.msrp.handle_command(
                msrp::Command::Answer {
                    due,
                    status: Status::OK,
                },
                now,
            );
            user.received.push((session, message));
        } else {
            user.msrp_events.push_back(event);
        }
    }
}

pub(crate) fn session_id(path: &msrp::Path) -> SessionId {
    path.last().session().unwrap().clone()
}

pub(crate) fn flow(peer: SocketAddr, id: u64) -> Flow {
    Flow {
        transport: Transport::Tcp,
        peer,
        id: Some(FlowId(id)),
    }
}

pub(crate) fn endpoint(address: SocketAddr, seed: u8, proxy: Option<&str>) -> Endpoint {
    let config = sip::Config {
        local: vec![LocalAddress {
            transport: Transport::Tcp,
            host: address.ip().to_string(),
            port: address.port(),
        }],
        outbound_proxy: proxy.map(|proxy| format!("sip:{proxy};transport=tcp;lr").parse().unwrap()),
        product: "stage".to_owned(),
        limits: sip::Limits::default(),
        t1: Duration::from_millis(500),
    };
    let mut endpoint = Endpoint::new(config, [seed; 32]);
    // Everybody here is behind a proxy that asserts who he is.
    endpoint.set_trust(sip::Trust {
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..sip::Trust::default()
    });
    endpoint
}
