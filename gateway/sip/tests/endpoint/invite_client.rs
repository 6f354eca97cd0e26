//! INVITE as caller: RFC 3261 §9.1, §12.1.2, §13.2, §17.1.1, §18.1.1, RFC 3263 §4.3, RFC 6026.

use crate::scene::{Ask, SDP, Scene, body, config, response, seconds, tcp};
use sip::{
    Command, Contact, DialogId, EndCause, Event, InviteParameters, NameAddr, Reason, Resolve, StatusCode,
    Target, Transport, Uri, message::Request,
};

pub(crate) const CALL: DialogId = DialogId(2);
const CONTACT: &str = "Contact: <sip:room@192.0.2.20:5080>;isfocus";

fn invite_to(uri: &str) -> Command {
    let uri: Uri = uri.parse().unwrap();
    let me: Uri = "sip:juliet@example.com".parse().unwrap();
    Command::Invite {
        dialog: CALL,
        parameters: Box::new(InviteParameters {
            from: NameAddr::new(me),
            to: NameAddr::new(uri.address_of_record()),
            uri,
            contact: Contact {
                user: Some("juliet".to_owned()),
                parameters: Vec::new(),
            },
            body: body(),
            headers: Vec::new(),
        }),
    }
}

/// An INVITE under way to 192.0.2.20 over UDP.
fn calling() -> (Scene, Request) {
    let mut scene = Scene::new();
    scene.command(invite_to("sip:room@192.0.2.20"));
    let invite = scene.request();
    (scene, invite)
}

/// A confirmed call, with the ACK taken.
pub(crate) fn answered() -> (Scene, Request) {
    let (mut scene, invite) = calling();
    scene.receive(&response(&invite, 200, "focus", &[CONTACT], SDP));
    assert_eq!(scene.request().method.as_str(), "ACK");
    assert!(matches!(scene.event(), Event::Answered { dialog: CALL, .. }));
    (scene, invite)
}

fn hang_up(reason: Option<Reason>) -> Command {
    Command::Bye { dialog: CALL, reason }
}

fn refused(status: u16, local: bool) -> Event {
    let phrase = if local {
        StatusCode(status).reason().to_owned()
    } else {
        "Whatever".to_owned()
    };
    Event::Refused {
        dialog: CALL,
        status: StatusCode(status),
        phrase,
        contact: None,
        local,
    }
}

// Rows: CSIP-01, E-07
#[test]
fn every_request_carries_the_mandatory_headers() {
    let (_, invite) = calling();
    assert!(invite.headers.get("Via").unwrap().contains(";branch=z9hG4bK"));
    assert_eq!(invite.headers.get("Max-Forwards"), Some("70"));
    assert!(invite.headers.get("From").unwrap().contains(";tag="));
    assert_eq!(invite.headers.get("To"), Some("<sip:room@192.0.2.20>"));
    assert_eq!(invite.headers.get("CSeq"), Some("1 INVITE"));
    assert_eq!(
        invite.headers.get("Contact"),
        Some("<sip:juliet@198.51.100.1:5060>")
    );
    assert_eq!(invite.headers.get("Content-Type"), Some("application/sdp"));
    assert_eq!(invite.body, SDP);
}

#[test]
fn timers_a_and_b_make_a_local_408() {
    let (mut scene, _) = calling();
    scene.pass(seconds(31.9));
    let times: Vec<u128> = scene.log().into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [500, 1500, 3500, 7500, 15_500, 31_500]);
    scene.pass(seconds(0.1));
    assert_eq!(scene.event(), refused(408, true));
    scene.assert_empty();
}

