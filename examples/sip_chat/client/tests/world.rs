//! The scripted room and the wires between it and the client.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use msrp::{
    FailureReport, Lane, MessageId, MessageTag, OutgoingMessage, SessionId, SessionParameters, Status,
    cpim::{Address, Cpim},
};
use sip::{
    AnswerDue, Body, Contact, DialogId, Event as SipEvent, Flow, FlowId, Headers, Incoming, LocalAddress,
    Method, NameAddr, Reason, StatusCode, SubscriptionId, SubscriptionState, Transport,
    conference::{self, Document},
    message::{Message, Request, Response},
    sdp::{Line, Session},
};

use crate::client::{Client, Command, Event, MediaRequest, Settings};

pub(super) const ROOM: &str = "sip:capulet@rooms.example.com";
const FOCUS: ([u8; 4], u16) = ([127, 0, 0, 1], 5060);
const OURS: ([u8; 4], u16) = ([127, 0, 0, 1], 5070);
const SWITCH_PORT: u16 = 2855;
const SWITCH_PATH: &str = "msrp://127.0.0.1:2855/9f2dk3nsl1mzx0q8;tcp";

/// Client, focus and switch under one clock. Whatever one of them sends is delivered at once.
pub(super) struct World {
    pub(super) client: Client,
    /// Whether SIP still reaches the focus.
    pub(super) focus_alive: bool,
    /// Whether the client's connection attempt succeeds.
    pub(super) switch_reachable: bool,
    /// The client has closed its side of the MSRP connection.
    pub(super) media_closed: bool,
    /// Every SUBSCRIBE is refused with this.
    pub(super) subscriptions_refused: Option<u16>,
    /// All that the client sent, in order.
    pub(super) wire: Vec<u8>,
    now: Instant,
    start: (Instant, Timestamp),
    focus: sip::Endpoint,
    switch: msrp::Connection,
    connected: bool,
    session: Option<SessionId>,
    dialog: Option<DialogId>,
    heard: VecDeque<SipEvent>,
    switch_heard: VecDeque<msrp::Event>,
    told: Vec<Event>,
    delivered: u64,
    cseq: u32,
    sip_sent: Vec<Bytes>,
}

/// The media line of a switch that can do everything.
pub(super) fn switch_line() -> Line {
    Line {
        host: "127.0.0.1".to_owned(),
        port: SWITCH_PORT,
        protocol: "TCP/MSRP",
        attributes: vec![
            ("accept-types", Some("message/cpim".to_owned())),
            ("accept-wrapped-types", Some("*".to_owned())),
            ("setup", Some("passive".to_owned())),
            ("path", Some(SWITCH_PATH.to_owned())),
            ("chatroom", Some("nickname private-messages".to_owned())),
        ],
    }
}

impl World {
    /// A client that has sent its INVITE.
    pub(super) fn new() -> Self {
        let start = (Instant::now(), "2026-11-20T23:00:00Z".parse().unwrap());
        let local = |(host, port): ([u8; 4], u16)| LocalAddress {
            transport: Transport::Tcp,
            host: std::net::Ipv4Addr::from(host).to_string(),
            port,
        };
        let settings = Settings {
            credentials: None,
            from: "sip:romeo@example.org".parse().unwrap(),
            display_name: Some("Romeo M.".to_owned()),
            room: ROOM.parse().unwrap(),
            nickname: Some("Romeo".to_owned()),
            secured: false,
            subscribe: true,
            proxy: "sip:127.0.0.1:5060;transport=tcp;lr".parse().unwrap(),
            local: vec![local(OURS)],
            host: "127.0.0.1".to_owned(),
        };
        let focus = sip::Config {
            local: vec![local(FOCUS)],
            outbound_proxy: None,
            product: "focus".to_owned(),
            limits: sip::Limits::default(),
            t1: Duration::from_millis(500),
        };
        let mut world = Self {
            client: Client::new(settings, [1; 32], start),
            focus_alive: true,
            switch_reachable: true,
            media_closed: false,
            subscriptions_refused: None,
            wire: Vec::new(),
            now: start.0,
            start,
            focus: sip::Endpoint::new(focus, [2; 32]),
            switch: msrp::Connection::new(msrp::Limits::default(), [3; 32]),
            connected: false,
            session: None,
            dialog: None,
            heard: VecDeque::new(),
            switch_heard: VecDeque::new(),
            told: Vec::new(),
            delivered: 0,
            cseq: 100,
            sip_sent: Vec::new(),
        };
        world.client.start(world.now);
        world.run();
        world
    }

    /// A client in the room under the nickname Romeo, its subscription accepted; its events are taken.
    pub(super) fn entered() -> Self {
        let mut world = Self::new();
        world.answer(&switch_line());
        world.grant_nickname();
        world.events();
        world
    }

