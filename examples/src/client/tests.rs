//! The client against a scripted room: a SIP endpoint as focus and notifier, an MSRP connection as switch, under virtual time.

mod world;

use std::time::Duration;

use msrp::Status;
use sip::{
    Event as SipEvent, Reason, StatusCode,
    conference::{Document, State, User},
};
use world::{ROOM, World, switch_line};

use super::*;
use crate::room::Departure;

fn text(text: &str) -> String {
    text.to_owned()
}

fn say(line: &str, number: i64) -> Command {
    Command::Say {
        text: text(line),
        reference: Some(Reference::Number(number)),
    }
}

fn whisper(to: &str, line: &str) -> Command {
    Command::Whisper {
        to: text(to),
        text: text(line),
        reference: None,
    }
}

fn user(nick: &str, state: State) -> User {
    User {
        entity: format!("{ROOM};gr={nick}"),
        state,
        display_text: Some(text(nick)),
        ..User::default()
    }
}

fn full(nicks: &[&str]) -> Document {
    Document {
        entity: text(ROOM),
        users: nicks.iter().map(|nick| user(nick, State::Full)).collect(),
        ..Document::default()
    }
}

fn partial(users: Vec<User>) -> Document {
    Document {
        entity: text(ROOM),
        state: State::Partial,
        users,
        ..Document::default()
    }
}

fn sent(line: &str, number: i64, world: &World) -> Event {
    Event::Sent {
        reference: Some(Reference::Number(number)),
        to: None,
        text: text(line),
        at: world.wall_clock(),
    }
}

fn failed(line: &str, reference: Option<Reference>, to: Option<&str>, status: Status) -> Event {
    Event::Failed {
        reference,
        to: to.map(text),
        text: text(line),
        refusal: status.into(),
    }
}

#[test]
fn the_offer_is_for_a_chat_room_and_for_us_to_connect() {
    let mut world = World::new();
    let (_, request, _due) = world.invited();
    assert_eq!(request.uri, ROOM.parse().unwrap());
    assert_eq!(request.from.display_name.as_deref(), Some("Romeo M."));
    assert_eq!(request.from.uri, "sip:romeo@example.org".parse().unwrap());
    let body = request.body.unwrap();
    assert_eq!(body.content_type, "application/sdp");
    let media = sip::sdp::Session::parse(&body.bytes).unwrap().media();
    let [media] = media.as_slice() else {
        panic!("one media line is offered: {media:?}");
    };
    assert_eq!(
        (media.kind.as_str(), media.protocol.as_str()),
        ("message", "TCP/MSRP")
    );
    assert_ne!(media.port, 0);
    assert_eq!(media.attribute("accept-types"), Some("message/cpim"));
    assert_eq!(media.attribute("accept-wrapped-types"), Some("text/plain"));
    assert_eq!(media.attribute("setup"), Some("active"));
    assert_eq!(media.attribute("chatroom"), Some("nickname private-messages"));
    let path: msrp::Path = media.attribute("path").unwrap().parse().unwrap();
    assert_eq!(path.last().host(), "127.0.0.1");
    assert!(
        path.last().session().unwrap().as_str().len() >= 16,
        "RFC 4975 §14.1: 80 random bits"
    );
}

#[test]
fn entering_is_call_session_nickname_and_roster_in_this_order() {
    let mut world = World::new();
    world.answer(&switch_line());
    assert_eq!(world.events(), []);
    let (nickname, due) = world.nickname_requested();
    assert_eq!(nickname, "Romeo");
    assert!(
        world.subscription().is_none(),
        "the roster is asked for under our nickname"
    );
    world.answer_media(due, Status::OK);
    assert_eq!(
        world.events(),
        [Event::Entered {
            room: text(ROOM),
            nickname: Some(text("Romeo")),
        }]
    );
    let subscription = world.subscription().unwrap();
    world.notify(subscription, 1, &full(&["Juliet", "Romeo"]));
    assert_eq!(
        world.events(),
        [Event::Roster {
            users: vec![text("Juliet"), text("Romeo")],
        }]
    );
}

