//! From a display name to a nickname that a room can take.

use jid::ResourcePart;

/// Octets of a resourcepart (RFC 7622 §3.4).
const LONGEST: usize = 1023;

/// Makes a nickname (a resourcepart) out of a display name: drops what resourceprep refuses, normalises (NFKC), trims, cuts to
/// 1023 octets. `None` if nothing is left.
///
/// Of a name that mixes writing directions, which resourceprep forbids (RFC 3454 §6), the direction of its first letter wins.
#[must_use]
pub fn resource_from(name: &str) -> Option<ResourcePart> {
    let mut clean = cut(name.trim(), LONGEST).to_owned();
    loop {
        clean = clean.trim().to_owned();
        match ResourcePart::new(&clean) {
            Ok(part) if part.trim() == part.as_str() => return Some(part.into_owned()),
            Ok(part) => clean = part.as_str().to_owned(),
            Err(jid::Error::ResourceTooLong) => {
                clean.pop();
            }
            Err(_) => {
                let fewer = one_direction(&acceptable(&clean));
                if fewer.len() >= clean.len() {
                    return None;
                }
                clean = fewer;
            }
        }
    }
}

/// Keeps the characters that resourceprep accepts by themselves.
fn acceptable(name: &str) -> String {
    name.chars()
        .filter(|character| is_resource(&character.to_string()))
        .collect()
}

/// Keeps one writing direction.
fn one_direction(name: &str) -> String {
    let leftward = |character: char| !is_resource(&format!("a{character}a"));
    let rightward = |character: char| !is_resource(&format!("\u{5d0}{character}\u{5d0}"));
    match name
        .chars()
        .find(|&character| leftward(character) || rightward(character))
    {
        Some(first) if leftward(first) => {
            let kept: String = name.chars().filter(|&character| !rightward(character)).collect();
            // RFC 3454 §6: such a text begins and ends with a letter of that direction.
            kept.trim_matches(|character| !leftward(character)).to_owned()
        }
        Some(_) => name.chars().filter(|&character| !leftward(character)).collect(),
        None => name.to_owned(),
    }
}

fn is_resource(text: &str) -> bool {
    ResourcePart::new(text).is_ok()
}

/// The longest prefix of at most `octets` octets.
fn cut(text: &str, octets: usize) -> &str {
    let end = (0..=octets.min(text.len()))
        .rev()
        .find(|&end| text.is_char_boundary(end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}
