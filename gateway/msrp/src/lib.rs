//! MSRP (RFC 4975) with the chat-room extension (RFC 7701) and `message/cpim` (RFC 3862), as pure state machines.
//!
//! The crate has no socket, no clock and no task. [`Connection`] is one transport connection that may carry several
//! sessions: give it bytes, commands and the time; take bytes, events and the next deadline. Its documentation has an example.
//!
//! | module | what |
//! |---|---|
//! | [`connection`] | sessions, transactions, chunks in and out, reports |
//! | [`frame`] | one request or response: the incremental decoder and the encoder |
//! | [`uri`] | URIs and their comparison, paths, session-ids and Message-IDs |
//! | [`cpim`] | the wrapper that chat rooms ask for, read leniently and written strictly |
//! | [`sdp`] | values of the attributes of an MSRP media line |
//! | [`status`] | response and report codes |
//!
//! Whatever a peer sends is taken: what breaks the framing is a [`frame::Fault`], which ends the connection; any other mistake gets
//! the answer that the RFCs ask for. [`Limits`] bounds all that is held.

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
    AnswerDue, Command, Connection, Event, FailureReport, IncomingMessage, LostCause, MessageTag,
    OutgoingMessage, SessionParameters, Turns,
};
pub use limits::Limits;
pub use status::Status;
pub use uri::{MessageId, Path, SessionId, Uri};