// Rows: CSIP-02, E-08
#[test]
fn a_2xx_gets_an_ack_of_its_own_and_again_when_it_is_retransmitted() {
    let (mut scene, invite) = calling();
    scene.receive(&response(&invite, 100, "", &[], ""));
    scene.receive(&response(&invite, 180, "focus", &[], ""));
    assert_eq!(
        scene.event(),
        Event::Progress {
            dialog: CALL,
            status: StatusCode(180)
        }
    );
    let ok = response(
        &invite,
        200,
        "focus",
        &[CONTACT, "Record-Route: <sip:192.0.2.1;lr>, <sip:192.0.2.2;lr=on>"],
        SDP,
    );
    scene.receive(&ok);
    let first = scene.transmit();
    assert_eq!(first.target.peer, "192.0.2.2:5060".parse().unwrap());
    scene.receive(&ok);
    let ack = scene.request();
    assert_eq!(ack.uri.to_string(), "sip:room@192.0.2.20:5080");
    assert_eq!(ack.headers.get("CSeq"), Some("1 ACK"));
    // RFC 3261 §12.1.2: the caller's route set is reversed.
    let routes: Vec<&str> = ack.headers.list("Route").collect();
    assert_eq!(routes, ["<sip:192.0.2.2;lr=on>", "<sip:192.0.2.1;lr>"]);
    assert_ne!(ack.headers.get("Via"), invite.headers.get("Via"));
    let Event::Answered { contact, body, .. } = scene.event() else {
        panic!()
    };
    assert!(contact.unwrap().parameter("isfocus").is_some());
    assert_eq!(body.unwrap().bytes, SDP);
    scene.assert_quiet();
    // Timer M.
    scene.pass(seconds(32.0));
    scene.receive(&ok);
    scene.assert_quiet();
    assert_eq!(scene.endpoint.census(), (1, 0, 0));
}

// Rows: G7702-05
#[test]
fn of_forked_2xx_the_first_wins_and_the_others_get_ack_and_bye() {
    let (mut scene, invite) = answered();
    scene.receive(&response(
        &invite,
        200,
        "other",
        &["Contact: <sip:other@192.0.2.30>"],
        SDP,
    ));
    let (ack, bye) = (scene.request(), scene.request());
    assert_eq!((ack.method.as_str(), bye.method.as_str()), ("ACK", "BYE"));
    assert!(ack.headers.get("To").unwrap().ends_with(";tag=other"));
    assert_eq!(
        (bye.uri.host(), bye.headers.get("CSeq")),
        ("192.0.2.30", Some("2 BYE"))
    );
    scene.answer(&bye, 200);
    scene.assert_quiet();
    assert_eq!(scene.endpoint.census().0, 1);
}

#[test]
fn a_failure_is_acknowledged_within_the_transaction_and_timer_d_repeats_it() {
    let (mut scene, invite) = calling();
    let busy = response(&invite, 486, "focus", &[], "");
    scene.receive(&busy);
    let ack = scene.request();
    assert_eq!(ack.headers.get("Via"), invite.headers.get("Via"));
    assert_eq!(ack.uri, invite.uri);
    assert!(ack.headers.get("To").unwrap().ends_with(";tag=focus"));
    assert_eq!(scene.event(), refused(486, false));
    scene.receive(&busy);
    assert_eq!(scene.titles(), ["ACK"]);
    assert!(scene.events.is_empty());
    scene.pass(seconds(32.0));
    scene.assert_empty();
}

#[test]
fn a_redirection_is_the_owners() {
    let (mut scene, invite) = calling();
    scene.receive(&response(
        &invite,
        302,
        "focus",
        &["Contact: <sip:elsewhere@192.0.2.99>"],
        "",
    ));
    let Event::Refused { status, contact, .. } = scene.event() else {
        panic!()
    };
    let there = contact.map(|contact| contact.uri.to_string());
    assert_eq!(
        (status.0, there.as_deref()),
        (302, Some("sip:elsewhere@192.0.2.99"))
    );
    assert_eq!(scene.titles(), ["ACK"]);
}

// Rows: CSIP-04
#[test]
fn cancel_waits_for_a_provisional_response() {
    let (mut scene, invite) = calling();
    let reason = Reason {
        cause: StatusCode(487),
        text: "left".to_owned(),
    };
    scene.command(hang_up(Some(reason)));
    scene.assert_quiet();
    scene.receive(&response(&invite, 100, "", &[], ""));
    let cancel = scene.request();
    assert_eq!(cancel.method.as_str(), "CANCEL");
    for name in ["Via", "From", "To", "Call-ID"] {
        assert_eq!(cancel.headers.get(name), invite.headers.get(name), "{name}");
    }
    assert_eq!(cancel.headers.get("CSeq"), Some("1 CANCEL"));
    assert_eq!(cancel.headers.get("Reason"), Some("SIP;cause=487;text=\"left\""));
    scene.receive(&response(&cancel, 200, "focus", &[], ""));
    scene.receive(&response(&invite, 180, "focus", &[], ""));
    assert!(scene.events.is_empty());
    scene.receive(&response(&invite, 487, "focus", &[], ""));
    assert_eq!(scene.titles(), ["ACK"]);
    assert_eq!(
        scene.event(),
        Event::Ended {
            dialog: CALL,
            cause: EndCause::ByUs
        }
    );
    scene.pass(seconds(33.0));
    scene.assert_quiet();
    scene.assert_empty();
}

