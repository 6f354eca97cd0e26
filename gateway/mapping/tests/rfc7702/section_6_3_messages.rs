use std::time::Duration;

use bytes::Bytes;
use msrp::Status;
use xmpp::stanza::{Condition, Outgoing};

use crate::{
    ROOM, ROOM_URI,
    stage::{
        Stage, config,
        muc::{message, private},
    },
};

const ROMEO: &str = "sip:romeo@example.org";

fn with_two() -> (Stage, usize, usize) {
    let mut stage = Stage::new(config());
    stage.muc.native_enters(ROOM, "Juliet");
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    let mercutio = stage.user("mercutio");
    stage.enter(mercutio, ROOM_URI, "Mercutio");
    (stage, romeo, mercutio)
}

fn occupant(stage: &Stage, nickname: &str) -> xmpp::FullJid {
    let room = stage.muc.room(ROOM);
    let (_, jid) = room.occupants.iter().find(|(nick, _)| nick == nickname).unwrap();
    jid.clone().try_into_full().unwrap()
}

// Rows: F44..F47, B7702-17, B7702-20, B7702-21, C7701-19, C7701-26
#[test]
fn f44_to_f47_a_message_reaches_all_others_once_and_its_sender_never() {
    let (mut stage, romeo, mercutio) = with_two();
    let tag = stage.say(romeo, "Romeo is here!");
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
    assert!(stage.heard(romeo).is_empty(), "no reflection to a SIP sender");
    let from = "sip:capulet@rooms.example.com;gr=Romeo".to_owned();
    assert_eq!(
        stage.heard(mercutio),
        [(from, ROOM_URI.to_owned(), "Romeo is here!".to_owned())]
    );
}

// Rows: B7702-21
#[test]
fn the_msrp_answer_waits_for_the_reflection() {
    let (mut stage, romeo, _) = with_two();
    stage.muc.mute = true;
    let tag = stage.say(romeo, "patience");
    stage.pass(Duration::from_secs(2));
    assert_eq!(stage.outcome(romeo, tag), None);
    let Some(Outgoing::Groupchat { from, id, body, .. }) = stage.to_rooms.last().cloned() else {
        panic!()
    };
    stage.stanza(message(&ROOM.parse().unwrap(), "Romeo", &from, &id, &body));
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
}

#[test]
fn a_reflection_is_known_by_its_id_and_never_by_its_text() {
    let (mut stage, romeo, _) = with_two();
    stage.muc.mute = true;
    let tag = stage.say(romeo, "same words");
    let to = occupant(&stage, "Romeo");
    stage.stanza(message(
        &ROOM.parse().unwrap(),
        "Romeo",
        &to,
        "another-id",
        "same words",
    ));
    assert_eq!(stage.outcome(romeo, tag), None);
    let Some(Outgoing::Groupchat { id, .. }) = stage.to_rooms.last().cloned() else {
        panic!()
    };
    stage.stanza(message(&ROOM.parse().unwrap(), "Juliet", &to, &id, "forged"));
    assert_eq!(
        stage.outcome(romeo, tag),
        None,
        "somebody else's message with our id is no receipt"
    );
    assert_eq!(stage.heard(romeo).len(), 1);
}

// Rows: B7702-21, X2M-10
#[test]
fn silence_of_the_room_becomes_an_error_before_msrp_gives_up() {
    let (mut stage, romeo, _) = with_two();
    stage.muc.mute = true;
    let tag = stage.say(romeo, "anybody?");
    stage.pass(Duration::from_secs(21));
    assert_eq!(stage.outcome(romeo, tag), Some(Err(Status::TIMEOUT)));
}

// Rows: B7702-24
#[test]
fn a_native_message_arrives_with_its_sender_s_place_in_the_room() {
    let (mut stage, romeo, mercutio) = with_two();
    let told = stage.muc.native_says(ROOM, "Juliet", "O Romeo 🌹");
    stage.stanzas(told);
    let from = "sip:capulet@rooms.example.com;gr=Juliet".to_owned();
    for user in [romeo, mercutio] {
        assert_eq!(
            stage.heard(user),
            [(from.clone(), ROOM_URI.to_owned(), "O Romeo 🌹".to_owned())]
        );
    }
}

// Rows: C4975-08
#[test]
fn what_comes_before_the_msrp_session_is_open_waits() {
    let mut stage = Stage::new(config());
    stage.muc.native_enters(ROOM, "Juliet");
    let romeo = stage.user("romeo");
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    let told = stage.muc.native_says(ROOM, "Juliet", "early");
    stage.stanzas(told);
    assert!(stage.heard(romeo).is_empty());
    stage.connect(romeo);
    assert_eq!(stage.heard(romeo)[0].2, "early");
}

