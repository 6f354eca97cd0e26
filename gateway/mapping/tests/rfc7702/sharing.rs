//! One copy of a room's message is for all our users there, and how many copies come makes no difference.

use xmpp::{BareJid, FullJid, stanza::Outgoing};

use crate::{
    ROOM, ROOM_URI,
    stage::{
        Stage, config,
        muc::{empty_message, message},
    },
};

fn room() -> BareJid {
    ROOM.parse().unwrap()
}

fn with_three() -> (Stage, [usize; 3], [FullJid; 3]) {
    let mut stage = Stage::new(config());
    stage.muc.native_enters(ROOM, "Juliet");
    let users = ["Romeo", "Mercutio", "Benvolio"].map(|name| {
        let user = stage.user(&name.to_lowercase());
        stage.enter(user, ROOM_URI, name);
        user
    });
    let jids = ["Romeo", "Mercutio", "Benvolio"].map(|name| occupant(&stage, name));
    (stage, users, jids)
}

fn occupant(stage: &Stage, nickname: &str) -> FullJid {
    let occupants = &stage.muc.room(ROOM).occupants;
    let (_, jid) = occupants.iter().find(|(nick, _)| nick == nickname).unwrap();
    jid.clone().try_into_full().unwrap()
}

fn texts(stage: &Stage, user: usize) -> Vec<String> {
    stage.heard(user).into_iter().map(|(.., text)| text).collect()
}

#[test]
fn whoever_has_heard_the_history_shares() {
    let (stage, _, jids) = with_three();
    let sharing: Vec<_> = jids.into_iter().map(|jid| (room(), jid)).collect();
    assert_eq!(
        stage
            .sharing
            .iter()
            .cloned()
            .collect::<std::collections::BTreeSet<_>>(),
        sharing.into_iter().collect()
    );
}

#[test]
fn one_copy_is_for_all_whosever_it_is() {
    for chosen in 0..3 {
        let (mut stage, users, jids) = with_three();
        stage.stanza(message(&room(), "Juliet", &jids[chosen], "1", "hark"));
        for user in users {
            assert_eq!(texts(&stage, user), ["hark"]);
        }
    }
}

#[test]
fn further_copies_change_nothing_in_whatever_order() {
    let (mut stage, users, jids) = with_three();
    for (id, to) in [("1", 0), ("2", 0), ("1", 1), ("2", 2), ("1", 2), ("2", 1)] {
        stage.stanza(message(&room(), "Juliet", &jids[to], id, id));
    }
    for user in users {
        assert_eq!(texts(&stage, user), ["1", "2"]);
    }
}

#[test]
fn equal_messages_are_as_many_as_one_occupant_has_copies() {
    let (mut stage, users, jids) = with_three();
    for _ in 0..2 {
        for jid in &jids {
            stage.stanza(message(&room(), "Juliet", jid, "1", "again"));
        }
    }
    for user in users {
        assert_eq!(texts(&stage, user), ["again"; 2]);
    }
}

#[test]
fn the_copy_of_another_is_the_senders_receipt() {
    let (mut stage, users, jids) = with_three();
    stage.muc.mute = true;
    let tag = stage.say(users[0], "Romeo is here!");
    let Some(Outgoing::Groupchat { id, body, .. }) = stage.to_rooms.last().cloned() else {
        panic!()
    };
    stage.stanza(message(&room(), "Romeo", &jids[2], &id, &body));
    assert_eq!(stage.outcome(users[0], tag), Some(Ok(())));
    assert_eq!(texts(&stage, users[0]), Vec::<String>::new());
    assert_eq!(texts(&stage, users[1]), ["Romeo is here!"]);
    assert_eq!(texts(&stage, users[2]), ["Romeo is here!"]);
}

#[test]
fn what_the_room_says_in_its_own_name_is_for_its_recipient() {
    let (mut stage, users, jids) = with_three();
    let mut notice = empty_message(&room(), &jids[1], "1", xmpp::stanza::MessageKind::Groupchat);
    notice.body = Some("for your eyes only".to_owned());
    stage.stanza(xmpp::stanza::Stanza::Message(Box::new(notice)));
    assert_eq!(texts(&stage, users[0]), Vec::<String>::new());
    assert_eq!(texts(&stage, users[1]), ["for your eyes only"]);
}

#[test]
fn a_room_that_says_different_things_under_one_id_is_served_with_own_copies() {
    let (mut stage, users, jids) = with_three();
    for id in ["1", "2"] {
        for (language, jid) in ["italiano", "english", "deutsch"].iter().zip(&jids) {
            stage.stanza(message(&room(), "Juliet", jid, id, &format!("{id} {language}")));
        }
    }
    assert!(stage.sharing.is_empty());
    // Until it was noticed the first two were shown to all.
    assert_eq!(texts(&stage, users[0]), ["1 italiano", "1 english", "2 italiano"]);
    assert_eq!(texts(&stage, users[1]), ["1 italiano", "1 english", "2 english"]);
    assert_eq!(
        texts(&stage, users[2]),
        ["1 italiano", "1 english", "1 deutsch", "2 deutsch"]
    );
}

#[test]
fn who_left_hands_on_what_came_to_him_until_the_link_knows() {
    let (mut stage, users, jids) = with_three();
    stage.hold_unshared = true;
    stage.cut(users[0]);
    stage.run();
    assert!(stage.bye(users[0]).is_some());
    stage.stanza(message(&room(), "Juliet", &jids[0], "1", "the only copy"));
    assert_eq!(texts(&stage, users[1]), ["the only copy"]);
    assert_eq!(texts(&stage, users[2]), ["the only copy"]);
    stage.hold_unshared = false;
    stage.run();
    stage.stanza(message(&room(), "Juliet", &jids[0], "2", "to a ghost"));
    assert_eq!(texts(&stage, users[1]), ["the only copy"]);
}

#[test]
fn who_comes_back_hears_his_own_history_first() {
    let (mut stage, users, jids) = with_three();
    stage.stanza(message(&room(), "Juliet", &jids[0], "1", "before"));
    stage.muc.mute = true;
    stage.link(false);
    stage.link(true);
    assert!(stage.sharing.is_empty());
    stage.muc.mute = false;
    stage.pass(std::time::Duration::from_secs(30));
    assert_eq!(stage.sharing.len(), 3);
    stage.stanza(message(&room(), "Juliet", &jids[2], "2", "after"));
    for user in users {
        assert_eq!(texts(&stage, user), ["before", "after"]);
    }
}

#[test]
fn a_late_copy_of_what_was_said_before_he_shared_is_for_him_alone() {
    let (mut stage, users, jids) = with_three();
    stage.stanza(message(&room(), "Juliet", &jids[0], "1", "early"));
    let paris = stage.user("paris");
    stage.enter(paris, ROOM_URI, "Paris");
    let jid = occupant(&stage, "Paris");
    stage.stanza(message(&room(), "Juliet", &jid, "1", "early"));
    assert_eq!(texts(&stage, paris), ["early"]);
    for user in users {
        assert_eq!(texts(&stage, user), ["early"]);
    }
}

#[test]
fn nobody_shares_where_that_is_off() {
    let mut config = config();
    config.occupants.share_copies = false;
    let mut stage = Stage::new(config);
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    assert!(stage.sharing.is_empty());
    let tag = stage.say(romeo, "hello");
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
}
