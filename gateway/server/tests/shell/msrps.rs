//! MSRP over TLS: who is let in, whom we connect to, what strangers cost, and the change of certificates under way.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use gateway_tests::authority::{self, Authority, Files, SanType, Says};
use msrp::sdp::{Fingerprint, Fingerprints, HashFunction};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, UdpSocket},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client};

use crate::{
    assert_sound_msrp, attribute,
    authority::{client as connecting, server as listening},
    datagram, header, hear,
    name_server::{address_of, name_server},
    running::{
        Running, accept_component, assert_lives, closed, connect, nobody, request, until_options, within,
    },
};

/// A gateway that takes MSRP over TLS, too, attached to an XMPP server.
struct Scene {
    gateway: Running,
    server: BufReader<TcpStream>,
}

/// A caller who has been let into his room.
struct Call {
    phone: UdpSocket,
    /// The gateway's description.
    answer: String,
}

fn settings<'a>(files: [&'a str; 3], further: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let [certificate, key, anchors] = files;
    let mut all = vec![
        ("GATEWAY__MSRP__LISTEN", "127.0.0.1:0,tls:127.0.0.1:0"),
        ("GATEWAY__TLS__CERTIFICATE", certificate),
        ("GATEWAY__TLS__KEY", key),
        ("GATEWAY__TLS__TRUST_ANCHORS", anchors),
    ];
    all.extend_from_slice(further);
    all
}

/// One that is attached to nothing.
async fn alone(authority: &Authority, files: &Files, further: &[(&str, &str)]) -> Running {
    let anchors = authority.file();
    let paths = [&files.certificate, &files.key, &anchors].map(|path| path.display().to_string());
    Running::start(
        nobody().await,
        &settings(paths.each_ref().map(String::as_str), further),
    )
    .await
}

impl Scene {
    async fn new(authority: &Authority, files: &Files, further: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let anchors = authority.file();
        let paths = [&files.certificate, &files.key, &anchors].map(|path| path.display().to_string());
        let settings = settings(paths.each_ref().map(String::as_str), further);
        let gateway = Running::start(listener.local_addr().unwrap(), &settings).await;
        let server = accept_component(&listener).await;
        until_options(&mut connect(gateway.tcp).await, "SIP/2.0 200", 1..10_000).await;
        Self { gateway, server }
    }

    /// `name` calls the room with this media line and these attributes, and is let in.
    async fn call(&mut self, name: &str, media: &str) -> Call {
        let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        phone.connect(self.gateway.udp).await.unwrap();
        let here = phone.local_addr().unwrap().to_string();
        let offer = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n{media}\
             a=accept-types:message/cpim\r\na=accept-wrapped-types:text/plain\r\n"
        );
        let said = |method: &str, number: usize| {
            request(method, "UDP", number)
                .replace("127.0.0.1:9", &here)
                .replace("sip:romeo@", &format!("sip:{name}@"))
                .replace(&format!("{number}@127.0.0.1"), &format!("{name}@127.0.0.1"))
                .replace(&format!("tag=a{number}"), "tag=a")
        };
        let body = format!(
            "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{offer}",
            offer.len()
        );
        let invite = said("INVITE", 1).replace("Content-Length: 0\r\n\r\n", &body);
        phone.send(invite.as_bytes()).await.unwrap();
        let mut heard = String::new();
        hear(&mut self.server, &mut heard, &format!("{name}@example.org/")).await;
        // Others may have left before.
        heard.drain(..heard.rfind("<presence").unwrap());
        hear(&mut self.server, &mut heard, "</presence>").await;
        let (occupant, user) = (
            attribute(&heard, "<presence", "to"),
            attribute(&heard, "<presence", "from"),
        );
        let admitted = format!(
            "<presence from='{occupant}' to='{user}'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <item affiliation='none' role='participant'/><status code='110'/></x></presence>\
             <message type='groupchat' from='capulet@rooms.example.com' to='{user}'><subject/></message>"
        );
        self.server.write_all(admitted.as_bytes()).await.unwrap();
        let accepted = datagram(&phone, "SIP/2.0 200").await;
        let to = format!("To: {}", header(&accepted, "To"));
        let ack = said("ACK", 2).replace("To: <sip:capulet@rooms.example.com>", &to);
        phone.send(ack.as_bytes()).await.unwrap();
        let (_, answer) = accepted.split_once("\r\n\r\n").unwrap();
        Call {
            phone,
            answer: answer.to_owned(),
        }
    }
}

