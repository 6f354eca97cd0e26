//! URIs, addresses, Via, CSeq, methods: read, compared, written.

#![expect(clippy::panic, reason = "helpers of tests fail as tests do")]

use proptest::prelude::*;
use sip::{
    Method, NameAddr, StatusCode, Uri,
    message::{CSeq, MAX_URI, Parameterized, Via},
};

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

#[test]
fn uri_parts() {
    let table = [
        ("sip:alice@atlanta.com", "sip", Some("alice"), "atlanta.com", None),
        (
            "SIP:Alice:secret@Atlanta.COM:5061;lr",
            "sip",
            Some("Alice"),
            "atlanta.com",
            Some(5061),
        ),
        ("sips:1212@gateway.com", "sips", Some("1212"), "gateway.com", None),
        (
            "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
            "sip",
            None,
            "atlanta.com",
            None,
        ),
        (
            "sip:+1-212-555-1212:1234@gateway.com;user=phone",
            "sip",
            Some("+1-212-555-1212"),
            "gateway.com",
            None,
        ),
        (
            "sip:alice;day=tuesday@atlanta.com",
            "sip",
            Some("alice;day=tuesday"),
            "atlanta.com",
            None,
        ),
        ("sip:[2001:DB8::10]:5070", "sip", None, "2001:db8::10", Some(5070)),
        ("sip:u@[::1]", "sip", Some("u"), "::1", None),
        ("tel:+1-201-555-0123", "tel", Some("+1-201-555-0123"), "", None),
        (
            "tel:7042;phone-context=example.com",
            "tel",
            Some("7042"),
            "",
            None,
        ),
        ("urn:service:sos", "urn", None, "", None),
        ("soap.beep://192.0.2.103:3002", "soap.beep", None, "", None),
        (
            "sip:under_score.example",
            "sip",
            None,
            "under_score.example",
            None,
        ),
    ];
    for (text, scheme, user, host, port) in table {
        let uri = uri(text);
        assert_eq!(
            (uri.scheme(), uri.user(), uri.host(), uri.port()),
            (scheme, user, host, port),
            "{text}"
        );
        assert_eq!(uri.to_string(), text, "kept as written");
    }
}

#[test]
fn uri_parameters_are_found_without_case_and_kept_as_written() {
    let uri = uri("sip:p.example;Transport=TCP;lr=on;gr=Romeo%20M;x?h=1");
    assert_eq!(uri.parameter("transport"), Some("TCP"));
    assert_eq!(uri.parameter("LR"), Some("on"));
    assert_eq!(uri.parameter("gr"), Some("Romeo%20M"));
    assert_eq!(uri.parameter_decoded("gr").as_deref(), Some("Romeo M"));
    assert_eq!(uri.parameter("x"), Some(""));
    assert_eq!(uri.parameter("h"), None);
    let changed = uri
        .with_parameter("GR", Some("Ju;l=?ü"))
        .with_parameter("ob", None);
    assert_eq!(
        changed.to_string(),
        "sip:p.example;Transport=TCP;lr=on;GR=Ju%3Bl%3D%3F%C3%BC;x;ob?h=1"
    );
    assert_eq!(changed.parameter_decoded("gr").as_deref(), Some("Ju;l=?ü"));
    assert_eq!(changed.parameter("ob"), Some(""));
    assert_eq!(
        changed.to_string().parse::<Uri>().unwrap().to_string(),
        changed.to_string()
    );
}

#[test]
fn address_of_record_is_bare() {
    for (text, bare) in [
        ("sip:a:b@H.example:5060;p=q;lr?x=y", "sip:a@H.example:5060"),
        ("sip:a@h?x=y", "sip:a@h"),
        ("sip:h", "sip:h"),
        ("sips:a:@h;p", "sips:a@h"),
        ("sip:a@[::1]:1;p", "sip:a@[::1]:1"),
        ("tel:1;phone-context=x", "tel:1"),
        ("urn:service:sos;x", "urn:service:sos;x"),
    ] {
        let bare_uri = uri(text).address_of_record();
        assert_eq!(bare_uri.to_string(), bare);
        let read: Uri = bare.parse().unwrap();
        assert_eq!(
            (bare_uri.user(), bare_uri.host(), bare_uri.port()),
            (read.user(), read.host(), read.port())
        );
        assert_eq!(bare_uri.with_parameter("x", None), read.with_parameter("x", None));
    }
}

