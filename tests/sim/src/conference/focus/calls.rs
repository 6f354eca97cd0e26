//! The focus: calls and what else comes by SIP (RFC 4579).

use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::{Contact, DialogId, StatusCode};

use super::{ADDRESS, Entry, Focus, Habit, Late, Leg, drop_unanswered, room_of};

impl Focus {
    /// Takes in what the endpoint has to say; whether there was something.
    pub(crate) fn carry(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(event) = self.endpoint.poll_event() {
            moved = true;
            self.handle_sip(event, now);
        }
        for stream in self.streams() {
            while let Some(event) = self.media.get_mut(&stream).and_then(msrp::Connection::poll_event) {
                moved = true;
                self.handle_msrp(stream, event, now);
            }
        }
        moved
    }

    fn handle_sip(&mut self, event: sip::Event, now: Instant) {
        use sip::Event;
        match event {
            Event::Invited { dialog, request, due } => self.called(dialog, &request, due, now),
            Event::Reinvited { due, .. } => self.refuse(due, 488, now),
            Event::Cancelled { dialog } | Event::Ended { dialog, .. } => self.hung_up(dialog, now),
            Event::Subscribing {
                subscription,
                dialog,
                request,
                due,
            } => self.subscribing(subscription, dialog, &request, due, now),
            Event::SubscriptionRefreshed { subscription } => {
                if let Some(subscriber) = self.subscribers.get_mut(&subscription) {
                    subscriber.told.clear();
                }
                self.notify(subscription, true, now);
            }
            Event::SubscriptionEnded { subscription, cause } => {
                let wants_last = matches!(
                    cause,
                    sip::SubscriptionEnd::Expired | sip::SubscriptionEnd::Unsubscribed
                );
                if self.subscribers.remove(&subscription).is_some() && wants_last {
                    self.terminate(subscription, now);
                }
            }
            Event::Referred { due, .. } => {
                self.entries.push(Entry::Referred);
                let contact = Contact::default();
                self.command(sip::Command::AcceptRefer { due, contact }, now);
            }
            Event::Requested { due, .. } => self.refuse(due, 405, now),
            Event::Confirmed { .. }
            | Event::Progress { .. }
            | Event::Answered { .. }
            | Event::Refused { .. }
            | Event::SubscriptionAccepted { .. }
            | Event::SubscriptionRefused { .. }
            | Event::Notified { .. }
            | Event::Reanswered { .. }
            | Event::ReinviteRefused { .. }
            | Event::ReferProgress { .. } => {}
        }
    }

    pub(super) fn command(&mut self, command: sip::Command, now: Instant) {
        self.endpoint.handle_command(command, now);
    }

    pub(super) fn refuse(&mut self, due: sip::AnswerDue, status: u16, now: Instant) {
        let refusal = sip::Command::Refuse {
            due,
            status: StatusCode(status),
            phrase: None,
            headers: Vec::new(),
        };
        self.command(refusal, now);
    }

    fn called(&mut self, dialog: DialogId, request: &sip::Incoming, due: sip::AnswerDue, now: Instant) {
        let aor = request.from.uri.address_of_record().to_string();
        let Some(room) = room_of(&request.uri) else {
            return self.refuse(due, 404, now);
        };
        self.entries.push(Entry::Called {
            room,
            aor: aor.clone(),
        });
        if self.silent {
            // The 100 that the endpoint sends is all; the caller must give up by himself.
            return drop_unanswered(due);
        }
        if let Some((status, contact)) = self.refuses.clone() {
            let headers = contact.map(|contact| sip::message::Header {
                name: "Contact".into(),
                value: contact,
            });
            let refusal = sip::Command::Refuse {
                due,
                status: StatusCode(status),
                phrase: None,
                headers: headers.into_iter().collect(),
            };
            return self.command(refusal, now);
        }
        let offer = request
            .body
            .as_ref()
            .map(|body| String::from_utf8_lossy(&body.bytes).into_owned());
        let Some(remote) = offer.as_deref().and_then(acceptable) else {
            self.entries
                .push(Entry::Broken(format!("an offer that is none: {offer:?}")));
            return self.refuse(due, 488, now);
        };
        let secret: String = self.dice.bytes()[..10]
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        let text = format!("msrp://{ADDRESS}:2855/{secret};tcp");
        let Ok(path) = text.parse::<msrp::Path>() else {
            return self.refuse(due, 500, now);
        };
        let body = self.answer(&path);
        self.legs.push(Leg {
            room,
            dialog,
            aor,
            display_name: request.from.display_name.clone(),
            nickname: None,
            path,
            remote,
            stream: None,
        });
        if self.has(Habit::Slow) && self.dice.chance(40) {
            let wait = Duration::from_millis(self.dice.between(500, 7000) as u64);
            return self.late.push((now + wait, Late::Accept(due, room, body)));
        }
        self.accept(due, room, body, now);
    }

