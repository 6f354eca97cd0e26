//! What people do in conferences, one function per act. An act that makes no sense at its moment is left out.

use std::time::Duration;

use super::{
    MUC, ROOMS,
    focus::{self, Who},
    plan::Act,
    seat::{Seat, State},
};
use crate::{
    model::{Kind, Scope, Speaker},
    plan::NICKNAMES,
    user::room_name,
    world::{Place, Purpose, World},
    xml::{attribute, escape},
};

/// How long after a disturbance a conference may take to be as before.
const RECOVERY: Duration = Duration::from_secs(45);

/// What a conference is asked, and who else may be asked in it.
const QUESTIONS: [&str; 4] = [
    "<query xmlns='http://jabber.org/protocol/disco#info'/>",
    "<query xmlns='http://jabber.org/protocol/disco#items'/>",
    "<ping xmlns='urn:xmpp:ping'/>",
    "<vCard xmlns='vcard-temp'/>",
];

impl World {
    pub(crate) fn conference(&mut self, act: &Act) {
        let now = self.now;
        match *act {
            Act::Enter {
                native,
                room,
                nickname,
            } => self.sit_down(native, room, NICKNAMES[nickname].trim()),
            Act::Leave { native, room } => self.stand_up(native, room),
            Act::Say { native, room, size } => self.seat_says(native, room, size),
            Act::Whisper { native, room, to } => self.seat_whispers(native, room, to),
            Act::Rename {
                native,
                room,
                nickname,
            } => self.seat_renames(native, room, NICKNAMES[nickname].trim()),
            Act::Invite { native, room } => self.seat_invites(native, room),
            Act::Ask { native, room, what } => self.seat_asks(native, room, what),
            Act::Odd { native, room, kind } => self.odd(native, room, kind),
            Act::LocalEnter {
                local,
                room,
                nickname,
            } => {
                if let Some(former) = self.side.focus.roster(room).remove(&Who::Local(local)) {
                    self.side.formerly.push((room, local, former, now));
                }
                self.side
                    .focus
                    .enter(room, local, NICKNAMES[nickname].trim(), now);
            }
            Act::LocalLeave { local, room } => self.side.focus.leave(room, local, now),
            Act::LocalSay { local, room, size } => self.local_says(local, room, size),
            Act::LocalWhisper { local, room, to } => self.local_whispers(local, room, to),
            Act::Subject { room } => {
                let subject = format!("subject {}", now.duration_since(self.start).as_millis());
                self.side.focus.set_subject(room, &subject, now);
            }
            Act::Expel { native, room } => {
                self.disturb_seat(native, room);
                let aor = self.native_uri(native);
                self.side.focus.expel(room, &aor, now);
            }
            Act::Reset { native, room } => {
                self.disturb_seat(native, room);
                let aor = self.native_uri(native);
                if let Some(stream) = self.side.focus.stream_of(room, &aor) {
                    // Others may share the connection.
                    self.disturb_conferences();
                    self.reset(stream);
                }
            }
            Act::Destroy { room } => {
                self.model.disturb(Scope::Room(ROOMS + room), now, now + RECOVERY);
                self.side.focus.destroy(room, now);
            }
            Act::Refuse { kind } => {
                let elsewhere = format!("<sip:{}@{}>", room_name(0), focus::DOMAIN);
                self.side.focus.refuses = match kind {
                    0 | 1 => None,
                    2 => Some((302, Some(elsewhere))),
                    3 => Some((404, None)),
                    4 => Some((486, None)),
                    5 => Some((503, None)),
                    6 => Some((401, None)),
                    _ => Some((603, None)),
                };
            }
            Act::Silent { on } => self.side.focus.silent = on,
            Act::Mute { on } => {
                self.disturb_conferences();
                self.side.focus.mute = on;
            }
            Act::Zone { dead } => {
                self.side.zone_dead = dead;
                self.disturb_conferences();
            }
        }
        self.settle();
    }

    pub(crate) fn native_uri(&self, native: usize) -> String {
        format!("sip:{}", crate::server::bare(&self.natives[native].jid))
    }

    fn seat(&self, native: usize, room: usize) -> Option<&Seat> {
        let seat = self.side.seats.get(&(native, room))?;
        (seat.state != State::Over).then_some(seat)
    }

