//! Framing of messages on a stream (RFC 3261 §18.3, RFC 5626 §4.4.1).

use bytes::{Buf, Bytes, BytesMut};

use super::reader;

/// Cuts a stream into messages: start line to the end of the body that Content-Length announces.
///
/// Contract: after each [`StreamDecoder::feed`] call [`StreamDecoder::poll`] until it gives `None`; then never more than one message
/// within the limits is buffered. A message without Content-Length has no body: RFC 3261 §20.14 demands the header on streams, and
/// what follows the blank line is then read as the next message. Every octet is looked at once, however it arrives, and the items do not depend
/// on how the octets were split.
#[derive(Debug)]
pub struct StreamDecoder {
    limits: crate::Limits,
    buffer: BytesMut,
    state: State,
}

#[derive(Debug)]
enum State {
    /// At the start of a message or within its head, of which this many octets have been searched for a blank line.
    Head { searched: usize },
    /// Waiting for a whole message of this length.
    Message { length: usize },
    /// Dropping what is left of a message over the limits.
    Skipping { left: usize },
    /// The end.
    Lost,
}

/// What a stream brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamItem {
    /// One complete message, unparsed.
    Message(Bytes),
    /// CRLFCRLF: answer with CRLF (RFC 5626 §4.4.1).
    KeepAlive,
    /// A message over the limits; its octets are skipped. The head, as far as it was kept, may serve to build a 513
    /// ([`super::Response::too_large`]).
    TooLarge(Bytes),
    /// The framing is lost (no usable Content-Length, an endless head): close the connection. Nothing follows.
    Lost(&'static str),
}

impl StreamDecoder {
    /// For one connection.
    #[must_use]
    pub fn new(limits: crate::Limits) -> Self {
        Self {
            limits,
            buffer: BytesMut::new(),
            state: State::Head { searched: 0 },
        }
    }

    /// Bytes that arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Lost => {}
            State::Skipping { left } if self.buffer.is_empty() => {
                let dropped = bytes.len().min(*left);
                *left -= dropped;
                self.buffer
                    .extend_from_slice(bytes.get(dropped..).unwrap_or_default());
            }
            _ => self.buffer.extend_from_slice(bytes),
        }
    }

    /// The next item; `None`: feed more.
    pub fn poll(&mut self) -> Option<StreamItem> {
        loop {
            match self.state {
                State::Head { searched } => {
                    if searched == 0 {
                        match self.take_line_ends() {
                            LineEnds::None => {}
                            LineEnds::KeepAlive => return Some(StreamItem::KeepAlive),
                            LineEnds::Undecided => return None,
                        }
                    }
                    if let Some(fault) = self.search_head(searched)? {
                        return Some(fault);
                    }
                }
                State::Message { length } => {
                    if self.buffer.len() < length {
                        return None;
                    }
                    self.state = State::Head { searched: 0 };
                    return Some(StreamItem::Message(self.buffer.split_to(length).freeze()));
                }
                State::Skipping { left } => {
                    let dropped = left.min(self.buffer.len());
                    self.buffer.advance(dropped);
                    if dropped < left {
                        self.state = State::Skipping { left: left - dropped };
                        return None;
                    }
                    self.state = State::Head { searched: 0 };
                }
                State::Lost => return None,
            }
        }
    }

    /// Whether octets of a message have come whose end has not: the peer owes the rest. To be asked when [`StreamDecoder::poll`] has given
    /// `None`.
    #[must_use]
    pub fn is_within_message(&self) -> bool {
        match self.state {
            State::Head { searched } => searched > 0,
            State::Message { .. } | State::Skipping { .. } => true,
            State::Lost => false,
        }
    }

    /// Takes line ends that stand before a message: two are a keep-alive, a single one is the answer to ours or nothing (RFC 3261 §7.5).
    fn take_line_ends(&mut self) -> LineEnds {
        loop {
            match &*self.buffer {
                [b'\r', b'\n', b'\r', b'\n', ..] => {
                    self.buffer.advance(4);
                    return LineEnds::KeepAlive;
                }
                [] | [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return LineEnds::Undecided,
                [b'\r', b'\n', ..] => self.buffer.advance(2),
                _ => return LineEnds::None,
            }
        }
    }

    /// Looks for the end of the head and decides what comes next. `None`: not there yet.
    #[expect(clippy::option_option, reason = "the outer option is `poll`'s: feed more")]
    fn search_head(&mut self, searched: usize) -> Option<Option<StreamItem>> {
        let from = searched.saturating_sub(3);
        let found = reader::find_blank_line(self.buffer.get(from..)?);
        // One octet more than there is now is the least an unfinished head can have.
        let length = found.map_or(self.buffer.len() + 1, |place| from + place + 4);
        if length > self.limits.message {
            return Some(Some(self.lose("Endless header fields")));
        }
        if found.is_none() {
            self.state = State::Head {
                searched: self.buffer.len(),
            };
            return None;
        }
        let body = match reader::content_length(self.buffer.get(..length)?) {
            Ok(body) => body,
            Err(fault) => return Some(Some(self.lose(fault))),
        };
        if length > self.limits.head || body > self.limits.message - length {
            let mut head = self.buffer.split_to(length).freeze();
            head.truncate(self.limits.head);
            self.state = State::Skipping { left: body };
            return Some(Some(StreamItem::TooLarge(head)));
        }
        self.state = State::Message {
            length: length + body,
        };
        Some(None)
    }

    fn lose(&mut self, fault: &'static str) -> StreamItem {
        self.state = State::Lost;
        self.buffer = BytesMut::new();
        StreamItem::Lost(fault)
    }
}

enum LineEnds {
    /// A message begins.
    None,
    /// Two.
    KeepAlive,
    /// The next octets tell.
    Undecided,
}