#[test]
fn uris_are_built_by_escaping() {
    let table = [
        (Some("romeo"), "example.org", None, "sip:romeo@example.org"),
        (
            Some("a b@c:d"),
            "example.org",
            Some(5070),
            "sip:a%20b%40c%3Ad@example.org:5070",
        ),
        (
            Some("romeo\\40example.org"),
            "h",
            None,
            "sip:romeo%5C40example.org@h",
        ),
        (Some("50%"), "h", None, "sip:50%25@h"),
        (Some("m\u{fc}\r\n"), "h", None, "sip:m%C3%BC%0D%0A@h"),
        (None, "example.org", None, "sip:example.org"),
        (None, "2001:db8::1", Some(5060), "sip:[2001:db8::1]:5060"),
        (None, "[2001:db8::1]", None, "sip:[2001:db8::1]"),
        (None, "h\r\nX: y", None, "sip:h%0D%0AX%3A%20y"),
    ];
    for (user, host, port, text) in table {
        let uri = Uri::new(user, host, port);
        assert_eq!(uri.to_string(), text);
        assert_eq!(uri.user_decoded().as_deref(), user);
    }
}

#[test]
fn nothing_is_built_that_cannot_be_read() {
    assert_eq!(Uri::new(Some(""), "h", None).to_string(), "sip:h");
    assert_eq!(uri("sip:h").with_parameter("", Some("x")).to_string(), "sip:h");
}

/// The examples of RFC 3261 §19.1.4, and `gr`.
#[test]
fn uri_equality() {
    let same = [
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp",
        ),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;newparam=5",
        ),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:r@h;gr=%41b", "sip:r@h;gr=Ab"),
        ("sip:[2001:db8::1]", "sip:[2001:DB8:0:0::1]"),
        ("tel:+1-201-555-0123", "tel:+1(201)5550123"),
        ("URN:service:sos", "urn:service:sos"),
        ("sip:a@h;x=1;x=2", "sip:a@h;x=1;x=2"),
        ("sip:a@h;x=1;x=2", "sip:a@h;X=1"),
    ];
    for (one, other) in same {
        assert_eq!(uri(one), uri(other));
        assert_eq!(uri(other), uri(one));
    }
    let different = [
        (
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        (
            "sip:carol@chicago.com",
            "sip:carol@chicago.com?Subject=next%20meeting",
        ),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;security=off",
        ),
        ("sip:a@h", "sips:a@h"),
        ("sip:a@h", "sip:a:pw@h"),
        ("sip:a%40b@h", "sip:a%2540b@h"),
        ("sip:a;x@h", "sip:a%3Bx@h"),
        ("sip:a@h;x=1;x=2", "sip:a@h;x=2;x=1"),
        ("sip:room@h", "sip:room@h;gr=Romeo"),
        ("sip:room@h;gr=Romeo", "sip:room@h;gr=romeo"),
        ("sip:room@h;gr=Romeo", "sip:room@h;gr=Juliet"),
        ("tel:1;phone-context=a", "tel:1"),
        ("urn:service:sos", "urn:service:SOS"),
    ];
    for (one, other) in different {
        assert_ne!(uri(one), uri(other));
        assert_ne!(uri(other), uri(one));
    }
}

#[test]
fn malformed_uris_are_refused() {
    for text in [
        "",
        ":",
        "sip",
        "sip:",
        "user@example.com",
        "<sip:a@b>",
        "sip:a@",
        "sip:@b",
        "sip:a@b@c",
        "sip:a b@c",
        "sip:a@b c",
        "sip:a@b; lr",
        "sip:a@b;",
        "sip:a@b;;lr",
        "sip:a@b;=x",
        "sip:a@b?",
        "sip:a%4@b",
        "sip:a%zz@b",
        "sip:a@b:",
        "sip:a@b:70000",
        "sip:a@b:5060x",
        "sip:a@b:+1",
        "sip:2001:db8::10",
        "sip:[2001:db8::10",
        "sip:[2001:db8::g]",
        "sip:[::1]x",
        "sip:a@[192.0.2.1]",
        "sip:a\r\nb@c",
        "sip:a@b;x=\"",
        "sip:\u{fc}@b",
        "sip:a@\u{fc}",
        "tel:",
        "tel:x y",
        "tel:abcz",
        "urn:",
        "urn:a b",
        "urn:<a>",
        "1a:b",
        "s p:a",
    ] {
        let fault = text.parse::<Uri>().expect_err(text);
        assert_eq!(fault.status, StatusCode(400), "{text}");
        assert!(fault.rule.contains("(RFC "), "{text}: {fault}");
    }
}

