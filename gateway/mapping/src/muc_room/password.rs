//! Rooms with a password. SIP has no field for it, so a caller is asked for it as a server asks for credentials (RFC 3261 §22, RFC 7616): the
//! realm is the room, and the user name does not matter, for all who know the password share it.

use std::{collections::BTreeMap, time::Instant};

use sip::{
    Incoming,
    digest::{Asked, Authority, AuthorityLimits, Verdict},
};
use xmpp::BareJid;

use crate::{
    Config, Gateway,
    config::{Password, RoomPassword},
    refusal::Refusal,
};

/// Who asks for the password of which room.
pub(crate) type Askers = BTreeMap<BareJid, Authority>;

/// One for each room whose callers are asked. `key` gives each a key of its own.
pub(crate) fn askers(config: &Config, mut key: impl FnMut() -> [u8; 32], now: Instant) -> Askers {
    let passwords = config.passwords.iter();
    passwords
        .filter(|(_, password)| password.ask)
        .map(|(room, _)| {
            let authority = Authority::new(room.as_str(), key(), AuthorityLimits::default(), now);
            (room.clone(), authority)
        })
        .collect()
}

impl Gateway {
    /// What a caller enters a room with: its password, if it is known here and he has shown that he knows it too.
    pub(super) fn password_of_caller(
        &mut self,
        room: &BareJid,
        request: &Incoming,
        now: Instant,
    ) -> Result<Option<Password>, Refusal> {
        let Some(RoomPassword { password, .. }) = self.config.passwords.get(room) else {
            return Ok(None);
        };
        let Some(authority) = self.askers.get_mut(room) else {
            return Ok(Some(password.clone()));
        };
        let uri = request.uri.to_string();
        let asked = Asked {
            method: request.method.as_str(),
            uri: &uri,
            body: request.body.as_ref().map_or(&[], |body| &body.bytes),
        };
        let known = sip::digest::Password::new(password.reveal());
        // Of several answers, each to the challenge of another realm, one is ours.
        let mut verdicts = request.headers.list("Authorization").map(|answer| {
            let secret = |user: &str, algorithm: sip::digest::Algorithm| {
                Some(algorithm.secret(user, room.as_str(), &known))
            };
            authority.check(answer, asked, secret, now)
        });
        match verdicts.find(|verdict| *verdict != Verdict::Refused) {
            Some(Verdict::Authentic { .. }) => Ok(Some(password.clone())),
            verdict => {
                let stale = verdict == Some(Verdict::Stale);
                Err(Refusal::Password(authority.challenge(stale, now)))
            }
        }
    }

    /// What somebody enters a room with who is invited: what the invitation says, else the room's password if nobody is asked for it.
    pub(super) fn password_of_guest(&self, room: &BareJid, said: Option<Password>) -> Option<Password> {
        let known = self.config.passwords.get(room);
        said.or_else(|| {
            known
                .filter(|known| !known.ask)
                .map(|known| known.password.clone())
        })
    }
}
