//! Everything that two connections of the `msrp` crate write in random conversations passes the strict checker.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests: a failed assumption is a failed test"
)]

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use msrp::{
    AnswerDue, Command, Connection, Event, FailureReport, Lane, Limits, MessageTag, OutgoingMessage, Path,
    SessionId, SessionParameters, Status,
    cpim::{Address, Cpim},
};
use msrp_checker::check_conversation;
use proptest::{prelude::*, sample::select};

const SESSIONS: usize = 3;

/// One step of a conversation; `side` is who takes it.
#[derive(Debug, Clone)]
enum Step {
    Send {
        side: usize,
        session: usize,
        body: Body,
        success: bool,
        failure: FailureReport,
    },
    Nickname {
        side: usize,
        session: usize,
        nickname: String,
    },
    Answer {
        side: usize,
        status: Status,
    },
    Unbind {
        side: usize,
        session: usize,
    },
    Report {
        side: usize,
    },
    Abort {
        side: usize,
        session: usize,
        recent: u64,
    },
    Carry {
        side: usize,
        piece: usize,
    },
    Pass(u64),
}

#[derive(Debug, Clone)]
enum Body {
    Octets(Vec<u8>),
    Cpim { name: String, text: String },
}

struct Side {
    connection: Connection,
    written: Vec<u8>,
    dues: Vec<AnswerDue>,
    /// Accepted messages that no failure has been reported on: session, Message-ID, octets.
    accepted: Vec<(SessionId, msrp::MessageId, u64)>,
    pending: Vec<(SessionId, msrp::MessageId, u64)>,
    messages: u64,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn rfc4975_what_two_connections_write_is_sound(steps in prop::collection::vec(step(), 1..60)) {
        let mut sides = [side(1), side(2)];
        let mut now = Instant::now();
        for session in 0..SESSIONS {
            sides[0].connection.handle_command(Command::Open(parameters(0, session)), now);
        }
        carry(&mut sides, 0, usize::MAX, now);
        for step in steps {
            take(&mut sides, step, &mut now);
        }
        // To the end: whatever is still due is answered.
        for _ in 0..50 {
            for who in 0..2 {
                while let Some(due) = sides[who].dues.pop() {
                    sides[who].connection.handle_command(Command::Answer { due, status: Status::OK }, now);
                }
                carry(&mut sides, who, usize::MAX, now);
            }
        }
        for (who, other) in [(0, 1), (1, 0)] {
            let verdict = check_conversation(&sides[who].written, &sides[other].written);
            prop_assert_eq!(verdict.deviations, Vec::new(), "{}", String::from_utf8_lossy(&sides[who].written));
            prop_assert_eq!(verdict.unfinished, 0);
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let (who, session) = (0..2_usize, 0..SESSIONS);
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64).prop_map(Body::Octets),
        (0..20_000_usize, any::<u8>()).prop_map(|(length, octet)| Body::Octets(vec![octet; length])),
        (2040..2060_usize).prop_map(|length| Body::Octets(vec![b'x'; length])),
        (any::<String>(), any::<String>()).prop_map(|(name, text)| Body::Cpim { name, text }),
    ];
    let failure = select(vec![
        FailureReport::Yes,
        FailureReport::No,
        FailureReport::Partial,
    ]);
    let status = select(vec![
        Status::OK,
        Status::OK,
        Status::FORBIDDEN,
        Status::STOP_SENDING,
        Status::NICKNAME_IN_USE,
        Status::CONGESTED,
    ]);
    prop_oneof![
        4 => (who.clone(), session.clone(), body, any::<bool>(), failure).prop_map(
            |(side, session, body, success, failure)| Step::Send { side, session, body, success, failure }
        ),
        1 => (who.clone(), session.clone(), any::<String>()).prop_map(
            |(side, session, nickname)| Step::Nickname { side, session, nickname }
        ),
        4 => (who.clone(), status).prop_map(|(side, status)| Step::Answer { side, status }),
        4 => (who.clone(), 1..5000_usize).prop_map(|(side, piece)| Step::Carry { side, piece }),
        1 => who.clone().prop_map(|side| Step::Report { side }),
        2 => (who.clone(), session.clone(), 1..4_u64).prop_map(
            |(side, session, recent)| Step::Abort { side, session, recent }
        ),
        1 => (0..60_u64).prop_map(Step::Pass),
        1 => (who, session).prop_map(|(side, session)| Step::Unbind { side, session }),
    ]
}

