//! Where values come from, the file, the environment, files with secrets, and what is shown of them.

use server::config::{self, settings::REDACTED};
use sip::Transport;

use crate::{Directory, MINIMAL, faults, load};

#[test]
fn a_minimal_file_is_enough() {
    let loaded = load(MINIMAL, &[]).map_err(|faults| faults.join("\n")).unwrap();
    assert_eq!(loaded.config.links[0].link.domain, "example.org");
    assert_eq!(loaded.config.links[0].link.secret, "Tybalt");
    assert_eq!(loaded.config.core.rooms[0].muc, "muc.example.com");
    let bound = [(Transport::Tcp, "127.0.0.1:5099".parse().unwrap())];
    let endpoint = loaded.config.endpoint(&bound);
    assert_eq!(
        (endpoint.local[0].host.as_str(), endpoint.local[0].port),
        ("127.0.0.1", 5099)
    );
}

#[test]
fn an_environment_variable_comes_before_the_file() {
    let variables = [
        ("GATEWAY__XMPP__SECRET", "012345"),
        ("GATEWAY__SIP__LISTEN", "udp:127.0.0.1:5099, tcp:127.0.0.1:5098"),
        ("GATEWAY__ROOMS", "[{ sip = \"a.example\", muc = \"b.example\" }]"),
        ("GATEWAY__LIMITS__MAPPING__SESSIONS", "7"),
        ("GATEWAY__LIMITS__SIP__MESSAGE", "32 KiB"),
        ("GATEWAY_CONFIG", "elsewhere"),
        ("HOME", "/root"),
    ];
    let config = load(MINIMAL, &variables)
        .map_err(|faults| faults.join("\n"))
        .unwrap()
        .config;
    assert_eq!(config.links[0].link.secret, "012345");
    assert_eq!(
        config.sip.listen,
        [
            (Transport::Udp, "127.0.0.1:5099".parse().unwrap()),
            (Transport::Tcp, "127.0.0.1:5098".parse().unwrap())
        ]
    );
    assert_eq!(
        config
            .core
            .rooms
            .iter()
            .map(|room| room.sip.as_str())
            .collect::<Vec<_>>(),
        ["a.example"]
    );
    assert_eq!(config.core.limits.sessions, 7);
    assert_eq!(config.sip.limits.message, 32 * 1024);
}

#[test]
fn what_sip_users_are_shown_can_be_set_by_file_and_environment() {
    let text = format!("{MINIMAL}\n[texts]\nreactions = false\nlanguages = [\"de\"]\n");
    let texts = |variables: &[(&str, &str)]| load(&text, variables).unwrap().config.core.texts;
    let expected = mapping::Texts {
        reactions: false,
        languages: vec!["de".to_owned()],
        ..mapping::Texts::default()
    };
    assert_eq!(texts(&[]), expected);
    let variables = [
        ("GATEWAY__TEXTS__ACTIONS", "false"),
        ("GATEWAY__TEXTS__REACTIONS", "true"),
        ("GATEWAY__TEXTS__LANGUAGES", "fr, en"),
    ];
    let expected = mapping::Texts {
        actions: false,
        languages: vec!["fr".to_owned(), "en".to_owned()],
        ..mapping::Texts::default()
    };
    assert_eq!(texts(&variables), expected);
}

#[test]
fn an_outage_can_be_told_and_bridged() {
    let outage = |variables: &[(&str, &str)]| load(MINIMAL, variables).unwrap().config.core.outage;
    assert_eq!(outage(&[]), mapping::Outage::default());
    let variables = [
        ("GATEWAY__OUTAGE__TELL", "false"),
        ("GATEWAY__OUTAGE__MESSAGES", "hold"),
    ];
    let expected = mapping::Outage {
        tell: false,
        messages: mapping::OutageRule::Hold,
    };
    assert_eq!(outage(&variables), expected);
}

#[test]
fn a_fault_in_a_variable_names_the_variable() {
    assert_eq!(
        faults(MINIMAL, &[("GATEWAY__XMPP__DOMIAN", "x")]),
        ["environment variable GATEWAY__XMPP__DOMIAN: xmpp.domian: unknown key; did you mean `domain`?"]
    );
    assert_eq!(
        faults(MINIMAL, &[("GATEWAY__LIMITS__SIP__HEADERS", "many")]),
        ["environment variable GATEWAY__LIMITS__SIP__HEADERS: limits.sip.headers: `many` is no whole number"]
    );
    let found = faults(MINIMAL, &[("GATEWAY__ROOMS", "[{ sip = }]")]);
    assert!(
        found[0].starts_with("environment variable GATEWAY__ROOMS: rooms: "),
        "{}",
        found[0]
    );
}

