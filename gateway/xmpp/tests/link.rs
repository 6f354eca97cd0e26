//! The link under virtual time.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::{Duration, Instant};

use bytes::BytesMut;
use minidom::Element;
use proptest::prelude::*;
use support::{HEADER, actions, config, events, origin, parsed, receive, sent, shake, up, up_at};
use xmpp::stanza::{Condition, IqKind, Outgoing, Stanza};
use xmpp::{Action, Command, ConflictRule, DownCause, Event, Limits, Link, LinkConfig, Unsent};

const STREAMS: &str = "urn:ietf:params:xml:ns:xmpp-streams";

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn message(body: &str) -> Outgoing {
    Outgoing::Groupchat {
        from: "u@gw.xmpp.test/sip".parse().unwrap(),
        to: "r@muc.xmpp.test".parse().unwrap(),
        id: "m1".into(),
        body: body.into(),
    }
}

fn unsent(stanza: Outgoing, why: Unsent) -> Event {
    Event::Unsent {
        stanza: Box::new(stanza),
        why,
    }
}

/// A link whose stream header is out.
fn opening(now: Instant) -> Link {
    let mut link = Link::new(config(), [1; 32]);
    link.handle_timeout(now);
    assert_eq!(actions(&mut link), [Action::Connect]);
    link.handle_connected(now);
    link
}

/// How long a link that is down waits for its next attempt; it has begun it then.
fn wait_for_attempt(link: &mut Link, now: &mut Instant) -> Duration {
    actions(link);
    let due = link.poll_timeout().expect("an attempt is due");
    let delay = due - *now;
    if !delay.is_zero() {
        link.handle_timeout(due - Duration::from_nanos(1));
        assert_eq!(actions(link), []);
    }
    link.handle_timeout(due);
    assert_eq!(actions(link), [Action::Connect]);
    *now = due;
    delay
}

#[test]
fn it_starts_at_the_first_timeout() {
    let mut link = Link::new(config(), [0; 32]);
    assert_eq!((link.poll_timeout(), link.poll_action()), (None, None));
    link.handle_timeout(origin());
    assert_eq!(link.poll_action(), Some(Action::Connect));
    assert!(!link.is_up());
}

// Rows: CXMPP-29
#[test]
fn it_opens_the_stream_and_shakes_hands() {
    // The example of XEP-0114 §3, and a recorded one.
    for (id, secret, digest) in [
        ("3BF96D32", "test", "aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e"),
        (
            "d38a459c-4f77-428a-8574-028d183a0b29",
            "s3cret",
            "f055f1fe2b2903194cf497228d8b745b12cc1b1f",
        ),
    ] {
        let now = origin();
        let mut link = Link::new(
            LinkConfig {
                secret: secret.into(),
                ..config()
            },
            [0; 32],
        );
        link.handle_timeout(now);
        link.handle_connected(now);
        assert_eq!(
            sent(&mut link),
            "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
             xmlns:stream='http://etherx.jabber.org/streams' to='gw.xmpp.test'>"
        );
        link.handle_bytes(HEADER.replace("3BF96D32", id).as_bytes(), now);
        assert_eq!(sent(&mut link), format!("<handshake>{digest}</handshake>"));
        assert!(!link.is_up());
        link.handle_bytes(b"<handshake/>", now);
        assert_eq!(events(&mut link), [Event::Up]);
        assert!(link.is_up());
    }
}

#[test]
fn stream_features_before_the_handshake_are_passed_over() {
    let now = origin();
    let mut link = opening(now);
    link.handle_bytes(
        format!("{HEADER}<stream:features/><handshake></handshake>").as_bytes(),
        now,
    );
    assert_eq!(events(&mut link), [Event::Up]);
}

#[test]
fn the_secret_is_not_hashed_without_a_stream_id() {
    let now = origin();
    let mut link = opening(now);
    sent(&mut link);
    let header = HEADER.replace("3BF96D32", "");
    link.handle_bytes(header.as_bytes(), now);
    assert_eq!(sent(&mut link), "");
    link.handle_bytes(
        b"<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
        now,
    );
    assert_eq!(events(&mut link), [Event::Down(DownCause::HostUnknown)]);
}

#[test]
fn the_secret_is_not_shown() {
    let config = LinkConfig {
        secret: "s3cret".into(),
        ..config()
    };
    assert!(!format!("{config:?}").contains("s3cret"));
    assert!(!format!("{:?}", Link::new(config, [0; 32])).contains("s3cret"));
}

#[test]
fn each_stream_error_has_its_cause() {
    let table = [
        ("not-authorized", DownCause::NotAuthorized),
        ("conflict", DownCause::Conflict),
        ("host-unknown", DownCause::HostUnknown),
        ("invalid-from", DownCause::StreamError("invalid-from: why".into())),
        (
            "policy-violation",
            DownCause::StreamError("policy-violation: why".into()),
        ),
    ];
    for (condition, cause) in table {
        let error = format!(
            "<stream:error><{condition} xmlns='{STREAMS}'/><text xmlns='{STREAMS}'>why</text></stream:error></stream:stream>"
        );
        // After the header, after the handshake, and while it is up.
        for opened in ["", "<handshake/>"] {
            let now = origin();
            let mut link = opening(now);
            link.handle_bytes(format!("{HEADER}{opened}").as_bytes(), now);
            events(&mut link);
            sent(&mut link);
            link.handle_bytes(error.as_bytes(), now);
            assert_eq!(events(&mut link), [Event::Down(cause.clone())]);
            assert_eq!(actions(&mut link), [Action::Close]);
            assert_eq!(sent(&mut link), "</stream:stream>");
            link.handle_disconnected(now);
            assert_eq!(events(&mut link), []);
        }
    }
}