// Rows: F48..F50, B7702-17, B7702-18, B7702-25, C7701-32, E-21, E-27
#[test]
fn f48_to_f50_a_private_message_reaches_only_its_addressee() {
    let (mut stage, romeo, mercutio) = with_two();
    let tag = stage.send(
        romeo,
        ROMEO,
        &["sip:capulet@rooms.example.com;gr=Mercutio"],
        "psst",
    );
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
    let from = "sip:capulet@rooms.example.com;gr=Romeo".to_owned();
    let heard = stage.heard(mercutio);
    assert_eq!(
        heard,
        [(from, "sip:mercutio@example.org".to_owned(), "psst".to_owned())]
    );
    assert!(
        !stage
            .to_rooms
            .iter()
            .any(|s| matches!(s, Outgoing::Groupchat { .. })),
        "nothing goes public"
    );

    let tag = stage.send(romeo, ROMEO, &["sip:mercutio@example.org"], "by address");
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
    assert_eq!(stage.heard(mercutio).len(), 2);
}

// Rows: B7702-26
#[test]
fn a_private_message_from_xmpp_arrives_or_its_sender_is_told() {
    let (mut stage, romeo, _) = with_two();
    let room = ROOM.parse().unwrap();
    let to = occupant(&stage, "Romeo");
    stage.stanza(private(&room, "Juliet", &to, "p1", "wherefore"));
    assert_eq!(stage.heard(romeo)[0].1, ROMEO);

    stage.cut(romeo);
    let told_off = |stage: &Stage| {
        stage
            .to_rooms
            .iter()
            .any(|s| matches!(s, Outgoing::Error { id: Some(id), .. } if id == "p2"))
    };
    stage.stanza(private(&room, "Juliet", &to, "p2", "gone?"));
    assert!(told_off(&stage));
}

// Rows: B7702-26, C7701-11, C7701-30, C7701-55
#[test]
fn rfc7701_section_6_2_a_client_without_private_messages_gets_none() {
    let mut stage = Stage::new(config());
    stage.muc.native_enters(ROOM, "Juliet");
    let romeo = stage.user("romeo");
    let offer = stage
        .offer(romeo)
        .replace("nickname private-messages", "nickname");
    stage.invite_with(romeo, ROOM_URI, Some("Romeo"), &offer, "application/sdp");
    stage.connect(romeo);
    let to = occupant(&stage, "Romeo");
    stage.stanza(private(&ROOM.parse().unwrap(), "Juliet", &to, "p1", "psst"));
    assert!(stage.heard(romeo).is_empty());
    assert!(matches!(
        stage.to_rooms.last(),
        Some(Outgoing::Error {
            condition: Condition::FeatureNotImplemented,
            ..
        })
    ));
}

// Rows: B7702-18, B7702-19, C7701-17, C7701-18, C7701-29, C7701-33, C7701-34, C757X-10, G7702-06, E-15
#[test]
fn rfc7701_section_6_what_a_send_must_not_be() {
    let (mut stage, romeo, mercutio) = with_two();
    let room = ROOM_URI;
    let long = "x".repeat(64 * 1024 + 1);
    let cases: Vec<(&str, &str, Vec<&str>, &str, u16)> = vec![
        (
            "a foreign From",
            "sip:mercutio@example.org",
            vec![room],
            "hi",
            403,
        ),
        (
            "several To",
            ROMEO,
            vec![room, "sip:mercutio@example.org"],
            "hi",
            403,
        ),
        ("no To", ROMEO, vec![], "hi", 403),
        (
            "an absent occupant",
            ROMEO,
            vec!["sip:capulet@rooms.example.com;gr=nobody"],
            "hi",
            404,
        ),
        (
            "another room",
            ROMEO,
            vec!["sip:montague@rooms.example.com"],
            "hi",
            404,
        ),
        ("a text over the limit", ROMEO, vec![room], &long, 413),
    ];
    for (what, from, to, text, status) in cases {
        let tag = stage.send(romeo, from, &to, text);
        assert_eq!(
            stage.outcome(romeo, tag).map(|o| o.map_err(Status::code)),
            Some(Err(status)),
            "{what}"
        );
    }
    let tag = stage.send_raw(romeo, "text/plain", Bytes::from_static(b"bare"));
    assert_eq!(stage.outcome(romeo, tag), Some(Err(Status::UNSUPPORTED_MEDIA)));
    let tag = stage.send_raw(romeo, "message/cpim", Bytes::from_static(b"\xff\xff"));
    assert_eq!(stage.outcome(romeo, tag), Some(Err(Status::BAD_REQUEST)));
    assert!(stage.heard(mercutio).is_empty());
    let tag = stage.say(romeo, "still here");
    assert_eq!(
        stage.outcome(romeo, tag),
        Some(Ok(())),
        "nothing of it harms the session"
    );
}

