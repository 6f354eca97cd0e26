//! What every request meets: RFC 3261 §8.2, §11, §12.2.2, limits.

use crate::scene::{Ask, Scene, config, seconds, tag_of, udp};
use sip::{Command, Event, Readiness, StatusCode};

#[test]
fn unknown_methods_are_501_and_known_ones_not_served_405_with_allow() {
    let mut scene = Scene::new();
    for (cseq, method, status) in [
        (1, "JUMP", 501),
        (2, "invite", 501),
        (3, "REGISTER", 405),
        (4, "PUBLISH", 405),
    ] {
        scene.ask(&Ask::new(method, cseq));
        let response = scene.response();
        assert_eq!(response.status.0, status, "{method}");
        assert!(response.headers.get("Allow").unwrap().contains("INVITE"));
        assert!(tag_of(&response).len() > 8);
    }
}

// Rows: E-29
#[test]
fn requests_for_no_dialog_are_481() {
    let mut scene = Scene::new();
    for (cseq, method) in [
        "INVITE",
        "BYE",
        "UPDATE",
        "PRACK",
        "INFO",
        "NOTIFY",
        "SUBSCRIBE",
        "REFER",
        "MESSAGE",
        "OPTIONS",
    ]
    .into_iter()
    .enumerate()
    {
        scene.ask(
            &Ask::new(method, u32::try_from(cseq).unwrap() + 1)
                .header("Event: conference")
                .to("unknown"),
        );
        assert_eq!(scene.titles(), [format!("481 {method}")]);
    }
    for (cseq, method) in ["BYE", "UPDATE", "PRACK", "INFO", "NOTIFY"]
        .into_iter()
        .enumerate()
    {
        scene.ask(&Ask::new(method, u32::try_from(cseq).unwrap() + 20).header("Event: conference"));
        assert_eq!(scene.titles(), [format!("481 {method}")]);
    }
    scene.ask(&Ask::ack(1, "unknown"));
    scene.assert_quiet();
}

// Rows: C7247-28
#[test]
fn a_merged_request_is_482() {
    let mut scene = Scene::new();
    let (_, _due) = scene.invited(&Ask::invite());
    scene.ask(&Ask::invite().branch("z9hG4bK-other-path"));
    assert_eq!(scene.titles(), ["482 INVITE"]);
    assert!(scene.events.is_empty());
}

// Rows: C7247-28
#[test]
fn rfc5393_section_4_2_a_request_of_ours_that_comes_back_is_482() {
    for (via, status) in [
        ("SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK-ours", 482),
        ("SIP/2.0/TCP 198.51.100.1;branch=z9hG4bK-ours", 482),
        ("SIP/2.0/UDP 198.51.100.1:5070;branch=z9hG4bK-other-port", 200),
        ("SIP/2.0/UDP 198.51.100.2:5060;branch=z9hG4bK-other-host", 200),
    ] {
        let mut scene = Scene::new();
        scene.ask(&Ask::new("OPTIONS", 1).header(&format!("Via: {via}")));
        assert_eq!(scene.titles(), [format!("{status} OPTIONS")], "{via}");
    }
}

// Rows: CSIP-22
#[test]
fn unsupported_require_is_420_and_encoded_bodies_are_415() {
    let mut scene = Scene::new();
    scene.ask(&Ask::invite().header("Require: precondition, norefersub, path"));
    let response = scene.response();
    assert_eq!(
        (response.status.0, response.headers.get("Unsupported")),
        (420, Some("precondition, path"))
    );
    scene.ask(
        &Ask::invite()
            .branch("z9hG4bK-2")
            .call("call-2")
            .header("Content-Encoding: gzip"),
    );
    let response = scene.response();
    assert_eq!(
        (response.status.0, response.headers.get("Accept-Encoding")),
        (415, Some("identity"))
    );
}

