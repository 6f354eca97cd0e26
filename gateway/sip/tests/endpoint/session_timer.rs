//! Session timers in both roles: RFC 4028 §7 to §10.

use crate::scene::{Ask, SDP, Scene, body, response, room, seconds};
use sip::{
    Command, Contact, DialogId, EndCause, Event, InviteParameters, NameAddr, Uri,
    message::{Request, Response},
};

const CALL: DialogId = DialogId(2);
const CONTACT: &str = "Contact: <sip:room@192.0.2.10:5060>";

fn gone(dialog: DialogId) -> Event {
    Event::Ended {
        dialog,
        cause: EndCause::Gone,
    }
}

/// A peer's INVITE with these headers, accepted and confirmed.
fn called(headers: &[&str]) -> (Scene, DialogId, String, Response) {
    let mut scene = Scene::new();
    let invite = headers
        .iter()
        .fold(Ask::invite(), |invite, header| invite.header(header));
    let (dialog, due) = scene.invited(&invite);
    let accepted = scene.accept(due);
    let tag = crate::scene::tag_of(&accepted);
    scene.ask(&Ask::ack(1, &tag));
    assert_eq!(scene.event(), Event::Confirmed { dialog, body: None });
    (scene, dialog, tag, accepted)
}

/// Our INVITE, answered with these headers.
fn calling(headers: &[&str]) -> (Scene, Request) {
    let mut scene = Scene::new();
    let uri: Uri = "sip:room@192.0.2.10".parse().unwrap();
    scene.command(Command::Invite {
        dialog: CALL,
        parameters: Box::new(InviteParameters {
            from: NameAddr::new("sip:juliet@example.com".parse().unwrap()),
            to: NameAddr::new(uri.clone()),
            uri,
            contact: Contact::default(),
            body: body(),
            headers: Vec::new(),
        }),
    });
    let invite = scene.request();
    let mut lines = vec![CONTACT];
    lines.extend_from_slice(headers);
    scene.receive(&response(&invite, 200, "focus", &lines, SDP));
    assert_eq!(scene.request().method.as_str(), "ACK");
    assert!(matches!(scene.event(), Event::Answered { .. }));
    (scene, invite)
}

#[test]
fn the_callee_agrees_as_table_2_of_rfc_4028_has_it() {
    for (headers, agreed, required) in [
        (&["Supported: timer"][..], Some("1800;refresher=uac"), true),
        (
            &["Supported: timer", "Session-Expires: 600"],
            Some("600;refresher=uac"),
            true,
        ),
        (
            &["k: timer", "x: 600;refresher=uas"],
            Some("600;refresher=uas"),
            false,
        ),
        (
            &["Supported: timer", "Session-Expires: 9999", "Min-SE: 2000"],
            Some("2000;refresher=uac"),
            true,
        ),
        (
            &["Require: timer", "Session-Expires: 90"],
            Some("90;refresher=uac"),
            true,
        ),
        // A proxy wants it, the caller does not know it.
        (&["Session-Expires: 600"], Some("600;refresher=uas"), false),
        (&["Session-Expires: 10"], Some("90;refresher=uas"), false),
        (&[], None, false),
        (
            &["Supported: timer", "Session-Expires: soon"],
            Some("1800;refresher=uac"),
            true,
        ),
    ] {
        let (_, _, _, accepted) = called(headers);
        assert_eq!(accepted.headers.get("Session-Expires"), agreed, "{headers:?}");
        let require = accepted.headers.get("Require");
        assert_eq!(require == Some("timer"), required, "{headers:?}");
    }
}