fn take(sides: &mut [Side; 2], step: Step, now: &mut Instant) {
    match step {
        Step::Send {
            side,
            session,
            body,
            success,
            failure,
        } => {
            let tag = sides[side].messages;
            sides[side].messages += 1;
            let (content_type, body) = match body {
                Body::Octets(octets) => ("application/octet-stream", Bytes::from(octets)),
                Body::Cpim { name, text } => ("message/cpim", cpim(name, text)),
            };
            let message = OutgoingMessage {
                tag: MessageTag(tag),
                id: format!("side{side}-{tag}").parse().unwrap(),
                content_type,
                body,
                success_report: success,
                failure_report: failure,
                lane: Lane(tag % 2),
            };
            let session = id(side, session);
            let command = Command::Send { session, message };
            sides[side].connection.handle_command(command, *now);
        }
        Step::Abort {
            side,
            session,
            recent,
        } => {
            let command = Command::Abort {
                session: id(side, session),
                tag: MessageTag(sides[side].messages.saturating_sub(recent)),
            };
            sides[side].connection.handle_command(command, *now);
        }
        Step::Nickname {
            side,
            session,
            nickname,
        } => {
            let command = Command::Nickname {
                session: id(side, session),
                tag: MessageTag(0),
                nickname,
            };
            sides[side].connection.handle_command(command, *now);
        }
        Step::Answer { side, status } => {
            if let Some(due) = sides[side].dues.pop() {
                let asked = sides[side]
                    .pending
                    .iter()
                    .position(|(session, _, _)| session == due.session());
                if let Some(position) = asked {
                    let message = sides[side].pending.remove(position);
                    if status.is_success() {
                        sides[side].accepted.push(message);
                    }
                }
                sides[side]
                    .connection
                    .handle_command(Command::Answer { due, status }, *now);
            }
        }
        Step::Unbind { side, session } => {
            sides[side]
                .connection
                .handle_command(Command::Unbind(id(side, session)), *now);
        }
        Step::Report { side } => {
            if let Some((session, message, octets)) = sides[side].accepted.pop() {
                let command = Command::Report {
                    session,
                    message,
                    octets,
                    status: Status::FORBIDDEN,
                };
                sides[side].connection.handle_command(command, *now);
            }
        }
        Step::Carry { side, piece } => carry(sides, side, piece, *now),
        Step::Pass(seconds) => {
            *now += Duration::from_secs(seconds);
            for who in 0..2 {
                sides[who].connection.handle_timeout(*now);
                hear(sides, who, *now);
            }
        }
    }
    hear(sides, 0, *now);
    hear(sides, 1, *now);
}

/// Carries what one side writes to the other, in pieces.
fn carry(sides: &mut [Side; 2], from: usize, piece: usize, now: Instant) {
    let mut out = BytesMut::new();
    while sides[from].connection.poll_transmit(&mut out, 4096, now) {}
    sides[from].written.extend_from_slice(&out);
    for octets in out.chunks(piece) {
        sides[1 - from].connection.handle_bytes(octets, now);
        hear(sides, 1 - from, now);
    }
    hear(sides, from, now);
}

fn hear(sides: &mut [Side; 2], who: usize, now: Instant) {
    let side = &mut sides[who];
    while let Some(event) = side.connection.poll_event() {
        match event {
            Event::BindRequested { session, .. } => {
                let asked = (0..SESSIONS).find(|number| id(who, *number) == session).unwrap();
                side.connection
                    .handle_command(Command::Bind(parameters(who, asked)), now);
            }
            Event::Received {
                session,
                message,
                due,
            } => {
                if message.failure_report == FailureReport::Yes {
                    side.pending
                        .push((session, message.id, message.body.len() as u64));
                }
                side.dues.push(due);
            }
            Event::NicknameRequested { due, .. } => side.dues.push(due),
            Event::Faulted(fault) => panic!("{fault}"),
            _ => {}
        }
    }
}

fn cpim(name: String, text: String) -> Bytes {
    let address = |display_name, uri: &str| Address {
        display_name,
        uri: uri.to_owned(),
    };
    let cpim = Cpim {
        from: Some(address(Some(name), "sip:juliet@example.com")),
        to: vec![address(None, "sip:room@example.com;gr=Zoë <x>")],
        date_time: Some("2026-11-20T21:00:00.5Z".parse().unwrap()),
        other: vec![("Subject".to_owned(), text.clone())],
        content_type: "text/plain;charset=utf-8".to_owned(),
        content_headers: Vec::new(),
        content: Bytes::from(text),
    };
    cpim.to_bytes()
}

fn side(seed: u8) -> Side {
    let limits = Limits {
        chunk_out: 4096,
        unanswered: 4,
        ..Limits::default()
    };
    Side {
        connection: Connection::new(limits, [seed; 32]),
        written: Vec::new(),
        dues: Vec::new(),
        accepted: Vec::new(),
        pending: Vec::new(),
        messages: 0,
    }
}

fn path(side: usize, session: usize) -> Path {
    let text = format!("msrp://side{side}.example.org:2855/session-{session}-of-{side};tcp");
    text.parse().unwrap()
}

fn id(side: usize, session: usize) -> SessionId {
    path(side, session).last().session().unwrap().clone()
}

fn parameters(side: usize, session: usize) -> SessionParameters {
    SessionParameters {
        local: path(side, session),
        remote: path(1 - side, session),
    }
}
