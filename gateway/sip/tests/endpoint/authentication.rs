//! Answering challenges: RFC 3261 §22, RFC 8760, and to whom no answer goes.

use crate::scene::{Ask, SDP, Scene, body, config, response, seconds};
use sip::{
    Command, Contact, Credentials, DialogId, EndCause, Event, InviteParameters, NameAddr, ReferParameters,
    StatusCode, SubscribeParameters, SubscriptionId, SubscriptionState, Uri, digest::Password,
    message::Request,
};

const CALL: DialogId = DialogId(2);
const SUBSCRIPTION: SubscriptionId = SubscriptionId(2);
const CONTACT: &str = "Contact: <sip:room@192.0.2.10:5060>";
const CHALLENGE: &str =
    "Proxy-Authenticate: Digest realm=\"example.org\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"";

fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

fn me() -> NameAddr {
    NameAddr::new(uri("sip:juliet@example.com"))
}

fn credentials(server: &str) -> Credentials {
    Credentials {
        realm: "example.org".to_owned(),
        username: "juliet".to_owned(),
        password: Password::new("rose"),
        server: uri(server),
    }
}

fn invite_to(target: &str) -> Command {
    Command::Invite {
        dialog: CALL,
        parameters: Box::new(InviteParameters {
            from: me(),
            to: NameAddr::new(uri(target)),
            uri: uri(target),
            contact: Contact::default(),
            body: body(),
            headers: Vec::new(),
        }),
    }
}

/// Credentials for 192.0.2.10, through which everything goes.
fn scene() -> Scene {
    let mut config = config();
    config.outbound_proxy = Some(uri("sip:192.0.2.10;lr"));
    let mut scene = Scene::with(config);
    scene
        .endpoint
        .set_credentials(vec![credentials("sip:192.0.2.10;lr")]);
    scene
}

fn answer_of<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers.get(name).unwrap_or_default()
}

/// Answers a request of ours with a challenge; gives its repetition.
fn challenged(scene: &mut Scene, request: &Request) -> Request {
    scene.receive(&response(request, 407, "proxy", &[CHALLENGE], ""));
    if request.method.as_str() == "INVITE" {
        assert_eq!(scene.request().method.as_str(), "ACK");
    }
    let again = scene.request();
    assert_eq!(again.method, request.method);
    assert!(answer_of(&again, "Proxy-Authorization").starts_with("Digest username=\"juliet\""));
    assert_eq!(again.headers.get("Call-ID"), request.headers.get("Call-ID"));
    assert_eq!(again.headers.get("From"), request.headers.get("From"));
    assert_ne!(again.headers.get("Via"), request.headers.get("Via"));
    again
}

fn cseq(request: &Request) -> u32 {
    let cseq = request.headers.get("CSeq").unwrap();
    cseq.split(' ').next().unwrap().parse().unwrap()
}

// Rows: C7247-25
#[test]
fn an_invite_is_repeated_with_the_answer_and_its_ack_and_bye_go_on_from_there() {
    let mut scene = scene();
    scene.command(invite_to("sip:room@rooms.example.com"));
    let invite = scene.request();
    let again = challenged(&mut scene, &invite);
    assert_eq!(cseq(&again), cseq(&invite) + 1);
    // The lost ACK of the challenged INVITE is sent again.
    scene.receive(&response(&invite, 407, "proxy", &[CHALLENGE], ""));
    assert_eq!(scene.titles(), ["ACK"]);
    scene.receive(&response(&again, 200, "focus", &[CONTACT], SDP));
    let ack = scene.request();
    assert_eq!(ack.headers.get("CSeq"), Some("2 ACK"));
    // RFC 3261 §22.1: the ACK has the answers of its INVITE.
    assert_eq!(
        ack.headers.get("Proxy-Authorization"),
        again.headers.get("Proxy-Authorization")
    );
    assert!(matches!(scene.event(), Event::Answered { dialog: CALL, .. }));
    scene.command(Command::Bye {
        dialog: CALL,
        reason: None,
    });
    let bye = scene.request();
    assert_eq!(cseq(&bye), 3);
    let bye = challenged(&mut scene, &bye);
    assert_eq!(cseq(&bye), 4);
    scene.answer(&bye, 200);
    assert_eq!(
        scene.event(),
        Event::Ended {
            dialog: CALL,
            cause: EndCause::ByUs
        }
    );
    scene.pass(seconds(40.0));
    scene.assert_quiet();
    scene.assert_empty();
}

