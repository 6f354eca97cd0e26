//! Host look-ups against a name server on loopback.

#![expect(clippy::unwrap_used, reason = "tests: a failed assumption is a failed test")]

mod name_server;

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use hickory_resolver::proto::rr::{RData, Record, rdata::CNAME};
use name_server::{address, name, name_server, naptr, service};
use server::lookup::{Lookup, LookupConfig};
use sip::{
    Command, Contact, DialogId, Endpoint, InviteParameters, LocalAddress, NameAddr, Transport,
    Transport::{Tcp, Udp},
    locate::{Candidate, Question},
};
use tokio::net::UdpSocket;

/// One that has time, since the machine may be busy.
fn lookup_at(server: SocketAddr) -> Lookup {
    lookup_within(Duration::from_secs(20), server)
}

fn lookup_within(deadline: Duration, server: SocketAddr) -> Lookup {
    let config = LookupConfig {
        servers: vec![server],
        deadline,
        stale: Duration::from_secs(60),
    };
    Lookup::new(&config, [7; 32])
}

fn question(host: &str, port: Option<u16>, transport: Transport, choice: &[Transport]) -> Question {
    Question {
        host: host.to_owned(),
        port,
        transport,
        choice: choice.to_vec(),
    }
}

fn candidates(list: &[(Transport, &str)]) -> Vec<Candidate> {
    let candidate = |(transport, address): &(Transport, &str)| Candidate {
        transport: *transport,
        address: address.parse().unwrap(),
    };
    list.iter().map(candidate).collect()
}

/// NAPTR prefers TCP; its first target has no address; UDP has one server.
fn zone() -> Vec<Record> {
    vec![
        naptr(10, "SIP+D2T", "_sip._tcp.example.com."),
        naptr(20, "SIP+D2U", "_sip._udp.example.com."),
        service("_sip._tcp.example.com.", 20, 0, 5080, "c.example.com."),
        service("_sip._tcp.example.com.", 10, 0, 5070, "a.example.com."),
        service("_sip._tcp.example.com.", 5, 0, 5072, "unknown.example.com."),
        service("_sip._udp.example.com.", 1, 0, 5060, "b.example.com."),
        address("a.example.com.", 1),
        address("b.example.com.", 2),
        address("c.example.com.", 3),
        address("example.com.", 9),
    ]
}

#[tokio::test]
async fn naptr_leads_to_srv_and_srv_to_addresses() {
    let (server, _running) = name_server(zone()).await;
    let lookup = lookup_at(server);
    let found = lookup
        .sip_servers(question("Example.com", None, Udp, &[Udp, Tcp]))
        .await;
    let expected = [
        (Tcp, "192.0.2.1:5070"),
        (Tcp, "192.0.2.3:5080"),
        (Udp, "192.0.2.2:5060"),
    ];
    assert_eq!(found, Ok(candidates(&expected)));
    let found = lookup.sip_servers(question("example.com", None, Udp, &[])).await;
    assert_eq!(found, Ok(candidates(&[(Udp, "192.0.2.2:5060")])));
    let found = lookup
        .sip_servers(question("example.com", Some(5099), Udp, &[]))
        .await;
    assert_eq!(found, Ok(candidates(&[(Udp, "192.0.2.9:5099")])));
}

// Rows: CSIP-08
#[tokio::test]
async fn a_request_goes_to_the_next_server_of_the_zone_when_one_cannot_be_reached() {
    let (server, _running) = name_server(zone()).await;
    let lookup = lookup_at(server);
    let mut endpoint = caller();
    let resolve = endpoint.poll_resolve().unwrap();
    let found = lookup.sip_servers(resolve.question()).await.unwrap();
    endpoint.handle_located(resolve.id, found, Instant::now());
    for expected in [
        (Tcp, "192.0.2.1:5070"),
        (Tcp, "192.0.2.3:5080"),
        (Udp, "192.0.2.2:5060"),
    ] {
        let sent = endpoint.poll_transmit().unwrap();
        assert_eq!(
            (sent.target.transport, sent.target.peer.to_string().as_str()),
            expected
        );
        let via = format!("Via: SIP/2.0/{}", if expected.0 == Tcp { "TCP" } else { "UDP" });
        assert!(String::from_utf8_lossy(&sent.bytes).contains(&via));
        endpoint.handle_transmit_failed(sent.id, Instant::now());
    }
    assert_eq!(endpoint.poll_transmit(), None);
}

/// An endpoint that has called a room at example.com.
fn caller() -> Endpoint {
    let local = |transport| LocalAddress {
        transport,
        host: "192.0.2.100".to_owned(),
        port: 5060,
    };
    let config = sip::Config {
        local: vec![local(Udp), local(Tcp)],
        outbound_proxy: None,
        product: String::new(),
        limits: sip::Limits::default(),
        t1: Duration::from_millis(500),
    };
    let mut endpoint = Endpoint::new(config, [7; 32]);
    let parameters = InviteParameters {
        uri: "sip:room@example.com".parse().unwrap(),
        from: NameAddr::new("sip:juliet@example.net".parse().unwrap()),
        to: NameAddr::new("sip:room@example.com".parse().unwrap()),
        contact: Contact::default(),
        body: sip::Body {
            content_type: "application/sdp".to_owned(),
            bytes: "v=0\r\n".into(),
        },
        headers: Vec::new(),
    };
    let command = Command::Invite {
        dialog: DialogId(2),
        parameters: Box::new(parameters),
    };
    endpoint.handle_command(command, Instant::now());
    endpoint
}

