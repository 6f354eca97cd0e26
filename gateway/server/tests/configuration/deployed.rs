//! The file that operators start from says what the gateway does without it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use server::config::{self, settings::Settings};

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
        ".state.directory",
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
