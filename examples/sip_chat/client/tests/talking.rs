//! Messages both ways.

use super::*;

#[test]
fn what_is_said_goes_to_the_room_and_is_sent_once_the_room_has_it() {
    let mut world = World::entered();
    world.command(say("hello", 7));
    let (cpim, due) = world.received();
    assert_eq!(cpim.text(), Some("hello"));
    assert_eq!(cpim.to[0].uri, ROOM);
    assert_eq!(cpim.from.unwrap().uri, "sip:romeo@example.org");
    assert_eq!(cpim.date_time, Some(world.wall_clock()));
    assert_eq!(world.events(), [], "not before the room has it");
    world.answer_media(due, Status::OK);
    assert_eq!(world.events(), [sent("hello", 7, &world)]);
}

#[test]
fn a_refused_message_is_told_with_its_reference() {
    let mut world = World::entered();
    world.command(say("hello", 7));
    let (_, due) = world.received();
    world.answer_media(due, Status::FORBIDDEN);
    let reference = Some(Reference::Number(7));
    assert_eq!(
        world.events(),
        [failed("hello", reference, None, Status::FORBIDDEN)]
    );
}

#[test]
fn an_unanswered_message_fails_after_the_transaction_deadline() {
    let mut world = World::entered();
    world.command(say("hello", 7));
    let (_, _due) = world.received();
    world.wait(Duration::from_secs(31));
    let reference = Some(Reference::Number(7));
    assert!(
        world
            .events()
            .contains(&failed("hello", reference, None, Status::TIMEOUT))
    );
}

#[test]
fn a_private_message_is_addressed_byte_for_byte_as_the_roster_says() {
    let mut world = World::entered();
    let odd = format!("{ROOM};GR=%4a%75liet");
    let listed = User {
        entity: odd.clone(),
        display_text: Some(text("Juliet")),
        ..User::default()
    };
    let subscription = world.subscription().unwrap();
    world.notify(
        subscription,
        1,
        &Document {
            users: vec![listed],
            ..full(&[])
        },
    );
    for (to, uri) in [
        ("Juliet", odd.as_str()),
        ("First Witch", &format!("{ROOM};gr=First%20Witch")),
    ] {
        world.command(whisper(to, "psst"));
        let (cpim, due) = world.received();
        assert_eq!(cpim.to[0].uri, uri);
        world.answer_media(due, Status::OK);
    }
}

#[test]
fn a_room_without_private_messages_gets_none() {
    let mut world = World::new();
    let mut line = switch_line();
    line.attributes.retain(|(name, _)| *name != "chatroom");
    line.attributes.push(("chatroom", Some(text("nickname"))));
    world.answer(&line);
    world.grant_nickname();
    world.events();
    world.command(whisper("Juliet", "psst"));
    assert_eq!(
        world.events(),
        [failed("psst", None, Some("Juliet"), Status::PRIVATE_UNSUPPORTED)]
    );
}

#[test]
fn a_message_over_the_switchs_size_is_not_sent() {
    let mut world = World::new();
    let mut line = switch_line();
    line.attributes.push(("max-size", Some(text("1000"))));
    world.answer(&line);
    world.grant_nickname();
    world.events();
    world.command(say(&"x".repeat(1000), 1));
    let reference = Some(Reference::Number(1));
    assert_eq!(
        world.events(),
        [failed(&"x".repeat(1000), reference, None, Status::STOP_SENDING)]
    );
    world.command(say("short", 2));
    assert_eq!(world.received().0.text(), Some("short"));
}

#[test]
fn messages_show_who_wrote_them_when_and_to_whom() {
    let mut world = World::entered();
    let subscription = world.subscription().unwrap();
    world.notify(subscription, 1, &full(&["Romeo", "Juliet"]));
    world.events();
    let at: Timestamp = "2026-11-20T20:00:00Z".parse().unwrap();
    let juliet = format!("{ROOM};gr=Juliet");
    for (from, to, date_time, event) in [
        (juliet.as_str(), ROOM, Some(at), ("Juliet", false, at)),
        (&juliet, "sip:romeo@example.org", Some(at), ("Juliet", true, at)),
        (
            &juliet,
            &format!("{ROOM};gr=Romeo"),
            Some(at),
            ("Juliet", true, at),
        ),
        (
            &format!("{ROOM};gr=First%20Witch"),
            ROOM,
            None,
            ("First Witch", false, world.wall_clock()),
        ),
        (ROOM, ROOM, None, (ROOM, false, world.wall_clock())),
    ] {
        let status = world.deliver(from, to, date_time, "text/plain;charset=utf-8", "hello");
        assert_eq!(status, Ok(()));
        let (from, private, at) = event;
        assert_eq!(
            world.events(),
            [Event::Message {
                from: text(from),
                text: text("hello"),
                private,
                at,
            }]
        );
    }
}

#[test]
fn what_is_no_text_for_people_is_refused() {
    let mut world = World::entered();
    let juliet = format!("{ROOM};gr=Juliet");
    let html = world.deliver(&juliet, ROOM, None, "text/html", "<p>hello</p>");
    assert_eq!(html, Err(Status::UNSUPPORTED_MEDIA));
    assert_eq!(
        world.deliver_raw("text/plain", b"hello"),
        Err(Status::UNSUPPORTED_MEDIA)
    );
    assert_eq!(
        world.deliver_raw("message/cpim", b"\xff\xff"),
        Err(Status::BAD_REQUEST)
    );
    assert_eq!(world.events(), []);
}

#[test]
fn commands_before_entering_are_carried_out_in_order_at_entering() {
    let mut world = World::new();
    world.command(say("one", 1));
    world.command(say("two", 2));
    world.answer(&switch_line());
    world.grant_nickname();
    for number in ["one", "two"] {
        let (cpim, due) = world.received();
        assert_eq!(cpim.text(), Some(number));
        world.answer_media(due, Status::OK);
    }
    let events = world.events();
    assert_eq!(events[1..], [sent("one", 1, &world), sent("two", 2, &world)]);
}

#[test]
fn held_commands_and_those_in_flight_are_limited() {
    let mut world = World::new();
    for number in 0..=HELD_COMMANDS {
        world.command(say("a", i64::try_from(number).unwrap()));
    }
    let limit = i64::try_from(HELD_COMMANDS).unwrap();
    let refused = |number| failed("a", Some(Reference::Number(number)), None, Status::CONGESTED);
    assert_eq!(world.events(), [refused(limit)]);
    world.answer(&switch_line());
    world.grant_nickname();
    world.events();
    world.command(say("a", 1000));
    assert_eq!(world.events(), [refused(1000)]);
}