#[tokio::test]
async fn without_records_of_a_service_the_host_itself_with_the_port_of_its_transport() {
    let (server, _running) = name_server(vec![address("host.example.com.", 9)]).await;
    let found = lookup_at(server)
        .sip_servers(question("host.example.com", None, Udp, &[Udp, Tcp]))
        .await;
    assert_eq!(found, Ok(candidates(&[(Udp, "192.0.2.9:5060")])));
}

#[tokio::test]
async fn a_target_of_the_root_says_that_there_is_no_service() {
    let records = vec![
        service("_sip._udp.example.com.", 0, 0, 0, "."),
        address("example.com.", 9),
    ];
    let (server, _running) = name_server(records).await;
    let refused = lookup_at(server)
        .sip_servers(question("example.com", None, Udp, &[]))
        .await
        .unwrap_err();
    assert!(refused.contains("does not offer"), "{refused}");
}

#[tokio::test]
async fn aliases_are_followed_but_not_without_end() {
    let alias = |from: &str, to: &str| Record::from_rdata(name(from), 60, RData::CNAME(CNAME(name(to))));
    let (server, _running) = name_server(vec![
        alias("www.example.com.", "host.example.com."),
        address("host.example.com.", 9),
        alias("ring.example.com.", "ring2.example.com."),
        alias("ring2.example.com.", "ring.example.com."),
    ])
    .await;
    let lookup = lookup_at(server);
    let found = lookup
        .sip_servers(question("www.example.com", Some(5060), Udp, &[]))
        .await;
    assert_eq!(found, Ok(candidates(&[(Udp, "192.0.2.9:5060")])));
    let ring = lookup
        .sip_servers(question("ring.example.com", Some(5060), Udp, &[]))
        .await;
    assert!(ring.is_err(), "{ring:?}");
}

#[tokio::test]
async fn an_unknown_host_and_a_silent_server_are_told_by_name_and_in_time() {
    let (server, _running) = name_server(Vec::new()).await;
    let unknown = lookup_at(server)
        .sip_servers(question("nowhere.example.com", None, Udp, &[Udp]))
        .await
        .unwrap_err();
    assert!(unknown.contains("nowhere.example.com"), "{unknown}");
    let silence = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let lookup = lookup_within(Duration::from_millis(500), silence.local_addr().unwrap());
    let silent = lookup.addresses("host.example.").await.unwrap_err();
    assert!(
        silent.contains("host.example.") && silent.contains("500ms"),
        "{silent}"
    );
    let silent = lookup
        .sip_servers(question("host.example", None, Udp, &[Udp]))
        .await
        .unwrap_err();
    assert!(silent.contains("no answer"), "{silent}");
}

#[tokio::test]
async fn what_a_name_server_said_stands_in_for_it_when_it_is_gone() {
    let mut record = address("host.example.com.", 9);
    record.ttl = 0;
    let (server, mut running) = name_server(vec![record]).await;
    let lookup = lookup_within(Duration::from_secs(3), server);
    let asked = || lookup.sip_servers(question("host.example.com", Some(5060), Udp, &[]));
    let first = asked().await;
    assert_eq!(first, Ok(candidates(&[(Udp, "192.0.2.9:5060")])));
    running.shutdown_gracefully().await.unwrap();
    drop(running);
    assert_eq!(asked().await, first);
    // Without the memory there is nothing.
    let other = lookup_within(Duration::from_secs(1), server);
    let none = other
        .sip_servers(question("host.example.com", Some(5060), Udp, &[]))
        .await;
    assert!(none.is_err());
}

#[tokio::test]
async fn rfc2308_section_5_that_there_is_no_such_name_is_remembered() {
    let (server, mut running) = name_server(Vec::new()).await;
    let question = || question("nowhere.example.com", Some(5060), Udp, &[]);
    let lookup = lookup_within(Duration::from_secs(3), server);
    let unknown = lookup.sip_servers(question()).await.unwrap_err();
    running.shutdown_gracefully().await.unwrap();
    drop(running);
    assert_eq!(lookup.sip_servers(question()).await.unwrap_err(), unknown);
    // Who has not asked before gets no answer now.
    let silent = lookup_within(Duration::from_secs(1), server)
        .sip_servers(question())
        .await
        .unwrap_err();
    assert_ne!(silent, unknown);
}

#[tokio::test]
async fn a_numeric_host_is_never_asked_for() {
    let lookup = lookup_at("127.0.0.1:9".parse().unwrap());
    assert_eq!(
        lookup.addresses("2001:db8::1").await,
        Ok(vec!["2001:db8::1".parse::<IpAddr>().unwrap()])
    );
    let found = lookup
        .sip_servers(question("192.0.2.1", None, Transport::Tls, &[]))
        .await;
    assert_eq!(found, Ok(candidates(&[(Transport::Tls, "192.0.2.1:5061")])));
}
