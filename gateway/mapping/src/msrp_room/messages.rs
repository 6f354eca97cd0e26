//! RFC 7702 §5.5: messages between an XMPP user and his conference, public (§5.5.1) and private (§5.5.2).

use std::time::Instant;

use bytes::Bytes;
use msrp::{
    AnswerDue, IncomingMessage, Lane, MessageId, MessageTag, Status,
    cpim::{Address, Cpim},
};
use sip::Uri;
use xmpp::{
    FullJid, Jid,
    stanza::{Condition, Delay, Message, MessageKind, StanzaError, service::RoomStanza},
};

use super::{
    address::{key_of, lenient_uri},
    enter::error_of,
    presence::occupant,
    stay::{Heard, Phase, Said, Spoken, Stay, StayKey, Unanswered},
};
use crate::{
    ConnectionId, Gateway,
    offer::media_type,
    refusal::{Refusal, message_condition},
    rendering,
    session::SentPrivately,
};

/// So many messages of his own a user does not hear again if the switch sends them back.
const SAID: usize = 64;
/// So many messages are remembered that the switch may report on.
const REMEMBERED: usize = 64;
/// Is not shown in a room, and is no failure either.
const COMPOSING: &str = "application/im-iscomposing+xml";

// From the XMPP user to the conference.
impl Gateway {
    /// A message to a conference domain.
    pub(crate) fn conference_message(&mut self, message: Message, now: Instant) {
        let room = message.to.to_bare();
        let client = message.from.try_as_full().ok().cloned();
        let key = client
            .as_ref()
            .and_then(|client| self.stays.of_client(&room, client));
        if let (MessageKind::Error, Some(key), Some(client), Some(error)) =
            (message.kind, key, &client, &message.error)
        {
            return self.client_bounced(key, client, error.condition, now);
        }
        if self.answers_invitation(&message)
            || matches!(message.kind, MessageKind::Error | MessageKind::Headline)
        {
            return;
        }
        let outcome = match (key, client) {
            (Some(key), Some(client)) => self.says(key, &client, &message, now),
            _ if says_something(&message) => Err(StanzaError::new(Condition::NotAcceptable)),
            _ => Ok(()),
        };
        if let Err(error) = outcome {
            self.refuse_message(&message, error);
        }
    }

    fn says(
        &mut self,
        key: StayKey,
        client: &FullJid,
        message: &Message,
        now: Instant,
    ) -> Result<(), StanzaError> {
        let refused = |condition| Err(StanzaError::new(condition));
        let joined = self
            .stays
            .get(key)
            .is_some_and(|stay| stay.phase == Phase::Joined);
        let subject_alone = message.subject.is_some() && message.body.is_none() && !message.has_thread;
        match (message.kind, message.to.resource()) {
            _ if !says_something(message) => Ok(()),
            _ if !joined => refused(Condition::NotAcceptable),
            (MessageKind::Groupchat, Some(_)) => refused(Condition::BadRequest),
            // XEP-0045 §8.1: nobody here may.
            (MessageKind::Groupchat, None) if subject_alone => refused(Condition::Forbidden),
            (MessageKind::Groupchat, None) => self.send_public(key, client, message, now),
            (_, Some(nickname)) => self.send_private(key, client, nickname.as_str(), message, now),
            (_, None) if message.muc.as_ref().is_some_and(|muc| !muc.invites.is_empty()) => {
                self.invites(key, client, message, now)
            }
            // Requests for voice, declined invitations, and what else there is no SIP for.
            (_, None) => refused(Condition::FeatureNotImplemented),
        }
    }

    /// F16, F17. The reflection waits for the switch's answer.
    fn send_public(
        &mut self,
        key: StayKey,
        client: &FullJid,
        message: &Message,
        now: Instant,
    ) -> Result<(), StanzaError> {
        let Some(stay) = self.stays.get(key) else {
            return Err(StanzaError::new(Condition::NotAcceptable));
        };
        let Some(text) = self.text_of(stay, message) else {
            return Ok(());
        };
        let to = stay.conference.clone();
        let said = Said {
            body: message.body.clone().unwrap_or_default(),
            with: message.extras.payloads.clone(),
        };
        self.send_to_switch(key, &to, text, (client, message, Some(said)), now)
    }

