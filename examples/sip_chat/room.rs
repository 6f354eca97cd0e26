//! Who is in the room, read from the conference documents of one subscription (RFC 4575 §4).

use std::collections::BTreeMap;

use sip::{
    Uri,
    conference::{Document, EndpointStatus, State, User},
};

/// Occupants kept; a focus that lists more is no longer believed.
const OCCUPANTS: usize = 10_000;

/// The occupants of the room as the documents so far tell them.
///
/// Contract: [`Roster::apply`] every document of one subscription in the order of arrival; [`Roster::restart`] before those of
/// another one, since each subscription counts its versions by itself.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    document: Option<Document>,
    /// Version of the last document applied; `None`: the next one must be full.
    version: Option<u32>,
}

/// What a document changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// An occupant came.
    Joined(String),
    /// An occupant left.
    Left {
        /// Nickname.
        nick: String,
        /// In which way.
        how: Departure,
        /// The reason given for a removal.
        reason: Option<String>,
    },
    /// An occupant goes by another nickname.
    Renamed {
        /// Before.
        old: String,
        /// Now.
        new: String,
    },
    /// The room's subject.
    Subject(String),
}

/// In which way an occupant left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Departure {
    /// By himself.
    Departed,
    /// Removed by somebody.
    Booted,
    /// The document does not say.
    Unsaid,
}

/// What became of a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// The first full document: the roster is known from now on.
    First {
        /// The subject, if there is one.
        subject: Option<String>,
    },
    /// These changes, in order.
    Changed(Vec<Change>),
    /// Older than what is known: ignored.
    Stale,
    /// At least one document is missing before this one: a full one must be asked for (RFC 4575 §4.5).
    Gap,
    /// More occupants than this client keeps: the roster is given up.
    TooLarge,
}

impl Roster {
    /// The next document comes from a new subscription. What is known stays, to tell changes from.
    pub(crate) fn restart(&mut self) {
        self.version = None;
    }

    /// Whether a full document has come.
    pub(crate) fn is_known(&self) -> bool {
        self.document.is_some()
    }

    /// Takes a document. `renaming` is our own last nickname change, old and new, since a document that names occupants by
    /// nickname shows it as one who left and one who came.
    pub(crate) fn apply(
        &mut self,
        version: u32,
        document: Document,
        renaming: Option<(&str, &str)>,
    ) -> Applied {
        match (document.state, self.version) {
            (State::Full, Some(last)) if version <= last => return Applied::Stale,
            (State::Partial | State::Deleted, Some(last)) if version <= last => return Applied::Stale,
            (State::Partial, None) => return Applied::Gap,
            (State::Partial, Some(last)) if last.checked_add(1) != Some(version) => return Applied::Gap,
            _ => {}
        }
        if document.users.len() > OCCUPANTS {
            return self.give_up();
        }
        self.version = Some(version);
        if document.state == State::Deleted {
            let before = self.document.take();
            return Applied::Changed(changes(
                before.as_ref(),
                &Document::default(),
                &document,
                renaming,
            ));
        }
        let Some(before) = self.document.clone() else {
            let subject = document.subject.clone();
            self.document = Some(document);
            return Applied::First { subject };
        };
        let mut after = before.clone();
        after.apply(document.clone());
        if after.users.len() > OCCUPANTS {
            return self.give_up();
        }
        let changed = changes(Some(&before), &after, &document, renaming);
        self.document = Some(after);
        Applied::Changed(changed)
    }

    fn give_up(&mut self) -> Applied {
        *self = Self::default();
        Applied::TooLarge
    }

    /// Nicknames of those present, in the order of the document.
    pub(crate) fn nicknames(&self) -> Vec<String> {
        self.present().map(nickname).collect()
    }

    /// The entity of an occupant, byte for byte as the document has it (RFC 7701 §6.2: a private message is addressed by it).
    pub(crate) fn entity_of(&self, nick: &str) -> Option<&str> {
        self.present()
            .find(|user| nickname(user) == nick)
            .map(|user| user.entity.as_str())
    }

    /// The nickname of the occupant whom `entity` names; one the documents do not list goes by what the URI itself says.
    pub(crate) fn nickname_of(&self, entity: &str) -> Option<String> {
        let listed = self.present().find(|user| user.entity == entity).map(nickname);
        listed.or_else(|| nickname_in(entity))
    }

