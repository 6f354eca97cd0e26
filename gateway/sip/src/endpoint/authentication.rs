//! Answering 401 and 407 (RFC 3261 §22.2, §22.3, RFC 8760).
//!
//! A challenge is answered only if it names the realm of the credentials and came from the server they are for: the request went to an
//! address that this server has. Nobody else ever sees an answer, from which a password could be guessed.

use std::{collections::BTreeSet, net::IpAddr, time::Instant};

use super::{
    Endpoint,
    client::{ClientId, Purpose},
    flow::Target,
    route::Hop,
};
use crate::{
    digest::{Asked, Challenge, Password, strongest},
    locate::TARGETS_MAX,
    message::{CSeq, Header, Method, Request, Response, Uri},
};

/// Challenges of one request that are answered: one of a proxy, one of a server, and each once more for a stale nonce.
const ANSWERS_MAX: u8 = 4;

/// A user's password in one realm, and the only server that may ask for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Realm; a challenge of another one is not answered.
    pub realm: String,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Password,
    /// The proxy or registrar. A name is known by the addresses of its last look-up, so that one request has to have gone there by name
    /// before a challenge in a dialog that the peer opened is answered.
    pub server: Uri,
}

/// Credentials with what is known of their server.
pub(super) struct Identity {
    credentials: Credentials,
    /// Addresses of the server.
    addresses: BTreeSet<IpAddr>,
    /// The nonce answered last, and how often.
    used: Option<(String, u32)>,
}

/// What responses have made a request be repeated for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Answered {
    total: u8,
    server: bool,
    proxy: bool,
    /// A longer session interval was asked for, as a 422 wanted.
    pub(super) interval: bool,
}

impl Endpoint {
    /// Sets the credentials that challenges to requests of ours are answered with; none to begin with. Each request is repeated with
    /// the answer, and so is one whose nonce was stale. ACK and CANCEL are never challenged.
    pub fn set_credentials(&mut self, credentials: Vec<Credentials>) {
        self.identities = credentials
            .into_iter()
            .map(|credentials| {
                let addresses = credentials.server.host().parse();
                Identity {
                    addresses: addresses.into_iter().collect(),
                    credentials,
                    used: None,
                }
            })
            .collect();
    }

    /// A hop was looked up: if it is the server of credentials, these are its addresses.
    pub(super) fn note_addresses(&mut self, hop: &Hop, targets: &[Target]) {
        for identity in &mut self.identities {
            let server = &identity.credentials.server;
            let same = server.host().eq_ignore_ascii_case(&hop.host) && server.port() == hop.port;
            if same && !targets.is_empty() {
                let addresses = targets.iter().take(TARGETS_MAX).map(|target| target.peer.ip());
                identity.addresses = addresses.collect();
            }
        }
    }

    /// The request with answers to the response's challenges and the next sequence number, if they are to be answered.
    pub(super) fn authenticated(
        &mut self,
        request: &Request,
        response: &Response,
        target: Target,
        answered: &mut Answered,
    ) -> Option<Request> {
        let (challenge_name, answer_name, done) = match response.status.0 {
            401 => ("WWW-Authenticate", "Authorization", &mut answered.server),
            407 => ("Proxy-Authenticate", "Proxy-Authorization", &mut answered.proxy),
            _ => return None,
        };
        let identity = self.identities.iter_mut().find(|identity| {
            identity.addresses.contains(&target.peer.ip())
                && strongest(response.headers.list(challenge_name), &identity.credentials.realm).is_some()
        })?;
        let realm = &identity.credentials.realm;
        let challenge = strongest(response.headers.list(challenge_name), realm)?;
        let repeated = std::mem::replace(done, true);
        if answered.total >= ANSWERS_MAX || (repeated && !challenge.is_stale()) {
            return None;
        }
        answered.total += 1;
        let cnonce = self.tokens.cnonce();
        let value = identity.answer(&challenge, request, &cnonce);
        let mut request = request.clone();
        // An answer to the other kind of challenge stays (RFC 3261 §22.3).
        request
            .headers
            .0
            .retain(|header| !header.name.eq_ignore_ascii_case(answer_name));
        request.headers.push(answer_name, value);
        self.advance_cseq(&mut request)?;
        Some(request)
    }

    /// RFC 3261 §22.2: the repeated request has the next sequence number, which its dialog must know of.
    pub(super) fn advance_cseq(&mut self, request: &mut Request) -> Option<()> {
        let cseq: CSeq = request.headers.get("CSeq")?.parse().ok()?;
        let number = match self.dialogs.of_own_request(request) {
            Some(dialog) => dialog.next_cseq(),
            None => cseq.number.saturating_add(1),
        };
        let value = format!("{number} {}", request.method);
        let header = request
            .headers
            .0
            .iter_mut()
            .find(|header| header.name == "CSeq")?;
        header.value = value;
        Some(())
    }

    /// Answers a challenge with the request repeated; false if it is none or not to be answered. `over`: the challenged transaction is.
    pub(super) fn answer_challenge(
        &mut self,
        id: ClientId,
        response: &Response,
        over: bool,
        now: Instant,
    ) -> bool {
        if !matches!(response.status.0, 401 | 407) || self.identities.is_empty() {
            return false;
        }
        let Some((request, target, mut answered, purpose)) = self.clients.challenged(id) else {
            return false;
        };
        if matches!(request.method, Method::ACK | Method::CANCEL) {
            return false;
        }
        let Some(request) = self.authenticated(&request, response, target, &mut answered) else {
            return false;
        };
        if let Purpose::Subscribe(subscription) = purpose {
            self.subscribers.reopened_as(subscription, &request);
        }
        self.repeat_request(id, request, answered, over, now);
        true
    }
}

impl Identity {
    fn answer(&mut self, challenge: &Challenge, request: &Request, cnonce: &str) -> String {
        let count = match &self.used {
            Some((nonce, count)) if nonce == challenge.nonce() => count.saturating_add(1),
            _ => 1,
        };
        self.used = Some((challenge.nonce().to_owned(), count));
        let uri = request.uri.to_string();
        let asked = Asked {
            method: request.method.as_str(),
            uri: &uri,
            body: &request.body,
        };
        let Credentials {
            username, password, ..
        } = &self.credentials;
        challenge.answer(username, password, asked, count, cnonce)
    }
}

/// The answers in an INVITE, which its ACK repeats (RFC 3261 §22.1).
pub(super) fn answers_in(request: &Request) -> impl Iterator<Item = Header> {
    request
        .headers
        .0
        .iter()
        .filter(|header| is_answer(header))
        .cloned()
}

/// Authorization or Proxy-Authorization.
pub(super) fn is_answer(header: &Header) -> bool {
    ["Authorization", "Proxy-Authorization"]
        .iter()
        .any(|name| header.name.eq_ignore_ascii_case(name))
}
