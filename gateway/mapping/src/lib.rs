//! The session-mapping core: SIP, MSRP and XMPP events in, commands out (RFC 7702).
//!
//! There is no neutral protocol in the middle. [`Gateway`] owns every session and room; the mapping itself is one file per
//! subsection of RFC 7702, §5 under `msrp_room` and §6 under `muc_room`. What the two worlds share — addresses, nicknames, reasons for saying no — has a
//! file of its own.

pub mod address;
pub mod explain;
pub mod nickname;
pub mod refusal;

mod access;
mod admin;
mod bodies;
mod config;
mod gateway;
mod identity;
mod msrp_room;
mod muc_room;
mod offer;
mod rendering;
mod roster;
mod session;
mod timers;

pub use access::{Access, AccessList, NoPattern, Pattern};
pub use config::{
    AddressForm, AnswerRule, Component, ConferenceDomain, Config, ConflictRule, CreationRule, Limits,
    MsrpPlaces, MsrpTransport, NamingRule, Occupants, Outage, OutageRule, Password, Place, RoomDomain,
    RoomPassword, RouteRule, Routes, Texts,
};
pub use gateway::{Command, ConnectionId, Gateway, LinkId, NotConnected, Proof};
pub use muc_room::{LookupId, Occupancy};
