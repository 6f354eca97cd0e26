//! Lines with `…` and `$names`.

use std::collections::BTreeMap;

/// What the names stand for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

enum Token<'a> {
    Text(&'a str),
    Any,
    Name(&'a str),
}

impl Variables {
    /// Puts the values in. A name that stands for nothing yet is a fault.
    pub(crate) fn fill(&self, template: &str) -> Result<String, String> {
        let mut filled = String::new();
        for token in tokens(template) {
            match token {
                Token::Text(text) => filled.push_str(text),
                Token::Any => return Err("… cannot be said".to_owned()),
                Token::Name(name) => {
                    let value = self
                        .0
                        .get(name)
                        .ok_or_else(|| format!("${name} is not known yet"))?;
                    filled.push_str(value);
                }
            }
        }
        Ok(filled)
    }

    /// Whether the text is as the pattern says. Names are bound if it is, and only then.
    pub(super) fn matches(&mut self, pattern: &str, text: &str) -> bool {
        let tokens: Vec<_> = tokens(pattern).collect();
        let mut bound = self.0.clone();
        let matched = fits(&tokens, text, &mut bound);
        if matched {
            self.0 = bound;
        }
        matched
    }
}

fn fits(tokens: &[Token<'_>], text: &str, bound: &mut BTreeMap<String, String>) -> bool {
    let Some((first, rest)) = tokens.split_first() else {
        return text.is_empty();
    };
    match first {
        Token::Text(expected) => text
            .strip_prefix(expected)
            .is_some_and(|text| fits(rest, text, bound)),
        Token::Any => ends(text).any(|end| fits(rest, &text[end..], bound)),
        Token::Name(name) => {
            if let Some(value) = bound.get(*name).cloned() {
                return text
                    .strip_prefix(&value)
                    .is_some_and(|text| fits(rest, text, bound));
            }
            let word = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
            if word == 0 {
                return false;
            }
            bound.insert((*name).to_owned(), text[..word].to_owned());
            let fitted = fits(rest, &text[word..], bound);
            if !fitted {
                bound.remove(*name);
            }
            fitted
        }
    }
}

/// Where a part of the text may end.
fn ends(text: &str) -> impl Iterator<Item = usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()])
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~+=%".contains(c)
}

fn tokens(mut text: &str) -> impl Iterator<Item = Token<'_>> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        if let Some(rest) = text.strip_prefix('…') {
            text = rest;
            return Some(Token::Any);
        }
        if let Some(length) = name_length(text) {
            let (name, rest) = text.split_at(length);
            text = rest;
            return Some(Token::Name(&name[1..]));
        }
        let mut places = text.char_indices().skip(1).map(|(at, _)| at);
        let end = places.find(|at| text[*at..].starts_with('…') || name_length(&text[*at..]).is_some());
        let (plain, rest) = text.split_at(end.unwrap_or(text.len()));
        text = rest;
        Some(Token::Text(plain))
    })
}

/// The length of the `$name` that the text begins with.
fn name_length(text: &str) -> Option<usize> {
    let name = text.strip_prefix('$')?;
    let length = name
        .find(|c: char| !(c.is_ascii_lowercase() || c == '_'))
        .unwrap_or(name.len());
    (length > 0).then_some(length + 1)
}

#[cfg(test)]
mod tests {
    use super::Variables;

    #[test]
    fn a_name_is_the_same_word_wherever_it_stands() {
        let mut variables = Variables::default();
        assert!(variables.matches("MSRP $tid SEND", "MSRP d93kswow SEND"));
        assert!(variables.matches("-------$tid$", "-------d93kswow$"));
        assert!(!variables.matches("-------$tid$", "-------another$"));
        assert_eq!(variables.fill("<$tid> $5").unwrap(), "<d93kswow> $5");
        assert!(variables.fill("$unknown").is_err());
    }

    #[test]
    fn dots_are_any_text_and_nothing_is_bound_by_what_does_not_fit() {
        let mut variables = Variables::default();
        assert!(variables.matches("…;tag=$tag", "<sip:a@b>;x;tag=1"));
        assert!(variables.matches("…", ""));
        assert!(!variables.matches("$other and…no more", "one and more"));
        assert!(variables.fill("$other").is_err());
        assert!(variables.matches("a…c…e", "abcdcde"));
        assert!(!variables.matches("a…c", "abcd"));
    }
}
