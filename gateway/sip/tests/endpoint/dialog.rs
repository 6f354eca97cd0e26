//! Within a dialog: RFC 3261 §12.2, §14, §15, RFC 3311, RFC 6086, and life behind a proxy.

use crate::scene::{Ask, SDP, Scene, body, room, seconds, tag_of, tcp};
use sip::{Command, EndCause, Event, StatusCode};

// Rows: CSIP-03
#[test]
fn a_double_record_route_is_kept_in_order_and_reused_with_lr_on() {
    let mut scene = Scene::new();
    let routes = "Record-Route: <sip:192.0.2.10;transport=tcp;r2=on;lr=on>, <sip:192.0.2.10;r2=on;lr=on>";
    let invite = Ask::invite()
        .over("TCP")
        .header(routes)
        .contact(Some("<sip:romeo@10.0.0.9:5070>"));
    let text = invite.text().replace(
        "Max-Forwards",
        "Via: SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bKphone\r\nMax-Forwards",
    );
    scene.receive_on(tcp(1), &text);
    let Event::Invited { dialog, due, .. } = scene.event() else {
        panic!()
    };
    let ok = scene.accept(due);
    let echoed: Vec<&str> = ok.headers.list("Record-Route").collect();
    assert_eq!(
        echoed,
        [
            "<sip:192.0.2.10;transport=tcp;r2=on;lr=on>",
            "<sip:192.0.2.10;r2=on;lr=on>"
        ]
    );
    assert_eq!(ok.headers.list("Via").count(), 2);
    // The successors come on another connection.
    scene.receive_on(tcp(2), &Ask::ack(1, &tag_of(&ok)).over("TCP").text());
    assert_eq!(scene.event(), Event::Confirmed { dialog, body: None });
    scene.command(Command::Bye { dialog, reason: None });
    let transmit = scene.sent.front().unwrap().1.clone();
    assert_eq!(
        (transmit.target.flow, transmit.target.peer),
        (tcp(1).id, "192.0.2.10:5060".parse().unwrap())
    );
    let bye = scene.request();
    assert_eq!(bye.uri.to_string(), "sip:romeo@10.0.0.9:5070");
    assert_eq!(bye.headers.list("Route").collect::<Vec<_>>(), echoed);
    assert_eq!(bye.headers.get("From"), ok.headers.get("To"));
    assert_eq!(bye.headers.get("To"), ok.headers.get("From"));
}

#[test]
fn a_strict_router_gets_itself_as_request_uri() {
    let mut scene = Scene::new();
    let (dialog, _) = scene.established(&Ask::invite().header("Record-Route: <sip:192.0.2.66>"));
    scene.command(Command::Bye { dialog, reason: None });
    let bye = scene.request();
    assert_eq!(bye.uri.to_string(), "sip:192.0.2.66");
    assert_eq!(bye.headers.get("Route"), Some("<sip:romeo@192.0.2.10:5060>"));
}

// Rows: G7702-04
#[test]
fn a_peer_connected_directly_is_reached_on_its_connection_even_under_a_name() {
    let mut scene = Scene::new();
    let (dialog, _) = scene.established(
        &Ask::invite()
            .over("TCP")
            .contact(Some("<sip:romeo@df7jal23ls0d.invalid;transport=tcp>")),
    );
    scene.command(Command::Bye { dialog, reason: None });
    scene.resolved(&[]);
    let target = scene.transmit().target;
    assert_eq!((target.flow, target.peer), (tcp(1).id, tcp(1).peer));
}

