//! MSRP (RFC 4975) with chat rooms (RFC 7701), relays (RFC 4976, as their client) and `message/cpim` (RFC 3862), as pure state
//! machines.
//!
//! The crate has no socket, no clock and no task. [`Connection`] is one transport connection that may carry several
//! sessions: give it bytes, commands and the time; take bytes, events and the next deadline.
//!
//! | module | what |
//! |---|---|
//! | [`connection`] | sessions, transactions, chunks in and out, reports, congestion |
//! | [`relay`] | being reached through relays |
//! | [`frame`] | one request or response: the incremental decoder and the encoder |
//! | [`uri`] | URIs and their comparison, paths, session-ids and Message-IDs |
//! | [`cpim`] | the wrapper that chat rooms ask for, read leniently and written strictly |
//! | [`iscomposing`], [`imdn`] | that a user is writing; that a message has arrived or been shown |
//! | [`sdp`] | values of the attributes of an MSRP media line, and the decisions they lead to |
//! | [`status`] | response and report codes |
//!
//! Whatever a peer sends is taken: what breaks the framing is a [`frame::Fault`], which ends the connection; any other mistake gets
//! the answer that the RFCs ask for. [`Limits`] bounds all that is held.
//!
//! # A conversation
//!
//! Romeo writes to a chat room and hears back; two connections, and a piece of code in the place of the network.
//!
//! ```
//! use std::time::Instant;
//! use bytes::{Bytes, BytesMut};
//! use msrp::{
//!     Command, Connection, Event, FailureReport, Lane, Limits, MessageTag, OutgoingMessage, SessionId, SessionParameters,
//!     Status, Uri,
//!     cpim::{self, Address, Cpim},
//! };
//!
//! /// Takes what one end has to send to the other.
//! fn carry(from: &mut Connection, to: &mut Connection, now: Instant) {
//!     let mut octets = BytesMut::new();
//!     while from.poll_transmit(&mut octets, 64 * 1024, now) {}
//!     to.handle_bytes(&octets, now);
//! }
//!
//! fn message(number: u64, from: &str, to: &str, text: &'static str) -> Result<OutgoingMessage, Box<dyn std::error::Error>> {
//!     let address = |uri: &str| Address { display_name: None, uri: uri.to_owned() };
//!     let wrapped = Cpim {
//!         from: Some(address(from)),
//!         to: vec![address(to)],
//!         content: Bytes::from_static(text.as_bytes()),
//!         ..Cpim::default()
//!     };
//!     Ok(OutgoingMessage {
//!         tag: MessageTag(number),
//!         id: format!("message-{number}").parse()?,
//!         content_type: cpim::CONTENT_TYPE,
//!         body: wrapped.to_bytes(),
//!         success_report: false,
//!         failure_report: FailureReport::Yes,
//!         lane: Lane::default(),
//!     })
//! }
//!
//! let now = Instant::now();
//! let (romeo, room) = ("sip:romeo@example.org", "sip:capulet@rooms.example.com");
//! // Offer and answer have told each end the path of the other; the offerer opens the connection.
//! let [ours, theirs]: [SessionId; 2] = ["s7d3kjh5".parse()?, "k2j4hk92".parse()?];
//! let client_path = msrp::Path::single(Uri::new(false, "romeo.example.org", 2855, &ours));
//! let switch_path = msrp::Path::single(Uri::new(false, "rooms.example.com", 2855, &theirs));
//! let mut client = Connection::new(Limits::default(), [1; 32]);
//! let mut switch = Connection::new(Limits::default(), [2; 32]);
//!
//! // The client binds its session with a SEND without body and asks for a nickname.
//! client.handle_command(
//!     Command::Open(SessionParameters { local: client_path.clone(), remote: switch_path.clone() }),
//!     now,
//! );
//! let nickname = Command::Nickname { session: ours.clone(), tag: MessageTag(0), nickname: "Romeo".to_owned() };
//! client.handle_command(nickname, now);
//! carry(&mut client, &mut switch, now);
//! let Some(Event::BindRequested { session, .. }) = switch.poll_event() else { return Err("no request".into()) };
//! assert_eq!(session, theirs);
//! switch.handle_command(Command::Bind(SessionParameters { local: switch_path, remote: client_path }), now);
//! let Some(Event::NicknameRequested { nickname, due, .. }) = switch.poll_event() else { return Err("no nickname".into()) };
//! assert_eq!(nickname, "Romeo");
//! switch.handle_command(Command::Answer { due, status: Status::OK }, now);
//! carry(&mut switch, &mut client, now);
//! assert_eq!(client.poll_event(), Some(Event::Opened { session: ours.clone() }));
//! assert!(matches!(client.poll_event(), Some(Event::NicknameAnswered { status, .. }) if status.is_success()));
//!
//! // He speaks; the switch reads whom it is from and accepts it.
//! let message_out = message(1, romeo, room, "Wherefore art thou?")?;
//! client.handle_command(Command::Send { session: ours.clone(), message: message_out }, now);
//! carry(&mut client, &mut switch, now);
//! let Some(Event::Received { message: heard, due, .. }) = switch.poll_event() else { return Err("no message".into()) };
//! let heard = Cpim::parse(&heard.body)?;
//! assert_eq!(heard.from.as_ref().map(|from| from.uri.as_str()), Some(romeo));
//! assert_eq!(heard.text(), Some("Wherefore art thou?"));
//! switch.handle_command(Command::Answer { due, status: Status::OK }, now);
//!
//! // Somebody answers in the room.
//! let answer = message(2, "sip:juliet@example.org", room, "Here.")?;
//! switch.handle_command(Command::Send { session: theirs.clone(), message: answer }, now);
//! carry(&mut switch, &mut client, now);
//! assert_eq!(client.poll_event(), Some(Event::Delivered { session: ours.clone(), tag: MessageTag(1) }));
//! let Some(Event::Received { message: heard, due, .. }) = client.poll_event() else { return Err("no answer".into()) };
//! assert_eq!(Cpim::parse(&heard.body)?.text(), Some("Here."));
//! client.handle_command(Command::Answer { due, status: Status::OK }, now);
//! carry(&mut client, &mut switch, now);
//! assert_eq!(switch.poll_event(), Some(Event::Delivered { session: theirs, tag: MessageTag(2) }));
//!
//! // The client has said enough.
//! client.handle_command(Command::Unbind(ours), now);
//! client.handle_command(Command::Close, now);
//! assert_eq!(client.poll_event(), Some(Event::Closed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod connection;
pub mod cpim;
pub mod frame;
pub mod imdn;
pub mod iscomposing;
pub mod relay;
pub mod sdp;
pub mod status;
pub mod uri;

mod ident;
mod limits;
mod xml;

pub use connection::{
    AnswerDue, Command, Connection, Event, FailureReport, IncomingMessage, Lane, LostCause, MessageTag,
    OutgoingMessage, SessionParameters,
};
pub use limits::Limits;
pub use status::Status;
pub use uri::{MessageId, Path, SessionId, Uri};
