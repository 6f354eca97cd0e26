//! RFC 3994 and RFC 5438.

use std::time::Duration;

use bytes::Bytes;
use msrp::{
    cpim::{Address, Cpim},
    imdn::{self, Delivery, Display, Imdn, Notification, Processing, Request},
    iscomposing::{Composer, IsComposing, Observer, State},
};
use proptest::prelude::*;

use crate::pair::start;

#[test]
fn rfc3994_5_the_examples() {
    let first = IsComposing::parse(
        br#"<?xml version="1.0" encoding="UTF-8"?>
       <isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing"
        xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
        xsi:schemaLocation="urn:ietf:params:xml:ns:im-composing iscomposing.xsd">
         <state>active</state>
         <contenttype>text/plain</contenttype>
         <refresh>90</refresh>
       </isComposing>"#,
    )
    .unwrap();
    let expected = IsComposing {
        state: State::Active,
        last_active: None,
        content_type: Some("text/plain".to_owned()),
        refresh: Some(90),
    };
    assert_eq!(first, expected);
    let second = IsComposing::parse(
        b"<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'><state>idle</state>\
          <lastactive>2003-01-27T10:43:00Z</lastactive><contenttype>audio</contenttype></isComposing>",
    )
    .unwrap();
    assert_eq!(second.state, State::Idle);
    assert_eq!(second.last_active, Some("2003-01-27T10:43:00Z".parse().unwrap()));
    for document in [first, second] {
        assert_eq!(IsComposing::parse(&document.to_bytes()), Ok(document));
    }
}

#[test]
fn rfc3994_3_5_states_and_values_that_are_not_known() {
    for (inside, expected) in [
        ("<state>active</state>", Some((State::Active, None))),
        ("<state> idle </state>", Some((State::Idle, None))),
        ("<state>sleeping</state>", Some((State::Idle, None))),
        (
            "<state>active</state><refresh>0</refresh>",
            Some((State::Active, None)),
        ),
        (
            "<state>active</state><refresh>-5</refresh>",
            Some((State::Active, None)),
        ),
        (
            "<state>active</state><refresh>+5</refresh>",
            Some((State::Active, Some(5))),
        ),
        (
            "<state>active</state><refresh>99999999999999999999</refresh>",
            Some((State::Active, Some(u32::MAX))),
        ),
        (
            "<x:mood xmlns:x='urn:x'><state>active</state></x:mood><state>idle</state>",
            Some((State::Idle, None)),
        ),
        ("<x:state xmlns:x='urn:x'>active</x:state>", None),
        ("<state/>", None),
        ("", None),
    ] {
        let text = format!("<isComposing>{inside}</isComposing>");
        let read = IsComposing::parse(text.as_bytes()).ok();
        assert_eq!(read.map(|read| (read.state, read.refresh)), expected, "{inside}");
    }
}

#[test]
fn rfc3994_3_2_the_sender() {
    let now = start();
    let after = |seconds| now + Duration::from_secs(seconds);
    let mut composer = Composer::new(Some(Duration::from_secs(60)));
    let status = composer.handle_composing(now).unwrap();
    assert_eq!((status.state, status.refresh), (State::Active, Some(60)));
    // Writing on for a minute.
    for second in (10..=60).step_by(10) {
        assert_eq!(composer.handle_timeout(after(second - 1)), None);
        assert_eq!(composer.handle_composing(after(second)), None);
    }
    assert_eq!(composer.poll_timeout(), Some(after(60)));
    assert_eq!(
        composer.handle_timeout(after(60)).map(|status| status.state),
        Some(State::Active)
    );
    // Then a pause.
    assert_eq!(composer.poll_timeout(), Some(after(75)));
    assert_eq!(composer.handle_timeout(after(74)), None);
    let idle = composer.handle_timeout(after(75)).unwrap();
    assert_eq!((idle.state, idle.refresh), (State::Idle, None));
    assert_eq!(composer.poll_timeout(), None);
    // A message that is sent needs no idle status.
    assert!(composer.handle_composing(after(80)).is_some());
    composer.handle_sent();
    assert_eq!(
        (composer.poll_timeout(), composer.handle_timeout(after(200))),
        (None, None)
    );
    // No refresh is announced that does not come, and none comes more often than each minute.
    assert_eq!(Composer::new(None).handle_composing(now).unwrap().refresh, None);
    let often = Composer::new(Some(Duration::from_secs(1))).handle_composing(now);
    assert_eq!(often.unwrap().refresh, Some(60));
}

