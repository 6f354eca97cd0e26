//! Where MSRP is listened on, and what peers are told of it.

use server::config::MsrpTls;

use crate::{MINIMAL, faults, load};

// Rows: C7701-61
#[test]
fn msrp_peers_are_told_of_the_places_that_are_listened_on_and_that_policy_allows() {
    use mapping::{MsrpPlaces, MsrpTransport};
    let place = |host: &str, port| (host.to_owned(), port);
    let bound = [
        (MsrpTransport::Tcp, "192.0.2.1:2855".parse().unwrap()),
        (MsrpTransport::Tls, "192.0.2.1:2856".parse().unwrap()),
    ];
    let places = |bound: &[_], advertise: &[(MsrpTransport, (String, Option<u16>))], tls| {
        let loaded = load(MINIMAL, &[]).map_err(|faults| faults.join("\n")).unwrap();
        let mut config = loaded.config;
        config.msrp.advertise = advertise.to_vec();
        config.msrp.tls = tls;
        config.core(bound).msrp
    };
    let either = |offered| MsrpPlaces::Either {
        tcp: place("192.0.2.1", 2855),
        tls: place("192.0.2.1", 2856),
        offered,
    };
    for (bound, rule, expected) in [
        (
            &bound[..1],
            MsrpTls::Accepted,
            MsrpPlaces::Tcp(place("192.0.2.1", 2855)),
        ),
        (
            &bound[1..],
            MsrpTls::Accepted,
            MsrpPlaces::Tls(place("192.0.2.1", 2856)),
        ),
        (&bound[..], MsrpTls::Accepted, either(MsrpTransport::Tcp)),
        (&bound[..], MsrpTls::Offered, either(MsrpTransport::Tls)),
        (
            &bound[..],
            MsrpTls::Required,
            MsrpPlaces::Tls(place("192.0.2.1", 2856)),
        ),
    ] {
        assert_eq!(places(bound, &[], rule), expected);
    }
    let advertised = [(MsrpTransport::Tls, place("gateway.example.com", 443))]
        .map(|(transport, (host, port))| (transport, (host, Some(port))));
    assert_eq!(
        places(&bound, &advertised, MsrpTls::Required),
        MsrpPlaces::Tls(place("gateway.example.com", 443))
    );
}

#[test]
fn plain_tcp_and_tls_need_ports_of_their_own() {
    let found = faults(
        &format!("[msrp]\nlisten = [\"127.0.0.1\", \"tls:127.0.0.1\"]\n{MINIMAL}"),
        &[],
    );
    assert_eq!(
        found[0],
        "gateway.toml:2:1: msrp.listen: one port for plain TCP and for TLS; write another behind the address of one of them, such as \"tls:192.0.2.1:2856\""
    );
}

#[test]
fn a_host_that_is_advertised_for_one_transport_is_that_of_the_other_at_the_port_listened_on() {
    use mapping::MsrpTransport::{Tcp, Tls};
    let advertised = |entries: &str| {
        let authority = gateway_tests::authority::Authority::new().unwrap();
        let files = authority
            .issue("gateway", &gateway_tests::authority::Says::default())
            .unwrap();
        let text = format!(
            "[msrp]\nlisten = [\"0.0.0.0:2855\", \"tls:0.0.0.0:2856\"]\nadvertise = {entries}\n\
             [tls]\ncertificate = {:?}\nkey = {:?}\ntrust_anchors = {:?}\n{MINIMAL}",
            files.certificate,
            files.key,
            authority.file()
        );
        let loaded = load(&text, &[]).map_err(|faults| faults.join("\n")).unwrap();
        loaded.config.msrp.advertise
    };
    let place = |host: &str, port| (host.to_owned(), port);
    assert_eq!(
        advertised("\"a.example:5000\""),
        [
            (Tcp, place("a.example", Some(5000))),
            (Tls, place("a.example", None))
        ]
    );
    assert_eq!(
        advertised("[\"a.example\", \"tls:b.example:443\"]"),
        [
            (Tcp, place("a.example", None)),
            (Tls, place("b.example", Some(443)))
        ]
    );
    assert_eq!(
        advertised("\"TLS:b.example:443\""),
        [
            (Tcp, place("b.example", None)),
            (Tls, place("b.example", Some(443)))
        ]
    );
}
