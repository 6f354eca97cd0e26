//! RFC 7247 §6 with all of XEP-0106, in both directions and both forms; whose an address is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use mapping::{
    Access, AddressForm, AnswerRule, Component, ConferenceDomain, Config, ConflictRule, CreationRule, Limits,
    NamingRule, Occupants, Outage, RoomDomain, RouteRule, Routes, Texts,
    address::{Party, RoomAddress, party, sip_uri, user_jid, xmpp_user_uri},
    refusal::Refusal,
};
use proptest::prelude::*;
use sip::Uri;
use xmpp::{BareJid, Jid};

fn component(domain: &str, form: AddressForm) -> Component {
    Component {
        domain: domain.to_owned(),
        form,
    }
}

fn native() -> Component {
    component("example.org", AddressForm::Native)
}

fn hosted() -> Component {
    component("gw.example.com", AddressForm::Hosted)
}

fn config() -> Config {
    Config {
        components: vec![native(), hosted()],
        rooms: vec![
            RoomDomain {
                sip: "rooms.example.com".to_owned(),
                muc: "muc.example.com".to_owned(),
            },
            RoomDomain {
                sip: "xn--rume-zra.example".to_owned(),
                muc: "räume.example".to_owned(),
            },
        ],
        passwords: BTreeMap::new(),
        conferences: vec![ConferenceDomain {
            muc: "conference.example.org".to_owned(),
            sip: "focus.example.net".to_owned(),
        }],
        routes: Routes {
            sip: vec![
                "*.sip.example".parse().unwrap(),
                "romeo@both.example".parse().unwrap(),
            ],
            xmpp: vec!["both.example".parse().unwrap()],
            otherwise: RouteRule::Xmpp,
        },
        numbers: Some("example.org".to_owned()),
        msrp: mapping::MsrpPlaces::Tcp(("127.0.0.1".to_owned(), 2855)),
        certificates: msrp::sdp::Fingerprints::default(),
        connect: true,
        tell_nickname: true,
        answer: AnswerRule::WhenAdmitted,
        conflict: ConflictRule::Refuse,
        history: 0,
        naming: NamingRule::Provisional,
        creation: CreationRule::AcceptDefault,
        access: Access::default(),
        occupants: Occupants::default(),
        texts: Texts::default(),
        outage: Outage::default(),
        admins: BTreeSet::new(),
        limits: Limits::default(),
    }
}

fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

/// The bare JID that a SIP user gets.
fn jid_of(text: &str, component: &Component) -> Result<String, Refusal> {
    user_jid(&uri(text), component, "r").map(|jid| jid.to_bare().to_string())
}

// Rows: C7247-03, C7247-05, C7247-08, C7247-09, E-38, C7247-06
#[test]
fn rfc7247_section_6_4_the_printed_samples() {
    for (sip, jid) in [
        ("sip:f%C3%BC@example.org", "fü@example.org"),
        ("sip:o'malley@example.org", r"o\27malley@example.org"),
        ("sip:foo@example.org;gr=bar", "foo@example.org"),
        ("sip:a%40b@example.org", r"a\40b@example.org"),
        (
            "sip:alice:pw@example.org:5070;transport=tcp?x=y",
            "alice@example.org",
        ),
        ("sip:Romeo@EXAMPLE.org", "romeo@example.org"),
        (
            "sip:a%20b%22%3A%3C%3E@example.org",
            r"a\20b\22\3a\3c\3e@example.org",
        ),
        (r"sip:a%5C20b@example.org", r"a\5c20b@example.org"),
    ] {
        assert_eq!(jid_of(sip, &native()).as_deref(), Ok(jid), "{sip}");
    }
}

// Rows: C7247-09
#[test]
fn c7247_09_what_is_no_user_is_refused() {
    for sip in [
        "sip:%FF@example.org",
        "sip:example.org",
        "sip:%20@example.org",
        "tel:+1",
    ] {
        assert_eq!(jid_of(sip, &native()), Err(Refusal::NoIdentity), "{sip}");
    }
    assert_eq!(
        jid_of("sip:romeo@example.net", &native()),
        Err(Refusal::ForeignUser)
    );
}

