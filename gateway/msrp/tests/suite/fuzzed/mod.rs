//! What the fuzz targets run on each input, and what must hold. The targets in `fuzz/` include this module, and the ordinary
//! tests replay the kept inputs through it.

#![allow(dead_code, reason = "each fuzz target runs one of the functions")]

mod conversation;
mod decoder;

use msrp::cpim::Cpim;

pub(crate) use conversation::connection;
pub(crate) use decoder::decoder;

/// A CPIM body: what could be read is written in a form that is read the same.
pub(crate) fn cpim(data: &[u8]) {
    let Ok(read) = Cpim::parse(data) else { return };
    assert!(read.content.len() <= data.len());
    let _ = read.text();
    let _ = read.extension("urn:ietf:params:imdn", "Message-ID");
    let written = read.to_bytes();
    let again = Cpim::parse(&written).expect("what is written can be read");
    assert_eq!(again.content, read.content);
    assert_eq!(again.to_bytes(), written, "a second writing");
}