#[test]
fn rfc3994_3_3_the_receiver() {
    let now = start();
    for (refresh, seconds) in [(None, 120), (Some(90), 90)] {
        let active = IsComposing {
            refresh,
            ..IsComposing::new(State::Active)
        };
        let until = now + Duration::from_secs(seconds);
        let mut observer = Observer::default();
        observer.handle_status(&active, now);
        assert_eq!(
            (observer.state(), observer.poll_timeout()),
            (State::Active, Some(until))
        );
        observer.handle_timeout(until - Duration::from_millis(1));
        assert_eq!(observer.state(), State::Active);
        observer.handle_timeout(until);
        assert_eq!(observer.state(), State::Idle);
        observer.handle_status(&active, now);
        observer.handle_content();
        assert_eq!(observer.state(), State::Idle);
        observer.handle_status(&active, now);
        observer.handle_status(&IsComposing::new(State::Idle), now);
        assert_eq!((observer.state(), observer.poll_timeout()), (State::Idle, None));
    }
}

fn message() -> Cpim {
    Cpim::parse(
        b"From: Alice <im:alice@example.com>\r\nTo: Bob <im:bob@example.com>\r\nNS: imdn <urn:ietf:params:imdn>\r\n\
          imdn.Message-ID: 34jk324j\r\nDateTime: 2006-04-04T12:16:49-05:00\r\nSubject: greeting\r\n\
          imdn.Disposition-Notification: positive-delivery, display;x=y ,later\r\n\
          imdn.Original-To: <im:robert@example.com>\r\nimdn.IMDN-Record-Route: Two <im:two@relay.example.com>\r\n\
          imdn.IMDN-Record-Route: <im:one@relay.example.com>\r\n\r\nContent-type: text/plain\r\n\r\nHello World",
    )
    .unwrap()
}

#[test]
fn rfc5438_7_1_1_what_a_message_asks_for() {
    let request = Request::of(&message());
    assert_eq!(request.message_id.as_deref(), Some("34jk324j"));
    assert!(request.dispositions.positive_delivery && request.dispositions.display);
    assert!(!request.dispositions.negative_delivery && !request.dispositions.processing);
    assert_eq!(request.original_to.as_deref(), Some("im:robert@example.com"));
    let route = ["im:two@relay.example.com", "im:one@relay.example.com"];
    assert_eq!(request.record_route, route);
    // What is written can be read, under whatever prefix.
    let mut written = Cpim::default();
    request.add_to(&mut written);
    assert_eq!(Request::of(&Cpim::parse(&written.to_bytes()).unwrap()), request);
    let other =
        Cpim::parse(b"NS: n <urn:ietf:params:imdn>\r\nn.Message-ID: a\r\nimdn.Message-ID: b\r\n\r\n\r\nx");
    assert_eq!(Request::of(&other.unwrap()).message_id.as_deref(), Some("a"));
}

#[test]
fn rfc5438_6_3_a_message_id_that_no_notification_can_repeat_is_none() {
    for id in ["", "  ", "\\u0000", "a\\u0000b", "a\\u0085b", "\\ufffe"] {
        let head = format!("NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: {id}\r\n");
        let head = head + "imdn.Disposition-Notification: positive-delivery\r\n\r\n\r\nx";
        let message = Cpim::parse(head.as_bytes()).unwrap();
        assert_eq!(Request::of(&message).message_id, None, "{id}");
        assert_eq!(
            Imdn::about(&message, Notification::Delivery(Delivery::Delivered)),
            None
        );
    }
}

#[test]
fn rfc5438_7_2_1_notifications_are_given_when_asked_for() {
    for (notification, given) in [
        (Notification::Delivery(Delivery::Delivered), true),
        (Notification::Delivery(Delivery::Failed), false),
        (Notification::Delivery(Delivery::Error), false),
        (Notification::Display(Display::Displayed), true),
        (Notification::Display(Display::Error), true),
        (Notification::Processing(Processing::Stored), false),
    ] {
        let about = Imdn::about(&message(), notification);
        assert_eq!(about.is_some(), given, "{notification:?}");
    }
    let mut anonymous = message();
    anonymous.other.retain(|(name, _)| name != "imdn.Message-ID");
    let displayed = Notification::Display(Display::Displayed);
    assert_eq!(Imdn::about(&anonymous, displayed), None);
    // RFC 5438 §7.2.1: no IMDN for an IMDN.
    let mut notified = message();
    notified.content_type = "Message/IMDN+xml; charset=utf-8".to_owned();
    assert!(imdn::is_imdn(&notified));
    assert_eq!(Imdn::about(&notified, displayed), None);
}

