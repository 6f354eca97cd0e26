//! A gateway on free ports, and peers that talk to it.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use mapping::MsrpTransport;
use server::{config, gateway::Bound};
use sip::Transport;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

/// Long enough for anything that is to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("not in time: {what}"),
    }
}

/// A running gateway.
pub(crate) struct Running {
    pub(crate) udp: SocketAddr,
    pub(crate) tcp: SocketAddr,
    /// Where TLS is listened on, if it is.
    pub(crate) tls: Option<SocketAddr>,
    pub(crate) msrp: SocketAddr,
    /// Where MSRP over TLS is listened on, if it is.
    pub(crate) msrps: Option<SocketAddr>,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<()>,
}

impl Running {
    /// Starts one on free ports, with settings on top as environment variables would give them.
    pub(crate) async fn start(xmpp: SocketAddr, settings: &[(&str, &str)]) -> Self {
        let xmpp = xmpp.to_string();
        let mut variables = vec![
            ("GATEWAY__XMPP__SERVER", xmpp.as_str()),
            ("GATEWAY__SIP__LISTEN", "udp:127.0.0.1:0,tcp:127.0.0.1:0"),
            ("GATEWAY__MSRP__LISTEN", "127.0.0.1:0"),
        ];
        variables.extend_from_slice(settings);
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        let loaded = config::load(&deployed(), variables).unwrap_or_else(|faults| {
            panic!("{}", faults.iter().map(ToString::to_string).collect::<String>())
        });
        let bound = Bound::bind(loaded.config).await.unwrap();
        let at = |transport| {
            bound
                .sip_addresses()
                .iter()
                .find(|(other, _)| *other == transport)
                .unwrap()
                .1
        };
        let (udp, tcp) = (at(Transport::Udp), at(Transport::Tcp));
        let of_msrp = |transport| {
            let mut addresses = bound.msrp_addresses().iter();
            addresses.find_map(|(other, address)| (*other == transport).then_some(*address))
        };
        let msrp = of_msrp(MsrpTransport::Tcp).unwrap();
        let msrps = of_msrp(MsrpTransport::Tls);
        let tls = bound
            .sip_addresses()
            .iter()
            .find_map(|(transport, address)| (*transport == Transport::Tls).then_some(*address));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let stop = async {
                let _dropped = stopped.await;
            };
            bound.serve(stop).await.unwrap();
        });
        Self {
            udp,
            tcp,
            tls,
            msrp,
            msrps,
            stop,
            task,
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        within("the gateway stops", self.task).await.unwrap();
    }
}

pub(crate) fn deployed() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/gateway.toml")
}

/// An address at which nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

pub(crate) fn request(method: &str, transport: &str, number: usize) -> String {
    format!(
        "{method} sip:capulet@rooms.example.com SIP/2.0\r\n\
         Via: SIP/2.0/{transport} 127.0.0.1:9;branch=z9hG4bK{number};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:romeo@example.org>;tag=a{number}\r\n\
         To: <sip:capulet@rooms.example.com>\r\n\
         Call-ID: {number}@127.0.0.1\r\n\
         CSeq: 1 {method}\r\n\
         Contact: <sip:romeo@127.0.0.1:9>\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// One response from a stream: its status line and its headers.
pub(crate) async fn response(stream: &mut (impl AsyncBufRead + Unpin)) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        let read = within("a response", stream.read_line(&mut line)).await.unwrap();
        assert_ne!(read, 0, "the stream ended after {lines:?}");
        match line.trim_end() {
            "" if lines.is_empty() => {}
            "" => return lines,
            line => lines.push(line.to_owned()),
        }
    }
}

pub(crate) async fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    BufReader::new(within("connect", TcpStream::connect(address)).await.unwrap())
}

/// Asks with OPTIONS whether the gateway lives; gives the status line.
pub(crate) async fn options(stream: &mut (impl AsyncBufRead + AsyncWrite + Unpin), number: usize) -> String {
    stream
        .write_all(request("OPTIONS", "TCP", number).as_bytes())
        .await
        .unwrap();
    response(stream).await.remove(0)
}

pub(crate) async fn assert_lives(gateway: &Running) {
    let status = options(&mut connect(gateway.tcp).await, 999_999).await;
    assert!(status.starts_with("SIP/2.0 "), "{status}");
}

/// Waits until the peer has closed; gives what it said before.
pub(crate) async fn closed(what: &str, stream: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset is a close, too.
    let _reset = within(what, stream.read_to_end(&mut rest)).await;
    rest
}

/// Plays the server's part of one component handshake (XEP-0114).
pub(crate) async fn accept_component(listener: &TcpListener) -> BufReader<TcpStream> {
    let (stream, _) = within("the component connects", listener.accept()).await.unwrap();
    let mut stream = BufReader::new(stream);
    let mut header = Vec::new();
    while !String::from_utf8_lossy(&header).contains("<stream:stream") || header.last() != Some(&b'>') {
        let read = within("the stream header", stream.read_until(b'>', &mut header))
            .await
            .unwrap();
        assert_ne!(read, 0);
    }
    let answer = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
                  xmlns:stream='http://etherx.jabber.org/streams' from='example.org' id='s1'>";
    stream.write_all(answer.as_bytes()).await.unwrap();
    let mut handshake = Vec::new();
    while !String::from_utf8_lossy(&handshake).ends_with("</handshake>") {
        let read = within("the handshake", stream.read_until(b'>', &mut handshake))
            .await
            .unwrap();
        assert_ne!(read, 0);
    }
    stream.write_all(b"<handshake/>").await.unwrap();
    stream
}

/// Asks until the answer begins as expected: the change is on its way from one task to another.
pub(crate) async fn until_options(
    stream: &mut BufReader<TcpStream>,
    expected: &str,
    numbers: std::ops::Range<usize>,
) {
    within(expected, async {
        for number in numbers {
            if options(stream, number).await.starts_with(expected) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("never {expected}");
    })
    .await;
}
