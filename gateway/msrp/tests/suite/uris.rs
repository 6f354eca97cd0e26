//! RFC 4975 §6 and §9: URIs, paths, identifiers.

use msrp::{MessageId, Path, SessionId, Uri};
use proptest::prelude::*;

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

// Rows: C4975-13
#[test]
fn rfc4975_6_1_equal_uris() {
    for (one, other) in [
        (
            "msrp://host.example.com:8493/asfd34;tcp",
            "msrp://host.example.com:8493/asfd34;tcp",
        ),
        (
            "MSRP://Host.Example.COM:8493/asfd34;TCP",
            "msrp://host.example.com:8493/asfd34;tcp",
        ),
        ("msrp://room@host:1/s;tcp", "msrp://host:1/s;tcp"),
        ("msrp://a:b@host:1/s;tcp", "msrp://c@host:1/s;tcp"),
        ("msrp://host:1/s;tcp;x=1", "msrp://host:1/s;tcp"),
        ("msrp://%68ost:1/s;tcp", "msrp://HOST:1/s;tcp"),
        (
            "msrp://[2001:0:0:1::2]:16000/5;tcp",
            "msrp://[2001:0000:0000:0001:0000:0000:0000:0002]:16000/5;tcp",
        ),
        (
            "msrp://[2001::1:4c16:9c0f:4986:9e6d]:1/s;tcp",
            "msrp://[2001:0000:0000:0001:4C16:9C0F:4986:9E6D]:1/s;tcp",
        ),
        (
            "msrp://[::ffff:192.0.2.1]:1/s;tcp",
            "msrp://[::ffff:c000:201]:1/s;tcp",
        ),
        ("msrp://host;tcp", "msrp://host;tcp"),
    ] {
        assert_eq!(uri(one), uri(other));
        assert_eq!(uri(other), uri(one));
    }
}

// Rows: C4975-13
#[test]
fn rfc4975_6_1_different_uris() {
    for (one, other) in [
        ("msrp://host:1/s;tcp", "msrps://host:1/s;tcp"),
        ("msrp://host:1/s;tcp", "msrp://host:2/s;tcp"),
        ("msrp://host:2855/s;tcp", "msrp://host/s;tcp"),
        ("msrp://host:1/s;tcp", "msrp://host:1/S;tcp"),
        ("msrp://host:1/s;tcp", "msrp://host:1;tcp"),
        ("msrp://host:1/s;tcp", "msrp://host:1/s;ws"),
        ("msrp://host:1/s;tcp", "msrp://host2:1/s;tcp"),
        ("msrp://192.0.2.1:1/s;tcp", "msrp://192.0.2.2:1/s;tcp"),
        ("msrp://192.0.2.1:1/s;tcp", "msrp://[::ffff:192.0.2.1]:1/s;tcp"),
        ("msrp://h%2Fst:1/s;tcp", "msrp://hst:1/s;tcp"),
    ] {
        assert_ne!(uri(one), uri(other));
    }
}

#[test]
fn rfc4975_9_parts_of_a_uri() {
    let uri = uri("msrps://user@[2001:db8::1]:8080/a-b.c_d~e+f=g/h;tcp;keep=1");
    assert!(uri.is_secure());
    assert_eq!(uri.host(), "2001:db8::1");
    assert_eq!(uri.address(), Some("2001:db8::1".parse().unwrap()));
    assert_eq!(uri.port(), Some(8080));
    assert_eq!(uri.session().unwrap().as_str(), "a-b.c_d~e+f=g/h");
    assert_eq!(uri.transport(), "tcp");
    assert_eq!(
        uri.to_string(),
        "msrps://user@[2001:db8::1]:8080/a-b.c_d~e+f=g/h;tcp;keep=1"
    );
}