// Rows: C7247-03, C7247-04, C7247-10..C7247-12, E-37, C7247-10, C7247-11, C7247-12
#[test]
fn rfc7247_section_6_5_the_printed_samples() {
    for (jid, sip) in [
        (r"m\26m@example.com", "sip:m&m@example.com"),
        ("tschüss@example.com", "sip:tsch%C3%BCss@example.com"),
        ("baz@example.com/qux", "sip:baz@example.com;gr=qux"),
        (r"a\40b@example.com", "sip:a%40b@example.com"),
        ("x@example.com/My Phone;1", "sip:x@example.com;gr=My%20Phone%3B1"),
        (r"o\27malley@example.com", "sip:o'malley@example.com"),
    ] {
        let jid: Jid = jid.parse().unwrap();
        assert_eq!(xmpp_user_uri(&jid).to_string(), sip, "{jid}");
    }
}

// Rows: C7247-03, C7247-14
#[test]
fn the_hosted_form_has_the_whole_address_in_the_localpart() {
    assert_eq!(
        jid_of("sip:romeo@example.net", &hosted()).as_deref(),
        Ok(r"romeo\40example.net@gw.example.com")
    );
    assert_eq!(
        jid_of("sip:a%40b@example.net", &hosted()).as_deref(),
        Ok(r"a\40b\40example.net@gw.example.com")
    );
    let back = |jid: &str| sip_uri(&BareJid::new(jid).unwrap(), &hosted()).map(|uri| uri.to_string());
    assert_eq!(
        back(r"a\40b\40example.net@gw.example.com").as_deref(),
        Some("sip:a%40b@example.net")
    );
    assert_eq!(back("nobody@gw.example.com"), None);
    assert_eq!(back(r"romeo\40example.net@elsewhere.example"), None);
}

// Rows: C7247-13
#[test]
fn c7247_13_internationalized_domains_are_a_labels_in_sip_and_letters_in_xmpp() {
    let component = component("bücher.example", AddressForm::Native);
    for sip in [
        "sip:romeo@xn--bcher-kva.example",
        "sip:romeo@XN--BCHER-KVA.example",
    ] {
        assert_eq!(
            jid_of(sip, &component).as_deref(),
            Ok("romeo@bücher.example"),
            "{sip}"
        );
    }
    let back = sip_uri(&BareJid::new("romeo@bücher.example").unwrap(), &component).unwrap();
    assert_eq!(back.to_string(), "sip:romeo@xn--bcher-kva.example");

    let rooms = config().rooms;
    let room = RoomAddress::from_sip(&uri("sip:caf%C3%A9@xn--rume-zra.example"), &rooms).unwrap();
    assert_eq!(room.muc.as_str(), "café@räume.example");
    assert_eq!(RoomAddress::from_muc(&room.muc, &rooms), Some(room.clone()));
    let me = uri("sip:caf%C3%A9@xn--rume-zra.example;gr=Ren%C3%A9");
    assert_eq!(room.addressee(&me), Some(Some("René".to_owned())));
}

// Rows: C7247-07, E-21
#[test]
fn e_21_only_gr_tells_a_room_from_an_occupant() {
    let rooms = config().rooms;
    let room = RoomAddress::from_sip(&uri("sip:capulet@rooms.example.com"), &rooms).unwrap();
    for (to, addressee) in [
        ("sip:capulet@rooms.example.com", Some(None)),
        ("sip:Capulet@ROOMS.example.com;transport=tcp", Some(None)),
        ("sip:capulet@rooms.example.com;gr", Some(None)),
        (
            "sip:capulet@rooms.example.com;gr=Juliet",
            Some(Some("Juliet".to_owned())),
        ),
        (
            "sip:capulet@rooms.example.com;transport=tcp;gr=J%20C",
            Some(Some("J C".to_owned())),
        ),
        ("sip:montague@rooms.example.com;gr=Juliet", None),
        ("sip:capulet@elsewhere.example", None),
        ("sips:capulet@rooms.example.com", None),
    ] {
        assert_eq!(room.addressee(&uri(to)), addressee, "{to}");
    }
}

