//! What messages carry beside their text, as clients and rooms write it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use support::{receive, up};
use xmpp::Event;
use xmpp::stanza::{DirectInvitation, Encryption, Extras, Fallback, Link, Retraction, Stanza};

/// What is read of a room message with this content.
fn extras(content: &str) -> Extras {
    let text = format!(
        "<message from='r@muc.example.com/J' to='romeo@gw.xmpp.test/sip' type='groupchat' xml:lang='en'>{content}</message>"
    );
    match receive(&mut up(), &text).pop() {
        Some(Event::Stanza(Stanza::Message(message))) => message.extras,
        other => panic!("{other:?}: {text}"),
    }
}

#[test]
fn nothing_special_reads_as_nothing_special() {
    assert_eq!(extras("<body>hello</body>"), Extras::default());
    assert_eq!(
        extras("<body>hello</body><x xmlns='urn:unknown'/><reply/><encrypted/><retract/>"),
        Extras::default()
    );
}

#[test]
fn several_bodies_keep_their_languages() {
    let read = extras("<body>Good night</body><body xml:lang='de'>Gute Nacht</body>");
    assert_eq!(
        read.bodies,
        [("en", "Good night"), ("de", "Gute Nacht")].map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
}

#[test]
fn corrections_and_replies_with_their_fallback_are_read() {
    assert!(extras("<body>x</body><replace xmlns='urn:xmpp:message-correct:0' id='1'/>").corrects);
    let read = extras(
        "<body>&gt; a\nb</body><reply xmlns='urn:xmpp:reply:0' id='1' to='r@muc.example.com/R'/>\
         <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='4'/></fallback>",
    );
    assert_eq!(
        read.replies_to,
        Some(Some("r@muc.example.com/R".parse().unwrap()))
    );
    let fallback = Fallback {
        of: Some("urn:xmpp:reply:0".to_owned()),
        range: Some((0, 4)),
    };
    assert!(fallback.is_of_reply());
    assert_eq!(read.fallbacks, [fallback]);
    // Whom it answers may be missing or no address, a range may be none.
    let read = extras(
        "<reply xmlns='urn:xmpp:reply:0' id='1' to='@'/><fallback xmlns='urn:xmpp:fallback:0'><body start='-1' end='x'/></fallback>",
    );
    assert_eq!(read.replies_to, Some(None));
    assert_eq!(
        read.fallbacks,
        [Fallback {
            of: None,
            range: None
        }]
    );
    assert!(read.fallbacks[0].is_of_reactions() && !read.fallbacks[0].is_of_reply());
}

#[test]
fn reactions_are_read_without_the_empty_ones() {
    let read = extras(
        "<reactions xmlns='urn:xmpp:reactions:0' id='1'><reaction>👍</reaction><reaction> </reaction></reactions>",
    );
    assert_eq!(read.reactions, Some(vec!["👍".to_owned()]));
    let none = extras("<reactions xmlns='urn:xmpp:reactions:0' id='1'/>");
    assert_eq!(none.reactions, Some(Vec::new()));
}

#[test]
fn retractions_and_moderations_of_today_and_before_are_read() {
    let own = Some(Retraction::default());
    assert_eq!(
        extras("<retract xmlns='urn:xmpp:message-retract:1' id='1'/>").retraction,
        own
    );
    let wrapped =
        "<apply-to xmlns='urn:xmpp:fasten:0' id='1'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to>";
    assert_eq!(extras(wrapped).retraction, own);
    let moderated = Some(Retraction {
        moderated: true,
        by: Some("r@muc.example.com/N".parse().unwrap()),
        reason: Some("Spam".to_owned()),
    });
    let today = "<retract xmlns='urn:xmpp:message-retract:1' id='1'>\
                 <moderated xmlns='urn:xmpp:message-moderate:1' by='r@muc.example.com/N'/><reason>Spam</reason></retract>";
    assert_eq!(extras(today).retraction, moderated);
    let before = "<apply-to xmlns='urn:xmpp:fasten:0' id='1'>\
                  <moderated xmlns='urn:xmpp:message-moderate:0' by='r@muc.example.com/N'>\
                  <retract xmlns='urn:xmpp:message-retract:0'/><reason>Spam</reason></moderated></apply-to>";
    assert_eq!(extras(before).retraction, moderated);
    assert_eq!(
        extras("<apply-to xmlns='urn:xmpp:fasten:0' id='1'/>").retraction,
        None
    );
}

#[test]
fn links_need_an_address() {
    let read = extras(
        "<x xmlns='jabber:x:oob'><url>https://example.com/a</url><desc>A</desc></x><x xmlns='jabber:x:oob'><desc>B</desc></x>",
    );
    let link = Link {
        url: "https://example.com/a".to_owned(),
        description: Some("A".to_owned()),
    };
    assert_eq!(read.links, [link]);
}

#[test]
fn every_kind_of_encryption_is_recognised() {
    let announced = |namespace: &str| {
        format!("<body>fallback</body><encryption xmlns='urn:xmpp:eme:0' namespace='{namespace}'/>")
    };
    let cases = [
        (
            "<encrypted xmlns='eu.siacs.conversations.axolotl'><payload>AA==</payload></encrypted>"
                .to_owned(),
            Encryption::Omemo,
        ),
        (
            "<body>fallback</body><encrypted xmlns='urn:xmpp:omemo:2'/>".to_owned(),
            Encryption::Omemo,
        ),
        (
            "<openpgp xmlns='urn:xmpp:openpgp:0'>AA==</openpgp>".to_owned(),
            Encryption::OpenPgp,
        ),
        (
            "<body>This is encrypted</body><x xmlns='jabber:x:encrypted'>AA==</x>".to_owned(),
            Encryption::OpenPgp,
        ),
        ("<body>?OTR:AAMDJ+</body>".to_owned(), Encryption::Otr),
        (announced("urn:xmpp:otr:0"), Encryption::Otr),
        (announced("urn:xmpp:omemo:1"), Encryption::Omemo),
        (announced("jabber:x:encrypted"), Encryption::OpenPgp),
        (announced("urn:something:new"), Encryption::Other),
    ];
    for (content, expected) in cases {
        assert_eq!(extras(&content).encryption, Some(expected), "{content}");
    }
}

#[test]
fn keys_alone_are_no_encrypted_message() {
    let keys = "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/></encrypted>\
                <encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl'/>";
    assert_eq!(extras(keys).encryption, None);
}

#[test]
fn xep_0249_a_direct_invitation_is_read() {
    let read = extras(
        "<x xmlns='jabber:x:conference' jid='capulet@rooms.example.com' password='p' reason='come' continue='true'/>",
    );
    assert_eq!(
        read.invitation,
        Some(DirectInvitation {
            room: "capulet@rooms.example.com".parse().unwrap(),
            password: Some("p".to_owned()),
            reason: Some("come".to_owned()),
        })
    );
    assert_eq!(extras("<x xmlns='jabber:x:conference'/>").invitation, None);
    assert_eq!(
        extras("<x xmlns='jabber:x:conference' jid='@'/>").invitation,
        None
    );
}
