//! Files that lie: each is refused, with the place and the reason.

mod support;

use gguf::{Gguf, TensorType};
use support::generate::{content, encode};
use support::mutate::mutate;
use support::random::Random;
use support::raw::Raw;

const HUGE: u64 = u64::MAX;

/// A file with one tensor row and `data` bytes of data.
fn with_tensor(shape: &[u64], code: u32, offset: u64, data: usize) -> Raw {
    Raw::header(3, 1, 0).tensor("t", shape, code, offset).pad(32).zeros(data)
}

fn with_key(code: u32) -> Raw {
    Raw::header(3, 0, 1).key("k", code)
}

#[test]
fn each_lie_is_refused_with_its_place_and_reason() {
    // (file, offset of the complaint, words of the message)
    let table: Vec<(Raw, Option<u64>, &[&str])> = vec![
        (Raw(vec![]), Some(0), &["not a GGUF file", "\"GGUF\""]),
        (Raw(b"GGU".to_vec()), Some(0), &["not a GGUF file", "\"GGU\""]),
        (Raw(b"\x89PNG\x1b[2J  ".to_vec()), Some(0), &["not a GGUF file", "\\x89PNG"]),
        (Raw::header(1, 0, 0), Some(4), &["version 1"]),
        (Raw::header(4, 0, 0), Some(4), &["unknown GGUF version", "4"]),
        (Raw::header(3u32.swap_bytes(), 0, 0), Some(4), &["big-endian"]),
        // Counts that the file cannot pay for.
        (
            Raw::header(3, HUGE, 0),
            Some(24),
            &["table of 18446744073709551615 tensors", "0 are left"],
        ),
        (
            Raw::header(3, 0, HUGE),
            Some(24),
            &["metadata of 18446744073709551615 keys", "0 are left"],
        ),
        (Raw::header(3, 1 << 60, 0).zeros(100), Some(24), &["tensors", "100 are left"]),
        // Keys.
        (
            Raw::header(3, 0, 1).u64(HUGE).zeros(64),
            Some(24),
            &["key number 0", "too long", "65535"],
        ),
        (
            Raw::header(3, 0, 1).u64(60_000).zeros(64),
            Some(32),
            &["key number 0", "60000", "64 are left"],
        ),
        (Raw::header(3, 0, 1).u64(0).zeros(64), Some(24), &["key number 0", "empty"]),
        (
            Raw::header(3, 0, 1).u64(2).bytes(&[0xff, 0xfe]).zeros(64),
            Some(24),
            &["key number 0", "not UTF-8"],
        ),
        (
            Raw::header(3, 0, 2).key("k", 0).u8(1).key("k", 0).u8(1),
            Some(38),
            &["key k", "twice"],
        ),
        // Values.
        (with_key(13).zeros(64), Some(33), &["value of k", "unknown value type 13"]),
        (with_key(7).u8(2), Some(37), &["value of k", "bool of 2"]),
        (
            with_key(8).u64(HUGE).zeros(9),
            Some(37),
            &["value of k", "too long", "18446744073709551615"],
        ),
        (
            with_key(8).u64(100).zeros(9),
            Some(45),
            &["value of k", "100 bytes", "9 are left"],
        ),
        (with_key(8).u64(3).bytes(b"a\xc3("), Some(37), &["value of k", "not UTF-8"]),
        (
            with_key(9).u32(10).u64(HUGE / 8 + 1).zeros(99),
            Some(49),
            &["value of k", "99 are left"],
        ),
        (
            with_key(9).u32(0).u64(1 << 40).zeros(99),
            Some(49),
            &["value of k", "99 are left"],
        ),
        (
            with_key(9).u32(8).u64(2).str("x").u64(1 << 33).zeros(9),
            Some(58),
            &["value of k", "too long"],
        ),
        (
            with_key(9).u32(8).u64(2).u64(1).u8(0xe2).u64(2).bytes(&[0x96, 0x81]),
            Some(49),
            &["not UTF-8"],
        ),
        (
            with_key(9).u32(9).u64(1 << 50).zeros(99),
            Some(49),
            &["value of k", "99 are left"],
        ),
        (with_key(9).u32(77).u64(1).zeros(9), Some(37), &["unknown value type 77"]),
        (with_key(6).u8(0), Some(37), &["value of k", "4 bytes", "1 are left"]),
        // Alignment.
        (
            Raw::header(3, 0, 1).key("general.alignment", 4).u32(0),
            None,
            &["general.alignment", "power of two"],
        ),
        (
            Raw::header(3, 0, 1).key("general.alignment", 4).u32(48),
            None,
            &["general.alignment is 48", "power of two"],
        ),
        (
            Raw::header(3, 0, 1).key("general.alignment", 4).u32(1 << 31),
            None,
            &["general.alignment is 2147483648", "power of two of at most 1048576"],
        ),
        (
            Raw::header(3, 0, 1).key("general.alignment", 8).str("32"),
            None,
            &["general.alignment is string", "whole number"],
        ),
        (
            Raw::header(3, 0, 1).key("general.alignment", 5).u32(u32::MAX),
            None,
            &["general.alignment is -1"],
        ),
        // Tensor rows.
        (
            Raw::header(3, 1, 0).u64(64).zeros(200),
            Some(24),
            &["name of tensor number 0", "64", "63"],
        ),
        (
            Raw::header(3, 1, 0).u64(0).zeros(200),
            Some(24),
            &["name of tensor number 0", "empty"],
        ),
        (
            with_tensor(&[4, 1, 1, 1, 1], 0, 0, 64),
            Some(24),
            &["tensor t", "list of dimensions", "5", "4"],
        ),
        (
            Raw::header(3, 1, 0).str("t").u32(u32::MAX).zeros(64),
            Some(24),
            &["list of dimensions", "4294967295"],
        ),
        (with_tensor(&[], 0, 0, 64), Some(24), &["tensor t", "shape []"]),
        (
            with_tensor(&[4, 0], 0, 0, 64),
            Some(24),
            &["tensor t", "shape [4, 0]", "at least 1"],
        ),
        (with_tensor(&[4], 99, 0, 64), Some(24), &["tensor t", "unknown type 99"]),
        (
            with_tensor(&[4], 4, 0, 64),
            Some(24),
            &["tensor t", "unknown type 4", "removed"],
        ),
        (with_tensor(&[32], 31, 0, 64), Some(24), &["repacked", "Q4_0"]),
        (
            with_tensor(&[33], 2, 0, 64),
            Some(24),
            &["tensor t", "rows of 33", "Q4_0", "multiple of 32"],
        ),
        (
            with_tensor(&[1 << 32, 1 << 32], 0, 0, 64),
            Some(24),
            &["tensor t", "overflows"],
        ),
        (with_tensor(&[1 << 62, 2], 0, 0, 64), Some(24), &["tensor t", "overflows"]),
        (with_tensor(&[1 << 61], 0, 0, 64), Some(24), &["tensor t", "overflows"]),
        (with_tensor(&[HUGE], 24, 0, 64), Some(24), &["tensor t", "overflows"]),
        // Places.
        (
            with_tensor(&[4], 0, 4, 64),
            Some(24),
            &["tensor t", "offset 4", "multiple of 32"],
        ),
        (
            with_tensor(&[4], 0, HUGE - 31, 64),
            Some(24),
            &["tensor t", "file ends at 128"],
        ),
        (
            with_tensor(&[4], 0, 32, 40),
            Some(24),
            &["tensor t", "16 bytes of data from byte 96", "file ends at 104"],
        ),
        (
            with_tensor(&[16], 0, 0, 63),
            Some(24),
            &["64 bytes of data from byte 64", "file ends at 127"],
        ),
        (
            Raw::header(3, 2, 0)
                .tensor("a", &[16], 0, 32)
                .tensor("b", &[9], 0, 0)
                .pad(32)
                .zeros(999),
            Some(24),
            &["tensor a", "but b ends at"],
        ),
        (
            Raw::header(3, 2, 0)
                .tensor("a", &[16], 0, 0)
                .tensor("b", &[1], 0, 0)
                .pad(32)
                .zeros(999),
            None,
            &["ends at"],
        ),
        (
            Raw::header(3, 2, 0)
                .tensor("t", &[1], 0, 0)
                .tensor("t", &[1], 0, 32)
                .pad(32)
                .zeros(999),
            Some(57),
            &["tensor t", "twice"],
        ),
    ];
    for (index, (Raw(bytes), at, words)) in table.iter().enumerate() {
        let error = Gguf::parse(bytes).expect_err(&format!("row {index} was accepted"));
        let text = error.to_string();
        for word in *words {
            assert!(text.contains(word), "row {index}: {text:?} does not say {word:?}");
        }
        if at.is_some() {
            assert_eq!(error.offset(), *at, "row {index}: {text}");
        }
        assert!(
            text.chars().all(|c| !c.is_control()),
            "row {index}: {text:?} would disturb a terminal"
        );
    }
}

