//! The crate from outside: bytes, commands and time in; bytes, events and deadlines out.

#[cfg(test)]
mod bodies;
#[cfg(test)]
mod chat_server;
#[cfg(test)]
mod chunks;
#[cfg(test)]
mod conversation;
#[cfg(test)]
mod cpim;
#[cfg(test)]
mod edges;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod fuzz_corpora;
#[cfg(test)]
mod fuzzed;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod pair;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod rcs_trace;
#[cfg(test)]
mod relays;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod responses;
#[cfg(test)]
mod sending;
#[cfg(test)]
mod torture;
#[cfg(test)]
mod uris;
