use super::*;

const ROOM: &str = "sip:capulet@rooms.example.com";

fn user(nick: &str, state: State, status: Option<EndpointStatus>) -> User {
    User {
        entity: format!("{ROOM};gr={nick}"),
        state,
        display_text: Some(nick.to_owned()),
        status,
        ..User::default()
    }
}

fn here(nick: &str) -> User {
    user(nick, State::Full, Some(EndpointStatus::Connected))
}

fn gone(nick: &str, status: Option<EndpointStatus>) -> User {
    user(nick, State::Deleted, status)
}

fn document(state: State, users: Vec<User>) -> Document {
    Document {
        entity: ROOM.to_owned(),
        state,
        users,
        ..Document::default()
    }
}

fn full(users: Vec<User>) -> Document {
    document(State::Full, users)
}

fn partial(users: Vec<User>) -> Document {
    document(State::Partial, users)
}

fn joined(nick: &str) -> Change {
    Change::Joined(nick.to_owned())
}

fn left(nick: &str, how: Departure) -> Change {
    Change::Left {
        nick: nick.to_owned(),
        how,
        reason: None,
    }
}

fn renamed(old: &str, new: &str) -> Change {
    Change::Renamed {
        old: old.to_owned(),
        new: new.to_owned(),
    }
}

/// A roster that knows Romeo and Juliet from version 3.
fn known() -> Roster {
    let mut roster = Roster::default();
    let applied = roster.apply(3, full(vec![here("Romeo"), here("Juliet")]), None);
    assert_eq!(applied, Applied::First { subject: None });
    roster
}

#[test]
fn the_first_full_document_is_the_roster() {
    let mut roster = Roster::default();
    assert!(!roster.is_known());
    let mut document = full(vec![here("Romeo"), here("Juliet")]);
    document.subject = Some("Feud".to_owned());
    let subject = document.subject.clone();
    assert_eq!(roster.apply(0, document, None), Applied::First { subject });
    assert!(roster.is_known());
    assert_eq!(roster.nicknames(), ["Romeo", "Juliet"]);
}

#[test]
fn a_partial_document_changes_what_is_known() {
    let mut roster = known();
    let users = vec![
        here("Nurse"),
        gone("Juliet", Some(EndpointStatus::Booted(Some("noise".to_owned())))),
    ];
    let booted = Change::Left {
        nick: "Juliet".to_owned(),
        how: Departure::Booted,
        reason: Some("noise".to_owned()),
    };
    let changes = vec![booted, joined("Nurse")];
    assert_eq!(roster.apply(4, partial(users), None), Applied::Changed(changes));
    assert_eq!(roster.nicknames(), ["Romeo", "Nurse"]);
    let changes = vec![left("Nurse", Departure::Departed)];
    let users = vec![gone("Nurse", Some(EndpointStatus::Departed))];
    assert_eq!(roster.apply(5, partial(users), None), Applied::Changed(changes));
}

#[test]
fn one_who_is_listed_as_departed_is_not_present() {
    let mut roster = known();
    let users = vec![user("Juliet", State::Full, Some(EndpointStatus::Departed))];
    let changes = vec![left("Juliet", Departure::Departed)];
    assert_eq!(roster.apply(4, partial(users), None), Applied::Changed(changes));
    assert_eq!(roster.nicknames(), ["Romeo"]);
    assert_eq!(roster.entity_of("Juliet"), None);
}

#[test]
fn a_later_full_document_is_told_as_changes() {
    let mut roster = known();
    let changes = vec![left("Juliet", Departure::Unsaid), joined("Nurse")];
    let applied = roster.apply(9, full(vec![here("Romeo"), here("Nurse")]), None);
    assert_eq!(applied, Applied::Changed(changes));
    assert_eq!(
        roster.apply(10, full(vec![here("Romeo"), here("Nurse")]), None),
        Applied::Changed(vec![])
    );
}

#[test]
fn versions_must_follow_one_another() {
    for (version, document, expected) in [
        (2, partial(vec![here("Nurse")]), Applied::Stale),
        (3, partial(vec![here("Nurse")]), Applied::Stale),
        (3, full(vec![]), Applied::Stale),
        (
            4,
            partial(vec![here("Nurse")]),
            Applied::Changed(vec![joined("Nurse")]),
        ),
        (5, partial(vec![here("Nurse")]), Applied::Gap),
    ] {
        let mut roster = known();
        assert_eq!(roster.apply(version, document, None), expected, "{version}");
    }
    let mut roster = Roster::default();
    assert_eq!(roster.apply(1, partial(vec![here("Nurse")]), None), Applied::Gap);
}

#[test]
fn a_new_subscription_counts_anew_and_begins_with_a_full_document() {
    let mut roster = known();
    roster.restart();
    assert_eq!(roster.apply(1, partial(vec![]), None), Applied::Gap);
    let changes = vec![left("Juliet", Departure::Unsaid)];
    assert_eq!(
        roster.apply(1, full(vec![here("Romeo")]), None),
        Applied::Changed(changes)
    );
}

