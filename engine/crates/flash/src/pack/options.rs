//! What a caller of `pack` chooses, and what it is told.

use crate::{Arrangement, DownForm, NeuronOrder, WeightFormat};

/// How down is stored.
///
/// In a GGUF file a neuron's down weights are a column of `ffn_down`, and the blocks of Q4_0 and Q8_0 run along the neurons:
/// 32 neurons share each scale, so one column cannot be cut out without loss. At 10 % activity 1 - 0.9^32 = 97 % of such
/// groups hold an active neuron: exact tiles make reading and computing dense again. A transposed down has a row a neuron.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownChoice {
    /// Exact where a neuron's weights can be cut out (F32, F16, or a file that carries `ffn_down_t`), else transposed at
    /// Q8_0: 8.5 bits a weight, and an error a tenth or so of that which 4-bit quantisation has made already.
    Auto,
    /// The file's own weights bit for bit: rows where they can be cut out, else tiles of 32 neurons.
    Exact,
    /// Transposed and requantised to Q8_0.
    TransposedQ8,
    /// Transposed and requantised to Q4_0: the smallest, with a second quantisation error as large as the first.
    TransposedQ4,
    /// Transposed in half precision: for a Q4_0 or Q8_0 source exact but for the rounding of `scale x number` to 11 bits.
    TransposedF16,
    /// Transposed in single precision: exact, because every weight of the other formats is an integer times a number of eleven bits. The
    /// largest.
    TransposedF32,
}

/// How many neurons make a group, the granule of reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GroupChoice {
    /// The group that costs least flash time where this share of the neurons (0 to 1) is read, not one by one in a row:
    /// groups bring neurons that nobody asked for, single small neurons bring padding and commands.
    Cheapest {
        /// Share of neurons that are active.
        activity: f64,
    },
    /// The smallest group that leaves at most this share of the file to padding.
    Padding(f64),
    /// So many neurons, a power of two (of at least 32 with down in tiles).
    Fixed(u32),
}

/// Choices for packing.
#[derive(Clone, Debug)]
pub struct PackOptions {
    /// Bundles, or three matrices an expert.
    pub arrangement: Arrangement,
    /// Form of down.
    pub down: DownChoice,
    /// Neurons of a group.
    pub group: GroupChoice,
    /// Order of neurons; the default is the source's.
    pub order: NeuronOrder,
    /// Threads that transpose and requantise.
    pub threads: usize,
}

impl Default for PackOptions {
    fn default() -> Self {
        Self {
            arrangement: Arrangement::Bundles,
            down: DownChoice::Auto,
            group: GroupChoice::Cheapest { activity: 0.1 },
            order: NeuronOrder::default(),
            threads: 2,
        }
    }
}

/// What packing is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Copying tensors outside the FFNs.
    Dense,
    /// Bundling FFNs.
    Ffn,
    /// Making the file durable and giving it its name.
    Commit,
}

/// Progress, told after every few megabytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackProgress {
    /// Current phase.
    pub phase: Phase,
    /// Bytes of the packed file written so far.
    pub done: u64,
    /// Bytes that it will have.
    pub total: u64,
}

/// What requantising did to the down weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Requantisation {
    /// Format in the packed file.
    pub to: WeightFormat,
    /// Root of the mean squared change over the root of the mean squared weight, over all down weights of the file.
    pub relative_rms: f64,
    /// Largest change of a weight.
    pub worst: f64,
}

/// One group size and what it costs, for the first layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupCandidate {
    /// Neurons of a group.
    pub group: u32,
    /// Bytes of a bundle.
    pub bundle_bytes: u64,
    /// Share of the bundles that is padding.
    pub padding: f64,
    /// Bytes read, with whole bundles at the chosen activity, for each active neuron.
    pub bytes_per_active_neuron: f64,
}

/// What was packed.
#[derive(Clone, Debug, PartialEq)]
pub struct PackReport {
    /// Bytes of the packed file.
    pub bytes: u64,
    /// Bytes of tensors outside the FFNs, padding included.
    pub dense_bytes: u64,
    /// Bytes of the FFNs, padding included.
    pub ffn_bytes: u64,
    /// Bytes of weights in the FFNs.
    pub payload_bytes: u64,
    /// Share of the FFN section that is padding.
    pub padding: f64,
    /// Layers.
    pub layers: u32,
    /// Neurons of a group in the first layer.
    pub group: u32,
    /// Form of down in the first layer.
    pub down_form: DownForm,
    /// Format of down in the first layer.
    pub down: WeightFormat,
    /// Group sizes that were weighed, for the first layer.
    pub candidates: Vec<GroupCandidate>,
    /// The change to down, if it was requantised: the packed model is then numerically another one.
    pub requantisation: Option<Requantisation>,
    /// Fingerprint of the packed file.
    pub fingerprint: u64,
}
