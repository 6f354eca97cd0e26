//! Values of the SDP attributes of MSRP media (RFC 4975 §8, RFC 7701 §8, RFC 4145). The SDP grammar itself is elsewhere.

/// `a=chatroom` (RFC 7701 §8): unknown tokens are ignored, `nicknames` is read as `nickname`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chatroom {
    /// NICKNAME requests are understood.
    pub nickname: bool,
    /// Private messages are understood.
    pub private_messages: bool,
}

impl Chatroom {
    /// Reads the attribute's value (absent value = `""`).
    #[must_use]
    pub fn parse(_value: &str) -> Self {
        todo!()
    }
}

impl std::fmt::Display for Chatroom {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}

/// `a=accept-types` and `a=accept-wrapped-types`: media types compared without case, `*` for all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AcceptTypes(pub Vec<String>);

impl AcceptTypes {
    /// Reads the attribute's value.
    #[must_use]
    pub fn parse(_value: &str) -> Self {
        todo!()
    }
    /// Whether a media type (parameters ignored) is accepted: listed, `type/*`, or `*`.
    #[must_use]
    pub fn accepts(&self, _media_type: &str) -> bool {
        todo!()
    }
}

/// `a=setup` (RFC 4145, RFC 6135).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// Opens the connection.
    Active,
    /// Waits for it.
    Passive,
    /// Either.
    ActPass,
    /// No connection for now.
    HoldConn,
}

impl Setup {
    /// Reads the attribute's value; `None` if it is none of the four.
    #[must_use]
    pub fn parse(_value: &str) -> Option<Self> {
        todo!()
    }
}
