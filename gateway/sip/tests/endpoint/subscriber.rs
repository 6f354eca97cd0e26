//! Our own subscriptions: RFC 6665 §4.1, RFC 3515, RFC 4488.

use std::time::Duration;

use crate::scene::{Ask, Scene, response, seconds};
use sip::{
    Command, Contact, Event, NameAddr, ReferParameters, StatusCode, SubscribeParameters, SubscriptionId,
    SubscriptionState, Uri, message::Request,
};

const OURS: SubscriptionId = SubscriptionId(2);
const CONTACT: &str = "Contact: <sip:room@192.0.2.10:5060>";

fn address(uri: &str) -> NameAddr {
    NameAddr::new(uri.parse().unwrap())
}

fn contact() -> Contact {
    Contact {
        user: Some("juliet".to_owned()),
        parameters: Vec::new(),
    }
}

fn room_uri() -> Uri {
    "sip:room@192.0.2.10".parse().unwrap()
}

pub(crate) fn subscribe(expires: u64) -> Command {
    Command::Subscribe {
        subscription: OURS,
        parameters: Box::new(SubscribeParameters {
            uri: room_uri(),
            from: address("sip:juliet@example.com"),
            to: address("sip:room@192.0.2.10"),
            contact: contact(),
            event: "conference".to_owned(),
            accept: "application/conference-info+xml".to_owned(),
            expires: Duration::from_secs(expires),
        }),
    }
}

fn refer() -> Command {
    Command::Refer {
        subscription: OURS,
        parameters: Box::new(ReferParameters {
            uri: room_uri(),
            from: address("sip:juliet@example.com"),
            to: address("sip:room@192.0.2.10"),
            contact: contact(),
            refer_to: address("sip:benvolio@example.com"),
        }),
    }
}

/// A NOTIFY in the dialog that `opening` asked for.
pub(crate) fn notify(opening: &Request, cseq: u32, from_tag: &str, event: &str, state: &str) -> Ask {
    let tag = opening
        .headers
        .get("From")
        .unwrap()
        .split(";tag=")
        .nth(1)
        .unwrap();
    let mut notify = Ask::new("NOTIFY", cseq)
        .call(opening.headers.get("Call-ID").unwrap())
        .to(tag)
        .branch(&format!("z9hG4bK-{from_tag}-{cseq}"))
        .header(&format!("Event: {event}"))
        .header(&format!("Subscription-State: {state}"));
    notify.from_tag = from_tag.to_owned();
    notify
}

fn told(state: SubscriptionState) -> Event {
    Event::Notified {
        subscription: OURS,
        state,
        body: None,
    }
}

fn active(expires: u64) -> (Scene, Request) {
    let mut scene = Scene::new();
    scene.command(subscribe(expires));
    let opening = scene.request();
    scene.receive(&response(
        &opening,
        200,
        "focus",
        &[CONTACT, &format!("Expires: {expires}")],
        "",
    ));
    assert_eq!(scene.event(), Event::SubscriptionAccepted { subscription: OURS });
    scene.ask(&notify(
        &opening,
        1,
        "focus",
        "conference",
        &format!("active;expires={expires}"),
    ));
    assert_eq!(scene.titles(), ["200 NOTIFY"]);
    assert_eq!(scene.event(), told(SubscriptionState::Active));
    (scene, opening)
}

// Rows: CSIP-11, E-39
#[test]
fn subscribe_is_refreshed_before_expiry_in_its_dialog() {
    let (mut scene, opening) = active(600);
    assert_eq!(opening.headers.get("Event"), Some("conference"));
    assert_eq!(
        opening.headers.get("Accept"),
        Some("application/conference-info+xml")
    );
    scene.pass(seconds(562.0));
    scene.assert_quiet();
    scene.pass(seconds(1.0));
    let refresh = scene.request();
    assert_eq!(refresh.headers.get("CSeq"), Some("2 SUBSCRIBE"));
    assert_eq!(refresh.headers.get("Expires"), Some("600"));
    assert!(refresh.headers.get("To").unwrap().ends_with(";tag=focus"));
    // The NOTIFY's Contact has moved the target (RFC 6665 §4.4.1).
    assert_eq!(refresh.uri.to_string(), "sip:romeo@192.0.2.10:5060");
    scene.receive(&response(&refresh, 200, "focus", &[CONTACT, "Expires: 600"], ""));
    scene.pass(seconds(563.0));
    assert_eq!(scene.titles(), ["SUBSCRIBE"]);
}

