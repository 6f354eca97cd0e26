//! The configuration: what is accepted, what each fault says, what is shown of it.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "tests: a failed assumption is a failed test"
)]

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use mapping::AddressForm;
use server::config::{
    self, Loaded, MsrpTls,
    settings::{REDACTED, Settings},
};
use sip::Transport;

const MINIMAL: &str = r#"
[xmpp]
domain = "example.org"
secret = "Tybalt"
[[rooms]]
sip = "rooms.example.com"
muc = "muc.example.com"
"#;

/// A directory that goes with its test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "gateway-configuration-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_dir_all(&self.0);
    }
}

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// Loads a text with variables; faults come without the directory.
fn load(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Vec<String>> {
    let directory = Directory::new();
    let path = directory.write("gateway.toml", text);
    let prefix = format!("{}/", directory.0.display());
    config::load(&path, environment(variables)).map_err(|faults| {
        faults
            .iter()
            .map(|fault| fault.to_string().replace(&prefix, ""))
            .collect()
    })
}

#[track_caller]
fn faults(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    load(text, variables).map(|_| ()).expect_err("a fault")
}

fn deployed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/gateway.toml")
}

#[test]
fn the_deployed_file_has_no_fault() {
    let loaded = config::load(&deployed(), Vec::new())
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(loaded.err(), None);
}

/// Every leaf with its path: tables are entered, the first entry of a list of tables too.
fn leaves(value: &toml_edit::Item, path: &str, into: &mut BTreeMap<String, String>) {
    if let Some(table) = value.as_table_like() {
        for (key, inner) in table.iter() {
            leaves(inner, &format!("{path}.{key}"), into);
        }
    } else if let Some(tables) = value.as_array_of_tables() {
        for table in tables.iter().take(1) {
            leaves(&toml_edit::Item::Table(table.clone()), path, into);
        }
    } else {
        // Lists may stand on one line or several.
        let shown: String = value.to_string().split_whitespace().collect();
        into.insert(path.to_owned(), shown.replace(",]", "]"));
    }
}

