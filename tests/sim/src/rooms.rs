//! The world's XMPP server by itself, for a process that plays it towards the real gateway.

use crate::server::{Entry, Flavour, SECRET, Server};

/// An XMPP server with a multi-user chat service, `rooms.example.com`, as one component sees it: octets in, octets out, Prosody's habits.
/// It costs next to nothing, so that what is measured beside it is the gateway.
pub struct Rooms(Server);

impl Rooms {
    /// What the component must know.
    pub const SECRET: &'static str = SECRET;

    /// Rooms for the users of the component `domain`.
    #[must_use]
    pub fn new(domain: &str) -> Self {
        Self(Server::new(Flavour::Prosody, domain))
    }

    /// The component has connected; an earlier connection of it is over.
    pub fn connected(&mut self) {
        self.0.link().connected();
    }

    /// Octets of the component. Gives what to write to it, and whether the stream ends then.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        self.0.handle_bytes(bytes);
        self.0.link().take_output()
    }

    /// The rules that the component has broken since this was asked. Ask now and then: the answer is kept until then.
    pub fn take_broken(&mut self) -> Vec<String> {
        let entries = self.0.take_entries().into_iter();
        let broken = entries.filter_map(|entry| match entry {
            Entry::Broken(rule) => Some(rule),
            _ => None,
        });
        broken.collect()
    }
}
