//! Whose the domain of an invited user is, asked of DNS where the configuration says so (RFC 7247 §5, RFC 3861).

use std::{collections::VecDeque, time::Instant};

use sip::{
    AnswerDue, NameAddr,
    locate::{Answer, Messaging, Query, messaging_query},
};

use crate::{
    Command, Gateway,
    address::Party,
    refusal::Refusal,
    session::SessionKey,
    timers::{Timer, TimerId},
};

/// Names a question to the name servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupId(pub u64);

/// Somebody who is invited.
#[derive(Debug)]
pub(crate) struct Guest {
    /// By whom.
    pub(super) key: SessionKey,
    /// As he was named.
    pub(super) guest: NameAddr,
    /// The REFER that names him.
    pub(super) due: Option<AnswerDue>,
}

/// Somebody who is invited once it is known whose he is.
#[derive(Debug)]
pub(crate) struct Locating {
    guest: Guest,
    user: String,
    host: String,
    /// What the question that is out is about.
    asked: World,
    /// The next ones.
    questions: VecDeque<(Query, World)>,
    /// A name server did not answer: that nobody was found then says nothing.
    failed: bool,
    timer: TimerId,
}

/// Whose servers a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum World {
    Sip,
    Xmpp,
}

impl Gateway {
    /// Asks one question after the other until one world has servers for the domain.
    pub(super) fn locate(&mut self, guest: Guest, user: String, host: &str, now: Instant) {
        let mut questions = questions(guest.guest.uri.scheme(), host);
        let Some((query, asked)) = questions.pop_front() else {
            return self.invite_located(guest, Err(Refusal::NoSuchUser), now);
        };
        if self.locating.len() >= self.config.limits.calls {
            return self.invite_located(guest, Err(Refusal::Limit("calls")), now);
        }
        let id = LookupId(self.next_handle());
        let timer = self
            .timers
            .start(now + self.config.limits.admission, Timer::Locating(id));
        let locating = Locating {
            guest,
            user,
            host: host.to_owned(),
            asked,
            questions,
            failed: false,
            timer,
        };
        self.locating.insert(id, locating);
        self.command(Command::Resolve { lookup: id, query });
    }

    /// What the name servers said to [`Command::Resolve`].
    pub fn handle_resolved(&mut self, lookup: LookupId, answer: &Answer, now: Instant) {
        let Some(locating) = self.locating.get_mut(&lookup) else {
            return;
        };
        match answer {
            // A lone record that names nothing says that there is no such service (RFC 2782).
            Answer::Services(services) if services.iter().any(|service| service.target != ".") => {
                let (user, host) = (locating.user.clone(), locating.host.clone());
                let found = match locating.asked {
                    World::Sip => Ok(Party::sip(&user, &host)),
                    World::Xmpp => Party::xmpp(&user, &host),
                };
                return self.located(lookup, found, now);
            }
            Answer::Failed => locating.failed = true,
            Answer::Services(_) | Answer::Naptr(_) | Answer::Addresses(_) | Answer::Absent => {}
        }
        match locating.questions.pop_front() {
            Some((query, asked)) => {
                locating.asked = asked;
                self.command(Command::Resolve { lookup, query });
            }
            None if locating.failed => self.located(lookup, Err(Refusal::NotLocated), now),
            None => self.located(lookup, Err(Refusal::NoSuchUser), now),
        }
    }

    pub(crate) fn not_located_in_time(&mut self, lookup: LookupId, now: Instant) {
        self.located(lookup, Err(Refusal::NotLocated), now);
    }

    /// The gateway stops.
    pub(crate) fn give_up_locating(&mut self, now: Instant) {
        while let Some((id, _)) = self.locating.first_key_value() {
            self.located(*id, Err(Refusal::Stopping), now);
        }
    }

    fn located(&mut self, lookup: LookupId, found: Result<Party, Refusal>, now: Instant) {
        if let Some(Locating { guest, timer, .. }) = self.locating.remove(&lookup) {
            self.timers.cancel(timer);
            self.invite_located(guest, found, now);
        }
    }
}

/// The SRV records that tell whose a domain is, in the order in which a SIP user's gateway asks (RFC 7247 §5): for `im:` first those of
/// RFC 3861.
fn questions(scheme: &str, host: &str) -> VecDeque<(Query, World)> {
    let messages = |protocol| messaging_query(Messaging::InstantMessages, protocol, host);
    let mut questions = VecDeque::new();
    if scheme == "im" {
        questions.extend(messages("sip").map(|query| (query, World::Sip)));
        questions.extend(messages("xmpp").map(|query| (query, World::Xmpp)));
    }
    if scheme != "xmpp" {
        for service in ["_sip._tcp", "_sip._udp", "_sips._tcp"] {
            questions.push_back((Query::Services(format!("{service}.{host}.")), World::Sip));
        }
    }
    questions.push_back((Query::Services(format!("_xmpp-server._tcp.{host}.")), World::Xmpp));
    questions
}
