//! The escapes of RFC 3862 §2.3.

use std::fmt::Write;

/// Escapes a header value: backslash and control characters.
pub(super) fn escape(text: &str) -> String {
    escape_all(text, false)
}

/// The same within double quotes, with the quotes.
pub(super) fn quote(text: &str) -> String {
    format!("\"{}\"", escape_all(text, true))
}

/// Undoes the escapes. An unknown one stands for its character; a backslash at the end is ignored.
pub(super) fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        rest = unescape_one(after, &mut plain);
    }
    plain.push_str(rest);
    plain
}

fn escape_all(text: &str, quoted: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '"' if quoted => escaped.push_str("\\\""),
            '\u{8}' => escaped.push_str("\\b"),
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\0'..='\u{1f}' | '\u{7f}' => {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{:04x}", u32::from(character));
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Reads what follows a backslash; gives the rest.
fn unescape_one<'a>(text: &'a str, plain: &mut String) -> &'a str {
    let mut characters = text.chars();
    let Some(character) = characters.next() else {
        return "";
    };
    let rest = characters.as_str();
    match character {
        'b' => plain.push('\u{8}'),
        't' => plain.push('\t'),
        'n' => plain.push('\n'),
        'r' => plain.push('\r'),
        'u' => match code_unit(rest) {
            Some((first, rest)) => return unescape_unit(first, rest, plain),
            None => plain.push('u'),
        },
        other => plain.push(other),
    }
    rest
}

/// A UCS-2 unit; two surrogates in a row are taken as the character they make.
fn unescape_unit<'a>(first: u16, rest: &'a str, plain: &mut String) -> &'a str {
    if let Some(character) = char::from_u32(u32::from(first)) {
        plain.push(character);
        return rest;
    }
    let second = rest.strip_prefix("\\u").and_then(code_unit);
    if let Some((second, after)) = second
        && let Some(Ok(character)) = char::decode_utf16([first, second]).next()
    {
        plain.push(character);
        return after;
    }
    plain.push(char::REPLACEMENT_CHARACTER);
    rest
}

/// Exactly four hexadecimal digits.
fn code_unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let is_hex = digits.bytes().all(|octet| octet.is_ascii_hexdigit());
    let unit = if is_hex {
        u16::from_str_radix(digits, 16).ok()
    } else {
        None
    };
    Some((unit?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc3862_2_3_escapes() {
        for (plain, escaped) in [
            ("a\\b", "a\\\\b"),
            ("\u{8}\t\n\r", "\\b\\t\\n\\r"),
            ("\0\u{1f}\u{7f}", "\\u0000\\u001f\\u007f"),
            ("\"'é🦀", "\"'é🦀"),
        ] {
            assert_eq!(escape(plain), escaped);
            assert_eq!(unescape(escaped), plain);
        }
        assert_eq!(quote("say \"hi\""), "\"say \\\"hi\\\"\"");
    }

    #[test]
    fn rfc3862_2_3_1_lenient_reading() {
        for (escaped, plain) in [
            ("\\x\\'\\\"", "x'\""),
            ("end\\", "end"),
            ("\\u00e9\\u00E9", "éé"),
            ("\\ud83e\\udd80", "🦀"),
            ("\\ud83e!", "\u{fffd}!"),
            ("\\u12", "u12"),
            ("\\u+123", "u+123"),
            ("\\ué123", "ué123"),
        ] {
            assert_eq!(unescape(escaped), plain, "{escaped}");
        }
    }

    proptest! {
        #[test]
        fn unescape_undoes_escape(text in any::<String>()) {
            let escaped = escape(&text);
            prop_assert!(!escaped.chars().any(|character| character < ' '));
            prop_assert_eq!(unescape(&escaped), text);
        }

        #[test]
        fn unescape_takes_anything(text in "[\\\\u0-9a-fd-é]{0,40}") {
            unescape(&text);
        }
    }
}
