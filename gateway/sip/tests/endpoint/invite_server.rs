//! INVITE as callee: RFC 3261 §13.3, §14, §15, §17.2.1, RFC 6026.

use std::time::Duration;

use crate::scene::{Ask, SDP, Scene, body, room, seconds, tag_of, tcp};
use sip::{AnswerDue, Command, DialogId, EndCause, Event, Header, Reason, StatusCode, message::Message};

/// How long a caller may hear nothing.
const MOST_SILENCE: Duration = Duration::from_millis(200);
/// A moment before it.
const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn invite_is_answered_200_and_confirmed_by_ack() {
    let mut scene = Scene::new();
    scene.ask(&Ask::invite());
    let Event::Invited { dialog, request, due } = scene.event() else {
        panic!()
    };
    assert_eq!(request.from.parameter("tag"), None);
    assert_eq!(request.body.unwrap().content_type, "application/sdp");
    let ok = scene.accept(due);
    assert_eq!(ok.status.0, 200);
    assert_eq!(
        ok.headers.get("Contact"),
        Some("<sip:capulet@198.51.100.1:5060>;isfocus")
    );
    let tag = tag_of(&ok);
    scene.ask(&Ask::ack(1, &tag));
    assert_eq!(scene.event(), Event::Confirmed { dialog, body: None });
    scene.ask(&Ask::ack(1, &tag).branch("z9hG4bK-again"));
    scene.pass(seconds(60.0));
    scene.assert_quiet();
    assert_eq!(scene.endpoint.census(), (1, 0, 0));
    scene.ask(
        &Ask::new("BYE", 2)
            .to(&tag)
            .header("Reason: SIP;cause=200;text=\"a \\\"b\\\"\""),
    );
    assert_eq!(scene.titles(), ["200 BYE"]);
    let reason = Reason {
        cause: StatusCode(200),
        text: "a \"b\"".to_owned(),
    };
    assert_eq!(
        scene.event(),
        Event::Ended {
            dialog,
            cause: EndCause::Bye(Some(reason))
        }
    );
    scene.pass(seconds(33.0));
    scene.assert_empty();
}

// Rows: CSIP-02
#[test]
fn a_2xx_is_retransmitted_on_every_transport_until_64_t1_then_bye() {
    for transport in ["UDP", "TCP"] {
        let mut scene = Scene::new();
        let (dialog, due) = scene.invited(&Ask::invite().over(transport));
        scene.accept(due);
        scene.pass(seconds(31.9));
        let times: Vec<u128> = scene
            .log()
            .into_iter()
            .map(|(at, title)| {
                assert_eq!(title, "200 INVITE");
                at
            })
            .collect();
        assert_eq!(
            times,
            [
                500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500
            ]
        );
        scene.assert_quiet();
        scene.pass(seconds(0.1));
        assert_eq!(scene.titles(), ["BYE"]);
        assert_eq!(
            scene.event(),
            Event::Ended {
                dialog,
                cause: EndCause::NoAck
            }
        );
        scene.pass(seconds(40.0));
        scene.log();
        assert!(scene.events.is_empty());
        scene.assert_empty();
    }
}

/// An INVITE and a re-INVITE that nobody has answered yet, and what is owed to them.
fn invites() -> [(Scene, Ask, DialogId, AnswerDue); 2] {
    let mut opening = Scene::new();
    let invite = Ask::invite();
    let (dialog, due) = opening.invited(&invite);
    let mut going_on = Scene::new();
    let (again, tag) = going_on.established(&invite);
    let reinvite = Ask::new("INVITE", 2).to(&tag).body(SDP);
    going_on.ask(&reinvite);
    let Event::Reinvited { due: owed, .. } = going_on.event() else {
        panic!("no re-INVITE")
    };
    [(opening, invite, dialog, due), (going_on, reinvite, again, owed)]
}

#[test]
fn rfc3261_section_17_2_1_100_is_sent_after_200_ms_of_silence_and_not_before() {
    for (mut scene, invite, _, due) in invites() {
        scene.pass(MOST_SILENCE - MOMENT);
        scene.assert_quiet();
        scene.pass(MOMENT);
        let trying = scene.response();
        assert_eq!((trying.status.0, trying.headers.get("Contact")), (100, None));
        assert_eq!(
            trying.headers.get("To").unwrap().contains("tag="),
            invite.to_tag.is_some()
        );
        scene.pass(seconds(60.0));
        scene.assert_quiet();
        scene.ask(&invite);
        assert_eq!(scene.titles(), ["100 INVITE"]);
        assert_eq!(scene.accept(due).status.0, 200);
    }
}

