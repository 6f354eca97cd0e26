//! What users of the stage do by SIP, and how they connect their MSRP sessions.

use std::time::Duration;

use bytes::Bytes;
use mapping::ConnectionId;
use msrp::SessionParameters;
use sip::{Body, Contact, DialogId, InviteParameters, NameAddr, SubscribeParameters, SubscriptionId, Uri};

use super::{PHONE, Stage, Wire, flow};

impl Stage {
    /// An acceptable offer of this user.
    pub(crate) fn offer(&self, user: usize) -> String {
        let user = &self.users[user];
        format!(
            "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=message 9 TCP/MSRP *\r\n\
             a=accept-types:message/cpim\r\na=accept-wrapped-types:text/plain\r\na=path:{path}\r\n\
             a=setup:active\r\na=chatroom:nickname private-messages\r\n",
            host = user.address.ip(),
            path = user.path,
        )
    }

    pub(crate) fn invite(&mut self, user: usize, room: &str, name: Option<&str>) {
        let offer = self.offer(user);
        self.invite_with(user, room, name, &offer, "application/sdp");
    }

    pub(crate) fn invite_with(
        &mut self,
        user: usize,
        room: &str,
        name: Option<&str>,
        body: &str,
        kind: &str,
    ) {
        self.invite_as(user, room, name, (body, kind), Vec::new());
    }

    /// The same with further headers.
    pub(crate) fn invite_as(
        &mut self,
        user: usize,
        room: &str,
        name: Option<&str>,
        (body, kind): (&str, &str),
        headers: Vec<sip::Header>,
    ) {
        let caller = &mut self.users[user];
        let from = NameAddr {
            display_name: name.map(str::to_owned),
            ..NameAddr::new(caller.aor.clone())
        };
        let uri: Uri = room.parse().unwrap();
        let parameters = InviteParameters {
            to: NameAddr::new(uri.clone()),
            uri,
            from,
            contact: Contact {
                user: Some("me".to_owned()),
                parameters: Vec::new(),
            },
            body: Body {
                content_type: kind.to_owned(),
                bytes: Bytes::copy_from_slice(body.as_bytes()),
            },
            headers,
        };
        let dialog = DialogId(caller.dialog.0 + 2);
        caller.dialog = dialog;
        caller.endpoint.handle_command(
            sip::Command::Invite {
                dialog,
                parameters: Box::new(parameters),
            },
            self.now,
        );
        self.run();
    }

    /// The call that the user's client is offered, if there is one.
    pub(crate) fn rung(&mut self, user: usize) -> Option<(DialogId, sip::Incoming, sip::AnswerDue)> {
        let events = &mut self.users[user].sip_events;
        let place = events
            .iter()
            .position(|event| matches!(event, sip::Event::Invited { .. }))?;
        match events.remove(place) {
            Some(sip::Event::Invited { dialog, request, due }) => Some((dialog, *request, due)),
            _ => None,
        }
    }

    /// The user takes the call that he is offered, and his client opens the MSRP session.
    pub(crate) fn take_call(&mut self, user: usize) -> sip::Incoming {
        let (dialog, request, due) = self.rung(user).expect("nobody has called him");
        let description = request.body.clone().expect("the call had no offer");
        let body = Body {
            content_type: "application/sdp".to_owned(),
            bytes: Bytes::from(self.offer(user)),
        };
        let called = &mut self.users[user];
        called.dialog = dialog;
        let contact = Contact {
            user: Some("me".to_owned()),
            parameters: Vec::new(),
        };
        let accept = sip::Command::Accept { due, contact, body };
        called.endpoint.handle_command(accept, self.now);
        self.run();
        self.connect_to(user, &description);
        request
    }

    /// The user does not take it.
    pub(crate) fn refuse_call(&mut self, user: usize, status: u16) {
        let (_, _, due) = self.rung(user).expect("nobody has called him");
        let refuse = sip::Command::Refuse {
            due,
            status: sip::StatusCode(status),
            phrase: None,
            headers: Vec::new(),
        };
        self.users[user].endpoint.handle_command(refuse, self.now);
        self.run();
    }

    /// INVITE, answer, MSRP session: the user is in the room and his client is connected.
    pub(crate) fn enter(&mut self, user: usize, room: &str, name: &str) {
        self.invite(user, room, Some(name));
        self.connect(user);
        self.run();
    }

    /// Opens the user's MSRP session as the answer said.
    pub(crate) fn connect(&mut self, user: usize) {
        let answered = self.users[user]
            .sip_events
            .iter()
            .rev()
            .find_map(|event| match event {
                sip::Event::Answered { body: Some(body), .. } => Some(body.clone()),
                _ => None,
            });
        let body = answered.expect("the INVITE was not answered");
        self.connect_to(user, &body);
    }

    /// The phone without a machine says something.
    pub(crate) fn phone_says(&mut self, lines: &[&str], body: &str) {
        let message = format!(
            "{}\r\nContent-Length: {}\r\n\r\n{body}",
            lines.join("\r\n"),
            body.len()
        );
        let from = flow(PHONE.parse().unwrap(), 99);
        self.focus.handle_message(from, Bytes::from(message), self.now);
        self.run();
    }

    /// Opens the user's MSRP session towards the path in a description of the switch.
    pub(crate) fn connect_to(&mut self, user: usize, body: &Body) {
        let session = sip::sdp::Session::parse(&body.bytes).unwrap();
        let path: msrp::Path = session.media()[0].attribute("path").unwrap().parse().unwrap();
        let connection = ConnectionId(1000 + u64::try_from(self.switch.len()).unwrap());
        self.switch.insert(connection, Wire::to(user));
        let caller = &mut self.users[user];
        caller.connection = Some(connection);
        caller.switch = Some(path.clone());
        let parameters = SessionParameters {
            local: caller.path.clone(),
            remote: path,
        };
        caller
            .msrp
            .handle_command(msrp::Command::Open(parameters), self.now);
        self.run();
    }

    /// The switch opens a connection to the client at this host; if there is none, it hears that it is closed.
    pub(super) fn connect_from_switch(&mut self, connection: ConnectionId, host: &str) {
        let user = self
            .users
            .iter()
            .position(|user| user.address.ip().to_string() == host && !user.silent);
        let Some(user) = user else {
            let why = mapping::NotConnected::Unreachable;
            return self.gateway.handle_not_connected(connection, why, self.now);
        };
        self.users[user].connection = Some(connection);
        self.switch.insert(connection, Wire::to(user));
    }

    /// The user's MSRP connection breaks.
    pub(crate) fn cut(&mut self, user: usize) {
        if let Some(connection) = self.users[user].connection.take() {
            let wire = self.switch.get_mut(&connection).unwrap();
            wire.open = false;
            wire.machine.handle_closed(self.now);
        }
        self.run();
    }

    pub(crate) fn subscribe(&mut self, user: usize, room: &str) -> SubscriptionId {
        let subscriber = &mut self.users[user];
        let subscription = SubscriptionId(subscriber.dialog.0 + 100);
        let parameters = SubscribeParameters {
            uri: room.parse().unwrap(),
            from: NameAddr::new(subscriber.aor.clone()),
            to: NameAddr::new(room.parse().unwrap()),
            contact: Contact {
                user: Some("me".to_owned()),
                parameters: Vec::new(),
            },
            event: "conference".to_owned(),
            accept: sip::conference::CONTENT_TYPE.to_owned(),
            expires: Duration::from_secs(600),
        };
        let command = sip::Command::Subscribe {
            subscription,
            parameters: Box::new(parameters),
        };
        subscriber.endpoint.handle_command(command, self.now);
        self.run();
        subscription
    }
}
