//! A multi-user chat service of one room, played by hand over a component stream (XEP-0114): it says whatever the test wants, under any
//! nickname, and the XMPP server passes it on.

use std::{
    fmt::Write as _,
    io::{BufReader, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::mpsc::channel,
    thread,
};

use sha1::{Digest, Sha1};

use super::{XmppServer, conference::CONFERENCES, xmpp_user::escape};
use crate::{
    Context, PATIENCE, Result, bail, ensure,
    inbox::Inbox,
    raw_msrp::RawParticipant,
    stanza::{Element, read_stream},
};

/// The room, as XMPP names it.
pub const HALL: &str = "hall@conference.example.org";
/// The same, as SIP users name it.
pub const HALL_URI: &str = "sip:hall@conference.example.org";

/// A running service.
#[derive(Debug)]
pub struct RoomService {
    stream: TcpStream,
    inbox: Inbox<Element>,
}

impl RoomService {
    /// The setting of a gateway whose users may enter the room.
    #[must_use]
    pub fn setting() -> (&'static str, String) {
        let rooms = ["rooms.example.com", CONFERENCES]
            .map(|domain| format!("{{ sip = \"{domain}\", muc = \"{domain}\" }}"));
        ("GATEWAY__ROOMS", format!("[{}]", rooms.join(", ")))
    }

    /// Attaches to a server as `conference.example.org`.
    ///
    /// # Errors
    /// The server refuses, or does not answer.
    pub fn attach(server: &XmppServer) -> Result<Self> {
        let stream = TcpStream::connect(server.component_address())?;
        stream.set_nodelay(true)?;
        let (sender, receiver) = channel();
        let reader = BufReader::new(stream.try_clone()?);
        thread::spawn(move || read_stream(reader, &sender));
        let mut service = Self {
            stream,
            inbox: Inbox::new("the room service", receiver),
        };
        service.send(format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
             xmlns:stream='http://etherx.jabber.org/streams' to='{CONFERENCES}'>"
        ))?;
        let header = service.wait("the stream header", |stanza| stanza.name == "stream")?;
        let id = header.attribute("id").context("a stream without id")?;
        let mut digest = String::new();
        for octet in Sha1::new()
            .chain_update(id)
            .chain_update(server.secret())
            .finalize()
        {
            write!(digest, "{octet:02x}")?;
        }
        service.send(format!("<handshake>{digest}</handshake>"))?;
        service.wait("the handshake", |stanza| stanza.name == "handshake")?;
        Ok(service)
    }

    /// Writes raw XML.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn send(&mut self, xml: impl AsRef<[u8]>) -> Result<()> {
        self.stream
            .write_all(xml.as_ref())
            .context("the room service cannot write")
    }

    /// Takes the first stanza that matches.
    ///
    /// # Errors
    /// None came in time.
    pub fn wait(&mut self, what: &str, matches: impl FnMut(&Element) -> bool) -> Result<Element> {
        self.inbox.wait(what, PATIENCE, matches)
    }

    /// Whether the server has ended the stream.
    pub fn is_closed(&mut self) -> bool {
        self.inbox.is_closed()
    }

    /// Brings a SIP user into the room; returns him and the address of his occupant.
    ///
    /// # Errors
    /// The gateway does not ask for it, or refuses him.
    pub fn bring_in(&mut self, gateway: SocketAddr, from: &str) -> Result<(RawParticipant, String)> {
        let from = from.to_owned();
        let calling = thread::spawn(move || RawParticipant::enter(gateway, HALL_URI, &from));
        let occupant = self.admit()?;
        match calling.join() {
            Ok(participant) => Ok((participant?, occupant)),
            Err(_) => bail!("the SIP user's thread has panicked"),
        }
    }

    /// Lets in the next one who asks; returns his address.
    ///
    /// # Errors
    /// Nobody asks in time.
    pub fn admit(&mut self) -> Result<String> {
        let asks = self.wait("a wish to enter", |stanza| {
            stanza.name == "presence"
                && stanza.attribute("type").is_none()
                && stanza.attribute("to").is_some_and(|to| to.starts_with(HALL))
        })?;
        let occupant = asks.from().to_owned();
        self.tell_who_he_is(&occupant, asks.attribute("to").unwrap_or_default())?;
        self.send(format!(
            "<message from='{HALL}' to='{}' type='groupchat'><subject/></message>",
            escape(&occupant),
        ))?;
        Ok(occupant)
    }

    /// Tells an occupant of himself, by his address in the room.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn tell_who_he_is(&mut self, occupant: &str, in_the_room: &str) -> Result<()> {
        self.send(format!(
            "<presence from='{}' to='{}'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <item affiliation='none' role='participant'/><status code='110'/></x></presence>",
            escape(in_the_room),
            escape(occupant),
        ))
    }

    /// Says something to an occupant under a nickname.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn say(&mut self, occupant: &str, nickname: &str, text: &str) -> Result<()> {
        self.send(format!(
            "<message from='{HALL}/{}' to='{}' type='groupchat'><body>{}</body></message>",
            escape(nickname),
            escape(occupant),
            escape(text)
        ))
    }

    /// Takes the next thing that a SIP user says, and reflects it to him.
    ///
    /// # Errors
    /// Nothing is said in time.
    pub fn reflect(&mut self, nickname: &str) -> Result<String> {
        let said = self.wait("what a SIP user says", |stanza| {
            stanza.name == "message" && stanza.attribute("type") == Some("groupchat")
        })?;
        let text = said.child_text("body").unwrap_or_default().to_owned();
        let id = said.attribute("id").unwrap_or_default();
        ensure!(!id.is_empty(), "a message without id: {said:#?}");
        self.send(format!(
            "<message from='{HALL}/{}' to='{}' type='groupchat' id='{}'><body>{}</body></message>",
            escape(nickname),
            escape(said.from()),
            escape(id),
            escape(&text)
        ))?;
        Ok(text)
    }
}

impl Drop for RoomService {
    fn drop(&mut self) {
        let _ = self.send("</stream:stream>");
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