// Rows: CSIP-04
#[test]
fn a_2xx_that_crosses_the_cancel_gets_ack_and_bye() {
    let (mut scene, invite) = calling();
    scene.receive(&response(&invite, 180, "focus", &[], ""));
    scene.event();
    scene.command(hang_up(None));
    assert_eq!(scene.titles(), ["CANCEL"]);
    scene.receive(&response(&invite, 200, "focus", &[CONTACT], SDP));
    let (ack, bye) = (scene.request(), scene.request());
    assert_eq!((ack.method.as_str(), bye.method.as_str()), ("ACK", "BYE"));
    assert!(scene.events.is_empty());
    scene.answer(&bye, 200);
    assert_eq!(
        scene.event(),
        Event::Ended {
            dialog: CALL,
            cause: EndCause::ByUs
        }
    );
    scene.pass(seconds(33.0));
    scene.titles();
    scene.assert_empty();
}

#[test]
fn a_cancelled_invite_without_final_response_is_over_after_64_t1() {
    let (mut scene, invite) = calling();
    scene.receive(&response(&invite, 180, "focus", &[], ""));
    scene.event();
    scene.command(hang_up(None));
    scene.pass(seconds(31.9));
    assert!(scene.events.is_empty());
    scene.pass(seconds(0.1));
    assert_eq!(
        scene.event(),
        Event::Ended {
            dialog: CALL,
            cause: EndCause::ByUs
        }
    );
    scene.assert_empty();
}

#[test]
fn timer_c_cancels_an_invite_that_rings_for_ever() {
    let (mut scene, invite) = calling();
    scene.receive(&response(&invite, 180, "focus", &[], ""));
    scene.event();
    scene.pass(seconds(180.0));
    scene.receive(&response(&invite, 180, "focus", &[], ""));
    scene.event();
    scene.pass(seconds(184.0));
    scene.assert_quiet();
    scene.pass(seconds(1.0));
    assert_eq!(scene.titles(), ["CANCEL"]);
    scene.pass(seconds(32.0));
    assert_eq!(scene.event(), refused(408, true));
    scene.assert_empty();
}

#[test]
fn a_bye_unanswered_ends_the_dialog_after_timer_f() {
    let (mut scene, _) = answered();
    scene.command(hang_up(None));
    scene.pass(seconds(32.0));
    assert_eq!(
        scene.event(),
        Event::Ended {
            dialog: CALL,
            cause: EndCause::ByUs
        }
    );
    scene.titles();
    scene.pass(seconds(1.0));
    scene.assert_empty();
}

#[test]
fn byes_that_cross_are_both_answered() {
    let (mut scene, invite) = answered();
    scene.command(hang_up(None));
    let ours = scene.request();
    let tag = invite
        .headers
        .get("From")
        .unwrap()
        .split(";tag=")
        .nth(1)
        .unwrap()
        .to_owned();
    let mut theirs = Ask::new("BYE", 77)
        .to(&tag)
        .call(invite.headers.get("Call-ID").unwrap());
    theirs.from_tag = "focus".to_owned();
    scene.ask(&theirs);
    assert_eq!(scene.titles(), ["200 BYE"]);
    assert_eq!(
        scene.event(),
        Event::Ended {
            dialog: CALL,
            cause: EndCause::ByUs
        }
    );
    scene.answer(&ours, 481);
    scene.pass(seconds(33.0));
    scene.assert_quiet();
    scene.assert_empty();
}

