//! What real servers sent, stanza after stanza, to a gateway that has a user in the recorded room.

use std::time::Duration;

use crate::transcript::{
    hall::Hall,
    script::{Happening, Peer, Protocol},
};

const PROSODY: &str = include_str!("../../../xmpp/tests/traces/prosody-0.12.xml");
const EJABBERD: &str = include_str!("../../../xmpp/tests/traces/ejabberd-23.01.xml");

const SIP: &str = "user2";
const INVITE: &str = "\
INVITE sip:room1@rooms.example.com SIP/2.0
Via: SIP/2.0/TCP 192.0.2.10:5060;branch=z9hG4bK-enter
Max-Forwards: 70
From: <sip:user2@example.org>;tag=caller
To: <sip:room1@rooms.example.com>
Contact: <sip:user2@192.0.2.10:5060;transport=tcp;gr=sip>
Call-ID: call
CSeq: 1 INVITE
Content-Type: application/sdp

v=0
o=- 1 1 IN IP4 192.0.2.10
s=-
c=IN IP4 192.0.2.10
t=0 0
m=message 7313 TCP/MSRP *
a=accept-types:message/cpim
a=path:msrp://192.0.2.10:7313/ansp71weztas;tcp
a=chatroom:nickname private-messages";

const ACK: &str = "\
ACK sip:room1@s2x.example.com:5060;transport=tcp SIP/2.0
Via: SIP/2.0/TCP 192.0.2.10:5060;branch=z9hG4bK-ack
Max-Forwards: 70
From: <sip:user2@example.org>;tag=caller
To: <sip:room1@rooms.example.com>;tag=TAG
Call-ID: call
CSeq: 1 ACK";

/// What became of a recording.
#[derive(Default)]
struct Outcome {
    /// What the user was shown: who said it, to whom, and what.
    shown: Vec<(String, String, String)>,
    /// The Reason of his BYE.
    bye: Option<String>,
    /// What answered stanzas of the type groupchat.
    errors_to_the_room: Vec<String>,
}

// Rows: B7702-09, B7702-11, B7702-24, B7702-26, B7702-34, CXMPP-23, CXMPP-24
#[test]
fn what_prosody_and_ejabberd_sent_is_shown_to_the_user_in_the_room() {
    for recording in [PROSODY, EJABBERD] {
        let outcome = play(recording);
        let said = |text: &str| ("room1;gr=user1".to_owned(), "room1".to_owned(), text.to_owned());
        let mut expected: Vec<_> = [
            "hello room",
            "no id",
            "(corrected) x",
            "forge",
            "one",
            "two",
            "hi",
            "b",
        ]
        .map(said)
        .into();
        let to_him = "user2".to_owned();
        expected.push(("room1;gr=user1".to_owned(), to_him, "psst".to_owned()));
        assert_eq!(outcome.shown, expected);
        assert_eq!(outcome.errors_to_the_room, [""; 0]);
        println!("{:?}", outcome.bye);
    }
}

/// A call into the recorded room, and then the recording. His client takes whatever it is sent.
fn play(recording: &str) -> Outcome {
    let mut hall = Hall::new(&[]);
    let mut outcome = Outcome::default();
    hall.say(&Peer::sip(SIP), INVITE);
    for line in recording.lines() {
        let line = line
            .replace("gw.xmpp.test", "example.org")
            .replace("muc.xmpp.test", "rooms.example.com")
            .replace("xmpp.test", "example.com");
        hall.say(&Peer::xmpp(), &line);
        take(&mut hall, &line, &mut outcome);
    }
    // The user left in the recording, which here is news to him: the way back in has its time.
    hall.happens(&Happening::Passes(Duration::from_secs(120)));
    take(&mut hall, "", &mut outcome);
    outcome
}

/// Takes what a stanza has caused.
fn take(hall: &mut Hall, cause: &str, outcome: &mut Outcome) {
    while let Some(peer) = hall.unheard().map(|(peer, _)| peer.clone()) {
        let message = hall.hear(&peer).unwrap();
        match peer.protocol {
            Protocol::Sip => take_sip(hall, &message, outcome),
            Protocol::Msrp => take_msrp(hall, &message, outcome),
            Protocol::Xmpp => {
                if cause.contains("type='groupchat'") && message.contains("type='error'") {
                    outcome.errors_to_the_room.push(message);
                }
            }
        }
    }
}

fn take_sip(hall: &mut Hall, message: &str, outcome: &mut Outcome) {
    if let Some(path) = value(message, "a=path:") {
        let tag = message
            .split(">;tag=")
            .nth(1)
            .and_then(|rest| rest.lines().next());
        hall.say(&Peer::sip(SIP), &ACK.replace("TAG", tag.unwrap()));
        let opening = format!(
            "MSRP open SEND\nTo-Path: {path}\nFrom-Path: msrp://192.0.2.10:7313/ansp71weztas;tcp\n\
             Message-ID: opening\nByte-Range: 1-0/0\n-------open$"
        );
        hall.say(&Peer::msrp(SIP), &opening);
    }
    if message.starts_with("BYE ") {
        outcome.bye = value(message, "Reason: ").map(str::to_owned);
    }
}

fn take_msrp(hall: &mut Hall, message: &str, outcome: &mut Outcome) {
    let mut words = message.split_whitespace();
    let (Some(transaction), Some("SEND")) = (words.nth(1), words.next()) else {
        return;
    };
    let (to, from) = (
        value(message, "To-Path: ").unwrap(),
        value(message, "From-Path: ").unwrap(),
    );
    let answer =
        format!("MSRP {transaction} 200 OK\nTo-Path: {from}\nFrom-Path: {to}\n-------{transaction}$");
    hall.say(&Peer::msrp(SIP), &answer);
    let (_, body) = message.split_once("\n\n").unwrap();
    let address = |name| {
        let uri = value(body, name).unwrap().split_once("<sip:").unwrap().1;
        uri.trim_end_matches('>')
            .replace("@rooms.example.com", "")
            .replace("@example.org", "")
    };
    let text = body
        .rsplit_once("\n\n")
        .unwrap()
        .1
        .split("\n-------")
        .next()
        .unwrap();
    outcome
        .shown
        .push((address("From: "), address("To: "), text.to_owned()));
}

fn value<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.lines().find_map(|line| line.strip_prefix(name))
}
