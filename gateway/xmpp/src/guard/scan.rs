//! The scan itself: which octet stands where in the grammar, and which bound it breaks.

use memchr::{memchr, memchr2, memchr3};

use super::{Guard, Rule, peek};

/// Where in the grammar the next octet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Between the units.
    Between,
    /// After `<?`; how much of `xml` has been seen.
    DeclarationName(usize),
    /// In the XML declaration; whether the last octet was `?`.
    Declaration(bool),
    /// After `<`.
    Open,
    /// After `<!`; how much of `[CDATA[` has been seen.
    CdataOpen(usize),
    /// In a CDATA section, after up to two `]`.
    Cdata(u8),
    /// Character data of an element.
    Text,
    /// After `&`, in text or in an attribute value.
    Reference,
    TagName,
    InTag,
    /// After `/` in a start tag.
    Slash,
    AttributeName,
    AfterAttributeName,
    BeforeValue,
    Value,
    EndTag,
    /// In the end tag of the stream.
    StreamEnd,
    /// Nothing more comes.
    Over,
}

/// What a run of octets led to.
pub(super) enum Step {
    /// Go on at this index of the input.
    To(usize),
    /// A unit ends before this index.
    Done(usize, Unit),
    /// Framing is lost.
    Lost(&'static str),
}

#[derive(Clone, Copy)]
pub(super) enum Unit {
    Header,
    Stanza,
    /// A further copy of a groupchat message.
    Copy,
    End,
}

const CDATA: &[u8] = b"[CDATA[";
/// Octets of the longest reference.
pub(super) const REFERENCE: usize = 12;

impl Guard {
    pub(super) fn step(&mut self, octets: &[u8], at: usize, octet: u8) -> Step {
        match self.state {
            State::Between | State::DeclarationName(_) | State::Declaration(_) | State::Open => {
                self.step_between(at, octet)
            }
            State::CdataOpen(_) | State::Cdata(_) | State::Text | State::Reference => {
                self.step_content(octets, at, octet)
            }
            State::TagName | State::InTag | State::Slash => self.step_tag(octets, at, octet),
            State::AttributeName | State::AfterAttributeName | State::BeforeValue | State::Value => {
                self.step_attribute(octets, at, octet)
            }
            State::EndTag => match find(octets, at, |rest| memchr(b'>', rest)) {
                Some(close) => self.close_element(close + 1),
                None => Step::To(octets.len()),
            },
            State::StreamEnd => match find(octets, at, |rest| memchr(b'>', rest)) {
                Some(close) => {
                    self.state = State::Over;
                    Step::Done(close + 1, Unit::End)
                }
                None => Step::To(octets.len()),
            },
            State::Over => Step::To(octets.len()),
        }
    }

    fn step_between(&mut self, at: usize, octet: u8) -> Step {
        self.state = match (self.state, octet) {
            (State::Between, b' ' | b'\t' | b'\r' | b'\n') => State::Between,
            (State::Between, b'<') => {
                self.start = at;
                self.carried = 0;
                State::Open
            }
            (State::Between, _) => return Step::Lost("text outside of stanzas"),
            (State::Open, b'/') if self.depth > 0 => State::EndTag,
            (State::Open, b'/') if self.opened => State::StreamEnd,
            (State::Open, b'!') if self.depth > 0 => State::CdataOpen(0),
            (State::Open, b'?') if !self.opened && !self.declared => {
                self.declared = true;
                State::DeclarationName(0)
            }
            (State::Open, b'?') => return Step::Lost("a processing instruction"),
            // Or a CDATA section, which is text even if it is empty.
            (State::Open, b'!') => return Step::Lost("a comment, a DTD or text outside of stanzas"),
            (State::Open, octet) if is_name(octet) => {
                self.open_element(at);
                // This octet begins the name.
                return Step::To(at);
            }
            (State::DeclarationName(seen), octet) if b"xml".get(seen) == Some(&octet) => {
                State::DeclarationName(seen + 1)
            }
            (State::DeclarationName(3), b' ' | b'\t' | b'\r' | b'\n') => State::Declaration(false),
            (State::DeclarationName(_), _) => return Step::Lost("a processing instruction"),
            (State::Declaration(true), b'>') => {
                self.carried = 0;
                self.start = at + 1;
                self.broken = None;
                self.buffer.clear();
                State::Between
            }
            (State::Declaration(_), octet) => State::Declaration(octet == b'?'),
            _ => return Step::Lost("misplaced markup"),
        };
        Step::To(at + 1)
    }