#[test]
fn uri_length_is_limited() {
    let long = |octets: usize| format!("sip:{}@h", "u".repeat(octets - 6));
    assert!(long(MAX_URI - 1).parse::<Uri>().is_ok());
    assert!(long(MAX_URI).parse::<Uri>().is_ok());
    assert_eq!(
        long(MAX_URI + 1).parse::<Uri>().unwrap_err().status,
        StatusCode(414)
    );
}

#[test]
fn name_addrs_are_read_and_written() {
    let table: [(&str, Option<&str>, &str, &str); 11] = [
        ("sip:a@b", None, "sip:a@b", "<sip:a@b>"),
        ("sip:a@b;tag=1", None, "sip:a@b", "<sip:a@b>;tag=1"),
        ("<sip:a@b;lr>;tag=1", None, "sip:a@b;lr", "<sip:a@b;lr>;tag=1"),
        ("Romeo <sip:a@b>", Some("Romeo"), "sip:a@b", "\"Romeo\" <sip:a@b>"),
        (
            "R. M\u{fc}ller\t<sip:a@b>",
            Some("R. M\u{fc}ller"),
            "sip:a@b",
            "\"R. M\u{fc}ller\" <sip:a@b>",
        ),
        (
            "caller<sip:a@b>",
            Some("caller"),
            "sip:a@b",
            "\"caller\" <sip:a@b>",
        ),
        (
            "\"Bell, A; <x>\" <sip:a@b>",
            Some("Bell, A; <x>"),
            "sip:a@b",
            "\"Bell, A; <x>\" <sip:a@b>",
        ),
        (
            r#""J \\\"" <sip:a@b>"#,
            Some("J \\\""),
            "sip:a@b",
            r#""J \\\"" <sip:a@b>"#,
        ),
        ("\"\"<sip:a@b>", Some(""), "sip:a@b", "\"\" <sip:a@b>"),
        (
            "<sip:a@b> ; +sip.instance = \"<urn:uuid:1>\" ;isfocus",
            None,
            "sip:a@b",
            "<sip:a@b>;+sip.instance=\"<urn:uuid:1>\";isfocus",
        ),
        (
            "<tel:+1;phone-context=a>",
            None,
            "tel:+1;phone-context=a",
            "<tel:+1;phone-context=a>",
        ),
    ];
    for (text, display, uri, written) in table {
        let address: NameAddr = text.parse().unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert_eq!(address.display_name.as_deref(), display, "{text}");
        assert_eq!(address.uri.to_string(), uri, "{text}");
        assert_eq!(address.to_string(), written, "{text}");
    }
    let contact: NameAddr = "<sip:a@b>;methods=\"INVITE;BYE\";Q=0.3".parse().unwrap();
    assert_eq!(contact.parameter("methods"), Some("\"INVITE;BYE\""));
    assert_eq!(contact.parameter("q"), Some("0.3"));
    assert_eq!(contact.parameter("tag"), None);
}

// Rows: C7701-56, CSIP-15
#[test]
fn rfc3840_section_9_feature_tags_of_a_focus_are_read_whatever_their_form() {
    for contact in [
        r#"<sip:chat@h>;methods="INVITE,BYE,OPTIONS,ACK,CANCEL";automata;isfocus;message;event="conference""#,
        "<sip:chat@h>;automata ; isfocus",
        "<sip:chat@h>;isfocus",
        "sip:chat@h;ISFOCUS;+sip.rendering=\"no\"",
    ] {
        let contact: NameAddr = contact.parse().unwrap();
        assert_eq!(contact.uri.to_string(), "sip:chat@h");
        assert!(contact.parameter("isfocus").is_some(), "{contact}");
    }
}

#[test]
fn malformed_name_addrs_are_refused() {
    for text in [
        "",
        "<>",
        "<sip:a@b",
        "sip:a@b>",
        "\"A <sip:a@b>",
        "\"A\" sip:a@b",
        "\"A\"",
        "A, B <sip:a@b>",
        "A;B <sip:a@b>",
        "< sip:a@b >",
        "<sip:a@b>x",
        "<sip:a@b>;",
        "<sip:a@b>;;tag=1",
        "<sip:a@b>;tag=",
        "<sip:a@b>;tag=\"x",
        "<sip:a@b>;t g=1",
        "<sip:a@b>;tag=a b",
        "<sip:a@b>, <sip:c@d>",
        "sip:a@b?x=y",
        "sip:a@b,sip:c@d",
        "sip:user;par=u@example.net",
        "*",
    ] {
        assert!(text.parse::<NameAddr>().is_err(), "{text}");
    }
}

