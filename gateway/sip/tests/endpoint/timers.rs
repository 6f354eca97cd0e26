//! A test for each timer of RFC 3261 table 4, RFC 6026, RFC 6665, RFC 3262 and RFC 4028, with different estimates of the round trip: what
//! follows from T1 follows it, what does not stays.

use std::time::Duration;

use crate::scene::{Ask, SDP, Scene, body, config, document, response, room, seconds, tag_of, tcp};
use sip::{
    Command, DialogId, EndCause, Event, InviteParameters, NameAddr, StatusCode, SubscriptionEnd,
    SubscriptionState, message::Request,
};

const CALL: DialogId = DialogId(2);
/// Milliseconds of T2, T4 and timer C.
const T2: u128 = 4000;
const T4: u128 = 5000;
const TIMER_C: u128 = 185_000;
/// A moment before and after a deadline.
const MOMENT: Duration = Duration::from_millis(1);

/// Runs a test with several T1, in milliseconds.
fn with_each_t1(test: impl Fn(Scene, u128)) {
    for t1 in [50, 500, 2000] {
        let mut config = config();
        config.t1 = Duration::from_millis(t1);
        test(Scene::with(config), t1.into());
    }
}

fn milliseconds(time: u128) -> Duration {
    Duration::from_millis(u64::try_from(time).unwrap())
}

/// When something is repeated within 64 T1: at T1 and then after twice the last pause, at most `longest`.
fn repetitions(t1: u128, longest: u128) -> Vec<u128> {
    let (mut at, mut pause, mut times) = (t1, t1, Vec::new());
    while at < 64 * t1 {
        times.push(at);
        pause = (2 * pause).min(longest);
        at += pause;
    }
    times
}

/// When messages of this title were sent.
fn times(scene: &mut Scene, title: &str) -> Vec<u128> {
    scene
        .log()
        .into_iter()
        .filter(|(_, sent)| sent == title)
        .map(|(at, _)| at)
        .collect()
}

fn call(scene: &mut Scene, uri: &str) -> Request {
    let parameters = InviteParameters {
        uri: uri.parse().unwrap(),
        from: NameAddr::new("sip:juliet@example.com".parse().unwrap()),
        to: NameAddr::new("sip:room@192.0.2.20".parse().unwrap()),
        contact: room(),
        body: body(),
        headers: Vec::new(),
    };
    scene.command(Command::Invite {
        dialog: CALL,
        parameters: Box::new(parameters),
    });
    scene.request()
}

/// A call of ours, answered and acknowledged, then hung up: our BYE is under way.
fn bye_under_way(scene: &mut Scene, uri: &str) -> Request {
    let invite = call(scene, uri);
    let contact = format!("Contact: <{uri}>");
    scene.receive(&response(&invite, 200, "focus", &[&contact], SDP));
    assert_eq!(scene.request().method.as_str(), "ACK");
    scene.event();
    scene.command(Command::Bye {
        dialog: CALL,
        reason: None,
    });
    scene.request()
}

const OVER_UDP: &str = "sip:room@192.0.2.20";
const OVER_TCP: &str = "sip:room@192.0.2.20;transport=tcp";

#[test]
fn timers_a_and_b_repeat_an_invite_ever_more_slowly_and_give_it_up() {
    with_each_t1(|mut scene, t1| {
        call(&mut scene, OVER_UDP);
        scene.pass(milliseconds(64 * t1) - MOMENT);
        assert_eq!(times(&mut scene, "INVITE"), repetitions(t1, u128::MAX / 2));
        assert!(scene.events.is_empty());
        scene.pass(MOMENT);
        let refused = scene.event();
        assert!(
            matches!(
                refused,
                Event::Refused {
                    status: StatusCode(408),
                    local: true,
                    ..
                }
            ),
            "{refused:?}"
        );
        scene.assert_empty();
    });
}

