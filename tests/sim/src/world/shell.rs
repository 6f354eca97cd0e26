//! What a shell does: carries events, commands and octets of the gateway's machines.

use std::{net::SocketAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use mapping::{Command, ConnectionId, LinkId};
use sip::{Flow, FlowId, Transmit, Transport, message::StreamItem};

use super::{Happening, Inner, Place, Purpose, World, network::place};
use crate::{
    conference::focus,
    host::{PATIENCE, WINDOW},
    invariants,
    plan::Fault,
    proxy,
};

impl World {
    /// From one task of the gateway to another: at once, or through a queue where it waits.
    fn pass_on(&mut self, lane: (u8, u64), inner: Inner) {
        if self.calm || !self.setting.faults.contains(&Fault::TaskDelay) {
            return self.inbox.push_back(inner);
        }
        let wait = if self.dice.chance(30) {
            self.dice.below(40)
        } else {
            self.dice.below(3)
        };
        let at = self.now + Duration::from_millis(wait as u64);
        let last = self.lanes.entry(lane).or_insert(at);
        *last = at.max(*last);
        let at = *last;
        self.schedule(at, Happening::Inner(inner));
    }

    pub(super) fn inner(&mut self, inner: Inner) {
        let now = self.now;
        match inner {
            Inner::Sip(event) => self.host.core.handle_sip(*event, now),
            Inner::Msrp(id, event) => self.host.core.handle_msrp(id, *event, now),
            Inner::Xmpp(link, event) => self.host.core.handle_xmpp(link, *event, now),
            Inner::Command(command) => match *command {
                Command::Connect { connection, host, .. } => self.connect_msrp(connection, &host),
                // Nobody is invited whose domain is unknown.
                Command::Resolve { lookup, .. } => {
                    self.host
                        .core
                        .handle_resolved(lookup, &sip::locate::Answer::Absent, now);
                }
                Command::Sip(command) => self.host.endpoint.handle_command(command, now),
                // There are no files in this world.
                Command::Reload => {}
                Command::Remember(occupancy) => drop(self.host.remembered.insert(occupancy)),
                Command::Forget(occupancy) => drop(self.host.remembered.remove(&occupancy)),
                Command::Xmpp(link, command) => {
                    invariants::remembered(self, &command);
                    self.host.links[link.0].link.handle_command(command, now);
                }
                Command::Msrp(id, command) => {
                    self.host.dirty.insert(id);
                    if let Some(connection) = self.host.connections.get_mut(&id) {
                        connection.command(command, now);
                    }
                }
            },
        }
    }

    /// The core wants a connection; only the switch takes one.
    fn connect_msrp(&mut self, id: ConnectionId, host: &str) {
        if host != focus::ADDRESS.to_string() {
            let why = mapping::NotConnected::Unreachable;
            return self.host.core.handle_not_connected(id, why, self.now);
        }
        let stream = self.open_stream(Purpose::Msrp, Place::Gateway, Place::Focus);
        self.host.open_msrp(id, stream, self.now);
        self.side.focus.accept_msrp(stream);
    }

    pub(super) fn carry_gateway(&mut self) -> bool {
        let mut moved = false;
        while let Some(command) = self.host.core.poll_command() {
            moved = true;
            self.record(&command);
            let lane = match &command {
                Command::Sip(_) | Command::Resolve { .. } | Command::Reload => (0, 0),
                Command::Xmpp(link, _) => (1, link.0 as u64),
                // In order with what goes to the rooms, which are all behind the first link.
                Command::Remember(_) | Command::Forget(_) => (1, 0),
                Command::Msrp(id, _) | Command::Connect { connection: id, .. } => (2, id.0),
            };
            self.pass_on(lane, Inner::Command(Box::new(command)));
        }
        while let Some(event) = self.host.endpoint.poll_event() {
            moved = true;
            self.pass_on((3, 0), Inner::Sip(Box::new(event)));
        }
        while let Some(transmit) = self.host.endpoint.poll_transmit() {
            moved = true;
            self.transmit(transmit);
        }
        while let Some(resolve) = self.host.endpoint.poll_resolve() {
            moved = true;
            self.resolve(&resolve);
        }
        let dirty: Vec<_> = self.host.dirty.iter().copied().collect();
        for id in dirty {
            moved |= self.carry_connection(id);
        }
        for link in 0..self.host.links.len() {
            moved |= self.carry_link(link);
        }
        moved
    }

    fn transmit(&mut self, transmit: Transmit) {
        let Transmit { id, target, bytes } = transmit;
        self.host.sip_wire.sent(&bytes, self.now);
        if bytes.len() > 64 * 1024 {
            let detail = format!("a SIP message of {} octets", bytes.len());
            self.model.fail("limits_hold", detail, self.now);
        }
        let from = SocketAddr::new(proxy::GATEWAY, 5060);
        if target.transport == Transport::Udp {
            return self.datagram(from, target.peer, &bytes);
        }
        let wanted = target
            .flow
            .and_then(|flow| self.host.flows.get(&flow))
            .map(|(stream, _)| *stream);
        let peer = place(target.peer).filter(|peer| matches!(peer, Place::Proxy | Place::Focus));
        let known = peer.map_or(Vec::new(), |peer| self.streams_of(peer, Purpose::Sip));
        let known = known
            .into_iter()
            .filter(|stream| self.streams[stream].ends.contains(&Place::Gateway));
        let stream = wanted
            .into_iter()
            .chain(known)
            .find(|stream| self.is_open(*stream));
        let stream = match (stream, peer) {
            (Some(stream), _) => stream,
            (None, Some(peer)) => {
                let stream = self.open_stream(Purpose::Sip, Place::Gateway, peer);
                self.host.open_flow(stream);
                stream
            }
            // Nobody else is to be reached by TCP.
            (None, None) => return self.host.endpoint.handle_transmit_failed(id, self.now),
        };
        let end = 1 - self.end_of(stream, Place::Gateway);
        self.write(stream, end, &bytes);
    }

    /// SIP for the gateway, whole.
    pub(super) fn sip_to_gateway(&mut self, flow: Flow, bytes: Bytes) {
        self.host.sip_wire.received(&bytes, self.now);
        self.host.endpoint.handle_message(flow, bytes, self.now);
    }

    pub(super) fn bytes_to_gateway(&mut self, stream: u64, purpose: Purpose, bytes: &[u8]) {
        let now = self.now;
        match purpose {
            Purpose::Xml => {
                let mut ends = self.host.links.iter_mut();
                if let Some(end) = ends.find(|end| end.stream == Some(stream)) {
                    end.link.handle_bytes(bytes, now);
                }
            }
            Purpose::Msrp => {
                let Some(id) = self.host.by_stream.get(&stream).copied() else {
                    return;
                };
                self.host.dirty.insert(id);
                if let Some(connection) = self
                    .host
                    .connections
                    .get_mut(&id)
                    .filter(|connection| !connection.closing)
                {
                    connection.wire.received(bytes, now);
                    connection.machine.handle_bytes(bytes, now);
                }
            }
            Purpose::Sip => {
                let flow = match self.host.flow_of.get(&stream) {
                    Some(flow) => *flow,
                    None => self.host.open_flow(stream),
                };
                self.sip_stream(flow, bytes);
            }
        }
    }

    fn sip_stream(&mut self, id: FlowId, bytes: &[u8]) {
        let stream = self.host.flows.get(&id).map(|(stream, _)| *stream);
        let of_focus = stream.is_some_and(|stream| self.streams[&stream].ends.contains(&Place::Focus));
        let peer = if of_focus { focus::ADDRESS } else { proxy::ADDRESS };
        let flow = Flow {
            transport: Transport::Tcp,
            peer: SocketAddr::new(peer, 40_000),
            id: Some(id),
        };
        let mut items = Vec::new();
        if let Some((_, decoder)) = self.host.flows.get_mut(&id) {
            decoder.feed(bytes);
            while let Some(item) = decoder.poll() {
                items.push(item);
            }
        }
        for item in items {
            match item {
                StreamItem::Message(bytes) => self.sip_to_gateway(flow, bytes),
                StreamItem::TooLarge(head) => self.host.endpoint.handle_too_large(flow, head, self.now),
                StreamItem::KeepAlive => {}
                StreamItem::Lost(_) => {
                    if let Some((stream, _)) = self.host.flows.get(&id) {
                        self.reset(*stream);
                    }
                }
            }
        }
    }

    pub(super) fn gateway_hung_up(&mut self, stream: u64, purpose: Purpose) {
        match purpose {
            Purpose::Xml => {
                let now = self.now;
                let mut ends = self.host.links.iter_mut();
                if let Some(end) = ends.find(|end| end.stream == Some(stream)) {
                    end.stream = None;
                    end.link.handle_disconnected(now);
                }
            }
            Purpose::Sip => {
                if let Some(flow) = self.host.flow_of.remove(&stream) {
                    self.host.flows.remove(&flow);
                }
                self.finish(stream, 1 - self.end_of(stream, Place::Gateway));
            }
            Purpose::Msrp => {
                if let Some(id) = self.host.by_stream.get(&stream).copied() {
                    self.abandon(id);
                }
            }
        }
    }

    /// The transport is of no more use.
    fn abandon(&mut self, id: ConnectionId) {
        self.host.dirty.insert(id);
        if let Some(connection) = self.host.connections.get_mut(&id) {
            connection.wire.ended();
            if !connection.closing {
                connection.machine.handle_closed(self.now);
            }
        }
    }

    pub(super) fn wake_connection(&mut self, id: ConnectionId, due: bool) {
        self.host.dirty.insert(id);
        let now = self.now;
        let Some(connection) = self.host.connections.get_mut(&id).filter(|_| due) else {
            return;
        };
        let over = [connection.unbound_since, connection.stalled_since]
            .into_iter()
            .flatten()
            .any(|since| now >= since + PATIENCE);
        if over {
            connection.stalled_since = None;
            connection.unbound_since = None;
            self.abandon(id);
        } else {
            connection.machine.handle_timeout(now);
        }
    }

    fn carry_connection(&mut self, id: ConnectionId) -> bool {
        let now = self.now;
        let mut moved = false;
        let Some(connection) = self.host.connections.get_mut(&id) else {
            return false;
        };
        let mut events = Vec::new();
        let mut out = BytesMut::new();
        let stream = connection.stream;
        let peer = connection.peer;
        let under_way = self
            .streams
            .get(&stream)
            .map_or(0, |stream| stream.octets_to(peer));
        while under_way + out.len() < WINDOW {
            let budget = WINDOW - under_way - out.len();
            if !connection.machine.poll_transmit(&mut out, budget, now) {
                break;
            }
        }
        while let Some(event) = connection.machine.poll_event() {
            connection.note(&event, now);
            events.push(event);
        }
        let blocked = under_way + out.len() >= WINDOW;
        match (blocked, connection.stalled_since) {
            (true, None) => connection.stalled_since = Some(now),
            (false, _) => connection.stalled_since = None,
            (true, Some(_)) => {}
        }
        let complaint = connection.wire.sent(&out, now);
        let held = (
            connection.machine.outgoing_octets(),
            connection.machine.incoming_octets(),
            connection.wire.longest,
        );
        let closing = connection.closing;
        if let Some(complaint) = complaint {
            self.model.fail("msrp_is_sound", complaint, now);
        }
        self.hold_connection_limits(held);
        for event in events {
            moved = true;
            self.pass_on((4, id.0), Inner::Msrp(id, Box::new(event)));
        }
        if !out.is_empty() {
            moved = true;
            self.write(stream, peer, &out);
        }
        if closing && !moved {
            self.host.dirty.remove(&id);
            if let Some(mut connection) = self.host.connections.remove(&id) {
                connection.wire.ended();
                self.keep_asked(connection.wire);
            }
            self.host.by_stream.remove(&stream);
            self.finish(stream, peer);
        }
        moved
    }

    fn hold_connection_limits(&mut self, (outgoing, incoming, longest): (usize, usize, usize)) {
        let limits = &self.host.msrp_limits;
        // One message may be taken when the queue is nearly full, one chunk read before it is refused.
        let over = outgoing > limits.outgoing + limits.message + 4096
            || incoming > limits.reassembly + limits.chunk_in + 8192
            || longest > limits.chunk_out + 4096;
        if over {
            let detail =
                format!("an MSRP connection holds {outgoing} out, {incoming} in, longest frame {longest}");
            self.model.fail("limits_hold", detail, self.now);
        }
    }

    fn carry_link(&mut self, n: usize) -> bool {
        let mut moved = false;
        while let Some(action) = self.host.links[n].link.poll_action() {
            moved = true;
            match action {
                xmpp::Action::Connect => self.after(5, Happening::LinkConnect(n)),
                xmpp::Action::Close => {
                    self.write_link(n);
                    if let Some(stream) = self.host.links[n].stream.take() {
                        self.finish(stream, 1);
                    }
                }
            }
        }
        while let Some(event) = self.host.links[n].link.poll_event() {
            moved = true;
            self.link_noted(n, &event);
            self.pass_on((5, n as u64), Inner::Xmpp(LinkId(n), Box::new(event)));
        }
        moved | self.write_link(n)
    }

    fn write_link(&mut self, n: usize) -> bool {
        let mut out = BytesMut::new();
        let end = &mut self.host.links[n];
        while end.link.poll_transmit(&mut out) {}
        let Some(stream) = end.stream.filter(|_| !out.is_empty()) else {
            return false;
        };
        self.write(stream, 1, &out);
        true
    }

    pub(super) fn link_connect(&mut self, n: usize) {
        let now = self.now;
        if now < self.accepting {
            let cause = "refused".to_owned();
            return self.host.links[n].link.handle_connect_failed(cause, now);
        }
        let stream = self.open_stream(Purpose::Xml, Place::Gateway, Place::Server);
        self.host.links[n].stream = Some(stream);
        if n == 0 {
            self.server_stream = Some(stream);
            self.server.link().connected();
        } else {
            self.side.stream = Some(stream);
            self.side.link.connected();
        }
        self.host.links[n].link.handle_connected(now);
    }
}
