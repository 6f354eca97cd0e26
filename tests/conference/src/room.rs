//! A room: who is in it, under which names, and what its subscribers have been told.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use msrp::{
    Path, SessionId,
    sdp::{AcceptTypes, Chatroom},
};
use precis_profiles::{Nickname as Profile, precis_core::profile::PrecisFastInvocation};
use sip::{DialogId, SubscriptionId, Uri};

use crate::{
    document::{Departure, Document, Endpoint, User},
    message::Said,
    options::{Documents, Entities, Rooms, Versions},
    server::ConnectionId,
};

/// Names a participant for as long as the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ParticipantId(pub(crate) u64);

/// A room.
#[derive(Debug)]
pub(crate) struct Room {
    /// `sip:ROOM@DOMAIN`.
    pub(crate) uri: Uri,
    pub(crate) subject: String,
    pub(crate) participants: BTreeMap<ParticipantId, Participant>,
    /// The last messages, the oldest first.
    pub(crate) history: VecDeque<Said>,
    /// When the next document is due.
    pub(crate) notify_at: Option<Instant>,
    subscribers: BTreeMap<SubscriptionId, Subscriber>,
    /// The version of the next change.
    version: u32,
    /// How those left who are still to be told of.
    departures: BTreeMap<String, Departure>,
}

/// Whoever watches.
#[derive(Debug, Default)]
struct Subscriber {
    /// How many documents he got.
    documents: u32,
    /// What they told him, if any.
    told: Option<Arc<Snapshot>>,
}

/// A room as a document tells of it: its users by their entities.
#[derive(Debug, PartialEq, Eq)]
struct Snapshot {
    subject: String,
    users: BTreeMap<String, User>,
}

/// Somebody in a room.
#[derive(Debug)]
pub(crate) struct Participant {
    /// His address of record.
    pub(crate) uri: Uri,
    pub(crate) display_name: Option<String>,
    pub(crate) nickname: Option<String>,
    /// What names him to the others.
    pub(crate) entity: String,
    pub(crate) joined: Timestamp,
    /// `None`: a resident, whom commands let speak.
    pub(crate) call: Option<Call>,
}

/// His call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) dialog: DialogId,
    /// His Contact.
    pub(crate) contact: String,
    pub(crate) session: SessionId,
    pub(crate) local: Path,
    pub(crate) remote: Path,
    pub(crate) chatroom: Chatroom,
    pub(crate) wrapped: AcceptTypes,
    /// The connection that his MSRP session is bound to.
    pub(crate) connection: Option<ConnectionId>,
}

/// Why a nickname is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NicknameFault {
    /// RFC 8266 allows no such text.
    Malformed,
    /// Another participant has it.
    Taken,
}

impl Room {
    pub(crate) fn new(uri: Uri, subject: &str) -> Self {
        Self {
            uri,
            subject: subject.to_owned(),
            participants: BTreeMap::new(),
            history: VecDeque::new(),
            notify_at: None,
            subscribers: BTreeMap::new(),
            version: 0,
            departures: BTreeMap::new(),
        }
    }

    /// The participant with this nickname, or this SIP address.
    pub(crate) fn find(&self, name: &str) -> Option<ParticipantId> {
        let same = |participant: &Participant| {
            participant
                .nickname
                .as_deref()
                .is_some_and(|nickname| comparison_key(nickname) == comparison_key(name))
        };
        let by_name = self
            .participants
            .iter()
            .find(|(_, participant)| same(participant));
        let by_uri = || {
            let uri: Uri = name.parse().ok()?;
            self.named_by(&uri).into_iter().next()
        };
        by_name.map(|(id, _)| *id).or_else(by_uri)
    }

    /// Those whom a URI names: by what the roster calls them, or by their address (RFC 7701 §6.2).
    pub(crate) fn named_by(&self, uri: &Uri) -> Vec<ParticipantId> {
        let named = |participant: &Participant| {
            participant.uri == *uri || participant.entity.parse().is_ok_and(|entity: Uri| entity == *uri)
        };
        let found = self
            .participants
            .iter()
            .filter(|(_, participant)| named(participant));
        found.map(|(id, _)| *id).collect()
    }

    /// Whether anybody with this address is in the room.
    pub(crate) fn has(&self, uri: &Uri) -> bool {
        let aor = uri.address_of_record();
        self.participants
            .values()
            .any(|participant| participant.uri == aor)
    }

