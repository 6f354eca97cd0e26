#![no_main]

#[path = "../../tests/suite/fuzzed/mod.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzed::imdn(data));
