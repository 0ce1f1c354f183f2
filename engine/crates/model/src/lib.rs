//! Architectures, weights, forward pass, KV cache and generation.
//!
//! - [`ModelConfig`]: what a model is, from GGUF metadata (`llama`, `qwen2`, `smallthinker`; ReLU forms of llama).
//! - [`TensorSource`], [`Weights`]: the tensors outside the FFNs, from a GGUF file or a packed one.
//! - [`FeedForward`]: where the FFNs are computed. [`DenseFfn`] and [`SparseFfn`] keep them in memory and are [`Lossless`];
//!   in a [`PredictedFfn`] a [`NeuronPredictor`] says which neurons are computed at all.
//! - [`Session`]: the forward pass with its KV cache; [`generate`], [`perplexity`]: what it is for.
//!
//! A model's logits are the same bits for any number of threads and any kernel backend, and for a prompt in one piece or
//! token by token. To add an architecture: one arm in `config.rs`, its tensors in `weights.rs`.
#![warn(missing_docs)]

mod attend;
mod config;
mod error;
mod ffn;
mod forward;
mod generate;
mod kv;
mod layer;
mod memory;
mod router;
mod share;
mod source;
mod tensor;
mod weights;

pub use config::{Activation, Architecture, LayerAttention, ModelConfig, RopeConfig, RouterConfig, RouterGate, RouterInput};
pub use error::ModelError;
pub use ffn::{
    Batches, DenseFfn, FeedForward, FfnBatch, FfnCounters, Lossless, LowRank, NeuronPredictor, PredictedCounters, PredictedFfn,
    PredictorInput, Route, SparseFfn, SumExperts, add_partial, check_packed,
};
pub use forward::{BATCH, Model, Session, Want};
pub use generate::{Event, GenerateOptions, Generation, Perplexity, Stop, TokenRow, generate, log_probability, perplexity};
pub use kv::{KvCache, KvFormat};
pub use memory::PageBuffer;
pub use source::{FlashSource, GgufSource, TensorEntry, TensorSource};
pub use tensor::Tensor;
pub use weights::{Biases, LayerWeights, Weights};