    /// Gives a participant this nickname.
    ///
    /// # Errors
    /// It is malformed, or another participant has it (RFC 7701 §7.1); one address may have it on several devices.
    pub(crate) fn name(
        &mut self,
        id: ParticipantId,
        nickname: &str,
        taken: &[String],
    ) -> Result<(), NicknameFault> {
        let prepared = Profile::enforce(nickname)
            .map_err(|_| NicknameFault::Malformed)?
            .into_owned();
        let key = comparison_key(&prepared);
        let owner = self
            .participants
            .get(&id)
            .map(|participant| participant.uri.clone());
        let others = self
            .participants
            .values()
            .filter(|other| owner.as_ref() != Some(&other.uri));
        let mut in_use = others
            .filter_map(|other| other.nickname.as_deref())
            .chain(taken.iter().map(String::as_str));
        if in_use.any(|other| comparison_key(other) == key) {
            return Err(NicknameFault::Taken);
        }
        if let Some(participant) = self.participants.get_mut(&id) {
            participant.nickname = Some(prepared);
        }
        Ok(())
    }

    /// Settles what names a participant to the others; under another name than before, he leaves and comes.
    pub(crate) fn set_entity(&mut self, id: ParticipantId, entities: Entities) {
        let room = self.uri.clone();
        let Some(participant) = self.participants.get_mut(&id) else {
            return;
        };
        let opaque = format!("p{}", id.0);
        participant.entity = match entities {
            Entities::Plain => participant.uri.to_string(),
            Entities::Gruu => room.with_parameter("gr", Some(&opaque)).to_string(),
            Entities::Nickname => {
                let name = participant.nickname.as_deref().unwrap_or(&opaque);
                room.with_parameter("gr", Some(name)).to_string()
            }
        };
    }

    /// Takes somebody out.
    pub(crate) fn remove(&mut self, id: ParticipantId, departure: Departure) -> Option<Participant> {
        let participant = self.participants.remove(&id)?;
        self.departures.insert(participant.entity.clone(), departure);
        Some(participant)
    }

    /// Keeps a message for those who come later.
    pub(crate) fn remember(&mut self, said: Said, most: usize) {
        self.history.push_back(said);
        while self.history.len() > most {
            self.history.pop_front();
        }
    }

    /// Whether nothing holds it any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.participants.is_empty()
    }
}

/// Subscribers and what they are told.
impl Room {
    pub(crate) fn subscribe(&mut self, subscription: SubscriptionId) {
        self.subscribers.insert(subscription, Subscriber::default());
    }

    pub(crate) fn unsubscribe(&mut self, subscription: SubscriptionId) {
        self.subscribers.remove(&subscription);
    }

    pub(crate) fn subscribers(&self) -> usize {
        self.subscribers.len()
    }

    /// Something has changed: the next document is due after `gather`, if none is due before.
    pub(crate) fn changed(&mut self, now: Instant, gather: Duration) {
        self.version = self.version.wrapping_add(1);
        self.notify_at.get_or_insert(now + gather);
    }

    /// The whole room for one subscriber.
    pub(crate) fn full_document(
        &mut self,
        subscription: SubscriptionId,
        rooms: &Rooms,
        escaped: bool,
    ) -> Option<Vec<u8>> {
        let snapshot = Arc::new(self.snapshot());
        let subscriber = self.subscribers.get_mut(&subscription)?;
        subscriber.told = None;
        self.document(subscription, &snapshot, rooms, escaped)
    }

    /// For each subscriber what has changed since his last document.
    pub(crate) fn changes(&mut self, rooms: &Rooms, escaped: bool) -> Vec<(SubscriptionId, Vec<u8>)> {
        self.notify_at = None;
        let snapshot = Arc::new(self.snapshot());
        let subscribers: Vec<SubscriptionId> = self.subscribers.keys().copied().collect();
        let documents = subscribers.into_iter().filter_map(|subscription| {
            let document = self.document(subscription, &snapshot, rooms, escaped)?;
            Some((subscription, document))
        });
        let documents = documents.collect();
        self.departures.clear();
        documents
    }

