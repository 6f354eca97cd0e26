//! Session descriptions: what callers offer, what we answer, and what our own invitations offer.

use std::net::SocketAddr;

use msrp::{
    Path, SessionId,
    sdp::{AcceptTypes, Chatroom, Setup},
};
use sip::{
    Body,
    sdp::{Line, Media, Session},
};

use crate::options::{Options, Quirks};

const SDP: &str = "application/sdp";
const CPIM: &str = "message/cpim";
const PROTOCOL: &str = "TCP/MSRP";

/// The other end's media line.
#[derive(Debug)]
pub(crate) struct Peer {
    session: Session,
    index: usize,
    pub(crate) path: Path,
    pub(crate) chatroom: Chatroom,
    pub(crate) wrapped: AcceptTypes,
    pub(crate) setup: Option<Setup>,
}

/// What our own line says.
pub(crate) struct Ours<'a> {
    pub(crate) options: &'a Options,
    pub(crate) address: SocketAddr,
    pub(crate) session: &'a SessionId,
}

impl Peer {
    /// Reads an offer or answer; `None`: nothing that a conference can be held over (488).
    pub(crate) fn read(body: Option<&Body>) -> Option<Self> {
        let session = Session::parse(&body.filter(|body| is_sdp(body))?.bytes).ok()?;
        let media = session.media();
        let (index, line) = media.iter().enumerate().find(|(_, line)| is_usable(line))?;
        let chatroom = line.attribute("chatroom").map(Chatroom::parse);
        let wrapped = line.attribute("accept-wrapped-types").unwrap_or("*");
        Some(Self {
            path: line.attribute("path")?.parse().ok()?,
            chatroom: chatroom.unwrap_or_default(),
            wrapped: AcceptTypes::parse(wrapped),
            setup: line.attribute("setup").and_then(Setup::parse),
            index,
            session,
        })
    }

    /// Our answer: the caller connects, whatever he offered.
    pub(crate) fn answer(&self, ours: &Ours<'_>) -> Body {
        body(self.session.answer(self.index, &ours.line(Setup::Passive), 1, 1))
    }
}

impl Ours<'_> {
    /// Our path.
    pub(crate) fn path(&self) -> Path {
        let (host, port) = (self.address.ip().to_string(), self.address.port());
        Path::single(msrp::Uri::new(false, &host, port, self.session))
    }

    /// The offer of an invitation.
    pub(crate) fn offer(&self) -> Body {
        body(Session::offer(&self.line(Setup::ActPass), 1, 1))
    }

    fn line(&self, setup: Setup) -> Line {
        let mut attributes = vec![
            ("accept-types", Some(CPIM.to_owned())),
            ("accept-wrapped-types", Some("*".to_owned())),
            ("path", Some(self.path().to_string())),
            ("setup", Some(setup.to_string())),
            ("chatroom", Some(chatroom(&self.options.quirks))),
        ];
        if let Some(size) = self.options.rooms.max_size {
            attributes.push(("max-size", Some(size.to_string())));
        }
        Line {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            protocol: PROTOCOL,
            attributes,
        }
    }
}

/// With a token that nobody has to know (RFC 7701 §8).
fn chatroom(quirks: &Quirks) -> String {
    let announced = Chatroom {
        nickname: !quirks.no_nicknames,
        private_messages: !quirks.no_private_messages,
    };
    format!("{announced} org.example.applause").trim().to_owned()
}

fn is_usable(line: &Media) -> bool {
    line.kind == "message"
        && line.protocol == PROTOCOL
        && line.port != 0
        && line
            .attribute("accept-types")
            .is_some_and(|types| AcceptTypes::parse(types).accepts(CPIM))
}

fn is_sdp(body: &Body) -> bool {
    let bare = body.content_type.split(';').next().unwrap_or_default();
    bare.trim().eq_ignore_ascii_case(SDP)
}

fn body(bytes: Vec<u8>) -> Body {
    Body {
        content_type: SDP.to_owned(),
        bytes: bytes.into(),
    }
}
