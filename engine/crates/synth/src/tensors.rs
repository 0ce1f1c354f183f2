//! The tensors of a file, in its order.

use neuron::Format;

use crate::SynthSpec;

/// What a tensor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Embedding,
    /// Every weight 1.
    Norm,
    Head,
    Query,
    Key,
    Value,
    Output,
    Router,
    Gate,
    Up,
    Down,
}

/// One tensor: `rows` rows of `cols` weights.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    /// Fastest first.
    pub(crate) shape: Vec<u64>,
    pub(crate) format: Format,
    pub(crate) role: Role,
    pub(crate) layer: usize,
}

impl Tensor {
    pub(crate) fn cols(&self) -> usize {
        self.shape[0] as usize
    }

    pub(crate) fn rows(&self) -> usize {
        self.shape[1..].iter().product::<u64>() as usize
    }
}

/// All tensors of a model.
pub(crate) fn tensors(spec: &SynthSpec) -> Vec<Tensor> {
    let shape = &spec.shape;
    let (query, kv) = (spec.query_width(), spec.kv_width());
    let mut all = Vec::new();
    let mut add = |name: String, sides: &[usize], role, layer| {
        let sides: Vec<u64> = sides.iter().map(|&side| side as u64).collect();
        let format = if matches!(role, Role::Norm | Role::Router) {
            Format::F32
        } else {
            spec.format
        };
        all.push(Tensor {
            name,
            shape: sides,
            format,
            role,
            layer,
        });
    };
    add(
        "token_embd.weight".to_owned(),
        &[shape.hidden, shape.vocabulary],
        Role::Embedding,
        0,
    );
    for layer in 0..shape.layers {
        let mut part = |part: &str, sides: &[usize], role| add(format!("blk.{layer}.{part}.weight"), sides, role, layer);
        part("attn_norm", &[shape.hidden], Role::Norm);
        part("attn_q", &[shape.hidden, query], Role::Query);
        part("attn_k", &[shape.hidden, kv], Role::Key);
        part("attn_v", &[shape.hidden, kv], Role::Value);
        part("attn_output", &[query, shape.hidden], Role::Output);
        part("ffn_norm", &[shape.hidden], Role::Norm);
        if spec.is_mixture() {
            part("ffn_gate_inp", &[shape.hidden, shape.experts], Role::Router);
            part("ffn_gate_exps", &[shape.hidden, shape.neurons, shape.experts], Role::Gate);
            part("ffn_up_exps", &[shape.hidden, shape.neurons, shape.experts], Role::Up);
            part("ffn_down_exps", &[shape.neurons, shape.hidden, shape.experts], Role::Down);
        } else {
            part("ffn_gate", &[shape.hidden, shape.neurons], Role::Gate);
            part("ffn_up", &[shape.hidden, shape.neurons], Role::Up);
            part("ffn_down", &[shape.neurons, shape.hidden], Role::Down);
        }
    }
    add("output_norm.weight".to_owned(), &[shape.hidden], Role::Norm, 0);
    add("output.weight".to_owned(), &[shape.hidden, shape.vocabulary], Role::Head, 0);
    all
}
