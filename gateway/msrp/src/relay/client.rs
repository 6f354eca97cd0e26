//! The exchange with the relays of one session.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::{Path, Status, Uri, frame::Headers};

use super::{
    Challenge, Grant, Outcome, Parameters, RELAYS, Refusal,
    digest::{Answer, Info},
};

/// Requests to one relay in a row: a challenge, a stale nonce and a lifetime out of bounds fit into it.
const ATTEMPTS: u32 = 5;

/// No renewal follows another sooner than this, whatever lifetime a relay grants.
const SHORTEST: Duration = Duration::from_secs(1);

/// Asks the relays of one session, in their order, and again before the path expires.
///
/// Contract: take `poll_request` and send it as an AUTH on the connection to the first relay; give its response to
/// `handle_response`, or its absence to `handle_silence`; then take `poll_outcome` until `None`, and `poll_request` again. Only
/// one request is under way at a time. `poll_timeout` says when `handle_timeout` is due.
///
/// [`crate::Command::Authorize`] does this for the owner of a [`crate::Connection`].
#[derive(Debug)]
pub struct Client {
    parameters: Parameters,
    rng: ChaCha12Rng,
    /// What is known of each relay, in their order.
    relays: Vec<Relay>,
    phase: Phase,
    outcomes: VecDeque<Outcome>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// This relay is to be asked.
    ToAsk(usize),
    /// This relay has been asked.
    Asked(usize),
    /// All have answered; renewal is due then, if the path expires at all.
    Granted(Option<Instant>),
    Ended,
}

#[derive(Debug)]
struct Relay {
    uri: Uri,
    challenge: Option<Challenge>,
    /// How often the nonce has been used.
    uses: u32,
    /// Requests since it agreed last.
    attempts: u32,
    /// Seconds to ask for.
    lifetime: Option<u64>,
    /// Whether the request that is under way carried credentials, and what proves that the relay knows them.
    expected: Option<String>,
    use_path: Option<Path>,
    granted: Option<Lifetime>,
}

/// How long a path holds.
#[derive(Debug, Clone, Copy)]
struct Lifetime {
    from: Instant,
    length: Duration,
}

/// An AUTH to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// To-Path.
    pub to: Path,
    /// From-Path.
    pub from: Path,
    /// The value of Authorization.
    pub authorization: Option<String>,
    /// The value of Expires, in seconds.
    pub expires: Option<u64>,
}

impl Client {
    /// A client that is about to ask the first relay. Its random numbers come from `seed`.
    #[must_use]
    pub fn new(parameters: Parameters, seed: [u8; 32]) -> Self {
        let lifetime = parameters.lifetime;
        let relays = parameters.relays.iter().take(RELAYS).map(|uri| Relay {
            uri: uri.clone(),
            challenge: None,
            uses: 0,
            attempts: 0,
            lifetime,
            expected: None,
            use_path: None,
            granted: None,
        });
        let mut client = Self {
            relays: relays.collect(),
            rng: ChaCha12Rng::from_seed(seed),
            phase: Phase::ToAsk(0),
            outcomes: VecDeque::new(),
            parameters,
        };
        if let Some(why) = client.unusable() {
            client.refuse(Refusal::Parameters(why));
        }
        client
    }

