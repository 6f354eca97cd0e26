//! Offers and answers with MSRP, the peer's and ours (RFC 4975 §8, RFC 7701 §5.2 and §8, RFC 6135).

use msrp::{
    Path, SessionId,
    sdp::{AcceptTypes, Chatroom, MaxSize, Opener, Setup, answer_setup, opener},
};
use sip::{
    Body,
    sdp::{Line, Media, Session},
};

use crate::refusal::Refusal;

/// Whether it is us who open MSRP connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Peers cannot be reached.
    Never,
    /// If the peer cannot, as is usual with clients.
    IfNeeded,
    /// If the peer lets us, as is usual with conferences.
    Preferred,
}

/// What a peer's description says of its MSRP media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerMedia {
    /// Its path.
    pub(crate) path: Path,
    /// What its client, or switch, can do.
    pub(crate) chatroom: Chatroom,
    /// Whether it is us who open the connection.
    pub(crate) we_open: bool,
    /// The longest message that it takes.
    pub(crate) max_size: Option<MaxSize>,
}

/// A usable offer.
#[derive(Debug)]
pub(crate) struct MsrpOffer {
    session: Session,
    index: usize,
    setup: Setup,
    /// The caller's side.
    pub(crate) peer: PeerMedia,
}

/// Our side of one MSRP session.
#[derive(Debug)]
pub(crate) struct LocalMedia {
    /// Our path.
    pub(crate) path: Path,
    host: String,
    port: u16,
    /// Id and version of the `o=` line.
    origin: (u64, u64),
}

impl MsrpOffer {
    pub(crate) fn read(description: &[u8], opening: Opening) -> Result<Self, Refusal> {
        let (session, index, line) = msrp_line(description)?;
        let offered = line.attribute("setup").and_then(Setup::parse);
        let setup = answer_setup(offered, opening != Opening::Preferred);
        let we_open = opener(offered, Some(setup)) == Opener::Answerer;
        if we_open && opening == Opening::Never {
            return Err(Refusal::Offer("The Caller Must Open The MSRP Connection"));
        }
        Ok(Self {
            peer: PeerMedia::read(&line, we_open)?,
            index,
            session,
            setup,
        })
    }

    /// The answer: only message/cpim (RFC 7701 §5.2), plain text inside, and the caller opens the connection if he can.
    pub(crate) fn answer(&self, ours: &LocalMedia) -> Body {
        let (id, version) = ours.origin;
        let line = ours.line(self.setup);
        description(self.session.answer(self.index, &line, id, version))
    }
}

impl PeerMedia {
    /// Of an answer to an offer of ours.
    pub(crate) fn of_answer(description: &[u8], opening: Opening) -> Result<Self, Refusal> {
        let (_, _, line) = msrp_line(description)?;
        let answered = line.attribute("setup").and_then(Setup::parse);
        let we_open = opener(Some(offered_setup(opening)), answered) == Opener::Offerer;
        Self::read(&line, we_open)
    }

    fn read(line: &Media, we_open: bool) -> Result<Self, Refusal> {
        let types = |name| line.attribute(name).map(AcceptTypes::parse);
        if !types("accept-types").is_some_and(|types| types.accepts("message/cpim")) {
            return Err(Refusal::Offer("message/cpim Must Be Accepted"));
        }
        if types("accept-wrapped-types").is_some_and(|types| !types.accepts("text/plain")) {
            return Err(Refusal::Offer("Wrapped text/plain Must Be Accepted"));
        }
        let path = line
            .attribute("path")
            .and_then(|path| path.parse().ok())
            .ok_or(Refusal::Offer("No Usable MSRP Path"))?;
        let chatroom = line
            .attribute("chatroom")
            .map(Chatroom::parse)
            .unwrap_or_default();
        Ok(Self {
            path,
            chatroom,
            we_open,
            max_size: line.attribute("max-size").and_then(|size| size.parse().ok()),
        })
    }
}

impl LocalMedia {
    pub(crate) fn new((host, port): &(String, u16), session: &SessionId, origin: (u64, u64)) -> Self {
        Self {
            path: local_path(host, *port, session),
            host: host.clone(),
            port: *port,
            origin,
        }
    }

    /// An offer of ours; who opens the connection is left to the peer, unless we may not.
    pub(crate) fn offer(&self, opening: Opening) -> Body {
        let (id, version) = self.origin;
        description(Session::offer(&self.line(offered_setup(opening)), id, version))
    }

    fn line(&self, setup: Setup) -> Line {
        let chatroom = Chatroom {
            nickname: true,
            private_messages: true,
        };
        Line {
            host: self.host.clone(),
            port: self.port,
            protocol: "TCP/MSRP",
            attributes: vec![
                ("accept-types", Some("message/cpim".to_owned())),
                ("accept-wrapped-types", Some("text/plain".to_owned())),
                ("path", Some(self.path.to_string())),
                ("setup", Some(setup.to_string())),
                ("chatroom", Some(chatroom.to_string())),
            ],
        }
    }
}

fn offered_setup(opening: Opening) -> Setup {
    match opening {
        Opening::Never => Setup::Passive,
        Opening::IfNeeded | Opening::Preferred => Setup::ActPass,
    }
}

/// Our path for one session.
pub(crate) fn local_path(host: &str, port: u16, session: &SessionId) -> Path {
    Path::single(msrp::Uri::new(false, host, port, session))
}

/// A media type without its parameters.
pub(crate) fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn msrp_line(description: &[u8]) -> Result<(Session, usize, Media), Refusal> {
    let session =
        Session::parse(description).map_err(|_| Refusal::Offer("Unreadable Session Description"))?;
    let (index, line) = session
        .media()
        .into_iter()
        .enumerate()
        .find(|(_, m)| m.kind == "message" && m.protocol == "TCP/MSRP" && m.port != 0)
        .ok_or(Refusal::Offer("No TCP/MSRP Media Line"))?;
    Ok((session, index, line))
}

fn description(octets: Vec<u8>) -> Body {
    Body {
        content_type: "application/sdp".to_owned(),
        bytes: octets.into(),
    }
}
