//! Escaping of JID localparts (XEP-0106).

/// Escapes a text for a localpart with the complete table of XEP-0106, including the `\5c` rule.
#[must_use]
pub fn escape_localpart(_text: &str) -> String {
    todo!()
}

/// Undoes [`escape_localpart`].
#[must_use]
pub fn unescape_localpart(_localpart: &str) -> String {
    todo!()
}
