//! REFERs whose progress is asked for explicitly, or not at all (RFC 7614).

use sip::{
    Body, Command, Event, NameAddr, SubscriptionEnd, SubscriptionId, SubscriptionState, message::Request,
};

use crate::scene::{Ask, Scene, room, seconds};

const OWNER: SubscriptionId = SubscriptionId(2);

fn refer() -> Ask {
    Ask::new("REFER", 1)
        .header("Refer-To: <sip:benvolio@example.com>")
        .header("Require: explicitsub")
}

/// The owner accepts a REFER; gives the address that tells of it.
fn referred(scene: &mut Scene, followed: bool) -> String {
    let Event::Referred { due, .. } = scene.event() else {
        panic!("no referral")
    };
    let contact = room();
    scene.command(match followed {
        true => Command::FollowRefer {
            due,
            contact,
            subscription: OWNER,
        },
        false => Command::AcceptRefer { due, contact },
    });
    let response = scene.response();
    assert_eq!(response.status.0, 200);
    let address: NameAddr = response.headers.get("Refer-Events-At").unwrap().parse().unwrap();
    address.uri.to_string()
}

fn progress(scene: &mut Scene, line: &str, state: SubscriptionState) {
    scene.command(Command::Notify {
        subscription: OWNER,
        state,
        body: Some(Body {
            content_type: "message/sipfrag;version=2.0".to_owned(),
            bytes: format!("SIP/2.0 {line}\r\n").into(),
        }),
    });
}

fn over() -> SubscriptionState {
    SubscriptionState::Terminated("noresource".to_owned())
}

fn subscribe(address: &str, call: &str) -> Ask {
    let mut ask = Ask::new("SUBSCRIBE", 1)
        .header("Event: refer")
        .call(call)
        .branch(&format!("z9hG4bK-{call}"));
    address.clone_into(&mut ask.uri);
    ask
}

/// A NOTIFY that says this much, and is answered.
fn told(scene: &mut Scene, line: &str, is_over: bool) -> Request {
    let request = scene.request();
    assert_eq!(request.headers.get("Event"), Some("refer"));
    assert_eq!(request.body, format!("SIP/2.0 {line}\r\n"));
    let state = request.headers.get("Subscription-State").unwrap_or_default();
    assert_eq!(state == "terminated;reason=noresource", is_over, "{state}");
    scene.answer(&request, 200);
    request
}

#[test]
fn rfc7614_section_4_3_no_subscription_is_implied_and_an_address_tells_of_the_progress() {
    let mut scene = Scene::new();
    scene.ask(&refer());
    let address = referred(&mut scene, true);
    scene.assert_quiet();
    scene.ask(&subscribe(&address, "one"));
    assert_eq!(scene.response().status.0, 200);
    told(&mut scene, "100 Trying", false);
    progress(&mut scene, "180 Ringing", SubscriptionState::Active);
    told(&mut scene, "180 Ringing", false);
    progress(&mut scene, "200 OK", over());
    told(&mut scene, "200 OK", true);
    scene.pass(seconds(65.0));
    scene.assert_quiet();
    scene.assert_empty();
}

#[test]
fn rfc7614_section_4_7_the_outcome_is_kept_for_64_s() {
    let mut scene = Scene::new();
    scene.ask(&refer());
    let address = referred(&mut scene, false);
    scene.pass(seconds(63.0));
    scene.ask(&subscribe(&address, "in-time"));
    assert_eq!(scene.response().status.0, 200);
    told(&mut scene, "100 Trying", true);
    scene.pass(seconds(2.0));
    scene.ask(&subscribe(&address, "too-late"));
    assert_eq!(scene.response().status.0, 403);
    scene.pass(seconds(33.0));
    scene.assert_quiet();
    scene.assert_empty();
}

#[test]
fn rfc7614_section_3_1_several_may_ask_and_each_may_refresh_and_take_his_subscription_back() {
    let mut scene = Scene::new();
    scene.ask(&refer());
    let address = referred(&mut scene, true);
    for call in ["one", "two"] {
        scene.ask(&subscribe(&address, call));
        assert_eq!(scene.response().status.0, 200);
        let request = told(&mut scene, "100 Trying", false);
        let from: NameAddr = request.headers.get("From").unwrap().parse().unwrap();
        let mut again = subscribe(&address, call).to(from.parameter("tag").unwrap());
        again.cseq = 2;
        again.branch += "-again";
        if call == "two" {
            again = again.header("Expires: 0");
        }
        scene.ask(&again);
        assert_eq!(scene.response().status.0, 200);
        let last = scene.request();
        assert_eq!(
            last.headers.get("Subscription-State") == Some("terminated;reason=timeout"),
            call == "two"
        );
        scene.answer(&last, 200);
    }
    progress(&mut scene, "200 OK", over());
    told(&mut scene, "200 OK", true);
    scene.pass(seconds(65.0));
    scene.assert_quiet();
    scene.assert_empty();
}

#[test]
fn an_outcome_that_never_comes_is_not_waited_for_without_end() {
    let mut scene = Scene::new();
    scene.ask(&refer());
    let address = referred(&mut scene, true);
    scene.pass(seconds(181.0));
    assert_eq!(
        scene.event(),
        Event::SubscriptionEnded {
            subscription: OWNER,
            cause: SubscriptionEnd::Expired
        }
    );
    scene.ask(&subscribe(&address, "one"));
    assert_eq!(scene.response().status.0, 200);
    told(&mut scene, "100 Trying", true);
    scene.pass(seconds(65.0));
    scene.assert_quiet();
    scene.assert_empty();
}

#[test]
fn beyond_the_limit_of_referrals_a_refer_is_503() {
    let mut scene = Scene::new();
    for number in 0..1001 {
        let call = format!("call-{number}");
        scene.ask(&refer().call(&call).branch(&format!("z9hG4bK-{number}")));
        if number < 1000 {
            referred(&mut scene, false);
        }
    }
    let refused = scene.response();
    assert_eq!(refused.status.0, 503);
    assert!(refused.headers.get("Retry-After").is_some());
    scene.pass(seconds(65.0));
    scene.assert_quiet();
    scene.assert_empty();
}

#[test]
fn rfc7614_section_5_a_refer_that_requires_no_subscription_gets_none() {
    let mut scene = Scene::new();
    scene.ask(
        &Ask::new("REFER", 1)
            .header("Refer-To: <sip:benvolio@example.com>")
            .header("Require: nosub"),
    );
    let Event::Referred { due, .. } = scene.event() else {
        panic!("no referral")
    };
    scene.command(Command::AcceptRefer { due, contact: room() });
    assert_eq!(scene.response().status.0, 200);
    scene.pass(seconds(33.0));
    scene.assert_quiet();
    scene.assert_empty();
}
