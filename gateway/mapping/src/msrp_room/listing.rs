//! Who is in a conference, as its documents say (RFC 4575), and what that means for a room's occupants.

use std::collections::{BTreeMap, BTreeSet};

use sip::{
    Uri,
    conference::{Document, EndpointStatus, State, User},
};

use super::address::{key_of, lenient_uri};
use crate::{
    nickname::{Nickname, comparison_key},
    roster::Departure,
};

/// One occupant beside the user himself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Occupant {
    /// Where private messages to him go.
    pub(super) uri: Uri,
    /// The name that his nickname here is made of.
    name: String,
    /// What he is called, if that is not his nickname.
    pub(super) display_name: Option<String>,
    /// MUC role.
    pub(super) role: &'static str,
    /// His address of record, if the conference tells it.
    pub(super) aor: Option<Uri>,
}

/// What a document changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Somebody is there, or is there in another way.
    Present(String),
    /// Somebody is gone.
    Absent(String, Departure),
    /// Somebody has another nickname.
    Renamed { from: String, to: String },
    /// The user himself was removed, with the reason given.
    Removed(Option<String>),
    /// The user himself is shown under this name.
    OwnName(String),
    /// The subject.
    Subject(String),
}

/// What became of a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// It is in force.
    Taken(Vec<Change>),
    /// It is older than what is known.
    Stale,
    /// Something before it is missing: only a full document helps.
    Gap,
    /// The conference is over.
    Over,
}

/// The user himself, to be known in a document.
pub(super) struct Own<'a> {
    pub(super) conference: &'a Uri,
    pub(super) address: &'a Uri,
    pub(super) nickname: &'a str,
    /// Whether nobody else can have this nickname.
    pub(super) is_granted: bool,
}

/// Who is in, by the keys of their addresses.
#[derive(Debug)]
pub(super) struct Listing {
    document: Option<Document>,
    version: u32,
    subject: String,
    occupants: BTreeMap<String, (String, Occupant)>,
    /// Nickname here → key.
    names: BTreeMap<String, String>,
    /// Keys of those who are listed and have no name yet.
    nameless: BTreeSet<String>,
    limit: usize,
}