    /// The AUTH to send now, if there is one.
    pub fn poll_request(&mut self) -> Option<Request> {
        let Phase::ToAsk(index) = self.phase else {
            return None;
        };
        let inner = match index.checked_sub(1) {
            Some(before) => self.relays.get(before)?.use_path.clone(),
            None => None,
        };
        let cnonce = format!("{:016x}{:016x}", self.rng.next_u64(), self.rng.next_u64());
        let relay = self.relays.get_mut(index)?;
        let hops = inner.iter().flat_map(|path| path.hops());
        let to = Path::of(hops.chain([&relay.uri]).cloned())?;
        relay.attempts += 1;
        relay.uses = relay.uses.saturating_add(1);
        let answer = relay.challenge.as_ref().map(|challenge| {
            // RFC 4976 §9.1: the request-URI is the rightmost one of the To-Path.
            let uri = relay.uri.as_str();
            challenge.answer(&self.parameters.account, "AUTH", uri, &cnonce, relay.uses)
        });
        let (authorization, expected) = match answer {
            Some(Answer {
                authorization,
                expected,
            }) => (Some(authorization), Some(expected)),
            None => (None, None),
        };
        relay.expected = expected;
        self.phase = Phase::Asked(index);
        Some(Request {
            to,
            from: Path::single(self.parameters.local.clone()),
            authorization,
            expires: relay.lifetime,
        })
    }

    /// The response to the request.
    pub fn handle_response(&mut self, status: Status, headers: &Headers, now: Instant) {
        let Phase::Asked(index) = self.phase else {
            return;
        };
        let outcome = match status {
            _ if status.is_success() => self.agreed(index, headers, now),
            _ if status == Status::UNAUTHORIZED => self.challenged(index, headers),
            _ if status == Status::OUT_OF_BOUNDS => self.out_of_bounds(index, headers),
            _ => Err(self.answered(index, status)),
        };
        if let Err(refusal) = outcome {
            self.refuse(refusal);
        }
    }

    /// No response came in time.
    pub fn handle_silence(&mut self) {
        if let Phase::Asked(index) = self.phase {
            let refusal = self.answered(index, Status::TIMEOUT);
            self.refuse(refusal);
        }
    }