#[test]
fn a_stream_error_without_a_condition_keeps_its_text_within_bounds() {
    let now = origin();
    let mut link = up_at(config(), now);
    link.handle_bytes(
        format!("<stream:error>{}</stream:error>", "é".repeat(1000)).as_bytes(),
        now,
    );
    let found = events(&mut link);
    let [Event::Down(DownCause::StreamError(text))] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert!(text.starts_with("undefined-condition: é") && text.len() <= 512);
}

#[test]
fn what_is_no_component_stream_is_malformed() {
    let table = [
        (
            "HTTP/1.1 400 Bad Request\r\n".to_owned(),
            "text outside of stanzas",
        ),
        ("\u{16}\u{3}\u{1}".to_owned(), "text outside of stanzas"),
        ("<html>".to_owned(), "the stream header is not well-formed"),
        (
            "<html xmlns='http://www.w3.org/1999/xhtml'>".to_owned(),
            "no stream header",
        ),
        (
            HEADER.replace("jabber:component:accept", "jabber:client"),
            "a stream of another namespace",
        ),
        (
            format!("{HEADER}<message from='a@b' to='u@gw.xmpp.test'/>"),
            "a stanza before the handshake",
        ),
        (format!("{HEADER}<!-- -->"), "a comment or a DTD"),
    ];
    for (text, why) in table {
        let now = origin();
        let mut link = opening(now);
        link.handle_bytes(text.as_bytes(), now);
        assert_eq!(
            events(&mut link),
            [Event::Down(DownCause::Malformed(why))],
            "{text}"
        );
        assert_eq!(actions(&mut link), [Action::Close]);
        assert!(sent(&mut link).ends_with("</stream:error></stream:stream>"));
    }
}

// Rows: E-01, E-02
#[test]
fn the_malformed_examples_of_the_drafts_are_not_read() {
    for example in [
        "<presence from='juliet@example.com/balcony' to='verona@gw.xmpp.test/Ju'><x xmlns='http='http://jabber.org/protocol/muc'/></presence>",
        "<message from='juliet@example.com/balcony' to='verona@gw.xmpp.test/Romeo' type='chat' id='1'/><body>I take thee at thy word!</body></message>",
    ] {
        let mut link = up();
        let events = receive(&mut link, example);
        assert!(matches!(events.last(), Some(Event::Down(_))), "{events:?}");
        assert!(
            !events.iter().any(
                |event| matches!(event, Event::Stanza(Stanza::Message(message)) if message.body.is_some())
            )
        );
    }
}

#[test]
fn the_prefix_of_the_stream_namespace_is_free() {
    let now = origin();
    let mut link = opening(now);
    link.handle_bytes(b"<s:stream xmlns='jabber:component:accept' xmlns:s='http://etherx.jabber.org/streams' xmlns:db='urn:db' id='1'>", now);
    link.handle_bytes(
        b"<handshake/><message from='a@b' to='u@gw.xmpp.test'><db:x/></message><s:error/>",
        now,
    );
    let found = events(&mut link);
    assert!(
        matches!(
            found.as_slice(),
            [
                Event::Up,
                Event::Stanza(_),
                Event::Down(DownCause::StreamError(_))
            ]
        ),
        "{found:?}"
    );
}

#[test]
fn a_closed_stream_is_closed_in_turn() {
    let now = origin();
    let mut link = up_at(config(), now);
    link.handle_bytes(b" </stream:stream>", now);
    assert_eq!(events(&mut link), [Event::Down(DownCause::Closed)]);
    assert_eq!(
        (sent(&mut link).as_str(), actions(&mut link)),
        ("</stream:stream>", vec![Action::Close])
    );
}

#[test]
fn every_wait_has_a_deadline() {
    let now = origin();
    let ten = now + seconds(10);
    let mut link = Link::new(config(), [1; 32]);
    link.handle_timeout(now);
    actions(&mut link);
    assert_eq!(link.poll_timeout(), Some(ten));
    link.handle_timeout(ten - Duration::from_nanos(1));
    assert_eq!(actions(&mut link), []);
    link.handle_timeout(ten);
    assert_eq!(actions(&mut link), [Action::Close]);
    assert_eq!(
        events(&mut link),
        [Event::Down(DownCause::Unreachable(
            "no connection within 10 s".into()
        ))]
    );
    // A connection that stands after all is not wanted any more.
    link.handle_connected(ten);
    assert_eq!(
        (actions(&mut link), sent(&mut link).as_str()),
        (vec![Action::Close], "")
    );

    for header in ["", HEADER] {
        let mut link = opening(now);
        link.handle_bytes(header.as_bytes(), now + seconds(9));
        assert_eq!(link.poll_timeout(), Some(ten));
        link.handle_timeout(ten);
        assert_eq!(events(&mut link), [Event::Down(DownCause::Silent)]);
        assert_eq!(actions(&mut link), [Action::Close]);
    }
}

