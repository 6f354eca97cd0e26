//! Header values of ours.

use super::{
    command::{Body, Contact, Reason, SubscriptionState},
    config::LocalAddress,
    flow::Transport,
};
use crate::message::{
    Header, Headers, Message, Method, NameAddr, Parameterized, Request, Response, StatusCode, Uri,
};

/// Methods we act on (RFC 3261 §20.5).
pub(super) const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, SUBSCRIBE, NOTIFY, REFER, UPDATE, PRACK, MESSAGE, INFO";
/// Option tags we understand in Require.
pub(super) const SUPPORTED: [&str; 7] = [
    "norefersub",
    "nosub",
    "explicitsub",
    "timer",
    "100rel",
    "recipient-list-invite",
    "multiple-refer",
];
/// Bodies an INVITE or UPDATE may carry.
pub(super) const ACCEPT: &str = "application/sdp, multipart/mixed, application/resource-lists+xml";

/// Appends the owner's headers; one that the endpoint writes itself is left out.
pub(super) fn push_owned(headers: &mut Headers, owned: Vec<Header>) {
    const OWN: [&str; 11] = [
        "Via",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Max-Forwards",
        "Contact",
        "Route",
        "Record-Route",
        "Content-Length",
        "Content-Type",
    ];
    let foreign = |header: &Header| !OWN.iter().any(|name| name.eq_ignore_ascii_case(&header.name));
    headers.0.extend(owned.into_iter().filter(foreign));
}

pub(super) fn push_body(headers: &mut Headers, body: Option<Body>) -> bytes::Bytes {
    match body {
        Some(body) => {
            headers.push("Content-Type", body.content_type);
            body.bytes
        }
        None => bytes::Bytes::new(),
    }
}

/// The Contact header value for a dialog that runs over `local`.
pub(super) fn contact(contact: &Contact, local: &LocalAddress) -> String {
    let mut uri = Uri::new(contact.user.as_deref(), &local.host, Some(local.port));
    match local.transport {
        Transport::Udp => {}
        Transport::Tcp => uri = uri.with_parameter("transport", Some("tcp")),
        Transport::Tls => uri = uri.with_parameter("transport", Some("tls")),
    }
    let (of_uri, of_header): (Vec<_>, Vec<_>) =
        contact.parameters.iter().partition(|(name, _)| *name == "gr");
    for (name, value) in of_uri {
        uri = uri.with_parameter(name, value.as_deref());
    }
    let mut address = NameAddr::new(uri);
    address.parameters = of_header
        .into_iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    address.to_string()
}

pub(super) fn via(local: &LocalAddress, transport: Transport, branch: &str) -> String {
    let (protocol, parameter) = match transport {
        // RFC 3581 §3: the response finds its way back through an address translator.
        Transport::Udp => ("UDP", ";rport"),
        Transport::Tcp => ("TCP", ""),
        // RFC 5923 §4: the peer may send its requests on our connection; our certificate says who we are.
        Transport::Tls => ("TLS", ";alias"),
    };
    let host = &local.host;
    let port = local.port;
    if host.contains(':') && !host.starts_with('[') {
        format!("SIP/2.0/{protocol} [{host}]:{port};branch={branch}{parameter}")
    } else {
        format!("SIP/2.0/{protocol} {host}:{port};branch={branch}{parameter}")
    }
}

pub(super) fn reason(reason: &Reason) -> String {
    let text = reason.text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("SIP;cause={};text=\"{text}\"", reason.cause.0)
}

/// The first Reason of protocol SIP (RFC 3326 §2).
pub(super) fn read_reason(headers: &Headers) -> Option<Reason> {
    let reasons = headers
        .list("Reason")
        .filter_map(|value| value.parse::<Parameterized>().ok());
    let mut of_sip = reasons.filter(|reason| reason.value.eq_ignore_ascii_case("SIP"));
    let reason = of_sip.next()?;
    Some(Reason {
        cause: StatusCode(reason.parameter("cause")?.parse().ok()?),
        text: reason.parameter_unquoted("text").unwrap_or_default(),
    })
}

