//! Our own re-INVITE: RFC 3261 §14.1.

use std::time::Duration;

use bytes::Bytes;
use sip::{Body, Command, DialogId, EndCause, Event, StatusCode, message::Request};

use crate::{
    invite_client::{CALL, answered},
    scene::{Ask, SDP, Scene, response, seconds},
};

const CONTACT: &str = "Contact: <sip:romeo@192.0.2.77:5070>";

fn offer(number: u32) -> Body {
    Body {
        content_type: "application/sdp".to_owned(),
        bytes: Bytes::from(SDP.replace("7654", &number.to_string())),
    }
}

fn reinvite(scene: &mut Scene, dialog: DialogId, number: u32) {
    scene.command(Command::Reinvite {
        dialog,
        body: offer(number),
    });
}

/// A dialog that the peer opened; gives its tag, too.
fn called() -> (Scene, DialogId, String) {
    let mut scene = Scene::new();
    let (dialog, tag) = scene.established(&Ask::invite());
    (scene, dialog, tag)
}

fn port(request: &Request) -> String {
    let text = String::from_utf8(request.body.to_vec()).unwrap();
    let line = text.lines().find(|line| line.starts_with("m=")).unwrap();
    line.split(' ').nth(1).unwrap().to_owned()
}

fn reanswered(dialog: DialogId) -> Event {
    Event::Reanswered {
        dialog,
        body: Some(Body {
            content_type: "application/sdp".to_owned(),
            bytes: Bytes::from_static(SDP.as_bytes()),
        }),
    }
}

#[test]
fn a_new_offer_is_answered_acknowledged_once_more_for_each_2xx_and_moves_the_target() {
    let (mut scene, dialog, _) = called();
    reinvite(&mut scene, dialog, 9000);
    let invite = scene.request();
    assert_eq!(
        (invite.method.as_str(), port(&invite).as_str()),
        ("INVITE", "9000")
    );
    assert!(invite.headers.get("Contact").is_some());
    scene.receive(&response(&invite, 100, "", &[], ""));
    let accepted = response(&invite, 200, "", &[CONTACT], SDP);
    scene.receive(&accepted);
    assert_eq!(scene.event(), reanswered(dialog));
    let ack = scene.request();
    assert_eq!(
        (ack.method.as_str(), ack.uri.to_string().as_str()),
        ("ACK", "sip:romeo@192.0.2.77:5070")
    );
    scene.receive(&accepted);
    assert_eq!(scene.titles(), ["ACK"]);
    scene.assert_quiet();
}

#[test]
fn section_14_1_a_491_is_tried_again_between_2_1_and_4_s_by_who_called_and_sooner_by_the_other() {
    // The peer has opened this dialog: it owns the Call-ID.
    let (mut scene, dialog, _) = called();
    reinvite(&mut scene, dialog, 9000);
    let invite = scene.request();
    scene.receive(&response(&invite, 491, "", &[], ""));
    assert_eq!(scene.titles(), ["ACK"]);
    scene.pass(Duration::from_millis(2001));
    let again = scene.request();
    assert_eq!(port(&again), "9000");
    let cseq = |request: &Request| request.headers.get("CSeq").unwrap().to_owned();
    assert_ne!(cseq(&invite), cseq(&again));
    scene.receive(&response(&again, 200, "", &[CONTACT], SDP));
    assert_eq!(scene.event(), reanswered(dialog));

    let (mut scene, _) = answered();
    reinvite(&mut scene, CALL, 9000);
    let invite = scene.request();
    scene.receive(&response(&invite, 491, "", &[], ""));
    assert_eq!(scene.titles(), ["ACK"]);
    scene.pass(Duration::from_millis(2099));
    scene.assert_quiet();
    scene.pass(Duration::from_millis(1902));
    assert_eq!(port(&scene.request()), "9000");
}