#[test]
fn a_file_cut_anywhere_in_its_header_or_data_is_refused() {
    let full = encode(&content(&mut Random::new(3)));
    let gguf = Gguf::parse(&full).unwrap();
    let end = gguf
        .tensors
        .iter()
        .map(|tensor| tensor.offset + tensor.bytes)
        .max()
        .expect("seed 3 has tensors");
    for length in 0..end {
        let error = Gguf::parse(&full[..length as usize]).expect_err(&format!("cut to {length} bytes"));
        assert!(error.offset().is_none_or(|at| at <= length), "{error}");
        // Told from the length, before a read that would fail.
        assert!(!matches!(error, gguf::GgufError::Io { .. }), "cut to {length} bytes: {error}");
    }
    // The padding after the last tensor is not data: real files come with and without it.
    Gguf::parse(&full[..end as usize]).unwrap();
}

#[test]
fn a_tensor_of_no_use_to_the_kernels_is_described_but_not_given_out() {
    for &kind in TensorType::ALL {
        let (row, bytes) = (kind.block_weights(), kind.block_bytes() as usize);
        let gguf = Gguf::parse(&with_tensor(&[row], kind.code(), 0, bytes).0).unwrap();
        assert_eq!(gguf.tensors[0].bytes, bytes as u64);
        match gguf.need_tensor("t", &[row]) {
            Ok(tensor) => assert!(["F32", "F16", "Q8_0", "Q6_K", "Q4_0"].contains(&tensor.kind.name())),
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(kind.name()) && text.contains("convert"), "{text}");
            }
        }
    }
    let gguf = Gguf::parse(&with_tensor(&[4, 2], 0, 0, 32).0).unwrap();
    let text = gguf.need_tensor("t", &[2, 4]).unwrap_err().to_string();
    assert_eq!(text, "tensor t has shape [4, 2]; expected [2, 4]");
    assert_eq!(gguf.need_tensor("u", &[1]).unwrap_err().to_string(), "tensor u is missing");
}

