//! A request as it came: what every layer asks of it, read once, and what its responses repeat.

use std::{
    hash::{DefaultHasher, Hash, Hasher as _},
    net::SocketAddr,
};

use super::{
    command::Body,
    event::Incoming,
    flow::{Flow, Target, Transport},
    key::Key,
    trust,
};
use crate::message::{CSeq, Headers, Method, NameAddr, Request, Response, StatusCode, Uri, Via, tag_of};

/// Room for the header fields of most responses.
const USUAL_HEADERS: usize = 12;

/// A request with its identifying values.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) request: Request,
    pub(super) flow: Flow,
    pub(super) call_id: String,
    pub(super) from_tag: String,
    pub(super) to_tag: Option<String>,
    pub(super) cseq: u32,
    via: Via,
}

/// Identifies a server transaction (RFC 3261 §17.2.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ServerKey(Key);

/// Tells that two requests are one that came over two paths (RFC 3261 §8.2.2.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MergeKey(Key);

impl Received {
    /// `None` if a value that the validator vouches for is missing after all.
    pub(super) fn read(request: Request, flow: Flow) -> Option<Self> {
        let headers = &request.headers;
        let via: Via = headers.list("Via").next()?.parse().ok()?;
        let (from, to) = (headers.get("From")?, headers.get("To")?);
        let cseq: CSeq = headers.get("CSeq")?.parse().ok()?;
        Some(Self {
            flow,
            call_id: headers.get("Call-ID")?.to_owned(),
            from_tag: tag_of(from).unwrap_or_default().to_owned(),
            to_tag: tag_of(to).filter(|tag| !tag.is_empty()).map(str::to_owned),
            cseq: cseq.number,
            via,
            request,
        })
    }

    pub(super) fn method(&self) -> &Method {
        &self.request.method
    }

    /// The key of the transaction of `method` that this request belongs to: ACK and CANCEL name another's.
    pub(super) fn key(&self, method: &Method) -> ServerKey {
        let Via { host, port, .. } = &self.via;
        let method = method.as_str();
        match &self.via.branch {
            Some(branch) if self.via.has_transaction_branch() => {
                let port = port.unwrap_or_default().to_string();
                ServerKey(Key::new(&[branch, host, &port, method]))
            }
            // RFC 2543 peers. The To tag is left out, as only the ACK has it.
            _ => {
                let (uri, via) = (self.request.uri.to_string(), self.via.to_string());
                let cseq = self.cseq.to_string();
                ServerKey(Key::new(&[
                    "",
                    &uri,
                    &self.from_tag,
                    &self.call_id,
                    &cseq,
                    &via,
                    method,
                ]))
            }
        }
    }

    pub(super) fn merge_key(&self) -> MergeKey {
        let cseq = self.cseq.to_string();
        MergeKey(Key::new(&[
            &self.call_id,
            &self.from_tag,
            &cseq,
            self.method().as_str(),
        ]))
    }

    /// What the peer offers its TLS connection for (RFC 5923 §4, §7.2): requests to this host and port.
    pub(super) fn alias(&self) -> Option<(&str, u16)> {
        self.via.parameter("alias")?;
        let port = self.via.port.unwrap_or(Transport::Tls.default_port());
        (self.flow.transport == Transport::Tls).then_some((self.via.host.as_str(), port))
    }

    /// Whether no proxy stands between the peer and us.
    pub(super) fn is_direct(&self) -> bool {
        self.request.headers.list("Via").nth(1).is_none()
    }

    pub(super) fn from(&self) -> NameAddr {
        self.party("From")
    }

    /// The validator vouches for it; who could not be read after all is nobody (RFC 3323 §4.1.1.3).
    fn party(&self, name: &str) -> NameAddr {
        let value = self.request.headers.get(name);
        let read = value.and_then(|value| value.parse().ok());
        read.unwrap_or_else(|| NameAddr::new(Uri::new(Some("anonymous"), "anonymous.invalid", None)))
    }

    pub(super) fn contact(&self) -> Option<NameAddr> {
        self.request.headers.list("Contact").next()?.parse().ok()
    }

    pub(super) fn body(&self) -> Option<Body> {
        body_of(&self.request.headers, &self.request.body)
    }

    /// A number in a header, such as Expires.
    pub(super) fn number(&self, name: &str) -> Option<u32> {
        number_in(&self.request.headers, name)
    }

