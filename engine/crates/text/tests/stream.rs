//! Text as it comes: whole characters only, the same text however the ids arrive.

mod support;

use gguf::Strings;
use support::tokeniser;
use text::{Detokeniser, EncodeOptions, TextError, TokenKind, Tokeniser};

const TEXTS: [&str; 5] = [
    "plain text, two words",
    "日本語 and 👩‍👩‍👧‍👦 and ünïcödé",
    "\u{10ffff}\u{800}\u{7ff}",
    "e\u{301} \r\n\t x",
    "🎉🎉🎉",
];

#[test]
fn a_stream_gives_whole_characters_and_in_the_end_the_text() {
    for family in ["bpe.gguf", "spm.gguf"] {
        let tokeniser = tokeniser(family, &[]);
        for text in TEXTS {
            let ids = tokeniser.encode(text, EncodeOptions::PLAIN);
            let mut stream = Detokeniser::new(&tokeniser);
            let mut whole = String::new();
            let mut silent = 0;
            for &id in &ids {
                let before = whole.len();
                stream.push(id, &mut whole).unwrap();
                silent += usize::from(whole.len() == before);
                assert!(
                    !whole.contains(char::REPLACEMENT_CHARACTER),
                    "{family}: half a character in {whole:?}"
                );
            }
            stream.finish(&mut whole);
            let prefixed = if family == "spm.gguf" {
                format!(" {text}")
            } else {
                text.to_owned()
            };
            assert_eq!(whole, prefixed, "{family}");
            // No token is the last character of Unicode: it comes byte by byte, and its first ids must give nothing yet.
            assert!(!text.contains('\u{10ffff}') || silent > 2, "{family} {text:?}");
        }
    }
}

/// Tokens of single bytes, in the order of `bytes`.
fn byte_tokens(tokeniser: &Tokeniser, bytes: &[u8]) -> Vec<u32> {
    bytes
        .iter()
        .map(|byte| tokeniser.token_id(&format!("<0x{byte:02X}>")).unwrap())
        .collect()
}

#[test]
fn bytes_that_are_no_character_become_what_the_standard_library_makes_of_them() {
    let tokeniser = tokeniser("spm.gguf", &[]);
    let cases: [&[u8]; 9] = [
        b"ok",
        b"\xff",
        b"a\xc3",
        b"\xe6\x97",
        b"\xe6\x97a",
        b"\xf0\x9f\x8e\x89\xf0\x9f",
        b"\xc0\xaf\xed\xa0\x80",
        b"\x80\x80x",
        b"\xf5\xe6\x97\xa5",
    ];
    for bytes in cases {
        let mut stream = Detokeniser::new(&tokeniser);
        let mut text = String::new();
        byte_tokens(&tokeniser, bytes)
            .into_iter()
            .for_each(|id| stream.push(id, &mut text).unwrap());
        stream.finish(&mut text);
        assert_eq!(text, String::from_utf8_lossy(bytes), "{bytes:x?}");
    }
}

#[test]
fn a_finished_stream_starts_anew() {
    let tokeniser = tokeniser("spm.gguf", &[]);
    let ids = byte_tokens(&tokeniser, "é".as_bytes());
    let (mut stream, mut text) = (Detokeniser::new(&tokeniser), String::new());
    stream.push(ids[0], &mut text).unwrap();
    stream.finish(&mut text);
    stream.push(ids[0], &mut text).unwrap();
    stream.push(ids[1], &mut text).unwrap();
    assert_eq!(text, "\u{fffd}é");
}

#[test]
fn special_tokens_are_shown_only_when_asked_for() {
    let tokeniser = tokeniser("bpe.gguf", &[]);
    let ids = tokeniser.encode("<|im_start|>user\nhi<|im_end|><tool>", EncodeOptions::TEMPLATE);
    let render = |mut stream: Detokeniser| {
        let mut text = String::new();
        ids.iter().for_each(|&id| stream.push(id, &mut text).unwrap());
        text
    };
    assert_eq!(render(Detokeniser::new(&tokeniser)), "\nhi<tool>");
    assert_eq!(
        render(Detokeniser::new(&tokeniser).with_special()),
        "<|im_start|>user\nhi<|im_end|><tool>"
    );
    assert!(tokeniser.ends_generation(tokeniser.token_id("<|im_end|>").unwrap()));
    assert!(!tokeniser.ends_generation(tokeniser.token_id("<|im_start|>").unwrap()));
    assert_eq!(
        tokeniser.token_kind(tokeniser.token_id("<tool>").unwrap()).unwrap(),
        TokenKind::UserDefined
    );
}

#[test]
fn an_id_that_no_token_has_is_an_error() {
    let tokeniser = tokeniser("spm.gguf", &[]);
    let last = tokeniser.tokens() as u32;
    let error = tokeniser.decode(&[5, last]).unwrap_err();
    assert!(matches!(error, TextError::NoSuchToken { .. }));
    assert_eq!(
        error.to_string(),
        format!("no such token: {last}; expected 0 to {}", last - 1)
    );
}

#[test]
fn odd_vocabularies_encode_without_a_panic() {
    let odd = Strings::from_iter(["", "", "a", "a", "▁", "<0x>", "<0xZZ>", "<0x+1>", "Ġ", "日"]);
    for file in ["spm.gguf", "bpe.gguf"] {
        let keys = [
            ("tokenizer.ggml.tokens", odd.clone().into()),
            ("tokenizer.ggml.token_type", vec![6i32, 99, 1, 1, 1, 6, 6, 6, 3, -5].into()),
            ("tokenizer.ggml.scores", vec![f32::NAN; 10].into()),
            (
                "tokenizer.ggml.merges",
                Strings::from_iter(["a a", "aa aa", "Ġ a", "Ã ©"]).into(),
            ),
            ("tokenizer.ggml.bos_token_id", u32::MAX.into()),
            ("tokenizer.ggml.eos_token_id", 10u32.into()),
        ];
        let tokeniser = tokeniser(file, &keys);
        for text in ["aaaaa a 日本 é", "", "<0x>", "\0"] {
            for options in [EncodeOptions::PROMPT, EncodeOptions::TEMPLATE] {
                let ids = tokeniser.encode(text, options);
                assert!(ids.iter().all(|&id| id < 10), "{file} {ids:?}");
                tokeniser.decode(&ids).unwrap();
            }
        }
        assert_eq!(tokeniser.token_text(1).unwrap(), "[EMPTY_1]");
        assert_eq!(tokeniser.token_id("a"), Some(2), "of equal texts the lowest id");
        assert!((0..10).all(|id| tokeniser.decode(&[id]).is_ok()));
    }
}

#[test]
fn a_long_text_takes_time_in_proportion() {
    let tokeniser = tokeniser("spm.gguf", &[]);
    let book = "It was the best of times, it was the worst of times. ".repeat(4_000);
    let time = |text: &str| {
        let started = std::time::Instant::now();
        assert!(!tokeniser.encode(text, EncodeOptions::PLAIN).is_empty());
        started.elapsed().as_secs_f64()
    };
    let part = (0..3).map(|_| time(&book[..book.len() / 16])).fold(f64::MAX, f64::min);
    let whole = (0..3).map(|_| time(&book)).fold(f64::MAX, f64::min);
    // n log n: a little over 16; quadratic would be 256. Wide enough for a busy machine.
    assert!(whole < 80.0 * part, "a sixteenth takes {part} s, the whole {whole} s");
}
