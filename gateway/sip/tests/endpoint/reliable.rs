//! Reliable provisional responses in both roles: RFC 3262 §3 and §4.

use crate::scene::{Ask, SDP, Scene, body, response, seconds, tag_of};
use sip::{Command, Contact, DialogId, Event, InviteParameters, NameAddr, StatusCode, Uri, message::Request};

const CALL: DialogId = DialogId(2);
const CONTACT: &str = "Contact: <sip:room@192.0.2.10:5060>";

fn ring(scene: &mut Scene, dialog: DialogId, status: u16) {
    scene.command(Command::Ring {
        dialog,
        status: StatusCode(status),
    });
}

fn prack(cseq: u32, tag: &str, rack: &str) -> Ask {
    Ask::new("PRACK", cseq).to(tag).header(&format!("RAck: {rack}"))
}

#[test]
fn a_required_provisional_response_is_retransmitted_until_its_prack_and_the_next_waits() {
    let mut scene = Scene::new();
    let (dialog, due) = scene.invited(&Ask::invite().header("Require: 100rel"));
    ring(&mut scene, dialog, 180);
    let ringing = scene.response();
    assert_eq!(ringing.headers.get("Require"), Some("100rel"));
    let rseq: u32 = ringing.headers.get("RSeq").unwrap().parse().unwrap();
    let tag = tag_of(&ringing);
    ring(&mut scene, dialog, 183);
    assert!(scene.sent.is_empty());
    scene.pass(seconds(3.5));
    assert_eq!(scene.titles(), ["180 INVITE"; 3]);
    for wrong in [
        format!("{} 1 INVITE", rseq + 1),
        format!("{rseq} 2 INVITE"),
        format!("{rseq} 1 BYE"),
        "nonsense".to_owned(),
    ] {
        scene.ask(
            &prack(2, &tag, &wrong)
                .branch(&format!("z9hG4bK{}", wrong.replace(' ', "-")))
                .call("call-1"),
        );
        let status = scene.response().status.0;
        assert!([481, 500].contains(&status), "{wrong}: {status}");
    }
    scene.ask(&prack(9, &tag, &format!("{rseq} 1 INVITE")));
    assert_eq!(scene.response().status.0, 200);
    let progress = scene.response();
    assert_eq!(progress.status.0, 183);
    assert_eq!(
        progress.headers.get("RSeq"),
        Some((rseq + 1).to_string().as_str())
    );
    // The final answer ends it.
    scene.accept(due);
    scene.ask(&Ask::ack(1, &tag));
    assert_eq!(scene.event(), Event::Confirmed { dialog, body: None });
    scene.pass(seconds(40.0));
    scene.assert_quiet();
}

#[test]
fn without_prack_the_invite_is_refused_after_64_t1() {
    let mut scene = Scene::new();
    let (dialog, _due) = scene.invited(&Ask::invite().header("Require: 100rel"));
    ring(&mut scene, dialog, 180);
    scene.pass(seconds(31.9));
    assert!(scene.events.is_empty());
    scene.titles();
    scene.pass(seconds(0.1));
    assert_eq!(scene.titles(), ["500 INVITE"]);
    assert_eq!(scene.event(), Event::Cancelled { dialog });
    scene.pass(seconds(70.0));
    scene.assert_empty();
}

#[test]
fn nothing_is_reliable_that_need_not_be_and_a_prack_to_nothing_is_481() {
    let mut scene = Scene::new();
    let (dialog, _due) = scene.invited(&Ask::invite().header("Supported: 100rel"));
    ring(&mut scene, dialog, 180);
    let ringing = scene.response();
    assert_eq!(ringing.headers.get("RSeq"), None);
    scene.ask(&prack(2, &tag_of(&ringing), "1 1 INVITE"));
    assert_eq!(scene.response().status.0, 481);
    scene.pass(seconds(20.0));
    scene.assert_quiet();
}

fn calling() -> (Scene, Request) {
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
    (scene, invite)
}

#[test]
fn each_reliable_response_to_us_gets_one_prack_in_order_and_the_dialog_counts_on() {
    let (mut scene, invite) = calling();
    let provisional = |status: u16, rseq: &str| {
        let rseq = format!("RSeq: {rseq}");
        response(&invite, status, "focus", &[CONTACT, "Require: 100rel", &rseq], "")
    };
    scene.receive(&provisional(180, "17"));
    let first = scene.request();
    assert_eq!(first.headers.get("RAck"), Some("17 1 INVITE"));
    assert_eq!(first.uri.to_string(), "sip:room@192.0.2.10:5060");
    assert!(matches!(scene.event(), Event::Progress { .. }));
    scene.answer(&first, 200);
    // A retransmission and one that leaves another out.
    scene.receive(&provisional(180, "17"));
    scene.receive(&provisional(183, "19"));
    scene.assert_quiet();
    scene.receive(&provisional(183, "18"));
    let second = scene.request();
    assert_eq!(second.headers.get("RAck"), Some("18 1 INVITE"));
    let number = |request: &Request| -> u32 {
        let cseq = request.headers.get("CSeq").unwrap();
        cseq.split(' ').next().unwrap().parse().unwrap()
    };
    assert!(number(&second) > number(&first));
    assert!(matches!(scene.event(), Event::Progress { .. }));
    scene.answer(&second, 200);
    scene.receive(&response(&invite, 200, "focus", &[CONTACT], SDP));
    assert_eq!(scene.request().headers.get("CSeq"), Some("1 ACK"));
    assert!(matches!(scene.event(), Event::Answered { .. }));
    scene.command(Command::Bye {
        dialog: CALL,
        reason: None,
    });
    assert!(number(&scene.request()) > number(&second));
}

#[test]
fn of_one_invite_no_more_early_dialogs_are_kept_than_the_limit() {
    let (mut scene, invite) = calling();
    for fork in 0..20 {
        let tag = format!("fork{fork}");
        scene.receive(&response(
            &invite,
            180,
            &tag,
            &[CONTACT, "Require: 100rel", "RSeq: 1"],
            "",
        ));
    }
    assert_eq!(scene.titles().len(), 16);
}
