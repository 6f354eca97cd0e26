//! The SIP endpoint under octets, commands and time in any order.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use sip::{
    AnswerDue, Body, Command, Contact, DialogId, Endpoint, Event, Flow, FlowId, InviteParameters, Limits,
    LocalAddress, NameAddr, Readiness, ReferParameters, StatusCode, SubscribeParameters, SubscriptionId,
    SubscriptionState, Transport,
    message::{Message, StreamDecoder, StreamItem},
};

use super::script::Script;

const METHODS: [&str; 12] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "SUBSCRIBE",
    "NOTIFY",
    "REFER",
    "OPTIONS",
    "MESSAGE",
    "UPDATE",
    "PRACK",
    "INFO",
];
const STATUSES: [u16; 14] = [
    100, 180, 183, 200, 202, 302, 401, 407, 408, 481, 487, 491, 503, 603,
];
/// Lines that a message may have or lack.
const HEADERS: [&str; 18] = [
    "Contact: <sip:a@127.0.0.9:5060;transport=tcp>",
    "Contact: *",
    "Event: conference",
    "Event: refer;id=1",
    "Expires: 3600",
    "Expires: 0",
    "Expires: 99999999999999999999",
    "Require: 100rel",
    "Require: unheard-of",
    "Supported: timer, 100rel",
    "Session-Expires: 90;refresher=uac",
    "Min-SE: 90",
    "Refer-To: <sip:mercutio@example.org;method=INVITE>",
    "Record-Route: <sip:127.0.0.8;lr>",
    "Subscription-State: terminated;reason=noresource",
    "RSeq: 1",
    "RAck: 1 1 INVITE",
    "WWW-Authenticate: Digest realm=\"a\", nonce=\"b\", qop=\"auth\"",
];

struct Stage {
    endpoint: Endpoint,
    stream: StreamDecoder,
    now: Instant,
    dues: Vec<AnswerDue>,
    dialogs: Vec<DialogId>,
    subscriptions: Vec<SubscriptionId>,
    /// Requests that it sent: their heads.
    sent: Vec<String>,
    /// Tags that it gave.
    tags: Vec<String>,
    /// Dialogs that it told of, each as being over or not.
    over: BTreeSet<DialogId>,
    next: u64,
}

/// No panic; what is written can be read; a dialog ends once; deadlines pass; nothing left when all is over.
pub(crate) fn endpoint(data: &[u8]) {
    let mut script = Script::new(data);
    let mut stage = Stage::new(script.octet());
    while !script.is_over() {
        stage.act(&mut script);
        stage.settle();
    }
    stage.end();
}

#[expect(
    clippy::disallowed_methods,
    reason = "an `Instant` has no other source; from here on the time is virtual"
)]
fn start() -> Instant {
    Instant::now()
}

impl Stage {
    fn new(setting: u8) -> Self {
        let local = |transport| LocalAddress {
            transport,
            host: "127.0.0.1".to_owned(),
            port: 5060,
        };
        let proxy = "sip:127.0.0.9;transport=tcp;lr".parse().expect("a URI");
        let config = sip::Config {
            local: vec![local(Transport::Udp), local(Transport::Tcp)],
            outbound_proxy: (setting & 1 == 1).then_some(proxy),
            product: "fuzzed".to_owned(),
            limits: Limits::default(),
            t1: Duration::from_millis(500),
        };
        let mut stage = Self {
            endpoint: Endpoint::new(config, [5; 32]),
            stream: StreamDecoder::new(Limits::default()),
            now: start(),
            dues: Vec::new(),
            dialogs: Vec::new(),
            subscriptions: Vec::new(),
            sent: Vec::new(),
            tags: Vec::new(),
            over: BTreeSet::new(),
            next: 1,
        };
        stage.command(Command::SetReadiness(Readiness::Ready));
        stage
    }