#[test]
fn a_late_end_of_an_old_connection_does_not_end_a_new_attempt() {
    let mut now = origin();
    let mut link = up_at(config(), now);
    link.handle_bytes(b"</stream:stream>", now);
    wait_for_attempt(&mut link, &mut now);
    events(&mut link);
    link.handle_disconnected(now);
    assert_eq!((events(&mut link), actions(&mut link)), (vec![], vec![]));
    link.handle_connected(now);
    link.handle_bytes(format!("{HEADER}<handshake/>").as_bytes(), now);
    assert!(link.is_up());
}

#[test]
fn a_failed_attempt_names_its_cause() {
    let now = origin();
    let mut link = Link::new(config(), [1; 32]);
    link.handle_timeout(now);
    link.handle_connect_failed("127.0.0.1:5347: connection refused".into(), now);
    let cause = DownCause::Unreachable("127.0.0.1:5347: connection refused".into());
    assert_eq!(events(&mut link), [Event::Down(cause)]);
}

#[test]
fn down_is_reported_once_per_change_of_cause() {
    let mut now = origin();
    let mut link = up_at(config(), now);
    link.handle_disconnected(now);
    let mut causes = events(&mut link);
    for attempt in ["refused", "refused", "refused", "no route", "refused"] {
        wait_for_attempt(&mut link, &mut now);
        link.handle_connect_failed(attempt.into(), now);
        causes.extend(events(&mut link));
    }
    let unreachable = |cause: &str| Event::Down(DownCause::Unreachable(cause.into()));
    assert_eq!(
        causes,
        [
            Event::Down(DownCause::Closed),
            unreachable("refused"),
            unreachable("no route"),
            unreachable("refused")
        ]
    );
    // Once up, the same cause is news again.
    let due = link.poll_timeout().unwrap();
    link.handle_timeout(due);
    shake(&mut link, due);
    link.handle_disconnected(due);
    assert_eq!(events(&mut link), [Event::Down(DownCause::Closed)]);
}

/// The delays before the next attempts, each of which fails with the same stream error (or with none).
fn delays(seed: u8, condition: Option<&str>, count: usize) -> Vec<Duration> {
    let mut now = origin();
    let mut link = Link::new(config(), [seed; 32]);
    link.handle_timeout(now);
    let fail = |link: &mut Link, now: Instant| match condition {
        None => link.handle_connect_failed("refused".into(), now),
        Some(condition) => {
            link.handle_connected(now);
            let error = format!("{HEADER}<stream:error><{condition} xmlns='{STREAMS}'/></stream:error>");
            link.handle_bytes(error.as_bytes(), now);
        }
    };
    (0..count)
        .map(|_| {
            fail(&mut link, now);
            wait_for_attempt(&mut link, &mut now)
        })
        .collect()
}

// Rows: CXMPP-30
#[test]
fn attempts_back_off_within_bounds() {
    let eager = [(250, 500), (500, 1000), (1000, 2000), (1000, 2000), (1000, 2000)];
    let fast = [(1, 2), (2, 4), (4, 8), (8, 16), (15, 30), (15, 30), (15, 30)];
    let fast = fast.map(|(least, most)| (1000 * least, 1000 * most));
    let slow = [(30, 60), (60, 120), (60, 120), (60, 120)].map(|(least, most)| (1000 * least, 1000 * most));
    // The server may yet have to notice that our former connection is gone.
    let ghost = [&eager[..3], &slow].concat();
    for seed in 0..40 {
        for (condition, bounds) in [
            (None, &eager[..]),
            (Some("host-unknown"), &fast),
            (Some("system-shutdown"), &fast),
            (Some("not-authorized"), &slow),
            (Some("conflict"), &ghost),
        ] {
            for (delay, (least, most)) in delays(seed, condition, bounds.len()).into_iter().zip(bounds) {
                let (least, most) = (Duration::from_millis(*least), Duration::from_millis(*most));
                assert!((least..=most).contains(&delay), "{delay:?} {condition:?}");
            }
        }
    }
    assert!(delays(1, None, 200).into_iter().all(|delay| delay <= seconds(2)));
}

/// Has another connection take the domain over.
fn replaced(conflict: ConflictRule) -> (Link, Instant) {
    let now = origin();
    let mut link = up_at(LinkConfig { conflict, ..config() }, now);
    let error = format!("<stream:error><conflict xmlns='{STREAMS}'/></stream:error>");
    link.handle_bytes(error.as_bytes(), now);
    assert_eq!(events(&mut link), [Event::Down(DownCause::Conflict)]);
    assert_eq!(actions(&mut link), [Action::Close]);
    (link, now)
}

#[test]
fn a_domain_that_was_taken_over_is_taken_back_slowly() {
    let (mut link, mut now) = replaced(ConflictRule::Retry);
    let delay = wait_for_attempt(&mut link, &mut now);
    assert!((seconds(30)..=seconds(60)).contains(&delay), "{delay:?}");
}

#[test]
fn a_domain_that_was_taken_over_is_left_to_the_other_if_so_set() {
    let (mut link, now) = replaced(ConflictRule::Stop);
    assert_eq!(link.poll_timeout(), None);
    link.handle_command(Command::Send(message("x")), now);
    assert_eq!(events(&mut link), [unsent(message("x"), Unsent::LinkDown)]);
}

#[test]
fn jitter_comes_from_the_seed() {
    assert_eq!(delays(1, None, 8), delays(1, None, 8));
    assert_ne!(delays(1, None, 8), delays(2, None, 8));
}

