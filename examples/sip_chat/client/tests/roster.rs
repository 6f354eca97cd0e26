//! The subscription, nickname changes, invitations.

use super::*;

#[test]
fn changes_of_the_roster_are_told() {
    let mut world = World::entered();
    let subscription = world.subscription().unwrap();
    world.notify(subscription, 1, &full(&["Romeo", "Juliet"]));
    world.events();
    world.notify(subscription, 2, &partial(vec![user("Juliet", State::Deleted)]));
    world.notify(subscription, 3, &partial(vec![user("Nurse", State::Full)]));
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
fn a_subject_is_told_behind_the_first_roster_and_an_empty_one_only_as_a_change() {
    for (subject, told) in [(None, false), (Some(""), false), (Some("Feud"), true)] {
        let mut world = World::entered();
        let subscription = world.subscription().unwrap();
        let with_subject = |subject: Option<&str>, document| Document {
            subject: subject.map(text),
            ..document
        };
        let event = |subject: &str| Event::Subject { text: text(subject) };
        world.notify(subscription, 1, &with_subject(subject, full(&["Romeo"])));
        let events = world.events();
        let expected: Vec<Event> = subject.filter(|_| told).map(event).into_iter().collect();
        assert_eq!(events[1..], expected, "{subject:?}");
        world.notify(subscription, 2, &with_subject(Some("Peace"), partial(vec![])));
        world.notify(subscription, 3, &with_subject(Some(""), partial(vec![])));
        assert_eq!(world.events(), [event("Peace"), event("")], "{subject:?}");
    }
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
fn our_own_renaming_may_come_before_its_answer_or_gathered_with_the_next() {
    let mut world = World::entered();
    let subscription = world.subscription().unwrap();
    world.notify(subscription, 1, &full(&["Romeo"]));
    world.events();
    let rename = |nickname: &str| Command::Rename {
        nickname: text(nickname),
    };
    world.command(rename("Montague"));
    let (_, due) = world.nickname_requested();
    let users = vec![user("Romeo", State::Deleted), user("Montague", State::Full)];
    world.notify(subscription, 2, &partial(users));
    world.answer_media(due, Status::OK);
    for nickname in ["Pilgrim", "Banished"] {
        world.command(rename(nickname));
        let (_, due) = world.nickname_requested();
        world.answer_media(due, Status::OK);
    }
    let users = vec![user("Montague", State::Deleted), user("Banished", State::Full)];
    world.notify(subscription, 3, &partial(users));
    let renamed = |old: &str, new: &str| Event::Renamed {
        old: text(old),
        new: text(new),
    };
    let nick = |nickname: &str| Event::Nick {
        nickname: text(nickname),
    };
    assert_eq!(
        world.events(),
        [
            renamed("Romeo", "Montague"),
            nick("Montague"),
            nick("Pilgrim"),
            nick("Banished"),
            renamed("Montague", "Banished"),
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
