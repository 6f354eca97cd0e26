//! RFC 4976 §5: the client of relays.

use std::time::Duration;

use msrp::{
    Command, Event, Limits, SessionParameters, Status, Uri,
    frame::{Frame, Kind, Method},
    relay::{Account, Algorithm, Grant, Parameters, Refusal},
};

use crate::peer::Peer;

const ALICE: &str = "msrps://alice.example.com:9892/98cjs;tcp";
const INTRA: &str = "msrps://alice@intra.example.com;tcp";
const EXTRA: &str = "msrps://extra.example.com;tcp";
const INTRA_PATH: &str = "msrps://intra.example.com:9000/jui787s2f;tcp";
const EXTRA_PATH: &str = "msrps://extra.example.com:9000/mywdEe1233;tcp";
const BOB: &str = "msrps://bob.example.net:8145/foo1;tcp";

fn parameters(relays: &[&str]) -> Parameters {
    Parameters {
        local: ALICE.parse().unwrap(),
        relays: relays.iter().map(|relay| relay.parse().unwrap()).collect(),
        account: Account {
            username: "Alice".to_owned(),
            password: "secret".to_owned(),
        },
        lifetime: None,
        weakest: Algorithm::Md5,
        plaintext: false,
    }
}

fn session() -> msrp::SessionId {
    "98cjs".parse().unwrap()
}

/// Begins to ask.
fn asking(parameters: Parameters) -> (Peer, Frame) {
    let mut peer = Peer::new(Limits::default());
    peer.command(Command::Authorize(parameters));
    let request = asked(&mut peer);
    (peer, request)
}

/// The one AUTH that goes out.
fn asked(peer: &mut Peer) -> Frame {
    let mut frames = peer.hears_frames();
    assert_eq!(frames.len(), 1, "{frames:?}");
    let frame = frames.remove(0);
    assert_eq!(frame.kind, Kind::Request(Method::Auth));
    frame
}

fn respond(peer: &mut Peer, request: &Frame, status: &str, headers: &[&str]) -> Vec<Event> {
    let mut text = format!(
        "MSRP {} {status}\r\nTo-Path: {}\r\nFrom-Path: {}\r\n",
        request.transaction, request.from, request.to
    );
    for header in headers {
        text += &format!("{header}\r\n");
    }
    peer.says(text + &format!("-------{}$\r\n", request.transaction))
}

fn challenge(realm: &str, nonce: &str) -> String {
    format!("WWW-Authenticate: Digest realm=\"{realm}\", qop=\"auth\", nonce=\"{nonce}\"")
}

fn refusal(events: Vec<Event>) -> Refusal {
    match events.into_iter().next() {
        Some(Event::Unauthorized { refusal, .. }) => refusal,
        other => panic!("no refusal but {other:?}"),
    }
}

fn grant(events: Vec<Event>) -> Grant {
    match events.into_iter().next() {
        Some(Event::Authorized { grant, .. }) => grant,
        other => panic!("no grant but {other:?}"),
    }
}