#[test]
fn back_off_begins_anew_once_the_link_has_held() {
    for (held, least, most) in [(29, 1000, 2000), (30, 250, 500)] {
        let mut now = origin();
        let mut link = Link::new(config(), [3; 32]);
        link.handle_timeout(now);
        for _ in 0..3 {
            link.handle_connect_failed("refused".into(), now);
            let due = link.poll_timeout().unwrap();
            actions(&mut link);
            link.handle_timeout(due);
            now = due;
        }
        shake(&mut link, now);
        now += seconds(held);
        link.handle_disconnected(now);
        let delay = wait_for_attempt(&mut link, &mut now);
        let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
        assert!((least..=most).contains(&delay), "{held}: {delay:?}");
    }
}

// Rows: CXMPP-30
#[test]
fn silence_is_met_with_a_ping_and_any_answer_will_do() {
    let mut now = origin();
    let mut link = up_at(config(), now);
    let answers = [
        "<iq from='xmpp.test' to='gw.xmpp.test' id='ID' type='result'/>",
        "<iq from='xmpp.test' to='gw.xmpp.test' id='ID' type='error'><error/></iq>",
        "<iq from='gw.xmpp.test' to='gw.xmpp.test' id='ID' type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
        " ",
    ];
    for answer in answers {
        now += seconds(30);
        assert_eq!(link.poll_timeout(), Some(now));
        link.handle_timeout(now);
        let pings = parsed(&format!("<r>{}</r>", sent(&mut link)));
        let to: Vec<Option<&str>> = pings.children().map(|ping| ping.attr("to")).collect();
        assert_eq!(to, [Some("xmpp.test"), Some("gw.xmpp.test")]);
        assert_eq!(link.poll_timeout(), Some(now + seconds(10)));

        now += seconds(9);
        let id = pings.children().next().unwrap().attr("id").unwrap();
        link.handle_bytes(answer.replace("ID", id).as_bytes(), now);
        assert_eq!(
            (events(&mut link), sent(&mut link).as_str()),
            (vec![], ""),
            "{answer}"
        );
    }
}

#[test]
fn an_unanswered_ping_is_met_with_a_new_connection() {
    let start = origin();
    let mut link = up_at(config(), start);
    link.handle_bytes(b" ", start + seconds(5));
    assert_eq!(link.poll_timeout(), Some(start + seconds(35)));
    link.handle_timeout(start + seconds(35));
    link.handle_timeout(start + seconds(45) - Duration::from_nanos(1));
    assert_eq!(events(&mut link), []);
    link.handle_timeout(start + seconds(45));
    assert_eq!(events(&mut link), [Event::Down(DownCause::Silent)]);
    assert_eq!(actions(&mut link), [Action::Close]);
    let mut now = start + seconds(45);
    wait_for_attempt(&mut link, &mut now);
    link.handle_connected(now);
    // Nothing of the old stream goes into the new one.
    assert!(sent(&mut link).starts_with("<?xml"));
}

#[test]
fn a_stanza_goes_out_only_while_the_link_is_up() {
    let now = origin();
    let refused = |link: &mut Link| {
        link.handle_command(Command::Send(message("x")), now);
        assert_eq!(events(link), [unsent(message("x"), Unsent::LinkDown)]);
    };
    let mut link = Link::new(config(), [1; 32]);
    refused(&mut link);
    link.handle_timeout(now);
    refused(&mut link);
    link.handle_connected(now);
    refused(&mut link);
    link.handle_bytes(HEADER.as_bytes(), now);
    refused(&mut link);
    link.handle_bytes(b"<handshake/>", now);
    assert_eq!(events(&mut link), [Event::Up]);
    sent(&mut link);
    link.handle_command(Command::Send(message("x")), now);
    assert_eq!(events(&mut link), []);
    assert!(sent(&mut link).contains("<body>x</body>"));
    link.handle_disconnected(now);
    events(&mut link);
    refused(&mut link);
}

#[test]
fn what_was_queued_when_the_connection_ended_comes_back() {
    let now = origin();
    let mut link = up_at(config(), now);
    link.handle_command(Command::Send(message("taken")), now);
    sent(&mut link);
    link.handle_command(Command::Send(message("1")), now);
    link.handle_command(Command::Send(message("2")), now);
    link.handle_disconnected(now);
    assert_eq!(
        events(&mut link),
        [
            Event::Down(DownCause::Closed),
            unsent(message("1"), Unsent::LinkDown),
            unsent(message("2"), Unsent::LinkDown)
        ]
    );
    assert_eq!(sent(&mut link), "");
}

// Rows: CXMPP-29, E-27
#[test]
fn a_foreign_from_stays_here() {
    for from in ["u@other.test/sip", "u@xmpp.test/sip", "u@a.gw.xmpp.test/sip"] {
        let mut link = up();
        let mut stanza = message("x");
        if let Outgoing::Groupchat { from: sender, .. } = &mut stanza {
            *sender = from.parse().unwrap();
        }
        link.handle_command(Command::Send(stanza.clone()), origin());
        assert_eq!(events(&mut link), [unsent(stanza, Unsent::ForeignFrom)]);
        assert_eq!(sent(&mut link), "");
    }
}

#[test]
fn the_domain_is_compared_as_addresses_are() {
    let mut link = up_at(
        LinkConfig {
            domain: "GW.Xmpp.Test".into(),
            ..config()
        },
        origin(),
    );
    link.handle_command(Command::Send(message("x")), origin());
    assert_eq!(events(&mut link), []);
}

