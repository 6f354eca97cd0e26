//! What a server sends of a busy hour: each message of a room in one copy for each occupant.

use xmpp::{
    Limits,
    guard::{Frame, Guard},
};

/// Occupants of a room, rooms, and copies in all.
const OCCUPANTS: usize = 200;
const ROOMS: usize = 20;
pub(crate) const COPIES: usize = 20_000;

/// Messages as Prosody with an archive writes them, about 460 octets each.
pub(crate) struct Stream {
    pub(crate) octets: Vec<u8>,
    pub(crate) stanzas: Vec<String>,
    /// How many messages there are apart from their copies.
    pub(crate) messages: usize,
}

impl Stream {
    pub(crate) fn new() -> Self {
        let messages = COPIES / OCCUPANTS;
        let stanzas: Vec<String> = (0..messages)
            .flat_map(|message| (0..OCCUPANTS).map(move |occupant| stanza(message, occupant)))
            .collect();
        Self {
            octets: stanzas.concat().into_bytes(),
            stanzas,
            messages,
        }
    }

    /// A guard that has read the stream header.
    pub(crate) fn guard(&self) -> Guard {
        let mut guard = Guard::new(Limits::default());
        let mut header: &[u8] =
            b"<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>";
        assert!(matches!(guard.next(&mut header), Some(Frame::Header(_))));
        guard
    }

    /// Lets everybody share.
    pub(crate) fn share(&self, guard: &mut Guard) {
        for room in 0..ROOMS {
            for occupant in 0..OCCUPANTS {
                guard.share(&address(room), &jid(occupant));
            }
        }
    }
}

fn address(room: usize) -> String {
    format!("balcony{room}@rooms.example.com")
}

fn jid(occupant: usize) -> String {
    format!("romeo{occupant}\\40example.net@sip.example.com/f81d4fae-7dec-11d0-{occupant:04}")
}

fn stanza(message: usize, occupant: usize) -> String {
    let (room, jid) = (address(message % ROOMS), jid(occupant));
    let id = message.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        "<message from='{room}/juliet' id='{id:016x}{id:016x}' to='{jid}' type='groupchat' xml:lang='en'>\
         <body>But, soft! what light through yonder window breaks? It is</body>\
         <stanza-id xmlns='urn:xmpp:sid:0' by='{room}' id='2026-11-21-{id:016x}'/>\
         <occupant-id xmlns='urn:xmpp:occupant-id:0' id='wGDkbyhXCcT+jTqK8DRj/7Gg3yRFDMLCDkuESNyJqfw='/></message>"
    )
}