    /// The instant that `poll_timeout` named has come: all relays are asked again.
    pub fn handle_timeout(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Granted(Some(due)) if due <= now) {
            self.phase = Phase::ToAsk(0);
        }
    }

    /// When `handle_timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Granted(due) => due,
            Phase::ToAsk(_) | Phase::Asked(_) | Phase::Ended => None,
        }
    }

    /// What came of it.
    pub fn poll_outcome(&mut self) -> Option<Outcome> {
        self.outcomes.pop_front()
    }

    fn unusable(&self) -> Option<&'static str> {
        let Parameters {
            relays, plaintext, ..
        } = &self.parameters;
        if relays.is_empty() {
            Some("no relay")
        } else if relays.len() > RELAYS {
            Some("more than 8 relays")
        } else if !plaintext && !relays.iter().all(Uri::is_secure) {
            Some("RFC 4976 §9.2: a relay without TLS")
        } else {
            None
        }
    }

    /// 401: another attempt with credentials.
    fn challenged(&mut self, index: usize, headers: &Headers) -> Result<(), Refusal> {
        let weakest = self.parameters.weakest;
        let Some(relay) = self.relays.get_mut(index) else {
            return Ok(());
        };
        let mut why = "RFC 4976 §5.1: a 401 without WWW-Authenticate";
        let mut strongest: Option<Challenge> = None;
        for value in headers.all_named("WWW-Authenticate") {
            match Challenge::parse(value) {
                Ok(challenge) if challenge.algorithm < weakest => why = "a hash weaker than allowed",
                Ok(challenge) => {
                    let known = strongest.as_ref().map(|known| known.algorithm);
                    if known.is_none_or(|known| known < challenge.algorithm) {
                        strongest = Some(challenge);
                    }
                }
                Err(fault) => why = fault.0,
            }
        }
        let refused = |why| {
            let relay = relay.uri.clone();
            Err(Refusal::Credentials { relay, why })
        };
        let Some(challenge) = strongest else {
            return refused(why);
        };
        // A nonce kept from before may have ended without the relay saying so: credentials fail at the second challenge.
        if relay.expected.is_some() && !challenge.stale && relay.attempts > 1 {
            return refused("wrong user name or password");
        }
        if relay.attempts >= ATTEMPTS {
            return refused("challenged again and again");
        }
        relay.challenge = Some(challenge);
        relay.uses = 0;
        self.phase = Phase::ToAsk(index);
        Ok(())
    }

    /// 423: another attempt with a lifetime that the relay allows, or with none.
    fn out_of_bounds(&mut self, index: usize, headers: &Headers) -> Result<(), Refusal> {
        let answered = self.answered(index, Status::OUT_OF_BOUNDS);
        let Some(relay) = self.relays.get_mut(index) else {
            return Ok(());
        };
        let (least, most) = headers.expires_bounds();
        let lifetime = match (relay.lifetime, least, most) {
            (Some(asked), _, Some(most)) if asked > most => Some(most),
            (Some(asked), Some(least), _) if asked < least => Some(least),
            // Refused within its bounds, or without any: a widely deployed relay takes no Expires at all.
            (Some(_), _, _) => None,
            (None, None, None) => return Err(answered),
            (None, least, most) => most.or(least),
        };
        if relay.attempts >= ATTEMPTS {
            return Err(answered);
        }
        relay.lifetime = lifetime;
        self.phase = Phase::ToAsk(index);
        Ok(())
    }

    /// 200: on to the next relay, or done.
    fn agreed(&mut self, index: usize, headers: &Headers, now: Instant) -> Result<(), Refusal> {
        let Some(relay) = self.relays.get_mut(index) else {
            return Ok(());
        };
        let broken = |rule| {
            let relay = relay.uri.clone();
            Err(Refusal::Relay { relay, rule })
        };
        let Some(use_path) = headers.use_path() else {
            return broken("RFC 4976 §4.2: no Use-Path");
        };
        let info = headers
            .named("Authentication-Info")
            .map(Info::parse)
            .unwrap_or_default();
        if let (Some(expected), Some(proof)) = (&relay.expected, &info.proof)
            && !proof.eq_ignore_ascii_case(expected)
        {
            return broken("RFC 4976 §9.4: it does not know the password");
        }
        let seconds = headers.expires().or(relay.lifetime);
        if seconds == Some(0) {
            return broken("RFC 4976 §4.6: a path that holds no time");
        }
        relay.granted = seconds.map(|seconds| Lifetime {
            from: now,
            length: Duration::from_secs(seconds.min(u64::from(u32::MAX))),
        });
        relay.use_path = Some(use_path);
        relay.attempts = 0;
        relay.expected = None;
        if let (Some(challenge), Some(nonce)) = (&mut relay.challenge, info.next_nonce) {
            challenge.nonce = nonce;
            relay.uses = 0;
        }
        self.phase = Phase::ToAsk(index + 1);
        if index + 1 == self.relays.len() {
            self.all_agreed();
        }
        Ok(())
    }

    fn all_agreed(&mut self) {
        let lifetimes = || self.relays.iter().filter_map(|relay| relay.granted);
        let after = |lifetime: Lifetime, length: Duration| lifetime.from.checked_add(length);
        let expires = lifetimes()
            .filter_map(|lifetime| after(lifetime, lifetime.length))
            .min();
        // A fifth of the time is left for the answers of the relays and for a new offer.
        let due = lifetimes()
            .filter_map(|lifetime| after(lifetime, (lifetime.length * 4 / 5).max(SHORTEST)))
            .min();
        let use_path = self.relays.last().and_then(|relay| relay.use_path.clone());
        self.phase = Phase::Granted(due);
        if let Some(use_path) = use_path {
            self.outcomes
                .push_back(Outcome::Granted(Grant { use_path, expires }));
        }
    }

    fn answered(&self, index: usize, status: Status) -> Refusal {
        let relay = self.relays.get(index).map(|relay| &relay.uri);
        Refusal::Answered {
            relay: relay.unwrap_or(&self.parameters.local).clone(),
            status,
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.phase = Phase::Ended;
        self.outcomes.push_back(Outcome::Refused(refusal));
    }
}
