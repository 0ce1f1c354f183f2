//! What the plan decides about an out-of-memory FFN.

use cache::PolicyKind;

/// Unit of loading and of caching, from coarse to fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granularity {
    /// All experts of a layer, wanted or not.
    Tensor,
    /// One expert, gate, up and down at once.
    Expert,
    /// One matrix of an expert at a time: gate first, up and down when it is computed.
    Matrix,
    /// A neuron cluster, gate, up and down at once.
    Cluster,
    /// Two phases: the gate rows of a cluster, then up and down of single neurons, only where the gate fired.
    Neuron,
}

impl Granularity {
    /// All of them, from coarse to fine.
    pub const ALL: [Self; 5] = [Self::Tensor, Self::Expert, Self::Matrix, Self::Cluster, Self::Neuron];

    /// The name that plans carry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tensor => "tensor",
            Self::Expert => "expert",
            Self::Matrix => "matrix",
            Self::Cluster => "cluster",
            Self::Neuron => "neuron",
        }
    }

    /// Whether gate, up and down are asked for together, before the gate is known.
    pub(crate) const fn is_one_phase(self) -> bool {
        matches!(self, Self::Tensor | Self::Expert | Self::Cluster)
    }
}

/// Which work may go on while something is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// None: all that is missing is read, then all is computed.
    Nothing,
    /// Reads of the gate overlap its computation, those of up and down theirs; a barrier lies between. (PowerInfer-2, Figure 6a)
    Matrix,
    /// Each cluster goes through its stages on its own. (PowerInfer-2, Figure 6b)
    Cluster,
}

impl Overlap {
    /// The name that plans carry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Matrix => "matrix",
            Self::Cluster => "cluster",
        }
    }
}

/// How gate rows that are not in memory are read, where units are single neurons and every gate decides. Between the gate pages of
/// neighbouring neurons lie their up and down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GateReads {
    /// Each group's pages by themselves: the fewest bytes, and the most reads. They begin with the layer's turn and not before.
    Apart,
    /// In runs, over gaps that a disk reads sooner than it begins anew. What lies between is read for nothing.
    #[default]
    Joined,
    /// Gate, up and down in runs; up and down of those that fire are taken from there instead of being read again. Needs a
    /// pipeline of clusters: what has been read is held until its cluster's gates are known.
    Bundles,
}

impl GateReads {
    /// All of them, from the fewest bytes to the fewest reads.
    pub const ALL: [Self; 3] = [Self::Apart, Self::Joined, Self::Bundles];

    /// The name that plans carry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Apart => "apart",
            Self::Joined => "joined",
            Self::Bundles => "bundles",
        }
    }
}

/// How memory is divided while a prompt is read, or while tokens are generated. (PowerInfer-2, section 4.2: the segments' sizes change
/// between the two.) Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Division {
    /// Memory for gate rows, kept by cluster: the hot segment.
    pub hot: usize,
    /// Memory for up and down, kept by neuron (or by the granularity's unit): the cold segment.
    pub cold: usize,
    /// Buffers of the reader, those that are kept for the next reads included.
    pub reads: usize,
}

/// The choices for one run.
#[derive(Clone, Debug)]
pub struct OffloadOptions {
    /// Memory while a prompt is read: layers stream past, through large buffers.
    pub prefill: Division,
    /// Memory while tokens are generated: those buffers are the segments'.
    pub decode: Division,
    /// What leaves the cold segment first.
    pub policy: PolicyKind,
    /// Neurons of a cluster; rounded up to a multiple of the sum block and of the file's group.
    pub cluster_neurons: u32,
    /// Clusters between their first stage and the arrival of their last read.
    pub depth: u32,
    /// Unit of loading.
    pub granularity: Granularity,
    /// Which work may overlap a read.
    pub overlap: Overlap,
    /// How gate rows are read.
    pub gates: GateReads,
    /// Whether a predictor says which neurons are computed; set by the kind of FFN that is made.
    pub predicted: bool,
    /// Whether every neuron counts for every token, as in a SiLU model: what is kept is then a fixed part of each layer.
    pub every_neuron: bool,
    /// Blocks read ahead in prefill.
    pub prefill_ahead: usize,
}