// Rows: G-12
#[test]
fn a_message_in_a_room_that_has_forgotten_the_user_is_refused_and_he_goes_back_in() {
    let (mut stage, romeo, _) = with_two();
    let room: xmpp::BareJid = ROOM.parse().unwrap();
    stage
        .muc
        .rooms
        .get_mut(&room)
        .unwrap()
        .occupants
        .retain(|(nick, _)| nick != "Romeo");
    let tag = stage.say(romeo, "hello?");
    assert!(matches!(stage.outcome(romeo, tag), Some(Err(_))));
    stage.pass(Duration::from_secs(3));
    let tag = stage.say(romeo, "hello again");
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
    assert_eq!(stage.bye(romeo), None);
}

// Rows: C7701-01, C757X-19
#[test]
fn nothing_of_one_room_is_told_in_another() {
    let mut stage = Stage::new(config());
    let other = "montague@rooms.example.com";
    stage.muc.native_enters(ROOM, "Juliet");
    stage.muc.native_enters(other, "Benvolio");
    let (romeo, tybalt) = (stage.user("romeo"), stage.user("tybalt"));
    stage.enter(romeo, "sip:montague@rooms.example.com", "Romeo");
    stage.enter(tybalt, ROOM_URI, "Tybalt");
    stage.subscribe(tybalt, ROOM_URI);
    let told = stage.muc.native_says(other, "Benvolio", "among us");
    stage.stanzas(told);
    let told = stage.muc.native_enters(other, "Balthasar");
    stage.stanzas(told);
    stage.pass(Duration::from_secs(6));
    assert_eq!(stage.heard(romeo).len(), 1);
    assert!(stage.heard(tybalt).is_empty());
    assert_eq!(stage.nicknames(tybalt), ["Juliet", "Tybalt"]);
}

// Rows: B7702-19, C7701-20, C7701-32
#[test]
fn a_text_arrives_as_it_was() {
    let (mut stage, romeo, mercutio) = with_two();
    let texts = [
        "  two spaces, a\ttab, a line\nbreak  ",
        "שלום — مرحبا — 你好",
        "👩‍👩‍👧 e\u{301} \u{feff}x",
        "<body>&amp;]]></body> -------d93kswow$",
    ];
    for text in texts {
        stage.say(romeo, text);
        let to = "sip:capulet@rooms.example.com;gr=Mercutio";
        stage.send(romeo, ROMEO, &[to], text);
    }
    let heard: Vec<_> = stage
        .heard(mercutio)
        .into_iter()
        .map(|(_, _, text)| text)
        .collect();
    let expected: Vec<_> = texts.iter().flat_map(|text| [*text, *text]).collect();
    assert_eq!(heard, expected);
}

/// What reached one user of Juliet (under whichever nickname) and of others: the first letter of the speaker and of the text.
fn letters(stage: &Stage, user: usize) -> Vec<String> {
    let letter = |from: &str, text: &str| {
        let speaker = from.rsplit_once("gr=").unwrap().1;
        format!("{}{}", &speaker[..1], &text[..1])
    };
    let heard = stage.heard(user);
    heard.iter().map(|(from, _, text)| letter(from, text)).collect()
}

/// RFC 4975 §5.1: long messages are cut so that short ones need not wait for their end. Each speaker keeps his order, in
/// public, in private and under a new nickname.
#[test]
fn a_short_message_does_not_wait_for_the_long_one_of_another_speaker() {
    let mut stage = Stage::new(config());
    for native in ["Juliet", "Benvolio"] {
        stage.muc.native_enters(ROOM, native);
    }
    let romeo = stage.user("romeo");
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    // His client has not connected yet: everything waits for him.
    let to = occupant(&stage, "Romeo");
    let room = ROOM.parse().unwrap();
    let long = "1".repeat(40_000);
    stage.stanza(message(&room, "Juliet", &to, "a", &long));
    stage.stanza(message(&room, "Benvolio", &to, "b", "1"));
    stage.stanza(private(&room, "Juliet", &to, "c", "2"));
    for mut renamed in stage.muc.leaves(ROOM, "Juliet", &[303], None) {
        if let xmpp::stanza::Stanza::Presence(presence) = &mut renamed {
            presence.muc.as_mut().unwrap().items[0].nick = Some("July".to_owned());
        }
        stage.stanza(renamed);
    }
    let back = stage.muc.native_enters(ROOM, "July");
    stage.stanzas(back);
    stage.stanza(message(&room, "July", &to, "d", "3"));
    stage.stanza(message(&room, "Benvolio", &to, "e", "2"));
    stage.connect(romeo);
    assert_eq!(letters(&stage, romeo), ["B1", "B2", "J1", "J2", "J3"]);
}