    /// The document that brings a subscriber up to date; `None` if he is.
    fn document(
        &mut self,
        subscription: SubscriptionId,
        snapshot: &Arc<Snapshot>,
        rooms: &Rooms,
        escaped: bool,
    ) -> Option<Vec<u8>> {
        let subscriber = self.subscribers.get_mut(&subscription)?;
        let told = subscriber.told.replace(snapshot.clone());
        if told.as_ref() == Some(snapshot) {
            return None;
        }
        let version = match rooms.versions {
            Versions::Subscription => subscriber.documents,
            Versions::Room => self.version,
        };
        subscriber.documents = subscriber.documents.wrapping_add(1);
        let known = told.filter(|_| rooms.documents == Documents::Partial);
        let users = match &known {
            Some(known) => self.differences(known, snapshot),
            None => snapshot.users.values().cloned().collect(),
        };
        let same_subject = known
            .as_ref()
            .is_some_and(|known| known.subject == snapshot.subject);
        let document = Document {
            room: &self.uri.to_string(),
            full: known.is_none(),
            version,
            subject: (!same_subject).then_some(snapshot.subject.as_str()),
            user_count: snapshot.users.len(),
            users: &users,
            escaped,
        };
        Some(document.write())
    }

    fn differences(&self, known: &Snapshot, now: &Snapshot) -> Vec<User> {
        let gone = known
            .users
            .values()
            .filter(|user| !now.users.contains_key(&user.entity));
        let gone = gone.map(|user| {
            let departure = self.departures.get(&user.entity).cloned();
            User {
                departure: Some(departure.unwrap_or(Departure::Departed)),
                ..user.clone()
            }
        });
        let here = now
            .users
            .values()
            .filter(|user| known.users.get(&user.entity) != Some(user));
        gone.chain(here.cloned()).collect()
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            subject: self.subject.clone(),
            users: self.users(),
        }
    }

    /// Everybody by what names him; several devices under one name are one user (RFC 4575 §5.6).
    fn users(&self) -> BTreeMap<String, User> {
        let mut users: BTreeMap<String, User> = BTreeMap::new();
        for (id, participant) in &self.participants {
            let shown = participant
                .nickname
                .as_ref()
                .or(participant.display_name.as_ref());
            let user = users.entry(participant.entity.clone()).or_insert_with(|| User {
                entity: participant.entity.clone(),
                display_text: None,
                nickname: None,
                endpoints: Vec::new(),
                departure: None,
            });
            user.display_text = shown.cloned().or(user.display_text.take());
            user.nickname = participant.nickname.clone().or(user.nickname.take());
            user.endpoints.push(Endpoint {
                entity: participant.device(),
                joined: participant.joined,
                media: id.0,
            });
        }
        users
    }
}

impl Participant {
    /// The name that the others see.
    pub(crate) fn shown(&self) -> Option<&str> {
        self.nickname.as_deref().or(self.display_name.as_deref())
    }

    /// Whether messages can reach him.
    pub(crate) fn is_bound(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.connection.is_some())
    }

    /// What names his device: his Contact, where he is named by his own address, too.
    fn device(&self) -> String {
        match &self.call {
            Some(call) if self.entity == self.uri.to_string() => call.contact.clone(),
            _ => self.entity.clone(),
        }
    }
}

/// The form under which two nicknames are the same (RFC 8266 §2.4).
fn comparison_key(nickname: &str) -> String {
    Profile::enforce(nickname).map_or_else(|_| nickname.to_owned(), |prepared| prepared.to_lowercase())
}

#[cfg(test)]
mod tests {
    use sip::conference::{self, EndpointStatus, State};

    use super::*;
    use crate::options::Options;

    const FIRST: ParticipantId = ParticipantId(1);
    const SECOND: ParticipantId = ParticipantId(2);
    const WATCHER: SubscriptionId = SubscriptionId(1);

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    fn room_of(entities: Entities) -> Room {
        let mut room = Room::new(uri("sip:verona@conference.example.org"), "Peace");
        for (id, address) in [(FIRST, "sip:romeo@example.org"), (SECOND, "sip:ben@example.org")] {
            let participant = Participant {
                uri: uri(address),
                display_name: None,
                nickname: None,
                entity: String::new(),
                joined: Timestamp::UNIX_EPOCH,
                call: None,
            };
            room.participants.insert(id, participant);
            room.set_entity(id, entities);
        }
        room
    }

    fn read(document: &[u8]) -> (u32, conference::Document) {
        conference::Document::parse(document).unwrap()
    }

