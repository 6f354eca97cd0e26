//! The crate from outside: bytes, commands and time in; bytes, events and deadlines out.

mod conversation;
mod cpim;
mod frames;
mod limits;
mod pair;
mod peer;
mod rcs_trace;
mod requests;
mod responses;
mod uris;
