//! `docs/refusals.md` is the refusal table as the code has it.

use std::fmt::Write;

use mapping::refusal::{
    Refusal, condition_of, message_condition, nickname_condition, nickname_status, private_message_condition,
};
use msrp::Status;
use sip::{StatusCode, Uri};
use xmpp::stanza::Condition;

const PAGE: &str = include_str!("../../../docs/refusals.md");

/// What each refusal is about, in the order of the page. The match makes the compiler ask for every new one.
fn meaning(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::UnservedDomain => "the domain is no conference domain of the gateway",
        Refusal::NoSuchRoom => "the address names no possible room",
        Refusal::SecurityNotCarried => "`sips:` cannot be honoured beyond the gateway",
        Refusal::NoIdentity => "the caller has no usable address",
        Refusal::ForeignUser => "the caller's domain is not the component's (native form)",
        Refusal::NoSuchUser => "who is invited is no user",
        Refusal::NotLocated => "name servers do not say whose the domain of who is invited is",
        Refusal::LocalNumber => "a telephone number that is none of the whole world",
        Refusal::Loop => "the address leads back to the gateway",
        Refusal::Offer(_) => "the offer has no usable MSRP line (the phrase says what is missing)",
        Refusal::OfferType => "the body is no session description",
        Refusal::Recipients(_) => "the list of recipients cannot be followed (the phrase says why)",
        Refusal::NotAllowed => "the access lists do not allow it",
        Refusal::Anonymous => "the caller hides who he is, which is not allowed",
        Refusal::Password(_) => "the room has a password, which the caller has to know",
        Refusal::RoomCreation => "there is no such room, and calls create none",
        Refusal::AlreadyThere => "the invited user is in the room already, or called",
        Refusal::Declined(_) => "the invited XMPP user declines (the phrase has his words)",
        Refusal::NoAnswer => "the invited XMPP user does not answer",
        Refusal::Moved { for_good: true, .. } => "the room has moved for good",
        Refusal::Moved { for_good: false, .. } => "the room is elsewhere for now",
        Refusal::LinkDown => "the XMPP server is away",
        Refusal::Stopping => "the gateway is stopping",
        Refusal::Limit(_) => "a limit is reached",
        Refusal::RoomSilent => "the room does not answer in time",
        Refusal::Room(..) => "the room refuses (see below)",
        Refusal::NotParticipant => "only participants may",
        Refusal::EventPackage => "no event package of ours",
        Refusal::DocumentType => "the subscriber takes no conference documents",
        Refusal::NotInRoom => "the user is not in the room at this moment",
        Refusal::NotMapped => "what is asked has no counterpart",
        Refusal::TooLarge => "the text is too long",
        Refusal::Media(_) => "the MSRP session was never opened or is lost",
        Refusal::Removed { gone: true, .. } => "the room was closed",
        Refusal::Removed { gone: false, .. } => "the room removed the user",
    }
}

fn all() -> Vec<Refusal> {
    vec![
        Refusal::UnservedDomain,
        Refusal::NoSuchRoom,
        Refusal::SecurityNotCarried,
        Refusal::NoIdentity,
        Refusal::ForeignUser,
        Refusal::NoSuchUser,
        Refusal::NotLocated,
        Refusal::LocalNumber,
        Refusal::Loop,
        Refusal::Offer("…"),
        Refusal::OfferType,
        Refusal::Recipients("…"),
        Refusal::NotAllowed,
        Refusal::Anonymous,
        Refusal::Password(vec!["…".to_owned()]),
        Refusal::RoomCreation,
        Refusal::AlreadyThere,
        Refusal::Declined(None),
        Refusal::NoAnswer,
        Refusal::Moved {
            for_good: true,
            to: Box::new(Uri::new(Some("room"), "rooms.example.com", None)),
        },
        Refusal::Moved {
            for_good: false,
            to: Box::new(Uri::new(Some("room"), "rooms.example.com", None)),
        },
        Refusal::LinkDown,
        Refusal::Stopping,
        Refusal::Limit("…"),
        Refusal::RoomSilent,
        Refusal::NotParticipant,
        Refusal::EventPackage,
        Refusal::DocumentType,
        Refusal::NotInRoom,
        Refusal::NotMapped,
        Refusal::TooLarge,
        Refusal::Media("…"),
        Refusal::Removed {
            gone: true,
            text: "…".to_owned(),
        },
        Refusal::Removed {
            gone: false,
            text: "…".to_owned(),
        },
    ]
}

