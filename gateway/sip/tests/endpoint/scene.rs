//! Virtual time and scripted peers for the endpoint's tests.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use sip::{
    AnswerDue, Body, Command, Config, Contact, DialogId, Endpoint, Event, Flow, FlowId, Limits, LocalAddress,
    Resolve, SubscriptionId, Transmit, Transport,
    message::{Message, Request, Response},
};

pub(crate) const PEER: &str = "192.0.2.10:5060";
pub(crate) const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=message 7654 TCP/MSRP *\r\n";

pub(crate) fn udp() -> Flow {
    Flow {
        transport: Transport::Udp,
        peer: PEER.parse().unwrap(),
        id: None,
    }
}

pub(crate) fn tcp(id: u64) -> Flow {
    Flow {
        transport: Transport::Tcp,
        peer: "192.0.2.10:40000".parse().unwrap(),
        id: Some(FlowId(id)),
    }
}

pub(crate) fn config() -> Config {
    let local = |transport| LocalAddress {
        transport,
        host: "198.51.100.1".to_owned(),
        port: 5060,
    };
    Config {
        local: vec![local(Transport::Udp), local(Transport::Tcp)],
        outbound_proxy: None,
        product: "test".to_owned(),
        limits: Limits::default(),
        t1: Duration::from_millis(500),
    }
}

pub(crate) fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary start for virtual time")]
    Instant::now()
}

pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

pub(crate) fn body() -> Body {
    Body {
        content_type: "application/sdp".to_owned(),
        bytes: Bytes::from_static(SDP.as_bytes()),
    }
}

pub(crate) fn document(text: &str) -> Body {
    Body {
        content_type: "application/conference-info+xml".to_owned(),
        bytes: Bytes::copy_from_slice(text.as_bytes()),
    }
}

pub(crate) fn room() -> Contact {
    Contact {
        user: Some("capulet".to_owned()),
        parameters: vec![("isfocus", None)],
    }
}

/// A request of a scripted peer.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) uri: String,
    pub(crate) branch: String,
    pub(crate) transport: &'static str,
    pub(crate) from_tag: String,
    pub(crate) to_tag: Option<String>,
    pub(crate) call_id: String,
    pub(crate) cseq: u32,
    pub(crate) headers: Vec<String>,
    pub(crate) contact: Option<String>,
    pub(crate) body: String,
}

impl Ask {
    pub(crate) fn new(method: &'static str, cseq: u32) -> Self {
        Self {
            method,
            uri: "sip:capulet@rooms.example.com".to_owned(),
            branch: format!("z9hG4bK-{method}-{cseq}"),
            transport: "UDP",
            from_tag: "romeo-tag".to_owned(),
            to_tag: None,
            call_id: "call-1".to_owned(),
            cseq,
            headers: Vec::new(),
            contact: Some("<sip:romeo@192.0.2.10:5060>".to_owned()),
            body: String::new(),
        }
    }
    pub(crate) fn invite() -> Self {
        Self::new("INVITE", 1).body(SDP)
    }
    pub(crate) fn subscribe(cseq: u32) -> Self {
        Self::new("SUBSCRIBE", cseq)
            .header("Event: conference")
            .header("Accept: application/conference-info+xml")
    }
    /// The ACK of the dialog's 2xx, with a branch of its own.
    pub(crate) fn ack(cseq: u32, to_tag: &str) -> Self {
        Self::new("ACK", cseq).to(to_tag)
    }
    pub(crate) fn branch(mut self, branch: &str) -> Self {
        self.branch = branch.to_owned();
        self
    }
    pub(crate) fn to(mut self, tag: &str) -> Self {
        self.to_tag = Some(tag.to_owned());
        self
    }
    pub(crate) fn call(mut self, call_id: &str) -> Self {
        self.call_id = call_id.to_owned();
        self
    }
    pub(crate) fn over(mut self, transport: &'static str) -> Self {
        self.transport = transport;
        self
    }
    pub(crate) fn header(mut self, line: &str) -> Self {
        self.headers.push(line.to_owned());
        self
    }
    pub(crate) fn contact(mut self, contact: Option<&str>) -> Self {
        self.contact = contact.map(str::to_owned);
        self
    }
    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self
    }
    pub(crate) fn text(&self) -> String {
        let Self {
            method,
            uri,
            transport,
            branch,
            from_tag,
            call_id,
            cseq,
            body,
            ..
        } = self;
        let mut text = format!("{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} 192.0.2.10:5060");
        if !branch.is_empty() {
            text += &format!(";branch={branch}");
        }
        let to_tag = self
            .to_tag
            .as_ref()
            .map(|tag| format!(";tag={tag}"))
            .unwrap_or_default();
        text += &format!(
            "\r\nMax-Forwards: 70\r\nFrom: \"Romeo\" <sip:romeo@example.org>;tag={from_tag}\r\nTo: <sip:capulet@rooms.example.com>{to_tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n"
        );
        if let Some(contact) = &self.contact {
            text += &format!("Contact: {contact}\r\n");
        }
        for header in &self.headers {
            text += header;
            text += "\r\n";
        }
        if !body.is_empty() {
            text += "Content-Type: application/sdp\r\n";
        }
        text + &format!("Content-Length: {}\r\n\r\n{body}", body.len())
    }
}

