//! What an idle session holds, counted by the allocator. A file of its own: the counts are of the whole process.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use msrp::{
    Command, Connection, Event, FailureReport, Lane, Limits, MessageTag, OutgoingMessage, SessionParameters,
    Status,
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const SESSIONS: usize = 1000;
const KIBIBYTE: usize = 1024;

#[test]
fn an_idle_session_takes_at_most_a_kibibyte() {
    let _counting = dhat::Profiler::builder().testing().build();
    let now = start();

    let before = held();
    let mut switch = Connection::new(Limits::default(), [1; 32]);
    let connection = held() - before;
    bind(&mut switch, "chat.example.com", "client7.example.org", now);
    let fresh = (held() - before - connection) / SESSIONS;

    let before = held();
    let mut clients = Connection::new(Limits::default(), [2; 32]);
    bind(&mut clients, "client7.example.org", "chat.example.com", now);
    exchange(&mut switch, &mut clients, now);
    exchange(&mut clients, &mut switch, now);
    drop(clients);
    // What the first connection holds more than before is now between these two.
    let used = fresh + (held().saturating_sub(before)) / SESSIONS;

    println!("idle connection: {} octets", connection + size_of::<Connection>());
    println!("idle session: {fresh} octets");
    println!("idle session after messages both ways: {used} octets");
    assert!(fresh <= KIBIBYTE, "{fresh}");
    assert!(used <= KIBIBYTE, "{used}");
}

fn held() -> usize {
    dhat::HeapStats::get().curr_bytes
}

#[expect(
    clippy::disallowed_methods,
    reason = "an instant has no other source; here the time stands still"
)]
fn start() -> Instant {
    Instant::now()
}

fn bind(connection: &mut Connection, local: &str, remote: &str, now: Instant) {
    for index in 0..SESSIONS {
        let end = |host: &str| {
            format!("msrp://{host}:2855/{index:04}f7h2k9m4q6s8v0x3z5b7d1;tcp")
                .parse()
                .unwrap()
        };
        let parameters = SessionParameters {
            local: end(local),
            remote: end(remote),
        };
        connection.handle_command(Command::Bind(parameters), now);
    }
}

/// A message in two chunks in each session, with its answer.
fn exchange(from: &mut Connection, to: &mut Connection, now: Instant) {
    let body = Bytes::from(vec![b'x'; 10_000]);
    for index in 0..SESSIONS {
        let session = format!("{index:04}f7h2k9m4q6s8v0x3z5b7d1").parse().unwrap();
        let message = OutgoingMessage {
            tag: MessageTag(0),
            id: "kq3v8w2m5n7p1x4z6b9d0f2h3j".parse().unwrap(),
            content_type: "text/plain",
            body: body.clone(),
            success_report: false,
            failure_report: FailureReport::Yes,
            lane: Lane::default(),
        };
        from.handle_command(Command::Send { session, message }, now);
        carry(from, to, now);
        while let Some(event) = to.poll_event() {
            let Event::Received { due, .. } = event else {
                panic!("{event:?}");
            };
            let status = Status::OK;
            to.handle_command(Command::Answer { due, status }, now);
        }
        carry(to, from, now);
        assert!(matches!(from.poll_event(), Some(Event::Delivered { .. })));
        assert_eq!(from.poll_event(), None);
    }
}

fn carry(from: &mut Connection, to: &mut Connection, now: Instant) {
    let mut wire = BytesMut::new();
    while from.poll_transmit(&mut wire, 4096, now) {}
    to.handle_bytes(&wire, now);
}