/// The flow that the section prints, without the forwarding by the inner relay.
// Rows: C4975-41
#[test]
fn rfc4976_5_1_two_relays_one_through_the_other() {
    let (mut peer, first) = asking(parameters(&[INTRA, EXTRA]));
    assert_eq!(
        (first.to.to_string().as_str(), first.from.to_string().as_str()),
        (INTRA, ALICE)
    );
    assert_eq!(first.headers.named("Authorization"), None);
    let intra = challenge("intra.example.com", "dcd98b71");
    assert_eq!(respond(&mut peer, &first, "401 Unauthorized", &[&intra]), []);

    let second = asked(&mut peer);
    assert_ne!(second.transaction, first.transaction);
    let credentials = second.headers.named("Authorization").unwrap();
    for part in [
        "Digest username=\"Alice\"",
        "realm=\"intra.example.com\"",
        "nonce=\"dcd98b71\"",
        "uri=\"msrps://alice@intra.example.com;tcp\"",
        "qop=auth",
        "nc=00000001",
    ] {
        assert!(credentials.contains(part), "{credentials}");
    }
    let use_path = format!("Use-Path: {INTRA_PATH}");
    assert_eq!(
        respond(&mut peer, &second, "200 OK", &[&use_path, "Expires: 900"]),
        []
    );

    // To the outer relay through the inner one.
    let third = asked(&mut peer);
    assert_eq!(third.to.to_string(), format!("{INTRA_PATH} {EXTRA}"));
    let extra = challenge("extra.example.com", "Uumu8cAV");
    assert_eq!(respond(&mut peer, &third, "401 Unauthorized", &[&extra]), []);
    let fourth = asked(&mut peer);
    let uri = "uri=\"msrps://extra.example.com;tcp\"";
    assert!(fourth.headers.named("Authorization").unwrap().contains(uri));
    let use_path = format!("Use-Path: {INTRA_PATH} {EXTRA_PATH}");
    let granted = grant(respond(
        &mut peer,
        &fourth,
        "200 OK",
        &[&use_path, "Expires: 1800"],
    ));
    assert_eq!(granted.use_path.to_string(), format!("{INTRA_PATH} {EXTRA_PATH}"));
    assert_eq!(granted.expires, Some(peer.now + Duration::from_secs(900)));

    // Requests go through both, to the path of the peer; responses and REPORTs find us by our own URI.
    let local = granted.offered_path(&ALICE.parse().unwrap());
    assert_eq!(local.to_string(), format!("{EXTRA_PATH} {INTRA_PATH} {ALICE}"));
    let remote = BOB.parse().unwrap();
    peer.command(Command::Open(SessionParameters { local, remote }));
    let bind = peer.hears_frames().remove(0);
    assert_eq!(bind.to.to_string(), format!("{INTRA_PATH} {EXTRA_PATH} {BOB}"));
    assert_eq!(bind.from.to_string(), ALICE);
}

/// RFC 4975 §7.2, RFC 4976 §3: a SEND is answered to the relay before us, a NICKNAME and a REPORT go all the way back.
#[test]
fn rfc4976_3_responses_hop_by_hop_and_reports_all_the_way() {
    let mut peer = Peer::secured(Limits::default());
    let local = format!("{INTRA_PATH} {ALICE}").parse().unwrap();
    let remote = format!("{EXTRA_PATH} {BOB}").parse().unwrap();
    peer.command(Command::Bind(SessionParameters { local, remote }));
    let from = format!("{INTRA_PATH} {EXTRA_PATH} {BOB}");
    let request = |method: &str, id: &str, rest: &str| {
        format!("MSRP {id} {method}\r\nTo-Path: {ALICE}\r\nFrom-Path: {from}\r\n{rest}-------{id}$\r\n")
    };
    let events = peer.says(request(
        "SEND",
        "tid1",
        "Message-ID: 87652\r\nSuccess-Report: yes\r\nByte-Range: 1-2/2\r\nContent-Type: text/plain\r\n\r\nHi\r\n",
    ));
    peer.answer(events, Status::OK);
    let [response, report] = peer.hears_frames().try_into().unwrap();
    assert_eq!(
        (
            response.to.to_string().as_str(),
            response.from.to_string().as_str()
        ),
        (INTRA_PATH, ALICE)
    );
    assert_eq!(report.kind, Kind::Request(Method::Report));
    assert_eq!(
        (report.to.to_string(), report.from.to_string().as_str()),
        (from.clone(), ALICE)
    );

    let events = peer.says(request("NICKNAME", "tid2", "Use-Nickname: \"a\"\r\n"));
    peer.answer(events, Status::OK);
    let response = peer.hears_frames().remove(0);
    assert_eq!(response.to.to_string(), from);
}

#[test]
fn rfc4976_9_1_refused_credentials() {
    let wrong = challenge("r", "n2");
    let stale = format!("{wrong}, stale=true");
    for (second, expected) in [
        (wrong.as_str(), Some("wrong user name or password")),
        (stale.as_str(), None),
        (
            "WWW-Authenticate: Basic realm=\"r\"",
            Some("RFC 4976 §9.1: a scheme other than Digest"),
        ),
        ("X: y", Some("RFC 4976 §5.1: a 401 without WWW-Authenticate")),
    ] {
        let (mut peer, request) = asking(parameters(&[INTRA]));
        respond(&mut peer, &request, "401 Unauthorized", &[&challenge("r", "n1")]);
        let request = asked(&mut peer);
        let events = respond(&mut peer, &request, "401 Unauthorized", &[second]);
        match expected {
            Some(why) => assert_eq!(
                refusal(events),
                Refusal::Credentials {
                    relay: INTRA.parse().unwrap(),
                    why
                }
            ),
            None => assert!(
                asked(&mut peer)
                    .headers
                    .named("Authorization")
                    .unwrap()
                    .contains("nonce=\"n2\"")
            ),
        }
    }
}