#[test]
fn a_peer_that_always_answers_491_is_given_up_and_the_session_goes_on() {
    let (mut scene, dialog, tag) = called();
    reinvite(&mut scene, dialog, 9000);
    for _ in 0..6 {
        let invite = scene.request();
        // UDP has sent it more than once meanwhile.
        scene.sent.clear();
        scene.receive(&response(&invite, 491, "", &[], ""));
        assert_eq!(scene.request().method.as_str(), "ACK");
        scene.pass(seconds(2.1));
    }
    let Event::ReinviteRefused { status, local, .. } = scene.event() else {
        panic!("not refused")
    };
    assert_eq!((status, local), (StatusCode(491), false));
    scene.ask(&Ask::new("INFO", 2).to(&tag));
    assert!(matches!(scene.event(), Event::Requested { .. }));
}

#[test]
fn section_14_1_no_offer_is_made_while_the_peers_is_under_way() {
    let (mut scene, dialog, tag) = called();
    scene.ask(&Ask::new("INVITE", 2).to(&tag).body(SDP));
    let Event::Reinvited { due, .. } = scene.event() else {
        panic!("no re-INVITE")
    };
    reinvite(&mut scene, dialog, 9000);
    scene.pass(seconds(1.0));
    assert_eq!(scene.titles(), ["100 INVITE"]);
    assert_eq!(scene.accept(due).status.0, 200);
    scene.pass(seconds(0.4));
    scene.assert_quiet();
    scene.ask(&Ask::ack(2, &tag));
    scene.pass(seconds(0.3));
    assert_eq!(port(&scene.request()), "9000");
}

#[test]
fn section_14_2_the_peers_offer_that_crosses_ours_is_491() {
    let (mut scene, dialog, tag) = called();
    reinvite(&mut scene, dialog, 9000);
    scene.titles();
    scene.ask(&Ask::new("INVITE", 2).to(&tag).body(SDP));
    assert_eq!(scene.response().status.0, 491);
    scene.ask(&Ask::new("UPDATE", 3).to(&tag).body(SDP));
    assert_eq!(scene.response().status.0, 491);
    scene.assert_quiet();
}

#[test]
fn a_further_offer_follows_the_one_that_is_with_the_peer_and_replaces_one_that_waits() {
    let (mut scene, dialog, _) = called();
    for number in [9000, 9001, 9002] {
        reinvite(&mut scene, dialog, number);
    }
    let first = scene.request();
    assert_eq!(port(&first), "9000");
    scene.assert_quiet();
    scene.receive(&response(&first, 488, "", &[], ""));
    assert!(matches!(
        scene.event(),
        Event::ReinviteRefused {
            status: StatusCode(488),
            ..
        }
    ));
    assert_eq!(scene.request().method.as_str(), "ACK");
    assert_eq!(port(&scene.request()), "9002");
}

#[test]
fn section_12_2_1_2_a_dialog_that_the_peer_knows_no_more_is_over() {
    for status in [408, 481] {
        let (mut scene, dialog, _) = called();
        reinvite(&mut scene, dialog, 9000);
        let invite = scene.request();
        scene.receive(&response(&invite, status, "", &[], ""));
        assert_eq!(
            scene.event(),
            Event::Ended {
                dialog,
                cause: EndCause::Gone
            }
        );
        assert_eq!(scene.titles(), ["ACK", "BYE"]);
    }
}

#[test]
fn an_offer_under_way_when_the_dialog_ends_leaves_nothing_behind() {
    let (mut scene, dialog, tag) = called();
    reinvite(&mut scene, dialog, 9000);
    reinvite(&mut scene, dialog, 9001);
    let invite = scene.request();
    scene.ask(&Ask::new("BYE", 2).to(&tag));
    assert!(matches!(scene.event(), Event::Ended { .. }));
    scene.receive(&response(&invite, 491, "", &[], ""));
    scene.pass(seconds(40.0));
    assert_eq!(scene.titles(), ["200 BYE", "ACK"]);
    reinvite(&mut scene, dialog, 9002);
    scene.assert_quiet();
    scene.assert_empty();
}