#[test]
fn a_stanza_has_a_largest_size() {
    let framing = {
        let mut link = up();
        link.handle_command(Command::Send(message("")), origin());
        sent(&mut link).len()
    };
    for (length, fits) in [(1999, true), (2000, true), (2001, false)] {
        let limits = Limits {
            stanza_out: 2000,
            ..Limits::default()
        };
        let mut link = up_at(LinkConfig { limits, ..config() }, origin());
        let stanza = message(&"x".repeat(length - framing));
        link.handle_command(Command::Send(stanza.clone()), origin());
        let expected = if fits {
            vec![]
        } else {
            vec![unsent(stanza, Unsent::TooLarge)]
        };
        assert_eq!(events(&mut link), expected);
        assert_eq!(sent(&mut link).len(), if fits { length } else { 0 });
    }
    // Escaping counts.
    let mut link = up();
    link.handle_command(Command::Send(message(&"&".repeat(20_000))), origin());
    assert_eq!(events(&mut link).len(), 1);
}

#[test]
fn the_queue_has_a_bound() {
    let one = {
        let mut link = up();
        link.handle_command(Command::Send(message("x")), origin());
        sent(&mut link).len()
    };
    let queue = 3 * one;
    for (limit, fits) in [(queue - 1, 2), (queue, 3), (queue + 1, 3)] {
        let limits = Limits {
            queue: limit,
            ..Limits::default()
        };
        let mut link = up_at(LinkConfig { limits, ..config() }, origin());
        for _ in 0..4 {
            link.handle_command(Command::Send(message("x")), origin());
        }
        let refused: Vec<Event> = (fits..4)
            .map(|_| unsent(message("x"), Unsent::QueueFull))
            .collect();
        assert_eq!(events(&mut link), refused);
        assert_eq!(sent(&mut link).len(), fits * one);
        // Room again.
        link.handle_command(Command::Send(message("x")), origin());
        assert_eq!(events(&mut link), []);
    }
}

#[test]
fn answers_of_the_link_stay_within_the_queue() {
    let limits = Limits {
        queue: 300,
        ..Limits::default()
    };
    let mut link = up_at(LinkConfig { limits, ..config() }, origin());
    let bad = "<iq from='a@b/c' to='u@gw.xmpp.test' id='1' type='get'/>";
    let good = "<iq from='a@b/c' to='gw.xmpp.test' id='1' type='get'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>";
    let found = receive(&mut link, &format!("{}{}", bad.repeat(10), good));
    assert!(
        matches!(
            found.last(),
            Some(Event::Unsent {
                why: Unsent::QueueFull,
                ..
            })
        ),
        "{found:?}"
    );
    assert!(sent(&mut link).len() <= 300);
}

#[test]
fn what_is_to_be_written_is_appended() {
    let mut link = up();
    let mut out = BytesMut::from(&b"before"[..]);
    assert!(!link.poll_transmit(&mut out));
    link.handle_command(Command::Send(message("x")), origin());
    assert!(link.poll_transmit(&mut out));
    assert!(out.starts_with(b"before<message"));
    assert!(!link.poll_transmit(&mut out));
}

#[test]
fn shutdown_ends_the_stream_and_stays_down() {
    let now = origin();
    let mut link = up_at(config(), now);
    link.handle_command(Command::Send(message("last")), now);
    link.handle_command(Command::Shutdown, now);
    assert_eq!(actions(&mut link), [Action::Close]);
    let last = sent(&mut link);
    assert!(last.contains("last") && last.ends_with("</message></stream:stream>"));
    assert_eq!(link.poll_timeout(), None);
    link.handle_bytes(b"<message from='a@b' to='u@gw.xmpp.test'/></stream:stream>", now);
    link.handle_disconnected(now);
    link.handle_timeout(now + seconds(1000));
    assert_eq!((actions(&mut link), events(&mut link)), (vec![], vec![]));
    link.handle_command(Command::Send(message("x")), now);
    assert_eq!(events(&mut link), [unsent(message("x"), Unsent::LinkDown)]);
    assert!(!link.is_up());
}

#[test]
fn shutdown_before_the_stream_stands() {
    let now = origin();
    let mut new = Link::new(config(), [1; 32]);
    new.handle_command(Command::Shutdown, now);
    new.handle_timeout(now);
    assert_eq!((actions(&mut new), sent(&mut new).as_str()), (vec![], ""));

    let mut connecting = Link::new(config(), [1; 32]);
    connecting.handle_timeout(now);
    connecting.handle_command(Command::Shutdown, now);
    assert_eq!(actions(&mut connecting), [Action::Connect, Action::Close]);

    let mut waiting = Link::new(config(), [1; 32]);
    waiting.handle_timeout(now);
    waiting.handle_connect_failed("refused".into(), now);
    actions(&mut waiting);
    waiting.handle_command(Command::Shutdown, now);
    assert_eq!((actions(&mut waiting), waiting.poll_timeout()), (vec![], None));
}

#[test]
fn a_connection_lost_during_shutdown_gives_back_what_was_not_taken() {
    let now = origin();
    let mut link = up_at(config(), now);
    link.handle_command(Command::Send(message("x")), now);
    link.handle_command(Command::Shutdown, now);
    link.handle_disconnected(now);
    assert_eq!(events(&mut link), [unsent(message("x"), Unsent::LinkDown)]);
}

