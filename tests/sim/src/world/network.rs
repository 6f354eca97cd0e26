//! Datagrams and streams, and what goes wrong with them.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{Happening, Place, Purpose, World};
use crate::{conference::focus, plan::Fault, proxy, user};

/// A connection; the opener's end is 0.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) purpose: Purpose,
    pub(crate) ends: [Place; 2],
    /// `pipes[n]` leads to end n.
    pipes: [Pipe; 2],
    /// Nothing arrives any more.
    dead: bool,
}

#[derive(Debug)]
struct Pipe {
    queue: VecDeque<(Instant, Vec<u8>)>,
    octets: usize,
    last: Instant,
    stalled: Option<Instant>,
    /// The sender has closed it.
    ended: bool,
}

impl Pipe {
    fn new(now: Instant) -> Self {
        Self {
            queue: VecDeque::new(),
            octets: 0,
            last: now,
            stalled: None,
            ended: false,
        }
    }
}

impl Stream {
    /// Octets under way to an end.
    pub(super) fn octets_to(&self, end: usize) -> usize {
        self.pipes[end].octets
    }
}

impl World {
    fn latency(&mut self) -> Duration {
        Duration::from_micros(self.dice.between(200, 15_000) as u64)
    }

    /// Sends a datagram.
    pub(crate) fn datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let Some(place) = place(to) else { return };
        if self.is_gone(place) || self.strikes(Fault::DatagramLoss, 7) {
            return;
        }
        let copies = if self.strikes(Fault::DatagramDuplicate, 20) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let mut at = self.now + self.latency();
            if self.strikes(Fault::DatagramDelay, 10) {
                at += Duration::from_millis(self.dice.below(3000) as u64);
            }
            let path = self.paths.entry((place, from)).or_insert(at);
            let last = *path;
            *path = last.max(at);
            if !self.strikes(Fault::DatagramReorder, 50) {
                at = at.max(last);
            } else if self.dice.chance(30) {
                at += Duration::from_millis(self.dice.below(300) as u64);
            }
            let bytes = bytes.to_vec();
            self.schedule(
                at,
                Happening::Datagram {
                    to: place,
                    from,
                    bytes,
                },
            );
        }
    }

    pub(super) fn is_gone(&self, place: Place) -> bool {
        matches!(place, Place::User(n) if self.users[n].gone)
    }

    pub(crate) fn open_stream(&mut self, purpose: Purpose, from: Place, to: Place) -> u64 {
        let id = self.next_stream;
        self.next_stream += 1;
        let stream = Stream {
            purpose,
            ends: [from, to],
            pipes: [Pipe::new(self.now), Pipe::new(self.now)],
            dead: false,
        };
        self.streams.insert(id, stream);
        id
    }

    pub(crate) fn is_open(&self, stream: u64) -> bool {
        self.streams
            .get(&stream)
            .is_some_and(|stream| !stream.dead && !stream.pipes.iter().any(|pipe| pipe.ended))
    }

    /// Writes to the stream from the other end than `to`.
    pub(crate) fn write(&mut self, id: u64, to: usize, bytes: &[u8]) {
        let split = !self.calm && self.setting.faults.contains(&Fault::StreamSplit);
        let mut rest = bytes;
        while !rest.is_empty() {
            let size = match (split, rest.len()) {
                (true, ..=600) => 1,
                (true, _) => self.dice.between(1, 400),
                (false, _) => self.dice.between(600, 3000),
            };
            let (piece, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            let latency = if split {
                Duration::from_micros(20)
            } else {
                self.latency()
            };
            let now = self.now;
            let Some(stream) = self.streams.get_mut(&id) else {
                return;
            };
            let pipe = &mut stream.pipes[to];
            if stream.dead || pipe.ended {
                return;
            }
            let at = pipe.last.max(now + latency);
            pipe.last = at;
            pipe.octets += piece.len();
            pipe.queue.push_back((at, piece.to_vec()));
            self.schedule(at, Happening::Arrival { stream: id, end: to });
        }
    }

    /// Closes the writing half towards end `to`, after what is under way.
    pub(crate) fn finish(&mut self, id: u64, to: usize) {
        let latency = self.latency();
        let now = self.now;
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let pipe = &mut stream.pipes[to];
        if stream.dead || pipe.ended {
            return;
        }
        pipe.ended = true;
        let at = pipe.last.max(now + latency);
        pipe.last = at;
        self.schedule(at, Happening::Over { stream: id, end: to });
    }

    /// Tears a stream down: what is under way is lost.
    pub(crate) fn reset(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.dead {
            return;
        }
        stream.dead = true;
        for end in [0, 1] {
            let latency = self.latency();
            let at = self.now + latency;
            self.schedule(at, Happening::Over { stream: id, end });
        }
    }

    /// What is under way to an end waits.
    pub(super) fn stall(&mut self, id: u64, end: usize, time: Duration) {
        let until = self.now + time;
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.pipes[end].stalled = Some(until);
        }
    }

    pub(super) fn arrival(&mut self, id: u64, end: usize) {
        let now = self.now;
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.dead {
            return;
        }
        let (place, purpose) = (stream.ends[end], stream.purpose);
        let pipe = &mut stream.pipes[end];
        if let Some(until) = pipe.stalled {
            if until > now {
                self.schedule(until, Happening::Arrival { stream: id, end });
                return;
            }
            pipe.stalled = None;
        }
        let mut bytes = Vec::new();
        while pipe.queue.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, piece)) = pipe.queue.pop_front() {
                bytes.extend_from_slice(&piece);
            }
        }
        if bytes.is_empty() || self.is_gone(place) {
            return;
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.pipes[end].octets -= bytes.len();
        }
        self.arrived(id, end, purpose, place, &bytes);
    }

    /// This end of a stream is told that nothing more comes.
    pub(super) fn stream_over(&mut self, id: u64, end: usize) {
        let now = self.now;
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if !stream.dead {
            let pipe = &stream.pipes[end];
            let wait = pipe
                .stalled
                .filter(|until| *until > now)
                .or_else(|| pipe.queue.front().map(|(at, _)| *at));
            if let Some(at) = wait.filter(|at| *at > now) {
                self.schedule(at, Happening::Over { stream: id, end });
                return;
            }
        }
        let (place, purpose) = (stream.ends[end], stream.purpose);
        if !self.is_gone(place) {
            self.hung_up(id, end, purpose, place);
        }
    }

    /// The streams of a place.
    pub(crate) fn streams_of(&self, place: Place, purpose: Purpose) -> Vec<u64> {
        let streams = self
            .streams
            .iter()
            .filter(|(_, stream)| !stream.dead && stream.purpose == purpose && stream.ends.contains(&place));
        streams.map(|(id, _)| *id).collect()
    }

    /// Everything that stalls goes on; the peers that are gone are unplugged.
    pub(super) fn heal(&mut self) {
        let mut dead = Vec::new();
        let mut going = Vec::new();
        for (id, stream) in &mut self.streams {
            for (end, pipe) in stream.pipes.iter_mut().enumerate() {
                if pipe.stalled.take().is_some() {
                    going.push((*id, end));
                }
            }
            if stream
                .ends
                .iter()
                .any(|place| matches!(place, Place::User(n) if self.users[*n].gone))
            {
                dead.push(*id);
            }
        }
        for (stream, end) in going {
            self.schedule(self.now, Happening::Arrival { stream, end });
        }
        for id in dead {
            self.reset(id);
        }
    }

    /// Which end of a stream a place is.
    pub(crate) fn end_of(&self, id: u64, place: Place) -> usize {
        let stream = self.streams.get(&id);
        usize::from(stream.is_some_and(|stream| stream.ends[0] != place))
    }
}

pub(super) fn place(address: SocketAddr) -> Option<Place> {
    match address.ip() {
        proxy::ADDRESS => Some(Place::Proxy),
        proxy::GATEWAY => Some(Place::Gateway),
        focus::ADDRESS => Some(Place::Focus),
        ip => user::number(ip).map(Place::User),
    }
}