// Rows: CSIP-13
#[test]
fn options_tells_the_truth_about_methods_and_readiness() {
    let mut scene = Scene::new();
    scene.ask(&Ask::new("OPTIONS", 1));
    let ok = scene.response();
    assert_eq!(ok.status.0, 200);
    for name in ["Allow", "Accept", "Supported", "Allow-Events"] {
        assert!(ok.headers.get(name).is_some(), "{name}");
    }
    // Every method that Allow names is served: none of them is 501 or 405.
    for (cseq, method) in [
        "BYE",
        "OPTIONS",
        "SUBSCRIBE",
        "NOTIFY",
        "REFER",
        "UPDATE",
        "MESSAGE",
        "INFO",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(ok.headers.get("Allow").unwrap().contains(method));
        scene.ask(&Ask::new(method, u32::try_from(cseq).unwrap() + 2));
        assert!(
            scene
                .titles()
                .iter()
                .all(|title| !title.starts_with("501") && !title.starts_with("405"))
        );
    }
    scene.command(Command::SetReadiness(Readiness::Unavailable { retry_after: 17 }));
    for (cseq, ask) in [
        (30, Ask::new("OPTIONS", 30)),
        (31, Ask::invite()),
        (32, Ask::subscribe(32)),
    ] {
        scene.ask(
            &ask.branch(&format!("z9hG4bK-{cseq}"))
                .call(&format!("call-{cseq}")),
        );
        let response = scene.response();
        assert_eq!(
            (response.status.0, response.headers.get("Retry-After")),
            (503, Some("17"))
        );
    }
}

#[test]
fn existing_dialogs_go_on_when_unavailable() {
    let mut scene = Scene::new();
    let (_, tag) = scene.established(&Ask::invite());
    scene.command(Command::SetReadiness(Readiness::Unavailable { retry_after: 17 }));
    scene.ask(&Ask::new("OPTIONS", 2).to(&tag));
    assert_eq!(scene.titles(), ["200 OPTIONS"]);
    scene.ask(&Ask::subscribe(3).to(&tag));
    assert!(matches!(scene.event(), Event::Subscribing { .. }));
}

#[test]
fn a_cseq_gap_is_processed_and_a_lower_cseq_is_500() {
    let mut scene = Scene::new();
    let (_, tag) = scene.established(&Ask::invite());
    for (cseq, title) in [
        (7, "200 OPTIONS"),
        (6, "500 OPTIONS"),
        (7, "500 OPTIONS"),
        (1000, "200 OPTIONS"),
    ] {
        scene.ask(&Ask::new("OPTIONS", cseq).to(&tag).branch(&format!(
            "z9hG4bK-{}",
            title.replace(' ', "-") + &cseq.to_string()
        )));
        assert_eq!(scene.titles(), [title]);
    }
    scene.ask(&Ask::new("BYE", 1001).to(&tag));
    assert_eq!(scene.titles(), ["200 BYE"]);
}

#[test]
fn above_the_transaction_limit_requests_are_503_without_state() {
    let mut limited = config();
    limited.limits.transactions = 2;
    let mut scene = Scene::with(limited);
    for number in 0..5 {
        scene.ask(
            &Ask::new("OPTIONS", 1)
                .branch(&format!("z9hG4bK-{number}"))
                .call(&number.to_string()),
        );
        let response = scene.response();
        if number < 2 {
            assert_eq!(response.status.0, 200);
        } else {
            assert_eq!(
                (response.status.0, response.headers.get("Retry-After")),
                (503, Some("5"))
            );
        }
    }
    assert_eq!(scene.endpoint.census().2, 2);
    scene.pass(seconds(33.0));
    scene.ask(&Ask::new("OPTIONS", 1).branch("z9hG4bK-9").call("9"));
    assert_eq!(scene.response().status.0, 200);
}

#[test]
fn above_the_dialog_limit_invite_and_subscribe_are_503() {
    let mut limited = config();
    limited.limits.dialogs = 2;
    let mut scene = Scene::with(limited);
    for number in 0..2 {
        scene.established(
            &Ask::invite()
                .branch(&format!("z9hG4bK-{number}"))
                .call(&number.to_string()),
        );
    }
    for (number, ask) in [(2, Ask::invite()), (3, Ask::subscribe(1))] {
        scene.ask(&ask.branch(&format!("z9hG4bK-{number}")).call(&number.to_string()));
        let response = scene.response();
        assert_eq!(
            (response.status.0, response.headers.get("Retry-After")),
            (503, Some("5"))
        );
    }
}

