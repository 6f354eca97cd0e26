//! Escaping of JID localparts (XEP-0106).

/// The characters that a localpart cannot hold, each with the two hexadecimal digits that stand for it (XEP-0106 §3.2).
const ESCAPES: [(char, &str); 10] = [
    (' ', "20"),
    ('"', "22"),
    ('&', "26"),
    ('\'', "27"),
    ('/', "2f"),
    (':', "3a"),
    ('<', "3c"),
    ('>', "3e"),
    ('@', "40"),
    ('\\', "5c"),
];

/// Escapes a text for a localpart with the complete table of XEP-0106, including the `\5c` rule.
///
/// Spaces at either end are dropped, since `\20` may not begin or end a localpart. The result still has to pass nodeprep
/// ([`jid::NodePart`]), which folds case; for that reason a backslash before the digits of an escape is protected whatever their
/// case is, or `\2F` would come back as `/`.
#[must_use]
pub fn escape_localpart(text: &str) -> String {
    let text = text.trim_matches(' ');
    let mut localpart = String::with_capacity(text.len() + 8);
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match code_of(character) {
            Some(_) if character == '\\' && escaped_char(rest.as_str(), true).is_none() => {
                localpart.push('\\');
            }
            Some(code) => {
                localpart.push('\\');
                localpart.push_str(code);
            }
            None => localpart.push(character),
        }
    }
    localpart
}

/// Undoes [`escape_localpart`]. What is no escape of the table stays as it is; case is significant (XEP-0106 §3.1).
#[must_use]
pub fn unescape_localpart(localpart: &str) -> String {
    let mut text = String::with_capacity(localpart.len());
    let mut rest = localpart.chars();
    while let Some(character) = rest.next() {
        match escaped_char(rest.as_str(), false) {
            Some(escaped) if character == '\\' => {
                text.push(escaped);
                rest.nth(1);
            }
            _ => text.push(character),
        }
    }
    text
}

fn code_of(character: char) -> Option<&'static str> {
    ESCAPES
        .iter()
        .find(|(plain, _)| *plain == character)
        .map(|(_, code)| *code)
}

/// The character whose two digits begin `text`.
fn escaped_char(text: &str, any_case: bool) -> Option<char> {
    let digits = text.get(..2)?;
    ESCAPES
        .iter()
        .find(|(_, code)| *code == digits || any_case && code.eq_ignore_ascii_case(digits))
        .map(|(plain, _)| *plain)
}
