//! MSRP (RFC 4975) with the chat-room extension (RFC 7701) and `message/cpim` (RFC 3862), as pure state machines.
//!
//! The crate has no socket, no clock and no task. [`Connection`] is one transport connection that may carry several
//! sessions: give it bytes, commands and the time; take bytes, events and the next deadline.

pub mod connection;
pub mod cpim;
pub mod frame;
pub mod sdp;
pub mod status;
pub mod uri;

mod ident;
mod limits;

pub use connection::{
    AnswerDue, Command, Connection, Event, FailureReport, IncomingMessage, LostCause, MessageTag,
    OutgoingMessage, SessionParameters,
};
pub use limits::Limits;
pub use status::Status;
pub use uri::{MessageId, Path, SessionId, Uri};
