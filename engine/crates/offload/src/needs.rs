//! How much memory a packed file's FFNs can use, and how little.

use flash::FlashFile;

use crate::layer_run::{MOST_REQUESTED_BYTES, StageMemory};
use crate::options::OffloadOptions;
use crate::units::Units;

/// Slots begin with a cache line. Rows are copied into them out of the pages that were read, whose padding would take a fifth of
/// the memory.
pub(crate) const SLOT_ALIGN: usize = 64;

/// How large the segments can usefully be, and how small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Bytes for all gate rows in the hot segment.
    pub all_hot: usize,
    /// Bytes for all of up and down in the cold segment.
    pub all_cold: usize,
    /// Bytes of one slot of the hot segment, and of the cold one.
    pub hot_slot: usize,
    /// See `hot_slot`.
    pub cold_slot: usize,
    /// Slots of each that hold all that one layer uses for a token.
    pub layer_hot: usize,
    /// See `layer_hot`.
    pub layer_cold: usize,
    /// Bytes of the places where single units arrive in decoding, held always.
    pub stages: usize,
    /// The most bytes of requests that are on their way at once in decoding.
    pub requested: usize,
    /// Whether the hot segment is worth filling before the cold one: where every gate is computed and few neurons fire. Else both
    /// hold the rows of the same neurons.
    pub hot_first: bool,
    /// Bytes that a layer may hold beside the segments when these are smaller than what it uses.
    pub beside: usize,
}

/// Sizes that matter for choosing segments of this file, cut into these units.
pub(crate) fn needs_of(file: &FlashFile, units: &Units, experts_used: u32, options: &OffloadOptions) -> Needs {
    let slot = |bytes: usize| bytes.next_multiple_of(SLOT_ALIGN);
    let (hot_slot, cold_slot) = (slot(units.gate_bytes()), slot(units.up_down_bytes()));
    let used = experts_used.min(units.experts) as usize;
    let (layer_hot, layer_cold) = (used * units.gate_units as usize, used * units.units as usize);
    let stages = file
        .layers()
        .first()
        .map_or(0, |layout| StageMemory::bytes(layout, units, options.granularity));
    // One cluster more may be asked for before the most is reached.
    let asked =
        MOST_REQUESTED_BYTES + units.gates_in_flight + units.cluster as usize / units.unit as usize * units.up_down_bytes();
    Needs {
        all_hot: hot_slot * units.gate_keys() as usize,
        all_cold: cold_slot * units.up_down_keys() as usize,
        hot_slot,
        cold_slot,
        layer_hot,
        layer_cold,
        stages,
        requested: asked,
        hot_first: !options.predicted && !options.every_neuron,
        beside: layer_hot * units.gate_bytes() + layer_cold * units.up_down_bytes(),
    }
}
