//! What the tests want of a real XMPP client, whichever it is.

use crate::{Result, peers::XmppServer};

/// A client of somebody else, logged in and perhaps in a room.
pub trait XmppClient {
    /// Enters a room and waits until the client takes itself for entered.
    ///
    /// # Errors
    /// The room refuses, or the client does not think so.
    fn enter(&mut self, room: &str, nickname: &str) -> Result<()>;

    /// The nicknames that the client shows in the room, sorted.
    ///
    /// # Errors
    /// It shows none.
    fn occupants(&mut self) -> Result<Vec<String>>;

    /// Says something to the room.
    ///
    /// # Errors
    /// The client is gone.
    fn say(&mut self, text: &str) -> Result<()>;

    /// Waits until the client shows this from the room, and tells the sender's nickname.
    ///
    /// # Errors
    /// It does not.
    fn hear(&mut self, text: &str) -> Result<String>;

    /// Says something to one occupant.
    ///
    /// # Errors
    /// The client is gone.
    fn whisper(&mut self, nickname: &str, text: &str) -> Result<()>;

    /// Waits until the client shows this as a private message of that occupant.
    ///
    /// # Errors
    /// It does not.
    fn hear_privately(&mut self, nickname: &str, text: &str) -> Result<()>;

    /// Leaves the room.
    ///
    /// # Errors
    /// The client is gone.
    fn leave(&mut self) -> Result<()>;
}

/// Which client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XmppClientKind {
    /// The library slixmpp, driven by a script.
    Slixmpp,
    /// The terminal client profanity, in a terminal of its own.
    Profanity,
}

impl XmppClientKind {
    /// Creates the account `NAME@example.com` and logs it in.
    ///
    /// # Errors
    /// The client is not installed, or does not get in.
    pub fn connect(self, server: &XmppServer, name: &str) -> Result<Box<dyn XmppClient>> {
        server.add_user(name)?;
        Ok(match self {
            Self::Slixmpp => Box::new(super::Slixmpp::connect(server.users_address(), name)?),
            Self::Profanity => Box::new(super::Profanity::connect(server.users_address(), name)?),
        })
    }
}