#[test]
fn getters_name_the_key_what_was_found_and_what_was_wanted() {
    let file = Raw::header(3, 0, 4).key("text", 8).str("x").key("minus", 5).u32(-3i32 as u32);
    let file = file
        .key("big", 10)
        .u64(1 << 40)
        .key("list", 9)
        .u32(8)
        .u64(2)
        .str("a")
        .str("b");
    let metadata = Gguf::parse(&file.0).unwrap().metadata;
    let says = |result: Result<u32, gguf::GgufError>| result.unwrap_err().to_string();
    let u32_wanted = "expected a whole number from 0 to 4294967295 (u32)";
    assert_eq!(says(metadata.u32("text")), format!("key text is string; {u32_wanted}"));
    assert_eq!(says(metadata.u32("minus")), format!("key minus is -3; {u32_wanted}"));
    assert_eq!(says(metadata.u32("big")), format!("key big is 1099511627776; {u32_wanted}"));
    assert_eq!(
        says(metadata.u32("list")),
        format!("key list is array of string (2 of them); {u32_wanted}")
    );
    assert_eq!(says(metadata.u32("gone")), format!("key gone is missing; {u32_wanted}"));
    assert_eq!(metadata.u64("big").unwrap(), 1 << 40);
    assert_eq!(metadata.u32_or("gone", 5).unwrap(), 5);
    assert!(
        metadata.u32_or("text", 5).is_err(),
        "a key of the wrong type is no absent key"
    );
    assert_eq!(metadata.strings("list").unwrap().iter().collect::<Vec<_>>(), ["a", "b"]);
}

/// Opening one would wait for somebody to write into it.
#[test]
fn a_pipe_is_refused_and_not_waited_for() {
    let pipe = std::env::temp_dir().join(format!("neuronlab-gguf-pipe-{}", std::process::id()));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (told, heard) = std::sync::mpsc::channel();
    let opened = pipe.clone();
    std::thread::spawn(move || told.send(Gguf::open(&opened).map(|_| ()).map_err(|error| error.to_string())));
    let found = heard.recv_timeout(std::time::Duration::from_secs(20));
    std::fs::remove_file(&pipe).unwrap();
    assert!(found.expect("it waits").unwrap_err().contains("not a regular file"));
}

#[test]
fn a_short_run_of_the_fuzzer_finds_nothing() {
    let mut random = Random::new(20_261_121);
    let seeds: Vec<Vec<u8>> = (0..60).map(|seed| encode(&content(&mut Random::new(seed)))).collect();
    let mut good = 0;
    for _ in 0..60_000 {
        let mut bytes = random.pick(&seeds).clone();
        mutate(&mut random, &mut bytes, &seeds[1]);
        good += u32::from(support::invariants::check(&bytes));
    }
    // Both kinds must be met, or the mutations are too wild or too tame to test anything.
    assert!((1_000..59_000).contains(&good), "{good} of 60000 were good files");
}