#[test]
fn a_short_grant_is_refreshed_at_its_half() {
    let (mut scene, _) = active(60);
    scene.pass(seconds(29.9));
    scene.assert_quiet();
    scene.pass(seconds(0.1));
    assert_eq!(scene.titles(), ["SUBSCRIBE"]);
}

#[test]
fn a_refused_refresh_loses_the_subscription() {
    let (mut scene, _) = active(60);
    scene.pass(seconds(30.0));
    let refresh = scene.request();
    scene.answer(&refresh, 481);
    assert_eq!(
        scene.event(),
        Event::SubscriptionRefused {
            subscription: OURS,
            status: StatusCode(481)
        }
    );
    scene.pass(seconds(33.0));
    scene.assert_empty();
}

#[test]
fn unsubscribe_waits_for_the_last_notify() {
    let (mut scene, opening) = active(600);
    scene.command(Command::Unsubscribe { subscription: OURS });
    let last = scene.request();
    assert_eq!(last.headers.get("Expires"), Some("0"));
    scene.receive(&response(&last, 200, "focus", &[CONTACT, "Expires: 0"], ""));
    scene.ask(&notify(
        &opening,
        2,
        "focus",
        "conference",
        "terminated;reason=timeout",
    ));
    assert_eq!(
        scene.event(),
        told(SubscriptionState::Terminated("timeout".to_owned()))
    );
    scene.pass(seconds(33.0));
    scene.titles();
    scene.assert_empty();
}

#[test]
fn unsubscribe_without_a_last_notify_is_over_after_64_t1() {
    let (mut scene, _) = active(600);
    scene.command(Command::Unsubscribe { subscription: OURS });
    let last = scene.request();
    scene.answer(&last, 200);
    scene.pass(seconds(32.0));
    scene.assert_quiet();
    scene.assert_empty();
}

#[test]
fn unsubscribe_before_the_answer_takes_effect_after_it() {
    let mut scene = Scene::new();
    scene.command(subscribe(600));
    let opening = scene.request();
    scene.command(Command::Unsubscribe { subscription: OURS });
    scene.assert_quiet();
    scene.receive(&response(&opening, 200, "focus", &[CONTACT, "Expires: 600"], ""));
    assert_eq!(scene.request().headers.get("Expires"), Some("0"));
}

// Rows: C4575-06, CSIP-10, E-17
#[test]
fn a_notify_before_the_2xx_opens_the_dialog_and_another_forks_is_481() {
    let mut scene = Scene::new();
    scene.command(subscribe(600));
    let opening = scene.request();
    scene.ask(&notify(&opening, 5, "focus", "conference", "active;expires=600"));
    assert_eq!(scene.titles(), ["200 NOTIFY"]);
    assert_eq!(scene.event(), told(SubscriptionState::Active));
    scene.ask(&notify(&opening, 5, "other", "conference", "active;expires=600"));
    assert_eq!(scene.titles(), ["481 NOTIFY"]);
    scene.receive(&response(&opening, 200, "focus", &[CONTACT, "Expires: 600"], ""));
    assert_eq!(scene.event(), Event::SubscriptionAccepted { subscription: OURS });
    assert_eq!(scene.endpoint.census().0, 1);
    scene.ask(&notify(&opening, 6, "focus", "conference", "active"));
    assert_eq!(scene.titles(), ["200 NOTIFY"]);
}

// Rows: CSIP-10
#[test]
fn notifies_that_name_no_subscription_or_state_are_refused() {
    let (mut scene, opening) = active(600);
    scene.ask(&notify(&opening, 2, "focus", "presence", "active"));
    assert_eq!(scene.titles(), ["481 NOTIFY"]);
    scene.ask(&notify(&opening, 3, "focus", "conference;id=7", "active"));
    assert_eq!(scene.titles(), ["481 NOTIFY"]);
    let mut stateless = notify(&opening, 4, "focus", "conference", "active");
    stateless.headers.pop();
    scene.ask(&stateless);
    assert_eq!(scene.titles(), ["400 NOTIFY"]);
    let mut eventless = notify(&opening, 5, "focus", "conference", "active");
    eventless.headers.remove(0);
    scene.ask(&eventless);
    assert_eq!(scene.titles(), ["489 NOTIFY"]);
    assert!(scene.events.is_empty());
}

// Rows: CSIP-10
#[test]
fn timer_n_gives_up_a_subscription_without_notify() {
    let mut scene = Scene::new();
    scene.command(subscribe(600));
    let opening = scene.request();
    scene.receive(&response(&opening, 202, "focus", &[CONTACT, "Expires: 600"], ""));
    scene.event();
    scene.pass(seconds(31.9));
    scene.assert_quiet();
    scene.pass(seconds(0.1));
    assert_eq!(
        scene.event(),
        Event::SubscriptionRefused {
            subscription: OURS,
            status: StatusCode(408)
        }
    );
    scene.assert_empty();
}

