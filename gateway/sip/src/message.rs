//! SIP messages: values, the head reader, the validator, framing.

use std::{fmt, str::FromStr};

use bytes::Bytes;

/// A SIP, SIPS or TEL URI.
///
/// Kept as written for output; equality follows RFC 3261 §19.1.4 except that `gr` counts (RFC 5627, and RFC 7701 §6.1
/// needs it to tell a room from an occupant).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    text: String,
}

impl Uri {
    /// `sip:user@host[:port]`; `user` is percent-escaped here, `host` is a name or address (IPv6 is bracketed here).
    #[must_use]
    pub fn new(_user: Option<&str>, _host: &str, _port: Option<u16>) -> Self {
        todo!()
    }
    /// The scheme in lower case: `sip`, `sips`, `tel`, or another.
    #[must_use]
    pub fn scheme(&self) -> &str {
        todo!()
    }
    /// The user part as written, without password; the number of a `tel:` URI.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        todo!()
    }
    /// The user part percent-decoded; `None` if absent or not UTF-8.
    #[must_use]
    pub fn user_decoded(&self) -> Option<String> {
        todo!()
    }
    /// The host in lower case, without brackets; empty for `tel:`.
    #[must_use]
    pub fn host(&self) -> &str {
        todo!()
    }
    /// The port, if written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        todo!()
    }
    /// A URI parameter's value as written: `None` if absent, `Some("")` if it has no value. Names without case.
    #[must_use]
    pub fn parameter(&self, _name: &str) -> Option<&str> {
        todo!()
    }
    /// A URI parameter's value percent-decoded; `None` if absent or not UTF-8.
    #[must_use]
    pub fn parameter_decoded(&self, _name: &str) -> Option<String> {
        todo!()
    }
    /// The same with a parameter set (`None` = without value), or replaced. The value is escaped here.
    #[must_use]
    pub fn with_parameter(&self, _name: &str, _value: Option<&str>) -> Self {
        todo!()
    }
    /// The address of record: scheme, user, host and port, without parameters and headers.
    #[must_use]
    pub fn address_of_record(&self) -> Self {
        todo!()
    }
}
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl FromStr for Uri {
    type Err = Rejection;
    fn from_str(_s: &str) -> Result<Self, Rejection> {
        todo!()
    }
}

/// `"Display" <uri>;parameters` as in From, To, Contact, Refer-To, Route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name, unquoted.
    pub display_name: Option<String>,
    /// The URI.
    pub uri: Uri,
    /// Header parameters as written.
    pub parameters: Vec<(String, Option<String>)>,
}

impl NameAddr {
    /// Without display name and parameters.
    #[must_use]
    pub fn new(uri: Uri) -> Self {
        Self {
            display_name: None,
            uri,
            parameters: Vec::new(),
        }
    }
    /// A header parameter's value (`Some("")` if it has none). Names without case.
    #[must_use]
    pub fn parameter(&self, _name: &str) -> Option<&str> {
        todo!()
    }
}
impl fmt::Display for NameAddr {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
impl FromStr for NameAddr {
    type Err = Rejection;
    fn from_str(_s: &str) -> Result<Self, Rejection> {
        todo!()
    }
}

/// A method: a case-sensitive token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Method(std::borrow::Cow<'static, str>);

macro_rules! methods { ($($name:ident)*) => { impl Method { $(#[doc = stringify!($name)] pub const $name: Self = Self(std::borrow::Cow::Borrowed(stringify!($name)));)* } } }
methods!(INVITE ACK BYE CANCEL OPTIONS REGISTER SUBSCRIBE NOTIFY REFER MESSAGE UPDATE PRACK INFO PUBLISH);

impl Method {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl FromStr for Method {
    type Err = Rejection;
    fn from_str(_s: &str) -> Result<Self, Rejection> {
        todo!()
    }
}

/// A three-digit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusCode(pub u16);

impl StatusCode {
    /// The usual reason phrase, or the class's.
    #[must_use]
    pub fn reason(self) -> &'static str {
        todo!()
    }
    /// 1xx.
    #[must_use]
    pub const fn is_provisional(self) -> bool {
        self.0 < 200
    }
    /// 2xx.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 >= 200 && self.0 < 300
    }
}
impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.reason())
    }
}

/// One header field: the long name for known compact ones, the value unfolded and trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Canonical name.
    pub name: std::borrow::Cow<'static, str>,
    /// Value.
    pub value: String,
}

/// Header fields in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers(pub Vec<Header>);

impl Headers {
    /// The first value of a header; names without case, long form.
    #[must_use]
    pub fn get(&self, _name: &str) -> Option<&str> {
        todo!()
    }
    /// Every value of a header, in order; comma lists are split for the headers that are lists (RFC 3261 §7.3.1), quotes and
    /// angle brackets respected.
    pub fn list<'a>(&'a self, _name: &'a str) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        todo!()
    }
    /// Appends.
    pub fn push(&mut self, name: impl Into<std::borrow::Cow<'static, str>>, value: impl Into<String>) {
        self.0.push(Header {
            name: name.into(),
            value: value.into(),
        });
    }
}

/// A request that passed the validator: the mandatory headers are there, once, and well formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Request-URI.
    pub uri: Uri,
    /// All header fields.
    pub headers: Headers,
    /// Body.
    pub body: Bytes,
}

/// A response that passed the validator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status.
    pub status: StatusCode,
    /// Reason phrase as written.
    pub reason: String,
    /// All header fields.
    pub headers: Headers,
    /// Body.
    pub body: Bytes,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Message {
    /// Reads and validates one complete message (a datagram, or what [`StreamDecoder`] cut out). Octets behind Content-Length are
    /// discarded, fewer are a fault (RFC 3261 §18.3).
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn parse(_bytes: &Bytes) -> Result<Self, Unreadable> {
        todo!()
    }
    /// The message as it goes on the wire; Content-Length is written here.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        todo!()
    }
}

/// A message that the validator refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rejection}")]
pub struct Unreadable {
    /// Why.
    pub rejection: Rejection,
    /// The response to send, where one can be built from the message (a request with Via, From, To, Call-ID, CSeq).
    pub response: Option<Box<Response>>,
}

/// Why a message or value is refused: the SIP status it deserves and the broken rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {rule}", .status.0)]
pub struct Rejection {
    /// 400, 413, 414, 416, 501, 505, 513.
    pub status: StatusCode,
    /// The rule, with its section.
    pub rule: &'static str,
}

/// Cuts a stream into messages: start line to the end of the body that Content-Length announces.
pub struct StreamDecoder {
    _limits: crate::Limits,
}

/// What a stream brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamItem {
    /// One complete message, unparsed.
    Message(Bytes),
    /// CRLFCRLF: answer with CRLF (RFC 5626 §4.4.1).
    KeepAlive,
    /// A message over the limits; its octets are skipped. The head, as far as it was kept, may serve to build a 513.
    TooLarge(Bytes),
    /// The framing is lost (no usable Content-Length, an endless head): close the connection.
    Lost(&'static str),
}

impl StreamDecoder {
    /// For one connection.
    #[must_use]
    pub fn new(limits: crate::Limits) -> Self {
        Self { _limits: limits }
    }
    /// Bytes that arrived.
    pub fn feed(&mut self, _bytes: &[u8]) {
        todo!()
    }
    /// The next item; `None`: feed more.
    pub fn poll(&mut self) -> Option<StreamItem> {
        todo!()
    }
}
