//! Identifiers: transaction ids, Message-IDs and session-ids.

use std::{fmt, str::FromStr, sync::Arc};

use rand_chacha::{ChaCha12Rng, rand_core::Rng};

use crate::uri::UriFault;

/// Letters of generated identifiers: five bits each, all of them ALPHANUM.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// `ident` of RFC 4975 §9: a letter or digit, then 3 to 31 of letters, digits, `.`, `-`, `+`, `%`, `=`. Kept in place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Ident {
    octets: [u8; 32],
    length: u8,
}

impl Ident {
    fn parse(text: &[u8]) -> Option<Self> {
        if !(4..=32).contains(&text.len()) || !text.first()?.is_ascii_alphanumeric() {
            return None;
        }
        let mut octets = [0; 32];
        octets.get_mut(..text.len())?.copy_from_slice(text);
        // All 32 in any case: the compiler then compares them at once.
        let sound: u8 = octets.iter().map(|&octet| u8::from(is_ident_octet(octet))).sum();
        let length = u8::try_from(text.len()).ok()?;
        (sound == length).then_some(Self { octets, length })
    }

    fn random(rng: &mut ChaCha12Rng, length: u8) -> Self {
        let mut octets = [0; 32];
        fill(rng, octets.get_mut(..usize::from(length)).unwrap_or_default());
        Self { octets, length }
    }

    fn as_bytes(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or_default()
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

fn is_ident_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() | matches!(octet, b'.' | b'-' | b'+' | b'%' | b'=')
}

/// Fills `octets` with letters of [`ALPHABET`].
fn fill(rng: &mut ChaCha12Rng, octets: &mut [u8]) {
    // Twelve letters of five bits fit into one 64-bit draw.
    for letters in octets.chunks_mut(12) {
        let mut bits = rng.next_u64();
        for letter in letters {
            *letter = self::letter(bits as u32);
            bits >>= 5;
        }
    }
}

/// The letter of the lowest five bits.
fn letter(bits: u32) -> u8 {
    ALPHABET.get((bits & 31) as usize).copied().unwrap_or(b'0')
}

/// Letters of a generated transaction id that are random.
const RANDOM_LETTERS: u8 = 16;

/// A transaction id (RFC 4975 §9 `transact-id`). Generated ones carry 80 random bits (§7.1 asks for 64).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(Ident);

impl TransactionId {
    /// A fresh one from the caller's generator.
    #[must_use]
    pub fn random(rng: &mut ChaCha12Rng) -> Self {
        Self(Ident::random(rng, RANDOM_LETTERS))
    }
    /// A fresh one that ends in `number`, by which [`Self::number`] finds again what it stands for.
    pub(crate) fn numbered(rng: &mut ChaCha12Rng, number: u32) -> Self {
        let mut ident = Ident::random(rng, RANDOM_LETTERS);
        let mut rest = number;
        for place in ident.octets.iter_mut().skip(usize::from(RANDOM_LETTERS)) {
            *place = letter(rest);
            ident.length += 1;
            rest >>= 5;
            if rest == 0 {
                break;
            }
        }
        Self(ident)
    }
    /// The number at the end, if it may be one of [`Self::numbered`].
    pub(crate) fn number(&self) -> Option<u32> {
        let letters = self.0.as_bytes().get(usize::from(RANDOM_LETTERS)..)?;
        // Seven letters hold 32 bits.
        if !(1..=7).contains(&letters.len()) {
            return None;
        }
        let mut number = 0_u64;
        for letter in letters.iter().rev() {
            let bits = ALPHABET.iter().position(|known| known == letter)?;
            number = (number << 5) | bits as u64;
        }
        u32::try_from(number).ok()
    }
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        Ident::parse(text).map(Self)
    }
}

/// A Message-ID (RFC 4975 §9 `ident`: 4 to 32 characters).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(Ident);

