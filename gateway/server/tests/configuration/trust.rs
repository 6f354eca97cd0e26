//! Who is believed, who is asked for a password, and with what the gateway proves itself.

use server::config;
use sip::Transport;

use crate::{Directory, MINIMAL, environment, faults, load};

#[test]
fn a_registration_and_its_credentials_are_for_the_registrar_and_the_proxy() {
    let text = format!(
        "{MINIMAL}\n[sip]\noutbound_proxy = \"sip:192.0.2.1;lr\"\n[sip.credentials]\nrealm = \"example.com\"\n\
         username = \"gateway\"\npassword = \"thorn\"\n[sip.register]\nregistrar = \"sip:example.com\"\n\
         address = \"sip:gate%77ay@example.com\"\n"
    );
    let loaded = load(&text, &[]).map_err(|faults| faults.join("\n")).unwrap();
    let sip = &loaded.config.sip;
    let servers: Vec<String> = sip
        .credentials
        .iter()
        .map(|credentials| credentials.server.to_string())
        .collect();
    assert_eq!(servers, ["sip:192.0.2.1;lr", "sip:example.com"]);
    let register = sip.register.as_ref().unwrap();
    assert_eq!(register.contact.user.as_deref(), Some("gateway"));
    assert_eq!(register.expires.as_secs(), 3600);
    assert!(!format!("{sip:?} {:?}", loaded.settings).contains("thorn"));
}

#[test]
fn half_a_registration_and_credentials_for_nobody_are_faults() {
    for (text, expected) in [
        (
            "[sip.register]\nregistrar = \"sip:example.com\"",
            "sip.register.address: missing",
        ),
        (
            "[sip.register]\nregistrar = \"sip:a@example.com\"\naddress = \"sip:a@example.com\"",
            "sip.register.registrar: `sip:a@example.com` does not fit",
        ),
        (
            "[sip.register]\nregistrar = \"sip:example.com\"\naddress = \"sip:example.com\"",
            "sip.register.address: `sip:example.com` does not fit",
        ),
        (
            "[sip.credentials]\nrealm = \"r\"\nusername = \"u\"\npassword = \"p\"",
            "sip.credentials.realm: nobody to be shown to",
        ),
        (
            "[sip.credentials]\nrealm = \"r\"",
            "sip.credentials.username: missing",
        ),
        (
            "[sip.credentials]\nusername = \"u\"",
            "sip.credentials.password: missing",
        ),
        ("[sip.register]\nexpires = \"0s\"", "sip.register.expires: zero"),
    ] {
        let faults = faults(&format!("{MINIMAL}\n{text}\n"), &[]);
        assert!(
            faults.iter().any(|fault| fault.contains(expected)),
            "{expected}: {faults:?}"
        );
    }
}

#[test]
fn peers_are_trusted_by_address_network_and_certificate_name() {
    let text = format!(
        "{MINIMAL}\n[sip.trust]\npeers = [\"192.0.2.1\", \"2001:db8::/32\", \"Proxy.Example.com\"]\nothers = \"ignore\"\n"
    );
    let loaded = load(&text, &[]).map_err(|faults| faults.join("\n")).unwrap();
    let trust = &loaded.config.sip.policy.trust;
    assert_eq!(trust.networks.len(), 2);
    assert_eq!(trust.names, ["proxy.example.com"]);
    assert_eq!(trust.unlisted, sip::Unlisted::Ignore);
    for (lines, expected) in [
        (
            "peers = [\"192.0.2.0/33\"]",
            "gateway.toml:10:10: sip.trust.peers[0]: `192.0.2.0/33` is no address, network or host name; write it as",
        ),
        (
            "others = \"refuse\"",
            "gateway.toml:10:1: sip.trust.others: nobody is left to be served; add the proxy to sip.trust.peers",
        ),
        (
            "others = \"drop\"",
            "gateway.toml:10:1: sip.trust.others: unknown value `drop`; known here: serve, refuse, ignore",
        ),
    ] {
        let found = faults(&format!("{MINIMAL}\n[sip.trust]\n{lines}\n"), &[]);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
    }
}

#[test]
fn users_who_are_asked_for_a_password_stand_in_a_file_of_their_own() {
    let directory = Directory::new();
    let md5 = "0123456789abcdef".repeat(2);
    directory.write(
        "users",
        &format!("romeo:example.org:{md5}\njuliet:example.com:{md5}\n"),
    );
    directory.write("broken", "romeo:example.org\n");
    let load = |lines: &str| {
        let path = directory.write("gateway.toml", &format!("{MINIMAL}\n[sip.challenge]\n{lines}\n"));
        config::load(&path, Vec::new())
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<String>())
    };
    let loaded = load("realm = \"example.org\"\nusers = \"users\"").unwrap();
    let users = loaded.config.sip.policy.users.unwrap();
    assert_eq!(users.secrets.keys().collect::<Vec<_>>(), ["romeo"]);
    assert_eq!(users.algorithms(), [sip::digest::Algorithm::Md5]);
    for (lines, expected) in [
        ("realm = \"example.org\"", "sip.challenge.users: missing; add it"),
        ("users = \"users\"", "sip.challenge.realm: missing; add it"),
        (
            "realm = \"example.org\"\nusers = \"nowhere\"",
            "nowhere cannot be read",
        ),
        (
            "realm = \"example.org\"\nusers = \"broken\"",
            "broken:1: it is not `user:realm:hash`",
        ),
        (
            "realm = \"example.net\"\nusers = \"users\"",
            "users has no user of the realm `example.net`; add one with htdigest",
        ),
    ] {
        let fault = load(lines).err().unwrap();
        assert!(fault.contains(expected), "{fault}");
    }
}