#[test]
fn timer_a_does_not_run_on_a_reliable_transport_and_timer_b_does() {
    with_each_t1(|mut scene, t1| {
        call(&mut scene, OVER_TCP);
        scene.pass(milliseconds(64 * t1) - MOMENT);
        scene.assert_quiet();
        scene.pass(MOMENT);
        assert!(matches!(scene.event(), Event::Refused { .. }));
        scene.assert_empty();
    });
}

#[test]
fn timer_c_begins_anew_with_each_response_but_100_and_does_not_follow_t1() {
    with_each_t1(|mut scene, t1| {
        let invite = call(&mut scene, OVER_UDP);
        for status in [180, 183] {
            scene.receive(&response(&invite, status, "focus", &[], ""));
            scene.pass(milliseconds(TIMER_C) - MOMENT);
            scene.events.clear();
            scene.receive(&response(&invite, 100, "", &[], ""));
            assert_eq!(scene.titles(), Vec::<String>::new(), "T1 {t1}");
        }
        scene.pass(MOMENT);
        assert_eq!(scene.titles(), ["CANCEL"]);
        scene.pass(milliseconds(64 * t1) + seconds(185.0));
        assert!(
            scene
                .events
                .iter()
                .any(|event| matches!(event, Event::Refused { .. })),
            "{:?}",
            scene.events
        );
        scene.assert_empty();
    });
}

#[test]
fn timer_d_answers_a_repeated_failure_with_ack_for_64_t1_and_is_zero_over_tcp() {
    with_each_t1(|mut scene, t1| {
        let invite = call(&mut scene, OVER_UDP);
        let busy = response(&invite, 486, "focus", &[], "");
        scene.receive(&busy);
        scene.pass(milliseconds(64 * t1) - MOMENT);
        scene.receive(&busy);
        assert_eq!(scene.titles(), ["ACK", "ACK"]);
        scene.pass(MOMENT);
        scene.receive(&busy);
        assert_eq!(scene.titles(), Vec::<String>::new());
        scene.assert_empty();
    });
    let mut scene = Scene::new();
    let invite = call(&mut scene, OVER_TCP);
    scene.receive_on(tcp(1), &response(&invite, 486, "focus", &[], ""));
    assert_eq!(scene.titles(), ["ACK"]);
    scene.assert_empty();
}

#[test]
fn timers_e_and_f_repeat_another_request_up_to_each_t2_and_give_it_up() {
    with_each_t1(|mut scene, t1| {
        bye_under_way(&mut scene, OVER_UDP);
        scene.pass(milliseconds(64 * t1) - MOMENT);
        assert_eq!(times(&mut scene, "BYE"), repetitions(t1, T2));
        assert!(scene.events.is_empty());
        scene.pass(MOMENT);
        assert!(matches!(
            scene.event(),
            Event::Ended {
                cause: EndCause::ByUs,
                ..
            }
        ));
    });
}

#[test]
fn timer_e_is_t2_after_a_provisional_response_and_does_not_run_over_tcp() {
    with_each_t1(|mut scene, t1| {
        let bye = bye_under_way(&mut scene, OVER_UDP);
        scene.receive(&response(&bye, 100, "", &[], ""));
        scene.pass(milliseconds(64 * t1) - MOMENT);
        let sent = times(&mut scene, "BYE");
        assert_eq!(sent.first(), Some(&t1).filter(|t1| **t1 < 64 * **t1));
        assert!(sent.windows(2).all(|pair| pair[1] - pair[0] == T2), "{sent:?}");
    });
    let mut scene = Scene::new();
    bye_under_way(&mut scene, OVER_TCP);
    scene.pass(seconds(31.9));
    scene.assert_quiet();
}

