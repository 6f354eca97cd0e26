//! Paths through relays, asked for on the connection to the first of them (RFC 4976 §5.1).

use std::time::Instant;

use crate::{
    SessionId, Status,
    frame::{Flag, Headers, Writer},
    relay::{Client, Outcome, Parameters, Refusal},
};

use super::{
    Connection, Event, Phase,
    transactions::Transaction,
    wire::{Asked, Deadline, DeadlineKey},
};

/// The path of one session.
pub(super) struct Authorization {
    client: Client,
    /// Tells it from an earlier one for the same session.
    generation: u64,
    renewal: Option<DeadlineKey>,
}

impl Connection {
    pub(super) fn authorize(&mut self, parameters: Parameters, now: Instant) {
        let Some(id) = parameters.local.session().cloned() else {
            return;
        };
        self.end_authorization(&id);
        let refusal = if self.phase != Phase::Open {
            Some(Status::CONNECTION_LOST)
        } else if self.authorizations.len() >= self.wire.limits.sessions {
            Some(Status::CONGESTED)
        } else {
            None
        };
        if let Some(status) = refusal {
            let relay = parameters.relays.first().unwrap_or(&parameters.local).clone();
            let refusal = Refusal::Answered { relay, status };
            return self.wire.emit(Event::Unauthorized { session: id, refusal });
        }
        let authorization = Authorization {
            client: Client::new(parameters, self.wire.fresh_seed()),
            generation: self.wire.next_serial(),
            renewal: None,
        };
        self.authorizations.insert(id.clone(), authorization);
        self.pursue(&id, now);
    }

    /// The response to an AUTH, or `None` when its time is over.
    pub(super) fn relay_answered(
        &mut self,
        settled: &Transaction,
        response: Option<(Status, &Headers)>,
        now: Instant,
    ) {
        let Some(authorization) = self.authorizations.get_mut(&settled.session) else {
            return;
        };
        if authorization.generation != settled.generation {
            return;
        }
        match response {
            Some((status, headers)) => authorization.client.handle_response(status, headers, now),
            None => authorization.client.handle_silence(),
        }
        self.pursue(&settled.session, now);
    }

    pub(super) fn renewal_due(&mut self, id: &SessionId, now: Instant) {
        if let Some(authorization) = self.authorizations.get_mut(id) {
            authorization.renewal = None;
            authorization.client.handle_timeout(now);
            self.pursue(id, now);
        }
    }

    pub(super) fn end_authorization(&mut self, id: &SessionId) {
        let renewal = self.authorizations.remove(id).and_then(|ended| ended.renewal);
        if let Some(key) = renewal {
            self.wire.disarm(&key);
        }
    }

    /// Tells what the client says and sends what it asks.
    fn pursue(&mut self, id: &SessionId, now: Instant) {
        let Some(authorization) = self.authorizations.get_mut(id) else {
            return;
        };
        let mut over = false;
        while let Some(outcome) = authorization.client.poll_outcome() {
            let session = id.clone();
            self.wire.emit(match outcome {
                Outcome::Granted(grant) => Event::Authorized { session, grant },
                Outcome::Refused(refusal) => {
                    over = true;
                    Event::Unauthorized { session, refusal }
                }
            });
        }
        if over {
            return self.end_authorization(id);
        }
        if let Some(request) = authorization.client.poll_request() {
            let generation = authorization.generation;
            let transaction = self.wire.expect(id, generation, Asked::Authorization, &[], now);
            let control = &mut self.wire.control;
            let mut writer = Writer::request(control, transaction, "AUTH", &request.to, &request.from);
            if let Some(credentials) = &request.authorization {
                writer.header("Authorization", credentials);
            }
            if let Some(seconds) = request.expires {
                writer.display("Expires", format_args!("{seconds}"));
            }
            writer.end(Flag::Complete);
        }
        if let Some(key) = authorization.renewal.take() {
            self.wire.disarm(&key);
        }
        authorization.renewal = authorization
            .client
            .poll_timeout()
            .map(|due| self.wire.arm(due, Deadline::Renewal(id.clone())));
    }
}
