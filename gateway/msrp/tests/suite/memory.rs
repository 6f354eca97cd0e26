//! What all sessions of one connection hold together.

use msrp::{Command, Limits, SessionParameters};

use crate::peer::{LOCAL, Peer, REMOTE};

/// What an unfinished message counts besides its octets and its Content-Type.
const OVERHEAD: usize = 512;

fn bind(peer: &mut Peer, name: &str) {
    peer.command(Command::Bind(SessionParameters {
        local: LOCAL.replace("ours", name).parse().unwrap(),
        remote: REMOTE.parse().unwrap(),
    }));
}

/// The first chunk of a message, to a session of this name.
fn begin(name: &str, id: &str, octets: usize) -> String {
    let to = LOCAL.replace("ours", name);
    let body = "x".repeat(octets);
    format!(
        "MSRP tid1 SEND\r\nTo-Path: {to}\r\nFrom-Path: {REMOTE}\r\nMessage-ID: {id}\r\nByte-Range: 1-*/*\r\n\
         Content-Type: text/plain\r\n\r\n{body}\r\n-------tid1+\r\n"
    )
}

#[test]
fn limit_of_incoming_octets_of_a_connection() {
    let each = OVERHEAD + "text/plain".len();
    for (octets, status) in [(999, 200), (1000, 200), (1001, 413)] {
        let mut peer = Peer::new(Limits {
            incoming: 2 * each + 2000,
            ..Limits::default()
        });
        bind(&mut peer, "one1");
        bind(&mut peer, "two2");
        peer.says(begin("one1", "mess1", 1000));
        assert_eq!(peer.hears_statuses(), [200]);
        assert_eq!(peer.says(begin("two2", "mess2", octets)), []);
        assert_eq!(peer.hears_statuses(), [status], "{octets}");
        let second = if status == 200 { each + octets } else { 0 };
        assert_eq!(peer.connection.incoming_octets(), each + 1000 + second);
        // The end of one session makes room.
        peer.command(Command::Unbind("one1".parse().unwrap()));
        peer.says(begin("two2", "mess3", 1000));
        let heard = peer.hears_statuses();
        assert_eq!(heard, [200]);
    }
}

#[test]
fn limit_of_incoming_octets_before_sessions_are_bound() {
    let mut peer = Peer::new(Limits {
        incoming: 10_000,
        ..Limits::default()
    });
    let mut asked = 0;
    for number in 0..50 {
        asked += peer.says(begin(&format!("session{number}"), "mess1", 1000)).len();
        assert!(peer.connection.incoming_octets() <= 10_000);
    }
    assert!((3..10).contains(&asked), "{asked}");
    assert_eq!(peer.hears_statuses(), vec![413; 50 - asked]);
    // Refusing one makes room for another.
    let (session, status) = ("session0".parse().unwrap(), msrp::Status::NO_SESSION);
    peer.command(Command::RefuseBind { session, status });
    assert_eq!(peer.says(begin("session99", "mess1", 1000)).len(), 1);
}
