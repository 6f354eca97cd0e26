//! The kept inputs of the fuzz targets (`corpora/`, one folder for each target), run again.

mod fuzzed;

use std::{fs, path::PathBuf};

#[cfg(test)]
fn replay(target: &str, run: fn(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("corpora")
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
fn core() {
    replay("core", fuzzed::core);
}

#[test]
fn endpoint() {
    replay("endpoint", fuzzed::endpoint);
}

#[test]
fn link() {
    replay("link", fuzzed::link);
}
