//! The shell around the pure machines: sockets, tasks, clock, look-ups, configuration, logs, and the command line.
//!
//! Nothing here decides what a SIP, MSRP or XMPP peer is told: `sip::Endpoint`, `msrp::Connection`, `xmpp::Link` and
//! `mapping::Gateway` do. The shell moves bytes and events between them and keeps every queue bounded.
//!
//! # Tasks
//!
//! ```text
//!  sockets ⇄ SIP task  ──events──►  mapping task  ──commands──►  SIP task
//!  sockets ⇄ MSRP task ──events──►  (owns the     ──commands──►  MSRP task   (one per connection)
//!  socket  ⇄ link task ──events──►   Gateway)     ──commands──►  link task
//! ```
//!
//! # Why no cycle of waiting tasks can arise
//!
//! 1. The mapping task waits for room in the command queues of the SIP task and of the link task, and for nothing else.
//! 2. The SIP task and the link task take commands in every turn of their loop. An event the mapping task has no room for is kept
//!    in one slot and offered again *beside* taking commands; meanwhile only the reading of sockets rests. So (1) always ends.
//! 3. The mapping task never waits for an MSRP connection, nor the SIP task for one of its streams: a queue that is full ends
//!    that connection. So a peer that does not read stops nobody else.
//! 4. Nobody waits for the journal of occupants: what it has no room for is lost to it, and said to be.
//! 5. Whatever reads a socket waits for the task that owns the machine; whatever writes one waits for that socket alone.
//!
//! Hence the only waits are reader → owner → mapping task → owner's command queue, and the last is emptied without waiting.

pub mod admission;
pub mod cli;
pub mod config;
pub mod gateway;
pub mod lookup;
pub mod reload;
pub mod seeds;
pub mod tls;

mod journal;
mod logs;
mod tasks;
