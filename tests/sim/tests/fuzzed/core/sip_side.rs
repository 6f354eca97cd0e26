//! Calls, subscriptions and what else SIP users ask for.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use sip::{
    Body, Command, DialogId, EndCause, Event, Flow, FlowId, Headers, Incoming, Method, NameAddr, Reason,
    StatusCode, SubscriptionEnd, SubscriptionId, Transport, Uri,
};

use super::{Call, MUC, Owner, ROOMS, Script, Stage, USERS};

impl Stage {
    pub(super) fn call(&mut self, script: &mut Script<'_>) {
        let (user, room) = (script.below(USERS.len()), script.below(ROOMS.len()));
        let kind = script.octet();
        let Some(due) = self.mint.sip() else { return };
        let number = self.fresh();
        let dialog = DialogId(number);
        let path = format!("msrp://127.0.0.9:9/peer{number};tcp");
        let body = match kind % 16 {
            0 => None,
            1 => Some(sdp("")),
            2 => Some(sdp(&script.text())),
            3 => Some(Body {
                content_type: script.text(),
                bytes: Bytes::copy_from_slice(script.bytes()),
            }),
            4 => Some(offer(&path, "")),
            5 => Some(offer(&path, "a=setup:passive\r\n")),
            _ => Some(offer(&path, "a=chatroom:nickname private-messages\r\n")),
        };
        let uri = match kind / 16 {
            0 => Uri::new(Some(ROOMS[room]), "elsewhere.example", None),
            1 => uri(&format!("sip:{MUC}")),
            2 => uri("tel:+123"),
            _ => room_uri(room),
        };
        let mut request = request(Method::INVITE, user, uri, body);
        if kind == 255 {
            request.from.display_name = Some(script.text());
        }
        self.calls.push(Call {
            dialog,
            user,
            room,
            path,
            session: None,
            entered: None,
            over: false,
        });
        self.owe(&due, Owner::Dialog(dialog), self.limits.admission);
        let request = Box::new(request);
        self.gateway
            .handle_sip(Event::Invited { dialog, request, due }, self.now);
    }

    /// The call is over, or something of its like.
    pub(super) fn dialog_event(&mut self, script: &mut Script<'_>) {
        let Some(number) = self.some_call(script) else {
            return;
        };
        let dialog = match script.octet() {
            255 => DialogId(script.octet().into()),
            _ => self.calls[number].dialog,
        };
        let event = match script.below(6) {
            0 => Event::Confirmed { dialog, body: None },
            1 => Event::Cancelled { dialog },
            2 => {
                let reason = Reason {
                    cause: StatusCode(480),
                    text: script.text(),
                };
                ended(dialog, EndCause::Bye(Some(reason)))
            }
            3 => ended(dialog, EndCause::NoAck),
            4 => ended(dialog, EndCause::Gone),
            _ => ended(dialog, EndCause::ByUs),
        };
        if !matches!(event, Event::Confirmed { .. }) {
            self.over(dialog);
        }
        self.gateway.handle_sip(event, self.now);
    }

    pub(super) fn in_dialog_request(&mut self, script: &mut Script<'_>) {
        let Some(number) = self.some_call(script) else {
            return;
        };
        let Some(due) = self.mint.sip() else { return };
        let call = &self.calls[number];
        let (dialog, user, room) = (call.dialog, call.user, call.room);
        let kind = script.octet();
        // The endpoint answers for dialogs that it does not know.
        if call.over {
            return;
        }
        self.owe(&due, Owner::Dialog(dialog), Duration::ZERO);
        let event = match kind % 4 {
            0 | 1 => {
                let body = match kind / 4 % 4 {
                    0 => None,
                    1 => Some(sdp(&script.text())),
                    2 => Some(offer(&self.calls[number].path, "")),
                    _ => {
                        let path = format!("msrp://127.0.0.9:9/moved{};tcp", self.fresh());
                        self.calls[number].path.clone_from(&path);
                        Some(offer(&path, "a=chatroom:nickname\r\n"))
                    }
                };
                let request = Box::new(request(Method::INVITE, user, room_uri(room), body));
                Event::Reinvited { dialog, request, due }
            }
            2 => {
                let refer_to = match kind / 4 % 4 {
                    0 => NameAddr::new(uri("sip:mercutio@example.org")),
                    1 => NameAddr::new(uri(&format!(
                        "sip:{}@example.org",
                        USERS[script.below(USERS.len())]
                    ))),
                    2 => NameAddr::new(room_uri(room)),
                    _ => NameAddr::new(uri("sip:example.org;method=BYE?a=b")),
                };
                Event::Referred {
                    dialog: (kind & 64 == 0).then_some(dialog),
                    request: Box::new(request(Method::REFER, user, room_uri(room), None)),
                    refer_to,
                    due,
                }
            }
            _ => Event::Requested {
                dialog: (kind & 64 == 0).then_some(dialog),
                request: Box::new(request(Method::MESSAGE, user, room_uri(room), None)),
                due,
            },
        };
        self.gateway.handle_sip(event, self.now);
    }