#[test]
fn hops_are_read_and_written() {
    let table = [
        ("SIP/2.0/UDP h", "SIP/2.0/UDP h"),
        (
            "sip / 2.0 / tcp  H.example : 5070 ;x;branch = z9hG4bK1 ; rport",
            "SIP/2.0/TCP h.example:5070;branch=z9hG4bK1;rport;x",
        ),
        (
            "SIP/2.0/TLS [2001:db8::1]:5061;received=[2001:db8::9];rport=99;branch=b",
            "SIP/2.0/TLS [2001:db8::1]:5061;branch=b;received=2001:db8::9;rport=99",
        ),
        (
            "SIP/2.0/UDP h;received=name;rport=x",
            "SIP/2.0/UDP h;received=name;rport=x",
        ),
        ("SIP/2.0/UDP h;rport=+5", "SIP/2.0/UDP h;rport=+5"),
        (
            "SIP/2.0/NEW h;ttl=1;maddr=239.0.0.1",
            "SIP/2.0/NEW h;ttl=1;maddr=239.0.0.1",
        ),
    ];
    for (text, written) in table {
        let via: Via = text.parse().unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert_eq!(via.to_string(), written);
        assert_eq!(written.parse::<Via>().unwrap(), via);
    }
    for text in [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0 UDP h",
        "SIP/3.0/UDP h",
        "HTTP/2.0/UDP h",
        "SIP/2.0/UDP h;",
        "SIP/2.0/U@P h",
        "SIP/2.0/UDP h h",
    ] {
        assert!(text.parse::<Via>().is_err(), "{text}");
    }
}

#[test]
fn transaction_branches_are_told_from_old_ones() {
    for (branch, new) in [
        (";branch=z9hG4bK1", true),
        (";branch=z9hG4bK", false),
        (";branch=1", false),
        ("", false),
    ] {
        let via: Via = format!("SIP/2.0/UDP h{branch}").parse().unwrap();
        assert_eq!(via.has_transaction_branch(), new, "{branch}");
    }
}

#[test]
fn methods_have_case() {
    assert_eq!("INVITE".parse::<Method>().unwrap(), Method::INVITE);
    assert_ne!("invite".parse::<Method>().unwrap(), Method::INVITE);
    assert!(matches!("BYE".parse().unwrap(), Method::BYE));
    assert_eq!("RE%47IST%45R".parse::<Method>().unwrap().as_str(), "RE%47IST%45R");
    for text in ["", "IN VITE", "INVITE\r", "INV/ITE", "\u{fc}"] {
        assert!(text.parse::<Method>().is_err(), "{text}");
    }
}

#[test]
fn cseq_numbers_are_below_two_to_the_31st() {
    for (text, number) in [
        ("0 INVITE", Some(0)),
        ("0009\tINVITE", Some(9)),
        ("2147483646 INVITE", Some(2_147_483_646)),
        ("2147483647  INVITE", Some(2_147_483_647)),
        ("2147483648 INVITE", None),
        ("4294967296 INVITE", None),
        ("36893488147419103232 INVITE", None),
        ("-1 INVITE", None),
        ("+1 INVITE", None),
        ("1INVITE", None),
        ("1", None),
        ("1 ", None),
        ("1 IN VITE", None),
    ] {
        assert_eq!(
            text.parse::<CSeq>().ok().map(|cseq| cseq.number),
            number,
            "{text}"
        );
    }
    assert_eq!("7 BYE".parse::<CSeq>().unwrap().to_string(), "7 BYE");
}

#[test]
fn parameterized_values_are_read() {
    let reason: Parameterized = "SIP ;cause=480 ; text=\"a; \\\"b\\\"\"".parse().unwrap();
    assert_eq!(reason.value, "SIP");
    assert_eq!(reason.parameter("cause"), Some("480"));
    assert_eq!(reason.parameter_unquoted("TEXT").as_deref(), Some("a; \"b\""));
    assert_eq!(reason.to_string(), "SIP;cause=480;text=\"a; \\\"b\\\"\"");
    let written = Parameterized {
        value: "SIP".into(),
        parameters: vec![("text".into(), Some("a; b\"c\\".into()))],
    };
    let again: Parameterized = written.to_string().parse().unwrap();
    assert_eq!(again.parameter_unquoted("text").as_deref(), Some("a; b\"c\\"));
}

