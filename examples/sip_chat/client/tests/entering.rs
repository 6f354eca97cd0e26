//! Call, answer, session, nickname.

use super::*;

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
fn a_session_offered_anew_is_taken_as_it_stands_or_not_at_all() {
    let path_in = |bytes: &[u8]| {
        let media = sip::sdp::Session::parse(bytes).unwrap().media().remove(0);
        media.attribute("path").unwrap().to_owned()
    };
    let same = World::entered().reinvite(Some(&switch_line()));
    assert_eq!(same.status, StatusCode(200));
    let without_offer = World::entered().reinvite(None);
    assert_eq!(without_offer.status, StatusCode(200));
    assert_eq!(path_in(&same.body), path_in(&without_offer.body));
    let mut elsewhere = switch_line();
    elsewhere.attributes.retain(|(name, _)| *name != "path");
    let path = text("msrp://127.0.0.1:2855/elsewhere0elsewhere;tcp");
    elsewhere.attributes.push(("path", Some(path)));
    let mut world = World::entered();
    assert_eq!(world.reinvite(Some(&elsewhere)).status, StatusCode(488));
    assert_eq!(world.events(), []);
}