    /// F20, F21.
    fn send_private(
        &mut self,
        key: StayKey,
        client: &FullJid,
        nickname: &str,
        message: &Message,
        now: Instant,
    ) -> Result<(), StanzaError> {
        let refused = |condition| Err(StanzaError::new(condition));
        let Some(stay) = self.stays.get(key) else {
            return refused(Condition::NotAcceptable);
        };
        let Some(text) = self.text_of(stay, message) else {
            return Ok(());
        };
        let to = match stay.listing.occupant(nickname) {
            Some(occupant) => occupant.uri.clone(),
            None if nickname == stay.nickname => stay.address.clone(),
            None => return refused(Condition::ItemNotFound),
        };
        // RFC 7701 §6.2: only to a switch that knows them.
        if !stay
            .media
            .peer
            .as_ref()
            .is_some_and(|peer| peer.chatroom.private_messages)
        {
            return refused(Condition::FeatureNotImplemented);
        }
        self.send_to_switch(key, &to, text, (client, message, None), now)
    }

    /// What others see of a message, who have text alone.
    fn text_of(&self, stay: &Stay, message: &Message) -> Option<String> {
        let speaker = occupant(&stay.room, &stay.nickname)?;
        let spoken = Message {
            from: speaker.into(),
            ..message.clone()
        };
        rendering::text(&spoken, &self.config.texts).filter(|text| !text.is_empty())
    }

    fn send_to_switch(
        &mut self,
        key: StayKey,
        to: &Uri,
        text: String,
        (client, stanza, said): (&FullJid, &Message, Option<Said>),
        now: Instant,
    ) -> Result<(), StanzaError> {
        if text.len() > self.config.limits.text {
            return Err(error_of(&Refusal::TooLarge));
        }
        let (most, _) = self.config.limits.session_queue;
        let not_in = || StanzaError::new(Condition::NotAcceptable);
        let stay = self.stays.get(key).ok_or_else(not_in)?;
        if stay.unanswered.len() >= most {
            return Err(error_of(&Refusal::Limit("session_queue")));
        }
        let connection = stay.media.connection.ok_or_else(not_in)?;
        let cpim = Cpim {
            from: Some(Address {
                display_name: Some(stay.nickname.clone()),
                uri: stay.address.to_string(),
            }),
            to: vec![Address {
                display_name: None,
                uri: to.to_string(),
            }],
            date_time: Some(self.wall(now)),
            content: Bytes::from(text),
            ..Cpim::default()
        };
        let message = self.outgoing(cpim.to_bytes(), Lane::default());
        let stay = self.stays.get_mut(key).ok_or_else(not_in)?;
        let octets = message.body.len() as u64;
        if stay
            .media
            .peer
            .as_ref()
            .and_then(|peer| peer.max_size)
            .is_some_and(|most| !most.allows(octets))
        {
            return Err(error_of(&Refusal::TooLarge));
        }
        let unanswered = Unanswered {
            message: message.id,
            from: client.clone(),
            to: stanza.to.clone(),
            id: stanza.id.clone(),
            said,
        };
        stay.unanswered.insert(message.tag, unanswered);
        stay.said.extend(cpim.date_time);
        if stay.said.len() > SAID {
            stay.said.pop_front();
        }
        let session = stay.media.session.clone();
        self.msrp(connection, msrp::Command::Send { session, message });
        Ok(())
    }

    /// F18: the conference has it, so that its sender may see it; F19, to all of his clients.
    pub(crate) fn taken_by_switch(&mut self, key: StayKey, tag: MessageTag) {
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        let Some(mut taken) = stay.unanswered.remove(&tag) else {
            return;
        };
        let (id, said) = (taken.id.clone(), taken.said.take());
        stay.taken.push_back((taken.message, taken));
        if stay.taken.len() > REMEMBERED {
            stay.taken.pop_front();
        }
        let Some(said) = said else { return };
        let Some(own) = occupant(&stay.room, &stay.nickname) else {
            return;
        };
        self.tell_all(key, |_, client| {
            Some(RoomStanza::Groupchat {
                from: own.clone().into(),
                to: client.clone(),
                id: id.clone(),
                body: said.body.clone(),
                with: said.with.clone(),
                delay: None,
            })
        });
    }

    /// The switch has not taken a message: its sender hears why.
    pub(crate) fn refused_by_switch(&mut self, key: StayKey, tag: MessageTag, status: Status) {
        let stay = self.stays.get_mut(key);
        if let Some(message) = stay.and_then(|stay| stay.unanswered.remove(&tag)) {
            self.not_said(message, status);
        }
    }

