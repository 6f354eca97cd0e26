//! Subscriptions of peers: RFC 6665 §4.2, RFC 4575.

use crate::scene::{Ask, Scene, document, room, seconds, tag_of, tcp};
use sip::{Body, Command, EndCause, Event, StatusCode, SubscriptionEnd, SubscriptionId, SubscriptionState};

fn notify(subscription: SubscriptionId, text: &str) -> Command {
    Command::Notify {
        subscription,
        state: SubscriptionState::Active,
        body: Some(document(text)),
    }
}

fn last(subscription: SubscriptionId, reason: &str) -> Command {
    Command::Notify {
        subscription,
        state: SubscriptionState::Terminated(reason.to_owned()),
        body: None,
    }
}

fn text(body: &bytes::Bytes) -> &str {
    std::str::from_utf8(body).unwrap()
}

// Rows: B7702-05, F39, C4575-03, CSIP-10, CSIP-13, E-17, E-39
#[test]
fn subscribe_outside_a_dialog_is_granted_and_notified_in_its_own_dialog() {
    let mut scene = Scene::new();
    scene.ask(
        &Ask::subscribe(1)
            .header("Expires: 7200")
            .header("Record-Route: <sip:192.0.2.1;lr>"),
    );
    let Event::Subscribing {
        subscription,
        dialog: None,
        request,
        due,
    } = scene.event()
    else {
        panic!()
    };
    assert_eq!(request.headers.get("Event"), Some("conference"));
    scene.command(Command::AcceptSubscription { due, contact: room() });
    let ok = scene.response();
    assert_eq!((ok.status.0, ok.headers.get("Expires")), (200, Some("3600")));
    assert_eq!(
        ok.headers.get("Contact"),
        Some("<sip:capulet@198.51.100.1:5060>;isfocus")
    );
    assert_eq!(ok.headers.get("Record-Route"), Some("<sip:192.0.2.1;lr>"));
    scene.pass(seconds(10.0));
    scene.command(notify(subscription, "full"));
    let transmit_to = scene.sent.front().unwrap().1.target.peer;
    assert_eq!(transmit_to, "192.0.2.1:5060".parse().unwrap());
    let request = scene.request();
    assert_eq!(request.uri.to_string(), "sip:romeo@192.0.2.10:5060");
    assert_eq!(request.headers.get("Route"), Some("<sip:192.0.2.1;lr>"));
    assert_eq!(request.headers.get("Event"), Some("conference"));
    assert_eq!(
        request.headers.get("Subscription-State"),
        Some("active;expires=3590")
    );
    assert_eq!(request.headers.get("Contact"), ok.headers.get("Contact"));
    assert_eq!(request.headers.get("CSeq"), Some("1 NOTIFY"));
    assert_eq!(text(&request.body), "full");
    scene.answer(&request, 200);
    scene.assert_quiet();
    assert_eq!(scene.endpoint.census().0, 1);
}

#[test]
fn notifies_go_out_in_order_the_next_after_the_answer() {
    let mut scene = Scene::new();
    let (subscription, _) = scene.subscribed(&Ask::subscribe(1));
    for number in 0..4 {
        scene.command(notify(subscription, &number.to_string()));
    }
    scene.command(last(subscription, "noresource"));
    scene.command(notify(subscription, "too late"));
    for number in 0..4 {
        let request = scene.request();
        assert_eq!(text(&request.body), number.to_string());
        scene.assert_quiet();
        scene.answer(&request, 200);
    }
    let request = scene.request();
    assert_eq!(
        request.headers.get("Subscription-State"),
        Some("terminated;reason=noresource")
    );
    scene.answer(&request, 200);
    scene.pass(seconds(33.0));
    scene.assert_quiet();
    scene.assert_empty();
}

