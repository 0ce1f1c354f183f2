//! What is to be made: shape, format and the statistics to plant.

use model::{Activation, Architecture};
use neuron::{BLOCK, Format};

use crate::{Skew, SynthError};

/// The sizes of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Neurons of an expert, or of the FFN where there is one.
    pub neurons: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key-value heads; divides `heads`.
    pub kv_heads: usize,
    /// Numbers of a head.
    pub head_dim: usize,
    /// Experts of a layer; 1 in a dense model.
    pub experts: usize,
    /// Experts that a token uses.
    pub experts_used: usize,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Positions that the model says it was trained for.
    pub context: usize,
}

/// What the engine is to see when it runs the model. Of models that are not sparse, only `repeat` is planted.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Share of the neurons (of a token's experts) that are active for a token.
    pub share: f64,
    /// How unevenly.
    pub skew: Skew,
    /// How likely a neuron that is active for a token is active for the next, beyond its own rate r:
    /// P(again) = overlap + (1 - overlap) * r. 0 is independence.
    pub overlap: f64,
    /// Probability that an expert used for a token is used for the next one too; used / experts is independence. The first
    /// layer of a `smallthinker` model is left out: its router sees the token alone.
    pub repeat: Option<f64>,
    /// dReLU: the share of neurons whose up is above zero where the gate is. (PowerInfer-2: 80 %)
    pub up_share: f64,
    /// How many directions of its input all gates (and, of dReLU, ups) of an expert depend on, but for what rounding to the
    /// weights' format adds: a low-rank predictor can hold so much and no less. `None`: random gates, which depend on all.
    /// (Published predictors: rank 1036 of 4096 in TurboSparse-Mixtral by their size, 128 of 4096 in LLM in a flash.)
    pub gate_rank: Option<usize>,
}

impl Default for Statistics {
    /// A tenth of the neurons, as unevenly as in Bamboo-7B: what `neuronlab synth` plants when nothing else is asked for.
    fn default() -> Self {
        Self {
            share: 0.1,
            skew: Skew::bamboo(),
            overlap: 0.3,
            repeat: None,
            up_share: 0.8,
            gate_rank: None,
        }
    }
}

/// A model to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct SynthSpec {
    /// `general.name`.
    pub name: String,
    /// `llama` or `smallthinker`.
    pub architecture: Architecture,
    /// `silu`, `relu` or `drelu` of a llama; `relu` of a smallthinker.
    pub activation: Activation,
    /// How matrices are stored. Norms and routers are F32 always.
    pub format: Format,
    /// The sizes.
    pub shape: Shape,
    /// The statistics.
    pub statistics: Statistics,
    /// The same seed, the same bytes.
    pub seed: u64,
}

/// Gates of fewer directions are sums of too few numbers to be normal, and their neurons fire together.
pub(crate) const LEAST_GATE_RANK: usize = 32;

/// Tokens before the word pieces: unknown, begin, end, and one for each byte.
pub(crate) const SPECIAL_TOKENS: usize = 3 + 256;

impl SynthSpec {
    /// Whether the file has a router and its FFN tensors are those of experts.
    pub fn is_mixture(&self) -> bool {
        self.architecture == Architecture::SmallThinker || self.shape.experts > 1
    }

    /// Numbers of all query heads together.
    pub(crate) fn query_width(&self) -> usize {
        self.shape.heads * self.shape.head_dim
    }

    /// Numbers of all key-value heads together.
    pub(crate) fn kv_width(&self) -> usize {
        self.shape.kv_heads * self.shape.head_dim
    }

    /// Refuses what cannot be written, or what the model crate would refuse to load.
    pub fn check(&self) -> Result<(), SynthError> {
        let wrong = |what: &str, found: &dyn ToString, wanted: &str| Err(SynthError::spec(what, found.to_string(), wanted));
        let shape = &self.shape;
        match (self.architecture, self.activation) {
            (Architecture::Llama, _) | (Architecture::SmallThinker, Activation::Relu) => {}
            (Architecture::SmallThinker, other) => return wrong("the activation", &other.name(), "relu in a smallthinker model"),
            (other, _) => return wrong("the architecture", &other.name(), "llama or smallthinker"),
        }
        if self.format == Format::Q6_K {
            // Codes are planted in blocks of 32, each with a scale of its own.
            return wrong("the weights' format", &self.format, "F32, F16, Q8_0 or Q4_0");
        }
        let sizes = [
            ("hidden", shape.hidden, 4 * BLOCK, BLOCK),
            ("neurons", shape.neurons, BLOCK, BLOCK),
            ("layers", shape.layers, 1, 1),
            ("kv heads", shape.kv_heads, 1, 1),
            ("heads", shape.heads, shape.kv_heads, shape.kv_heads.max(1)),
            ("the numbers of a head", shape.head_dim, 16, 2),
            ("the numbers of all query heads", self.query_width(), BLOCK, BLOCK),
            ("experts", shape.experts, 1, 1),
            ("tokens of the vocabulary", shape.vocabulary, SPECIAL_TOKENS + 128, 1),
            ("the context", shape.context, 1, 1),
        ];
        for (what, found, least, multiple) in sizes {
            if found < least || found > 1 << 24 || !found.is_multiple_of(multiple) {
                return wrong(
                    what,
                    &found,
                    &format!("a multiple of {multiple}, at least {least}, at most 2^24"),
                );
            }
        }
        if shape.experts_used < 1 || shape.experts_used > shape.experts {
            return wrong("experts used", &shape.experts_used, &format!("from 1 to {}", shape.experts));
        }
        if shape.experts > 4096 {
            return wrong("experts", &shape.experts, "at most 4096");
        }
        let statistics = &self.statistics;
        if !(statistics.share > 0.0 && statistics.share <= 0.9) {
            return wrong("the share of active neurons", &statistics.share, "above 0 and at most 0.9");
        }
        if !(0.0..1.0).contains(&statistics.overlap) {
            return wrong("the overlap", &statistics.overlap, "at least 0 and below 1");
        }
        if !(0.05..=0.95).contains(&statistics.up_share) {
            return wrong("the share of up that fires", &statistics.up_share, "from 0.05 to 0.95");
        }
        if let Some(rank) = statistics.gate_rank {
            if !self.activation.is_sparse() {
                return wrong(
                    "the rank of the gates",
                    &rank,
                    "none: no neuron of a silu model is ever inactive",
                );
            }
            if !(LEAST_GATE_RANK..=shape.hidden / 2).contains(&rank) {
                return wrong(
                    "the rank of the gates",
                    &rank,
                    &format!("from {LEAST_GATE_RANK} to half of the width, {}", shape.hidden / 2),
                );
            }
        }
        let least = shape.experts_used as f64 / shape.experts as f64;
        match statistics.repeat {
            Some(repeat) if !(least - 1e-9..=1.0).contains(&repeat) => wrong(
                "the repetition of experts",
                &repeat,
                &format!("at least {least:.4}, which is independence"),
            ),
            _ => Ok(()),
        }
    }
}
