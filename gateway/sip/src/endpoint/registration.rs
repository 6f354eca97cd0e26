//! Registering with a registrar (RFC 3261 §10.2): the trunk that makes it send us requests.

use std::time::{Duration, Instant};

use super::{
    Endpoint,
    client::{ClientId, Failure, Purpose},
    command::Contact,
    flow::{Flow, FlowId},
    received::number_in,
    timers::Timer,
};
use crate::message::{CSeq, Method, NameAddr, Request, Response, StatusCode, Uri};

/// How long before its end a registration is refreshed, unless that is more than half of it.
const REFRESH_MARGIN: Duration = Duration::from_secs(37);
/// The shortest time between registrations, whatever the registrar grants.
const REFRESH_INTERVAL_MIN: Duration = Duration::from_secs(5);
/// The wait after a failure, doubled with each further one up to the last (RFC 5626 §4.5); half of it is drawn at random.
const RETRY_FIRST: Duration = Duration::from_secs(30);
const RETRY_LAST: Duration = Duration::from_secs(30 << 5);
/// The longest Retry-After that is obeyed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// The longest registration that a registrar's Min-Expires makes us ask for.
const MIN_EXPIRES_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest Flow-Timer that is obeyed.
const FLOW_TIMER_MIN: Duration = Duration::from_secs(10);

/// What to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterParameters {
    /// The registrar: `sip:example.com`, without user part.
    pub registrar: Uri,
    /// The address that is registered.
    pub address: NameAddr,
    /// Where its requests are to go: our Contact.
    pub contact: Contact,
    /// For how long; refreshed in time.
    pub expires: Duration,
}

/// What became of the registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationEvent {
    /// Registered, or refreshed.
    Registered {
        /// The time granted.
        expires: Duration,
        /// How often at least the registrar's edge wants a keep-alive on this connection, 10 s or more (Flow-Timer, RFC 5626 §11.2).
        flow_timer: Option<(FlowId, Duration)>,
    },
    /// Refused or not answered; tried again.
    Failed {
        /// Status.
        status: StatusCode,
        /// It is our own deadline or transport failure (408, 503), not an answer.
        local: bool,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// Given up by [`Endpoint::unregister`].
    Unregistered,
}

/// The registration.
pub(super) struct Registration {
    parameters: RegisterParameters,
    /// The last request: RFC 3261 §10.2.4 wants the same Call-ID and From again.
    last: Option<Request>,
    /// The binding as written in the last request.
    contact: Option<Uri>,
    in_flight: Option<ClientId>,
    /// The registrar may have a binding of ours.
    bound: bool,
    /// The owner wants it no more.
    ending: bool,
    /// The request under way takes the binding back.
    unbinding: bool,
    failures: u32,
}

impl Endpoint {
    /// Registers, and refreshes until [`Endpoint::unregister`]. What comes of it is told by [`Endpoint::poll_registration`]. There is one
    /// registration; a former one is dropped without a word to its registrar.
    ///
    /// The request goes by way of `outbound_proxy`, if set, and is tried at each of the registrar's servers (RFC 3263 §4.3). A challenge
    /// is answered with [`Endpoint::set_credentials`].
    pub fn register(&mut self, parameters: RegisterParameters, now: Instant) {
        self.registration = Some(Registration {
            parameters,
            last: None,
            contact: None,
            in_flight: None,
            bound: false,
            ending: false,
            unbinding: false,
            failures: 0,
        });
        self.send_register(now);
    }

    /// Takes the registration back.
    pub fn unregister(&mut self, now: Instant) {
        let Some(registration) = &mut self.registration else {
            return;
        };
        if std::mem::replace(&mut registration.ending, true) {
            return;
        }
        // One under way is awaited: its answer must not come after that to its end.
        if registration.in_flight.is_none() {
            self.end_registration(now);
        }
    }

    /// Whether there is a registration, also one that is being taken back.
    #[must_use]
    pub fn has_registration(&self) -> bool {
        self.registration.is_some()
    }

    /// The next event of the registration.
    pub fn poll_registration(&mut self) -> Option<RegistrationEvent> {
        self.registration_events.pop_front()
    }

    pub(super) fn handle_registration_timeout(&mut self, now: Instant) {
        self.send_register(now);
    }

    pub(super) fn register_answered(
        &mut self,
        client: ClientId,
        response: &Response,
        flow: Flow,
        now: Instant,
    ) {
        let Some(registration) = self
            .registration
            .as_mut()
            .filter(|registration| registration.in_flight == Some(client))
        else {
            return;
        };
        registration.in_flight = None;
        registration.note_cseq(response);
        let number =
            |name| number_in(&response.headers, name).map(|seconds| Duration::from_secs(seconds.into()));
        if response.status.is_success() {
            registration.failures = 0;
            registration.bound = !registration.unbinding;
            let granted = registration.granted(response, number("Expires"));
            let flow_timer = flow.id.zip(number("Flow-Timer"));
            let flow_timer = flow_timer.map(|(flow, interval)| (flow, interval.max(FLOW_TIMER_MIN)));
            self.registered(granted, flow_timer, now);
        } else if response.status.0 == 423
            && let Some(shortest) = number("Min-Expires")
            && (registration.parameters.expires..=MIN_EXPIRES_MAX).contains(&shortest)
            && shortest != registration.parameters.expires
            && !registration.ending
            && registration.failures == 0
        {
            registration.failures = 1;
            registration.parameters.expires = shortest;
            self.send_register(now);
        } else {
            self.register_refused(response.status, false, number("Retry-After"), now);
        }
    }