const CONDITIONS: [Condition; 22] = [
    Condition::BadRequest,
    Condition::Conflict,
    Condition::FeatureNotImplemented,
    Condition::Forbidden,
    Condition::Gone,
    Condition::InternalServerError,
    Condition::ItemNotFound,
    Condition::JidMalformed,
    Condition::NotAcceptable,
    Condition::NotAllowed,
    Condition::NotAuthorized,
    Condition::PolicyViolation,
    Condition::RecipientUnavailable,
    Condition::Redirect,
    Condition::RegistrationRequired,
    Condition::RemoteServerNotFound,
    Condition::RemoteServerTimeout,
    Condition::ResourceConstraint,
    Condition::ServiceUnavailable,
    Condition::SubscriptionRequired,
    Condition::UndefinedCondition,
    Condition::UnexpectedRequest,
];

fn page() -> String {
    let mut page = String::from(
        "# Refusals\n\nWhat each \"no\" is called in each protocol. A test compares this page with the code.\n\n\
         ## Reasons of the gateway\n\nIn SIP: the status of a refused request, or the cause in the Reason of a BYE. In MSRP: the \
         answer to SEND and NICKNAME. In XMPP: the condition of an error stanza.\n\n| reason | SIP | MSRP | XMPP |\n|---|---|---|---|\n",
    );
    for refusal in all() {
        let sip = refusal.sip();
        let phrase = sip.phrase.unwrap_or_else(|| sip.status.reason().to_owned());
        let headers: Vec<String> = sip
            .headers
            .iter()
            .map(|h| format!("`{}: {}`", h.name, h.value))
            .collect();
        let with = if headers.is_empty() {
            String::new()
        } else {
            format!(", {}", headers.join(", "))
        };
        let _ = writeln!(
            page,
            "| {} | {} {phrase}{with} | {} | {} |",
            meaning(&refusal),
            sip.status.0,
            refusal.msrp(),
            refusal.xmpp().0.as_str()
        );
    }
    page.push_str(
        "\n## Conditions of a room\n\nRFC 7247 §7.1 table 2, except that 401 and 407 become 403, since a room asks for a password of its own and not for \
         one of SIP (a caller of a room in [[passwords]] is asked for it before, with 401), and that a full room is 486, since a 503 would make proxies avoid the gateway. Of two codes in a row the one that does not \
         speak for all of a user's devices is taken (4xx, not 6xx). gone and redirect with the address of a room that callers can reach are \
         301 and 302 to it. MSRP names are ours: only the conflict is \
         given (RFC 7702 §6.4).\n\n| condition | INVITE | SEND | NICKNAME |\n|---|---|---|---|\n",
    );
    for condition in CONDITIONS {
        let refusal = Refusal::Room(condition, None);
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            condition.as_str(),
            refusal.sip().status.0,
            refusal.msrp(),
            nickname_status(condition)
        );
    }
    page.push_str(
        "\n## MSRP statuses towards an XMPP sender\n\nOf a private message that a SIP user did not get. None of these is among the \
         conditions for which servers take an occupant for gone.\n\n| MSRP | condition |\n|---|---|\n",
    );
    for code in [400, 403, 404, 408, 413, 415, 423, 428, 481, 501, 506] {
        let condition = private_message_condition(Status::new(code, ""));
        let _ = writeln!(page, "| {code} | {} |", condition.as_str());
    }
    page.push_str(
        "\n## MSRP statuses of a conference server towards an XMPP user\n\nOf what he said to the conference, and of the nickname he \
         asked for. Only the conflict is given (RFC 7702 §5.6).\n\n| MSRP | message | nickname |\n|---|---|---|\n",
    );
    for code in [400, 403, 404, 408, 413, 415, 423, 424, 425, 428, 481, 501, 506] {
        let (said, called) = (
            message_condition(Status::new(code, "")),
            nickname_condition(Status::new(code, "")),
        );
        let _ = writeln!(page, "| {code} | {} | {} |", said.as_str(), called.as_str());
    }
    page.push_str(
        "\n## SIP statuses towards an XMPP user\n\nRFC 7247 §7.2 table 3; a status that is not listed is what its class is.\n\n\
         | SIP | condition |\n|---|---|\n",
    );
    for (code, _) in TABLE_3 {
        let _ = writeln!(page, "| {code} | {} |", condition_of(StatusCode(code)).as_str());
    }
    for (class, code) in [
        ("other 3xx", 399),
        ("other 4xx", 499),
        ("other 5xx", 599),
        ("other 6xx", 699),
    ] {
        let _ = writeln!(page, "| {class} | {} |", condition_of(StatusCode(code)).as_str());
    }
    page
}