// Rows: CSIP-08
#[test]
fn host_names_are_looked_up_and_the_next_address_is_tried_on_failure() {
    let mut scene = Scene::new();
    scene.command(invite_to("sip:room@focus.example.com;transport=tcp"));
    assert!(scene.sent.is_empty());
    let Resolve {
        host,
        port,
        transport,
        ..
    } = scene.resolves.front().unwrap().clone();
    assert_eq!(
        (host.as_str(), port, transport),
        ("focus.example.com", None, Transport::Tcp)
    );
    scene.resolved(&["192.0.2.21:5060", "192.0.2.22:5062"]);
    let first = scene.transmit();
    assert_eq!(
        first.target,
        Target {
            transport: Transport::Tcp,
            flow: None,
            peer: "192.0.2.21:5060".parse().unwrap(),
            host: None,
        }
    );
    scene.fail(&first);
    let second = scene.transmit();
    assert_eq!(second.target.peer, "192.0.2.22:5062".parse().unwrap());
    scene.fail(&first);
    assert!(scene.events.is_empty());
    scene.fail(&second);
    assert_eq!(scene.event(), refused(503, true));
    scene.assert_empty();
}

// Rows: CSIP-08
#[test]
fn a_503_sends_the_request_to_the_next_address_under_a_new_branch() {
    let mut scene = Scene::new();
    scene.command(invite_to("sip:room@focus.example.com"));
    scene.resolved(&["192.0.2.21:5060", "192.0.2.22:5060"]);
    let first = scene.request();
    scene.receive(&response(&first, 503, "x", &[], ""));
    assert_eq!(scene.request().method.as_str(), "ACK");
    let second = scene.request();
    assert_ne!(first.headers.get("Via"), second.headers.get("Via"));
    assert_eq!(first.headers.get("Call-ID"), second.headers.get("Call-ID"));
    scene.receive(&response(&second, 503, "x", &[], ""));
    assert_eq!(scene.event(), refused(503, false));
}

#[test]
fn no_address_is_a_local_503_and_no_dns_answer_a_local_408() {
    let mut scene = Scene::new();
    scene.command(invite_to("sip:room@nowhere.example.com"));
    scene.resolved(&[]);
    assert_eq!(scene.event(), refused(503, true));
    scene.command(invite_to("sip:room@silent.example.com"));
    scene.pass(seconds(32.0));
    assert_eq!(scene.event(), refused(408, true));
    scene.command(invite_to("tel:+15551234"));
    scene.pass(seconds(0.0));
    assert_eq!(scene.event(), refused(503, true));
    scene.assert_empty();
}

// Rows: C7247-02
#[test]
fn a_request_over_1300_octets_leaves_udp_for_tcp_and_returns_if_refused() {
    let mut scene = Scene::new();
    let Command::Invite { mut parameters, .. } = invite_to("sip:room@192.0.2.20") else {
        panic!()
    };
    parameters.body.bytes = vec![b'a'; 1300].into();
    scene.command(Command::Invite {
        dialog: CALL,
        parameters,
    });
    let over_tcp = scene.transmit();
    assert_eq!(over_tcp.target.transport, Transport::Tcp);
    assert!(over_tcp.bytes.windows(11).any(|octets| octets == b"SIP/2.0/TCP"));
    scene.fail(&over_tcp);
    assert_eq!(scene.transmit().target.transport, Transport::Udp);

    let mut only_udp = config();
    only_udp.local.retain(|local| local.transport == Transport::Udp);
    let mut scene = Scene::with(only_udp);
    let Command::Invite { mut parameters, .. } = invite_to("sip:room@192.0.2.20") else {
        panic!()
    };
    parameters.body.bytes = vec![b'a'; 1300].into();
    scene.command(Command::Invite {
        dialog: CALL,
        parameters,
    });
    assert_eq!(scene.transmit().target.transport, Transport::Udp);
}

