//! A connection under commands, bytes and time in any order.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use msrp::{
    AnswerDue, Command, Connection, Event, FailureReport, Lane, Limits, MessageTag, OutgoingMessage, Path,
    SessionId, SessionParameters, Status,
    frame::{Decoder, Flag, Frame, Kind, Method},
    relay::{self, Account, Algorithm},
};

const LIMITS: Limits = Limits {
    start_line: 128,
    header_line: 512,
    headers: 12,
    chunk_in: 1024,
    chunk_out: 2048,
    message: 4096,
    open_messages: 2,
    reassembly: 16 * 1024,
    incoming: 24 * 1024,
    sessions: 3,
    outgoing: 16 * 1024,
    unanswered: 3,
    transaction: Duration::from_secs(30),
    chunk_reception: Duration::from_secs(540),
};

/// Session-ids that the input chooses from: one more than [`Limits::sessions`].
const SESSIONS: [&str; 4] = ["ours", "second", "third", "fourth"];

const STATUSES: [u16; 9] = [200, 400, 401, 403, 408, 413, 481, 506, 299];

/// What an input does, octet by octet; what it has run out of is zero.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn octet(&mut self) -> u8 {
        match self.0.split_first() {
            Some((octet, rest)) => {
                self.0 = rest;
                *octet
            }
            None => 0,
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.octet()) % limit
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(u16::from_le_bytes([self.octet(), self.octet()]));
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        bytes
    }
}

struct Stage {
    connection: Connection,
    now: Instant,
    /// Reads what the connection writes.
    reader: Decoder,
    dues: Vec<AnswerDue>,
    /// Requests of the connection that have not been answered.
    asked: Vec<Frame>,
    transactions: BTreeSet<String>,
    /// Messages and nickname requests by their tag, `true` when settled.
    messages: BTreeMap<u64, bool>,
    nicknames: BTreeMap<u64, bool>,
    /// After `Closed` or `Faulted`.
    ended: bool,
    /// Octets that commands may have put on the queue beside what the limit counts.
    allowance: usize,
}

/// No panic; memory within bounds; every message and nickname request settled exactly once, at the latest by the end; everything
/// written can be read; deadlines move on.
pub(crate) fn connection(data: &[u8]) {
    let mut script = Script(data);
    let mut stage = Stage::new();
    while !script.0.is_empty() {
        stage.act(&mut script);
        stage.check();
    }
    stage.connection.handle_closed(stage.now);
    stage.events();
    assert!(stage.ended, "no last event");
    assert!(
        stage.messages.values().all(|settled| *settled),
        "a message is not settled"
    );
    assert!(
        stage.nicknames.values().all(|settled| *settled),
        "a nickname is not settled"
    );
    assert_eq!(stage.connection.poll_timeout(), None);
    assert!(
        !stage.transmit(usize::MAX),
        "octets after the end of the transport"
    );
}