#[test]
fn the_ninth_notify_waiting_ends_the_subscription() {
    let mut scene = Scene::new();
    let (subscription, _) = scene.subscribed(&Ask::subscribe(1));
    for number in 0..9 {
        scene.command(notify(subscription, &number.to_string()));
    }
    assert!(scene.events.is_empty());
    scene.command(notify(subscription, "over"));
    assert_eq!(
        scene.event(),
        Event::SubscriptionEnded {
            subscription,
            cause: SubscriptionEnd::NotifyFailed
        }
    );
    scene.pass(seconds(40.0));
    scene.assert_empty();
}

// Rows: CSIP-10
#[test]
fn a_refresh_is_answered_and_reported_and_moves_target_and_expiry() {
    let mut scene = Scene::new();
    let (subscription, tag) = scene.subscribed(&Ask::subscribe(1).header("Expires: 100"));
    scene.pass(seconds(90.0));
    scene.ask(
        &Ask::subscribe(2)
            .to(&tag)
            .header("Expires: 100")
            .contact(Some("<sip:romeo@192.0.2.77:5099>")),
    );
    let ok = scene.response();
    assert_eq!((ok.status.0, ok.headers.get("Expires")), (200, Some("100")));
    assert_eq!(scene.event(), Event::SubscriptionRefreshed { subscription });
    scene.command(notify(subscription, "full"));
    assert_eq!(
        scene.sent.front().unwrap().1.target.peer,
        "192.0.2.77:5099".parse().unwrap()
    );
    let request = scene.request();
    scene.answer(&request, 200);
    scene.pass(seconds(99.0));
    scene.assert_quiet();
    scene.pass(seconds(1.0));
    assert_eq!(
        scene.event(),
        Event::SubscriptionEnded {
            subscription,
            cause: SubscriptionEnd::Expired
        }
    );
    scene.command(notify(subscription, "last words"));
    let request = scene.request();
    assert_eq!(
        request.headers.get("Subscription-State"),
        Some("terminated;reason=timeout")
    );
    scene.answer(&request, 200);
    scene.pass(seconds(33.0));
    scene.assert_empty();
}

#[test]
fn expires_zero_ends_with_one_last_notify_even_if_the_owner_is_silent() {
    let mut scene = Scene::new();
    let (subscription, tag) = scene.subscribed(&Ask::subscribe(1));
    scene.ask(&Ask::subscribe(2).to(&tag).header("Expires: 0"));
    assert_eq!(scene.titles(), ["200 SUBSCRIBE"]);
    assert_eq!(
        scene.event(),
        Event::SubscriptionEnded {
            subscription,
            cause: SubscriptionEnd::Unsubscribed
        }
    );
    scene.pass(seconds(32.0));
    let request = scene.request();
    assert_eq!(
        request.headers.get("Subscription-State"),
        Some("terminated;reason=timeout")
    );
    scene.answer(&request, 200);
    scene.pass(seconds(33.0));
    scene.assert_quiet();
    scene.assert_empty();
}

#[test]
fn a_fetch_gets_one_notify_that_ends_it() {
    let mut scene = Scene::new();
    let (subscription, _) = scene.subscribed(&Ask::subscribe(1).header("Expires: 0"));
    assert_eq!(
        scene.event(),
        Event::SubscriptionEnded {
            subscription,
            cause: SubscriptionEnd::Unsubscribed
        }
    );
    scene.command(notify(subscription, "full"));
    let request = scene.request();
    assert_eq!(
        request.headers.get("Subscription-State"),
        Some("terminated;reason=timeout")
    );
    assert_eq!(text(&request.body), "full");
    scene.answer(&request, 200);
    scene.command(last(subscription, "timeout"));
    scene.assert_quiet();
}

