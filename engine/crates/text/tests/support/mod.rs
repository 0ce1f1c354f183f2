//! What the tests of this crate share.
#![allow(dead_code)]

pub mod json;

use std::path::PathBuf;

use gguf::{Gguf, Value, Writer};
use text::Tokeniser;

/// Where the vectors lie: the few in the repository, or many made for a long run.
pub fn vectors() -> PathBuf {
    std::env::var_os("TEXT_VECTORS").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data"), PathBuf::from)
}

/// The file's metadata with some keys set to other values, as a file in memory.
pub fn with_keys(file: &str, keys: &[(&str, Value)]) -> Gguf {
    let original = Gguf::open(vectors().join(file)).unwrap();
    let mut writer = Writer::new("unused");
    for (key, value) in original
        .metadata
        .iter()
        .filter(|(key, _)| keys.iter().all(|(other, _)| other != key))
    {
        writer.metadata(key, value.clone()).unwrap();
    }
    for (key, value) in keys {
        writer.metadata(key, value.clone()).unwrap();
    }
    Gguf::parse(&writer.header().unwrap()).unwrap()
}

pub fn tokeniser(file: &str, keys: &[(&str, Value)]) -> Tokeniser {
    Tokeniser::from_metadata(&with_keys(file, keys).metadata).unwrap()
}
