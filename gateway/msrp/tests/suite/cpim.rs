//! RFC 3862.

use bytes::Bytes;
use jiff::Timestamp;
use msrp::cpim::{Address, Cpim};
use proptest::prelude::*;

fn parse(text: &str) -> Cpim {
    Cpim::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{fault}: {text}"))
}

fn address(name: &str, uri: &str) -> Address {
    Address {
        display_name: (!name.is_empty()).then(|| name.to_owned()),
        uri: uri.to_owned(),
    }
}

// Rows: CSIP-18
#[test]
fn rfc3862_5_1_the_example_of_a_message() {
    let cpim = parse(
        "From: MR SANDERS <im:piglet@100akerwood.com>\r\nTo: Depressed Donkey <im:eeyore@100akerwood.com>\r\n\
         DateTime: 2000-12-13T13:40:00-08:00\r\nSubject: the weather will be fine today\r\n\
         Subject:;lang=fr beau temps prevu pour aujourd'hui\r\nNS: MyFeatures <mid:MessageFeatures@id.foo.com>\r\n\
         Require: MyFeatures.VitalMessageOption\r\nMyFeatures.VitalMessageOption: Confirmation-requested\r\n\
         MyFeatures.WackyMessageOption: Use-silly-font\r\n\r\n\
         Content-type: text/xml; charset=utf-8\r\nContent-ID: <1234567890@foo.com>\r\n\r\n<body>\r\nHere</body>",
    );
    assert_eq!(
        cpim.from,
        Some(address("MR SANDERS", "im:piglet@100akerwood.com"))
    );
    assert_eq!(
        cpim.to,
        [address("Depressed Donkey", "im:eeyore@100akerwood.com")]
    );
    assert_eq!(cpim.date_time, Some("2000-12-13T21:40:00Z".parse().unwrap()));
    assert_eq!(cpim.other.len(), 6);
    assert_eq!(
        cpim.other[1],
        (
            "Subject;lang=fr".to_owned(),
            "beau temps prevu pour aujourd'hui".to_owned()
        )
    );
    assert_eq!(
        cpim.extension("mid:MessageFeatures@id.foo.com", "WackyMessageOption"),
        Some("Use-silly-font")
    );
    assert_eq!(cpim.extension("mid:MessageFeatures@id.foo.com", "Other"), None);
    assert_eq!(cpim.content_type, "text/xml; charset=utf-8");
    assert_eq!(cpim.text(), Some("<body>\r\nHere</body>"));
}

#[test]
fn rfc3862_4_5_subjects_have_languages() {
    let cpim = parse(
        "Subject: the weather\r\nSubject:;lang=fr beau temps\r\nNS: c <urn:ietf:params:cpim-headers:>\r\n\
         c.Subject:;x=1;LANG=de-AT sch\u{f6}nes Wetter\r\nNS: <urn:other>\r\nSubject: of another namespace\r\n\r\n\r\nx",
    );
    let subjects: Vec<_> = cpim.subjects().collect();
    assert_eq!(
        subjects,
        [
            (None, "the weather"),
            (Some("fr"), "beau temps"),
            (Some("de-AT"), "sch\u{f6}nes Wetter")
        ]
    );
}

// Rows: CSIP-18
#[test]
fn rfc3862_4_7_required_headers() {
    let known = [("mid:features@x", "Vital"), ("urn:y", "Other")];
    for (headers, unknown) in [
        ("Subject: x", None),
        ("NS: F <mid:features@x>\r\nRequire: F.Vital", None),
        ("NS: G <mid:features@x>\r\nRequire: G.Vital, Subject, cc,To", None),
        ("NS: F <mid:features@x>\r\nRequire: F.Other", Some("F.Other")),
        (
            "NS: F <urn:y>\r\nNS: F <mid:features@x>\r\nRequire: F.Other",
            Some("F.Other"),
        ),
        ("Require: F.Vital\r\nNS: F <mid:features@x>", Some("F.Vital")),
        ("Require: Vital", Some("Vital")),
        ("Require: Subject\r\nRequire: subject", Some("subject")),
        ("NS: <mid:features@x>\r\nRequire: Vital", None),
        ("NS: F <mid:features@x>\r\nVital: x\r\nF.Require: nothing", None),
    ] {
        let cpim = parse(&format!("{headers}\r\n\r\n\r\nx"));
        assert_eq!(cpim.not_understood(&known), unknown, "{headers}");
    }
}