#[test]
fn a_reinvite_is_the_owners_and_moves_the_target() {
    let mut scene = Scene::new();
    let (dialog, tag) = scene.established(&Ask::invite());
    let moved = Ask::new("INVITE", 2)
        .to(&tag)
        .body(SDP)
        .contact(Some("<sip:romeo@192.0.2.55:5090>"));
    scene.ask(&moved);
    let Event::Reinvited {
        dialog: again, due, ..
    } = scene.event()
    else {
        panic!()
    };
    assert_eq!(again, dialog);
    // RFC 3261 §14.2: another one meanwhile.
    scene.ask(&Ask::new("INVITE", 3).to(&tag).body(SDP));
    let response = scene.response();
    assert_eq!(response.status.0, 500);
    assert!(
        response
            .headers
            .get("Retry-After")
            .unwrap()
            .parse::<u32>()
            .unwrap()
            <= 10
    );
    scene.command(Command::Accept {
        due,
        contact: room(),
        body: body(),
    });
    assert_eq!(scene.response().status.0, 200);
    scene.pass(seconds(0.5));
    assert_eq!(
        scene
            .titles()
            .iter()
            .filter(|title| *title == "200 INVITE")
            .count(),
        1
    );
    scene.ask(&Ask::ack(2, &tag));
    scene.ask(&Ask::ack(3, &tag).branch("z9hG4bK-INVITE-3"));
    scene.pass(seconds(40.0));
    scene.assert_quiet();
    scene.command(Command::Bye { dialog, reason: None });
    assert_eq!(scene.transmit().target.peer, "192.0.2.55:5090".parse().unwrap());
}

#[test]
fn a_refused_or_cancelled_reinvite_leaves_the_dialog() {
    let mut scene = Scene::new();
    let (dialog, tag) = scene.established(&Ask::invite());
    scene.ask(&Ask::new("INVITE", 2).to(&tag).body(SDP));
    let Event::Reinvited { due, .. } = scene.event() else {
        panic!()
    };
    scene.command(Command::Refuse {
        due,
        status: StatusCode(488),
        phrase: None,
        headers: Vec::new(),
    });
    assert_eq!(scene.titles(), ["488 INVITE"]);
    scene.ask(&Ask::ack(2, &tag).branch("z9hG4bK-INVITE-2"));
    scene.ask(&Ask::new("INVITE", 3).to(&tag).body(SDP));
    let Event::Reinvited { due, .. } = scene.event() else {
        panic!()
    };
    scene.ask(
        &Ask::new("CANCEL", 3)
            .to(&tag)
            .branch("z9hG4bK-INVITE-3")
            .contact(None),
    );
    assert_eq!(scene.titles(), ["200 CANCEL", "487 INVITE"]);
    scene.command(Command::Accept {
        due,
        contact: room(),
        body: body(),
    });
    scene.ask(&Ask::ack(3, &tag).branch("z9hG4bK-INVITE-3"));
    scene.assert_quiet();
    scene.ask(&Ask::new("BYE", 4).to(&tag));
    assert_eq!(
        scene.event(),
        Event::Ended {
            dialog,
            cause: EndCause::Bye(None)
        }
    );
}

#[test]
fn a_reinvite_whose_2xx_is_never_acknowledged_ends_the_dialog() {
    let mut scene = Scene::new();
    let (dialog, tag) = scene.established(&Ask::invite());
    scene.ask(&Ask::new("INVITE", 2).to(&tag).body(SDP));
    let Event::Reinvited { due, .. } = scene.event() else {
        panic!()
    };
    scene.command(Command::Accept {
        due,
        contact: room(),
        body: body(),
    });
    scene.pass(seconds(32.0));
    assert_eq!(scene.titles().last().map(String::as_str), Some("BYE"));
    assert_eq!(
        scene.event(),
        Event::Ended {
            dialog,
            cause: EndCause::NoAck
        }
    );
}

// Rows: CSIP-02
#[test]
fn glare_with_an_offer_of_ours_is_491() {
    let mut scene = Scene::new();
    // An INVITE without offer: our 200 makes it, the ACK has to answer it.
    let (_, due) = scene.invited(&Ask::new("INVITE", 1));
    let tag = tag_of(&scene.accept(due));
    scene.ask(&Ask::new("INVITE", 2).to(&tag).body(SDP));
    assert_eq!(scene.titles(), ["491 INVITE"]);
    scene.ask(&Ask::new("UPDATE", 3).to(&tag).body(SDP));
    assert_eq!(scene.titles(), ["491 UPDATE"]);
    // Other requests between 2xx and ACK are answered as ever.
    scene.ask(&Ask::new("OPTIONS", 4).to(&tag));
    assert_eq!(scene.titles(), ["200 OPTIONS"]);
    scene.ask(&Ask::ack(1, &tag));
    assert!(matches!(scene.event(), Event::Confirmed { .. }));
    scene.ask(&Ask::new("UPDATE", 5).to(&tag).body(SDP));
    assert!(matches!(scene.event(), Event::Reinvited { .. }));
}