    fn seat_inside(&self, native: usize, room: usize) -> Option<&Seat> {
        self.seat(native, room).filter(|seat| seat.is_inside())
    }

    fn disturb_seat(&mut self, native: usize, room: usize) {
        if let Some(number) = self.seat(native, room).map(|seat| seat.number) {
            self.model
                .disturb(Scope::Stay(number), self.now, self.now + RECOVERY);
        }
    }

    /// While a switch is mute, and until its messages have been given up.
    pub(crate) fn disturb_conferences(&mut self) {
        let until = self.now + RECOVERY + Duration::from_secs(30);
        for room in 0..self.side.setting.rooms {
            self.model.disturb(Scope::Room(ROOMS + room), self.now, until);
        }
    }

    /// From a native to the component; `false` when it is not there.
    fn write_to_component(
        &mut self,
        native: usize,
        name: &str,
        to: &str,
        attributes: &str,
        payload: &str,
    ) -> bool {
        let from = attribute("from", &self.natives[native].jid);
        let to = attribute("to", to);
        self.side
            .link
            .send(&format!("<{name}{from}{to}{attributes}>{payload}</{name}>"))
    }

    fn sit_down(&mut self, native: usize, room: usize, nickname: &str) {
        if self.seat(native, room).is_some() {
            return;
        }
        let to = format!("{}@{MUC}/{nickname}", room_name(room));
        let payload = "<x xmlns='http://jabber.org/protocol/muc'/>";
        if self.write_to_component(native, "presence", &to, "", payload) {
            let number = self.model.calls(native, ROOMS + room, true);
            self.side
                .seats
                .insert((native, room), Seat::new(number, nickname, self.now));
        }
    }

    pub(crate) fn stand_up(&mut self, native: usize, room: usize) {
        let Some(nickname) = self.seat(native, room).map(|seat| seat.nickname.clone()) else {
            return;
        };
        let to = format!("{}@{MUC}/{nickname}", room_name(room));
        if self.write_to_component(
            native,
            "presence",
            &to,
            " type='unavailable'",
            "<status>off</status>",
        ) && let Some(seat) = self.side.seats.get_mut(&(native, room))
        {
            seat.state = State::Leaving;
            let number = seat.number;
            self.model.over(number, self.now);
        }
    }

    fn seat_says(&mut self, native: usize, room: usize, size: usize) {
        let Some(number) = self.seat_inside(native, room).map(|seat| seat.number) else {
            return;
        };
        let speaker = Speaker::Seat(number);
        let (token, text) = self
            .model
            .says(speaker, ROOMS + room, Kind::Public, size, self.now);
        let to = format!("{}@{MUC}", room_name(room));
        let id = format!(" type='groupchat' id='c{token}'");
        let body = format!("<body>{}</body>", escape(&text));
        if !self.write_to_component(native, "message", &to, &id, &body) {
            // His server tells him at once.
            self.seat_outcome(token, 408);
        }
    }

    fn seat_whispers(&mut self, native: usize, room: usize, to: usize) {
        let Some(number) = self.seat_inside(native, room).map(|seat| seat.number) else {
            return;
        };
        let roster = self.side.focus.roster(room);
        let Some(nickname) = roster.get(&Who::Local(to)) else {
            return;
        };
        let seen = self
            .seat(native, room)
            .is_some_and(|seat| seat.roster.contains(nickname));
        if !seen {
            return;
        }
        let speaker = Speaker::Seat(number);
        let (token, text) = self
            .model
            .says(speaker, ROOMS + room, Kind::Private, 20, self.now);
        let to = format!("{}@{MUC}/{nickname}", room_name(room));
        let id = format!(" type='chat' id='c{token}'");
        let body = format!(
            "<body>{}</body><x xmlns='http://jabber.org/protocol/muc#user'/>",
            escape(&text)
        );
        if !self.write_to_component(native, "message", &to, &id, &body) {
            self.seat_outcome(token, 408);
        }
    }

    fn seat_renames(&mut self, native: usize, room: usize, nickname: &str) {
        if self.seat_inside(native, room).is_some() {
            let to = format!("{}@{MUC}/{nickname}", room_name(room));
            let id = format!(" id='r{}'", self.next_request());
            self.write_to_component(native, "presence", &to, &id, "");
        }
    }