#[test]
fn rfc3862_2_the_mime_headers_of_the_content_are_kept() {
    let cpim = parse(
        "From: <im:a@b>\r\n\r\nContent-type: text/xml\r\nContent-ID: <1@foo.com>\r\nContent-Length: 5\r\n\
         Content-Transfer-Encoding: binary\r\nContent-Disposition: attachment;\r\n filename=x\r\n\r\nhello",
    );
    assert_eq!(
        cpim.content_headers,
        [
            ("Content-ID".to_owned(), "<1@foo.com>".to_owned()),
            (
                "Content-Disposition".to_owned(),
                "attachment; filename=x".to_owned()
            )
        ]
    );
    assert_eq!(Cpim::parse(&cpim.to_bytes()), Ok(cpim));
}

// Rows: CSIP-19, E-14
#[test]
fn addresses_are_read_leniently() {
    for (value, expected) in [
        ("<sip:a@b>", address("", "sip:a@b")),
        ("sip:a@b", address("", "sip:a@b")),
        ("sip:a@b;gr=x", address("", "sip:a@b;gr=x")),
        ("<sip:a@b>;gr=x", address("", "sip:a@b;gr=x")),
        ("<sip:a@b;gr=x>", address("", "sip:a@b;gr=x")),
        ("<sip:a@b;gr=x>;gr=y", address("", "sip:a@b;gr=x")),
        (
            "<sip:a@b;transport=tcp?h=v> ; lr ; gr=x y",
            address("", "sip:a@b;transport=tcp?h=v"),
        ),
        ("<sip:a@b?h=v>;gr=x", address("", "sip:a@b;gr=x?h=v")),
        (
            "<sip:anonymous@anonymous.invalid> // Ref [2]",
            address("", "sip:anonymous@anonymous.invalid"),
        ),
        (
            "Winnie the Pooh <im:pooh@100akerwood.com>",
            address("Winnie the Pooh", "im:pooh@100akerwood.com"),
        ),
        (
            "\"Juliet \\\"J\\\" <x>\" <im:j@c>",
            address("Juliet \"J\" <x>", "im:j@c"),
        ),
        ("\"Back\\\\slash\"<im:j@c>", address("Back\\slash", "im:j@c")),
        ("\"\" <im:j@c>", address("", "im:j@c")),
        ("Zo\\u00eb <im:z@c>", address("Zoë", "im:z@c")),
        ("  Spaces   <im:z@c>  ", address("Spaces", "im:z@c")),
        ("< im:z@c >", address("", "im:z@c")),
    ] {
        let cpim = parse(&format!(
            "From: {value}\r\nTo: <im:room@c>\r\n\r\nContent-Type: text/plain\r\n\r\nx"
        ));
        assert_eq!(cpim.from, Some(expected), "{value}");
    }
}

// Rows: CSIP-19
#[test]
fn addresses_that_are_none() {
    for value in [
        "",
        "<>",
        "Romeo",
        "<sip:a@b",
        "\"open <sip:a@b>",
        "sip:a@b sip:c@d",
        "<sip:a b@c>",
        "Name sip:a@b",
        "<:nothing>",
        "<sip:>",
        "<9p:x>",
    ] {
        let text = format!("From: {value}\r\n\r\n\r\nx");
        assert!(Cpim::parse(text.as_bytes()).is_err(), "{value}");
    }
}