impl Stage {
    #[expect(
        clippy::disallowed_methods,
        reason = "an `Instant` has no other source; from here on the time is virtual"
    )]
    fn new() -> Self {
        Self {
            connection: Connection::new(LIMITS, [7; 32]),
            now: Instant::now(),
            reader: Decoder::new(&Limits::default()),
            dues: Vec::new(),
            asked: Vec::new(),
            transactions: BTreeSet::new(),
            messages: BTreeMap::new(),
            nicknames: BTreeMap::new(),
            ended: false,
            allowance: 0,
        }
    }

    fn act(&mut self, script: &mut Script<'_>) {
        match script.octet() % 20 {
            0 => self.hear(script.bytes()),
            1 => self.hear_send(script),
            2 => self.pass(Duration::from_secs(u64::from(script.octet()) * 5)),
            3 => {
                self.transmit(usize::from(script.octet()) * 64);
            }
            4 => self.respond(script),
            5 => self.answer(script),
            6 => self.send(script),
            7 => self.nickname(script),
            8 => self.command(Command::Bind(parameters(script.below(SESSIONS.len())))),
            9 => self.command(Command::Open(parameters(script.below(SESSIONS.len())))),
            10 => {
                let session = session(script.below(SESSIONS.len()));
                let status = status(script);
                self.command(Command::RefuseBind { session, status });
            }
            11 => self.command(Command::Unbind(session(script.below(SESSIONS.len())))),
            12 => {
                let command = Command::Report {
                    session: session(script.below(SESSIONS.len())),
                    message: format!("msg{}", script.below(6)).parse().expect("an ident"),
                    octets: u64::from(script.octet()),
                    status: status(script),
                };
                self.command(command);
            }
            13 => self.hear_report(script),
            16 => self.interject(script),
            17 => {
                let tag = MessageTag(script.below(self.messages.len().max(1)) as u64);
                let session = session(script.below(SESSIONS.len()));
                self.command(Command::Abort { session, tag });
            }
            18 => self.command(Command::Authorize(authorization(script))),
            14 if script.octet() > 200 => self.command(Command::Close),
            15 if script.octet() > 200 => self.connection.handle_closed(self.now),
            _ => {
                self.transmit(usize::MAX);
            }
        }
        self.events();
    }

    fn hear(&mut self, bytes: &[u8]) {
        let before = self.connection.outgoing_octets();
        self.connection.handle_bytes(bytes, self.now);
        self.events();
        // One frame may pass the limit before the connection is given up: with the answers of a session that it ends.
        let most = before.max(LIMITS.outgoing) + 32 * 1024;
        assert!(
            self.connection.outgoing_octets() <= most,
            "unread responses pile up"
        );
    }

    /// A chunk that is at least well formed.
    fn hear_send(&mut self, script: &mut Script<'_>) {
        let to = SESSIONS[script.below(SESSIONS.len())];
        let from = if script.octet() > 250 { "stranger" } else { to };
        let id = script.below(6);
        let transaction = script.below(6);
        let report = ["", "Success-Report: yes\r\n"][script.below(2)];
        let failure = ["", "Failure-Report: no\r\n", "Failure-Report: partial\r\n"][script.below(3)];
        let start = 1 + usize::from(script.octet()) * script.below(16);
        let flag = ['+', '$', '#'][script.below(3)];
        let length = usize::from(script.octet()) * script.below(6);
        let total = [
            "*",
            "5",
            "4096",
            "4097",
            "18446744073709551615",
            "18446744073709551616",
        ][script.below(6)];
        let body = if script.octet() > 240 {
            String::new()
        } else {
            format!("Content-Type: text/plain\r\n\r\n{}\r\n", "x".repeat(length))
        };
        self.hear(
            format!(
                "MSRP tid{transaction} SEND\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: msg{id}\r\n\
                 Byte-Range: {start}-*/{total}\r\n{report}{failure}{body}-------tid{transaction}{flag}\r\n",
                local(to),
                remote(from),
            )
            .as_bytes(),
        );
    }

    fn hear_report(&mut self, script: &mut Script<'_>) {
        let name = SESSIONS[script.below(SESSIONS.len())];
        let tag = u64::from(script.octet());
        let code = STATUSES[script.below(STATUSES.len())];
        let namespace = ["000", "001"][script.below(2)];
        let text = format!(
            "MSRP rep1 REPORT\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: out-{tag}\r\nByte-Range: 1-2/2\r\n\
             Status: {namespace} {code}\r\n-------rep1$\r\n",
            local(name),
            remote(name),
        );
        self.hear(text.as_bytes());
    }

    /// The peer answers a request, or one that never was.
    fn respond(&mut self, script: &mut Script<'_>) {
        self.transmit(usize::MAX);
        let which = script.below(8);
        let code = STATUSES[script.below(STATUSES.len())];
        let (transaction, name) = match which < self.asked.len() {
            true => {
                let request = self.asked.remove(which);
                let session = request.from.last().session().map(ToString::to_string);
                (request.transaction.to_string(), session.unwrap_or_default())
            }
            false => ("none".to_owned(), SESSIONS[0].to_owned()),
        };
        let headers = match script.below(4) {
            0 => "",
            1 => "Use-Path: msrps://relay.example.net:2855/r1;tcp\r\nExpires: 600\r\n",
            2 => "Use-Path: msrps://relay.example.net:2855/r2;tcp\r\nExpires: 0\r\n",
            _ => "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n",
        };
        let text = format!(
            "MSRP {transaction} {code}\r\nTo-Path: {}\r\nFrom-Path: {}\r\n{headers}-------{transaction}$\r\n",
            local(&name),
            remote(&name),
        );
        self.hear(text.as_bytes());
    }

    fn answer(&mut self, script: &mut Script<'_>) {
        let which = script.below(8);
        let status = status(script);
        if which < self.dues.len() {
            let due = self.dues.remove(which);
            self.command(Command::Answer { due, status });
        }
    }

    fn send(&mut self, script: &mut Script<'_>) {
        let session = session(script.below(SESSIONS.len()));
        let message = self.message(script);
        self.command(Command::Send { session, message });
    }

    fn interject(&mut self, script: &mut Script<'_>) {
        let session = session(script.below(SESSIONS.len()));
        let message = self.message(script);
        self.command(Command::Interject { session, message });
    }

    fn message(&mut self, script: &mut Script<'_>) -> OutgoingMessage {
        let tag = self.messages.len() as u64;
        let failure_report = [FailureReport::Yes, FailureReport::No, FailureReport::Partial][script.below(3)];
        let length = usize::from(script.octet()) * [1, 16, 64][script.below(3)];
        let filling = script.octet();
        let further = script.octet();
        self.messages.insert(tag, false);
        OutgoingMessage {
            tag: MessageTag(tag),
            id: format!("out-{}", tag % 256).parse().expect("an ident"),
            content_type: "message/cpim",
            body: Bytes::from(vec![filling; length]),
            success_report: further > 127,
            failure_report,
            lane: Lane(u64::from(further % 3)),
        }
    }

    fn nickname(&mut self, script: &mut Script<'_>) {
        let session = session(script.below(SESSIONS.len()));
        let tag = self.nicknames.len() as u64;
        let name = String::from_utf8_lossy(script.bytes()).into_owned();
        self.nicknames.insert(tag, false);
        self.command(Command::Nickname {
            session,
            tag: MessageTag(tag),
            nickname: name,
        });
    }

    fn command(&mut self, command: Command) {
        let before = self.connection.outgoing_octets();
        self.connection.handle_command(command, self.now);
        let grown = self.connection.outgoing_octets().saturating_sub(before);
        self.allowance += grown;
        assert!(grown <= 64 * 1024, "one command queues {grown} octets");
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for _ in 0..1000 {
            self.connection.handle_timeout(self.now);
            self.events();
            match self.connection.poll_timeout() {
                Some(next) if next <= self.now => {}
                _ => return,
            }
        }
        panic!("a deadline that does not pass");
    }

    /// Takes what the connection writes and reads it.
    fn transmit(&mut self, budget: usize) -> bool {
        let mut out = BytesMut::new();
        let mut any = false;
        while self.connection.poll_transmit(&mut out, budget, self.now) {
            assert!(!out.is_empty());
            any = true;
            self.reader.push(&out);
            out.clear();
            if budget != usize::MAX {
                break;
            }
        }
        while let Some(frame) = self.reader.next_frame() {
            self.written(frame.expect("what is written can be read"));
        }
        self.allowance = 0;
        any
    }

    fn written(&mut self, frame: Frame) {
        assert_eq!(frame.headers.broken, None);
        match &frame.kind {
            Kind::Response(_) => {
                assert_eq!(frame.flag, Flag::Complete);
                return;
            }
            Kind::Request(Method::Other(name)) => panic!("{name}"),
            Kind::Request(Method::Auth) => {}
            Kind::Request(method) => {
                assert!(
                    self.transactions.insert(frame.transaction.to_string()),
                    "a transaction id twice"
                );
                if *method == Method::Report || frame.failure_report() == FailureReport::No {
                    return;
                }
            }
        }
        self.asked.push(frame);
        if self.asked.len() > 64 {
            self.asked.remove(0);
        }
    }

    fn events(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Received { due, message, .. } => {
                    assert!(message.body.len() <= LIMITS.message);
                    self.dues.push(due);
                }
                Event::NicknameRequested { due, .. } => self.dues.push(due),
                Event::Delivered { tag, .. } | Event::Failed { tag, .. } => {
                    let settled = self.messages.insert(tag.0, true);
                    assert_eq!(settled, Some(false), "{tag:?} is settled twice or never was");
                }
                Event::NicknameAnswered { tag, .. } => {
                    let settled = self.nicknames.insert(tag.0, true);
                    assert_eq!(settled, Some(false), "{tag:?} is settled twice or never was");
                }
                Event::Closed | Event::Faulted(_) => {
                    assert!(!self.ended, "two last events");
                    self.ended = true;
                }
                Event::BindRequested { .. } | Event::Opened { .. } => assert!(!self.ended),
                Event::Reported { .. }
                | Event::Lost { .. }
                | Event::Congested { .. }
                | Event::Eased { .. }
                | Event::Authorized { .. }
                | Event::Unauthorized { .. } => {}
            }
        }
    }

    fn check(&mut self) {
        // And the line or body that is being read.
        let incoming = LIMITS.incoming + LIMITS.chunk_in + 64;
        assert!(self.connection.incoming_octets() <= incoming);
        // Dues that the owner has not answered are his; the connection's own are bounded per session.
        if self.dues.len() > 256 {
            self.dues.clear();
        }
    }
}