    fn act(&mut self, script: &mut Script<'_>) {
        match script.octet() % 16 {
            0 => {
                let bytes = Bytes::copy_from_slice(script.bytes());
                self.endpoint
                    .handle_message(flow(Transport::Udp), bytes, self.now);
            }
            1 => self.hear(script.bytes()),
            2..=5 => {
                let request = self.request(script);
                self.arrive(script, &request);
            }
            6..=8 => {
                if let Some(response) = self.response(script) {
                    self.arrive(script, &response);
                }
            }
            9 | 10 => self.answer(script),
            11 => self.within_dialog(script),
            12 => self.ask(script),
            13 => self.pass(script.pause()),
            14 => {
                let until = self.endpoint.poll_timeout().unwrap_or(self.now);
                self.pass(until.saturating_duration_since(self.now));
            }
            _ => {
                let ready = [Readiness::Ready, Readiness::Unavailable { retry_after: 5 }][script.below(2)];
                self.command(Command::SetReadiness(ready));
            }
        }
    }

    /// Over one transport or the other, whole or with something cut off or put in.
    fn arrive(&mut self, script: &mut Script<'_>, text: &str) {
        let mut octets = text.as_bytes().to_vec();
        if script.chance(8) {
            let place = usize::from(script.octet()) * octets.len() / 256;
            octets.splice(place..place, script.bytes().iter().copied());
        }
        if script.chance(8) {
            octets.truncate(usize::from(script.octet()) * octets.len() / 256);
        }
        if script.chance(2) {
            self.hear(&octets);
        } else {
            self.endpoint
                .handle_message(flow(Transport::Udp), Bytes::from(octets), self.now);
        }
    }

    /// Octets of the stream.
    fn hear(&mut self, octets: &[u8]) {
        self.stream.feed(octets);
        while let Some(item) = self.stream.poll() {
            let flow = flow(Transport::Tcp);
            match item {
                StreamItem::Message(bytes) => self.endpoint.handle_message(flow, bytes, self.now),
                StreamItem::TooLarge(head) => self.endpoint.handle_too_large(flow, head, self.now),
                StreamItem::KeepAlive => {}
                StreamItem::Lost(_) => {
                    self.stream = StreamDecoder::new(Limits::default());
                    return;
                }
            }
        }
    }

    fn request(&mut self, script: &mut Script<'_>) -> String {
        let method = script.pick(&METHODS);
        let (call, branch) = (script.below(4), script.below(8));
        let to_tag = match script.below(3) {
            0 => self.tags.last().map(|tag| format!(";tag={tag}")),
            1 => self
                .tags
                .get(script.below(self.tags.len()))
                .map(|tag| format!(";tag={tag}")),
            _ => None,
        };
        let headers: String = (0..script.below(5))
            .map(|_| format!("{}\r\n", script.pick(&HEADERS)))
            .collect();
        let body = if script.chance(3) {
            script.text()
        } else {
            String::new()
        };
        format!(
            "{method} sip:room@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.9:5060;branch=z9hG4bK{branch}{call};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:romeo@example.org>;tag=t{call}\r\nTo: <sip:room@127.0.0.1>{}\r\nCall-ID: c{call}\r\n\
             CSeq: {} {method}\r\n{headers}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            to_tag.unwrap_or_default(),
            script.octet(),
            body.len()
        )
    }

    /// To one of the requests that it sent.
    fn response(&mut self, script: &mut Script<'_>) -> Option<String> {
        let head = self.sent.get(script.below(self.sent.len()))?;
        let copied: String = head
            .split("\r\n")
            .filter(|line| {
                ["Via:", "From:", "Call-ID:", "CSeq:"]
                    .iter()
                    .any(|name| line.starts_with(name))
            })
            .map(|line| format!("{line}\r\n"))
            .collect();
        let to = head.split("\r\n").find(|line| line.starts_with("To:"))?;
        let tag = if to.contains("tag=") || script.chance(8) {
            ""
        } else {
            ";tag=theirs"
        };
        let status = match script.chance(8) {
            true => u16::from(script.octet()) * 3,
            false => script.pick(&STATUSES),
        };
        let headers: String = (0..script.below(4))
            .map(|_| format!("{}\r\n", script.pick(&HEADERS)))
            .collect();
        Some(format!(
            "SIP/2.0 {status:03} Whatever\r\n{copied}{to}{tag}\r\n{headers}Content-Length: 0\r\n\r\n"
        ))
    }

