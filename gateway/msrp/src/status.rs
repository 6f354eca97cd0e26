//! Response and report status codes (RFC 4975 §10, RFC 4976 §10.3, RFC 7701 §10.3).

use std::fmt;

/// A three-digit MSRP status with the comment that goes with it. Equality is by code alone.
#[derive(Debug, Clone, Copy, Eq)]
pub struct Status {
    code: u16,
    comment: &'static str,
}

impl Status {
    /// 200: accepted.
    pub const OK: Self = Self::new(200, "OK");
    /// 400: malformed request.
    pub const BAD_REQUEST: Self = Self::new(400, "Bad Request");
    /// 401: a relay wants credentials (RFC 4976 §5.1).
    pub const UNAUTHORIZED: Self = Self::new(401, "Unauthorized");
    /// 403: the action is not allowed.
    pub const FORBIDDEN: Self = Self::new(403, "Forbidden");
    /// 404: no such recipient in the room (RFC 7701 §6.2).
    pub const NOT_FOUND: Self = Self::new(404, "Not Found");
    /// 408: a downstream transaction did not complete in time; also what a local deadline reports.
    pub const TIMEOUT: Self = Self::new(408, "Timeout");
    /// 413: stop sending this message.
    pub const STOP_SENDING: Self = Self::new(413, "Stop Sending Message");
    /// 415: media type not understood, or no message/cpim wrapper (RFC 7701 §6.3).
    pub const UNSUPPORTED_MEDIA: Self = Self::new(415, "Unsupported Media Type");
    /// 423: a parameter is out of bounds; of a relay, the lifetime asked for (RFC 4976 §4.6).
    pub const OUT_OF_BOUNDS: Self = Self::new(423, "Parameter Out Of Bounds");
    /// 424: malformed nickname (RFC 7701 §7.1).
    pub const MALFORMED_NICKNAME: Self = Self::new(424, "Malformed Nickname");
    /// 425: nickname reserved or in use (RFC 7701 §7.1).
    pub const NICKNAME_IN_USE: Self = Self::new(425, "Nickname Reserved or Already In Use");
    /// 428: the recipient takes no private messages (RFC 7701 §6.2).
    pub const PRIVATE_UNSUPPORTED: Self = Self::new(428, "Private Messages Not Supported");
    /// 481: no such session.
    pub const NO_SESSION: Self = Self::new(481, "No Such Session");
    /// 501: method not understood.
    pub const UNKNOWN_METHOD: Self = Self::new(501, "Unknown Method");
    /// 506: the session is bound to another connection.
    pub const BOUND_ELSEWHERE: Self = Self::new(506, "Session Already Bound");
    /// Local, never on the wire: the connection's outgoing queue is full.
    pub const CONGESTED: Self = Self::new(900, "Queue Full");
    /// Local, never on the wire: the connection ended before an answer came.
    pub const CONNECTION_LOST: Self = Self::new(901, "Connection Lost");
    /// Local, never on the wire: the owner gave the message up.
    pub const ABORTED: Self = Self::new(902, "Aborted");

    /// A status with a comment of one's own. `code` is 100 to 999.
    #[must_use]
    pub const fn new(code: u16, comment: &'static str) -> Self {
        Self { code, comment }
    }

    /// The status that a peer's three-digit code stands for, with the comment of the table above; an unlisted one has none.
    #[must_use]
    pub fn from_code(code: u16) -> Self {
        const LISTED: [Status; 15] = [
            Status::OK,
            Status::BAD_REQUEST,
            Status::UNAUTHORIZED,
            Status::FORBIDDEN,
            Status::NOT_FOUND,
            Status::TIMEOUT,
            Status::STOP_SENDING,
            Status::UNSUPPORTED_MEDIA,
            Status::OUT_OF_BOUNDS,
            Status::MALFORMED_NICKNAME,
            Status::NICKNAME_IN_USE,
            Status::PRIVATE_UNSUPPORTED,
            Status::NO_SESSION,
            Status::UNKNOWN_METHOD,
            Status::BOUND_ELSEWHERE,
        ];
        let listed = LISTED.into_iter().find(|status| status.code == code);
        listed.unwrap_or(Self::new(code, ""))
    }

    /// The three-digit code.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.code
    }

    /// The human-readable comment.
    #[must_use]
    pub const fn comment(self) -> &'static str {
        self.comment
    }

    /// Whether the code is 2xx.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.code >= 200 && self.code < 300
    }
}

impl PartialEq for Status {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.code)?;
        if self.comment.is_empty() {
            return Ok(());
        }
        write!(f, " {}", self.comment)
    }
}
