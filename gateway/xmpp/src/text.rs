//! The one rule for text that goes out to XMPP.

/// Text that XML 1.0 can carry: what it cannot is replaced with U+FFFD, CRLF and CR become LF. Escaping for markup happens when it
/// is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct XmlText(String);

impl XmlText {
    /// Cleans a text.
    #[must_use]
    pub fn new(_text: &str) -> Self {
        todo!()
    }
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// How many characters were replaced.
    #[must_use]
    pub fn replaced(_text: &str) -> usize {
        todo!()
    }
}
