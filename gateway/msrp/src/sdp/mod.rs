//! Values of the SDP attributes of MSRP media. The SDP grammar itself is elsewhere.
//!
//! | attribute | type |
//! |---|---|
//! | `path` (RFC 4975 §8.2) | [`crate::Path`] |
//! | `accept-types`, `accept-wrapped-types`, `max-size` (RFC 4975 §8.6) | [`AcceptTypes`], [`MaxSize`] |
//! | `chatroom` (RFC 7701 §8) | [`Chatroom`] |
//! | `setup` (RFC 4145, RFC 6135) | [`Setup`], decided by [`opener`] |
//! | `msrp-cema` (RFC 6714) | a flag, decided by [`cema`] |
//! | `fingerprint` (RFC 4572, RFC 8122) | [`Fingerprints`] |
//! | `file-selector`, `file-transfer-id`, `file-disposition`, `file-date`, `file-icon`, `file-range` (RFC 5547) | [`mod@file`] |
//!
//! Values are read leniently and written strictly.

mod accept;
pub mod cema;
mod chatroom;
pub mod file;
mod fingerprint;
mod setup;

pub use accept::{AcceptTypes, MaxSize};
pub use chatroom::Chatroom;
pub use fingerprint::{Fingerprint, Fingerprints, HashFunction};
pub use setup::{Opener, Setup, answer_setup, offer_setup, opener};

/// Why a text is no value of an attribute: the broken rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an attribute of MSRP media: {0}")]
pub struct SdpFault(pub &'static str);