#[test]
fn rfc7616_3_7_the_strongest_algorithm_is_taken() {
    let md5 = challenge("r", "weak");
    let sha = format!("{}, algorithm=SHA-256", challenge("r", "strong"));
    let (mut peer, request) = asking(parameters(&[INTRA]));
    respond(&mut peer, &request, "401 Unauthorized", &[&md5, &sha]);
    let credentials = asked(&mut peer)
        .headers
        .named("Authorization")
        .unwrap()
        .to_owned();
    assert!(credentials.contains("nonce=\"strong\"") && credentials.contains("algorithm=SHA-256"));
    let strict = Parameters {
        weakest: Algorithm::Sha256,
        ..parameters(&[INTRA])
    };
    let (mut peer, request) = asking(strict);
    let events = respond(&mut peer, &request, "401 Unauthorized", &[&md5]);
    assert!(matches!(
        refusal(events),
        Refusal::Credentials {
            why: "a hash weaker than allowed",
            ..
        }
    ));
}

#[test]
fn a_relay_that_challenges_for_ever_is_given_up() {
    let (mut peer, mut request) = asking(parameters(&[INTRA]));
    for number in 1..5 {
        let stale = format!("{}, stale=true", challenge("r", &format!("n{number}")));
        assert_eq!(respond(&mut peer, &request, "401 Unauthorized", &[&stale]), []);
        request = asked(&mut peer);
    }
    let stale = format!("{}, stale=true", challenge("r", "n5"));
    let events = respond(&mut peer, &request, "401 Unauthorized", &[&stale]);
    assert!(matches!(refusal(events), Refusal::Credentials { .. }));
}

#[test]
fn rfc4976_4_6_lifetimes_out_of_bounds() {
    for (asks, bounds, again) in [
        (Some(10), &["Min-Expires: 60"][..], Some(Some(60))),
        (Some(9000), &["Max-Expires: 3600"], Some(Some(3600))),
        (
            Some(10),
            &["Min-Expires: 60", "Max-Expires: 3600"],
            Some(Some(60)),
        ),
        (Some(100), &["Min-Expires: 60"], Some(None)),
        (Some(100), &[], Some(None)),
        (None, &["Min-Expires: 60"], Some(Some(60))),
        (None, &[], None),
    ] {
        let (mut peer, request) = asking(Parameters {
            lifetime: asks,
            ..parameters(&[INTRA])
        });
        assert_eq!(request.headers.expires(), asks);
        let events = respond(&mut peer, &request, "423 Interval Out-of-Bounds", bounds);
        match again {
            Some(lifetime) => assert_eq!(asked(&mut peer).headers.expires(), lifetime, "{bounds:?}"),
            None => assert_eq!(
                refusal(events),
                Refusal::Answered {
                    relay: INTRA.parse().unwrap(),
                    status: Status::OUT_OF_BOUNDS
                }
            ),
        }
    }
}

#[test]
fn rfc4976_4_2_answers_that_are_none() {
    let use_path = format!("Use-Path: {INTRA_PATH}");
    for (status, headers, is_expected) in [
        ("403 Forbidden", &[][..], Status::FORBIDDEN.code()),
        ("500 Broken", &[], 500),
        ("200 OK", &[], 0),
        ("200 OK", &["Use-Path: nowhere"], 0),
        ("200 OK", &[use_path.as_str(), "Expires: 0"], 0),
    ] {
        let (mut peer, request) = asking(parameters(&[INTRA]));
        match refusal(respond(&mut peer, &request, status, headers)) {
            Refusal::Answered { status, .. } => assert_eq!(status.code(), is_expected),
            Refusal::Relay { .. } => assert_eq!(is_expected, 0, "{headers:?}"),
            other => panic!("{other}"),
        }
        assert_eq!(peer.connection.poll_timeout(), None);
    }
}