// Rows: B7702-05, C7701-51, CSIP-10
#[test]
fn too_short_a_time_is_423_and_an_unknown_package_489() {
    let mut scene = Scene::new();
    for (expires, status) in [(59, Some(423)), (60, None), (61, None), (1, Some(423))] {
        scene.ask(
            &Ask::subscribe(1)
                .branch(&format!("z9hG4bK-{expires}"))
                .call(&format!("{expires}"))
                .header(&format!("Expires: {expires}")),
        );
        match status {
            Some(status) => {
                let response = scene.response();
                assert_eq!(
                    (response.status.0, response.headers.get("Min-Expires")),
                    (status, Some("60"))
                );
            }
            None => assert!(matches!(scene.event(), Event::Subscribing { .. })),
        }
    }
    scene.ask(
        &Ask::new("SUBSCRIBE", 1)
            .branch("z9hG4bK-a")
            .call("a")
            .header("Event: presence"),
    );
    let response = scene.response();
    assert_eq!(
        (response.status.0, response.headers.get("Allow-Events")),
        (489, Some("conference, refer"))
    );
    scene.ask(&Ask::new("SUBSCRIBE", 1).branch("z9hG4bK-b").call("b"));
    assert_eq!(scene.response().status.0, 489);
    scene.ask(
        &Ask::new("SUBSCRIBE", 1)
            .branch("z9hG4bK-c")
            .call("c")
            .header("Event: refer"),
    );
    assert_eq!(scene.response().status.0, 403);
}

// Rows: B7702-14, CSIP-10
#[test]
fn a_notify_refused_or_unanswered_ends_the_subscription() {
    for status in [Some(481), Some(408), None] {
        let mut scene = Scene::new();
        let (subscription, _) = scene.subscribed(&Ask::subscribe(1));
        scene.command(notify(subscription, "full"));
        let request = scene.request();
        match status {
            Some(status) => scene.answer(&request, status),
            None => scene.pass(seconds(32.0)),
        }
        assert_eq!(
            scene.event(),
            Event::SubscriptionEnded {
                subscription,
                cause: SubscriptionEnd::NotifyFailed
            }
        );
        scene.pass(seconds(33.0));
        scene.assert_empty();
    }
}

#[test]
fn timer_e_doubles_to_t2_and_timer_f_ends_the_notify() {
    let mut scene = Scene::new();
    let (subscription, _) = scene.subscribed(&Ask::subscribe(1));
    scene.command(notify(subscription, "full"));
    scene.pass(seconds(33.0));
    let times: Vec<u128> = scene.log().into_iter().map(|(at, _)| at).collect();
    assert_eq!(
        times,
        [
            0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500
        ]
    );
}

// Rows: B7702-05, E-39
#[test]
fn subscribe_within_an_invite_dialog_ends_with_it() {
    let mut scene = Scene::new();
    let (dialog, tag) = scene.established(&Ask::invite());
    scene.ask(&Ask::subscribe(2).to(&tag));
    let Event::Subscribing {
        subscription,
        dialog: Some(within),
        due,
        ..
    } = scene.event()
    else {
        panic!()
    };
    assert_eq!(within, dialog);
    scene.command(Command::AcceptSubscription { due, contact: room() });
    assert_eq!(tag_of(&scene.response()), tag);
    scene.command(notify(subscription, "full"));
    let request = scene.request();
    assert_eq!(request.headers.get("Call-ID"), Some("call-1"));
    scene.answer(&request, 200);
    assert_eq!(scene.endpoint.census(), (1, 1, 3));
    scene.ask(&Ask::new("BYE", 3).to(&tag));
    assert_eq!(scene.titles(), ["200 BYE"]);
    assert_eq!(
        scene.event(),
        Event::SubscriptionEnded {
            subscription,
            cause: SubscriptionEnd::DialogEnded
        }
    );
    assert_eq!(
        scene.event(),
        Event::Ended {
            dialog,
            cause: EndCause::Bye(None)
        }
    );
    scene.pass(seconds(33.0));
    scene.assert_empty();
}

