//! What a model is, from the metadata of its file; every value checked before anything is sized by it.

use gguf::{Gguf, Metadata};
use neuron::RopeStyle;

use crate::ModelError;

/// Families that the forward pass knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Llama, Mistral, Mixtral and whatever is written as `llama`; with `neuronlab.activation` also ReLU forms of these.
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
    window: Option<usize>,
}

/// SmallThinker's layers 0, 4, 8, … attend to everything and have no positions; this many layers from one to the next.
const FULL_EVERY: usize = 4;

/// The window that SmallThinker's other layers have. The file's key only says that there is one: llama.cpp (v0.5.0,
/// src/models/smallthinker.cpp) sets this number whatever the key says, and it is what the published models have.
const SMALLTHINKER_WINDOW: usize = 4096;

/// Sizes beyond this are refused: no model is near it, and products of a few of them stay inside 64 bits.
const LARGEST: u32 = 1 << 24;

impl ModelConfig {
    /// Reads the metadata of a model file.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, ModelError> {
        let metadata = &gguf.metadata;
        let architecture = match gguf.architecture()? {
            // Early conversions of Mistral say so themselves; the layout is llama's.
            "llama" | "mistral" => Architecture::Llama,
            "qwen2" => Architecture::Qwen2,
            "smallthinker" => Architecture::SmallThinker,
            other => {
                let known = "llama, mistral, qwen2 or smallthinker";
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
            activation: activation(metadata, architecture)?,
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

/// Metadata keys of one architecture.
struct Keys<'a> {
    metadata: &'a Metadata,
    prefix: &'a str,
}

impl Keys<'_> {
    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    fn wrong(&self, key: &str, found: impl ToString, wanted: impl Into<String>) -> ModelError {
        ModelError::config(self.name(key), found, wanted)
    }

    /// A size of at least 1, if the key is there.
    fn find_size(&self, key: &str) -> Result<Option<usize>, ModelError> {
        match self.metadata.find::<u32>(&self.name(key))? {
            None => Ok(None),
            Some(size @ 1..=LARGEST) => Ok(Some(size as usize)),
            Some(size) => Err(self.wrong(key, size, format!("from 1 to {LARGEST}"))),
        }
    }

    fn size(&self, key: &str) -> Result<usize, ModelError> {
        match self.find_size(key)? {
            Some(size) => Ok(size),
            // Asks again, for the error that names the absent key.
            None => Ok(self.metadata.u32(&self.name(key))? as usize),
        }
    }

    fn size_or(&self, key: &str, absent: usize) -> Result<usize, ModelError> {
        Ok(self.find_size(key)?.unwrap_or(absent))
    }

    /// A positive number, if the key is there.
    fn positive(&self, key: &str) -> Result<Option<f64>, ModelError> {
        match self.metadata.find::<f32>(&self.name(key))? {
            Some(found) if !(found.is_finite() && found > 0.0) => Err(self.wrong(key, found, "a number above 0")),
            found => Ok(found.map(f64::from)),
        }
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

/// `neuronlab.activation` (our own key, in files of architecture `llama`) says that gate and up combine in another way than
/// SwiGLU: the form of the TurboSparse and Bamboo models, for which GGUF has no name.
fn activation(metadata: &Metadata, architecture: Architecture) -> Result<Activation, ModelError> {
    let key = "neuronlab.activation";
    let usual = match architecture {
        Architecture::SmallThinker => Activation::Relu,
        Architecture::Llama | Architecture::Qwen2 => Activation::Silu,
    };
    let Some(name) = metadata.find::<&str>(key)? else {
        return Ok(usual);
    };
    let all = [Activation::Silu, Activation::Relu, Activation::DoubleRelu];
    let found = all.into_iter().find(|activation| activation.name() == name);
    match found {
        Some(found) if found == usual || architecture == Architecture::Llama => Ok(found),
        Some(_) => {
            let wanted = format!("{} in a model of architecture {}", usual.name(), architecture.name());
            Err(ModelError::config(key, name, wanted))
        }
        None => Err(ModelError::config(key, name, "silu, relu or drelu")),
    }
}

struct Ffn {
    neurons: usize,
    experts: usize,
    experts_used: usize,
    router: Option<RouterConfig>,
}

impl Ffn {
    fn read(keys: &Keys<'_>, architecture: Architecture) -> Result<Self, ModelError> {
        let experts: u32 = keys.metadata.u32_or(&keys.name("expert_count"), 0)?;
        let mixture = match architecture {
            Architecture::SmallThinker => true,
            Architecture::Llama | Architecture::Qwen2 => experts > 0,
        };
        if !mixture {
            return Ok(Self {
                neurons: keys.size("feed_forward_length")?,
                experts: 1,
                experts_used: 1,
                router: None,
            });
        }
        if architecture == Architecture::Qwen2 {
            return Err(keys.wrong("expert_count", experts, "absent or 0"));
        }
        let experts = keys.size("expert_count")?;
        let experts_used = keys.size("expert_used_count")?;
        if experts_used > experts {
            let wanted = format!("at most expert_count, which is {experts}");
            return Err(keys.wrong("expert_used_count", experts_used, wanted));
        }
        let (neurons, input, gate) = match architecture {
            Architecture::SmallThinker => {
                let gate = match keys.metadata.u32(&keys.name("expert_gating_func"))? {
                    1 => RouterGate::Softmax,
                    2 => RouterGate::Sigmoid,
                    other => return Err(keys.wrong("expert_gating_func", other, "1 (softmax) or 2 (sigmoid)")),
                };
                let neurons = match keys.find_size("expert_feed_forward_length")? {
                    Some(neurons) => neurons,
                    None => keys.size("feed_forward_length")?,
                };
                (neurons, RouterInput::LayerInput, gate)
            }
            // Mixtral, written as llama.
            Architecture::Llama | Architecture::Qwen2 => {
                (keys.size("feed_forward_length")?, RouterInput::FfnNorm, RouterGate::Softmax)
            }
        };
        Ok(Self {
            neurons,
            experts,
            experts_used,
            router: Some(RouterConfig { input, gate }),
        })
    }
}