impl Call {
    fn value(&self, name: &str) -> &str {
        let start = format!("a={name}:");
        let mut lines = self.answer.lines();
        lines.find_map(|line| line.strip_prefix(&start)).unwrap()
    }

    /// The Reason of the BYE that the gateway sends.
    async fn reason(&self) -> String {
        let bye = datagram(&self.phone, "BYE ").await;
        header(&bye, "Reason").to_owned()
    }
}

fn gateway_certificate(authority: &Authority) -> Files {
    authority
        .issue("gateway", &Says::names(&[dns("gateway.example.com")]))
        .unwrap()
}

fn dns(name: &str) -> SanType {
    authority::dns(name).unwrap()
}

fn loopback() -> SanType {
    SanType::IpAddress([127, 0, 0, 1].into())
}

fn der(file: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file).unwrap()
}

fn fingerprint(files: &Files) -> String {
    let fingerprint = Fingerprint::of(HashFunction::Sha256, &der(&files.certificate));
    format!("a=fingerprint:{fingerprint}\r\n")
}

type Secure = client::TlsStream<TcpStream>;

async fn connect_tls(gateway: &Running) -> std::io::Result<Secure> {
    let connector = TlsConnector::from(Arc::new(connecting(None)));
    let stream = TcpStream::connect(gateway.msrps.unwrap()).await?;
    let name = ServerName::try_from("gateway.example.com").unwrap();
    within("the handshake", connector.connect(name, stream)).await
}

/// The certificate that a connection was shown.
fn shown(stream: &Secure) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0]
        .clone()
        .into_owned()
}

fn bind(id: &str, to: &str, from: &str) -> String {
    format!(
        "MSRP {id} SEND\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\nMessage-ID: {id}m\r\nByte-Range: 1-0/0\r\n\
         -------{id}$\r\n"
    )
}

/// The answer to one request; what the gateway says of itself may come before it.
async fn answer(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let id = request.split(' ').nth(1).unwrap();
    let end = format!("-------{id}$\r\n");
    let mut octets = Vec::new();
    while !(octets.ends_with(b"$\r\n") && String::from_utf8_lossy(&octets).contains(&end)) {
        let read = within("the answer", stream.read_buf(&mut octets)).await.unwrap();
        assert_ne!(read, 0, "the connection ended");
    }
    assert_sound_msrp(&octets, request.as_bytes());
    let text = String::from_utf8(octets).unwrap();
    let begin = text.find(&format!("MSRP {id} ")).unwrap();
    text[begin..].to_owned()
}