// Rows: CSIP-18
#[test]
fn rfc3862_2_2_bodies_that_are_no_cpim() {
    for text in [
        "",
        "hello",
        "From: <im:a@b>\r\nTo: <im:c@d>\r\n",
        "From: <im:a@b>\r\nFrom: <im:c@d>\r\n\r\n\r\nx",
        "From <im:a@b>\r\n\r\n\r\nx",
        "Fr om: <im:a@b>\r\n\r\n\r\nx",
        "From\u{1}: <im:a@b>\r\n\r\n\r\nx",
        "From: <im:a@b>\r\n folded: 1\r\n\r\n\r\nx",
        "X: a\rTo: <im:c@d>\r\n\r\n\r\nx",
        "X: a\u{0}b\r\n\r\n\r\nx",
        "Content-Type: text/plain\r\n\r\nx\u{1}",
    ] {
        let broken = Cpim::parse(text.as_bytes());
        let only_mime = text.starts_with("Content-Type");
        assert_eq!(broken.is_err(), !only_mime, "{text:?}");
    }
    assert!(Cpim::parse(b"X: \xff\r\n\r\n\r\nx").is_err());
    let many = "X: 1\r\n".repeat(64);
    assert!(Cpim::parse(format!("{many}\r\n\r\nx").as_bytes()).is_ok());
    assert!(Cpim::parse(format!("{many}X: 1\r\n\r\n\r\nx").as_bytes()).is_err());
}

// Rows: CSIP-18
#[test]
fn rfc3862_2_2_names_are_compared_with_case() {
    let cpim = parse("from: <im:a@b>\r\nTO: <im:c@d>\r\n\r\n\r\nx");
    assert_eq!((cpim.from, cpim.to.len(), cpim.other.len()), (None, 0, 2));
}

#[test]
fn rfc3862_3_4_the_core_headers_go_by_their_namespace() {
    let core = "urn:ietf:params:cpim-headers:";
    let cpim = parse(&format!(
        "NS: c <{core}>\r\nc.From: <im:a@b>\r\nc.To: <im:c@d>\r\n\r\n\r\nx"
    ));
    assert_eq!(
        (cpim.from, cpim.to),
        (Some(address("", "im:a@b")), vec![address("", "im:c@d")])
    );
    let cpim = parse("NS: <http://example.com/other>\r\nTo: not an address\r\n\r\n\r\nx");
    assert_eq!(
        (cpim.to.len(), cpim.extension("http://example.com/other", "To")),
        (0, Some("not an address"))
    );
}

#[test]
fn several_to_headers_are_all_kept() {
    let cpim = parse("To: <im:a@b>\r\nTo: <im:c@d>\r\ncc: <im:e@f>\r\n\r\n\r\nx");
    assert_eq!(cpim.to.len(), 2);
    assert_eq!(cpim.other, [("cc".to_owned(), "<im:e@f>".to_owned())]);
}

#[test]
fn rfc3339_date_times() {
    for (text, expected) in [
        ("2008-10-15T15:02:31-03:00", Some("2008-10-15T18:02:31Z")),
        (
            "2015-02-24T06:48:10.7749079Z",
            Some("2015-02-24T06:48:10.7749079Z"),
        ),
        ("2015-02-24T06:48:25-00:00", Some("2015-02-24T06:48:25Z")),
        (
            "2026-11-20T17:12:05.338698+00:00",
            Some("2026-11-20T17:12:05.338698Z"),
        ),
        ("yesterday", None),
        ("", None),
        ("2015-02-30T06:48:25Z", None),
    ] {
        let cpim = parse(&format!("DateTime: {text}\r\n\r\n\r\nx"));
        let expected: Option<Timestamp> = expected.map(|text| text.parse().unwrap());
        assert_eq!(cpim.date_time, expected, "{text}");
        assert_eq!(Cpim::parse(&cpim.to_bytes()).unwrap().date_time, expected);
    }
}

