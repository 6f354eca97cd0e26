//! RFC 7702 §6: a SIP user in an XMPP room. One file per subsection; each adds its phase of the flow to
//! [`Gateway`](crate::Gateway).
//!
//! To the SIP user the gateway is focus, switch and notifier; to the room it is one occupant per SIP user. The room holds the
//! authority over roster, nicknames and order.

mod call; // §6.5 the other way round: the room calls a SIP user
mod catch_up; // what was said while the link was away
mod enter; // §6.1
mod exit; // §6.6
mod invite; // §6.5
mod left_behind; // occupants whose gateway is gone
mod locate; // §6.5: whose the domain of an invited user is
mod media; // the MSRP session under a stay
mod messages; // §6.3
mod nickname; // §6.4
mod notifier; // §6.1 SUBSCRIBE, §6.2 NOTIFY
mod password; // rooms that ask for one
mod presence; // §6.2
mod reentry; // after the link or the room was away
mod remove; // a moderator removes somebody
mod self_ping; // whether the room still knows an occupant
mod sharing; // one copy for all
mod typing; // who is writing
mod welcome; // clients that know no rooms

pub(crate) use call::{Call, Invitation};
pub(crate) use exit::last_words;
pub use left_behind::Occupancy;
pub(crate) use locate::Locating;
pub use locate::LookupId;
pub(crate) use password::{Askers, askers};
pub(crate) use remove::Removing;

use std::{collections::BTreeMap, time::Instant};

use sip::SubscriptionId;

pub(crate) use sharing::Sharing;
pub(crate) use typing::Typing;

use crate::{address::RoomAddress, roster::Roster, timers::TimerId};

/// What the sessions in one room share. It exists while there is a session in it.
#[derive(Debug)]
pub(crate) struct MucRoom {
    pub(crate) address: RoomAddress,
    pub(crate) roster: Roster,
    /// Who is told of changes, and how many documents he has got.
    pub(crate) subscribers: BTreeMap<SubscriptionId, u32>,
    /// Before this instant changes are gathered (RFC 4575 §3.9).
    pub(crate) quiet_until: Option<Instant>,
    /// Set while gathered changes wait.
    pub(crate) notify_timer: Option<TimerId>,
    pub(crate) sharing: Sharing,
    /// Whose users have missed something.
    behind: Vec<catch_up::Behind>,
    /// Who writes.
    writers: BTreeMap<typing::WriterKey, typing::Writer>,
}

impl MucRoom {
    pub(crate) fn new(address: RoomAddress, occupants: usize) -> Self {
        Self {
            address,
            roster: Roster::new(occupants),
            subscribers: BTreeMap::new(),
            quiet_until: None,
            notify_timer: None,
            sharing: Sharing::default(),
            behind: Vec::new(),
            writers: BTreeMap::new(),
        }
    }
}