#[test]
fn our_own_nickname_change_is_one_change() {
    let mut roster = known();
    let users = vec![gone("Romeo", None), here("Montague"), here("Nurse")];
    let applied = roster.apply(4, partial(users), Some(("Romeo", "Montague")));
    assert_eq!(
        applied,
        Applied::Changed(vec![renamed("Romeo", "Montague"), joined("Nurse")])
    );
}

#[test]
fn an_occupant_whose_entry_stays_is_renamed() {
    let mut roster = known();
    let changed = User {
        nickname: Some("Capulet".to_owned()),
        ..here("Juliet")
    };
    let applied = roster.apply(4, partial(vec![changed]), None);
    assert_eq!(applied, Applied::Changed(vec![renamed("Juliet", "Capulet")]));
    assert_eq!(
        roster.entity_of("Capulet"),
        Some("sip:capulet@rooms.example.com;gr=Juliet")
    );
}

#[test]
fn one_who_left_and_one_who_came_alone_in_a_document_are_a_renaming() {
    for status in [None, Some(EndpointStatus::Departed)] {
        let mut roster = known();
        let users = vec![gone("Juliet", status), here("Capulet")];
        let applied = roster.apply(4, partial(users), None);
        assert_eq!(applied, Applied::Changed(vec![renamed("Juliet", "Capulet")]));
    }
}

#[test]
fn a_departure_beside_an_arrival_is_no_renaming_if_anything_speaks_against_it() {
    let changed = |document| match known().apply(4, document, None) {
        Applied::Changed(changes) => changes,
        other => panic!("not applied: {other:?}"),
    };
    let removed = Some(EndpointStatus::Booted(None));
    let juliet_for_nurse = |how| vec![left("Juliet", how), joined("Nurse")];
    assert_eq!(
        changed(partial(vec![gone("Juliet", removed), here("Nurse")])),
        juliet_for_nurse(Departure::Booted)
    );
    assert_eq!(
        changed(partial(vec![gone("Juliet", None), here("Nurse"), here("Romeo")])),
        juliet_for_nurse(Departure::Unsaid)
    );
    assert_eq!(
        changed(full(vec![here("Romeo"), here("Nurse")])),
        juliet_for_nurse(Departure::Unsaid)
    );
}

#[test]
fn a_subject_is_told_when_it_changes() {
    let mut roster = known();
    let with_subject = |text: &str| Document {
        subject: Some(text.to_owned()),
        ..partial(vec![])
    };
    let told = |text: &str| Applied::Changed(vec![Change::Subject(text.to_owned())]);
    assert_eq!(roster.apply(4, with_subject("Feud"), None), told("Feud"));
    assert_eq!(roster.apply(5, partial(vec![]), None), Applied::Changed(vec![]));
    assert_eq!(
        roster.apply(6, with_subject("Feud"), None),
        Applied::Changed(vec![])
    );
    assert_eq!(roster.apply(7, with_subject("Peace"), None), told("Peace"));
}

#[test]
fn a_deleted_conference_leaves_nobody() {
    let mut roster = known();
    let Applied::Changed(changes) = roster.apply(4, document(State::Deleted, vec![]), None) else {
        panic!("not applied");
    };
    assert_eq!(
        changes,
        [
            left("Juliet", Departure::Unsaid),
            left("Romeo", Departure::Unsaid)
        ]
    );
    assert!(roster.nicknames().is_empty());
}

#[test]
fn occupants_are_limited() {
    let many = |count: usize| (0..count).map(|number| here(&format!("n{number}"))).collect();
    for (count, fits) in [(OCCUPANTS - 1, true), (OCCUPANTS, true), (OCCUPANTS + 1, false)] {
        let mut roster = Roster::default();
        let applied = roster.apply(1, full(many(count)), None);
        assert_eq!(applied != Applied::TooLarge, fits, "{count}");
        assert_eq!(roster.is_known(), fits);
    }
    let mut roster = Roster::default();
    roster.apply(1, full(many(OCCUPANTS)), None);
    assert_eq!(
        roster.apply(2, partial(vec![here("Nurse")]), None),
        Applied::TooLarge
    );
}

#[test]
fn a_nickname_is_found_by_its_entity_or_read_from_it() {
    let roster = known();
    let table = [
        ("sip:capulet@rooms.example.com;gr=Juliet", Some("Juliet")),
        (
            "sip:capulet@rooms.example.com;gr=First%20Witch",
            Some("First Witch"),
        ),
        ("sip:capulet@rooms.example.com;gr=f%C3%BCr:d", Some("für:d")),
        ("sip:capulet@rooms.example.com;gr=%FF", None),
        ("sip:capulet@rooms.example.com;gr=50%2", None),
        ("sip:capulet@rooms.example.com", None),
        ("sip:capulet@rooms.example.com;gr", None),
        ("nonsense", None),
    ];
    for (entity, nickname) in table {
        assert_eq!(roster.nickname_of(entity).as_deref(), nickname, "{entity}");
    }
}
