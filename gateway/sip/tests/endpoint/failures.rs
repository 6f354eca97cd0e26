//! Every failure of a peer or of the network at every step of a call with a subscription and an invitation.

use std::time::{Duration, Instant};

use crate::{
    pair::{CALL, CALLER, FOCUS, Fault, Pair, STILL, assert_played, invite, play},
    scene::{Ask, Scene},
};
use sip::{Command, EndCause, Event, Transport};

const DATAGRAMS: Transport = Transport::Udp;
const STREAM: Transport = Transport::Tcp;
/// Longer than a session that nobody refreshes lasts.
const LONG: Duration = Duration::from_secs(4000);

/// Plays with this fault at each message in turn until there is none of that number; `check` judges each run.
fn at_every_message(transport: Transport, fault: Fault, check: impl Fn(&Pair, bool, u64)) {
    #[expect(clippy::disallowed_methods, reason = "how long the test itself takes")]
    let begun = Instant::now();
    let mut virtual_time = Duration::ZERO;
    for caller_leaves in [true, false] {
        let mut number = 0;
        loop {
            let mut pair = Pair::new(transport, STILL, 1);
            let start = pair.now;
            pair.fault = Some((number, fault));
            let mut pair = play(pair, caller_leaves);
            pair.pass(LONG);
            check(&pair, caller_leaves, number);
            virtual_time += pair.now - start;
            if pair.sent <= number {
                break;
            }
            number += 1;
        }
        assert!(number > 30, "only {number} messages");
    }
    #[expect(clippy::disallowed_methods, reason = "how long the test itself takes")]
    let took = begun.elapsed();
    println!(
        "{fault:?}: {} virtual minutes in {took:?}",
        virtual_time.as_secs() / 60
    );
    assert!(virtual_time > took * 100, "{virtual_time:?} took {took:?}");
}

#[test]
fn any_one_datagram_may_be_lost() {
    at_every_message(DATAGRAMS, Fault::Lost, assert_played);
}

#[test]
fn any_one_datagram_may_come_twice() {
    at_every_message(DATAGRAMS, Fault::Doubled, assert_played);
}

/// Among them the ACK, which comes behind the second, third and fourth copy of its 2xx, and what overtakes it.
#[test]
fn any_one_datagram_may_be_overtaken() {
    for late in [20, 700, 2000, 5000] {
        at_every_message(DATAGRAMS, Fault::Late(Duration::from_millis(late)), assert_played);
    }
}

#[test]
fn a_peer_that_falls_silent_at_any_step_is_given_up_and_forgotten() {
    for transport in [DATAGRAMS, STREAM] {
        at_every_message(transport, Fault::Silence, assert_over);
    }
}

#[test]
fn a_connection_that_breaks_at_any_step_leaves_nothing_behind() {
    at_every_message(STREAM, Fault::Reset, assert_over);
}

/// However it went: each owner heard exactly once that the call is over, and nothing is left.
fn assert_over(pair: &Pair, _: bool, number: u64) {
    let ends = |event: &Event| {
        matches!(
            event,
            Event::Ended { .. } | Event::Refused { .. } | Event::Cancelled { .. }
        )
    };
    let story = || {
        format!(
            "message {number}: {:?} {:?}",
            pair.events[CALLER], pair.events[FOCUS]
        )
    };
    assert_eq!(pair.count(CALLER, ends), 1, "{}", story());
    assert_eq!(
        pair.count(FOCUS, ends),
        usize::from(pair.was_invited()),
        "{}",
        story()
    );
    for endpoint in &pair.ends {
        assert_eq!(endpoint.census(), (0, 0, 0), "{}", story());
        assert_eq!(endpoint.poll_timeout(), None, "{}", story());
    }
}