    /// Where responses go (RFC 3261 §18.2.2, RFC 3581 §4). `maddr` is not honoured: it would let a peer aim our responses at others.
    pub(super) fn response_target(&self) -> Target {
        let Flow { transport, peer, id } = self.flow;
        let default_port = transport.default_port();
        let port = match transport {
            Transport::Udp if self.via.rport.is_some() => peer.port(),
            Transport::Udp | Transport::Tcp | Transport::Tls => self.via.port.unwrap_or(default_port),
        };
        Target::new(transport, id, SocketAddr::new(peer.ip(), port), &self.via.host)
    }

    /// The top Via as responses repeat it, if that is not as it came (RFC 3261 §18.2.1, RFC 3581 §4).
    fn noted_via(&self) -> Option<Via> {
        let peer = self.flow.peer;
        if self.via.rport.is_none() && self.via.host.parse() == Ok(peer.ip()) {
            return None;
        }
        Some(Via {
            received: Some(peer.ip()),
            rport: self.via.rport.map(|_| Some(peer.port())),
            ..self.via.clone()
        })
    }

    /// The To tag of a stateless response: the same for a retransmission (RFC 3261 §8.2.7).
    pub(super) fn stateless_tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.key(self.method()).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    /// What the owner is shown.
    pub(super) fn incoming(&self) -> Box<Incoming> {
        self.clone().into_incoming()
    }

    /// The same where nobody else needs the request any more.
    pub(super) fn into_incoming(self) -> Box<Incoming> {
        Box::new(Incoming {
            asserted: trust::asserted_identity(&self.request.headers),
            anonymous: trust::asks_for_anonymity(&self.request.headers),
            from: without_tag(self.from()),
            to: without_tag(self.party("To")),
            contact: self.contact(),
            body: self.body(),
            method: self.request.method,
            uri: self.request.uri,
            call_id: self.call_id,
            headers: self.request.headers,
            flow: self.flow,
        })
    }

    pub(super) fn echo(&self) -> Echo {
        let headers = &self.request.headers;
        let mut vias: Vec<String> = headers.list("Via").map(str::to_owned).collect();
        if let (Some(top), Some(noted)) = (vias.first_mut(), self.noted_via()) {
            *top = noted.to_string();
        }
        let text = |name| headers.get(name).unwrap_or_default().to_owned();
        Echo {
            vias,
            record_routes: headers.list("Record-Route").map(str::to_owned).collect(),
            from: text("From"),
            to: text("To"),
            to_tagged: self.to_tag.is_some(),
            call_id: text("Call-ID"),
            cseq: text("CSeq"),
        }
    }
}

/// What a response repeats from its request (RFC 3261 §8.2.6.2).
#[derive(Debug, Clone)]
pub(super) struct Echo {
    vias: Vec<String>,
    record_routes: Vec<String>,
    from: String,
    to: String,
    to_tagged: bool,
    call_id: String,
    cseq: String,
}

impl Echo {
    /// The response's skeleton. `to_tag` is added unless the request had one; 100 carries none.
    pub(super) fn into_response(self, status: StatusCode, to_tag: &str, with_record_route: bool) -> Response {
        let mut headers = Headers(Vec::with_capacity(USUAL_HEADERS));
        for via in self.vias {
            headers.push("Via", via);
        }
        if with_record_route {
            for route in self.record_routes {
                headers.push("Record-Route", route);
            }
        }
        headers.push("From", self.from);
        if self.to_tagged || status.0 == 100 {
            headers.push("To", self.to);
        } else {
            headers.push("To", [&self.to, ";tag=", to_tag].concat());
        }
        headers.push("Call-ID", self.call_id);
        headers.push("CSeq", self.cseq);
        Response {
            status,
            reason: status.reason().to_owned(),
            headers,
            body: bytes::Bytes::new(),
        }
    }
}

pub(super) fn body_of(headers: &Headers, bytes: &bytes::Bytes) -> Option<Body> {
    (!bytes.is_empty()).then(|| Body {
        content_type: headers.get("Content-Type").unwrap_or_default().to_owned(),
        bytes: bytes.clone(),
    })
}

/// A header that is a number, perhaps with a comment or parameters behind it (`Retry-After: 120 (busy)`).
pub(super) fn number_in(headers: &Headers, name: &str) -> Option<u32> {
    let value = headers.get(name)?;
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    value.get(..end)?.parse().ok()
}

fn without_tag(mut address: NameAddr) -> NameAddr {
    address
        .parameters
        .retain(|(name, _)| !name.eq_ignore_ascii_case("tag"));
    address
}
