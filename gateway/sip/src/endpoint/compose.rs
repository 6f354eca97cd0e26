//! Header values of ours.

use super::{
    command::{Body, Contact, Reason, SubscriptionState},
    config::LocalAddress,
    flow::Transport,
    tokens::MAGIC_COOKIE,
};
use crate::message::{Header, Headers, NameAddr, StatusCode, Uri};

/// Methods we act on (RFC 3261 §20.5). PRACK is not among them: we never send a reliable provisional response.
pub(super) const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, SUBSCRIBE, NOTIFY, REFER, UPDATE, MESSAGE, INFO";
/// Option tags we understand in Require.
pub(super) const SUPPORTED: [&str; 1] = ["norefersub"];
/// Event packages that may be subscribed to or are implied by REFER.
pub(super) const ALLOW_EVENTS: &str = "conference, refer";
/// Bodies an INVITE or UPDATE may carry.
pub(super) const ACCEPT: &str = "application/sdp";

/// Text without control characters, so that nothing of the owner's can begin a new header line.
pub(super) fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Appends the owner's headers; one whose name is no token or that the endpoint writes itself is left out.
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
    for header in owned {
        let is_token = !header.name.is_empty()
            && header
                .name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b));
        if is_token && !OWN.iter().any(|name| name.eq_ignore_ascii_case(&header.name)) {
            headers.push(header.name, clean(&header.value));
        }
    }
}

pub(super) fn push_body(headers: &mut Headers, body: Option<Body>) -> bytes::Bytes {
    match body {
        Some(body) => {
            headers.push("Content-Type", clean(&body.content_type));
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
    let mut address = NameAddr::new(uri);
    address.parameters = contact
        .parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_deref().map(clean)))
        .collect();
    address.to_string()
}

pub(super) fn via(local: &LocalAddress, transport: Transport, branch: &str) -> String {
    debug_assert!(branch.starts_with(MAGIC_COOKIE));
    let (protocol, rport) = match transport {
        // RFC 3581 §3: the response finds its way back through an address translator.
        Transport::Udp => ("UDP", ";rport"),
        Transport::Tcp => ("TCP", ""),
        Transport::Tls => ("TLS", ""),
    };
    let host = &local.host;
    let port = local.port;
    if host.contains(':') && !host.starts_with('[') {
        format!("SIP/2.0/{protocol} [{host}]:{port};branch={branch}{rport}")
    } else {
        format!("SIP/2.0/{protocol} {host}:{port};branch={branch}{rport}")
    }
}

pub(super) fn reason(reason: &Reason) -> String {
    let text = clean(&reason.text).replace('\\', "\\\\").replace('"', "\\\"");
    format!("SIP;cause={};text=\"{text}\"", reason.cause.0)
}

/// The first Reason of protocol SIP (RFC 3326 §2).
pub(super) fn read_reason(headers: &Headers) -> Option<Reason> {
    headers.list("Reason").find_map(|value| {
        let (protocol, rest) = value.split_once(';')?;
        if !protocol.trim().eq_ignore_ascii_case("SIP") {
            return None;
        }
        let parameters = split_parameters(rest);
        let find = |name: &str| {
            let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };
        Some(Reason {
            cause: StatusCode(find("cause")?.parse().ok()?),
            text: find("text").unwrap_or_default(),
        })
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
            format!("terminated;reason={reason}")
        }
    }
}

/// A Subscription-State of the peer and the time it grants. An extension state counts as active (RFC 6665 §4.1.3).
pub(super) fn read_subscription_state(value: &str) -> (SubscriptionState, Option<u64>) {
    let (state, rest) = value.split_once(';').unwrap_or((value, ""));
    let parameters = split_parameters(rest);
    let find = |name: &str| {
        let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    };
    let state = state.trim();
    let state = if state.eq_ignore_ascii_case("terminated") {
        SubscriptionState::Terminated(find("reason").unwrap_or_default())
    } else if state.eq_ignore_ascii_case("pending") {
        SubscriptionState::Pending
    } else {
        SubscriptionState::Active
    };
    (state, find("expires").and_then(|seconds| seconds.parse().ok()))
}

/// `name=value;name="quoted \" value"`, unquoted.
fn split_parameters(text: &str) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    let (mut name, mut value) = (String::new(), None::<String>);
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars().chain([';']) {
        let part = value.as_mut().unwrap_or(&mut name);
        match c {
            _ if escaped => {
                part.push(c);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ';' if !quoted => {
                let value = value.take().unwrap_or_default();
                parameters.push((name.trim().to_owned(), value.trim().to_owned()));
                name.clear();
            }
            '=' if !quoted && value.is_none() => value = Some(String::new()),
            _ => part.push(c),
        }
    }
    parameters
}

/// An Event header value: the package in lower case, and its `id`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EventName {
    pub(super) package: String,
    pub(super) id: Option<String>,
}

impl EventName {
    pub(super) fn read(value: &str) -> Self {
        let (package, rest) = value.split_once(';').unwrap_or((value, ""));
        let id = split_parameters(rest)
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("id"));
        Self {
            package: package.trim().to_ascii_lowercase(),
            id: id.map(|(_, value)| value),
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
            Some(id) => write!(f, "{};id={}", clean(&self.package), clean(id)),
            None => f.write_str(&clean(&self.package)),
        }
    }
}