impl MessageId {
    /// A fresh one with 130 random bits.
    #[must_use]
    pub fn random(rng: &mut ChaCha12Rng) -> Self {
        Self(Ident::random(rng, 26))
    }
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// The session-id of an MSRP URI. Generated ones carry 130 random bits (RFC 4975 §14.1 asks for 80). Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    /// The first octets as a number, so that most comparisons end without a look at the text. The order is that of the texts,
    /// since none has a zero octet.
    beginning: u64,
    text: Arc<str>,
}

impl SessionId {
    /// A fresh one from the caller's generator.
    #[must_use]
    pub fn random(rng: &mut ChaCha12Rng) -> Self {
        Self::of(Ident::random(rng, 26).as_str())
    }
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
    fn of(text: &str) -> Self {
        let mut beginning = [0; 8];
        for (place, octet) in beginning.iter_mut().zip(text.bytes()) {
            *place = octet;
        }
        Self {
            beginning: u64::from_be_bytes(beginning),
            text: Arc::from(text),
        }
    }
}

impl FromStr for TransactionId {
    type Err = UriFault;
    fn from_str(s: &str) -> Result<Self, UriFault> {
        Self::parse(s.as_bytes()).ok_or(UriFault("RFC 4975 §9: transact-id"))
    }
}
impl FromStr for MessageId {
    type Err = UriFault;
    fn from_str(s: &str) -> Result<Self, UriFault> {
        Ident::parse(s.as_bytes())
            .map(Self)
            .ok_or(UriFault("RFC 4975 §9: Message-ID"))
    }
}
impl FromStr for SessionId {
    type Err = UriFault;
    /// Wider than the `session-id` of RFC 4975 §9 by what else RFC 3986 allows in a path, `;` excepted.
    fn from_str(s: &str) -> Result<Self, UriFault> {
        let allowed = |octet: u8| match octet {
            b'-' | b'.' | b'_' | b'~' | b'+' | b'=' | b'/' | b'!' | b'$' | b'&' | b'\'' => true,
            b'(' | b')' | b'*' | b',' | b':' | b'@' | b'%' => true,
            _ => octet.is_ascii_alphanumeric(),
        };
        if s.is_empty() || !s.bytes().all(allowed) {
            return Err(UriFault("RFC 4975 §9: session-id"));
        }
        Ok(Self::of(s))
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.as_str())
            }
        }
    )*};
}
as_text!(TransactionId, MessageId, SessionId);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn a_transaction_id_keeps_its_number() {
        let mut rng = ChaCha12Rng::from_seed([1; 32]);
        for number in [0, 1, 31, 32, 1023, 1024, u32::MAX - 1, u32::MAX] {
            let id = TransactionId::numbered(&mut rng, number);
            assert_eq!(id.number(), Some(number), "{id}");
            assert_eq!(id.as_str().parse(), Ok(id), "{id}");
        }
        for other in [
            "0123456789abcdef",
            "0123456789abcdefA",
            "0123456789abcdef00000000",
            "0123456789abcdefzzzzzzz",
        ] {
            let id: TransactionId = other.parse().unwrap();
            assert_eq!(id.number(), None, "{id}");
        }
        assert_eq!(TransactionId::random(&mut rng).number(), None);
    }

    proptest! {
        /// RFC 4975 §9 `ident`.
        #[test]
        fn rfc4975_9_ident(text in "[ -~]{0,3}[a-zA-Z0-9.+%=-]{0,34}[ -~]{0,1}") {
            let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b".-+%=".contains(&octet);
            let begins = text.starts_with(|first: char| first.is_ascii_alphanumeric());
            let sound = begins && (4..=32).contains(&text.len()) && text.bytes().all(allowed);
            prop_assert_eq!(text.parse::<MessageId>().is_ok(), sound);
        }

        #[test]
        fn session_ids_are_ordered_like_their_texts(first in "[ab/]{1,12}", second in "[ab/]{1,12}") {
            let [one, other]: [SessionId; 2] = [&first, &second].map(|text| text.parse().unwrap());
            prop_assert_eq!(one.cmp(&other), first.cmp(&second));
            prop_assert_eq!(one == other, first == second);
        }
    }
}
