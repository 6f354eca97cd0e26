#![no_main]

#[path = "../../tests/fuzz/fuzzed.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzed::multipart(data));