    fn seat_invites(&mut self, native: usize, room: usize) {
        if self.seat_inside(native, room).is_some() {
            let to = format!("{}@{MUC}", room_name(room));
            let payload = "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='mercutio@phones.example.com'><reason>come</reason></invite></x>";
            let id = format!(" id='i{}'", self.next_request());
            self.write_to_component(native, "message", &to, &id, payload);
        }
    }

    fn next_request(&mut self) -> u64 {
        self.side.requests += 1;
        self.side.requests
    }

    fn seat_asks(&mut self, native: usize, room: usize, what: usize) {
        let room_jid = format!("{}@{MUC}", room_name(room));
        let own = self.seat(native, room).map(|seat| seat.nickname.clone());
        let to = match (what, own) {
            (0, _) => MUC.to_owned(),
            (4, Some(nickname)) => format!("{room_jid}/{nickname}"),
            (5, _) => format!("{room_jid}/Nobody"),
            _ => room_jid,
        };
        let payload = QUESTIONS[if what < 4 { what } else { 2 }];
        self.ask(native, "iq", &to, "get", payload);
    }

    /// Something that must be answered.
    fn ask(&mut self, native: usize, name: &str, to: &str, kind: &str, payload: &str) {
        let id = format!("q{}", self.next_request());
        let attributes = format!(" type='{kind}' id='{id}'");
        if self.write_to_component(native, name, to, &attributes, payload) {
            self.side.asked.insert(id, (self.now, 0));
        }
    }

    /// What a conference of this kind cannot do, and must say so.
    fn odd(&mut self, native: usize, room: usize, kind: usize) {
        let room_jid = format!("{}@{MUC}", room_name(room));
        match kind {
            0 => self.ask(native, "message", &room_jid, "groupchat", "<subject>mine</subject>"),
            1 => self.ask(
                native,
                "message",
                &format!("nowhere@{MUC}"),
                "groupchat",
                "<body>anyone?</body>",
            ),
            2 => self.ask(
                native,
                "iq",
                &room_jid,
                "get",
                "<query xmlns='http://jabber.org/protocol/muc#owner'/>",
            ),
            3 => self.ask(
                native,
                "iq",
                &room_jid,
                "set",
                "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Nurse' role='none'/></query>",
            ),
            _ => self.ask(
                native,
                "message",
                &format!("{room_jid}/Nobody"),
                "chat",
                "<body>anyone?</body>",
            ),
        }
    }

    fn local_says(&mut self, local: usize, room: usize, size: usize) {
        let there = self.side.focus.conferences.get(&room);
        if !there.is_some_and(|it| it.locals.contains_key(&local)) {
            return;
        }
        let (_, text) = self
            .model
            .says(Speaker::Local(local), ROOMS + room, Kind::Public, size, self.now);
        self.side.focus.publish(room, &Who::Local(local), &text, self.now);
    }

    fn local_whispers(&mut self, local: usize, room: usize, to: usize) {
        let there = self.side.focus.conferences.get(&room);
        let aor = self.native_uri(to);
        let reachable = self.side.focus.stream_of(room, &aor).is_some();
        if !there.is_some_and(|it| it.locals.contains_key(&local)) || !reachable {
            return;
        }
        let speaker = Speaker::Local(local);
        let (_, text) = self
            .model
            .says(speaker, ROOMS + room, Kind::Private, 20, self.now);
        self.side
            .focus
            .whisper(room, &Who::Local(local), &Who::Caller(aor), &text, self.now);
    }

    /// All the focus's moods pass, and everybody leaves.
    pub(crate) fn close_conferences(&mut self) {
        self.side.focus.refuses = None;
        self.side.focus.silent = false;
        self.side.focus.mute = false;
        self.side.zone_dead = false;
        for (native, room) in self.side.seats.keys().copied().collect::<Vec<_>>() {
            self.stand_up(native, room);
        }
        self.settle();
    }

    /// The streams between gateway and focus.
    pub(crate) fn focus_streams(&self, purpose: Purpose) -> Vec<u64> {
        self.streams_of(Place::Focus, purpose)
    }
}