impl Listing {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            document: None,
            version: 0,
            subject: String::new(),
            occupants: BTreeMap::new(),
            names: BTreeMap::new(),
            nameless: BTreeSet::new(),
            limit,
        }
    }

    /// Nickname and occupant, in the order of nicknames.
    pub(super) fn occupants(&self) -> impl Iterator<Item = (&str, &Occupant)> {
        self.names
            .iter()
            .filter_map(|(nickname, key)| Some((nickname.as_str(), &self.occupants.get(key)?.1)))
    }

    pub(super) fn occupant(&self, nickname: &str) -> Option<&Occupant> {
        self.occupants
            .get(self.names.get(nickname)?)
            .map(|(_, occupant)| occupant)
    }

    /// Whom an address in a message names.
    pub(super) fn nickname_of(&self, conference: &Uri, uri: &Uri) -> Option<&str> {
        let of_key = |uri: &Uri| self.occupants.get(&key_of(uri));
        if let Some((nickname, _)) = of_key(uri).or_else(|| of_key(&uri.address_of_record())) {
            return Some(nickname);
        }
        // `room;gr=Romeo` of one who is listed by his own address.
        let instance = occupant_name(conference, uri)?;
        self.names
            .get_key_value(&instance)
            .map(|(nickname, _)| nickname.as_str())
    }

    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    /// Whether somebody is listed whose name is awaited.
    pub(super) fn awaits_names(&self) -> bool {
        !self.nameless.is_empty()
    }

    /// After a new subscription any version may come.
    pub(super) fn renew(&mut self) {
        self.version = 0;
        self.document = None;
    }

    /// The user himself has this nickname from now on: whoever was called so here is called otherwise.
    pub(super) fn yield_nickname(&mut self, own: &str) -> Option<Change> {
        let key = self.names.remove(own)?;
        let (nickname, occupant) = self.occupants.remove(&key)?;
        let to = self.free_nickname(&occupant, own);
        self.names.insert(to.clone(), key.clone());
        self.occupants.insert(key, (to.clone(), occupant));
        Some(Change::Renamed { from: nickname, to })
    }

    /// Takes a document of this version.
    pub(super) fn read(&mut self, version: u32, mut document: Document, own: &Own<'_>) -> Reading {
        let mut departures = BTreeMap::new();
        for user in document.users.iter().filter(|user| !is_there(user)) {
            if let Some(uri) = lenient_uri(&user.entity) {
                departures.insert(key_of(&uri), departure(user));
            }
        }
        let first = self.document.is_none() && self.occupants.is_empty();
        match (document.state, &mut self.document) {
            (State::Deleted, _) => return Reading::Over,
            (State::Full, _) => {
                document.users.truncate(self.limit);
                self.document = Some(document);
            }
            (State::Partial, None) => return Reading::Gap,
            (State::Partial, Some(_)) if version <= self.version => return Reading::Stale,
            (State::Partial, Some(_)) if version != self.version.wrapping_add(1) => return Reading::Gap,
            (State::Partial, Some(known)) => {
                known.apply(document);
                known.users.truncate(self.limit);
            }
        }
        self.version = version;
        let mut changes = self.compare(&departures, own, first);
        changes.extend(self.take_subject());
        Reading::Taken(changes)
    }

    fn take_subject(&mut self) -> Option<Change> {
        let subject = self
            .document
            .as_ref()
            .and_then(|document| document.subject.clone())
            .unwrap_or_default();
        if subject == self.subject {
            return None;
        }
        self.subject.clone_from(&subject);
        Some(Change::Subject(subject))
    }

    /// Whoever has no name by now is called by his address.
    pub(super) fn name_all(&mut self, own: &Own<'_>) -> Vec<Change> {
        self.compare(&BTreeMap::new(), own, true)
    }

    /// What has to happen for the occupants to be those of the document. `settled`: those without a name are named after their address.
    fn compare(
        &mut self,
        departures: &BTreeMap<String, Departure>,
        own: &Own<'_>,
        settled: bool,
    ) -> Vec<Change> {
        let Some(document) = &self.document else {
            return Vec::new();
        };
        let mut changes = Vec::new();
        let mut listed = BTreeMap::new();
        self.nameless.clear();
        for user in document.users.iter().filter(|user| is_there(user)) {
            let Some(uri) = lenient_uri(&user.entity) else {
                continue;
            };
            let key = key_of(&uri);
            let name = name_of(user, &uri, own.conference);
            if is_own(user, &uri, own) {
                changes.extend(name.map(Change::OwnName));
                continue;
            }
            let known = self
                .occupants
                .get(&key)
                .map(|(_, occupant)| occupant.name.clone());
            let name = match name.or(known) {
                Some(name) => name,
                None if settled => address_name(&uri),
                None => {
                    self.nameless.insert(key);
                    continue;
                }
            };
            let display_name = given(user.display_text.as_deref()).filter(|text| *text != name);
            let role = role_of(&user.roles);
            listed.insert(
                key,
                Occupant {
                    uri,
                    name,
                    display_name,
                    role,
                    aor: real_address(&user.aors),
                },
            );
        }
        if let Some(Departure::Booted(reason)) = own_departure(departures, own) {
            changes.push(Change::Removed(reason));
        }
        self.remove_unlisted(&listed, departures, &mut changes);
        for (key, occupant) in listed {
            changes.extend(self.place(key, occupant, own.nickname));
        }
        changes
    }

    fn remove_unlisted(
        &mut self,
        listed: &BTreeMap<String, Occupant>,
        departures: &BTreeMap<String, Departure>,
        changes: &mut Vec<Change>,
    ) {
        let gone: Vec<String> = self
            .occupants
            .keys()
            .filter(|key| !listed.contains_key(*key))
            .cloned()
            .collect();
        for key in gone {
            if let Some((nickname, _)) = self.occupants.remove(&key) {
                self.names.remove(&nickname);
                let how = departures.get(&key).cloned().unwrap_or(Departure::Departed);
                changes.push(Change::Absent(nickname, how));
            }
        }
    }

    /// Puts an occupant in, under a nickname that nobody has.
    fn place(&mut self, key: String, occupant: Occupant, own: &str) -> Option<Change> {
        if let Some((nickname, known)) = self.occupants.get_mut(&key)
            && known.name == occupant.name
        {
            let news = *known != occupant;
            *known = occupant;
            return news.then(|| Change::Present(nickname.clone()));
        }
        let former = self.occupants.get(&key).map(|(nickname, _)| nickname.clone());
        if let Some(former) = &former {
            self.names.remove(former);
        }
        let nickname = self.free_nickname(&occupant, own);
        self.names.insert(nickname.clone(), key.clone());
        self.occupants.insert(key, (nickname.clone(), occupant));
        match former {
            Some(former) if former == nickname => Some(Change::Present(nickname)),
            Some(from) => Some(Change::Renamed { from, to: nickname }),
            None => Some(Change::Present(nickname)),
        }
    }

    /// Display names need not be unique, nicknames must (RFC 7702 §7).
    fn free_nickname(&self, occupant: &Occupant, own: &str) -> String {
        let user = occupant.uri.user_decoded().unwrap_or_default();
        let name = Nickname::provisional(Some(&occupant.name), &user);
        let own = comparison_key(own);
        let taken = |nickname: &Nickname| {
            self.names.contains_key(nickname.as_str()) || comparison_key(nickname.as_str()) == own
        };
        let mut attempt = 1;
        loop {
            let variant = name.variant(attempt);
            if !taken(&variant) {
                return variant.as_str().to_owned();
            }
            attempt += 1;
        }
    }
}

