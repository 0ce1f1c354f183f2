//! How a packed file's FFN is cut into the units that are cached and read.

use std::ops::Range;

use flash::{Arrangement, Data, DownForm, FlashFile, LayerLayout, Part, Span, Target, WeightFormat};
use neuron::{Format, SUM_BLOCK};

use crate::error::OffloadError;
use crate::options::{Granularity, OffloadOptions};

/// Sizes and numbers, the same for every layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Units {
    pub layers: u32,
    pub experts: u32,
    /// Neurons of one expert, and weights of a row.
    pub neurons: u32,
    pub width: u32,
    pub group: u32,
    pub gate: Format,
    pub up: Format,
    pub down: Format,
    /// Bytes of buffers that the gates of a cluster take while they are read: where bundles lie between them, these may come along.
    pub gates_in_flight: usize,
    pub gate_row: usize,
    pub up_row: usize,
    pub down_row: usize,
    /// Neurons of a cluster, and clusters of an expert.
    pub cluster: u32,
    pub clusters: u32,
    /// Neurons whose gate rows are kept together, and how often there are so many in an expert: those of a cluster where every gate is
    /// computed, those of a unit where a predictor says which.
    pub gate_unit: u32,
    pub gate_units: u32,
    /// Neurons of a unit of up and down, and such units of an expert.
    pub unit: u32,
    pub units: u32,
    pub blocks: u32,
}

/// The kernels' name for a format of the file.
fn format_of(format: WeightFormat) -> Format {
    match format {
        WeightFormat::F32 => Format::F32,
        WeightFormat::F16 => Format::F16,
        WeightFormat::Q8_0 => Format::Q8_0,
        WeightFormat::Q4_0 => Format::Q4_0,
    }
}

impl Units {
    /// Cuts the file as the options say. Errors: no FFN, layers of different shapes, down in tiles; with a predictor, matrices that are
    /// not in bundles.
    pub fn of(file: &FlashFile, options: &OffloadOptions) -> Result<Self, OffloadError> {
        let form = |what: String, wanted| OffloadError::Form { what, wanted };
        let first = file
            .layers()
            .first()
            .ok_or_else(|| form("the packed file has no FFN".into(), "pack a model with feed-forward layers"))?;
        let shape = *first.shape();
        if let Some(other) = file.layers().iter().position(|layer| *layer.shape() != shape) {
            return Err(form(
                format!("layer {other} has another FFN shape than layer 0"),
                "all layers of one shape can be run from flash",
            ));
        }
        if shape.down_form != DownForm::Rows {
            return Err(form(
                "down is packed in tiles of 32 neurons, which cannot be read neuron by neuron".into(),
                "pack again with a transposed down",
            ));
        }
        let whole = matches!(
            options.granularity,
            Granularity::Tensor | Granularity::Expert | Granularity::Matrix
        );
        // Both powers of two, or the group larger: the larger of the two is a multiple of the other.
        let step = shape.group.max(SUM_BLOCK as u32);
        let cluster = if whole {
            shape.neurons
        } else {
            options.cluster_neurons.clamp(1, shape.neurons)
        };
        let cluster = cluster.div_ceil(step) * step;
        let unit = if options.granularity == Granularity::Neuron {
            shape.group
        } else {
            cluster
        };
        if options.predicted && (options.granularity != Granularity::Neuron || first.arrangement() != Arrangement::Bundles) {
            let what = match options.granularity {
                Granularity::Neuron => {
                    "gate, up and down are packed as whole matrices, which a predictor does not read neuron by neuron"
                }
                _ => "a predictor says which neurons to load, and the granularity is coarser than neurons",
            };
            return Err(form(what.into(), "pack in bundles, and load by neuron"));
        }
        let gate_unit = if options.predicted { unit } else { cluster };
        Ok(Self {
            layers: file.layers().len() as u32,
            experts: shape.experts,
            neurons: shape.neurons,
            width: shape.width,
            group: shape.group,
            gate: format_of(shape.gate),
            up: format_of(shape.up),
            down: format_of(shape.down),
            gates_in_flight: match first.arrangement() {
                Arrangement::Bundles => {
                    let bundle = first.part_span(0, 0).bytes + first.part_span(0, 1).bytes;
                    bundle as usize * cluster.div_ceil(shape.group) as usize
                }
                Arrangement::Matrices => cluster as usize * first.gate_row_bytes() as usize,
            },
            gate_row: first.gate_row_bytes() as usize,
            up_row: first.up_row_bytes() as usize,
            down_row: first.down_unit_bytes() as usize,
            cluster,
            clusters: shape.neurons.div_ceil(cluster),
            gate_unit,
            gate_units: shape.neurons.div_ceil(gate_unit),
            unit,
            units: shape.neurons.div_ceil(unit),
            blocks: shape.neurons.div_ceil(SUM_BLOCK as u32),
        })
    }

