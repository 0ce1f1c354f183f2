//! What a model is, from the metadata of its file; every value checked before anything is sized by it.

mod ffn;
mod keys;

use gguf::Gguf;
use neuron::RopeStyle;

use self::ffn::{Ffn, activation};
use self::keys::{Keys, LARGEST};
use crate::ModelError;

/// Families that the forward pass knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Llama, Mistral, Mixtral and whatever is written as `llama`; with `neuronlab.activation`, and in PowerInfer's files, also
    /// ReLU forms of these.
    Llama,
    /// Qwen2: biases on queries, keys and values, rotary pairs half a head apart.
    Qwen2,
    /// SmallThinker: ReLU-gated experts, chosen from the layer's input.
    SmallThinker,
}

impl Architecture {
    /// The name in `general.architecture`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::SmallThinker => "smallthinker",
        }
    }
}

/// How gate and up become the activation of a neuron.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// silu(gate) * up: dense.
    Silu,
    /// relu(gate) * up: a neuron whose gate is not above zero contributes nothing.
    Relu,
    /// relu(gate) * relu(up), as TurboSparse and Bamboo have it.
    DoubleRelu,
}

impl Activation {
    /// Whether a gate that is not above zero makes the neuron's contribution exactly zero.
    pub const fn is_sparse(self) -> bool {
        !matches!(self, Self::Silu)
    }

    /// The value of `neuronlab.activation` that means it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silu => "silu",
            Self::Relu => "relu",
            Self::DoubleRelu => "drelu",
        }
    }
}

/// What the router of a mixture of experts reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouterInput {
    /// The residual stream as it enters the layer, before the attention norm: known before attention runs.
    LayerInput,
    /// The input of the FFN, after its norm.
    FfnNorm,
}

/// How router logits become probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouterGate {
    /// Over all experts (`expert_gating_func` 1).
    Softmax,
    /// Each expert alone (2).
    Sigmoid,
}

/// The router of a mixture of experts. The weights of the chosen are always divided by their sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterConfig {
    /// What it reads.
    pub input: RouterInput,
    /// How logits become probabilities.
    pub gate: RouterGate,
}

/// Rotary position embedding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RopeConfig {
    /// Which numbers make a pair.
    pub style: RopeStyle,
    /// Numbers of a head that turn.
    pub dims: usize,
    /// The base of the frequencies.
    pub base: f64,
    /// What positions are multiplied by (1 unless the context is stretched linearly).
    pub position_scale: f64,
}

/// How one layer attends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerAttention {
    /// Whether queries and keys turn with their position.
    pub rope: bool,
    /// When set, only so many positions back, the token's own included.
    pub window: Option<usize>,
}

/// Everything about a model except its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// Family.
    pub architecture: Architecture,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Positions that the model was trained for.
    pub context: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key-value heads; divides `heads`.
    pub kv_heads: usize,
    /// Numbers of a head.
    pub head_dim: usize,
    /// What the norms add to the mean square.
    pub norm_epsilon: f32,
    /// Rotary embedding.
    pub rope: RopeConfig,
    /// Neurons of an expert, or of the FFN where there is one.
    pub neurons: usize,
    /// Experts of a layer; 1 in a dense model.
    pub experts: usize,
    /// Experts that a token uses.
    pub experts_used: usize,
    /// The router; `None` in a dense model.
    pub router: Option<RouterConfig>,
    /// How gate and up combine.
    pub activation: Activation,
    /// Window of the layers that have one; see [`ModelConfig::attention`].
    pub(crate) window: Option<usize>,
}

/// SmallThinker's layers 0, 4, 8, … attend to everything and have no positions; this many layers from one to the next.
const FULL_EVERY: usize = 4;

/// The window that SmallThinker's other layers have. The file's key only says that there is one: llama.cpp (v0.5.0,
/// src/models/smallthinker.cpp) sets this number whatever the key says, and it is what the published models have.
const SMALLTHINKER_WINDOW: usize = 4096;

