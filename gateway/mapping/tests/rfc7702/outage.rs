//! What users are told, and what becomes of what they say, while their room is out of reach.

use std::time::Duration;

use mapping::{Config, Outage, OutageRule};
use msrp::{MessageTag, Status};
use xmpp::stanza::{Outgoing, Stanza};

use crate::{
    ROOM, ROOM_URI,
    stage::{
        Stage, config,
        muc::{message, private},
    },
};

const SOON: Duration = Duration::from_secs(3);

fn with(outage: Outage) -> Config {
    Config { outage, ..config() }
}

fn holding() -> Config {
    with(Outage {
        tell: false,
        messages: OutageRule::Hold,
    })
}

fn with_two(config: Config) -> (Stage, usize, usize) {
    let mut stage = Stage::new(config);
    stage.muc.native_enters(ROOM, "Juliet");
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    let mercutio = stage.user("mercutio");
    stage.enter(mercutio, ROOM_URI, "Mercutio");
    (stage, romeo, mercutio)
}

fn texts(stage: &Stage, user: usize) -> Vec<String> {
    let heard = stage.heard(user).into_iter();
    heard.map(|(_, _, text)| text).collect()
}

/// Without what he is told of the room's going and coming.
fn texts_but_of_outages(stage: &Stage, user: usize) -> Vec<String> {
    let mut heard = texts(stage, user);
    heard.retain(|text| !text.starts_with("(the room is"));
    heard
}

fn outcome(stage: &Stage, user: usize, tag: MessageTag) -> Option<Result<(), u16>> {
    stage
        .outcome(user, tag)
        .map(|outcome| outcome.map_err(Status::code))
}

fn said(stage: &Stage, text: &str) -> usize {
    let groupchats = stage
        .to_rooms
        .iter()
        .filter(|stanza| matches!(stanza, Outgoing::Groupchat { body, .. } if body == text));
    groupchats.count()
}

#[test]
fn users_are_told_by_the_room_once_each_time() {
    let (mut stage, romeo, mercutio) = with_two(with(Outage::default()));
    for outages in 1..=2 {
        stage.link(false);
        // The server comes and goes before anybody is back.
        stage.muc.mute = true;
        stage.link(true);
        stage.link(false);
        stage.muc.mute = false;
        assert_eq!(stage.heard(romeo).len(), 2 * outages - 1);
        stage.link(true);
        stage.pass(SOON);
        for user in [romeo, mercutio] {
            let heard = stage.heard(user);
            assert_eq!(heard.len(), 2 * outages);
            assert!(
                heard
                    .iter()
                    .all(|(from, to, _)| from == ROOM_URI && to == ROOM_URI)
            );
            let last: Vec<_> = heard
                .iter()
                .rev()
                .take(2)
                .map(|(_, _, text)| text.as_str())
                .collect();
            assert_eq!(
                last,
                [
                    "(the room is back)",
                    "(the room is out of reach for now; this call stays up until it is back)"
                ]
            );
        }
    }
}

#[test]
fn users_are_told_nothing_where_that_is_off() {
    let (mut stage, romeo, _) = with_two(with(Outage {
        tell: false,
        ..Outage::default()
    }));
    stage.link(false);
    stage.link(true);
    stage.pass(SOON);
    assert_eq!(texts(&stage, romeo), Vec::<String>::new());
}

#[test]
fn held_messages_are_sent_once_and_in_order_when_the_room_is_back() {
    let (mut stage, romeo, mercutio) = with_two(holding());
    stage.link(false);
    let tags = ["one", "two", "three"].map(|text| stage.say(romeo, text));
    assert_eq!(tags.map(|tag| outcome(&stage, romeo, tag)), [None; 3]);
    // Away again before he is back: they go on waiting.
    stage.muc.mute = true;
    stage.link(true);
    stage.link(false);
    stage.muc.mute = false;
    assert_eq!(tags.map(|tag| outcome(&stage, romeo, tag)), [None; 3]);
    stage.link(true);
    stage.pass(SOON);
    let last = stage.say(romeo, "four");
    assert_eq!(tags.map(|tag| outcome(&stage, romeo, tag)), [Some(Ok(())); 3]);
    assert_eq!(outcome(&stage, romeo, last), Some(Ok(())));
    assert_eq!(texts(&stage, mercutio), ["one", "two", "three", "four"]);
    assert_eq!(texts(&stage, romeo), Vec::<String>::new());
}

