//! The MSRP side of a stay: offer and answer, the session, nicknames, messages.

use std::time::Instant;

use msrp::{
    Command, Event as MsrpEvent, FailureReport, IncomingMessage, LostCause, MessageId, MessageTag,
    OutgoingMessage, Path, SessionParameters, Status,
    cpim::{self, Cpim},
    sdp::{AcceptTypes, Chatroom, Fingerprints, Setup},
};
use rand_chacha::rand_core::Rng;
use sip::{
    Body,
    sdp::{Line, Media, Session},
};

use super::{Client, EndCause, Event, InFlight, MediaRequest, Phase, Reference, SEVERED};

/// The port of who only opens connections (RFC 4145 §4.1, RFC 6135 §4.2.2).
const ACTIVE_PORT: u16 = 9;
/// The port of an `msrp` URI that names none (RFC 4975 §15.4).
const DEFAULT_PORT: u16 = 2855;
const SDP: &str = "application/sdp";
const TEXT: &str = "text/plain";

/// What offer and answer have settled.
#[derive(Debug, Clone)]
pub(super) struct Negotiated {
    parameters: SessionParameters,
    chatroom: Chatroom,
    /// Octets of a message that the switch takes at most (RFC 4975 §8.6).
    max_size: Option<usize>,
}

/// Whether a Content-Type, parameters aside, is `media_type`.
pub(super) fn is_type(content_type: &str, media_type: &str) -> bool {
    let bare = content_type.split(';').next().unwrap_or_default().trim();
    bare.eq_ignore_ascii_case(media_type)
}

impl Client {
    /// Our offer: we open the connection, so that nothing need reach us.
    pub(super) fn offer(&self) -> Body {
        Body {
            content_type: SDP.to_owned(),
            bytes: Session::offer(&self.line(), self.description_id(), 1).into(),
        }
    }

