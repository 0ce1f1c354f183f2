//! Tokens of a made-up language: pieces that can be printed, and read again by a SentencePiece tokeniser.

use std::collections::HashSet;

use gguf::{Array, Strings, Value, Writer};

use crate::spec::SPECIAL_TOKENS;
use crate::{SynthError, SynthSpec};

/// What stands for a space.
const SPACE: &str = "\u{2581}";

const ONSETS: [&str; 28] = [
    "t", "n", "s", "r", "l", "d", "m", "k", "p", "b", "g", "f", "v", "h", "w", "st", "tr", "pr", "br", "gr", "pl", "kl", "sh",
    "th", "ch", "fl", "sp", "z",
];
const NUCLEI: [&str; 12] = ["a", "e", "i", "o", "u", "ai", "ea", "ou", "io", "ee", "au", "y"];
const CODAS: [&str; 14] = ["", "n", "r", "s", "l", "t", "m", "d", "k", "nd", "st", "rn", "ng", "x"];
const MARKS: &str = ".,;:!?'\"()-/&%$#@*+=<>[]{}_~\n";

/// `count` different pieces: single characters, then syllables, then words of two and three, every other with a space before.
fn pieces(count: usize) -> Strings {
    let (mut all, mut seen) = (Strings::new(), HashSet::new());
    let mut add = |piece: String| {
        if all.len() < count && !seen.contains(&piece) {
            all.push(&piece);
            seen.insert(piece);
        }
        all.len() < count
    };
    add(SPACE.to_owned());
    let characters = ('a'..='z').chain('A'..='Z').chain('0'..='9').chain(MARKS.chars());
    characters.for_each(|character| {
        add(character.to_string());
    });
    let mut syllables = Vec::with_capacity(CODAS.len() * NUCLEI.len() * ONSETS.len());
    for coda in CODAS {
        for nucleus in NUCLEI {
            syllables.extend(ONSETS.iter().map(|onset| format!("{onset}{nucleus}{coda}")));
        }
    }
    let mut both = |piece: &str| add(format!("{SPACE}{piece}")) && add(piece.to_owned());
    if !syllables.iter().all(|syllable| both(syllable)) {
        return all;
    }
    // Stepping through the second syllable with a step that shares no divisor with their number mixes sounds early on.
    let number = syllables.len();
    for third in std::iter::once("").chain(syllables.iter().map(String::as_str)) {
        for step in 0..number {
            for (i, first) in syllables.iter().enumerate() {
                let second = &syllables[(i * 1009 + step * 577) % number];
                if !both(&format!("{first}{second}{third}")) {
                    return all;
                }
            }
        }
    }
    all
}

/// Adds the tokeniser's keys.
pub(crate) fn write_tokeniser(spec: &SynthSpec, writer: &mut Writer) -> Result<(), SynthError> {
    let count = spec.shape.vocabulary;
    let mut tokens = Strings::new();
    let mut kinds = vec![2, 3, 3];
    ["<unk>", "<s>", "</s>"].iter().for_each(|token| tokens.push(token));
    (0..256).for_each(|byte| tokens.push(&format!("<0x{byte:02X}>")));
    kinds.resize(SPECIAL_TOKENS, 6);
    pieces(count - SPECIAL_TOKENS).iter().for_each(|piece| tokens.push(piece));
    if tokens.len() < count {
        return Err(SynthError::spec(
            "the vocabulary",
            count,
            format!("at most {} tokens", tokens.len()),
        ));
    }
    kinds.resize(count, 1);
    let scores: Vec<f32> = (0..count).map(|id| -(id.saturating_sub(SPECIAL_TOKENS) as f32)).collect();
    writer
        .metadata("tokenizer.ggml.model", "llama")?
        .metadata("tokenizer.ggml.tokens", Value::Array(Array::Str(tokens)))?
        .metadata("tokenizer.ggml.scores", scores)?
        .metadata("tokenizer.ggml.token_type", kinds)?
        .metadata("tokenizer.ggml.unknown_token_id", 0u32)?
        .metadata("tokenizer.ggml.bos_token_id", 1u32)?
        .metadata("tokenizer.ggml.eos_token_id", 2u32)?
        .metadata("tokenizer.ggml.add_bos_token", false)?
        .metadata("tokenizer.ggml.add_eos_token", false)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn pieces_are_different_printable_and_as_many_as_asked_for() {
        for count in [128, 5000, 260_000] {
            let all = pieces(count);
            assert_eq!(all.len(), count);
            let different: std::collections::HashSet<&str> = all.iter().collect();
            assert_eq!(different.len(), count);
            assert!(
                all.iter()
                    .all(|piece| !piece.is_empty() && piece.chars().all(|c| c == '\n' || !c.is_control()))
            );
        }
    }
}
