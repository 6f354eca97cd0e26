//! Opening the stream, and how it ends.

use xmpp::stanza::Stanza;
use xmpp::{Action, DownCause, Event, Link, LinkConfig};

use crate::support::{HEADER, actions, config, events, origin, receive, sent, up, up_at};
use crate::{STREAMS, opening};

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
        (
            format!("{HEADER}<!-- -->"),
            "a comment, a DTD or text outside of stanzas",
        ),
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
