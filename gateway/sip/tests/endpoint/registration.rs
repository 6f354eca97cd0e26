//! The registration of a trunk: RFC 3261 §10.2, RFC 3263 §4.3.

use crate::scene::{Scene, config, response, seconds};
use sip::{
    Contact, Credentials, NameAddr, RegisterParameters, RegistrationEvent, StatusCode, Uri, digest::Password,
    message::Request,
};
use std::time::Duration;

fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

fn parameters(registrar: &str) -> RegisterParameters {
    RegisterParameters {
        registrar: uri(registrar),
        address: NameAddr::new(uri("sip:gateway@example.org")),
        contact: Contact {
            user: Some("gateway".to_owned()),
            parameters: Vec::new(),
        },
        expires: Duration::from_secs(3600),
    }
}

fn registering(registrar: &str) -> Scene {
    let mut scene = Scene::with(config());
    let now = scene.now;
    scene.endpoint.register(parameters(registrar), now);
    scene.drain();
    scene
}

fn unregister(scene: &mut Scene) {
    let now = scene.now;
    scene.endpoint.unregister(now);
    scene.drain();
}

fn happened(scene: &mut Scene) -> RegistrationEvent {
    scene.endpoint.poll_registration().unwrap()
}

fn registered(expires: Duration) -> RegistrationEvent {
    RegistrationEvent::Registered {
        expires,
        flow_timer: None,
    }
}

fn cseq(request: &Request) -> &str {
    request.headers.get("CSeq").unwrap()
}

const BINDING: &str =
    "Contact: <sip:other@192.0.2.3>;expires=9, <sip:gateway@198.51.100.1:5060>;expires=1800";

#[test]
fn a_registration_is_refreshed_before_its_binding_ends_in_one_call() {
    let mut scene = registering("sip:192.0.2.10");
    let first = scene.request();
    assert_eq!(first.uri, uri("sip:192.0.2.10"));
    assert_eq!(cseq(&first), "1 REGISTER");
    assert_eq!(first.headers.get("Expires"), Some("3600"));
    assert_eq!(
        first.headers.get("Contact"),
        Some("<sip:gateway@198.51.100.1:5060>")
    );
    assert_eq!(first.headers.get("To"), Some("<sip:gateway@example.org>"));
    scene.receive(&response(&first, 200, "r", &[BINDING, "Expires: 3600"], ""));
    let expires = Duration::from_secs(1800);
    assert_eq!(happened(&mut scene), registered(expires));
    scene.pass(seconds(1762.0));
    scene.assert_quiet();
    scene.pass(seconds(1.0));
    let second = scene.request();
    assert_eq!(cseq(&second), "2 REGISTER");
    for name in ["Call-ID", "From", "Contact"] {
        assert_eq!(second.headers.get(name), first.headers.get(name), "{name}");
    }
}

#[test]
fn what_is_granted_is_read_from_our_binding_then_from_expires_and_has_bounds() {
    for (lines, granted, refresh) in [
        (&["Expires: 600"][..], 600, 563.0),
        (
            &["Contact: <sip:gateway@198.51.100.1:5060>", "Expires: 60"],
            60,
            30.0,
        ),
        (&["Expires: 0"], 0, 5.0),
        (&["Expires: 999999"], 3600, 3563.0),
        (&[], 3600, 3563.0),
    ] {
        let mut scene = registering("sip:192.0.2.10");
        let first = scene.request();
        scene.receive(&response(&first, 200, "r", lines, ""));
        let expires = Duration::from_secs(granted);
        assert_eq!(happened(&mut scene), registered(expires));
        scene.pass(seconds(refresh - 0.5));
        scene.assert_quiet();
        scene.pass(seconds(0.5));
        assert_eq!(scene.request().method.as_str(), "REGISTER");
    }
}

#[test]
fn a_challenge_of_the_registrar_is_answered_and_the_next_request_counts_on() {
    let mut scene = Scene::with(config());
    scene.endpoint.set_credentials(vec![Credentials {
        realm: "example.org".to_owned(),
        username: "gateway".to_owned(),
        password: Password::new("rose"),
        server: uri("sip:192.0.2.10"),
    }]);
    let now = scene.now;
    scene.endpoint.register(parameters("sip:192.0.2.10"), now);
    scene.drain();
    let first = scene.request();
    let challenge = "WWW-Authenticate: Digest realm=\"example.org\", nonce=\"n\", qop=\"auth\"";
    scene.receive(&response(&first, 401, "r", &[challenge], ""));
    let second = scene.request();
    assert_eq!(cseq(&second), "2 REGISTER");
    assert!(
        second
            .headers
            .get("Authorization")
            .unwrap()
            .contains("uri=\"sip:192.0.2.10\"")
    );
    scene.receive(&response(&second, 200, "r", &["Expires: 60"], ""));
    assert!(matches!(
        happened(&mut scene),
        RegistrationEvent::Registered { .. }
    ));
    scene.pass(seconds(30.0));
    assert_eq!(cseq(&scene.request()), "3 REGISTER");
}

