//! What goes between the focus, the component's server end and the wires.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use sip::{Flow, FlowId, Transport, locate::Candidate};

use super::{
    ROOMS,
    focus::{self, Entry, Who},
    invariants,
    seat::Noticed,
};
use crate::{
    model::{self, Kind, Speaker},
    plan::Fault,
    proxy,
    user::room_name,
    world::{Place, Purpose, World, cut},
    xml::{Element, attribute},
};

/// A server of the zone that does not stand.
const DEAD: [u8; 4] = [10, 0, 0, 9];

impl World {
    /// SIP for the focus: a datagram, or octets of a stream.
    pub(crate) fn sip_to_focus(&mut self, id: Option<FlowId>, bytes: &[u8]) {
        let flow = Flow {
            transport: if id.is_some() {
                Transport::Tcp
            } else {
                Transport::Udp
            },
            peer: SocketAddr::new(proxy::GATEWAY, 5060),
            id,
        };
        let now = self.now;
        if id.is_none() {
            return self
                .side
                .focus
                .endpoint
                .handle_message(flow, Bytes::copy_from_slice(bytes), now);
        }
        self.side.inbox.extend_from_slice(bytes);
        for message in cut(&mut self.side.inbox) {
            self.side
                .focus
                .endpoint
                .handle_message(flow, Bytes::from(message), now);
        }
    }

    pub(crate) fn carry_conferences(&mut self) -> bool {
        let now = self.now;
        let mut moved = self.side.focus.carry(now);
        while let Some(transmit) = self.side.focus.endpoint.poll_transmit() {
            moved = true;
            if transmit.target.transport == Transport::Udp {
                self.datagram(focus::address(), transmit.target.peer, &transmit.bytes);
                continue;
            }
            let open = self.focus_streams(Purpose::Sip);
            let open = open.into_iter().find(|id| self.is_open(*id));
            let stream = open.unwrap_or_else(|| self.open_stream(Purpose::Sip, Place::Focus, Place::Gateway));
            let end = 1 - self.end_of(stream, Place::Focus);
            self.write(stream, end, &transmit.bytes);
        }
        for stream in self.side.focus.streams() {
            let mut out = BytesMut::new();
            self.side.focus.poll_transmit(stream, &mut out, now);
            if !out.is_empty() {
                moved = true;
                let end = 1 - self.end_of(stream, Place::Focus);
                self.write(stream, end, &out);
            }
        }
        for entry in self.side.focus.take_entries() {
            moved = true;
            self.conference_journal(&entry);
        }
        moved | self.carry_component()
    }

    fn carry_component(&mut self) -> bool {
        let (out, over) = self.side.link.take_output();
        let Some(stream) = self.side.stream else {
            return false;
        };
        if !out.is_empty() {
            self.write(stream, 0, &out);
        }
        if over {
            self.finish(stream, 0);
            self.side.link.disconnected();
        }
        !out.is_empty()
    }

    /// Octets of the conference component.
    pub(crate) fn bytes_of_component(&mut self, bytes: &[u8]) {
        for stanza in self.side.link.handle_bytes(bytes) {
            self.hand_to_native(&stanza);
        }
        for what in self.side.link.take_broken() {
            self.model.fail("component_keeps_the_rules", what, self.now);
        }
    }

    fn hand_to_native(&mut self, stanza: &Element) {
        let to = stanza.attribute("to").unwrap_or_default();
        let from = stanza.attribute("from").unwrap_or_default().to_owned();
        let id = stanza.attribute("id").unwrap_or_default();
        let kind = stanza.attribute("type").unwrap_or_default();
        if let Some(asked) = self.side.asked.get_mut(id)
            && matches!(kind, "result" | "error")
        {
            asked.1 += 1;
            return;
        }
        if stanza.name == "iq" {
            if matches!(kind, "get" | "set") {
                let answer = format!(
                    "<iq type='result'{}{}{}/>",
                    attribute("id", id),
                    attribute("from", to),
                    attribute("to", &from)
                );
                self.side.link.send(&answer);
            }
            return;
        }
        let Some(native) = self.natives.iter().position(|native| native.jid == to) else {
            let detail = format!("a <{}> to {to}, who is nobody", stanza.name);
            return self.model.fail("component_keeps_the_rules", detail, self.now);
        };
        let room = crate::server::local(&from)
            .strip_prefix("room")
            .and_then(|room| room.parse().ok());
        let Some(room) = room else { return };
        let Some(seat) = self.side.seats.get_mut(&(native, room)) else {
            return;
        };
        let number = seat.number;
        match seat.notice(stanza) {
            Ok(noticed) => self.native_noticed(number, native, room, noticed),
            Err(why) => {
                let detail = format!("n{native} in {}: {why}", room_name(ROOMS + room));
                self.model.fail("component_keeps_the_rules", detail, self.now);
            }
        }
    }

