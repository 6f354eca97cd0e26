//! A simulated world around the gateway's real machines: SIP users behind a proxy, an XMPP server with its rooms, one virtual clock, and
//! faults drawn from a seed. Nothing of the product is replaced; every octet goes over a simulated wire.
#![allow(
    clippy::indexing_slicing,
    reason = "the world's own tables: a wrong index is a fault of the simulation, which is to stop at once"
)]

mod component;
mod conference;
mod host;
mod invariants;
mod logs;
mod model;
mod plan;
mod proxy;
mod rooms;
mod run;
mod server;
mod user;
mod wire;
mod world;
mod xml;

pub use conference::plan::Act;
pub use invariants::NAMES as INVARIANTS;
pub use model::Failure;
pub use plan::{Action, Choice, Fault, Plan, Whom};
pub use rooms::Rooms;
pub use run::{Outcome, Totals, busy_hour, report, run, run_twice, shrink};
