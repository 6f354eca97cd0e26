//! Everybody outside the gateway: proxy, phones, XMPP server.

use std::{net::SocketAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use msrp::SessionParameters;
use sip::{Flow, FlowId, Transport};

use super::{Happening, Place, Purpose, World};
use crate::{
    host, invariants,
    model::{self, Kind, Scope, Speaker},
    plan::Fault,
    proxy::{self, Onward},
    server::{self, Entry},
    user::{self, State},
    wire::MsrpWire,
};

impl World {
    /// Octets at one end of a stream.
    pub(super) fn arrived(&mut self, stream: u64, end: usize, purpose: Purpose, place: Place, bytes: &[u8]) {
        match place {
            Place::Gateway => self.bytes_to_gateway(stream, purpose, bytes),
            Place::Server if self.side.stream == Some(stream) => self.bytes_of_component(bytes),
            Place::Server => self.server.handle_bytes(bytes),
            Place::Focus if purpose == Purpose::Sip => self.sip_to_focus(Some(FlowId(stream)), bytes),
            Place::Focus => {
                let now = self.now;
                self.side.focus.handle_bytes(stream, bytes, now);
                if let Some(id) = self.host.by_stream.get(&stream) {
                    self.host.dirty.insert(*id);
                }
            }
            Place::Proxy => {
                let mut inbox = self.proxy_inbox.remove(&stream).unwrap_or_default();
                inbox.extend_from_slice(bytes);
                let messages = cut(&mut inbox);
                self.proxy_inbox.insert(stream, inbox);
                let from = self.streams.get(&stream).map(|stream| stream.ends[1 - end]);
                for message in messages {
                    match from {
                        Some(Place::User(n)) => self.proxied(&message, user::address(n), false),
                        _ => self.proxied(&message, SocketAddr::new(proxy::GATEWAY, 5060), false),
                    }
                }
            }
            Place::User(n) => {
                self.touched.push(n);
                match purpose {
                    Purpose::Sip => {
                        let mut inbox = std::mem::take(&mut self.users[n].inbox);
                        inbox.extend_from_slice(bytes);
                        for message in cut(&mut inbox) {
                            self.sip_to_user(n, Some(FlowId(stream)), message);
                        }
                        self.users[n].inbox = inbox;
                    }
                    _ => {
                        let now = self.now;
                        let call = self.users[n]
                            .calls
                            .iter_mut()
                            .find(|call| call.stream == Some(stream));
                        if let Some(media) = call.and_then(|call| call.media.as_mut()) {
                            media.handle_bytes(bytes, now);
                        }
                        // The gateway may have been waiting for room to write.
                        if let Some(id) = self.host.by_stream.get(&stream) {
                            self.host.dirty.insert(*id);
                        }
                    }
                }
            }
        }
    }

    /// A stream is over for one end.
    pub(super) fn hung_up(&mut self, stream: u64, end: usize, purpose: Purpose, place: Place) {
        match place {
            Place::Gateway => self.gateway_hung_up(stream, purpose),
            Place::Server => {
                if self.side.stream == Some(stream) {
                    self.side.link.disconnected();
                } else {
                    self.server.link().disconnected();
                }
                self.finish(stream, 0);
            }
            Place::Focus => {
                let now = self.now;
                self.side.focus.handle_closed(stream, now);
                if purpose == Purpose::Sip {
                    self.side.inbox.clear();
                }
                self.finish(stream, 1 - end);
            }
            Place::Proxy => {
                self.proxy_inbox.remove(&stream);
                self.finish(stream, 1 - end);
            }
            Place::User(n) => {
                self.touched.push(n);
                self.finish(stream, 1 - end);
                let now = self.now;
                let user = &mut self.users[n];
                if user.stream == Some(stream) {
                    user.stream = None;
                    user.inbox.clear();
                }
                let call = user.calls.iter_mut().find(|call| call.stream == Some(stream));
                if let Some(media) = call.and_then(|call| call.media.as_mut()) {
                    media.handle_closed(now);
                }
            }
        }
    }

    /// A datagram with SIP.
    pub(super) fn sip_arrived(&mut self, to: Place, from: SocketAddr, id: Option<FlowId>, bytes: &[u8]) {
        match to {
            Place::Gateway => {
                let flow = Flow {
                    transport: Transport::Udp,
                    peer: from,
                    id,
                };
                self.sip_to_gateway(flow, Bytes::copy_from_slice(bytes));
            }
            Place::Proxy => self.proxied(bytes, from, true),
            Place::User(n) if !self.users[n].gone => self.sip_to_user(n, None, bytes.to_vec()),
            Place::Focus => self.sip_to_focus(None, bytes),
            Place::User(_) | Place::Server => {}
        }
    }

    fn sip_to_user(&mut self, n: usize, id: Option<FlowId>, bytes: Vec<u8>) {
        self.touched.push(n);
        let flow = Flow {
            transport: if id.is_some() {
                Transport::Tcp
            } else {
                Transport::Udp
            },
            peer: SocketAddr::new(proxy::ADDRESS, proxy::USERS),
            id,
        };
        self.users[n]
            .endpoint
            .handle_message(flow, Bytes::from(bytes), self.now);
    }

    fn proxied(&mut self, bytes: &[u8], from: SocketAddr, by_udp: bool) {
        for onward in self.proxy.handle(bytes, from.ip(), by_udp) {
            self.send_from_proxy(&onward);
        }
    }

    pub(super) fn send_from_proxy(&mut self, onward: &Onward) {
        let to_gateway = onward.to.ip() == proxy::GATEWAY;
        let port = if to_gateway { proxy::GATEWAYS } else { proxy::USERS };
        if onward.udp {
            return self.datagram(SocketAddr::new(proxy::ADDRESS, port), onward.to, &onward.text);
        }
        let place = match user::number(onward.to.ip()) {
            Some(n) if n < self.users.len() => Place::User(n),
            _ => Place::Gateway,
        };
        let open = self.streams_of(Place::Proxy, Purpose::Sip);
        let open = open.into_iter().find(|id| {
            self.is_open(*id)
                && self
                    .streams
                    .get(id)
                    .is_some_and(|stream| stream.ends.contains(&place))
        });
        let stream = open.unwrap_or_else(|| self.open_stream(Purpose::Sip, Place::Proxy, place));
        let end = self.end_of(stream, place);
        self.write(stream, end, &onward.text);
    }

    pub(super) fn carry_users(&mut self) -> bool {
        let mut moved = false;
        let mut touched = self.touched.clone();
        touched.sort_unstable();
        touched.dedup();
        for n in touched {
            if !self.users[n].gone {
                moved |= self.carry_phone(n);
                for call in 0..self.users[n].calls.len() {
                    moved |= self.carry_media(n, call);
                }
            }
        }
        moved
    }

    fn carry_phone(&mut self, n: usize) -> bool {
        let mut moved = false;
        while let Some(transmit) = self.users[n].endpoint.poll_transmit() {
            moved = true;
            let to = SocketAddr::new(proxy::ADDRESS, proxy::USERS);
            if transmit.target.transport == Transport::Udp {
                self.datagram(user::address(n), to, &transmit.bytes);
                continue;
            }
            let open = self.streams_of(Place::User(n), Purpose::Sip);
            let open = open.into_iter().find(|id| self.is_open(*id));
            let stream = open.unwrap_or_else(|| self.open_stream(Purpose::Sip, Place::User(n), Place::Proxy));
            let end = 1 - self.end_of(stream, Place::User(n));
            self.users[n].stream = Some(stream);
            self.write(stream, end, &transmit.bytes);
        }
        while let Some(event) = self.users[n].endpoint.poll_event() {
            moved = true;
            self.phone_heard(n, event);
        }
        moved
    }

    fn call_of(&self, n: usize, dialog: sip::DialogId) -> Option<usize> {
        self.users[n].calls.iter().position(|call| call.dialog == dialog)
    }

    fn phone_heard(&mut self, n: usize, event: sip::Event) {
        match event {
            sip::Event::Answered { dialog, body, .. } => {
                if let Some(call) = self.call_of(n, dialog) {
                    self.answered(n, call, body.as_ref());
                }
            }
            sip::Event::Refused { dialog, status, .. } => {
                if let Some(call) = self.call_of(n, dialog) {
                    let number = self.users[n].calls[call].number;
                    self.model.stays[number].refused = Some(status.0);
                    self.call_over(n, call);
                }
            }
            sip::Event::Ended { dialog, .. } | sip::Event::Cancelled { dialog } => {
                if let Some(call) = self.call_of(n, dialog) {
                    self.call_over(n, call);
                }
            }
            sip::Event::Notified {
                subscription,
                state,
                body,
            } => {
                let over = matches!(state, sip::SubscriptionState::Terminated(_));
                let calls = &mut self.users[n].calls;
                let Some(call) = calls
                    .iter_mut()
                    .find(|call| call.subscription == Some(subscription))
                else {
                    return;
                };
                let applied = body.map_or(Ok(()), |body| call.view.apply(&body.bytes));
                if over {
                    call.subscription = None;
                }
                if let Err(why) = applied {
                    self.model
                        .fail("rosters_converge", format!("u{n}: {why}"), self.now);
                }
            }
            sip::Event::SubscriptionRefused { subscription, .. } => {
                for call in &mut self.users[n].calls {
                    if call.subscription == Some(subscription) {
                        call.subscription = None;
                    }
                }
            }
            _ => {}
        }
    }

    fn answered(&mut self, n: usize, call: usize, body: Option<&sip::Body>) {
        let now = self.now;
        let number = self.users[n].calls[call].number;
        let it = &mut self.users[n].calls[call];
        if it.state != State::Calling {
            return;
        }
        it.state = State::Answered;
        let text = body
            .map(|body| String::from_utf8_lossy(&body.bytes).into_owned())
            .unwrap_or_default();
        it.remote = text
            .lines()
            .find_map(|line| line.strip_prefix("a=path:"))
            .and_then(|path| path.trim().parse().ok());
        self.model.stays[number].admitted.get_or_insert(now);
        if it.remote.is_none() {
            self.model
                .fail("exactly_one_answer", format!("200 without a path: {text}"), now);
        } else if self.users[n].opens_media {
            let wait = self.dice.below(400);
            self.after(wait, Happening::OpenMedia { user: n, call });
        }
    }

    pub(super) fn open_media(&mut self, n: usize, call: usize) {
        if self.users[n].gone || self.users[n].calls[call].state != State::Answered {
            return;
        }
        let stream = self.open_stream(Purpose::Msrp, Place::User(n), Place::Gateway);
        self.host.accept_msrp(stream, self.now);
        let seed = self.dice.bytes();
        let now = self.now;
        self.touched.push(n);
        let it = &mut self.users[n].calls[call];
        let Some(remote) = it.remote.clone() else { return };
        let mut media = msrp::Connection::new(msrp::Limits::default(), seed);
        let parameters = SessionParameters {
            local: it.path.clone(),
            remote,
        };
        media.handle_command(msrp::Command::Open(parameters), now);
        it.media = Some(media);
        it.stream = Some(stream);
    }

    fn call_over(&mut self, n: usize, call: usize) {
        self.touched.push(n);
        let it = &mut self.users[n].calls[call];
        let number = it.number;
        it.state = State::Over;
        if let Some(stream) = it.stream.take() {
            self.finish(stream, 1);
        }
        self.users[n].calls[call].media = None;
        self.model.over(number, self.now);
    }

    pub(super) fn hang_up(&mut self, n: usize, call: usize) {
        let it = &self.users[n].calls[call];
        if self.users[n].gone || it.state == State::Over {
            return;
        }
        let (dialog, number) = (it.dialog, it.number);
        self.touched.push(n);
        self.model.over(number, self.now);
        self.users[n]
            .endpoint
            .handle_command(sip::Command::Bye { dialog, reason: None }, self.now);
    }

    fn carry_media(&mut self, n: usize, call: usize) -> bool {
        let now = self.now;
        let mut moved = false;
        loop {
            let Some(media) = &mut self.users[n].calls[call].media else {
                return moved;
            };
            let Some(event) = media.poll_event() else { break };
            moved = true;
            self.media_heard(n, call, event);
        }
        let it = &mut self.users[n].calls[call];
        let (Some(media), Some(stream)) = (&mut it.media, it.stream) else {
            return moved;
        };
        let mut out = BytesMut::new();
        while media.poll_transmit(&mut out, 16_384, now) {}
        if !out.is_empty() {
            moved = true;
            self.write(stream, 1, &out);
        }
        moved
    }

    fn media_heard(&mut self, n: usize, call: usize, event: msrp::Event) {
        let now = self.now;
        let number = self.users[n].calls[call].number;
        match event {
            msrp::Event::Opened { .. } => self.users[n].calls[call].state = State::Open,
            msrp::Event::Received { message, due, .. } => {
                let answer = msrp::Command::Answer {
                    due,
                    status: msrp::Status::OK,
                };
                if let Some(media) = &mut self.users[n].calls[call].media {
                    media.handle_command(answer, now);
                }
                self.heard(n, number, &message.body);
            }
            msrp::Event::Delivered { tag, .. } => self.outcome(number, tag.0, 200),
            msrp::Event::Failed { tag, status, .. } => self.outcome(number, tag.0, status.code()),
            msrp::Event::NicknameAnswered { tag, status, .. } => {
                self.nickname_answered(number, tag.0, status.code());
            }
            msrp::Event::Reported { message, .. } => {
                let token = message
                    .as_str()
                    .strip_prefix("tok")
                    .and_then(|token| token.parse().ok());
                if let Some(said) = token.and_then(|token: u32| self.model.said.get_mut(&token)) {
                    said.reported = true;
                }
            }
            msrp::Event::Lost { .. } | msrp::Event::Closed | msrp::Event::Faulted(_) => {
                self.model.over(number, now);
                let wait = self.dice.between(10, 1500);
                self.after(wait, Happening::HangUp { user: n, call });
            }
            msrp::Event::BindRequested { .. }
            | msrp::Event::NicknameRequested { .. }
            | msrp::Event::Congested { .. }
            | msrp::Event::Eased { .. }
            | msrp::Event::Authorized { .. }
            | msrp::Event::Unauthorized { .. } => {}
        }
    }

    fn outcome(&mut self, _stay: usize, tag: u64, status: u16) {
        let now = self.now;
        let token = u32::try_from(tag).unwrap_or(0);
        if let Some(said) = self.model.said.get_mut(&token) {
            said.outcomes.push((status, now));
        }
        invariants::on_outcome(&mut self.model, token, status, now);
    }

    fn heard(&mut self, n: usize, stay: usize, body: &[u8]) {
        let Some((headers, text)) = user::read_cpim(body) else {
            return self
                .model
                .fail("text_is_kept", "a message that is no CPIM".to_owned(), self.now);
        };
        let own = host::occupant(&self.setting, &self.users[n].name);
        let to = headers.get("To").cloned().unwrap_or_default();
        invariants::on_heard(&mut self.model, stay, &own, &to, &text, self.now);
    }

    pub(super) fn carry_server(&mut self) -> bool {
        let (out, over) = self.server.link().take_output();
        let moved = !out.is_empty();
        if let Some(stream) = self.server_stream {
            if moved {
                self.write(stream, 0, &out);
            }
            if over {
                self.finish(stream, 0);
                self.server.link().disconnected();
            }
        }
        let entries = self.server.take_entries();
        for entry in &entries {
            self.journal(entry);
        }
        moved
    }

    fn journal(&mut self, entry: &Entry) {
        let now = self.now;
        match entry {
            Entry::Public {
                room,
                from,
                nickname,
                body,
                to,
            } => {
                let Some(token) = model::token(body) else { return };
                if self.model.accepted(token, nickname, to.clone(), now).is_none() {
                    return;
                }
                let sender = self.address_of(token, from);
                invariants::on_public(&mut self.model, token, room, body, sender.as_deref(), now);
                self.expect(token);
            }
            Entry::Private {
                room,
                from,
                nickname,
                to,
                body,
            } => {
                let Some(token) = model::token(body) else { return };
                if self
                    .model
                    .accepted(token, nickname, vec![to.clone()], now)
                    .is_none()
                {
                    return;
                }
                let sender = self.address_of(token, from);
                invariants::on_private(&mut self.model, token, room, body, sender.as_deref(), now);
                self.expect(token);
            }
            Entry::Bounced { id } => {
                let token = id.strip_prefix('p').and_then(|token| token.parse().ok());
                if let Some(said) = token.and_then(|token: u32| self.model.said.get_mut(&token)) {
                    said.bounced = true;
                }
            }
            Entry::Answered { id } => {
                if let Some(asked) = self.pings.get_mut(id) {
                    asked.2 += 1;
                }
            }
            Entry::Broken(what) => self.model.fail("component_keeps_the_rules", what.clone(), now),
            Entry::Entered { .. } | Entry::Left { .. } | Entry::Renamed { .. } | Entry::Invited { .. } => {}
        }
    }

    /// `from`, if it is not an address of who said it.
    fn address_of(&self, token: u32, from: &str) -> Option<String> {
        let said = self.model.said.get(&token)?;
        let rightful = match said.from {
            Speaker::Native(n) => from == self.natives[n].jid,
            Speaker::Stay(stay) => self.is_of(self.model.stays[stay].user, from),
            Speaker::Seat(_) | Speaker::Local(_) => false,
        };
        (!rightful).then(|| from.to_owned())
    }

    /// Whether an address in a room is that of a user's occupant.
    pub(crate) fn is_of(&self, user: usize, jid: &str) -> bool {
        let user = &self.users[user];
        let resource = jid.split_once('/').map(|(_, resource)| resource);
        let device = user.instance.is_none() || resource == user.instance.as_deref();
        server::bare(jid) == host::occupant(&self.setting, &user.name) && device
    }

    /// Who is to hear a message that a room has: each stay among its recipients that the model has in the room.
    fn expect(&mut self, token: u32) {
        let Some(said) = self.model.said.get(&token) else {
            return;
        };
        let (room, from, kind) = (said.room, said.from, said.kind.clone());
        let to = said.to.clone();
        let stays: Vec<usize> = (0..self.model.stays.len())
            .filter(|stay| {
                let it = &self.model.stays[*stay];
                let here = it.room == room && it.over.is_none() && it.admitted.is_some();
                let able = kind != Kind::Private || it.private_messages;
                let addressed = kind == Kind::Public || to.iter().any(|jid| self.is_of(it.user, jid));
                here && able && addressed && (kind == Kind::Private || from != Speaker::Stay(*stay))
            })
            .collect();
        if kind != Kind::Odd
            && let Some(said) = self.model.said.get_mut(&token)
        {
            said.must.extend(stays);
        }
    }

    /// What the link reports decides how long everybody is disturbed.
    pub(super) fn link_noted(&mut self, link: usize, event: &xmpp::Event) {
        let now = self.now;
        match event {
            xmpp::Event::Up => {
                self.links_up_at[link] = Some(now);
                for seat in self.side.seats.values_mut() {
                    seat.relisted = true;
                }
                // Whoever comes back is back after this.
                self.model
                    .disturb(Scope::Everybody, now, now + Duration::from_secs(15));
            }
            xmpp::Event::Down(_) => self.links_up_at[link] = None,
            _ => {}
        }
        if let xmpp::Event::Skipped { rule, .. } = event
            && !self.setting.faults.contains(&Fault::HostileXml)
        {
            let detail = format!("a stanza of the server was skipped: {rule}");
            self.model.fail("exactly_once", detail, now);
        }
    }

    pub(super) fn keep_asked(&mut self, wire: MsrpWire) {
        self.closed_wires.push(wire);
    }

    pub(super) fn join(&mut self, native: usize, room: usize, nickname: &str) {
        let jid = self.natives[native].jid.clone();
        let name = user::room_name(room);
        let nickname = nickname.trim();
        let taken = self
            .server
            .occupants(&name)
            .iter()
            .any(|occupant| occupant.nickname == nickname);
        if self.server.occupant(&name, &jid).is_none() && !taken {
            self.server.enter(&name, &jid, nickname, "x", None, 0);
        }
    }
}

/// Takes whole SIP messages off a stream.
pub(crate) fn cut(inbox: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    loop {
        let blank = inbox
            .iter()
            .take_while(|octet| matches!(octet, b'\r' | b'\n'))
            .count();
        inbox.drain(..blank);
        let Some(end) = inbox.windows(4).position(|four| four == b"\r\n\r\n") else {
            return messages;
        };
        let head = String::from_utf8_lossy(&inbox[..end]);
        let length: usize = head
            .split("\r\n")
            .find_map(|line| {
                line.split_once(':')
                    .filter(|(name, _)| name.trim().eq_ignore_ascii_case("Content-Length"))
            })
            .and_then(|(_, value)| value.trim().parse().ok())
            .unwrap_or(0);
        if inbox.len() < end + 4 + length {
            return messages;
        }
        let rest = inbox.split_off(end + 4 + length);
        messages.push(std::mem::replace(inbox, rest));
    }
}