    fn native_noticed(&mut self, stay: usize, native: usize, room: usize, noticed: Noticed) {
        let now = self.now;
        match noticed {
            Noticed::Nothing => {}
            Noticed::Admitted => {
                self.model.stays[stay].admitted.get_or_insert(now);
            }
            Noticed::Renamed => {}
            Noticed::Out => self.model.over(stay, now),
            Noticed::Heard { from, private, text } => {
                let Some(token) = model::token(&text) else { return };
                let own = self.native_uri(native);
                invariants::on_heard(&mut self.model, (stay, &own), (&from, &text), private, token, now);
                self.who_said(token, native, room, &from);
                let reflected = self
                    .model
                    .said
                    .get(&token)
                    .is_some_and(|said| said.from == Speaker::Seat(stay));
                if reflected && !private {
                    self.seat_outcome(token, 200);
                }
            }
            Noticed::Refused { id, condition } => {
                let Some(token) = id.strip_prefix('c').and_then(|token| token.parse().ok()) else {
                    return;
                };
                self.seat_outcome(token, 400);
                // XEP-0045 §7.4: he is not in.
                if condition == "not-acceptable"
                    && let Some(seat) = self.side.seats.get_mut(&(native, room))
                {
                    seat.state = super::seat::State::Over;
                    self.model.over(stay, now);
                }
            }
        }
    }

    /// A message comes from the occupant that its sender is, or from the room itself, if it does not list him.
    fn who_said(&mut self, token: u32, native: usize, room: usize, from: &str) {
        let Some(said) = self.model.said.get(&token) else {
            return;
        };
        let roster = self.side.focus.roster(room);
        let rightful = match said.from {
            Speaker::Seat(stay) => Some(Who::Caller(self.native_uri(self.model.stays[stay].user))),
            Speaker::Local(n) => Some(Who::Local(n)),
            Speaker::Stay(_) | Speaker::Native(_) => None,
        };
        let other = roster
            .iter()
            .any(|(who, nickname)| nickname == from && Some(who) != rightful.as_ref());
        let known = rightful.and_then(|who| roster.get(&who).cloned());
        // What he said under his former name may come after the news of his new one, and that news after what he says.
        let untold = self.side.formerly.iter().any(|(at, local, former, until)| {
            *at == room
                && said.from == Speaker::Local(*local)
                && former == from
                && self.now < *until + model::UNDER_WAY
        });
        let former = untold || said.accepted.is_some() && said.nickname == from;
        if other && !former && known.is_some_and(|known| known != from) {
            let detail = format!("n{native} hears {token} from {from}, who is another");
            self.model.fail("messages_are_accounted", detail, self.now);
        }
    }

    /// One answer is due; an error may be said again if the link broke before it was known to have arrived.
    pub(crate) fn seat_outcome(&mut self, token: u32, status: u16) {
        let now = self.now;
        let Some(said) = self.model.said.get_mut(&token) else {
            return;
        };
        let first = said.outcomes.first().copied();
        said.outcomes.push((status, now));
        let outcomes = said.outcomes.len();
        let said_again = first.is_some_and(|(before, at)| {
            before == status && status != 200 && !self.model.room_calm(usize::MAX, at, now)
        });
        if outcomes > 1 && !said_again {
            let detail = format!("{token} of an XMPP user was answered {outcomes} times");
            self.model.fail("exactly_one_answer", detail, now);
        }
    }

