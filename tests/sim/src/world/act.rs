//! What people do, one function per action. An action that makes no sense at its moment is left out.

use std::time::{Duration, Instant};

use bytes::Bytes;
use msrp::{FailureReport, Lane, MessageTag, OutgoingMessage};

use super::{Happening, Place, Purpose, World};
use crate::{
    model::{Kind, Scope, Speaker},
    plan::{Action, NAMES, NICKNAMES, Whom},
    proxy::{self, Onward},
    server::MUC,
    user::{self, State, percent_encoded, room_name},
};

/// How long after a disturbance things may take to be as before.
const RECOVERY: Duration = Duration::from_secs(15);

impl World {
    /// Does it.
    pub(crate) fn act(&mut self, action: &Action) {
        match *action {
            Action::Invite { user, room, name } => self.invite(user, room, name),
            Action::Cancel { user, room } | Action::Bye { user, room } => {
                if let Some(call) = self.live_call(user, room) {
                    self.hang_up(user, call);
                }
            }
            Action::Subscribe { user, room } => {
                self.touched.push(user);
                if self.is_open_call(user, room) {
                    self.users[user].subscribe(room, self.now);
                }
            }
            Action::Unsubscribe { user, room } => self.unsubscribe(user, room),
            Action::Say { user, room, size } => self.say(user, room, size),
            Action::Whisper { user, room, to } => self.whisper(user, room, to),
            Action::Nickname { user, room, nickname } => self.nickname(user, room, nickname),
            Action::Refer { user, room } => {
                self.touched.push(user);
                if self.is_open_call(user, room) {
                    self.users[user].refer(room, "sip:n0@xmpp.example.net", self.now);
                }
            }
            Action::Join {
                native,
                room,
                nickname,
            } => self.join(native, room, NICKNAMES[nickname]),
            Action::Leave { native, room } => {
                let jid = self.natives[native].jid.clone();
                self.server.leave(&room_name(room), &jid, None, &[]);
            }
            Action::NativeSay { native, room, size } => {
                self.native_says(native, room, size, Kind::Public, "");
            }
            Action::NativeWhisper { native, room, user } => self.native_whispers(native, room, user),
            Action::NativeRename {
                native,
                room,
                nickname,
            } => self.native_renames(native, room, NICKNAMES[nickname].trim()),
            Action::Subject { native, room } => {
                let jid = self.natives[native].jid.clone();
                let subject = format!("subject {}", self.now.duration_since(self.start).as_millis());
                self.server.subject(&room_name(room), &jid, &subject);
            }
            Action::Ping { user, room } => self.ping(user, room),
            Action::Conference(ref act) => self.conference(act),
            Action::Rest => self.rest(),
            _ => self.go_wrong(action),
        }
        self.settle();
    }

    fn go_wrong(&mut self, action: &Action) {
        match *action {
            Action::Kick { user, room } => self.remove(user, room, &[307]),
            Action::Ban { user, room } => {
                if let Some((jid, _)) = self.occupant_of(user, room) {
                    self.disturb_stays(user, room);
                    self.server.ban(&room_name(room), &jid);
                }
            }
            Action::Technical { user, room } => self.remove(user, room, &[333]),
            Action::Destroy { room } => {
                self.model
                    .disturb(Scope::Room(room), self.now, self.now + RECOVERY);
                self.server.destroy(&room_name(room));
                self.natives_return(room, 0);
            }
            Action::RestartRoom { room } => {
                self.model
                    .disturb(Scope::Room(room), self.now, self.now + RECOVERY);
                self.server.shut_room(&room_name(room));
                self.natives_return(room, 0);
            }
            Action::CutLink { forget, millis } => self.cut_link(forget, millis),
            Action::Reset { user, room } => {
                if let Some(stream) = self.media_stream(user, room) {
                    self.disturb_stays(user, room);
                    self.reset(stream);
                }
            }
            Action::ResetSip => {
                for call in self.users.iter_mut().flat_map(|user| &mut user.calls) {
                    call.doubtful = true;
                }
                for stream in self.streams_of(Place::Proxy, Purpose::Sip) {
                    self.model
                        .disturb(Scope::Everybody, self.now, self.now + Duration::from_secs(40));
                    self.reset(stream);
                }
            }
            Action::HalfClose { user, room } => {
                if let Some(stream) = self.media_stream(user, room) {
                    self.disturb_stays(user, room);
                    self.finish(stream, 1);
                }
            }
            Action::Stall { user, room, millis } => self.hold_up(user, room, millis, &[0, 1]),
            Action::StopReading { user, room, millis } => self.hold_up(user, room, millis, &[0]),
            Action::Vanish { user } => {
                let room_count = self.setting.rooms;
                for room in 0..room_count {
                    self.disturb_stays(user, room);
                }
                self.users[user].gone = true;
            }
            Action::Hostile { user, room, kind } => self.hostile(user, room, kind),
            Action::HostileSip { user, kind } => self.hostile_sip(user, kind),
            Action::HostileXml { native, room, kind } => self.hostile_xml(native, room, kind),
            _ => {}
        }
    }

