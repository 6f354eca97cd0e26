//! What a shell does: carries events, commands and octets of the gateway's machines.

use std::{net::SocketAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use mapping::{Command, ConnectionId, LinkId};
use sip::{Flow, FlowId, Transmit, Transport, message::StreamItem};

use super::{Happening, Inner, Place, Purpose, World};
use crate::{
    host::{PATIENCE, WINDOW},
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
            Inner::Xmpp(event) => self.host.core.handle_xmpp(LinkId(0), *event, now),
            Inner::Command(command) => match *command {
                Command::Sip(command) => self.host.endpoint.handle_command(command, now),
                Command::Xmpp(_, command) => self.host.link.handle_command(command, now),
                Command::Msrp(id, command) => {
                    self.host.dirty.insert(id);
                    if let Some(connection) = self.host.connections.get_mut(&id) {
                        connection.command(command, now);
                    }
                }
            },
        }
    }

    pub(super) fn carry_gateway(&mut self) -> bool {
        let mut moved = false;
        while let Some(command) = self.host.core.poll_command() {
            moved = true;
            self.record(&command);
            let lane = match &command {
                Command::Sip(_) => (0, 0),
                Command::Xmpp(..) => (1, 0),
                Command::Msrp(id, _) => (2, id.0),
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
            self.host
                .endpoint
                .handle_resolved(resolve.id, Vec::new(), self.now);
        }
        let dirty: Vec<_> = self.host.dirty.iter().copied().collect();
        for id in dirty {
            moved |= self.carry_connection(id);
        }
        moved | self.carry_link()
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
        let known = self.streams_of(Place::Gateway, Purpose::Sip);
        let stream = wanted
            .into_iter()
            .chain(known)
            .find(|stream| self.is_open(*stream));
        let stream = match stream {
            Some(stream) => stream,
            None if target.peer.ip() == proxy::ADDRESS => {
                let stream = self.open_stream(Purpose::Sip, Place::Gateway, Place::Proxy);
                self.host.open_flow(stream);
                stream
            }
            // Nobody but the proxy is to be reached by TCP.
            None => return self.host.endpoint.handle_transmit_failed(id, self.now),
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
            Purpose::Xml => self.host.link.handle_bytes(bytes, now),
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
        let flow = Flow {
            transport: Transport::Tcp,
            peer: SocketAddr::new(proxy::ADDRESS, 40_000),
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
            Purpose::Xml if self.host.link_stream == Some(stream) => {
                self.host.link_stream = None;
                self.host.link.handle_disconnected(self.now);
            }
            Purpose::Xml => {}
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
        let under_way = self.streams.get(&stream).map_or(0, |stream| stream.octets_to(0));
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
        let faults = connection.wire.sent(&out, now);
        let held = (
            connection.machine.outgoing_octets(),
            connection.machine.incoming_octets(),
            connection.wire.longest,
        );
        let closing = connection.closing;
        for fault in faults {
            self.model.fail("limits_hold", fault, now);
        }
        self.hold_connection_limits(held);
        for event in events {
            moved = true;
            self.pass_on((4, id.0), Inner::Msrp(id, Box::new(event)));
        }
        if !out.is_empty() {
            moved = true;
            self.write(stream, 0, &out);
        }
        if closing && !moved {
            self.host.dirty.remove(&id);
            if let Some(mut connection) = self.host.connections.remove(&id) {
                connection.wire.ended();
                self.keep_asked(connection.wire);
            }
            self.host.by_stream.remove(&stream);
            self.finish(stream, 0);
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

    fn carry_link(&mut self) -> bool {
        let mut moved = false;
        while let Some(action) = self.host.link.poll_action() {
            moved = true;
            match action {
                xmpp::Action::Connect => self.after(5, Happening::LinkConnect),
                xmpp::Action::Close => {
                    self.write_link();
                    if let Some(stream) = self.host.link_stream.take() {
                        self.finish(stream, 1);
                    }
                }
            }
        }
        while let Some(event) = self.host.link.poll_event() {
            moved = true;
            self.link_noted(&event);
            self.pass_on((5, 0), Inner::Xmpp(Box::new(event)));
        }
        moved | self.write_link()
    }

    fn write_link(&mut self) -> bool {
        let mut out = BytesMut::new();
        while self.host.link.poll_transmit(&mut out) {}
        let Some(stream) = self.host.link_stream.filter(|_| !out.is_empty()) else {
            return false;
        };
        self.write(stream, 1, &out);
        true
    }

    pub(super) fn link_connect(&mut self) {
        if self.now < self.accepting {
            return self
                .host
                .link
                .handle_connect_failed("refused".to_owned(), self.now);
        }
        let stream = self.open_stream(Purpose::Xml, Place::Gateway, Place::Server);
        self.host.link_stream = Some(stream);
        self.server_stream = Some(stream);
        self.server.link().connected();
        self.host.link.handle_connected(self.now);
    }
}
