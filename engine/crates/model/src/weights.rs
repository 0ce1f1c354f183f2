//! The weights outside the FFNs, which always stay in memory.

use neuron::Rope;

use crate::{ModelConfig, ModelError, Tensor, TensorSource};

/// The weights of one layer outside its FFN. Matrices are outputs by inputs.
pub struct LayerWeights {
    /// Norm before attention.
    pub attention_norm: Vec<f32>,
    /// Queries.
    pub query: Tensor,
    /// Keys.
    pub key: Tensor,
    /// Values.
    pub value: Tensor,
    /// Attention output.
    pub output: Tensor,
    /// Biases of the four, where the model has them.
    pub biases: Biases,
    /// Norm before the FFN.
    pub ffn_norm: Vec<f32>,
    /// Router of a mixture of experts.
    pub router: Option<Tensor>,
}

/// Biases of the attention projections.
#[derive(Default)]
pub struct Biases {
    /// Of the queries.
    pub query: Option<Vec<f32>>,
    /// Of the keys.
    pub key: Option<Vec<f32>>,
    /// Of the values.
    pub value: Option<Vec<f32>>,
    /// Of the output.
    pub output: Option<Vec<f32>>,
}

/// Everything outside the FFNs.
pub struct Weights {
    /// Tokens by hidden.
    pub embedding: Tensor,
    /// Last norm.
    pub output_norm: Vec<f32>,
    /// Tokens by hidden; `None` where the embedding serves twice.
    pub output: Option<Tensor>,
    /// The rotary embedding with the model's factors.
    pub rope: Rope,
    /// The layers.
    pub layers: Vec<LayerWeights>,
}

impl Weights {
    /// Loads them. Refuses a file with tensors that this model would not use: its results would be another model's.
    pub fn load(source: &dyn TensorSource, config: &ModelConfig) -> Result<Self, ModelError> {
        refuse_unknown(source, config)?;
        let hidden = config.hidden as u64;
        let factors = Tensor::find_vector(source, "rope_freqs.weight", config.rope.dims / 2)?;
        if let Some(bad) = factors.iter().flatten().find(|&&factor| factor <= 0.0) {
            return Err(ModelError::tensor("rope_freqs.weight", bad, "numbers above 0"));
        }
        let rope = &config.rope;
        Ok(Self {
            embedding: Tensor::load(source, "token_embd.weight", &[hidden, config.vocabulary as u64])?,
            output_norm: Tensor::load_vector(source, "output_norm.weight", config.hidden)?,
            output: Tensor::find(source, "output.weight", &[hidden, config.vocabulary as u64])?,
            rope: Rope::new(rope.style, rope.dims, rope.base, rope.position_scale, factors.as_deref())?,
            layers: (0..config.layers)
                .map(|layer| LayerWeights::load(source, config, layer))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The matrix that makes logits.
    pub fn logits(&self) -> &Tensor {
        self.output.as_ref().unwrap_or(&self.embedding)
    }

    /// Memory of all matrices (bytes).
    pub fn bytes(&self) -> u64 {
        let layer = |layer: &LayerWeights| {
            let four = [&layer.query, &layer.key, &layer.value, &layer.output];
            let attention: u64 = four.into_iter().map(Tensor::bytes).sum();
            attention + layer.router.as_ref().map_or(0, Tensor::bytes)
        };
        let ends = self.embedding.bytes() + self.output.as_ref().map_or(0, Tensor::bytes);
        ends + self.layers.iter().map(layer).sum::<u64>()
    }
}

impl LayerWeights {
    fn load(source: &dyn TensorSource, config: &ModelConfig, layer: usize) -> Result<Self, ModelError> {
        let (hidden, query, kv) = (config.hidden, config.query_width(), config.kv_width());
        let name = |part: &str| format!("blk.{layer}.{part}");
        let matrix = |part: &str, inputs: usize, outputs: usize| {
            Tensor::load(source, &name(&format!("{part}.weight")), &[inputs as u64, outputs as u64])
        };
        let norm = |part: &str| Tensor::load_vector(source, &name(&format!("{part}.weight")), hidden);
        let bias = |part: &str, outputs: usize| Tensor::find_vector(source, &name(&format!("{part}.bias")), outputs);
        Ok(Self {
            attention_norm: norm("attn_norm")?,
            query: matrix("attn_q", hidden, query)?,
            key: matrix("attn_k", hidden, kv)?,
            value: matrix("attn_v", hidden, kv)?,
            output: matrix("attn_output", query, hidden)?,
            biases: Biases {
                query: bias("attn_q", query)?,
                key: bias("attn_k", kv)?,
                value: bias("attn_v", kv)?,
                output: bias("attn_output", hidden)?,
            },
            ffn_norm: norm("ffn_norm")?,
            router: match config.router {
                Some(_) => Some(matrix("ffn_gate_inp", hidden, config.experts)?),
                None => None,
            },
        })
    }
}

/// The parts of a layer that some architecture here has, besides its FFN.
const LAYER_PARTS: [&str; 11] = [
    "attn_norm.weight",
    "attn_q.weight",
    "attn_k.weight",
    "attn_v.weight",
    "attn_output.weight",
    "attn_q.bias",
    "attn_k.bias",
    "attn_v.bias",
    "attn_output.bias",
    "ffn_norm.weight",
    "attn_rot_embd.freqs",
];
const DENSE_PARTS: [&str; 4] = [
    "ffn_gate.weight",
    "ffn_up.weight",
    "ffn_down.weight",
    // Down with a row for each neuron.
    "ffn_down_t.weight",
];
const MIXTURE_PARTS: [&str; 5] = [
    "ffn_gate_inp.weight",
    "ffn_gate_exps.weight",
    "ffn_up_exps.weight",
    "ffn_down_exps.weight",
    "ffn_down_t_exps.weight",
];
/// PowerInfer-style predictors: used by the pipeline, of no effect on the model's exact output.
const PREDICTOR_PARTS: [&str; 4] = ["fc1.weight", "fc2.weight", "fc1_exps.weight", "fc2_exps.weight"];

fn refuse_unknown(source: &dyn TensorSource, config: &ModelConfig) -> Result<(), ModelError> {
    let ffn: &[&str] = if config.router.is_some() {
        &MIXTURE_PARTS
    } else {
        &DENSE_PARTS
    };
    let known = |name: &str| {
        if matches!(
            name,
            "token_embd.weight" | "output_norm.weight" | "output.weight" | "rope_freqs.weight"
        ) {
            return true;
        }
        let part = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.'));
        part.is_some_and(|(layer, part)| {
            let inside = layer.parse::<usize>().is_ok_and(|layer| layer < config.layers);
            inside && (LAYER_PARTS.contains(&part) || ffn.contains(&part) || PREDICTOR_PARTS.contains(&part))
        })
    };
    match source.gguf().tensors.iter().find(|tensor| !known(&tensor.name)) {
        None => Ok(()),
        Some(tensor) => {
            let wanted = format!(
                "one that {} models of {} layers have",
                config.architecture.name(),
                config.layers
            );
            Err(ModelError::tensor(&tensor.name, "a part with no known use", wanted))
        }
    }
}