    fn live_call(&self, user: usize, room: usize) -> Option<usize> {
        let user = self.users.get(user).filter(|user| !user.gone)?;
        user.calls
            .iter()
            .rposition(|call| call.room == room && call.state != State::Over)
    }

    fn is_open_call(&self, user: usize, room: usize) -> bool {
        self.live_call(user, room)
            .is_some_and(|call| self.users[user].calls[call].state == State::Open)
    }

    fn media_stream(&self, user: usize, room: usize) -> Option<u64> {
        self.users[user].calls[self.live_call(user, room)?].stream
    }

    /// The user's occupant: address and nickname.
    pub(crate) fn occupant_of(&self, user: usize, room: usize) -> Option<(String, String)> {
        let occupants = self.server.occupants(&room_name(room));
        let own = occupants
            .into_iter()
            .find(|occupant| self.is_of(user, &occupant.jid))?;
        Some((own.jid, own.nickname))
    }

    fn disturb_stays(&mut self, user: usize, room: usize) {
        self.disturb_stays_for(user, room, RECOVERY);
    }

    fn disturb_stays_for(&mut self, user: usize, room: usize, time: Duration) {
        let calls = self.users[user].calls.iter().filter(|call| call.room == room);
        let numbers: Vec<_> = calls.map(|call| call.number).collect();
        for number in numbers {
            self.model.disturb(Scope::Stay(number), self.now, self.now + time);
        }
    }

    fn invite(&mut self, user: usize, room: usize, name: usize) {
        if self.users[user].gone || self.live_call(user, room).is_some() {
            return;
        }
        // Most clients announce private messages.
        let private = self.dice.chance(80);
        let number = self.model.calls(user, room, private);
        self.touched.push(user);
        self.users[user].invite(number, room, NAMES[name], private, self.now);
    }

    fn unsubscribe(&mut self, user: usize, room: usize) {
        let now = self.now;
        self.touched.push(user);
        let user = &mut self.users[user];
        if user.gone {
            return;
        }
        let subscription = user.call_in(room).and_then(|call| call.subscription.take());
        if let Some(subscription) = subscription {
            user.endpoint
                .handle_command(sip::Command::Unsubscribe { subscription }, now);
        }
    }

    fn send(&mut self, user: usize, room: usize, token: u32, body: Bytes, content_type: &'static str) {
        let now = self.now;
        self.touched.push(user);
        let Ok(id) = format!("tok{token}").parse() else {
            return;
        };
        let Some(call) = self.users[user].call_in(room) else {
            return;
        };
        let Some(session) = call.path.last().session().cloned() else {
            return;
        };
        let message = OutgoingMessage {
            tag: MessageTag(u64::from(token)),
            id,
            content_type,
            body,
            success_report: false,
            failure_report: FailureReport::Yes,
            lane: Lane::default(),
        };
        if let Some(media) = &mut call.media {
            media.handle_command(msrp::Command::Send { session, message }, now);
        }
    }

    fn say(&mut self, user: usize, room: usize, size: usize) {
        if !self.is_open_call(user, room) {
            return;
        }
        let Some(call) = self.live_call(user, room) else {
            return;
        };
        let stay = self.users[user].calls[call].number;
        let (token, text) = self
            .model
            .says(Speaker::Stay(stay), room, Kind::Public, size, self.now);
        let from = self.users[user].aor.to_string();
        let body = user::write_cpim(&from, &[format!("sip:{}@{MUC}", room_name(room))], &text);
        self.send(user, room, token, body, "message/cpim");
    }

    fn whisper(&mut self, user: usize, room: usize, to: Whom) {
        if !self.is_open_call(user, room) {
            return;
        }
        let nickname = match to {
            Whom::User(n) => self.occupant_of(n, room).map(|(_, nickname)| nickname),
            Whom::Native(n) => self
                .server
                .occupant(&room_name(room), &self.natives[n].jid)
                .map(|occupant| occupant.nickname.clone()),
        };
        let (Some(nickname), Some(call)) = (nickname, self.live_call(user, room)) else {
            return;
        };
        let stay = self.users[user].calls[call].number;
        let (token, text) = self
            .model
            .says(Speaker::Stay(stay), room, Kind::Private, 20, self.now);
        let from = self.users[user].aor.to_string();
        let to = format!("sip:{}@{MUC};gr={}", room_name(room), percent_encoded(&nickname));
        self.send(
            user,
            room,
            token,
            user::write_cpim(&from, &[to], &text),
            "message/cpim",
        );
    }