    /// Bytes in memory of gate rows that are kept together, and of up and down of a unit.
    pub fn gate_bytes(&self) -> usize {
        self.gate_unit as usize * self.gate_row
    }

    pub fn up_down_bytes(&self) -> usize {
        self.unit as usize * (self.up_row + self.down_row)
    }

    pub fn gate_keys(&self) -> u32 {
        self.layers * self.experts * self.gate_units
    }

    pub fn up_down_keys(&self) -> u32 {
        self.layers * self.experts * self.units
    }

    pub fn gate_key(&self, layer: u32, expert: u32, gate_unit: u32) -> u32 {
        (layer * self.experts + expert) * self.gate_units + gate_unit
    }

    pub fn up_down_key(&self, layer: u32, expert: u32, unit: u32) -> u32 {
        (layer * self.experts + expert) * self.units + unit
    }

    /// Positions of a cluster's neurons, and of a unit's.
    pub fn of_cluster(&self, cluster: u32) -> Range<u32> {
        cluster * self.cluster..((cluster + 1) * self.cluster).min(self.neurons)
    }

    pub fn of_gate_unit(&self, unit: u32) -> Range<u32> {
        unit * self.gate_unit..((unit + 1) * self.gate_unit).min(self.neurons)
    }

    pub fn of_unit(&self, unit: u32) -> Range<u32> {
        unit * self.unit..((unit + 1) * self.unit).min(self.neurons)
    }

    /// What to read for the neurons in `positions`, which begin and end with a group.
    pub fn target(&self, layer: u32, expert: u32, part: Part, positions: Range<u32>) -> Target {
        Target::Cluster {
            layer,
            expert,
            part,
            groups: positions.start / self.group..positions.end.div_ceil(self.group),
        }
    }
}

/// One of the three row matrices, as the layout gives its rows' places.
#[derive(Clone, Copy)]
pub(crate) enum Rows {
    Gate,
    Up,
    Down,
}

fn row_span(layout: &LayerLayout, rows: Rows, expert: u32, position: u32) -> Span {
    match rows {
        Rows::Gate => layout.gate_row(expert, position),
        Rows::Up => layout.up_row(expert, position),
        Rows::Down => layout.down_unit(expert, position),
    }
}

/// Copies the rows of `positions` out of what was read, one after the other without the file's padding. Returns the bytes written.
/// Errors when the read did not bring them (a fault of ours) or `out` is too short.
pub(crate) fn copy_rows(
    layout: &LayerLayout,
    data: &Data,
    rows: Rows,
    expert: u32,
    positions: Range<u32>,
    out: &mut [u8],
) -> Result<usize, OffloadError> {
    // Rows lie next to each other inside a group, and in a whole matrix where there are no bundles.
    let step = match layout.arrangement() {
        Arrangement::Bundles => layout.shape().group,
        Arrangement::Matrices => positions.len().max(1) as u32,
    };
    let mut written = 0;
    let mut at = positions.start;
    while at < positions.end {
        let last = (at / step * step + step).min(positions.end);
        let last = if layout.arrangement() == Arrangement::Matrices {
            positions.end
        } else {
            last
        };
        let first = row_span(layout, rows, expert, at);
        let span = Span {
            offset: first.offset,
            bytes: row_span(layout, rows, expert, last - 1).end() - first.offset,
        };
        let missing = || OffloadError::Input {
            what: format!("expert {expert}: rows {at}..{last} did not come with the read"),
        };
        let bytes = data.bytes_of(span).ok_or_else(missing)?;
        out.get_mut(written..written + bytes.len())
            .ok_or_else(missing)?
            .copy_from_slice(bytes);
        written += bytes.len();
        at = last;
    }
    Ok(written)
}
