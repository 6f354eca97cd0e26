//! Host look-ups against a name server on loopback.

#![expect(clippy::unwrap_used, reason = "tests: a failed assumption is a failed test")]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use hickory_resolver::proto::rr::{
    LowerName, Name, RData, Record,
    rdata::{A, CNAME, NAPTR, SOA, SRV},
};
use hickory_server::{
    Server,
    store::in_memory::InMemoryZoneHandler,
    zone_handler::{AxfrPolicy, Catalog, ZoneHandler, ZoneType},
};
use server::lookup::{Lookup, LookupConfig};
use sip::{
    Command, Contact, DialogId, Endpoint, InviteParameters, LocalAddress, NameAddr, Transport,
    Transport::{Tcp, Udp},
    locate::{Candidate, Question},
};
use tokio::net::UdpSocket;

/// A name server for `example.com.` with these records; it is gone when it is dropped.
async fn name_server(records: Vec<Record>) -> (SocketAddr, Server<Catalog>) {
    let origin = name("example.com.");
    let mut zone = InMemoryZoneHandler::<hickory_resolver::net::runtime::TokioRuntimeProvider>::empty(
        origin.clone(),
        ZoneType::Primary,
        AxfrPolicy::Deny,
    );
    let soa = SOA::new(
        name("ns.example.com."),
        name("root.example.com."),
        1,
        60,
        60,
        60,
        60,
    );
    zone.upsert_mut(Record::from_rdata(origin.clone(), 60, RData::SOA(soa)), 1);
    for record in records {
        zone.upsert_mut(record, 1);
    }
    let mut catalog = Catalog::new();
    let zone: Arc<dyn ZoneHandler> = Arc::new(zone);
    catalog.upsert(LowerName::from(origin), vec![zone]);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let mut server = Server::new(catalog);
    server.register_socket(socket);
    (address, server)
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn address(host: &str, last: u8) -> Record {
    Record::from_rdata(name(host), 60, RData::A(A(Ipv4Addr::new(192, 0, 2, last))))
}

fn service(of: &str, priority: u16, weight: u16, port: u16, target: &str) -> Record {
    let service = SRV::new(priority, weight, port, name(target));
    Record::from_rdata(name(of), 60, RData::SRV(service))
}

fn naptr(order: u16, services: &str, replacement: &str) -> Record {
    let octets = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
    let naptr = NAPTR::new(
        order,
        10,
        octets("s"),
        octets(services),
        octets(""),
        name(replacement),
    );
    Record::from_rdata(name("example.com."), 60, RData::NAPTR(naptr))
}

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