    pub(super) fn accept(&mut self, due: sip::AnswerDue, room: usize, body: sip::Body, now: Instant) {
        let contact = Contact {
            user: (!self.has(Habit::ForeignContact)).then(|| crate::user::room_name(room)),
            parameters: vec![("isfocus", None)],
        };
        self.command(sip::Command::Accept { due, contact, body }, now);
    }

    fn answer(&self, path: &msrp::Path) -> sip::Body {
        let mut chatroom = Vec::new();
        if !self.has(Habit::NoNicknames) {
            chatroom.push("nickname");
        }
        if !self.has(Habit::NoPrivateMessages) {
            chatroom.push("private-messages");
        }
        chatroom.push("com.example.vendor");
        let text = format!(
            "v=0\r\no=- 7 7 IN IP4 {ADDRESS}\r\ns=-\r\nt=0 0\r\nm=message 2855 TCP/MSRP *\r\nc=IN IP4 {ADDRESS}\r\n\
             a=path:{path}\r\na=setup:passive\r\na=accept-types:message/cpim\r\na=accept-wrapped-types:*\r\n\
             a=chatroom:{}\r\n",
            chatroom.join(" ")
        );
        sip::Body {
            content_type: "application/sdp".to_owned(),
            bytes: Bytes::from(text),
        }
    }

    /// A call is over: its media go, and the others see it.
    fn hung_up(&mut self, dialog: DialogId, now: Instant) {
        let Some(at) = self.legs.iter().position(|leg| leg.dialog == dialog) else {
            return;
        };
        let leg = self.legs.remove(at);
        self.late
            .retain(|(_, Late::Accept(_, room, _))| *room != leg.room || leg.stream.is_some());
        if let (Some(stream), Some(session)) = (leg.stream, leg.path.last().session().cloned())
            && let Some(media) = self.media.get_mut(&stream)
        {
            media.handle_command(msrp::Command::Unbind(session), now);
        }
        self.entries.push(Entry::Over {
            room: leg.room,
            aor: leg.aor,
        });
        self.changed(leg.room, now);
    }

    /// Ends the call of a participant; `false` if there is none.
    pub(crate) fn expel(&mut self, room: usize, aor: &str, now: Instant) -> bool {
        let leg = self.legs.iter().find(|leg| leg.room == room && leg.aor == aor);
        let Some(dialog) = leg.map(|leg| leg.dialog) else {
            return false;
        };
        self.command(sip::Command::Bye { dialog, reason: None }, now);
        true
    }

    pub(crate) fn stream_of(&self, room: usize, aor: &str) -> Option<u64> {
        let leg = self.legs.iter().find(|leg| leg.room == room && leg.aor == aor)?;
        leg.stream
    }

    pub(crate) fn callers(&self, room: usize) -> Vec<String> {
        let legs = self.legs.iter().filter(|leg| leg.room == room);
        legs.map(|leg| leg.aor.clone()).collect()
    }
}

/// The path of an offer that the switch can use: MSRP, CPIM accepted, and the caller opens the connection.
fn acceptable(offer: &str) -> Option<msrp::Path> {
    let attribute = |name: &str| offer.lines().find_map(|line| line.strip_prefix(name));
    let cpim = attribute("a=accept-types:")
        .is_some_and(|types| types.contains("message/cpim") || types.contains('*'));
    let opens = matches!(attribute("a=setup:"), None | Some("active" | "actpass"));
    let media = offer
        .lines()
        .any(|line| line.starts_with("m=message ") && line.contains("TCP/MSRP"));
    let path = attribute("a=path:")?.trim().parse().ok()?;
    (cpim && opens && media).then_some(path)
}
