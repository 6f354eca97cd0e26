//! What a focus answers, wants and tells.

use std::time::Duration;

use bytes::Bytes;
use sip::{Body, DialogId, EndCause, Event, NameAddr, StatusCode, SubscriptionId, SubscriptionState, Uri};

use super::{
    super::{
        NICKNAMES, Owner, ROOMS, Script, Stage,
        sip_side::{ended, offer, request, sdp, uri},
    },
    CONFERENCE_SIP,
};

impl Stage {
    pub(super) fn focus_answers(&mut self, script: &mut Script<'_>) {
        let kind = script.octet();
        let visit = script.below(self.conferences.visits.len());
        if !self.conferences.visits.is_empty() {
            self.answer(visit, kind, script);
        }
    }

    pub(super) fn answer(&mut self, visit: usize, kind: u8, script: &mut Script<'_>) {
        let number = self.fresh();
        let visit = &mut self.conferences.visits[visit];
        if visit.over || visit.is_answered {
            return;
        }
        visit.is_answered = true;
        let dialog = visit.dialog;
        let contact = NameAddr::new(conference(visit.room));
        let event = if kind % 8 < 5 {
            visit.path = format!("msrp://127.0.0.9:9/switch{number};tcp");
            let further = match kind / 8 % 8 {
                0..=2 => "a=setup:passive\r\na=chatroom:nickname private-messages\r\n",
                3 => "a=setup:active\r\na=chatroom:nickname\r\n",
                4 => "a=setup:passive\r\na=chatroom\r\na=max-size:100\r\n",
                5 => "",
                6 => "a=setup:holdconn\r\n",
                _ => "a=setup:passive\r\na=chatroom:private-messages\r\n",
            };
            let body = match kind {
                255 => None,
                254 => Some(sdp(&script.text())),
                _ => Some(offer(&visit.path, further)),
            };
            Event::Answered {
                dialog,
                contact: Some(contact),
                body,
            }
        } else {
            visit.over = true;
            let status = script.pick(&[
                300, 301, 302, 403, 404, 408, 410, 480, 482, 486, 488, 503, 603, 699,
            ]);
            Event::Refused {
                dialog,
                status: StatusCode(status),
                phrase: script.text(),
                contact: script
                    .chance(2)
                    .then(|| NameAddr::new(uri(&format!("sip:moved@{CONFERENCE_SIP}")))),
                local: script.chance(4),
            }
        };
        self.gateway.handle_sip(event, self.now);
    }

    /// An XMPP user is wanted in a conference.
    pub(super) fn focus_calls(&mut self, script: &mut Script<'_>) {
        let room = script.below(ROOMS.len());
        let kind = script.octet();
        let Some(due) = self.mint.sip() else { return };
        let number = self.fresh();
        let dialog = DialogId(number);
        let path = format!("msrp://127.0.0.9:9/caller{number};tcp");
        let body = match kind % 8 {
            0 => None,
            1 => Some(sdp(&script.text())),
            2 => Some(offer(&path, "a=setup:active\r\na=chatroom:nickname\r\n")),
            _ => Some(offer(
                &path,
                "a=setup:actpass\r\na=chatroom:nickname private-messages\r\n",
            )),
        };
        let offered = body.is_some().then_some(path);
        let request = self.wanted(sip::Method::INVITE, room, kind, body, script);
        self.conferences.calls.push((dialog, room, offered));
        self.owe(&due, Owner::Dialog(dialog), self.limits.ringing);
        self.gateway
            .handle_sip(Event::Invited { dialog, request, due }, self.now);
    }

    pub(super) fn focus_refers(&mut self, script: &mut Script<'_>) {
        let room = script.below(ROOMS.len());
        let kind = script.octet();
        let Some(due) = self.mint.sip() else { return };
        let request = self.wanted(sip::Method::REFER, room, kind, None, script);
        self.owe(&due, Owner::Nobody, Duration::ZERO);
        let event = Event::Referred {
            dialog: None,
            request,
            refer_to: NameAddr::new(conference(room)),
            due,
        };
        self.gateway.handle_sip(event, self.now);
    }

    /// A request of a focus, or of one who is none, to an XMPP user.
    fn wanted(
        &mut self,
        method: sip::Method,
        room: usize,
        kind: u8,
        body: Option<Body>,
        script: &mut Script<'_>,
    ) -> Box<sip::Incoming> {
        let user = script.pick(&["romeo", "romeo", "juliet", "nobody"]);
        let user = Uri::new(Some(user), "example.net", None);
        let mut request = request(method, 0, user, body);
        request.from = NameAddr::new(conference(room));
        request.contact = (kind < 240).then(|| {
            let contact = format!("<{}>;isfocus", conference(room));
            contact.parse().expect("a Contact")
        });
        Box::new(request)
    }

    /// ACK, or CANCEL instead of it.
    pub(super) fn focus_confirms(&mut self, script: &mut Script<'_>) {
        let kind = script.octet();
        let place = script.below(self.conferences.calls.len());
        if self.conferences.calls.is_empty() {
            return;
        }
        let (dialog, ..) = self.conferences.calls[place];
        let number = self.fresh();
        let visit = self
            .conferences
            .visits
            .iter_mut()
            .find(|visit| visit.dialog == dialog);
        let event = match visit {
            Some(visit) if visit.over => return,
            Some(visit) => {
                self.conferences.calls.remove(place);
                let late = visit.path.is_empty();
                if late {
                    visit.path = format!("msrp://127.0.0.9:9/late{number};tcp");
                }
                let answer = offer(&visit.path, "a=setup:passive\r\na=chatroom:nickname\r\n");
                Event::Confirmed {
                    dialog,
                    body: late.then_some(answer).filter(|_| kind != 255),
                }
            }
            None if kind.is_multiple_of(2) => {
                self.conferences.calls.remove(place);
                self.over(dialog);
                Event::Cancelled { dialog }
            }
            None => return,
        };
        self.gateway.handle_sip(event, self.now);
    }