#[test]
fn timer_j_replays_the_answer_on_udp_and_is_zero_on_tcp() {
    let mut scene = Scene::new();
    let options = Ask::new("OPTIONS", 1);
    scene.ask(&options);
    let first = scene.transmit();
    scene.ask(&options);
    assert_eq!(scene.transmit().bytes, first.bytes);
    scene.pass(seconds(31.9));
    assert_eq!(scene.endpoint.census().2, 1);
    scene.pass(seconds(0.1));
    scene.assert_empty();
    scene.ask(&Ask::new("OPTIONS", 2).over("TCP"));
    scene.assert_empty();
}

// Rows: E-07
#[test]
fn rfc_2543_peers_without_a_branch_are_matched_by_their_headers() {
    let mut scene = Scene::new();
    let invite = Ask::invite().branch("");
    let (dialog, due) = scene.invited(&invite);
    scene.ask(&invite);
    assert_eq!(scene.titles(), ["100 INVITE"]);
    scene.ask(&Ask::new("CANCEL", 1).branch("").contact(None));
    assert_eq!(scene.titles(), ["200 CANCEL", "487 INVITE"]);
    assert_eq!(scene.event(), Event::Cancelled { dialog });
    drop(due);
    scene.ask(&Ask::ack(1, "whatever").branch(""));
    scene.pass(seconds(5.0));
    assert_eq!(scene.titles(), Vec::<String>::new());
}

#[test]
fn message_is_the_owners_to_answer_once() {
    let mut scene = Scene::new();
    scene.ask(&Ask::new("MESSAGE", 1).contact(None).body("hello"));
    let Event::Requested {
        dialog: None,
        request,
        due,
    } = scene.event()
    else {
        panic!()
    };
    assert_eq!(request.body.unwrap().bytes, "hello");
    scene.command(Command::AcceptRequest { due });
    assert_eq!(scene.titles(), ["200 MESSAGE"]);
    scene.ask(&Ask::new("MESSAGE", 2).contact(None));
    let Event::Requested { due, .. } = scene.event() else {
        panic!()
    };
    scene.pass(seconds(32.0));
    scene.command(Command::Refuse {
        due,
        status: StatusCode(404),
        phrase: None,
        headers: Vec::new(),
    });
    scene.assert_quiet();
    scene.pass(seconds(33.0));
    scene.assert_empty();
}

#[test]
fn an_unreadable_request_is_answered_400_and_too_large_a_one_513() {
    let mut scene = Scene::new();
    scene.receive(
        &Ask::new("OPTIONS", 1)
            .text()
            .replace("Max-Forwards: 70", "Max-Forwards: 300"),
    );
    assert_eq!(scene.response().status.0, 400);
    let text = Ask::new("OPTIONS", 2).text();
    let head: bytes::Bytes = text.replace("Content-Length: 0", "Content-Length: 999999").into();
    scene.endpoint.handle_too_large(udp(), head, scene.now);
    scene.drain();
    assert_eq!(scene.response().status.0, 513);
    scene.assert_empty();
}

#[test]
fn received_and_rport_are_filled_in() {
    let mut scene = Scene::new();
    let text = Ask::new("OPTIONS", 1)
        .text()
        .replace("UDP 192.0.2.10:5060", "UDP phone.invalid:5070;rport");
    scene.receive(&text);
    let transmit = scene.transmit();
    assert_eq!(transmit.target.peer, udp().peer);
    let text = String::from_utf8(transmit.bytes.to_vec()).unwrap();
    assert!(
        text.contains("received=192.0.2.10") && text.contains("rport=5060"),
        "{text}"
    );
}

/// RFC 3261 §18.2.1: the source is noted where the sent-by does not say it.
#[test]
fn a_via_is_repeated_as_it_came_but_for_what_is_noted() {
    for (sent_by, answered) in [
        ("192.0.2.10:5060 ;x=Y", "192.0.2.10:5060 ;x=Y;branch=z9hG4bK-1"),
        ("192.0.2.10;x=Y", "192.0.2.10;x=Y;branch=z9hG4bK-1"),
        (
            "phone.invalid:5060",
            "phone.invalid:5060;branch=z9hG4bK-1;received=192.0.2.10",
        ),
        (
            "[2001:db8::1]:5060",
            "[2001:db8::1]:5060;branch=z9hG4bK-1;received=192.0.2.10",
        ),
    ] {
        let mut scene = Scene::new();
        let text = Ask::new("OPTIONS", 1).branch("z9hG4bK-1").text();
        scene.receive(&text.replace("192.0.2.10:5060;branch", &format!("{sent_by};branch")));
        let response = scene.response();
        let via: Vec<&str> = response.headers.list("Via").collect();
        assert_eq!(via, [format!("SIP/2.0/UDP {answered}")], "{sent_by}");
    }
}