    fn open_element(&mut self, at: usize) {
        let position = self.position(at) + 1;
        if self.opened {
            self.depth += 1;
            self.elements += 1;
            if self.depth > self.limits.depth {
                self.violate(Rule::Depth, position);
            }
            if self.elements > self.limits.elements {
                self.violate(Rule::Elements, position);
            }
        }
        self.attributes = 0;
        self.token = (self.position(at), 0);
        self.state = State::TagName;
    }

    fn step_content(&mut self, octets: &[u8], at: usize, octet: u8) -> Step {
        match self.state {
            State::CdataOpen(seen) => {
                if CDATA.get(seen) != Some(&octet) {
                    return Step::Lost("a comment or a DTD");
                }
                self.state = if seen + 1 == CDATA.len() {
                    State::Cdata(0)
                } else {
                    State::CdataOpen(seen + 1)
                };
                Step::To(at + 1)
            }
            State::Cdata(0) => match find(octets, at, |rest| memchr(b']', rest)) {
                Some(bracket) => {
                    self.state = State::Cdata(1);
                    Step::To(bracket + 1)
                }
                None => Step::To(octets.len()),
            },
            State::Cdata(brackets) => {
                self.state = match octet {
                    b']' => State::Cdata(2),
                    b'>' if brackets == 2 => State::Text,
                    _ => State::Cdata(0),
                };
                Step::To(at + 1)
            }
            State::Reference => self.step_reference(at, octet),
            _ => match find(octets, at, |rest| memchr2(b'<', b'&', rest)) {
                Some(odd) => {
                    if octets.get(odd) == Some(&b'<') {
                        self.state = State::Open;
                    } else {
                        self.begin_reference();
                    }
                    Step::To(odd + 1)
                }
                None => Step::To(octets.len()),
            },
        }
    }

    fn begin_reference(&mut self) {
        self.reference.clear();
        self.state = State::Reference;
    }

    fn step_reference(&mut self, at: usize, octet: u8) -> Step {
        let outer = if self.quote.is_some() {
            State::Value
        } else {
            State::Text
        };
        if octet == b';' {
            self.grow_value(&[octet]);
            if !peek::is_reference(&self.reference) {
                self.violate(Rule::Entity, self.position(at) + 1);
            }
            self.state = outer;
            return Step::To(at + 1);
        }
        if self.reference.len() < REFERENCE && (octet.is_ascii_alphanumeric() || octet == b'#') {
            self.grow_value(&[octet]);
            self.reference.push(octet);
            return Step::To(at + 1);
        }
        self.violate(Rule::Entity, self.position(at) + 1);
        self.state = outer;
        Step::To(at)
    }

    fn step_tag(&mut self, octets: &[u8], at: usize, octet: u8) -> Step {
        match self.state {
            State::TagName => {
                let end = self.grow_name(octets, at);
                if self.is_top() {
                    self.peek.name(octets.get(at..end).unwrap_or_default());
                }
                if end < octets.len() {
                    self.state = State::InTag;
                }
                Step::To(end)
            }
            State::Slash => {
                if octet != b'>' || !self.opened {
                    return Step::Lost("misplaced markup");
                }
                self.close_element(at + 1)
            }
            _ => match octet {
                b' ' | b'\t' | b'\r' | b'\n' => Step::To(at + 1),
                b'/' => {
                    self.state = State::Slash;
                    Step::To(at + 1)
                }
                b'>' if self.opened => {
                    if let Some(end) = self.end_of_copy(octets) {
                        self.depth = 0;
                        self.state = State::Between;
                        return Step::Done(end, Unit::Copy);
                    }
                    self.state = State::Text;
                    Step::To(at + 1)
                }
                b'>' => {
                    self.opened = true;
                    self.state = State::Between;
                    Step::Done(at + 1, Unit::Header)
                }
                octet if is_name(octet) => {
                    self.attributes += 1;
                    if self.attributes > self.limits.attributes {
                        self.violate(Rule::AttributeCount, self.position(at) + 1);
                    }
                    self.token = (self.position(at), 0);
                    self.peek.begin_attribute();
                    self.state = State::AttributeName;
                    Step::To(at)
                }
                _ => Step::Lost("misplaced markup"),
            },
        }
    }

