//! The kept inputs of the fuzz targets (`tests/corpora/`, one folder for each target), run again.

use std::{fs, path::PathBuf};

use crate::fuzzed;

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
fn decoder() {
    replay("decoder", fuzzed::decoder);
}

#[test]
fn connection() {
    replay("connection", fuzzed::connection);
}

#[test]
fn cpim() {
    replay("cpim", fuzzed::cpim);
}

#[test]
fn iscomposing() {
    replay("iscomposing", fuzzed::iscomposing);
}

#[test]
fn imdn() {
    replay("imdn", fuzzed::imdn);
}
