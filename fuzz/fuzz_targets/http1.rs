//! `cargo xtask prove fuzz-http1`: the codec's promises on whatever bytes the fuzzer finds.
#![no_main]

#[path = "../bodies/http1.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::any_bytes(data));
