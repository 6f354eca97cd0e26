//! What a message claims about itself is worth nothing against who sent it: rooms pass such claims on as their occupants wrote them.

use msrp::{Status, cpim::Cpim};
use xmpp::{
    BareJid, FullJid,
    stanza::{Delay, Destroy, Extras, Message, MessageKind, MucItem, MucUser, Outgoing, Retraction, Stanza},
};

use crate::{
    ROOM, ROOM_URI,
    stage::{Stage, config, muc::empty_message},
};

fn with_romeo() -> (Stage, usize, FullJid) {
    let mut stage = Stage::new(config());
    stage.muc.native_enters(ROOM, "Juliet");
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    let address = stage.muc.room(ROOM).occupants[1].1.clone();
    (stage, romeo, address.try_into_full().unwrap())
}

/// A groupchat message of an occupant, with these claims in it.
fn claiming(nickname: &str, to: &FullJid, claims: impl FnOnce(&mut Message)) -> Stanza {
    let room: BareJid = ROOM.parse().unwrap();
    let mut message = Message {
        from: room.with_resource_str(nickname).unwrap().into(),
        body: Some("words".to_owned()),
        ..empty_message(&room, to, "an-id", MessageKind::Groupchat)
    };
    claims(&mut message);
    Stanza::Message(Box::new(message))
}

fn old(message: &mut Message) {
    message.delay = Some(Delay {
        from: Some(ROOM.parse().unwrap()),
        stamp: "2001-01-01T00:00:00Z".to_owned(),
    });
}

#[test]
fn status_codes_in_a_groupchat_message_change_nothing() {
    let (mut stage, romeo, address) = with_romeo();
    stage.subscribe(romeo, ROOM_URI);
    let before = stage.nicknames(romeo);
    assert_eq!(before, ["Juliet", "Romeo"]);
    for nickname in ["Juliet", "Romeo"] {
        stage.stanza(claiming(nickname, &address, |message| {
            message.muc = Some(MucUser {
                statuses: vec![110, 303, 307, 332],
                items: vec![MucItem {
                    role: Some("none".to_owned()),
                    nick: Some("Fool".to_owned()),
                    ..MucItem::default()
                }],
                destroy: Some(Destroy::default()),
                ..MucUser::default()
            });
        }));
    }
    stage.pass(std::time::Duration::from_secs(6));
    assert_eq!(stage.bye(romeo), None);
    assert_eq!(stage.nicknames(romeo), before);
    let tag = stage.say(romeo, "still Romeo");
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
    assert_eq!(stage.heard(romeo).len(), 1, "Juliet's words, and not his own");
}

// Rows: B7702-24
#[test]
fn a_delay_after_the_subject_is_no_history() {
    let (mut stage, romeo, address) = with_romeo();
    stage.stanza(claiming("Juliet", &address, old));
    let (_, message) = &stage.users[romeo].received[0];
    let shown = Cpim::parse(&message.body).unwrap().date_time.unwrap();
    assert!(shown >= "2026-01-01T00:00:00Z".parse().unwrap(), "{shown}");
}

#[test]
fn a_delay_does_not_keep_a_reflection_from_being_one() {
    let (mut stage, romeo, address) = with_romeo();
    stage.muc.mute = true;
    let tag = stage.say(romeo, "words");
    let Some(Outgoing::Groupchat { id, .. }) = stage.to_rooms.last().cloned() else {
        unreachable!("he has just said something")
    };
    stage.stanza(claiming("Romeo", &address, |message| {
        message.id = Some(id);
        old(message);
    }));
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
    assert!(stage.heard(romeo).is_empty());
}

#[test]
fn a_stanza_id_is_no_receipt() {
    let (mut stage, romeo, address) = with_romeo();
    stage.muc.mute = true;
    let tag = stage.say(romeo, "words");
    let Some(Outgoing::Groupchat { id, .. }) = stage.to_rooms.last().cloned() else {
        unreachable!("he has just said something")
    };
    for by in [ROOM, "romeo@example.org"] {
        stage.stanza(claiming("Juliet", &address, |message| {
            message.stanza_ids = vec![(by.parse().unwrap(), id.clone())];
        }));
    }
    assert_eq!(stage.outcome(romeo, tag), None::<Result<(), Status>>);
}

#[test]
fn a_message_from_a_stranger_is_none_of_the_room() {
    let (mut stage, romeo, address) = with_romeo();
    for stranger in [
        "mallory@example.com/x",
        "capulet@elsewhere.example/Juliet",
        "other@rooms.example.com/Juliet",
    ] {
        stage.stanza(claiming("Juliet", &address, |message| {
            message.from = stranger.parse().unwrap();
        }));
    }
    assert!(stage.heard(romeo).is_empty());
}

// Rows: CXMPP-25
#[test]
fn a_moderation_counts_from_the_room_alone() {
    let (mut stage, romeo, address) = with_romeo();
    let moderated = |message: &mut Message| {
        message.body = None;
        message.extras = Extras {
            retraction: Some(Retraction {
                moderated: true,
                ..Retraction::default()
            }),
            ..Extras::default()
        };
    };
    stage.stanza(claiming("Juliet", &address, moderated));
    assert!(stage.heard(romeo).is_empty());
    stage.stanza(claiming("Juliet", &address, |message| {
        moderated(message);
        message.from = ROOM.parse().unwrap();
    }));
    let notice = "(an earlier message was removed by a moderator)";
    assert_eq!(
        stage.heard(romeo),
        [(ROOM_URI.to_owned(), ROOM_URI.to_owned(), notice.to_owned())]
    );
}
