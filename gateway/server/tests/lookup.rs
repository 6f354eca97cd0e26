//! Host look-ups against a scripted name server on loopback.

#![expect(clippy::unwrap_used, reason = "tests: a failed assumption is a failed test")]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{
        Name, RData, Record,
        rdata::{A, SRV},
    },
};
use server::lookup::{Lookup, LookupConfig};
use sip::Transport;
use tokio::net::UdpSocket;

/// A name server that knows `records` and of nothing else, but keeps silent about names under `silent.`.
async fn name_server(records: Vec<Record>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
            let question = Message::from_vec(buffer.get(..length).unwrap()).unwrap();
            let query = question.queries.first().unwrap().clone();
            if query.name().to_string().ends_with("silent.") {
                continue;
            }
            let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
            let known = records
                .iter()
                .filter(|record| record.name == *query.name())
                .collect::<Vec<_>>();
            if known.is_empty() {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
            answer.add_query(query.clone());
            answer.add_answers(
                known
                    .into_iter()
                    .filter(|record| record.record_type() == query.query_type())
                    .cloned(),
            );
            socket.send_to(&answer.to_vec().unwrap(), peer).await.unwrap();
        }
    });
    address
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn address(host: &str, last: u8) -> Record {
    Record::from_rdata(name(host), 60, RData::A(A(Ipv4Addr::new(192, 0, 2, last))))
}

fn service(of: &str, priority: u16, weight: u16, port: u16, target: &str) -> Record {
    Record::from_rdata(
        name(of),
        60,
        RData::SRV(SRV::new(priority, weight, port, name(target))),
    )
}

async fn lookup(records: Vec<Record>) -> Lookup {
    Lookup::new(&LookupConfig {
        servers: vec![name_server(records).await],
        deadline: Duration::from_millis(500),
    })
}

fn targets(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn without_a_port_srv_targets_come_in_order_of_priority_then_weight() {
    let lookup = lookup(vec![
        service("_sip._tcp.example.com.", 20, 0, 5080, "c.example.com."),
        service("_sip._tcp.example.com.", 10, 1, 5070, "a.example.com."),
        service("_sip._tcp.example.com.", 10, 9, 5071, "b.example.com."),
        service("_sip._tcp.example.com.", 5, 0, 5072, "unknown.example.com."),
        address("a.example.com.", 1),
        address("b.example.com.", 2),
        address("c.example.com.", 3),
        address("example.com.", 9),
    ])
    .await;
    let found = lookup.sip_targets("example.com", None, Transport::Tcp).await;
    assert_eq!(
        found,
        Ok(targets(&["192.0.2.2:5071", "192.0.2.1:5070", "192.0.2.3:5080"]))
    );
}

#[tokio::test]
async fn without_srv_records_the_host_itself_with_the_port_of_its_transport() {
    let lookup = lookup(vec![address("example.com.", 9)]).await;
    let found = lookup.sip_targets("Example.com", None, Transport::Udp).await;
    assert_eq!(found, Ok(targets(&["192.0.2.9:5060"])));
}

#[tokio::test]
async fn with_a_port_no_srv_record_is_asked_for() {
    let lookup = lookup(vec![
        service("_sip._udp.example.com.", 1, 1, 5099, "a.example.com."),
        address("a.example.com.", 1),
        address("example.com.", 9),
    ])
    .await;
    let found = lookup
        .sip_targets("example.com", Some(5061), Transport::Udp)
        .await;
    assert_eq!(found, Ok(targets(&["192.0.2.9:5061"])));
}

#[tokio::test]
async fn a_target_of_the_root_says_that_there_is_no_service() {
    let lookup = lookup(vec![
        service("_sip._udp.example.com.", 0, 0, 0, "."),
        address("example.com.", 9),
    ])
    .await;
    assert_eq!(
        lookup.sip_targets("example.com", None, Transport::Udp).await,
        Ok(Vec::new())
    );
}

#[tokio::test]
async fn an_unknown_host_and_a_silent_server_are_told_by_name_and_in_time() {
    let lookup = lookup(Vec::new()).await;
    let unknown = lookup
        .sip_targets("nowhere.example", None, Transport::Udp)
        .await
        .unwrap_err();
    assert!(unknown.contains("nowhere.example"), "{unknown}");
    let silent = lookup.addresses("host.silent.").await.unwrap_err();
    assert!(
        silent.contains("host.silent.") && silent.contains("500ms"),
        "{silent}"
    );
}

#[tokio::test]
async fn a_numeric_host_is_never_asked_for() {
    let lookup = Lookup::new(&LookupConfig {
        servers: vec!["127.0.0.1:9".parse().unwrap()],
        deadline: Duration::from_millis(500),
    });
    assert_eq!(
        lookup.addresses("2001:db8::1").await,
        Ok(vec!["2001:db8::1".parse::<IpAddr>().unwrap()])
    );
    let found = lookup.sip_targets("192.0.2.1", None, Transport::Tls).await;
    assert_eq!(found, Ok(targets(&["192.0.2.1:5061"])));
}
