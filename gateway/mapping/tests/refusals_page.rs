//! `docs/refusals.md` is the refusal table as the code has it.

use std::fmt::Write;

use mapping::refusal::{Refusal, nickname_status, private_message_condition};
use msrp::Status;
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
        Refusal::Loop => "the address leads back to the gateway",
        Refusal::Offer(_) => "the offer has no usable MSRP line (the phrase says what is missing)",
        Refusal::OfferType => "the body is no session description",
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
        Refusal::Loop,
        Refusal::Offer("…"),
        Refusal::OfferType,
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
         answer to SEND and NICKNAME.\n\n| reason | SIP | MSRP |\n|---|---|---|\n",
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
            "| {} | {} {phrase}{with} | {} |",
            meaning(&refusal),
            sip.status.0,
            refusal.msrp()
        );
    }
    page.push_str(
        "\n## Conditions of a room\n\nRFC 7247 §7.1 table 2, except that 401 and 407 become 403, since the gateway has no challenge to \
         make, and that a full room is 486, since a 503 would make proxies avoid the gateway. MSRP names are ours: only the conflict is \
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
    page
}

#[test]
fn the_page_says_what_the_code_does() {
    let page = page();
    if page != PAGE {
        panic!("docs/refusals.md is out of date; it should read:\n{page}");
    }
}
