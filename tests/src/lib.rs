//! What the end-to-end tests, `cargo xtask demo` and `cargo xtask compose-test` share: the real servers, the gateway
//! and its users as processes on loopback, and hand-written SIP and MSRP peers that owe nothing to the product's parsers.

pub mod authority;
pub mod binaries;
pub mod conference_world;
pub mod conversation;
pub mod crowd;
pub mod hostile;
pub mod inbox;
pub mod json_program;
pub mod msrp_tap;
pub mod peers;
pub mod ports;
pub mod process;
pub mod raw_msrp;
pub mod raw_sip;
pub mod relay;
pub mod scratch;
pub mod sipp;
pub mod soak;
pub mod stanza;
pub mod tls;
pub mod world;

use std::time::Duration;

pub use anyhow::{Context, Result, bail, ensure};

/// How long to wait for what has to come. It costs nothing where it comes, so it suits a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(30);