// Rows: E-30, E-35
#[test]
fn contents_with_and_without_headers() {
    let default = "text/plain;charset=utf-8";
    for (content, content_type, text) in [
        ("Content-Type: text/html\r\n\r\n<p>", "text/html", "<p>"),
        ("Content-Type: text/html\n\n<p>", "text/html", "<p>"),
        (
            "MIME-Version: 1.0\nContent-Type: text/plain; charset=\"utf8\"\n\nhi",
            "text/plain; charset=\"utf8\"",
            "hi",
        ),
        (
            "Content-Type: text/plain\nContent-Transfer-Encoding:\n\né",
            "text/plain",
            "é",
        ),
        (
            "Content-Type: text/plain;\r\n charset=utf-8\r\n\r\nhi",
            "text/plain; charset=utf-8",
            "hi",
        ),
        (
            "Content-Length: 2\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhi",
            "text/plain; charset=utf-8",
            "hi",
        ),
        (
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: BASE64\r\n\r\naGVsbG8=\r\n",
            "text/plain",
            "hello",
        ),
        (
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9",
            "text/plain",
            "é",
        ),
        ("Content-Type: text/plain\r\n\r\n", "text/plain", ""),
        ("Content-Type: text/plain\r\n", "text/plain", ""),
        ("Content-Type: text/plain", "text/plain", ""),
        ("Content-Type:\r\n\r\nhi", default, "hi"),
        ("\r\nhi", default, "hi"),
        ("\r\n\r\nhi", default, "\r\nhi"),
        ("hi", default, "hi"),
        ("", default, ""),
        (
            "Note: this is text\r\n\r\nand more",
            default,
            "Note: this is text\r\n\r\nand more",
        ),
        (
            "Content-Type: text/plain\r\n\r\nNote: x\r\n\r\ny",
            "text/plain",
            "Note: x\r\n\r\ny",
        ),
    ] {
        let cpim = parse(&format!("From: <im:a@b>\r\n\r\n{content}"));
        assert_eq!(
            (cpim.content_type.as_str(), cpim.text()),
            (content_type, Some(text)),
            "{content:?}"
        );
    }
    let odd = "From: <im:a@b>\r\n\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: uuencode\r\n\r\nx";
    assert!(Cpim::parse(odd.as_bytes()).is_err());
}

#[test]
fn text_is_text_in_utf8() {
    let cpim = parse("\r\nContent-Type: image/png\r\n\r\nx");
    assert_eq!(cpim.text(), None);
    let cpim = Cpim::parse(b"\r\nContent-Type: TEXT/html\r\n\r\n\xff").unwrap();
    assert_eq!((cpim.text(), &cpim.content[..]), (None, &b"\xff"[..]));
}

// Rows: CSIP-18, CSIP-19
#[test]
fn it_is_written_strictly() {
    let cpim = Cpim {
        from: Some(address("Romeo \"M\" \\", "sip:romeo@example.org;gr=a b>\r\n")),
        to: vec![address("", "sip:capulet@rooms.example.com")],
        date_time: Some("2008-10-15T15:02:31.5-03:00".parse().unwrap()),
        other: vec![
            ("imdn.Message-ID".to_owned(), "a\r\nTo: <sip:x@y>".to_owned()),
            ("Subject;lang=en".to_owned(), "s".to_owned()),
            ("To".to_owned(), "<sip:injected@x>".to_owned()),
            ("bad name".to_owned(), "x".to_owned()),
            ("bad\r\nname".to_owned(), "x".to_owned()),
        ],
        content_type: "text/plain;\r\ncharset=utf-8".to_owned(),
        content_headers: vec![
            (
                "Content-Disposition".to_owned(),
                "notification\r\nX: y".to_owned(),
            ),
            ("Content-ID".to_owned(), "<1234567890@foo.com>".to_owned()),
            ("Content-Length".to_owned(), "99".to_owned()),
            ("Bad\r\nName".to_owned(), "x".to_owned()),
        ],
        content: Bytes::from_static(b"Hello"),
    };
    assert_eq!(
        String::from_utf8_lossy(&cpim.to_bytes()),
        "From: \"Romeo \\\"M\\\" \\\\\" <sip:romeo@example.org;gr=a%20b%3E%0D%0A>\r\n\
         To: <sip:capulet@rooms.example.com>\r\nDateTime: 2008-10-15T18:02:31.5Z\r\n\
         imdn.Message-ID: a\\r\\nTo: <sip:x@y>\r\nSubject:;lang=en s\r\n\r\n\
         Content-Type: text/plain;charset=utf-8\r\nContent-Disposition: notificationX: y\r\n\
         Content-ID: <1234567890@foo.com>\r\n\r\nHello",
    );
}

