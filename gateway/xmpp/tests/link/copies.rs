//! Copies of a room's messages.

use xmpp::stanza::Stanza;
use xmpp::{Command, Event, Link};

use crate::support::{events, origin, receive, shake, up};

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