#[test]
fn the_deployed_file_names_every_key_and_each_key_left_out_at_its_default() {
    let text = std::fs::read_to_string(deployed()).unwrap();
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let mut named = BTreeMap::new();
    leaves(
        uncommented.parse::<toml_edit::DocumentMut>().unwrap().as_item(),
        "",
        &mut named,
    );
    let mut set = BTreeMap::new();
    leaves(
        text.parse::<toml_edit::DocumentMut>().unwrap().as_item(),
        "",
        &mut set,
    );

    let settings = Settings {
        rooms: vec![config::settings::RoomSettings {
            sip: Some(String::new()),
            muc: Some(String::new()),
        }],
        passwords: vec![config::settings::PasswordSettings::default()],
        users: vec![config::settings::UserSettings::default()],
        conferences: vec![config::settings::ConferenceSettings::default()],
        ..Settings::default()
    };
    let printed = toml_edit::ser::to_string_pretty(&settings).unwrap();
    let document: toml_edit::DocumentMut = printed.parse().unwrap();
    let mut known = BTreeMap::new();
    leaves(document.as_item(), "", &mut known);
    // Keys without a default are not in the rendered defaults.
    let without_default = [
        ".xmpp.domain",
        ".xmpp.secret",
        ".xmpp.secret_file",
        ".xmpp.tls_name",
        ".xmpp.tls_anchors",
        ".sip.advertise",
        ".sip.outbound_proxy",
        ".sip.credentials.realm",
        ".sip.credentials.username",
        ".sip.credentials.password",
        ".sip.credentials.password_file",
        ".sip.register.registrar",
        ".sip.register.address",
        ".msrp.advertise",
        ".sip.challenge.realm",
        ".sip.challenge.users",
        ".passwords.room",
        ".passwords.password",
        ".passwords.password_file",
        ".users.domain",
        ".users.server",
        ".users.secret",
        ".users.secret_file",
        ".routing.numbers",
        ".conferences.muc",
        ".conferences.sip",
        ".conferences.server",
        ".conferences.secret",
        ".conferences.secret_file",
        ".tls.certificate",
        ".tls.key",
        ".tls.client_certificate",
        ".tls.client_key",
        ".tls.trust_anchors",
    ];
    for key in without_default {
        assert!(
            known.insert(key.to_owned(), String::new()).is_none(),
            "{key} has a default"
        );
    }

    assert_eq!(named.keys().collect::<Vec<_>>(), known.keys().collect::<Vec<_>>());
    for (key, shown) in named.iter().filter(|(key, _)| !set.contains_key(*key)) {
        if !without_default.contains(&key.as_str()) {
            assert_eq!(shown, &known[key], "{key}");
        }
    }
}

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
fn each_fault_names_its_place_and_remedy() {
    // What is appended to or replaced in the minimal file, and the one fault it makes.
    let table = [
        (
            "[xmpp]\nsevre = \"a\"",
            "gateway.toml:3:1: xmpp.sevre: unknown key; did you mean `server`?",
        ),
        (
            "[xmpp]\nform = \"nativ\"",
            "gateway.toml:3:1: xmpp.form: unknown value `nativ`; did you mean `native`?",
        ),
        (
            "[xmpp]\nserver = 5",
            "gateway.toml:3:1: xmpp.server: found the number 5, expected a list of texts",
        ),
        (
            "[xmpp]\nserver = \"a:b\"",
            "gateway.toml:3:1: xmpp.server: `a:b` is no host and port; write it as \"host:5347\"",
        ),
        (
            "[xmpp]\nidle = \"soon\"",
            "gateway.toml:3:1: xmpp.idle: `soon` is no duration: write a whole number and ms, s, m or h, such as \"10s\"",
        ),
        (
            "[xmpp]\nping = \"0s\"",
            "gateway.toml:3:1: xmpp.ping: zero; nothing could happen in that time: choose more",
        ),
        (
            "[sip]\nlisten = [\"udp:0.0.0.0:5060\"]\n[xmpp]",
            "gateway.toml:2:2: sip.advertise: missing, while all addresses are listened on; add the host name or address that peers reach the gateway by",
        ),
        (
            "[sip]\nlisten = [\"tls:127.0.0.1:5061\"]\n[xmpp]",
            "gateway.toml: tls.certificate: missing; add it with `key`: the files of the gateway's certificate chain and private key",
        ),
        (
            "[sip]\nlisten = [\"udp:127.0.0.1:1\", \"udp:127.0.0.1:2\"]\n[xmpp]",
            "gateway.toml:3:1: sip.listen: `udp:127.0.0.1:2` is a second address of its transport and address family; keep one of them",
        ),
        (
            "[sip]\nlisten = []\n[xmpp]",
            "gateway.toml:3:1: sip.listen: empty; add an address, such as \"udp:192.0.2.1:5060\", \"tcp:[2001:db8::1]:5060\" or \"tls:192.0.2.1:5061\"",
        ),
        (
            "[sip]\nadvertise = \"0.0.0.0\"\n[xmpp]",
            "gateway.toml:3:1: sip.advertise: peers cannot reach `0.0.0.0`; name an address or host that they can reach",
        ),
        (
            "[msrp]\nlisten = \"[::]:2855\"\n[xmpp]",
            "gateway.toml:2:2: msrp.advertise: missing, while all addresses are listened on; add the host name or address that peers reach the gateway by",
        ),
        (
            "[msrp]\nlisten = \"here\"\n[xmpp]",
            "gateway.toml:3:1: msrp.listen: `here` is no address and port; write it as \"192.0.2.1:2855\", \"[2001:db8::1]:2855\" or \"tls:192.0.2.1:2856\"",
        ),
        (
            "[msrp]\nlisten = [\"127.0.0.1:2855\", \"tls:127.0.0.1:2856\"]\n[xmpp]",
            "gateway.toml: tls.certificate: missing; add it with `key`: the files of the gateway's certificate chain and private key",
        ),
        (
            "[msrp]\nlisten = [\"127.0.0.1:1\", \"tcp:127.0.0.1:2\"]\n[xmpp]",
            "gateway.toml:3:1: msrp.listen: `tcp:127.0.0.1:2` is a second address of its transport and address family; keep one of them",
        ),
        (
            "[msrp]\nlisten = \"tls:[::]:2856\"\n[xmpp]",
            "gateway.toml:2:2: msrp.advertise: missing, while all addresses are listened on; add the host name or address that peers reach the gateway by",
        ),
        (
            "[msrp]\nadvertise = [\"a.example\", \"tls:b.example\"]\n[xmpp]",
            "gateway.toml:3:1: msrp.advertise: `tls:b.example` is for a transport that msrp.listen does not have; add an address to msrp.listen, or take this away",
        ),
        (
            "[msrp]\ntls = \"required\"\n[xmpp]",
            "gateway.toml:3:1: msrp.tls: TLS is not listened on; add an address to msrp.listen, such as \"tls:192.0.2.1:2856\", or take this away",
        ),
        (
            "[msrp]\nlisten = \"udp:127.0.0.1:2855\"\n[xmpp]",
            "gateway.toml:3:1: msrp.listen: `udp:127.0.0.1:2855` is no address and port; write it as \"192.0.2.1:2855\", \"[2001:db8::1]:2855\" or \"tls:192.0.2.1:2856\"",
        ),
        (
            "[log]\nlevel = \"loud\"\n[xmpp]",
            "gateway.toml:3:1: log.level: `loud` is no level; write error, warn, info, debug or trace, also per module: \"info,sip=debug\"",
        ),
        (
            "[log]\nformat = \"xml\"\n[xmpp]",
            "gateway.toml:3:1: log.format: unknown value `xml`; known here: pretty, json",
        ),
        (
            "[dns]\nservers = \"ns.example\"\n[xmpp]",
            "gateway.toml:3:1: dns.servers: not all are addresses; write them as \"192.0.2.53\" or \"127.0.0.1:5354\"",
        ),
        (
            "[texts]\nlinks = \"maybe\"\n[xmpp]",
            "gateway.toml:3:1: texts.links: `maybe` is neither true nor false",
        ),
        (
            "[outage]\nmessages = \"drop\"\n[xmpp]",
            "gateway.toml:3:1: outage.messages: unknown value `drop`; known here: refuse, hold",
        ),
        (
            "[limits.sip]\nheaders = -1\n[xmpp]",
            "gateway.toml:3:1: limits.sip.headers: found the number -1, expected a whole number",
        ),
        (
            "[limits.msrp]\nchunk_out = \"1 KiB\"\n[xmpp]",
            "gateway.toml:3:1: limits.msrp.chunk_out: less than 2048 octets; RFC 4975 has smaller chunks whole: choose 2 KiB or more",
        ),
        (
            "[limits.mapping]\nreflection = \"30s\"\n[xmpp]",
            "gateway.toml:3:1: limits.mapping.reflection: not shorter than limits.msrp.transaction; the sender's MSRP would give up first: choose less",
        ),
        (
            "[limits.gateway]\n[xmpp]",
            "gateway.toml:2:9: limits.gateway: unknown key; known here: mapping, sip, rates, msrp, xmpp, connections",
        ),
        (
            "[xmpp]\nsecret_file = \"x\"",
            "gateway.toml:3:1: xmpp.secret_file: stands beside `secret`; keep one of the two",
        ),
    ];
    for (change, expected) in table {
        let text = MINIMAL.replacen("[xmpp]", change, 1);
        assert_eq!(faults(&text, &[]), [expected], "{change}");
    }
}