/// A response of a scripted peer to a request of the endpoint.
pub(crate) fn response(request: &Request, status: u16, to_tag: &str, further: &[&str], body: &str) -> String {
    let mut text = format!("SIP/2.0 {status} Whatever\r\n");
    for header in &request.headers.0 {
        if ["Via", "From", "Call-ID", "CSeq"].contains(&&*header.name) {
            text += &format!("{}: {}\r\n", header.name, header.value);
        }
        if header.name == "To" {
            text += &format!("To: {}", header.value);
            if !header.value.contains(";tag=") && !to_tag.is_empty() {
                text += &format!(";tag={to_tag}");
            }
            text += "\r\n";
        }
    }
    for line in further {
        text += line;
        text += "\r\n";
    }
    if !body.is_empty() {
        text += "Content-Type: application/sdp\r\n";
    }
    text + &format!("Content-Length: {}\r\n\r\n{body}", body.len())
}

/// One endpoint, a clock and what it sent and said.
pub(crate) struct Scene {
    pub(crate) endpoint: Endpoint,
    pub(crate) started: Instant,
    pub(crate) now: Instant,
    pub(crate) sent: VecDeque<(Instant, Transmit)>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) resolves: VecDeque<Resolve>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }
    pub(crate) fn with(config: Config) -> Self {
        let now = start();
        Self {
            endpoint: Endpoint::new(config, [7; 32]),
            started: now,
            now,
            sent: VecDeque::new(),
            events: VecDeque::new(),
            resolves: VecDeque::new(),
        }
    }
    pub(crate) fn drain(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.sent.push_back((self.now, transmit));
        }
        while let Some(event) = self.endpoint.poll_event() {
            self.events.push_back(event);
        }
        while let Some(resolve) = self.endpoint.poll_resolve() {
            self.resolves.push_back(resolve);
        }
    }
    pub(crate) fn receive(&mut self, text: &str) {
        self.receive_on(udp(), text);
    }
    pub(crate) fn receive_on(&mut self, flow: Flow, text: &str) {
        self.endpoint
            .handle_message(flow, Bytes::copy_from_slice(text.as_bytes()), self.now);
        self.drain();
    }
    pub(crate) fn ask(&mut self, ask: &Ask) {
        let flow = if ask.transport == "TCP" { tcp(1) } else { udp() };
        self.receive_on(flow, &ask.text());
    }
    pub(crate) fn command(&mut self, command: Command) {
        self.endpoint.handle_command(command, self.now);
        self.drain();
    }
    pub(crate) fn resolved(&mut self, addresses: &[&str]) {
        let resolve = self.resolves.pop_front().unwrap();
        let addresses: Vec<SocketAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        self.endpoint.handle_resolved(resolve.id, addresses, self.now);
        self.drain();
    }
    pub(crate) fn fail(&mut self, transmit: &Transmit) {
        self.endpoint.handle_transmit_failed(transmit.id, self.now);
        self.drain();
    }
    /// Lets time pass, stopping at every deadline.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }
    /// The next thing sent.
    pub(crate) fn transmit(&mut self) -> Transmit {
        self.sent
            .pop_front()
            .map(|(_, transmit)| transmit)
            .unwrap_or_else(|| panic!("nothing was sent"))
    }
    pub(crate) fn response(&mut self) -> Response {
        let transmit = self.transmit();
        match Message::parse(&transmit.bytes) {
            Ok(Message::Response(response)) => response,
            other => panic!("no response: {other:?}"),
        }
    }
    pub(crate) fn request(&mut self) -> Request {
        let transmit = self.transmit();
        match Message::parse(&transmit.bytes) {
            Ok(Message::Request(request)) => request,
            other => panic!("no request: {other:?}"),
        }
    }
    /// The statuses and methods of all that was sent since, with the milliseconds of their sending.
    pub(crate) fn log(&mut self) -> Vec<(u128, String)> {
        let started = self.started;
        self.sent
            .drain(..)
            .map(|(at, transmit)| ((at - started).as_millis(), title(&transmit.bytes)))
            .collect()
    }
    pub(crate) fn titles(&mut self) -> Vec<String> {
        self.log().into_iter().map(|(_, title)| title).collect()
    }
    pub(crate) fn event(&mut self) -> Event {
        self.events
            .pop_front()
            .unwrap_or_else(|| panic!("nothing happened"))
    }
    pub(crate) fn assert_quiet(&self) {
        assert!(self.events.is_empty(), "{:?}", self.events);
        assert!(self.sent.is_empty(), "{:?}", self.sent);
    }
    pub(crate) fn assert_empty(&mut self) {
        assert_eq!(self.endpoint.census(), (0, 0, 0));
        assert_eq!(self.endpoint.poll_timeout(), None);
    }
    /// An INVITE up to its event.
    pub(crate) fn invited(&mut self, invite: &Ask) -> (DialogId, AnswerDue) {
        self.ask(invite);
        match self.event() {
            Event::Invited { dialog, due, .. } => (dialog, due),
            other => panic!("{other:?}"),
        }
    }
    pub(crate) fn accept(&mut self, due: AnswerDue) -> Response {
        self.command(Command::Accept {
            due,
            contact: room(),
            body: body(),
        });
        self.response()
    }
    /// A dialog up to its ACK; gives our tag.
    pub(crate) fn established(&mut self, invite: &Ask) -> (DialogId, String) {
        let (dialog, due) = self.invited(invite);
        let tag = tag_of(&self.accept(due));
        let mut ack = Ask::ack(invite.cseq, &tag)
            .call(&invite.call_id)
            .over(invite.transport);
        ack.from_tag.clone_from(&invite.from_tag);
        self.ask(&ack);
        assert_eq!(self.event(), Event::Confirmed { dialog, body: None });
        (dialog, tag)
    }
    /// A SUBSCRIBE up to its 200; gives our tag.
    pub(crate) fn subscribed(&mut self, subscribe: &Ask) -> (SubscriptionId, String) {
        self.ask(subscribe);
        let Event::Subscribing {
            subscription, due, ..
        } = self.event()
        else {
            panic!("no subscription")
        };
        self.command(Command::AcceptSubscription { due, contact: room() });
        let response = self.response();
        assert_eq!(response.status.0, 200);
        (subscription, tag_of(&response))
    }
    pub(crate) fn answer(&mut self, request: &Request, status: u16) {
        self.receive(&response(request, status, "peer-tag", &[], ""));
    }
}

pub(crate) fn tag_of(response: &Response) -> String {
    let to: sip::NameAddr = response.headers.get("To").unwrap().parse().unwrap();
    to.parameter("tag").unwrap().to_owned()
}

pub(crate) fn title(bytes: &Bytes) -> String {
    match Message::parse(bytes) {
        Ok(Message::Request(request)) => request.method.to_string(),
        Ok(Message::Response(response)) => {
            let cseq = response.headers.get("CSeq").unwrap_or_default();
            format!(
                "{} {}",
                response.status.0,
                cseq.split(' ').nth(1).unwrap_or_default()
            )
        }
        Err(fault) => panic!("the endpoint sent what its own parser refuses: {fault}"),
    }
}