#[test]
fn a_refused_call_is_told_and_is_the_end() {
    let mut world = World::new();
    let (_, _, due) = world.invited();
    world.refuse(due, 403);
    assert_eq!(
        world.events(),
        [Event::Refused {
            refusal: Refusal::new(403, "Forbidden"),
        }]
    );
    assert_eq!(world.client.outcome(), Some(Outcome::Failed));
}

#[test]
fn a_nickname_in_use_is_told_and_the_room_is_entered_without() {
    let mut world = World::new();
    world.answer(&switch_line());
    let (_, due) = world.nickname_requested();
    world.answer_media(due, Status::NICKNAME_IN_USE);
    assert_eq!(
        world.events(),
        [
            Event::NickRefused {
                nickname: text("Romeo"),
                refusal: Status::NICKNAME_IN_USE.into(),
            },
            Event::Entered {
                room: text(ROOM),
                nickname: None,
            },
        ]
    );
}

#[test]
fn a_room_without_nicknames_is_not_asked_for_one() {
    let mut world = World::new();
    let mut line = switch_line();
    line.attributes.retain(|(name, _)| *name != "chatroom");
    world.answer(&line);
    assert_eq!(
        world.events(),
        [
            Event::NickRefused {
                nickname: text("Romeo"),
                refusal: Status::UNKNOWN_METHOD.into(),
            },
            Event::Entered {
                room: text(ROOM),
                nickname: None,
            },
        ]
    );
}

#[test]
fn an_answer_that_cannot_be_used_ends_the_call() {
    let set = |name: &'static str, value: Option<&str>| {
        let mut line = switch_line();
        line.attributes.retain(|(other, _)| *other != name);
        line.attributes
            .extend(value.map(|value| (name, Some(text(value)))));
        line
    };
    let mut closed = switch_line();
    closed.port = 0;
    for line in [
        set("path", None),
        set("path", Some("http://127.0.0.1/")),
        set("path", Some("msrps://127.0.0.1:2855/s;tcp")),
        set("accept-types", Some("text/plain")),
        set("accept-types", None),
        set("setup", Some("active")),
        closed,
    ] {
        let mut world = World::new();
        world.answer(&line);
        let reason = world.ended_by_us().expect("BYE with a reason");
        assert_eq!(reason.cause, StatusCode(488));
        let events = world.events();
        assert!(
            matches!(
                events.as_slice(),
                [Event::Ended {
                    cause: EndCause::Incompatible,
                    reason: Some(_),
                    ..
                }]
            ),
            "{line:?}: {events:?}"
        );
        world.wait(LINGERING);
        assert_eq!(world.client.outcome(), Some(Outcome::Failed));
    }
}

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

#[test]
fn changes_of_the_roster_are_told() {
    let mut world = World::entered();
    let subscription = world.subscription().unwrap();
    world.notify(subscription, 1, &full(&["Romeo", "Juliet"]));
    world.events();
    let users = vec![user("Nurse", State::Full), user("Juliet", State::Deleted)];
    world.notify(subscription, 2, &partial(users));
    assert_eq!(
        world.events(),
        [
            Event::Left {
                nick: text("Juliet"),
                how: Departure::Unsaid,
                reason: None,
            },
            Event::Joined { nick: text("Nurse") },
        ]
    );
}

#[test]
fn our_own_renaming_is_told_by_answer_and_by_roster() {
    let mut world = World::entered();
    let subscription = world.subscription().unwrap();
    world.notify(subscription, 1, &full(&["Romeo"]));
    world.events();
    world.command(Command::Rename {
        nickname: text("Montague"),
    });
    let (nickname, due) = world.nickname_requested();
    assert_eq!(nickname, "Montague");
    world.answer_media(due, Status::OK);
    let users = vec![user("Romeo", State::Deleted), user("Montague", State::Full)];
    world.notify(subscription, 2, &partial(users));
    assert_eq!(
        world.events(),
        [
            Event::Nick {
                nickname: text("Montague"),
            },
            Event::Renamed {
                old: text("Romeo"),
                new: text("Montague"),
            },
        ]
    );
}

