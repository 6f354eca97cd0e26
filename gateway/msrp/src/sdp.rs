//! Values of the SDP attributes of MSRP media (RFC 4975 §8, RFC 7701 §8, RFC 4145). The SDP grammar itself is elsewhere.

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

/// `a=accept-types` and `a=accept-wrapped-types`: media types compared without case, `*` for all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AcceptTypes(pub Vec<String>);

impl AcceptTypes {
    /// Reads the attribute's value.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        Self(value.split_ascii_whitespace().map(str::to_owned).collect())
    }
    /// Whether a media type (parameters ignored) is accepted: listed, `type/*`, or `*`.
    #[must_use]
    pub fn accepts(&self, media_type: &str) -> bool {
        let bare = without_parameters(media_type);
        self.0
            .iter()
            .map(|listed| without_parameters(listed))
            .any(|listed| match listed.strip_suffix('*') {
                Some("") => true,
                Some(family) if family.ends_with('/') => bare
                    .get(..family.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(family)),
                _ => bare.eq_ignore_ascii_case(listed),
            })
    }
}

impl fmt::Display for AcceptTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// `a=setup` (RFC 4145, RFC 6135).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// Opens the connection.
    Active,
    /// Waits for it.
    Passive,
    /// Either.
    ActPass,
    /// No connection for now.
    HoldConn,
}

impl Setup {
    const ALL: [Self; 4] = [Self::Active, Self::Passive, Self::ActPass, Self::HoldConn];

    /// Reads the attribute's value; `None` if it is none of the four.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|setup| setup.as_str().eq_ignore_ascii_case(value.trim()))
    }
    /// The attribute's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn without_parameters(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn rfc4975_8_6_accept_types() {
        for (value, media_type, accepted) in [
            ("message/cpim", "message/cpim", true),
            ("Message/CPIM text/plain", "message/cpim; charset=utf-8", true),
            ("message/cpim", "text/plain", false),
            ("*", "text/plain", true),
            ("text/*", "Text/HTML;charset=utf-8", true),
            ("text/*", "message/cpim", false),
            ("text/plain;charset=utf-8", "text/plain", true),
            ("text/plai*", "text/plain", false),
            ("", "text/plain", false),
        ] {
            assert_eq!(
                AcceptTypes::parse(value).accepts(media_type),
                accepted,
                "{value} {media_type}"
            );
        }
        assert_eq!(AcceptTypes::parse(" a/b  c/d ").to_string(), "a/b c/d");
    }

    #[test]
    fn rfc4145_4_setup() {
        for setup in Setup::ALL {
            assert_eq!(Setup::parse(setup.as_str()), Some(setup));
        }
        assert_eq!(Setup::parse("ActPass "), Some(Setup::ActPass));
        assert_eq!(Setup::parse("existing"), None);
    }
}
