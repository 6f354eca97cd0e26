//! Who is believed, and what strangers meet.

use sip::{Command, Event, Flow, FlowId, Incoming, LocalAddress, Transport, Trust, Unlisted};

use crate::{
    scene::{Ask, Scene, config, tcp, udp},
    subscriber::{notify, subscribe},
};

const ASSERTED: &str = "P-Asserted-Identity: \"Juliet\" <sip:juliet@example.com>, <tel:+15551234>";

fn trusting(networks: &[&str], names: &[&str], unlisted: Unlisted) -> Scene {
    let mut scene = Scene::with(config());
    scene.endpoint.set_trust(Trust {
        networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        unlisted,
    });
    scene
}

fn invited(scene: &mut Scene, ask: &Ask, flow: Flow) -> Box<Incoming> {
    scene.receive_on(flow, &ask.text());
    scene.sent.clear();
    match scene.event() {
        Event::Invited { request, .. } => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rfc3325_section_9_1_a_trusted_peers_assertion_is_who_the_caller_is() {
    let mut scene = trusting(&["192.0.2.0/24"], &[], Unlisted::Serve);
    let ask = Ask::invite().header(ASSERTED).header("Privacy: critical;id");
    let request = invited(&mut scene, &ask, udp());
    assert_eq!(request.identity().uri.to_string(), "sip:juliet@example.com");
    assert_eq!(request.identity().display_name.as_deref(), Some("Juliet"));
    assert_eq!(request.from.uri.to_string(), "sip:romeo@example.org");
    assert!(request.anonymous);
}

#[test]
fn rfc3325_section_9_1_a_sip_identity_comes_before_a_telephone_number_wherever_it_stands() {
    let mut scene = trusting(&["192.0.2.10"], &[], Unlisted::Serve);
    let ask = Ask::invite()
        .header("P-Asserted-Identity: <tel:+15551234>")
        .header("P-Asserted-Identity: <sip:juliet@example.com>");
    let request = invited(&mut scene, &ask, udp());
    assert_eq!(request.identity().uri.to_string(), "sip:juliet@example.com");
}

#[test]
fn rfc3325_section_5_what_a_stranger_asserts_is_taken_away() {
    let mut scene = trusting(&["198.51.100.0/24"], &["proxy.example.com"], Unlisted::Serve);
    let ask = Ask::invite().header(ASSERTED).header("Privacy: id");
    let request = invited(&mut scene, &ask, udp());
    // To be let alone anybody may ask.
    assert_eq!((request.asserted.as_ref(), request.anonymous), (None, true));
    assert_eq!(request.identity().uri.to_string(), "sip:romeo@example.org");
    assert_eq!(request.headers.get("P-Asserted-Identity"), None);
}

#[test]
fn rfc5922_section_7_1_a_name_in_the_verified_certificate_is_trusted_until_its_connection_closes() {
    let mut scene = trusting(&[], &["proxy.example.com"], Unlisted::Serve);
    let flow = tcp(7);
    let ask = |n: u32| {
        Ask::invite()
            .over("TCP")
            .branch(&format!("z9hG4bK-{n}"))
            .call(&format!("call-{n}"))
            .header(ASSERTED)
    };
    scene.endpoint.handle_verified(
        flow.id.unwrap(),
        vec!["other.example.com".to_owned(), "Proxy.Example.COM".to_owned()],
    );
    assert!(invited(&mut scene, &ask(1), flow).asserted.is_some());
    assert!(invited(&mut scene, &ask(2), tcp(8)).asserted.is_none());
    scene.endpoint.handle_closed(flow.id.unwrap());
    assert!(invited(&mut scene, &ask(3), flow).asserted.is_none());
}

#[test]
fn strangers_are_refused_without_a_transaction_when_so_configured() {
    let mut scene = trusting(&["198.51.100.0/24"], &[], Unlisted::Refuse);
    for method in ["INVITE", "SUBSCRIBE", "MESSAGE", "REFER", "OPTIONS"] {
        scene.ask(&Ask::new(method, 1));
        assert_eq!(scene.response().status.0, 403, "{method}");
    }
    scene.assert_quiet();
    scene.assert_empty();
}

#[test]
fn strangers_get_no_answer_at_all_when_so_configured() {
    let mut scene = trusting(&["198.51.100.0/24"], &[], Unlisted::Ignore);
    scene.ask(&Ask::invite());
    scene.ask(&Ask::new("CANCEL", 1));
    scene.ask(&Ask::new("BYE", 2).to("no-such-tag"));
    scene.receive("INVITE sip:x@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10\r\nCSeq: what\r\n\r\n");
    scene.assert_quiet();
    scene.assert_empty();
}

#[test]
fn a_stranger_in_a_dialog_is_known_by_its_tags() {
    let mut scene = trusting(&["192.0.2.10"], &[], Unlisted::Ignore);
    let (_, tag) = scene.established(&Ask::invite());
    let elsewhere = Flow {
        peer: "203.0.113.5:5060".parse().unwrap(),
        ..udp()
    };
    scene.receive_on(elsewhere, &Ask::new("INFO", 2).to("other-tag").text());
    scene.assert_quiet();
    scene.receive_on(elsewhere, &Ask::new("BYE", 3).to(&tag).text());
    assert_eq!(scene.response().status.0, 200);
}

#[test]
fn rfc6665_section_4_4_1_a_notify_that_overtakes_its_200_is_heard_though_its_sender_is_not_listed() {
    let mut scene = trusting(&["198.51.100.1"], &[], Unlisted::Ignore);
    scene.command(subscribe(600));
    let opening = scene.request();
    scene.ask(&notify(&opening, 1, "focus", "conference", "active;expires=600"));
    assert_eq!(scene.response().status.0, 200);
}

/// An endpoint that speaks TLS, and its connection from a peer whose certificate names `name`.
fn over_tls(name: &str) -> (Scene, Flow) {
    let mut config = config();
    config.local = vec![LocalAddress {
        transport: Transport::Tls,
        host: "gateway.example.com".to_owned(),
        port: 5061,
    }];
    let mut scene = Scene::with(config);
    let flow = Flow {
        transport: Transport::Tls,
        ..tcp(5)
    };
    scene.endpoint.handle_verified(FlowId(5), vec![name.to_owned()]);
    (scene, flow)
}

/// An OPTIONS whose sent-by host offers its connection.
fn offer(host: &str) -> String {
    Ask::new("OPTIONS", 1).over("TLS").text().replace(
        "TLS 192.0.2.10:5060;branch",
        &format!("TLS {host}:5071;alias;branch"),
    )
}

/// The connection that a SUBSCRIBE of ours to this host, found at the peer's address, goes on.
fn connection_of_subscribe(scene: &mut Scene, host: &str, address: &str) -> Option<FlowId> {
    let Command::Subscribe {
        subscription,
        mut parameters,
    } = subscribe(600)
    else {
        unreachable!()
    };
    parameters.uri = format!("sips:room@{host}").parse().unwrap();
    scene.command(Command::Subscribe {
        subscription,
        parameters,
    });
    scene.resolved(&[address]);
    let target = scene.transmit().target;
    assert_eq!(
        (target.transport, target.host.as_deref()),
        (Transport::Tls, Some(host))
    );
    target.flow
}

#[test]
fn rfc5923_section_7_2_a_verified_peers_connection_carries_our_requests_to_it() {
    let (mut scene, flow) = over_tls("proxy.example.com");
    scene.receive_on(flow, &offer("proxy.example.com"));
    scene.sent.clear();
    let used = connection_of_subscribe(&mut scene, "proxy.example.com", "192.0.2.10:5071");
    assert_eq!(used, Some(FlowId(5)));
}

#[test]
fn rfc5923_section_9_no_connection_is_lent_in_anothers_name_or_for_another_address() {
    // The certificate does not name the sent-by host; the request is for another host at that address; or for another port.
    for (name, sent_by, host, address) in [
        (
            "mallory.example.com",
            "proxy.example.com",
            "proxy.example.com",
            "192.0.2.10:5071",
        ),
        (
            "proxy.example.com",
            "proxy.example.com",
            "bank.example.com",
            "192.0.2.10:5071",
        ),
        (
            "proxy.example.com",
            "proxy.example.com",
            "proxy.example.com",
            "192.0.2.10:5061",
        ),
    ] {
        let (mut scene, flow) = over_tls(name);
        scene.receive_on(flow, &offer(sent_by));
        scene.sent.clear();
        let used = connection_of_subscribe(&mut scene, host, address);
        assert_eq!(used, None, "{name} {sent_by} {host} {address}");
    }
}

#[test]
fn rfc5923_section_7_2_a_closed_connection_is_lent_no_more() {
    let (mut scene, flow) = over_tls("proxy.example.com");
    scene.receive_on(flow, &offer("proxy.example.com"));
    scene.sent.clear();
    scene.endpoint.handle_closed(FlowId(5));
    let used = connection_of_subscribe(&mut scene, "proxy.example.com", "192.0.2.10:5071");
    assert_eq!(used, None);
}
