//! The small XML documents that messages carry: no document type, everything bounded.

use quick_xml::{
    NsReader,
    events::{BytesRef, Event},
    name::ResolveResult,
};

/// Octets of a document.
pub(crate) const MAX_OCTETS: usize = 16 * 1024;
/// Elements within each other.
const MAX_DEPTH: usize = 16;
/// Elements in all.
const MAX_ELEMENTS: usize = 256;
/// Namespace declarations in force.
const MAX_NAMESPACES: usize = 64;

/// An element of the namespace that was asked for, or of none.
#[derive(Debug, Default)]
pub(crate) struct Element {
    /// Without prefix.
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Its text, without white space around it.
    pub(crate) fn text(&self) -> &str {
        self.text.trim()
    }

    /// The first child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of the namespace.
    pub(crate) fn children(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.children.iter().map(|child| (child.name.as_str(), child))
    }

    /// The text of the first child of this name, if it has any.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(Self::text).filter(|text| !text.is_empty())
    }
}

/// Reads a document whose root is `root`. Elements of other namespaces are left out, with all that is in them. An absent namespace
/// is taken for the right one, since some peers leave it out.
pub(crate) fn read(body: &[u8], namespace: &str, root: &str) -> Result<Element, &'static str> {
    if body.len() > MAX_OCTETS {
        return Err("a document over 16 KiB");
    }
    let text = std::str::from_utf8(body).map_err(|_| "no UTF-8")?;
    if !text.chars().all(is_char) {
        return Err("a character that XML cannot carry");
    }
    let mut xml = NsReader::from_str(text.trim_start_matches('\u{FEFF}').trim_start());
    xml.resolver_mut().set_max_namespace_bindings(MAX_NAMESPACES);
    xml.config_mut().expand_empty_elements = true;
    let mut reading = Reading::default();
    loop {
        let (found, event) = xml.read_resolved_event().map_err(|_| "not well-formed")?;
        match event {
            Event::Start(start) => {
                let ours = match found {
                    ResolveResult::Bound(bound) => bound.as_ref() == namespace,
                    ResolveResult::Unbound => true,
                    ResolveResult::Unknown(_) => false,
                };
                reading.start(ours, start.local_name().as_ref(), root)?;
            }
            Event::End(_) => reading.end(),
            Event::Text(text) => reading.text(&text.xml10_content())?,
            Event::CData(text) => reading.text(&text.xml10_content())?,
            Event::GeneralRef(reference) => reading.text(&resolve(&reference)?)?,
            Event::DocType(_) => return Err("a document type declaration"),
            Event::Eof => return reading.finish(),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

/// Text for an element: escaped, without the characters that XML cannot carry.
pub(crate) fn escaped(text: &str) -> String {
    let text: String = text.chars().filter(|character| is_char(*character)).collect();
    quick_xml::escape::escape(text.as_str()).into_owned()
}

/// XML 1.0 §2.2 `Char`.
pub(crate) fn is_char(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// The character references and the five entities that XML itself has.
fn resolve(reference: &BytesRef<'_>) -> Result<String, &'static str> {
    let character = reference
        .resolve_char_ref()
        .map_err(|_| "an unsound character reference")?;
    if let Some(character) = character {
        let character = Some(character).filter(|character| is_char(*character));
        return character
            .map(String::from)
            .ok_or("an unsound character reference");
    }
    quick_xml::escape::resolve_predefined_entity(&reference.xml10_content())
        .map(str::to_owned)
        .ok_or("an unknown entity")
}

#[derive(Default)]
struct Reading {
    /// Open elements of ours, the root first.
    open: Vec<Element>,
    /// Open elements of others.
    foreign: usize,
    elements: usize,
    root: Option<Element>,
}

impl Reading {
    fn start(&mut self, ours: bool, name: &str, root: &str) -> Result<(), &'static str> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err("more than 256 elements");
        }
        if self.open.len() + self.foreign >= MAX_DEPTH {
            return Err("more than 16 levels");
        }
        if self.open.is_empty() && (self.root.is_some() || !ours || name != root) {
            return Err("another document element");
        }
        if ours && self.foreign == 0 {
            self.open.push(Element {
                name: name.to_owned(),
                ..Element::default()
            });
        } else {
            self.foreign += 1;
        }
        Ok(())
    }

    fn end(&mut self) {
        if self.foreign > 0 {
            self.foreign -= 1;
            return;
        }
        let Some(element) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), &'static str> {
        match self.open.last_mut() {
            Some(element) if self.foreign == 0 => element.text.push_str(text),
            None if !text.trim().is_empty() => return Err("text outside the document element"),
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Element, &'static str> {
        if !self.open.is_empty() {
            return Err("a document that is cut off");
        }
        self.root.ok_or("no document")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMESPACE: &str = "urn:x";

    fn fault(text: &str) -> Option<&'static str> {
        read(text.as_bytes(), NAMESPACE, "a").err()
    }

    #[test]
    fn what_is_no_document() {
        for (text, rule) in [
            ("", "no document"),
            ("<b xmlns='urn:x'/>", "another document element"),
            ("<a xmlns='urn:y'/>", "another document element"),
            ("<p:a/>", "another document element"),
            ("<a/><a/>", "another document element"),
            ("<a><b></a>", "not well-formed"),
            ("<a>", "a document that is cut off"),
            ("<a/>text", "text outside the document element"),
            ("text<a/>", "text outside the document element"),
            (
                "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
                "a document type declaration",
            ),
            ("<a>&x;</a>", "an unknown entity"),
            ("<a>&#xD800;</a>", "an unsound character reference"),
            ("<a>&#1;</a>", "an unsound character reference"),
            ("<a>\0</a>", "a character that XML cannot carry"),
            ("<a>\u{fffe}</a>", "a character that XML cannot carry"),
        ] {
            assert_eq!(fault(text), Some(rule), "{text}");
        }
        assert_eq!(read(b"<a>\xff</a>", NAMESPACE, "a").err(), Some("no UTF-8"));
    }

    #[test]
    fn limits_of_a_document() {
        let padded = |octets: usize| format!("<a>{}</a>", "x".repeat(octets - 7));
        assert_eq!(fault(&padded(MAX_OCTETS)), None);
        assert_eq!(fault(&padded(MAX_OCTETS + 1)), Some("a document over 16 KiB"));
        for name in ["b", "p:b"] {
            let deep = |levels: usize| {
                let start = format!("<{name}>").repeat(levels - 1);
                let end = format!("</{name}>").repeat(levels - 1);
                format!("<a xmlns:p='urn:p'>{start}{end}</a>")
            };
            assert_eq!(fault(&deep(MAX_DEPTH)), None);
            assert_eq!(fault(&deep(MAX_DEPTH + 1)), Some("more than 16 levels"));
            let wide = |elements: usize| {
                format!(
                    "<a xmlns:p='urn:p'>{}</a>",
                    format!("<{name}/>").repeat(elements - 1)
                )
            };
            assert_eq!(fault(&wide(MAX_ELEMENTS)), None);
            assert_eq!(fault(&wide(MAX_ELEMENTS + 1)), Some("more than 256 elements"));
        }
        let declared = |count: usize| {
            let declarations: String = (0..count).map(|number| format!(" xmlns:n{number}='u'")).collect();
            format!("<a{declarations}/>")
        };
        assert_eq!(fault(&declared(MAX_NAMESPACES / 2)), None);
        assert_eq!(fault(&declared(MAX_NAMESPACES * 2)), Some("not well-formed"));
    }

    #[test]
    fn elements_of_others_are_left_out() {
        let text = "\u{feff} <?xml version='1.0'?><p:a xmlns:p='urn:x' xmlns:o='urn:o'>t&amp;<o:b>no<p:b>no</p:b></o:b>\
                    <![CDATA[<]]>&#x21;<p:b> yes </p:b></p:a>";
        let root = read(text.as_bytes(), NAMESPACE, "a").unwrap();
        assert_eq!(root.text(), "t&<!");
        assert_eq!(root.children().count(), 1);
        assert_eq!(root.text_of("b"), Some("yes"));
    }

    #[test]
    fn characters_that_xml_cannot_carry_are_left_out() {
        assert_eq!(escaped("a\u{0}\u{b}\u{fffe}<&>\tb🦀"), "a&lt;&amp;&gt;\tb🦀");
    }
}