#[test]
fn rfc3261_section_17_2_1_100_is_needless_when_the_answer_is_there_within_200_ms() {
    for (mut scene, invite, _, due) in invites() {
        scene.pass(MOST_SILENCE - MOMENT);
        let tag = tag_of(&scene.accept(due));
        scene.ask(&Ask::ack(invite.cseq, &tag).branch("z9hG4bK-ack"));
        scene.pass(seconds(31.0));
        assert_eq!(scene.titles(), Vec::<String>::new());
    }
    for (mut scene, invite, _, due) in invites() {
        scene.pass(MOST_SILENCE - MOMENT);
        scene.command(Command::Refuse {
            due,
            status: StatusCode(486),
            phrase: None,
            headers: Vec::new(),
        });
        let tag = tag_of(&scene.response());
        scene.ask(&Ask::ack(invite.cseq, &tag).branch(&invite.branch));
        scene.pass(seconds(31.0));
        assert_eq!(scene.titles(), Vec::<String>::new());
    }
}

#[test]
fn rfc3261_section_17_2_1_180_within_200_ms_makes_100_needless() {
    for reliable in [false, true] {
        let mut scene = Scene::new();
        let mut invite = Ask::invite();
        if reliable {
            invite = invite.header("Require: 100rel");
        }
        let (dialog, due) = scene.invited(&invite);
        scene.pass(MOST_SILENCE - MOMENT);
        scene.command(Command::Ring {
            dialog,
            status: StatusCode(180),
        });
        assert_eq!(scene.titles(), ["180 INVITE"]);
        scene.pass(MOMENT);
        scene.assert_quiet();
        scene.ask(&invite);
        assert_eq!(scene.titles(), ["180 INVITE"]);
        assert_eq!(scene.accept(due).status.0, 200);
    }
}

#[test]
fn an_invite_that_comes_again_within_200_ms_of_silence_is_answered_100_at_once_and_once() {
    for (mut scene, invite, _, due) in invites() {
        scene.pass(MOMENT);
        scene.ask(&invite);
        assert_eq!(scene.titles(), ["100 INVITE"]);
        scene.pass(seconds(60.0));
        scene.assert_quiet();
        assert_eq!(scene.accept(due).status.0, 200);
    }
}

#[test]
fn cancel_within_200_ms_of_silence_leaves_nothing_to_try() {
    for (mut scene, invite, dialog, _due) in invites() {
        scene.pass(MOST_SILENCE - MOMENT);
        let mut cancel = Ask::new("CANCEL", invite.cseq)
            .branch(&invite.branch)
            .contact(None);
        cancel.to_tag.clone_from(&invite.to_tag);
        scene.ask(&cancel);
        assert_eq!(scene.titles(), ["200 CANCEL", "487 INVITE"]);
        if invite.to_tag.is_none() {
            assert_eq!(scene.event(), Event::Cancelled { dialog });
        }
        scene.ask(&Ask::ack(invite.cseq, "any").branch(&invite.branch));
        scene.pass(seconds(33.0));
        scene.assert_quiet();
    }
}

#[test]
fn a_retransmitted_invite_replays_the_last_response_and_tells_nobody() {
    let mut scene = Scene::new();
    let invite = Ask::invite();
    let (dialog, due) = scene.invited(&invite);
    scene.ask(&invite);
    assert_eq!(scene.titles(), ["100 INVITE"]);
    scene.command(Command::Ring {
        dialog,
        status: StatusCode(180),
    });
    let ringing = scene.response();
    assert_eq!(ringing.status.0, 180);
    let tag = tag_of(&ringing);
    scene.ask(&invite);
    assert_eq!(scene.titles(), ["180 INVITE"]);
    assert_eq!(tag_of(&scene.accept(due)), tag);
    // RFC 6026 §7.1: the Accepted state absorbs it.
    scene.ask(&invite);
    scene.assert_quiet();
}