#[test]
fn the_outbound_proxy_is_a_preloaded_route() {
    let mut proxied = config();
    proxied.outbound_proxy = Some("sip:192.0.2.5:5066;transport=tcp;lr".parse().unwrap());
    let mut scene = Scene::with(proxied);
    scene.command(invite_to("sip:room@focus.example.com"));
    assert!(scene.resolves.is_empty());
    let target = scene.sent.front().unwrap().1.target.clone();
    assert_eq!(
        (target.transport, target.peer),
        (Transport::Tcp, "192.0.2.5:5066".parse().unwrap())
    );
    let invite = scene.request();
    assert_eq!(
        invite.headers.get("Route"),
        Some("<sip:192.0.2.5:5066;transport=tcp;lr>")
    );
    assert_eq!(
        invite.headers.get("Contact"),
        Some("<sip:juliet@198.51.100.1:5060;transport=tcp>")
    );
    // On TCP nothing is retransmitted.
    scene.pass(seconds(31.0));
    scene.assert_quiet();
    // The Route set of the answer replaces the pre-loaded one; the response's connection is known to lead to that proxy.
    let ok = response(
        &invite,
        200,
        "focus",
        &[CONTACT, "Record-Route: <sip:192.0.2.10;transport=tcp;lr>"],
        SDP,
    );
    scene.receive_on(tcp(9), &ok);
    let ack = scene.transmit();
    assert_eq!(
        (ack.target.flow, ack.target.peer),
        (tcp(9).id, "192.0.2.10:5060".parse().unwrap())
    );
}

#[test]
fn an_unsent_call_is_given_up_without_a_word() {
    let mut scene = Scene::new();
    scene.command(invite_to("sip:room@focus.example.com"));
    scene.command(hang_up(None));
    assert_eq!(
        scene.event(),
        Event::Ended {
            dialog: CALL,
            cause: EndCause::ByUs
        }
    );
    scene.resolved(&["192.0.2.21:5060"]);
    scene.assert_quiet();
    scene.assert_empty();
}

// Rows: E-07
#[test]
fn responses_that_match_nothing_are_ignored() {
    let (mut scene, invite) = answered();
    let mut stranger = invite.clone();
    stranger.headers.0[0].value = "SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKother".to_owned();
    scene.receive(&response(&stranger, 200, "z", &[CONTACT], ""));
    let astray = response(
        &invite,
        180,
        "z",
        &["Via: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKz"],
        "",
    );
    scene.receive(&astray);
    scene.receive(&response(&invite, 486, "z", &[], ""));
    scene.receive(&response(&invite, 200, "focus", &[CONTACT], "").replace("1 INVITE", "1 OPTIONS"));
    scene.assert_quiet();
}

#[test]
fn on_a_reliable_transport_timer_d_is_zero() {
    let mut scene = Scene::new();
    scene.command(invite_to("sip:room@192.0.2.20;transport=tcp"));
    let invite = scene.request();
    scene.receive_on(tcp(3), &response(&invite, 404, "focus", &[], ""));
    assert_eq!(scene.titles(), ["ACK"]);
    assert_eq!(scene.event(), refused(404, false));
    scene.assert_empty();
}

#[test]
fn a_call_given_up_is_not_tried_elsewhere() {
    let mut scene = Scene::new();
    scene.command(invite_to("sip:room@focus.example.com"));
    scene.resolved(&["192.0.2.21:5060", "192.0.2.22:5060"]);
    let invite = scene.request();
    scene.receive(&response(&invite, 180, "focus", &[], ""));
    scene.event();
    scene.command(hang_up(None));
    assert_eq!(scene.titles(), ["CANCEL"]);
    scene.receive(&response(&invite, 503, "focus", &[], ""));
    assert_eq!(scene.titles(), ["ACK"]);
    assert_eq!(
        scene.event(),
        Event::Ended {
            dialog: CALL,
            cause: EndCause::ByUs
        }
    );
}

#[test]
fn the_peers_reinvite_in_our_call_is_accepted_without_a_second_confirmation() {
    let (mut scene, invite) = answered();
    let tag = invite
        .headers
        .get("From")
        .unwrap()
        .split(";tag=")
        .nth(1)
        .unwrap()
        .to_owned();
    let from_focus = |method, cseq| {
        let mut ask = Ask::new(method, cseq)
            .to(&tag)
            .call(invite.headers.get("Call-ID").unwrap());
        ask.from_tag = "focus".to_owned();
        ask
    };
    scene.ask(&from_focus("INVITE", 9).body(SDP));
    let Event::Reinvited {
        dialog: CALL, due, ..
    } = scene.event()
    else {
        panic!()
    };
    let contact = Contact {
        user: Some("juliet".to_owned()),
        parameters: Vec::new(),
    };
    scene.command(Command::Accept {
        due,
        contact,
        body: body(),
    });
    assert_eq!(scene.titles(), ["200 INVITE"]);
    scene.ask(&from_focus("ACK", 9).branch("z9hG4bK-other"));
    scene.pass(seconds(40.0));
    scene.assert_quiet();
}

