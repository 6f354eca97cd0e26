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
    timers::Timer,
};

/// What our offers say of who connects: conferences behind a firewall may choose.
const SETUP: Setup = Setup::ActPass;

impl Gateway {
    pub(super) fn conference_offer(&self, media: &Media) -> Body {
        let (id, version) = media.description;
        let line = self.conference_line(media, SETUP);
        sdp_body(sip::sdp::Session::offer(&line, id, version))
    }

    fn conference_line(&self, media: &Media, setup: Setup) -> sip::sdp::Line {
        let (host, port) = &self.config.msrp;
        let chatroom = Chatroom {
            nickname: true,
            private_messages: true,
        };
        sip::sdp::Line {
            host: host.clone(),
            port: *port,
            protocol: "TCP/MSRP",
            attributes: vec![
                ("accept-types", Some("message/cpim".to_owned())),
                ("accept-wrapped-types", Some("text/plain".to_owned())),
                ("path", Some(local_path(host, *port, &media.session).to_string())),
                ("setup", Some(setup.to_string())),
                ("chatroom", Some(chatroom.to_string())),
            ],
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
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        stay.phase = Phase::Opening;
        stay.media.peer = Some(peer.clone());
        // If it is the switch that opens, it asks to bind.
        if opener(Some(SETUP), setup) == Opener::Offerer {
            self.connect_to_switch(key, peer.path);
        }
    }

    fn connect_to_switch(&mut self, key: StayKey, path: msrp::Path) {
        let connection = ConnectionId(self.stays.next_handle());
        let Some(stay) = self.stays.get(key) else { return };
        let session = stay.media.session.clone();
        let first = path.first();
        let connect = Command::Connect {
            connection,
            host: first.host().to_owned(),
            port: first.port().unwrap_or(msrp::uri::RECOMMENDED_PORT),
        };
        self.stays.connect(key, connection);
        self.command(connect);
        let parameters = self.session_parameters(&session, path);
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

    /// F7. In a session that took the place of another the nickname is asked for again: it goes with the session.
    pub(crate) fn media_opened(&mut self, key: StayKey, now: Instant) {
        let tag = self.next_tag();
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        stay.media.is_open = true;
        if stay.phase == Phase::Opening {
            return self.ask_nickname(key, 1, now);
        }
        if let Some(timer) = stay.timer.take() {
            self.timers.cancel(timer);
        }
        if let (Some(connection), true) = (stay.media.connection, stay.is_granted) {
            let command = msrp::Command::Nickname {
                session: stay.media.session.clone(),
                tag,
                nickname: stay.nickname.clone(),
            };
            self.msrp(connection, command);
        }
    }

    pub(crate) fn stay_media_lost(&mut self, key: StayKey, cause: Option<LostCause>) {
        tracing::info!(stay = key.0, ?cause, "MSRP session with the conference lost");
        let mut error = StanzaError::new(Condition::RecipientUnavailable);
        error.text = Some("Connection To The Conference Lost".to_owned());
        let why = Refusal::Media("MSRP Session Lost").reason();
        self.end_stay(key, &Farewell::failed(error), &why);
    }

    /// The focus offers anew, to refresh the session or because the switch has moved: the stay goes on.
    pub(crate) fn conference_reinvites(
        &mut self,
        key: StayKey,
        request: &Incoming,
        due: AnswerDue,
        now: Instant,
    ) {
        let Some(stay) = self.stays.get_mut(key) else {
            return self.refuse(due, &Refusal::NotInRoom);
        };
        let contact = contact(stay);
        stay.media.description.1 += 1;
        let Some(offer) = &request.body else {
            let body = self.stays.get(key).map(|stay| self.conference_offer(&stay.media));
            if let Some(body) = body {
                self.sip(sip::Command::Accept { due, contact, body });
            }
            return;
        };
        let (index, (peer, setup)) = match (index_of_media(offer), read_media(Some(offer))) {
            (Some(index), Ok(read)) => (index, read),
            (_, Err(text)) => return self.refuse(due, &Refusal::Offer(text)),
            (None, _) => return self.refuse(due, &Refusal::OfferType),
        };
        let ours = if setup == Some(Setup::Active) {
            Setup::Passive
        } else {
            Setup::Active
        };
        let moved = stay
            .media
            .peer
            .as_ref()
            .is_some_and(|known| known.path != peer.path);
        if moved {
            self.leave_switch(key, now);
        }
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        stay.media.peer = Some(peer.clone());
        let Some(stay) = self.stays.get(key) else { return };
        let (id, version) = stay.media.description;
        let line = self.conference_line(&stay.media, ours);
        let Ok(session) = sip::sdp::Session::parse(&offer.bytes) else {
            return self.refuse(due, &Refusal::OfferType);
        };
        let body = sdp_body(session.answer(index, &line, id, version));
        self.sip(sip::Command::Accept { due, contact, body });
        if moved && ours == Setup::Active {
            self.connect_to_switch(key, peer.path);
        }
    }

    /// The MSRP session is over, and another one takes its place in time.
    fn leave_switch(&mut self, key: StayKey, now: Instant) {
        let fresh = self.fresh_session_id();
        let timer = self
            .timers
            .start(now + self.config.limits.entrance, Timer::Entrance(key));
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        let former = stay.timer.replace(timer);
        let unanswered = std::mem::take(&mut stay.unanswered);
        let room = stay.room.clone();
        if let Some(former) = former {
            self.timers.cancel(former);
        }
        let Some((connection, session)) = self.stays.renew_session(key, fresh) else {
            return;
        };
        self.refuse_unanswered(&room, unanswered.into_values());
        if let Some(connection) = connection {
            self.msrp(connection, msrp::Command::Unbind(session));
            self.msrp(connection, msrp::Command::Close);
        }
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
        .find(|media| is_msrp(media))
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
        .and_then(|path| path.parse::<msrp::Path>().ok())
        // TLS was not negotiated.
        .filter(|path| !path.first().is_secure())
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

fn index_of_media(body: &Body) -> Option<usize> {
    let media = sip::sdp::Session::parse(&body.bytes).ok()?.media();
    media.iter().position(is_msrp)
}

fn is_msrp(media: &sip::sdp::Media) -> bool {
    media.kind == "message" && media.protocol == "TCP/MSRP" && media.port != 0
}

fn sdp_body(bytes: Vec<u8>) -> Body {
    Body {
        content_type: "application/sdp".to_owned(),
        bytes: bytes.into(),
    }
}
