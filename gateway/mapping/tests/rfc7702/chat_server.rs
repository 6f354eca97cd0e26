//! What a deployed chat server sent to a client in its room, sent to the gateway in the client's place.

use crate::transcript::{
    compare::parsed,
    hall::Hall,
    pattern::Variables,
    play,
    script::{Peer, Protocol},
};

const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
const SIP: &str = include_str!("../../../sip/tests/traces/chat-server.sip");
const MSRP: &str = include_str!("../../../msrp/tests/data/chat_server.msrp");

// Rows: A7702-23, A7702-24, A7702-30, A7702-44, C4575-10, E-18..E-20, E-35, E-40
#[test]
fn a_chat_server_with_plain_addresses_is_a_room_like_any_other() {
    let mut client = Client::enter();
    assert_eq!(client.shown(), ["JuliC is in 110", "subject: "]);
    // The first of its four further documents says again what the one before said.
    client.notify();
    assert_eq!(client.shown(), [""; 0]);
    client.notify();
    assert_eq!(client.shown(), ["Bob is in"]);
    client.notify();
    // It repeats a nickname with the quotes in which it was asked for, and which are none of it.
    assert_eq!(client.shown(), ["Bob is out, now Bobby", "Bobby is in"]);
    for expected in [
        "montague@chat.example.org: Welcome! You are the first participant in the conference. Others can join by using:",
        "montague@chat.example.org: Bob <bob@sip.test> has joined the room with chat",
        "Bobby: Hi, Bob here",
    ] {
        client.message();
        assert_eq!(client.shown(), [expected]);
    }
}

/// An XMPP user's stay at the recorded server.
struct Client {
    hall: Hall,
    /// What the server would know of the subscription.
    subscribe: String,
    documents: Vec<String>,
    frames: Vec<String>,
    shown: Vec<String>,
}

impl Client {
    /// Calls the server, which answers as it answered Alice.
    fn enter() -> Self {
        let (mut hall, variables) = play("section_5_1_call");
        let sip = as_juliet_s(SIP, &variables);
        let bodies = sip.split("\r\n\r\n");
        let description = bodies.clone().find(|body| body.starts_with("v=0")).unwrap();
        let description = description.split("SIP/2.0").next().unwrap().replace("\r\n", "\n");
        let accepted = "SIP/2.0 200 OK\nVia: SIP/2.0/TCP s2x.example.com:5060;branch=$invite\n\
             From: \"JuliC\" <sip:juliet@example.com>;tag=$juliet\nTo: <sip:montague@chat.example.org>;tag=1\n\
             Contact: <sip:server@192.0.2.10:5060;transport=tcp>;isfocus\nCall-ID: $call\nCSeq: $number INVITE\n\
             Content-Type: application/sdp\n\n";
        let accepted = variables.fill(accepted).unwrap() + description.trim_end();
        hall.say(&Peer::sip("focus"), &accepted);
        let documents = bodies.filter_map(|body| {
            let end = body.find("</conference-info>")?;
            Some(format!("{}</conference-info>", &body[..end]))
        });
        let msrp = as_juliet_s(MSRP, &variables);
        let session = variables.fill("/$session;tcp").unwrap();
        let frames = msrp.split_inclusive("$\r\n");
        let frames = frames.filter(|frame| frame.contains(" SEND\r\n") && frame.contains(&session));
        let mut client = Self {
            documents: documents.collect(),
            frames: frames.map(str::to_owned).collect(),
            hall,
            subscribe: String::new(),
            shown: Vec::new(),
        };
        client.take_all();
        client
    }

    /// What the user has been shown since he was last asked.
    fn shown(&mut self) -> Vec<String> {
        std::mem::take(&mut self.shown)
    }

    /// The server sends its next document.
    fn notify(&mut self) {
        let document = self.documents.remove(0);
        let header = |name: &str| value(&self.subscribe, name).to_owned();
        let cseq = 10 - self.documents.len();
        let notify = format!(
            "NOTIFY sip:juliet@s2x.example.com SIP/2.0\nVia: SIP/2.0/TCP 192.0.2.10:5060;branch=z9hG4bK-{cseq}\n\
             Max-Forwards: 70\nFrom: {};tag=watched\nTo: {}\nContact: <sip:server@192.0.2.10:5060;transport=tcp>\n\
             Call-ID: {}\nCSeq: {cseq} NOTIFY\nEvent: conference\nSubscription-State: active;expires=600\n\
             Content-Type: application/conference-info+xml\n\n{document}",
            header("To: "),
            header("From: "),
            header("Call-ID: "),
        );
        self.hall.say(&Peer::sip("focus"), &notify);
        self.take_all();
    }