    /// What the user was told since the last call, steps on the way aside.
    pub(super) fn events(&mut self) -> Vec<Event> {
        let told = std::mem::take(&mut self.told);
        told.into_iter()
            .filter(|event| !matches!(event, Event::Progress { .. }))
            .collect()
    }

    pub(super) fn wall_clock(&self) -> Timestamp {
        self.start.1.checked_add(self.now - self.start.0).unwrap()
    }

    pub(super) fn command(&mut self, command: Command) {
        self.client.handle_command(command, self.now);
        self.run();
    }

    /// Lets time pass, timer by timer.
    pub(super) fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let due = [
                self.client.poll_timeout(),
                self.focus.poll_timeout(),
                self.switch.poll_timeout(),
            ];
            match due.into_iter().flatten().min() {
                Some(at) if at <= end => self.now = self.now.max(at),
                _ => break,
            }
            self.tick();
        }
        self.now = end;
        self.tick();
    }

    /// The INVITE.
    pub(super) fn invited(&mut self) -> (DialogId, Incoming, AnswerDue) {
        match self.take_focus(|event| matches!(event, SipEvent::Invited { .. })) {
            Some(SipEvent::Invited { dialog, request, due }) => {
                self.dialog = Some(dialog);
                (dialog, *request, due)
            }
            other => panic!("no INVITE: {other:?}"),
        }
    }

    /// Answers the INVITE with this media line.
    pub(super) fn answer(&mut self, line: &Line) {
        let (_, request, due) = self.invited();
        let offer = Session::parse(&request.body.unwrap().bytes).unwrap();
        let body = Body {
            content_type: "application/sdp".to_owned(),
            bytes: offer.answer(0, line, 1, 1).into(),
        };
        let contact = focus_contact();
        self.focus_command(sip::Command::Accept { due, contact, body });
    }

    pub(super) fn refuse(&mut self, due: AnswerDue, status: u16) {
        self.focus_command(sip::Command::Refuse {
            due,
            status: StatusCode(status),
            phrase: None,
            headers: Vec::new(),
        });
    }

    /// The accepted subscription, if there is a new one.
    pub(super) fn subscription(&mut self) -> Option<SubscriptionId> {
        match self.take_focus(|event| matches!(event, SipEvent::Subscribing { .. }))? {
            SipEvent::Subscribing {
                subscription,
                dialog,
                request,
                due,
            } => {
                assert_eq!(dialog, None, "RFC 6665 §4.5: a dialog of its own");
                assert_eq!(request.headers.get("Event"), Some("conference"));
                let contact = focus_contact();
                self.focus_command(sip::Command::AcceptSubscription { due, contact });
                Some(subscription)
            }
            _ => None,
        }
    }

    pub(super) fn notify(&mut self, subscription: SubscriptionId, version: u32, document: &Document) {
        self.focus_command(sip::Command::Notify {
            subscription,
            state: SubscriptionState::Active,
            body: Some(Body {
                content_type: conference::CONTENT_TYPE.to_owned(),
                bytes: document.render().with_version(version),
            }),
        });
    }

    pub(super) fn terminate(&mut self, subscription: SubscriptionId, reason: &str) {
        self.focus_command(sip::Command::Notify {
            subscription,
            state: SubscriptionState::Terminated(reason.to_owned()),
            body: None,
        });
    }

    /// The REFER.
    pub(super) fn referred(&mut self) -> (NameAddr, AnswerDue) {
        match self.take_focus(|event| matches!(event, SipEvent::Referred { .. })) {
            Some(SipEvent::Referred { refer_to, due, .. }) => (refer_to, due),
            other => panic!("no REFER: {other:?}"),
        }
    }

    pub(super) fn accept_refer(&mut self, due: AnswerDue) {
        let contact = focus_contact();
        self.focus_command(sip::Command::AcceptRefer { due, contact });
    }

    /// BYE from the room.
    pub(super) fn hang_up(&mut self, reason: Option<Reason>) {
        let dialog = self.dialog.expect("a dialog");
        self.focus_command(sip::Command::Bye { dialog, reason });
    }

    /// A re-INVITE with this offer, and the client's answer to it. The endpoint of the focus cannot send one, so it is written by hand
    /// from the ACK that went before.
    pub(super) fn reinvite(&mut self, offer: Option<&Line>) -> Response {
        let sent = self.wire_messages();
        let ack = sent.iter().find_map(|message| match message {
            Message::Request(request) if request.method == Method::ACK => Some(request),
            _ => None,
        });
        let ack = ack.expect("an ACK");
        let header = |name: &str| ack.headers.get(name).unwrap().to_owned();
        self.cseq += 1;
        let mut headers = Headers::default();
        headers.push(
            "Via",
            format!("SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bK{}", self.cseq),
        );
        headers.push("From", header("To"));
        headers.push("To", header("From"));
        headers.push("Call-ID", header("Call-ID"));
        headers.push("CSeq", format!("{} INVITE", self.cseq));
        headers.push("Max-Forwards", "70");
        headers.push("Contact", "<sip:capulet@127.0.0.1:5060;transport=tcp>;isfocus");
        if offer.is_some() {
            headers.push("Content-Type", "application/sdp");
        }
        let request = Message::Request(Request {
            method: Method::INVITE,
            uri: "sip:romeo@127.0.0.1:5070;transport=tcp".parse().unwrap(),
            headers,
            body: offer
                .map(|line| Session::offer(line, 1, 2).into())
                .unwrap_or_default(),
        });
        self.client.handle_sip(flow(FOCUS), request.to_bytes(), self.now);
        self.run();
        let cseq = format!("{} INVITE", self.cseq);
        let answers = self.wire_messages().into_iter().rev();
        let mut answers = answers.filter_map(|message| match message {
            Message::Response(response) if response.headers.get("CSeq") == Some(&cseq) => Some(response),
            _ => None,
        });
        answers.next().expect("an answer")
    }

    /// The SIP messages that the client sent.
    fn wire_messages(&self) -> Vec<Message> {
        self.sip_sent
            .iter()
            .map(|bytes| Message::parse(bytes).unwrap())
            .collect()
    }

    /// Whether the client's BYE came.
    pub(super) fn dialog_ended(&mut self) -> bool {
        self.take_focus(|event| matches!(event, SipEvent::Ended { .. }))
            .is_some()
    }

    /// The Reason of the client's BYE.
    pub(super) fn ended_by_us(&mut self) -> Option<Reason> {
        match self.take_focus(|event| matches!(event, SipEvent::Ended { .. }))? {
            SipEvent::Ended {
                cause: sip::EndCause::Bye(reason),
                ..
            } => reason,
            _ => None,
        }
    }

    /// The first event of the focus that is such a one.
    pub(super) fn take_focus(&mut self, wanted: impl Fn(&SipEvent) -> bool) -> Option<SipEvent> {
        let index = self.heard.iter().position(wanted)?;
        self.heard.remove(index)
    }

    /// The NICKNAME request.
    pub(super) fn nickname_requested(&mut self) -> (String, msrp::AnswerDue) {
        match self.take_switch(|event| matches!(event, msrp::Event::NicknameRequested { .. })) {
            Some(msrp::Event::NicknameRequested { nickname, due, .. }) => (nickname, due),
            other => panic!("no NICKNAME: {other:?}"),
        }
    }

    pub(super) fn grant_nickname(&mut self) {
        let (_, due) = self.nickname_requested();
        self.answer_media(due, Status::OK);
    }

    /// The next message of the client.
    pub(super) fn received(&mut self) -> (Cpim, msrp::AnswerDue) {
        match self.take_switch(|event| matches!(event, msrp::Event::Received { .. })) {
            Some(msrp::Event::Received { message, due, .. }) => {
                assert_eq!(message.content_type, "message/cpim");
                (Cpim::parse(&message.body).unwrap(), due)
            }
            other => panic!("no SEND: {other:?}"),
        }
    }

    pub(super) fn answer_media(&mut self, due: msrp::AnswerDue, status: Status) {
        self.switch
            .handle_command(msrp::Command::Answer { due, status }, self.now);
        self.run();
    }

    /// A message from the switch, and what the client answers.
    pub(super) fn deliver(
        &mut self,
        from: &str,
        to: &str,
        date_time: Option<Timestamp>,
        content_type: &str,
        content: &str,
    ) -> Result<(), Status> {
        let address = |uri: &str| Address {
            display_name: None,
            uri: uri.to_owned(),
        };
        let cpim = Cpim {
            from: Some(address(from)),
            to: vec![address(to)],
            date_time,
            other: Vec::new(),
            content_type: content_type.to_owned(),
            content_headers: Vec::new(),
            content: content.to_owned().into(),
        };
        self.deliver_raw("message/cpim", &cpim.to_bytes())
    }

    pub(super) fn deliver_raw(&mut self, content_type: &'static str, body: &[u8]) -> Result<(), Status> {
        self.delivered += 1;
        let tag = MessageTag(self.delivered);
        let message = OutgoingMessage {
            tag,
            id: format!("m{:06}", self.delivered).parse::<MessageId>().unwrap(),
            content_type,
            body: Bytes::copy_from_slice(body),
            success_report: false,
            failure_report: FailureReport::Yes,
            lane: Lane::default(),
        };
        let session = self.session.clone().expect("a session");
        self.switch
            .handle_command(msrp::Command::Send { session, message }, self.now);
        self.run();
        let settled = |event: &msrp::Event| matches!(event, msrp::Event::Delivered { tag: of, .. } | msrp::Event::Failed { tag: of, .. } if *of == tag);
        match self.take_switch(settled) {
            Some(msrp::Event::Delivered { .. }) => Ok(()),
            Some(msrp::Event::Failed { status, .. }) => Err(status),
            other => panic!("not settled: {other:?}"),
        }
    }

    /// The MSRP connection breaks.
    pub(super) fn lose_media(&mut self) {
        self.connected = false;
        self.client
            .handle_media_lost("the connection to the switch has ended", self.now);
        self.run();
    }

    fn take_switch(&mut self, wanted: impl Fn(&msrp::Event) -> bool) -> Option<msrp::Event> {
        let index = self.switch_heard.iter().position(wanted)?;
        self.switch_heard.remove(index)
    }

    fn focus_command(&mut self, command: sip::Command) {
        self.focus.handle_command(command, self.now);
        self.run();
    }

    fn tick(&mut self) {
        self.client.handle_timeout(self.now);
        self.focus.handle_timeout(self.now);
        self.switch.handle_timeout(self.now);
        self.run();
    }

    /// Carries everything to and fro until nobody has anything more to say.
    fn run(&mut self) {
        let mut moved = true;
        while moved {
            moved = self.carry_sip();
            moved |= self.carry_media();
            while let Some(event) = self.client.poll_event() {
                self.told.push(event);
            }
            while let Some(event) = self.focus.poll_event() {
                self.hear(event);
                moved = true;
            }
            while let Some(event) = self.switch.poll_event() {
                self.hear_switch(event);
                moved = true;
            }
        }
    }

    fn carry_sip(&mut self) -> bool {
        let mut moved = false;
        while let Some(transmit) = self.client.poll_sip_transmit() {
            moved = true;
            self.wire.extend_from_slice(&transmit.bytes);
            self.sip_sent.push(transmit.bytes.clone());
            assert_eq!(
                transmit.target.peer,
                SocketAddr::from(FOCUS),
                "everything goes by the proxy"
            );
            if self.focus_alive {
                self.focus.handle_message(flow(OURS), transmit.bytes, self.now);
            }
        }
        while let Some(transmit) = self.focus.poll_transmit() {
            moved = true;
            if self.focus_alive {
                self.client.handle_sip(flow(FOCUS), transmit.bytes, self.now);
            }
        }
        assert_eq!(
            self.client.poll_resolve(),
            None,
            "numeric hosts are not looked up"
        );
        moved
    }

    fn carry_media(&mut self) -> bool {
        let mut moved = false;
        while let Some(request) = self.client.poll_media() {
            moved = true;
            match request {
                MediaRequest::Connect { host, port, tls } => {
                    assert_eq!(tls, None);
                    assert_eq!((host.as_str(), port), ("127.0.0.1", SWITCH_PORT));
                    self.connected = self.switch_reachable;
                    if self.switch_reachable {
                        self.client.handle_media_connected(self.now);
                    } else {
                        self.client.handle_media_lost("nobody listens there", self.now);
                    }
                }
                MediaRequest::Close => self.media_closed = true,
            }
        }
        let mut bytes = BytesMut::new();
        while self.client.poll_media_transmit(&mut bytes, 1000, self.now) {}
        if self.connected && !bytes.is_empty() {
            moved = true;
            self.wire.extend_from_slice(&bytes);
            self.switch.handle_bytes(&bytes, self.now);
        }
        let mut bytes = BytesMut::new();
        while self.switch.poll_transmit(&mut bytes, 1000, self.now) {}
        if self.connected && !bytes.is_empty() {
            moved = true;
            self.client.handle_media_bytes(&bytes, self.now);
        }
        moved
    }

    fn hear(&mut self, event: SipEvent) {
        match (event, self.subscriptions_refused) {
            (SipEvent::Subscribing { due, .. }, Some(status)) => self.focus.handle_command(
                sip::Command::Refuse {
                    due,
                    status: StatusCode(status),
                    phrase: None,
                    headers: Vec::new(),
                },
                self.now,
            ),
            (event, _) => self.heard.push_back(event),
        }
    }

    fn hear_switch(&mut self, event: msrp::Event) {
        if let msrp::Event::BindRequested { session, from } = event {
            self.session = Some(session);
            let parameters = SessionParameters {
                local: SWITCH_PATH.parse().unwrap(),
                remote: from,
            };
            self.switch
                .handle_command(msrp::Command::Bind(parameters), self.now);
        } else {
            self.switch_heard.push_back(event);
        }
    }
}

fn flow(peer: ([u8; 4], u16)) -> Flow {
    Flow {
        transport: Transport::Tcp,
        peer: peer.into(),
        id: Some(FlowId(1)),
    }
}

fn focus_contact() -> Contact {
    Contact {
        user: Some("capulet".to_owned()),
        parameters: vec![("isfocus", None)],
    }
}