/// The Subscription-State value for a NOTIFY of ours.
pub(super) fn subscription_state(state: &SubscriptionState, left: u64) -> String {
    match state {
        SubscriptionState::Active => format!("active;expires={left}"),
        SubscriptionState::Pending => format!("pending;expires={left}"),
        SubscriptionState::Terminated(reason) => {
            let reason: String = reason
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
                .collect();
            if reason.is_empty() {
                return "terminated".to_owned();
            }
            format!("terminated;reason={reason}")
        }
    }
}

/// A Subscription-State of the peer and the seconds it grants. An extension state counts as active (RFC 6665 §4.1.3).
pub(super) fn read_subscription_state(value: &str) -> Option<(SubscriptionState, Option<u32>)> {
    let read: Parameterized = value.parse().ok()?;
    let state = if read.value.eq_ignore_ascii_case("terminated") {
        SubscriptionState::Terminated(read.parameter_unquoted("reason").unwrap_or_default())
    } else if read.value.eq_ignore_ascii_case("pending") {
        SubscriptionState::Pending
    } else {
        SubscriptionState::Active
    };
    Some((
        state,
        read.parameter("expires").and_then(|seconds| seconds.parse().ok()),
    ))
}

/// An Event header value: the package in lower case, and its `id`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EventName {
    pub(super) package: String,
    pub(super) id: Option<String>,
}

impl EventName {
    pub(super) fn read(value: &str) -> Option<Self> {
        let read: Parameterized = value.parse().ok()?;
        Some(Self {
            package: read.value.to_ascii_lowercase(),
            id: read.parameter("id").map(str::to_owned),
        })
    }

    /// The owner's package name.
    pub(super) fn of_package(name: &str) -> Self {
        Self {
            package: name.to_ascii_lowercase(),
            id: None,
        }
    }

    pub(super) fn refer(cseq: Option<u32>) -> Self {
        Self {
            package: "refer".to_owned(),
            id: cseq.map(|number| number.to_string()),
        }
    }
}

impl std::fmt::Display for EventName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.id {
            Some(id) => write!(f, "{};id={id}", self.package),
            None => f.write_str(&self.package),
        }
    }
}

/// The request on the wire, with this Via on top.
pub(super) fn with_via(request: &Request, via: &str) -> bytes::Bytes {
    let mut headers = Headers::default();
    headers.push("Via", via);
    headers.0.extend(request.headers.0.iter().cloned());
    let request = Request {
        headers,
        ..request.clone()
    };
    Message::Request(request).to_bytes()
}

/// RFC 3261 §9.1: the INVITE's Request-URI, Route, From, To, Call-ID and sequence number.
pub(super) fn cancel_of(invite: &Request, further: Vec<Header>) -> Request {
    follow_up(invite, Method::CANCEL, None, further)
}

/// RFC 3261 §17.1.1.3: as CANCEL, but with the response's To and the INVITE's Via.
pub(super) fn ack_to_failure(invite: &Request, via: &str, response: &Response) -> bytes::Bytes {
    with_via(
        &follow_up(invite, Method::ACK, response.headers.get("To"), Vec::new()),
        via,
    )
}

fn follow_up(invite: &Request, method: Method, to: Option<&str>, further: Vec<Header>) -> Request {
    let mut headers = Headers::default();
    for route in invite.headers.list("Route") {
        headers.push("Route", route);
    }
    headers.push("Max-Forwards", "70");
    for name in ["From", "To", "Call-ID"] {
        let own = invite.headers.get(name).unwrap_or_default();
        headers.push(name, to.filter(|_| name == "To").unwrap_or(own));
    }
    let number = invite
        .headers
        .get("CSeq")
        .and_then(|value| value.split_whitespace().next())
        .unwrap_or_default();
    headers.push("CSeq", format!("{number} {method}"));
    headers.0.extend(further);
    Request {
        method,
        uri: invite.uri.clone(),
        headers,
        body: bytes::Bytes::new(),
    }
}
