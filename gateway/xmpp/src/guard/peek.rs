//! What the start tag of a stanza says, known even when the stanza is not kept.

use super::copies::StartTag;

/// Octets of an address (RFC 7622 §3.1), of an id or a type that are kept; a longer one counts as absent.
const ADDRESS: usize = 3071;
const ID: usize = 1024;
const KIND: usize = 64;
const NAME: usize = 64;

/// Name, addresses, type and id of a top-level element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peek {
    name: Vec<u8>,
    from: Field,
    to: Field,
    kind: Field,
    id: Field,
    /// The begin of the present attribute's name, long enough to tell the four.
    attribute: Vec<u8>,
    slot: Option<Slot>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Field {
    octets: Vec<u8>,
    present: bool,
    /// Where in the stanza the value begins.
    at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    From,
    To,
    Kind,
    Id,
}

impl Peek {
    /// The element's name with its prefix, cut to 64 octets; empty if it is not UTF-8.
    #[must_use]
    pub fn element(&self) -> &str {
        std::str::from_utf8(&self.name).unwrap_or_default()
    }

    /// `from`, if it is UTF-8 of at most 3071 octets.
    #[must_use]
    pub fn from(&self) -> Option<String> {
        self.from.decoded(ADDRESS)
    }

    /// `to`, if it is UTF-8 of at most 3071 octets.
    #[must_use]
    pub fn to(&self) -> Option<String> {
        self.to.decoded(ADDRESS)
    }

    /// `type`, if it is UTF-8 of at most 64 octets.
    #[must_use]
    pub fn kind(&self) -> Option<String> {
        self.kind.decoded(KIND)
    }

    /// `id`, if it is UTF-8 of at most 1024 octets.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        self.id.decoded(ID)
    }

    /// Where the parts of a groupchat message by an occupant stand; `None` for all else. What a room says in its own name may be for one
    /// occupant alone.
    pub(super) fn groupchat(&self) -> Option<StartTag> {
        if self.name != b"message" || self.kind.octets != b"groupchat" {
            return None;
        }
        let (from, to) = (&self.from, &self.to);
        let bare = memchr::memchr(b'/', &from.octets)?;
        let plain = |octets: &[u8]| octets.len() <= ADDRESS && !octets.contains(&b'&');
        (plain(from.octets.get(..bare)?) && plain(&to.octets)).then(|| StartTag {
            room: from.at..from.at + bare,
            to: to.at..to.at + to.octets.len(),
        })
    }

    pub(super) fn clear(&mut self) {
        self.name.clear();
        for field in [&mut self.from, &mut self.to, &mut self.kind, &mut self.id] {
            field.octets.clear();
            field.present = false;
        }
        self.attribute.clear();
        self.slot = None;
    }

    pub(super) fn name(&mut self, run: &[u8]) {
        append(&mut self.name, run, NAME);
    }

    pub(super) fn begin_attribute(&mut self) {
        self.attribute.clear();
    }

    pub(super) fn attribute_name(&mut self, run: &[u8]) {
        append(&mut self.attribute, run, b"type".len() + 1);
    }

    /// `at`: where in the stanza the value begins.
    pub(super) fn begin_value(&mut self, at: usize) {
        self.slot = match self.attribute.as_slice() {
            b"from" => Some(Slot::From),
            b"to" => Some(Slot::To),
            b"type" => Some(Slot::Kind),
            b"id" => Some(Slot::Id),
            _ => None,
        };
        if let Some((field, _)) = self.field() {
            field.octets.clear();
            field.present = true;
            field.at = at;
        }
    }

    pub(super) fn value(&mut self, run: &[u8]) {
        if let Some((field, bound)) = self.field() {
            // One more than the bound tells that it was passed.
            append(&mut field.octets, run, bound + 1);
        }
    }

    pub(super) fn end_value(&mut self) {
        self.slot = None;
    }

    fn field(&mut self) -> Option<(&mut Field, usize)> {
        Some(match self.slot? {
            Slot::From => (&mut self.from, ADDRESS),
            Slot::To => (&mut self.to, ADDRESS),
            Slot::Kind => (&mut self.kind, KIND),
            Slot::Id => (&mut self.id, ID),
        })
    }
}

impl Field {
    fn decoded(&self, bound: usize) -> Option<String> {
        if !self.present || self.octets.len() > bound {
            return None;
        }
        decode(std::str::from_utf8(&self.octets).ok()?)
    }
}

/// Whether what stands between `&` and `;` is one of the five predefined entities or a character reference.
pub(super) fn is_reference(name: &[u8]) -> bool {
    match name {
        b"amp" | b"lt" | b"gt" | b"quot" | b"apos" => true,
        [b'#', b'x', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit),
        [b'#', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// The text of an attribute value.
fn decode(value: &str) -> Option<String> {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((plain, tail)) = rest.split_once('&') {
        let (name, tail) = tail.split_once(';')?;
        text.push_str(plain);
        text.push(referred(name)?);
        rest = tail;
    }
    text.push_str(rest);
    Some(text)
}

fn referred(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

fn append(octets: &mut Vec<u8>, run: &[u8], bound: usize) {
    let room = bound.saturating_sub(octets.len());
    octets.extend_from_slice(run.get(..room.min(run.len())).unwrap_or_default());
}