#[test]
fn short_messages_of_all_speakers_keep_the_order_of_the_room() {
    let mut stage = Stage::new(config());
    for native in ["Juliet", "Benvolio"] {
        stage.muc.native_enters(ROOM, native);
    }
    let romeo = stage.user("romeo");
    stage.invite(romeo, ROOM_URI, Some("Romeo"));
    for (speaker, text) in [
        ("Juliet", "1"),
        ("Juliet", "2"),
        ("Benvolio", "3"),
        ("Juliet", "4"),
    ] {
        let said = stage.muc.native_says(ROOM, speaker, text);
        stage.stanzas(said);
    }
    stage.connect(romeo);
    assert_eq!(letters(&stage, romeo), ["J1", "J2", "B3", "J4"]);
}

// Rows: C7701-27
#[test]
fn rfc7701_section_6_2_a_user_with_two_devices_hears_everything_on_both() {
    let (mut stage, romeo, mercutio) = with_two();
    let phone = stage.user("mercutio");
    stage.enter(phone, ROOM_URI, "Mercutio");
    stage.say(romeo, "to all");
    let tag = stage.send(romeo, ROMEO, &["sip:mercutio@example.org"], "to Mercutio");
    assert_eq!(stage.outcome(romeo, tag), Some(Ok(())));
    for device in [mercutio, phone] {
        let texts: Vec<_> = stage.heard(device).into_iter().map(|(_, _, text)| text).collect();
        assert_eq!(texts, ["to all", "to Mercutio"]);
    }
}

// Rows: C4975-28
#[test]
fn rfc4975_section_7_3_1_of_several_parts_the_text_is_said() {
    let (mut stage, romeo, mercutio) = with_two();
    let parts = |kind: &str, text: &str| {
        format!(
            "From: <{ROMEO}>\r\nTo: <{ROOM_URI}>\r\n\r\nContent-Type: multipart/{kind};boundary=b\r\n\r\n\
             --b\r\nContent-Type: text/html\r\n\r\n<p>{text}</p>\r\n\
             --b\r\nContent-Type: {text}; charset=utf-8\r\n\r\nhello\r\n--b--\r\n"
        )
    };
    for (kind, text, outcome) in [
        ("alternative", "text/plain", Ok(())),
        ("mixed", "text/plain", Ok(())),
        ("mixed", "image/png", Err(Status::UNSUPPORTED_MEDIA)),
    ] {
        let tag = stage.send_raw(romeo, "message/cpim", parts(kind, text).into());
        assert_eq!(stage.outcome(romeo, tag), Some(outcome), "{kind} {text}");
    }
    let texts: Vec<_> = stage
        .heard(mercutio)
        .into_iter()
        .map(|(_, _, text)| text)
        .collect();
    assert_eq!(texts, ["hello", "hello"]);
}

#[test]
fn every_unicode_scalar_value_passes_in_both_directions() {
    let (mut stage, romeo, mercutio) = with_two();
    let scalars: Vec<char> = ('\0'..=char::MAX).collect();
    for (number, batch) in scalars.chunks(4096).enumerate() {
        // A text of line breaks alone says something, too.
        let text = format!("{number}:{}:", batch.iter().collect::<String>());
        let tag = stage.say(romeo, &text);
        assert_eq!(stage.outcome(romeo, tag), Some(Ok(())), "batch {number}");
        let heard = stage.heard(mercutio).pop().map(|(.., text)| text);
        assert_eq!(heard.as_ref(), Some(&text), "batch {number}, from SIP");
        let said = stage.muc.native_says(ROOM, "Juliet", &text);
        stage.stanzas(said);
        let heard = stage.heard(romeo).pop().map(|(.., text)| text);
        assert_eq!(heard.as_ref(), Some(&text), "batch {number}, from XMPP");
    }
}
