//! Deadlines, pings, and when it is tried again.

use std::time::{Duration, Instant};

use xmpp::{Action, Command, ConflictRule, DownCause, Event, Link, LinkConfig, Unsent};

use crate::support::{HEADER, actions, config, events, origin, parsed, sent, shake, up_at};
use crate::{STREAMS, message, opening, seconds, unsent, wait_for_attempt};

#[test]
fn every_wait_has_a_deadline() {
    let now = origin();
    let ten = now + seconds(10);
    let mut link = Link::new(config(), [1; 32]);
    link.handle_timeout(now);
    actions(&mut link);
    assert_eq!(link.poll_timeout(), Some(ten));
    link.handle_timeout(ten - Duration::from_nanos(1));
    assert_eq!(actions(&mut link), []);
    link.handle_timeout(ten);
    assert_eq!(actions(&mut link), [Action::Close]);
    assert_eq!(
        events(&mut link),
        [Event::Down(DownCause::Unreachable(
            "no connection within 10 s".into()
        ))]
    );
    // A connection that stands after all is not wanted any more.
    link.handle_connected(ten);
    assert_eq!(
        (actions(&mut link), sent(&mut link).as_str()),
        (vec![Action::Close], "")
    );

    for header in ["", HEADER] {
        let mut link = opening(now);
        link.handle_bytes(header.as_bytes(), now + seconds(9));
        assert_eq!(link.poll_timeout(), Some(ten));
        link.handle_timeout(ten);
        assert_eq!(events(&mut link), [Event::Down(DownCause::Silent)]);
        assert_eq!(actions(&mut link), [Action::Close]);
    }
}

#[test]
fn a_late_end_of_an_old_connection_does_not_end_a_new_attempt() {
    let mut now = origin();
    let mut link = up_at(config(), now);
    link.handle_bytes(b"</stream:stream>", now);
    wait_for_attempt(&mut link, &mut now);
    events(&mut link);
    link.handle_disconnected(now);
    assert_eq!((events(&mut link), actions(&mut link)), (vec![], vec![]));
    link.handle_connected(now);
    link.handle_bytes(format!("{HEADER}<handshake/>").as_bytes(), now);
    assert!(link.is_up());
}

#[test]
fn a_failed_attempt_names_its_cause() {
    let now = origin();
    let mut link = Link::new(config(), [1; 32]);
    link.handle_timeout(now);
    link.handle_connect_failed("127.0.0.1:5347: connection refused".into(), now);
    let cause = DownCause::Unreachable("127.0.0.1:5347: connection refused".into());
    assert_eq!(events(&mut link), [Event::Down(cause)]);
}

#[test]
fn down_is_reported_once_per_change_of_cause() {
    let mut now = origin();
    let mut link = up_at(config(), now);
    link.handle_disconnected(now);
    let mut causes = events(&mut link);
    for attempt in ["refused", "refused", "refused", "no route", "refused"] {
        wait_for_attempt(&mut link, &mut now);
        link.handle_connect_failed(attempt.into(), now);
        causes.extend(events(&mut link));
    }
    let unreachable = |cause: &str| Event::Down(DownCause::Unreachable(cause.into()));
    assert_eq!(
        causes,
        [
            Event::Down(DownCause::Closed),
            unreachable("refused"),
            unreachable("no route"),
            unreachable("refused")
        ]
    );
    // Once up, the same cause is news again.
    let due = link.poll_timeout().unwrap();
    link.handle_timeout(due);
    shake(&mut link, due);
    link.handle_disconnected(due);
    assert_eq!(events(&mut link), [Event::Down(DownCause::Closed)]);
}

/// The delays before the next attempts, each of which fails with the same stream error (or with none).
fn delays(seed: u8, condition: Option<&str>, count: usize) -> Vec<Duration> {
    let mut now = origin();
    let mut link = Link::new(config(), [seed; 32]);
    link.handle_timeout(now);
    let fail = |link: &mut Link, now: Instant| match condition {
        None => link.handle_connect_failed("refused".into(), now),
        Some(condition) => {
            link.handle_connected(now);
            let error = format!("{HEADER}<stream:error><{condition} xmlns='{STREAMS}'/></stream:error>");
            link.handle_bytes(error.as_bytes(), now);
        }
    };
    (0..count)
        .map(|_| {
            fail(&mut link, now);
            wait_for_attempt(&mut link, &mut now)
        })
        .collect()
}