impl ModelConfig {
    /// Reads the metadata of a model file.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, ModelError> {
        let metadata = &gguf.metadata;
        let architecture = match gguf.architecture()? {
            // Early conversions of Mistral say so themselves; the layout is llama's.
            // PowerInfer's name for Bamboo, a Mistral with another activation.
            "llama" | "mistral" | "bamboo" => Architecture::Llama,
            "qwen2" => Architecture::Qwen2,
            "smallthinker" => Architecture::SmallThinker,
            other => {
                let known = "llama, mistral, bamboo, qwen2 or smallthinker";
                return Err(ModelError::config("general.architecture", other, known));
            }
        };
        let keys = Keys {
            metadata,
            prefix: gguf.architecture()?,
        };
        let hidden = keys.size("embedding_length")?;
        let layers = keys.size("block_count")?;
        let heads = keys.size("attention.head_count")?;
        let kv_heads = keys.size_or("attention.head_count_kv", heads)?;
        if !heads.is_multiple_of(kv_heads) {
            let wanted = format!("a divisor of attention.head_count, which is {heads}");
            return Err(keys.wrong("attention.head_count_kv", kv_heads, wanted));
        }
        let head_dim = match keys.find_size("attention.key_length")? {
            Some(head_dim) => head_dim,
            None if hidden.is_multiple_of(heads) => hidden / heads,
            None => {
                let wanted = format!("a multiple of the heads ({heads}) where attention.key_length is absent");
                return Err(keys.wrong("embedding_length", hidden, wanted));
            }
        };
        let value_length = keys.size_or("attention.value_length", head_dim)?;
        if value_length != head_dim {
            let wanted = format!("{head_dim}, as attention.key_length");
            return Err(keys.wrong("attention.value_length", value_length, wanted));
        }
        let epsilon = "attention.layer_norm_rms_epsilon";
        let norm_epsilon = metadata.f32(&keys.name(epsilon))?;
        if !(norm_epsilon.is_finite() && norm_epsilon >= 0.0) {
            return Err(keys.wrong(epsilon, norm_epsilon, "a small number, at least 0"));
        }
        let ffn = Ffn::read(&keys, architecture)?;
        Ok(Self {
            architecture,
            vocabulary: vocabulary(gguf)?,
            context: keys.size("context_length")?,
            hidden,
            layers,
            heads,
            kv_heads,
            head_dim,
            norm_epsilon,
            rope: rope(&keys, architecture, head_dim)?,
            neurons: ffn.neurons,
            experts: ffn.experts,
            experts_used: ffn.experts_used,
            router: ffn.router,
            activation: activation(gguf, architecture)?,
            window: window(&keys, architecture)?,
        })
    }

    /// How a layer attends.
    pub fn attention(&self, layer: usize) -> LayerAttention {
        match self.window {
            Some(_) if layer.is_multiple_of(FULL_EVERY) => LayerAttention {
                rope: false,
                window: None,
            },
            window => LayerAttention { rope: true, window },
        }
    }

    /// Numbers of all query heads together.
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Numbers of all key-value heads together.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }
}

/// Rows of the embedding: what the vocabulary really is, padding included.
fn vocabulary(gguf: &Gguf) -> Result<usize, ModelError> {
    let name = "token_embd.weight";
    match gguf.tensor(name).map(|tensor| tensor.shape.as_slice()) {
        Some(&[_, rows]) if rows <= u64::from(LARGEST) => Ok(rows as usize),
        Some(shape) => Err(ModelError::tensor(
            name,
            format!("shape {shape:?}"),
            "hidden by tokens, of reasonable size",
        )),
        None => Err(ModelError::tensor(name, "nothing", "in the file")),
    }
}

fn rope(keys: &Keys<'_>, architecture: Architecture, head_dim: usize) -> Result<RopeConfig, ModelError> {
    let dims = keys.size_or("rope.dimension_count", head_dim)?;
    if dims > head_dim || !dims.is_multiple_of(2) {
        let wanted = format!("even and at most the head's length, {head_dim}");
        return Err(keys.wrong("rope.dimension_count", dims, wanted));
    }
    let kind = keys.metadata.find::<&str>(&keys.name("rope.scaling.type"))?;
    let factor = match keys.positive("rope.scaling.factor")? {
        Some(factor) => Some(factor),
        None => keys.positive("rope.scale_linear")?,
    };
    let position_scale = match kind {
        None | Some("linear") => 1.0 / factor.unwrap_or(1.0),
        Some("none") => 1.0,
        Some(other) => return Err(keys.wrong("rope.scaling.type", other, "none or linear")),
    };
    let style = match architecture {
        Architecture::Llama => RopeStyle::Adjacent,
        Architecture::Qwen2 | Architecture::SmallThinker => RopeStyle::Neox,
    };
    Ok(RopeConfig {
        style,
        dims,
        base: keys.positive("rope.freq_base")?.unwrap_or(10_000.0),
        position_scale,
    })
}

fn window(keys: &Keys<'_>, architecture: Architecture) -> Result<Option<usize>, ModelError> {
    if architecture != Architecture::SmallThinker {
        return Ok(None);
    }
    let found: Option<u32> = keys.metadata.find(&keys.name("attention.sliding_window"))?;
    Ok(found.filter(|&window| window > 0).map(|_| SMALLTHINKER_WINDOW))
}