#[test]
fn what_is_missing_is_named_with_its_remedy() {
    assert_eq!(
        faults("", &[]),
        [
            "gateway.toml: xmpp.domain: missing; add it, such as \"example.org\"",
            "gateway.toml: xmpp.secret: missing; add it, or `secret_file` with the name of a file that holds the server's component_secret",
            "gateway.toml: rooms: missing; add a [[rooms]] section with `sip` and `muc`",
        ]
    );
}

#[test]
fn all_faults_are_reported_at_once_in_the_order_they_are_found() {
    let text = MINIMAL
        .replacen(
            "domain = \"example.org\"",
            "domian = \"example.org\"\nidle = 3",
            1,
        )
        .replacen("muc = \"muc.example.com\"", "muc = \"romeo@muc.example.com\"", 1);
    assert_eq!(
        faults(&text, &[]),
        [
            "gateway.toml:3:1: xmpp.domian: unknown key; did you mean `domain`?",
            "gateway.toml:4:1: xmpp.idle: found the number 3, expected a text; write it in quotation marks",
            "gateway.toml:2:2: xmpp.domain: missing; add it, such as \"example.org\"",
            "gateway.toml:8:1: rooms[0].muc: `romeo@muc.example.com` is no domain; write it as \"rooms.example.com\"",
        ]
    );
}

#[test]
fn a_conference_domain_stands_for_one_service() {
    let text = format!("{MINIMAL}[[rooms]]\nsip = \"Rooms.Example.com\"\nmuc = \"other.example.com\"\n");
    assert_eq!(
        faults(&text, &[]),
        ["gateway.toml:9:1: rooms[1].sip: `rooms.example.com` is there already; keep one of the two"]
    );
}

#[test]
fn what_is_not_toml_is_reported_by_line_and_column() {
    let found = faults("[xmpp]\ndomain = example.org\n", &[]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("gateway.toml:2:10: not TOML: "),
        "{}",
        found[0]
    );
}

