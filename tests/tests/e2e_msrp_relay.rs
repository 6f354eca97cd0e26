//! The MSRP relay client of the `msrp` crate against Kamailio's relay: AUTH with digest, and sessions through it both ways.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use gateway_tests::{
    Context, PATIENCE, Result, bail, ensure,
    peers::{Kamailio, kamailio::RELAY_PASSWORD},
};
use msrp::{
    Command, Connection, Event, FailureReport, Lane, Limits, MessageTag, OutgoingMessage, Path, SessionId,
    SessionParameters, Status, Uri,
    relay::{Account, Algorithm, Grant, Parameters, Refusal},
};
use msrp_checker::Judge;

#[test]
fn rfc4976_5_1_a_relay_refuses_a_wrong_password() -> Result<()> {
    let relay = Kamailio::start_msrp_relay()?;
    let mut alice = Endpoint::connect(relay.address(), "alice1234")?;
    alice.authorize(relay.address(), "wrong", None)?;
    let refused = alice.wait_for(|event| match event {
        Event::Unauthorized { refusal, .. } => Ok(refusal),
        other => Err(other.into()),
    })?;
    ensure!(matches!(refused, Refusal::Credentials { .. }), "{refused}");
    Ok(())
}

// Rows: C4975-41
#[test]
fn rfc4976_5_1_messages_go_both_ways_through_a_relay() -> Result<()> {
    let relay = Kamailio::start_msrp_relay()?;
    let mut alice = Endpoint::connect(relay.address(), "alice1234")?;
    alice.authorize(relay.address(), RELAY_PASSWORD, None)?;
    let grant = alice.granted()?;
    let remaining = grant.expires.context("no Expires")?.duration_since(alice.now());
    ensure!(remaining <= Duration::from_secs(3600), "{remaining:?}");

    // Bob has no relay: the one of Alice connects to him, as to the first hop of his path.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let bob_path = Path::single(uri(listener.local_addr()?, "bob56789")?);
    let alice_path = grant.offered_path(&alice.uri);
    ensure!(alice_path.hops().len() == 2, "{alice_path}");
    alice.command(Command::Open(SessionParameters {
        local: alice_path.clone(),
        remote: bob_path.clone(),
    }))?;
    let mut bob = Endpoint::over(accept(&listener)?, bob_path.last().clone())?;
    let asked = bob.wait_for(|event| match event {
        Event::BindRequested { from, .. } => Ok(from),
        other => Err(other.into()),
    })?;
    // The relay has put itself in front of the From-Path: the way back.
    assert_eq!(asked, alice_path);
    bob.command(Command::Bind(SessionParameters {
        local: bob_path,
        remote: alice_path,
    }))?;
    alice.wait_for(|event| match event {
        Event::Opened { .. } => Ok(()),
        other => Err(other.into()),
    })?;

    converse(&mut alice, &mut bob, "to Bob")?;
    converse(&mut bob, &mut alice, "to Alice")?;
    long_message(&mut alice, &mut bob)?;
    long_message(&mut bob, &mut alice)
}

#[test]
fn rfc4976_5_1_a_path_is_renewed_with_the_nonce_at_hand() -> Result<()> {
    let relay = Kamailio::start_msrp_relay()?;
    let mut alice = Endpoint::connect(relay.address(), "alice1234")?;
    alice.authorize(relay.address(), RELAY_PASSWORD, None)?;
    let first = alice.granted()?;
    let due = alice.connection.poll_timeout().context("no renewal is due")?;
    let wait = due.duration_since(alice.now());
    ensure!(wait > Duration::from_secs(60), "{wait:?}");
    // The clock is an argument: no need to wait.
    alice.ahead = wait;
    alice.connection.handle_timeout(alice.now());
    let renewed = alice.granted()?;
    ensure!(renewed.expires > first.expires, "{renewed:?}");
    Ok(())
}

/// Several messages, one by one at first, since the relay loses frames while it connects.
fn converse(from: &mut Endpoint, to: &mut Endpoint, text: &str) -> Result<()> {
    for number in 0..3 {
        from.send(number, &format!("{text} {number}"), true)?;
        ensure!(to.receive()? == format!("{text} {number}").as_bytes());
        from.delivered(number)?;
        // The success REPORT comes the whole way back.
        from.wait_for(|event| match event {
            Event::Reported { status, .. } if status == Status::OK => Ok(()),
            other => Err(other.into()),
        })?;
    }
    for number in 10..40 {
        from.send(number, &format!("{text} {number}"), false)?;
    }
    for number in 10..40 {
        ensure!(to.receive()? == format!("{text} {number}").as_bytes());
    }
    for number in 10..40 {
        from.delivered(number)?;
    }
    Ok(())
}

fn long_message(from: &mut Endpoint, to: &mut Endpoint) -> Result<()> {
    let text = "All the world's a stage. ".repeat(1000);
    from.send(50, &text, false)?;
    ensure!(to.receive()? == text.as_bytes());
    from.delivered(50)
}

