//! The same ids as llama.cpp for the same text and vocabulary: vectors made by `make-vectors/make.py`.

mod support;

use std::fs;

use gguf::Value;
use support::json::Json;
use support::{tokeniser, vectors};
use text::{EncodeOptions, TextError, Tokeniser};

/// The variants of a vocabulary as make.py made them, by name.
fn variant(family: &str, name: &str) -> Tokeniser {
    let file = format!("{family}.gguf");
    match (family, name) {
        ("bpe", pre) => tokeniser(&file, &[("tokenizer.ggml.pre", pre.into())]),
        (_, "no-prefix") => tokeniser(&file, &[("tokenizer.ggml.add_space_prefix", false.into())]),
        (_, "eos") => tokeniser(
            &file,
            &[
                ("tokenizer.ggml.add_bos_token", false.into()),
                ("tokenizer.ggml.add_eos_token", true.into()),
            ],
        ),
        _ => tokeniser(&file, &[]),
    }
}

fn lines(name: &str) -> Vec<Json> {
    fs::read_to_string(vectors().join(name))
        .unwrap()
        .lines()
        .map(Json::parse)
        .collect()
}

/// Every text by every variant; returns how many comparisons there were.
fn compare(family: &str) -> usize {
    let mut known: Vec<(String, Tokeniser)> = Vec::new();
    let (mut compared, mut wrong) = (0, Vec::new());
    for line in lines(&format!("{family}.jsonl")) {
        let text = line.get("text").text();
        let options = EncodeOptions {
            add_special: line.get("add").bool(),
            parse_special: line.get("parse").bool(),
        };
        for result in line.get("results").list() {
            let wanted: Vec<u32> = result.get("ids").list().iter().map(Json::number).collect();
            for name in result.get("of").list().iter().map(Json::text) {
                if !known.iter().any(|(other, _)| other == name) {
                    known.push((name.to_owned(), variant(family, name)));
                }
                let tokeniser = &known.iter().find(|(other, _)| other == name).unwrap().1;
                let found = tokeniser.encode(text, options);
                compared += 1;
                if found != wanted {
                    wrong.push(format!(
                        "{name} {options:?} {text:?}\n  wanted {wanted:?}\n  found  {found:?}"
                    ));
                }
            }
        }
    }
    let shown = wrong.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        wrong.is_empty(),
        "{} of {compared} differ from llama.cpp:\n{shown}",
        wrong.len()
    );
    println!("{compared} comparisons, {} variants", known.len());
    compared
}

#[test]
fn byte_pairs_give_the_ids_that_llama_cpp_gives() {
    assert!(compare("bpe") >= 5_000);
}

#[test]
fn sentence_pieces_give_the_ids_that_llama_cpp_gives() {
    assert!(compare("spm") >= 900);
}

#[test]
fn tokens_have_the_bytes_and_ends_that_llama_cpp_gives_them() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for family in ["bpe", "spm"] {
        let tokeniser = tokeniser(&format!("{family}.gguf"), &[]);
        let pieces = lines(&format!("{family}-pieces.jsonl"));
        assert_eq!(pieces.len(), tokeniser.tokens());
        for (id, piece) in (0..).zip(&pieces) {
            let mut plain = Vec::new();
            tokeniser.token_bytes_into(id, false, &mut plain).unwrap();
            let mut special = Vec::new();
            tokeniser.token_bytes_into(id, true, &mut special).unwrap();
            let name = tokeniser.token_text(id).unwrap();
            assert_eq!(hex(&plain), piece.get("plain").text(), "{family} {id} {name}");
            assert_eq!(hex(&special), piece.get("special").text(), "{family} {id} {name}");
            assert_eq!(
                tokeniser.ends_generation(id),
                piece.get("ends").bool(),
                "{family} {id} {name}"
            );
        }
    }
}

#[test]
fn every_text_comes_back_from_its_ids() {
    for family in ["bpe", "spm"] {
        let tokeniser = tokeniser(&format!("{family}.gguf"), &[]);
        for line in lines(&format!("{family}.jsonl")) {
            let text = line.get("text").text();
            let ids = tokeniser.encode(text, EncodeOptions::PLAIN);
            // SentencePiece puts a space before the text after a special token, which nothing tells from a space that was there.
            let cut = ids
                .iter()
                .any(|&id| tokeniser.token_kind(id).unwrap() == text::TokenKind::UserDefined);
            if family == "spm" && cut {
                continue;
            }
            // Nor is its sign for a space told from a space.
            let wanted = if family == "spm" {
                text.replace('\u{2581}', " ")
            } else {
                text.to_owned()
            };
            assert_eq!(tokeniser.decode(&ids).unwrap(), wanted, "{family}");
        }
    }
}

#[test]
fn tokenisers_that_are_not_written_are_refused_by_name() {
    let refused = |file, keys: &[(&str, Value)]| Tokeniser::from_metadata(&support::with_keys(file, keys).metadata).unwrap_err();
    let error = refused("bpe.gguf", &[("tokenizer.ggml.pre", "qwen9".into())]);
    let text = error.to_string();
    assert!(
        text.starts_with("unknown tokenizer.ggml.pre: qwen9; known: ") && text.contains("qwen2, "),
        "{text}"
    );
    let error = refused("bpe.gguf", &[("tokenizer.ggml.model", "bert".into())]);
    assert_eq!(error.to_string(), "unknown tokenizer.ggml.model: bert; known: gpt2, llama");
    let error = refused(
        "bpe.gguf",
        &[("tokenizer.ggml.merges", gguf::Strings::from_iter(["a b", "nospace"]).into())],
    );
    assert!(matches!(error, TextError::BadMerge { index: 1, .. }), "{error}");
    let error = refused("spm.gguf", &[("tokenizer.ggml.scores", vec![0.5f32].into())]);
    assert!(matches!(error, TextError::ShortArray { found: 1, .. }), "{error}");
    let error = refused("spm.gguf", &[("tokenizer.ggml.tokens", gguf::Strings::new().into())]);
    assert!(matches!(error, TextError::VocabularySize { found: 0 }), "{error}");
    let error = refused("spm.gguf", &[("tokenizer.ggml.tokens", vec![1u32].into())]);
    assert!(error.to_string().contains("tokenizer.ggml.tokens is array of u32"), "{error}");
}