    fn nickname(&mut self, user: usize, room: usize, nickname: usize) {
        if !self.is_open_call(user, room) {
            return;
        }
        let now = self.now;
        self.touched.push(user);
        self.requests += 1;
        let tag = 1_000_000 + self.requests;
        let Some(call) = self.users[user].call_in(room) else {
            return;
        };
        let Some(session) = call.path.last().session().cloned() else {
            return;
        };
        let number = call.number;
        if let Some(media) = &mut call.media {
            let command = msrp::Command::Nickname {
                session,
                tag: MessageTag(tag),
                nickname: NICKNAMES[nickname].to_owned(),
            };
            media.handle_command(command, now);
            self.nicknames_asked
                .insert(tag, (number, NICKNAMES[nickname].trim().to_owned(), now));
        }
    }

    pub(super) fn nickname_answered(&mut self, stay: usize, tag: u64, status: u16) {
        let Some((asked_by, nickname, _)) = self.nicknames_asked.remove(&tag) else {
            let detail = format!("stay {stay}: a NICKNAME was answered twice");
            return self.model.fail("exactly_one_answer", detail, self.now);
        };
        if status == 200 {
            self.model.stays[asked_by].nickname = Some((nickname, self.now));
        }
    }

    fn native_says(&mut self, native: usize, room: usize, size: usize, kind: Kind, extra: &str) {
        let jid = self.natives[native].jid.clone();
        let name = room_name(room);
        if self.server.occupant(&name, &jid).is_some() {
            let (token, text) = self
                .model
                .says(Speaker::Native(native), room, kind, size, self.now);
            self.server.say(&name, &jid, &format!("m{token}"), &text, extra);
        }
    }

    fn native_whispers(&mut self, native: usize, room: usize, user: usize) {
        let jid = self.natives[native].jid.clone();
        let name = room_name(room);
        let Some((to, _)) = self.occupant_of(user, room) else {
            return;
        };
        if self.server.occupant(&name, &jid).is_some() {
            let (token, text) = self
                .model
                .says(Speaker::Native(native), room, Kind::Private, 20, self.now);
            self.server.whisper(&name, &jid, &to, &format!("p{token}"), &text);
        }
    }

    fn native_renames(&mut self, native: usize, room: usize, nickname: &str) {
        let jid = self.natives[native].jid.clone();
        let name = room_name(room);
        let taken = self
            .server
            .occupants(&name)
            .iter()
            .any(|occupant| occupant.nickname == nickname);
        if !taken {
            self.server.rename(&name, &jid, nickname, "x");
        }
    }

    /// The server asks one of ours something.
    fn ping(&mut self, user: usize, room: usize) {
        let Some((jid, _)) = self.occupant_of(user, room) else {
            return;
        };
        self.requests += 1;
        let id = format!("ping{}", self.requests);
        let payload = match self.dice.below(3) {
            0 => "<ping xmlns='urn:xmpp:ping'/>",
            1 => "<query xmlns='http://jabber.org/protocol/disco#info'/>",
            _ => "<vCard xmlns='vcard-temp'/>",
        };
        let iq = format!(
            "<iq type='get' from='{}@{MUC}/someone' to='{}' id='{id}'>{payload}</iq>",
            room_name(room),
            crate::xml::escape(&jid)
        );
        if self.server.send(&iq) {
            self.pings.insert(id, (jid, self.now, 0));
        }
    }

    fn remove(&mut self, user: usize, room: usize, codes: &[u16]) {
        if let Some((jid, _)) = self.occupant_of(user, room) {
            self.disturb_stays(user, room);
            self.server.leave(&room_name(room), &jid, None, codes);
        }
    }

    fn natives_return(&mut self, room: usize, wait: usize) {
        for native in 0..self.natives.len() {
            let pause = wait + self.dice.below(4000);
            let nickname = NICKNAMES[4 + native].to_owned();
            self.after(
                pause,
                Happening::Rejoin {
                    native,
                    room,
                    nickname,
                },
            );
        }
    }

    fn cut_link(&mut self, forget: bool, millis: u64) {
        let from = self
            .now
            .checked_sub(Duration::from_secs(2))
            .unwrap_or(self.now)
            .max(self.start);
        // The link waits up to 36 s before it tries again.
        let until = self.now + Duration::from_millis(millis) + Duration::from_secs(36) + RECOVERY;
        self.model.disturb(Scope::Everybody, from, until);
        self.accepting = self.now + Duration::from_millis(millis);
        for stream in self.streams_of(Place::Server, Purpose::Xml) {
            self.reset(stream);
        }
        if forget {
            self.side.link.disconnected();
            self.server.link().disconnected();
            self.server.forget();
            for room in 0..self.setting.rooms {
                self.natives_return(room, usize::try_from(millis).unwrap_or(0));
            }
        }
    }