/// Whether a listed user is in the conference, and not on his way in or out.
fn is_there(user: &User) -> bool {
    let connected = match &user.status {
        None | Some(EndpointStatus::Connected) => true,
        Some(EndpointStatus::Departed | EndpointStatus::Booted(_)) => false,
        Some(EndpointStatus::Other(status)) => matches!(&**status, "on-hold" | "muted-via-focus"),
    };
    connected && user.state != State::Deleted
}

fn departure(user: &User) -> Departure {
    match &user.status {
        Some(EndpointStatus::Booted(reason)) => Departure::Booted(reason.clone()),
        _ => Departure::Departed,
    }
}

/// RFC 7702 §7: the nickname; without one, the display name. An occupant's own address has the nickname in it.
fn name_of(user: &User, uri: &Uri, conference: &Uri) -> Option<String> {
    given(user.nickname.as_deref())
        .or_else(|| occupant_name(conference, uri))
        .or_else(|| given(user.display_text.as_deref()))
}

/// A name, if it is one. Some switches keep the quotes of Use-Nickname as a part of the nickname; nobody means them.
fn given(name: Option<&str>) -> Option<String> {
    let name = name.filter(|name| !name.trim().is_empty())?;
    let inner = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    let meant = inner.filter(|inner| !inner.trim().is_empty() && !inner.contains('"'));
    Some(meant.unwrap_or(name).to_owned())
}

/// The nickname in `sip:room@host;gr=nickname`.
fn occupant_name(conference: &Uri, uri: &Uri) -> Option<String> {
    let instance = uri
        .parameter_decoded("gr")
        .filter(|name| !name.trim().is_empty())?;
    (key_of(&uri.address_of_record()) == key_of(&conference.address_of_record())).then_some(instance)
}

fn address_name(uri: &Uri) -> String {
    let user = uri.user_decoded().filter(|user| !user.trim().is_empty());
    user.unwrap_or_else(|| uri.host().to_owned())
}

fn is_own(user: &User, uri: &Uri, own: &Own<'_>) -> bool {
    let named = |name: Option<&str>| own.is_granted && name == Some(own.nickname);
    key_of(&uri.address_of_record()) == key_of(own.address)
        || named(occupant_name(own.conference, uri).as_deref())
        || named(given(user.nickname.as_deref()).as_deref())
}

fn own_departure(departures: &BTreeMap<String, Departure>, own: &Own<'_>) -> Option<Departure> {
    let as_occupant = own.conference.with_parameter("gr", Some(own.nickname));
    [key_of(own.address), key_of(&as_occupant)]
        .iter()
        .find_map(|key| departures.get(key).cloned())
}

/// The one that XMPP knows, if there are several.
fn real_address(aors: &[String]) -> Option<Uri> {
    let uris = || aors.iter().filter_map(|aor| lenient_uri(aor));
    uris()
        .find(|uri| uri.scheme() == "xmpp")
        .or_else(|| uris().next())
}

/// RFC 7702 table 3 knows participants; conferences name others as well.
fn role_of(roles: &[String]) -> &'static str {
    let is = |role: &str| roles.iter().any(|given| given.eq_ignore_ascii_case(role));
    if is("moderator") || is("administrator") || is("creator") {
        "moderator"
    } else if is("visitor") || is("observer") {
        "visitor"
    } else {
        "participant"
    }
}
