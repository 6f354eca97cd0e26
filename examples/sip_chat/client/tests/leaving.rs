//! Ends of a stay, by either side or by accident.

use super::*;

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
    // RFC 3261 §9.1: CANCEL waits for the focus's 100, which comes after 200 ms.
    world.wait(Duration::from_millis(200));
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
