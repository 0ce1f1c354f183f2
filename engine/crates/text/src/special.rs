//! Tokens with a meaning beyond their text: where they stand in a text, and which of them end a generation.

use gguf::Metadata;

use crate::error::TextError;
use crate::vocabulary::{TokenKind, Vocabulary};

/// Texts of tokens that end a generation in the models that people have. Files name one end token; chat models have more.
/// The list is that of llama.cpp, so that both stop at the same place.
const ENDS: [&str; 22] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];

/// Keys of fill-in-the-middle tokens, whether they end a generation, and their texts where the key is absent.
const FILL_IN: [(&str, bool, &[&str]); 6] = [
    (
        "tokenizer.ggml.fim_pre_token_id",
        false,
        &[
            "<|fim_prefix|>",
            "<fim-prefix>",
            "<fim_prefix>",
            "<｜fim▁begin｜>",
            "<PRE>",
            "▁<PRE>",
            "<|code_prefix|>",
            "<|prefix|>",
        ],
    ),
    (
        "tokenizer.ggml.fim_suf_token_id",
        false,
        &[
            "<|fim_suffix|>",
            "<fim-suffix>",
            "<fim_suffix>",
            "<｜fim▁hole｜>",
            "<SUF>",
            "▁<SUF>",
            "<|code_suffix|>",
            "<|suffix|>",
        ],
    ),
    (
        "tokenizer.ggml.fim_mid_token_id",
        false,
        &[
            "<|fim_middle|>",
            "<fim-middle>",
            "<fim_middle>",
            "<｜fim▁end｜>",
            "<MID>",
            "▁<MID>",
            "<|code_middle|>",
            "<|middle|>",
        ],
    ),
    (
        "tokenizer.ggml.fim_pad_token_id",
        true,
        &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"],
    ),
    (
        "tokenizer.ggml.fim_rep_token_id",
        true,
        &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"],
    ),
    ("tokenizer.ggml.fim_sep_token_id", true, &["<|file_sep|>"]),
];

/// Always shown and always split off, whatever the file says of them.
const SHOWN: [&str; 4] = ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

#[derive(Debug)]
pub(crate) struct Specials {
    pub begin: Option<u32>,
    pub end: Option<u32>,
    pub unknown: Option<u32>,
    /// Tokens that end a generation, sorted.
    pub ends: Vec<u32>,
    /// Tokens to be found in texts, the longest first; those of one length by id.
    found: Vec<u32>,
    /// By id: found only when asked for, and then not shown.
    hidden: Vec<bool>,
}

impl Specials {
    /// `defaults` are the ids of begin, end and unknown where the file names none.
    pub fn from_metadata(
        metadata: &Metadata,
        vocabulary: &mut Vocabulary,
        defaults: [Option<u32>; 3],
    ) -> Result<Self, TextError> {
        let special = |key, default| vocabulary.special(metadata, key, default);
        let begin = special("tokenizer.ggml.bos_token_id", defaults[0])?;
        let end = special("tokenizer.ggml.eos_token_id", defaults[1])?;
        let unknown = special("tokenizer.ggml.unknown_token_id", defaults[2])?;
        let mut ends: Vec<u32> = end.into_iter().collect();
        ends.extend(special("tokenizer.ggml.eot_token_id", None)?);
        ends.extend(special("tokenizer.ggml.eom_token_id", None)?);

        let mut control: Vec<u32> = Vec::new();
        for (key, ends_generation, texts) in FILL_IN {
            let given = special(key, None)?;
            let by_text = || {
                texts
                    .iter()
                    .filter_map(|text| vocabulary.id(text))
                    .min()
                    .inspect(|&id| control.push(id))
            };
            let id = given.or_else(by_text);
            ends.extend(id.filter(|_| ends_generation));
        }
        let by_text: Vec<u32> = ENDS.iter().filter_map(|text| vocabulary.id(text)).collect();
        ends.extend(&by_text);
        control.extend(by_text);

        let shown: Vec<u32> = SHOWN.iter().filter_map(|text| vocabulary.id(text)).collect();
        let hides = |kind: &TokenKind| matches!(kind, TokenKind::Control | TokenKind::Unknown);
        let mut hidden: Vec<bool> = vocabulary.kinds.iter().take(vocabulary.len()).map(hides).collect();
        control.iter().for_each(|&id| hidden[id as usize] = true);
        for &id in &shown {
            hidden[id as usize] = false;
            vocabulary.kinds[id as usize] = TokenKind::UserDefined;
        }
        // Models whose turns end otherwise use <|end|> within an answer.
        let has = |text| vocabulary.id(text).is_some();
        let calls = has("<|call|>") || has("<|calls|>");
        if calls
            && (has("<|return|>") || has("<|flush|>"))
            && let Some(id) = vocabulary.id("<|end|>")
        {
            ends.retain(|&end| end != id);
            hidden[id as usize] = false;
            vocabulary.kinds[id as usize] = TokenKind::UserDefined;
        }
        ends.sort_unstable();
        ends.dedup();

        let is_found = |&id: &u32| hidden[id as usize] || vocabulary.kinds[id as usize] == TokenKind::UserDefined;
        let mut found: Vec<u32> = (0..vocabulary.len() as u32).filter(is_found).collect();
        found.sort_by_key(|&id| std::cmp::Reverse(vocabulary.text(id).len()));
        Ok(Self {
            begin,
            end,
            unknown,
            ends,
            found,
            hidden,
        })
    }

    /// Whether the token is left out of shown text.
    pub fn is_hidden(&self, id: u32) -> bool {
        self.hidden.get(id as usize).copied().unwrap_or(false)
    }

    /// Cuts `text` at special tokens: the longest of them everywhere first, then the next, as llama.cpp does. With `parse`
    /// off only those that are shown are cut out.
    pub fn cut<'a>(&self, vocabulary: &Vocabulary, text: &'a str, parse: bool) -> Vec<Fragment<'a>> {
        let mut fragments = vec![Fragment::Text(text)];
        for &id in &self.found {
            if !parse && self.is_hidden(id) {
                continue;
            }
            let special = vocabulary.text(id);
            let holds = |fragment: &Fragment| matches!(fragment, Fragment::Text(text) if text.contains(special));
            if !fragments.iter().any(holds) {
                continue;
            }
            let mut cut = Vec::with_capacity(fragments.len() + 2);
            for fragment in fragments {
                match fragment {
                    Fragment::Token(_) => cut.push(fragment),
                    Fragment::Text(text) => {
                        for (index, piece) in text.split(special).enumerate() {
                            if index > 0 {
                                cut.push(Fragment::Token(id));
                            }
                            cut.push(Fragment::Text(piece));
                        }
                    }
                }
            }
            fragments = cut;
        }
        fragments.retain(|fragment| !matches!(fragment, Fragment::Text("")));
        fragments
    }
}

/// A piece of a text: still text, or a special token found in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragment<'a> {
    Text(&'a str),
    Token(u32),
}