#[test]
fn a_refused_registration_is_tried_again_later_and_later() {
    let mut scene = registering("sip:192.0.2.10");
    let mut waits = Vec::new();
    for _ in 0..8 {
        let request = scene.request();
        scene.receive(&response(&request, 403, "r", &[], ""));
        let RegistrationEvent::Failed {
            status,
            local: false,
            retry_in,
        } = happened(&mut scene)
        else {
            panic!("no failure")
        };
        assert_eq!(status, StatusCode(403));
        waits.push(retry_in.as_secs());
        scene.pass(retry_in - seconds(0.1));
        scene.assert_quiet();
        scene.pass(seconds(0.1));
    }
    for (wait, longest) in waits.into_iter().zip([30, 60, 120, 240, 480, 960, 960, 960]) {
        assert!((longest / 2..=longest).contains(&wait), "{wait} {longest}");
    }
}

#[test]
fn retry_after_is_obeyed_within_an_hour() {
    for (asked, least) in [("600", 600), ("999999", 3600)] {
        let mut scene = registering("sip:192.0.2.10");
        let request = scene.request();
        scene.receive(&response(
            &request,
            503,
            "r",
            &[&format!("Retry-After: {asked}")],
            "",
        ));
        let RegistrationEvent::Failed { retry_in, .. } = happened(&mut scene) else {
            panic!("no failure")
        };
        assert_eq!(retry_in.as_secs(), least);
    }
}

#[test]
fn a_registrar_that_wants_longer_registrations_gets_one_at_once() {
    let mut scene = registering("sip:192.0.2.10");
    let request = scene.request();
    scene.receive(&response(&request, 423, "r", &["Min-Expires: 7200"], ""));
    let again = scene.request();
    assert_eq!(again.headers.get("Expires"), Some("7200"));
    scene.receive(&response(&again, 423, "r", &["Min-Expires: 7201"], ""));
    assert!(matches!(happened(&mut scene), RegistrationEvent::Failed { .. }));
}

#[test]
fn each_server_of_the_registrar_is_tried() {
    let mut scene = registering("sip:registrar.example.org");
    scene.resolved(&["192.0.2.10:5060", "192.0.2.11:5060", "192.0.2.12:5060"]);
    let sent = scene.transmit();
    assert_eq!(sent.target.peer.to_string(), "192.0.2.10:5060");
    scene.fail(&sent);
    let second = scene.request();
    scene.receive(&response(&second, 503, "r", &[], ""));
    let third = scene.transmit();
    assert_eq!(third.target.peer.to_string(), "192.0.2.12:5060");
    scene.fail(&third);
    let RegistrationEvent::Failed { status, local, .. } = happened(&mut scene) else {
        panic!("no failure")
    };
    assert_eq!((status, local), (StatusCode(503), true));
}

#[test]
fn unregistering_takes_the_binding_back_whatever_is_under_way() {
    let mut scene = registering("sip:192.0.2.10");
    let first = scene.request();
    unregister(&mut scene);
    // The answer to the registration must not overtake its end.
    scene.assert_quiet();
    scene.receive(&response(&first, 200, "r", &["Expires: 600"], ""));
    let last = scene.request();
    assert_eq!(last.headers.get("Expires"), Some("0"));
    assert!(scene.endpoint.has_registration());
    scene.receive(&response(&last, 200, "r", &[], ""));
    assert_eq!(happened(&mut scene), RegistrationEvent::Unregistered);
    assert!(!scene.endpoint.has_registration());
    scene.pass(seconds(7200.0));
    scene.assert_quiet();
    scene.assert_empty();
}

#[test]
fn what_was_never_bound_is_given_up_without_a_word() {
    let mut scene = registering("sip:192.0.2.10");
    let first = scene.request();
    scene.receive(&response(&first, 500, "r", &[], ""));
    assert!(matches!(happened(&mut scene), RegistrationEvent::Failed { .. }));
    unregister(&mut scene);
    assert_eq!(happened(&mut scene), RegistrationEvent::Unregistered);
    scene.pass(seconds(7200.0));
    scene.assert_quiet();
    scene.assert_empty();
}

#[test]
fn rfc5626_section_11_2_the_flow_timer_of_the_registrars_edge_is_told_with_its_connection() {
    let mut scene = registering("sip:192.0.2.10;transport=tcp");
    for (flow_timer, told) in [("25", 25), ("1", 10)] {
        let register = scene.request();
        let header = format!("Flow-Timer: {flow_timer}");
        scene.receive_on(
            crate::scene::tcp(4),
            &response(&register, 200, "r", &[&header, "Expires: 3600"], ""),
        );
        assert_eq!(
            happened(&mut scene),
            RegistrationEvent::Registered {
                expires: Duration::from_secs(3600),
                flow_timer: Some((sip::FlowId(4), Duration::from_secs(told))),
            }
        );
        scene.pass(seconds(3590.0));
    }
}