#[test]
fn a_secret_file_is_read_beside_the_configuration_and_one_line_end_does_not_count() {
    let directory = Directory::new();
    let path = directory.write(
        "gateway.toml",
        &MINIMAL.replace("secret = \"Tybalt\"", "secret_file = \"component\""),
    );
    directory.write("component", "Mercutio \n");
    let loaded = config::load(&path, Vec::new())
        .map_err(|faults| faults[0].to_string())
        .unwrap();
    assert_eq!(loaded.config.links[0].link.secret, "Mercutio ");

    directory.write("component", "\r\n");
    let faults = config::load(&path, Vec::new()).map(|_| ()).unwrap_err();
    assert!(faults[0].to_string().contains("component is empty"));
}

#[test]
fn a_secret_file_that_is_not_there_is_named() {
    let found = faults(
        &MINIMAL.replace("secret = \"Tybalt\"", "secret_file = \"/nonexistent/component\""),
        &[],
    );
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("gateway.toml:4:1: xmpp.secret_file: /nonexistent/component cannot be read: "),
        "{}",
        found[0]
    );
    assert!(found[0].ends_with("create it, readable by the gateway's user"));
}

#[test]
fn a_secret_by_the_environment_stands_for_the_other_way_in_the_file() {
    let directory = Directory::new();
    let file = directory.write("component", "Mercutio");
    let loaded = load(MINIMAL, &[("GATEWAY__XMPP__SECRET_FILE", file.to_str().unwrap())]);
    assert_eq!(
        loaded.map_err(|faults| faults.join("\n")).unwrap().config.links[0]
            .link
            .secret,
        "Mercutio"
    );
    let text = MINIMAL.replace("secret = \"Tybalt\"", "secret_file = \"/nonexistent\"");
    let loaded = load(&text, &[("GATEWAY__XMPP__SECRET", "Paris")]);
    assert_eq!(
        loaded.map_err(|faults| faults.join("\n")).unwrap().config.links[0]
            .link
            .secret,
        "Paris"
    );
}

#[test]
fn no_secret_is_shown() {
    let loaded = load(MINIMAL, &[]).map_err(|faults| faults.join("\n")).unwrap();
    let printed = toml_edit::ser::to_string_pretty(&loaded.settings).unwrap();
    assert!(printed.contains(&format!("secret = \"{REDACTED}\"")), "{printed}");
    assert!(!printed.contains("Tybalt"));
    assert!(!format!("{:?}", loaded.settings).contains("Tybalt"));
    // A secret of the wrong type is not repeated, either.
    let found = faults(&MINIMAL.replace("\"Tybalt\"", "4711"), &[]);
    assert!(!found.join("\n").contains("4711"), "{found:?}");
}

#[test]
fn what_is_printed_is_a_configuration_of_the_same_meaning() {
    let loaded = load(MINIMAL, &[]).map_err(|faults| faults.join("\n")).unwrap();
    let printed = toml_edit::ser::to_string_pretty(&loaded.settings).unwrap();
    let again = load(&printed, &[]).map_err(|faults| faults.join("\n")).unwrap();
    assert_eq!(
        toml_edit::ser::to_string_pretty(&again.settings).unwrap(),
        printed
    );
}

#[test]
fn keys_whose_values_differ_are_named() {
    let old = load(MINIMAL, &[])
        .map_err(|faults| faults.join("\n"))
        .unwrap()
        .settings;
    let new = load(
        MINIMAL,
        &[
            ("GATEWAY__LOG__LEVEL", "debug"),
            ("GATEWAY__SIP__TRUST__PEERS", "192.0.2.1"),
            ("GATEWAY__MSRP__ADVERTISE", "gateway.example.com"),
            ("GATEWAY__XMPP__SECRET", "Mercutio"),
        ],
    )
    .map_err(|faults| faults.join("\n"))
    .unwrap()
    .settings;
    let changed = config::changed_keys(&old, &new);
    assert_eq!(changed, ["log.level", "msrp.advertise", "sip.trust.peers"]);
    let waits = |key: &&String| !server::reload::takes_effect_at_once(key);
    assert_eq!(
        changed.iter().filter(waits).collect::<Vec<_>>(),
        ["msrp.advertise"]
    );
}
