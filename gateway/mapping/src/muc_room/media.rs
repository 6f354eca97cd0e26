//! The MSRP session under a stay: opened by the SIP user, bound to a connection, offered anew, lost.

use std::time::Instant;

use msrp::{LostCause, MessageTag, OutgoingMessage, SessionId, SessionParameters, Status};
use sip::{AnswerDue, Body, DialogId, Incoming};
use xmpp::stanza::Outgoing;

use crate::{
    ConnectionId, Gateway, MsrpTransport,
    bodies::Bodies,
    offer::{LocalMedia, MsrpOffer, Opening, PeerMedia, connect, local_path, transport_of},
    refusal::{Refusal, private_message_condition},
    session::{EarlyBind, Media, PrivateSender, SessionKey},
    timers::Timer,
};

impl Gateway {
    /// The INVITE is answered: from now on the client may open the MSRP session, and must in time; unless it wants us to do that.
    pub(super) fn begin_media(&mut self, key: SessionKey, now: Instant) {
        let wanted = self.sessions.get(key).filter(|session| session.we_open);
        let opened = wanted.and_then(|session| Some((session.remote.clone()?, session.certificates.clone())));
        let Some((path, certificates)) = opened else {
            return self.await_media(key, now);
        };
        let connection = ConnectionId(self.next_handle());
        self.command(connect(connection, &path, certificates));
        self.bound(connection, key, msrp::Command::Open);
    }

    fn await_media(&mut self, key: SessionKey, now: Instant) {
        let timer = self
            .timers
            .start(now + self.config.limits.media, Timer::Media(key));
        match self.sessions.get_mut(key).map(|session| &mut session.media) {
            Some(Media::Awaited { timer: slot, .. }) => *slot = Some(timer),
            _ => self.timers.cancel(timer),
        }
    }

    pub(crate) fn media_not_opened(&mut self, key: SessionKey, now: Instant) {
        if self
            .sessions
            .get(key)
            .is_some_and(|session| matches!(session.media, Media::Awaited { .. }))
        {
            tracing::info!(session = key.0, "MSRP session never opened");
            self.end(key, &Refusal::Media("MSRP Session Never Opened"), now);
        }
    }

    /// The first request for a session-id on a connection. The From-Path must be the one in the offer, which nobody else knows.
    pub(crate) fn bind(&mut self, connection: ConnectionId, id: SessionId, from: &msrp::Path) {
        if self.keep_early(connection, &id, from) {
            return;
        }
        let known = self.sessions.of_msrp(&id);
        let session = known.and_then(|key| self.sessions.get(key));
        let status = match session.map(|session| &session.media) {
            Some(Media::Bound(_)) => Status::BOUND_ELSEWHERE,
            Some(Media::Awaited { .. })
                if session.is_some_and(|session| session.remote.as_ref() == Some(from)) =>
            {
                Status::OK
            }
            _ => Status::NO_SESSION,
        };
        match (known, status.is_success()) {
            (Some(key), true) => self.bound(connection, key, msrp::Command::Bind),
            _ => self.msrp(connection, msrp::Command::RefuseBind { session: id, status }),
        }
    }

    /// Who answers an offer of ours may open the session before his answer is here (RFC 3264 §5.1): then the request waits for it.
    fn keep_early(&mut self, connection: ConnectionId, id: &SessionId, from: &msrp::Path) -> bool {
        let known = self.sessions.of_msrp(id);
        let slot = match known.and_then(|key| self.sessions.get_mut(key)) {
            Some(session) if session.remote.is_none() => &mut session.early,
            Some(_) => return false,
            None => match self.calls.values_mut().find(|call| call.msrp == *id) {
                Some(call) => &mut call.early,
                None => return false,
            },
        };
        let free = slot.is_none();
        if free {
            *slot = Some(EarlyBind {
                connection,
                from: from.clone(),
            });
        }
        free
    }

    /// The answer is here, and so it is known who may bind.
    pub(super) fn admit_early(&mut self, id: SessionId, early: Option<EarlyBind>) {
        if let Some(EarlyBind { connection, from }) = early {
            self.bind(connection, id, &from);
        }
    }

    /// There will be no session to bind.
    pub(super) fn refuse_early(&mut self, session: SessionId, early: Option<EarlyBind>) {
        if let Some(EarlyBind { connection, .. }) = early {
            let status = Status::NO_SESSION;
            self.msrp(connection, msrp::Command::RefuseBind { session, status });
        }
    }