    fn hold_up(&mut self, user: usize, room: usize, millis: u64, ends: &[usize]) {
        if let Some(stream) = self.media_stream(user, room) {
            let time = Duration::from_millis(millis);
            self.disturb_stays_for(user, room, time + RECOVERY);
            for end in ends {
                self.stall(stream, *end, time);
            }
        }
    }

    /// A SEND that must be refused, or octets that are none.
    fn hostile(&mut self, user: usize, room: usize, kind: usize) {
        if !self.is_open_call(user, room) {
            return;
        }
        let (Some(call), Some(stream)) = (self.live_call(user, room), self.media_stream(user, room)) else {
            return;
        };
        let stay = self.users[user].calls[call].number;
        if kind == 0 {
            self.disturb_stays(user, room);
            return self.write(stream, 1, b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n");
        }
        let size = if kind == 1 { 70_000 } else { 10 };
        let (token, text) = self
            .model
            .says(Speaker::Stay(stay), room, Kind::Hostile, size, self.now);
        let own = self.users[user].aor.to_string();
        let room_uri = format!("sip:{}@{MUC}", room_name(room));
        let elsewhere = format!("sip:elsewhere{room}@{MUC}");
        let body = match kind {
            1 => user::write_cpim(&own, &[room_uri], &text),
            2 => user::write_cpim("sip:mallory@example.org", &[room_uri], &text),
            3 => user::write_cpim(&own, &[room_uri.clone(), room_uri], &text),
            4 => user::write_cpim(&own, &[elsewhere], &text),
            5 => user::write_cpim(&own, &["sip:nobody@example.net".to_owned()], &text),
            6 => user::write_cpim("", &[room_uri], &text),
            _ => Bytes::from(text),
        };
        let content_type = if kind == 7 { "text/plain" } else { "message/cpim" };
        self.send(user, room, token, body, content_type);
    }

    fn hostile_sip(&mut self, user: usize, kind: usize) {
        let garbage = |text: &[u8]| Onward {
            to: std::net::SocketAddr::new(proxy::GATEWAY, 5060),
            udp: true,
            text: text.to_vec(),
        };
        let onward = match kind {
            0 => self.proxy.stale_bye(user::address(user).ip()),
            1 => Some(garbage(b"\x00\x01\x02INVITE sip:\xff SIP/2.0\r\n\r\n")),
            2 => Some(garbage(
                b"INVITE sip:room0@rooms.example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5062;branch=z9hG4bKproxybad\r\nCSeq: 1 BYE\r\nCall-ID: bad\r\nFrom: <sip:x@example.org>;tag=1\r\nTo: <sip:room0@rooms.example.com>\r\n\r\n",
            )),
            _ => {
                let mut octets = vec![0; 400];
                let mut seed = crate::plan::Dice::new(self.dice.below(1 << 30) as u64, 9);
                for octet in &mut octets {
                    *octet = u8::try_from(seed.below(256)).unwrap_or(0);
                }
                Some(garbage(&octets))
            }
        };
        if let Some(onward) = onward {
            self.send_from_proxy(&onward);
        }
    }

    /// What an XMPP user of bad intent gets through the server.
    fn hostile_xml(&mut self, native: usize, room: usize, kind: usize) {
        let extra = match kind {
            0 => format!("{}{}", "<a>".repeat(4000), "</a>".repeat(4000)),
            1 => format!("<a b='{}'/>", "x".repeat(9000)),
            2 => "<x xmlns='y'>z</x>".repeat(9000),
            3 => return self.odd_stanza("<message type='bogus' from='n0@xmpp.example.net' to='@@' id='q'><body>x</body></message>"),
            4 => return self.odd_stanza("<presence type='bogus' from='room0@rooms.example.com/x\u{301}' to='u0@example.org/y'><show/></presence>"),
            // Not the room's word, though it says so.
            _ => "<x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/><status code='307'/></x><delay xmlns='urn:xmpp:delay' from='room0@rooms.example.com' stamp='2001-01-01T00:00:00Z'/>".to_owned(),
        };
        let size = if kind == 2 { 400_000 } else { 10 };
        let kind = if kind < 3 { Kind::Odd } else { Kind::Public };
        self.native_says(native, room, size, kind, &extra);
    }

    fn odd_stanza(&mut self, stanza: &str) {
        self.server.send(stanza);
    }

    /// Lets everything come to rest, and looks.
    pub(crate) fn rest(&mut self) {
        self.settle();
        self.pass(Duration::from_secs(45));
        for _ in 0..20 {
            let stands = |since: &Option<Instant>| since.is_some_and(|since| since + RECOVERY < self.now);
            if self.links_up_at.iter().all(stands) {
                break;
            }
            self.pass(Duration::from_secs(10));
        }
        crate::invariants::at_rest(self);
    }
}