#[test]
fn rfc3261_section_21_3_a_redirection_says_where_to_go_and_no_other_refusal_does() {
    for (status, contacts) in [(301, 1), (302, 1), (486, 0)] {
        let mut scene = Scene::new();
        let (_, due) = scene.invited(&Ask::invite());
        scene.command(Command::Refuse {
            due,
            status: StatusCode(status),
            phrase: None,
            headers: vec![Header {
                name: "Contact".into(),
                value: "<sip:elsewhere@example.com>".to_owned(),
            }],
        });
        let response = scene.response();
        let targets: Vec<_> = response
            .headers
            .list("Contact")
            .filter(|contact| *contact == "<sip:elsewhere@example.com>")
            .collect();
        assert_eq!((response.status.0, targets.len()), (status, contacts));
    }
}

#[test]
fn timers_g_h_and_i_guard_a_refusal() {
    let mut scene = Scene::new();
    let invite = Ask::invite();
    let (_, due) = scene.invited(&invite);
    let refuse = Command::Refuse {
        due,
        status: StatusCode(486),
        phrase: Some("Room\r\nfull".to_owned()),
        headers: Vec::new(),
    };
    scene.command(refuse);
    let busy = scene.response();
    assert_eq!((busy.status.0, busy.reason.as_str()), (486, "Roomfull"));
    scene.pass(seconds(31.9));
    let times: Vec<u128> = scene.log().into_iter().map(|(at, _)| at).collect();
    assert_eq!(
        times,
        [
            500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500
        ]
    );
    scene.pass(seconds(0.2));
    scene.assert_empty();

    let (_, due) = scene.invited(&Ask::invite().branch("z9hG4bK-second").call("call-2"));
    scene.command(Command::Refuse {
        due,
        status: StatusCode(486),
        phrase: None,
        headers: Vec::new(),
    });
    let tag = tag_of(&scene.response());
    scene.ask(&Ask::ack(1, &tag).branch("z9hG4bK-second").call("call-2"));
    scene.pass(seconds(4.9));
    scene.assert_quiet();
    assert_eq!(scene.endpoint.census().2, 1);
    scene.pass(seconds(0.2));
    scene.assert_empty();
}

// Rows: CSIP-04
#[test]
fn cancel_before_the_answer_is_200_and_487_and_voids_the_answer() {
    let mut scene = Scene::new();
    let invite = Ask::invite();
    let (dialog, due) = scene.invited(&invite);
    scene.ask(&Ask::new("CANCEL", 1).branch(&invite.branch).contact(None));
    assert_eq!(scene.titles(), ["200 CANCEL", "487 INVITE"]);
    assert_eq!(scene.event(), Event::Cancelled { dialog });
    scene.command(Command::Accept {
        due,
        contact: room(),
        body: body(),
    });
    scene.assert_quiet();
    scene.ask(&Ask::ack(1, "any").branch(&invite.branch));
    scene.pass(seconds(33.0));
    scene.assert_quiet();
    scene.assert_empty();
}

#[test]
fn cancel_after_the_answer_is_200_without_effect_and_481_for_no_transaction() {
    let mut scene = Scene::new();
    let invite = Ask::invite();
    let (_, due) = scene.invited(&invite);
    scene.accept(due);
    scene.ask(&Ask::new("CANCEL", 1).branch(&invite.branch).contact(None));
    assert_eq!(scene.titles(), ["200 CANCEL"]);
    assert!(scene.events.is_empty());
    scene.ask(&Ask::new("CANCEL", 1).branch("z9hG4bK-other").contact(None));
    assert_eq!(scene.titles(), ["481 CANCEL"]);
}

#[test]
fn the_owners_bye_waits_for_the_ack() {
    let mut scene = Scene::new();
    let (dialog, due) = scene.invited(&Ask::invite());
    let tag = tag_of(&scene.accept(due));
    let reason = Reason {
        cause: StatusCode(403),
        text: "banned".to_owned(),
    };
    scene.command(Command::Bye {
        dialog,
        reason: Some(reason),
    });
    scene.assert_quiet();
    scene.ask(&Ask::ack(1, &tag));
    let bye = scene.request();
    assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=403;text=\"banned\""));
    assert_eq!(bye.uri.to_string(), "sip:romeo@192.0.2.10:5060");
    scene.assert_quiet();
    scene.answer(&bye, 200);
    assert_eq!(
        scene.event(),
        Event::Ended {
            dialog,
            cause: EndCause::ByUs
        }
    );
    scene.pass(seconds(33.0));
    scene.assert_empty();
}