#[test]
fn what_is_held_waits_until_those_who_shall_hear_it_are_back_but_not_for_ever() {
    let (mut stage, romeo, mercutio) = with_two(holding());
    stage.link(false);
    let tag = stage.say(romeo, "one");
    let absent = stage
        .muc
        .rooms
        .get_mut(&ROOM.parse::<xmpp::BareJid>().unwrap())
        .unwrap();
    absent.occupants.retain(|(nickname, _)| nickname != "Mercutio");
    stage.muc.turned_away = Some("Mercutio".to_owned());
    stage.link(true);
    stage.pass(SOON);
    assert_eq!(said(&stage, "one"), 0, "Mercutio is not back");
    let behind = stage.say(romeo, "two");
    assert_eq!(said(&stage, "two"), 0, "what is held goes first");
    stage.pass(SOON);
    for tag in [tag, behind] {
        assert_eq!(outcome(&stage, romeo, tag), Some(Ok(())));
    }
    assert_eq!(texts(&stage, mercutio), ["one", "two"], "in Romeo's copies");
    let tag = stage.say(romeo, "three");
    assert_eq!(outcome(&stage, romeo, tag), Some(Ok(())), "said at once");
}

#[test]
fn what_was_on_its_way_and_has_not_arrived_is_refused_at_its_deadline_and_never_sent_again() {
    let (mut stage, romeo, _) = with_two(holding());
    stage.muc.mute = true;
    let tag = stage.say(romeo, "in flight");
    stage.link(false);
    stage.muc.mute = false;
    stage.link(true);
    stage.pass(SOON);
    assert_eq!(outcome(&stage, romeo, tag), None, "it may be late");
    stage.pass(config().limits.reflection);
    assert_eq!(outcome(&stage, romeo, tag), Some(Err(408)));
    assert_eq!(said(&stage, "in flight"), 1);
}

/// Romeo speaks, and the link breaks before he hears of it. Returns the message's id.
fn cut_off(stage: &mut Stage, romeo: usize) -> (MessageTag, String) {
    stage.muc.mute = true;
    let tag = stage.say(romeo, "in flight");
    let Some(Outgoing::Groupchat { id, .. }) = stage.to_rooms.last().cloned() else {
        panic!()
    };
    stage.link(false);
    stage.muc.mute = false;
    (tag, id)
}

/// What he says is cut off, and stands in the room's history under that nickname.
fn must_be_known_from_the_history(stage: &mut Stage, (romeo, nickname): (usize, &str), other: usize) {
    let (tag, id) = cut_off(stage, romeo);
    remember(stage, &[(nickname, &id, "in flight", NOW)]);
    stage.link(true);
    stage.pass(SOON);
    assert_eq!(outcome(stage, romeo, tag), Some(Ok(())));
    assert_eq!(texts(stage, other), ["in flight"]);
    assert_eq!(texts(stage, romeo), Vec::<String>::new());
}

/// The room gave it to him, and he never heard of that.
#[test]
fn what_was_on_its_way_is_known_from_the_history_under_the_nickname_that_was_asked_for_before_it() {
    let (mut stage, romeo, mercutio) = with_two(holding());
    stage.muc.mute = true;
    stage.nickname(romeo, "Montague");
    must_be_known_from_the_history(&mut stage, (romeo, "Montague"), mercutio);
}

/// Rooms admit nicknames that RFC 8266 holds for the same, and he had his before the other came.
#[test]
fn who_comes_back_keeps_his_nickname_beside_one_like_it_and_knows_his_own_messages() {
    let (mut stage, romeo, _) = with_two(holding());
    let told = stage.muc.native_enters(ROOM, "romeo");
    stage.stanzas(told);
    let (tag, id) = cut_off(&mut stage, romeo);
    remember(&mut stage, &[("Romeo", &id, "in flight", NOW)]);
    stage.to_rooms.clear();
    stage.link(true);
    stage.pass(SOON);
    let asked = stage.to_rooms.iter().filter_map(|stanza| match stanza {
        Outgoing::Enter { to, .. } => Some(to.resource().as_str()),
        _ => None,
    });
    assert_eq!(asked.collect::<Vec<_>>(), ["Romeo", "Mercutio"]);
    assert_eq!(outcome(&stage, romeo, tag), Some(Ok(())));
    assert_eq!(texts(&stage, romeo), Vec::<String>::new());
}

