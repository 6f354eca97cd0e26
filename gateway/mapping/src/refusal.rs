//! Every reason for saying no, and what it is called in each protocol (RFC 7247 §7, RFC 7701, `docs/refusals.md`).

use msrp::Status;
use sip::{Reason, StatusCode, Uri, message::Header};
use xmpp::stanza::Condition;

/// Our reasoned "no", before it is put in a protocol's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The domain is not one of the configured conference domains.
    UnservedDomain,
    /// The user part names no possible room.
    NoSuchRoom,
    /// `sips:` cannot be honoured beyond the gateway (RFC 7247 §8).
    SecurityNotCarried,
    /// The caller has no usable identity.
    NoIdentity,
    /// The caller's domain is not the component's, in the native address form; or a conference's that is not served.
    ForeignUser,
    /// The invited address is no user.
    NoSuchUser,
    /// The name servers did not say whose the domain is.
    NotLocated,
    /// A telephone number that means something in one place only.
    LocalNumber,
    /// The address leads back to the gateway.
    Loop,
    /// The offer has no usable MSRP media line; which part is missing.
    Offer(&'static str),
    /// The body is no session description.
    OfferType,
    /// The list of recipients cannot be followed; why.
    Recipients(&'static str),
    /// The access lists do not allow it.
    NotAllowed,
    /// The caller hides who he is, which is not allowed here.
    Anonymous,
    /// The caller has to show that he knows the room's password: the challenges (RFC 3261 §22.2).
    Password(Vec<String>),
    /// Rooms are not made by calling them.
    RoomCreation,
    /// The invited user is in the room already, or on his way.
    AlreadyThere,
    /// The invited user says no, with these words.
    Declined(Option<String>),
    /// The invited user says nothing.
    NoAnswer,
    /// The link to the XMPP server is down.
    LinkDown,
    /// The gateway is stopping.
    Stopping,
    /// A limit of the gateway is reached; its name.
    Limit(&'static str),
    /// The room did not answer in time.
    RoomSilent,
    /// The room refused, with its condition and text.
    Room(Condition, Option<String>),
    /// The room is elsewhere now.
    Moved {
        /// It will not be back.
        for_good: bool,
        /// Its new conference URI.
        to: Box<Uri>,
    },
    /// Not a participant of the room.
    NotParticipant,
    /// Not an event package of ours.
    EventPackage,
    /// The subscriber takes no conference documents.
    DocumentType,
    /// The room was left or lost before the request was settled.
    NotInRoom,
    /// What is asked has no mapping.
    NotMapped,
    /// The text is over the limit.
    TooLarge,
    /// The MSRP session was never opened, or is lost; which.
    Media(&'static str),
    /// The room removed the user, or was closed.
    Removed {
        /// Closed for good.
        gone: bool,
        /// What happened, with the reason given.
        text: String,
    },
}

/// What the caller hears: a status, a phrase, further headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipRefusal {
    /// Status.
    pub status: StatusCode,
    /// Phrase; `None`: the usual one.
    pub phrase: Option<String>,
    /// Headers that the status needs.
    pub headers: Vec<Header>,
}

/// Seconds after which a caller may try again when the gateway cannot serve him now.
pub const RETRY_AFTER: u32 = 10;

/// Bodies of an INVITE that the gateway takes; 415 must name them (RFC 3261 §8.2.3).
const BODIES: &str = "application/sdp, multipart/mixed, application/resource-lists+xml";

/// Methods the gateway takes; 405 must name them (RFC 3261 §8.2.1).
pub const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, SUBSCRIBE, NOTIFY, REFER, UPDATE";

impl Refusal {
    /// In SIP's words.
    #[must_use]
    pub fn sip(&self) -> SipRefusal {
        let (code, phrase): (u16, Option<&str>) = match self {
            Self::UnservedDomain => (404, Some("Domain Not Served Here")),
            Self::NoSuchRoom => (404, Some("No Such Room")),
            Self::SecurityNotCarried => (480, Some("SIPS Is Not Carried Into Chat Rooms")),
            Self::NoIdentity => (403, Some("No Usable Caller Address")),
            Self::ForeignUser => (403, Some("Caller's Domain Not Served Here")),
            Self::NoSuchUser => (404, Some("No Such User")),
            Self::NotLocated => (480, Some("Name Servers Do Not Answer")),
            Self::LocalNumber => (484, Some("A Number Like +12015550123 Is Needed")),
            Self::Loop => (482, None),
            Self::Offer(part) => (488, Some(part)),
            Self::OfferType => (415, None),
            Self::Recipients(what) => (400, Some(what)),
            Self::NotAllowed => (403, Some("Not Allowed Here")),
            // RFC 5079.
            Self::Anonymous => (433, Some("Anonymity Disallowed")),
            Self::Password(_) => (401, Some("Password Of The Room Needed")),
            Self::RoomCreation => (403, Some("There Is No Such Room, And Calls Create None")),
            Self::AlreadyThere => (486, Some("In The Room Already, Or Called")),
            Self::Declined(words) => (603, words.as_deref()),
            Self::NoAnswer => (480, Some("No Answer")),
            Self::LinkDown => (503, Some("Chat Service Not Connected")),
            Self::Stopping => (503, Some("Shutting Down")),
            Self::Limit(_) => (503, Some("Too Many Sessions")),
            Self::RoomSilent => (408, Some("Room Does Not Answer")),
            Self::Room(condition, text) => (
                room_status(*condition),
                text.as_deref().or_else(|| room_phrase(*condition)),
            ),
            Self::Moved { for_good: true, .. } => (301, None),
            Self::Moved { for_good: false, .. } => (302, None),
            Self::NotParticipant => (403, Some("Not A Participant")),
            Self::EventPackage => (489, None),
            Self::DocumentType => (406, None),
            Self::NotInRoom => (480, Some("Not In The Room")),
            Self::NotMapped => (405, None),
            Self::TooLarge => (413, None),
            Self::Media(what) => (480, Some(what)),
            Self::Removed { gone: true, text } => (410, Some(text)),
            Self::Removed { gone: false, text } => (403, Some(text)),
        };
        SipRefusal {
            status: StatusCode(code),
            phrase: phrase.map(str::to_owned),
            headers: self.headers(),
        }
    }

    /// As the Reason of a BYE.
    #[must_use]
    pub fn reason(&self) -> Reason {
        let SipRefusal { status, phrase, .. } = self.sip();
        Reason {
            cause: status,
            text: phrase.unwrap_or_else(|| status.reason().to_owned()),
        }
    }

    /// In XMPP's words: the condition of an error stanza, and its text.
    #[must_use]
    pub fn xmpp(&self) -> (Condition, String) {
        let SipRefusal { status, phrase, .. } = self.sip();
        let condition = match self {
            Self::Room(condition, _) => *condition,
            Self::Limit(_) => Condition::ResourceConstraint,
            Self::LinkDown | Self::Stopping => Condition::ServiceUnavailable,
            _ => condition_of(status),
        };
        (condition, phrase.unwrap_or_else(|| status.reason().to_owned()))
    }

    /// In MSRP's words, for a SEND or NICKNAME.
    #[must_use]
    pub fn msrp(&self) -> Status {
        match self {
            Self::Room(condition, _) => message_status(*condition),
            Self::TooLarge => Status::STOP_SENDING,
            Self::NoSuchUser | Self::LocalNumber | Self::NoSuchRoom | Self::UnservedDomain => {
                Status::NOT_FOUND
            }
            Self::NotMapped | Self::DocumentType | Self::OfferType => Status::UNSUPPORTED_MEDIA,
            Self::LinkDown => Status::new(408, "Chat Service Not Connected"),
            Self::Stopping => Status::new(408, "Shutting Down"),
            Self::RoomSilent => Status::new(408, "Room Does Not Answer"),
            Self::NotLocated => Status::new(408, "Name Servers Do Not Answer"),
            Self::NotInRoom => Status::new(408, "Not In The Room"),
            Self::Moved { .. } => Status::NOT_FOUND,
            Self::Media(_) | Self::Removed { .. } => Status::NO_SESSION,
            Self::Limit(_) => Status::new(403, "Limit Reached"),
            Self::SecurityNotCarried
            | Self::NoIdentity
            | Self::ForeignUser
            | Self::Loop
            | Self::Offer(_)
            | Self::Recipients(_)
            | Self::NotAllowed
            | Self::Anonymous
            | Self::Password(_)
            | Self::RoomCreation
            | Self::AlreadyThere
            | Self::Declined(_)
            | Self::NoAnswer
            | Self::NotParticipant
            | Self::EventPackage => Status::FORBIDDEN,
        }
    }

    fn headers(&self) -> Vec<Header> {
        let header = |name: &'static str, value: String| {
            vec![Header {
                name: name.into(),
                value,
            }]
        };
        match self {
            Self::LinkDown | Self::Stopping | Self::Limit(_) => {
                header("Retry-After", RETRY_AFTER.to_string())
            }
            Self::Password(challenges) => challenges
                .iter()
                .flat_map(|challenge| header("WWW-Authenticate", challenge.clone()))
                .collect(),
            Self::Moved { to, .. } => header("Contact", format!("<{to}>")),
            Self::Offer(part) => header("Warning", format!("399 gateway \"{part}\"")),
            Self::OfferType => header("Accept", BODIES.to_owned()),
            Self::EventPackage => header("Allow-Events", "conference".to_owned()),
            Self::DocumentType => header("Accept", sip::conference::CONTENT_TYPE.to_owned()),
            Self::NotMapped => header("Allow", ALLOW.to_owned()),
            _ => Vec::new(),
        }
    }
}

/// RFC 7247 §7.1 table 2 for a room that refuses entry. Three rows differ: 401 and 407 would need a challenge, which only rooms
/// have whose password is known here ([`Refusal::Password`]), and a 503 would make proxies avoid the gateway, where a full room is busy.
fn room_status(condition: Condition) -> u16 {
    match condition {
        Condition::BadRequest
        | Condition::Conflict
        | Condition::JidMalformed
        | Condition::SubscriptionRequired
        | Condition::UndefinedCondition => 400,
        Condition::FeatureNotImplemented => 501,
        Condition::Forbidden
        | Condition::NotAllowed
        | Condition::PolicyViolation
        | Condition::NotAuthorized
        | Condition::RegistrationRequired => 403,
        Condition::Gone => 410,
        Condition::InternalServerError | Condition::ResourceConstraint => 500,
        Condition::ItemNotFound | Condition::RemoteServerNotFound => 404,
        Condition::NotAcceptable => 406,
        // Without a Contact that we can name, a 302 would tell the caller nothing.
        Condition::RecipientUnavailable | Condition::Redirect => 480,
        Condition::RemoteServerTimeout => 408,
        Condition::ServiceUnavailable => 486,
        Condition::UnexpectedRequest => 491,
    }
}

/// What a room means by a condition when it refuses entry without a text (XEP-0045 §7.2).
fn room_phrase(condition: Condition) -> Option<&'static str> {
    match condition {
        Condition::NotAuthorized => Some("The Room Wants A Password: Ask To Be Invited"),
        Condition::RegistrationRequired => Some("The Room Is For Members Only"),
        Condition::Forbidden => Some("Banned From The Room"),
        Condition::ItemNotFound => Some("No Such Room"),
        Condition::NotAllowed => Some("Rooms May Not Be Created"),
        Condition::NotAcceptable => Some("The Room Wants Registered Nicknames"),
        Condition::ServiceUnavailable => Some("The Room Is Full"),
        _ => None,
    }
}