    /// BYE, re-INVITE, and what else comes in the dialog.
    pub(super) fn focus_acts(&mut self, script: &mut Script<'_>) {
        let place = script.below(self.conferences.visits.len());
        let number = self.fresh();
        let Some(visit) = self.conferences.visits.get_mut(place).filter(|visit| !visit.over) else {
            return;
        };
        let (dialog, room) = (visit.dialog, visit.room);
        let event = match script.below(if visit.is_answered { 6 } else { 3 }) {
            0 => ended(dialog, EndCause::Bye(None)),
            1 => ended(dialog, EndCause::Gone),
            2 => ended(dialog, EndCause::ByUs),
            _ => {
                let body = match script.below(4) {
                    0 => None,
                    1 => Some(sdp(&script.text())),
                    2 => Some(offer(&visit.path, "a=setup:passive\r\na=chatroom:nickname\r\n")),
                    _ => {
                        visit.path = format!("msrp://127.0.0.9:9/moved{number};tcp");
                        let setup = script.pick(&["passive", "active", "actpass"]);
                        Some(offer(
                            &visit.path,
                            &format!("a=setup:{setup}\r\na=chatroom:nickname\r\n"),
                        ))
                    }
                };
                let Some(due) = self.mint.sip() else { return };
                self.owe(&due, Owner::Dialog(dialog), Duration::ZERO);
                let request = Box::new(request(sip::Method::INVITE, 0, conference(room), body));
                Event::Reinvited { dialog, request, due }
            }
        };
        if matches!(event, Event::Ended { .. }) {
            self.over(dialog);
        }
        self.gateway.handle_sip(event, self.now);
    }

    /// What becomes of a conference subscription, and what it tells.
    pub(super) fn focus_tells(&mut self, script: &mut Script<'_>) {
        let kind = script.octet();
        let place = script.below(self.conferences.watches.len());
        let (subscription, room) = match self.conferences.watches.get_mut(place) {
            Some((subscription, room, version)) if kind < 248 => {
                *version = version.wrapping_add(1 + u8::from(kind % 16 == 15));
                (*subscription, *room)
            }
            _ => (SubscriptionId(kind.into()), 0),
        };
        let version = self.conferences.watches.get(place).map_or(0, |watch| watch.2);
        let event = match kind % 16 {
            0 => Event::SubscriptionAccepted { subscription },
            1 => Event::SubscriptionRefused {
                subscription,
                status: StatusCode(script.pick(&[408, 480, 481, 489, 503])),
            },
            2 => {
                let reason = script.pick(&["noresource", "rejected", "timeout", "deactivated", "giveup"]);
                let state = SubscriptionState::Terminated(reason.to_owned());
                return self.notified(subscription, state, None);
            }
            3 => {
                let body = Body {
                    content_type: sip::conference::CONTENT_TYPE.to_owned(),
                    bytes: Bytes::copy_from_slice(script.bytes()),
                };
                return self.notified(subscription, SubscriptionState::Active, Some(body));
            }
            _ => {
                let state = script.pick(&["full", "partial", "partial", "deleted"]);
                let document = document(room, state, version, script);
                return self.notified(subscription, SubscriptionState::Active, Some(document));
            }
        };
        self.gateway.handle_sip(event, self.now);
    }

    pub(super) fn notified(
        &mut self,
        subscription: SubscriptionId,
        state: SubscriptionState,
        body: Option<Body>,
    ) {
        let event = Event::Notified {
            subscription,
            state,
            body,
        };
        self.gateway.handle_sip(event, self.now);
    }

    pub(super) fn referral_progress(&mut self, script: &mut Script<'_>) {
        let place = script.below(self.conferences.referrals.len());
        let Some(&subscription) = self.conferences.referrals.get(place) else {
            return;
        };
        let event = match script.below(4) {
            0 => Event::SubscriptionRefused {
                subscription,
                status: StatusCode(403),
            },
            _ => Event::ReferProgress {
                subscription,
                status: StatusCode(script.pick(&[100, 180, 200, 404, 486, 603])),
                phrase: script.text(),
                is_over: script.chance(2),
            },
        };
        self.gateway.handle_sip(event, self.now);
    }
}

pub(super) fn conference(room: usize) -> Uri {
    Uri::new(Some(ROOMS[room]), CONFERENCE_SIP, None)
}

pub(super) fn document(room: usize, state: &str, version: u8, script: &mut Script<'_>) -> Body {
    let users: String = (0..script.below(5))
        .map(|_| {
            let user = script.pick(&["romeo@example.net", "juliet@example.net", "nurse@example.org", "tybalt@example.org"]);
            let name = match NICKNAMES[script.below(5)] {
                "" => String::new(),
                name => format!("<display-text>{name}</display-text>"),
            };
            let state = script.pick(&["full", "full", "partial", "deleted"]);
            format!("<user entity=\"sip:{user}\" state=\"{state}\">{name}<endpoint entity=\"sip:{user};gr=1\"><status>connected</status></endpoint></user>")
        })
        .collect();
    let subject = match script.below(3) {
        0 => "<conference-description><subject>a feast</subject></conference-description>",
        1 => "<conference-state><active>false</active></conference-state>",
        _ => "",
    };
    Body {
        content_type: sip::conference::CONTENT_TYPE.to_owned(),
        bytes: Bytes::from(format!(
            "<conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\" entity=\"{}\" state=\"{state}\" \
             version=\"{version}\">{subject}<users>{users}</users></conference-info>",
            conference(room)
        )),
    }
}
