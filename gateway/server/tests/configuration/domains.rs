//! Components, conference domains, and whose other domains are.

use mapping::AddressForm;

use crate::{MINIMAL, faults, load};

#[test]
fn a_conference_domain_stands_for_one_service() {
    let text = format!("{MINIMAL}[[rooms]]\nsip = \"Rooms.Example.com\"\nmuc = \"other.example.com\"\n");
    assert_eq!(
        faults(&text, &[]),
        ["gateway.toml:9:1: rooms[1].sip: `rooms.example.com` is there already; keep one of the two"]
    );
}

#[test]
fn each_conference_domain_is_a_component_with_its_own_link() {
    let text = format!(
        "{MINIMAL}\n[[conferences]]\nmuc = \"conf.example.org\"\nsip = \"conf.example.com\"\n\
         [[conferences]]\nmuc = \"talks.example.org\"\nsip = \"talks.example.com\"\nserver = \"xmpp2:5348\"\nsecret = \"Paris\"\n"
    );
    let config = load(&text, &[])
        .map_err(|faults| faults.join("\n"))
        .unwrap()
        .config;
    let links: Vec<_> = config
        .links
        .iter()
        .map(|link| {
            (
                link.link.domain.as_str(),
                link.link.secret.as_str(),
                link.servers[0].port,
            )
        })
        .collect();
    assert_eq!(
        links,
        [
            ("example.org", "Tybalt", 5347),
            ("conf.example.org", "Tybalt", 5347),
            ("talks.example.org", "Paris", 5348)
        ]
    );
    let core = config.core(&[]);
    assert!(core.links().eq(links.iter().map(|(domain, ..)| *domain)));

    let twice = text.replace("talks.example.org", "example.org");
    let faults = load(&twice, &[]).err().unwrap();
    assert!(
        faults[0].contains("conferences[1].muc: `example.org` is a component already"),
        "{faults:?}"
    );
}

#[test]
fn each_further_domain_of_users_is_a_component_with_its_own_link() {
    let text = format!(
        "{MINIMAL}[[users]]\ndomain = \"Example.NET\"\nform = \"hosted\"\nserver = \"xmpp.example.net\"\nsecret = \"other\"\n\
         [[users]]\ndomain = \"example.edu\"\n[[conferences]]\nmuc = \"conference.example.org\"\nsip = \"focus.example.net\"\n"
    );
    let config = load(&text, &[])
        .map_err(|faults| faults.join("\n"))
        .unwrap()
        .config;
    let links: Vec<_> = config
        .links
        .iter()
        .map(|link| {
            (
                link.link.domain.as_str(),
                link.servers[0].name.as_str(),
                link.link.secret.as_str(),
            )
        })
        .collect();
    assert_eq!(
        links,
        [
            ("example.org", "127.0.0.1", "Tybalt"),
            ("example.net", "xmpp.example.net", "other"),
            ("example.edu", "127.0.0.1", "Tybalt"),
            ("conference.example.org", "127.0.0.1", "Tybalt"),
        ]
    );
    let forms: Vec<_> = config.core.components.iter().map(|user| user.form).collect();
    assert_eq!(
        forms,
        [AddressForm::Native, AddressForm::Hosted, AddressForm::Native]
    );
}

#[test]
fn faults_of_components_lists_and_routes_name_their_place() {
    for (more, fault) in [
        (
            "[[users]]\ndomain = \"example.org\"\n",
            "gateway.toml:9:1: users[0].domain: `example.org` is a component already; give each component a domain of its own",
        ),
        (
            "[[conferences]]\nmuc = \"muc.example.com\"\nsip = \"focus.example.net\"\n",
            "gateway.toml:7:1: rooms[0].muc: is a [[conferences]] component of the gateway itself; calls would go round in a loop: name \
             the domain of a multi-user chat service",
        ),
        (
            "[access]\ndeny_callers = [\"example.org\", \"sip:x@y\"]\n",
            "gateway.toml:9:1: access.deny_callers: `sip:x@y` is neither `user@domain` nor `domain` nor `*.domain`; write it as \
             \"romeo@example.org\", \"example.org\" or \"*.example.org\"",
        ),
        (
            "[routing]\notherwise = \"smtp\"\n",
            "gateway.toml:9:1: routing.otherwise: unknown value `smtp`; known here: xmpp, sip, dns",
        ),
        (
            "[routing]\nnumbers = \"a b\"\n",
            "gateway.toml:9:1: routing.numbers: `a b` is no domain; write it as \"example.org\"",
        ),
    ] {
        assert_eq!(faults(&format!("{MINIMAL}{more}"), &[]), [fault]);
    }
}