/// What a SEND hears when the room bounces its message.
fn message_status(condition: Condition) -> Status {
    match condition {
        Condition::ItemNotFound | Condition::RecipientUnavailable | Condition::Gone => Status::NOT_FOUND,
        Condition::PolicyViolation => Status::STOP_SENDING,
        Condition::BadRequest | Condition::JidMalformed => Status::BAD_REQUEST,
        Condition::RemoteServerTimeout
        | Condition::RemoteServerNotFound
        | Condition::ResourceConstraint
        | Condition::InternalServerError => Status::TIMEOUT,
        Condition::FeatureNotImplemented | Condition::ServiceUnavailable => Status::PRIVATE_UNSUPPORTED,
        Condition::Conflict
        | Condition::Forbidden
        | Condition::NotAcceptable
        | Condition::NotAllowed
        | Condition::NotAuthorized
        | Condition::Redirect
        | Condition::RegistrationRequired
        | Condition::SubscriptionRequired
        | Condition::UndefinedCondition
        | Condition::UnexpectedRequest => Status::FORBIDDEN,
    }
}

/// What a NICKNAME hears when the room refuses the change (RFC 7702 §6.4 names the conflict; the rest is ours).
#[must_use]
pub fn nickname_status(condition: Condition) -> Status {
    match condition {
        Condition::Conflict => Status::NICKNAME_IN_USE,
        Condition::JidMalformed | Condition::BadRequest => Status::MALFORMED_NICKNAME,
        Condition::RemoteServerTimeout | Condition::RemoteServerNotFound => Status::TIMEOUT,
        _ => Status::FORBIDDEN,
    }
}