#[test]
fn a_last_notify_before_our_bye_is_still_sent() {
    let mut scene = Scene::new();
    let (dialog, tag) = scene.established(&Ask::invite());
    let (subscription, _) = scene.subscribed(&Ask::subscribe(2).to(&tag));
    scene.command(notify(subscription, "full"));
    scene.command(last(subscription, "noresource"));
    scene.command(Command::Bye { dialog, reason: None });
    let first = scene.request();
    let bye = scene.request();
    assert_eq!((first.method.as_str(), bye.method.as_str()), ("NOTIFY", "BYE"));
    scene.answer(&bye, 200);
    scene.answer(&first, 200);
    let second = scene.request();
    assert_eq!(
        second.headers.get("Subscription-State"),
        Some("terminated;reason=noresource")
    );
    scene.answer(&second, 200);
    assert_eq!(
        scene.event(),
        Event::Ended {
            dialog,
            cause: EndCause::ByUs
        }
    );
    scene.pass(seconds(33.0));
    scene.assert_quiet();
    scene.assert_empty();
}

#[test]
fn a_subscription_in_a_dialog_of_its_own_outlives_the_call() {
    let mut scene = Scene::new();
    let (_, tag) = scene.established(&Ask::invite());
    let (subscription, _) = scene.subscribed(&Ask::subscribe(1).call("call-2"));
    scene.ask(&Ask::new("BYE", 2).to(&tag));
    scene.titles();
    assert!(matches!(scene.event(), Event::Ended { .. }));
    scene.command(notify(subscription, "still here"));
    assert_eq!(scene.titles(), ["NOTIFY"]);
}

#[test]
fn refused_subscriptions_leave_nothing() {
    let mut scene = Scene::new();
    scene.ask(&Ask::subscribe(1));
    let Event::Subscribing {
        subscription, due, ..
    } = scene.event()
    else {
        panic!()
    };
    scene.command(Command::Refuse {
        due,
        status: StatusCode(403),
        phrase: None,
        headers: Vec::new(),
    });
    assert_eq!(scene.titles(), ["403 SUBSCRIBE"]);
    scene.command(notify(subscription, "void"));
    scene.assert_quiet();
    scene.pass(seconds(33.0));
    scene.assert_empty();
}

// Rows: B7702-30, B7702-31, CSIP-12, E-28
#[test]
fn refer_is_accepted_with_one_notify_that_ends_its_subscription() {
    let mut scene = Scene::new();
    let (dialog, tag) = scene.established(&Ask::invite());
    for (cseq, event) in [(2, "refer"), (3, "refer;id=3")] {
        scene.ask(
            &Ask::new("REFER", cseq)
                .to(&tag)
                .header("Refer-To: \"Benvolio, m.\" <sip:benvolio@example.com>"),
        );
        let Event::Referred {
            dialog: Some(within),
            refer_to,
            due,
            ..
        } = scene.event()
        else {
            panic!()
        };
        assert_eq!(
            (within, refer_to.uri.to_string().as_str()),
            (dialog, "sip:benvolio@example.com")
        );
        scene.command(Command::AcceptRefer { due, contact: room() });
        assert_eq!(scene.response().status.0, 200);
        let request = scene.request();
        assert_eq!(request.method.as_str(), "NOTIFY");
        assert_eq!(request.headers.get("Event"), Some(event));
        assert_eq!(
            request.headers.get("Subscription-State"),
            Some("terminated;reason=noresource")
        );
        assert_eq!(
            request.headers.get("Content-Type"),
            Some("message/sipfrag;version=2.0")
        );
        assert_eq!(text(&request.body), "SIP/2.0 100 Trying\r\n");
        scene.answer(&request, 200);
        scene.assert_quiet();
    }
    assert_eq!(scene.endpoint.census().1, 0);
}

#[test]
fn refer_outside_a_dialog_opens_one_for_its_notify_only() {
    let mut scene = Scene::new();
    scene.ask(&Ask::new("REFER", 1).header("Refer-To: <sip:benvolio@example.com>"));
    let Event::Referred {
        dialog: None, due, ..
    } = scene.event()
    else {
        panic!()
    };
    scene.command(Command::AcceptRefer { due, contact: room() });
    assert_eq!(scene.response().status.0, 200);
    let request = scene.request();
    scene.answer(&request, 200);
    scene.pass(seconds(33.0));
    scene.assert_empty();
}