    fn answer(&mut self, script: &mut Script<'_>) {
        if self.dues.is_empty() {
            return;
        }
        let due = self.dues.remove(script.below(self.dues.len()));
        let command = match script.below(6) {
            0 => Command::Refuse {
                due,
                status: StatusCode(script.pick(&[302, 403, 486, 503, 600])),
                phrase: script.chance(2).then(|| script.text()),
                headers: Vec::new(),
            },
            1 => Command::AcceptRequest { due },
            2 => Command::AcceptSubscription {
                due,
                contact: contact(),
            },
            3 => Command::AcceptRefer {
                due,
                contact: contact(),
            },
            _ => Command::Accept {
                due,
                contact: contact(),
                body: body(),
            },
        };
        self.command(command);
    }

    fn within_dialog(&mut self, script: &mut Script<'_>) {
        let dialog = match self.dialogs.get(script.below(self.dialogs.len())) {
            Some(dialog) => *dialog,
            None => DialogId(script.octet().into()),
        };
        let subscription = match self.subscriptions.get(script.below(self.subscriptions.len())) {
            Some(subscription) => *subscription,
            None => SubscriptionId(script.octet().into()),
        };
        let command = match script.below(6) {
            0 => Command::Ring {
                dialog,
                status: StatusCode(180),
            },
            1 | 2 => Command::Bye { dialog, reason: None },
            3 => Command::Notify {
                subscription,
                state: SubscriptionState::Active,
                body: Some(body()),
            },
            4 => Command::Notify {
                subscription,
                state: SubscriptionState::Terminated("noresource".to_owned()),
                body: None,
            },
            _ => Command::Unsubscribe { subscription },
        };
        self.command(command);
    }

    /// The endpoint as the one that asks.
    fn ask(&mut self, script: &mut Script<'_>) {
        self.next += 2;
        // Ours are even, those of the endpoint odd.
        let number = 2 * self.next;
        let to = script.pick(&[
            "sip:juliet@127.0.0.9",
            "sip:juliet@example.org",
            "sips:a@b",
            "tel:+1",
        ]);
        let to = NameAddr::new(to.parse().expect("a URI"));
        let from = NameAddr::new("sip:gateway@127.0.0.1".parse().expect("a URI"));
        let uri = to.uri.clone();
        let command = match script.below(3) {
            0 => {
                self.dialogs.push(DialogId(number));
                let parameters = InviteParameters {
                    uri,
                    from,
                    to,
                    contact: contact(),
                    body: body(),
                    headers: Vec::new(),
                };
                Command::Invite {
                    dialog: DialogId(number),
                    parameters: Box::new(parameters),
                }
            }
            1 => {
                self.subscriptions.push(SubscriptionId(number));
                let parameters = SubscribeParameters {
                    uri,
                    from,
                    to,
                    contact: contact(),
                    event: "conference".to_owned(),
                    accept: "application/conference-info+xml".to_owned(),
                    expires: Duration::from_secs(600),
                };
                Command::Subscribe {
                    subscription: SubscriptionId(number),
                    parameters: Box::new(parameters),
                }
            }
            _ => {
                self.subscriptions.push(SubscriptionId(number));
                let refer_to = from.clone();
                let parameters = ReferParameters {
                    uri,
                    from,
                    to,
                    contact: contact(),
                    refer_to,
                    silent: false,
                };
                Command::Refer {
                    subscription: SubscriptionId(number),
                    parameters: Box::new(parameters),
                }
            }
        };
        self.command(command);
    }