    fn conference_journal(&mut self, entry: &Entry) {
        let now = self.now;
        match entry {
            Entry::Public { room, from, body } => {
                let Some(token) = model::token(body) else { return };
                self.conference_accepted(token, *room, from, body, None);
            }
            Entry::Private { room, from, to, body } => {
                let Some(token) = model::token(body) else { return };
                self.conference_accepted(token, *room, from, body, Some(to));
            }
            Entry::Refused { body } => {
                if let Some(said) = model::token(body).and_then(|token| self.model.said.get_mut(&token)) {
                    said.reported = true;
                }
            }
            Entry::Broken(what) => self.model.fail("component_keeps_the_rules", what.clone(), now),
            Entry::Called { .. } | Entry::Over { .. } | Entry::Undelivered | Entry::Referred => {}
        }
        if let Entry::Private {
            room,
            to: Who::Caller(aor),
            body,
            ..
        } = entry
            && let Some(token) = model::token(body)
        {
            let seats = self.side.seats.iter().filter(|((native, at), seat)| {
                at == room && seat.is_inside() && self.native_uri(*native) == *aor
            });
            let must: Vec<usize> = seats.map(|(_, seat)| seat.number).collect();
            if let Some(said) = self.model.said.get_mut(&token) {
                said.must.extend(must);
            }
        }
    }

    /// `to`: to whom alone, if it is private.
    fn conference_accepted(&mut self, token: u32, room: usize, from: &Who, body: &str, to: Option<&Who>) {
        let now = self.now;
        let kind = if to.is_some() { Kind::Private } else { Kind::Public };
        let to = match to {
            Some(Who::Caller(aor)) => vec![aor.clone()],
            Some(Who::Local(_)) | None => Vec::new(),
        };
        let nickname = self.side.focus.roster(room).get(from).cloned();
        let nickname = nickname.unwrap_or_default();
        if self.model.accepted(token, &nickname, to, now).is_none() {
            return;
        }
        let said = &self.model.said[&token];
        let rightful = match said.from {
            Speaker::Seat(stay) => *from == Who::Caller(self.native_uri(self.model.stays[stay].user)),
            Speaker::Local(n) => *from == Who::Local(n),
            Speaker::Stay(_) | Speaker::Native(_) => false,
        };
        let (wrong_room, wrong_kind, wrong_text) =
            (said.room != ROOMS + room, said.kind != kind, said.text != body);
        for (invariant, wrong) in [
            ("messages_are_accounted", !rightful),
            ("no_message_crosses_rooms", wrong_room),
            ("private_only_to_addressee", wrong_kind),
            ("exactly_once", wrong_text),
        ] {
            if wrong {
                let detail = format!("{token} came to conference {room} as {kind:?} of {from:?}");
                self.model.fail(invariant, detail, now);
            }
        }
        if kind == Kind::Public {
            let seats = self.side.seats.iter();
            let must = seats.filter(|((_, at), seat)| *at == room && seat.is_inside());
            let must: Vec<usize> = must.map(|(_, seat)| seat.number).collect();
            if let Some(said) = self.model.said.get_mut(&token) {
                said.must.extend(must);
            }
        }
    }

    /// The zone of the conference domain.
    pub(crate) fn resolve(&mut self, resolve: &sip::Resolve) {
        let live = |transport| Candidate {
            transport,
            address: focus::address(),
        };
        let mut candidates = Vec::new();
        if resolve.host == focus::DOMAIN && !self.side.zone_dead {
            if self.setting.faults.contains(&Fault::Zone) && !self.calm {
                candidates.push(Candidate {
                    transport: Transport::Tcp,
                    address: SocketAddr::from((DEAD, 5060)),
                });
            }
            let choice = [Transport::Tcp, Transport::Udp]
                .into_iter()
                .filter(|it| resolve.choice.contains(it));
            candidates.extend(choice.map(live));
            candidates.push(live(resolve.transport));
        }
        self.host
            .endpoint
            .handle_located(resolve.id, candidates, self.now);
    }
}