// Rows: B7702-31, CSIP-12
#[test]
fn rfc3515_section_2_4_5_a_refer_that_is_followed_gets_its_progress_up_to_the_outcome() {
    let mut scene = Scene::new();
    let subscription = SubscriptionId(2);
    for (silent, notifies) in [
        (false, vec!["100 Trying", "180 Ringing", "200 OK"]),
        (true, vec![]),
    ] {
        let mut ask = Ask::new("REFER", 1).header("Refer-To: <sip:benvolio@example.com>");
        if silent {
            ask = ask.header("Refer-Sub: false");
        }
        scene.ask(&ask);
        let Event::Referred { due, .. } = scene.event() else {
            panic!()
        };
        scene.command(Command::FollowRefer {
            due,
            contact: room(),
            subscription,
        });
        assert_eq!(scene.response().status.0, 200);
        for (line, state) in [
            ("180 Ringing", SubscriptionState::Active),
            ("200 OK", SubscriptionState::Terminated("noresource".to_owned())),
        ] {
            let body = Body {
                content_type: "message/sipfrag;version=2.0".to_owned(),
                bytes: format!("SIP/2.0 {line}\r\n").into(),
            };
            scene.command(Command::Notify {
                subscription,
                state,
                body: Some(body),
            });
        }
        for (place, line) in notifies.iter().enumerate() {
            let request = scene.request();
            assert_eq!(request.headers.get("Event"), Some("refer"));
            assert_eq!(text(&request.body), format!("SIP/2.0 {line}\r\n"));
            let state = request.headers.get("Subscription-State").unwrap_or_default();
            assert_eq!(state == "terminated;reason=noresource", place == 2, "{state}");
            scene.answer(&request, 200);
        }
        scene.pass(seconds(33.0));
        scene.assert_quiet();
        scene.assert_empty();
    }
}

#[test]
fn a_refer_whose_outcome_never_comes_is_ended_after_a_time() {
    let mut scene = Scene::new();
    scene.ask(&Ask::new("REFER", 1).header("Refer-To: <sip:benvolio@example.com>"));
    let Event::Referred { due, .. } = scene.event() else {
        panic!()
    };
    scene.command(Command::FollowRefer {
        due,
        contact: room(),
        subscription: SubscriptionId(2),
    });
    assert_eq!(scene.response().status.0, 200);
    let request = scene.request();
    scene.answer(&request, 200);
    scene.pass(seconds(181.0));
    let ended = Event::SubscriptionEnded {
        subscription: SubscriptionId(2),
        cause: SubscriptionEnd::Expired,
    };
    assert_eq!(scene.event(), ended);
    scene.pass(seconds(33.0));
    let last = scene.request();
    assert_eq!(
        last.headers.get("Subscription-State"),
        Some("terminated;reason=timeout")
    );
    scene.answer(&last, 200);
    scene.pass(seconds(33.0));
    scene.assert_empty();
}

#[test]
fn refer_sub_false_gets_no_notify() {
    let mut scene = Scene::new();
    scene.ask(
        &Ask::new("REFER", 1)
            .header("Refer-To: <sip:b@example.com>")
            .header("Refer-Sub: false")
            .header("Require: norefersub"),
    );
    let Event::Referred { due, .. } = scene.event() else {
        panic!()
    };
    scene.command(Command::AcceptRefer { due, contact: room() });
    assert_eq!(scene.response().headers.get("Refer-Sub"), Some("false"));
    scene.pass(seconds(33.0));
    scene.assert_quiet();
    scene.assert_empty();
}

// Rows: B7702-30, CSIP-12
#[test]
fn refer_needs_exactly_one_refer_to() {
    let mut scene = Scene::new();
    scene.ask(&Ask::new("REFER", 1));
    assert_eq!(scene.titles(), ["400 REFER"]);
    let twice = "Refer-To: <sip:b@example.com>\r\nRefer-To: <sip:c@example.com>";
    scene.ask(&Ask::new("REFER", 2).header(twice));
    assert_eq!(scene.titles(), ["400 REFER"]);
    assert!(scene.events.is_empty());
}