#[test]
fn too_short_an_interval_is_422_with_ours() {
    let mut scene = Scene::new();
    let invite = Ask::invite()
        .header("Supported: timer")
        .header("Session-Expires: 89");
    scene.ask(&invite);
    let refusal = scene.response();
    assert_eq!(
        (refusal.status.0, refusal.headers.get("Min-SE")),
        (422, Some("90"))
    );
    let (mut scene, _, tag, _) = called(&["Supported: timer"]);
    for (method, number) in [("INVITE", 2), ("UPDATE", 3)] {
        let ask = Ask::new(method, number)
            .to(&tag)
            .header("Supported: timer")
            .header("Session-Expires: 89");
        scene.ask(&ask);
        assert_eq!(scene.response().status.0, 422, "{method}");
    }
}

// Rows: CSIP-09
#[test]
fn a_session_that_its_caller_does_not_refresh_ends_before_its_interval() {
    let (mut scene, dialog, _, _) = called(&["Supported: timer", "Session-Expires: 600"]);
    scene.pass(seconds(567.0));
    scene.assert_quiet();
    scene.pass(seconds(1.5));
    assert_eq!(scene.request().method.as_str(), "BYE");
    assert_eq!(scene.event(), gone(dialog));
    scene.pass(seconds(40.0));
    scene.assert_empty();
}

#[test]
fn each_refresh_of_the_caller_begins_the_interval_anew() {
    let (mut scene, dialog, tag, _) = called(&["Supported: timer", "Session-Expires: 90"]);
    for number in 2..10 {
        scene.pass(seconds(45.0));
        let method = if number % 2 == 0 { "UPDATE" } else { "INVITE" };
        let ask = Ask::new(method, number)
            .to(&tag)
            .header("Supported: timer")
            .header("Session-Expires: 90;refresher=uac");
        if method == "UPDATE" {
            scene.ask(&ask);
        } else {
            scene.ask(&ask.body(SDP));
            let Event::Reinvited { due, .. } = scene.event() else {
                panic!("no re-INVITE")
            };
            scene.command(Command::Accept {
                due,
                contact: room(),
                body: body(),
            });
        }
        let accepted = scene.response();
        assert_eq!(
            accepted.headers.get("Session-Expires"),
            Some("90;refresher=uac"),
            "{method}"
        );
        if method == "INVITE" {
            scene.ask(&Ask::ack(number, &tag));
        }
    }
    scene.assert_quiet();
    scene.pass(seconds(60.0));
    assert_eq!(scene.event(), gone(dialog));
}

// Rows: CSIP-09
#[test]
fn as_refresher_we_send_update_at_half_the_interval_while_it_is_answered() {
    let (mut scene, _) = calling(&[
        "Allow: INVITE, UPDATE",
        "Session-Expires: 600;refresher=uac",
        "Require: timer",
    ]);
    for _ in 0..5 {
        scene.pass(seconds(300.0));
        let update = scene.request();
        assert_eq!(update.method.as_str(), "UPDATE");
        assert_eq!(update.headers.get("Session-Expires"), Some("600;refresher=uac"));
        assert!(update.body.is_empty());
        scene.receive(&response(
            &update,
            200,
            "focus",
            &[CONTACT, "Session-Expires: 600;refresher=uac"],
            "",
        ));
        scene.assert_quiet();
    }
    assert_eq!(scene.endpoint.census().0, 1);
}