fn status(script: &mut Script<'_>) -> Status {
    match script.octet() {
        255 => Status::CONGESTED,
        octet => Status::from_code(STATUSES[usize::from(octet) % STATUSES.len()]),
    }
}

fn authorization(script: &mut Script<'_>) -> relay::Parameters {
    let relay = |name| {
        format!("msrps://{name}.example.net:2855;tcp")
            .parse()
            .expect("a URI")
    };
    let relays = ["outer", "inner"]
        .into_iter()
        .map(relay)
        .take(script.below(3))
        .collect();
    relay::Parameters {
        local: path(&local(SESSIONS[script.below(SESSIONS.len())]))
            .first()
            .clone(),
        relays,
        account: Account {
            username: "alice".to_owned(),
            password: "secret".to_owned(),
        },
        lifetime: [None, Some(0), Some(600), Some(u64::MAX)][script.below(4)],
        weakest: Algorithm::Md5,
        plaintext: script.octet() > 127,
    }
}

fn session(number: usize) -> SessionId {
    SESSIONS[number].parse().expect("a session-id")
}

fn parameters(number: usize) -> SessionParameters {
    SessionParameters {
        local: path(&local(SESSIONS[number])),
        remote: path(&remote(SESSIONS[number])),
    }
}

fn path(text: &str) -> Path {
    text.parse().expect("a path")
}

fn local(name: &str) -> String {
    format!("msrp://switch.example.com:2855/{name};tcp")
}

fn remote(name: &str) -> String {
    format!("msrp://client.example.org:7394/{name}-peer;tcp")
}