#[test]
fn rfc5438_7_2_1_1_the_notification_goes_back_the_way_that_was_recorded() {
    let message = message();
    let about = Imdn::about(&message, Notification::Delivery(Delivery::Delivered)).unwrap();
    let reply = about.reply(&message, "d834jied93rf");
    let text = String::from_utf8(reply.to_bytes().to_vec()).unwrap();
    assert_eq!(
        text,
        "From: \"Bob\" <im:bob@example.com>\r\nTo: \"Alice\" <im:alice@example.com>\r\nNS: imdn <urn:ietf:params:imdn>\r\n\
         imdn.Message-ID: d834jied93rf\r\nimdn.IMDN-Route: <im:two@relay.example.com>\r\n\
         imdn.IMDN-Route: <im:one@relay.example.com>\r\n\r\nContent-Type: message/imdn+xml\r\n\
         Content-Disposition: notification\r\n\r\n<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"><message-id>34jk324j</message-id>\
         <datetime>2006-04-04T17:16:49Z</datetime><recipient-uri>im:bob@example.com</recipient-uri>\
         <original-recipient-uri>im:robert@example.com</original-recipient-uri><subject>greeting</subject>\
         <delivery-notification><status><delivered/></status></delivery-notification></imdn>"
    );
    let heard = Cpim::parse(text.as_bytes()).unwrap();
    assert!(imdn::is_imdn(&heard));
    assert_eq!(Imdn::parse(&heard.content), Ok(about));
}

#[test]
fn rfc5438_11_1_documents_that_are_none() {
    for (inside, rule) in [
        (
            "<message-id>a</message-id><delivery-notification><status/></delivery-notification>",
            "RFC 5438 §11.1.7: no known status",
        ),
        (
            "<message-id>a</message-id><delivery-notification><status><displayed/></status></delivery-notification>",
            "RFC 5438 §11.1.7: no known status",
        ),
        (
            "<display-notification><status><displayed/></status></display-notification>",
            "RFC 5438 §11.1.1: no message-id",
        ),
    ] {
        let text = format!("<imdn xmlns='urn:ietf:params:xml:ns:imdn'>{inside}</imdn>");
        assert_eq!(Imdn::parse(text.as_bytes()).unwrap_err().0, rule);
    }
}

fn notification() -> impl Strategy<Value = Notification> {
    prop::sample::select(vec![
        Notification::Delivery(Delivery::Delivered),
        Notification::Delivery(Delivery::Failed),
        Notification::Delivery(Delivery::Forbidden),
        Notification::Delivery(Delivery::Error),
        Notification::Processing(Processing::Processed),
        Notification::Processing(Processing::Stored),
        Notification::Processing(Processing::Forbidden),
        Notification::Processing(Processing::Error),
        Notification::Display(Display::Displayed),
        Notification::Display(Display::Forbidden),
        Notification::Display(Display::Error),
    ])
}

proptest! {
    #[test]
    fn imdn_parse_undoes_to_bytes(id in "[!-~]{1,30}", uri in "[a-z]{1,5}:[!-~]{1,30}", notification in notification()) {
        let imdn = Imdn {
            message_id: id,
            date_time: None,
            recipient_uri: Some(uri.clone()),
            original_recipient_uri: Some(uri),
            subject: None,
            notification,
        };
        prop_assert_eq!(Imdn::parse(&imdn.to_bytes()), Ok(imdn));
    }

    /// Whatever stands in the fields, what is written is a document.
    #[test]
    fn no_element_can_be_injected(text in any::<String>()) {
        let status = IsComposing { content_type: Some(text.clone()), ..IsComposing::new(State::Active) };
        prop_assert_eq!(IsComposing::parse(&status.to_bytes()).map(|read| read.state), Ok(State::Active));
        let mut asking = Cpim {
            from: Some(Address { display_name: None, uri: "im:a@b".to_owned() }),
            content: Bytes::from_static(b"x"),
            ..Cpim::default()
        };
        let request = Request { message_id: Some(text), ..Request::default() };
        request.add_to(&mut asking);
        let lines = asking.to_bytes().iter().filter(|octet| **octet == b'\n').count();
        prop_assert_eq!(lines, 6);
    }

    #[test]
    fn random_documents_never_panic(
        body in "(<isComposing>|</isComposing>|<imdn|<state>|</state>| xmlns='|urn:ietf:params:xml:ns:imdn|'|>|/>|&amp;|&#x0;|&x;|<!DOCTYPE|<!\\[CDATA\\[|\\]\\]>|active|<!--|-->|<\\?){0,20}",
    ) {
        let _ = IsComposing::parse(body.as_bytes());
        let _ = Imdn::parse(body.as_bytes());
    }
}