#[test]
fn status_codes_have_phrases() {
    assert_eq!(StatusCode(486).to_string(), "486 Busy Here");
    assert_eq!(StatusCode(499).reason(), "Bad Request");
    assert_eq!(StatusCode(299).reason(), "OK");
    assert!(StatusCode(199).is_provisional() && !StatusCode(200).is_provisional());
    assert!(StatusCode(299).is_success() && !StatusCode(300).is_success());
}

proptest! {
    #[test]
    fn built_uris_are_read_back(user in proptest::option::of(".{1,20}"), port: Option<u16>, gr in ".{0,20}") {
        let built = Uri::new(user.as_deref(), "rooms.example.com", port).with_parameter("gr", Some(&gr));
        let read: Uri = built.to_string().parse().unwrap();
        prop_assert_eq!(read.user_decoded(), user);
        prop_assert_eq!(read.port(), port);
        prop_assert_eq!(read.parameter_decoded("gr"), Some(gr));
        prop_assert_eq!(read, built);
    }

    #[test]
    fn addresses_are_read_back(display in proptest::option::of("\\PC{0,20}"), tag in "[a-z0-9]{1,8}", text in "\\PC{0,20}") {
        let mut built = NameAddr::new(Uri::new(Some("u"), "h", None));
        built.display_name = display;
        built.parameters = vec![("tag".into(), Some(tag)), ("text".into(), Some(text.clone()))];
        let read: NameAddr = built.to_string().parse().unwrap();
        prop_assert_eq!(&read.display_name, &built.display_name);
        prop_assert_eq!(read.parameter("tag"), built.parameter("tag"));
        let reread: Parameterized = format!("v;text={}", read.parameter("text").unwrap()).parse().unwrap();
        prop_assert!(reread.parameter_unquoted("text") == Some(text.clone()) || text.starts_with('"'));
    }

    #[test]
    fn any_text_is_read_without_panic(text: String) {
        for text in [text.clone(), format!("sip:{text}"), format!("<sip:a@b>;{text}"), format!("\"{text}"), format!("SIP/2.0/UDP {text}")] {
            if let Ok(uri) = text.parse::<Uri>() {
                prop_assert_eq!(uri.to_string(), text.clone());
                prop_assert_eq!(&uri, &uri.clone());
                let _ = (uri.address_of_record(), uri.with_parameter(&text, Some(&text)), uri.user_decoded());
            }
            if let Ok(address) = text.parse::<NameAddr>() {
                let again: NameAddr = address.to_string().parse().unwrap();
                prop_assert_eq!(again, address);
            }
            if let Ok(via) = text.parse::<Via>() {
                prop_assert_eq!(via.to_string().parse::<Via>().unwrap(), via);
            }
            let _ = (text.parse::<CSeq>(), text.parse::<Method>(), text.parse::<Parameterized>());
        }
    }

    #[test]
    fn mutated_values_are_read_without_panic(
        base in prop::sample::select(vec![
            "sip:alice;day=tuesday:pw@[2001:db8::1]:5060;gr=x%20y;lr?a=b&c=d",
            "\"Bell, \\\"A\\\"\" <sip:a@b;x=y?h=i>;tag=1;p=\"q;r\"",
            "SIP/2.0/TCP [2001:db8::1]:5061;received=[2001:db8::9];rport=99;branch=z9hG4bK",
        ]),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<char>()), 1..6),
    ) {
        let mut characters: Vec<char> = base.chars().collect();
        for (place, character) in edits {
            let place = place.index(characters.len());
            characters[place] = character;
        }
        let text: String = characters.into_iter().collect();
        if let Ok(uri) = text.parse::<Uri>() {
            let opaque = !["sip", "sips", "tel"].contains(&uri.scheme());
            prop_assert_eq!(uri.with_parameter("x", None).parameter("x").is_none(), opaque);
            let bare = uri.address_of_record().to_string();
            prop_assert_eq!(bare.parse::<Uri>().unwrap().to_string(), bare);
        }
        if let Ok(address) = text.parse::<NameAddr>() {
            prop_assert_eq!(address.to_string().parse::<NameAddr>().unwrap(), address);
        }
        if let Ok(via) = text.parse::<Via>() {
            prop_assert_eq!(via.to_string().parse::<Via>().unwrap(), via);
        }
    }
}