/// RFC 7247 §7.2 table 3: what an XMPP user hears of a SIP refusal. What the table leaves out is what its class is. A 301 has to come with
/// the new address, a 410 without (note 1).
#[must_use]
pub fn condition_of(status: StatusCode) -> Condition {
    match status.0 {
        380 | 406 | 415 | 416 | 421 | 482 | 483 | 488 | 505 | 606 => Condition::NotAcceptable,
        301 | 410 => Condition::Gone,
        401 => Condition::NotAuthorized,
        403 => Condition::Forbidden,
        404 | 481 | 484 | 485 | 604 => Condition::ItemNotFound,
        405 | 420 | 439 | 501 => Condition::FeatureNotImplemented,
        407 => Condition::RegistrationRequired,
        408 | 504 => Condition::RemoteServerTimeout,
        413 | 414 | 440 | 489 | 513 => Condition::PolicyViolation,
        423 => Condition::ResourceConstraint,
        430 | 480 | 486 | 487 => Condition::RecipientUnavailable,
        491 => Condition::UnexpectedRequest,
        502 => Condition::RemoteServerNotFound,
        // XMPP's service-unavailable is no 503 (note 9).
        500..=599 => Condition::InternalServerError,
        300..=399 => Condition::Redirect,
        600..=699 => Condition::RecipientUnavailable,
        _ => Condition::BadRequest,
    }
}