#[test]
fn a_missing_document_makes_us_subscribe_anew_but_not_too_often() {
    let mut world = World::entered();
    let first = world.subscription().unwrap();
    world.notify(first, 1, &full(&["Romeo"]));
    world.notify(first, 3, &partial(vec![user("Nurse", State::Full)]));
    assert!(world.subscription().is_none());
    world.events();
    world.wait(Duration::from_secs(5));
    let second = world.subscription().expect("a new subscription");
    assert_ne!(first, second);
    world.notify(second, 1, &full(&["Romeo", "Nurse"]));
    assert_eq!(world.events(), [Event::Joined { nick: text("Nurse") }]);
}

#[test]
fn a_subscription_that_ends_for_no_fault_of_ours_is_renewed() {
    let mut world = World::entered();
    let first = world.subscription().unwrap();
    world.notify(first, 1, &full(&["Romeo"]));
    world.terminate(first, "deactivated");
    world.wait(Duration::from_secs(5));
    let second = world.subscription().expect("a new subscription");
    world.terminate(second, "noresource");
    world.wait(Duration::from_secs(60));
    assert!(
        world.subscription().is_none(),
        "RFC 6665 §4.1.3: noresource is final"
    );
}

#[test]
fn a_room_that_refuses_the_subscription_has_no_roster() {
    let mut world = World::new();
    world.subscriptions_refused = Some(489);
    world.answer(&switch_line());
    world.grant_nickname();
    assert_eq!(
        world.events()[1..],
        [Event::NoRoster {
            refusal: Refusal::new(489, StatusCode(489).reason()),
        }]
    );
    world.command(Command::Roster);
    assert!(matches!(world.events().as_slice(), [Event::Error { .. }]));
}

#[test]
fn an_invitation_is_a_refer_to_the_room() {
    let mut world = World::entered();
    for (status, address) in [(200, "benvolio@example.com"), (403, "sip:tybalt@example.com")] {
        world.command(Command::invite(address).unwrap());
        let (refer_to, due) = world.referred();
        let uri = format!("sip:{}", address.trim_start_matches("sip:"));
        assert_eq!(refer_to.uri, uri.parse().unwrap());
        if status == 200 {
            world.accept_refer(due);
            assert_eq!(world.events(), [Event::Invited { uri }]);
        } else {
            world.refuse(due, status);
            assert_eq!(
                world.events(),
                [Event::InviteRefused {
                    uri,
                    refusal: Refusal::new(403, "Forbidden"),
                }]
            );
        }
    }
}

#[test]
fn the_rooms_bye_is_told_with_its_reason() {
    let mut world = World::entered();
    world.command(say("unanswered", 1));
    let (_, _due) = world.received();
    world.hang_up(Some(Reason {
        cause: StatusCode(403),
        text: text("banned"),
    }));
    let reference = Some(Reference::Number(1));
    assert_eq!(
        world.events(),
        [
            failed("unanswered", reference, None, Status::CONNECTION_LOST),
            Event::Ended {
                cause: EndCause::Bye,
                code: Some(403),
                reason: Some(text("banned")),
            },
        ]
    );
    world.wait(LINGERING);
    assert_eq!(world.client.outcome(), Some(Outcome::Left));
    assert!(world.media_closed);
}

#[test]
fn a_bye_behind_the_loss_of_the_media_is_what_ended_the_stay() {
    let mut world = World::entered();
    world.lose_media();
    world.wait(Duration::from_secs(1));
    world.hang_up(None);
    assert_eq!(
        world.events(),
        [Event::Ended {
            cause: EndCause::Bye,
            code: None,
            reason: None,
        }]
    );
}

