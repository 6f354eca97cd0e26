//! Conference documents: writing, reading, applying.

use proptest::prelude::*;
use sip::conference::{Document, EndpointStatus, State, User};

const ROOM: &str = "sip:capulet@rooms.example.com";

fn romeo() -> User {
    User {
        entity: format!("{ROOM};gr=Romeo"),
        state: State::Full,
        display_text: Some("Romeo <Montague> & Co.".into()),
        nickname: Some("Romeo \"M\"".into()),
        aors: Vec::new(),
        roles: vec!["participant".into()],
        status: Some(EndpointStatus::Connected),
    }
}

fn room(users: Vec<User>) -> Document {
    Document {
        entity: ROOM.into(),
        state: State::Full,
        subject: Some("Today in Verona".into()),
        user_count: u32::try_from(users.len()).ok(),
        users,
    }
}

// Rows: B7702-12, C7701-51, C4575-08, C4575-11, C4575-15, C4575-16, C4575-22, C4575-24, E-18, E-19, E-40
#[test]
fn full_document_has_the_order_of_the_schema() {
    let written = String::from_utf8(room(vec![romeo()]).render().with_version(7).to_vec()).unwrap();
    let id = written
        .split("media id=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let expected = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\" \
         xmlns:xcon=\"urn:ietf:params:xml:ns:xcon-conference-info\" \
         entity=\"{ROOM}\" state=\"full\" version=\"7\">\
         <conference-description><subject>Today in Verona</subject>\
         <conf-uris><entry><uri>{ROOM}</uri><purpose>participation</purpose></entry></conf-uris></conference-description>\
         <conference-state><user-count>1</user-count></conference-state>\
         <users state=\"full\"><user entity=\"{ROOM};gr=Romeo\" state=\"full\" xcon:nickname=\"Romeo &quot;M&quot;\">\
         <display-text>Romeo &lt;Montague&gt; &amp; Co.</display-text>\
         <roles><entry>participant</entry></roles>\
         <endpoint entity=\"{ROOM};gr=Romeo\" state=\"full\"><status>connected</status>\
         <media id=\"{id}\"><type>message</type></media></endpoint></user></users></conference-info>\n"
    );
    assert_eq!(written, expected);
    assert!(!id.is_empty() && id.bytes().all(|digit| digit.is_ascii_digit()));
}

// Rows: C4575-15
#[test]
fn an_empty_room_still_has_description_and_users() {
    let document = Document {
        entity: ROOM.into(),
        ..Document::default()
    };
    let written = String::from_utf8(document.render().with_version(0).to_vec()).unwrap();
    assert!(
        written.contains("<conference-description><conf-uris>"),
        "{written}"
    );
    assert!(written.contains("<users state=\"full\"></users>"), "{written}");
}

// Rows: C4575-09
#[test]
fn one_rendering_serves_subscribers_with_different_versions() {
    let rendered = room(vec![romeo()]).render();
    for version in [0, 1, 4_294_967_295] {
        assert_eq!(
            Document::parse(&rendered.with_version(version)).unwrap(),
            (version, room(vec![romeo()]))
        );
    }
}

