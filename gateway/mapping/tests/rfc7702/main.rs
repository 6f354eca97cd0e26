//! RFC 7702 §5 and §6, one module per subsection, played by real SIP and MSRP machines against the core under a clock that only the test moves.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod access;
mod admin;
mod chat_server;
mod codes;
mod entering;
mod hall;
mod left_behind;
mod msrps;
mod outage;
mod passwords;
mod recordings;
mod section_5_1_enter;
mod section_5_2_nickname;
mod section_5_4_presence;
mod section_5_5_messages;
mod section_5_7_called;
mod section_5_7_invite;
mod section_5_8_exit;
mod section_5_service;
mod section_6_1_enter;
mod section_6_2_presence;
mod section_6_3_messages;
mod section_6_4_nickname;
mod section_6_5_called;
mod section_6_5_invite;
mod section_6_6_exit;
mod section_6_reentry;
mod self_ping;
mod sharing;
mod stage;
mod transcript;
mod trust;
mod typing;

pub(crate) const ROOM: &str = "capulet@rooms.example.com";
pub(crate) const ROOM_URI: &str = "sip:capulet@rooms.example.com";
