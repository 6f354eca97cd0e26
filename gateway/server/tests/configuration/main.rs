//! The configuration: what is accepted, what each fault says, what is shown of it.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "tests: a failed assumption is a failed test"
)]

mod deployed;
mod domains;
mod faults;
mod msrp_places;
mod sources;
mod trust;

use std::{
    ffi::OsString,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use server::config::{self, Loaded};

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