/// The caller gives up and the callee answers, each at any moment around that of the 100: INVITE, 100, CANCEL, 200 and ACK cross in every way, also with one of them lost.
#[test]
fn a_cancel_may_cross_the_answer_in_every_state() {
    let mut outcomes = [0; 2];
    let moments = (0..15).map(|step| Duration::from_millis(196) + step * Duration::from_micros(600));
    for (given_up, answered) in moments
        .clone()
        .flat_map(|up| moments.clone().map(move |answer| (up, answer)))
    {
        for lost in [
            None,
            Some(0),
            Some(1),
            Some(2),
            Some(3),
            Some(4),
            Some(5),
            Some(6),
        ] {
            let mut pair = Pair::new(DATAGRAMS, STILL, 1);
            pair.answers_after = answered;
            pair.fault = lost.map(|number| (number, Fault::Lost));
            pair.command(CALLER, invite());
            pair.pass(given_up);
            pair.command(
                CALLER,
                Command::Bye {
                    dialog: CALL,
                    reason: None,
                },
            );
            pair.pass(LONG);
            assert_over(&pair, true, lost.unwrap_or(99));
            let by_us = |event: &Event| {
                matches!(
                    event,
                    Event::Ended {
                        cause: EndCause::ByUs,
                        ..
                    }
                )
            };
            assert_eq!(pair.count(CALLER, by_us), 1, "{:?}", pair.events[CALLER]);
            let cancelled = pair.count(FOCUS, |event| matches!(event, Event::Cancelled { .. }));
            if pair.was_invited() {
                outcomes[cancelled] += 1;
            }
        }
    }
    assert!(
        outcomes.iter().all(|runs| *runs > 200),
        "cancelled and answered: {outcomes:?}"
    );
}

#[test]
fn a_request_with_another_tag_call_id_or_an_old_number_changes_nothing() {
    for method in [
        "INVITE",
        "BYE",
        "UPDATE",
        "INFO",
        "MESSAGE",
        "OPTIONS",
        "SUBSCRIBE",
        "REFER",
        "PRACK",
    ] {
        let mut scene = Scene::new();
        let (_, tag) = scene.established(&Ask::new("INVITE", 7).body(crate::scene::SDP));
        scene.sent.clear();
        let right = Ask::new(method, 8)
            .to(&tag)
            .header("Event: conference")
            .header("Refer-To: <sip:benvolio@example.com>")
            .header("RAck: 1 7 INVITE");
        let mut from_another = right.clone();
        from_another.from_tag = "another".to_owned();
        let mut old = right.clone();
        old.cseq = 6;
        for (number, (ask, status)) in [
            (right.clone().to("another"), 481),
            (from_another, 481),
            (right.clone().call("another"), 481),
            (old, 500),
        ]
        .into_iter()
        .enumerate()
        {
            scene.ask(&ask.branch(&format!("z9hG4bK-wrong-{number}")));
            assert_eq!(
                scene.titles(),
                [format!("{status} {method}")],
                "{method} {number}"
            );
            scene.assert_quiet();
        }
        // The call goes on, and the number is still to be had.
        scene.ask(&Ask::new("BYE", 8).to(&tag).branch("z9hG4bK-right"));
        assert_eq!(scene.titles(), ["200 BYE"], "{method}");
        assert!(matches!(scene.event(), Event::Ended { .. }));
        scene.pass(Duration::from_secs(60));
        scene.assert_empty();
    }
}

#[test]
fn an_ack_with_another_tag_or_number_confirms_nothing() {
    let mut scene = Scene::new();
    let (dialog, due) = scene.invited(&Ask::new("INVITE", 7).body(crate::scene::SDP));
    let tag = crate::scene::tag_of(&scene.accept(due));
    scene.ask(&Ask::ack(7, "another"));
    scene.ask(&Ask::ack(6, &tag).branch("z9hG4bK-old"));
    let mut from_another = Ask::ack(7, &tag).branch("z9hG4bK-other");
    from_another.from_tag = "another".to_owned();
    scene.ask(&from_another);
    scene.assert_quiet();
    scene.ask(&Ask::ack(7, &tag).branch("z9hG4bK-right"));
    assert_eq!(scene.event(), Event::Confirmed { dialog, body: None });
}
