//! The switch: MSRP sessions, messages and nicknames (RFC 7701).

use std::time::Instant;

use msrp::{FailureReport, MessageTag, OutgoingMessage, SessionParameters, Status};

use super::{DOMAIN, Entry, Focus, Habit, Leg, Who, drop_unanswered, local_uri};
use crate::user::{read_cpim, write_cpim};

impl Focus {
    pub(crate) fn accept_msrp(&mut self, stream: u64) {
        let media = msrp::Connection::new(msrp::Limits::default(), self.dice.bytes());
        self.media.insert(stream, media);
    }

    pub(crate) fn handle_bytes(&mut self, stream: u64, bytes: &[u8], now: Instant) {
        if let Some(media) = self.media.get_mut(&stream) {
            media.handle_bytes(bytes, now);
        }
    }

    pub(crate) fn handle_closed(&mut self, stream: u64, now: Instant) {
        if let Some(media) = self.media.get_mut(&stream) {
            media.handle_closed(now);
        }
    }

    pub(crate) fn poll_transmit(&mut self, stream: u64, out: &mut bytes::BytesMut, now: Instant) {
        if let Some(media) = self.media.get_mut(&stream) {
            while media.poll_transmit(out, 16_384, now) {}
        }
    }

    pub(super) fn handle_msrp(&mut self, stream: u64, event: msrp::Event, now: Instant) {
        use msrp::Event;
        match event {
            Event::BindRequested { session, from } => self.bind(stream, session, &from, now),
            Event::Received {
                session,
                message,
                due,
            } => self.sent(&session, &message, due, now),
            Event::NicknameRequested {
                session,
                nickname,
                due,
            } => self.named(&session, &nickname, due, now),
            Event::Failed { .. } => self.entries.push(Entry::Undelivered),
            Event::Lost { session, .. } => self.media_lost(&session, now),
            Event::Faulted(fault) => {
                self.entries.push(Entry::Broken(format!("MSRP framing: {fault}")));
                self.media.remove(&stream);
            }
            Event::Closed => {
                self.media.remove(&stream);
            }
            Event::Opened { .. }
            | Event::Delivered { .. }
            | Event::NicknameAnswered { .. }
            | Event::Reported { .. }
            | Event::Congested { .. }
            | Event::Eased { .. }
            | Event::Authorized { .. }
            | Event::Unauthorized { .. } => {}
        }
    }

    fn bind(&mut self, stream: u64, session: msrp::SessionId, from: &msrp::Path, now: Instant) {
        let leg = self
            .legs
            .iter_mut()
            .find(|leg| leg.path.last().session() == Some(&session));
        let command = match leg {
            Some(leg) if leg.remote == *from => {
                leg.stream = Some(stream);
                msrp::Command::Bind(SessionParameters {
                    local: leg.path.clone(),
                    remote: leg.remote.clone(),
                })
            }
            _ => msrp::Command::RefuseBind {
                session: session.clone(),
                status: Status::NO_SESSION,
            },
        };
        if let Some(media) = self.media.get_mut(&stream) {
            media.handle_command(command, now);
        }
        if let Some((room, aor)) = self.leg_of(&session).map(|leg| (leg.room, leg.aor.clone())) {
            self.changed(room, now);
            if self.has(Habit::Welcome) {
                let from = format!("sip:{}@{DOMAIN}", crate::user::room_name(room));
                self.hand(room, &aor, &from, &aor, "Welcome to the conference", now);
            }
        }
    }

    fn leg_of(&self, session: &msrp::SessionId) -> Option<&Leg> {
        self.legs
            .iter()
            .find(|leg| leg.path.last().session() == Some(session))
    }

    fn settle(&mut self, session: &msrp::SessionId, due: msrp::AnswerDue, status: Status, now: Instant) {
        let stream = self.leg_of(session).and_then(|leg| leg.stream);
        if let Some(media) = stream.and_then(|stream| self.media.get_mut(&stream)) {
            media.handle_command(msrp::Command::Answer { due, status }, now);
        }
    }

    /// A participant says something, to all or to one.
    fn sent(
        &mut self,
        session: &msrp::SessionId,
        message: &msrp::IncomingMessage,
        due: msrp::AnswerDue,
        now: Instant,
    ) {
        let Some((room, aor)) = self.leg_of(session).map(|leg| (leg.room, leg.aor.clone())) else {
            return;
        };
        if self.mute {
            return drop_unanswered(due);
        }
        let read = Some(&message.body)
            .filter(|_| message.content_type.starts_with("message/cpim"))
            .and_then(|body| read_cpim(body));
        let Some((headers, text)) = read else {
            self.entries
                .push(Entry::Broken(format!("a SEND of {}", message.content_type)));
            return self.settle(session, due, Status::UNSUPPORTED_MEDIA, now);
        };
        let field = |name: &str| headers.get(name).map(|value| bare_uri(value)).unwrap_or_default();
        let (from, to) = (field("From"), field("To"));
        if without_gr(&from) != aor {
            self.entries
                .push(Entry::Broken(format!("{aor} speaks as {from}")));
        }
        let from = Who::Caller(aor);
        if to == format!("sip:{}@{DOMAIN}", crate::user::room_name(room)) {
            self.settle(session, due, Status::OK, now);
            return self.publish(room, &from, &text, now);
        }
        let status = match self.addressee(room, &to) {
            _ if self.has(Habit::NoPrivateMessages) => Status::PRIVATE_UNSUPPORTED,
            None => Status::NOT_FOUND,
            Some(addressee) => {
                self.whisper(room, &from, &addressee, &text, now);
                Status::OK
            }
        };
        if status != Status::OK {
            self.entries.push(Entry::Refused { body: text });
        }
        self.settle(session, due, status, now);
    }