#[test]
fn rfc4976_9_4_a_relay_that_does_not_know_the_password() {
    let (mut peer, request) = asking(parameters(&[INTRA]));
    respond(&mut peer, &request, "401 Unauthorized", &[&challenge("r", "n1")]);
    let request = asked(&mut peer);
    let use_path = format!("Use-Path: {INTRA_PATH}");
    let info = "Authentication-Info: rspauth=\"7327570c586207eca2afae94fc20903d\", qop=auth";
    let events = respond(&mut peer, &request, "200 OK", &[&use_path, info]);
    assert!(matches!(refusal(events), Refusal::Relay { .. }));
}

#[test]
fn rfc4976_9_1_renewal_uses_the_next_nonce_or_counts_on() {
    for (info, nonce, count) in [
        ("X: y", "nonce=\"n1\"", "nc=00000002"),
        (
            "Authentication-Info: nextnonce=\"n2\"",
            "nonce=\"n2\"",
            "nc=00000001",
        ),
    ] {
        let (mut peer, request) = asking(parameters(&[INTRA]));
        respond(&mut peer, &request, "401 Unauthorized", &[&challenge("r", "n1")]);
        let request = asked(&mut peer);
        let use_path = format!("Use-Path: {INTRA_PATH}");
        grant(respond(
            &mut peer,
            &request,
            "200 OK",
            &[&use_path, "Expires: 100", info],
        ));
        let due = peer.now + Duration::from_secs(80);
        assert_eq!(peer.connection.poll_timeout(), Some(due));
        assert_eq!(peer.pass(Duration::from_secs(79)), []);
        assert_eq!(peer.hears(), "");
        assert_eq!(peer.pass(Duration::from_secs(1)), []);
        let renewal = asked(&mut peer);
        let credentials = renewal.headers.named("Authorization").unwrap();
        assert!(
            credentials.contains(nonce) && credentials.contains(count),
            "{credentials}"
        );
        let renewed = grant(respond(
            &mut peer,
            &renewal,
            "200 OK",
            &[&use_path, "Expires: 100"],
        ));
        assert_eq!(renewed.expires, Some(peer.now + Duration::from_secs(100)));
        peer.command(Command::Unbind(session()));
        assert_eq!(peer.connection.poll_timeout(), None);
    }
}

#[test]
fn a_relay_that_does_not_answer() {
    let (mut peer, _) = asking(parameters(&[INTRA]));
    assert_eq!(
        refusal(peer.pass(Duration::from_secs(30))),
        Refusal::Answered {
            relay: INTRA.parse().unwrap(),
            status: Status::TIMEOUT
        }
    );
}

#[test]
fn rfc4976_9_2_relays_that_are_not_asked() {
    let many = [INTRA; 9];
    for (relays, plaintext, refused) in [
        (&[][..], false, true),
        (&["msrp://relay.example.com:2855;tcp"], false, true),
        (&["msrp://relay.example.com:2855;tcp"], true, false),
        (&many[..8], false, false),
        (&many, false, true),
    ] {
        let mut peer = Peer::new(Limits::default());
        peer.command(Command::Authorize(Parameters {
            plaintext,
            ..parameters(relays)
        }));
        let events = peer.events();
        assert_eq!(events.len(), usize::from(refused), "{relays:?}");
        assert_eq!(peer.hears().is_empty(), refused);
        if refused {
            assert!(matches!(refusal(events), Refusal::Parameters(_)));
        }
    }
}

#[test]
fn limit_of_authorizations_is_that_of_sessions() {
    let mut peer = Peer::new(Limits {
        sessions: 2,
        ..Limits::default()
    });
    for (number, refused) in [(1, false), (2, false), (3, true)] {
        let local: Uri = format!("msrps://a.example.com:1/session{number};tcp")
            .parse()
            .unwrap();
        peer.command(Command::Authorize(Parameters {
            local,
            ..parameters(&[INTRA])
        }));
        assert_eq!(!peer.events().is_empty(), refused, "{number}");
    }
}

/// An endpoint is no relay.
#[test]
fn rfc4975_10_11_auth_is_answered_501() {
    let mut peer = Peer::bound(Limits::default());
    assert_eq!(
        peer.says(crate::peer::request("AUTH", "tid1", &["Expires: 5"], "", '$')),
        []
    );
    assert_eq!(peer.hears_statuses(), [501]);
}