    /// A message that the switch has taken did not reach whom it was for.
    pub(crate) fn reported_by_switch(&mut self, key: StayKey, message: MessageId, status: Status) {
        let Some(stay) = self.stays.get_mut(key).filter(|_| !status.is_success()) else {
            return;
        };
        let place = stay.taken.iter().position(|(taken, _)| *taken == message);
        if let Some((_, message)) = place.and_then(|place| stay.taken.remove(place)) {
            self.not_said(message, status);
        }
    }

    fn not_said(&mut self, message: Unanswered, status: Status) {
        let comment = status.comment();
        self.room(RoomStanza::Refused {
            name: "message",
            by: message.to.to_bare(),
            from: message.to,
            to: message.from.into(),
            id: message.id,
            error: StanzaError {
                text: (!comment.is_empty()).then(|| comment.to_owned()),
                ..StanzaError::new(message_condition(status))
            },
        });
    }

    fn refuse_message(&mut self, message: &Message, error: StanzaError) {
        self.room(RoomStanza::Refused {
            name: "message",
            from: message.to.clone(),
            to: message.from.clone(),
            id: message.id.clone(),
            by: message.to.to_bare(),
            error,
        });
    }
}

// From the conference to the XMPP user.
impl Gateway {
    /// A SEND of the switch.
    pub(crate) fn sent_by_switch(
        &mut self,
        key: StayKey,
        connection: ConnectionId,
        message: &IncomingMessage,
        due: AnswerDue,
    ) {
        let id = self.fresh_id();
        let status = match self.read_from_switch(&id, message) {
            Ok(Some(spoken)) => self.deliver(key, spoken),
            Ok(None) => Status::OK,
            Err(status) => status,
        };
        self.answer(connection, due, status);
    }

    /// `id`: of the stanza that it becomes.
    fn read_from_switch(&self, id: &str, message: &IncomingMessage) -> Result<Option<Spoken>, Status> {
        if !media_type(&message.content_type).eq_ignore_ascii_case(msrp::cpim::CONTENT_TYPE) {
            return Err(Status::UNSUPPORTED_MEDIA);
        }
        let cpim = Cpim::parse(&message.body).map_err(|_| Status::BAD_REQUEST)?;
        let kind = media_type(&cpim.content_type);
        if kind.eq_ignore_ascii_case(COMPOSING) {
            return Ok(None);
        }
        if !kind.eq_ignore_ascii_case("text/plain") {
            return Err(Status::UNSUPPORTED_MEDIA);
        }
        let text = cpim.text().ok_or(Status::UNSUPPORTED_MEDIA)?;
        if text.is_empty() {
            return Ok(None);
        }
        if text.len() > self.config.limits.text {
            return Err(Refusal::TooLarge.msrp());
        }
        Ok(Some(Spoken {
            text: text.to_owned(),
            from: cpim.from,
            to: cpim.to,
            at: cpim.date_time,
            sent: SentPrivately::of(id, message),
        }))
    }

    /// To his clients, or kept until they know who is in: before that nobody can say whom a From names.
    fn deliver(&mut self, key: StayKey, spoken: Spoken) -> Status {
        let (most, most_octets) = self.config.limits.session_queue;
        let Some(stay) = self.stays.get_mut(key) else {
            return Status::NO_SESSION;
        };
        let room = stay.room.clone();
        if !self.is_up(room.domain()) {
            return self.missed(key);
        }
        let Some(stay) = self.stays.get_mut(key) else {
            return Status::NO_SESSION;
        };
        if stay.phase == Phase::Joined {
            self.show_spoken(key, spoken);
            return Status::OK;
        }
        let octets: usize = stay.backlog.iter().map(|spoken| spoken.text.len()).sum();
        if stay.backlog.len() >= most || octets + spoken.text.len() > most_octets {
            return Refusal::Limit("session_queue").msrp();
        }
        stay.backlog.push(spoken);
        Status::OK
    }

    /// Shows what a message says, now that it is known who is in.
    pub(super) fn show_spoken(&mut self, key: StayKey, spoken: Spoken) {
        if let Some(heard) = self.stays.get(key).and_then(|stay| heard(stay, spoken)) {
            self.show_heard(key, heard);
        }
    }

