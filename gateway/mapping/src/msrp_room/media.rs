//! The MSRP session under a stay (RFC 7702 §5.1, F4 to F7): offered by us, answered by the focus, opened by whom the answer says.

use std::time::Instant;

use msrp::{
    LostCause, SessionId, SessionParameters, Status,
    sdp::{AcceptTypes, Chatroom, MaxSize, Opener, Setup, opener},
};
use sip::{AnswerDue, Body, DialogId, Incoming, NameAddr};
use xmpp::stanza::{Condition, StanzaError};

use super::{
    enter::contact,
    exit::Farewell,
    stay::{Media, Peer, Phase, StayKey},
};
use crate::{
    Command, ConnectionId, Gateway,
    offer::{local_path, media_type},
    refusal::Refusal,
};

/// What our offers say of who connects: conferences behind a firewall may choose.
const SETUP: Setup = Setup::ActPass;

impl Gateway {
    pub(super) fn conference_offer(&self, media: &Media) -> Body {
        let (host, port) = &self.config.msrp;
        let chatroom = Chatroom {
            nickname: true,
            private_messages: true,
        };
        let line = sip::sdp::Line {
            host: host.clone(),
            port: *port,
            protocol: "TCP/MSRP",
            attributes: vec![
                ("accept-types", Some("message/cpim".to_owned())),
                ("accept-wrapped-types", Some("text/plain".to_owned())),
                ("path", Some(local_path(host, *port, &media.session).to_string())),
                ("setup", Some(SETUP.to_string())),
                ("chatroom", Some(chatroom.to_string())),
            ],
        };
        let (id, version) = media.description;
        Body {
            content_type: "application/sdp".to_owned(),
            bytes: sip::sdp::Session::offer(&line, id, version).into(),
        }
    }

    /// F4; F5 has been sent.
    pub(crate) fn conference_answered(
        &mut self,
        dialog: DialogId,
        contact: Option<&NameAddr>,
        body: Option<&Body>,
    ) {
        let Some(key) = self.stays.of_dialog(dialog) else {
            return;
        };
        match read_answer(contact, body) {
            Ok((peer, setup)) => self.open_media(key, peer, setup),
            Err(text) => {
                let mut error = StanzaError::new(Condition::NotAcceptable);
                error.text = Some(text.to_owned());
                self.end_stay(key, &Farewell::failed(error), &Refusal::Media(text).reason());
            }
        }
    }

    /// F6, by the end that has to.
    fn open_media(&mut self, key: StayKey, peer: Peer, setup: Option<Setup>) {
        let connection = ConnectionId(self.stays.next_handle());
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        stay.phase = Phase::Opening;
        stay.media.peer = Some(peer.clone());
        let session = stay.media.session.clone();
        if opener(Some(SETUP), setup) == Opener::Answerer {
            // It comes as a request to bind.
            return;
        }
        let first = peer.path.first();
        let to = Command::Connect {
            connection,
            host: first.host().to_owned(),
            port: first.port().unwrap_or(msrp::uri::RECOMMENDED_PORT),
        };
        self.stays.connect(key, connection);
        self.command(to);
        let parameters = self.session_parameters(&session, peer.path);
        self.msrp(connection, msrp::Command::Open(parameters));
    }

    fn session_parameters(&self, session: &SessionId, remote: msrp::Path) -> SessionParameters {
        let (host, port) = &self.config.msrp;
        SessionParameters {
            local: local_path(host, *port, session),
            remote,
        }
    }

    /// The switch opens the session, as its answer said.
    pub(crate) fn bind_stay(
        &mut self,
        key: StayKey,
        connection: ConnectionId,
        session: &SessionId,
        from: &msrp::Path,
        now: Instant,
    ) {
        let Some(stay) = self.stays.get(key) else { return };
        let known = stay.media.peer.as_ref().is_some_and(|peer| peer.path == *from);
        let status = match stay.media.connection {
            Some(_) => Status::BOUND_ELSEWHERE,
            None if known => Status::OK,
            None => Status::NO_SESSION,
        };
        let session = session.clone();
        if !status.is_success() {
            return self.msrp(connection, msrp::Command::RefuseBind { session, status });
        }
        self.stays.connect(key, connection);
        let parameters = self.session_parameters(&session, from.clone());
        self.msrp(connection, msrp::Command::Bind(parameters));
        self.media_opened(key, now);
    }