    pub(super) fn register_failed(&mut self, client: ClientId, failure: Failure, now: Instant) {
        let Some(registration) = self
            .registration
            .as_mut()
            .filter(|registration| registration.in_flight == Some(client))
        else {
            return;
        };
        registration.in_flight = None;
        self.register_refused(failure.status(), true, None, now);
    }

    fn registered(&mut self, granted: Duration, flow_timer: Option<(FlowId, Duration)>, now: Instant) {
        if self
            .registration
            .as_ref()
            .is_some_and(|registration| registration.ending)
        {
            return self.end_registration(now);
        }
        let wait = if granted > REFRESH_MARGIN * 2 {
            granted - REFRESH_MARGIN
        } else {
            (granted / 2).max(REFRESH_INTERVAL_MIN)
        };
        self.timers.set(Timer::Registration, Some(now + wait));
        self.registration_events.push_back(RegistrationEvent::Registered {
            expires: granted,
            flow_timer,
        });
    }

    fn register_refused(
        &mut self,
        status: StatusCode,
        local: bool,
        retry_after: Option<Duration>,
        now: Instant,
    ) {
        let Some(registration) = &mut self.registration else {
            return;
        };
        if registration.ending {
            return self.end_registration(now);
        }
        let longest = (RETRY_FIRST * 2u32.saturating_pow(registration.failures.min(5))).min(RETRY_LAST);
        registration.failures = registration.failures.saturating_add(1);
        let half = longest / 2;
        let drawn = self.tokens.seconds(u32::try_from(half.as_secs()).unwrap_or(0));
        let retry_in = (half + Duration::from_secs(drawn.into()))
            .max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX));
        self.timers.set(Timer::Registration, Some(now + retry_in));
        self.registration_events.push_back(RegistrationEvent::Failed {
            status,
            local,
            retry_in,
        });
    }

    /// The owner wants it no more: take the binding back if there may be one, else it is over.
    fn end_registration(&mut self, now: Instant) {
        self.timers.set(Timer::Registration, None);
        let bound = self
            .registration
            .as_mut()
            .is_some_and(|registration| std::mem::replace(&mut registration.bound, false));
        if bound {
            self.send_register(now);
        } else {
            self.registration = None;
            self.registration_events
                .push_back(RegistrationEvent::Unregistered);
        }
    }

    fn send_register(&mut self, now: Instant) {
        let Some(registration) = &self.registration else {
            return;
        };
        let (parameters, last) = (registration.parameters.clone(), registration.last.clone());
        let expires = if registration.ending {
            Duration::ZERO
        } else {
            parameters.expires
        };
        let RegisterParameters {
            registrar,
            address,
            contact,
            ..
        } = parameters;
        let (mut request, hop) = self.opening_request(Method::REGISTER, registrar, address.clone(), &address);
        if let Some(last) = &last {
            keep_identity(&mut request, last);
        }
        let contact = self.contact_towards(&contact, &hop);
        request.headers.push("Contact", contact.as_str());
        request.headers.push("Expires", expires.as_secs().to_string());
        self.sign(&mut request);
        let client = self.send_request(request.clone(), hop, Purpose::Register, now);
        if let Some(registration) = &mut self.registration {
            registration.contact = contact.parse().ok().map(|contact: NameAddr| contact.uri);
            registration.last = Some(request);
            registration.unbinding = registration.ending;
            registration.in_flight = Some(client);
        }
    }
}

impl Registration {
    /// A request that was repeated to answer a challenge has gone on counting.
    fn note_cseq(&mut self, response: &Response) {
        let cseq = response.headers.get("CSeq").map(str::to_owned);
        let last = self.last.as_mut().map(|request| &mut request.headers.0);
        let header = last.and_then(|headers| headers.iter_mut().find(|header| header.name == "CSeq"));
        if let (Some(header), Some(cseq)) = (header, cseq) {
            header.value = cseq;
        }
    }

    /// What the registrar granted for our binding (RFC 3261 §10.3 step 8), never more than was asked for.
    fn granted(&self, response: &Response, expires: Option<Duration>) -> Duration {
        let ours = response
            .headers
            .list("Contact")
            .filter_map(|value| value.parse::<NameAddr>().ok())
            .find(|binding| {
                self.contact.as_ref().is_some_and(|own| {
                    (own.user(), own.host(), own.port())
                        == (binding.uri.user(), binding.uri.host(), binding.uri.port())
                })
            });
        let of_binding = ours
            .as_ref()
            .and_then(|binding| binding.parameter("expires"))
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs);
        let granted = of_binding.or(expires).unwrap_or(self.parameters.expires);
        granted.min(self.parameters.expires)
    }
}

/// From and Call-ID of the last request, and the sequence number after its.
fn keep_identity(request: &mut Request, last: &Request) {
    let cseq = last.headers.get("CSeq").and_then(|cseq| cseq.parse().ok());
    let next = cseq.map_or(1, |cseq: CSeq| cseq.number.saturating_add(1));
    for header in &mut request.headers.0 {
        let kept = match header.name.as_ref() {
            "From" | "Call-ID" => last.headers.get(&header.name).map(str::to_owned),
            "CSeq" => Some(format!("{next} {}", Method::REGISTER)),
            _ => None,
        };
        if let Some(kept) = kept {
            header.value = kept;
        }
    }
}
