//! FFN weights in memory, from a packed file.

use flash::{DownForm, LayerLayout, Span};
use neuron::Format;

use super::sparse::SparseLayer;
use crate::{FlashSource, ModelConfig, ModelError, Tensor};

fn format(of: flash::WeightFormat) -> Result<Format, ModelError> {
    Format::from_gguf_id(of.code())
        .ok_or_else(|| ModelError::config("format of a packed matrix", of.name(), "f32, f16, q8_0 or q4_0"))
}

fn check(layout: &LayerLayout, config: &ModelConfig, layer: usize) -> Result<(), ModelError> {
    let shape = layout.shape();
    let found = [shape.experts as usize, shape.neurons as usize, shape.width as usize];
    let wanted = [config.experts, config.neurons, config.hidden];
    if found != wanted {
        let key = format!("experts, neurons and width of packed layer {layer}");
        return Err(ModelError::config(key, format!("{found:?}"), format!("{wanted:?}")));
    }
    if shape.down_form != DownForm::Rows {
        let key = format!("form of down in packed layer {layer}");
        let wanted = "rows: pack the file again with down transposed";
        return Err(ModelError::config(key, "tiles", wanted));
    }
    Ok(())
}

/// Loads one layer and puts its neurons back into the order of the source, in which sums run.
pub(crate) fn load_packed(source: &FlashSource, config: &ModelConfig, layer: usize) -> Result<SparseLayer, ModelError> {
    let flash = source.flash();
    let layout = flash.layers().get(layer).ok_or_else(|| {
        let wanted = format!("{}, as the model has", config.layers);
        ModelError::config("number of packed layers", flash.layers().len(), wanted)
    })?;
    check(layout, config, layer)?;
    let shape = layout.shape();
    let (experts, neurons) = (shape.experts as usize, shape.neurons as usize);
    let tensor = |of| Tensor::zeroed(format(of)?, experts * neurons, config.hidden, "a packed ffn matrix");
    let mut loaded = SparseLayer {
        gate: tensor(shape.gate)?,
        up: tensor(shape.up)?,
        down: tensor(shape.down)?,
    };
    let mut buffer = Vec::new();
    for expert in 0..shape.experts {
        let span = layout.expert_span(expert);
        buffer.resize(span.bytes as usize, 0);
        source.read_at(span.offset, &mut buffer)?;
        let bytes = |row: Span| &buffer[(row.offset - span.offset) as usize..(row.end() - span.offset) as usize];
        for position in 0..shape.neurons {
            let neuron = flash.order().neuron(layer as u32, expert, position) as usize;
            let row = expert as usize * neurons + neuron;
            put(&mut loaded.gate, row, bytes(layout.gate_row(expert, position)));
            put(&mut loaded.up, row, bytes(layout.up_row(expert, position)));
            put(&mut loaded.down, row, bytes(layout.down_unit(expert, position)));
        }
    }
    Ok(loaded)
}

fn put(tensor: &mut Tensor, row: usize, bytes: &[u8]) {
    let at = row * bytes.len();
    tensor.data_mut()[at..at + bytes.len()].copy_from_slice(bytes);
}
