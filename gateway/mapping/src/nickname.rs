//! Nicknames under RFC 8266 (which replaced RFC 7700): preparation, comparison, and names for users who asked for none.

use precis_profiles::{Nickname as Profile, precis_core::profile::PrecisFastInvocation};
use xmpp::jid::ResourcePart;

/// Longest nickname in octets of UTF-8 after preparation.
pub const LONGEST: usize = 128;

/// A nickname that both sides can carry: prepared by RFC 8266, a valid resourcepart, at most [`LONGEST`] octets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nickname(String);

/// Why a text is no nickname; MSRP says 424 (RFC 7701 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NicknameFault {
    /// Characters that RFC 8266 forbids, or nothing but spaces.
    #[error("characters that a nickname cannot have")]
    Forbidden,
    /// The XMPP side cannot carry it as a resourcepart.
    #[error("characters that a chat room cannot carry in a nickname")]
    NotCarried,
    /// Over [`LONGEST`] octets.
    #[error("longer than 128 octets")]
    TooLong,
}

impl Nickname {
    /// Prepares what a user asked for.
    ///
    /// # Errors
    /// The text is no nickname on one side or the other.
    pub fn new(text: &str) -> Result<Self, NicknameFault> {
        let prepared = Profile::enforce(text).map_err(|_| NicknameFault::Forbidden)?;
        if prepared.len() > LONGEST {
            return Err(NicknameFault::TooLong);
        }
        let resource = ResourcePart::new(&prepared).map_err(|_| NicknameFault::NotCarried)?;
        Ok(Self(resource.as_str().to_owned()))
    }

    /// A nickname for a user who has not chosen one yet: as much of his display name, else of the user part of his address, as
    /// can be carried.
    #[must_use]
    pub fn provisional(display_name: Option<&str>, user: &str) -> Self {
        [display_name.unwrap_or_default(), user]
            .into_iter()
            .find_map(Self::salvage)
            .unwrap_or_else(|| Self("Guest".to_owned()))
    }

    /// The `attempt`th variant of it, for when it is taken: `Romeo`, `Romeo (2)`, `Romeo (3)`, ….
    #[must_use]
    pub fn variant(&self, attempt: u32) -> Self {
        if attempt < 2 {
            return self.clone();
        }
        let suffix = format!(" ({attempt})");
        let kept = truncated(&self.0, LONGEST - suffix.len()).trim_end();
        Self(format!("{kept}{suffix}"))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn salvage(text: &str) -> Option<Self> {
        let kept: String = text
            .chars()
            .filter(|c| Self::new(&format!("a{c}a")).is_ok())
            .collect();
        Self::new(truncated(kept.trim(), LONGEST).trim_end()).ok()
    }
}

/// The form under which two nicknames are the same (RFC 8266 §2.4). A name that RFC 8266 refuses, as XMPP servers may admit, is only
/// the same as itself.
#[must_use]
pub fn comparison_key(nickname: &str) -> String {
    Profile::enforce(nickname).map_or_else(|_| nickname.to_owned(), |prepared| prepared.to_lowercase())
}

fn truncated(text: &str, octets: usize) -> &str {
    let mut end = text.len().min(octets);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Rows: N7702-01
    #[test]
    fn rfc8266_section_2_spaces_and_width_are_folded_case_is_kept() {
        assert_eq!(Nickname::new("  Ro   meo ").unwrap().as_str(), "Ro meo");
        assert_eq!(Nickname::new("Ｒｏｍｅｏ").unwrap().as_str(), "Romeo");
        assert_eq!(comparison_key("ROMEO"), comparison_key("romeo "));
        assert_ne!(comparison_key("romeo"), comparison_key("juliet"));
    }

    #[test]
    fn rfc7701_section_7_1_what_is_no_nickname_is_refused() {
        assert_eq!(Nickname::new(""), Err(NicknameFault::Forbidden));
        assert_eq!(Nickname::new("   "), Err(NicknameFault::Forbidden));
        assert_eq!(Nickname::new("a\u{7}b"), Err(NicknameFault::Forbidden));
        assert_eq!(Nickname::new("a\u{202e}b"), Err(NicknameFault::Forbidden));
        assert_eq!(
            Nickname::new(&"x".repeat(LONGEST)).map(|n| n.as_str().len()),
            Ok(LONGEST)
        );
        assert_eq!(
            Nickname::new(&"x".repeat(LONGEST + 1)),
            Err(NicknameFault::TooLong)
        );
    }

    #[test]
    fn a_provisional_nickname_keeps_what_can_be_carried() {
        assert_eq!(
            Nickname::provisional(Some("Romeo M."), "romeo").as_str(),
            "Romeo M."
        );
        assert_eq!(
            Nickname::provisional(Some("Ro\u{0}meo\u{202e}"), "romeo").as_str(),
            "Romeo"
        );
        assert_eq!(Nickname::provisional(Some("\u{1}"), "romeo").as_str(), "romeo");
        assert_eq!(Nickname::provisional(None, "\u{200b}").as_str(), "Guest");
        let long = Nickname::provisional(Some(&"é".repeat(200)), "x");
        assert!(long.as_str().len() <= LONGEST);
        assert!(long.variant(12).as_str().len() <= LONGEST);
    }

    #[test]
    fn variants_differ_from_each_other() {
        let romeo = Nickname::provisional(Some("Romeo"), "romeo");
        assert_eq!(romeo.variant(1).as_str(), "Romeo");
        assert_eq!(romeo.variant(2).as_str(), "Romeo (2)");
    }
}