#[test]
fn timers_g_and_h_repeat_a_refusal_up_to_each_t2_until_64_t1() {
    with_each_t1(|mut scene, t1| {
        refuse(&mut scene, &Ask::invite());
        scene.pass(milliseconds(64 * t1) - MOMENT);
        assert_eq!(times(&mut scene, "486 INVITE"), repetitions(t1, T2));
        assert_eq!(scene.endpoint.census(), (0, 0, 1));
        scene.pass(MOMENT);
        scene.assert_empty();
    });
    // Over TCP timer G does not run, and timer H waits for the ACK.
    let mut scene = Scene::new();
    refuse(&mut scene, &Ask::invite().over("TCP"));
    scene.pass(seconds(31.9));
    scene.assert_quiet();
    assert_eq!(scene.endpoint.census(), (0, 0, 1));
    scene.pass(seconds(0.1));
    scene.assert_empty();
}

#[test]
fn timer_i_absorbs_acks_for_t4_and_is_zero_over_tcp() {
    with_each_t1(|mut scene, _| {
        let tag = refuse(&mut scene, &Ask::invite());
        let ack = Ask::ack(1, &tag).branch("z9hG4bK-INVITE-1");
        scene.ask(&ack);
        scene.pass(milliseconds(T4) - MOMENT);
        scene.ask(&ack);
        scene.assert_quiet();
        assert_eq!(scene.endpoint.census(), (0, 0, 1));
        scene.pass(MOMENT);
        scene.assert_empty();
    });
    let mut scene = Scene::new();
    let tag = refuse(&mut scene, &Ask::invite().over("TCP"));
    scene.ask(&Ask::ack(1, &tag).branch("z9hG4bK-INVITE-1").over("TCP"));
    scene.assert_empty();
}

/// An INVITE that the owner answers 486; gives our tag.
fn refuse(scene: &mut Scene, invite: &Ask) -> String {
    let (_, due) = scene.invited(invite);
    scene.command(Command::Refuse {
        due,
        status: StatusCode(486),
        phrase: None,
        headers: Vec::new(),
    });
    tag_of(&scene.response())
}

#[test]
fn timer_j_repeats_the_answer_to_a_repeated_request_for_64_t1_and_is_zero_over_tcp() {
    with_each_t1(|mut scene, t1| {
        let options = Ask::new("OPTIONS", 1);
        scene.ask(&options);
        let first = scene.transmit().bytes;
        scene.pass(milliseconds(64 * t1) - MOMENT);
        scene.ask(&options);
        assert_eq!(scene.transmit().bytes, first, "the same octets");
        scene.pass(MOMENT);
        scene.assert_empty();
    });
    let mut scene = Scene::new();
    scene.ask(&Ask::new("OPTIONS", 1).over("TCP"));
    scene.assert_empty();
}

#[test]
fn timer_k_absorbs_responses_for_t4_and_is_zero_over_tcp() {
    with_each_t1(|mut scene, _| {
        let bye = bye_under_way(&mut scene, OVER_UDP);
        let ok = response(&bye, 200, "", &[], "");
        scene.receive(&ok);
        scene.events.clear();
        let transactions = |scene: &Scene| scene.endpoint.census().2;
        let with_bye = transactions(&scene);
        scene.pass(milliseconds(T4) - MOMENT);
        scene.receive(&ok);
        scene.assert_quiet();
        scene.pass(MOMENT);
        assert!(transactions(&scene) < with_bye);
    });
    let mut scene = Scene::new();
    let bye = bye_under_way(&mut scene, OVER_TCP);
    let before = scene.endpoint.census().2;
    scene.receive_on(tcp(1), &response(&bye, 200, "", &[], ""));
    assert_eq!(scene.endpoint.census().2, before - 1);
}

#[test]
fn timer_l_absorbs_invites_for_64_t1_after_a_2xx() {
    with_each_t1(|mut scene, t1| {
        scene.established(&Ask::invite());
        scene.pass(milliseconds(64 * t1) - MOMENT);
        scene.ask(&Ask::invite());
        scene.assert_quiet();
        scene.pass(MOMENT);
        assert_eq!(scene.endpoint.census(), (1, 0, 0));
        // From then on it is another request of the dialog's call, not the same again.
        scene.ask(&Ask::invite());
        assert!(matches!(scene.event(), Event::Invited { .. }));
    });
}