    /// F7.
    pub(crate) fn media_opened(&mut self, key: StayKey, now: Instant) {
        if self
            .stays
            .get(key)
            .is_some_and(|stay| stay.phase == Phase::Opening)
        {
            self.ask_nickname(key, 1, now);
        }
    }

    pub(crate) fn stay_media_lost(&mut self, key: StayKey, cause: Option<LostCause>) {
        tracing::info!(stay = key.0, ?cause, "MSRP session with the conference lost");
        let mut error = StanzaError::new(Condition::RecipientUnavailable);
        error.text = Some("Connection To The Conference Lost".to_owned());
        let why = Refusal::Media("MSRP Session Lost").reason();
        self.end_stay(key, &Farewell::failed(error), &why);
    }

    /// The focus offers anew, mostly to refresh the session. A switch that has moved is left alone until it is called again.
    pub(crate) fn conference_reinvites(&mut self, key: StayKey, request: &Incoming, due: AnswerDue) {
        let Some(stay) = self.stays.get_mut(key) else {
            return self.refuse(due, &Refusal::NotInRoom);
        };
        let path = read_media(request.body.as_ref()).map(|(peer, _)| peer.path);
        let moved = match (&path, &stay.media.peer) {
            (Ok(path), Some(peer)) => *path != peer.path,
            _ => false,
        };
        if moved {
            return self.refuse(due, &Refusal::Offer("The MSRP Path Cannot Change"));
        }
        stay.media.description.1 += 1;
        let contact = contact(stay);
        let Some(stay) = self.stays.get(key) else { return };
        let body = self.conference_offer(&stay.media);
        self.sip(sip::Command::Accept { due, contact, body });
    }

    /// The stay that an MSRP event of a connection is about.
    pub(crate) fn stay_on(&self, connection: ConnectionId, session: &SessionId) -> Option<StayKey> {
        let key = self.stays.of_session(session)?;
        (self.stays.get(key)?.media.connection == Some(connection)).then_some(key)
    }
}

/// Whatever answers without saying that it is a conference is none: a telephone would talk to nobody.
fn read_answer(
    contact: Option<&NameAddr>,
    body: Option<&Body>,
) -> Result<(Peer, Option<Setup>), &'static str> {
    let (peer, setup) = read_media(body)?;
    let is_focus = contact.is_some_and(|contact| {
        contact.parameter("isfocus").is_some() || contact.uri.parameter("isfocus").is_some()
    });
    let has_room = peer.chatroom.nickname || peer.chatroom.private_messages;
    if is_focus || has_room {
        Ok((peer, setup))
    } else {
        Err("Not A Conference")
    }
}

fn read_media(body: Option<&Body>) -> Result<(Peer, Option<Setup>), &'static str> {
    let body = body.ok_or("No Session Description")?;
    if !media_type(&body.content_type).eq_ignore_ascii_case("application/sdp") {
        return Err("No Session Description");
    }
    let session = sip::sdp::Session::parse(&body.bytes).map_err(|_| "Unreadable Session Description")?;
    let media = session.media();
    let line = media
        .iter()
        .find(|media| media.kind == "message" && media.protocol == "TCP/MSRP" && media.port != 0)
        .ok_or("No TCP/MSRP Media Line")?;
    let attribute = |name: &str| line.attribute(name).or_else(|| session.attribute(name));
    let accepts =
        |name: &str, kind: &str| attribute(name).is_none_or(|types| AcceptTypes::parse(types).accepts(kind));
    if !accepts("accept-types", "message/cpim") {
        return Err("message/cpim Not Accepted");
    }
    if !accepts("accept-wrapped-types", "text/plain") {
        return Err("Wrapped text/plain Not Accepted");
    }
    let path = attribute("path")
        .and_then(|path| path.parse().ok())
        .ok_or("No Usable MSRP Path")?;
    let peer = Peer {
        path,
        chatroom: attribute("chatroom").map(Chatroom::parse).unwrap_or_default(),
        max_size: attribute("max-size")
            .and_then(|size| size.parse::<MaxSize>().ok())
            .map(|size| size.0),
    };
    Ok((peer, attribute("setup").and_then(Setup::parse)))
}
