//! SIP over TLS: whose certificates count, what peers that misbehave cost, and the change of certificates under way.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rcgen::{ExtendedKeyUsagePurpose, SanType};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::{
    authority::{Authority, Files, Says, dns, uri},
    running::{Running, assert_lives, closed, connect, nobody, options, request, response, within},
};

/// A gateway that listens with TLS, too, with settings on top.
async fn secured(authority: &Authority, files: &Files, settings: &[(&str, &str)]) -> Running {
    let anchors = authority.file();
    let paths = [&files.certificate, &files.key, &anchors].map(|path| path.display().to_string());
    let [certificate, key, anchors] = paths.each_ref().map(String::as_str);
    let mut all = vec![
        (
            "GATEWAY__SIP__LISTEN",
            "udp:127.0.0.1:0,tcp:127.0.0.1:0,tls:127.0.0.1:0",
        ),
        ("GATEWAY__TLS__CERTIFICATE", certificate),
        ("GATEWAY__TLS__KEY", key),
        ("GATEWAY__TLS__TRUST_ANCHORS", anchors),
    ];
    all.extend_from_slice(settings);
    Running::start(nobody().await, &all).await
}

fn gateway_certificate(authority: &Authority) -> Files {
    authority.issue(
        "gateway",
        &Says::names(&[dns("gateway.example.com"), dns("localhost")]),
    )
}

type Secure = BufReader<client::TlsStream<TcpStream>>;

/// A connection as far as the handshake; it may still be refused for want of a certificate.
async fn connect_tls(gateway: &Running, files: Option<&Files>) -> std::io::Result<Secure> {
    let connector = TlsConnector::from(Arc::new(Authority::client(files)));
    let stream = TcpStream::connect(gateway.tls.unwrap()).await?;
    let name = ServerName::try_from("gateway.example.com").unwrap();
    let stream = within("the handshake", connector.connect(name, stream)).await?;
    Ok(BufReader::new(stream))
}

