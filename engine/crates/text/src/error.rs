//! What can be wrong with a tokeniser in a file, or with a request for a token.

use std::fmt;

use gguf::GgufError;

/// Every failure of this crate.
#[allow(missing_docs)]
#[derive(Debug)]
#[non_exhaustive]
pub enum TextError {
    /// A key is missing or of the wrong type.
    Metadata(GgufError),
    /// `tokenizer.ggml.model` names a tokeniser that is not written here.
    UnknownModel { found: String },
    /// `tokenizer.ggml.pre` names a pre-tokeniser that is not written here.
    UnknownPreTokeniser { found: String, known: Vec<&'static str> },
    /// No tokens, or more than 32 bits can number.
    VocabularySize { found: usize },
    /// An array that should have one entry a token has fewer.
    ShortArray { key: &'static str, found: usize, tokens: usize },
    /// A merge rule that is not two parts with a space between.
    BadMerge { index: usize, found: String },
    /// An id that no token has.
    NoSuchToken { id: u32, tokens: usize },
    /// A sampler option out of its range.
    BadOption {
        name: &'static str,
        found: f32,
        wanted: &'static str,
    },
    /// Logits that no token can be chosen from.
    BadLogits { what: String },
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextError::Metadata(error) => write!(f, "{error}"),
            TextError::UnknownModel { found } => {
                write!(
                    f,
                    "unknown tokenizer.ggml.model: {}; known: gpt2, llama",
                    found.escape_debug()
                )
            }
            TextError::UnknownPreTokeniser { found, known } => {
                write!(
                    f,
                    "unknown tokenizer.ggml.pre: {}; known: {}",
                    found.escape_debug(),
                    known.join(", ")
                )
            }
            TextError::VocabularySize { found } => write!(f, "vocabulary of {found} tokens; expected 1 to 4294967295"),
            TextError::ShortArray { key, found, tokens } => {
                write!(f, "{key} has {found} entries; expected one for each of the {tokens} tokens")
            }
            TextError::BadMerge { index, found } => {
                write!(
                    f,
                    "merge {index} of tokenizer.ggml.merges is \"{}\"; expected two parts and a space",
                    found.escape_debug()
                )
            }
            TextError::NoSuchToken { id, tokens } => write!(f, "no such token: {id}; expected 0 to {}", tokens.saturating_sub(1)),
            TextError::BadOption { name, found, wanted } => write!(f, "{name} is {found}; expected {wanted}"),
            TextError::BadLogits { what } => f.write_str(what),
        }
    }
}

impl std::error::Error for TextError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TextError::Metadata(error) => Some(error),
            _ => None,
        }
    }
}

impl From<GgufError> for TextError {
    fn from(error: GgufError) -> Self {
        TextError::Metadata(error)
    }
}
