//! A small, strict XML reader for the simulated server: what Prosody would close the stream for is a fault here, too.

use std::fmt::Write;

/// An element, with prefixes left in names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) children: Vec<Element>,
    pub(crate) text: String,
}

/// What comes off a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// The stream header.
    Open(Element),
    /// A stanza, or any other child of the stream.
    Child(Element),
    /// The end of the stream.
    Close,
}

/// Reads one stream, cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
    /// Where the token that is not complete yet begins.
    start: usize,
    /// Up to where it has been searched.
    searched: usize,
    quote: Option<u8>,
    open: bool,
    stack: Vec<Element>,
    /// Size of the child under way.
    octets: usize,
    pub(crate) largest: usize,
}

impl Element {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    pub(crate) fn child_of(&self, name: &str, namespace: &str) -> Option<&Self> {
        let mut children = self.children.iter();
        children.find(|child| child.name == name && child.attribute("xmlns") == Some(namespace))
    }
}

impl Reader {
    /// Takes bytes.
    ///
    /// # Errors
    /// They are no XML that a server takes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Item>, String> {
        self.buffer.extend_from_slice(bytes);
        let mut items = Vec::new();
        while let Some(token) = self.token()? {
            self.octets += token.len();
            self.take(&token, &mut items)?;
        }
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        Ok(items)
    }

    /// The next complete token: a tag with its brackets, or text.
    fn token(&mut self) -> Result<Option<String>, String> {
        let Some(first) = self.buffer.get(self.start) else {
            return Ok(None);
        };
        let tag = *first == b'<';
        let mut end = None;
        while let Some(&octet) = self.buffer.get(self.searched) {
            match (tag, self.quote, octet) {
                (true, Some(quote), _) if octet == quote => self.quote = None,
                (true, None, b'"' | b'\'') => self.quote = Some(octet),
                (true, None, b'>') => {
                    end = Some(self.searched + 1);
                    break;
                }
                (false, _, b'<') => {
                    end = Some(self.searched);
                    break;
                }
                _ => {}
            }
            self.searched += 1;
        }
        let Some(end) = end else { return Ok(None) };
        let token = std::str::from_utf8(&self.buffer[self.start..end])
            .map_err(|_| "invalid UTF-8".to_owned())?
            .to_owned();
        if let Some(bad) = token.chars().find(|c| !is_xml(*c)) {
            return Err(format!("forbidden character U+{:04X}", u32::from(bad)));
        }
        self.start = end;
        self.searched = end;
        Ok(Some(token))
    }

    fn take(&mut self, token: &str, items: &mut Vec<Item>) -> Result<(), String> {
        let Some(tag) = token.strip_prefix('<').and_then(|tag| tag.strip_suffix('>')) else {
            let text = unescape(token)?;
            if let Some(parent) = self.stack.last_mut() {
                parent.text.push_str(&text);
            } else if !text.trim().is_empty() {
                return Err("text outside a stanza".to_owned());
            }
            return Ok(());
        };
        if tag.starts_with('?') && !self.open {
            return Ok(());
        }
        if tag.starts_with(['?', '!']) {
            return Err("comment, instruction or DTD".to_owned());
        }
        if let Some(name) = tag.strip_prefix('/') {
            return self.end(name.trim(), items);
        }
        let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let element = start_tag(tag)?;
        if !self.open {
            self.open = true;
            items.push(Item::Open(element));
        } else if empty {
            self.complete(element, items);
        } else {
            self.stack.push(element);
        }
        Ok(())
    }

    fn end(&mut self, name: &str, items: &mut Vec<Item>) -> Result<(), String> {
        match self.stack.pop() {
            Some(element) if element.name == name => {
                self.complete(element, items);
                Ok(())
            }
            Some(element) => Err(format!("</{name}> ends <{}>", element.name)),
            None if name == "stream:stream" => {
                items.push(Item::Close);
                Ok(())
            }
            None => Err(format!("stray </{name}>")),
        }
    }

    fn complete(&mut self, element: Element, items: &mut Vec<Item>) {
        if let Some(parent) = self.stack.last_mut() {
            parent.children.push(element);
        } else {
            self.largest = self.largest.max(self.octets);
            self.octets = 0;
            items.push(Item::Child(element));
        }
    }
}

/// Parses one document.
pub(crate) fn document(text: &str) -> Option<Element> {
    let mut reader = Reader {
        open: true,
        ..Reader::default()
    };
    let text = text.trim();
    let text = if text.starts_with("<?") {
        text.split_once("?>")?.1
    } else {
        text
    };
    let items = reader.feed(text.trim().as_bytes()).ok()?;
    items.into_iter().find_map(|item| match item {
        Item::Child(element) => Some(element),
        Item::Open(_) | Item::Close => None,
    })
}

fn start_tag(tag: &str) -> Result<Element, String> {
    let end = tag.find(|c: char| c.is_ascii_whitespace()).unwrap_or(tag.len());
    let (name, mut rest) = tag.split_at(end);
    if name.is_empty() {
        return Err("a tag without a name".to_owned());
    }
    let mut element = Element {
        name: name.to_owned(),
        ..Element::default()
    };
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(element);
        }
        let (key, value) = rest.split_once('=').ok_or("an attribute without a value")?;
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let quote = quote.ok_or("an attribute without quotes")?;
        let (value, after) = value[1..].split_once(quote).ok_or("an open attribute")?;
        let key = key.trim().to_owned();
        if value.contains('<') || element.attribute(&key).is_some() {
            return Err("a bad attribute".to_owned());
        }
        element.attributes.push((key, unescape(value)?));
        rest = after;
    }
}

fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (name, tail) = after.split_once(';').ok_or("a bare ampersand")?;
        let c = match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = name.strip_prefix('#').ok_or("an unknown entity")?;
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => number.parse(),
                };
                let c = code.ok().and_then(char::from_u32).filter(|c| is_xml(*c));
                c.ok_or("a reference to no character")?
            }
        };
        out.push(c);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

/// Escapes for text and for attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\r' => out.push_str("&#xd;"),
            c => out.push(c),
        }
    }
    out
}

/// ` name='value'`.
pub(crate) fn attribute(name: &str, value: &str) -> String {
    let mut out = String::new();
    let _infallible = write!(out, " {name}='{}'", escape(value));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_however_it_is_cut() {
        let text = "<?xml version='1.0'?><stream:stream xmlns='a' to=\"b>c\"><m a='1&lt;'>x&amp;<b/>y</m> </stream:stream>";
        let mut whole = Reader::default();
        let expected = whole.feed(text.as_bytes()).unwrap();
        assert_eq!(expected.len(), 3);
        let mut cut = Reader::default();
        let mut items = Vec::new();
        for octet in text.as_bytes() {
            items.extend(cut.feed(&[*octet]).unwrap());
        }
        assert_eq!(items, expected);
    }

    #[test]
    fn what_servers_close_the_stream_for_is_a_fault() {
        for bad in [
            "<a>\u{1}</a>",
            "<a></b>",
            "<!-- -->",
            "<a b=c/>",
            "<a>&nbsp;</a>",
            "<a>\u{fffe}</a>",
            "</a>",
        ] {
            let mut reader = Reader::default();
            reader.feed(b"<stream:stream>").unwrap();
            assert!(reader.feed(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