#[test]
fn a_file_that_is_not_there_is_reported_with_the_ways_to_name_one() {
    let faults = config::load(Path::new("/nonexistent/gateway.toml"), Vec::new())
        .map(|_| ())
        .unwrap_err();
    assert_eq!(faults.len(), 1);
    let text = faults[0].to_string();
    assert!(
        text.contains("/nonexistent/gateway.toml")
            && text.contains("--config")
            && text.contains("GATEWAY_CONFIG")
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

// Rows: C7701-61
#[test]
fn msrp_peers_are_told_of_the_places_that_are_listened_on_and_that_policy_allows() {
    use mapping::{MsrpPlaces, MsrpTransport};
    let place = |host: &str, port| (host.to_owned(), port);
    let bound = [
        (MsrpTransport::Tcp, "192.0.2.1:2855".parse().unwrap()),
        (MsrpTransport::Tls, "192.0.2.1:2856".parse().unwrap()),
    ];
    let places = |bound: &[_], advertise: &[(MsrpTransport, (String, Option<u16>))], tls| {
        let loaded = load(MINIMAL, &[]).map_err(|faults| faults.join("\n")).unwrap();
        let mut config = loaded.config;
        config.msrp.advertise = advertise.to_vec();
        config.msrp.tls = tls;
        config.core(bound).msrp
    };
    let either = |offered| MsrpPlaces::Either {
        tcp: place("192.0.2.1", 2855),
        tls: place("192.0.2.1", 2856),
        offered,
    };
    for (bound, rule, expected) in [
        (
            &bound[..1],
            MsrpTls::Accepted,
            MsrpPlaces::Tcp(place("192.0.2.1", 2855)),
        ),
        (
            &bound[1..],
            MsrpTls::Accepted,
            MsrpPlaces::Tls(place("192.0.2.1", 2856)),
        ),
        (&bound[..], MsrpTls::Accepted, either(MsrpTransport::Tcp)),
        (&bound[..], MsrpTls::Offered, either(MsrpTransport::Tls)),
        (
            &bound[..],
            MsrpTls::Required,
            MsrpPlaces::Tls(place("192.0.2.1", 2856)),
        ),
    ] {
        assert_eq!(places(bound, &[], rule), expected);
    }
    let advertised = [(MsrpTransport::Tls, place("gateway.example.com", 443))]
        .map(|(transport, (host, port))| (transport, (host, Some(port))));
    assert_eq!(
        places(&bound, &advertised, MsrpTls::Required),
        MsrpPlaces::Tls(place("gateway.example.com", 443))
    );
}

#[test]
fn plain_tcp_and_tls_need_ports_of_their_own() {
    let found = faults(
        &format!("[msrp]\nlisten = [\"127.0.0.1\", \"tls:127.0.0.1\"]\n{MINIMAL}"),
        &[],
    );
    assert_eq!(
        found[0],
        "gateway.toml:2:1: msrp.listen: one port for plain TCP and for TLS; write another behind the address of one of them, such as \"tls:192.0.2.1:2856\""
    );
}

#[test]
fn a_host_that_is_advertised_for_one_transport_is_that_of_the_other_at_the_port_listened_on() {
    use mapping::MsrpTransport::{Tcp, Tls};
    let advertised = |entries: &str| {
        let authority = gateway_tests::authority::Authority::new().unwrap();
        let files = authority
            .issue("gateway", &gateway_tests::authority::Says::default())
            .unwrap();
        let text = format!(
            "[msrp]\nlisten = [\"0.0.0.0:2855\", \"tls:0.0.0.0:2856\"]\nadvertise = {entries}\n\
             [tls]\ncertificate = {:?}\nkey = {:?}\ntrust_anchors = {:?}\n{MINIMAL}",
            files.certificate,
            files.key,
            authority.file()
        );
        let loaded = load(&text, &[]).map_err(|faults| faults.join("\n")).unwrap();
        loaded.config.msrp.advertise
    };
    let place = |host: &str, port| (host.to_owned(), port);
    assert_eq!(
        advertised("\"a.example:5000\""),
        [
            (Tcp, place("a.example", Some(5000))),
            (Tls, place("a.example", None))
        ]
    );
    assert_eq!(
        advertised("[\"a.example\", \"tls:b.example:443\"]"),
        [
            (Tcp, place("a.example", None)),
            (Tls, place("b.example", Some(443)))
        ]
    );
    assert_eq!(
        advertised("\"TLS:b.example:443\""),
        [
            (Tcp, place("b.example", None)),
            (Tls, place("b.example", Some(443)))
        ]
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
