//! Finds the FFN of every layer in a GGUF file, everything else being dense tensors; reads weights, and refuses those that are no numbers.

use std::fs::File;
use std::path::Path;

use gguf::{Gguf, TensorInfo, TensorType};

use crate::file::read_exactly;
use crate::{FlashError, WeightFormat};

/// A layer's FFN in the source.
pub(super) struct SourceLayer<'a> {
    pub experts: u32,
    pub neurons: u32,
    pub width: u32,
    pub gate: &'a TensorInfo,
    pub up: &'a TensorInfo,
    pub down: &'a TensorInfo,
    /// Down is already a row a neuron.
    pub down_is_transposed: bool,
}

pub(super) struct SourceModel<'a> {
    pub layers: Vec<SourceLayer<'a>>,
    pub dense: Vec<&'a TensorInfo>,
}

pub(super) fn format_of(path: &Path, tensor: &TensorInfo) -> Result<WeightFormat, FlashError> {
    WeightFormat::from_code(tensor.kind.code()).ok_or_else(|| {
        // In matrices outside the FFNs the kernels compute with some formats more.
        let advice = match tensor.kind {
            TensorType::Q6_K => {
                "convert the model to Q4_0 or Q8_0 (llama-quantize --allow-requantize IN OUT Q4_0), best from its F16 file"
            }
            other => other.convert_to(),
        };
        FlashError::source(
            path,
            format!("{} is {}; f32, f16, q8_0 or q4_0: {advice}", tensor.name, tensor.kind.name()),
        )
    })
}

/// Reads whole blocks of a tensor, from byte `from` of it. Fails when a weight in them is no finite number: what is packed is computed with
/// as it is, wherever and whenever it is read.
pub(super) fn read_weights(path: &Path, file: &File, tensor: &TensorInfo, from: u64, out: &mut [u8]) -> Result<(), FlashError> {
    read_exactly(path, file, tensor.offset + from, out)?;
    tensor
        .kind
        .check_finite(&|| tensor.name.clone(), tensor.columns(), from, out)
        .map_err(|error| FlashError::source(path, error.to_string()))
}

/// Fails when a weight of `tensor`, all of them finite, became none where it was written in another format.
pub(super) fn refuse_overflow(path: &Path, tensor: &TensorInfo, to: WeightFormat, written: &[u8]) -> Result<(), FlashError> {
    let kind = TensorType::from_code(to.code()).unwrap_or(tensor.kind);
    let found = kind.check_finite(&|| tensor.name.clone(), kind.block_weights(), 0, written);
    found.map_err(|_| {
        let (name, to) = (&tensor.name, to.name());
        FlashError::source(
            path,
            format!("{name} holds a weight that is too large for {to}; pack it with down exact"),
        )
    })
}

/// Sorts a file's tensors into layers and the rest, or says which tensor is missing or of the wrong shape.
pub(super) fn sort<'a>(path: &Path, gguf: &'a Gguf) -> Result<SourceModel<'a>, FlashError> {
    let mut layers = Vec::new();
    while let Some(layer) = layer(path, gguf, layers.len())? {
        layers.push(layer);
    }
    if layers.is_empty() {
        return Err(FlashError::source(
            path,
            "no blk.0.ffn_gate.weight and no blk.0.ffn_gate_exps.weight; a model with gated FFNs",
        ));
    }
    let architecture = gguf.metadata.str("general.architecture").unwrap_or("llama");
    if let Ok(count) = gguf.metadata.u32(&format!("{architecture}.block_count"))
        && count as usize != layers.len()
    {
        let found = layers.len();
        return Err(FlashError::source(
            path,
            format!("{found} layers with a gated FFN; {architecture}.block_count says {count}"),
        ));
    }
    let is_ffn = |name: &str| {
        layers.iter().any(|layer| {
            [layer.gate, layer.up, layer.down]
                .into_iter()
                .any(|tensor| tensor.name == name)
        })
    };
    let dense: Vec<&TensorInfo> = gguf.tensors.iter().filter(|tensor| !is_ffn(&tensor.name)).collect();
    for tensor in &dense {
        let stem = tensor
            .name
            .rsplit_once("ffn_")
            .filter(|(block, _)| block.starts_with("blk."))
            .map(|(_, rest)| rest);
        let is_matrix = |name: &str| {
            let base = name.strip_suffix(".weight").unwrap_or("");
            ["gate", "up", "down", "down_t"].iter().any(|matrix| {
                base == *matrix
                    || base.strip_suffix("_exps") == Some(matrix)
                    || base.strip_prefix(matrix).is_some_and(|rest| rest.starts_with('.'))
            })
        };
        if stem.is_some_and(is_matrix) {
            let what = format!(
                "{} belongs to no complete FFN; gate, up and down of blk.0, blk.1, … or ffn_*_exps",
                tensor.name
            );
            return Err(FlashError::source(path, what));
        }
    }
    Ok(SourceModel { layers, dense })
}

fn layer<'a>(path: &Path, gguf: &'a Gguf, index: usize) -> Result<Option<SourceLayer<'a>>, FlashError> {
    let named = |part: &str| gguf.tensor(&format!("blk.{index}.ffn_{part}.weight"));
    let (suffix, gate) = match (named("gate"), named("gate_exps")) {
        (Some(gate), _) => ("", gate),
        (None, Some(gate)) => ("_exps", gate),
        (None, None) => return Ok(None),
    };
    let missing = |part: &str| {
        FlashError::source(
            path,
            format!("{} has no blk.{index}.ffn_{part}{suffix}.weight beside it", gate.name),
        )
    };
    let up = named(&format!("up{suffix}")).ok_or_else(|| missing("up"))?;
    let transposed = named(&format!("down_t{suffix}"));
    let (down, down_is_transposed) = match transposed {
        Some(down) => (down, true),
        None => (named(&format!("down{suffix}")).ok_or_else(|| missing("down"))?, false),
    };
    let wrong = |tensor: &TensorInfo, right: &str| {
        FlashError::source(path, format!("{} has shape {:?}; {right}", tensor.name, tensor.shape))
    };
    let sides = |tensor: &TensorInfo| -> Option<[u32; 3]> {
        let side = |index: usize| u32::try_from(*tensor.shape.get(index).unwrap_or(&1)).ok();
        let wanted = if suffix.is_empty() { 2 } else { 3 };
        let rest = tensor.shape.iter().skip(wanted).all(|side| *side == 1);
        if tensor.shape.len() < 2 || !rest {
            None
        } else {
            Some([side(0)?, side(1)?, side(2)?])
        }
    };
    let [width, neurons, experts] = sides(gate).ok_or_else(|| wrong(gate, "[width, neurons] or [width, neurons, experts]"))?;
    if width == 0 || neurons == 0 || experts == 0 {
        return Err(wrong(gate, "sides of at least 1"));
    }
    if sides(up) != Some([width, neurons, experts]) {
        return Err(wrong(up, &format!("{:?}, as {}", gate.shape, gate.name)));
    }
    let right = if down_is_transposed {
        [width, neurons, experts]
    } else {
        [neurons, width, experts]
    };
    if sides(down) != Some(right) {
        return Err(wrong(down, &format!("{right:?}, to fit {}", gate.name)));
    }
    for tensor in [gate, up, down] {
        format_of(path, tensor)?;
    }
    Ok(Some(SourceLayer {
        experts,
        neurons,
        width,
        gate,
        up,
        down,
        down_is_transposed,
    }))
}