#[test]
fn an_unanswered_subscribe_lapses_with_its_transaction() {
    let mut scene = Scene::new();
    scene.ask(&Ask::subscribe(1));
    let Event::Subscribing {
        subscription, due, ..
    } = scene.event()
    else {
        panic!()
    };
    scene.pass(seconds(32.0));
    assert_eq!(
        scene.event(),
        Event::SubscriptionEnded {
            subscription,
            cause: SubscriptionEnd::Expired
        }
    );
    scene.command(Command::AcceptSubscription { due, contact: room() });
    scene.command(Command::Notify {
        subscription,
        state: SubscriptionState::Active,
        body: None::<Body>,
    });
    scene.assert_quiet();
    scene.assert_empty();
}

#[test]
fn timer_e_is_t2_once_a_provisional_response_has_come_and_timer_k_absorbs_the_rest() {
    let mut scene = Scene::new();
    let (subscription, _) = scene.subscribed(&Ask::subscribe(1));
    scene.command(notify(subscription, "full"));
    let request = scene.request();
    scene.answer(&request, 100);
    scene.pass(seconds(13.0));
    let times: Vec<u128> = scene.log().into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [500, 4500, 8500, 12_500]);
    scene.answer(&request, 200);
    scene.pass(seconds(4.9));
    // The SUBSCRIBE in timer J and the NOTIFY in timer K.
    assert_eq!(scene.endpoint.census().2, 2);
    scene.answer(&request, 481);
    scene.pass(seconds(0.1));
    assert_eq!(scene.endpoint.census().2, 1);
    scene.assert_quiet();
}

#[test]
fn a_notify_goes_over_the_connection_of_a_peer_connected_directly() {
    let mut scene = Scene::new();
    let (subscription, tag) = scene.subscribed(&Ask::subscribe(1).over("TCP"));
    scene.command(notify(subscription, "full"));
    let transmit = scene.transmit();
    assert_eq!(
        (transmit.target.flow, transmit.target.peer),
        (tcp(1).id, "192.0.2.10:5060".parse().unwrap())
    );
    scene.fail(&transmit);
    assert_eq!(
        scene.event(),
        Event::SubscriptionEnded {
            subscription,
            cause: SubscriptionEnd::NotifyFailed
        }
    );
    scene.ask(&Ask::subscribe(2).over("TCP").to(&tag));
    assert_eq!(scene.titles(), ["481 SUBSCRIBE"]);
    scene.assert_empty();
}

#[test]
fn rfc6665_section_8_2_2_the_owner_says_which_packages_are_served() {
    let mut scene = Scene::new();
    let subscribe = |package: &str, number: u32| {
        Ask::new("SUBSCRIBE", 1)
            .call(&format!("call-{number}"))
            .branch(&format!("z9hG4bK-{number}"))
            .header(&format!("Event: {package}"))
    };
    scene.ask(&subscribe("reg", 1));
    let refusal = scene.response();
    assert_eq!(refusal.status.0, 489);
    assert_eq!(refusal.headers.get("Allow-Events"), Some("conference, refer"));
    scene
        .endpoint
        .serve_packages(["conference", "presence", "reg"].map(str::to_owned).to_vec());
    for (number, package) in (2..).zip(["reg", "Presence", "conference"]) {
        scene.ask(&subscribe(package, number));
        let Event::Subscribing { request, due, .. } = scene.event() else {
            panic!("{package}")
        };
        assert_eq!(request.headers.get("Event"), Some(package));
        scene.command(Command::AcceptSubscription { due, contact: room() });
        let accepted = scene.response();
        assert_eq!(
            accepted.headers.get("Allow-Events"),
            Some("conference, presence, reg, refer")
        );
    }
    scene.ask(&subscribe("dialog", 9));
    assert_eq!(scene.response().status.0, 489);
    scene.ask(&Ask::new("OPTIONS", 1).call("call-10").branch("z9hG4bK-10"));
    assert_eq!(
        scene.response().headers.get("Allow-Events"),
        Some("conference, presence, reg, refer")
    );
}
