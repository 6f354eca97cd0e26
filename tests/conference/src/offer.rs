//! Session descriptions: what callers offer, what we answer, and what our own invitations offer.

use std::net::SocketAddr;

use msrp::{
    Path, SessionId,
    sdp::{AcceptTypes, Chatroom, Fingerprints, Setup},
};
use sip::{
    Body,
    sdp::{Line, Media, Session},
};

use crate::options::{Options, Quirks};

const SDP: &str = "application/sdp";
const CPIM: &str = "message/cpim";

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
    pub(crate) secured: Option<&'a Fingerprints>,
}

impl Peer {
    /// Reads an offer or answer; `None`: nothing that a conference can be held over (488).
    pub(crate) fn read(body: Option<&Body>, secured: bool) -> Option<Self> {
        let session = Session::parse(&body.filter(|body| is_sdp(body))?.bytes).ok()?;
        let media = session.media();
        let (index, line) = media
            .iter()
            .enumerate()
            .find(|(_, line)| is_usable(line, secured))?;
        let chatroom = line.attribute("chatroom").map(Chatroom::parse);
        let wrapped = line.attribute("accept-wrapped-types").unwrap_or("*");
        let path: Path = line.attribute("path")?.parse().ok()?;
        (path.first().is_secure() == secured).then_some(())?;
        Some(Self {
            path,
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
        Path::single(msrp::Uri::new(self.secured.is_some(), &host, port, self.session))
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
        let fingerprints = self.secured.into_iter().flat_map(Fingerprints::iter);
        attributes.extend(fingerprints.map(|one| ("fingerprint", Some(one.to_string()))));
        Line {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            protocol: protocol(self.secured.is_some()),
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

fn protocol(secured: bool) -> &'static str {
    if secured { "TCP/TLS/MSRP" } else { "TCP/MSRP" }
}

fn is_usable(line: &Media, secured: bool) -> bool {
    line.kind == "message"
        && line.protocol == protocol(secured)
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