    fn present(&self) -> impl Iterator<Item = &User> {
        self.document
            .iter()
            .flat_map(|document| &document.users)
            .filter(|user| is_present(user))
    }
}

/// The nickname that a URI of the form `room;gr=nickname` carries.
fn nickname_in(entity: &str) -> Option<String> {
    let uri: Uri = entity.parse().ok()?;
    uri.parameter_decoded("gr")
        .filter(|nickname| !nickname.is_empty())
}

fn nickname(user: &User) -> String {
    user.nickname
        .clone()
        .or_else(|| user.display_text.clone())
        .or_else(|| nickname_in(&user.entity))
        .unwrap_or_else(|| user.entity.clone())
}

fn is_present(user: &User) -> bool {
    user.state != State::Deleted
        && !matches!(
            user.status,
            Some(EndpointStatus::Departed | EndpointStatus::Booted(_))
        )
}

/// The difference between two states of the room; `document` tells why somebody left.
fn changes(
    before: Option<&Document>,
    after: &Document,
    document: &Document,
    renaming: Option<(&str, &str)>,
) -> Vec<Change> {
    let old = occupants(before);
    let new = occupants(Some(after));
    let reasons: BTreeMap<&str, &User> = document
        .users
        .iter()
        .map(|user| (user.entity.as_str(), user))
        .collect();
    let mut left: Vec<(String, Option<&User>)> = Vec::new();
    let mut changes = Vec::new();
    for (entity, nick) in &old {
        match new.get(entity) {
            None => left.push((nick.clone(), reasons.get(entity).copied())),
            Some(now) if now != nick => changes.push(Change::Renamed {
                old: nick.clone(),
                new: now.clone(),
            }),
            Some(_) => {}
        }
    }
    let newcomers = new.iter().filter(|(entity, _)| !old.contains_key(*entity));
    let mut joined: Vec<String> = newcomers.map(|(_, nick)| nick.clone()).collect();
    let own = renaming
        .filter(|(from, _)| left.iter().any(|(nick, _)| nick == from))
        .filter(|(_, to)| joined.iter().any(|nick| nick == to))
        .map(|(from, to)| (from.to_owned(), to.to_owned()));
    if let Some((from, to)) = own.or_else(|| told_as_renaming(document, &left, &joined)) {
        left.retain(|(nick, _)| *nick != from);
        joined.retain(|nick| *nick != to);
        changes.push(Change::Renamed { old: from, new: to });
    }
    changes.extend(left.into_iter().map(|(nick, user)| departure(nick, user)));
    changes.extend(joined.into_iter().map(Change::Joined));
    if let Some(subject) = &after.subject
        && before.is_none_or(|before| before.subject.as_ref() != Some(subject))
    {
        changes.push(Change::Subject(subject.clone()));
    }
    changes
}

/// The nickname change that a document tells which names one who left by himself, one who came, and nobody else. Where the nickname is
/// part of the entity (RFC 7702 §6.2) a change of nickname has no other form; one who comes in the moment another leaves has the same.
fn told_as_renaming(
    document: &Document,
    left: &[(String, Option<&User>)],
    joined: &[String],
) -> Option<(String, String)> {
    let ([(old, user)], [new]) = (left, joined) else {
        return None;
    };
    let booted = matches!(
        user.and_then(|user| user.status.as_ref()),
        Some(EndpointStatus::Booted(_))
    );
    (document.state == State::Partial && document.users.len() == 2 && !booted)
        .then(|| (old.clone(), new.clone()))
}

fn occupants(document: Option<&Document>) -> BTreeMap<&str, String> {
    document
        .iter()
        .flat_map(|document| &document.users)
        .filter(|user| is_present(user))
        .map(|user| (user.entity.as_str(), nickname(user)))
        .collect()
}

fn departure(nick: String, user: Option<&User>) -> Change {
    let (how, reason) = match user.and_then(|user| user.status.as_ref()) {
        Some(EndpointStatus::Departed) => (Departure::Departed, None),
        Some(EndpointStatus::Booted(reason)) => (Departure::Booted, reason.clone()),
        Some(EndpointStatus::Connected | EndpointStatus::Other(_)) | None => (Departure::Unsaid, None),
    };
    Change::Left { nick, how, reason }
}

#[cfg(test)]
mod tests;
