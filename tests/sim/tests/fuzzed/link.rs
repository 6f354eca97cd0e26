//! The component link under octets, commands and time in any order.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use xmpp::{Action, Command, Event, FullJid, Limits, Link, LinkConfig, stanza::Outgoing};

use super::script::Script;

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
                      xmlns:stream='http://etherx.jabber.org/streams' from='gateway.example.org' id='s1'>";
const PIECES: [&str; 16] = [
    "<handshake/>",
    "<presence from='capulet@rooms.example.com/Juliet' to='romeo@gateway.example.org/x'>",
    "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/><status code='110'/></x>",
    "</presence>",
    "<message type='groupchat' from='capulet@rooms.example.com/Juliet' to='romeo@gateway.example.org/x' id='1'>",
    "<body>Wherefore &amp; <![CDATA[x]]></body>",
    "<subject/>",
    "</message>",
    "<iq type='get' from='example.com' to='gateway.example.org' id='2'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    "<iq type='get' from='example.com' to='gateway.example.org' id='3'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
    "</stream:stream>",
    " ",
    "<a:b xmlns:a='c'><a:b a:b='c'/></a:b>",
    "<!DOCTYPE x [<!ENTITY y 'z'>]>",
    "<iq type='result' from='example.com' to='gateway.example.org' id='ping'/>",
];

struct Stage {
    link: Link,
    now: Instant,
    connected: bool,
    wanted: bool,
    /// Stanzas given to it, written or not; those that came back are taken off.
    given: usize,
    returned: usize,
    /// What it has written on this connection.
    written: usize,
    up: bool,
}

/// No panic; it writes only while connected, and only text; it comes up only over a connection and goes down after it; nothing
/// comes back that was not given; memory within bounds.
pub(crate) fn link(data: &[u8]) {
    let mut script = Script::new(data);
    let mut stage = Stage::new();
    stage.link.handle_timeout(stage.now);
    stage.settle();
    while !script.is_over() {
        stage.act(&mut script);
        stage.settle();
    }
    // It never gives up: as long as the server may come back, it asks for a connection.
    stage.link.handle_disconnected(stage.now);
    stage.settle();
}

#[expect(
    clippy::disallowed_methods,
    reason = "an `Instant` has no other source; from here on the time is virtual"
)]
fn start() -> Instant {
    Instant::now()
}

impl Stage {
    fn new() -> Self {
        let config = LinkConfig {
            domain: "gateway.example.org".to_owned(),
            secret: "secret".to_owned(),
            limits: Limits {
                stanza_in: 4096,
                stanza_out: 1024,
                queue: 8192,
                ..Limits::default()
            },
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            ping: Duration::from_secs(20),
            retry: Duration::from_secs(2),
            conflict: xmpp::ConflictRule::Retry,
            answers: true,
        };
        Self {
            link: Link::new(config, [9; 32]),
            now: start(),
            connected: false,
            wanted: false,
            given: 0,
            returned: 0,
            written: 0,
            up: false,
        }
    }

    fn act(&mut self, script: &mut Script<'_>) {
        match script.octet() % 16 {
            0 => self.hear(script.bytes()),
            1..=5 => {
                let piece = script.pick(&PIECES);
                let octets = piece.as_bytes();
                let end = if script.chance(8) {
                    script.below(octets.len())
                } else {
                    octets.len()
                };
                self.hear(&octets[..end]);
            }
            6 | 7 => self.connect(script.chance(4)),
            8 => self.come_up(),
            9 => {
                self.connected = false;
                self.link.handle_disconnected(self.now);
            }
            10 => self.send(script),
            11 => {
                let mut out = BytesMut::new();
                self.transmit(&mut out);
            }
            12 => self.pass(script.pause()),
            13 => {
                let until = self.link.poll_timeout().unwrap_or(self.now);
                self.pass(until.saturating_duration_since(self.now));
            }
            14 if script.chance(64) => self.link.handle_command(Command::Shutdown, self.now),
            _ => {
                let cause = script.text();
                if self.wanted && !self.connected {
                    self.wanted = false;
                    self.link.handle_connect_failed(cause, self.now);
                }
            }
        }
    }

    fn connect(&mut self, early: bool) {
        if (self.wanted || early) && !self.connected {
            self.connected = self.wanted;
            self.wanted = false;
            self.written = 0;
            self.link.handle_connected(self.now);
        }
    }

    /// As a server would let it.
    fn come_up(&mut self) {
        self.connect(false);
        self.settle();
        self.hear(HEADER.as_bytes());
        self.settle();
        self.hear(b"<handshake/>");
    }

    fn hear(&mut self, octets: &[u8]) {
        if self.connected {
            self.link.handle_bytes(octets, self.now);
        }
    }

    fn send(&mut self, script: &mut Script<'_>) {
        let from: FullJid = "romeo@gateway.example.org/x".parse().expect("an address");
        let foreign: FullJid = "romeo@elsewhere.example/x".parse().expect("an address");
        let to = "capulet@rooms.example.com".parse().expect("an address");
        let (id, body) = (script.text(), script.text().repeat(1 + script.below(8)));
        let from = if script.chance(16) { foreign } else { from };
        self.given += 1;
        let stanza = Outgoing::Groupchat { from, to, id, body };
        self.link.handle_command(Command::Send(stanza), self.now);
    }

    fn settle(&mut self) {
        while let Some(action) = self.link.poll_action() {
            match action {
                Action::Connect => {
                    assert!(!self.connected, "a second connection");
                    self.wanted = true;
                }
                Action::Close => {
                    let mut out = BytesMut::new();
                    self.transmit(&mut out);
                    self.connected = false;
                }
            }
        }
        while let Some(event) = self.link.poll_event() {
            match event {
                Event::Up => {
                    assert!(self.connected && !self.up, "up without a connection, or twice");
                    self.up = true;
                }
                Event::Down(_) => self.up = false,
                Event::NotSole => assert!(self.up, "shared before the link is up"),
                Event::Stanza(_) => assert!(self.connected, "a stanza without a connection"),
                Event::Skipped { .. } | Event::Unshared { .. } => {}
                Event::Unsent { stanza, .. } => {
                    // Its own answers come back, too.
                    self.returned += usize::from(matches!(*stanza, Outgoing::Groupchat { .. }));
                    assert!(self.returned <= self.given, "more comes back than was given");
                }
            }
        }
    }

    fn transmit(&mut self, out: &mut BytesMut) {
        while self.link.poll_transmit(out) {}
        assert!(self.connected || out.is_empty(), "written to nobody");
        assert!(out.len() <= 64 * 1024, "{} octets wait", out.len());
        let text = std::str::from_utf8(out).expect("text");
        let sound = text
            .chars()
            .all(|character| matches!(character, '\t' | '\n' | '\r' | ' '..));
        assert!(sound, "a control character is written: {text:?}");
        self.written += out.len();
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..10_000 {
            match self.link.poll_timeout() {
                Some(due) if due <= until => {
                    self.now = due.max(self.now);
                    self.link.handle_timeout(self.now);
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
}