#[test]
fn a_lost_switch_without_bye_is_answered_by_ours() {
    let mut world = World::entered();
    world.lose_media();
    world.command(say("too late", 1));
    let reference = Some(Reference::Number(1));
    assert_eq!(
        world.events(),
        [failed("too late", reference, None, Status::NO_SESSION)]
    );
    world.wait(SEVERED);
    assert!(world.dialog_ended());
    let events = world.events();
    assert!(
        matches!(
            events.as_slice(),
            [Event::Ended {
                cause: EndCause::MediaLost,
                ..
            }]
        ),
        "{events:?}"
    );
    world.wait(LINGERING);
    assert_eq!(world.client.outcome(), Some(Outcome::Failed));
}

#[test]
fn a_switch_that_cannot_be_reached_ends_the_call() {
    let mut world = World::new();
    world.switch_reachable = false;
    world.answer(&switch_line());
    assert!(world.dialog_ended());
    assert!(matches!(
        world.events().as_slice(),
        [Event::Ended {
            cause: EndCause::MediaLost,
            reason: Some(_),
            ..
        }]
    ));
}

#[test]
fn quitting_waits_for_the_answers_to_what_was_said() {
    let mut world = World::entered();
    world.command(say("last words", 1));
    world.command(Command::Quit);
    let (_, due) = world.received();
    assert!(!world.dialog_ended());
    world.answer_media(due, Status::OK);
    assert!(world.dialog_ended());
    let quit = Event::Ended {
        cause: EndCause::Quit,
        code: None,
        reason: None,
    };
    assert_eq!(world.events(), [sent("last words", 1, &world), quit]);
    world.wait(LINGERING);
    assert_eq!(world.client.outcome(), Some(Outcome::Left));
}

#[test]
fn quitting_does_not_wait_for_ever() {
    for twice in [false, true] {
        let mut world = World::entered();
        world.command(say("last words", 1));
        world.command(Command::Quit);
        if twice {
            world.command(Command::Quit);
        } else {
            world.wait(SETTLING);
        }
        assert!(world.dialog_ended());
        let reference = Some(Reference::Number(1));
        let events = world.events();
        assert_eq!(
            events[0],
            failed("last words", reference, None, Status::CONNECTION_LOST)
        );
        assert!(matches!(
            events[1],
            Event::Ended {
                cause: EndCause::Quit,
                ..
            }
        ));
    }
}

#[test]
fn quitting_before_the_answer_cancels_the_call() {
    let mut world = World::new();
    let (dialog, _, _due) = world.invited();
    world.command(Command::Quit);
    assert!(
        world
            .take_focus(
                |event| matches!(event, SipEvent::Cancelled { dialog: cancelled } if *cancelled == dialog)
            )
            .is_some()
    );
    assert!(matches!(
        world.events().as_slice(),
        [Event::Ended {
            cause: EndCause::Quit,
            ..
        }]
    ));
    world.wait(LINGERING);
    assert_eq!(world.client.outcome(), Some(Outcome::Left));
}

#[test]
fn a_dead_focus_does_not_keep_us_from_leaving() {
    let mut world = World::entered();
    world.focus_alive = false;
    world.command(Command::Quit);
    world.wait(LEAVING);
    assert!(matches!(
        world.events().as_slice(),
        [Event::Ended {
            cause: EndCause::Quit,
            ..
        }]
    ));
    world.wait(LINGERING);
    assert_eq!(world.client.outcome(), Some(Outcome::Left));
}

#[test]
fn the_last_notify_is_waited_for() {
    let mut world = World::entered();
    let subscription = world.subscription().unwrap();
    world.notify(subscription, 1, &full(&["Romeo"]));
    world.hang_up(None);
    assert_eq!(world.client.outcome(), None);
    world.terminate(subscription, "noresource");
    assert_eq!(world.client.outcome(), Some(Outcome::Left));
}

#[test]
fn two_runs_with_one_seed_are_the_same() {
    let run = || {
        let mut world = World::entered();
        world.command(say("hello", 1));
        world.command(Command::Quit);
        world.wait(SETTLING + LEAVING + LINGERING);
        std::mem::take(&mut world.wire)
    };
    let first = run();
    assert!(!first.is_empty());
    assert_eq!(first, run());
}
