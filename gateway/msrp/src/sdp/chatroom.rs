//! `chatroom` (RFC 7701 §8).

use std::fmt;

/// `a=chatroom` (RFC 7701 §8): unknown tokens are ignored, `nicknames` is read as `nickname`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chatroom {
    /// NICKNAME requests are understood.
    pub nickname: bool,
    /// Private messages are understood.
    pub private_messages: bool,
}

impl Chatroom {
    /// Reads the attribute's value (absent value = `""`).
    #[must_use]
    pub fn parse(value: &str) -> Self {
        let mut chatroom = Self::default();
        for token in value.split_ascii_whitespace() {
            // RFC 7701 §7.1 calls the token `nicknames` in prose and `nickname` in its grammar.
            if token.eq_ignore_ascii_case("nickname") || token.eq_ignore_ascii_case("nicknames") {
                chatroom.nickname = true;
            } else if token.eq_ignore_ascii_case("private-messages") {
                chatroom.private_messages = true;
            }
        }
        chatroom
    }
}

impl fmt::Display for Chatroom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.nickname, self.private_messages) {
            (true, true) => "nickname private-messages",
            (true, false) => "nickname",
            (false, true) => "private-messages",
            (false, false) => "",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Rows: C7701-54, E-32
    #[test]
    fn rfc7701_8_chatroom_tokens() {
        let both = Chatroom {
            nickname: true,
            private_messages: true,
        };
        let nickname = Chatroom {
            nickname: true,
            private_messages: false,
        };
        let private = Chatroom {
            nickname: false,
            private_messages: true,
        };
        for (value, chatroom) in [
            ("", Chatroom::default()),
            ("nickname", nickname),
            ("nicknames", nickname),
            ("Nickname", nickname),
            ("private-messages", private),
            ("nickname private-messages com.ag-projects.screen-sharing", both),
            ("com.example.unknown", Chatroom::default()),
        ] {
            assert_eq!(Chatroom::parse(value), chatroom, "{value}");
            assert_eq!(Chatroom::parse(&chatroom.to_string()), chatroom, "{value}");
        }
        assert_eq!(both.to_string(), "nickname private-messages");
    }
}
