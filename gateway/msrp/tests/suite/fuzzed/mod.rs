//! What the fuzz targets run on each input, and what must hold. The targets in `fuzz/` include this module, and the ordinary
//! tests replay the kept inputs through it.

#![allow(
    dead_code,
    unused_imports,
    reason = "each fuzz target runs one of the functions"
)]

mod conversation;
mod decoder;

use msrp::{
    cpim::Cpim,
    imdn::{Delivery, Imdn, Notification, Request},
    iscomposing::IsComposing,
};

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

/// A typing notice: what could be read is written in a form that is read the same.
pub(crate) fn iscomposing(data: &[u8]) {
    let Ok(read) = IsComposing::parse(data) else {
        return;
    };
    let written = read.to_bytes();
    let again = IsComposing::parse(&written).expect("what is written can be read");
    assert_eq!(again.state, read.state);
    assert_eq!(again.content_type, read.content_type);
    assert_eq!(again.to_bytes(), written, "a second writing");
}

/// A disposition notification, or a message that asks for one.
pub(crate) fn imdn(data: &[u8]) {
    if let Ok(read) = Imdn::parse(data) {
        let written = read.to_bytes();
        let again = Imdn::parse(&written).expect("what is written can be read");
        assert_eq!(again.notification, read.notification);
        assert_eq!(again.message_id, read.message_id);
        assert_eq!(again.to_bytes(), written, "a second writing");
    }
    let Ok(message) = Cpim::parse(data) else { return };
    let request = Request::of(&message);
    let delivered = Notification::Delivery(Delivery::Delivered);
    let Some(imdn) = Imdn::about(&message, delivered) else {
        return;
    };
    assert_eq!(request.message_id.as_ref(), Some(&imdn.message_id));
    let reply = imdn.reply(&message, "reply-1").to_bytes();
    let reply = Cpim::parse(&reply).expect("what is written can be read");
    let back = Imdn::parse(&reply.content).expect("what is written can be read");
    assert_eq!(back.notification, delivered);
}