fn any_address() -> impl Strategy<Value = Address> {
    (any::<Option<String>>(), "[a-z]{2,5}:[!#-;=?-~&&[^\\\\]]{1,30}").prop_map(|(name, uri)| Address {
        display_name: name.filter(|name| !name.is_empty()),
        uri,
    })
}

proptest! {
    #[test]
    fn parse_undoes_to_bytes(
        from in prop::option::of(any_address()),
        to in prop::collection::vec(any_address(), 0..3),
        second in prop::option::of(-62_167_219_200_i64..=253_402_207_200),
        other in prop::collection::vec(("[A-Za-z]{1,8}(\\.[a-z]{1,8})?(;lang=[a-z]{2})?", any::<String>()), 0..5),
        content_type in "[a-z]{1,8}/[a-z]{1,8}(; ?charset=[a-z0-9-]{1,8})?",
        content in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let other: Vec<(String, String)> = other
            .into_iter()
            .filter(|(name, _)| !["From", "To", "DateTime", "NS"].contains(&name.as_str()))
            // White space at the beginning of a value cannot be kept.
            .map(|(name, value)| (name, value.trim_start_matches(' ').to_owned()))
            .collect();
        let date_time = second.map(|second| Timestamp::from_second(second).unwrap());
        let cpim = Cpim { from, to, date_time, other, content_type, content_headers: Vec::new(), content: content.into() };
        prop_assert_eq!(Cpim::parse(&cpim.to_bytes()), Ok(cpim));
    }

    /// Whatever stands in the fields, the headers that come out are those that were meant.
    #[test]
    fn nothing_can_be_injected(name in any::<String>(), uri in any::<String>(), value in any::<String>()) {
        let cpim = Cpim {
            from: Some(Address { display_name: Some(name), uri }),
            to: Vec::new(),
            date_time: None,
            other: vec![("X".to_owned(), value)],
            content_type: "text/plain".to_owned(),
            content_headers: Vec::new(),
            content: Bytes::from_static(b"content"),
        };
        let bytes = cpim.to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let lines: Vec<&str> = text.split("\r\n").collect();
        prop_assert_eq!(lines.len(), 6);
        prop_assert!(lines[0].starts_with("From: ") && lines[1].starts_with("X: "));
        prop_assert_eq!(&lines[2..], ["", "Content-Type: text/plain", "", "content"]);
    }

    #[test]
    fn random_bytes_never_panic(
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "(From|To|NS|Subject|: |<sip:a@b>|;gr=x|\"|\\\\|\\\\u00|\r\n|\n|Content-Type|Content-Transfer-Encoding|base64|=|é){0,30}"
                .prop_map(String::into_bytes),
        ],
    ) {
        if let Ok(cpim) = Cpim::parse(&body) {
            let again = Cpim::parse(&cpim.to_bytes()).unwrap();
            prop_assert_eq!((again.from, again.to, again.content), (cpim.from, cpim.to, cpim.content));
        }
    }
}
