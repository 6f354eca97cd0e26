//! RFC 3263 §4.3 on real sockets: from a name server by NAPTR and SRV to the one server of three that serves.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests: a failed assumption is a failed test"
)]

mod name_server;

use std::{net::Ipv4Addr, path::PathBuf, time::Duration};

use bytes::Bytes;
use name_server::{address_of, name_server, naptr, service};
use server::{config, gateway::Bound};
use sip::message::{Message, Request, StreamDecoder, StreamItem};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::oneshot,
};

/// Long enough for anything that is to happen.
const PATIENCE: Duration = Duration::from_secs(40);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("not in time: {what}"),
    }
}

/// The zone prefers TCP, whose first server refuses connections and whose second answers 503; the one that serves has UDP.
#[tokio::test]
async fn a_request_of_the_gateway_finds_the_server_of_the_zone_that_serves() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (busy, serving) = (
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        UdpSocket::bind("127.0.0.1:0").await.unwrap(),
    );
    let port = |address: std::io::Result<std::net::SocketAddr>| address.unwrap().port();
    let (name_server, _running) = name_server(vec![
        naptr(10, "SIP+D2T", "_sip._tcp.example.com."),
        naptr(20, "SIP+D2U", "_sip._udp.example.com."),
        service(
            "_sip._tcp.example.com.",
            10,
            0,
            port(closed.local_addr()),
            "a.example.com.",
        ),
        service(
            "_sip._tcp.example.com.",
            20,
            0,
            port(busy.local_addr()),
            "a.example.com.",
        ),
        service(
            "_sip._udp.example.com.",
            10,
            0,
            port(serving.local_addr()),
            "a.example.com.",
        ),
        address_of("a.example.com.", Ipv4Addr::LOCALHOST),
    ])
    .await;
    drop(closed);
    let (stop, gateway) = gateway(&name_server.to_string()).await;

    let (mut connection, _) = within("the second server is tried", busy.accept()).await.unwrap();
    let refused = within("a request", streamed(&mut connection)).await;
    assert!(refused.headers.get("Via").unwrap().starts_with("SIP/2.0/TCP "));
    connection
        .write_all(&answer(&refused, "503 Service Unavailable"))
        .await
        .unwrap();

    let mut buffer = [0; 4096];
    let (length, peer) = within("the third server is tried", serving.recv_from(&mut buffer))
        .await
        .unwrap();
    let served = read(Bytes::copy_from_slice(buffer.get(..length).unwrap()));
    assert!(served.headers.get("Via").unwrap().starts_with("SIP/2.0/UDP "));
    for (name, same) in [("Call-ID", true), ("CSeq", true), ("From", true), ("Via", false)] {
        assert_eq!(
            served.headers.get(name) == refused.headers.get(name),
            same,
            "{name}"
        );
    }
    serving.send_to(&answer(&served, "200 OK"), peer).await.unwrap();

    // It is taken as done: what follows is the farewell.
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.send(()).unwrap();
    drop((busy, connection));
    let (length, peer) = within("the farewell", serving.recv_from(&mut buffer))
        .await
        .unwrap();
    let last = read(Bytes::copy_from_slice(buffer.get(..length).unwrap()));
    assert_eq!(last.headers.get("Expires"), Some("0"));
    serving.send_to(&answer(&last, "200 OK"), peer).await.unwrap();
    within("the gateway stops", gateway).await.unwrap();
}

/// One that registers at example.com, and looks names up there.
async fn gateway(name_server: &str) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let variables = [
        ("GATEWAY__XMPP__SERVER", nobody.to_string()),
        (
            "GATEWAY__SIP__LISTEN",
            "udp:127.0.0.1:0,tcp:127.0.0.1:0".to_owned(),
        ),
        ("GATEWAY__SIP__REGISTER__REGISTRAR", "sip:example.com".to_owned()),
        (
            "GATEWAY__SIP__REGISTER__ADDRESS",
            "sip:gateway@example.com".to_owned(),
        ),
        ("GATEWAY__MSRP__LISTEN", "127.0.0.1:0".to_owned()),
        ("GATEWAY__DNS__SERVERS", name_server.to_owned()),
    ];
    let deployed = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/gateway.toml");
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    let Ok(loaded) = config::load(&deployed, variables) else {
        panic!("a faulty configuration")
    };
    let bound = Bound::bind(loaded.config).await.unwrap();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(async move {
        let stop = async {
            let _dropped = stopped.await;
        };
        bound.serve(stop).await.unwrap();
    });
    (stop, task)
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
