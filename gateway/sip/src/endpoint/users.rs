//! Asking callers who they are (RFC 3261 §22, RFC 8760), where no proxy in front has done so.

use std::{collections::BTreeMap, time::Instant};

use super::{Endpoint, received::Received, server::Reply};
use crate::{
    digest::{Algorithm, Asked, Authority, AuthorityLimits, Verdict},
    message::Method,
};

/// The users of one realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Users {
    /// The realm, which is their domain, too: who is `romeo` may say that he is `sip:romeo@<realm>`.
    pub realm: String,
    /// [`Algorithm::secret`]s by user name and algorithm. Only algorithms that all users have are offered.
    pub secrets: BTreeMap<String, BTreeMap<Algorithm, String>>,
    /// Bounds of the nonces.
    pub nonces: AuthorityLimits,
}

impl Users {
    /// The algorithms that every user has a secret for, the strongest first.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        [Algorithm::Sha512_256, Algorithm::Sha256, Algorithm::Md5]
            .into_iter()
            .filter(|algorithm| {
                self.secrets
                    .values()
                    .all(|secrets| secrets.contains_key(algorithm))
            })
            .collect()
    }
}

/// Who may be believed once he has shown his password.
#[derive(Debug)]
pub(super) struct Asking {
    users: Users,
    authority: Authority,
}

impl Endpoint {
    /// Whom to ask for a password from now on: INVITE, SUBSCRIBE, REFER and MESSAGE outside dialogs are challenged unless they come from a
    /// trusted peer. `None`: nobody. Nonces given out before stay good if the realm is the same.
    pub fn set_users(&mut self, users: Option<Users>, now: Instant) {
        let former = self.asking.take();
        self.asking = users.map(|users| {
            let authority = match former {
                Some(former) if former.users.realm == users.realm && former.users.nonces == users.nonces => {
                    former.authority
                }
                _ => {
                    let key = self.tokens.key();
                    Authority::new(users.realm.as_str(), key, users.nonces.clone(), now)
                }
            };
            let authority = authority.offering(users.algorithms());
            Asking { users, authority }
        });
    }

    /// The answer to who has not shown who he is; `None` when he has, or nobody asks.
    pub(super) fn challenge(&mut self, received: &Received, now: Instant) -> Option<Reply> {
        let asking = self.asking.as_mut()?;
        let asked = [Method::INVITE, Method::SUBSCRIBE, Method::REFER, Method::MESSAGE];
        if !asked.contains(received.method()) {
            return None;
        }
        match asking.check(received, now) {
            Some(Verdict::Authentic { username }) if asking.is_own(received, &username) => None,
            Some(Verdict::Authentic { .. }) => {
                Some(Reply::new(403).phrase(Some("From Is Not The Authenticated User".to_owned())))
            }
            Some(Verdict::Stale) => Some(asking.challenge(true, now)),
            Some(Verdict::Refused) | None => Some(asking.challenge(false, now)),
        }
    }
}

impl Asking {
    /// The verdict on the answer for our realm, if there is one.
    fn check(&mut self, received: &Received, now: Instant) -> Option<Verdict> {
        let uri = received.request.uri.to_string();
        let asked = Asked {
            method: received.method().as_str(),
            uri: &uri,
            body: &received.request.body,
        };
        let secrets = &self.users.secrets;
        let answers = received.request.headers.list("Authorization");
        answers
            .map(|answer| {
                let secret = |user: &str, algorithm| secrets.get(user)?.get(&algorithm).cloned();
                self.authority.check(answer, asked, secret, now)
            })
            .find(|verdict| *verdict != Verdict::Refused)
    }

    fn is_own(&self, received: &Received, username: &str) -> bool {
        let uri = received.from().uri;
        uri.user_decoded().as_deref() == Some(username) && uri.host().eq_ignore_ascii_case(&self.users.realm)
    }

    fn challenge(&mut self, stale: bool, now: Instant) -> Reply {
        let values = self.authority.challenge(stale, now);
        values.into_iter().fold(Reply::new(401), |reply, value| {
            reply.with("WWW-Authenticate", value)
        })
    }
}
