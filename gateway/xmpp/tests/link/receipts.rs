//! Which of the stanzas that were written the server is known to have read when the connection ends.

use xmpp::stanza::Outgoing;
use xmpp::{Command, DownCause, Event, Limits, Link, LinkConfig, Unsent};

use crate::support::{config, events, origin, receive, sent, shake, up, up_at};

fn private(body: &str) -> Outgoing {
    Outgoing::Private {
        from: "u@gw.xmpp.test/sip".parse().unwrap(),
        to: "r@muc.xmpp.test/juliet".parse().unwrap(),
        id: "m1".into(),
        body: body.into(),
    }
}

fn public(body: &str) -> Outgoing {
    Outgoing::Groupchat {
        from: "u@gw.xmpp.test/sip".parse().unwrap(),
        to: "r@muc.xmpp.test".parse().unwrap(),
        id: "m1".into(),
        body: body.into(),
    }
}

fn send(link: &mut Link, stanza: Outgoing) -> String {
    link.handle_command(Command::Send(stanza), origin());
    sent(link)
}

/// The ids of the pings in what was written.
fn pings(written: &str) -> Vec<String> {
    let pings = written
        .split("<iq from='gw.xmpp.test' to='gw.xmpp.test' id='")
        .skip(1);
    pings
        .map(|rest| rest.split_once('\'').unwrap().0.to_owned())
        .collect()
}

/// The server has read the stream up to this ping, and routes it back to us.
fn comes_back(link: &mut Link, id: &str) {
    let ping = format!(
        "<iq from='gw.xmpp.test' to='gw.xmpp.test' id='{id}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>"
    );
    assert_eq!(receive(link, &ping), []);
}

/// What comes back when the connection ends.
fn given_back(link: &mut Link) -> Vec<(Outgoing, Unsent)> {
    link.handle_disconnected(origin());
    let mut events = events(link);
    assert_eq!(events.remove(0), Event::Down(DownCause::Closed));
    let stanzas = events.into_iter().map(|event| match event {
        Event::Unsent { stanza, why } => (*stanza, why),
        event => panic!("{event:?}"),
    });
    stanzas.collect()
}

#[test]
fn what_must_arrive_is_followed_by_a_ping_to_ourselves_and_nothing_else_is() {
    let mut link = up();
    assert_eq!(pings(&send(&mut link, public("x"))), Vec::<String>::new());
    let written = send(&mut link, private("x"));
    assert_eq!(pings(&written).len(), 1);
    assert!(written.ends_with("</iq>"), "behind it: {written}");
}

#[test]
fn what_was_written_and_is_not_known_to_have_been_read_comes_back_before_what_was_queued() {
    let mut link = up();
    send(&mut link, private("1"));
    send(&mut link, public("its reflection will tell"));
    link.handle_command(Command::Send(private("2")), origin());
    assert_eq!(
        given_back(&mut link),
        [
            (private("1"), Unsent::Unconfirmed),
            (private("2"), Unsent::LinkDown)
        ]
    );
}

#[test]
fn what_the_server_has_read_does_not_come_back() {
    let mut link = up();
    let ping = pings(&send(&mut link, private("1"))).remove(0);
    comes_back(&mut link, &ping);
    assert_eq!(given_back(&mut link), []);
}

#[test]
fn one_ping_is_under_way_at_a_time_and_the_next_is_for_all_since() {
    let mut link = up();
    let first = pings(&send(&mut link, private("1"))).remove(0);
    for later in ["2", "3"] {
        assert_eq!(pings(&send(&mut link, private(later))), Vec::<String>::new());
    }
    comes_back(&mut link, &first);
    let second = pings(&sent(&mut link)).remove(0);
    // An old answer is none for these.
    comes_back(&mut link, &first);
    send(&mut link, private("4"));
    comes_back(&mut link, &second);
    assert_eq!(pings(&sent(&mut link)).len(), 1);
    assert_eq!(given_back(&mut link), [(private("4"), Unsent::Unconfirmed)]);
}

#[test]
fn a_new_connection_owes_nothing_for_the_former_one() {
    let mut link = up();
    let former = pings(&send(&mut link, private("1"))).remove(0);
    given_back(&mut link);
    let due = link.poll_timeout().unwrap();
    link.handle_timeout(due);
    shake(&mut link, due);
    send(&mut link, private("2"));
    comes_back(&mut link, &former);
    assert_eq!(given_back(&mut link), [(private("2"), Unsent::Unconfirmed)]);
}

#[test]
fn no_more_is_kept_than_the_queue_has_room_for_and_the_oldest_goes_first() {
    let one = {
        let mut link = up();
        let written = send(&mut link, private("1"));
        written.find("<iq").unwrap()
    };
    for (queue, kept) in [(2 * one - 1, 1), (2 * one, 2), (3 * one, 3)] {
        let limits = Limits {
            queue,
            ..Limits::default()
        };
        let mut link = up_at(LinkConfig { limits, ..config() }, origin());
        let ping = pings(&send(&mut link, private("1"))).remove(0);
        send(&mut link, private("2"));
        send(&mut link, private("3"));
        let texts = ["1", "2", "3"].map(|text| (private(text), Unsent::Unconfirmed));
        let mut read = texts[3 - kept..].to_vec();
        if kept == 3 {
            comes_back(&mut link, &ping);
            read.remove(0);
        }
        assert_eq!(given_back(&mut link), read, "{queue}");
    }
}
