//! The shell on loopback sockets: who is answered, who is dropped, and that nobody else notices.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests: a failed assumption is a failed test"
)]

mod authority;
mod msrps;
#[path = "../name_server/mod.rs"]
mod name_server;
mod running;
mod tls;

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpSocket, TcpStream, UdpSocket},
};

use self::running::{
    Running, accept_component, assert_lives, closed, connect, nobody, options, request, response,
    until_options, within,
};

/// What the gateway wrote on an MSRP connection from its start, after it had heard that.
fn assert_sound_msrp(written: &[u8], heard: &[u8]) {
    let verdict = msrp_checker::check_conversation(written, heard);
    assert_eq!((verdict.deviations, verdict.unfinished), (Vec::new(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_xmpp_server_the_gateway_lives_and_an_invite_gets_503_with_retry_after() {
    let gateway = Running::start(nobody().await, &[]).await;
    let mut peer = connect(gateway.tcp).await;
    until_options(&mut peer, "SIP/2.0 503", 1..10_000).await;
    peer.write_all(request("INVITE", "TCP", 20_000).as_bytes())
        .await
        .unwrap();
    let mut answer = response(&mut peer).await;
    if answer[0].starts_with("SIP/2.0 100") {
        answer = response(&mut peer).await;
    }
    assert!(answer[0].starts_with("SIP/2.0 503"), "{answer:?}");
    assert!(
        answer.iter().any(|line| line.starts_with("Retry-After: ")),
        "{answer:?}"
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_the_link_and_a_lost_link_comes_back() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = Running::start(server.local_addr().unwrap(), &[]).await;
    let mut peer = connect(gateway.tcp).await;
    let stream = accept_component(&server).await;
    until_options(&mut peer, "SIP/2.0 200", 1..10_000).await;
    drop(stream);
    until_options(&mut peer, "SIP/2.0 503", 10_000..60_000).await;
    let stream = accept_component(&server).await;
    until_options(&mut peer, "SIP/2.0 200", 60_000..120_000).await;
    // A graceful stop ends the stream, not the connection alone.
    let mut stream = stream;
    let said = tokio::spawn(async move {
        let mut said = String::new();
        within("the end of the stream", stream.read_to_string(&mut said))
            .await
            .unwrap();
        said
    });
    gateway.stop().await;
    let said = said.await.unwrap();
    assert!(said.ends_with("</stream:stream>"), "{said}");
}

// Rows: C7701-37
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_read_is_dropped_and_others_are_answered() {
    let gateway = Running::start(nobody().await, &[]).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let deaf = within("connect", socket.connect(gateway.tcp)).await.unwrap();
    let (deaf_reader, mut deaf_writer) = deaf.into_split();
    let writing = tokio::spawn(async move {
        let mut sent = 0;
        loop {
            let batch: String = (0..100).map(|n| request("OPTIONS", "TCP", sent + n)).collect();
            if deaf_writer.write_all(batch.as_bytes()).await.is_err() {
                return sent;
            }
            sent += 100;
        }
    });
    let mut other = connect(gateway.tcp).await;
    let mut answered = 0;
    while !writing.is_finished() {
        answered += 1;
        assert!(
            options(&mut other, 10_000_000 + answered)
                .await
                .starts_with("SIP/2.0 503")
        );
    }
    // More than its queue holds, since the sockets' buffers take a part.
    let sent = within("the deaf peer is dropped", writing).await.unwrap();
    assert!(sent * 200 > 256 * 1024, "dropped after {sent}");
    drop(deaf_reader);
    assert!(answered > 1);
    assert!(options(&mut other, 10_000_000).await.starts_with("SIP/2.0 503"));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_stays_silent_at_first_is_closed() {
    let gateway = Running::start(
        nobody().await,
        &[("GATEWAY__LIMITS__CONNECTIONS__SIP_FIRST", "100ms")],
    )
    .await;
    closed("the silent stream", &mut connect(gateway.tcp).await).await;
    assert_lives(&gateway).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_dribbles_in_has_a_deadline_that_its_octets_do_not_move() {
    let gateway = Running::start(
        nobody().await,
        &[("GATEWAY__LIMITS__CONNECTIONS__SIP_MESSAGE", "300ms")],
    )
    .await;
    let mut stream = connect(gateway.tcp).await;
    assert!(options(&mut stream, 1).await.starts_with("SIP/2.0 "));
    let (mut reader, mut writer) = stream.into_inner().into_split();
    let dribble = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        for octet in request("OPTIONS", "TCP", 2).repeat(10).into_bytes() {
            tick.tick().await;
            if writer.write_all(&[octet]).await.is_err() {
                return true;
            }
        }
        false
    });
    closed("the dribbling stream", &mut reader).await;
    drop(reader);
    assert!(within("the dribble fails", dribble).await.unwrap());
    assert_lives(&gateway).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_framing_is_lost_is_closed_and_others_live() {
    let gateway = Running::start(nobody().await, &[]).await;
    let mut other = connect(gateway.tcp).await;
    assert!(options(&mut other, 1).await.starts_with("SIP/2.0 "));
    for garbage in [
        request("OPTIONS", "TCP", 2).replace("Content-Length: 0", "Content-Length: many"),
        // Half a message, then octets that make no head within the limits.
        format!(
            "{}{}",
            &request("OPTIONS", "TCP", 3)[..150],
            "\u{1}garbage".repeat(20_000)
        ),
    ] {
        let mut stream = connect(gateway.tcp).await;
        // It may be closed while this is being written.
        let _closed = stream.write_all(garbage.as_bytes()).await;
        closed("the garbled stream", &mut stream).await;
    }
    assert!(options(&mut other, 4).await.starts_with("SIP/2.0 "));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keep_alive_is_answered() {
    let gateway = Running::start(nobody().await, &[]).await;
    let mut stream = connect(gateway.tcp).await;
    stream.write_all(b"\r\n\r\n").await.unwrap();
    let mut pong = [0; 2];
    within("the pong", stream.read_exact(&mut pong)).await.unwrap();
    assert_eq!(&pong, b"\r\n");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_that_are_garbage_are_not_answered_and_do_no_harm() {
    let gateway = Running::start(nobody().await, &[]).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(gateway.udp).await.unwrap();
    for garbage in [
        &b""[..],
        b"\r\n\r\n",
        b"\0",
        &[0xff; 1500],
        b"OPTIONS",
        b"SIP/2.0 200 OK\r\n\r\n",
    ] {
        socket.send(garbage).await.unwrap();
    }
    let mut buffer = vec![0; 65_535];
    socket
        .send(request("OPTIONS", "UDP", 1).as_bytes())
        .await
        .unwrap();
    let length = within("the answer", socket.recv(&mut buffer)).await.unwrap();
    let answer = String::from_utf8_lossy(&buffer[..length]);
    assert!(
        answer.starts_with("SIP/2.0 ") && answer.contains("1@127.0.0.1"),
        "{answer}"
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_msrp_closes_its_connection_alone() {
    let gateway = Running::start(nobody().await, &[]).await;
    let mut other = connect(gateway.msrp).await;
    let mut garbled = connect(gateway.msrp).await;
    let garbage = b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n";
    garbled.write_all(garbage).await.unwrap();
    let said = closed("the garbled connection", &mut garbled).await;
    assert_sound_msrp(&said, garbage);
    let send = "MSRP d93kswow SEND\r\n\
                To-Path: msrp://127.0.0.1:2855/nosuchsession;tcp\r\n\
                From-Path: msrp://127.0.0.1:9/xs4ion;tcp\r\n\
                Message-ID: 12339sdqwer\r\n\
                -------d93kswow$\r\n";
    other.write_all(send.as_bytes()).await.unwrap();
    let mut answer = String::new();
    while !answer.ends_with("-------d93kswow$\r\n") {
        let read = within("the answer", other.read_line(&mut answer)).await.unwrap();
        assert_ne!(read, 0, "{answer}");
    }
    assert!(answer.starts_with("MSRP d93kswow 481"), "{answer}");
    gateway.stop().await;
    answer.push_str(&String::from_utf8(closed("the sound connection", &mut other).await).unwrap());
    assert_sound_msrp(answer.as_bytes(), send.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_msrp_connection_without_a_session_has_a_deadline_that_octets_do_not_move() {
    let gateway = Running::start(
        nobody().await,
        &[("GATEWAY__LIMITS__CONNECTIONS__MSRP_UNBOUND", "300ms")],
    )
    .await;
    let (mut reader, mut writer) = connect(gateway.msrp).await.into_inner().into_split();
    let dribble = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        for octet in b"MSRP d93kswow SEND\r\nTo-Path: ".repeat(20) {
            tick.tick().await;
            if writer.write_all(&[octet]).await.is_err() {
                return true;
            }
        }
        false
    });
    let said = closed("the unbound connection", &mut reader).await;
    assert_sound_msrp(&said, b"MSRP d93kswow SEND\r\nTo-Path: ");
    drop(reader);
    assert!(within("the dribble fails", dribble).await.unwrap());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_of_an_address_are_closed_at_once() {
    let gateway = Running::start(
        nobody().await,
        &[("GATEWAY__LIMITS__CONNECTIONS__PER_ADDRESS", "1")],
    )
    .await;
    for address in [gateway.tcp, gateway.msrp] {
        let first = connect(address).await;
        let said = closed("the second connection", &mut connect(address).await).await;
        assert!(said.is_empty(), "{said:?}");
        drop(first);
    }
    gateway.stop().await;
}

/// The value of an attribute in the first element that begins so.
fn attribute(text: &str, element: &str, name: &str) -> String {
    let from = &text[text.find(element).unwrap()..];
    let from = &from[from.find(&format!(" {name}=")).unwrap() + name.len() + 2..];
    let quote = from.chars().next().unwrap();
    from[1..].split(quote).next().unwrap().to_owned()
}

/// Reads the component's stream until it holds what is wanted; gives all of it.
async fn hear(stream: &mut BufReader<TcpStream>, heard: &mut String, wanted: &str) {
    while !heard.contains(wanted) {
        let mut octets = Vec::new();
        let read = within(wanted, stream.read_until(b'>', &mut octets))
            .await
            .unwrap();
        assert_ne!(read, 0, "the stream ended before {wanted}: {heard}");
        heard.push_str(&String::from_utf8(octets).unwrap());
    }
}

async fn datagram(socket: &UdpSocket, wanted: &str) -> String {
    let mut buffer = vec![0; 65_535];
    loop {
        let length = within(wanted, socket.recv(&mut buffer)).await.unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.starts_with(wanted) {
            return text;
        }
    }
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let line = message
        .lines()
        .find(|line| line.starts_with(&format!("{name}: ")));
    &line.unwrap_or_else(|| panic!("no {name} in {message}"))[name.len() + 2..]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_tells_both_sides_of_each_session() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = Running::start(server.local_addr().unwrap(), &[]).await;
    let mut stream = accept_component(&server).await;
    let mut heard = String::new();
    until_options(&mut connect(gateway.tcp).await, "SIP/2.0 200", 1..10_000).await;

    // Romeo calls the room.
    let romeo = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    romeo.connect(gateway.udp).await.unwrap();
    let here = romeo.local_addr().unwrap();
    let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                 m=message 9 TCP/MSRP *\r\na=accept-types:message/cpim\r\na=accept-wrapped-types:text/plain\r\n\
                 a=setup:active\r\na=path:msrp://127.0.0.1:9/romeosession;tcp\r\n";
    let invite = request("INVITE", "UDP", 1)
        .replace("127.0.0.1:9", &here.to_string())
        .replace(
            "Content-Length: 0\r\n\r\n",
            &format!(
                "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{offer}",
                offer.len()
            ),
        );
    romeo.send(invite.as_bytes()).await.unwrap();

    // The room admits him.
    hear(&mut stream, &mut heard, "</presence>").await;
    let (occupant, user) = (
        attribute(&heard, "<presence", "to"),
        attribute(&heard, "<presence", "from"),
    );
    assert!(occupant.starts_with("capulet@rooms.example.com/"), "{heard}");
    let admitted = format!(
        "<presence from='{occupant}' to='{user}'><x xmlns='http://jabber.org/protocol/muc#user'>\
         <item affiliation='none' role='participant'/><status code='110'/></x></presence>\
         <message type='groupchat' from='capulet@rooms.example.com' to='{user}'><subject/></message>"
    );
    stream.write_all(admitted.as_bytes()).await.unwrap();
    let accepted = datagram(&romeo, "SIP/2.0 200").await;
    let ack = request("ACK", "UDP", 2)
        .replace("2@127.0.0.1", "1@127.0.0.1")
        .replace("tag=a2", "tag=a1")
        .replace(
            "To: <sip:capulet@rooms.example.com>",
            &format!("To: {}", header(&accepted, "To")),
        );
    romeo.send(ack.as_bytes()).await.unwrap();

    let stopping = tokio::spawn(gateway.stop());
    let bye = datagram(&romeo, "BYE ").await;
    let answer = ["Via", "From", "To", "Call-ID", "CSeq"]
        .map(|name| format!("{name}: {}\r\n", header(&bye, name)))
        .concat();
    romeo
        .send(format!("SIP/2.0 200 OK\r\n{answer}Content-Length: 0\r\n\r\n").as_bytes())
        .await
        .unwrap();
    hear(&mut stream, &mut heard, "</stream:stream>").await;
    let left = &heard[heard
        .find("unavailable")
        .unwrap_or_else(|| panic!("no leaving: {heard}"))..];
    assert!(
        left.contains("</stream:stream>"),
        "the stream ends after the leaving"
    );
    within("the gateway stops", stopping).await.unwrap();
}

/// The gateway's next REGISTER, and where it came from.
async fn register_of(socket: &UdpSocket) -> (sip::message::Request, SocketAddr) {
    let mut buffer = [0; 4096];
    let (length, peer) = within("a datagram", socket.recv_from(&mut buffer)).await.unwrap();
    match sip::message::Message::parse(&bytes::Bytes::copy_from_slice(&buffer[..length])) {
        Ok(sip::message::Message::Request(request)) => (request, peer),
        other => panic!("no request: {other:?}"),
    }
}

fn registrar_answer(request: &sip::message::Request, status: &str, further: &str) -> Vec<u8> {
    let header = |name: &str| format!("{name}: {}\r\n", request.headers.get(name).unwrap());
    let copied: String = ["Via", "From", "To", "Call-ID", "CSeq", "Contact"]
        .map(header)
        .concat();
    format!("SIP/2.0 {status}\r\n{copied}{further}Content-Length: 0\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn the_gateway_registers_with_its_password_and_takes_the_registration_back_when_it_stops() {
    let registrar = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("sip:{}", registrar.local_addr().unwrap());
    let gateway = Running::start(
        nobody().await,
        &[
            ("GATEWAY__SIP__REGISTER__REGISTRAR", &uri),
            ("GATEWAY__SIP__REGISTER__ADDRESS", "sip:gateway@example.com"),
            ("GATEWAY__SIP__CREDENTIALS__REALM", "example.com"),
            ("GATEWAY__SIP__CREDENTIALS__USERNAME", "gateway"),
            ("GATEWAY__SIP__CREDENTIALS__PASSWORD", "rose"),
        ],
    )
    .await;
    let now = std::time::Instant::now();
    let mut authority = sip::digest::Authority::new(
        "example.com",
        [7; 32],
        sip::digest::AuthorityLimits::default(),
        now,
    );
    let (first, peer) = register_of(&registrar).await;
    assert_eq!(peer, gateway.udp);
    assert_eq!(first.headers.get("Authorization"), None);
    let challenges: String = authority
        .challenge(false, now)
        .into_iter()
        .map(|value| format!("WWW-Authenticate: {value}\r\n"))
        .collect();
    let refusal = registrar_answer(&first, "401 Unauthorized", &challenges);
    registrar.send_to(&refusal, peer).await.unwrap();
    let (second, _) = register_of(&registrar).await;
    let asked = sip::digest::Asked {
        method: "REGISTER",
        uri: &second.uri.to_string(),
        body: b"",
    };
    let answer = second.headers.get("Authorization").unwrap();
    assert!(answer.contains("algorithm=SHA-512-256"), "{answer}");
    let password = sip::digest::Password::new("rose");
    let verdict = authority.check(
        answer,
        asked,
        |user, algorithm| Some(algorithm.secret(user, "example.com", &password)),
        now,
    );
    assert_eq!(
        verdict,
        sip::digest::Verdict::Authentic {
            username: "gateway".to_owned()
        }
    );
    let accepted = registrar_answer(&second, "200 OK", "Expires: 3600\r\n");
    registrar.send_to(&accepted, peer).await.unwrap();
    let stopping = tokio::spawn(gateway.stop());
    let (last, _) = register_of(&registrar).await;
    assert_eq!(last.headers.get("Expires"), Some("0"));
    let accepted = registrar_answer(&last, "200 OK", "");
    registrar.send_to(&accepted, peer).await.unwrap();
    within("the gateway stops", stopping).await.unwrap();
}