#[test]
fn two_runs_of_one_seed_send_the_same_octets() {
    let run = || {
        let mut scene = Scene::new();
        let (subscription, _) = scene.subscribed(&Ask::subscribe(1));
        scene.command(Command::Notify {
            subscription,
            state: sip::SubscriptionState::Active,
            body: None,
        });
        scene.pass(seconds(40.0));
        scene
            .sent
            .into_iter()
            .map(|(_, transmit)| transmit.bytes)
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn an_endpoint_serves_a_request_that_has_no_hops_left() {
    let mut scene = Scene::new();
    scene.receive(
        &Ask::new("OPTIONS", 1)
            .text()
            .replace("Max-Forwards: 70", "Max-Forwards: 0"),
    );
    assert_eq!(scene.titles(), ["200 OPTIONS"]);
}

#[test]
fn what_ends_something_passes_the_transaction_limit() {
    let mut limited = config();
    limited.limits.transactions = 8;
    let mut scene = Scene::with(limited);
    let (dialog, tag) = scene.established(&Ask::invite());
    for number in 0..7 {
        scene.ask(
            &Ask::new("OPTIONS", 1)
                .branch(&format!("z9hG4bK-{number}"))
                .call(&number.to_string()),
        );
    }
    scene.titles();
    scene.ask(&Ask::new("OPTIONS", 9).to(&tag));
    assert_eq!(scene.titles(), ["503 OPTIONS"]);
    scene.ask(&Ask::new("BYE", 10).to(&tag));
    assert_eq!(scene.titles(), ["200 BYE"]);
    assert!(matches!(scene.event(), Event::Ended { dialog: ended, .. } if ended == dialog));
    scene.ask(&Ask::new("BYE", 11).to(&tag));
    assert_eq!(scene.titles(), ["503 BYE"]);
}

#[test]
fn a_stateless_refusal_has_the_same_tag_when_repeated() {
    let mut limited = config();
    limited.limits.transactions = 0;
    let mut scene = Scene::with(limited);
    let invite = Ask::invite();
    scene.ask(&invite);
    scene.ask(&invite);
    assert_eq!(tag_of(&scene.response()), tag_of(&scene.response()));
    scene.ask(&Ask::ack(1, "any").branch(&invite.branch));
    scene.assert_quiet();
    scene.assert_empty();
}

#[test]
fn a_t1_of_zero_is_raised_so_that_time_goes_on() {
    let mut hasty = config();
    hasty.t1 = std::time::Duration::ZERO;
    let mut scene = Scene::with(hasty);
    let (_, due) = scene.invited(&Ask::invite());
    scene.command(Command::Refuse {
        due,
        status: StatusCode(486),
        phrase: None,
        headers: Vec::new(),
    });
    scene.pass(seconds(1.0));
    assert_eq!(scene.titles().len(), 7);
    scene.assert_empty();
}

#[test]
fn rfc3891_section_3_an_invite_that_would_replace_a_call_is_a_call_of_its_own_unless_it_requires_to_replace()
{
    let mut scene = Scene::new();
    let replaces = "Replaces: call-0;to-tag=a;from-tag=b;early-only";
    scene.ask(&Ask::invite().header(replaces).header("Supported: replaces"));
    assert!(matches!(scene.event(), Event::Invited { .. }));
    let required = Ask::invite().call("call-2").branch("z9hG4bK-2");
    scene.ask(&required.header(replaces).header("Require: replaces"));
    let refusal = scene.response();
    assert_eq!(refusal.status.0, 420);
    assert_eq!(refusal.headers.get("Unsupported"), Some("replaces"));
}
