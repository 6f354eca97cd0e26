//! MSRP over TLS (RFC 4975 §8.1, §14.2, §14.4): what is offered and answered, and how a peer proves who it is.

use mapping::{Config, MsrpPlaces, MsrpTransport, Proof};
use msrp::sdp::Fingerprints;
use sip::sdp::Session;

use crate::{
    ROOM_URI,
    stage::{Stage, config},
};

const ABC: &str = "a=fingerprint:sha-256 BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD\r\n";

fn either(offered: MsrpTransport) -> Config {
    Config {
        msrp: MsrpPlaces::Either {
            tcp: ("127.0.0.2".to_owned(), 2855),
            tls: ("127.0.0.2".to_owned(), 2856),
            offered,
        },
        certificates: Fingerprints::of([&b"abc"[..]]),
        ..config()
    }
}

/// Romeo's offer with this protocol and this scheme.
fn offer(stage: &Stage, romeo: usize, protocol: &str, scheme: &str) -> String {
    let offer = stage.offer(romeo).replace("TCP/MSRP", protocol);
    offer.replace("msrp://", &format!("{scheme}://"))
}

fn invited(stage: &mut Stage, romeo: usize, offer: &str) {
    stage.invite_with(romeo, ROOM_URI, Some("Romeo"), offer, "application/sdp");
}

/// The description of the last answer that Romeo got.
fn answer(stage: &Stage, romeo: usize) -> Option<Session> {
    let mut events = stage.users[romeo].sip_events.iter().rev();
    events.find_map(|event| match event {
        sip::Event::Answered { body: Some(body), .. } => Some(Session::parse(&body.bytes).unwrap()),
        _ => None,
    })
}

// Rows: C4975-30, C7701-61
#[test]
fn rfc4975_section_8_1_protocol_and_scheme_agree_and_the_policy_decides_between_them() {
    let places = |transport| match transport {
        MsrpTransport::Tcp => config(),
        MsrpTransport::Tls => Config {
            msrp: MsrpPlaces::Tls(("127.0.0.2".to_owned(), 2856)),
            ..config()
        },
    };
    let disagree = Some("Path And Protocol Disagree About TLS");
    for (config, protocol, scheme, refused) in [
        (either(MsrpTransport::Tcp), "TCP/MSRP", "msrp", None),
        (either(MsrpTransport::Tls), "TCP/MSRP", "msrp", None),
        (either(MsrpTransport::Tcp), "TCP/TLS/MSRP", "msrps", None),
        (either(MsrpTransport::Tcp), "TCP/MSRP", "msrps", disagree),
        (either(MsrpTransport::Tcp), "TCP/TLS/MSRP", "msrp", disagree),
        (places(MsrpTransport::Tls), "TCP/TLS/MSRP", "msrps", None),
        (
            places(MsrpTransport::Tls),
            "TCP/MSRP",
            "msrp",
            Some("TCP/TLS/MSRP Is Needed"),
        ),
        (
            places(MsrpTransport::Tcp),
            "TCP/TLS/MSRP",
            "msrps",
            Some("TCP/MSRP Is Needed"),
        ),
        (places(MsrpTransport::Tcp), "TCP/MSRP", "msrps", disagree),
    ] {
        let mut stage = Stage::new(config);
        let romeo = stage.user("romeo");
        let offer = offer(&stage, romeo, protocol, scheme);
        invited(&mut stage, romeo, &offer);
        let expected = refused.map(|why| (488, why.to_owned()));
        assert_eq!(stage.refusal(romeo), expected, "{protocol} {scheme}");
        if expected.is_none() {
            let media = answer(&stage, romeo).unwrap().media().remove(0);
            let path: msrp::Path = media.attribute("path").unwrap().parse().unwrap();
            assert_eq!(media.protocol, protocol);
            assert_eq!(path.first().is_secure(), scheme == "msrps");
            assert_eq!(path.first().port(), Some(media.port));
            assert_eq!(media.port, if scheme == "msrps" { 2856 } else { 2855 });
        }
    }
}

// Rows: C7701-61
#[test]
fn of_an_offer_with_both_the_line_over_tls_is_taken_and_the_other_refused() {
    let mut stage = Stage::new(either(MsrpTransport::Tcp));
    let romeo = stage.user("romeo");
    let plain = stage.offer(romeo);
    let secured = offer(&stage, romeo, "TCP/TLS/MSRP", "msrps");
    let line = secured.find("m=").unwrap();
    invited(&mut stage, romeo, &format!("{plain}{}", &secured[line..]));
    let media = answer(&stage, romeo).unwrap().media();
    let taken: Vec<_> = media
        .iter()
        .map(|line| (line.port, line.protocol.as_str()))
        .collect();
    assert_eq!(taken, [(0, "TCP/MSRP"), (2856, "TCP/TLS/MSRP")]);
}

// Rows: C4975-37
#[test]
fn rfc4975_section_14_4_a_client_that_waits_proves_itself_by_its_fingerprint_if_it_has_offered_one() {
    let other = ABC.replace("BA:78", "00:00");
    let weak = "a=fingerprint:SHA-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB\r\n";
    let named = |lines: &str| {
        let values = lines
            .lines()
            .filter_map(|line| line.strip_prefix("a=fingerprint:"));
        Some(Proof::Certificate(Fingerprints::parse(values)))
    };
    for (of_session, of_media, proof) in [
        ("", "", Some(Proof::Name)),
        ("", weak, Some(Proof::Name)),
        ("", ABC, named(ABC)),
        (ABC, "", named(ABC)),
        // RFC 4572 §5: the media's own counts.
        (ABC, &other, named(&other)),
    ] {
        let mut stage = Stage::new(either(MsrpTransport::Tcp));
        let romeo = stage.user("romeo");
        let offer = offer(&stage, romeo, "TCP/TLS/MSRP", "msrps")
            .replace("m=", &format!("{of_session}m="))
            .replace("a=setup:active\r\n", &format!("a=setup:passive\r\n{of_media}"));
        invited(&mut stage, romeo, &offer);
        assert_eq!(stage.proofs, [proof], "{of_session}{of_media}");
    }
}

#[test]
fn rfc4975_section_6_a_plain_connection_carries_no_session_that_was_negotiated_for_tls() {
    let mut stage = Stage::new(either(MsrpTransport::Tcp));
    let romeo = stage.user("romeo");
    let offer = offer(&stage, romeo, "TCP/TLS/MSRP", "msrps");
    invited(&mut stage, romeo, &offer);
    // The stage's connections are plain ones.
    stage.connect(romeo);
    let tag = stage.say(romeo, "hello");
    assert_ne!(stage.outcome(romeo, tag), Some(Ok(())));
}

#[test]
fn a_changed_certificate_is_in_the_descriptions_from_then_on() {
    let mut stage = Stage::new(either(MsrpTransport::Tcp));
    stage
        .gateway
        .handle_certificates(Fingerprints::of([&b"other"[..]]));
    let romeo = stage.user("romeo");
    let offer = offer(&stage, romeo, "TCP/TLS/MSRP", "msrps");
    invited(&mut stage, romeo, &offer);
    let media = answer(&stage, romeo).unwrap().media().remove(0);
    let told = Fingerprints::parse(media.values("fingerprint"));
    assert_eq!((told.name(b"other"), told.name(b"abc")), (true, false));
}