/// Requests to the domain itself and the condition of the answer, if it is a refusal.
#[test]
fn requests_about_commands_are_the_owners() {
    for (kind, payload) in [
        (
            "set",
            "<command xmlns='http://jabber.org/protocol/commands' node='rooms'/>",
        ),
        (
            "get",
            "<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/>",
        ),
        (
            "get",
            "<query xmlns='http://jabber.org/protocol/disco#info' node='rooms'/>",
        ),
    ] {
        let mut link = up();
        let request = format!("<iq from='a@b/c' to='gw.xmpp.test' id='q1' type='{kind}'>{payload}</iq>");
        let events = receive(&mut link, &request);
        assert!(
            matches!(events.as_slice(), [Event::Stanza(Stanza::Iq(_))]),
            "{events:?}"
        );
        assert_eq!(sent(&mut link), "");
    }
}

// Rows: CXMPP-17, CXMPP-30
#[test]
fn requests_to_the_domain_are_answered() {
    let table = [
        ("get", "<ping xmlns='urn:xmpp:ping'/>", None),
        (
            "get",
            "<query xmlns='http://jabber.org/protocol/disco#info'/>",
            None,
        ),
        (
            "get",
            "<query xmlns='http://jabber.org/protocol/disco#items'/>",
            None,
        ),
        ("get", "<query xmlns='jabber:iq:version'/>", None),
        (
            "get",
            "<query xmlns='http://jabber.org/protocol/disco#items' node='x'/>",
            Some(Condition::ItemNotFound),
        ),
        (
            "set",
            "<ping xmlns='urn:xmpp:ping'/>",
            Some(Condition::FeatureNotImplemented),
        ),
        (
            "get",
            "<pong xmlns='urn:xmpp:ping'/>",
            Some(Condition::FeatureNotImplemented),
        ),
        (
            "get",
            "<vCard xmlns='vcard-temp'/>",
            Some(Condition::ServiceUnavailable),
        ),
        (
            "set",
            "<query xmlns='jabber:iq:register'/>",
            Some(Condition::ServiceUnavailable),
        ),
    ];
    for to in ["gw.xmpp.test", "gw.xmpp.test/x"] {
        for (kind, payload, refusal) in table {
            let mut link = up();
            let request = format!("<iq from='a@b/c' to='{to}' id='q1' type='{kind}'>{payload}</iq>");
            assert_eq!(receive(&mut link, &request), []);
            let answer = parsed(&sent(&mut link));
            assert_eq!(
                (answer.attr("from"), answer.attr("to")),
                (Some(to), Some("a@b/c"))
            );
            assert_eq!(answer.attr("id"), Some("q1"));
            let expected = if refusal.is_some() { "error" } else { "result" };
            assert_eq!(answer.attr("type"), Some(expected), "{payload}");
            if let Some(condition) = refusal {
                let error = answer.children().next().unwrap();
                assert!(
                    error.has_child(condition.as_str(), "urn:ietf:params:xml:ns:xmpp-stanzas"),
                    "{payload}"
                );
            }
        }
    }
}

#[test]
fn the_domain_says_that_it_is_a_gateway() {
    let info = "http://jabber.org/protocol/disco#info";
    let mut link = up();
    receive(
        &mut link,
        &format!("<iq from='a@b/c' to='gw.xmpp.test' id='1' type='get'><query xmlns='{info}'/></iq>"),
    );
    let answer = parsed(&sent(&mut link));
    let query = answer.get_child("query", info).unwrap();
    let identity = query.get_child("identity", info).unwrap();
    assert_eq!(
        (identity.attr("category"), identity.attr("type")),
        (Some("gateway"), Some("sip"))
    );
    let features: Vec<&str> = query
        .children()
        .filter(|child| child.name() == "feature")
        .filter_map(|child| child.attr("var"))
        .collect();
    assert!(
        features.contains(&info) && features.contains(&"urn:xmpp:ping"),
        "{features:?}"
    );
}

// Rows: CXMPP-31
#[test]
fn answers_that_nobody_asked_for_are_skipped() {
    for kind in ["result", "error"] {
        let mut link = up();
        let found = receive(
            &mut link,
            &format!("<iq from='a@b/c' to='gw.xmpp.test' id='1' type='{kind}'/>"),
        );
        assert_eq!(
            found,
            [Event::Skipped {
                rule: "answer to no request",
                from: "a@b/c".into()
            }]
        );
        assert_eq!(sent(&mut link), "");
    }
}

#[test]
fn somebody_elses_ping_with_our_id_is_answered() {
    let start = origin();
    let mut link = up_at(config(), start);
    link.handle_timeout(start + seconds(30));
    let ping: Element = parsed(&format!("<r>{}</r>", sent(&mut link)));
    let id = ping.children().next().unwrap().attr("id").unwrap();
    let request =
        format!("<iq from='a@b/c' to='gw.xmpp.test' id='{id}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>");
    assert_eq!(receive(&mut link, &request), []);
    assert_eq!(parsed(&sent(&mut link)).attr("type"), Some("result"));
}

