//! What a SIP user offers for MSRP, and our answer (RFC 4975 §8, RFC 7701 §5.2 and §8, RFC 6135).

use msrp::{
    Path, SessionId,
    sdp::{AcceptTypes, Chatroom, Setup},
};
use sip::{Body, sdp::Session};

use crate::refusal::Refusal;

/// A usable offer.
#[derive(Debug)]
pub(crate) struct MsrpOffer {
    session: Session,
    index: usize,
    /// The caller's path.
    pub(crate) path: Path,
    /// What his client can do.
    pub(crate) chatroom: Chatroom,
}

impl MsrpOffer {
    pub(crate) fn read(body: Option<&Body>) -> Result<Self, Refusal> {
        let body = body.ok_or(Refusal::Offer("An Offer With MSRP Is Needed"))?;
        if !media_type(&body.content_type).eq_ignore_ascii_case("application/sdp") {
            return Err(Refusal::OfferType);
        }
        let session =
            Session::parse(&body.bytes).map_err(|_| Refusal::Offer("Unreadable Session Description"))?;
        let media = session.media();
        let (index, line) = media
            .iter()
            .enumerate()
            .find(|(_, m)| m.kind == "message" && m.protocol == "TCP/MSRP" && m.port != 0)
            .ok_or(Refusal::Offer("No TCP/MSRP Media Line"))?;
        let types = |name| line.attribute(name).map(AcceptTypes::parse);
        if !types("accept-types").is_some_and(|types| types.accepts("message/cpim")) {
            return Err(Refusal::Offer("message/cpim Must Be Accepted"));
        }
        if types("accept-wrapped-types").is_some_and(|types| !types.accepts("text/plain")) {
            return Err(Refusal::Offer("Wrapped text/plain Must Be Accepted"));
        }
        if line.attribute("setup").and_then(Setup::parse) == Some(Setup::Passive) {
            return Err(Refusal::Offer("The Caller Must Open The MSRP Connection"));
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
            index,
            session,
        })
    }

    /// The answer: only message/cpim (RFC 7701 §5.2), plain text inside, and the caller opens the connection.
    pub(crate) fn answer(&self, ours: &Path, host: &str, port: u16, id: u64, version: u64) -> Body {
        let line = sip::sdp::Line {
            host: host.to_owned(),
            port,
            protocol: "TCP/MSRP",
            attributes: vec![
                ("accept-types", Some("message/cpim".to_owned())),
                ("accept-wrapped-types", Some("text/plain".to_owned())),
                ("path", Some(ours.to_string())),
                ("setup", Some("passive".to_owned())),
                (
                    "chatroom",
                    Some(
                        Chatroom {
                            nickname: true,
                            private_messages: true,
                        }
                        .to_string(),
                    ),
                ),
            ],
        };
        Body {
            content_type: "application/sdp".to_owned(),
            bytes: self.session.answer(self.index, &line, id, version).into(),
        }
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