/// What an XMPP user hears when a conference server refuses what he says (RFC 7701 §6.3 and RFC 4975 §10; the conditions are ours).
#[must_use]
pub fn message_condition(status: Status) -> Condition {
    match status.code() {
        403 => Condition::Forbidden,
        404 => Condition::ItemNotFound,
        408 => Condition::RemoteServerTimeout,
        413 => Condition::PolicyViolation,
        415 => Condition::NotAcceptable,
        428 | 501 => Condition::FeatureNotImplemented,
        481 | 506 | 900.. => Condition::RecipientUnavailable,
        _ => Condition::BadRequest,
    }
}

/// What an XMPP user hears when a conference server refuses his nickname (RFC 7702 §5.6 names the conflict; the rest is ours).
#[must_use]
pub fn nickname_condition(status: Status) -> Condition {
    match status.code() {
        425 => Condition::Conflict,
        424 => Condition::JidMalformed,
        403 => Condition::NotAcceptable,
        408 => Condition::RemoteServerTimeout,
        501 => Condition::FeatureNotImplemented,
        481 | 506 | 900.. => Condition::RecipientUnavailable,
        _ => Condition::BadRequest,
    }
}

/// What an XMPP user hears when his private message is refused on the MSRP side. None of these is among the conditions for which
/// servers take an occupant for gone and remove him.
#[must_use]
pub fn private_message_condition(status: Status) -> Condition {
    match status.code() {
        400 | 423 => Condition::BadRequest,
        403 => Condition::Forbidden,
        413 => Condition::PolicyViolation,
        428 | 501 => Condition::FeatureNotImplemented,
        408 | 481 | 506 | 900.. => Condition::ResourceConstraint,
        _ => Condition::NotAcceptable,
    }
}
