//! Offers and answers with MSRP, the peer's and ours (RFC 4975 §8 and §14.4, RFC 7701 §5.2 and §8, RFC 6135).

use msrp::{
    Path, SessionId,
    sdp::{AcceptTypes, Chatroom, Fingerprints, MaxSize, Opener, Setup, answer_setup, opener},
};
use sip::{
    Body,
    sdp::{Line, Media, Session},
};

use crate::{Command, Config, ConnectionId, MsrpTransport, Proof, refusal::Refusal};

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
    /// Whether it says anything of chat rooms (RFC 7701 §8).
    pub(crate) knows_rooms: bool,
    /// Whether it takes wrapped [`msrp::iscomposing`] documents.
    pub(crate) typing: bool,
    /// Whether it is us who open the connection.
    pub(crate) we_open: bool,
    /// The longest message that it takes.
    pub(crate) max_size: Option<MaxSize>,
    /// The certificates that it may show over TLS, if it says so.
    pub(crate) certificates: Fingerprints,
}

/// A usable offer.
#[derive(Debug)]
pub(crate) struct MsrpOffer {
    session: Session,
    index: usize,
    setup: Setup,
    /// What it is to go over.
    pub(crate) transport: MsrpTransport,
    /// The caller's side.
    pub(crate) peer: PeerMedia,
}

/// Our side of one MSRP session.
#[derive(Debug)]
pub(crate) struct LocalMedia {
    /// Our path.
    pub(crate) path: Path,
    transport: MsrpTransport,
    host: String,
    port: u16,
    /// Our certificates, where we show one.
    certificates: Fingerprints,
    /// Id and version of the `o=` line.
    origin: (u64, u64),
    max_size: MaxSize,
    /// What may be wrapped.
    wrapped: &'static str,
}

