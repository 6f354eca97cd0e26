//! A pure XEP-0114 component link: guard, handshake, keep-alive, reconnection, and lenient multi-user chat stanzas (XEP-0045).

pub mod address;
pub mod guard;
pub mod nickname;
pub mod stanza;
pub mod text;

mod link;
mod xml;

pub use jid::{self, BareJid, FullJid, Jid, ResourcePart};
pub use link::{Action, Command, ConflictRule, DownCause, Event, Limits, Link, LinkConfig, Unsent};
