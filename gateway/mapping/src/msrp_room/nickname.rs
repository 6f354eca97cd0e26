//! RFC 7702 §5.2 and §5.6: the user's nickname in a conference; the switch is the arbiter.

use std::time::Instant;

use msrp::{MessageTag, Status};
use xmpp::{
    FullJid,
    stanza::{Condition, StanzaError, service::RoomStanza},
};

use super::{
    exit::Farewell,
    stay::{Phase, Renaming, StayKey},
};
use crate::{
    ConflictRule, ConnectionId, Gateway,
    nickname::Nickname,
    refusal::{Refusal, nickname_condition},
};

/// How many nicknames are tried for a user whose first one is taken, if he is given another.
const NICKNAME_ATTEMPTS: u32 = 20;

impl Gateway {
    /// F8: for the nth time, the nth variant of what he wants. A conference without nicknames is not asked (RFC 7701 §7.1).
    pub(super) fn ask_nickname(&mut self, key: StayKey, attempt: u32, now: Instant) {
        let tag = self.next_tag();
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        let understood = stay
            .media
            .peer
            .as_ref()
            .is_some_and(|peer| peer.chatroom.nickname);
        let Some(connection) = stay.media.connection.filter(|_| understood) else {
            return self.watch(key, now);
        };
        stay.phase = Phase::Naming(attempt);
        stay.wanted
            .variant(attempt)
            .as_str()
            .clone_into(&mut stay.nickname);
        let command = msrp::Command::Nickname {
            session: stay.media.session.clone(),
            tag,
            nickname: stay.nickname.clone(),
        };
        self.msrp(connection, command);
    }

    /// F9, F25, and the answers between.
    pub(crate) fn nickname_answered(&mut self, key: StayKey, tag: MessageTag, status: Status, now: Instant) {
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        match stay.phase {
            Phase::Naming(attempt) => self.first_nickname_answered(key, attempt, status, now),
            _ => {
                if let Some(renaming) = stay.renaming.take_if(|renaming| renaming.tag == tag) {
                    self.rename_answered(key, &renaming, status);
                }
            }
        }
    }

    fn first_nickname_answered(&mut self, key: StayKey, attempt: u32, status: Status, now: Instant) {
        let Some(stay) = self.stays.get_mut(key) else {
            return;
        };
        if status.is_success() {
            stay.is_granted = true;
            return self.watch(key, now);
        }
        match (status.code(), self.config.conflict) {
            // Nobody may choose one here: he is who his display name says.
            (403 | 501, _) => self.watch(key, now),
            (425, ConflictRule::Vary) if attempt < NICKNAME_ATTEMPTS => {
                self.ask_nickname(key, attempt + 1, now);
            }
            _ => {
                let error = nickname_error(status);
                let why = Refusal::Room(error.condition, error.text.clone()).reason();
                self.end_stay(key, &Farewell::failed(error), &why);
            }
        }
    }

    /// F23: presence of a user who is in, under another nickname.
    pub(super) fn wishes_nickname(
        &mut self,
        key: StayKey,
        client: &FullJid,
        asked: FullJid,
        id: Option<String>,
        now: Instant,
    ) {
        tracing::debug!(stay = key.0, at = ?now, "another nickname asked for");
        match self.changeable(key, &asked) {
            Ok((connection, nickname)) => {
                let tag = self.next_tag();
                let Some(stay) = self.stays.get_mut(key) else {
                    return;
                };
                let command = msrp::Command::Nickname {
                    session: stay.media.session.clone(),
                    tag,
                    nickname: nickname.as_str().to_owned(),
                };
                stay.renaming = Some(Renaming {
                    tag,
                    client: client.clone(),
                    id,
                    asked,
                    nickname,
                });
                self.msrp(connection, command);
            }
            Err(error) => self.refuse_nickname(client, asked, id, error),
        }
    }

    fn changeable(&self, key: StayKey, asked: &FullJid) -> Result<(ConnectionId, Nickname), StanzaError> {
        let refused = |condition, text: &str| StanzaError {
            text: Some(text.to_owned()),
            ..StanzaError::new(condition)
        };
        let stay = self
            .stays
            .get(key)
            .ok_or_else(|| StanzaError::new(Condition::NotAcceptable))?;
        let nickname = Nickname::new(asked.resource().as_str())
            .map_err(|fault| refused(Condition::JidMalformed, &fault.to_string()))?;
        if !stay.is_granted && stay.phase == Phase::Joined {
            return Err(refused(
                Condition::NotAcceptable,
                "Nicknames Cannot Be Chosen Here",
            ));
        }
        if stay.phase != Phase::Joined || stay.renaming.is_some() {
            return Err(refused(Condition::ResourceConstraint, "One Change At A Time"));
        }
        let connection = stay
            .media
            .connection
            .ok_or_else(|| StanzaError::new(Condition::NotAcceptable))?;
        Ok((connection, nickname))
    }

    /// F26, or the change itself.
    fn rename_answered(&mut self, key: StayKey, renaming: &Renaming, status: Status) {
        if status.is_success() {
            return self.renamed_self(key, renaming.nickname.as_str(), Some(renaming));
        }
        let (asked, id) = (renaming.asked.clone(), renaming.id.clone());
        self.refuse_nickname(&renaming.client, asked, id, nickname_error(status));
    }

    fn refuse_nickname(&mut self, client: &FullJid, asked: FullJid, id: Option<String>, error: StanzaError) {
        self.room(RoomStanza::Refused {
            name: "presence",
            by: asked.to_bare(),
            from: asked.into(),
            to: client.clone().into(),
            id,
            error,
        });
    }
}

fn nickname_error(status: Status) -> StanzaError {
    let comment = status.comment();
    StanzaError {
        text: (!comment.is_empty()).then(|| comment.to_owned()),
        ..StanzaError::new(nickname_condition(status))
    }
}
