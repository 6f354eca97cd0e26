//! The MSRP session under a stay (RFC 7702 §5.1, F4 to F7): offered by us, answered by the focus, opened by whom the answer says.

use std::time::Instant;

use msrp::{LostCause, SessionId, SessionParameters, Status};
use sip::{AnswerDue, Body, Incoming, NameAddr};
use xmpp::stanza::{Condition, StanzaError};

use super::{
    address::is_focus,
    enter::{contact, error_of},
    exit::Farewell,
    stay::{Media, Phase, StayKey},
};
use crate::{
    ConnectionId, Gateway, MsrpTransport,
    offer::{LocalMedia, MsrpOffer, Opening, PeerMedia, connect, local_path, transport_of},
    refusal::Refusal,
    timers::Timer,
};

impl Gateway {
    pub(super) fn conference_offer(&self, media: &Media) -> Body {
        self.local_media(media).offer(Opening::Preferred)
    }

    fn local_media(&self, media: &Media) -> LocalMedia {
        let transport = self.transport_of_media(media);
        LocalMedia::new(&self.config, &media.session, media.description, transport)
    }

    /// What the session goes over; until the focus has answered, what we offer.
    fn transport_of_media(&self, media: &Media) -> MsrpTransport {
        let known = media.peer.as_ref().map(|peer| transport_of(&peer.path));
        known.unwrap_or_else(|| self.config.msrp.offered())
    }

    /// F4; F5 has been sent.
    pub(crate) fn conference_answered(
        &mut self,
        key: StayKey,
        contact: Option<&NameAddr>,
        body: Option<&Body>,
    ) {
        let offered = self.config.msrp.offered();
        match read_answer(contact, body, offered) {
            Ok(peer) => self.open_media(key, peer),
            Err(refusal) => {
                let why = refusal.reason();
                self.end_stay(key, &Farewell::failed(error_of(&refusal)), &why);
            }
        }
    }

    /// The focus has called, and the user comes. Without an offer of its own it answers ours in its ACK.
    pub(super) fn take_call_of_focus(&mut self, key: StayKey, due: AnswerDue, offer: Option<MsrpOffer>) {
        let Some(stay) = self.stays.get_mut(key) else {
            return self.refuse(due, &Refusal::NotInRoom);
        };
        if let Some(offer) = &offer {
            stay.phase = Phase::Opening;
            stay.media.peer = Some(offer.peer.clone());
        }
        let Some(stay) = self.stays.get(key) else { return };
        let (contact, media) = (contact(stay), self.local_media(&stay.media));
        let body = match &offer {
            Some(offer) => offer.answer(&media),
            None => media.offer(Opening::Preferred),
        };
        self.sip(sip::Command::Accept { due, contact, body });
    }

    /// The focus has confirmed its call, with its answer if the offer was ours. What we open is opened only now: before our 200 is there a
    /// switch may not know whom to expect.
    pub(crate) fn conference_confirmed(&mut self, key: StayKey, body: Option<&Body>) {
        let Some(stay) = self.stays.get(key) else { return };
        match (stay.phase, stay.media.peer.clone()) {
            (Phase::Opening, Some(peer)) => return self.open_media(key, peer),
            (Phase::Calling, None) => {}
            // The switch was faster than the focus.
            _ => return,
        }
        let offered = self.config.msrp.offered();
        let answer = body.ok_or(Refusal::Offer("No Session Description"));
        match answer.and_then(|body| PeerMedia::of_answer(&body.bytes, Opening::Preferred, offered)) {
            Ok(peer) => self.open_media(key, peer),
            Err(refusal) => self.end_stay(key, &Farewell::failed(error_of(&refusal)), &refusal.reason()),
        }
    }

    /// F6, by the end that has to.
    fn open_media(&mut self, key: StayKey, peer: PeerMedia) {
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        stay.phase = Phase::Opening;
        stay.media.peer = Some(peer.clone());
        // If it is the switch that opens, it asks to bind.
        if peer.we_open {
            self.connect_to_switch(key, peer);
        }
    }

    fn connect_to_switch(&mut self, key: StayKey, peer: PeerMedia) {
        let connection = ConnectionId(self.next_handle());
        let Some(stay) = self.stays.get(key) else { return };
        let session = stay.media.session.clone();
        self.stays.connect(key, connection);
        self.command(connect(connection, &peer.path, peer.certificates));
        let parameters = self.session_parameters(&session, peer.path);
        self.msrp(connection, msrp::Command::Open(parameters));
    }

    fn session_parameters(&self, session: &SessionId, remote: msrp::Path) -> SessionParameters {
        SessionParameters {
            local: local_path(&self.config, session, transport_of(&remote)),
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

    pub(crate) fn stay_unconnected(&mut self, key: StayKey, why: &Refusal) {
        tracing::info!(stay = key.0, ?why, "no MSRP connection with the conference");
        self.end_stay(key, &Farewell::failed(error_of(why)), &why.reason());
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
        let answered = match &request.body {
            None => self
                .stays
                .get(key)
                .map(|stay| self.conference_offer(&stay.media))
                .ok_or(Refusal::NotInRoom),
            Some(body) => self.answer_conference(key, &body.bytes, now),
        };
        match answered {
            Ok(body) => self.sip(sip::Command::Accept { due, contact, body }),
            Err(refusal) => self.refuse(due, &refusal),
        }
    }

    fn answer_conference(&mut self, key: StayKey, description: &[u8], now: Instant) -> Result<Body, Refusal> {
        let stay = self.stays.get(key).ok_or(Refusal::NotInRoom)?;
        let standing = self.transport_of_media(&stay.media);
        let offer = MsrpOffer::read(description, Opening::Preferred, &self.config, Some(standing))?;
        let peer = offer.peer.clone();
        let moved = stay
            .media
            .peer
            .as_ref()
            .is_some_and(|known| known.path != peer.path);
        if moved {
            self.leave_switch(key, now);
        }
        let stay = self.stays.get_mut(key).ok_or(Refusal::NotInRoom)?;
        stay.media.peer = Some(peer.clone());
        if moved && peer.we_open {
            self.connect_to_switch(key, peer);
        }
        let stay = self.stays.get(key).ok_or(Refusal::NotInRoom)?;
        Ok(offer.answer(&self.local_media(&stay.media)))
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
    offered: MsrpTransport,
) -> Result<PeerMedia, Refusal> {
    let body = body.ok_or(Refusal::Offer("No Session Description"))?;
    let peer = PeerMedia::of_answer(&body.bytes, Opening::Preferred, offered)?;
    let has_room = peer.chatroom.nickname || peer.chatroom.private_messages;
    if is_focus(contact) || has_room {
        Ok(peer)
    } else {
        Err(Refusal::Offer("Not A Conference"))
    }
}