    fn command(&mut self, command: Command) {
        self.endpoint.handle_command(command, self.now);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            let text = String::from_utf8_lossy(&transmit.bytes).into_owned();
            match Message::parse(&transmit.bytes) {
                Ok(Message::Request(_)) => self.sent.push(text),
                Ok(Message::Response(_)) => {
                    let to = text.split("\r\n").find_map(|line| line.strip_prefix("To: "));
                    if let Some((_, tag)) = to.and_then(|to| to.split_once(";tag=")) {
                        self.tags.push(tag.to_owned());
                    }
                }
                // What was wrong with a request stands in its refusal as well.
                Err(_) if text.starts_with("SIP/2.0 4") || text.starts_with("SIP/2.0 5") => {}
                Err(fault) => panic!("what is written cannot be read: {fault:?}: {text}"),
            }
            for kept in [&mut self.sent, &mut self.tags] {
                if kept.len() > 8 {
                    kept.remove(0);
                }
            }
        }
        while let Some(resolve) = self.endpoint.poll_resolve() {
            let addresses = match resolve.id.0 % 3 {
                0 => Vec::new(),
                _ => vec![SocketAddr::from(([127, 0, 0, 9], 5060))],
            };
            self.endpoint.handle_resolved(resolve.id, addresses, self.now);
        }
        while let Some(event) = self.endpoint.poll_event() {
            self.event(event);
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Invited { dialog, due, .. } => {
                assert!(!self.dialogs.contains(&dialog), "a dialog's number twice");
                self.dialogs.push(dialog);
                self.dues.push(due);
            }
            Event::Subscribing {
                subscription, due, ..
            } => {
                self.subscriptions.push(subscription);
                self.dues.push(due);
            }
            Event::Reinvited { due, .. } | Event::Referred { due, .. } | Event::Requested { due, .. } => {
                self.dues.push(due);
            }
            Event::Ended { dialog, .. } | Event::Cancelled { dialog } => {
                assert!(self.over.insert(dialog), "{dialog:?} ends twice");
            }
            Event::Refused { .. }
            | Event::Confirmed { .. }
            | Event::SubscriptionRefreshed { .. }
            | Event::SubscriptionEnded { .. }
            | Event::Progress { .. }
            | Event::Answered { .. }
            | Event::SubscriptionAccepted { .. }
            | Event::SubscriptionRefused { .. }
            | Event::Notified { .. }
            | Event::Reanswered { .. }
            | Event::ReinviteRefused { .. }
            | Event::ReferProgress { .. } => {}
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..20_000 {
            match self.endpoint.poll_timeout() {
                Some(due) if due <= until => {
                    self.now = due.max(self.now);
                    self.endpoint.handle_timeout(self.now);
                    self.settle();
                }
                _ => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("a deadline that does not pass");
    }

    /// All is refused, hung up and waited for.
    fn end(&mut self) {
        for _ in 0..3 {
            for due in std::mem::take(&mut self.dues) {
                let refusal = Command::Refuse {
                    due,
                    status: StatusCode(503),
                    phrase: None,
                    headers: Vec::new(),
                };
                self.endpoint.handle_command(refusal, self.now);
            }
            self.settle();
            for dialog in self.dialogs.clone() {
                self.endpoint
                    .handle_command(Command::Bye { dialog, reason: None }, self.now);
            }
            self.settle();
            self.pass(Duration::from_secs(300));
        }
        // Subscriptions of the longest kind run out.
        self.pass(Duration::from_secs(2 * 86_400));
        self.settle();
        let census = self.endpoint.census();
        assert_eq!(census, (0, 0, 0), "dialogs, subscriptions, transactions left");
    }
}

fn flow(transport: Transport) -> Flow {
    Flow {
        transport,
        peer: SocketAddr::from(([127, 0, 0, 9], 5060)),
        id: (transport == Transport::Tcp).then_some(FlowId(1)),
    }
}

fn contact() -> Contact {
    Contact {
        user: Some("me".to_owned()),
        parameters: Vec::new(),
    }
}

fn body() -> Body {
    Body {
        content_type: "application/sdp".to_owned(),
        bytes: Bytes::from_static(b"v=0\r\n"),
    }
}
