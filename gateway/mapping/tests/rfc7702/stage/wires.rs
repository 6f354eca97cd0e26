//! The clock of the stage, and how everything gets to where it belongs.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use mapping::{Command, LinkId};
use msrp::{SessionParameters, Status};
use xmpp::stanza::Outgoing;

use super::{GATEWAY, PHONE, PROXY, Stage, User, flow, session_id};

impl Stage {
    /// Lets time pass, one deadline after the other.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let machines = self.users.iter().filter(|user| !user.silent);
            let due = machines
                .flat_map(|user| [user.endpoint.poll_timeout(), user.msrp.poll_timeout()])
                .chain(
                    self.switch
                        .values()
                        .filter(|wire| wire.open)
                        .map(|wire| wire.machine.poll_timeout()),
                )
                .chain([self.gateway.poll_timeout(), self.focus.poll_timeout()])
                .flatten()
                .min();
            match due {
                Some(at) if at <= end => self.now = at.max(self.now),
                _ => break,
            }
            self.tick();
            self.run();
        }
        self.now = end;
    }

    pub(super) fn tick(&mut self) {
        let now = self.now;
        self.gateway.handle_timeout(now);
        self.focus.handle_timeout(now);
        for user in self.users.iter_mut().filter(|user| !user.silent) {
            user.endpoint.handle_timeout(now);
            user.msrp.handle_timeout(now);
        }
        for wire in self.switch.values_mut().filter(|wire| wire.open) {
            wire.machine.handle_timeout(now);
        }
    }

    /// Carries everything to where it belongs until nothing moves.
    pub(crate) fn run(&mut self) {
        while self.carry_commands() | self.carry_sip() | self.carry_msrp() {}
    }

    pub(super) fn carry_commands(&mut self) -> bool {
        let mut moved = false;
        while let Some(command) = self.gateway.poll_command() {
            moved = true;
            match command {
                Command::Connect {
                    connection,
                    host,
                    tls,
                    ..
                } => {
                    self.proofs.push(tls);
                    self.connect_from_switch(connection, &host);
                }
                Command::Resolve { lookup, query } => {
                    let answer = self.name_server.answer(&query);
                    self.asked.push(query);
                    if let Some(answer) = answer {
                        self.gateway.handle_resolved(lookup, &answer, self.now);
                    }
                }
                Command::Sip(command) => self.focus.handle_command(command, self.now),
                Command::Msrp(connection, command) => {
                    if let Some(wire) = self.switch.get_mut(&connection).filter(|wire| wire.open) {
                        wire.machine.handle_command(command, self.now);
                    }
                }
                Command::Xmpp(link, xmpp::Command::Send(stanza)) => self.deliver_to_room(link, stanza),
                Command::Xmpp(_, xmpp::Command::Share { room, occupant }) => {
                    self.sharing.insert((room, occupant));
                }
                Command::Xmpp(link, xmpp::Command::Unshare { room, occupant }) => {
                    self.sharing.remove(&(room.clone(), occupant.clone()));
                    self.unshared.push((link, room, occupant));
                }
                Command::Xmpp(_, xmpp::Command::Shutdown) => {}
                Command::Reload => self.reloads += 1,
                Command::Remember(occupancy) => drop(self.remembered.insert(occupancy)),
                Command::Forget(occupancy) => drop(self.remembered.remove(&occupancy)),
            }
        }
        if !self.hold_unshared {
            for (link, room, occupant) in std::mem::take(&mut self.unshared) {
                moved = true;
                let event = xmpp::Event::Unshared { room, occupant };
                self.gateway.handle_xmpp(link, event, self.now);
            }
        }
        moved
    }

    pub(super) fn deliver_to_room(&mut self, link: LinkId, stanza: Outgoing) {
        if !self.links_up.contains(&link) {
            let unsent = xmpp::Event::Unsent {
                stanza: Box::new(stanza),
                why: xmpp::Unsent::LinkDown,
            };
            return self.gateway.handle_xmpp(link, unsent, self.now);
        }
        self.to_rooms.push(stanza.clone());
        for answer in self.muc.handle(stanza) {
            self.gateway
                .handle_xmpp(link, xmpp::Event::Stanza(answer), self.now);
        }
    }

    pub(super) fn carry_sip(&mut self) -> bool {
        let mut moved = false;
        let gateway: SocketAddr = GATEWAY.parse().unwrap();
        while let Some(transmit) = self.focus.poll_transmit() {
            moved = true;
            let by_proxy = transmit.target.peer == PROXY.parse().unwrap();
            let head = String::from_utf8_lossy(&transmit.bytes).into_owned();
            let to = self.users.iter_mut().find(|user| {
                let called = format!(" {} ", user.aor);
                user.address == transmit.target.peer
                    || by_proxy && head.lines().next().is_some_and(|line| line.contains(&called))
            });
            if transmit.target.peer == PHONE.parse().unwrap() {
                self.to_phone.push(head.clone());
            }
            if let Some(user) = to.filter(|user| !user.silent) {
                user.endpoint
                    .handle_message(flow(gateway, 1), transmit.bytes, self.now);
            }
        }
        for (n, user) in self.users.iter_mut().enumerate() {
            while let Some(transmit) = user.endpoint.poll_transmit() {
                moved = true;
                if !user.silent {
                    let from = flow(user.address, 2 + n as u64);
                    self.focus.handle_message(from, transmit.bytes, self.now);
                }
            }
            while let Some(event) = user.endpoint.poll_event() {
                moved = true;
                user.sip_events.push_back(event);
            }
        }
        while let Some(event) = self.focus.poll_event() {
            moved = true;
            self.gateway.handle_sip(event, self.now);
        }
        moved
    }

    pub(super) fn carry_msrp(&mut self) -> bool {
        let mut moved = false;
        for (connection, wire) in &mut self.switch {
            let user = &mut self.users[wire.user];
            if wire.open && user.connection == Some(*connection) {
                let mut octets = BytesMut::new();
                while user.msrp.poll_transmit(&mut octets, 65_536, self.now) {}
                if !octets.is_empty() && !user.silent {
                    moved = true;
                    wire.hear(&octets, self.now);
                }
                let octets = wire.write(self.now);
                if !octets.is_empty() && !user.silent {
                    moved = true;
                    user.msrp.handle_bytes(&octets, self.now);
                }
            }
            while let Some(event) = wire.machine.poll_event() {
                moved = true;
                if event == msrp::Event::Closed {
                    wire.open = false;
                }
                self.gateway.handle_msrp(*connection, event, self.now);
            }
            take_events(user, self.now, &mut moved);
        }
        moved
    }
}

/// A client accepts every message at once.
pub(super) fn take_events(user: &mut User, now: Instant, moved: &mut bool) {
    while let Some(event) = user.msrp.poll_event() {
        *moved = true;
        if let msrp::Event::BindRequested { session, from } = &event {
            assert_eq!(*session, session_id(&user.path));
            user.switch = Some(from.clone());
            let parameters = SessionParameters {
                local: user.path.clone(),
                remote: from.clone(),
            };
            user.msrp.handle_command(msrp::Command::Bind(parameters), now);
        }
        if let msrp::Event::Received {
            session,
            message,
            due,
        } = event
        {
            user.msrp.handle_command(
                msrp::Command::Answer {
                    due,
                    status: Status::OK,
                },
                now,
            );
            user.received.push((session, message));
        } else {
            user.msrp_events.push_back(event);
        }
    }
}