    /// The session is on this connection from now on, by the command that makes it so.
    fn bound(
        &mut self,
        connection: ConnectionId,
        key: SessionKey,
        command: fn(SessionParameters) -> msrp::Command,
    ) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let Some(remote) = session.remote.clone() else {
            return;
        };
        let id = session.msrp.clone();
        let parameters = SessionParameters {
            local: local_path(&self.config, &id, transport_of(&remote)),
            remote,
        };
        let awaited = std::mem::replace(&mut session.media, Media::Bound(connection));
        self.sessions.bind(connection, key);
        self.msrp(connection, command(parameters));
        if let Media::Awaited { backlog, timer, .. } = awaited {
            if let Some(timer) = timer {
                self.timers.cancel(timer);
            }
            for message in backlog {
                self.msrp(
                    connection,
                    msrp::Command::Send {
                        session: id.clone(),
                        message,
                    },
                );
            }
        }
    }

    /// Hands a message to the user's client, or keeps it until the MSRP session is open.
    pub(super) fn send_to_user(&mut self, key: SessionKey, message: OutgoingMessage, now: Instant) {
        let (most, octets_most) = self.config.limits.session_queue;
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let over = match &mut session.media {
            Media::Bound(connection) => {
                let (connection, id) = (*connection, session.msrp.clone());
                return self.msrp(connection, msrp::Command::Send { session: id, message });
            }
            Media::Awaited { backlog, octets, .. } => {
                *octets += message.body.len();
                backlog.push(message);
                backlog.len() > most || *octets > octets_most
            }
        };
        if over {
            self.end(key, &Refusal::Limit("session_queue"), now);
        }
    }

    /// Whether we open the MSRP connections of SIP users.
    pub(super) fn opening(&self) -> Opening {
        if self.config.connect {
            Opening::IfNeeded
        } else {
            Opening::Never
        }
    }

    /// What a session goes over; until the peer has said a word, what we offer.
    fn transport(&self, key: SessionKey) -> MsrpTransport {
        let known = self.sessions.get(key).and_then(|session| session.remote.as_ref());
        known.map_or_else(|| self.config.msrp.offered(), transport_of)
    }

    /// A new offer within the call: a new path means a new MSRP session (RFC 4975 §8.2); the stay goes on. Without an offer we make one,
    /// the same as ever, and the ACK has the answer (RFC 3261 §14.2).
    pub(crate) fn reinvited(&mut self, dialog: DialogId, request: &Incoming, due: AnswerDue, now: Instant) {
        let Some(key) = self.sessions.of_dialog(dialog) else {
            return self.refuse(due, &Refusal::NotInRoom);
        };
        let opening = self.opening();
        let standing = self.transport(key);
        let offer = Bodies::read(request.body.as_ref()).and_then(|bodies| {
            bodies
                .description
                .map(|sdp| MsrpOffer::read(&sdp, opening, &self.config, Some(standing)))
                .transpose()
        });
        let offer = match offer {
            Ok(offer) => offer,
            Err(refusal) => return self.refuse(due, &refusal),
        };
        if let Some(offer) = &offer {
            let fresh = self.fresh_session_id();
            self.describe_peer(key, offer.peer.clone(), Some(fresh), now);
        }
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        session.description.1 += 1;
        let transport = offer.as_ref().map_or(standing, |offer| offer.transport);
        let ours = LocalMedia::new(&self.config, &session.msrp, session.description, transport)
            .with_typing(self.config.occupants.typing);
        let body = match &offer {
            Some(offer) => offer.answer(&ours),
            None => ours.offer(opening),
        };
        let room = session.room.clone();
        let contact = self.contact(&room);
        self.sip(sip::Command::Accept { due, contact, body });
    }

    /// The ACK to our 200: with the peer's side if the offer was ours.
    pub(crate) fn confirmed(&mut self, dialog: DialogId, body: Option<&Body>, now: Instant) {
        let Some(key) = self.sessions.of_dialog(dialog) else {
            return;
        };
        let (opening, offered) = (self.opening(), self.transport(key));
        let peer = Bodies::read(body).and_then(|bodies| {
            bodies
                .description
                .map(|sdp| PeerMedia::of_answer(&sdp, opening, offered))
                .transpose()
        });
        let known = self
            .sessions
            .get(key)
            .is_some_and(|session| session.remote.is_some());
        match peer {
            Ok(Some(peer)) => self.describe_peer(key, peer, None, now),
            Ok(None) if known => {}
            Ok(None) => self.end(key, &Refusal::Offer("The ACK Had No Answer"), now),
            Err(refusal) => self.end(key, &refusal, now),
        }
    }

    /// The peer's side as he has now described it; if he has moved, what was bound is let go, for a `fresh` session if he made the offer.
    fn describe_peer(&mut self, key: SessionKey, peer: PeerMedia, fresh: Option<SessionId>, now: Instant) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        session.chatroom = peer.chatroom;
        session.knows_rooms = peer.knows_rooms;
        session.hears_typing = peer.typing;
        session.we_open = peer.we_open;
        session.certificates = peer.certificates;
        if session.remote.is_none() {
            session.remote = Some(peer.path);
            let (id, early) = (session.msrp.clone(), session.early.take());
            if peer.we_open {
                self.begin_media(key, now);
            }
            self.admit_early(id, early);
        } else if session.remote.as_ref() != Some(&peer.path) {
            let id = fresh.unwrap_or_else(|| session.msrp.clone());
            self.renew_media(key, id, peer.path, now);
        }
    }

    fn renew_media(&mut self, key: SessionKey, id: SessionId, remote: msrp::Path, now: Instant) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let former = session.msrp.clone();
        let awaited = Media::Awaited {
            backlog: Vec::new(),
            octets: 0,
            timer: None,
        };
        match std::mem::replace(&mut session.media, awaited) {
            Media::Bound(connection) => self.release(connection, key, former),
            // Nothing was sent yet: what waits goes on waiting, under a new deadline.
            Media::Awaited {
                backlog,
                octets,
                timer,
            } => {
                session.media = Media::Awaited {
                    backlog,
                    octets,
                    timer: None,
                };
                if let Some(timer) = timer {
                    self.timers.cancel(timer);
                }
            }
        }
        self.sessions.redirect(key, id, remote);
        self.begin_media(key, now);
    }

    /// Takes a session off its connection, and closes that when it was the last.
    pub(super) fn release(&mut self, connection: ConnectionId, key: SessionKey, id: SessionId) {
        self.msrp(connection, msrp::Command::Unbind(id));
        if self.sessions.unbind(connection, key) {
            self.msrp(connection, msrp::Command::Close);
        }
    }

    pub(crate) fn media_lost(
        &mut self,
        connection: ConnectionId,
        id: &SessionId,
        cause: LostCause,
        now: Instant,
    ) {
        let Some(key) = self.session_on(connection, id) else {
            return;
        };
        tracing::info!(session = key.0, ?cause, "MSRP session lost");
        self.end(key, &Refusal::Media("MSRP Session Lost"), now);
    }

    pub(crate) fn connection_over(&mut self, connection: ConnectionId, why: &Refusal, now: Instant) {
        let gone = |early: &mut Option<EarlyBind>| {
            early.take_if(|early| early.connection == connection);
        };
        self.calls.values_mut().for_each(|call| gone(&mut call.early));
        self.sessions
            .values_mut()
            .for_each(|session| gone(&mut session.early));
        let over = self.sessions.of_connection(connection);
        // When one of them is let go, the others of his room may have to be told something.
        for key in &over {
            self.hears_no_more(*key);
        }
        for key in over {
            tracing::info!(session = key.0, ?why, "MSRP connection over");
            self.end(key, why, now);
        }
    }

    /// The session that an MSRP event of a connection is about; an event of a former connection is about none.
    pub(super) fn session_on(&self, connection: ConnectionId, id: &SessionId) -> Option<SessionKey> {
        let key = self.sessions.of_msrp(id)?;
        matches!(self.sessions.get(key)?.media, Media::Bound(bound) if bound == connection).then_some(key)
    }

    pub(crate) fn delivered(&mut self, id: &SessionId, tag: MessageTag) {
        if let Some(session) = self
            .sessions
            .of_msrp(id)
            .and_then(|key| self.sessions.get_mut(key))
        {
            session.private_in.remove(&tag);
        }
    }

    /// A message did not reach the user. Its private sender is told; a user who cannot keep up is let go (RFC 7701 §6.4).
    pub(crate) fn not_delivered(&mut self, id: &SessionId, tag: MessageTag, status: Status, now: Instant) {
        let Some(key) = self.sessions.of_msrp(id) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        tracing::debug!(session = key.0, %status, "message not delivered to the SIP user");
        if let Some(sender) = session.private_in.remove(&tag) {
            self.bounce_private(sender, status);
        }
        if status == Status::CONGESTED {
            tracing::info!(session = key.0, "SIP user does not keep up");
            self.end(key, &Refusal::Limit("outgoing"), now);
        }
    }

    pub(super) fn bounce_private(&mut self, sender: PrivateSender, status: Status) {
        self.xmpp(Outgoing::Error {
            name: "message",
            from: sender.to,
            to: sender.from,
            id: sender.id,
            condition: private_message_condition(status),
            text: Some(status.comment().to_owned()),
        });
    }
}