/// RFC 7247 §7.2 table 3 as it is printed, without its rows for classes.
const TABLE_3: [(u16, &str); 48] = [
    (300, "redirect"),
    (301, "gone"),
    (302, "redirect"),
    (305, "redirect"),
    (380, "not-acceptable"),
    (400, "bad-request"),
    (401, "not-authorized"),
    (402, "bad-request"),
    (403, "forbidden"),
    (404, "item-not-found"),
    (405, "feature-not-implemented"),
    (406, "not-acceptable"),
    (407, "registration-required"),
    (408, "remote-server-timeout"),
    (410, "gone"),
    (413, "policy-violation"),
    (414, "policy-violation"),
    (415, "not-acceptable"),
    (416, "not-acceptable"),
    (420, "feature-not-implemented"),
    (421, "not-acceptable"),
    (423, "resource-constraint"),
    (430, "recipient-unavailable"),
    (439, "feature-not-implemented"),
    (440, "policy-violation"),
    (480, "recipient-unavailable"),
    (481, "item-not-found"),
    (482, "not-acceptable"),
    (483, "not-acceptable"),
    (484, "item-not-found"),
    (485, "item-not-found"),
    (486, "recipient-unavailable"),
    (487, "recipient-unavailable"),
    (488, "not-acceptable"),
    (489, "policy-violation"),
    (491, "unexpected-request"),
    (493, "bad-request"),
    (500, "internal-server-error"),
    (501, "feature-not-implemented"),
    (502, "remote-server-not-found"),
    (503, "internal-server-error"),
    (504, "remote-server-timeout"),
    (505, "not-acceptable"),
    (513, "policy-violation"),
    (600, "recipient-unavailable"),
    (603, "recipient-unavailable"),
    (604, "item-not-found"),
    (606, "not-acceptable"),
];

#[test]
fn rfc7247_section_7_2_table_3_row_by_row() {
    for (code, condition) in TABLE_3 {
        assert_eq!(condition_of(StatusCode(code)).as_str(), condition, "{code}");
    }
    for (code, condition) in [
        (399, "redirect"),
        (499, "bad-request"),
        (599, "internal-server-error"),
        (699, "recipient-unavailable"),
    ] {
        assert_eq!(condition_of(StatusCode(code)).as_str(), condition, "{code}");
    }
}

#[test]
fn the_page_says_what_the_code_does() {
    let page = page();
    if page != PAGE {
        panic!("docs/refusals.md is out of date; it should read:\n{page}");
    }
}
