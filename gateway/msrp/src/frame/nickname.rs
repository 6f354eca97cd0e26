//! The quoted string of Use-Nickname (RFC 7701 §7.1, RFC 4975 §9 `quoted-string`).

/// Octets of a nickname at most, unquoted (RFC 7701 §7.1).
pub const NICKNAME_LIMIT: usize = 1023;

/// Whether Use-Nickname can carry this nickname: at most [`NICKNAME_LIMIT`] octets and no control character. The empty one gives
/// the present nickname back (RFC 7701 §7.3).
#[must_use]
pub fn is_nickname(text: &str) -> bool {
    text.len() <= NICKNAME_LIMIT
        && text
            .bytes()
            .all(|octet| octet == b'\t' || (octet >= b' ' && octet != 0x7f))
}

/// Reads the header's value. Unquoted ones are accepted, since a widely deployed chat server writes them; only the empty quoted
/// string may be empty.
pub(super) fn unquote(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let nickname = match text.strip_prefix('"') {
        Some(rest) => unescape(rest)?,
        None if text.is_empty() || text.contains('"') => return None,
        None => text.to_owned(),
    };
    is_nickname(&nickname).then_some(nickname)
}

/// Up to the closing quote, which must be the last character; `\\` and `\"` are the only escapes.
fn unescape(quoted: &str) -> Option<String> {
    let mut plain = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return characters.next().is_none().then_some(plain),
            '\\' => match characters.next()? {
                escaped @ ('\\' | '"') => plain.push(escaped),
                _ => return None,
            },
            character => plain.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Rows: C7701-41, E-31, E-35
    #[test]
    fn rfc7701_7_1_use_nickname_values() {
        for (value, nickname) in [
            (r#""Alice the great""#, Some("Alice the great")),
            (r#""""#, Some("")),
            (r#""a\"b""#, Some("a\"b")),
            (r#""a\\b""#, Some("a\\b")),
            (r#""\\\"""#, Some("\\\"")),
            ("\"Zoë 🦀, x\"", Some("Zoë 🦀, x")),
            ("Ali", Some("Ali")),
            (r"back\slash", Some(r"back\slash")),
            ("", None),
            (r#"""#, None),
            (r#""open"#, None),
            (r#"closed""#, None),
            (r#""two" words"#, None),
            (r#""a\nb""#, None),
            (r#""a\"#, None),
            ("\"bell\u{7}\"", None),
            ("\"del\u{7f}\"", None),
        ] {
            assert_eq!(unquote(value.as_bytes()).as_deref(), nickname, "{value}");
        }
        assert_eq!(unquote(b"\"\xff\""), None);
    }

    // Rows: C7701-40, CXMPP-34
    #[test]
    fn rfc7701_7_1_a_nickname_has_at_most_1023_octets() {
        for (octets, accepted) in [(1, true), (1022, true), (1023, true), (1024, false)] {
            let nickname = "x".repeat(octets);
            assert_eq!(is_nickname(&nickname), accepted);
            assert_eq!(unquote(format!("\"{nickname}\"").as_bytes()).is_some(), accepted);
            let escaped = "\\\"".repeat(octets);
            assert_eq!(unquote(format!("\"{escaped}\"").as_bytes()).is_some(), accepted);
        }
    }
}