#[test]
fn update_without_an_offer_moves_the_target_and_with_one_is_the_owners() {
    let mut scene = Scene::new();
    let (dialog, tag) = scene.established(&Ask::invite());
    scene.ask(
        &Ask::new("UPDATE", 2)
            .to(&tag)
            .contact(Some("<sip:romeo@192.0.2.56>")),
    );
    let ok = scene.response();
    assert_eq!(
        (ok.status.0, ok.headers.get("Contact")),
        (200, Some("<sip:capulet@198.51.100.1:5060>;isfocus"))
    );
    assert!(scene.events.is_empty());
    scene.ask(
        &Ask::new("UPDATE", 3)
            .to(&tag)
            .body(SDP)
            .contact(Some("<sip:romeo@192.0.2.57>")),
    );
    let Event::Reinvited { due, .. } = scene.event() else {
        panic!()
    };
    scene.command(Command::Accept {
        due,
        contact: room(),
        body: body(),
    });
    assert_eq!(scene.titles(), ["200 UPDATE"]);
    // No ACK belongs to it.
    scene.pass(seconds(40.0));
    scene.assert_quiet();
    scene.command(Command::Bye { dialog, reason: None });
    assert_eq!(scene.request().uri.host(), "192.0.2.57");
}

#[test]
fn info_and_message_in_a_dialog_are_the_owners_and_prack_is_481() {
    let mut scene = Scene::new();
    let (dialog, tag) = scene.established(&Ask::invite());
    for (cseq, method) in [(2, "INFO"), (3, "MESSAGE")] {
        scene.ask(&Ask::new(method, cseq).to(&tag));
        let Event::Requested {
            dialog: within, due, ..
        } = scene.event()
        else {
            panic!()
        };
        assert_eq!(within, Some(dialog));
        scene.command(Command::AcceptRequest { due });
        assert_eq!(scene.titles(), [format!("200 {method}")]);
    }
    scene.ask(&Ask::new("PRACK", 4).to(&tag).header("RAck: 1 1 INVITE"));
    assert_eq!(scene.titles(), ["481 PRACK"]);
}

// Rows: CSIP-04
#[test]
fn a_bye_before_the_answer_is_200_and_the_invite_487() {
    let mut scene = Scene::new();
    let (dialog, due) = scene.invited(&Ask::invite());
    scene.command(Command::Ring {
        dialog,
        status: StatusCode(180),
    });
    let tag = tag_of(&scene.response());
    scene.ask(&Ask::new("BYE", 2).to(&tag));
    assert_eq!(scene.titles(), ["200 BYE", "487 INVITE"]);
    assert_eq!(scene.event(), Event::Cancelled { dialog });
    scene.command(Command::Accept {
        due,
        contact: room(),
        body: body(),
    });
    scene.assert_quiet();
    scene.ask(&Ask::ack(1, &tag).branch("z9hG4bK-INVITE-1"));
    scene.pass(seconds(33.0));
    scene.assert_empty();
}

#[test]
fn a_bye_before_the_ack_stops_the_2xx() {
    let mut scene = Scene::new();
    let (dialog, due) = scene.invited(&Ask::invite());
    let tag = tag_of(&scene.accept(due));
    scene.ask(&Ask::new("BYE", 2).to(&tag));
    assert_eq!(scene.titles(), ["200 BYE"]);
    assert_eq!(
        scene.event(),
        Event::Ended {
            dialog,
            cause: EndCause::Bye(None)
        }
    );
    scene.ask(&Ask::ack(1, &tag));
    scene.pass(seconds(33.0));
    scene.assert_quiet();
    scene.assert_empty();
}

