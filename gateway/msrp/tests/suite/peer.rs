//! One connection with a session, and a peer that speaks raw bytes.

use std::time::{Duration, Instant};

use crate::pair::start;
use bytes::BytesMut;
use msrp::{Command, Connection, Event, Limits, SessionParameters, Status, frame::Decoder, frame::Frame};

pub(crate) const LOCAL: &str = "msrp://switch.example.com:2855/ours;tcp";
pub(crate) const REMOTE: &str = "msrp://client.example.org:7394/theirs;tcp";

pub(crate) struct Peer {
    pub(crate) connection: Connection,
    pub(crate) now: Instant,
}

/// A request; `headers` are whole lines without CRLF, `content` is what follows the headers, up to the end-line.
pub(crate) fn request(method: &str, id: &str, headers: &[&str], content: &str, flag: char) -> String {
    let mut text = format!("MSRP {id} {method}\r\nTo-Path: {LOCAL}\r\nFrom-Path: {REMOTE}\r\n");
    for header in headers {
        text += &format!("{header}\r\n");
    }
    text + content + &format!("-------{id}{flag}\r\n")
}

/// A SEND with a body.
pub(crate) fn send(id: &str, headers: &[&str], body: &str, flag: char) -> String {
    request(
        "SEND",
        id,
        headers,
        &format!("Content-Type: text/plain\r\n\r\n{body}\r\n"),
        flag,
    )
}

/// The texts of messages that were received, if nothing else happened.
pub(crate) fn bodies(events: &[Event]) -> Vec<String> {
    let body = |event: &Event| match event {
        Event::Received { message, .. } => String::from_utf8_lossy(&message.body).into_owned(),
        other => panic!("{other:?}"),
    };
    events.iter().map(body).collect()
}

impl Peer {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            connection: Connection::new(limits, [3; 32]),
            now: start(),
        }
    }

    /// TLS is around the connection.
    pub(crate) fn secured(limits: Limits) -> Self {
        let Self { connection, now } = Self::new(limits);
        Self {
            connection: connection.secured(),
            now,
        }
    }

    pub(crate) fn bound(limits: Limits) -> Self {
        let mut peer = Self::new(limits);
        peer.bind();
        peer
    }

    pub(crate) fn bind(&mut self) {
        let parameters = SessionParameters {
            local: LOCAL.parse().unwrap(),
            remote: REMOTE.parse().unwrap(),
        };
        self.command(Command::Bind(parameters));
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.connection.handle_command(command, self.now);
    }

    /// Bytes of the peer; gives the events.
    pub(crate) fn says(&mut self, bytes: impl AsRef<[u8]>) -> Vec<Event> {
        self.connection.handle_bytes(bytes.as_ref(), self.now);
        self.events()
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.connection.poll_event()).collect()
    }

    pub(crate) fn pass(&mut self, time: Duration) -> Vec<Event> {
        self.now += time;
        self.connection.handle_timeout(self.now);
        self.events()
    }

    /// What the connection writes.
    pub(crate) fn hears(&mut self) -> String {
        let mut out = BytesMut::new();
        while self.connection.poll_transmit(&mut out, 4096, self.now) {}
        String::from_utf8_lossy(&out).into_owned()
    }

    /// The frames that the connection writes.
    pub(crate) fn hears_frames(&mut self) -> Vec<Frame> {
        let heard = self.hears();
        let mut decoder = Decoder::new(&Limits::default());
        decoder.push(heard.as_bytes());
        let frames = std::iter::from_fn(|| decoder.next_frame())
            .map(Result::unwrap)
            .collect();
        assert_eq!(decoder.held(), 0, "half a frame: {heard}");
        frames
    }

    /// Statuses of the responses and REPORTs that the connection writes.
    pub(crate) fn hears_statuses(&mut self) -> Vec<u16> {
        use msrp::frame::Kind;
        let status = |frame: Frame| match frame.kind {
            Kind::Response(status) => status.code(),
            Kind::Request(_) => frame.headers.status.unwrap().code,
        };
        self.hears_frames().into_iter().map(status).collect()
    }

    /// Answers the one message among the events.
    pub(crate) fn answer(&mut self, events: Vec<Event>, status: Status) {
        for event in events {
            if let Event::Received { due, .. } | Event::NicknameRequested { due, .. } = event {
                self.command(Command::Answer { due, status });
            }
        }
    }
}
