//! An XMPP client in raw XML over plain TCP.
//!
//! Not tokio-xmpp: its namespace for the whole build is the component's, so a client of it cannot be in this workspace.

use std::{
    io::{BufReader, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::mpsc::channel,
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::prosody::USERS;
use crate::{
    Context, PATIENCE, Result, ensure,
    inbox::Inbox,
    stanza::{Element, read_stream},
};

/// A logged-in XMPP user.
#[derive(Debug)]
pub struct XmppUser {
    name: String,
    stream: TcpStream,
    inbox: Inbox<Element>,
    next_id: u32,
}

impl XmppUser {
    /// Logs in as `NAME@example.com` with the resource `test`.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub fn connect(server: SocketAddr, name: &str, password: &str) -> Result<Self> {
        Self::connect_as(server, name, password, "test")
    }

    /// The same with a resource of one's own.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub fn connect_as(server: SocketAddr, name: &str, password: &str, resource: &str) -> Result<Self> {
        let mut user = Self::reach(server, name)?;
        user.log_in(password, resource)?;
        Ok(user)
    }

    /// Creates the account `NAME@example.com` in-band (XEP-0077), unless it exists.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub fn register(server: SocketAddr, name: &str, password: &str) -> Result<()> {
        let mut user = Self::reach(server, name)?;
        user.open()?;
        user.send(format!(
            "<iq type='set' id='register'><query xmlns='jabber:iq:register'>\
             <username>{}</username><password>{}</password></query></iq>",
            escape(name),
            escape(password)
        ))?;
        let answer = user.wait("the account", |stanza| stanza.attribute("id") == Some("register"))?;
        let exists = answer
            .child("error")
            .is_some_and(|error| error.child("conflict").is_some());
        ensure!(
            exists || answer.attribute("type") == Some("result"),
            "{name} gets no account: {answer:#?}"
        );
        Ok(())
    }

    fn reach(server: SocketAddr, name: &str) -> Result<Self> {
        let stream = TcpStream::connect(server).with_context(|| format!("XMPP server at {server}"))?;
        stream.set_nodelay(true)?;
        let (sender, receiver) = channel();
        let reader = BufReader::new(stream.try_clone()?);
        thread::spawn(move || read_stream(reader, &sender));
        Ok(Self {
            name: name.to_owned(),
            stream,
            inbox: Inbox::new(format!("{name}@{USERS}"), receiver),
            next_id: 0,
        })
    }

    /// Local part of the address.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes raw XML.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn send(&mut self, xml: impl AsRef<[u8]>) -> Result<()> {
        self.stream
            .write_all(xml.as_ref())
            .with_context(|| format!("{} cannot write", self.name))
    }

    /// What has come in.
    pub fn inbox(&mut self) -> &mut Inbox<Element> {
        &mut self.inbox
    }

    /// Takes the first stanza that matches.
    ///
    /// # Errors
    /// None came within [`PATIENCE`].
    pub fn wait(&mut self, what: &str, matches: impl FnMut(&Element) -> bool) -> Result<Element> {
        self.inbox.wait(what, PATIENCE, matches)
    }

    /// Enters a room and returns the nicknames found in it, without the own one.
    ///
    /// # Errors
    /// The room refuses, or does not answer.
    pub fn enter(&mut self, room: &str, nickname: &str) -> Result<Vec<String>> {
        self.ask_to_enter(room, nickname)?;
        let mut others = Vec::new();
        loop {
            let presence = self.wait("the room's presences up to its own", |stanza| {
                stanza.name == "presence" && stanza.from().starts_with(&format!("{room}/"))
            })?;
            ensure!(
                presence.attribute("type") != Some("error"),
                "{} may not enter: {presence:#?}",
                self.name
            );
            if presence.has_status("110") {
                break;
            }
            others.extend(presence.from_resource().map(str::to_owned));
        }
        // The subject closes the entering (XEP-0045 §7.2.15).
        self.wait("the subject", |stanza| {
            stanza.name == "message" && stanza.child("subject").is_some()
        })?;
        Ok(others)
    }

    /// Asks to enter a room without waiting for what it says.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn ask_to_enter(&mut self, room: &str, nickname: &str) -> Result<()> {
        self.send(format!(
            "<presence to='{room}/{}'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>",
            escape(nickname)
        ))
    }

    /// Asks to enter a room that refuses, and returns the condition of its error and the text with it.
    ///
    /// # Errors
    /// It lets the user in, or does not answer.
    pub fn enter_in_vain(&mut self, room: &str, nickname: &str) -> Result<(String, String)> {
        self.ask_to_enter(room, nickname)?;
        let from = format!("{room}/{nickname}");
        let answer = self.wait("the refusal", |stanza| {
            stanza.name == "presence"
                && stanza.from() == from
                && (stanza.has_status("110") || stanza.attribute("type") == Some("error"))
        })?;
        let error = answer
            .child("error")
            .with_context(|| format!("{} is let in: {answer:#?}", self.name))?;
        let condition = error.children.iter().find(|child| child.name != "text");
        let condition = condition.map(|condition| condition.name.to_string());
        let text = error.child_text("text").unwrap_or_default().to_owned();
        Ok((condition.unwrap_or_default(), text))
    }

    /// Waits for the error that a message of ours gets, and returns its condition.
    ///
    /// # Errors
    /// None came.
    pub fn refused_message(&mut self, from: &str) -> Result<String> {
        let answer = self.wait("an error for the message", |stanza| {
            stanza.name == "message" && stanza.from() == from && stanza.attribute("type") == Some("error")
        })?;
        let error = answer.child("error").context("no error in it")?;
        let condition = error.children.iter().find(|child| child.name != "text");
        Ok(condition
            .map(|condition| condition.name.to_string())
            .unwrap_or_default())
    }

    /// Waits for a private message with that text from an occupant and returns his nickname.
    ///
    /// # Errors
    /// None came.
    pub fn hear_privately(&mut self, room: &str, text: &str) -> Result<String> {
        let message = self.wait(text, |stanza| is_whispered(stanza, room, text))?;
        Ok(message.from_resource().unwrap_or_default().to_owned())
    }

    /// Waits for a subject.
    ///
    /// # Errors
    /// None came.
    pub fn see_subject(&mut self, room: &str, subject: &str) -> Result<()> {
        self.wait(subject, |stanza| {
            stanza.name == "message"
                && stanza.from().starts_with(room)
                && stanza.child_text("subject") == Some(subject)
                && stanza.child("body").is_none()
        })
        .map(drop)
    }

    /// Says something to the room.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn say(&mut self, room: &str, text: &str) -> Result<()> {
        let id = self.id();
        self.send(format!(
            "<message type='groupchat' id='{id}' to='{room}'><body>{}</body></message>",
            escape(text)
        ))
    }

    /// Says something to one occupant.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn whisper(&mut self, room: &str, nickname: &str, text: &str) -> Result<()> {
        let id = self.id();
        self.send(format!(
            "<message type='chat' id='{id}' to='{room}/{}'><body>{}</body>\
             <x xmlns='http://jabber.org/protocol/muc#user'/></message>",
            escape(nickname),
            escape(text)
        ))
    }

    /// Invites somebody through the room (XEP-0045 §7.8.2).
    ///
    /// # Errors
    /// The connection is gone.
    pub fn invite(&mut self, room: &str, invitee: &str) -> Result<()> {
        let id = self.id();
        self.send(format!(
            "<message id='{id}' to='{room}'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <invite to='{}'><reason>Join us</reason></invite></x></message>",
            escape(invitee)
        ))
    }

    /// Asks for a nickname, or another state, in a room that the user is in.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn rename(&mut self, room: &str, nickname: &str) -> Result<()> {
        self.send(format!("<presence to='{room}/{}'/>", escape(nickname)))
    }

    /// Sets the room's subject.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn set_subject(&mut self, room: &str, subject: &str) -> Result<()> {
        self.send(format!(
            "<message type='groupchat' to='{room}'><subject>{}</subject></message>",
            escape(subject)
        ))
    }

    /// Leaves a room.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn leave(&mut self, room: &str, nickname: &str) -> Result<()> {
        self.send(format!(
            "<presence type='unavailable' to='{room}/{}'/>",
            escape(nickname)
        ))
    }

    /// Sends an iq with that payload and returns the result.
    ///
    /// # Errors
    /// It is refused, or not answered.
    pub fn request(&mut self, kind: &str, to: &str, payload: &str) -> Result<Element> {
        let id = self.id();
        self.send(format!("<iq type='{kind}' id='{id}' to='{to}'>{payload}</iq>"))?;
        let answer = self.wait(payload, |stanza| {
            stanza.name == "iq" && stanza.attribute("id").is_some_and(|got| got == id)
        })?;
        ensure!(
            answer.attribute("type") == Some("result"),
            "{payload} was refused: {answer:#?}"
        );
        Ok(answer)
    }

    /// As a moderator removes an occupant (XEP-0045 §8.2).
    ///
    /// # Errors
    /// The room refuses.
    pub fn kick(&mut self, room: &str, nickname: &str, reason: &str) -> Result<()> {
        self.administer(room, &format!("nick='{}' role='none'", escape(nickname)), reason)
    }

    /// As an owner bans a bare address (XEP-0045 §9.1).
    ///
    /// # Errors
    /// The room refuses.
    pub fn ban(&mut self, room: &str, address: &str, reason: &str) -> Result<()> {
        self.administer(
            room,
            &format!("jid='{}' affiliation='outcast'", escape(address)),
            reason,
        )
    }

    /// As an owner destroys the room (XEP-0045 §10.9).
    ///
    /// # Errors
    /// The room refuses.
    pub fn destroy(&mut self, room: &str, reason: &str) -> Result<()> {
        let payload = format!(
            "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy><reason>{}</reason></destroy></query>",
            escape(reason)
        );
        self.request("set", room, &payload).map(drop)
    }

    /// As an owner gives the room a password (XEP-0045 §10.2).
    ///
    /// # Errors
    /// The room refuses.
    pub fn protect(&mut self, room: &str, password: &str) -> Result<()> {
        let field =
            |name: &str, value: &str| format!("<field var='{name}'><value>{}</value></field>", escape(value));
        let payload = format!(
            "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>{}{}{}</x></query>",
            field("FORM_TYPE", "http://jabber.org/protocol/muc#roomconfig"),
            field("muc#roomconfig_passwordprotectedroom", "1"),
            field("muc#roomconfig_roomsecret", password)
        );
        self.request("set", room, &payload).map(drop)
    }

    /// Waits for a room message with that text and returns the sender's nickname.
    ///
    /// # Errors
    /// None came.
    pub fn hear(&mut self, room: &str, text: &str) -> Result<String> {
        let message = self.wait(&format!("the message {text:?}"), |stanza| {
            is_said(stanza, room, text)
        })?;
        Ok(message.from_resource().unwrap_or_default().to_owned())
    }

    /// Waits for an occupant's presence: its `type`, or `None` for an available one.
    ///
    /// # Errors
    /// None came.
    pub fn see(&mut self, room: &str, nickname: &str, kind: Option<&str>) -> Result<Element> {
        let from = format!("{room}/{nickname}");
        self.wait(&format!("presence {kind:?} of {nickname}"), |stanza| {
            stanza.name == "presence" && stanza.from() == from && stanza.attribute("type") == kind
        })
    }

    fn administer(&mut self, room: &str, item: &str, reason: &str) -> Result<()> {
        let payload = format!(
            "<query xmlns='http://jabber.org/protocol/muc#admin'><item {item}><reason>{}</reason></item></query>",
            escape(reason)
        );
        self.request("set", room, &payload).map(drop)
    }

    fn log_in(&mut self, password: &str, resource: &str) -> Result<()> {
        self.open()?;
        let credentials = STANDARD.encode(format!("\0{}\0{password}", self.name));
        self.send(format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{credentials}</auth>"
        ))?;
        let outcome = self.wait("the login's outcome", |stanza| {
            matches!(&*stanza.name, "success" | "failure")
        })?;
        ensure!(
            outcome.name == "success",
            "{} may not log in: {outcome:#?}",
            self.name
        );
        self.open()?;
        let payload =
            format!("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind>");
        self.send(format!("<iq type='set' id='bind'>{payload}</iq>"))?;
        let bound = self.wait("the resource", |stanza| stanza.attribute("id") == Some("bind"))?;
        ensure!(
            bound.attribute("type") == Some("result"),
            "{} gets no resource: {bound:#?}",
            self.name
        );
        // Who is not there yet gets no messages: the server has read the presence once it answers what comes behind it.
        self.send(format!(
            "<presence/><iq type='get' id='there' to='{USERS}'><ping xmlns='urn:xmpp:ping'/></iq>"
        ))?;
        self.wait("to be there", |stanza| stanza.attribute("id") == Some("there"))
            .map(drop)
    }

    fn open(&mut self) -> Result<()> {
        self.send(format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='{USERS}'>"
        ))?;
        self.wait("stream features", |stanza| stanza.name == "features")
            .map(drop)
    }

    fn id(&mut self) -> String {
        self.next_id += 1;
        format!("{}-{}", self.name, self.next_id)
    }
}

impl Drop for XmppUser {
    fn drop(&mut self) {
        let _ = self.send("</stream:stream>");
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Whether it is a live message of the room with that text.
#[must_use]
pub fn is_said(stanza: &Element, room: &str, text: &str) -> bool {
    stanza.name == "message"
        && stanza.attribute("type") == Some("groupchat")
        && stanza.from().starts_with(&format!("{room}/"))
        && stanza.child_text("body") == Some(text)
}

/// Whether it is a private message with that text from an occupant of the room.
#[must_use]
pub fn is_whispered(stanza: &Element, room: &str, text: &str) -> bool {
    stanza.name == "message"
        && stanza.attribute("type") == Some("chat")
        && stanza.from().starts_with(&format!("{room}/"))
        && stanza.child_text("body") == Some(text)
}

/// Text for element content and attribute values in single quotes.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\'', "&apos;")
}
