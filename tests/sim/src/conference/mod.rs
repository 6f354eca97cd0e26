//! The other direction (RFC 7702 §5): XMPP users in the conferences of a SIP focus, through a component of its own.

pub(crate) mod act;
pub(crate) mod focus;
pub(crate) mod invariants;
pub(crate) mod plan;
pub(crate) mod seat;

mod carry;
mod document;

use std::collections::BTreeMap;

use self::{focus::Focus, plan::Conferences, seat::Seat};
use crate::component::ComponentEnd;

/// Domain of the component under which XMPP users see the conferences.
pub(crate) const MUC: &str = "conf.example.org";

/// Rooms of the model from here on are conferences.
pub(crate) const ROOMS: usize = 100;

/// What the world holds of the other direction.
pub(crate) struct Side {
    pub(crate) setting: Conferences,
    pub(crate) focus: Focus,
    /// The XMPP server's end of the component stream.
    pub(crate) link: ComponentEnd,
    /// The stream, while there is one.
    pub(crate) stream: Option<u64>,
    /// Who of the XMPP users is where, by native and room.
    pub(crate) seats: BTreeMap<(usize, usize), Seat>,
    /// Requests of XMPP users to the component: when, and how often they were answered.
    pub(crate) asked: BTreeMap<String, (std::time::Instant, u32)>,
    pub(crate) requests: u64,
    /// The former nicknames of local participants, by room, and until when.
    pub(crate) formerly: Vec<(usize, usize, String, std::time::Instant)>,
    pub(crate) inbox: Vec<u8>,
    /// No name server answers.
    pub(crate) zone_dead: bool,
}

impl Side {
    pub(crate) fn new(setting: Conferences, seed: u64) -> Self {
        Self {
            focus: Focus::new(setting.habits.clone(), seed),
            setting,
            link: ComponentEnd::new(MUC),
            stream: None,
            seats: BTreeMap::new(),
            asked: BTreeMap::new(),
            requests: 0,
            formerly: Vec::new(),
            inbox: Vec::new(),
            zone_dead: false,
        }
    }
}
