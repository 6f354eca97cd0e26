//! The kept inputs of the fuzz targets (`tests/corpora/`, one folder for each target), run again.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod fuzzed;

use std::{fs, path::PathBuf};

fn replay(target: &str, run: fn(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpora")
        .join(target);
    let mut inputs: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    inputs.sort();
    assert!(inputs.len() >= 50, "{} inputs", inputs.len());
    for input in inputs {
        println!("{}", input.display());
        run(&fs::read(input).unwrap());
    }
}

#[test]
fn datagram() {
    replay("datagram", fuzzed::datagram);
}

#[test]
fn stream() {
    replay("stream", fuzzed::stream);
}

#[test]
fn sdp() {
    replay("sdp", fuzzed::sdp);
}

#[test]
fn conference() {
    replay("conference", fuzzed::conference);
}

#[test]
fn digest() {
    replay("digest", fuzzed::digest);
}
