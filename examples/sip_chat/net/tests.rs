//! The connection tasks on loopback sockets.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const OPTIONS: &[u8] = b"OPTIONS sip:romeo@127.0.0.1 SIP/2.0\r\nContent-Length: 2\r\n\r\nhi";

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(20), test)
            .await
            .expect("in time");
    });
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address at which nobody listens.
async fn nobody() -> SocketAddr {
    listener().await.1
}

async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    bytes
}

#[test]
fn what_is_queued_leaves_before_the_connection_closes() {
    run(async {
        let (listener, address) = listener().await;
        let (sender, _inputs) = mpsc::channel(8);
        let mut tasks = JoinSet::new();
        let flow = flow::open(FlowId(1), address, None, sender, &mut tasks);
        assert!(flow.is_open());
        assert!(flow.send(TransmitId(1), Bytes::from_static(b"one ")));
        assert!(flow.send(TransmitId(2), Bytes::from_static(b"two")));
        drop(flow);
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_eq!(read_to_end(&mut stream).await, b"one two");
        assert!(tasks.join_next().await.is_some());
    });
}

#[test]
fn messages_are_cut_out_and_keep_alives_answered_whatever_the_segments() {
    run(async {
        let (listener, address) = listener().await;
        let mut peer = TcpStream::connect(address).await.unwrap();
        let (stream, ours) = listener.accept().await.unwrap();
        let (sender, mut inputs) = mpsc::channel(8);
        let mut tasks = JoinSet::new();
        let _flow = flow::open(FlowId(7), ours, Some(stream), sender, &mut tasks);
        let (start, end) = OPTIONS.split_at(30);
        peer.write_all(start).await.unwrap();
        peer.write_all(end).await.unwrap();
        peer.write_all(b"\r\n\r\n").await.unwrap();
        peer.write_all(OPTIONS).await.unwrap();
        for _ in 0..2 {
            let Some(Input::Sip { flow, bytes }) = inputs.recv().await else {
                panic!("a message");
            };
            assert_eq!((flow.transport, flow.id), (Transport::Tcp, Some(FlowId(7))));
            assert_eq!(bytes, OPTIONS);
        }
        let mut pong = [0; 2];
        peer.read_exact(&mut pong).await.unwrap();
        assert_eq!(&pong, b"\r\n");
        drop(peer);
        assert!(matches!(inputs.recv().await, Some(Input::FlowClosed(FlowId(7)))));
    });
}

#[test]
fn a_message_that_cannot_be_sent_is_reported() {
    run(async {
        let (sender, mut inputs) = mpsc::channel(8);
        let mut tasks = JoinSet::new();
        let flow = flow::open(FlowId(1), nobody().await, None, sender, &mut tasks);
        assert!(flow.send(TransmitId(5), Bytes::from_static(OPTIONS)));
        assert!(matches!(
            inputs.recv().await,
            Some(Input::TransmitFailed(TransmitId(5)))
        ));
        assert!(matches!(inputs.recv().await, Some(Input::FlowClosed(FlowId(1)))));
        assert!(!flow.is_open());
        assert!(!flow.send(TransmitId(6), Bytes::from_static(OPTIONS)));
    });
}

#[test]
fn a_stream_that_cannot_be_cut_into_messages_is_closed() {
    run(async {
        let (listener, address) = listener().await;
        let mut peer = TcpStream::connect(address).await.unwrap();
        let (stream, ours) = listener.accept().await.unwrap();
        let (sender, mut inputs) = mpsc::channel(8);
        let mut tasks = JoinSet::new();
        let _flow = flow::open(FlowId(1), ours, Some(stream), sender, &mut tasks);
        peer.write_all(b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: many\r\n\r\n")
            .await
            .unwrap();
        assert!(matches!(inputs.recv().await, Some(Input::FlowClosed(FlowId(1)))));
    });
}

#[test]
fn the_switch_is_connected_written_to_and_read_from() {
    run(async {
        let (listener, address) = listener().await;
        let (sender, mut inputs) = mpsc::channel(8);
        let mut tasks = JoinSet::new();
        let mut switch = switch::connect(("127.0.0.1".to_owned(), address.port()), None, sender, &mut tasks);
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(matches!(inputs.recv().await, Some(Input::SwitchConnected)));
        switch.write(Bytes::from_static(b"hello"));
        assert!(matches!(inputs.recv().await, Some(Input::SwitchWritten)));
        stream.write_all(b"welcome").await.unwrap();
        assert!(matches!(inputs.recv().await, Some(Input::SwitchBytes(bytes)) if bytes == "welcome"));
        switch.write(Bytes::from_static(b", bye"));
        drop(switch);
        assert_eq!(read_to_end(&mut stream).await, b"hello, bye");
    });
}

#[test]
fn a_switch_that_cannot_be_reached_is_told() {
    run(async {
        let (sender, mut inputs) = mpsc::channel(8);
        let mut tasks = JoinSet::new();
        let port = nobody().await.port();
        let _switch = switch::connect(("127.0.0.1".to_owned(), port), None, sender, &mut tasks);
        assert!(
            matches!(inputs.recv().await, Some(Input::SwitchLost(why)) if why.contains("cannot be reached"))
        );
    });
}

#[test]
fn one_port_serves_tcp_and_udp() {
    run(async {
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        let sockets = Sockets::bind(address, true).await.unwrap();
        let datagrams = sockets.datagrams.as_ref().unwrap();
        assert_eq!(datagrams.local_addr().unwrap().port(), sockets.port());
        assert!(Sockets::bind(address, false).await.unwrap().datagrams.is_none());
    });
}

#[test]
fn our_address_is_the_one_that_the_peer_is_reached_from() {
    run(async {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
        assert_eq!(
            address_towards(peer).await.unwrap(),
            IpAddr::from(Ipv4Addr::LOCALHOST)
        );
    });
}