// Rows: CXMPP-30
#[test]
fn attempts_back_off_within_bounds() {
    let eager = [(250, 500), (500, 1000), (1000, 2000), (1000, 2000), (1000, 2000)];
    let fast = [(1, 2), (2, 4), (4, 8), (8, 16), (15, 30), (15, 30), (15, 30)];
    let fast = fast.map(|(least, most)| (1000 * least, 1000 * most));
    let slow = [(30, 60), (60, 120), (60, 120), (60, 120)].map(|(least, most)| (1000 * least, 1000 * most));
    // The server may yet have to notice that our former connection is gone.
    let ghost = [&eager[..3], &slow].concat();
    for seed in 0..40 {
        for (condition, bounds) in [
            (None, &eager[..]),
            (Some("host-unknown"), &fast),
            (Some("system-shutdown"), &fast),
            (Some("not-authorized"), &slow),
            (Some("conflict"), &ghost),
        ] {
            for (delay, (least, most)) in delays(seed, condition, bounds.len()).into_iter().zip(bounds) {
                let (least, most) = (Duration::from_millis(*least), Duration::from_millis(*most));
                assert!((least..=most).contains(&delay), "{delay:?} {condition:?}");
            }
        }
    }
    assert!(delays(1, None, 200).into_iter().all(|delay| delay <= seconds(2)));
}

/// Has another connection take the domain over.
fn replaced(conflict: ConflictRule) -> (Link, Instant) {
    let now = origin();
    let mut link = up_at(LinkConfig { conflict, ..config() }, now);
    let error = format!("<stream:error><conflict xmlns='{STREAMS}'/></stream:error>");
    link.handle_bytes(error.as_bytes(), now);
    assert_eq!(events(&mut link), [Event::Down(DownCause::Conflict)]);
    assert_eq!(actions(&mut link), [Action::Close]);
    (link, now)
}

#[test]
fn a_domain_that_was_taken_over_is_taken_back_slowly() {
    let (mut link, mut now) = replaced(ConflictRule::Retry);
    let delay = wait_for_attempt(&mut link, &mut now);
    assert!((seconds(30)..=seconds(60)).contains(&delay), "{delay:?}");
}

#[test]
fn a_domain_that_was_taken_over_is_left_to_the_other_if_so_set() {
    let (mut link, now) = replaced(ConflictRule::Stop);
    assert_eq!(link.poll_timeout(), None);
    link.handle_command(Command::Send(message("x")), now);
    assert_eq!(events(&mut link), [unsent(message("x"), Unsent::LinkDown)]);
}

#[test]
fn jitter_comes_from_the_seed() {
    assert_eq!(delays(1, None, 8), delays(1, None, 8));
    assert_ne!(delays(1, None, 8), delays(2, None, 8));
}

#[test]
fn back_off_begins_anew_once_the_link_has_held() {
    for (held, least, most) in [(29, 1000, 2000), (30, 250, 500)] {
        let mut now = origin();
        let mut link = Link::new(config(), [3; 32]);
        link.handle_timeout(now);
        for _ in 0..3 {
            link.handle_connect_failed("refused".into(), now);
            let due = link.poll_timeout().unwrap();
            actions(&mut link);
            link.handle_timeout(due);
            now = due;
        }
        shake(&mut link, now);
        now += seconds(held);
        link.handle_disconnected(now);
        let delay = wait_for_attempt(&mut link, &mut now);
        let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
        assert!((least..=most).contains(&delay), "{held}: {delay:?}");
    }
}

// Rows: CXMPP-30
#[test]
fn silence_is_met_with_a_ping_and_any_answer_will_do() {
    let mut now = origin();
    let mut link = up_at(config(), now);
    let answers = [
        "<iq from='xmpp.test' to='gw.xmpp.test' id='ID' type='result'/>",
        "<iq from='xmpp.test' to='gw.xmpp.test' id='ID' type='error'><error/></iq>",
        "<iq from='gw.xmpp.test' to='gw.xmpp.test' id='ID' type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
        " ",
    ];
    for answer in answers {
        now += seconds(30);
        assert_eq!(link.poll_timeout(), Some(now));
        link.handle_timeout(now);
        let pings = parsed(&format!("<r>{}</r>", sent(&mut link)));
        let to: Vec<Option<&str>> = pings.children().map(|ping| ping.attr("to")).collect();
        assert_eq!(to, [Some("xmpp.test"), Some("gw.xmpp.test")]);
        assert_eq!(link.poll_timeout(), Some(now + seconds(10)));

        now += seconds(9);
        let id = pings.children().next().unwrap().attr("id").unwrap();
        link.handle_bytes(answer.replace("ID", id).as_bytes(), now);
        assert_eq!(
            (events(&mut link), sent(&mut link).as_str()),
            (vec![], ""),
            "{answer}"
        );
    }
}

#[test]
fn an_unanswered_ping_is_met_with_a_new_connection() {
    let start = origin();
    let mut link = up_at(config(), start);
    link.handle_bytes(b" ", start + seconds(5));
    assert_eq!(link.poll_timeout(), Some(start + seconds(35)));
    link.handle_timeout(start + seconds(35));
    link.handle_timeout(start + seconds(45) - Duration::from_nanos(1));
    assert_eq!(events(&mut link), []);
    link.handle_timeout(start + seconds(45));
    assert_eq!(events(&mut link), [Event::Down(DownCause::Silent)]);
    assert_eq!(actions(&mut link), [Action::Close]);
    let mut now = start + seconds(45);
    wait_for_attempt(&mut link, &mut now);
    link.handle_connected(now);
    // Nothing of the old stream goes into the new one.
    assert!(sent(&mut link).starts_with("<?xml"));
}
