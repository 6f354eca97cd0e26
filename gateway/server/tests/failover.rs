//! RFC 3263 §4.3 on real sockets: from a name server by NAPTR and SRV to the one server of three that serves.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests: a failed assumption is a failed test"
)]

mod name_server;
#[allow(dead_code, reason = "of the shell's peers only some are needed")]
#[path = "shell/running.rs"]
mod running;

use std::{net::Ipv4Addr, time::Duration};

use bytes::Bytes;
use hickory_server::{Server, zone_handler::Catalog};
use name_server::{address_of, name_server, naptr, service};
use running::{Running, accept_component, nobody, within};
use sip::message::{Message, Request, StreamDecoder, StreamItem};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
};

/// Three servers of `example.com`: the zone prefers TCP, whose first server refuses connections; the one that serves has UDP.
struct Servers {
    busy: TcpListener,
    serving: UdpSocket,
    name_server: String,
    _running: Server<Catalog>,
}

impl Servers {
    async fn start() -> Self {
        let closed = nobody().await;
        let (busy, serving) = (
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            UdpSocket::bind("127.0.0.1:0").await.unwrap(),
        );
        let at = |of, priority, port| service(of, priority, 0, port, "a.example.com.");
        let (tcp, udp) = ("_sip._tcp.example.com.", "_sip._udp.example.com.");
        let (address, running) = name_server(vec![
            naptr(10, "SIP+D2T", tcp),
            naptr(20, "SIP+D2U", udp),
            at(tcp, 10, closed.port()),
            at(tcp, 20, busy.local_addr().unwrap().port()),
            at(udp, 10, serving.local_addr().unwrap().port()),
            address_of("a.example.com.", Ipv4Addr::LOCALHOST),
        ])
        .await;
        Self {
            busy,
            serving,
            name_server: address.to_string(),
            _running: running,
        }
    }

    /// The request at the second server, which answers 503, and then the same at the third.
    async fn ask(&self) -> (TcpStream, Request, Request) {
        let (mut connection, _) = within("the second server is tried", self.busy.accept())
            .await
            .unwrap();
        let refused = within("a request", streamed(&mut connection)).await;
        assert!(refused.headers.get("Via").unwrap().starts_with("SIP/2.0/TCP "));
        connection
            .write_all(&answer(&refused, "503 Service Unavailable"))
            .await
            .unwrap();
        let served = served(&self.serving, "the third server is tried").await;
        assert!(served.headers.get("Via").unwrap().starts_with("SIP/2.0/UDP "));
        for (name, same) in [("Call-ID", true), ("CSeq", true), ("From", true), ("Via", false)] {
            assert_eq!(
                served.headers.get(name) == refused.headers.get(name),
                same,
                "{name}"
            );
        }
        (connection, refused, served)
    }
}

#[tokio::test]
async fn a_request_of_the_gateway_finds_the_server_of_the_zone_that_serves() {
    let servers = Servers::start().await;
    let settings = [
        ("GATEWAY__DNS__SERVERS", servers.name_server.as_str()),
        ("GATEWAY__SIP__REGISTER__REGISTRAR", "sip:example.com"),
        ("GATEWAY__SIP__REGISTER__ADDRESS", "sip:gateway@example.com"),
    ];
    let gateway = Running::start(nobody().await, &settings).await;
    let peer = gateway.udp;
    let (connection, _, first) = servers.ask().await;
    let Servers {
        busy,
        serving,
        _running,
        ..
    } = servers;
    serving.send_to(&answer(&first, "200 OK"), peer).await.unwrap();

    // It is taken as done: what follows is the farewell.
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop((busy, connection));
    let stopping = tokio::spawn(gateway.stop());
    let last = served(&serving, "the farewell").await;
    assert_eq!(last.headers.get("Expires"), Some("0"));
    serving.send_to(&answer(&last, "200 OK"), peer).await.unwrap();
    within("the gateway stops", stopping).await.unwrap();
}

// Rows: CSIP-08
#[tokio::test]
async fn a_call_of_the_gateway_finds_the_server_of_the_zone_that_serves() {
    let servers = Servers::start().await;
    let xmpp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = [
        ("GATEWAY__DNS__SERVERS", servers.name_server.as_str()),
        ("GATEWAY__SIP__OUTBOUND_PROXY", "sip:example.com;lr"),
    ];
    let gateway = Running::start(xmpp.local_addr().unwrap(), &settings).await;
    let mut stream = accept_component(&xmpp).await;
    let invitation = "<message from='capulet@rooms.example.com' to='romeo@example.org'>\
         <x xmlns='http://jabber.org/protocol/muc#user'><invite from='juliet@example.com/balcony'/></x></message>";
    stream.write_all(invitation.as_bytes()).await.unwrap();

    let (mut connection, refused, called) = servers.ask().await;
    assert_eq!(called.uri.to_string(), "sip:romeo@example.org");
    let ack = within("the 503 is acknowledged", streamed(&mut connection)).await;
    assert_eq!(ack.method, sip::Method::ACK);
    assert_eq!(ack.headers.get("Via"), refused.headers.get("Via"));
    let decline = answer(&called, "603 Decline");
    servers.serving.send_to(&decline, gateway.udp).await.unwrap();
    let ack = served(&servers.serving, "the 603 is acknowledged").await;
    assert_eq!(ack.method, sip::Method::ACK);

    // The one answer that counts is the third server's.
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("<decline to='juliet@example.com/balcony'") {
        let length = within("the room hears it", stream.read_until(b'>', &mut heard))
            .await
            .unwrap();
        assert_ne!(length, 0, "{}", String::from_utf8_lossy(&heard));
    }
    gateway.stop().await;
}

async fn served(serving: &UdpSocket, what: &str) -> Request {
    let mut buffer = [0; 4096];
    let length = within(what, serving.recv(&mut buffer)).await.unwrap();
    read(Bytes::copy_from_slice(buffer.get(..length).unwrap()))
}

async fn streamed(connection: &mut TcpStream) -> Request {
    let mut decoder = StreamDecoder::new(sip::Limits::default());
    let mut buffer = [0; 4096];
    loop {
        let length = connection.read(&mut buffer).await.unwrap();
        assert_ne!(length, 0, "closed");
        decoder.feed(buffer.get(..length).unwrap());
        if let Some(StreamItem::Message(message)) = decoder.poll() {
            return read(message);
        }
    }
}

fn read(message: Bytes) -> Request {
    match Message::parse(&message) {
        Ok(Message::Request(request)) => request,
        other => panic!("no request: {other:?}"),
    }
}

fn answer(request: &Request, status: &str) -> Vec<u8> {
    let header = |name: &str| format!("{name}: {}\r\n", request.headers.get(name).unwrap());
    let copied: String = ["Via", "From", "To", "Call-ID", "CSeq", "Contact"]
        .map(header)
        .concat();
    format!("SIP/2.0 {status}\r\n{copied}Expires: 3600\r\nContent-Length: 0\r\n\r\n").into_bytes()
}
