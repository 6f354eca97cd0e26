//! Bodies of several parts (RFC 2046, RFC 5621) and lists of recipients (RFC 4826, RFC 5364).

use bytes::Bytes;
use proptest::prelude::*;
use sip::{
    message::multipart::{self, MultipartFault, Part},
    resource_lists::{self, Copy},
};

const TYPE: &str = "multipart/mixed;boundary=\"boundary1\"";

/// RFC 5366 §10 has a body like this one.
const BODY: &str = "to be ignored\r\n--boundary1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--boundary1  \r\n\
    Content-Type: application/resource-lists+xml\r\nContent-Disposition: Recipient-List; handling=optional\r\n\
    Content-ID: <list@example.com>\r\n\r\n<resource-lists/>\r\n--boundary1--\r\nto be ignored";

fn parts(body: &str) -> Result<Vec<Part>, MultipartFault> {
    multipart::read(TYPE, &Bytes::copy_from_slice(body.as_bytes()))
}

#[test]
fn rfc2046_section_5_1_1_the_line_end_before_a_boundary_belongs_to_it() {
    let parts = parts(BODY).unwrap();
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[0].content_type, "application/sdp");
    assert_eq!(parts[0].bytes, "v=0\r\n");
    assert_eq!(
        parts[1],
        Part {
            content_type: "application/resource-lists+xml".to_owned(),
            id: Some("list@example.com".to_owned()),
            disposition: Some("recipient-list".to_owned()),
            optional: true,
            bytes: Bytes::from_static(b"<resource-lists/>"),
        }
    );
}

#[test]
fn bare_line_feeds_and_parts_without_a_header_are_read() {
    let parts = parts("--boundary1\n\ntext\n--boundary1\nContent-Type: a/b\n\n\n--boundary1--").unwrap();
    assert_eq!(
        (parts[0].content_type.as_str(), &parts[0].bytes[..]),
        ("text/plain", &b"text"[..])
    );
    assert_eq!((parts[1].content_type.as_str(), parts[1].bytes.len()), ("a/b", 0));
}

#[test]
fn a_folded_header_of_a_part_has_no_blanks_around_it() {
    for head in [
        "Content-Type: a/b;\n c=d",
        "Content-Type:\n a/b;\n\tc=d",
        "Content-Type: a/b; c=d\n ",
    ] {
        let parts = parts(&format!("--boundary1\n{head}\n\ntext\n--boundary1--")).unwrap();
        assert_eq!(parts[0].content_type, "a/b; c=d", "{head}");
    }
}

#[test]
fn rfc5621_section_7_a_part_must_be_understood_unless_it_says_otherwise() {
    assert!(!parts(BODY).unwrap()[0].optional);
}

#[test]
fn what_cannot_be_taken_apart_is_refused() {
    for (kind, body) in [
        ("text/plain;boundary=a", "--a\r\n\r\n--a--"),
        ("multipart/mixed", "--a\r\n\r\n--a--"),
        ("multipart/mixed;boundary=\"\"", "--\r\n\r\n----"),
        ("multipart/mixed;boundary=a", "--a\r\n\r\ncut off"),
        ("multipart/mixed;boundary=a", ""),
        ("multipart/mixed;boundary=a", "--a\r\nno colon\r\n\r\nx\r\n--a--"),
        (
            "multipart/mixed;boundary=a",
            "--a\r\nContent-Transfer-Encoding: base64\r\n\r\neA==\r\n--a--",
        ),
    ] {
        assert!(
            multipart::read(kind, &Bytes::copy_from_slice(body.as_bytes())).is_err(),
            "{kind} {body:?}"
        );
    }
    let many = "--boundary1\r\n\r\nx\r\n".repeat(17) + "--boundary1--";
    assert_eq!(parts(&many), Err(MultipartFault("over 16 parts")));
    let long = format!("--boundary1\r\nX: {}\r\n\r\nx\r\n--boundary1--", "y".repeat(5000));
    assert_eq!(parts(&long), Err(MultipartFault("a header over 4 KiB")));
}

#[test]
fn rfc5366_lists_give_their_entries_in_order() {
    let entries = resource_lists::read(
        br#"<?xml version="1.0"?>
        <resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"
            xmlns:cp="urn:ietf:params:xml:ns:copycontrol">
          <list><entry uri="sip:bill@example.com" cp:copyControl="to"><display-name>Bill &amp; Co</display-name></entry>
            <list><entry uri="tel:+12015550123" cp:copyControl="cc" cp:anonymize="true"/></list>
            <entry uri=" sip:ted@example.net " cp:copyControl="bcc"/><external anchor="http://x"/>
            <x:entry xmlns:x="urn:other" uri="sip:nobody@example.com"/></list>
        </resource-lists>"#,
    )
    .unwrap();
    let read: Vec<_> = entries
        .iter()
        .map(|entry| (entry.uri.as_str(), entry.copy, entry.anonymize))
        .collect();
    assert_eq!(
        read,
        [
            ("sip:bill@example.com", Copy::To, false),
            ("tel:+12015550123", Copy::Cc, true),
            ("sip:ted@example.net", Copy::Bcc, false),
        ]
    );
    assert_eq!(entries[0].display_name.as_deref(), Some("Bill & Co"));
}

#[test]
fn what_is_no_list_is_refused() {
    let many = format!(
        "<resource-lists><list>{}</list></resource-lists>",
        "<entry uri='sip:a@b'/>".repeat(1001)
    );
    let deep = "<resource-lists>".to_owned() + &"<list>".repeat(20);
    for document in [
        "",
        "<resource-lists>",
        "<other/>",
        "<resource-lists><list><entry/></list></resource-lists>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><resource-lists/>",
        "<resource-lists><list><entry uri='sip:a@b'><display-name>&a;</display-name></entry></list></resource-lists>",
        many.as_str(),
        deep.as_str(),
    ] {
        let short: String = document.chars().take(80).collect();
        assert!(resource_lists::read(document.as_bytes()).is_err(), "{short}");
    }
    assert!(resource_lists::read(&vec![b' '; 65 * 1024]).is_err());
}

proptest! {
    #[test]
    fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..400), glue in any::<bool>()) {
        let mut body = octets.clone();
        if glue {
            body.splice(0..0, *b"--boundary1\r\n");
            body.extend_from_slice(b"\r\n--boundary1--");
        }
        let _ = multipart::read(TYPE, &Bytes::from(body));
        let _ = resource_lists::read(&octets);
    }

    #[test]
    fn parts_come_back_as_they_were_put_together(contents in proptest::collection::vec("[a-z \r\n-]{0,40}", 1..8)) {
        let mut body = String::new();
        for content in &contents {
            body.push_str("--boundary1\r\nContent-Type: a/b\r\n\r\n");
            body.push_str(content);
            body.push_str("\r\n");
        }
        body.push_str("--boundary1--\r\n");
        let read: Vec<_> = parts(&body).unwrap().into_iter().map(|part| part.bytes).collect();
        prop_assert_eq!(read, contents);
    }
}
