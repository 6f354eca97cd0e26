//! Answers made from a message alone, without transaction or dialog (RFC 3261 §8.2.6, §8.2.7).

use super::{
    Headers, Method, NameAddr, Rejection, Request, Response, StatusCode,
    reader::{self, Head},
    validate, via,
};
use crate::{Limits, fingerprint};

impl Request {
    /// A response with Via, From, To, Call-ID and CSeq copied (RFC 3261 §8.2.6.2) and the usual reason phrase. `tag` is added to To
    /// if it has none; 100 takes none.
    #[must_use]
    pub fn answer(&self, status: StatusCode, tag: Option<&str>) -> Response {
        answer(&self.headers, status, tag)
    }
}

impl Response {
    /// 513 to a message over the limits, from its head as far as it was kept ([`super::StreamItem::TooLarge`]); `None` if it is no
    /// request or lacks what a response needs.
    #[must_use]
    pub fn too_large(head: &[u8]) -> Option<Self> {
        let head = reader::read_head(head, &Limits::default());
        let rejection = Rejection {
            status: StatusCode(513),
            rule: "Message Too Large (RFC 3261 §21.5.7)",
        };
        refuse(&head, &rejection)
    }
}

/// The response to a message that the validator refuses: only to a request that is no ACK, with a readable top Via, From, To, Call-ID
/// and CSeq. The tag depends on nothing but the message, so a retransmission gets the same response.
pub(super) fn refuse(head: &Head, rejection: &Rejection) -> Option<Response> {
    let headers = &head.headers;
    let is_ack = |text: &str| text.split([' ', '\t']).any(|word| word == Method::ACK.as_str());
    let cseq = headers.get("CSeq")?;
    if validate::is_status_line(&head.start_line)
        || head.start_line.starts_with("ACK ")
        || (head.start_line.is_empty() && is_ack(cseq))
    {
        return None;
    }
    headers
        .list("Via")
        .next()
        .filter(|top| via::is_via_of_any_version(top))?;
    for name in ["From", "To", "Call-ID"] {
        headers.get(name).filter(|value| !value.is_empty())?;
    }
    let mut response = answer(headers, rejection.status, Some(&tag_of(headers)));
    response.reason = rejection.phrase().to_owned();
    Some(response)
}

fn answer(request: &Headers, status: StatusCode, tag: Option<&str>) -> Response {
    let mut headers = Headers::default();
    for header in &request.0 {
        if ["Via", "From", "Call-ID", "CSeq"].contains(&&*header.name) {
            headers.0.push(header.clone());
        } else if header.name == "To" {
            headers.push("To", tagged(&header.value, tag));
        }
    }
    Response {
        status,
        reason: status.reason().to_owned(),
        headers,
        body: bytes::Bytes::new(),
    }
}

/// The To value as written, with the tag behind it if it has none.
fn tagged(to: &str, tag: Option<&str>) -> String {
    let has_tag = to
        .parse::<NameAddr>()
        .is_ok_and(|to| to.parameter("tag").is_some());
    match tag {
        Some(tag) if !has_tag => format!("{to};tag={tag}"),
        _ => to.to_owned(),
    }
}

/// From what identifies the transaction.
fn tag_of(headers: &Headers) -> String {
    let identity = ["Via", "From", "Call-ID", "CSeq"].map(|name| headers.get(name).unwrap_or_default());
    format!("{:016x}", fingerprint::of(identity))
}