#[test]
fn the_password_of_a_room_stands_beside_it_or_in_a_file_and_is_never_shown() {
    let directory = Directory::new();
    directory.write("capulet", "cauldron\n");
    let load = |lines: &str| {
        let path = directory.write("gateway.toml", &format!("{MINIMAL}\n{lines}\n"));
        config::load(&path, Vec::new())
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<String>())
    };
    let capulet = "[[passwords]]\nroom = \"capulet@muc.example.com\"\n";
    let loaded = load(&format!(
        "{capulet}password_file = \"capulet\"\n[[passwords]]\nroom = \"cell@muc.example.com\"\npassword = \"rosemary\"\nask = false\n"
    ))
    .unwrap();
    let passwords = &loaded.config.core.passwords;
    let of = |room: &str| passwords[&room.parse::<xmpp::BareJid>().unwrap()].clone();
    assert_eq!(
        of("capulet@muc.example.com").password,
        mapping::Password::new("cauldron")
    );
    assert!(of("capulet@muc.example.com").ask);
    assert_eq!(
        of("cell@muc.example.com").password,
        mapping::Password::new("rosemary")
    );
    assert!(!of("cell@muc.example.com").ask);
    let printed = toml_edit::ser::to_string_pretty(&loaded.settings).unwrap();
    assert!(!printed.contains("rosemary"), "{printed}");
    for (lines, expected) in [
        (
            capulet.to_owned(),
            "passwords[0].password: missing; add it, or `password_file`",
        ),
        (
            format!("{capulet}password = 5\n"),
            "passwords[0].password: expected a text",
        ),
        (
            "[[passwords]]\npassword = \"p\"\n".to_owned(),
            "passwords[0].room: missing; write it as \"capulet@rooms.example.com\"",
        ),
        (
            "[[passwords]]\nroom = \"muc.example.com\"\npassword = \"p\"\n".to_owned(),
            "passwords[0].room: `muc.example.com` is no address of a room",
        ),
        (
            "[[passwords]]\nroom = \"a@elsewhere.example\"\npassword = \"p\"\n".to_owned(),
            "passwords[0].room: `elsewhere.example` is the `muc` of no [[rooms]]",
        ),
        (
            format!("{capulet}password = \"p\"\n{capulet}password = \"q\"\n"),
            "passwords[1].room: has a password already",
        ),
    ] {
        let fault = load(&lines).err().unwrap();
        assert!(fault.contains(expected), "{fault}");
    }
}

#[test]
fn certificates_that_cannot_be_used_are_named_with_their_remedy() {
    let key = rcgen::KeyPair::generate().unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["gateway.example.com".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let directory = Directory::new();
    directory.write("gateway.pem", &certificate.pem());
    directory.write("gateway.key", &key.serialize_pem());
    directory.write("other.key", &other.serialize_pem());
    directory.write("empty", "");
    let load = |lines: &str| {
        let path = directory.write("gateway.toml", &format!("{MINIMAL}\n[tls]\n{lines}\n"));
        config::load(&path, environment(&[("GATEWAY__SIP__LISTEN", "tls:127.0.0.1")]))
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<String>())
    };
    let right = "certificate = \"gateway.pem\"\nkey = \"gateway.key\"\ntrust_anchors = \"gateway.pem\"";
    let loaded = load(right).unwrap();
    assert_eq!(
        loaded.config.sip.listen,
        [(Transport::Tls, "127.0.0.1:5061".parse().unwrap())]
    );
    assert_eq!(loaded.config.tls.unwrap().summary(), "gateway.example.com");
    for (from, to, expected) in [
        ("gateway.pem\"\nkey", "nowhere\"\nkey", "tls.certificate: "),
        (
            "gateway.pem\"\nkey",
            "empty\"\nkey",
            "empty: it holds no certificate; put the certificate",
        ),
        ("gateway.key", "gateway.pem", "tls.key: "),
        ("gateway.key", "other.key", "tls.certificate: "),
        (
            "gateway.key",
            "empty",
            "empty: it holds no private key; put the certificate's private key there",
        ),
        (
            "trust_anchors = \"gateway.pem",
            "trust_anchors = \"gateway.key",
            "tls.trust_anchors: ",
        ),
        (
            "key = \"gateway.key\"\n",
            "",
            "tls.key: missing; add it, or take the other key away",
        ),
    ] {
        let fault = load(&right.replace(from, to)).err().unwrap();
        assert!(fault.contains(expected), "{to}: {fault}");
    }
}
