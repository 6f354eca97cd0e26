//! A name server on loopback.

#![allow(dead_code, reason = "each test program uses what it needs of it")]

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use hickory_resolver::proto::rr::{
    LowerName, Name, RData, Record,
    rdata::{A, NAPTR, SOA, SRV},
};
use hickory_server::{
    Server,
    store::in_memory::InMemoryZoneHandler,
    zone_handler::{AxfrPolicy, Catalog, ZoneHandler, ZoneType},
};
use tokio::net::UdpSocket;

/// A name server for `example.com.` with these records; it is gone when it is dropped.
pub(crate) async fn name_server(records: Vec<Record>) -> (SocketAddr, Server<Catalog>) {
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

pub(crate) fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// 192.0.2.`last`.
pub(crate) fn address(host: &str, last: u8) -> Record {
    address_of(host, Ipv4Addr::new(192, 0, 2, last))
}

pub(crate) fn address_of(host: &str, address: Ipv4Addr) -> Record {
    Record::from_rdata(name(host), 60, RData::A(A(address)))
}

pub(crate) fn service(of: &str, priority: u16, weight: u16, port: u16, target: &str) -> Record {
    let service = SRV::new(priority, weight, port, name(target));
    Record::from_rdata(name(of), 60, RData::SRV(service))
}

pub(crate) fn naptr(order: u16, services: &str, replacement: &str) -> Record {
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