    /// Shows something that was said to every client that wants it.
    pub(super) fn show_heard(&mut self, key: StayKey, heard: Heard) {
        let id = match &heard.sent {
            Some(sent) => sent.stanza.clone(),
            None => self.fresh_id(),
        };
        self.tell_all(key, |stay, client| {
            let known = stay.clients.get(client)?;
            if heard.delay.is_some() && known.no_history {
                return None;
            }
            let speaker = heard
                .nickname
                .as_deref()
                .and_then(|nickname| occupant(&stay.room, nickname));
            let delay = heard.delay.map(|stamp| Delay {
                from: Some(stay.room.clone().into()),
                stamp: stamp.to_string(),
            });
            Some(match speaker {
                Some(from) if heard.private => RoomStanza::Private {
                    from,
                    to: client.clone(),
                    id: id.clone(),
                    body: heard.text.clone(),
                },
                speaker => RoomStanza::Groupchat {
                    from: speaker.map_or_else(|| stay.room.clone().into(), Jid::from),
                    to: client.clone(),
                    id: Some(id.clone()),
                    body: heard.text.clone(),
                    with: Vec::new(),
                    delay,
                },
            })
        });
        if let (true, Some(sent), Some(stay)) = (heard.private, heard.sent, self.stays.get_mut(key)) {
            sent.remember(&mut stay.heard_privately);
        }
    }
}

/// What a message is to the user; `None`: his own.
fn heard(stay: &Stay, spoken: Spoken) -> Option<Heard> {
    let Spoken {
        from,
        to,
        text,
        at,
        sent,
    } = spoken;
    let is_private = is_private(stay, &to);
    let (nickname, text) = match speaker(stay, from.as_ref()) {
        Speaker::Conference => (None, text),
        // RFC 7701 §6.2 forbids it; some switches send a message back to its sender.
        Speaker::Occupant(nickname)
            if nickname == stay.nickname && at.is_some_and(|at| stay.said.contains(&at)) =>
        {
            return None;
        }
        Speaker::Occupant(nickname) => (Some(nickname), text),
        // Never in the name of an occupant that he may not be.
        Speaker::Unknown(name) if is_private => (None, format!("{name} (privately): {text}")),
        Speaker::Unknown(name) => (None, format!("{name}: {text}")),
    };
    Some(Heard {
        private: nickname.is_some() && is_private,
        nickname,
        text,
        delay: at.filter(|said| *said < stay.since),
        sent,
    })
}

/// Who speaks in a conference.
enum Speaker {
    Conference,
    Occupant(String),
    /// With what he is called.
    Unknown(String),
}

fn speaker(stay: &Stay, from: Option<&Address>) -> Speaker {
    let Some(from) = from else {
        return Speaker::Conference;
    };
    let named = || from.display_name.clone().unwrap_or_else(|| from.uri.clone());
    let Some(uri) = lenient_uri(&from.uri) else {
        return Speaker::Unknown(named());
    };
    let is = |other: &Uri| key_of(&uri) == key_of(other);
    let own = stay.conference.with_parameter("gr", Some(&stay.nickname));
    if is(&own) || key_of(&uri.address_of_record()) == key_of(&stay.address) {
        return Speaker::Occupant(stay.nickname.clone());
    }
    if let Some(nickname) = stay.listing.nickname_of(&stay.conference, &uri) {
        return Speaker::Occupant(nickname.to_owned());
    }
    if is(&stay.conference) {
        return Speaker::Conference;
    }
    match &from.display_name {
        Some(name) => Speaker::Unknown(format!("{name} ({})", uri.address_of_record())),
        None => Speaker::Unknown(uri.address_of_record().to_string()),
    }
}

/// Whether a message is for the user alone: RFC 7701 §6.2 tells it by a To that is not the conference's, since what names a participant
/// is the focus's choice.
fn is_private(stay: &Stay, to: &[Address]) -> bool {
    let [to] = to else { return false };
    lenient_uri(&to.uri).is_some_and(|uri| key_of(&uri) != key_of(&stay.conference))
}

/// Chat states, markers and the like say nothing.
fn says_something(message: &Message) -> bool {
    let muc = message.muc.as_ref();
    message.body.is_some()
        || message.subject.is_some()
        || message.kind == MessageKind::Normal
        || muc.is_some_and(|muc| !muc.invites.is_empty())
}