#[test]
fn the_nonce_count_goes_on_while_the_nonce_stays() {
    let mut scene = scene();
    scene.command(invite_to("sip:room@rooms.example.com"));
    let invite = scene.request();
    let first = challenged(&mut scene, &invite);
    assert!(answer_of(&first, "Proxy-Authorization").contains("nc=00000001"));
    scene.receive(&response(&first, 200, "focus", &[CONTACT], SDP));
    assert_eq!(scene.titles(), ["ACK"]);
    scene.command(Command::Bye {
        dialog: CALL,
        reason: None,
    });
    let bye = scene.request();
    let bye = challenged(&mut scene, &bye);
    assert!(answer_of(&bye, "Proxy-Authorization").contains("nc=00000002"));
}

#[test]
fn a_challenge_is_answered_once_and_again_only_for_a_stale_nonce() {
    for (further, status) in [("", None), (", stale=true", Some("n2"))] {
        let mut scene = scene();
        scene.command(invite_to("sip:room@rooms.example.com"));
        let invite = scene.request();
        let mut again = challenged(&mut scene, &invite);
        let second =
            format!("Proxy-Authenticate: Digest realm=\"example.org\", nonce=\"n2\", qop=\"auth\"{further}");
        scene.receive(&response(&again, 407, "proxy", &[&second], ""));
        assert_eq!(scene.request().method.as_str(), "ACK");
        if let Some(nonce) = status {
            again = scene.request();
            assert!(answer_of(&again, "Proxy-Authorization").contains(&format!("nonce=\"{nonce}\"")));
            // A proxy that finds every nonce stale is not followed for ever.
            for _ in 0..2 {
                scene.receive(&response(&again, 407, "proxy", &[&second], ""));
                assert_eq!(scene.request().method.as_str(), "ACK");
                again = scene.request();
            }
            scene.receive(&response(&again, 407, "proxy", &[&second], ""));
            assert_eq!(scene.request().method.as_str(), "ACK");
        }
        let Event::Refused { status, local, .. } = scene.event() else {
            panic!("not refused")
        };
        assert_eq!((status, local), (StatusCode(407), false));
        scene.assert_quiet();
    }
}

#[test]
fn the_answer_to_a_server_keeps_the_answer_to_the_proxy() {
    let mut scene = scene();
    scene.command(invite_to("sip:room@rooms.example.com"));
    let invite = scene.request();
    let again = challenged(&mut scene, &invite);
    let other = "WWW-Authenticate: Digest realm=\"example.org\", nonce=\"w\", qop=\"auth\"";
    scene.receive(&response(&again, 401, "uas", &[other], ""));
    assert_eq!(scene.request().method.as_str(), "ACK");
    let third = scene.request();
    assert_eq!(
        answer_of(&third, "Proxy-Authorization"),
        answer_of(&again, "Proxy-Authorization")
    );
    assert!(answer_of(&third, "Authorization").contains("nonce=\"w\""));
    assert_eq!(cseq(&third), 3);
}

#[test]
fn of_several_challenges_the_strongest_of_the_realm_is_answered() {
    let mut scene = scene();
    scene.command(invite_to("sip:room@rooms.example.com"));
    let invite = scene.request();
    let lines = [
        "theirs\", algorithm=SHA-512-256",
        "example.org\"",
        "example.org\", algorithm=SHA-256",
    ]
    .map(|rest| format!("Proxy-Authenticate: Digest nonce=\"n\", qop=\"auth\", realm=\"{rest}"));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    scene.receive(&response(&invite, 407, "proxy", &lines, ""));
    assert_eq!(scene.request().method.as_str(), "ACK");
    let again = scene.request();
    assert!(answer_of(&again, "Proxy-Authorization").contains("algorithm=SHA-256"));
}

#[test]
fn nobody_but_the_configured_server_and_realm_gets_an_answer() {
    let foreign_realm = CHALLENGE.replace("example.org", "example.net");
    for (server, target, challenge) in [
        ("sip:192.0.2.10", "sip:room@192.0.2.10", foreign_realm.as_str()),
        ("sip:192.0.2.77", "sip:room@192.0.2.10", CHALLENGE),
        ("sip:proxy.example.org", "sip:room@192.0.2.10", CHALLENGE),
    ] {
        let mut scene = Scene::new();
        scene.endpoint.set_credentials(vec![credentials(server)]);
        scene.command(invite_to(target));
        let invite = scene.request();
        scene.receive(&response(&invite, 407, "proxy", &[challenge], ""));
        assert_eq!(scene.titles(), ["ACK"], "{server}");
        assert!(matches!(
            scene.event(),
            Event::Refused {
                status: StatusCode(407),
                ..
            }
        ));
    }
}