#[test]
fn who_comes_back_after_another_user_of_ours_took_his_nickname_gets_a_variant() {
    let (mut stage, _, _) = with_two(holding());
    let dropped = stage.muc.leaves(ROOM, "Romeo", &[307, 333], None);
    stage.stanzas(dropped);
    let paris = stage.user("paris");
    stage.enter(paris, ROOM_URI, "ROMEO");
    stage.pass(SOON);
    let ours = stage.muc.room(ROOM).occupants.iter();
    let nicknames: Vec<&str> = ours.map(|(nickname, _)| nickname.as_str()).collect();
    assert_eq!(nicknames, ["Juliet", "Mercutio", "ROMEO", "Romeo (2)"]);
}

fn remember(stage: &mut Stage, said: &[(&str, &str, &str, &'static str)]) {
    let room = stage.muc.rooms.get_mut(&ROOM.parse::<xmpp::BareJid>().unwrap());
    room.unwrap().history.extend(
        said.iter().map(|(nick, id, text, stamp)| {
            ((*nick).to_owned(), (*id).to_owned(), (*text).to_owned(), *stamp)
        }),
    );
}

/// When the stage's clock starts, and after.
const NOW: &str = "2026-01-01T00:00:01Z";
const EARLIER: &str = "2025-12-31T23:00:00Z";

#[test]
fn what_was_on_its_way_and_has_arrived_is_known_from_the_rooms_history() {
    let (mut stage, romeo, mercutio) = with_two(holding());
    must_be_known_from_the_history(&mut stage, (romeo, "Romeo"), mercutio);
}

#[test]
fn what_was_said_meanwhile_is_told_once_and_what_was_told_before_is_not() {
    let (mut stage, romeo, mercutio) = with_two(holding());
    let said = stage.muc.native_says(ROOM, "Juliet", "told");
    stage.stanzas(said);
    remember(
        &mut stage,
        &[
            ("Juliet", "old", "before they came", EARLIER),
            ("Juliet", "native-id", "told", NOW),
            ("Juliet", "1", "meanwhile", NOW),
            ("Juliet", "2", "meanwhile", NOW),
        ],
    );
    for _ in 0..2 {
        stage.link(false);
        stage.link(true);
        stage.pass(SOON);
    }
    for user in [romeo, mercutio] {
        assert_eq!(texts(&stage, user), ["told", "meanwhile", "meanwhile"]);
    }
    let asked = |stanza: &&Outgoing| matches!(stanza, Outgoing::Enter { history: 1.., .. });
    assert_eq!(
        stage.to_rooms.iter().filter(asked).count(),
        2,
        "one for each outage"
    );
}

#[test]
fn a_history_that_begins_later_than_what_is_known_ends_is_said_to_be_cut_short() {
    let cut_short = "(earlier messages are missing here: the room remembers no more)";
    let known = ("Juliet", "native-id", "told", NOW);
    let (first, second) = (("Juliet", "1", "first", NOW), ("Juliet", "2", "second", NOW));
    for (history, told) in [
        (&[known, first, second][..], &["told", "first", "second"][..]),
        (&[first, second], &["told", cut_short, "first", "second"]),
        (&[("Juliet", "old", "old", EARLIER), first], &["told", "first"]),
        (&[], &["told"]),
    ] {
        let (mut stage, romeo, mercutio) = with_two(with(Outage::default()));
        let said = stage.muc.native_says(ROOM, "Juliet", "told");
        stage.stanzas(said);
        remember(&mut stage, history);
        stage.link(false);
        stage.link(true);
        stage.pass(SOON);
        for user in [romeo, mercutio] {
            assert_eq!(texts_but_of_outages(&stage, user), told);
        }
    }
}

#[test]
fn who_has_come_since_the_outage_is_not_told_again_what_his_own_history_told_him() {
    let mut config = holding();
    config.history = 5;
    let (mut stage, romeo, mercutio) = with_two(config);
    stage.link(false);
    remember(&mut stage, &[("Juliet", "1", "meanwhile", NOW)]);
    // Those who were in the room are late.
    stage.muc.refuse = Some(xmpp::stanza::Condition::ResourceConstraint);
    stage.link(true);
    stage.muc.refuse = None;
    let paris = stage.user("paris");
    stage.enter(paris, ROOM_URI, "Paris");
    assert_eq!(texts(&stage, paris), ["meanwhile"]);
    stage.pass(SOON);
    for user in [romeo, mercutio, paris] {
        assert_eq!(texts(&stage, user), ["meanwhile"]);
    }
}

#[test]
fn who_comes_back_last_hears_what_is_said_to_the_first() {
    let (mut stage, romeo, mercutio) = with_two(holding());
    stage.link(false);
    stage.muc.turned_away = Some("Mercutio".to_owned());
    let absent = stage.muc.rooms.get_mut(&ROOM.parse::<xmpp::BareJid>().unwrap());
    absent
        .unwrap()
        .occupants
        .retain(|(nickname, _)| nickname != "Mercutio");
    stage.link(true);
    stage.pass(Duration::from_secs(1));
    let said = stage.muc.native_says(ROOM, "Juliet", "hark");
    stage.stanzas(said);
    stage.muc.turned_away = None;
    stage.pass(SOON);
    let said = stage.muc.native_says(ROOM, "Juliet", "lo");
    stage.stanzas(said);
    for user in [romeo, mercutio] {
        assert_eq!(texts(&stage, user), ["hark", "lo"]);
    }
}

/// Otherwise they would hear after the next outage, behind what is newer, what was said during this one.
#[test]
fn when_who_asked_for_the_history_leaves_before_it_comes_the_others_are_told_that_they_may_miss_something() {
    let (mut stage, romeo, mercutio) = with_two(with(Outage::default()));
    stage.link(false);
    remember(&mut stage, &[("Juliet", "1", "meanwhile", NOW)]);
    stage.pass(SOON);
    stage.muc.withheld = Some(Vec::new());
    stage.link(true);
    stage.cut(romeo);
    stage.pass(SOON);
    stage.muc.withheld = None;
    let said = stage.muc.native_says(ROOM, "Juliet", "lo");
    stage.stanzas(said);
    stage.link(false);
    stage.link(true);
    stage.pass(SOON);
    assert_eq!(
        texts_but_of_outages(&stage, mercutio),
        [
            "(messages may be missing here: nobody could ask the room for them)",
            "lo"
        ]
    );
}

#[test]
fn when_who_was_to_ask_for_the_history_leaves_before_he_does_another_asks_for_it() {
    let (mut stage, romeo, mercutio) = with_two(with(Outage::default()));
    stage.link(false);
    remember(&mut stage, &[("Juliet", "1", "meanwhile", NOW)]);
    stage.cut(romeo);
    stage.link(true);
    stage.pass(SOON);
    assert_eq!(texts_but_of_outages(&stage, mercutio), ["meanwhile"]);
}

#[test]
fn what_nobody_heard_while_the_room_itself_was_away_does_not_come_late_after_the_next_outage() {
    let (mut stage, romeo, mercutio) = with_two(holding());
    stage.muc.mute = true;
    for user in ["Romeo", "Mercutio"] {
        let gone = stage.muc.leaves(ROOM, user, &[307, 333], None);
        stage.stanzas(gone);
    }
    remember(&mut stage, &[("Juliet", "1", "to nobody", NOW)]);
    stage.pass(SOON);
    stage.muc.mute = false;
    stage.pass(config().limits.admission);
    let said = stage.muc.native_says(ROOM, "Juliet", "lo");
    stage.stanzas(said);
    stage.link(false);
    stage.link(true);
    stage.pass(SOON);
    for user in [romeo, mercutio] {
        assert_eq!(texts(&stage, user), ["lo"]);
    }
}

/// One of them asks for the history, and others may be back before it has come.
#[test]
fn what_was_told_before_the_history_came_is_not_told_again_as_a_part_of_it() {
    let (mut stage, romeo, mercutio) = with_two(holding());
    stage.link(false);
    stage.muc.refuse = Some(xmpp::stanza::Condition::ResourceConstraint);
    stage.link(true);
    let said = stage.muc.native_says(ROOM, "Juliet", "hark");
    stage.stanzas(said);
    remember(&mut stage, &[("Juliet", "native-id", "hark", NOW)]);
    stage.muc.refuse = None;
    stage.muc.withheld = Some(Vec::new());
    stage.pass(SOON);
    let history = stage.muc.withheld.take().unwrap();
    assert_eq!(history.len(), 2, "the message and the subject");
    stage.stanzas(history);
    for user in [romeo, mercutio] {
        assert_eq!(texts(&stage, user), ["hark"]);
    }
}

/// Juliet says that much while the link is up again and nobody is back; of each message those copies arrive that `arrive` leaves. Then all
/// come back, and the room remembers the last hundred. Returns what she said.
fn said_before_the_history(
    stage: &mut Stage,
    speeches: usize,
    arrive: impl Fn(usize, &mut Vec<Stanza>),
) -> Vec<String> {
    let room: xmpp::BareJid = ROOM.parse().unwrap();
    stage.link(false);
    stage.muc.refuse = Some(xmpp::stanza::Condition::ResourceConstraint);
    stage.link(true);
    let said: Vec<String> = (0..speeches).map(|number| format!("speech {number}")).collect();
    for (number, text) in said.iter().enumerate() {
        let mut copies =
            stage.muc.rooms[&room].tell_ours(|to| message(&room, "Juliet", to, &number.to_string(), text));
        arrive(number, &mut copies);
        stage.stanzas(copies);
    }
    for (number, text) in said.iter().enumerate().skip(speeches - 100) {
        remember(stage, &[("Juliet", &number.to_string(), text, NOW)]);
    }
    stage.muc.refuse = None;
    stage.pass(SOON);
    said
}

#[test]
fn however_much_is_said_before_the_history_comes_it_is_told_once_and_in_order() {
    let (mut stage, romeo, mercutio) = with_two(holding());
    let said = said_before_the_history(&mut stage, 400, |_, _| {});
    for user in [romeo, mercutio] {
        assert_eq!(texts(&stage, user), said);
    }
}

/// A server that still holds the connection that was given up hands a part of the copies to that: each of them gets others.
#[test]
fn whosever_copies_are_lost_before_the_history_comes_the_others_tell_all_once_and_in_order() {
    let (mut stage, romeo, mercutio) = with_two(holding());
    // Mercutio gets every sixth, Romeo all but some of these.
    let said = said_before_the_history(&mut stage, 1200, |number, copies| match number % 12 {
        0 => {}
        6 => drop(copies.remove(0)),
        _ => copies.truncate(1),
    });
    for user in [romeo, mercutio] {
        assert_eq!(texts_but_of_outages(&stage, user), said);
    }
}

#[test]
fn a_room_that_is_late_is_not_asked_for_its_history_again() {
    let (mut stage, _, _) = with_two(holding());
    stage.link(false);
    stage.to_rooms.clear();
    stage.muc.mute = true;
    stage.link(true);
    stage.pass(config().limits.admission + Duration::from_secs(1));
    let histories: Vec<u32> = stage
        .to_rooms
        .iter()
        .filter_map(|stanza| match stanza {
            Outgoing::Enter { to, history, .. } if to.as_str().ends_with("/Romeo") => Some(*history),
            _ => None,
        })
        .collect();
    assert_eq!(histories, [100, 0]);
}

/// Some services keep an occupant whose component has gone, and speak to him as soon as it is back.
#[test]
fn who_comes_back_last_hears_once_what_the_room_says_to_the_occupant_he_was() {
    for he_is_first in [false, true] {
        let (mut stage, romeo, mercutio) = with_two(holding());
        stage.link(false);
        stage.muc.turned_away = Some("Mercutio".to_owned());
        stage.link(true);
        stage.pass(Duration::from_secs(1));
        let mut copies = stage.muc.native_says(ROOM, "Juliet", "hark");
        if he_is_first {
            copies.reverse();
        }
        stage.stanzas(copies);
        for user in [romeo, mercutio] {
            assert_eq!(texts(&stage, user), ["hark"]);
        }
        stage.muc.turned_away = None;
        stage.pass(SOON);
        assert_eq!(texts(&stage, mercutio), ["hark"]);
    }
}

#[test]
fn a_message_held_too_long_is_refused_and_never_sent() {
    let (mut stage, romeo, mercutio) = with_two(holding());
    stage.link(false);
    let tag = stage.say(romeo, "too late");
    let reflection = config().limits.reflection;
    stage.pass(reflection - Duration::from_millis(1));
    assert_eq!(outcome(&stage, romeo, tag), None);
    stage.pass(Duration::from_millis(1));
    assert_eq!(outcome(&stage, romeo, tag), Some(Err(408)));
    stage.link(true);
    stage.pass(SOON);
    assert_eq!(said(&stage, "too late"), 0);
    assert_eq!(texts(&stage, mercutio), Vec::<String>::new());
}

#[test]
fn no_more_is_held_than_the_session_queue_has_room_for() {
    for (queue, taken) in [((2, 1000), 2), ((9, 9), 1), ((9, 10), 2), ((9, 11), 2)] {
        let mut config = holding();
        config.limits.session_queue = queue;
        let (mut stage, romeo, _) = with_two(config);
        stage.link(false);
        let tags = ["12345", "67890", "abcde"].map(|text| stage.say(romeo, text));
        let waiting = tags.map(|tag| outcome(&stage, romeo, tag).is_none());
        assert_eq!(waiting.iter().filter(|waits| **waits).count(), taken, "{queue:?}");
        assert!(waiting.is_sorted_by(|a, b| a >= b), "the first ones are held");
    }
}

#[test]
fn who_whispered_hears_that_it_may_have_been_lost_when_the_link_broke_and_it_is_not_said_again() {
    let (mut stage, romeo, _) = with_two(holding());
    let juliet = format!("{ROOM_URI};gr=Juliet");
    let tags = ["1", "2"].map(|text| stage.send(romeo, "sip:romeo@example.org", &[&juliet], text));
    assert_eq!(tags.map(|tag| outcome(&stage, romeo, tag)), [Some(Ok(())); 2]);
    let second = stage.to_rooms.last().cloned().unwrap();
    stage.link(false);
    stage.unconfirmed(second);
    assert_eq!(stage.reported(romeo), [408], "of the second alone");
    let before = stage.to_rooms.len();
    stage.link(true);
    stage.pass(SOON);
    let again = stage.to_rooms[before..].iter();
    assert_eq!(
        again
            .filter(|stanza| matches!(stanza, Outgoing::Private { .. }))
            .count(),
        0
    );
}

#[test]
fn who_whispered_to_a_sip_user_hears_after_the_outage_that_it_did_not_arrive() {
    let (mut stage, romeo, _) = with_two(holding());
    let room = ROOM.parse().unwrap();
    let occupants = &stage.muc.room(ROOM).occupants;
    let (_, to) = occupants
        .iter()
        .find(|(nickname, _)| nickname == "Romeo")
        .unwrap();
    let to = to.try_as_full().unwrap().clone();
    stage.users[romeo].silent = true;
    stage.stanza(private(&room, "Juliet", &to, "p1", "psst"));
    stage.link(false);
    stage.cut(romeo);
    let errors = |stage: &Stage| {
        let error = |stanza: &&Outgoing| matches!(stanza, Outgoing::Error { name: "message", .. });
        stage.to_rooms.iter().filter(error).count()
    };
    assert_eq!(errors(&stage), 0);
    stage.link(true);
    assert_eq!(errors(&stage), 1);
}

#[test]
fn private_messages_are_not_held() {
    let (mut stage, romeo, _) = with_two(holding());
    stage.link(false);
    let juliet = format!("{ROOM_URI};gr=Juliet");
    let tag = stage.send(romeo, "sip:romeo@example.org", &[&juliet], "psst");
    assert!(matches!(outcome(&stage, romeo, tag), Some(Err(_))));
}

#[test]
fn who_hangs_up_or_is_not_taken_back_gets_an_answer_to_what_is_held_and_leaves_nothing_behind() {
    let (mut stage, romeo, mercutio) = with_two(holding());
    stage.link(false);
    let tag = stage.say(romeo, "held");
    stage.say(mercutio, "held too");
    stage.cut(mercutio);
    stage.muc.rooms.clear();
    stage.muc.refuse = Some(xmpp::stanza::Condition::Forbidden);
    stage.link(true);
    stage.pass(SOON);
    assert!(matches!(outcome(&stage, romeo, tag), Some(Err(_))));
    assert_eq!((said(&stage, "held"), said(&stage, "held too")), (0, 0));
    stage.pass(Duration::from_secs(60));
    assert_eq!(stage.gateway.census(), (0, 0, 0, 0));
}