    fn step_attribute(&mut self, octets: &[u8], at: usize, octet: u8) -> Step {
        let blank = matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
        match (self.state, octet) {
            (State::AttributeName, _) => {
                let end = self.grow_name(octets, at);
                if self.is_top() {
                    self.peek.attribute_name(octets.get(at..end).unwrap_or_default());
                }
                if end < octets.len() {
                    self.state = State::AfterAttributeName;
                }
                Step::To(end)
            }
            (State::AfterAttributeName | State::BeforeValue, _) if blank => Step::To(at + 1),
            (State::AfterAttributeName, b'=') => {
                self.state = State::BeforeValue;
                Step::To(at + 1)
            }
            (State::BeforeValue, b'\'' | b'"') => {
                self.quote = Some(octet);
                self.token = (self.position(at) + 1, 0);
                if self.is_top() {
                    self.peek.begin_value(self.token.0);
                }
                self.state = State::Value;
                Step::To(at + 1)
            }
            (State::Value, _) => self.step_value(octets, at),
            _ => Step::Lost("an attribute without a value"),
        }
    }

    fn step_value(&mut self, octets: &[u8], at: usize) -> Step {
        let quote = self.quote.unwrap_or(b'\'');
        let Some(odd) = find(octets, at, |rest| memchr3(quote, b'&', b'<', rest)) else {
            self.grow_value(octets.get(at..).unwrap_or_default());
            return Step::To(octets.len());
        };
        self.grow_value(octets.get(at..odd).unwrap_or_default());
        match octets.get(odd) {
            Some(b'&') => {
                self.grow_value(b"&");
                self.begin_reference();
            }
            Some(b'<') => {
                self.grow_value(b"<");
                self.violate(Rule::MarkupInAttribute, self.position(odd) + 1);
            }
            _ => {
                self.quote = None;
                self.peek.end_value();
                self.state = State::InTag;
            }
        }
        Step::To(odd + 1)
    }

    /// Extends the present name to the next octet that ends one.
    fn grow_name(&mut self, octets: &[u8], at: usize) -> usize {
        let end = find(octets, at, |rest| rest.iter().position(|&octet| !is_name(octet)));
        let end = end.unwrap_or(octets.len());
        self.grow_token(end - at, self.limits.name, Rule::NameLength);
        end
    }

    /// Extends the present attribute value; nothing outside of one.
    fn grow_value(&mut self, run: &[u8]) {
        if self.quote.is_some() {
            self.grow_token(run.len(), self.limits.attribute, Rule::AttributeLength);
            if self.is_top() {
                self.peek.value(run);
            }
        }
    }

    fn grow_token(&mut self, octets: usize, limit: usize, rule: Rule) {
        let (begin, len) = &mut self.token;
        *len += octets;
        if *len > limit {
            let position = begin.saturating_add(limit).saturating_add(1);
            self.violate(rule, position);
        }
    }

    fn close_element(&mut self, next: usize) -> Step {
        self.depth -= 1;
        if self.depth > 0 {
            self.state = State::Text;
            return Step::To(next);
        }
        self.state = State::Between;
        Step::Done(next, Unit::Stanza)
    }

    /// Where in the input the present stanza ends, if it begins there, lies there whole, and is a further copy.
    fn end_of_copy(&mut self, octets: &[u8]) -> Option<usize> {
        if self.carried > 0 || !self.is_top() || self.copies.is_empty() {
            return None;
        }
        let start = self.peek.groupchat()?;
        let length = self.copies.repeats(octets.get(self.start..)?, &start)?;
        Some(self.start + length)
    }

    /// Whether the present tag is the stanza's own start tag.
    fn is_top(&self) -> bool {
        self.depth == 1 && self.elements == 1
    }

    /// How many octets of the unit stand before an index of the input.
    pub(super) fn position(&self, at: usize) -> usize {
        self.carried + (at - self.start)
    }

    /// Notes the first bound that breaks. `position` counts the octets up to and including the one that breaks it, so that the
    /// outcome does not depend on how the octets were cut.
    pub(super) fn violate(&mut self, rule: Rule, position: usize) {
        let rule = if position > self.limits.stanza_in {
            Rule::StanzaSize
        } else {
            rule
        };
        self.broken.get_or_insert(rule);
    }
}

/// Octets that can stand in a name as far as framing goes; the parser knows the rest.
fn is_name(octet: u8) -> bool {
    !matches!(
        octet,
        b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>' | b'<' | b'=' | b'\'' | b'"' | b'&'
    )
}

/// The index in `octets` of the first match at or after `at`.
fn find(octets: &[u8], at: usize, search: impl FnOnce(&[u8]) -> Option<usize>) -> Option<usize> {
    search(octets.get(at..)?).map(|found| at + found)
}