    pub(super) fn subscription(&mut self, script: &mut Script<'_>) {
        let kind = script.octet();
        if kind.is_multiple_of(3) {
            return self.subscribe(script, kind);
        }
        let subscription = match self.subscriptions.get(script.below(self.subscriptions.len())) {
            Some(subscription) if kind < 240 => *subscription,
            _ => SubscriptionId(kind.into()),
        };
        let event = if kind % 3 == 1 {
            Event::SubscriptionRefreshed { subscription }
        } else {
            let cause = script.pick(&[
                SubscriptionEnd::Expired,
                SubscriptionEnd::Unsubscribed,
                SubscriptionEnd::NotifyFailed,
                SubscriptionEnd::DialogEnded,
            ]);
            Event::SubscriptionEnded { subscription, cause }
        };
        self.gateway.handle_sip(event, self.now);
    }

    fn subscribe(&mut self, script: &mut Script<'_>, kind: u8) {
        let Some(due) = self.mint.sip() else { return };
        let call = self.some_call(script).filter(|_| kind < 200);
        let dialog = call.map(|call| &self.calls[call]).filter(|call| !call.over);
        let (user, room) = dialog.map_or_else(
            || (script.below(USERS.len()), script.below(ROOMS.len())),
            |call| (call.user, call.room),
        );
        let dialog = dialog.map(|call| call.dialog);
        let subscription = SubscriptionId(self.fresh());
        let mut request = request(Method::SUBSCRIBE, user, room_uri(room), None);
        let event = script.pick(&["conference", "conference", "conference", "presence", ""]);
        request.headers.push("Event", event);
        if kind & 1 == 0 {
            request.headers.push("Accept", "application/conference-info+xml");
        }
        self.subscriptions.push(subscription);
        self.owe(&due, Owner::Nobody, Duration::ZERO);
        let event = Event::Subscribing {
            subscription,
            dialog,
            request: Box::new(request),
            due,
        };
        self.gateway.handle_sip(event, self.now);
    }

    pub(super) fn sip_command(&mut self, command: Command) {
        match command {
            Command::Accept { due, body, .. } => {
                let owner = self.book.close(&due);
                if !self.conference_accepted(&owner, &body) {
                    self.accepted(&body);
                }
            }
            Command::AcceptRequest { due }
            | Command::Refuse { due, .. }
            | Command::AcceptSubscription { due, .. }
            | Command::AcceptRefer { due, .. }
            | Command::FollowRefer { due, .. } => {
                self.book.close(&due);
            }
            Command::Bye { dialog, .. } => self.over(dialog),
            Command::Ring { .. }
            | Command::Notify { .. }
            | Command::SetReadiness(_)
            | Command::Reinvite { .. } => {}
            Command::Invite { dialog, parameters } if self.conference_called(dialog, &parameters) => {}
            // Whom the gateway calls into a room is never there.
            Command::Invite { dialog, .. } => {
                let refused = Event::Refused {
                    dialog,
                    status: StatusCode(480),
                    phrase: "Away".to_owned(),
                    contact: None,
                    local: false,
                };
                self.gateway.handle_sip(refused, self.now);
            }
            Command::Subscribe { .. } | Command::Refer { .. } | Command::Unsubscribe { .. } => {
                self.conference_sip_command(command);
            }
        }
    }

    /// The answer has told the session-id: it stands for the last call that has none.
    fn accepted(&mut self, body: &Body) {
        let text = String::from_utf8_lossy(&body.bytes).into_owned();
        let path = text.lines().find_map(|line| line.strip_prefix("a=path:"));
        let path: msrp::Path = path
            .expect("an answer with a path")
            .trim()
            .parse()
            .expect("a path");
        let session = path.last().session().cloned();
        let known = self.calls.iter().any(|call| call.session == session);
        let open = self
            .calls
            .iter_mut()
            .rev()
            .find(|call| !call.over && call.session.is_none());
        match open {
            Some(call) if !known => call.session = session,
            _ => {}
        }
    }

    pub(super) fn over(&mut self, dialog: DialogId) {
        self.book
            .forget(|owner| matches!(owner, Owner::Dialog(of) if *of == dialog));
        for call in &mut self.calls {
            call.over |= call.dialog == dialog;
        }
        self.visit_over(dialog);
    }
}

pub(super) fn ended(dialog: DialogId, cause: EndCause) -> Event {
    Event::Ended { dialog, cause }
}

pub(super) fn uri(text: &str) -> Uri {
    text.parse().expect("a URI")
}

fn room_uri(room: usize) -> Uri {
    Uri::new(Some(ROOMS[room]), MUC, None)
}

pub(super) fn request(method: Method, user: usize, uri: Uri, body: Option<Body>) -> Incoming {
    let from = NameAddr::new(Uri::new(Some(USERS[user]), "example.org", None));
    Incoming {
        method,
        to: NameAddr::new(uri.clone()),
        uri,
        contact: Some(from.clone()),
        from,
        asserted: None,
        anonymous: false,
        call_id: "call".to_owned(),
        headers: Headers::default(),
        body,
        flow: Flow {
            transport: Transport::Tcp,
            peer: SocketAddr::from(([127, 0, 0, 9], 5060)),
            id: Some(FlowId(1)),
        },
    }
}

pub(super) fn sdp(text: &str) -> Body {
    Body {
        content_type: "application/sdp".to_owned(),
        bytes: Bytes::from(text.to_owned()),
    }
}

pub(super) fn offer(path: &str, further: &str) -> Body {
    sdp(&format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.9\r\ns=-\r\nc=IN IP4 127.0.0.9\r\nt=0 0\r\nm=message 9 TCP/MSRP *\r\n\
         a=accept-types:message/cpim\r\na=accept-wrapped-types:text/plain\r\na=path:{path}\r\n{further}"
    ))
}