#[test]
fn hostile_stanzas_are_answered_and_the_next_arrives() {
    let start = "from='a@b/c' to='u@gw.xmpp.test' id='1'";
    let hostile = [
        (
            "nested too deeply",
            format!(
                "<message {start}>{}{}</message>",
                "<a>".repeat(40_000),
                "</a>".repeat(40_000)
            ),
        ),
        (
            "attribute too long",
            format!("<message {start} a='{}'/>", "x".repeat(9000)),
        ),
        (
            "stanza too large",
            format!("<message {start}><body>{}</body></message>", "x".repeat(1 << 20)),
        ),
    ];
    for (rule, stanza) in hostile {
        for (stanza, answered) in [
            (stanza.clone(), true),
            (stanza.replacen("id=", "type='groupchat' id=", 1), false),
            (stanza.replacen("id=", "type='error' id=", 1), false),
            (stanza.replace("message", "presence"), false),
        ] {
            let mut link = up();
            let next = "<presence from='a@b' to='u@gw.xmpp.test'/>";
            for piece in format!("{stanza}{next}").as_bytes().chunks(4096) {
                link.handle_bytes(piece, origin());
            }
            let found = events(&mut link);
            assert_eq!(
                found[0],
                Event::Skipped {
                    rule,
                    from: "a@b/c".into()
                }
            );
            assert!(matches!(found[1..], [Event::Stanza(Stanza::Presence(_))]));
            assert_eq!(sent(&mut link).contains("bad-request"), answered, "{rule}");
        }
    }
}

#[test]
fn where_the_rooms_are_ours_who_asks_for_what_is_no_address_is_told_so() {
    // An emoji is younger than the Unicode that stringprep knows (RFC 6122 §2.4).
    let to = "room@gw.xmpp.test/Tybalt \u{1f480}";
    for (stanza, in_rooms, elsewhere) in [
        (format!("<presence from='a@b/c' to='{to}' id='1'/>"), true, false),
        (
            format!("<presence from='a@b/c' to='{to}' type='unavailable'/>"),
            false,
            false,
        ),
        (
            format!("<presence from='a@b/c' to='{to}' type='error'/>"),
            false,
            false,
        ),
        (
            format!("<message from='a@b/c' to='{to}' type='groupchat' id='1'/>"),
            true,
            false,
        ),
        (
            format!("<message from='a@b/c' to='{to}' type='chat' id='1'/>"),
            true,
            true,
        ),
        (
            format!("<message from='a@b/c' to='{to}' type='error' id='1'/>"),
            false,
            false,
        ),
    ] {
        for (answers, told) in [(false, in_rooms), (true, elsewhere)] {
            let mut link = up_at(LinkConfig { answers, ..config() }, origin());
            link.handle_bytes(stanza.as_bytes(), origin());
            let found = sent(&mut link);
            assert_eq!(
                found.contains("jid-malformed"),
                told,
                "{stanza} {answers}: {found}"
            );
        }
    }
}

#[test]
fn the_deepest_stanza_allowed_is_read() {
    let limits = Limits::default();
    let depth = limits.depth - 1;
    let stanza = format!(
        "<iq from='a@b' to='u@gw.xmpp.test' id='1' type='set'>{}{}</iq>",
        "<a>".repeat(depth),
        "</a>".repeat(depth)
    );
    let found = receive(&mut up(), &stanza);
    let [Event::Stanza(Stanza::Iq(iq))] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert!(matches!(iq.kind, IqKind::Set(_)));
}

#[test]
fn long_durations_are_no_overflow() {
    let config = LinkConfig {
        handshake: Duration::MAX,
        idle: Duration::MAX,
        ping: Duration::MAX,
        ..config()
    };
    let mut link = up_at(config, origin());
    assert!(link.poll_timeout().is_some());
    link.handle_bytes(b" ", origin());
}

#[test]
fn a_domain_that_is_none_only_refuses() {
    let mut link = up_at(
        LinkConfig {
            domain: "'<\0".into(),
            ..config()
        },
        origin(),
    );
    link.handle_command(Command::Send(message("x")), origin());
    assert_eq!(events(&mut link), [unsent(message("x"), Unsent::ForeignFrom)]);
}

/// Anything that can happen to a link.
#[derive(Debug, Clone)]
enum Happening {
    Connected,
    Failed,
    Bytes(Vec<u8>),
    Disconnected,
    Send,
    Timeout(u64),
    Shake,
}

fn happening() -> impl Strategy<Value = Happening> {
    let words = prop::sample::select(vec![
        "<handshake/>",
        "<message from='a@b' to='u@gw.xmpp.test'>",
        "</message>",
        "<iq from='a@b' to='gw.xmpp.test' id='1' type='get'>",
        "<ping xmlns='urn:xmpp:ping'/>",
        "</iq>",
        "<stream:error/>",
        "</stream:stream>",
        HEADER,
        "<![CDATA[",
        "]]>",
        "&amp;",
        " ",
    ]);
    prop_oneof![
        2 => Just(Happening::Connected),
        1 => Just(Happening::Failed),
        2 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Happening::Bytes),
        8 => words.prop_map(|word| Happening::Bytes(word.as_bytes().to_vec())),
        1 => Just(Happening::Disconnected),
        2 => Just(Happening::Send),
        2 => (0..100u64).prop_map(Happening::Timeout),
        3 => Just(Happening::Shake),
    ]
}