    fn addressee(&self, room: usize, to: &str) -> Option<Who> {
        let locals = self
            .conferences
            .get(&room)
            .into_iter()
            .flat_map(|it| it.locals.keys());
        let mut locals = locals.map(|n| (Who::Local(*n), local_uri(*n), format!("phone{n}")));
        let here = self.legs.iter().filter(|leg| leg.room == room);
        let mut callers = here.map(|leg| (Who::Caller(leg.aor.clone()), leg.aor.clone(), "gw".to_owned()));
        let is = |aor: &str, instance: &str| self.entity(aor, instance) == to || aor == to;
        locals
            .find(|(_, aor, instance)| is(aor, instance))
            .or_else(|| callers.find(|(_, aor, instance)| is(aor, instance)))
            .map(|(who, ..)| who)
    }

    /// A conference has a message: everybody gets it but who said it.
    pub(crate) fn publish(&mut self, room: usize, from: &Who, text: &str, now: Instant) {
        self.entries.push(Entry::Public {
            room,
            from: from.clone(),
            body: text.to_owned(),
        });
        let sender = self.uri_of(from);
        let to = format!("sip:{}@{DOMAIN}", crate::user::room_name(room));
        for aor in self.callers(room) {
            if *from != Who::Caller(aor.clone()) {
                self.hand(room, &aor, &sender, &to, text, now);
            }
        }
    }

    pub(crate) fn whisper(&mut self, room: usize, from: &Who, to: &Who, text: &str, now: Instant) {
        self.entries.push(Entry::Private {
            room,
            from: from.clone(),
            to: to.clone(),
            body: text.to_owned(),
        });
        if let Who::Caller(aor) = to {
            let (sender, addressee) = (self.uri_of(from), self.uri_of(to));
            self.hand(room, aor, &sender, &addressee, text, now);
        }
    }

    fn uri_of(&self, who: &Who) -> String {
        match who {
            Who::Local(n) => self.entity(&local_uri(*n), &format!("phone{n}")),
            Who::Caller(aor) => self.entity(aor, "gw"),
        }
    }

    fn hand(&mut self, room: usize, aor: &str, from: &str, to: &str, text: &str, now: Instant) {
        let leg = self.legs.iter().find(|leg| leg.room == room && leg.aor == aor);
        let Some((stream, session)) = leg.and_then(|leg| leg.stream.zip(leg.path.last().session().cloned()))
        else {
            return;
        };
        self.sent += 1;
        let Ok(id) = format!("focus{}", self.sent).parse() else {
            return;
        };
        let message = OutgoingMessage {
            tag: MessageTag(self.sent),
            id,
            content_type: "message/cpim",
            body: write_cpim(from, &[to.to_owned()], text),
            success_report: true,
            failure_report: FailureReport::Yes,
            lane: msrp::Lane::default(),
        };
        if let Some(media) = self.media.get_mut(&stream) {
            media.handle_command(msrp::Command::Send { session, message }, now);
        }
    }

    fn named(&mut self, session: &msrp::SessionId, nickname: &str, due: msrp::AnswerDue, now: Instant) {
        let Some((room, aor)) = self.leg_of(session).map(|leg| (leg.room, leg.aor.clone())) else {
            return;
        };
        let taken = self.roster(room).iter().any(|(who, held)| {
            *who != Who::Caller(aor.clone())
                && crate::invariants::alike(held) == crate::invariants::alike(nickname)
        });
        let status = if self.has(Habit::NoNicknames) {
            Status::FORBIDDEN
        } else if taken {
            Status::NICKNAME_IN_USE
        } else {
            Status::OK
        };
        if status == Status::OK {
            let mut legs = self.legs.iter_mut();
            if let Some(leg) = legs.find(|leg| leg.path.last().session() == Some(session)) {
                leg.nickname = (!nickname.is_empty()).then(|| nickname.to_owned());
            }
        }
        self.settle(session, due, status, now);
        self.changed(room, now);
    }

    /// A participant without media is hung up on.
    fn media_lost(&mut self, session: &msrp::SessionId, now: Instant) {
        let lost = self
            .legs
            .iter_mut()
            .find(|leg| leg.path.last().session() == Some(session));
        let Some(leg) = lost else { return };
        leg.stream = None;
        let (dialog, room) = (leg.dialog, leg.room);
        self.command(sip::Command::Bye { dialog, reason: None }, now);
        self.changed(room, now);
    }
}

fn bare_uri(value: &str) -> String {
    value.split(['<', '>']).nth(1).unwrap_or(value).to_owned()
}

fn without_gr(uri: &str) -> String {
    uri.split(";gr").next().unwrap_or_default().to_owned()
}
