//! Text to token ids and back, and the choice of the next token.
//!
//! - [`Tokeniser`]: read from the metadata of a GGUF file; SentencePiece (`tokenizer.ggml.model` = `llama`) and byte-pair
//!   encoding (`gpt2`) with its pre-tokenisers. The reference is llama.cpp: where it departs from a model's original
//!   tokeniser, so do we, because both engines must be given the same ids.
//! - [`Detokeniser`]: ids to text as they come, never half a character.
//! - [`Sampler`]: greedy, or seeded sampling with temperature, top-k, top-p, min-p and a repetition penalty.
//!
//! No registry crate: the pre-tokenisers are data for a small matcher of our own (`bpe/matcher.rs`), and the general categories
//! of Unicode are a table of 9 KB (`categories.rs`, generated).

mod bpe;
mod categories;
mod error;
mod random;
mod sampler;
mod sentencepiece;
mod special;
mod stream;
mod tokeniser;
mod unicode;
mod vocabulary;

pub use error::TextError;
pub use random::{Random, SPLIT_STEP, split_mix};
pub use sampler::{Sampler, SamplerOptions};
pub use stream::Detokeniser;
pub use tokeniser::{EncodeOptions, Tokeniser};
pub use vocabulary::TokenKind;