/// The status of the answer to OPTIONS; `None` when the connection is ended instead.
async fn status(gateway: &Running, files: Option<&Files>) -> Option<String> {
    let mut stream = connect_tls(gateway, files).await.ok()?;
    stream
        .write_all(request("OPTIONS", "TLS", 1).as_bytes())
        .await
        .ok()?;
    let mut first = [0; 11];
    within("an answer or the end", stream.read_exact(&mut first))
        .await
        .ok()?;
    Some(String::from_utf8_lossy(&first).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_over_tls_are_answered_on_their_connection_and_keep_alives_too() {
    let authority = Authority::new();
    let gateway = secured(&authority, &gateway_certificate(&authority), &[]).await;
    let mut stream = connect_tls(&gateway, None).await.unwrap();
    assert!(options(&mut stream, 1).await.starts_with("SIP/2.0 "));
    stream.write_all(b"\r\n\r\n").await.unwrap();
    let mut pong = [0; 2];
    within("the pong", stream.read_exact(&mut pong)).await.unwrap();
    assert_eq!(&pong, b"\r\n");
    assert!(options(&mut stream, 2).await.starts_with("SIP/2.0 "));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_read_does_not_close_the_trunk_that_carries_many_users() {
    let authority = Authority::new();
    let gateway = secured(&authority, &gateway_certificate(&authority), &[]).await;
    let faults = [
        request("OPTIONS", "TLS", 1).replace("CSeq: 1", "CSeq: no"),
        request("OPTIONS", "TLS", 2).replace("From: <sip:romeo@example.org>", "From: <sip:romeo@example.org"),
        request("OPTIONS", "TLS", 3).replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"),
        request("OPTIONS", "TLS", 4).replace("Max-Forwards: 70", "no colon here"),
        request("OPTIONS", "TLS", 5).replace("Max-Forwards: 70", "Subject: \u{0}"),
        "SIP/2.0 200\r\nContent-Length: 4\r\n\r\nbody".to_owned(),
        "garbage\r\nContent-Length: 0\r\n\r\n".to_owned(),
    ];
    let mut secure = connect_tls(&gateway, None).await.unwrap();
    let mut plain = connect(gateway.tcp).await;
    for (number, fault) in faults.iter().enumerate() {
        secure.write_all(fault.as_bytes()).await.unwrap();
        plain.write_all(fault.as_bytes()).await.unwrap();
        let (own, number) = (format!("{}@127.0.0.1", number + 100), number + 100);
        for transport in ["TLS", "TCP"] {
            let good = request("OPTIONS", transport, number);
            // What comes before is the refusal of the fault, where one can be written.
            loop {
                let answer = if transport == "TLS" {
                    secure.write_all(good.as_bytes()).await.unwrap();
                    response(&mut secure).await
                } else {
                    plain.write_all(good.as_bytes()).await.unwrap();
                    response(&mut plain).await
                };
                if answer.iter().any(|line| line.contains(&own)) {
                    break;
                }
            }
        }
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_not_ended_has_a_deadline_and_holds_up_nobody() {
    let authority = Authority::new();
    let gateway = secured(
        &authority,
        &gateway_certificate(&authority),
        &[("GATEWAY__LIMITS__CONNECTIONS__TLS_HANDSHAKE", "300ms")],
    )
    .await;
    let mut silent = TcpStream::connect(gateway.tls.unwrap()).await.unwrap();
    let mut garbage = TcpStream::connect(gateway.tls.unwrap()).await.unwrap();
    garbage
        .write_all(request("OPTIONS", "TLS", 1).as_bytes())
        .await
        .unwrap();
    // Half a ClientHello, an octet at a time.
    let mut dribbling = TcpStream::connect(gateway.tls.unwrap()).await.unwrap();
    dribbling.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    assert!(status(&gateway, None).await.unwrap().starts_with("SIP/2.0 "));
    closed("the silent handshake", &mut silent).await;
    closed("the garbage", &mut garbage).await;
    closed("the dribbling handshake", &mut dribbling).await;
    assert_lives(&gateway).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_under_way_count_among_the_connections_of_their_address() {
    let authority = Authority::new();
    let gateway = secured(
        &authority,
        &gateway_certificate(&authority),
        &[("GATEWAY__LIMITS__CONNECTIONS__PER_ADDRESS", "2")],
    )
    .await;
    let half_open = TcpStream::connect(gateway.tls.unwrap()).await.unwrap();
    let mut whole = connect_tls(&gateway, None).await.unwrap();
    assert!(options(&mut whole, 1).await.starts_with("SIP/2.0 "));
    let mut third = TcpStream::connect(gateway.tls.unwrap()).await.unwrap();
    closed("the third connection", &mut third).await;
    drop(half_open);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_of_streams_hold_behind_the_handshake() {
    let authority = Authority::new();
    let settings = [
        ("GATEWAY__LIMITS__CONNECTIONS__SIP_FIRST", "200ms"),
        ("GATEWAY__LIMITS__CONNECTIONS__SIP_MESSAGE", "300ms"),
    ];
    let gateway = secured(&authority, &gateway_certificate(&authority), &settings).await;
    let mut silent = connect_tls(&gateway, None).await.unwrap();
    let mut half = connect_tls(&gateway, None).await.unwrap();
    half.write_all(&request("OPTIONS", "TLS", 1).as_bytes()[..100])
        .await
        .unwrap();
    closed("the silent stream", &mut silent).await;
    closed("the half message", &mut half).await;
    assert_lives(&gateway).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_optional_and_one_that_is_shown_must_be_valid() {
    let (authority, other) = (Authority::new(), Authority::new());
    let gateway = secured(&authority, &gateway_certificate(&authority), &[]).await;
    let good = authority.issue("good", &Says::names(&[dns("proxy.example.com")]));
    let foreign = other.issue("foreign", &Says::names(&[dns("proxy.example.com")]));
    let expired = Says {
        expired: true,
        ..Says::names(&[dns("proxy.example.com")])
    };
    let expired = authority.issue("expired", &expired);
    assert!(status(&gateway, None).await.is_some());
    assert!(status(&gateway, Some(&good)).await.is_some());
    assert_eq!(status(&gateway, Some(&foreign)).await, None);
    assert_eq!(status(&gateway, Some(&expired)).await, None);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_client_certificate_is_required() {
    let authority = Authority::new();
    let settings = [("GATEWAY__TLS__CLIENT_CERTIFICATES", "required")];
    let gateway = secured(&authority, &gateway_certificate(&authority), &settings).await;
    let good = authority.issue("good", &Says::names(&[dns("proxy.example.com")]));
    assert_eq!(status(&gateway, None).await, None);
    assert!(status(&gateway, Some(&good)).await.is_some());
    assert_lives(&gateway).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc5922_section_7_1_a_listed_name_in_a_valid_certificate_is_served_where_strangers_are_refused() {
    let authority = Authority::new();
    let settings = [
        ("GATEWAY__SIP__TRUST__PEERS", "proxy.example.com"),
        ("GATEWAY__SIP__TRUST__OTHERS", "refuse"),
    ];
    let gateway = secured(&authority, &gateway_certificate(&authority), &settings).await;
    for (names, served) in [
        (vec![dns("proxy.example.com")], true),
        (vec![uri("sip:proxy.example.com")], true),
        (vec![dns("other.example.com"), dns("PROXY.example.com")], true),
        // RFC 5922 §7.1: the URI alone counts.
        (
            vec![uri("sip:other.example.com"), dns("proxy.example.com")],
            false,
        ),
        (vec![uri("sip:someone@proxy.example.com")], false),
        (vec![dns("*.example.com")], false),
        (vec![dns("sub.proxy.example.com")], false),
    ] {
        let files = authority.issue("peer", &Says::names(&names));
        let status = status(&gateway, Some(&files)).await.unwrap();
        assert_eq!(status != "SIP/2.0 403", served, "{names:?}: {status}");
    }
    assert_eq!(status(&gateway, None).await.as_deref(), Some("SIP/2.0 403"));
    gateway.stop().await;
}

/// A registrar that is reached with TLS.
struct Registrar {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Registrar {
    async fn new(authority: &Authority, files: &Files) -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            acceptor: TlsAcceptor::from(Arc::new(authority.server(files))),
        }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The next connection; an error when the gateway does not want it.
    async fn accept(&self) -> std::io::Result<BufReader<server::TlsStream<TcpStream>>> {
        let (stream, _) = within("the gateway connects", self.listener.accept())
            .await
            .unwrap();
        let stream = within("the handshake", self.acceptor.accept(stream)).await?;
        Ok(BufReader::new(stream))
    }
}

async fn registering(
    authority: &Authority,
    host: &str,
    registrar: SocketAddr,
    settings: &[(&str, &str)],
) -> Running {
    let uri = format!("sip:{host}:{};transport=tls", registrar.port());
    let mut all = vec![
        ("GATEWAY__SIP__REGISTER__REGISTRAR", uri.as_str()),
        ("GATEWAY__SIP__REGISTER__ADDRESS", "sip:gateway@example.org"),
    ];
    all.extend_from_slice(settings);
    secured(authority, &gateway_certificate(authority), &all).await
}

#[tokio::test(flavor = "multi_thread")]
async fn we_show_our_certificate_to_whom_we_connect_and_go_on_when_the_name_is_right() {
    let authority = Authority::new();
    for (host, name) in [
        ("localhost", dns("localhost")),
        ("localhost", uri("sip:localhost")),
        ("127.0.0.1", SanType::IpAddress([127, 0, 0, 1].into())),
    ] {
        let files = authority.issue("registrar", &Says::names(&[name]));
        let registrar = Registrar::new(&authority, &files).await;
        let gateway = registering(&authority, host, registrar.address(), &[]).await;
        let mut stream = registrar.accept().await.unwrap();
        let shown = stream.get_ref().get_ref().1.peer_certificates().unwrap().len();
        assert_eq!(shown, 1);
        let register = response(&mut stream).await;
        assert!(register[0].starts_with("REGISTER sip:"), "{register:?}");
        let via = register.iter().find(|line| line.starts_with("Via:")).unwrap();
        assert!(via.contains("SIP/2.0/TLS") && via.contains(";alias"), "{via}");
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc5922_section_7_3_nothing_is_sent_to_a_server_whose_certificate_is_not_for_the_host() {
    let (authority, other) = (Authority::new(), Authority::new());
    let right = Says::names(&[dns("localhost")]);
    let bad = [
        (
            "another name",
            &authority,
            Says::names(&[dns("other.example.com")]),
        ),
        ("a suffix", &authority, Says::names(&[dns("sub.localhost")])),
        ("a wildcard", &authority, Says::names(&[dns("*")])),
        ("the common name alone", &authority, Says::names(&[])),
        ("a user", &authority, Says::names(&[uri("sip:someone@localhost")])),
        (
            "another scheme",
            &authority,
            Says::names(&[uri("sips:localhost")]),
        ),
        (
            "a DNS name beside a SIP URI",
            &authority,
            Says::names(&[uri("sip:other.example.com"), dns("localhost")]),
        ),
        (
            "the address instead of the name",
            &authority,
            Says::names(&[SanType::IpAddress([127, 0, 0, 1].into())]),
        ),
        (
            "expired",
            &authority,
            Says {
                expired: true,
                ..right.clone()
            },
        ),
        (
            "for clients",
            &authority,
            Says {
                purpose: Some(ExtendedKeyUsagePurpose::ClientAuth),
                ..right.clone()
            },
        ),
        ("of another authority", &other, right),
    ];
    for (what, issuer, says) in bad {
        let files = issuer.issue("registrar", &says);
        let registrar = Registrar::new(&authority, &files).await;
        let gateway = registering(&authority, "localhost", registrar.address(), &[]).await;
        let heard = match registrar.accept().await {
            Ok(mut stream) => {
                let mut octets = Vec::new();
                let _reset = within(what, stream.read_to_end(&mut octets)).await;
                octets
            }
            Err(_) => Vec::new(),
        };
        assert_eq!(String::from_utf8_lossy(&heard), "", "{what}");
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc5626_section_4_4_1_a_connection_of_ours_is_kept_alive_and_given_up_when_it_is_dead() {
    let authority = Authority::new();
    let files = authority.issue("registrar", &Says::names(&[dns("localhost")]));
    let registrar = Registrar::new(&authority, &files).await;
    let settings = [
        ("GATEWAY__SIP__KEEP_ALIVE", "300ms"),
        ("GATEWAY__LIMITS__CONNECTIONS__SIP_PONG", "100ms"),
    ];
    let gateway = registering(&authority, "localhost", registrar.address(), &settings).await;
    let mut stream = registrar.accept().await.unwrap();
    response(&mut stream).await;
    let mut ping = [0; 4];
    for _ in 0..2 {
        within("a ping", stream.read_exact(&mut ping)).await.unwrap();
        assert_eq!(&ping, b"\r\n\r\n");
        stream.write_all(b"\r\n").await.unwrap();
        stream.flush().await.unwrap();
    }
    within("a ping", stream.read_exact(&mut ping)).await.unwrap();
    closed("the connection that does not answer", &mut stream).await;
    gateway.stop().await;
}

/// The certificate that a new connection is shown.
fn shown(stream: &Secure) -> Vec<u8> {
    let chain = stream.get_ref().get_ref().1.peer_certificates().unwrap();
    chain[0].to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_certificate_is_used_for_new_connections_and_old_ones_go_on() {
    let authority = Authority::new();
    let files = gateway_certificate(&authority);
    let gateway = secured(&authority, &files, &[("GATEWAY__TLS__CHECK", "50ms")]).await;
    let mut old = connect_tls(&gateway, None).await.unwrap();
    assert!(options(&mut old, 1).await.starts_with("SIP/2.0 "));
    let first = shown(&old);
    // A file that is half written, or of another key, changes nothing.
    std::fs::write(&files.certificate, "-----BEGIN CERTIFICATE-----\n").unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(shown(&connect_tls(&gateway, None).await.unwrap()), first);
    authority.issue(
        "gateway",
        &Says::names(&[dns("renewed.example.com"), dns("gateway.example.com")]),
    );
    within("the new certificate", async {
        while shown(&connect_tls(&gateway, None).await.unwrap()) == first {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(options(&mut old, 2).await.starts_with("SIP/2.0 "));
    assert!(status(&gateway, None).await.unwrap().starts_with("SIP/2.0 "));
    gateway.stop().await;
}