/// One end with its connection, over blocking TCP.
struct Endpoint {
    connection: Connection,
    stream: TcpStream,
    /// Judges what the connection writes.
    judge: Judge,
    uri: Uri,
    /// How far its clock is ahead.
    ahead: Duration,
    /// Events that nobody has asked for yet.
    events: Vec<Event>,
}

impl Endpoint {
    fn connect(relay: SocketAddr, session: &str) -> Result<Self> {
        let stream = TcpStream::connect(relay)?;
        let uri = uri(stream.local_addr()?, session)?;
        Self::over(stream, uri)
    }

    fn over(stream: TcpStream, uri: Uri) -> Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_millis(20)))?;
        let seed = [uri.as_str().len() as u8; 32];
        Ok(Self {
            connection: Connection::new(Limits::default(), seed),
            stream,
            judge: Judge::default(),
            uri,
            ahead: Duration::ZERO,
            events: Vec::new(),
        })
    }

    fn now(&self) -> Instant {
        Instant::now() + self.ahead
    }

    fn session(&self) -> Result<SessionId> {
        self.uri.session().cloned().context("no session-id")
    }

    fn authorize(&mut self, relay: SocketAddr, password: &str, lifetime: Option<u64>) -> Result<()> {
        self.command(Command::Authorize(Parameters {
            local: self.uri.clone(),
            relays: vec![format!("msrp://{relay};tcp").parse()?],
            account: Account {
                username: "alice".to_owned(),
                password: password.to_owned(),
            },
            lifetime,
            weakest: Algorithm::Md5,
            plaintext: true,
        }))
    }

    fn granted(&mut self) -> Result<Grant> {
        self.wait_for(|event| match event {
            Event::Authorized { grant, .. } => Ok(Ok(grant)),
            Event::Unauthorized { refusal, .. } => Ok(Err(refusal)),
            other => Err(other.into()),
        })?
        .context("the relay refused")
    }

    fn send(&mut self, number: u64, text: &str, success_report: bool) -> Result<()> {
        let message = OutgoingMessage {
            tag: MessageTag(number),
            id: format!("{}-{number}", self.session()?).parse()?,
            content_type: "text/plain",
            body: text.to_owned().into(),
            success_report,
            failure_report: FailureReport::Yes,
            lane: Lane::default(),
        };
        let session = self.session()?;
        self.command(Command::Send { session, message })
    }

    fn delivered(&mut self, number: u64) -> Result<()> {
        let failure = self.wait_for(|event| match event {
            Event::Delivered { tag, .. } if tag == MessageTag(number) => Ok(None),
            Event::Failed { tag, status, .. } if tag == MessageTag(number) => Ok(Some(status)),
            other => Err(other.into()),
        })?;
        ensure!(failure.is_none(), "message {number} failed: {failure:?}");
        Ok(())
    }

    /// The next message, which is accepted.
    fn receive(&mut self) -> Result<Vec<u8>> {
        let (body, due) = self.wait_for(|event| match event {
            Event::Received { message, due, .. } => Ok((message.body, due)),
            other => Err(other.into()),
        })?;
        let status = Status::OK;
        self.command(Command::Answer { due, status })?;
        Ok(body.to_vec())
    }

    fn command(&mut self, command: Command) -> Result<()> {
        self.connection.handle_command(command, self.now());
        self.flush()
    }

    /// Waits for the first event that the question has an answer to; others are kept.
    fn wait_for<T>(&mut self, question: impl Fn(Event) -> Result<T, Box<Event>>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let fresh = std::iter::from_fn(|| self.connection.poll_event());
            self.events.extend(fresh);
            let mut answer = None;
            for event in std::mem::take(&mut self.events) {
                if answer.is_some() {
                    self.events.push(event);
                    continue;
                }
                match question(event) {
                    Ok(found) => answer = Some(found),
                    Err(other) => self.events.push(*other),
                }
            }
            if let Some(answer) = answer {
                return Ok(answer);
            }
            self.read()?;
            self.flush()?;
        }
        bail!("nothing came but {:?}", self.events)
    }

    fn read(&mut self) -> Result<()> {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => bail!("the relay closed the connection: {:?}", self.events),
            Ok(length) => {
                let octets = bytes.get(..length).unwrap_or_default();
                self.judge.heard(octets);
                let now = self.now();
                self.connection.handle_bytes(octets, now);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn flush(&mut self) -> Result<()> {
        let mut out = BytesMut::new();
        while self.connection.poll_transmit(&mut out, 64 * 1024, self.now()) {}
        self.judge.written(&out);
        let complaint = self.judge.complaint();
        ensure!(complaint.is_none(), "unsound MSRP: {complaint:?}");
        self.stream.write_all(&out)?;
        Ok(())
    }
}

fn accept(listener: &TcpListener) -> Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error).context("the relay does not connect"),
        }
    }
}

fn uri(address: SocketAddr, session: &str) -> Result<Uri> {
    Ok(format!("msrp://{address}/{session};tcp").parse()?)
}