    #[test]
    fn rfc7701_section_7_1_nicknames_are_compared_by_rfc8266() {
        let mut room = room_of(Entities::Gruu);
        assert_eq!(room.name(FIRST, " Ｒｏmeo  M ", &[]), Ok(()));
        assert_eq!(room.participants[&FIRST].nickname.as_deref(), Some("Romeo M"));
        assert_eq!(room.name(SECOND, "ROMEO m", &[]), Err(NicknameFault::Taken));
        assert_eq!(
            room.name(SECOND, "Tybalt", &["tybalt".to_owned()]),
            Err(NicknameFault::Taken)
        );
        assert_eq!(room.name(SECOND, "  ", &[]), Err(NicknameFault::Malformed));
        assert_eq!(
            room.name(FIRST, "romeo m", &[]),
            Ok(()),
            "his own, written otherwise"
        );
        assert_eq!(room.name(SECOND, "Ben", &[]), Ok(()));
        assert_eq!(room.find("BEN"), Some(SECOND));
        assert_eq!(room.find("sip:romeo@example.org"), Some(FIRST));
    }

    #[test]
    fn rfc7701_section_7_1_one_address_may_have_one_nickname_on_two_devices() {
        let mut room = room_of(Entities::Plain);
        room.participants.get_mut(&SECOND).unwrap().uri = uri("sip:romeo@example.org");
        assert_eq!(room.name(FIRST, "Romeo", &[]), Ok(()));
        assert_eq!(room.name(SECOND, "Romeo", &[]), Ok(()));
    }

    #[test]
    fn rfc7701_section_6_2_gr_tells_a_participant_from_the_room() {
        let room = room_of(Entities::Gruu);
        assert_eq!(room.named_by(&uri("sip:verona@conference.example.org")), []);
        assert_eq!(
            room.named_by(&uri("sip:verona@conference.example.org;gr=p2")),
            [SECOND]
        );
        assert_eq!(room.named_by(&uri("sip:ben@example.org")), [SECOND]);
    }

    #[test]
    fn rfc4575_section_4_4_the_first_document_is_full_and_the_next_tell_changes() {
        let options = Options::of(&[]).rooms;
        let mut room = room_of(Entities::Nickname);
        room.subscribe(WATCHER);
        let (version, document) = read(&room.full_document(WATCHER, &options, false).unwrap());
        assert_eq!(
            (version, document.state, document.users.len()),
            (0, State::Full, 2)
        );
        assert!(room.changes(&options, false).is_empty(), "nothing new");
        assert_eq!(room.name(FIRST, "Romeo", &[]), Ok(()));
        room.set_entity(FIRST, Entities::Nickname);
        room.remove(SECOND, Departure::Booted(None));
        let documents = room.changes(&options, false);
        let (version, document) = read(&documents[0].1);
        assert_eq!(
            (version, document.state, document.user_count),
            (1, State::Partial, Some(1))
        );
        assert_eq!(document.subject, None, "it is the same");
        let told: Vec<_> = document
            .users
            .iter()
            .map(|user| (user.entity.as_str(), user.state))
            .collect();
        assert_eq!(
            told,
            [
                ("sip:verona@conference.example.org;gr=p1", State::Deleted),
                ("sip:verona@conference.example.org;gr=p2", State::Deleted),
                ("sip:verona@conference.example.org;gr=Romeo", State::Full),
            ]
        );
        assert_eq!(document.users[1].status, Some(EndpointStatus::Booted(None)));
    }

    #[test]
    fn deployed_rooms_send_full_documents_under_versions_of_the_room() {
        let options = Options::of(&["--documents", "full-only", "--versions", "room"]).rooms;
        let mut room = room_of(Entities::Plain);
        let now = Instant::now();
        for _ in 0..5 {
            room.changed(now, options.gather);
        }
        room.subscribe(WATCHER);
        let (version, _) = read(&room.full_document(WATCHER, &options, false).unwrap());
        assert_eq!(version, 5);
        room.remove(SECOND, Departure::Departed);
        room.changed(now, options.gather);
        let documents = room.changes(&options, false);
        let (version, document) = read(&documents[0].1);
        assert_eq!(
            (version, document.state, document.users.len()),
            (6, State::Full, 1)
        );
        assert_eq!(document.subject.as_deref(), Some("Peace"));
    }
}
