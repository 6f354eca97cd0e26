//! Frames on the wire: an incremental decoder and an encoder (RFC 4975 §9, RFC 7701 §7.1).

/// Why bytes are no MSRP frame: the rule that was broken and at which octet of the stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule} at octet {offset}")]
pub struct Fault {
    /// The broken rule, with its section.
    pub rule: &'static str,
    /// Octets from the start of the connection.
    pub offset: u64,
}