/// Until the gateway has noticed that a file has changed.
async fn renewed(gateway: &Running, former: &CertificateDer<'_>) {
    within("the new certificate", async {
        while shown(&connect_tls(gateway).await.unwrap()) == *former {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

const SECURED: &str =
    "m=message 9 TCP/TLS/MSRP *\r\na=setup:active\r\na=path:msrps://127.0.0.1:9/romeosession;tcp\r\n";
const ROMEO: &str = "msrps://127.0.0.1:9/romeosession;tcp";

// Rows: C4975-37, G7702-07, C757X-20
#[tokio::test(flavor = "multi_thread")]
async fn a_session_over_tls_outlives_the_certificate_and_descriptions_name_the_one_in_use() {
    let authority = Authority::new().unwrap();
    let files = gateway_certificate(&authority);
    let mut scene = Scene::new(&authority, &files, &[("GATEWAY__TLS__CHECK", "50ms")]).await;
    let romeo = scene.call("romeo", SECURED).await;
    assert!(romeo.answer.contains("TCP/TLS/MSRP"), "{}", romeo.answer);
    let path = romeo.value("path").to_owned();
    assert!(path.starts_with("msrps://127.0.0.1:"), "{path}");

    let mut stream = connect_tls(&scene.gateway).await.unwrap();
    let first = shown(&stream);
    assert!(Fingerprints::parse([romeo.value("fingerprint")]).name(&first));
    let bound = answer(&mut stream, &bind("bind1", &path, ROMEO)).await;
    assert!(bound.starts_with("MSRP bind1 200"), "{bound}");

    gateway_certificate(&authority);
    renewed(&scene.gateway, &first).await;
    let again = answer(&mut stream, &bind("bind2", &path, ROMEO)).await;
    assert!(again.starts_with("MSRP bind2 200"), "{again}");
    let nurse = scene
        .call("nurse", &SECURED.replace("romeosession", "nursesession"))
        .await;
    let second = shown(&connect_tls(&scene.gateway).await.unwrap());
    assert_ne!(first, second);
    assert!(Fingerprints::parse([nurse.value("fingerprint")]).name(&second));
}

// Rows: C4975-37
#[tokio::test(flavor = "multi_thread")]
async fn rfc4975_section_6_a_session_for_tls_is_not_bound_over_plain_tcp() {
    let authority = Authority::new().unwrap();
    let mut scene = Scene::new(&authority, &gateway_certificate(&authority), &[]).await;
    let romeo = scene.call("romeo", SECURED).await;
    let mut plain = connect(scene.gateway.msrp).await;
    let refused = answer(&mut plain, &bind("bind1", romeo.value("path"), ROMEO)).await;
    assert!(refused.starts_with("MSRP bind1 481"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_not_ended_has_a_deadline_and_holds_up_nobody() {
    let authority = Authority::new().unwrap();
    let limits = [("GATEWAY__LIMITS__CONNECTIONS__TLS_HANDSHAKE", "300ms")];
    let gateway = alone(&authority, &gateway_certificate(&authority), &limits).await;
    let mut silent = TcpStream::connect(gateway.msrps.unwrap()).await.unwrap();
    let mut garbage = TcpStream::connect(gateway.msrps.unwrap()).await.unwrap();
    let plain = bind("bind1", "msrp://127.0.0.1:2855/x;tcp", ROMEO);
    garbage.write_all(plain.as_bytes()).await.unwrap();
    let mut dribbling = TcpStream::connect(gateway.msrps.unwrap()).await.unwrap();
    dribbling.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();

    let mut good = connect_tls(&gateway).await.unwrap();
    let unknown = answer(
        &mut good,
        &bind("bind2", "msrps://127.0.0.1:2856/nosuchsessionatall;tcp", ROMEO),
    )
    .await;
    assert!(unknown.starts_with("MSRP bind2 481"), "{unknown}");
    closed("the silent handshake", &mut silent).await;
    closed("the garbage", &mut garbage).await;
    closed("the dribbling handshake", &mut dribbling).await;
    assert_lives(&gateway).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_under_way_count_among_the_connections_of_their_address() {
    let authority = Authority::new().unwrap();
    let limits = [("GATEWAY__LIMITS__CONNECTIONS__PER_ADDRESS", "2")];
    let gateway = alone(&authority, &gateway_certificate(&authority), &limits).await;
    let half_open = TcpStream::connect(gateway.msrps.unwrap()).await.unwrap();
    let whole = connect_tls(&gateway).await.unwrap();
    // Those of both listeners count together.
    let mut third = connect(gateway.msrp).await;
    closed("the third connection", &mut third).await;
    drop((half_open, whole));
    gateway.stop().await;
}

/// Romeo's client waits to be connected to, at a host of its own.
fn waiting(host: &str, port: u16, attributes: &str) -> String {
    format!(
        "m=message {port} TCP/TLS/MSRP *\r\na=setup:passive\r\na=path:msrps://{host}:{port}/romeosession;tcp\r\n{attributes}"
    )
}

/// Whom the gateway asks for and what it says on the next connection; the handshake may fail.
async fn heard(listener: &TcpListener, acceptor: &TlsAcceptor) -> (Option<String>, String) {
    let (stream, _) = within("the gateway connects", listener.accept()).await.unwrap();
    let Ok(mut stream) = within("the handshake", acceptor.accept(stream)).await else {
        return (None, String::new());
    };
    let asked = stream.get_ref().1.server_name().map(str::to_owned);
    let mut octets = Vec::new();
    while !octets.ends_with(b"$\r\n") {
        match within("a frame or the end", stream.read_buf(&mut octets)).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => break,
        }
    }
    (asked, String::from_utf8(octets).unwrap())
}

// Rows: C4975-37, G7702-07
#[tokio::test(flavor = "multi_thread")]
async fn rfc4975_section_14_2_and_14_4_nothing_is_said_to_a_stranger_and_the_client_hears_why() {
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let right = Says::names(&[dns("romeo.example.net"), loopback()]);
    let wrong = Says::names(&[dns("tybalt.example.net")]);
    let expired = Says {
        expired: true,
        ..right.clone()
    };
    let name = Some("MSRP Certificate Is Not For The Host Of The Path");
    let trust = Some("MSRP Certificate Is Not Trusted");
    let certificate = Some("MSRP Certificate Is Not That Of The Fingerprint");
    let elsewhere = other.issue("elsewhere", &wrong).unwrap();
    let mut scene = Scene::new(&authority, &gateway_certificate(&authority), &[]).await;
    for (number, (issuer, says, of, refused)) in [
        (&authority, &right, None, None),
        (&authority, &wrong, None, name),
        (&authority, &expired, None, trust),
        (&other, &right, None, trust),
        // With a fingerprint neither name nor authority counts: it alone does.
        (&other, &wrong, Some(None), None),
        (&authority, &right, Some(Some(&elsewhere)), certificate),
    ]
    .into_iter()
    .enumerate()
    {
        let files = issuer.issue("romeo", says).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(listening(&authority, &files)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let attributes = of.map(|of| fingerprint(of.unwrap_or(&files))).unwrap_or_default();
        let media = waiting("127.0.0.1", port, &attributes);
        let user = format!("romeo{number}");
        let (call, (_, said)) = tokio::join!(scene.call(&user, &media), heard(&listener, &acceptor));
        match refused {
            None => assert!(said.contains("To-Path: msrps://127.0.0.1:"), "{user}: {said}"),
            Some(why) => {
                assert_eq!(said, "", "{user}");
                let reason = call.reason().await;
                assert!(reason.contains(why), "{user}: {reason}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_speaks_no_tls_is_let_go_in_time() {
    let authority = Authority::new().unwrap();
    let limits = [("GATEWAY__LIMITS__CONNECTIONS__CONNECT", "300ms")];
    let mut scene = Scene::new(&authority, &gateway_certificate(&authority), &limits).await;
    for (user, answer) in [("deaf", ""), ("rude", "MSRP bind1 481\r\n")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let media = waiting("127.0.0.1", listener.local_addr().unwrap().port(), "");
        let met = async {
            let (mut stream, _) = within("the gateway connects", listener.accept()).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            closed("the plain connection", &mut stream).await;
        };
        let (call, ()) = tokio::join!(scene.call(user, &media), met);
        let why = if answer.is_empty() {
            "MSRP Peer Cannot Be Reached"
        } else {
            "MSRP Peer Does Not Speak TLS"
        };
        let reason = call.reason().await;
        assert!(reason.contains(why), "{reason}");
    }
}

// Rows: C4975-14
#[tokio::test(flavor = "multi_thread")]
async fn rfc4975_section_6_2_every_address_of_a_host_is_tried() {
    let authority = Authority::new().unwrap();
    let serving = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = serving.local_addr().unwrap();
    // Nobody listens at that port of the others.
    let others = (2..7).map(|last| address_of("romeo.example.com.", [127, 0, 0, last].into()));
    let serves = address_of("romeo.example.com.", [127, 0, 0, 1].into());
    let (names, _running) = name_server(others.chain([serves]).collect()).await;
    let names: SocketAddr = names;
    let dns_servers = names.to_string();
    let settings = [("GATEWAY__DNS__SERVERS", dns_servers.as_str())];
    let mut scene = Scene::new(&authority, &gateway_certificate(&authority), &settings).await;
    let files = authority
        .issue("romeo", &Says::names(&[dns("romeo.example.com")]))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(listening(&authority, &files)));
    let media = waiting("romeo.example.com", address.port(), "");
    let (_call, (asked, said)) = tokio::join!(scene.call("romeo", &media), heard(&serving, &acceptor));
    assert!(said.contains("To-Path: msrps://romeo.example.com:"), "{said}");
    // RFC 4975 §14.2: by its name in the handshake.
    assert_eq!(asked.as_deref(), Some("romeo.example.com"));
}

// Rows: C7701-61
#[tokio::test(flavor = "multi_thread")]
async fn where_tls_is_required_a_plain_offer_is_refused_with_a_reason() {
    let authority = Authority::new().unwrap();
    let policy = [("GATEWAY__MSRP__TLS", "required")];
    let scene = Scene::new(&authority, &gateway_certificate(&authority), &policy).await;
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    phone.connect(scene.gateway.udp).await.unwrap();
    let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message 9 TCP/MSRP *\r\n\
                 a=accept-types:message/cpim\r\na=path:msrp://127.0.0.1:9/romeosession;tcp\r\n";
    let body = format!(
        "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{offer}",
        offer.len()
    );
    let invite = request("INVITE", "UDP", 1)
        .replace("127.0.0.1:9", &phone.local_addr().unwrap().to_string())
        .replace("Content-Length: 0\r\n\r\n", &body);
    phone.send(invite.as_bytes()).await.unwrap();
    let refused = datagram(&phone, "SIP/2.0 4").await;
    assert!(
        refused.starts_with("SIP/2.0 488 TCP/TLS/MSRP Is Needed\r\n"),
        "{refused}"
    );
}