#[test]
fn timer_m_answers_a_repeated_2xx_with_ack_for_64_t1() {
    with_each_t1(|mut scene, t1| {
        let invite = call(&mut scene, OVER_UDP);
        let ok = response(&invite, 200, "focus", &["Contact: <sip:room@192.0.2.20>"], SDP);
        scene.receive(&ok);
        scene.pass(milliseconds(64 * t1) - MOMENT);
        scene.receive(&ok);
        assert_eq!(scene.titles(), ["ACK", "ACK"]);
        scene.pass(MOMENT);
        scene.receive(&ok);
        assert_eq!(scene.titles(), Vec::<String>::new());
    });
}

#[test]
fn a_2xx_is_repeated_up_to_each_t2_over_any_transport_and_ends_in_bye_after_64_t1() {
    for transport in ["UDP", "TCP"] {
        with_each_t1(|mut scene, t1| {
            let (dialog, due) = scene.invited(&Ask::invite().over(transport));
            scene.accept(due);
            scene.pass(milliseconds(64 * t1) - MOMENT);
            assert_eq!(times(&mut scene, "200 INVITE"), repetitions(t1, T2));
            scene.pass(MOMENT);
            assert_eq!(scene.titles(), ["BYE"]);
            let cause = EndCause::NoAck;
            assert_eq!(scene.event(), Event::Ended { dialog, cause });
        });
    }
}

#[test]
fn a_notify_unanswered_for_64_t1_ends_its_subscription() {
    with_each_t1(|mut scene, t1| {
        let (subscription, _) = scene.subscribed(&Ask::subscribe(1));
        scene.command(Command::Notify {
            subscription,
            state: SubscriptionState::Active,
            body: Some(document("full")),
        });
        scene.titles();
        scene.pass(milliseconds(64 * t1) - MOMENT);
        assert_eq!(times(&mut scene, "NOTIFY"), repetitions(t1, T2));
        scene.pass(MOMENT);
        let cause = SubscriptionEnd::NotifyFailed;
        assert_eq!(scene.event(), Event::SubscriptionEnded { subscription, cause });
        scene.pass(seconds(1.0));
        scene.assert_empty();
    });
}

#[test]
fn a_reliable_provisional_response_is_repeated_without_bound_t2_until_64_t1() {
    with_each_t1(|mut scene, t1| {
        let (dialog, _) = scene.invited(&Ask::invite().header("Require: 100rel"));
        scene.command(Command::Ring {
            dialog,
            status: StatusCode(180),
        });
        scene.titles();
        scene.pass(milliseconds(64 * t1) - MOMENT);
        assert_eq!(times(&mut scene, "180 INVITE"), repetitions(t1, u128::MAX / 2));
        scene.pass(MOMENT);
        assert!(scene.titles().iter().any(|title| title.starts_with('5')));
    });
}

#[test]
fn a_session_that_its_peer_does_not_refresh_ends_at_its_interval_whatever_t1() {
    with_each_t1(|mut scene, _| {
        let refreshed_by_us = Ask::invite()
            .header("Supported: timer")
            .header("Session-Expires: 300;refresher=uac");
        scene.established(&refreshed_by_us);
        // RFC 4028 §10: the lesser of 32 s and a third of the interval before its end.
        scene.pass(seconds(300.0 - 32.0) - MOMENT);
        assert!(scene.events.is_empty());
        scene.titles();
        scene.pass(MOMENT);
        assert_eq!(scene.titles(), ["BYE"]);
        let cause = EndCause::Gone;
        assert!(matches!(scene.event(), Event::Ended { cause: ended, .. } if ended == cause));
    });
}
