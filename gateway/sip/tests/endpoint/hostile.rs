//! Nothing a peer sends makes the endpoint fail, answer an answer, or keep anything for ever.

use bytes::Bytes;
use proptest::prelude::*;
use sip::{
    Body, Command, Contact, Event, Header, Headers, Reason, StatusCode, SubscriptionState, message::Message,
};

use crate::scene::{Ask, SDP, Scene, body, room, seconds, udp};

const METHODS: [&str; 14] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "SUBSCRIBE",
    "NOTIFY",
    "REFER",
    "MESSAGE",
    "UPDATE",
    "PRACK",
    "INFO",
    "REGISTER",
    "JUMP",
];

/// Lets an owner answer everything in one way or another, and ends what goes on.
fn own(scene: &mut Scene, kindly: bool) {
    while let Some(event) = scene.events.pop_front() {
        let command = match event {
            Event::Invited { due, .. } | Event::Reinvited { due, .. } if kindly => Command::Accept {
                due,
                contact: room(),
                body: body(),
            },
            Event::Subscribing {
                subscription, due, ..
            } if kindly => {
                scene.command(Command::AcceptSubscription {
                    due,
                    contact: Contact::default(),
                });
                Command::Notify {
                    subscription,
                    state: SubscriptionState::Active,
                    body: None,
                }
            }
            Event::Referred { due, .. } if kindly => Command::AcceptRefer { due, contact: room() },
            Event::Requested { due, .. } if kindly => Command::AcceptRequest { due },
            Event::Invited { due, .. }
            | Event::Reinvited { due, .. }
            | Event::Subscribing { due, .. }
            | Event::Referred { due, .. }
            | Event::Requested { due, .. } => Command::Refuse {
                due,
                status: StatusCode(403),
                phrase: None,
                headers: Vec::new(),
            },
            _ => continue,
        };
        scene.command(command);
    }
}

/// Takes what was sent, and notes every tag that its responses show.
fn note_tags(scene: &mut Scene, tags: &mut Vec<String>) {
    for (_, transmit) in scene.sent.drain(..) {
        if let Ok(Message::Response(response)) = Message::parse(&transmit.bytes) {
            let to = response.headers.get("To").unwrap_or_default();
            tags.extend(to.split(";tag=").nth(1).map(str::to_owned));
        }
    }
}

proptest! {
    #[test]
    fn any_octets_are_survived(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut scene = Scene::new();
        scene.endpoint.handle_message(udp(), Bytes::from(octets.clone()), scene.now);
        scene.endpoint.handle_too_large(udp(), Bytes::from(octets), scene.now);
        scene.drain();
    }

    #[test]
    fn a_valid_request_with_octets_changed_is_survived(
        method in 0..METHODS.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        kindly in any::<bool>(),
    ) {
        let mut scene = Scene::new();
        let mut octets = Ask::new(METHODS[method], 1).header("Event: conference").body(SDP).text().into_bytes();
        for (place, octet) in changes {
            let place = place.index(octets.len());
            octets[place] = octet;
        }
        scene.endpoint.handle_message(udp(), Bytes::from(octets), scene.now);
        scene.drain();
        own(&mut scene, kindly);
        scene.pass(seconds(4000.0));
        own(&mut scene, kindly);
        scene.pass(seconds(100.0));
        prop_assert_eq!(scene.endpoint.census(), (0, 0, 0));
    }

}

proptest! {
    /// No text of the owner's becomes a header of its own, whatever is in it.
    #[test]
    fn the_owners_text_stays_in_its_field(text in any::<String>()) {
        let mut scene = Scene::new();
        let (dialog, tag) = scene.established(&Ask::invite());
        let (subscription, _) = scene.subscribed(&Ask::subscribe(2).to(&tag));
        let state = SubscriptionState::Terminated(text.clone());
        let document = Body { content_type: "text/plain".to_owned(), bytes: Bytes::from_static(b"x") };
        scene.command(Command::Notify { subscription, state, body: Some(document) });
        let notify = scene.request();
        let names = |headers: &Headers| headers.0.iter().map(|header| header.name.to_string()).collect::<Vec<_>>();
        prop_assert_eq!(names(&notify.headers), [
            "Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Contact", "Event", "Subscription-State", "User-Agent",
            "Content-Type", "Content-Length",
        ]);
        let reason = Reason { cause: StatusCode(403), text: text.clone() };
        scene.command(Command::Bye { dialog, reason: Some(reason) });
        let bye = scene.request();
        prop_assert_eq!(names(&bye.headers), [
            "Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Reason", "User-Agent", "Content-Length",
        ]);
        scene.ask(&Ask::invite().call("other").branch("z9hG4bK-other"));
        scene.sent.clear();
        while let Some(event) = scene.events.pop_front() {
            if let Event::Invited { due, .. } = event {
                let headers = vec![Header { name: "Warning".into(), value: text.clone() }];
                scene.command(Command::Refuse { due, status: StatusCode(486), phrase: Some(text.clone()), headers });
            }
        }
        let busy = scene.response();
        prop_assert_eq!(names(&busy.headers), ["Via", "From", "To", "Call-ID", "CSeq", "Warning", "Server", "Content-Length"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Requests in any order, in and out of dialogs: no panic, and silence of the peer ends everything.
    #[test]
    fn any_sequence_of_requests_is_survived_and_forgotten(
        steps in proptest::collection::vec((0..METHODS.len(), 0..6_u32, 0..3_usize, any::<bool>(), 0..40_u64), 1..40),
        kindly in any::<bool>(),
    ) {
        let mut scene = Scene::new();
        let mut known = Vec::new();
        for (number, (method, cseq, tag, has_body, wait)) in steps.into_iter().enumerate() {
            note_tags(&mut scene, &mut known);
            let mut ask = Ask::new(METHODS[method], cseq).header("Event: conference");
            if METHODS[method] == "REFER" {
                ask = ask.header("Refer-To: <sip:b@example.com>");
            }
            if has_body {
                ask = ask.body(SDP).branch(&format!("z9hG4bK-{number}"));
            }
            if let Some(tag) = known.get(tag.wrapping_mul(known.len() / 3)).filter(|_| tag > 0) {
                ask = ask.to(tag);
            }
            scene.ask(&ask);
            own(&mut scene, kindly);
            scene.pass(seconds(0.1) * u32::try_from(wait).unwrap());
        }
        scene.pass(seconds(4000.0));
        own(&mut scene, kindly);
        scene.pass(seconds(100.0));
        // What stays is the dialogs whose ACK came: only a BYE ends those.
        prop_assert_eq!(scene.endpoint.census().1, 0);
        prop_assert_eq!(scene.endpoint.census().2, 0);
        note_tags(&mut scene, &mut known);
        for (number, tag) in known.iter().enumerate() {
            scene.ask(&Ask::new("BYE", 1000).to(tag).branch(&format!("z9hG4bK-bye-{number}")));
        }
        scene.pass(seconds(100.0));
        prop_assert_eq!(scene.endpoint.census(), (0, 0, 0));
        prop_assert_eq!(scene.endpoint.poll_timeout(), None);
    }
}

#[test]
fn responses_to_nothing_are_ignored() {
    let mut scene = Scene::new();
    scene.receive("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n");
    scene.assert_quiet();
    scene.assert_empty();
}