    /// The server's switch sends its next message.
    fn message(&mut self) {
        let frame = self.frames.remove(0);
        self.hall.say_msrp("switch", frame.as_bytes());
        self.take_all();
    }

    fn take_all(&mut self) {
        while let Some(peer) = self.hall.unheard().map(|(peer, _)| peer.clone()) {
            let message = self.hall.hear(&peer).unwrap();
            match peer.protocol {
                Protocol::Sip => self.take_sip(&peer, message),
                Protocol::Msrp => self.take_msrp(&peer, &message),
                Protocol::Xmpp => self.shown.extend(shown(&message)),
            }
        }
    }

    fn take_sip(&mut self, peer: &Peer, message: String) {
        if message.starts_with("SUBSCRIBE ") {
            let copied = ["Via: ", "From: ", "Call-ID: ", "CSeq: "]
                .map(|name| format!("{name}{}", value(&message, name)));
            let accepted = format!(
                "SIP/2.0 200 OK\n{}\nTo: {};tag=watched\nExpires: 600\nContact: <sip:server@192.0.2.10:5060;transport=tcp>",
                copied.join("\n"),
                value(&message, "To: ")
            );
            self.subscribe = message;
            self.hall.say(peer, &accepted);
            self.notify();
        } else {
            assert!(
                message.starts_with("ACK ") || message.starts_with("SIP/2.0 200 "),
                "{message}"
            );
        }
    }

    fn take_msrp(&mut self, peer: &Peer, message: &str) {
        let mut words = message.split_whitespace();
        let transaction = words.nth(1).unwrap();
        match words.next().unwrap() {
            "SEND" | "NICKNAME" => {
                let answer = format!(
                    "MSRP {transaction} 200 OK\nTo-Path: {}\nFrom-Path: {}\n-------{transaction}$",
                    value(message, "From-Path: "),
                    value(message, "To-Path: ")
                );
                self.hall.say(peer, &answer);
            }
            // He accepts each message, and reports it where that is asked for.
            "200" | "REPORT" => {}
            _ => panic!("{message}"),
        }
    }
}

/// The recording with the names of the transcript in it.
fn as_juliet_s(recording: &str, variables: &Variables) -> String {
    let path = variables.fill("s2m.example.com:2855/$session").unwrap();
    recording
        .replace("room1@conference.sip.test", "montague@chat.example.org")
        .replace("alice@sip.test", "juliet@example.com")
        .replace("127.0.0.21:20001/ajz0aikkvugc", &path)
}

/// A stanza to the user, in short.
fn shown(stanza: &str) -> Option<String> {
    let stanza = parsed(stanza).unwrap();
    let child = |name: &str| {
        stanza
            .get_child(name, "jabber:component:accept")
            .map(|child| child.text())
    };
    let from = stanza.attr("from").unwrap();
    let who = from.split_once('/').map_or(from, |(_, nickname)| nickname);
    if stanza.name() == "presence" {
        let own = if String::from(&stanza).contains("'110'") {
            " 110"
        } else {
            ""
        };
        let state = if stanza.attr("type").is_some() {
            "out"
        } else {
            "in"
        };
        let item = stanza
            .get_child("x", MUC_USER)
            .and_then(|x| x.get_child("item", MUC_USER));
        let renamed = item.and_then(|item| item.attr("nick"));
        let renamed = renamed.map_or(String::new(), |name| format!(", now {name}"));
        return Some(format!("{who} is {state}{own}{renamed}"));
    }
    if let Some(subject) = child("subject") {
        return Some(format!("subject: {subject}"));
    }
    Some(format!(
        "{who}: {}",
        child("body")?.lines().next().unwrap_or_default()
    ))
}

fn value<'a>(message: &'a str, name: &str) -> &'a str {
    message.lines().find_map(|line| line.strip_prefix(name)).unwrap()
}
