//! What the fuzz targets run on each input, and what must hold. The targets in `fuzz/` include this module, and the ordinary
//! tests replay the kept inputs through it.

#![allow(
    dead_code,
    unused_imports,
    reason = "each fuzz target runs one of the functions"
)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken promise is a panic"
)]

mod core;
mod dues;
mod endpoint;
mod link;
mod script;

pub(crate) use core::core;
pub(crate) use endpoint::endpoint;
pub(crate) use link::link;