#[test]
fn a_423_is_retried_once_with_the_time_it_wants() {
    let mut scene = Scene::new();
    scene.command(subscribe(60));
    let opening = scene.request();
    scene.receive(&response(&opening, 423, "x", &["Min-Expires: 300"], ""));
    let again = scene.request();
    assert_eq!(again.headers.get("Expires"), Some("300"));
    assert_eq!(again.headers.get("CSeq"), Some("2 SUBSCRIBE"));
    assert_eq!(again.headers.get("Call-ID"), opening.headers.get("Call-ID"));
    scene.receive(&response(&again, 423, "x", &["Min-Expires: 900"], ""));
    assert_eq!(
        scene.event(),
        Event::SubscriptionRefused {
            subscription: OURS,
            status: StatusCode(423)
        }
    );
    scene.pass(seconds(33.0));
    scene.assert_empty();
}

// Rows: CSIP-12
#[test]
fn refer_is_accepted_and_followed_to_its_end() {
    let mut scene = Scene::new();
    scene.command(refer());
    let opening = scene.request();
    assert_eq!(
        opening.headers.get("Refer-To"),
        Some("<sip:benvolio@example.com>")
    );
    scene.receive(&response(&opening, 202, "focus", &[CONTACT], ""));
    assert_eq!(scene.event(), Event::SubscriptionAccepted { subscription: OURS });
    scene.ask(&notify(&opening, 1, "focus", "refer;id=1", "active;expires=60"));
    assert_eq!(scene.event(), told(SubscriptionState::Active));
    scene.ask(&notify(
        &opening,
        2,
        "focus",
        "refer",
        "terminated;reason=noresource",
    ));
    assert_eq!(
        scene.event(),
        told(SubscriptionState::Terminated("noresource".to_owned()))
    );
    scene.pass(seconds(33.0));
    assert_eq!(scene.titles(), ["200 NOTIFY", "200 NOTIFY"]);
    scene.assert_empty();
}

#[test]
fn a_refer_never_ended_is_given_up_and_never_refreshed() {
    let mut scene = Scene::new();
    scene.command(refer());
    let opening = scene.request();
    scene.receive(&response(&opening, 200, "focus", &[CONTACT], ""));
    scene.event();
    scene.ask(&notify(&opening, 1, "focus", "refer", "active;expires=60"));
    scene.event();
    scene.titles();
    scene.pass(seconds(98.0));
    assert_eq!(
        scene.event(),
        Event::SubscriptionRefused {
            subscription: OURS,
            status: StatusCode(408)
        }
    );
    scene.assert_quiet();
    scene.assert_empty();
}

// Rows: A7702-51, CSIP-12
#[test]
fn a_refer_without_subscription_ends_with_its_2xx() {
    let mut scene = Scene::new();
    scene.command(refer());
    let opening = scene.request();
    scene.receive(&response(
        &opening,
        200,
        "focus",
        &[CONTACT, "Refer-Sub: false"],
        "",
    ));
    assert_eq!(scene.event(), Event::SubscriptionAccepted { subscription: OURS });
    scene.pass(seconds(5.0));
    scene.assert_empty();
}

#[test]
fn a_subscribe_unanswered_or_refused_is_told_with_its_status() {
    let mut scene = Scene::new();
    scene.command(subscribe(600));
    scene.pass(seconds(32.0));
    assert_eq!(
        scene.event(),
        Event::SubscriptionRefused {
            subscription: OURS,
            status: StatusCode(408)
        }
    );
    scene.titles();
    scene.command(subscribe(600));
    let opening = scene.request();
    scene.answer(&opening, 403);
    assert_eq!(
        scene.event(),
        Event::SubscriptionRefused {
            subscription: OURS,
            status: StatusCode(403)
        }
    );
    scene.pass(seconds(33.0));
    scene.assert_empty();
}

#[test]
fn a_grant_of_nothing_is_not_refreshed_without_pause() {
    let (mut scene, opening) = active(600);
    scene.ask(&notify(&opening, 2, "focus", "conference", "active;expires=0"));
    assert_eq!(scene.titles(), ["200 NOTIFY"]);
    scene.pass(seconds(4.9));
    assert_eq!(scene.titles(), Vec::<String>::new());
    scene.pass(seconds(0.1));
    assert_eq!(scene.titles(), ["SUBSCRIBE"]);
}