#[test]
fn a_server_given_by_name_is_known_by_its_addresses() {
    let mut config = config();
    config.outbound_proxy = Some(uri("sip:proxy.example.org;lr"));
    let mut scene = Scene::with(config);
    scene
        .endpoint
        .set_credentials(vec![credentials("sip:proxy.example.org;lr")]);
    scene.command(invite_to("sip:room@rooms.example.com"));
    scene.resolved(&["192.0.2.10:5060"]);
    let invite = scene.request();
    challenged(&mut scene, &invite);
}

#[test]
fn a_request_that_was_given_up_is_not_repeated() {
    let mut scene = scene();
    scene.command(invite_to("sip:room@rooms.example.com"));
    let invite = scene.request();
    scene.command(Command::Bye {
        dialog: CALL,
        reason: None,
    });
    scene.receive(&response(&invite, 407, "proxy", &[CHALLENGE], ""));
    assert_eq!(scene.titles(), ["ACK"]);
    assert!(matches!(scene.event(), Event::Ended { .. }));
}

#[test]
fn a_subscription_is_opened_and_refreshed_through_challenges() {
    let mut scene = scene();
    scene.command(Command::Subscribe {
        subscription: SUBSCRIPTION,
        parameters: Box::new(SubscribeParameters {
            uri: uri("sip:room@rooms.example.com"),
            from: me(),
            to: NameAddr::new(uri("sip:room@rooms.example.com")),
            contact: Contact::default(),
            event: "conference".to_owned(),
            accept: "application/conference-info+xml".to_owned(),
            expires: seconds(600.0),
        }),
    });
    let subscribe = scene.request();
    let again = challenged(&mut scene, &subscribe);
    // The retry with the time that the notifier wants goes on counting and is challenged for itself.
    scene.receive(&response(&again, 423, "focus", &["Min-Expires: 900"], ""));
    let longer = scene.request();
    assert_eq!((cseq(&longer), longer.headers.get("Expires")), (3, Some("900")));
    assert_eq!(longer.headers.get("Proxy-Authorization"), None);
    let longer = challenged(&mut scene, &longer);
    scene.receive(&response(&longer, 200, "focus", &[CONTACT, "Expires: 900"], ""));
    assert!(matches!(scene.event(), Event::SubscriptionAccepted { .. }));
    let mut notify = Ask::new("NOTIFY", 1)
        .call(longer.headers.get("Call-ID").unwrap())
        .header("Event: conference")
        .header("Subscription-State: active;expires=900");
    notify.from_tag = "focus".to_owned();
    let from: NameAddr = longer.headers.get("From").unwrap().parse().unwrap();
    notify.to_tag = from.parameter("tag").map(str::to_owned);
    scene.ask(&notify);
    assert_eq!(scene.response().status.0, 200);
    assert!(matches!(
        scene.event(),
        Event::Notified {
            state: SubscriptionState::Active,
            ..
        }
    ));
    scene.pass(seconds(863.0));
    let refresh = scene.request();
    assert_eq!(cseq(&refresh), cseq(&longer) + 1);
    let refresh = challenged(&mut scene, &refresh);
    scene.receive(&response(&refresh, 200, "focus", &[CONTACT, "Expires: 900"], ""));
    scene.assert_quiet();
}

#[test]
fn refer_and_notify_are_repeated_too() {
    let mut scene = scene();
    scene.command(Command::Refer {
        subscription: SUBSCRIPTION,
        parameters: Box::new(ReferParameters {
            uri: uri("sip:room@rooms.example.com"),
            from: me(),
            to: NameAddr::new(uri("sip:room@rooms.example.com")),
            contact: Contact::default(),
            refer_to: me(),
        }),
    });
    let refer = scene.request();
    challenged(&mut scene, &refer);
    let (subscription, _) = scene.subscribed(&Ask::subscribe(1));
    scene.command(Command::Notify {
        subscription,
        state: SubscriptionState::Active,
        body: None,
    });
    let notify = scene.request();
    let again = challenged(&mut scene, &notify);
    assert_eq!(cseq(&again), cseq(&notify) + 1);
    scene.answer(&again, 200);
    scene.command(Command::Notify {
        subscription,
        state: SubscriptionState::Active,
        body: None,
    });
    assert_eq!(cseq(&scene.request()), cseq(&again) + 1);
}