#[test]
fn a_peer_without_update_is_refreshed_by_reinvite_with_the_same_description() {
    for refuses in [false, true] {
        let allow = if refuses { "Allow: UPDATE" } else { "Allow: INVITE" };
        let (mut scene, invite) = calling(&[allow, "Session-Expires: 600;refresher=uac"]);
        scene.pass(seconds(300.0));
        let mut refresh = scene.request();
        if refuses {
            assert_eq!(refresh.method.as_str(), "UPDATE");
            scene.receive(&response(&refresh, 501, "focus", &[], ""));
            refresh = scene.request();
        }
        assert_eq!((refresh.method.as_str(), &refresh.body), ("INVITE", &invite.body));
        // The peer's own re-INVITE crosses it.
        let to = NameAddr::parameter(&refresh.headers.get("From").unwrap().parse().unwrap(), "tag")
            .unwrap()
            .to_owned();
        let mut other = Ask::new("INVITE", 7).to(&to).body(SDP);
        other.call_id = refresh.headers.get("Call-ID").unwrap().to_owned();
        other.from_tag = "focus".to_owned();
        scene.ask(&other);
        assert_eq!(scene.response().status.0, 491);
        other.method = "ACK";
        scene.ask(&other);
        let ok = response(
            &refresh,
            200,
            "focus",
            &[CONTACT, "Session-Expires: 600;refresher=uac"],
            SDP,
        );
        scene.receive(&ok);
        assert_eq!(scene.titles(), ["ACK"]);
        scene.receive(&ok);
        assert_eq!(scene.titles(), ["ACK"]);
        scene.pass(seconds(300.0));
        assert_eq!(scene.request().method.as_str(), "INVITE");
        assert!(scene.events.is_empty());
    }
}

#[test]
fn a_refresh_that_fails_for_the_moment_is_tried_until_the_deadline() {
    let (mut scene, _) = calling(&["Allow: UPDATE", "Session-Expires: 90;refresher=uac"]);
    scene.pass(seconds(45.0));
    for _ in 0..2 {
        let update = scene.request();
        scene.receive(&response(&update, 500, "focus", &[], ""));
        scene.assert_quiet();
        scene.pass(seconds(10.0));
    }
    assert_eq!(scene.events.pop_front(), Some(gone(CALL)));
    assert!(scene.titles().contains(&"BYE".to_owned()));
}

#[test]
fn a_session_that_the_peer_knows_no_more_is_over() {
    let (mut scene, _) = calling(&["Allow: UPDATE", "Session-Expires: 600;refresher=uac"]);
    scene.pass(seconds(300.0));
    let update = scene.request();
    scene.receive(&response(&update, 481, "focus", &[], ""));
    assert_eq!(scene.request().method.as_str(), "BYE");
    assert_eq!(scene.event(), gone(CALL));
    // No answer at all: after timer F.
    let (mut scene, _) = calling(&["Allow: UPDATE", "Session-Expires: 600;refresher=uac"]);
    scene.pass(seconds(332.5));
    assert_eq!(scene.event(), gone(CALL));
}

#[test]
fn a_422_makes_us_ask_once_for_the_interval_that_the_peer_wants() {
    let mut scene = Scene::new();
    let uri: Uri = "sip:room@192.0.2.10".parse().unwrap();
    scene.command(Command::Invite {
        dialog: CALL,
        parameters: Box::new(InviteParameters {
            from: NameAddr::new("sip:juliet@example.com".parse().unwrap()),
            to: NameAddr::new(uri.clone()),
            uri,
            contact: Contact::default(),
            body: body(),
            headers: Vec::new(),
        }),
    });
    let invite = scene.request();
    assert_eq!(invite.headers.get("Session-Expires"), Some("1800"));
    scene.receive(&response(&invite, 422, "focus", &["Min-SE: 3600"], ""));
    assert_eq!(scene.request().method.as_str(), "ACK");
    let again = scene.request();
    assert_eq!(again.headers.get("Session-Expires"), Some("3600"));
    assert_eq!(again.headers.get("Min-SE"), Some("3600"));
    assert_eq!(again.headers.get("CSeq"), Some("2 INVITE"));
    scene.receive(&response(&again, 422, "focus", &["Min-SE: 7200"], ""));
    assert_eq!(scene.titles(), ["ACK"]);
    assert!(matches!(scene.event(), Event::Refused { .. }));
}

#[test]
fn a_peer_without_session_timers_is_left_alone() {
    let (mut scene, _) = calling(&[]);
    scene.pass(seconds(86_400.0));
    scene.assert_quiet();
    let (mut scene, _, _, _) = called(&[]);
    scene.pass(seconds(86_400.0));
    scene.assert_quiet();
}