// Rows: B7702-12
#[test]
fn media_ids_are_stable_and_differ_between_users() {
    let id = |nickname: &str| {
        let user = User {
            entity: format!("{ROOM};gr={nickname}"),
            ..romeo()
        };
        let written = String::from_utf8(room(vec![user]).render().with_version(1).to_vec()).unwrap();
        written
            .split("media id=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(id("Romeo"), id("Romeo"));
    assert_ne!(id("Romeo"), id("Juliet"));
}

// Rows: C4575-11, C4575-20
#[test]
fn a_deleted_user_says_how_he_left_and_nothing_else() {
    for status in [
        EndpointStatus::Departed,
        EndpointStatus::Booted(None),
        EndpointStatus::Booted(Some("noise".into())),
    ] {
        let change = Document {
            state: State::Partial,
            subject: None,
            users: vec![User {
                state: State::Deleted,
                status: Some(status.clone()),
                ..romeo()
            }],
            ..room(vec![])
        };
        let (_, read) = Document::parse(&change.render().with_version(2)).unwrap();
        let expected = User {
            entity: romeo().entity,
            state: State::Deleted,
            status: Some(status),
            ..User::default()
        };
        assert_eq!(read.users, [expected]);
        assert_eq!((read.state, read.subject), (State::Partial, None));
    }
}

// Rows: C4575-11, C4575-13
#[test]
fn a_deleted_conference_has_no_content() {
    let gone = Document {
        state: State::Deleted,
        ..room(vec![romeo()])
    };
    let written = gone.render().with_version(9);
    assert!(!String::from_utf8_lossy(&written).contains("<user"));
    let (version, read) = Document::parse(&written).unwrap();
    assert_eq!((version, read.state, read.users.len()), (9, State::Deleted, 0));
    let mut known = room(vec![romeo()]);
    known.apply(read);
    assert_eq!((known.state, known.users.len()), (State::Deleted, 0));
}

/// Comments, foreign elements, several endpoints, entities, as in RFC 4575 §7.2 and from deployed focuses.
// Rows: A7702-27, C4575-17, C4575-23, C7701-57, E-40
#[test]
fn a_rich_document_is_read() {
    let (version, document) = Document::parse(
        br#"<?xml version="1.0" encoding="UTF-8"?>
        <ci:conference-info xmlns:ci="urn:ietf:params:xml:ns:conference-info" xmlns:m="urn:x" xmlns:c="urn:ietf:params:xml:ns:xcon-conference-info"
            entity="sips:conf233@example.com" version="61">
          <!-- description -->
          <ci:conference-description><ci:display-text>not the subject</ci:display-text>
            <ci:subject> Agenda: A&amp;B&#x21; <![CDATA[<soon>]]> </ci:subject><m:subject>foreign</m:subject></ci:conference-description>
          <ci:host-info><ci:display-text>Host</ci:display-text></ci:host-info>
          <ci:conference-state><ci:user-count>33</ci:user-count><ci:active>true</ci:active></ci:conference-state>
          <ci:users>
            <ci:user entity="sip:bob@example.com" c:nickname="Dopey &lt;Donkey&gt;" state="full">
              <ci:display-text>Bob Hoskins</ci:display-text>
              <ci:associated-aors><ci:entry><ci:uri>mailto:bob@example.com</ci:uri></ci:entry></ci:associated-aors>
              <ci:roles><ci:entry>participant</ci:entry><ci:entry>moderator</ci:entry></ci:roles>
              <ci:endpoint entity="sip:bob@old"><ci:display-text>Old</ci:display-text><ci:status>disconnected</ci:status>
                <ci:disconnection-method>departed</ci:disconnection-method></ci:endpoint>
              <ci:endpoint entity="sip:bob@pc33"><ci:status>connected</ci:status><ci:joining-info><ci:reason>no</ci:reason></ci:joining-info>
                <ci:media id="1"><ci:type>message</ci:type><ci:status>sendrecv</ci:status></ci:media></ci:endpoint>
            </ci:user>
            <ci:user entity="sip:alice@example.com"><ci:endpoint entity="x"><ci:status>on-hold</ci:status></ci:endpoint></ci:user>
            <ci:user entity="sip:eve@example.com"><ci:endpoint entity="x"><ci:status>disconnected</ci:status>
              <ci:disconnection-method>booted</ci:disconnection-method>
              <ci:disconnection-info><ci:when>2005-03-04T20:00:00Z</ci:when><ci:reason>noise</ci:reason></ci:disconnection-info></ci:endpoint></ci:user>
            <ci:user><ci:display-text>nobody</ci:display-text></ci:user>
          </ci:users>
          <ci:sidebars-by-ref><ci:entry><ci:uri>sips:conf233@example.com;grid=45</ci:uri></ci:entry></ci:sidebars-by-ref>
          <ci:sidebars-by-val><ci:entry entity="sips:side"><ci:users><ci:user entity="sip:side@example.com"/></ci:users></ci:entry></ci:sidebars-by-val>
        </ci:conference-info>"#,
    )
    .unwrap();
    assert_eq!((version, document.state), (61, State::Full));
    assert_eq!(document.subject.as_deref(), Some("Agenda: A&B! <soon>"));
    assert_eq!(document.user_count, Some(33));
    let names: Vec<_> = document.users.iter().map(|user| user.entity.as_str()).collect();
    assert_eq!(
        names,
        [
            "sip:bob@example.com",
            "sip:alice@example.com",
            "sip:eve@example.com"
        ]
    );
    let bob = &document.users[0];
    assert_eq!(bob.display_text.as_deref(), Some("Bob Hoskins"));
    assert_eq!(bob.nickname.as_deref(), Some("Dopey <Donkey>"));
    assert_eq!(bob.roles, ["participant", "moderator"]);
    assert_eq!(bob.status, Some(EndpointStatus::Connected));
    assert_eq!(
        document.users[1].status,
        Some(EndpointStatus::Other("on-hold".into()))
    );
    assert_eq!(
        document.users[2].status,
        Some(EndpointStatus::Booted(Some("noise".into())))
    );
}

// Rows: E-18
#[test]
fn a_missing_namespace_is_tolerated() {
    let body = br#"<conference-info version="0" state="full" entity="sip:3402934234@chat.example.org">
        <users><user entity="sip:montague@chat.example.org;gr=Ben" state="full"><display-text>Ben</display-text></user></users>
        </conference-info>"#;
    let (_, document) = Document::parse(body).unwrap();
    assert_eq!(document.users[0].display_text.as_deref(), Some("Ben"));
}

// Rows: C4575-19, C4575-20
#[test]
fn statuses_are_told_apart() {
    let table = [
        ("<status>connected</status>", Some(EndpointStatus::Connected)),
        ("<status>disconnected</status>", Some(EndpointStatus::Departed)),
        (
            "<disconnection-method>departed</disconnection-method>",
            Some(EndpointStatus::Departed),
        ),
        (
            "<disconnection-method>booted</disconnection-method>",
            Some(EndpointStatus::Booted(None)),
        ),
        (
            "<status>disconnected</status><disconnection-method>failed</disconnection-method>",
            Some(EndpointStatus::Other("disconnected".into())),
        ),
        (
            "<status>muted-via-focus</status>",
            Some(EndpointStatus::Other("muted-via-focus".into())),
        ),
        ("", None),
    ];
    for (content, expected) in table {
        let body = format!(
            "<conference-info entity='r' state='partial' version='1'><users state='partial'>\
             <user entity='u' state='partial'><endpoint entity='e'>{content}</endpoint></user></users></conference-info>"
        );
        let (_, document) = Document::parse(body.as_bytes()).unwrap();
        assert_eq!(document.users[0].status, expected, "{content}");
    }
}

/// RFC 4575 §4.4: the default of every state is full.
// Rows: C4575-10
#[test]
fn whole_users_in_a_partial_document_replace_the_roster() {
    for (users, state) in [
        (
            "<users state='partial'><user entity='u'/></users>",
            State::Partial,
        ),
        ("<users><user entity='u'/></users>", State::Full),
        ("<users state='full'><user entity='u'/></users>", State::Full),
        ("", State::Partial),
    ] {
        let body =
            format!("<conference-info entity='r' state='partial' version='1'>{users}</conference-info>");
        assert_eq!(
            Document::parse(body.as_bytes()).unwrap().1.state,
            state,
            "{users}"
        );
    }
    let body = b"<conference-info entity='r' state='partial'><users state='deleted'><user entity='u'/></users></conference-info>";
    let (_, emptied) = Document::parse(body).unwrap();
    assert_eq!((emptied.state, emptied.users.len()), (State::Full, 0));
}

// Rows: C4575-08, E-18
#[test]
fn what_is_no_document_is_refused() {
    let deep = |levels: usize| {
        format!(
            "<conference-info entity='r'>{}{}</conference-info>",
            "<a>".repeat(levels),
            "</a>".repeat(levels)
        )
    };
    let wide = |attributes: usize| {
        let attributes: String = (0..attributes).map(|number| format!(" a{number}=''")).collect();
        format!("<conference-info entity='r'><x{attributes}/></conference-info>")
    };
    let long = |octets: usize| {
        let frame = "<conference-info entity='r'></conference-info>";
        frame.replace("><", &format!(">{}<", " ".repeat(octets - frame.len())))
    };
    let declaring = |count: usize| {
        let declarations: String = (0..count).map(|number| format!(" xmlns:n{number}='u'")).collect();
        format!("<conference-info entity='r'{declarations}/>")
    };
    for (body, fine) in [
        (deep(30), true),
        (deep(31), true),
        (deep(32), false),
        (deep(36_000), false),
        (wide(63), true),
        (wide(64), true),
        (wide(65), false),
        (wide(10_000), false),
        (long(256 * 1024 - 1), true),
        (long(256 * 1024), true),
        (long(256 * 1024 + 1), false),
        (declaring(8_000), false),
        (String::new(), false),
        ("text".into(), false),
        ("<presence entity='r'/>".into(), false),
        ("<conference-info/>".into(), false),
        ("<conference-info entity='r'>".into(), false),
        (
            "<conference-info entity='r'/><conference-info entity='r'/>".into(),
            false,
        ),
        ("<conference-info entity='r'/>tail".into(), false),
        (
            "<conference-info entity='r'><users></conference-info>".into(),
            false,
        ),
        ("<conference-info entity='r' entity='s'/>".into(), false),
        ("<conference-info entity='r' state='whole'/>".into(), false),
        ("<conference-info entity='r' version='4294967295'/>".into(), true),
        ("<conference-info entity='r' version='4294967296'/>".into(), false),
        ("<conference-info entity='r' version='-1'/>".into(), false),
        ("<x:conference-info entity='r'/>".into(), false),
        ("<!DOCTYPE a><conference-info entity='r'/>".into(), false),
        (
            "<!DOCTYPE a [<!ENTITY b 'c'>]><conference-info entity='&b;'/>".into(),
            false,
        ),
        ("<conference-info entity='&b;'/>".into(), false),
        ("<conference-info entity='r'>&b;</conference-info>".into(), false),
        ("<conference-info entity='r'>&#0;</conference-info>".into(), false),
        ("\u{FEFF}<conference-info entity='r'/>".into(), true),
    ] {
        let read = Document::parse(body.as_bytes());
        assert_eq!(
            read.is_ok(),
            fine,
            "{}: {read:?}",
            &body.chars().take(80).collect::<String>()
        );
    }
    assert!(Document::parse(b"<conference-info entity='\xFF'/>").is_err());
}

// Rows: C4575-12, C4575-14
#[test]
fn partial_users_are_merged_by_entity() {
    let mut known = room(vec![romeo()]);
    let change = |user: User| Document {
        entity: ROOM.into(),
        state: State::Partial,
        users: vec![user],
        ..Document::default()
    };
    known.apply(change(User {
        entity: romeo().entity,
        state: State::Partial,
        status: Some(EndpointStatus::Other("on-hold".into())),
        ..User::default()
    }));
    assert_eq!(known.users[0].nickname, romeo().nickname, "kept");
    assert_eq!(known.users[0].state, State::Full);
    assert_eq!(
        known.users[0].status,
        Some(EndpointStatus::Other("on-hold".into()))
    );
    known.apply(change(User {
        display_text: None,
        ..romeo()
    }));
    assert_eq!(known.users[0].display_text, None, "a whole user replaces");
    assert_eq!(
        known.subject.as_deref(),
        Some("Today in Verona"),
        "not mentioned, so unchanged"
    );
    known.apply(change(User {
        state: State::Deleted,
        ..romeo()
    }));
    assert!(known.users.is_empty());
    known.apply(change(User {
        state: State::Deleted,
        ..romeo()
    }));
    assert!(known.users.is_empty(), "deleting nobody");
}

/// Text that XML carries unchanged and that has no space at its ends.
fn text() -> impl Strategy<Value = String> {
    "[^\\p{C}\u{FFFD}]{0,12}".prop_map(|text| text.trim_ascii().to_owned())
}

fn status() -> impl Strategy<Value = Option<EndpointStatus>> {
    prop_oneof![
        Just(None),
        Just(Some(EndpointStatus::Connected)),
        Just(Some(EndpointStatus::Departed)),
        proptest::option::of(text()).prop_map(|reason| Some(EndpointStatus::Booted(reason))),
        Just(Some(EndpointStatus::Other("pending".into()))),
    ]
}

fn user() -> impl Strategy<Value = User> {
    let roles = proptest::collection::vec(text(), 0..3);
    (
        0..12_u8,
        proptest::option::of(text()),
        proptest::option::of(text()),
        roles,
        status(),
    )
        .prop_map(|(number, display_text, nickname, roles, status)| User {
            entity: format!("{ROOM};gr={number}"),
            state: State::Full,
            display_text,
            nickname,
            roles,
            status,
        })
}

fn document() -> impl Strategy<Value = Document> {
    let users = proptest::collection::vec(user(), 0..10).prop_map(|mut users| {
        users.sort_by(|one, other| one.entity.cmp(&other.entity));
        users.dedup_by(|one, other| one.entity == other.entity);
        users
    });
    (text(), any::<u32>(), users).prop_map(|(subject, count, users)| Document {
        entity: ROOM.into(),
        state: State::Full,
        subject: Some(subject),
        user_count: Some(count),
        users,
    })
}

/// What a notifier sends to get a subscriber from one state to the other.
fn difference(from: &Document, to: &Document) -> Document {
    let gone = from
        .users
        .iter()
        .filter(|old| to.users.iter().all(|new| new.entity != old.entity));
    let gone = gone.map(|user| User {
        entity: user.entity.clone(),
        state: State::Deleted,
        ..User::default()
    });
    let changed = to.users.iter().filter(|user| !from.users.contains(user)).cloned();
    Document {
        entity: ROOM.into(),
        state: State::Partial,
        subject: (from.subject != to.subject).then(|| to.subject.clone()).flatten(),
        user_count: to.user_count,
        users: gone.chain(changed).collect(),
    }
}

proptest! {
    #[test]
    fn documents_survive_writing_and_reading(document in document(), version: u32) {
        prop_assert_eq!(Document::parse(&document.render().with_version(version)).unwrap(), (version, document));
    }

    // Rows: C4575-14
    #[test]
    fn partial_documents_applied_give_the_full_one(states in proptest::collection::vec(document(), 1..5)) {
        let mut known = states[0].clone();
        for pair in states.windows(2) {
            let (_, change) = Document::parse(&difference(&pair[0], &pair[1]).render().with_version(1)).unwrap();
            known.apply(change);
            known.users.sort_by(|one, other| one.entity.cmp(&other.entity));
            prop_assert_eq!(&known, &pair[1]);
        }
    }

    #[test]
    fn any_text_gives_a_document_that_can_be_read(text: String, other: String) {
        let hostile = Document {
            entity: text.clone(),
            subject: Some(text.clone()),
            users: vec![User {
                entity: format!("u{other}"),
                display_text: Some(text.clone()),
                nickname: Some(other.clone()),
                roles: vec![text],
                status: Some(EndpointStatus::Booted(Some(other))),
                ..User::default()
            }],
            ..Document::default()
        };
        let (_, read) = Document::parse(&hostile.render().with_version(1)).unwrap();
        prop_assert_eq!(read.users.len(), 1);
    }

    #[test]
    fn any_octets_are_read_without_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Document::parse(&body);
    }

    #[test]
    fn a_document_with_flipped_octets_is_read_without_panic(document in document(), flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut body = document.render().with_version(1).to_vec();
        for (place, octet) in flips {
            let place = place.index(body.len());
            body[place] = octet;
        }
        if let Ok((_, read)) = Document::parse(&body) {
            let mut known = document;
            known.apply(read);
        }
    }
}

/// T1 of the threat list: no code point breaks a document.
#[test]
fn every_code_point_can_be_written() {
    for block in (0..=0x10_FFFF_u32).collect::<Vec<_>>().chunks(0x4000) {
        let text: String = block.iter().filter_map(|code| char::from_u32(*code)).collect();
        let document = Document {
            subject: Some(text.clone()),
            users: vec![User {
                nickname: Some(text),
                ..romeo()
            }],
            ..room(vec![])
        };
        let written = document.render().with_version(1);
        let (_, read) = Document::parse(&written).unwrap();
        let forbidden = |character: char| matches!(character, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}');
        assert!(!std::str::from_utf8(&written).unwrap().contains(forbidden));
        assert!(read.subject.is_some());
    }
}
