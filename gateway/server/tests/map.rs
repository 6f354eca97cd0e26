//! `sip-xmpp-gateway map`: each form of address, and what is said of it.

#![expect(clippy::unwrap_used, reason = "tests: a failed assumption is a failed test")]

use std::{path::PathBuf, process::Command};

/// What is printed of an address, with these variables.
fn map(address: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let deployed = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/gateway.toml");
    let output = Command::new(env!("CARGO_BIN_EXE_sip-xmpp-gateway"))
        .env_remove("GATEWAY_CONFIG")
        .envs(variables.iter().copied())
        .args(["map", address, "--config"])
        .arg(deployed)
        .output()
        .unwrap();
    let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), shown)
}

#[track_caller]
fn says(address: &str, variables: &[(&str, &str)], words: &[&str]) {
    let (well, shown) = map(address, variables);
    assert!(well, "{address}: {shown}");
    for word in words {
        assert!(shown.contains(word), "{address}: no `{word}` in\n{shown}");
    }
}

#[track_caller]
fn refuses(address: &str, variables: &[(&str, &str)], words: &[&str]) {
    let (well, shown) = map(address, variables);
    assert!(!well, "{address}: {shown}");
    for word in words {
        assert!(shown.contains(word), "{address}: no `{word}` in\n{shown}");
    }
}

const CONFERENCES: (&str, &str) = (
    "GATEWAY__CONFERENCES",
    "[{ muc = \"conference.example.org\", sip = \"focus.example.net\" }]",
);
const HOSTED: (&str, &str) = ("GATEWAY__XMPP__FORM", "hosted");
const NUMBERS: (&str, &str) = ("GATEWAY__ROUTING__NUMBERS", "example.org");

#[test]
fn rooms_and_occupants_both_ways() {
    says(
        "sip:Capulet@rooms.example.com",
        &[],
        &[
            "an XMPP room",
            "is       capulet@rooms.example.com\n",
            "RFC 7702 §6",
            "rooms[0].sip",
            "gateway.toml:",
        ],
    );
    says(
        "sip:capulet@rooms.example.com;gr=Juliet%20C.",
        &[],
        &["an occupant", "is       capulet@rooms.example.com/Juliet C.\n"],
    );
    says(
        "capulet@rooms.example.com",
        &[],
        &[
            "an XMPP room",
            "is       sip:capulet@rooms.example.com\n",
            "rooms[0].muc",
        ],
    );
    says(
        "capulet@rooms.example.com/Juliet C.",
        &[],
        &["is       sip:capulet@rooms.example.com;gr=Juliet%20C.\n"],
    );
    says(
        "sip:montague@focus.example.net;gr=Romeo",
        &[CONFERENCES],
        &[
            "a SIP conference",
            "is       montague@conference.example.org/Romeo\n",
            "environment variable GATEWAY__CONFERENCES",
        ],
    );
    says(
        "xmpp:montague@conference.example.org/Romeo?join",
        &[CONFERENCES],
        &["is       sip:montague@focus.example.net;gr=Romeo\n"],
    );
}

#[test]
fn users_in_both_forms_and_both_ways() {
    says(
        "sip:o'malley@example.org;gr=phone",
        &[],
        &[
            "a SIP user who calls",
            r"is       o\27malley@example.org/phone",
            "native form",
            "xmpp.domain (",
        ],
    );
    says(
        r"o\27malley@example.org/phone",
        &[],
        &["is       sip:o'malley@example.org;gr=phone\n"],
    );
    says(
        "sip:romeo@example.net",
        &[HOSTED],
        &[r"is       romeo\40example.net@example.org", "hosted form"],
    );
    says(
        r"romeo\40example.net@example.org",
        &[HOSTED],
        &["is       sip:romeo@example.net\n"],
    );
    says(
        "sip:romeo@example.net",
        &[("GATEWAY__USERS", "[{ domain = \"example.net\" }]")],
        &["is       romeo@example.net\n", "users[0].domain"],
    );
    says(
        "juliet@example.com/balcony",
        &[],
        &[
            "an XMPP user",
            "is       sip:juliet@example.com;gr=balcony\n",
            "RFC 7247 §6.5",
        ],
    );
    says(
        "JULIET@bücher.example",
        &[],
        &["is       sip:juliet@xn--bcher-kva.example\n"],
    );
    says(
        "xmpp:j%C3%BCliet@example.com",
        &[],
        &["is       sip:j%C3%BCliet@example.com\n"],
    );
}

#[test]
fn who_is_invited_goes_by_routing() {
    says(
        "sip:juliet@example.com",
        &[],
        &[
            "through the room",
            "is       juliet@example.com\n",
            "routing.otherwise",
        ],
    );
    says(
        "im:juliet@example.com",
        &[],
        &["through the room", "is       juliet@example.com\n"],
    );
    says(
        "im:tybalt@sip.example.com",
        &[("GATEWAY__ROUTING__SIP", "*.example.com")],
        &[
            "the room calls him",
            "is       sip:tybalt@sip.example.com\n",
            "routing.sip",
        ],
    );
    says(
        "im:romeo@example.org",
        &[],
        &["the room calls him", "xmpp.domain"],
    );
}

#[test]
fn numbers_are_users_of_their_domain() {
    says(
        "tel:+1-201-555-0123",
        &[NUMBERS],
        &[
            "is       +12015550123@example.org\n",
            "is       sip:+12015550123@example.org",
        ],
    );
    refuses(
        "tel:+12015550123",
        &[],
        &[
            "a telephone number",
            "404 No Such User",
            "remedy   name the SIP domain of telephone numbers",
        ],
    );
    refuses(
        "tel:7042;phone-context=example.org",
        &[NUMBERS],
        &["484", "item-not-found", "remedy   write it with +"],
    );
}

#[test]
fn what_is_refused_says_why_and_what_would_help() {
    refuses(
        "sips:capulet@rooms.example.com",
        &[],
        &["480 SIPS", "RFC 7247 §8", "remedy   write sip:"],
    );
    refuses(
        "sip:rooms.example.com",
        &[],
        &["404 No Such Room", "remedy   name a room"],
    );
    refuses(
        "rooms.example.com",
        &[],
        &["404 No Such Room", "remedy   name a room"],
    );
    refuses(
        "im:capulet@rooms.example.com",
        &[],
        &["482 Loop Detected", "name a user, not a room"],
    );
    refuses(
        "sip:mallory@example.org",
        &[
            ("GATEWAY__ACCESS__DENY_CALLERS", "mallory@example.org"),
            ("GATEWAY__ROUTING__SIP", "x.org"),
        ],
        &["403 Not Allowed Here", "see allow_callers"],
    );
    for nonsense in ["", "@", "http://example.org", "tel:"] {
        refuses(nonsense, &[], &["no address: write sip:user@domain"]);
    }
}
