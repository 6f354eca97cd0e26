//! After a silence: whether the server still holds the connection that was given up.

use std::time::{Duration, Instant};

use xmpp::{Command, Event, Link, Unsent};

use crate::support::{HEADER, config, events, origin, parsed, sent, up_at};
use crate::{message, seconds, unsent, wait_for_attempt};

const TENTH: Duration = Duration::from_millis(100);

/// A link whose server has stood still and now takes a new connection; the numbers of its first pings.
fn accepted() -> (Link, Instant, Vec<String>) {
    let mut now = origin();
    let mut link = up_at(config(), now);
    now += seconds(30);
    link.handle_timeout(now);
    now += seconds(10);
    link.handle_timeout(now);
    wait_for_attempt(&mut link, &mut now);
    // This one is not answered either.
    link.handle_connected(now);
    now += seconds(10);
    link.handle_timeout(now);
    wait_for_attempt(&mut link, &mut now);
    link.handle_connected(now);
    link.handle_bytes(HEADER.as_bytes(), now);
    sent(&mut link);
    events(&mut link);
    link.handle_bytes(b"<handshake/>", now);
    let row = row(&mut link);
    (link, now, row)
}

/// The pings that go out, each to our own domain.
fn row(link: &mut Link) -> Vec<String> {
    let pings = parsed(&format!("<r>{}</r>", sent(link)));
    let ids = pings.children().map(|ping| {
        assert_eq!(ping.attr("to"), Some("gw.xmpp.test"));
        ping.attr("id").unwrap().to_owned()
    });
    ids.collect()
}

fn come_back<'a>(link: &mut Link, ids: impl IntoIterator<Item = &'a String>, now: Instant) {
    for id in ids {
        let ping = format!(
            "<iq from='gw.xmpp.test' to='gw.xmpp.test' id='{id}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>"
        );
        link.handle_bytes(ping.as_bytes(), now);
    }
}

#[test]
fn it_is_up_when_a_whole_row_of_pings_has_come_back() {
    let (mut link, now, row) = accepted();
    assert_eq!(row.len(), 8);
    assert_eq!((link.is_up(), events(&mut link)), (false, vec![]));
    come_back(&mut link, &row[..7], now);
    assert_eq!((link.is_up(), events(&mut link)), (false, vec![]));
    come_back(&mut link, &row[7..], now);
    assert_eq!((link.is_up(), events(&mut link)), (true, vec![Event::Up]));
    assert_eq!(link.poll_timeout(), Some(now + seconds(30)));
}

#[test]
fn rows_of_which_the_former_connection_gets_a_part_do_not_count() {
    let (mut link, mut now, first) = accepted();
    come_back(&mut link, first.iter().step_by(2), now);
    assert_eq!(link.poll_timeout(), Some(now + TENTH));
    now += TENTH;
    link.handle_timeout(now);
    let second = row(&mut link);
    // As many as a row, and of none a whole.
    come_back(&mut link, second.iter().step_by(2), now);
    assert_eq!(events(&mut link), []);
    // A slow server answers when further rows are out.
    now += TENTH;
    link.handle_timeout(now);
    row(&mut link);
    come_back(&mut link, second.iter().skip(1).step_by(2), now);
    assert_eq!(events(&mut link), [Event::Up]);
}

#[test]
fn another_connection_that_stays_is_told_and_not_waited_for() {
    let (mut link, start, row) = accepted();
    come_back(&mut link, row.iter().step_by(2), start);
    let mut now = start;
    while !link.is_up() {
        now = link.poll_timeout().unwrap();
        link.handle_timeout(now);
    }
    assert_eq!(now, start + seconds(2));
    assert_eq!(events(&mut link), [Event::Up, Event::NotSole]);
    // From now on it is a link like any other, and so is the next one after a close.
    link.handle_disconnected(now);
    events(&mut link);
    wait_for_attempt(&mut link, &mut now);
    link.handle_connected(now);
    link.handle_bytes(format!("{HEADER}<handshake/>").as_bytes(), now);
    assert_eq!(events(&mut link), [Event::Up]);
}

#[test]
fn pings_that_are_late_are_not_waited_for_and_mean_nothing() {
    let (mut link, start, first) = accepted();
    let mut now = start;
    while !link.is_up() {
        now = link.poll_timeout().unwrap();
        link.handle_timeout(now);
    }
    assert_eq!(now, start + seconds(2));
    assert_eq!(events(&mut link), [Event::Up]);
    come_back(&mut link, &first, now);
    assert_eq!(events(&mut link), [], "it is up already");
}

#[test]
fn a_connection_that_breaks_meanwhile_is_a_failed_attempt() {
    let (mut link, mut now, row) = accepted();
    link.handle_command(Command::Send(message("x")), now);
    link.handle_disconnected(now);
    assert!(events(&mut link).contains(&unsent(message("x"), Unsent::LinkDown)));
    wait_for_attempt(&mut link, &mut now);
    link.handle_connected(now);
    link.handle_bytes(format!("{HEADER}<handshake/>").as_bytes(), now);
    come_back(&mut link, &row, now);
    assert_eq!(events(&mut link), [], "those pings were of another connection");
}

#[test]
fn an_attempt_that_has_waited_for_its_deadline_is_followed_by_another_at_once() {
    let mut now = origin();
    let mut link = Link::new(config(), [1; 32]);
    link.handle_timeout(now);
    for _ in 0..5 {
        link.handle_connected(now);
        now += seconds(10);
        link.handle_timeout(now);
        assert_eq!(wait_for_attempt(&mut link, &mut now), Duration::ZERO);
    }
}