proptest! {
    /// Nothing panics, nothing is sent while down, and every stanza is either taken or given back.
    #[test]
    fn a_link_survives_whatever_happens(happenings in prop::collection::vec(happening(), 0..60)) {
        let mut now = origin();
        let mut link = Link::new(config(), [9; 32]);
        let (mut accepted, mut written, mut given_back) = (0, 0, 0);
        for happening in happenings {
            match happening {
                Happening::Connected => link.handle_connected(now),
                Happening::Failed => link.handle_connect_failed("refused".into(), now),
                Happening::Bytes(bytes) => link.handle_bytes(&bytes, now),
                Happening::Disconnected => link.handle_disconnected(now),
                Happening::Send => {
                    accepted += 1;
                    link.handle_command(Command::Send(message("ours")), now);
                }
                Happening::Timeout(after) => {
                    now += seconds(after);
                    link.handle_timeout(now);
                }
                Happening::Shake => {
                    if let Some(due) = link.poll_timeout() {
                        now = now.max(due);
                    }
                    link.handle_timeout(now);
                    link.handle_connected(now);
                    link.handle_bytes(format!("{HEADER}<handshake/>").as_bytes(), now);
                }
            }
            let events = events(&mut link);
            given_back += events.iter().filter(|event| matches!(event, Event::Unsent { stanza, .. } if **stanza == message("ours"))).count();
            actions(&mut link);
            written += sent(&mut link).matches("ours").count();
            prop_assert_eq!(accepted, written + given_back);
            prop_assert!(link.poll_timeout().is_some() || accepted == given_back);
        }
    }

    #[test]
    fn random_octets_in_a_live_stream_never_panic(octets in prop::collection::vec(any::<u8>(), 0..200), cut in any::<prop::sample::Index>()) {
        let mut link = up();
        let (front, back) = octets.split_at(cut.index(octets.len() + 1));
        link.handle_bytes(front, origin());
        link.handle_bytes(back, origin());
        events(&mut link);
    }
}

// Copies of a room's messages.

fn said(to: &str, id: &str, body: &str) -> String {
    format!(
        "<message from='room@muc.xmpp.test/juliet' to='{to}@gw.xmpp.test/x' id='{id}' type='groupchat'><body>{body}</body></message>"
    )
}

fn heard(events: &[Event]) -> Vec<String> {
    let messages = events.iter().filter_map(|event| match event {
        Event::Stanza(Stanza::Message(message)) => Some(message),
        _ => None,
    });
    messages
        .map(|message| {
            let body = message.body.clone().unwrap_or_default();
            format!("{} {body}", message.to.node().unwrap())
        })
        .collect()
}

fn share(link: &mut Link, occupants: &[&str]) {
    for occupant in occupants {
        let (room, occupant) = (
            "room@muc.xmpp.test".parse().unwrap(),
            format!("{occupant}@gw.xmpp.test/x").parse().unwrap(),
        );
        link.handle_command(Command::Share { room, occupant }, origin());
    }
    assert_eq!(events(link), []);
}

#[test]
fn of_equal_copies_for_those_who_share_the_first_is_an_event() {
    let mut link = up();
    share(&mut link, &["a", "b"]);
    let stream = ["a", "b", "c"].map(|to| said(to, "1", "hark")).concat();
    assert_eq!(heard(&receive(&mut link, &stream)), ["a hark", "c hark"]);
    assert_eq!(link.copies_dropped(), 1);
    // Whoever is first: nobody depends on one occupant.
    let stream = ["b", "a"].map(|to| said(to, "2", "lo")).concat();
    assert_eq!(heard(&receive(&mut link, &stream)), ["b lo"]);
}

#[test]
fn what_differs_in_more_than_its_recipient_is_no_copy() {
    let mut link = up();
    share(&mut link, &["a", "b"]);
    for other in [
        said("b", "1", "whispered"),
        said("b", "2", "hark"),
        said("b", "1", "hark").replace("juliet", "romeo"),
        said("b", "1", "hark").replace("groupchat", "chat"),
        said("b", "1", "hark").replace("/juliet", ""),
        said("b", "1", "hark").replace("room@", "hall@"),
        said("b", "1", "hark").replace("<body>", "<body xml:lang='it'>"),
        said("a", "1", "hark"),
        "<presence from='room@muc.xmpp.test/juliet' to='b@gw.xmpp.test/x'/>".to_owned(),
        said("b", "1", "hark").replace("groupchat", "error"),
    ] {
        receive(&mut link, &said("a", "1", "hark"));
        assert_eq!(receive(&mut link, &other).len(), 1, "{other}");
    }
    assert_eq!(link.copies_dropped(), 0);
}

#[test]
fn who_shares_no_more_is_told_of_in_the_order_of_the_stream() {
    let mut link = up();
    share(&mut link, &["a", "b"]);
    receive(&mut link, &said("a", "1", "hark"));
    let (room, occupant): (xmpp::BareJid, xmpp::FullJid) = (
        "room@muc.xmpp.test".parse().unwrap(),
        "b@gw.xmpp.test/x".parse().unwrap(),
    );
    link.handle_bytes(said("a", "2", "lo").as_bytes(), origin());
    let unshare = Command::Unshare {
        room: room.clone(),
        occupant: occupant.clone(),
    };
    link.handle_command(unshare, origin());
    link.handle_bytes(said("b", "2", "lo").as_bytes(), origin());
    let events = events(&mut link);
    assert_eq!(events[1], Event::Unshared { room, occupant });
    assert_eq!(heard(&events), ["a lo", "b lo"]);
}

#[test]
fn a_new_connection_knows_nobody_who_shares() {
    let mut link = up();
    share(&mut link, &["a", "b"]);
    let now = origin();
    link.handle_disconnected(now);
    events(&mut link);
    let now = link.poll_timeout().unwrap();
    link.handle_timeout(now);
    shake(&mut link, now);
    let stream = ["a", "b"].map(|to| said(to, "1", "hark")).concat();
    link.handle_bytes(stream.as_bytes(), now);
    assert_eq!(heard(&events(&mut link)), ["a hark", "b hark"]);
}