#[test]
fn the_owners_bye_before_the_answer_is_480() {
    let mut scene = Scene::new();
    let (dialog, _due) = scene.invited(&Ask::invite());
    scene.command(Command::Bye { dialog, reason: None });
    assert_eq!(scene.titles(), ["480 INVITE"]);
    assert_eq!(
        scene.event(),
        Event::Ended {
            dialog,
            cause: EndCause::ByUs
        }
    );
    scene.pass(seconds(33.0));
    scene.titles();
    scene.assert_empty();
}

#[test]
fn an_invite_lapses_with_its_expires_or_after_three_minutes() {
    for (header, patience) in [
        ("Expires: 20", 20.0),
        ("Subject: none", 180.0),
        ("Expires: 4000", 180.0),
    ] {
        let mut scene = Scene::new();
        let (dialog, _due) = scene.invited(&Ask::invite().header(header));
        scene.pass(seconds(patience - 0.1));
        assert_eq!(scene.titles(), ["100 INVITE"]);
        scene.assert_quiet();
        scene.pass(seconds(0.1));
        assert_eq!(scene.titles(), ["487 INVITE"]);
        assert_eq!(scene.event(), Event::Cancelled { dialog });
    }
}

// Rows: E-08
#[test]
fn an_ack_with_the_wrong_number_confirms_all_the_same() {
    // RFC 7702 example 4 draws CSeq 2 for the ACK of INVITE 1.
    let mut scene = Scene::new();
    let (dialog, due) = scene.invited(&Ask::invite());
    let tag = tag_of(&scene.accept(due));
    scene.ask(&Ask::ack(2, &tag));
    assert_eq!(scene.event(), Event::Confirmed { dialog, body: None });
    scene.ask(&Ask::subscribe(3).to(&tag));
    assert!(matches!(scene.event(), Event::Subscribing { .. }));
}

#[test]
fn a_dialog_on_its_way_out_opens_nothing_new() {
    let mut scene = Scene::new();
    let (dialog, tag) = scene.established(&Ask::invite());
    scene.command(Command::Bye { dialog, reason: None });
    scene.titles();
    for (cseq, ask) in [
        (2, Ask::subscribe(2)),
        (3, Ask::new("REFER", 3)),
        (4, Ask::new("INVITE", 4)),
        (5, Ask::new("INFO", 5)),
    ] {
        scene.ask(&ask.to(&tag));
        let title = scene.titles().remove(0);
        assert!(title.starts_with("481"), "{cseq}: {title}");
    }
    assert!(scene.events.is_empty());
}

#[test]
fn a_request_without_a_usable_contact_opens_no_dialog() {
    let mut scene = Scene::new();
    for (number, contact) in [None, Some("<tel:+15551234>")].into_iter().enumerate() {
        scene.ask(
            &Ask::invite()
                .branch(&format!("z9hG4bK-{number}"))
                .call(&number.to_string())
                .contact(contact),
        );
        assert_eq!(scene.titles(), ["400 INVITE"]);
    }
    scene.pass(seconds(33.0));
    scene.titles();
    scene.assert_empty();
}

#[test]
fn a_reinvite_or_update_never_answered_lapses_and_leaves_the_dialog() {
    let mut scene = Scene::new();
    let (_, tag) = scene.established(&Ask::invite());
    scene.ask(&Ask::new("INVITE", 2).to(&tag).body(SDP));
    assert!(matches!(scene.event(), Event::Reinvited { .. }));
    scene.pass(seconds(180.0));
    assert_eq!(scene.titles(), ["100 INVITE", "500 INVITE"]);
    scene.ask(&Ask::ack(2, &tag).branch("z9hG4bK-INVITE-2"));
    scene.ask(&Ask::new("UPDATE", 3).to(&tag).body(SDP));
    assert!(matches!(scene.event(), Event::Reinvited { .. }));
    scene.pass(seconds(32.0));
    scene.ask(&Ask::new("UPDATE", 4).to(&tag).body(SDP));
    assert!(matches!(scene.event(), Event::Reinvited { .. }));
    scene.pass(seconds(33.0));
    scene.assert_quiet();
    assert_eq!(scene.endpoint.census(), (1, 0, 0));
}