#[test]
fn the_ack_to_a_host_name_is_sent_once_it_is_known() {
    let (mut scene, invite) = calling();
    let ok = response(
        &invite,
        200,
        "focus",
        &["Contact: <sip:room@focus.example.com>"],
        SDP,
    );
    scene.receive(&ok);
    scene.event();
    scene.receive(&ok);
    scene.assert_quiet();
    scene.resolved(&["192.0.2.40:5060"]);
    assert_eq!(scene.transmit().target.peer, "192.0.2.40:5060".parse().unwrap());
    scene.receive(&ok);
    assert_eq!(scene.titles(), ["ACK"]);
}

#[test]
fn rfc3261_section_26_2_2_sips_and_transport_tls_go_over_tls_and_to_nobody_else() {
    let mut secured = config();
    secured.local.push(sip::LocalAddress {
        transport: Transport::Tls,
        host: "gateway.example.com".to_owned(),
        port: 5061,
    });
    for (uri, transport, port) in [
        ("sips:room@focus.example.com", Transport::Tls, 5061),
        ("sips:room@focus.example.com;transport=tcp", Transport::Tls, 5061),
        ("sip:room@focus.example.com;transport=tls", Transport::Tls, 5061),
        (
            "sip:room@focus.example.com:5071;transport=TLS",
            Transport::Tls,
            5071,
        ),
        ("sip:room@focus.example.com;transport=tcp", Transport::Tcp, 5060),
    ] {
        let mut scene = Scene::with(secured.clone());
        scene.command(invite_to(uri));
        let resolve = scene.resolves.front().unwrap();
        assert_eq!(resolve.transport, transport, "{uri}");
        assert!(resolve.choice.is_empty(), "{uri}: {:?}", resolve.choice);
        scene.resolved(&[&format!("192.0.2.21:{port}")]);
        let transmit = scene.transmit();
        let is_tls = transport == Transport::Tls;
        assert_eq!(transmit.target.transport, transport, "{uri}");
        assert_eq!(
            transmit.target.host.as_deref(),
            is_tls.then_some("focus.example.com"),
            "{uri}"
        );
        let text = String::from_utf8(transmit.bytes.to_vec()).unwrap();
        assert_eq!(
            text.contains("Via: SIP/2.0/TLS gateway.example.com:5061;"),
            is_tls,
            "{text}"
        );
        assert_eq!(
            text.contains("Contact: <sip:juliet@gateway.example.com:5061;transport=tls>"),
            is_tls,
            "{text}"
        );
    }
}

#[test]
fn rfc3261_21_3_a_redirection_says_where_to() {
    let (mut scene, invite) = calling();
    let elsewhere = "Contact: <sip:room@192.0.2.30>";
    scene.receive(&response(&invite, 302, "focus", &[elsewhere], ""));
    let Event::Refused {
        status: StatusCode(302),
        contact: Some(contact),
        ..
    } = scene.event()
    else {
        panic!("no redirection");
    };
    assert_eq!(contact.uri.to_string(), "sip:room@192.0.2.30");
}

#[test]
fn rfc5627_a_gr_in_our_contact_is_a_parameter_of_its_uri() {
    let mut scene = Scene::new();
    let Command::Invite {
        dialog,
        mut parameters,
    } = invite_to("sip:room@192.0.2.20")
    else {
        unreachable!()
    };
    parameters.contact.parameters = vec![("gr", Some("bal cony".to_owned())), ("isfocus", None)];
    scene.command(Command::Invite { dialog, parameters });
    let contact = scene.request().headers.get("Contact").unwrap().to_owned();
    assert!(contact.ends_with(";gr=bal%20cony>;isfocus"), "{contact}");
}
