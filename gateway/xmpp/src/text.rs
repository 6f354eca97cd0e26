//! The one rule for text that goes out to XMPP.

/// Text that XML 1.0 can carry: what it cannot is replaced with U+FFFD, CRLF and CR become LF. Escaping for markup happens when it
/// is written.
///
/// One forbidden character closes the stream that all users share (XML 1.0 §2.2, RFC 6120 §11), so this rule is applied to every
/// text and attribute that is written, whether it came in as an `XmlText` or not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct XmlText(String);

impl XmlText {
    /// Cleans a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut clean = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                Piece::Run(run) => clean.push_str(run),
                Piece::Newline => clean.push('\n'),
                Piece::Forbidden => clean.push(char::REPLACEMENT_CHARACTER),
            }
        }
        Self(clean)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many characters of `text` cleaning replaces; line ends do not count.
    #[must_use]
    pub fn replaced(text: &str) -> usize {
        pieces(text)
            .filter(|piece| matches!(piece, Piece::Forbidden))
            .count()
    }
}

impl AsRef<str> for XmlText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A part of a text under the rule of [`XmlText`].
pub(crate) enum Piece<'a> {
    /// Characters that stay as they are.
    Run(&'a str),
    /// A CR or CRLF.
    Newline,
    /// A character that XML cannot carry.
    Forbidden,
}

/// Cuts a text at the characters that cannot stay.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (at, len, piece) = first_odd(rest.as_bytes()).unwrap_or((rest.len(), 0, Piece::Newline));
        if at > 0 {
            let (run, tail) = rest.split_at_checked(at)?;
            rest = tail;
            return Some(Piece::Run(run));
        }
        let (_, tail) = rest.split_at_checked(len)?;
        rest = tail;
        Some(piece)
    })
}

/// The first character that cannot stay: where, of how many octets, and what takes its place.
fn first_odd(octets: &[u8]) -> Option<(usize, usize, Piece<'static>)> {
    octets.iter().enumerate().find_map(|(at, octet)| match octet {
        b'\t' | b'\n' => None,
        b'\r' => {
            let len = if octets.get(at + 1) == Some(&b'\n') { 2 } else { 1 };
            Some((at, len, Piece::Newline))
        }
        0x00..=0x1f => Some((at, 1, Piece::Forbidden)),
        // U+FFFE and U+FFFF; surrogates cannot occur in a `str`.
        0xef => {
            let noncharacter = matches!(octets.get(at + 1..at + 3), Some([0xbf, 0xbe | 0xbf]));
            noncharacter.then_some((at, 3, Piece::Forbidden))
        }
        _ => None,
    })
}
