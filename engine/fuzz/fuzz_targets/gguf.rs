//! The GGUF parser under libFuzzer: the invariants are those of the crate's own tests.
#![no_main]

#[path = "../../crates/gguf/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    support::invariants::check(bytes);
});
