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
    let count = replay_folder(&format!("corpora/{target}"), run);
    assert!(count >= 50, "{count} inputs");
}

fn replay_folder(folder: &str, run: fn(&[u8])) -> usize {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(folder);
    let mut inputs: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    inputs.sort();
    for input in &inputs {
        println!("{}", input.display());
        run(&fs::read(input).unwrap());
    }
    inputs.len()
}

#[test]
fn datagram() {
    replay("datagram", fuzzed::datagram);
}

#[test]
fn the_torture_messages_as_datagrams() {
    assert_eq!(replay_folder("torture/rfc4475", fuzzed::datagram), 49);
    assert_eq!(replay_folder("torture/rfc5118", fuzzed::datagram), 12);
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
fn multipart() {
    replay("multipart", fuzzed::multipart);
}

#[test]
fn conference() {
    replay("conference", fuzzed::conference);
}

#[test]
fn digest() {
    replay("digest", fuzzed::digest);
}