// Rows: C7247-28
#[test]
fn whose_an_address_is_goes_by_configuration() {
    let sip = |text: &str| Ok(Party::Sip(uri(text)));
    let xmpp = |text: &str| Ok(Party::Xmpp(BareJid::new(text).unwrap()));
    let config = config();
    for (named, whose) in [
        ("sip:romeo@example.org", sip("sip:romeo@example.org")),
        (
            r"xmpp:tybalt%5C40example.net@gw.example.com",
            sip("sip:tybalt@example.net"),
        ),
        ("sip:tybalt@a.sip.example;gr=x", sip("sip:tybalt@a.sip.example")),
        ("sip:romeo@both.example", sip("sip:romeo@both.example")),
        ("sip:juliet@both.example", xmpp("juliet@both.example")),
        ("sip:juliet@example.com", xmpp("juliet@example.com")),
        ("im:juliet@example.com", xmpp("juliet@example.com")),
        ("xmpp:juliet@example.com/x?join", xmpp("juliet@example.com")),
        (r"xmpp:o%5C27malley@example.com", xmpp(r"o\27malley@example.com")),
        (
            "sip:o'malley@xn--bcher-kva.example",
            xmpp(r"o\27malley@bücher.example"),
        ),
        ("tel:+1-201-555-0123", sip("sip:+12015550123@example.org")),
        ("tel:7042;phone-context=+1201", Err(Refusal::LocalNumber)),
        ("sips:juliet@example.com", Err(Refusal::SecurityNotCarried)),
        ("sip:capulet@rooms.example.com", Err(Refusal::Loop)),
        ("im:capulet@muc.example.com", Err(Refusal::Loop)),
        ("sip:montague@focus.example.net", Err(Refusal::Loop)),
        ("xmpp:montague@conference.example.org", Err(Refusal::Loop)),
        ("sip:nobody@gw.example.com", Err(Refusal::Loop)),
        ("http://example.com", Err(Refusal::NoSuchUser)),
        ("sip:example.com", Err(Refusal::NoSuchUser)),
        ("xmpp:example.com", Err(Refusal::NoSuchUser)),
    ] {
        assert_eq!(party(&uri(named), &config), whose, "{named}");
    }
    let without_numbers = Config {
        numbers: None,
        ..config
    };
    assert_eq!(
        party(&uri("tel:+12015550123"), &without_numbers),
        Err(Refusal::NoSuchUser)
    );
}

proptest! {
    /// C7247-03, C7247-14: what we make of an address leads back to it. JIDs fold case, so the samples have none.
    // Rows: C7247-03, C7247-06, C7247-14
    #[test]
    fn a_sip_user_comes_back_as_himself(user in "[!-@\\[-~à-ÿぁ-ん]{1,20}") {
        for component in [native(), hosted()] {
            let address = Uri::new(Some(&user), "example.org", None);
            let jid = user_jid(&address, &component, "r").map_err(|why| TestCaseError::fail(format!("{why:?}")))?;
            let back = sip_uri(&jid.to_bare(), &component);
            prop_assert_eq!(back.map(|uri| uri.to_string()), Some(address.to_string()), "{}", jid);
        }
    }

    // Rows: C7247-12, C7247-14
    #[test]
    fn a_room_comes_back_as_itself(room in "[!-@\\[-~à-ÿ]{1,20}", nickname in "[ -~à-ÿ😀]{1,20}") {
        let rooms = config().rooms;
        let address = RoomAddress::from_sip(&Uri::new(Some(&room), "rooms.example.com", None), &rooms)
            .map_err(|why| TestCaseError::fail(format!("{why:?}")))?;
        prop_assert_eq!(RoomAddress::from_muc(&address.muc, &rooms), Some(address.clone()));
        let written: Uri = address.occupant(&nickname).to_string().parse().unwrap();
        prop_assert_eq!(address.addressee(&written), Some(Some(nickname)));
    }

    #[test]
    fn any_text_is_somebody_or_refused(text in "\\PC{0,60}") {
        for scheme in ["sip:", "im:", "xmpp:", "tel:", ""] {
            if let Ok(uri) = format!("{scheme}{text}").parse::<Uri>() {
                let _whose = party(&uri, &config());
            }
            let _said = mapping::explain::explain(&format!("{scheme}{text}"), &config());
        }
    }
}
