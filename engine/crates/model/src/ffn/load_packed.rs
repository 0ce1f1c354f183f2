//! FFN weights in memory, from a packed file.

use flash::{Arrangement, DownForm, LayerLayout, Span};
use neuron::Format;

use super::sparse::SparseLayer;
use crate::tensor::check_finite;
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
    let rows = shape.experts as usize * shape.neurons as usize;
    let tensor = |of| Tensor::zeroed(format(of)?, rows, config.hidden, "a packed ffn matrix");
    let mut loaded = SparseLayer {
        gate: tensor(shape.gate)?,
        up: tensor(shape.up)?,
        down: tensor(shape.down)?,
    };
    read_rows(source, layer, &mut |matrix, row, bytes| {
        let into = match matrix {
            "gate" => &mut loaded.gate,
            "up" => &mut loaded.up,
            _ => &mut loaded.down,
        };
        let at = row * bytes.len();
        into.data_mut()[at..at + bytes.len()].copy_from_slice(bytes);
    })?;
    Ok(loaded)
}

/// Fails when a weight of the FFNs of a packed file is no finite number, and says where. Packing refuses such weights; a file that was
/// packed before it did may hold some. Reads all of it, in the memory of a piece.
pub fn check_packed(source: &FlashSource) -> Result<(), ModelError> {
    (0..source.flash().layers().len()).try_for_each(|layer| read_rows(source, layer, &mut |_, _, _| {}))
}

/// Neurons whose bundles are read at once: some megabytes.
const PIECE_NEURONS: u32 = 1024;

/// Neurons that are read at once: whole groups, or an expert whose matrices lie one behind the other.
fn piece_neurons(layout: &LayerLayout) -> u32 {
    let shape = layout.shape();
    match layout.arrangement() {
        // Both are powers of two.
        Arrangement::Bundles => PIECE_NEURONS.max(shape.group).min(shape.neurons),
        Arrangement::Matrices => shape.neurons,
    }
}

/// Where the rows of neurons `first..last` of an expert lie; `first` begins a piece, and `last` ends one.
fn piece(layout: &LayerLayout, expert: u32, first: u32, last: u32) -> Span {
    match layout.arrangement() {
        Arrangement::Bundles => {
            let part = |of: u32, which: u64| layout.part_span(expert, 2 * u64::from(of / layout.shape().group) + which);
            let offset = part(first, 0).offset;
            Span {
                offset,
                bytes: part(last - 1, 1).end() - offset,
            }
        }
        Arrangement::Matrices => layout.expert_span(expert),
    }
}

/// What loading a layer holds besides the layer (bytes).
pub(crate) fn piece_bytes(layout: &LayerLayout) -> u64 {
    piece(layout, 0, 0, piece_neurons(layout)).bytes
}

/// Reads one layer piece by piece, and tells of every row: its matrix, its number in the order of the source (all experts' rows follow
/// each other) and its bytes. Where down is in tiles its rows are these. Fails when a weight is no finite number.
fn read_rows(source: &FlashSource, layer: usize, tell: &mut dyn FnMut(&str, usize, &[u8])) -> Result<(), ModelError> {
    let flash = source.flash();
    let layout = &flash.layers()[layer];
    let shape = layout.shape();
    let unit_neurons = layout.down_unit_neurons();
    let step = piece_neurons(layout);
    let mut buffer = Vec::new();
    for expert in 0..shape.experts {
        let mut span = Span { offset: 0, bytes: 0 };
        for position in 0..shape.neurons {
            if position.is_multiple_of(step) {
                span = piece(layout, expert, position, shape.neurons.min(position.saturating_add(step)));
                buffer.resize(span.bytes as usize, 0);
                source.read_at(span.offset, &mut buffer)?;
            }
            let neuron = expert as usize * shape.neurons as usize + flash.order().neuron(layer as u32, expert, position) as usize;
            let mut told = |matrix: &str, of: flash::WeightFormat, row: usize, place: Span| {
                let bytes = &buffer[(place.offset - span.offset) as usize..(place.end() - span.offset) as usize];
                let name = || format!("{matrix} of layer {layer}");
                check_row(source, &name, of, row, bytes)?;
                tell(matrix, row, bytes);
                Ok::<_, ModelError>(())
            };
            told("gate", shape.gate, neuron, layout.gate_row(expert, position))?;
            told("up", shape.up, neuron, layout.up_row(expert, position))?;
            if position.is_multiple_of(unit_neurons) {
                let unit = neuron / unit_neurons as usize;
                told("down", shape.down, unit, layout.down_unit(expert, position))?;
            }
        }
    }
    Ok(())
}

/// One row, just read and so in the processor's cache.
fn check_row(
    source: &FlashSource,
    name: &dyn Fn() -> String,
    of: flash::WeightFormat,
    row: usize,
    bytes: &[u8],
) -> Result<(), ModelError> {
    let of = format(of)?;
    let cols = bytes.len() / of.block_bytes() * of.block_weights();
    check_finite(source, name, (of, cols), (row * bytes.len()) as u64, bytes)
}

#[cfg(test)]
mod tests {
    use super::format;

    /// Files and kernels each have formats of their own: one table says what both mean.
    #[test]
    fn formats_of_packed_files_are_the_kernels_formats() {
        for of in flash::WeightFormat::ALL {
            let known = format(of).unwrap();
            assert_eq!(known.gguf_id(), of.code(), "{}", of.name());
            assert_eq!(known.block_weights(), of.block_weights() as usize, "{}", of.name());
            assert_eq!(known.block_bytes(), of.block_bytes() as usize, "{}", of.name());
            for weights in [0, 32, 4096] {
                assert_eq!(Some(known.row_bytes(weights as usize).unwrap() as u64), of.row_bytes(weights));
            }
        }
    }
}
