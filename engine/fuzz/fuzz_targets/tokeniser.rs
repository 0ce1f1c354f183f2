//! A tokeniser from any metadata: no panic, ids that exist, and text back from them. Seeds: the vocabularies in
//! `crates/text/tests/data`, and small ones of the same keys.
#![no_main]

use libfuzzer_sys::fuzz_target;
use text::{EncodeOptions, Tokeniser};

fuzz_target!(|bytes: &[u8]| {
    let Ok(gguf) = gguf::Gguf::parse(bytes) else { return };
    let Ok(tokeniser) = Tokeniser::from_metadata(&gguf.metadata) else { return };
    // The tail of the file is text too, and mostly made of pieces that tokens are made of.
    let tail = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(200)..]);
    for text in ["It's 1234 x\n\n  日本 é\u{301}<s></s><|im_end|>", "aaaa ▁▁ a", tail.as_ref()] {
        for options in [EncodeOptions::PROMPT, EncodeOptions::TEMPLATE, EncodeOptions::PLAIN] {
            let ids = tokeniser.encode(text, options);
            tokeniser.decode(&ids).expect("an id that the tokeniser gave");
        }
    }
});