#[test]
fn rfc4975_9_no_uris() {
    for text in [
        "",
        "msrp:",
        "msrp://",
        "msrp://;tcp",
        "msrp://host:1/s",
        "msrp://host:1/s;",
        "msrp://host:1/;tcp",
        "msrp://host:/s;tcp",
        "msrp://host:65536/s;tcp",
        "msrp://host:+1/s;tcp",
        "msrp://host:000001/s;tcp",
        "msrp://ho st:1/s;tcp",
        "msrp://host:1/s s;tcp",
        "msrp://host:1/s\r\nTo: x;tcp",
        "msrp://[2001:db8::1:1/s;tcp",
        "msrp://[fe80::1%25eth0]:1/s;tcp",
        "msrp://[::1]x:1/s;tcp",
        "msrp://2001:db8::1:1/s;tcp",
        "msrp://hôst:1/s;tcp",
        "msrp://<host>:1/s;tcp",
        "msrp://a b@host:1/s;tcp",
        "msrp://host:1/s;t-p",
        "msrp://host:1/s;tcp;a b",
        "sip://host:1/s;tcp",
    ] {
        assert!(text.parse::<Uri>().is_err(), "{text}");
        assert!(text.parse::<Path>().is_err(), "{text}");
    }
}

#[test]
fn own_uris_are_read_as_they_were_made() {
    let session: SessionId = "s1".parse().unwrap();
    for (secure, host, text) in [
        (false, "rooms.example.com", "msrp://rooms.example.com:2855/s1;tcp"),
        (true, "192.0.2.7", "msrps://192.0.2.7:2855/s1;tcp"),
        (false, "2001:db8::7", "msrp://[2001:db8::7]:2855/s1;tcp"),
        (false, "[2001:db8::7]", "msrp://[2001:db8::7]:2855/s1;tcp"),
        (false, "a/b;c d", "msrp://a%2Fb%3Bc%20d:2855/s1;tcp"),
    ] {
        let made = Uri::new(secure, host, 2855, &session);
        assert_eq!(made.to_string(), text);
        assert_eq!(made, uri(text));
        assert_eq!(
            (made.host(), made.port(), made.transport()),
            (uri(text).host(), Some(2855), "tcp")
        );
    }
}

// Rows: C4975-31
#[test]
fn rfc4975_8_2_a_path_has_a_first_and_a_last_hop() {
    let path: Path = "msrps://relay.example.com:9892/r;tcp msrp://host:1/s;tcp"
        .parse()
        .unwrap();
    assert_eq!(path.hops().len(), 2);
    assert_eq!(path.first().host(), "relay.example.com");
    assert_eq!(path.last().host(), "host");
    assert_eq!(
        path.to_string(),
        "msrps://relay.example.com:9892/r;tcp msrp://host:1/s;tcp"
    );
    assert!(" ".parse::<Path>().is_err());
    assert!(
        "msrp://host:1/s;tcp, msrp://host:1/s;tcp"
            .parse::<Path>()
            .is_err()
    );
}

// Rows: C4975-02
#[test]
fn rfc4975_9_identifiers_have_4_to_32_characters() {
    for (text, sound) in [
        ("abc", false),
        ("abcd", true),
        ("a234567890123456789012345678901", true),
        ("a2345678901234567890123456789012", true),
        ("a23456789012345678901234567890123", false),
        ("a.-+%=", true),
        (".abc", false),
        ("ab_c", false),
        ("abc d", false),
        ("abcé", false),
    ] {
        assert_eq!(text.parse::<MessageId>().is_ok(), sound, "{text}");
        assert_eq!(
            text.parse::<msrp::frame::TransactionId>().is_ok(),
            sound,
            "{text}"
        );
    }
}

// Rows: C4975-02, C4975-12, C4975-15, E-13
#[test]
fn rfc4975_14_1_generated_identifiers_are_sound_and_unlike() {
    use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
    let mut rng = ChaCha12Rng::from_seed([9; 32]);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..10_000 {
        let id = MessageId::random(&mut rng);
        assert_eq!(id.as_str().parse::<MessageId>().unwrap(), id);
        assert!(seen.insert(id));
        let session = SessionId::random(&mut rng);
        assert_eq!(
            (session.as_str().len(), session.as_str().parse::<SessionId>()),
            (26, Ok(session.clone()))
        );
    }
    let mut same = ChaCha12Rng::from_seed([9; 32]);
    assert!(seen.contains(&MessageId::random(&mut same)));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(msrps?://)?[a-z0-9@:\\[\\]/;=%. ]{0,40}") {
        if let Ok(path) = text.parse::<Path>() {
            let again: Path = path.to_string().parse().unwrap();
            prop_assert_eq!(again, path);
        }
    }
}
