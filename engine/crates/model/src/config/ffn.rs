//! The FFN's part of a model's metadata: sizes, router, activation.

use gguf::Gguf;

use super::keys::Keys;
use super::{Activation, Architecture, RouterConfig, RouterGate, RouterInput};
use crate::ModelError;

/// `neuronlab.activation` (our own key, in files of architecture `llama`) says that gate and up combine in another way than
/// SwiGLU: the form of the TurboSparse and Bamboo models, for which GGUF has no name. PowerInfer's files have no such key either:
/// its programs compute `bamboo` with ReLU on gate and up, and whatever else has a transposed down with ReLU on the gate.
pub(super) fn activation(gguf: &Gguf, architecture: Architecture) -> Result<Activation, ModelError> {
    let key = "neuronlab.activation";
    let usual = match architecture {
        Architecture::SmallThinker => Activation::Relu,
        Architecture::Llama if gguf.architecture()? == "bamboo" => Activation::DoubleRelu,
        Architecture::Llama if is_powerinfer(gguf) => Activation::Relu,
        Architecture::Llama | Architecture::Qwen2 => Activation::Silu,
    };
    let Some(name) = gguf.metadata.find::<&str>(key)? else {
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

/// Whether PowerInfer wrote the file: by its first bytes, or because down is there with a row for each neuron and in no other form.
fn is_powerinfer(gguf: &Gguf) -> bool {
    let has = |part: &str| gguf.tensor(&format!("blk.0.{part}.weight")).is_some();
    gguf.is_powerinfer || has("ffn_down_t") && !has("ffn_down")
}

/// What of a model's sizes is the FFN's.
pub(super) struct Ffn {
    pub(super) neurons: usize,
    pub(super) experts: usize,
    pub(super) experts_used: usize,
    pub(super) router: Option<RouterConfig>,
}

impl Ffn {
    pub(super) fn read(keys: &Keys<'_>, architecture: Architecture) -> Result<Self, ModelError> {
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
