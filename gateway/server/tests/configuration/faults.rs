//! What each fault says.

use std::path::Path;

use server::config;

use crate::{MINIMAL, faults};

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
            "[state]\ndirectory = \"/nonexistent/state\"\n[xmpp]",
            "gateway.toml:3:1: state.directory: /nonexistent/state is no directory; create it, writable by the gateway's user",
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
