//! RFC 7702 §5: an XMPP user in a SIP conference. One file per subsection; each adds its phase of the flow to
//! [`Gateway`](crate::Gateway).
//!
//! To the XMPP user the gateway is a multi-user chat service; to the conference it is one participant per XMPP account, whose clients
//! share it. The focus holds the authority over who is in, the switch over nicknames.

mod address;
mod called; // §5.7 the other way round: a conference wants an XMPP user
mod enter; // §5.1
mod exit; // §5.8
mod invite; // §5.7
mod link; // the server goes away and is back
mod listing; // who is in, as documents say
mod media; // the MSRP session under a stay
mod messages; // §5.5
mod nickname; // §5.2, §5.6
mod presence; // §5.4
mod service; // what users ask of the service and of its rooms
mod stay;
mod subscription; // §5.3

pub(crate) use called::Invitees;
pub(crate) use stay::{StayKey, Stays};