    /// Reads the answer, and asks for the connection it names.
    pub(super) fn negotiate(&mut self, body: Option<&Body>) -> Result<(), &'static str> {
        let (session, _, media) = message_media(body, self.protocol())?;
        let negotiated = Negotiated {
            parameters: SessionParameters {
                local: self.local_path(),
                remote: path(&media)?,
            },
            chatroom: media
                .attribute("chatroom")
                .map(Chatroom::parse)
                .unwrap_or_default(),
            max_size: media
                .attribute("max-size")
                .and_then(|size| size.trim().parse().ok()),
        };
        if media.attribute("setup").and_then(Setup::parse) == Some(Setup::Active) {
            return Err("the switch wants to connect to us, who offered to connect");
        }
        if !media
            .attribute("accept-types")
            .is_some_and(|types| AcceptTypes::parse(types).accepts(cpim::CONTENT_TYPE))
        {
            return Err("the switch does not take message/cpim");
        }
        let hop = negotiated.parameters.remote.first();
        if hop.is_secure() != self.settings.secured {
            return Err("the room's answer and the path in it disagree about TLS");
        }
        let certificates = || match media.attribute("fingerprint") {
            Some(_) => Fingerprints::parse(media.values("fingerprint")),
            None => Fingerprints::parse(session.values("fingerprint")),
        };
        self.media_requests.push_back(MediaRequest::Connect {
            host: hop.host().to_owned(),
            port: hop.port().unwrap_or(DEFAULT_PORT),
            tls: self.settings.secured.then(certificates),
        });
        self.negotiated = Some(negotiated);
        Ok(())
    }

    /// The answer to an offer within the call: the session as it stands, or `None` if another one is offered.
    pub(super) fn renegotiate(&self, body: Option<&Body>) -> Option<Body> {
        let Some(body) = body else {
            return Some(self.offer()); // RFC 3264 §8: asked to offer, we offer what stands
        };
        let (session, index, media) = message_media(Some(body), self.protocol()).ok()?;
        let standing = &self.negotiated.as_ref()?.parameters.remote;
        (path(&media).ok()? == *standing).then(|| Body {
            content_type: SDP.to_owned(),
            bytes: session
                .answer(index, &self.line(), self.description_id(), 1)
                .into(),
        })
    }

    /// The connection to the switch stands: binds our session to it.
    pub(super) fn open(&mut self, now: Instant) {
        if self.phase != Phase::Connecting {
            return self.media_requests.push_back(MediaRequest::Close);
        }
        let Some(negotiated) = &self.negotiated else {
            return;
        };
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let mut connection = msrp::Connection::new(msrp::Limits::default(), seed);
        if self.settings.secured {
            connection = connection.secured();
        }
        connection.handle_command(Command::Open(negotiated.parameters.clone()), now);
        self.media = Some(connection);
        self.phase = Phase::Opening;
        self.progress("connected to the switch");
    }

    /// The stay cannot go on without the switch.
    pub(super) fn lose_media(&mut self, reason: &str, now: Instant) {
        match self.phase {
            Phase::Connecting => {
                self.farewell = Some(reason.to_owned());
                self.leave(EndCause::MediaLost, None, now);
            }
            Phase::Opening | Phase::Naming | Phase::Present => {
                self.farewell = Some(reason.to_owned());
                self.fail_outstanding();
                self.phase = Phase::Severed { until: now + SEVERED };
            }
            Phase::Calling
            | Phase::Severed { .. }
            | Phase::Leaving { .. }
            | Phase::Lingering { .. }
            | Phase::Over => {}
        }
    }

    /// Sends what is queued, then closes.
    pub(super) fn close_media(&mut self, now: Instant) {
        if let Some(media) = &mut self.media {
            media.handle_command(Command::Close, now);
        }
    }

    /// What the connection reports.
    pub(super) fn on_msrp(&mut self, event: MsrpEvent, now: Instant) {
        match event {
            MsrpEvent::Opened { .. } => self.on_opened(now),
            MsrpEvent::NicknameAnswered { tag, status, .. } => self.on_nickname_answered(tag, status, now),
            MsrpEvent::Delivered { tag, .. } => self.on_settled(tag, None, now),
            MsrpEvent::Failed { tag, status, .. } => self.on_settled(tag, Some(status), now),
            MsrpEvent::Received { message, due, .. } => {
                let status = self.on_received(&message, now);
                self.command_media(Command::Answer { due, status }, now);
            }
            // We are no switch: nobody names himself through us, and our session was opened by us.
            MsrpEvent::NicknameRequested { due, .. } => {
                let status = Status::UNKNOWN_METHOD;
                self.command_media(Command::Answer { due, status }, now);
            }
            MsrpEvent::BindRequested { session, .. } => {
                let status = Status::NO_SESSION;
                self.command_media(Command::RefuseBind { session, status }, now);
            }
            // One user's typing fills no queue, and the client asks no relay.
            MsrpEvent::Congested { .. }
            | MsrpEvent::Eased { .. }
            | MsrpEvent::Authorized { .. }
            | MsrpEvent::Unauthorized { .. } => {}
            MsrpEvent::Reported { status, .. } => self.progress(format!("the switch reports {status}")),
            MsrpEvent::Lost { cause, .. } => self.on_lost(cause, now),
            MsrpEvent::Faulted(fault) => {
                self.media_requests.push_back(MediaRequest::Close);
                self.lose_media(
                    &format!("the switch sent something that is not MSRP: {fault}"),
                    now,
                );
            }
            MsrpEvent::Closed => {
                self.media_requests.push_back(MediaRequest::Close);
                self.lose_media("the connection to the switch has ended", now);
            }
        }
    }

    /// A message to all, or to one occupant.
    pub(super) fn send(
        &mut self,
        to: Option<String>,
        text: String,
        reference: Option<Reference>,
        now: Instant,
    ) {
        let recipient = match &to {
            None => self.settings.room.to_string(),
            Some(nick) => self.occupant(nick),
        };
        let body = self.wrap(recipient, &text, now);
        let refusal = match &self.negotiated {
            Some(negotiated) if to.is_some() && !negotiated.chatroom.private_messages => {
                Some(Status::PRIVATE_UNSUPPORTED)
            }
            Some(negotiated) if negotiated.max_size.is_some_and(|max| body.len() > max) => {
                Some(Status::STOP_SENDING)
            }
            _ => None,
        };
        if let Some(status) = refusal {
            return self.tell(Event::Failed {
                reference,
                to,
                text,
                refusal: status.into(),
            });
        }
        let tag = MessageTag(self.next_number());
        let message = OutgoingMessage {
            tag,
            id: MessageId::random(&mut self.rng),
            content_type: cpim::CONTENT_TYPE,
            body,
            success_report: false,
            failure_report: FailureReport::Yes,
            lane: msrp::Lane::default(),
        };
        self.in_flight
            .insert(tag, InFlight::Message { reference, to, text });
        let session = self.session.clone();
        self.command_media(Command::Send { session, message }, now);
    }

    /// NICKNAME, if the room takes nicknames; otherwise `false`.
    pub(super) fn ask_nickname(&mut self, nickname: String, now: Instant) -> bool {
        if !self
            .negotiated
            .as_ref()
            .is_some_and(|negotiated| negotiated.chatroom.nickname)
        {
            self.tell(Event::NickRefused {
                nickname,
                refusal: Status::UNKNOWN_METHOD.into(),
            });
            return false;
        }
        let tag = MessageTag(self.next_number());
        self.in_flight.insert(tag, InFlight::Nickname(nickname.clone()));
        let session = self.session.clone();
        self.command_media(
            Command::Nickname {
                session,
                tag,
                nickname,
            },
            now,
        );
        true
    }

    fn on_opened(&mut self, now: Instant) {
        if self.phase != Phase::Opening {
            return;
        }
        let wish = self.settings.nickname.clone();
        if wish.is_some_and(|nickname| self.ask_nickname(nickname, now)) {
            self.phase = Phase::Naming;
        } else {
            self.enter(now);
        }
    }

    fn on_nickname_answered(&mut self, tag: MessageTag, status: Status, now: Instant) {
        let Some(InFlight::Nickname(nickname)) = self.in_flight.remove(&tag) else {
            return;
        };
        if status.is_success() {
            let old = self.nickname.replace(nickname.clone());
            self.expect_renaming(old, &nickname);
            if self.phase == Phase::Present {
                self.tell(Event::Nick { nickname });
            }
        } else {
            self.tell(Event::NickRefused {
                nickname,
                refusal: status.into(),
            });
        }
        if self.phase == Phase::Naming {
            self.enter(now);
        }
    }

    /// The roster will show our new nickname, unless it has already. Changes in between it may leave out.
    fn expect_renaming(&mut self, old: Option<String>, new: &str) {
        let shown = self.renaming.take().map(|(shown, _)| shown).or(old);
        if self.roster.entity_of(new).is_none() {
            self.renaming = shown.map(|shown| (shown, new.to_owned()));
        }
    }

    fn on_settled(&mut self, tag: MessageTag, refused: Option<Status>, now: Instant) {
        let Some(InFlight::Message { reference, to, text }) = self.in_flight.remove(&tag) else {
            return;
        };
        let at = self.wall_clock(now);
        self.tell(match refused {
            None => Event::Sent {
                reference,
                to,
                text,
                at,
            },
            Some(status) => Event::Failed {
                reference,
                to,
                text,
                refusal: status.into(),
            },
        });
    }

    /// Shows a message, and says what to answer it with.
    fn on_received(&mut self, message: &IncomingMessage, now: Instant) -> Status {
        if !is_type(&message.content_type, cpim::CONTENT_TYPE) {
            return Status::UNSUPPORTED_MEDIA;
        }
        let Ok(cpim) = Cpim::parse(&message.body) else {
            return Status::BAD_REQUEST;
        };
        let (Some(from), Some(to)) = (&cpim.from, cpim.to.first()) else {
            return Status::BAD_REQUEST;
        };
        let Some(text) = cpim.text().filter(|_| is_type(&cpim.content_type, TEXT)) else {
            return Status::UNSUPPORTED_MEDIA;
        };
        let nickname = self
            .roster
            .nickname_of(&from.uri)
            .or_else(|| from.display_name.clone());
        let to_room = to
            .uri
            .parse::<sip::Uri>()
            .is_ok_and(|uri| uri == self.settings.room);
        let event = Event::Message {
            from: nickname.unwrap_or_else(|| from.uri.clone()),
            text: text.to_owned(),
            private: !to_room,
            at: cpim.date_time.unwrap_or_else(|| self.wall_clock(now)),
        };
        self.tell(event);
        Status::OK
    }

    fn on_lost(&mut self, cause: LostCause, now: Instant) {
        let reason = match cause {
            LostCause::Disconnected => "the connection to the switch has ended".to_owned(),
            LostCause::Malformed => "the switch sent something that is not MSRP".to_owned(),
            LostCause::Rejected(status) => format!("the switch does not know our session: {status}"),
            LostCause::Silent => "the switch no longer answers".to_owned(),
        };
        self.close_media(now);
        self.lose_media(&reason, now);
    }

    /// The entity of the conference document if it is listed there, otherwise built the same way.
    fn occupant(&self, nick: &str) -> String {
        self.roster.entity_of(nick).map_or_else(
            || self.settings.room.with_parameter("gr", Some(nick)).to_string(),
            str::to_owned,
        )
    }

    fn wrap(&self, to: String, text: &str, now: Instant) -> bytes::Bytes {
        let from = cpim::Address {
            display_name: self.settings.display_name.clone(),
            uri: self.settings.from.to_string(),
        };
        let to = cpim::Address {
            display_name: None,
            uri: to,
        };
        Cpim {
            from: Some(from),
            to: vec![to],
            date_time: Some(self.wall_clock(now)),
            other: Vec::new(),
            content_type: "text/plain;charset=utf-8".to_owned(),
            content_headers: Vec::new(),
            content: text.to_owned().into(),
        }
        .to_bytes()
    }

    fn command_media(&mut self, command: Command, now: Instant) {
        if let Some(media) = &mut self.media {
            media.handle_command(command, now);
        }
    }

    fn line(&self) -> Line {
        Line {
            host: self.settings.host.clone(),
            port: ACTIVE_PORT,
            protocol: self.protocol(),
            attributes: vec![
                ("accept-types", Some(cpim::CONTENT_TYPE.to_owned())),
                ("accept-wrapped-types", Some(TEXT.to_owned())),
                ("setup", Some("active".to_owned())),
                ("path", Some(self.local_path().to_string())),
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
        }
    }

    fn protocol(&self) -> &'static str {
        if self.settings.secured {
            "TCP/TLS/MSRP"
        } else {
            "TCP/MSRP"
        }
    }

    fn local_path(&self) -> Path {
        Path::single(msrp::Uri::new(
            self.settings.secured,
            &self.settings.host,
            ACTIVE_PORT,
            &self.session,
        ))
    }

    /// A number for the `o=` line: the seconds at which the stay began (RFC 4566 §5.2).
    fn description_id(&self) -> u64 {
        u64::try_from(self.started.1.as_second()).unwrap_or_default()
    }
}

/// The description, and the place and lines of its MSRP media.
fn message_media(body: Option<&Body>, protocol: &str) -> Result<(Session, usize, Media), &'static str> {
    let body = body
        .filter(|body| is_type(&body.content_type, SDP))
        .ok_or("the room's answer has no session description")?;
    let session = Session::parse(&body.bytes).map_err(|fault| fault.0)?;
    let (index, media) = session
        .media()
        .into_iter()
        .enumerate()
        .find(|(_, media)| media.kind == "message" && media.port != 0)
        .ok_or("the room's answer has no messages in it")?;
    if !media.protocol.eq_ignore_ascii_case(protocol) {
        return Err("the room's answer is for another protocol than we offered");
    }
    Ok((session, index, media))
}

fn path(media: &Media) -> Result<Path, &'static str> {
    media
        .attribute("path")
        .ok_or("the room's answer has no path")?
        .parse()
        .map_err(|fault: msrp::uri::UriFault| fault.0)
}