#[test]
fn a_response_goes_back_on_its_connection_and_falls_back_to_sent_by() {
    let mut scene = Scene::new();
    let (_, due) = scene.invited(&Ask::invite().over("TCP"));
    scene.command(Command::AcceptRequest { due });
    let transmit = scene.transmit();
    assert_eq!(transmit.target.flow, tcp(1).id);
    assert_eq!(transmit.target.peer, "192.0.2.10:5060".parse().unwrap());
    let Ok(Message::Response(_)) = Message::parse(&transmit.bytes) else {
        panic!()
    };
}

#[test]
fn timer_l_keeps_the_accepted_state_for_64_t1() {
    let mut scene = Scene::new();
    let invite = Ask::invite();
    scene.established(&invite);
    scene.pass(seconds(31.9));
    scene.ask(&invite);
    scene.assert_quiet();
    assert_eq!(scene.endpoint.census().2, 1);
    scene.pass(seconds(0.1));
    assert_eq!(scene.endpoint.census(), (1, 0, 0));
}

#[test]
fn timer_i_is_zero_on_a_reliable_transport_and_timer_g_never_runs() {
    let mut scene = Scene::new();
    let invite = Ask::invite().over("TCP");
    let (_, due) = scene.invited(&invite);
    scene.command(Command::Refuse {
        due,
        status: StatusCode(488),
        phrase: None,
        headers: Vec::new(),
    });
    let tag = tag_of(&scene.response());
    scene.pass(seconds(20.0));
    scene.assert_quiet();
    scene.ask(&Ask::ack(1, &tag).branch(&invite.branch).over("TCP"));
    scene.assert_empty();
}

#[test]
fn an_ack_repeated_does_not_confirm_a_later_2xx() {
    let mut scene = Scene::new();
    let (_, tag) = scene.established(&Ask::invite());
    scene.ask(&Ask::new("INVITE", 2).to(&tag).body(SDP));
    let Event::Reinvited { due, .. } = scene.event() else {
        panic!()
    };
    scene.command(Command::Accept {
        due,
        contact: room(),
        body: body(),
    });
    scene.titles();
    scene.ask(&Ask::ack(1, &tag).branch("z9hG4bK-late"));
    scene.pass(seconds(0.5));
    assert_eq!(scene.titles(), ["200 INVITE"]);
}

#[test]
fn the_owners_headers_cannot_replace_the_endpoints() {
    let mut scene = Scene::new();
    let (_, due) = scene.invited(&Ask::invite());
    let header = |name: &'static str, value: &str| Header {
        name: name.into(),
        value: value.to_owned(),
    };
    let headers = vec![
        header("Retry-After", "5"),
        header("to", "<sip:evil@example.com>"),
        header("Warning", "399 x \"a\r\nX: y\""),
    ];
    scene.command(Command::Refuse {
        due,
        status: StatusCode(486),
        phrase: None,
        headers,
    });
    let busy = scene.response();
    assert_eq!(busy.headers.get("Retry-After"), Some("5"));
    assert_eq!(busy.headers.list("To").count(), 1);
    assert_eq!(busy.headers.get("X"), None);
}

#[test]
fn rfc3261_section_13_3_1_4_an_ack_that_comes_after_the_bye_for_want_of_it_changes_nothing() {
    let mut scene = Scene::new();
    let (dialog, due) = scene.invited(&Ask::invite());
    let tag = tag_of(&scene.accept(due));
    scene.pass(seconds(32.0));
    assert_eq!(
        scene.event(),
        Event::Ended {
            dialog,
            cause: EndCause::NoAck
        }
    );
    scene.sent.clear();
    scene.ask(&Ask::ack(1, &tag));
    scene.assert_quiet();
    scene.pass(seconds(64.0));
    assert!(scene.events.is_empty(), "{:?}", scene.events);
    scene.assert_empty();
}