impl MsrpOffer {
    /// `standing`: what the session goes over already, if the offer comes within a call. What was secured is not laid open again.
    pub(crate) fn read(
        description: &[u8],
        opening: Opening,
        config: &Config,
        standing: Option<MsrpTransport>,
    ) -> Result<Self, Refusal> {
        let kept = |transport| standing != Some(MsrpTransport::Tls) || transport == MsrpTransport::Tls;
        let MsrpLine {
            session,
            index,
            line,
            transport,
        } = MsrpLine::read(description, |transport| {
            config.msrp.takes(transport) && kept(transport)
        })?;
        let offered = line.attribute("setup").and_then(Setup::parse);
        let setup = answer_setup(offered, opening != Opening::Preferred);
        let we_open = opener(offered, Some(setup)) == Opener::Answerer;
        if we_open && opening == Opening::Never {
            return Err(Refusal::Offer("The Caller Must Open The MSRP Connection"));
        }
        Ok(Self {
            peer: PeerMedia::read(&session, &line, transport, we_open)?,
            index,
            session,
            setup,
            transport,
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
    /// Of an answer to an offer of ours, which goes over what was offered (RFC 3264 §6).
    pub(crate) fn of_answer(
        description: &[u8],
        opening: Opening,
        offered: MsrpTransport,
    ) -> Result<Self, Refusal> {
        let MsrpLine { session, line, .. } = MsrpLine::read(description, |transport| transport == offered)?;
        let answered = line.attribute("setup").and_then(Setup::parse);
        let we_open = opener(Some(offered_setup(opening)), answered) == Opener::Offerer;
        Self::read(&session, &line, offered, we_open)
    }

    fn read(
        session: &Session,
        line: &Media,
        transport: MsrpTransport,
        we_open: bool,
    ) -> Result<Self, Refusal> {
        let types = |name| line.attribute(name).map(AcceptTypes::parse);
        if !types("accept-types").is_some_and(|types| types.accepts("message/cpim")) {
            return Err(Refusal::Offer("message/cpim Must Be Accepted"));
        }
        let wrapped = types("accept-wrapped-types");
        if wrapped.as_ref().is_some_and(|types| !types.accepts("text/plain")) {
            return Err(Refusal::Offer("Wrapped text/plain Must Be Accepted"));
        }
        let typing = wrapped.is_some_and(|types| types.accepts(msrp::iscomposing::CONTENT_TYPE));
        let path: Path = line
            .attribute("path")
            .and_then(|path| path.parse().ok())
            .ok_or(Refusal::Offer("No Usable MSRP Path"))?;
        if transport_of(&path) != transport {
            return Err(Refusal::Offer("Path And Protocol Disagree About TLS"));
        }
        let chatroom = line
            .attribute("chatroom")
            .map(Chatroom::parse)
            .unwrap_or_default();
        Ok(Self {
            path,
            chatroom,
            knows_rooms: line.attribute("chatroom").is_some(),
            typing,
            we_open,
            max_size: line.attribute("max-size").and_then(|size| size.parse().ok()),
            certificates: certificates(session, line, transport),
        })
    }
}

impl LocalMedia {
    pub(crate) fn new(
        config: &Config,
        session: &SessionId,
        origin: (u64, u64),
        transport: MsrpTransport,
    ) -> Self {
        let (host, port) = config.msrp.place(transport).clone();
        Self {
            path: local_path(config, session, transport),
            transport,
            host,
            port,
            certificates: match transport {
                MsrpTransport::Tcp => Fingerprints::default(),
                MsrpTransport::Tls => config.certificates.clone(),
            },
            origin,
            // RFC 7573 §8: what is longer would only be refused when it has come.
            max_size: MaxSize(config.limits.max_size() as u64),
            wrapped: "text/plain",
        }
    }

    /// Also for those who want to say that they are writing.
    pub(crate) fn with_typing(mut self, typing: bool) -> Self {
        if typing {
            self.wrapped = "text/plain application/im-iscomposing+xml";
        }
        self
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
        let mut attributes = vec![
            ("accept-types", Some("message/cpim".to_owned())),
            ("accept-wrapped-types", Some(self.wrapped.to_owned())),
            ("path", Some(self.path.to_string())),
            ("max-size", Some(self.max_size.to_string())),
            ("setup", Some(setup.to_string())),
            ("chatroom", Some(chatroom.to_string())),
        ];
        let fingerprints = self.certificates.iter().map(ToString::to_string);
        attributes.extend(fingerprints.map(|fingerprint| ("fingerprint", Some(fingerprint))));
        Line {
            host: self.host.clone(),
            port: self.port,
            protocol: protocol(self.transport),
            attributes,
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
pub(crate) fn local_path(config: &Config, session: &SessionId, transport: MsrpTransport) -> Path {
    let (host, port) = config.msrp.place(transport);
    Path::single(msrp::Uri::new(
        transport == MsrpTransport::Tls,
        host,
        *port,
        session,
    ))
}

/// RFC 4975 §6: `msrps` is MSRP over TLS. The connection goes to the first hop.
pub(crate) fn transport_of(path: &Path) -> MsrpTransport {
    if path.first().is_secure() {
        MsrpTransport::Tls
    } else {
        MsrpTransport::Tcp
    }
}

/// Opens a connection to where a peer's path begins.
pub(crate) fn connect(connection: ConnectionId, path: &Path, certificates: Fingerprints) -> Command {
    let first = path.first();
    let proof = || match certificates.is_empty() {
        true => Proof::Name,
        false => Proof::Certificate(certificates),
    };
    Command::Connect {
        connection,
        host: first.host().to_owned(),
        port: first.port().unwrap_or(msrp::uri::RECOMMENDED_PORT),
        tls: first.is_secure().then(proof),
    }
}

/// A media type without its parameters.
pub(crate) fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// The media line of a description that MSRP goes by.
struct MsrpLine {
    session: Session,
    index: usize,
    line: Media,
    transport: MsrpTransport,
}

impl MsrpLine {
    /// Of several that would do the first over TLS, else the first.
    fn read(description: &[u8], takes: impl Fn(MsrpTransport) -> bool) -> Result<Self, Refusal> {
        let session =
            Session::parse(description).map_err(|_| Refusal::Offer("Unreadable Session Description"))?;
        let of_msrp = |(index, line): (usize, Media)| {
            let transport = transport_named(&line.protocol)?;
            (line.kind == "message" && line.port != 0).then_some((index, line, transport))
        };
        let lines = session.media().into_iter().enumerate().filter_map(of_msrp);
        let (usable, others): (Vec<_>, Vec<_>) = lines.partition(|(.., transport)| takes(*transport));
        let best = usable
            .into_iter()
            .min_by_key(|(.., transport)| *transport == MsrpTransport::Tcp);
        match (best, others.first()) {
            (Some((index, line, transport)), _) => Ok(Self {
                session,
                index,
                line,
                transport,
            }),
            (None, Some((.., MsrpTransport::Tcp))) => Err(Refusal::Offer("TCP/TLS/MSRP Is Needed")),
            (None, Some((.., MsrpTransport::Tls))) => Err(Refusal::Offer("TCP/MSRP Is Needed")),
            (None, None) => Err(Refusal::Offer("No TCP/MSRP Media Line")),
        }
    }
}

fn protocol(transport: MsrpTransport) -> &'static str {
    match transport {
        MsrpTransport::Tcp => "TCP/MSRP",
        MsrpTransport::Tls => "TCP/TLS/MSRP",
    }
}

fn transport_named(written: &str) -> Option<MsrpTransport> {
    let mut known = [MsrpTransport::Tcp, MsrpTransport::Tls].into_iter();
    known.find(|transport| protocol(*transport) == written)
}

/// The certificates that a description names; those of the media count before those of the session (RFC 4572 §5).
fn certificates(session: &Session, line: &Media, transport: MsrpTransport) -> Fingerprints {
    match transport {
        MsrpTransport::Tcp => Fingerprints::default(),
        MsrpTransport::Tls if line.attribute("fingerprint").is_some() => {
            Fingerprints::parse(line.values("fingerprint"))
        }
        MsrpTransport::Tls => Fingerprints::parse(session.values("fingerprint")),
    }
}

fn description(octets: Vec<u8>) -> Body {
    Body {
        content_type: "application/sdp".to_owned(),
        bytes: octets.into(),
    }
}
